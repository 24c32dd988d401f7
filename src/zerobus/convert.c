/* Runs the steps of a plan.
 * Layer: zerobus. specs/zerobus.md §11. */
#include "zerobus/convert.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/le.h"
#include "zerobus/convert_frame.h"

#include "base/ban.h"

enum zk_zb_kind_of zk_zb_fault(struct zk_zb_plan *p, enum zk_code code, const char *what,
                               const char *found, ...)
{
	va_list ap;

	p->fault.code = code;
	p->fault.what = what;
	va_start(ap, found);
	(void)vsnprintf(p->fault.found, sizeof(p->fault.found), found, ap);
	va_end(ap);
	return ZK_ZB_V_FAULT;
}

const char *zk_zb_excerpt(zk_str s, char out[80])
{
	size_t n = ZK_MIN(s.n, (size_t)60);

	/* Never half a character. */
	while (n < s.n && n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	(void)snprintf(out, 80, "'%.*s%s'", (int)n, s.n ? s.p : "", n < s.n ? "…" : "");
	return out;
}

/* ---- protobuf ---- */

static void put_varint(struct zk_zb_out *o, const struct zk_zb_op *op, uint64_t v)
{
	char *w = zk_zb_out_need(o, sizeof(op->tag) + ZK_PB_VARINT_MAX + 4), *p = w;

	memcpy(p, op->tag, sizeof(op->tag));
	p = zk_pb_write_varint(p + op->tag_n, v);
	o->n += (size_t)(p - w);
}

static void put_bytes(struct zk_zb_out *o, const struct zk_zb_op *op, zk_str s)
{
	put_varint(o, op, s.n);
	zk_zb_out_put(o, s.p, s.n);
}

static void put_proto(struct zk_zb_out *o, const struct zk_zb_op *op,
                      const struct zk_zb_value *v)
{
	uint32_t f32;
	uint64_t f64;
	char *w;

	switch (op->put) {
	case ZK_PB_STRING:
	case ZK_PB_BYTES:
		put_bytes(o, op, v->s);
		return;
	case ZK_PB_FLOAT:
		w = zk_zb_out_need(o, 16);
		memcpy(w, op->tag, sizeof(op->tag));
		memcpy(&f32, &v->f, sizeof(f32));
		zk_le_put32(w + op->tag_n, f32);
		o->n += op->tag_n + 4u;
		return;
	case ZK_PB_DOUBLE:
		w = zk_zb_out_need(o, 16);
		memcpy(w, op->tag, sizeof(op->tag));
		memcpy(&f64, &v->d, sizeof(f64));
		zk_le_put64(w + op->tag_n, f64);
		o->n += op->tag_n + 8u;
		return;
	}
	put_varint(o, op, (uint64_t)v->i);
}

/* ---- JSON ---- */

static bool put_json(struct zk_zb_plan *p, const struct zk_zb_op *op,
                     const struct zk_zb_value *v)
{
	struct zk_zb_out *o = &p->out;

	switch (op->put) {
	case ZK_PB_STRING:
		zk_zb_out_json_str(o, v->s);
		return true;
	case ZK_PB_BYTES:
		zk_zb_out_base64(o, v->s);
		return true;
	case ZK_PB_BOOL:
		zk_zb_out_put(o, v->i ? "true" : "false", v->i ? 4 : 5);
		return true;
	case ZK_PB_FLOAT:
	case ZK_PB_DOUBLE: {
		double d = op->put == ZK_PB_FLOAT ? (double)v->f : v->d;

		if (!isfinite(d)) {
			(void)zk_zb_fault(p, ZK_E_ZB_ROW_NAN, "it has no JSON form", "%s",
			                  isnan(d) ? "NaN"
			                  : d > 0  ? "Infinity"
			                           : "-Infinity");
			return false;
		}
		if (op->put == ZK_PB_FLOAT)
			zk_zb_out_float(o, v->f);
		else
			zk_zb_out_double(o, d);
		return true;
	}
	}
	zk_zb_out_i64(o, v->i);
	return true;
}

/* The name of a JSON member is text, whatever the key is. */
static void put_json_key(struct zk_zb_out *o, const struct zk_zb_op *op,
                         const struct zk_zb_value *v)
{
	if (op->put == ZK_PB_STRING) {
		zk_zb_out_json_str(o, v->s);
	} else {
		zk_zb_out_char(o, '"');
		if (op->put == ZK_PB_BOOL)
			zk_zb_out_put(o, v->i ? "true" : "false", v->i ? 4 : 5);
		else
			zk_zb_out_i64(o, v->i);
		zk_zb_out_char(o, '"');
	}
	zk_zb_out_char(o, ':');
}

/* What stands in front of a value: a comma, its name. */
static void json_lead(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	struct zk_zb_out *o = &p->out;
	struct zk_zb_frame *f = &p->frames[op->depth];

	if (op->is_value)
		return; /* the key was written */
	if (f->any)
		zk_zb_out_char(o, ',');
	f->any = true;
	if (!op->element)
		zk_zb_out_put(o, op->key.p, op->key.n);
}

static bool put(struct zk_zb_plan *p, const struct zk_zb_op *op,
                const struct zk_zb_value *v)
{
	if (!p->conf.json) {
		put_proto(&p->out, op, v);
		return true;
	}
	if (op->is_key) {
		put_json_key(&p->out, op, v);
		return true;
	}
	json_lead(p, op);
	return put_json(p, op, v);
}

/* ---- steps ---- */

/* Notes where; 0, which is no step. */
static uint32_t fault_at(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	p->fault.field = op->field;
	p->fault.source = op->source;
	return 0;
}

static uint32_t null_fault(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	if (op->element)
		(void)zk_zb_fault(p, ZK_E_ZB_ROW_ELEMENT,
		                  op->is_key ? "keys of a map cannot be null"
		                             : "lists and maps cannot hold null",
		                  "null");
	else
		(void)zk_zb_fault(p, ZK_E_ZB_ROW_NULL, "the column does not take null",
		                  "null");
	return fault_at(p, op);
}

/* A null, or a column that the input lacks: the next step, or 0 after a fault. */
static uint32_t on_null(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	struct zk_zb_frame *f = &p->frames[op->depth];

	if (op->element && (op->is_key || !p->conf.drop_nulls))
		return null_fault(p, op);
	if (op->required)
		return null_fault(p, op);
	if (op->is_value && !p->sink) {
		/* The entry is left out, its key with it. */
		p->out.n = f->entry;
		f->any = f->any_before;
		f->dropped = true;
	}
	return op->skip;
}

static enum zk_zb_kind_of find_arrow(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                     struct zk_arrow_at *at)
{
	const struct zk_zb_frame *f = &p->frames[op->depth];

	if (op->source == ZK_ZB_NONE)
		return ZK_ZB_V_NULL;
	*at = (struct zk_arrow_at){ .cols = f->cols, .field = op->source, .i = f->i };
	if (ZK_LIKELY(!op->indirect))
		return zk_arrow_is_valid(zk_arrow_col(&f->cols, op->source), f->i)
		               ? ZK_ZB_V_VALUE
		               : ZK_ZB_V_NULL;
	switch (zk_arrow_resolve(p->conf.arrow, at)) {
	case ZK_ARROW_VALUE:
		return ZK_ZB_V_VALUE;
	case ZK_ARROW_IS_NULL:
		return ZK_ZB_V_NULL;
	case ZK_ARROW_OUTSIDE:
		break;
	}
	return zk_zb_fault(p, ZK_E_ZB_ROW_INDEX, "there is no such entry",
	                   "a dictionary index");
}

static uint32_t do_scalar(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	struct zk_zb_value v;
	enum zk_zb_kind_of k;

	if (p->conf.arrow) {
		struct zk_arrow_at at;

		k = find_arrow(p, op, &at);
		if (k == ZK_ZB_V_VALUE)
			k = zk_zb_load_arrow(p, op, &at, &v);
	} else {
		k = zk_zb_load_text(p, op, &p->slots[op->field], &v);
	}
	if (ZK_UNLIKELY(k != ZK_ZB_V_VALUE)) {
		if (k == ZK_ZB_V_NULL)
			return on_null(p, op);
		return fault_at(p, op);
	}
	if (ZK_UNLIKELY(p->sink))
		return op->skip;
	return put(p, op, &v) ? op->skip : fault_at(p, op);
}

/* The tag or name of a nested value. */
static void lead(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	if (p->sink)
		return;
	if (p->conf.json)
		json_lead(p, op);
	else
		zk_zb_out_put(&p->out, op->tag, op->tag_n);
}

static void open_bracket(struct zk_zb_plan *p, char c)
{
	if (p->conf.json && !p->sink)
		zk_zb_out_char(&p->out, c);
}

static uint32_t do_struct(struct zk_zb_plan *p, const struct zk_zb_op *op, uint32_t at)
{
	struct zk_zb_frame *f = &p->frames[op->depth + 1];
	struct zk_arrow_at place = { 0 };
	enum zk_zb_kind_of k;
	zk_str text = ZK_STR_NULL;

	if (p->conf.arrow)
		k = find_arrow(p, op, &place);
	else
		k = zk_zb_nested(p, &p->slots[op->field], ZK_J_OBJECT, &text);
	if (k == ZK_ZB_V_NULL)
		return on_null(p, op);
	if (k == ZK_ZB_V_FAULT)
		return fault_at(p, op);
	*f = (struct zk_zb_frame){ 0 };
	if (p->conf.arrow) {
		f->cols = place.cols;
		f->i = place.i;
	} else if (!zk_zb_open_object(p, p->conf.schema->fields[op->field].message,
	                              text)) {
		/* The fault names the member. */
		if (p->fault.field == ZK_ZB_NONE)
			(void)fault_at(p, op);
		return 0;
	}
	lead(p, op);
	open_bracket(p, '{');
	if (!p->conf.json)
		f->mark = zk_zb_out_open(&p->out);
	return at + 1;
}

static uint32_t do_close(struct zk_zb_plan *p, const struct zk_zb_op *op, uint32_t at)
{
	open_bracket(p, '}');
	if (!p->conf.json)
		zk_zb_out_close(&p->out, p->frames[op->depth].mark);
	return at + 1;
}

/* The list or map begins: its first element, or what follows it. */
static uint32_t do_repeated(struct zk_zb_plan *p, const struct zk_zb_op *op)
{
	bool map = op->step == ZK_ZB_MAP;
	struct zk_zb_frame *f = &p->frames[op->depth + 1];
	struct zk_arrow_at place = { 0 };
	enum zk_zb_kind_of k;
	zk_str text = ZK_STR_NULL;

	if (p->conf.arrow)
		k = find_arrow(p, op, &place);
	else
		k = zk_zb_nested(p, &p->slots[op->field], map ? ZK_J_OBJECT : ZK_J_ARRAY,
		                 &text);
	if (k == ZK_ZB_V_NULL)
		return on_null(p, op);
	if (k == ZK_ZB_V_FAULT)
		return fault_at(p, op);
	*f = (struct zk_zb_frame){ 0 };
	if (p->conf.arrow) {
		f->cols = place.cols;
		zk_arrow_elements(&p->conf.arrow->fields[place.field],
		                  zk_arrow_col(&place.cols, place.field), place.i, &f->i,
		                  &f->end);
		f->i--;
	} else {
		zk_jiter_init(&f->it, text);
	}
	if (p->conf.json) {
		lead(p, op);
		open_bracket(p, map ? '{' : '[');
	}
	return op->skip - 1; /* the loop fetches the first element */
}

/* Puts the next element into its slots; false at the end. */
static bool next_element(struct zk_zb_plan *p, const struct zk_zb_op *list,
                         struct zk_zb_frame *f)
{
	struct zk_zb_slot *slot;
	zk_str key;

	if (p->conf.arrow)
		return ++f->i < f->end;
	slot = &p->slots[list[1].field];
	if (list->step == ZK_ZB_LIST) {
		*slot = (struct zk_zb_slot){ .stamp = p->stamp };
		return zk_jiter_element(&f->it, &slot->val);
	}
	struct zk_zb_slot *value = slot + 1; /* fields of the entry */

	*value = (struct zk_zb_slot){ .stamp = p->stamp };
	if (!zk_jiter_member(&f->it, &key, &value->val))
		return false;
	*slot = (struct zk_zb_slot){ .val = { .raw = key, .type = ZK_J_STRING },
		                     .stamp = p->stamp };
	return true;
}

static uint32_t do_loop(struct zk_zb_plan *p, const struct zk_zb_op *op, uint32_t at)
{
	const struct zk_zb_op *list = &p->ops[op->skip];
	struct zk_zb_frame *f = &p->frames[op->depth];
	bool map = list->step == ZK_ZB_MAP;

	if (map && f->in_entry && !f->dropped && !p->conf.json)
		zk_zb_out_close(&p->out, f->mark);
	f->in_entry = f->dropped = false;
	if (!next_element(p, list, f)) {
		open_bracket(p, map ? '}' : ']');
		return at + 1;
	}
	if (!map)
		return op->skip + 1;
	f->in_entry = true;
	f->entry = p->out.n;
	f->any_before = f->any;
	if (p->sink)
		return op->skip + 1;
	if (p->conf.json) {
		if (f->any)
			zk_zb_out_char(&p->out, ',');
		f->any = true;
	} else {
		zk_zb_out_put(&p->out, list->tag, list->tag_n);
		f->mark = zk_zb_out_open(&p->out);
	}
	return op->skip + 1;
}

static bool run(struct zk_zb_plan *p)
{
	uint32_t at = 0;

	while (at < p->n_ops) {
		const struct zk_zb_op *op = &p->ops[at];
		uint32_t next = 0;

		switch ((enum zk_zb_step)op->step) {
		case ZK_ZB_SCALAR:
			next = do_scalar(p, op);
			break;
		case ZK_ZB_STRUCT:
			next = do_struct(p, op, at);
			break;
		case ZK_ZB_LIST:
		case ZK_ZB_MAP:
			next = do_repeated(p, op);
			break;
		case ZK_ZB_CLOSE:
			next = do_close(p, op, at);
			break;
		case ZK_ZB_LOOP:
			next = do_loop(p, op, at);
			break;
		}
		if (ZK_UNLIKELY(next == 0))
			return false;
		at = next;
	}
	return true;
}

bool zk_zb_plan_run(struct zk_zb_plan *p, const struct zk_arrow_cols *cols, int64_t row)
{
	zk_zb_out_clear(&p->out);
	p->fault.field = ZK_ZB_NONE;
	p->fault.source = ZK_ZB_NONE;
	p->frames[0] = (struct zk_zb_frame){ .i = row };
	if (cols)
		p->frames[0].cols = *cols;
	open_bracket(p, '{');
	if (!run(p))
		return false;
	open_bracket(p, '}');
	if (ZK_UNLIKELY(p->out.over)) {
		(void)zk_zb_fault(p, ZK_E_ZB_ROW_SIZE,
		                  "the row is larger than one message", "%zu bytes",
		                  p->out.n);
		return false;
	}
	return true;
}

bool zk_zb_plan_row(struct zk_zb_plan *p, const struct zk_arrow_batch *b, int64_t row)
{
	return zk_zb_plan_run(p, &b->cols, row);
}
