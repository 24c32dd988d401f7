/* HTTP client: the engine for plain URLs without a proxy, HTTP/1.1 on sockets of our own.
 * Layer: net, internal to the HTTP client. RFC 9110, RFC 9112.
 *
 * A request that failed on a connection of the pool before a byte of its answer came is sent once
 * more on a new one, if that can do no harm: nothing of it was sent, or it may be repeated. */
#include <curl/curl.h> /* its codes say how a transfer ended, whoever carried it */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/dial.h"
#include "net/http_plain.h"
#include "net/http_pool.h"
#include "net/http_priv.h"
#include "net/proxy_env.h"
#include "net/trace.h"
#include "rt/loop.h"

#include "base/ban.h"

#define TURN_BYTES (1U << 20) /* in one direction in one turn; others want theirs */
#define PIECE      65536      /* of a source */
#define SIZE_LINE  8          /* bytes: "10000\r\n" and one more */
#define OUT_MAX    (2U << 20) /* headers are bounded by http_setup.c */

/* ---- the end ---- */

/* `curl` says how; the rest is up to zk_http_end(). */
static void finish(struct zk_plain *x, int curl, const char *detail)
{
	struct zk_http *req = x->req;

	if (x->over)
		return;
	x->over = true;
	(void)snprintf(req->errbuf, sizeof(req->errbuf), "%s", detail);
	req->end_curl = curl;
	if (!req->cancelled)
		zk_net_todo(req->net, req, ZK_TODO_END);
}

/* All of the answer is here, and of the request what anybody wants. */
static void finish_if_done(struct zk_plain *x)
{
	if (!x->body_done || !(x->sent || x->mute))
		return;
	x->clean = x->sent && !x->spent && x->answer.keep_alive;
	finish(x, CURLE_OK, "");
}

static void let_go(struct zk_plain *x, bool keep)
{
	if (x->conn)
		zk_http_pool_put(ZK_TAKE(x->conn), keep);
}

/* A connection of the pool was dead. */
static void try_again(struct zk_plain *x)
{
	struct zk_http *req = x->req;
	bool can_repeat = req->repeatable || !x->written;

	if (can_repeat && !x->pulled) {
		x->fresh = true;
		x->over = true;
		let_go(x, false);
		zk_net_todo(req->net, req, ZK_TODO_ADD);
		return;
	}
	if (!can_repeat)
		req->end = ZK_HTTP_END_REPEAT;
	finish(x, CURLE_SEND_FAIL_REWIND, "");
}

/* The peer closed the connection (errnum 0), or it broke. */
static void on_lost(struct zk_plain *x, int errnum)
{
	bool whole = x->head_done && !x->answer.chunked && !x->answer.has_length;

	x->spent = true;
	if (x->body_done || (whole && !errnum)) {
		x->body_done = x->mute = true;
		finish_if_done(x);
	} else if (!x->heard && x->reused) {
		try_again(x);
	} else if (x->send_errno && !x->head_done) {
		finish(x, CURLE_SEND_ERROR, strerror(x->send_errno));
	} else if (errnum) {
		finish(x, CURLE_RECV_ERROR, strerror(errnum));
	} else if (!x->heard) {
		finish(x, CURLE_GOT_NOTHING, "");
	} else {
		finish(x, x->head_done ? CURLE_PARTIAL_FILE : CURLE_RECV_ERROR,
		       "the peer closed it");
	}
}

/* ---- the answer ---- */

static void feed_body(struct zk_plain *x, zk_str in);

/* The next run of body bytes in `in`, and how much of `in` is done with then. */
static bool next_piece(struct zk_plain *x, zk_str in, zk_str *piece, size_t *used)
{
	if (x->answer.chunked) {
		enum zk_http1_result r =
		        zk_http1_chunks_next(&x->chunks, in, piece, used);

		x->body_done = r == ZK_HTTP1_DONE;
		return r == ZK_HTTP1_MORE || r == ZK_HTTP1_DONE;
	}
	*piece = in;
	if (x->answer.has_length) {
		piece->n = (size_t)ZK_MIN(x->left, (uint64_t)in.n);
		x->left -= piece->n;
		x->body_done = x->left == 0;
	}
	*used = piece->n;
	return true;
}

static void hold_back(struct zk_plain *x, zk_str in)
{
	zk_buf_clear(&x->rest);
	zk_buf_add(&x->rest, in);
}

/* Hands `in` on. False when it was kept for later, or the end came. */
static bool take_pieces(struct zk_plain *x, zk_str *in)
{
	while (in->n && !x->body_done) {
		struct zk_http1_chunks chunks = x->chunks;
		uint64_t left = x->left;
		zk_str piece;
		size_t used;

		if (!next_piece(x, *in, &piece, &used)) {
			finish(x, CURLE_RECV_ERROR, "malformed chunk");
			return false;
		}
		switch (piece.n ? zk_http_on_body(x->req, piece) : ZK_HTTP_TAKEN) {
		case ZK_HTTP_TAKEN:
			break;
		case ZK_HTTP_PAUSED:
			x->chunks = chunks;
			x->left = left;
			x->body_done = false;
			hold_back(x, *in);
			return false;
		case ZK_HTTP_STOP:
			finish(x, CURLE_WRITE_ERROR, "");
			return false;
		}
		*in = zk_str_from(*in, used);
	}
	return true;
}

static void feed_body(struct zk_plain *x, zk_str in)
{
	if (!take_pieces(x, &in))
		return;
	if (in.n)
		x->spent = true; /* more than was announced */
	finish_if_done(x);
}

static bool has_no_body(const struct zk_plain *x)
{
	int status = x->answer.status;

	return strcmp(zk_http_method(x->req), "HEAD") == 0 || status == 101 ||
	       status == 204 || status == 304;
}

static void set_framing(struct zk_plain *x)
{
	struct zk_http1_answer *a = &x->answer;

	if (has_no_body(x)) {
		a->chunked = false;
		a->has_length = true;
		a->length = 0;
	}
	if (a->status == 101)
		a->keep_alive = false;
	x->left = a->length;
	x->body_done = a->has_length && !a->length;
	zk_http1_chunks_init(&x->chunks);
}

static void refuse_head(struct zk_plain *x, enum zk_http_end why, const char *detail)
{
	zk_buf_clear(&x->req->head); /* nobody is to find headers in it */
	x->req->end = why;
	finish(x, CURLE_WEIRD_SERVER_REPLY, detail);
}

/* req->head is a whole head. */
static void on_answer(struct zk_plain *x)
{
	struct zk_http *req = x->req;

	if (req->exchange && zk_trace_wants_lines(req->exchange))
		zk_trace_lines(req->exchange, ZK_TRACE_IN, zk_buf_str(&req->head));
	if (zk_http1_answer_read(req->head.p, req->head.n, &x->answer) != ZK_HTTP1_DONE) {
		refuse_head(x, ZK_HTTP_END_CURL, x->answer.reason);
		return;
	}
	if (x->answer.status < 200 && x->answer.status != 101) {
		x->interim += req->head.n;
		x->seen = 0;
		zk_buf_clear(&req->head);
		return;
	}
	req->res.status = x->answer.status;
	x->head_done = true;
	set_framing(x);
	/* What was refused is not sent to its end. */
	if (req->res.status >= 300 && !x->sent)
		x->mute = true;
	if (!zk_http_on_head(req))
		finish(x, CURLE_WRITE_ERROR, "");
}

/* Takes what belongs to the head; the rest. */
static zk_str feed_head(struct zk_plain *x, zk_str in)
{
	struct zk_http *req = x->req;
	size_t had = req->head.n, used = 0, take = ZK_MIN(in.n, ZK_HTTP_HEAD_MAX - had);
	enum zk_http1_result r;

	zk_buf_put(&req->head, in.p, take);
	r = zk_http1_answer_find(zk_buf_str(&req->head), &x->seen, &used);
	if (r == ZK_HTTP1_DONE) {
		req->head.n = used;
		on_answer(x);
	} else if (r == ZK_HTTP1_BAD) {
		refuse_head(x, ZK_HTTP_END_CURL, "");
	}
	if (x->interim > ZK_HTTP_HEAD_MAX || (r == ZK_HTTP1_MORE && take < in.n))
		refuse_head(x, ZK_HTTP_END_HEAD, "");
	return r == ZK_HTTP1_DONE ? zk_str_from(in, used - had) : ZK_STR_NULL;
}

static void feed(struct zk_plain *x, zk_str in)
{
	struct zk_http *req = x->req;

	x->heard = true;
	req->active_ms = zk_mono_ms();
	if (!req->first_byte_us)
		req->first_byte_us = zk_mono_us();
	while (in.n && !x->head_done && !x->over)
		in = feed_head(x, in);
	if (x->head_done && !x->over)
		feed_body(x, in);
}

static void read_some(struct zk_plain *x)
{
	const struct zk_http_conn *c = x->conn;
	size_t total = 0;

	while (!x->over && x->conn == c && !x->req->paused_down && !x->req->cancelled &&
	       total < TURN_BYTES) {
		ssize_t n = recv(c->fd, c->pool->room, ZK_HTTP_ROOM, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			on_lost(x, n < 0 ? errno : 0);
			return;
		}
		feed(x, zk_str_n(c->pool->room, (size_t)n));
		total += (size_t)n;
		if ((size_t)n < ZK_HTTP_ROOM)
			return; /* that was all, or the poll comes again */
	}
}

/* ---- the request ---- */

static void put_head(struct zk_plain *x)
{
	struct zk_http *req = x->req;
	struct zk_buf *b = &x->out;

	zk_buf_cstr(b, zk_http_method(req));
	zk_buf_char(b, ' ');
	if (!x->url.path.n)
		zk_buf_char(b, '/');
	zk_buf_add(b, x->url.path);
	if (x->url.query.p) {
		zk_buf_char(b, '?');
		zk_buf_add(b, x->url.query);
	}
	zk_buf_lit(b, " HTTP/1.1\r\n");
	if (!(req->given & ZK_GIVEN_HOST)) {
		zk_buf_lit(b, "Host: ");
		zk_buf_add(b, x->url.host);
		if (x->url.port != 80) {
			zk_buf_char(b, ':');
			zk_buf_u64(b, (uint64_t)x->url.port);
		}
		zk_buf_lit(b, "\r\n");
	}
	if (!(req->given & ZK_GIVEN_AGENT)) {
		zk_buf_lit(b, "User-Agent: ");
		zk_buf_cstr(b, req->net->conf.user_agent);
		zk_buf_lit(b, "\r\n");
	}
	if (!(req->given & ZK_GIVEN_ACCEPT))
		zk_buf_lit(b, "Accept: */*\r\n");
	if (zk_http_decodes(req) && !(req->given & ZK_GIVEN_ENCODING))
		zk_buf_lit(b, "Accept-Encoding: gzip\r\n");
	zk_buf_add(b, zk_buf_str(&req->lines));
}

static bool has_source(const struct zk_plain *x)
{
	return x->req->conf.pull && !x->req->see_other;
}

static bool is_chunked(const struct zk_plain *x)
{
	return has_source(x) && x->req->conf.length < 0;
}

static void put_framing(struct zk_plain *x)
{
	const struct zk_http_conf *conf = &x->req->conf;

	if (is_chunked(x)) {
		zk_buf_lit(&x->out, "Transfer-Encoding: chunked\r\n");
	} else if (zk_http_has_body(x->req)) {
		zk_buf_lit(&x->out, "Content-Length: ");
		zk_buf_u64(&x->out, conf->pull ? (uint64_t)conf->length : conf->body.n);
		zk_buf_lit(&x->out, "\r\n");
	}
	zk_buf_lit(&x->out, "\r\n");
}

/* The source gave less or more than it said, or gave up. */
static bool source_failed(struct zk_plain *x)
{
	x->req->end = ZK_HTTP_END_PULL;
	finish(x, CURLE_ABORTED_BY_CALLBACK, "");
	return false;
}

/* `got` bytes of the source stand in `out`, behind room for the line with their number. */
static void frame(struct zk_plain *x, size_t got)
{
	char line[SIZE_LINE + 1];
	int n;

	x->out.n = SIZE_LINE + got;
	x->out_at = SIZE_LINE;
	if (!is_chunked(x))
		return;
	n = snprintf(line, sizeof(line), "%zx\r\n", got);
	x->out_at -= (size_t)n;
	memcpy(x->out.p + x->out_at, line, (size_t)n);
	zk_buf_lit(&x->out, "\r\n"); /* behind the bytes, or behind the last line */
}

/* More of the source into `out`. False when there is none now. */
static bool pull_more(struct zk_plain *x)
{
	const struct zk_http_conf *conf = &x->req->conf;
	ptrdiff_t got;

	zk_buf_clear(&x->out);
	x->out_at = 0;
	got = zk_http_on_pull(x->req,
	                      zk_buf_reserve(&x->out, SIZE_LINE + PIECE + 2) + SIZE_LINE,
	                      PIECE);
	if (got == -1)
		return false;
	if (got < 0) {
		finish(x, CURLE_ABORTED_BY_CALLBACK, "");
		return false;
	}
	x->pulled += (uint64_t)got;
	if (conf->length >= 0 && (x->pulled > (uint64_t)conf->length ||
	                          (!got && x->pulled < (uint64_t)conf->length)))
		return source_failed(x);
	x->source_ended =
	        !got || (conf->length >= 0 && x->pulled == (uint64_t)conf->length);
	frame(x, (size_t)got);
	return true;
}

/* Makes sure that there is something to send. False when there is nothing, now or any more. */
static bool fill(struct zk_plain *x)
{
	bool source = has_source(x);
	size_t body = source || !zk_http_has_body(x->req) ? 0 : x->req->conf.body.n;

	if (x->out_at < x->out.n || x->body_at < body)
		return true;
	if (source && !x->source_ended)
		return !x->req->paused_up && pull_more(x);
	x->sent = true;
	finish_if_done(x);
	return false;
}

/* Bytes that the system took; 0 = none now, -1 = it broke. */
static ssize_t send_some(struct zk_plain *x)
{
	const struct zk_http_conf *conf = &x->req->conf;
	struct iovec iov[2] = { { x->out.p + x->out_at, x->out.n - x->out_at } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	size_t first = iov[0].iov_len;
	ssize_t n;

	if (!has_source(x) && zk_http_has_body(x->req) && x->body_at < conf->body.n) {
		/* The system takes what is const as what is not. */
		iov[1].iov_base = (char *)(uintptr_t)conf->body.p + x->body_at;
		iov[1].iov_len = conf->body.n - x->body_at;
		msg.msg_iovlen = 2;
	}
	do
		n = sendmsg(x->conn->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
	x->out_at += ZK_MIN((size_t)n, first);
	x->body_at += (size_t)n - ZK_MIN((size_t)n, first);
	x->written += (uint64_t)n;
	return n;
}

static void flush(struct zk_plain *x)
{
	size_t total = 0;

	while (!x->over && !x->mute && !x->sent && total < TURN_BYTES && fill(x)) {
		ssize_t n = send_some(x);

		if (n < 0) {
			/* The peer may have said why before it went away. */
			x->send_errno = errno;
			x->mute = true;
			read_some(x);
			finish_if_done(x);
			return;
		}
		if (n == 0)
			return;
		total += (size_t)n;
		x->req->active_ms = zk_mono_ms();
	}
}

static void watch(struct zk_plain *x)
{
	const struct zk_http *req = x->req;
	int events = 0;

	if (x->over || !x->conn)
		return;
	if (!req->paused_down)
		events |= ZK_POLL_IN;
	if (!x->mute && !x->sent && !req->paused_up)
		events |= ZK_POLL_OUT;
	zk_http_conn_watch(x->conn, events);
}

/* ---- connections ---- */

/* x->conn is connected. */
static void begin(struct zk_plain *x)
{
	struct zk_http *req = x->req;
	const struct zk_http_conn *c = x->conn;

	req->connected = true;
	x->reused = c->used;
	x->connect_us = x->reused ? 0 : zk_mono_us() - req->start_us;
	(void)snprintf(req->res.peer, sizeof(req->res.peer), "%s", c->peer_text);
	req->res.peer_port = zk_addr_port(&c->peer);
	put_head(x);
	put_framing(x);
	if (req->exchange && zk_trace_wants_lines(req->exchange))
		zk_trace_lines(req->exchange, ZK_TRACE_OUT, zk_buf_str(&x->out));
	flush(x);
	watch(x);
}

void zk_plain_on_connected(struct zk_plain *x, const struct zk_dial_report *report)
{
	struct zk_http *req = x->req;

	req->opened = report->end != ZK_DIAL_BLOCKED;
	if (report->blocked_why)
		zk_http_note_blocked(req, report->blocked_ip, report->blocked_why);
	x->sys_errno = report->sys_errno;
	switch (report->end) {
	case ZK_DIAL_OK:
		begin(x);
		break;
	case ZK_DIAL_UNKNOWN:
		finish(x, CURLE_COULDNT_RESOLVE_HOST, "");
		break;
	case ZK_DIAL_BLOCKED:
	case ZK_DIAL_FAILED:
		finish(x, CURLE_COULDNT_CONNECT, "");
		break;
	case ZK_DIAL_LATE:
		finish(x, CURLE_OPERATION_TIMEDOUT, "");
		break;
	}
}

void zk_plain_on_events(struct zk_plain *x, int events)
{
	if (events & ZK_POLL_OUT)
		flush(x);
	if (events & ZK_POLL_IN && x->conn)
		read_some(x);
	watch(x);
}

/* ---- the engine ---- */

static bool goes_direct(const struct zk_http *req, zk_str host)
{
	const char *proxy = req->net->conf.proxy;

	if (proxy)
		return !proxy[0];
	return req->guarded || req->conf.flags & ZK_HTTP_NO_PROXY ||
	       !zk_proxy_env(ZK_PROXY_HTTP, host);
}

bool zk_http_take_plain(struct zk_http *req)
{
	struct zk_url_parts u;

	if (req->given & ZK_GIVEN_FRAMING || !zk_url_split(zk_str_of(req->url), &u) ||
	    u.tls || !goes_direct(req, u.host))
		return false;
	req->plain = zk_new0(struct zk_plain);
	req->plain->req = req;
	req->plain->url = u;
	zk_list_init(&req->plain->waiting);
	zk_buf_init_secret(&req->plain->out, OUT_MAX);
	zk_buf_init(&req->plain->rest, ZK_HTTP_ROOM);
	return true;
}

static int set_up(struct zk_http *req, struct zk_error *err)
{
	(void)err;
	if (!req->net->plain)
		req->net->plain = zk_http_pool_new(req->net);
	return 0;
}

static void forget(struct zk_http *req)
{
	struct zk_plain *x = ZK_TAKE(req->plain);

	if (!x)
		return;
	zk_buf_done(&x->out);
	zk_buf_done(&x->rest);
	free(x);
}

static void start_attempt(struct zk_plain *x)
{
	x->reused = x->over = x->spent = x->clean = false;
	x->out_at = x->body_at = 0;
	x->written = x->pulled = 0;
	x->source_ended = x->sent = x->mute = x->heard = false;
	x->send_errno = 0;
	x->seen = x->interim = 0;
	x->head_done = x->body_done = false;
	zk_buf_clear(&x->out);
	zk_buf_clear(&x->rest);
	x->req->errbuf[0] = '\0';
}

static bool start(struct zk_http *req)
{
	struct zk_plain *x = req->plain;
	struct zk_http_pool *p = req->net->plain;

	start_attempt(x);
	req->net->depth++;
	if (!zk_http_pool_give(p, x))
		zk_list_push(&p->waiting, &x->waiting);
	else if (!x->conn->dial)
		begin(x);
	req->net->depth--;
	return true;
}

static void stop(struct zk_http *req)
{
	struct zk_plain *x = req->plain;

	zk_list_remove(&x->waiting);
	let_go(x, x->clean && req->end == ZK_HTTP_END_CURL);
	if (!zk_list_is_empty(&req->net->plain->waiting))
		zk_http_pool_wake(req->net->plain);
}

static void resume(struct zk_http *req)
{
	struct zk_plain *x = req->plain;
	struct zk_buf held;

	if (x->over || !x->conn || x->conn->dial)
		return;
	held = x->rest;
	zk_buf_init(&x->rest, ZK_HTTP_ROOM);
	req->net->depth++;
	if (held.n)
		feed_body(x, zk_buf_str(&held));
	zk_buf_done(&held);
	flush(x);
	if (x->conn)
		read_some(x);
	watch(x);
	req->net->depth--;
}

static void collect(struct zk_http *req)
{
	const struct zk_plain *x = req->plain;
	struct zk_http_res *res = &req->res;

	if (!x)
		return;
	res->reused = x->reused;
	res->sent = x->written > 0;
	res->connect_us = x->connect_us;
	res->http_version = res->status ? 10 + (int)x->answer.minor : 0;
}

static void blame(struct zk_http *req, struct zk_http_fault *f)
{
	if (req->plain)
		f->sys_errno = req->plain->sys_errno;
}

const struct zk_http_engine zk_http_plain = {
	.setup = set_up,
	.forget = forget,
	.start = start,
	.stop = stop,
	.resume = resume,
	.collect = collect,
	.blame = blame,
};
