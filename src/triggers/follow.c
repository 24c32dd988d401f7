/* Follows an inbox: the event stream with reconnection, or polling.
 * Layer: triggers. specs/triggers.md §5.7, §5.8. */
#include "triggers/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jscan.h"
#include "codec/uri.h"
#include "net/http.h"
#include "net/sse.h"
#include "rt/loop.h"
#include "rt/retry.h"

#include "base/ban.h"

#define MAX_EVENT  (4 * 1024 * 1024)
#define SILENCE_MS 45000 /* three missed comments */
#define POLL_MS    1000
#define BASE_MS    250
#define CAP_MS     15000
#define MAX_DEPTH  512
#define MAX_PAGE   (64 * 1024 * 1024)

struct zk_trig_follow {
	struct zk_loop *loop;
	struct zk_trig_follow_conf conf;
	char *query;
	char after[ZK_UUID_TEXT + 1]; /* "" = from now on */
	struct zk_sse sse;
	struct zk_http *http;
	struct zk_buf key;
	struct zk_timer *timer;
	struct zk_retry retry;
	struct zk_rand rnd;
	bool paused, polling, live;
};

static void connect_now(void *ctx);

static void state(struct zk_trig_follow *f, const char *text, int64_t wait_ms,
                  const struct zk_error *err)
{
	if (f->conf.on_state)
		f->conf.on_state(f->conf.ctx, text, wait_ms, err);
}

static void wait_and_connect(struct zk_trig_follow *f, int64_t wait_ms)
{
	zk_timer_start(f->timer, wait_ms, 0);
}

static void remember(struct zk_trig_follow *f, zk_str id)
{
	if (id.n == ZK_UUID_TEXT) {
		memcpy(f->after, id.p, id.n);
		f->after[id.n] = '\0';
	}
}

/* ---- the stream --------------------------------------------------------------------------- */

static void give_event(struct zk_trig_follow *f, const struct zk_sse_event *e)
{
	struct zk_buf type ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!e->data.n || !e->id.n)
		return;
	zk_buf_init(&type, MAX_EVENT);
	/* The event's name is percent-encoded on the wire (§5.8). */
	if (!zk_uri_decode(e->event, ZK_URI_PATH, &type))
		zk_buf_add(&type, e->event);
	remember(f, e->id);
	f->conf.on_event(f->conf.ctx, e->id, zk_buf_str(&type), e->data);
}

static bool on_data(void *ctx, zk_str piece)
{
	struct zk_trig_follow *f = ctx;
	struct zk_sse_event e;
	size_t used;

	if (f->paused)
		return false;
	if (!f->live) {
		f->live = true;
		zk_retry_init(&f->retry, &f->retry.conf, zk_loop_now_ms(f->loop));
		state(f, "live", 0, NULL);
	}
	while (piece.n) {
		enum zk_sse_result r = zk_sse_next(&f->sse, piece, &used, &e);

		piece = zk_str_from(piece, used);
		if (r == ZK_SSE_EVENT)
			give_event(f, &e);
		else if (r == ZK_SSE_TOO_LONG)
			return true; /* the connection ends by itself; the event is skipped below */
		else if (!used)
			break;
	}
	return true;
}

/* Reasons that time does not mend. */
static bool is_final(const struct zk_error *err)
{
	return err->http_status == 400 || err->http_status == 401 ||
	       err->http_status == 403 || err->code == ZK_E_TLS ||
	       err->code == ZK_E_URL || err->code == ZK_E_LIBRARY;
}

static void again(struct zk_trig_follow *f, const struct zk_error *err)
{
	int64_t floor_ms = err ? err->retry_after_ms : 0;
	int64_t wait_ms = zk_retry_next(&f->retry, zk_loop_now_ms(f->loop),
	                                ZK_MIN(floor_ms, (int64_t)CAP_MS), &f->rnd);

	f->live = false;
	if (wait_ms < 0)
		wait_ms = CAP_MS;
	state(f, "waiting", wait_ms, err);
	wait_and_connect(f, wait_ms);
}

static void on_stream_end(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_trig_follow *f = ctx;

	(void)res;
	f->http = NULL;
	zk_sse_restart(&f->sse);
	if (err && (err->http_status == 404 || err->http_status == 405 ||
	            err->http_status == 501)) {
		f->polling = true;
		wait_and_connect(f, 0);
		return;
	}
	if (err && is_final(err)) {
		zk_trig_explain(f->conf.client, res->body, err);
		f->conf.on_end(f->conf.ctx, err);
		return;
	}
	again(f, err);
}

/* ---- polling ------------------------------------------------------------------------------ */

static bool give_page(struct zk_trig_follow *f, zk_str body)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("events") } };
	struct zk_jscan js;
	struct zk_jiter it;
	struct zk_jval v, id, type;

	if (zk_jscan(body, MAX_DEPTH, want, 1, &js) < 0 || want[0].val.type != ZK_J_ARRAY)
		return false;
	zk_jiter_init(&it, want[0].val.raw);
	while (zk_jiter_element(&it, &v)) {
		zk_str id_text = ZK_STR_NULL, type_text = ZK_STR_NULL;

		if (!zk_jscan_get(v.raw, ZK_STR("id"), &id) ||
		    !zk_jstr_plain(id.raw, &id_text))
			return false;
		if (zk_jscan_get(v.raw, ZK_STR("type"), &type))
			(void)zk_jstr_plain(type.raw, &type_text);
		remember(f, id_text);
		f->conf.on_event(f->conf.ctx, id_text, type_text, v.raw);
	}
	return true;
}

static void on_poll(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_trig_follow *f = ctx;
	struct zk_error bad = { 0 };

	f->http = NULL;
	if (!err && !give_page(f, res->body)) {
		(void)zk_fail(&bad, ZK_E_PROTOCOL, "the inbox cannot be read");
		f->conf.on_end(f->conf.ctx, &bad);
		return;
	}
	if (err && is_final(err)) {
		f->conf.on_end(f->conf.ctx, err);
		return;
	}
	if (err) {
		again(f, err);
		return;
	}
	if (!f->live)
		state(f, "live", 0, NULL);
	f->live = true;
	wait_and_connect(f, POLL_MS);
}

/* ---- connecting --------------------------------------------------------------------------- */

static void put_query(struct zk_trig_follow *f, struct zk_buf *url)
{
	const char *sep = "?";

	zk_buf_add(url, f->conf.client->url);
	zk_buf_cstr(url, f->polling ? "/api/inbox" : "/api/inbox/stream");
	if (f->query[0]) {
		zk_buf_printf(url, "%s%s", sep, f->query);
		sep = "&";
	}
	if (f->after[0])
		zk_buf_printf(url, "%safter=%s", sep, f->after);
	else if (f->polling)
		zk_buf_printf(url, "%slimit=1", sep); /* where "now" is */
}

static void connect_now(void *ctx)
{
	struct zk_trig_follow *f = ctx;
	struct zk_buf url ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error err = { 0 };

	if (f->paused) {
		wait_and_connect(f, POLL_MS);
		return;
	}
	zk_buf_init(&url, 16384);
	put_query(f, &url);
	const char *headers[] = { zk_buf_cstring(&f->key), "Accept: text/event-stream",
		                  NULL };
	struct zk_http_conf conf = {
		.method = "GET",
		.url = zk_buf_cstring(&url),
		.headers = headers,
		.on_data = f->polling ? NULL : on_data,
		.ctx = f,
		.max_body = MAX_PAGE,
		.timeout_ms = f->polling ? 0 : -1,
		.idle_timeout_ms = SILENCE_MS,
		.target = "triggers",
	};

	if (zk_http_start(f->conf.client->net, &conf,
	                  f->polling ? on_poll : on_stream_end, &f->http, &err) < 0)
		f->conf.on_end(f->conf.ctx, &err);
}

struct zk_trig_follow *zk_trig_follow_new(struct zk_loop *l,
                                          const struct zk_trig_follow_conf *conf)
{
	struct zk_trig_follow *f = zk_new0(struct zk_trig_follow);
	uint64_t seed;

	f->loop = l;
	f->conf = *conf;
	f->query = zk_strdup(conf->query ? conf->query : "");
	if (conf->after)
		remember(f, zk_str_of(conf->after));
	zk_buf_init_secret(&f->key, 1024);
	zk_buf_printf(&f->key, "X-API-Key: %.*s", ZK_STR_ARG(conf->client->key));
	zk_sse_init(&f->sse, MAX_EVENT);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&f->rnd, seed);
	struct zk_retry_conf retry = { .max_retries = UINT64_MAX,
		                       .base_ms = BASE_MS,
		                       .cap_ms = CAP_MS };

	zk_retry_init(&f->retry, &retry, zk_loop_now_ms(l));
	f->timer = zk_timer_new(l, connect_now, f);
	zk_timer_start(f->timer, 0, 0);
	return f;
}

void zk_trig_follow_pause(struct zk_trig_follow *f, bool pause)
{
	bool was = f->paused;

	f->paused = pause;
	if (was && !pause && f->http && !f->polling)
		zk_http_resume_download(f->http);
}

void zk_trig_follow_free(struct zk_trig_follow *f)
{
	if (!f)
		return;
	if (f->http)
		zk_http_cancel(f->http);
	zk_timer_free(f->timer);
	zk_sse_done(&f->sse);
	zk_buf_done(&f->key);
	free(f->query);
	free(f);
}
