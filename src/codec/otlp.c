/* otlp: traces in the JSON form of OTLP/HTTP.
 * Layer: codec. */
#include "codec/otlp.h"

#include "codec/digest.h"

#include "base/ban.h"

/* Each element of a list is written with a comma behind it. */
static void drop_comma(struct zk_buf *b)
{
	if (b->n && b->p[b->n - 1] == ',')
		b->n--;
}

static void put_hex(struct zk_buf *b, const char *name, const uint8_t *id, size_t n)
{
	zk_buf_printf(b, "\"%s\":\"", name);
	zk_hex_encode(zk_str_n((const char *)id, n), b);
	zk_buf_lit(b, "\",");
}

static void put_time(struct zk_buf *b, const char *name, uint64_t ns)
{
	zk_buf_printf(b, "\"%s\":\"%llu\",", name, (unsigned long long)ns);
}

static void put_attr(struct zk_buf *b, zk_str key, zk_str value)
{
	zk_buf_lit(b, "{\"key\":");
	zk_buf_json_str(b, key);
	zk_buf_lit(b, ",\"value\":{\"stringValue\":");
	zk_buf_json_str(b, value);
	zk_buf_lit(b, "}},");
}

static void open_all(struct zk_buf *b, const struct zk_otlp_resource *r, const char *all,
                     const char *scope, const char *list)
{
	zk_buf_printf(b, "{\"%s\":[{\"resource\":{\"attributes\":[", all);
	for (size_t i = 0; i < r->n; i++)
		put_attr(b, r->pairs[2 * i], r->pairs[2 * i + 1]);
	drop_comma(b);
	zk_buf_printf(b,
	              "]},\"%s\":[{\"scope\":{\"name\":\"zk\",\"version\":\"" ZK_VERSION
	              "\"},\"%s\":[",
	              scope, list);
}

void zk_otlp_open(struct zk_buf *b, const struct zk_otlp_resource *r)
{
	open_all(b, r, "resourceSpans", "scopeSpans", "spans");
}

void zk_otlp_metrics_open(struct zk_buf *b, const struct zk_otlp_resource *r)
{
	open_all(b, r, "resourceMetrics", "scopeMetrics", "metrics");
}

void zk_otlp_close(struct zk_buf *b)
{
	drop_comma(b);
	zk_buf_lit(b, "]}]}]}");
}

static bool is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

void zk_otlp_span(struct zk_buf *b, const struct zk_otlp_span *s)
{
	zk_buf_char(b, '{');
	put_hex(b, "traceId", s->trace_id, sizeof(s->trace_id));
	put_hex(b, "spanId", s->span_id, sizeof(s->span_id));
	if (!is_zero(s->parent_id, sizeof(s->parent_id)))
		put_hex(b, "parentSpanId", s->parent_id, sizeof(s->parent_id));
	if (s->trace_state.n) {
		zk_buf_lit(b, "\"traceState\":");
		zk_buf_json_str(b, s->trace_state);
		zk_buf_char(b, ',');
	}
	zk_buf_lit(b, "\"name\":");
	zk_buf_json_str(b, s->name);
	zk_buf_printf(b, ",\"kind\":%d,", (int)s->kind);
	put_time(b, "startTimeUnixNano", s->start_ns);
	put_time(b, "endTimeUnixNano", s->end_ns);
	zk_buf_lit(b, "\"attributes\":[");
}

void zk_otlp_str(struct zk_buf *b, const char *key, zk_str value)
{
	put_attr(b, zk_str_of(key), value);
}

void zk_otlp_i64(struct zk_buf *b, const char *key, int64_t value)
{
	zk_buf_lit(b, "{\"key\":");
	zk_buf_json_str(b, zk_str_of(key));
	zk_buf_printf(b, ",\"value\":{\"intValue\":\"%lld\"}},", (long long)value);
}

void zk_otlp_span_end(struct zk_buf *b, const struct zk_otlp_span *s)
{
	drop_comma(b);
	zk_buf_char(b, ']');
	if (s->failed) {
		zk_buf_lit(b, ",\"status\":{\"code\":2");
		if (s->message.n) {
			zk_buf_lit(b, ",\"message\":");
			zk_buf_json_str(b, s->message);
		}
		zk_buf_char(b, '}');
	}
	zk_buf_lit(b, "},");
}

/* ---- metrics ---- */

void zk_otlp_metric(struct zk_buf *b, const char *name, const char *unit,
                    enum zk_otlp_metric_kind kind)
{
	static const char *const kinds[] = {
		[ZK_OTLP_SUM] = "sum",
		[ZK_OTLP_GAUGE] = "gauge",
		[ZK_OTLP_HISTOGRAM] = "histogram",
	};

	zk_buf_printf(b, "{\"name\":\"%s\",\"unit\":\"%s\",\"%s\":{\"dataPoints\":[",
	              name, unit, kinds[kind]);
}

void zk_otlp_point(struct zk_buf *b)
{
	zk_buf_lit(b, "{\"attributes\":[");
}

void zk_otlp_bool(struct zk_buf *b, const char *key, bool value)
{
	zk_buf_printf(b, "{\"key\":\"%s\",\"value\":{\"boolValue\":%s}},", key,
	              value ? "true" : "false");
}

static void end_attributes(struct zk_buf *b, uint64_t start_ns, uint64_t now_ns)
{
	drop_comma(b);
	zk_buf_lit(b, "],");
	put_time(b, "startTimeUnixNano", start_ns);
	put_time(b, "timeUnixNano", now_ns);
}

void zk_otlp_point_u64(struct zk_buf *b, uint64_t start_ns, uint64_t now_ns, uint64_t v)
{
	end_attributes(b, start_ns, now_ns);
	zk_buf_printf(b, "\"asInt\":\"%llu\"},", (unsigned long long)v);
}

void zk_otlp_point_histogram(struct zk_buf *b, uint64_t start_ns, uint64_t now_ns,
                             const struct zk_otlp_histogram *h)
{
	uint64_t count = 0;

	end_attributes(b, start_ns, now_ns);
	zk_buf_lit(b, "\"bucketCounts\":[");
	for (size_t i = 0; i <= h->n_bounds; i++) {
		count += h->counts[i];
		zk_buf_printf(b, "\"%llu\",", (unsigned long long)h->counts[i]);
	}
	drop_comma(b);
	zk_buf_lit(b, "],\"explicitBounds\":[");
	for (size_t i = 0; i < h->n_bounds; i++)
		zk_buf_printf(b, "%.17g,", h->bounds[i]);
	drop_comma(b);
	zk_buf_printf(b, "],\"count\":\"%llu\",\"sum\":%.17g},",
	              (unsigned long long)count, h->sum);
}

void zk_otlp_metric_end(struct zk_buf *b, enum zk_otlp_metric_kind kind)
{
	drop_comma(b);
	zk_buf_lit(b, "]");
	if (kind != ZK_OTLP_GAUGE)
		zk_buf_lit(b, ",\"aggregationTemporality\":2");
	if (kind == ZK_OTLP_SUM)
		zk_buf_lit(b, ",\"isMonotonic\":true");
	zk_buf_lit(b, "}},");
}
