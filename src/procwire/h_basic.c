/* Built-in handlers that need nothing: echo and its kin, producers, facts about the worker.
 * Layer: procwire. specs/cli.md §Procwire. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/version.h"
#include "codec/msgpack.h"
#include "procwire/spec.h"
#include "rt/loop.h"

#include "base/ban.h"

/* How long a peer that does not read may keep us from reading. */
#define ECHO_PATIENCE_MS 50
#define SIZE_MAX_SOURCE  (1u << 20)
/* What a producer sends before others get their turn. */
#define BURST 256

/* An answer of the natural form for the kind of the method. */
static enum zk_pw_then answer(struct zk_pw_req *req, zk_str payload)
{
	struct zk_error err = { 0 };
	int r = 0;

	switch (zk_pw_method_of(req)->kind) {
	case ZK_PW_RESULT:
		r = zk_pw_respond(req, payload, &err);
		break;
	case ZK_PW_ACKED:
		r = zk_pw_ack(req, payload, &err);
		break;
	case ZK_PW_STREAMED:
		r = zk_pw_chunk(req, payload, &err);
		if (r == 0)
			r = zk_pw_end(req, &err);
		break;
	case ZK_PW_NONE:
		break;
	}
	return r < 0 ? zk_pw_fail(req, &err) : ZK_PW_THEN_DONE;
}

static enum zk_pw_then answer_buf(struct zk_pw_req *req, struct zk_buf *b)
{
	enum zk_pw_then then = answer(req, zk_buf_str(b));

	zk_buf_done(b);
	return then;
}

/* ---- echo ---- */

static void end_it(void *ctx)
{
	zk_pw_done(ctx);
}

static enum zk_pw_then echo_begin(struct zk_pw_req *req, uint32_t length)
{
	const struct zk_pw_method *m = zk_pw_method_of(req);

	/* What comes in goes out as it comes: no memory for the payload. */
	if (m->kind != ZK_PW_RESULT || m->response != ZK_PW_RAW ||
	    !zk_pw_respond_begin(req, length))
		return ZK_PW_THEN_DONE;
	zk_pw_on_cancel(req, end_it, req);
	return ZK_PW_THEN_KEEP;
}

static void echo_room(void *ctx)
{
	zk_pw_hold_pieces(ctx, false, 0);
}

static void echo_piece(struct zk_pw_req *req, zk_str bytes, bool last)
{
	zk_pw_respond_piece(req, bytes, last);
	if (last) {
		zk_pw_done(req);
	} else if (zk_pw_is_full(req)) {
		zk_pw_when_room(req, echo_room, req);
		zk_pw_hold_pieces(req, true, ECHO_PATIENCE_MS);
	}
}

static const struct zk_pw_handler echo = { .name = "echo",
	                                   .is_quick = true,
	                                   .request = answer,
	                                   .begin = echo_begin,
	                                   .piece = echo_piece };

/* ---- discard ---- */

static enum zk_pw_then discard_request(struct zk_pw_req *req, zk_str payload)
{
	(void)payload;
	return answer(req, ZK_STR_NULL);
}

static enum zk_pw_then discard_begin(struct zk_pw_req *req, uint32_t length)
{
	(void)length;
	zk_pw_on_cancel(req, end_it, req);
	return ZK_PW_THEN_KEEP;
}

static void discard_piece(struct zk_pw_req *req, zk_str bytes, bool last)
{
	(void)bytes;
	if (!last)
		return;
	(void)answer(req, ZK_STR_NULL);
	zk_pw_done(req);
}

static const struct zk_pw_handler discard = { .name = "discard",
	                                      .is_quick = true,
	                                      .request = discard_request,
	                                      .begin = discard_begin,
	                                      .piece = discard_piece };

/* ---- fail ---- */

static int keep_value(const struct zk_pw_env *env, struct zk_pw_method *m,
                      const struct zk_pw_spec *spec, const char *rest,
                      struct zk_error *err)
{
	(void)env;
	(void)rest;
	(void)err;
	m->conf = spec->value ? zk_strdup(spec->value) : NULL;
	m->free_conf = free;
	return 0;
}

static enum zk_pw_then fail_request(struct zk_pw_req *req, zk_str payload)
{
	const char *text = zk_pw_method_of(req)->conf;

	(void)payload;
	return zk_pw_fail_text(req, text ? text : "failed as asked");
}

static const struct zk_pw_handler fail = { .name = "fail",
	                                   .is_quick = true,
	                                   .request = fail_request };

/* ---- producers: sleep, count, source, emit ---- */

struct producer {
	struct zk_pw_req *req;
	struct zk_timer *timer; /* NULL = as fast as the peer takes it */
	int64_t every_ms;
	uint64_t i, n;
	char *block; /* source */
	size_t size;
	/* Sends one; false = wait for room. */
	bool (*one)(struct producer *p);
	void (*end)(struct producer *p);
};

static void producer_free(struct producer *p)
{
	zk_timer_free(p->timer);
	free(p->block);
	free(p);
}

static void produce(void *ctx);

static void producer_over(struct producer *p)
{
	struct zk_pw_req *req = p->req;

	zk_loop_forget(zk_pw_worker_loop(zk_pw_worker_of(req)), produce, p);
	producer_free(p);
	zk_pw_done(req);
}

static void on_cancel(void *ctx)
{
	producer_over(ctx);
}

static void produce(void *ctx)
{
	struct producer *p = ctx;
	unsigned burst = p->every_ms ? 1 : BURST;

	while (p->i < p->n && burst--) {
		if (!p->one(p)) {
			if (p->timer)
				zk_timer_stop(p->timer);
			zk_pw_when_room(p->req, produce, p);
			return;
		}
		p->i++;
	}
	if (p->i == p->n) {
		p->end(p);
		producer_over(p);
	} else if (!p->every_ms) {
		zk_loop_defer(zk_pw_worker_loop(zk_pw_worker_of(p->req)), produce, p);
	} else {
		zk_timer_start(p->timer, p->every_ms, 0);
	}
}

static enum zk_pw_then producer_start(struct zk_pw_req *req, zk_str payload,
                                      struct producer like)
{
	struct producer *p = zk_new(struct producer);
	uint64_t ms = 0;

	*p = like;
	p->req = req;
	if (!zk_mp_get_u64(payload, ZK_STR("n"), &p->n))
		p->n = 1;
	if (zk_mp_get_u64(payload, ZK_STR("ms"), &ms))
		p->every_ms = (int64_t)ZK_MIN(ms, (uint64_t)INT32_MAX);
	zk_pw_set_data(req, p);
	zk_pw_on_cancel(req, on_cancel, p);
	if (p->every_ms) {
		p->timer =
		        zk_timer_new(zk_pw_worker_loop(zk_pw_worker_of(req)), produce, p);
		zk_timer_start(p->timer, p->every_ms, 0);
	} else {
		zk_loop_defer(zk_pw_worker_loop(zk_pw_worker_of(req)), produce, p);
	}
	return ZK_PW_THEN_KEEP;
}

static void producer_drop(struct zk_pw_req *req)
{
	struct producer *p = zk_pw_data(req);

	zk_loop_forget(zk_pw_worker_loop(zk_pw_worker_of(req)), produce, p);
	producer_free(p);
}

static void end_stream(struct producer *p)
{
	struct zk_error err = { 0 };

	if (zk_pw_end(p->req, &err) < 0)
		(void)zk_pw_fail(p->req, &err);
}

static bool count_one(struct producer *p)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	if (zk_pw_is_full(p->req))
		return false;
	zk_buf_init(&b, 16);
	zk_mp_u64(&b, p->i);
	if (zk_pw_chunk_buf(p->req, &b, &err) < 0)
		p->n = p->i + 1; /* refused: there is nobody any more */
	return true;
}

static enum zk_pw_then count_request(struct zk_pw_req *req, zk_str payload)
{
	return producer_start(req, payload,
	                      (struct producer){ .one = count_one, .end = end_stream });
}

static const struct zk_pw_handler count = { .name = "count",
	                                    .request = count_request,
	                                    .drop = producer_drop };

static bool source_one(struct producer *p)
{
	struct zk_error err = { 0 };

	if (zk_pw_is_full(p->req))
		return false;
	if (zk_pw_chunk(p->req, zk_str_n(p->block, p->size), &err) < 0)
		p->n = p->i + 1;
	return true;
}

static enum zk_pw_then source_request(struct zk_pw_req *req, zk_str payload)
{
	struct producer p = { .one = source_one, .end = end_stream };
	uint64_t size = 1024;

	(void)zk_mp_get_u64(payload, ZK_STR("size"), &size);
	if (size > SIZE_MAX_SOURCE)
		return zk_pw_fail_text(req, "'size' is more than 1048576");
	p.size = (size_t)size;
	p.block = zk_alloc0(p.size + 1);
	return producer_start(req, payload, p);
}

static const struct zk_pw_handler source = { .name = "source",
	                                     .request = source_request,
	                                     .drop = producer_drop };

static bool sleep_one(struct producer *p)
{
	(void)p;
	return true;
}

static void sleep_end(struct producer *p)
{
	const char *text = zk_pw_method_of(p->req)->conf;
	struct zk_buf b;

	zk_buf_init(&b, 1 << 16);
	zk_mp_cstr(&b, text);
	(void)answer_buf(p->req, &b);
}

static enum zk_pw_then sleep_request(struct zk_pw_req *req, zk_str payload)
{
	return producer_start(req, payload,
	                      (struct producer){ .one = sleep_one, .end = sleep_end });
}

static const struct zk_pw_handler sleeper = { .name = "sleep",
	                                      .request = sleep_request,
	                                      .drop = producer_drop };

static bool emit_one(struct producer *p)
{
	const char *event = zk_pw_method_of(p->req)->conf;
	struct zk_error err = { 0 };
	struct zk_buf b;
	int r;

	zk_buf_init(&b, 64);
	zk_mp_map(&b, 2);
	zk_mp_cstr(&b, "i");
	zk_mp_u64(&b, p->i);
	zk_mp_cstr(&b, "n");
	zk_mp_u64(&b, p->n);
	r = zk_pw_emit(zk_pw_worker_of(p->req), zk_str_of(event ? event : "progress"),
	               zk_buf_str(&b), &err);
	zk_buf_done(&b);
	if (r < 0 && err.code == ZK_E_PW_PRESSURE)
		return false;
	if (r < 0) {
		(void)zk_pw_fail(p->req, &err);
		p->n = p->i + 1;
	}
	return true;
}

static void emit_end(struct producer *p)
{
	struct zk_buf b;

	if (zk_pw_is_answered(p->req))
		return;
	zk_buf_init(&b, 16);
	zk_mp_u64(&b, p->n);
	(void)answer_buf(p->req, &b);
}

static enum zk_pw_then emit_request(struct zk_pw_req *req, zk_str payload)
{
	return producer_start(req, payload,
	                      (struct producer){ .one = emit_one, .end = emit_end });
}

static const struct zk_pw_handler emit = { .name = "emit",
	                                   .request = emit_request,
	                                   .drop = producer_drop };

/* ---- facts ---- */

static enum zk_pw_then uuid_request(struct zk_pw_req *req, zk_str payload)
{
	zk_uuid u = zk_uuid_v7();
	char text[ZK_UUID_TEXT];
	struct zk_buf b;

	(void)payload;
	zk_uuid_format(&u, text);
	zk_buf_init(&b, 64);
	if (zk_pw_method_of(req)->response == ZK_PW_RAW)
		zk_buf_put(&b, text, sizeof(text));
	else
		zk_mp_str(&b, zk_str_n(text, sizeof(text)));
	return answer_buf(req, &b);
}

static const struct zk_pw_handler uuid = { .name = "uuid",
	                                   .is_quick = true,
	                                   .request = uuid_request };

static enum zk_pw_then info_request(struct zk_pw_req *req, zk_str payload)
{
	const char *name = getenv("PROCWIRE_MODULE_NAME");
	struct zk_buf b;

	(void)payload;
	zk_buf_init(&b, 4096);
	zk_mp_map(&b, 4);
	zk_mp_cstr(&b, "program");
	zk_mp_cstr(&b, "zk");
	zk_mp_cstr(&b, "version");
	zk_mp_cstr(&b, ZK_VERSION);
	zk_mp_cstr(&b, "pid");
	zk_mp_i64(&b, getpid());
	zk_mp_cstr(&b, "module");
	zk_mp_text(&b, zk_str_of(name ? name : ""));
	return answer_buf(req, &b);
}

static const struct zk_pw_handler info = { .name = "info",
	                                   .is_quick = true,
	                                   .request = info_request };

static void describe_method(struct zk_buf *b, const struct zk_pw_method *m)
{
	zk_mp_cstr(b, m->name);
	zk_mp_map(b, 5);
	zk_mp_cstr(b, "id");
	zk_mp_u64(b, m->id);
	zk_mp_cstr(b, "response");
	zk_mp_cstr(b, zk_pw_kinds[m->kind]);
	zk_mp_cstr(b, "requestCodec");
	zk_mp_cstr(b, zk_pw_codecs[m->request]);
	zk_mp_cstr(b, "responseCodec");
	zk_mp_cstr(b, zk_pw_codecs[m->response]);
	zk_mp_cstr(b, "handler");
	zk_mp_cstr(b, m->handler->name);
}

static enum zk_pw_then describe_request(struct zk_pw_req *req, zk_str payload)
{
	const struct zk_pw_table *t = zk_pw_worker_table(zk_pw_worker_of(req));
	struct zk_buf b;

	(void)payload;
	zk_buf_init(&b, 16u << 20);
	zk_mp_map(&b, 2);
	zk_mp_cstr(&b, "methods");
	zk_mp_map(&b, (uint32_t)t->n_methods);
	for (size_t i = 0; i < t->n_methods; i++)
		describe_method(&b, &t->methods[i]);
	zk_mp_cstr(&b, "events");
	zk_mp_map(&b, (uint32_t)t->n_events);
	for (size_t i = 0; i < t->n_events; i++) {
		zk_mp_cstr(&b, t->events[i].name);
		zk_mp_map(&b, 2);
		zk_mp_cstr(&b, "id");
		zk_mp_u64(&b, t->events[i].id);
		zk_mp_cstr(&b, "codec");
		zk_mp_cstr(&b, zk_pw_codecs[t->events[i].codec]);
	}
	return answer_buf(req, &b);
}

static const struct zk_pw_handler describe = { .name = "zk.describe",
	                                       .is_quick = true,
	                                       .request = describe_request };

static enum zk_pw_then stats_request(struct zk_pw_req *req, zk_str payload)
{
	struct zk_pw_worker *w = zk_pw_worker_of(req);
	struct zk_pw_worker_stats s;
	struct zk_buf b;

	(void)payload;
	zk_pw_worker_stats(w, &s);
	const struct {
		const char *name;
		uint64_t v;
	} facts[] = {
		{ "requests", s.requests },
		{ "answers", s.answers },
		{ "errors", s.errors },
		{ "aborted", s.aborted },
		{ "events", s.events },
		{ "queued", s.queued },
		{ "bytesIn", s.bytes_in },
		{ "bytesOut", s.bytes_out },
		{ "pings", s.pings },
		{ "running", s.running },
		{ "waiting", s.waiting },
		{ "uptimeMs",
		  (uint64_t)(zk_loop_now_ms(zk_pw_worker_loop(w)) - s.start_ms) },
	};

	zk_buf_init(&b, 4096);
	zk_mp_map(&b, ZK_ARRAY_LEN(facts));
	for (size_t i = 0; i < ZK_ARRAY_LEN(facts); i++) {
		zk_mp_cstr(&b, facts[i].name);
		zk_mp_u64(&b, facts[i].v);
	}
	return answer_buf(req, &b);
}

static const struct zk_pw_handler stats = { .name = "zk.stats",
	                                    .is_quick = true,
	                                    .request = stats_request };

static enum zk_pw_then ping_request(struct zk_pw_req *req, zk_str payload)
{
	(void)payload;
	return answer(req, ZK_STR("\xa4pong"));
}

static const struct zk_pw_handler ping = { .name = "zk.ping",
	                                   .is_quick = true,
	                                   .request = ping_request };

const struct zk_pw_maker zk_pw_basic[] = {
	{ .name = "echo", .handler = &echo, .exposed = true },
	{ .name = "discard", .handler = &discard, .exposed = true },
	{ .name = "fail", .handler = &fail, .make = keep_value },
	{ .name = "count", .handler = &count, .kind = ZK_PW_STREAMED },
	{ .name = "source",
	  .handler = &source,
	  .kind = ZK_PW_STREAMED,
	  .response = ZK_PW_RAW },
	{ .name = "sleep", .handler = &sleeper, .exposed = true, .make = keep_value },
	{ .name = "emit", .handler = &emit, .make = keep_value },
	{ .name = "uuid", .handler = &uuid, .exposed = true },
	{ .name = "info", .handler = &info, .exposed = true },
	{ .name = "zk.describe", .handler = &describe },
	{ .name = "zk.stats", .handler = &stats },
	{ .name = "zk.ping", .handler = &ping },
	{ .name = NULL },
};
