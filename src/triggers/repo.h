/* The store of the triggers server: one interface, embedded SQLite today, PostgreSQL beside it.
 * Layer: triggers. Loop thread only; results come through callbacks on the loop thread, except
 * the row callbacks of reading operations, which run on the store's reading thread.
 * specs/triggers.md §6, §8.4, §11.
 *
 * Every operation is a struct owned by the caller that begins with zk_trig_op. It must stay in
 * place until `done`, which is called exactly once (never before the submitting call returned)
 * with op->code 0 or a negative ZK_E_* code; op->reason then points to a static or op-owned
 * text. Strings in operations are borrowed until `done`. */
#ifndef ZK_TRIGGERS_REPO_H
#define ZK_TRIGGERS_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "rt/lane.h"
#include "triggers/model.h"

struct zk_counter;
struct zk_histogram;
struct zk_loop;
struct zk_metrics;
struct zk_trig_repo;

struct zk_trig_op {
	/* The store's: how the operation travels through it. */
	struct zk_job job;
	struct zk_trig_repo *repo;
	uint8_t kind;
	bool again;    /* a long operation that was cut into steps goes on */
	uint32_t step; /* steps done */
	zk_uuid at;    /* where the next one begins */
	/* The caller's. */
	int code; /* 0 or negative */
	char reason[160];
	void (*done)(struct zk_trig_op *op);
	void *ctx; /* the caller's */
};

struct zk_trig_ingest {
	struct zk_trig_op op;
	zk_uuid id, org;
	zk_str type, dedup_id /* p NULL = none */, payload;
	int64_t created_us; /* the store moves it into the millisecond of the id (model.h) */
	bool due; /* the organization has an enabled webhook: next_attempt = now */
	bool delivered; /* delivery is switched off and there is a webhook: stored as delivered */
	/* out */
	bool duplicate;
	zk_uuid first_id; /* of the event that has the dedup_id */
	int64_t first_created_us;
	struct zk_trig_ingest
	        *next; /* batch: the events of one call, committed together */
};

struct zk_trig_create {
	struct zk_trig_op op;
	struct zk_trig_org org; /* strings borrowed */
	struct zk_trig_key key;
};

/* Reads a key and its organization; code -ZK_E_NOT_FOUND for an unknown key id. */
struct zk_trig_find_key {
	struct zk_trig_op op;
	char key_id[ZK_TRIG_KEY_ID + 1];
	/* out; org is to be released with zk_trig_org_done */
	struct zk_trig_key key;
	struct zk_trig_org org;
};

/* Reads an organization by id. */
struct zk_trig_find_org {
	struct zk_trig_op op;
	zk_uuid id;
	struct zk_trig_org org; /* out */
};

/* Stores a new key and ends all older ones of the organization at `old_expires_us`. */
struct zk_trig_rotate {
	struct zk_trig_op op;
	struct zk_trig_key key;
	int64_t old_expires_us;
};

/* Writes what a successful Argon2id verification yields; and last_used (hourly at most). */
struct zk_trig_key_update {
	struct zk_trig_op op;
	char key_id[ZK_TRIG_KEY_ID + 1];
	bool set_mac, set_hash, set_used;
	uint8_t mac[32];
	char hash[160];
	int64_t used_us;
};

enum zk_trig_webhook_set {
	ZK_TRIG_SET_URL = 1 << 0, /* url NULL removes it; clears disabled_reason */
	ZK_TRIG_SET_ENABLED = 1 << 1,
	ZK_TRIG_SET_ORDERED = 1 << 2,
	ZK_TRIG_SET_REASON = 1 << 3, /* disabled_reason (410) */
	ZK_TRIG_SET_SECRET =
	        1 << 4, /* secret_version + 1, old one ends at old_secret_expires */
	ZK_TRIG_SET_BACKLOG = 1 << 5, /* pending rows without a plan become due now */
	ZK_TRIG_SET_UNPLAN =
	        1 << 6, /* pending rows lose their plan (webhook removed, off or gone) */
};

struct zk_trig_webhook {
	struct zk_trig_op op;
	zk_uuid org;
	unsigned set; /* enum zk_trig_webhook_set */
	const char *url, *reason;
	bool enabled, ordered;
	int64_t old_secret_expires_us, now_us;
	struct zk_trig_org
	        result;   /* out: after the change; zk_trig_org_done in any case */
	uint64_t planned; /* out: rows that became due */
	bool first;       /* out: a signing secret was made for the first time */
};

struct zk_trig_page {
	struct zk_trig_op op;
	zk_uuid org;
	enum zk_trig_filter filter;
	zk_str type; /* exact, or a prefix ending in '*'; p NULL = any */
	bool has_cursor, ascending, has_offset;
	zk_uuid cursor; /* rows strictly older (descending) or newer (ascending) */
	uint64_t offset, limit;
	int64_t since_us, until_us; /* created in [since, until); 0 = open */
	size_t max_bytes;           /* stop early after so many payload bytes */
	/* Reading thread, once per row in order. */
	void (*row)(struct zk_trig_page *p, const struct zk_trig_row *row);
	struct zk_buf *out; /* the caller's, for `row` */
	/* out */
	uint64_t count, total; /* total only with has_offset */
	bool has_more;
	zk_uuid last_id;
};

/* One event with its latest attempts (newest last, at most 20). */
struct zk_trig_event {
	struct zk_trig_op op;
	zk_uuid org, id;
	void (*row)(struct zk_trig_event *e, const struct zk_trig_row *row,
	            const struct zk_trig_attempt *attempts, size_t n);
	struct zk_buf *out;
	bool found; /* out */
};

enum zk_trig_acked { ZK_TRIG_ACK_NEW, ZK_TRIG_ACK_AGAIN, ZK_TRIG_ACK_UNKNOWN };
struct zk_trig_ack_one {
	zk_uuid id;
	/* out */
	enum zk_trig_acked
	        result; /* AGAIN: acknowledged before, or delivered by the webhook */
	int64_t acknowledged_us; /* first time */
};
struct zk_trig_ack {
	struct zk_trig_op op;
	zk_uuid org;
	int64_t now_us;
	struct zk_trig_ack_one *ids;
	size_t n;
};

/* Attempts back to 0, due now. */
struct zk_trig_replay {
	struct zk_trig_op op;
	zk_uuid org;
	int64_t now_us;
	bool one; /* just `id`; else by filter */
	zk_uuid id;
	enum zk_trig_filter filter;
	zk_str type;
	int64_t since_us, until_us;
	uint64_t limit;
	uint64_t scheduled; /* out; with `one`: 0 = unknown event */
};

/* What a delivery needs; strings are owned by the claim. */
struct zk_trig_due {
	zk_uuid id, org;
	char *type;
	size_t type_n;
	char *payload;
	size_t payload_n;
	int64_t created_us, next_attempt_us;
	int64_t attempts; /* before this one */
	/* Monotonic clock: the attempt must be over by then, because another server may take the
	 * row; 0 = there is none. */
	int64_t lease_until_mono_us;
};

/* Takes rows that are due, organization by organization in turn, at most `per_org` of each, in
 * event order within one. On SQLite a row can come again until its outcome is written: the
 * caller filters what it has in flight. On PostgreSQL the claim leases. Organizations without an
 * enabled webhook never come. */
struct zk_trig_claim {
	struct zk_trig_op op;
	int64_t now_us;
	size_t max_rows, per_org;
	const zk_uuid *skip; /* organizations to leave out */
	size_t n_skip;
	/* out */
	struct zk_trig_due *rows; /* the caller frees with zk_trig_claim_done */
	size_t n;
	int64_t next_due_us; /* earliest row that is not due yet; 0 = none */
	bool more;           /* due rows were left */
	uint64_t due;        /* rows due now (capped at 100,000), for the gauge */
	int64_t oldest_due_us;
	/* the store's: an organization whose rows are planned although it does not push */
	bool has_stray;
	zk_uuid stray;
};
void zk_trig_claim_done(struct zk_trig_claim *c);

/* The result of one attempt. Changes the row only while it is pending or retrying. */
struct zk_trig_outcome {
	struct zk_trig_op op;
	zk_uuid id, org;
	int64_t attempt; /* number of this one, 1-based */
	int64_t started_us, now_us;
	double duration_ms;
	int response_status; /* 0 = none */
	zk_str error, response_body;
	enum zk_trig_status status; /* new: DELIVERED, RETRYING or FAILED */
	int64_t next_attempt_us;
	bool applied; /* out: false when an acknowledgement won */
};

struct zk_trig_count {
	struct zk_trig_op op;
	zk_uuid org;
	uint64_t pending; /* out: pending and retrying */
};

/* Kept in memory by the store; nothing here touches the database. */
struct zk_trig_health {
	bool writable; /* last commit and last probe worked */
	bool connected;
	char reason[160];
	uint64_t queue_events, queue_bytes; /* waiting for the writer */
	uint64_t queue_capacity;
	uint64_t events; /* estimate: largest minus smallest seq */
	uint64_t wal_bytes, db_bytes;
};

struct zk_trig_repo_ops {
	/* True when the inbox of the writer took it; false = queue full (503), nothing happens. */
	bool (*ingest)(struct zk_trig_repo *r, struct zk_trig_ingest *first);
	void (*create)(struct zk_trig_repo *r, struct zk_trig_create *op);
	void (*find_key)(struct zk_trig_repo *r, struct zk_trig_find_key *op);
	void (*find_org)(struct zk_trig_repo *r, struct zk_trig_find_org *op);
	void (*rotate)(struct zk_trig_repo *r, struct zk_trig_rotate *op);
	void (*key_update)(struct zk_trig_repo *r, struct zk_trig_key_update *op);
	void (*webhook)(struct zk_trig_repo *r, struct zk_trig_webhook *op);
	void (*page)(struct zk_trig_repo *r, struct zk_trig_page *op);
	void (*event)(struct zk_trig_repo *r, struct zk_trig_event *op);
	void (*ack)(struct zk_trig_repo *r, struct zk_trig_ack *op);
	void (*replay)(struct zk_trig_repo *r, struct zk_trig_replay *op);
	void (*claim)(struct zk_trig_repo *r, struct zk_trig_claim *op);
	/* Rows of a claim that will not be attempted; NULL where claims do not lease. */
	void (*release)(struct zk_trig_repo *r, const zk_uuid *ids, size_t n);
	void (*outcome)(struct zk_trig_repo *r, struct zk_trig_outcome *op);
	void (*count)(struct zk_trig_repo *r, struct zk_trig_count *op);
	const struct zk_trig_health *(*health)(struct zk_trig_repo *r);
	/* Commits what is queued, calls every `done`, checkpoints, closes. Blocks. */
	void (*close)(struct zk_trig_repo *r);
};

struct zk_trig_repo {
	const struct zk_trig_repo_ops *ops;
	/* Set by the server; called on the loop thread. Another server changed an organization
	 * (PostgreSQL) or this one did: drop cached snapshots. */
	void (*on_org_changed)(void *ctx, const zk_uuid *org);
	/* New events of `org` are committed (once per batch and organization). */
	void (*on_events)(void *ctx, const zk_uuid *org, bool due);
	void (*on_health)(void *ctx, const struct zk_trig_health *h);
	/* Changes by other servers are not heard (true), or are again (false): what is cached may
	 * be old. */
	void (*on_deaf)(void *ctx, bool deaf);
	void *ctx;
};

struct zk_trig_repo_conf {
	const char *db;          /* path or URL */
	bool full;               /* --durability full */
	int64_t dedup_window_us; /* 0 = for ever */
	int64_t retain_delivered_us, retain_failed_us, retain_pending_us; /* 0 = never */
	uint64_t queue_events, queue_bytes; /* 10,000 and 64 MiB */
	int connections;
	int64_t lease_us; /* of claims, at least; longer than an attempt can take */
	bool read_only;   /* for `check` */
	uint8_t secret_check[32]; /* HMAC of a fixed text under the server secret */
	bool accept_new_secret;
};

/* ---- for the stores ------------------------------------------------------------------------ */

/* Fills code and reason of an operation from `err`. */
void zk_trig_op_failed(struct zk_trig_op *op, const struct zk_error *err);
/* *(bool *)flag = true: for timers that end zk_loop_until. */
void zk_trig_set_flag(void *flag);
/* The metrics that all stores have. */
struct zk_histogram *zk_trig_metric_batch(struct zk_metrics *m);
struct zk_histogram *zk_trig_metric_commit(struct zk_metrics *m);
struct zk_histogram *zk_trig_metric_latency(struct zk_metrics *m);
struct zk_counter *zk_trig_metric_op(struct zk_metrics *m, const char *operation);

/* The file that `db` (a path or URL) names, appended to `path`. -ZK_E_CONFIG_VALUE for what is no
 * file, PostgreSQL included for now. */
int zk_trig_repo_path(const char *db, struct zk_buf *path,
                      struct zk_error *err) ZK_MUST_USE;

/* Opens, migrates and starts the lanes of the store that conf->db names. Errors: as
 * store/sqlite.h, and -ZK_E_STORE_SECRET when the check value differs. */
int zk_trig_repo_open(struct zk_loop *loop, struct zk_metrics *metrics,
                      const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                      struct zk_error *err) ZK_MUST_USE;

#endif
