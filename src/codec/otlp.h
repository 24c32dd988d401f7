/* otlp: traces in the JSON form of OTLP/HTTP (opentelemetry-proto 1.x, ExportTraceServiceRequest):
 * ids as hexadecimal, 64-bit numbers as strings, enums as numbers. Layer: codec. Pure; one owner.
 *
 *	zk_otlp_open(&b, &resource);
 *	for each span: zk_otlp_span(&b, &span); zk_otlp_str(&b, "k", v) …; zk_otlp_span_end(&b, &span);
 *	zk_otlp_close(&b);
 *
 * Spans may also be written into a buffer of their own and be put between open and close later;
 * each then ends with a comma, which zk_otlp_close drops. */
#ifndef ZK_CODEC_OTLP_H
#define ZK_CODEC_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define ZK_OTLP_TRACE_ID 16
#define ZK_OTLP_SPAN_ID  8

enum zk_otlp_kind { ZK_OTLP_INTERNAL = 1, ZK_OTLP_SERVER = 2, ZK_OTLP_CLIENT = 3 };

struct zk_otlp_span {
	uint8_t trace_id[ZK_OTLP_TRACE_ID];
	uint8_t span_id[ZK_OTLP_SPAN_ID];
	uint8_t parent_id[ZK_OTLP_SPAN_ID]; /* all zero = none */
	zk_str trace_state;                 /* empty = none */
	zk_str name;
	enum zk_otlp_kind kind;
	uint64_t start_ns, end_ns; /* since 1970 */
	bool failed;
	zk_str message; /* of a failure; may be empty */
};

/* "service.name=zk" pairs: alternating names and values. */
struct zk_otlp_resource {
	const zk_str *pairs;
	size_t n; /* of pairs */
};

/* Metrics (ExportMetricsServiceRequest): between zk_otlp_metrics_open and zk_otlp_close, each with
 * its points between zk_otlp_metric and zk_otlp_metric_end; attributes of a point between
 * zk_otlp_point and the function that gives its value. Cumulative since `start_ns`. */
enum zk_otlp_metric_kind { ZK_OTLP_SUM, ZK_OTLP_GAUGE, ZK_OTLP_HISTOGRAM };
void zk_otlp_metrics_open(struct zk_buf *b, const struct zk_otlp_resource *r);
void zk_otlp_metric(struct zk_buf *b, const char *name, const char *unit,
                    enum zk_otlp_metric_kind kind);
void zk_otlp_point(struct zk_buf *b);
void zk_otlp_bool(struct zk_buf *b, const char *key, bool value);
void zk_otlp_point_u64(struct zk_buf *b, uint64_t start_ns, uint64_t now_ns, uint64_t v);
/* `counts` has one more than `bounds`. */
struct zk_otlp_histogram {
	const double *bounds;
	const uint64_t *counts;
	size_t n_bounds;
	double sum;
};
void zk_otlp_point_histogram(struct zk_buf *b, uint64_t start_ns, uint64_t now_ns,
                             const struct zk_otlp_histogram *h);
void zk_otlp_metric_end(struct zk_buf *b, enum zk_otlp_metric_kind kind);

void zk_otlp_open(struct zk_buf *b, const struct zk_otlp_resource *r);
void zk_otlp_close(struct zk_buf *b);

/* Begins a span; its attributes follow. */
void zk_otlp_span(struct zk_buf *b, const struct zk_otlp_span *s);
void zk_otlp_str(struct zk_buf *b, const char *key, zk_str value);
void zk_otlp_i64(struct zk_buf *b, const char *key, int64_t value);
void zk_otlp_span_end(struct zk_buf *b, const struct zk_otlp_span *s);

#endif
