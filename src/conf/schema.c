/* The keys that configuration files may hold.
 * Layer: conf. */
#include "conf/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "conf/near.h"

#include "base/ban.h"

static const char *const member_suffixes[] = {
	[ZK_MEMBER_NONE] = "",
	[ZK_MEMBER_FILE] = "_file",
	[ZK_MEMBER_ENV] = "_env",
	[ZK_MEMBER_COMMAND] = "_command",
	[ZK_MEMBER_CREDENTIAL] = "_credential",
};

const char *zk_schema_suffix(enum zk_secret_member member)
{
	return member_suffixes[member];
}

bool zk_schema_next_prefix(const struct zk_opt *row, const char *prefix, size_t *pos,
                           char out[64])
{
	size_t n = *pos;

	if (n > strlen(prefix))
		return false;
	if (row->conf || !prefix[0])
		n = strlen(prefix);
	else
		n += strcspn(prefix + n, ".");
	ZK_ASSERT(n < 64);
	memcpy(out, prefix, n);
	out[n] = '\0';
	*pos = n + 1;
	return true;
}

bool zk_schema_next_key(const struct zk_opt *row, const char *prefix,
                        struct zk_schema_keys *k, struct zk_buf *key)
{
	enum zk_secret_member last =
	        row->type == ZK_OPT_SECRET_REF ? ZK_MEMBER_CREDENTIAL : ZK_MEMBER_NONE;

	if (k->any && k->member < last)
		k->member++;
	else if (zk_schema_next_prefix(row, prefix, &k->pos, k->part))
		k->member = ZK_MEMBER_NONE;
	else
		return false;
	k->any = true;
	zk_buf_clear(key);
	zk_opt_conf_key(row, k->part, key);
	zk_buf_cstr(key, zk_schema_suffix(k->member));
	return true;
}

static bool has_key(const struct zk_opt *row)
{
	return !(row->flags & ZK_OPT_NO_CONF) &&
	       !(row->conf && strcmp(row->conf, "-") == 0);
}

/* Which member of the row's group a key names that begins with the row's key. */
static int member_of(const struct zk_opt *row, zk_str rest)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(member_suffixes); i++) {
		if (i > 0 && row->type != ZK_OPT_SECRET_REF)
			break;
		if (zk_str_eq(rest, zk_str_of(member_suffixes[i])))
			return (int)i;
	}
	return -1;
}

/* Takes the snake_case form of an option name off the front of `key`. */
static bool eat_name(zk_str *key, const char *name)
{
	size_t i = 0;

	while (name[i] && i < key->n && key->p[i] == (name[i] == '-' ? '_' : name[i]))
		i++;
	if (name[i])
		return false;
	*key = zk_str_from(*key, i);
	return true;
}

/* "zerobus.send" to "zerobus", "zerobus" to nothing. */
static zk_str parent_of(zk_str prefix)
{
	while (prefix.n && prefix.p[prefix.n - 1] != '.')
		prefix.n--;
	if (prefix.n)
		prefix.n--;
	return prefix;
}

int zk_schema_match(const struct zk_opt *row, const char *prefix, zk_str key)
{
	zk_str p = zk_str_of(prefix);

	if (!has_key(row))
		return -1;
	if (row->conf)
		return zk_str_starts(key, zk_str_of(row->conf))
		               ? member_of(row, zk_str_from(key, strlen(row->conf)))
		               : -1;
	do {
		zk_str rest = key;
		bool fits = p.n == 0 ||
		            (zk_str_starts(key, p) && key.n > p.n && key.p[p.n] == '.');

		if (fits && p.n)
			rest = zk_str_from(key, p.n + 1);
		if (fits && eat_name(&rest, row->name) && member_of(row, rest) >= 0)
			return member_of(row, rest);
		p = parent_of(p);
	} while (p.n);
	return -1;
}

bool zk_schema_find(const struct zk_schema *s, zk_str key, struct zk_hit *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct zk_conf_table *t = &s->tables[i];

		for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++) {
			int member = zk_schema_match(r, t->prefix, key);

			if (member < 0)
				continue;
			*ret = (struct zk_hit){ .row = r,
				                .prefix = t->prefix,
				                .member = (enum zk_secret_member)member };
			return true;
		}
	}
	return false;
}

/* True when `text` is "KEY.…" (or KEY itself when `same`). */
static bool is_below(zk_str text, zk_str key, bool same)
{
	if (!zk_str_starts(text, key))
		return false;
	return text.n == key.n ? same : text.p[key.n] == '.';
}

bool zk_hit_is_secret(const struct zk_hit *hit)
{
	if (hit->row->type == ZK_OPT_SECRET_REF)
		return hit->member == ZK_MEMBER_NONE;
	return hit->row->flags & ZK_OPT_SECRET;
}

bool zk_schema_has_below(const struct zk_schema *s, zk_str key)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct zk_conf_table *t = &s->tables[i];

		for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++) {
			if (!has_key(r))
				continue;
			if (r->conf ? is_below(zk_str_of(r->conf), key, false)
			            : is_below(zk_str_of(t->prefix), key, true))
				return true;
		}
	}
	return false;
}

/* Offers the component of `key` that follows `path`. */
static void offer_component(struct zk_near *near, char best[64], zk_str key, zk_str path)
{
	char name[64];
	zk_str one;

	if (path.n && !is_below(key, path, false))
		return;
	(void)zk_str_cut(path.n ? zk_str_from(key, path.n + 1) : key, '.', &one);
	if (one.n == 0 || one.n >= sizeof(name))
		return;
	memcpy(name, one.p, one.n);
	name[one.n] = '\0';
	zk_near_add(near, name);
	if (near->best == name) {
		memcpy(best, name, one.n + 1);
		near->best = best;
	}
}

/* The nearest component that could stand behind `path`; best[0] == '\0' when there is none. */
static void nearest(const struct zk_schema *s, zk_str path, zk_str want, char best[64])
{
	struct zk_near near = { .want = want };
	struct zk_buf key;

	best[0] = '\0';
	zk_buf_init(&key, 400);
	for (size_t i = 0; i < s->n; i++) {
		for (const struct zk_opt *r = s->tables[i].rows; r->type != ZK_OPT_NONE;
		     r++) {
			size_t last =
			        r->type == ZK_OPT_SECRET_REF ? ZK_MEMBER_CREDENTIAL : 0;

			for (size_t m = 0; m <= last && has_key(r); m++) {
				zk_buf_clear(&key);
				zk_opt_conf_key(r, s->tables[i].prefix, &key);
				zk_buf_cstr(&key, member_suffixes[m]);
				offer_component(&near, best, zk_buf_str(&key), path);
			}
		}
	}
	zk_buf_done(&key);
}

static int unknown_key(const struct zk_schema *s, const struct zk_conf_file *f,
                       const struct zk_node *m, zk_str path, struct zk_error *err)
{
	char best[64], note[100] = "";

	nearest(s, path, m->key, best);
	if (best[0])
		(void)snprintf(note, sizeof(note), "did you mean '%s'?", best);
	return zk_spot_fail(err, ZK_E_CONFIG_KEY, zk_spot_key(f, m),
	                    note[0] ? note : NULL, "there is no key '%.*s%s%.*s'",
	                    ZK_STR_ARG(path), path.n ? "." : "",
	                    (int)ZK_MIN(m->key.n, (size_t)80), m->key.p);
}

/* A secret is given in exactly one way. */
static int check_one_member(const struct zk_hit *hit, const struct zk_conf_file *f,
                            const struct zk_node *map, const struct zk_node *m,
                            struct zk_error *err)
{
	zk_str base = m->key;

	if (hit->row->type != ZK_OPT_SECRET_REF)
		return 0;
	base.n -= strlen(member_suffixes[hit->member]);
	ZK_NODE_EACH(other, map)
	{
		if (other == m)
			break;
		if (zk_str_starts(other->key, base) &&
		    member_of(hit->row, zk_str_from(other->key, base.n)) >= 0)
			return zk_spot_fail(
			        err, ZK_E_CONFIG_KEY, zk_spot_key(f, m), NULL,
			        "'%.*s' is given twice: also as '%.*s' in line %u",
			        ZK_STR_ARG(base), ZK_STR_ARG(other->key),
			        other->key_line);
	}
	return 0;
}

static bool is_skipped(const char *const *skip, zk_str key)
{
	for (; skip && *skip; skip++)
		if (zk_str_eq(zk_str_of(*skip), key))
			return true;
	return false;
}

struct check {
	const struct zk_schema *s;
	const struct zk_conf_file *f;
	char path[256];
};

static int check_map(struct check *c, const struct zk_node *map, size_t path_n,
                     const char *const *skip, struct zk_error *err);

static int check_member(struct check *c, const struct zk_node *map,
                        const struct zk_node *m, size_t path_n, struct zk_error *err)
{
	int n = snprintf(c->path + path_n, sizeof(c->path) - path_n, "%s%.*s",
	                 path_n ? "." : "", ZK_STR_ARG(m->key));
	zk_str parent = zk_str_n(c->path, path_n), key;
	struct zk_hit hit;

	if (n < 0 || (size_t)n >= sizeof(c->path) - path_n ||
	    zk_str_find_char(m->key, '.') >= 0)
		return unknown_key(c->s, c->f, m, parent, err);
	key = zk_str_n(c->path, path_n + (size_t)n);
	if (zk_schema_find(c->s, key, &hit)) {
		int r = check_one_member(&hit, c->f, map, m, err);

		if (zk_hit_is_secret(&hit) && m->kind == ZK_NODE_SCALAR)
			zk_redact_add(m->text);

		return r < 0 ? r : zk_schema_check_value(&hit, c->f, m, false, err);
	}
	if (!zk_schema_has_below(c->s, key))
		return unknown_key(c->s, c->f, m, parent, err);
	if (m->kind != ZK_NODE_MAP)
		return zk_spot_fail(err, ZK_E_CONFIG_VALUE, zk_spot_value(c->f, m), NULL,
		                    "'%.*s' must be a mapping, not %s", ZK_STR_ARG(key),
		                    zk_node_kind_name(m->kind));
	return check_map(c, m, key.n, NULL, err);
}

/* As deep as the file is nested, at most ZK_CONF_DEPTH_MAX. */
static int check_map(struct check *c, const struct zk_node *map, size_t path_n,
                     const char *const *skip, struct zk_error *err)
{
	ZK_NODE_EACH(m, map)
	{
		int r = is_skipped(skip, m->key) ? 0
		                                 : check_member(c, map, m, path_n, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int zk_schema_check(const struct zk_schema *s, const struct zk_conf_file *f,
                    const struct zk_node *map, const char *const *skip,
                    struct zk_error *err)
{
	struct check c = { .s = s, .f = f };

	return check_map(&c, map, 0, skip, err);
}

struct each {
	const struct zk_schema *s;
	zk_key_fn fn;
	void *ctx;
	char path[256];
};

/* As deep as the file is nested, at most ZK_CONF_DEPTH_MAX. */
static int each_member(struct each *e, const struct zk_node *map, size_t path_n,
                       struct zk_error *err)
{
	ZK_NODE_EACH(m, map)
	{
		int n = snprintf(e->path + path_n, sizeof(e->path) - path_n, "%s%.*s",
		                 path_n ? "." : "", ZK_STR_ARG(m->key));
		struct zk_hit hit;
		zk_str key;
		int r = 0;

		if (n < 0 || (size_t)n >= sizeof(e->path) - path_n)
			continue;
		key = zk_str_n(e->path, path_n + (size_t)n);
		if (zk_schema_find(e->s, key, &hit))
			r = e->fn(e->ctx, &hit, m, key, err);
		else if (m->kind == ZK_NODE_MAP)
			r = each_member(e, m, key.n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int zk_schema_each(const struct zk_schema *s, const struct zk_node *map, zk_key_fn fn,
                   void *ctx, struct zk_error *err)
{
	struct each e = { .s = s, .fn = fn, .ctx = ctx };

	return each_member(&e, map, 0, err);
}
