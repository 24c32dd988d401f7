/* An example worker over the C API of src/procwire/worker.h: a result, a stream that can be
 * cancelled, an acknowledgement after which the work goes on, and an event.
 *
 *	ninja -C build examples/worker
 *	zk procwire call --events squares '{"n":3}' -- build/examples/worker
 *
 * Layer: examples. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/msgpack.h"
#include "procwire/wire.h"
#include "procwire/worker.h"
#include "rt/loop.h"

#include "base/ban.h"

/* result: the name back in a greeting. */
static enum zk_pw_then greet(struct zk_pw_req *req, zk_str payload)
{
	struct zk_error err = { 0 };
	struct zk_buf b;
	char text[200];
	zk_str name;

	if (!zk_mp_get_str(payload, ZK_STR("name"), &name))
		return zk_pw_fail_text(req, "the request lacks 'name'");
	(void)snprintf(text, sizeof(text), "hello, %.*s (%s, request %u)",
	               (int)ZK_MIN(name.n, (size_t)100), name.p,
	               zk_pw_method_of(req)->name, zk_pw_request_id(req));
	zk_buf_init(&b, 1024);
	zk_mp_text(&b, zk_str_of(text));
	if (zk_pw_respond_buf(req, &b, &err) < 0)
		return zk_pw_fail(req, &err);
	return ZK_PW_THEN_DONE;
}

/* stream: one square a turn, until it ends or the caller gives up. */
struct squares {
	struct zk_pw_req *req;
	struct zk_timer *timer;
	uint64_t i, n;
};

static void squares_over(struct squares *s)
{
	struct zk_pw_req *req = s->req;

	zk_timer_free(s->timer);
	free(s);
	zk_pw_done(req);
}

static void on_cancel(void *ctx)
{
	squares_over(ctx); /* nothing is sent any more: zk_pw_is_aborted() */
}

static void on_tick(void *ctx)
{
	struct squares *s = ctx;
	struct zk_error err = { 0 };
	struct zk_buf b;

	if (zk_pw_is_full(s->req))
		return; /* the parent does not read: the next tick tries again */
	if (s->i == s->n) {
		if (zk_pw_end(s->req, &err) < 0)
			(void)zk_pw_fail(s->req, &err);
		squares_over(s);
		return;
	}
	zk_buf_init(&b, 64);
	zk_mp_u64(&b, s->i * s->i);
	(void)zk_pw_chunk_buf(s->req, &b, &err); /* refused only after a cancel */
	(void)zk_pw_emit(zk_pw_worker_of(s->req), ZK_STR("progress"), ZK_STR("\xc0"), &err);
	s->i++;
}

static enum zk_pw_then squares(struct zk_pw_req *req, zk_str payload)
{
	struct squares *s = zk_new0(struct squares);

	s->req = req;
	if (!zk_mp_get_u64(payload, ZK_STR("n"), &s->n))
		s->n = 10;
	s->timer = zk_timer_new(zk_pw_worker_loop(zk_pw_worker_of(req)), on_tick, s);
	zk_timer_start(s->timer, 1, 1);
	zk_pw_set_data(req, s);
	zk_pw_on_cancel(req, on_cancel, s);
	return ZK_PW_THEN_KEEP;
}

static void squares_drop(struct zk_pw_req *req)
{
	struct squares *s = zk_pw_data(req);

	zk_timer_free(s->timer);
	free(s);
}

/* ack: acknowledged now, done later. */
static enum zk_pw_then enqueue(struct zk_pw_req *req, zk_str payload)
{
	struct zk_error err = { 0 };

	(void)payload;
	if (zk_pw_ack_empty(req, &err) < 0)
		return zk_pw_fail(req, &err);
	return ZK_PW_THEN_DONE;
}

static const struct zk_pw_handler handlers[] = {
	{ .name = "greet", .is_quick = true, .request = greet },
	{ .name = "squares", .request = squares, .drop = squares_drop },
	{ .name = "enqueue", .is_quick = true, .request = enqueue },
};
static const enum zk_pw_kind kinds[] = { ZK_PW_RESULT, ZK_PW_STREAMED, ZK_PW_ACKED };

static void on_stopped(void *ctx, enum zk_pw_reason why, const struct zk_error *err)
{
	(void)why;
	if (err)
		(void)fprintf(stderr, "worker: %s\n", err->msg);
	zk_loop_quit(ctx);
}

static int declare(struct zk_pw_table *t, struct zk_error *err)
{
	struct zk_pw_event e = { .name = (char *)"progress" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(handlers); i++) {
		struct zk_pw_method m = { .name = (char *)handlers[i].name,
			                  .kind = kinds[i],
			                  .timeout_ms = -1,
			                  .handler = &handlers[i] };

		if (zk_pw_table_method(t, &m, err) < 0)
			return -(int)err->code;
	}
	return zk_pw_table_event(t, &e, err);
}

static int serve(struct zk_loop *loop, struct zk_error *err)
{
	struct zk_pw_worker_conf conf = {
		.loop = loop,
		.in_fd = STDIN_FILENO,
		.out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3),
		.token = getenv("PROCWIRE_TOKEN"),
		.allow_uid = (uid_t)-1,
		.max_payload = ZK_PW_PAYLOAD_DEFAULT,
		.max_running = 64,
		.max_queue = 1000,
		.max_queue_bytes = 16u << 20,
		.stop_ms = 1000,
		.ctx = loop,
		.on_stopped = on_stopped,
	};
	struct zk_pw_worker *w = zk_pw_worker_new(&conf);
	int r = declare(zk_pw_worker_table(w), err);

	/* stdout is the protocol's: what else is printed goes to stderr. */
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)unsetenv("PROCWIRE_TOKEN");
	if (r == 0)
		r = zk_pw_worker_start(w, err);
	if (r == 0)
		zk_loop_run(loop);
	zk_pw_worker_free(w);
	return r;
}

int main(void)
{
	struct zk_error err = { 0 };
	struct zk_loop *loop = zk_loop_new(&err);
	int r = loop ? serve(loop, &err) : -1;

	zk_loop_free(loop);
	if (r < 0)
		(void)fprintf(stderr, "worker: %s\n", err.msg);
	return r < 0 ? 1 : 0;
}
