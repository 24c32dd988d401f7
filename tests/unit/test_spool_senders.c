/* The walk of `zk spool flush` over the targets, with senders that do as they are told.
 * Layer: tests. */
#include "cmd/spool_senders.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ban.h"

static char dir[256], told[512];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/senders.XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	told[0] = '\0';
}

static void teardown(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
}

TestSuite(spool_senders, .init = setup, .fini = teardown);

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
	size_t n = strlen(told);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(told + n, sizeof(told) - n, fmt, ap);
	va_end(ap);
}

/* Body "bad" is refused for good, "later" ends the target, everything else arrives. */
static int flush(struct zk_spool_job *job, struct zk_error *err)
{
	struct zk_spool_want want = { .max = 1, .max_bytes = 100 };

	tell("[%.*s %.*s]", ZK_STR_ARG(job->target.kind), ZK_STR_ARG(job->target.dest));
	while (!job->stopping) {
		struct zk_spool_batch b;
		int r = zk_spool_next(job->spool, &job->target, &want, &b, err);

		if (r < 0 || !b.n) {
			zk_spool_batch_done(&b);
			return r;
		}
		zk_str body = b.v[0].body;
		bool bad = zk_str_eq(body, ZK_STR("bad")),
		     later = zk_str_eq(body, ZK_STR("later"));

		want.after = b.v[0].id;
		if (bad)
			r = zk_spool_fail(job->spool, &want.after, 1, "refused", true,
			                  err);
		else if (later)
			r = zk_fail(err, ZK_E_CONNECT, "no answer");
		else
			r = zk_spool_ack(job->spool, &want.after, 1, NULL, err);
		job->rejected += bad;
		job->acked += !bad && !later;
		zk_spool_batch_done(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int refuse(struct zk_spool_job *job, struct zk_error *err)
{
	tell("[%.*s %.*s]", ZK_STR_ARG(job->target.kind), ZK_STR_ARG(job->target.dest));
	return zk_fail(err, ZK_E_AUTH, "who are you");
}

static const struct zk_spool_sender senders[] = {
	{ .kind = "good", .flush = flush },
	{ .kind = "locked", .flush = refuse },
	{ .kind = NULL },
};

static struct zk_spool *filled(const char *const *rows)
{
	struct zk_spool_conf conf = { .dir = dir, .profile = "p", .create = true };
	struct zk_error err = { 0 };
	struct zk_spool *sp = NULL;

	cr_assert_eq(zk_spool_open(&conf, &sp, &err), 0, "%s", err.msg);
	for (; *rows; rows += 2) {
		struct zk_spool_put p = { .body = zk_str_of(rows[1]) };
		struct zk_spool_target t;

		cr_assert_eq(zk_spool_target_parse(zk_str_of(rows[0]), &t, &err), 0);
		cr_assert_eq(zk_spool_append(sp, &t, &p, 1, &err), 0);
	}
	return sp;
}

static void on_target(void *ctx, const struct zk_spool_job *job,
                      const struct zk_error *err)
{
	(void)ctx;
	(void)job;
	tell("%s;", err ? err->msg : "fine");
}

static uint64_t left(struct zk_spool *sp)
{
	struct zk_spool_total t;
	struct zk_error err;

	cr_assert_eq(zk_spool_total(sp, &t, &err), 0);
	return t.records;
}

Test(spool_senders, each_target_gets_its_sender)
{
	static const char *const rows[] = { "good:b",   "1",   "good:a", "2",
		                            "good:a",   "bad", "good:a", "3",
		                            "locked:x", "4",   "new:y",  "5",
		                            "good:c",   "6",   "good:c", "later",
		                            "good:c",   "7",   NULL };
	struct zk_error err = { 0 };
	struct zk_spool_flush f = { .spool = filled(rows),
		                    .senders = senders,
		                    .on_target = on_target };

	cr_assert_eq(zk_spool_flush_run(&f, &err), 0, "%s", err.msg);
	cr_expect_str_eq(
	        told, "[good a]fine;[good b]fine;[good c]no answer;[locked x]who are you;"
	              "this zk cannot send records of kind 'new';");
	cr_expect_eq(f.targets, 5);
	cr_expect_eq(f.before, 9);
	cr_expect_eq(f.acked, 4);
	cr_expect_eq(f.rejected, 1);
	cr_expect_eq(f.failed, 3);
	cr_expect_eq(f.busy, 0);
	/* 78 of the unknown kind wins over 77 and 75. */
	cr_expect_eq(f.worst.code, ZK_E_STORE_VERSION);
	cr_expect_eq(left(f.spool), 5, "refused ones stay");
	told[0] = '\0';
	f.filter = (struct zk_spool_filter){ .targets = (const char *const[]){ "good:*" },
		                             .n_targets = 1 };
	f.worst = (struct zk_error){ 0 };
	cr_assert_eq(zk_spool_flush_run(&f, &err), 0);
	cr_expect_str_eq(told, "[good c]no answer;",
	                 "only what waits, only what was named");
	cr_expect_eq(f.worst.code, ZK_E_CONNECT);
	zk_spool_close(f.spool);
}

Test(spool_senders, a_target_that_another_one_sends_is_no_failure)
{
	static const char *const rows[] = { "good:a", "1", "good:b", "2", NULL };
	struct zk_error err = { 0 };
	struct zk_spool_flush f = { .spool = filled(rows),
		                    .senders = senders,
		                    .on_target = on_target };
	struct zk_spool_target a = { ZK_STR("good"), ZK_STR("a") };
	struct zk_spool_lock *lock = NULL;

	cr_assert_eq(zk_spool_lock(f.spool, &a, &lock, &err), 0);
	cr_assert_eq(zk_spool_flush_run(&f, &err), 0);
	cr_expect(f.busy == 1 && f.failed == 0 && f.worst.code == 0 && f.targets == 2);
	cr_expect(f.before == 1 && f.acked == 1);
	cr_expect_str_eq(told,
	                 "another process is sending what the spool holds for 'good:a';"
	                 "[good b]fine;");
	zk_spool_unlock(lock);
	/* The lock that the run took is free again. */
	cr_assert_eq(zk_spool_flush_run(&f, &err), 0);
	cr_expect_eq(left(f.spool), 0);
	zk_spool_close(f.spool);
}

static struct zk_spool_flush *running;

static void note_stop(void *ctx, bool now)
{
	(void)ctx;
	tell("stop%s;", now ? " now" : "");
}

static int stopped(struct zk_spool_job *job, struct zk_error *err)
{
	job->on_stop = note_stop;
	zk_spool_flush_stop(running, false);
	zk_spool_flush_stop(running, true);
	return flush(job, err);
}

Test(spool_senders, a_stop_ends_the_target_and_the_walk)
{
	static const char *const rows[] = { "good:a", "1", "good:b", "2", NULL };
	static const struct zk_spool_sender table[] = {
		{ .kind = "good", .flush = stopped }, { .kind = NULL }
	};
	struct zk_error err = { 0 };
	struct zk_spool_flush f = { .spool = filled(rows), .senders = table };

	running = &f;
	cr_assert_eq(zk_spool_flush_run(&f, &err), 0);
	cr_expect_str_eq(told, "stop;stop now;[good a]");
	cr_expect(f.targets == 1 && f.acked == 0 && f.failed == 0);
	cr_expect_eq(left(f.spool), 2);
	zk_spool_flush_stop(&f, true);
	zk_spool_close(f.spool);
}
