/* Turns one message into the text of one line.
 * Layer: base. */
#include "base/logline.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/ban.h"

/* A value is formatted up to RAW_MAX, redacted, and shown up to SHOWN_MAX, so that a secret at
 * the cut is whole when it is looked for. */
#define RAW_MAX   8192
#define SHOWN_MAX 4096

static const char *const level_names[] = { "error", "warn", "notice", "info", "debug" };

const char *zk_log_level_name(enum zk_log_level level)
{
	return level_names[level];
}

/* ---- text that is safe to show ---- */

/* The code point of a valid sequence of `n` bytes, n > 1. */
static unsigned code_point(const char *p, size_t n)
{
	unsigned cp = (unsigned char)p[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		cp = cp << 6 | ((unsigned char)p[i] & 0x3f);
	return cp;
}

/* Controls of Latin 1, and those that reorder text on a terminal. */
static bool is_control(unsigned cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x200e || cp == 0x200f ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

static void put_escape(struct zk_buf *b, unsigned cp)
{
	static const char from[] = "\n\r\t", to[] = "nrt";
	const char *at = cp ? strchr(from, (int)cp) : NULL;

	if (at && cp < 0x20) {
		zk_buf_char(b, '\\');
		zk_buf_char(b, to[at - from]);
	} else {
		zk_buf_printf(b, "\\u%04x", cp);
	}
}

/* Controls become escapes, bytes that are not UTF-8 U+FFFD; with `quoted` also what a JSON string
 * needs. */
static void put_scrubbed(struct zk_buf *b, zk_str s, bool quoted)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		size_t seq = zk_utf8_seq(s.p + i, s.n - i);
		unsigned cp = seq > 1 ? code_point(s.p + i, seq) : (unsigned char)s.p[i];

		n = seq ? seq : 1;
		if (!seq)
			zk_buf_lit(b, "\xEF\xBF\xBD");
		else if (is_control(cp))
			put_escape(b, cp);
		else if (quoted && (cp == '"' || cp == '\\'))
			zk_buf_printf(b, "\\%c", (char)cp);
		else
			zk_buf_put(b, s.p + i, n);
	}
}

static void put_quoted(struct zk_buf *b, zk_str s)
{
	zk_buf_char(b, '"');
	put_scrubbed(b, s, true);
	zk_buf_char(b, '"');
}

/* A bare word of logfmt: not empty, printable ASCII without space, quote, '=' and backslash. */
static bool is_bare(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"=\\", s.p[i]))
			return false;
	return s.n > 0;
}

static void put_word(struct zk_buf *b, zk_str s)
{
	if (is_bare(s))
		zk_buf_add(b, s);
	else
		put_quoted(b, s);
}

/* ---- fields ---- */

/* Names whose values are never shown, alone or as the last word ("api_key"). */
static bool is_secret_key(zk_str key)
{
	static const zk_str words[] = {
		ZK_STR_INIT("token"),         ZK_STR_INIT("secret"),
		ZK_STR_INIT("authorization"), ZK_STR_INIT("key"),
		ZK_STR_INIT("password"),      ZK_STR_INIT("passphrase"),
		ZK_STR_INIT("cookie"),        ZK_STR_INIT("credential"),
		ZK_STR_INIT("credentials"),   ZK_STR_INIT("signature"),
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(words); i++) {
		zk_str w = words[i];

		if (key.n < w.n ||
		    !zk_str_eq_nocase(zk_str_n(key.p + key.n - w.n, w.n), w))
			continue;
		if (key.n == w.n || strchr("_-.", key.p[key.n - w.n - 1]))
			return true;
	}
	return false;
}

/* The beginning of `s`, at most `max` bytes, without half a character at the end. */
static zk_str cut(zk_str s, size_t max)
{
	if (s.n <= max)
		return s;
	s.n = max;
	while (s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
		s.n--;
	return s;
}

static bool is_reserved(zk_str key)
{
	return zk_str_eq(key, ZK_STR("ts")) || zk_str_eq(key, ZK_STR("level")) ||
	       zk_str_eq(key, ZK_STR("logger")) || zk_str_eq(key, ZK_STR("msg"));
}

static void put_field(struct zk_buf *b, enum zk_log_format format, zk_str key, zk_str raw,
                      bool number)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf value;
	bool json = format == ZK_LOG_JSON, secret = is_secret_key(key);
	zk_str shown;

	zk_buf_init(&value, 2 * RAW_MAX);
	if (secret)
		zk_buf_lit(&value, "***");
	else
		zk_redact_into(&value, raw);
	shown = cut(zk_buf_str(&value), SHOWN_MAX);
	if (shown.n < value.n) {
		value.n = shown.n;
		zk_buf_lit(&value, "...");
	}

	if (json) {
		zk_buf_char(b, ',');
		zk_buf_char(b, '"');
		put_scrubbed(b, key, true);
		zk_buf_cstr(b, is_reserved(key) ? "_\":" : "\":");
	} else {
		zk_buf_char(b, ' ');
		zk_buf_add(b, key);
		zk_buf_char(b, '=');
	}
	if (number && !secret)
		zk_buf_add(b, zk_buf_str(&value));
	else if (json)
		put_quoted(b, zk_buf_str(&value));
	else
		put_word(b, zk_buf_str(&value));
}

/* ---- the walk over a printf format ---- */

struct walk {
	const char *f;       /* what is left of the format */
	unsigned parts;      /* conversions and pieces of text in the current value */
	bool number;         /* the last part is a number as JSON writes them */
	struct zk_buf value; /* cut at its cap */
	va_list ap;
};

struct spec {
	bool zero;
	int width, precision; /* -1 = none */
	int longs;            /* h -1, hh -2, l 1, ll 2, and 3 for j, z, t */
	char conv;
};

/* Keeps what fits. */
static void put_part(struct walk *w, const char *p, size_t n)
{
	zk_buf_put(&w->value, p, ZK_MIN(n, w->value.cap - w->value.n));
}

static int take_number(struct walk *w)
{
	int v = 0;

	if (*w->f == '*') {
		w->f++;
		return va_arg(w->ap, int);
	}
	for (; *w->f >= '0' && *w->f <= '9'; w->f++)
		v = v > 9999 ? v : v * 10 + (*w->f - '0');
	return v;
}

static struct spec take_spec(struct walk *w)
{
	struct spec s = { .precision = -1 };

	w->f++; /* '%' */
	for (; *w->f && strchr("-+ #0", *w->f); w->f++)
		s.zero |= *w->f == '0';
	s.width = take_number(w);
	if (*w->f == '.') {
		w->f++;
		s.precision = take_number(w);
	}
	for (; *w->f && strchr("hlLjzt", *w->f); w->f++) {
		if (*w->f == 'h')
			s.longs--;
		else
			s.longs += *w->f == 'l' ? 1 : 3;
	}
	s.conv = *w->f;
	if (s.conv)
		w->f++;
	/* Padding says nothing in a value; zeros may (%08x). */
	s.width = s.zero && s.width > 0 ? ZK_MIN(s.width, 64) : 0;
	return s;
}

static void put_signed(struct walk *w, const struct spec *s)
{
	intmax_t v = s->longs >= 3   ? va_arg(w->ap, intmax_t)
	             : s->longs == 2 ? va_arg(w->ap, long long)
	             : s->longs == 1 ? va_arg(w->ap, long)
	                             : va_arg(w->ap, int);
	char text[80];

	put_part(w, text, (size_t)snprintf(text, sizeof(text), "%0*jd", s->width, v));
	w->number = s->width == 0;
}

static void put_unsigned(struct walk *w, const struct spec *s)
{
	uintmax_t v = s->longs >= 3   ? va_arg(w->ap, uintmax_t)
	              : s->longs == 2 ? va_arg(w->ap, unsigned long long)
	              : s->longs == 1 ? va_arg(w->ap, unsigned long)
	                              : va_arg(w->ap, unsigned);
	char text[80];
	int n;

	if (s->conv == 'u')
		n = snprintf(text, sizeof(text), "%0*ju", s->width, v);
	else if (s->conv == 'o')
		n = snprintf(text, sizeof(text), "%0*jo", s->width, v);
	else if (s->conv == 'X')
		n = snprintf(text, sizeof(text), "%0*jX", s->width, v);
	else
		n = snprintf(text, sizeof(text), "%0*jx", s->width, v);
	put_part(w, text, (size_t)n);
	w->number = s->conv == 'u' && s->width == 0;
}

static void put_double(struct walk *w, const struct spec *s)
{
	int digits = ZK_MIN(s->precision, 40);
	double v = s->longs >= 3 ? (double)va_arg(w->ap, long double)
	                         : va_arg(w->ap, double);
	char text[400];
	int n;

	if (s->conv == 'f' || s->conv == 'F')
		n = snprintf(text, sizeof(text), "%.*f", digits, v);
	else if (s->conv == 'e' || s->conv == 'E')
		n = snprintf(text, sizeof(text), "%.*e", digits, v);
	else
		n = snprintf(text, sizeof(text), "%.*g", digits, v);
	put_part(w, text, (size_t)n);
	w->number = isfinite(v);
}

static void put_string(struct walk *w, const struct spec *s)
{
	const char *text = va_arg(w->ap, const char *);
	size_t max = s->precision >= 0 ? (size_t)s->precision : RAW_MAX;

	if (!text)
		put_part(w, "(null)", 6);
	else
		put_part(w, text, strnlen(text, ZK_MIN(max, (size_t)RAW_MAX)));
}

static void put_other(struct walk *w, char conv)
{
	char text[128];
	char c;

	switch (conv) {
	case 'c':
		c = (char)va_arg(w->ap, int);
		put_part(w, &c, 1);
		break;
	case 'p':
		put_part(w, text,
		         (size_t)snprintf(text, sizeof(text), "%p",
		                          va_arg(w->ap, void *)));
		break;
	default: /* %% and what the compiler would have refused */
		put_part(w, &conv, conv ? 1 : 0);
		break;
	}
}

static void put_conversion(struct walk *w)
{
	struct spec s = take_spec(w);

	w->number = false;
	if (s.conv && strchr("di", s.conv))
		put_signed(w, &s);
	else if (s.conv && strchr("uxXo", s.conv))
		put_unsigned(w, &s);
	else if (s.conv && strchr("fFeEgG", s.conv))
		put_double(w, &s);
	else if (s.conv == 's')
		put_string(w, &s);
	else
		put_other(w, s.conv);
}

/* The key up to '='; "detail" for text without one. */
static zk_str take_key(struct walk *w)
{
	size_t n = strcspn(w->f, "= %");
	zk_str key = zk_str_n(w->f, n);

	if (n == 0 || w->f[n] != '=')
		return ZK_STR("detail");
	w->f += n + 1;
	return key;
}

static void take_value(struct walk *w)
{
	zk_buf_clear(&w->value);
	w->number = false;
	for (w->parts = 0; *w->f && *w->f != ' '; w->parts++) {
		size_t n = strcspn(w->f, " %");

		if (n == 0) {
			put_conversion(w);
			continue;
		}
		put_part(w, w->f, n);
		w->number = false;
		w->f += n;
	}
}

void zk_logline_fields(struct zk_buf *b, enum zk_log_format format, const char *fmt,
                       va_list ap)
{
	struct walk w = { .f = fmt };

	if (!*fmt)
		return;
	va_copy(w.ap, ap);
	zk_buf_init_secret(&w.value, RAW_MAX);
	for (;;) {
		zk_str key;

		w.f += strspn(w.f, " ");
		if (!*w.f)
			break;
		key = take_key(&w);
		take_value(&w);
		put_field(b, format, key, zk_buf_str(&w.value), w.number && w.parts == 1);
	}
	zk_buf_done(&w.value);
	va_end(w.ap);
}

/* ---- the line ---- */

static void put_local_time(struct zk_buf *b, int64_t wall_us)
{
	time_t s = (time_t)(wall_us / 1000000);
	struct tm tm = { 0 };

	(void)localtime_r(&s, &tm);
	zk_buf_printf(b, "%02d:%02d:%02d.%03d ", tm.tm_hour, tm.tm_min, tm.tm_sec,
	              (int)(wall_us / 1000 % 1000));
}

static void put_text(struct zk_buf *b, const struct zk_logline *l)
{
	static const char *const names[] = { "ERROR", "WARN", "NOTICE", "INFO", "DEBUG" };
	static const char *const colors[] = { "\033[31m", "\033[33m", "\033[1m", "",
		                              "\033[2m" };
	const char *on = l->color ? colors[l->level] : "";

	put_local_time(b, l->wall_us);
	zk_buf_printf(b, "%s%-5s%s %s  ", on, names[l->level], *on ? "\033[0m" : "",
	              l->logger);
	put_scrubbed(b, l->msg, false);
}

static void put_logfmt(struct zk_buf *b, const struct zk_logline *l)
{
	char ts[ZK_RFC3339_MAX];

	(void)zk_format_rfc3339(l->wall_us, ts);
	zk_buf_printf(b, "ts=%s level=%s logger=%s msg=", ts, level_names[l->level],
	              l->logger);
	put_word(b, l->msg);
}

static void put_json(struct zk_buf *b, const struct zk_logline *l)
{
	char ts[ZK_RFC3339_MAX];

	(void)zk_format_rfc3339(l->wall_us, ts);
	zk_buf_printf(b, "{\"ts\":\"%s\",\"level\":\"%s\",\"logger\":\"%s\",\"msg\":", ts,
	              level_names[l->level], l->logger);
	put_quoted(b, l->msg);
}

static void put_journald(struct zk_buf *b, const struct zk_logline *l)
{
	zk_buf_printf(b, "<%d>%s: ", 3 + (int)l->level, l->logger);
	put_scrubbed(b, l->msg, false);
}

void zk_logline_put(struct zk_buf *b, const struct zk_logline *l)
{
	switch (l->format) {
	case ZK_LOG_AUTO:
	case ZK_LOG_TEXT:
		put_text(b, l);
		break;
	case ZK_LOG_LOGFMT:
		put_logfmt(b, l);
		break;
	case ZK_LOG_JSON:
		put_json(b, l);
		break;
	case ZK_LOG_JOURNALD:
		put_journald(b, l);
		break;
	}
	zk_buf_add(b, l->fields);
	if (l->format == ZK_LOG_JSON)
		zk_buf_char(b, '}');
	zk_buf_char(b, '\n');
}
