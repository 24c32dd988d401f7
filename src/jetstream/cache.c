/* The cache of objects.
 * Layer: jetstream. */
#include "jetstream/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jetstream/item.h"

#include "base/ban.h"

/* What an entry costs beside its object: the map's slot and key, this struct, malloc's heads. */
#define ENTRY_COST 192
#define OWNERS     8192 /* buckets; a power of two */

struct entry {
	struct zk_list link, owner;
	struct zk_jet_obj *obj; /* NULL = absent */
	int64_t put_ms;
	bool poison;
	size_t n_id;
	char id[];
};

struct zk_jet_obj *zk_jet_obj_new(zk_str json)
{
	struct zk_jet_obj *o = zk_alloc(sizeof(*o) + json.n);

	o->refs = 1;
	o->n = json.n;
	memcpy(o->json, json.p, json.n);
	return o;
}

struct zk_jet_obj *zk_jet_obj_ref(struct zk_jet_obj *o)
{
	(void)__atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
	return o;
}

void zk_jet_obj_unref(struct zk_jet_obj *o)
{
	if (o && __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(o);
}

void zk_jet_cache_init(struct zk_jet_cache *c, const struct zk_jet_cache_conf *conf)
{
	memset(c, 0, sizeof(*c));
	c->conf = *conf;
	zk_map_init(&c->map);
	zk_list_init(&c->lru);
	if (!conf->by_owner)
		return;
	c->owners = zk_alloc_array(OWNERS, sizeof(*c->owners));
	for (size_t i = 0; i < OWNERS; i++)
		zk_list_init(&c->owners[i]);
}

static struct zk_list *owner_of(const struct zk_jet_cache *c, zk_str account)
{
	return &c->owners[zk_hash(account) & (OWNERS - 1)];
}

static size_t cost(const struct entry *e)
{
	return ENTRY_COST + 2 * e->n_id + (e->obj ? sizeof(*e->obj) + e->obj->n : 0);
}

static void drop(struct zk_jet_cache *c, struct entry *e)
{
	(void)zk_map_del(&c->map, zk_str_n(e->id, e->n_id));
	zk_list_remove(&e->link);
	zk_list_remove(&e->owner);
	c->bytes -= cost(e);
	zk_jet_obj_unref(e->obj);
	free(e);
}

void zk_jet_cache_done(struct zk_jet_cache *c)
{
	ZK_LIST_EACH (it, &c->lru)
		drop(c, ZK_LIST_ENTRY(it, struct entry, link));
	zk_map_done(&c->map);
	free(c->owners);
}

static int64_t ttl_of(const struct zk_jet_cache *c, const struct entry *e)
{
	if (e->obj)
		return c->conf.ttl_ms;
	return e->poison ? c->conf.poison_ttl_ms : c->conf.negative_ttl_ms;
}

/* Within its time, or stale and still good for one answer more. */
static enum zk_jet_hit judge(struct zk_jet_cache *c, struct entry *e, int64_t age)
{
	int64_t ttl = ttl_of(c, e);

	if (age <= ttl)
		return e->obj ? ZK_JET_HIT : e->poison ? ZK_JET_POISON : ZK_JET_NEGATIVE;
	if (!e->obj || age > 2 * ttl)
		return ZK_JET_MISS;
	return ZK_JET_STALE;
}

enum zk_jet_hit zk_jet_cache_get(struct zk_jet_cache *c, zk_str id, int64_t now_ms,
                                 struct zk_jet_obj **ret)
{
	struct entry *e = zk_map_get(&c->map, id);
	enum zk_jet_hit hit = e ? judge(c, e, now_ms - e->put_ms) : ZK_JET_MISS;

	if (hit == ZK_JET_MISS) {
		c->misses++;
		if (e)
			drop(c, e);
		return hit;
	}
	c->hits++;
	if (c->lru.prev != &e->link) {
		zk_list_remove(&e->link);
		zk_list_push(&c->lru, &e->link);
	}
	if (e->obj)
		*ret = e->obj;
	return hit;
}

static void put(struct zk_jet_cache *c, zk_str id, struct zk_jet_obj *obj, bool poison,
                int64_t now_ms)
{
	struct entry *e = zk_map_get(&c->map, id);

	if (e)
		drop(c, e);
	e = zk_alloc(sizeof(*e) + id.n);
	*e = (struct entry){
		.obj = obj, .put_ms = now_ms, .poison = poison, .n_id = id.n
	};
	memcpy(e->id, id.p, id.n);
	zk_list_init(&e->link);
	zk_list_init(&e->owner);
	zk_list_push(&c->lru, &e->link);
	if (c->owners)
		zk_list_push(owner_of(c, zk_jet_uri_authority(id)), &e->owner);
	(void)zk_map_set(&c->map, id, e);
	c->bytes += cost(e);
	while ((c->map.n > c->conf.max_entries || c->bytes > c->conf.max_bytes) &&
	       c->lru.next != &e->link) {
		drop(c, ZK_LIST_ENTRY(c->lru.next, struct entry, link));
		c->evictions++;
	}
}

void zk_jet_cache_put(struct zk_jet_cache *c, zk_str id, struct zk_jet_obj *obj,
                      int64_t now_ms)
{
	put(c, id, zk_jet_obj_ref(obj), false, now_ms);
}

void zk_jet_cache_put_absent(struct zk_jet_cache *c, zk_str id, bool poison,
                             int64_t now_ms)
{
	put(c, id, NULL, poison, now_ms);
}

void zk_jet_cache_drop(struct zk_jet_cache *c, zk_str id)
{
	struct entry *e = zk_map_get(&c->map, id);

	if (e)
		drop(c, e);
}

void zk_jet_cache_drop_owner(struct zk_jet_cache *c, zk_str did)
{
	ZK_LIST_EACH (it, owner_of(c, did)) {
		struct entry *e = ZK_LIST_ENTRY(it, struct entry, owner);

		if (zk_str_eq(zk_jet_uri_authority(zk_str_n(e->id, e->n_id)), did))
			drop(c, e);
	}
}

void zk_jet_cache_each(const struct zk_jet_cache *c, int64_t now_ms,
                       void (*fn)(void *ctx, zk_str id, const struct zk_jet_obj *obj,
                                  int64_t age_ms),
                       void *ctx)
{
	ZK_LIST_EACH (it, &c->lru) {
		const struct entry *e = ZK_LIST_ENTRY(it, struct entry, link);

		if (e->obj)
			fn(ctx, zk_str_n(e->id, e->n_id), e->obj, now_ms - e->put_ms);
	}
}
