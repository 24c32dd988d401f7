/* Who sends what the spool holds: a table of functions by kind of target, and the walk over the
 * targets that `zk spool flush` makes.
 * Layer: cmd. Loop thread only.
 *
 * A family delivers its records by one row in zk_spool_senders (spool_senders.c):
 *
 *	{ .kind = "triggers", .flush = zk_triggers_spool_flush },
 *
 * The kind is that of the targets it appends under ("triggers:http://localhost:8080"). */
#ifndef ZK_CMD_SPOOL_SENDERS_H
#define ZK_CMD_SPOOL_SENDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "store/spool.h"

struct zk_app;
struct zk_opt;
struct zk_optpool;

/* One target being sent. */
struct zk_spool_job {
	struct zk_app *app;
	struct zk_spool *spool;
	struct zk_spool_target target; /* its lock is held */
	/* A stop was asked for: let what is in flight end, take nothing more, return 0. A
	 * sender that turns the loop sets on_stop to hear of it: `now` = the grace time is over,
	 * cut what is in flight. */
	bool stopping;
	void (*on_stop)(void *ctx, bool now);
	void *stop_ctx;
	/* Counted by the sender, also when it fails in the end. */
	uint64_t acked;    /* delivered and acknowledged (zk_spool_ack) */
	uint64_t rejected; /* refused for a lasting reason (zk_spool_fail, final) */
};

struct zk_spool_sender {
	const char *kind;
	/* Sends the waiting records in order: zk_spool_next from `after` = 0 on, zk_spool_ack for
	 * what arrived, zk_spool_fail for what did not. Retries are its own (--retries). 0 when it
	 * came to the end or was stopped; negative when the rest cannot be sent now, with the
	 * reason. */
	int (*flush)(struct zk_spool_job *job, struct zk_error *err);
};

/* Ends with a row without a kind. */
extern const struct zk_spool_sender zk_spool_senders[];

/* For senders: fills the struct of `rows` (keys below `prefix`) as a command of the family would be
 * given it, origin binding checked. 0, or the error of the configuration. */
int zk_spool_options(struct zk_app *app, const struct zk_opt *rows, const char *prefix,
                     struct zk_optpool *pool, void *opts,
                     struct zk_error *err) ZK_MUST_USE;
/* Whether a credential for the URL `a` may be sent to the URL `b`. */
bool zk_spool_same_origin(const char *a, const char *b);

struct zk_spool_flush {
	struct zk_app *app;
	struct zk_spool *spool;
	const struct zk_spool_sender *senders;
	struct zk_spool_filter filter; /* targets only */
	struct zk_spool_job *job;      /* the one that runs, for the stop; NULL = none */
	bool stopping;
	/* Called after each target that was tried; `err` is NULL when all went well, and
	 * -ZK_E_STORE_LOCKED when another process is at it (which is no failure). May be NULL. */
	void (*on_target)(void *ctx, const struct zk_spool_job *job,
	                  const struct zk_error *err);
	void *ctx;
	/* out */
	uint64_t before; /* records that waited, of the targets that were tried */
	uint64_t acked, rejected;
	unsigned targets, busy, failed;
	struct zk_error worst; /* of the failed ones, by exit status; code 0 = none */
};

/* Sends target after target. A failing one does not keep the others from being tried. 0, or the
 * error of the spool itself. */
int zk_spool_flush_run(struct zk_spool_flush *f, struct zk_error *err) ZK_MUST_USE;
/* A stop: see zk_spool_job. */
void zk_spool_flush_stop(struct zk_spool_flush *f, bool now);

#endif
