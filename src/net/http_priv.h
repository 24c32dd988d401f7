/* Inside of the HTTP client: what net.c, http.c and http_setup.c share.
 * Layer: net, internal. Handles of libcurl are void pointers here.
 *
 * libcurl forbids most calls from inside its callbacks. Our callbacks run user code, which may
 * start, cancel and resume whatever it likes; so while `depth` says that libcurl is on the stack,
 * such wishes are noted in `todo` and carried out by zk_net_drain(). */
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
	struct zk_ws_lib *ws; /* libwebsockets; NULL until the first WebSocket */
	unsigned depth;       /* calls of libcurl on the stack */
	bool draining;        /* drain() is on the stack */
	uint64_t n_requests;
	struct zk_gauge *active; /* zk_active_connections; NULL until the first one */
};

/* What zk_net_drain() is to do with a request. */
enum zk_http_todo {
	ZK_TODO_ADD = 1 << 0,
	ZK_TODO_RESUME = 1 << 1,
	ZK_TODO_END = 1 << 2,     /* with the result `end_curl` */
	ZK_TODO_DISCARD = 1 << 3, /* cancelled */
};

struct zk_http {
	struct zk_list link, todo;
	struct zk_net *net;
	struct zk_pool *pool;
	void *easy;
	void *headers, *resolve; /* lists of libcurl */
	zk_http_done_fn done;
	struct zk_exchange *exchange; /* NULL = not traced */
	struct zk_otel_ctx span;

	/* The request: `conf` holds numbers and callbacks, its texts are these. */
	struct zk_http_conf conf;
	char *method, *url, *safe_url, *origin, *target, *route;
	const char *const *attrs; /* own copies */
	char *body_copy;
	struct zk_guard guard; /* own copy */
	bool guarded, via_proxy;
	bool repeatable;
	unsigned hops;
	int64_t start_us, deadline_ms, active_ms; /* INT64_MAX = no deadline */

	unsigned todo_bits; /* enum zk_http_todo */
	int end_curl;
	bool in_multi, cancelled, ended;
	bool paused_up, paused_down; /* libcurl waits for us */
	bool wake_up, wake_down; /* resumed while the callback that pauses was running */

	/* What came of it. */
	enum zk_http_end end;
	enum zk_code stop_code; /* of ZK_HTTP_END_STOPPED */
	bool connected;
	unsigned opened;  /* addresses that the guard let through */
	int sys_errno;    /* of a socket that could not be made */
	unsigned prereqs; /* times that libcurl was about to send it */
	bool refreshed;   /* a pooled connection was refused by the guard */
	char blocked_ip[64];
	const char *blocked_why;
	struct zk_buf head, body;
	size_t body_bytes;          /* seen, also those not kept */
	struct zk_unpress *unpress; /* NULL = the body is as it comes */
	bool head_done, follow, told_head;
	int64_t first_byte_us;
	char errbuf[ZK_HTTP_ERRBUF_BYTES];
	struct zk_http_res res;
};

/* net.c: opens libcurl and what else the first request needs. */
int zk_net_open(struct zk_net *n, struct zk_error *err) ZK_MUST_USE;
/* The pool of a kind, with its multi handle; NULL and `err` when that cannot be made. */
struct zk_pool *zk_net_pool(struct zk_net *n, enum zk_pool_kind kind,
                            struct zk_error *err) ZK_MUST_USE;
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

/* http_setup.c: copies `conf` into `req`, and sets every option of its easy handle. */
int zk_http_copy(struct zk_http *req, const struct zk_http_conf *conf,
                 struct zk_error *err) ZK_MUST_USE;
int zk_http_setup(struct zk_http *req, struct zk_error *err) ZK_MUST_USE;
/* The TLS options of this process. */
void zk_http_set_tls(void *easy, const struct zk_net_conf *net);
/* Whether it may be sent by HTTP/2. */
bool zk_http_may_be_http2(const struct zk_http *req);
/* Whether a compressed answer is asked for and decoded. */
bool zk_http_decodes(const struct zk_http *req);
void zk_http_forget(struct zk_http *req); /* frees what the two made */
/* Copies of zk_http_conf.attrs; NULL stays NULL. */
const char *const *zk_http_copy_attrs(const char *const *attrs);
void zk_http_free_attrs(const char *const *attrs);

/* conn.c: CURLMSG_DONE of a connection, and a socket that cannot be watched. */
void zk_conn_ended(void *conn, int curl);
void zk_conn_broken(void *conn);
/* Frees every connection; their owners hear nothing. */
void zk_conn_drop_all(struct zk_net *n);

/* http_io.c: points the callbacks of req->easy at req. */
void zk_http_set_callbacks(struct zk_http *req);

#endif
