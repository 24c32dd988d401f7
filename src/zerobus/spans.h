/* Spans of a stream and of its requests (specs/zerobus.md §17).
 * Layer: zerobus, private to link.c and sender.c. Loop thread only. */
#ifndef ZK_ZEROBUS_SPANS_H
#define ZK_ZEROBUS_SPANS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/otel.h"

struct zk_zb_request;

struct zk_zb_spans {
	struct zk_otel *otel; /* NULL = none; nothing is done then */
	const char *table;
	uint64_t sample; /* one request in so many; failures always */
	uint64_t n;
	struct zk_otel_ctx stream; /* while open, and afterwards for what it left */
	int64_t opened_us;
	bool open;
};

/* A stream begins; the value of its traceparent, NULL = none. */
const char *zk_zb_spans_open(struct zk_zb_spans *s,
                             char traceparent[ZK_TRACEPARENT_TEXT + 1]);
/* It is over, with this gRPC status; `err` NULL = as it should. */
void zk_zb_spans_close(struct zk_zb_spans *s, const char *id, int status,
                       const struct zk_error *err);
/* A request has an outcome; `err` NULL = acknowledged. */
void zk_zb_spans_batch(struct zk_zb_spans *s, const struct zk_zb_request *r,
                       const char *id, int status, const struct zk_error *err);

#endif
