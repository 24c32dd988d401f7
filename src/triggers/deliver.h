/* The delivery stage: due rows become signed POST requests, outcomes go back to the store
 * (specs/triggers.md §8, §9, §10).
 * Layer: triggers. Loop thread only. */
#ifndef ZK_TRIGGERS_DELIVER_H
#define ZK_TRIGGERS_DELIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "net/guard.h"
#include "triggers/model.h"
#include "triggers/repo.h"

struct zk_loop;
struct zk_metrics;
struct zk_net;
struct zk_trig_deliver;

#define ZK_TRIG_MAX_STEPS 32

struct zk_trig_deliver_conf {
	bool enabled;
	bool legacy_body;
	unsigned max_in_flight, per_org, per_host;
	int64_t timeout_ms, connect_timeout_ms;
	int64_t steps_ms[ZK_TRIG_MAX_STEPS]; /* waits after attempts 1..n */
	unsigned n_steps;
	bool jitter;
	const char *proxy;     /* NULL = none at all */
	const char *alert_url; /* NULL = none */
	struct zk_guard guard;
	zk_str server_secret;
	const char *user_agent;
};

/* "5s,30s,2m", "seed", "standard" into steps; -ZK_E_DATA otherwise. */
int zk_trig_schedule_parse(zk_str s, struct zk_trig_deliver_conf *conf,
                           struct zk_error *err) ZK_MUST_USE;

/* The delivery stage; begins to claim at once when `conf` enables it. Borrows all but `conf`,
 * which it copies (its texts stay borrowed). Free with zk_trig_deliver_free. */
struct zk_trig_deliver *zk_trig_deliver_new(struct zk_loop *l, struct zk_net *net,
                                            struct zk_metrics *m,
                                            struct zk_trig_repo *repo,
                                            const struct zk_trig_deliver_conf *conf);
/* Something of `org` may be due now (fresh events, replay, configuration changed). */
void zk_trig_deliver_wake(struct zk_trig_deliver *d, const zk_uuid *org);
/* Drops the cached organization and closes its circuit when `reset`. */
void zk_trig_deliver_org_changed(struct zk_trig_deliver *d, const zk_uuid *org,
                                 bool reset);
/* Any of them may have changed: each is read again before its next attempt. */
void zk_trig_deliver_forget_orgs(struct zk_trig_deliver *d);
/* The event was acknowledged: an attempt that waits is dropped, one that others wait for in
 * strict order holds them no longer. */
void zk_trig_deliver_acked(struct zk_trig_deliver *d, const zk_uuid *org,
                           const zk_uuid *event);
/* New limits, schedule, guard (HUP). */
void zk_trig_deliver_reload(struct zk_trig_deliver *d,
                            const struct zk_trig_deliver_conf *conf);
/* No new attempts; fn(ctx) when none is in flight. */
void zk_trig_deliver_drain(struct zk_trig_deliver *d, void (*fn)(void *ctx), void *ctx);
/* Cuts what is in flight (counts as not made); nothing is started or called back any more. Comes
 * before the store is closed. */
void zk_trig_deliver_stop(struct zk_trig_deliver *d);
/* Frees; after the store was closed, because its operations end in this stage. NULL is fine. */
void zk_trig_deliver_free(struct zk_trig_deliver *d);

struct zk_trig_circuit {
	const char *state; /* closed open half_open */
	unsigned failures;
	int64_t last_success_us, last_failure_us;
	char last_error[200];
};
void zk_trig_deliver_circuit(const struct zk_trig_deliver *d, const zk_uuid *org,
                             struct zk_trig_circuit *ret);

struct zk_trig_deliver_stats {
	unsigned in_flight;
	uint64_t due;
	int64_t oldest_due_us;
	unsigned circuits_open;
};
void zk_trig_deliver_stats(const struct zk_trig_deliver *d,
                           struct zk_trig_deliver_stats *ret);

/* One synthetic event ("zk.test") to the organization's URL now, on the same path as real ones
 * (POST /api/webhook/test). */
struct zk_trig_test_result {
	bool delivered;
	int response_status;
	double duration_ms;
	char error[200];
	char address[64];
};
int zk_trig_deliver_test(struct zk_trig_deliver *d, const struct zk_trig_org *org,
                         void (*done)(void *ctx, const struct zk_trig_test_result *res),
                         void *ctx, struct zk_error *err) ZK_MUST_USE;

#endif
