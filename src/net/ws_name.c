/* WebSocket client: the URL, the proxy in front of it, and names into addresses.
 * Layer: net. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "net/http_priv.h"
#include "net/ws_int.h"
#include "rt/loop.h"

#include "base/ban.h"

#define URL_MAX       65536
#define ADDRESSES_MAX 8

/* ---- the URL ---- */

/* "ws" and "wss" are "http" and "https" to the parser. */
static bool as_http(zk_str url, struct zk_buf *b)
{
	static const struct {
		zk_str from, to;
	} schemes[] = {
		{ ZK_STR_INIT("wss://"), ZK_STR_INIT("https://") },
		{ ZK_STR_INIT("ws://"), ZK_STR_INIT("http://") },
		{ ZK_STR_INIT("https://"), ZK_STR_INIT("https://") },
		{ ZK_STR_INIT("http://"), ZK_STR_INIT("http://") },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(schemes); i++) {
		if (!zk_str_starts_nocase(url, schemes[i].from))
			continue;
		zk_buf_add(b, schemes[i].to);
		zk_buf_add(b, zk_str_from(url, schemes[i].from.n));
		return true;
	}
	return false;
}

static bool is_visible(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static void put_host(struct zk_buf *b, const struct zk_url *u)
{
	bool v6 = strchr(u->host, ':') != NULL;
	int usual = strcmp(u->scheme, "https") == 0 ? 443 : 80;

	zk_buf_printf(b, "%s%s%s", v6 ? "[" : "", u->host, v6 ? "]" : "");
	if (u->port != usual)
		zk_buf_printf(b, ":%d", u->port);
}

int zk_ws_set_url(struct zk_ws *ws, const char *url, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	zk_str whole = zk_str_of(url), base, query, fragment;
	struct zk_url to = { 0 };

	zk_buf_init(&b, URL_MAX);
	if (whole.n > URL_MAX / 2)
		return zk_fail(err, ZK_E_URL, "the URL is longer than %d bytes",
		               URL_MAX / 2);
	fragment = zk_str_cut(whole, '#', &whole);
	query = zk_str_cut(whole, '?', &base);
	if (fragment.p || !is_visible(query))
		return zk_fail(err, ZK_E_URL, "the URL of a WebSocket has %s",
		               fragment.p ? "no fragment" : "no such characters");
	if (!as_http(base, &b))
		return zk_fail(err, ZK_E_URL, "only ws and wss URLs are WebSockets");
	if (zk_url_parse(zk_buf_str(&b), &to, err) < 0)
		return -(int)err->code;
	zk_url_done(&ws->to);
	ws->to = to;
	ws->tls = strcmp(to.scheme, "https") == 0;
	zk_buf_clear(&b);
	put_host(&b, &to);
	free(ws->host_header);
	ws->host_header = zk_buf_take(&b);
	zk_buf_cstr(&b, to.path[0] ? to.path : "/");
	if (query.p) {
		zk_buf_char(&b, '?');
		zk_buf_add(&b, query);
	}
	free(ws->target);
	ws->target = zk_buf_take(&b);
	return 0;
}

/* ---- the proxy ---- */

/* Whether a rule of no_proxy ("example.com", ".example.com", "*") fits. */
static bool rule_fits(zk_str rule, zk_str host)
{
	rule = zk_str_trim(rule);
	if (rule.n && rule.p[0] == '.')
		rule = zk_str_from(rule, 1);
	if (!rule.n || rule.n > host.n)
		return false;
	if (rule.n == 1 && rule.p[0] == '*')
		return true;
	if (!zk_str_eq_nocase(zk_str_from(host, host.n - rule.n), rule))
		return false;
	return rule.n == host.n || host.p[host.n - rule.n - 1] == '.';
}

static const char *env2(const char *lower, const char *upper)
{
	const char *v = getenv(lower);

	if ((!v || !v[0]) && upper)
		v = getenv(upper);
	return v && v[0] ? v : NULL;
}

/* As libcurl reads the environment (http_proxy has no form in capitals). */
static const char *env_proxy(const struct zk_ws *ws)
{
	zk_str host = zk_str_of(ws->to.host),
	       rules = zk_str_of(env2("no_proxy", "NO_PROXY"));
	const char *p =
	        ws->tls ? env2("https_proxy", "HTTPS_PROXY") : env2("http_proxy", NULL);

	while (rules.n) {
		zk_str rule;

		rules = zk_str_cut(rules, ',', &rule);
		if (rule_fits(rule, host))
			return NULL;
	}
	return p ? p : env2("all_proxy", "ALL_PROXY");
}

char *zk_ws_proxy(const struct zk_ws *ws, char **auth)
{
	const char *conf = ws->lib->net->conf.proxy;
	zk_str s, user;
	char *host;

	if (conf && !conf[0])
		return NULL;
	s = zk_str_of(conf ? conf : env_proxy(ws));
	if (!s.n)
		return NULL;
	if (zk_str_starts_nocase(s, ZK_STR("http://")))
		s = zk_str_from(s, 7);
	(void)zk_str_cut(s, '/', &s);
	user = ZK_STR_NULL;
	for (size_t i = s.n; i-- > 0;) {
		if (s.p[i] != '@')
			continue;
		user = zk_str_n(s.p, i + 1);
		s = zk_str_from(s, i + 1);
		break;
	}
	*auth = zk_strndup(user.n ? user.p : "", user.n);
	host = zk_strndup(s.p ? s.p : "", s.n);
	return host;
}

/* ---- names ---- */

struct zk_ws_lookup {
	uv_getaddrinfo_t req;
	struct zk_loop *loop;
	zk_ws_name_fn fn; /* NULL = cancelled */
	void *ctx;
};

static size_t collect(const struct addrinfo *res, char **list)
{
	size_t n = 0;

	for (const struct addrinfo *a = res; a && n < ADDRESSES_MAX; a = a->ai_next) {
		char text[NI_MAXHOST];

		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
		                NI_NUMERICHOST) == 0)
			list[n++] = zk_strdup(text);
	}
	return n;
}

static void on_name(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct zk_ws_lookup *l = req->data;
	char **list = zk_alloc_array(ADDRESSES_MAX, sizeof(*list));
	size_t n = collect(status == 0 ? res : NULL, list);

	uv_freeaddrinfo(res);
	zk_loop_release(l->loop);
	if (l->fn) {
		l->fn(l->ctx, list, n,
		      status ? uv_strerror(status) : "the name has no address");
	} else {
		for (size_t i = 0; i < n; i++)
			free(list[i]);
		free(list);
	}
	free(l);
}

struct zk_ws_lookup *zk_ws_lookup(struct zk_net *net, const char *host, int port,
                                  zk_ws_name_fn fn, void *ctx, struct zk_error *err)
{
	struct zk_ws_lookup *l = zk_new0(struct zk_ws_lookup);
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		                  .ai_socktype = SOCK_STREAM,
		                  .ai_flags = AI_ADDRCONFIG };
	char service[24];
	int r;

	service[zk_format_u64((uint64_t)port, service)] = '\0';
	l->req.data = l;
	l->loop = net->loop;
	l->fn = fn;
	l->ctx = ctx;
	/* An address is taken as it is, whatever interfaces there are. */
	if (strspn(host, "0123456789.") == strlen(host) || strchr(host, ':'))
		hints.ai_flags = AI_NUMERICHOST;
	r = uv_getaddrinfo(zk_loop_uv(net->loop), &l->req, on_name, host, service,
	                   &hints);
	if (r < 0) {
		free(l);
		(void)zk_fail(err, ZK_E_CONNECT, "cannot resolve '%s': %s", host,
		              uv_strerror(r));
		return NULL;
	}
	zk_loop_hold(net->loop);
	return l;
}

void zk_ws_lookup_cancel(struct zk_ws_lookup *l)
{
	if (!l)
		return;
	l->fn = NULL;
	ZK_IGNORE(uv_cancel((uv_req_t *)&l->req) <
	          0); /* it runs already: on_name comes */
}
