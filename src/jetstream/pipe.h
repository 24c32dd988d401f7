/* The pipeline: source → decode → filter → duplicates → lookups, in order → store, or out.
 * Layer: jetstream. Loop thread only. specs/jetstream.md §1, §8, §11.2, §14.5, §16. */
#ifndef ZK_JETSTREAM_PIPE_H
#define ZK_JETSTREAM_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/dead.h"
#include "jetstream/filter.h"
#include "jetstream/hydrate.h"
#include "jetstream/record.h"
#include "jetstream/source.h"
#include "jetstream/store.h"

struct zk_jet_pipe;

struct zk_jet_pipe_conf {
	struct zk_loop *loop;
	struct zk_metrics *metrics;
	const struct zk_jet_filter *filter;
	struct zk_jet_hydrator *hydrator; /* NULL = no lookups */
	unsigned wanted;                  /* lookups, ZK_JET_WANT bits */
	enum zk_jet_envelope envelope;
	/* With a store: */
	struct zk_jet_store
	        *store; /* NULL = none; its on_commit is zk_jet_pipe_committed */
	struct zk_jet_dead_file
	        *dead; /* NULL = dead letters are counted and logged only */
	size_t batch;
	int64_t linger_ms, retry_max_ms;
	uint64_t min_free;       /* bytes of free space */
	bool redelivers;         /* the source may hand the same event over at any time */
	bool fixed_filter;       /* it does not change: events may be looked at ahead */
	uint64_t limit;          /* 0 = none */
	struct zk_jet_pos until; /* NONE = no end */
	void *ctx;
	/* Without a store: one record, borrowed. False = enough for now (zk_jet_pipe_room). */
	bool (*emit)(void *ctx, zk_str record);
	/* After a commit, before its items go; may be NULL. */
	void (*stored)(void *ctx, const struct zk_jet_commit *c);
	/* The limit or the end of the range was reached: the source is to be finished. */
	void (*enough)(void *ctx);
	/* Everything that came is stored (or emitted) and the source has ended; or it failed. */
	void (*ended)(void *ctx, const struct zk_error *err);
	void (*gap)(void *ctx, const struct zk_jet_gap *gap);
	void (*state)(void *ctx, enum zk_jet_state state, const char *host);
};

struct zk_jet_pipe *zk_jet_pipe_new(const struct zk_jet_pipe_conf *conf);
/* The hydrator, the store and the dead letters, which are made with hooks of the pipe; NULL = none. */
void zk_jet_pipe_use(struct zk_jet_pipe *p, struct zk_jet_hydrator *h,
                     struct zk_jet_store *s, struct zk_jet_dead_file *d);
void zk_jet_pipe_free(struct zk_jet_pipe *p);
/* The hooks to make the source with; then the source itself, borrowed. */
struct zk_jet_source_hooks zk_jet_pipe_hooks(struct zk_jet_pipe *p);
void zk_jet_pipe_attach(struct zk_jet_pipe *p, struct zk_jet_source *s);
/* Of the store. */
void zk_jet_pipe_committed(void *pipe, struct zk_jet_commit *c,
                           const struct zk_error *err);
/* The `ctx` of its configuration. */
void *zk_jet_pipe_owner(const struct zk_jet_pipe *p);
/* Of the hydrator. */
void zk_jet_pipe_ready(void *pipe);
/* Remembers an event that is stored already, before anything comes (zk_jet_recent_each). */
void zk_jet_pipe_known(void *pipe, zk_str key, uint32_t text);
/* There is room again after emit said no. */
void zk_jet_pipe_room(struct zk_jet_pipe *p);
/* Something else holds the reading back, or does not any more ("store", "disk full"). */
void zk_jet_pipe_hold(struct zk_jet_pipe *p, const char *why);
/* Begin a new store file with the next commit. */
void zk_jet_pipe_rotate(struct zk_jet_pipe *p);
/* No event is waited for beyond what it has: lookups end now (while draining). */
void zk_jet_pipe_hurry(struct zk_jet_pipe *p);

struct zk_jet_figures {
	uint64_t received, stored, filtered, duplicate, dead, bytes, wire_bytes;
	size_t waiting; /* in the window, ready, or being committed */
	uint64_t gaps;
	enum zk_jet_state state;
	char host[256];
	const char *held;          /* what holds the reading back, NULL = nothing */
	struct zk_jet_place place; /* stored */
	uint64_t file_bytes, wal_bytes;
	bool store_down;
	int64_t away_ms; /* since when no host can be used (monotonic); 0 = one can */
	double rate_1m;
	int64_t tls_until_s; /* end of the host's certificate, 0 = none */
};
/* Also brings the metrics up to date. */
void zk_jet_pipe_figures(struct zk_jet_pipe *p, struct zk_jet_figures *ret);

#endif
