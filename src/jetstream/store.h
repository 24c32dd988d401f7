/* The store: one live SQLite file that gets rows and position in one transaction, sealed ones
 * beside it.
 * Layer: jetstream. Loop thread, except where said; SQLite runs in a lane of its own.
 * specs/jetstream.md §14. */
#ifndef ZK_JETSTREAM_STORE_H
#define ZK_JETSTREAM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/files.h"
#include "jetstream/item.h"
#include "jetstream/position.h"
#include "jetstream/recent.h"
#include "jetstream/record.h"
#include "rt/lane.h"

struct zk_db;
struct zk_jet_commit;
struct zk_jet_store;
struct zk_loop;

struct zk_jet_store_conf {
	const char *dir;   /* made when missing; copied, as are the others */
	const char *shard; /* "I/N" or NULL; another one in the same folder is refused */
	enum zk_jet_envelope envelope;
	int64_t rotate_ms;
	uint64_t rotate_bytes;
	bool full_durability, live_indexes, keep_plain;
	enum zk_jet_compress compress;
	void *ctx;
	/* Each of the last events that are stored, while it is opened; may be NULL. */
	zk_jet_recent_fn *known;
	/* A commit came back: `err` NULL when it is on disk. The owner frees the items. */
	void (*on_commit)(void *ctx, struct zk_jet_commit *c, const struct zk_error *err);
	/* A file was sealed (and perhaps packed). May be NULL. */
	void (*on_sealed)(void *ctx, const char *name);
	/* A file is no longer the live one. True = the owner has something to do with it first and
	 * calls zk_jet_store_seal then. May be NULL. */
	bool (*before_seal)(void *ctx, const char *name);
	/* Whether the plain form of a sealed file may go: every follower has passed it. */
	bool (*may_pack)(void *ctx, const char *name);
};

/* A position row. */
struct zk_jet_stored_place {
	char source[300]; /* "host", "file:PATH"; "" = the source keeps its own */
	struct zk_jet_place place;
	uint64_t order; /* not stored: zk_jet_mark.order of the last event */
};

struct zk_jet_gap {
	int64_t from_us, to_us;
	char host[256], reason[16];
};

/* Rows and where the source stands after them: one transaction. */
struct zk_jet_commit {
	struct zk_job job;
	struct zk_jet_commit *next;
	struct zk_jet_store *store;
	struct zk_jet_item *items; /* linked by `next` */
	size_t n;
	struct zk_jet_stored_place at;
	const struct zk_jet_gap *gap; /* to be recorded; NULL = none. Borrowed. */
	char label[256]; /* of the rows' envelope: the host or file they came from */
	bool rotate;     /* begin a new file first */
	bool retry;      /* this is another attempt: earlier failures are over */
	/* What came of it: */
	struct zk_error err;
	char file[ZK_JET_NAME_MAX], sealed[ZK_JET_NAME_MAX];
	int64_t last_id; /* of the rows in `file`; 0 = none were written there */
	size_t refused; /* rows that SQLite refuses for themselves: at the front of `bad` */
	struct zk_jet_item *bad;
	int64_t commit_us; /* how long it took */
	uint64_t file_bytes, wal_bytes;
	int wal_pages;
};

/* Opens or makes it, takes its lock, goes on with the live file when that is young enough, and
 * begins to seal what a crash left. 0, -ZK_E_STORE_LOCKED, -ZK_E_CONFIG (another shard),
 * -ZK_E_STORE… */
int zk_jet_store_open(struct zk_loop *loop, const struct zk_jet_store_conf *conf,
                      struct zk_jet_store **ret, struct zk_error *err) ZK_MUST_USE;
/* Writes what it was given and seals what was left: blocks. Nothing is called back afterwards, and
 * nothing may be given to it any more. NULL is fine. */
void zk_jet_store_settle(struct zk_jet_store *s);
/* Settles it, closes. NULL is fine. */
void zk_jet_store_close(struct zk_jet_store *s);
/* Before the first commit: the position of a source, false when there is none. */
bool zk_jet_store_place(struct zk_jet_store *s, const char *source,
                        struct zk_jet_place *ret);
/* Hands the commit over; it comes back through on_commit. Commits that were handed over after
 * one that failed fail too, until one with `retry` comes. */
void zk_jet_store_commit(struct zk_jet_store *s, struct zk_jet_commit *c);
const char *zk_jet_store_dir(const struct zk_jet_store *s);
/* Name of the live file. */
const char *zk_jet_store_live(const struct zk_jet_store *s);
/* After before_seal said true, once. */
void zk_jet_store_seal(struct zk_jet_store *s, const char *name);
/* Seals what somebody was reading, and packs sealed files that were waiting for a follower. */
void zk_jet_store_repack(struct zk_jet_store *s);
/* Removes the oldest sealed files: those older than `retention_ms` or beyond `max_bytes` that
 * `may_go` allows (loop thread, asked before). 0 = no limit. `done` says how many bytes are still
 * too many. */
struct zk_jet_retention {
	int64_t retention_ms;
	uint64_t max_bytes;
	bool (*may_go)(void *ctx, const char *name);
	void *ctx;
};
uint64_t zk_jet_store_retain(struct zk_jet_store *s, const struct zk_jet_retention *r,
                             unsigned *removed);
/* Bytes of all files, and how many are sealed; as of the last retain. */
void zk_jet_store_sizes(const struct zk_jet_store *s, uint64_t *bytes, unsigned *sealed);

/* ---- also for others who read store files ---- */

/* The columns of a `SELECT` with ZK_JET_ROW_COLUMNS into a row (borrowed until the next step),
 * without `unresolved`. */
struct zk_stmt;
#define ZK_JET_ROW_COLUMNS                                                     \
	"id, at_uri, did, time_us, message, message_metadata, created_at, "    \
	"hydration_time_ms, api_calls_count, cache_hits, cache_misses, kind, " \
	"operation, "                                                          \
	"collection, cursor, hydration"
void zk_jet_row_read(struct zk_stmt *st, struct zk_jet_row *ret);
/* Opens a store file for reading only. */
int zk_jet_file_open(const char *path, struct zk_db **ret,
                     struct zk_error *err) ZK_MUST_USE;
/* The same for one that is packed: a copy in the folder `tmp`, which takes room there until the
 * connection closes. Blocks for as long as unpacking takes. */
int zk_jet_packed_open(const char *path, const char *tmp, struct zk_db **ret,
                       struct zk_error *err) ZK_MUST_USE;
/* A file of the store `dir` in the form that is there. -ZK_E_NO_INPUT when none is. */
int zk_jet_form_open(const char *dir, const char *name, const char *tmp,
                     struct zk_db **ret, struct zk_error *err) ZK_MUST_USE;
/* Seals `dir/name`: indexes, zk_meta, one file without a log. 1 when there was nothing in it, and
 * it was removed. Any thread; blocks. */
int zk_jet_seal(const char *dir, const char *name, struct zk_error *err) ZK_MUST_USE;
/* Packs a sealed file as `how` says, and removes the plain one unless `keep`. Any thread; blocks. */
int zk_jet_pack(const char *dir, const char *name, enum zk_jet_compress how, bool keep,
                struct zk_error *err) ZK_MUST_USE;
/* Unpacks `path` (.zst, .zip, .gz) into `to`. Any thread; blocks. */
int zk_jet_unpack(const char *path, const char *to, struct zk_error *err) ZK_MUST_USE;

#endif
