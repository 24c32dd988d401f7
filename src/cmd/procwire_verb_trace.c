/* zk:trace.push: events of a trace session, acknowledged when the spool has them on disk.
 * Layer: cmd. specs/cli.md §Procwire, specs/zeal-zip.md §6.
 *
 * A call is {session, event} or {session, events: […]}; without a session that of the
 * environment. All its events are checked first, then stored in one transaction; `zk spool flush`
 * sends them. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/procwire_verbs.h"
#include "cmd/spool_cmd.h"
#include "cmd/trace.h"
#include "codec/msgpack.h"
#include "store/spool_lane.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define EVENTS_MAX 1000
#define CALL_MAX   ((size_t)64 << 20)

struct verb {
	struct zk_app *app;
	const struct procwire_remotes *remotes;
	struct zk_spool_lane *lane;
	char mark[TRACE_MARK_TEXT + 1];
	uint64_t seq;
};

/* One call on its way to the disk. */
struct call {
	struct zk_spool_op op;
	struct zk_spool_target target;
	struct zk_pw_req
	        *req; /* NULL: it was given up, the events are stored all the same */
	struct zk_buf dest, bodies, texts;
	struct zk_spool_put *v;
	size_t n;
};

static void call_free(struct call *c)
{
	zk_buf_done(&c->dest);
	zk_buf_done(&c->bodies);
	zk_buf_done(&c->texts);
	free(c->v);
	free(c);
}

static void on_stored(struct zk_spool_op *op)
{
	struct call *c = ZK_CONTAINER_OF(op, struct call, op);
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	size_t dropped = 0;

	zk_buf_init(&b, 64);
	for (size_t i = 0; i < c->n; i++)
		dropped += c->v[i].result == ZK_SPOOL_DROPPED;
	if (c->req && op->r == 0 && dropped)
		op->r = zk_fail(&op->err, ZK_E_SPOOL_FULL,
		                "the spool is full: %zu of %zu events were dropped",
		                dropped, c->n);
	if (c->req && op->r == 0) {
		zk_mp_map(&b, 1);
		zk_mp_cstr(&b, "spooled");
		zk_mp_u64(&b, c->n);
		op->r = procwire_answer(c->req, zk_buf_str(&b), &op->err);
	}
	if (c->req && op->r < 0)
		(void)zk_pw_fail(c->req, &op->err);
	if (c->req)
		zk_pw_done(c->req);
	call_free(c);
}

/* Checks one event (msgpack) and puts it behind the others. */
static int add_event(struct verb *v, struct call *c, zk_str value, struct zk_error *err)
{
	struct zk_buf json ZK_CLEANUP(zk_buf_done);
	struct zk_zip_event_conf conf = { .mark = zk_str_of(v->mark),
		                          .now_ms = zk_wall_us() / 1000 };
	struct zk_zip_event ev = { 0 };
	size_t at = c->bodies.n;
	uint64_t seq = v->seq + 1;

	zk_buf_init(&json, ZK_ZIP_EVENT_MAX);
	if (zk_mp_to_json(value, &json, err) < 0 ||
	    zk_zip_event_take(&conf, zk_buf_str(&json), seq, &c->bodies, &ev, err) < 0)
		return zk_wrap(err, "event %zu", c->n);
	v->seq = seq;
	/* Offsets until nothing moves any more. */
	c->v[c->n].body = zk_str_n(NULL, c->bodies.n - at);
	c->v[c->n++].id = (int64_t)seq;
	return 0;
}

static int add_events(struct verb *v, struct call *c, zk_str payload,
                      struct zk_error *err)
{
	struct zk_mpval head = { 0 };
	zk_str list;

	c->v = zk_alloc_array(EVENTS_MAX, sizeof(*c->v));
	if (zk_mp_get(payload, ZK_STR("event"), &list))
		return add_event(v, c, list, err);
	if (!zk_mp_get(payload, ZK_STR("events"), &list) || !zk_mp_next(&list, &head) ||
	    head.type != ZK_MP_ARRAY)
		return zk_fail(err, ZK_E_DATA,
		               "trace.push takes {session, event} or "
		               "{session, events: [...]}");
	if (head.n == 0 || head.n > EVENTS_MAX)
		return zk_fail(err, ZK_E_LIMIT,
		               "%u events in one call, 1 to %d are taken", head.n,
		               EVENTS_MAX);
	for (uint32_t i = 0; i < head.n; i++)
		if (add_event(v, c, zk_mp_take(&list), err) < 0)
			return -(int)err->code;
	return 0;
}

/* Bodies, meta and keys get their places. */
static void settle(const struct verb *v, struct call *c)
{
	const char *body = c->bodies.p;

	(void)zk_buf_reserve(&c->texts, c->n * TRACE_PUT_TEXT);
	for (size_t i = 0; i < c->n; i++) {
		size_t n = c->v[i].body.n;
		uint64_t seq = (uint64_t)c->v[i].id;

		c->v[i] = (struct zk_spool_put){ .body = zk_str_n(body, n) };
		trace_event_put(zk_str_of(v->mark), seq, 0, &c->texts, &c->v[i]);
		body += n;
	}
}

static int make_call(struct verb *v, struct call *c, zk_str payload, struct zk_error *err)
{
	struct trace_opts none = { 0 };
	const char *session = NULL;
	ZK_CLEANUP(zk_freep)
	char *own = NULL;
	zk_str s;

	zk_buf_init(&c->dest, ZK_SPOOL_TEXT_MAX);
	zk_buf_init(&c->bodies, CALL_MAX);
	zk_buf_init(&c->texts, EVENTS_MAX * TRACE_PUT_TEXT);
	if (zk_mp_get_str(payload, ZK_STR("session"), &s)) {
		own = zk_strndup(s.p, s.n);
		none.session = own;
	}
	if (trace_session(&none, &session, err) < 0 || add_events(v, c, payload, err) < 0)
		return -(int)err->code;
	settle(v, c);
	trace_dest(v->remotes->zeal_url, session, &c->dest);
	c->target = (struct zk_spool_target){ .kind = ZK_STR("trace"),
		                              .dest = zk_buf_str(&c->dest) };
	c->op = (struct zk_spool_op){ .what = ZK_SPOOL_DO_APPEND,
		                      .target = &c->target,
		                      .v = c->v,
		                      .n = c->n,
		                      .done = on_stored };
	if (!zk_spool_lane_do(v->lane, &c->op))
		return zk_fail(err, ZK_E_LIMIT, "too many events wait for the disk");
	return 0;
}

static void forget(struct zk_pw_req *req)
{
	struct call *c = zk_pw_data(req);

	c->req = NULL;
}

static void on_cancel(void *ctx)
{
	struct call *c = ctx;
	struct zk_pw_req *req = c->req;

	forget(req);
	zk_pw_done(req);
}

static enum zk_pw_then push_request(struct zk_pw_req *req, zk_str payload)
{
	struct call *c = zk_new0(struct call);
	struct zk_error err = { 0 };

	c->req = req;
	if (make_call(zk_pw_method_of(req)->conf, c, payload, &err) < 0) {
		call_free(c);
		return zk_pw_fail(req, &err);
	}
	zk_pw_set_data(req, c);
	zk_pw_on_cancel(req, on_cancel, c);
	return ZK_PW_THEN_KEEP;
}

const struct zk_pw_handler procwire_trace_push = { .name = "zk:trace.push",
	                                           .request = push_request,
	                                           .drop = forget };

static void verb_free(void *conf)
{
	struct verb *v = conf;

	zk_spool_lane_close(v->lane);
	free(v);
}

int procwire_trace_push_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                             const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	struct zk_spool_lane_conf conf = { 0 };
	ZK_CLEANUP(zk_freep)
	char *dir = NULL;

	v->app = procwire_app(env, &v->remotes);
	(void)spec;
	m->conf = v;
	m->free_conf = verb_free;
	if (m->kind == ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE, "trace.push is no stream");
	if (!v->app->spool.enabled)
		return zk_fail(err, ZK_E_PW_TABLE, "zk:trace.push needs the spool");
	trace_make_mark(v->mark);
	conf.spool.max_bytes = v->app->spool.max_bytes;
	/* There is no source to pause: a full spool is the caller's to know. */
	conf.spool.when_full = v->app->spool.when_full == ZK_SPOOL_DROP_NEWEST
	                               ? ZK_SPOOL_DROP_NEWEST
	                               : ZK_SPOOL_FAIL;
	if (zk_spool_place(v->app, v->app->spool.spool, /* create */ true, &conf.spool,
	                   &dir, err) < 0 ||
	    zk_spool_lane_open(env->loop, &conf, &v->lane, err) < 0)
		return zk_wrap(err, "zk:trace.push: cannot use the spool");
	return 0;
}
