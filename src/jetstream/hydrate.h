/* Hydration: lookups of items from the caches, the rest by batches of the API, each id asked for
 * once however many wait for it.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §11. */
#ifndef ZK_JETSTREAM_HYDRATE_H
#define ZK_JETSTREAM_HYDRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/api.h"
#include "jetstream/cache.h"
#include "jetstream/item.h"

struct zk_jet_hydrator;
struct zk_jet_filter;

struct zk_jet_hydrator_conf {
	struct zk_jet_api_conf api; /* ctx and on_room are ours */
	bool cached_only;           /* never calls the API */
	int64_t linger_ms;          /* from the first id of a batch to its request */
	int64_t deadline_ms;        /* longest time of one item; below 0 = none */
	struct zk_jet_cache_conf users, posts;
	const struct zk_jet_filter *filter; /* excluded accounts; may be NULL */
	void *ctx;
	/* An item that waited is complete. At the end of the turn, once for many. */
	void (*on_ready)(void *ctx);
};

struct zk_jet_hydrator *zk_jet_hydrator_new(struct zk_net *net,
                                            const struct zk_jet_hydrator_conf *conf,
                                            struct zk_metrics *m);
void zk_jet_hydrator_free(struct zk_jet_hydrator *h);
/* Begins the lookups; `waiting` of the item falls to 0 when all have an end. */
void zk_jet_hydrate(struct zk_jet_hydrator *h, struct zk_jet_item *i);
/* The deadline of the item has passed: what still waits stays unresolved. */
void zk_jet_hydrate_expire(struct zk_jet_hydrator *h, struct zk_jet_item *i);
/* Sets what the item says about its hydration; when it leaves the window. */
void zk_jet_hydrate_close(struct zk_jet_hydrator *h, struct zk_jet_item *i);
/* What the stream itself says about cached objects (§11.3); for every event seen. */
void zk_jet_hydrate_observe(struct zk_jet_hydrator *h, const struct zk_jet_event *e);
/* Puts an object that is known from elsewhere (the saved cache); `age_ms` old. */
void zk_jet_hydrate_warm(struct zk_jet_hydrator *h, bool post, zk_str id, zk_str json,
                         int64_t age_ms);

struct zk_jet_hydrator_figures {
	struct zk_jet_api_figures api;
	uint64_t user_hits, user_misses, post_hits, post_misses, evictions;
	size_t users, posts, users_max, posts_max, users_bytes, posts_bytes;
	uint64_t by_hydration[3]; /* enum zk_jet_hydration */
	size_t waiting;           /* ids that were not answered yet */
	int64_t short_ms; /* when an item last left without something, for a passing reason */
};
void zk_jet_hydrator_figures(const struct zk_jet_hydrator *h,
                             struct zk_jet_hydrator_figures *ret);
struct zk_jet_cache *zk_jet_hydrator_cache(struct zk_jet_hydrator *h, bool posts);

#endif
