/* What the answers of a Zeal server mean (specs/zeal-zip.md §2.1), over the table of
 * tests/data/zeal/errors/bodies.json. Layer: tests. */
#include "zip/fault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/json.h"

#include "base/ban.h"

#define NOW_US 1767225600000000 /* 2026-01-01T00:00:00Z */

static char *read_data(const char *name, size_t *n)
{
	const char *src = getenv("TEST_SRC");
	char *path = zk_asprintf("%s/tests/data/zeal/%s", src ? src : ".", name);
	FILE *f = fopen(path, "re");
	char *text = zk_alloc(1u << 20);

	cr_assert_not_null(f, "%s", path);
	*n = fread(text, 1, (1u << 20) - 1, f);
	(void)fclose(f);
	free(path);
	return text;
}

static zk_str text_at(const struct zk_json *j, const char *path)
{
	struct zk_error err;
	zk_str s = ZK_STR_NULL;

	cr_assert_eq(zk_json_opt_str(j, path, &s, &err), 0);
	return s;
}

static bool may_retry(enum zk_zip_kind kind)
{
	return kind == ZK_ZIP_RATE_LIMIT || kind == ZK_ZIP_SERVER;
}

Test(zip_fault, every_row_of_the_table)
{
	struct zk_json *all;
	struct zk_error err;
	size_t n, rows = 0;
	char *text = read_data("errors/bodies.json", &n);

	cr_assert_eq(zk_json_parse(zk_str_n(text, n), 1u << 20, &all, &err), 0);
	ZK_JSON_EACH(row, all)
	{
		struct zk_zip_answer a = {
			.body = text_at(row, "body"),
			.content_type = text_at(row, "content_type"),
			.retry_after = text_at(row, "headers.Retry-After"),
			.rate_reset = text_at(row, "headers.X-RateLimit-Reset"),
			.rate_left = text_at(row, "headers.X-RateLimit-Remaining"),
			.wall_us = NOW_US,
		};
		struct zk_zip_fault f;
		int64_t status = 0, wait_s = 0;
		const struct zk_json *retry = zk_json_at(row, "retry");
		bool repeat = false;

		cr_assert_eq(zk_json_get_i64(row, "status", &status, &err), 0);
		cr_assert_eq(zk_json_opt_i64(row, "wait_s", &wait_s, &err), 0);
		cr_assert_eq(zk_json_opt_bool(row, "path_blind", &a.has_param, &err), 0);
		a.status = (int)status;
		zk_zip_fault_read(&a, &f);
		cr_expect(zk_str_eq(f.code, text_at(row, "code")), "row %zu: %.*s", rows,
		          ZK_STR_ARG(f.code));
		cr_expect_eq(f.kind == ZK_ZIP_UNFIT, a.has_param, "row %zu", rows);
		cr_expect_eq(f.wait_ms, wait_s * 1000, "row %zu: %lld", rows,
		             (long long)f.wait_ms);
		cr_expect_eq(zk_zip_pace_ms(&a), wait_s * 1000, "row %zu", rows);
		if (zk_json_type(retry) == ZK_J_BOOL)
			cr_assert_eq(zk_json_get_bool(row, "retry", &repeat, &err), 0);
		else
			repeat = true; /* only where the request is repeatable */
		cr_expect_eq(may_retry(f.kind), repeat, "row %zu: kind %s", rows,
		             zk_zip_kind_name(f.kind));
		rows++;
	}
	cr_expect_eq(rows, 16);
	zk_json_free(all);
	free(text);
}

Test(zip_fault, each_of_the_three_hints)
{
	struct zk_zip_answer a = { .status = 429, .wall_us = NOW_US };
	struct zk_zip_fault f;

	a.retry_after = ZK_STR("7");
	zk_zip_fault_read(&a, &f);
	cr_expect_eq(f.wait_ms, 7000);
	a.retry_after = ZK_STR("Thu, 01 Jan 2026 00:00:09 GMT");
	zk_zip_fault_read(&a, &f);
	cr_expect_eq(f.wait_ms, 9000);
	a.retry_after = ZK_STR_NULL;
	a.rate_reset = ZK_STR("1767225602500");
	zk_zip_fault_read(&a, &f);
	cr_expect_eq(f.wait_ms, 2500);
	a.rate_reset = ZK_STR_NULL;
	a.body = ZK_STR("{\"error\":{\"code\":\"RATE_LIMIT_EXCEEDED\",\"message\":\"m\","
	                "\"details\":{\"resetTime\":\"2026-01-01T00:00:03.000Z\"}}}");
	zk_zip_fault_read(&a, &f);
	cr_expect_eq(f.wait_ms, 3000);
	a.body = ZK_STR_NULL;
	a.retry_after = ZK_STR("soon");
	zk_zip_fault_read(&a, &f);
	cr_expect_eq(f.wait_ms, 0);
}

Test(zip_fault, a_good_status_needs_a_good_body)
{
	static const struct {
		zk_str body;
		enum zk_zip_kind kind;
	} cases[] = {
		{ ZK_STR_INIT("{\"a\":1}"), ZK_ZIP_OK },
		{ ZK_STR_INIT(" {} "), ZK_ZIP_OK },
		{ ZK_STR_INIT(""), ZK_ZIP_PROTOCOL },
		{ ZK_STR_INIT("{\"a\":1"), ZK_ZIP_PROTOCOL },
		{ ZK_STR_INIT("[]"), ZK_ZIP_PROTOCOL },
		{ ZK_STR_INIT("<html>"), ZK_ZIP_PROTOCOL },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_zip_answer a = { .status = 200, .body = cases[i].body };
		struct zk_zip_fault f;

		zk_zip_fault_read(&a, &f);
		cr_expect_eq(f.kind, cases[i].kind, "case %zu", i);
	}
}

Test(zip_fault, issues)
{
	zk_str details =
	        ZK_STR("[{\"code\":\"invalid_type\",\"expected\":\"string\","
	               "\"received\":\"undefined\",\"path\":[\"templates\",0,"
	               "\"ports\",12,\"po\\u0073ition\"],\"message\":\"Required\"},"
	               "17,{\"path\":[]}]");
	struct zk_zip_issue issue;
	struct zk_jiter it;
	struct zk_buf b;
	uint64_t index;

	zk_buf_init(&b, 4096);
	zk_zip_issues_init(&it, details);
	cr_assert(zk_zip_issues_next(&it, &issue));
	zk_zip_issue_path(issue.path, 0, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "templates[0].ports[12].position");
	zk_buf_clear(&b);
	zk_zip_issue_path(issue.path, 2, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "ports[12].position");
	cr_expect(zk_zip_issue_index(issue.path, 3, &index));
	cr_expect_eq(index, 12);
	cr_expect_not(zk_zip_issue_index(issue.path, 4, &index));
	cr_expect_not(zk_zip_issue_index(issue.path, 9, &index));
	cr_expect(zk_str_eq(issue.received, ZK_STR("undefined")));
	cr_assert(zk_zip_issues_next(&it, &issue));
	zk_buf_clear(&b);
	zk_zip_issue_path(issue.path, 0, &b);
	cr_expect_eq(b.n, 0);
	cr_expect_not(zk_zip_issues_next(&it, &issue));
	zk_zip_issues_init(&it, ZK_STR("{\"limit\":1}"));
	cr_expect_not(zk_zip_issues_next(&it, &issue));
	zk_buf_done(&b);
}
