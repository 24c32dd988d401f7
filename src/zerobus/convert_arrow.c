/* Values of Arrow columns for their fields.
 * Layer: zerobus. specs/zerobus.md §11.1, §11.2. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/le.h"
#include "zerobus/convert.h"
#include "zerobus/convert_frame.h"
#include "zerobus/when.h"

#include "base/ban.h"

static const struct zk_arrow_field *field_of(const struct zk_zb_plan *p,
                                             const struct zk_arrow_at *at)
{
	return &p->conf.arrow->fields[at->field];
}

static const struct zk_arrow_col *col_of(const struct zk_arrow_at *at)
{
	return zk_arrow_col(&at->cols, at->field);
}

static enum zk_zb_kind_of out_of_range(struct zk_zb_plan *p, int64_t v)
{
	return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "out of range", "%" PRId64, v);
}

static enum zk_zb_kind_of no_value(struct zk_zb_plan *p, zk_str text, const char *what)
{
	char found[80];

	return zk_zb_fault(p, ZK_E_ZB_ROW_VALUE, what, "%s", zk_zb_excerpt(text, found));
}

static bool is_u64(const struct zk_arrow_field *f)
{
	return f->type == ZK_ARROW_INT && !f->is_signed && f->width == 64;
}

static enum zk_zb_kind_of load_int(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                   const struct zk_arrow_at *at, struct zk_zb_value *v)
{
	const struct zk_arrow_field *f = field_of(p, at);

	v->i = zk_arrow_int(f, col_of(at), at->i);
	if (ZK_UNLIKELY(v->i < 0 && is_u64(f)))
		return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "above 9223372036854775807",
		                   "%" PRIu64, (uint64_t)v->i);
	if (ZK_UNLIKELY(v->i < op->min || v->i > op->max))
		return out_of_range(p, v->i);
	return ZK_ZB_V_VALUE;
}

static enum zk_zb_kind_of load_int_float(struct zk_zb_plan *p,
                                         const struct zk_arrow_at *at,
                                         struct zk_zb_value *v)
{
	const struct zk_arrow_field *f = field_of(p, at);
	int64_t i = zk_arrow_int(f, col_of(at), at->i);

	v->d = is_u64(f) ? (double)(uint64_t)i : (double)i;
	v->f = (float)v->d;
	return ZK_ZB_V_VALUE;
}

static enum zk_zb_kind_of load_float(struct zk_zb_plan *p, const struct zk_arrow_at *at,
                                     struct zk_zb_value *v)
{
	v->f = zk_arrow_float(field_of(p, at), col_of(at), at->i);
	v->d = (double)v->f;
	return ZK_ZB_V_VALUE;
}

static enum zk_zb_kind_of load_double(const struct zk_arrow_at *at, struct zk_zb_value *v)
{
	v->d = zk_arrow_double(col_of(at), at->i);
	v->f = (float)v->d;
	return ZK_ZB_V_VALUE;
}

/* ---- text ---- */

static enum zk_zb_kind_of load_text(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    const struct zk_arrow_at *at, struct zk_zb_value *v)
{
	v->s = zk_arrow_bytes(field_of(p, at), col_of(at), at->i);
	if (!op->checked && !zk_utf8_valid(v->s))
		return zk_zb_fault(p, ZK_E_ZB_ROW_UTF8, "not valid UTF-8",
		                   "text of %zu bytes", v->s.n);
	return ZK_ZB_V_VALUE;
}

static enum zk_zb_kind_of load_text_length(struct zk_zb_plan *p,
                                           const struct zk_zb_op *op,
                                           const struct zk_arrow_at *at,
                                           struct zk_zb_value *v)
{
	enum zk_zb_kind_of k = load_text(p, op, at, v);

	if (k == ZK_ZB_V_VALUE && v->s.n > (size_t)op->max &&
	    zk_utf8_len(v->s) > (size_t)op->max)
		return no_value(p, v->s, "longer than the column");
	return k;
}

/* Keeps text that was made here until the next row of text. */
static zk_str keep(struct zk_zb_plan *p, const char *s, size_t n)
{
	zk_buf_clear(p->text);
	zk_buf_put(p->text, s, n);
	return zk_buf_str(p->text);
}

static enum zk_zb_kind_of fit_decimal(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                      zk_str text, struct zk_zb_value *v)
{
	const struct zk_zb_field *f = &p->conf.schema->fields[op->field];
	char found[80];
	bool number;

	if (zk_zb_decimal_fits(text, f->precision, f->scale, &v->s, &number))
		return ZK_ZB_V_VALUE;
	if (!number)
		return no_value(p, text, "not a decimal number");
	return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "it does not fit without rounding", "%s",
	                   zk_zb_excerpt(text, found));
}

static enum zk_zb_kind_of load_decimal(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                       const struct zk_arrow_at *at,
                                       struct zk_zb_value *v)
{
	const struct zk_arrow_field *f = field_of(p, at);
	char text[ZK_ARROW_DECIMAL_MAX];
	size_t n = zk_arrow_decimal(f, col_of(at), at->i, text);

	v->s = keep(p, text, n);
	/* min is 1 when every value of the input's type fits as it is. */
	if (op->min)
		return ZK_ZB_V_VALUE;
	return fit_decimal(p, op, v->s, v);
}

static enum zk_zb_kind_of load_int_decimal(struct zk_zb_plan *p,
                                           const struct zk_zb_op *op,
                                           const struct zk_arrow_at *at,
                                           struct zk_zb_value *v)
{
	const struct zk_arrow_field *f = field_of(p, at);
	int64_t i = zk_arrow_int(f, col_of(at), at->i);
	char text[24];
	int n = is_u64(f) ? snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)i)
	                  : snprintf(text, sizeof(text), "%" PRId64, i);

	return fit_decimal(p, op, keep(p, text, (size_t)n), v);
}

/* Numbers and bools as their JSON text. */
static enum zk_zb_kind_of load_json_text(struct zk_zb_plan *p,
                                         const struct zk_arrow_at *at,
                                         struct zk_zb_value *v)
{
	struct zk_zb_out o;
	bool base64 = false, ok;

	zk_zb_out_init(&o, ZK_ZB_ROW_MAX);
	ok = zk_zb_arrow_json(p, p->conf.arrow, at, /* lenient */ false, &base64, &o);
	if (ok && o.over) {
		(void)zk_zb_fault(p, ZK_E_ZB_ROW_SIZE, "larger than a message",
		                  "%zu bytes", o.n);
		ok = false;
	}
	if (ok)
		v->s = keep(p, o.p, o.n);
	zk_zb_out_done(&o);
	return ok ? ZK_ZB_V_VALUE : ZK_ZB_V_FAULT;
}

static enum zk_zb_kind_of load_scalar_text(struct zk_zb_plan *p,
                                           const struct zk_zb_op *op,
                                           const struct zk_arrow_at *at,
                                           struct zk_zb_value *v)
{
	enum zk_zb_kind_of k = load_json_text(p, at, v);

	/* Decimals are quoted in JSON, not in text. */
	if (k == ZK_ZB_V_VALUE && v->s.n > 1 && v->s.p[0] == '"')
		v->s = zk_str_n(v->s.p + 1, v->s.n - 2);
	if (k == ZK_ZB_V_VALUE && op->max && zk_utf8_len(v->s) > (size_t)op->max)
		return no_value(p, v->s, "longer than the column");
	return k;
}

static enum zk_zb_kind_of load_variant_text(struct zk_zb_plan *p,
                                            const struct zk_zb_op *op,
                                            const struct zk_arrow_at *at,
                                            struct zk_zb_value *v)
{
	enum zk_zb_kind_of k = load_text(p, op, at, v);
	struct zk_jscan js;

	if (k == ZK_ZB_V_VALUE && zk_jscan(v->s, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) < 0)
		return no_value(p, v->s, "not valid JSON");
	return k;
}

/* ---- dates and times ---- */

static enum zk_zb_kind_of load_date64(struct zk_zb_plan *p, const struct zk_arrow_at *at,
                                      struct zk_zb_value *v)
{
	int64_t ms = zk_arrow_int(field_of(p, at), col_of(at), at->i);

	v->i = zk_zb_floor_div(ms, 86400000);
	if (v->i < INT32_MIN || v->i > INT32_MAX)
		return out_of_range(p, ms);
	return ZK_ZB_V_VALUE;
}

static enum zk_zb_kind_of load_timestamp(struct zk_zb_plan *p,
                                         const struct zk_arrow_at *at,
                                         struct zk_zb_value *v)
{
	const struct zk_arrow_field *f = field_of(p, at);
	int64_t raw = zk_arrow_int(f, col_of(at), at->i);

	if (!zk_zb_to_micros(raw, f->unit, &v->i))
		return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "out of range in microseconds",
		                   "%" PRId64, raw);
	return ZK_ZB_V_VALUE;
}

static enum zk_zb_kind_of load_timestamp_date(struct zk_zb_plan *p,
                                              const struct zk_arrow_at *at,
                                              struct zk_zb_value *v)
{
	enum zk_zb_kind_of k = load_timestamp(p, at, v);

	v->i = zk_zb_floor_div(v->i, ZK_ZB_DAY_US);
	return k; /* 2^63 microseconds are 106,751,991 days */
}

static enum zk_zb_kind_of load_date_timestamp(struct zk_zb_plan *p,
                                              const struct zk_arrow_at *at,
                                              struct zk_zb_value *v)
{
	const struct zk_arrow_field *f = field_of(p, at);
	int64_t raw = zk_arrow_int(f, col_of(at), at->i);

	if (f->unit == 0) {
		if (!__builtin_mul_overflow(raw, ZK_ZB_DAY_US, &v->i))
			return ZK_ZB_V_VALUE;
	} else if (!__builtin_mul_overflow(raw, (int64_t)1000, &v->i)) {
		return ZK_ZB_V_VALUE;
	}
	return out_of_range(p, raw);
}

static enum zk_zb_kind_of load_text_when(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                         const struct zk_arrow_at *at,
                                         struct zk_zb_value *v)
{
	enum zk_zb_kind_of k = load_text(p, op, at, v);

	if (k != ZK_ZB_V_VALUE)
		return k;
	if (op->load == ZK_ZB_L_TEXT_DATE)
		return zk_zb_parse_date(v->s, &v->i)
		               ? k
		               : no_value(p, v->s, "not a date (YYYY-MM-DD)");
	return zk_zb_parse_time(v->s, ZK_ZB_ZONE_NEEDED, &v->i)
	               ? k
	               : no_value(p, v->s, "not a time with offset (RFC 3339)");
}

static enum zk_zb_kind_of load_time_text(struct zk_zb_plan *p,
                                         const struct zk_arrow_at *at,
                                         struct zk_zb_value *v)
{
	enum zk_zb_kind_of k = load_timestamp(p, at, v);
	char text[ZK_ZB_TIME_TEXT];

	if (k == ZK_ZB_V_VALUE)
		v->s = keep(p, text, zk_zb_format_time(v->i, text));
	return k;
}

static enum zk_zb_kind_of load_interval(struct zk_zb_plan *p,
                                        const struct zk_arrow_at *at,
                                        struct zk_zb_value *v)
{
	static const int64_t width[] = { 4, 8, 16 };
	const struct zk_arrow_field *f = field_of(p, at);
	const uint8_t *b = col_of(at)->data + at->i * width[f->unit];
	char text[ZK_ZB_SPAN_TEXT];
	size_t n;

	if (f->unit == 0)
		n = zk_zb_format_span(zk_le_i32(b), 0, 0, text);
	else if (f->unit == 1)
		n = zk_zb_format_span(0, zk_le_i32(b),
		                      (int64_t)zk_le_i32(b + 4) * 1000000, text);
	else
		n = zk_zb_format_span(zk_le_i32(b), zk_le_i32(b + 4), zk_le_i64(b + 8),
		                      text);
	v->s = keep(p, text, n);
	return ZK_ZB_V_VALUE;
}

/* ---- all of them ---- */

static enum zk_zb_kind_of load_rare(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    const struct zk_arrow_at *at, struct zk_zb_value *v)
{
	switch (op->load) {
	case ZK_ZB_L_INT_FLOAT:
		return load_int_float(p, at, v);
	case ZK_ZB_L_DECIMAL:
		return load_decimal(p, op, at, v);
	case ZK_ZB_L_INT_DECIMAL:
		return load_int_decimal(p, op, at, v);
	case ZK_ZB_L_TEXT_DECIMAL:
		if (load_text(p, op, at, v) != ZK_ZB_V_VALUE)
			return ZK_ZB_V_FAULT;
		return fit_decimal(p, op, v->s, v);
	case ZK_ZB_L_SCALAR_TEXT:
		return load_scalar_text(p, op, at, v);
	case ZK_ZB_L_TIMESTAMP_DATE:
		return load_timestamp_date(p, at, v);
	case ZK_ZB_L_DATE_TIMESTAMP:
		return load_date_timestamp(p, at, v);
	case ZK_ZB_L_TEXT_DATE:
	case ZK_ZB_L_TEXT_TIMESTAMP:
		return load_text_when(p, op, at, v);
	case ZK_ZB_L_TIME_TEXT:
		return load_time_text(p, at, v);
	case ZK_ZB_L_INTERVAL:
		return load_interval(p, at, v);
	case ZK_ZB_L_VARIANT_TEXT:
		return load_variant_text(p, op, at, v);
	case ZK_ZB_L_VARIANT:
		return load_json_text(p, at, v);
	case ZK_ZB_L_TEXT_LENGTH:
		return load_text_length(p, op, at, v);
	}
	return zk_zb_fault(p, ZK_E_BUG, "no way to read it", "a column");
}

enum zk_zb_kind_of zk_zb_load_arrow(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    const struct zk_arrow_at *at, struct zk_zb_value *v)
{
	switch (op->load) {
	case ZK_ZB_L_BOOL:
	case ZK_ZB_L_BOOL_INT:
		v->i = zk_arrow_bool(col_of(at), at->i);
		return ZK_ZB_V_VALUE;
	case ZK_ZB_L_INT:
		return load_int(p, op, at, v);
	case ZK_ZB_L_FLOAT:
		return load_float(p, at, v);
	case ZK_ZB_L_DOUBLE:
		return load_double(at, v);
	case ZK_ZB_L_TEXT:
		return load_text(p, op, at, v);
	case ZK_ZB_L_BYTES:
		v->s = zk_arrow_bytes(field_of(p, at), col_of(at), at->i);
		return ZK_ZB_V_VALUE;
	case ZK_ZB_L_DATE32:
		v->i = zk_arrow_int(field_of(p, at), col_of(at), at->i);
		return ZK_ZB_V_VALUE;
	case ZK_ZB_L_DATE64:
		return load_date64(p, at, v);
	case ZK_ZB_L_TIMESTAMP:
	case ZK_ZB_L_TIME:
		return load_timestamp(p, at, v);
	}
	return load_rare(p, op, at, v);
}

/* ---- UTF-8 of a whole batch ---- */

static bool all_ascii(const uint8_t *p, size_t n)
{
	uint64_t any = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		any |= zk_le_u64(p + i);
	for (; i < n; i++)
		any |= p[i];
	return !(any & 0x8080808080808080u);
}

/* No text begins inside a character. */
static bool whole_characters(const struct zk_arrow_col *c, bool large, uint64_t end)
{
	for (int64_t i = 0; i < c->n; i++) {
		uint64_t at =
		        large ? zk_le_u64(c->data + 8 * i) : zk_le_u32(c->data + 4 * i);

		if (at < end && (c->more[at] & 0xc0) == 0x80)
			return false;
	}
	return true;
}

static bool all_utf8(const struct zk_arrow_field *f, const struct zk_arrow_col *c)
{
	bool large = f->type == ZK_ARROW_LARGE_UTF8;
	uint64_t from, to;

	if (!c->n)
		return true;
	if (f->type == ZK_ARROW_UTF8_VIEW)
		return false;
	from = large ? zk_le_u64(c->data) : zk_le_u32(c->data);
	to = large ? zk_le_u64(c->data + 8 * c->n) : zk_le_u32(c->data + 4 * c->n);
	if (from == to || all_ascii(c->more + from, (size_t)(to - from)))
		return true;
	return zk_utf8_valid(
	               zk_str_n((const char *)c->more + from, (size_t)(to - from))) &&
	       whole_characters(c, large, to);
}

static bool reads_text(const struct zk_zb_op *op)
{
	switch (op->load) {
	case ZK_ZB_L_TEXT:
	case ZK_ZB_L_TEXT_LENGTH:
	case ZK_ZB_L_TEXT_DECIMAL:
	case ZK_ZB_L_TEXT_DATE:
	case ZK_ZB_L_TEXT_TIMESTAMP:
	case ZK_ZB_L_VARIANT_TEXT:
		return true;
	}
	return false;
}

void zk_zb_plan_batch(struct zk_zb_plan *p, const struct zk_arrow_batch *b)
{
	for (uint32_t i = 0; i < p->n_ops; i++) {
		struct zk_zb_op *op = &p->ops[i];

		op->checked = false;
		/* Behind a dictionary or run ends every row is looked at. */
		if (op->step == ZK_ZB_SCALAR && op->source != ZK_ZB_NONE &&
		    !op->indirect && !op->inside && reads_text(op))
			op->checked = all_utf8(&p->conf.arrow->fields[op->source],
			                       zk_arrow_col(&b->cols, op->source));
	}
}
