/* One data connection.
 * Layer: procwire. */
#include "procwire/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "procwire/txq.h"
#include "rt/loop.h"
#include "rt/spin.h"

#include "base/ban.h"

/* One read of long payloads; and of short frames: the peer works on the answers to some while
 * the next are worked on here, instead of either waiting for the other's whole window. */
#define READ_BYTES       (256u * 1024)
#define READ_SHORT_BYTES (64u * 1024)
/* What one wake-up reads at most, so that stdin and timers get their turn. */
#define READS_MAX    16
#define SOCKET_BYTES (1 << 20)

struct zk_pw_conn {
	struct zk_pw_conn_conf conf;
	struct zk_loop *loop;
	int fd; /* -1 = dead */
	struct zk_poll *poll;
	int events; /* that are watched */
	struct zk_pw_decoder dec;
	char *rx;
	struct zk_buf collect;     /* the payload of a frame that comes in pieces */
	bool piecewise;            /* … goes to on_piece instead */
	struct zk_pw_txq tx, held; /* held: behind a frame that is open */
	bool open_frame;
	uint32_t open_left; /* bytes of it that are still to be given */
	bool full;          /* on_room is owed */
	bool deferred;      /* flush() is */
	bool started, busy, freed;
	unsigned holds;
	struct zk_timer *patience;
	struct zk_spin spin;
	struct zk_error why; /* of its end; no code = the peer closed */
	struct zk_pw_conn_stats stats;
};

static void flush_later(struct zk_pw_conn *c);

/* ---- end of life ---- */

static void release(void *ctx)
{
	struct zk_pw_conn *c = ctx;

	zk_pw_txq_done(&c->tx);
	zk_pw_txq_done(&c->held);
	zk_buf_done(&c->collect);
	free(c->rx);
	free(c);
}

static void flush_deferred(void *ctx);
static void read_more(void *ctx);
static void tell_closed(void *ctx);

static void close_fd(struct zk_pw_conn *c)
{
	if (c->fd < 0)
		return;
	zk_poll_free(ZK_TAKE(c->poll));
	zk_timer_free(ZK_TAKE(c->patience));
	zk_loop_forget(c->loop, flush_deferred, c);
	zk_loop_forget(c->loop, read_more, c);
	(void)close(c->fd);
	c->fd = -1;
}

void zk_pw_conn_free(struct zk_pw_conn *c)
{
	if (!c || c->freed)
		return;
	c->freed = true;
	close_fd(c);
	zk_loop_forget(c->loop, tell_closed, c);
	zk_loop_defer(c->loop, release, c);
}

/* Not at once: whoever sends just now holds things that on_close frees. */
static void tell_closed(void *ctx)
{
	struct zk_pw_conn *c = ctx;

	c->conf.on_close(c->conf.ctx, c->why.code ? &c->why : NULL);
}

static void die(struct zk_pw_conn *c, const struct zk_error *err)
{
	if (c->fd < 0)
		return;
	close_fd(c);
	if (err)
		c->why = *err;
	zk_loop_defer(c->loop, tell_closed, c);
}

/* ---- watching ---- */

static void watch(struct zk_pw_conn *c)
{
	int want = (c->holds || !c->started ? 0 : ZK_POLL_IN) |
	           (c->tx.bytes ? ZK_POLL_OUT : 0);

	if (c->fd < 0 || want == c->events)
		return;
	c->events = want;
	zk_poll_set(c->poll, want);
}

static void on_patience(void *ctx)
{
	zk_pw_conn_release(ctx, ZK_PW_HOLD_PIECE);
}

void zk_pw_conn_hold(struct zk_pw_conn *c, enum zk_pw_hold why, int64_t patience_ms)
{
	if (c->fd < 0 || (c->holds & why))
		return;
	c->holds |= why;
	if (why == ZK_PW_HOLD_PIECE && patience_ms)
		zk_timer_start(c->patience, patience_ms, 0);
	watch(c);
}

void zk_pw_conn_release(struct zk_pw_conn *c, enum zk_pw_hold why)
{
	if (c->fd < 0 || !(c->holds & why))
		return;
	c->holds &= ~(unsigned)why;
	if (why == ZK_PW_HOLD_PIECE)
		zk_timer_stop(c->patience);
	watch(c);
}

/* ---- writing ---- */

static void flush(struct zk_pw_conn *c)
{
	if (c->fd < 0 || !c->tx.bytes)
		return;
	if (zk_pw_txq_write(&c->tx, c->fd, &c->stats.writes, &c->stats.bytes_out) < 0) {
		die(c, NULL);
		return;
	}
	watch(c);
	if (c->full && c->tx.bytes <= c->conf.low_bytes) {
		c->full = false;
		if (c->conf.on_room)
			c->conf.on_room(c->conf.ctx);
	}
}

static void flush_deferred(void *ctx)
{
	struct zk_pw_conn *c = ctx;

	c->deferred = false;
	flush(c);
}

static void flush_later(struct zk_pw_conn *c)
{
	if (c->tx.bytes + c->held.bytes >= c->conf.high_bytes)
		c->full = true;
	/* A read writes at its end; what is blocked waits for the descriptor. */
	if (c->busy || c->deferred || (c->events & ZK_POLL_OUT))
		return;
	c->deferred = true;
	zk_loop_defer(c->loop, flush_deferred, c);
}

static struct zk_pw_txq *queue_of(struct zk_pw_conn *c)
{
	c->stats.frames_out++;
	return c->open_frame ? &c->held : &c->tx;
}

void zk_pw_conn_send(struct zk_pw_conn *c, uint16_t method, uint8_t flags,
                     uint32_t request, zk_str payload)
{
	struct zk_pw_header h = { .method = method,
		                  .flags = flags,
		                  .request = request,
		                  .length = (uint32_t)payload.n };

	if (c->fd < 0)
		return;
	zk_pw_txq_put(queue_of(c), &h, payload);
	flush_later(c);
}

void zk_pw_conn_send_borrowed(struct zk_pw_conn *c, uint16_t method, uint8_t flags,
                              uint32_t request, zk_str payload)
{
	struct zk_pw_header h = { .method = method,
		                  .flags = flags,
		                  .request = request,
		                  .length = (uint32_t)payload.n };

	if (c->fd < 0)
		return;
	zk_pw_txq_put_borrowed(queue_of(c), &h, payload);
	flush_later(c);
}

void zk_pw_conn_send_buf(struct zk_pw_conn *c, uint16_t method, uint8_t flags,
                         uint32_t request, struct zk_buf *payload)
{
	struct zk_pw_header h = { .method = method,
		                  .flags = flags,
		                  .request = request,
		                  .length = (uint32_t)payload->n };

	if (c->fd < 0) {
		zk_buf_done(payload);
		return;
	}
	zk_pw_txq_put_buf(queue_of(c), &h, payload);
	flush_later(c);
}

void zk_pw_conn_send_begin(struct zk_pw_conn *c, const struct zk_pw_header *h)
{
	char head[ZK_PW_HEADER];

	ZK_ASSERT(!c->open_frame);
	if (c->fd < 0)
		return;
	c->stats.frames_out++;
	c->open_frame = true;
	c->open_left = h->length;
	zk_pw_header_put(head, *h);
	zk_pw_txq_put_bytes(&c->tx, zk_str_n(head, sizeof(head)));
}

/* Writes from where the bytes are when nothing waits before them; returns how many went. */
static size_t write_now(struct zk_pw_conn *c, zk_str piece)
{
	ssize_t r;

	flush(c);
	if (c->fd < 0 || c->tx.bytes)
		return 0;
	r = send(c->fd, piece.p, piece.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0)
		return 0; /* the next write says what is wrong */
	c->stats.writes++;
	c->stats.bytes_out += (uint64_t)r;
	return (size_t)r;
}

void zk_pw_conn_send_piece(struct zk_pw_conn *c, zk_str piece, bool last)
{
	size_t n;

	if (c->fd < 0)
		return;
	ZK_ASSERT(c->open_frame && piece.n <= c->open_left);
	c->open_left -= (uint32_t)piece.n;
	n = write_now(c, piece);
	if (c->fd < 0)
		return;
	zk_pw_txq_put_bytes(&c->tx, zk_str_from(piece, n));
	if (last) {
		ZK_ASSERT(c->open_left == 0);
		c->open_frame = false;
		zk_pw_txq_splice(&c->tx, &c->held);
	}
	watch(c);
	flush_later(c);
}

bool zk_pw_conn_is_whole(const struct zk_pw_conn *c)
{
	return !c->open_frame;
}

bool zk_pw_conn_is_full(const struct zk_pw_conn *c)
{
	return c->full;
}

void zk_pw_conn_drop(struct zk_pw_conn *c, uint32_t request)
{
	zk_pw_txq_drop(&c->tx, request);
	zk_pw_txq_drop(&c->held, request);
	watch(c);
	flush_later(c);
}

/* ---- reading ---- */

static void begin_payload(struct zk_pw_conn *c)
{
	const struct zk_pw_header *h = &c->dec.header;

	c->piecewise = c->conf.on_begin && c->conf.on_begin(c->conf.ctx, h);
	if (!c->piecewise)
		zk_buf_init(&c->collect, h->length);
}

static void take_piece(struct zk_pw_conn *c, bool last)
{
	struct zk_pw_header h = c->dec.header;

	if (c->piecewise) {
		c->conf.on_piece(c->conf.ctx, c->dec.bytes, last);
	} else {
		zk_buf_add(&c->collect, c->dec.bytes);
		if (!last)
			return;
		c->conf.on_frame(c->conf.ctx, &h, zk_buf_str(&c->collect));
		zk_buf_done(&c->collect);
	}
}

static void take(struct zk_pw_conn *c, zk_str in)
{
	enum zk_pw_found f;
	struct zk_error err = { 0 };

	c->stats.bytes_in += in.n;
	while (c->fd >= 0 && (f = zk_pw_decode(&c->dec, &in)) != ZK_PW_MORE) {
		switch (f) {
		case ZK_PW_FRAME:
			c->stats.frames_in++;
			c->conf.on_frame(c->conf.ctx, &c->dec.header, c->dec.bytes);
			break;
		case ZK_PW_BEGIN:
			c->stats.frames_in++;
			begin_payload(c);
			break;
		case ZK_PW_PIECE:
		case ZK_PW_LAST:
			take_piece(c, f == ZK_PW_LAST);
			break;
		case ZK_PW_WRONG:
			(void)zk_fail(&err, ZK_E_PW_PROTOCOL,
			              "the peer broke the framing: %s", c->dec.why);
			die(c, &err);
			return;
		case ZK_PW_MORE:
			break;
		}
	}
}

enum got { NOTHING, ALL, MORE };

/* MORE: more may be there. */
static enum got read_once(struct zk_pw_conn *c)
{
	size_t room = c->dec.left > READ_SHORT_BYTES ? READ_BYTES : READ_SHORT_BYTES;
	ssize_t n = recv(c->fd, c->rx, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NOTHING;
	if (n <= 0) {
		die(c, NULL);
		return NOTHING;
	}
	c->stats.reads++;
	take(c, zk_str_n(c->rx, (size_t)n));
	flush(c);
	return (size_t)n == room ? MORE : ALL;
}

/* True when the peer's next bytes came while it looked. */
static bool look(struct zk_pw_conn *c)
{
	int64_t begin, took = 0;
	bool found = false;

	if (c->fd < 0 || c->holds || c->tx.bytes || !zk_spin_pays(&c->spin))
		return false;
	begin = zk_mono_us();
	while (!found && c->fd >= 0 && took < ZK_SPIN_US) {
		found = read_once(c) != NOTHING;
		took = zk_mono_us() - begin;
	}
	zk_spin_looked(&c->spin, found ? took : -1);
	return found;
}

static void read_more(void *ctx)
{
	struct zk_pw_conn *c = ctx;
	int i = 0;

	c->busy = true;
	while (i < READS_MAX && c->fd >= 0 && !c->holds &&
	       (read_once(c) == MORE || look(c)))
		i++;
	c->busy = false;
	if (c->fd < 0)
		return;
	zk_spin_sleep(&c->spin, zk_mono_us());
	/* Others get their turn, but there is no sleep. */
	if (i == READS_MAX && !c->holds)
		zk_loop_defer(c->loop, read_more, c);
}

static void on_ready(void *ctx, int events, int status)
{
	struct zk_pw_conn *c = ctx;

	if (status < 0) {
		die(c, NULL);
		return;
	}
	if (events & ZK_POLL_OUT)
		flush(c);
	if (c->fd >= 0 && (events & ZK_POLL_IN) && !c->holds) {
		zk_spin_woken(&c->spin, zk_mono_us());
		read_more(c);
	}
}

/* ---- start ---- */

int zk_pw_conn_new(struct zk_loop *loop, int fd, const struct zk_pw_conn_conf *conf,
                   struct zk_pw_conn **ret, struct zk_error *err)
{
	struct zk_pw_conn *c = zk_new0(struct zk_pw_conn);
	int size = SOCKET_BYTES;

	c->conf = *conf;
	c->loop = loop;
	c->poll = zk_poll_new(loop, fd, on_ready, c, err);
	if (!c->poll) {
		(void)close(fd);
		free(c);
		return -(int)err->code;
	}
	/* More is better, what the system gives is good enough. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	c->fd = fd;
	c->rx = zk_alloc(READ_BYTES);
	c->patience = zk_timer_new(loop, on_patience, c);
	zk_pw_decoder_init(&c->dec, conf->max_payload);
	zk_pw_txq_init(&c->tx);
	zk_pw_txq_init(&c->held);
	zk_buf_init(&c->collect, 0);
	*ret = c;
	return 0;
}

void zk_pw_conn_start(struct zk_pw_conn *c)
{
	c->started = true;
	watch(c);
}

const struct zk_pw_conn_stats *zk_pw_conn_stats(const struct zk_pw_conn *c)
{
	return &c->stats;
}
