/* A few events into a session.
 * Layer: cmd. specs/zeal-zip.md §6.8. */
#include "cmd/trace_emit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/spool_cmd.h"
#include "codec/jwrite.h"
#include "rt/loop.h"
#include "zip/trace_event.h"
#include "zip/trace_push.h"

#include "base/ban.h"

/* An event that the spool is to keep. */
struct kept {
	char *text;
	size_t n;
	uint64_t seq;
};

struct trace_emit {
	struct zeal *z;
	const char *session;
	struct zk_loop *loop;
	char mark[TRACE_MARK_TEXT + 1];
	uint64_t seq;
	struct zk_zip_push *push; /* NULL = straight to the spool */
	struct zk_zip_sum sum;
	struct kept *v;
	size_t n;
	struct trace_emit_result res;
	bool idle, late;
};

static void keep(struct trace_emit *e, zk_str text, uint64_t seq)
{
	e->v = zk_realloc(e->v, (e->n + 1) * sizeof(*e->v));
	e->v[e->n++] = (struct kept){ zk_strndup(text.p, text.n), text.n, seq };
}

static void on_events(void *ctx, const struct zk_zip_batch *b, size_t from, size_t to,
                      enum zk_zip_push_what what, const struct zk_error *err)
{
	struct trace_emit *e = ctx;
	unsigned n = (unsigned)(to - from);

	if (err && !e->res.err.code)
		e->res.err = *err;
	switch (what) {
	case ZK_ZIP_EV_STORED:
	case ZK_ZIP_EV_KNOWN:
	case ZK_ZIP_EV_SKIPPED:
		e->res.sent += n;
		break;
	case ZK_ZIP_EV_REFUSED:
		e->res.refused += n;
		break;
	case ZK_ZIP_EV_UNSENT:
	case ZK_ZIP_EV_IN_DOUBT:
		for (size_t i = from; i < to; i++)
			keep(e, zk_zip_batch_text(b, i), b->v[i].seq);
		break;
	}
}

static void on_pause(void *ctx, bool pause)
{
	/* There are a few only. */
	(void)ctx;
	(void)pause;
}

static void on_idle(void *ctx)
{
	struct trace_emit *e = ctx;

	e->idle = true;
}

void trace_event_begin(struct zk_jwrite *w, struct zk_buf *b, const char *node,
                       const char *port, const char *type)
{
	zk_jwrite_init(w, b);
	zk_jw_obj(w);
	zk_jw_key(w, "timestamp");
	zk_jw_i64(w, zk_wall_us() / 1000);
	zk_jw_key(w, "nodeId");
	zk_jw_cstr(w, node);
	if (port) {
		zk_jw_key(w, "portId");
		zk_jw_cstr(w, port);
	}
	zk_jw_key(w, "eventType");
	zk_jw_cstr(w, type);
}

void trace_event_error(struct zk_jwrite *w, const char *text)
{
	zk_jw_key(w, "error");
	zk_jw_obj(w);
	zk_jw_key(w, "message");
	zk_jw_cstr(w, text);
	zk_jw_obj_end(w);
}

struct trace_emit *trace_emit_new(struct zeal *z, const char *session)
{
	struct trace_emit *e = zk_new0(struct trace_emit);

	e->z = z;
	e->session = session;
	e->loop = z->app->loop;
	e->idle = true;
	trace_make_mark(e->mark);
	zk_zip_sum_init(&e->sum);
	struct zk_zip_push_conf conf = {
		.zip = z->zip,
		.session = session,
		.mark = e->mark,
		.batch = 1,
		.timeout_ms = z->app->http.request_timeout_ms,
		.retry = { .max_retries = z->app->retry.retries,
		           .base_ms = z->app->retry.base_ms,
		           .cap_ms = z->app->retry.cap_ms,
		           .max_time_ms = z->app->retry.max_time_ms },
		.ctx = e,
		.on_events = on_events,
		.on_pause = on_pause,
		.on_idle = on_idle,
	};

	if (!trace_is_local(session))
		e->push = zk_zip_push_new(e->loop, &conf);
	return e;
}

int trace_emit_event(struct trace_emit *e, zk_str event, struct zk_error *err)
{
	struct zk_zip_event_conf conf = { .mark = zk_str_of(e->mark),
		                          .now_ms = zk_wall_us() / 1000 };
	struct zk_buf own ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf *room = e->push ? zk_zip_push_room(e->push) : &own;
	struct zk_zip_event info;
	size_t at;

	zk_buf_init(&own, 2 * ZK_ZIP_EVENT_MAX);
	at = room->n;
	if (zk_zip_event_take(&conf, event, e->seq, room, &info, err) < 0)
		return zk_wrap(err, "the event");
	zk_zip_sum_add(&e->sum, &info);
	if (!e->push) {
		keep(e, zk_buf_str(&own), e->seq++);
		return 0;
	}
	e->idle = false;
	zk_zip_push_added(e->push,
	                  &(struct zk_zip_batch_event){ .at = at, .seq = e->seq++ });
	return 0;
}

static void on_late(void *ctx)
{
	struct trace_emit *e = ctx;

	e->late = e->idle = true;
}

static void wait(struct trace_emit *e, int64_t most_ms)
{
	struct zk_error err = { 0 };

	if (!e->push)
		return;
	struct zk_timer *t = zk_timer_new(e->loop, on_late, e);

	if (most_ms >= 0)
		zk_timer_start(t, most_ms, 0);
	zk_loop_until(e->loop, &e->idle);
	zk_timer_free(t);
	if (!e->late || !zk_zip_push_waiting(e->push))
		return;
	(void)zk_fail(&err, ZK_E_TIMEOUT, "the Zeal server did not answer in time");
	zk_zip_push_abort(e->push, &err);
}

static int spool(struct trace_emit *e, struct zk_error *err)
{
	struct zk_spool *sp ZK_CLEANUP(zk_spool_closep)
	= NULL;
	struct zk_buf dest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!e->z->app->spool.enabled)
		return zk_fail(err, ZK_E_HTTP_BUSY, "%zu events were not sent: %s", e->n,
		               e->res.err.msg);
	zk_buf_init(&dest, ZK_SPOOL_TEXT_MAX);
	zk_buf_init(&text, TRACE_PUT_TEXT);
	(void)zk_buf_reserve(&text, TRACE_PUT_TEXT); /* within the cap */
	trace_dest(zk_zip_base(e->z->zip), e->session, &dest);
	if (spool_make(e->z->app, /* own */ false, &sp, err) < 0)
		return -(int)err->code;
	struct zk_spool_target target = { .kind = ZK_STR("trace"),
		                          .dest = zk_buf_str(&dest) };

	for (size_t i = 0; i < e->n; i++) {
		struct zk_spool_put put = { .body = zk_str_n(e->v[i].text, e->v[i].n) };

		zk_buf_clear(&text);
		trace_event_put(zk_str_of(e->mark), e->v[i].seq, 0, &text, &put);
		if (zk_spool_append(sp, &target, &put, 1, err) < 0)
			return -(int)err->code;
		if (put.result == ZK_SPOOL_DROPPED)
			return zk_fail(err, ZK_E_SPOOL_FULL, "the spool is full");
		e->res.spooled++;
	}
	return 0;
}

int trace_emit_end(struct trace_emit *e, int64_t most_ms, struct trace_emit_result *ret,
                   struct zk_error *err)
{
	int r = 0;

	wait(e, most_ms);
	if (e->n)
		r = spool(e, err);
	if (e->seq)
		trace_sum_save(e->z->app, e->session, &e->sum);
	*ret = e->res;
	if (r == 0 && e->res.refused) {
		*err = e->res.err;
		r = -(int)err->code;
	}
	return r;
}

void trace_emit_free(struct trace_emit *e)
{
	if (!e)
		return;
	zk_zip_push_free(e->push);
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].text);
	free(e->v);
	zk_zip_sum_done(&e->sum);
	free(e);
}
