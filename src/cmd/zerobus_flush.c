/* Sends what the spool holds for tables.
 * Layer: cmd. specs/zerobus.md §14.4; ux.md §8. */
#include "cmd/zerobus_flush.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/spool_senders.h"
#include "cmd/zerobus_client.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "zerobus/keep.h"
#include "zerobus/proto.h"
#include "zerobus/request.h"

#include "base/ban.h"

#define BATCH_ROWS  1000
#define BATCH_BYTES ((size_t)1 << 20)
#define AHEAD_BYTES ((size_t)16 << 20) /* read before what is under way has an outcome */

struct flush {
	struct zk_spool_job *job;
	struct zb_client c; /* its kind: of the latest record */
	struct zk_loop *loop;
	int64_t after;    /* the last id that was taken */
	size_t under_way; /* bytes without an outcome */
	bool read, over;
	struct zk_error err; /* why it ends; code 0 = at the end, or stopped */
};

static void step(void *ctx);

/* ---- options ---- */

/* "HOST/TABLE" of the target against what is configured: credentials go to no other host. */
static int load_options(struct flush *f, struct zk_error *err)
{
	struct zb_opts *o = &f->c.o;
	struct zk_zb_endpoint at = { 0 };
	zk_str host, name = zk_str_cut(f->job->target.dest, '/', &host);
	bool same;

	if (zb_client_load(&f->c, f->job->app, err) < 0)
		return -(int)err->code;
	if (!o->endpoint)
		return zk_fail(err, ZK_E_ZB_ENDPOINT,
		               "no zerobus.endpoint is configured");
	if (zk_zb_endpoint_parse(o->endpoint, o->insecure_http, &at, err) < 0)
		return -(int)err->code;
	same = zk_str_eq(zk_str_of(at.host), host);
	zk_zb_endpoint_done(&at);
	if (!same) {
		(void)zk_fail(
		        err, ZK_E_ORIGIN,
		        "the rows are for '%.*s', the configured endpoint is another",
		        ZK_STR_ARG(host));
		return zk_err_hint(err, "choose the profile of that endpoint with -p");
	}
	o->table = zk_optpool_str(&f->c.pool, name);
	return 0;
}

/* ---- outcomes ---- */

static void fail(struct flush *f, const struct zk_error *err)
{
	if (!f->err.code)
		f->err = *err;
}

static void settled(struct flush *f, struct zk_zb_request *r)
{
	f->under_way -= ZK_MIN(f->under_way, r->n);
	zk_zb_request_free(r);
	zk_loop_defer(f->loop, step, f);
}

static void on_acked(void *ctx, struct zk_zb_request *r, size_t stream)
{
	struct flush *f = ctx;
	struct zk_error err = { 0 };

	(void)stream;
	if (zk_spool_ack(f->job->spool, r->spool_ids, r->rows, NULL, &err) < 0)
		fail(f, &err);
	f->job->acked += r->rows;
	settled(f, r);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *why,
                        bool suspect)
{
	struct flush *f = ctx;
	struct zk_error err = { 0 };

	(void)suspect;
	if (zk_spool_fail(f->job->spool, r->spool_ids, r->rows, why->msg,
	                  /* final */ true, &err) < 0)
		fail(f, &err);
	f->job->rejected += r->rows;
	settled(f, r);
}

static void on_unsent(void *ctx, struct zk_zb_request *r, const struct zk_error *why)
{
	struct flush *f = ctx;
	struct zk_error err = { 0 };

	/* A stop that was asked for is no failure of this target. */
	if (!f->job->stopping) {
		if (zk_spool_fail(f->job->spool, r->spool_ids, r->rows, why->msg,
		                  /* final */ false, &err) < 0)
			fail(f, &err);
		fail(f, why);
	}
	settled(f, r);
}

static void on_retry(void *ctx, size_t stream, const struct zk_zb_retrying *r)
{
	(void)ctx;
	(void)stream;
	if (r->attempt)
		zk_say("%s; attempt %u of %u in %.1f s", r->err->msg, r->attempt, r->of,
		       (double)r->wait_ms / 1000);
}

static void on_over(void *ctx, const struct zk_error *err)
{
	struct flush *f = ctx;

	if (err && !f->job->stopping)
		fail(f, err);
	f->over = true;
}

/* ---- reading ---- */

static int add_record(struct flush *f, const struct zk_spool_rec *rec,
                      struct zk_zb_request **open, struct zk_error *err)
{
	struct zk_zb_kept kept;
	struct zk_zb_request *r = *open;

	if (zk_zb_keep_read(f->job->spool, &f->job->target, rec, f->c.kind, &kept, err) <
	    0)
		return -(int)err->code;
	if (kept.kind != f->c.kind) {
		zk_zb_kind_unref(f->c.kind);
		f->c.kind = kept.kind;
	} else {
		zk_zb_kind_unref(kept.kind);
	}
	free(kept.source);
	if (r && !zk_zb_kind_same(r->kind, f->c.kind)) {
		zk_zb_sender_push(f->c.sender, r);
		r = NULL;
	}
	if (!r) {
		r = *open = zk_zb_request_new(f->c.kind, "spool");
		r->spool_ids = zk_alloc_array(BATCH_ROWS, sizeof(*r->spool_ids));
	}
	r->spool_ids[r->rows] = rec->id;
	zk_zb_request_add(r, rec->body, kept.row, kept.line);
	f->under_way += zk_zb_row_size(rec->body.n);
	f->after = rec->id;
	return 0;
}

/* Gives the sender the next records; false at the end, or with an error. */
static bool give_batch(struct flush *f)
{
	struct zk_spool_want want = { .after = f->after,
		                      .max = BATCH_ROWS,
		                      .max_bytes = BATCH_BYTES };
	struct zk_spool_batch b = { 0 };
	struct zk_zb_request *open = NULL;
	struct zk_error err = { 0 };
	bool some = false;

	if (zk_spool_next(f->job->spool, &f->job->target, &want, &b, &err) < 0) {
		fail(f, &err);
		return false;
	}
	for (size_t i = 0; i < b.n && !err.code; i++)
		if (add_record(f, &b.v[i], &open, &err) < 0)
			fail(f, &err);
	some = b.n > 0 && !err.code;
	if (open)
		zk_zb_sender_push(f->c.sender, open);
	zk_spool_batch_done(&b);
	return some;
}

static void step(void *ctx)
{
	struct flush *f = ctx;

	while (!f->read && !f->over && f->under_way < AHEAD_BYTES)
		f->read = f->err.code || f->job->stopping || !give_batch(f);
	if (f->read && !f->over)
		zk_zb_sender_finish(f->c.sender);
}

static void on_stop(void *ctx, bool now)
{
	struct flush *f = ctx;
	struct zk_error err = { 0 };

	f->read = true;
	if (!now) {
		zk_zb_sender_hurry(f->c.sender);
		return;
	}
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	zk_zb_sender_abort(f->c.sender, &err);
}

static int run(struct flush *f, struct zk_error *err)
{
	struct zk_zb_sender_conf *conf = &f->c.conf;

	if (load_options(f, err) < 0 || zb_client_open(&f->c, f->job->app, err) < 0)
		return -(int)err->code;
	conf->ctx = f;
	conf->on_acked = on_acked;
	conf->on_rejected = on_rejected;
	conf->on_unsent = on_unsent;
	conf->on_retry = on_retry;
	conf->on_over = on_over;
	f->c.sender = zk_zb_sender_new(conf);
	f->job->on_stop = on_stop;
	f->job->stop_ctx = f;
	zk_loop_defer(f->loop, step, f);
	zk_loop_until(f->loop, &f->over);
	f->job->on_stop = NULL;
	zk_loop_forget(f->loop, step, f);
	if (!f->err.code)
		return 0;
	*err = f->err;
	return -(int)err->code;
}

int zk_zerobus_spool_flush(struct zk_spool_job *job, struct zk_error *err)
{
	struct flush *f = zk_new0(struct flush);
	int r;

	f->job = job;
	f->loop = zk_app_loop(job->app, err);
	r = f->loop ? run(f, err) : -(int)err->code;
	zb_client_close(&f->c, "stopped");
	free(f);
	return r;
}
