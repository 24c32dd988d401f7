/* The lanes of `zk jetstream` at work together: pieces of a file are sieved while the loop takes
 * them apart with pauses; a file that is read ahead goes to the writer, whose log another lane
 * moves into the database, whose full files a third one seals, while a follower reads behind.
 * Nothing is lost, nothing is there twice; under TSan nothing races.
 * Layer: tests. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/rand.h"
#include "jetstream/follow.h"
#include "jetstream/pipe.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "store/sqlite.h"
#include "tap.h"

#include "base/ban.h"

/* Long texts: the log passes the bounds at which checkpoints begin and commits are held. */
enum { SMALL = 20000, LARGE = 6000, TEXT_BYTES = 12000, FULL_AT = 900 };

struct run {
	struct zk_loop *loop;
	struct zk_metrics *metrics;
	struct zk_jet_pipe *pipe;
	struct zk_jet_source *source;
	struct zk_jet_store *store;
	struct zk_jet_follower *follower;
	struct zk_timer *room;
	uint64_t emitted, followed;
	bool over, caught_up;
	struct zk_error err;
};

static char dir[256];

static char *path_of(const char *name)
{
	return zk_asprintf("%s/%s", dir, name);
}

static void write_events(const char *path, unsigned n, size_t text)
{
	FILE *f = fopen(path, "we");
	char *filler = zk_alloc(text + 1);

	memset(filler, 'x', text);
	filler[text] = '\0';
	for (unsigned i = 0; f && i < n; i++)
		(void)fprintf(
		        f,
		        "{\"did\":\"did:plc:%u\",\"time_us\":%u,\"kind\":\"commit\","
		        "\"commit\":{\"rev\":\"r%u\",\"operation\":\"%s\","
		        "\"collection\":\"app.bsky.feed.post\",\"rkey\":\"k%u\","
		        "\"record\":{\"text\":\"%s\"}}}\n",
		        i % 97, 1000000 + i, i, i % 3 ? "delete" : "create", i, filler);
	if (!f || fclose(f) != 0)
		exit(1);
	free(filler);
}

static bool on_emit(void *ctx, zk_str record)
{
	struct run *r = ctx;

	(void)record;
	if (++r->emitted % FULL_AT)
		return true;
	zk_timer_start(r->room, 1, 0);
	return false;
}

static void on_room(void *ctx)
{
	zk_jet_pipe_room(((struct run *)ctx)->pipe);
}

/* The source is freed while its lanes are still at work. */
static void on_enough(void *ctx)
{
	((struct run *)ctx)->over = true;
}

static void on_ended(void *ctx, const struct zk_error *err)
{
	struct run *r = ctx;

	r->over = true;
	if (err)
		r->err = *err;
}

static void read_all(struct run *r, const struct zk_jet_file_source_conf *conf)
{
	struct zk_jet_source_hooks hooks = zk_jet_pipe_hooks(r->pipe);

	if (zk_jet_file_source_new(r->loop, conf, &hooks, &r->source, &r->err) < 0) {
		(void)fprintf(stderr, "%s\n", r->err.msg);
		exit(1);
	}
	zk_jet_pipe_attach(r->pipe, r->source);
	zk_loop_until(r->loop, &r->over);
	zk_jet_source_free(r->source);
}

/* ---- pieces ---- */

static void sieve(struct zk_loop *loop, struct zk_metrics *metrics,
                  const struct zk_jet_filter *filter, unsigned lanes, uint64_t limit)
{
	struct run r = { .loop = loop };
	char *path = path_of("small.ndjson");
	struct zk_jet_pipe_conf pipe = { .loop = loop,
		                         .metrics = metrics,
		                         .filter = filter,
		                         .envelope = ZK_JET_ENV_RAW,
		                         .fixed_filter = true,
		                         .limit = limit,
		                         .ctx = &r,
		                         .emit = on_emit,
		                         .enough = on_enough,
		                         .ended = on_ended };
	struct zk_jet_file_source_conf conf = { .path = path,
		                                .lanes = lanes,
		                                .piece_bytes = 3000 };
	struct zk_jet_figures f;

	r.room = zk_timer_new(loop, on_room, &r);
	r.pipe = zk_jet_pipe_new(&pipe);
	read_all(&r, &conf);
	zk_jet_pipe_figures(r.pipe, &f);
	tap_ok(!r.err.code && r.emitted == f.stored &&
	               f.stored == (limit ? limit : (SMALL + 2) / 3) &&
	               f.received == f.stored + f.filtered &&
	               (limit || f.received == SMALL),
	       "%u lanes: %llu events, %llu passed %s", lanes,
	       (unsigned long long)f.received, (unsigned long long)r.emitted, r.err.msg);
	zk_jet_pipe_free(r.pipe);
	zk_timer_free(r.room);
	free(path);
}

/* ---- the store ---- */

static void on_stored(void *ctx, const struct zk_jet_commit *c)
{
	struct run *r = ctx;

	if (r->follower)
		zk_jet_follower_kick(r->follower, c->n);
}

static void on_deliver(void *ctx, const struct zk_jet_batch *batch)
{
	struct run *r = ctx;

	r->followed += batch->n;
	zk_jet_follower_done(r->follower, NULL);
}

static void on_caught_up(void *ctx)
{
	((struct run *)ctx)->caught_up = true;
}

static int64_t count_in(const char *name)
{
	char *path = path_of(name);
	struct zk_db *db = NULL;
	struct zk_stmt *st = NULL;
	struct zk_error err;
	int64_t n = -1;

	if (zk_jet_file_open(path, &db, &err) == 0 &&
	    zk_db_prepare(db, "SELECT count(DISTINCT at_uri) FROM records", &st, &err) ==
	            0 &&
	    zk_stmt_step(st, &err) == 1)
		n = zk_col_i64(st, 0);
	zk_stmt_free(st);
	zk_db_close(db);
	free(path);
	return n;
}

static bool is_store_file(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 3 && strncmp(e->d_name, "jetstream_", 10) == 0 &&
	       strcmp(e->d_name + n - 3, ".db") == 0;
}

static void count_rows(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int64_t rows = 0;
	unsigned files = 0;

	while (d && (e = readdir(d)) != NULL) {
		if (!is_store_file(e))
			continue;
		rows += count_in(e->d_name);
		files++;
	}
	if (d)
		(void)closedir(d);
	tap_ok(rows == LARGE && files > 1, "%lld rows in %u files", (long long)rows,
	       files);
}

static void store(struct zk_loop *loop, struct zk_metrics *metrics,
                  const struct zk_jet_filter *filter)
{
	struct run r = { .loop = loop };
	char *path = path_of("large.ndjson");
	struct zk_jet_pipe_conf pipe = { .loop = loop,
		                         .metrics = metrics,
		                         .filter = filter,
		                         .envelope = ZK_JET_ENV_ZK,
		                         .batch = 100,
		                         .linger_ms = 5,
		                         .ctx = &r,
		                         .stored = on_stored,
		                         .enough = on_enough,
		                         .ended = on_ended };
	struct zk_jet_store_conf sc = { .dir = dir,
		                        .envelope = ZK_JET_ENV_ZK,
		                        .rotate_bytes = 40u << 20,
		                        .compress = ZK_JET_PLAIN,
		                        .on_commit = zk_jet_pipe_committed };
	struct zk_jet_follower_conf fc = { .name = "stress",
		                           .dir = dir,
		                           .envelope = ZK_JET_ENV_ZK,
		                           .fd = -1,
		                           .deliver = on_deliver,
		                           .ctx = &r };
	struct zk_jet_file_source_conf conf = { .path = path };

	r.pipe = zk_jet_pipe_new(&pipe);
	sc.ctx = r.pipe;
	if (zk_jet_store_open(loop, &sc, &r.store, &r.err) < 0 ||
	    zk_jet_follower_new(loop, &fc, metrics, &r.follower, &r.err) < 0)
		exit(1);
	zk_jet_pipe_use(r.pipe, NULL, r.store, NULL);
	read_all(&r, &conf);
	tap_ok(!r.err.code, "everything is stored %s", r.err.msg);
	zk_jet_follower_when_idle(r.follower, on_caught_up, &r);
	zk_loop_until(loop, &r.caught_up);
	tap_ok(r.followed == LARGE, "a follower has %llu records",
	       (unsigned long long)r.followed);
	zk_jet_follower_free(r.follower);
	zk_jet_store_close(r.store);
	zk_jet_pipe_free(r.pipe);
	free(path);
	count_rows();
}

int main(void)
{
	struct zk_error err = { 0 };
	struct zk_loop *loop = zk_loop_new(&err);
	struct zk_metrics *metrics = zk_metrics_new();
	char *ops[] = { (char *)"create" };
	struct zk_jet_filter_conf creates = { .ops = ops, .n_ops = 1 };
	struct zk_jet_filter_conf all = { 0 };
	struct zk_jet_filter f;
	const char *tmp = getenv("TMPDIR");
	char *small, *large;

	(void)snprintf(dir, sizeof(dir), "%s/jet_lanes.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	small = path_of("small.ndjson");
	large = path_of("large.ndjson");
	write_events(small, SMALL, 40);
	write_events(large, LARGE, TEXT_BYTES);
	if (zk_jet_filter_init(&f, &creates, &err) < 0)
		return 1;
	for (unsigned lanes = 1; lanes <= 4; lanes += 3) {
		sieve(loop, metrics, &f, lanes, 0);
		sieve(loop, metrics, &f, lanes, 1000);
	}
	zk_jet_filter_done(&f);
	if (zk_jet_filter_init(&f, &all, &err) < 0)
		return 1;
	store(loop, metrics, &f);
	zk_jet_filter_done(&f);
	zk_loop_free(loop);
	zk_metrics_free(metrics);
	free(small);
	free(large);
	return tap_done();
}
