/* The receiver of webhooks.
 * Layer: zip. */
#include "zip/hookd.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "net/httpd.h"
#include "rt/loop.h"
#include "zip/delivery.h"
#include "zip/hook_store.h"
#include "zip/recent.h"
#define ZK_LOGGER "webhook"
#include "base/log.h"

#include "base/ban.h"

#define QUEUE      1000
#define HEAD_BYTES 32768
#define HEAD_MS    10000
#define BODY_MS    30000
#define TEXT_MAX   65536

static const char json_type[] = "Content-Type: application/json\r\n";

struct zk_zip_hookd {
	struct zk_loop *loop;
	struct zk_httpd *httpd;
	struct zk_zip_hookd_conf conf; /* its texts are ours */
	struct zk_route routes[2];
	struct zk_hmac_key key;
	struct zk_zip_recent *seen; /* without a store */
	size_t open, incoming;      /* events handed on; events being written */
	struct zk_zip_hookd_stats stats;
};

/* One delivery between its body and its answer. */
struct intake {
	struct zk_zip_hookd *h;
	struct zk_httpd_req *req;
	struct zk_zip_hook_row *rows;
	struct zk_zip_event *events; /* slices of `body` */
	size_t n, room;
	char *body;
	size_t body_n;
	struct zk_buf texts; /* arena of decoded ids and types */
};

static void intake_free(struct intake *in)
{
	for (size_t i = 0; i < in->n; i++) {
		free((char *)in->rows[i].id.p);
		free((char *)in->rows[i].type.p);
	}
	zk_buf_done(&in->texts);
	free(in->rows);
	free(in->events);
	free(in->body);
	free(in);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void answer(struct zk_httpd_req *req, int status, const char *headers, zk_str body)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 4096);
	zk_buf_cstr(&b, json_type);
	zk_buf_cstr(&b, headers);
	zk_httpd_reply(req, status, zk_buf_str(&b), body);
}

static void refuse(struct zk_zip_hookd *h, struct zk_httpd_req *req, int status,
                   const char *why)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	h->stats.refused++;
	zk_buf_init(&b, 4096);
	zk_buf_lit(&b, "{\"error\":");
	zk_buf_json_str(&b, zk_str_of(why));
	zk_buf_char(&b, '}');
	zk_debug("delivery refused", "status=%d why=%s client=%s", status, why,
	         zk_httpd_client(req));
	answer(req, status, status == 503 ? "Retry-After: 1\r\n" : "", zk_buf_str(&b));
}

static void accept_all(struct intake *in, size_t fresh)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 256);
	zk_buf_printf(&b, "{\"success\":true,\"events\":%zu}", fresh);
	answer(in->req, 200, "", zk_buf_str(&b));
}

/* ---- handing on ---------------------------------------------------------------------------- */

static zk_str keep(char **at, zk_str s)
{
	char *p = *at;

	if (!s.n)
		return ZK_STR_NULL;
	memcpy(p, s.p, s.n);
	*at += s.n;
	return zk_str_n(p, s.n);
}

/* Text of a field, decoded into `room`. */
static zk_str field(const struct zk_jval *v, struct zk_buf *room)
{
	return zk_zip_event_text(v, room);
}

static void hand_on(struct zk_zip_hookd *h, int64_t seq, const struct zk_zip_event *src)
{
	struct zk_buf rooms[5];
	const struct zk_jval *vals[5] = { &src->id, &src->type, &src->workflow,
		                          &src->node, &src->session };
	zk_str texts[5];
	size_t user = (h->conf.user_bytes + 15) & ~(size_t)15, n = src->json.n;
	struct zk_zip_hook_event *ev;
	char *at;

	for (size_t i = 0; i < ZK_ARRAY_LEN(vals); i++) {
		zk_buf_init(&rooms[i], TEXT_MAX);
		texts[i] = field(vals[i], &rooms[i]);
		n += texts[i].n;
	}
	ev = zk_alloc(sizeof(*ev) + user + n);
	memset(ev, 0, sizeof(*ev) + user);
	at = ev->user + user;
	ev->seq = seq;
	ev->json = keep(&at, src->json);
	ev->id = keep(&at, texts[0]);
	ev->type = keep(&at, texts[1]);
	ev->workflow = keep(&at, texts[2]);
	ev->node = keep(&at, texts[3]);
	ev->session = keep(&at, texts[4]);
	for (size_t i = 0; i < ZK_ARRAY_LEN(rooms); i++)
		zk_buf_done(&rooms[i]);
	h->open++;
	h->stats.events++;
	h->conf.on_event(h->conf.ctx, ev);
}

void zk_zip_hookd_again(struct zk_zip_hookd *h, int64_t seq, zk_str json)
{
	struct zk_zip_event ev;

	if (zk_zip_event_read(json, &ev))
		hand_on(h, seq, &ev);
}

void zk_zip_hookd_finish(struct zk_zip_hookd *h, struct zk_zip_hook_event *ev)
{
	h->open--;
	free(ev);
}

/* Answers, then hands on what is new. */
static void settle(struct intake *in)
{
	struct zk_zip_hookd *h = in->h;
	size_t fresh = 0;

	for (size_t i = 0; i < in->n; i++)
		fresh += in->rows[i].seq != 0;
	h->stats.duplicates += in->n - fresh;
	accept_all(in, fresh);
	if (fresh && h->conf.on_delivery)
		h->conf.on_delivery(h->conf.ctx, zk_str_n(in->body, in->body_n));
	for (size_t i = 0; i < in->n; i++)
		if (in->rows[i].seq)
			hand_on(h, h->conf.store ? in->rows[i].seq : 0, &in->events[i]);
	intake_free(in);
}

static void on_stored(void *ctx, struct zk_zip_hook_row *rows, size_t n,
                      const struct zk_error *err)
{
	struct intake *in = ctx;

	(void)rows;
	in->h->incoming -= n;
	if (!err) {
		settle(in);
		return;
	}
	zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "the store refuses events", err);
	refuse(in->h, in->req, 503, "the store is not available");
	intake_free(in);
}

/* ---- intake -------------------------------------------------------------------------------- */

static const char *not_allowed(const struct zk_zip_hookd *h, struct zk_httpd_req *req)
{
	if (h->conf.check_name) {
		zk_str got = zk_httpd_header(req, zk_str_of(h->conf.check_name));
		zk_str want = zk_str_of(h->conf.check_value);

		if (got.n != want.n || !zk_equal_ct(got.p, want.p, want.n))
			return "the header that was agreed on is missing or wrong";
	}
	if (h->conf.secret.n &&
	    !zk_zip_signature_ok(&h->key,
	                         zk_httpd_header(req, ZK_STR("X-Zeal-Signature")),
	                         zk_httpd_body(req)))
		return "the signature is missing or wrong";
	return NULL;
}

static zk_str copy_text(const struct zk_jval *v, struct zk_buf *room)
{
	zk_str s = zk_zip_event_text(v, room);

	return s.n ? zk_str_n(zk_strndup(s.p, s.n), s.n) : ZK_STR_NULL;
}

static void add_event(struct intake *in, const struct zk_zip_event *ev)
{
	struct zk_zip_hook_row *row;

	if (in->n == in->room) {
		in->room = in->room ? in->room * 2 : 16;
		in->rows = zk_realloc(in->rows, in->room * sizeof(*in->rows));
		in->events = zk_realloc(in->events, in->room * sizeof(*in->events));
	}
	row = &in->rows[in->n];
	in->events[in->n++] = *ev;
	*row = (struct zk_zip_hook_row){ .payload = ev->json,
		                         .received_us = zk_wall_us() };
	row->id = copy_text(&ev->id, &in->texts);
	row->type = copy_text(&ev->type, &in->texts);
}

static bool is_wanted(struct zk_zip_hookd *h, struct intake *in,
                      const struct zk_zip_event *ev)
{
	zk_str type = zk_zip_event_text(&ev->type, &in->texts);

	return !h->conf.wanted || h->conf.wanted(h->conf.ctx, type, ev->json);
}

/* Without a store the memory says what is new. */
static void tell_apart(struct intake *in)
{
	int64_t now = zk_loop_now_ms(in->h->loop);

	for (size_t i = 0; i < in->n; i++) {
		struct zk_zip_hook_row *row = &in->rows[i];

		row->seq = !row->id.n || zk_zip_recent_add(in->h->seen, row->id, now);
	}
}

static void take(struct zk_zip_hookd *h, struct intake *in)
{
	if (h->open + h->incoming + in->n > h->conf.queue && h->open + h->incoming) {
		h->stats.busy++;
		refuse(h, in->req, 503, "too many events wait");
		intake_free(in);
		return;
	}
	if (!h->conf.store || !in->n) {
		tell_apart(in);
		settle(in);
		return;
	}
	h->incoming += in->n;
	if (zk_zip_hook_store_put(h->conf.store, in->rows, in->n, on_stored, in))
		return;
	h->incoming -= in->n;
	h->stats.busy++;
	refuse(h, in->req, 503, "too many events wait");
	intake_free(in);
}

static void on_body(void *ctx, struct zk_httpd_req *req)
{
	struct zk_zip_hookd *h = ctx;
	const char *why = not_allowed(h, req);
	zk_str body = zk_httpd_body(req);
	struct zk_zip_delivery d;
	struct zk_zip_event ev;
	struct zk_error err = { 0 };
	struct intake *in;

	if (why) {
		refuse(h, req, 401, why);
		return;
	}
	in = zk_new0(struct intake);
	*in = (struct intake){ .h = h, .req = req, .body_n = body.n };
	zk_buf_init(&in->texts, TEXT_MAX);
	in->body = zk_strndup(body.n ? body.p : "", body.n);
	if (zk_zip_delivery_open(zk_str_n(in->body, in->body_n), &d, &err) < 0) {
		refuse(h, req, 400, err.msg);
		intake_free(in);
		return;
	}
	h->stats.deliveries++;
	while (zk_zip_delivery_next(&d, &ev)) {
		if (is_wanted(h, in, &ev))
			add_event(in, &ev);
		else
			h->stats.unwanted++;
	}
	if (d.skipped)
		zk_warn("elements of a delivery are no events", "count=%zu", d.skipped);
	take(h, in);
}

static enum zk_httpd_next on_health(void *ctx, struct zk_httpd_req *req)
{
	(void)ctx;
	answer(req, 200, "", ZK_STR("{\"status\":\"ok\"}"));
	return ZK_HTTPD_DONE;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void copy_conf(struct zk_zip_hookd *h, const struct zk_zip_hookd_conf *conf)
{
	h->conf = *conf;
	h->conf.path = zk_strdup(conf->path);
	h->conf.queue = conf->queue ? conf->queue : QUEUE;
	if (conf->check_name) {
		h->conf.check_name = zk_strdup(conf->check_name);
		h->conf.check_value = zk_strdup(conf->check_value);
	}
	if (conf->secret.n)
		zk_hmac_key_init(&h->key, conf->secret);
}

int zk_zip_hookd_new(struct zk_loop *loop, const struct zk_zip_hookd_conf *conf,
                     struct zk_zip_hookd **ret, struct zk_error *err)
{
	struct zk_zip_hookd *h = zk_new0(struct zk_zip_hookd);
	struct zk_httpd_conf http;

	h->loop = loop;
	copy_conf(h, conf);
	if (!conf->store)
		h->seen = zk_zip_recent_new(0, 0);
	h->routes[0] = (struct zk_route){ .method = "POST",
		                          .pattern = h->conf.path,
		                          .on_body = on_body };
	h->routes[1] = (struct zk_route){ .method = "GET",
		                          .pattern = "/healthz",
		                          .on_head = on_health };
	zk_httpd_conf_init(&http);
	http.ctx = h;
	http.routes = h->routes;
	http.n_routes = ZK_ARRAY_LEN(h->routes);
	http.max_body = ZK_ZIP_DELIVERY_MAX;
	http.head.max_head = HEAD_BYTES;
	http.head_timeout_ms = HEAD_MS;
	http.body_timeout_ms = BODY_MS;
	if (zk_httpd_new(loop, &http, &h->httpd, err) < 0) {
		zk_zip_hookd_free(h);
		return -(int)err->code;
	}
	*ret = h;
	return 0;
}

int zk_zip_hookd_listen(struct zk_zip_hookd *h, const char *addr, struct zk_error *err)
{
	return zk_httpd_listen_at(h->httpd, "api", &addr, 1, err);
}

const char *zk_zip_hookd_address(const struct zk_zip_hookd *h, size_t i)
{
	return zk_httpd_address(h->httpd, i);
}

void zk_zip_hookd_get_stats(const struct zk_zip_hookd *h, struct zk_zip_hookd_stats *ret)
{
	*ret = h->stats;
}

void zk_zip_hookd_drain(struct zk_zip_hookd *h, void (*fn)(void *ctx), void *ctx)
{
	zk_httpd_drain(h->httpd, fn, ctx);
}

void zk_zip_hookd_free(struct zk_zip_hookd *h)
{
	if (!h)
		return;
	zk_httpd_free(h->httpd);
	zk_zip_recent_free(h->seen);
	zk_hmac_key_done(&h->key);
	free((char *)h->conf.path);
	free((char *)h->conf.check_name);
	zk_secret_free((char *)h->conf.check_value);
	free(h);
}
