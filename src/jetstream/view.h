/* What a run looks like at one moment, and its JSON: the state of health, the members of /health and
 * /stats.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §16, §17. */
#ifndef ZK_JETSTREAM_VIEW_H
#define ZK_JETSTREAM_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jetstream/follow.h"
#include "jetstream/hydrate.h"
#include "jetstream/pipe.h"

struct zk_jet_memory;
struct zk_jwrite;

#define ZK_JET_FOLLOWERS_MAX 8

/* Everything that the answers are made of. */
struct zk_jet_view {
	struct zk_jet_figures pipe;
	struct zk_jet_hydrator_figures hydrator;
	bool has_store, from_host;
	bool login;      /* one is configured */
	size_t sessions; /* that work */
	bool redis, redis_up;
	const char *redis_stream;
	uint64_t redis_maxlen, store_bytes;
	unsigned sealed;
	struct zk_jet_follower_view followers[ZK_JET_FOLLOWERS_MAX];
	size_t n_followers;
};

/* No host can be used. */
bool zk_jet_view_is_away(const struct zk_jet_view *v);
/* Nothing can be stored. */
bool zk_jet_view_is_stopped(const struct zk_jet_view *v);
bool zk_jet_view_has_sqlite(const struct zk_jet_view *v);
/* "healthy", "degraded" or "unhealthy". */
const char *zk_jet_view_status(const struct zk_jet_view *v);
/* Seconds between now and the last event that was stored; false when there was none. */
bool zk_jet_view_lag(const struct zk_jet_view *v, double *ret_s);

/* "lag_seconds", null when it is not known. */
void zk_jet_view_put_lag(const struct zk_jet_view *v, struct zk_jwrite *j);
/* "followers": name, state, place, lag and error of each. */
void zk_jet_view_put_followers(const struct zk_jet_view *v, struct zk_jwrite *j);
/* The members of "data" in /health and in /stats. */
void zk_jet_view_put_health(const struct zk_jet_view *v, const struct zk_jet_memory *m,
                            struct zk_jwrite *j);
void zk_jet_view_put_stats(const struct zk_jet_view *v, struct zk_jwrite *j);

#endif
