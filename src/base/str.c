/* zk_str: slices, UTF-8, globs, edit distance. Parsers are in parse.c and time.c.
 * Layer: base. */
#include "base/str.h"

#include "base/ban.h"

static inline unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool zk_str_eq_nocase(zk_str a, zk_str b)
{
	return a.n == b.n && zk_str_starts_nocase(a, b);
}

int zk_str_cmp(zk_str a, zk_str b)
{
	size_t n = ZK_MIN(a.n, b.n);
	int r = n ? memcmp(a.p, b.p, n) : 0;

	if (r)
		return r < 0 ? -1 : 1;
	return (a.n > b.n) - (a.n < b.n);
}

bool zk_str_starts(zk_str s, zk_str prefix)
{
	return s.n >= prefix.n && zk_str_eq(zk_str_n(s.p, prefix.n), prefix);
}

bool zk_str_ends(zk_str s, zk_str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 ||
	        zk_str_eq(zk_str_n(s.p + s.n - suffix.n, suffix.n), suffix));
}

bool zk_str_starts_nocase(zk_str s, zk_str prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++)
		if (lower(s.p[i]) != lower(prefix.p[i]))
			return false;
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

zk_str zk_str_trim(zk_str s)
{
	while (s.n && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

zk_str zk_str_cut(zk_str s, char sep, zk_str *head)
{
	ptrdiff_t at = zk_str_find_char(s, sep);

	if (at < 0) {
		*head = s;
		return ZK_STR_NULL;
	}
	*head = zk_str_n(s.p, (size_t)at);
	return zk_str_n(s.p + at + 1, s.n - (size_t)at - 1);
}

ptrdiff_t zk_str_find_char(zk_str s, char c)
{
	const char *p = s.n ? memchr(s.p, c, s.n) : NULL;

	return p ? p - s.p : -1;
}

ptrdiff_t zk_str_find(zk_str s, zk_str needle)
{
	const char *p;

	if (needle.n == 0)
		return 0;
	p = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return p ? p - s.p : -1;
}

bool zk_str_glob(zk_str pattern, zk_str s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;

	while (i < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++; /* matches nothing at first, one byte more on each
			               retry */
			mark = i;
		} else if (p < pattern.n &&
		           (pattern.p[p] == '?' || pattern.p[p] == s.p[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static inline bool is_cont(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The second byte excludes overlong forms, surrogates and what lies above U+10FFFF. */
static bool is_second(unsigned char first, unsigned char c)
{
	unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

	return c >= low && c <= high;
}

size_t zk_utf8_seq(const char *p, size_t n)
{
	const unsigned char *s = (const unsigned char *)p;
	size_t len;

	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n < len || !is_second(s[0], s[1]))
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_cont(s[i]))
			return 0;
	return len;
}

bool zk_utf8_valid(zk_str s)
{
	size_t i = 0;

	while (i < s.n) {
		uint64_t word;
		size_t seq;

		if (s.n - i >= sizeof(word)) {
			memcpy(&word, s.p + i, sizeof(word));
			if (!(word & 0x8080808080808080u)) {
				i += sizeof(word);
				continue;
			}
		}
		seq = zk_utf8_seq(s.p + i, s.n - i);
		if (!seq)
			return false;
		i += seq;
	}
	return true;
}

size_t zk_utf8_len(zk_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += !is_cont((unsigned char)s.p[i]);
	return n;
}

#define DISTANCE_MAX 128

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = ZK_MIN(a, b);

	return ZK_MIN(m, c);
}

unsigned zk_str_distance(zk_str a, zk_str b, unsigned max)
{
	/* Three rows of the matrix: two back (for transpositions), one back, this one. */
	unsigned rows[3][DISTANCE_MAX + 1];
	unsigned *back2 = rows[0], *back = rows[1], *row = rows[2];

	if (zk_str_eq(a, b))
		return 0;
	if (a.n > DISTANCE_MAX || b.n > DISTANCE_MAX)
		return max + 1;
	for (size_t j = 0; j <= b.n; j++)
		back[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *old = back2;
		unsigned best = row[0] = (unsigned)i;

		for (size_t j = 1; j <= b.n; j++) {
			unsigned change = back[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			row[j] = min3(back[j] + 1, row[j - 1] + 1, change);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1])
				row[j] = ZK_MIN(row[j], back2[j - 2] + 1);
			best = ZK_MIN(best, row[j]);
		}
		if (best > max + 1) /* a transposition can win back one step, no more */
			return max + 1;
		back2 = back;
		back = row;
		row = old;
	}
	return ZK_MIN(back[b.n], max + 1);
}
