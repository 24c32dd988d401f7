/* Documents that users write: languages, places, values, limits (specs/zeal-zip.md §4.5, §5.7).
 * Layer: tests. */
#include "zip/doc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"

#include "base/ban.h"

static struct zk_conf_file *parse(const char *name, const char *text)
{
	struct zk_conf_file *f = NULL;
	struct zk_error err = { 0 };

	cr_assert_eq(zk_zip_doc_parse(name, zk_str_of(text), 100000, &f, &err), 0,
	             "%s: %s", text, err.msg);
	return f;
}

static void expect_json(const char *name, const char *text, const char *want)
{
	struct zk_conf_file *f = parse(name, text);
	struct zk_buf b;

	zk_buf_init(&b, 65536);
	for (const struct zk_node *root = f->root; root; root = root->next) {
		if (b.n)
			zk_buf_char(&b, '|');
		zk_zip_json(root, &b);
	}
	cr_expect_str_eq(zk_buf_cstring(&b), want, "%s", text);
	zk_buf_done(&b);
	zk_conf_file_free(f);
}

Test(zip_doc, languages_are_told_apart)
{
	expect_json("a.json", " {\"a\" : [1, 2.50, \"x\\u00e9\"] } ",
	            "{\"a\":[1,2.50,\"x\xc3\xa9\"]}");
	expect_json("a.ndjson", "{\"a\":1}\n\n{\"a\":2}\r\n", "{\"a\":1}|{\"a\":2}");
	expect_json("stdin", "{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}|{\"a\":2}");
	expect_json("stdin", "[\n1,\n2]\n", "[1,2]");
	expect_json("stdin", "a: 1\n---\na: [b, {c: d}]\n",
	            "{\"a\":1}|{\"a\":[\"b\",{\"c\":\"d\"}]}");
	expect_json("a.yml", "{\"a\": {}, \"b\": []}", "{\"a\":{},\"b\":[]}");
	expect_json("a.json", "\xef\xbb\xbf[true,false,null]", "[true,false,null]");
}

Test(zip_doc, scalars_of_yaml)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{ "~", "null" },
		{ "Null", "null" },
		{ "TRUE", "true" },
		{ "yes", "\"yes\"" },
		{ "'1'", "\"1\"" },
		{ "0x1F", "31" },
		{ "0o17", "15" },
		{ "+5", "5" },
		{ "-007", "-7" },
		{ ".5", "0.5" },
		{ "5.", "5" },
		{ "1e3", "1e3" },
		{ "1.", "1" },
		{ "1.2.3", "\"1.2.3\"" },
		{ ".inf", "null" },
		{ "9007199254740993", "9007199254740993" },
		{ "2026-01-01", "\"2026-01-01\"" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 4096);
		zk_buf_printf(&b, "a: %s\n", cases[i].text);
		struct zk_conf_file *f = parse("x.yaml", zk_buf_cstring(&b));

		zk_buf_clear(&b);
		zk_zip_json(zk_zip_get(f->root, "a"), &b);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].json, "%s", cases[i].text);
		zk_buf_done(&b);
		zk_conf_file_free(f);
	}
}

Test(zip_doc, numbers_that_the_server_cannot_hold)
{
	struct zk_conf_file *f =
	        parse("a.json", "[1e400, 9007199254740993, 9007199254740991,"
	                        " 1.5, -9007199254740992]");
	const struct zk_node *n = f->root->first;
	double v;

	cr_expect(zk_zip_number(n, &v) && isinf(v));
	n = n->next;
	cr_expect(zk_zip_is_inexact(n));
	n = n->next;
	cr_expect_not(zk_zip_is_inexact(n));
	n = n->next;
	cr_expect_not(zk_zip_is_inexact(n));
	cr_expect(zk_zip_is_inexact(n->next));
	zk_conf_file_free(f);
}

Test(zip_doc, places)
{
	struct zk_conf_file *f =
	        parse("a.json", "{\n  \"\xc3\xa9\": {\"k\": \"v\"},\n  \"b\": [\n 7]}");
	const struct zk_node *e = f->root->first, *k = e->first, *b = e->next;

	cr_expect_eq(e->key_line, 2);
	cr_expect_eq(e->key_col, 3);
	cr_expect_eq(e->key_span, 3);
	cr_expect_eq(e->col, 8);
	cr_expect_eq(k->col, 14);
	cr_expect_eq(b->first->line, 4);
	cr_expect_eq(b->first->col, 2);
	zk_conf_file_free(f);
}

Test(zip_doc, a_member_that_stands_twice_is_marked)
{
	static const char *const names[] = { "a.json", "a.yaml" };

	for (size_t i = 0; i < 2; i++) {
		struct zk_conf_file *f =
		        parse(names[i], "{\"a\": 1, \"b\": 2, \"a\": 3}");
		const struct zk_node *m = f->root->first;
		const struct zk_node *last = zk_zip_get(f->root, "a");

		cr_expect_not(m->again);
		cr_expect(m->next->next->again, "%s", names[i]);
		cr_expect_eq(last, m->next->next);
		zk_conf_file_free(f);
	}
}

Test(zip_doc, aliases)
{
	struct zk_error err = { 0 };
	struct zk_conf_file *f;

	expect_json("a.yaml", "a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\n",
	            "{\"a\":{\"k\":[1,2]},\"b\":{\"k\":[1,2]},\"c\":[{\"k\":[1,2]},{"
	            "\"k\":[1,2]}]}");
	cr_expect_eq(zk_zip_doc_parse("a.yaml", ZK_STR("a: &x [*x]\n"), 1000, &f, &err),
	             -ZK_E_YAML);
	cr_expect_eq(zk_zip_doc_parse("a.yaml", ZK_STR("a: *nope\n"), 1000, &f, &err),
	             -ZK_E_YAML);
	cr_expect_eq(zk_zip_doc_parse("a.yaml", ZK_STR("a: &x 1\n---\nb: *x\n"), 1000, &f,
	                              &err),
	             -ZK_E_YAML, "anchors end with their document");
}

Test(zip_doc, bombs_fail_before_they_grow)
{
	struct zk_error err = { 0 };
	struct zk_conf_file *f;
	struct zk_buf b;

	zk_buf_init(&b, 65536);
	zk_buf_lit(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 40; i++) {
		zk_buf_printf(&b, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			zk_buf_printf(&b, "%s*a%d", k ? "," : "", i - 1);
		zk_buf_lit(&b, "]\n");
	}
	cr_expect_eq(zk_zip_doc_parse("a.yaml", zk_buf_str(&b), 100000, &f, &err),
	             -ZK_E_LIMIT);
	/* Each level one deeper than the one before. */
	zk_buf_clear(&b);
	zk_buf_lit(&b, "a0: &a0 [x]\n");
	for (int i = 1; i < 100; i++)
		zk_buf_printf(&b, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	cr_expect_eq(zk_zip_doc_parse("a.yaml", zk_buf_str(&b), 100000, &f, &err),
	             -ZK_E_LIMIT);
	zk_buf_clear(&b);
	for (int i = 0; i < 65; i++)
		zk_buf_char(&b, '[');
	for (int i = 0; i < 65; i++)
		zk_buf_char(&b, ']');
	cr_expect_eq(zk_zip_doc_parse("a.json", zk_buf_str(&b), 100000, &f, &err),
	             -ZK_E_LIMIT);
	cr_expect_eq(zk_zip_doc_parse("a.yaml", zk_buf_str(&b), 100000, &f, &err),
	             -ZK_E_LIMIT);
	cr_expect_eq(zk_zip_doc_parse("a.json", ZK_STR("[1,2,3]"), 3, &f, &err),
	             -ZK_E_LIMIT);
	cr_expect_eq(zk_zip_doc_parse("a.yaml", ZK_STR("[1,2,3]"), 3, &f, &err),
	             -ZK_E_LIMIT);
	zk_buf_done(&b);
}

Test(zip_doc, sameness)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "{\"a\":1,\"b\":[true,null]}", "{\"b\":[true,null],\"a\":1.0}", true },
		{ "[1,2]", "[2,1]", false },
		{ "\"1\"", "1", false },
		{ "{\"a\":1}", "{\"a\":1,\"b\":1}", false },
		{ "{}", "[]", false },
		{ "\"\\u0041\"", "\"A\"", true },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_conf_file *a = parse("a.json", cases[i].a);
		struct zk_conf_file *b = parse("b.json", cases[i].b);

		cr_expect_eq(zk_zip_same(a->root, b->root), cases[i].same, "case %zu", i);
		cr_expect_eq(zk_zip_same(b->root, a->root), cases[i].same, "case %zu", i);
		zk_conf_file_free(a);
		zk_conf_file_free(b);
	}
}
