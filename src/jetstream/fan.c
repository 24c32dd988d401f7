/* Clients of /ws.
 * Layer: jetstream. */
#include "jetstream/fan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "jetstream/follow.h"
#include "jetstream/fan_ask.h"
#include "net/ws.h"
#include "net/wsd.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define LAG_MAX     1000
#define LAG_BYTES   (8u << 20)
#define AHEAD_BYTES (256u << 10) /* given to the connection beyond what the system took */
#define MESSAGE_MAX (1u << 20)   /* of a client: options with 10,000 accounts */
#define NOTICE_MAX  64

/* A record that clients wait for, each with a share of it. */
struct record {
	unsigned refs;
	size_t n;
	char text[];
};

struct client {
	struct zk_list entry;
	struct zk_jet_fan *l;
	struct zk_wsd *wsd;
	struct zk_jet_ask ask;
	/* Of the live ones: a ring. */
	struct record *queue[LAG_MAX];
	size_t head, n, bytes;
	uint64_t dropped; /* since it was told */
	/* Of those with a cursor: */
	struct zk_jet_follower *reader;
	const struct zk_jet_batch *batch;
	size_t at;
};

struct zk_jet_fan {
	struct zk_loop *loop;
	char *dir;
	enum zk_jet_envelope envelope;
	struct zk_list clients;
	unsigned n, n_readers;
	struct zk_jet_follower *follower; /* for the live ones; NULL without any */
	struct zk_jet_decoder decoder;
	struct zk_jet_fan_figures fig;
	struct zk_gauge *gauge;
	struct zk_counter *sent, *dropped;
	bool draining;
	void (*drained)(void *ctx);
	void *drained_ctx;
};

/* ---- sending ---- */

static void unref(struct record *r)
{
	if (--r->refs == 0)
		free(r);
}

static void drop_oldest(struct client *c)
{
	struct record *r = c->queue[c->head];

	c->head = (c->head + 1) % LAG_MAX;
	c->n--;
	c->bytes -= r->n;
	unref(r);
}

static bool send_text(struct client *c, zk_str text)
{
	if (!zk_wsd_send(c->wsd, text, /* binary */ false))
		return false;
	c->l->fig.sent++;
	zk_counter_add(c->l->sent, 1);
	return true;
}

static void tell_dropped(struct client *c)
{
	char text[NOTICE_MAX];
	int n = snprintf(text, sizeof(text), "{\"type\":\"lagged\",\"dropped\":%llu}",
	                 (unsigned long long)c->dropped);

	if (zk_wsd_send(c->wsd, zk_str_n(text, (size_t)n), /* binary */ false))
		c->dropped = 0;
}

static bool has_room(const struct client *c)
{
	return zk_wsd_unsent(c->wsd) < AHEAD_BYTES;
}

static void pump(struct client *c)
{
	if (c->dropped && has_room(c))
		tell_dropped(c);
	while (c->n && !c->dropped && has_room(c)) {
		const struct record *r = c->queue[c->head];

		if (!send_text(c, zk_str_n(r->text, r->n)))
			return;
		drop_oldest(c);
	}
}

static void push(struct client *c, struct record *r)
{
	while (c->n == LAG_MAX || (c->n && c->bytes + r->n > LAG_BYTES)) {
		drop_oldest(c);
		c->dropped++;
		c->l->fig.dropped++;
		zk_counter_add(c->l->dropped, 1);
	}
	r->refs++;
	c->queue[(c->head + c->n++) % LAG_MAX] = r;
	c->bytes += r->n;
}

/* ---- the live ones ---- */

static struct record *record_of(const struct zk_jet_batch *b,
                                const struct zk_jet_rec *rec)
{
	struct record *r = zk_alloc(sizeof(*r) + rec->n);

	r->refs = 1;
	r->n = rec->n;
	memcpy(r->text, b->bytes.p + rec->at, rec->n);
	return r;
}

/* What a filter looks at; NULL when the event cannot be read, which it could when it came. */
static const struct zk_jet_event *event_of(struct zk_jet_fan *l,
                                           const struct zk_jet_batch *b,
                                           const struct zk_jet_rec *rec,
                                           struct zk_jet_event *e)
{
	zk_str message = zk_str_n(b->bytes.p + rec->message_at, rec->message_n);

	return zk_jet_decode(&l->decoder, message, e) == ZK_JET_ALIVE ? e : NULL;
}

static bool wants(const struct client *c, const struct zk_jet_event *e)
{
	return !c->ask.filtered || !e || zk_jet_filter_passes(&c->ask.filter, e);
}

static bool any_filtered(const struct zk_jet_fan *l)
{
	ZK_LIST_EACH (it, &l->clients)
		if (ZK_LIST_ENTRY(it, struct client, entry)->ask.filtered)
			return true;
	return false;
}

static void on_batch(void *ctx, const struct zk_jet_batch *b)
{
	struct zk_jet_fan *l = ctx;
	bool filtered = any_filtered(l);
	struct zk_jet_event e;

	for (size_t i = 0; i < b->n; i++) {
		const struct zk_jet_event *event =
		        filtered ? event_of(l, b, &b->v[i], &e) : NULL;
		struct record *r = record_of(b, &b->v[i]);

		ZK_LIST_EACH (it, &l->clients) {
			struct client *c = ZK_LIST_ENTRY(it, struct client, entry);

			if (!c->reader && wants(c, event))
				push(c, r);
		}
		unref(r);
	}
	ZK_LIST_EACH (it, &l->clients) {
		struct client *c = ZK_LIST_ENTRY(it, struct client, entry);

		if (!c->reader)
			pump(c);
	}
	zk_jet_follower_done(l->follower, NULL);
}

static void close_all(void *ctx)
{
	struct zk_jet_fan *l = ctx;

	if (!l->n) {
		l->drained(l->drained_ctx);
		return;
	}
	ZK_LIST_EACH (it, &l->clients)
		zk_wsd_close(ZK_LIST_ENTRY(it, struct client, entry)->wsd, ZK_WS_AWAY,
		             ZK_STR_NULL);
}

static void on_live_failed(void *ctx, const struct zk_error *err)
{
	struct zk_jet_fan *l = ctx;

	zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the clients of /ws cannot be served", err);
	ZK_LIST_EACH (it, &l->clients)
		zk_wsd_close(ZK_LIST_ENTRY(it, struct client, entry)->wsd, ZK_WS_INTERNAL,
		             ZK_STR("the store cannot be read"));
}

static int follow(struct zk_jet_fan *l, struct zk_error *err)
{
	struct zk_jet_follower_conf conf = { .name = "ws",
		                             .dir = l->dir,
		                             .envelope = l->envelope,
		                             .fd = -1,
		                             .visitor = true,
		                             .deliver = on_batch,
		                             .failed = on_live_failed,
		                             .ctx = l };

	return l->follower ? 0
	                   : zk_jet_follower_new(l->loop, &conf, /* metrics */ NULL,
	                                         &l->follower, err);
}

/* ---- those with a cursor ---- */

/* As much as the connection takes; the next batch is read when all of this one was given to it. */
static void feed(struct client *c)
{
	const struct zk_jet_batch *b = c->batch;
	struct zk_jet_event e;

	while (c->at < b->n && has_room(c)) {
		const struct zk_jet_rec *rec = &b->v[c->at];

		if ((!c->ask.filtered || wants(c, event_of(c->l, b, rec, &e))) &&
		    !send_text(c, zk_str_n(b->bytes.p + rec->at, rec->n)))
			return;
		c->at++;
	}
	if (c->at < b->n)
		return;
	c->batch = NULL;
	zk_jet_follower_done(c->reader, NULL);
}

static void on_own_batch(void *ctx, const struct zk_jet_batch *b)
{
	struct client *c = ctx;

	if (b->missed)
		ZK_IGNORE(!zk_wsd_send(c->wsd,
		                       ZK_STR("{\"type\":\"lagged\",\"dropped\":null}"),
		                       /* binary */ false)); /* it is ending */
	c->batch = b;
	c->at = 0;
	feed(c);
}

static void on_own_failed(void *ctx, const struct zk_error *err)
{
	struct client *c = ctx;

	zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a client of /ws cannot be served", err);
	zk_wsd_close(c->wsd, ZK_WS_INTERNAL, ZK_STR("the store cannot be read"));
}

static int read_since(struct client *c, struct zk_error *err)
{
	struct zk_jet_follower_conf conf = { .name = "ws",
		                             .dir = c->l->dir,
		                             .envelope = c->l->envelope,
		                             .fd = -1,
		                             .visitor = true,
		                             .since_us = c->ask.since_us,
		                             .deliver = on_own_batch,
		                             .failed = on_own_failed,
		                             .ctx = c };

	return zk_jet_follower_new(c->l->loop, &conf, /* metrics */ NULL, &c->reader,
	                           err);
}

/* ---- coming and going ---- */

static void free_client(struct client *c)
{
	struct zk_jet_fan *l = c->l;

	zk_list_remove(&c->entry);
	l->n--;
	l->n_readers -= c->reader != NULL;
	zk_gauge_set(l->gauge, l->n);
	zk_jet_follower_free(c->reader);
	zk_wsd_abort(c->wsd);
	while (c->n)
		drop_oldest(c);
	zk_jet_ask_done(&c->ask);
	free(c);
	if (l->n == l->n_readers)
		zk_jet_follower_free(ZK_TAKE(l->follower));
}

static void on_end(void *ctx)
{
	struct client *c = ctx;
	struct zk_jet_fan *l = c->l;

	c->wsd = NULL; /* it frees itself */
	free_client(c);
	if (l->draining && !l->n)
		l->drained(l->drained_ctx);
	else if (l->draining && !l->follower)
		close_all(l); /* those with a cursor are left */
}

static void on_sent(void *ctx)
{
	struct client *c = ctx;

	if (!c->reader)
		pump(c);
	else if (c->batch)
		feed(c);
}

static void on_message(void *ctx, zk_str message, bool binary)
{
	struct client *c = ctx;
	struct zk_error err = { 0 };

	if (binary)
		zk_wsd_close(c->wsd, ZK_WS_UNFIT, ZK_STR("only text is understood"));
	else if (zk_jet_ask_update(&c->ask, message, &err) < 0)
		zk_wsd_close(c->wsd,
		             err.code == ZK_E_USAGE ? ZK_WS_POLICY : ZK_WS_BAD_DATA,
		             zk_str_of(err.msg));
}

static void refuse(struct zk_httpd_req *r, int status, const char *why, zk_str headers)
{
	struct zk_buf head ZK_CLEANUP(zk_buf_done), body ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&head, 1024);
	zk_buf_init(&body, 4096);
	zk_buf_lit(&head,
	           "Content-Type: application/json\r\nCache-Control: no-store\r\n");
	zk_buf_add(&head, headers);
	zk_buf_lit(&body, "{\"error\":");
	zk_buf_json_str(&body, zk_str_of(why));
	zk_buf_char(&body, '}');
	zk_httpd_reply(r, status, zk_buf_str(&head), zk_buf_str(&body));
}

static int accept(struct client *c, struct zk_httpd_req *r, struct zk_error *err)
{
	struct zk_wsd_conf conf = { .loop = c->l->loop,
		                    .max_message = MESSAGE_MAX,
		                    /* The largest record fits. */
		                    .max_unsent = 96u << 20,
		                    .ctx = c,
		                    .on_message = on_message,
		                    .on_sent = on_sent,
		                    .on_end = on_end };

	if ((c->ask.since_us ? read_since(c, err) : follow(c->l, err)) < 0)
		return -(int)err->code;
	return zk_wsd_accept(r, &conf, &c->wsd, err);
}

void zk_jet_fan_join(struct zk_jet_fan *l, struct zk_httpd_req *r)
{
	struct zk_wsd_refusal no;
	struct zk_error err = { 0 };
	struct client *c;

	if (!zk_wsd_wanted(r, &no)) {
		refuse(r, no.status, no.why, no.headers);
		return;
	}
	if (l->draining || l->n == ZK_JET_CLIENTS_MAX) {
		refuse(r, 503, l->draining ? "the server stops" : "too many clients",
		       ZK_STR("Retry-After: 5\r\n"));
		return;
	}
	c = zk_new0(struct client);
	c->l = l;
	zk_list_init(&c->entry);
	if (zk_jet_ask_read(&c->ask, zk_httpd_query(r), &err) < 0) {
		refuse(r, 400, err.msg, ZK_STR_NULL);
		free(c);
		return;
	}
	if (c->ask.since_us && l->n_readers == ZK_JET_READERS_MAX) {
		refuse(r, 503, "too many clients with a cursor",
		       ZK_STR("Retry-After: 5\r\n"));
		zk_jet_ask_done(&c->ask);
		free(c);
		return;
	}
	zk_list_push(&l->clients, &c->entry);
	l->n++;
	if (accept(c, r, &err) < 0)
		refuse(r, 503, err.msg, ZK_STR_NULL);
	l->n_readers += c->reader != NULL;
	if (c->wsd)
		zk_gauge_set(l->gauge, l->n);
	else
		free_client(c);
}

void zk_jet_fan_kick(struct zk_jet_fan *l, size_t n)
{
	if (l->follower)
		zk_jet_follower_kick(l->follower, n);
	ZK_LIST_EACH (it, &l->clients) {
		struct client *c = ZK_LIST_ENTRY(it, struct client, entry);

		if (c->reader)
			zk_jet_follower_kick(c->reader, n);
	}
}

bool zk_jet_fan_passed(const struct zk_jet_fan *l, const char *file)
{
	if (l->follower && !zk_jet_follower_passed(l->follower, file))
		return false;
	ZK_LIST_EACH (it, &l->clients) {
		const struct client *c = ZK_LIST_ENTRY(it, struct client, entry);

		if (c->reader && !zk_jet_follower_passed(c->reader, file))
			return false;
	}
	return true;
}

void zk_jet_fan_drain(struct zk_jet_fan *l, void (*fn)(void *ctx), void *ctx)
{
	l->draining = true;
	l->drained = fn;
	l->drained_ctx = ctx;
	if (l->follower)
		zk_jet_follower_when_idle(l->follower, close_all, l);
	else
		close_all(l);
}

void zk_jet_fan_figures(const struct zk_jet_fan *l, struct zk_jet_fan_figures *ret)
{
	*ret = l->fig;
	ret->clients = l->n;
}

struct zk_jet_fan *zk_jet_fan_new(struct zk_loop *loop, const char *dir,
                                  enum zk_jet_envelope envelope, struct zk_metrics *m)
{
	struct zk_jet_fan *l = zk_new0(struct zk_jet_fan);

	l->loop = loop;
	l->dir = zk_strdup(dir);
	l->envelope = envelope;
	zk_list_init(&l->clients);
	zk_jet_decoder_init(&l->decoder, /* records */ true);
	l->gauge = zk_metrics_gauge(m, "zk_jetstream_ws_clients", "clients of /ws", NULL);
	l->sent = zk_metrics_counter(m, "zk_jetstream_ws_records_total",
	                             "records for the clients of /ws",
	                             (const char *[]){ "result", "sent", NULL });
	l->dropped = zk_metrics_counter(m, "zk_jetstream_ws_records_total",
	                                "records for the clients of /ws",
	                                (const char *[]){ "result", "dropped", NULL });
	return l;
}

void zk_jet_fan_free(struct zk_jet_fan *l)
{
	if (!l)
		return;
	ZK_LIST_EACH (it, &l->clients)
		free_client(ZK_LIST_ENTRY(it, struct client, entry));
	zk_jet_follower_free(l->follower);
	zk_jet_decoder_done(&l->decoder);
	free(l->dir);
	free(l);
}
