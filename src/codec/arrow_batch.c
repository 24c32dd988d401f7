/* Arrow record batches: from metadata and body to arrays.
 * Layer: codec. specs/zerobus.md §12.3, appendix B. */
#include <stdlib.h>
#include <string.h>

#include "codec/arrow_int.h"
#include "codec/le.h"
#include "codec/press_block.h"

#include "base/ban.h"

enum {
	BATCH_LENGTH = 0,
	BATCH_NODES = 1,
	BATCH_BUFFERS = 2,
	BATCH_PRESS = 3,
	BATCH_VARIADIC = 4
};
#define VERSION_V4 3

/* Where the reading stands. */
struct cursor {
	const struct zk_arrow_read *rd;
	struct zk_error *err;
	struct zk_fb_vec nodes, buffers, variadic;
	uint32_t node, buffer, view;
	int codec;      /* -1 = not compressed */
	uint32_t field; /* the one that is read, for messages */
};

void zk_arrow_store_done(struct zk_arrow_store *s)
{
	free(s->cols);
	free(s->views);
	zk_buf_done(&s->plain);
	s->cols = NULL;
	s->views = NULL;
	s->room = 0;
	s->n_views = s->views_room = 0;
}

static int broken(struct cursor *c, const char *what)
{
	(void)zk_fail(c->err, ZK_E_ZB_ARROW, "%s", what);
	return zk_arrow_wrap_field(c->rd->schema, c->field, c->err);
}

/* ---- buffers ---- */

/* The bytes of buffer `i` as they stand in the body. */
static int raw_buffer(struct cursor *c, uint32_t i, zk_str *ret)
{
	const uint8_t *p = zk_fb_at(&c->buffers, i, 16);
	int64_t off = zk_le_i64(p), n = zk_le_i64(p + 8);
	uint64_t room = c->rd->body.n;

	if (off < 0 || n < 0)
		return broken(c, "a buffer has a negative offset or length");
	if ((uint64_t)off > room || (uint64_t)n > room - (uint64_t)off)
		return broken(c, "a buffer reaches past the body");
	*ret = n ? zk_str_n(c->rd->body.p + off, (size_t)n) : ZK_STR_NULL;
	return 0;
}

/* What the buffer expands to, from its prefix; -1 = stored as it is. */
static int plain_size(struct cursor *c, zk_str raw, int64_t *ret)
{
	if (raw.n < 8) {
		(void)zk_fail(c->err, ZK_E_ZB_ARROW_PRESS,
		              "a compressed buffer has no length");
		return zk_arrow_wrap_field(c->rd->schema, c->field, c->err);
	}
	*ret = zk_le_i64(raw.p);
	if (*ret < -1) {
		(void)zk_fail(c->err, ZK_E_ZB_ARROW_PRESS,
		              "a compressed buffer states the length %lld",
		              (long long)*ret);
		return zk_arrow_wrap_field(c->rd->schema, c->field, c->err);
	}
	return 0;
}

/* Makes room for all that will be decompressed, before any of it is. */
static int reserve_plain(struct cursor *c)
{
	struct zk_buf *plain = &c->rd->store->plain;
	uint64_t total = 0;

	for (uint32_t i = 0; i < c->buffers.count; i++) {
		int64_t n = 0;
		zk_str raw = ZK_STR_NULL;

		if (raw_buffer(c, i, &raw) < 0 || (raw.n && plain_size(c, raw, &n) < 0))
			return -(int)c->err->code;
		if (n <= 0)
			continue;
		if ((uint64_t)n > c->rd->max_body - total)
			return zk_fail(
			        c->err, ZK_E_ZB_ARROW_LIMIT,
			        "the compressed buffers expand to more than %llu bytes "
			        "(--arrow-max-body)",
			        (unsigned long long)c->rd->max_body);
		total += (uint64_t)n;
	}
	zk_buf_clear(plain);
	plain->cap = (size_t)c->rd->max_body;
	if (plain->room < total)
		zk_buf_done(plain); /* growing would copy what is not wanted any more */
	if (total && !zk_buf_reserve(plain, (size_t)total))
		return zk_buf_check(plain, c->err);
	return 0;
}

static int expand(struct cursor *c, zk_str raw, zk_str *ret)
{
	struct zk_buf *plain = &c->rd->store->plain;
	int64_t n = 0;
	char *to;

	if (plain_size(c, raw, &n) < 0)
		return -(int)c->err->code;
	raw = zk_str_from(raw, 8);
	if (n < 0) {
		*ret = raw;
		return 0;
	}
	to = plain->p ? plain->p + plain->n : NULL;
	if (n &&
	    zk_block_expand((enum zk_block)c->codec, raw, to, (size_t)n, c->err) < 0) {
		if (c->err->code == ZK_E_DATA)
			c->err->code = ZK_E_ZB_ARROW_PRESS;
		return zk_arrow_wrap_field(c->rd->schema, c->field, c->err);
	}
	plain->n += (size_t)n;
	*ret = zk_str_n(to, (size_t)n);
	return 0;
}

/* The next buffer, at least `need` bytes long. */
static int take(struct cursor *c, uint64_t need, const char *what, zk_str *ret)
{
	zk_str raw = ZK_STR_NULL, s = ZK_STR_NULL;

	if (c->buffer == c->buffers.count)
		return broken(c, "the batch has fewer buffers than its schema needs");
	if (raw_buffer(c, c->buffer++, &raw) < 0)
		return -(int)c->err->code;
	if (c->codec >= 0 && raw.n) {
		if (expand(c, raw, &s) < 0)
			return -(int)c->err->code;
	} else {
		s = raw;
	}
	if (s.n < need) {
		(void)zk_fail(c->err, ZK_E_ZB_ARROW,
		              "the %s has %zu bytes, the rows need %llu", what, s.n,
		              (unsigned long long)need);
		return zk_arrow_wrap_field(c->rd->schema, c->field, c->err);
	}
	*ret = s;
	return 0;
}

/* ---- arrays ---- */

/* Bytes of one value of fixed width; 0 for other types. */
static unsigned value_width(const struct zk_arrow_field *f)
{
	static const uint8_t interval[] = { 4, 8, 16 };

	switch (f->type) {
	case ZK_ARROW_INT:
	case ZK_ARROW_FLOAT:
	case ZK_ARROW_DECIMAL:
	case ZK_ARROW_TIME:
		return (unsigned)f->width / 8;
	case ZK_ARROW_DATE:
		return f->unit == 0 ? 4 : 8;
	case ZK_ARROW_TIMESTAMP:
	case ZK_ARROW_DURATION:
		return 8;
	case ZK_ARROW_INTERVAL:
		return interval[f->unit];
	case ZK_ARROW_FIXED_BINARY:
		return (unsigned)f->width;
	case ZK_ARROW_NULL:
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
	case ZK_ARROW_BOOL:
	case ZK_ARROW_LIST:
	case ZK_ARROW_STRUCT:
	case ZK_ARROW_UNION:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_MAP:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_RUN_END:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_UTF8_VIEW:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
		break;
	}
	return 0;
}

static int too_many(struct cursor *c)
{
	return broken(c, "the number of rows times their width is out of range");
}

/* Values of `width` bytes. */
static int take_values(struct cursor *c, struct zk_arrow_col *col, unsigned width,
                       const char *what)
{
	uint64_t need;
	zk_str s = ZK_STR_NULL;

	if (__builtin_mul_overflow((uint64_t)col->n, width, &need))
		return too_many(c);
	if (take(c, need, what, &s) < 0)
		return -(int)c->err->code;
	col->data = (const uint8_t *)s.p;
	return 0;
}

/* n + 1 offsets, or none at all for no rows. */
static int take_offsets(struct cursor *c, struct zk_arrow_col *col, unsigned width)
{
	uint64_t need;
	zk_str s = ZK_STR_NULL;

	if (__builtin_mul_overflow((uint64_t)col->n + 1, width, &need))
		return too_many(c);
	if (take(c, col->n ? need : 0, "offsets buffer", &s) < 0)
		return -(int)c->err->code;
	col->data = s.n >= need ? (const uint8_t *)s.p : NULL;
	return 0;
}

static int take_more(struct cursor *c, struct zk_arrow_col *col, uint64_t need,
                     const char *what)
{
	zk_str s = ZK_STR_NULL;

	if (take(c, need, what, &s) < 0)
		return -(int)c->err->code;
	col->more = (const uint8_t *)s.p;
	col->more_n = s.n;
	return 0;
}

static int take_view_buffers(struct cursor *c, struct zk_arrow_col *col)
{
	struct zk_arrow_store *st = c->rd->store;
	int64_t count;

	if (c->view == c->variadic.count)
		return broken(c, "the batch lacks the number of data buffers of a view");
	count = zk_le_i64(zk_fb_at(&c->variadic, c->view++, 8));
	if (count < 0 || count > (int64_t)(c->buffers.count - c->buffer))
		return broken(c, "a view has more data buffers than the batch");
	/* `views` has room for all buffers of the batch: pointers into it stay. */
	col->views = st->views + st->n_views;
	col->n_views = (uint32_t)count;
	for (int64_t i = 0; i < count; i++) {
		if (take(c, 0, "data buffer", &st->views[st->n_views]) < 0)
			return -(int)c->err->code;
		st->n_views++;
	}
	return 0;
}

static int take_union(struct cursor *c, const struct zk_arrow_field *f,
                      struct zk_arrow_col *col)
{
	uint64_t need;

	if (take_values(c, col, 1, "buffer of type ids") < 0)
		return -(int)c->err->code;
	if (f->unit == 0)
		return 0;
	if (__builtin_mul_overflow((uint64_t)col->n, 4u, &need))
		return too_many(c);
	return take_more(c, col, need, "offsets buffer");
}

static int take_list_view(struct cursor *c, struct zk_arrow_col *col, unsigned width)
{
	uint64_t need;

	if (take_values(c, col, width, "offsets buffer") < 0)
		return -(int)c->err->code;
	if (__builtin_mul_overflow((uint64_t)col->n, width, &need))
		return too_many(c);
	return take_more(c, col, need, "sizes buffer");
}

/* The buffers behind the validity. */
static int take_data(struct cursor *c, const struct zk_arrow_field *f,
                     struct zk_arrow_col *col)
{
	unsigned width = value_width(f);

	switch (f->type) {
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
		width = f->type == ZK_ARROW_BINARY || f->type == ZK_ARROW_UTF8 ? 4 : 8;
		if (take_offsets(c, col, width) < 0)
			return -(int)c->err->code;
		return take_more(c, col, 0, "data buffer");
	case ZK_ARROW_LIST:
	case ZK_ARROW_MAP:
		return take_offsets(c, col, 4);
	case ZK_ARROW_LARGE_LIST:
		return take_offsets(c, col, 8);
	case ZK_ARROW_LIST_VIEW:
		return take_list_view(c, col, 4);
	case ZK_ARROW_LARGE_LIST_VIEW:
		return take_list_view(c, col, 8);
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_UTF8_VIEW:
		if (take_values(c, col, 16, "buffer of views") < 0)
			return -(int)c->err->code;
		return take_view_buffers(c, col);
	case ZK_ARROW_UNION:
		return take_union(c, f, col);
	case ZK_ARROW_BOOL: {
		zk_str s = ZK_STR_NULL;

		if (take(c, ((uint64_t)col->n + 7) / 8, "data buffer", &s) < 0)
			return -(int)c->err->code;
		col->data = (const uint8_t *)s.p;
		return 0;
	}
	case ZK_ARROW_NULL:
	case ZK_ARROW_STRUCT:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_RUN_END:
		return 0;
	case ZK_ARROW_INT:
	case ZK_ARROW_FLOAT:
	case ZK_ARROW_DECIMAL:
	case ZK_ARROW_DATE:
	case ZK_ARROW_TIME:
	case ZK_ARROW_TIMESTAMP:
	case ZK_ARROW_INTERVAL:
	case ZK_ARROW_FIXED_BINARY:
	case ZK_ARROW_DURATION:
		break;
	}
	return take_values(c, col, width, "data buffer");
}

static bool has_validity(const struct cursor *c, const struct zk_arrow_field *f)
{
	switch ((unsigned)f->type) {
	case ZK_ARROW_NULL:
	case ZK_ARROW_RUN_END:
		return false;
	case ZK_ARROW_UNION:
		return c->rd->version <= VERSION_V4;
	}
	return true;
}

static int take_node(struct cursor *c, struct zk_arrow_col *col)
{
	const uint8_t *p;

	if (c->node == c->nodes.count)
		return broken(c, "the batch has fewer columns than its schema");
	p = zk_fb_at(&c->nodes, c->node++, 16);
	col->n = zk_le_i64(p);
	col->nulls = zk_le_i64(p + 8);
	if (col->n < 0 || col->n > INT64_MAX / 64)
		return broken(c, "the number of rows is negative or too large");
	if (col->nulls < 0 || col->nulls > col->n)
		return broken(
		        c, "the number of nulls is not between 0 and that of the rows");
	return 0;
}

static const struct zk_arrow_dict no_dict;

/* Indexes instead of values. */
static int take_indexes(struct cursor *c, const struct zk_arrow_field *f,
                        struct zk_arrow_col *col)
{
	col->dict = c->rd->dict(c->rd->ctx, f->dict_id);
	if (!col->dict) {
		if (col->nulls < col->n)
			return broken(c, "the dictionary has not come before it is used");
		col->dict = &no_dict; /* every index lies outside it */
	}
	return take_values(c, col, f->index_width, "buffer of dictionary indexes");
}

static int read_col(struct cursor *c, const struct zk_arrow_field *f, bool indexes,
                    struct zk_arrow_col *col)
{
	if (take_node(c, col) < 0)
		return -(int)c->err->code;
	if (indexes || has_validity(c, f)) {
		uint64_t need = col->nulls ? ((uint64_t)col->n + 7) / 8 : 0;
		zk_str s = ZK_STR_NULL;

		if (take(c, need, "validity buffer", &s) < 0)
			return -(int)c->err->code;
		col->valid = col->nulls ? (const uint8_t *)s.p : NULL;
	}
	return indexes ? take_indexes(c, f, col) : take_data(c, f, col);
}

static void make_room(struct zk_arrow_store *st, uint32_t n, uint32_t buffers)
{
	if (st->room < n) {
		free(st->cols);
		st->cols = zk_alloc_array(n, sizeof(*st->cols));
		st->room = n;
	}
	if (st->room)
		memset(st->cols, 0, st->room * sizeof(*st->cols));
	if (st->views_room < buffers) {
		free(st->views);
		st->views = zk_alloc_array(buffers, sizeof(*st->views));
		st->views_room = buffers;
	}
	st->n_views = 0;
}

static int read_head(struct cursor *c, const struct zk_fb_table *t, int64_t *rows)
{
	struct zk_fb_table press;

	*rows = zk_fb_i64(t, BATCH_LENGTH, 0);
	zk_fb_vector(t, BATCH_NODES, 16, &c->nodes);
	zk_fb_vector(t, BATCH_BUFFERS, 16, &c->buffers);
	zk_fb_vector(t, BATCH_VARIADIC, 8, &c->variadic);
	zk_fb_sub(t, BATCH_PRESS, &press);
	c->codec = -1;
	if (press.fb) {
		c->codec = zk_fb_u8(&press, 0, 0);
		if (c->codec > ZK_BLOCK_ZSTD || zk_fb_u8(&press, 1, 0) != 0)
			return zk_fail(c->err, ZK_E_ZB_ARROW_FEATURE,
			               "the compression method %d is not supported",
			               c->codec);
	}
	if (!t->fb || t->fb->bad)
		return zk_fail(c->err, ZK_E_ZB_ARROW, "the metadata is malformed: %s",
		               t->fb ? t->fb->bad : "a record batch is missing");
	if (*rows < 0 || *rows > ZK_ARROW_ROWS_MAX)
		return zk_fail(c->err, ZK_E_ZB_ARROW, "the batch has %lld rows",
		               (long long)*rows);
	return 0;
}

int zk_arrow_batch_read(const struct zk_arrow_read *rd, const struct zk_fb_table *t,
                        int64_t *rows, struct zk_error *err)
{
	struct cursor c = { .rd = rd, .err = err, .field = ZK_ARROW_NO_FIELD };
	const struct zk_arrow_schema *s = rd->schema;
	uint32_t end = rd->first + rd->n_fields;

	if (read_head(&c, t, rows) < 0)
		return -(int)err->code;
	make_room(rd->store, rd->n_fields, c.buffers.count);
	if (c.codec >= 0 && reserve_plain(&c) < 0)
		return -(int)err->code;
	for (uint32_t i = rd->first; i < end;) {
		const struct zk_arrow_field *f = &s->fields[i];
		bool indexes = f->has_dict && !(rd->is_dict && i == rd->first);
		struct zk_arrow_col *col = &rd->store->cols[i - rd->first];

		c.field = i;
		if (read_col(&c, f, indexes, col) < 0)
			return -(int)err->code;
		if ((f->parent == ZK_ARROW_NO_FIELD || i == rd->first) && col->n != *rows)
			return broken(&c, "it does not have as many rows as the batch");
		i = indexes ? zk_arrow_sibling(s, i) : i + 1;
	}
	c.field = ZK_ARROW_NO_FIELD;
	if (c.node != c.nodes.count || c.buffer != c.buffers.count)
		return broken(&c,
		              "the batch has more columns or buffers than its schema");
	return zk_arrow_check(rd, err);
}
