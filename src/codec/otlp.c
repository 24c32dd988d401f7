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

void zk_otlp_open(struct zk_buf *b, const struct zk_otlp_resource *r)
{
	zk_buf_lit(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	for (size_t i = 0; i < r->n; i++)
		put_attr(b, r->pairs[2 * i], r->pairs[2 * i + 1]);
	drop_comma(b);
	zk_buf_lit(
	        b,
	        "]},\"scopeSpans\":[{\"scope\":{\"name\":\"zk\",\"version\":\"" ZK_VERSION
	        "\"},\"spans\":[");
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
