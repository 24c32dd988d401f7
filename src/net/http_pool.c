/* HTTP client: connections of the plain engine.
 * Layer: net, internal to the HTTP client. */
#include "net/http_pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/dial.h"
#include "net/http_plain.h"
#include "net/http_priv.h"
#include "rt/loop.h"

#include "base/ban.h"

#define MAX_IDLE_MS 55000 /* below the idle limits of common servers and balancers */

/* ---- the end of a connection ---- */

static void conn_free(void *ctx)
{
	struct zk_http_conn *c = ctx;

	zk_list_remove(&c->link);
	free(c->host);
	free(c);
}

/* It is freed later: its events may be on the stack. */
static void conn_close(struct zk_http_conn *c)
{
	struct zk_http_pool *p = c->pool;

	zk_dial_cancel(ZK_TAKE(c->dial));
	zk_poll_free(ZK_TAKE(c->poll));
	if (c->fd >= 0) {
		(void)close(c->fd);
		zk_net_count(p->net, -1);
	}
	c->fd = -1;
	c->x = NULL;
	p->n--;
	zk_list_remove(&c->link);
	zk_list_push(&p->closed, &c->link);
	zk_loop_defer(p->net->loop, conn_free, c);
}

static void close_all(struct zk_list *list)
{
	ZK_LIST_EACH (it, list)
		conn_close(ZK_LIST_ENTRY(it, struct zk_http_conn, link));
}

void zk_http_pool_free(struct zk_http_pool *p)
{
	if (!p)
		return;
	close_all(&p->idle);
	close_all(&p->busy);
	ZK_LIST_EACH (it, &p->closed) {
		struct zk_http_conn *c = ZK_LIST_ENTRY(it, struct zk_http_conn, link);

		zk_loop_forget(p->net->loop, conn_free, c);
		conn_free(c);
	}
	free(p->room);
	free(p);
}

struct zk_http_pool *zk_http_pool_new(struct zk_net *n)
{
	struct zk_http_pool *p = zk_new0(struct zk_http_pool);

	p->net = n;
	p->room = zk_alloc(ZK_HTTP_ROOM);
	zk_list_init(&p->idle);
	zk_list_init(&p->busy);
	zk_list_init(&p->closed);
	zk_list_init(&p->waiting);
	return p;
}

/* ---- an idle one ---- */

static bool serves(const struct zk_http_conn *c, const struct zk_plain *x)
{
	return c->port == x->url.port && zk_str_eq(zk_str_of(c->host), x->url.host);
}

/* Whether the peer left it open and silent. */
static bool is_alive(const struct zk_http_conn *c)
{
	char byte;
	ssize_t n;

	do
		n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static const char *judge(const struct zk_plain *x, const struct sockaddr *sa)
{
	return x->req->guarded ? zk_guard_judge(&x->req->guard, sa) : NULL;
}

/* Of those that serve, and that may be used, which another policy may have made: the one that was
 * used last. */
static struct zk_http_conn *find_idle(struct zk_http_pool *p, struct zk_plain *x)
{
	int64_t max = x->req->conf.pool_idle_ms ? x->req->conf.pool_idle_ms : MAX_IDLE_MS,
	        now = zk_mono_ms();

	if (x->fresh)
		return NULL;
	ZK_LIST_EACH (it, &p->idle) {
		struct zk_http_conn *c = ZK_LIST_ENTRY(it, struct zk_http_conn, link);

		if (!serves(c, x) || judge(x, &c->peer.to.any))
			continue;
		if (now - c->idle_since_ms <= max && is_alive(c))
			return c;
		conn_close(c);
	}
	return NULL;
}

/* ---- a new one ---- */

static unsigned count_of_host(const struct zk_http_pool *p, const struct zk_plain *x)
{
	const struct zk_list *lists[] = { &p->idle, &p->busy };
	unsigned n = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(lists); i++)
		ZK_LIST_EACH (it, lists[i])
			n += serves(ZK_LIST_ENTRY(it, struct zk_http_conn, link), x);
	return n;
}

/* Closes the idle connection that was not used for longest, of the host of `x` only or of any. */
static bool make_room(struct zk_http_pool *p, const struct zk_plain *x, bool of_host)
{
	for (struct zk_list *it = p->idle.prev; it != &p->idle; it = it->prev) {
		struct zk_http_conn *c = ZK_LIST_ENTRY(it, struct zk_http_conn, link);

		if (of_host && !serves(c, x))
			continue;
		conn_close(c);
		return true;
	}
	return false;
}

static bool has_room(struct zk_http_pool *p, const struct zk_plain *x)
{
	const struct zk_net_conf *conf = &p->net->conf;

	if (count_of_host(p, x) >= conf->max_per_host && !make_room(p, x, true))
		return false;
	return p->n < conf->max_connections || make_room(p, x, false);
}

static void on_poll(void *ctx, int events, int status)
{
	struct zk_http_conn *c = ctx;
	struct zk_net *n = c->pool->net;

	if (!c->x) {
		conn_close(c); /* an idle one has nothing to say but goodbye */
		return;
	}
	if (status < 0) {
		events = ZK_POLL_IN | ZK_POLL_OUT; /* the calls find out what it is */
		c->events = 0;                     /* libuv has stopped */
	}
	n->depth++;
	zk_plain_on_events(c->x, events);
	n->depth--;
	zk_net_drain(n);
}

static void on_dialled(void *ctx, int fd, const struct zk_error *err)
{
	struct zk_http_conn *c = ctx;
	struct zk_net *n = c->pool->net;
	struct zk_dial_report report = *zk_dial_report(c->dial);
	struct zk_error ignored;

	(void)err; /* the report says it better */
	c->dial = NULL;
	if (fd >= 0) {
		c->fd = fd;
		c->peer = report.peer;
		zk_addr_text(&c->peer, c->peer_text);
		zk_net_count(n, 1);
		c->poll = zk_poll_new(n->loop, fd, on_poll, c, &ignored);
		if (!c->poll)
			report = (struct zk_dial_report){ .end = ZK_DIAL_FAILED,
				                          .sys_errno = ENOMEM };
	}
	n->depth++;
	zk_plain_on_connected(c->x, &report);
	n->depth--;
	zk_net_drain(n);
}

static const char *judge_new(void *ctx, const struct sockaddr *sa)
{
	const struct zk_http_conn *c = ctx;

	return judge(c->x, sa);
}

/* The part of "host:port:addresses" behind the ports, when it is about this host. */
static const char *pinned(const struct zk_plain *x)
{
	char *prefix;
	const char *r = NULL;

	if (!x->req->resolve)
		return NULL;
	prefix = zk_asprintf("%.*s:%d:", ZK_STR_ARG(x->url.host), x->url.port);
	if (zk_str_starts(zk_str_of(x->req->resolve), zk_str_of(prefix)))
		r = x->req->resolve + strlen(prefix);
	free(prefix);
	return r;
}

static void dial(struct zk_http_pool *p, struct zk_plain *x)
{
	struct zk_http_conn *c = zk_new0(struct zk_http_conn);
	struct zk_dial_conf conf = {
		.port = x->url.port,
		.pinned = pinned(x),
		.timeout_ms = x->req->conf.connect_timeout_ms,
		.judge = judge_new,
		.done = on_dialled,
	};

	c->pool = p;
	c->host = zk_strndup(x->url.host.p, x->url.host.n);
	c->port = x->url.port;
	c->fd = -1;
	c->x = x;
	x->conn = c;
	p->n++;
	zk_list_push(&p->busy, &c->link);
	conf.host = c->host;
	conf.ctx = c;
	c->dial = zk_dial_start(p->net->loop, &conf);
}

/* ---- giving and taking ---- */

bool zk_http_pool_give(struct zk_http_pool *p, struct zk_plain *x)
{
	struct zk_http_conn *c = find_idle(p, x);

	if (!c) {
		if (!has_room(p, x))
			return false;
		dial(p, x);
		return true;
	}
	zk_list_remove(&c->link);
	zk_list_push(&p->busy, &c->link);
	zk_poll_weak(c->poll, false);
	c->x = x;
	c->used = true;
	x->conn = c;
	return true;
}

void zk_http_conn_watch(struct zk_http_conn *c, int events)
{
	if (c->events != events)
		zk_poll_set(c->poll, events);
	c->events = events;
}

void zk_http_pool_put(struct zk_http_conn *c, bool keep)
{
	struct zk_http_pool *p = c->pool;

	if (!keep) {
		conn_close(c);
		return;
	}
	c->x = NULL;
	c->idle_since_ms = zk_mono_ms();
	zk_list_remove(&c->link);
	zk_list_push_front(&p->idle, &c->link);
	zk_http_conn_watch(c, ZK_POLL_IN);
	zk_poll_weak(c->poll, true);
}

void zk_http_pool_wake(struct zk_http_pool *p)
{
	const struct zk_plain *failed = NULL;

	ZK_LIST_EACH (it, &p->waiting) {
		struct zk_plain *x = ZK_LIST_ENTRY(it, struct zk_plain, waiting);

		if (failed && failed->url.port == x->url.port &&
		    zk_str_eq(failed->url.host, x->url.host))
			continue; /* as before */
		failed = x;
		if (!find_idle(p, x) && !has_room(p, x))
			continue;
		zk_list_remove(&x->waiting);
		zk_net_todo(p->net, x->req, ZK_TODO_ADD);
		return;
	}
}
