/* The reader lane beside the loop: a file, and a pipe that is written meanwhile, go through the
 * feed into a sender with eight streams and from there to the stand-in; so does an Arrow file, read
 * before and read once more. Debug files are written by the thread between the two, and every row is
 * in them. Under TSan nothing races (specs/zerobus.md §20, goal 4).
 * Layer: tests. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/rand.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "tap.h"
#include "zerobus/debug.h"
#include "zerobus/fake.h"
#include "zerobus/feed.h"
#include "zerobus/request.h"
#include "zerobus/sender.h"

#include "base/ban.h"

enum { ROWS = 20000, ARROW_ROWS = 10000, STREAMS = 8, DEBUG_MS = 2, MUCH = 8 << 20 };
#define TABLE "main.default.t"

struct run {
	struct zk_loop *loop;
	struct zk_zb_feed *feed;
	struct zk_zb_sender *sender;
	struct zk_zb_debug *debug;
	uint64_t read, acked, bad, unsent;
	bool over;
	struct zk_error err;
};

static char dir[256];

static void on_request(void *ctx, struct zk_zb_request *r)
{
	struct run *t = ctx;

	t->read += r->rows;
	zk_zb_sender_push(t->sender, r);
}

static void on_bad(void *ctx, const struct zk_zb_bad *bad)
{
	struct run *t = ctx;

	(void)bad;
	t->bad++;
}

static void on_skipped(void *ctx, uint64_t rows)
{
	(void)ctx;
	(void)rows;
}

static void on_kind(void *ctx, struct zk_zb_kind *kind)
{
	struct run *t = ctx;

	zk_zb_sender_warm(t->sender, kind);
	zk_zb_feed_go(t->feed);
}

static void on_note(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct run *t = ctx;

	if (err)
		t->err = *err;
	zk_zb_sender_finish(t->sender);
}

static void on_built(void *ctx, const struct zk_zb_request *r)
{
	struct run *t = ctx;

	zk_zb_debug_request(t->debug, r);
}

static void on_part(void *ctx, const struct zk_zb_part *part)
{
	struct run *t = ctx;

	zk_zb_debug_part(t->debug, part);
}

static void on_acked(void *ctx, struct zk_zb_request *r, size_t stream)
{
	struct run *t = ctx;

	(void)stream;
	t->acked += r->rows;
	zk_zb_feed_release(t->feed, r);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *err,
                        bool suspect)
{
	(void)suspect;
	on_bad(ctx, NULL);
	(void)err;
	zk_zb_feed_release(((struct run *)ctx)->feed, r);
}

static void on_unsent(void *ctx, struct zk_zb_request *r, const struct zk_error *err)
{
	struct run *t = ctx;

	t->unsent += r->rows;
	t->err = *err;
	zk_zb_feed_release(t->feed, r);
}

static void on_over(void *ctx, const struct zk_error *err)
{
	struct run *t = ctx;

	if (err)
		t->err = *err;
	t->over = true;
}

static void on_flush(void *ctx)
{
	struct run *t = ctx;

	zk_zb_debug_flush(t->debug);
}

static void write_rows(int fd)
{
	char line[64];

	for (int i = 0; i < ROWS; i++) {
		int n = snprintf(line, sizeof(line), "{\"n\":%d,\"text\":\"row\"}\n", i);

		if (write(fd, line, (size_t)n) != n)
			exit(1);
	}
	(void)close(fd);
}

static void *writer(void *ctx)
{
	write_rows(*(int *)ctx);
	return NULL;
}

static struct zk_zb_debug *new_debug(void)
{
	struct zk_zb_debug_conf conf = { .dir = dir,
		                         .table = TABLE,
		                         .message = "t",
		                         .arrow = true,
		                         .proto = true,
		                         .max_file = 100000 };

	return zk_zb_debug_new(&conf);
}

static bool never_bad(void *ctx, const struct zk_zb_bad *bad)
{
	on_bad(ctx, bad);
	return false;
}

/* Reads `path` to its end; after a check, with room for everything or not, when `checked`. */
static void go(struct zk_loop *loop, struct zk_net *net, struct zk_zb_fake *fake,
               const char *path, uint64_t rows, size_t checked)
{
	struct run t = { .loop = loop };
	struct zk_rand rnd;
	char endpoint[64];
	char *paths[] = { (char *)(uintptr_t)path };
	struct zk_error err = { 0 };
	struct zk_zb_held held = { 0 };
	struct zk_zb_check sums;
	uint64_t stamp;
	struct zk_zb_sender_conf sc = {
		.net = net,
		.endpoint = endpoint,
		.table = ZK_STR(TABLE),
		.streams = STREAMS,
		.max_inflight = 100,
		.retry = { .max_retries = 5, .base_ms = 1, .cap_ms = 5 },
		.connect_ms = 30000,
		.create_ms = 30000,
		.ack_ms = 30000,
		.flush_ms = 60000,
		.rnd = &rnd,
		.ctx = &t,
		.on_acked = on_acked,
		.on_rejected = on_rejected,
		.on_unsent = on_unsent,
		.on_over = on_over,
	};
	struct zk_zb_feed_conf fc = {
		.loop = loop,
		.paths = paths,
		.n_paths = 1,
		.rows = { .message = "t" },
		.batch_rows = 20,
		.batch_bytes = 4096,
		.max_message = 65536,
		.linger_ms = 5,
		.max_bytes = checked ? checked : 65536,
		.stamps = checked ? &stamp : NULL,
		.held = checked ? &held : NULL,
		.ctx = &t,
		.on_request = on_request,
		.on_bad = on_bad,
		.on_skipped = on_skipped,
		.on_kind = on_kind,
		.on_note = on_note,
		.on_end = on_end,
		.on_part = on_part,
		.on_built = on_built,
		.on_flush = on_flush,
		.flush_ms = DEBUG_MS,
	};

	zk_rand_seed(&rnd, 1);
	(void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d",
	               zk_zb_fake_grpc_port(fake));
	t.debug = new_debug();
	t.sender = zk_zb_sender_new(&sc);
	if (checked && zk_zb_feed_check(&fc, never_bad, &sums, &err) == 0)
		tap_ok(!held.first == (checked < MUCH), "kept where there is room");
	if (err.code || zk_zb_feed_start(&fc, &t.feed, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	zk_loop_until(loop, &t.over);
	tap_ok(!t.err.code && t.read == rows && t.acked == rows && !t.bad && !t.unsent,
	       "%s: read %llu, acknowledged %llu %s", path, (unsigned long long)t.read,
	       (unsigned long long)t.acked, t.err.msg);
	tap_ok(!zk_zb_debug_failed(t.debug, &err), "debug files were written: %s",
	       err.msg);
	zk_zb_sender_free(t.sender);
	zk_zb_feed_free(t.feed);
	zk_zb_held_drop(&held);
	zk_zb_debug_free(t.debug);
}

/* Lines in all files of a folder. */
static uint64_t lines_in(const char *folder)
{
	char path[600], bytes[65536];
	DIR *d = opendir(folder);
	struct dirent *e;
	uint64_t lines = 0;

	while (d && (e = readdir(d)) != NULL) {
		ssize_t n;
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
			for (ssize_t i = 0; i < n; i++)
				lines += bytes[i] == '\n';
		if (fd >= 0)
			(void)close(fd);
	}
	if (d)
		(void)closedir(d);
	return lines;
}

int main(void)
{
	struct zk_error err = { 0 };
	struct zk_loop *loop = zk_loop_new(&err);
	struct zk_metrics *metrics = zk_metrics_new();
	struct zk_net_conf nc = { .connect_timeout_ms = 30000, .tls_verify = true };
	struct zk_net *net = zk_net_new(loop, &nc, metrics);
	struct zk_zb_fake_conf fake = { .addr = "127.0.0.1" };
	const char *tmp = getenv("TMPDIR");
	char file[300], pipe_path[300], json[300], arrow[300];
	struct zk_zb_fake *f = NULL;
	struct zk_zb_fake_stats st;
	pthread_t thread;
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s/zb_feed.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || zk_zb_fake_start(loop, &fake, &f, &err) < 0)
		return 1;
	(void)snprintf(file, sizeof(file), "%s/rows.ndjson", dir);
	(void)snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", dir);
	write_rows(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	go(loop, net, f, file, ROWS, 0);
	if (mkfifo(pipe_path, 0600) < 0)
		return 1;
	fd = open(pipe_path, O_RDWR | O_CLOEXEC);
	/* The writer closes the only end that writes; the feed reads through its own. */
	int keep = open(pipe_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (pthread_create(&thread, NULL, writer, &fd) != 0)
		return 1;
	go(loop, net, f, pipe_path, ROWS, 0);
	(void)pthread_join(thread, NULL);
	(void)close(keep);
	(void)snprintf(json, sizeof(json), "%s/zerobus/json", dir);
	tap_ok(lines_in(json) == 2 * ROWS, "every row is in a debug file: %llu",
	       (unsigned long long)lines_in(json));
	(void)snprintf(arrow, sizeof(arrow), "%s/tests/data/arrow/big.arrows",
	               getenv("TEST_SRC"));
	go(loop, net, f, arrow, ARROW_ROWS, MUCH);
	go(loop, net, f, arrow, ARROW_ROWS, 65536);
	zk_zb_fake_stats(f, &st);
	tap_ok(st.violations == 0 && st.stored == 2 * ROWS + 2 * ARROW_ROWS,
	       "the stand-in has %llu rows, %llu rules were broken",
	       (unsigned long long)st.stored, (unsigned long long)st.violations);
	zk_zb_fake_free(f);
	zk_net_free(net);
	zk_loop_free(loop);
	zk_metrics_free(metrics);
	return tap_done();
}
