/* The HTTP side of `run`: health, readiness, stats, metrics, a page; made from counters in memory.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §16, §17. */
#ifndef ZK_JETSTREAM_WEB_H
#define ZK_JETSTREAM_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/follow.h"
#include "jetstream/hydrate.h"
#include "jetstream/pipe.h"

struct zk_jet_fan;
struct zk_jet_web;
struct zk_loop;
struct zk_metrics;
struct zk_net;

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

struct zk_jet_web_conf {
	const char *const *listen;
	size_t n_listen;
	struct zk_metrics *metrics;
	bool compat; /* also the metrics of the earlier versions */
	/* Sinks without which it is not ready: "redis", or the whole name. Borrowed. */
	char *const *required;
	size_t n_required;
	struct zk_jet_fan *fan;   /* for /ws; NULL = there is no store */
	const struct zk_net *net; /* whose requests are shown; NULL = none */
	void *ctx;
	/* The configuration as a JSON array of rows; may be NULL. */
	zk_str (*config)(void *ctx);
	void (*collect)(void *ctx, struct zk_jet_view *ret);
};

int zk_jet_web_new(struct zk_loop *loop, const struct zk_jet_web_conf *conf,
                   struct zk_jet_web **ret, struct zk_error *err) ZK_MUST_USE;
/* A batch of `n` rows is stored, so long after the first of them came. */
void zk_jet_web_stored(struct zk_jet_web *w, size_t n, double seconds);
const char *zk_jet_web_address(const struct zk_jet_web *w, size_t i);
void zk_jet_web_free(struct zk_jet_web *w); /* NULL is fine */

#endif
