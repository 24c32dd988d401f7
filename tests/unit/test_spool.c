/* The spool: nothing appended goes before it is acknowledged, and who may send what.
 * Layer: tests. */
#include "store/spool.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite.h"

#include "base/ban.h"

static char dir[256];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/spool.XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
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

TestSuite(spool, .init = setup, .fini = teardown);

static const struct zk_spool_target trig = { ZK_STR_INIT("triggers"),
	                                     ZK_STR_INIT("http://localhost:8080") };
static const struct zk_spool_target zb = { ZK_STR_INIT("zerobus"),
	                                   ZK_STR_INIT("host/a.b.c") };

static struct zk_spool *open_conf(const struct zk_spool_conf *conf)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = NULL;

	cr_assert_eq(zk_spool_open(conf, &sp, &err), 0, "%s", err.msg);
	return sp;
}

static struct zk_spool *open_spool(void)
{
	return open_conf(
	        &(struct zk_spool_conf){ .dir = dir, .profile = "p", .create = true });
}

static struct zk_spool *open_limited(uint64_t max_bytes, enum zk_spool_full when_full)
{
	return open_conf(&(struct zk_spool_conf){ .dir = dir,
	                                          .profile = "p",
	                                          .create = true,
	                                          .max_bytes = max_bytes,
	                                          .when_full = when_full });
}

static struct zk_spool_put item(const char *key, const char *body)
{
	return (struct zk_spool_put){ .key = zk_str_of(key), .body = zk_str_of(body) };
}

/* Appends one and returns it. */
static struct zk_spool_put add(struct zk_spool *sp, const char *key, const char *body)
{
	struct zk_error err = { 0 };
	struct zk_spool_put p = item(key, body);

	cr_assert_eq(zk_spool_append(sp, &trig, &p, 1, &err), 0, "%s", err.msg);
	return p;
}

static int next(struct zk_spool *sp, const struct zk_spool_target *t, int64_t after,
                size_t max, size_t max_bytes, struct zk_spool_batch *b)
{
	struct zk_error err = { 0 };
	struct zk_spool_want want = { .after = after,
		                      .max = max,
		                      .max_bytes = max_bytes };

	return zk_spool_next(sp, t, &want, b, &err);
}

/* The bodies that the holder of the lock would get, joined by blanks. */
static const char *waiting(struct zk_spool *sp, const struct zk_spool_target *t)
{
	static char text[512];
	struct zk_spool_batch b = { 0 };
	size_t at = 0;

	cr_assert_eq(next(sp, t, 0, 100, 1 << 20, &b), 0);
	text[0] = '\0';
	for (size_t i = 0; i < b.n; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s",
		                       i ? " " : "", ZK_STR_ARG(b.v[i].body));
	zk_spool_batch_done(&b);
	return text;
}

static struct zk_spool_total total(struct zk_spool *sp)
{
	struct zk_error err = { 0 };
	struct zk_spool_total t;

	cr_assert_eq(zk_spool_total(sp, &t, &err), 0, "%s", err.msg);
	return t;
}

static void ack(struct zk_spool *sp, int64_t id)
{
	struct zk_error err = { 0 };

	cr_assert_eq(zk_spool_ack(sp, &id, 1, NULL, &err), 0, "%s", err.msg);
}

/* ---- append, next, ack ----------------------------------------------------------------- */

Test(spool, records_come_back_in_order_and_whole)
{
	static const char bytes[] = "\0\xff{";
	struct zk_spool_put v[] = {
		{ .key = ZK_STR_INIT("k1"),
		  .meta = ZK_STR_INIT("{\"line\":1}"),
		  .body = { bytes, 3 } },
		{ .body = ZK_STR_INIT("") },
		{ .body = ZK_STR_INIT("{\"n\":5000000000000001}") },
	};
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_spool_batch b = { 0 };

	cr_assert_eq(zk_spool_append(sp, &trig, v, 3, &err), 0, "%s", err.msg);
	cr_expect(v[0].id < v[1].id && v[1].id < v[2].id);
	cr_expect_eq(v[0].result, ZK_SPOOL_NEW);
	zk_spool_close(sp);
	sp = open_spool();
	cr_assert_eq(next(sp, &trig, 0, 100, 1 << 20, &b), 0);
	cr_assert_eq(b.n, 3);
	cr_expect_eq(b.v[0].id, v[0].id);
	cr_expect(zk_str_eq(b.v[0].key, ZK_STR("k1")));
	cr_expect(zk_str_eq(b.v[0].meta, ZK_STR("{\"line\":1}")));
	cr_expect(zk_str_eq(b.v[0].body, v[0].body));
	cr_expect(zk_str_eq(b.v[0].kind, trig.kind) && zk_str_eq(b.v[0].dest, trig.dest));
	cr_expect_eq(b.v[0].attempts, 0);
	cr_expect_eq(b.v[0].state, ZK_SPOOL_WAITING);
	cr_expect_gt(b.v[0].created_us, 1600000000000000);
	cr_expect_eq(b.v[1].key.n + b.v[1].meta.n + b.v[1].body.n + b.v[1].last_error.n,
	             0);
	cr_expect(zk_str_eq(b.v[2].body, v[2].body));
	zk_spool_batch_done(&b);
	cr_expect_eq(next(sp, &zb, 0, 100, 1 << 20, &b), 0);
	cr_expect_eq(b.n, 0);
	zk_spool_batch_done(&b);
	zk_spool_close(sp);
}

static void put_text(char *to, zk_str s)
{
	(void)snprintf(to + strlen(to), 64 - strlen(to), "%.*s", ZK_STR_ARG(s));
}

Test(spool, next_goes_on_behind_an_id_within_its_limits)
{
	struct zk_spool *sp = open_spool();
	struct zk_spool_batch b = { 0 };
	int64_t after = 0;
	char seen[64] = "";

	(void)add(sp, "", "aaaa");
	(void)add(sp, "", "bbbb");
	(void)add(sp, "", "c");
	for (int i = 0; i < 2; i++) {
		/* Six bytes: the first two do not fit together, the second and third do. */
		cr_assert_eq(next(sp, &trig, after, 2, 6, &b), 0);
		cr_assert_gt(b.n, 0);
		for (size_t k = 0; k < b.n; k++)
			put_text(seen, b.v[k].body);
		put_text(seen, ZK_STR("|"));
		after = b.v[b.n - 1].id;
		zk_spool_batch_done(&b);
	}
	cr_expect_str_eq(seen, "aaaa|bbbbc|");
	cr_assert_eq(next(sp, &trig, 0, 2, 1, &b), 0);
	cr_expect_eq(b.n, 1, "one at least");
	zk_spool_batch_done(&b);
	zk_spool_close(sp);
}

Test(spool, an_acknowledged_record_is_gone_and_its_id_is_not_used_again)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	int64_t a = add(sp, "", "a").id, b = add(sp, "", "b").id;
	int64_t ids[] = { b, 12345, b };
	size_t n = 0;

	cr_assert_eq(zk_spool_ack(sp, ids, 3, &n, &err), 0, "%s", err.msg);
	cr_expect_eq(n, 1);
	cr_expect_str_eq(waiting(sp, &trig), "a");
	ack(sp, a);
	cr_expect_eq(total(sp).records, 0);
	cr_expect_eq(total(sp).bytes, 0);
	cr_expect_eq(total(sp).oldest_us, 0);
	zk_spool_close(sp);
	sp = open_spool();
	cr_expect_gt(add(sp, "", "c").id, b);
	zk_spool_close(sp);
}

Test(spool, acknowledgements_of_several_targets_at_once)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_spool_put v[2] = { item("", "x"), item("", "yy") };
	int64_t a = add(sp, "", "a").id;
	size_t n = 0;

	cr_assert_eq(zk_spool_append(sp, &zb, v, 2, &err), 0);
	int64_t ids[] = { v[0].id, a, v[1].id };

	cr_expect_eq(total(sp).bytes, 4 + 3 * ZK_SPOOL_OVERHEAD);
	cr_assert_eq(zk_spool_ack(sp, ids, 3, &n, &err), 0);
	cr_expect_eq(n, 3);
	cr_expect_eq(total(sp).bytes, 0);
	zk_spool_close(sp);
}

Test(spool, a_key_is_stored_once_per_target)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_spool_put v[] = { item("k", "1"), item("k", "2"), item("", "3"),
		                    item("", "3") };

	cr_assert_eq(zk_spool_append(sp, &trig, v, 4, &err), 0);
	cr_expect_eq(v[1].result, ZK_SPOOL_KNOWN);
	cr_expect_eq(v[1].id, v[0].id);
	cr_expect_str_eq(waiting(sp, &trig), "1 3 3");
	cr_expect_eq(total(sp).records, 3);
	v[0] = item("k", "other");
	cr_assert_eq(zk_spool_append(sp, &zb, v, 1, &err), 0);
	cr_expect_eq(v[0].result, ZK_SPOOL_NEW);
	zk_spool_close(sp);
}

Test(spool, what_does_not_go_in)
{
	static const struct {
		struct zk_spool_target t;
		struct zk_spool_put p;
		int r;
	} cases[] = {
		{ { ZK_STR_INIT(""), ZK_STR_INIT("x") }, { .id = 0 }, -ZK_E_DATA },
		{ { ZK_STR_INIT("Kind"), ZK_STR_INIT("x") }, { .id = 0 }, -ZK_E_DATA },
		{ { ZK_STR_INIT("a:b"), ZK_STR_INIT("x") }, { .id = 0 }, -ZK_E_DATA },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("") }, { .id = 0 }, -ZK_E_DATA },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("x\n") }, { .id = 0 }, -ZK_E_DATA },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("x\xff") }, { .id = 0 }, -ZK_E_DATA },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("x") },
		  { .meta = ZK_STR_INIT("{") },
		  -ZK_E_JSON },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("x") },
		  { .key = ZK_STR_INIT("\xc3") },
		  -ZK_E_DATA },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("x") },
		  { .key = ZK_STR_INIT("k\0") },
		  -ZK_E_DATA },
		{ { ZK_STR_INIT("a"), ZK_STR_INIT("x") },
		  { .body = { "x", ZK_SPOOL_BODY_MAX + 1 } },
		  -ZK_E_LIMIT },
	};
	struct zk_spool *sp = open_spool();

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_spool_put v[] = { item("", "fine"), cases[i].p };

		cr_expect_eq(zk_spool_append(sp, &cases[i].t, v, 2, &err), cases[i].r,
		             "case %zu: %s", i, err.msg);
	}
	cr_expect_eq(total(sp).records, 0, "all or nothing");
	zk_spool_close(sp);
}

Test(spool, target_texts)
{
	struct zk_error err = { 0 };
	struct zk_spool_target t;

	cr_assert_eq(zk_spool_target_parse(ZK_STR("triggers:https://a:8/x"), &t, &err),
	             0);
	cr_expect(zk_str_eq(t.kind, ZK_STR("triggers")));
	cr_expect(zk_str_eq(t.dest, ZK_STR("https://a:8/x")));
	cr_expect_eq(zk_spool_target_parse(ZK_STR("triggers"), &t, &err), -ZK_E_DATA);
	cr_expect_eq(zk_spool_target_parse(ZK_STR("triggers:"), &t, &err), -ZK_E_DATA);
	cr_expect_eq(zk_spool_target_parse(ZK_STR(":x"), &t, &err), -ZK_E_DATA);
}

/* ---- limits ---------------------------------------------------------------------------- */

#define ROOM (3 * (10 + ZK_SPOOL_OVERHEAD))

Test(spool, full_blocks_until_there_is_room)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_limited(ROOM, ZK_SPOOL_BLOCK);
	struct zk_spool_put p = item("", "0123456789");
	int64_t first = add(sp, "k", "012345678").id;

	(void)add(sp, "", "0123456789");
	(void)add(sp, "", "0123456789");
	cr_expect_eq(zk_spool_append(sp, &trig, &p, 1, &err), -ZK_E_SPOOL_FULL);
	cr_expect(err.retryable);
	cr_expect_eq(zk_code_exit((int)err.code), ZK_EXIT_IOERR);
	cr_expect_eq(add(sp, "k", "x").result, ZK_SPOOL_KNOWN, "it is there already");
	ack(sp, first);
	cr_expect_eq(zk_spool_append(sp, &trig, &p, 1, &err), 0);
	/* What can never fit is not waited for. */
	struct zk_spool_put many[4] = { p, p, p, p };

	cr_expect_eq(zk_spool_append(sp, &trig, many, 4, &err), -ZK_E_SPOOL_FULL);
	cr_expect(!err.retryable);
	cr_expect_eq(total(sp).records, 3);
	zk_spool_close(sp);
}

Test(spool, full_fails)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_limited(ROOM, ZK_SPOOL_FAIL);
	struct zk_spool_put v[4];

	for (size_t i = 0; i < 4; i++)
		v[i] = item("", "0123456789");
	cr_expect_eq(zk_spool_append(sp, &trig, v, 4, &err), -ZK_E_SPOOL_FULL);
	cr_expect(!err.retryable);
	cr_expect_eq(total(sp).records, 0);
	cr_expect_eq(zk_spool_append(sp, &trig, v, 3, &err), 0);
	zk_spool_close(sp);
}

Test(spool, full_drops_the_newest)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_limited(ROOM, ZK_SPOOL_DROP_NEWEST);
	struct zk_spool_put v[4];

	for (size_t i = 0; i < 4; i++)
		v[i] = item("", "0123456789");
	cr_expect_eq(zk_spool_append(sp, &trig, v, 4, &err), 0);
	cr_expect_eq(v[2].result, ZK_SPOOL_NEW);
	cr_expect_eq(v[3].result, ZK_SPOOL_DROPPED);
	cr_expect_eq(v[3].id, 0);
	cr_expect_eq(zk_spool_append(sp, &zb, v, 1, &err), 0,
	             "a target without a record");
	cr_expect_eq(v[0].result, ZK_SPOOL_DROPPED);
	cr_expect_eq(total(sp).records, 3);
	zk_spool_close(sp);
}

/* ---- who may send ---------------------------------------------------------------------- */

/* A child process that runs fn(sp) and then waits until it is killed or told to end. */
static pid_t child(void (*fn)(struct zk_spool *sp), int *ret_hold)
{
	int ready[2], hold[2];
	char c;

	cr_assert_eq(pipe2(ready, O_CLOEXEC) | pipe2(hold, O_CLOEXEC), 0);
	pid_t pid = fork();

	if (pid == 0) {
		struct zk_spool *sp = open_spool();

		(void)close(hold[1]);
		fn(sp);
		(void)!write(ready[1], "x", 1);
		(void)!read(hold[0], &c, 1);
		zk_spool_close(sp);
		_exit(0);
	}
	(void)close(hold[0]);
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1, "the child failed");
	(void)close(ready[0]);
	*ret_hold = hold[1];
	return pid;
}

static void own_two(struct zk_spool *sp)
{
	struct zk_error err = { 0 };

	cr_assert_eq(zk_spool_own(sp, &err), 0, "%s", err.msg);
	(void)add(sp, "k", "own1");
	(void)add(sp, "", "own2");
}

static void expect_lock(struct zk_spool *sp, int r)
{
	struct zk_error err = { 0 };
	struct zk_spool_lock *l = NULL;

	cr_expect_eq(zk_spool_lock(sp, &trig, &l, &err), r, "%s", err.msg);
	zk_spool_unlock(l);
}

Test(spool, owned_records_are_nobody_elses_while_their_process_lives)
{
	struct zk_spool *sp = open_spool();
	struct zk_error err = { 0 };
	struct zk_spool_stat *st = NULL;
	size_t n = 0;
	int hold;

	(void)add(sp, "", "free");
	pid_t pid = child(own_two, &hold);

	expect_lock(sp, 0);
	cr_expect_str_eq(waiting(sp, &trig), "free");
	cr_expect_eq(add(sp, "k", "own1").result, ZK_SPOOL_HELD);
	cr_assert_eq(zk_spool_stats(sp, &st, &n, &err), 0, "%s", err.msg);
	cr_expect(st[0].records == 3 && st[0].waiting == 1 && st[0].sending == 2);
	zk_spool_stats_done(st, n);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	(void)close(hold);
	cr_assert_eq(zk_spool_stats(sp, &st, &n, &err), 0);
	cr_expect(st[0].waiting == 3 && st[0].sending == 0);
	zk_spool_stats_done(st, n);
	cr_expect_str_eq(waiting(sp, &trig), "free", "before the lock is taken");
	expect_lock(sp, 0);
	cr_expect_str_eq(waiting(sp, &trig), "free own1 own2");
	zk_spool_close(sp);
}

Test(spool, closing_gives_owned_records_up)
{
	struct zk_error err = { 0 };
	struct zk_spool *a = open_spool(), *b = open_spool();

	cr_assert_eq(zk_spool_own(a, &err), 0);
	cr_assert_eq(zk_spool_own(a, &err), 0, "twice is once");
	struct zk_spool_put first = add(a, "k", "1");

	cr_expect_eq(add(a, "k", "1").result, ZK_SPOOL_MINE);
	cr_expect_eq(add(b, "k", "1").result, ZK_SPOOL_HELD);
	cr_expect_str_eq(waiting(b, &trig), "");
	zk_spool_close(a);
	cr_expect_str_eq(waiting(b, &trig), "1");
	/* A command that is run again takes over what its keys name. */
	cr_assert_eq(zk_spool_own(b, &err), 0);
	struct zk_spool_put again = add(b, "k", "1");

	cr_expect_eq(again.result, ZK_SPOOL_KNOWN);
	cr_expect_eq(again.id, first.id);
	cr_expect_str_eq(waiting(b, &trig), "");
	zk_spool_close(b);
}

Test(spool, many_records_of_a_dead_owner)
{
	struct zk_error err = { 0 };
	struct zk_spool *a = open_spool();
	static struct zk_spool_put v[6000];

	cr_assert_eq(zk_spool_own(a, &err), 0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(v); i++)
		v[i] = item("", "x");
	cr_assert_eq(zk_spool_append(a, &trig, v, ZK_ARRAY_LEN(v), &err), 0);
	(void)add(a, "", "last");
	zk_spool_close(a);
	a = open_spool();
	struct zk_spool_stat *st = NULL;
	size_t n = 0;

	cr_assert_eq(zk_spool_stats(a, &st, &n, &err), 0);
	cr_expect_eq(st[0].waiting, 6001);
	zk_spool_stats_done(st, n);
	zk_spool_close(a);
}

static void take_lock(struct zk_spool *sp)
{
	struct zk_error err = { 0 };
	struct zk_spool_lock *l = NULL;

	cr_assert_eq(zk_spool_lock(sp, &trig, &l, &err), 0, "%s", err.msg);
	free(l); /* the descriptor stays open until the end of the process */
}

Test(spool, one_holds_the_lock_of_a_target)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_spool_lock *l = NULL, *other = NULL;
	int hold;

	cr_assert_eq(zk_spool_lock(sp, &trig, &l, &err), 0, "%s", err.msg);
	expect_lock(sp, -ZK_E_STORE_LOCKED);
	cr_expect_eq(zk_spool_lock(sp, &zb, &other, &err), 0);
	zk_spool_unlock(other);
	zk_spool_unlock(l);
	zk_spool_unlock(NULL);
	pid_t pid = child(take_lock, &hold);

	cr_expect_eq(zk_spool_lock(sp, &trig, &l, &err), -ZK_E_STORE_LOCKED);
	cr_expect(err.retryable);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	(void)close(hold);
	expect_lock(sp, 0);
	zk_spool_close(sp);
}

/* ---- failures -------------------------------------------------------------------------- */

static int keep(void *ctx, const struct zk_spool_rec *rec, struct zk_error *err)
{
	char *text = ctx;

	(void)err;
	(void)snprintf(text + strlen(text), 200 - strlen(text), "%s %lld %.*s %.*s;",
	               zk_spool_state_name(rec->state), (long long)rec->attempts,
	               ZK_STR_ARG(rec->body), ZK_STR_ARG(rec->last_error));
	return 0;
}

static const char *each(struct zk_spool *sp, const struct zk_spool_filter *f)
{
	static char text[200];
	struct zk_error err = { 0 };

	text[0] = '\0';
	cr_assert_eq(zk_spool_each(sp, f, keep, text, &err), 0, "%s", err.msg);
	return text;
}

Test(spool, failed_attempts)
{
	struct zk_error err = { 0 };
	struct zk_spool_filter all = { 0 };
	struct zk_spool *sp = open_spool();
	int64_t ids[] = { add(sp, "k", "a").id, add(sp, "", "b").id, 999 };

	cr_assert_eq(zk_spool_fail(sp, ids, 3, "no route", false, &err), 0, "%s",
	             err.msg);
	cr_expect_str_eq(each(sp, &all), "waiting 1 a no route;waiting 1 b no route;");
	zk_redact_add(ZK_STR("hunter22"));
	cr_assert_eq(zk_spool_fail(sp, ids, 1, "bad token hunter22", true, &err), 0);
	cr_expect_str_eq(each(sp, &all),
	                 "failed 2 a bad token ***;waiting 1 b no route;");
	cr_expect_str_eq(waiting(sp, &trig), "b");
	struct zk_spool_stat *st = NULL;
	size_t n = 0;

	cr_assert_eq(zk_spool_stats(sp, &st, &n, &err), 0);
	cr_expect_str_eq(st[0].last_error, "bad token ***");
	cr_expect(st[0].failed == 1 && st[0].waiting == 1);
	zk_spool_stats_done(st, n);
	cr_expect_eq(add(sp, "k", "a").result, ZK_SPOOL_KNOWN);
	cr_expect_str_eq(waiting(sp, &trig), "a b", "appended again: it waits again");
	zk_spool_close(sp);
}

Test(spool, a_long_reason_is_cut_between_characters)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_spool_stat *st = NULL;
	int64_t id = add(sp, "", "a").id;
	char reason[1001];
	size_t n = 0;

	reason[0] = 'x';
	for (size_t i = 1; i < 1000; i += 3)
		memcpy(reason + i, "\xe2\x82\xac", 3);
	reason[1000] = '\0';
	cr_assert_eq(zk_spool_fail(sp, &id, 1, reason, false, &err), 0);
	cr_assert_eq(zk_spool_stats(sp, &st, &n, &err), 0);
	cr_expect(zk_utf8_valid(zk_str_of(st[0].last_error)));
	cr_expect_eq(strlen(st[0].last_error), 499);
	zk_spool_stats_done(st, n);
	zk_spool_close(sp);
}

/* ---- looking --------------------------------------------------------------------------- */

static void fill(struct zk_spool *sp)
{
	struct zk_error err = { 0 };
	struct zk_spool_put v[] = { item("", "z1"), item("", "z2") };
	int64_t failed;

	(void)add(sp, "", "t1");
	cr_assert_eq(zk_spool_append(sp, &zb, v, 2, &err), 0);
	failed = add(sp, "", "t2").id;
	cr_assert_eq(zk_spool_fail(sp, &failed, 1, "no", true, &err), 0);
}

static const char *each_of(struct zk_spool *sp, const char *target)
{
	const char *const globs[] = { "nothing:*", target };

	return each(sp, &(struct zk_spool_filter){ .targets = globs, .n_targets = 2 });
}

Test(spool, filters)
{
	struct zk_spool *sp = open_spool();

	fill(sp);
	cr_expect_str_eq(each(sp, &(struct zk_spool_filter){ 0 }),
	                 "waiting 0 t1 ;waiting 0 z1 ;waiting 0 z2 ;failed 1 t2 no;");
	cr_expect_str_eq(each_of(sp, "zerobus:*"), "waiting 0 z1 ;waiting 0 z2 ;");
	cr_expect_str_eq(each_of(sp, "zerobus"), "");
	cr_expect_str_eq(
	        each(sp, &(struct zk_spool_filter){ .states = 1u << ZK_SPOOL_FAILED }),
	        "failed 1 t2 no;");
	cr_expect_str_eq(each(sp, &(struct zk_spool_filter){ .limit = 2 }),
	                 "waiting 0 t1 ;waiting 0 z1 ;");
	cr_expect_str_eq(each(sp, &(struct zk_spool_filter){ .before_us = 1 }), "");
	int64_t ids[] = { 3, 77, 1 };

	cr_expect_str_eq(each(sp, &(struct zk_spool_filter){ .ids = ids, .n_ids = 3 }),
	                 "waiting 0 z2 ;waiting 0 t1 ;");
	cr_expect_str_eq(
	        each(sp, &(struct zk_spool_filter){ .ids = ids, .n_ids = 3, .limit = 1 }),
	        "waiting 0 z2 ;");
	cr_expect_str_eq(each(sp, &(struct zk_spool_filter){ .ids = ids,
	                                                     .n_ids = 3,
	                                                     .no_body = true }),
	                 "waiting 0  ;waiting 0  ;");
	zk_spool_close(sp);
}

static int count_and_stop(void *ctx, const struct zk_spool_rec *rec, struct zk_error *err)
{
	int *n = ctx;

	(void)rec;
	return ++*n == 100 ? zk_fail(err, ZK_E_OUTPUT, "enough") : 0;
}

Test(spool, walking_crosses_pages_and_stops_when_told)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	static struct zk_spool_put v[150];
	int n = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(v); i++)
		v[i] = item("", "x");
	cr_assert_eq(zk_spool_append(sp, &trig, v, ZK_ARRAY_LEN(v), &err), 0);
	cr_expect_eq(zk_spool_each(sp, &(struct zk_spool_filter){ 0 }, count_and_stop, &n,
	                           &err),
	             -ZK_E_OUTPUT);
	cr_expect_eq(n, 100);
	cr_expect_eq(zk_spool_each(sp, &(struct zk_spool_filter){ 0 }, count_and_stop, &n,
	                           &err),
	             0);
	cr_expect_eq(n, 250);
	zk_spool_close(sp);
}

Test(spool, statistics)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_spool_stat *st = NULL;
	size_t n = 7;

	cr_assert_eq(zk_spool_stats(sp, &st, &n, &err), 0);
	cr_expect_eq(n, 0);
	fill(sp);
	cr_assert_eq(zk_spool_stats(sp, &st, &n, &err), 0, "%s", err.msg);
	cr_assert_eq(n, 2);
	cr_expect_str_eq(st[0].kind, "triggers");
	cr_expect_str_eq(st[1].dest, "host/a.b.c");
	cr_expect(st[0].records == 2 && st[0].failed == 1 && st[0].waiting == 1);
	cr_expect_eq(st[0].bytes, 4 + 2 * ZK_SPOOL_OVERHEAD);
	cr_expect_null(st[1].last_error);
	cr_expect_eq(st[0].oldest_us, total(sp).oldest_us);
	cr_expect_geq(st[1].oldest_us, st[0].oldest_us);
	cr_expect_eq(total(sp).records, 4);
	zk_spool_stats_done(st, n);
	zk_spool_close(sp);
}

Test(spool, drop)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool(), *other = open_spool();
	uint64_t n = 0;

	fill(sp);
	cr_assert_eq(zk_spool_own(other, &err), 0);
	(void)add(other, "", "live");
	const char *const globs[] = { "triggers:*" };
	struct zk_spool_filter f = { .targets = globs, .n_targets = 1 };

	cr_assert_eq(zk_spool_drop(sp, &f, &n, &err), 0, "%s", err.msg);
	cr_expect_eq(n, 2);
	cr_expect_str_eq(each(sp, &(struct zk_spool_filter){ 0 }),
	                 "waiting 0 z1 ;waiting 0 z2 ;sending 0 live ;");
	f = (struct zk_spool_filter){ .states = 1u << ZK_SPOOL_SENDING };
	cr_assert_eq(zk_spool_drop(sp, &f, &n, &err), 0);
	cr_expect_eq(n, 0);
	zk_spool_close(other);
	f = (struct zk_spool_filter){ .limit = 2 };
	cr_assert_eq(zk_spool_drop(sp, &f, &n, &err), 0);
	cr_expect_eq(n, 2);
	cr_expect_eq(total(sp).records, 1);
	zk_spool_close(sp);
}

Test(spool, failed_records_can_be_tried_again)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	uint64_t n = 0;

	fill(sp);
	cr_assert_eq(zk_spool_retry(sp, &(struct zk_spool_filter){ 0 }, &n, &err), 0,
	             "%s", err.msg);
	cr_expect_eq(n, 1);
	cr_expect_str_eq(waiting(sp, &trig), "t1 t2");
	cr_assert_eq(zk_spool_retry(sp, &(struct zk_spool_filter){ 0 }, &n, &err), 0);
	cr_expect_eq(n, 0);
	zk_spool_close(sp);
}

static int keep_name(void *ctx, zk_str name, zk_str bytes, struct zk_error *err)
{
	char *text = ctx;

	(void)err;
	(void)snprintf(text + strlen(text), 100 - strlen(text), "%.*s=%.*s;",
	               ZK_STR_ARG(name), ZK_STR_ARG(bytes));
	return 0;
}

Test(spool, attachments_live_as_long_as_their_target_has_records)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	struct zk_buf b;
	char text[100] = "";

	zk_buf_init(&b, 100);
	cr_assert_eq(zk_spool_begin(sp, &err), 0);
	cr_assert_eq(zk_spool_attach(sp, &trig, ZK_STR("f2"), ZK_STR("schema"), &err), 0,
	             "%s", err.msg);
	cr_assert_eq(zk_spool_attach(sp, &trig, ZK_STR("f1"), ZK_STR(""), &err), 0);
	cr_assert_eq(zk_spool_attach(sp, &trig, ZK_STR("f2"), ZK_STR("again"), &err), 0);
	int64_t id = add(sp, "", "a").id;

	cr_assert_eq(zk_spool_commit(sp, &err), 0);
	cr_expect_eq(zk_spool_attachment(sp, &trig, ZK_STR("f2"), &b, &err), 1);
	cr_expect(zk_str_eq(zk_buf_str(&b), ZK_STR("schema")));
	cr_expect_eq(zk_spool_attachment(sp, &trig, ZK_STR("f3"), &b, &err), 0);
	cr_expect_eq(zk_spool_attachment(sp, &zb, ZK_STR("f2"), &b, &err), 0);
	cr_expect_eq(zk_spool_attachments(sp, &trig, keep_name, text, &err), 0, "%s",
	             err.msg);
	cr_expect_str_eq(text, "f1=;f2=schema;");
	ack(sp, id);
	cr_expect_eq(zk_spool_attachment(sp, &trig, ZK_STR("f2"), &b, &err), 0);
	cr_expect_eq(zk_spool_attach(sp, &trig, ZK_STR(""), ZK_STR(""), &err),
	             -ZK_E_DATA);
	zk_buf_done(&b);
	zk_spool_close(sp);
}

/* ---- transactions ---------------------------------------------------------------------- */

Test(spool, one_transaction_of_several_calls)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool(), *other = open_spool();
	struct zk_spool_put bad = { .meta = ZK_STR("{") };

	cr_assert_eq(zk_spool_begin(sp, &err), 0);
	int64_t a = add(sp, "", "a").id;

	cr_expect_eq(zk_spool_append(sp, &trig, &bad, 1, &err), -ZK_E_JSON);
	(void)add(sp, "", "b");
	ack(sp, a);
	cr_expect_str_eq(waiting(other, &trig), "");
	cr_assert_eq(zk_spool_commit(sp, &err), 0, "%s", err.msg);
	cr_expect_str_eq(waiting(other, &trig), "b");
	/* A failing call leaves the others of the transaction alone. */
	struct zk_spool *small = open_limited(2 * (1 + ZK_SPOOL_OVERHEAD), ZK_SPOOL_FAIL);
	struct zk_spool_put v[] = { item("", "x"), item("", "y") };

	cr_assert_eq(zk_spool_begin(small, &err), 0);
	cr_expect_eq(zk_spool_append(small, &zb, v, 2, &err), -ZK_E_SPOOL_FULL);
	cr_expect_eq(zk_spool_append(small, &trig, v, 1, &err), 0, "%s", err.msg);
	cr_assert_eq(zk_spool_commit(small, &err), 0);
	cr_expect_eq(total(other).records, 2);
	cr_assert_eq(zk_spool_begin(small, &err), 0);
	ack(small, v[0].id);
	zk_spool_close(small); /* not committed */
	cr_expect_eq(total(other).records, 2);
	zk_spool_close(sp);
	zk_spool_close(other);
}

Test(spool, a_full_disk_undoes_the_transaction_and_nothing_else)
{
	struct zk_error err = { 0 };
	struct rlimit limit = { 300000, RLIM_INFINITY };
	struct zk_spool *sp = open_spool();
	static char big[200000];
	struct zk_spool_put p = { .body = { big, sizeof(big) } };
	int64_t id = add(sp, "", "a").id;
	int r = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; r == 0 && i < 10; i++)
		r = zk_spool_append(sp, &zb, &p, 1, &err);
	cr_expect_eq(r, -ZK_E_STORE_FULL, "%s", err.msg);
	cr_assert_eq(zk_spool_begin(sp, &err), 0);
	for (r = 0; r == 0;)
		r = zk_spool_append(sp, &zb, &p, 1, &err);
	cr_expect_eq(r, -ZK_E_STORE_FULL, "%s", err.msg);
	r = zk_spool_commit(sp, &err);
	cr_expect(r == 0 || r == -ZK_E_STORE_FULL, "%d %s", r, err.msg);
	cr_expect_str_eq(waiting(sp, &trig), "a");
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ack(sp, id);
	(void)add(sp, "", "c");
	cr_expect_str_eq(waiting(sp, &trig), "c");
	zk_spool_close(sp);
}

/* ---- the file -------------------------------------------------------------------------- */

Test(spool, files_are_private_and_named_after_the_profile)
{
	static const struct {
		const char *profile, *file;
	} cases[] = {
		{ "prod", "prod.db" },         { "", "default.db" },
		{ "..", "%2E..db" },           { ".x", "%2Ex.db" },
		{ "a/../b", "a%2F..%2Fb.db" }, { "%2Ex", "%252Ex.db" },
		{ "\xc3\xa4", "%C3%A4.db" },
	};
	struct zk_spool_conf conf = { .dir = dir, .create = true };

	(void)umask(0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		char path[400];
		struct stat st;

		conf.profile = cases[i].profile;
		struct zk_spool *sp = open_conf(&conf);

		(void)snprintf(path, sizeof(path), "%s/%s", dir, cases[i].file);
		cr_expect_str_eq(zk_spool_path(sp), path);
		cr_assert_eq(stat(path, &st), 0, "%s", path);
		cr_expect_eq(st.st_mode & 07777, 0600);
		cr_expect_eq(strlen(zk_spool_uid(sp)), 32);
		zk_spool_close(sp);
	}
	char sub[300], deep[320];
	struct stat st;

	(void)snprintf(sub, sizeof(sub), "%s/sub", dir);
	conf = (struct zk_spool_conf){ .dir = sub, .profile = "p", .create = true };
	zk_spool_close(open_conf(&conf));
	cr_assert_eq(stat(sub, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	struct zk_error err = { 0 };
	struct zk_spool *sp = NULL;

	(void)snprintf(deep, sizeof(deep), "%s/x/y", dir);
	conf.dir = deep;
	cr_expect_eq(zk_spool_open(&conf, &sp, &err), -ZK_E_CREATE);
	conf = (struct zk_spool_conf){ .dir = dir, .profile = "missing" };
	cr_expect_eq(zk_spool_open(&conf, &sp, &err), -ZK_E_NO_INPUT);
	zk_spool_close(NULL);
	(void)snprintf(deep, sizeof(deep), "%s/p.db", sub);
	(void)unlink(deep);
	(void)snprintf(deep, sizeof(deep), "%s/p.lock", sub);
	(void)unlink(deep);
	cr_expect_eq(rmdir(sub), 0);
}

Test(spool, the_number_of_a_file_stays)
{
	char uid[33];
	struct zk_spool *sp = open_spool();

	(void)snprintf(uid, sizeof(uid), "%s", zk_spool_uid(sp));
	zk_spool_close(sp);
	sp = open_spool();
	cr_expect_str_eq(zk_spool_uid(sp), uid);
	zk_spool_close(sp);
}

Test(spool, damaged_newer_foreign)
{
	struct zk_error err = { 0 };
	struct zk_spool_conf conf = { .dir = dir, .profile = "p" };
	struct zk_spool *sp = open_spool();
	struct zk_db *db = NULL;
	struct zk_db_conf raw = { .path = zk_spool_path(sp) };

	cr_assert_eq(zk_db_open(&raw, &db, &err), 0);
	cr_assert_eq(zk_db_exec(db, "PRAGMA user_version=9", &err), 0);
	zk_db_close(db);
	char *path = zk_strdup(zk_spool_path(sp));

	zk_spool_close(sp);
	cr_expect_eq(zk_spool_open(&conf, &sp, &err), -ZK_E_STORE_VERSION);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	cr_assert_eq(write(fd, "not a database, but text", 24), 24);
	(void)close(fd);
	cr_expect_eq(zk_spool_open(&conf, &sp, &err), -ZK_E_STORE_CORRUPT);
	cr_expect_not_null(strstr(err.msg, "is not a database"), "%s", err.msg);
	free(path);
}

Test(spool, the_file_shrinks_after_a_large_flush)
{
	struct zk_error err = { 0 };
	struct zk_spool *sp = open_spool();
	static char big[1 << 20];
	struct zk_spool_put v[8];
	int64_t ids[8];
	struct stat st;
	char path[400];

	for (size_t i = 0; i < 8; i++)
		v[i] = (struct zk_spool_put){ .body = { big, sizeof(big) } };
	cr_assert_eq(zk_spool_append(sp, &trig, v, 8, &err), 0, "%s", err.msg);
	for (size_t i = 0; i < 8; i++)
		ids[i] = v[i].id;
	(void)snprintf(path, sizeof(path), "%s", zk_spool_path(sp));
	zk_spool_close(sp);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_gt(st.st_size, 8 << 20);
	sp = open_spool();
	cr_assert_eq(zk_spool_ack(sp, ids, 8, NULL, &err), 0);
	zk_spool_close(sp);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_lt(st.st_size, 2 << 20, "%lld", (long long)st.st_size);
}
