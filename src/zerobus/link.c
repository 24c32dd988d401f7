/* The outside world of a stream: its gRPC call, its token, its timer.
 * Layer: zerobus. specs/zerobus.md §5.2, §7. */
#include "zerobus/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/auth.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zerobus/proto.h"
#include "zerobus/spans.h"

#define ZK_LOGGER "zerobus"
#include "base/log.h"

#include "base/ban.h"

#define RETIRE_MS 5000

/* A gRPC call. One whose stream has gone on is retired: only its end is waited for. */
struct call {
	struct zk_list link;      /* of the retired ones */
	struct zk_zb_link *owner; /* NULL = retired */
	struct zk_loop *loop;
	struct zk_grpc *grpc;
	struct zk_timer *timer; /* of a retired one */
};

struct zk_zb_link {
	struct zk_zb_link_conf conf;
	struct zk_loop *loop;
	struct zk_zb_stream *stream;
	struct zk_timer *timer;
	struct call *call; /* NULL = none */
	char *token;       /* of the call, a secret */
	struct zk_list retired;
	struct zk_zb_spans spans;
	bool fresh; /* the token was refused: a new one is wanted */
	bool freed;
};

/* ---- the call ---- */

/* It may be on the stack: its memory goes at the end of the turn. */
static void drop_call(struct call *c, uint32_t h2_code)
{
	c->owner = NULL;
	zk_list_remove(&c->link);
	zk_grpc_free(c->grpc, h2_code);
	zk_timer_free(ZK_TAKE(c->timer));
	zk_loop_defer(c->loop, free, c);
}

static void on_retired_late(void *ctx)
{
	drop_call(ctx, ZK_H2_NO_ERROR);
}

static void call_open(void *ctx)
{
	struct call *c = ctx;

	if (c->owner)
		zk_zb_stream_opened(c->owner->stream);
}

static size_t call_ready(void *ctx, size_t room, bool *end)
{
	struct call *c = ctx;

	if (c->owner)
		return zk_zb_stream_ready(c->owner->stream, room, end);
	*end = true;
	return 0;
}

static void call_take(void *ctx, char *to, size_t n)
{
	struct call *c = ctx;

	if (c->owner)
		zk_zb_stream_take(c->owner->stream, to, n);
	else
		memset(to, 0,
		       n); /* announced before it was retired: nothing may be torn */
}

static void call_message(void *ctx, zk_str message)
{
	struct call *c = ctx;

	if (c->owner)
		zk_zb_stream_message(c->owner->stream, message);
}

static void call_goaway(void *ctx)
{
	struct call *c = ctx;

	if (c->owner)
		zk_zb_stream_goaway(c->owner->stream);
}

static bool call_is_waiting(void *ctx)
{
	struct call *c = ctx;

	return c->owner && zk_zb_stream_window(c->owner->stream)->n > 0;
}

static void end_span(struct zk_zb_link *l, int status, const struct zk_error *err)
{
	zk_zb_spans_close(&l->spans, zk_zb_stream_id(l->stream), status, err);
}

static void call_end(void *ctx, const struct zk_grpc_end *end)
{
	struct call *c = ctx;
	struct zk_error err = { 0 };

	if (c->owner) {
		zk_debug("call ended", "stream=%zu status=%d from=%d http=%d message=%s",
		         c->owner->conf.index, end->code, (int)end->from,
		         end->http_status, end->message);
		if (end->code)
			(void)zk_zb_end_to_error(end, /* created */ true,
			                         c->owner->conf.sender->table, &err);
		end_span(c->owner, end->code, end->code ? &err : NULL);
		zk_zb_stream_ended(c->owner->stream, end);
		return;
	}
	drop_call(c, ZK_H2_NO_ERROR);
}

/* ---- what the stream asks for ---- */

static void on_token(void *ctx, const char *token, const struct zk_error *err)
{
	struct zk_zb_link *l = ctx;

	if (l->freed)
		return;
	zk_secret_free(l->token);
	l->token = token ? zk_strdup(token) : NULL;
	zk_zb_stream_token(l->stream, err);
}

static void no_token(void *ctx)
{
	struct zk_zb_link *l = ctx;

	if (!l->freed)
		zk_zb_stream_token(l->stream, NULL);
}

static void op_get_token(void *ctx, bool fresh)
{
	struct zk_zb_link *l = ctx;
	struct zk_auth *auth = l->conf.sender->auth;

	if (!auth) {
		zk_loop_defer(l->loop, no_token, l);
		return;
	}
	if (fresh)
		zk_auth_refused(auth, l->token);
	zk_auth_get(auth, on_token, l);
}

static int64_t op_token_age(void *ctx)
{
	struct zk_zb_link *l = ctx;

	return l->conf.sender->auth ? zk_auth_age_ms(l->conf.sender->auth) : 0;
}

struct failed {
	struct zk_zb_link *link;
	struct zk_grpc_end end;
};

static void tell_failed(void *ctx)
{
	struct failed *f = ctx;

	if (!f->link->freed)
		zk_zb_stream_ended(f->link->stream, &f->end);
	free(f);
}

static void op_connect(void *ctx)
{
	struct zk_zb_link *l = ctx;
	const struct zk_zb_sender_conf *sc = l->conf.sender;
	char parent[ZK_TRACEPARENT_TEXT + 1] = "";
	const char *traceparent = zk_zb_spans_open(&l->spans, parent);
	struct zk_h2_header more[] = {
		{ ZK_STR("x-databricks-zerobus-table-name"), sc->table, false },
		{ ZK_STR("x-zerobus-sdk"), ZK_STR("zk/" ZK_VERSION), false },
		{ ZK_STR("traceparent"), zk_str_of(traceparent), false },
	};
	struct call *c = zk_new0(struct call);
	struct zk_error err = { 0 };
	struct zk_grpc_conf conf = {
		.endpoint = sc->endpoint,
		.path = ZK_ZB_METHOD,
		.bearer = l->token,
		.user_agent = "zk/" ZK_VERSION,
		.headers = more,
		.n_headers = traceparent ? 3 : 2,
		.connect_timeout_ms = sc->connect_ms,
		.ctx = c,
		.on_open = call_open,
		.ready = call_ready,
		.take = call_take,
		.on_message = call_message,
		.on_goaway = call_goaway,
		.is_waiting = call_is_waiting,
		.on_end = call_end,
	};

	zk_list_init(&c->link);
	c->loop = l->loop;
	c->owner = l;
	if (zk_grpc_start(sc->net, &conf, &c->grpc, &err) == 0) {
		l->call = c;
		return;
	}
	free(c);

	struct failed *f = zk_new0(struct failed);

	f->link = l;
	f->end = (struct zk_grpc_end){ .code = ZK_GRPC_UNAVAILABLE,
		                       .from = ZK_GRPC_FROM_CONN,
		                       .pushback_ms = -1,
		                       .err = err,
		                       .retryable = err.retryable };
	zk_loop_defer(l->loop, tell_failed, f);
}

static void op_wake(void *ctx)
{
	struct zk_zb_link *l = ctx;

	if (l->call)
		zk_grpc_wake(l->call->grpc);
}

static void op_drop(void *ctx, uint32_t h2_code)
{
	struct zk_zb_link *l = ctx;
	struct call *c = ZK_TAKE(l->call);

	end_span(l, ZK_GRPC_CANCELLED, NULL);
	if (l->conf.sender->auth)
		zk_auth_cancel(l->conf.sender->auth, l);
	if (c)
		drop_call(c, h2_code);
}

static void op_retire(void *ctx)
{
	struct zk_zb_link *l = ctx;
	struct call *c = ZK_TAKE(l->call);

	end_span(l, ZK_GRPC_OK, NULL);
	if (!c)
		return;
	c->owner = NULL;
	c->timer = zk_timer_new(l->loop, on_retired_late, c);
	zk_timer_start(c->timer, RETIRE_MS, 0);
	zk_list_push(&l->retired, &c->link);
	zk_grpc_wake(c->grpc);
}

static void op_set_timer(void *ctx, int64_t ms)
{
	struct zk_zb_link *l = ctx;

	if (ms < 0)
		zk_timer_stop(l->timer);
	else
		zk_timer_start(l->timer, ms, 0);
}

static void on_timer(void *ctx)
{
	struct zk_zb_link *l = ctx;

	zk_zb_stream_tick(l->stream);
}

static void op_acked(void *ctx, struct zk_zb_request *r)
{
	struct zk_zb_link *l = ctx;

	zk_zb_spans_batch(&l->spans, r, zk_zb_stream_id(l->stream), ZK_GRPC_OK, NULL);
	l->conf.on_acked(l->conf.ctx, l->conf.index, r);
}

static void op_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *err,
                        bool suspect)
{
	struct zk_zb_link *l = ctx;

	zk_zb_spans_batch(&l->spans, r, zk_zb_stream_id(l->stream),
	                  zk_zb_stream_last_status(l->stream), err);
	l->conf.on_rejected(l->conf.ctx, l->conf.index, r, err, suspect);
}

static void op_change(void *ctx)
{
	struct zk_zb_link *l = ctx;

	l->conf.on_change(l->conf.ctx, l->conf.index);
}

static void op_retry(void *ctx, const struct zk_zb_retrying *r)
{
	struct zk_zb_link *l = ctx;
	const struct zk_zb_sender_conf *sc = l->conf.sender;

	if (sc->on_retry)
		sc->on_retry(sc->ctx, l->conf.index, r);
}

static void op_recovered(void *ctx, const struct zk_zb_recovered *r)
{
	struct zk_zb_link *l = ctx;
	const struct zk_zb_sender_conf *sc = l->conf.sender;

	if (sc->on_recovered)
		sc->on_recovered(sc->ctx, l->conf.index, r);
}

static void op_dead(void *ctx, const struct zk_error *err)
{
	struct zk_zb_link *l = ctx;

	l->conf.on_dead(l->conf.ctx, l->conf.index, err);
}

static void op_done(void *ctx)
{
	struct zk_zb_link *l = ctx;

	l->conf.on_done(l->conf.ctx, l->conf.index);
}

/* ---- life ---- */

struct zk_zb_link *zk_zb_link_new(const struct zk_zb_link_conf *conf)
{
	static const struct zk_zb_stream_ops ops = {
		.get_token = op_get_token,
		.token_age_ms = op_token_age,
		.connect = op_connect,
		.wake = op_wake,
		.drop = op_drop,
		.retire = op_retire,
		.set_timer = op_set_timer,
		.on_acked = op_acked,
		.on_rejected = op_rejected,
		.on_change = op_change,
		.on_retry = op_retry,
		.on_recovered = op_recovered,
		.on_dead = op_dead,
		.on_done = op_done,
	};
	const struct zk_zb_sender_conf *sc = conf->sender;
	struct zk_zb_link *l = zk_new0(struct zk_zb_link);
	struct zk_zb_stream_conf stream = {
		.retry = sc->retry,
		.create_ms = sc->create_ms,
		.ack_ms = sc->ack_ms,
		.flush_ms = sc->flush_ms,
		.max_inflight = sc->max_inflight,
		.isolate = sc->isolate,
		.table = sc->table,
		.kind = conf->kind,
		.rnd = sc->rnd,
		.ops = &ops,
		.ctx = l,
	};

	l->conf = *conf;
	l->loop = zk_net_loop(sc->net);
	zk_list_init(&l->retired);
	l->spans =
	        (struct zk_zb_spans){ .otel = zk_net_otel(sc->net),
		                      .table = sc->table.p,
		                      .sample = ZK_MAX(sc->trace_sample, (uint64_t)1) };
	l->timer = zk_timer_new(l->loop, on_timer, l);
	l->stream = zk_zb_stream_new(&stream);
	return l;
}

static void free_now(void *ctx)
{
	struct zk_zb_link *l = ctx;

	zk_zb_stream_free(l->stream);
	zk_secret_free(l->token);
	free(l);
}

void zk_zb_link_free(struct zk_zb_link *l)
{
	if (!l || l->freed)
		return;
	l->freed = true;
	op_drop(l, ZK_H2_CANCEL);
	ZK_LIST_EACH (it, &l->retired)
		drop_call(ZK_LIST_ENTRY(it, struct call, link), ZK_H2_NO_ERROR);
	zk_timer_free(l->timer);
	zk_loop_defer(l->loop, free_now, l);
}

struct zk_zb_stream *zk_zb_link_stream(struct zk_zb_link *l)
{
	return l->stream;
}

void zk_zb_link_warm(struct zk_zb_link *l)
{
	zk_zb_stream_warm(l->stream);
}

void zk_zb_link_unsent(struct zk_zb_link *l, const struct zk_zb_request *r,
                       const struct zk_error *err)
{
	zk_zb_spans_batch(&l->spans, r, zk_zb_stream_id(l->stream),
	                  zk_zb_stream_last_status(l->stream), err);
}
