/* A PostgreSQL connection on the loop: units of prepared statements in pipeline mode.
 * Layer: store; owns libpq with pg_conn.c and pg_value.c.
 *
 * Connections are made by a thread of their own, because libpq resolves names and reads files
 * where it is called; what it hands over is connected, set up and has its statements prepared. */
#include "store/pg.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "rt/lane.h"
#include "rt/loop.h"
#include "rt/retry.h"
#include "store/pg.def"

#include "base/ban.h"

#define RETRY_BASE_MS 50
#define RETRY_CAP_MS  2000
#define QUERY_MS      30000
#define TURN_RESULTS  1000 /* handled in one turn; the rest in the next */

struct zk_pg_dialer {
	struct zk_lane *lane;
};

/* An attempt to connect; outlives the zk_pg that gave up on it. */
struct dial {
	struct zk_job job;
	const struct zk_pg_conf *conf;
	struct zk_pg *pg; /* NULL: nobody wants it any more */
	struct zk_pg_conn *conn;
	struct zk_error err;
};

struct unit {
	struct zk_list node;
	zk_pg_done_fn done;
	void *ctx;
	size_t n, at; /* statements, and the one whose result comes next */
	struct zk_pg_res *res[ZK_PG_MAX_UNIT];
	bool failed;
	struct zk_error err; /* of the first statement that failed */
	int64_t sent_ms;
};

struct zk_pg {
	struct zk_loop *loop;
	struct zk_pg_dialer *dialer;
	const struct zk_pg_conf *conf;
	struct zk_pg_hooks hooks;
	struct dial *dial;
	struct zk_pg_conn *conn; /* NULL while not up */
	struct zk_poll *poll;
	struct zk_list units;
	size_t n_units, building; /* statements of the unit that is not sent yet */
	bool broken;              /* sending failed: the unit that is built is lost */
	bool again;               /* results are left for the next turn */
	unsigned callbacks;
	int64_t heard_ms;
	struct zk_timer *watch, *retry_timer;
	struct zk_retry retry;
	struct zk_rand rnd;
};

/* ---- the thread that connects --------------------------------------------------------------- */

static void run_dial(void *ctx, struct zk_job *batch, size_t n)
{
	(void)ctx;
	(void)n;
	for (struct zk_job *job = batch; job; job = job->next) {
		struct dial *d = ZK_CONTAINER_OF(job, struct dial, job);

		if (zk_pg_open(d->conf, &d->conn, &d->err) < 0)
			d->conn = NULL;
	}
}

int zk_pg_dialer_new(struct zk_loop *l, struct zk_pg_dialer **ret, struct zk_error *err)
{
	struct zk_lane_conf conf = { .name = "zk-pg-connect", .run = run_dial };
	struct zk_lane *lane;

	if (zk_pq_open(err) < 0 || zk_lane_start(l, &conf, &lane, err) < 0)
		return -(int)err->code;
	*ret = zk_new0(struct zk_pg_dialer);
	(*ret)->lane = lane;
	return 0;
}

void zk_pg_dialer_free(struct zk_pg_dialer *d)
{
	if (!d)
		return;
	zk_lane_stop(d->lane);
	free(d);
}

/* ---- up and down ---------------------------------------------------------------------------- */

static void unit_free(struct unit *u)
{
	for (size_t i = 0; i < u->n; i++)
		zk_pg_res_free(u->res[i]);
	free(u);
}

static void answer(struct zk_pg *pg, struct unit *u, const struct zk_error *err)
{
	pg->callbacks++;
	if (u->done)
		u->done(u->ctx, u->res, u->n, err);
	pg->callbacks--;
	unit_free(u);
}

static void say(struct zk_pg *pg, bool up, const struct zk_error *err)
{
	pg->callbacks++;
	if (pg->hooks.on_state)
		pg->hooks.on_state(pg->hooks.ctx, up, err);
	pg->callbacks--;
}

static void disconnect(struct zk_pg *pg)
{
	zk_poll_free(ZK_TAKE(pg->poll));
	zk_pg_close(ZK_TAKE(pg->conn));
	zk_timer_stop(pg->watch);
	pg->building = 0;
	pg->broken = false;
}

static void give_up(struct zk_pg *pg, const struct zk_error *why)
{
	struct zk_error err = *why;

	if (err.code != ZK_E_INTERRUPTED)
		err.code = ZK_E_UNKNOWN_OUTCOME;
	ZK_LIST_EACH (e, &pg->units) {
		zk_list_remove(e);
		pg->n_units--;
		answer(pg, ZK_LIST_ENTRY(e, struct unit, node), &err);
	}
}

static void dial_later(struct zk_pg *pg)
{
	int64_t now = zk_loop_now_ms(pg->loop);

	zk_timer_start(pg->retry_timer, zk_retry_next(&pg->retry, now, 0, &pg->rnd), 0);
}

/* The connection is of no use any more. */
static void fail(struct zk_pg *pg, const struct zk_error *why)
{
	struct zk_error err = *why;

	disconnect(pg);
	zk_retry_init(&pg->retry, &pg->retry.conf, zk_loop_now_ms(pg->loop));
	dial_later(pg);
	give_up(pg, &err);
	say(pg, false, &err);
}

static void fail_pq(struct zk_pg *pg)
{
	struct zk_error err = { 0 };

	(void)zk_pq_fail(pg->conn->pg, NULL, &err);
	err.retryable = true;
	fail(pg, &err);
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct unit *current(struct zk_pg *pg)
{
	return zk_list_is_empty(&pg->units)
	               ? NULL
	               : ZK_LIST_ENTRY(pg->units.next, struct unit, node);
}

static void take_result(struct zk_pg *pg, struct unit *u, PGresult *r)
{
	ExecStatusType s = (zk_pq.PQresultStatus)(r);

	if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK && !u->failed) {
		u->failed = true;
		(void)zk_pq_fail(pg->conn->pg, r, &u->err);
	}
	if (u->at < u->n && !u->res[u->at])
		u->res[u->at] = (struct zk_pg_res *)r;
	else
		(zk_pq.PQclear)(r);
}

/* The transaction of the first unit has ended. */
static void end_unit(struct zk_pg *pg, struct unit *u)
{
	zk_list_remove(&u->node);
	pg->n_units--;
	answer(pg, u, u->failed ? &u->err : NULL);
}

/* Handles what has arrived. False when the connection is gone. */
static bool take_results(struct zk_pg *pg)
{
	struct unit *u;

	for (unsigned i = 0; (u = current(pg)) != NULL; i++) {
		PGresult *r;

		if (i == TURN_RESULTS) {
			pg->again = true;
			return true;
		}
		if ((zk_pq.PQisBusy)(pg->conn->pg))
			return true;
		r = (zk_pq.PQgetResult)(pg->conn->pg);
		if (!r) {
			u->at++; /* that statement has no more results */
			if (u->at > u->n) {
				fail_pq(pg);
				return false;
			}
			continue;
		}
		switch ((int)(zk_pq.PQresultStatus)(r)) {
		case PGRES_PIPELINE_SYNC:
			(zk_pq.PQclear)(r);
			end_unit(pg, u);
			break;
		case PGRES_PIPELINE_ABORTED:
			(zk_pq.PQclear)(r);
			break;
		default:
			take_result(pg, u, r);
			break;
		}
		if (!pg->conn || (zk_pq.PQstatus)(pg->conn->pg) == CONNECTION_BAD) {
			if (pg->conn)
				fail_pq(pg);
			return false;
		}
	}
	return true;
}

static void take_notices(struct zk_pg *pg)
{
	PGnotify *n;

	while (pg->conn && (n = (zk_pq.PQnotifies)(pg->conn->pg)) != NULL) {
		pg->callbacks++;
		if (pg->hooks.on_notify)
			pg->hooks.on_notify(pg->hooks.ctx, zk_str_of(n->relname),
			                    zk_str_of(n->extra), n->be_pid);
		pg->callbacks--;
		(zk_pq.PQfreemem)(n);
	}
}

/* Sends what waits; false when the connection is gone. */
static bool flush(struct zk_pg *pg)
{
	int left = (zk_pq.PQflush)(pg->conn->pg);

	if (left < 0) {
		fail_pq(pg);
		return false;
	}
	zk_poll_set(pg->poll, ZK_POLL_IN | (left ? ZK_POLL_OUT : 0));
	return true;
}

static void drain(void *ctx)
{
	struct zk_pg *pg = ctx;

	pg->again = false;
	if (!pg->conn || !take_results(pg))
		return;
	take_notices(pg);
	if (pg->again)
		zk_loop_defer(pg->loop, drain, pg);
}

static void on_poll(void *ctx, int events, int status)
{
	struct zk_pg *pg = ctx;

	(void)status; /* libpq finds out what is wrong */
	if (events & ZK_POLL_IN || status < 0) {
		pg->heard_ms = zk_loop_now_ms(pg->loop);
		if (!(zk_pq.PQconsumeInput)(pg->conn->pg)) {
			/* What came before the end still counts. */
			if (take_results(pg) && pg->conn)
				fail_pq(pg);
			return;
		}
		/* An idle connection that ends says so here and nowhere else. */
		if ((zk_pq.PQstatus)(pg->conn->pg) == CONNECTION_BAD) {
			fail_pq(pg);
			return;
		}
	}
	if (!flush(pg))
		return;
	if (!pg->again)
		drain(pg);
}

/* ---- writing -------------------------------------------------------------------------------- */

static void on_watch(void *ctx)
{
	struct zk_pg *pg = ctx;
	struct unit *u = current(pg);
	int64_t now = zk_loop_now_ms(pg->loop), due;
	struct zk_error err = { 0 };

	if (!u || pg->conf->query_ms < 0)
		return;
	due = ZK_MAX(u->sent_ms, pg->heard_ms) +
	      (pg->conf->query_ms ? pg->conf->query_ms : QUERY_MS);
	if (due > now) {
		zk_timer_start(pg->watch, due - now, 0);
		return;
	}
	(void)zk_fail(&err, ZK_E_CONNECT, "PostgreSQL does not answer");
	err.retryable = true;
	fail(pg, &err);
}

void zk_pg_add(struct zk_pg *pg, size_t stmt, const struct zk_pg_params *params)
{
	const char *values[ZK_PG_MAX_PARAMS];
	int lengths[ZK_PG_MAX_PARAMS], formats[ZK_PG_MAX_PARAMS];
	char name[ZK_PQ_NAME_MAX];
	int n;

	if (!pg->conn)
		return;
	ZK_ASSERT(stmt < pg->conf->n_stmts && pg->building < ZK_PG_MAX_UNIT);
	n = zk_pq_values(params, values, lengths, formats);
	if (!(zk_pq.PQsendQueryPrepared)(pg->conn->pg, zk_pq_name(stmt, name), n, values,
	                                 lengths, formats, /* binary */ 1))
		pg->broken = true;
	pg->building++;
}

static void fail_later(void *ctx)
{
	struct zk_pg *pg = ctx;

	if (pg->conn && pg->broken)
		fail_pq(pg);
}

int zk_pg_run(struct zk_pg *pg, size_t stmt, const struct zk_pg_params *params,
              zk_pg_done_fn done, void *ctx, struct zk_error *err)
{
	struct unit *u;
	int left;

	if (!pg->conn || pg->broken) {
		(void)zk_fail(err, ZK_E_CONNECT, "PostgreSQL is not connected");
		err->retryable = true;
		return -(int)err->code;
	}
	zk_pg_add(pg, stmt, params);
	u = zk_new0(struct unit);
	u->done = done;
	u->ctx = ctx;
	u->n = pg->building;
	u->sent_ms = zk_loop_now_ms(pg->loop);
	pg->building = 0;
	zk_list_push(&pg->units, &u->node);
	pg->n_units++;
	left = (zk_pq.PQpipelineSync)(pg->conn->pg) ? (zk_pq.PQflush)(pg->conn->pg) : -1;
	if (left < 0 || pg->broken) {
		pg->broken = true;
		zk_loop_defer(pg->loop, fail_later, pg);
		return 0;
	}
	if (left)
		zk_poll_set(pg->poll, ZK_POLL_IN | ZK_POLL_OUT);
	if (!zk_timer_is_active(pg->watch))
		on_watch(pg);
	return 0;
}

void zk_pg_settle(struct zk_pg *pg, int64_t timeout_ms)
{
	int64_t until = zk_mono_ms() + timeout_ms;
	struct zk_error err = { 0 };

	while (pg->conn && !pg->broken && pg->n_units) {
		int r = zk_pq_wait(pg->conn->pg, until, &err);

		if (r < 0)
			fail(pg, &err);
		else
			(void)take_results(pg);
	}
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void adopt(struct zk_pg *pg, struct zk_pg_conn *conn)
{
	struct zk_error err = { 0 };

	pg->conn = conn;
	pg->heard_ms = zk_loop_now_ms(pg->loop);
	if (!(zk_pq.PQenterPipelineMode)(conn->pg)) {
		fail_pq(pg);
		return;
	}
	pg->poll = zk_poll_new(pg->loop, (zk_pq.PQsocket)(conn->pg), on_poll, pg, &err);
	if (!pg->poll) {
		fail(pg, &err);
		return;
	}
	zk_poll_set(pg->poll, ZK_POLL_IN);
	say(pg, true, NULL);
}

static void on_dialled(struct zk_job *job)
{
	struct dial *d = ZK_CONTAINER_OF(job, struct dial, job);
	struct zk_pg *pg = d->pg;

	if (!pg) {
		zk_pg_close(d->conn);
		free(d);
		return;
	}
	pg->dial = NULL;
	if (d->conn) {
		adopt(pg, d->conn);
	} else {
		dial_later(pg);
		say(pg, false, &d->err);
	}
	free(d);
}

static void start_dial(void *ctx)
{
	struct zk_pg *pg = ctx;
	struct dial *d = zk_new0(struct dial);

	d->job.done = on_dialled;
	d->conf = pg->conf;
	d->pg = pg;
	pg->dial = d;
	zk_lane_push_always(pg->dialer->lane, &d->job);
}

struct zk_pg *zk_pg_new(struct zk_loop *l, struct zk_pg_dialer *dialer,
                        const struct zk_pg_conf *conf, const struct zk_pg_hooks *hooks)
{
	struct zk_pg *pg = zk_new0(struct zk_pg);
	uint64_t seed;

	pg->loop = l;
	pg->dialer = dialer;
	pg->conf = conf;
	pg->hooks = *hooks;
	zk_list_init(&pg->units);
	pg->watch = zk_timer_new(l, on_watch, pg);
	pg->retry_timer = zk_timer_new(l, start_dial, pg);
	zk_timer_weak(pg->watch, true);
	zk_timer_weak(pg->retry_timer, true);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&pg->rnd, seed);
	pg->retry.conf = (struct zk_retry_conf){ .max_retries = UINT64_MAX,
		                                 .base_ms = RETRY_BASE_MS,
		                                 .cap_ms = RETRY_CAP_MS };
	zk_retry_init(&pg->retry, &pg->retry.conf, zk_loop_now_ms(l));
	start_dial(pg);
	return pg;
}

static void release(void *ctx)
{
	free(ctx);
}

void zk_pg_free(struct zk_pg *pg)
{
	struct zk_error err = { 0 };

	if (!pg)
		return;
	ZK_ASSERT(pg->callbacks == 0);
	if (pg->dial)
		pg->dial->pg = NULL;
	disconnect(pg);
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "the connection was closed");
	give_up(pg, &err);
	zk_timer_free(pg->watch);
	zk_timer_free(pg->retry_timer);
	zk_loop_forget(pg->loop, drain, pg);
	zk_loop_forget(pg->loop, fail_later, pg);
	zk_loop_defer(pg->loop, release, pg);
}

bool zk_pg_is_up(const struct zk_pg *pg)
{
	return pg->conn != NULL && !pg->broken;
}

int zk_pg_pid(const struct zk_pg *pg)
{
	return pg->conn ? (zk_pq.PQbackendPID)(pg->conn->pg) : 0;
}

size_t zk_pg_pending(const struct zk_pg *pg)
{
	return pg->n_units;
}
