/* Inside of the PostgreSQL store (specs/triggers.md §11.2, §11.4, §11.5).
 * Layer: triggers, private to repo_pg*.c. Loop thread; connections are asynchronous.
 *
 * Connections. `writer` takes events: one statement per batch, the next batch grows while it
 * runs, so a crowd commits together. `ops` takes outcomes and acknowledgements, gathered alike,
 * and single-row changes; `house` claims, retention and whatever goes in steps; `listener` hears
 * of other servers; readers share the rest, the least busy one first.
 *
 * Several servers. Rows that are due are leased: locked_by names a server process, locked_until
 * is the database's clock, so servers whose clocks differ agree. Times that a server writes into
 * next_attempt_at, and compares with it, are shifted by the difference of the clocks when that is
 * large enough to matter. Every change of an organization is told on channel zk_triggers_org.
 *
 * No foreign key stands on the way of an event: event, delivery and deduplication row are written
 * and deleted by one statement each. */
#ifndef ZK_TRIGGERS_REPO_PG_H
#define ZK_TRIGGERS_REPO_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "store/pg.h"
#include "triggers/news.h"
#include "triggers/repo.h"

struct zk_counter;
struct zk_histogram;
struct zk_timer;

#define ZK_PGR_STEP_ROWS    500 /* rows one step of a long operation changes */
#define ZK_PGR_MAX_READERS  32
#define ZK_PGR_BATCH_EVENTS 1000
#define ZK_PGR_BATCH_BYTES  ((size_t)4 << 20)
#define ZK_PGR_GIVE_BACK    128
#define ZK_PGR_CHANNEL      "zk_triggers_org"

enum zk_pgr_stmt {
	ZK_PGR_INGEST,
	ZK_PGR_FIRST,
	ZK_PGR_OUTCOME,
	ZK_PGR_ATTEMPT,
	ZK_PGR_ACK,
	ZK_PGR_RELEASE,
	ZK_PGR_CREATE,
	ZK_PGR_ROTATE,
	ZK_PGR_NOTIFY,
	ZK_PGR_KEY_SET,
	ZK_PGR_KEY,
	ZK_PGR_ORG,
	ZK_PGR_ORG_SET,
	ZK_PGR_PLAN,
	ZK_PGR_UNPLAN,
	ZK_PGR_REPLAY_ONE,
	ZK_PGR_COUNT_PENDING,
	ZK_PGR_EVENT,
	ZK_PGR_ATTEMPTS,
	ZK_PGR_PROBE,
	ZK_PGR_CLAIM,
	ZK_PGR_SURVEY,
	ZK_PGR_DUE_COUNT,
	ZK_PGR_KEEP_LOCK,
	ZK_PGR_KEEP_EVENTS,
	ZK_PGR_KEEP_DEDUP,
	/* Walking through an inbox: how statuses are chosen, then the direction. */
	ZK_PGR_PAGE_ANY_DESC,
	ZK_PGR_PAGE_ANY_ASC,
	ZK_PGR_PAGE_ONE_DESC,
	ZK_PGR_PAGE_ONE_ASC,
	ZK_PGR_PAGE_OPEN_DESC,
	ZK_PGR_PAGE_OPEN_ASC,
	ZK_PGR_TOTAL_ANY,
	ZK_PGR_TOTAL_ONE,
	ZK_PGR_TOTAL_OPEN,
	ZK_PGR_REPLAY_ANY,
	ZK_PGR_REPLAY_ONLY,
	ZK_PGR_REPLAY_OPEN,
	ZK_PGR_STMTS,
};

extern const char *const zk_pgr_sql[ZK_PGR_STMTS];

enum zk_pgr_role {
	ZK_PGR_WRITER,
	ZK_PGR_OPS,
	ZK_PGR_HOUSE,
	ZK_PGR_LISTENER,
	ZK_PGR_READER,
	ZK_PGR_ROLES
};

enum zk_pgr_kind {
	ZK_PGR_K_INGEST,
	ZK_PGR_K_CREATE,
	ZK_PGR_K_ROTATE,
	ZK_PGR_K_KEY_UPDATE,
	ZK_PGR_K_WEBHOOK,
	ZK_PGR_K_ACK,
	ZK_PGR_K_REPLAY,
	ZK_PGR_K_OUTCOME,
	ZK_PGR_K_FIND_KEY,
	ZK_PGR_K_FIND_ORG,
	ZK_PGR_K_PAGE,
	ZK_PGR_K_EVENT,
	ZK_PGR_K_CLAIM,
	ZK_PGR_K_COUNT,
	ZK_PGR_KINDS,
};

/* Operations in the order of their coming. */
struct zk_pgr_queue {
	struct zk_trig_op *first, *last;
	size_t n;
};

struct zk_pgr_batch;

struct zk_pgr {
	struct zk_trig_repo base;
	struct zk_loop *loop;
	char *url, *setup[ZK_PGR_ROLES];
	struct zk_pg_conf conf[ZK_PGR_ROLES];
	struct zk_pg_dialer *dialer;
	struct zk_pg *conn[ZK_PGR_READER]; /* by role */
	struct zk_pg *readers[ZK_PGR_MAX_READERS];
	size_t n_readers;
	char me[ZK_UUID_TEXT + 1]; /* locked_by of this process */
	int64_t dedup_window_us, lease_us;
	int64_t retain_us[3];       /* delivered, failed, pending; 0 = never */
	int64_t skew_us;            /* database's clock minus ours; 0 when it is small */
	struct zk_pg_params params; /* of the statement that is being put together */
	struct zk_trig_news news;
	struct zk_trig_health health;
	bool closing;
	struct zk_timer *probe_timer, *keep_timer;
	bool probing;
	/* Events. */
	struct zk_pgr_queue ingest;
	bool pumping_ingest;
	struct zk_list batches; /* to be sent (again) before what waits */
	unsigned writing;       /* batches on their way */
	uint64_t max_bytes;
	/* Outcomes and acknowledgements. */
	struct zk_pgr_queue outcomes, acks;
	bool pumping_ops;
	unsigned settling; /* batches on their way */
	/* Claims: what this process has leased. */
	struct zk_map leases; /* by event id */
	zk_uuid given_back[ZK_PGR_GIVE_BACK];
	size_t n_given_back;
	zk_uuid rotor;
	int64_t counted_us;
	uint64_t due;
	int64_t oldest_due_us;
	bool healing;
	/* Retention. */
	struct {
		bool running;
		unsigned phase;
		zk_uuid org;
		uint64_t events, dedups;
	} keep;
	uint64_t reads; /* waiting */
	struct zk_counter *ops[ZK_PGR_KINDS];
	struct zk_histogram *latency, *batch_events, *commit_seconds;
};

static inline struct zk_pgr *zk_pgr_of(struct zk_trig_repo *r)
{
	return ZK_CONTAINER_OF(r, struct zk_pgr, base);
}

/* ---- repo_pg.c ----------------------------------------------------------------------------- */

/* An operation begins: its fields are set and it is counted. */
void zk_pgr_begin(struct zk_pgr *r, struct zk_trig_op *op, enum zk_pgr_kind kind);
/* It has ended; `err` NULL = well. Calls `done`. */
void zk_pgr_end(struct zk_trig_op *op, const struct zk_error *err);
/* The same at the end of this turn. */
void zk_pgr_end_later(struct zk_trig_op *op, const struct zk_error *err);
/* Runs one statement with r->params for `op`; ends the operation when that is not possible. */
void zk_pgr_run(struct zk_pgr *r, struct zk_pg *pg, enum zk_pgr_stmt stmt,
                struct zk_trig_op *op, zk_pg_done_fn done);
/* Parameters afresh. */
struct zk_pg_params *zk_pgr_params(struct zk_pgr *r);
struct zk_pg *zk_pgr_reader(struct zk_pgr *r);
/* What the last commit says about the store. */
void zk_pgr_note(struct zk_pgr *r, const struct zk_error *err);
void zk_pgr_push(struct zk_pgr_queue *q, struct zk_trig_op *op);
struct zk_trig_op *zk_pgr_pop(struct zk_pgr_queue *q);

#define ZK_PGR_ORG_COLS(t)                                                        \
	t "id," t "name," t "tier," t "rate_limit_per_minute," t "webhook_url," t \
	  "webhook_enabled," t "webhook_disabled_reason," t "webhook_ordered," t  \
	  "secret_version," t "old_secret_expires_at," t "created_at," t "updated_at"
/* Reads those columns from `first` on. */
void zk_pgr_read_org(const struct zk_pg_res *res, size_t row, int first,
                     struct zk_trig_org *org);
/* Status of a row as text and back. */
enum zk_trig_status zk_pgr_status(zk_str s);

/* ---- repo_pg_ingest.c ----------------------------------------------------------------------- */

bool zk_pgr_ingest(struct zk_trig_repo *repo, struct zk_trig_ingest *first);
void zk_pgr_pump_ingest(struct zk_pgr *r);
/* Fails whatever has not been sent. */
void zk_pgr_fail_ingest(struct zk_pgr *r, const struct zk_error *err);

/* ---- repo_pg_settle.c: outcomes and acknowledgements ------------------------------------------ */

void zk_pgr_outcome(struct zk_trig_repo *repo, struct zk_trig_outcome *op);
void zk_pgr_ack(struct zk_trig_repo *repo, struct zk_trig_ack *op);
void zk_pgr_pump_ops(struct zk_pgr *r);
void zk_pgr_fail_ops(struct zk_pgr *r, const struct zk_error *err);

/* ---- repo_pg_admin.c -------------------------------------------------------------------------- */

void zk_pgr_create(struct zk_trig_repo *repo, struct zk_trig_create *op);
void zk_pgr_find_key(struct zk_trig_repo *repo, struct zk_trig_find_key *op);
void zk_pgr_find_org(struct zk_trig_repo *repo, struct zk_trig_find_org *op);
void zk_pgr_rotate(struct zk_trig_repo *repo, struct zk_trig_rotate *op);
void zk_pgr_key_update(struct zk_trig_repo *repo, struct zk_trig_key_update *op);
void zk_pgr_webhook(struct zk_trig_repo *repo, struct zk_trig_webhook *op);
void zk_pgr_replay(struct zk_trig_repo *repo, struct zk_trig_replay *op);
/* Unplans the rows of an organization that does not push any more. */
void zk_pgr_heal(struct zk_pgr *r, const zk_uuid *org);

/* ---- repo_pg_read.c --------------------------------------------------------------------------- */

/* Which events of an inbox, in the order of ids. */
struct zk_pgr_query {
	zk_uuid org;
	enum zk_trig_filter filter;
	zk_str type; /* as in zk_trig_page */
	bool ascending, has_cursor;
	zk_uuid cursor;
	int64_t since_us, until_us;
};
enum zk_pgr_statuses { ZK_PGR_ANY, ZK_PGR_ONE, ZK_PGR_OPEN };
/* Puts the first nine parameters of pages, totals and replays; tells which statement wants them. */
enum zk_pgr_statuses zk_pgr_put_query(struct zk_pg_params *p,
                                      const struct zk_pgr_query *q);

void zk_pgr_page(struct zk_trig_repo *repo, struct zk_trig_page *op);
void zk_pgr_event(struct zk_trig_repo *repo, struct zk_trig_event *op);
void zk_pgr_count(struct zk_trig_repo *repo, struct zk_trig_count *op);

/* ---- repo_pg_claim.c -------------------------------------------------------------------------- */

void zk_pgr_claim(struct zk_trig_repo *repo, struct zk_trig_claim *op);
/* Gives leases back: rows that were claimed and will not be attempted. */
void zk_pgr_release(struct zk_trig_repo *repo, const zk_uuid *ids, size_t n);
/* The row is settled, or somebody else's: its lease is no more. */
void zk_pgr_forget_lease(struct zk_pgr *r, const zk_uuid *id);
/* Gives every lease back; at the end. */
void zk_pgr_release_all(struct zk_pgr *r);

/* ---- repo_pg_keep.c --------------------------------------------------------------------------- */

void zk_pgr_on_keep_timer(void *ctx);

/* ---- repo_pg_schema.c: connections that wait ---------------------------------------------------- */

/* Brings the schema up to date under a lock that all servers share; *from (may be NULL) is the
 * version found. -ZK_E_STORE_VERSION for a newer one, -ZK_E_CONFIG_VALUE when the tables are
 * another program's. */
int zk_pgr_migrate(struct zk_pg_conn *c, int *from, struct zk_error *err) ZK_MUST_USE;
int zk_pgr_version(void);
/* The row of server_state that stands while `zk triggers migrate` has not finished. */
#define ZK_PGR_COPYING "copying"
/* -ZK_E_BUSY while that row stands. */
int zk_pgr_check_whole(struct zk_pg_conn *c, struct zk_error *err) ZK_MUST_USE;
/* As zk_lite_check_secret. */
int zk_pgr_check_secret(struct zk_pg_conn *c, const uint8_t check[32], bool accept,
                        struct zk_error *err) ZK_MUST_USE;

/* `conf->db` is the URL. */
int zk_pgr_open(struct zk_loop *loop, struct zk_metrics *metrics,
                const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                struct zk_error *err) ZK_MUST_USE;

#endif
