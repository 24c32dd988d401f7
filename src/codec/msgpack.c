/* MessagePack: walking and writing.
 * Layer: codec. */
#include "codec/msgpack.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"

#include "base/ban.h"

/* ---- reading ---- */

static uint64_t get_be(const char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static double get_f32(const char *p)
{
	uint32_t u = (uint32_t)get_be(p, 4);
	float f;

	memcpy(&f, &u, sizeof(f));
	return (double)f;
}

static double get_f64(const char *p)
{
	uint64_t u = get_be(p, 8);
	double d;

	memcpy(&d, &u, sizeof(d));
	return d;
}

/* Sign-extends the `n` bytes at `p`. */
static void set_int(struct zk_mpval *v, const char *p, size_t n)
{
	uint64_t u = get_be(p, n);
	int64_t i = n == 8   ? (int64_t)u
	            : n == 4 ? (int32_t)u
	            : n == 2 ? (int16_t)u
	                     : (int8_t)u;

	v->type = i < 0 ? ZK_MP_INT : ZK_MP_UINT;
	v->i = i;
	v->u = (uint64_t)i;
}

/* What stands behind the first byte: how many bytes of length, how many fixed bytes. */
enum shape {
	S_FIX, /* the value is in the first byte, or in `fixed` bytes behind it */
	S_LEN, /* `size` bytes of length, then so many bytes */
	S_SUB, /* `size` bytes of a number of elements */
};

struct form {
	uint8_t shape, type, size;
};

/* 0xc0 to 0xdf */
static const struct form forms[32] = {
	{ S_FIX, ZK_MP_NIL, 0 },  { S_FIX, 255, 0 },         { S_FIX, ZK_MP_BOOL, 0 },
	{ S_FIX, ZK_MP_BOOL, 0 }, { S_LEN, ZK_MP_BIN, 1 },   { S_LEN, ZK_MP_BIN, 2 },
	{ S_LEN, ZK_MP_BIN, 4 },  { S_LEN, ZK_MP_EXT, 1 },   { S_LEN, ZK_MP_EXT, 2 },
	{ S_LEN, ZK_MP_EXT, 4 },  { S_FIX, ZK_MP_FLOAT, 4 }, { S_FIX, ZK_MP_FLOAT, 8 },
	{ S_FIX, ZK_MP_UINT, 1 }, { S_FIX, ZK_MP_UINT, 2 },  { S_FIX, ZK_MP_UINT, 4 },
	{ S_FIX, ZK_MP_UINT, 8 }, { S_FIX, ZK_MP_INT, 1 },   { S_FIX, ZK_MP_INT, 2 },
	{ S_FIX, ZK_MP_INT, 4 },  { S_FIX, ZK_MP_INT, 8 },   { S_FIX, ZK_MP_EXT, 1 },
	{ S_FIX, ZK_MP_EXT, 2 },  { S_FIX, ZK_MP_EXT, 4 },   { S_FIX, ZK_MP_EXT, 8 },
	{ S_FIX, ZK_MP_EXT, 16 }, { S_LEN, ZK_MP_STR, 1 },   { S_LEN, ZK_MP_STR, 2 },
	{ S_LEN, ZK_MP_STR, 4 },  { S_SUB, ZK_MP_ARRAY, 2 }, { S_SUB, ZK_MP_ARRAY, 4 },
	{ S_SUB, ZK_MP_MAP, 2 },  { S_SUB, ZK_MP_MAP, 4 },
};

/* A container of `n`: each element takes at least one byte, so more cannot follow. */
static bool take_head(zk_str *in, size_t used, struct zk_mpval *v)
{
	uint64_t least = v->type == ZK_MP_MAP ? (uint64_t)v->n * 2 : v->n;

	if (least > in->n - used)
		return false;
	*in = zk_str_n(in->p + used, in->n - used);
	return true;
}

static bool take_bytes(zk_str *in, size_t used, size_t n, struct zk_mpval *v)
{
	if (v->type == ZK_MP_EXT) {
		if (in->n - used < 1)
			return false;
		v->ext = (int8_t)in->p[used++];
	}
	if (n > in->n - used)
		return false;
	v->s = zk_str_n(in->p + used, n);
	*in = zk_str_n(in->p + used + n, in->n - used - n);
	return true;
}

static bool take_fixed(zk_str *in, const struct form *f, uint8_t c, struct zk_mpval *v)
{
	const char *p = in->p + 1;

	if (f->type == ZK_MP_EXT)
		return take_bytes(in, 1, f->size, v);
	if (f->type == 255 || in->n < 1u + f->size)
		return false;
	if (f->type == ZK_MP_BOOL)
		v->b = c == 0xc3;
	else if (f->type == ZK_MP_FLOAT)
		v->f = f->size == 4 ? get_f32(p) : get_f64(p);
	else if (f->type == ZK_MP_UINT)
		v->u = get_be(p, f->size);
	else if (f->type == ZK_MP_INT)
		set_int(v, p, f->size);
	*in = zk_str_n(p + f->size, in->n - 1 - f->size);
	return true;
}

static bool take_form(zk_str *in, uint8_t c, struct zk_mpval *v)
{
	const struct form *f = &forms[c - 0xc0];
	uint64_t n;

	v->type = (enum zk_mptype)(f->type == 255 ? ZK_MP_NIL : f->type);
	if (f->shape == S_FIX)
		return take_fixed(in, f, c, v);
	if (in->n < 1u + f->size)
		return false;
	n = get_be(in->p + 1, f->size);
	if (f->shape == S_LEN)
		return take_bytes(in, 1u + f->size, (size_t)n, v);
	v->n = (uint32_t)n;
	return take_head(in, 1u + f->size, v);
}

bool zk_mp_next(zk_str *in, struct zk_mpval *v)
{
	uint8_t c;

	if (!in->n)
		return false;
	c = (uint8_t)in->p[0];
	if (c < 0x80 || c >= 0xe0) {
		set_int(v, in->p, 1);
		*in = zk_str_from(*in, 1);
		return true;
	}
	if (c >= 0xc0)
		return take_form(in, c, v);
	if (c >= 0xa0) {
		v->type = ZK_MP_STR;
		return take_bytes(in, 1, c & 0x1f, v);
	}
	v->type = c >= 0x90 ? ZK_MP_ARRAY : ZK_MP_MAP;
	v->n = c & 0x0f;
	return take_head(in, 1, v);
}

/* How many values stand directly below a head. */
static uint64_t below(const struct zk_mpval *v)
{
	return v->type == ZK_MP_ARRAY ? v->n
	       : v->type == ZK_MP_MAP ? (uint64_t)v->n * 2
	                              : 0;
}

/* Walks one whole value. NULL, or what is wrong with what *in then begins with. */
static const char *walk(zk_str *in, bool check_text)
{
	uint64_t left[ZK_MP_DEPTH];
	size_t depth = 0;

	for (;;) {
		zk_str at = *in;
		struct zk_mpval v;

		if (!zk_mp_next(in, &v))
			return at.n == 0 ? "a value is missing"
			                 : "no valid value, or it is cut off";
		if (check_text && v.type == ZK_MP_STR && !zk_utf8_valid(v.s)) {
			*in = at;
			return "a string is not valid UTF-8";
		}
		if (v.type >= ZK_MP_ARRAY) {
			if (depth == ZK_MP_DEPTH) {
				*in = at;
				return "nested too deeply";
			}
			left[depth++] = below(&v) + 1;
		}
		while (depth && --left[depth - 1] == 0)
			depth--;
		if (!depth)
			return NULL;
	}
}

zk_str zk_mp_take(zk_str *in)
{
	zk_str start = *in, end = *in;

	if (walk(&end, /* check_text */ false))
		return ZK_STR_NULL;
	*in = end;
	return zk_str_n(start.p, start.n - end.n);
}

int zk_mp_check(zk_str text, struct zk_error *err)
{
	zk_str in = text;
	const char *wrong = walk(&in, /* check_text */ true);

	if (!wrong && in.n)
		wrong = "bytes follow the value";
	if (!wrong)
		return 0;
	return zk_fail(err, ZK_E_DATA, "invalid msgpack at byte %zu: %s", text.n - in.n,
	               wrong);
}

bool zk_mp_get(zk_str text, zk_str key, zk_str *ret)
{
	struct zk_mpval v;
	bool found = false;

	if (!zk_mp_next(&text, &v) || v.type != ZK_MP_MAP)
		return false;
	for (uint32_t i = 0; i < v.n; i++) {
		zk_str k = zk_mp_take(&text), value = zk_mp_take(&text);
		struct zk_mpval name;

		if (!value.n)
			break;
		if (!zk_mp_next(&k, &name) || name.type != ZK_MP_STR ||
		    !zk_str_eq(name.s, key))
			continue;
		*ret = value;
		found = true;
	}
	return found;
}

bool zk_mp_get_str(zk_str text, zk_str key, zk_str *ret)
{
	struct zk_mpval v;
	zk_str value;

	if (!zk_mp_get(text, key, &value) || !zk_mp_next(&value, &v) ||
	    v.type != ZK_MP_STR)
		return false;
	*ret = v.s;
	return true;
}

bool zk_mp_get_u64(zk_str text, zk_str key, uint64_t *ret)
{
	struct zk_mpval v;
	zk_str value;

	if (!zk_mp_get(text, key, &value) || !zk_mp_next(&value, &v))
		return false;
	/* Numbers of JavaScript that are no integers of 53 bits come as floats. */
	if (v.type == ZK_MP_FLOAT && v.f >= 0 && v.f < 1.8e19 && v.f == trunc(v.f)) {
		*ret = (uint64_t)v.f;
		return true;
	}
	if (v.type != ZK_MP_UINT)
		return false;
	*ret = v.u;
	return true;
}

bool zk_mp_bytes(zk_str text, zk_str *ret)
{
	struct zk_mpval v;

	if (!zk_mp_next(&text, &v))
		return false;
	if (v.type != ZK_MP_STR && v.type != ZK_MP_BIN &&
	    !(v.type == ZK_MP_EXT && v.ext == ZK_MP_EXT_BUFFER))
		return false;
	*ret = v.s;
	return true;
}

/* Seconds and nanoseconds of the time stamp extension. */
static bool stamp(zk_str s, int64_t *sec, uint32_t *nsec)
{
	uint64_t u;

	*nsec = 0;
	if (s.n == 4) {
		*sec = (int64_t)get_be(s.p, 4);
		return true;
	}
	if (s.n == 8) {
		u = get_be(s.p, 8);
		*sec = (int64_t)(u & 0x3ffffffffu);
		*nsec = (uint32_t)(u >> 34);
		return *nsec < 1000000000;
	}
	if (s.n != 12)
		return false;
	*nsec = (uint32_t)get_be(s.p, 4);
	*sec = (int64_t)get_be(s.p + 4, 8);
	return *nsec < 1000000000;
}

bool zk_mp_time(const struct zk_mpval *v, int64_t *ret_us)
{
	int64_t sec, us;
	uint32_t nsec;
	double ms;

	if (v->type != ZK_MP_EXT)
		return false;
	if (v->ext == ZK_MP_EXT_DATE && v->s.n == 8) {
		ms = get_f64(v->s.p);
		if (!(ms > -8.7e15 && ms < 8.7e15)) /* what a Date can be */
			return false;
		*ret_us = (int64_t)(ms * 1000);
		return true;
	}
	if (v->ext != ZK_MP_EXT_TIME || !stamp(v->s, &sec, &nsec))
		return false;
	if (__builtin_mul_overflow(sec, (int64_t)1000000, &us) ||
	    __builtin_add_overflow(us, (int64_t)(nsec / 1000), &us))
		return false;
	*ret_us = us;
	return true;
}

/* ---- writing ---- */

/* The `n` low bytes of `v`. */
static void put_be(struct zk_buf *b, uint64_t v, size_t n)
{
	char out[8];

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(v >> (8 * (n - 1 - i)));
	zk_buf_put(b, out, n);
}

static void put(struct zk_buf *b, uint8_t first, uint64_t v, size_t n)
{
	zk_buf_char(b, (char)first);
	put_be(b, v, n);
}

void zk_mp_nil(struct zk_buf *b)
{
	zk_buf_char(b, (char)0xc0);
}

void zk_mp_bool(struct zk_buf *b, bool v)
{
	zk_buf_char(b, (char)(v ? 0xc3 : 0xc2));
}

void zk_mp_u64(struct zk_buf *b, uint64_t v)
{
	if (v < 0x80)
		put(b, (uint8_t)v, 0, 0);
	else if (v <= 0xff)
		put(b, 0xcc, v, 1);
	else if (v <= 0xffff)
		put(b, 0xcd, v, 2);
	else if (v <= 0xffffffff)
		put(b, 0xce, v, 4);
	else
		put(b, 0xcf, v, 8);
}

void zk_mp_i64(struct zk_buf *b, int64_t v)
{
	if (v >= 0)
		zk_mp_u64(b, (uint64_t)v);
	else if (v >= -32)
		put(b, (uint8_t)v, 0, 0);
	else if (v >= INT8_MIN)
		put(b, 0xd0, (uint64_t)v, 1);
	else if (v >= INT16_MIN)
		put(b, 0xd1, (uint64_t)v, 2);
	else if (v >= INT32_MIN)
		put(b, 0xd2, (uint64_t)v, 4);
	else
		put(b, 0xd3, (uint64_t)v, 8);
}

void zk_mp_double(struct zk_buf *b, double v)
{
	uint64_t u;

	memcpy(&u, &v, sizeof(u));
	put(b, 0xcb, u, 8);
}

/* The head of bytes or elements: up to `fix_max` in the first byte, else the forms with 1 (when
 * there is one), 2 and 4 bytes. */
static void put_length(struct zk_buf *b, uint64_t n, uint8_t fix, uint64_t fix_max,
                       const uint8_t wide[3])
{
	if (n < fix_max)
		put(b, (uint8_t)(fix | n), 0, 0);
	else if (wide[0] && n <= 0xff)
		put(b, wide[0], n, 1);
	else if (n <= 0xffff)
		put(b, wide[1], n, 2);
	else
		put(b, wide[2], n, 4);
}

void zk_mp_str(struct zk_buf *b, zk_str s)
{
	put_length(b, s.n, 0xa0, 32, (const uint8_t[]){ 0xd9, 0xda, 0xdb });
	zk_buf_add(b, s);
}

void zk_mp_cstr(struct zk_buf *b, const char *s)
{
	if (s)
		zk_mp_str(b, zk_str_of(s));
	else
		zk_mp_nil(b);
}

void zk_mp_text(struct zk_buf *b, zk_str s)
{
	struct zk_buf clean ZK_CLEANUP(zk_buf_done) = { 0 };

	if (zk_utf8_valid(s)) {
		zk_mp_str(b, s);
		return;
	}
	zk_buf_init(&clean, s.n * 3);
	while (s.n) {
		size_t n = zk_utf8_seq(s.p, s.n);

		if (n)
			zk_buf_put(&clean, s.p, n);
		else
			zk_buf_lit(&clean, "\xef\xbf\xbd");
		s = zk_str_from(s, n ? n : 1);
	}
	zk_mp_str(b, zk_buf_str(&clean));
}

void zk_mp_bin(struct zk_buf *b, zk_str bytes)
{
	put_length(b, bytes.n, 0, 0, (const uint8_t[]){ 0xc4, 0xc5, 0xc6 });
	zk_buf_add(b, bytes);
}

void zk_mp_ext(struct zk_buf *b, int8_t type, zk_str bytes)
{
	switch (bytes.n) {
	case 1:
	case 2:
	case 4:
	case 8:
	case 16:
		put(b, (uint8_t)(0xd4 + __builtin_ctz((unsigned)bytes.n)), 0, 0);
		break;
	default:
		put_length(b, bytes.n, 0, 0, (const uint8_t[]){ 0xc7, 0xc8, 0xc9 });
		break;
	}
	zk_buf_char(b, (char)type);
	zk_buf_add(b, bytes);
}

void zk_mp_array(struct zk_buf *b, uint32_t n)
{
	put_length(b, n, 0x90, 16, (const uint8_t[]){ 0, 0xdc, 0xdd });
}

void zk_mp_map(struct zk_buf *b, uint32_t n)
{
	put_length(b, n, 0x80, 16, (const uint8_t[]){ 0, 0xde, 0xdf });
}

void zk_mp_date(struct zk_buf *b, int64_t us)
{
	int64_t sec = us / 1000000, rest = us % 1000000;
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	uint64_t nsec;

	if (rest < 0) {
		rest += 1000000;
		sec--;
	}
	nsec = (uint64_t)rest * 1000;
	zk_buf_init(&body, 16);
	if (sec >= 0 && sec <= 0xffffffff && nsec == 0) {
		put_be(&body, (uint64_t)sec, 4);
	} else if (sec >= 0 && sec < (int64_t)1 << 34) {
		put_be(&body, nsec << 34 | (uint64_t)sec, 8);
	} else {
		put_be(&body, nsec, 4);
		put_be(&body, (uint64_t)sec, 8);
	}
	zk_mp_ext(b, ZK_MP_EXT_TIME, zk_buf_str(&body));
}
