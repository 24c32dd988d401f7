/* A small server on net/httpd for the black-box tests in httpd.py and for measurements:
 *
 *	httpd_echo [KEY=VALUE]... [--ready-file FILE]
 *
 * KEY is listen (repeatable), fd, tls_cert, tls_key, own_errors, or a limit of zk_httpd_conf. The
 * ready file is a JSON list of addresses. TERM drains, HUP reloads the TLS files.
 * Layer: tests. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "codec/uri.h"
#include "net/httpd.h"
#include "rt/loop.h"

#include "base/ban.h"

static struct {
	struct zk_loop *loop;
	struct zk_httpd *httpd;
	struct zk_httpd_conf conf;
	struct zk_list held;
	unsigned finished, dropped, gone, errors, heads, bodies, streams_closed,
	        streams_slow;
	unsigned wrong; /* contradictions seen here: must stay 0 */
	const char *ready_file;
	uv_signal_t term, hup;
} srv;

/* Beside each request, in its user area. */
struct call {
	unsigned char magic;
	bool finished;
};

static uint64_t query_number(struct zk_httpd_req *r, zk_str name, uint64_t otherwise)
{
	struct zk_error err;
	zk_str value;
	uint64_t n;

	if (!zk_uri_query_find(zk_httpd_query(r), name, &value) ||
	    zk_parse_u64(value, &n, &err) < 0)
		return otherwise;
	return n;
}

static void reply_text(struct zk_httpd_req *r, int status, zk_str text)
{
	zk_httpd_reply(r, status, ZK_STR("Content-Type: text/plain\r\n"), text);
}

/* ---- plain answers -------------------------------------------------------------------- */

static void echo(void *ctx, struct zk_httpd_req *r)
{
	struct call *call = zk_httpd_user(r);

	(void)ctx;
	srv.bodies++;
	srv.wrong += call->magic != 0;
	reply_text(r, 200, zk_httpd_body(r));
}

static void accepted(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	zk_httpd_reply(r, 202, ZK_STR("Content-Type: application/json\r\n"),
	               ZK_STR("{\"status\":\"accepted\"}"));
}

/* What tests/bench/bare_mhd.c answers: the same bytes of body, made anew each time. */
static void event(void *ctx, struct zk_httpd_req *r)
{
	static uint64_t count;
	char body[256];
	int n = snprintf(body, sizeof(body),
	                 "{\"id\":\"0199f3c1-0000-7000-8000-%012" PRIx64 "\","
	                 "\"event_id\":\"0199f3c1-0000-7000-8000-%012" PRIx64 "\","
	                 "\"type\":\"bench.event\",\"status\":\"accepted\","
	                 "\"message\":\"Event queued for processing\","
	                 "\"created_at\":\"2025-11-10T12:00:00.123456Z\"}",
	                 count, count);

	(void)ctx;
	count++;
	zk_httpd_reply(r, 202, ZK_STR("Content-Type: application/json\r\n"),
	               zk_str_n(body, (size_t)n));
}

static void item(void *ctx, struct zk_httpd_req *r)
{
	struct zk_buf b;

	(void)ctx;
	zk_buf_init(&b, 65536);
	zk_buf_lit(&b, "{\"path\":");
	zk_buf_json_str(&b, zk_httpd_path(r));
	zk_buf_lit(&b, ",\"query\":");
	zk_buf_json_str(&b, zk_httpd_query(r));
	zk_buf_lit(&b, ",\"a\":");
	zk_buf_json_str(&b, zk_httpd_keep(r, zk_httpd_param(r, 0)));
	zk_buf_lit(&b, ",\"b\":");
	zk_buf_json_str(&b, zk_httpd_param(r, 1));
	zk_buf_lit(&b, ",\"pattern\":");
	zk_buf_json_str(&b, zk_str_of(zk_httpd_route(r)->pattern));
	zk_buf_lit(&b, ",\"authority\":");
	zk_buf_json_str(&b, zk_httpd_head(r)->authority);
	zk_buf_lit(&b, ",\"client\":");
	zk_buf_json_str(&b, zk_str_of(zk_httpd_client(r)));
	zk_buf_printf(&b, ",\"loopback\":%s}",
	              zk_httpd_client_is_loopback(r) ? "true" : "false");
	reply_text(r, 200, zk_buf_str(&b));
	zk_buf_done(&b);
}

static void big(void *ctx, struct zk_httpd_req *r)
{
	size_t n = (size_t)query_number(r, ZK_STR("n"), 1000000);
	char *p = zk_alloc(n);

	(void)ctx;
	memset(p, 'x', n);
	reply_text(r, 200, zk_str_n(p, n));
	free(p);
}

static void nothing(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	zk_httpd_reply(r, 204, ZK_STR_NULL, ZK_STR("dropped"));
}

static void any_status(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	reply_text(r, (int)query_number(r, ZK_STR("n"), 200), ZK_STR("text"));
}

/* Texts that are kept: many small ones, a large one, one that is too large. */
static void keep(void *ctx, struct zk_httpd_req *r)
{
	size_t n = (size_t)query_number(r, ZK_STR("n"), 100);
	char *p = zk_alloc(n);
	struct zk_buf b;
	zk_str kept[20];

	(void)ctx;
	zk_buf_init(&b, 65536);
	for (unsigned i = 0; i < ZK_ARRAY_LEN(kept); i++) {
		memset(p, 'a' + (int)i, n);
		kept[i] = zk_httpd_keep(r, zk_str_n(p, n));
	}
	for (unsigned i = 0; i < ZK_ARRAY_LEN(kept); i++) {
		srv.wrong += kept[i].n && kept[i].p[kept[i].n - 1] != 'a' + (char)i;
		zk_buf_printf(&b, "%zu ", kept[i].n);
	}
	free(p);
	reply_text(r, 200, zk_buf_str(&b));
	zk_buf_done(&b);
}

static void closing(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	zk_httpd_reply_close(r, 200, ZK_STR_NULL, ZK_STR("bye"));
}

static void is_self(void *ctx, struct zk_httpd_req *r)
{
	zk_str ip = zk_httpd_param(r, 0);
	struct zk_error err;
	uint64_t port = 0;
	char *text = zk_strndup(ip.p, ip.n);

	(void)ctx;
	if (zk_parse_u64(zk_httpd_param(r, 1), &port, &err) < 0)
		port = 0;
	reply_text(r, 200,
	           zk_httpd_is_self(srv.httpd, text, (int)port) ? ZK_STR("yes")
	                                                        : ZK_STR("no"));
	free(text);
}

static void stats(void *ctx, struct zk_httpd_req *r)
{
	struct zk_buf b;

	(void)ctx;
	zk_buf_init(&b, 4096);
	zk_buf_printf(
	        &b,
	        "{\"connections\":%u,\"in_progress\":%u,\"finished\":%u,\"dropped\":%u,"
	        "\"gone\":%u,\"errors\":%u,\"heads\":%u,\"bodies\":%u,\"streams_closed\":"
	        "%u,"
	        "\"streams_slow\":%u,\"wrong\":%u}",
	        zk_httpd_connections(srv.httpd), zk_httpd_in_progress(srv.httpd),
	        srv.finished, srv.dropped, srv.gone, srv.errors, srv.heads, srv.bodies,
	        srv.streams_closed, srv.streams_slow, srv.wrong);
	reply_text(r, 200, zk_buf_str(&b));
	zk_buf_done(&b);
}

/* ---- answers that come later ---------------------------------------------------------- */

struct later {
	struct zk_list node;
	struct zk_httpd_req *req;
	struct zk_timer *timer;
};

static void answer_later(struct later *l)
{
	srv.gone += zk_httpd_gone(l->req);
	/* The body is as it was, whatever arrived behind it. */
	reply_text(l->req, 200, zk_httpd_body(l->req));
	zk_timer_free(l->timer);
	free(l);
}

static void on_later(void *ctx)
{
	answer_later(ctx);
}

static struct later *later_new(struct zk_httpd_req *r, zk_loop_fn fn)
{
	struct later *l = zk_new0(struct later);

	l->req = r;
	zk_list_init(&l->node);
	if (fn) {
		l->timer = zk_timer_new(srv.loop, fn, l);
		zk_timer_start(l->timer,
		               (int64_t)ZK_MIN(query_number(r, ZK_STR("ms"), 20), 2000),
		               0);
	}
	return l;
}

static void later(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	(void)later_new(r, on_later);
}

static void hold(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	zk_list_push(&srv.held, &later_new(r, NULL)->node);
}

/* All held requests get their answers in one turn, as after a commit. */
static void release(void *ctx, struct zk_httpd_req *r)
{
	struct zk_list *e;
	struct zk_buf b;
	unsigned n = 0;

	(void)ctx;
	for (e = zk_list_pop(&srv.held); e; e = zk_list_pop(&srv.held)) {
		answer_later(ZK_LIST_ENTRY(e, struct later, node));
		n++;
	}
	zk_buf_init(&b, 32);
	zk_buf_printf(&b, "%u", n);
	reply_text(r, 200, zk_buf_str(&b));
	zk_buf_done(&b);
}

static void on_gate(void *ctx)
{
	struct later *l = ctx;

	srv.gone += zk_httpd_gone(l->req);
	if (zk_str_eq(zk_httpd_header(l->req, ZK_STR("x-gate")), ZK_STR("open")))
		zk_httpd_continue(l->req);
	else
		zk_httpd_reply(l->req, 401, ZK_STR_NULL, ZK_STR("closed"));
	zk_timer_free(l->timer);
	free(l);
}

static enum zk_httpd_next gate(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	srv.heads++;
	if (zk_str_eq(zk_httpd_header(r, ZK_STR("x-gate")), ZK_STR("at once")))
		zk_httpd_continue(r);
	else
		(void)later_new(r, on_gate);
	return ZK_HTTPD_WAIT;
}

static enum zk_httpd_next deny(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	srv.heads++;
	zk_httpd_reply(r, 401, ZK_STR("WWW-Authenticate: ApiKey\r\n"), ZK_STR("no"));
	return ZK_HTTPD_DONE;
}

/* ---- streams -------------------------------------------------------------------------- */

struct stream {
	struct zk_httpd_stream *s;
	struct zk_timer *timer;
	uint64_t left;
};

static void stream_closed(void *ctx)
{
	struct stream *st = ctx;

	srv.streams_closed++;
	(void)zk_httpd_stream_write(st->s, ZK_STR("event: bye\n\n"));
	zk_timer_free(st->timer);
	free(st);
}

static struct stream *stream_new(struct zk_httpd_req *r, uint64_t n)
{
	struct stream *st = zk_new0(struct stream);

	st->left = n;
	st->s = zk_httpd_stream_start(
	        r, 200,
	        ZK_STR("Content-Type: text/event-stream\r\nCache-Control: no-store\r\n"),
	        stream_closed, st);
	return st;
}

static void stream_done(struct stream *st)
{
	zk_httpd_stream_end(st->s);
	zk_timer_free(st->timer);
	free(st);
}

static void on_event(void *ctx)
{
	struct stream *st = ctx;
	struct zk_buf b;

	zk_buf_init(&b, 64);
	zk_buf_printf(&b, "data: %" PRIu64 "\n\n", st->left);
	(void)zk_httpd_stream_write(st->s, zk_buf_str(&b));
	(void)zk_httpd_stream_write(st->s, ZK_STR_NULL);
	zk_buf_done(&b);
	if (--st->left == 0)
		stream_done(st);
}

/* n events, one per `ms`. */
static void events(void *ctx, struct zk_httpd_req *r)
{
	struct stream *st = stream_new(r, query_number(r, ZK_STR("n"), 3));
	int64_t ms = (int64_t)query_number(r, ZK_STR("ms"), 1);

	(void)ctx;
	st->timer = zk_timer_new(srv.loop, on_event, st);
	zk_timer_start(st->timer, ms, ms);
}

/* Everything at once, until the stream is full. */
static void flood(void *ctx, struct zk_httpd_req *r)
{
	struct stream *st = stream_new(r, 0);
	char line[1024];

	(void)ctx;
	memset(line, 'x', sizeof(line));
	for (unsigned i = 0; i < 100000; i++) {
		if (!zk_httpd_stream_write(st->s, zk_str_n(line, sizeof(line)))) {
			srv.streams_slow++;
			return; /* on_close comes */
		}
		if (zk_httpd_stream_pending(st->s) > srv.conf.max_out)
			srv.wrong++;
	}
}

/* n bytes, never more than half of what may wait. */
static void pour_more(void *ctx)
{
	struct stream *st = ctx;
	char line[1024];

	memset(line, 'y', sizeof(line));
	while (st->left && zk_httpd_stream_pending(st->s) <= srv.conf.max_out / 2) {
		size_t n = ZK_MIN((size_t)st->left, sizeof(line));

		srv.wrong += !zk_httpd_stream_write(st->s, zk_str_n(line, n));
		st->left -= n;
	}
	if (!st->left)
		stream_done(st);
}

static void pour(void *ctx, struct zk_httpd_req *r)
{
	struct stream *st = stream_new(r, query_number(r, ZK_STR("n"), 10000000));

	(void)ctx;
	zk_httpd_stream_on_drain(st->s, pour_more);
	pour_more(st);
}

/* ---- upgrade -------------------------------------------------------------------------- */

struct taken {
	struct zk_poll *poll;
	int fd;
};

static void taken_readable(void *ctx, int mask, int status)
{
	struct taken *t = ctx;
	char buf[256];
	ssize_t n = status < 0 ? 0 : read(t->fd, buf, sizeof(buf));

	(void)mask;
	if (n > 0 && write(t->fd, buf, (size_t)n) == n)
		return;
	zk_poll_free(t->poll);
	(void)close(t->fd);
	free(t);
}

static void upgrade(void *ctx, struct zk_httpd_req *r)
{
	struct zk_error err;
	struct zk_buf b;

	(void)ctx;
	zk_buf_init(&b, 65536);
	zk_buf_lit(&b, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
	               "Upgrade: echo\r\n\r\n");
	int fd = zk_httpd_take_socket(r, &b);
	if (fd < 0) {
		reply_text(r, 500, ZK_STR("not taken"));
	} else {
		struct taken *t = zk_new0(struct taken);

		t->fd = fd;
		srv.wrong += write(fd, b.p, b.n) != (ssize_t)b.n;
		t->poll = zk_poll_new(srv.loop, fd, taken_readable, t, &err);
		if (t->poll)
			zk_poll_set(t->poll, ZK_POLL_IN);
	}
	zk_buf_done(&b);
}

/* ---- administration ------------------------------------------------------------------- */

static bool set_limit(zk_str key, uint64_t v)
{
	const struct {
		const char *name;
		size_t off, size;
	} fields[] = {
#define F(member) \
	{ #member, offsetof(struct zk_httpd_conf, member), sizeof(srv.conf.member) }
		F(max_body),         F(max_bodies),
		F(max_connections),  F(max_requests),
		F(head_timeout_ms),  F(body_timeout_ms),
		F(idle_timeout_ms),  F(body_bytes_per_s),
		F(write_timeout_ms), F(max_out),
		F(head.max_head),    F(head.max_target),
		F(head.max_lines),   F(max_connections_per_client),
#undef F
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(fields); i++) {
		if (!zk_str_eq(key, zk_str_of(fields[i].name)))
			continue;
		char *to = (char *)&srv.conf + fields[i].off;
		unsigned small = (unsigned)v;

		if (fields[i].size == sizeof(v))
			memcpy(to, &v, sizeof(v));
		else
			memcpy(to, &small, sizeof(small));
		return true;
	}
	return false;
}

static void limits(void *ctx, struct zk_httpd_req *r)
{
	zk_str rest = zk_httpd_query(r), name, value;
	struct zk_error err;
	uint64_t n;

	(void)ctx;
	while (zk_uri_query_next(&rest, &name, &value, NULL)) {
		if (zk_parse_u64(value, &n, &err) < 0 || !set_limit(name, n))
			srv.wrong++;
	}
	if (zk_httpd_reload(srv.httpd, &srv.conf, &err) < 0)
		reply_text(r, 500, zk_str_of(err.msg));
	else
		reply_text(r, 200, ZK_STR("set"));
}

static void end(void)
{
	struct zk_list *e;

	zk_httpd_free(srv.httpd);
	/* Requests outlive the server until they are answered. */
	for (e = zk_list_pop(&srv.held); e; e = zk_list_pop(&srv.held))
		answer_later(ZK_LIST_ENTRY(e, struct later, node));
	uv_close((uv_handle_t *)&srv.term, NULL);
	uv_close((uv_handle_t *)&srv.hup, NULL);
}

static void drained(void *ctx)
{
	(void)ctx;
	if (zk_httpd_connections(srv.httpd) != 0)
		srv.wrong++;
	end();
}

static void on_term(uv_signal_t *h, int sig)
{
	(void)h;
	(void)sig;
	zk_httpd_drain(srv.httpd, drained, NULL);
}

static void on_hup(uv_signal_t *h, int sig)
{
	struct zk_error err;

	(void)h;
	(void)sig;
	if (zk_httpd_reload(srv.httpd, &srv.conf, &err) < 0)
		fprintf(stderr, "reload: %s\n", err.msg);
	else
		fprintf(stderr, "reloaded\n");
}

/* Frees the server from within a handler, with everything that goes on. */
static void quit(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	zk_httpd_reply(r, 200, ZK_STR_NULL, ZK_STR("never seen"));
	end();
}

/* ---- hooks ---------------------------------------------------------------------------- */

static void on_error(void *ctx, struct zk_httpd_req *r, int status, const char *detail,
                     const char *allow)
{
	struct zk_buf h;

	(void)ctx;
	srv.errors++;
	zk_buf_init(&h, 1024);
	zk_buf_lit(&h, "X-Own: yes\r\n");
	if (allow)
		zk_buf_printf(&h, "Allow: %s\r\n", allow);
	zk_httpd_reply(r, status, zk_buf_str(&h), zk_str_of(detail));
	zk_buf_done(&h);
}

static bool on_options(void *ctx, struct zk_httpd_req *r, const char *allow)
{
	struct zk_buf h;

	(void)ctx;
	zk_buf_init(&h, 1024);
	zk_buf_printf(&h, "Access-Control-Allow-Methods: %s\r\n", allow);
	zk_httpd_reply(r, 204, zk_buf_str(&h), ZK_STR_NULL);
	zk_buf_done(&h);
	return true;
}

static void on_finish(void *ctx, struct zk_httpd_req *r, int status, int64_t micros)
{
	struct call *call = zk_httpd_user(r);

	(void)ctx;
	srv.finished++;
	srv.dropped += status == 0;
	srv.wrong += call->finished || micros < 0;
	call->finished = true;
	call->magic = 0xaa;
}

static const struct zk_route routes[] = {
	{ .method = "GET", .pattern = "/", .on_body = accepted },
	{ .method = "POST", .pattern = "/echo", .on_body = echo },
	{ .method = "PUT", .pattern = "/echo", .on_body = echo },
	{ .method = "POST", .pattern = "/accept", .on_body = accepted },
	{ .method = "POST", .pattern = "/api/events", .on_body = event },
	{ .method = "POST", .pattern = "/small", .max_body = 100, .on_body = echo },
	{ .method = "GET", .pattern = "/item/:a/:b", .on_body = item },
	{ .method = "GET", .pattern = "/item/:a", .on_body = item },
	{ .method = "GET", .pattern = "/item/special", .on_body = item },
	{ .method = "POST", .pattern = "/item/other", .on_body = item },
	{ .method = "HEAD", .pattern = "/item/:a", .on_body = item },
	{ .method = "GET", .pattern = "/item/:a/:b/deep", .on_body = item },
	{ .method = "GET", .pattern = "/big", .on_body = big },
	{ .method = "GET", .pattern = "/nothing", .on_body = nothing },
	{ .method = "GET", .pattern = "/status", .on_body = any_status },
	{ .method = "GET", .pattern = "/keep", .on_body = keep },
	{ .method = "POST", .pattern = "/close", .on_body = closing },
	{ .method = "POST", .pattern = "/later", .on_body = later },
	{ .method = "POST", .pattern = "/hold", .on_body = hold },
	{ .method = "POST", .pattern = "/release", .on_body = release },
	{ .method = "POST", .pattern = "/gate", .on_head = gate, .on_body = echo },
	{ .method = "POST", .pattern = "/deny", .on_head = deny },
	{ .method = "GET", .pattern = "/events", .on_body = events },
	{ .method = "GET", .pattern = "/flood", .on_body = flood },
	{ .method = "GET", .pattern = "/pour", .on_body = pour },
	{ .method = "GET", .pattern = "/ws", .on_body = upgrade },
	{ .method = "GET", .pattern = "/self/:ip/:port", .on_body = is_self },
	{ .method = "GET", .pattern = "/stats", .on_body = stats },
	{ .method = "POST", .pattern = "/limits", .on_body = limits },
	{ .method = "POST", .pattern = "/quit", .on_body = quit },
};

/* ---- main ----------------------------------------------------------------------------- */

static int fail(const struct zk_error *err)
{
	fprintf(stderr, "httpd_echo: error %d: %s\n", (int)err->code, err->msg);
	return 1;
}

static void write_ready(void)
{
	char tmp[4096];
	FILE *f;

	if (!srv.ready_file)
		return;
	(void)snprintf(tmp, sizeof(tmp), "%s.new", srv.ready_file);
	f = fopen(tmp, "we");
	if (!f)
		return;
	fprintf(f, "[");
	for (size_t i = 0; zk_httpd_address(srv.httpd, i); i++)
		fprintf(f, "%s\"%s\"", i ? "," : "", zk_httpd_address(srv.httpd, i));
	fprintf(f, "]\n");
	(void)fclose(f);
	(void)rename(tmp, srv.ready_file);
}

/* Options that are no limits; they need the server, or are noted for it. */
static bool note_option(zk_str key, const char *value)
{
	if (zk_str_eq(key, ZK_STR("tls_cert")))
		srv.conf.tls_cert = value;
	else if (zk_str_eq(key, ZK_STR("tls_key")))
		srv.conf.tls_key = value;
	else if (zk_str_eq(key, ZK_STR("own_errors")))
		srv.conf.on_error = on_error;
	else if (zk_str_eq(key, ZK_STR("options")))
		srv.conf.on_options = on_options;
	else
		return zk_str_eq(key, ZK_STR("listen")) || zk_str_eq(key, ZK_STR("fd"));
	return true;
}

static int listen_all(int argc, char **argv, struct zk_error *err)
{
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		zk_str key, value = zk_str_cut(zk_str_of(argv[i]), '=', &key);
		uint64_t fd = 0;

		if (zk_str_eq(key, ZK_STR("listen")))
			r = zk_httpd_listen(srv.httpd, value, err);
		else if (zk_str_eq(key, ZK_STR("fd"))) {
			r = zk_parse_u64(value, &fd, err);
			if (r == 0)
				r = zk_httpd_listen_fd(srv.httpd, (int)fd, err);
		}
	}
	return r;
}

static int parse_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct zk_error err;
		uint64_t n;
		zk_str key, value = zk_str_cut(zk_str_of(argv[i]), '=', &key);

		if (zk_str_eq(key, ZK_STR("--ready-file")) && i + 1 < argc)
			srv.ready_file = argv[++i];
		else if (!note_option(key, value.p) &&
		         (zk_parse_u64(value, &n, &err) < 0 || !set_limit(key, n))) {
			fprintf(stderr, "httpd_echo: bad argument '%s'\n", argv[i]);
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct zk_error err = { .code = ZK_E_NONE };

	(void)signal(SIGPIPE, SIG_IGN);
	zk_list_init(&srv.held);
	zk_httpd_conf_init(&srv.conf);
	srv.conf.routes = routes;
	srv.conf.n_routes = ZK_ARRAY_LEN(routes);
	srv.conf.on_finish = on_finish;
	if (parse_args(argc, argv) < 0)
		return 64;
	srv.loop = zk_loop_new(&err);
	if (!srv.loop || zk_httpd_new(srv.loop, &srv.conf, &srv.httpd, &err) < 0)
		return fail(&err);
	int r = listen_all(argc, argv, &err);
	if (r < 0) {
		zk_httpd_free(srv.httpd);
		zk_loop_free(srv.loop);
		return fail(&err);
	}
	(void)uv_signal_init(zk_loop_uv(srv.loop), &srv.term);
	(void)uv_signal_init(zk_loop_uv(srv.loop), &srv.hup);
	(void)uv_signal_start(&srv.term, on_term, SIGTERM);
	(void)uv_signal_start(&srv.hup, on_hup, SIGHUP);
	write_ready();
	zk_loop_run(srv.loop);
	zk_loop_free(srv.loop);
	if (srv.wrong)
		fprintf(stderr, "httpd_echo: %u contradictions\n", srv.wrong);
	return srv.wrong ? 1 : 0;
}
