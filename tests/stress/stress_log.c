/* The log from many threads at once: whole lines, every line or its count, no order
 * lost within a thread; redaction and folding meanwhile; a reader that stands still
 * does not stop the writers.
 * Layer: tests. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "tap.h"

#include "base/ban.h"

#define THREADS 4
#define LINES   3000

static char path[256];

static bool setup(bool threaded)
{
	struct zk_log_conf conf = { .level = ZK_LOG_NOTICE,
		                    .format = ZK_LOG_JOURNALD,
		                    .file = path,
		                    .threaded = threaded };
	struct zk_error err;

	return zk_log_setup(&conf, &err) == 0;
}

static void *log_lines(void *ctx)
{
	int id = *(int *)ctx;

	for (int i = 0; i < LINES; i++)
		zk_warn("line", "thread=%d i=%d pad=%s", id, i,
		        "0123456789012345678901234567890123456789");
	return NULL;
}

static void run_threads(void *(*fn)(void *))
{
	pthread_t threads[THREADS];
	int ids[THREADS];

	for (int i = 0; i < THREADS; i++) {
		ids[i] = i;
		if (pthread_create(&threads[i], NULL, fn, &ids[i]) != 0)
			abort();
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Reads the log: every line whole, those of a thread in order. Returns lines + dropped
 * ones. */
static unsigned long check_file(bool *ordered)
{
	FILE *f = fopen(path, "re");
	int last[THREADS] = { -1, -1, -1, -1 };
	unsigned long lines = 0, dropped;
	char line[512];

	*ordered = f != NULL;
	while (f && fgets(line, sizeof(line), f)) {
		int id, i;

		if (sscanf(line,
		           "<4>zk: line thread=%d i=%d "
		           "pad=0123456789012345678901234567890123456789\n",
		           &id, &i) == 2 &&
		    strlen(line) > 40 && line[strlen(line) - 1] == '\n' && id >= 0 &&
		    id < THREADS) {
			*ordered &= i > last[id];
			last[id] = i;
			lines++;
		} else if (sscanf(line, "<4>log: dropped %lu line", &dropped) == 1) {
			lines += dropped;
		} else {
			tap_note("odd line: %s", line);
			*ordered = false;
		}
	}
	if (f)
		(void)fclose(f);
	return lines;
}

static void test_lines(bool threaded)
{
	bool ordered = false;

	(void)unlink(path);
	tap_ok(setup(threaded), "set up, %s writer thread",
	       threaded ? "with" : "without");
	run_threads(log_lines);
	zk_log_stop();
	tap_ok(check_file(&ordered) == (unsigned long)THREADS * LINES,
	       "every line is there or counted");
	tap_ok(ordered, "lines are whole and in order");
}

/* Setting up again, level changes, flushes and secrets while others write. */
static atomic_bool over;

static void *log_until_over(void *ctx)
{
	unsigned i = 0;

	while (!atomic_load(&over)) {
		zk_warn("again and again", "k=%u id=%d", i++ % 3, *(int *)ctx);
		zk_debug("not shown");
		if (*(int *)ctx == 0)
			zk_redact_add(i % 2 ? ZK_STR("a secret value")
			                    : ZK_STR("another secret"));
		if (*(int *)ctx == 1)
			zk_log_flush();
		if (*(int *)ctx == 2)
			zk_log_level_set(i % 2 ? ZK_LOG_NOTICE : ZK_LOG_INFO);
	}
	return NULL;
}

static void *set_up_again(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 40; i++)
		if (!setup(i % 2))
			abort();
	atomic_store(&over, true);
	return NULL;
}

static void *either(void *ctx)
{
	return *(int *)ctx == THREADS - 1 ? set_up_again(ctx) : log_until_over(ctx);
}

static void test_changes(void)
{
	(void)unlink(path);
	if (!setup(true))
		abort();
	run_threads(either);
	zk_log_stop();
	tap_ok(!zk_redact_found(ZK_STR("nothing")) &&
	               zk_redact_found(ZK_STR("x a secret value")),
	       "set-up, level, flush and secrets change while others log");
}

/* Reads what there is; the last piece stays in `text`. Returns the number of bytes. */
static size_t read_all(int fd, char text[4096])
{
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, text, 4095)) > 0) {
		text[n] = '\0';
		sum += (size_t)n;
	}
	return sum;
}

/* Descriptor 2 is a pipe that nobody reads: log calls return at once, the rest is
 * counted. */
static void test_stalled_reader(void)
{
	struct zk_log_conf conf = { .level = ZK_LOG_NOTICE,
		                    .format = ZK_LOG_JOURNALD,
		                    .threaded = true };
	int fd[2], old = dup(STDERR_FILENO);
	static char text[4096];
	struct zk_error err;
	int64_t start;
	unsigned long dropped = 0;

	if (pipe2(fd, O_CLOEXEC) != 0 || fcntl(fd[0], F_SETFL, O_NONBLOCK) != 0 ||
	    old < 0 || dup2(fd[1], STDERR_FILENO) < 0)
		abort();
	tap_ok(zk_log_setup(&conf, &err) == 0, "set up on a pipe");
	start = tap_now_ms();
	for (int i = 0; i < 40000; i++)
		zk_warn("stalled", "i=%d pad=%s", i,
		        "0123456789012345678901234567890123456789");
	tap_ok(tap_now_ms() - start < 30000, "the writers did not wait for the reader");
	start = tap_now_ms();
	zk_log_stop();
	tap_ok(tap_now_ms() - start < 15000, "stopping gives up after a while");
	tap_ok(read_all(fd[0], text) > 1000, "what fitted into the pipe was written");
	zk_log_flush();
	if (read_all(fd[0], text) == 0 ||
	    sscanf(text, "<4>log: dropped %lu lines", &dropped) != 1)
		tap_note("no count of dropped lines");
	tap_ok(dropped > 1000, "%lu lines were counted as dropped", dropped);
	(void)dup2(old, STDERR_FILENO);
	(void)close(old);
	(void)close(fd[0]);
	(void)close(fd[1]);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(path, sizeof(path), "%s/stress_log.%d", tmp ? tmp : "/tmp",
	               (int)getpid());
	test_lines(true);
	test_lines(false);
	test_changes();
	test_stalled_reader();
	(void)unlink(path);
	return tap_done();
}
