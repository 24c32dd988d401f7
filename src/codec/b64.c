/* Base64.
 * Layer: codec. */
#include "codec/b64.h"

#include <stdint.h>

#include "base/buf.h"

#include "base/ban.h"

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

void zk_b64_encode(zk_str bytes, enum zk_b64 kind, struct zk_buf *b)
{
	zk_buf_base64(b, bytes, kind == ZK_B64_URL, kind == ZK_B64_STD);
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
