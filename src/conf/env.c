/* ZK_* variables: which may be set at all.
 * Layer: conf. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/near.h"
#include "conf/schema.h"

#include "base/ban.h"

extern char **environ;

/* Set by zk for the programs it starts, or read by completion scripts. A '*' ends a prefix. */
static const char *const foreign[] = {
	"ZK_EVENT_*", "ZK_ARG_*", "ZK_TRACE_*", "ZK_EXE", "ZK_COMPLETION_REMOTE",
};

static bool is_foreign(zk_str name)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(foreign); i++)
		if (zk_str_glob(zk_str_of(foreign[i]), name))
			return true;
	return false;
}

/* Offers every name a row can have; true when one of them is `near->want`. What is near is kept
 * in `best`. */
static bool offer_names(struct zk_near *near, const struct zk_opt *row,
                        const char *prefix, struct zk_buf *name, char best[128])
{
	char part[64];
	size_t pos = 0;

	if (row->flags & ZK_OPT_NO_CONF)
		return false;
	while (zk_schema_next_prefix(row, prefix, &pos, part)) {
		int forms = row->type == ZK_OPT_SECRET_REF ? 2 : 1;

		zk_buf_clear(name);
		zk_opt_env_name(row, part, name);
		for (int i = 0; i < forms; i++) {
			if (i == 1)
				zk_buf_lit(name, "_FILE");
			if (zk_str_eq(zk_buf_str(name), near->want))
				return true;
			zk_near_add(near, zk_buf_cstring(name));
			if (near->best && near->best != best && name->n < 128) {
				memcpy(best, zk_buf_cstring(name), name->n + 1);
				near->best = best;
			}
		}
	}
	return false;
}

static int check_one(const struct zk_schema *s, zk_str name, struct zk_buf *tmp,
                     struct zk_error *err)
{
	struct zk_near near = { .want = name };
	char best[128];

	for (size_t i = 0; i < s->n; i++)
		for (const struct zk_opt *r = s->tables[i].rows; r->type != ZK_OPT_NONE;
		     r++)
			if (offer_names(&near, r, s->tables[i].prefix, tmp, best))
				return 0;
	if (is_foreign(name))
		return 0;
	(void)zk_fail(err, ZK_E_CONFIG_ENV, "there is no variable %.*s",
	              (int)ZK_MIN(name.n, (size_t)80), name.p);
	(void)zk_err_where(err, "the environment");
	if (near.best)
		return zk_err_hint(err, "did you mean %s?", near.best);
	return zk_err_hint(err, "unset it; all variables: zk help environment");
}

int zk_schema_check_env(const struct zk_schema *s, struct zk_error *err)
{
	struct zk_buf tmp;
	int r = 0;

	zk_buf_init(&tmp, 400);
	for (char **e = environ; e && *e && r == 0; e++) {
		zk_str name, value = zk_str_cut(zk_str_of(*e), '=', &name);

		/* An empty variable is as good as none. */
		if (zk_str_starts(name, ZK_STR("ZK_")) && value.n)
			r = check_one(s, name, &tmp, err);
	}
	zk_buf_done(&tmp);
	return r;
}
