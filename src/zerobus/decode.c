/* Protobuf payloads as JSON.
 * Layer: zerobus. specs/zerobus.md §15. Bytes of a file or a peer: no recursion, bounded. */
#include "zerobus/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jwrite.h"
#include "codec/pb.h"
#include "zerobus/out.h"
#include "zerobus/schema.h"

#include "base/ban.h"

#define ITEMS_MAX ((size_t)4 << 20)

/* A message that is being written: a run of its fields, ordered by number. */
struct frame {
	uint32_t message; /* ZK_ZB_NONE without a schema */
	size_t from, to, at;
	size_t end;    /* of the run of one field that is being written */
	bool in_run;   /* inside a list or map of messages */
	bool is_entry; /* key and value of a map: no braces of its own */
};

struct decoder {
	const struct zk_zb_schema *s;
	bool strict;
	struct zk_error *err;
	struct zk_jwrite w;
	struct zk_pb_item *items;
	size_t n, room;
	struct frame stack[2 * ZK_ZB_DEPTH_MAX + 4];
	size_t depth;
};

static int broken(struct decoder *d, const struct zk_zb_field *f, const char *what)
{
	if (f)
		return zk_fail(d->err, ZK_E_DATA, "field '%.*s': %s", ZK_STR_ARG(f->name),
		               what);
	return zk_fail(d->err, ZK_E_DATA, "the payload is not valid protobuf: %s", what);
}

/* Where an item stood: kept in what its wire type leaves free, for an order that is stable. */
static uint64_t place(const struct zk_pb_item *it)
{
	return it->wire == ZK_PB_LEN ? it->v : it->bytes.n;
}

static int by_number(const void *a, const void *b)
{
	const struct zk_pb_item *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return place(x) < place(y) ? -1 : place(x) > place(y);
}

static void order(struct zk_pb_item *it, size_t n)
{
	bool ordered = true;

	for (size_t i = 1; i < n && ordered; i++)
		ordered = it[i - 1].number <= it[i].number;
	if (!ordered)
		qsort(it, n, sizeof(*it), by_number);
}

/* Puts the fields of `bytes` on the stack as a frame. */
static int open_frame(struct decoder *d, uint32_t message, zk_str bytes, bool is_entry)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	size_t from = d->n;
	int r;

	if (d->depth == ZK_ARRAY_LEN(d->stack))
		return broken(d, NULL, "nested too deep");
	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (d->n == ITEMS_MAX)
			return broken(d, NULL, "too many fields");
		if (d->n == d->room) {
			d->room = d->room ? d->room * 2 : 64;
			d->items = zk_realloc(d->items, d->room * sizeof(*d->items));
		}
		if (it.wire == ZK_PB_LEN)
			it.v = d->n;
		else
			it.bytes.n = d->n;
		d->items[d->n++] = it;
	}
	if (r < 0)
		return broken(d, NULL, in.what);
	if (d->n > from)
		order(d->items + from, d->n - from);
	d->stack[d->depth++] = (struct frame){ .message = message,
		                               .from = from,
		                               .to = d->n,
		                               .at = from,
		                               .is_entry = is_entry };
	if (!is_entry)
		zk_jw_obj(&d->w);
	return 0;
}

static const struct zk_zb_field *find(const struct decoder *d, uint32_t message,
                                      uint32_t number)
{
	const struct zk_zb_message *m;
	uint32_t low, high;

	if (message == ZK_ZB_NONE)
		return NULL;
	m = &d->s->messages[message];
	low = m->first_field;
	high = low + m->n_fields;
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (d->s->fields[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->first_field + m->n_fields && d->s->fields[low].number == number
	               ? &d->s->fields[low]
	               : NULL;
}

/* ---- values ---- */

static void put_double(struct decoder *d, double v)
{
	if (isfinite(v))
		zk_jw_double(&d->w, v);
	else
		zk_jw_cstr(&d->w, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
}

static void put_base64(struct decoder *d, zk_str bytes)
{
	struct zk_buf b;

	zk_buf_init(&b, bytes.n * 2 + 8);
	zk_buf_base64(&b, bytes, /* url */ false, /* pad */ true);
	zk_jw_str(&d->w, zk_buf_str(&b));
	zk_buf_done(&b);
}

static void put_float(struct decoder *d, float v)
{
	struct zk_zb_out o;

	if (!isfinite(v)) {
		put_double(d, (double)v);
		return;
	}
	zk_zb_out_init(&o, 64);
	zk_zb_out_float(&o, v);
	zk_jw_raw(&d->w, zk_zb_out_str(&o));
	zk_zb_out_done(&o);
}

static void put_number(struct decoder *d, const struct zk_zb_field *f, uint64_t v)
{
	uint32_t bits = (uint32_t)v;
	double dbl;
	float flt;

	switch (f->pb_type) {
	case ZK_PB_DOUBLE:
		memcpy(&dbl, &v, sizeof(dbl));
		put_double(d, dbl);
		return;
	case ZK_PB_FLOAT:
		memcpy(&flt, &bits, sizeof(flt));
		put_float(d, flt);
		return;
	case ZK_PB_BOOL:
		zk_jw_bool(&d->w, v != 0);
		return;
	case ZK_PB_INT32:
		zk_jw_i64(&d->w, (int32_t)bits);
		return;
	}
	zk_jw_i64(&d->w, (int64_t)v);
}

static int put_scalar(struct decoder *d, const struct zk_zb_field *f,
                      const struct zk_pb_item *it)
{
	if (f->pb_type == ZK_PB_STRING) {
		if (!zk_utf8_valid(it->bytes))
			return broken(d, f, "text that is not UTF-8");
		zk_jw_str(&d->w, it->bytes);
	} else if (f->pb_type == ZK_PB_BYTES) {
		put_base64(d, it->bytes);
	} else {
		put_number(d, f, it->v);
	}
	return 0;
}

static void put_unknown_value(struct decoder *d, const struct zk_pb_item *it)
{
	if (it->wire == ZK_PB_LEN)
		put_base64(d, it->bytes);
	else
		zk_jw_u64(&d->w, it->v);
}

static void put_unknown(struct decoder *d, size_t from, size_t to)
{
	char name[24] = "?";
	size_t n = 1 + zk_format_u64(d->items[from].number, name + 1);

	zk_jw_key_str(&d->w, zk_str_n(name, n));
	if (to - from > 1)
		zk_jw_arr(&d->w);
	for (size_t i = from; i < to; i++)
		put_unknown_value(d, &d->items[i]);
	if (to - from > 1)
		zk_jw_arr_end(&d->w);
}

/* Numbers packed into one field. */
static int put_packed(struct decoder *d, const struct zk_zb_field *f, zk_str s)
{
	int wire = zk_pb_type_wire(f->pb_type);
	size_t width = wire == ZK_PB_I32 ? 4 : 8;

	while (s.n) {
		uint64_t v = 0;

		if (wire == ZK_PB_VARINT) {
			if (zk_pb_take_varint(&s, &v) <= 0)
				return broken(d, f, "a packed number is cut short");
		} else {
			if (s.n < width)
				return broken(d, f, "a packed number is cut short");
			for (size_t i = 0; i < width; i++)
				v |= (uint64_t)(unsigned char)s.p[i] << (8 * i);
			s = zk_str_from(s, width);
		}
		put_number(d, f, v);
	}
	return 0;
}

static int put_list(struct decoder *d, const struct zk_zb_field *f, size_t from,
                    size_t to)
{
	int wire = zk_pb_type_wire(f->pb_type), r = 0;

	zk_jw_arr(&d->w);
	for (size_t i = from; r == 0 && i < to; i++) {
		const struct zk_pb_item *it = &d->items[i];

		if ((int)it->wire == wire)
			r = put_scalar(d, f, it);
		else if (it->wire == ZK_PB_LEN && wire != ZK_PB_LEN)
			r = put_packed(d, f, it->bytes);
		else
			r = broken(d, f, "the wire type is not that of the field");
	}
	zk_jw_arr_end(&d->w);
	return r;
}

/* ---- frames ---- */

static int check_required(struct decoder *d, const struct frame *fr)
{
	const struct zk_zb_message *m;
	size_t at = fr->from;

	if (fr->message == ZK_ZB_NONE || !d->strict)
		return 0;
	m = &d->s->messages[fr->message];
	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct zk_zb_field *f = &d->s->fields[m->first_field + i];

		while (at < fr->to && d->items[at].number < f->number)
			at++;
		if (f->required && (at == fr->to || d->items[at].number != f->number))
			return broken(d, f, "it is required and missing");
	}
	return 0;
}

static int close_frame(struct decoder *d)
{
	struct frame *fr = &d->stack[--d->depth];

	d->n = fr->from;
	if (!fr->is_entry)
		zk_jw_obj_end(&d->w);
	return 0;
}

/* The key of an entry as the name of a member; its value follows as a frame of one field. */
static int open_entry(struct decoder *d, const struct zk_zb_field *map, zk_str bytes)
{
	const struct zk_zb_message *e = &d->s->messages[map->message];
	const struct zk_zb_field *key = &d->s->fields[e->first_field];
	struct zk_pb_in in;
	struct zk_pb_item it, k = { 0 }, v = { 0 };
	struct zk_buf name;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number == 1)
			k = it;
		else if (it.number == 2)
			v = it;
	}
	if (r < 0)
		return broken(d, map, in.what);
	if (k.number && (int)k.wire != zk_pb_type_wire(key->pb_type))
		return broken(d, map, "the wire type of a key is not that of the field");
	zk_buf_init(&name, k.bytes.n + 32);
	if (key->pb_type == ZK_PB_STRING)
		zk_buf_add(&name, k.bytes);
	else if (key->pb_type == ZK_PB_BOOL)
		zk_buf_cstr(&name, k.v ? "true" : "false");
	else
		zk_buf_i64(&name,
		           key->pb_type == ZK_PB_INT32 ? (int32_t)k.v : (int64_t)k.v);
	if (!zk_utf8_valid(zk_buf_str(&name))) {
		zk_buf_done(&name);
		return broken(d, map, "a key that is not UTF-8");
	}
	zk_jw_key_str(&d->w, zk_buf_str(&name));
	zk_buf_done(&name);
	const struct zk_zb_field *val = key + 1;

	if (!v.number) {
		zk_jw_null(&d->w);
		return 0;
	}
	if ((int)v.wire != zk_pb_type_wire(val->pb_type))
		return broken(d, map,
		              "the wire type of a value is not that of the field");
	if (val->message != ZK_ZB_NONE)
		return open_frame(d, val->message, v.bytes, false);
	return put_scalar(d, val, &v);
}

/* The next message of a run, or its end. */
static int step_run(struct decoder *d, struct frame *fr)
{
	const struct zk_pb_item *it = &d->items[fr->at];
	const struct zk_zb_field *f;

	if (fr->at == fr->end) {
		f = find(d, fr->message, d->items[fr->end - 1].number);
		if (f->map)
			zk_jw_obj_end(&d->w);
		else if (f->list)
			zk_jw_arr_end(&d->w);
		fr->in_run = false;
		return 0;
	}
	f = find(d, fr->message, it->number);
	fr->at++;
	if (it->wire != ZK_PB_LEN)
		return broken(d, f, "the wire type is not that of the field");
	if (f->map)
		return open_entry(d, f, it->bytes);
	return open_frame(d, f->message, it->bytes, false);
}

static int step(struct decoder *d)
{
	struct frame *fr = &d->stack[d->depth - 1];
	const struct zk_zb_field *f;
	size_t end = fr->at;

	if (fr->in_run)
		return step_run(d, fr);
	if (fr->at == fr->to)
		return check_required(d, fr) < 0 ? -ZK_E_DATA : close_frame(d);
	while (end < fr->to && d->items[end].number == d->items[fr->at].number)
		end++;
	f = find(d, fr->message, d->items[fr->at].number);
	if (!f) {
		put_unknown(d, fr->at, end);
		fr->at = end;
		return 0;
	}
	zk_jw_key_str(&d->w, f->name);
	if (f->message != ZK_ZB_NONE) {
		/* Of one that is not repeated the last counts. */
		if (!f->list && !f->map)
			fr->at = end - 1;
		fr->end = end;
		fr->in_run = true;
		if (f->map)
			zk_jw_obj(&d->w);
		else if (f->list)
			zk_jw_arr(&d->w);
		return 0;
	}
	size_t from = fr->at;

	fr->at = end;
	if (f->list)
		return put_list(d, f, from, end);
	if ((int)d->items[end - 1].wire != zk_pb_type_wire(f->pb_type))
		return broken(d, f, "the wire type is not that of the field");
	return put_scalar(d, f, &d->items[end - 1]);
}

int zk_zb_decode_row(const struct zk_zb_schema *s, zk_str bytes, bool strict,
                     struct zk_buf *json, struct zk_error *err)
{
	struct decoder *d = zk_new0(struct decoder);
	int r;

	d->s = s;
	d->strict = strict;
	d->err = err;
	zk_jwrite_init(&d->w, json);
	r = open_frame(d, s ? 0 : ZK_ZB_NONE, bytes, false);
	while (r == 0 && d->depth)
		r = step(d);
	free(d->items);
	free(d);
	return r;
}
