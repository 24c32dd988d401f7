/* The SQLite store: walking through an inbox in the order of ids.
 * Layer: triggers. Any lane, inside a transaction of its connection.
 *
 * A filter is a handful of ranges ("streams"): one per status, or one per status and event type.
 * Each stream is read a chunk of ids at a time and the walk merges them through a heap, so a page
 * costs about what it returns, whatever the other statuses and types hold. A prefix that matches
 * more than MAX_STREAMS pairs of type and status falls back to reading the status ranges and
 * looking at each type. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum {
	ASC,
	DESC,
	TYPE_ASC,
	TYPE_DESC,
	SCAN_ASC,
	SCAN_DESC,
	COUNT,
	TYPE_COUNT,
	SCAN_COUNT,
	NEXT_TYPE,
	CREATED,
	N_SQL,
};

#define MAX_STREAMS 1024
#define MIN_CHUNK   8
#define MAX_CHUNK   256

#define RANGE " WHERE status=?1 AND organization_id=?2 AND event_id>?3 AND event_id<?4"
#define TYPE_RANGE                                                  \
	" WHERE organization_id=?2 AND event_type=?6 AND status=?1" \
	" AND event_id>?3 AND event_id<?4"
/* The plus keeps the planner on the primary key. */
#define SCAN_RANGE RANGE " AND +event_type>=?6 AND +event_type<?7"

static const char *const sql[N_SQL] = {
	[ASC] = "SELECT event_id FROM event_deliveries" RANGE
	        " ORDER BY event_id LIMIT ?5",
	[DESC] = "SELECT event_id FROM event_deliveries" RANGE
	         " ORDER BY event_id DESC LIMIT ?5",
	[TYPE_ASC] = "SELECT event_id FROM event_deliveries" TYPE_RANGE
	             " ORDER BY event_id LIMIT ?5",
	[TYPE_DESC] = "SELECT event_id FROM event_deliveries" TYPE_RANGE
	              " ORDER BY event_id DESC LIMIT ?5",
	[SCAN_ASC] = "SELECT event_id FROM event_deliveries" SCAN_RANGE
	             " ORDER BY event_id LIMIT ?5",
	[SCAN_DESC] = "SELECT event_id FROM event_deliveries" SCAN_RANGE
	              " ORDER BY event_id DESC LIMIT ?5",
	[COUNT] = "SELECT count(*) FROM event_deliveries" RANGE,
	[TYPE_COUNT] = "SELECT count(*) FROM event_deliveries" TYPE_RANGE,
	[SCAN_COUNT] = "SELECT count(*) FROM event_deliveries" SCAN_RANGE,
	[NEXT_TYPE] = "SELECT event_type FROM event_deliveries"
	              " WHERE organization_id=?1 AND event_type>=?2 AND event_type<?3"
	              " ORDER BY event_type LIMIT 1",
	[CREATED] = "SELECT e.created_at FROM event_deliveries d CROSS JOIN events e"
	            " ON e.seq=d.seq WHERE d.status=?1 AND d.organization_id=?2 AND "
	            "d.event_id=?3",
};

struct stream {
	enum zk_lite_state state;
	zk_str type; /* n == 0: by status alone */
	zk_uuid *ids;
	unsigned n, at, chunk;
	bool last; /* nothing behind this chunk */
};

struct zk_lite_walk {
	struct zk_lite_walker *wr;
	zk_uuid org;
	bool ascending;
	zk_uuid low, high; /* exclusive bounds */
	int64_t since_us, until_us;
	bool scan; /* streams by status, the type is looked at */
	char *scan_from, *scan_to;
	size_t scan_n;
	char **types; /* own the streams' texts */
	size_t n_types;
	struct stream *streams;
	size_t n_streams;
	size_t *heap; /* indexes of streams that have an id */
	size_t n_heap;
};

int zk_lite_walker_init(struct zk_lite_walker *wr, struct zk_db *db, struct zk_error *err)
{
	return zk_lite_prepare(db, sql, N_SQL, wr->st, err);
}

/* ---- bounds ------------------------------------------------------------------------------- */

static int compare(const zk_uuid *a, const zk_uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

static void set_bounds(struct zk_lite_walk *w, const struct zk_lite_query *q)
{
	w->since_us = q->since_us;
	w->until_us = q->until_us;
	zk_trig_id_bounds(q->since_us, q->until_us, &w->low, &w->high);
	if (!q->has_cursor)
		return;
	if (q->ascending && compare(&q->cursor, &w->low) > 0)
		w->low = q->cursor;
	if (!q->ascending && compare(&q->cursor, &w->high) < 0)
		w->high = q->cursor;
}

/* ---- streams ------------------------------------------------------------------------------ */

static size_t states_of(enum zk_trig_filter f, enum zk_lite_state out[ZK_LITE_STATES])
{
	static const enum zk_lite_state any[] = { ZK_LITE_PENDING,   ZK_LITE_DUE,
		                                  ZK_LITE_RETRYING,  ZK_LITE_FAILED,
		                                  ZK_LITE_DELIVERED, ZK_LITE_ACKED };
	size_t from = 0, n = ZK_LITE_STATES;

	switch (f) {
	case ZK_TRIG_ANY:
		break;
	case ZK_TRIG_ONLY_PENDING:
		n = 3;
		break;
	case ZK_TRIG_ONLY_RETRYING:
		from = ZK_LITE_RETRYING;
		n = 1;
		break;
	case ZK_TRIG_ONLY_DELIVERED:
		from = ZK_LITE_DELIVERED;
		n = 2;
		break;
	case ZK_TRIG_ONLY_ACKNOWLEDGED:
		from = ZK_LITE_ACKED;
		n = 1;
		break;
	case ZK_TRIG_ONLY_FAILED:
		from = ZK_LITE_FAILED;
		n = 1;
		break;
	}
	memcpy(out, any + from, n * sizeof(*out));
	return n;
}

static void add_streams(struct zk_lite_walk *w, const enum zk_lite_state *states,
                        size_t n, zk_str type, unsigned chunk)
{
	for (size_t i = 0; i < n; i++)
		w->streams[w->n_streams++] = (struct stream){ .state = states[i],
			                                      .type = type,
			                                      .chunk = chunk };
}

/* The smallest text that is greater than every text with this prefix: its last byte plus one
 * (valid UTF-8 never has 0xff). */
static char *after_prefix(zk_str prefix)
{
	char *s = zk_strndup(prefix.p, prefix.n);

	s[prefix.n - 1] = (char)((unsigned char)s[prefix.n - 1] + 1);
	return s;
}

/* Collects the types with the prefix, at most `max`. 1 = there are more. */
static int find_types(struct zk_lite_walk *w, zk_str prefix, size_t max,
                      struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *to = after_prefix(prefix);
	ZK_CLEANUP(zk_freep)
	char *from = zk_strndup(prefix.p, prefix.n);
	struct zk_stmt *st = w->wr->st[NEXT_TYPE];
	size_t from_n = prefix.n;

	w->types = zk_alloc_array(max, sizeof(*w->types));
	for (;;) {
		int r;

		zk_lite_bind_id(st, 1, &w->org);
		zk_bind_text(st, 2, zk_str_n(from, from_n));
		zk_bind_text(st, 3, zk_str_n(to, prefix.n));
		r = zk_stmt_step(st, err);
		if (r <= 0)
			return r;
		if (w->n_types == max) {
			zk_stmt_reset(st);
			return 1;
		}
		zk_str type = zk_col_text(st, 0);

		w->types[w->n_types++] = zk_strndup(type.p, type.n);
		free(from);
		from_n = type.n + 1; /* with the NUL: the next text there can be */
		from = zk_strndup(type.p, type.n);
		zk_stmt_reset(st);
	}
}

static int make_streams(struct zk_lite_walk *w, const struct zk_lite_query *q,
                        size_t want, struct zk_error *err)
{
	enum zk_lite_state states[ZK_LITE_STATES];
	size_t n = states_of(q->filter, states);
	unsigned wide = (unsigned)ZK_MIN(ZK_MAX(want, MIN_CHUNK), MAX_CHUNK);
	zk_str prefix = q->type;

	w->streams = zk_alloc_array(MAX_STREAMS, sizeof(*w->streams));
	if (!zk_str_ends(q->type, ZK_STR("*"))) {
		add_streams(w, states, n, q->type, wide);
		return 0;
	}
	prefix.n--;
	if (!prefix.n) {
		add_streams(w, states, n, ZK_STR_NULL, wide);
		return 0;
	}
	int r = find_types(w, prefix, MAX_STREAMS / n, err);

	if (r < 0)
		return r;
	if (r > 0) {
		w->scan = true;
		w->scan_n = prefix.n;
		w->scan_from = zk_strndup(prefix.p, prefix.n);
		w->scan_to = after_prefix(prefix);
		add_streams(w, states, n, ZK_STR_NULL, wide);
		return 0;
	}
	for (size_t i = 0; i < w->n_types; i++)
		add_streams(w, states, n, zk_str_of(w->types[i]),
		            w->n_types > 4 ? MIN_CHUNK : wide);
	return 0;
}

/* Binds what all range statements share. */
static void bind_range(struct zk_lite_walk *w, const struct stream *s, struct zk_stmt *st)
{
	zk_bind_i64(st, 1, s->state);
	zk_lite_bind_id(st, 2, &w->org);
	zk_lite_bind_id(st, 3, &w->low);
	zk_lite_bind_id(st, 4, &w->high);
	if (w->scan) {
		zk_bind_text(st, 6, zk_str_n(w->scan_from, w->scan_n));
		zk_bind_text(st, 7, zk_str_n(w->scan_to, w->scan_n));
	} else if (s->type.n) {
		zk_bind_text(st, 6, s->type);
	}
}

static int refill(struct zk_lite_walk *w, struct stream *s, struct zk_error *err)
{
	int base = w->scan ? SCAN_ASC : s->type.n ? TYPE_ASC : ASC;
	struct zk_stmt *st = w->wr->st[base + !w->ascending];
	int r = 1;

	bind_range(w, s, st);
	if (s->n) { /* go on behind the last one */
		zk_lite_bind_id(st, w->ascending ? 3 : 4, &s->ids[s->n - 1]);
		s->chunk = ZK_MIN(s->chunk * 2, MAX_CHUNK);
	}
	zk_bind_i64(st, 5, s->chunk);
	/* The bound id may be the buffer's own: SQLite has read it by the first step. */
	zk_uuid *ids = zk_alloc_array(s->chunk, sizeof(*ids));
	unsigned n = 0;

	while (n < s->chunk) {
		r = zk_stmt_step(st, err);
		if (r <= 0)
			break;
		ids[n++] = zk_lite_col_id(st, 0);
	}
	if (n == s->chunk)
		zk_stmt_reset(st);
	else if (r < 0) {
		free(ids);
		return r;
	}
	free(s->ids);
	s->ids = ids;
	s->n = n;
	s->at = 0;
	s->last = n < s->chunk;
	return 0;
}

/* ---- the heap ----------------------------------------------------------------------------- */

static bool before(const struct zk_lite_walk *w, size_t a, size_t b)
{
	const struct stream *x = &w->streams[a], *y = &w->streams[b];
	int c = compare(&x->ids[x->at], &y->ids[y->at]);

	return w->ascending ? c < 0 : c > 0;
}

static void sift_down(struct zk_lite_walk *w, size_t i)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->n_heap)
			return;
		if (child + 1 < w->n_heap &&
		    before(w, w->heap[child + 1], w->heap[child]))
			child++;
		if (!before(w, w->heap[child], w->heap[i]))
			return;
		size_t t = w->heap[i];

		w->heap[i] = w->heap[child];
		w->heap[child] = t;
		i = child;
	}
}

/* Moves the stream at the top on to its next id, or takes it off. */
static int advance_top(struct zk_lite_walk *w, struct zk_error *err)
{
	struct stream *s = &w->streams[w->heap[0]];

	s->at++;
	if (s->at == s->n && !s->last && refill(w, s, err) < 0)
		return zk_lite_code(err);
	if (s->at == s->n)
		w->heap[0] = w->heap[--w->n_heap];
	sift_down(w, 0);
	return 0;
}

static int fill_heap(struct zk_lite_walk *w, struct zk_error *err)
{
	w->heap = zk_alloc_array(w->n_streams + 1, sizeof(*w->heap));
	for (size_t i = 0; i < w->n_streams; i++) {
		if (refill(w, &w->streams[i], err) < 0)
			return zk_lite_code(err);
		if (w->streams[i].n)
			w->heap[w->n_heap++] = i;
	}
	for (size_t i = w->n_heap; i-- > 0;)
		sift_down(w, i);
	return 0;
}

/* ---- walks -------------------------------------------------------------------------------- */

/* A walk without its first chunks. */
static int start(struct zk_lite_walker *wr, const struct zk_lite_query *q, size_t want,
                 struct zk_lite_walk **ret, struct zk_error *err)
{
	ZK_CLEANUP(zk_lite_walk_closep)
	struct zk_lite_walk *w = zk_new0(struct zk_lite_walk);

	w->wr = wr;
	w->org = q->org;
	w->ascending = q->ascending;
	set_bounds(w, q);
	if (make_streams(w, q, want, err) < 0)
		return zk_lite_code(err);
	*ret = ZK_TAKE(w);
	return 0;
}

int zk_lite_walk_open(struct zk_lite_walker *wr, const struct zk_lite_query *q,
                      size_t want, struct zk_lite_walk **ret, struct zk_error *err)
{
	ZK_CLEANUP(zk_lite_walk_closep)
	struct zk_lite_walk *w = NULL;

	if (start(wr, q, want, &w, err) < 0 || fill_heap(w, err) < 0)
		return zk_lite_code(err);
	*ret = ZK_TAKE(w);
	return 0;
}

void zk_lite_walk_close(struct zk_lite_walk *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_streams; i++)
		free(w->streams[i].ids);
	for (size_t i = 0; i < w->n_types; i++)
		free(w->types[i]);
	free(w->types);
	free(w->streams);
	free(w->heap);
	free(w->scan_from);
	free(w->scan_to);
	free(w);
}

void zk_lite_walk_closep(struct zk_lite_walk **w)
{
	zk_lite_walk_close(*w);
}

/* Ids are exact to the millisecond; within the first and the last one the event decides. 1 = it
 * belongs to the range. */
static int in_time(struct zk_lite_walk *w, enum zk_lite_state state, const zk_uuid *id,
                   struct zk_error *err)
{
	struct zk_stmt *st = w->wr->st[CREATED];
	int64_t ms = zk_trig_id_ms(id), created;
	int r;

	if (!(w->since_us && ms == zk_trig_id_clamp(w->since_us)) &&
	    !(w->until_us && ms == zk_trig_id_clamp(w->until_us)))
		return 1;
	zk_bind_i64(st, 1, state);
	zk_lite_bind_id(st, 2, &w->org);
	zk_lite_bind_id(st, 3, id);
	r = zk_stmt_step(st, err);
	if (r <= 0)
		return r;
	created = zk_col_i64(st, 0);
	zk_stmt_reset(st);
	return (!w->since_us || created >= w->since_us) &&
	       (!w->until_us || created < w->until_us);
}

int zk_lite_walk_next(struct zk_lite_walk *w, enum zk_lite_state *state, zk_uuid *id,
                      struct zk_error *err)
{
	while (w->n_heap) {
		struct stream *s = &w->streams[w->heap[0]];
		int r;

		*state = s->state;
		*id = s->ids[s->at];
		r = in_time(w, *state, id, err);
		if (r < 0 || advance_top(w, err) < 0)
			return zk_lite_code(err);
		if (r > 0)
			return 1;
	}
	return 0;
}

/* ---- counting ----------------------------------------------------------------------------- */

/* All rows between the bounds, which are exact here. */
static int count_range(struct zk_lite_walk *w, uint64_t *n, struct zk_error *err)
{
	for (size_t i = 0; i < w->n_streams; i++) {
		const struct stream *s = &w->streams[i];
		struct zk_stmt *st = w->wr->st[w->scan     ? SCAN_COUNT
		                               : s->type.n ? TYPE_COUNT
		                                           : COUNT];
		int r;

		bind_range(w, s, st);
		r = zk_stmt_step(st, err);
		if (r < 0)
			return r;
		*n += r > 0 ? (uint64_t)zk_col_i64(st, 0) : 0;
		zk_stmt_reset(st);
	}
	return 0;
}

/* The rows of one millisecond, each looked at. */
static int count_ms(struct zk_lite_walker *wr, const struct zk_lite_query *q, int64_t ms,
                    uint64_t *n, struct zk_error *err)
{
	struct zk_lite_query one = *q;
	ZK_CLEANUP(zk_lite_walk_closep)
	struct zk_lite_walk *w = NULL;
	enum zk_lite_state state;
	zk_uuid id;
	int r;

	one.ascending = true;
	one.has_cursor = true;
	one.cursor = zk_trig_id_at(ms, 0);
	if (zk_lite_walk_open(wr, &one, MIN_CHUNK, &w, err) < 0)
		return zk_lite_code(err);
	while ((r = zk_lite_walk_next(w, &state, &id, err)) > 0 &&
	       zk_trig_id_ms(&id) == ms)
		(*n)++;
	return r < 0 ? r : 0;
}

int zk_lite_walk_count(struct zk_lite_walker *wr, const struct zk_lite_query *q,
                       uint64_t *ret, struct zk_error *err)
{
	struct zk_lite_query all = *q;
	ZK_CLEANUP(zk_lite_walk_closep)
	struct zk_lite_walk *w = NULL;
	int64_t since = zk_trig_id_clamp(q->since_us),
	        until = zk_trig_id_clamp(q->until_us);
	uint64_t n = 0;

	all.has_cursor = false;
	if (start(wr, &all, 1, &w, err) < 0)
		return zk_lite_code(err);
	/* The milliseconds at the ends are counted one by one, the rest as ranges. */
	if (q->since_us)
		w->low = zk_trig_id_at(since, 0xff);
	if (q->until_us)
		w->high = zk_trig_id_at(until, 0);
	if (compare(&w->low, &w->high) < 0 && count_range(w, &n, err) < 0)
		return zk_lite_code(err);
	if (q->since_us && count_ms(wr, &all, since, &n, err) < 0)
		return zk_lite_code(err);
	if (q->until_us && !(q->since_us && until == since) &&
	    count_ms(wr, &all, until, &n, err) < 0)
		return zk_lite_code(err);
	*ret = n;
	return 0;
}
