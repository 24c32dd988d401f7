/* zk:events.tail: the events of running workflows as chunks; abort ends it.
 * Layer: cmd. specs/cli.md §Procwire, specs/zeal-zip.md §7.
 *
 * A call is {workflow} or {workflows: […]}. What was missed while the socket was down comes as the
 * event zk.gap. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/events.h"
#include "cmd/procwire_stream.h"
#include "cmd/procwire_verbs.h"
#include "cmd/spool_senders.h"
#include "codec/msgpack.h"
#include "rt/loop.h"

#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define WORKFLOWS_MAX 1000

static const struct zk_opt rows[] = { EVENTS_ROWS, ZEAL_ROWS, ZK_OPT_END };

struct verb {
	struct zk_loop *loop;
	struct events_opts opts;
	struct zk_optpool pool;
	struct events events;
};

struct call {
	struct procwire_stream stream;
	const char **workflows;
	size_t n;
	struct zk_zip_live *live;
};

static void call_free(void *ctx)
{
	struct call *c = ctx;

	zk_zip_live_free(c->live);
	for (size_t i = 0; i < c->n; i++)
		free((char *)c->workflows[i]);
	free(c->workflows);
	free(c);
}

/* ---- the stream ---- */

static void on_room(void *ctx)
{
	struct call *c = ctx;

	zk_zip_live_pause(c->live, false);
}

static void on_event(void *ctx, struct zk_zip_live *live,
                     const struct zk_zip_live_event *ev)
{
	struct call *c = ctx;

	if (zk_str_eq(ev->name, ZK_STR("zip.event")) && ev->json.type != ZK_J_NONE &&
	    !procwire_stream_json(&c->stream, ev->json.raw))
		zk_zip_live_pause(live, true);
}

/* JSON where the chunks are that, otherwise with times as JavaScript has them. */
static void put_gap(const struct zk_zip_live_gap *gap, bool raw, struct zk_buf *b)
{
	if (raw) {
		events_put_gap(gap, b);
		return;
	}
	zk_mp_map(b, 4);
	zk_mp_cstr(b, "type");
	zk_mp_cstr(b, "zk.gap");
	zk_mp_cstr(b, "from");
	zk_mp_date(b, gap->from_us);
	zk_mp_cstr(b, "to");
	zk_mp_date(b, gap->to_us);
	zk_mp_cstr(b, "reconnects");
	zk_mp_u64(b, gap->reconnects);
}

static void on_live(void *ctx, struct zk_zip_live *live,
                    const struct zk_zip_live_gap *gap)
{
	struct call *c = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 4096);
	if (!gap || !c->stream.req)
		return;
	put_gap(gap, procwire_stream_is_raw(&c->stream), &b);
	if (!procwire_stream_send(&c->stream, &b))
		zk_zip_live_pause(live, true);
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
	struct call *c = ctx;

	(void)live;
	procwire_stream_end(&c->stream, err);
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

	c->stream = (struct procwire_stream){ .loop = v->loop,
		                              .free = call_free,
		                              .room = on_room };
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
	c->live = zk_zip_live_new(&conf);
	return procwire_stream_keep(&c->stream, req);
}

const struct zk_pw_handler procwire_events_tail = { .name = "zk:events.tail",
	                                            .request = request,
	                                            .drop = procwire_stream_drop };

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
	return events_open(app, &v->opts, /* tries */ 0, /* client */ false, &v->events,
	                   err);
}
