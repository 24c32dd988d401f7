/* Endpoints and their credentials.
 * Layer: conf. */
#include "conf/rules.h"

#include <string.h>

#include "base/buf.h"
#include "conf/expand.h"
#include "conf/layers.h"
#include "conf/origin.h"

#include "base/ban.h"

static const char lost_to_profile[] = "-p wins for endpoints";
static const char lost_to_origin[] = "the URL leads elsewhere now";

void zk_conf_section(const struct zk_opt *row, const char *prefix, struct zk_buf *out)
{
	zk_opt_conf_key(row, prefix, out);
	while (out->n && out->p[out->n - 1] != '.')
		out->n--;
	if (out->n)
		out->n--;
}

struct section {
	const struct zk_conf *c;
	struct zk_buf name;
};

static bool is_in(const struct section *s, const struct zk_opt *row, const char *prefix)
{
	struct zk_buf b;
	bool same;

	if (!(row->flags & ZK_OPT_ENDPOINT))
		return false;
	zk_buf_init(&b, 300);
	zk_conf_section(row, prefix, &b);
	same = zk_str_eq(zk_buf_str(&b), zk_buf_str(&s->name));
	zk_buf_done(&b);
	return same;
}

static bool is_secret(const struct zk_opt *row)
{
	return row->type == ZK_OPT_SECRET_REF || (row->flags & ZK_OPT_SECRET);
}

/* The value of a row in one mapping; secrets by any of their forms. */
static const struct zk_node *in_layer(const struct zk_layer *y, const struct zk_opt *row,
                                      const char *prefix)
{
	const struct zk_node *found = NULL;
	struct zk_schema_keys k = { 0 };
	struct zk_buf key;

	zk_buf_init(&key, 400);
	while (zk_schema_next_key(row, prefix, &k, &key)) {
		const struct zk_node *n =
		        key.n ? zk_node_at(y->map, zk_buf_str(&key)) : NULL;

		found = n ? n : found;
	}
	zk_buf_done(&key);
	return found;
}

/* Whether a layer of a profile sets anything of the section. */
static bool profile_sets(const struct section *s)
{
	const struct zk_conf *c = s->c;

	for (size_t i = 0; i < c->in.schema.n; i++) {
		const struct zk_conf_table *t = &c->in.schema.tables[i];

		for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++) {
			if (!is_in(s, r, t->prefix))
				continue;
			for (size_t k = 0; k < c->n_layers; k++)
				if (c->layers[k].profile &&
				    in_layer(&c->layers[k], r, t->prefix))
					return true;
		}
	}
	return false;
}

/* The origin a text gives; false when it gives none (yet). */
static bool origin_of(zk_str text, struct zk_origin *ret)
{
	struct zk_error ignored;
	struct zk_buf b;
	bool ok;

	zk_buf_init(&b, ZK_CONF_FILE_MAX);
	ok = zk_expand(text, &b, &ignored) == 0 &&
	     zk_origin_parse(zk_buf_str(&b), ret, &ignored) == 0;
	zk_buf_done(&b);
	return ok;
}

/* The first layer whose credentials still belong to the origin that `row` has in the end. */
static unsigned floor_of(const struct zk_conf *c, const struct zk_opt *row,
                         const char *prefix)
{
	struct zk_origin now = { 0 }, next;
	unsigned floor = 0;

	/* A credential that stands below every URL belongs to the default one. */
	if (!row->def || !origin_of(zk_str_of(row->def), &now))
		now = (struct zk_origin){ 0 };
	for (unsigned i = 0; i < c->n_layers; i++) {
		const struct zk_node *n = in_layer(&c->layers[i], row, prefix);

		if (!n || n->kind != ZK_NODE_SCALAR)
			continue;
		/* An origin that cannot be told is another one. */
		if (!origin_of(n->text, &next))
			next = (struct zk_origin){ 0 };
		if (!zk_origin_eq(&now, &next))
			floor = i;
		now = next;
	}
	return floor;
}

static unsigned section_floor(const struct section *s)
{
	unsigned floor = 0;

	for (size_t i = 0; i < s->c->in.schema.n; i++) {
		const struct zk_conf_table *t = &s->c->in.schema.tables[i];

		for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++)
			if (r->type == ZK_OPT_URL && is_in(s, r, t->prefix))
				floor = ZK_MAX(floor, floor_of(s->c, r, t->prefix));
	}
	return floor;
}

void zk_conf_endpoint_rules(const struct zk_conf *c, const struct zk_opt *row,
                            const char *prefix, struct zk_value *v, size_t n)
{
	struct section s = { .c = c };
	bool no_env;
	unsigned floor;

	zk_buf_init(&s.name, 300);
	zk_conf_section(row, prefix, &s.name);
	no_env = c->profile_by == ZK_PROFILE_BY_OPTION && c->n_chain && profile_sets(&s);
	floor = is_secret(row) ? section_floor(&s) : 0;
	zk_buf_done(&s.name);
	for (size_t i = 0; i < n; i++) {
		if (no_env && (v[i].from == ZK_FROM_ENV || v[i].from == ZK_FROM_FOREIGN))
			v[i].lost = lost_to_profile;
		if (v[i].from == ZK_FROM_FILE && v[i].layer < floor)
			v[i].lost = lost_to_origin;
	}
}

/* Rank for "from the same source or a higher one"; layers of files among themselves are settled
 * by the floor. */
static int rank(const struct zk_value *v)
{
	switch (v->from) {
	case ZK_FROM_DEFAULT:
		return 0;
	case ZK_FROM_FILE:
		return 1;
	case ZK_FROM_FOREIGN:
	case ZK_FROM_ENV:
		return 2;
	case ZK_FROM_OPTION:
		break;
	}
	return 3;
}

static zk_str text_of(const struct zk_value *v)
{
	if (v->from != ZK_FROM_FILE)
		return zk_str_of(v->text);
	return v->node->kind == ZK_NODE_SCALAR ? v->node->text : ZK_STR_NULL;
}

/* One URL row and one credential row of the same section. */
struct pair {
	const struct zk_conf *c;
	const struct zk_opt *url, *secret;
	const char *prefix;
	struct zk_value us[ZK_VALUES_MAX];
	size_t n;
	const struct zk_value *u; /* the URL that counts */
	const struct zk_value *s; /* the credential that counts */
};

/* The URL where the credential stands: the highest one not above its source; NULL = none. */
static const struct zk_value *url_below(const struct pair *p)
{
	const struct zk_value *below = NULL;

	for (size_t i = 0; i < p->n; i++)
		if (!p->us[i].lost && rank(&p->us[i]) <= rank(p->s))
			below = &p->us[i];
	return below;
}

static int fix_of(const struct pair *p, struct zk_error *err)
{
	struct zk_buf name;

	if (p->u->from == ZK_FROM_FILE)
		return zk_err_hint(err, "read %s, then: zk config trust",
		                   p->u->file->shown);
	if (p->u->from == ZK_FROM_OPTION)
		return zk_err_hint(err, "give --%s%s beside --%s", p->secret->name,
		                   p->secret->type == ZK_OPT_SECRET_REF ? "-file" : "",
		                   p->url->name);
	zk_buf_init(&name, 200);
	zk_opt_env_name(p->secret, p->prefix, &name);
	(void)zk_err_hint(err, "set %s as well", zk_buf_cstring(&name));
	zk_buf_done(&name);
	return -(int)err->code;
}

static int refuse(const struct pair *p, const struct zk_value *below,
                  struct zk_error *err)
{
	struct zk_buf url_from, secret_from, home;
	struct zk_origin o;

	zk_buf_init(&url_from, 200);
	zk_buf_init(&secret_from, 200);
	zk_buf_init(&home, 300);
	zk_value_origin(p->u, p->url, &url_from);
	zk_value_origin(p->s, p->secret, &secret_from);
	if (below && origin_of(text_of(below), &o))
		zk_origin_format(&o, &home);
	else
		zk_buf_lit(&home, "no URL");
	(void)zk_fail(err, ZK_E_ORIGIN, "the %s belongs to %s, but %s leads elsewhere",
	              p->secret->name, zk_buf_cstring(&home), zk_buf_cstring(&url_from));
	(void)zk_err_where(err, "%s", zk_buf_cstring(&secret_from));
	(void)zk_err_why(err,
	                 "a credential is sent only to the origin it was configured for");
	zk_buf_done(&url_from);
	zk_buf_done(&secret_from);
	zk_buf_done(&home);
	return fix_of(p, err);
}

static int check_pair(struct pair *p, struct zk_error *err)
{
	const struct zk_value *below = url_below(p);
	struct zk_origin now, home;

	/* A project file that nobody trusted must not draw other credentials to itself. */
	if (p->u->from == ZK_FROM_FILE && p->u->file->place == ZK_PLACE_PROJECT &&
	    p->s->from != ZK_FROM_FILE && !zk_conf_project_is_trusted(p->c))
		return refuse(p, NULL, err);
	if (rank(p->u) <= rank(p->s) || below == p->u)
		return 0;
	if (below && origin_of(text_of(below), &home) && origin_of(text_of(p->u), &now) &&
	    zk_origin_eq(&home, &now))
		return 0;
	/* Nobody had configured a URL: the option does not change one. */
	if (p->s->from != ZK_FROM_FILE && (!below || below->from == ZK_FROM_DEFAULT))
		return 0;
	return refuse(p, below, err);
}

static int check_secret(const struct zk_conf *c, const struct zk_conf_table *t,
                        const struct zk_opt *secret, struct zk_error *err)
{
	struct zk_value ss[ZK_VALUES_MAX];
	size_t n = zk_conf_values(c, secret, t->prefix, ss);
	struct section s = { .c = c };
	int r = 0;

	zk_buf_init(&s.name, 300);
	zk_conf_section(secret, t->prefix, &s.name);
	for (const struct zk_opt *row = t->rows; row->type != ZK_OPT_NONE && r == 0;
	     row++) {
		struct pair p = {
			.c = c, .url = row, .secret = secret, .prefix = t->prefix
		};

		if (row->type != ZK_OPT_URL || !is_in(&s, row, t->prefix))
			continue;
		p.n = zk_conf_values(c, row, t->prefix, p.us);
		p.u = zk_conf_winner(p.us, p.n);
		p.s = zk_conf_winner(ss, n);
		if (p.u && p.s)
			r = check_pair(&p, err);
	}
	zk_buf_done(&s.name);
	return r;
}

int zk_conf_check_origins(const struct zk_conf *c, const struct zk_conf_table *t,
                          struct zk_error *err)
{
	for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++) {
		if (!is_secret(r) || !(r->flags & ZK_OPT_ENDPOINT))
			continue;

		int rc = check_secret(c, t, r, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}
