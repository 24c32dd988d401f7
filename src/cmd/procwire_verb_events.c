/* zk:events.tail: the events of running workflows as chunks; abort ends it.
 * Layer: cmd. specs/cli.md §Procwire, specs/zeal-zip.md §7.
 *
 * A call is {workflow} or {workflows: […]}. What was missed while the socket was down comes as the
 * event zk.gap. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/events.h"
#include "cmd/procwire_verbs.h"
#include "cmd/spool_senders.h"
#include "codec/msgpack.h"
#include "rt/loop.h"

#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define CHUNK_MAX     ((size_t)128 << 20)
#define WORKFLOWS_MAX 1000

static const struct zk_opt rows[] = { EVENTS_ROWS, ZEAL_ROWS, ZK_OPT_END };

struct verb {
	struct zk_loop *loop;
	struct events_opts opts;
	struct zk_optpool pool;
	struct events events;
};

struct call {
	struct zk_pw_req *req; /* NULL: it is over, the socket goes in the next turn */
	struct zk_loop *loop;
	const char **workflows;
	size_t n;
	struct zk_zip_live *live;
};

/* ---- the end ---- */

static void call_free(void *ctx)
{
	struct call *c = ctx;

	zk_zip_live_free(c->live);
	for (size_t i = 0; i < c->n; i++)
		free((char *)c->workflows[i]);
	free(c->workflows);
	free(c);
}

/* Not from inside a callback of the socket. */
static struct zk_pw_req *let_go(struct call *c)
{
	struct zk_pw_req *req = ZK_TAKE(c->req);

	if (req)
		zk_loop_defer(c->loop, call_free, c);
	return req;
}

static void end(struct call *c, const struct zk_error *err)
{
	struct zk_pw_req *req = let_go(c);
	struct zk_error ignored;

	if (!req)
		return;
	if (err)
		(void)zk_pw_fail(req, err);
	else
		ZK_IGNORE(zk_pw_end(req, &ignored) < 0); /* nobody listens any more */
	zk_pw_done(req);
}

static void on_cancel(void *ctx)
{
	struct zk_pw_req *req = let_go(ctx);

	if (req)
		zk_pw_done(req);
}

static void drop(struct zk_pw_req *req)
{
	call_free(zk_pw_data(req));
}

/* ---- the stream ---- */

static void on_room(void *ctx)
{
	struct call *c = ctx;

	if (c->req)
		zk_zip_live_pause(c->live, false);
}

static void send(struct call *c, struct zk_buf *chunk)
{
	struct zk_error err = { 0 };

	if (zk_pw_chunk_buf(c->req, chunk, &err) < 0) {
		end(c, &err);
	} else if (c->req && zk_pw_is_full(c->req)) {
		zk_zip_live_pause(c->live, true);
		zk_pw_when_room(c->req, on_room, c);
	}
}

static void on_event(void *ctx, struct zk_zip_live *live,
                     const struct zk_zip_live_event *ev)
{
	struct call *c = ctx;
	struct zk_error err = { 0 };
	struct zk_buf b;

	(void)live;
	if (!c->req || !zk_str_eq(ev->name, ZK_STR("zip.event")) ||
	    ev->json.type == ZK_J_NONE)
		return;
	zk_buf_init(&b, CHUNK_MAX);
	if (zk_pw_method_of(c->req)->response == ZK_PW_RAW)
		zk_buf_add(&b, ev->json.raw);
	else if (zk_mp_from_json(ev->json.raw, &b, &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "an event that is no JSON", &err);
	if (!err.code)
		send(c, &b);
	zk_buf_done(&b);
}

static void on_live(void *ctx, struct zk_zip_live *live,
                    const struct zk_zip_live_gap *gap)
{
	struct call *c = ctx;
	struct zk_buf b;

	(void)live;
	if (!gap || !c->req || zk_pw_method_of(c->req)->response == ZK_PW_RAW)
		return;
	zk_buf_init(&b, 256);
	zk_mp_map(&b, 4);
	zk_mp_cstr(&b, "type");
	zk_mp_cstr(&b, "zk.gap");
	zk_mp_cstr(&b, "from");
	zk_mp_date(&b, gap->from_us);
	zk_mp_cstr(&b, "to");
	zk_mp_date(&b, gap->to_us);
	zk_mp_cstr(&b, "reconnects");
	zk_mp_u64(&b, gap->reconnects);
	send(c, &b);
	zk_buf_done(&b);
}

static void on_drop(void *ctx, struct zk_zip_live *live, const struct zk_error *err,
                    int64_t wait_ms)
{
	(void)ctx;
	(void)live;
	zk_warn("the socket was dropped, connecting again", "reason=%s wait_ms=%lld",
	        err->msg, (long long)wait_ms);
}

static void on_end(void *ctx, struct zk_zip_live *live, const struct zk_error *err)
{
	(void)live;
	end(ctx, err);
}

/* ---- the call ---- */

static int add_workflow(struct call *c, zk_str id, struct zk_error *err)
{
	if (!id.n)
		return zk_fail(err, ZK_E_DATA, "the id of a workflow is empty");
	if (zk_str_find_char(id, '\0') >= 0)
		return zk_fail(err, ZK_E_DATA, "the id of a workflow has a NUL byte");
	c->workflows[c->n++] = zk_strndup(id.p, id.n);
	return 0;
}

static int read_call(struct call *c, zk_str payload, struct zk_error *err)
{
	struct zk_mpval head = { 0 };
	zk_str one, list;

	c->workflows = zk_alloc_array(WORKFLOWS_MAX, sizeof(*c->workflows));
	if (zk_mp_get_str(payload, ZK_STR("workflow"), &one))
		return add_workflow(c, one, err);
	if (!zk_mp_get(payload, ZK_STR("workflows"), &list) ||
	    !zk_mp_next(&list, &head) || head.type != ZK_MP_ARRAY || !head.n ||
	    head.n > WORKFLOWS_MAX)
		return zk_fail(err, ZK_E_DATA,
		               "events.tail takes {workflow} or {workflows: [...]}, at "
		               "most %d",
		               WORKFLOWS_MAX);
	for (uint32_t i = 0; i < head.n; i++) {
		struct zk_mpval id;

		if (!zk_mp_next(&list, &id) || id.type != ZK_MP_STR)
			return zk_fail(err, ZK_E_DATA, "workflows is a list of ids");
		if (add_workflow(c, id.s, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static enum zk_pw_then request(struct zk_pw_req *req, zk_str payload)
{
	const struct verb *v = zk_pw_method_of(req)->conf;
	struct zk_zip_live_conf conf = v->events.conf;
	struct call *c = zk_new0(struct call);
	struct zk_error err = { 0 };

	c->loop = v->loop;
	if (read_call(c, payload, &err) < 0) {
		call_free(c);
		return zk_pw_fail(req, &err);
	}
	conf.workflows = c->workflows;
	conf.n_workflows = c->n;
	conf.ctx = c;
	conf.on_event = on_event;
	conf.on_live = on_live;
	conf.on_drop = on_drop;
	conf.on_end = on_end;
	c->req = req;
	c->live = zk_zip_live_new(&conf);
	zk_pw_set_data(req, c);
	zk_pw_on_cancel(req, on_cancel, c);
	return ZK_PW_THEN_KEEP;
}

const struct zk_pw_handler procwire_events_tail = { .name = "zk:events.tail",
	                                            .request = request,
	                                            .drop = drop };

static void verb_free(void *conf)
{
	struct verb *v = conf;

	events_close(&v->events);
	zk_optpool_done(&v->pool);
	free(v);
}

int procwire_events_tail_make(const struct zk_pw_env *env, struct zk_pw_method *m,
                              const struct zk_pw_spec *spec, struct zk_error *err)
{
	struct verb *v = zk_new0(struct verb);
	const struct procwire_remotes *remotes;
	struct zk_app *app = procwire_app(env, &remotes);

	(void)spec;
	v->loop = env->loop;
	m->conf = v;
	m->free_conf = verb_free;
	if (m->kind != ZK_PW_STREAMED)
		return zk_fail(err, ZK_E_PW_TABLE,
		               "events.tail is a stream: kind=stream");
	if (zk_spool_options(app, rows, "zeal", &v->pool, &v->opts, err) < 0)
		return -(int)err->code;
	v->opts.zeal.base_url = remotes->zeal_url;
	return events_open(app, &v->opts, /* tries */ 0, &v->events, err);
}
