/* Slices, UTF-8, globs, edit distance.
 * Layer: tests. */
#include <criterion/criterion.h>

#include "base/str.h"

#include "base/ban.h"

#define S ZK_STR

Test(str, comparing)
{
	cr_expect(zk_str_eq(S(""), ZK_STR_NULL));
	cr_expect(zk_str_eq(S("a\0b"), S("a\0b")));
	cr_expect_not(zk_str_eq(S("a\0b"), S("a\0c")));
	cr_expect(zk_str_eq_nocase(S("aZ[`"), S("Az[`")));
	cr_expect_not(zk_str_eq_nocase(S("[{"), S("{[")));
	cr_expect_not(zk_str_eq_nocase(S("ab"), S("abc")));
	cr_expect_eq(zk_str_cmp(S("a"), S("b")), -1);
	cr_expect_eq(zk_str_cmp(S("b"), S("a")), 1);
	cr_expect_eq(zk_str_cmp(S("a"), S("ab")), -1);
	cr_expect_eq(zk_str_cmp(S("ab"), S("a")), 1);
	cr_expect_eq(zk_str_cmp(S("\x80"), S("a")), 1, "bytes are unsigned");
	cr_expect_eq(zk_str_cmp(ZK_STR_NULL, S("")), 0);
	cr_expect(zk_str_starts(S("abc"), S("ab")) && zk_str_starts(S("abc"), S("")));
	cr_expect_not(zk_str_starts(S("a"), S("ab")));
	cr_expect(zk_str_ends(S("abc"), S("bc")) && zk_str_ends(ZK_STR_NULL, S("")));
	cr_expect_not(zk_str_ends(S("abc"), S("ab")));
	cr_expect_not(zk_str_ends(S("c"), S("bc")));
	cr_expect(zk_str_starts_nocase(S("Bearer x"), S("bearer ")));
	cr_expect_not(zk_str_starts_nocase(S("Bear"), S("bearer ")));
}

Test(str, cutting)
{
	zk_str head, rest = zk_str_cut(S("a=b=c"), '=', &head);

	cr_expect(zk_str_eq(head, S("a")) && zk_str_eq(rest, S("b=c")));
	rest = zk_str_cut(S("a="), '=', &head);
	cr_expect(zk_str_eq(head, S("a")) && rest.n == 0 && rest.p != NULL);
	rest = zk_str_cut(S("abc"), '=', &head);
	cr_expect(zk_str_eq(head, S("abc")) && rest.n == 0 && rest.p == NULL);
	rest = zk_str_cut(ZK_STR_NULL, '=', &head);
	cr_expect(head.n == 0 && rest.p == NULL);
	cr_expect(zk_str_eq(zk_str_trim(S(" \t\r\nx y\n ")), S("x y")));
	cr_expect(zk_str_eq(zk_str_trim(S(" \n ")), S("")));
	cr_expect(zk_str_eq(zk_str_trim(ZK_STR_NULL), S("")));
	cr_expect(zk_str_eq(zk_str_from(S("abc"), 1), S("bc")));
	cr_expect_eq(zk_str_from(S("abc"), 9).n, 0);
	cr_expect_eq(zk_str_from(ZK_STR_NULL, 1).n, 0);
}

Test(str, finding)
{
	cr_expect_eq(zk_str_find_char(S("abcb"), 'b'), 1);
	cr_expect_eq(zk_str_find_char(S("abc"), 'x'), -1);
	cr_expect_eq(zk_str_find_char(ZK_STR_NULL, 'x'), -1);
	cr_expect_eq(zk_str_find(S("abcabd"), S("abd")), 3);
	cr_expect_eq(zk_str_find(S("abc"), S("abcd")), -1);
	cr_expect_eq(zk_str_find(S("abc"), S("")), 0);
	cr_expect_eq(zk_str_find(ZK_STR_NULL, S("a")), -1);
}

Test(str, glob)
{
	static const struct {
		zk_str pattern, text;
		bool match;
	} cases[] = {
		{ ZK_STR_INIT(""), ZK_STR_INIT(""), true },
		{ ZK_STR_INIT(""), ZK_STR_INIT("a"), false },
		{ ZK_STR_INIT("*"), ZK_STR_INIT(""), true },
		{ ZK_STR_INIT("*"), ZK_STR_INIT("abc"), true },
		{ ZK_STR_INIT("a*c"), ZK_STR_INIT("abbbc"), true },
		{ ZK_STR_INIT("a*c"), ZK_STR_INIT("abbbd"), false },
		{ ZK_STR_INIT("a?c"), ZK_STR_INIT("abc"), true },
		{ ZK_STR_INIT("a?c"), ZK_STR_INIT("ac"), false },
		{ ZK_STR_INIT("*a*b*c*"), ZK_STR_INIT("xxaxxbxxcxx"), true },
		{ ZK_STR_INIT("*a*b*c"), ZK_STR_INIT("xxaxxbxxcxx"), false },
		{ ZK_STR_INIT("user.*"), ZK_STR_INIT("user.created"), true },
		{ ZK_STR_INIT("user.*"), ZK_STR_INIT("User.created"), false },
		{ ZK_STR_INIT("**"), ZK_STR_INIT("x"), true },
		{ ZK_STR_INIT("?"), ZK_STR_INIT(""), false },
		{ ZK_STR_INIT("[a]"), ZK_STR_INIT("a"), false },
		{ ZK_STR_INIT("ab"), ZK_STR_INIT("a"), false },
		{ ZK_STR_INIT("*ab"), ZK_STR_INIT("aaab"), true },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_str_glob(cases[i].pattern, cases[i].text), cases[i].match,
		             "case %zu", i);
}

Test(str, glob_has_no_exponential_case)
{
	char text[5000];

	memset(text, 'a', sizeof(text));
	cr_expect_not(zk_str_glob(S("a*a*a*a*a*a*a*a*a*a*a*a*b"),
	                          zk_str_n(text, sizeof(text))));
}

Test(utf8, valid_and_not)
{
	static const struct {
		zk_str s;
		bool ok;
		size_t len;
	} cases[] = {
		{ ZK_STR_INIT(""), true, 0 },
		{ ZK_STR_INIT("plain ascii of some length"), true, 26 },
		{ ZK_STR_INIT("a\0b"), true, 3 },
		{ ZK_STR_INIT("é\xdf\xbf"), true, 2 },
		{ ZK_STR_INIT("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"), true,
		  4 },
		{ ZK_STR_INIT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true, 2 },
		{ ZK_STR_INIT("12345678é12345678"), true, 17 },
		{ ZK_STR_INIT("\x80"), false, 0 },
		{ ZK_STR_INIT("\xc0\x80"), false, 0 },
		{ ZK_STR_INIT("\xc1\xbf"), false, 0 },
		{ ZK_STR_INIT("\xc3"), false, 0 },
		{ ZK_STR_INIT("\xc3("), false, 0 },
		{ ZK_STR_INIT("\xe0\x9f\xbf"), false, 0 },
		{ ZK_STR_INIT("\xed\xa0\x80"), false, 0 },
		{ ZK_STR_INIT("\xe2\x82"), false, 0 },
		{ ZK_STR_INIT("\xe2\x82("), false, 0 },
		{ ZK_STR_INIT("\xf0\x8f\xbf\xbf"), false, 0 },
		{ ZK_STR_INIT("\xf4\x90\x80\x80"), false, 0 },
		{ ZK_STR_INIT("\xf0\x9f\x98"), false, 0 },
		{ ZK_STR_INIT("\xf0\x9f\x98("), false, 0 },
		{ ZK_STR_INIT("\xf5\x80\x80\x80"), false, 0 },
		{ ZK_STR_INIT("12345678\xff"), false, 0 },
		{ ZK_STR_INIT("\xff"), false, 0 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		cr_expect_eq(zk_utf8_valid(cases[i].s), cases[i].ok, "case %zu", i);
		if (cases[i].ok)
			cr_expect_eq(zk_utf8_len(cases[i].s), cases[i].len, "case %zu",
			             i);
	}
	cr_expect(zk_utf8_valid(ZK_STR_NULL));
	cr_expect_eq(zk_utf8_seq("", 0), 0);
}

Test(str, distance)
{
	static const struct {
		zk_str a, b;
		unsigned max, want;
	} cases[] = {
		{ ZK_STR_INIT(""), ZK_STR_INIT(""), 2, 0 },
		{ ZK_STR_INIT("limit"), ZK_STR_INIT("limit"), 2, 0 },
		{ ZK_STR_INIT("limit"), ZK_STR_INIT("limt"), 2, 1 },
		{ ZK_STR_INIT("limit"), ZK_STR_INIT("limitt"), 2, 1 },
		{ ZK_STR_INIT("limit"), ZK_STR_INIT("lomit"), 2, 1 },
		{ ZK_STR_INIT("limit"), ZK_STR_INIT("ilmit"), 2, 1 },
		{ ZK_STR_INIT("limit"), ZK_STR_INIT("ilmti"), 2, 2 },
		{ ZK_STR_INIT("ca"), ZK_STR_INIT("abc"), 5,
		  3 }, /* not 2: no edit twice */
		{ ZK_STR_INIT("kitten"), ZK_STR_INIT("sitting"), 5, 3 },
		{ ZK_STR_INIT("kitten"), ZK_STR_INIT("sitting"), 2, 3 },
		{ ZK_STR_INIT("abc"), ZK_STR_INIT("xyz"), 1, 2 },
		{ ZK_STR_INIT(""), ZK_STR_INIT("ab"), 2, 2 },
		{ ZK_STR_INIT("ab"), ZK_STR_INIT(""), 0, 1 },
	};
	char long_text[200] = { 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		cr_expect_eq(zk_str_distance(cases[i].a, cases[i].b, cases[i].max),
		             cases[i].want, "case %zu", i);
		cr_expect_eq(zk_str_distance(cases[i].b, cases[i].a, cases[i].max),
		             cases[i].want, "case %zu turned round", i);
	}
	cr_expect_eq(
	        zk_str_distance(zk_str_n(long_text, 200), zk_str_n(long_text, 199), 3),
	        4);
	cr_expect_eq(
	        zk_str_distance(zk_str_n(long_text, 200), zk_str_n(long_text, 200), 3),
	        0);
}
