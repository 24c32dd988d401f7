/* Lanes: every job runs once and comes back once, in order, whatever the batches are;
 * bounds, classes, idle time, stop.
 * Layer: tests. */
#include "rt/lane.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "rt/loop.h"
#include "tap.h"

#include "base/ban.h"

static struct zk_loop *loop;
static pthread_t loop_thread;

struct job {
	struct zk_job j;
	unsigned id;
	unsigned ran; /* written by the lane */
	struct rig *rig;
};

/* A lane and what was seen of it. */
struct rig {
	struct zk_lane *lane;
	atomic_bool gate; /* closed: `run` waits */
	atomic_uint in_run, batches, begins, idles, ends;
	size_t max_batch, max_batch_bytes;
	bool on_loop; /* every `done` was called on the loop thread */
	unsigned done;
	unsigned order[64], n_order;
	unsigned last_id;
	bool in_order;
	unsigned chain; /* jobs that `done` still pushes */
};

static void rig_run(void *ctx, struct zk_job *batch, size_t n)
{
	struct rig *r = ctx;
	size_t bytes = 0, seen = 0;

	atomic_fetch_add(&r->in_run, 1);
	while (atomic_load(&r->gate))
		(void)sched_yield();
	for (struct zk_job *j = batch; j; j = j->next, seen++) {
		ZK_CONTAINER_OF(j, struct job, j)->ran++;
		bytes += j->bytes;
	}
	if (seen != n)
		(void)tap_ok(false, "a batch of %zu holds %zu jobs", n, seen);
	r->max_batch = ZK_MAX(r->max_batch, n);
	r->max_batch_bytes = ZK_MAX(r->max_batch_bytes, n > 1 ? bytes : 0);
	atomic_fetch_add(&r->batches, 1);
	atomic_fetch_sub(&r->in_run, 1);
}

static void rig_begin(void *ctx)
{
	atomic_fetch_add(&((struct rig *)ctx)->begins, 1);
}

static void rig_idle(void *ctx)
{
	atomic_fetch_add(&((struct rig *)ctx)->idles, 1);
}

static void rig_end(void *ctx)
{
	atomic_fetch_add(&((struct rig *)ctx)->ends, 1);
}

static void job_done(struct zk_job *j);

static struct job *job_new(struct rig *r, unsigned id)
{
	struct job *job = zk_new0(struct job);

	job->j.done = job_done;
	job->j.bytes = 1;
	job->id = id;
	job->rig = r;
	return job;
}

static void job_done(struct zk_job *j)
{
	struct job *job = ZK_CONTAINER_OF(j, struct job, j);
	struct rig *r = job->rig;

	if (!pthread_equal(pthread_self(), loop_thread) || job->ran != 1)
		r->on_loop = false;
	if (r->done && job->id < r->last_id)
		r->in_order = false;
	r->last_id = job->id;
	if (r->n_order < ZK_ARRAY_LEN(r->order))
		r->order[r->n_order++] = job->id;
	r->done++;
	if (r->chain) {
		r->chain--;
		zk_lane_push_always(r->lane, &job_new(r, job->id + 1)->j);
	}
	free(job);
}

static void rig_start(struct rig *r, struct zk_lane_conf conf)
{
	struct zk_error err = { 0 };

	*r = (struct rig){ .on_loop = true, .in_order = true };
	conf.name = "rig";
	conf.ctx = r;
	conf.run = rig_run;
	conf.begin = rig_begin;
	conf.end = rig_end;
	if (conf.idle_ms)
		conf.idle = rig_idle;
	if (zk_lane_start(loop, &conf, &r->lane, &err) < 0) {
		(void)tap_ok(false, "start: %s", err.msg);
		exit(1);
	}
}

/* ---- every job once, in order ---- */

struct feeder {
	struct rig rig;
	struct zk_rand rnd;
	unsigned pushed, total, refused;
	struct zk_timer *timer;
};

static void feed(void *ctx)
{
	struct feeder *f = ctx;
	uint64_t n = 1 + zk_rand_below(&f->rnd, 40);

	while (n-- && f->pushed < f->total) {
		struct job *job = job_new(&f->rig, f->pushed);

		job->j.bytes = 1 + zk_rand_below(&f->rnd, 50);
		if (!zk_lane_push(f->rig.lane, &job->j)) {
			f->refused++;
			free(job);
			break;
		}
		f->pushed++;
	}
	if (f->pushed < f->total)
		zk_timer_start(f->timer, (int64_t)zk_rand_below(&f->rnd, 2), 0);
}

static void test_every_job(uint64_t seed)
{
	struct zk_lane_conf conf = { .max_jobs = 100,
		                     .batch_jobs = 16,
		                     .batch_bytes = 200 };
	struct feeder f = { .total = 20000 };

	zk_rand_seed(&f.rnd, seed);
	rig_start(&f.rig, conf);
	f.timer = zk_timer_new(loop, feed, &f);
	feed(&f);
	zk_loop_run(loop);
	zk_timer_free(f.timer);
	tap_note("%u jobs, %u batches, largest %zu, refused %u", f.rig.done,
	         atomic_load(&f.rig.batches), f.rig.max_batch, f.refused);
	(void)tap_ok(f.rig.done == f.total, "each job comes back");
	(void)tap_ok(f.rig.on_loop, "on the loop thread, after it ran once");
	(void)tap_ok(f.rig.in_order, "in order");
	(void)tap_ok(zk_lane_jobs(f.rig.lane) == 0 && zk_lane_bytes(f.rig.lane) == 0,
	             "nothing is counted as waiting");
	zk_lane_stop(f.rig.lane);
	(void)tap_ok(f.rig.max_batch <= 16 && f.rig.max_batch_bytes <= 200,
	             "batches keep their bounds (%zu jobs, %zu bytes)", f.rig.max_batch,
	             f.rig.max_batch_bytes);
	(void)tap_ok(atomic_load(&f.rig.begins) == 1 && atomic_load(&f.rig.ends) == 1,
	             "begin and end run once");
}

/* ---- bounds ---- */

static bool push(struct rig *r, unsigned id, size_t bytes, uint8_t class_)
{
	struct job *job = job_new(r, id);

	job->j.bytes = bytes;
	job->j.class_ = class_;
	if (zk_lane_push(r->lane, &job->j))
		return true;
	free(job);
	return false;
}

static void test_bounds(void)
{
	struct rig r;

	rig_start(&r, (struct zk_lane_conf){
	                      .max_jobs = 3, .max_bytes = 100, .batch_jobs = 10 });
	(void)tap_ok(push(&r, 0, 1000, 0), "an empty lane takes any job");
	(void)tap_ok(!push(&r, 1, 0, 0) || zk_lane_jobs(r.lane) == 2,
	             "no bytes always fit");
	(void)tap_ok(!push(&r, 2, 1, 0), "bytes are bounded");
	zk_lane_push_always(r.lane, &job_new(&r, 3)->j);
	zk_lane_push_always(r.lane, &job_new(&r, 4)->j);
	(void)tap_ok(!push(&r, 5, 0, 0), "jobs are bounded");
	(void)tap_ok(zk_lane_bytes(r.lane) == 1002, "accepted work is counted");
	zk_loop_run(loop);
	(void)tap_ok(zk_lane_jobs(r.lane) == 0, "and forgotten");
	(void)tap_ok(push(&r, 6, 60, 0) && push(&r, 7, 40, 0) && !push(&r, 8, 1, 0),
	             "exactly the bound fits");
	zk_lane_stop(r.lane);
}

/* ---- classes ---- */

static bool order_is(const struct rig *r, const char *want)
{
	char got[65] = "";

	for (unsigned i = 0; i < r->n_order; i++)
		got[i] = (char)('a' + r->order[i]);
	if (strcmp(got, want) != 0)
		tap_note("order %s, wanted %s", got, want);
	return strcmp(got, want) == 0;
}

static void quit(void *ctx)
{
	(void)ctx;
	zk_loop_quit(loop);
}

/* Turns the loop until everything pushed so far is with the lane. */
static void hand_over(void)
{
	zk_loop_defer(loop, quit, NULL);
	zk_loop_run(loop);
}

static void test_classes(void)
{
	struct rig r;

	rig_start(&r, (struct zk_lane_conf){ .batch_jobs = 1, .max_wait_ms = 10000 });
	atomic_store(&r.gate, true);
	(void)push(&r, 0, 1, 2); /* keeps the lane busy */
	hand_over();
	(void)TAP_WAIT(5000, atomic_load(&r.in_run) == 1);
	(void)push(&r, 1, 1, 3);
	(void)push(&r, 2, 1, 1);
	(void)push(&r, 3, 1, 0);
	(void)push(&r, 4, 1, 1);
	(void)push(&r, 5, 1, 0);
	hand_over();
	atomic_store(&r.gate, false);
	zk_loop_run(loop);
	(void)tap_ok(order_is(&r, "adfceb"), "class 0 first, within a class by arrival");
	zk_lane_stop(r.lane);
}

static void test_promotion(void)
{
	struct rig r;
	int64_t start;

	rig_start(&r, (struct zk_lane_conf){ .batch_jobs = 1, .max_wait_ms = 5 });
	atomic_store(&r.gate, true);
	(void)push(&r, 0, 1, 0);
	hand_over();
	(void)TAP_WAIT(5000, atomic_load(&r.in_run) == 1);
	(void)push(&r, 1, 1, 1);
	start = zk_mono_us();
	(void)TAP_WAIT(5000, zk_mono_us() - start > 1000);
	(void)push(&r, 2, 1, 0);
	(void)push(&r, 3, 1, 1);
	(void)push(&r, 4, 1, 0);
	hand_over();
	(void)TAP_WAIT(5000, zk_mono_us() - start > 20000);
	atomic_store(&r.gate, false);
	zk_loop_run(loop);
	(void)tap_ok(order_is(&r, "abcde"), "what waited too long counts as class 0");
	zk_lane_stop(r.lane);
}

/* ---- idle ---- */

static void test_idle(void)
{
	struct rig r;
	int64_t start;

	rig_start(&r, (struct zk_lane_conf){ .idle_ms = 5 });
	(void)tap_ok(TAP_WAIT(5000, atomic_load(&r.idles) == 1), "idle is called");
	start = zk_mono_us();
	(void)TAP_WAIT(5000, zk_mono_us() - start > 30000);
	(void)tap_ok(atomic_load(&r.idles) == 1, "once per idle period");
	(void)push(&r, 0, 1, 0);
	zk_loop_run(loop);
	(void)tap_ok(TAP_WAIT(5000, atomic_load(&r.idles) == 2), "and again after work");
	zk_lane_stop(r.lane);
}

/* ---- when_empty ---- */

static void count(void *ctx)
{
	++*(unsigned *)ctx;
}

static void test_when_empty(void)
{
	unsigned n = 0;
	struct rig r;

	rig_start(&r, (struct zk_lane_conf){ .batch_jobs = 2 });
	zk_lane_when_empty(r.lane, count, &n);
	zk_lane_when_empty(r.lane, count, &n);
	(void)tap_ok(n == 0, "not at once");
	zk_loop_run(loop);
	(void)tap_ok(n == 2, "an empty lane calls at the end of the turn");
	for (unsigned i = 0; i < 10; i++)
		(void)push(&r, i, 1, 0);
	zk_lane_when_empty(r.lane, count, &n);
	r.chain = 3;
	zk_loop_run(loop);
	(void)tap_ok(n == 3 && r.done == 13, "a busy one when the last job came back");
	zk_lane_stop(r.lane);
}

/* ---- stop ---- */

static void test_stop(uint64_t seed)
{
	struct zk_rand rnd;
	unsigned bad = 0;

	zk_rand_seed(&rnd, seed);
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = (unsigned)zk_rand_below(&rnd, 50), waited = 0;
		struct rig r;

		rig_start(&r, (struct zk_lane_conf){
		                      .batch_jobs = 1 + zk_rand_below(&rnd, 8) });
		for (unsigned i = 0; i < n; i++)
			(void)push(&r, i, 1, 0);
		r.chain = n ? 5 : 0; /* outcomes of accepted work still go through */
		if (zk_rand_below(&rnd, 2))
			hand_over();
		if (n)
			zk_lane_when_empty(r.lane, count, &waited);
		zk_lane_stop(r.lane);
		if (r.done != n + (n ? 5 : 0) || !r.on_loop || waited != (n ? 1 : 0) ||
		    atomic_load(&r.ends) != 1)
			bad++;
	}
	(void)tap_ok(bad == 0, "stop runs and hands back everything, 200 rounds");
	zk_loop_run(loop);
	zk_lane_stop(NULL);
}

/* ---- many lanes at once ---- */

static void test_many(void)
{
	enum { LANES = 6, CHAIN = 3000 };
	static struct rig r[LANES];
	unsigned done = 0;
	bool right = true;

	for (unsigned i = 0; i < LANES; i++) {
		rig_start(&r[i], (struct zk_lane_conf){ .batch_jobs = 4 });
		r[i].chain = CHAIN;
		for (unsigned k = 0; k <= i; k++)
			(void)push(&r[i], k, 1, 0);
	}
	zk_loop_run(loop);
	for (unsigned i = 0; i < LANES; i++) {
		done += r[i].done;
		right &= r[i].on_loop && r[i].done == CHAIN + i + 1;
		zk_lane_stop(r[i].lane);
	}
	(void)tap_ok(right, "six lanes play ping-pong with the loop, %u jobs", done);
}

/* ---- one that hangs ---- */

static struct rig hanging;

static void test_leaving(void)
{
	rig_start(&hanging, (struct zk_lane_conf){ .batch_jobs = 1 });
	atomic_store(&hanging.gate, true);
	for (unsigned i = 0; i < 5; i++)
		(void)push(&hanging, i, 1, 0);
	hand_over();
	while (!atomic_load(&hanging.in_run))
		(void)sched_yield();
	(void)tap_ok(!zk_lane_stop_within(hanging.lane, 20, NULL, NULL) && !hanging.done,
	             "what hangs is left to itself, and comes back to nobody");
	zk_loop_run(loop);
}

/* After the loop is gone. */
static void test_coming_back(void)
{
	atomic_store(&hanging.gate, false);
	while (!atomic_load(&hanging.batches))
		(void)sched_yield();
	(void)tap_ok(!hanging.done, "what ends after all touches nothing");
}

int main(void)
{
	struct zk_error err = { 0 };
	uint64_t seed = tap_seed();

	loop = zk_loop_new(&err);
	if (!tap_ok(loop != NULL, "a loop"))
		return tap_done();
	loop_thread = pthread_self();
	test_every_job(seed);
	test_bounds();
	test_classes();
	test_promotion();
	test_idle();
	test_when_empty();
	test_stop(seed + 1);
	test_many();
	test_leaving();
	zk_loop_free(loop);
	test_coming_back();
	return tap_done();
}
