/* Arrow values as JSON text: VARIANT columns, and rows for the rejects file.
 * Layer: zerobus. specs/zerobus.md §11.3, §14.3. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "codec/le.h"
#include "zerobus/convert.h"
#include "zerobus/convert_frame.h"
#include "zerobus/when.h"

#include "base/ban.h"

/* A list, map or struct that is being written. */
struct spot {
	struct zk_arrow_cols cols;
	uint32_t field; /* of the list, map or struct */
	uint32_t child, end;
	int64_t i, to;
	bool any;
};

struct writer {
	struct zk_zb_plan *p; /* takes faults; NULL when lenient */
	const struct zk_arrow_schema *s;
	struct zk_zb_out *o;
	bool lenient, *base64;
	struct spot stack[ZK_ARROW_DEPTH_MAX + 2];
	size_t depth;
};

static void put_lit(struct zk_zb_out *o, const char *s)
{
	zk_zb_out_put(o, s, strlen(s));
}

static bool put_float(struct writer *w, double d, bool single)
{
	if (isfinite(d)) {
		if (single)
			zk_zb_out_float(w->o, (float)d);
		else
			zk_zb_out_double(w->o, d);
		return true;
	}
	if (!w->lenient) {
		(void)zk_zb_fault(w->p, ZK_E_ZB_ROW_NAN, "it has no JSON form", "%s",
		                  isnan(d) ? "NaN" : "Infinity");
		return false;
	}
	put_lit(w->o, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	return true;
}

static bool put_text(struct writer *w, zk_str s)
{
	if (zk_utf8_valid(s)) {
		zk_zb_out_json_str(w->o, s);
		return true;
	}
	if (!w->lenient) {
		(void)zk_zb_fault(w->p, ZK_E_ZB_ROW_UTF8, "not valid UTF-8",
		                  "text of %zu bytes", s.n);
		return false;
	}
	*w->base64 = true;
	zk_zb_out_base64(w->o, s);
	return true;
}

static bool put_timestamp(struct writer *w, const struct zk_arrow_field *f, int64_t v)
{
	static const char *const units[] = { "s", "ms", "us", "ns" };
	int64_t us;
	char text[40];

	if (zk_zb_to_micros(v, f->unit, &us)) {
		zk_zb_out_i64(w->o, us);
		return true;
	}
	if (!w->lenient) {
		(void)zk_zb_fault(w->p, ZK_E_ZB_ROW_RANGE, "out of range in microseconds",
		                  "%" PRId64, v);
		return false;
	}
	(void)snprintf(text, sizeof(text), "\"%" PRId64 " %s\"", v, units[f->unit]);
	put_lit(w->o, text);
	return true;
}

static void put_interval(struct writer *w, const struct zk_arrow_field *f,
                         const struct zk_arrow_col *c, int64_t i)
{
	char text[ZK_ZB_SPAN_TEXT];
	const uint8_t *b;
	size_t n;

	if (f->unit == 0) {
		n = zk_zb_format_span(zk_le_i32(c->data + 4 * i), 0, 0, text);
	} else if (f->unit == 1) {
		b = c->data + 8 * i;
		n = zk_zb_format_span(0, zk_le_i32(b),
		                      (int64_t)zk_le_i32(b + 4) * 1000000, text);
	} else {
		b = c->data + 16 * i;
		n = zk_zb_format_span(zk_le_i32(b), zk_le_i32(b + 4), zk_le_i64(b + 8),
		                      text);
	}
	zk_zb_out_json_str(w->o, zk_str_n(text, n));
}

static bool put_scalar(struct writer *w, const struct zk_arrow_field *f,
                       const struct zk_arrow_col *c, int64_t i)
{
	char text[ZK_ARROW_DECIMAL_MAX];

	switch ((unsigned)f->type) {
	case ZK_ARROW_BOOL:
		put_lit(w->o, zk_arrow_bool(c, i) ? "true" : "false");
		return true;
	case ZK_ARROW_INT:
		if (f->is_signed)
			zk_zb_out_i64(w->o, zk_arrow_int(f, c, i));
		else
			zk_zb_out_u64(w->o, (uint64_t)zk_arrow_int(f, c, i));
		return true;
	case ZK_ARROW_FLOAT:
		if (f->width == 64)
			return put_float(w, zk_arrow_double(c, i), false);
		return put_float(w, (double)zk_arrow_float(f, c, i), true);
	case ZK_ARROW_DECIMAL:
		zk_zb_out_json_str(w->o, zk_str_n(text, zk_arrow_decimal(f, c, i, text)));
		return true;
	case ZK_ARROW_UTF8:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_UTF8_VIEW:
		return put_text(w, zk_arrow_bytes(f, c, i));
	case ZK_ARROW_BINARY:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_FIXED_BINARY:
		zk_zb_out_base64(w->o, zk_arrow_bytes(f, c, i));
		return true;
	case ZK_ARROW_DATE:
		zk_zb_out_i64(w->o,
		              f->unit ? zk_zb_floor_div(zk_arrow_int(f, c, i), 86400000)
		                      : zk_arrow_int(f, c, i));
		return true;
	case ZK_ARROW_TIMESTAMP:
	case ZK_ARROW_TIME:
	case ZK_ARROW_DURATION:
		return put_timestamp(w, f, zk_arrow_int(f, c, i));
	case ZK_ARROW_INTERVAL:
		put_interval(w, f, c, i);
		return true;
	}
	put_lit(w->o, "null");
	return true;
}

/* The union's own value, through unions in unions. */
static enum zk_arrow_found find(struct writer *w, struct zk_arrow_at *at)
{
	enum zk_arrow_found found = zk_arrow_resolve(w->s, at);

	while (found == ZK_ARROW_VALUE &&
	       w->s->fields[at->field].type == ZK_ARROW_UNION) {
		uint32_t child;
		int64_t row;

		if (!zk_arrow_union(w->s, at->field, &at->cols, at->i, &child, &row))
			return ZK_ARROW_OUTSIDE;
		at->field = child;
		at->i = row;
		found = zk_arrow_resolve(w->s, at);
	}
	return found;
}

static bool is_nested(const struct zk_arrow_field *f)
{
	switch ((unsigned)f->type) {
	case ZK_ARROW_STRUCT:
	case ZK_ARROW_LIST:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
	case ZK_ARROW_MAP:
		return true;
	}
	return false;
}

static void open_spot(struct writer *w, const struct zk_arrow_at *at)
{
	const struct zk_arrow_field *f = &w->s->fields[at->field];
	struct spot *sp = &w->stack[w->depth++];

	*sp = (struct spot){ .cols = at->cols,
		             .field = at->field,
		             .child = at->field + 1,
		             .end = zk_arrow_sibling(w->s, at->field),
		             .i = at->i };
	if (f->type != ZK_ARROW_STRUCT)
		zk_arrow_elements(f, zk_arrow_col(&at->cols, at->field), at->i, &sp->i,
		                  &sp->to);
	zk_zb_out_char(w->o,
	               f->type == ZK_ARROW_STRUCT || f->type == ZK_ARROW_MAP ? '{' : '[');
}

/* A value that was found; nested ones are opened. */
static bool put_found(struct writer *w, enum zk_arrow_found found,
                      const struct zk_arrow_at *at)
{
	const struct zk_arrow_field *f = &w->s->fields[at->field];

	if (found == ZK_ARROW_IS_NULL) {
		put_lit(w->o, "null");
		return true;
	}
	if (found == ZK_ARROW_OUTSIDE) {
		if (!w->lenient) {
			(void)zk_zb_fault(w->p, ZK_E_ZB_ROW_INDEX,
			                  "there is no such entry", "a dictionary index");
			return false;
		}
		put_lit(w->o, "\"outside the dictionary\"");
		return true;
	}
	if (is_nested(f) && w->depth < ZK_ARRAY_LEN(w->stack)) {
		open_spot(w, at);
		return true;
	}
	return put_scalar(w, f, zk_arrow_col(&at->cols, at->field), at->i);
}

static void comma(struct writer *w, struct spot *sp)
{
	if (sp->any)
		zk_zb_out_char(w->o, ',');
	sp->any = true;
}

/* The next member that is not null, which is left out. */
static bool step_struct(struct writer *w, struct spot *sp)
{
	while (sp->child < sp->end) {
		struct zk_arrow_at at = { sp->cols, sp->child, sp->i };
		zk_str name = w->s->fields[sp->child].name;
		enum zk_arrow_found found = find(w, &at);

		sp->child = zk_arrow_sibling(w->s, sp->child);
		if (found == ZK_ARROW_IS_NULL)
			continue;
		comma(w, sp);
		if (!put_text(w, name))
			return false;
		zk_zb_out_char(w->o, ':');
		return put_found(w, found, &at);
	}
	zk_zb_out_char(w->o, '}');
	w->depth--;
	return true;
}

/* The key of a map as the name of a member. */
static bool put_key(struct writer *w, const struct zk_arrow_at *place)
{
	struct zk_arrow_at at = *place;
	enum zk_arrow_found found = find(w, &at);
	struct zk_zb_out text;
	bool ok;

	if (found == ZK_ARROW_VALUE && is_nested(&w->s->fields[at.field]))
		found = ZK_ARROW_IS_NULL;
	zk_zb_out_init(&text, ZK_ZB_ROW_MAX);
	struct zk_zb_out *o = w->o;

	w->o = &text;
	ok = put_found(w, found, &at);
	w->o = o;
	if (ok && !text.over && text.n && text.p[0] == '"')
		zk_zb_out_put(o, text.p, text.n);
	else if (ok)
		zk_zb_out_json_str(o, zk_zb_out_str(&text));
	zk_zb_out_done(&text);
	return ok;
}

static bool step_elements(struct writer *w, struct spot *sp, bool map)
{
	struct zk_arrow_at at = { sp->cols, sp->child, sp->i };

	if (sp->i >= sp->to) {
		zk_zb_out_char(w->o, map ? '}' : ']');
		w->depth--;
		return true;
	}
	sp->i++;
	comma(w, sp);
	if (map) {
		at.field = sp->child + 1;
		if (!put_key(w, &at))
			return false;
		zk_zb_out_char(w->o, ':');
		at.field = zk_arrow_sibling(w->s, at.field);
	}
	enum zk_arrow_found found = find(w, &at);

	return put_found(w, found, &at);
}

bool zk_zb_arrow_json(struct zk_zb_plan *p, const struct zk_arrow_schema *s,
                      const struct zk_arrow_at *at, bool lenient, bool *base64,
                      struct zk_zb_out *out)
{
	struct writer w = {
		.p = p, .s = s, .o = out, .lenient = lenient, .base64 = base64
	};
	struct zk_arrow_at place = *at;
	enum zk_arrow_found found = find(&w, &place);
	bool ok = put_found(&w, found, &place);

	while (ok && w.depth) {
		struct spot *sp = &w.stack[w.depth - 1];
		unsigned type = w.s->fields[sp->field].type;

		ok = type == ZK_ARROW_STRUCT
		             ? step_struct(&w, sp)
		             : step_elements(&w, sp, type == ZK_ARROW_MAP);
	}
	return ok;
}
