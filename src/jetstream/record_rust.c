/* The envelope of the Rust version: its members, each only when not empty, and really filled.
 * Layer: jetstream. */
#include "jetstream/record_rust.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "jetstream/cache.h"
#include "jetstream/item.h"

#include "base/ban.h"

#define DIDS_MAX 1100

struct rename {
	const char *to, *path;
};

static const struct rename profile_rows[] = {
	{ "did", "did" },
	{ "handle", "handle" },
	{ "displayName", "displayName" },
	{ "description", "description" },
	{ "avatar", "avatar" },
	{ "banner", "banner" },
	{ "followersCount", "followersCount" },
	{ "followsCount", "followsCount" },
	{ "postsCount", "postsCount" },
	{ "indexed_at", "indexedAt" },
	{ "created_at", "createdAt" },
	{ "labels", "labels" },
};

static const struct rename post_rows[] = {
	{ "uri", "uri" },
	{ "cid", "cid" },
	{ "text", "record.text" },
	{ "author_did", "author.did" },
	{ "author_handle", "author.handle" },
	{ "created_at", "record.createdAt" },
	{ "reply_count", "replyCount" },
	{ "like_count", "likeCount" },
	{ "repost_count", "repostCount" },
};

/* The members of an object under other names; values as bytes. */
static void put_renamed(struct zk_jwrite *w, zk_str obj, const struct rename *rows,
                        size_t n)
{
	zk_jw_obj(w);
	for (size_t i = 0; i < n; i++) {
		struct zk_jval v;

		if (!zk_jscan_get(obj, zk_str_of(rows[i].path), &v))
			continue;
		zk_jw_key(w, rows[i].to);
		zk_jw_raw(w, v.raw);
	}
	zk_jw_obj_end(w);
}

static void put_profile(struct zk_jwrite *w, zk_str obj)
{
	put_renamed(w, obj, profile_rows, ZK_ARRAY_LEN(profile_rows));
}

/* A list member that appears with its first element. */
struct lazy {
	struct zk_jwrite *w;
	const char *key;
	bool open;
};

static void open_list(struct lazy *l)
{
	if (!l->open) {
		zk_jw_key(l->w, l->key);
		zk_jw_arr(l->w);
	}
	l->open = true;
}

static void close_list(struct lazy *l)
{
	if (l->open)
		zk_jw_arr_end(l->w);
}

struct seen {
	zk_str ids[DIDS_MAX];
	size_t n;
};

/* True the first time. */
static bool is_new(struct seen *s, zk_str id)
{
	for (size_t i = 0; i < s->n; i++)
		if (zk_str_eq(s->ids[i], id))
			return false;
	if (s->n == DIDS_MAX)
		return false;
	s->ids[s->n++] = id;
	return true;
}

static bool is_post_role(enum zk_jet_role role)
{
	return role == ZK_JET_PARENT || role == ZK_JET_ROOT || role == ZK_JET_QUOTE;
}

static void put_profiles(const struct zk_jet_item *i, struct zk_jwrite *w)
{
	struct lazy list = { .w = w, .key = "mentioned_profiles" };
	struct seen *seen = zk_alloc0(sizeof(*seen));

	for (unsigned k = 0; k < i->n_lookups; k++) {
		const struct zk_jet_lookup *l = &i->lookups[k];
		struct zk_jval v;
		zk_str obj, did;

		if (!l->obj || !(l->role == ZK_JET_MENTION || is_post_role(l->role)))
			continue;
		obj = zk_jet_obj_str(l->obj);
		if (is_post_role(l->role)) {
			if (!zk_jscan_get(obj, ZK_STR("author"), &v) ||
			    v.type != ZK_J_OBJECT)
				continue;
			obj = v.raw;
		}
		if (!zk_jscan_get(obj, ZK_STR("did"), &v) ||
		    !zk_jstr_plain(v.raw, &did) || !is_new(seen, did))
			continue;
		open_list(&list);
		put_profile(w, obj);
	}
	close_list(&list);
	free(seen);
}

static void put_posts(const struct zk_jet_item *i, struct zk_jwrite *w)
{
	static const enum zk_jet_role order[] = { ZK_JET_PARENT, ZK_JET_ROOT,
		                                  ZK_JET_QUOTE };
	struct lazy list = { .w = w, .key = "referenced_posts" };
	zk_str had[ZK_ARRAY_LEN(order)] = { { 0 } };

	for (size_t k = 0; k < ZK_ARRAY_LEN(order); k++) {
		for (unsigned j = 0; j < i->n_lookups; j++) {
			const struct zk_jet_lookup *l = &i->lookups[j];

			if (l->role != order[k] || !l->obj || zk_str_eq(l->id, had[0]) ||
			    zk_str_eq(l->id, had[1]))
				continue;
			had[k] = l->id;
			open_list(&list);
			put_renamed(w, zk_jet_obj_str(l->obj), post_rows,
			            ZK_ARRAY_LEN(post_rows));
		}
	}
	close_list(&list);
}

/* ---- facets ---- */

static void put_lower(struct zk_jwrite *w, zk_str raw)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error ignored;

	zk_buf_init(&b, 65536);
	if (zk_jstr_decode(raw, ZK_JLONE_REPLACE, &b, &ignored) < 0)
		zk_buf_clear(&b);
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 'A' && b.p[i] <= 'Z')
			b.p[i] = (char)(b.p[i] + 32);
	zk_jw_str(w, zk_buf_str(&b));
}

static void put_mention(const struct zk_jet_item *i, struct zk_jwrite *w, zk_str facet,
                        zk_str did_raw)
{
	static const struct rename names[] = { { "handle", "handle" },
		                               { "display_name", "displayName" } };
	static const struct rename bytes[] = { { "start_byte", "index.byteStart" },
		                               { "end_byte", "index.byteEnd" } };
	const struct zk_jet_lookup *found = NULL;
	struct zk_jval v;

	for (unsigned k = 0; k < i->n_lookups; k++)
		if (i->lookups[k].role == ZK_JET_MENTION &&
		    zk_jstr_eq(did_raw, i->lookups[k].id))
			found = &i->lookups[k];
	zk_jw_obj(w);
	zk_jw_key(w, "did");
	zk_jw_raw(w, did_raw);
	for (size_t k = 0; found && found->obj && k < ZK_ARRAY_LEN(names); k++) {
		if (!zk_jscan_get(zk_jet_obj_str(found->obj), zk_str_of(names[k].path),
		                  &v))
			continue;
		zk_jw_key(w, names[k].to);
		zk_jw_raw(w, v.raw);
	}
	for (size_t k = 0; k < ZK_ARRAY_LEN(bytes); k++) {
		if (!zk_jscan_get(facet, zk_str_of(bytes[k].path), &v))
			continue;
		zk_jw_key(w, bytes[k].to);
		zk_jw_raw(w, v.raw);
	}
	zk_jw_obj_end(w);
}

/* One feature of the facets that the list is made of. */
static void put_feature(const struct zk_jet_item *i, struct lazy *list, zk_str facet,
                        zk_str feature)
{
	static const struct {
		const char *key, *type, *value;
	} rows[] = {
		{ "hashtags", "app.bsky.richtext.facet#tag", "tag" },
		{ "urls", "app.bsky.richtext.facet#link", "uri" },
		{ "mentions", "app.bsky.richtext.facet#mention", "did" },
	};
	struct zk_jval type, v;

	for (size_t k = 0; k < ZK_ARRAY_LEN(rows); k++) {
		if (strcmp(list->key, rows[k].key) != 0 ||
		    !zk_jscan_get(feature, ZK_STR("$type"), &type) ||
		    !zk_jstr_eq(type.raw, zk_str_of(rows[k].type)) ||
		    !zk_jscan_get(feature, zk_str_of(rows[k].value), &v) ||
		    v.type != ZK_J_STRING)
			continue;
		if (k == 1 && !zk_str_starts(v.raw, ZK_STR("\"http")))
			continue;
		open_list(list);
		if (k == 0)
			put_lower(list->w, v.raw);
		else if (k == 1)
			zk_jw_raw(list->w, v.raw);
		else
			put_mention(i, list->w, facet, v.raw);
	}
}

static void put_facets(const struct zk_jet_item *i, struct zk_jwrite *w, const char *key)
{
	struct lazy list = { .w = w, .key = key };
	struct zk_jiter facets, features;
	struct zk_jval facet, all, feature;

	if (!i->e.facets.raw.n)
		return;
	zk_jiter_init(&facets, i->e.facets.raw);
	while (zk_jiter_element(&facets, &facet)) {
		if (facet.type != ZK_J_OBJECT ||
		    !zk_jscan_get(facet.raw, ZK_STR("features"), &all) ||
		    all.type != ZK_J_ARRAY)
			continue;
		zk_jiter_init(&features, all.raw);
		while (zk_jiter_element(&features, &feature))
			if (feature.type == ZK_J_OBJECT)
				put_feature(i, &list, facet.raw, feature.raw);
	}
	close_list(&list);
}

void zk_jet_rust_metadata(const struct zk_jet_item *i, struct zk_buf *b)
{
	struct zk_jwrite w;
	struct zk_jiter it;
	struct zk_jval v;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	for (unsigned k = 0; k < i->n_lookups; k++) {
		if (i->lookups[k].role != ZK_JET_USER || !i->lookups[k].obj)
			continue;
		zk_jw_key(&w, "author_profile");
		put_profile(&w, zk_jet_obj_str(i->lookups[k].obj));
	}
	put_profiles(i, &w);
	put_posts(i, &w);
	put_facets(i, &w, "hashtags");
	put_facets(i, &w, "urls");
	put_facets(i, &w, "mentions");
	if (i->e.langs.raw.n) {
		zk_jiter_init(&it, i->e.langs.raw);
		if (zk_jiter_element(&it, &v) && v.type == ZK_J_STRING) {
			zk_jw_key(&w, "detected_language");
			zk_jw_raw(&w, v.raw);
		}
	}
	zk_jw_obj_end(&w);
}
