/* Errors as values, exit statuses, excerpts.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"

#include "base/ban.h"

Test(err, fail_starts_afresh)
{
	struct zk_error err;

	memset(&err, 0xaa, sizeof(err));
	cr_expect_eq(zk_fail(&err, ZK_E_DATA, "bad %s", "thing"), -ZK_E_DATA);
	cr_expect_str_eq(err.msg, "bad thing");
	cr_expect_eq(err.code, ZK_E_DATA);
	cr_expect(!err.retryable && !err.sys_errno && !err.http_status &&
	          !err.retry_after_ms);
	cr_expect(!err.where[0] && !err.why[0] && !err.hint[0] && !err.excerpt[0] &&
	          !err.remote_id[0]);
}

Test(err, errno_and_wrap)
{
	struct zk_error err;

	cr_expect_eq(zk_fail_errno(&err, ZK_E_NO_INPUT, ENOENT, "cannot read '%s'", "f"),
	             -ZK_E_NO_INPUT);
	cr_expect_str_eq(err.msg, "cannot read 'f': No such file or directory");
	cr_expect_eq(err.sys_errno, ENOENT);
	err.retryable = true;
	cr_expect_eq(zk_wrap(&err, "step %d", 2), -ZK_E_NO_INPUT);
	cr_expect_str_eq(err.msg, "step 2: cannot read 'f': No such file or directory");
	cr_expect(err.retryable && err.sys_errno == ENOENT);
}

Test(err, other_lines)
{
	struct zk_error err;

	(void)zk_fail(&err, ZK_E_HTTP, "x");
	cr_expect_eq(zk_err_where(&err, "POST %s", "http://h/p"), -ZK_E_HTTP);
	cr_expect_eq(zk_err_why(&err, "because"), -ZK_E_HTTP);
	cr_expect_eq(zk_err_hint(&err, "do %d", 1), -ZK_E_HTTP);
	cr_expect_str_eq(err.where, "POST http://h/p");
	cr_expect_str_eq(err.why, "because");
	cr_expect_str_eq(err.hint, "do 1");
}

Test(err, its_own_text_may_be_an_argument)
{
	struct zk_error err;

	(void)zk_fail(&err, ZK_E_HTTP, "first");
	(void)zk_fail(&err, ZK_E_DATA, "again: %s", err.msg);
	cr_expect_str_eq(err.msg, "again: first");
	(void)zk_err_hint(&err, "%s", err.msg);
	cr_expect_str_eq(err.hint, "again: first");
}

Test(err, texts_are_one_printable_line)
{
	struct zk_error err;

	(void)zk_fail(&err, ZK_E_DATA,
	              "a\nb\tc\033[31m\x7f\xC2\x9B"
	              "é\xff");
	cr_expect_str_eq(err.msg, "a?b?c?[31m???é?");
}

Test(err, long_texts_are_cut_between_characters)
{
	struct zk_error err;
	char text[1025];

	for (size_t i = 0; i < 1024; i += 2)
		memcpy(text + i, "é", 2);
	text[1024] = '\0';
	for (int shift = 0; shift < 2; shift++) {
		(void)zk_fail(&err, ZK_E_DATA, "%s%s", shift ? "x" : "", text);
		cr_expect_geq(strlen(err.msg), 508);
		cr_expect_lt(strlen(err.msg), sizeof(err.msg));
		cr_expect(zk_utf8_valid(zk_str_of(err.msg)));
		cr_expect_str_eq(err.msg + strlen(err.msg) - 3, "...");
		cr_expect_null(strchr(err.msg, '?'));
		(void)zk_wrap(&err, "outer");
		cr_expect(zk_str_starts(zk_str_of(err.msg), ZK_STR("outer: ")));
		cr_expect(zk_utf8_valid(zk_str_of(err.msg)));
		cr_expect_lt(strlen(err.msg), sizeof(err.msg));
		(void)zk_err_where(&err, "%s", text);
		cr_expect_lt(strlen(err.where), sizeof(err.where));
		cr_expect(zk_utf8_valid(zk_str_of(err.where)));
	}
}

Test(err, excerpt)
{
	struct zk_error err;

	(void)zk_fail(&err, ZK_E_CONFIG_VALUE,
	              "port type \"ouput\" is not one of input, output");
	cr_expect_eq(zk_err_at(&err,
	                       &(struct zk_err_spot){ "templates/text.yaml", 14, 18, 5 },
	                       ZK_STR("    - { id: out, type: ouput }"),
	                       "did you mean \"output\"?"),
	             -ZK_E_CONFIG_VALUE);
	cr_expect_str_eq(err.where, "templates/text.yaml:14:18");
	cr_expect_str_eq(err.excerpt,
	                 "   14 |     - { id: out, type: ouput }\n"
	                 "      |                  ^^^^^ did you mean \"output\"?");
}

Test(err, excerpt_of_odd_lines)
{
	struct zk_error err;
	char line[400];

	(void)zk_fail(&err, ZK_E_CONFIG, "x");
	/* columns are characters, tabs are shown as one space, controls as '?' */
	(void)zk_err_at(&err, &(struct zk_err_spot){ "f", 1, 4, 2 }, ZK_STR("é\t€x\033"),
	                NULL);
	cr_expect_str_eq(err.excerpt, "    1 | é €x?\n      |    ^^");
	/* behind the end, in an empty line, a span that is too long or zero */
	(void)zk_err_at(&err, &(struct zk_err_spot){ "f", 1, 9, 3 }, ZK_STR("ab"), NULL);
	cr_expect_str_eq(err.excerpt, "    1 | ab\n      |   ^");
	(void)zk_err_at(&err, &(struct zk_err_spot){ "f", 1, 1, 0 }, ZK_STR_NULL, NULL);
	cr_expect_str_eq(err.excerpt, "    1 | \n      | ^");
	(void)zk_err_at(&err, &(struct zk_err_spot){ "f", 1, 2, 99 }, ZK_STR("abcd"),
	                NULL);
	cr_expect_str_eq(err.excerpt, "    1 | abcd\n      |  ^^^");
	/* a long line is shown around the column */
	memset(line, '.', sizeof(line));
	line[199] = 'X';
	(void)zk_err_at(&err, &(struct zk_err_spot){ "f", 1, 200, 1 },
	                zk_str_n(line, sizeof(line)), NULL);
	cr_expect_eq(strchr(err.excerpt, 'X') - err.excerpt,
	             strchr(err.excerpt, '^') - strchr(err.excerpt, '\n') - 1);
	cr_expect_not_null(strstr(err.excerpt, "...\n"));
	/* bytes that are no UTF-8 at all */
	memset(line, 0x80, sizeof(line));
	(void)zk_err_at(&err, &(struct zk_err_spot){ "f", 1, 3, 1 },
	                zk_str_n(line, sizeof(line)), NULL);
	cr_expect(zk_utf8_valid(zk_str_of(err.excerpt)));
}

Test(err, table_is_sorted_and_complete)
{
	size_t n;
	const struct zk_code_info *codes = zk_codes(&n);

	cr_assert_gt(n, 40);
	for (size_t i = 0; i < n; i++) {
		cr_expect(i == 0 || codes[i].code > codes[i - 1].code, "ZK%d",
		          codes[i].code);
		cr_expect(codes[i].code >= 1000 && codes[i].code <= 9999);
		cr_expect(codes[i].exit > 0 && codes[i].exit <= 78);
		cr_expect_gt(strlen(codes[i].title), 5);
		cr_expect_gt(strlen(codes[i].text), 20);
		cr_expect_eq(zk_code_find((int)codes[i].code), &codes[i]);
		cr_expect_eq(zk_code_exit((int)codes[i].code), codes[i].exit);
	}
	cr_expect_null(zk_code_find(4711));
	cr_expect_eq(zk_code_exit(4711), ZK_EXIT_BUG);
	cr_expect_eq(zk_code_exit(0), ZK_EXIT_OK);
	cr_expect_eq(zk_code_exit(ZK_E_AUTH), ZK_EXIT_NOPERM);
}

/* ux.md §7: 70, 78, 77, 74, 76, 69, 75, 3 in that order. */
Test(err, the_worse_exit_status)
{
	static const int order[] = { 70, 78, 77, 74, 76, 69, 75, 3, 65, 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(order); i++)
		for (size_t j = 0; j < ZK_ARRAY_LEN(order); j++)
			cr_expect_eq(zk_exit_worse(order[i], order[j]),
			             order[ZK_MIN(i, j)], "%d %d", order[i], order[j]);
	cr_expect_eq(zk_exit_worse(64, 65), 64, "the first of equals");
}

Test(err, assertion_stops, .signal = SIGABRT)
{
	ZK_ASSERT(1 + 1 == 3);
}
