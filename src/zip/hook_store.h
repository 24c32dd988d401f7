/* The durable queue of a webhook receiver: one SQLite file with the events and what became of
 * them. Any SQLite tool reads it: table event(seq, id, type, received, payload, state, attempts,
 * error, changed).
 * Layer: zip. specs/zeal-zip.md §8.4.
 *
 * State: 'new' = accepted and not yet through, 'done', 'failed' = given up. An id comes in once,
 * as long as its row is there. Rows that are done are dropped after `keep_ms`. */
#ifndef ZK_ZIP_HOOK_STORE_H
#define ZK_ZIP_HOOK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_loop;
struct zk_zip_hook_store;

enum zk_zip_hook_state { ZK_ZIP_HOOK_NEW, ZK_ZIP_HOOK_DONE, ZK_ZIP_HOOK_FAILED };
/* "new", "done", "failed". */
const char *zk_zip_hook_state_name(enum zk_zip_hook_state s);

struct zk_zip_hook_row {
	int64_t seq; /* set by put; 0 = was there already */
	zk_str id, type, payload;
	enum zk_zip_hook_state state; /* of a row that was read */
	int64_t received_us;
	unsigned attempts;
	zk_str error;
};

/* Opens, or makes, the file; takes its lock, because two receivers on one file would both do the
 * work: -ZK_E_STORE_LOCKED. `loop` gets a lane for it. */
int zk_zip_hook_store_open(struct zk_loop *loop, const char *path, int64_t keep_ms,
                           struct zk_zip_hook_store **ret,
                           struct zk_error *err) ZK_MUST_USE;
/* Ends what waits, then closes. Blocks. NULL is fine. */
void zk_zip_hook_store_close(struct zk_zip_hook_store *s);

/* Writes the rows (borrowed until done) and calls back when they are on disk; `err` is NULL then.
 * False when too much waits: nothing was taken. */
typedef void (*zk_zip_hook_put_fn)(void *ctx, struct zk_zip_hook_row *rows, size_t n,
                                   const struct zk_error *err);
bool zk_zip_hook_store_put(struct zk_zip_hook_store *s, struct zk_zip_hook_row *rows,
                           size_t n, zk_zip_hook_put_fn done, void *ctx) ZK_MUST_USE;
/* What became of a row; `why` is copied. A failure of the store is logged: the row is then done
 * again after the next start. */
void zk_zip_hook_store_mark(struct zk_zip_hook_store *s, int64_t seq,
                            enum zk_zip_hook_state state, unsigned attempts, zk_str why);

/* ---- a one-shot's view, without lane and lock ---- */

struct zk_zip_hook_reader;

/* A file that is there; -ZK_E_NO_INPUT otherwise. */
int zk_zip_hook_reader_open(const char *path, struct zk_zip_hook_reader **ret,
                            struct zk_error *err) ZK_MUST_USE;
void zk_zip_hook_reader_close(struct zk_zip_hook_reader *r); /* NULL is fine */
/* The sequence number of the newest row, 0 = none. */
int zk_zip_hook_reader_last(struct zk_zip_hook_reader *r, int64_t *ret,
                            struct zk_error *err) ZK_MUST_USE;
/* The next row behind `after` with this state (-1 = any), received at `since_us` or later:
 * 1 and `row` (borrowed until the next call), 0 at the end. */
int zk_zip_hook_reader_next(struct zk_zip_hook_reader *r, int64_t after, int state,
                            int64_t since_us, struct zk_zip_hook_row *row,
                            struct zk_error *err) ZK_MUST_USE;
int zk_zip_hook_reader_mark(struct zk_zip_hook_reader *r, int64_t seq,
                            enum zk_zip_hook_state state, unsigned attempts, zk_str why,
                            struct zk_error *err) ZK_MUST_USE;

#endif
