/* Health, readiness, metrics, the API description and the page (specs/triggers.md §5.11, §14.2).
 * Layer: triggers. Nothing here touches the database. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"
#include "codec/jwrite.h"
#include "rt/metrics.h"
#include "triggers/api.h"
#include "triggers/assets.h"

#include "base/ban.h"

static const struct zk_trig_health *health(const struct zk_trig_call *c)
{
	return c->s->repo->ops->health(c->s->repo);
}

/* NULL when all is well. */
static const char *why_unhealthy(const struct zk_trig_call *c)
{
	const struct zk_trig_health *h = health(c);

	if (c->s->draining)
		return "shutting down";
	if (!h->connected)
		return h->reason[0] ? h->reason : "the store is gone";
	if (!h->writable)
		return h->reason[0] ? h->reason : "the store cannot be written";
	return NULL;
}

void zk_trig_api_health(struct zk_trig_call *c)
{
	const char *why = why_unhealthy(c);
	struct zk_buf *b = &c->s->body;

	if (!why) {
		zk_trig_reply(c, 200, ZK_STR_NULL, ZK_STR("{\"status\":\"healthy\"}"));
		return;
	}
	zk_buf_clear(b);
	zk_buf_lit(b, "{\"status\":\"unhealthy\",\"reason\":");
	zk_buf_json_str(b, zk_str_of(why));
	zk_buf_char(b, '}');
	zk_trig_reply(c, 503, ZK_STR_NULL, zk_buf_str(b));
}

void zk_trig_api_health_service(struct zk_trig_call *c)
{
	if (why_unhealthy(c))
		zk_trig_reply(
		        c, 503, ZK_STR_NULL,
		        ZK_STR("{\"status\":\"unhealthy\",\"service\":\"Zapier Triggers "
		               "API\"}"));
	else
		zk_trig_reply(
		        c, 200, ZK_STR_NULL,
		        ZK_STR("{\"status\":\"healthy\",\"service\":\"Zapier Triggers "
		               "API\"}"));
}

void zk_trig_api_live(struct zk_trig_call *c)
{
	struct zk_buf *b = &c->s->body;

	zk_buf_clear(b);
	zk_buf_lit(b, "{\"status\":\"ok\",\"timestamp\":");
	zk_trig_time_json(b, zk_wall_us());
	zk_buf_char(b, '}');
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(b));
}

void zk_trig_api_ready(struct zk_trig_call *c)
{
	const char *why = why_unhealthy(c);
	struct zk_buf *b = &c->s->body;

	zk_buf_clear(b);
	if (!why) {
		zk_buf_lit(b, "{\"status\":\"ready\",\"database\":\"connected\"");
	} else {
		zk_buf_printf(
		        b, "{\"status\":\"not_ready\",\"database\":\"%s\",\"error\":",
		        health(c)->connected && health(c)->writable ? "connected"
		                                                    : "disconnected");
		zk_buf_json_str(b, zk_str_of(why));
	}
	zk_buf_lit(b, ",\"timestamp\":");
	zk_trig_time_json(b, zk_wall_us());
	zk_buf_char(b, '}');
	zk_trig_reply(c, why ? 503 : 200, ZK_STR_NULL, zk_buf_str(b));
}

static void put_config(struct zk_jwrite *w, const struct zk_trig_server_conf *conf)
{
	static const char *const tiers[] = { "free", "pro", "business", "enterprise" };

	zk_jw_key(w, "config");
	zk_jw_obj(w);
	zk_jw_key(w, "max_payload_bytes");
	zk_jw_u64(w, conf->max_payload);
	zk_jw_key(w, "max_body_bytes");
	zk_jw_u64(w, conf->http.max_body);
	zk_jw_key(w, "max_depth");
	zk_jw_u64(w, conf->max_depth);
	zk_jw_key(w, "max_connections");
	zk_jw_u64(w, conf->http.max_connections);
	zk_jw_key(w, "dedup_window_seconds");
	zk_jw_i64(w, conf->repo.dedup_window_us / 1000000);
	zk_jw_key(w, "delivery_enabled");
	zk_jw_bool(w, conf->deliver.enabled);
	zk_jw_key(w, "delivery_max");
	zk_jw_u64(w, conf->deliver.max_in_flight);
	zk_jw_key(w, "delivery_timeout_ms");
	zk_jw_i64(w, conf->deliver.timeout_ms);
	zk_jw_key(w, "durability");
	zk_jw_cstr(w, conf->repo.full ? "full" : "process");
	zk_jw_key(w, "rate_limit_per_minute");
	zk_jw_obj(w);
	for (size_t i = 0; i < ZK_ARRAY_LEN(tiers); i++) {
		zk_jw_key(w, tiers[i]);
		zk_jw_u64(w, conf->rate_limit[i]);
	}
	zk_jw_obj_end(w);
	zk_jw_obj_end(w);
}

static void put_queues(struct zk_jwrite *w, const struct zk_trig_health *h,
                       const struct zk_trig_deliver_stats *d)
{
	zk_jw_key(w, "queues");
	zk_jw_obj(w);
	zk_jw_key(w, "event_queue_length");
	zk_jw_u64(w, h->queue_events);
	zk_jw_key(w, "webhook_queue_length");
	zk_jw_u64(w, d->due);
	zk_jw_key(w, "event_pending_processing");
	zk_jw_u64(w, h->queue_events);
	zk_jw_key(w, "webhook_pending_processing");
	zk_jw_u64(w, d->in_flight);
	zk_jw_obj_end(w);
	zk_jw_key(w, "delivery");
	zk_jw_obj(w);
	zk_jw_key(w, "in_flight");
	zk_jw_u64(w, d->in_flight);
	zk_jw_key(w, "due");
	zk_jw_u64(w, d->due);
	zk_jw_key(w, "oldest_due_seconds");
	zk_jw_double(w, d->oldest_due_us ? (double)(zk_wall_us() - d->oldest_due_us) / 1e6
	                                 : 0);
	zk_jw_key(w, "circuits_open");
	zk_jw_u64(w, d->circuits_open);
	zk_jw_obj_end(w);
}

void zk_trig_server_snapshot(struct zk_trig_server *s, struct zk_buf *b)
{
	const struct zk_trig_health *h = s->repo->ops->health(s->repo);
	struct zk_trig_deliver_stats d;
	struct zk_jwrite w;
	bool ok = h->connected && h->writable && !s->draining;

	zk_trig_deliver_stats(s->deliver, &d);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "status");
	zk_jw_cstr(&w, ok ? "healthy" : "unhealthy");
	zk_jw_key(&w, "version");
	zk_jw_cstr(&w, ZK_VERSION);
	zk_jw_key(&w, "uptime_seconds");
	zk_jw_i64(&w, (zk_mono_us() - s->start_us) / 1000000);
	zk_jw_key(&w, "database");
	zk_jw_cstr(&w, h->connected && h->writable ? "connected" : "disconnected");
	zk_jw_key(&w, "redis");
	zk_jw_cstr(&w, "not_configured");
	zk_jw_key(&w, "connections");
	zk_jw_u64(&w, zk_httpd_connections(s->httpd));
	zk_jw_key(&w, "events");
	zk_jw_u64(&w, h->events);
	zk_jw_key(&w, "wal_bytes");
	zk_jw_u64(&w, h->wal_bytes);
	zk_jw_key(&w, "db_bytes");
	zk_jw_u64(&w, h->db_bytes);
	put_queues(&w, h, &d);
	put_config(&w, &s->conf);
	zk_jw_obj_end(&w);
}

void zk_trig_api_detailed(struct zk_trig_call *c)
{
	struct zk_buf *b = &c->s->body;

	zk_buf_clear(b);
	zk_trig_server_snapshot(c->s, b);
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(b));
}

void zk_trig_api_metrics_get(struct zk_trig_call *c)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	if (c->s->metrics_httpd) {
		zk_trig_fail(c,
		             &(struct zk_trig_problem){ .status = 404,
		                                        .code = "not_found",
		                                        .error = "Not found" },
		             "metrics are served on an address of their own");
		return;
	}
	zk_buf_init(&b, 8 * 1024 * 1024);
	zk_metrics_format(c->s->metrics, &b);
	zk_trig_reply_type(c, 200, "text/plain; version=0.0.4; charset=utf-8",
	                   ZK_STR_NULL, zk_buf_str(&b));
}

void zk_trig_api_openapi(struct zk_trig_call *c)
{
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_trig_openapi());
}

static bool wants_html(const struct zk_trig_call *c)
{
	zk_str accept = zk_httpd_header(c->req, ZK_STR("Accept"));

	return zk_str_find(accept, ZK_STR("text/html")) >= 0;
}

void zk_trig_api_root(struct zk_trig_call *c)
{
	if (!c->s->conf.ui || !wants_html(c)) {
		zk_trig_reply(c, 200, ZK_STR("Vary: Accept\r\n"),
		              ZK_STR("{\"status\":\"ok\",\"message\":\"Zapier Triggers "
		                     "API\"}"));
		return;
	}
	zk_trig_reply_type(c, 200, "text/html; charset=utf-8", zk_trig_page_headers(),
	                   zk_trig_page());
}
