/* Running a small program for its output.
 * Layer: conf. */
#include "conf/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "base/ban.h"

extern char **environ;

struct child {
	pid_t pid;
	int in, out; /* our ends; -1 = closed */
};

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The child leads a process group of its own, so that what it starts dies with it. Signals that
 * zk ignores work normally in it. */
static int spawn(char *const *argv, const int in[2], const int out[2], pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t set;
	int r;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_adddup2(&fa, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&fa, out[1], STDOUT_FILENO);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &set);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
	                                        POSIX_SPAWN_SETPGROUP);
	r = posix_spawnp(pid, argv[0], &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

static int start(struct child *c, char *const *argv, struct zk_error *err)
{
	int in[2], out[2], r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return zk_fail_errno(err, ZK_E_SECRET, errno, "cannot make a pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = errno;
		close(in[0]);
		close(in[1]);
		return zk_fail_errno(err, ZK_E_SECRET, r, "cannot make a pipe");
	}
	r = spawn(argv, in, out, &c->pid);
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	if (r == 0) {
		/* Writing must not block while the child waits for us to read. */
		(void)fcntl(c->in, F_SETFL, O_NONBLOCK);
		return 0;
	}
	shut(&c->in);
	shut(&c->out);
	return zk_fail_errno(err, ZK_E_SECRET, r, "cannot run '%.100s'", argv[0]);
}

static void feed(struct child *c, zk_str *input)
{
	ssize_t n = input->n ? write(c->in, input->p, input->n) : 0;

	if (n > 0)
		*input = zk_str_from(*input, (size_t)n);
	/* A child that does not read its input is its own affair. */
	if (input->n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(&c->in);
}

/* One piece of output. False at the end of it. */
static bool take(struct child *c, struct zk_buf *out)
{
	char *p = zk_buf_reserve(out, 512);
	char drain[512];
	ssize_t n = read(c->out, p ? p : drain, sizeof(drain));

	if (n < 0 && errno == EINTR)
		return true;
	if (n > 0 && p)
		out->n += (size_t)n;
	zk_wipe(drain, sizeof(drain));
	return n > 0;
}

/* Feeds and reads until the output ends; false when the time is over or it is too much. */
static bool converse(struct child *c, zk_str input, int64_t until_ms, struct zk_buf *out)
{
	bool more = true;

	feed(c, &input);
	while (more) {
		struct pollfd fds[2] = { { .fd = c->out, .events = POLLIN },
			                 { .fd = c->in, .events = POLLOUT } };
		int64_t left = until_ms - zk_mono_ms();

		if (left <= 0 || out->failed)
			return false;
		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			return false;
		if (c->in >= 0 && fds[1].revents)
			feed(c, &input);
		if (fds[0].revents)
			more = take(c, out);
	}
	return true;
}

/* Waits for the end of the child; kills it when `ok` is not set or the time is over. */
static int reap(struct child *c, bool ok, int64_t until_ms)
{
	int status = 0;

	shut(&c->in);
	shut(&c->out);
	while (ok) {
		pid_t r = waitpid(c->pid, &status, WNOHANG);

		if (r == c->pid)
			return status;
		if ((r < 0 && errno != EINTR) || zk_mono_ms() >= until_ms)
			break;
		(void)poll(NULL, 0, 5);
	}
	(void)kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

int zk_run(char *const *argv, zk_str input, int64_t timeout_ms, struct zk_buf *out,
           struct zk_error *err)
{
	int64_t until = zk_mono_ms() + timeout_ms;
	struct child c = { .in = -1, .out = -1 };
	bool ok;
	int status;

	if (start(&c, argv, err) < 0)
		return -(int)err->code;
	ok = converse(&c, input, until, out);
	status = reap(&c, ok, until);
	if (out->failed)
		return zk_fail(err, ZK_E_SECRET, "'%.100s' wrote more than %zu bytes",
		               argv[0], out->cap);
	if (!ok ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && zk_mono_ms() >= until))
		return zk_fail(err, ZK_E_SECRET, "'%.100s' did not end within %lld s",
		               argv[0], (long long)(timeout_ms / 1000));
	if (WIFSIGNALED(status))
		return zk_fail(err, ZK_E_SECRET, "'%.100s' was ended by signal %d",
		               argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return zk_fail(err, ZK_E_SECRET, "'%.100s' failed with exit status %d",
		               argv[0], WEXITSTATUS(status));
	return 0;
}
