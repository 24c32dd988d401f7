/* The spool: a durable queue on disk for what could not be delivered yet (ux.md §8). One SQLite
 * WAL file per profile, shared by all commands and processes of the user.
 * Layer: store. A handle belongs to one thread at a time (the loop thread of a one-shot command,
 * or a lane: store/spool_lane.h); every call may block on the disk and, for up to busy_ms, on
 * other processes. Any number of handles and processes may use one file.
 *
 * A record belongs to a target "KIND:DEST": the kind names the family whose sender delivers it
 * ("triggers"), the destination is that sender's own text (never a credential). A record is there
 * from the return of zk_spool_append (on disk: synchronous=FULL) until zk_spool_ack or
 * zk_spool_drop. The end of the process at any point, kill -9 included, loses nothing; a power cut
 * may bring acknowledged records back, never lose appended ones.
 *
 * Who may send a record: a command that sends what it appends calls zk_spool_own first; its
 * records are out of the reach of others until it ends, in whatever way. Everything else is sent
 * by whoever holds the lock of the target (zk_spool_lock), such as `zk spool flush`.
 *
 * Errors, everywhere: those of store/sqlite.h. */
#ifndef ZK_STORE_SPOOL_H
#define ZK_STORE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct zk_spool;
struct zk_spool_lock;

/* What happens to records that would pass max_bytes; order as in the option --when-full. */
enum zk_spool_full {
	ZK_SPOOL_BLOCK, /* -ZK_E_SPOOL_FULL, retryable: pause the source, come again */
	ZK_SPOOL_DROP_NEWEST, /* they are not stored and marked ZK_SPOOL_DROPPED */
	ZK_SPOOL_FAIL,        /* -ZK_E_SPOOL_FULL, final */
};

struct zk_spool_conf {
	const char *dir; /* made with mode 0700 when missing (its parent must be there) */
	const char *profile;
	bool create;        /* make the file; else a missing one is -ZK_E_NO_INPUT */
	uint64_t max_bytes; /* 0 = no limit; counted as zk_spool_stat.bytes */
	enum zk_spool_full when_full;
	int64_t busy_ms; /* how long to wait for other processes; 0 = 10 s */
};

/* What a record costs beyond its body, key and meta: about what the file takes for it. */
#define ZK_SPOOL_OVERHEAD 128
#define ZK_SPOOL_BODY_MAX ((size_t)64 << 20)
#define ZK_SPOOL_META_MAX ((size_t)1 << 20)
#define ZK_SPOOL_TEXT_MAX ((size_t)4096) /* destination; key */

/* Opens the spool of a profile. */
int zk_spool_open(const struct zk_spool_conf *conf, struct zk_spool **ret,
                  struct zk_error *err) ZK_MUST_USE;
/* Gives up ownership (the records wait for a flush now) and free space of the file. NULL is
 * fine. */
void zk_spool_close(struct zk_spool *sp);
void zk_spool_closep(struct zk_spool **sp);
const char *zk_spool_path(const struct zk_spool *sp);
/* 32 hexadecimal digits made with the file: with a record's id unique in the world. */
const char *zk_spool_uid(const struct zk_spool *sp);

struct zk_spool_target {
	zk_str kind; /* [a-z0-9_-]{1,32} */
	zk_str dest; /* UTF-8, 1 to ZK_SPOOL_TEXT_MAX bytes, no control characters */
};

/* Splits "triggers:https://…" and checks both parts: -ZK_E_DATA. Borrows `text`. */
int zk_spool_target_parse(zk_str text, struct zk_spool_target *ret,
                          struct zk_error *err) ZK_MUST_USE;

/* ---- appending --------------------------------------------------------------------------- */

enum zk_spool_result {
	ZK_SPOOL_NEW, /* stored */
	ZK_SPOOL_KNOWN, /* the key was there, left over: that record is as good as new again */
	ZK_SPOOL_MINE,    /* the key was appended by this handle before */
	ZK_SPOOL_HELD,    /* the key is there and another running process is sending it */
	ZK_SPOOL_DROPPED, /* no room, ZK_SPOOL_DROP_NEWEST */
};

struct zk_spool_put {
	zk_str key;  /* idempotency key, unique within the target; empty = none */
	zk_str meta; /* a JSON value for the sender; empty = none */
	zk_str body;
	/* out */
	int64_t id; /* ascending in order of append, never used twice; 0 when dropped */
	enum zk_spool_result result;
};

/* All or nothing (but for dropped ones), in one transaction, on disk when it returns.
 * -ZK_E_SPOOL_FULL; -ZK_E_LIMIT for parts too large; -ZK_E_DATA for a bad target or meta. */
int zk_spool_append(struct zk_spool *sp, const struct zk_spool_target *target,
                    struct zk_spool_put *v, size_t n, struct zk_error *err) ZK_MUST_USE;

/* From now on this handle owns what it appends, until it is closed or its process ends. */
int zk_spool_own(struct zk_spool *sp, struct zk_error *err) ZK_MUST_USE;

/* Stores bytes once for a target (a schema by its fingerprint); gone with its last record.
 * To be called before the records that need it are appended, within the same zk_spool_begin …
 * zk_spool_commit. */
int zk_spool_attach(struct zk_spool *sp, const struct zk_spool_target *target,
                    zk_str name, zk_str bytes, struct zk_error *err) ZK_MUST_USE;
/* Appends them to `ret`; 1 = found, 0 = not. */
int zk_spool_attachment(struct zk_spool *sp, const struct zk_spool_target *target,
                        zk_str name, struct zk_buf *ret,
                        struct zk_error *err) ZK_MUST_USE;

/* ---- sending ----------------------------------------------------------------------------- */

enum zk_spool_state {
	ZK_SPOOL_WAITING, /* for a flush */
	ZK_SPOOL_SENDING, /* owned by a running process */
	ZK_SPOOL_FAILED,  /* given up: stays until it is dropped or appended again */
};
const char *zk_spool_state_name(enum zk_spool_state state);

struct zk_spool_rec {
	int64_t id, created_us;
	int64_t attempts;
	enum zk_spool_state state;
	zk_str kind, dest, key, meta, body, last_error; /* empty = none */
	void *mem;                                      /* what the slices point into */
};

struct zk_spool_batch {
	struct zk_spool_rec *v;
	size_t n;
};
void zk_spool_batch_done(struct zk_spool_batch *b);

/* The lock of a target: whoever sends records that it does not own holds it. Ends with the
 * process. -ZK_E_STORE_LOCKED (retryable) when somebody else has it, also in this process. Takes
 * over what ended processes have left. Any thread may unlock. */
int zk_spool_lock(struct zk_spool *sp, const struct zk_spool_target *target,
                  struct zk_spool_lock **ret, struct zk_error *err) ZK_MUST_USE;
void zk_spool_unlock(struct zk_spool_lock *lock); /* NULL is fine */

struct zk_spool_want {
	int64_t after;         /* only ids above */
	size_t max, max_bytes; /* records; bytes of bodies (one record at least) */
};

/* The waiting records in order of append; n = 0 at the end. Caller: holder of the lock. */
int zk_spool_next(struct zk_spool *sp, const struct zk_spool_target *target,
                  const struct zk_spool_want *want, struct zk_spool_batch *ret,
                  struct zk_error *err) ZK_MUST_USE;

/* Deletes acknowledged records; ids that are gone are fine. *ret_n (may be NULL) is how many were
 * there. */
int zk_spool_ack(struct zk_spool *sp, const int64_t *ids, size_t n, size_t *ret_n,
                 struct zk_error *err) ZK_MUST_USE;
/* Counts an attempt that did not succeed and keeps `reason` (known secrets masked, at most 500
 * bytes); `final` = no flush takes them again. */
int zk_spool_fail(struct zk_spool *sp, const int64_t *ids, size_t n, const char *reason,
                  bool final, struct zk_error *err) ZK_MUST_USE;

/* Puts the calls between them into one transaction with one flush of the disk; each call alone
 * still is all or nothing. After a failed commit nothing of it happened. */
int zk_spool_begin(struct zk_spool *sp, struct zk_error *err) ZK_MUST_USE;
int zk_spool_commit(struct zk_spool *sp, struct zk_error *err) ZK_MUST_USE;

/* ---- looking ----------------------------------------------------------------------------- */

struct zk_spool_stat {
	char *kind, *dest;
	uint64_t records,
	        bytes; /* bytes: body, key, meta and ZK_SPOOL_OVERHEAD of each */
	uint64_t waiting, sending, failed; /* sum: records */
	int64_t oldest_us;                 /* when the oldest record was appended */
	char *last_error;                  /* the latest one; NULL = none */
};

/* One row per target that has records, by kind and destination. Free with
 * zk_spool_stats_done. */
int zk_spool_stats(struct zk_spool *sp, struct zk_spool_stat **ret, size_t *ret_n,
                   struct zk_error *err) ZK_MUST_USE;
void zk_spool_stats_done(struct zk_spool_stat *v, size_t n);

/* For metrics: zk_spool_records, zk_spool_bytes, zk_spool_oldest_timestamp_seconds. */
struct zk_spool_total {
	uint64_t records, bytes;
	int64_t oldest_us; /* 0 = empty */
};
int zk_spool_total(struct zk_spool *sp, struct zk_spool_total *ret,
                   struct zk_error *err) ZK_MUST_USE;

struct zk_spool_filter {
	const char *const *targets; /* globs over "KIND:DEST", any of them */
	size_t n_targets;           /* 0 = all */
	unsigned states;            /* bits 1 << enum zk_spool_state; 0 = all */
	int64_t before_us;          /* appended before; 0 = at any time */
	const int64_t *ids;         /* NULL = all */
	size_t n_ids;
	uint64_t limit; /* 0 = none */
	bool no_body;   /* leave body empty */
};

/* Calls fn for each matching record in order of append (of ids when given); `rec` is borrowed
 * until fn returns. A negative result of fn ends the walk and is returned. No transaction is open
 * while fn runs: it may call the spool. */
typedef int (*zk_spool_fn)(void *ctx, const struct zk_spool_rec *rec,
                           struct zk_error *err);
int zk_spool_each(struct zk_spool *sp, const struct zk_spool_filter *filter,
                  zk_spool_fn fn, void *ctx, struct zk_error *err) ZK_MUST_USE;

/* Whether "KIND:DEST" fits one of the globs of the filter (or there are none). */
bool zk_spool_target_matches(const struct zk_spool_filter *filter, zk_str kind,
                             zk_str dest);

/* Deletes the matching records that no running process is sending; *ret_n = how many. */
int zk_spool_drop(struct zk_spool *sp, const struct zk_spool_filter *filter,
                  uint64_t *ret_n, struct zk_error *err) ZK_MUST_USE;

/* The matching failed records wait for a flush again; *ret_n = how many. */
int zk_spool_retry(struct zk_spool *sp, const struct zk_spool_filter *filter,
                   uint64_t *ret_n, struct zk_error *err) ZK_MUST_USE;

/* Names of the attachments of a target, each to fn. */
int zk_spool_attachments(struct zk_spool *sp, const struct zk_spool_target *target,
                         int (*fn)(void *ctx, zk_str name, zk_str bytes,
                                   struct zk_error *err),
                         void *ctx, struct zk_error *err) ZK_MUST_USE;

#endif
