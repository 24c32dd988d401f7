/* A batch of trace events as the body of one request, filled by count, bytes and time, with a
 * limit that adapts to the server (specs/zeal-zip.md §6.4).
 * Layer: zip. Pure; the clock is passed in; one owner. */
#ifndef ZK_ZIP_TRACE_BATCH_H
#define ZK_ZIP_TRACE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define ZK_ZIP_BATCH_EVENTS 1000
#define ZK_ZIP_BATCH_BYTES  ((size_t)4 << 20)
#define ZK_ZIP_BATCH_MOST   100000

/* One event of a batch. */
struct zk_zip_batch_event {
	size_t at, n;          /* where it stands in the body */
	uint64_t seq;          /* of the mark */
	uint64_t line, offset; /* in the input; 0 = it has none */
	int64_t spool_id;      /* 0 = not in the spool */
};

struct zk_zip_batch {
	struct zk_buf
	        body; /* {"events":[ and the events so far, each with a comma behind it */
	struct zk_zip_batch_event *v;
	size_t n, room;
	int64_t first_ms;  /* when the first event came */
	unsigned attempts; /* requests that were made for it */
};

void zk_zip_batch_init(struct zk_zip_batch *b);
void zk_zip_batch_done(struct zk_zip_batch *b);
void zk_zip_batch_clear(struct zk_zip_batch *b);
/* An event was appended to b->body from `at` on (where the body ended before). */
void zk_zip_batch_added(struct zk_zip_batch *b, const struct zk_zip_batch_event *e,
                        int64_t now_ms);
/* The bytes of one event. */
zk_str zk_zip_batch_text(const struct zk_zip_batch *b, size_t i);
/* The whole body of the request for the events [from, to): `whole` of them borrows b->body, a part
 * is copied into `scratch`. */
zk_str zk_zip_batch_body(struct zk_zip_batch *b, size_t from, size_t to,
                         struct zk_buf *scratch);

/* How large batches are: halved on 413 and timeouts, grown back on success. */
struct zk_zip_batch_size {
	size_t most, now; /* events */
	int64_t every_ms;
	unsigned good; /* in a row */
};

void zk_zip_batch_size_init(struct zk_zip_batch_size *s, size_t most, int64_t every_ms);
void zk_zip_batch_size_bad(struct zk_zip_batch_size *s, size_t sent);
void zk_zip_batch_size_good(struct zk_zip_batch_size *s);
/* Full by count or bytes; and, as the rule of time has it, old enough. */
bool zk_zip_batch_is_full(const struct zk_zip_batch *b,
                          const struct zk_zip_batch_size *s);
bool zk_zip_batch_is_due(const struct zk_zip_batch *b, const struct zk_zip_batch_size *s,
                         int64_t now_ms);

#endif
