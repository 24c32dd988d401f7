/* Objects of the API by id: least recently used go first; bounded in number and bytes; absent
 * ones are remembered too.
 * Layer: jetstream. Loop thread only, but references may be given up on any thread.
 * specs/jetstream.md §11.3. */
#ifndef ZK_JETSTREAM_CACHE_H
#define ZK_JETSTREAM_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"

/* The raw JSON of an object, shared by whoever holds a reference; constant. */
struct zk_jet_obj {
	unsigned refs; /* atomic */
	size_t n;
	char json[];
};

struct zk_jet_obj *zk_jet_obj_new(zk_str json);
struct zk_jet_obj *zk_jet_obj_ref(struct zk_jet_obj *o);
void zk_jet_obj_unref(struct zk_jet_obj *o); /* NULL is fine */
static inline zk_str zk_jet_obj_str(const struct zk_jet_obj *o)
{
	return zk_str_n(o->json, o->n);
}

enum zk_jet_hit {
	ZK_JET_MISS,
	ZK_JET_HIT,
	ZK_JET_STALE,    /* past its time: served, to be refreshed */
	ZK_JET_NEGATIVE, /* known to be absent */
	ZK_JET_POISON,   /* known to break a request */
};

struct zk_jet_cache_conf {
	size_t max_entries, max_bytes;
	int64_t ttl_ms, negative_ttl_ms, poison_ttl_ms;
	bool by_owner; /* ids are AT-URIs: zk_jet_cache_drop_owner works */
};

struct zk_jet_cache {
	struct zk_jet_cache_conf conf;
	struct zk_map map;      /* id → struct entry */
	struct zk_list lru;     /* oldest first */
	struct zk_list *owners; /* entries by a hash of their account */
	size_t bytes;
	uint64_t hits, misses, evictions;
};

void zk_jet_cache_init(struct zk_jet_cache *c, const struct zk_jet_cache_conf *conf);
void zk_jet_cache_done(struct zk_jet_cache *c);
/* HIT and STALE set *ret, borrowed until the next call (take a reference). */
enum zk_jet_hit zk_jet_cache_get(struct zk_jet_cache *c, zk_str id, int64_t now_ms,
                                 struct zk_jet_obj **ret);
/* Takes a reference of its own. */
void zk_jet_cache_put(struct zk_jet_cache *c, zk_str id, struct zk_jet_obj *obj,
                      int64_t now_ms);
/* Remembers that there is none, or that it breaks requests. */
void zk_jet_cache_put_absent(struct zk_jet_cache *c, zk_str id, bool poison,
                             int64_t now_ms);
void zk_jet_cache_drop(struct zk_jet_cache *c, zk_str id);
/* Drops the entries of an account (its posts). */
void zk_jet_cache_drop_owner(struct zk_jet_cache *c, zk_str did);
static inline size_t zk_jet_cache_entries(const struct zk_jet_cache *c)
{
	return c->map.n;
}
/* Walks from the least recently used: fn(ctx, id, object, age in ms). */
void zk_jet_cache_each(const struct zk_jet_cache *c, int64_t now_ms,
                       void (*fn)(void *ctx, zk_str id, const struct zk_jet_obj *obj,
                                  int64_t age_ms),
                       void *ctx);

#endif
