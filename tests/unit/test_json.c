/* Trees of small JSON documents.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/json.h"

#include "base/ban.h"

static struct zk_json *parse(const char *text)
{
	struct zk_json *j = NULL;
	struct zk_error err;

	cr_assert_eq(zk_json_parse(zk_str_of(text), 100000, &j, &err), 0, "%s", err.msg);
	return j;
}

Test(json, refuses)
{
	char deep[200];
	struct {
		zk_str in;
		int r;
		const char *msg;
	} cases[] = {
		{ ZK_STR_INIT(""), -ZK_E_JSON,
		  "invalid JSON at byte 0: expected a value" },
		{ ZK_STR_INIT("{\"a\":1,}"), -ZK_E_JSON,
		  "invalid JSON at byte 7: expected a name in double quotes" },
		{ ZK_STR_INIT("[1] x"), -ZK_E_JSON,
		  "invalid JSON at byte 4: unexpected text after the value" },
		{ ZK_STR_INIT("\"\xff\""), -ZK_E_UTF8,
		  "the text is not UTF-8 at byte 1" },
		{ ZK_STR_INIT("\"\\u0000\""), -ZK_E_JSON,
		  "the JSON document holds \\u0000" },
		{ ZK_STR_INIT("\"\\ud800\""), -ZK_E_JSON,
		  "the JSON document holds half of a surrogate pair" },
		{ ZK_STR_INIT(
		          "{\"a\":\"0123456789012345678901234567890123456789\"}       "),
		  -ZK_E_LIMIT, "the JSON document is larger than 50 bytes" },
		{ { deep, 130 }, -ZK_E_LIMIT, NULL },
	};

	memset(deep, '[', 65);
	memset(deep + 65, ']', 65);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_json *j = NULL;
		struct zk_error err;

		cr_expect_eq(
		        zk_json_parse(cases[i].in, cases[i].msg ? 50 : 1000, &j, &err),
		        cases[i].r, "case %zu", i);
		if (cases[i].msg)
			cr_expect_str_eq(err.msg, cases[i].msg);
		cr_expect_null(j);
	}
}

Test(json, prints_what_it_read)
{
	static const char *const texts[] = {
		"{\"a\":{\"b\":[1,2.5,\"x\",{},[],null,true,false]},\"n\":-2}",
		"[-0.25,12345678901]",
		"[]",
		"{}",
		"\"x\\\"y\"",
		"9007199254740991",
		"5000000000000001",
		"[[[]],[{}]]",
		"true",
		"null",
		"{\"\":\"\"}",
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(texts); i++) {
		ZK_CLEANUP(zk_json_freep)
		struct zk_json *j = parse(texts[i]);
		struct zk_buf b;

		zk_buf_init(&b, 1000);
		zk_json_print(j, false, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), texts[i]);
		zk_buf_done(&b);
	}
}

Test(json, prints_the_deepest_document)
{
	char deep[2 * ZK_JSON_DEPTH + 1];
	struct zk_json *j;
	struct zk_buf b;

	memset(deep, '[', ZK_JSON_DEPTH);
	memset(deep + ZK_JSON_DEPTH, ']', ZK_JSON_DEPTH);
	deep[2 * ZK_JSON_DEPTH] = '\0';
	j = parse(deep);
	zk_buf_init(&b, 1000);
	zk_json_print(j, false, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), deep);
	zk_buf_done(&b);
	zk_json_free(j);
	zk_json_free(NULL);
}

Test(json, pretty)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = parse("{\"a\":[1,{\"b\":null}],\"c\":{},\"d\":[]}");
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_json_print(j, true, &b);
	cr_expect_str_eq(zk_buf_cstring(&b),
	                 "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n"
	                 "  \"c\": {},\n  \"d\": []\n}");
	zk_buf_done(&b);
}

Test(json, paths)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = parse("\xEF\xBB\xBF{\"a\":{\"b\":[10,{\"c\":\"x\"}]},\"d\":1,"
	                          "\"d\":2,\"D\":3,\"0\":4}");
	int64_t v = 0;
	zk_str s;
	struct zk_error err;

	cr_expect_eq(zk_json_get_str(j, "a.b.1.c", &s, &err), 0);
	cr_expect(zk_str_eq(s, ZK_STR("x")));
	cr_expect_eq(zk_json_get_i64(j, "a.b.0", &v, &err), 0);
	cr_expect_eq(v, 10);
	cr_expect_eq(zk_json_get_i64(j, "d", &v, &err), 0);
	cr_expect_eq(v, 2, "the last of duplicates, and case counts");
	cr_expect_eq(zk_json_get_i64(j, "0", &v, &err), 0);
	cr_expect_eq(v, 4);
	cr_expect_eq(zk_json_at(j, ""), j);
	cr_expect_null(zk_json_at(j, "a.b.2"));
	cr_expect_null(zk_json_at(j, "a.b.x"));
	cr_expect_null(zk_json_at(j, "a."));
	cr_expect_null(zk_json_at(j, "a.b.0.x"));
	cr_expect_null(zk_json_at(NULL, "a"));
	cr_expect_eq(zk_json_count(zk_json_at(j, "a.b")), 2);
	cr_expect_eq(zk_json_count(zk_json_at(j, "d")), 0);
	cr_expect_eq(zk_json_count(NULL), 0);
	cr_expect(zk_str_eq(zk_json_key(zk_json_first(j)), ZK_STR("a")));
	cr_expect_eq(zk_json_key(zk_json_first(zk_json_at(j, "a.b"))).n, 0);
}

Test(json, getters_name_the_path)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j =
	        parse("{\"s\":\"x\",\"n\":1.5,\"neg\":-1,\"big\":9007199254740993,"
	              "\"huge\":1e400,"
	              "\"t\":true,\"f\":false,\"z\":null,\"a\":[1],\"o\":{}}");
	const struct zk_json *node;
	struct zk_error err;
	uint64_t u = 7;
	int64_t i = 7;
	double d = 7;
	bool b = false;
	zk_str s = ZK_STR("7");

#define FAILS(call, text)                                \
	do {                                             \
		cr_expect_eq((call), -ZK_E_DATA, #call); \
		cr_expect_str_eq(err.msg, (text));       \
	} while (0)
	FAILS(zk_json_get_str(j, "none", &s, &err), "'none' is missing");
	FAILS(zk_json_get_str(j, "n", &s, &err), "'n' must be a string, not a number");
	FAILS(zk_json_get_str(j, "z", &s, &err), "'z' must be a string, not null");
	FAILS(zk_json_get_str(j, "a", &s, &err), "'a' must be a string, not an array");
	FAILS(zk_json_get_str(j, "", &s, &err),
	      "the document must be a string, not an object");
	FAILS(zk_json_get_i64(j, "s", &i, &err), "'s' must be a number, not a string");
	FAILS(zk_json_get_i64(j, "n", &i, &err), "'n' must be a whole number below 2^53");
	FAILS(zk_json_get_i64(j, "big", &i, &err),
	      "'big' must be a whole number below 2^53");
	FAILS(zk_json_get_u64(j, "huge", &u, &err),
	      "'huge' must be a whole number below 2^53");
	FAILS(zk_json_get_u64(j, "neg", &u, &err), "'neg' must not be negative");
	FAILS(zk_json_get_u64(j, "n", &u, &err), "'n' must be a whole number below 2^53");
	FAILS(zk_json_get_double(j, "huge", &d, &err), "the number 'huge' is too large");
	FAILS(zk_json_get_double(j, "t", &d, &err),
	      "'t' must be a number, not a boolean");
	FAILS(zk_json_get_bool(j, "n", &b, &err),
	      "'n' must be true or false, not a number");
	FAILS(zk_json_get_node(j, "s", ZK_J_ARRAY, &node, &err),
	      "'s' must be an array, not a string");
	FAILS(zk_json_get_node(j, "a", ZK_J_OBJECT, &node, &err),
	      "'a' must be an object, not an array");
	FAILS(zk_json_opt_str(j, "n", &s, &err), "'n' must be a string, not a number");
#undef FAILS
	cr_expect(u == 7 && i == 7 && d == 7 && !b && s.n == 1, "untouched on failure");
}

Test(json, getters)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = parse("{\"n\":-5,\"d\":2.5,\"t\":true,\"z\":null,\"a\":[1],"
	                          "\"m\":9007199254740991}");
	const struct zk_json *node = NULL;
	struct zk_error err;
	uint64_t u = 7;
	int64_t i = 7;
	double d = 7;
	bool b = false;
	zk_str s = ZK_STR("def");

	cr_expect(zk_json_get_i64(j, "n", &i, &err) == 0 && i == -5);
	cr_expect(zk_json_get_u64(j, "m", &u, &err) == 0 && u == 9007199254740991u);
	cr_expect(zk_json_get_double(j, "d", &d, &err) == 0 && d == 2.5);
	cr_expect(zk_json_get_bool(j, "t", &b, &err) == 0 && b);
	cr_expect(zk_json_get_node(j, "a", ZK_J_ARRAY, &node, &err) == 0 &&
	          zk_json_count(node) == 1);
	u = 7, i = 7;
	cr_expect(zk_json_opt_str(j, "none", &s, &err) == 0 &&
	          zk_str_eq(s, ZK_STR("def")));
	cr_expect(zk_json_opt_i64(j, "z", &i, &err) == 0 && i == 7);
	cr_expect(zk_json_opt_u64(j, "none", &u, &err) == 0 && u == 7);
	b = false;
	cr_expect(zk_json_opt_bool(j, "z", &b, &err) == 0 && !b);
	cr_expect(zk_json_opt_bool(j, "t", &b, &err) == 0 && b);
	cr_expect(zk_json_opt_i64(j, "n", &i, &err) == 0 && i == -5);
	cr_expect(zk_json_opt_u64(j, "m", &u, &err) == 0 && u == 9007199254740991u);
}
