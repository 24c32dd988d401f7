/* `zk zerobus send`: its metrics, for Prometheus and for OpenTelemetry.
 * Layer: cmd. specs/zerobus.md §17. */
#include "cmd/zerobus_send_metrics.h"

#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "cmd/zerobus_send.h"
#include "codec/otlp.h"
#include "net/otel.h"
#include "rt/metrics.h"
#include "zerobus/request.h"

#include "base/ban.h"

static const double sizes[] = { 1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 2.5e6, 5e6, 1.05e7 };
static const char *const outcomes[] = { "acked", "rejected", "spooled", "skipped" };
static const char *const results[] = { "ok", "failed" };

static struct zk_counter *counter(struct zk_metrics *m, const char *name,
                                  const char *help, const char *label, const char *value)
{
	const char *labels[] = { label, value, NULL };

	return zk_metrics_counter(m, name, help, labels);
}

static struct zk_histogram *latency(struct zk_metrics *m, const char *name,
                                    const char *help)
{
	return zk_metrics_histogram(m, name, help, zk_buckets_seconds,
	                            ZK_ARRAY_LEN(zk_buckets_seconds), NULL);
}

void zb_metrics_init(struct zb_metrics *x, struct zk_metrics *m)
{
	x->registry = m;
	x->start_ns = (uint64_t)zk_wall_us() * 1000;
	for (size_t i = 0; i < ZK_ARRAY_LEN(outcomes); i++)
		x->rows[i] =
		        counter(m, "zk_zerobus_rows_total", "rows by what became of them",
		                "outcome", outcomes[i]);
	for (size_t i = 0; i < ZK_ARRAY_LEN(results); i++)
		x->tokens[i] =
		        counter(m, "zk_zerobus_token_refreshes_total",
		                "tokens that were asked for", "result", results[i]);
	x->size = zk_metrics_histogram(m, "zk_zerobus_batch_bytes", "bytes of a request",
	                               sizes, ZK_ARRAY_LEN(sizes), NULL);
	x->latency[true] = latency(m, "zk_zerobus_ack_latency_seconds",
	                           "from the stream to the acknowledgement");
	x->latency[false] =
	        latency(m, "zk_zerobus_failed_latency_seconds",
	                "from the stream to a refusal, or until it was given up");
	x->inflight_bytes = zk_metrics_gauge(m, "zk_zerobus_inflight_bytes",
	                                     "bytes without an outcome", NULL);
	x->inflight_requests = zk_metrics_gauge(m, "zk_zerobus_inflight_requests",
	                                        "requests without an outcome", NULL);
	x->lag = zk_metrics_gauge(m, "zk_zerobus_ack_lag_seconds",
	                          "age of the oldest request without an outcome", NULL);
}

void zb_metrics_settled(struct zb_metrics *x, const struct zk_zb_request *r, bool good)
{
	x->settled[good]++;
	zk_histogram_observe(x->size, (double)r->n);
	/* One that never entered a stream took no time there. */
	if (r->queued_us)
		zk_histogram_observe(x->latency[good],
		                     (double)(zk_mono_us() - r->queued_us) / 1e6);
}

void zb_metrics_reopened(struct zb_metrics *x, const char *reason, bool is_retry)
{
	struct zb_reason *v = NULL;

	for (size_t i = 0; i < x->n_reasons; i++)
		if (strcmp(x->reasons[i].name, reason) == 0)
			v = &x->reasons[i];
	if (!v && x->n_reasons < ZK_ARRAY_LEN(x->reasons)) {
		v = &x->reasons[x->n_reasons++];
		v->name = reason;
		v->reconnects =
		        counter(x->registry, "zk_zerobus_reconnects_total",
		                "streams that were opened again", "reason", reason);
		v->retries = counter(x->registry, "zk_zerobus_retries_total",
		                     "attempts after a failure", "reason", reason);
	}
	if (!v)
		return;
	zk_counter_add(v->reconnects, 1);
	if (is_retry)
		zk_counter_add(v->retries, 1);
}

void zb_metrics_token(struct zb_metrics *x, bool good)
{
	zk_counter_add(x->tokens[!good], 1);
}

static void set_rows(struct zk_counter *c, uint64_t v)
{
	zk_counter_add(c, v - zk_counter_get(c));
}

void zb_metrics_look(struct zb_metrics *x, const struct zb_counts *n,
                     const struct zk_zb_sender_stat *st)
{
	set_rows(x->rows[0], n->acked);
	set_rows(x->rows[1], n->rejected);
	set_rows(x->rows[2], n->spooled);
	set_rows(x->rows[3], n->skipped);
	zk_gauge_set(x->inflight_bytes, (double)st->bytes);
	zk_gauge_set(x->inflight_requests, (double)st->requests);
	zk_gauge_set(x->lag,
	             st->oldest_us ? (double)(zk_mono_us() - st->oldest_us) / 1e6 : 0);
}

/* ---- OpenTelemetry ---- */

struct writer {
	struct zk_buf *b;
	uint64_t start_ns, now_ns;
};

static void put(const struct writer *w, const char *label, const char *value, uint64_t v)
{
	zk_otlp_point(w->b);
	if (label)
		zk_otlp_str(w->b, label, zk_str_of(value));
	zk_otlp_point_u64(w->b, w->start_ns, w->now_ns, v);
}

static void put_success(const struct writer *w, bool good, uint64_t v)
{
	zk_otlp_point(w->b);
	zk_otlp_bool(w->b, "success", good);
	zk_otlp_point_u64(w->b, w->start_ns, w->now_ns, v);
}

static void put_gauge(const struct writer *w, const char *name, const char *unit,
                      double v)
{
	zk_otlp_metric(w->b, name, unit, ZK_OTLP_GAUGE);
	put(w, NULL, NULL, (uint64_t)v);
	zk_otlp_metric_end(w->b, ZK_OTLP_GAUGE);
}

/* One point. `scale`: from the unit of the histogram to that of the metric. */
static void put_histogram(const struct writer *w, const struct zk_histogram *h,
                          double scale)
{
	uint64_t counts[ZK_HISTOGRAM_MAX + 1];
	double bounds[ZK_HISTOGRAM_MAX];
	struct zk_otlp_histogram o = { .bounds = bounds, .counts = counts };

	o.n_bounds = zk_histogram_read(h, bounds, counts, &o.sum);
	o.sum *= scale;
	for (size_t i = 0; i < o.n_bounds; i++)
		bounds[i] *= scale;
	zk_otlp_point_histogram(w->b, w->start_ns, w->now_ns, &o);
}

static void put_histograms(const struct zb_metrics *x, const struct writer *w)
{
	zk_otlp_metric(w->b, "zerobus.batch.size_bytes", "By", ZK_OTLP_HISTOGRAM);
	zk_otlp_point(w->b);
	put_histogram(w, x->size, 1);
	zk_otlp_metric_end(w->b, ZK_OTLP_HISTOGRAM);
	zk_otlp_metric(w->b, "zerobus.batch.latency_ms", "ms", ZK_OTLP_HISTOGRAM);
	for (int good = 1; good >= 0; good--) {
		zk_otlp_point(w->b);
		zk_otlp_bool(w->b, "success", good);
		put_histogram(w, x->latency[good], 1000);
	}
	zk_otlp_metric_end(w->b, ZK_OTLP_HISTOGRAM);
}

static void put_sums(const struct zb_metrics *x, const struct writer *w)
{
	zk_otlp_metric(w->b, "zerobus.batch.success", "1", ZK_OTLP_SUM);
	put_success(w, true, x->settled[true]);
	put_success(w, false, x->settled[false]);
	zk_otlp_metric_end(w->b, ZK_OTLP_SUM);
	zk_otlp_metric(w->b, "zerobus.rows", "1", ZK_OTLP_SUM);
	for (size_t i = 0; i < ZK_ARRAY_LEN(outcomes); i++)
		put(w, "outcome", outcomes[i], zk_counter_get(x->rows[i]));
	zk_otlp_metric_end(w->b, ZK_OTLP_SUM);
	zk_otlp_metric(w->b, "zerobus.retries", "1", ZK_OTLP_SUM);
	for (size_t i = 0; i < x->n_reasons; i++)
		put(w, "reason", x->reasons[i].name,
		    zk_counter_get(x->reasons[i].retries));
	zk_otlp_metric_end(w->b, ZK_OTLP_SUM);
	zk_otlp_metric(w->b, "zerobus.reconnects", "1", ZK_OTLP_SUM);
	for (size_t i = 0; i < x->n_reasons; i++)
		put(w, "reason", x->reasons[i].name,
		    zk_counter_get(x->reasons[i].reconnects));
	zk_otlp_metric_end(w->b, ZK_OTLP_SUM);
	zk_otlp_metric(w->b, "zerobus.token.refreshes", "1", ZK_OTLP_SUM);
	for (size_t i = 0; i < ZK_ARRAY_LEN(results); i++)
		put(w, "result", results[i], zk_counter_get(x->tokens[i]));
	zk_otlp_metric_end(w->b, ZK_OTLP_SUM);
}

void zb_metrics_export(const struct zb_metrics *x, struct zk_otel *otel)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct writer w = { .b = &b,
		            .start_ns = x->start_ns,
		            .now_ns = (uint64_t)zk_wall_us() * 1000 };

	if (!zk_otel_wants_metrics(otel))
		return;
	zk_buf_init(&b, (size_t)1 << 20);
	put_histograms(x, &w);
	put_sums(x, &w);
	put_gauge(&w, "zerobus.inflight.bytes", "By", zk_gauge_get(x->inflight_bytes));
	put_gauge(&w, "zerobus.inflight.requests", "1",
	          zk_gauge_get(x->inflight_requests));
	put_gauge(&w, "zerobus.ack.lag_ms", "ms", zk_gauge_get(x->lag) * 1000);
	zk_otel_metrics(otel, zk_buf_str(&b));
}
