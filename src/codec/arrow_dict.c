/* Arrow dictionaries: kept between batches, grown by deltas, replaced; and the way from a row to
 * its value through them and through run ends.
 * Layer: codec. specs/zerobus.md §12.3. */
#include <stdlib.h>
#include <string.h>

#include "codec/arrow_int.h"
#include "codec/le.h"

#include "base/ban.h"

enum { DICT_BATCH_ID = 0, DICT_BATCH_DATA = 1, DICT_BATCH_DELTA = 2 };

static void drop_chunks(struct zk_arrow_dicts *ds, struct zk_arrow_dict *d)
{
	for (size_t i = 0; i < d->n_chunks; i++) {
		zk_arrow_store_done(&d->chunks[i].store);
		free(d->chunks[i].body);
	}
	free(d->chunks);
	d->chunks = NULL;
	d->n_chunks = d->room = 0;
	d->n = 0;
	ds->bytes -= d->bytes;
	d->bytes = 0;
}

void zk_arrow_dicts_done(struct zk_arrow_dicts *ds)
{
	for (size_t i = 0; i < ds->n; i++)
		drop_chunks(ds, &ds->d[i]);
	free(ds->d);
	*ds = (struct zk_arrow_dicts){ 0 };
}

static int by_id(const void *a, const void *b)
{
	const struct zk_arrow_dict *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->field < y->field ? -1 : x->field > y->field;
}

int zk_arrow_dicts_init(struct zk_arrow_dicts *ds, const struct zk_arrow_schema *s,
                        struct zk_error *err)
{
	size_t n = 0, kept = 0;

	for (uint32_t i = 0; i < s->n_fields; i++)
		n += s->fields[i].has_dict;
	*ds = (struct zk_arrow_dicts){ 0 };
	if (!n)
		return 0;
	ds->d = zk_alloc_array(n, sizeof(*ds->d));
	n = 0;
	for (uint32_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].has_dict)
			ds->d[n++] = (struct zk_arrow_dict){ .id = s->fields[i].dict_id,
				                             .field = i };
	qsort(ds->d, n, sizeof(*ds->d), by_id);
	for (size_t i = 0; i < n; i++) {
		if (kept && ds->d[kept - 1].id == ds->d[i].id) {
			if (!zk_arrow_same_type(s, ds->d[kept - 1].field, s,
			                        ds->d[i].field)) {
				ds->n = kept;
				return zk_fail(err, ZK_E_ZB_ARROW,
				               "the fields of dictionary %lld have "
				               "different types",
				               (long long)ds->d[i].id);
			}
			continue;
		}
		ds->d[kept++] = ds->d[i];
	}
	ds->n = kept;
	return 0;
}

struct zk_arrow_dict *zk_arrow_dict_find(const struct zk_arrow_dicts *ds, int64_t id)
{
	size_t low = 0, high = ds->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (ds->d[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < ds->n && ds->d[low].id == id ? &ds->d[low] : NULL;
}

static struct zk_arrow_chunk *add_chunk(struct zk_arrow_dict *d)
{
	struct zk_arrow_chunk *c;

	if (d->n_chunks == d->room) {
		d->room = d->room ? d->room * 2 : 1;
		d->chunks = zk_realloc(d->chunks, d->room * sizeof(*d->chunks));
	}
	c = &d->chunks[d->n_chunks++];
	*c = (struct zk_arrow_chunk){ .start = d->n };
	return c;
}

static int read_chunk(struct zk_arrow_dicts *ds, struct zk_arrow_dict *d,
                      const struct zk_arrow_read *rd, const struct zk_fb_table *t,
                      struct zk_error *err)
{
	struct zk_arrow_chunk *c = add_chunk(d);
	struct zk_arrow_read mine = *rd;
	uint64_t bytes;
	int64_t rows;

	zk_buf_init(&c->store.plain, (size_t)rd->max_body);
	c->body = zk_alloc(rd->body.n + 1);
	if (rd->body.n)
		memcpy(c->body, rd->body.p, rd->body.n);
	mine.first = d->field;
	mine.n_fields = rd->schema->fields[d->field].span;
	mine.is_dict = true;
	mine.body = zk_str_n(c->body, rd->body.n);
	mine.store = &c->store;
	if (zk_arrow_batch_read(&mine, t, &rows, err) < 0)
		return -(int)err->code;
	bytes = rd->body.n + c->store.plain.room + sizeof(*c) +
	        mine.n_fields * sizeof(struct zk_arrow_col);
	c->n = rows;
	d->n += rows;
	d->bytes += bytes;
	ds->bytes += bytes;
	d->present = true;
	if (ds->bytes > rd->max_body)
		return zk_fail(err, ZK_E_ZB_ARROW_LIMIT,
		               "the dictionaries take more than %llu bytes "
		               "(--arrow-max-body)",
		               (unsigned long long)rd->max_body);
	return 0;
}

int zk_arrow_dict_read(struct zk_arrow_dicts *ds, const struct zk_arrow_read *rd,
                       const struct zk_fb_table *t, struct zk_error *err)
{
	int64_t id = zk_fb_i64(t, DICT_BATCH_ID, 0);
	bool delta = zk_fb_u8(t, DICT_BATCH_DELTA, 0);
	struct zk_arrow_dict *d;
	struct zk_fb_table data;

	zk_fb_sub(t, DICT_BATCH_DATA, &data);
	if (!data.fb)
		return zk_fail(err, ZK_E_ZB_ARROW, "a dictionary without values");
	d = zk_arrow_dict_find(ds, id);
	if (!d)
		return zk_fail(err, ZK_E_ZB_ARROW, "no column uses the dictionary %lld",
		               (long long)id);
	if (delta && !d->present)
		return zk_fail(err, ZK_E_ZB_ARROW,
		               "the dictionary %lld is added to before it was given",
		               (long long)id);
	if (!delta)
		drop_chunks(ds, d);
	if (read_chunk(ds, d, rd, &data, err) < 0)
		return zk_wrap(err, "dictionary %lld", (long long)id);
	ds->last_id = id;
	ds->last_delta = delta;
	return 0;
}

/* ---- from a row to its value ---- */

static int64_t load_index(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                          int64_t i)
{
	const uint8_t *p = c->data + i * f->index_width;

	switch (f->index_width) {
	case 1:
		return f->index_signed ? (int8_t)p[0] : p[0];
	case 2:
		return f->index_signed ? (int16_t)zk_le_u16(p) : zk_le_u16(p);
	case 4:
		return f->index_signed ? zk_le_i32(p) : (int64_t)zk_le_u32(p);
	}
	/* An unsigned one above 2^63 becomes negative: outside in any case. */
	return zk_le_i64(p);
}

static const struct zk_arrow_chunk *find_chunk(const struct zk_arrow_dict *d, int64_t i)
{
	size_t low = 0, high = d->n_chunks;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (d->chunks[mid].start <= i)
			low = mid;
		else
			high = mid;
	}
	return &d->chunks[low];
}

static bool through_dict(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                         struct zk_arrow_at *at)
{
	int64_t i = load_index(f, c, at->i);
	const struct zk_arrow_chunk *chunk;

	if (i < 0 || i >= c->dict->n)
		return false;
	chunk = find_chunk(c->dict, i);
	at->cols = (struct zk_arrow_cols){ .col = chunk->store.cols,
		                           .first = at->field,
		                           .n = f->span };
	at->i = i - chunk->start;
	return at->i < chunk->n;
}

static void through_runs(const struct zk_arrow_schema *s, struct zk_arrow_at *at)
{
	uint32_t ends = at->field + 1;
	const struct zk_arrow_col *c = zk_arrow_col(&at->cols, ends);
	int64_t low = 0, high = c->n;

	while (low < high) {
		int64_t mid = low + (high - low) / 2;

		if (zk_arrow_int(&s->fields[ends], c, mid) <= at->i)
			low = mid + 1;
		else
			high = mid;
	}
	at->field = zk_arrow_sibling(s, ends);
	at->i = low;
}

enum zk_arrow_found zk_arrow_resolve(const struct zk_arrow_schema *s,
                                     struct zk_arrow_at *at)
{
	for (;;) {
		const struct zk_arrow_field *f = &s->fields[at->field];
		const struct zk_arrow_col *c = zk_arrow_col(&at->cols, at->field);

		if (at->i < 0 || at->i >= c->n)
			return ZK_ARROW_OUTSIDE;
		if (!zk_arrow_is_valid(c, at->i))
			return ZK_ARROW_IS_NULL;
		if (c->dict) {
			if (!through_dict(f, c, at))
				return ZK_ARROW_OUTSIDE;
		} else if (f->type == ZK_ARROW_RUN_END) {
			through_runs(s, at);
		} else {
			return f->type == ZK_ARROW_NULL ? ZK_ARROW_IS_NULL
			                                : ZK_ARROW_VALUE;
		}
	}
}
