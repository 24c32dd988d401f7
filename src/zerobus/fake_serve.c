/* The stand-in: its two servers.
 * Layer: zerobus. specs/zerobus.md §19. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/jwrite.h"
#include "net/httpd.h"
#include "net/tls_server.h"
#include "rt/loop.h"
#include "zerobus/fake_int.h"
#include "zerobus/proto.h"
#include "zerobus/schema.h"

#include "base/ban.h"

#define PLAN_MAX   ((size_t)1 << 20)
#define DEFAULT_MS 3600000

/* ---- gRPC ---- */

static void *conn_open(void *ctx, struct zk_h2d_conn *c)
{
	struct fake_conn *conn = zk_new0(struct fake_conn);

	conn->f = ctx;
	conn->c = c;
	zk_list_init(&conn->streams);
	return conn;
}

static void conn_close(void *conn_ctx)
{
	struct fake_conn *conn = conn_ctx;

	zk_loop_forget(conn->f->loop, zk_zb_fake_flush_conn, conn);
	zk_loop_forget(conn->f->loop, zk_zb_fake_cut_conn, conn);
	ZK_LIST_EACH (it, &conn->streams)
		zk_zb_fake_stream_free(ZK_LIST_ENTRY(it, struct fake_stream, link));
	free(conn);
}

void zk_zb_fake_flush_conn(void *ctx)
{
	struct fake_conn *conn = ctx;

	zk_h2d_flush(conn->c);
}

void zk_zb_fake_cut_conn(void *ctx)
{
	struct fake_conn *conn = ctx;

	zk_h2d_cut(conn->c, conn->cut_reset);
}

static struct fake_stream *find(struct fake_conn *conn, int32_t id)
{
	ZK_LIST_EACH (it, &conn->streams) {
		struct fake_stream *s = ZK_LIST_ENTRY(it, struct fake_stream, link);

		if (s->id == id)
			return s;
	}
	return NULL;
}

static void on_header(void *ctx, int32_t id, zk_str name, zk_str value)
{
	struct fake_conn *conn = ctx;
	struct fake_stream *s = find(conn, id);

	if (!s)
		s = zk_zb_fake_stream_new(conn, id);
	if (zk_str_eq(name, ZK_STR(":path")))
		zk_buf_add(&s->path, value);
	else if (zk_str_eq(name, ZK_STR("authorization")))
		zk_buf_add(&s->token, value);
	else if (zk_str_eq(name, ZK_STR("x-databricks-zerobus-table-name")))
		zk_buf_add(&s->header_table, value);
	else if (zk_str_eq(name, ZK_STR("te")) && !zk_str_eq(value, ZK_STR("trailers")))
		zk_zb_fake_violate(conn->f, "te is not 'trailers'");
	else if (zk_str_eq(name, ZK_STR("content-type")) &&
	         !zk_str_eq(value, ZK_STR("application/grpc")))
		zk_zb_fake_violate(conn->f, "content-type is not application/grpc");
}

/* A status in the head, and nothing else. */
static void refuse(struct fake_stream *s, int code, const char *text)
{
	char number[8];
	struct zk_h2_header v[] = {
		{ ZK_STR(":status"), ZK_STR("200"), false },
		{ ZK_STR("content-type"), ZK_STR("application/grpc"), false },
		{ ZK_STR("grpc-status"), ZK_STR_NULL, false },
		{ ZK_STR("grpc-message"), zk_str_of(text), false },
	};

	(void)snprintf(number, sizeof(number), "%d", code);
	v[2].value = zk_str_of(number);
	s->ended = true;
	s->status = code;
	zk_h2_respond(zk_h2d_h2(s->conn->c), s->id, v, 4, /* body */ false);
}

static void not_grpc(struct fake_stream *s)
{
	char number[8];
	struct zk_h2_header v[] = { { ZK_STR(":status"), ZK_STR_NULL, false },
		                    { ZK_STR("content-type"), ZK_STR("text/html"),
		                      false } };

	(void)snprintf(number, sizeof(number), "%d", s->fault.http_status);
	v[0].value = zk_str_of(number);
	s->ended = true;
	zk_buf_lit(&s->out, "<html><body>not a gRPC answer</body></html>");
	zk_h2_respond(zk_h2d_h2(s->conn->c), s->id, v, 2, /* body */ true);
}

static void respond(void *ctx)
{
	struct fake_stream *s = ctx;
	struct zk_h2_header v[] = {
		{ ZK_STR(":status"), ZK_STR("200"), false },
		{ ZK_STR("content-type"), ZK_STR("application/grpc"), false },
	};

	zk_h2_respond(zk_h2d_h2(s->conn->c), s->id, v, 2, /* body */ true);
	zk_loop_defer(s->f->loop, zk_zb_fake_flush_conn, s->conn);
}

static void on_head(void *ctx, int32_t id)
{
	struct fake_conn *conn = ctx;
	struct fake_stream *s = find(conn, id);
	const char *wrong;

	if (!s || s->created)
		return;
	wrong = zk_zb_fake_judge_token(s);
	if (!zk_str_eq(zk_buf_str(&s->path), ZK_STR(ZK_ZB_METHOD)))
		refuse(s, ZK_GRPC_UNIMPLEMENTED, "there is no such method");
	else if (wrong)
		refuse(s, ZK_GRPC_UNAUTHENTICATED, wrong);
	else if (s->fault.http_status)
		not_grpc(s);
	else if (!s->fault.head_ms)
		respond(s);
	else if (!s->head) {
		s->head = zk_timer_new(conn->f->loop, respond, s);
		zk_timer_start(s->head, s->fault.head_ms, 0);
	}
}

static void on_data(void *ctx, int32_t id, zk_str bytes)
{
	struct fake_stream *s = find(ctx, id);

	if (s)
		zk_zb_fake_data(s, bytes);
}

static void on_end(void *ctx, int32_t id)
{
	struct fake_stream *s = find(ctx, id);

	if (s)
		zk_zb_fake_end(s);
}

static void on_closed(void *ctx, int32_t id)
{
	struct fake_stream *s = find(ctx, id);

	if (s)
		zk_zb_fake_stream_free(s);
}

static size_t on_ready(void *ctx, int32_t id, size_t room, enum zk_h2_more *more)
{
	struct fake_stream *s = find(ctx, id);

	if (!s)
		return 0;
	if (s->fault.bytewise)
		room = 1;
	if (s->ended && !s->silent && s->out.n <= room)
		*more = s->fault.http_status ? ZK_H2_END : ZK_H2_TRAILERS;
	return ZK_MIN(room, s->out.n);
}

static void on_take(void *ctx, int32_t id, char *to, size_t n)
{
	struct fake_stream *s = find(ctx, id);

	if (!s || s->out.n < n) {
		memset(to, 0, n);
		return;
	}
	memcpy(to, s->out.p, n);
	zk_buf_consume(&s->out, n);
}

/* ---- HTTP: tokens, columns, counts ---- */

static void reply(struct zk_httpd_req *req, int status, const struct zk_buf *body)
{
	zk_httpd_reply(req, status, ZK_STR("Content-Type: application/json\r\n"),
	               zk_buf_str(body));
}

/* The columns of every table, when there are some. */
static void on_table(void *ctx, struct zk_httpd_req *req)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zb_fake *f = ctx;

	if (f->document.n) {
		reply(req, 200, &f->document);
		return;
	}
	zk_buf_init(&b, 256);
	zk_buf_lit(&b, "{\"error_code\":\"TABLE_DOES_NOT_EXIST\"}");
	reply(req, 404, &b);
}

static void put_log(struct zk_jwrite *w, const char *name, const struct zk_buf *log)
{
	zk_jw_key(w, name);
	zk_jw_arr(w);
	zk_buf_put(w->b, log->p, log->n ? log->n - 1 : 0);
	zk_jw_arr_end(w);
}

void zk_zb_fake_report(const struct zk_zb_fake *f, struct zk_buf *b)
{
	const struct {
		const char *name;
		uint64_t v;
	} rows[] = {
		{ "streams", f->stats.streams }, { "requests", f->stats.requests },
		{ "rows", f->stats.rows },       { "stored", f->stats.stored },
		{ "doubled", f->stats.doubled }, { "thrown", f->stats.thrown },
		{ "bytes", f->stats.bytes },     { "violations", f->stats.violations },
		{ "tokens", f->stats.tokens },   { "cuts", f->stats.cuts },
		{ "signals", f->stats.signals },
	};
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++) {
		zk_jw_key(&w, rows[i].name);
		zk_jw_u64(&w, rows[i].v);
	}
	zk_jw_key(&w, "broken_rules");
	zk_jw_arr(&w);
	for (size_t i = 0; i < f->n_violations; i++)
		zk_jw_cstr(&w, f->violations[i]);
	zk_jw_arr_end(&w);
	put_log(&w, "token_requests", &f->token_log);
	put_log(&w, "stream_log", &f->stream_log);
	zk_jw_obj_end(&w);
}

static void on_stats(void *ctx, struct zk_httpd_req *req)
{
	struct zk_zb_fake *f = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_zb_fake_flush(f);
	zk_buf_init(&b, 65536 + 2 * FAKE_LOG_BYTES);
	zk_zb_fake_report(f, &b);
	reply(req, 200, &b);
}

/* ---- life ---- */

static int load_file(const char *path, struct zk_buf *b, struct zk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = -1;

	if (fd >= 0) {
		char *to = zk_buf_reserve(b, PLAN_MAX);

		n = read(fd, to, PLAN_MAX);
		b->n = n > 0 ? (size_t)n : 0;
	}
	int e = errno;

	if (fd >= 0)
		(void)close(fd);
	return n < 0 ? zk_fail_errno(err, ZK_E_NO_INPUT, e, "cannot read '%s'", path) : 0;
}

static int load_plan(struct zk_zb_fake *f, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, PLAN_MAX);
	if (load_file(f->conf.plan, &b, err) < 0)
		return zk_wrap(err, "the plan");
	return zk_zb_plan_parse(zk_buf_str(&b), &f->plan, err);
}

/* The columns that the token endpoint's sister tells of every table. */
static int load_document(struct zk_zb_fake *f, struct zk_error *err)
{
	struct zk_zb_schema_conf conf = { .message = "row" };
	ZK_CLEANUP(zk_zb_schema_freep)
	struct zk_zb_schema *s = NULL;

	if (load_file(f->conf.document, &f->document, err) < 0 ||
	    zk_zb_schema_of_table(zk_buf_str(&f->document), &conf, &s, err) < 0)
		return zk_wrap(err, "the table's document");
	return 0;
}

static int make_certificate(const struct zk_zb_fake *f, struct zk_error *err)
{
	const struct zk_zb_fake_conf *c = &f->conf;

	if (!c->tls_cert != !c->tls_key)
		return zk_fail(err, ZK_E_USAGE,
		               "--tls-cert and --tls-key belong together");
	if (!c->tls_cert || access(c->tls_cert, F_OK) == 0 ||
	    access(c->tls_key, F_OK) == 0)
		return 0;
	return zk_tls_make_files(c->addr, c->tls_cert, c->tls_key, err);
}

static int start_grpc(struct zk_zb_fake *f, struct zk_error *err)
{
	struct zk_h2d_conf conf = {
		.addr = f->conf.addr,
		.port = f->conf.grpc_port,
		.window = f->conf.window,
		.tls_cert = f->conf.tls_cert,
		.tls_key = f->conf.tls_key,
		.ctx = f,
		.on_open = conn_open,
		.on_close = conn_close,
		.on_header = on_header,
		.on_head = on_head,
		.on_data = on_data,
		.on_end = on_end,
		.on_closed = on_closed,
		.ready = on_ready,
		.take = on_take,
	};

	return zk_h2d_listen(f->loop, &conf, &f->grpc, err);
}

static int start_http(struct zk_zb_fake *f, struct zk_error *err)
{
	static const struct zk_route routes[] = {
		{ .method = "POST",
		  .pattern = "/oidc/v1/token",
		  .on_body = zk_zb_fake_token },
		{ .method = "GET",
		  .pattern = "/api/2.1/unity-catalog/tables/:name",
		  .on_body = on_table },
		{ .method = "GET", .pattern = "/stats", .on_body = on_stats },
	};
	struct zk_httpd_conf conf = {
		.ctx = f,
		.routes = routes,
		.n_routes = ZK_ARRAY_LEN(routes),
		.head = { .max_head = 16384, .max_target = 8192, .max_lines = 100 },
		.max_body = 1 << 20,
		.max_bodies = 64 << 20,
		.max_connections = 1024,
		.max_requests = 10000,
		.head_timeout_ms = 10000,
		.body_timeout_ms = 30000,
		.idle_timeout_ms = 60000,
		.write_timeout_ms = 30000,
		.max_out = 1 << 20,
	};
	char addr[80];
	const char *at;

	(void)snprintf(addr, sizeof(addr), "%s:%d", f->conf.addr, f->conf.http_port);
	if (zk_httpd_new(f->loop, &conf, &f->http, err) < 0 ||
	    zk_httpd_listen(f->http, zk_str_of(addr), err) < 0)
		return -(int)err->code;
	at = strrchr(zk_httpd_address(f->http, 0), ':');
	uint64_t port = 0;
	struct zk_error ignored;

	ZK_IGNORE(zk_parse_u64(zk_str_of(at ? at + 1 : ""), &port, &ignored) < 0);
	f->http_port = (int)port;
	return 0;
}

int zk_zb_fake_start(struct zk_loop *l, const struct zk_zb_fake_conf *conf,
                     struct zk_zb_fake **ret, struct zk_error *err)
{
	struct zk_zb_fake *f = zk_new0(struct zk_zb_fake);

	f->conf = *conf;
	f->loop = l;
	if (!f->conf.token_ms)
		f->conf.token_ms = DEFAULT_MS;
	zk_map_init(&f->tables);
	zk_map_init(&f->tokens);
	zk_list_init(&f->late);
	zk_buf_init(&f->stream_log, FAKE_LOG_BYTES);
	zk_buf_init(&f->token_log, FAKE_LOG_BYTES);
	zk_rand_seed(&f->rnd, conf->chaos);
	zk_buf_init(&f->document, PLAN_MAX + 1);
	zk_buf_init(&f->row, SIZE_MAX / 2);
	if ((conf->plan && load_plan(f, err) < 0) ||
	    (conf->document && load_document(f, err) < 0) ||
	    make_certificate(f, err) < 0 || start_grpc(f, err) < 0 ||
	    start_http(f, err) < 0) {
		zk_zb_fake_free(f);
		return -(int)err->code;
	}
	*ret = f;
	return 0;
}

void zk_zb_fake_free(struct zk_zb_fake *f)
{
	void *value;
	zk_str key;
	size_t pos = 0;

	if (!f)
		return;
	zk_h2d_free(f->grpc);
	zk_httpd_free(f->http);
	zk_zb_fake_flush(f);
	while (zk_map_next(&f->tables, &pos, &key, &value)) {
		struct fake_table *t = value;

		if (t->fd >= 0)
			(void)close(t->fd);
		zk_buf_done(&t->lines);
		zk_map_done(&t->seen);
		free(t->name);
		free(t);
	}
	zk_zb_fake_tokens_done(f);
	zk_map_done(&f->tables);
	zk_zb_plan_done(&f->plan);
	zk_buf_done(&f->stream_log);
	zk_buf_done(&f->token_log);
	zk_buf_done(&f->document);
	zk_buf_done(&f->row);
	free(f);
}

int zk_zb_fake_grpc_port(const struct zk_zb_fake *f)
{
	return zk_h2d_port(f->grpc);
}

int zk_zb_fake_http_port(const struct zk_zb_fake *f)
{
	return f->http_port;
}

void zk_zb_fake_stats(const struct zk_zb_fake *f, struct zk_zb_fake_stats *ret)
{
	*ret = f->stats;
}
