/* The spool for code of the loop: calls run in a lane, many of them share one flush of the disk.
 * Layer: store. Loop thread only.
 *
 * Operations take effect in the order they were given. Those that wait at the same time are
 * committed together; when that fails (a full disk) each is tried alone, so that one that is too
 * large does not take the others with it. */
#ifndef ZK_STORE_SPOOL_LANE_H
#define ZK_STORE_SPOOL_LANE_H

#include "rt/lane.h"
#include "store/spool.h"

struct zk_loop;
struct zk_spool_lane;

enum zk_spool_do {
	ZK_SPOOL_DO_APPEND, /* target, v, n */
	ZK_SPOOL_DO_ACK,    /* ids, n */
	ZK_SPOOL_DO_FAIL,   /* ids, n, reason, final */
	ZK_SPOOL_DO_CALL,   /* call: for everything else (lock, next, …) */
};

/* Embedded in the caller's struct; it and what it points to stay as they are until `done`. */
struct zk_spool_op {
	struct zk_job job; /* the lane's */
	enum zk_spool_do what;
	const struct zk_spool_target *target;
	struct zk_spool_put *v;
	const int64_t *ids;
	size_t n;
	const char *reason;
	bool final;
	/* Lane thread, outside of any transaction. */
	int (*call)(struct zk_spool *sp, struct zk_spool_op *op, struct zk_error *err);
	void (*done)(struct zk_spool_op *op); /* loop thread; owns the op from then on */
	int r;                                /* out: 0 or the negative code */
	struct zk_error err;                  /* out */
};

struct zk_spool_lane_conf {
	struct zk_spool_conf spool;
	bool own;                  /* zk_spool_own: records are sent by this process */
	size_t max_ops, max_bytes; /* of appends that wait; 0 = 1,000 and 64 MiB */
};

/* Opens the spool (blocking) and starts its thread. */
int zk_spool_lane_open(struct zk_loop *loop, const struct zk_spool_lane_conf *conf,
                       struct zk_spool_lane **ret, struct zk_error *err) ZK_MUST_USE;
/* Finishes what was given, calls every `done`, closes. Blocks. NULL is fine. */
void zk_spool_lane_close(struct zk_spool_lane *l);
/* False when too many appends wait (pause the source and come again after a `done`); nothing
 * happened then. Other operations are always taken. */
bool zk_spool_lane_do(struct zk_spool_lane *l, struct zk_spool_op *op) ZK_MUST_USE;
/* What the spool held after the latest change by this lane: for metrics. */
struct zk_spool_total zk_spool_lane_total(const struct zk_spool_lane *l);

#endif
