/* Reads all that an Arrow input holds and touches every value, so that a sanitizer sees what
 * lies outside. One translation unit per program.
 * Layer: tests. */
#ifndef ZK_TESTS_ARROW_WALK_H
#define ZK_TESTS_ARROW_WALK_H

#include <string.h>

#include "base/err.h"
#include "codec/arrow.h"

struct arrow_walked {
	int r;
	uint64_t rows, sum; /* sum: of all bytes of all values */
	struct zk_error err;
};

struct arrow_source {
	zk_str bytes;
};

static int arrow_pread(void *ctx, uint64_t at, void *p, size_t n, struct zk_error *err)
{
	const struct arrow_source *s = ctx;

	if (at > s->bytes.n || n > s->bytes.n - at)
		return zk_fail(err, ZK_E_NO_INPUT, "read past the end");
	if (n)
		memcpy(p, s->bytes.p + at, n);
	return 0;
}

static uint64_t arrow_sum(zk_str s)
{
	uint64_t sum = s.n;

	for (size_t i = 0; i < s.n; i++)
		sum = sum * 31 + (unsigned char)s.p[i];
	return sum;
}

/* The value itself; elements of lists are read as rows of their child. */
static uint64_t arrow_touch(const struct zk_arrow_schema *s, const struct zk_arrow_at *at)
{
	const struct zk_arrow_field *f = &s->fields[at->field];
	const struct zk_arrow_col *c = zk_arrow_col(&at->cols, at->field);
	char text[ZK_ARROW_DECIMAL_MAX];
	int64_t from, to;
	uint32_t child;

	switch ((unsigned)f->type) {
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_UTF8_VIEW:
	case ZK_ARROW_FIXED_BINARY:
		return arrow_sum(zk_arrow_bytes(f, c, at->i));
	case ZK_ARROW_LIST:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_MAP:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
		zk_arrow_elements(f, c, at->i, &from, &to);
		ZK_ASSERT(from >= 0 && from <= to && to <= c[1].n);
		return (uint64_t)(to - from);
	case ZK_ARROW_DECIMAL: {
		size_t n = zk_arrow_decimal(f, c, at->i, text);

		ZK_ASSERT(n > 0 && n <= sizeof(text));
		return arrow_sum(zk_str_n(text, n));
	}
	case ZK_ARROW_BOOL:
		return zk_arrow_bool(c, at->i);
	case ZK_ARROW_FLOAT:
		return f->width == 64 ? zk_arrow_double(c, at->i) > 0
		                      : zk_arrow_float(f, c, at->i) > 0;
	case ZK_ARROW_UNION:
		return zk_arrow_union(s, at->field, &at->cols, at->i, &child, &from);
	case ZK_ARROW_STRUCT:
	case ZK_ARROW_INTERVAL:
		return 1;
	}
	return (uint64_t)zk_arrow_int(f, c, at->i);
}

/* All rows of every array of the batch, those of children too. */
static void arrow_touch_batch(const struct zk_arrow *a, struct arrow_walked *w)
{
	const struct zk_arrow_schema *s = zk_arrow_schema(a);
	const struct zk_arrow_batch *b = zk_arrow_batch(a);

	for (uint32_t k = 0; k < s->n_fields;) {
		const struct zk_arrow_col *c = zk_arrow_col(&b->cols, k);
		int64_t n = ZK_MIN(c->n, (int64_t)20000);

		for (int64_t i = 0; i < n; i++) {
			struct zk_arrow_at at = { b->cols, k, i };

			if (zk_arrow_resolve(s, &at) == ZK_ARROW_VALUE)
				w->sum = w->sum * 31 + arrow_touch(s, &at);
		}
		k = c->dict ? zk_arrow_sibling(s, k) : k + 1;
	}
	w->rows += (uint64_t)b->n_rows;
}

__attribute__((unused)) static struct arrow_walked arrow_walk(zk_str bytes, size_t step,
                                                              bool as_file)
{
	struct arrow_source source = { bytes };
	struct zk_arrow_conf conf = { .max_body = 4u << 20,
		                      .size = bytes.n,
		                      .ctx = &source,
		                      .pread = as_file ? arrow_pread : NULL };
	struct zk_arrow *a = zk_arrow_new(&conf);
	enum zk_arrow_ev ev = ZK_ARROW_SCHEMA;
	struct arrow_walked w = { 0 };
	zk_str chunk = ZK_STR_NULL;

	while (w.r == 0 && ev != ZK_ARROW_END) {
		w.r = zk_arrow_next(a, &chunk, &ev, &w.err);
		if (w.r < 0)
			break;
		if (ev == ZK_ARROW_BATCH)
			arrow_touch_batch(a, &w);
		if (ev != ZK_ARROW_MORE)
			continue;
		if (!bytes.n) {
			w.r = zk_arrow_end(a, &w.err);
			break;
		}
		chunk = zk_str_n(bytes.p, ZK_MIN(step, bytes.n));
		bytes = zk_str_from(bytes, chunk.n);
	}
	zk_arrow_free(a);
	return w;
}

#endif
