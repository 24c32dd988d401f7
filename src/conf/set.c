/* Setting rows from what counts, with errors that say where a value came from.
 * Layer: conf. */
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/layers.h"
#include "conf/secret.h"

#include "base/ban.h"

struct target {
	const struct zk_conf *c;
	const struct zk_opt *row;
	const char *prefix;
	void *base;
	struct zk_optpool *pool;
	const struct zk_value *v;
};

/* A text of a file. */
static int set_file_text(void *ctx, const struct zk_node *at, zk_str text,
                         struct zk_error *err)
{
	const struct target *t = ctx;
	struct zk_hit hit = { .row = t->row,
		              .prefix = t->prefix,
		              .member = t->v->member };

	if (zk_opt_set(t->pool, t->row, t->base, text, err) == 0)
		return 0;
	return zk_schema_bad_value(&hit, t->v->file, at, err);
}

/* A secret in plain text: only in a file of the user that nobody else can read. */
static int check_inline(const struct target *t, struct zk_error *err)
{
	const struct zk_conf_file *f = t->v->file;
	struct zk_spot at = zk_spot_key(f, t->v->node);

	if (f->place != ZK_PLACE_USER) {
		(void)zk_spot_fail(
		        err, ZK_E_SECRET, at, NULL,
		        "'%s' may stand in plain text only in the file of the user",
		        t->row->name);
		return zk_err_hint(err, "use %.*s_file, _env, _command or _credential",
		                   ZK_STR_ARG(t->v->node->key));
	}
	if (f->mode & 077) {
		(void)zk_spot_fail(
		        err, ZK_E_SECRET, at, NULL,
		        "'%s' stands in a file that others can read (mode %04o)",
		        t->row->name, (unsigned)f->mode);
		return zk_err_hint(err, "chmod 600 %s", f->shown);
	}
	zk_log_write(ZK_LOG_WARN, "config", "a secret stands in plain text in a file",
	             "key=%s file=%s", t->row->name, f->shown);
	return 0;
}

static int set_from_file(const struct target *t, struct zk_error *err)
{
	struct zk_hit hit = { .row = t->row,
		              .prefix = t->prefix,
		              .member = t->v->member };

	if (zk_hit_is_secret(&hit) && check_inline(t, err) < 0)
		return -(int)err->code;
	return zk_schema_texts(&hit, t->v->file, t->v->node, set_file_text, (void *)t,
	                       err);
}

/* "zeal.token_file" and "zeal.token_env" in one profile, or both variables. */
static int given_twice(const struct target *t, const struct zk_value *other,
                       struct zk_error *err)
{
	struct zk_buf b;

	zk_buf_init(&b, 400);
	zk_value_origin(other, t->row, &b);
	zk_buf_lit(&b, " and ");
	zk_value_origin(t->v, t->row, &b);
	(void)zk_fail(err, ZK_E_CONFIG_ENV, "the secret '%s' is given twice: %s",
	              t->row->name, zk_buf_cstring(&b));
	zk_buf_done(&b);
	return zk_err_where(err, "the environment");
}

static int bad_variable(const struct target *t, const struct zk_value *v,
                        struct zk_error *err)
{
	struct zk_error cause = *err;
	struct zk_buf name;

	zk_buf_init(&name, 200);
	zk_value_origin(v, t->row, &name);
	(void)zk_fail(err, ZK_E_CONFIG_ENV, "%s: %s", zk_buf_cstring(&name) + 1,
	              cause.msg);
	(void)zk_err_where(err, "the environment");
	zk_buf_done(&name);
	if (cause.hint[0])
		return zk_err_hint(err, "%s", cause.hint);
	return zk_err_hint(err, "%s", t->row->help);
}

static int set_from_env(const struct target *t, struct zk_error *err)
{
	const struct zk_value *v = t->v;
	char *text = NULL;
	zk_str name;
	int r;

	if (t->row->type == ZK_OPT_SECRET_REF && v->is_twin)
		text = zk_asprintf("file:%s", v->text);
	else if (t->row->type == ZK_OPT_SECRET_REF) {
		(void)zk_str_cut(zk_str_of(v->variable), '=', &name);
		text = zk_asprintf("env:%.*s", ZK_STR_ARG(name));
	}
	r = zk_opt_set(t->pool, t->row, t->base, zk_str_of(text ? text : v->text), err);
	zk_secret_free(text);
	return r < 0 ? bad_variable(t, v, err) : 0;
}

static int bad_option(const struct target *t, struct zk_error *err)
{
	struct zk_error cause = *err;

	(void)zk_fail(err, ZK_E_USAGE, "--%s: %s", t->row->name, cause.msg);
	if (cause.hint[0])
		return zk_err_hint(err, "%s", cause.hint);
	if (zk_opt_meta(t->row))
		return zk_err_hint(err, "--%s %s: %s", t->row->name, zk_opt_meta(t->row),
		                   t->row->help);
	return -(int)err->code;
}

/* All options of the row, or all foreign variables, in the order they came. */
static int set_from_gifts(const struct target *t, bool foreign, struct zk_error *err)
{
	for (size_t i = 0; i < t->c->n_gifts; i++) {
		const struct zk_gift *g = &t->c->gifts[i];
		struct zk_value v = { .from = ZK_FROM_FOREIGN, .variable = g->shown };

		if (g->row != t->row || g->is_foreign != foreign)
			continue;
		if (t->row->type == ZK_OPT_COUNT && !foreign) {
			++*(int *)((char *)t->base + t->row->off);
			continue;
		}
		if (zk_opt_set(t->pool, t->row, t->base, zk_str_of(g->text), err) < 0)
			return foreign ? bad_variable(t, &v, err) : bad_option(t, err);
	}
	return 0;
}

static int set_from(const struct target *t, struct zk_error *err)
{
	switch (t->v->from) {
	case ZK_FROM_DEFAULT:
		if (zk_opt_set(t->pool, t->row, t->base, zk_str_of(t->row->def), err) < 0)
			return zk_fail(err, ZK_E_BUG,
			               "the default of --%s is wrong: '%s'", t->row->name,
			               t->row->def);
		return 0;
	case ZK_FROM_FILE:
		return set_from_file(t, err);
	case ZK_FROM_FOREIGN:
		return set_from_gifts(t, true, err);
	case ZK_FROM_ENV:
		return set_from_env(t, err);
	case ZK_FROM_OPTION:
		break;
	}
	return set_from_gifts(t, false, err);
}

static int missing(const struct target *t, struct zk_error *err)
{
	struct zk_buf key, env;

	zk_buf_init(&key, 300);
	zk_buf_init(&env, 300);
	zk_opt_conf_key(t->row, t->prefix, &key);
	zk_opt_env_name(t->row, t->prefix, &env);
	(void)zk_fail(err, ZK_E_USAGE, "--%s is missing", t->row->name);
	if (key.n)
		(void)zk_err_hint(err, "give --%s %s, set %s, or put %s into the profile",
		                  t->row->name,
		                  zk_opt_meta(t->row) ? zk_opt_meta(t->row) : "",
		                  zk_buf_cstring(&env), zk_buf_cstring(&key));
	else
		(void)zk_err_hint(err, "--%s %s: %s", t->row->name,
		                  zk_opt_meta(t->row) ? zk_opt_meta(t->row) : "",
		                  t->row->help);
	zk_buf_done(&key);
	zk_buf_done(&env);
	return -(int)err->code;
}

int zk_conf_set(const struct zk_conf *c, const struct zk_opt *row, const char *prefix,
                void *base, struct zk_optpool *pool, struct zk_error *err)
{
	struct zk_value values[ZK_VALUES_MAX];
	size_t n = zk_conf_values(c, row, prefix, values);
	struct target t = {
		.c = c, .row = row, .prefix = prefix, .base = base, .pool = pool
	};

	t.v = zk_conf_winner(values, n);
	zk_opt_clear(row, base);
	if (!t.v)
		return (row->flags & ZK_OPT_REQUIRED) ? missing(&t, err) : 0;
	if (row->type == ZK_OPT_SECRET_REF && t.v->from == ZK_FROM_ENV && t.v > values &&
	    t.v[-1].from == ZK_FROM_ENV && t.v->is_twin && !t.v[-1].is_twin)
		return given_twice(&t, &t.v[-1], err);
	return set_from(&t, err);
}

struct expanded {
	const struct zk_conf_file *f;
};

static int check_expanded(void *ctx, const struct zk_hit *hit,
                          const struct zk_node *value, zk_str key, struct zk_error *err)
{
	const struct expanded *e = ctx;

	(void)key;
	return zk_schema_check_value(hit, e->f, value, true, err);
}

static int check_map(const struct zk_conf *c, const struct zk_conf_file *f,
                     const struct zk_node *map, struct zk_error *err)
{
	struct expanded e = { .f = f };

	if (!map || map->kind != ZK_NODE_MAP)
		return 0;
	return zk_schema_each(&c->in.schema, map, check_expanded, &e, err);
}

int zk_conf_check_expanded(const struct zk_conf *c, struct zk_error *err)
{
	for (size_t i = 0; i < ZK_PLACES; i++) {
		const struct zk_conf_file *f = c->files[i];
		const struct zk_node *profiles = zk_conf_profiles_of(f);
		int r = f ? check_map(c, f, zk_node_get(f->root, ZK_STR("defaults")), err)
		          : 0;

		if (r < 0)
			return r;
		if (!profiles || profiles->kind != ZK_NODE_MAP)
			continue;
		ZK_NODE_EACH(p, profiles)
		{
			r = check_map(c, f, p, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Room for any value of a row. */
union any_value {
	uint64_t u;
	double d;
	const char *s;
	struct zk_strlist list;
	struct zk_opttable table;
	struct zk_secret secret;
};

int zk_conf_check_variables(const struct zk_conf *c, struct zk_error *err)
{
	for (size_t i = 0; i < c->in.schema.n; i++) {
		const struct zk_conf_table *t = &c->in.schema.tables[i];

		for (const struct zk_opt *row = t->rows; row->type != ZK_OPT_NONE;
		     row++) {
			struct zk_value values[ZK_VALUES_MAX];
			size_t n = zk_conf_values(c, row, t->prefix, values);
			const struct zk_value *v = zk_conf_winner(values, n);
			struct zk_optpool pool = { 0 };
			void *base;
			int r;

			if (!v || v->from != ZK_FROM_ENV)
				continue;
			base = zk_optpool_alloc(&pool,
			                        row->off + sizeof(union any_value));
			r = zk_conf_set(c, row, t->prefix, base, &pool, err);
			zk_optpool_done(&pool);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
