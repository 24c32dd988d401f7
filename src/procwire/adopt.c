/* Who may be our parent: the listener, authentication, adoption.
 * Layer: procwire. specs/procwire.md §5, §6. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "procwire/worker_int.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define PENDING_MS 5000

/* ---- connections that have not said who they are ---- */

static void drop_pending(struct zk_pw_pending *p)
{
	if (p->fd < 0)
		return;
	zk_poll_free(ZK_TAKE(p->poll));
	zk_timer_free(ZK_TAKE(p->deadline));
	(void)close(p->fd);
	p->fd = -1;
	zk_wipe(p->bytes, sizeof(p->bytes));
}

static void on_deadline(void *ctx)
{
	zk_info("a connection did not authenticate in time", "limit_ms=%d", PENDING_MS);
	drop_pending(ctx);
}

/* Whether what came so far can be the AUTH frame of our parent. */
static bool is_plausible(const struct zk_pw_pending *p)
{
	static const char head[7] = { (char)0xff, (char)0xfe, 0, 0, 0, 0, 0 };

	if (memcmp(p->bytes, head, ZK_MIN(p->n, sizeof(head))) != 0)
		return false;
	return p->n < ZK_PW_HEADER || zk_pw_be32(p->bytes + 7) == p->w->token_n;
}

static void adopt_pending(struct zk_pw_pending *p)
{
	struct zk_pw_worker *w = p->w;
	int fd = p->fd;

	zk_poll_free(ZK_TAKE(p->poll));
	zk_timer_free(ZK_TAKE(p->deadline));
	p->fd = -1;
	zk_wipe(p->bytes, sizeof(p->bytes));
	zk_pw_adopt(w, fd);
}

static void on_pending(void *ctx, int events, int status)
{
	struct zk_pw_pending *p = ctx;
	struct zk_pw_worker *w = p->w;
	size_t want = ZK_PW_HEADER + w->token_n;
	ssize_t n;

	(void)events;
	/* Not a byte more than the frame: what follows belongs to the connection. */
	n = status < 0 ? 0 : recv(p->fd, p->bytes + p->n, want - p->n, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_pending(p);
		return;
	}
	p->n += (size_t)n;
	if (!is_plausible(p)) {
		zk_warn("a connection did not begin with authentication", "fd=%d", p->fd);
		drop_pending(p);
	} else if (p->n == want) {
		if (zk_equal_ct(p->bytes + ZK_PW_HEADER, w->token, w->token_n)) {
			adopt_pending(p);
			return;
		}
		zk_warn("a connection gave a wrong token", "fd=%d", p->fd);
		drop_pending(p);
	}
}

/* A free place; the one that waits longest makes room. */
static struct zk_pw_pending *free_place(struct zk_pw_worker *w)
{
	for (size_t i = 0; i < ZK_PW_PENDING_MAX; i++)
		if (w->pending[i].fd < 0)
			return &w->pending[i];
	drop_pending(&w->pending[w->next_pending]);
	return &w->pending[w->next_pending];
}

static void add_pending(struct zk_pw_worker *w, int fd)
{
	struct zk_pw_pending *p = free_place(w);
	struct zk_error err = { 0 };

	w->next_pending = ((size_t)(p - w->pending) + 1) % ZK_PW_PENDING_MAX;
	*p = (struct zk_pw_pending){ .w = w, .fd = fd };
	p->poll = zk_poll_new(w->loop, fd, on_pending, p, &err);
	if (!p->poll) {
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a connection was closed", &err);
		(void)close(fd);
		p->fd = -1;
		return;
	}
	p->deadline = zk_timer_new(w->loop, on_deadline, p);
	zk_timer_start(p->deadline, PENDING_MS, 0);
	zk_poll_set(p->poll, ZK_POLL_IN);
}

/* ---- the listener ---- */

static void on_connection(void *ctx, int events, int status)
{
	struct zk_pw_worker *w = ctx;
	int fd;

	(void)events;
	(void)status;
	while (w->state == ZK_PW_LISTENING &&
	       (fd = zk_uds_accept(&w->uds, w->conf.allow_uid)) >= 0) {
		if (w->token_n)
			add_pending(w, fd);
		else
			zk_pw_adopt(w, fd);
	}
}

int zk_pw_listen(struct zk_pw_worker *w, struct zk_error *err)
{
	if (zk_uds_listen(&w->uds, "procwire", err) < 0)
		return -(int)err->code;
	w->listen_poll = zk_poll_new(w->loop, w->uds.fd, on_connection, w, err);
	if (!w->listen_poll)
		return -(int)err->code;
	zk_poll_set(w->listen_poll, ZK_POLL_IN);
	return 0;
}

void zk_pw_unlisten(struct zk_pw_worker *w)
{
	zk_poll_free(ZK_TAKE(w->listen_poll));
	zk_uds_close(&w->uds);
	for (size_t i = 0; i < ZK_PW_PENDING_MAX; i++)
		drop_pending(&w->pending[i]);
}

/* ---- adoption ---- */

static void on_close(void *ctx, const struct zk_error *err)
{
	struct zk_pw_worker *w = ctx;

	if (err)
		w->error = *err;
	zk_pw_worker_stop(w, err ? ZK_PW_BY_VIOLATION : ZK_PW_BY_CONNECTION);
}

void zk_pw_adopt(struct zk_pw_worker *w, int fd)
{
	struct zk_pw_conn_conf conf = {
		.ctx = w,
		.max_payload = w->conf.max_payload,
		.high_bytes = ZK_PW_TX_HIGH,
		.low_bytes = ZK_PW_TX_LOW,
		.on_frame = zk_pw_on_frame,
		.on_begin = zk_pw_on_begin,
		.on_piece = zk_pw_on_piece,
		.on_room = zk_pw_on_room,
		.on_close = on_close,
	};

	if (zk_pw_conn_new(w->loop, fd, &conf, &w->conn, &w->error) < 0) {
		zk_pw_worker_stop(w, ZK_PW_BY_CONNECTION);
		return;
	}
	w->state = ZK_PW_ADOPTED;
	zk_pw_unlisten(w);
	zk_debug("the parent is connected", "fd=%d", fd);
	zk_pw_conn_start(w->conn);
}
