/* Distributes requests over streams.
 * Layer: zerobus. specs/zerobus.md §7, §8.3(6), §13. */
#include "zerobus/sender.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zerobus/link.h"
#include "zerobus/request.h"

#include "base/ban.h"

struct slot {
	struct zk_zb_link *link; /* NULL = none */
	bool dead, done;
};

struct zk_zb_sender {
	struct zk_zb_sender_conf conf;
	char *table;
	struct zk_loop *loop;
	struct slot *slots;
	struct zk_zb_kind *kind; /* of the links */
	struct zk_list queue;    /* requests that are in no stream */
	size_t n_queue, queue_bytes;
	uint64_t queue_rows;
	uint64_t resent; /* by streams that are gone */
	double tokens;   /* rows that may go now */
	int64_t tokens_us;
	struct zk_timer *rate_timer;
	bool finishing, hurried, over, dispatching;
	struct zk_error last; /* of the stream that died last */
};

static struct zk_zb_request *entry(const struct zk_list *e)
{
	return ZK_LIST_ENTRY(e, struct zk_zb_request, link);
}

static struct zk_zb_stream *stream_of(const struct slot *s)
{
	return zk_zb_link_stream(s->link);
}

static bool is_alive(const struct slot *s)
{
	return s->link && !s->dead && !s->done;
}

/* ---- the queue ---- */

static void queue_add(struct zk_zb_sender *s, struct zk_zb_request *r)
{
	zk_list_push(&s->queue, &r->link);
	s->n_queue++;
	s->queue_bytes += r->n;
	s->queue_rows += r->rows;
}

static struct zk_zb_request *queue_take(struct zk_zb_sender *s)
{
	struct zk_list *e = zk_list_pop(&s->queue);
	struct zk_zb_request *r = e ? entry(e) : NULL;

	if (r) {
		s->n_queue--;
		s->queue_bytes -= r->n;
		s->queue_rows -= r->rows;
	}
	return r;
}

static void give_back_all(struct zk_zb_sender *s, const struct zk_error *err)
{
	struct zk_zb_request *r;

	while ((r = queue_take(s)) != NULL) {
		if (s->slots[0].link)
			zk_zb_link_unsent(s->slots[0].link, r, err);
		s->conf.on_unsent(s->conf.ctx, r, err);
	}
}

static void be_over(struct zk_zb_sender *s, const struct zk_error *err)
{
	if (s->over)
		return;
	s->over = true;
	zk_timer_stop(s->rate_timer);
	if (s->conf.on_over)
		s->conf.on_over(s->conf.ctx, err);
}

/* ---- distribution ---- */

/* The living stream that has least to do and room for more; NULL = none. */
static struct slot *pick(struct zk_zb_sender *s)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < s->conf.streams; i++) {
		struct slot *c = &s->slots[i];

		if (is_alive(c) && zk_zb_stream_has_room(stream_of(c)) &&
		    (!best || zk_zb_stream_window(stream_of(c))->bytes <
		                      zk_zb_stream_window(stream_of(best))->bytes))
			best = c;
	}
	return best;
}

/* Milliseconds until so many rows may go; 0 = now. */
static int64_t rate_wait(struct zk_zb_sender *s, uint32_t rows)
{
	double rate = (double)s->conf.rate, need = (double)rows;
	int64_t now = zk_mono_us();

	if (!s->conf.rate || s->hurried)
		return 0;
	s->tokens += (double)(now - s->tokens_us) * rate / 1e6;
	s->tokens = ZK_MIN(s->tokens, rate);
	s->tokens_us = now;
	/* A request of more rows than a second has goes when the bucket is full. */
	need = ZK_MIN(need, rate);
	if (s->tokens >= need) {
		s->tokens -= (double)rows;
		return 0;
	}
	return (int64_t)((need - s->tokens) * 1000 / rate) + 1;
}

static void make_links(struct zk_zb_sender *s);

/* Another kind: the streams of the one before end first. True when they have. */
static bool change_kind(struct zk_zb_sender *s, struct zk_zb_kind *kind)
{
	bool busy = false;

	for (size_t i = 0; i < s->conf.streams; i++) {
		struct slot *c = &s->slots[i];

		if (!is_alive(c))
			continue;
		busy = true;
		zk_zb_stream_finish(stream_of(c));
	}
	/* A stream that had nothing to do is done at once. */
	for (size_t i = 0; busy && i < s->conf.streams; i++)
		if (is_alive(&s->slots[i]))
			return false;
	zk_zb_kind_unref(s->kind);
	s->kind = zk_zb_kind_ref(kind);
	make_links(s);
	return true;
}

static void dispatch(struct zk_zb_sender *s)
{
	if (s->dispatching || s->over)
		return;
	s->dispatching = true;
	while (!zk_list_is_empty(&s->queue) && !s->over) {
		struct zk_zb_request *r = entry(s->queue.next);
		struct slot *to;
		int64_t wait;

		if ((!s->kind || !zk_zb_kind_same(s->kind, r->kind)) &&
		    !change_kind(s, r->kind))
			break;
		to = pick(s);
		if (!to)
			break;
		wait = rate_wait(s, r->rows);
		if (wait) {
			zk_timer_start(s->rate_timer, wait, 0);
			break;
		}
		(void)queue_take(s);
		r->queued_us = zk_mono_us();
		zk_zb_stream_push(stream_of(to), r);
	}
	s->dispatching = false;
	if (!s->finishing || !zk_list_is_empty(&s->queue) || s->over)
		return;
	for (size_t i = 0; i < s->conf.streams; i++)
		if (is_alive(&s->slots[i]))
			zk_zb_stream_finish(stream_of(&s->slots[i]));
}

static void dispatch_now(void *ctx)
{
	dispatch(ctx);
}

/* ---- streams ---- */

static size_t n_alive(const struct zk_zb_sender *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->conf.streams; i++)
		n += is_alive(&s->slots[i]);
	return n;
}

static bool all_dead(const struct zk_zb_sender *s)
{
	for (size_t i = 0; i < s->conf.streams; i++)
		if (!s->slots[i].dead)
			return false;
	return true;
}

/* Rows of a stream that died, and the others of its kind had ended. */
static bool has_stranded(const struct zk_zb_sender *s)
{
	return s->kind && !zk_list_is_empty(&s->queue) &&
	       zk_zb_kind_same(s->kind, entry(s->queue.next)->kind);
}

static void check_over(struct zk_zb_sender *s)
{
	if (n_alive(s) || s->over)
		return;
	if (all_dead(s) || has_stranded(s)) {
		give_back_all(s, &s->last);
		be_over(s, &s->last);
	} else if (s->finishing && zk_list_is_empty(&s->queue)) {
		be_over(s, NULL);
	} else {
		zk_loop_defer(s->loop, dispatch_now, s); /* a change of kind */
	}
}

static void link_acked(void *ctx, size_t i, struct zk_zb_request *r)
{
	struct zk_zb_sender *s = ctx;

	s->conf.on_acked(s->conf.ctx, r, i);
}

static void link_rejected(void *ctx, size_t i, struct zk_zb_request *r,
                          const struct zk_error *err, bool suspect)
{
	struct zk_zb_sender *s = ctx;

	(void)i;
	s->conf.on_rejected(s->conf.ctx, r, err, suspect);
}

static void link_change(void *ctx, size_t i)
{
	(void)i;
	dispatch(ctx);
}

/* What a dead stream held goes to a living one first (§8.3). */
static void link_dead(void *ctx, size_t i, const struct zk_error *err)
{
	struct zk_zb_sender *s = ctx;
	struct slot *c = &s->slots[i];
	struct zk_zb_request *r;
	struct zk_list moved;

	c->dead = true;
	s->last = *err;
	zk_list_init(&moved);
	while ((r = zk_zb_stream_take_unsent(stream_of(c))) != NULL)
		zk_list_push(&moved, &r->link);
	s->resent += zk_zb_stream_resent(stream_of(c));
	/* In front of what waits: they are older. */
	ZK_LIST_EACH (it, &s->queue) {
		zk_list_remove(it);
		zk_list_push(&moved, it);
	}
	s->n_queue = s->queue_bytes = s->queue_rows = 0;
	ZK_LIST_EACH (it, &moved) {
		zk_list_remove(it);
		queue_add(s, entry(it));
	}
	if (n_alive(s))
		dispatch(s);
	else
		check_over(s);
}

static void link_done(void *ctx, size_t i)
{
	struct zk_zb_sender *s = ctx;
	struct slot *c = &s->slots[i];

	c->done = true;
	s->resent += zk_zb_stream_resent(stream_of(c));
	check_over(s);
}

static void make_links(struct zk_zb_sender *s)
{
	for (size_t i = 0; i < s->conf.streams; i++) {
		struct zk_zb_link_conf conf = {
			.sender = &s->conf,
			.kind = s->kind,
			.index = i,
			.ctx = s,
			.on_acked = link_acked,
			.on_rejected = link_rejected,
			.on_change = link_change,
			.on_dead = link_dead,
			.on_done = link_done,
		};

		zk_zb_link_free(s->slots[i].link);
		s->slots[i] = (struct slot){ .link = zk_zb_link_new(&conf) };
	}
}

/* ---- the owner's side ---- */

struct zk_zb_sender *zk_zb_sender_new(const struct zk_zb_sender_conf *conf)
{
	struct zk_zb_sender *s = zk_new0(struct zk_zb_sender);

	s->conf = *conf;
	s->table = zk_strndup(conf->table.p, conf->table.n);
	s->conf.table = zk_str_of(s->table);
	s->loop = zk_net_loop(conf->net);
	s->slots = zk_alloc_array(conf->streams, sizeof(*s->slots));
	zk_list_init(&s->queue);
	s->tokens = (double)conf->rate;
	s->tokens_us = zk_mono_us();
	s->rate_timer = zk_timer_new(s->loop, dispatch_now, s);
	return s;
}

void zk_zb_sender_free(struct zk_zb_sender *s)
{
	struct zk_zb_request *r;

	if (!s)
		return;
	s->over = true;
	zk_loop_forget(s->loop, dispatch_now, s);
	for (size_t i = 0; i < s->conf.streams; i++)
		zk_zb_link_free(s->slots[i].link);
	while ((r = queue_take(s)) != NULL)
		zk_zb_request_free(r);
	zk_timer_free(s->rate_timer);
	zk_zb_kind_unref(s->kind);
	free(s->slots);
	free(s->table);
	free(s);
}

void zk_zb_sender_renew(struct zk_zb_sender **io, const struct zk_zb_sender_conf *conf)
{
	if (*io && !(*io)->over)
		return;
	zk_zb_sender_free(*io);
	*io = zk_zb_sender_new(conf);
}

void zk_zb_sender_warm(struct zk_zb_sender *s, struct zk_zb_kind *kind)
{
	if (s->kind || s->over)
		return;
	s->kind = zk_zb_kind_ref(kind);
	make_links(s);
	for (size_t i = 0; i < s->conf.streams; i++)
		zk_zb_link_warm(s->slots[i].link);
}

void zk_zb_sender_push(struct zk_zb_sender *s, struct zk_zb_request *r)
{
	if (s->over) {
		s->conf.on_unsent(s->conf.ctx, r, &s->last);
		return;
	}
	queue_add(s, r);
	dispatch(s);
}

void zk_zb_sender_finish(struct zk_zb_sender *s)
{
	if (s->finishing || s->over)
		return;
	s->finishing = true;
	dispatch(s);
	check_over(s);
}

void zk_zb_sender_hurry(struct zk_zb_sender *s)
{
	s->hurried = true;
	zk_zb_sender_finish(s);
	for (size_t i = 0; i < s->conf.streams && !s->over; i++)
		if (is_alive(&s->slots[i]))
			zk_zb_stream_hurry(stream_of(&s->slots[i]));
}

void zk_zb_sender_abort(struct zk_zb_sender *s, const struct zk_error *err)
{
	if (s->over)
		return;
	s->last = *err;
	s->dispatching = true; /* nothing moves to another stream */
	for (size_t i = 0; i < s->conf.streams && !s->over; i++)
		if (is_alive(&s->slots[i]))
			zk_zb_stream_kill(stream_of(&s->slots[i]), err);
	give_back_all(s, err);
	be_over(s, err);
	s->dispatching = false;
}

/* ---- looking ---- */

/* The word of the state; of several streams, the one that people want to know of. */
static void word_of(const struct zk_zb_stream *st, struct zk_zb_sender_stat *ret,
                    int *rank)
{
	static const struct {
		const char *word;
		int rank;
	} words[] = {
		[ZK_ZB_IDLE] = { "idle", 0 },
		[ZK_ZB_TOKEN] = { "connecting", 3 },
		[ZK_ZB_CONNECT] = { "connecting", 3 },
		[ZK_ZB_CREATE] = { "connecting", 3 },
		[ZK_ZB_OPEN] = { "sending", 4 },
		[ZK_ZB_DRAINING] = { "draining", 5 },
		[ZK_ZB_FINISH] = { "finishing", 2 },
		[ZK_ZB_HALF] = { "finishing", 2 },
		[ZK_ZB_BACKOFF] = { "retrying", 7 },
		[ZK_ZB_ISOLATE] = { "isolating", 6 },
		[ZK_ZB_DEAD] = { "failed", 1 },
		[ZK_ZB_DONE] = { "done", 0 },
	};
	enum zk_zb_state state = zk_zb_stream_state(st);

	if (words[state].rank <= *rank)
		return;
	*rank = words[state].rank;
	ret->word = words[state].word;
	if (state == ZK_ZB_BACKOFF)
		ret->attempt = zk_zb_stream_attempt(st);
}

void zk_zb_sender_stat(const struct zk_zb_sender *s, struct zk_zb_sender_stat *ret)
{
	int rank = -1;

	*ret = (struct zk_zb_sender_stat){ .requests = s->n_queue,
		                           .bytes = s->queue_bytes,
		                           .rows = s->queue_rows,
		                           .resent = s->resent,
		                           .word = "idle",
		                           .of = (unsigned)s->conf.retry.max_retries +
		                                 1 };
	for (size_t i = 0; i < s->conf.streams; i++) {
		const struct slot *c = &s->slots[i];
		const struct zk_zb_window *w;
		const struct zk_zb_request *first;

		if (!c->link)
			continue;
		word_of(stream_of(c), ret, &rank);
		if (!is_alive(c))
			continue;
		w = zk_zb_stream_window(stream_of(c));
		first = zk_zb_window_first(w);
		ret->requests += w->n;
		ret->bytes += w->bytes;
		ret->rows += w->rows;
		ret->resent += zk_zb_stream_resent(stream_of(c));
		if (first && (!ret->oldest_us || first->queued_us < ret->oldest_us))
			ret->oldest_us = first->queued_us;
	}
}
