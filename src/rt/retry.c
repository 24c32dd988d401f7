/* Backoff with full jitter, and a circuit breaker.
 * Layer: rt. */
#include "rt/retry.h"

#include "base/attr.h"
#include "base/rand.h"

#include "base/ban.h"

void zk_retry_init(struct zk_retry *r, const struct zk_retry_conf *conf, int64_t now_ms)
{
	*r = (struct zk_retry){ .conf = *conf, .start_ms = now_ms };
}

/* min(cap, base * 2^(failures before this one)), without overflow. */
static int64_t backoff_ms(const struct zk_retry *r)
{
	int64_t cap = ZK_MAX(r->conf.cap_ms, 0), ms = ZK_MAX(r->conf.base_ms, 0);

	for (uint64_t i = 1; i < r->tries && ms < cap && ms > 0; i++)
		ms = ms > cap / 2 ? cap : ms * 2;
	return ZK_MIN(ms, cap);
}

int64_t zk_retry_next(struct zk_retry *r, int64_t now_ms, int64_t retry_after_ms,
                      struct zk_rand *rnd)
{
	int64_t wait;

	r->tries++;
	if (r->tries > r->conf.max_retries || retry_after_ms > r->conf.cap_ms)
		return -1;
	wait = (int64_t)zk_rand_below(rnd, (uint64_t)backoff_ms(r) + 1);
	if (r->conf.max_time_ms > 0) {
		int64_t left = r->conf.max_time_ms - (now_ms - r->start_ms);

		if (left <= 0 || retry_after_ms > left)
			return -1;
		wait = ZK_MIN(wait, left);
	}
	return ZK_MAX(wait, retry_after_ms);
}

/* ---- circuit breaker ---- */

void zk_breaker_init(struct zk_breaker *b, unsigned threshold, int64_t open_ms,
                     int64_t max_open_ms)
{
	*b = (struct zk_breaker){
		.threshold = ZK_MAX(threshold, 1u),
		.open_ms = open_ms,
		.max_open_ms = ZK_MAX(max_open_ms, open_ms),
		.cur_open_ms = open_ms,
	};
}

bool zk_breaker_allow(struct zk_breaker *b, int64_t now_ms)
{
	switch (b->state) {
	case ZK_BREAKER_CLOSED:
		return true;
	case ZK_BREAKER_OPEN:
		if (now_ms < b->until_ms)
			return false;
		b->state = ZK_BREAKER_HALF_OPEN;
		b->probing = true;
		return true;
	case ZK_BREAKER_HALF_OPEN:
		if (b->probing)
			return false;
		b->probing = true;
		return true;
	}
	return false;
}

static int64_t longer_ms(const struct zk_breaker *b)
{
	return b->cur_open_ms > b->max_open_ms / 2 ? b->max_open_ms : b->cur_open_ms * 2;
}

static void open_until(struct zk_breaker *b, int64_t now_ms)
{
	b->state = ZK_BREAKER_OPEN;
	b->probing = false;
	b->until_ms = now_ms + b->cur_open_ms;
}

void zk_breaker_result(struct zk_breaker *b, bool ok, int64_t now_ms)
{
	/* What was started before it opened says nothing new. */
	if (b->state == ZK_BREAKER_OPEN)
		return;
	if (ok) {
		b->state = ZK_BREAKER_CLOSED;
		b->failures = 0;
		b->probing = false;
		b->cur_open_ms = b->open_ms;
		return;
	}
	if (b->failures < b->threshold)
		b->failures++;
	if (b->state == ZK_BREAKER_HALF_OPEN) {
		b->cur_open_ms = longer_ms(b);
		open_until(b, now_ms);
	} else if (b->failures >= b->threshold) {
		open_until(b, now_ms);
	}
}

void zk_breaker_cancel(struct zk_breaker *b)
{
	b->probing = false;
}

int64_t zk_breaker_next_ms(const struct zk_breaker *b, int64_t now_ms)
{
	switch (b->state) {
	case ZK_BREAKER_CLOSED:
		break;
	case ZK_BREAKER_OPEN:
		return ZK_MAX(b->until_ms, now_ms);
	case ZK_BREAKER_HALF_OPEN:
		return b->probing ? now_ms + longer_ms(b) : now_ms;
	}
	return now_ms;
}
