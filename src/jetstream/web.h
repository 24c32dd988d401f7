/* The HTTP side of `run`: health, readiness, stats, metrics, a page; made from counters in memory.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §16, §17. */
#ifndef ZK_JETSTREAM_WEB_H
#define ZK_JETSTREAM_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/view.h"

struct zk_jet_fan;
struct zk_jet_web;
struct zk_loop;
struct zk_metrics;
struct zk_net;

struct zk_jet_web_conf {
	const char *const *listen;
	size_t n_listen;
	/* Where the page and /status are instead, beside everything else, /healthz and /readyz; NULL =
	 * they are with the others. */
	const char *admin;
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
/* The bound addresses; NULL = none. */
const char *zk_jet_web_address(const struct zk_jet_web *w, size_t i);
const char *zk_jet_web_admin(const struct zk_jet_web *w);
void zk_jet_web_free(struct zk_jet_web *w); /* NULL is fine */

#endif
