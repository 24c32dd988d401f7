/* Events from a Redis stream, as one consumer of a group (§19).
 * Layer: jetstream.
 *
 * Entries go through three pages: those that were delivered to this consumer before (after a
 * start, a lost connection), those of consumers that went away (every 30 s), and new ones. A page
 * is copied, and how often each entry was delivered is asked for where it may be more than once;
 * then its entries are handed over one by one. An entry is acknowledged when the store has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "jetstream/source.h"
#include "rt/loop.h"
#include "store/redis.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define PAGE          "512"
#define BLOCK         "1000"
#define BLOCK_WAIT_MS 6000 /* for an answer that may take BLOCK */
#define IDLE          "60000"
#define CLAIM_MS      30000
#define AGAIN_MS      250
#define ACK_MAX       1000
#define DELIVERIES    5
#define PAGE_BYTES    (256u << 20)

enum phase { PENDING, FRESH, CLAIMED };

/* An entry of the page. */
struct entry {
	size_t id_at, id_n, at, n; /* in the text of the page */
	uint64_t deliveries;
};

/* An entry that was handed over and is not acknowledged yet. */
struct owed {
	struct zk_list link;
	uint64_t order;
	bool sent; /* XACK is under way */
	size_t n;
	char id[];
};

struct redis_source {
	struct zk_jet_source base;
	struct zk_loop *loop;
	char *stream, *group, *consumer;
	struct zk_redis *reader, *other; /* one blocks; the other acknowledges */
	struct zk_timer *again;
	enum phase phase;
	bool asked, begun;  /* an answer is awaited; the group is there */
	char *cursor;       /* of pages of PENDING and CLAIMED */
	struct zk_buf text; /* the page */
	struct entry *v;
	size_t n, room, next;
	int64_t claim_ms; /* when to look for idle entries again */
	struct zk_list owed;
	struct zk_map by_id; /* struct owed */
	size_t n_owed, acking;
	uint64_t order, done; /* handed over; committed */
	int64_t time_us;
	bool paused, finishing, ended, freed;
	enum zk_jet_state state;
};

static void go_on(struct redis_source *s);

static void end(struct redis_source *s, const struct zk_error *err)
{
	if (s->ended)
		return;
	s->ended = true;
	zk_timer_stop(s->again);
	s->base.hooks.on_end(s->base.hooks.ctx, err);
}

static void set_state(struct redis_source *s, enum zk_jet_state state)
{
	if (s->state == state || s->ended)
		return;
	s->state = state;
	s->base.hooks.on_state(s->base.hooks.ctx, state, s->stream);
}

static void later(struct redis_source *s)
{
	if (!s->ended)
		zk_timer_start(s->again, AGAIN_MS, 0);
}

static void set_cursor(struct redis_source *s, zk_str id)
{
	char *copy = zk_strndup(id.p, id.n);

	free(s->cursor);
	s->cursor = copy;
}

/* What no waiting mends ends it; the rest is tried again. */
static void on_refused(struct redis_source *s, const struct zk_redis_reply *reply)
{
	static const struct {
		const char *kind;
		enum zk_code code;
	} rows[] = { { "WRONGTYPE", ZK_E_HTTP },
		     { "NOAUTH", ZK_E_AUTH },
		     { "WRONGPASS", ZK_E_AUTH },
		     { "NOPERM", ZK_E_FORBIDDEN } };
	zk_str kind = zk_redis_error_kind(reply);
	struct zk_error err = { 0 };

	if (zk_str_eq(kind, ZK_STR("NOGROUP"))) {
		s->begun = false; /* the stream is gone: a new one is made */
		later(s);
		return;
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++) {
		if (!zk_str_eq(kind, zk_str_of(rows[i].kind)))
			continue;
		(void)zk_fail(&err, rows[i].code,
		              "cannot read the stream '%s': redis answers: %.*s",
		              s->stream, (int)ZK_MIN(reply->str.n, (size_t)200),
		              reply->str.p);
		end(s, &err);
		return;
	}
	zk_warn("redis refuses, trying again", "stream=%s answer=%.*s", s->stream,
	        (int)ZK_MIN(reply->str.n, (size_t)200), reply->str.p);
	later(s);
}

/* False when there is no answer to go on with. */
static bool is_answer(struct redis_source *s, const struct zk_redis_reply *reply)
{
	s->asked = false;
	if (s->ended)
		return false;
	if (!reply) {
		later(s); /* what was lost with the connection is pending */
		s->phase = PENDING;
		set_cursor(s, ZK_STR("0"));
		return false;
	}
	if (reply->type != ZK_REDIS_ERROR)
		return true;
	on_refused(s, reply);
	return false;
}

/* ---- acknowledging ---- */

static void drop_owed(struct redis_source *s, struct owed *o)
{
	(void)zk_map_del(&s->by_id, zk_str_n(o->id, o->n));
	zk_list_remove(&o->link);
	s->n_owed--;
	free(o);
}

static void acknowledge(struct redis_source *s);

static void on_acked(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	struct redis_source *s = ctx;
	bool ok = reply && reply->type == ZK_REDIS_INTEGER;

	(void)err;
	ZK_LIST_EACH (it, &s->owed) {
		struct owed *o = ZK_LIST_ENTRY(it, struct owed, link);

		if (!s->acking || !o->sent)
			break;
		s->acking--;
		o->sent = false;
		if (ok)
			drop_owed(s, o);
	}
	s->acking = 0;
	if (ok)
		acknowledge(s);
	if (!s->acking && s->ended && !s->freed)
		s->base.hooks.on_settled(s->base.hooks.ctx);
}

/* The front of what is owed, as far as it is committed. */
static void acknowledge(struct redis_source *s)
{
	zk_str args[3 + ACK_MAX] = { ZK_STR("XACK"), zk_str_of(s->stream),
		                     zk_str_of(s->group) };
	struct zk_error err;
	size_t n = 0;

	if (s->acking)
		return;
	ZK_LIST_EACH (it, &s->owed) {
		struct owed *o = ZK_LIST_ENTRY(it, struct owed, link);

		if (o->order > s->done || n == ACK_MAX)
			break;
		args[3 + n++] = zk_str_n(o->id, o->n);
	}
	if (!n || zk_redis_send(s->other, args, 3 + n, 0, on_acked, s, &err) < 0)
		return; /* again when the connection is back */
	s->acking = n;
	ZK_LIST_EACH (it, &s->owed) {
		if (!n--)
			break;
		ZK_LIST_ENTRY(it, struct owed, link)->sent = true;
	}
}

/* ---- the page ---- */

static zk_str text_at(const struct redis_source *s, size_t at, size_t n)
{
	return zk_str_n(s->text.p + at, n);
}

/* The event of an entry: its field `data`, else `message`. */
static zk_str event_of(const struct zk_redis_reply *fields)
{
	zk_str found = ZK_STR_NULL;

	for (size_t i = 0; i + 1 < fields->n; i += 2) {
		zk_str name = zk_redis_item_str(fields, i);

		if (zk_str_eq(name, ZK_STR("data")))
			return zk_redis_item_str(fields, i + 1);
		if (zk_str_eq(name, ZK_STR("message")))
			found = zk_redis_item_str(fields, i + 1);
	}
	return found;
}

static void add_entry(struct redis_source *s, const struct zk_redis_reply *e)
{
	zk_str id = zk_redis_item_str(e, 0), text = ZK_STR_NULL;
	struct entry *x;

	if (e->type != ZK_REDIS_ARRAY || e->n < 2 || !id.n)
		return;
	/* NIL: it was deleted or trimmed while it was pending. */
	if (e->items[1]->type == ZK_REDIS_ARRAY)
		text = event_of(e->items[1]);
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 512;
		s->v = zk_realloc(s->v, s->room * sizeof(*s->v));
	}
	x = &s->v[s->n++];
	*x = (struct entry){ .id_at = s->text.n, .id_n = id.n, .deliveries = 1 };
	zk_buf_add(&s->text, id);
	x->at = s->text.n;
	x->n = text.n;
	zk_buf_add(&s->text, text);
}

static void set_page(struct redis_source *s, const struct zk_redis_reply *list)
{
	zk_buf_clear(&s->text);
	s->n = s->next = 0;
	for (size_t i = 0; list && i < list->n; i++)
		add_entry(s, list->items[i]);
}

static void hand_over(struct redis_source *s, const struct entry *e)
{
	zk_str id = text_at(s, e->id_at, e->id_n), text = text_at(s, e->at, e->n);
	struct zk_jet_mark mark = { .order = ++s->order };
	struct owed *o = zk_alloc(sizeof(*o) + id.n);
	enum zk_jet_taken taken;

	*o = (struct owed){ .order = s->order, .n = id.n };
	memcpy(o->id, id.p, id.n);
	zk_list_init(&o->link);
	zk_list_push(&s->owed, &o->link);
	(void)zk_map_set(&s->by_id, id, o);
	s->n_owed++;
	if (e->deliveries > DELIVERIES || !text.n) {
		zk_warn("an entry is given up", "stream=%s id=%.*s deliveries=%llu",
		        s->stream, ZK_STR_ARG(id), (unsigned long long)e->deliveries);
		s->base.hooks.on_dead(s->base.hooks.ctx, ZK_JET_DEAD_ENVELOPE, text);
		return;
	}
	taken = s->base.hooks.on_event(s->base.hooks.ctx, text, text, &mark);
	if (taken == ZK_JET_ENOUGH || taken == ZK_JET_REFUSED)
		s->paused = true;
	if (taken == ZK_JET_REFUSED) { /* it stays pending */
		drop_owed(s, o);
		s->order--;
	}
	s->time_us = ZK_MAX(s->time_us, mark.time_us);
}

/* True when the page is used up. */
static bool drain(struct redis_source *s)
{
	while (s->next < s->n && !s->paused && !s->finishing) {
		const struct entry *e = &s->v[s->next++];

		/* What is held already comes again in a page of pending ones. */
		if (!zk_map_get(&s->by_id, text_at(s, e->id_at, e->id_n)))
			hand_over(s, e);
	}
	return s->next == s->n;
}

/* How often the entries of the page were delivered. */
static void on_counts(void *ctx, const struct zk_redis_reply *reply,
                      const struct zk_error *err)
{
	struct redis_source *s = ctx;
	size_t k = 0;

	(void)err;
	if (!is_answer(s, reply)) {
		s->n = s->next = 0; /* they come again */
		return;
	}
	for (size_t i = 0; i < reply->n; i++) {
		const struct zk_redis_reply *row = reply->items[i];
		zk_str id = zk_redis_item_str(row, 0);

		if (row->type != ZK_REDIS_ARRAY || row->n < 4)
			continue;
		/* Both are in order of ids. */
		for (size_t j = k; j < s->n; j++) {
			if (!zk_str_eq(text_at(s, s->v[j].id_at, s->v[j].id_n), id))
				continue;
			s->v[j].deliveries = (uint64_t)row->items[3]->integer;
			k = j + 1;
			break;
		}
	}
	go_on(s);
}

static void ask_counts(struct redis_source *s)
{
	const struct entry *first = &s->v[0], *last = &s->v[s->n - 1];
	const zk_str args[] = { ZK_STR("XPENDING"),
		                zk_str_of(s->stream),
		                zk_str_of(s->group),
		                text_at(s, first->id_at, first->id_n),
		                text_at(s, last->id_at, last->id_n),
		                ZK_STR(PAGE),
		                zk_str_of(s->consumer) };
	struct zk_error err;

	s->asked = zk_redis_send(s->other, args, ZK_ARRAY_LEN(args), 0, on_counts, s,
	                         &err) == 0;
	if (s->asked)
		return;
	s->n = s->next = 0;
	later(s);
}

/* ---- reading ---- */

/* [[stream, [entry…]]], or NIL when the time passed without one. */
static const struct zk_redis_reply *entries_of(const struct zk_redis_reply *reply)
{
	const struct zk_redis_reply *one =
	        reply->type == ZK_REDIS_ARRAY && reply->n ? reply->items[0] : NULL;

	return one && one->type == ZK_REDIS_ARRAY && one->n == 2 &&
	                       one->items[1]->type == ZK_REDIS_ARRAY
	               ? one->items[1]
	               : NULL;
}

static void on_pending(void *ctx, const struct zk_redis_reply *reply,
                       const struct zk_error *err)
{
	struct redis_source *s = ctx;

	(void)err;
	if (!is_answer(s, reply))
		return;
	set_page(s, entries_of(reply));
	if (!s->n) {
		s->phase = FRESH;
		go_on(s);
		return;
	}
	set_cursor(s, text_at(s, s->v[s->n - 1].id_at, s->v[s->n - 1].id_n));
	ask_counts(s);
}

static void on_fresh(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	struct redis_source *s = ctx;

	(void)err;
	if (!is_answer(s, reply))
		return;
	set_page(s, entries_of(reply));
	go_on(s);
}

/* [next cursor, [entry…], [deleted ids…]] */
static void on_claimed(void *ctx, const struct zk_redis_reply *reply,
                       const struct zk_error *err)
{
	struct redis_source *s = ctx;
	zk_str next;

	(void)err;
	if (!is_answer(s, reply))
		return;
	next = zk_redis_item_str(reply, 0);
	set_page(s,
	         reply->type == ZK_REDIS_ARRAY && reply->n > 1 ? reply->items[1] : NULL);
	if (!next.n || zk_str_eq(next, ZK_STR("0-0"))) {
		s->phase = FRESH;
		s->claim_ms = zk_mono_ms() + CLAIM_MS;
	} else {
		set_cursor(s, next);
	}
	if (s->n) {
		zk_notice("entries of another consumer are taken over",
		          "stream=%s entries=%zu", s->stream, s->n);
		ask_counts(s);
	} else {
		go_on(s);
	}
}

static int ask_claim(struct redis_source *s, struct zk_error *err)
{
	const zk_str args[] = { ZK_STR("XAUTOCLAIM"), zk_str_of(s->stream),
		                zk_str_of(s->group),  zk_str_of(s->consumer),
		                ZK_STR(IDLE),         zk_str_of(s->cursor),
		                ZK_STR("COUNT"),      ZK_STR(PAGE) };

	return zk_redis_send(s->other, args, ZK_ARRAY_LEN(args), 0, on_claimed, s, err);
}

static int ask_read(struct redis_source *s, struct zk_error *err)
{
	bool fresh = s->phase == FRESH;
	zk_str args[12];
	size_t n = 0;

	args[n++] = ZK_STR("XREADGROUP");
	args[n++] = ZK_STR("GROUP");
	args[n++] = zk_str_of(s->group);
	args[n++] = zk_str_of(s->consumer);
	args[n++] = ZK_STR("COUNT");
	args[n++] = ZK_STR(PAGE);
	if (fresh) {
		args[n++] = ZK_STR("BLOCK");
		args[n++] = ZK_STR(BLOCK);
	}
	args[n++] = ZK_STR("STREAMS");
	args[n++] = zk_str_of(s->stream);
	args[n++] = fresh ? ZK_STR(">") : zk_str_of(s->cursor);
	return zk_redis_send(s->reader, args, n, BLOCK_WAIT_MS,
	                     fresh ? on_fresh : on_pending, s, err);
}

static void ask(struct redis_source *s)
{
	struct zk_error err;
	int r;

	if (s->phase == FRESH && zk_mono_ms() >= s->claim_ms) {
		s->phase = CLAIMED;
		set_cursor(s, ZK_STR("0-0"));
	}
	r = s->phase == CLAIMED ? ask_claim(s, &err) : ask_read(s, &err);
	s->asked = r == 0;
	if (r < 0)
		later(s);
}

static void on_group(void *ctx, const struct zk_redis_reply *reply,
                     const struct zk_error *err)
{
	struct redis_source *s = ctx;

	(void)err;
	if (reply && reply->type == ZK_REDIS_ERROR &&
	    zk_str_eq(zk_redis_error_kind(reply), ZK_STR("BUSYGROUP")))
		s->asked = false;
	else if (!is_answer(s, reply))
		return;
	s->begun = true;
	s->phase = PENDING;
	set_cursor(s, ZK_STR("0"));
	set_state(s, ZK_JET_LIVE);
	go_on(s);
}

static void make_group(struct redis_source *s)
{
	const zk_str args[] = { ZK_STR("XGROUP"),     ZK_STR("CREATE"),
		                zk_str_of(s->stream), zk_str_of(s->group),
		                ZK_STR("0"),          ZK_STR("MKSTREAM") };
	struct zk_error err;

	s->asked = zk_redis_send(s->other, args, ZK_ARRAY_LEN(args), 0, on_group, s,
	                         &err) == 0;
	if (!s->asked)
		later(s);
}

static void go_on(struct redis_source *s)
{
	if (s->ended || s->asked || s->paused)
		return;
	if (!drain(s))
		return;
	if (s->finishing)
		end(s, NULL);
	else if (!s->begun)
		make_group(s);
	else
		ask(s);
}

static void on_again(void *ctx)
{
	go_on(ctx);
}

static void on_reader_state(void *ctx, bool up, const struct zk_error *err)
{
	struct redis_source *s = ctx;

	if (err && zk_log_enabled(ZK_LOG_DEBUG))
		zk_log_error(ZK_LOG_DEBUG, ZK_LOGGER, "redis is not reachable", err);
	if (err && (err->code == ZK_E_AUTH || err->code == ZK_E_FORBIDDEN))
		end(s, err);
	set_state(s, !up ? ZK_JET_BACKOFF : s->begun ? ZK_JET_LIVE : ZK_JET_CONNECTING);
	if (up)
		go_on(s);
}

static void on_other_state(void *ctx, bool up, const struct zk_error *err)
{
	struct redis_source *s = ctx;

	(void)err;
	if (!up)
		return;
	acknowledge(s);
	go_on(s);
}

/* ---- as a source ---- */

static void op_pause(struct zk_jet_source *b)
{
	((struct redis_source *)b)->paused = true;
}

static void op_resume(struct zk_jet_source *b)
{
	struct redis_source *s = (struct redis_source *)b;

	s->paused = false;
	go_on(s);
}

/* Entries of the page that were not handed over stay pending. */
static void op_finish(struct zk_jet_source *b)
{
	struct redis_source *s = (struct redis_source *)b;

	s->finishing = true;
	end(s, NULL);
}

static void op_place(const struct zk_jet_source *b, const struct zk_jet_mark *at,
                     struct zk_jet_stored_place *ret)
{
	const struct redis_source *s = (const struct redis_source *)b;

	memset(ret, 0, sizeof(*ret)); /* the group keeps the position */
	ret->place.time_us = at ? at->time_us : s->time_us;
	ret->order = at ? at->order : s->order;
}

static void op_committed(struct zk_jet_source *b, uint64_t order)
{
	struct redis_source *s = (struct redis_source *)b;

	s->done = ZK_MAX(s->done, order);
	acknowledge(s);
}

static bool op_is_settling(const struct zk_jet_source *b)
{
	const struct redis_source *s = (const struct redis_source *)b;

	return s->acking != 0;
}

static void op_free(struct zk_jet_source *b)
{
	struct redis_source *s = (struct redis_source *)b;

	s->ended = s->freed = true;
	zk_redis_free(s->reader);
	zk_redis_free(s->other);
	ZK_LIST_EACH (it, &s->owed)
		free(ZK_LIST_ENTRY(it, struct owed, link));
	zk_map_done(&s->by_id);
	zk_timer_free(s->again);
	zk_buf_done(&s->text);
	free(s->v);
	free(s->cursor);
	free(s->stream);
	free(s->group);
	free(s->consumer);
	free(s);
}

static const struct zk_jet_source_ops ops = {
	.pause = op_pause,
	.resume = op_resume,
	.finish = op_finish,
	.free = op_free,
	.place = op_place,
	.committed = op_committed,
	.is_settling = op_is_settling,
};

static int connect_both(struct redis_source *s, const char *text, struct zk_error *err)
{
	struct zk_redis_url url = { 0 };
	struct zk_redis_conf reader = { .url = &url,
		                        .name = "zk-jetstream",
		                        .stall_ms = 2 * (int64_t)BLOCK_WAIT_MS,
		                        .max_reply_bytes = PAGE_BYTES,
		                        .on_state = on_reader_state,
		                        .ctx = s };
	struct zk_redis_conf other = reader;
	int r = zk_redis_url_parse(zk_str_of(text), &url, err);

	other.on_state = on_other_state;
	if (r == 0)
		r = zk_redis_new(s->loop, &reader, &s->reader, err);
	if (r == 0)
		r = zk_redis_new(s->loop, &other, &s->other, err);
	zk_redis_url_done(&url);
	return r;
}

int zk_jet_redis_source_new(struct zk_loop *loop,
                            const struct zk_jet_redis_source_conf *conf,
                            const struct zk_jet_source_hooks *hooks,
                            struct zk_jet_source **ret, struct zk_error *err)
{
	struct redis_source *s = zk_new0(struct redis_source);

	s->base.ops = &ops;
	s->base.hooks = *hooks;
	s->loop = loop;
	s->stream = zk_strdup(conf->stream);
	s->group = zk_strdup(conf->group);
	s->consumer = zk_strdup(conf->consumer);
	s->cursor = zk_strdup("0");
	s->state = ZK_JET_ENDED;
	zk_list_init(&s->owed);
	zk_map_init(&s->by_id);
	zk_buf_init(&s->text, PAGE_BYTES);
	s->again = zk_timer_new(loop, on_again, s);
	if (connect_both(s, conf->url, err) < 0) {
		op_free(&s->base);
		return -(int)err->code;
	}
	set_state(s, ZK_JET_CONNECTING);
	*ret = &s->base;
	return 0;
}
