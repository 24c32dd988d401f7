/* Sends what the spool holds for a triggers server.
 * Layer: cmd. specs/triggers.md §14.1; ux.md §8. */
#include "cmd/triggers_flush.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/spool_senders.h"
#include "cmd/triggers_client.h"
#include "codec/jscan.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "triggers/sender.h"

#include "base/ban.h"

#define MAX_REASON 500

struct flush {
	struct zk_spool_job *job;
	struct trig_session s;
	struct zk_loop *loop;
	struct zk_trig_sender *sender;
	int64_t after; /* the last id that was taken */
	int64_t done[TRIG_BATCH_EVENTS], unsent[TRIG_BATCH_EVENTS];
	size_t n_done, n_unsent;
	bool over;
	struct zk_error err; /* why it ends; code 0 = at the end, or stopped */
};

/* ---- answers ------------------------------------------------------------------------------ */

static void fail(struct flush *f, const struct zk_error *err)
{
	if (!f->err.code)
		f->err = *err;
}

static void reject(struct flush *f, const struct zk_trig_record *rec,
                   const struct zk_trig_answer *a)
{
	struct zk_error err = { 0 };
	ZK_CLEANUP(zk_freep)
	char *why = zk_strndup(a->reason.p ? a->reason.p : "",
	                       ZK_MIN(a->reason.n, (size_t)MAX_REASON));

	f->job->rejected++;
	if (zk_spool_fail(f->job->spool, &rec->spool_id, 1, why, /* final */ true, &err) <
	    0)
		fail(f, &err);
}

static void on_answer(void *ctx, struct zk_trig_record *rec,
                      const struct zk_trig_answer *a)
{
	struct flush *f = ctx;

	switch (a->what) {
	case ZK_TRIG_SENT:
	case ZK_TRIG_DUPLICATE:
		f->done[f->n_done++] = rec->spool_id;
		break;
	case ZK_TRIG_REJECTED:
		reject(f, rec, a);
		break;
	case ZK_TRIG_UNSENT:
		f->unsent[f->n_unsent++] = rec->spool_id;
		/* A stop that was asked for is no failure of this target. */
		if (!f->job->stopping)
			fail(f, a->err);
		break;
	}
	free(rec);
}

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	(void)ctx;
	zk_say("%s; attempt %u of %u in %.1f s", err->msg, retry + 1, max + 1,
	       (double)wait_ms / 1000);
}

static void on_pause(void *ctx, bool pause)
{
	/* One batch at a time is given. */
	(void)ctx;
	(void)pause;
}

/* ---- batch after batch -------------------------------------------------------------------- */

static void take_dedup(struct zk_trig_record *rec)
{
	struct zk_jval v;

	if (zk_jscan_get(zk_str_n(rec->text, rec->n), ZK_STR("dedup_id"), &v) &&
	    v.type == ZK_J_STRING && v.raw.n > 2)
		rec->dedup = v.raw;
}

/* Gives the sender the next records; false when there are none, or an error. */
static bool give_batch(struct flush *f)
{
	struct zk_spool_want want = { .after = f->after,
		                      .max = TRIG_BATCH_EVENTS,
		                      .max_bytes = TRIG_BATCH_BYTES };
	struct zk_spool_batch b = { 0 };
	struct zk_error err = { 0 };

	if (zk_spool_next(f->job->spool, &f->job->target, &want, &b, &err) < 0) {
		fail(f, &err);
		return false;
	}
	for (size_t i = 0; i < b.n; i++) {
		struct zk_trig_record *rec = zk_trig_record_new(b.v[i].body);

		rec->spool_id = f->after = b.v[i].id;
		rec->source = "spool";
		take_dedup(rec);
		zk_trig_sender_push(f->sender, rec);
	}
	bool some = b.n > 0;

	zk_spool_batch_done(&b);
	return some;
}

static void settle(struct flush *f)
{
	struct zk_error err = { 0 };
	size_t n = 0;

	if (f->n_done && zk_spool_ack(f->job->spool, f->done, f->n_done, &n, &err) < 0)
		fail(f, &err);
	f->job->acked += f->n_done;
	f->n_done = 0;
	if (f->n_unsent && f->err.code &&
	    zk_spool_fail(f->job->spool, f->unsent, f->n_unsent, f->err.msg,
	                  /* final */ false, &err) < 0)
		fail(f, &err);
	f->n_unsent = 0;
}

static void step(void *ctx)
{
	struct flush *f = ctx;

	if (f->over || zk_trig_sender_waiting(f->sender))
		return;
	settle(f);
	if (f->err.code || f->job->stopping || !give_batch(f))
		f->over = true;
	else
		zk_trig_sender_flush(f->sender);
}

static void on_idle(void *ctx)
{
	struct flush *f = ctx;

	zk_loop_defer(f->loop, step, f);
}

static void on_stop(void *ctx, bool now)
{
	struct flush *f = ctx;
	struct zk_error err = { 0 };

	if (!now)
		return;
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	zk_trig_sender_abort(f->sender, &err);
	zk_loop_defer(f->loop, step, f);
}

static int run(struct flush *f, struct zk_error *err)
{
	struct zk_trig_sender_conf conf = {
		.client = &f->s.client,
		.batch_bytes = TRIG_BATCH_BYTES,
		.ctx = f,
		.on_answer = on_answer,
		.on_retry = on_retry,
		.on_pause = on_pause,
		.on_idle = on_idle,
	};

	if (trig_batch_limit(&f->s, /* once */ false, &conf.batch_events, err) < 0)
		return -(int)err->code;
	f->sender = zk_trig_sender_new(f->loop, &conf);
	f->job->on_stop = on_stop;
	f->job->stop_ctx = f;
	zk_loop_defer(f->loop, step, f);
	zk_loop_until(f->loop, &f->over);
	f->job->on_stop = NULL;
	zk_loop_forget(f->loop, step, f);
	zk_trig_sender_free(f->sender);
	if (!f->err.code)
		return 0;
	*err = f->err;
	return -(int)err->code;
}

int zk_triggers_spool_flush(struct zk_spool_job *job, struct zk_error *err)
{
	struct flush *f = zk_new0(struct flush);
	struct zk_optpool pool = { 0 };
	struct trig_opts o = { 0 };
	char *url = zk_strndup(job->target.dest.p, job->target.dest.n);

	f->job = job;
	f->loop = zk_app_loop(job->app, err);
	int r = f->loop ? trig_options_for(job->app, url, &pool, &o, err)
	                : -(int)err->code;

	if (r == 0)
		r = trig_open(job->app, &o, /* need_key */ true, &f->s, err);
	if (r == 0) {
		f->s.client.retry.cap_ms =
		        ZK_MAX(f->s.client.retry.cap_ms, (int64_t)TRIG_BUSY_CAP_MS);
		r = run(f, err);
	}
	trig_close(&f->s);
	zk_optpool_done(&pool);
	free(url);
	free(f);
	return r;
}
