/* The operators on a stream of events.
 * Layer: cmd. */
#include "cmd/events_ops.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/expr.h"
#include "codec/jscan.h"
#include "rt/loop.h"
#include "zip/recent.h"

#include "base/ban.h"

#define VALUES_MAX   65536
#define VALUES_MS    INT64_MAX
#define HELD_MAX     10000 /* events that wait for silence */
#define BUFFER_BYTES ((size_t)256 << 20)

/* The last event of a key, until it has been silent long enough. */
struct held {
	struct zk_list entry;
	struct zk_buf json;
	void *tag;
	char *key;
	size_t key_n;
	int64_t due_ms;
};

struct events_ops {
	struct events_ops_conf conf;
	struct zk_expr *filter;
	struct zk_zip_recent *values;
	uint64_t sample_n, sample_m, sampled;
	uint64_t skipped, counted;
	struct zk_map by_key;
	struct zk_list held; /* in the order in which they are due */
	size_t n_held;
	struct zk_timer *silence, *every;
	struct zk_buf array;
	void **tags; /* of the events in it */
	size_t n_array, n_room;
};

/* ---- buffer -------------------------------------------------------------------------------- */

static void flush_array(void *ctx)
{
	struct events_ops *o = ctx;
	size_t n = o->n_array;

	zk_timer_stop(o->every);
	if (!n)
		return;
	zk_buf_char(&o->array, ']');
	o->n_array = 0;
	o->conf.emit(o->conf.ctx, zk_buf_str(&o->array), o->tags, n);
	zk_buf_clear(&o->array);
}

static void keep_tag(struct events_ops *o, void *tag)
{
	if (o->n_array == o->n_room) {
		o->n_room = o->n_room ? o->n_room * 2 : 64;
		o->tags = zk_realloc(o->tags, o->n_room * sizeof(*o->tags));
	}
	o->tags[o->n_array] = tag;
}

static void buffer(struct events_ops *o, zk_str json, void *tag)
{
	if (!o->conf.opts->buffer && !o->conf.opts->every_ms) {
		o->conf.emit(o->conf.ctx, json, &tag, 1);
		return;
	}
	/* The bound of the bytes comes before that of the number. */
	if (o->array.n + json.n + 2 > BUFFER_BYTES)
		flush_array(o);
	zk_buf_char(&o->array, o->n_array ? ',' : '[');
	zk_buf_add(&o->array, json);
	keep_tag(o, tag);
	if (o->n_array++ == 0 && o->conf.opts->every_ms)
		zk_timer_start(o->every, o->conf.opts->every_ms, 0);
	if (o->n_array == o->conf.opts->buffer)
		flush_array(o);
}

/* ---- skip, count --------------------------------------------------------------------------- */

static void drop(struct events_ops *o, void *tag, bool late)
{
	if (o->conf.drop)
		o->conf.drop(o->conf.ctx, tag, late);
}

static void limit(struct events_ops *o, zk_str json, void *tag)
{
	const struct events_ops_opts *c = o->conf.opts;

	if (o->skipped < c->skip) {
		o->skipped++;
		drop(o, tag, /* late */ false);
		return;
	}
	if (c->count && o->counted == c->count) {
		drop(o, tag, /* late */ true);
		return;
	}
	o->counted++;
	buffer(o, json, tag);
	if (c->count && o->counted == c->count)
		o->conf.enough(o->conf.ctx);
}

/* ---- debounce ------------------------------------------------------------------------------ */

/* The one that is due first, taken off the list; NULL when there is none. */
static struct held *take_held(struct events_ops *o)
{
	struct zk_list *e = zk_list_pop(&o->held);

	return e ? ZK_LIST_ENTRY(e, struct held, entry) : NULL;
}

static void free_held(struct held *h)
{
	zk_buf_done(&h->json);
	free(h->key);
	free(h);
}

/* One that was taken off the list. */
static void release(struct events_ops *o, struct held *h)
{
	zk_map_del(&o->by_key, zk_str_n(h->key, h->key_n));
	o->n_held--;
	limit(o, zk_buf_str(&h->json), h->tag);
	free_held(h);
}

static void on_silence(void *ctx)
{
	struct events_ops *o = ctx;
	int64_t now = zk_loop_now_ms(o->conf.loop);
	struct held *h;

	while ((h = take_held(o)) != NULL) {
		if (h->due_ms > now) {
			zk_list_push_front(&o->held, &h->entry);
			zk_timer_start(o->silence, h->due_ms - now, 0);
			break;
		}
		release(o, h);
	}
}

static void debounce(struct events_ops *o, zk_str json, zk_str shown, void *tag)
{
	const struct events_ops_opts *c = o->conf.opts;
	struct zk_jval v;
	zk_str key = ZK_STR("");
	struct held *h;

	if (!c->debounce_ms) {
		limit(o, shown, tag);
		return;
	}
	if (c->key && zk_jscan_get(json, zk_str_of(c->key), &v))
		key = v.raw;
	h = zk_map_get(&o->by_key, key);
	if (!h) {
		if (o->n_held == HELD_MAX)
			release(o, take_held(o));
		h = zk_new0(struct held);
		zk_buf_init(&h->json, BUFFER_BYTES);
		h->key = zk_strndup(key.p, key.n);
		h->key_n = key.n;
		zk_map_set(&o->by_key, key, h);
		o->n_held++;
	} else {
		zk_list_remove(&h->entry);
		drop(o, h->tag, /* late */ false);
	}
	h->tag = tag;
	zk_buf_clear(&h->json);
	zk_buf_add(&h->json, shown);
	h->due_ms = zk_loop_now_ms(o->conf.loop) + c->debounce_ms;
	zk_list_push(&o->held, &h->entry);
	if (!zk_timer_is_active(o->silence))
		zk_timer_start(o->silence, c->debounce_ms, 0);
}

/* ---- filter, distinct, sample -------------------------------------------------------------- */

static bool is_new(struct events_ops *o, zk_str json)
{
	struct zk_jval v;

	if (!zk_jscan_get(json, zk_str_of(o->conf.opts->distinct), &v))
		return true;
	return zk_zip_recent_add(o->values, v.raw, zk_loop_now_ms(o->conf.loop));
}

/* Spread evenly; the first of each round is one of them. */
static bool is_sampled(struct events_ops *o)
{
	bool yes = o->sampled < o->sample_n;

	o->sampled += o->sample_n;
	o->sampled %= o->sample_m;
	return yes;
}

void events_ops_push(struct events_ops *o, zk_str json, zk_str shown, void *tag)
{
	if ((o->filter && !zk_expr_match(o->filter, json)) ||
	    (o->values && !is_new(o, json)) || (o->sample_m && !is_sampled(o)))
		drop(o, tag, /* late */ false);
	else
		debounce(o, json, shown, tag);
}

void events_ops_flush(struct events_ops *o)
{
	struct held *h;

	while ((h = take_held(o)) != NULL)
		release(o, h);
	flush_array(o);
}

/* ---- making them --------------------------------------------------------------------------- */

static int parse_sample(struct events_ops *o, struct zk_error *err)
{
	const char *text = o->conf.opts->sample;
	zk_str n, m;

	if (!text)
		return 0;
	m = zk_str_cut(zk_str_of(text), '/', &n);
	if (zk_parse_u64(n, &o->sample_n, err) < 0 ||
	    zk_parse_u64(m, &o->sample_m, err) < 0 || !o->sample_n ||
	    o->sample_m < o->sample_n || o->sample_m > UINT32_MAX)
		return zk_fail(err, ZK_E_USAGE, "--sample '%s' is not N/M, such as 1/100",
		               text);
	return 0;
}

int events_ops_new(const struct events_ops_conf *conf, struct events_ops **ret,
                   struct zk_error *err)
{
	struct zk_expr_conf expr = { .grammar = ZK_EXPR_EVENT, .what = "--filter" };
	struct events_ops *o = zk_new0(struct events_ops);

	o->conf = *conf;
	zk_map_init(&o->by_key);
	zk_list_init(&o->held);
	zk_buf_init(&o->array, BUFFER_BYTES + 2);
	o->silence = zk_timer_new(conf->loop, on_silence, o);
	o->every = zk_timer_new(conf->loop, flush_array, o);
	if (parse_sample(o, err) < 0 ||
	    (conf->opts->filter && zk_expr_compile(zk_str_of(conf->opts->filter), &expr,
	                                           &o->filter, err) < 0)) {
		events_ops_free(o);
		return -(int)err->code;
	}
	if (conf->opts->distinct)
		o->values = zk_zip_recent_new(VALUES_MAX, VALUES_MS);
	*ret = o;
	return 0;
}

void events_ops_free(struct events_ops *o)
{
	struct held *h;

	if (!o)
		return;
	while ((h = take_held(o)) != NULL)
		free_held(h);
	zk_map_done(&o->by_key);
	zk_timer_free(o->silence);
	zk_timer_free(o->every);
	zk_zip_recent_free(o->values);
	zk_expr_free(o->filter);
	zk_buf_done(&o->array);
	free(o->tags);
	free(o);
}
