/* Where a row is written.
 * Layer: zerobus. */
#include "zerobus/out.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#include "base/ban.h"

void zk_zb_out_init(struct zk_zb_out *o, size_t cap_bytes)
{
	*o = (struct zk_zb_out){ .cap = cap_bytes };
}

void zk_zb_out_done(struct zk_zb_out *o)
{
	free(o->p);
	o->p = NULL;
	o->n = o->room = 0;
}

void zk_zb_out_grow(struct zk_zb_out *o, size_t more)
{
	size_t room = ZK_MAX(o->room, (size_t)64);

	if (more > o->cap - ZK_MIN(o->n, o->cap)) {
		o->over = true;
		return;
	}
	while (room - o->n < more)
		room *= 2;
	o->room = ZK_MIN(room, o->cap);
	o->p = zk_realloc(o->p, o->room);
}

void zk_zb_out_close(struct zk_zb_out *o, size_t mark)
{
	size_t n = o->n - mark, extra = zk_pb_varint_size(n) - 1;

	if (extra) {
		if (!o->over && o->room - o->n < extra)
			zk_zb_out_grow(o, extra);
		if (!o->over)
			memmove(o->p + mark + extra, o->p + mark, n);
		o->n += extra;
	}
	if (!o->over)
		(void)zk_pb_write_varint(o->p + mark - 1, n); /* its end is known */
}

/* ---- JSON ---- */

static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

static void put_escape(struct zk_zb_out *o, char c)
{
	static const char names[] = "\b\f\n\r\t\"\\";
	static const char letters[] = "bfnrt\"\\";
	const char *at = c ? strchr(names, c) : NULL;
	char *p = zk_zb_out_need(o, 8);

	if (at) {
		p[0] = '\\';
		p[1] = letters[at - names];
		o->n += 2;
		return;
	}
	o->n += (size_t)snprintf(p, 8, "\\u%04x", (unsigned)(unsigned char)c);
}

void zk_zb_out_json_str(struct zk_zb_out *o, zk_str s)
{
	size_t from = 0;

	zk_zb_out_char(o, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (is_plain(s.p[i]))
			continue;
		zk_zb_out_put(o, s.p + from, i - from);
		put_escape(o, s.p[i]);
		from = i + 1;
	}
	zk_zb_out_put(o, s.p + from, s.n - from);
	zk_zb_out_char(o, '"');
}

void zk_zb_out_base64(struct zk_zb_out *o, zk_str bytes)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	        "0123456789+/";
	const unsigned char *p = (const unsigned char *)bytes.p;

	zk_zb_out_char(o, '"');
	for (size_t i = 0; i < bytes.n; i += 3) {
		size_t left = bytes.n - i;
		unsigned v = (unsigned)p[i] << 16 |
		             (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
		             (left > 2 ? p[i + 2] : 0u);
		char *w = zk_zb_out_need(o, 4);

		w[0] = digits[v >> 18];
		w[1] = digits[v >> 12 & 63];
		w[2] = left > 1 ? digits[v >> 6 & 63] : '=';
		w[3] = left > 2 ? digits[v & 63] : '=';
		o->n += 4;
	}
	zk_zb_out_char(o, '"');
}

void zk_zb_out_u64(struct zk_zb_out *o, uint64_t v)
{
	char *p = zk_zb_out_need(o, 20);

	o->n += zk_format_u64(v, p);
}

void zk_zb_out_i64(struct zk_zb_out *o, int64_t v)
{
	if (v < 0)
		zk_zb_out_char(o, '-');
	zk_zb_out_u64(o, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void zk_zb_out_double(struct zk_zb_out *o, double v)
{
	char text[40];
	int n = 0;

	for (int digits = 15; digits <= 17; digits++) {
		double back;

		n = snprintf(text, sizeof(text), "%.*g", digits, v);
		if (sscanf(text, "%lf", &back) == 1 && back == v)
			break;
	}
	zk_zb_out_put(o, text, (size_t)n);
}

void zk_zb_out_float(struct zk_zb_out *o, float v)
{
	char text[40];
	int n = 0;

	for (int digits = 6; digits <= 9; digits++) {
		float back;

		n = snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (sscanf(text, "%f", &back) == 1 && back == v)
			break;
	}
	zk_zb_out_put(o, text, (size_t)n);
}
