/* The PostgreSQL store: its connections, timers and health.
 * Layer: triggers. Loop thread. specs/triggers.md §11.4, §3.3. */
#include "triggers/repo_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

#define PROBE_MS      5000
#define KEEP_FIRST_MS 5000
#define QUERY_MS      15000 /* a database that is silent for longer is taken for gone */
#define QUEUE_EVENTS  10000
#define QUEUE_BYTES   ((uint64_t)64 << 20)
#define START_MS      30000 /* for all connections together */
#define MIN_LEASE_US  ((int64_t)60 * 1000000)
#define SKEW_MIN_US   ((int64_t)1000000) /* clocks that differ by less are the same */
#define SKEW_WARN_US  ((int64_t)5000000)
#define FIXED_CONNS   4

static const char *const kind_names[ZK_PGR_KINDS] = {
	[ZK_PGR_K_INGEST] = "ingest",     [ZK_PGR_K_CREATE] = "create",
	[ZK_PGR_K_ROTATE] = "rotate",     [ZK_PGR_K_KEY_UPDATE] = "key_update",
	[ZK_PGR_K_WEBHOOK] = "webhook",   [ZK_PGR_K_ACK] = "ack",
	[ZK_PGR_K_REPLAY] = "replay",     [ZK_PGR_K_OUTCOME] = "outcome",
	[ZK_PGR_K_FIND_KEY] = "find_key", [ZK_PGR_K_FIND_ORG] = "find_org",
	[ZK_PGR_K_PAGE] = "page",         [ZK_PGR_K_EVENT] = "event",
	[ZK_PGR_K_CLAIM] = "claim",       [ZK_PGR_K_COUNT] = "count",
};

/* ---- operations --------------------------------------------------------------------------- */

void zk_pgr_begin(struct zk_pgr *r, struct zk_trig_op *op, enum zk_pgr_kind kind)
{
	op->repo = &r->base;
	op->kind = (uint8_t)kind;
	op->again = false;
	op->step = 0;
	memset(&op->at, 0, sizeof(op->at));
	op->code = 0;
	op->reason[0] = 0;
	op->job.next = NULL;
	op->job.pushed_us = zk_mono_us();
	if (r->ops[kind])
		zk_counter_add(r->ops[kind], 1);
}

void zk_pgr_end(struct zk_trig_op *op, const struct zk_error *err)
{
	struct zk_pgr *r = zk_pgr_of(op->repo);

	if (err)
		zk_trig_op_failed(op, err);
	if (r->latency)
		zk_histogram_observe(r->latency,
		                     (double)(zk_mono_us() - op->job.pushed_us) / 1e6);
	op->done(op);
}

static void end_deferred(void *ctx)
{
	zk_pgr_end(ctx, NULL);
}

void zk_pgr_end_later(struct zk_trig_op *op, const struct zk_error *err)
{
	if (err)
		zk_trig_op_failed(op, err);
	zk_loop_defer(zk_pgr_of(op->repo)->loop, end_deferred, op);
}

struct zk_pg_params *zk_pgr_params(struct zk_pgr *r)
{
	zk_pg_params_clear(&r->params);
	return &r->params;
}

void zk_pgr_run(struct zk_pgr *r, struct zk_pg *pg, enum zk_pgr_stmt stmt,
                struct zk_trig_op *op, zk_pg_done_fn done)
{
	struct zk_error err = { 0 };

	if (zk_pg_run(pg, stmt, &r->params, done, op, &err) < 0)
		zk_pgr_end_later(op, &err);
}

struct zk_pg *zk_pgr_reader(struct zk_pgr *r)
{
	struct zk_pg *best = r->readers[0];

	for (size_t i = 1; i < r->n_readers; i++) {
		bool up = zk_pg_is_up(r->readers[i]);

		if (up && (!zk_pg_is_up(best) ||
		           zk_pg_pending(r->readers[i]) < zk_pg_pending(best)))
			best = r->readers[i];
	}
	return best;
}

void zk_pgr_push(struct zk_pgr_queue *q, struct zk_trig_op *op)
{
	op->job.next = NULL;
	if (q->last)
		q->last->job.next = &op->job;
	else
		q->first = op;
	q->last = op;
	q->n++;
}

struct zk_trig_op *zk_pgr_pop(struct zk_pgr_queue *q)
{
	struct zk_trig_op *op = q->first;

	if (!op)
		return NULL;
	q->first = op->job.next ? ZK_CONTAINER_OF(op->job.next, struct zk_trig_op, job)
	                        : NULL;
	if (!q->first)
		q->last = NULL;
	op->job.next = NULL;
	q->n--;
	return op;
}

/* ---- rows --------------------------------------------------------------------------------- */

void zk_pgr_read_org(const struct zk_pg_res *res, size_t row, int first,
                     struct zk_trig_org *org)
{
	char *name = zk_pg_dup(res, row, first + 1);

	*org = (struct zk_trig_org){
		.id = zk_pg_uuid(res, row, first),
		.name = name ? name : zk_strdup(""),
		.rate_limit = zk_pg_is_null(res, row, first + 3)
		                      ? -1
		                      : zk_pg_i64(res, row, first + 3),
		.webhook_url = zk_pg_dup(res, row, first + 4),
		.webhook_enabled = zk_pg_i64(res, row, first + 5) != 0,
		.webhook_disabled_reason = zk_pg_dup(res, row, first + 6),
		.webhook_ordered = zk_pg_i64(res, row, first + 7) != 0,
		.secret_version = zk_pg_i64(res, row, first + 8),
		.old_secret_expires_us = zk_pg_time(res, row, first + 9),
		.created_us = zk_pg_time(res, row, first + 10),
		.updated_us = zk_pg_time(res, row, first + 11),
	};
	if (!zk_trig_tier_parse(zk_pg_str(res, row, first + 2), &org->tier))
		org->tier = ZK_TRIG_FREE;
}

enum zk_trig_status zk_pgr_status(zk_str s)
{
	static const enum zk_trig_status all[] = { ZK_TRIG_PENDING, ZK_TRIG_RETRYING,
		                                   ZK_TRIG_DELIVERED, ZK_TRIG_FAILED };

	for (size_t i = 0; i < ZK_ARRAY_LEN(all); i++) {
		if (zk_str_eq(s, zk_str_of(zk_trig_status_name(all[i]))))
			return all[i];
	}
	return ZK_TRIG_DELIVERED;
}

/* ---- health ------------------------------------------------------------------------------- */

static const struct zk_trig_health *get_health(struct zk_trig_repo *repo)
{
	return &zk_pgr_of(repo)->health;
}

void zk_pgr_note(struct zk_pgr *r, const struct zk_error *err)
{
	bool was = r->health.connected && r->health.writable;

	r->health.connected = zk_pg_is_up(r->conn[ZK_PGR_WRITER]);
	r->health.writable = r->health.connected && !err;
	if (err)
		(void)snprintf(r->health.reason, sizeof(r->health.reason), "%.150s",
		               err->msg);
	else
		r->health.reason[0] = 0;
	if (was == r->health.writable || r->closing)
		return;
	if (was)
		zk_logerr("store.write_failed", "error=%s", err ? err->msg : "");
	else
		zk_notice("the store can be written again");
	if (r->base.on_health)
		r->base.on_health(r->base.ctx, &r->health);
}

/* ---- the connections ------------------------------------------------------------------------ */

static void on_writer(void *ctx, bool up, const struct zk_error *err)
{
	struct zk_pgr *r = ctx;

	if (up) {
		zk_pgr_note(r, NULL);
		zk_pgr_pump_ingest(r);
		return;
	}
	zk_pgr_note(r, err);
	zk_pgr_fail_ingest(r, err);
}

static void on_ops(void *ctx, bool up, const struct zk_error *err)
{
	struct zk_pgr *r = ctx;

	if (up)
		zk_pgr_pump_ops(r);
	else
		zk_pgr_fail_ops(r, err);
}

/* Without a listening connection nobody tells of changes: every organization may be another. */
static void on_listener(void *ctx, bool up, const struct zk_error *err)
{
	struct zk_pgr *r = ctx;

	if (r->closing)
		return;
	if (!up)
		zk_debug("no listening connection", "error=%s", err->msg);
	if (r->base.on_deaf)
		r->base.on_deaf(r->base.ctx, !up);
}

static void on_notify(void *ctx, zk_str channel, zk_str payload, int from_pid)
{
	struct zk_pgr *r = ctx;
	zk_uuid org;

	if (from_pid == zk_pg_pid(r->conn[ZK_PGR_OPS]))
		return; /* this server knew when it committed */
	if (zk_str_eq(channel, ZK_STR(ZK_PGR_CHANNEL)) && zk_uuid_parse(payload, &org) &&
	    r->base.on_org_changed && !r->closing)
		r->base.on_org_changed(r->base.ctx, &org);
}

/* ---- the probe ------------------------------------------------------------------------------ */

static void on_probed(void *ctx, struct zk_pg_res *const *res, size_t n,
                      const struct zk_error *err)
{
	struct zk_pgr *r = ctx;
	int64_t skew;

	(void)n;
	r->probing = false;
	if (r->closing)
		return;
	if (err) {
		if (err->code != ZK_E_UNKNOWN_OUTCOME)
			zk_pgr_note(r, err);
		return;
	}
	skew = zk_pg_time(res[0], 0, 0) - zk_wall_us();
	if (llabs(skew) < SKEW_MIN_US)
		skew = 0;
	if (llabs(skew) > SKEW_WARN_US && llabs(skew - r->skew_us) > SKEW_WARN_US)
		zk_warn("the database's clock differs from this server's, deliveries go "
		        "by the database's",
		        "seconds=%.1f", (double)skew / 1e6);
	r->skew_us = skew;
	r->health.db_bytes = (uint64_t)zk_pg_i64(res[0], 0, 1);
	r->health.events = (uint64_t)ZK_MAX(zk_pg_i64(res[0], 0, 2), (int64_t)0);
	if (!r->health.writable)
		zk_pgr_note(r, NULL);
}

static void on_probe_timer(void *ctx)
{
	struct zk_pgr *r = ctx;
	struct zk_error err = { 0 };

	if (r->probing)
		return;
	(void)zk_pgr_params(r);
	r->probing = zk_pg_run(r->conn[ZK_PGR_HOUSE], ZK_PGR_PROBE, &r->params, on_probed,
	                       r, &err) == 0;
}

/* ---- the table ---------------------------------------------------------------------------- */

static void finish_free(void *ctx)
{
	struct zk_pgr *r = ctx;

	zk_pg_params_done(&r->params);
	for (size_t i = 0; i < ZK_PGR_ROLES; i++)
		free(r->setup[i]);
	zk_map_done(&r->leases);
	zk_secret_free(r->url);
	free(r);
}

static bool has_work(const struct zk_pgr *r)
{
	return r->writing || r->ingest.n || !zk_list_is_empty(&r->batches) ||
	       r->settling || r->outcomes.n || r->acks.n;
}

/* Everything that was taken is committed and answered, within the time a query may take. The loop
 * does not turn any more. */
static void settle(struct zk_pgr *r)
{
	int64_t until = zk_mono_ms() + QUERY_MS;

	while (has_work(r) && zk_mono_ms() < until) {
		struct zk_pg *writer = r->conn[ZK_PGR_WRITER], *ops = r->conn[ZK_PGR_OPS];

		zk_pgr_pump_ingest(r);
		zk_pgr_pump_ops(r);
		if (zk_pg_pending(writer) + zk_pg_pending(ops) == 0)
			break; /* no connection: what waits fails below */
		zk_pg_settle(writer, QUERY_MS);
		zk_pg_settle(ops, QUERY_MS);
	}
}

static void do_close(struct zk_trig_repo *repo)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_error err = { 0 };

	settle(r);
	zk_pgr_release_all(r);
	r->closing = true;
	zk_timer_free(r->probe_timer);
	zk_timer_free(r->keep_timer);
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "the store is closing");
	for (size_t i = 0; i < ZK_PGR_READER; i++)
		zk_pg_free(r->conn[i]);
	for (size_t i = 0; i < r->n_readers; i++)
		zk_pg_free(r->readers[i]);
	zk_pgr_fail_ingest(r, &err);
	zk_pgr_fail_ops(r, &err);
	zk_pg_dialer_free(r->dialer);
	/* Deferred work may still know the store; this runs behind it. */
	zk_loop_defer(r->loop, finish_free, r);
}

static const struct zk_trig_repo_ops pg_ops = {
	.ingest = zk_pgr_ingest,
	.create = zk_pgr_create,
	.find_key = zk_pgr_find_key,
	.find_org = zk_pgr_find_org,
	.rotate = zk_pgr_rotate,
	.key_update = zk_pgr_key_update,
	.webhook = zk_pgr_webhook,
	.page = zk_pgr_page,
	.event = zk_pgr_event,
	.ack = zk_pgr_ack,
	.replay = zk_pgr_replay,
	.claim = zk_pgr_claim,
	.release = zk_pgr_release,
	.outcome = zk_pgr_outcome,
	.count = zk_pgr_count,
	.health = get_health,
	.close = do_close,
};

/* ---- opening ------------------------------------------------------------------------------ */

static const char *const role_setup[ZK_PGR_ROLES] = {
	/* Statements of claims and pages must walk indexes in their order, whatever statistics a
	 * young table has. */
	[ZK_PGR_WRITER] = "",
	[ZK_PGR_OPS] = "SET enable_seqscan=off",
	[ZK_PGR_HOUSE] = "SET enable_seqscan=off;SET enable_bitmapscan=off;"
	                 "SET enable_hashjoin=off;SET enable_mergejoin=off",
	[ZK_PGR_LISTENER] = "LISTEN " ZK_PGR_CHANNEL,
	[ZK_PGR_READER] = "SET enable_seqscan=off;SET enable_bitmapscan=off;"
	                  "SET plan_cache_mode=force_custom_plan",
};

static void make_conf(struct zk_pgr *r, bool full)
{
	for (size_t i = 0; i < ZK_PGR_ROLES; i++) {
		/* A server that loses commits by its own configuration is told not to. */
		r->setup[i] = zk_asprintf(
		        "SET statement_timeout='%ds';SET lock_timeout='10s';SET jit=off;"
		        "SELECT set_config('synchronous_commit','%s',false)%s;%s",
		        QUERY_MS / 1000, full ? "on" : "off",
		        full ? " WHERE current_setting('synchronous_commit')='off'" : "",
		        role_setup[i]);
		r->conf[i] = (struct zk_pg_conf){
			.url = r->url,
			.app = "zk triggers",
			.query_ms = QUERY_MS + 2000,
			.setup = r->setup[i],
			.stmts = zk_pgr_sql,
			.n_stmts = i == ZK_PGR_LISTENER ? 0 : ZK_PGR_STMTS,
		};
	}
}

/* The schema is brought up to date before anything else looks at it. */
static int prepare(struct zk_pgr *r, const struct zk_trig_repo_conf *conf,
                   struct zk_error *err)
{
	struct zk_pg_conf c = { .url = r->url, .app = "zk triggers", .query_ms = -1 };
	ZK_CLEANUP(zk_pg_closep)
	struct zk_pg_conn *conn = NULL;

	if (zk_pg_open(&c, &conn, err) < 0 || zk_pgr_migrate(conn, NULL, err) < 0 ||
	    zk_pgr_check_whole(conn, err) < 0 ||
	    zk_pgr_check_secret(conn, conf->secret_check, conf->accept_new_secret, err) <
	            0)
		return -(int)err->code;
	return 0;
}

static void connect_all(struct zk_pgr *r, int connections)
{
	void (*const on_state[])(void *, bool, const struct zk_error *) = {
		[ZK_PGR_WRITER] = on_writer,
		[ZK_PGR_OPS] = on_ops,
		[ZK_PGR_HOUSE] = NULL,
		[ZK_PGR_LISTENER] = on_listener,
	};
	struct zk_pg_hooks hooks = { .ctx = r };
	int readers = ZK_MIN(ZK_MAX(connections - FIXED_CONNS, 1), ZK_PGR_MAX_READERS);

	for (size_t i = 0; i < ZK_PGR_READER; i++) {
		hooks.on_state = on_state[i];
		hooks.on_notify = i == ZK_PGR_LISTENER ? on_notify : NULL;
		r->conn[i] = zk_pg_new(r->loop, r->dialer, &r->conf[i], &hooks);
		if (i == ZK_PGR_WRITER) {
			/* A reader early: keys are looked up before anything else. */
			hooks.on_state = NULL;
			r->readers[r->n_readers++] = zk_pg_new(
			        r->loop, r->dialer, &r->conf[ZK_PGR_READER], &hooks);
		}
	}
	hooks.on_state = NULL;
	hooks.on_notify = NULL;
	while (r->n_readers < (size_t)readers)
		r->readers[r->n_readers++] =
		        zk_pg_new(r->loop, r->dialer, &r->conf[ZK_PGR_READER], &hooks);
}

/* Whether every connection stands, so that the first requests need not fail. */
static bool all_up(const struct zk_pgr *r)
{
	bool up = true;

	for (size_t i = 0; i < ZK_PGR_READER; i++)
		up = up && zk_pg_is_up(r->conn[i]);
	for (size_t i = 0; i < r->n_readers; i++)
		up = up && zk_pg_is_up(r->readers[i]);
	return up;
}

static int wait_up(struct zk_pgr *r, struct zk_error *err)
{
	int64_t until = zk_mono_ms() + START_MS;

	while (!all_up(r)) {
		bool stop = false;
		struct zk_timer *t;

		if (zk_mono_ms() > until) {
			(void)zk_fail(err, ZK_E_CONNECT,
			              "PostgreSQL does not give %zu connections",
			              r->n_readers + ZK_PGR_READER);
			return zk_err_hint(err, "raise max_connections there, or lower "
			                        "--db-connections");
		}
		t = zk_timer_new(r->loop, zk_trig_set_flag, &stop);
		zk_timer_start(t, 2, 0);
		zk_loop_until(r->loop, &stop);
		zk_timer_free(t);
	}
	return 0;
}

static void make_metrics(struct zk_pgr *r, struct zk_metrics *m)
{
	r->batch_events = zk_trig_metric_batch(m);
	r->commit_seconds = zk_trig_metric_commit(m);
	r->latency = zk_trig_metric_latency(m);
	for (size_t i = 0; i < ZK_PGR_KINDS; i++)
		r->ops[i] = zk_trig_metric_op(m, kind_names[i]);
}

static void set_up(struct zk_pgr *r, struct zk_loop *loop, struct zk_metrics *metrics,
                   const struct zk_trig_repo_conf *conf)
{
	zk_uuid me = zk_uuid_v4();

	r->base.ops = &pg_ops;
	r->loop = loop;
	r->url = zk_strdup(conf->db);
	zk_uuid_format(&me, r->me);
	r->dedup_window_us = conf->dedup_window_us;
	r->lease_us = ZK_MAX(conf->lease_us, MIN_LEASE_US);
	r->retain_us[0] = conf->retain_delivered_us;
	r->retain_us[1] = conf->retain_failed_us;
	r->retain_us[2] = conf->retain_pending_us;
	r->health.queue_capacity = conf->queue_events ? conf->queue_events : QUEUE_EVENTS;
	r->max_bytes = conf->queue_bytes ? conf->queue_bytes : QUEUE_BYTES;
	r->health.connected = r->health.writable = true;
	zk_pg_params_init(&r->params);
	zk_trig_news_init(&r->news, loop, &r->base);
	zk_list_init(&r->batches);
	zk_map_init(&r->leases);
	make_conf(r, conf->full);
	if (metrics)
		make_metrics(r, metrics);
}

int zk_pgr_open(struct zk_loop *loop, struct zk_metrics *metrics,
                const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                struct zk_error *err)
{
	struct zk_pgr *r = zk_new0(struct zk_pgr);

	set_up(r, loop, metrics, conf);
	if (prepare(r, conf, err) < 0 || zk_pg_dialer_new(loop, &r->dialer, err) < 0) {
		finish_free(r);
		return -(int)err->code;
	}
	connect_all(r, conf->connections);
	r->probe_timer = zk_timer_new(loop, on_probe_timer, r);
	r->keep_timer = zk_timer_new(loop, zk_pgr_on_keep_timer, r);
	zk_timer_weak(r->probe_timer, true);
	zk_timer_weak(r->keep_timer, true);
	if (wait_up(r, err) < 0) {
		do_close(&r->base);
		return -(int)err->code;
	}
	on_probe_timer(r);
	zk_timer_start(r->probe_timer, PROBE_MS, PROBE_MS);
	zk_timer_start(r->keep_timer, KEEP_FIRST_MS, 0);
	*ret = &r->base;
	return 0;
}
