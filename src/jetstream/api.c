/* The Bluesky API.
 * Layer: jetstream. */
#include "jetstream/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jscan.h"
#include "jetstream/session.h"
#include "net/http.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "rt/retry.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define ANSWER_MAX  (16u << 20)
#define BURST       2.0
#define TRIES       3 /* repeats after 502, 503, 504, a time-out, a reset */
#define BACKOFF_MS  200
#define WAIT_MAX_MS 60000
#define RAISE_MS    30000
#define OPEN_AFTER  5
#define OPEN_MS     5000
#define OPEN_MAX_MS 60000
#define RECENT      50
#define TIMEOUT_MS  10000
#define CONNECT_MS  5000

struct ask {
	struct zk_list link; /* zk_jet_api.asks */
	struct zk_jet_api *a;
	bool posts;
	char *url;
	size_t n;
	zk_jet_api_fn fn;
	void *ctx;
	struct zk_http *http;
	struct zk_timer *again;
	struct zk_jet_session *session;
	unsigned tries, limited, broken; /* answers of each kind so far */
	bool renewed;                    /* the session was refreshed for it */
};

struct zk_jet_api {
	struct zk_net *net;
	struct zk_loop *loop;
	struct zk_jet_api_conf conf;
	char *url;
	struct zk_list asks;
	unsigned running;
	uint64_t n_requests;
	struct zk_timer *room; /* the next token, or the breaker's next try */
	struct zk_rand jitter;
	/* The token bucket. */
	double tokens, rate;
	int64_t filled_ms, limited_ms; /* of the last 429 */
	int64_t not_before_ms;         /* the server said so */
	struct zk_breaker breaker;
	bool recent[RECENT]; /* true = failed */
	unsigned at_recent, n_failed;
	struct zk_jet_api_figures fig;
	struct zk_counter *by_class[2][5], *ids[2];
	struct zk_gauge *state;
	struct zk_histogram *batch;
};

static const char *const classes[] = { "2xx", "4xx", "5xx", "429", "none" };
static const double batch_bounds[] = { 1, 2, 3, 5, 8, 10, 15, 20, 25 };

static void on_room(void *ctx);
static void send(struct ask *q);

/* ---- making it ---- */

static void add_metrics(struct zk_jet_api *a, struct zk_metrics *m)
{
	static const char *const calls[] = { "getProfiles", "getPosts" };

	for (unsigned c = 0; c < 2; c++) {
		for (unsigned k = 0; k < ZK_ARRAY_LEN(classes); k++)
			a->by_class[c][k] = zk_metrics_counter(
			        m, "zk_jetstream_api_requests_total",
			        "requests to the API",
			        (const char *[]){ "call", calls[c], "class", classes[k],
			                          NULL });
		a->ids[c] = zk_metrics_counter(
		        m, "zk_jetstream_api_ids_total", "ids asked for",
		        (const char *[]){ "call", calls[c], NULL });
	}
	a->state = zk_metrics_gauge(m, "zk_jetstream_breaker_state",
	                            "0 closed, 1 open, 2 half open", NULL);
	a->batch =
	        zk_metrics_histogram(m, "zk_jetstream_api_batch_ids", "ids per request",
	                             batch_bounds, ZK_ARRAY_LEN(batch_bounds), NULL);
}

struct zk_jet_api *zk_jet_api_new(struct zk_net *net, const struct zk_jet_api_conf *conf,
                                  struct zk_metrics *m)
{
	struct zk_jet_api *a = zk_new0(struct zk_jet_api);
	size_t n = strlen(conf->url);
	uint64_t seed;

	a->net = net;
	a->loop = zk_net_loop(net);
	a->conf = *conf;
	while (n && conf->url[n - 1] == '/')
		n--;
	a->url = zk_strndup(conf->url, n);
	a->rate = conf->rps;
	a->tokens = BURST;
	a->filled_ms = zk_mono_ms();
	if (!a->conf.timeout_ms)
		a->conf.timeout_ms = TIMEOUT_MS;
	if (!a->conf.connect_timeout_ms)
		a->conf.connect_timeout_ms = CONNECT_MS;
	zk_list_init(&a->asks);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&a->jitter, seed);
	zk_breaker_init(&a->breaker, OPEN_AFTER, OPEN_MS, OPEN_MAX_MS);
	a->room = zk_timer_new(a->loop, on_room, a);
	add_metrics(a, m);
	return a;
}

static void free_ask(struct ask *q)
{
	zk_list_remove(&q->link);
	zk_timer_free(q->again);
	zk_secret_free(q->url);
	free(q);
}

void zk_jet_api_free(struct zk_jet_api *a)
{
	if (!a)
		return;
	ZK_LIST_EACH (it, &a->asks) {
		struct ask *q = ZK_LIST_ENTRY(it, struct ask, link);

		if (q->http)
			zk_http_cancel(q->http);
		free_ask(q);
	}
	zk_timer_free(a->room);
	free(a->url);
	free(a);
}

/* ---- how many, how often ---- */

static void fill(struct zk_jet_api *a, int64_t now)
{
	double cap = ZK_MAX(BURST, a->rate / 5);

	/* Raised by a tenth every 30 s without a 429, never above what was configured. */
	while (a->rate < a->conf.rps && now - a->limited_ms >= RAISE_MS) {
		a->rate = ZK_MIN(a->rate * 1.1, a->conf.rps);
		a->limited_ms += RAISE_MS;
	}
	a->tokens =
	        ZK_MIN(cap, a->tokens + a->rate * (double)(now - a->filled_ms) / 1000.0);
	a->filled_ms = now;
}

static void wake_at(struct zk_jet_api *a, int64_t wait_ms)
{
	if (!zk_timer_is_active(a->room))
		zk_timer_start(a->room, ZK_MAX(wait_ms, (int64_t)1), 0);
}

static void on_room(void *ctx)
{
	struct zk_jet_api *a = ctx;

	if (a->conf.on_room)
		a->conf.on_room(a->conf.ctx);
}

enum zk_jet_api_block zk_jet_api_blocked(struct zk_jet_api *a)
{
	int64_t now = zk_mono_ms();

	fill(a, now);
	if (a->running >= a->conf.max_requests)
		return ZK_JET_API_NO_SLOT;
	if (a->breaker.state != ZK_BREAKER_CLOSED &&
	    (a->breaker.probing || zk_breaker_next_ms(&a->breaker, now) > now)) {
		wake_at(a, zk_breaker_next_ms(&a->breaker, now) - now);
		return ZK_JET_API_BREAKER;
	}
	if (now < a->not_before_ms) {
		wake_at(a, a->not_before_ms - now);
		return ZK_JET_API_NO_TOKEN;
	}
	if (a->tokens < 1.0) {
		wake_at(a, (int64_t)((1.0 - a->tokens) * 1000.0 / a->rate) + 1);
		return ZK_JET_API_NO_TOKEN;
	}
	return ZK_JET_API_FREE;
}

/* The share of failures among the last requests opens it too. */
static void book(struct zk_jet_api *a, bool failed)
{
	int64_t now = zk_mono_ms();

	a->n_failed += failed - a->recent[a->at_recent];
	a->recent[a->at_recent] = failed;
	a->at_recent = (a->at_recent + 1) % RECENT;
	zk_breaker_result(&a->breaker, !failed, now);
	for (unsigned i = 0; failed && a->n_failed >= RECENT / 2 && i < OPEN_AFTER &&
	                     a->breaker.state == ZK_BREAKER_CLOSED;
	     i++)
		zk_breaker_result(&a->breaker, false, now);
	if (a->breaker.state == ZK_BREAKER_OPEN && a->n_failed) {
		memset(a->recent, 0, sizeof(a->recent));
		a->n_failed = 0;
		zk_warn("the API fails, hydration is off, trying again later",
		        "wait_ms=%lld",
		        (long long)(zk_breaker_next_ms(&a->breaker, now) - now));
	}
	zk_gauge_set(a->state, (double)a->breaker.state);
}

/* ---- answers ---- */

static void finish(struct ask *q, enum zk_jet_api_end end, zk_str body)
{
	struct zk_jet_api *a = q->a;
	zk_jet_api_fn fn = q->fn;
	void *ctx = q->ctx;

	a->running--;
	if (end != ZK_JET_API_OK)
		a->fig.errors++;
	q->http = NULL;
	fn(ctx, end, body);
	free_ask(q);
	wake_at(a, 0);
}

static void on_again(void *ctx)
{
	send(ctx);
}

static void again_in(struct ask *q, int64_t ms)
{
	q->http = NULL;
	if (!q->again)
		q->again = zk_timer_new(q->a->loop, on_again, q);
	zk_timer_start(q->again, ZK_MAX(ms, (int64_t)1), 0);
}

/* "ratelimit-reset", seconds since 1970; milliseconds from now, 0 = not said. */
static int64_t reset_ms(struct zk_http *req)
{
	zk_str s = zk_http_header(req, "ratelimit-reset");
	struct zk_error ignored;
	uint64_t at = 0;
	int64_t now_s = zk_wall_us() / 1000000;

	if (!s.p || zk_parse_u64(s, &at, &ignored) < 0 || at > INT64_MAX / 2000)
		return 0;
	return (int64_t)at > now_s ? ((int64_t)at - now_s) * 1000 : 0;
}

/* Few are left: spreads them until the reset. */
static void spread(struct zk_jet_api *a, struct zk_http *req)
{
	zk_str limit = zk_http_header(req, "ratelimit-limit");
	zk_str left = zk_http_header(req, "ratelimit-remaining");
	struct zk_error ignored;
	uint64_t n_limit = 0, n_left = 0;
	int64_t reset = reset_ms(req);

	if (!limit.p || !left.p || !reset ||
	    zk_parse_u64(limit, &n_limit, &ignored) < 0 ||
	    zk_parse_u64(left, &n_left, &ignored) < 0 || n_left * 10 >= n_limit)
		return;
	a->not_before_ms = ZK_MAX(a->not_before_ms,
	                          zk_mono_ms() + ZK_MIN(reset / (int64_t)(n_left + 1),
	                                                (int64_t)WAIT_MAX_MS));
}

static void on_limited(struct ask *q, const struct zk_http_res *res)
{
	struct zk_jet_api *a = q->a;
	int64_t wait = 0, now = zk_mono_ms();
	zk_str after = zk_http_header(res->req, "retry-after");

	if (after.p)
		wait = zk_http_retry_after(after, zk_wall_us());
	if (wait <= 0)
		wait = reset_ms(res->req);
	if (wait <= 0)
		wait = INT64_C(1000) << ZK_MIN(q->limited, 6u);
	wait = ZK_MIN(wait, (int64_t)WAIT_MAX_MS);
	q->limited++;
	a->fig.limited++;
	a->rate = ZK_MAX(a->rate / 2, 0.1);
	a->limited_ms = now;
	a->not_before_ms = ZK_MAX(a->not_before_ms, now + wait);
	zk_notice("the API limits the rate", "wait_ms=%lld rate=%.2f", (long long)wait,
	          a->rate);
	again_in(q, wait);
}

static bool has_array(zk_str body, bool posts)
{
	struct zk_jwant want[1] = { { .name = ZK_STR_INIT("profiles") } };
	struct zk_jscan js;

	if (posts)
		want[0].name = ZK_STR("posts");
	return zk_jscan(body, ZK_JSCAN_DEPTH_MAX, want, 1, &js) == 0 &&
	       want[0].val.type == ZK_J_ARRAY;
}

static zk_str error_name(zk_str body)
{
	struct zk_jval v;
	struct zk_jscan js;
	zk_str name = ZK_STR_NULL;

	if (zk_jscan(body, 64, NULL, 0, &js) == 0 &&
	    zk_jscan_get(js.top.raw, ZK_STR("error"), &v) && v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &name);
	return name;
}

/* The session gave out: refreshed once, then the request is repeated. */
static void on_renewed(void *ctx, bool ok)
{
	struct ask *q = ctx;

	if (ok)
		send(q);
	else
		finish(q, ZK_JET_API_DENIED, ZK_STR_NULL);
}

static bool renew(struct ask *q)
{
	if (!q->session || q->renewed)
		return false;
	q->renewed = true;
	q->http = NULL;
	zk_jet_sessions_renew(q->a->conf.sessions, q->session, on_renewed, q);
	return true;
}

static void on_trouble(struct ask *q)
{
	if (q->tries++ < TRIES) {
		again_in(q, (int64_t)BACKOFF_MS << (q->tries - 1));
		return;
	}
	finish(q, ZK_JET_API_FAILED, ZK_STR_NULL);
}

/* 0 2xx, 1 4xx, 2 5xx, 3 429, 4 none */
static unsigned class_of(int status)
{
	if (status == 429)
		return 3;
	if (status >= 500)
		return 2;
	if (status >= 400)
		return 1;
	return status >= 200 && status < 300 ? 0 : 4;
}

static void on_error(struct ask *q, const struct zk_http_res *res)
{
	bool expired = res->status == 401 ||
	               (res->status == 400 &&
	                zk_str_eq(error_name(res->body), ZK_STR("ExpiredToken")));

	if (expired && renew(q))
		return;
	if (res->status == 401 || res->status == 403) {
		finish(q, ZK_JET_API_DENIED, ZK_STR_NULL);
	} else if (res->status == 413 || res->status == 414 || res->status == 400) {
		finish(q, ZK_JET_API_POISON, ZK_STR_NULL);
	} else if (res->status == 500) {
		if (++q->broken >= 2)
			finish(q, ZK_JET_API_POISON, ZK_STR_NULL);
		else
			again_in(q, BACKOFF_MS);
	} else {
		on_trouble(q);
	}
}

/* Whether the answer speaks against the server: a refusal of this batch does not, nor the first
 * 500, which may be one too. */
static bool is_failure(const struct zk_http_res *res, const struct zk_error *err,
                       bool good)
{
	if (err)
		return true;
	if (good || res->status == 500)
		return false;
	return res->status < 400 || res->status > 499;
}

static void judge(struct ask *q, const struct zk_http_res *res,
                  const struct zk_error *err, bool good)
{
	struct zk_jet_api *a = q->a;

	zk_counter_add(a->by_class[q->posts][class_of(err ? 0 : res->status)], 1);
	if (err && zk_log_enabled(ZK_LOG_DEBUG))
		zk_log_error(ZK_LOG_DEBUG, ZK_LOGGER, "the API did not answer", err);
	if (err || res->status != 500 || q->broken)
		book(a, is_failure(res, err, good));
	if (!err)
		spread(a, res->req);
}

static void on_answer(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct ask *q = ctx;
	bool good = !err && res->status == 200 && has_array(res->body, q->posts);

	q->http = NULL;
	judge(q, res, err, good);
	if (good)
		finish(q, ZK_JET_API_OK, res->body);
	else if (err || res->status == 200)
		on_trouble(q);
	else if (res->status == 429)
		on_limited(q, res);
	else
		on_error(q, res);
}

/* ---- asking ---- */

static void send(struct ask *q)
{
	struct zk_jet_api *a = q->a;
	const char *headers[] = { "Accept: application/json", NULL };
	struct zk_http_conf conf = {
		.url = q->url,
		.headers = headers,
		.ctx = q,
		.max_body = ANSWER_MAX,
		.timeout_ms = a->conf.timeout_ms,
		.connect_timeout_ms = a->conf.connect_timeout_ms,
		.target = q->posts ? "getPosts" : "getProfiles",
		.flags = ZK_HTTP_ANY_STATUS | ZK_HTTP_DECODE,
	};
	struct zk_error err = { 0 };

	if (q->session)
		conf.bearer = zk_jet_session_token(q->session);
	a->fig.requests++;
	a->tokens -= 1.0;
	if (zk_http_start(a->net, &conf, on_answer, &q->http, &err) < 0) {
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the API cannot be asked", &err);
		q->tries = TRIES;
		again_in(q, BACKOFF_MS); /* on_trouble must not run inside of ask */
	}
}

static char *url_of(const struct zk_jet_api *a, const char *base, bool posts,
                    const zk_str *ids, size_t n)
{
	struct zk_buf b;

	(void)a;
	zk_buf_init(&b, 1u << 20);
	zk_buf_printf(&b, "%s/xrpc/app.bsky.%s", base,
	              posts ? "feed.getPosts" : "actor.getProfiles");
	for (size_t i = 0; i < n; i++) {
		zk_buf_cstr(&b, i ? "&" : "?");
		zk_buf_cstr(&b, posts ? "uris=" : "actors=");
		zk_buf_percent(&b, ids[i]);
	}
	return zk_buf_take(&b);
}

uint64_t zk_jet_api_ask(struct zk_jet_api *a, bool posts, const zk_str *ids, size_t n,
                        zk_jet_api_fn fn, void *ctx)
{
	struct ask *q = zk_new0(struct ask);

	q->a = a;
	q->posts = posts;
	q->n = n;
	q->fn = fn;
	q->ctx = ctx;
	if (a->conf.sessions)
		q->session = zk_jet_sessions_next(a->conf.sessions);
	q->url = url_of(a, q->session ? zk_jet_session_base(q->session, a->url) : a->url,
	                posts, ids, n);
	zk_list_init(&q->link);
	zk_list_push(&a->asks, &q->link);
	a->running++;
	a->fig.ids += n;
	zk_counter_add(a->ids[posts], n);
	zk_histogram_observe(a->batch, (double)n);
	if (a->breaker.state != ZK_BREAKER_CLOSED)
		(void)zk_breaker_allow(&a->breaker, zk_mono_ms()); /* this is the trial */
	send(q);
	return ++a->n_requests;
}

void zk_jet_api_figures(const struct zk_jet_api *a, struct zk_jet_api_figures *ret)
{
	static const char *const states[] = { "closed", "open", "half_open" };

	*ret = a->fig;
	ret->breaker = states[a->breaker.state];
	ret->running = a->running;
	ret->rate = a->rate;
}
