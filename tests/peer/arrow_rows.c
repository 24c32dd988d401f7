/* Prints the rows of an Arrow IPC file or stream as NDJSON, every type as it is (the README of
 * tests/data/arrow says how), for comparison with rows that other writers expect.
 *	arrow_rows FILE [CHUNK]
 * With CHUNK it is read as a stream in pieces of that size, else a file through its footer.
 * Layer: tests. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/arrow.h"
#include "codec/jwrite.h"
#include "codec/le.h"

#include "base/ban.h"

static struct zk_buf input;

static int pread_input(void *ctx, uint64_t at, void *p, size_t n, struct zk_error *err)
{
	(void)ctx;
	if (at > input.n || n > input.n - at)
		return zk_fail(err, ZK_E_NO_INPUT, "read past the end");
	memcpy(p, input.p + at, n);
	return 0;
}

static void put_float(struct zk_jwrite *w, double v)
{
	if (isfinite(v))
		zk_jw_double(w, v);
	else
		zk_jw_cstr(w, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
}

static void put_bytes(struct zk_jwrite *w, zk_str s)
{
	struct zk_buf b;

	zk_buf_init(&b, SIZE_MAX / 2);
	zk_buf_base64(&b, s, /* url */ false, /* pad */ true);
	zk_jw_str(w, zk_buf_str(&b));
	zk_buf_done(&b);
}

static void put_interval(struct zk_jwrite *w, const struct zk_arrow_field *f,
                         const struct zk_arrow_col *c, int64_t i)
{
	if (f->unit == 0) {
		zk_jw_i64(w, zk_arrow_int(f, c, i));
		return;
	}
	zk_jw_obj(w);
	zk_jw_key(w, "days");
	zk_jw_i64(w, zk_le_i32(c->data + 8 * i));
	zk_jw_key(w, "ms");
	zk_jw_i64(w, zk_le_i32(c->data + 8 * i + 4));
	zk_jw_obj_end(w);
}

static void put_scalar(struct zk_jwrite *w, const struct zk_arrow_field *f,
                       const struct zk_arrow_col *c, int64_t i)
{
	char text[ZK_ARROW_DECIMAL_MAX];

	switch ((unsigned)f->type) {
	case ZK_ARROW_BOOL:
		zk_jw_bool(w, zk_arrow_bool(c, i));
		break;
	case ZK_ARROW_FLOAT:
		put_float(w, f->width == 64 ? zk_arrow_double(c, i)
		                            : (double)zk_arrow_float(f, c, i));
		break;
	case ZK_ARROW_DECIMAL:
		zk_jw_str(w, zk_str_n(text, zk_arrow_decimal(f, c, i, text)));
		break;
	case ZK_ARROW_UTF8:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_UTF8_VIEW:
		zk_jw_str(w, zk_arrow_bytes(f, c, i));
		break;
	case ZK_ARROW_BINARY:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_FIXED_BINARY:
		put_bytes(w, zk_arrow_bytes(f, c, i));
		break;
	case ZK_ARROW_INTERVAL:
		put_interval(w, f, c, i);
		break;
	default:
		if (f->type == ZK_ARROW_INT && !f->is_signed)
			zk_jw_u64(w, (uint64_t)zk_arrow_int(f, c, i));
		else
			zk_jw_i64(w, zk_arrow_int(f, c, i));
	}
}

/* Test inputs are small and known: recursion is fine here. */
static void put(struct zk_jwrite *w, const struct zk_arrow_schema *s,
                struct zk_arrow_at at);

static void put_struct(struct zk_jwrite *w, const struct zk_arrow_schema *s,
                       struct zk_arrow_at at)
{
	uint32_t end = zk_arrow_sibling(s, at.field);

	zk_jw_obj(w);
	for (uint32_t k = at.field + 1; k < end; k = zk_arrow_sibling(s, k)) {
		zk_jw_key_str(w, s->fields[k].name);
		put(w, s, (struct zk_arrow_at){ at.cols, k, at.i });
	}
	zk_jw_obj_end(w);
}

static void put_list(struct zk_jwrite *w, const struct zk_arrow_schema *s,
                     struct zk_arrow_at at, bool map)
{
	int64_t from, to;

	zk_arrow_elements(&s->fields[at.field], zk_arrow_col(&at.cols, at.field), at.i,
	                  &from, &to);
	zk_jw_arr(w);
	for (int64_t k = from; k < to; k++) {
		uint32_t item = at.field + 1, key = item + 1;

		if (!map) {
			put(w, s, (struct zk_arrow_at){ at.cols, item, k });
			continue;
		}
		zk_jw_obj(w);
		zk_jw_key(w, "key");
		put(w, s, (struct zk_arrow_at){ at.cols, key, k });
		zk_jw_key(w, "value");
		put(w, s, (struct zk_arrow_at){ at.cols, zk_arrow_sibling(s, key), k });
		zk_jw_obj_end(w);
	}
	zk_jw_arr_end(w);
}

static void put(struct zk_jwrite *w, const struct zk_arrow_schema *s,
                struct zk_arrow_at at)
{
	enum zk_arrow_found found = zk_arrow_resolve(s, &at);
	const struct zk_arrow_field *f = &s->fields[at.field];
	uint32_t child;
	int64_t row;

	if (found != ZK_ARROW_VALUE) {
		if (found == ZK_ARROW_IS_NULL)
			zk_jw_null(w);
		else
			zk_jw_cstr(w, "OUTSIDE");
		return;
	}
	switch ((unsigned)f->type) {
	case ZK_ARROW_STRUCT:
		put_struct(w, s, at);
		break;
	case ZK_ARROW_LIST:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
	case ZK_ARROW_MAP:
		put_list(w, s, at, f->type == ZK_ARROW_MAP);
		break;
	case ZK_ARROW_UNION:
		if (zk_arrow_union(s, at.field, &at.cols, at.i, &child, &row))
			put(w, s, (struct zk_arrow_at){ at.cols, child, row });
		else
			zk_jw_cstr(w, "OUTSIDE");
		break;
	default:
		put_scalar(w, f, zk_arrow_col(&at.cols, at.field), at.i);
	}
}

static void print_batch(const struct zk_arrow *a)
{
	const struct zk_arrow_schema *s = zk_arrow_schema(a);
	const struct zk_arrow_batch *batch = zk_arrow_batch(a);
	struct zk_buf b;

	zk_buf_init(&b, SIZE_MAX / 2);
	for (int64_t i = 0; i < batch->n_rows; i++) {
		struct zk_jwrite w;

		zk_jwrite_init(&w, &b);
		zk_jw_obj(&w);
		for (uint32_t k = 0; k < s->n_fields; k = zk_arrow_sibling(s, k)) {
			zk_jw_key_str(&w, s->fields[k].name);
			put(&w, s, (struct zk_arrow_at){ batch->cols, k, i });
		}
		zk_jw_obj_end(&w);
		zk_buf_char(&b, '\n');
	}
	if (b.n)
		(void)fwrite(b.p, 1, b.n, stdout);
	zk_buf_done(&b);
}

static void print_schema(const struct zk_arrow *a)
{
	const struct zk_arrow_schema *s = zk_arrow_schema(a);
	struct zk_buf b;

	zk_buf_init(&b, SIZE_MAX / 2);
	for (uint32_t k = 0; k < s->n_fields; k = zk_arrow_sibling(s, k)) {
		zk_buf_printf(&b, "%s%.*s ", b.n ? ", " : "",
		              ZK_STR_ARG(s->fields[k].name));
		zk_arrow_type_text(s, k, &b);
	}
	(void)fprintf(stderr, "schema: %.*s\n", (int)ZK_MIN(b.n, (size_t)4000), b.p);
	zk_buf_done(&b);
}

static int run(struct zk_arrow *a, size_t step, struct zk_error *err)
{
	zk_str rest = zk_buf_str(&input), chunk = ZK_STR_NULL;
	enum zk_arrow_ev ev = ZK_ARROW_MORE;

	while (ev != ZK_ARROW_END) {
		if (zk_arrow_next(a, &chunk, &ev, err) < 0)
			return -1;
		if (ev == ZK_ARROW_SCHEMA)
			print_schema(a);
		else if (ev == ZK_ARROW_BATCH)
			print_batch(a);
		if (ev == ZK_ARROW_MORE) {
			if (!rest.n)
				return zk_arrow_end(a, err);
			chunk = zk_str_n(rest.p, ZK_MIN(step, rest.n));
			rest = zk_str_from(rest, chunk.n);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct zk_arrow_conf conf = { .max_body = 64u << 20 };
	size_t step = 0, n;
	struct zk_error err = { 0 };
	struct zk_arrow *a;
	char piece[4096];
	FILE *f;
	int r;

	if (argc < 2 || argc > 3 || (argc == 3 && sscanf(argv[2], "%zu", &step) != 1))
		return 64;
	f = fopen(argv[1], "re");
	if (!f)
		return 66;
	zk_buf_init(&input, SIZE_MAX / 2);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		zk_buf_put(&input, piece, n);
	(void)fclose(f);
	if (!step && input.n >= 6 && memcmp(input.p, "ARROW1", 6) == 0) {
		conf.pread = pread_input;
		conf.size = input.n;
	}
	a = zk_arrow_new(&conf);
	r = run(a, step ? step : SIZE_MAX, &err);
	zk_arrow_free(a);
	zk_buf_done(&input);
	if (r < 0)
		(void)fprintf(stderr, "ZK%d %s%s%s\n", (int)err.code, err.msg,
		              err.hint[0] ? " | " : "", err.hint);
	return r < 0 ? 1 : 0;
}
