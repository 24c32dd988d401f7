/* Metrics of the API (specs/triggers.md §12.4).
 * Layer: triggers. Series of the hot path are made once and kept. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/metrics.h"
#include "triggers/api.h"

#include "base/ban.h"

#define MAX_STATUS 600

struct route_metrics {
	struct zk_counter *by_status[MAX_STATUS]; /* made on first use */
	struct zk_histogram *seconds;
};

struct zk_trig_api_metrics {
	struct zk_counter *ingested, *duplicates, *limit_exceeded;
	struct zk_counter *auth_ok, *auth_bad, *limit_ok, *limit_bad;
	struct zk_histogram *ingest_seconds, *auth_seconds, *limit_seconds;
	struct zk_gauge *queue, *connections, *wal_bytes, *db_bytes, *in_flight, *due,
	        *oldest, *circuits;
	struct route_metrics *routes; /* one per endpoint, and one for "none" */
};

static struct zk_counter *counter(struct zk_trig_server *s, const char *name,
                                  const char *help, const char *label, const char *value)
{
	const char *labels[] = { label, value, NULL };

	return zk_metrics_counter(s->metrics, name, help, label ? labels : NULL);
}

static struct zk_gauge *gauge(struct zk_trig_server *s, const char *name,
                              const char *help)
{
	return zk_metrics_gauge(s->metrics, name, help, NULL);
}

static struct zk_histogram *histogram(struct zk_trig_server *s, const char *name,
                                      const char *help)
{
	return zk_metrics_histogram(s->metrics, name, help, zk_buckets_seconds,
	                            ZK_ARRAY_LEN(zk_buckets_seconds), NULL);
}

static void collect(void *ctx)
{
	struct zk_trig_server *s = ctx;
	struct zk_trig_api_metrics *m = s->m;
	const struct zk_trig_health *h = s->repo->ops->health(s->repo);
	struct zk_trig_deliver_stats d;

	zk_trig_deliver_stats(s->deliver, &d);
	zk_gauge_set(m->queue, (double)h->queue_events);
	zk_gauge_set(m->wal_bytes, (double)h->wal_bytes);
	zk_gauge_set(m->db_bytes, (double)h->db_bytes);
	zk_gauge_set(m->connections, zk_httpd_connections(s->httpd));
	zk_gauge_set(m->in_flight, d.in_flight);
	zk_gauge_set(m->due, (double)d.due);
	zk_gauge_set(m->circuits, d.circuits_open);
	int64_t now_us = d.oldest_due_us ? zk_wall_us() : 0;

	zk_gauge_set(m->oldest, now_us > d.oldest_due_us
	                                ? (double)(now_us - d.oldest_due_us) / 1e6
	                                : 0);
}

static void make_gauges(struct zk_trig_server *s, struct zk_trig_api_metrics *m)
{
	m->queue = gauge(s, "event_queue_size", "Events waiting for the writer");
	m->connections = gauge(s, "zk_triggers_connections", "Open client connections");
	m->wal_bytes = gauge(s, "zk_triggers_wal_bytes", "Size of the write-ahead log");
	m->db_bytes = gauge(s, "zk_triggers_db_bytes", "Size of the database file");
	m->in_flight = gauge(s, "zk_triggers_deliveries_in_flight",
	                     "Webhook requests under way");
	m->due = gauge(s, "zk_triggers_deliveries_due", "Deliveries that are due");
	m->oldest = gauge(s, "zk_triggers_delivery_oldest_due_seconds",
	                  "Age of the oldest due delivery");
	m->circuits =
	        gauge(s, "zk_triggers_circuit_open", "Webhooks whose circuit is open");
}

struct zk_trig_api_metrics *zk_trig_api_metrics_new(struct zk_trig_server *s)
{
	struct zk_trig_api_metrics *m = zk_new0(struct zk_trig_api_metrics);

	m->routes = zk_alloc_array(zk_trig_n_endpoints + 1, sizeof(*m->routes));
	m->ingested = counter(s, "events_ingested_total", "Accepted events", NULL, NULL);
	m->duplicates = counter(s, "zk_triggers_duplicates_total",
	                        "Events refused because of their dedup_id", NULL, NULL);
	m->auth_ok = counter(s, "auth_checks_total", "Key checks", "result", "ok");
	m->auth_bad = counter(s, "auth_checks_total", "Key checks", "result", "failed");
	m->limit_ok = counter(s, "rate_limit_checks_total", "Rate limit checks", "result",
	                      "ok");
	m->limit_bad = counter(s, "rate_limit_checks_total", "Rate limit checks",
	                       "result", "exceeded");
	m->limit_exceeded = counter(s, "rate_limit_exceeded_total",
	                            "Requests over the rate limit", NULL, NULL);
	m->ingest_seconds = histogram(s, "event_ingestion_latency_seconds",
	                              "From the first byte of a request to its 202");
	m->limit_seconds = histogram(s, "rate_limit_check_latency_seconds",
	                             "Time to check a rate limit");
	/* Nothing is asked of Redis yet: without one it is not up. */
	zk_gauge_set(gauge(s, "zk_triggers_redis_up", "Whether Redis answers"), 0);
	m->auth_seconds = histogram(s, "auth_latency_seconds", "Time to check a key");
	make_gauges(s, m);
	s->m = m;
	zk_metrics_on_collect(s->metrics, collect, s);
	return m;
}

void zk_trig_api_metrics_free(struct zk_trig_api_metrics *m)
{
	if (!m)
		return;
	free(m->routes);
	free(m);
}

static struct zk_counter *request_counter(struct zk_trig_server *s,
                                          const struct zk_trig_endpoint *e, int status)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", status);
	const char *labels[] = { "route",  e ? e->pattern : "none",
		                 "method", e ? e->method : "none",
		                 "status", text,
		                 NULL };

	return zk_metrics_counter(s->metrics, "zk_triggers_http_requests_total",
	                          "Answered requests", labels);
}

void zk_trig_metric_request(struct zk_trig_server *s, const struct zk_trig_endpoint *e,
                            int status, int64_t micros)
{
	size_t at = e ? (size_t)(e - zk_trig_endpoints) : zk_trig_n_endpoints;
	struct route_metrics *r = &s->m->routes[at];

	if (status < 0 || status >= MAX_STATUS)
		status = 0;
	if (!r->by_status[status])
		r->by_status[status] = request_counter(s, e, status);
	if (!r->seconds) {
		const char *labels[] = { "route", e ? e->pattern : "none", NULL };

		r->seconds = zk_metrics_histogram(
		        s->metrics, "zk_triggers_http_request_seconds",
		        "Time from the first byte of a request to its "
		        "answer",
		        zk_buckets_seconds, ZK_ARRAY_LEN(zk_buckets_seconds), labels);
	}
	zk_counter_add(r->by_status[status], 1);
	zk_histogram_observe(r->seconds, (double)micros / 1e6);
}

void zk_trig_metric_auth(struct zk_trig_server *s, bool ok, int64_t micros)
{
	zk_counter_add(ok ? s->m->auth_ok : s->m->auth_bad, 1);
	zk_histogram_observe(s->m->auth_seconds, (double)micros / 1e6);
}

void zk_trig_metric_limit(struct zk_trig_server *s, bool ok, int64_t micros)
{
	zk_histogram_observe(s->m->limit_seconds, (double)micros / 1e6);
	zk_counter_add(ok ? s->m->limit_ok : s->m->limit_bad, 1);
	if (!ok)
		zk_counter_add(s->m->limit_exceeded, 1);
}

void zk_trig_metric_accepted(struct zk_trig_server *s, uint64_t n, int64_t micros)
{
	zk_counter_add(s->m->ingested, n);
	zk_histogram_observe(s->m->ingest_seconds, (double)micros / 1e6);
}

void zk_trig_metric_duplicate(struct zk_trig_server *s)
{
	zk_counter_add(s->m->duplicates, 1);
}

void zk_trig_count_error(struct zk_trig_server *s, const char *kind)
{
	zk_counter_add(counter(s, "events_failed_total", "Requests that stored nothing",
	                       "error", kind),
	               1);
}

void zk_trig_count_invalid(struct zk_trig_server *s, const char *type)
{
	zk_counter_add(counter(s, "validation_errors_total",
	                       "Requests refused by validation", "type", type),
	               1);
}
