/* procwire/template and answer: what of a request reaches a command, and what comes back.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "codec/msgpack.h"
#include "procwire/answer.h"
#include "procwire/template.h"

#include "base/ban.h"

static struct zk_buf msgpack_of(const char *json)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, 1 << 16);
	cr_assert_eq(zk_mp_from_json(zk_str_of(json), &b, &err), 0, "%s", err.msg);
	return b;
}

Test(pw_template, words)
{
	static const struct {
		const char *text;
		size_t n;
		const char *last;
	} cases[] = {
		{ "cat", 1, "cat" },           { "  a  b\tc ", 3, "c" },
		{ "a 'b  c'", 2, "b  c" },     { "a \"b 'c\"", 2, "b 'c" },
		{ "a b\\ c", 2, "b c" },       { "a ''", 2, "" },
		{ "a \"x\\\"y\"", 2, "x\"y" }, { "a'b'c", 1, "abc" },
		{ "a '\\'", 2, "\\" },
	};
	struct zk_error err = { 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_pw_words w = { 0 };

		cr_expect_eq(zk_pw_words_split(zk_str_of(cases[i].text), &w, &err), 0);
		cr_assert_eq(w.n, cases[i].n, "case %zu", i);
		cr_expect_str_eq(w.v[w.n - 1], cases[i].last, "case %zu", i);
		cr_expect_null(w.v[w.n]);
		zk_pw_words_done(&w);
	}
	struct zk_pw_words w = { 0 };

	cr_expect_eq(zk_pw_words_split(ZK_STR("a 'b"), &w, &err), -ZK_E_PW_TABLE);
	zk_pw_words_done(&w);
}

Test(pw_template, fields)
{
	static const struct {
		const char *word, *want; /* NULL = refused */
		enum zk_pw_quote quote;
	} cases[] = {
		{ "plain", "plain", ZK_PW_QUOTE_NONE },
		{ "{s}", "a b/c", ZK_PW_QUOTE_NONE },
		{ "x={n},{f}", "x=-5,1.5", ZK_PW_QUOTE_NONE },
		{ "{t}{nil}", "true", ZK_PW_QUOTE_NONE },
		{ "{o}", "{\"k\":[1]}", ZK_PW_QUOTE_NONE },
		{ "{{s}", "{s}", ZK_PW_QUOTE_NONE },
		{ "{ s}", "{ s}", ZK_PW_QUOTE_NONE },
		{ "{}", "{}", ZK_PW_QUOTE_NONE },
		{ "{s", "{s", ZK_PW_QUOTE_NONE },
		{ "/{s}", "/a%20b%2Fc", ZK_PW_QUOTE_URL },
		{ "{missing}", NULL, ZK_PW_QUOTE_NONE },
		{ "{nul}", NULL, ZK_PW_QUOTE_NONE },
	};
	struct zk_buf request =
	        msgpack_of("{\"s\":\"a b/c\",\"n\":-5,\"f\":1.5,\"t\":true,"
	                   "\"nil\":null,\"o\":{\"k\":[1]},"
	                   "\"nul\":\"a\\u0000b\"}");

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_buf b;
		int r;

		zk_buf_init(&b, 1000);
		r = zk_pw_template_fill(cases[i].word, zk_buf_str(&request),
		                        cases[i].quote, &b, &err);
		cr_expect_eq(r, cases[i].want ? 0 : -ZK_E_DATA, "case %zu", i);
		if (cases[i].want)
			cr_expect_str_eq(zk_buf_cstring(&b), cases[i].want, "case %zu",
			                 i);
		zk_buf_done(&b);
	}
	zk_buf_done(&request);
}

Test(pw_answer, outputs)
{
	static const struct {
		enum zk_pw_out out;
		const char *text, *json; /* NULL = refused */
	} cases[] = {
		{ ZK_PW_OUT_TEXT, "a\nb\n", "\"a\\nb\"" },
		{ ZK_PW_OUT_TEXT, "", "\"\"" },
		{ ZK_PW_OUT_RAW, "a\n", "\"YQo=\"" },
		{ ZK_PW_OUT_JSON, " {\"a\":1}\n", "{\"a\":1}" },
		{ ZK_PW_OUT_JSON, "nope", NULL },
		{ ZK_PW_OUT_LINES, "a\n\nb", "[\"a\",\"\",\"b\"]" },
		{ ZK_PW_OUT_LINES, "", "[]" },
		{ ZK_PW_OUT_NDJSON, "1\n\n[2]\n", "[1,[2]]" },
		{ ZK_PW_OUT_NDJSON, "1\nx\n", NULL },
		{ ZK_PW_OUT_FULL, "o",
		  "{\"exit\":3,\"signal\":0,\"stdout\":\"o\",\"stderr\":\"e\"}" },
	};
	struct zk_pw_method m = { .kind = ZK_PW_RESULT };
	struct zk_pw_exit how = { .status = 3, .err = ZK_STR_INIT("e") };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_buf b, j;
		int r;

		zk_buf_init(&b, 1 << 16);
		zk_buf_init(&j, 1 << 16);
		r = zk_pw_out_whole(cases[i].out, &m, zk_str_of(cases[i].text), &how, &b,
		                    &err);
		cr_expect_eq(r < 0, cases[i].json == NULL, "case %zu: %s", i, err.msg);
		if (r == 0) {
			cr_expect_eq(zk_mp_check(zk_buf_str(&b), &err), 0, "case %zu", i);
			cr_expect_eq(zk_mp_to_json(zk_buf_str(&b), &j, &err), 0);
			cr_expect_str_eq(zk_buf_cstring(&j), cases[i].json, "case %zu",
			                 i);
		}
		zk_buf_done(&b);
		zk_buf_done(&j);
	}
}
