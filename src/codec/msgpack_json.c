/* MessagePack from and to JSON.
 * Layer: codec. */
#include <string.h>

#include "base/buf.h"
#include "codec/b64.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "codec/msgpack.h"

#include "base/ban.h"

/* ---- to JSON ---- */

/* A container that is open. */
struct open_value {
	bool is_map, at_key;
	uint64_t left; /* keys and values that follow */
};

struct to_json {
	struct zk_jwrite w;
	struct zk_buf scratch;
	struct open_value open[ZK_MP_DEPTH];
	size_t depth;
};

static void put_base64(struct to_json *t, zk_str bytes)
{
	zk_buf_clear(&t->scratch);
	zk_b64_encode(bytes, ZK_B64_STD, &t->scratch);
	zk_jw_str(&t->w, zk_buf_str(&t->scratch));
}

static int put_ext(struct to_json *t, const struct zk_mpval *v, struct zk_error *err)
{
	int64_t us;

	if (v->ext == ZK_MP_EXT_BUFFER) {
		put_base64(t, v->s);
		return 0;
	}
	if (!zk_mp_time(v, &us))
		return zk_fail(err, ZK_E_DATA,
		               "the extension type %d of msgpack has no form in JSON",
		               v->ext);
	zk_jw_time(&t->w, us);
	return 0;
}

static int put_key(struct to_json *t, const struct zk_mpval *v, struct zk_error *err)
{
	char digits[24];
	size_t n;

	if (v->type == ZK_MP_STR) {
		zk_jw_key_str(&t->w, v->s);
		return 0;
	}
	if (v->type != ZK_MP_UINT && v->type != ZK_MP_INT)
		return zk_fail(err, ZK_E_DATA, "a key of a msgpack map is no text");
	digits[0] = '-';
	n = zk_format_u64(v->type == ZK_MP_INT ? -(uint64_t)v->i : v->u, digits + 1);
	zk_jw_key_str(&t->w, v->type == ZK_MP_INT ? zk_str_n(digits, n + 1)
	                                          : zk_str_n(digits + 1, n));
	return 0;
}

static void open_container(struct to_json *t, const struct zk_mpval *v)
{
	bool is_map = v->type == ZK_MP_MAP;

	if (is_map)
		zk_jw_obj(&t->w);
	else
		zk_jw_arr(&t->w);
	t->open[t->depth++] = (struct open_value){ .is_map = is_map,
		                                   .at_key = is_map,
		                                   .left = is_map ? 2ull * v->n : v->n };
}

static int put_value(struct to_json *t, const struct zk_mpval *v, struct zk_error *err)
{
	switch (v->type) {
	case ZK_MP_NIL:
		zk_jw_null(&t->w);
		break;
	case ZK_MP_BOOL:
		zk_jw_bool(&t->w, v->b);
		break;
	case ZK_MP_UINT:
		zk_jw_u64(&t->w, v->u);
		break;
	case ZK_MP_INT:
		zk_jw_i64(&t->w, v->i);
		break;
	case ZK_MP_FLOAT:
		zk_jw_double(&t->w, v->f);
		break;
	case ZK_MP_STR:
		zk_jw_str(&t->w, v->s);
		break;
	case ZK_MP_BIN:
		put_base64(t, v->s);
		break;
	case ZK_MP_EXT:
		return put_ext(t, v, err);
	case ZK_MP_ARRAY:
	case ZK_MP_MAP:
		if (t->depth == ZK_MP_DEPTH)
			return zk_fail(err, ZK_E_DATA, "msgpack is nested too deeply");
		open_container(t, v);
		break;
	}
	return 0;
}

/* A value or key was written: closes what is complete. */
static void advance(struct to_json *t, bool opened)
{
	while (t->depth) {
		struct open_value *o = &t->open[t->depth - 1];

		if (opened && o->left) {
			return;
		} else if (opened) {
			/* an empty container is a value of the one above */
		} else if (--o->left) {
			o->at_key = o->is_map && !o->at_key;
			return;
		}
		if (o->is_map)
			zk_jw_obj_end(&t->w);
		else
			zk_jw_arr_end(&t->w);
		t->depth--;
		opened = false;
	}
}

static int to_json(struct to_json *t, zk_str text, struct zk_error *err)
{
	do {
		bool key = t->depth && t->open[t->depth - 1].at_key;
		struct zk_mpval v;
		int r;

		if (!zk_mp_next(&text, &v))
			return zk_fail(err, ZK_E_DATA, "msgpack is cut off");
		r = key ? put_key(t, &v, err) : put_value(t, &v, err);
		if (r < 0)
			return r;
		advance(t, !key && v.type >= ZK_MP_ARRAY);
	} while (t->depth);
	return zk_buf_check(t->w.b, err);
}

int zk_mp_to_json(zk_str text, struct zk_buf *b, struct zk_error *err)
{
	struct to_json t = { .depth = 0 };
	int r;

	zk_jwrite_init(&t.w, b);
	zk_buf_init(&t.scratch, text.n * 2 + 16);
	r = to_json(&t, text, err);
	zk_buf_done(&t.scratch);
	return r;
}

/* ---- from JSON ---- */

struct open_json {
	size_t at; /* of the head in the buffer: one byte is kept for it */
	uint32_t n;
	bool is_map;
};

struct from_json {
	struct zk_buf *b, scratch;
	struct open_json open[ZK_MP_DEPTH];
	size_t depth;
};

/* The head of a container is known at its end: one byte was kept. */
static void close_container(struct from_json *f)
{
	struct open_json *o = &f->open[--f->depth];
	uint32_t n = o->is_map ? o->n / 2 : o->n;
	size_t more = n < 16 ? 0 : n <= 0xffff ? 2 : 4;
	char head[8];
	struct zk_buf h = { .p = head, .room = sizeof(head), .cap = sizeof(head) };

	if (o->is_map)
		zk_mp_map(&h, n);
	else
		zk_mp_array(&h, n);
	if (f->b->failed)
		return;
	if (more && zk_buf_reserve(f->b, more)) {
		memmove(f->b->p + o->at + 1 + more, f->b->p + o->at + 1,
		        f->b->n - o->at - 1);
		f->b->n += more;
	}
	if (!f->b->failed)
		memcpy(f->b->p + o->at, head, h.n);
}

static int put_number(struct from_json *f, zk_str raw, struct zk_error *err)
{
	uint64_t u;
	int64_t i;
	double d;

	if (zk_jnum_u64(raw, &u))
		zk_mp_u64(f->b, u);
	else if (zk_jnum_i64(raw, &i))
		zk_mp_i64(f->b, i);
	else if (zk_jnum_double(raw, &d))
		zk_mp_double(f->b, d);
	else
		return zk_fail(err, ZK_E_DATA, "the number %.*s is too large",
		               (int)ZK_MIN(raw.n, (size_t)40), raw.p);
	return 0;
}

static int put_string(struct from_json *f, zk_str raw, struct zk_error *err)
{
	zk_str plain;

	if (zk_jstr_plain(raw, &plain)) {
		zk_mp_str(f->b, plain);
		return 0;
	}
	zk_buf_clear(&f->scratch);
	if (zk_jstr_decode(raw, ZK_JLONE_REPLACE, &f->scratch, err) < 0)
		return -(int)err->code;
	zk_mp_str(f->b, zk_buf_str(&f->scratch));
	return 0;
}

static int put_scalar(struct from_json *f, zk_str raw, struct zk_error *err)
{
	switch (raw.p[0]) {
	case '"':
		return put_string(f, raw, err);
	case 't':
	case 'f':
		zk_mp_bool(f->b, raw.p[0] == 't');
		return 0;
	case 'n':
		zk_mp_nil(f->b);
		return 0;
	default:
		return put_number(f, raw, err);
	}
}

/* The end of the scalar that begins at `p`; the text was checked. */
static const char *scalar_end(const char *p, const char *end)
{
	if (*p != '"') {
		while (p < end && !strchr(",]} \t\r\n", *p))
			p++;
		return p;
	}
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : end;
}

static void count_one(struct from_json *f)
{
	if (f->depth)
		f->open[f->depth - 1].n++;
}

static int from_json(struct from_json *f, zk_str text, struct zk_error *err)
{
	const char *p = text.p, *end = text.p + text.n;

	while (p < end) {
		char c = *p;
		zk_str raw;

		if (c == '{' || c == '[') {
			count_one(f);
			f->open[f->depth++] =
			        (struct open_json){ .at = f->b->n, .is_map = c == '{' };
			zk_buf_char(f->b, 0);
			p++;
		} else if (c == '}' || c == ']') {
			close_container(f);
			p++;
		} else if (strchr(", :\t\r\n", c)) {
			p++;
		} else {
			raw = zk_str_n(p, (size_t)(scalar_end(p, end) - p));
			count_one(f);
			if (put_scalar(f, raw, err) < 0)
				return -(int)err->code;
			p += raw.n;
		}
	}
	return zk_buf_check(f->b, err);
}

int zk_mp_from_json(zk_str json, struct zk_buf *b, struct zk_error *err)
{
	struct from_json f = { .b = b };
	struct zk_jscan js;
	int r;

	if (zk_jscan(json, ZK_MP_DEPTH, NULL, 0, &js) < 0)
		return zk_jscan_fail(&js, err);
	zk_buf_init(&f.scratch, json.n + 16);
	r = from_json(&f, js.top.raw, err);
	zk_buf_done(&f.scratch);
	return r;
}
