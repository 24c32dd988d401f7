/* The names that derive from an option row: config key, variable, inverse, placeholder.
 * Layer: conf. */
#include <string.h>

#include "base/buf.h"
#include "conf/opt.h"

#include "base/ban.h"

void zk_opt_conf_key(const struct zk_opt *row, const char *prefix, struct zk_buf *b)
{
	if ((row->flags & ZK_OPT_NO_CONF) || (row->conf && strcmp(row->conf, "-") == 0))
		return;
	if (row->conf) {
		zk_buf_cstr(b, row->conf);
		return;
	}
	if (prefix[0])
		zk_buf_printf(b, "%s.", prefix);
	for (const char *p = row->name; *p; p++)
		zk_buf_char(b, *p == '-' ? '_' : *p);
}

void zk_opt_env_name(const struct zk_opt *row, const char *prefix, struct zk_buf *b)
{
	size_t from = b->n + 3;

	if (row->flags & ZK_OPT_NO_CONF)
		return;
	zk_buf_lit(b, "ZK_");
	if (prefix[0] && row->conf && strcmp(row->conf, "-") != 0)
		zk_buf_cstr(b, row->conf);
	else if (prefix[0])
		zk_buf_printf(b, "%s.%s", prefix, row->name);
	else
		zk_buf_cstr(b, row->name);
	for (size_t i = from; i < b->n; i++) {
		char c = b->p[i];

		if (c >= 'a' && c <= 'z')
			b->p[i] = (char)(c - 32);
		else if (c == '.' || c == '-')
			b->p[i] = '_';
	}
}

bool zk_opt_inverse(const struct zk_opt *row, char *out, size_t room)
{
	const char *name = row->name;
	size_t n = strlen(name);

	if (row->type != ZK_OPT_BOOL || n + 4 > room)
		return false;
	if (strncmp(name, "no-", 3) == 0) {
		memcpy(out, name + 3, n - 2);
	} else {
		memcpy(out, "no-", 3);
		memcpy(out + 3, name, n + 1);
	}
	return true;
}

const char *zk_opt_meta(const struct zk_opt *row)
{
	switch (row->type) {
	case ZK_OPT_NONE:
	case ZK_OPT_BOOL:
	case ZK_OPT_COUNT:
		return NULL;
	case ZK_OPT_SECRET_REF:
	case ZK_OPT_PATH:
		return row->meta ? row->meta : "FILE";
	case ZK_OPT_UINT:
	case ZK_OPT_INT:
	case ZK_OPT_FLOAT:
		return row->meta ? row->meta : "N";
	case ZK_OPT_DURATION:
		return row->meta ? row->meta : "D";
	case ZK_OPT_SIZE:
		return row->meta ? row->meta : "SIZE";
	case ZK_OPT_URL:
		return row->meta ? row->meta : "URL";
	case ZK_OPT_MAP:
		return row->meta ? row->meta : "KEY=VALUE";
	case ZK_OPT_STR:
	case ZK_OPT_ENUM:
	case ZK_OPT_LIST:
	case ZK_OPT_TABLE:
	case ZK_OPT_OPTARG:
		break;
	}
	return row->meta ? row->meta : "TEXT";
}
