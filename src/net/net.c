/* The transport of the process: what its requests share, libcurl's multi handles on the loop with
 * their sockets and timers.
 * Layer: net. */
#include "net/net.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/curl.def"
#include "net/http_priv.h"
#include "net/recent.h"
#include "net/otel.h"
#include "net/send.h"
#include "net/trace.h"
#include "net/ws_int.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "net"
#include "base/log.h"

#include "base/ban.h"

#define MAX_CONNECTIONS    256
#define MAX_PER_HOST       32
#define CONNECT_TIMEOUT_MS 10000
#define REQUEST_TIMEOUT_MS 30000
#define MAX_ROUNDS         64 /* of drain() in one turn: others want theirs */

/* One socket of libcurl. */
struct watch {
	struct zk_list link;
	struct zk_pool *pool;
	struct zk_poll *poll;
	int fd;
};

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

static void on_curl_timer(void *ctx);
static void on_deadline(void *ctx);
static void on_kick(void *ctx);

struct zk_net *zk_net_new(struct zk_loop *l, const struct zk_net_conf *conf,
                          struct zk_metrics *m)
{
	struct zk_net *n = zk_new0(struct zk_net);

	n->loop = l;
	n->metrics = m;
	n->conf = *conf;
	n->conf.proxy = copy(conf->proxy);
	n->conf.ca_file = copy(conf->ca_file);
	n->conf.client_cert = copy(conf->client_cert);
	n->conf.client_key = copy(conf->client_key);
	n->conf.user_agent =
	        zk_strdup(conf->user_agent ? conf->user_agent : "zk/" ZK_VERSION);
	n->conf.trace = copy(conf->trace);
	n->conf.trace_file = copy(conf->trace_file);
	n->conf.traceparent = NULL;
	if (conf->traceparent && zk_net_traceparent_ok(conf->traceparent))
		n->conf.traceparent = zk_strdup(conf->traceparent);
	if (!n->conf.max_connections)
		n->conf.max_connections = MAX_CONNECTIONS;
	if (!n->conf.max_per_host)
		n->conf.max_per_host = MAX_PER_HOST;
	zk_list_init(&n->running);
	zk_list_init(&n->todo);
	zk_list_init(&n->watches);
	zk_list_init(&n->sends);
	zk_list_init(&n->conns);
	uint64_t seed;

	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&n->jitter, seed);
	if (!n->conf.connect_timeout_ms)
		n->conf.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	if (!n->conf.request_timeout_ms)
		n->conf.request_timeout_ms = REQUEST_TIMEOUT_MS;
	n->armed_ms = INT64_MAX;
	if (conf->otel)
		zk_otel_attach(conf->otel, n);
	return n;
}

struct zk_otel *zk_net_otel(struct zk_net *n)
{
	return n->conf.otel;
}

struct zk_loop *zk_net_loop(struct zk_net *n)
{
	return n->loop;
}

static void drop_watch(struct watch *w)
{
	/* Stops watching at once: libcurl closes the descriptor right after this. */
	zk_poll_free(w->poll);
	zk_list_remove(&w->link);
	free(w);
}

static void close_pools(struct zk_net *n)
{
	while (n->n_idle)
		(zk_curl.curl_easy_cleanup)(n->idle[--n->n_idle]);
	for (int i = 0; i < ZK_POOLS; i++) {
		struct zk_pool *p = &n->pools[i];

		if (!p->multi)
			continue;
		(void)(zk_curl.curl_multi_cleanup)(p->multi); /* fails only for misuse */
		p->multi = NULL;
		zk_timer_free(p->timer);
	}
}

void zk_net_cancel_all(struct zk_net *n)
{
	zk_send_cancel_all(n);
	/* A handle that is still in the multi would be lost. */
	ZK_LIST_EACH (it, &n->running) {
		struct zk_http *req = ZK_LIST_ENTRY(it, struct zk_http, link);

		if (!(req->conf.flags & ZK_HTTP_INTERNAL))
			zk_http_discard(req);
	}
}

void zk_net_free(struct zk_net *n)
{
	if (!n)
		return;
	ZK_ASSERT(n->depth == 0);
	zk_ws_lib_free(n->ws);
	zk_otel_free(ZK_TAKE(n->conf.otel));
	zk_net_cancel_all(n);
	zk_conn_drop_all(n);
	zk_http_pool_free(n->plain);
	zk_net_recent_free(n->recent);
	close_pools(n);
	ZK_LIST_EACH (it, &n->watches)
		drop_watch(ZK_LIST_ENTRY(it, struct watch, link));
	zk_timer_free(n->deadline_timer);
	zk_timer_free(n->kick);
	zk_trace_free(n->trace);
	free((void *)n->conf.proxy);
	free((void *)n->conf.ca_file);
	free((void *)n->conf.client_cert);
	free((void *)n->conf.client_key);
	free((void *)n->conf.user_agent);
	free((void *)n->conf.trace);
	free((void *)n->conf.trace_file);
	free((void *)n->conf.traceparent);
	free(n);
}

/* Hands out one request that has ended; false when there is none. */
static bool hand_out(struct zk_pool *p)
{
	int left;
	CURLMsg *msg = (zk_curl.curl_multi_info_read)(p->multi, &left);
	char *req = NULL;
	CURLcode result;

	if (!msg || msg->msg != CURLMSG_DONE)
		return false;
	result = msg->data.result; /* removing the handle frees the message */
	(void)(zk_curl.curl_easy_getinfo)(msg->easy_handle, CURLINFO_PRIVATE, &req);
	p->ended(req, (int)result);
	return true;
}

static void let_run(struct zk_pool *p, curl_socket_t fd, int mask)
{
	int running;

	p->added = false;
	p->net->depth++;
	(void)(zk_curl.curl_multi_socket_action)(p->multi, fd, mask, &running);
	p->net->depth--;
}

/* One round of drain(); false when nothing was left to do. */
static bool drain_once(struct zk_net *n)
{
	struct zk_list *e;
	bool more = false;

	while ((e = zk_list_pop(&n->todo)) != NULL)
		zk_http_do(ZK_LIST_ENTRY(e, struct zk_http, todo));
	for (int i = 0; i < ZK_POOLS; i++) {
		struct zk_pool *p = &n->pools[i];

		if (p->added) /* at once rather than by libcurl's timer in the next turn */
			let_run(p, CURL_SOCKET_TIMEOUT, 0);
		if (p->multi && hand_out(p))
			more = true;
	}
	return more || !zk_list_is_empty(&n->todo);
}

void zk_net_drain(struct zk_net *n)
{
	bool more = true;

	if (n->depth || n->draining)
		return;
	n->draining = true;
	for (unsigned i = 0; more && i < MAX_ROUNDS; i++)
		more = drain_once(n);
	n->draining = false;
	if (more)
		zk_timer_start(n->kick, 0, 0);
}

static void act(struct zk_pool *p, curl_socket_t fd, int mask)
{
	let_run(p, fd, mask);
	zk_net_drain(p->net);
}

static void on_curl_timer(void *ctx)
{
	act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(void *ctx)
{
	zk_net_drain(ctx);
}

static void on_deadline(void *ctx)
{
	struct zk_net *n = ctx;
	int64_t now = zk_mono_ms(), next = INT64_MAX;

	n->armed_ms = INT64_MAX;
	ZK_LIST_EACH (it, &n->running) {
		int64_t at =
		        zk_http_check_time(ZK_LIST_ENTRY(it, struct zk_http, link), now);

		next = ZK_MIN(next, at);
	}
	zk_net_arm(n, next);
	zk_net_drain(n);
}

void zk_net_arm(struct zk_net *n, int64_t at_ms)
{
	if (at_ms >= n->armed_ms)
		return;
	n->armed_ms = at_ms;
	zk_timer_start(n->deadline_timer, ZK_MAX(at_ms - zk_mono_ms(), (int64_t)1), 0);
}

void zk_net_ended(struct zk_net *n, struct zk_http *req)
{
	zk_list_remove(&req->link);
	zk_list_remove(&req->todo);
	/* A timer without a request would keep the loop of a one-shot alive. */
	if (zk_list_is_empty(&n->running)) {
		zk_timer_stop(n->deadline_timer);
		n->armed_ms = INT64_MAX;
	}
}

void zk_net_todo(struct zk_net *n, struct zk_http *req, unsigned bits)
{
	req->todo_bits |= bits;
	zk_list_remove(&req->todo);
	zk_list_push(&n->todo, &req->todo);
	zk_net_kick(n);
}

static void on_socket(void *ctx, int events, int status)
{
	struct watch *w = ctx;
	int mask = 0;

	if (status < 0)
		mask = CURL_CSELECT_ERR;
	if (events & ZK_POLL_IN)
		mask |= CURL_CSELECT_IN;
	if (events & ZK_POLL_OUT)
		mask |= CURL_CSELECT_OUT;
	act(w->pool, w->fd, mask); /* `w` may be gone after this */
}

static struct watch *new_watch(struct zk_pool *p, CURL *easy, curl_socket_t fd)
{
	struct zk_net *n = p->net;
	struct watch *w = zk_new0(struct watch);
	struct zk_error err;
	char *req = NULL;

	w->pool = p;
	w->fd = fd;
	w->poll = zk_poll_new(n->loop, fd, on_socket, w, &err);
	if (w->poll) {
		zk_list_push(&n->watches, &w->link);
		(void)(zk_curl.curl_multi_assign)(p->multi, fd, w);
		return w;
	}
	free(w);
	zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "cannot watch a socket", &err);
	(void)(zk_curl.curl_easy_getinfo)(easy, CURLINFO_PRIVATE, &req);
	if (req)
		p->broken(req);
	return NULL;
}

/* CURLMOPT_SOCKETFUNCTION */
static int on_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
	struct zk_pool *p = ctx;
	struct watch *w = sock;

	if (what == CURL_POLL_REMOVE) {
		if (w) {
			(void)(zk_curl.curl_multi_assign)(p->multi, fd, NULL);
			drop_watch(w);
		}
		return 0;
	}
	if (!w)
		w = new_watch(p, easy, fd);
	if (w)
		zk_poll_set(w->poll, (what & CURL_POLL_IN ? ZK_POLL_IN : 0) |
		                             (what & CURL_POLL_OUT ? ZK_POLL_OUT : 0));
	return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct zk_pool *p = ctx;

	(void)multi;
	if (timeout_ms < 0)
		zk_timer_stop(p->timer);
	else
		zk_timer_start(p->timer, timeout_ms, 0);
	return 0;
}

int zk_net_open(struct zk_net *n, struct zk_error *err)
{
	int r = 0;

	if (n->kick)
		return 0;
	if (n->conf.trace && !n->trace)
		r = zk_trace_new(n->conf.trace, n->conf.trace_file, &n->trace, err);
	if (r < 0)
		return r;
	n->deadline_timer = zk_timer_new(n->loop, on_deadline, n);
	n->kick = zk_timer_new(n->loop, on_kick, n);
	return 0;
}

static int open_curl(struct zk_net *n, struct zk_error *err)
{
	int r = n->curl_open ? 0 : zk_curl_open(/* transfers */ true, err);

	if (r < 0 || n->curl_open)
		return r;
	n->curl_open = true;
	if (!n->conf.tls_verify)
		zk_warn("certificates of servers are not verified");
	return 0;
}

void zk_net_count(struct zk_net *n, int by)
{
	if (!n->active && n->metrics)
		n->active =
		        zk_metrics_gauge(n->metrics, "zk_active_connections",
		                         "Open connections of outgoing requests.", NULL);
	if (n->active)
		zk_gauge_add(n->active, by);
}

void zk_net_kick(struct zk_net *n)
{
	if (!n->depth && !n->draining)
		zk_timer_start(n->kick, 0, 0); /* otherwise drain() is about to come */
}

static void http_ended(void *owner, int curl)
{
	zk_http_end(owner, curl);
}

static void http_broken(void *owner)
{
	struct zk_http *r = owner;

	r->end_curl = CURLE_FAILED_INIT;
	zk_net_todo(r->net, r, ZK_TODO_END);
}

struct zk_pool *zk_net_pool(struct zk_net *n, enum zk_pool_kind kind,
                            struct zk_error *err)
{
	struct zk_pool *p = &n->pools[kind];

	if (p->multi)
		return p;
	if (open_curl(n, err) < 0)
		return NULL;
	p->multi = (zk_curl.curl_multi_init)();
	if (!p->multi) {
		(void)zk_fail(err, ZK_E_SYSTEM, "libcurl could not get memory");
		return NULL;
	}
	p->net = n;
	p->ended = kind == ZK_POOL_CONNECT ? zk_conn_ended : http_ended;
	p->broken = kind == ZK_POOL_CONNECT ? zk_conn_broken : http_broken;
	p->timer = zk_timer_new(n->loop, on_curl_timer, p);
	ZK_MSET_FN(p->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	ZK_MSET_PTR(p->multi, CURLMOPT_SOCKETDATA, p);
	ZK_MSET_FN(p->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	ZK_MSET_PTR(p->multi, CURLMOPT_TIMERDATA, p);
	if (kind == ZK_POOL_CONNECT)
		return p;
	ZK_MSET_LONG(p->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, n->conf.max_connections);
	ZK_MSET_LONG(p->multi, CURLMOPT_MAX_HOST_CONNECTIONS, n->conf.max_per_host);
	ZK_MSET_LONG(p->multi, CURLMOPT_MAXCONNECTS, n->conf.max_connections);
	ZK_MSET_LONG(p->multi, CURLMOPT_PIPELINING,
	             kind == ZK_POOL_HTTP2 ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
	return p;
}

void *zk_net_get_easy(struct zk_net *n)
{
	return n->n_idle ? n->idle[--n->n_idle] : (zk_curl.curl_easy_init)();
}

void zk_net_put_easy(struct zk_net *n, void *easy)
{
	if (n->n_idle == ZK_NET_IDLE_HANDLES) {
		(zk_curl.curl_easy_cleanup)(easy);
		return;
	}
	(zk_curl.curl_easy_reset)(easy);
	n->idle[n->n_idle++] = easy;
}
