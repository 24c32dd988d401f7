/* Child processes and their pipes.
 * Layer: rt. */
#include "rt/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/spawn.h"

#include "base/ban.h"

#define CAP_BYTES  (1u << 20)
#define INPUT_HIGH (1u << 20)
#define GRACE_MS   2000
/* How long output is waited for after the end, when a process it left behind has the
 * pipes. */
#define LINGER_MS  2000
#define POLL_MS    10 /* where there is no pidfd */
#define FDS_MAX    16
#define READ_BYTES 32768

/* stdout or stderr of the child. */
struct output {
	struct zk_child *child;
	enum zk_child_to to;
	int fd; /* -1 = none, or at its end */
	struct zk_poll *poll;
	struct zk_buf buf; /* of COLLECT */
	bool cut;
	void (*on_data)(void *ctx, zk_str chunk);
};

struct zk_child {
	struct zk_child_conf conf;
	struct zk_loop *loop;
	pid_t pid;
	int64_t start_ms;

	int pidfd; /* -1 = none, polled by a timer */
	struct zk_poll *exit_poll;
	struct zk_timer *exit_timer, *time_out, *kill_timer, *linger;

	int in_fd; /* -1 = closed */
	struct zk_poll *in_poll;
	struct zk_buf in_buf;
	size_t in_at; /* bytes of it that are written */
	bool in_high, in_end;

	struct output out, err;
	struct zk_child_result res;
	bool exited;   /* the leader is a zombie: its group's number stays ours */
	bool freed;    /* by the owner: no callback any more */
	bool finished; /* on_exit was called, or there is none */
};

static void check_finished(struct zk_child *c);

/* ---- closing ---- */

static void close_in(struct zk_child *c)
{
	zk_poll_free(ZK_TAKE(c->in_poll));
	if (c->in_fd >= 0)
		(void)close(c->in_fd);
	c->in_fd = -1;
	zk_buf_done(&c->in_buf);
	c->in_at = 0;
}

static size_t in_left(const struct zk_child *c)
{
	return c->in_buf.n - c->in_at;
}

static void close_output(struct output *o)
{
	zk_poll_free(ZK_TAKE(o->poll));
	if (o->fd >= 0)
		(void)close(o->fd);
	o->fd = -1;
}

static void free_timers(struct zk_child *c)
{
	zk_timer_free(ZK_TAKE(c->exit_timer));
	zk_timer_free(ZK_TAKE(c->time_out));
	zk_timer_free(ZK_TAKE(c->kill_timer));
	zk_timer_free(ZK_TAKE(c->linger));
}

static void close_watch(struct zk_child *c)
{
	zk_poll_free(ZK_TAKE(c->exit_poll));
	if (c->pidfd >= 0)
		(void)close(c->pidfd);
	c->pidfd = -1;
}

static void release(void *ctx)
{
	struct zk_child *c = ctx;

	close_in(c);
	close_output(&c->out);
	close_output(&c->err);
	zk_buf_done(&c->out.buf);
	zk_buf_done(&c->err.buf);
	close_watch(c);
	free_timers(c);
	free(c);
}

/* ---- end of the process ---- */

static void signal_group(const struct zk_child *c, int sig)
{
	/* Until it is reaped, no other group can have this number. */
	if (!c->finished)
		(void)kill(c->conf.foreground ? c->pid : -c->pid, sig);
}

static void on_kill_time(void *ctx)
{
	signal_group(ctx, SIGKILL);
}

void zk_child_kill(struct zk_child *c)
{
	if (c->res.killed || c->finished)
		return;
	c->res.killed = true;
	signal_group(c, SIGTERM);
	signal_group(c, SIGCONT); /* one that is stopped would not see it */
	zk_timer_start(c->kill_timer, c->conf.grace_ms, 0);
}

void zk_child_signal(struct zk_child *c, int sig)
{
	signal_group(c, sig);
}

static void on_time_out(void *ctx)
{
	struct zk_child *c = ctx;

	c->res.timed_out = !c->exited;
	zk_child_kill(c);
}

/* Takes the status but leaves the zombie. False while it runs. */
static bool look_at_exit(struct zk_child *c)
{
	siginfo_t si = { 0 };

	if (waitid(P_PID, (id_t)c->pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    si.si_pid != c->pid)
		return false;
	if (si.si_code == CLD_EXITED) {
		c->res.status = si.si_status;
	} else {
		c->res.signal = si.si_status;
		c->res.status = 128 + si.si_status;
	}
	c->res.ms = zk_mono_ms() - c->start_ms;
	return true;
}

static void on_linger(void *ctx)
{
	struct zk_child *c = ctx;

	close_output(&c->out);
	close_output(&c->err);
	check_finished(c);
}

static void check_exit(struct zk_child *c)
{
	if (c->exited || !look_at_exit(c))
		return;
	c->exited = true;
	close_watch(c);
	zk_timer_stop(c->exit_timer);
	zk_timer_stop(c->time_out);
	close_in(c);
	/* A kill goes on for what is left of the group, so that the pipes end. */
	zk_timer_start(c->linger,
	               c->res.killed ? c->conf.grace_ms + LINGER_MS : LINGER_MS, 0);
	check_finished(c);
}

static void on_pidfd(void *ctx, int events, int status)
{
	(void)events;
	(void)status;
	check_exit(ctx);
}

static void on_exit_timer(void *ctx)
{
	check_exit(ctx);
}

static void check_finished(struct zk_child *c)
{
	if (!c->exited || c->out.fd >= 0 || c->err.fd >= 0 || c->finished)
		return;
	c->finished = true;
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free_timers(c);
	if (!c->freed) {
		c->res.out = zk_buf_str(&c->out.buf);
		c->res.err = zk_buf_str(&c->err.buf);
		c->res.out_cut = c->out.cut;
		c->res.err_cut = c->err.cut;
		if (c->conf.on_exit)
			c->conf.on_exit(c->conf.ctx, &c->res);
	}
	c->freed = true;
	zk_loop_defer(c->loop, release, c);
}

/* ---- output ---- */

static void collect(struct output *o, zk_str chunk)
{
	size_t room = o->buf.cap - o->buf.n;

	zk_buf_put(&o->buf, chunk.p, ZK_MIN(chunk.n, room));
	if (chunk.n <= room)
		return;
	o->cut = true;
	if (o->child->conf.limit_kills)
		zk_child_kill(o->child);
}

static void on_output(void *ctx, int events, int status)
{
	struct output *o = ctx;
	struct zk_child *c = o->child;
	char chunk[READ_BYTES];
	ssize_t n = status < 0 ? 0 : read(o->fd, chunk, sizeof(chunk));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_output(o);
		check_finished(c);
	} else if (o->to == ZK_CHILD_COLLECT) {
		collect(o, zk_str_n(chunk, (size_t)n));
	} else if (!c->freed) {
		o->on_data(c->conf.ctx, zk_str_n(chunk, (size_t)n));
	}
}

void zk_child_pause(struct zk_child *c, int fd, bool pause)
{
	struct output *o = fd == STDOUT_FILENO ? &c->out : &c->err;

	if (o->poll)
		zk_poll_set(o->poll, pause ? 0 : ZK_POLL_IN);
}

/* ---- input ---- */

/* Forgets what is written, now and then only: it moves the rest. */
static void written(struct zk_child *c, size_t n)
{
	c->in_at += n;
	if (in_left(c) == 0) {
		zk_buf_clear(&c->in_buf);
		c->in_at = 0;
	} else if (c->in_at > c->in_buf.n / 2) {
		zk_buf_consume(&c->in_buf, c->in_at);
		c->in_at = 0;
	}
}

static void check_room(struct zk_child *c)
{
	if (!c->in_high || in_left(c) > c->conf.input_high / 2)
		return;
	c->in_high = false;
	if (c->conf.on_room && !c->freed)
		c->conf.on_room(c->conf.ctx);
}

static void on_writable(void *ctx, int events, int status)
{
	struct zk_child *c = ctx;
	ssize_t n = status < 0 ? -1 : write(c->in_fd, c->in_buf.p + c->in_at, in_left(c));

	(void)events;
	if (n < 0 && status >= 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n >= 0)
		written(c, (size_t)n);
	/* One that does not read on: its status says whether that is right. */
	if (n < 0 || (!in_left(c) && c->in_end))
		close_in(c);
	else if (!in_left(c))
		zk_poll_set(c->in_poll, 0);
	check_room(c);
}

bool zk_child_write(struct zk_child *c, zk_str data)
{
	if (c->in_fd < 0 || c->in_end || !data.n)
		return true;
	if (!in_left(c))
		zk_poll_set(c->in_poll, ZK_POLL_OUT);
	zk_buf_add(&c->in_buf, data);
	c->in_high = in_left(c) >= c->conf.input_high;
	return !c->in_high;
}

void zk_child_write_end(struct zk_child *c)
{
	c->in_end = true;
	if (!in_left(c))
		close_in(c);
}

/* ---- start ---- */

struct ends {
	struct zk_spawn_fd fds[FDS_MAX];
	size_t n;
	int to_close[3]; /* the child's ends, which we do not keep */
	size_t n_close;
};

static void give_fd(struct ends *e, int fd, int as, bool close_it)
{
	ZK_ASSERT(e->n < FDS_MAX);
	e->fds[e->n++] = (struct zk_spawn_fd){ fd, as };
	if (close_it)
		e->to_close[e->n_close++] = fd;
}

static int open_null(struct ends *e, int as, int flags)
{
	int fd = open("/dev/null", flags | O_CLOEXEC);

	if (fd < 0)
		return -1;
	give_fd(e, fd, as, true);
	return 0;
}

/* A pipe: one end for the child as descriptor `as`, the other one, not blocking, into
 * *ours. */
static int open_pipe(struct ends *e, int as, int *ours)
{
	bool child_reads = as == STDIN_FILENO;
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -1;
	*ours = fd[child_reads ? 1 : 0];
	give_fd(e, fd[child_reads ? 0 : 1], as, true);
	return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int open_output(struct ends *e, struct output *o, int as)
{
	switch (o->to) {
	case ZK_CHILD_NULL:
		return open_null(e, as, O_WRONLY);
	case ZK_CHILD_INHERIT:
		give_fd(e, as, as, false);
		return 0;
	case ZK_CHILD_COLLECT:
	case ZK_CHILD_STREAM:
		break;
	}
	return open_pipe(e, as, &o->fd);
}

static int open_ends(struct zk_child *c, struct ends *e)
{
	int r = 0;

	if (c->conf.foreground)
		give_fd(e, STDIN_FILENO, STDIN_FILENO, false);
	else
		r = c->conf.input.n || c->conf.stream_input
		            ? open_pipe(e, STDIN_FILENO, &c->in_fd)
		            : open_null(e, STDIN_FILENO, O_RDONLY);

	if (r < 0 || open_output(e, &c->out, STDOUT_FILENO) < 0 ||
	    open_output(e, &c->err, STDERR_FILENO) < 0)
		return -1;
	for (size_t i = 0; i < c->conf.n_fds; i++)
		give_fd(e, c->conf.fds[i].fd, c->conf.fds[i].as, false);
	return 0;
}

static int watch_output(struct output *o, struct zk_error *err)
{
	if (o->fd < 0)
		return 0;
	o->poll = zk_poll_new(o->child->loop, o->fd, on_output, o, err);
	if (!o->poll)
		return -(int)err->code;
	zk_poll_set(o->poll, ZK_POLL_IN);
	return 0;
}

static int watch_pipes(struct zk_child *c, struct zk_error *err)
{
	if (c->in_fd >= 0) {
		c->in_poll = zk_poll_new(c->loop, c->in_fd, on_writable, c, err);
		if (!c->in_poll)
			return -(int)err->code;
	}
	if (watch_output(&c->out, err) < 0)
		return -(int)err->code;
	return watch_output(&c->err, err);
}

static void watch_exit(struct zk_child *c)
{
	struct zk_error err = { 0 };

	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd >= 0)
		c->exit_poll = zk_poll_new(c->loop, c->pidfd, on_pidfd, c, &err);
	if (c->exit_poll)
		zk_poll_set(c->exit_poll, ZK_POLL_IN);
	else
		zk_timer_start(c->exit_timer, POLL_MS, POLL_MS);
}

static int spawn(struct zk_child *c, struct zk_error *err)
{
	char *const shell[] = { (char *)"/bin/sh", (char *)"-c", (char *)c->conf.shell,
		                NULL };
	struct ends ends = { 0 };
	struct zk_spawn s = {
		.argv = c->conf.shell ? shell : c->conf.argv,
		.cwd = c->conf.cwd,
		.env = c->conf.env,
		.fds = ends.fds,
		.foreground = c->conf.foreground,
	};
	int r = 0;

	if (open_ends(c, &ends) < 0)
		r = zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot start '%s'",
		                  s.argv[0]);
	s.n_fds = ends.n;
	if (r == 0)
		r = zk_spawn(&s, &c->pid, err);
	for (size_t i = 0; i < ends.n_close; i++)
		(void)close(ends.to_close[i]);
	return r;
}

static struct zk_child *child_new(struct zk_loop *loop, const struct zk_child_conf *conf)
{
	struct zk_child *c = zk_new0(struct zk_child);

	c->conf = *conf;
	c->loop = loop;
	c->pidfd = c->in_fd = -1;
	c->out = (struct output){ .child = c, .fd = -1, .to = conf->out };
	c->err = (struct output){ .child = c, .fd = -1, .to = conf->err };
	c->out.on_data = conf->on_out;
	c->err.on_data = conf->on_err;
	zk_buf_init(&c->out.buf, conf->out_cap ? conf->out_cap : CAP_BYTES);
	zk_buf_init(&c->err.buf, conf->err_cap ? conf->err_cap : CAP_BYTES);
	zk_buf_init(&c->in_buf, PTRDIFF_MAX); /* bounded by the writer, who is told */
	if (!c->conf.input_high)
		c->conf.input_high = INPUT_HIGH;
	if (!c->conf.grace_ms)
		c->conf.grace_ms = GRACE_MS;
	c->exit_timer = zk_timer_new(loop, on_exit_timer, c);
	c->time_out = zk_timer_new(loop, on_time_out, c);
	c->kill_timer = zk_timer_new(loop, on_kill_time, c);
	c->linger = zk_timer_new(loop, on_linger, c);
	return c;
}

int zk_child_start(struct zk_loop *loop, const struct zk_child_conf *conf,
                   struct zk_child **ret, struct zk_error *err)
{
	struct zk_child *c = child_new(loop, conf);

	ZK_ASSERT((conf->argv && conf->argv[0]) || conf->shell);
	ZK_ASSERT(conf->out != ZK_CHILD_STREAM || conf->on_out);
	ZK_ASSERT(conf->err != ZK_CHILD_STREAM || conf->on_err);
	if (spawn(c, err) < 0) {
		c->finished = true;
		release(c);
		return -(int)err->code;
	}
	c->start_ms = zk_mono_ms();
	watch_exit(c);
	if (watch_pipes(c, err) < 0) {
		zk_child_free(c);
		return -(int)err->code;
	}
	(void)zk_child_write(c, conf->input); /* the bound is for what comes later */
	if (!conf->stream_input)
		zk_child_write_end(c);
	if (conf->timeout_ms > 0)
		zk_timer_start(c->time_out, conf->timeout_ms, 0);
	*ret = c;
	return 0;
}

int zk_child_pid(const struct zk_child *c)
{
	return c->pid;
}

void zk_child_free(struct zk_child *c)
{
	if (!c || c->freed)
		return;
	c->freed = true;
	signal_group(c, SIGKILL);
	close_in(c);
	close_output(&c->out);
	close_output(&c->err);
	/* It stays until it is reaped; check_finished frees. */
	check_exit(c);
	check_finished(c);
}
