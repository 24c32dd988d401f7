/* Hexadecimal, CRC-32, comparison in constant time. SHA-256 is in sha256.c.
 * Layer: codec. */
#include "codec/digest.h"

#include <limits.h>
#include <zlib.h>

#include "base/buf.h"

#include "base/ban.h"

bool zk_equal_ct(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ = (uint8_t)(differ | (x[i] ^ y[i]));
	return differ == 0;
}

void zk_hex_encode(zk_str bytes, struct zk_buf *b)
{
	static const char hex[] = "0123456789abcdef";
	char *to = bytes.n > SIZE_MAX / 2 ? NULL : zk_buf_reserve(b, 2 * bytes.n);

	if (!to) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		to[2 * i] = hex[c >> 4];
		to[2 * i + 1] = hex[c & 15];
	}
	b->n += 2 * bytes.n;
}

/* The value of a hexadecimal digit, or 16. */
static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return 16;
}

bool zk_hex_decode(zk_str text, uint8_t *out, size_t n)
{
	unsigned bad = 0;

	if (n > SIZE_MAX / 2 || text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++)
		bad |= digit(text.p[2 * i]) | digit(text.p[2 * i + 1]);
	if (bad & 16)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(digit(text.p[2 * i]) << 4 | digit(text.p[2 * i + 1]));
	return true;
}

uint32_t zk_crc32(uint32_t crc, zk_str text)
{
	uLong v = crc;

	while (text.n) {
		uInt take = (uInt)ZK_MIN(text.n, (size_t)INT_MAX);

		v = crc32(v, (const Bytef *)text.p, take);
		text = zk_str_from(text, take);
	}
	return (uint32_t)v;
}
