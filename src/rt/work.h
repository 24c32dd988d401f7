/* Bounded concurrent work with order by key and retries: for commands that do something with
 * each record of a stream (run a command, post it somewhere).
 * Layer: rt. Loop thread only.
 *
 * Tasks start in the order they were pushed, at most `jobs` at once. Of the tasks with one key
 * only one is under way, waits for a retry included, so that each key keeps its order. */
#ifndef ZK_RT_WORK_H
#define ZK_RT_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "rt/retry.h"

struct zk_child_result;
struct zk_loop;
struct zk_timer;
struct zk_work;

/* Embedded in the owner's record. The fields are the stage's. */
struct zk_task {
	struct zk_list entry;
	struct zk_work *work;
	void *chain; /* of its key, NULL = no key */
	struct zk_retry retry;
	struct zk_timer *timer; /* while it waits for a retry */
	struct zk_error err;    /* of the last attempt */
	bool running;
};

struct zk_work_conf {
	void *ctx;
	unsigned jobs; /* 0 = 1 */
	size_t high; /* tasks not yet over at which zk_work_push asks for a pause; 0 = 1,000 */
	struct zk_retry_conf retry;
	/* Begins an attempt; zk_work_end follows, now or later. */
	void (*start)(void *ctx, struct zk_task *t);
	/* Stops an attempt at once; no zk_work_end any more. */
	void (*cancel)(void *ctx, struct zk_task *t);
	/* Once per task, last: err NULL = done, else why it was given up. The record is the
	 * owner's again. */
	void (*over)(void *ctx, struct zk_task *t, const struct zk_error *err);
	/* An attempt failed and another one comes; may be NULL. */
	void (*on_retry)(void *ctx, struct zk_task *t, int64_t wait_ms);
	/* After a pause was asked for: the tasks fell to half of `high`; may be NULL. */
	void (*on_room)(void *ctx);
	/* Nothing is left; may be NULL. */
	void (*on_idle)(void *ctx);
};

struct zk_work *zk_work_new(struct zk_loop *loop, const struct zk_work_conf *conf);
/* Cancels what runs and hands every task back through `over` with ZK_E_INTERRUPTED. NULL is
 * fine. */
void zk_work_free(struct zk_work *w);
/* Takes the task; `key` (n == 0: none) is copied. False = pause until on_room. It may start, and
 * be over, before this returns. */
bool zk_work_push(struct zk_work *w, struct zk_task *t, zk_str key);
/* The attempt ended: err NULL = well; else it is repeated when err->retryable and the budget
 * allows it. */
void zk_work_end(struct zk_task *t, const struct zk_error *err);
/* Tasks that are not over. */
size_t zk_work_count(const struct zk_work *w);
/* From now on waits for a retry end at once (draining). */
void zk_work_hurry(struct zk_work *w);

/* How the end of a command counts: NULL for exit 0, else `err` filled: retryable, unless the
 * command cannot be run at all (126, 127). */
const struct zk_error *zk_work_child_error(const struct zk_child_result *res,
                                           struct zk_error *err);

#endif
