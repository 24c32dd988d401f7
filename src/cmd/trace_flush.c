/* Sends what the spool holds for trace sessions.
 * Layer: cmd. specs/zeal-zip.md §6.6; ux.md §8. */
#include "cmd/trace_flush.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/spool_senders.h"
#include "cmd/trace.h"
#include "codec/jscan.h"
#include "rt/loop.h"
#include "zip/trace_push.h"
#include "zip/trace_session.h"

#include "base/ban.h"

#define BATCH_BYTES ((size_t)4 << 20)

struct flush {
	struct zk_spool_job *job;
	struct zeal z;
	struct zk_loop *loop;
	char *base, *name,
	        *session; /* `name` is that of the target, `session` the server's */
	struct zk_zip_push *push; /* of the mark below */
	char mark[TRACE_MARK_TEXT + 1];
	int64_t after;
	int64_t *unsent; /* ids, for zk_spool_fail */
	size_t n_unsent, room_unsent;
	bool idle;
	struct zk_error err; /* why it ends; code 0 = at the end, or stopped */
};

/* ---- options ---------------------------------------------------------------------------------- */

static const struct zk_opt rows[] = { ZEAL_ROWS, ZK_OPT_END };

/* Options as `zk trace` would have them, but for the server of the target. */
static int load_options(struct zk_app *app, const char *base, struct zk_optpool *pool,
                        struct zeal_opts *o, struct zk_error *err)
{
	if (zk_spool_options(app, rows, "zeal", pool, o, err) < 0)
		return -(int)err->code;
	if (!zk_spool_same_origin(o->base_url, base))
		o->token = o->api_key = (struct zk_secret){ 0 };
	o->base_url = base;
	return 0;
}

/* ---- events ----------------------------------------------------------------------------------- */

static void fail(struct flush *f, const struct zk_error *err)
{
	if (!f->err.code)
		f->err = *err;
}

static void ack(struct flush *f, const int64_t *ids, size_t n)
{
	struct zk_error err = { 0 };

	if (zk_spool_ack(f->job->spool, ids, n, NULL, &err) < 0)
		fail(f, &err);
	f->job->acked += n;
}

static void refuse(struct flush *f, const int64_t *ids, size_t n,
                   const struct zk_error *why)
{
	struct zk_error err = { 0 };

	if (zk_spool_fail(f->job->spool, ids, n, why ? why->msg : "refused",
	                  /* final */ true, &err) < 0)
		fail(f, &err);
	f->job->rejected += n;
}

static void note_unsent(struct flush *f, int64_t id)
{
	if (f->n_unsent == f->room_unsent) {
		f->room_unsent = f->room_unsent ? 2 * f->room_unsent : 256;
		f->unsent = zk_realloc(f->unsent, f->room_unsent * sizeof(*f->unsent));
	}
	f->unsent[f->n_unsent++] = id;
}

static void on_events(void *ctx, const struct zk_zip_batch *b, size_t from, size_t to,
                      enum zk_zip_push_what what, const struct zk_error *err)
{
	struct flush *f = ctx;
	int64_t *ids = zk_alloc_array(to - from, sizeof(*ids));

	for (size_t i = from; i < to; i++)
		ids[i - from] = b->v[i].spool_id;
	switch (what) {
	case ZK_ZIP_EV_STORED:
	case ZK_ZIP_EV_KNOWN:
	case ZK_ZIP_EV_SKIPPED:
		ack(f, ids, to - from);
		break;
	case ZK_ZIP_EV_REFUSED:
	case ZK_ZIP_EV_IN_DOUBT:
		refuse(f, ids, to - from, err);
		break;
	case ZK_ZIP_EV_UNSENT:
		for (size_t i = from; i < to; i++)
			note_unsent(f, b->v[i].spool_id);
		/* A stop that was asked for is no failure of this target. */
		if (!f->job->stopping && err)
			fail(f, err);
		break;
	}
	free(ids);
}

static void on_pause(void *ctx, bool pause)
{
	/* One batch of the spool at a time is given. */
	(void)ctx;
	(void)pause;
}

static void on_idle(void *ctx)
{
	struct flush *f = ctx;

	f->idle = true;
}

/* Waits until all that was given is settled. */
static void settle(struct flush *f)
{
	if (!f->push)
		return;
	f->idle = !zk_zip_push_waiting(f->push);
	zk_zip_push_flush(f->push);
	zk_loop_until(f->loop, &f->idle);
}

static void use_mark(struct flush *f, zk_str mark)
{
	const struct zk_retry_opts *r = &f->job->app->retry;

	if (f->push && zk_str_eq(zk_str_of(f->mark), mark))
		return;
	settle(f);
	zk_zip_push_free(f->push);
	memcpy(f->mark, mark.p, ZK_MIN(mark.n, (size_t)TRACE_MARK_TEXT));
	f->mark[ZK_MIN(mark.n, (size_t)TRACE_MARK_TEXT)] = '\0';
	struct zk_zip_push_conf conf = {
		.zip = f->z.zip,
		.session = f->session,
		.mark = f->mark,
		.timeout_ms = f->job->app->http.request_timeout_ms,
		.retry = { .max_retries = r->retries,
		           .base_ms = r->base_ms,
		           .cap_ms = r->cap_ms,
		           .max_time_ms = r->max_time_ms },
		/* The process that put it here may have tried before it was killed. */
		.look_first = true,
		.ctx = f,
		.on_events = on_events,
		.on_pause = on_pause,
		.on_idle = on_idle,
	};

	f->push = zk_zip_push_new(f->loop, &conf);
}

static void give_event(struct flush *f, const struct zk_spool_rec *rec)
{
	struct zk_zip_batch_event e = { .spool_id = rec->id };
	struct zk_error err = { 0 };
	struct zk_jval s, n;
	zk_str mark;

	if (!zk_jscan_get(rec->meta, ZK_STR("s"), &s) || !zk_jstr_plain(s.raw, &mark) ||
	    !zk_jscan_get(rec->meta, ZK_STR("n"), &n) || !zk_jnum_u64(n.raw, &e.seq)) {
		(void)zk_fail(&err, ZK_E_STORE_VERSION, "the record lacks its mark");
		refuse(f, &rec->id, 1, &err);
		return;
	}
	use_mark(f, mark);
	struct zk_buf *room = zk_zip_push_room(f->push);

	e.at = room->n;
	zk_buf_add(room, rec->body);
	zk_zip_push_added(f->push, &e);
}

/* ---- sessions --------------------------------------------------------------------------------- */

/* The server's session for a local one, kept with the target until its last record went. */
static int open_session(struct flush *f, zk_str body, struct zk_error *err)
{
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&id, 4096);
	int r = zk_spool_attachment(f->job->spool, &f->job->target, ZK_STR("session"),
	                            &id, err);

	if (r == 0) {
		r = zk_zip_session_open(f->z.zip, body, &id, err);
		if (r == 0)
			r = zk_spool_attach(f->job->spool, &f->job->target,
			                    ZK_STR("session"), zk_buf_str(&id), err);
	}
	if (r < 0)
		return r;
	free(f->session);
	f->session = zk_strdup(zk_buf_cstring(&id));
	return 0;
}

/* Records of a local session whose start is gone already. */
static int know_session(struct flush *f, struct zk_error *err)
{
	if (f->session)
		return 0;
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&id, 4096);
	int r = zk_spool_attachment(f->job->spool, &f->job->target, ZK_STR("session"),
	                            &id, err);

	if (r == 0)
		r = zk_fail(err, ZK_E_DATA, "nothing is known of how session %s begins",
		            f->name);
	if (r < 0)
		return r;
	f->session = zk_strdup(zk_buf_cstring(&id));
	return 0;
}

static void other_op(struct flush *f, const struct zk_spool_rec *rec, bool is_start)
{
	struct zk_error err = { 0 };
	int r;

	settle(f);
	if (f->err.code)
		return;
	r = is_start ? open_session(f, rec->body, &err) : know_session(f, &err);
	if (r == 0 && !is_start)
		r = zk_zip_session_complete(f->z.zip, f->session, rec->body, &err);
	if (r == 0)
		ack(f, &rec->id, 1);
	else
		fail(f, &err);
}

static void give(struct flush *f, const struct zk_spool_rec *rec)
{
	struct zk_error err = { 0 };
	struct zk_jval op = { 0 };

	(void)zk_jscan_get(rec->meta, ZK_STR("op"), &op);
	if (zk_jstr_eq(op.raw, ZK_STR("start"))) {
		other_op(f, rec, true);
	} else if (zk_jstr_eq(op.raw, ZK_STR("complete"))) {
		other_op(f, rec, false);
	} else if (know_session(f, &err) < 0) {
		fail(f, &err);
	} else {
		give_event(f, rec);
	}
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void note_failures(struct flush *f)
{
	struct zk_error err = { 0 };

	if (f->n_unsent && f->err.code &&
	    zk_spool_fail(f->job->spool, f->unsent, f->n_unsent, f->err.msg,
	                  /* final */ false, &err) < 0)
		fail(f, &err);
	f->n_unsent = 0;
}

/* False at the end. */
static bool step(struct flush *f)
{
	struct zk_spool_want want = { .after = f->after,
		                      .max = ZK_ZIP_BATCH_EVENTS,
		                      .max_bytes = BATCH_BYTES };
	struct zk_spool_batch b = { 0 };
	struct zk_error err = { 0 };

	if (f->err.code || f->job->stopping)
		return false;
	if (zk_spool_next(f->job->spool, &f->job->target, &want, &b, &err) < 0) {
		fail(f, &err);
		return false;
	}
	bool some = b.n > 0;

	for (size_t i = 0; i < b.n && !f->err.code && !f->job->stopping; i++) {
		f->after = b.v[i].id;
		give(f, &b.v[i]);
	}
	settle(f);
	note_failures(f);
	zk_spool_batch_done(&b);
	return some;
}

static void on_stop(void *ctx, bool now)
{
	struct flush *f = ctx;
	struct zk_error err = { 0 };

	if (!now || !f->push)
		return;
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	zk_zip_push_abort(f->push, &err);
	f->idle = true;
}

static int run(struct flush *f, struct zk_error *err)
{
	f->job->on_stop = on_stop;
	f->job->stop_ctx = f;
	while (step(f))
		;
	f->job->on_stop = NULL;
	zk_zip_push_free(f->push);
	if (!f->err.code)
		return 0;
	*err = f->err;
	return -(int)err->code;
}

int zk_trace_spool_flush(struct zk_spool_job *job, struct zk_error *err)
{
	struct flush f = { .job = job };
	struct zk_optpool pool = { 0 };
	struct zeal_opts o = { 0 };
	int r;

	if (!trace_dest_parse(job->target.dest, &f.base, &f.name))
		return zk_fail(err, ZK_E_DATA, "'%.*s' names no trace session",
		               ZK_STR_ARG(job->target.dest));
	if (!trace_is_local(f.name))
		f.session = zk_strdup(f.name);
	f.loop = zk_app_loop(job->app, err);
	r = f.loop ? load_options(job->app, f.base, &pool, &o, err) : -(int)err->code;
	if (r == 0)
		r = zeal_open(job->app, &o, /* patient */ false, &f.z, err);
	if (r == 0)
		r = run(&f, err);
	zeal_close(&f.z);
	zk_optpool_done(&pool);
	free(f.base);
	free(f.name);
	free(f.session);
	free(f.unsent);
	return r;
}
