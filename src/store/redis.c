/* The Redis client: connection, greeting, pipeline, deadlines.
 * Layer: store. */
#include "store/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "net/dial.h"
#include "net/tls_server.h"
#include "rt/loop.h"
#include "rt/retry.h"
#include "store/redis_int.h"

#include "base/ban.h"

#define CONNECT_MS  5000
#define TIMEOUT_MS  5000
#define STALL_MS    10000
#define RETRY_BASE  100
#define RETRY_CAP   5000
#define OUT_BYTES   ((size_t)64 << 20)
#define REPLY_BYTES ((size_t)64 << 20)
#define PENDING     100000
#define READ_BYTES  65536
#define SEAL_BYTES  ((size_t)64 << 10)
#define TURN_BYTES  ((size_t)1 << 20) /* read in one turn; the rest in the next */

enum state { DOWN, DIALING, SHAKING, GREETING, UP };

/* A command whose answer is outstanding. */
struct pending {
	struct zk_list node;
	zk_redis_done_fn done; /* NULL: nobody waits any more */
	void *ctx;
	int64_t sent_ms, timeout_ms; /* timeout_ms < 0: none */
	uint64_t from;               /* where its bytes begin in the stream */
};

struct zk_redis {
	struct zk_loop *loop;
	struct zk_redis_conf conf;
	struct zk_redis_url url;
	char *name;
	enum state state;
	struct zk_dial *dial;
	int fd;
	struct zk_poll *poll;
	struct zk_resp *resp;
	struct zk_buf out; /* from out_at on not yet sent */
	size_t out_at;
	uint64_t sent; /* bytes of this connection that the kernel, or TLS, took */
	struct zk_tls_conn *tls; /* NULL = plain */
	struct zk_buf sealed;    /* what it made of `out` and of its handshake */
	struct zk_list pending;
	size_t n_pending;
	bool flushing, busy;
	unsigned callbacks; /* that are running */
	int64_t heard_ms;   /* last byte */
	struct zk_timer *tick, *again;
	struct zk_retry retry;
	struct zk_rand rnd;
	struct zk_error why; /* of the last failure */
};

/* ---- state ---------------------------------------------------------------------------- */

static void say(struct zk_redis *r, bool up)
{
	if (!r->conf.on_state)
		return;
	r->callbacks++;
	r->conf.on_state(r->conf.ctx, up, up ? NULL : &r->why);
	r->callbacks--;
}

static void answer(struct zk_redis *r, const struct pending *p,
                   const struct zk_redis_reply *reply, const struct zk_error *err)
{
	if (!p->done)
		return;
	r->callbacks++;
	p->done(p->ctx, reply, err);
	r->callbacks--;
}

static void disconnect(struct zk_redis *r)
{
	zk_dial_cancel(ZK_TAKE(r->dial));
	zk_poll_free(ZK_TAKE(r->poll));
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = -1;
	zk_resp_free(ZK_TAKE(r->resp));
	zk_tls_conn_free(ZK_TAKE(r->tls));
	zk_buf_done(&r->sealed);
	zk_buf_done(&r->out);
	r->out.secret = true; /* for the next greeting */
	r->out_at = 0;
	zk_timer_stop(r->tick);
	r->state = DOWN;
}

/* Tells everyone who waits that there will be no answer. */
static void give_up(struct zk_redis *r, const struct zk_error *why)
{
	uint64_t sent = r->sent;

	ZK_LIST_EACH (e, &r->pending) {
		struct pending *p = ZK_LIST_ENTRY(e, struct pending, node);
		struct zk_error err = *why;

		zk_list_remove(e);
		r->n_pending--;
		if (err.code != ZK_E_INTERRUPTED)
			err.code = p->from < sent ? ZK_E_UNKNOWN_OUTCOME : ZK_E_CONNECT;
		answer(r, p, NULL, &err);
		free(p);
	}
}

static void start(void *ctx);

/* The connection is of no use any more. */
static void fail(struct zk_redis *r, const struct zk_error *why)
{
	struct zk_error err = *why;
	bool was_up = r->state == UP;

	disconnect(r);
	if (was_up)
		zk_retry_init(&r->retry, &r->retry.conf, zk_loop_now_ms(r->loop));
	r->why = err;
	give_up(r, &err);
	zk_timer_start(r->again,
	               zk_retry_next(&r->retry, zk_loop_now_ms(r->loop), 0, &r->rnd), 0);
	say(r, false);
}

static void where(struct zk_redis *r, struct zk_error *err)
{
	if (r->url.path)
		(void)zk_err_where(err, "unix:%s", r->url.path);
	else
		(void)zk_err_where(err, "%s port %d", r->url.host, r->url.port);
}

/* ---- deadlines ------------------------------------------------------------------------ */

static int64_t deadline_of(const struct pending *p)
{
	return p->done && p->timeout_ms >= 0 ? p->sent_ms + p->timeout_ms : INT64_MAX;
}

/* When the silence of the peer becomes a failure; INT64_MAX while it may be silent. */
static int64_t stall_of(const struct zk_redis *r)
{
	const struct pending *p;

	if (zk_list_is_empty(&r->pending))
		return INT64_MAX;
	p = ZK_LIST_ENTRY(r->pending.next, struct pending, node);
	if (p->timeout_ms < 0)
		return INT64_MAX;
	return ZK_MAX(p->sent_ms, r->heard_ms) + ZK_MAX(r->conf.stall_ms, p->timeout_ms);
}

static void arm(struct zk_redis *r, int64_t at_ms)
{
	int64_t now = zk_loop_now_ms(r->loop);

	if (at_ms != INT64_MAX)
		zk_timer_start(r->tick, ZK_MAX(at_ms - now, (int64_t)1), 0);
}

static void on_tick(void *ctx)
{
	struct zk_redis *r = ctx;
	int64_t now = zk_loop_now_ms(r->loop), next;
	struct zk_error err = { 0 };

	if (stall_of(r) <= now || r->state == SHAKING) {
		(void)zk_fail(&err, ZK_E_CONNECT, "the Redis server does not answer");
		where(r, &err);
		err.retryable = true;
		fail(r, &err);
		return;
	}
	next = stall_of(r);
	ZK_LIST_EACH (e, &r->pending) {
		struct pending *p = ZK_LIST_ENTRY(e, struct pending, node);

		if (deadline_of(p) > now) {
			next = ZK_MIN(next, deadline_of(p));
			continue;
		}
		(void)zk_fail(&err, ZK_E_TIMEOUT, "no answer from Redis within %lld ms",
		              (long long)p->timeout_ms);
		err.retryable = true;
		answer(r, p, NULL, &err);
		p->done = NULL;
	}
	arm(r, next);
}

/* ---- output --------------------------------------------------------------------------- */

static size_t unsent(const struct zk_redis *r)
{
	return r->out.n - r->out_at;
}

static void fail_errno(struct zk_redis *r, int errnum)
{
	struct zk_error err = { 0 };

	if (errnum)
		(void)zk_fail_errno(&err, ZK_E_CONNECT, errnum,
		                    "the connection to Redis broke");
	else
		(void)zk_fail(&err, ZK_E_CONNECT, "Redis closed the connection");
	where(r, &err);
	err.retryable = true;
	fail(r, &err);
}

static void tell_room(struct zk_redis *r)
{
	if (!r->busy || unsent(r) > r->conf.max_out_bytes / 2 ||
	    r->n_pending > r->conf.max_pending / 2)
		return;
	r->busy = false;
	if (r->conf.on_room && r->state == UP)
		r->conf.on_room(r->conf.ctx);
}

/* Sends from `b` what the kernel takes; how many bytes, or negative: the connection is gone. */
static ptrdiff_t send_some(struct zk_redis *r, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = send(r->fd, p + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (k < 0) {
			fail_errno(r, errno);
			return -1;
		}
		done += (size_t)k;
	}
	return (ptrdiff_t)done;
}

/* Takes `n` bytes off the front of what waits. */
static void drop_out(struct zk_redis *r, size_t n)
{
	r->out_at += n;
	r->sent += n;
	if (unsent(r) == 0) {
		zk_buf_clear(&r->out);
		/* The password went with the greeting: what follows need not be wiped. */
		r->out.secret = r->state != UP;
		r->out_at = 0;
	} else if (r->out_at > r->out.n / 2) {
		zk_buf_consume(&r->out, r->out_at);
		r->out_at = 0;
	}
}

/* At most SEAL_BYTES are sealed ahead of what the kernel took. */
static bool flush_tls(struct zk_redis *r)
{
	struct zk_error err = { 0 };
	ptrdiff_t n;

	do {
		size_t part = r->state < GREETING ? 0 : ZK_MIN(unsent(r), SEAL_BYTES);

		if (r->sealed.n == 0 || part == 0) {
			zk_str plain =
			        zk_str_n(r->out.p ? r->out.p + r->out_at : "", part);

			if (zk_tls_conn_seal(r->tls, plain, &r->sealed) < 0) {
				(void)zk_fail(&err, ZK_E_TLS, "the TLS connection broke");
				where(r, &err);
				fail(r, &err);
				return false;
			}
			drop_out(r, part);
		}
		n = send_some(r, r->sealed.p, r->sealed.n);
		if (n < 0)
			return false;
		zk_buf_consume(&r->sealed, (size_t)n);
	} while (r->sealed.n == 0 && unsent(r) && r->state >= GREETING);
	return true;
}

/* False when the connection is gone. */
static bool flush(struct zk_redis *r)
{
	bool more;

	if (r->tls) {
		if (!flush_tls(r))
			return false;
	} else {
		ptrdiff_t n = send_some(r, r->out.p + r->out_at, unsent(r));

		if (n < 0)
			return false;
		drop_out(r, (size_t)n);
	}
	more = r->tls ? r->sealed.n > 0 : unsent(r) > 0;
	zk_poll_set(r->poll, ZK_POLL_IN | (more ? ZK_POLL_OUT : 0));
	tell_room(r);
	return true;
}

static void flush_later(void *ctx)
{
	struct zk_redis *r = ctx;

	r->flushing = false;
	if (r->state >= SHAKING)
		(void)flush(r);
}

static void put(struct zk_redis *r, const zk_str *args, size_t n, struct pending *p)
{
	p->from = r->sent + unsent(r);
	p->sent_ms = zk_loop_now_ms(r->loop);
	zk_resp_put(&r->out, args, n);
	ZK_ASSERT(!r->out.failed);
	zk_list_push(&r->pending, &p->node);
	r->n_pending++;
	if (!zk_timer_is_active(r->tick))
		arm(r, ZK_MIN(deadline_of(p), stall_of(r)));
	else if (p->timeout_ms >= 0 && p->timeout_ms < TIMEOUT_MS / 10)
		arm(r, deadline_of(p)); /* sooner than what the timer waits for */
	if (!r->flushing) {
		r->flushing = true;
		zk_loop_defer(r->loop, flush_later, r);
	}
}

/* ---- input ---------------------------------------------------------------------------- */

/* Gives the answers that are complete to those who wait. False when the connection is gone. */
static bool dispatch(struct zk_redis *r)
{
	struct zk_error err = { 0 };
	struct zk_redis_reply *reply;
	int got = 0;

	while (r->resp && (got = zk_resp_next(r->resp, &reply, &err)) > 0) {
		struct zk_list *e = zk_list_pop(&r->pending);

		if (!e) {
			zk_redis_reply_free(reply);
			got = zk_fail(&err, ZK_E_PROTOCOL,
			              "Redis answered without being asked");
			break;
		}
		struct pending *p = ZK_LIST_ENTRY(e, struct pending, node);

		r->n_pending--;
		answer(r, p, reply, NULL);
		zk_redis_reply_free(reply);
		free(p);
	}
	if (got < 0) {
		where(r, &err);
		fail(r, &err);
	}
	return r->resp != NULL;
}

/* Bytes of the answers. False when the connection is gone. */
static bool feed(struct zk_redis *r, zk_str bytes)
{
	struct zk_error err = { 0 };

	if (zk_resp_feed(r->resp, bytes, &err) < 0) {
		where(r, &err);
		fail(r, &err);
		return false;
	}
	return dispatch(r);
}

static void send_greeting(struct zk_redis *r);

/* Sealed bytes: the handshake, then answers. False when the connection is gone. */
static bool unseal(struct zk_redis *r, zk_str bytes)
{
	char plain[READ_BYTES];
	struct zk_error err = { 0 };
	ptrdiff_t n;
	int done = 1;

	zk_tls_conn_feed(r->tls, bytes);
	if (r->state == SHAKING) {
		done = zk_tls_conn_handshake(r->tls, &err);
		if (done < 0) {
			where(r, &err);
			fail(r, &err);
			return false;
		}
		if (done) {
			r->state = GREETING;
			send_greeting(r);
		}
	}
	if (!flush(r))
		return false;
	while (done && (n = zk_tls_conn_read(r->tls, plain, sizeof(plain))) != 0) {
		if (n < 0) {
			fail_errno(r, 0);
			return false;
		}
		if (!feed(r, zk_str_n(plain, (size_t)n)))
			return false;
	}
	return true;
}

/* Reads what is there, up to TURN_BYTES. */
static void take(struct zk_redis *r)
{
	char chunk[READ_BYTES];
	size_t total = 0;

	while (total < TURN_BYTES) {
		ssize_t n = recv(r->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		zk_str bytes = zk_str_n(chunk, n > 0 ? (size_t)n : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0) {
			fail_errno(r, n < 0 ? errno : 0);
			return;
		}
		total += bytes.n;
		r->heard_ms = zk_loop_now_ms(r->loop);
		if (!(r->tls ? unseal(r, bytes) : feed(r, bytes)))
			return;
		if (bytes.n < sizeof(chunk))
			break;
	}
	tell_room(r);
}

static void on_poll(void *ctx, int events, int status)
{
	struct zk_redis *r = ctx;

	if (status < 0) {
		fail_errno(r, -status);
		return;
	}
	if (events & ZK_POLL_OUT && !flush(r))
		return;
	if (events & ZK_POLL_IN)
		take(r);
}

/* ---- greeting ------------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum zk_code code;
} kinds[] = {
	{ "NOAUTH", ZK_E_AUTH },      { "WRONGPASS", ZK_E_AUTH },
	{ "NOPERM", ZK_E_FORBIDDEN }, { "LOADING", ZK_E_HTTP_BUSY },
	{ "BUSY", ZK_E_HTTP_BUSY },   { "MASTERDOWN", ZK_E_HTTP_BUSY },
};

static void refused(struct zk_redis *r, const struct zk_redis_reply *reply)
{
	zk_str word = zk_redis_error_kind(reply);
	enum zk_code code = ZK_E_HTTP;
	struct zk_error err = { 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(kinds); i++) {
		if (zk_str_eq(word, zk_str_of(kinds[i].word)))
			code = kinds[i].code;
	}
	(void)zk_fail(&err, code, "Redis refuses the connection: %.*s",
	              (int)ZK_MIN(reply->str.n, (size_t)200), reply->str.p);
	where(r, &err);
	err.retryable = code == ZK_E_HTTP_BUSY;
	fail(r, &err);
}

/* AUTH and SELECT have to work. */
static void on_greeted(void *ctx, const struct zk_redis_reply *reply,
                       const struct zk_error *err)
{
	struct zk_redis *r = ctx;

	if (err)
		return; /* the connection failed, which is being told */
	if (reply->type == ZK_REDIS_ERROR)
		refused(r, reply);
}

/* The answer to the last command of the greeting. */
static void on_ready(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	struct zk_redis *r = ctx;

	if (err)
		return;
	if (reply->type == ZK_REDIS_ERROR) {
		refused(r, reply);
		return;
	}
	r->state = UP;
	zk_retry_init(&r->retry, &r->retry.conf, zk_loop_now_ms(r->loop));
	say(r, true);
}

static void greet(struct zk_redis *r, const zk_str *args, size_t n, zk_redis_done_fn done)
{
	struct pending *p = zk_new0(struct pending);

	p->done = done;
	p->ctx = r;
	p->timeout_ms = r->conf.connect_timeout_ms;
	put(r, args, n, p);
}

static void send_greeting(struct zk_redis *r)
{
	char db[20];

	if (r->url.password && r->url.user)
		greet(r,
		      (zk_str[]){ ZK_STR("AUTH"), zk_str_of(r->url.user),
		                  zk_str_of(r->url.password) },
		      3, on_greeted);
	else if (r->url.password)
		greet(r, (zk_str[]){ ZK_STR("AUTH"), zk_str_of(r->url.password) }, 2,
		      on_greeted);
	if (r->url.db)
		greet(r,
		      (zk_str[]){ ZK_STR("SELECT"),
		                  zk_str_n(db, zk_format_u64(r->url.db, db)) },
		      2, on_greeted);
	/* A server that knows no names is a server all the same. */
	if (r->name)
		greet(r,
		      (zk_str[]){ ZK_STR("CLIENT"), ZK_STR("SETNAME"),
		                  zk_str_of(r->name) },
		      3, NULL);
	greet(r, (zk_str[]){ ZK_STR("PING") }, 1, on_ready);
}

static void on_dialled(void *ctx, int fd, const struct zk_error *err)
{
	struct zk_redis *r = ctx;
	struct zk_error e = { 0 };

	r->dial = NULL;
	if (fd < 0) {
		e = *err;
		(void)zk_wrap(&e, "Redis cannot be reached");
		fail(r, &e);
		return;
	}
	r->fd = fd;
	r->poll = zk_poll_new(r->loop, fd, on_poll, r, &e);
	if (!r->poll || zk_resp_new(r->conf.max_reply_bytes, &r->resp, &e) < 0) {
		fail(r, &e);
		return;
	}
	zk_poll_set(r->poll, ZK_POLL_IN);
	r->sent = 0;
	r->heard_ms = zk_loop_now_ms(r->loop);
	if (!r->url.tls) {
		r->state = GREETING;
		send_greeting(r);
		return;
	}
	r->state = SHAKING;
	if (zk_tls_conn_dialled(r->url.host, &r->tls, &e) < 0 ||
	    zk_tls_conn_handshake(r->tls, &e) < 0) {
		where(r, &e);
		fail(r, &e);
		return;
	}
	/* A peer that says nothing is given up as one that does not answer. */
	zk_timer_start(r->tick, r->conf.connect_timeout_ms, 0);
	(void)flush(r);
}

/* Begins an attempt to connect. */
static void start(void *ctx)
{
	struct zk_redis *r = ctx;
	struct zk_dial_conf dial = {
		.host = r->url.host,
		.port = r->url.port,
		.path = r->url.path,
		.timeout_ms = r->conf.connect_timeout_ms,
		.done = on_dialled,
		.ctx = r,
	};

	r->state = DIALING;
	r->dial = zk_dial_start(r->loop, &dial);
}

/* ---- interface ------------------------------------------------------------------------ */

static char *copy(const char *s)
{
	return s ? zk_strdup(s) : NULL;
}

static void set_defaults(struct zk_redis_conf *c)
{
	c->connect_timeout_ms =
	        c->connect_timeout_ms ? c->connect_timeout_ms : CONNECT_MS;
	c->timeout_ms = c->timeout_ms ? c->timeout_ms : TIMEOUT_MS;
	c->stall_ms = c->stall_ms ? c->stall_ms : STALL_MS;
	c->retry_base_ms = c->retry_base_ms ? c->retry_base_ms : RETRY_BASE;
	c->retry_cap_ms = c->retry_cap_ms ? c->retry_cap_ms : RETRY_CAP;
	c->max_out_bytes = c->max_out_bytes ? c->max_out_bytes : OUT_BYTES;
	c->max_pending = c->max_pending ? c->max_pending : PENDING;
	c->max_reply_bytes = c->max_reply_bytes ? c->max_reply_bytes : REPLY_BYTES;
}

int zk_redis_new(struct zk_loop *l, const struct zk_redis_conf *conf,
                 struct zk_redis **ret, struct zk_error *err)
{
	struct zk_resp *probe;
	struct zk_redis *r;
	uint64_t seed;

	/* A missing library is said at once, not at the first connection. */
	if (zk_resp_new(1, &probe, err) < 0)
		return -(int)err->code;
	zk_resp_free(probe);
	r = zk_new0(struct zk_redis);
	r->loop = l;
	r->conf = *conf;
	set_defaults(&r->conf);
	r->url = *conf->url;
	r->url.host = copy(conf->url->host);
	r->url.path = copy(conf->url->path);
	r->url.user = copy(conf->url->user);
	r->url.password = copy(conf->url->password);
	r->conf.url = NULL;
	r->conf.name = NULL;
	r->name = copy(conf->name);
	r->fd = -1;
	zk_list_init(&r->pending);
	/* One command always fits, however large; the greeting holds the password. */
	zk_buf_init_secret(&r->out, SIZE_MAX / 2);
	zk_buf_init(&r->sealed, SIZE_MAX / 2);
	r->tick = zk_timer_new(l, on_tick, r);
	r->again = zk_timer_new(l, start, r);
	zk_timer_weak(r->tick, true);
	zk_timer_weak(r->again, true);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&r->rnd, seed);
	r->retry.conf = (struct zk_retry_conf){ .max_retries = UINT64_MAX,
		                                .base_ms = r->conf.retry_base_ms,
		                                .cap_ms = r->conf.retry_cap_ms };
	zk_retry_init(&r->retry, &r->retry.conf, zk_loop_now_ms(l));
	start(r);
	*ret = r;
	return 0;
}

static void release(void *ctx)
{
	free(ctx);
}

void zk_redis_free(struct zk_redis *r)
{
	struct zk_error err = { 0 };

	if (!r)
		return;
	ZK_ASSERT(r->callbacks == 0);
	disconnect(r);
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "the Redis client was closed");
	give_up(r, &err);
	zk_timer_free(r->tick);
	zk_timer_free(r->again);
	zk_loop_forget(r->loop, flush_later, r);
	zk_redis_url_done(&r->url);
	free(r->name);
	zk_loop_defer(r->loop, release, r);
}

bool zk_redis_is_up(const struct zk_redis *r)
{
	return r->state == UP;
}

size_t zk_redis_out_bytes(const struct zk_redis *r)
{
	return unsent(r);
}

static size_t size_of(const zk_str *args, size_t n)
{
	size_t bytes = 24;

	for (size_t i = 0; i < n; i++)
		bytes += args[i].n + 24;
	return bytes;
}

int zk_redis_submit(struct zk_redis *r, const struct zk_redis_cmd *cmd,
                    zk_redis_done_fn done, void *ctx, struct zk_error *err)
{
	struct pending *p;

	if (r->state != UP) {
		(void)zk_fail(err, ZK_E_CONNECT, "Redis is not connected");
		err->retryable = true;
		where(r, err);
		return -(int)err->code;
	}
	if (r->n_pending >= r->conf.max_pending ||
	    (unsent(r) > 0 &&
	     size_of(cmd->args, cmd->n) >
	             r->conf.max_out_bytes - ZK_MIN(unsent(r), r->conf.max_out_bytes))) {
		r->busy = true;
		return zk_fail(err, ZK_E_BUSY, "too much waits for Redis");
	}
	p = zk_new0(struct pending);
	p->done = done;
	p->ctx = ctx;
	p->timeout_ms = cmd->timeout_ms ? cmd->timeout_ms : r->conf.timeout_ms;
	put(r, cmd->args, cmd->n, p);
	return 0;
}

zk_str zk_redis_error_kind(const struct zk_redis_reply *reply)
{
	zk_str word;

	(void)zk_str_cut(reply->str, ' ', &word);
	return reply->type == ZK_REDIS_ERROR ? word : ZK_STR_NULL;
}

zk_str zk_redis_item_str(const struct zk_redis_reply *reply, size_t i)
{
	const struct zk_redis_reply *item;

	if (reply->type != ZK_REDIS_ARRAY || i >= reply->n)
		return ZK_STR_NULL;
	item = reply->items[i];
	return item->type == ZK_REDIS_STRING || item->type == ZK_REDIS_STATUS
	               ? item->str
	               : ZK_STR_NULL;
}
