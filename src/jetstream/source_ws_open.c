/* Connecting to a host: its wire, its dictionary, the cursor; what a refusal means.
 * Layer: jetstream. specs/jetstream.md §4, §5, §8.2, §8.5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/press.h"
#include "jetstream/dictionary.h"
#include "jetstream/source_ws.h"
#include "net/http.h"
#include "net/net.h"
#include "net/ws.h"
#include "rt/loop.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define PROBE_MS     5000
#define CONNECT_MS   10000
#define OVERLAP_US   INT64_C(30000000)
#define TIME_FROM    UINT64_C(1000000000000000)
#define SKEW_US      INT64_C(2000000)
#define LASTING_BODY 300

static void open_ws(struct zk_jet_ws_source *s);

/* ---- the wire, the dictionary ---- */

static bool wants_zstd(const struct zk_jet_ws_source *s, bool v2)
{
	if (s->conf.zstd == ZK_JET_ZSTD_OFF)
		return false;
	return v2 || s->dict1 != NULL;
}

static void take_dictionary(struct zk_jet_ws_source *s, struct zk_jet_host *h,
                            zk_str bytes)
{
	struct zk_error err;
	unsigned id = zk_jet_dictionary_id(bytes);

	if (!id || zk_zdict_new(bytes, &h->dict, &err) < 0) {
		h->no_dict = true;
		return;
	}
	h->dict_id = id;
	zk_jet_dictionary_keep(s->conf.cache_dir, bytes);
}

static void on_dictionary(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct zk_jet_ws_source *s = ctx;
	struct zk_jet_host *h = &s->hosts[s->host];

	s->probe = NULL;
	if (!err && res->status == 200) {
		if (h->wire == ZK_JET_WIRE_AUTO)
			h->wire = ZK_JET_WIRE_2;
		take_dictionary(s, h, res->body);
	} else {
		h->no_dict = true;
		if (h->wire == ZK_JET_WIRE_AUTO && !err)
			h->wire = ZK_JET_WIRE_1;
		else if (h->wire == ZK_JET_WIRE_2)
			zk_notice(
			        "the zstd dictionary cannot be fetched, going on without",
			        "host=%s status=%d", h->name,
			        err ? err->http_status : res->status);
	}
	if (h->wire == ZK_JET_WIRE_AUTO) {
		zk_jet_ws_next(s, "connect", false);
		return;
	}
	open_ws(s);
}

static bool probe(struct zk_jet_ws_source *s)
{
	struct zk_jet_host *h = &s->hosts[s->host];
	char *url =
	        zk_asprintf("%s/xrpc/network.bsky.jetstream.getZstdDictionary", h->http);
	struct zk_http_conf conf = { .url = url,
		                     .ctx = s,
		                     .max_body = ZK_JET_DICTIONARY_MAX,
		                     .timeout_ms = PROBE_MS,
		                     .flags = ZK_HTTP_ANY_STATUS | ZK_HTTP_FOLLOW };
	struct zk_error err;
	bool ok = zk_http_start(s->net, &conf, on_dictionary, &s->probe, &err) == 0;

	free(url);
	if (!ok)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a host cannot be asked", &err);
	return ok;
}

void zk_jet_ws_connect(struct zk_jet_ws_source *s)
{
	struct zk_jet_host *h = &s->hosts[s->host];

	zk_jet_ws_set_state(s, ZK_JET_CONNECTING);
	if (h->wire == ZK_JET_WIRE_AUTO ||
	    (h->wire == ZK_JET_WIRE_2 && wants_zstd(s, true) && !h->dict &&
	     !h->no_dict)) {
		if (!probe(s))
			zk_jet_ws_next(s, "connect", false);
		return;
	}
	open_ws(s);
}

/* ---- the cursor ---- */

static bool first_cursor(struct zk_jet_ws_source *s, uint64_t *ret)
{
	switch (s->since.kind) {
	case ZK_JET_POS_TIME:
		*ret = (uint64_t)s->since.time_us;
		s->resumed_us = s->since.time_us;
		return true;
	case ZK_JET_POS_SEQ:
		*ret = s->since.seq;
		return true;
	case ZK_JET_POS_LIVE:
		return false;
	case ZK_JET_POS_NONE:
		break;
	}
	return false;
}

static bool choose_cursor(struct zk_jet_ws_source *s, uint64_t *ret)
{
	bool stored = s->has_place &&
	              (s->since.kind == ZK_JET_POS_NONE || s->events || s->place.host[0]);
	bool sent;

	s->resumed_us = 0;
	/* What the user asked for counts until events came. */
	if (s->since.kind != ZK_JET_POS_NONE)
		return first_cursor(s, ret);
	if (!stored)
		return false;
	sent = zk_jet_cursor_for(&s->place, s->hosts[s->host].name, ret);
	if (sent)
		s->resumed_us = *ret >= TIME_FROM ? (int64_t)*ret : s->place.time_us;
	return sent;
}

static void set_overlap(struct zk_jet_ws_source *s, bool overlap)
{
	s->overlap = overlap;
	s->overlap_until_us = s->place.time_us + OVERLAP_US;
	s->base.hooks.on_overlap(s->base.hooks.ctx, overlap);
}

/* ---- the connection ---- */

static void say_hello(struct zk_jet_ws_source *s)
{
	struct zk_jet_subscription sub = { .v2 = s->hosts[s->host].wire == ZK_JET_WIRE_2,
		                           .filter = s->conf.filter };
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error err;

	zk_buf_init(&b, 10000000);
	if (!zk_jet_subscription_hello(&sub))
		return;
	zk_jet_options_update(s->conf.filter, s->conf.max_message_size, &b);
	if (zk_ws_send(s->ws, zk_buf_str(&b), false, &err) < 0)
		zk_jet_ws_next(s, "hello", false);
}

static void on_open(void *ctx, const struct zk_ws_hello *hello)
{
	struct zk_jet_ws_source *s = ctx;
	struct zk_jet_host *h = &s->hosts[s->host];
	int64_t now_us = zk_wall_us();

	s->connected_ms = s->last_event_ms = zk_mono_ms();
	s->live_ms = 0;
	s->events = 0;
	s->last_seq = 0;
	s->server_error = false;
	zk_notice("connected", "host=%s wire=%s cursor=%llu", h->name,
	          h->wire == ZK_JET_WIRE_2 ? "v2" : "v1",
	          (unsigned long long)s->sent_cursor);
	if (hello->date_s) {
		int64_t skew = now_us - (hello->date_s * 1000000 + 500000);

		if (skew > SKEW_US || skew < -SKEW_US)
			zk_warn("the clocks differ", "host=%s skew_s=%.1f", h->name,
			        (double)skew / 1e6);
	}
	if (s->base.hooks.on_certificate)
		s->base.hooks.on_certificate(s->base.hooks.ctx, hello->cert_until_s);
	zk_jet_ws_set_state(s, s->sent_cursor ? ZK_JET_CATCHING_UP : ZK_JET_LIVE);
	zk_timer_start(s->watch, 500, 500);
	say_hello(s);
}

static void on_message(void *ctx, zk_str message, bool binary)
{
	zk_jet_ws_message(ctx, message, binary);
}

static void on_too_big(void *ctx, zk_str head)
{
	struct zk_jet_ws_source *s = ctx;

	s->base.hooks.on_dead(s->base.hooks.ctx, ZK_JET_DEAD_TOO_BIG, head);
}

/* The name of an error in JSON, else empty. */
static zk_str error_name(zk_str body)
{
	struct zk_jscan js;
	struct zk_jval v;
	zk_str name = ZK_STR_NULL;

	if (zk_jscan(body, 16, NULL, 0, &js) == 0 &&
	    zk_jscan_get(js.top.raw, ZK_STR("error"), &v))
		(void)zk_jstr_plain(v.raw, &name);
	return name;
}

/* The oldest number in the text of CursorTooOld, or 0. */
static uint64_t floor_of(zk_str text)
{
	uint64_t best = 0;
	struct zk_error ignored;

	for (size_t i = 0; i < text.n;) {
		size_t n = 0;
		uint64_t v;

		while (i + n < text.n && text.p[i + n] >= '0' && text.p[i + n] <= '9')
			n++;
		if (n > 3 && zk_parse_u64(zk_str_n(text.p + i, n), &v, &ignored) == 0)
			best = v;
		i += n ? n : 1;
	}
	return best;
}

static void report_gap(struct zk_jet_ws_source *s, int64_t to_us, const char *reason)
{
	struct zk_jet_gap gap = { .from_us = s->resumed_us, .to_us = to_us };

	(void)snprintf(gap.host, sizeof(gap.host), "%s", s->hosts[s->host].name);
	(void)snprintf(gap.reason, sizeof(gap.reason), "%s", reason);
	s->base.hooks.on_gap(s->base.hooks.ctx, &gap);
}

static void on_too_old(struct zk_jet_ws_source *s, zk_str text)
{
	uint64_t floor = floor_of(text);

	report_gap(s, floor >= TIME_FROM ? (int64_t)floor : zk_wall_us(), "too_old");
	s->since = (struct zk_jet_pos){ .kind = ZK_JET_POS_LIVE };
	if (floor >= TIME_FROM)
		s->since = (struct zk_jet_pos){ .kind = ZK_JET_POS_TIME,
			                        .time_us = (int64_t)floor };
	else if (floor)
		s->since = (struct zk_jet_pos){ .kind = ZK_JET_POS_SEQ, .seq = floor };
	s->hosts[s->host].tried = true;
	zk_timer_start(s->timer, 0, 0);
}

/* A refusal that another host would repeat. */
static bool is_lasting(struct zk_jet_ws_source *s, const struct zk_ws_end *e)
{
	zk_str name = error_name(e->body);
	struct zk_error err = *e->err;

	if (e->http_status == 400 && zk_str_eq(name, ZK_STR("CursorTooOld"))) {
		on_too_old(s, e->body);
		return true;
	}
	if (e->http_status == 400 && zk_str_eq(name, ZK_STR("UnknownZstdDictionary"))) {
		struct zk_jet_host *h = &s->hosts[s->host];

		zk_zdict_free(ZK_TAKE(h->dict));
		h->no_dict = h->dict_id == 0;
		h->dict_id = 0;
		zk_timer_start(s->timer, 0, 0);
		return true;
	}
	if (e->http_status == 400 || (e->err->code == ZK_E_TLS && s->n_hosts == 1)) {
		if (e->body.n)
			(void)zk_fail(&err, err.code, "%s refuses the request: %.*s",
			              s->hosts[s->host].name,
			              (int)ZK_MIN(e->body.n, (size_t)LASTING_BODY),
			              e->body.p);
		zk_jet_ws_fail(s, &err);
		return true;
	}
	return false;
}

static const char *reason_of(const struct zk_ws_end *e)
{
	if (!e->opened)
		return e->http_status ? "refused" : "connect";
	if (e->code == ZK_WS_TOO_BIG)
		return "too_big";
	return e->by_peer ? "closed" : "lost";
}

static void on_end(void *ctx, const struct zk_ws_end *e)
{
	struct zk_jet_ws_source *s = ctx;

	s->ws = NULL;
	zk_timer_stop(s->watch);
	if (s->finishing) {
		zk_jet_ws_fail(s, NULL);
		return;
	}
	if (!e->opened && is_lasting(s, e))
		return;
	s->retry_after_ms = ZK_MAX(s->retry_after_ms, e->err->retry_after_ms);
	zk_log_error(ZK_LOG_NOTICE, ZK_LOGGER, "the connection ended", e->err);
	zk_jet_ws_next(s, reason_of(e), false);
}

static int make_unpress(struct zk_jet_ws_source *s, const struct zk_zdict *dict,
                        struct zk_error *err)
{
	zk_unpress_free(ZK_TAKE(s->unpress));
	s->bad_frames = 0;
	return zk_unpress_new(ZK_PRESS_ZSTD, dict, ZK_JET_EVENT_MAX, &s->unpress, err);
}

static void open_ws(struct zk_jet_ws_source *s)
{
	struct zk_jet_host *h = &s->hosts[s->host];
	bool v2 = h->wire == ZK_JET_WIRE_2;
	struct zk_jet_subscription sub = { .base = h->ws,
		                           .v2 = v2,
		                           .filter = s->conf.filter,
		                           .max_message_size = s->conf.max_message_size };
	struct zk_buf url ZK_CLEANUP(zk_buf_done);
	struct zk_ws_conf conf = { .protocol = v2 ? "xrpc.v1.json" : NULL,
		                   .max_message = ZK_JET_EVENT_MAX,
		                   .connect_timeout_ms = CONNECT_MS,
		                   .ctx = s,
		                   .on_open = on_open,
		                   .on_message = on_message,
		                   .on_too_big = on_too_big,
		                   .on_end = on_end };
	struct zk_error err = { 0 };
	int r = 0;

	zk_buf_init(&url, 65536);
	sub.has_cursor = choose_cursor(s, &sub.cursor);
	s->sent_cursor = sub.has_cursor ? sub.cursor : 0;
	if (sub.cursor >= TIME_FROM && (int64_t)sub.cursor > zk_wall_us())
		zk_warn("the position lies in the future, hosts take it for 'live'");
	set_overlap(s, sub.has_cursor && s->has_place);
	if (wants_zstd(s, v2)) {
		sub.compress = !v2;
		sub.dictionary = v2 ? h->dict_id : 0;
	}
	if (sub.compress || sub.dictionary)
		r = make_unpress(s, v2 ? h->dict : s->dict1, &err);
	else
		zk_unpress_free(ZK_TAKE(s->unpress));
	zk_jet_subscription_url(&sub, &url);
	conf.url = zk_buf_cstring(&url);
	if (r == 0)
		r = zk_ws_open(s->net, &conf, &s->ws, &err);
	if (r < 0) {
		zk_jet_ws_fail(s, &err);
		return;
	}
	if (s->paused)
		zk_ws_pause(s->ws);
}
