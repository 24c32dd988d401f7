/* HTTP client: one request, its answer, its failure. Plain http without a proxy goes over sockets of
 * our own, all else through libcurl; nobody can tell but by the memory and the start that it takes.
 * Layer: net. Loop thread only. No redirects are followed unless asked. */
#ifndef ZK_NET_HTTP_H
#define ZK_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_guard;
struct zk_http;
struct zk_net;

enum zk_http_flags {
	ZK_HTTP_IDEMPOTENT = 1 << 0, /* may be repeated after bytes were sent */
	ZK_HTTP_FOLLOW = 1 << 1,     /* follow up to 5 redirects to the same origin */
	ZK_HTTP_NO_PROXY = 1 << 2,   /* ignore proxy settings of the environment */
	ZK_HTTP_1_1 = 1 << 3,        /* never HTTP/2 */
	ZK_HTTP_ANY_STATUS = 1 << 4, /* a status ≥ 400 is an answer, not an error */
	ZK_HTTP_DECODE =
	        1
	        << 5, /* ask for gzip and decode it, within max_body; not with on_data */
	/* a body past max_body ends the transfer with what came, `truncated`, no error */
	ZK_HTTP_TRUNCATE = 1 << 6,
	/* 429, and 503 with Retry-After, mean that nothing was done: retryable for any method */
	ZK_HTTP_TRUST_BUSY = 1 << 7,
	/* telemetry's own: no span, no trace context, not in the wire log, survives
	 * zk_net_cancel_all */
	ZK_HTTP_INTERNAL = 1 << 8,
	/* with ZK_HTTP_FOLLOW: 307 and 308 only, at most 3 of them */
	ZK_HTTP_FOLLOW_SAME = 1 << 9,
};

/* What came back. Valid during the done callback only, except that the body may be taken. */
struct zk_http_res {
	int status; /* 0 when there was no answer */
	zk_str body;
	bool truncated;
	bool sent;     /* at least one byte of the request may have reached the peer */
	bool reused;   /* it went over a connection of the pool */
	char peer[64]; /* numeric address, "" when none */
	int peer_port;
	int64_t start_us; /* monotonic; the others are durations */
	int64_t connect_us, first_byte_us, total_us;
	int http_version; /* 10, 11, 20 */
	struct zk_http *req;
	/* What is wrong with the answer even when ZK_HTTP_ANY_STATUS makes it none; else `err`. */
	const struct zk_error *fault;
};

/* Called exactly once, never from inside zk_http_start(). `err` is NULL for an answer: a status of
 * 2xx or 304, any final one with ZK_HTTP_ANY_STATUS. Else it says what failed: code, retryable,
 * http_status, retry_after_ms, where, remote_id (X-Request-Id). A request that was sent, is not
 * idempotent and whose answer is missing ends with ZK_E_UNKNOWN_OUTCOME (ux.md §8). The request is
 * freed after it returns; it may start others and cancel others. */
typedef void (*zk_http_done_fn)(void *ctx, const struct zk_http_res *res,
                                struct zk_error *err);

/* GET, HEAD, OPTIONS, PUT and DELETE are idempotent by RFC 9110; others with ZK_HTTP_IDEMPOTENT or
 * an Idempotency-Key header. Requests with pull, on_data or a body over 64 KiB use HTTP/1.1. A user
 * name in the URL is refused. */
struct zk_http_conf {
	const char *method; /* NULL = "GET" */
	const char *url;
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	const char *bearer;         /* adds Authorization; NULL = none */
	zk_str body; /* must live until done when body_borrowed, else copied */
	bool body_borrowed;
	const char *content_type;
	/* Instead of body: pull up to `room` bytes; returns the number, 0 = end, -1 = wait until
	 * zk_http_resume_upload(), -2 = abort. `length` -1 = unknown (chunked). */
	ptrdiff_t (*pull)(void *ctx, char *p, size_t room);
	int64_t length;
	/* Instead of collecting the body: gets every piece as it comes, after on_head, that of an
	 * error answer too. Returns false to pause until zk_http_resume_download(); that piece is
	 * delivered again, perhaps cut differently. */
	bool (*on_data)(void *ctx, zk_str piece);
	/* After the head of the answer; headers through zk_http_header(). May be NULL. */
	void (*on_head)(void *ctx, int status, struct zk_http *req);
	void *ctx;                  /* of the three callbacks and of done */
	size_t max_body;            /* 0 = 16 MiB; with on_data no limit */
	int64_t connect_timeout_ms; /* 0 = that of the net */
	int64_t timeout_ms;         /* whole request; 0 = that of the net; -1 = none */
	int64_t idle_timeout_ms; /* no byte for so long, pauses of ours aside; 0 = none */
	/* A connection of the pool that was idle for longer is not used; 0 = 55 s; with TLS or a
	 * proxy in whole seconds */
	int64_t pool_idle_ms;
	/* Address policy at connect time, copied; NULL = none. With one, no proxy of the
	 * environment is used. */
	const struct zk_guard *guard;
	const char *target; /* label of zk_request_duration_seconds, NULL = none */
	/* For its span (net/otel.h), copied: the template of the path ("/api/events/{id}"),
	 * alternating names and values of attributes ended by NULL, and how often it was sent
	 * before. */
	const char *route;
	const char *const *attrs;
	unsigned resend;
	const char *resolve; /* test hook: "host:port:addr" as CURLOPT_RESOLVE */
	unsigned flags;      /* enum zk_http_flags */
};

/* Starts a request; everything in `conf` but borrowed bodies is copied. 0 and `*ret` (a handle
 * for the functions below, valid until done), or a negative code and no callback. */
int zk_http_start(struct zk_net *net, const struct zk_http_conf *conf,
                  zk_http_done_fn done, struct zk_http **ret,
                  struct zk_error *err) ZK_MUST_USE;
/* Ends it without calling back, also from inside its callbacks. */
void zk_http_cancel(struct zk_http *req);
void zk_http_resume_upload(struct zk_http *req);
void zk_http_resume_download(struct zk_http *req);
/* A header of the answer (any case, last one counts), or p == NULL; during callbacks. */
zk_str zk_http_header(struct zk_http *req, const char *name);
/* Moves the collected body out, during done; what `ret` held before is freed. */
void zk_http_take_body(struct zk_http *req, struct zk_buf *ret);
/* "seconds" or an HTTP date (RFC 9110 §10.2.3) to milliseconds from now; 0 for the past, -1 when
 * malformed. Pure. */
int64_t zk_http_retry_after(zk_str value, int64_t wall_us);
/* "https://host:port/path" of `url` without user info, query and fragment, for messages. */
void zk_http_safe_url(const char *url, struct zk_buf *b);

#endif
