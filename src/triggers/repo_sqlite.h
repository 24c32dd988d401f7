/* Inside of the SQLite store (specs/triggers.md §11.2, §11.3, §11.5).
 * Layer: triggers, private to repo_sqlite*.c.
 *
 * Threads. The loop thread owns struct zk_lite and hands operations to lanes: one writer, two
 * readers (0: keys, pages, claims; 1: counting and offsets, which may be slow), one that copies
 * the WAL back. Each lane owns its connection and the struct that holds it; what more than one
 * thread looks at is atomic.
 *
 * Trees. Every page that a commit touches is checksummed, copied and flushed, which costs more
 * than the insert itself; so the tables of §11.2 keep their names and columns but stand in as few
 * trees as possible, and all but one grow at a few fixed places:
 *
 *   events                rowid table, seq = commit order. Grows at its right end. No index on the
 *                         id: every look-up knows the organization and goes through
 *   event_deliveries      WITHOUT ROWID, PK (status, organization_id, event_id). One tree is the
 *                         state of the delivery, the index of the inbox per status, the way from
 *                         an id to its event (column seq) and the queue of first attempts. A
 *                         change of status moves the row. Listing all statuses merges six ranges.
 *     deliveries_by_type  (organization_id, event_type, status, event_id): covers the filter by
 *                         type together with any status; without it a page with a rare type (or
 *                         two common filters that exclude each other) reads the whole inbox.
 *     deliveries_retry    (organization_id, next_attempt_at) and deliveries_retry_time
 *                         (next_attempt_at), both partial: only rows with a planned retry. First
 *                         attempts need no plan, so an event without a webhook, and one whose
 *                         first attempt succeeds, never touch them.
 *   deduplication_cache   WITHOUT ROWID, PK (organization_id, dedup_id): the only tree that grows
 *                         in the order of foreign values. It has no index on expires_at: a sweep
 *                         in key order finds the expired rows just as surely, and deletes
 *                         neighbours together instead of one row here and one there.
 *   delivery_attempts     WITHOUT ROWID, PK (event_id, attempt); `attempt` counts on across
 *                         replays, so that history stays.
 *
 * Measured with 200-byte payloads, batches of 20 and synchronous=FULL, the tables as §11.2 reads
 * (eight trees) cost the writer 18 µs per event, these 13 µs, 11 µs with the WAL written in one
 * piece per commit (store/sqlite.h, ZK_DB_GATHER), and a fifth fewer instructions with several
 * rows per statement (repo_sqlite_ingest.c). A page of 100 takes 0.3 ms of CPU with a
 * million events, whatever the filter; only exact totals (`offset`) count rows, 0.1 µs each.
 *
 * No foreign key stands on the way of an event: event, delivery and deduplication row are written
 * and deleted by one transaction each, and `zk triggers check` looks at both directions. */
#ifndef ZK_TRIGGERS_REPO_SQLITE_H
#define ZK_TRIGGERS_REPO_SQLITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "rt/lane.h"
#include "store/sqlite.h"
#include "triggers/repo.h"

struct zk_counter;
struct zk_histogram;
struct zk_timer;

/* event_deliveries.status. Finer than what the API shows: a first attempt that is due, and an
 * acknowledged row, stand apart, so that each filter is a handful of whole ranges. */
enum zk_lite_state {
	ZK_LITE_PENDING,  /* never attempted and not to be: stays in the inbox */
	ZK_LITE_DUE,      /* first attempt due: since acceptance, or since updated_at */
	ZK_LITE_RETRYING, /* at least one failure; next_attempt_at NULL = no plan */
	ZK_LITE_FAILED,
	ZK_LITE_DELIVERED,
	ZK_LITE_ACKED,
	ZK_LITE_STATES,
};

enum zk_lite_kind {
	ZK_LITE_INGEST,
	ZK_LITE_CREATE,
	ZK_LITE_ROTATE,
	ZK_LITE_KEY_UPDATE,
	ZK_LITE_WEBHOOK,
	ZK_LITE_ACK,
	ZK_LITE_REPLAY,
	ZK_LITE_OUTCOME,
	ZK_LITE_HEAL, /* zk_trig_webhook of our own: unplan if the organization does not push */
	ZK_LITE_PROBE, /* bare zk_trig_op */
	ZK_LITE_KEEP,  /* zk_trig_op: one step of retention */
	ZK_LITE_FIND_KEY,
	ZK_LITE_FIND_ORG,
	ZK_LITE_PAGE,
	ZK_LITE_EVENT,
	ZK_LITE_CLAIM,
	ZK_LITE_COUNT,
	ZK_LITE_CHECKPOINT, /* zk_trig_op */
	ZK_LITE_KINDS,
};

#define ZK_LITE_BATCH_EVENTS    512
#define ZK_LITE_BATCH_BYTES     ((size_t)4 << 20)
#define ZK_LITE_STEP_ROWS       500   /* rows one step of a long operation changes */
#define ZK_LITE_MIN_WAL         1000  /* pages: the checkpoint lane starts */
#define ZK_LITE_CHECKPOINT_STEP 512   /* pages: fresh ones that a checkpoint is worth */
#define ZK_LITE_MAX_WAL         4096  /* pages: the writer takes part */
#define ZK_LITE_WAIT_WAL        10240 /* pages: the writer waits for the lane */
#define ZK_LITE_MAX_STMTS       16
#define ZK_LITE_ROW_TABLES      3
#define ZK_LITE_ROW_SIZES       3
#define ZK_LITE_LOOKUPS         2

/* What lanes tell the loop thread. */
struct zk_lite_shared {
	_Atomic int wal_pages;
	_Atomic int64_t db_bytes, first_seq, last_seq;
};

/* The code of an error that is known to have happened. */
static inline int zk_lite_code(const struct zk_error *err)
{
	int code = -(int)err->code;

	return code < 0 ? code : -ZK_E_BUG;
}

/* ---- statements ------------------------------------------------------------------------- */

/* Prepares sql[0..n) into st[0..n). */
int zk_lite_prepare(struct zk_db *db, const char *const *sql, size_t n,
                    struct zk_stmt **st, struct zk_error *err) ZK_MUST_USE;

static inline zk_str zk_lite_id(const zk_uuid *id)
{
	return zk_str_n((const char *)id->b, sizeof(id->b));
}

static inline void zk_lite_bind_id(struct zk_stmt *st, int i, const zk_uuid *id)
{
	zk_bind_blob(st, i, zk_lite_id(id));
}

/* Binds NULL for 0, the model's "none". */
void zk_lite_bind_time(struct zk_stmt *st, int i, int64_t us);
/* The id in a column; all zero when it is not one. */
zk_uuid zk_lite_col_id(struct zk_stmt *st, int i);
/* A copy of a text column, NULL for NULL; the caller frees. */
char *zk_lite_col_dup(struct zk_stmt *st, int i);

/* The columns of an organization in the order zk_lite_read_org wants them. */
#define ZK_LITE_ORG_COLS(t)                                                       \
	t "id," t "name," t "tier," t "rate_limit_per_minute," t "webhook_url," t \
	  "webhook_enabled," t "webhook_disabled_reason," t "webhook_ordered," t  \
	  "secret_version," t "old_secret_expires_at," t "created_at," t "updated_at"
/* Reads them from column `first` on; release with zk_trig_org_done. */
void zk_lite_read_org(struct zk_stmt *st, int first, struct zk_trig_org *org);

/* ---- schema (repo_sqlite_schema.c) ------------------------------------------------------- */

/* Opens a connection of the store. `flags` are of store/sqlite.h. */
int zk_lite_open(const char *path, unsigned flags, int cache_kib, struct zk_db **ret,
                 struct zk_error *err) ZK_MUST_USE;
/* Brings the schema up to date; *from (may be NULL) is the version found. -ZK_E_STORE_VERSION for
 * one that is newer. */
int zk_lite_migrate(struct zk_db *db, int *from, struct zk_error *err) ZK_MUST_USE;
int zk_lite_version(void);
/* Compares or stores the check value of the server secret; `accept` replaces it and clears every
 * mac. */
int zk_lite_check_secret(struct zk_db *db, const uint8_t check[32], bool accept,
                         struct zk_error *err) ZK_MUST_USE;

/* ---- walking through the inbox (repo_sqlite_walk.c) -------------------------------------- */

/* The statements of one connection; one walk at a time. */
struct zk_lite_walker {
	struct zk_stmt *st[ZK_LITE_MAX_STMTS];
};

int zk_lite_walker_init(struct zk_lite_walker *wr, struct zk_db *db,
                        struct zk_error *err) ZK_MUST_USE;

/* Which events: of one organization, by filter, type and time, in the order of ids. */
struct zk_lite_query {
	zk_uuid org;
	enum zk_trig_filter filter;
	zk_str type; /* as in zk_trig_page */
	bool ascending;
	bool has_cursor;
	zk_uuid cursor;
	int64_t since_us, until_us; /* [since, until); 0 = open */
};

struct zk_lite_walk;
/* Starts a walk; `want` is about how many hits will be taken. Inside a transaction. */
int zk_lite_walk_open(struct zk_lite_walker *wr, const struct zk_lite_query *q,
                      size_t want, struct zk_lite_walk **ret,
                      struct zk_error *err) ZK_MUST_USE;
void zk_lite_walk_close(struct zk_lite_walk *w);
void zk_lite_walk_closep(struct zk_lite_walk **w);
/* 1 = the next hit, 0 = the end, negative = failed. */
int zk_lite_walk_next(struct zk_lite_walk *w, enum zk_lite_state *state, zk_uuid *id,
                      struct zk_error *err) ZK_MUST_USE;
/* How many hits the whole query has (its cursor ignored). */
int zk_lite_walk_count(struct zk_lite_walker *wr, const struct zk_lite_query *q,
                       uint64_t *ret, struct zk_error *err) ZK_MUST_USE;

/* ---- writer lane -------------------------------------------------------------------------- */

/* Where a run of retention stands. */
struct zk_lite_keep {
	unsigned phase;
	enum zk_lite_state state; /* being thinned out */
	bool has_org;
	zk_uuid org;
	/* The sweep through deduplication_cache goes on where the last run stopped. */
	char sweep_org[16];
	char *sweep_id;
	size_t sweep_id_n;
	bool sweeping;
	uint64_t swept, swept_last_pass, sweep_budget;
	uint64_t vacuum_left;
	/* Counts of this run. */
	uint64_t events, dedups, pages;
};

struct zk_lite_writer {
	struct zk_db *db;
	/* Statements of repo_sqlite_write.c, _hot.c, _admin.c and _keep.c. */
	struct zk_stmt *tx[ZK_LITE_MAX_STMTS], *hot[ZK_LITE_MAX_STMTS];
	struct zk_stmt *admin[ZK_LITE_MAX_STMTS], *house[ZK_LITE_MAX_STMTS];
	/* Of repo_sqlite_ingest.c, and the events that gather there. */
	struct zk_stmt *rows[ZK_LITE_ROW_TABLES][ZK_LITE_ROW_SIZES];
	struct zk_stmt *lookups[ZK_LITE_LOOKUPS];
	struct zk_trig_ingest *fresh[ZK_LITE_BATCH_EVENTS];
	size_t n_fresh;
	struct zk_lite_walker walker;
	struct zk_lite_shared *shared;
	int64_t dedup_window_us;
	int64_t retain_us[ZK_LITE_STATES]; /* 0 = never */
	int wal_pages;
	uint64_t dev, ino; /* of the file that was opened */
	bool gone;         /* another file, or none, has its name now */
	struct zk_lite_keep keep;
	struct zk_histogram *batch_events, *commit_seconds;
};

/* Prepares the statements; `w->db` is open and migrated. */
int zk_lite_writer_init(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
int zk_lite_hot_init(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
int zk_lite_ingest_init(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
int zk_lite_admin_init(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
int zk_lite_keep_init(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
/* lane callback */
void zk_lite_writer_run(void *ctx, struct zk_job *batch, size_t n);

/* Events gather (no duplicate is found yet) and are written by the end: before any other operation
 * of the transaction, and before its commit. A transaction starts with none. */
void zk_lite_ingest_begin(struct zk_lite_writer *w);
int zk_lite_ingest(struct zk_lite_writer *w, struct zk_trig_ingest *first,
                   struct zk_error *err) ZK_MUST_USE;
int zk_lite_ingest_end(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;

/* Operations inside the writer's transaction. 0 (op->code may say that the operation itself found
 * nothing), or negative: the transaction has failed. */
int zk_lite_ack(struct zk_lite_writer *w, struct zk_trig_ack *op,
                struct zk_error *err) ZK_MUST_USE;
int zk_lite_outcome(struct zk_lite_writer *w, struct zk_trig_outcome *op,
                    struct zk_error *err) ZK_MUST_USE;
int zk_lite_create(struct zk_lite_writer *w, struct zk_trig_create *op,
                   struct zk_error *err) ZK_MUST_USE;
int zk_lite_rotate(struct zk_lite_writer *w, struct zk_trig_rotate *op,
                   struct zk_error *err) ZK_MUST_USE;
int zk_lite_key_update(struct zk_lite_writer *w, struct zk_trig_key_update *op,
                       struct zk_error *err) ZK_MUST_USE;
int zk_lite_webhook(struct zk_lite_writer *w, struct zk_trig_webhook *op,
                    struct zk_error *err) ZK_MUST_USE;
int zk_lite_replay(struct zk_lite_writer *w, struct zk_trig_replay *op,
                   struct zk_error *err) ZK_MUST_USE;
int zk_lite_probe(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
/* One step of retention; op->again says that there is more to do. Opens its own transaction. */
int zk_lite_keep_step(struct zk_lite_writer *w, struct zk_trig_op *op,
                      struct zk_error *err) ZK_MUST_USE;
void zk_lite_keep_done(struct zk_lite_keep *k);

int zk_lite_begin(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
int zk_lite_commit(struct zk_lite_writer *w, struct zk_error *err) ZK_MUST_USE;
void zk_lite_rollback(struct zk_lite_writer *w);

/* ---- reader lanes -------------------------------------------------------------------------- */

struct zk_lite_reader {
	struct zk_db *db;
	/* Statements of repo_sqlite_read.c and _claim.c. */
	struct zk_stmt *rd[ZK_LITE_MAX_STMTS], *due_st[ZK_LITE_MAX_STMTS];
	struct zk_lite_walker walker;
	zk_uuid rotor; /* organization that claims looked at last */
	/* The gauges of claims, counted once a second at most. */
	int64_t counted_us;
	uint64_t due;
	int64_t oldest_due_us;
};

int zk_lite_reader_init(struct zk_lite_reader *r, struct zk_error *err) ZK_MUST_USE;
int zk_lite_claim_init(struct zk_lite_reader *r, struct zk_error *err) ZK_MUST_USE;
void zk_lite_reader_run(void *ctx, struct zk_job *batch, size_t n);

int zk_lite_page(struct zk_lite_reader *r, struct zk_trig_page *p,
                 struct zk_error *err) ZK_MUST_USE;
int zk_lite_event(struct zk_lite_reader *r, struct zk_trig_event *e,
                  struct zk_error *err) ZK_MUST_USE;
int zk_lite_claim(struct zk_lite_reader *r, struct zk_trig_claim *c,
                  struct zk_error *err) ZK_MUST_USE;

/* The store itself (repo.c chooses it). `conf->db` is the path. */
int zk_lite_repo_open(struct zk_loop *loop, struct zk_metrics *metrics,
                      const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                      struct zk_error *err) ZK_MUST_USE;

#endif
