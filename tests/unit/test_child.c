/* Child processes: pipes, limits, groups, signals, environment.
 * Layer: tests. */
#include "rt/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

static struct zk_loop *loop;

static struct {
	struct zk_child *child;
	struct zk_child_result res;
	struct zk_buf out, err, stream;
	unsigned exits, rooms;
	bool free_at_data;
} t;

static void setup(void)
{
	struct zk_error err;
	struct sigaction sa = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &sa, NULL);
	loop = zk_loop_new(&err);
	memset(&t, 0, sizeof(t));
	zk_buf_init(&t.out, 16 << 20);
	zk_buf_init(&t.err, 16 << 20);
	zk_buf_init(&t.stream, 16 << 20);
}

static void teardown(void)
{
	zk_loop_free(loop);
	zk_buf_done(&t.out);
	zk_buf_done(&t.err);
	zk_buf_done(&t.stream);
	cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "no child is left");
	cr_expect_eq(errno, ECHILD);
}

TestSuite(child, .init = setup, .fini = teardown, .timeout = 30);

static void on_exit_(void *ctx, const struct zk_child_result *res)
{
	(void)ctx;
	t.exits++;
	t.res = *res;
	zk_buf_add(&t.out, res->out);
	zk_buf_add(&t.err, res->err);
}

static void on_stream(void *ctx, zk_str chunk)
{
	(void)ctx;
	zk_buf_add(&t.stream, chunk);
	if (t.free_at_data)
		zk_child_free(t.child);
}

static void on_room(void *ctx)
{
	(void)ctx;
	t.rooms++;
}

static void start(struct zk_child_conf conf)
{
	struct zk_error err = { 0 };

	conf.on_exit = on_exit_;
	conf.on_out = conf.on_err = on_stream;
	conf.on_room = on_room;
	cr_assert_eq(zk_child_start(loop, &conf, &t.child, &err), 0, "%s", err.msg);
}

static void run(struct zk_child_conf conf)
{
	start(conf);
	zk_loop_run(loop);
	cr_expect_eq(t.exits, 1);
}

#define ARGV(...) ((char *const[]){ __VA_ARGS__, NULL })
#define OUT       .out = ZK_CHILD_COLLECT
#define ERR       .err = ZK_CHILD_COLLECT

Test(child, collects_output_and_status)
{
	run((struct zk_child_conf){
	        .shell = "echo out; echo err >&2; exit 7", OUT, ERR });
	cr_expect_eq(t.res.status, 7);
	cr_expect_eq(t.res.signal, 0);
	cr_expect_str_eq(zk_buf_cstring(&t.out), "out\n");
	cr_expect_str_eq(zk_buf_cstring(&t.err), "err\n");
	cr_expect_not(t.res.out_cut || t.res.err_cut || t.res.killed || t.res.timed_out);
}

/* No shell: nothing in an argument is special. */
Test(child, arguments_stay_one_element)
{
	run((struct zk_child_conf){ .argv = ARGV((char *)"printf", (char *)"<%s>",
	                                         (char *)"a b", (char *)"$HOME",
	                                         (char *)"`id`;"),
	                            OUT });
	cr_expect_str_eq(zk_buf_cstring(&t.out), "<a b><$HOME><`id`;>");
}

Test(child, a_missing_command_is_an_error)
{
	struct zk_child_conf conf = { .argv = ARGV((char *)"no-such-command-here"),
		                      .on_exit = on_exit_ };
	struct zk_error err = { 0 };

	cr_expect_eq(zk_child_start(loop, &conf, &t.child, &err), -ZK_E_SYSTEM);
	cr_expect_eq(err.sys_errno, ENOENT);
	cr_expect_str_eq(
	        err.msg,
	        "cannot start 'no-such-command-here': No such file or directory");
	conf.argv = ARGV((char *)"true");
	conf.cwd = "/nonexistent";
	cr_expect_eq(zk_child_start(loop, &conf, &t.child, &err), -ZK_E_SYSTEM);
	zk_loop_run(loop);
	cr_expect_eq(t.exits, 0);
}

Test(child, a_signal_is_told_as_a_shell_would)
{
	run((struct zk_child_conf){ .shell = "kill -9 $$" });
	cr_expect_eq(t.res.signal, SIGKILL);
	cr_expect_eq(t.res.status, 128 + SIGKILL);
	cr_expect_not(t.res.killed);
}

Test(child, input_of_any_size)
{
	size_t n = 3 << 20;
	char *text = zk_alloc(n);

	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + i % 23);
	run((struct zk_child_conf){ .argv = ARGV((char *)"cat"),
	                            .input = zk_str_n(text, n),
	                            .out_cap = n,
	                            OUT });
	cr_expect_eq(t.res.status, 0);
	cr_expect(t.out.n == n && memcmp(t.out.p, text, n) == 0);
	cr_expect_not(t.res.out_cut);
	free(text);
}

Test(child, stdin_is_empty_unless_given)
{
	run((struct zk_child_conf){ .shell = "wc -c; readlink /proc/self/fd/0", OUT });
	cr_expect_str_eq(zk_buf_cstring(&t.out), "0\n/dev/null\n");
}

/* One that does not read its input is not an error. */
Test(child, input_that_is_not_read)
{
	size_t n = 1 << 20;
	char *text = zk_alloc0(n);

	run((struct zk_child_conf){
	        .shell = "exec 0<&-; echo ok", .input = zk_str_n(text, n), OUT });
	cr_expect_eq(t.res.status, 0);
	cr_expect_str_eq(zk_buf_cstring(&t.out), "ok\n");
	free(text);
}

static void write_all(void *ctx)
{
	static unsigned left = 200;
	char line[1000];

	(void)ctx;
	memset(line, 'x', sizeof(line));
	while (left && zk_child_write(t.child, zk_str_n(line, sizeof(line))))
		left--;
	if (left)
		left--; /* the last one was taken too */
	if (!left)
		zk_child_write_end(t.child);
}

static void on_room_write(void *ctx)
{
	t.rooms++;
	write_all(ctx);
}

Test(child, streamed_input_has_backpressure)
{
	struct zk_child_conf conf = { .shell = "sleep 0.05; wc -c",
		                      .stream_input = true,
		                      .input_high = 10000,
		                      .on_room = on_room_write,
		                      .on_exit = on_exit_,
		                      OUT };
	struct zk_error err = { 0 };

	cr_assert_eq(zk_child_start(loop, &conf, &t.child, &err), 0);
	write_all(NULL);
	zk_loop_run(loop);
	cr_expect_str_eq(zk_buf_cstring(&t.out), "200000\n");
	cr_expect_gt(t.rooms, 5);
}

Test(child, output_is_cut_at_the_cap)
{
	run((struct zk_child_conf){
	        .shell = "head -c 5000 /dev/zero | tr '\\0' x; echo e >&2",
	        .out_cap = 100,
	        OUT,
	        ERR });
	cr_expect_eq(t.out.n, 100);
	cr_expect(t.res.out_cut);
	cr_expect_not(t.res.err_cut);
	cr_expect_eq(t.res.status, 0, "it ran to its end");
}

Test(child, or_the_limit_kills)
{
	run((struct zk_child_conf){
	        .argv = ARGV((char *)"yes"), .out_cap = 1000, .limit_kills = true, OUT });
	cr_expect_eq(t.out.n, 1000);
	cr_expect(t.res.out_cut && t.res.killed);
	cr_expect_eq(t.res.signal, SIGTERM);
}

Test(child, output_can_be_streamed)
{
	run((struct zk_child_conf){ .shell = "echo a; sleep 0.02; echo b; echo c >&2",
	                            .out = ZK_CHILD_STREAM,
	                            .err = ZK_CHILD_STREAM });
	cr_expect_str_eq(zk_buf_cstring(&t.stream), "a\nb\nc\n");
	cr_expect_eq(t.out.n, 0);
}

static void go_on(void *ctx)
{
	(void)ctx;
	cr_expect_eq(t.stream.n, 0, "nothing came while it was paused");
	cr_expect_eq(t.exits, 0, "nor the end");
	zk_child_pause(t.child, STDOUT_FILENO, false);
}

Test(child, a_paused_stream_waits)
{
	struct zk_timer *timer = zk_timer_new(loop, go_on, NULL);

	start((struct zk_child_conf){ .shell = "echo a", .out = ZK_CHILD_STREAM });
	zk_child_pause(t.child, STDOUT_FILENO, true);
	zk_timer_start(timer, 50, 0);
	zk_loop_run(loop);
	cr_expect_str_eq(zk_buf_cstring(&t.stream), "a\n");
	cr_expect_eq(t.exits, 1);
	zk_timer_free(timer);
}

Test(child, time_out_kills_the_whole_group)
{
	int64_t start_ms = zk_mono_ms();

	/* The pipe is held by a process that the leader left in the background. */
	run((struct zk_child_conf){
	        .shell = "sleep 60 & sleep 60", .timeout_ms = 50, OUT });
	cr_expect(t.res.timed_out && t.res.killed);
	cr_expect_eq(t.res.signal, SIGTERM);
	cr_expect_lt(zk_mono_ms() - start_ms, 1500);
}

Test(child, one_that_ignores_term_is_killed_after_the_grace)
{
	run((struct zk_child_conf){
	        .shell = "trap '' TERM; echo on; sleep 60 & wait; sleep 60",
	        .timeout_ms = 100,
	        .grace_ms = 100,
	        OUT });
	cr_expect(t.res.timed_out);
	cr_expect_eq(t.res.signal, SIGKILL);
	cr_expect_str_eq(zk_buf_cstring(&t.out), "on\n");
}

/* A daemon that keeps the pipe delays the end by two seconds at most, and lives on. */
Test(child, a_process_left_behind_does_not_hold_the_end)
{
	int64_t start_ms = zk_mono_ms(), took;

	run((struct zk_child_conf){ .shell = "sleep 5 & echo $!", OUT });
	took = zk_mono_ms() - start_ms;
	cr_expect(took >= 1900 && took < 4000, "%ld ms", (long)took);
	cr_expect_lt(t.res.ms, 1000, "the command itself was quick");
	cr_expect_eq(t.res.status, 0);
	cr_expect_eq(kill((pid_t)strtod(zk_buf_cstring(&t.out), NULL), SIGKILL), 0);
}

Test(child, free_kills_and_reaps)
{
	start((struct zk_child_conf){ .shell = "trap '' TERM; sleep 60", OUT });
	zk_child_free(t.child);
	zk_loop_run(loop);
	cr_expect_eq(t.exits, 0, "no callback comes");
	zk_child_free(NULL);
}

Test(child, free_from_a_callback)
{
	t.free_at_data = true;
	start((struct zk_child_conf){ .shell = "while :; do echo x; done",
	                              .out = ZK_CHILD_STREAM });
	zk_loop_run(loop);
	cr_expect_eq(t.exits, 0);
	cr_expect_gt(t.stream.n, 0);
}

Test(child, environment)
{
	cr_assert_eq(setenv("ZK_TEST_A", "old", 1), 0);
	cr_assert_eq(setenv("ZK_TEST_AB", "kept", 1), 0);
	cr_assert_eq(setenv("ZK_TEST_B", "old", 1), 0);
	run((struct zk_child_conf){
	        .shell = "echo \"$ZK_TEST_A|$ZK_TEST_AB|${ZK_TEST_B-none}|$ZK_TEST_C\"",
	        .env = (const char *const[]){ "ZK_TEST_A=new", "ZK_TEST_B",
	                                      "ZK_TEST_C=a=b c", NULL },
	        OUT });
	cr_expect_str_eq(zk_buf_cstring(&t.out), "new|kept|none|a=b c\n");
}

Test(child, folder)
{
	run((struct zk_child_conf){ .argv = ARGV((char *)"pwd"), .cwd = "/usr", OUT });
	cr_expect_str_eq(zk_buf_cstring(&t.out), "/usr\n");
}

/* No descriptor of ours leaks, also none that is not close-on-exec. */
Test(child, descriptors)
{
	int fd[2], leak;
	struct zk_child_fd given[1];
	char text[16] = "";

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	leak = dup(fd[0]);
	given[0] = (struct zk_child_fd){ .fd = fd[1], .as = 5 };
	run((struct zk_child_conf){
	        .shell = "echo event >&5; for f in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 "
	                 "16; "
	                 "do [ -e /proc/$$/fd/$f ] && printf '%s ' $f; done",
	        .fds = given,
	        .n_fds = 1,
	        OUT });
	cr_expect_str_eq(zk_buf_cstring(&t.out), "0 1 2 5 ");
	cr_expect_eq(read(fd[0], text, sizeof(text)), 6);
	cr_expect_str_eq(text, "event\n");
	(void)close(fd[0]);
	(void)close(fd[1]);
	(void)close(leak);
}

/* Targets that are sources of others: 1 and 2 change places. */
Test(child, descriptors_may_cross)
{
	int a[2], b[2], save3 = 30, save4 = 31;
	struct zk_child_fd given[2];
	char text[8] = "";

	cr_assert(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	cr_assert(dup2(a[1], save3) == save3 && dup2(b[1], save4) == save4);
	given[0] = (struct zk_child_fd){ .fd = save3, .as = save4 };
	given[1] = (struct zk_child_fd){ .fd = save4, .as = save3 };
	run((struct zk_child_conf){
	        .argv = ARGV((char *)"bash", (char *)"-c",
	                     (char *)"printf to31 >&31; printf to30 >&30"),
	        .fds = given,
	        .n_fds = 2 });
	cr_expect_eq(read(a[0], text, sizeof(text)), 4);
	cr_expect_str_eq(text, "to31");
	cr_expect_eq(read(b[0], text, sizeof(text)), 4);
	cr_expect_str_eq(text, "to30");
	for (size_t i = 0; i < 2; i++) {
		(void)close(a[i]);
		(void)close(b[i]);
	}
	(void)close(save3);
	(void)close(save4);
}

Test(child, signals_and_group)
{
	sigset_t set;

	/* PIPE is ignored here, and USR1 blocked; the child gets neither. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	run((struct zk_child_conf){
	        .shell = "grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t'; "
	                 "test $(ps -o pgid= -p $$) = $$ && echo own",
	        OUT });
	cr_expect_str_eq(zk_buf_cstring(&t.out),
	                 "SigBlk:0000000000000000SigIgn:0000000000000000own\n");
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void send_usr1(void *ctx)
{
	zk_child_signal(ctx, SIGUSR1);
}

/* As a wrapper wants it: the caller's group, stdin, descriptors and ignored signals. */
Test(child, one_in_the_foreground)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int in[2], fd;
	char want[64];

	cr_assert_eq(pipe(in), 0);
	cr_assert_eq(write(in[1], "line\n", 5), 5);
	(void)close(in[1]);
	cr_assert_eq(dup2(in[0], STDIN_FILENO), STDIN_FILENO);
	fd = dup(in[0]);
	(void)sigaction(SIGHUP, &ignore, NULL);
	ZK_CLEANUP(zk_freep)
	char *script = zk_asprintf("read x; echo $x $(ps -o pgid= -p $$); kill -HUP $$; "
	                           "test -e /proc/self/fd/%d && echo there",
	                           fd);

	run((struct zk_child_conf){
	        .shell = script, .out = ZK_CHILD_COLLECT, .foreground = true });
	(void)snprintf(want, sizeof(want), "line %d\nthere\n", getpgrp());
	cr_expect_str_eq(zk_buf_cstring(&t.out), want, "%s", zk_buf_cstring(&t.out));
	cr_expect_eq(t.res.status, 0);
}

Test(child, a_signal_of_the_owner)
{
	struct zk_timer *timer;

	start((struct zk_child_conf){
	        .shell = "trap 'echo usr1; exit 3' USR1; while :; do sleep 0.01; done",
	        OUT });
	timer = zk_timer_new(loop, send_usr1, t.child);
	zk_timer_start(timer, 200, 0);
	zk_loop_run(loop);
	cr_expect_eq(t.res.status, 3);
	cr_expect_not(t.res.killed);
	zk_timer_free(timer);
}

/* A child does not outlive us: the process in between starts one and dies. */
Test(child, it_dies_with_its_parent)
{
	char text[32] = "";
	int fd[2];
	pid_t pid;

	cr_assert_eq(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		struct zk_child_fd given = { .fd = fd[1], .as = 3 };

		start((struct zk_child_conf){
		        .shell = "echo $$ >&3; kill -9 $PPID; exec sleep 60",
		        .fds = &given,
		        .n_fds = 1 });
		zk_loop_run(loop);
		_exit(0);
	}
	(void)close(fd[1]);
	cr_assert_gt(read(fd[0], text, sizeof(text) - 1), 0);
	(void)waitpid(pid, NULL, 0);
	/* The pipe ends when the last holder is gone. */
	cr_expect_eq(read(fd[0], text, sizeof(text) - 1), 0);
	(void)close(fd[0]);
}

Test(child, many_at_once)
{
	struct zk_error err = { 0 };

	for (unsigned i = 0; i < 50; i++) {
		struct zk_child_conf conf = { .shell = "cat; exit 1",
			                      .input = ZK_STR("x"),
			                      .on_exit = on_exit_,
			                      OUT };

		cr_assert_eq(zk_child_start(loop, &conf, &t.child, &err), 0);
	}
	zk_loop_run(loop);
	cr_expect_eq(t.exits, 50);
	cr_expect_eq(t.out.n, 50);
}
