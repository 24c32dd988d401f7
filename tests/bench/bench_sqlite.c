/* Group commit into the tables of specs/triggers.md §11.2, by batch size and durability: events per
 * second, time of a commit, pages written per event; against appending the same bytes to a plain
 * file with one fdatasync per batch.
 *
 *	bench_sqlite [DIR] [SECONDS per figure] [BYTES of a payload]
 *
 * Layer: tests. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "store/sqlite.h"

#include "base/ban.h"

#define WAL_SMALL 1000 /* the checkpoint lane begins */
#define WAL_LARGE 4096 /* the writer helps */
#define ORGS      16
#define COMMITS   2000000

static const char *dir = "/tmp";
static double seconds = 3;
static char payload[65536];
static size_t payload_n = 200;

static const char schema[] =
        "CREATE TABLE organizations(id BLOB PRIMARY KEY, name TEXT NOT NULL) STRICT, "
        "WITHOUT ROWID;"
        "CREATE TABLE events(seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,"
        " organization_id BLOB NOT NULL, event_type TEXT NOT NULL, dedup_id TEXT,"
        " payload TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;"
        "CREATE INDEX events_org ON events(organization_id, id DESC);"
        "CREATE TABLE event_deliveries(event_id BLOB PRIMARY KEY, organization_id BLOB "
        "NOT NULL,"
        " status TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_attempt_at "
        "INTEGER,"
        " last_attempt_at INTEGER, response_status INTEGER, error_message TEXT,"
        " delivered_at INTEGER, acknowledged_at INTEGER, updated_at INTEGER NOT NULL,"
        " locked_by TEXT, locked_until INTEGER) STRICT, WITHOUT ROWID;"
        "CREATE INDEX deliveries_due ON event_deliveries(next_attempt_at)"
        " WHERE status IN ('pending', 'retrying');"
        "CREATE INDEX deliveries_org ON event_deliveries(organization_id, status, "
        "event_id DESC);"
        "CREATE TABLE deduplication_cache(organization_id BLOB NOT NULL, dedup_id TEXT "
        "NOT NULL,"
        " event_id BLOB NOT NULL, expires_at INTEGER NOT NULL,"
        " PRIMARY KEY(organization_id, dedup_id)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX dedup_expires ON deduplication_cache(expires_at);";

static void need(int r, const struct zk_error *err)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "bench_sqlite: %s\n", err->msg);
	exit(1);
}

/* ---- the database ---------------------------------------------------------------------- */

struct bench {
	struct zk_db *db, *lane_db;
	struct zk_stmt *begin, *commit, *dedup, *event, *delivery;
	zk_uuid orgs[ORGS];
	struct zk_rand rng;
	bool dedups; /* every event has a dedup_id */
	atomic_int wal_pages;
	atomic_bool quit;
	int64_t pages; /* written into the log */
	int last_pages, most_pages;
};

static zk_str blob(const zk_uuid *u)
{
	return zk_str_n((const char *)u->b, sizeof(u->b));
}

static void on_wal(void *ctx, int pages)
{
	struct bench *b = ctx;

	b->pages += pages > b->last_pages ? pages - b->last_pages : pages;
	b->last_pages = pages;
	b->most_pages = ZK_MAX(b->most_pages, pages);
	atomic_store(&b->wal_pages, pages);
}

static void checkpoint(struct zk_db *db)
{
	struct zk_error err = { 0 };
	int pages, moved;
	bool busy;

	need(zk_db_checkpoint(db, ZK_CHECKPOINT_PASSIVE, &pages, &moved, &busy, &err),
	     &err);
}

static void *checkpoint_lane(void *ctx)
{
	struct bench *b = ctx;

	while (!atomic_load(&b->quit)) {
		nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
		if (atomic_load(&b->wal_pages) > WAL_SMALL)
			checkpoint(b->lane_db);
	}
	return NULL;
}

static void prepare(struct bench *b)
{
	struct zk_error err = { 0 };

	need(zk_db_exec(b->db, schema, &err), &err);
	need(zk_db_prepare(b->db, "BEGIN IMMEDIATE", &b->begin, &err), &err);
	need(zk_db_prepare(b->db, "COMMIT", &b->commit, &err), &err);
	need(zk_db_prepare(b->db,
	                   "INSERT INTO deduplication_cache VALUES(?1, ?2, ?3, ?4)"
	                   " ON CONFLICT DO NOTHING",
	                   &b->dedup, &err),
	     &err);
	need(zk_db_prepare(b->db,
	                   "INSERT INTO events(id, organization_id, event_type, dedup_id,"
	                   " payload, created_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	                   &b->event, &err),
	     &err);
	need(zk_db_prepare(
	             b->db,
	             "INSERT INTO event_deliveries(event_id, organization_id, status,"
	             " next_attempt_at, updated_at) VALUES(?1, ?2, 'pending', ?3, ?3)",
	             &b->delivery, &err),
	     &err);
}

static void add_event(struct bench *b)
{
	struct zk_error err = { 0 };
	const zk_uuid *org = &b->orgs[zk_rand_below(&b->rng, ORGS)];
	int64_t now = zk_wall_us();
	zk_uuid id = zk_uuid_v7();
	char text[40];
	zk_str dedup = ZK_STR_NULL;

	if (b->dedups) {
		/* As a client's hash would be: in no order. */
		dedup = zk_str_n(
		        text, (size_t)snprintf(text, sizeof(text), "%016llx",
		                               (unsigned long long)zk_rand_u64(&b->rng)));
		zk_bind_blob(b->dedup, 1, blob(org));
		zk_bind_text(b->dedup, 2, dedup);
		zk_bind_blob(b->dedup, 3, blob(&id));
		zk_bind_i64(b->dedup, 4, now + 86400000000);
		need(zk_stmt_run(b->dedup, &err), &err);
	}
	zk_bind_blob(b->event, 1, blob(&id));
	zk_bind_blob(b->event, 2, blob(org));
	zk_bind_text(b->event, 3, ZK_STR("order.created"));
	zk_bind_text(b->event, 4, dedup);
	zk_bind_text(b->event, 5, zk_str_n(payload, payload_n));
	zk_bind_i64(b->event, 6, now);
	need(zk_stmt_run(b->event, &err), &err);
	zk_bind_blob(b->delivery, 1, blob(&id));
	zk_bind_blob(b->delivery, 2, blob(org));
	zk_bind_i64(b->delivery, 3, now);
	need(zk_stmt_run(b->delivery, &err), &err);
}

/* ---- figures --------------------------------------------------------------------------- */

static int32_t times_us[COMMITS];

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

static double quantile_ms(size_t n, double q)
{
	return times_us[(size_t)((double)(n - 1) * q)] / 1000.0;
}

/* Bytes of the same batches into a plain file: events per second. */
static double run_file(size_t batch, bool sync)
{
	char path[300];
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/bench.file", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	int64_t start = zk_mono_us(), end = start + (int64_t)(seconds * 1e6 / 3);

	while (zk_mono_us() < end) {
		for (size_t i = 0; i < batch; i++)
			if (write(fd, payload, payload_n) < 0)
				exit(1);
		if (sync && fdatasync(fd) < 0)
			exit(1);
		n += batch;
	}
	(void)close(fd);
	(void)unlink(path);
	return (double)n * 1e6 / (double)(zk_mono_us() - start);
}

static void remove_db(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(suffixes); i++) {
		char name[320];

		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
}

static void open_bench(struct bench *b, const char *path, bool full)
{
	struct zk_error err = { 0 };
	struct zk_db_conf conf = { .path = path,
		                   .busy_ms = 1000,
		                   .cache_kib = 16384,
		                   .incremental_vacuum = true,
		                   .flags = ZK_DB_CREATE | ZK_DB_NO_AUTO_CHECKPOINT |
		                            (full ? ZK_DB_FULL : 0) };

	remove_db(path);
	need(zk_db_open(&conf, &b->db, &err), &err);
	prepare(b);
	need(zk_db_open(&conf, &b->lane_db, &err), &err);
	zk_db_on_wal(b->db, on_wal, b);
	zk_rand_seed(&b->rng, 1);
	for (size_t i = 0; i < ORGS; i++)
		b->orgs[i] = zk_uuid_v4();
}

static size_t write_batches(struct bench *b, size_t batch, int64_t end)
{
	struct zk_error err = { 0 };
	size_t n = 0;

	while (zk_mono_us() < end && n < COMMITS) {
		int64_t t = zk_mono_us();

		need(zk_stmt_run(b->begin, &err), &err);
		for (size_t i = 0; i < batch; i++)
			add_event(b);
		need(zk_stmt_run(b->commit, &err), &err);
		times_us[n++] = (int32_t)(zk_mono_us() - t);
		if (b->last_pages > WAL_LARGE)
			checkpoint(b->db);
	}
	return n;
}

static void run_db(size_t batch, bool full, bool dedups)
{
	struct bench b = { .dedups = dedups };
	char path[300];
	pthread_t lane;

	(void)snprintf(path, sizeof(path), "%s/bench.db", dir);
	open_bench(&b, path, full);
	if (pthread_create(&lane, NULL, checkpoint_lane, &b) != 0)
		exit(1);
	double file = run_file(batch, full);
	int64_t cpu = zk_cpu_ns(), start = zk_mono_us();
	size_t n = write_batches(&b, batch, start + (int64_t)(seconds * 1e6));
	double took = (double)(zk_mono_us() - start) / 1e6;
	double events = (double)(n * batch);

	cpu = zk_cpu_ns() - cpu;
	atomic_store(&b.quit, true);
	(void)pthread_join(lane, NULL);
	zk_db_close(b.lane_db);
	zk_db_close(b.db);
	remove_db(path);
	qsort(times_us, n, sizeof(times_us[0]), compare);
	printf("%-6s batch %3zu %s: %8.0f events/s, %.2f of the file's %.0f; batch p50 "
	       "%.2f p95 "
	       "%.2f p99 %.2f ms; %.2f pages and %.1f us CPU per event; log at most %.1f "
	       "MiB\n",
	       full ? "FULL" : "NORMAL", batch, dedups ? "dedup" : "plain", events / took,
	       events / took / file, file, quantile_ms(n, 0.5), quantile_ms(n, 0.95),
	       quantile_ms(n, 0.99), (double)b.pages / events,
	       (double)cpu / 1000 / events, b.most_pages * 4096.0 / 1048576);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	static const size_t batches[] = { 1, 10, 50, 500 };
	struct zk_error err = { 0 };
	uint64_t n = payload_n;

	if (argc > 1)
		dir = argv[1];
	if (argc > 2)
		need(zk_parse_double(zk_str_of(argv[2]), &seconds, &err), &err);
	if (argc > 3)
		need(zk_parse_u64(zk_str_of(argv[3]), &n, &err), &err);
	payload_n = ZK_MIN((size_t)n, sizeof(payload));
	memset(payload, 'x', sizeof(payload));
	for (int full = 1; full >= 0; full--)
		for (size_t i = 0; i < ZK_ARRAY_LEN(batches); i++)
			for (int dedups = 0; dedups < 2; dedups++)
				run_db(batches[i], full, dedups);
	return 0;
}
