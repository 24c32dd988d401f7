/* The reader lane: reads inputs, one after the other, and makes requests of their rows, as many as
 * the rest has room for (specs/zerobus.md §12, §13).
 * Layer: zerobus. Loop thread only; the reading happens in a thread of its own, the writing of debug
 * files in another one behind it. */
#ifndef ZK_ZEROBUS_FEED_H
#define ZK_ZEROBUS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zerobus/rows.h"

struct zk_item;
struct zk_loop;
struct zk_zb_feed;
struct zk_zb_request;

/* A row that cannot be sent. */
struct zk_zb_bad {
	const char *source;      /* lives as long as the feed */
	struct zk_zb_kind *kind; /* borrowed */
	uint64_t row, line;
	struct zk_error err;
	zk_str values, column, base64; /* as in struct zk_zb_row */
	bool is_text;
};

/* What zk_zb_feed_check read and keeps for the feed. Zeroed = nothing. */
struct zk_zb_held {
	struct zk_item *first, **tail;
};
/* Frees what is left in it. */
void zk_zb_held_drop(struct zk_zb_held *h);

struct zk_zb_feed_conf {
	struct zk_loop *loop;
	char *const *paths; /* "-" is stdin; borrowed */
	size_t n_paths;
	/* How each input is read; source, ctx and on_raw are the feed's. */
	struct zk_zb_rows_conf rows;
	size_t batch_rows, batch_bytes, max_message;
	int64_t linger_ms;
	size_t max_bytes; /* of requests that were not released */
	/* Rows that need not be sent; any thread, must not change while the feed runs. NULL =
	 * none. */
	bool (*skip)(const void *skip_ctx, const char *source, uint64_t row);
	const void *skip_ctx;
	void *ctx;
	/* In the order of the input; the request is the callee's, who calls
	 * zk_zb_feed_release when it is gone. */
	void (*on_request)(void *ctx, struct zk_zb_request *r);
	void (*on_bad)(void *ctx, const struct zk_zb_bad *bad);
	void (*on_skipped)(void *ctx, uint64_t rows);
	/* Rows of this kind follow; borrowed. May be NULL. */
	void (*on_kind)(void *ctx, struct zk_zb_kind *kind);
	/* For files that zk_zb_feed_check has read before, so that not everything is done twice.
	 * One stamp for each path, which the check writes and the feed believes: of a file that
	 * was not changed since the rows are good. NULL = none. */
	uint64_t *stamps;
	/* The check keeps here what it read, if that is worth while and no more than max_bytes;
	 * else nothing. The feed hands it over instead of reading. NULL, or outlives the feed;
	 * the caller drops what is left. */
	struct zk_zb_held *held;
	/* For debug files; may block. A part comes before the first request of its rows; a
	 * request before it is handed over. NULL = not wanted; with any of the two they have a
	 * thread of their own, behind the reader's. */
	void (*on_part)(void *ctx, const struct zk_zb_part *part);
	void (*on_built)(void *ctx, const struct zk_zb_request *r);
	/* The same thread: what those two got has waited for flush_ms, or nothing follows. */
	void (*on_flush)(void *ctx);
	int64_t flush_ms;
	void (*on_note)(void *ctx, const char *text);
	/* Once: everything was handed over; `err` = an input could not be read further. */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

/* Opens the first input (its error is that of the call) and starts the thread. */
int zk_zb_feed_start(const struct zk_zb_feed_conf *conf, struct zk_zb_feed **ret,
                     struct zk_error *err) ZK_MUST_USE;
/* Room for other rows: the request had an outcome. Frees it or keeps it for new rows. */
void zk_zb_feed_release(struct zk_zb_feed *f, struct zk_zb_request *r);
/* Nothing is handed over but on_kind before this: rows wait until there is a token (§4.3). */
void zk_zb_feed_go(struct zk_zb_feed *f);
/* Reads nothing more; what was read is still handed over, then the end. */
void zk_zb_feed_stop(struct zk_zb_feed *f);
/* The same, but now: everything that was read was handed over when it returns, on_end was called.
 * What waits in a pipe is not read. Not from a callback. */
void zk_zb_feed_finish(struct zk_zb_feed *f);
/* Joins the threads; no callback comes any more. NULL is fine. */
void zk_zb_feed_free(struct zk_zb_feed *f);
/* The first row that was not read: its source and number. False when all were. */
bool zk_zb_feed_first_unread(const struct zk_zb_feed *f, const char **ret_source,
                             uint64_t *ret_row);
/* Bytes read of all inputs, and their size as far as it is known (0 = not). Any thread. */
void zk_zb_feed_progress(const struct zk_zb_feed *f, uint64_t *ret_read,
                         uint64_t *ret_size);

/* Reads everything without sending, in this thread: counts, and `on_bad` for each bad row (false
 * ends it). With `stamps` it is a check before sending, and the feed will tell the rest. Without,
 * for --dry-run: of `conf`, on_part, on_built and on_note are called here, in this thread. */
struct zk_zb_check {
	uint64_t bad, skipped;
	/* Not with `stamps`: then only bad rows are looked for. */
	uint64_t rows, requests, bytes;
	size_t largest; /* request */
};
int zk_zb_feed_check(const struct zk_zb_feed_conf *conf,
                     bool (*on_bad)(void *ctx, const struct zk_zb_bad *bad),
                     struct zk_zb_check *ret, struct zk_error *err) ZK_MUST_USE;

#endif
