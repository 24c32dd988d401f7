/* Starts one process.
 * Layer: rt. */
#include "rt/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#include "base/ban.h"

#define FDS_MAX 32

/* ---- environment ---- */

/* Whether the variable `have` ("NAME=VALUE") is set or removed by `want`. */
static bool same_name(const char *have, const char *want)
{
	size_t n = strcspn(want, "=");

	return strncmp(have, want, n) == 0 && have[n] == '=';
}

static bool is_changed(const char *var, const char *const *changes)
{
	for (size_t i = 0; changes && changes[i]; i++)
		if (same_name(var, changes[i]))
			return true;
	return false;
}

/* Ours with the changes; only the array is allocated. */
static char **make_env(const char *const *changes)
{
	size_t n = 0, k = 0, at = 0;
	char **env;

	while (environ && environ[n])
		n++;
	while (changes && changes[k])
		k++;
	env = zk_alloc_array(n + k + 1, sizeof(*env));
	for (size_t i = 0; i < n; i++)
		if (!is_changed(environ[i], changes))
			env[at++] = environ[i];
	for (size_t i = 0; i < k; i++)
		if (strchr(changes[i], '='))
			env[at++] = (char *)changes[i];
	return env;
}

/* ---- in the child: only what is safe after fork beside other threads ---- */

static ZK_NORETURN void child_fail(int fd)
{
	int e = errno;

	/* If this fails, the parent sees an end without an error and the status 127. */
	if (write(fd, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

/* What our parent made us ignore (nohup) stays ignored when `keep_ignored`; PIPE is our own
 * doing. */
static void reset_signals(bool keep_ignored)
{
	struct sigaction sa = { .sa_handler = SIG_DFL }, now;
	sigset_t none;

	for (int n = 1; n < NSIG; n++) {
		if (keep_ignored && n != SIGPIPE && sigaction(n, NULL, &now) == 0 &&
		    now.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(n, &sa,
		                NULL); /* fails for KILL, STOP and those of libc */
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Marks every descriptor from 3 on; also those we were given by our own parent. */
static void close_on_exec_all(void)
{
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = 3; fd < 1024; fd++) /* before Linux 5.11 */
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int above_all(const struct zk_spawn *s)
{
	int n = STDERR_FILENO;

	for (size_t i = 0; i < s->n_fds; i++)
		n = ZK_MAX(n, s->fds[i].as);
	return n + 1;
}

/* Puts the descriptors into their places; first out of each other's way. */
static bool place_fds(const struct zk_spawn *s)
{
	int high[FDS_MAX], above = above_all(s);

	for (size_t i = 0; i < s->n_fds; i++) {
		high[i] = fcntl(s->fds[i].fd, F_DUPFD_CLOEXEC, above);
		if (high[i] < 0)
			return false;
	}
	for (size_t i = 0; i < s->n_fds; i++)
		if (dup2(high[i], s->fds[i].as) < 0)
			return false;
	return true;
}

static ZK_NORETURN void child_main(const struct zk_spawn *s, char **env, pid_t parent,
                                   int report)
{
	if (!s->foreground) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127); /* it died before it could be asked to tell */
		close_on_exec_all();
	}
	reset_signals(s->foreground);
	/* `report` must survive the placing. */
	report = fcntl(report, F_DUPFD_CLOEXEC, above_all(s));
	if (report < 0)
		_exit(127);
	if (!place_fds(s))
		child_fail(report);
	if (s->cwd && chdir(s->cwd) < 0)
		child_fail(report);
	(void)execvpe(s->argv[0], s->argv, env);
	child_fail(report);
}

/* ---- in the parent ---- */

/* 0 when the exec took place, else the errno of the child. */
static int read_report(int fd)
{
	int e = 0;
	ssize_t n;

	do {
		n = read(fd, &e, sizeof(e));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(e) ? e : 0;
}

int zk_spawn(const struct zk_spawn *s, pid_t *ret, struct zk_error *err)
{
	pid_t parent = getpid(), pid;
	sigset_t all, old;
	char **env;
	int report[2], e;

	ZK_ASSERT(s->n_fds <= FDS_MAX);
	if (pipe2(report, O_CLOEXEC) < 0)
		return zk_fail_errno(err, ZK_E_SYSTEM, errno, "cannot start '%s'",
		                     s->argv[0]);
	env = make_env(s->env);
	/* None of our handlers may run in the child. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child_main(s, env, parent, report[1]);
	e = pid < 0 ? errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)close(report[1]);
	free(env);
	if (pid > 0)
		e = read_report(report[0]);
	(void)close(report[0]);
	if (e && pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (e)
		return zk_fail_errno(err, ZK_E_SYSTEM, e, "cannot start '%s'",
		                     s->argv[0]);
	*ret = pid;
	return 0;
}
