/* A lane: one worker thread with a bounded inbox; results come back to the loop.
 * Layer: rt. All functions are loop-thread-only except where said.
 *
 * The owner embeds zk_job in its own struct. `run` gets every job that waits (up to the
 * batch limits) as one list; afterwards the whole list travels back and `done` is
 * called for each job on the loop thread, with one wake-up per batch. */
#ifndef ZK_RT_LANE_H
#define ZK_RT_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_lane;
struct zk_loop;

struct zk_job {
	struct zk_job *next;
	size_t bytes;      /* cost, set before the push and not changed */
	uint8_t class_;    /* 0 to 3, 0 first; see zk_lane_conf.max_wait_ms */
	int64_t pushed_us; /* set by the lane */
	void (*done)(struct zk_job *job); /* loop thread; owns the job from then on */
};

struct zk_lane_conf {
	const char *name; /* thread name, at most 15 bytes */
	void *ctx;
	/* Lane thread; leaves the list as it is. Jobs are in order: class 0 first,
	 * within a class by arrival. A job of a higher class that waited longer than
	 * max_wait_ms is taken as if it were class 0. */
	void (*run)(void *ctx, struct zk_job *batch, size_t n);
	/* Lane thread, each may be NULL: once before the first batch; once per idle
	 * period of idle_ms; last thing. */
	void (*begin)(void *ctx);
	void (*idle)(void *ctx);
	void (*end)(void *ctx);
	int64_t idle_ms;
	int64_t max_wait_ms;            /* 0 = higher classes wait for ever */
	size_t max_jobs, max_bytes;     /* inbox bounds; 0 = 1,000 jobs, no byte bound */
	size_t batch_jobs, batch_bytes; /* 0 = 1 job, no byte bound */
};

/* Starts the thread. 0, or -ZK_E_SYSTEM. */
int zk_lane_start(struct zk_loop *loop, const struct zk_lane_conf *conf,
                  struct zk_lane **ret, struct zk_error *err) ZK_MUST_USE;
/* Hands the job to the lane at the end of this turn, with all others of the turn: true;
 * false when a bound would be passed (an empty lane takes any one job) or after
 * zk_lane_stop; then the job stays the caller's. */
bool zk_lane_push(struct zk_lane *l, struct zk_job *job) ZK_MUST_USE;
/* The same without bounds: for outcomes of work that was accepted already. */
void zk_lane_push_always(struct zk_lane *l, struct zk_job *job);
/* Jobs and bytes waiting or running. */
size_t zk_lane_jobs(const struct zk_lane *l);
size_t zk_lane_bytes(const struct zk_lane *l);
/* Runs what is in the inbox (and what `done` pushes with zk_lane_push_always
 * meanwhile), calls every outstanding `done`, joins the thread and frees the lane.
 * Blocks; used at shutdown, not from `done`. NULL is fine. */
void zk_lane_stop(struct zk_lane *l);
/* The same, within `ms` (below 0: however long it takes), and for longer while hangs(ctx) says that
 * what runs is not held up (NULL = it is). False = it did not end: its thread is left to itself with
 * the jobs it has, whose `done` is not called, and touches nothing else; for the end of the
 * process. */
bool zk_lane_stop_within(struct zk_lane *l, int64_t ms, bool (*hangs)(void *ctx),
                         void *ctx);
/* Runs fn(ctx) once, on the loop thread, when the lane next becomes empty (at the end
 * of this turn when it is empty now). */
void zk_lane_when_empty(struct zk_lane *l, void (*fn)(void *ctx), void *ctx);

#endif
