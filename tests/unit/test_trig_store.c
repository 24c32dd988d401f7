/* Opening the store and its faults: another server, another secret, a newer schema, damaged and
 * vanished files, a full disk (specs/triggers.md §9, §11.2, §11.3, §5.11). Layer: tests. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "trigrepo.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

static struct rig g;
static zk_uuid org;

static void start(void)
{
	rig_start(&g);
	org = rig_org(&g, NULL);
}

static void stop(void)
{
	rig_done(&g);
}

TestSuite(trig_store, .init = start, .fini = stop);

/* ---- opening ---- */

Test(trig_store, what_was_stored_is_there_after_a_restart)
{
	zk_uuid id = rig_add(&g, &org, &(struct rig_event){ .dedup = "x" });
	struct zk_trig_ingest in;
	struct rig_one one;

	rig_close(&g);
	cr_assert_eq(rig_open(&g), 0);
	cr_expect(rig_get(&g, &org, &id, &one));
	rig_fill(&in, &org, &(struct rig_event){ .dedup = "x" });
	cr_assert(rig_ingest(&g, &in));
	cr_expect(in.duplicate);
}

Test(trig_store, the_file_is_ours_alone)
{
	struct stat st;
	char path[300];

	cr_assert_eq(stat(g.db, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	(void)snprintf(path, sizeof(path), "%s-wal", g.db);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
}

Test(trig_store, a_second_server_is_told_who_holds_the_file)
{
	struct zk_trig_repo *second;
	struct zk_error err = { 0 };
	char pid[32];

	cr_expect_eq(zk_trig_repo_open(g.loop, NULL, &g.conf, &second, &err),
	             -ZK_E_STORE_LOCKED);
	cr_expect_eq(zk_code_exit(ZK_E_STORE_LOCKED), 73);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	cr_expect(strstr(err.msg, pid), "%s", err.msg);
}

Test(trig_store, urls)
{
	struct zk_error err = { 0 };
	char url[300];

	rig_close(&g);
	(void)snprintf(url, sizeof(url), "sqlite://%s", g.db);
	g.conf.db = url;
	cr_expect_eq(rig_open(&g), 0, "%s", g.err.msg);
	rig_close(&g);
	g.loop = zk_loop_new(&err);
	g.conf.db = "postgres://u:secret@127.0.0.1:1/d";
	cr_expect_eq(rig_open(&g), -ZK_E_CONNECT);
	cr_expect_eq(zk_code_exit((int)g.err.code), 75);
	cr_expect(strstr(g.err.msg, "PostgreSQL"));
	cr_expect_not(strstr(g.err.msg, "secret"));
	g.conf.db = "/nonexistent/dir/t.db";
	cr_expect_lt(rig_open(&g), 0);
	cr_expect_eq(zk_code_exit((int)g.err.code), 73, "%s", g.err.msg);
}

Test(trig_store, another_server_secret_is_refused_until_accepted)
{
	char id[ZK_TRIG_KEY_ID + 1];
	struct zk_trig_key_update u = { .set_mac = true };
	struct zk_trig_find_key f = { .op.code = 0 };

	(void)rig_org_tier(&g, NULL, ZK_TRIG_FREE, id);
	memcpy(u.key_id, id, sizeof(id));
	RIG_RUN(&g, &u, key_update);
	rig_close(&g);
	memset(g.conf.secret_check, 1, 32);
	cr_expect_eq(rig_open(&g), -ZK_E_STORE_SECRET);
	cr_expect_eq(zk_code_exit(ZK_E_STORE_SECRET), 78);
	cr_expect(strstr(g.err.hint, "--accept-new-secret"));
	g.conf.accept_new_secret = true;
	cr_assert_eq(rig_open(&g), 0, "%s", g.err.msg);
	memcpy(f.key_id, id, sizeof(id));
	RIG_RUN(&g, &f, find_key);
	cr_expect_not(f.key.has_mac, "every mac was made with the old secret");
	zk_trig_org_done(&f.org);
	rig_close(&g);
	g.conf.accept_new_secret = false;
	cr_expect_eq(rig_open(&g), 0, "the new one is the stored one now");
}

static void exec(const char *sql)
{
	struct zk_db_conf conf = { .path = g.db };
	struct zk_error err = { 0 };
	struct zk_db *db;

	cr_assert_eq(zk_db_open(&conf, &db, &err), 0, "%s", err.msg);
	cr_assert_eq(zk_db_exec(db, sql, &err), 0, "%s", err.msg);
	zk_db_close(db);
}

Test(trig_store, a_newer_schema_is_refused)
{
	rig_close(&g);
	exec("PRAGMA user_version=99");
	cr_expect_eq(rig_open(&g), -ZK_E_STORE_VERSION);
	cr_expect_eq(zk_code_exit(ZK_E_STORE_VERSION), 78);
}

static void overwrite(off_t at, size_t n)
{
	int fd = open(g.db, O_WRONLY | O_CLOEXEC);
	static char junk[1 << 16];

	memset(junk, 0xa5, sizeof(junk));
	cr_assert_geq(fd, 0);
	while (n) {
		size_t m = ZK_MIN(n, sizeof(junk));

		cr_assert_eq(pwrite(fd, junk, m, at), (ssize_t)m);
		at += (off_t)m;
		n -= m;
	}
	cr_assert_eq(close(fd), 0);
}

static struct rig_event plain(void *ctx, size_t i)
{
	(void)ctx;
	(void)i;
	return (struct rig_event){ .type = "a" };
}

Test(trig_store, garbage_is_no_database)
{
	rig_close(&g);
	overwrite(0, 8192);
	cr_expect_eq(rig_open(&g), -ZK_E_STORE_CORRUPT, "%s", g.err.msg);
	cr_expect_eq(zk_code_exit(ZK_E_STORE_CORRUPT), 74);
}

/* Damage inside: reads that meet it fail with a reason, the server goes on. */
Test(trig_store, a_damaged_page_fails_the_reads_that_meet_it)
{
	struct rig_page *p = zk_new0(struct rig_page);
	struct stat st;

	rig_add_many(&g, &org, 3000, plain, NULL, NULL);
	rig_close(&g);
	cr_assert_eq(stat(g.db, &st), 0);
	overwrite(st.st_size / 4, (size_t)st.st_size / 2);
	if (rig_open(&g) == 0) {
		p->op = (struct zk_trig_page){ .org = org, .limit = 1000 };
		for (int i = 0; i < 10 && p->op.op.code == 0; i++) {
			rig_read(&g, p);
			p->op.has_cursor = true;
			p->op.cursor = p->op.last_id;
		}
		cr_expect_eq(p->op.op.code, -ZK_E_STORE_CORRUPT, "%s", p->op.op.reason);
	} else {
		cr_expect_eq(g.err.code, ZK_E_STORE_CORRUPT, "%s", g.err.msg);
	}
	free(p);
}

/* ---- a disk that takes no more ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static unsigned health_calls;
static bool health_said;

static void on_health(void *ctx, const struct zk_trig_health *h)
{
	(void)ctx;
	health_calls++;
	health_said = h->writable;
}

Test(trig_store, a_full_disk_fails_events_and_health_and_both_recover)
{
	static char big[300000];
	struct zk_trig_ingest in;
	struct rig_one one;

	memset(big, '1', sizeof(big));
	g.repo->on_health = on_health;
	limit_files(100000);
	rig_fill(&in, &org, &(struct rig_event){ .dedup = "x" });
	in.payload = zk_str_n(big, sizeof(big));
	cr_assert(rig_ingest(&g, &in));
	cr_expect_eq(in.op.code, -ZK_E_STORE_FULL, "%s", in.op.reason);
	cr_expect_neq(in.op.reason[0], 0);
	cr_expect_not(g.repo->ops->health(g.repo)->writable);
	cr_expect_str_eq(g.repo->ops->health(g.repo)->reason, in.op.reason);
	cr_expect_eq(health_calls, 1u);
	cr_expect_not(health_said);
	cr_expect_not(rig_get(&g, &org, &in.id, &one), "nothing half stored");
	limit_files(RLIM_INFINITY);
	rig_fill(&in, &org, &(struct rig_event){ .dedup = "x" });
	cr_assert(rig_ingest(&g, &in));
	cr_expect_eq(in.op.code, 0);
	cr_expect_not(in.duplicate, "the failed event left no deduplication row");
	cr_expect(g.repo->ops->health(g.repo)->writable);
	cr_expect_eq(health_calls, 2u);
	cr_expect(health_said);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), 1u);
}

/* ---- the batch that failed ---- */

static struct zk_lite_shared shared;
static struct zk_lite_writer w;

static void as_job(struct zk_trig_op *op, enum zk_lite_kind kind, struct zk_trig_op *next)
{
	op->kind = (uint8_t)kind;
	op->job.next = next ? &next->job : NULL;
}

/* One oversized event does not fail the small ones that were committed with it. */
Test(trig_store, half_of_a_failed_batch_gets_another_try)
{
	static char big[300000];
	struct zk_trig_ingest in[4];
	struct zk_trig_ack ack = { .org = org };

	rig_close(&g);
	w = (struct zk_lite_writer){ .shared = &shared };
	cr_assert_eq(zk_lite_open(g.db,
	                          ZK_DB_FULL | ZK_DB_GATHER | ZK_DB_NO_AUTO_CHECKPOINT, 0,
	                          &w.db, &g.err),
	             0);
	cr_assert_eq(zk_lite_writer_init(&w, &g.err), 0);
	memset(big, '1', sizeof(big));
	for (size_t i = 0; i < 4; i++)
		rig_fill(&in[i], &org,
		         &(struct rig_event){ .dedup = i < 2 ? "x" : NULL });
	in[3].payload = zk_str_n(big, sizeof(big));
	for (size_t i = 0; i < 3; i++)
		as_job(&in[i].op, ZK_LITE_INGEST, &in[i + 1].op);
	as_job(&in[3].op, ZK_LITE_INGEST, &ack.op);
	as_job(&ack.op, ZK_LITE_ACK, NULL);
	limit_files(150000);
	zk_lite_writer_run(&w, &in[0].op.job, 5);
	limit_files(RLIM_INFINITY);
	cr_expect_eq(in[0].op.code, 0);
	cr_expect_not(in[0].duplicate);
	cr_expect_eq(in[1].op.code, 0);
	cr_expect(in[1].duplicate, "counted anew in the second try");
	cr_expect_eq(in[2].op.code, -ZK_E_STORE_FULL);
	cr_expect_eq(in[3].op.code, -ZK_E_STORE_FULL);
	cr_expect_eq(ack.op.code, -ZK_E_STORE_FULL);
	zk_db_close(w.db);
	cr_assert_eq(rig_open(&g), 0);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), 1u);
}

/* What is committed to a file that nobody can open any more would be lost. */
Test(trig_store, a_removed_file_is_noticed_by_the_probe)
{
	struct zk_trig_ingest in;
	struct zk_trig_op probe = { .code = 0 };

	rig_close(&g);
	w = (struct zk_lite_writer){ .shared = &shared };
	cr_assert_eq(zk_lite_open(g.db, ZK_DB_NO_AUTO_CHECKPOINT, 0, &w.db, &g.err), 0);
	cr_assert_eq(zk_lite_writer_init(&w, &g.err), 0);
	as_job(&probe, ZK_LITE_PROBE, NULL);
	zk_lite_writer_run(&w, &probe.job, 1);
	cr_expect_eq(probe.code, 0);
	cr_expect_gt(atomic_load(&shared.db_bytes), 0);
	char away[300];

	(void)snprintf(away, sizeof(away), "%s.away", g.db);
	cr_assert_eq(rename(g.db, away), 0);
	zk_lite_writer_run(&w, &probe.job, 1);
	cr_expect_eq(probe.code, -ZK_E_STORE);
	rig_fill(&in, &org, &(struct rig_event){ 0 });
	as_job(&in.op, ZK_LITE_INGEST, NULL);
	zk_lite_writer_run(&w, &in.op.job, 1);
	cr_expect_eq(in.op.code, -ZK_E_STORE);
	cr_expect(strstr(in.op.reason, "removed or replaced"), "%s", in.op.reason);
	cr_assert_eq(rename(away, g.db), 0);
	zk_lite_writer_run(&w, &probe.job, 1);
	cr_expect_eq(probe.code, 0, "it is back");
	zk_lite_writer_run(&w, &in.op.job, 1);
	cr_expect_eq(in.op.code, 0);
	zk_db_close(w.db);
}

/* ---- closing ---- */

static unsigned answered;

static void on_answer(struct zk_trig_op *op)
{
	answered += op->code == 0;
}

Test(trig_store, closing_commits_what_is_queued)
{
	enum { N = 300 };
	static struct zk_trig_ingest in[N];
	struct stat st;
	char path[300];

	answered = 0;
	for (size_t i = 0; i < N; i++) {
		rig_fill(&in[i], &org, &(struct rig_event){ 0 });
		in[i].op.done = on_answer;
		cr_assert(g.repo->ops->ingest(g.repo, &in[i]));
	}
	rig_close(&g);
	cr_expect_eq(answered, (unsigned)N);
	(void)snprintf(path, sizeof(path), "%s-wal", g.db);
	cr_expect(stat(path, &st) != 0 || st.st_size == 0, "everything is in the file");
	cr_assert_eq(rig_open(&g), 0);
	cr_expect_eq(rig_count(&g, &org, ZK_TRIG_ANY), (size_t)N);
}
