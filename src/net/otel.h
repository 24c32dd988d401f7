/* Telemetry of our own calls: a span for each outgoing request, sent to an OpenTelemetry collector
 * as OTLP/HTTP with JSON or appended to a file, and the W3C trace context of the environment
 * passed on (ux.md §10, specs/zeal-zip.md §10).
 * Layer: net. Loop thread only.
 *
 * Nothing here ever fails or delays a command: what is wrong is logged once, what does not fit is
 * dropped and counted, and the end of a command waits a second or two at most. */
#ifndef ZK_NET_OTEL_H
#define ZK_NET_OTEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "codec/otlp.h"

struct zk_net;
struct zk_otel;

#define ZK_OTEL_END_MS 1000 /* unless zk_otel_wait says otherwise */

struct zk_otel_conf {
	/* Address of the collector ("/v1/traces" is added); NULL = OTEL_EXPORTER_OTLP_* say. */
	const char *endpoint;
	const char *file; /* appended to, one OTLP object per line; NULL = none */
	const char
	        *command; /* names the span around all requests; NULL = none (servers) */
};

/* Reads TRACEPARENT, TRACESTATE and OTEL_*. NULL when there is nothing to do: no spans are
 * wanted and no context is there to be passed on. Texts are copied. */
struct zk_otel *zk_otel_new(const struct zk_otel_conf *conf);
void zk_otel_free(struct zk_otel *o); /* NULL is fine; before the net that it uses */
/* What the spans are sent with; zk_net_new does it. */
void zk_otel_attach(struct zk_otel *o, struct zk_net *net);

#define ZK_TRACEPARENT_TEXT 55

/* The part of a trace that one request is. */
struct zk_otel_ctx {
	uint8_t trace_id[ZK_OTLP_TRACE_ID];
	uint8_t span_id[ZK_OTLP_SPAN_ID];
	uint8_t parent_id[ZK_OTLP_SPAN_ID];
	int64_t start_us; /* wall clock */
	bool recording;   /* zk_otel_request makes a span of it */
};

/* Begins a request and writes the value of its traceparent header ("" = none). */
void zk_otel_begin(struct zk_otel *o, struct zk_otel_ctx *ret,
                   char traceparent[ZK_TRACEPARENT_TEXT + 1]);
/* The value of the header tracestate, NULL = none. */
const char *zk_otel_tracestate(const struct zk_otel *o);

/* What became of it. */
struct zk_otel_request {
	const char *method;
	const char *url;   /* safe form, zk_http_safe_url */
	const char *route; /* template of the path, NULL = none */
	const char *const
	        *attrs;   /* alternating names and values ended by NULL; may be NULL */
	int status;       /* 0 = no answer */
	int http_version; /* 10, 11, 20; 0 = unknown */
	unsigned resend;  /* how often it was sent before */
	int64_t total_us;
	const struct zk_error *err; /* NULL = fine */
};
/* Ends it. */
void zk_otel_request(struct zk_otel *o, const struct zk_otel_ctx *ctx,
                     const struct zk_otel_request *r);

/* A span of something else than a request, below `parent`, which zk_otel_begin or this made. */
void zk_otel_child(struct zk_otel *o, const struct zk_otel_ctx *parent,
                   struct zk_otel_ctx *ret);
struct zk_otel_attr {
	const char *name;
	const char *text; /* NULL = the number */
	int64_t n;
};
struct zk_otel_span {
	const char *name;
	const struct zk_otel_attr *attrs;
	size_t n_attrs;
	int64_t total_us;
	const struct zk_error *err; /* NULL = fine */
};
/* Ends one that zk_otel_begin or zk_otel_child began. */
void zk_otel_span(struct zk_otel *o, const struct zk_otel_ctx *ctx,
                  const struct zk_otel_span *s);

/* Whether metrics are wanted: an address is known. `o` may be NULL. */
bool zk_otel_wants_metrics(const struct zk_otel *o);
/* The present state of all metrics, as zk_otlp_metric and its like wrote them; replaces what was
 * given before. Sent at most every 10 s, and at the end. */
void zk_otel_metrics(struct zk_otel *o, zk_str metrics);

/* How long zk_otel_end waits for the collector. `o` may be NULL. */
void zk_otel_wait(struct zk_otel *o, int64_t end_ms);
/* The command ended with this exit status: its span, and the delivery of what waits, for at most
 * that time. Not from a callback. No other request runs any more. */
void zk_otel_end(struct zk_otel *o, int status);

#endif
