/* Sends many events in batches: by count, bytes and time, in order, one request at a time
 * (specs/triggers.md §14.1, §5.6).
 * Layer: triggers. Loop thread only. */
#ifndef ZK_TRIGGERS_SENDER_H
#define ZK_TRIGGERS_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "triggers/client.h"

struct zk_loop;
struct zk_trig_sender;

/* One event object as text. Made by zk_trig_record_new, owned by the sender from the push to its
 * result, then by the callback. */
struct zk_trig_record {
	struct zk_list entry;
	uint64_t line, offset; /* where it came from */
	const char *source;    /* file name; borrowed */
	int64_t spool_id;      /* 0 = not in the spool */
	int64_t start_ms;      /* when it was pushed; set by the sender */
	zk_str dedup; /* its dedup_id, a JSON string inside `text`; n == 0: none */
	size_t raw_at, raw_n; /* what triggers/draft.h needs to give the line back */
	size_t n;
	char text[];
};

struct zk_trig_record *zk_trig_record_new(zk_str text);

enum zk_trig_sent {
	ZK_TRIG_SENT,      /* accepted and durable */
	ZK_TRIG_DUPLICATE, /* the server has it already */
	ZK_TRIG_REJECTED,  /* refused for a lasting reason */
	ZK_TRIG_UNSENT,    /* the server could not be reached in time: spool it */
};

struct zk_trig_answer {
	enum zk_trig_sent what;
	int status;        /* of this record; 0 = none */
	unsigned attempts; /* requests that it was part of, 0 = none */
	zk_str id;         /* event id, may be empty */
	zk_str reason;     /* JSON object of the server for a rejection, or text */
	const struct zk_error *err; /* UNSENT */
};

struct zk_trig_sender_conf {
	struct zk_trig_client *client;
	size_t batch_events; /* 1 to 500 */
	size_t batch_bytes;
	int64_t linger_ms;
	void *ctx;
	/* Once per record, in the order of the pushes; the record is the callee's then. */
	void (*on_answer)(void *ctx, struct zk_trig_record *rec,
	                  const struct zk_trig_answer *a);
	/* Before each wait for another attempt; may be NULL. */
	void (*on_retry)(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
	                 const struct zk_error *err);
	/* Enough is waiting: stop pushing (true); go on (false). */
	void (*on_pause)(void *ctx, bool pause);
	/* Nothing is waiting any more (after a push). */
	void (*on_idle)(void *ctx);
};

struct zk_trig_sender *zk_trig_sender_new(struct zk_loop *l,
                                          const struct zk_trig_sender_conf *conf);
/* Cancels; records without an answer are answered UNSENT first. */
void zk_trig_sender_free(struct zk_trig_sender *s);
void zk_trig_sender_push(struct zk_trig_sender *s, struct zk_trig_record *rec);
/* Sends what waits without lingering (end of input). */
void zk_trig_sender_flush(struct zk_trig_sender *s);
/* Everything that has no answer is UNSENT with `err`, now (the grace time is over). */
void zk_trig_sender_abort(struct zk_trig_sender *s, const struct zk_error *err);
size_t zk_trig_sender_waiting(const struct zk_trig_sender *s);

#endif
