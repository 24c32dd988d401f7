/* From the buffer to the descriptor, directly or by a thread.
 * Layer: rt. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "rt/lane.h"
#include "rt/loop.h"
#include "rt/out_impl.h"

#include "base/ban.h"

#define FULL_BYTES (1u << 20)

struct write_job {
	struct zk_job job;
	struct zk_out *out;
	int fd;
	char *text;
	size_t n;
	int errnum; /* written by the thread */
};

static void note_error(struct zk_out *o, int errnum)
{
	if (!errnum || o->closed || o->failed)
		return;
	if (errnum == EPIPE) {
		o->closed = true;
		return;
	}
	o->failed = true;
	(void)zk_fail_errno(&o->error, ZK_E_OUTPUT, errnum, "cannot write the output");
}

/* Touches nothing but the jobs: it may outlive the rest. */
static void run(void *ctx, struct zk_job *batch, size_t n)
{
	int errnum = 0;

	(void)ctx;
	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct write_job *w = ZK_CONTAINER_OF(j, struct write_job, job);

		/* What follows a failed write would tear the text. */
		if (!errnum)
			errnum = zk_write_all(w->fd, zk_str_n(w->text, w->n));
		w->errnum = errnum;
	}
}

static void tell_room(void *ctx)
{
	struct zk_out *o = ctx;

	o->conf.on_room(o->conf.ctx);
}

static void done(struct zk_job *job)
{
	struct write_job *w = ZK_CONTAINER_OF(job, struct write_job, job);
	struct zk_out *o = w->out;

	note_error(o, w->errnum);
	o->pending -= w->n;
	free(w->text);
	free(w);
	if (!o->full || o->pending > FULL_BYTES / 2)
		return;
	o->full = false;
	if (o->conf.on_room)
		zk_loop_defer(o->conf.loop, tell_room, o);
}

int zk_out_write_init(struct zk_out *o, struct zk_error *err)
{
	struct zk_lane_conf conf = {
		.name = "zk-stdout",
		.run = run,
		.max_jobs = SIZE_MAX, /* bounded by who asks zk_out_is_full */
		.batch_jobs = 64,
	};

	if (!o->conf.threaded)
		return 0;
	ZK_ASSERT(o->conf.loop);
	return zk_lane_start(o->conf.loop, &conf, &o->lane, err);
}

static bool would_wait(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 0;
}

void zk_out_write(struct zk_out *o)
{
	struct write_job *w;

	if (!o->buf.n || o->closed || o->failed) {
		zk_buf_clear(&o->buf);
		return;
	}
	if (!o->lane) {
		if (o->conf.patience_ms && would_wait(o->conf.fd))
			(void)o->conf.patience_ms(o->conf.app); /* as long as it takes */
		note_error(o, zk_write_all(o->conf.fd, zk_buf_str(&o->buf)));
		zk_buf_clear(&o->buf);
		return;
	}
	w = zk_new0(struct write_job);
	w->out = o;
	w->fd = o->conf.fd;
	w->n = o->buf.n;
	w->text = zk_buf_take(&o->buf);
	w->job.bytes = w->n;
	w->job.done = done;
	o->pending += w->n;
	zk_lane_push_always(o->lane, &w->job);
	o->full |= o->pending >= FULL_BYTES;
}

/* No room for another byte: it is the reader, not this machine, that is slow. */
static bool is_stuck(void *ctx)
{
	const struct zk_out *o = ctx;

	return would_wait(o->conf.fd);
}

void zk_out_write_wait(struct zk_out *o)
{
	int64_t ms =
	        o->pending && o->conf.patience_ms ? o->conf.patience_ms(o->conf.app) : -1;

	/* What may follow is written directly. */
	if (!zk_lane_stop_within(ZK_TAKE(o->lane), ms, is_stuck, o) && !o->failed) {
		o->failed = true;
		(void)zk_fail(&o->error, ZK_E_INTERRUPTED,
		              "nobody read the output: %zu bytes of it were not written",
		              o->pending);
	}
	if (o->conf.loop)
		zk_loop_forget(o->conf.loop, tell_room, o);
}
