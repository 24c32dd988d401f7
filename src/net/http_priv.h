/* Inside of the HTTP client: what its files share.
 * Layer: net, internal. Handles of libcurl are void pointers here.
 *
 * http.c        the life of a request, whatever carries it
 * http_setup.c  from zk_http_conf to a request
 * http_io.c     what comes of it: heads, bodies, sources
 * http_curl.c   the engine for everything: TLS, proxies, HTTP/2, any URL (libcurl)
 * http_plain.c  the engine for plain URLs without a proxy: HTTP/1.1 on sockets of our own; a
 *               process that needs no more is spared libcurl, its libraries and their start
 * http_pool.c   its connections
 *
 * Our callbacks run user code, which may start, cancel and resume whatever it likes, while libcurl
 * forbids most calls from inside its callbacks, and a connection wants to outlive them. So while
 * `depth` says that an engine is on the stack, such wishes are noted in `todo` and carried out by
 * zk_net_drain(). */
#ifndef ZK_NET_HTTP_PRIV_H
#define ZK_NET_HTTP_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/rand.h"
#include "net/guard.h"
#include "net/http.h"
#include "net/http_err.h"
#include "net/net.h"
#include "net/otel.h"

struct zk_exchange;
struct zk_http_engine;
struct zk_http_pool;
struct zk_net_recent;
struct zk_plain;
struct zk_timer;
struct zk_trace;
struct zk_unpress;
struct zk_ws_lib;

#define ZK_HTTP_HEAD_MAX 65536
#define ZK_HTTP_BODY_MAX (16U << 20)
#define ZK_HTTP_PLAIN_BODY \
	65536 /* a larger request body goes by HTTP/1.1, style.md §1.9 */
#define ZK_HTTP_MAX_HOPS      5
#define ZK_HTTP_MAX_HOPS_SAME 3 /* with ZK_HTTP_FOLLOW_SAME */
#define ZK_HTTP_ERRBUF_BYTES  256

#define ZK_NET_IDLE_HANDLES 64

/* One multi handle with its connections. Requests that may become HTTP/2 and those that must not
 * are kept apart: once libcurl 7.88 knows that a host speaks HTTP/2, it puts a request onto a
 * connection of HTTP/1.1 that is busy, and both answers are garbled. */
enum zk_pool_kind {
	ZK_POOL_HTTP1,
	ZK_POOL_HTTP2,
	ZK_POOL_CONNECT, /* connections for net/conn.c: its calls are forbidden inside callbacks
	                    of their own multi handle, and they must not count against caps */
	ZK_POOLS
};

struct zk_pool {
	struct zk_net *net;
	/* Its transfer ended with this CURLcode; `owner` is CURLINFO_PRIVATE of the handle. */
	void (*ended)(void *owner, int curl);
	/* A socket of the transfer cannot be watched: end it soon. */
	void (*broken)(void *owner);
	void *multi;            /* NULL until the first request */
	struct zk_timer *timer; /* libcurl's */
	bool added;             /* requests that libcurl has not looked at yet */
};

struct zk_gauge;

struct zk_net {
	struct zk_loop *loop;
	struct zk_metrics *metrics;
	struct zk_net_conf conf; /* own copies */
	struct zk_trace *trace;  /* NULL = off */
	struct zk_pool pools[ZK_POOLS];
	struct zk_timer *deadline_timer, *kick;
	int64_t armed_ms;       /* when deadline_timer is due, INT64_MAX = never */
	struct zk_list running; /* zk_http.link: every request that has not ended */
	struct zk_list todo;    /* zk_http.todo */
	struct zk_list watches; /* sockets of libcurl */
	struct zk_list sends;   /* zk_send.link */
	struct zk_list conns;   /* zk_conn.link */
	struct zk_rand jitter;  /* jitter */
	void *idle[ZK_NET_IDLE_HANDLES];
	unsigned n_idle;
	struct zk_http_pool
	        *plain;       /* connections of http_plain.c; NULL until the first */
	struct zk_ws_lib *ws; /* libwebsockets; NULL until the first WebSocket */
	unsigned depth;       /* engines on the stack */
	bool draining;        /* zk_net_drain() is on the stack */
	bool curl_open;
	uint64_t n_requests;
	struct zk_net_recent *recent; /* NULL until the first request has ended */
	struct zk_gauge *active; /* zk_active_connections; NULL until the first one */
};

/* What zk_net_drain() is to do with a request. */
enum zk_http_todo {
	ZK_TODO_ADD = 1 << 0,
	ZK_TODO_RESUME = 1 << 1,
	ZK_TODO_END = 1 << 2,     /* with the result `end_curl` */
	ZK_TODO_DISCARD = 1 << 3, /* cancelled */
};

/* Headers that the caller gave, and an engine would write otherwise. */
enum zk_http_given {
	ZK_GIVEN_TYPE = 1 << 0,
	ZK_GIVEN_HOST = 1 << 1,
	ZK_GIVEN_AGENT = 1 << 2,
	ZK_GIVEN_ACCEPT = 1 << 3,
	ZK_GIVEN_ENCODING = 1 << 4,
	ZK_GIVEN_FRAMING =
	        1 << 5, /* Content-Length, Transfer-Encoding, Expect, TE, Trailer */
	ZK_GIVEN_TRACE = 1 << 6,
	ZK_GIVEN_KEY = 1 << 7, /* Idempotency-Key */
};

struct zk_http {
	struct zk_list link, todo;
	struct zk_net *net;
	const struct zk_http_engine *engine;
	zk_http_done_fn done;
	struct zk_exchange *exchange; /* NULL = not traced */
	struct zk_otel_ctx span;

	/* The request: `conf` holds numbers and callbacks, its texts are these. */
	struct zk_http_conf conf;
	char *method, *url, *safe_url, *origin, *target, *route, *resolve;
	const char *const *attrs; /* own copies */
	struct zk_buf lines;      /* its headers, each line with CRLF */
	unsigned given;           /* enum zk_http_given */
	char *body_copy;
	struct zk_guard guard; /* own copy */
	bool guarded;
	bool repeatable;
	bool see_other; /* a redirect made a GET without a body of it */
	unsigned hops;
	int64_t start_us, deadline_ms, active_ms; /* INT64_MAX = no deadline */

	unsigned todo_bits; /* enum zk_http_todo */
	int end_curl;
	bool on_way; /* its engine works on it */
	bool cancelled, ended;
	bool paused_up, paused_down; /* the engine waits for us */
	bool wake_up, wake_down; /* resumed while the callback that pauses was running */

	/* What came of it. */
	enum zk_http_end end;
	enum zk_code stop_code; /* of ZK_HTTP_END_STOPPED */
	bool connected;
	unsigned opened; /* addresses that the guard let through */
	int sys_errno;   /* of a socket that could not be made */
	char blocked_ip[64];
	const char *blocked_why;
	struct zk_buf head, body;
	size_t body_bytes;          /* seen, also those not kept */
	struct zk_unpress *unpress; /* NULL = the body is as it comes */
	bool head_done, follow, told_head;
	int64_t first_byte_us;
	char errbuf[ZK_HTTP_ERRBUF_BYTES];
	struct zk_http_res res;

	/* http_curl.c */
	struct zk_pool *pool;
	void *easy;
	void *curl_headers, *curl_resolve; /* lists of libcurl */
	bool via_proxy;
	bool refreshed;   /* a pooled connection was refused by the guard */
	unsigned prereqs; /* times that libcurl was about to send it */

	struct zk_plain *plain; /* http_plain.c */
};

/* What carries a request. None of these calls back into http.c but by zk_net_todo(). */
struct zk_http_engine {
	/* Everything that can fail before it is on its way. */
	int (*setup)(struct zk_http *req, struct zk_error *err);
	void (*forget)(struct zk_http *req); /* frees what setup made */
	/* Begins, from zk_net_drain(). False when there is no memory. */
	bool (*start)(struct zk_http *req);
	/* Takes it out again, ended or not; nothing is heard of it after this. */
	void (*stop)(struct zk_http *req);
	/* Goes on in both directions after a pause. */
	void (*resume)(struct zk_http *req);
	/* It ended with `curl`: true when it is to be started once more because of that. May be
	 * NULL. */
	bool (*again)(struct zk_http *req, int curl);
	/* Fills in req->res what it knows: peer, times, versions. */
	void (*collect)(struct zk_http *req);
	/* Fills in connect_status and sys_errno. */
	void (*blame)(struct zk_http *req, struct zk_http_fault *f);
};

extern const struct zk_http_engine zk_http_curl, zk_http_plain;

/* net.c: makes what the first request needs. */
int zk_net_open(struct zk_net *n, struct zk_error *err) ZK_MUST_USE;
/* Opens libcurl; the pool of a kind, with its multi handle; NULL and `err` when that cannot be
 * made. */
struct zk_pool *zk_net_pool(struct zk_net *n, enum zk_pool_kind kind,
                            struct zk_error *err) ZK_MUST_USE;
/* Does what was put off while an engine was on the stack, and hands out what has ended. */
void zk_net_drain(struct zk_net *n);
/* One more open connection (or one less). */
void zk_net_count(struct zk_net *n, int by);
/* Lets libcurl look at a handle that was added, in this turn. */
void zk_net_kick(struct zk_net *n);
/* A fresh or used easy handle without options; NULL when there is no memory. */
void *zk_net_get_easy(struct zk_net *n);
void zk_net_put_easy(struct zk_net *n, void *easy);
/* Notes work for zk_net_drain(), which comes by itself. */
void zk_net_todo(struct zk_net *n, struct zk_http *req, unsigned bits);
/* Takes a request out of the lists. */
void zk_net_ended(struct zk_net *n, struct zk_http *req);
/* Makes sure that the deadlines are looked at by `at_ms` (monotonic). */
void zk_net_arm(struct zk_net *n, int64_t at_ms);

/* http.c, called by net.c: */
void zk_http_do(struct zk_http *req); /* carries out its todo_bits */
void zk_http_end(struct zk_http *req,
                 int curl); /* the transfer is over: calls back and frees */
void zk_http_discard(struct zk_http *req); /* frees without calling back */
/* Ends it with a failure of this code, soon. */
void zk_http_end_with(struct zk_http *req, enum zk_code code);
/* Ends it when a time limit is over (noted in todo); returns when to look again. */
int64_t zk_http_check_time(struct zk_http *req, int64_t now_ms);

/* http_setup.c: copies `conf` into `req`. */
int zk_http_copy(struct zk_http *req, const struct zk_http_conf *conf,
                 struct zk_error *err) ZK_MUST_USE;
void zk_http_forget(struct zk_http *req); /* frees what it made */
/* The method that is sent, and whether the request has a body. */
const char *zk_http_method(const struct zk_http *req);
bool zk_http_has_body(const struct zk_http *req);
/* Whether a compressed answer is asked for and decoded. */
bool zk_http_decodes(const struct zk_http *req);
/* Copies of zk_http_conf.attrs; NULL stays NULL. */
const char *const *zk_http_copy_attrs(const char *const *attrs);
void zk_http_free_attrs(const char *const *attrs);

/* conn.c: CURLMSG_DONE of a connection, and a socket that cannot be watched. */
void zk_conn_ended(void *conn, int curl);
void zk_conn_broken(void *conn);
/* Frees every connection; their owners hear nothing. */
void zk_conn_drop_all(struct zk_net *n);

/* http_io.c, called by the engines; after zk_http_cancel() the owner's callbacks are not called.
 * False or STOP: the transfer is over, req->end says why unless it was cancelled. */

/* req->head holds a whole head, req->res.status its status. */
bool zk_http_on_head(struct zk_http *req);

enum zk_http_took { ZK_HTTP_TAKEN, ZK_HTTP_PAUSED, ZK_HTTP_STOP };

/* A piece of the body; PAUSED = it was not taken, offer it again after `resume`. */
enum zk_http_took zk_http_on_body(struct zk_http *req, zk_str piece);
/* Up to `room` bytes of the source: their number, 0 = its end, -1 = paused, -2 = over. */
ptrdiff_t zk_http_on_pull(struct zk_http *req, char *p, size_t room);
void zk_http_note_blocked(struct zk_http *req, const char *ip, const char *why);

/* http_curl.c: the TLS options of this process; may a request go by HTTP/2? */
void zk_http_set_tls(void *easy, const struct zk_net_conf *net);

/* http_plain.c: whether it is one for that engine; makes req->plain then. */
bool zk_http_take_plain(struct zk_http *req);
/* http_pool.c: closes its connections; NULL is fine. */
void zk_http_pool_free(struct zk_http_pool *p);

#endif
