/* Shutdown phases by real signals, each case in a process of its own.
 * Layer: tests. */
#include "rt/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/log.h"
#include "rt/loop.h"
#include "tap.h"

#include "base/ban.h"

/* What the child tells: one letter per thing that happened. R ready, D drain, F flush
 * in time, X flush because the grace time is over, H reload, U snapshot, P broken pipe
 * survived, S first signal seen. */
static int to_parent = -1;
static struct zk_loop *loop;
static struct zk_stop *stop;
static struct zk_timer *timer;

static void tell(char c)
{
	if (write(to_parent, &c, 1) != 1)
		_exit(99);
}

static void drain_at_once(void *ctx)
{
	(void)ctx;
	tell('D');
	zk_stop_drained(stop);
	tell('d'); /* the flush comes later */
}

static void drain_never(void *ctx)
{
	(void)ctx;
	tell('D');
}

static void drain_hangs(void *ctx)
{
	(void)ctx;
	tell('D');
	for (;;)
		(void)pause();
}

static void flush(void *ctx, bool expired)
{
	(void)ctx;
	tell(expired ? 'X' : 'F');
	zk_stop_done(stop);
}

static void reload(void *ctx)
{
	(void)ctx;
	tell('H');
}

static void snapshot(void *ctx)
{
	(void)ctx;
	tell('U');
}

static void begin(void *ctx)
{
	zk_stop_begin(ctx);
}

static void start(const struct zk_stop_conf *conf)
{
	struct zk_error err = { 0 };

	loop = zk_loop_new(&err);
	if (!loop || zk_stop_new(loop, conf, &stop, &err) < 0)
		_exit(98);
}

/* Runs until the stop is over; the exit status is that of a one-shot. */
static int serve(void)
{
	int n;

	timer = zk_timer_new(loop, begin, stop);
	zk_timer_start(timer, 60000, 0);
	tell('R');
	zk_loop_run(loop);
	n = zk_stop_signal(stop);
	if (zk_stop_phase(stop) != ZK_CLOSED)
		n = 99;
	zk_timer_free(timer);
	zk_stop_free(stop);
	zk_loop_free(loop);
	return n;
}

static int child_plain(void)
{
	start(&(struct zk_stop_conf){ .grace_ms = 60000,
	                              .drain = drain_at_once,
	                              .flush = flush,
	                              .reload = reload,
	                              .snapshot = snapshot });
	return serve();
}

static int child_grace(void)
{
	start(&(struct zk_stop_conf){
	        .grace_ms = 50, .drain = drain_never, .flush = flush });
	return serve();
}

static int child_drains(void)
{
	start(&(struct zk_stop_conf){
	        .grace_ms = 60000, .drain = drain_never, .flush = flush });
	return serve();
}

static int child_hangs(void)
{
	start(&(struct zk_stop_conf){
	        .grace_ms = 60000, .drain = drain_hangs, .flush = flush });
	return serve();
}

static int child_worker(void)
{
	start(&(struct zk_stop_conf){ .grace_ms = 60000,
	                              .drain = drain_at_once,
	                              .flush = flush,
	                              .ignore_int = true });
	return serve();
}

static void tell_signal(void *ctx)
{
	(void)ctx;
	if (!zk_stop_signal(stop))
		return;
	tell('S');
	zk_timer_stop(timer);
}

/* The parent of a worker is gone: the stop begins without a signal. */
static int child_eof(void)
{
	start(&(struct zk_stop_conf){
	        .grace_ms = 60000, .drain = drain_never, .flush = flush });
	zk_loop_defer(loop, begin, stop);
	timer = zk_timer_new(loop, tell_signal, NULL);
	zk_timer_start(timer, 1, 1);
	zk_loop_run(loop);
	return 99;
}

static int child_pipe(void)
{
	int fd[2];

	start(&(struct zk_stop_conf){
	        .grace_ms = 60000, .drain = drain_at_once, .flush = flush });
	if (pipe(fd) < 0)
		return 97;
	(void)close(fd[0]);
	if (write(fd[1], "x", 1) < 0 && errno == EPIPE)
		tell('P');
	(void)close(fd[1]);
	return serve();
}

/* After the stop object is gone the signals kill as they do without it. */
static int child_after(void)
{
	int n = child_plain();

	tell('A');
	for (;;)
		(void)pause();
	return n;
}

/* ---- the parent ---- */

struct child {
	pid_t pid;
	int fd;
	char told[64];
	size_t n;
};

static void spawn(struct child *c, int (*fn)(void))
{
	int fd[2];

	memset(c, 0, sizeof(*c));
	(void)fflush(stdout);
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		exit(1);
	c->pid = fork();
	if (c->pid < 0)
		exit(1);
	if (c->pid == 0) {
		(void)close(fd[0]);
		to_parent = fd[1];
		(void)signal(SIGHUP, SIG_DFL); /* nohup would have it ignored */
		exit(fn());
	}
	(void)close(fd[1]);
	c->fd = fd[0];
}

/* Whether the child has told `letter` so far. */
static bool has_told(struct child *c, char letter)
{
	ssize_t n = read(c->fd, c->told + c->n, sizeof(c->told) - 1 - c->n);

	if (n > 0)
		c->n += (size_t)n;
	return strchr(c->told, letter) != NULL;
}

/* Sends `signals` one by one: a letter is waited for, a number is sent. */
struct step {
	char wait;
	int send;
};

static void run(const char *what, int (*fn)(void), const struct step *steps, int want,
                const char *told)
{
	struct child c;
	int status = 0;
	pid_t r = 0;

	spawn(&c, fn);
	for (; steps->wait || steps->send; steps++) {
		if (steps->wait && !TAP_WAIT(10000, has_told(&c, steps->wait)))
			tap_note("'%c' did not come, told '%s'", steps->wait, c.told);
		if (steps->send)
			(void)kill(c.pid, steps->send);
	}
	(void)TAP_WAIT(10000, (r = waitpid(c.pid, &status, WNOHANG)) != 0);
	if (r == 0) {
		(void)kill(c.pid, SIGKILL);
		(void)waitpid(c.pid, &status, 0);
	}
	(void)has_told(&c, 'R');
	(void)close(c.fd);
	/* Killed by signal n is told apart from status n by its sign. */
	status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	(void)tap_ok(status == want && strcmp(c.told, told) == 0,
	             "%s (status %d, wanted %d; told '%s', wanted '%s')", what, status,
	             want, c.told, told);
}

#define STEPS(...) ((const struct step[]){ __VA_ARGS__, { 0, 0 } })

int main(void)
{
	run("TERM drains and flushes", child_plain, STEPS({ 'R', SIGTERM }), SIGTERM,
	    "RDdF");
	run("INT drains and flushes", child_plain, STEPS({ 'R', SIGINT }), SIGINT,
	    "RDdF");
	run("the grace time ends the drain", child_grace, STEPS({ 'R', SIGTERM }),
	    SIGTERM, "RDX");
	run("a second TERM ends at once", child_drains,
	    STEPS({ 'R', SIGTERM }, { 'D', SIGTERM }), 128 + SIGTERM, "RD");
	run("INT after TERM ends at once", child_drains,
	    STEPS({ 'R', SIGTERM }, { 'D', SIGINT }), 128 + SIGINT, "RD");
	run("also when the loop hangs", child_hangs,
	    STEPS({ 'R', SIGINT }, { 'D', SIGINT }), 128 + SIGINT, "RD");
	run("HUP reloads, USR1 shows", child_plain,
	    STEPS({ 'R', SIGHUP }, { 'H', SIGUSR1 }, { 'U', SIGTERM }), SIGTERM,
	    "RHUDdF");
	run("HUP keeps its action without reload", child_drains, STEPS({ 'R', SIGHUP }),
	    -SIGHUP, "R");
	run("USR1 without a snapshot is ignored", child_worker,
	    STEPS({ 'R', SIGUSR1 }, { 'R', SIGTERM }), SIGTERM, "RDdF");
	run("a worker ignores INT", child_worker,
	    STEPS({ 'R', SIGINT }, { 'R', SIGINT }, { 'R', SIGTERM }), SIGTERM, "RDdF");
	run("a signal after the intake ended is the first one", child_eof,
	    STEPS({ 'D', SIGTERM }, { 'S', SIGTERM }), 128 + SIGTERM, "DS");
	run("PIPE is ignored", child_pipe, STEPS({ 'P', SIGTERM }), SIGTERM, "PRDdF");
	run("afterwards TERM kills again", child_after,
	    STEPS({ 'R', SIGTERM }, { 'A', SIGTERM }), -SIGTERM, "RDdFA");
	return tap_done();
}
