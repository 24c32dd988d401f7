/* The state machine of a host's stream: which host, when, how long it may be silent.
 * Layer: jetstream. specs/jetstream.md §7. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/press.h"
#include "jetstream/dictionary.h"
#include "jetstream/source_ws.h"
#include "net/http.h"
#include "net/net.h"
#include "net/ws.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define WATCH_MS      500
#define LIVE_LAG_US   INT64_C(5000000)
#define BEHIND_LAG_US INT64_C(10000000)
#define LIVE_FOR_MS   2000
#define QUIET_MS      10000
#define DEAD_MS       65000
#define GOOD_MS       30000 /* connected so long: the backoff begins anew */
#define STALL_MS      600000
#define USUAL_RATE    1.0
#define RATE_MS       10000

const char *zk_jet_state_name(enum zk_jet_state state)
{
	static const char *const names[] = {
		[ZK_JET_CONNECTING] = "connecting",
		[ZK_JET_CATCHING_UP] = "catching_up",
		[ZK_JET_LIVE] = "live",
		[ZK_JET_QUIET] = "quiet",
		[ZK_JET_STALLED] = "stalled",
		[ZK_JET_BACKOFF] = "backoff",
		[ZK_JET_READING] = "reading",
		[ZK_JET_ENDED] = "ended",
	};

	return names[state];
}

void zk_jet_ws_set_state(struct zk_jet_ws_source *s, enum zk_jet_state state)
{
	if (s->state == state && state != ZK_JET_CONNECTING)
		return;
	s->state = state;
	s->base.hooks.on_state(s->base.hooks.ctx, state, s->hosts[s->host].name);
}

static void disconnect(struct zk_jet_ws_source *s)
{
	zk_ws_abort(ZK_TAKE(s->ws));
	if (s->probe)
		zk_http_cancel(ZK_TAKE(s->probe));
	zk_unpress_free(ZK_TAKE(s->unpress));
}

void zk_jet_ws_fail(struct zk_jet_ws_source *s, const struct zk_error *err)
{
	if (s->ended)
		return;
	s->ended = true;
	disconnect(s);
	zk_timer_stop(s->timer);
	zk_timer_stop(s->watch);
	zk_jet_ws_set_state(s, ZK_JET_ENDED);
	s->base.hooks.on_end(s->base.hooks.ctx, err);
}

/* ---- the next host ---- */

static bool is_shaky(const struct zk_jet_host *h, int64_t now)
{
	return h->stalled_ms[1] && now - h->stalled_ms[1] < STALL_MS;
}

/* One that was not tried in this round, shaky ones last; false at the end of the round. */
static bool pick(struct zk_jet_ws_source *s)
{
	int64_t now = zk_mono_ms();

	for (int pass = 0; pass < 2; pass++) {
		for (size_t k = 1; k <= s->n_hosts; k++) {
			size_t i = (s->host + k) % s->n_hosts;

			if (s->hosts[i].tried ||
			    (pass == 0 && is_shaky(&s->hosts[i], now)))
				continue;
			s->host = i;
			return true;
		}
	}
	return false;
}

static void on_try(void *ctx)
{
	struct zk_jet_ws_source *s = ctx;

	s->hosts[s->host].tried = true;
	zk_jet_ws_connect(s);
}

static void new_round(struct zk_jet_ws_source *s, const char *why)
{
	int64_t wait;
	struct zk_error err = { 0 };

	s->rounds++;
	if (s->conf.max_rounds && s->rounds >= s->conf.max_rounds) {
		(void)zk_fail(&err, ZK_E_CONNECT,
		              "no host could be used in %llu rounds: %s",
		              (unsigned long long)s->rounds, why);
		zk_jet_ws_fail(s, &err);
		return;
	}
	for (size_t i = 0; i < s->n_hosts; i++)
		s->hosts[i].tried = false;
	(void)pick(s);
	wait = zk_retry_next(&s->retry, zk_mono_ms(), 0, &s->jitter);
	wait = ZK_MAX(ZK_MAX(wait, (int64_t)0), s->retry_after_ms);
	s->retry_after_ms = 0;
	zk_jet_ws_set_state(s, ZK_JET_BACKOFF);
	zk_warn("no host, waiting before the next round", "reason=%s wait_ms=%lld", why,
	        (long long)wait);
	zk_timer_start(s->timer, wait, 0);
}

void zk_jet_ws_next(struct zk_jet_ws_source *s, const char *why, bool stalled)
{
	int64_t now = zk_mono_ms();
	struct zk_jet_host *h = &s->hosts[s->host];

	if (s->ended)
		return;
	disconnect(s);
	zk_timer_stop(s->watch);
	zk_counter_add(zk_metrics_counter(s->metrics, "zk_jetstream_reconnects_total",
	                                  "connections that were given up",
	                                  (const char *[]){ "reason", why, NULL }),
	               1);
	if (s->finishing) {
		zk_jet_ws_fail(s, NULL);
		return;
	}
	if (stalled) {
		h->stalled_ms[1] =
		        h->stalled_ms[0] && now - h->stalled_ms[0] < STALL_MS ? now : 0;
		h->stalled_ms[0] = now;
	}
	if (s->connected_ms && now - s->connected_ms >= GOOD_MS && s->events) {
		struct zk_retry_conf conf = s->retry.conf;

		zk_retry_init(&s->retry, &conf, now);
		s->rounds = 0;
		for (size_t i = 0; i < s->n_hosts; i++)
			s->hosts[i].tried = i == s->host;
	}
	s->connected_ms = 0;
	if (!pick(s)) {
		new_round(s, why);
		return;
	}
	zk_jet_ws_set_state(s, ZK_JET_CONNECTING);
	zk_timer_start(s->timer, 0, 0);
}

/* ---- watching ---- */

static void measure(struct zk_jet_ws_source *s, int64_t now)
{
	if (now - s->rate_ms < RATE_MS)
		return;
	if (s->rate_events)
		s->rate = (double)s->rate_events * 1000.0 / (double)(now - s->rate_ms);
	s->rate_events = 0;
	s->rate_ms = now;
}

/* Behind, up to date, or in between; up to date only after a while. */
static void judge_lag(struct zk_jet_ws_source *s, int64_t now)
{
	int64_t lag = zk_wall_us() - s->place.time_us;

	if (lag > LIVE_LAG_US) {
		s->live_ms = 0;
		if (lag > BEHIND_LAG_US || s->state != ZK_JET_LIVE)
			zk_jet_ws_set_state(s, ZK_JET_CATCHING_UP);
		return;
	}
	if (!s->live_ms)
		s->live_ms = now;
	if (now - s->live_ms >= LIVE_FOR_MS)
		zk_jet_ws_set_state(s, ZK_JET_LIVE);
}

static void on_watch(void *ctx)
{
	struct zk_jet_ws_source *s = ctx;
	int64_t now = zk_mono_ms(), quiet;

	if (!s->ws || !s->connected_ms)
		return;
	measure(s, now);
	if (s->paused) {
		s->last_event_ms = now; /* its silence is ours */
		return;
	}
	quiet = now - ZK_MAX(s->last_event_ms, s->connected_ms);
	if (zk_ws_silence_ms(s->ws) > DEAD_MS ||
	    (s->rate >= USUAL_RATE && quiet > s->conf.stale_after_ms)) {
		zk_jet_ws_set_state(s, ZK_JET_STALLED);
		zk_warn("the host is silent, trying another", "host=%s silent_ms=%lld",
		        s->hosts[s->host].name, (long long)quiet);
		zk_jet_ws_next(s, "stalled", /* stalled */ true);
		return;
	}
	if (quiet > QUIET_MS)
		zk_jet_ws_set_state(s, ZK_JET_QUIET);
	else if (s->events)
		judge_lag(s, now);
}

/* ---- as a source ---- */

static void op_pause(struct zk_jet_source *b)
{
	struct zk_jet_ws_source *s = (struct zk_jet_ws_source *)b;

	s->paused = true;
	if (s->ws)
		zk_ws_pause(s->ws);
}

static void op_resume(struct zk_jet_source *b)
{
	struct zk_jet_ws_source *s = (struct zk_jet_ws_source *)b;

	s->paused = false;
	if (s->ws)
		zk_ws_resume(s->ws);
}

static void op_finish(struct zk_jet_source *b)
{
	struct zk_jet_ws_source *s = (struct zk_jet_ws_source *)b;

	s->finishing = true;
	if (s->ws && s->connected_ms)
		zk_ws_close(s->ws, ZK_WS_NORMAL, ZK_STR_NULL);
	else
		zk_jet_ws_fail(s, NULL);
}

static void op_free(struct zk_jet_source *b)
{
	struct zk_jet_ws_source *s = (struct zk_jet_ws_source *)b;

	disconnect(s);
	zk_timer_free(s->timer);
	zk_timer_free(s->watch);
	for (size_t i = 0; i < s->n_hosts; i++) {
		free(s->hosts[i].name);
		free(s->hosts[i].ws);
		free(s->hosts[i].http);
		zk_zdict_free(s->hosts[i].dict);
	}
	free(s->hosts);
	zk_zdict_free(s->dict1);
	zk_buf_done(&s->plain);
	zk_jet_v2_done(&s->v2);
	free(s);
}

static void op_place(const struct zk_jet_source *b, const struct zk_jet_mark *at,
                     struct zk_jet_stored_place *ret)
{
	const struct zk_jet_ws_source *s = (const struct zk_jet_ws_source *)b;

	memset(ret, 0, sizeof(*ret));
	(void)snprintf(ret->source, sizeof(ret->source), "host");
	ret->place = s->place;
	if (!at)
		return;
	ret->place.time_us = at->time_us;
	ret->place.seq = at->cursor;
}

/* The first wire takes new filters as they are; the second only with a new connection. */
static void op_refilter(struct zk_jet_source *b)
{
	struct zk_jet_ws_source *s = (struct zk_jet_ws_source *)b;
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	struct zk_error err;

	zk_buf_init(&text, 10000000);
	if (!s->ws || !s->connected_ms)
		return;
	if (s->hosts[s->host].wire == ZK_JET_WIRE_1) {
		zk_jet_options_update(s->conf.filter, s->conf.max_message_size, &text);
		if (zk_ws_send(s->ws, zk_buf_str(&text), false, &err) == 0)
			return;
	}
	for (size_t i = 0; i < s->n_hosts; i++)
		s->hosts[i].tried = false;
	ZK_ASSERT(s->n_hosts);
	s->host = (s->host + s->n_hosts - 1) % s->n_hosts; /* the same one again */
	zk_jet_ws_next(s, "reload", false);
}

static const struct zk_jet_source_ops ops = {
	.pause = op_pause,
	.resume = op_resume,
	.finish = op_finish,
	.free = op_free,
	.place = op_place,
	.refilter = op_refilter,
};

/* ---- making it ---- */

static int add_host(struct zk_jet_ws_source *s, const char *text, struct zk_error *err)
{
	static const struct {
		zk_str prefix;
		bool tls;
	} schemes[] = { { ZK_STR_INIT("wss://"), true },
		        { ZK_STR_INIT("https://"), true },
		        { ZK_STR_INIT("ws://"), false },
		        { ZK_STR_INIT("http://"), false } };
	struct zk_jet_host *h = &s->hosts[s->n_hosts];
	zk_str rest = zk_str_of(text), path;
	bool tls = true;

	for (size_t i = 0; i < ZK_ARRAY_LEN(schemes); i++) {
		if (!zk_str_starts_nocase(rest, schemes[i].prefix))
			continue;
		rest = zk_str_from(rest, schemes[i].prefix.n);
		tls = schemes[i].tls;
		break;
	}
	path = zk_str_cut(rest, '/', &rest);
	if (!rest.n || path.n || zk_str_find_char(rest, '@') >= 0 ||
	    zk_str_find_char(rest, '?') >= 0 || rest.n > 250)
		return zk_fail(err, ZK_E_USAGE,
		               "--host: '%s' is not HOST, ws://HOST or wss://HOST", text);
	h->name = zk_strndup(rest.p, rest.n);
	h->ws = zk_asprintf("%s://%s", tls ? "wss" : "ws", h->name);
	h->http = zk_asprintf("%s://%s", tls ? "https" : "http", h->name);
	h->wire = s->conf.wire;
	if (h->wire == ZK_JET_WIRE_AUTO && zk_str_starts(rest, ZK_STR("jetstream.")))
		h->wire = ZK_JET_WIRE_2;
	s->n_hosts++;
	return 0;
}

static int setup(struct zk_jet_ws_source *s, struct zk_error *err)
{
	const struct zk_jet_ws_source_conf *c = &s->conf;

	s->hosts = zk_alloc_array(c->n_hosts, sizeof(*s->hosts));
	for (size_t i = 0; i < c->n_hosts; i++)
		if (add_host(s, c->hosts[i], err) < 0)
			return -(int)err->code;
	if (!c->dictionary)
		return 0;
	return zk_jet_dictionary_load(c->dictionary, &s->dict1, err);
}

int zk_jet_ws_source_new(struct zk_net *net, const struct zk_jet_ws_source_conf *conf,
                         const struct zk_jet_source_hooks *hooks, struct zk_metrics *m,
                         struct zk_jet_source **ret, struct zk_error *err)
{
	struct zk_jet_ws_source *s = zk_new0(struct zk_jet_ws_source);
	struct zk_retry_conf retry = { .max_retries = UINT64_MAX,
		                       .base_ms = conf->base_ms ? conf->base_ms : 250,
		                       .cap_ms = conf->cap_ms ? conf->cap_ms : 30000 };
	uint64_t seed;

	s->base.ops = &ops;
	s->base.hooks = *hooks;
	s->net = net;
	s->loop = zk_net_loop(net);
	s->conf = *conf;
	s->metrics = m;
	s->since = conf->since;
	s->place = conf->start;
	s->has_place = conf->start.time_us || conf->start.seq;
	zk_buf_init(&s->plain, ZK_JET_EVENT_MAX);
	zk_jet_v2_init(&s->v2);
	zk_retry_init(&s->retry, &retry, zk_mono_ms());
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&s->jitter, seed);
	s->timer = zk_timer_new(s->loop, on_try, s);
	s->watch = zk_timer_new(s->loop, on_watch, s);
	s->skipped = zk_metrics_counter(m, "zk_jetstream_skipped_frames_total",
	                                "frames of an unknown kind", NULL);
	if (setup(s, err) < 0) {
		op_free(&s->base);
		return -(int)err->code;
	}
	/* The host of the stored position first. */
	for (size_t i = 0; i < s->n_hosts; i++)
		if (strcmp(s->hosts[i].name, s->place.host) == 0)
			s->host = i;
	zk_timer_start(s->timer, 0, 0);
	*ret = &s->base;
	return 0;
}
