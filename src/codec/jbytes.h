/* jbytes: what jscan.c and jslice.c share: classes of JSON bytes, the inner loop over
 * strings. Layer: codec, private. */
#ifndef ZK_CODEC_JBYTES_H
#define ZK_CODEC_JBYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "codec/jscan.h"

static inline bool zk_jb_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool zk_jb_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What a value is that begins with `c`; ZK_J_NONE when none does. */
static inline enum zk_jtype zk_jb_type(char c)
{
	static const uint8_t types[256] = {
		['n'] = ZK_J_NULL,   ['t'] = ZK_J_BOOL,   ['f'] = ZK_J_BOOL,
		['"'] = ZK_J_STRING, ['['] = ZK_J_ARRAY,  ['{'] = ZK_J_OBJECT,
		['-'] = ZK_J_NUMBER, ['0'] = ZK_J_NUMBER, ['1'] = ZK_J_NUMBER,
		['2'] = ZK_J_NUMBER, ['3'] = ZK_J_NUMBER, ['4'] = ZK_J_NUMBER,
		['5'] = ZK_J_NUMBER, ['6'] = ZK_J_NUMBER, ['7'] = ZK_J_NUMBER,
		['8'] = ZK_J_NUMBER, ['9'] = ZK_J_NUMBER,
	};

	return (enum zk_jtype)types[(unsigned char)c];
}

/* True for bytes that stand for themselves inside a string: ASCII but '"', '\\' and
 * controls. */
static inline bool zk_jb_is_plain(char c)
{
	return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

#if defined(__SSE2__)
typedef char zk_jb_vec __attribute__((vector_size(16)));
typedef signed char zk_jb_signed __attribute__((vector_size(16)));

/* One bit per byte of the 16 at `p` that is not plain. */
static inline unsigned zk_jb_unplain16(const char *p)
{
	zk_jb_signed v;

	memcpy(&v, p, sizeof(v));
	/* The comparison is signed: bytes above 0x7f are less than a space too. */
	v = (v == '"') | (v == '\\') | (v < 0x20);
	return (unsigned)__builtin_ia32_pmovmskb128((zk_jb_vec)v);
}
#endif

/* The first byte that is not plain, or `end`. */
static inline const char *zk_jb_skip_plain(const char *p, const char *end)
{
#if defined(__SSE2__)
	for (; end - p >= 32; p += 32) {
		unsigned mask = zk_jb_unplain16(p) | zk_jb_unplain16(p + 16) << 16;

		if (mask)
			return p + __builtin_ctz(mask);
	}
	if (end - p >= 16) {
		unsigned mask = zk_jb_unplain16(p);

		if (mask)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (p < end && zk_jb_is_plain(*p))
		p++;
	return p;
}

/* The first `n` of 16 readable bytes each. */
static inline bool zk_jb_same16(const char *a, const char *b, size_t n)
{
#if defined(__SSE2__)
	zk_jb_signed x, y;
	unsigned want = (1u << n) - 1;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	x = x == y;
	return ((unsigned)__builtin_ia32_pmovmskb128((zk_jb_vec)x) & want) == want;
#else
	return memcmp(a, b, n) == 0;
#endif
}

/* Eight digits. */
static inline bool zk_jb_are_digits(const char *p)
{
	const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0);
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	/* '0' to '9' are 0x30 to 0x39: above them the sum leaves 0x3_. */
	return (v & high) == UINT64_C(0x3030303030303030) &&
	       ((v + UINT64_C(0x0606060606060606)) & high) ==
	               UINT64_C(0x3030303030303030);
}

/* As zk_utf8_seq(), for a byte above 0x7f: the common lengths without a call. */
static inline size_t zk_jb_utf8(const char *p, const char *end)
{
	const unsigned char *s = (const unsigned char *)p;

	if (ZK_LIKELY(end - p >= 4)) {
		bool second = (s[1] & 0xc0) == 0x80, third = (s[2] & 0xc0) == 0x80;

		if (s[0] >= 0xc2 && s[0] < 0xe0 && second)
			return 2;
		if (s[0] > 0xe0 && s[0] < 0xf0 && s[0] != 0xed && second && third)
			return 3;
		if (s[0] > 0xf0 && s[0] < 0xf4 && second && third &&
		    (s[3] & 0xc0) == 0x80)
			return 4;
	}
	return zk_utf8_seq(p, (size_t)(end - p));
}

/* The value of four hexadecimal digits at `p`, or -1. */
static inline int zk_jb_hex4(const char *p)
{
	int v = 0;

	for (unsigned i = 0; i < 4; i++) {
		char c = p[i];
		int d = zk_jb_is_digit(c)      ? c - '0'
		        : c >= 'a' && c <= 'f' ? c - 'a' + 10
		        : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                               : -1;

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* The unit of a \uXXXX escape that begins at `p`, or -1 when there is none. */
static inline int zk_jb_unit(const char *p, const char *end)
{
	return end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? zk_jb_hex4(p + 2) : -1;
}

static inline bool zk_jb_is_high(int unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static inline bool zk_jb_is_low(int unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

#endif
