/* Inputs of every kind, pausing, lines of several inputs.
 * Layer: tests. */
#include "rt/input.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

static struct zk_loop *loop;
static char dir[64];

/* What an input gave. */
static struct {
	struct zk_input *in;
	struct zk_lines *lines;
	struct zk_buf got;
	unsigned chunks, ends;
	int code;
	char msg[512];
	unsigned pause_at; /* chunk or line that pauses, 0 = none */
	unsigned close_at;
	bool paused;
} t;

static struct zk_timer *timer;

static void setup(void)
{
	struct zk_error err;

	loop = zk_loop_new(&err);
	memset(&t, 0, sizeof(t));
	zk_buf_init(&t.got, 64 << 20);
	(void)snprintf(dir, sizeof(dir), "%s/input.XXXXXX",
	               getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	cr_assert(mkdtemp(dir) != NULL);
}

static void teardown(void)
{
	char cmd[100];

	zk_input_close(t.in);
	zk_lines_close(t.lines);
	zk_timer_free(timer);
	timer = NULL;
	zk_loop_free(loop);
	zk_buf_done(&t.got);
	(void)snprintf(cmd, sizeof(cmd), "%s/a", dir);
	(void)unlink(cmd);
	(void)snprintf(cmd, sizeof(cmd), "%s/b", dir);
	(void)unlink(cmd);
	(void)rmdir(dir);
}

TestSuite(input, .init = setup, .fini = teardown);
TestSuite(lines, .init = setup, .fini = teardown);

/* The path of a file of this test with `n` bytes of `text`. */
static char *file_with(const char *name, const char *text, size_t n)
{
	char *path = zk_asprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	cr_assert(f && fwrite(text, 1, n, f) == n && fclose(f) == 0);
	return path;
}

static void resume(void *ctx)
{
	(void)ctx;
	t.paused = false;
	if (t.in)
		zk_input_resume(t.in);
	else
		zk_lines_resume(t.lines);
}

/* What the callbacks do at a chosen point: close, or pause for some milliseconds. */
static void step(void)
{
	cr_expect_not(t.paused, "nothing comes while paused");
	t.chunks++;
	if (t.chunks == t.close_at) {
		zk_input_close(ZK_TAKE(t.in));
		zk_lines_close(ZK_TAKE(t.lines));
	} else if (t.pause_at && t.chunks % t.pause_at == 0) {
		t.paused = true;
		if (t.in)
			zk_input_pause(t.in);
		else
			zk_lines_pause(t.lines);
		if (!timer)
			timer = zk_timer_new(loop, resume, NULL);
		zk_timer_start(timer, 2, 0);
	}
}

static void on_data(void *ctx, zk_str chunk)
{
	(void)ctx;
	zk_buf_add(&t.got, chunk);
	step();
}

static void on_end(void *ctx, const struct zk_error *err)
{
	(void)ctx;
	cr_expect_not(t.paused, "no end while paused");
	t.ends++;
	t.code = err ? (int)err->code : 0;
	if (err)
		(void)snprintf(t.msg, sizeof(t.msg), "%s", err->msg);
}

static void open_input(const char *path, int fd, size_t chunk)
{
	struct zk_error err = { 0 };
	struct zk_input_conf conf = { .path = path,
		                      .fd = fd,
		                      .chunk_bytes = chunk,
		                      .on_data = on_data,
		                      .on_end = on_end };

	cr_assert_eq(zk_input_open(loop, &conf, &t.in, &err), 0, "%s", err.msg);
}

static void expect_got(const char *want, size_t n)
{
	cr_expect_eq(t.ends, 1);
	cr_expect_eq(t.code, 0, "%s", t.msg);
	cr_expect_eq(t.got.n, n);
	cr_expect(t.got.n == n && memcmp(t.got.p ? t.got.p : "", want, n) == 0);
}

/* Bytes that repeat with no period of a power of two. */
static char *pattern(size_t n)
{
	char *p = zk_alloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + i % 23);
	p[n] = '\0';
	return p;
}

Test(input, a_file_comes_whole)
{
	char *text = pattern(300000), *path = file_with("a", text, 300000);

	open_input(path, -1, 0);
	zk_loop_run(loop);
	expect_got(text, 300000);
	cr_expect_eq(t.chunks, 5);
	free(text);
	free(path);
}

Test(input, a_paused_file_waits)
{
	char *text = pattern(100000), *path = file_with("a", text, 100000);

	t.pause_at = 3;
	open_input(path, -1, 1000);
	zk_loop_run(loop);
	expect_got(text, 100000);
	cr_expect_eq(t.chunks, 100);
	free(text);
	free(path);
}

Test(input, an_empty_file_ends)
{
	char *path = file_with("a", "", 0);

	open_input(path, -1, 0);
	zk_loop_run(loop);
	expect_got("", 0);
	free(path);
}

static void pause_input(void *ctx)
{
	zk_input_pause(ctx);
	t.paused = true;
}

/* The read that was on its way when the owner paused is kept. */
Test(input, a_pause_from_outside_holds_back_what_is_on_its_way)
{
	char *path = file_with("a", "hello", 5);

	open_input(path, -1, 0);
	zk_loop_defer(loop, pause_input, t.in); /* after the first read has begun */
	timer = zk_timer_new(loop, resume, NULL);
	zk_timer_start(timer, 30, 0);
	zk_loop_run(loop);
	expect_got("hello", 5);
	free(path);
}

static void close_input(void *ctx)
{
	zk_input_close(ctx);
}

Test(input, closing_while_a_read_is_on_its_way)
{
	char *path = file_with("a", "hello", 5);

	open_input(path, -1, 0);
	zk_loop_defer(loop, close_input, t.in);
	t.in = NULL;
	zk_loop_run(loop);
	cr_expect_eq(t.chunks + t.ends, 0);
	free(path);
}

Test(input, closing_from_the_callback)
{
	char *text = pattern(100000), *path = file_with("a", text, 100000);

	t.close_at = 2;
	open_input(path, -1, 1000);
	zk_loop_run(loop);
	cr_expect_eq(t.got.n, 2000);
	cr_expect_eq(t.ends, 0);
	free(text);
	free(path);
}

static void feed(void *ctx)
{
	static const char *const pieces[] = { "one", "two", "three", NULL };
	static unsigned at;
	int *fd = ctx;

	if (!pieces[at]) {
		(void)close(*fd);
		zk_timer_stop(timer);
		return;
	}
	cr_expect_geq(write(*fd, pieces[at], strlen(pieces[at])), 0);
	at++;
}

Test(input, a_pipe_comes_as_it_is_written)
{
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	open_input(NULL, fd[0], 0);
	timer = zk_timer_new(loop, feed, &fd[1]);
	zk_timer_start(timer, 1, 5);
	zk_loop_run(loop);
	expect_got("onetwothree", 11);
	cr_expect_eq(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0,
	             "the shared pipe stays as it was");
	(void)close(fd[0]);
}

/* The writer went away before anybody read. */
Test(input, a_pipe_that_ended_before)
{
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	cr_assert_eq(write(fd[1], "old", 3), 3);
	(void)close(fd[1]);
	open_input(NULL, fd[0], 0);
	zk_loop_run(loop);
	expect_got("old", 3);
	(void)close(fd[0]);
}

Test(input, a_pipe_that_ended_empty)
{
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	(void)close(fd[1]);
	open_input(NULL, fd[0], 0);
	zk_loop_run(loop);
	expect_got("", 0);
	(void)close(fd[0]);
}

Test(input, a_named_fifo_whose_writer_went_before)
{
	char *path = zk_asprintf("%s/a", dir);
	int r, w;

	cr_assert_eq(mkfifo(path, 0600), 0);
	r = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	w = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert(r >= 0 && w >= 0);
	cr_assert_eq(fcntl(r, F_SETFL, 0), 0);
	cr_assert_eq(write(w, "fifo", 4), 4);
	(void)close(w);
	open_input(NULL, r, 0);
	zk_loop_run(loop);
	expect_got("fifo", 4);
	zk_input_close(ZK_TAKE(t.in));
	cr_expect_eq(fcntl(r, F_GETFL) & O_NONBLOCK, 0, "its flags are as before");
	(void)close(r);
	free(path);
}

/* A FIFO given by name before its writer comes is waited for. */
Test(input, a_named_fifo_whose_writer_comes_later)
{
	char *path = zk_asprintf("%s/a", dir);
	int w;

	cr_assert_eq(mkfifo(path, 0600), 0);
	open_input(path, -1, 0);
	w = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(w, 0);
	timer = zk_timer_new(loop, feed, &w);
	zk_timer_start(timer, 20, 5);
	zk_loop_run(loop);
	expect_got("onetwothree", 11);
	free(path);
}

Test(input, a_socket_and_its_flags)
{
	int fd[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	cr_assert_eq(write(fd[1], "socket", 6), 6);
	(void)close(fd[1]);
	open_input(NULL, fd[0], 4);
	zk_loop_run(loop);
	expect_got("socket", 6);
	cr_expect_eq(t.chunks, 2);
	zk_input_close(ZK_TAKE(t.in));
	cr_expect_eq(fcntl(fd[0], F_GETFL) & O_NONBLOCK, 0);
	(void)close(fd[0]);
}

Test(input, a_paused_pipe_waits)
{
	char *text = pattern(50000);
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	cr_assert_eq(write(fd[1], text, 50000), 50000);
	(void)close(fd[1]);
	t.pause_at = 2;
	open_input(NULL, fd[0], 1000);
	zk_loop_run(loop);
	expect_got(text, 50000);
	(void)close(fd[0]);
	free(text);
}

Test(input, devices)
{
	open_input("/dev/null", -1, 0);
	zk_loop_run(loop);
	expect_got("", 0);
	zk_input_close(ZK_TAKE(t.in));
	t.close_at = 3;
	open_input("/dev/zero", -1, 100);
	zk_loop_run(loop);
	cr_expect_eq(t.got.n, 300);
}

Test(input, what_cannot_be_read)
{
	struct zk_input_conf conf = { .on_data = on_data, .on_end = on_end };
	struct zk_error err = { 0 };
	char want[200];

	conf.path = "/nonexistent/file";
	cr_expect_eq(zk_input_open(loop, &conf, &t.in, &err), -ZK_E_NO_INPUT);
	cr_expect_str_eq(err.msg,
	                 "cannot read '/nonexistent/file': No such file or directory");
	conf.path = dir;
	cr_expect_eq(zk_input_open(loop, &conf, &t.in, &err), -ZK_E_NO_INPUT);
	(void)snprintf(want, sizeof(want), "cannot read '%s': it is a folder", dir);
	cr_expect_str_eq(err.msg, want);
	conf.path = NULL;
	conf.fd = 999;
	cr_expect_eq(zk_input_open(loop, &conf, &t.in, &err), -ZK_E_NO_INPUT);
}

/* A read that fails later than the open. */
Test(input, a_failing_read_is_told)
{
	open_input("/proc/self/mem", -1, 0);
	zk_loop_run(loop);
	cr_expect_eq(t.ends, 1);
	cr_expect_eq(t.code, ZK_E_NO_INPUT);
	cr_expect_str_eq(t.msg, "cannot read '/proc/self/mem': Input/output error");
}

/* ---- lines ---- */

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	const char *name = strrchr(file, '/');

	(void)ctx;
	zk_buf_printf(&t.got, "%s:%llu@%llu=%.*s%s;", name ? name + 1 : file,
	              (unsigned long long)line->number, (unsigned long long)line->offset,
	              ZK_STR_ARG(line->text), line->too_long ? "!" : "");
	step();
}

static int open_lines(char *const *paths, size_t n, struct zk_error *err)
{
	struct zk_lines_conf conf = { .paths = paths,
		                      .n = n,
		                      .max_line_bytes = 20,
		                      .on_line = on_line,
		                      .on_end = on_end };

	return zk_lines_open(loop, &conf, &t.lines, err);
}

static const char text_a[] = "one\r\n\n  \n{\"a\":1}\nlast";
static const char text_b[] = "second file\nthis line is longer than twenty\nend\n";
static const char want_ab[] = "a:1@0=one;a:4@9={\"a\":1};a:5@17=last;b:1@0=second file;"
                              "b:2@12=this line is longer !;b:3@44=end;";

Test(lines, of_two_files)
{
	char *paths[] = { file_with("a", text_a, sizeof(text_a) - 1),
		          file_with("b", text_b, sizeof(text_b) - 1) };
	struct zk_error err;

	cr_assert_eq(open_lines(paths, 2, &err), 0);
	zk_loop_run(loop);
	expect_got(want_ab, sizeof(want_ab) - 1);
	free(paths[0]);
	free(paths[1]);
}

/* Pausing after any line, also the last one of a file, loses none. */
Test(lines, pausing_at_every_line)
{
	char *paths[] = { file_with("a", text_a, sizeof(text_a) - 1),
		          file_with("b", text_b, sizeof(text_b) - 1) };
	struct zk_error err;

	t.pause_at = 1;
	cr_assert_eq(open_lines(paths, 2, &err), 0);
	zk_loop_run(loop);
	expect_got(want_ab, sizeof(want_ab) - 1);
	free(paths[0]);
	free(paths[1]);
}

/* A stop while paused in the middle of a chunk: the complete lines come, then the end. */
Test(lines, finishing_while_paused)
{
	static const char want[] = "-:1@0=one;-:2@4=two;-:3@8=three;";
	struct zk_error err;
	int fds[2], old = dup(0);
	char *paths[] = { (char *)"-" };

	cr_assert(pipe(fds) == 0 && dup2(fds[0], 0) == 0);
	cr_assert(write(fds[1], "one\ntwo\nthree\nhalf", 18) == 18);
	t.pause_at = 1;
	cr_assert_eq(open_lines(paths, 1, &err), 0);
	while (!t.paused)
		zk_loop_until(loop, &t.paused);
	zk_timer_stop(timer);
	t.paused = false;
	t.pause_at = 0;
	zk_lines_finish(t.lines);
	cr_expect_eq(t.ends, 1);
	expect_got(want, sizeof(want) - 1);
	cr_assert(dup2(old, 0) == 0);
	(void)close(old);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

Test(lines, closing_at_any_line)
{
	char *paths[] = { file_with("a", text_a, sizeof(text_a) - 1),
		          file_with("b", text_b, sizeof(text_b) - 1) };

	for (unsigned i = 1; i <= 6; i++) {
		struct zk_error err;

		t.chunks = 0;
		t.close_at = i;
		cr_assert_eq(open_lines(paths, 2, &err), 0);
		zk_loop_run(loop);
		cr_expect_eq(t.chunks, i);
		cr_expect_eq(t.ends, 0);
	}
	free(paths[0]);
	free(paths[1]);
}

Test(lines, a_missing_second_file_is_told_when_its_turn_comes)
{
	char *paths[] = { file_with("a", text_a, sizeof(text_a) - 1),
		          (char *)"/nonexistent/b" };
	struct zk_error err;

	cr_assert_eq(open_lines(paths, 2, &err), 0);
	zk_loop_run(loop);
	cr_expect_eq(t.chunks, 3);
	cr_expect_eq(t.code, ZK_E_NO_INPUT);
	cr_expect_eq(open_lines(paths + 1, 1, &err), -ZK_E_NO_INPUT);
	free(paths[0]);
}

/* Many lines over many chunks of a pipe, read while they are written. */
Test(lines, a_long_stream)
{
	enum { LINES = 20000 };
	struct zk_error err;
	int fd[2], saved = dup(STDIN_FILENO);
	pid_t pid;

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		FILE *f = fdopen(fd[1], "w");

		for (unsigned i = 0; f && i < LINES; i++)
			(void)fprintf(f, "%u\n", i);
		if (f)
			(void)fclose(f);
		_exit(0);
	}
	(void)close(fd[1]);
	(void)dup2(fd[0], STDIN_FILENO);
	t.pause_at = 1000;
	cr_assert_eq(open_lines(NULL, 0, &err), 0);
	zk_loop_run(loop);
	cr_expect_eq(t.chunks, LINES);
	cr_expect_eq(t.ends, 1);
	cr_expect(t.got.n > 30 && strstr(zk_buf_cstring(&t.got), "-:20000@") != NULL);
	(void)dup2(saved, STDIN_FILENO);
	(void)close(saved);
	(void)close(fd[0]);
}
