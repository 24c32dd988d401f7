/* Parts of net/httpd that need no sockets: the route table, connections per address. What is on
 * the wire is in tests/peer/test_httpd.py. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "net/httpd_int.h"
#include "rt/loop.h"

#include "base/ban.h"

static void nothing(void *ctx, struct zk_httpd_req *r)
{
	(void)ctx;
	(void)r;
}

#define R(m, p)                                                   \
	{                                                         \
		.method = (m), .pattern = (p), .on_body = nothing \
	}

static const struct zk_route routes[] = {
	R("GET", "/"),
	R("POST", "/api/events/batch"),
	R("GET", "/api/events/:id"),
	R("POST", "/api/events"),
	R("POST", "/api/events/:id/replay"),
	R("GET", "/api/:what/batch"),
	R("GET", "/:a/:b/:c/:d"),
	R("PUT", "/api/events"),
	R("GET", "/a/b/c/d/e/f/g/h"),
};

static const struct {
	const char *method, *path, *pattern, *params[ZK_HTTPD_MAX_PARAMS], *allow;
} cases[] = {
	{ "GET", "/", "/", { NULL }, NULL },
	{ "POST", "/", NULL, { NULL }, "GET" },
	{ "POST", "/api/events", "/api/events", { NULL }, NULL },
	{ "PUT", "/api/events/", "/api/events", { NULL }, NULL },
	{ "GET", "/api/events", NULL, { NULL }, "POST, PUT" },
	{ "POST", "/api/events/batch", "/api/events/batch", { NULL }, NULL },
	/* The literal decides, although GET /api/events/:id would fit. */
	{ "GET", "/api/events/batch", NULL, { NULL }, "POST" },
	{ "GET", "/api/events/x", "/api/events/:id", { "x" }, NULL },
	{ "GET", "/api/other/batch", "/api/:what/batch", { "other" }, NULL },
	/* An earlier literal is more specific than a later one. */
	{ "GET", "/api/events/batch/", NULL, { NULL }, "POST" },
	{ "POST",
	  "/api/events/batch/replay",
	  "/api/events/:id/replay",
	  { "batch" },
	  NULL },
	{ "GET", "/api/events/batch/replay", NULL, { NULL }, "POST" },
	{ "GET", "/1/2/3/4", "/:a/:b/:c/:d", { "1", "2", "3", "4" }, NULL },
	{ "GET",
	  "/%31/%2e/%2E%2e%2e/4%20",
	  "/:a/:b/:c/:d",
	  { "1", ".", "...", "4 " },
	  NULL },
	{ "GET", "/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/g/h", { NULL }, NULL },
	{ "GET", "/a/b/c/d/e/f/g/h/", "/a/b/c/d/e/f/g/h", { NULL }, NULL },
	{ "GET", "/a/b/c/d/e/f/g/h/i", NULL, { NULL }, NULL },
	{ "GET", "/1//3/4", NULL, { NULL }, NULL },
	{ "GET", "/1/2/3", NULL, { NULL }, NULL },
	{ "GET", "/1/../3/4", NULL, { NULL }, NULL },
	{ "GET", "/1/%2e./3/4", NULL, { NULL }, NULL },
	{ "GET", "/1/2%2f/3/4", NULL, { NULL }, NULL },
	{ "GET", "/1/2%00/3/4", NULL, { NULL }, NULL },
	{ "GET", "/1/2%c3/3/4", NULL, { NULL }, NULL },
	{ "GET", "/1/2%/3/4", NULL, { NULL }, NULL },
	{ "GET", "", NULL, { NULL }, NULL },
	{ "GET", "*", NULL, { NULL }, NULL },
	{ "GET", "a:80", NULL, { NULL }, NULL },
};

Test(httpd, routes)
{
	struct zk_httpd_router *r = zk_httpd_router_new(routes, ZK_ARRAY_LEN(routes));

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_httpd_found found = { .route = NULL };
		struct zk_buf decoded;

		zk_buf_init(&decoded, 1000);
		enum zk_httpd_match m = zk_httpd_router_match(r, zk_str_of(cases[i].path),
		                                              zk_str_of(cases[i].method),
		                                              &decoded, &found);
		cr_expect_eq(m,
		             cases[i].pattern ? ZK_HTTPD_FOUND
		             : cases[i].allow ? ZK_HTTPD_NO_METHOD
		                              : ZK_HTTPD_NO_PATH,
		             "%s %s: %d", cases[i].method, cases[i].path, m);
		if (cases[i].pattern)
			cr_expect_str_eq(found.route->pattern, cases[i].pattern, "%s",
			                 cases[i].path);
		if (m == ZK_HTTPD_NO_METHOD)
			cr_expect_str_eq(found.allow, cases[i].allow, "%s",
			                 cases[i].path);
		for (unsigned k = 0; k < ZK_HTTPD_MAX_PARAMS && cases[i].params[k]; k++)
			cr_expect(
			        zk_str_eq(found.params[k], zk_str_of(cases[i].params[k])),
			        "%s: %u", cases[i].path, k);
		zk_buf_done(&decoded);
	}
	cr_expect_str_eq(zk_httpd_router_methods(r), "GET, POST, PUT");
	zk_httpd_router_free(r);
}

Test(httpd, no_routes)
{
	struct zk_httpd_router *r = zk_httpd_router_new(NULL, 0);
	struct zk_httpd_found found = { .route = NULL };
	struct zk_buf decoded;

	zk_buf_init(&decoded, 100);
	cr_expect_eq(
	        zk_httpd_router_match(r, ZK_STR("/"), ZK_STR("GET"), &decoded, &found),
	        ZK_HTTPD_NO_PATH);
	cr_expect_str_eq(zk_httpd_router_methods(r), "");
	zk_httpd_router_free(r);
}

/* One address may have three connections; loopback any number. */
Test(httpd, connections_per_client)
{
	struct zk_error err = { .code = ZK_E_NONE };
	struct zk_loop *l = zk_loop_new(&err);
	struct zk_httpd_conf conf;
	struct zk_httpd *s = NULL;
	struct zk_httpd_conn c[8] = { { .s = NULL } };

	zk_httpd_conf_init(&conf);
	conf.max_connections_per_client = 3;
	cr_assert_eq(zk_httpd_new(l, &conf, &s, &err), 0);
	for (unsigned i = 0; i < 8; i++) {
		c[i].s = s;
		c[i].ip[15] = i < 4 ? 1 : 2;
		c[i].loopback = i == 7;
	}
	for (unsigned i = 0; i < 8; i++)
		cr_expect_eq(zk_httpd_peer_join(&c[i]), i != 3, "%u", i);
	cr_expect_eq(s->peers.n, 2);
	zk_httpd_peer_leave(&c[0]);
	cr_expect(zk_httpd_peer_join(&c[3]), "there is room again");
	for (unsigned i = 0; i < 8; i++)
		zk_httpd_peer_leave(&c[i]);
	cr_expect_eq(s->peers.n, 0, "addresses without connections are forgotten");
	zk_httpd_free(s);
	zk_loop_free(l);
}

Test(httpd, started_and_freed_without_a_turn)
{
	struct zk_error err = { .code = ZK_E_NONE };
	struct zk_loop *l = zk_loop_new(&err);
	struct zk_httpd_conf conf;
	struct zk_httpd *s = NULL;

	zk_httpd_conf_init(&conf);
	conf.routes = routes;
	conf.n_routes = ZK_ARRAY_LEN(routes);
	cr_assert_eq(zk_httpd_new(l, &conf, &s, &err), 0);
	cr_assert_eq(zk_httpd_listen(s, ZK_STR("127.0.0.1:0"), &err), 0, "%s", err.msg);
	cr_expect_not_null(zk_httpd_address(s, 0));
	cr_expect_null(zk_httpd_address(s, 1));
	zk_httpd_free(s);
	zk_httpd_free(NULL);
	zk_loop_free(l);
}
