/* Walking over the records of the spool: to look, to drop, to try again.
 * Layer: store. */
#include "base/mem.h"
#include "store/spool_int.h"

#include "base/ban.h"

#define PAGE_RECORDS 64
#define PAGE_BYTES   ((size_t)4 << 20)

bool zk_spool_target_matches(const struct zk_spool_filter *filter, zk_str kind,
                             zk_str dest)
{
	struct zk_buf text;
	bool ok = filter->n_targets == 0;

	zk_buf_init(&text, 2 * ZK_SPOOL_TEXT_MAX);
	zk_buf_add(&text, kind);
	zk_buf_char(&text, ':');
	zk_buf_add(&text, dest);
	for (size_t i = 0; !ok && i < filter->n_targets; i++)
		ok = zk_str_glob(zk_str_of(filter->targets[i]), zk_buf_str(&text));
	zk_buf_done(&text);
	return ok;
}

static bool matches(const struct zk_spool *sp, const struct zk_spool_filter *f,
                    struct zk_stmt *st)
{
	if (f->before_us && zk_col_i64(st, 2) >= f->before_us)
		return false;
	if (f->states && !(f->states & 1u << zk_spool_state_of(sp, zk_col_i64(st, 1))))
		return false;
	return f->n_targets == 0 ||
	       zk_spool_target_matches(f, zk_col_text(st, 4), zk_col_text(st, 5));
}

struct walk {
	struct zk_spool *sp;
	const struct zk_spool_filter *filter;
	int64_t after;  /* last id looked at */
	size_t at;      /* next of filter->ids */
	uint64_t given; /* matches so far */
};

static bool wants_more(const struct walk *w, size_t n, size_t bytes)
{
	return n < PAGE_RECORDS && bytes < PAGE_BYTES &&
	       (!w->filter->limit || w->given + n < w->filter->limit);
}

/* The next matching records in id order. */
static int page_of_all(struct walk *w, struct zk_spool_batch *b, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(w->sp, SQL_WALK, err);
	size_t bytes = 0;
	int r = 1;

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, w->after);
	while (r > 0 && wants_more(w, b->n, bytes)) {
		r = zk_stmt_step(st, err);
		if (r <= 0)
			break;
		w->after = zk_col_i64(st, 0);
		if (!matches(w->sp, w->filter, st))
			continue;
		int q = zk_spool_record(w->sp, st, w->filter->no_body, &b->v[b->n], err);

		if (q < 0)
			r = q;
		else
			bytes += b->v[b->n++].body.n;
	}
	zk_stmt_reset(st);
	return r < 0 ? r : 0;
}

/* The next matching ones of the ids that were asked for. */
static int page_of_ids(struct walk *w, struct zk_spool_batch *b, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(w->sp, SQL_WALK_ONE, err);
	size_t bytes = 0;

	if (!st)
		return -(int)err->code;
	while (w->at < w->filter->n_ids && wants_more(w, b->n, bytes)) {
		zk_bind_i64(st, 1, w->filter->ids[w->at++]);
		int r = zk_stmt_step(st, err);

		if (r < 0)
			return r;
		if (r > 0 && matches(w->sp, w->filter, st)) {
			r = zk_spool_record(w->sp, st, w->filter->no_body, &b->v[b->n],
			                    err);
			if (r == 0)
				bytes += b->v[b->n++].body.n;
		}
		zk_stmt_reset(st);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Fills `b` (empty at the end). */
static int next_page(struct walk *w, struct zk_spool_batch *b, struct zk_error *err)
{
	*b = (struct zk_spool_batch){ .v = zk_alloc_array(PAGE_RECORDS, sizeof(*b->v)) };
	int r = w->filter->ids ? page_of_ids(w, b, err) : page_of_all(w, b, err);

	w->given += b->n;
	if (r < 0)
		zk_spool_batch_done(b);
	return r;
}

int zk_spool_each(struct zk_spool *sp, const struct zk_spool_filter *filter,
                  zk_spool_fn fn, void *ctx, struct zk_error *err)
{
	struct walk w = { .sp = sp, .filter = filter };
	struct zk_spool_batch b;
	bool more = true;

	while (more) {
		int r = next_page(&w, &b, err);

		if (r < 0)
			return r;
		for (size_t i = 0; r >= 0 && i < b.n; i++)
			r = fn(ctx, &b.v[i], err);
		more = b.n > 0;
		zk_spool_batch_done(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Does something to the ids of a page of matching records; adds how many it did it to. */
typedef int (*page_fn)(struct zk_spool *sp, const int64_t *ids, size_t n, uint64_t *done,
                       struct zk_error *err);

static int for_pages(struct zk_spool *sp, const struct zk_spool_filter *filter,
                     unsigned states, page_fn fn, uint64_t *done, struct zk_error *err)
{
	struct zk_spool_filter f = *filter;
	struct walk w = { .sp = sp, .filter = &f };
	bool more = true;

	f.no_body = true;
	f.states = f.states ? f.states & states : states;
	while (more && f.states) {
		struct zk_spool_batch b;
		int64_t ids[PAGE_RECORDS];
		int r = next_page(&w, &b, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < b.n; i++)
			ids[i] = b.v[i].id;
		more = b.n > 0;
		r = more ? fn(sp, ids, b.n, done, err) : 0;
		zk_spool_batch_done(&b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int drop_page(struct zk_spool *sp, const int64_t *ids, size_t n, uint64_t *done,
                     struct zk_error *err)
{
	size_t there = 0;
	int r = zk_spool_delete(sp, ids, n, /* durable */ true, &there, err);

	*done += there;
	return r;
}

int zk_spool_drop(struct zk_spool *sp, const struct zk_spool_filter *filter,
                  uint64_t *ret_n, struct zk_error *err)
{
	unsigned states = 1u << ZK_SPOOL_WAITING | 1u << ZK_SPOOL_FAILED;
	uint64_t n = 0;
	int r = for_pages(sp, filter, states, drop_page, &n, err);

	if (r == 0)
		*ret_n = n;
	return r;
}

static int retry_page(struct zk_spool *sp, const int64_t *ids, size_t n, uint64_t *done,
                      struct zk_error *err)
{
	int r = zk_spool_enter(sp, /* durable */ false, err);

	if (r < 0)
		return r;
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_RETRY, err);

	if (!st)
		r = -(int)err->code;
	for (size_t i = 0; r == 0 && i < n; i++) {
		zk_bind_i64(st, 1, ids[i]);
		r = zk_stmt_run(st, err);
		*done += (uint64_t)zk_db_changes(sp->db);
	}
	return zk_spool_leave(sp, r, err);
}

int zk_spool_retry(struct zk_spool *sp, const struct zk_spool_filter *filter,
                   uint64_t *ret_n, struct zk_error *err)
{
	uint64_t n = 0;
	int r = for_pages(sp, filter, 1u << ZK_SPOOL_FAILED, retry_page, &n, err);

	if (r == 0)
		*ret_n = n;
	return r;
}
