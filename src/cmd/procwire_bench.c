/* `zk procwire bench`: how fast a worker answers.
 * Layer: cmd. specs/procwire.md §23. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/procwire_cmd.h"
#include "codec/msgpack.h"
#include "procwire/parent.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/stop.h"

#include "base/ban.h"

#define SAMPLES (1u << 20)
#define INIT_MS 30000
#define IDLE_MS 1000
/* With many in flight the clock is read for one call of so many. */
#define SAMPLE_EVERY 8

struct bench_opts {
	uint64_t window, size, calls;
	int64_t time_ms;
	const char *method;
	bool raw;
};

#define OFF(member) offsetof(struct bench_opts, member)

static const struct zk_opt bench_rows[] = {
	{ .type = ZK_OPT_UINT,
	  .key = 'w',
	  .name = "window",
	  .meta = "N",
	  .def = "128",
	  .min = 1,
	  .max = 65536,
	  .off = OFF(window),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "calls in flight" },
	{ .type = ZK_OPT_SIZE,
	  .key = 's',
	  .name = "size",
	  .meta = "SIZE",
	  .def = "1KiB",
	  .max = 1 << 30,
	  .off = OFF(size),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "payload of a request" },
	{ .type = ZK_OPT_DURATION,
	  .key = 't',
	  .name = "time",
	  .meta = "D",
	  .def = "5s",
	  .min = 1,
	  .max = 86400000,
	  .off = OFF(time_ms),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "how long" },
	{ .type = ZK_OPT_UINT,
	  .name = "calls",
	  .meta = "N",
	  .off = OFF(calls),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "stop after so many calls instead" },
	{ .type = ZK_OPT_STR,
	  .key = 'm',
	  .name = "method",
	  .meta = "NAME",
	  .def = "echo",
	  .off = OFF(method),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "method that is called" },
	{ .type = ZK_OPT_BOOL,
	  .name = "raw",
	  .off = OFF(raw),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "the request is raw bytes; else a msgpack value of that size" },
	ZK_OPT_END,
};

struct bench;

struct slot {
	struct bench *b;
	int64_t start_us; /* 0 = not timed */
};

struct bench {
	struct zk_app *app;
	const struct bench_opts *o;
	struct zk_loop *loop;
	struct zk_stop *stop;
	struct zk_pw_parent *parent;
	const struct zk_pw_method *m;
	struct zk_buf payload;
	struct slot *slots;
	struct zk_timer *timer;
	uint32_t *samples;
	size_t n_samples;
	uint64_t sent, done, errors, bytes;
	size_t in_flight;
	int64_t start_us, end_us, cpu_start_ns, cpu_ns, own_start_ns, own_ns;
	uint64_t idle_kb, peak_kb;
	bool running, finished;
	struct zk_error error;
};

/* ---- what the system says about the worker ---- */

static size_t read_proc(int pid, const char *name, char *text, size_t room)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, room - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* CPU time in nanoseconds: of the main thread exactly, which is where the work is done. */
static int64_t cpu_of(int pid)
{
	char text[200];
	zk_str first;
	uint64_t ns = 0;
	struct zk_error ignored;

	(void)read_proc(pid, "schedstat", text, sizeof(text));
	(void)zk_str_cut(zk_str_of(text), ' ', &first);
	return zk_parse_u64(first, &ns, &ignored) == 0 ? (int64_t)ns : 0;
}

/* "VmRSS" or "VmHWM" in kB. */
static uint64_t memory_of(int pid, const char *key)
{
	char text[8192], *at;
	uint64_t kb = 0;
	struct zk_error ignored;

	(void)read_proc(pid, "status", text, sizeof(text));
	at = strstr(text, key);
	if (!at)
		return 0;
	at += strlen(key) + 1;
	at += strspn(at, " \t");
	return zk_parse_u64(zk_str_n(at, strspn(at, "0123456789")), &kb, &ignored) == 0
	               ? kb
	               : 0;
}

/* ---- calls ---- */

static void sample(struct bench *b, const struct slot *s)
{
	int64_t us = zk_mono_us() - s->start_us;

	if (b->n_samples < SAMPLES)
		b->samples[b->n_samples++] = (uint32_t)ZK_MIN(us, (int64_t)UINT32_MAX);
}

static void finish(struct bench *b)
{
	int pid = zk_pw_parent_pid(b->parent);

	if (b->finished)
		return;
	b->finished = true;
	b->running = false;
	b->end_us = zk_mono_us();
	b->cpu_ns = cpu_of(pid) - b->cpu_start_ns;
	b->own_ns = zk_cpu_ns() - b->own_start_ns;
	b->peak_kb = memory_of(pid, "VmHWM:");
	zk_pw_parent_stop(b->parent);
}

static void on_data(void *ctx, zk_str payload)
{
	struct slot *s = ctx;

	s->b->bytes += payload.n;
}

static void on_piece(void *ctx, zk_str piece, bool last)
{
	struct slot *s = ctx;

	(void)last;
	s->b->bytes += piece.n;
}

static void on_done(void *ctx, zk_str error, const struct zk_error *err);

static void start_call(struct slot *s)
{
	struct bench *b = s->b;
	struct zk_pw_call_conf conf = { .ctx = s,
		                        .on_data = on_data,
		                        .on_piece = on_piece,
		                        .on_done = on_done,
		                        .borrowed = true };
	struct zk_error err = { 0 };
	bool timed = b->o->window == 1 || b->sent % SAMPLE_EVERY == 0;

	s->start_us = timed ? zk_mono_us() : 0;
	if (!zk_pw_parent_call(b->parent, b->m, zk_buf_str(&b->payload), &conf, &err)) {
		b->running = false;
		return;
	}
	b->sent++;
	b->in_flight++;
}

static void on_done(void *ctx, zk_str error, const struct zk_error *err)
{
	struct slot *s = ctx;
	struct bench *b = s->b;

	b->in_flight--;
	b->done++;
	if (err && !b->finished && !b->error.code)
		b->error = *err;
	if (error.n)
		b->errors++;
	if (s->start_us)
		sample(b, s);
	if (b->o->calls && b->done >= b->o->calls)
		b->running = false;
	if (b->running && !err)
		start_call(s);
	else if (b->in_flight == 0)
		finish(b);
}

static void on_time(void *ctx)
{
	struct bench *b = ctx;
	int pid = zk_pw_parent_pid(b->parent);

	if (b->running) { /* the time is over; those in flight end */
		b->running = false;
		return;
	}
	b->idle_kb = memory_of(pid, "VmRSS:");
	b->cpu_start_ns = cpu_of(pid);
	b->own_start_ns = zk_cpu_ns();
	b->start_us = zk_mono_us();
	b->running = true;
	for (size_t i = 0; i < b->o->window; i++) {
		b->slots[i].b = b;
		start_call(&b->slots[i]);
	}
	if (!b->o->calls)
		zk_timer_start(b->timer, b->o->time_ms, 0);
}

/* ---- the run ---- */

static void on_ready(void *ctx)
{
	struct bench *b = ctx;
	const struct zk_pw_table *t = zk_pw_parent_table(b->parent);

	b->m = zk_pw_table_find(t, zk_str_of(b->o->method));
	if (b->m && (b->m->kind == ZK_PW_RESULT || b->m->kind == ZK_PW_ACKED)) {
		/* It is idle first: its memory then is a figure too. */
		zk_timer_start(b->timer, IDLE_MS, 0);
		return;
	}
	(void)zk_fail(&b->error, ZK_E_PW_METHOD,
	              "the worker has no method '%s' of kind result or ack",
	              b->o->method);
	zk_pw_parent_stop(b->parent);
}

static void on_end(void *ctx, int status, const struct zk_error *err)
{
	struct bench *b = ctx;

	(void)status;
	if (err && !b->error.code)
		b->error = *err;
	zk_loop_quit(b->loop);
}

static void on_drain(void *ctx)
{
	struct bench *b = ctx;

	b->running = false;
	zk_pw_parent_stop(b->parent);
}

static void on_flush(void *ctx, bool expired)
{
	(void)ctx;
	(void)expired;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t quantile(const struct bench *b, double q)
{
	return b->n_samples ? b->samples[(size_t)((double)(b->n_samples - 1) * q)] : 0;
}

static int report(struct bench *b, struct zk_out *out, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE };
	double s = (double)(b->end_us - b->start_us) / 1e6, n = (double)b->done;
	struct zk_row row ZK_CLEANUP(zk_row_done);

	if (b->n_samples)
		qsort(b->samples, b->n_samples, sizeof(*b->samples), by_size);
	zk_row_init(&row);
	zk_row_u64(&row, "calls", b->done);
	zk_row_u64(&row, "errors", b->errors);
	zk_row_double(&row, "seconds", s);
	zk_row_u64(&row, "calls_per_s", (uint64_t)(n / s));
	zk_row_double(&row, "mb_per_s", (double)b->bytes / 1e6 / s);
	zk_row_u64(&row, "p50_us", quantile(b, 0.5));
	zk_row_u64(&row, "p99_us", quantile(b, 0.99));
	zk_row_double(&row, "worker_cpu_us_per_call", (double)b->cpu_ns / 1e3 / n);
	zk_row_double(&row, "worker_cpu_s_per_gb",
	              b->bytes ? (double)b->cpu_ns / (double)b->bytes : 0);
	zk_row_double(&row, "parent_cpu_us_per_call", (double)b->own_ns / 1e3 / n);
	zk_row_u64(&row, "worker_idle_kb", b->idle_kb);
	zk_row_u64(&row, "worker_peak_kb", b->peak_kb);
	if (zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0)
		return -(int)err->code;
	return zk_out_end(out, err);
}

/* Raw zeros, or one msgpack string of about that size. */
static void make_payload(struct bench *b)
{
	char *zeros = zk_alloc0(b->o->size + 1);

	memset(zeros, 'x', b->o->size);
	if (b->o->raw)
		zk_buf_put(&b->payload, zeros, b->o->size);
	else
		zk_mp_str(&b->payload, zk_str_n(zeros, b->o->size));
	free(zeros);
}

static int bench(struct bench *b, char **argv, struct zk_error *err)
{
	struct zk_pw_parent_conf conf = {
		.loop = b->loop,
		.argv = argv,
		.name = "zk-bench",
		.max_payload = ZK_PW_PAYLOAD_MAX,
		.init_ms = INIT_MS,
		.ctx = b,
		.on_ready = on_ready,
		.on_end = on_end,
	};
	struct zk_stop_conf stop = { .ctx = b, .drain = on_drain, .flush = on_flush };

	b->stop = zk_app_stop(b->app, &stop, err);
	if (!b->stop || zk_pw_parent_start(&conf, &b->parent, err) < 0)
		return -(int)err->code;
	zk_loop_run(b->loop);
	if (!b->error.code)
		return 0;
	*err = b->error;
	return -(int)err->code;
}

static int bench_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	struct bench b = { .app = app, .o = opts };
	struct zk_out *out;
	int n, r;

	if (zk_procwire_split(app, argc, &n, err) < 0)
		return -(int)err->code;
	if (n)
		return zk_fail(err, ZK_E_USAGE, "nothing but options stands before --");
	b.loop = zk_app_loop(app, err);
	out = b.loop ? zk_app_out(app, err) : NULL;
	if (!out)
		return -(int)err->code;
	b.slots = zk_alloc_array(b.o->window, sizeof(*b.slots));
	b.samples = zk_alloc_array(SAMPLES, sizeof(*b.samples));
	b.timer = zk_timer_new(b.loop, on_time, &b);
	zk_buf_init(&b.payload, (size_t)b.o->size + 64);
	make_payload(&b);
	r = bench(&b, argv + n, err);
	if (r == 0)
		r = report(&b, out, err);
	zk_pw_parent_free(b.parent);
	zk_timer_free(b.timer);
	zk_buf_done(&b.payload);
	free(b.samples);
	free(b.slots);
	return r;
}

const struct zk_cmd zk_cmd_procwire_bench = {
	.path = "procwire bench",
	.args = "-- COMMAND [ARG...]",
	.max_args = ZK_ANY,
	.help = "measure how fast a worker answers",
	.about = "Starts COMMAND as a procwire parent would and keeps WINDOW calls in "
	         "flight. "
	         "CPU time of the worker per call does not depend on how busy the "
	         "machine is.",
	.examples = "zk procwire bench -- zk procwire worker --expose echo\n"
	            "zk procwire bench -w 1 -t 10s -- node worker.mjs\n"
	            "zk procwire bench --raw -m raw -s 10MB -w 4 -- ./worker",
	.output = "one row: rate, latencies, CPU and memory of the worker",
	.exits = "0 · 69 no such method · 76 connection lost",
	.see = "man zk-procwire",
	.groups = ZK_OPTS_OUTPUT,
	.opts = bench_rows,
	.opts_size = sizeof(struct bench_opts),
	.conf = "procwire.bench",
	.run = bench_run,
};
