/* The spool behind a lane: order, one commit for many, bounds, a transaction that fails, results on
 * the loop thread.
 * Layer: tests. */
#include "store/spool_lane.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "tap.h"

#include "base/ban.h"

static struct zk_loop *loop;
static pthread_t loop_thread;
static char dir[256];

static const struct zk_spool_target target = { ZK_STR_INIT("test"), ZK_STR_INIT("x") };

struct op {
	struct zk_spool_op op;
	struct zk_spool_put put[3];
	char text[3][48];
	int64_t id;
	bool *last; /* set when this one is done */
};

static struct {
	unsigned done, failed, wrong;
	int64_t last_id;
	bool in_order, on_loop;
} seen;

static void reset(void)
{
	memset(&seen, 0, sizeof(seen));
	seen.in_order = seen.on_loop = true;
}

static void on_done(struct zk_spool_op *zop)
{
	struct op *op = ZK_CONTAINER_OF(zop, struct op, op);

	seen.done++;
	seen.on_loop = seen.on_loop && pthread_equal(pthread_self(), loop_thread);
	if (zop->r < 0) {
		seen.failed++;
		seen.wrong += zop->r != -(int)zop->err.code;
	} else if (zop->what == ZK_SPOOL_DO_APPEND) {
		seen.in_order = seen.in_order && op->put[0].id > seen.last_id;
		seen.last_id = op->put[zop->n - 1].id;
	}
	if (op->last)
		*op->last = true;
	free(op);
}

static struct op *op_new(enum zk_spool_do what)
{
	struct op *op = zk_new0(struct op);

	op->op.what = what;
	op->op.target = &target;
	op->op.done = on_done;
	return op;
}

static struct op *op_append(unsigned i)
{
	struct op *op = op_new(ZK_SPOOL_DO_APPEND);

	op->op.v = op->put;
	op->op.n = 1 + i % 3;
	for (size_t k = 0; k < op->op.n; k++) {
		(void)snprintf(op->text[k], sizeof(op->text[k]), "%u.%zu", i, k);
		op->put[k].body = zk_str_of(op->text[k]);
	}
	return op;
}

static struct zk_spool_lane *lane_open(struct zk_spool_lane_conf *conf,
                                       const char *profile)
{
	struct zk_spool_lane *l = NULL;
	struct zk_error err = { 0 };

	conf->spool.dir = dir;
	conf->spool.profile = profile;
	conf->spool.create = true;
	if (zk_spool_lane_open(loop, conf, &l, &err) < 0) {
		tap_ok(false, "%s", err.msg);
		exit(1);
	}
	return l;
}

static int count_all(struct zk_spool *sp, struct zk_spool_op *zop, struct zk_error *err)
{
	struct zk_spool_total t;
	int r = zk_spool_total(sp, &t, err);

	ZK_CONTAINER_OF(zop, struct op, op)->put[0].id = (int64_t)t.records;
	seen.wrong += pthread_equal(pthread_self(), loop_thread) ? 1 : 0;
	return r < 0 ? r
	       : t.records == 1000
	               ? 0
	               : zk_fail(err, ZK_E_SUMS, "%llu", (unsigned long long)t.records);
}

static void test_order(void)
{
	struct zk_spool_lane_conf conf = { .own = true };
	struct zk_spool_lane *l = lane_open(&conf, "order");
	unsigned appended = 0, ops = 0;
	bool last = false;

	reset();
	for (; appended < 1000; ops++) {
		struct op *op = op_append(ops);

		if (appended + op->op.n > 1000)
			op->op.n = 1000 - appended;
		appended += (unsigned)op->op.n;
		if (!zk_spool_lane_do(l, &op->op)) {
			tap_ok(false, "room for %u operations", ops);
			return;
		}
	}
	struct op *call = op_new(ZK_SPOOL_DO_CALL);

	call->op.call = count_all;
	call->last = &last;
	tap_ok(zk_spool_lane_do(l, &call->op), "a call is taken");
	zk_loop_until(loop, &last);
	tap_ok(seen.done == ops + 1 && seen.failed == 0, "%u operations, %u failed",
	       seen.done, seen.failed);
	tap_ok(seen.in_order, "records are in the order of the operations");
	tap_ok(seen.on_loop && seen.wrong == 0, "each callback on its thread");
	tap_ok(zk_spool_lane_total(l).records == 1000 &&
	               zk_spool_lane_total(l).oldest_us > 0,
	       "the total is known");
	zk_spool_lane_close(l);
}

static void test_bounds_and_close(void)
{
	struct zk_spool_lane_conf conf = { .max_ops = 5 };
	struct zk_spool_lane *l = lane_open(&conf, "bounds");
	unsigned taken = 0;

	reset();
	for (unsigned i = 0; i < 20; i++) {
		struct op *op = op_append(0);

		if (zk_spool_lane_do(l, &op->op))
			taken++;
		else
			free(op);
	}
	tap_ok(taken == 5, "%u of 20 appends taken at once", taken);
	struct op *ack = op_new(ZK_SPOOL_DO_ACK);
	static const int64_t ids[] = { 1, 2 };

	ack->op.ids = ids;
	ack->op.n = 2;
	tap_ok(zk_spool_lane_do(l, &ack->op), "an acknowledgement always");
	struct op *fail = op_new(ZK_SPOOL_DO_FAIL);

	fail->op.ids = ids;
	fail->op.n = 2;
	fail->op.reason = "no";
	tap_ok(zk_spool_lane_do(l, &fail->op), "a failure too");
	zk_spool_lane_close(l); /* what was given is done */
	tap_ok(seen.done == 7 && seen.failed == 0, "%u done at the close, %u failed",
	       seen.done, seen.failed);
	conf = (struct zk_spool_lane_conf){ 0 };
	l = lane_open(&conf, "bounds");
	tap_ok(zk_spool_lane_total(l).records == 3, "three are left");
	zk_spool_lane_close(l);
	zk_spool_lane_close(NULL);
}

/* Small appends beside one that the disk cannot take. */
static void test_full_disk(void)
{
	static char big[400000];
	struct zk_spool_lane_conf conf = { .own = false };
	struct zk_spool_lane *l = lane_open(&conf, "full");
	struct rlimit limit = { 300000, RLIM_INFINITY };
	bool last = false;

	reset();
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	for (unsigned i = 0; i < 9; i++) {
		struct op *op = op_append(i == 4 ? 0 : i);

		if (i == 4)
			op->put[0].body = zk_str_n(big, sizeof(big));
		if (i == 8)
			op->last = &last;
		if (!zk_spool_lane_do(l, &op->op))
			tap_ok(false, "room");
	}
	zk_loop_until(loop, &last);
	tap_ok(seen.done == 9 && seen.failed == 1, "%u done, %u failed for want of space",
	       seen.done, seen.failed);
	tap_ok(zk_spool_lane_total(l).records == 16, "%llu records",
	       (unsigned long long)zk_spool_lane_total(l).records);
	limit.rlim_cur = RLIM_INFINITY;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	zk_spool_lane_close(l);
}

static void clean_up(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(dir);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	struct zk_error err = { 0 };

	(void)snprintf(dir, sizeof(dir), "%s/lane.XXXXXX", tmp ? tmp : "/tmp");
	loop = zk_loop_new(&err);
	loop_thread = pthread_self();
	if (!loop || !mkdtemp(dir))
		return 1;
	test_order();
	test_bounds_and_close();
	test_full_disk();
	zk_loop_free(loop);
	clean_up();
	return tap_done();
}
