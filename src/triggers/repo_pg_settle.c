/* The PostgreSQL store: outcomes of attempts and acknowledgements, gathered into one statement
 * each (specs/triggers.md §1.1, §11.4).
 * Layer: triggers. Loop thread. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "triggers/repo_pg.h"

#include "base/ban.h"

#define MAX_OUTCOMES 500
#define MAX_ACKS     1000 /* ids */
#define MAX_RETRIES  5

struct settle {
	struct zk_pgr *r;
	struct zk_trig_op **ops;
	size_t n;
	unsigned tries;
};

static void settle_free(struct settle *s)
{
	free(s->ops);
	free(s);
}

static struct settle *settle_new(struct zk_pgr *r, size_t room)
{
	struct settle *s = zk_new0(struct settle);

	s->r = r;
	s->ops = zk_alloc_array(room, sizeof(struct zk_trig_op *));
	return s;
}

static void pump_deferred(void *ctx)
{
	struct zk_pgr *r = ctx;

	r->pumping_ops = false;
	zk_pgr_pump_ops(r);
}

static void pump_later(struct zk_pgr *r)
{
	if (r->pumping_ops)
		return;
	r->pumping_ops = true;
	zk_loop_defer(r->loop, pump_deferred, r);
}

static void take(struct zk_pgr *r, struct zk_pgr_queue *q, struct zk_trig_op *op)
{
	struct zk_error err = { 0 };

	if (r->closing || !zk_pg_is_up(r->conn[ZK_PGR_OPS])) {
		(void)zk_fail(&err, ZK_E_CONNECT, "PostgreSQL is not connected");
		zk_pgr_end_later(op, &err);
		return;
	}
	zk_pgr_push(q, op);
	pump_later(r);
}

void zk_pgr_fail_ops(struct zk_pgr *r, const struct zk_error *err)
{
	struct zk_error e = *err;
	struct zk_trig_op *op;

	while ((op = zk_pgr_pop(&r->outcomes)) != NULL)
		zk_pgr_end(op, &e);
	while ((op = zk_pgr_pop(&r->acks)) != NULL)
		zk_pgr_end(op, &e);
}

/* A deadlock with another server, or a value that is refused: everything again, each operation on
 * its own if need be. True when it goes again. */
static bool goes_again(struct settle *s, const struct zk_error *err,
                       struct zk_pgr_queue *q)
{
	if (s->r->closing ||
	    !(err->code == ZK_E_CONFLICT || (err->code == ZK_E_DATA && s->n > 1)))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		/* `again` marks an operation that is to travel alone. */
		if (s->ops[i]->step++ >= MAX_RETRIES)
			zk_pgr_end(s->ops[i], err);
		else {
			s->ops[i]->again = true;
			zk_pgr_push(q, s->ops[i]);
		}
	}
	return true;
}

/* ---- outcomes ----------------------------------------------------------------------------- */

static struct zk_trig_outcome *outcome_of(const struct settle *s, size_t i)
{
	return ZK_CONTAINER_OF(s->ops[i], struct zk_trig_outcome, op);
}

/* Text that PostgreSQL takes: UTF-8 without NUL. What is cut off in the middle of a character, or
 * comes from a peer, may be neither. */
static void put_text(struct zk_pg_params *p, zk_str s)
{
	if (!s.n) {
		zk_pg_put_null(p);
		return;
	}
	if (zk_utf8_valid(s) && !memchr(s.p, 0, s.n)) {
		zk_pg_put_bytes(p, s);
		return;
	}
	char *copy = zk_strndup(s.p, s.n);

	for (size_t i = 0; i < s.n;) {
		size_t n = zk_utf8_seq(copy + i, s.n - i);

		if (n == 0 || copy[i] == 0) {
			copy[i] = '?';
			n = 1;
		}
		i += n;
	}
	zk_pg_put_bytes(p, zk_str_n(copy, s.n));
	free(copy);
}

#define EACH(s, put)                                                  \
	for (size_t i = 0; i < (s)->n; i++) {                         \
		const struct zk_trig_outcome *o = outcome_of((s), i); \
		put;                                                  \
	}

static void put_outcomes(struct settle *s)
{
	struct zk_pg_params *p = zk_pgr_params(s->r);

	zk_pg_put_bytes(p, zk_str_of(s->r->me));
	zk_pg_array(p, ZK_PG_UUID, s->n);
	EACH(s, zk_pg_put_uuid(p, &o->id))
	zk_pg_array(p, ZK_PG_UUID, s->n);
	EACH(s, zk_pg_put_uuid(p, &o->org))
	zk_pg_array(p, ZK_PG_TEXT, s->n);
	EACH(s, zk_pg_put_bytes(p, zk_str_of(zk_trig_status_name(o->status))))
	zk_pg_array(p, ZK_PG_INT4, s->n);
	EACH(s, zk_pg_put_i32(p, (int)o->attempt))
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, s->n);
	EACH(s, zk_pg_put_time(p, o->status == ZK_TRIG_RETRYING
	                                  ? o->next_attempt_us + s->r->skew_us
	                                  : 0))
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, s->n);
	EACH(s, zk_pg_put_time(p, o->started_us))
	zk_pg_array(p, ZK_PG_INT4, s->n);
	EACH(s, o->response_status ? zk_pg_put_i32(p, o->response_status)
	                           : zk_pg_put_null(p))
	zk_pg_array(p, ZK_PG_TEXT, s->n);
	EACH(s, put_text(p, o->error))
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, s->n);
	EACH(s, zk_pg_put_time(p, o->status == ZK_TRIG_DELIVERED ? o->now_us : 0))
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, s->n);
	EACH(s, zk_pg_put_time(p, o->now_us))
}

static void put_attempts(struct settle *s)
{
	struct zk_pg_params *p = zk_pgr_params(s->r);

	zk_pg_array(p, ZK_PG_UUID, s->n);
	EACH(s, zk_pg_put_uuid(p, &o->id))
	zk_pg_array(p, ZK_PG_UUID, s->n);
	EACH(s, zk_pg_put_uuid(p, &o->org))
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, s->n);
	EACH(s, zk_pg_put_time(p, o->started_us))
	zk_pg_array(p, ZK_PG_FLOAT8, s->n);
	EACH(s, zk_pg_put_double(p, o->duration_ms))
	zk_pg_array(p, ZK_PG_INT4, s->n);
	EACH(s, o->response_status ? zk_pg_put_i32(p, o->response_status)
	                           : zk_pg_put_null(p))
	zk_pg_array(p, ZK_PG_TEXT, s->n);
	EACH(s, put_text(p, o->error))
	zk_pg_array(p, ZK_PG_TEXT, s->n);
	EACH(s, put_text(p, o->response_body))
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(zk_uuid));
}

static void end_outcomes(struct settle *s, const struct zk_pg_res *applied)
{
	size_t n = zk_pg_rows(applied);
	zk_uuid *ids = zk_alloc_array(n ? n : 1, sizeof(*ids));

	for (size_t i = 0; i < n; i++)
		ids[i] = zk_pg_uuid(applied, i, 0);
	qsort(ids, n, sizeof(*ids), by_id);
	for (size_t i = 0; i < s->n; i++) {
		struct zk_trig_outcome *o = outcome_of(s, i);

		o->applied = bsearch(&o->id, ids, n, sizeof(*ids), by_id) != NULL;
		zk_pgr_forget_lease(s->r, &o->id);
		zk_pgr_end(&o->op, NULL);
	}
	free(ids);
}

static void on_outcomes(void *ctx, struct zk_pg_res *const *res, size_t n,
                        const struct zk_error *err)
{
	struct settle *s = ctx;
	struct zk_pgr *r = s->r;

	(void)n;
	r->settling--;
	if (!err) {
		end_outcomes(s, res[0]);
	} else if (!goes_again(s, err, &r->outcomes)) {
		for (size_t i = 0; i < s->n; i++)
			zk_pgr_end(s->ops[i], err);
	}
	settle_free(s);
	zk_pgr_pump_ops(r);
}

/* The same event twice in one statement would settle it once: the second waits. */
static bool has_event(const struct settle *s, const zk_uuid *id)
{
	for (size_t i = s->n; i-- > 0 && s->n - i <= 64;) {
		if (memcmp(&outcome_of(s, i)->id, id, sizeof(*id)) == 0)
			return true;
	}
	return false;
}

static bool send_outcomes(struct zk_pgr *r)
{
	struct settle *s = settle_new(r, MAX_OUTCOMES);
	struct zk_error err = { 0 };

	while (r->outcomes.first && s->n < MAX_OUTCOMES) {
		struct zk_trig_outcome *o =
		        ZK_CONTAINER_OF(r->outcomes.first, struct zk_trig_outcome, op);

		if ((o->op.again && s->n) || has_event(s, &o->id))
			break;
		s->ops[s->n++] = zk_pgr_pop(&r->outcomes);
		if (o->op.again)
			break;
	}
	put_outcomes(s);
	zk_pg_add(r->conn[ZK_PGR_OPS], ZK_PGR_OUTCOME, &r->params);
	put_attempts(s);
	if (zk_pg_run(r->conn[ZK_PGR_OPS], ZK_PGR_ATTEMPT, &r->params, on_outcomes, s,
	              &err) < 0) {
		for (size_t i = 0; i < s->n; i++)
			zk_pgr_end(s->ops[i], &err);
		settle_free(s);
		return false;
	}
	r->settling++;
	return true;
}

void zk_pgr_outcome(struct zk_trig_repo *repo, struct zk_trig_outcome *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);

	op->applied = false;
	zk_pgr_begin(r, &op->op, ZK_PGR_K_OUTCOME);
	take(r, &r->outcomes, &op->op);
}

/* ---- acknowledgements --------------------------------------------------------------------- */

static struct zk_trig_ack *ack_of(const struct settle *s, size_t i)
{
	return ZK_CONTAINER_OF(s->ops[i], struct zk_trig_ack, op);
}

/* Id number `n` (1-based) of all operations together. */
static struct zk_trig_ack_one *ack_at(const struct settle *s, size_t n,
                                      struct zk_trig_ack **op)
{
	for (size_t i = 0; i < s->n; i++) {
		*op = ack_of(s, i);
		if (n <= (*op)->n)
			return &(*op)->ids[n - 1];
		n -= (*op)->n;
	}
	return NULL;
}

static void end_acks(struct settle *s, const struct zk_pg_res *res)
{
	for (size_t i = 0; i < s->n; i++) {
		struct zk_trig_ack *op = ack_of(s, i);

		for (size_t k = 0; k < op->n; k++)
			op->ids[k].result = ZK_TRIG_ACK_UNKNOWN;
	}
	for (size_t i = 0; i < zk_pg_rows(res); i++) {
		struct zk_trig_ack *op;
		struct zk_trig_ack_one *one =
		        ack_at(s, (size_t)zk_pg_i64(res, i, 0), &op);
		int64_t before = zk_pg_time(res, i, 2);
		bool delivered = zk_pgr_status(zk_pg_str(res, i, 1)) == ZK_TRIG_DELIVERED;

		if (!one)
			continue;
		one->result = delivered ? ZK_TRIG_ACK_AGAIN : ZK_TRIG_ACK_NEW;
		one->acknowledged_us = before ? before : op->now_us;
		zk_pgr_forget_lease(s->r, &one->id);
	}
	for (size_t i = 0; i < s->n; i++)
		zk_pgr_end(s->ops[i], NULL);
}

static void on_acks(void *ctx, struct zk_pg_res *const *res, size_t n,
                    const struct zk_error *err)
{
	struct settle *s = ctx;
	struct zk_pgr *r = s->r;

	(void)n;
	r->settling--;
	if (!err) {
		end_acks(s, res[0]);
	} else if (!goes_again(s, err, &r->acks)) {
		for (size_t i = 0; i < s->n; i++)
			zk_pgr_end(s->ops[i], err);
	}
	settle_free(s);
	zk_pgr_pump_ops(r);
}

static void put_acks(struct settle *s, size_t ids)
{
	struct zk_pg_params *p = zk_pgr_params(s->r);

	zk_pg_array(p, ZK_PG_UUID, ids);
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < ack_of(s, i)->n; k++)
			zk_pg_put_uuid(p, &ack_of(s, i)->org);
	}
	zk_pg_array(p, ZK_PG_UUID, ids);
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < ack_of(s, i)->n; k++)
			zk_pg_put_uuid(p, &ack_of(s, i)->ids[k].id);
	}
	zk_pg_array(p, ZK_PG_TIMESTAMPTZ, ids);
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < ack_of(s, i)->n; k++)
			zk_pg_put_time(p, ack_of(s, i)->now_us);
	}
}

/* An event that stands in the statement twice would be updated once, with either time: operations
 * that share one go apart. */
static bool shares_id(const struct settle *s, const struct zk_trig_ack *op)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct zk_trig_ack *a = ack_of(s, i);

		if (a->n > 16 || op->n > 16)
			return true;
		for (size_t k = 0; k < a->n; k++) {
			for (size_t m = 0; m < op->n; m++) {
				if (memcmp(&a->ids[k].id, &op->ids[m].id,
				           sizeof(zk_uuid)) == 0)
					return true;
			}
		}
	}
	return false;
}

static bool send_acks(struct zk_pgr *r)
{
	struct settle *s = settle_new(r, 64);
	struct zk_error err = { 0 };
	size_t ids = 0;

	while (r->acks.first && s->n < 64 && ids < MAX_ACKS) {
		struct zk_trig_ack *op =
		        ZK_CONTAINER_OF(r->acks.first, struct zk_trig_ack, op);

		if (s->n && (op->op.again || shares_id(s, op)))
			break;
		s->ops[s->n++] = zk_pgr_pop(&r->acks);
		ids += op->n;
		if (op->op.again)
			break;
	}
	put_acks(s, ids);
	if (zk_pg_run(r->conn[ZK_PGR_OPS], ZK_PGR_ACK, &r->params, on_acks, s, &err) <
	    0) {
		for (size_t i = 0; i < s->n; i++)
			zk_pgr_end(s->ops[i], &err);
		settle_free(s);
		return false;
	}
	r->settling++;
	return true;
}

void zk_pgr_ack(struct zk_trig_repo *repo, struct zk_trig_ack *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);

	zk_pgr_begin(r, &op->op, ZK_PGR_K_ACK);
	take(r, &r->acks, &op->op);
}

void zk_pgr_pump_ops(struct zk_pgr *r)
{
	bool go = true;

	while (go && !r->settling && zk_pg_is_up(r->conn[ZK_PGR_OPS])) {
		go = false;
		if (r->acks.first)
			go = send_acks(r);
		if (r->outcomes.first)
			go = send_outcomes(r) || go;
		if (r->settling)
			return;
	}
}
