/* zk_buf: growable bytes with a hard cap.
 * Layer: base. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

#include "base/ban.h"

/* One byte more than `room` is always allocated, for the NUL of zk_buf_cstring(). */

void zk_buf_init(struct zk_buf *b, size_t cap_bytes)
{
	*b = (struct zk_buf){ .cap = ZK_MIN(cap_bytes, (size_t)PTRDIFF_MAX - 1) };
}

void zk_buf_init_secret(struct zk_buf *b, size_t cap_bytes)
{
	zk_buf_init(b, cap_bytes);
	b->secret = true;
}

void zk_buf_done(struct zk_buf *b)
{
	if (b->secret && b->p)
		zk_wipe(b->p, b->room + 1);
	free(b->p);
	b->p = NULL;
	b->n = b->room = 0;
	b->failed = false;
}

void zk_buf_clear(struct zk_buf *b)
{
	if (b->secret && b->p)
		zk_wipe(b->p, b->n);
	b->n = 0;
	b->failed = false;
}

int zk_buf_check(const struct zk_buf *b, struct zk_error *err)
{
	if (!b->failed)
		return 0;
	return zk_fail(err, ZK_E_LIMIT, "the text is larger than %zu bytes", b->cap);
}

static void grow(struct zk_buf *b, size_t need)
{
	size_t room = b->room < 32 ? 64 : b->room * 2;
	char *p;

	room = ZK_MIN(ZK_MAX(room, need), b->cap);
	if (b->secret) {
		p = zk_alloc(room + 1);
		if (b->p) {
			memcpy(p, b->p, b->n);
			zk_wipe(b->p, b->room + 1);
			free(b->p);
		}
	} else {
		p = zk_realloc(b->p, room + 1);
	}
	b->p = p;
	b->room = room;
}

char *zk_buf_reserve(struct zk_buf *b, size_t n)
{
	if (n > b->cap - b->n) {
		b->failed = true;
		return NULL;
	}
	if (!b->p || n > b->room - b->n)
		grow(b, b->n + n);
	return b->p + b->n;
}

void zk_buf_put_slow(struct zk_buf *b, const char *p, size_t n)
{
	char *to;

	if (!n)
		return;
	to = zk_buf_reserve(b, n);
	if (!to)
		return;
	memcpy(to, p, n);
	b->n += n;
}

void zk_buf_cstr(struct zk_buf *b, const char *s)
{
	zk_buf_put(b, s, strlen(s));
}

void zk_buf_u64(struct zk_buf *b, uint64_t v)
{
	char text[20];

	zk_buf_put(b, text, zk_format_u64(v, text));
}

void zk_buf_i64(struct zk_buf *b, int64_t v)
{
	char text[21] = "-";

	if (v >= 0)
		zk_buf_u64(b, (uint64_t)v);
	else
		zk_buf_put(b, text, 1 + zk_format_u64(0 - (uint64_t)v, text + 1));
}

void zk_buf_printf(struct zk_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	zk_buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void zk_buf_vprintf(struct zk_buf *b, const char *fmt, va_list ap)
{
	char text[256];
	va_list again;
	char *to;
	int n;

	va_copy(again, ap);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0) {
		b->failed = true;
	} else if ((size_t)n < sizeof(text)) {
		zk_buf_put(b, text, (size_t)n);
	} else {
		to = zk_buf_reserve(b, (size_t)n);
		if (to) {
			/* The byte for the NUL is there: see grow(). */
			(void)vsnprintf(to, (size_t)n + 1, fmt, again);
			b->n += (size_t)n;
		}
	}
	va_end(again);
	if (b->secret)
		zk_wipe(text, sizeof(text));
}

static void put_json_escape(struct zk_buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;
	char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	if (at) {
		text[1] = to[at - from];
		zk_buf_put(b, text, 2);
	} else {
		zk_buf_put(b, text, 6);
	}
}

void zk_buf_json_str(struct zk_buf *b, zk_str s)
{
	size_t i = 0, start = 0;

	zk_buf_char(b, '"');
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];
		size_t seq = c < 0x80 ? 1 : zk_utf8_seq(s.p + i, s.n - i);

		if (seq && c >= 0x20 && c != '"' && c != '\\') {
			i += seq;
			continue;
		}
		zk_buf_put(b, s.p + start, i - start);
		if (seq)
			put_json_escape(b, c);
		else
			zk_buf_lit(b, "\xEF\xBF\xBD");
		start = ++i;
	}
	if (s.n)
		zk_buf_put(b, s.p + start, s.n - start);
	zk_buf_char(b, '"');
}

void zk_buf_percent(struct zk_buf *b, zk_str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		             (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' ||
		             c == '~';
		char text[3] = { '%', hex[c >> 4], hex[c & 15] };

		if (plain)
			zk_buf_char(b, (char)c);
		else
			zk_buf_put(b, text, 3);
	}
}

/* 1 to 3 bytes to four symbols. */
static void base64_group(const unsigned char *p, size_t n, bool url, char out[4])
{
	static const char std[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
	unsigned v = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) |
	             (n > 2 ? p[2] : 0);

	for (unsigned i = 0; i < 4; i++) {
		unsigned at = v >> (18 - 6 * i) & 63;

		if (url && at > 61)
			at += 2;
		out[i] = i <= n ? std[at] : '=';
	}
}

void zk_buf_base64(struct zk_buf *b, zk_str bytes, bool url, bool pad)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t whole = bytes.n / 3, left = bytes.n % 3;
	size_t tail = !left ? 0 : pad ? 4 : left + 1;
	char last[4], *to;

	to = bytes.n > SIZE_MAX / 2 ? NULL : zk_buf_reserve(b, whole * 4 + tail);
	if (!to) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < whole; i++)
		base64_group(p + 3 * i, 3, url, to + 4 * i);
	if (left) {
		base64_group(p + 3 * whole, left, url, last);
		memcpy(to + 4 * whole, last, tail);
	}
	b->n += whole * 4 + tail;
}

void zk_buf_consume(struct zk_buf *b, size_t n)
{
	size_t left;

	ZK_ASSERT(n <= b->n);
	left = b->n - n;
	if (n == 0)
		return;
	if (left)
		memmove(b->p, b->p + n, left);
	if (b->secret)
		zk_wipe(b->p + left, n);
	b->n = left;
}

const char *zk_buf_cstring(struct zk_buf *b)
{
	if (b->failed || !b->p)
		return "";
	b->p[b->n] = '\0';
	return b->p;
}

char *zk_buf_take(struct zk_buf *b)
{
	char *p;

	if (!b->p)
		return zk_strdup("");
	b->p[b->n] = '\0';
	p = ZK_TAKE(b->p);
	b->n = b->room = 0;
	b->failed = false;
	return p;
}
