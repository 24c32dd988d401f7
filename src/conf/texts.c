/* From the value of a file to the texts that zk_opt_set takes.
 * Layer: conf. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "conf/expand.h"
#include "conf/near.h"
#include "conf/schema.h"

#include "base/ban.h"

/* What a value is turned into on its way. */
struct walk {
	const struct zk_hit *hit;
	const struct zk_conf_file *f;
	zk_text_fn fn;
	void *ctx;
	const char *before; /* every text begins with it */
};

static bool is_nothing(const struct zk_node *n)
{
	return n->kind == ZK_NODE_SCALAR && n->plain &&
	       (n->text.n == 0 || zk_str_eq(n->text, ZK_STR("~")));
}

static int wrong_kind(const struct walk *w, const struct zk_node *at, const char *wanted,
                      struct zk_error *err)
{
	if (is_nothing(at))
		return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_key(w->f, at), NULL,
		                    "'%.*s' has no value", ZK_STR_ARG(at->key));
	return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_value(w->f, at), NULL,
	                    "'%.*s' must be %s, not %s", ZK_STR_ARG(at->key), wanted,
	                    zk_node_kind_name(at->kind));
}

/* True when the texts of this row are paths that are relative to the file's folder. */
static bool is_path(const struct zk_hit *hit)
{
	return hit->row->type == ZK_OPT_PATH || hit->member == ZK_MEMBER_FILE;
}

static void put_absolute(const struct zk_conf_file *f, zk_str text, struct zk_buf *b)
{
	const char *slash = strrchr(f->path, '/');

	if (text.n && text.p[0] != '/' && !zk_str_starts(text, ZK_STR("~/")) && slash)
		zk_buf_put(b, f->path, (size_t)(slash - f->path) + 1);
	zk_buf_add(b, text);
}

static int one_text(const struct walk *w, const struct zk_node *at, const char *before,
                    zk_str text, struct zk_error *err)
{
	struct zk_buf expanded, b;
	int r;

	zk_buf_init_secret(&expanded, ZK_CONF_FILE_MAX);
	zk_buf_init_secret(&b, ZK_CONF_FILE_MAX + 8192);
	zk_buf_cstr(&b, before);
	r = zk_expand(text, &expanded, err);
	if (r < 0)
		r = zk_spot_add(err, err->code, zk_spot_value(w->f, at), NULL);
	if (r == 0 && is_path(w->hit))
		put_absolute(w->f, zk_buf_str(&expanded), &b);
	else
		zk_buf_add(&b, zk_buf_str(&expanded));
	if (r == 0)
		r = w->fn(w->ctx, at, zk_buf_str(&b), err);
	zk_buf_done(&expanded);
	zk_buf_done(&b);
	return r;
}

static int scalar(const struct walk *w, const struct zk_node *v, const char *before,
                  struct zk_error *err)
{
	if (v->kind != ZK_NODE_SCALAR || is_nothing(v))
		return wrong_kind(w, v, "a single value", err);
	return one_text(w, v, before, v->text, err);
}

static int each_element(const struct walk *w, const struct zk_node *list,
                        struct zk_error *err)
{
	bool command = w->hit->member == ZK_MEMBER_COMMAND;

	ZK_NODE_EACH(e, list)
	{
		int r;

		if (e->kind != ZK_NODE_SCALAR)
			return zk_spot_fail(
			        err, ZK_E_CONFIG_VALUE, zk_spot_value(w->f, e), NULL,
			        "an element of '%.*s' must be a text, not %s",
			        ZK_STR_ARG(list->key), zk_node_kind_name(e->kind));
		r = one_text(w, e,
		             !command           ? w->before
		             : e == list->first ? "command:"
		                                : "arg:",
		             e->text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int each_pair(const struct walk *w, const struct zk_node *map,
                     struct zk_error *err)
{
	ZK_NODE_EACH(m, map)
	{
		char before[200];
		int n = snprintf(before, sizeof(before), "%s%.*s=", w->before,
		                 ZK_STR_ARG(m->key));

		if (n < 0 || (size_t)n >= sizeof(before) ||
		    zk_str_find_char(m->key, '=') >= 0)
			return zk_spot_fail(err, ZK_E_CONFIG_KEY, zk_spot_key(w->f, m),
			                    NULL, "the key cannot be used in '%.*s'",
			                    ZK_STR_ARG(map->key));

		int r = scalar(w, m, before, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int secret(const struct walk *w, const struct zk_node *v, struct zk_error *err)
{
	static const char *const schemes[] = {
		[ZK_MEMBER_NONE] = "inline:",
		[ZK_MEMBER_FILE] = "file:",
		[ZK_MEMBER_ENV] = "env:",
		[ZK_MEMBER_CREDENTIAL] = "credential:",
	};

	if (w->hit->member != ZK_MEMBER_COMMAND)
		return scalar(w, v, schemes[w->hit->member], err);
	if (v->kind != ZK_NODE_LIST || v->n == 0)
		return wrong_kind(w, v, "a list: a program and its arguments", err);
	return each_element(w, v, err);
}

static int one_value(const struct walk *w, const struct zk_node *value,
                     struct zk_error *err)
{
	switch (w->hit->row->type) {
	case ZK_OPT_LIST:
		if (value->kind == ZK_NODE_LIST)
			return each_element(w, value, err);
		return value->kind == ZK_NODE_SCALAR
		               ? scalar(w, value, w->before, err)
		               : wrong_kind(w, value, "a list", err);
	case ZK_OPT_MAP:
		if (value->kind == ZK_NODE_MAP)
			return each_pair(w, value, err);
		return wrong_kind(w, value, "a mapping", err);
	default:
		return scalar(w, value, w->before, err);
	}
}

static int unknown_member(const struct walk *w, const struct zk_node *m,
                          struct zk_error *err)
{
	struct zk_near near = { .want = m->key };
	char note[100] = "";

	for (const struct zk_opt *r = w->hit->row->sub; r->type != ZK_OPT_NONE; r++)
		zk_near_add(&near, r->name);
	if (near.best)
		(void)snprintf(note, sizeof(note), "did you mean '%s'?", near.best);
	return zk_spot_fail(err, ZK_E_CONFIG_KEY, zk_spot_key(w->f, m),
	                    note[0] ? note : NULL, "there is no key '%.*s' here",
	                    ZK_STR_ARG(m->key));
}

/* The values of one record of a table. */
static int each_member(const struct walk *w, const struct zk_node *record,
                       struct zk_error *err)
{
	ZK_NODE_EACH(m, record)
	{
		char before[400];
		struct zk_hit hit = { .row = zk_opt_find(w->hit->row->sub, m->key) };
		struct walk sub = *w;
		int n = snprintf(before, sizeof(before),
		                 "%.*s\n%.*s=", ZK_STR_ARG(record->key),
		                 ZK_STR_ARG(m->key)),
		    r;

		/* snake_case, as every key of a file */
		if (!hit.row || zk_str_find_char(m->key, '-') >= 0)
			return unknown_member(w, m, err);
		if (n < 0 || (size_t)n >= sizeof(before) ||
		    zk_str_find_char(record->key, '\n') >= 0)
			return zk_spot_fail(err, ZK_E_CONFIG_KEY,
			                    zk_spot_key(w->f, record), NULL,
			                    "the name is too long or holds a line break");
		sub.hit = &hit;
		sub.before = before;
		r = one_value(&sub, m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int each_record(const struct walk *w, const struct zk_node *map,
                       struct zk_error *err)
{
	if (map->kind != ZK_NODE_MAP)
		return wrong_kind(w, map, "a mapping", err);
	ZK_NODE_EACH(record, map)
	{
		int r = record->kind == ZK_NODE_MAP
		                ? each_member(w, record, err)
		                : wrong_kind(w, record, "a mapping", err);

		if (r < 0)
			return r;
	}
	return 0;
}

int zk_schema_texts(const struct zk_hit *hit, const struct zk_conf_file *f,
                    const struct zk_node *value, zk_text_fn fn, void *ctx,
                    struct zk_error *err)
{
	struct walk w = { .hit = hit, .f = f, .fn = fn, .ctx = ctx, .before = "" };

	if (hit->row->type == ZK_OPT_SECRET_REF)
		return secret(&w, value, err);
	if (hit->row->type == ZK_OPT_TABLE)
		return each_record(&w, value, err);
	return one_value(&w, value, err);
}

int zk_schema_bad_value(const struct zk_hit *hit, const struct zk_conf_file *f,
                        const struct zk_node *at, struct zk_error *err)
{
	struct zk_buf key;
	char note[300];

	zk_buf_init(&key, 400);
	zk_opt_conf_key(hit->row, hit->prefix, &key);
	(void)zk_wrap(err, "%s%s", zk_buf_cstring(&key), zk_schema_suffix(hit->member));
	zk_buf_done(&key);
	/* The hint is the note behind the carets. */
	(void)snprintf(note, sizeof(note), "%s", err->hint);
	err->hint[0] = '\0';
	return zk_spot_add(err, ZK_E_CONFIG_VALUE, zk_spot_value(f, at),
	                   note[0] ? note : NULL);
}

struct value_check {
	const struct zk_hit *hit;
	const struct zk_conf_file *f;
};

static int check_text(void *ctx, const struct zk_node *at, zk_str text,
                      struct zk_error *err)
{
	const struct value_check *c = ctx;

	if (zk_opt_check(c->hit->row, text, err) == 0)
		return 0;
	return zk_schema_bad_value(c->hit, c->f, at, err);
}

/* True when some text of the value is only known once it is expanded. As deep as the file is
 * nested, at most ZK_CONF_DEPTH_MAX. */
static bool is_open(const struct zk_node *v)
{
	if (v->kind == ZK_NODE_SCALAR)
		return zk_expand_is_needed(v->text);
	ZK_NODE_EACH(e, v)
	{
		if (is_open(e))
			return true;
	}
	return false;
}

int zk_schema_check_value(const struct zk_hit *hit, const struct zk_conf_file *f,
                          const struct zk_node *value, bool expand, struct zk_error *err)
{
	struct value_check c = { .hit = hit, .f = f };

	if (!expand && is_open(value))
		return 0;
	return zk_schema_texts(hit, f, value, check_text, &c, err);
}
