/* Errors as values; the one mapping from code to exit status; assertions.
 * Layer: base. */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ban.h"

static const struct zk_code_info codes[] = {
#define ZK_ERROR(name, number, status, head, body) \
	{ .code = ZK_E_##name, .exit = (status), .title = (head), .text = (body) },
#include "errors.def"
#undef ZK_ERROR
};

const struct zk_code_info *zk_codes(size_t *n)
{
	*n = ZK_ARRAY_LEN(codes);
	return codes;
}

const struct zk_code_info *zk_code_find(int code)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(codes); i++)
		if ((int)codes[i].code == code)
			return &codes[i];
	return NULL;
}

enum zk_exit zk_code_exit(int code)
{
	const struct zk_code_info *info = zk_code_find(code);

	if (code == ZK_E_NONE)
		return ZK_EXIT_OK;
	return info ? info->exit : ZK_EXIT_BUG;
}

static size_t exit_rank(int status)
{
	/* The worst first; what is not listed comes after these, 0 last of all. */
	static const int order[] = { ZK_EXIT_BUG,      ZK_EXIT_CONFIG,   ZK_EXIT_NOPERM,
		                     ZK_EXIT_IOERR,    ZK_EXIT_PROTOCOL, ZK_EXIT_REFUSED,
		                     ZK_EXIT_TEMPFAIL, ZK_EXIT_PARTIAL };
	size_t i = 0;

	while (i < ZK_ARRAY_LEN(order) && order[i] != status)
		i++;
	return status == ZK_EXIT_OK ? i + 1 : i;
}

int zk_exit_worse(int a, int b)
{
	return exit_rank(b) < exit_rank(a) ? b : a;
}

void zk_assert_failed(const char *cond, const char *file, int line)
{
	char text[512];
	int n = snprintf(
	        text, sizeof(text),
	        "zk: error[ZK9001]: internal error: '%s' does not hold at %s:%d\n"
	        "  fix:   open an issue with the output of `zk version -o json`\n",
	        cond, file, line);

	if (n > 0 && write(STDERR_FILENO, text, ZK_MIN((size_t)n, sizeof(text) - 1)) < 0)
		abort();
	abort();
}

/* Makes one line of printable text out of whatever a value brought along, and ends a text
 * that was cut with a whole character and three dots. */
static void tidy(char *text, size_t room, int wanted)
{
	size_t n = strlen(text), i = 0, from;

	if (wanted >= (int)room && room > 8) {
		n -= 3;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		memcpy(text + n, "...", 4);
	}
	while (text[i]) {
		unsigned char c = (unsigned char)text[i];
		size_t seq;

		from = i;
		seq = zk_utf8_seq(text + i, strlen(text + i));
		i += seq ? seq : 1;
		if (!seq || c < 0x20 || c == 0x7f ||
		    (c == 0xc2 && (unsigned char)text[from + 1] < 0xa0))
			memset(text + from, '?', i - from);
	}
}

static ZK_PRINTF(3, 0) void format(char *to, size_t room, const char *fmt, va_list ap)
{
	/* The values may lie in the error that is being written. */
	char text[sizeof(((struct zk_error *)0)->msg)];
	int n = vsnprintf(text, ZK_MIN(room, sizeof(text)), fmt, ap);

	if (n < 0)
		text[0] = '\0';
	tidy(text, ZK_MIN(room, sizeof(text)), n);
	memcpy(to, text, strlen(text) + 1);
}

static void append(char *to, size_t room, const char *sep, const char *more)
{
	char text[sizeof(((struct zk_error *)0)->msg)];
	int n = snprintf(text, room, "%s%s%s", to, sep, more);

	tidy(text, room, n);
	memcpy(to, text, strlen(text) + 1);
}

static ZK_PRINTF(3, 0) int fail_v(struct zk_error *err, enum zk_code code,
                                  const char *fmt, va_list ap)
{
	char msg[sizeof(err->msg)];

	format(msg, sizeof(msg), fmt, ap);
	memset(err, 0, sizeof(*err));
	err->code = code;
	memcpy(err->msg, msg, strlen(msg) + 1);
	return -(int)code;
}

int zk_fail(struct zk_error *err, enum zk_code code, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_v(err, code, fmt, ap);
	va_end(ap);
	return r;
}

int zk_fail_errno(struct zk_error *err, enum zk_code code, int errnum, const char *fmt,
                  ...)
{
	char text[128];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_v(err, code, fmt, ap);
	va_end(ap);
	err->sys_errno = errnum;
	append(err->msg, sizeof(err->msg), ": ", strerror_r(errnum, text, sizeof(text)));
	return r;
}

int zk_wrap(struct zk_error *err, const char *fmt, ...)
{
	char head[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	format(head, sizeof(head), fmt, ap);
	va_end(ap);
	append(head, sizeof(head), ": ", err->msg);
	memcpy(err->msg, head, strlen(head) + 1);
	return -(int)err->code;
}

int zk_err_where(struct zk_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(err->where, sizeof(err->where), fmt, ap);
	va_end(ap);
	return -(int)err->code;
}

int zk_err_why(struct zk_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(err->why, sizeof(err->why), fmt, ap);
	va_end(ap);
	return -(int)err->code;
}

int zk_err_members(struct zk_error *err, zk_str members)
{
	bool fits = members.n < sizeof(err->members);

	if (fits && members.n)
		memcpy(err->members, members.p, members.n);
	err->members[fits ? members.n : 0] = '\0';
	return -(int)err->code;
}

int zk_err_hint(struct zk_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	format(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -(int)err->code;
}

/* The byte where character `col` (1-based) of valid UTF-8 begins, at most s.n. */
static size_t column_at(zk_str s, size_t col)
{
	size_t i = 0;

	while (col-- > 1 && i < s.n) {
		i++;
		while (i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80)
			i++;
	}
	return i;
}

#define EXCERPT_COLS 72u
#define CARETS_8     "^^^^^^^^"

/* The part of a line around a column, made printable: 72 columns from `skip` on. */
static size_t show_line(zk_str line, size_t skip, char text[EXCERPT_COLS * 4 + 4])
{
	zk_str part = zk_str_from(line, column_at(line, skip + 1));
	size_t n = column_at(part, EXCERPT_COLS + 1);

	n = ZK_MIN(n, (size_t)EXCERPT_COLS * 4); /* not UTF-8 */
	for (size_t i = 0; i < n; i++)
		text[i] = part.p[i] && part.p[i] != '\t' ? part.p[i] : ' ';
	text[n] = '\0';
	tidy(text, EXCERPT_COLS * 4, 0);
	n = n < part.n ? n : 0;
	if (n)
		memcpy(text + strlen(text), "...", 4);
	return zk_utf8_len(zk_str_of(text)) - (n ? 3 : 0);
}

int zk_err_at(struct zk_error *err, const struct zk_err_spot *spot, zk_str line_text,
              const char *note)
{
	static const char carets[] = CARETS_8 CARETS_8 CARETS_8 CARETS_8 CARETS_8 CARETS_8
	        CARETS_8 CARETS_8 CARETS_8;
	/* A long line is shown from a little before the column on. */
	size_t skip = spot->col > EXCERPT_COLS - 24 ? spot->col - 24 : 0;
	char text[EXCERPT_COLS * 4 + 4];
	size_t width = show_line(line_text, skip, text);
	size_t pad = ZK_MIN(spot->col > skip ? spot->col - skip - 1 : 0, width);
	size_t span = ZK_MAX(ZK_MIN((size_t)spot->span, width - pad), (size_t)1);

	(void)snprintf(err->excerpt, sizeof(err->excerpt),
	               "%5u | %s\n      | %*s%.*s%s%s", spot->line, text, (int)pad, "",
	               (int)span, carets, note ? " " : "", note ? note : "");
	return zk_err_where(err, "%s:%u:%u", spot->file, spot->line, spot->col);
}
