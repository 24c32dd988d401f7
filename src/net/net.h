/* Transport of this process: connection pools, TLS and proxy settings, the wire trace. Layer: net.
 * Loop thread only. */
#ifndef ZK_NET_NET_H
#define ZK_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_loop;
struct zk_metrics;
struct zk_net;
struct zk_otel;

struct zk_net_conf {
	int64_t connect_timeout_ms,
	        request_timeout_ms; /* 0 = 10 s, 30 s; request -1 = none */
	const char *proxy;          /* NULL = environment, "" = none */
	const char *ca_file, *client_cert, *client_key;
	bool tls_verify;
	/* 0 = 256, 32; plain ones, those with TLS and those that may be HTTP/2 are counted apart */
	unsigned max_connections, max_per_host;
	const char *user_agent;  /* NULL = "zk/VERSION" */
	const char *trace;       /* --trace list, NULL = off */
	const char *trace_file;  /* NULL = stderr */
	const char *traceparent; /* W3C trace context sent with every request; NULL or
	                            malformed = none */
	struct zk_otel *otel;    /* instead of it; taken over; NULL = none */
};

/* Strings are copied. libcurl is opened by the first request that needs it: one with TLS, through
 * a proxy, or to a URL that takes a parser (net/url.h). */
struct zk_net *zk_net_new(struct zk_loop *l, const struct zk_net_conf *conf,
                          struct zk_metrics *m);
/* Cancels what runs (without calling back) and frees. */
void zk_net_free(struct zk_net *n);
struct zk_loop *zk_net_loop(struct zk_net *n);
/* The telemetry of its requests, for spans that are none; NULL = none. */
struct zk_otel *zk_net_otel(struct zk_net *n);
/* Ends whatever runs without calling back: the owners of the requests are going. */
void zk_net_cancel_all(struct zk_net *n);

/* Whether `text` is a traceparent of W3C Trace Context §3.2: version (not ff), trace id
 * and parent id (not all zero), flags, as 2, 32, 16 and 2 lower-case hex digits joined by
 * '-'. Pure. */
bool zk_net_traceparent_ok(const char *text);

#endif
