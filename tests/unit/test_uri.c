/* Texts inside URLs.
 * Layer: tests. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "codec/uri.h"

#include "base/ban.h"

Test(uri, decode)
{
	static const struct {
		zk_str in;
		enum zk_uri_part part;
		const char *want; /* NULL = refused */
	} cases[] = {
		{ ZK_STR_INIT(""), ZK_URI_PATH, "" },
		{ ZK_STR_INIT("a%20b%2Fc"), ZK_URI_PATH, "a b/c" },
		{ ZK_STR_INIT("a+b"), ZK_URI_PATH, "a+b" },
		{ ZK_STR_INIT("a+b%2b"), ZK_URI_QUERY, "a b+" },
		{ ZK_STR_INIT("%c3%A9"), ZK_URI_PATH, "é" },
		{ ZK_STR_INIT("%2541"), ZK_URI_PATH, "%41" }, /* once, not twice */
		{ ZK_STR_INIT("%"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%4"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%4g"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%%41"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%00"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("a\0b"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%ff"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%c3"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("%c0%af"), ZK_URI_PATH, NULL },
		{ ZK_STR_INIT("0123456789012345678901"), ZK_URI_PATH, NULL }, /* cap 20 */
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;
		bool ok;

		zk_buf_init(&b, 24);
		zk_buf_lit(&b, "keep");
		ok = zk_uri_decode(cases[i].in, cases[i].part, &b);
		cr_expect_eq(ok, cases[i].want != NULL, "case %zu", i);
		cr_expect_not(b.failed);
		cr_expect_str_eq(zk_buf_cstring(&b) + 4,
		                 cases[i].want ? cases[i].want : "", "case %zu", i);
		zk_buf_done(&b);
	}
}

Test(uri, query_pairs)
{
	zk_str query = ZK_STR("a=1&&b&c=&=d&e=f=g&"), name, value;
	static const struct {
		const char *name, *value;
		bool has;
	} want[] = {
		{ "a", "1", true }, { "b", "", false },   { "c", "", true },
		{ "", "d", true },  { "e", "f=g", true },
	};
	size_t i = 0;
	bool has;

	while (zk_uri_query_next(&query, &name, &value, &has)) {
		cr_assert_lt(i, ZK_ARRAY_LEN(want));
		cr_expect(zk_str_eq(name, zk_str_of(want[i].name)), "pair %zu", i);
		cr_expect(zk_str_eq(value, zk_str_of(want[i].value)), "pair %zu", i);
		cr_expect_eq(has, want[i].has, "pair %zu", i);
		i++;
	}
	cr_expect_eq(i, ZK_ARRAY_LEN(want));
	query = ZK_STR_NULL;
	cr_expect_not(zk_uri_query_next(&query, &name, &value, NULL));
}

Test(uri, query_find)
{
	zk_str value = ZK_STR_NULL;

	cr_expect(zk_uri_query_find(ZK_STR("x=%&li%6dit=5&limit=6"), ZK_STR("limit"),
	                            &value));
	cr_expect(zk_str_eq(value, ZK_STR("5")));
	cr_expect_not(zk_uri_query_find(ZK_STR("a=b"), ZK_STR("limit"), &value));
	cr_expect_not(zk_uri_query_find(ZK_STR(""), ZK_STR(""), &value));
}

Test(uri, path_segments)
{
	static const struct {
		const char *path;
		const char *want; /* segments joined by '|' */
	} cases[] = {
		{ "/", "|" },
		{ "/a", "a|" },
		{ "/a/", "a||" },
		{ "//a", "|a|" },
		{ "/a/b%2Fc", "a|b%2Fc|" },
		{ "", "" },
		{ "a/b", "" },
		{ "*", "" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		zk_str path = zk_str_of(cases[i].path), segment;
		struct zk_buf b;

		zk_buf_init(&b, 100);
		while (zk_uri_path_next(&path, &segment)) {
			zk_buf_add(&b, segment);
			zk_buf_char(&b, '|');
		}
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].want, "'%s'",
		                 cases[i].path);
		zk_buf_done(&b);
	}
}

Test(uri, split)
{
	zk_str path, query;

	zk_uri_split(ZK_STR("/a?b=c?d"), &path, &query);
	cr_expect(zk_str_eq(path, ZK_STR("/a")) && zk_str_eq(query, ZK_STR("b=c?d")));
	zk_uri_split(ZK_STR("/a"), &path, &query);
	cr_expect(zk_str_eq(path, ZK_STR("/a")) && query.n == 0);
}
