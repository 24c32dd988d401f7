/* The Bluesky API: one batch of ids, one request; its rate, its breaker, its sessions.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §11.4, §11.5, §12. */
#ifndef ZK_JETSTREAM_API_H
#define ZK_JETSTREAM_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_jet_api;
struct zk_jet_sessions;
struct zk_metrics;
struct zk_net;

#define ZK_JET_BATCH 25

struct zk_jet_api_conf {
	const char *url;       /* https://public.api.bsky.app; copied */
	unsigned max_requests; /* at a time */
	double rps;
	int64_t connect_timeout_ms, timeout_ms; /* 0 = 5 s, 10 s */
	struct zk_jet_sessions *sessions;       /* NULL = no login; owned by the caller */
	void *ctx;
	/* A token, a slot, or the breaker changed what zk_jet_api_blocked says. */
	void (*on_room)(void *ctx);
};

/* What became of a batch. */
enum zk_jet_api_end {
	ZK_JET_API_OK,     /* `body` is the answer */
	ZK_JET_API_POISON, /* this batch breaks the server: ask for its halves */
	ZK_JET_API_FAILED, /* api_error, retries used up */
	ZK_JET_API_DOWN,   /* the breaker is open */
	ZK_JET_API_DENIED, /* the login is refused */
};

enum zk_jet_api_block {
	ZK_JET_API_FREE,
	ZK_JET_API_NO_SLOT,
	ZK_JET_API_NO_TOKEN, /* the budget is used up for now */
	ZK_JET_API_BREAKER,
};

typedef void (*zk_jet_api_fn)(void *ctx, enum zk_jet_api_end end, zk_str body);

struct zk_jet_api *zk_jet_api_new(struct zk_net *net, const struct zk_jet_api_conf *conf,
                                  struct zk_metrics *m);
void zk_jet_api_free(struct zk_jet_api *a); /* calls nobody back */
/* Why no request can be made now; FREE when one can. */
enum zk_jet_api_block zk_jet_api_blocked(struct zk_jet_api *a);
/* Asks for `n` ids (at most ZK_JET_BATCH): profiles, or posts. Takes a slot and a token;
 * zk_jet_api_blocked was FREE before. `fn` is called exactly once, later. Returns the number of
 * the request, from 1 on. */
uint64_t zk_jet_api_ask(struct zk_jet_api *a, bool posts, const zk_str *ids, size_t n,
                        zk_jet_api_fn fn, void *ctx);

struct zk_jet_api_figures {
	uint64_t requests, errors, limited, ids;
	const char *breaker; /* "closed" "open" "half_open" */
	unsigned running;
	double rate; /* requests a second that are allowed now */
};
void zk_jet_api_figures(const struct zk_jet_api *a, struct zk_jet_api_figures *ret);

#endif
