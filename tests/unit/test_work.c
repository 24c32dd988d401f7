/* Bounded concurrent work: order, order by key, retries, stop.
 * Layer: tests. */
#include "rt/work.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "rt/child.h"
#include "rt/loop.h"

#include "base/ban.h"

#define TASKS 16

struct one {
	struct zk_task task;
	char name;
	unsigned failures; /* so many attempts fail first */
	bool lasting;      /* they are not to be repeated */
};

static struct zk_loop *loop;
static struct zk_work *work;
static struct zk_buf log_;
static struct one tasks[TASKS];
static unsigned now_, most, rooms, idles;
static bool hold; /* attempts do not end by themselves */

static void end_one(struct one *o)
{
	struct zk_error err = { 0 };

	now_--;
	if (o->failures) {
		o->failures--;
		(void)zk_fail(&err, ZK_E_COMMAND, "no");
		err.retryable = !o->lasting;
		zk_work_end(&o->task, &err);
	} else {
		zk_work_end(&o->task, NULL);
	}
}

static void on_tick(void *ctx)
{
	end_one(ctx);
}

static void on_start(void *ctx, struct zk_task *t)
{
	struct one *o = ZK_CONTAINER_OF(t, struct one, task);

	(void)ctx;
	zk_buf_char(&log_, o->name);
	now_++;
	most = ZK_MAX(most, now_);
	if (!hold)
		zk_loop_defer(loop, on_tick, o);
}

static void on_cancel(void *ctx, struct zk_task *t)
{
	(void)ctx;
	now_--;
	zk_buf_printf(&log_, "!%c", ZK_CONTAINER_OF(t, struct one, task)->name);
}

static void on_over(void *ctx, struct zk_task *t, const struct zk_error *err)
{
	struct one *o = ZK_CONTAINER_OF(t, struct one, task);

	(void)ctx;
	zk_buf_printf(&log_, "%c%c", err ? '-' : '+', o->name);
}

static void on_room(void *ctx)
{
	(void)ctx;
	rooms++;
}

static void on_idle(void *ctx)
{
	(void)ctx;
	idles++;
	zk_loop_quit(loop);
}

static void begin(unsigned jobs, size_t high, uint64_t retries)
{
	struct zk_work_conf conf = {
		.jobs = jobs,
		.high = high,
		.retry = { .max_retries = retries, .base_ms = 1, .cap_ms = 2 },
		.start = on_start,
		.cancel = on_cancel,
		.over = on_over,
		.on_room = on_room,
		.on_idle = on_idle
	};

	work = zk_work_new(loop, &conf);
}

static void setup(void)
{
	struct zk_error err;

	loop = zk_loop_new(&err);
	zk_buf_init(&log_, 4096);
	memset(tasks, 0, sizeof(tasks));
	now_ = most = rooms = idles = 0;
	hold = false;
	for (unsigned i = 0; i < TASKS; i++)
		tasks[i].name = (char)('a' + i);
}

static void teardown(void)
{
	zk_work_free(work);
	zk_loop_free(loop);
	zk_buf_done(&log_);
}

TestSuite(work, .init = setup, .fini = teardown, .timeout = 30);

static bool push(unsigned i, const char *key)
{
	return zk_work_push(work, &tasks[i].task, zk_str_of(key));
}

static void expect_log(const char *want)
{
	cr_expect_str_eq(zk_buf_cstring(&log_), want);
}

Test(work, one_job_keeps_the_order)
{
	begin(1, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		cr_expect(push(i, ""));
	zk_loop_run(loop);
	expect_log("a+ab+bc+c");
	cr_expect_eq(idles, 1);
	cr_expect_eq(zk_work_count(work), 0);
}

Test(work, jobs_bound_what_runs_at_once)
{
	begin(3, 0, 0);
	for (unsigned i = 0; i < 8; i++)
		cr_expect(push(i, ""));
	zk_loop_run(loop);
	cr_expect_eq(most, 3);
	expect_log("abc+ad+be+cf+dg+eh+f+g+h");
}

Test(work, a_key_never_runs_twice_at_once)
{
	begin(4, 0, 0);
	push(0, "x");
	push(1, "x");
	push(2, "y");
	push(3, "x");
	zk_loop_run(loop);
	/* b and d wait for a; c does not. */
	expect_log("ac+ab+c+bd+d");
	cr_expect_eq(most, 2);
}

Test(work, a_retry_keeps_its_key_and_gives_its_slot_away)
{
	begin(1, 0, 3);
	tasks[0].failures = 2;
	push(0, "x");
	push(1, "x");
	push(2, "y");
	zk_loop_run(loop);
	cr_expect_str_eq(zk_buf_cstring(&log_) + log_.n - 3, "b+b",
	                 "b comes after the last attempt of a: %s",
	                 zk_buf_cstring(&log_));
	cr_expect_eq(strncmp(zk_buf_cstring(&log_), "ac", 2), 0,
	             "c runs while a waits: %s", zk_buf_cstring(&log_));
}

Test(work, what_lasts_is_not_repeated)
{
	begin(1, 0, 3);
	tasks[0].failures = 1;
	tasks[0].lasting = true;
	push(0, "");
	zk_loop_run(loop);
	expect_log("a-a");
}

Test(work, the_budget_ends)
{
	begin(1, 0, 2);
	tasks[0].failures = 9;
	push(0, "");
	zk_loop_run(loop);
	expect_log("aaa-a");
}

Test(work, asks_for_a_pause_and_says_when_there_is_room)
{
	begin(1, 4, 0);
	for (unsigned i = 0; i < 3; i++)
		cr_expect(push(i, ""));
	cr_expect_not(push(3, ""));
	cr_expect_not(push(4, ""), "still full");
	zk_loop_run(loop);
	cr_expect_eq(rooms, 1);
}

Test(work, free_hands_everything_back)
{
	begin(2, 0, 0);
	hold = true;
	push(0, "x");
	push(1, "x");
	push(2, "");
	push(3, "");
	zk_work_free(work);
	work = NULL;
	expect_log("ac!a-a!c-c-d-b");
}

Test(work, the_end_of_a_command)
{
	static const struct {
		struct zk_child_result res;
		bool ok, retryable;
	} cases[] = {
		{ { .status = 0 }, true, false },
		{ { .status = 1 }, false, true },
		{ { .status = 126 }, false, false },
		{ { .status = 127 }, false, false },
		{ { .status = 137, .signal = 9 }, false, true },
		{ { .status = 143, .signal = 15, .timed_out = true }, false, true },
	};

	begin(1, 0, 0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		const struct zk_error *got = zk_work_child_error(&cases[i].res, &err);

		cr_expect_eq(got == NULL, cases[i].ok, "case %zu", i);
		cr_expect_eq(err.retryable, cases[i].retryable, "case %zu", i);
	}
}
