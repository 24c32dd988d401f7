/* Rate limits shared through Redis.
 * Layer: triggers. */
#include "triggers/limiter.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "store/redis.h"
#define ZK_LOGGER "limit"
#include "base/log.h"

#include "base/ban.h"

#define WINDOW_MS   60000
#define ANSWER_MS   50
#define PAUSE_MS    1000  /* after a late answer this server decides alone */
#define WARN_MS     60000 /* one warning a minute */
#define SWEEP_MS    30000
#define MAX_ENTRIES 100000
#define KEY_PREFIX  "zk:rl:"

/* KEYS[1] the window; ARGV: events wanted, events needed at least, limit, window in ms. Gives what
 * it can of the first, nothing when that is less than the second: {granted, count, ms left}. */
static const zk_str script =
        ZK_STR_INIT("local c=tonumber(redis.call('GET',KEYS[1]) or '0')"
                    " local left=redis.call('PTTL',KEYS[1])"
                    " if left<0 then c=0 left=tonumber(ARGV[4]) end"
                    " local g=math.min(tonumber(ARGV[1]),tonumber(ARGV[3])-c)"
                    " if g<tonumber(ARGV[2]) then return {0,c,left} end"
                    " redis.call('SET',KEYS[1],string.format('%.0f',c+g),'PX',left)"
                    " return {g,c+g,left}");

/* A request that waits for a share. */
struct waiter {
	struct zk_list node;
	uint64_t n;
	zk_trig_limit_fn done;
	void *ctx;
};

/* What is known of the window of one organization. */
struct entry {
	struct zk_trig_limiter *l;
	zk_uuid org;
	uint64_t limit;    /* as of the last request */
	uint64_t reserved; /* of our share, not used yet */
	uint64_t left;  /* of the whole window, not given to anybody when we asked last */
	int64_t end_ms; /* of the window; monotonic */
	bool asking;
	struct zk_list waiting;
};

struct zk_trig_limiter {
	struct zk_loop *loop;
	struct zk_trig_limit *local;
	struct zk_redis *redis; /* NULL = alone */
	struct zk_map entries;  /* by organization */
	struct zk_gauge *up;
	struct zk_timer *sweep;
	int64_t pause_until_ms, warned_ms;
	bool closing;
};

/* ---- alone -------------------------------------------------------------------------------- */

static struct zk_trig_verdict take_local(struct zk_trig_limiter *l, const zk_uuid *org,
                                         uint64_t limit, uint64_t n)
{
	return zk_trig_limit_take(l->local, org->b, limit, n, zk_mono_ms());
}

static void warn(struct zk_trig_limiter *l, const struct zk_error *err)
{
	int64_t now = zk_mono_ms();

	if (l->warned_ms && now - l->warned_ms < WARN_MS)
		return;
	l->warned_ms = now;
	zk_warn("Redis is away, each server enforces the limits on its own until it is "
	        "back",
	        "event=redis.down error=%s", err->msg);
}

static void set_up(struct zk_trig_limiter *l, bool up)
{
	if (l->up)
		zk_gauge_set(l->up, up);
}

static void on_state(void *ctx, bool up, const struct zk_error *err)
{
	struct zk_trig_limiter *l = ctx;

	if (l->closing)
		return;
	set_up(l, up);
	if (!up) {
		warn(l, err);
		return;
	}
	if (l->warned_ms)
		zk_notice("Redis is back, limits are shared again");
	l->warned_ms = 0;
	l->pause_until_ms = 0;
}

/* ---- shares ------------------------------------------------------------------------------- */

static zk_str key_of(const zk_uuid *id)
{
	return zk_str_n((const char *)id->b, sizeof(id->b));
}

static bool is_open(const struct entry *e, int64_t now)
{
	return now < e->end_ms;
}

/* The verdict when our share, or the knowledge that nothing is left, decides. False: Redis has to
 * be asked. */
static bool decide(struct entry *e, uint64_t n, struct zk_trig_verdict *v)
{
	int64_t now = zk_mono_ms();

	if (!is_open(e, now)) {
		e->reserved = 0;
		return false;
	}
	if (n > e->reserved && n - e->reserved <= e->left)
		return false;
	*v = (struct zk_trig_verdict){
		.ok = n <= e->reserved,
		.limit = e->limit,
		.reset_ms = e->end_ms - now,
	};
	if (v->ok)
		e->reserved -= n;
	v->remaining = e->reserved + e->left;
	return true;
}

/* Tells a waiter that has left its list. */
static void tell(struct waiter *w, const struct zk_trig_verdict *v)
{
	w->done(w->ctx, v);
	free(w);
}

static struct waiter *next_waiter(struct entry *e)
{
	struct zk_list *node = zk_list_pop(&e->waiting);

	return node ? ZK_LIST_ENTRY(node, struct waiter, node) : NULL;
}

static bool ask(struct entry *e);

/* Those who wait, in their order, as far as the share goes; then for more. */
static void serve_all(struct entry *e, bool alone)
{
	struct zk_trig_verdict v;
	struct waiter *w;

	while ((w = next_waiter(e)) != NULL) {
		if (!alone && !decide(e, w->n, &v)) {
			zk_list_push_front(&e->waiting, &w->node);
			if (ask(e))
				return;
			alone = true;
			continue;
		}
		if (alone)
			v = take_local(e->l, &e->org, e->limit, w->n);
		tell(w, &v);
	}
}

static int64_t number(const struct zk_redis_reply *reply, size_t i)
{
	return reply->items[i]->type == ZK_REDIS_INTEGER ? reply->items[i]->integer : -1;
}

static void on_answer(void *ctx, const struct zk_redis_reply *reply,
                      const struct zk_error *err)
{
	struct entry *e = ctx;
	struct zk_trig_limiter *l = e->l;
	struct zk_error bad = { 0 };
	int64_t granted, count, left_ms;

	e->asking = false;
	if (l->closing)
		return;
	if (!err && (reply->type != ZK_REDIS_ARRAY || reply->n != 3)) {
		(void)zk_fail(&bad, ZK_E_PROTOCOL, "Redis refuses the script: %.*s",
		              (int)ZK_MIN(reply->str.n, (size_t)200),
		              reply->str.p ? reply->str.p : "");
		err = &bad;
	}
	if (err) {
		warn(l, err);
		set_up(l, false);
		l->pause_until_ms = zk_mono_ms() + PAUSE_MS;
		serve_all(e, /* alone */ true);
		return;
	}
	set_up(l, true);
	granted = number(reply, 0);
	count = number(reply, 1);
	left_ms = number(reply, 2);
	if (!is_open(e, zk_mono_ms()))
		e->reserved = 0;
	e->reserved += (uint64_t)ZK_MAX(granted, (int64_t)0);
	e->left =
	        count >= 0 && (uint64_t)count < e->limit ? e->limit - (uint64_t)count : 0;
	e->end_ms =
	        zk_mono_ms() + ZK_MIN(ZK_MAX(left_ms, (int64_t)1), (int64_t)WINDOW_MS);
	/* Less than was needed was left: that decides about the first in line. */
	struct waiter *w = granted == 0 ? next_waiter(e) : NULL;

	if (w) {
		struct zk_trig_verdict v = { .limit = e->limit,
			                     .remaining = e->reserved + e->left,
			                     .reset_ms = e->end_ms - zk_mono_ms() };

		tell(w, &v);
	}
	serve_all(e, false);
}

/* Asks for what those who wait need, and a share on top. False when Redis is gone. */
static bool ask(struct entry *e)
{
	struct zk_trig_limiter *l = e->l;
	struct waiter *w = ZK_LIST_ENTRY(e->waiting.next, struct waiter, node);
	uint64_t share = ZK_MAX(e->limit / 100, (uint64_t)1), sum = 0;
	uint64_t have = is_open(e, zk_mono_ms()) ? e->reserved : 0;
	uint64_t need = w->n > have ? w->n - have : 1;
	char key[sizeof(KEY_PREFIX) + ZK_UUID_TEXT], numbers[4][20];
	struct zk_error err = { 0 };

	ZK_LIST_EACH (it, &e->waiting)
		sum += ZK_LIST_ENTRY(it, struct waiter, node)->n;

	memcpy(key, KEY_PREFIX, sizeof(KEY_PREFIX) - 1);
	zk_uuid_format(&e->org, key + sizeof(KEY_PREFIX) - 1);
	uint64_t want = ZK_MAX(share, sum > have ? sum - have : 0);
	zk_str args[] = {
		ZK_STR("EVAL"),
		script,
		ZK_STR("1"),
		zk_str_n(key, sizeof(KEY_PREFIX) - 1 + ZK_UUID_TEXT),
		zk_str_n(numbers[0], zk_format_u64(ZK_MAX(need, want), numbers[0])),
		zk_str_n(numbers[1], zk_format_u64(need, numbers[1])),
		zk_str_n(numbers[2], zk_format_u64(e->limit, numbers[2])),
		zk_str_n(numbers[3], zk_format_u64(WINDOW_MS, numbers[3])),
	};

	e->asking = zk_redis_send(l->redis, args, ZK_ARRAY_LEN(args), ANSWER_MS,
	                          on_answer, e, &err) == 0;
	return e->asking;
}

/* ---- entries ------------------------------------------------------------------------------ */

static struct entry *entry_of(struct zk_trig_limiter *l, const zk_uuid *org)
{
	struct entry *e = zk_map_get(&l->entries, key_of(org));

	if (e || l->entries.n >= MAX_ENTRIES)
		return e;
	e = zk_new0(struct entry);
	e->l = l;
	e->org = *org;
	zk_list_init(&e->waiting);
	(void)zk_map_set(&l->entries, key_of(org), e);
	return e;
}

static void sweep(void *ctx)
{
	struct zk_trig_limiter *l = ctx;
	int64_t now = zk_mono_ms();
	size_t pos = 0;
	zk_str key;
	void *value;

	while (zk_map_next(&l->entries, &pos, &key, &value)) {
		struct entry *e = value;

		if (is_open(e, now) || e->asking || !zk_list_is_empty(&e->waiting))
			continue;
		(void)zk_map_del(&l->entries, key_of(&e->org));
		free(e);
	}
}

/* ---- interface ---------------------------------------------------------------------------- */

/* The entry through which Redis decides; NULL = this server decides alone. */
static struct entry *shared(struct zk_trig_limiter *l, const zk_uuid *org, uint64_t limit)
{
	struct entry *e;

	if (!limit || !l->redis || !zk_redis_is_up(l->redis) ||
	    zk_mono_ms() < l->pause_until_ms)
		return NULL;
	e = entry_of(l, org);
	if (e && e->limit != limit) {
		/* Another tier: what is left has to be asked. */
		e->left = limit;
		e->limit = limit;
	}
	return e;
}

bool zk_trig_limiter_take(struct zk_trig_limiter *l, const struct zk_trig_want *want,
                          struct zk_trig_verdict *ret, zk_trig_limit_fn done, void *ctx)
{
	struct entry *e = shared(l, want->org, want->limit);
	struct waiter *w;

	if (e && zk_list_is_empty(&e->waiting) && decide(e, want->n, ret))
		return true;
	if (e) {
		w = zk_new0(struct waiter);
		w->n = want->n;
		w->done = done;
		w->ctx = ctx;
		zk_list_push(&e->waiting, &w->node);
		if (e->asking || ask(e))
			return false;
		zk_list_remove(&w->node);
		free(w);
	}
	*ret = take_local(l, want->org, want->limit, want->n);
	return true;
}

void zk_trig_limiter_set_sliding(struct zk_trig_limiter *l, bool sliding)
{
	zk_trig_limit_set_sliding(l->local, sliding);
}

static int open_redis(struct zk_trig_limiter *l, struct zk_metrics *m,
                      const struct zk_redis_url *url, struct zk_error *err)
{
	struct zk_redis_conf conf = {
		.url = url,
		.name = "zk-triggers",
		.retry_cap_ms = 2000,
		.on_state = on_state,
		.ctx = l,
	};

	if (zk_redis_new(l->loop, &conf, &l->redis, err) < 0)
		return -(int)err->code;
	if (m)
		l->up = zk_metrics_gauge(m, "zk_triggers_redis_up",
		                         "Whether rate limits are shared through Redis",
		                         NULL);
	l->sweep = zk_timer_new(l->loop, sweep, l);
	zk_timer_weak(l->sweep, true);
	zk_timer_start(l->sweep, SWEEP_MS, SWEEP_MS);
	return 0;
}

int zk_trig_limiter_new(struct zk_loop *loop, struct zk_metrics *m,
                        const struct zk_redis_url *redis, bool sliding,
                        struct zk_trig_limiter **ret, struct zk_error *err)
{
	struct zk_trig_limiter *l = zk_new0(struct zk_trig_limiter);

	l->loop = loop;
	l->local = zk_trig_limit_new(sliding);
	zk_map_init(&l->entries);
	if (redis && open_redis(l, m, redis, err) < 0) {
		zk_trig_limiter_free(l);
		return -(int)err->code;
	}
	*ret = l;
	return 0;
}

void zk_trig_limiter_free(struct zk_trig_limiter *l)
{
	size_t pos = 0;
	zk_str key;
	void *value;

	if (!l)
		return;
	l->closing = true;
	zk_redis_free(l->redis);
	zk_timer_free(l->sweep);
	while (zk_map_next(&l->entries, &pos, &key, &value)) {
		struct entry *e = value;

		ZK_LIST_EACH (it, &e->waiting)
			free(ZK_LIST_ENTRY(it, struct waiter, node));
		free(e);
	}
	zk_map_done(&l->entries);
	zk_trig_limit_free(l->local);
	free(l);
}
