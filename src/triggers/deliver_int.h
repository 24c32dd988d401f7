/* Inside of the delivery stage: organizations, attempts, the claim.
 * Layer: triggers, private to src/triggers/deliver*.c. Loop thread only. */
#ifndef ZK_TRIGGERS_DELIVER_INT_H
#define ZK_TRIGGERS_DELIVER_INT_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "net/http.h"
#include "rt/retry.h"
#include "triggers/deliver.h"

struct zk_counter;
struct zk_histogram;
struct zk_timer;
struct attempt;

/* One organization the stage knows of. */
struct target {
	struct zk_trig_deliver *d;
	struct zk_list active;  /* in d->active while attempts wait */
	struct zk_list waiting; /* attempts, in event order */
	struct zk_trig_org org;
	bool loaded, stale;
	struct zk_trig_find_org *loading;
	char *host; /* "host:port" of the webhook, counted in d->hosts */
	struct zk_breaker breaker;
	unsigned in_flight, n_waiting;
	/* Strict order: the event that failed last and the time of its next attempt; nothing else
	 * of the organization is claimed before. */
	zk_uuid held;
	int64_t held_until_us; /* 0 = none */
	int64_t last_success_us, last_failure_us, last_alert_us;
	char last_error[200];
};

/* One row on its way; known by its event id in d->attempts from the claim until its outcome is
 * committed and no claim that may have seen the old row is under way. */
struct attempt {
	struct zk_list entry; /* in target->waiting, d->flying or d->limbo */
	struct target *t;
	struct zk_trig_due row;
	struct zk_trig_outcome outcome;
	struct zk_http *http;
	char *host; /* counted in d->hosts while flying */
	struct zk_buf body, error, answer;
	int64_t started_us, started_mono_us;
	bool probing;
	bool flying;
};

struct zk_trig_deliver {
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_trig_repo *repo;
	struct zk_trig_deliver_conf conf;
	struct zk_rand rnd;
	struct zk_map targets;  /* organization id → struct target */
	struct zk_map attempts; /* event id → struct attempt */
	struct zk_map hosts;    /* "host:port" → number in flight, as a pointer */
	struct zk_list active;  /* targets with waiting attempts, in turn */
	struct zk_list flying, limbo;
	struct zk_list tests; /* requests of zk_trig_deliver_test and alerts */
	struct zk_timer *timer;
	unsigned in_flight;
	size_t waiting_bytes;
	struct zk_trig_claim *claim; /* under way, or NULL */
	bool need_claim, pump_due, draining, closing;
	uint64_t due;
	int64_t oldest_due_us, next_due_us;
	void (*drained)(void *ctx);
	void *drained_ctx;
	struct zk_counter *delivered, *failed, *retried, *dead, *gone;
	struct zk_histogram *seconds;
	bool freed; /* the deferred pump has to free `d` */
};

/* deliver.c */
void zk_trig_deliver_pump(struct zk_trig_deliver *d);
void zk_trig_deliver_pump_later(struct zk_trig_deliver *d);
struct target *zk_trig_target_of(struct zk_trig_deliver *d, const zk_uuid *org);
void zk_trig_target_drop_waiting(struct target *t);
void zk_trig_attempt_free(struct attempt *a);
/* Counts n more (or fewer) requests in flight to "host:port". */
void zk_trig_host_add(struct zk_trig_deliver *d, const char *host, int n);
void zk_trig_deliver_check_drained(struct zk_trig_deliver *d);

/* deliver_http.c: sends the request of `a`; its end comes to zk_trig_attempt_done. */
int zk_trig_attempt_send(struct attempt *a, struct zk_error *err);
/* The webhook body of an event (§8.1). */
void zk_trig_delivery_body(struct zk_buf *b, const struct zk_trig_due *row, bool legacy);
/* Signs `body` for the organization (both secrets during a grace time) and starts the request. */
struct zk_trig_post {
	const struct zk_trig_org *org;
	const char *url;
	zk_str id, type, body;
	int64_t attempt;
	void *ctx;
};
int zk_trig_post(struct zk_trig_deliver *d, const struct zk_trig_post *p,
                 zk_http_done_fn done, struct zk_http **ret, struct zk_error *err);

/* deliver_outcome.c */
void zk_trig_attempt_done(void *ctx, const struct zk_http_res *res, struct zk_error *err);
/* One signed POST about a dead letter, at most one per organization and hour. */
void zk_trig_deliver_alert(struct attempt *a, const char *reason);
void zk_trig_deliver_tests_free(struct zk_trig_deliver *d);

#endif
