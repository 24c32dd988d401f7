/* Inputs that can be paused. What epoll takes is polled; files, and devices that it
 * refuses, are read in libuv's threads.
 * Layer: rt. */
#include "rt/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

#define CHUNK_BYTES 65536

struct zk_input {
	struct zk_input_conf conf;
	struct zk_loop *loop;
	char *name; /* for messages */
	int fd;
	bool own_fd;
	int flags;            /* to be restored, -1 = none */
	struct zk_poll *poll; /* NULL = read in a thread */
	uv_fs_t req;
	bool reading; /* `req` is on its way */
	/* What is given, or about to be; and, of what is read in a thread, where the next piece
	 * goes meanwhile. */
	char *buf, *ahead;
	ssize_t got;  /* the result of a read that ended while paused */
	bool waiting; /* `got` has not been given yet */
	bool paused, ended, closed;
};

static void start_read(struct zk_input *in);
static void give_and_read(struct zk_input *in, ssize_t n);

/* ---- end of life ---- */

static void input_free(void *ctx)
{
	struct zk_input *in = ctx;

	free(in->buf);
	free(in->ahead);
	free(in->name);
	free(in);
}

static void close_fd(struct zk_input *in)
{
	if (in->flags >= 0)
		(void)fcntl(in->fd, F_SETFL, in->flags);
	if (in->own_fd)
		(void)close(in->fd);
	in->fd = -1;
}

/* ---- what came ---- */

static void give_data(struct zk_input *in, size_t n)
{
	in->conf.on_data(in->conf.ctx, zk_str_n(in->buf, n));
}

static void give_end(struct zk_input *in, int errnum)
{
	struct zk_error err = { 0 };

	in->ended = true;
	if (in->poll)
		zk_poll_set(in->poll, 0);
	if (errnum)
		(void)zk_fail_errno(&err, ZK_E_NO_INPUT, errnum, "cannot read %s",
		                    in->name);
	in->conf.on_end(in->conf.ctx, errnum ? &err : NULL);
}

/* Bytes, 0 for the end, or a negative errno. Afterwards the input may be closed. */
static void give(struct zk_input *in, ssize_t r)
{
	if (r > 0)
		give_data(in, (size_t)r);
	else
		give_end(in, (int)-r);
}

static void on_readable(void *ctx, int events, int status)
{
	struct zk_input *in = ctx;
	ssize_t n = status < 0 ? status : read(in->fd, in->buf, in->conf.chunk_bytes);

	(void)events;
	if (status >= 0 && n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		n = -errno;
	}
	give(in, n);
}

static void on_read(uv_fs_t *req)
{
	struct zk_input *in = req->data;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	in->reading = false;
	if (in->closed) {
		close_fd(in);
		input_free(in);
		return;
	}
	if (in->paused) {
		in->got = n;
		in->waiting = true;
		return;
	}
	give_and_read(in, n);
}

/* A piece that a thread has read: the next one is read while this one is worked on. */
static void give_and_read(struct zk_input *in, ssize_t n)
{
	char *done = in->ahead;

	in->ahead = in->buf;
	in->buf = done;
	if (n > 0)
		start_read(in);
	give(in, n);
	/* After a pause that ended meanwhile. */
	if (!in->closed)
		start_read(in);
}

static void start_read(struct zk_input *in)
{
	uv_buf_t b = uv_buf_init(in->ahead, (unsigned)in->conf.chunk_bytes);
	int r;

	if (in->paused || in->ended || in->reading || in->waiting)
		return;
	r = uv_fs_read(zk_loop_uv(in->loop), &in->req, in->fd, &b, 1, -1, on_read);
	ZK_ASSERT(r == 0); /* with a callback it fails only for a wrong request */
	in->reading = true;
}

/* After a resume: what came meanwhile, then more. */
static void on_wake(void *ctx)
{
	struct zk_input *in = ctx;

	if (in->paused || in->ended)
		return;
	if (in->waiting) {
		in->waiting = false;
		give_and_read(in, in->got);
		return;
	}
	start_read(in);
}

/* ---- interface ---- */

void zk_input_pause(struct zk_input *in)
{
	in->paused = true;
	if (in->poll)
		zk_poll_set(in->poll, 0);
}

void zk_input_resume(struct zk_input *in)
{
	if (!in->paused)
		return;
	in->paused = false;
	if (in->ended)
		return;
	if (in->poll)
		zk_poll_set(in->poll, ZK_POLL_IN);
	else
		zk_loop_defer(in->loop, on_wake, in);
}

void zk_input_close(struct zk_input *in)
{
	if (!in || in->closed)
		return;
	in->closed = true;
	zk_loop_forget(in->loop, on_wake, in);
	zk_poll_free(in->poll);
	if (in->reading) {
		/* A read that has begun ends by itself; on_read frees. */
		(void)uv_cancel((uv_req_t *)&in->req);
		return;
	}
	close_fd(in);
	zk_loop_defer(in->loop, input_free, in);
}

/* A descriptor of its own for the same pipe or terminal, so that O_NONBLOCK is not set
 * for the others who hold it (our shell, the next command of a pipeline). -1 when there
 * is none. Not for a named FIFO: one that is opened after its writer went never reports
 * the end. */
static int reopen(int fd)
{
	char path[40], target[16];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	if (!isatty(fd) &&
	    (n < 0 || !zk_str_starts(zk_str_n(target, (size_t)n), ZK_STR("pipe:"))))
		return -1;
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static int open_fd(struct zk_input *in, struct stat *st, struct zk_error *err)
{
	const char *path = in->conf.path;
	int fd;

	if (path && strcmp(path, "-") != 0) {
		in->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		in->own_fd = in->fd >= 0;
	} else {
		in->fd = path ? STDIN_FILENO : in->conf.fd;
	}
	if (in->fd < 0 || fstat(in->fd, st) < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read %s",
		                     in->name);
	if (S_ISDIR(st->st_mode))
		return zk_fail(err, ZK_E_NO_INPUT, "cannot read %s: it is a folder",
		               in->name);
	fd = in->own_fd ? -1 : reopen(in->fd);
	if (fd >= 0) {
		in->fd = fd;
		in->own_fd = true;
	}
	return 0;
}

static int watch(struct zk_input *in, const struct stat *st, struct zk_error *err)
{
	if (S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))
		return 0;
	if (!in->own_fd)
		in->flags = fcntl(in->fd, F_GETFL);
	in->poll = zk_poll_new(in->loop, in->fd, on_readable, in, err);
	if (in->poll) {
		zk_poll_set(in->poll, ZK_POLL_IN);
		return 0;
	}
	/* Devices such as /dev/null are always ready and cannot be watched. */
	return err->sys_errno == EPERM ? 0 : -(int)err->code;
}

int zk_input_open(struct zk_loop *loop, const struct zk_input_conf *conf,
                  struct zk_input **ret, struct zk_error *err)
{
	struct zk_input *in = zk_new0(struct zk_input);
	struct stat st = { 0 };

	in->conf = *conf;
	in->loop = loop;
	in->fd = in->flags = -1;
	if (!in->conf.chunk_bytes)
		in->conf.chunk_bytes = CHUNK_BYTES;
	if (!conf->path || strcmp(conf->path, "-") == 0)
		in->name = zk_strdup("standard input");
	else
		in->name = zk_asprintf("'%s'", conf->path);
	in->req.data = in;
	if (open_fd(in, &st, err) < 0 || watch(in, &st, err) < 0) {
		close_fd(in);
		input_free(in);
		return -(int)err->code;
	}
	in->buf = zk_alloc_pages(in->conf.chunk_bytes);
	if (!in->poll) {
		in->ahead = zk_alloc_pages(in->conf.chunk_bytes);
		zk_loop_defer(loop, on_wake, in);
	}
	*ret = in;
	return 0;
}

/* ---- a whole input ---- */

struct whole {
	struct zk_buf *b;
	struct zk_error err;
	bool over;
};

static void on_whole_data(void *ctx, zk_str chunk)
{
	struct whole *w = ctx;

	zk_buf_add(w->b, chunk);
	w->over |= w->b->failed;
}

static void on_whole_end(void *ctx, const struct zk_error *err)
{
	struct whole *w = ctx;

	if (err)
		w->err = *err;
	w->over = true;
}

int zk_input_all(struct zk_loop *loop, const char *path, struct zk_buf *b,
                 struct zk_error *err)
{
	struct whole w = { .b = b };
	struct zk_input_conf conf = {
		.path = path, .ctx = &w, .on_data = on_whole_data, .on_end = on_whole_end
	};
	struct zk_input *in = NULL;

	if (zk_input_open(loop, &conf, &in, err) < 0)
		return -(int)err->code;
	zk_loop_until(loop, &w.over);
	zk_input_close(in);
	if (w.err.code) {
		*err = w.err;
		return -(int)err->code;
	}
	return zk_buf_check(b, err);
}
