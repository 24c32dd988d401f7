/* The procwire stage of `zk demo`: a worker of this program, called as a Node.js parent would.
 * Layer: cmd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/demo.h"
#include "codec/msgpack.h"
#include "procwire/parent.h"

#include "base/ban.h"

#define CALLS   10000
#define WINDOW  128
#define CHUNKS  1000
#define WAIT_MS 15000
/* What the aborted call would take. */
#define LONG_MS 60000

struct tour_worker {
	struct demo *d;
	struct zk_pw_parent *parent;
	struct zk_error error;
	bool ready, pong, ended;
	int status;
	unsigned sent, right, wrong, chunks, commands;
	bool stream_done, command_done;
	int64_t start_us, calls_us;
};

/* ---- the worker ---- */

static void on_ready(void *ctx)
{
	struct tour_worker *t = ctx;

	t->ready = true;
}

static void on_pong(void *ctx)
{
	struct tour_worker *t = ctx;

	t->pong = true;
}

static void on_end(void *ctx, int status, const struct zk_error *err)
{
	struct tour_worker *t = ctx;

	t->ended = true;
	t->status = status;
	if (err)
		t->error = *err;
}

static bool is_ready(void *ctx)
{
	const struct tour_worker *t = ctx;

	return t->ready || t->ended;
}

static bool has_ended(void *ctx)
{
	const struct tour_worker *t = ctx;

	return t->ended;
}

static int start(struct tour_worker *t, struct zk_error *err)
{
	char *argv[] = { t->d->self,
		         (char *)"procwire",
		         (char *)"worker",
		         (char *)"--no-config",
		         (char *)"--expose",
		         (char *)"echo,sleep",
		         (char *)"--handle",
		         (char *)"count,kind=stream=exec:seq {n}",
		         (char *)"--handle",
		         (char *)"upper,codec=raw=exec:tr a-z A-Z",
		         NULL };
	struct zk_pw_parent_conf conf = {
		.loop = t->d->loop,
		.argv = argv,
		.name = "demo",
		.auth = true,
		.max_payload = 1 << 20,
		.init_ms = WAIT_MS,
		.ctx = t,
		.on_ready = on_ready,
		.on_pong = on_pong,
		.on_end = on_end,
	};

	if (zk_pw_parent_start(&conf, &t->parent, err) < 0)
		return -(int)err->code;
	if (demo_wait(t->d, is_ready, t, WAIT_MS) && t->ready)
		return 0;
	*err = t->error;
	return t->error.code ? -(int)err->code
	                     : zk_fail(err, ZK_E_SUMS, "the worker did not start");
}

/* ---- many calls ---- */

struct echo {
	struct tour_worker *t;
	unsigned n;
	bool answered;
};

static void call_next(struct tour_worker *t);

static void on_echo(void *ctx, zk_str payload)
{
	struct echo *e = ctx;
	struct zk_mpval v;

	e->answered = zk_mp_next(&payload, &v) && v.type == ZK_MP_UINT && v.u == e->n;
}

static void on_echo_done(void *ctx, zk_str error, const struct zk_error *err)
{
	struct echo *e = ctx;
	struct tour_worker *t = e->t;

	if (e->answered && !error.n && !err)
		t->right++;
	else
		t->wrong++;
	free(e);
	if (t->right + t->wrong == CALLS)
		t->calls_us = zk_mono_us() - t->start_us;
	else
		call_next(t);
}

static struct zk_pw_call *call(struct tour_worker *t, const char *method, zk_str payload,
                               const struct zk_pw_call_conf *conf)
{
	const struct zk_pw_table *table = zk_pw_parent_table(t->parent);

	return zk_pw_parent_call(t->parent, zk_pw_table_find(table, zk_str_of(method)),
	                         payload, conf, &t->error);
}

static void call_next(struct tour_worker *t)
{
	struct echo *e;
	struct zk_buf b;

	if (t->sent == CALLS)
		return;
	e = zk_new0(struct echo);
	*e = (struct echo){ .t = t, .n = t->sent++ };
	zk_buf_init(&b, 16);
	zk_mp_u64(&b, e->n);
	if (!call(t, "echo", zk_buf_str(&b),
	          &(struct zk_pw_call_conf){
	                  .ctx = e, .on_data = on_echo, .on_done = on_echo_done }))
		free(e);
	zk_buf_done(&b);
}

static bool all_answered(void *ctx)
{
	const struct tour_worker *t = ctx;

	return t->right + t->wrong == CALLS || t->ended;
}

/* ---- a stream, a command, an abort ---- */

static void on_chunk(void *ctx, zk_str payload)
{
	struct tour_worker *t = ctx;
	char want[24];
	zk_str line;

	(void)snprintf(want, sizeof(want), "%u", t->chunks + 1);
	if (zk_mp_bytes(payload, &line) && zk_str_eq(line, zk_str_of(want)))
		t->chunks++;
}

static void on_stream_done(void *ctx, zk_str error, const struct zk_error *err)
{
	struct tour_worker *t = ctx;

	t->stream_done = !error.n && !err;
}

static void on_upper(void *ctx, zk_str payload)
{
	struct tour_worker *t = ctx;

	t->commands += zk_str_eq(payload, ZK_STR("FROM A COMMAND"));
}

static void on_upper_done(void *ctx, zk_str error, const struct zk_error *err)
{
	struct tour_worker *t = ctx;

	t->command_done = !error.n && !err;
}

static void on_never(void *ctx, zk_str error, const struct zk_error *err)
{
	struct tour_worker *t = ctx;

	(void)error;
	(void)err;
	t->wrong++; /* it was aborted: nothing may come */
}

static bool both_done(void *ctx)
{
	const struct tour_worker *t = ctx;

	return (t->stream_done && t->command_done && t->pong) || t->ended;
}

static int others(struct tour_worker *t)
{
	struct zk_pw_call *slow;
	struct zk_buf b;

	zk_buf_init(&b, 64);
	zk_mp_map(&b, 1);
	zk_mp_cstr(&b, "ms");
	zk_mp_u64(&b, LONG_MS);
	slow = call(t, "sleep", zk_buf_str(&b),
	            &(struct zk_pw_call_conf){ .ctx = t, .on_done = on_never });
	zk_buf_clear(&b);
	zk_mp_map(&b, 1);
	zk_mp_cstr(&b, "n");
	zk_mp_u64(&b, CHUNKS);
	if (!slow ||
	    !call(t, "count", zk_buf_str(&b),
	          &(struct zk_pw_call_conf){
	                  .ctx = t, .on_data = on_chunk, .on_done = on_stream_done }) ||
	    !call(t, "upper", ZK_STR("from a command"),
	          &(struct zk_pw_call_conf){
	                  .ctx = t, .on_data = on_upper, .on_done = on_upper_done }))
		t->wrong++;
	zk_buf_done(&b);
	if (slow)
		zk_pw_call_abort(slow);
	zk_pw_parent_ping(t->parent);
	return demo_wait(t->d, both_done, t, WAIT_MS) ? 0 : -1;
}

/* ---- the stage ---- */

static int work(struct tour_worker *t, struct zk_error *err)
{
	if (start(t, err) < 0)
		return -(int)err->code;
	t->start_us = zk_mono_us();
	for (unsigned i = 0; i < WINDOW; i++)
		call_next(t);
	if (!demo_wait(t->d, all_answered, t, WAIT_MS) || t->right != CALLS)
		return zk_fail(err, ZK_E_SUMS, "%u of %d calls were answered rightly",
		               t->right, CALLS);
	if (others(t) < 0 || t->wrong || t->chunks != CHUNKS || !t->commands || !t->pong)
		return zk_fail(err, ZK_E_SUMS,
		               "%u of %d chunks, %u of 1 command, heartbeat %d, %u wrong",
		               t->chunks, CHUNKS, t->commands, t->pong, t->wrong);
	zk_pw_parent_stop(t->parent);
	if (!demo_wait(t->d, has_ended, t, WAIT_MS) || t->status != 0)
		return zk_fail(err, ZK_E_SUMS, "the worker ended with status %d",
		               t->status);
	return 0;
}

static int run(struct demo *d, void **state, struct zk_buf *line, struct zk_jwrite *facts,
               struct zk_error *err)
{
	struct tour_worker *t = zk_new0(struct tour_worker);
	double rate;

	t->d = d;
	*state = t;
	if (work(t, err) < 0)
		return -(int)err->code;
	rate = CALLS * 1e6 / (double)ZK_MAX(t->calls_us, 1);
	zk_buf_printf(
	        line,
	        "%d calls at %.0f/s, heartbeat answered; %u chunks and %u answer of "
	        "commands, a call of %d s aborted, worker ended with 0",
	        CALLS, rate, t->chunks, t->commands, LONG_MS / 1000);
	zk_jw_key(facts, "calls");
	zk_jw_u64(facts, t->right);
	zk_jw_key(facts, "calls_per_s");
	zk_jw_double(facts, rate);
	zk_jw_key(facts, "chunks");
	zk_jw_u64(facts, t->chunks);
	zk_jw_key(facts, "commands");
	zk_jw_u64(facts, t->commands);
	return 0;
}

static void invite(struct demo *d, void *state)
{
	(void)state;
	(void)fprintf(stderr,
	              "\nA worker ends with its parent. Start one and call it:\n"
	              "  %s procwire call echo '{\"hello\":\"world\"}' -- \\\n"
	              "    %s procwire worker --expose echo\n",
	              d->self, d->self);
}

static void stop(struct demo *d, void *state)
{
	struct tour_worker *t = state;

	(void)d;
	zk_pw_parent_free(t->parent);
	free(t);
}

const struct demo_stage zk_demo_procwire = {
	.name = "procwire",
	.command = "zk procwire bench -- zk procwire worker --expose echo",
	.run = run,
	.invite = invite,
	.stop = stop,
};
