/* Spans of a stream and of its requests.
 * Layer: zerobus. specs/zerobus.md §17. */
#include "zerobus/spans.h"

#include "base/attr.h"
#include "base/clock.h"
#include "zerobus/request.h"

#include "base/ban.h"

const char *zk_zb_spans_open(struct zk_zb_spans *s,
                             char traceparent[ZK_TRACEPARENT_TEXT + 1])
{
	if (!s->otel)
		return NULL;
	zk_otel_begin(s->otel, &s->stream, traceparent);
	s->opened_us = zk_mono_us();
	s->open = true;
	return traceparent[0] ? traceparent : NULL;
}

void zk_zb_spans_close(struct zk_zb_spans *s, const char *id, int status,
                       const struct zk_error *err)
{
	const struct zk_otel_attr attrs[] = {
		{ .name = "table_name", .text = s->table },
		{ .name = "zerobus.stream_id", .text = id },
		{ .name = "rpc.grpc.status_code", .n = status },
	};

	if (!s->open)
		return;
	s->open = false;
	zk_otel_span(s->otel, &s->stream,
	             &(struct zk_otel_span){ .name = "zerobus.stream",
	                                     .attrs = attrs,
	                                     .n_attrs = ZK_ARRAY_LEN(attrs),
	                                     .total_us = zk_mono_us() - s->opened_us,
	                                     .err = err });
}

void zk_zb_spans_batch(struct zk_zb_spans *s, const struct zk_zb_request *r,
                       const char *id, int status, const struct zk_error *err)
{
	const struct zk_otel_attr attrs[] = {
		{ .name = "table_name", .text = s->table },
		{ .name = "zerobus.rows", .n = r->rows },
		{ .name = "zerobus.bytes", .n = (int64_t)r->n },
		{ .name = "zerobus.stream_id", .text = id },
		{ .name = "rpc.grpc.status_code", .n = status },
	};
	struct zk_otel_span span = { .name = "zerobus.send_batch",
		                     .attrs = attrs,
		                     .n_attrs = ZK_ARRAY_LEN(attrs),
		                     .err = err };
	char ignored[ZK_TRACEPARENT_TEXT + 1];
	struct zk_otel_ctx ctx;

	if (!s->otel || (!err && s->n++ % s->sample != 0))
		return;
	if (!s->opened_us) /* no stream was ever opened */
		zk_otel_begin(s->otel, &s->stream, ignored);
	zk_otel_child(s->otel, &s->stream, &ctx);
	span.total_us = r->queued_us ? zk_mono_us() - r->queued_us : 0;
	ctx.start_us -= span.total_us;
	zk_otel_span(s->otel, &ctx, &span);
}
