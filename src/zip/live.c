/* The life of a socket: connecting, being dropped, coming back.
 * Layer: zip. */
#include "zip/live.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"
#include "zip/live_int.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define CONNECT_MS  10000
#define ANSWER_MS   5000
#define TICK_MS     1000
#define TICK_MIN_MS 50
#define GOOD_MS     30000 /* live so long: the backoff begins anew */
#define FLOOR_MS    100   /* the shortest wait: no busy loop */
#define CLOSE_MS    1000
#define MAX_OUT     1000000

enum zk_zip_live_state zk_zip_live_state(const struct zk_zip_live *l)
{
	return l->state;
}

const char *zk_zip_live_carrier(const struct zk_zip_live *l)
{
	switch (l->transport) {
	case ZK_ZIP_TRANSPORT_RAW:
		return "raw";
	case ZK_ZIP_TRANSPORT_POLLING:
		return "polling";
	case ZK_ZIP_TRANSPORT_UPGRADE:
		return l->upgraded ? "websocket" : "polling";
	case ZK_ZIP_TRANSPORT_AUTO:
	case ZK_ZIP_TRANSPORT_WEBSOCKET:
		break;
	}
	return "websocket";
}

void zk_zip_live_set_state(struct zk_zip_live *l, enum zk_zip_live_state state,
                           int64_t within_ms)
{
	l->state = state;
	zk_timer_start(l->timer, within_ms, 0);
}

/* ---- dropping ---- */

static void disconnect(struct zk_zip_live *l)
{
	zk_zip_link_free(ZK_TAKE(l->link));
	if (l->has_socket)
		zk_zip_socket_done(&l->socket);
	l->has_socket = false;
}

static void give_up(struct zk_zip_live *l, const struct zk_error *err)
{
	disconnect(l);
	zk_timer_stop(l->timer);
	l->state = ZK_ZIP_ENDED;
	l->conf.on_end(l->conf.ctx, l, err);
}

/* Another way, when there is one: true when it is tried at once. */
static bool fall_back(struct zk_zip_live *l, const struct zk_error *err)
{
	if (l->conf.transport != ZK_ZIP_TRANSPORT_AUTO)
		return false;
	if (l->deaf) {
		l->deaf = false;
		zk_notice("the server does not hear on WebSockets, long-polling is used",
		          "url=%s", l->url);
		l->transport = ZK_ZIP_TRANSPORT_POLLING;
		if (l->conf.on_deaf)
			l->conf.on_deaf(l->conf.ctx, l);
		return true;
	}
	if (l->transport == ZK_ZIP_TRANSPORT_WEBSOCKET && !l->opened &&
	    err->http_status) {
		zk_notice("the WebSocket was refused, long-polling is used",
		          "url=%s status=%d", l->url, err->http_status);
		l->transport = ZK_ZIP_TRANSPORT_UPGRADE;
		return true;
	}
	return false;
}

static void on_dropped(void *ctx)
{
	struct zk_zip_live *l = ctx;
	struct zk_error err = *l->why;
	int64_t now = zk_loop_now_ms(l->loop), wait;

	l->drop_due = false;
	free(ZK_TAKE(l->why));
	if (l->state == ZK_ZIP_ENDED)
		return;
	if (l->state == ZK_ZIP_CLOSING) {
		give_up(l, NULL);
		return;
	}
	disconnect(l);
	if (l->state == ZK_ZIP_LIVE) {
		l->lost_us = zk_wall_us();
		l->attempts = 0;
		if (now - l->live_ms >= GOOD_MS)
			zk_retry_init(&l->retry, &l->conf.retry, now);
	}
	if (fall_back(l, &err)) {
		zk_zip_live_set_state(l, ZK_ZIP_BACKOFF, 0);
		return;
	}
	if (!err.retryable) {
		give_up(l, &err);
		return;
	}
	wait = zk_retry_next(&l->retry, now, err.retry_after_ms, &l->rnd);
	if (wait < 0) {
		give_up(l, &err);
		return;
	}
	wait = ZK_MAX(wait, (int64_t)FLOOR_MS);
	zk_zip_live_set_state(l, ZK_ZIP_BACKOFF, wait);
	if (l->conf.on_drop)
		l->conf.on_drop(l->conf.ctx, l, &err, wait);
}

void zk_zip_live_drop(struct zk_zip_live *l, const struct zk_error *err)
{
	if (l->drop_due || l->state == ZK_ZIP_ENDED || l->state == ZK_ZIP_BACKOFF)
		return;
	l->drop_due = true;
	l->why = zk_new(struct zk_error);
	*l->why = *err;
	zk_timer_stop(l->timer);
	zk_loop_defer(l->loop, on_dropped, l);
}

void zk_zip_live_drop_with(struct zk_zip_live *l, enum zk_code code, bool retryable,
                           const char *text)
{
	struct zk_error err = { 0 };

	ZK_IGNORE(zk_fail(&err, code, "%s", text) < 0); /* its code */
	err.retryable = retryable;
	zk_zip_live_drop(l, &err);
}

/* ---- the link ---- */

static void link_open(void *ctx)
{
	struct zk_zip_live *l = ctx;

	l->opened = true;
	if (l->transport == ZK_ZIP_TRANSPORT_RAW && !l->drop_due)
		zk_zip_live_raw_start(l);
}

static void link_text(void *ctx, zk_str message)
{
	struct zk_zip_live *l = ctx;

	if (l->drop_due || l->state == ZK_ZIP_ENDED)
		return;
	if (l->has_socket)
		zk_zip_socket_text(&l->socket, message, zk_loop_now_ms(l->loop));
	else
		zk_zip_live_raw_text(l, message);
}

static void link_binary(void *ctx, zk_str message)
{
	struct zk_zip_live *l = ctx;

	if (l->drop_due || l->state == ZK_ZIP_ENDED)
		return;
	if (l->has_socket)
		zk_zip_socket_binary(&l->socket, message, zk_loop_now_ms(l->loop));
	else
		zk_zip_live_raw_binary(l, message);
}

static void link_upgraded(void *ctx)
{
	struct zk_zip_live *l = ctx;

	l->upgraded = true;
	zk_info("upgraded to a WebSocket", "url=%s", l->url);
}

static void link_end(void *ctx, const struct zk_error *err)
{
	struct zk_zip_live *l = ctx;
	struct zk_error e = *err;

	/* A connection that was there is worth another one, however it ended. */
	if (l->opened || l->state > ZK_ZIP_CONNECTING)
		e.retryable = true;
	zk_zip_live_drop(l, &e);
}

static void connect_now(struct zk_zip_live *l)
{
	const char *headers[ZK_ARRAY_LEN(l->headers) + 1] = { NULL };
	struct zk_zip_link_conf conf = {
		.net = l->conf.net,
		.url = l->url,
		.headers = headers,
		.max_in = l->conf.max_in,
		.connect_timeout_ms = l->conf.connect_timeout_ms,
		.many = l->conf.many,
		.hooks = { .ctx = l,
		           .on_open = link_open,
		           .on_text = link_text,
		           .on_binary = link_binary,
		           .on_upgraded = link_upgraded,
		           .on_end = link_end },
	};
	struct zk_error err = { 0 };
	size_t n = 0;
	int r;

	for (size_t i = 0; i < ZK_ARRAY_LEN(l->headers); i++)
		if (l->headers[i])
			headers[n++] = l->headers[i];
	l->upgraded = l->opened = false;
	l->attempts++;
	zk_zip_live_set_state(l, ZK_ZIP_CONNECTING, l->conf.connect_timeout_ms);
	if (l->transport == ZK_ZIP_TRANSPORT_RAW)
		conf.query = "";
	else
		zk_zip_live_talk_start(l);
	if (l->transport == ZK_ZIP_TRANSPORT_POLLING)
		r = zk_zip_link_poll(&conf, &l->link, &err);
	else if (l->transport == ZK_ZIP_TRANSPORT_UPGRADE)
		r = zk_zip_link_upgrade(&conf, &l->link, &err);
	else
		r = zk_zip_link_ws(&conf, &l->link, &err);
	if (r < 0)
		zk_zip_live_drop(l, &err);
	else if (l->paused)
		zk_zip_link_pause(l->link, true);
}

/* ---- time ---- */

/* No answer: on a WebSocket the server may be deaf. */
static void no_answer(struct zk_zip_live *l)
{
	bool ws = l->transport == ZK_ZIP_TRANSPORT_WEBSOCKET ||
	          (l->transport == ZK_ZIP_TRANSPORT_UPGRADE && l->upgraded);

	l->deaf = ws;
	if (ws && l->conf.transport != ZK_ZIP_TRANSPORT_AUTO) {
		struct zk_error err = { 0 };

		ZK_IGNORE(zk_fail(&err, ZK_E_PROTOCOL,
		                  "the server does not answer on the WebSocket") < 0);
		ZK_IGNORE(zk_err_hint(&err, "some builds are deaf there: --transport "
		                            "polling") < 0); /* its code */
		zk_zip_live_drop(l, &err);
		return;
	}
	zk_zip_live_drop_with(l, ZK_E_TIMEOUT, true,
	                      "the server does not answer on the socket");
}

/* Often enough for the pongs of a paused reader. */
static int64_t tick_ms(const struct zk_zip_live *l)
{
	return l->has_socket ? ZK_MIN((int64_t)TICK_MS,
	                              ZK_MAX(l->socket.open.ping_interval_ms / 2,
	                                     (int64_t)TICK_MIN_MS))
	                     : TICK_MS;
}

static void on_timer(void *ctx)
{
	struct zk_zip_live *l = ctx;
	struct zk_error none = { 0 };

	switch (l->state) {
	case ZK_ZIP_BACKOFF:
		connect_now(l);
		break;
	case ZK_ZIP_CONNECTING:
		zk_zip_live_drop_with(l, ZK_E_CONNECT, true,
		                      "no session within the connect timeout");
		break;
	case ZK_ZIP_JOINING:
		no_answer(l);
		break;
	case ZK_ZIP_AUTHING:
		if (l->unanswered)
			no_answer(l);
		else
			zk_zip_live_auth(l); /* a workflow that is waited for */
		break;
	case ZK_ZIP_LIVE:
		zk_timer_start(l->timer, tick_ms(l), 0);
		if (l->has_socket)
			zk_zip_socket_tick(&l->socket, l->paused,
			                   zk_loop_now_ms(l->loop));
		else
			zk_zip_live_raw_tick(l);
		break;
	case ZK_ZIP_CLOSING:
		zk_zip_live_drop(l, &none);
		break;
	case ZK_ZIP_ENDED:
		break;
	}
}

void zk_zip_live_set_live(struct zk_zip_live *l)
{
	struct zk_zip_live_gap gap = { .from_us = l->lost_us,
		                       .to_us = zk_wall_us(),
		                       .reconnects = l->attempts };
	bool again = l->lost_us != 0;

	zk_zip_live_set_state(l, ZK_ZIP_LIVE, tick_ms(l));
	l->live_ms = zk_loop_now_ms(l->loop);
	l->lost_us = 0;
	zk_info("live", "url=%s carrier=%s", l->url, zk_zip_live_carrier(l));
	l->conf.on_live(l->conf.ctx, l, again ? &gap : NULL);
}

/* ---- what the owner wants ---- */

void zk_zip_live_send(struct zk_zip_live *l, zk_str message, bool binary)
{
	struct zk_error err = { 0 };

	if (!l->link || zk_zip_link_send(l->link, message, binary, &err) == 0)
		return;
	err.retryable = true;
	zk_zip_live_drop(l, &err);
}

void zk_zip_live_pause(struct zk_zip_live *l, bool pause)
{
	if (l->paused == pause)
		return;
	l->paused = pause;
	if (l->link)
		zk_zip_link_pause(l->link, pause);
}

size_t zk_zip_live_unsent(const struct zk_zip_live *l)
{
	return l->link ? zk_zip_link_unsent(l->link) : 0;
}

int zk_zip_live_emit(struct zk_zip_live *l, zk_str name, zk_str json,
                     const zk_str *attachments, unsigned n, struct zk_error *err)
{
	if (l->state != ZK_ZIP_LIVE || l->drop_due)
		return zk_fail(err, ZK_E_TRANSFER, "the socket is not live");
	if (json.n + name.n + 64 > l->conf.max_out)
		return zk_fail(err, ZK_E_LIMIT,
		               "an event of %zu bytes is larger than the server takes "
		               "(%zu)",
		               json.n, l->conf.max_out);
	for (unsigned i = 0; i < n; i++)
		if (attachments[i].n > l->conf.max_out)
			return zk_fail(err, ZK_E_LIMIT,
			               "a frame of %zu bytes is larger than the server "
			               "takes (%zu)",
			               attachments[i].n, l->conf.max_out);
	if (l->has_socket)
		zk_zip_socket_emit(&l->socket, name, json, attachments, n, false);
	else if (n)
		zk_zip_live_send(l, attachments[0], true);
	else
		zk_zip_live_send(l, json, false);
	if (l->drop_due)
		return zk_fail(err, ZK_E_TRANSFER, "the socket was dropped");
	return 0;
}

void zk_zip_live_close(struct zk_zip_live *l)
{
	struct zk_error none = { 0 };
	bool talks = l->link && l->state >= ZK_ZIP_JOINING && l->state <= ZK_ZIP_LIVE;

	if (l->state == ZK_ZIP_ENDED || l->state == ZK_ZIP_CLOSING)
		return;
	if (talks && !l->drop_due && l->has_socket)
		zk_zip_socket_leave(&l->socket);
	zk_zip_live_set_state(l, ZK_ZIP_CLOSING, CLOSE_MS);
	if (l->drop_due)
		return;
	if (talks) {
		/* The answers to what was said have to be read. */
		zk_zip_link_pause(l->link, false);
		zk_zip_link_close(l->link);
	} else {
		zk_zip_live_drop(l, &none);
	}
}

/* ---- making it ---- */

static char *connect_json(const char *token)
{
	struct zk_buf b;
	char *text;

	if (!token || !token[0])
		return NULL;
	zk_buf_init_secret(&b, strlen(token) * 6 + 64);
	zk_buf_lit(&b, "{\"token\":");
	zk_buf_json_str(&b, zk_str_of(token));
	zk_buf_char(&b, '}');
	text = zk_strndup(b.p, b.n);
	zk_buf_done(&b);
	return text;
}

static void set_address(struct zk_zip_live *l, const struct zk_zip_live_conf *conf)
{
	zk_str base = zk_str_of(conf->url), path = zk_str_of(conf->path);

	while (base.n && base.p[base.n - 1] == '/')
		base.n--;
	while (path.n && path.p[0] == '/')
		path = zk_str_from(path, 1);
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	/* Engine.IO wants the slash at the end; others may not. */
	l->url = zk_asprintf("%.*s/%.*s%s", ZK_STR_ARG(base), ZK_STR_ARG(path),
	                     conf->transport == ZK_ZIP_TRANSPORT_RAW ? "" : "/");
}

struct zk_zip_live *zk_zip_live_new(const struct zk_zip_live_conf *conf)
{
	struct zk_zip_live *l = zk_new0(struct zk_zip_live);
	uint64_t seed;

	l->conf = *conf;
	l->conf.url = l->conf.path = l->conf.token = l->conf.api_key = NULL;
	if (!l->conf.connect_timeout_ms)
		l->conf.connect_timeout_ms = CONNECT_MS;
	if (!l->conf.answer_timeout_ms)
		l->conf.answer_timeout_ms = ANSWER_MS;
	if (!l->conf.max_out)
		l->conf.max_out = MAX_OUT;
	l->loop = zk_net_loop(conf->net);
	set_address(l, conf);
	l->connect = connect_json(conf->token);
	if (conf->token && conf->token[0])
		l->headers[0] = zk_asprintf("Authorization: Bearer %s", conf->token);
	else if (conf->api_key && conf->api_key[0])
		l->headers[0] = zk_asprintf("X-API-Key: %s", conf->api_key);
	l->transport = conf->transport;
	if (conf->transport == ZK_ZIP_TRANSPORT_AUTO)
		l->transport = conf->deaf ? ZK_ZIP_TRANSPORT_POLLING
		                          : ZK_ZIP_TRANSPORT_WEBSOCKET;
	l->want[ZK_ZIP_LIVE_ID].name = ZK_STR("id");
	l->want[ZK_ZIP_LIVE_TYPE].name = ZK_STR("type");
	zk_retry_init(&l->retry, &conf->retry, zk_loop_now_ms(l->loop));
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&l->rnd, seed);
	l->timer = zk_timer_new(l->loop, on_timer, l);
	zk_zip_live_set_state(l, ZK_ZIP_BACKOFF, 0);
	return l;
}

void zk_zip_live_free(struct zk_zip_live *l)
{
	if (!l)
		return;
	zk_loop_forget(l->loop, on_dropped, l);
	disconnect(l);
	zk_timer_free(l->timer);
	for (size_t i = 0; i < ZK_ARRAY_LEN(l->headers); i++)
		zk_secret_free(l->headers[i]);
	zk_secret_free(l->connect);
	free(l->url);
	free(l->why);
	free(l);
}
