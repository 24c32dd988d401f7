/* Values of JSON and CSV for their fields.
 * Layer: zerobus. specs/zerobus.md §11.3, §11.4. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/b64.h"
#include "zerobus/convert.h"
#include "zerobus/convert_frame.h"
#include "zerobus/when.h"

#include "base/ban.h"

static enum zk_zb_kind_of refuse(struct zk_zb_plan *p, zk_str found, const char *what)
{
	char text[80];

	return zk_zb_fault(p, ZK_E_ZB_ROW_VALUE, what, "%s", zk_zb_excerpt(found, text));
}

/* ---- decimals ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Where digits end that begin at `i`. */
static size_t skip_digits(zk_str s, size_t i)
{
	while (i < s.n && is_digit(s.p[i]))
		i++;
	return i;
}

/* The parts of [+-]digits[.digits]: where the digits begin, the point (or the end) lies. */
static bool split_decimal(zk_str text, size_t *first, size_t *point)
{
	size_t end;

	*first = text.n && (text.p[0] == '-' || text.p[0] == '+');
	*point = end = skip_digits(text, *first);
	if (end < text.n && text.p[end] == '.') {
		end = skip_digits(text, *point + 1);
		if (end == *point + 1)
			return false;
	}
	return end == text.n && *point > *first;
}

bool zk_zb_decimal_fits(zk_str text, int precision, int scale, zk_str *cut, bool *number)
{
	size_t first, point, end = text.n;

	*number = split_decimal(text, &first, &point);
	if (!*number)
		return false;
	while (first < point && text.p[first] == '0')
		first++;
	/* Zeros behind the last place that the column has change nothing. */
	while (end > point + 1 + (size_t)scale && text.p[end - 1] == '0')
		end--;
	if (end == point + 1)
		end = point;
	if (end > point && end - point - 1 > (size_t)scale)
		return false;
	if (point - first > (size_t)(precision - scale))
		return false;
	*cut = text.p[0] == '+' ? zk_str_n(text.p + 1, end - 1) : zk_str_n(text.p, end);
	return true;
}

/* ---- text of a value ---- */

/* The decoded string; kept in p->text when it has escapes. */
static bool decode(struct zk_zb_plan *p, zk_str raw, zk_str *ret)
{
	struct zk_error err;

	if (zk_jstr_plain(raw, ret))
		return true;
	zk_buf_clear(p->text);
	if (zk_jstr_decode(raw, ZK_JLONE_ERROR, p->text, &err) < 0 || p->text->failed)
		return false;
	*ret = zk_buf_str(p->text);
	return true;
}

static bool is_true(zk_str s)
{
	return zk_str_eq_nocase(s, ZK_STR("true")) || zk_str_eq(s, ZK_STR("1")) ||
	       zk_str_eq_nocase(s, ZK_STR("t"));
}

static bool is_false(zk_str s)
{
	return zk_str_eq_nocase(s, ZK_STR("false")) || zk_str_eq(s, ZK_STR("0")) ||
	       zk_str_eq_nocase(s, ZK_STR("f"));
}

static enum zk_zb_kind_of as_bool(struct zk_zb_plan *p, zk_str s, struct zk_zb_value *v)
{
	v->i = is_true(s);
	return v->i || is_false(s) ? ZK_ZB_V_VALUE : refuse(p, s, "not true or false");
}

static enum zk_zb_kind_of as_int(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                 zk_str s, struct zk_zb_value *v)
{
	zk_str digits = s.n && s.p[0] == '-' ? zk_str_from(s, 1) : s;
	char found[80];

	if (!digits.n)
		return refuse(p, s, "not a whole number");
	for (size_t i = 0; i < digits.n; i++)
		if (!is_digit(digits.p[i]))
			return refuse(p, s, "not a whole number");
	/* More digits than a number has: zeros in front, or out of range. */
	while (digits.n > 1 && digits.p[0] == '0')
		digits = zk_str_from(digits, 1);
	if (digits.n <= 19) {
		uint64_t u = 0;

		for (size_t i = 0; i < digits.n; i++)
			u = u * 10 + (unsigned)(digits.p[i] - '0');
		if (u <= (uint64_t)INT64_MAX + (s.p[0] == '-')) {
			v->i = s.p[0] == '-' ? (int64_t)-u : (int64_t)u;
			if (v->i >= op->min && v->i <= op->max)
				return ZK_ZB_V_VALUE;
		}
	}
	return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "out of range", "%s",
	                   zk_zb_excerpt(s, found));
}

static bool float_name(zk_str s, double *ret)
{
	if (zk_str_eq(s, ZK_STR("NaN")))
		*ret = (double)NAN;
	else if (zk_str_eq(s, ZK_STR("Infinity")))
		*ret = (double)INFINITY;
	else if (zk_str_eq(s, ZK_STR("-Infinity")))
		*ret = -(double)INFINITY;
	else
		return false;
	return true;
}

static enum zk_zb_kind_of as_float(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                   zk_str s, struct zk_zb_value *v)
{
	struct zk_error err;
	char found[80];

	if (float_name(s, &v->d)) {
		v->f = (float)v->d;
		return ZK_ZB_V_VALUE;
	}
	if (!s.n || !(is_digit(s.p[0]) || s.p[0] == '-') ||
	    (s.n > 1 && s.p[0] == '-' && !is_digit(s.p[1])))
		return refuse(p, s, "not a number");
	if (zk_jnum_double(s, &v->d)) {
		v->f = (float)v->d;
	} else if (zk_parse_double(s, &v->d, &err) < 0) {
		return refuse(p, s, "not a number");
	}
	if (op->put == ZK_PB_FLOAT && isfinite(v->d) &&
	    fabs(v->d) > 3.4028235677973366e38)
		return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "out of range", "%s",
		                   zk_zb_excerpt(s, found));
	v->f = (float)v->d;
	return isfinite(v->d) ? ZK_ZB_V_VALUE
	                      : zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "out of range", "%s",
	                                    zk_zb_excerpt(s, found));
}

static enum zk_zb_kind_of as_decimal(struct zk_zb_plan *p, const struct zk_zb_field *f,
                                     zk_str s, struct zk_zb_value *v)
{
	char found[80];
	bool number;

	if (zk_zb_decimal_fits(s, f->precision, f->scale, &v->s, &number))
		return ZK_ZB_V_VALUE;
	if (!number)
		return refuse(p, s, "not a decimal number");
	return zk_zb_fault(p, ZK_E_ZB_ROW_RANGE, "it does not fit without rounding", "%s",
	                   zk_zb_excerpt(s, found));
}

static enum zk_zb_kind_of as_text(struct zk_zb_plan *p, const struct zk_zb_field *f,
                                  zk_str s, struct zk_zb_value *v)
{
	v->s = s;
	if ((f->type == ZK_ZBT_VARCHAR || f->type == ZK_ZBT_CHAR) && s.n > f->length &&
	    zk_utf8_len(s) > f->length)
		return refuse(p, s, "longer than the column");
	return ZK_ZB_V_VALUE;
}

/* Base64 of either alphabet, padded or not. */
static enum zk_zb_kind_of as_bytes(struct zk_zb_plan *p, zk_str s, struct zk_zb_value *v)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	zk_str found = s;
	bool url = false;

	zk_buf_init(&text, s.n + 4);
	while (s.n && s.p[s.n - 1] == '=' && found.n - s.n < 2)
		s.n--;
	if (found.n != s.n && found.n % 4)
		return refuse(p, found, "not base64");
	for (size_t i = 0; i < s.n && !url; i++)
		url = s.p[i] == '-' || s.p[i] == '_';
	zk_buf_add(&text, s); /* may stand in p->text itself */
	zk_buf_clear(p->text);
	if (!zk_b64_decode(zk_buf_str(&text), url ? ZK_B64_URL : ZK_B64_RAW, p->text))
		return refuse(p, zk_buf_str(&text), "not base64");
	v->s = zk_buf_str(p->text);
	return ZK_ZB_V_VALUE;
}

static bool is_whole(zk_str s)
{
	size_t i = s.n && s.p[0] == '-';

	if (i == s.n)
		return false;
	for (; i < s.n; i++)
		if (!is_digit(s.p[i]))
			return false;
	return true;
}

/* A date or time as text; numbers went another way. */
static enum zk_zb_kind_of as_when(struct zk_zb_plan *p, const struct zk_zb_field *f,
                                  zk_str s, bool loose, struct zk_zb_value *v)
{
	if (f->type == ZK_ZBT_DATE)
		return zk_zb_parse_date(s, &v->i)
		               ? ZK_ZB_V_VALUE
		               : refuse(p, s, "not a date (YYYY-MM-DD)");
	if (f->type == ZK_ZBT_TIMESTAMP_NTZ)
		return zk_zb_parse_time(s, ZK_ZB_ZONE_NONE, &v->i)
		               ? ZK_ZB_V_VALUE
		               : refuse(p, s, "not a date and time without offset");
	return zk_zb_parse_time(s, loose ? ZK_ZB_ZONE_MAYBE : ZK_ZB_ZONE_NEEDED, &v->i)
	               ? ZK_ZB_V_VALUE
	               : refuse(p, s, "not a time with offset (RFC 3339)");
}

/* ---- cells, and strings with --coerce ---- */

static enum zk_zb_kind_of variant_of_cell(struct zk_zb_plan *p, zk_str s,
                                          struct zk_zb_value *v)
{
	struct zk_jscan js;

	if (zk_jscan(s, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) == 0) {
		v->s = s;
		return ZK_ZB_V_VALUE;
	}
	zk_buf_clear(p->text);
	zk_buf_json_str(p->text, s);
	v->s = zk_buf_str(p->text);
	return ZK_ZB_V_VALUE;
}

/* What texts of a type have in common. */
enum form { TRUTH, WHOLE, REAL, DECIMAL, TEXT, BYTES, WHEN, ANY, NESTED };

static enum form form_of(enum zk_zb_type type)
{
	static const enum form forms[] = {
		[ZK_ZBT_BOOLEAN] = TRUTH,      [ZK_ZBT_TINYINT] = WHOLE,
		[ZK_ZBT_SMALLINT] = WHOLE,     [ZK_ZBT_INT] = WHOLE,
		[ZK_ZBT_BIGINT] = WHOLE,       [ZK_ZBT_FLOAT] = REAL,
		[ZK_ZBT_DOUBLE] = REAL,        [ZK_ZBT_DECIMAL] = DECIMAL,
		[ZK_ZBT_STRING] = TEXT,        [ZK_ZBT_VARCHAR] = TEXT,
		[ZK_ZBT_CHAR] = TEXT,          [ZK_ZBT_BINARY] = BYTES,
		[ZK_ZBT_DATE] = WHEN,          [ZK_ZBT_TIMESTAMP] = WHEN,
		[ZK_ZBT_TIMESTAMP_NTZ] = WHEN, [ZK_ZBT_VARIANT] = ANY,
		[ZK_ZBT_STRUCT] = NESTED,
	};

	return forms[type];
}

static enum zk_zb_kind_of from_text(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    zk_str s, struct zk_zb_value *v)
{
	const struct zk_zb_field *f = &p->conf.schema->fields[op->field];

	switch (form_of(f->type)) {
	case TRUTH:
		return as_bool(p, s, v);
	case WHOLE:
		return as_int(p, op, s, v);
	case REAL:
		return as_float(p, op, s, v);
	case DECIMAL:
		return as_decimal(p, f, s, v);
	case TEXT:
		return as_text(p, f, s, v);
	case BYTES:
		return as_bytes(p, s, v);
	case WHEN:
		return is_whole(s) ? as_int(p, op, s, v) : as_when(p, f, s, true, v);
	case ANY:
		return variant_of_cell(p, s, v);
	case NESTED:
		break;
	}
	return refuse(p, s, "not possible");
}

/* ---- JSON ---- */

static enum zk_zb_kind_of from_string(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                      zk_str s, struct zk_zb_value *v)
{
	const struct zk_zb_field *f = &p->conf.schema->fields[op->field];
	enum form form = form_of(f->type);

	/* Names of members are text for keys of every type. */
	if (p->conf.coerce || op->is_key || form == DECIMAL || form == TEXT ||
	    form == BYTES)
		return from_text(p, op, s, v);
	if (form == WHEN)
		return as_when(p, f, s, false, v);
	if (form == REAL && !p->conf.json && float_name(s, &v->d)) {
		v->f = (float)v->d;
		return ZK_ZB_V_VALUE;
	}
	return refuse(p, s, "a string (--coerce reads it)");
}

static enum zk_zb_kind_of from_number(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                      zk_str raw, struct zk_zb_value *v)
{
	const struct zk_zb_field *f = &p->conf.schema->fields[op->field];
	enum form form = form_of(f->type);

	if (form == WHEN)
		return as_int(p, op, raw, v);
	if (form == TEXT && !p->conf.coerce)
		return refuse(p, raw,
		              "a number, not a string (--coerce writes it as text)");
	if (form == WHOLE || form == REAL || form == DECIMAL || form == TEXT)
		return from_text(p, op, raw, v);
	return refuse(p, raw, "a number");
}

static enum zk_zb_kind_of from_bool(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    zk_str raw, struct zk_zb_value *v)
{
	const struct zk_zb_field *f = &p->conf.schema->fields[op->field];

	if (f->pb_type == ZK_PB_BOOL) {
		v->i = raw.p[0] == 't';
		return ZK_ZB_V_VALUE;
	}
	if (p->conf.coerce && form_of(f->type) == TEXT)
		return as_text(p, f, raw, v);
	return refuse(p, raw, "a boolean");
}

static enum zk_zb_kind_of from_json(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    const struct zk_jval *val, struct zk_zb_value *v)
{
	const struct zk_zb_field *f = &p->conf.schema->fields[op->field];
	zk_str s;

	if (f->type == ZK_ZBT_VARIANT && !op->is_key) {
		v->s = val->raw;
		return ZK_ZB_V_VALUE;
	}
	switch (val->type) {
	case ZK_J_STRING:
		if (!decode(p, val->raw, &s))
			return zk_zb_fault(p, ZK_E_ZB_ROW_UTF8,
			                   "an escape of half a character", "a string");
		return from_string(p, op, s, v);
	case ZK_J_NUMBER:
		return from_number(p, op, val->raw, v);
	case ZK_J_BOOL:
		return from_bool(p, op, val->raw, v);
	case ZK_J_ARRAY:
	case ZK_J_OBJECT:
		return refuse(p, val->raw,
		              val->type == ZK_J_ARRAY ? "an array" : "an object");
	case ZK_J_NONE:
	case ZK_J_NULL:
		break;
	}
	return ZK_ZB_V_NULL;
}

/* ---- splices ---- */

/* What the value is as a member of a JSON record. */
static enum zk_jtype native(const struct zk_zb_op *op)
{
	switch (op->put) {
	case ZK_PB_STRING:
	case ZK_PB_BYTES:
		return ZK_J_STRING;
	case ZK_PB_BOOL:
		return ZK_J_BOOL;
	}
	return ZK_J_NUMBER;
}

/* Writes the new text of a value behind the others. */
static void splice(struct zk_zb_plan *p, const struct zk_zb_op *op,
                   const struct zk_jval *val, const struct zk_zb_value *v)
{
	size_t from = p->out.n;
	struct zk_zb_splice *s;

	if (val->type == native(op) || op->is_key)
		return;
	if (p->n_splices == p->splices_room) {
		p->splices_room = p->splices_room ? p->splices_room * 2 : 16;
		p->splices =
		        zk_realloc(p->splices, p->splices_room * sizeof(*p->splices));
	}
	if (op->put == ZK_PB_STRING || op->put == ZK_PB_BYTES)
		zk_zb_out_json_str(&p->out, v->s);
	else if (op->put == ZK_PB_BOOL)
		zk_zb_out_put(&p->out, v->i ? "true" : "false", v->i ? 4 : 5);
	else if (op->put == ZK_PB_FLOAT || op->put == ZK_PB_DOUBLE)
		zk_zb_out_double(&p->out, v->d);
	else
		zk_zb_out_i64(&p->out, v->i);
	s = &p->splices[p->n_splices++];
	*s = (struct zk_zb_splice){ .raw = val->raw, .from = from, .n = p->out.n - from };
}

static int by_place(const void *a, const void *b)
{
	const struct zk_zb_splice *x = a, *y = b;

	return x->raw.p < y->raw.p ? -1 : x->raw.p > y->raw.p;
}

/* The line with its values replaced, behind the new texts in p->out. */
static zk_str assemble(struct zk_zb_plan *p, zk_str line)
{
	size_t from = p->out.n;
	const char *at = line.p;

	qsort(p->splices, p->n_splices, sizeof(*p->splices), by_place);
	for (size_t i = 0; i < p->n_splices; i++) {
		const struct zk_zb_splice *s = &p->splices[i];

		zk_zb_out_put(&p->out, at, (size_t)(s->raw.p - at));
		/* Room first: the source lies in the same memory. */
		if (!p->out.over && p->out.room - p->out.n < s->n)
			zk_zb_out_grow(&p->out, s->n);
		zk_zb_out_put(&p->out, p->out.over ? "" : p->out.p + s->from,
		              p->out.over ? 0 : s->n);
		at = s->raw.p + s->raw.n;
	}
	zk_zb_out_put(&p->out, at, (size_t)(line.p + line.n - at));
	return p->out.over ? line : zk_str_n(p->out.p + from, p->out.n - from);
}

/* ---- rows ---- */

enum zk_zb_kind_of zk_zb_load_text(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                   struct zk_zb_slot *slot, struct zk_zb_value *v)
{
	enum zk_zb_kind_of k;

	if (slot->is_cell)
		return slot->cell.p ? from_text(p, op, slot->cell, v) : ZK_ZB_V_NULL;
	if (slot->val.type == ZK_J_NONE || slot->val.type == ZK_J_NULL)
		return ZK_ZB_V_NULL;
	k = from_json(p, op, &slot->val, v);
	if (k == ZK_ZB_V_VALUE && p->sink && p->conf.coerce)
		splice(p, op, &slot->val, v);
	return k;
}

enum zk_zb_kind_of zk_zb_nested(struct zk_zb_plan *p, struct zk_zb_slot *slot,
                                enum zk_jtype type, zk_str *ret)
{
	const char *what = type == ZK_J_ARRAY ? "not an array" : "not an object";
	struct zk_jscan js;

	if (slot->is_cell) {
		if (!slot->cell.p)
			return ZK_ZB_V_NULL;
		if (zk_jscan(slot->cell, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) < 0)
			return refuse(p, slot->cell, "not valid JSON");
		slot->val = js.top;
		slot->is_cell = false;
	}
	if (slot->val.type == ZK_J_NONE || slot->val.type == ZK_J_NULL)
		return ZK_ZB_V_NULL;
	if (slot->val.type != type)
		return refuse(p, slot->val.raw, what);
	*ret = slot->val.raw;
	return ZK_ZB_V_VALUE;
}

static bool bad_member(struct zk_zb_plan *p, zk_str key, enum zk_code code,
                       const char *what)
{
	char text[80];

	(void)zk_zb_fault(p, code, what, "member %s", zk_zb_excerpt(key, text));
	return false;
}

bool zk_zb_open_object(struct zk_zb_plan *p, uint32_t message, zk_str text)
{
	const struct zk_zb_message *m = &p->conf.schema->messages[message];
	uint32_t guess = m->first_field;
	struct zk_jiter it;
	struct zk_jval val;
	zk_str raw;

	for (uint32_t i = 0; i < m->n_fields; i++)
		p->slots[m->first_field + i] = (struct zk_zb_slot){ 0 };
	zk_jiter_init(&it, text);
	while (zk_jiter_member(&it, &raw, &val)) {
		uint32_t field;
		zk_str name;

		if (!decode(p, raw, &name))
			return bad_member(p, raw, ZK_E_ZB_ROW_UTF8,
			                  "an escape of half a character");
		field = zk_zb_index_find(p->index, message, name, guess);
		if (field == ZK_ZB_NONE) {
			if (!p->conf.drop_unknown)
				return bad_member(p, name, ZK_E_ZB_COLUMN,
				                  "the table does not have it");
			continue;
		}
		if (p->slots[field].val.type != ZK_J_NONE)
			return bad_member(p, name, ZK_E_ZB_ROW_JSON, "it stands twice");
		p->slots[field].val = val;
		guess = field + 1;
	}
	return true;
}

bool zk_zb_plan_line(struct zk_zb_plan *p, zk_str line, zk_str *ret)
{
	p->n_splices = 0;
	p->fault.field = ZK_ZB_NONE;
	if (!zk_zb_open_object(p, 0, line) || !zk_zb_plan_run(p, NULL, 0))
		return false;
	if (!p->sink)
		*ret = zk_zb_out_str(&p->out);
	else
		*ret = p->n_splices ? assemble(p, line) : line;
	return true;
}

bool zk_zb_plan_cells(struct zk_zb_plan *p, const zk_str *cells, zk_str *ret)
{
	const struct zk_zb_message *m = zk_zb_top(p->conf.schema);

	for (uint32_t i = 0; i < m->n_fields; i++)
		p->slots[m->first_field + i] = (struct zk_zb_slot){ .is_cell = true };
	for (size_t i = 0; i < p->conf.n_columns; i++)
		if (p->csv_fields[i] != ZK_ZB_NONE)
			p->slots[p->csv_fields[i]].cell = cells[i];
	if (!zk_zb_plan_run(p, NULL, 0))
		return false;
	*ret = zk_zb_out_str(&p->out);
	return true;
}
