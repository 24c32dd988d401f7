/* Connecting sockets: uv_getaddrinfo, then connect() to each address in turn.
 * Layer: net. */
#include "net/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

struct zk_dial {
	struct zk_loop *loop;
	char *host, *path;
	int port;
	void (*done)(void *ctx, int fd, const struct zk_error *err);
	void *ctx;
	uv_getaddrinfo_t req;
	bool resolving, over; /* over: done was called or is not wanted */
	struct addrinfo *list, *next;
	struct zk_timer *timer;
	struct zk_poll *poll;
	int fd;
	struct zk_error err; /* of the last address that was tried */
};

static void release(void *ctx)
{
	struct zk_dial *d = ctx;

	if (d->resolving)
		return; /* the resolver's callback comes back here */
	if (d->list)
		uv_freeaddrinfo(d->list);
	free(d->host);
	free(d->path);
	free(d);
}

static void let_go(struct zk_dial *d)
{
	zk_poll_free(ZK_TAKE(d->poll));
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

static void stop(struct zk_dial *d)
{
	let_go(d);
	zk_timer_free(ZK_TAKE(d->timer));
	d->over = true;
	if (d->resolving)
		(void)uv_cancel((uv_req_t *)&d->req); /* too late is fine */
	zk_loop_defer(d->loop, release, d);
}

void zk_dial_cancel(struct zk_dial *d)
{
	if (d && !d->over)
		stop(d);
}

static void name_target(const struct zk_dial *d, struct zk_error *err)
{
	if (d->path)
		(void)zk_err_where(err, "unix:%s", d->path);
	else
		(void)zk_err_where(err, "%s port %d", d->host, d->port);
	err->retryable = true;
}

static void fail(struct zk_dial *d)
{
	struct zk_error err = d->err;

	name_target(d, &err);
	stop(d);
	d->done(d->ctx, -1, &err);
}

static void note_errno(struct zk_dial *d, int errnum)
{
	(void)zk_fail_errno(&d->err, ZK_E_CONNECT, errnum, "cannot connect to %s",
	                    d->path ? d->path : d->host);
}

static void succeed(struct zk_dial *d)
{
	int one = 1, fd = d->fd;

	if (!d->path)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	zk_poll_free(ZK_TAKE(d->poll));
	d->fd = -1;
	stop(d);
	d->done(d->ctx, fd, NULL);
}

static void try_next(struct zk_dial *d);

static void on_poll(void *ctx, int events, int status)
{
	struct zk_dial *d = ctx;
	int error = 0;
	socklen_t n = sizeof(error);

	(void)events;
	if (status < 0 || getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = status < 0 ? -status : errno;
	if (error == 0) {
		succeed(d);
		return;
	}
	note_errno(d, error);
	let_go(d);
	try_next(d);
}

/* True when a connection is on its way. */
static bool begin(struct zk_dial *d, int family, const struct sockaddr *sa, socklen_t n)
{
	struct zk_error err = { 0 };

	d->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0 || (connect(d->fd, sa, n) < 0 && errno != EINPROGRESS)) {
		note_errno(d, errno);
		let_go(d);
		return false;
	}
	d->poll = zk_poll_new(d->loop, d->fd, on_poll, d, &err);
	if (!d->poll) {
		d->err = err;
		let_go(d);
		return false;
	}
	zk_poll_set(d->poll, ZK_POLL_OUT);
	return true;
}

static void try_next(struct zk_dial *d)
{
	while (d->next) {
		struct addrinfo *a = d->next;

		d->next = a->ai_next;
		if (begin(d, a->ai_family, a->ai_addr, a->ai_addrlen))
			return;
	}
	fail(d);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct zk_dial *d = ZK_CONTAINER_OF(req, struct zk_dial, req);

	d->resolving = false;
	d->list = d->next = list;
	if (d->over) {
		release(d);
		return;
	}
	if (status < 0)
		(void)zk_fail(&d->err, ZK_E_CONNECT, "cannot resolve '%s': %s", d->host,
		              uv_strerror(status));
	try_next(d);
}

static void start_path(void *ctx)
{
	struct zk_dial *d = ctx;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (d->over)
		return;
	if (strlen(d->path) >= sizeof(sa.sun_path))
		note_errno(d, ENAMETOOLONG);
	else {
		memcpy(sa.sun_path, d->path, strlen(d->path) + 1);
		if (begin(d, AF_UNIX, (const struct sockaddr *)&sa, sizeof(sa)))
			return;
	}
	fail(d);
}

static void start_name(void *ctx)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		                               .ai_flags = AI_ADDRCONFIG };
	struct zk_dial *d = ctx;
	char port[16];
	int r;

	if (d->over)
		return;
	(void)snprintf(port, sizeof(port), "%d", d->port);
	r = uv_getaddrinfo(zk_loop_uv(d->loop), &d->req, on_resolved, d->host, port,
	                   &hints);
	d->resolving = r == 0;
	if (r == 0)
		return;
	(void)zk_fail(&d->err, ZK_E_CONNECT, "cannot resolve '%s': %s", d->host,
	              uv_strerror(r));
	fail(d);
}

static void on_timeout(void *ctx)
{
	struct zk_dial *d = ctx;

	note_errno(d, ETIMEDOUT);
	fail(d);
}

struct zk_dial *zk_dial_start(struct zk_loop *l, const struct zk_dial_conf *conf)
{
	struct zk_dial *d = zk_new0(struct zk_dial);

	d->loop = l;
	d->fd = -1;
	d->done = conf->done;
	d->ctx = conf->ctx;
	d->port = conf->port;
	if (conf->path)
		d->path = zk_strdup(conf->path);
	else
		d->host = zk_strdup(conf->host);
	d->timer = zk_timer_new(l, on_timeout, d);
	zk_timer_start(d->timer, conf->timeout_ms, 0);
	zk_loop_defer(l, d->path ? start_path : start_name, d);
	return d;
}
