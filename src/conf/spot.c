/* Errors that point into a configuration file.
 * Layer: conf. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/file.h"

#include "base/ban.h"

const char *zk_node_kind_name(enum zk_node_kind kind)
{
	switch (kind) {
	case ZK_NODE_SCALAR:
		return "a text";
	case ZK_NODE_LIST:
		return "a list";
	case ZK_NODE_MAP:
		break;
	}
	return "a mapping";
}

const struct zk_node *zk_node_get(const struct zk_node *map, zk_str key)
{
	if (!map || map->kind != ZK_NODE_MAP)
		return NULL;
	ZK_NODE_EACH(m, map)
	{
		if (zk_str_eq(m->key, key))
			return m;
	}
	return NULL;
}

const struct zk_node *zk_node_at(const struct zk_node *map, zk_str key)
{
	while (key.n && map) {
		zk_str one;

		key = zk_str_cut(key, '.', &one);
		map = zk_node_get(map, one);
	}
	return map;
}

struct zk_spot zk_spot_key(const struct zk_conf_file *f, const struct zk_node *member)
{
	return (struct zk_spot){ .file = f,
		                 .line = member->key_line,
		                 .col = member->key_col,
		                 .span = member->key_span };
}

struct zk_spot zk_spot_value(const struct zk_conf_file *f, const struct zk_node *node)
{
	size_t span = 1;

	if (node->kind == ZK_NODE_SCALAR)
		span = zk_utf8_len(node->text) + (node->plain ? 0 : 2);
	return (struct zk_spot){ .file = f,
		                 .line = node->line,
		                 .col = node->col,
		                 .span = (unsigned)ZK_MAX(span, (size_t)1) };
}

static zk_str line_of(const struct zk_conf_file *f, unsigned line)
{
	zk_str rest = zk_str_n(f->text, f->n), one = ZK_STR_NULL;

	while (line-- > 0) {
		if (!rest.p)
			return ZK_STR_NULL;
		rest = zk_str_cut(rest, '\n', &one);
	}
	if (one.n && one.p[one.n - 1] == '\r')
		one.n--;
	return one;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Where the value of a key such as `token` or `client_secret` begins in `line`; line.n when there
 * is none. The key may be quoted. */
static size_t secret_value_at(zk_str line)
{
	static const zk_str words[] = { ZK_STR_INIT("token"), ZK_STR_INIT("secret"),
		                        ZK_STR_INIT("password"), ZK_STR_INIT("key") };

	for (size_t i = 0; i < line.n; i++) {
		size_t end = i;
		zk_str name;

		if (line.p[i] != ':')
			continue;
		while (end > 0 && (line.p[end - 1] == ' ' || line.p[end - 1] == '"' ||
		                   line.p[end - 1] == '\''))
			end--;
		size_t from = end;

		while (from > 0 && is_name_char(line.p[from - 1]))
			from--;
		name = zk_str_n(line.p + from, end - from);
		for (size_t w = 0; w < ZK_ARRAY_LEN(words); w++)
			if (zk_str_ends(name, words[w]))
				return i + 1;
	}
	return line.n;
}

int zk_spot_add(struct zk_error *err, enum zk_code code, struct zk_spot at,
                const char *note)
{
	zk_str line = line_of(at.file, at.line);
	size_t cut = secret_value_at(line);
	struct zk_buf masked;

	zk_buf_init(&masked, ZK_CONF_FILE_MAX + 16);
	zk_buf_add(&masked, zk_str_n(line.p, cut));
	if (cut < line.n)
		zk_buf_lit(&masked, " ***");
	err->code = code;
	(void)zk_err_at(err,
	                &(struct zk_err_spot){ at.file->shown, at.line, at.col, at.span },
	                zk_buf_str(&masked), note);
	zk_buf_done(&masked);
	return -(int)code;
}

int zk_spot_fail(struct zk_error *err, enum zk_code code, struct zk_spot at,
                 const char *note, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	(void)zk_fail(err, code, "%s", msg);
	return zk_spot_add(err, code, at, note);
}

char *zk_path_shown(const char *path)
{
	const char *home = getenv("HOME");
	size_t n = home ? strlen(home) : 0;

	if (n > 1 && strncmp(path, home, n) == 0 && path[n] == '/')
		return zk_asprintf("~%s", path + n);
	return zk_strdup(path);
}
