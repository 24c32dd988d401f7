/* The SQLite store: acknowledgements and outcomes of attempts (specs/triggers.md §1.1).
 * Layer: triggers. Writer lane, inside its transaction. */
#include <string.h>

#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum {
	STATE,
	ACK,
	ACK_DELIVERED,
	OUTCOME,
	ATTEMPT,
	ATTEMPT_TRIM,
	N_SQL,
};

#define ALL_STATES    "(0,1,2,3,4,5)"
#define KEPT_ATTEMPTS 20 /* shown by the API (§5.10) */

static const char *const sql[N_SQL] = {
	[STATE] =
	        "SELECT status,acknowledged_at FROM event_deliveries"
	        " WHERE status IN " ALL_STATES " AND organization_id=?1 AND event_id=?2",
	[ACK] = "UPDATE event_deliveries SET status=5,acknowledged_at=?3,delivered_at=?3,"
	        "updated_at=?3,next_attempt_at=NULL"
	        " WHERE status IN (0,1,2,3) AND organization_id=?1 AND event_id=?2",
	[ACK_DELIVERED] =
	        "UPDATE event_deliveries SET status=5,acknowledged_at=?3,updated_at=?3"
	        " WHERE status=4 AND organization_id=?1 AND event_id=?2",
	[OUTCOME] = "UPDATE event_deliveries SET status=?3,attempts=max(attempts,?4),"
	            "next_attempt_at=?5,last_attempt_at=?6,response_status=?7,error_"
	            "message=?8,"
	            "delivered_at=?9,updated_at=?10"
	            " WHERE status IN (0,1,2) AND organization_id=?1 AND event_id=?2",
	[ATTEMPT] = "INSERT INTO delivery_attempts SELECT "
	            "?1,coalesce(max(attempt),0)+1,?2,?3,?4,?5,"
	            "?6 FROM delivery_attempts WHERE event_id=?1 RETURNING attempt",
	[ATTEMPT_TRIM] =
	        "DELETE FROM delivery_attempts WHERE event_id=?1 AND attempt<=?2",
};

int zk_lite_hot_init(struct zk_lite_writer *w, struct zk_error *err)
{
	return zk_lite_prepare(w->db, sql, N_SQL, w->hot, err);
}

/* ---- acknowledgement ---------------------------------------------------------------------- */

/* A row that was final already. */
static int ack_final(struct zk_lite_writer *w, const struct zk_trig_ack *op,
                     struct zk_trig_ack_one *one, struct zk_error *err)
{
	struct zk_stmt *st = w->hot[STATE];
	int r;

	zk_lite_bind_id(st, 1, &op->org);
	zk_lite_bind_id(st, 2, &one->id);
	r = zk_stmt_step(st, err);
	if (r <= 0) {
		one->result = ZK_TRIG_ACK_UNKNOWN;
		return r;
	}
	bool delivered = zk_col_i64(st, 0) == ZK_LITE_DELIVERED;

	one->result = ZK_TRIG_ACK_AGAIN;
	one->acknowledged_us = delivered ? op->now_us : zk_col_i64(st, 1);
	zk_stmt_reset(st);
	if (!delivered)
		return 0;
	st = w->hot[ACK_DELIVERED];
	zk_lite_bind_id(st, 1, &op->org);
	zk_lite_bind_id(st, 2, &one->id);
	zk_bind_i64(st, 3, op->now_us);
	return zk_stmt_run(st, err);
}

int zk_lite_ack(struct zk_lite_writer *w, struct zk_trig_ack *op, struct zk_error *err)
{
	size_t from = (size_t)op->op.step * ZK_LITE_STEP_ROWS;
	size_t to = ZK_MIN(op->n, from + ZK_LITE_STEP_ROWS);

	for (size_t i = from; i < to; i++) {
		struct zk_trig_ack_one *one = &op->ids[i];
		struct zk_stmt *st = w->hot[ACK];

		zk_lite_bind_id(st, 1, &op->org);
		zk_lite_bind_id(st, 2, &one->id);
		zk_bind_i64(st, 3, op->now_us);
		if (zk_stmt_run(st, err) < 0)
			return zk_lite_code(err);
		one->result = ZK_TRIG_ACK_NEW;
		one->acknowledged_us = op->now_us;
		if (zk_db_changes(w->db) == 0 && ack_final(w, op, one, err) < 0)
			return zk_lite_code(err);
	}
	op->op.step++;
	op->op.again = to < op->n;
	return 0;
}

/* ---- outcome of an attempt ---------------------------------------------------------------- */

static enum zk_lite_state state_of(enum zk_trig_status s)
{
	switch (s) {
	case ZK_TRIG_PENDING:
		return ZK_LITE_DUE;
	case ZK_TRIG_RETRYING:
		return ZK_LITE_RETRYING;
	case ZK_TRIG_DELIVERED:
		return ZK_LITE_DELIVERED;
	case ZK_TRIG_FAILED:
		return ZK_LITE_FAILED;
	}
	return ZK_LITE_FAILED;
}

/* Rows of the history; only of events that are there. */
static int add_attempt(struct zk_lite_writer *w, const struct zk_trig_outcome *op,
                       struct zk_error *err)
{
	struct zk_stmt *st = w->hot[ATTEMPT];
	int64_t attempt;
	int r;

	zk_lite_bind_id(st, 1, &op->id);
	zk_bind_i64(st, 2, op->started_us);
	zk_bind_double(st, 3, op->duration_ms);
	zk_lite_bind_time(st, 4, op->response_status);
	if (op->error.n)
		zk_bind_text(st, 5, op->error);
	if (op->response_body.n)
		zk_bind_blob(st, 6, op->response_body);
	r = zk_stmt_step(st, err);
	if (r < 0)
		return r;
	attempt = r > 0 ? zk_col_i64(st, 0) : 0;
	if (r > 0 && zk_stmt_run(st, err) < 0) /* to its end */
		return zk_lite_code(err);
	if (attempt <= KEPT_ATTEMPTS)
		return 0;
	st = w->hot[ATTEMPT_TRIM];
	zk_lite_bind_id(st, 1, &op->id);
	zk_bind_i64(st, 2, attempt - KEPT_ATTEMPTS);
	return zk_stmt_run(st, err);
}

static int exists(struct zk_lite_writer *w, const struct zk_trig_outcome *op,
                  struct zk_error *err)
{
	struct zk_stmt *st = w->hot[STATE];
	int r;

	zk_lite_bind_id(st, 1, &op->org);
	zk_lite_bind_id(st, 2, &op->id);
	r = zk_stmt_step(st, err);
	zk_stmt_reset(st);
	return r;
}

int zk_lite_outcome(struct zk_lite_writer *w, struct zk_trig_outcome *op,
                    struct zk_error *err)
{
	struct zk_stmt *st = w->hot[OUTCOME];
	bool retry = op->status == ZK_TRIG_RETRYING;
	int r;

	zk_lite_bind_id(st, 1, &op->org);
	zk_lite_bind_id(st, 2, &op->id);
	zk_bind_i64(st, 3, state_of(op->status));
	zk_bind_i64(st, 4, op->attempt);
	zk_lite_bind_time(st, 5, retry ? op->next_attempt_us : 0);
	zk_bind_i64(st, 6, op->started_us);
	zk_lite_bind_time(st, 7, op->response_status);
	if (op->error.n)
		zk_bind_text(st, 8, op->error);
	zk_lite_bind_time(st, 9, op->status == ZK_TRIG_DELIVERED ? op->now_us : 0);
	zk_bind_i64(st, 10, op->now_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	op->applied = zk_db_changes(w->db) > 0;
	/* An acknowledgement that came first keeps the row; the attempt was made all the same. */
	r = op->applied ? 1 : exists(w, op, err);
	return r > 0 ? add_attempt(w, op, err) : r;
}
