/* Values of Arrow arrays, types as text.
 * Layer: codec. Everything was checked when the batch was read. */
#include <string.h>

#include "codec/arrow_int.h"
#include "codec/le.h"

#include "base/ban.h"

static zk_str view(const struct zk_arrow_col *c, int64_t i)
{
	const uint8_t *v = c->data + 16 * i;
	uint32_t n = zk_le_u32(v);

	if (n <= 12)
		return zk_str_n((const char *)v + 4, n);
	return zk_str_n(c->views[zk_le_u32(v + 8)].p + zk_le_u32(v + 12), n);
}

zk_str zk_arrow_bytes(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                      int64_t i)
{
	uint64_t from, to;

	switch ((unsigned)f->type) {
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
		from = zk_le_u32(c->data + 4 * i);
		to = zk_le_u32(c->data + 4 * i + 4);
		break;
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
		from = zk_le_u64(c->data + 8 * i);
		to = zk_le_u64(c->data + 8 * i + 8);
		break;
	case ZK_ARROW_FIXED_BINARY:
		return zk_str_n((const char *)c->data + i * f->width, (size_t)f->width);
	default:
		return view(c, i);
	}
	return from == to ? ZK_STR("")
	                  : zk_str_n((const char *)c->more + from, (size_t)(to - from));
}

void zk_arrow_elements(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                       int64_t i, int64_t *from, int64_t *to)
{
	switch ((unsigned)f->type) {
	case ZK_ARROW_LIST:
	case ZK_ARROW_MAP:
		*from = zk_le_i32(c->data + 4 * i);
		*to = zk_le_i32(c->data + 4 * i + 4);
		return;
	case ZK_ARROW_LARGE_LIST:
		*from = zk_le_i64(c->data + 8 * i);
		*to = zk_le_i64(c->data + 8 * i + 8);
		return;
	case ZK_ARROW_LIST_VIEW:
		*from = zk_le_i32(c->data + 4 * i);
		*to = *from + zk_le_i32(c->more + 4 * i);
		return;
	case ZK_ARROW_LARGE_LIST_VIEW:
		*from = zk_le_i64(c->data + 8 * i);
		*to = *from + zk_le_i64(c->more + 8 * i);
		return;
	}
	*from = i * f->width;
	*to = *from + f->width;
}

static int64_t load_int(const uint8_t *p, unsigned width, bool is_signed)
{
	switch (width) {
	case 1:
		return is_signed ? (int8_t)*p : *p;
	case 2:
		return is_signed ? (int16_t)zk_le_u16(p) : zk_le_u16(p);
	case 4:
		return is_signed ? zk_le_i32(p) : (int64_t)zk_le_u32(p);
	}
	return zk_le_i64(p);
}

int64_t zk_arrow_int(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                     int64_t i)
{
	unsigned width = 8;
	bool is_signed = true;

	switch ((unsigned)f->type) {
	case ZK_ARROW_INT:
		width = (unsigned)f->width / 8;
		is_signed = f->is_signed;
		break;
	case ZK_ARROW_TIME:
		width = (unsigned)f->width / 8;
		break;
	case ZK_ARROW_DATE:
	case ZK_ARROW_INTERVAL:
		width = f->unit == 0 ? 4 : 8;
		break;
	}
	return load_int(c->data + i * width, width, is_signed);
}

bool zk_arrow_bool(const struct zk_arrow_col *c, int64_t i)
{
	return c->data[i >> 3] >> (i & 7) & 1;
}

/* Binary16 to binary32: every value has one. */
static float from_half(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31,
	         frac = h & 0x3ff;
	uint32_t bits;
	float f;

	if (exp == 31) {
		bits = sign | 0x7f800000 | frac << 13;
	} else if (exp) {
		bits = sign | (exp + 112) << 23 | frac << 13;
	} else if (!frac) {
		bits = sign;
	} else { /* subnormal: becomes normal */
		unsigned shift = (unsigned)__builtin_clz(frac) - 21;

		bits = sign | (113 - shift) << 23 | (frac << shift & 0x3ff) << 13;
	}
	memcpy(&f, &bits, sizeof(f));
	return f;
}

float zk_arrow_float(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                     int64_t i)
{
	uint32_t bits;
	float v;

	if (f->width == 16)
		return from_half(zk_le_u16(c->data + 2 * i));
	bits = zk_le_u32(c->data + 4 * i);
	memcpy(&v, &bits, sizeof(v));
	return v;
}

double zk_arrow_double(const struct zk_arrow_col *c, int64_t i)
{
	uint64_t bits = zk_le_u64(c->data + 8 * i);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

/* ---- decimals ---- */

/* The digits of the `n` words (least significant first) into `out` from its end; their number.
 * Destroys the words. */
static size_t digits(uint32_t *w, size_t n, char *end)
{
	char *p = end;

	while (n && !w[n - 1])
		n--;
	while (n) {
		uint64_t rest = 0;

		for (size_t i = n; i--;) {
			uint64_t v = rest << 32 | w[i];

			w[i] = (uint32_t)(v / 1000000000u);
			rest = v % 1000000000u;
		}
		while (n && !w[n - 1])
			n--;
		for (int k = 0; k < 9 && (n || rest); k++) {
			*--p = (char)('0' + rest % 10);
			rest /= 10;
		}
	}
	return (size_t)(end - p);
}

/* The absolute value into words; true when it was negative. */
static bool load_decimal(const uint8_t *p, size_t n, uint32_t w[8])
{
	bool negative;
	uint64_t carry = 1;

	for (size_t i = 0; i < n; i++)
		w[i] = zk_le_u32(p + 4 * i);
	negative = w[n - 1] >> 31;
	if (!negative)
		return false;
	for (size_t i = 0; i < n; i++) {
		carry += (uint32_t)~w[i];
		w[i] = (uint32_t)carry;
		carry >>= 32;
	}
	return true;
}

size_t zk_arrow_decimal(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                        int64_t i, char out[ZK_ARROW_DECIMAL_MAX])
{
	size_t words = (size_t)f->width / 32, scale = f->scale > 0 ? (size_t)f->scale : 0;
	char text[88];
	uint32_t w[8] = { 0 };
	bool negative = load_decimal(c->data + i * (f->width / 8), words, w);
	size_t n = digits(w, words, text + sizeof(text));
	const char *d = text + sizeof(text) - n;
	size_t whole = n > scale ? n - scale : 0, o = 0;

	if (negative)
		out[o++] = '-';
	if (!whole)
		out[o++] = '0';
	memcpy(out + o, d, whole);
	o += whole;
	if (f->scale < 0 && n) {
		memset(out + o, '0', (size_t)-f->scale);
		o += (size_t)-f->scale;
	}
	if (!scale)
		return o;
	out[o++] = '.';
	for (size_t k = n - whole; k < scale; k++)
		out[o++] = '0';
	memcpy(out + o, d + whole, n - whole);
	return o + n - whole;
}

bool zk_arrow_union(const struct zk_arrow_schema *s, uint32_t field,
                    const struct zk_arrow_cols *cols, int64_t i, uint32_t *child,
                    int64_t *row)
{
	const struct zk_arrow_field *f = &s->fields[field];
	const struct zk_arrow_col *c = zk_arrow_col(cols, field);
	uint32_t at = field + 1;

	for (uint32_t k = 0; k < f->n_children; k++, at = zk_arrow_sibling(s, at)) {
		if (f->type_ids[k] != (int8_t)c->data[i])
			continue;
		*child = at;
		*row = f->unit == 1 ? zk_le_i32(c->more + 4 * i) : i;
		return *row >= 0 && *row < zk_arrow_col(cols, at)->n;
	}
	return false;
}

/* ---- types as text ---- */

static const char *const units[] = { "s", "ms", "us", "ns" };

static const char *plain_name(const struct zk_arrow_field *f)
{
	static const char *const names[] = {
		[ZK_ARROW_NULL] = "null",
		[ZK_ARROW_BINARY] = "binary",
		[ZK_ARROW_UTF8] = "utf8",
		[ZK_ARROW_BOOL] = "bool",
		[ZK_ARROW_LIST] = "list",
		[ZK_ARROW_STRUCT] = "struct",
		[ZK_ARROW_MAP] = "map",
		[ZK_ARROW_LARGE_BINARY] = "large_binary",
		[ZK_ARROW_LARGE_UTF8] = "large_utf8",
		[ZK_ARROW_LARGE_LIST] = "large_list",
		[ZK_ARROW_RUN_END] = "run_end_encoded",
		[ZK_ARROW_BINARY_VIEW] = "binary_view",
		[ZK_ARROW_UTF8_VIEW] = "utf8_view",
		[ZK_ARROW_LIST_VIEW] = "list_view",
		[ZK_ARROW_LARGE_LIST_VIEW] = "large_list_view",
	};

	return (unsigned)f->type < ZK_ARRAY_LEN(names) ? names[f->type] : NULL;
}

static void put_head(const struct zk_arrow_field *f, struct zk_buf *b)
{
	static const char *const intervals[] = { "year_month", "day_time",
		                                 "month_day_nano" };
	const char *name = plain_name(f);

	if (name) {
		zk_buf_cstr(b, name);
		return;
	}
	switch ((unsigned)f->type) {
	case ZK_ARROW_INT:
		zk_buf_printf(b, "%sint%d", f->is_signed ? "" : "u", f->width);
		break;
	case ZK_ARROW_FLOAT:
		zk_buf_printf(b, "float%d", f->width);
		break;
	case ZK_ARROW_DECIMAL:
		zk_buf_printf(b, "decimal%d(%d,%d)", f->width, f->precision, f->scale);
		break;
	case ZK_ARROW_DATE:
		zk_buf_cstr(b, f->unit == 0 ? "date32" : "date64");
		break;
	case ZK_ARROW_TIME:
		zk_buf_printf(b, "time%d(%s)", f->width, units[f->unit]);
		break;
	case ZK_ARROW_TIMESTAMP:
		zk_buf_printf(b, "timestamp(%s", units[f->unit]);
		if (f->timezone.n)
			zk_buf_printf(b, ", %.*s", (int)ZK_MIN(f->timezone.n, (size_t)60),
			              f->timezone.p);
		zk_buf_char(b, ')');
		break;
	case ZK_ARROW_INTERVAL:
		zk_buf_printf(b, "interval(%s)", intervals[f->unit]);
		break;
	case ZK_ARROW_DURATION:
		zk_buf_printf(b, "duration(%s)", units[f->unit]);
		break;
	case ZK_ARROW_FIXED_BINARY:
		zk_buf_printf(b, "fixed_size_binary(%d)", f->width);
		break;
	case ZK_ARROW_FIXED_LIST:
		zk_buf_printf(b, "fixed_size_list(%d)", f->width);
		break;
	case ZK_ARROW_UNION:
		zk_buf_cstr(b, f->unit ? "dense_union" : "sparse_union");
		break;
	}
}

void zk_arrow_type_text(const struct zk_arrow_schema *s, uint32_t field, struct zk_buf *b)
{
	struct {
		uint32_t end;
		unsigned closers;
	} stack[ZK_ARROW_DEPTH_MAX + 2];
	uint32_t last = zk_arrow_sibling(s, field);
	unsigned depth = 0;

	for (uint32_t i = field; i < last; i++) {
		const struct zk_arrow_field *f = &s->fields[i];
		unsigned closers = 0;

		while (depth && stack[depth - 1].end == i)
			for (unsigned k = stack[--depth].closers; k; k--)
				zk_buf_char(b, '>');
		if (i > field && s->fields[i - 1].span > 0 && f->parent != i - 1)
			zk_buf_lit(b, ", ");
		if (i > field && s->fields[f->parent].type == ZK_ARROW_STRUCT)
			zk_buf_printf(b, "%.*s: ", (int)ZK_MIN(f->name.n, (size_t)80),
			              f->name.p);
		if (f->has_dict) {
			zk_buf_lit(b, "dictionary<");
			closers++;
		}
		put_head(f, b);
		if (f->n_children) {
			zk_buf_char(b, '<');
			closers++;
		}
		stack[depth].end = zk_arrow_sibling(s, i);
		stack[depth++].closers = closers;
	}
	while (depth)
		for (unsigned k = stack[--depth].closers; k; k--)
			zk_buf_char(b, '>');
}
