/* The delivery stage: which attempts start when (specs/triggers.md §8.4).
 * Layer: triggers. Rows are claimed from the store, wait per organization, and start in turn. */
#include "triggers/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/url.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "triggers/deliver_int.h"
#define ZK_LOGGER "delivery"
#include "base/log.h"

#include "base/ban.h"

#define CLAIM_PER_ORG     64
#define CLAIM_ROWS        512
#define MAX_WAITING_BYTES (32 * 1024 * 1024)
#define MAX_SKIP          1024
#define BREAKER_FAILURES  10
#define BREAKER_OPEN_MS   30000
#define BREAKER_MAX_MS    600000
#define MAX_TARGETS       20000
#define SWEEP_MS          5000
#define LEASE_SPARE_MS    2000 /* for writing the outcome */

/* ---- targets and attempts ------------------------------------------------------------- */

static zk_str uuid_key(const zk_uuid *id)
{
	return zk_str_n((const char *)id->b, sizeof(id->b));
}

struct target *zk_trig_target_of(struct zk_trig_deliver *d, const zk_uuid *org)
{
	struct target *t = zk_map_get(&d->targets, uuid_key(org));

	if (t)
		return t;
	t = zk_new0(struct target);
	t->d = d;
	t->org.id = *org;
	zk_list_init(&t->active);
	zk_list_init(&t->waiting);
	zk_breaker_init(&t->breaker, BREAKER_FAILURES, BREAKER_OPEN_MS, BREAKER_MAX_MS);
	zk_map_set(&d->targets, uuid_key(org), t);
	return t;
}

static void target_free(struct target *t)
{
	zk_list_remove(&t->active);
	zk_trig_org_done(&t->org);
	free(t->host);
	free(t);
}

/* A row that was claimed and is not attempted: where claims lease, another server may have it. */
static void release(struct zk_trig_deliver *d, const zk_uuid *id)
{
	if (d->repo->ops->release && !d->closing)
		d->repo->ops->release(d->repo, id, 1);
}

void zk_trig_attempt_free(struct attempt *a)
{
	struct zk_trig_deliver *d = a->t->d;

	if (!a->started_us)
		release(d, &a->row.id);
	zk_list_remove(&a->entry);
	if (zk_map_get(&d->attempts, uuid_key(&a->row.id)) == a)
		(void)zk_map_del(&d->attempts, uuid_key(&a->row.id));
	free(a->row.type);
	free(a->row.payload);
	free(a->host);
	zk_buf_done(&a->body);
	zk_buf_done(&a->error);
	zk_buf_done(&a->answer);
	free(a);
}

static void unwait(struct attempt *a)
{
	struct target *t = a->t;

	zk_list_remove(&a->entry);
	t->n_waiting--;
	t->d->waiting_bytes -= a->row.payload_n;
	if (t->n_waiting == 0)
		zk_list_remove(&t->active);
}

void zk_trig_target_drop_waiting(struct target *t)
{
	ZK_LIST_EACH (e, &t->waiting) {
		struct attempt *a = ZK_LIST_ENTRY(e, struct attempt, entry);

		unwait(a);
		zk_trig_attempt_free(a);
	}
}

void zk_trig_deliver_acked(struct zk_trig_deliver *d, const zk_uuid *org,
                           const zk_uuid *event)
{
	struct attempt *a = zk_map_get(&d->attempts, uuid_key(event));
	struct target *t = zk_map_get(&d->targets, uuid_key(org));

	if (a && !a->flying && !a->outcome.op.done) {
		unwait(a);
		zk_trig_attempt_free(a);
	}
	if (t && t->held_until_us && memcmp(&t->held, event, sizeof(*event)) == 0) {
		t->held_until_us = 0;
		d->need_claim = true;
		zk_trig_deliver_pump_later(d);
	}
}

/* Forgets idle organizations when there are very many. */
static void sweep_targets(struct zk_trig_deliver *d)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	if (d->targets.n <= MAX_TARGETS)
		return;
	while (zk_map_next(&d->targets, &pos, &key, &value)) {
		struct target *t = value;

		if (t->in_flight || t->n_waiting || t->loading || t->held_until_us ||
		    t->breaker.failures)
			continue;
		zk_uuid id = t->org.id;

		(void)zk_map_del(&d->targets, uuid_key(&id));
		target_free(t);
	}
}

/* ---- the organization behind a target -------------------------------------------------- */

static unsigned host_count(const struct zk_trig_deliver *d, const char *host)
{
	return (unsigned)(uintptr_t)zk_map_get(&d->hosts, zk_str_of(host));
}

void zk_trig_host_add(struct zk_trig_deliver *d, const char *host, int n)
{
	uintptr_t now = (uintptr_t)zk_map_get(&d->hosts, zk_str_of(host)) +
	                (uintptr_t)(intptr_t)n;

	if (now)
		(void)zk_map_set(&d->hosts, zk_str_of(host), (void *)now);
	else
		(void)zk_map_del(&d->hosts, zk_str_of(host));
}

static bool is_open(const struct target *t)
{
	return t->org.webhook_url && t->org.webhook_enabled &&
	       !t->org.webhook_disabled_reason;
}

static void set_host(struct target *t)
{
	struct zk_error err = { 0 };
	struct zk_url url = { 0 };

	free(ZK_TAKE(t->host));
	if (!t->org.webhook_url)
		return;
	if (zk_url_parse(zk_str_of(t->org.webhook_url), &url, &err) < 0) {
		t->host = zk_strdup("?");
		return;
	}
	t->host = zk_asprintf("%s:%d", url.host, url.port);
	zk_url_done(&url);
}

static void on_org(struct zk_trig_op *op)
{
	struct zk_trig_find_org *f = ZK_CONTAINER_OF(op, struct zk_trig_find_org, op);
	struct zk_trig_deliver *d = op->ctx;

	if (d->closing) {
		zk_trig_org_done(&f->org);
		free(f);
		return;
	}
	struct target *t = zk_map_get(&d->targets, uuid_key(&f->id));

	ZK_ASSERT(t && t->loading == f);
	t->loading = NULL;
	if (op->code < 0) {
		/* The rows stay due in the store; the sweep comes back to them. */
		zk_trig_target_drop_waiting(t);
	} else {
		zk_trig_org_done(&t->org);
		t->org = f->org;
		t->loaded = !t->stale;
		t->stale = false;
		set_host(t);
		if (!is_open(t))
			zk_trig_target_drop_waiting(t);
	}
	free(f);
	zk_trig_deliver_pump_later(d);
}

static void load_org(struct target *t)
{
	struct zk_trig_deliver *d = t->d;

	if (t->loading)
		return;
	struct zk_trig_find_org *f = zk_new0(struct zk_trig_find_org);

	f->op.done = on_org;
	f->op.ctx = d;
	f->id = t->org.id;
	t->loading = f;
	t->stale = false;
	d->repo->ops->find_org(d->repo, f);
}

void zk_trig_deliver_org_changed(struct zk_trig_deliver *d, const zk_uuid *org,
                                 bool reset)
{
	struct target *t = zk_map_get(&d->targets, uuid_key(org));

	if (!t)
		return;
	t->loaded = false;
	t->stale = t->loading != NULL;
	zk_trig_target_drop_waiting(t);
	if (reset) {
		zk_breaker_init(&t->breaker, BREAKER_FAILURES, BREAKER_OPEN_MS,
		                BREAKER_MAX_MS);
		t->last_error[0] = 0;
		t->held_until_us = 0;
	}
	d->need_claim = true;
	zk_trig_deliver_pump_later(d);
}

void zk_trig_deliver_forget_orgs(struct zk_trig_deliver *d)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	while (zk_map_next(&d->targets, &pos, &key, &value)) {
		struct target *t = value;

		t->loaded = false;
		t->stale = t->loading != NULL;
		if (t->n_waiting)
			load_org(t);
	}
}

/* ---- claiming ------------------------------------------------------------------------- */

/* An organization whose rows could not start now. */
static bool is_blocked(struct target *t, int64_t now_ms)
{
	struct zk_trig_deliver *d = t->d;

	if (t->n_waiting || t->loading || t->in_flight >= d->conf.per_org)
		return true;
	if (t->loaded && t->org.webhook_ordered && t->in_flight)
		return true;
	if (t->held_until_us > zk_wall_us())
		return true;
	return zk_breaker_next_ms(&t->breaker, now_ms) > now_ms ||
	       (t->breaker.state != ZK_BREAKER_CLOSED && t->in_flight);
}

static void fill_skip(struct zk_trig_deliver *d, struct zk_trig_claim *c)
{
	zk_uuid *skip = zk_alloc_array(MAX_SKIP, sizeof(*skip));
	int64_t now_ms = zk_mono_ms();
	size_t pos = 0;
	zk_str key;
	void *value;

	while (c->n_skip < MAX_SKIP && zk_map_next(&d->targets, &pos, &key, &value)) {
		struct target *t = value;

		if (is_blocked(t, now_ms))
			skip[c->n_skip++] = t->org.id;
	}
	c->skip = skip;
}

static void add_row(struct zk_trig_deliver *d, struct zk_trig_due *row)
{
	struct target *t = zk_trig_target_of(d, &row->org);

	if (zk_map_get(&d->attempts, uuid_key(&row->id)))
		return;
	if (t->held_until_us > zk_wall_us() ||
	    d->waiting_bytes + row->payload_n > MAX_WAITING_BYTES) {
		release(d, &row->id);
		return;
	}
	struct attempt *a = zk_new0(struct attempt);

	a->t = t;
	a->row = *row;
	row->type = row->payload = NULL; /* moved */
	zk_list_push(&t->waiting, &a->entry);
	zk_map_set(&d->attempts, uuid_key(&a->row.id), a);
	d->waiting_bytes += a->row.payload_n;
	if (t->n_waiting++ == 0)
		zk_list_push(&d->active, &t->active);
	if (!t->loaded)
		load_org(t);
}

/* Attempts that ended while a claim was under way: their old rows can come no more. */
static void clear_limbo(struct zk_trig_deliver *d)
{
	ZK_LIST_EACH (e, &d->limbo)
		zk_trig_attempt_free(ZK_LIST_ENTRY(e, struct attempt, entry));
}

static void on_claim(struct zk_trig_op *op)
{
	struct zk_trig_claim *c = ZK_CONTAINER_OF(op, struct zk_trig_claim, op);
	struct zk_trig_deliver *d = op->ctx;
	size_t before;

	if (d->closing) {
		zk_trig_claim_done(c);
		free((void *)c->skip);
		free(c);
		return;
	}
	d->claim = NULL;
	before = d->attempts.n;
	if (op->code == 0) {
		for (size_t i = 0; i < c->n; i++)
			add_row(d, &c->rows[i]);
		d->due = c->due;
		d->oldest_due_us = c->oldest_due_us;
		d->next_due_us = c->next_due_us;
		if (c->more && d->attempts.n > before)
			d->need_claim = true;
	}
	clear_limbo(d);
	zk_trig_claim_done(c);
	free((void *)c->skip);
	free(c);
	zk_trig_deliver_pump_later(d);
}

static void start_claim(struct zk_trig_deliver *d)
{
	struct zk_trig_claim *c = zk_new0(struct zk_trig_claim);

	d->need_claim = false;
	d->claim = c;
	c->op.done = on_claim;
	c->op.ctx = d;
	c->now_us = zk_wall_us();
	c->per_org = CLAIM_PER_ORG;
	c->max_rows = CLAIM_ROWS;
	fill_skip(d, c);
	d->repo->ops->claim(d->repo, c);
}

/* ---- starting ------------------------------------------------------------------------- */

/* May the first waiting attempt of `t` start? */
static bool may_start(struct target *t, int64_t now_ms)
{
	struct zk_trig_deliver *d = t->d;

	if (!t->loaded || t->in_flight >= d->conf.per_org ||
	    host_count(d, t->host) >= d->conf.per_host)
		return false;
	if (t->org.webhook_ordered && t->in_flight)
		return false;
	return zk_breaker_allow(&t->breaker, now_ms);
}

static void start_one(struct target *t)
{
	struct zk_trig_deliver *d = t->d;
	struct attempt *a = ZK_LIST_ENTRY(t->waiting.next, struct attempt, entry);
	struct zk_error err = { 0 };

	unwait(a);
	zk_list_push(&d->flying, &a->entry);
	a->flying = true;
	a->probing = t->breaker.state == ZK_BREAKER_HALF_OPEN;
	a->started_us = zk_wall_us();
	a->started_mono_us = zk_mono_us();
	t->in_flight++;
	d->in_flight++;
	a->host = zk_strdup(t->host);
	zk_trig_host_add(d, a->host, 1);
	if (zk_trig_attempt_send(a, &err) < 0) {
		struct zk_http_res res = { 0 };

		zk_trig_attempt_done(a, &res, &err);
	}
}

/* Whether an attempt that starts now would end within its lease. */
static bool is_leased(const struct attempt *a)
{
	int64_t until = a->row.lease_until_mono_us;

	return !until ||
	       zk_mono_us() + (a->t->d->conf.timeout_ms + LEASE_SPARE_MS) * 1000 < until;
}

/* Rows that waited so long that another server may take them: they are claimed again. */
static void drop_late(struct target *t)
{
	while (t->n_waiting) {
		struct attempt *a = ZK_LIST_ENTRY(t->waiting.next, struct attempt, entry);

		if (is_leased(a))
			return;
		unwait(a);
		ZK_ASSERT(t->waiting.next != &a->entry);
		zk_trig_attempt_free(a);
		t->d->need_claim = true;
	}
}

/* One attempt per organization and round, so that none waits behind another's crowd. */
static void start_round_robin(struct zk_trig_deliver *d)
{
	int64_t now_ms = zk_mono_ms();
	bool started = true;

	while (started && d->in_flight < d->conf.max_in_flight) {
		started = false;
		ZK_LIST_EACH (e, &d->active) {
			struct target *t = ZK_LIST_ENTRY(e, struct target, active);

			if (d->in_flight >= d->conf.max_in_flight)
				break;
			drop_late(t);
			if (!t->n_waiting || !may_start(t, now_ms))
				continue;
			start_one(t);
			started = true;
		}
	}
	/* The next round begins with another organization. */
	struct zk_list *first = zk_list_pop(&d->active);

	if (first)
		zk_list_push(&d->active, first);
}

/* When the stage has to look again although nothing tells it to. */
static void arm_timer(struct zk_trig_deliver *d)
{
	int64_t wait_ms = SWEEP_MS, now_ms = zk_mono_ms();
	size_t pos = 0;
	zk_str key;
	void *value;

	if (d->next_due_us) {
		int64_t ms = (d->next_due_us - zk_wall_us() + 999) / 1000;

		wait_ms = ZK_MIN(wait_ms, ZK_MAX(ms, 1));
	}
	while (zk_map_next(&d->targets, &pos, &key, &value)) {
		const struct target *t = value;

		if (t->held_until_us) {
			int64_t ms = (t->held_until_us - zk_wall_us() + 999) / 1000;

			wait_ms = ZK_MIN(wait_ms, ZK_MAX(ms, 1));
		}
		if (t->breaker.state == ZK_BREAKER_CLOSED)
			continue;
		int64_t ms = zk_breaker_next_ms(&t->breaker, now_ms) - now_ms;

		if (ms > 0)
			wait_ms = ZK_MIN(wait_ms, ms);
	}
	zk_timer_start(d->timer, wait_ms, 0);
}

static void on_timer(void *ctx)
{
	struct zk_trig_deliver *d = ctx;

	d->need_claim = true;
	sweep_targets(d);
	zk_trig_deliver_pump(d);
}

void zk_trig_deliver_pump(struct zk_trig_deliver *d)
{
	if (!d->conf.enabled || d->draining || d->closing)
		return;
	start_round_robin(d);
	if (d->need_claim && !d->claim && d->in_flight < d->conf.max_in_flight)
		start_claim(d);
	if (!d->claim)
		arm_timer(d);
}

static void deferred_pump(void *ctx)
{
	struct zk_trig_deliver *d = ctx;

	d->pump_due = false;
	if (d->freed) {
		free(d);
		return;
	}
	zk_trig_deliver_pump(d);
}

void zk_trig_deliver_pump_later(struct zk_trig_deliver *d)
{
	if (d->pump_due)
		return;
	d->pump_due = true;
	zk_loop_defer(d->loop, deferred_pump, d);
}

void zk_trig_deliver_wake(struct zk_trig_deliver *d, const zk_uuid *org)
{
	(void)org; /* the store knows which organizations have due rows */
	d->need_claim = true;
	if (d->conf.enabled && !d->draining)
		zk_trig_deliver_pump_later(d);
}

/* ---- life ----------------------------------------------------------------------------- */

static void make_metrics(struct zk_trig_deliver *d, struct zk_metrics *m)
{
	static const char *const names[] = { "delivered", "failed", "retried", "gone" };
	struct zk_counter **const counters[] = { &d->delivered, &d->failed, &d->retried,
		                                 &d->gone };

	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		const char *labels[] = { "status", names[i], NULL };

		*counters[i] = zk_metrics_counter(m, "webhook_deliveries_total",
		                                  "Finished delivery attempts", labels);
	}
	d->dead = zk_metrics_counter(m, "zk_triggers_dead_letter_total",
	                             "Events whose attempts are exhausted", NULL);
	d->seconds = zk_metrics_histogram(
	        m, "zk_triggers_delivery_seconds", "Duration of a delivery attempt",
	        zk_buckets_seconds, ZK_ARRAY_LEN(zk_buckets_seconds), NULL);
}

struct zk_trig_deliver *zk_trig_deliver_new(struct zk_loop *l, struct zk_net *net,
                                            struct zk_metrics *m,
                                            struct zk_trig_repo *repo,
                                            const struct zk_trig_deliver_conf *conf)
{
	struct zk_trig_deliver *d = zk_new0(struct zk_trig_deliver);
	uint64_t seed;

	d->loop = l;
	d->net = net;
	d->repo = repo;
	d->conf = *conf;
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&d->rnd, seed);
	zk_map_init(&d->targets);
	zk_map_init(&d->attempts);
	zk_map_init(&d->hosts);
	zk_list_init(&d->active);
	zk_list_init(&d->flying);
	zk_list_init(&d->limbo);
	zk_list_init(&d->tests);
	make_metrics(d, m);
	d->timer = zk_timer_new(l, on_timer, d);
	zk_timer_weak(d->timer, true);
	d->need_claim = true;
	if (conf->enabled)
		zk_trig_deliver_pump_later(d);
	return d;
}

void zk_trig_deliver_reload(struct zk_trig_deliver *d,
                            const struct zk_trig_deliver_conf *conf)
{
	bool enabled = d->conf.enabled;

	d->conf = *conf;
	d->conf.enabled = enabled;
	zk_trig_deliver_pump_later(d);
}

void zk_trig_deliver_check_drained(struct zk_trig_deliver *d)
{
	if (!d->draining || d->in_flight || !d->drained)
		return;
	void (*fn)(void *) = d->drained;

	d->drained = NULL;
	fn(d->drained_ctx);
}

static void deferred_drained(void *ctx)
{
	zk_trig_deliver_check_drained(ctx);
}

void zk_trig_deliver_drain(struct zk_trig_deliver *d, void (*fn)(void *ctx), void *ctx)
{
	d->draining = true;
	d->drained = fn;
	d->drained_ctx = ctx;
	zk_timer_stop(d->timer);
	if (!d->in_flight)
		zk_loop_defer(d->loop, deferred_drained, d);
}

void zk_trig_deliver_stop(struct zk_trig_deliver *d)
{
	d->closing = true;
	d->drained = NULL;
	zk_timer_stop(d->timer);
	zk_trig_deliver_tests_free(d);
	ZK_LIST_EACH (e, &d->flying) {
		struct attempt *a = ZK_LIST_ENTRY(e, struct attempt, entry);

		if (a->http)
			zk_http_cancel(ZK_TAKE(a->http));
	}
}

void zk_trig_deliver_free(struct zk_trig_deliver *d)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	if (!d)
		return;
	if (!d->closing)
		zk_trig_deliver_stop(d);
	zk_timer_free(d->timer);
	while (zk_map_next(&d->attempts, &pos, &key, &value))
		zk_trig_attempt_free(value);
	clear_limbo(d);
	pos = 0;
	while (zk_map_next(&d->targets, &pos, &key, &value))
		target_free(value);
	zk_map_done(&d->attempts);
	zk_map_done(&d->targets);
	zk_map_done(&d->hosts);
	if (d->pump_due)
		d->freed = true;
	else
		free(d);
}

void zk_trig_deliver_circuit(const struct zk_trig_deliver *d, const zk_uuid *org,
                             struct zk_trig_circuit *ret)
{
	static const char *const names[] = { "closed", "open", "half_open" };
	const struct target *t = zk_map_get(&d->targets, uuid_key(org));

	*ret = (struct zk_trig_circuit){ .state = names[0] };
	if (!t)
		return;
	bool open = t->breaker.state == ZK_BREAKER_OPEN &&
	            zk_breaker_next_ms(&t->breaker, zk_mono_ms()) > zk_mono_ms();

	ret->state = t->breaker.state == ZK_BREAKER_CLOSED ? names[0]
	             : open                                ? names[1]
	                                                   : names[2];
	ret->failures = t->breaker.failures;
	ret->last_success_us = t->last_success_us;
	ret->last_failure_us = t->last_failure_us;
	(void)snprintf(ret->last_error, sizeof(ret->last_error), "%s", t->last_error);
}

void zk_trig_deliver_stats(const struct zk_trig_deliver *d,
                           struct zk_trig_deliver_stats *ret)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	*ret = (struct zk_trig_deliver_stats){ .in_flight = d->in_flight,
		                               .due = d->due,
		                               .oldest_due_us = d->oldest_due_us };
	while (zk_map_next(&d->targets, &pos, &key, &value))
		ret->circuits_open +=
		        ((struct target *)value)->breaker.state == ZK_BREAKER_OPEN;
}
