/* Loading the files, choosing the profile, putting the layers in order.
 * Layer: conf. */
#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/layers.h"
#include "conf/near.h"

#include "base/ban.h"

#define VERSION "1"

/* Keys of a profile that are not options. */
static const char *const profile_keys[] = { "extends", "protected", NULL };

/* A mapping whose members are all commented out. */
static bool is_nothing(const struct zk_node *n)
{
	return n->kind == ZK_NODE_SCALAR && n->plain &&
	       (n->text.n == 0 || zk_str_eq(n->text, ZK_STR("~")));
}

static int need_scalar(const struct zk_conf_file *f, const struct zk_node *n,
                       struct zk_error *err)
{
	if (n->kind == ZK_NODE_SCALAR && n->text.n)
		return 0;
	return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_key(f, n), NULL,
	                    "'%.*s' must be a single value", ZK_STR_ARG(n->key));
}

static int need_map(const struct zk_conf_file *f, const struct zk_node *n,
                    struct zk_error *err)
{
	if (n->kind == ZK_NODE_MAP || is_nothing(n))
		return 0;
	return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_value(f, n), NULL,
	                    "'%.*s' must be a mapping, not %s", ZK_STR_ARG(n->key),
	                    zk_node_kind_name(n->kind));
}

static int check_version(const struct zk_conf_file *f, struct zk_error *err)
{
	const struct zk_node *v = zk_node_get(f->root, ZK_STR("version"));
	struct zk_spot top = { .file = f, .line = 1, .col = 1, .span = 1 };
	struct zk_error ignored;
	uint64_t n = 0;

	if (!v) {
		(void)zk_spot_fail(err, ZK_E_CONFIG_VERSION, top, NULL,
		                   "the file does not say which version it is");
		return zk_err_hint(err, "begin it with the line: version: " VERSION);
	}
	if (v->kind == ZK_NODE_SCALAR && zk_str_eq(v->text, ZK_STR(VERSION)))
		return 0;
	if (v->kind == ZK_NODE_SCALAR && zk_parse_u64(v->text, &n, &ignored) == 0 &&
	    n > 1)
		return zk_spot_fail(
		        err, ZK_E_CONFIG_VERSION, zk_spot_value(f, v), NULL,
		        "the file is of version %llu, this zk knows version " VERSION,
		        (unsigned long long)n);
	return zk_spot_fail(err, ZK_E_CONFIG_VERSION, zk_spot_value(f, v), NULL,
	                    "'version' must be " VERSION);
}

static bool is_profile_name(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
			return false;
	}
	return s.n > 0 && s.n <= 64 && s.p[0] != '-' && s.p[0] != '.';
}

static int check_profile(const struct zk_conf *c, const struct zk_conf_file *f,
                         const struct zk_node *p, struct zk_error *err)
{
	const struct zk_node *extends = zk_node_get(p, ZK_STR("extends"));
	const struct zk_node *protected = zk_node_get(p, ZK_STR("protected"));
	struct zk_error ignored;
	bool v;

	if (!is_profile_name(p->key))
		return zk_spot_fail(
		        err, ZK_E_CONFIG_VALUE, zk_spot_key(f, p), NULL,
		        "a profile is named with letters, digits, '_', '-' and '.'");
	if (need_map(f, p, err) < 0)
		return -(int)err->code;
	if (p->kind != ZK_NODE_MAP)
		return 0;
	if (extends && need_scalar(f, extends, err) < 0)
		return -(int)err->code;
	if (protected && (protected->kind != ZK_NODE_SCALAR ||
	                  zk_parse_bool(protected->text, &v, &ignored) < 0))
		return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_value(f, protected),
		                    NULL, "'protected' must be true or false");
	return zk_schema_check(&c->in.schema, f, p, profile_keys, err);
}

static int check_profiles(const struct zk_conf *c, const struct zk_conf_file *f,
                          const struct zk_node *profiles, struct zk_error *err)
{
	if (need_map(f, profiles, err) < 0)
		return -(int)err->code;
	if (profiles->kind != ZK_NODE_MAP)
		return 0;
	ZK_NODE_EACH(p, profiles)
	{
		int r = check_profile(c, f, p, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int unknown_top(const struct zk_conf *c, const struct zk_conf_file *f,
                       const struct zk_node *m, struct zk_error *err)
{
	static const char *const keys[] = { "version", "default_profile", "defaults",
		                            "profiles" };
	struct zk_near near = { .want = m->key };
	char note[100] = "";
	struct zk_hit hit;

	for (size_t i = 0; i < ZK_ARRAY_LEN(keys); i++)
		zk_near_add(&near, keys[i]);
	if (near.best)
		(void)snprintf(note, sizeof(note), "did you mean '%s'?", near.best);
	else if (zk_schema_find(&c->in.schema, m->key, &hit) ||
	         zk_schema_has_below(&c->in.schema, m->key))
		(void)snprintf(note, sizeof(note),
		               "this belongs below 'defaults' or a profile");
	return zk_spot_fail(err, ZK_E_CONFIG_KEY, zk_spot_key(f, m),
	                    note[0] ? note : NULL,
	                    "there is no key '%.*s' at the top of the file",
	                    (int)ZK_MIN(m->key.n, (size_t)80), m->key.p);
}

static int check_top(const struct zk_conf *c, const struct zk_conf_file *f,
                     const struct zk_node *m, struct zk_error *err)
{
	if (zk_str_eq(m->key, ZK_STR("version")))
		return 0;
	if (zk_str_eq(m->key, ZK_STR("default_profile")))
		return need_scalar(f, m, err);
	if (zk_str_eq(m->key, ZK_STR("profiles")))
		return check_profiles(c, f, m, err);
	if (!zk_str_eq(m->key, ZK_STR("defaults")))
		return unknown_top(c, f, m, err);
	if (need_map(f, m, err) < 0)
		return -(int)err->code;
	return m->kind == ZK_NODE_MAP ? zk_schema_check(&c->in.schema, f, m, NULL, err)
	                              : 0;
}

static int check_file(const struct zk_conf *c, const struct zk_conf_file *f,
                      struct zk_error *err)
{
	int r;

	if (!f->root)
		return 0;
	r = check_version(f, err);
	if (r < 0)
		return r;
	ZK_NODE_EACH(m, f->root)
	{
		r = check_top(c, f, m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_file(struct zk_conf *c, enum zk_conf_place place, const char *path,
                     struct zk_error *err)
{
	bool must = place == ZK_PLACE_USER && c->in.user_must_exist;

	if (!path ||
	    (!must && access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)))
		return 0;
	if (zk_conf_file_open(path, place, &c->files[place], err) < 0)
		return -(int)err->code;
	return check_file(c, c->files[place], err);
}

const struct zk_node *zk_conf_profiles_of(const struct zk_conf_file *f)
{
	return f ? zk_node_get(f->root, ZK_STR("profiles")) : NULL;
}

static const struct zk_node *find_profile(const struct zk_conf *c, size_t file,
                                          zk_str name)
{
	return zk_node_get(zk_conf_profiles_of(c->files[file]), name);
}

static bool has_profile(const struct zk_conf *c, zk_str name)
{
	for (size_t i = 0; i < ZK_PLACES; i++)
		if (find_profile(c, i, name))
			return true;
	return false;
}

static void collect_names(struct zk_conf *c)
{
	for (size_t i = 0; i < ZK_PLACES; i++) {
		const struct zk_node *profiles = zk_conf_profiles_of(c->files[i]);

		if (!profiles || profiles->kind != ZK_NODE_MAP)
			continue;
		ZK_NODE_EACH(p, profiles)
		{
			bool seen = false;

			for (size_t k = 0; k < i; k++)
				seen |= find_profile(c, k, p->key) != NULL;
			if (seen)
				continue;
			c->names = zk_realloc(c->names,
			                      (c->n_names + 1) * sizeof(*c->names));
			c->names[c->n_names++] = zk_strndup(p->key.p, p->key.n);
		}
	}
}

/* Fills message and hint for a name that no file has. */
static int no_profile(const struct zk_conf *c, zk_str name, struct zk_error *err)
{
	struct zk_near near = { .want = name };

	(void)zk_fail(err, ZK_E_PROFILE, "there is no profile '%.*s'",
	              (int)ZK_MIN(name.n, (size_t)80), name.p);
	for (size_t i = 0; i < c->n_names; i++)
		zk_near_add(&near, c->names[i]);
	if (near.best)
		return zk_err_hint(err, "did you mean '%s'?", near.best);
	if (c->n_names == 0)
		return zk_err_hint(
		        err, "no file defines one; zk config path shows where zk looks");
	return zk_err_hint(err, "see: zk profile list");
}

/* What a profile extends, with the file that says so; NULL = nothing. */
static const struct zk_node *extends_of(const struct zk_conf *c, zk_str name,
                                        const struct zk_conf_file **file)
{
	for (size_t i = ZK_PLACES; i-- > 0;) {
		const struct zk_node *e =
		        zk_node_get(find_profile(c, i, name), ZK_STR("extends"));

		if (e) {
			*file = c->files[i];
			return e;
		}
	}
	return NULL;
}

static int check_extends(const struct zk_conf *c, struct zk_error *err)
{
	for (size_t i = 0; i < c->n_names; i++) {
		const struct zk_conf_file *f = NULL;
		const struct zk_node *e = extends_of(c, zk_str_of(c->names[i]), &f);

		if (!e || has_profile(c, e->text))
			continue;
		(void)no_profile(c, e->text, err);
		return zk_spot_add(err, ZK_E_PROFILE, zk_spot_value(f, e), NULL);
	}
	return 0;
}

/* The chain of the active profile: leaf first, then turned round. */
static int build_chain(struct zk_conf *c, zk_str name, struct zk_error *err)
{
	const struct zk_conf_file *f = NULL;
	const struct zk_node *e = NULL;

	for (;;) {
		for (size_t i = 0; i < c->n_chain; i++)
			if (zk_str_eq(zk_str_of(c->chain[i]), name))
				return zk_spot_fail(
				        err, ZK_E_CONFIG_VALUE, zk_spot_value(f, e), NULL,
				        "the profile '%s' extends itself", c->chain[i]);
		if (c->n_chain == ZK_PROFILE_CHAIN)
			return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_value(f, e),
			                    NULL,
			                    "more than %d profiles extend one another",
			                    ZK_PROFILE_CHAIN);
		c->chain[c->n_chain++] = zk_strndup(name.p, name.n);
		e = extends_of(c, name, &f);
		if (!e)
			break;
		name = e->text;
	}
	for (size_t i = 0; i < c->n_chain / 2; i++) {
		char *tmp = c->chain[i];

		c->chain[i] = c->chain[c->n_chain - 1 - i];
		c->chain[c->n_chain - 1 - i] = tmp;
	}
	return 0;
}

/* default_profile of the highest file that has it. */
static const struct zk_node *default_profile(const struct zk_conf *c,
                                             const struct zk_conf_file **file)
{
	for (size_t i = ZK_PLACES; i-- > 0;) {
		const struct zk_node *n = c->files[i]
		                                  ? zk_node_get(c->files[i]->root,
		                                                ZK_STR("default_profile"))
		                                  : NULL;

		if (n) {
			*file = c->files[i];
			return n;
		}
	}
	return NULL;
}

static int choose_profile(struct zk_conf *c, struct zk_error *err)
{
	const struct zk_conf_file *f = NULL;
	const struct zk_node *n = default_profile(c, &f);
	zk_str name = zk_str_of(c->in.profile);

	c->profile_by = c->in.profile_by;
	if (!name.n && n) {
		name = n->text;
		c->profile_by = ZK_PROFILE_BY_FILE;
		if (!has_profile(c, name)) {
			(void)no_profile(c, name, err);
			return zk_spot_add(err, ZK_E_PROFILE, zk_spot_value(f, n), NULL);
		}
	}
	if (!name.n && has_profile(c, ZK_STR("default"))) {
		name = ZK_STR("default");
		c->profile_by = ZK_PROFILE_BY_FILE;
	}
	if (!name.n)
		return 0;
	if (has_profile(c, name))
		return build_chain(c, name, err);
	(void)no_profile(c, name, err);
	return zk_err_where(err, "%s",
	                    c->in.profile_by == ZK_PROFILE_BY_ENV ? "$ZK_PROFILE"
	                                                          : "--profile");
}

static void add_layer(struct zk_conf *c, size_t file, const struct zk_node *map,
                      const char *profile)
{
	if (map && map->kind == ZK_NODE_MAP)
		c->layers[c->n_layers++] = (struct zk_layer){ .file = c->files[file],
			                                      .map = map,
			                                      .profile = profile };
}

static void build_layers(struct zk_conf *c)
{
	for (size_t i = 0; i < ZK_PLACES; i++)
		if (c->files[i])
			add_layer(c, i,
			          zk_node_get(c->files[i]->root, ZK_STR("defaults")),
			          NULL);
	for (size_t k = 0; k < c->n_chain; k++)
		for (size_t i = 0; i < ZK_PLACES; i++)
			add_layer(c, i, find_profile(c, i, zk_str_of(c->chain[k])),
			          c->chain[k]);
}

static void conf_cleanup(struct zk_conf **c)
{
	zk_conf_free(*c);
}

int zk_conf_load(const struct zk_conf_in *in, struct zk_conf **ret, struct zk_error *err)
{
	ZK_CLEANUP(conf_cleanup)
	struct zk_conf *c = zk_new0(struct zk_conf);
	int r;

	c->in = *in;
	r = load_file(c, ZK_PLACE_SYSTEM, in->system_path, err);
	if (r == 0)
		r = load_file(c, ZK_PLACE_USER, in->user_path, err);
	if (r == 0)
		r = load_file(c, ZK_PLACE_PROJECT, in->project_path, err);
	if (r < 0)
		return r;
	collect_names(c);
	r = check_extends(c, err);
	if (r == 0)
		r = zk_conf_check_trust(c, err);
	if (r == 0)
		r = choose_profile(c, err);
	if (r < 0)
		return r;
	build_layers(c);
	*ret = ZK_TAKE(c);
	return 0;
}

void zk_conf_free(struct zk_conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < ZK_PLACES; i++)
		zk_conf_file_free(c->files[i]);
	for (size_t i = 0; i < c->n_chain; i++)
		free(c->chain[i]);
	for (size_t i = 0; i < c->n_names; i++)
		free(c->names[i]);
	free(c->names);
	free(c->gifts);
	free(c);
}

const char *zk_conf_profile(const struct zk_conf *c)
{
	return c->n_chain ? c->chain[c->n_chain - 1] : NULL;
}

bool zk_conf_is_protected(const struct zk_conf *c)
{
	bool v = false;

	for (size_t i = 0; i < c->n_layers; i++) {
		const struct zk_node *n =
		        zk_node_get(c->layers[i].map, ZK_STR("protected"));
		struct zk_error ignored;

		/* Checked when the file was read. */
		if (n && c->layers[i].profile && zk_parse_bool(n->text, &v, &ignored) < 0)
			v = true;
	}
	return v;
}

const struct zk_conf_file *zk_conf_file_at(const struct zk_conf *c,
                                           enum zk_conf_place place)
{
	return c->files[place];
}

const char *zk_conf_profile_name(const struct zk_conf *c, size_t i)
{
	return i < c->n_names ? c->names[i] : NULL;
}

void zk_conf_profile_files(const struct zk_conf *c, const char *name,
                           void (*fn)(void *ctx, const struct zk_conf_file *f,
                                      const struct zk_node *at),
                           void *ctx)
{
	for (size_t i = 0; i < ZK_PLACES; i++) {
		const struct zk_node *p = find_profile(c, i, zk_str_of(name));

		if (p)
			fn(ctx, c->files[i], p);
	}
}

static void add_gift(struct zk_conf *c, struct zk_gift g)
{
	if (c->n_gifts == c->gifts_room) {
		c->gifts_room = c->gifts_room ? c->gifts_room * 2 : 16;
		c->gifts = zk_realloc(c->gifts, c->gifts_room * sizeof(*c->gifts));
	}
	c->gifts[c->n_gifts++] = g;
}

void zk_conf_give(struct zk_conf *c, const struct zk_opt *row, const char *text,
                  const char *shown)
{
	add_gift(c, (struct zk_gift){ .row = row, .text = text, .shown = shown });
}

void zk_conf_foreign(struct zk_conf *c, const struct zk_opt *row, const char *text,
                     const char *variable)
{
	add_gift(c, (struct zk_gift){ .row = row,
	                              .text = text,
	                              .shown = variable,
	                              .is_foreign = true });
}
