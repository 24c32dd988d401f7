/* Rounds of a job from the loop to a lane and back, and posts, per second.
 * Layer: tests. usage: bench_lane [SECONDS]; prints "name value unit" lines. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "rt/lane.h"
#include "rt/loop.h"

#include "base/ban.h"

static struct zk_loop *loop;
static struct zk_lane *lane;
static int64_t end_us;
static uint64_t rounds, batches;

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	(void)ctx;
	(void)batch;
	(void)n;
	batches++; /* read after the join */
}

static void done(struct zk_job *job)
{
	rounds++;
	/* The clock is looked at now and then only: it costs as much as the job. */
	if (rounds % 64 == 0 && zk_mono_us() >= end_us)
		end_us = 0;
	if (end_us)
		zk_lane_push_always(lane, job);
}

static long switches(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return u.ru_nvcsw;
}

static void bench_lane(unsigned jobs, double seconds)
{
	struct zk_lane_conf conf = { .name = "bench", .run = run, .batch_jobs = 512 };
	struct zk_job *j = zk_alloc_array(jobs, sizeof(*j));
	struct zk_error err = { 0 };
	int64_t start, cpu;
	double took;
	long sw;

	if (zk_lane_start(loop, &conf, &lane, &err) < 0)
		exit(1);
	rounds = batches = 0;
	cpu = zk_cpu_ns();
	sw = switches();
	start = zk_mono_us();
	end_us = start + (int64_t)(seconds * 1e6);
	for (unsigned i = 0; i < jobs; i++) {
		j[i].done = done;
		zk_lane_push_always(lane, &j[i]);
	}
	zk_loop_run(loop);
	took = (double)(zk_mono_us() - start) / 1e6;
	cpu = zk_cpu_ns() - cpu;
	sw = switches() - sw;
	zk_lane_stop(lane);
	printf("lane %u in flight: %.0f jobs/s, %.1f per batch, %.0f ns CPU and %.2f "
	       "switches "
	       "per job\n",
	       jobs, (double)rounds / took, (double)rounds / (double)batches,
	       (double)cpu / (double)rounds, (double)sw / (double)rounds);
	free(j);
}

static void on_post(void *ctx)
{
	uint64_t *left = ctx;

	if (--*left == 0)
		zk_loop_release(loop);
}

struct poster {
	uint64_t n;
	uint64_t *left;
};

static void *post_main(void *arg)
{
	struct poster *p = arg;

	for (uint64_t i = 0; i < p->n; i++)
		zk_loop_post(loop, on_post, p->left);
	return NULL;
}

static void bench_post(void)
{
	uint64_t left = 2000000;
	struct poster p = { left, &left };
	int64_t start = zk_mono_us();
	pthread_t t;

	zk_loop_hold(loop);
	if (pthread_create(&t, NULL, post_main, &p) != 0)
		exit(1);
	zk_loop_run(loop);
	(void)pthread_join(t, NULL);
	printf("post from one thread: %.0f posts/s\n",
	       (double)p.n * 1e6 / (double)(zk_mono_us() - start));
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
	struct zk_error err = { 0 };

	loop = zk_loop_new(&err);
	if (!loop)
		return 1;
	bench_lane(1, seconds);
	bench_lane(50, seconds);
	bench_lane(200, seconds);
	bench_lane(1000, seconds);
	bench_post();
	zk_loop_free(loop);
	return 0;
}
