/* Long-polling: at most one GET, which the server holds until it has something, and one POST.
 * Layer: zip. specs/zeal-zip.md §7.1. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/b64.h"
#include "codec/eio.h"
#include "net/http.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zip/link.h"

#include "base/ban.h"

#define MAX_IN          ((size_t)64 << 20)
#define MAX_UNSENT      ((size_t)16 << 20)
#define MAX_PAYLOAD     1000000
#define REFUSAL_MAX     4096
#define CLOSE_WITHIN_MS 1000
#define POST_MS         30000
#define FORBIDDEN       4 /* Engine.IO's number for it */

/* A message that waits to be posted. */
struct parcel {
	struct parcel *next;
	size_t n;
	bool binary;
	char bytes[];
};

struct poll_link {
	struct zk_zip_link base;
	struct zk_net *net;
	struct zk_loop *loop;
	char *url; /* with the query, and the sid once it is known */
	char **headers;
	size_t n_headers, max_in, max_unsent, max_payload;
	int64_t connect_timeout_ms;

	struct zk_http *get, *post;
	int status; /* of the GET */
	struct zk_eio_split split;
	struct zk_buf refusal;  /* the text of an answer that is none */
	struct zk_buf decoded;  /* of a binary packet */
	struct zk_timer *again; /* the next GET, never from inside the last */
	struct parcel *first, **last;
	size_t unsent;
	bool has_sid, paused, closing, ended;
	struct zk_timer *deadline; /* of closing */
	void (*quiet)(void *ctx);
	void *quiet_ctx;
};

static void start_post(struct poll_link *l);

/* ---- the end ---- */

static void cancel(struct poll_link *l)
{
	if (l->get)
		zk_http_cancel(ZK_TAKE(l->get));
	if (l->post)
		zk_http_cancel(ZK_TAKE(l->post));
	zk_timer_stop(l->again);
	zk_timer_stop(l->deadline);
}

static void end(struct poll_link *l, const struct zk_error *err)
{
	if (l->ended)
		return;
	l->ended = true;
	cancel(l);
	l->base.hooks.on_end(l->base.hooks.ctx, err);
}

static void end_with(struct poll_link *l, enum zk_code code, bool retryable,
                     const char *text)
{
	struct zk_error err = { 0 };

	ZK_IGNORE(zk_fail(&err, code, "%s", text) < 0); /* its code */
	err.retryable = retryable;
	end(l, &err);
}

static void end_closed(struct poll_link *l)
{
	struct zk_error none = { 0 };

	end(l, &none);
}

/* An answer other than 200: what Engine.IO says about it, or `why`. */
static void end_refused(struct poll_link *l, int status, const struct zk_error *why)
{
	int code = zk_eio_refusal(zk_buf_str(&l->refusal));
	const char *text = zk_eio_refusal_text(code);
	struct zk_error err = why ? *why : (struct zk_error){ 0 };

	if (status == 413) {
		ZK_IGNORE(zk_fail(&err, ZK_E_LIMIT,
		                  "the server refuses packets of this size (HTTP 413)") <
		          0);
	} else if ((text && code != FORBIDDEN) || !err.code) {
		ZK_IGNORE(zk_fail(&err, ZK_E_TRANSFER,
		                  "long-polling was refused (HTTP %d%s%s)", status,
		                  text ? ": " : "", text ? text : "") < 0);
		err.retryable = l->has_sid || status >= 500;
		err.http_status = status;
	}
	end(l, &err);
}

/* ---- reading ---- */

static void on_packet(struct poll_link *l, zk_str packet)
{
	if (!packet.n || packet.p[0] != 'b') {
		l->base.hooks.on_text(l->base.hooks.ctx, packet);
		return;
	}
	zk_buf_clear(&l->decoded);
	if (!zk_b64_decode(zk_str_from(packet, 1), ZK_B64_STD, &l->decoded)) {
		/* The session counts it as what it is: no packet. */
		l->base.hooks.on_text(l->base.hooks.ctx, packet);
		return;
	}
	l->base.hooks.on_binary(l->base.hooks.ctx, zk_buf_str(&l->decoded));
}

static void on_head(void *ctx, int status, struct zk_http *req)
{
	struct poll_link *l = ctx;

	(void)req;
	l->status = status;
}

static bool on_data(void *ctx, zk_str piece)
{
	struct poll_link *l = ctx;
	zk_str packet;

	if (l->status != 200) {
		zk_buf_put(&l->refusal, piece.p,
		           ZK_MIN(piece.n, REFUSAL_MAX - l->refusal.n));
		return true;
	}
	if (l->paused)
		return false;
	while (!l->ended && zk_eio_split_next(&l->split, &piece, &packet))
		on_packet(l, packet);
	return true;
}

static void tell_quiet(struct poll_link *l)
{
	void (*fn)(void *) = l->quiet;

	if (!fn || l->get || l->post)
		return;
	l->quiet = NULL;
	zk_timer_stop(l->again);
	fn(l->quiet_ctx);
}

/* Whether an answer is one to go on with. */
static bool is_answer(struct poll_link *l, const struct zk_http_res *res,
                      const struct zk_error *err)
{
	if (l->ended)
		return false;
	if (err && !res->status)
		end(l, err);
	else if (res->status != 200)
		end_refused(l, res->status, err ? err : res->fault);
	return res->status == 200;
}

static void on_got(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct poll_link *l = ctx;
	zk_str packet;

	l->get = NULL;
	if (!is_answer(l, res, err))
		return;
	if (err) {
		end(l,
		    err); /* it broke off: what looks like its last packet may be half of one */
		return;
	}
	if (zk_eio_split_last(&l->split, &packet))
		on_packet(l, packet);
	if (l->ended)
		return;
	if (zk_eio_split_failed(&l->split)) {
		end_with(l, ZK_E_LIMIT, true, "a packet was too large");
		return;
	}
	if (!l->has_sid) {
		end_with(l, ZK_E_PROTOCOL, true,
		         "the answer to the first request is no "
		         "open packet");
		return;
	}
	if (l->quiet)
		tell_quiet(l);
	else if (!l->paused && !l->closing)
		zk_timer_start(l->again, 0, 0);
}

static void fill_conf(struct poll_link *l, struct zk_http_conf *conf)
{
	conf->url = l->url;
	conf->headers = (const char *const *)l->headers;
	conf->ctx = l;
	conf->connect_timeout_ms = l->connect_timeout_ms;
	conf->target = "zeal-socket";
	conf->flags = ZK_HTTP_ANY_STATUS | ZK_HTTP_1_1;
}

static void start_get(void *ctx)
{
	struct poll_link *l = ctx;
	struct zk_http_conf conf = { .on_head = on_head,
		                     .on_data = on_data,
		                     .timeout_ms = -1 };
	struct zk_error err = { 0 };

	if (l->get || l->ended || l->paused || l->closing || l->quiet)
		return;
	l->status = 0;
	zk_buf_clear(&l->refusal);
	fill_conf(l, &conf);
	if (zk_http_start(l->net, &conf, on_got, &l->get, &err) < 0)
		end(l, &err);
}

/* ---- writing ---- */

static struct parcel *pop(struct poll_link *l)
{
	struct parcel *p = l->first;

	if (!p)
		return NULL;
	l->first = p->next;
	if (!l->first)
		l->last = &l->first;
	l->unsent -= p->n;
	return p;
}

static size_t wire_size(const struct parcel *p)
{
	return p->binary ? 1 + (p->n + 2) / 3 * 4 : p->n;
}

/* As many as fit into what the server takes at once; one in any case. */
static void gather(struct poll_link *l, struct zk_buf *body)
{
	while (l->first &&
	       (!body->n || body->n + 1 + wire_size(l->first) <= l->max_payload)) {
		struct parcel *p = pop(l);

		zk_eio_join(body, zk_str_n(p->bytes, p->n), p->binary);
		free(p);
	}
}

static void on_posted(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	struct poll_link *l = ctx;

	l->post = NULL;
	if (!l->ended && res->status && res->status != 200) {
		zk_buf_clear(&l->refusal);
		zk_buf_put(&l->refusal, res->body.p,
		           ZK_MIN(res->body.n, (size_t)REFUSAL_MAX));
	}
	if (!is_answer(l, res, err))
		return;
	if (l->quiet) {
		tell_quiet(l);
		return;
	}
	if (l->closing && !l->first)
		end_closed(l);
	else
		start_post(l);
}

static void start_post(struct poll_link *l)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_http_conf conf = { .method = "POST",
		                     .content_type = "text/plain;charset=UTF-8",
		                     .max_body = REFUSAL_MAX,
		                     .timeout_ms = POST_MS };
	struct zk_error err = { 0 };

	if (l->post || l->ended || l->quiet || !l->has_sid || !l->first)
		return;
	zk_buf_init_secret(&body, l->max_unsent * 2);
	gather(l, &body);
	conf.body = zk_buf_str(&body);
	fill_conf(l, &conf);
	conf.flags |= ZK_HTTP_TRUNCATE;
	if (zk_http_start(l->net, &conf, on_posted, &l->post, &err) < 0)
		end(l, &err);
}

/* ---- as a link ---- */

static int op_send(struct zk_zip_link *b, zk_str message, bool binary,
                   struct zk_error *err)
{
	struct poll_link *l = (struct poll_link *)b;
	struct parcel *p;

	if (l->ended || l->closing)
		return zk_fail(err, ZK_E_TRANSFER, "the connection is closed");
	if (message.n > l->max_unsent - l->unsent)
		return zk_fail(err, ZK_E_BUSY, "more than %zu bytes wait to be sent",
		               l->max_unsent);
	p = zk_alloc(sizeof(*p) + message.n);
	*p = (struct parcel){ .n = message.n, .binary = binary };
	if (message.n)
		memcpy(p->bytes, message.p, message.n);
	*l->last = p;
	l->last = &p->next;
	l->unsent += p->n;
	start_post(l);
	return 0;
}

static void op_pause(struct zk_zip_link *b, bool pause)
{
	struct poll_link *l = (struct poll_link *)b;

	l->paused = pause;
	if (pause || l->ended)
		return;
	if (l->get)
		zk_http_resume_download(l->get);
	else if (l->has_sid)
		zk_timer_start(l->again, 0, 0);
}

static size_t op_unsent(const struct zk_zip_link *b)
{
	return ((const struct poll_link *)b)->unsent;
}

static void op_opened(struct zk_zip_link *b, const struct zk_eio_open *open)
{
	struct poll_link *l = (struct poll_link *)b;
	char *url = zk_asprintf("%s&sid=%s", l->url, open->sid);

	free(l->url);
	l->url = url;
	l->has_sid = true;
	l->max_payload = (size_t)ZK_MIN(open->max_payload, (uint64_t)MAX_UNSENT);
	start_post(l);
}

static void op_close(struct zk_zip_link *b)
{
	struct poll_link *l = (struct poll_link *)b;
	struct zk_error ignored;

	if (l->ended || l->closing)
		return;
	/* The time is over already when there is no session to be closed. */
	zk_timer_start(l->deadline, l->has_sid ? CLOSE_WITHIN_MS : 0, 0);
	if (l->has_sid)
		ZK_IGNORE(op_send(b, ZK_STR("1"), false, &ignored) < 0);
	l->closing = true;
}

static void on_deadline(void *ctx)
{
	end_closed(ctx);
}

static void op_free(struct zk_zip_link *b)
{
	struct poll_link *l = (struct poll_link *)b;

	cancel(l);
	zk_timer_free(l->again);
	zk_timer_free(l->deadline);
	for (struct parcel *p; (p = pop(l)) != NULL;)
		free(p);
	for (size_t i = 0; i < l->n_headers; i++)
		zk_secret_free(l->headers[i]);
	free(l->headers);
	free(l->url);
	zk_eio_split_done(&l->split);
	zk_buf_done(&l->refusal);
	zk_buf_done(&l->decoded);
	free(l);
}

static const struct zk_zip_link_ops ops = ZK_ZIP_LINK_OPS;

int zk_zip_link_poll(const struct zk_zip_link_conf *conf, struct zk_zip_link **ret,
                     struct zk_error *err)
{
	struct poll_link *l = zk_new0(struct poll_link);

	(void)err;
	l->base.ops = &ops;
	l->base.hooks = conf->hooks;
	l->net = conf->net;
	l->loop = zk_net_loop(conf->net);
	l->url = zk_asprintf("%s?EIO=4&transport=polling", conf->url);
	l->max_in = conf->max_in ? conf->max_in : MAX_IN;
	l->max_unsent = conf->max_unsent ? conf->max_unsent : MAX_UNSENT;
	l->max_payload = MAX_PAYLOAD;
	l->connect_timeout_ms = conf->connect_timeout_ms;
	l->last = &l->first;
	while (conf->headers && conf->headers[l->n_headers])
		l->n_headers++;
	l->headers = zk_alloc_array(l->n_headers + 1, sizeof(*l->headers));
	for (size_t i = 0; conf->headers && i < l->n_headers; i++)
		l->headers[i] = zk_strdup(conf->headers[i]);
	zk_eio_split_init(&l->split, l->max_in);
	zk_buf_init(&l->refusal, REFUSAL_MAX);
	zk_buf_init(&l->decoded, l->max_in);
	l->again = zk_timer_new(l->loop, start_get, l);
	l->deadline = zk_timer_new(l->loop, on_deadline, l);
	zk_timer_start(l->again, 0, 0);
	*ret = &l->base;
	return 0;
}

void zk_zip_link_poll_quiet(struct zk_zip_link *b, void (*fn)(void *ctx), void *ctx)
{
	struct poll_link *l = (struct poll_link *)b;

	l->quiet = fn;
	l->quiet_ctx = ctx;
	tell_quiet(l);
}

void zk_zip_link_poll_rest(struct zk_zip_link *b, zk_zip_rest_fn rest, void *ctx)
{
	struct poll_link *l = (struct poll_link *)b;

	for (struct parcel *p; (p = pop(l)) != NULL;) {
		rest(ctx, zk_str_n(p->bytes, p->n), p->binary);
		free(p);
	}
}
