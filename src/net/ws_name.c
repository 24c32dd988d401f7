/* WebSocket client: the URL, the proxy in front of it, and names into addresses.
 * Layer: net. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http_priv.h"
#include "net/proxy_env.h"
#include "net/resolve.h"
#include "net/ws_int.h"

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

char *zk_ws_proxy(const struct zk_ws *ws, char **auth)
{
	const char *conf = ws->lib->net->conf.proxy;
	zk_str s, user;
	char *host;

	if (conf && !conf[0])
		return NULL;
	s = zk_str_of(conf ? conf
	                   : zk_proxy_env(ws->tls ? ZK_PROXY_HTTPS : ZK_PROXY_HTTP,
	                                  zk_str_of(ws->to.host)));
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
	struct zk_resolve *resolve;
	zk_ws_name_fn fn;
	void *ctx;
};

static void on_name(void *ctx, const struct zk_addr *found, size_t n, const char *why)
{
	struct zk_ws_lookup *l = ctx;
	char **list = zk_alloc_array(ADDRESSES_MAX, sizeof(*list));

	n = ZK_MIN(n, (size_t)ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++) {
		char text[ZK_ADDR_TEXT];

		zk_addr_text(&found[i], text);
		list[i] = zk_strdup(text);
	}
	l->fn(l->ctx, list, n, why);
	free(l);
}

struct zk_ws_lookup *zk_ws_lookup(struct zk_net *net, const char *host, int port,
                                  zk_ws_name_fn fn, void *ctx)
{
	struct zk_ws_lookup *l = zk_new0(struct zk_ws_lookup);

	l->fn = fn;
	l->ctx = ctx;
	l->resolve = zk_resolve_start(net->loop, host, port, on_name, l);
	return l;
}

void zk_ws_lookup_cancel(struct zk_ws_lookup *l)
{
	if (!l)
		return;
	zk_resolve_cancel(l->resolve);
	free(l);
}
