/* Sends trace events into one session, batch after batch, each event once as far as the protocol
 * allows: what is ambiguous is read back, what the server will not take is set aside
 * (specs/zeal-zip.md §6.3, §6.4, §6.6).
 * Layer: zip. Loop thread only.
 *
 *	struct zk_buf *b = zk_zip_push_room(p);
 *	size_t at = b->n;
 *	zk_zip_event_take(…, b, …);
 *	zk_zip_push_added(p, &(struct zk_zip_batch_event){ .at = at, .seq = seq, … });
 */
#ifndef ZK_ZIP_TRACE_PUSH_H
#define ZK_ZIP_TRACE_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zip/api.h"
#include "zip/trace_batch.h"

struct zk_loop;
struct zk_zip_push;

/* What is done when it cannot be known whether a batch was stored; order of --on-ambiguous. */
enum zk_zip_ambiguous { ZK_ZIP_RESEND, ZK_ZIP_SKIP, ZK_ZIP_STOP };

enum zk_zip_push_what {
	ZK_ZIP_EV_STORED, /* acknowledged */
	ZK_ZIP_EV_KNOWN, /* found in the session: stored by an attempt whose answer was lost */
	ZK_ZIP_EV_SKIPPED,  /* perhaps stored, not sent again (--on-ambiguous skip) */
	ZK_ZIP_EV_REFUSED,  /* the server will never take it: `err` says why */
	ZK_ZIP_EV_UNSENT,   /* could not be sent: `err` says why */
	ZK_ZIP_EV_IN_DOUBT, /* perhaps stored (--on-ambiguous stop) */
};

struct zk_zip_push_conf {
	struct zk_zip *zip;
	const char *session;
	const char *mark; /* that the events carry */
	size_t batch;     /* events; 0 = ZK_ZIP_BATCH_EVENTS */
	int64_t every_ms;
	int64_t timeout_ms; /* of a request, and 1 s on top for every 10,000 events; 0 = none */
	enum zk_zip_ambiguous ambiguous;
	struct zk_retry_conf retry; /* of reading back and sending again */
	/* Some of the events were given to a server before: look first which ones it has. */
	bool look_first;
	void *ctx;
	/* What became of the events [from, to) of `b`; borrowed. */
	void (*on_events)(void *ctx, const struct zk_zip_batch *b, size_t from, size_t to,
	                  enum zk_zip_push_what what, const struct zk_error *err);
	/* True: give it nothing more until false. */
	void (*on_pause)(void *ctx, bool pause);
	/* Nothing waits and nothing is under way. */
	void (*on_idle)(void *ctx);
	/* A wait before a batch is read back or sent again; may be NULL. */
	void (*on_wait)(void *ctx, unsigned attempt, unsigned max, int64_t wait_ms,
	                const struct zk_error *err);
};

/* Texts are copied. */
struct zk_zip_push *zk_zip_push_new(struct zk_loop *loop,
                                    const struct zk_zip_push_conf *conf);
/* NULL is fine. What is left ends as UNSENT first. */
void zk_zip_push_free(struct zk_zip_push *p);

/* Where the next event is to be appended. */
struct zk_buf *zk_zip_push_room(struct zk_zip_push *p);
void zk_zip_push_added(struct zk_zip_push *p, const struct zk_zip_batch_event *e);
/* From now on nothing waits for a batch to fill. */
void zk_zip_push_flush(struct zk_zip_push *p);
/* Gives up: everything ends as UNSENT with `err`, at once. */
void zk_zip_push_abort(struct zk_zip_push *p, const struct zk_error *err);
size_t zk_zip_push_waiting(const struct zk_zip_push *p);

struct zk_zip_push_stats {
	uint64_t batches, looks; /* requests that were acknowledged; read-backs */
	uint64_t resent;         /* events sent again */
};
const struct zk_zip_push_stats *zk_zip_push_stats(const struct zk_zip_push *p);

#endif
