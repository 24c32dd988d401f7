/* Base64.
 * Layer: codec. */
#include "codec/b64.h"

#include <stdint.h>

#include "base/buf.h"

#include "base/ban.h"

static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static char symbol(unsigned v, enum zk_b64 kind)
{
	if (v < 62)
		return alphabet[v];
	if (kind == ZK_B64_URL)
		return v == 62 ? '-' : '_';
	return v == 62 ? '+' : '/';
}

/* 0 to 63, or 64. */
static unsigned value(char c, enum zk_b64 kind)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	if (c == (kind == ZK_B64_URL ? '-' : '+'))
		return 62;
	if (c == (kind == ZK_B64_URL ? '_' : '/'))
		return 63;
	return 64;
}

/* 1 to 3 bytes to 2 to 4 symbols. */
static void put_group(const unsigned char *p, size_t n, enum zk_b64 kind, char out[4])
{
	unsigned v = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) |
	             (n > 2 ? p[2] : 0);

	for (unsigned i = 0; i < 4; i++)
		out[i] = i <= n ? symbol(v >> (18 - 6 * i) & 63, kind) : '=';
}

void zk_b64_encode(zk_str bytes, enum zk_b64 kind, struct zk_buf *b)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t i = 0, left = bytes.n % 3;
	char *to;

	to = bytes.n > SIZE_MAX / 2 ? NULL : zk_buf_reserve(b, (bytes.n + 2) / 3 * 4);
	if (!to) {
		b->failed = true;
		return;
	}
	for (; i + 3 <= bytes.n; i += 3, to += 4)
		put_group(p + i, 3, kind, to);
	b->n += bytes.n / 3 * 4;
	if (left) {
		put_group(p + i, left, kind, to);
		b->n += kind == ZK_B64_STD ? 4 : left + 1;
	}
}

/* 2 to 4 symbols to 1 to 3 bytes; false for a wrong symbol or bits that are left over. */
static bool take_group(const char *p, size_t n, enum zk_b64 kind, char *to)
{
	unsigned v = 0, spare = n == 4 ? 0 : n == 3 ? 0xff : 0xffff;

	for (size_t i = 0; i < 4; i++) {
		unsigned x = i < n ? value(p[i], kind) : 0;

		if (x > 63)
			return false;
		v = v << 6 | x;
	}
	if (v & spare)
		return false;
	for (size_t i = 0; i + 1 < n; i++)
		to[i] = (char)(v >> (16 - 8 * i));
	return true;
}

bool zk_b64_decode(zk_str text, enum zk_b64 kind, struct zk_buf *b)
{
	size_t at = 0, used = 0, room;
	char *to;

	if (kind == ZK_B64_STD) {
		if (text.n % 4)
			return false;
		for (unsigned i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
			text.n--;
	}
	if (text.n % 4 == 1)
		return false;
	if (text.n == 0)
		return true;
	room = text.n / 4 * 3 + (text.n % 4 ? text.n % 4 - 1 : 0);
	if (room > b->cap - b->n)
		return false;
	to = zk_buf_reserve(b, room);
	for (; at < text.n; at += 4) {
		size_t n = ZK_MIN(text.n - at, (size_t)4);

		if (!take_group(text.p + at, n, kind, to + used))
			return false;
		used += n - 1;
	}
	b->n += used;
	return true;
}
