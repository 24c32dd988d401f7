/* The spool for code of the loop: a lane with group commit.
 * Layer: store. */
#include "store/spool_lane.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "store/spool_int.h"

#include "base/ban.h"

#define MAX_OPS     1000
#define MAX_BYTES   ((size_t)64 << 20)
#define BATCH_OPS   512
#define BATCH_BYTES ((size_t)8 << 20)

struct zk_spool_lane {
	struct zk_lane *lane;
	struct zk_spool *sp; /* lane thread, from open to close */
	_Atomic uint64_t records, bytes;
	_Atomic int64_t oldest_us;
};

static struct zk_spool_op *op_of(struct zk_job *job)
{
	return ZK_CONTAINER_OF(job, struct zk_spool_op, job);
}

/* ---- lane thread ----------------------------------------------------------------------- */

static void note_total(struct zk_spool_lane *l)
{
	struct zk_spool_total t;
	struct zk_error ignored;

	if (zk_spool_total(l->sp, &t, &ignored) < 0)
		return; /* the old figures stay */
	atomic_store(&l->records, t.records);
	atomic_store(&l->bytes, t.bytes);
	atomic_store(&l->oldest_us, t.oldest_us);
}

static void perform(struct zk_spool_lane *l, struct zk_spool_op *op)
{
	op->err = (struct zk_error){ 0 };
	switch (op->what) {
	case ZK_SPOOL_DO_APPEND:
		op->r = zk_spool_append(l->sp, op->target, op->v, op->n, &op->err);
		break;
	case ZK_SPOOL_DO_ACK:
		op->r = zk_spool_ack(l->sp, op->ids, op->n, NULL, &op->err);
		break;
	case ZK_SPOOL_DO_FAIL:
		op->r = zk_spool_fail(l->sp, op->ids, op->n, op->reason, op->final,
		                      &op->err);
		break;
	case ZK_SPOOL_DO_CALL:
		op->r = op->call(l->sp, op, &op->err);
		break;
	}
}

/* The jobs from `job` on that can share a transaction, and whether one must be on disk. */
static size_t group_at(struct zk_job *job, bool *ret_durable)
{
	size_t n = 0;

	*ret_durable = false;
	for (; job && op_of(job)->what != ZK_SPOOL_DO_CALL; job = job->next, n++)
		if (op_of(job)->what == ZK_SPOOL_DO_APPEND)
			*ret_durable = true;
	return n;
}

/* 0 when the transaction was committed; the results of the operations are theirs. */
static int perform_group(struct zk_spool_lane *l, struct zk_job *job, size_t n,
                         bool durable)
{
	struct zk_error err = { 0 };
	int r = zk_spool_enter(l->sp, durable, &err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++, job = job->next)
		perform(l, op_of(job));
	return zk_spool_leave(l->sp, 0, &err);
}

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_spool_lane *l = ctx;
	struct zk_job *job = batch;

	while (n) {
		bool durable = false;
		size_t group = group_at(job, &durable);
		bool alone = group < 2 || perform_group(l, job, group, durable) < 0;

		group = ZK_MAX(group, 1);
		for (size_t i = 0; i < group; i++, n--, job = job->next)
			if (alone)
				perform(l, op_of(job));
	}
	note_total(l);
}

/* ---- loop thread ----------------------------------------------------------------------- */

static void on_done(struct zk_job *job)
{
	struct zk_spool_op *op = op_of(job);

	op->done(op);
}

int zk_spool_lane_open(struct zk_loop *loop, const struct zk_spool_lane_conf *conf,
                       struct zk_spool_lane **ret, struct zk_error *err)
{
	struct zk_spool_lane *l = zk_new0(struct zk_spool_lane);
	struct zk_lane_conf lane = {
		.name = "spool",
		.ctx = l,
		.run = run,
		.max_jobs = conf->max_ops ? conf->max_ops : MAX_OPS,
		.max_bytes = conf->max_bytes ? conf->max_bytes : MAX_BYTES,
		.batch_jobs = BATCH_OPS,
		.batch_bytes = BATCH_BYTES,
	};
	int r = zk_spool_open(&conf->spool, &l->sp, err);

	if (r == 0 && conf->own)
		r = zk_spool_own(l->sp, err);
	if (r == 0) {
		note_total(l);
		r = zk_lane_start(loop, &lane, &l->lane, err);
	}
	if (r < 0) {
		zk_spool_close(l->sp);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void zk_spool_lane_close(struct zk_spool_lane *l)
{
	if (!l)
		return;
	zk_lane_stop(l->lane);
	zk_spool_close(l->sp);
	free(l);
}

bool zk_spool_lane_do(struct zk_spool_lane *l, struct zk_spool_op *op)
{
	op->job.done = on_done;
	op->job.bytes = 0;
	op->job.class_ = 0;
	if (op->what != ZK_SPOOL_DO_APPEND) {
		zk_lane_push_always(l->lane, &op->job);
		return true;
	}
	for (size_t i = 0; i < op->n; i++)
		op->job.bytes += op->v[i].body.n + op->v[i].meta.n + op->v[i].key.n;
	return zk_lane_push(l->lane, &op->job);
}

struct zk_spool_total zk_spool_lane_total(const struct zk_spool_lane *l)
{
	return (struct zk_spool_total){
		.records = atomic_load(&l->records),
		.bytes = atomic_load(&l->bytes),
		.oldest_us = atomic_load(&l->oldest_us),
	};
}
