/* Which kind of server this is, and whether all parts of it work.
 * Layer: zip. specs/zeal-zip.md §10, §11. */
#include "zip/probe.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "net/send.h"
#include "net/url.h"

#include "base/ban.h"

#define ANSWER_MAX  (1u << 20)
#define SOCKET_MS   10000
#define SOCKET_PORT 3001

static int get(struct zk_zip *z, const char *route, const char *path, struct zk_buf *body,
               struct zk_error *err)
{
	struct zk_zip_req rq = { .route = route, .path = path, .once = true };

	zk_buf_clear(body);
	return zk_zip_call(z, &rq, body, NULL, err);
}

/* Tells the builds apart by what they make of a question that no client asks: nothing is changed
 * and nothing is left behind. */
int zk_zip_detect(struct zk_zip *z, enum zk_zip_server *ret, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	enum zk_zip_server kind = ZK_ZIP_IDEAL;
	struct zk_jval v;
	int r;

	zk_buf_init(&body, ANSWER_MAX);
	r = get(z, "/templates/{ns}", "/templates/zk-probe", &body, err);
	if (r == -ZK_E_SERVER_UNFIT) {
		*ret = ZK_ZIP_PATH_BLIND;
		zk_zip_set_server(z, *ret);
		return 0;
	}
	if (r < 0)
		return r;
	r = get(z, "/categories", NULL, &body, err);
	if (r < 0 && r != -ZK_E_NO_ENDPOINT)
		return r;
	if (r == -ZK_E_NO_ENDPOINT) {
		kind = ZK_ZIP_OLDER;
	} else {
		/* A limit that is no number is ignored and shown as null [T 26]. */
		r = get(z, "/orchestrator/workflows",
		        "/orchestrator/workflows?limit=zk&offset=0", &body, err);
		if (r == 0 && zk_jscan_get(zk_buf_str(&body), ZK_STR("limit"), &v) &&
		    v.type == ZK_J_NULL)
			kind = ZK_ZIP_AS_BUILT;
		else if (r < 0 && r != -ZK_E_INVALID)
			return r;
	}
	*ret = kind;
	zk_zip_set_server(z, kind);
	return 0;
}

/* ---- the socket server, over long-polling ---- */

/* The port that the server names, as a text or a number; 3001 otherwise. */
static unsigned socket_port(struct zk_zip *z)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error ignored = { 0 };
	struct zk_jval v;
	uint64_t n = 0;

	zk_buf_init(&body, ANSWER_MAX);
	if (get(z, "/websocket", NULL, &body, &ignored) < 0 ||
	    !zk_jscan_get(zk_buf_str(&body), ZK_STR("port"), &v))
		return SOCKET_PORT;
	if (v.type == ZK_J_STRING && !zk_jstr_plain(v.raw, &v.raw))
		return SOCKET_PORT;
	return zk_jnum_u64(v.raw, &n) && n > 0 && n < 65536 ? (unsigned)n : SOCKET_PORT;
}

/* Where it listens: what was set, or a port of the server's host. */
int zk_zip_socket_base(struct zk_zip *z, const char *ws_url, struct zk_buf *b,
                       struct zk_error *err)
{
	struct zk_url u;

	if (ws_url && ws_url[0]) {
		bool ws = zk_str_starts(zk_str_of(ws_url), ZK_STR("ws"));

		zk_buf_printf(b, "%s%s", ws ? "http" : "", ws_url + (ws ? 2 : 0));
		while (b->n && b->p[b->n - 1] == '/')
			b->n--;
		return 0;
	}
	if (zk_url_parse(zk_str_of(zk_zip_base(z)), &u, err) < 0)
		return -(int)err->code;
	bool ipv6 = strchr(u.host, ':');

	zk_buf_printf(b, "%s://%s%s%s:%u", u.scheme, ipv6 ? "[" : "", u.host,
	              ipv6 ? "]" : "", socket_port(z));
	zk_url_done(&u);
	return 0;
}

static int exchange(struct zk_zip *z, const char *method, const char *url, zk_str body,
                    struct zk_buf *answer, struct zk_error *err)
{
	struct zk_send_conf conf = {
		.http = { .method = method,
		          .url = url,
		          .body = body,
		          .content_type = body.p ? "text/plain;charset=UTF-8" : NULL,
		          .max_body = 65536,
		          .timeout_ms = SOCKET_MS,
		          .flags = ZK_HTTP_IDEMPOTENT,
		          .target = "zeal-socket" },
	};

	zk_buf_clear(answer);
	return zk_send_wait(zk_zip_net(z), &conf, NULL, answer, err);
}

/* Opens a session, says 40, expects 40{"sid"}, closes. */
static int check_socket(struct zk_zip *z, const char *ws_url, struct zk_error *err)
{
	struct zk_buf base ZK_CLEANUP(zk_buf_done);
	struct zk_buf url ZK_CLEANUP(zk_buf_done);
	struct zk_buf answer ZK_CLEANUP(zk_buf_done);
	struct zk_jval sid;
	zk_str text;

	zk_buf_init(&base, 8192);
	zk_buf_init(&url, 16384);
	zk_buf_init(&answer, 65536);
	if (zk_zip_socket_base(z, ws_url, &base, err) < 0)
		return -(int)err->code;
	zk_buf_printf(&url, "%s/zip/events/?EIO=4&transport=polling",
	              zk_buf_cstring(&base));
	if (exchange(z, "GET", zk_buf_cstring(&url), ZK_STR_NULL, &answer, err) < 0)
		return -(int)err->code;
	text = zk_buf_str(&answer);
	if (!text.n || text.p[0] != '0' ||
	    !zk_jscan_get(zk_str_from(text, 1), ZK_STR("sid"), &sid) ||
	    !zk_jstr_plain(sid.raw, &sid.raw))
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the socket server's greeting is not one of Engine.IO");
	zk_zip_query(&url, "sid", sid.raw);
	if (exchange(z, "POST", zk_buf_cstring(&url), ZK_STR("40"), &answer, err) < 0 ||
	    exchange(z, "GET", zk_buf_cstring(&url), ZK_STR_NULL, &answer, err) < 0)
		return -(int)err->code;
	bool joined = zk_str_starts(zk_buf_str(&answer), ZK_STR("40"));

	if (!joined)
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the socket server does not answer the connect packet");
	/* A courtesy: the session would time out by itself. */
	struct zk_error ignored = { 0 };

	ZK_IGNORE(exchange(z, "POST", zk_buf_cstring(&url), ZK_STR("1"), &answer,
	                   &ignored));
	return 0;
}

const char *zk_zip_check_name(enum zk_zip_check check)
{
	static const char *const names[] = { "database", "traces", "paths", "socket" };

	return names[check];
}

int zk_zip_check(struct zk_zip *z, enum zk_zip_check check, const char *ws_url,
                 int64_t *us, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done);
	int64_t start = zk_mono_us();
	int r = 0;

	zk_buf_init(&body, ANSWER_MAX);
	switch (check) {
	case ZK_ZIP_CHECK_DATABASE:
		r = get(z, "/orchestrator/workflows", "/orchestrator/workflows?limit=1",
		        &body, err);
		break;
	case ZK_ZIP_CHECK_TRACES:
		r = get(z, "/executions", "/executions?limit=1", &body, err);
		break;
	case ZK_ZIP_CHECK_PATHS:
		r = get(z, "/templates/{ns}", "/templates/zk-probe", &body, err);
		break;
	case ZK_ZIP_CHECK_SOCKET:
		r = check_socket(z, ws_url, err);
		break;
	case ZK_ZIP_CHECKS:
		break;
	}
	*us = zk_mono_us() - start;
	return r;
}
