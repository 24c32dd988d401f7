/* A WebSocket server on net/wsd for ws_server.mjs. Not a test by itself.
 *
 *	ws_server LISTEN MAX_MESSAGE PING_AFTER_MS PONG_WITHIN_MS
 *
 * /ws gives every message back, except for texts of the form "!close CODE REASON", "!burst N SIZE"
 * (N messages as fast as the client takes them) and "!cut". Anything else that is asked for is 404.
 * stdout: the address, and "end N" for each connection that ended. TERM ends it.
 * Layer: tests. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"
#include "net/httpd.h"
#include "net/wsd.h"
#include "rt/loop.h"

#include "base/ban.h"

#define CLIENTS 64

struct client {
	struct zk_wsd *wsd;
	unsigned nth;
	uint64_t left; /* of a burst */
	size_t size;
};

static struct zk_loop *loop;
static struct zk_httpd *httpd;
static struct zk_wsd_conf conf;
static struct client clients[CLIENTS];
static unsigned n_clients;

static void burst(struct client *c)
{
	char *p = zk_alloc(c->size);

	memset(p, 'x', c->size);
	while (c->left && zk_wsd_unsent(c->wsd) < 65536 &&
	       zk_wsd_send(c->wsd, zk_str_n(p, c->size), /* binary */ false))
		c->left--;
	free(p);
}

static void on_sent(void *ctx)
{
	burst(ctx);
}

static void command(struct client *c, zk_str text)
{
	zk_str word, first, rest = zk_str_cut(text, ' ', &word);
	uint64_t n = 0, size = 0;

	rest = zk_str_cut(rest, ' ', &first);
	(void)zk_str_u64(first, &n); /* the tests write numbers */
	if (zk_str_eq(word, ZK_STR("!cut"))) {
		zk_wsd_abort(ZK_TAKE(c->wsd));
	} else if (zk_str_eq(word, ZK_STR("!close"))) {
		zk_wsd_close(c->wsd, (unsigned)n, rest);
	} else {
		(void)zk_str_u64(rest, &size);
		c->left = n;
		c->size = size;
		burst(c);
	}
}

static void on_message(void *ctx, zk_str message, bool binary)
{
	struct client *c = ctx;

	if (!binary && zk_str_starts(message, ZK_STR("!")))
		command(c, message);
	else
		(void)zk_wsd_send(c->wsd, message, binary); /* it is closing */
}

static void on_end(void *ctx)
{
	struct client *c = ctx;

	c->wsd = NULL;
	printf("end %u\n", c->nth);
	(void)fflush(stdout);
}

static enum zk_httpd_next on_ws(void *ctx, struct zk_httpd_req *r)
{
	struct zk_wsd_refusal no;
	struct zk_error err;
	struct client *c = &clients[n_clients % CLIENTS];

	(void)ctx;
	if (!zk_wsd_wanted(r, &no)) {
		zk_httpd_reply(r, no.status, no.headers, zk_str_of(no.why));
		return ZK_HTTPD_DONE;
	}
	*c = (struct client){ .nth = n_clients++ };
	conf.ctx = c;
	if (zk_wsd_accept(r, &conf, &c->wsd, &err) < 0)
		zk_httpd_reply(r, 500, ZK_STR_NULL, zk_str_of(err.msg));
	return ZK_HTTPD_DONE;
}

static const struct zk_route routes[] = {
	{ .method = "GET", .pattern = "/ws", .on_head = on_ws },
	{ .method = "POST", .pattern = "/ws", .on_head = on_ws },
};

static uint64_t number(const char *text)
{
	uint64_t n = 0;

	(void)zk_str_u64(zk_str_of(text), &n); /* the tests write numbers */
	return n;
}

static void on_term(uv_signal_t *h, int n)
{
	(void)n;
	for (unsigned i = 0; i < CLIENTS; i++)
		zk_wsd_abort(ZK_TAKE(clients[i].wsd));
	zk_httpd_free(httpd);
	uv_close((uv_handle_t *)h, NULL);
}

int main(int argc, char **argv)
{
	struct zk_httpd_conf http;
	struct zk_error err = { 0 };
	uv_signal_t term;

	if (argc != 5)
		return 64;
	(void)signal(SIGPIPE, SIG_IGN);
	zk_httpd_conf_init(&http);
	http.routes = routes;
	http.n_routes = ZK_ARRAY_LEN(routes);
	loop = zk_loop_new(&err);
	if (!loop || zk_httpd_new(loop, &http, &httpd, &err) < 0 ||
	    zk_httpd_listen(httpd, zk_str_of(argv[1]), &err) < 0) {
		fprintf(stderr, "ws_server: %s\n", err.msg);
		return 1;
	}
	conf = (struct zk_wsd_conf){ .loop = loop,
		                     .max_message = (size_t)number(argv[2]),
		                     .max_unsent = 1u << 20,
		                     .ping_after_ms = (int64_t)number(argv[3]),
		                     .pong_within_ms = (int64_t)number(argv[4]),
		                     .on_message = on_message,
		                     .on_sent = on_sent,
		                     .on_end = on_end };
	(void)uv_signal_init(zk_loop_uv(loop), &term);
	(void)uv_signal_start(&term, on_term, SIGTERM);
	printf("%s\n", zk_httpd_address(httpd, 0));
	(void)fflush(stdout);
	zk_loop_run(loop);
	zk_loop_free(loop);
	return 0;
}
