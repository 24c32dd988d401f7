/* HTTP/1.1 server on uv_tcp and unix sockets: connections, absolute deadlines, routes, limits,
 * bodies, answers in order, event streams, upgrades.
 * Layer: net. Loop thread only. Rules: specs/triggers.md §2, §12.3.
 *
 * Life of a request: the head is parsed → the route is found → `on_head` decides (read the
 * body, wait, or it has answered) → the body is collected → `on_body`. The handler answers with
 * zk_httpd_reply() now or later; the next request of that connection waits meanwhile (a few
 * kilobytes of it are read ahead, to notice a client that goes away). A request stays valid until
 * the end of the turn in which it was answered; when the client goes away before that,
 * zk_httpd_gone() turns true and the reply is dropped, but the request must still be "answered"
 * to release it. A client that only closes its sending side still gets its answers. A part of a
 * request whose rest never comes is dropped: on_finish gets the status 0.
 *
 * The process must ignore SIGPIPE. */
#ifndef ZK_NET_HTTPD_H
#define ZK_NET_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "net/http1.h"

struct zk_buf;
struct zk_httpd;
struct zk_httpd_conn;
struct zk_httpd_req;
struct zk_httpd_stream;
struct zk_loop;

enum zk_httpd_next {
	ZK_HTTPD_BODY, /* collect the body, then call on_body */
	ZK_HTTPD_WAIT, /* undecided: zk_httpd_continue() or zk_httpd_reply() comes later */
	ZK_HTTPD_DONE, /* answered, or will be without a body */
};

#define ZK_HTTPD_MAX_PARAMS 4

/* One (pattern, method) pair; patterns are "/api/events/:event_id", of at most 8 segments. Where
 * several fit a path the one with the earlier literal decides, also about 405. */
struct zk_route {
	const char *method;
	const char *pattern;
	uint64_t max_body; /* 0 = the server's limit */
	int id;            /* the owner's */
	/* NULL = BODY; on_body may be NULL when on_head never says BODY or WAIT. */
	enum zk_httpd_next (*on_head)(void *ctx, struct zk_httpd_req *req);
	void (*on_body)(void *ctx, struct zk_httpd_req *req);
};

struct zk_httpd_conf {
	void *ctx;
	const struct zk_route *routes; /* borrowed for the server's life */
	size_t n_routes;
	struct zk_http1_limits head;         /* 16 KiB, 8 KiB, 100 */
	uint64_t max_body;                   /* 512 KiB */
	uint64_t max_bodies;                 /* all bodies in progress, 256 MiB */
	unsigned max_connections;            /* 4096 */
	unsigned max_connections_per_client; /* 256, loopback exempt; 0 = any number */
	unsigned max_requests;               /* per connection, 10,000 */
	int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms;
	uint64_t body_bytes_per_s; /* adds 1 s per this many declared or received bytes */
	int64_t write_timeout_ms; /* a reader that takes nothing for so long is closed; 30 s */
	size_t max_out;           /* unsent bytes of one event stream, 1 MiB */
	/* Answers for what the server itself finds wrong (framing, 404, 405, 408, 413, 414, 431,
	 * 503 …). `allow` is the Allow list for 405, else NULL. Must reply. Where the head could
	 * not be read it is empty (no method, no headers, no path) and the connection closes
	 * after the answer. NULL = a plain JSON {"error": …}. */
	void (*on_error)(void *ctx, struct zk_httpd_req *req, int status,
	                 const char *detail, const char *allow);
	/* Called for a request whose path is known and whose method is OPTIONS without a route
	 * of its own; returns false for the ordinary 405. May be NULL. */
	bool (*on_options)(void *ctx, struct zk_httpd_req *req, const char *allow);
	/* Once per request that a handler or hook has seen: after the last byte of the answer was
	 * handed to the kernel or given up (for streams: their head); with status 0 when there
	 * was no answer. Of pipelined requests the answers may be written together a little
	 * later. For access logs and metrics. May be NULL. */
	void (*on_finish)(void *ctx, struct zk_httpd_req *req, int status,
	                  int64_t micros);
	const char *tls_cert, *tls_key; /* NULL = plain */
};

/* Limits of specs/triggers.md §2 filled in; the caller sets ctx, routes and hooks. */
void zk_httpd_conf_init(struct zk_httpd_conf *conf);

int zk_httpd_new(struct zk_loop *l, const struct zk_httpd_conf *conf,
                 struct zk_httpd **ret, struct zk_error *err) ZK_MUST_USE;
/* HOST:PORT, [V6]:PORT, :PORT, unix:PATH; port 0 = any. "localhost" binds 127.0.0.1 and ::1
 * (with one port). May be called several times. -ZK_E_ADDRESS when it cannot be bound. */
int zk_httpd_listen(struct zk_httpd *s, zk_str addr, struct zk_error *err) ZK_MUST_USE;
/* A listening socket inherited from the parent; taken over. */
int zk_httpd_listen_fd(struct zk_httpd *s, int fd, struct zk_error *err) ZK_MUST_USE;
/* The sockets that the service manager handed over under this name (LISTEN_FDS; "api" gets those
 * without names too); where there are none, the addresses. */
int zk_httpd_listen_at(struct zk_httpd *s, const char *name, const char *const *addrs,
                       size_t n, struct zk_error *err) ZK_MUST_USE;
/* The bound address i as "127.0.0.1:8080", "[::1]:8080" or "unix:/path"; NULL past the end. */
const char *zk_httpd_address(const struct zk_httpd *s, size_t i);
/* True when a connection from here to `addr`:`port` would reach one of our own listeners. */
bool zk_httpd_is_self(const struct zk_httpd *s, const char *ip, int port);
unsigned zk_httpd_connections(const struct zk_httpd *s);
/* Requests read completely or partly and not yet answered. */
unsigned zk_httpd_in_progress(const struct zk_httpd *s);
/* Applies new limits, timeouts and TLS files to future requests (HUP); ctx, routes and hooks
 * stay. On failure everything stays. */
int zk_httpd_reload(struct zk_httpd *s, const struct zk_httpd_conf *conf,
                    struct zk_error *err) ZK_MUST_USE;
/* Closes the listeners; idle connections close at once, others after their answer, which says
 * `Connection: close`. Calls fn(ctx) when the last one is gone. */
void zk_httpd_drain(struct zk_httpd *s, void (*fn)(void *ctx), void *ctx);
/* Cuts what is left and frees; requests that wait are reported gone first: on_finish is called for
 * them (status 0), after that no hook is. Their handlers answer them all the same, before
 * zk_loop_free. NULL is fine; may be called from a handler. */
void zk_httpd_free(struct zk_httpd *s);

/* The request. Slices live until the answer was given. */
const struct zk_http1_head *zk_httpd_head(const struct zk_httpd_req *r);
zk_str zk_httpd_header(const struct zk_httpd_req *r,
                       zk_str name);                 /* any case; NULL = none */
zk_str zk_httpd_path(const struct zk_httpd_req *r);  /* raw, without query */
zk_str zk_httpd_query(const struct zk_httpd_req *r); /* raw, without '?' */
/* Percent-decoded value of ":name" number i of the pattern. */
zk_str zk_httpd_param(const struct zk_httpd_req *r, unsigned i);
zk_str zk_httpd_body(const struct zk_httpd_req *r);
const struct zk_route *zk_httpd_route(
        const struct zk_httpd_req *r); /* NULL when none matched */
/* Numeric address of the client ("" for unix sockets). */
const char *zk_httpd_client(const struct zk_httpd_req *r);
bool zk_httpd_client_is_loopback(const struct zk_httpd_req *r);
int64_t zk_httpd_start_us(
        const struct zk_httpd_req *r); /* monotonic, first byte of the head */
bool zk_httpd_gone(const struct zk_httpd_req *r);
/* So many bytes (zeroed per request, aligned for anything) for the handler. */
#define ZK_HTTPD_USER_BYTES 256
void *zk_httpd_user(struct zk_httpd_req *r);
/* A per-request arena-like text: copies `s` so that it lives as long as the request. At most
 * 1 MiB in all; beyond that p == NULL. */
zk_str zk_httpd_keep(struct zk_httpd_req *r, zk_str s);

/* After ZK_HTTPD_WAIT (or before it is returned): go on with the body. */
void zk_httpd_continue(struct zk_httpd_req *r);

/* Answers. `headers` are complete lines, each ending in CRLF, without Date, Content-Length and
 * Connection, which the server writes; `body` is copied or written at once. HEAD is routed like
 * any method; its body counts for Content-Length but is not sent. 204 and 304 have no body.
 * Exactly one reply per request. What the client sends of an unread body is thrown away when it
 * is short, otherwise the connection closes after the answer. */
void zk_httpd_reply(struct zk_httpd_req *r, int status, zk_str headers, zk_str body);
/* The same and close the connection afterwards. */
void zk_httpd_reply_close(struct zk_httpd_req *r, int status, zk_str headers,
                          zk_str body);
/* Several replies given in one turn are written together at the end of the turn. */

/* An endless answer (text/event-stream): chunked for HTTP/1.1, close-delimited for 1.0; the
 * connection ends with it. The request counts as answered. `on_close` is called once, when the
 * client is gone (or closed its sending side), was too slow or the server drains or ends; the
 * stream is invalid after it returns. When the server drains, what it writes still goes out. */
struct zk_httpd_stream *zk_httpd_stream_start(struct zk_httpd_req *r, int status,
                                              zk_str headers, void (*on_close)(void *ctx),
                                              void *ctx);
/* Queues bytes; false when more than max_out wait (the stream is then being closed). */
bool zk_httpd_stream_write(struct zk_httpd_stream *s, zk_str data);
/* Unsent bytes, for back-pressure; `on_drain` is called when it falls below half of max_out. */
size_t zk_httpd_stream_pending(const struct zk_httpd_stream *s);
void zk_httpd_stream_on_drain(struct zk_httpd_stream *s, void (*fn)(void *ctx));
/* Ends it properly; on_close is not called. */
void zk_httpd_stream_end(struct zk_httpd_stream *s);

/* Takes the socket of an upgrade request out of the server (for net/ws): the descriptor, the
 * caller's from then on, and the bytes already read behind the head, which are appended to
 * `rest`. The request counts as answered (101), but nothing was sent. -1 when the client is gone,
 * over TLS, and for requests with a body: then answer it. */
int zk_httpd_take_socket(struct zk_httpd_req *r, struct zk_buf *rest);

#endif
