/* Hydration: flights of ids, batches of flights.
 * Layer: jetstream. */
#include "jetstream/hydrate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "jetstream/filter.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

/* An id that is asked for. */
struct flight {
	struct zk_list link;    /* queue of its kind, while nobody asked yet */
	struct zk_list waiters; /* zk_jet_lookup.link */
	uint64_t request;       /* number of the request; 0 = not asked yet */
	int64_t queued_ms;
	bool post;
	size_t n;
	char id[];
};

struct batch {
	struct zk_list link; /* zk_jet_hydrator.halves while it waits */
	struct zk_jet_hydrator *h;
	bool posts;
	size_t n;
	struct flight *v[ZK_JET_BATCH];
};

/* What is kept for profiles and for posts alike. */
struct side {
	struct zk_jet_cache cache;
	struct zk_map flights; /* id → struct flight */
	struct zk_list queue;
	size_t queued;
	uint64_t hits, misses;
	struct zk_counter *lookups[5];
};

struct zk_jet_hydrator {
	struct zk_jet_hydrator_conf conf;
	struct zk_loop *loop;
	struct zk_jet_api *api;
	struct side sides[2];   /* profiles, posts */
	struct zk_list halves;  /* batches that broke and are asked for again in halves */
	struct zk_list batches; /* all that run; for the end */
	struct zk_timer *linger;
	bool ready_due;
	bool starved; /* the budget of requests ran out since the last answer */
	struct zk_counter *unresolved[ZK_JET_REASONS];
	uint64_t by_hydration[3];
	int64_t short_ms;
};

enum result { R_HIT, R_STALE, R_MISS, R_JOINED, R_NEGATIVE };
static const char *const results[] = { "hit", "stale", "miss", "joined", "negative" };

static void pump(struct zk_jet_hydrator *h);

static void on_pump(void *ctx)
{
	pump(ctx);
}

static void add_metrics(struct zk_jet_hydrator *h, struct zk_metrics *m)
{
	static const char *const kinds[] = { "profile", "post" };

	for (unsigned s = 0; s < 2; s++)
		for (unsigned r = 0; r < ZK_ARRAY_LEN(results); r++)
			h->sides[s].lookups[r] = zk_metrics_counter(
			        m, "zk_jetstream_lookups_total", "lookups of events",
			        (const char *[]){ "kind", kinds[s], "result", results[r],
			                          NULL });
	for (unsigned r = 1; r < ZK_JET_REASONS; r++)
		h->unresolved[r] = zk_metrics_counter(
		        m, "zk_jetstream_unresolved_total", "lookups without a result",
		        (const char *[]){ "reason",
		                          zk_jet_reason_name((enum zk_jet_reason)r),
		                          NULL });
}

struct zk_jet_hydrator *zk_jet_hydrator_new(struct zk_net *net,
                                            const struct zk_jet_hydrator_conf *conf,
                                            struct zk_metrics *m)
{
	struct zk_jet_hydrator *h = zk_new0(struct zk_jet_hydrator);

	h->conf = *conf;
	h->conf.posts.by_owner = true;
	h->loop = zk_net_loop(net);
	zk_jet_cache_init(&h->sides[0].cache, &h->conf.users);
	zk_jet_cache_init(&h->sides[1].cache, &h->conf.posts);
	for (unsigned s = 0; s < 2; s++) {
		zk_map_init(&h->sides[s].flights);
		zk_list_init(&h->sides[s].queue);
	}
	zk_list_init(&h->halves);
	zk_list_init(&h->batches);
	h->linger = zk_timer_new(h->loop, on_pump, h);
	h->conf.api.ctx = h;
	h->conf.api.on_room = on_pump;
	if (!conf->cached_only)
		h->api = zk_jet_api_new(net, &h->conf.api, m);
	add_metrics(h, m);
	return h;
}

static void free_flights(struct side *s)
{
	size_t pos = 0;
	zk_str key;
	void *v;

	while (zk_map_next(&s->flights, &pos, &key, &v)) {
		struct flight *f = v;

		/* Items that still wait have been freed by their owner before. */
		zk_list_remove(&f->waiters);
		free(f);
	}
	zk_map_done(&s->flights);
}

static void on_ready(void *ctx);

void zk_jet_hydrator_free(struct zk_jet_hydrator *h)
{
	if (!h)
		return;
	zk_loop_forget(h->loop, on_ready, h);
	zk_jet_api_free(h->api);
	ZK_LIST_EACH (it, &h->halves)
		free(ZK_LIST_ENTRY(it, struct batch, link));
	ZK_LIST_EACH (it, &h->batches)
		free(ZK_LIST_ENTRY(it, struct batch, link));
	for (unsigned s = 0; s < 2; s++) {
		free_flights(&h->sides[s]);
		zk_jet_cache_done(&h->sides[s].cache);
	}
	zk_timer_free(h->linger);
	free(h);
}

/* ---- one lookup ends ---- */

static void on_ready(void *ctx)
{
	struct zk_jet_hydrator *h = ctx;

	h->ready_due = false;
	h->conf.on_ready(h->conf.ctx);
}

static void settle(struct zk_jet_hydrator *h, struct zk_jet_lookup *l)
{
	struct zk_jet_item *i = l->item;

	zk_list_remove(&l->link);
	if (!l->waiting)
		return;
	l->waiting = false;
	if (--i->waiting || h->ready_due)
		return;
	h->ready_due = true;
	zk_loop_defer(h->loop, on_ready, h);
}

static bool is_excluded(const struct zk_jet_hydrator *h, const struct zk_jet_lookup *l)
{
	struct zk_jval v;
	zk_str did;

	return h->conf.filter && h->conf.filter->exclude.set.n && l->post &&
	       zk_jscan_get(zk_jet_obj_str(l->obj), ZK_STR("author.did"), &v) &&
	       zk_jstr_plain(v.raw, &did) && zk_jet_filter_excludes(h->conf.filter, did);
}

static void give(struct zk_jet_hydrator *h, struct zk_jet_lookup *l,
                 struct zk_jet_obj *obj)
{
	l->obj = zk_jet_obj_ref(obj);
	if (is_excluded(h, l)) {
		zk_jet_obj_unref(ZK_TAKE(l->obj));
		l->reason = ZK_JET_EXCLUDED;
	}
	settle(h, l);
}

static void refuse(struct zk_jet_hydrator *h, struct zk_jet_lookup *l,
                   enum zk_jet_reason reason)
{
	l->reason = reason;
	settle(h, l);
}

/* ---- one flight ends ---- */

static void land(struct zk_jet_hydrator *h, struct flight *f, struct zk_jet_obj *obj,
                 enum zk_jet_reason reason)
{
	struct side *s = &h->sides[f->post];

	if (!f->request)
		s->queued--;
	zk_list_remove(&f->link);
	(void)zk_map_del(&s->flights, zk_str_n(f->id, f->n));
	ZK_LIST_EACH (it, &f->waiters) {
		struct zk_jet_lookup *l = ZK_LIST_ENTRY(it, struct zk_jet_lookup, link);

		l->request = f->request;
		if (obj)
			give(h, l, obj);
		else
			refuse(h, l, reason);
	}
	free(f);
}

static void land_found(struct zk_jet_hydrator *h, struct flight *f, zk_str json)
{
	struct zk_jet_obj *obj = zk_jet_obj_new(json);

	zk_jet_cache_put(&h->sides[f->post].cache, zk_str_n(f->id, f->n), obj,
	                 zk_mono_ms());
	land(h, f, obj, ZK_JET_RESOLVED);
	zk_jet_obj_unref(obj);
}

static void land_absent(struct zk_jet_hydrator *h, struct flight *f, bool poison)
{
	zk_jet_cache_put_absent(&h->sides[f->post].cache, zk_str_n(f->id, f->n), poison,
	                        zk_mono_ms());
	land(h, f, NULL, poison ? ZK_JET_POISONED : ZK_JET_NOT_FOUND);
}

/* ---- answers ---- */

/* A post that was asked for by the handle of its author comes back with the DID. */
static bool is_by_handle(zk_str id, zk_str uri, zk_str obj)
{
	zk_str authority = zk_jet_uri_authority(id), real = zk_jet_uri_authority(uri);
	struct zk_jval v;

	return !zk_str_starts(authority, ZK_STR("did:")) &&
	       zk_str_eq(zk_str_from(id, 5 + authority.n),
	                 zk_str_from(uri, 5 + real.n)) &&
	       zk_jscan_get(obj, ZK_STR("author.handle"), &v) &&
	       zk_jstr_eq(v.raw, authority);
}

static void take_object(struct zk_jet_hydrator *h, struct batch *b, zk_str obj)
{
	struct zk_jval v;
	zk_str id;

	if (!zk_jscan_get(obj, b->posts ? ZK_STR("uri") : ZK_STR("did"), &v) ||
	    v.type != ZK_J_STRING || !zk_jstr_plain(v.raw, &id))
		return;
	for (size_t i = 0; i < b->n; i++) {
		struct flight *f = b->v[i];
		zk_str want = f ? zk_str_n(f->id, f->n) : ZK_STR_NULL;

		if (!f ||
		    !(zk_str_eq(want, id) || (b->posts && is_by_handle(want, id, obj))))
			continue;
		land_found(h, f, obj);
		b->v[i] = NULL;
	}
}

static void take_answer(struct zk_jet_hydrator *h, struct batch *b, zk_str body)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("profiles") } };
	struct zk_jscan js;
	struct zk_jiter it;
	struct zk_jval v;

	if (b->posts)
		want[0].name = ZK_STR("posts");
	if (zk_jscan(body, ZK_JSCAN_DEPTH_MAX, want, 1, &js) == 0) {
		zk_jiter_init(&it, want[0].val.raw);
		while (zk_jiter_element(&it, &v))
			if (v.type == ZK_J_OBJECT)
				take_object(h, b, v.raw);
	}
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i])
			land_absent(h, b->v[i], false);
}

static void split(struct zk_jet_hydrator *h, struct batch *b)
{
	if (b->n == 1) {
		land_absent(h, b->v[0], /* poison */ true);
		return;
	}
	for (unsigned half = 0; half < 2; half++) {
		size_t from = half ? b->n / 2 : 0, to = half ? b->n : b->n / 2;
		struct batch *p = zk_new0(struct batch);

		p->h = h;
		p->posts = b->posts;
		p->n = to - from;
		for (size_t k = 0; k < p->n; k++)
			p->v[k] = b->v[from + k];
		zk_list_init(&p->link);
		zk_list_push(&h->halves, &p->link);
	}
}

static void on_end(void *ctx, enum zk_jet_api_end end, zk_str body)
{
	static const enum zk_jet_reason reasons[] = {
		[ZK_JET_API_FAILED] = ZK_JET_API_ERROR,
		[ZK_JET_API_DOWN] = ZK_JET_API_AWAY,
		[ZK_JET_API_DENIED] = ZK_JET_API_ERROR,
	};
	struct batch *b = ctx;
	struct zk_jet_hydrator *h = b->h;

	zk_list_remove(&b->link);
	h->starved = false;
	if (end == ZK_JET_API_OK) {
		take_answer(h, b, body);
	} else if (end == ZK_JET_API_POISON) {
		split(h, b);
	} else {
		for (size_t i = 0; i < b->n; i++)
			land(h, b->v[i], NULL, reasons[end]);
	}
	free(b);
	pump(h);
}

/* ---- asking ---- */

static void ask(struct zk_jet_hydrator *h, struct batch *b)
{
	zk_str ids[ZK_JET_BATCH];
	uint64_t number;

	for (size_t i = 0; i < b->n; i++)
		ids[i] = zk_str_n(b->v[i]->id, b->v[i]->n);
	zk_list_push(&h->batches, &b->link);
	number = zk_jet_api_ask(h->api, b->posts, ids, b->n, on_end, b);
	for (size_t i = 0; i < b->n; i++)
		b->v[i]->request = number;
}

/* The next batch that is due: broken ones first, then what is full or waited long enough. */
static struct batch *next_batch(struct zk_jet_hydrator *h, int64_t now, int64_t *wait)
{
	struct zk_list *e = zk_list_pop(&h->halves);

	if (e)
		return ZK_LIST_ENTRY(e, struct batch, link);
	for (unsigned k = 0; k < 2; k++) {
		struct side *s = &h->sides[k];
		struct batch *b;
		int64_t age;

		if (!s->queued)
			continue;
		age = now - ZK_LIST_ENTRY(s->queue.next, struct flight, link)->queued_ms;
		if (s->queued < ZK_JET_BATCH && age < h->conf.linger_ms) {
			*wait = ZK_MIN(*wait, h->conf.linger_ms - age);
			continue;
		}
		b = zk_new0(struct batch);
		b->h = h;
		b->posts = k;
		zk_list_init(&b->link);
		while (b->n < ZK_JET_BATCH && (e = zk_list_pop(&s->queue)) != NULL) {
			b->v[b->n++] = ZK_LIST_ENTRY(e, struct flight, link);
			s->queued--;
		}
		return b;
	}
	return NULL;
}

/* The breaker is open: nobody waits for what will not be asked. */
static void give_up(struct zk_jet_hydrator *h)
{
	struct zk_list *e;

	while ((e = zk_list_pop(&h->halves)) != NULL) {
		struct batch *b = ZK_LIST_ENTRY(e, struct batch, link);

		for (size_t i = 0; i < b->n; i++)
			land(h, b->v[i], NULL, ZK_JET_API_AWAY);
		free(b);
	}
	for (unsigned k = 0; k < 2; k++)
		ZK_LIST_EACH (it, &h->sides[k].queue)
			land(h, ZK_LIST_ENTRY(it, struct flight, link), NULL,
			     ZK_JET_API_AWAY);
}

static void pump(struct zk_jet_hydrator *h)
{
	int64_t now = zk_mono_ms(), wait = INT64_MAX;

	if (!h->api)
		return;
	for (;;) {
		enum zk_jet_api_block block = zk_jet_api_blocked(h->api);
		struct batch *b;

		if (block == ZK_JET_API_BREAKER)
			give_up(h);
		if (block == ZK_JET_API_NO_TOKEN)
			h->starved = true;
		if (block != ZK_JET_API_FREE)
			return; /* on_room or an answer comes */
		b = next_batch(h, now, &wait);
		if (!b)
			break;
		ask(h, b);
	}
	if (wait != INT64_MAX)
		zk_timer_start(h->linger, ZK_MAX(wait, (int64_t)1), 0);
}

/* ---- lookups ---- */

static void join(struct zk_jet_hydrator *h, struct side *s, struct zk_jet_lookup *l,
                 zk_str id, bool post)
{
	struct flight *f = zk_map_get(&s->flights, id);

	if (f) {
		zk_counter_add(s->lookups[l ? R_JOINED : R_STALE], 1);
	} else {
		f = zk_alloc(sizeof(*f) + id.n);
		*f = (struct flight){ .post = post,
			              .n = id.n,
			              .queued_ms = zk_mono_ms() };
		memcpy(f->id, id.p, id.n);
		zk_list_init(&f->link);
		zk_list_init(&f->waiters);
		zk_list_push(&s->queue, &f->link);
		s->queued++;
		(void)zk_map_set(&s->flights, id, f);
		zk_counter_add(s->lookups[l ? R_MISS : R_STALE], 1);
		if (s->queued == 1 || s->queued >= ZK_JET_BATCH)
			pump(h);
	}
	/* pump() lands flights while the breaker is open. */
	f = l ? zk_map_get(&s->flights, id) : NULL;
	if (!l)
		return;
	if (!f) {
		l->reason = ZK_JET_API_AWAY;
		return;
	}
	l->waiting = true;
	l->item->waiting++;
	zk_list_push(&f->waiters, &l->link);
}

static void peek(struct zk_jet_hydrator *h, struct zk_jet_lookup *l, int64_t now)
{
	struct zk_jet_obj *obj = NULL;
	enum zk_jet_hit hit =
	        zk_jet_cache_get(&h->sides[l->post].cache, l->id, now, &obj);

	if (hit == ZK_JET_HIT || hit == ZK_JET_STALE)
		give(h, l, obj);
}

static void look_up(struct zk_jet_hydrator *h, struct zk_jet_lookup *l, int64_t now)
{
	struct side *s = &h->sides[l->post];
	struct zk_jet_obj *obj = NULL;
	enum zk_jet_hit hit;

	if (l->reason != ZK_JET_RESOLVED)
		return;
	if (l->peek) {
		peek(h, l, now);
		return;
	}
	hit = zk_jet_cache_get(&s->cache, l->id, now, &obj);
	switch (hit) {
	case ZK_JET_HIT:
		s->hits++;
		l->item->hits++;
		zk_counter_add(s->lookups[R_HIT], 1);
		give(h, l, obj);
		return;
	case ZK_JET_STALE:
		s->hits++;
		l->item->hits++;
		give(h, l, obj);
		if (h->api)
			join(h, s, NULL, l->id, l->post);
		return;
	case ZK_JET_NEGATIVE:
	case ZK_JET_POISON:
		s->hits++;
		l->item->hits++;
		zk_counter_add(s->lookups[R_NEGATIVE], 1);
		l->reason = hit == ZK_JET_POISON ? ZK_JET_POISONED : ZK_JET_NOT_FOUND;
		return;
	case ZK_JET_MISS:
		break;
	}
	s->misses++;
	l->item->misses++;
	if (h->api) {
		join(h, s, l, l->id, l->post);
		return;
	}
	zk_counter_add(s->lookups[R_MISS], 1);
	l->reason = ZK_JET_CACHED_ONLY;
}

void zk_jet_hydrate(struct zk_jet_hydrator *h, struct zk_jet_item *i)
{
	int64_t now = zk_loop_now_ms(h->loop);

	i->deadline_ms = h->conf.deadline_ms < 0 ? INT64_MAX : now + h->conf.deadline_ms;
	for (unsigned k = 0; k < i->n_lookups; k++)
		look_up(h, &i->lookups[k], now);
}

void zk_jet_hydrate_expire(struct zk_jet_hydrator *h, struct zk_jet_item *i)
{
	for (unsigned k = 0; k < i->n_lookups; k++) {
		struct zk_jet_lookup *l = &i->lookups[k];
		struct flight *f;

		if (!l->waiting)
			continue;
		f = zk_map_get(&h->sides[l->post].flights, l->id);
		zk_list_remove(&l->link);
		l->waiting = false;
		i->waiting--;
		l->request = f ? f->request : 0;
		l->reason =
		        f && !f->request && h->starved ? ZK_JET_BUDGET : ZK_JET_DEADLINE;
	}
}

/* Requests that it waited for, each once. */
static unsigned count_calls(const struct zk_jet_item *i)
{
	unsigned n = 0;

	for (unsigned k = 0; k < i->n_lookups; k++) {
		bool again = !i->lookups[k].request;

		for (unsigned j = 0; j < k && !again; j++)
			again = i->lookups[j].request == i->lookups[k].request;
		n += !again;
	}
	return n;
}

void zk_jet_hydrate_close(struct zk_jet_hydrator *h, struct zk_jet_item *i)
{
	i->hydration = ZK_JET_FULL;
	for (unsigned k = 0; k < i->n_lookups; k++) {
		const struct zk_jet_lookup *l = &i->lookups[k];

		if (l->reason == ZK_JET_RESOLVED || l->peek)
			continue;
		i->hydration = ZK_JET_PARTIAL;
		if (zk_jet_reason_passes(l->reason))
			h->short_ms = zk_mono_ms();
		zk_counter_add(h->unresolved[l->reason], 1);
	}
	i->calls = i->misses ? count_calls(i) : 0;
	h->by_hydration[i->hydration]++;
}

/* ---- what the stream says ---- */

void zk_jet_hydrate_observe(struct zk_jet_hydrator *h, const struct zk_jet_event *e)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, ZK_JET_EVENT_MAX);
	if (e->kind == ZK_JET_IDENTITY || e->kind == ZK_JET_ACCOUNT) {
		zk_jet_cache_drop(&h->sides[0].cache, e->did);
		if (!e->active)
			zk_jet_cache_drop_owner(&h->sides[1].cache, e->did);
	} else if (e->kind == ZK_JET_COMMIT &&
	           zk_str_eq(e->collection, ZK_STR("app.bsky.actor.profile"))) {
		zk_jet_cache_drop(&h->sides[0].cache, e->did);
	} else if (e->kind == ZK_JET_COMMIT &&
	           (e->op == ZK_JET_DELETE || e->op == ZK_JET_UPDATE) &&
	           zk_str_eq(e->collection, ZK_STR("app.bsky.feed.post")) &&
	           zk_jet_at_uri(e, &b)) {
		zk_jet_cache_drop(&h->sides[1].cache, zk_buf_str(&b));
	}
}

void zk_jet_hydrate_warm(struct zk_jet_hydrator *h, bool post, zk_str id, zk_str json,
                         int64_t age_ms)
{
	struct zk_jet_obj *obj = zk_jet_obj_new(json);

	zk_jet_cache_put(&h->sides[post].cache, id, obj, zk_mono_ms() - age_ms);
	zk_jet_obj_unref(obj);
}

struct zk_jet_cache *zk_jet_hydrator_cache(struct zk_jet_hydrator *h, bool posts)
{
	return &h->sides[posts].cache;
}

void zk_jet_hydrator_figures(const struct zk_jet_hydrator *h,
                             struct zk_jet_hydrator_figures *ret)
{
	const struct side *u = &h->sides[0], *p = &h->sides[1];

	memset(ret, 0, sizeof(*ret));
	ret->api.breaker = "closed";
	if (h->api)
		zk_jet_api_figures(h->api, &ret->api);
	ret->user_hits = u->hits;
	ret->user_misses = u->misses;
	ret->post_hits = p->hits;
	ret->post_misses = p->misses;
	ret->evictions = u->cache.evictions + p->cache.evictions;
	ret->users = u->cache.map.n;
	ret->posts = p->cache.map.n;
	ret->users_max = u->cache.conf.max_entries;
	ret->posts_max = p->cache.conf.max_entries;
	ret->users_bytes = u->cache.bytes;
	ret->posts_bytes = p->cache.bytes;
	memcpy(ret->by_hydration, h->by_hydration, sizeof(ret->by_hydration));
	ret->waiting = u->flights.n + p->flights.n;
	ret->short_ms = h->short_ms;
}
