/* The control channel of a worker: lines on stdin, lines on stdout.
 * Layer: procwire. specs/procwire.md §3. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "procwire/worker_int.h"
#include "rt/input.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define IN_CHUNK 16384
/* Pongs are dropped when more than this waits for a parent that does not read. */
#define OUT_MAX 65536u
/* $init of a long table must fit. */
#define OUT_CAP (8u << 20)

/* ---- out ---- */

static void write_out(struct zk_pw_worker *w)
{
	while (w->out.n) {
		ssize_t n = write(w->conf.out_fd, w->out.p, w->out.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && w->out_poll)
			break;
		if (n < 0) { /* nobody reads; stdin says what that means */
			zk_buf_clear(&w->out);
			break;
		}
		zk_buf_consume(&w->out, (size_t)n);
	}
	if (w->out_poll)
		zk_poll_set(w->out_poll, w->out.n ? ZK_POLL_OUT : 0);
}

static void on_out(void *ctx, int events, int status)
{
	(void)events;
	(void)status;
	write_out(ctx);
}

bool zk_pw_control_send(struct zk_pw_worker *w, zk_str line)
{
	if (w->out.n && w->out.n + line.n > OUT_MAX)
		return false;
	zk_buf_add(&w->out, line);
	write_out(w);
	return true;
}

static void send_pong(struct zk_pw_worker *w)
{
	struct zk_buf b;

	zk_buf_init(&b, 256);
	zk_pw_control_simple(&b, "$pong");
	w->stats.pings++;
	if (!zk_pw_control_send(w, zk_buf_str(&b)))
		zk_debug("a pong was dropped", "waiting=%zu", w->out.n);
	zk_buf_done(&b);
}

/* ---- in ---- */

static void on_data(void *ctx, zk_str chunk)
{
	struct zk_pw_worker *w = ctx;
	zk_str line, params;

	while (w->state != ZK_PW_CLOSING && zk_pw_lines_next(&w->lines, &chunk, &line)) {
		enum zk_pw_control c = zk_pw_control_parse(line, &params);

		if (c == ZK_PW_C_PING)
			send_pong(w);
		else if (c == ZK_PW_C_SHUTDOWN)
			zk_pw_worker_stop(w, ZK_PW_BY_SHUTDOWN);
	}
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct zk_pw_worker *w = ctx;

	if (err)
		zk_log_error(ZK_LOG_DEBUG, ZK_LOGGER, "stdin failed", err);
	zk_pw_worker_stop(w, ZK_PW_BY_STDIN);
}

int zk_pw_control_start(struct zk_pw_worker *w, struct zk_error *err)
{
	struct zk_input_conf in = { .fd = w->conf.in_fd,
		                    .chunk_bytes = IN_CHUNK,
		                    .ctx = w,
		                    .on_data = on_data,
		                    .on_end = on_end };
	struct zk_error none = { 0 };

	zk_pw_lines_init(&w->lines, ZK_PW_LINE_MAX);
	zk_buf_init(&w->out, OUT_CAP);
	w->out_flags = fcntl(w->conf.out_fd, F_GETFL);
	/* A file cannot be watched, and never blocks. */
	w->out_poll = zk_poll_new(w->loop, w->conf.out_fd, on_out, w, &none);
	return zk_input_open(w->loop, &in, &w->in, err);
}

void zk_pw_control_stop(struct zk_pw_worker *w)
{
	zk_input_close(ZK_TAKE(w->in));
	if (w->out_poll && w->out_flags >= 0)
		(void)fcntl(w->conf.out_fd, F_SETFL, w->out_flags);
	zk_poll_free(ZK_TAKE(w->out_poll));
	zk_pw_lines_done(&w->lines);
	zk_buf_done(&w->out);
}
