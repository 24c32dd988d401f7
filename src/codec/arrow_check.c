/* Arrow arrays checked against each other, so that their values can be read without checks.
 * Layer: codec. specs/zerobus.md §12.3. */
#include <string.h>

#include "codec/arrow_int.h"
#include "codec/le.h"

#include "base/ban.h"

int zk_arrow_wrap_field(const struct zk_arrow_schema *s, uint32_t field,
                        struct zk_error *err)
{
	uint32_t path[ZK_ARROW_DEPTH_MAX + 2];
	struct zk_buf b;
	size_t n = 0;

	if (field == ZK_ARROW_NO_FIELD)
		return -(int)err->code;
	zk_buf_init(&b, 400);
	while (field != ZK_ARROW_NO_FIELD && n < ZK_ARRAY_LEN(path)) {
		path[n++] = field;
		field = s->fields[field].parent;
	}
	while (n--) {
		zk_str name = s->fields[path[n]].name;

		zk_buf_put(&b, name.p, ZK_MIN(name.n, (size_t)60));
		if (n)
			zk_buf_char(&b, '.');
	}
	(void)zk_wrap(err, "column '%s'", zk_buf_cstring(&b));
	zk_buf_done(&b);
	return -(int)err->code;
}

static int broken(const struct zk_arrow_read *rd, uint32_t field, const char *what,
                  struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_ZB_ARROW, "%s", what);
	return zk_arrow_wrap_field(rd->schema, field, err);
}

static int offsets32(const uint8_t *p, int64_t n, uint64_t end, const char **what)
{
	int32_t last = zk_le_i32(p);
	bool down = false;

	if (last < 0) {
		*what = "the first offset is negative";
		return -1;
	}
	for (int64_t i = 1; i <= n; i++) {
		int32_t next = zk_le_i32(p + 4 * i);

		down |= next < last;
		last = next;
	}
	*what = down ? "the offsets decrease" : "the offsets reach past the data";
	return down || (uint64_t)last > end ? -1 : 0;
}

static int offsets64(const uint8_t *p, int64_t n, uint64_t end, const char **what)
{
	int64_t last = zk_le_i64(p);
	bool down = false;

	if (last < 0) {
		*what = "the first offset is negative";
		return -1;
	}
	for (int64_t i = 1; i <= n; i++) {
		int64_t next = zk_le_i64(p + 8 * i);

		down |= next < last;
		last = next;
	}
	*what = down ? "the offsets decrease" : "the offsets reach past the data";
	return down || (uint64_t)last > end ? -1 : 0;
}

/* Offsets of `width` bytes that end within `end`. */
static const char *check_offsets(const struct zk_arrow_col *c, unsigned width,
                                 uint64_t end)
{
	const char *what = NULL;
	int r = 0;

	if (c->n)
		r = width == 4 ? offsets32(c->data, c->n, end, &what)
		               : offsets64(c->data, c->n, end, &what);
	return r < 0 ? what : NULL;
}

static const char *check_views(const struct zk_arrow_col *c)
{
	for (int64_t i = 0; i < c->n; i++) {
		const uint8_t *v = c->data + 16 * i;
		int32_t n = zk_le_i32(v), index = zk_le_i32(v + 8),
		        off = zk_le_i32(v + 12);
		const zk_str *b;

		if (!zk_arrow_is_valid(c, i))
			continue;
		if (n < 0)
			return "a view has a negative length";
		if (n <= 12)
			continue;
		if (index < 0 || (uint32_t)index >= c->n_views)
			return "a view names a data buffer that does not exist";
		b = &c->views[index];
		if (off < 0 || (uint64_t)off + (uint64_t)n > b->n)
			return "a view reaches past its data buffer";
		if (memcmp(b->p + off, v + 4, 4) != 0)
			return "the beginning that a view repeats is not that of its "
			       "text";
	}
	return NULL;
}

static const char *check_list_views(const struct zk_arrow_col *c, unsigned width,
                                    int64_t child)
{
	for (int64_t i = 0; i < c->n; i++) {
		int64_t off, n;

		if (!zk_arrow_is_valid(c, i))
			continue;
		off = width == 4 ? zk_le_i32(c->data + 4 * i)
		                 : zk_le_i64(c->data + 8 * i);
		n = width == 4 ? zk_le_i32(c->more + 4 * i) : zk_le_i64(c->more + 8 * i);
		if (off < 0 || n < 0 || off > child || n > child - off)
			return "a list reaches past its elements";
	}
	return NULL;
}

static const char *check_runs(const struct zk_arrow_read *rd, uint32_t field,
                              const struct zk_arrow_col *c)
{
	const struct zk_arrow_field *f = &rd->schema->fields[field + 1];
	const struct zk_arrow_col *ends = c + 1, *values = ends + f->span;
	int64_t last = 0;

	if (ends->nulls)
		return "a run end is null";
	if (values->n < ends->n)
		return "there are more run ends than values";
	for (int64_t i = 0; i < ends->n; i++) {
		int64_t end = zk_arrow_int(f, ends, i);

		if (end <= last)
			return "the run ends do not increase";
		last = end;
	}
	return last < c->n ? "the run ends stop before the last row" : NULL;
}

/* Children of a struct, and of a sparse union, are as long as itself. */
static const char *check_children(const struct zk_arrow_read *rd, uint32_t field,
                                  const struct zk_arrow_col *c)
{
	const struct zk_arrow_schema *s = rd->schema;
	uint32_t end = zk_arrow_sibling(s, field);

	for (uint32_t i = field + 1; i < end; i = zk_arrow_sibling(s, i))
		if (rd->store->cols[i - rd->first].n < c->n)
			return "a child has fewer rows than its parent";
	return NULL;
}

static const char *check_nested(const struct zk_arrow_read *rd, uint32_t field,
                                const struct zk_arrow_col *c)
{
	const struct zk_arrow_field *f = &rd->schema->fields[field];
	int64_t child = f->n_children ? c[1].n : 0, need;

	switch ((unsigned)f->type) {
	case ZK_ARROW_LIST:
	case ZK_ARROW_MAP:
		return check_offsets(c, 4, (uint64_t)child);
	case ZK_ARROW_LARGE_LIST:
		return check_offsets(c, 8, (uint64_t)child);
	case ZK_ARROW_LIST_VIEW:
		return check_list_views(c, 4, child);
	case ZK_ARROW_LARGE_LIST_VIEW:
		return check_list_views(c, 8, child);
	case ZK_ARROW_FIXED_LIST:
		if (__builtin_mul_overflow(c->n, (int64_t)f->width, &need) ||
		    need > child)
			return "the elements are fewer than the rows need";
		return NULL;
	case ZK_ARROW_UNION:
		return f->unit == 1 ? NULL : check_children(rd, field, c);
	case ZK_ARROW_STRUCT:
		return check_children(rd, field, c);
	case ZK_ARROW_RUN_END:
		return check_runs(rd, field, c);
	}
	return NULL;
}

static const char *check_one(const struct zk_arrow_read *rd, uint32_t field)
{
	const struct zk_arrow_col *c = &rd->store->cols[field - rd->first];

	if (c->dict)
		return NULL;
	switch ((unsigned)rd->schema->fields[field].type) {
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
		return check_offsets(c, 4, c->more_n);
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
		return check_offsets(c, 8, c->more_n);
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_UTF8_VIEW:
		return check_views(c);
	}
	return check_nested(rd, field, c);
}

int zk_arrow_check(const struct zk_arrow_read *rd, struct zk_error *err)
{
	uint32_t end = rd->first + rd->n_fields;

	for (uint32_t i = rd->first; i < end;) {
		const char *what = check_one(rd, i);

		if (what)
			return broken(rd, i, what, err);
		i = rd->store->cols[i - rd->first].dict ? zk_arrow_sibling(rd->schema, i)
		                                        : i + 1;
	}
	return 0;
}
