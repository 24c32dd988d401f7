/* Text on a terminal.
 * Layer: rt. */
#include "rt/text.h"

#include <langinfo.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/err.h"

#include "base/ban.h"

/* Widths do not depend on the user's locale: all our text is UTF-8. Made once, never
 * freed. */
static locale_t utf8_locale;

static void make_locale(void)
{
	utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
}

static locale_t enter(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, make_locale);
	return utf8_locale ? uselocale(utf8_locale) : NULL;
}

static void leave(locale_t old)
{
	if (old)
		(void)uselocale(old);
}

/* The code point of a valid sequence of `n` bytes. */
static unsigned decode(const char *p, size_t n)
{
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned c = (unsigned char)p[0] & masks[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	return c;
}

/* Columns of the character at the start of `s`, its bytes into *n. */
static size_t char_width(zk_str s, size_t *n)
{
	int w;

	if ((unsigned char)s.p[0] < 0x80) {
		*n = 1;
		return 1; /* controls were scrubbed, or are the caller's business */
	}
	*n = zk_utf8_seq(s.p, s.n);
	if (!*n) {
		*n = 1;
		return 1;
	}
	w = wcwidth((wchar_t)decode(s.p, *n));
	return w < 0 ? 1 : (size_t)w;
}

/* The bytes that fit into `columns`, and what they take. */
static size_t fit(zk_str s, size_t columns, size_t *used)
{
	locale_t old = enter();
	size_t at = 0, sum = 0;

	while (at < s.n) {
		size_t n, w = char_width(zk_str_from(s, at), &n);

		if (w > columns - sum)
			break;
		sum += w;
		at += n;
	}
	leave(old);
	*used = sum;
	return at;
}

size_t zk_text_width(zk_str s)
{
	size_t used;

	(void)fit(s, SIZE_MAX, &used);
	return used;
}

size_t zk_text_fit(zk_str s, size_t columns)
{
	size_t used;

	return fit(s, columns, &used);
}

size_t zk_text_put_cut(struct zk_buf *b, zk_str s, size_t columns, bool utf8)
{
	zk_str dots = utf8 ? ZK_STR("\xE2\x80\xA6") : ZK_STR("~");
	size_t used, n = fit(s, columns, &used);

	if (n == s.n || columns == 0) {
		zk_buf_put(b, s.p, n);
		return used;
	}
	n = fit(s, columns - 1, &used);
	zk_buf_put(b, s.p, n);
	zk_buf_add(b, dots);
	return used + 1;
}

/* Controls of both sets, and those that embed or override a direction. */
static bool is_harmful(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

static void put_escape(struct zk_buf *b, unsigned c)
{
	if (c == '\n')
		zk_buf_lit(b, "\\n");
	else if (c == '\t')
		zk_buf_lit(b, "\\t");
	else if (c == '\r')
		zk_buf_lit(b, "\\r");
	else
		zk_buf_printf(b, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
}

void zk_text_scrub(struct zk_buf *b, zk_str s, bool lines)
{
	for (size_t at = 0; at < s.n;) {
		size_t n = zk_utf8_seq(s.p + at, s.n - at);
		unsigned c = n ? decode(s.p + at, n) : 0;

		if (!n)
			zk_buf_lit(b, "\xEF\xBF\xBD");
		else if (is_harmful(c) && !(lines && (c == '\n' || c == '\t')))
			put_escape(b, c);
		else
			zk_buf_put(b, s.p + at, n);
		at += n ? n : 1;
	}
}

void zk_text_blanks(struct zk_buf *b, size_t n)
{
	while (n--)
		zk_buf_char(b, ' ');
}

size_t zk_term_columns(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct zk_error ignored;
	struct winsize ws;
	uint64_t n;

	if (ioctl(fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	if (columns && zk_parse_u64(zk_str_of(columns), &n, &ignored) == 0 && n > 0 &&
	    n < 10000)
		return (size_t)n;
	return 80;
}

bool zk_term_is_utf8(void)
{
	locale_t user = newlocale(LC_CTYPE_MASK, "", NULL);
	bool r;

	if (!user)
		return false;
	r = strcmp(nl_langinfo_l(CODESET, user), "UTF-8") == 0;
	freelocale(user);
	return r;
}
