/* The HTTP server as a whole: configuration, drain, end.
 * Layer: net. */
#include "net/httpd.h"

#include <stdlib.h>

#include "net/httpd_int.h"
#include "net/tls_server.h"
#include "rt/loop.h"

#include "base/ban.h"

void zk_httpd_conf_init(struct zk_httpd_conf *conf)
{
	*conf = (struct zk_httpd_conf){
		.head = { .max_head = 16384, .max_target = 8192, .max_lines = 100 },
		.max_body = 512 * 1024,
		.max_bodies = 256 * 1024 * 1024,
		.max_connections = 4096,
		.max_connections_per_client = 256,
		.max_requests = 10000,
		.head_timeout_ms = 10000,
		.body_timeout_ms = 20000,
		.idle_timeout_ms = 75000,
		.body_bytes_per_s = 16384,
		.write_timeout_ms = 30000,
		.max_out = 1024 * 1024,
	};
}

static int load_tls(const struct zk_httpd_conf *conf, struct zk_tls_server **ret,
                    struct zk_error *err)
{
	*ret = NULL;
	if (!conf->tls_cert && !conf->tls_key)
		return 0;
	return zk_tls_server_new(conf->tls_cert, conf->tls_key, ret, err);
}

int zk_httpd_new(struct zk_loop *l, const struct zk_httpd_conf *conf,
                 struct zk_httpd **ret, struct zk_error *err)
{
	struct zk_tls_server *tls;
	int r = load_tls(conf, &tls, err);

	if (r < 0)
		return r;

	struct zk_httpd *s = zk_new0(struct zk_httpd);
	s->loop = l;
	s->conf = *conf;
	s->tls = tls;
	s->date_s = -1;
	s->router = zk_httpd_router_new(conf->routes, conf->n_routes);
	s->scratch = zk_alloc(ZK_HTTPD_SCRATCH);
	zk_list_init(&s->listeners);
	zk_list_init(&s->conns);
	zk_list_init(&s->dirty);
	zk_map_init(&s->peers);
	zk_httpd_wheel_init(s);
	*ret = s;
	return 0;
}

int zk_httpd_reload(struct zk_httpd *s, const struct zk_httpd_conf *conf,
                    struct zk_error *err)
{
	struct zk_tls_server *tls;
	int r = load_tls(conf, &tls, err);

	if (r < 0)
		return r;
	if (!tls != !s->tls) {
		zk_tls_server_unref(tls);
		return zk_fail(err, ZK_E_CONFIG,
		               "TLS cannot be turned on or off while running");
	}
	zk_tls_server_unref(s->tls);
	s->tls = tls;
	/* What belongs to the owner's code stays. */
	struct zk_httpd_conf was = s->conf;
	s->conf = *conf;
	s->conf.ctx = was.ctx;
	s->conf.routes = was.routes;
	s->conf.n_routes = was.n_routes;
	s->conf.on_error = was.on_error;
	s->conf.on_options = was.on_options;
	s->conf.on_finish = was.on_finish;
	return 0;
}

unsigned zk_httpd_connections(const struct zk_httpd *s)
{
	return s->n_conns;
}

unsigned zk_httpd_in_progress(const struct zk_httpd *s)
{
	return s->in_progress;
}

/* ------------------------------------------------------------------ turns */

static void run_dirty(void *ctx)
{
	struct zk_httpd *s = ctx;
	struct zk_list now, *e;

	/* What gets dirty from here on waits for the next turn. */
	zk_list_init(&now);
	for (e = zk_list_pop(&s->dirty); e; e = zk_list_pop(&s->dirty))
		zk_list_push(&now, e);
	s->deferred = false;
	s->held = true;
	for (e = zk_list_pop(&now); e; e = zk_list_pop(&now))
		zk_httpd_conn_run(ZK_LIST_ENTRY(e, struct zk_httpd_conn, dirty));
	s->held = false;
	zk_httpd_check_end(s);
}

void zk_httpd_defer(struct zk_httpd *s)
{
	if (s->deferred)
		return;
	s->deferred = true;
	zk_loop_defer(s->loop, run_dirty, s);
}

/* ------------------------------------------------------------------ end */

static void destroy(struct zk_httpd *s)
{
	while (s->free_reqs) {
		struct zk_httpd_req *r = s->free_reqs;

		s->free_reqs = r->next;
		free(r);
	}
	while (s->free_chunks) {
		void *chunk = s->free_chunks;

		memcpy(&s->free_chunks, chunk, sizeof(void *));
		free(chunk);
	}
	zk_map_done(&s->peers);
	zk_httpd_router_free(s->router);
	zk_tls_server_unref(s->tls);
	free(s->scratch);
	free(s);
}

void zk_httpd_check_end(struct zk_httpd *s)
{
	if (s->n_live || s->n_handles || s->deferred || s->held)
		return;
	if (s->freed) {
		destroy(s);
		return;
	}
	if (s->draining && s->drained) {
		void (*fn)(void *ctx) = ZK_TAKE(s->drained);

		fn(s->drained_ctx);
	}
}

static void drain_conn(struct zk_httpd_conn *c)
{
	if (c->stream) {
		struct zk_httpd_stream *st = c->stream;

		/* The owner may write a last word; then it must not know the stream any more. */
		if (st->on_close)
			st->on_close(st->ctx);
		if (c->stream == st)
			zk_httpd_stream_end(st);
		return;
	}
	/* A request that is on its way to us shall be answered. */
	if (c->phase == ZK_HTTPD_IDLE && !zk_httpd_conn_has_input(c))
		zk_httpd_conn_abort(c);
	else if (c->phase == ZK_HTTPD_LINGER || c->phase == ZK_HTTPD_SKIP)
		zk_httpd_wheel_set(c,
		                   zk_loop_now_ms(c->s->loop) + ZK_HTTPD_LINGER_MS / 4);
}

void zk_httpd_drain(struct zk_httpd *s, void (*fn)(void *ctx), void *ctx)
{
	s->drained = fn;
	s->drained_ctx = ctx;
	if (s->draining)
		return;
	zk_httpd_listeners_empty(s);
	s->draining = true;
	zk_httpd_listeners_close(s);
	ZK_LIST_EACH (e, &s->conns)
		drain_conn(ZK_LIST_ENTRY(e, struct zk_httpd_conn, node));
	zk_httpd_defer(s); /* never calls back from here */
}

void zk_httpd_free(struct zk_httpd *s)
{
	if (!s)
		return;
	zk_httpd_listeners_close(s);
	ZK_LIST_EACH (e, &s->conns) {
		struct zk_httpd_conn *c = ZK_LIST_ENTRY(e, struct zk_httpd_conn, node);

		zk_httpd_conn_abort(c);
		zk_httpd_req_orphan(c);
	}
	/* From here on the owner's code is not called any more. */
	s->conf.on_error = NULL;
	s->conf.on_options = NULL;
	s->conf.on_finish = NULL;
	zk_httpd_wheel_done(s);
	s->freed = true;
	zk_httpd_defer(s);
}
