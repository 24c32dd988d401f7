/* The JSON scanner and the functions over its slices.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jplan.h"
#include "codec/jscan.h"

#include "base/ban.h"

/* Scans a copy of exactly the right size, so that ASan sees a read behind the end. */
static int scan(zk_str text, unsigned depth, struct zk_jscan *js)
{
	char *copy = zk_alloc(text.n);
	int r;

	memcpy(copy, text.p, text.n);
	r = zk_jscan(zk_str_n(copy, text.n), depth, NULL, 0, js);
	free(copy);
	return r;
}

static const zk_str valid[] = {
	ZK_STR_INIT("null"),
	ZK_STR_INIT("true"),
	ZK_STR_INIT(" \t\r\nfalse \t\r\n"),
	ZK_STR_INIT("0"),
	ZK_STR_INIT("-0"),
	ZK_STR_INIT("-0.0e+00"),
	ZK_STR_INIT("1e400"),
	ZK_STR_INIT("1E-400"),
	ZK_STR_INIT("12345678901234567890123456789012345678901234567890"),
	ZK_STR_INIT("1.10"),
	ZK_STR_INIT("\"\""),
	ZK_STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uABCD\""),
	ZK_STR_INIT("\"\\u0000\""),
	ZK_STR_INIT("\"\\ud800\""),
	ZK_STR_INIT("\"\\udc00\\ud800\""),
	ZK_STR_INIT("\"\\ud83d\\ude00\""),
	ZK_STR_INIT("\"é€😀\x7f\xf4\x8f\xbf\xbf\""),
	ZK_STR_INIT(
	        "\"a long string with more than thirty-two bytes, é, and more of it\""),
	ZK_STR_INIT("[]"),
	ZK_STR_INIT("[ ]"),
	ZK_STR_INIT("{}"),
	ZK_STR_INIT("{ }"),
	ZK_STR_INIT("[1,[2,[3,{\"a\":[]}]],{}]"),
	ZK_STR_INIT("{\"a\":1,\"a\":2,\"\":3,\"\\u0061\":4}"),
	ZK_STR_INIT("{ \"a\" : [ 1 , 2 ] , \"b\" : { } }"),
};

static const struct {
	zk_str text;
	enum zk_code code;
	size_t offset;
} invalid[] = {
	{ ZK_STR_INIT(""), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("  "), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("nul"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("nulll"), ZK_E_JSON, 4 },
	{ ZK_STR_INIT("True"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("NaN"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("Infinity"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("-Infinity"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("01"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("-01"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("+1"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("-"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("1."), ZK_E_JSON, 2 },
	{ ZK_STR_INIT(".5"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("1e"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("1e+"), ZK_E_JSON, 3 },
	{ ZK_STR_INIT("0x10"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("1 2"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("\""), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("\"abc"), ZK_E_JSON, 4 },
	{ ZK_STR_INIT("\"\\"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("\"\\\""), ZK_E_JSON, 3 },
	{ ZK_STR_INIT("\"\\x41\""), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("\"\\u12\""), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("\"\\u12g4\""), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("\"\\U0041\""), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("\"\\u004"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("\"a\nb\""), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("\"a\tb\""), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("\"a\0b\""), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("'a'"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("\"\xff\""), ZK_E_UTF8, 1 },
	{ ZK_STR_INIT("\"é\xc3\""), ZK_E_UTF8, 3 },
	{ ZK_STR_INIT("\"\xed\xa0\x80\""), ZK_E_UTF8, 1 },
	{ ZK_STR_INIT("\"\xc0\x80\""), ZK_E_UTF8, 1 },
	{ ZK_STR_INIT("\"\xf4\x90\x80\x80\""), ZK_E_UTF8, 1 },
	{ ZK_STR_INIT("\"0123456789abcdef0123456789abcdef\xf0\x9f\x98"), ZK_E_UTF8, 33 },
	{ ZK_STR_INIT("["), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("]"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("[1"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("[1,"), ZK_E_JSON, 3 },
	{ ZK_STR_INIT("[1,]"), ZK_E_JSON, 3 },
	{ ZK_STR_INIT("[,1]"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("[1 2]"), ZK_E_JSON, 3 },
	{ ZK_STR_INIT("[1}"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("{"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("{\"a\""), ZK_E_JSON, 4 },
	{ ZK_STR_INIT("{\"a\":"), ZK_E_JSON, 5 },
	{ ZK_STR_INIT("{\"a\":}"), ZK_E_JSON, 5 },
	{ ZK_STR_INIT("{\"a\":1"), ZK_E_JSON, 6 },
	{ ZK_STR_INIT("{\"a\":1,"), ZK_E_JSON, 7 },
	{ ZK_STR_INIT("{\"a\":1,}"), ZK_E_JSON, 7 },
	{ ZK_STR_INIT("{\"a\":1]"), ZK_E_JSON, 6 },
	{ ZK_STR_INIT("{\"a\" 1}"), ZK_E_JSON, 5 },
	{ ZK_STR_INIT("{a:1}"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("{1:1}"), ZK_E_JSON, 1 },
	{ ZK_STR_INIT("{\"a\":1}}"), ZK_E_JSON, 7 },
	{ ZK_STR_INIT("[1]//x"), ZK_E_JSON, 3 },
	{ ZK_STR_INIT("\xEF\xBB\xBF{}"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("{}\0"), ZK_E_JSON, 2 },
	{ ZK_STR_INIT("\x0b{}"), ZK_E_JSON, 0 },
	{ ZK_STR_INIT("\xC2\xA0{}"), ZK_E_JSON, 0 },
};

Test(jscan, valid)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(valid); i++) {
		struct zk_jscan js;

		cr_expect_eq(scan(valid[i], 64, &js), 0, "case %zu: %s at %zu", i,
		             js.what, js.offset);
	}
}

Test(jscan, invalid)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(invalid); i++) {
		struct zk_jscan js;
		struct zk_error err;

		cr_expect_eq(scan(invalid[i].text, 64, &js), -(int)invalid[i].code,
		             "case %zu", i);
		cr_expect_eq(js.offset, invalid[i].offset, "case %zu: %zu", i, js.offset);
		cr_expect_not_null(js.what);
		cr_expect_eq(zk_jscan_fail(&js, &err), -(int)invalid[i].code);
	}
}

/* No beginning of a value that ends in a bracket or quote is a value. */
Test(jscan, prefixes)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(valid); i++) {
		zk_str t = zk_str_trim(valid[i]);
		char last = t.p[t.n - 1];
		struct zk_jscan js;

		if (last != '"' && last != ']' && last != '}')
			continue;
		for (size_t n = 0; n < t.n; n++)
			cr_expect_lt(scan(zk_str_n(t.p, n), 64, &js), 0,
			             "case %zu, %zu bytes", i, n);
	}
}

/* A string whose odd byte lies at each place of the vector loop. */
Test(jscan, long_strings)
{
	char text[80];

	for (size_t n = 2; n < sizeof(text); n++) {
		for (size_t at = 1; at < n - 1; at++) {
			struct zk_jscan js;

			memset(text, 'x', n);
			text[0] = text[n - 1] = '"';
			cr_assert_eq(scan(zk_str_n(text, n), 1, &js), 0);
			text[at] = '\x1f';
			cr_assert_lt(scan(zk_str_n(text, n), 1, &js), 0);
			cr_assert_eq(js.offset, at);
			text[at] = (char)0x80;
			cr_assert_eq(scan(zk_str_n(text, n), 1, &js), -ZK_E_UTF8);
			cr_assert_eq(js.offset, at);
			text[at] = '\\'; /* \x, or it swallows the closing quote */
			cr_assert_lt(scan(zk_str_n(text, n), 1, &js), 0);
		}
	}
}

Test(jscan, depth)
{
	static char text[2 * (ZK_JSCAN_DEPTH_MAX + 1)];
	struct zk_jscan js;

	for (unsigned depth = 1; depth <= ZK_JSCAN_DEPTH_MAX; depth += 31) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		cr_expect_eq(scan(zk_str_n(text, 2 * depth), depth, &js), 0);
		cr_expect_eq(js.depth, depth);
		cr_expect_eq(scan(zk_str_n(text, 2 * depth), depth - 1, &js),
		             -ZK_E_LIMIT);
		cr_expect_eq(js.offset, depth - 1);
	}
	cr_expect_eq(scan(ZK_STR("1"), 0, &js), 0);
	memset(text, '[', sizeof(text));
	cr_expect_eq(scan(zk_str_n(text, sizeof(text)), ZK_JSCAN_DEPTH_MAX, &js),
	             -ZK_E_LIMIT);
	/* what is open stays known across the words of the bit field */
	for (size_t i = 0; i < 400; i++)
		text[i] = i % 2 ? '[' : '{';
	cr_expect_eq(scan(ZK_STR("[{\"a\":[{\"a\":[{\"a\":{\"a\":[]}}]}]}]"), 64, &js),
	             0);
	cr_expect_eq(scan(ZK_STR("[{\"a\":[{\"a\":[{\"a\":{\"a\":[]}]}]}]}]"), 64, &js),
	             -ZK_E_JSON);
}

Test(jscan, flags_and_counts)
{
	static const struct {
		zk_str text;
		bool nul, lone, space;
		size_t members;
		unsigned depth;
	} cases[] = {
		{ ZK_STR_INIT(" {\"a\":[1,2,3],\"b\":{}} "), false, false, false, 2, 2 },
		{ ZK_STR_INIT("[1, 2,[3,4]]"), false, false, true, 3, 2 },
		{ ZK_STR_INIT("\"\\u0000 \""), true, false, false, 0, 0 },
		{ ZK_STR_INIT("{\"\\u0000\":\"\\ud800\"}"), true, true, false, 1, 1 },
		{ ZK_STR_INIT("\"\\ud83d\\ude00\""), false, false, false, 0, 0 },
		{ ZK_STR_INIT("\"\\ude00\\ud83d\""), false, true, false, 0, 0 },
		{ ZK_STR_INIT("\"\\ud83d\\ud83d\\ude00\""), false, true, false, 0, 0 },
		{ ZK_STR_INIT("\"\\ud83dx\""), false, true, false, 0, 0 },
		{ ZK_STR_INIT("\"\\\\u0000\""), false, false, false, 0, 0 },
		{ ZK_STR_INIT("\" \""), false, false, false, 0, 0 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_jscan js;

		cr_assert_eq(zk_jscan(cases[i].text, 64, NULL, 0, &js), 0);
		cr_expect_eq(js.has_nul, cases[i].nul, "case %zu", i);
		cr_expect_eq(js.has_lone, cases[i].lone, "case %zu", i);
		cr_expect_eq(js.top.has_space, cases[i].space, "case %zu", i);
		cr_expect_eq(js.members, cases[i].members, "case %zu", i);
		cr_expect_eq(js.depth, cases[i].depth, "case %zu", i);
		cr_expect(zk_str_eq(js.top.raw, zk_str_trim(cases[i].text)), "case %zu",
		          i);
	}
}

#define RAW(w, text) \
	cr_expect(zk_str_eq((w).val.raw, ZK_STR(text)), "%.*s", ZK_STR_ARG((w).val.raw))

Test(jscan, finds_members)
{
	struct zk_jwant w[] = { { .name = ZK_STR_INIT("type") },
		                { .name = ZK_STR_INIT("payload") },
		                { .name = ZK_STR_INIT("é\n") },
		                { .name = ZK_STR_INIT("none") },
		                { .name = ZK_STR_INIT("") } };
	zk_str text = ZK_STR("{ \"typ\":0,\"type\" : \"a\" ,\"payload\":{\"type\":[ 1 "
	                     "]},\"\\u00e9\\n\":true,"
	                     "\"\":null,\"types\":0,\"t\\u0079pe\":-1.5 }");
	struct zk_jscan js;

	w[3].count = 99; /* is set afresh */
	w[3].val.type = ZK_J_NULL;
	cr_assert_eq(zk_jscan(text, 64, w, ZK_ARRAY_LEN(w), &js), 0);
	RAW(w[0], "-1.5");
	cr_expect(w[0].val.type == ZK_J_NUMBER && w[0].count == 2 && !w[0].val.has_space);
	RAW(w[1], "{\"type\":[ 1 ]}");
	cr_expect(w[1].val.type == ZK_J_OBJECT && w[1].count == 1 && w[1].val.has_space);
	RAW(w[2], "true");
	cr_expect_eq(w[2].val.type, ZK_J_BOOL);
	cr_expect(w[3].val.type == ZK_J_NONE && w[3].count == 0 && w[3].val.raw.n == 0);
	RAW(w[4], "null");
	cr_expect_eq(w[4].val.type, ZK_J_NULL);
	cr_expect_eq(js.members, 7);
	cr_expect_eq(js.top.type, ZK_J_OBJECT);
}

Test(jscan, members_of_the_top_object_only)
{
	struct zk_jwant w[] = { { .name = ZK_STR_INIT("a") } };
	struct zk_jscan js;

	cr_assert_eq(zk_jscan(ZK_STR("[{\"a\":1}]"), 64, w, 1, &js), 0);
	cr_expect_eq(w[0].count, 0);
	cr_assert_eq(zk_jscan(ZK_STR("{\"b\":{\"a\":1},\"c\":[\"a\",\"a\"],\"d\":\"a\"}"),
	                      64, w, 1, &js),
	             0);
	cr_expect_eq(w[0].count, 0);
	cr_assert_eq(zk_jscan(ZK_STR("[\"a\",\"a\"]"), 64, w, 1, &js), 0);
	cr_expect_eq(w[0].count, 0);
	cr_assert_eq(zk_jscan(ZK_STR("\"a\""), 64, w, 1, &js), 0);
	cr_expect_eq(w[0].count, 0);
	/* a container as value of a wanted name, then one inside it */
	cr_assert_eq(zk_jscan(ZK_STR("{\"a\":[{\"a\":1}],\"b\":[]}"), 64, w, 1, &js), 0);
	cr_expect_eq(w[0].count, 1);
	RAW(w[0], "[{\"a\":1}]");
	cr_assert_eq(zk_jscan(ZK_STR("{\"a\":{},\"a\":[]}"), 64, w, 1, &js), 0);
	cr_expect_eq(w[0].count, 2);
	RAW(w[0], "[]");
}

enum { P_A, P_KIND, P_A_B, P_A_KIND, P_A_B_C, P_LONG, P_N };

static const struct zk_jplan_want planned[P_N] = {
	[P_A] = { ZK_STR_INIT("a"), 0 },
	[P_KIND] = { ZK_STR_INIT("kind"), 0 },
	[P_A_B] = { ZK_STR_INIT("b"), P_A + 1 },
	[P_A_KIND] = { ZK_STR_INIT("kind"), P_A + 1 },
	[P_A_B_C] = { ZK_STR_INIT("c"), P_A_B + 1 },
	[P_LONG] = { ZK_STR_INIT("a name of more than sixteen"), P_A_B + 1 },
};

Test(jplan, finds_members_of_nested_objects)
{
	static const struct {
		zk_str text, want[P_N];
	} cases[] = {
		{ ZK_STR_INIT("{}"), { { 0 } } },
		{ ZK_STR_INIT("[{\"a\":1}]"), { { 0 } } },
		{ ZK_STR_INIT("{\"a\":{},\"kind\":\"x\"}"),
		  { [P_A] = ZK_STR_INIT("{}"), [P_KIND] = ZK_STR_INIT("\"x\"") } },
		/* Each at its own level only. */
		{ ZK_STR_INIT(
		          "{\"x\":{\"kind\":1,\"a\":2},\"a\":{\"c\":3,\"b\":{\"c\":[4],"
		          "\"b\":5,\"a name of more than sixteen\":6}}}"),
		  { [P_A] = ZK_STR_INIT("{\"c\":3,\"b\":{\"c\":[4],\"b\":5,"
		                        "\"a name of more than sixteen\":6}}"),
		    [P_A_B] = ZK_STR_INIT("{\"c\":[4],\"b\":5,"
		                          "\"a name of more than sixteen\":6}"),
		    [P_A_B_C] = ZK_STR_INIT("[4]"),
		    [P_LONG] = ZK_STR_INIT("6") } },
		/* An object in an array is not the member. */
		{ ZK_STR_INIT("{\"a\":[{\"kind\":1}]}"),
		  { [P_A] = ZK_STR_INIT("[{\"kind\":1}]") } },
		/* The last one counts, with nothing of the earlier ones. */
		{ ZK_STR_INIT("{\"a\":{\"b\":{\"c\":1},\"kind\":2},\"a\":{\"b\":{}}}"),
		  { [P_A] = ZK_STR_INIT("{\"b\":{}}"), [P_A_B] = ZK_STR_INIT("{}") } },
		{ ZK_STR_INIT("{\"a\":{\"b\":{\"c\":1},\"b\":2}}"),
		  { [P_A] = ZK_STR_INIT("{\"b\":{\"c\":1},\"b\":2}"),
		    [P_A_B] = ZK_STR_INIT("2") } },
		{ ZK_STR_INIT("{\"a\":{\"kind\":1},\"a\":null}"),
		  { [P_A] = ZK_STR_INIT("null") } },
		/* Escapes and space. */
		{ ZK_STR_INIT(
		          " { \"\\u0061\" : { \"k\\u0069nd\" : true } , \"kind\" : 0 } "),
		  { [P_A] = ZK_STR_INIT("{ \"k\\u0069nd\" : true }"),
		    [P_A_KIND] = ZK_STR_INIT("true"),
		    [P_KIND] = ZK_STR_INIT("0") } },
	};
	struct zk_jplan plan;

	zk_jplan_init(&plan, planned, P_N);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_jval v[P_N];
		struct zk_jscan js;

		cr_assert_eq(zk_jscan_plan(cases[i].text, 64, &plan, v, &js), 0);
		for (size_t k = 0; k < P_N; k++)
			cr_expect(zk_str_eq(v[k].raw, cases[i].want[k]), "%zu %zu: %.*s",
			          i, k, ZK_STR_ARG(v[k].raw));
	}
}

Test(jplan, checks_as_the_scanner_does)
{
	struct zk_jplan plan;
	struct zk_jval v[P_N];
	struct zk_jscan js, flat;
	static const char *const texts[] = {
		"{\"a\":{\"b\":{}",
		"{\"a\":{\"b\":{,}}}",
		"{\"a\":{}}x",
		"{\"a\" {}}",
		"{\"a\":{\"b\":1,}}",
		"{\"a\":{1}}",
		"{\"a\":{\"b\":}}",
		"{\"a\":{\"b\":{]",
		"{\"a\":{\"b\":{\"c\":[[[[[[[[]]]]]]]]}}}",
	};

	zk_jplan_init(&plan, planned, P_N);
	for (size_t i = 0; i < ZK_ARRAY_LEN(texts); i++) {
		zk_str text = zk_str_of(texts[i]);
		int r = zk_jscan(text, 8, NULL, 0, &flat);

		cr_expect_lt(r, 0);
		cr_expect_eq(zk_jscan_plan(text, 8, &plan, v, &js), r, "%s", texts[i]);
		cr_expect_eq(js.offset, flat.offset, "%s", texts[i]);
		cr_expect_str_eq(js.what, flat.what);
	}
	cr_assert_eq(zk_jscan_plan(ZK_STR("{\"a\":{\"b\":{}}}"), 3, &plan, v, &js), 0);
	cr_expect(js.depth == 3 && js.members == 1 && !js.has_escape);
	cr_expect_eq(zk_jscan_plan(ZK_STR("{\"a\":{\"b\":{}}}"), 2, &plan, v, &js),
	             -ZK_E_LIMIT);
}

Test(jscan, bom)
{
	cr_expect(zk_str_eq(zk_jscan_skip_bom(ZK_STR("\xEF\xBB\xBF{}")), ZK_STR("{}")));
	cr_expect(zk_str_eq(zk_jscan_skip_bom(ZK_STR("{}")), ZK_STR("{}")));
	cr_expect_eq(zk_jscan_skip_bom(ZK_STR("\xEF\xBB")).n, 2);
	cr_expect_eq(zk_jscan_skip_bom(ZK_STR_NULL).n, 0);
}

Test(jslice, walk_members)
{
	zk_str text = ZK_STR("{ \"a\" : 1 , \"b\\\"\":[1,{\"x\":\"]}\"}],\"c\":\"\\\\\" "
	                     ",\"d\":{} }"),
	       key;
	struct zk_jiter it;
	struct zk_jval val;
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_jiter_init(&it, text);
	while (zk_jiter_member(&it, &key, &val))
		zk_buf_printf(&b, "%.*s=%.*s/%s;", ZK_STR_ARG(key), ZK_STR_ARG(val.raw),
		              zk_jtype_name(val.type));
	cr_expect_str_eq(zk_buf_cstring(&b),
	                 "\"a\"=1/number;\"b\\\"\"=[1,{\"x\":\"]}\"}]/array;"
	                 "\"c\"=\"\\\\\"/string;\"d\"={}/object;");
	zk_buf_done(&b);
}

Test(jslice, walk_elements)
{
	static const struct {
		zk_str in;
		const char *want;
	} cases[] = {
		{ ZK_STR_INIT("[]"), "" },
		{ ZK_STR_INIT("[ ]"), "" },
		{ ZK_STR_INIT("[ 1 , \"a,b\" ,null,true,[2,[3]],{\"a\":[4]} , -1e5]"),
		  "1;\"a,b\";null;true;[2,[3]];{\"a\":[4]};-1e5;" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_jiter it;
		struct zk_jval val;
		struct zk_buf b;

		zk_buf_init(&b, 1000);
		zk_jiter_init(&it, cases[i].in);
		while (zk_jiter_element(&it, &val))
			zk_buf_printf(&b, "%.*s;", ZK_STR_ARG(val.raw));
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].want);
		zk_buf_done(&b);
	}
}

/* Text that was never checked: the functions end, and read nothing outside (ASan). */
Test(jslice, unchecked_text_is_safe)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(invalid); i++) {
		zk_str t = invalid[i].text, key;
		char *copy = zk_alloc(t.n);
		struct zk_jiter it;
		struct zk_jval val;
		struct zk_error err;
		struct zk_buf b;
		size_t n = 0;

		memcpy(copy, t.p, t.n);
		t.p = copy;
		zk_buf_init(&b, 1000);
		zk_jiter_init(&it, t);
		while (zk_jiter_member(&it, &key, &val))
			n++;
		zk_jiter_init(&it, t);
		while (zk_jiter_element(&it, &val))
			n++;
		cr_expect_leq(n, t.n);
		(void)zk_jscan_get(t, ZK_STR("a.0.b"), &val);
		zk_jscan_compact(t, &b);
		cr_expect_leq(b.n, t.n);
		zk_buf_clear(&b);
		n = zk_jstr_decode(t, ZK_JLONE_REPLACE, &b, &err) == 0;
		(void)zk_jstr_eq(t, ZK_STR("a"));
		zk_buf_done(&b);
		free(copy);
	}
}

Test(jslice, get)
{
	zk_str text = ZK_STR(" {\"commit\":{\"record\":{\"langs\":[\"en\",\"de\"],"
	                     "\"langs2\":1},\"record2\":0},"
	                     "\"a\":{\"b\":1},\"a\":{\"c\":2},\"\":{\"\":3},\"10\":4} ");
	static const struct {
		zk_str path;
		const char *want;
	} cases[] = {
		{ ZK_STR_INIT("commit.record.langs.1"), "\"de\"" },
		{ ZK_STR_INIT("commit.record.langs.2"), NULL },
		{ ZK_STR_INIT("commit.record.langs.x"), NULL },
		{ ZK_STR_INIT("commit.record.langs.-1"), NULL },
		{ ZK_STR_INIT("commit.record.langs.1.0"), NULL },
		{ ZK_STR_INIT("commit.none"), NULL },
		{ ZK_STR_INIT("a.c"), "2" },
		{ ZK_STR_INIT("a.b"), NULL }, /* the last `a` counts */
		{ ZK_STR_INIT(".."), NULL },
		{ ZK_STR_INIT("10"), "4" },
		{ ZK_STR_INIT("commit.record2"), "0" },
	};
	struct zk_jval val;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		bool found = zk_jscan_get(text, cases[i].path, &val);

		cr_expect_eq(found, cases[i].want != NULL, "case %zu", i);
		if (found && cases[i].want)
			cr_expect(zk_str_eq(val.raw, zk_str_of(cases[i].want)),
			          "case %zu", i);
	}
	cr_expect(zk_jscan_get(text, ZK_STR(""), &val));
	cr_expect(zk_str_eq(val.raw, zk_str_trim(text)));
	cr_expect_not(zk_jscan_get(ZK_STR(""), ZK_STR("a"), &val));
	cr_expect_not(zk_jscan_get(ZK_STR_NULL, ZK_STR(""), &val));
}

Test(jslice, compact)
{
	static const struct {
		zk_str in, want;
	} cases[] = {
		{ ZK_STR_INIT(" { \"a b\" : [ 1.10 , 1e400 , \" \\\" \" ] }\r\n\t"),
		  ZK_STR_INIT("{\"a b\":[1.10,1e400,\" \\\" \"]}") },
		{ ZK_STR_INIT("[\"\\\\\" , 1]"), ZK_STR_INIT("[\"\\\\\",1]") },
		{ ZK_STR_INIT("{\"a\":1,\"a\":2}"), ZK_STR_INIT("{\"a\":1,\"a\":2}") },
		{ ZK_STR_INIT("\"\\ud800 é\""), ZK_STR_INIT("\"\\ud800 é\"") },
		{ ZK_STR_INIT(""), ZK_STR_INIT("") },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 1000);
		zk_jscan_compact(cases[i].in, &b);
		cr_expect(zk_str_eq(zk_buf_str(&b), cases[i].want), "case %zu: %.*s", i,
		          ZK_STR_ARG(zk_buf_str(&b)));
		zk_buf_done(&b);
	}
}

Test(jstr, decode)
{
	static const struct {
		zk_str raw;
		int r;
		zk_str want, replaced;
	} cases[] = {
		{ ZK_STR_INIT("\"\""), 0, ZK_STR_INIT(""), ZK_STR_INIT("") },
		{ ZK_STR_INIT("\"plain é\""), 0, ZK_STR_INIT("plain é"),
		  ZK_STR_INIT("plain é") },
		{ ZK_STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), 0,
		  ZK_STR_INIT("\"\\/\b\f\n\r\t"), ZK_STR_INIT("\"\\/\b\f\n\r\t") },
		{ ZK_STR_INIT("\"\\u0041\\u00e9\\u20AC\\uffff\""), 0,
		  ZK_STR_INIT("Aé€\xef\xbf\xbf"), ZK_STR_INIT("Aé€\xef\xbf\xbf") },
		{ ZK_STR_INIT("\"\\ud83d\\ude00\\ud800\\udc00\\udbff\\udfff\""), 0,
		  ZK_STR_INIT("😀\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
		  ZK_STR_INIT("😀\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
		{ ZK_STR_INIT("\"a\\u0000b\""), 0, ZK_STR_INIT("a\0b"),
		  ZK_STR_INIT("a\0b") },
		{ ZK_STR_INIT("\"x\\ud800y\""), -ZK_E_DATA, ZK_STR_INIT("x"),
		  ZK_STR_INIT("x\xEF\xBF\xBDy") },
		{ ZK_STR_INIT("\"\\udc00\""), -ZK_E_DATA, ZK_STR_INIT(""),
		  ZK_STR_INIT("\xEF\xBF\xBD") },
		{ ZK_STR_INIT("\"\\ud800\\ud83d\\ude00\""), -ZK_E_DATA, ZK_STR_INIT(""),
		  ZK_STR_INIT("\xEF\xBF\xBD😀") },
		{ ZK_STR_INIT("\"\\ud800\\u0041\""), -ZK_E_DATA, ZK_STR_INIT(""),
		  ZK_STR_INIT("\xEF\xBF\xBD"
		              "A") },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		struct zk_buf b;

		zk_buf_init(&b, 100);
		cr_expect_eq(zk_jstr_decode(cases[i].raw, ZK_JLONE_ERROR, &b, &err),
		             cases[i].r, "case %zu", i);
		cr_expect(zk_str_eq(zk_buf_str(&b), cases[i].want), "case %zu", i);
		zk_buf_clear(&b);
		cr_expect_eq(zk_jstr_decode(cases[i].raw, ZK_JLONE_REPLACE, &b, &err), 0,
		             "case %zu", i);
		cr_expect(zk_str_eq(zk_buf_str(&b), cases[i].replaced), "case %zu", i);
		cr_expect_eq(zk_jstr_eq(cases[i].raw, cases[i].replaced), cases[i].r == 0,
		             "case %zu", i);
		zk_buf_done(&b);
	}
}

Test(jstr, not_a_string)
{
	static const char *const bad[] = { "",    "\"",  "a",       "1",
		                           "\"a", "a\"", "\"\\x\"", "\"\\u12\"" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++) {
		struct zk_error err;
		struct zk_buf b;

		zk_buf_init(&b, 100);
		cr_expect_eq(
		        zk_jstr_decode(zk_str_of(bad[i]), ZK_JLONE_REPLACE, &b, &err),
		        -ZK_E_DATA, "'%s'", bad[i]);
		cr_expect_not(zk_jstr_eq(zk_str_of(bad[i]), ZK_STR("a")));
		zk_buf_done(&b);
	}
}

Test(jstr, eq_and_plain)
{
	zk_str in = ZK_STR_NULL;

	cr_expect(zk_jstr_eq(ZK_STR("\"type\""), ZK_STR("type")));
	cr_expect(zk_jstr_eq(ZK_STR("\"t\\u0079pe\""), ZK_STR("type")));
	cr_expect_not(zk_jstr_eq(ZK_STR("\"t\\u0079p\""), ZK_STR("type")));
	cr_expect_not(zk_jstr_eq(ZK_STR("\"t\\u0079pes\""), ZK_STR("type")));
	cr_expect_not(zk_jstr_eq(ZK_STR("\"t\\u0079pe\\u0000\""), ZK_STR("type")));
	cr_expect(zk_jstr_plain(ZK_STR("\"type\""), &in) &&
	          zk_str_eq(in, ZK_STR("type")));
	cr_expect_not(zk_jstr_plain(ZK_STR("\"t\\n\""), &in));
	cr_expect_not(zk_jstr_plain(ZK_STR("12"), &in));
}

Test(jnum, exact)
{
	uint64_t u = 7;
	int64_t i = 7;
	double d = 7;

	cr_expect(zk_jnum_u64(ZK_STR("18446744073709551615"), &u) && u == UINT64_MAX);
	cr_expect_not(zk_jnum_u64(ZK_STR("18446744073709551616"), &u));
	cr_expect_not(zk_jnum_u64(ZK_STR("-1"), &u));
	cr_expect_not(zk_jnum_u64(ZK_STR("1.0"), &u));
	cr_expect_not(zk_jnum_u64(ZK_STR("1e2"), &u));
	cr_expect(zk_jnum_i64(ZK_STR("-9223372036854775808"), &i) && i == INT64_MIN);
	cr_expect(zk_jnum_i64(ZK_STR("-0"), &i) && i == 0);
	cr_expect_not(zk_jnum_i64(ZK_STR("9223372036854775808"), &i));
	cr_expect_not(zk_jnum_i64(ZK_STR("\"1\""), &i));
	cr_expect(zk_jnum_double(ZK_STR("5e-1"), &d) && d == 0.5);
	cr_expect_not(zk_jnum_double(ZK_STR("1e400"), &d));
	cr_expect_not(zk_jnum_double(ZK_STR("null"), &d));
	cr_expect_str_eq(zk_jtype_name(ZK_J_NONE), "nothing");
}
