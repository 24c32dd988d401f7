/* Widths, cutting, scrubbing.
 * Layer: tests. */
#include "rt/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/buf.h"

#include "base/ban.h"

Test(text, width)
{
	static const struct {
		const char *s;
		size_t width;
	} cases[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "caf\xC3\xA9", 4 },
		{ "cafe\xCC\x81", 4 },             /* a combining mark */
		{ "\xE6\x97\xA5\xE6\x9C\xAC", 4 }, /* two wide characters */
		{ "\xF0\x9F\xA6\x89", 2 },         /* an owl */
		{ "\xFF\xFE", 2 },                 /* no text: a column per byte */
		{ "a\xE6\x97", 3 },                /* half a character */
		{ "\xE2\x80\x8B", 0 },             /* a space without width */
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_text_width(zk_str_of(cases[i].s)), cases[i].width,
		             "case %zu", i);
}

Test(text, cut)
{
	static const struct {
		const char *s;
		size_t columns;
		bool utf8;
		const char *want;
	} cases[] = {
		{ "abcdef", 6, true, "abcdef" },
		{ "abcdef", 5, true, "abcd\xE2\x80\xA6" },
		{ "abcdef", 5, false, "abcd~" },
		{ "abcdef", 1, false, "~" },
		{ "abcdef", 0, true, "" },
		/* a wide character that would stick out is left out whole */
		{ "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", 5, true,
		  "\xE6\x97\xA5\xE6\x9C\xAC\xE2\x80\xA6" },
		{ "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", 4, true,
		  "\xE6\x97\xA5\xE2\x80\xA6" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		ZK_CLEANUP(zk_buf_done)
		struct zk_buf b = { .cap = 100 };
		size_t n = zk_text_put_cut(&b, zk_str_of(cases[i].s), cases[i].columns,
		                           cases[i].utf8);

		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].want, "case %zu", i);
		cr_expect_eq(n, zk_text_width(zk_buf_str(&b)), "case %zu", i);
		cr_expect_leq(n, cases[i].columns, "case %zu", i);
	}
	cr_expect_eq(zk_text_fit(ZK_STR("a\xC3\xA9o"), 2), 3);
}

Test(text, scrub)
{
	static const struct {
		const char *s, *line, *lines;
	} cases[] = {
		{ "plain \xC3\xA9 \xE6\x97\xA5", "plain \xC3\xA9 \xE6\x97\xA5",
		  "plain \xC3\xA9 \xE6\x97\xA5" },
		{ "a\tb\nc", "a\\tb\\nc", "a\tb\nc" },
		{ "a\rb", "a\\rb", "a\\rb" },
		{ "\033[31m", "\\x1b[31m", "\\x1b[31m" },
		{ "\x7F", "\\x7f", "\\x7f" },
		{ "\xC2\x9B"
		  "2J",
		  "\\x9b2J", "\\x9b2J" }, /* CSI of the second set */
		{ "\xE2\x80\xAE"
		  "evil",
		  "\\u202eevil", "\\u202eevil" },
		{ "\xE2\x81\xA6", "\\u2066", "\\u2066" },
		{ "\xFF", "\xEF\xBF\xBD", "\xEF\xBF\xBD" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		ZK_CLEANUP(zk_buf_done)
		struct zk_buf b = { .cap = 100 };

		zk_text_scrub(&b, zk_str_of(cases[i].s), false);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].line, "case %zu", i);
		zk_buf_clear(&b);
		zk_text_scrub(&b, zk_str_of(cases[i].s), true);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].lines, "case %zu", i);
	}
}

Test(text, terminal)
{
	(void)unsetenv("COLUMNS");
	cr_expect_eq(zk_term_columns(-1), 80);
	(void)setenv("COLUMNS", "132", 1);
	cr_expect_eq(zk_term_columns(-1), 132);
	(void)setenv("COLUMNS", "0", 1);
	cr_expect_eq(zk_term_columns(-1), 80);
	(void)setenv("COLUMNS", "wide", 1);
	cr_expect_eq(zk_term_columns(-1), 80);
	(void)setenv("LC_ALL", "C", 1);
	cr_expect_not(zk_term_is_utf8());
	(void)setenv("LC_ALL", "C.UTF-8", 1);
	cr_expect(zk_term_is_utf8());
	(void)setenv("LC_ALL", "no-such-locale", 1);
	cr_expect_not(zk_term_is_utf8());
}
