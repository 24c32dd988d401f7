/* What a project file may hold before it is trusted (ux.md §5).
 * Layer: conf. */
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/layers.h"
#include "conf/origin.h"

#include "base/ban.h"

struct trust {
	const struct zk_conf *c;
	const struct zk_conf_file *f;
	const struct zk_node *profile; /* NULL = defaults */
};

static int refuse(const struct trust *t, const struct zk_node *at, const char *what,
                  struct zk_error *err)
{
	(void)zk_spot_fail(
	        err, ZK_E_UNTRUSTED, zk_spot_key(t->f, at), NULL,
	        "a project file may not set '%.*s' until it is trusted: it is %s",
	        ZK_STR_ARG(at->key), what);
	return zk_err_hint(err, "read the file, then: zk config trust");
}

static bool same_origin(const struct zk_node *a, const struct zk_node *b)
{
	struct zk_origin oa, ob;
	struct zk_error ignored;

	return a->kind == ZK_NODE_SCALAR && b->kind == ZK_NODE_SCALAR &&
	       zk_origin_parse(a->text, &oa, &ignored) == 0 &&
	       zk_origin_parse(b->text, &ob, &ignored) == 0 && zk_origin_eq(&oa, &ob);
}

/* A profile that another file defines keeps the origins that file gives it. */
static bool moves_origin(const struct trust *t, const struct zk_node *value, zk_str key)
{
	bool elsewhere = false;

	for (size_t i = 0; t->profile && i < ZK_PLACE_PROJECT; i++) {
		const struct zk_node *p =
		        zk_node_get(zk_conf_profiles_of(t->c->files[i]), t->profile->key);
		const struct zk_node *v = zk_node_at(p, key);

		if (v && same_origin(v, value))
			return false;
		elsewhere |= p != NULL;
	}
	return elsewhere;
}

static int judge(void *ctx, const struct zk_hit *hit, const struct zk_node *value,
                 zk_str key, struct zk_error *err)
{
	const struct trust *t = ctx;

	if (hit->member == ZK_MEMBER_COMMAND)
		return refuse(t, value, "a command", err);
	if (hit->row->type == ZK_OPT_SECRET_REF || (hit->row->flags & ZK_OPT_SECRET))
		return refuse(t, value, "a secret", err);
	if (hit->row->flags & ZK_OPT_TRUST)
		return refuse(t, value, "a setting of this machine or of its security",
		              err);
	if ((hit->row->flags & ZK_OPT_ENDPOINT) && hit->row->type == ZK_OPT_URL &&
	    moves_origin(t, value, key))
		return refuse(t, value, "another origin for a profile of another file",
		              err);
	return 0;
}

static bool is_map(const struct zk_node *n)
{
	return n && n->kind == ZK_NODE_MAP;
}

int zk_conf_check_trust(const struct zk_conf *c, struct zk_error *err)
{
	struct trust t = { .c = c, .f = c->files[ZK_PLACE_PROJECT] };
	const struct zk_node *defaults, *profiles;
	int r = 0;

	if (!t.f || zk_conf_project_is_trusted(c))
		return 0;
	if (t.f->owner != geteuid() && t.f->owner != 0) {
		(void)zk_fail(err, ZK_E_UNTRUSTED,
		              "the project file '%s' belongs to another user",
		              t.f->shown);
		return zk_err_hint(err, "read the file, then: zk config trust");
	}
	defaults = zk_node_get(t.f->root, ZK_STR("defaults"));
	if (is_map(defaults))
		r = zk_schema_each(&c->in.schema, defaults, judge, &t, err);
	profiles = zk_conf_profiles_of(t.f);
	if (r < 0 || !is_map(profiles))
		return r;
	ZK_NODE_EACH(p, profiles)
	{
		t.profile = p;
		if (is_map(p))
			r = zk_schema_each(&c->in.schema, p, judge, &t, err);
		if (r < 0)
			return r;
	}
	return 0;
}

bool zk_conf_project_is_trusted(const struct zk_conf *c)
{
	const struct zk_conf_file *f = c->files[ZK_PLACE_PROJECT];

	return f && c->in.trusted &&
	       c->in.trusted(c->in.ctx, f->path, zk_str_n(f->text, f->n));
}
