/* One ingest request: encoded rows that travel, and are acknowledged, together.
 * Layer: zerobus. One owner at a time; made in the reader lane, then of the loop thread. */
#ifndef ZK_ZEROBUS_REQUEST_H
#define ZK_ZEROBUS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "zerobus/rows.h"

/* Rows whose numbers follow each other in one source. */
struct zk_zb_run {
	uint64_t row, line; /* of the first; line 0 = no lines */
	uint32_t n;
};

struct zk_zb_request {
	struct zk_list link; /* of the list that holds it */
	struct zk_zb_kind *kind;
	const char *source; /* name of the input; outlives the request */
	/* The rows, each as field 1 of a batch: tag 0x0a, length, payload. */
	char *bytes;
	size_t n, room;
	uint32_t rows;
	bool single; /* goes as a single-record message */
	struct zk_zb_run *runs;
	size_t n_runs, room_runs;
	int64_t *
	        spool_ids; /* of each row, when they stand in the spool; NULL = they do not */

	int64_t offset;    /* in its stream */
	bool started;      /* bytes of it were handed to the present connection */
	unsigned attempts; /* connections that it was given to */
	int64_t queued_us, start_us; /* entered the window; first byte handed over */
};

struct zk_zb_request *zk_zb_request_new(struct zk_zb_kind *kind, const char *source);
void zk_zb_request_free(struct zk_zb_request *r); /* NULL is fine */
/* Memory for `bytes` of rows at once, when it is known how many will come. */
void zk_zb_request_reserve(struct zk_zb_request *r, size_t bytes);
/* Empties it, keeps its memory, for other rows. */
void zk_zb_request_reuse(struct zk_zb_request *r, struct zk_zb_kind *kind,
                         const char *source);
/* Appends a row; at most 64 MiB in all, which the caller has checked. */
void zk_zb_request_add(struct zk_zb_request *r, zk_str payload, uint64_t row,
                       uint64_t line);

/* Where a row came from. */
struct zk_zb_place {
	uint64_t row, line;
	int64_t spool_id; /* 0 = none */
};

/* Walks the rows: start with a zeroed cursor. False at the end. */
struct zk_zb_cursor {
	size_t at, run;
	uint32_t in_run, i;
	zk_str payload;
	struct zk_zb_place place;
};
bool zk_zb_request_next(const struct zk_zb_request *r, struct zk_zb_cursor *c);

/* Its rows as two requests, in order; it has at least two. It is freed. */
void zk_zb_request_split(struct zk_zb_request *r, struct zk_zb_request **ret_a,
                         struct zk_zb_request **ret_b);

#endif
