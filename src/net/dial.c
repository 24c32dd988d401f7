/* Connecting sockets.
 * Layer: net. */
#include "net/dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

#define STAGGER_MS   200
#define MAX_ADDRS    16
#define KEEP_IDLE_S  60
#define KEEP_INTVL_S 20

/* One address that is being connected to. */
struct attempt {
	struct zk_list link;
	struct zk_dial *d;
	struct zk_addr to;
	int fd;
	struct zk_poll *poll;
};

struct zk_dial {
	struct zk_loop *loop;
	struct zk_dial_conf conf; /* the texts are these: */
	char *host, *path, *pinned;
	struct zk_resolve *resolve;
	bool over; /* done was called or is not wanted */
	struct zk_addr addrs[MAX_ADDRS];
	size_t n, next, judged_away;
	struct zk_list attempts;
	struct zk_timer *limit, *stagger;
	struct zk_dial_report report;
	struct zk_error err; /* of the last address that was tried */
};

/* ---- the end ---- */

static void release(void *ctx)
{
	struct zk_dial *d = ctx;

	free(d->host);
	free(d->path);
	free(d->pinned);
	free(d);
}

static void start(void *ctx);

static void drop(struct attempt *a)
{
	zk_list_remove(&a->link);
	zk_poll_free(a->poll);
	if (a->fd >= 0)
		(void)close(a->fd);
	free(a);
}

static void stop(struct zk_dial *d)
{
	ZK_LIST_EACH (it, &d->attempts)
		drop(ZK_LIST_ENTRY(it, struct attempt, link));
	zk_timer_free(ZK_TAKE(d->limit));
	zk_timer_free(ZK_TAKE(d->stagger));
	zk_resolve_cancel(ZK_TAKE(d->resolve));
	zk_loop_forget(d->loop, start, d);
	d->over = true;
	zk_loop_defer(d->loop, release, d);
}

void zk_dial_cancel(struct zk_dial *d)
{
	if (d && !d->over)
		stop(d);
}

const struct zk_dial_report *zk_dial_report(const struct zk_dial *d)
{
	return &d->report;
}

static void fail(struct zk_dial *d, enum zk_dial_end end)
{
	struct zk_error err = d->err;

	if (d->path)
		(void)zk_err_where(&err, "unix:%s", d->path);
	else
		(void)zk_err_where(&err, "%s port %d", d->host, d->conf.port);
	err.retryable = true;
	d->report.end = end;
	stop(d);
	d->conf.done(d->conf.ctx, -1, &err);
}

static void note_errno(struct zk_dial *d, int errnum)
{
	d->report.sys_errno = errnum;
	(void)zk_fail_errno(&d->err, ZK_E_CONNECT, errnum, "cannot connect to %s",
	                    d->path ? d->path : d->host);
}

static void set_options(int fd)
{
	int one = 1, idle = KEEP_IDLE_S, interval = KEEP_INTVL_S;

	/* None of these is needed for it to work. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
}

static void succeed(struct attempt *a)
{
	struct zk_dial *d = a->d;
	int fd = a->fd;

	if (!d->path)
		set_options(fd);
	a->fd = -1;
	d->report.end = ZK_DIAL_OK;
	d->report.peer = a->to;
	stop(d);
	d->conf.done(d->conf.ctx, fd, NULL);
}

/* ---- trying ---- */

static void go_on(struct zk_dial *d);

static void on_poll(void *ctx, int events, int status)
{
	struct attempt *a = ctx;
	struct zk_dial *d = a->d;
	int error = 0;
	socklen_t n = sizeof(error);

	(void)events;
	/* libuv knows of an error, but not of which. */
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (!error && status < 0)
		error = -status;
	if (error == 0) {
		succeed(a);
		return;
	}
	note_errno(d, error);
	drop(a);
	go_on(d);
}

/* True when a connection is on its way. */
static bool begin(struct zk_dial *d, const struct zk_addr *to, const struct sockaddr *sa,
                  socklen_t n)
{
	struct attempt *a = zk_new0(struct attempt);
	struct zk_error err = { 0 };

	a->d = d;
	if (to)
		a->to = *to;
	zk_list_push(&d->attempts, &a->link);
	a->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0 || (connect(a->fd, sa, n) < 0 && errno != EINPROGRESS)) {
		note_errno(d, errno);
		drop(a);
		return false;
	}
	a->poll = zk_poll_new(d->loop, a->fd, on_poll, a, &err);
	if (!a->poll) {
		d->err = err;
		drop(a);
		return false;
	}
	zk_poll_set(a->poll, ZK_POLL_OUT);
	return true;
}

static bool is_allowed(struct zk_dial *d, const struct zk_addr *to)
{
	const char *why = d->conf.judge ? d->conf.judge(d->conf.ctx, &to->to.any) : NULL;

	if (!why)
		return true;
	zk_addr_text(to, d->report.blocked_ip);
	d->report.blocked_why = why;
	d->judged_away++;
	return false;
}

/* The next address, at once when none is under way, otherwise when it is its time. */
static void go_on(struct zk_dial *d)
{
	bool began = false;

	while (!began && d->next < d->n) {
		const struct zk_addr *to = &d->addrs[d->next++];

		began = is_allowed(d, to) && begin(d, to, &to->to.any, to->n);
	}
	if (began && d->next < d->n)
		zk_timer_start(d->stagger, STAGGER_MS, 0);
	else
		zk_timer_stop(d->stagger);
	if (zk_list_is_empty(&d->attempts))
		fail(d,
		     d->n && d->judged_away == d->n ? ZK_DIAL_BLOCKED : ZK_DIAL_FAILED);
}

static void on_stagger(void *ctx)
{
	go_on(ctx);
}

/* ---- beginning ---- */

/* The families in turn, beginning with that of the first (RFC 8305 §4). */
static void take(struct zk_dial *d, const struct zk_addr *list, size_t n)
{
	size_t at[2] = { 0, 0 };

	for (unsigned which = 0; d->n < n && d->n < MAX_ADDRS; which ^= 1) {
		size_t i = at[which];

		while (i < n && (list[i].to.any.sa_family != list[0].to.any.sa_family) !=
		                        (which == 1))
			i++;
		at[which] = i + 1;
		if (i < n)
			d->addrs[d->n++] = list[i];
	}
}

static void on_resolved(void *ctx, const struct zk_addr *list, size_t n, const char *why)
{
	struct zk_dial *d = ctx;

	d->resolve = NULL;
	if (!n) {
		(void)zk_fail(&d->err, ZK_E_CONNECT, "cannot resolve '%s': %s", d->host,
		              why);
		fail(d, ZK_DIAL_UNKNOWN);
		return;
	}
	take(d, list, n);
	go_on(d);
}

static void start_path(struct zk_dial *d)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(d->path) >= sizeof(sa.sun_path)) {
		note_errno(d, ENAMETOOLONG);
	} else {
		memcpy(sa.sun_path, d->path, strlen(d->path) + 1);
		if (begin(d, NULL, (const struct sockaddr *)&sa, sizeof(sa)))
			return;
	}
	fail(d, ZK_DIAL_FAILED);
}

static void start_pinned(struct zk_dial *d)
{
	struct zk_addr list[MAX_ADDRS];
	zk_str rest = zk_str_of(d->pinned), one;
	size_t n = 0;

	while (rest.n && n < MAX_ADDRS) {
		rest = zk_str_cut(rest, ',', &one);
		n += zk_addr_parse(one, d->conf.port, &list[n]);
	}
	on_resolved(d, list, n, "no address is given");
}

static void start(void *ctx)
{
	struct zk_dial *d = ctx;

	if (d->path)
		start_path(d);
	else
		start_pinned(d);
}

static void on_limit(void *ctx)
{
	struct zk_dial *d = ctx;

	note_errno(d, ETIMEDOUT);
	fail(d, ZK_DIAL_LATE);
}

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

struct zk_dial *zk_dial_start(struct zk_loop *l, const struct zk_dial_conf *conf)
{
	struct zk_dial *d = zk_new0(struct zk_dial);

	d->loop = l;
	d->conf = *conf;
	d->host = copy(conf->host);
	d->path = copy(conf->path);
	d->pinned = copy(conf->pinned);
	zk_list_init(&d->attempts);
	d->limit = zk_timer_new(l, on_limit, d);
	d->stagger = zk_timer_new(l, on_stagger, d);
	if (conf->timeout_ms > 0)
		zk_timer_start(d->limit, conf->timeout_ms, 0);
	if (d->path || d->pinned)
		zk_loop_defer(l, start, d);
	else
		d->resolve = zk_resolve_start(l, d->host, d->conf.port, on_resolved, d);
	return d;
}
