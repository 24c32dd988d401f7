/* /status, and the table of the page.
 * Layer: jetstream. */
#include "jetstream/status.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/recent.h"
#include "base/version.h"
#include "codec/jkv.h"
#include "jetstream/view.h"
#include "net/recent.h"

#include "base/ban.h"

void zk_jet_history_init(struct zk_jet_history *h)
{
	*h = (struct zk_jet_history){ .started_us = zk_wall_us(),
		                      .began_ms = zk_mono_ms() };
}

void zk_jet_history_step(struct zk_jet_history *h, uint64_t stored)
{
	h->rates[h->next] = (double)(stored - h->stored) * 1000 / ZK_JET_STEP_MS;
	h->stored = stored;
	h->next = (h->next + 1) % ZK_JET_HOUR_STEPS;
	h->n = ZK_MIN(h->n + 1, (unsigned)ZK_JET_HOUR_STEPS);
}

static int64_t uptime_s(const struct zk_jet_history *h)
{
	return (zk_mono_ms() - h->began_ms) / 1000;
}

/* ---- JSON ---- */

static void put_history(const struct zk_jet_history *h, struct zk_jwrite *j)
{
	zk_jw_kv_obj(j, "history");
	zk_jw_kv_i64(j, "step_seconds", ZK_JET_STEP_MS / 1000);
	zk_jw_kv_arr(j, "stored_per_second");
	for (unsigned i = h->n; i > 0; i--)
		zk_jw_double(
		        j,
		        h->rates[(h->next + ZK_JET_HOUR_STEPS - i) % ZK_JET_HOUR_STEPS]);
	zk_jw_arr_end(j);
	zk_jw_obj_end(j);
}

static void put_exchange(void *ctx, const struct zk_net_exchange *x)
{
	struct zk_jwrite *j = ctx;

	zk_jw_obj(j);
	zk_jw_kv_time(j, "at", x->at_us);
	zk_jw_kv_cstr(j, "method", x->method);
	zk_jw_kv_cstr(j, "url", x->url);
	if (x->status)
		zk_jw_kv_i64(j, "status", x->status);
	else
		zk_jw_kv_null(j, "status");
	zk_jw_kv_i64(j, "ms", x->micros / 1000);
	zk_jw_kv_cstr(j, "error", x->error[0] ? x->error : NULL);
	zk_jw_obj_end(j);
}

static void put_errors(struct zk_jwrite *j)
{
	struct zk_recent_error v[ZK_RECENT_ERRORS];
	size_t n = zk_recent_errors(v);

	zk_jw_kv_arr(j, "errors");
	for (size_t i = 0; i < n; i++) {
		const struct zk_code_info *code = zk_code_find(v[i].code);
		char text[16];

		(void)snprintf(text, sizeof(text), "ZK%04d", v[i].code);
		zk_jw_obj(j);
		zk_jw_kv_time(j, "at", v[i].at_us);
		zk_jw_kv_cstr(j, "code", text);
		zk_jw_kv_cstr(j, "logger", v[i].logger);
		zk_jw_kv_cstr(j, "message", v[i].msg);
		zk_jw_kv_cstr(j, "error", v[i].error);
		zk_jw_kv_cstr(j, "explain", code ? code->title : NULL);
		zk_jw_obj_end(j);
	}
	zk_jw_arr_end(j);
}

static void put_peers(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_kv_arr(j, "peers");
	if (v->pipe.host[0] && v->pipe.tls_until_s) {
		zk_jw_obj(j);
		zk_jw_kv_cstr(j, "name", v->pipe.host);
		zk_jw_kv_time(j, "certificate_until", v->pipe.tls_until_s * 1000000);
		zk_jw_obj_end(j);
	}
	zk_jw_arr_end(j);
}

void zk_jet_status_put(const struct zk_jet_history *h, const struct zk_jet_view *v,
                       const struct zk_net *net, zk_str config, struct zk_jwrite *j)
{
	zk_jw_kv_cstr(j, "version", ZK_VERSION);
	zk_jw_kv_time(j, "started_at", h->started_us);
	zk_jw_kv_i64(j, "uptime_seconds", uptime_s(h));
	put_history(h, j);
	zk_jw_kv_arr(j, "exchanges");
	if (net)
		zk_net_recent_each(net, put_exchange, j);
	zk_jw_arr_end(j);
	put_errors(j);
	put_peers(v, j);
	zk_jw_key(j, "config");
	zk_jw_raw(j, config.n ? config : ZK_STR("[]"));
}

/* ---- HTML ---- */

static void put_html(struct zk_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			zk_buf_lit(b, "&lt;");
		else if (*s == '&')
			zk_buf_lit(b, "&amp;");
		else
			zk_buf_char(b, *s);
	}
}

static void row(struct zk_buf *b, const char *name, const char *value)
{
	zk_buf_lit(b, "<tr><th>");
	put_html(b, name);
	zk_buf_lit(b, "</th><td>");
	put_html(b, value);
	zk_buf_lit(b, "</td></tr>");
}

static void number_row(struct zk_buf *b, const char *name, uint64_t v)
{
	char text[21];

	text[zk_format_u64(v, text)] = '\0';
	row(b, name, text);
}

void zk_jet_status_rows(const struct zk_jet_history *h, const struct zk_jet_view *v,
                        struct zk_buf *b)
{
	char text[700];
	double lag;

	row(b, "status", zk_jet_view_status(v));
	number_row(b, "up, seconds", (uint64_t)uptime_s(h));
	row(b, "host", v->pipe.host[0] ? v->pipe.host : "none");
	row(b, "state", zk_jet_state_name(v->pipe.state));
	if (v->pipe.held)
		row(b, "held back by", v->pipe.held);
	(void)snprintf(text, sizeof(text), "%.1f", v->pipe.rate_1m);
	row(b, "per second, last minute", text);
	if (zk_jet_view_lag(v, &lag)) {
		(void)snprintf(text, sizeof(text), "%.1f", lag);
		row(b, "behind the stream, seconds", text);
	}
	number_row(b, "stored", v->pipe.stored);
	number_row(b, "waiting", v->pipe.waiting);
	number_row(b, "dead letters", v->pipe.dead);
	for (size_t i = 0; i < v->n_followers; i++) {
		const struct zk_jet_follower_view *f = &v->followers[i];

		(void)snprintf(text, sizeof(text), "%s, lag %llu %s", f->state,
		               (unsigned long long)f->lag, f->error);
		row(b, f->name, text);
	}
}
