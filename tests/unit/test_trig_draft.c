/* Unit tests of triggers/draft: from a line of input to an event. */
#include "triggers/draft.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"

#include "base/ban.h"

static struct zk_trig_record *draft(const struct zk_trig_draft_conf *conf,
                                    const char *line, struct zk_error *err)
{
	return zk_trig_draft(conf, zk_str_of(line), 7, 100, err);
}

static const struct {
	const char *line;
	const char *message; /* NULL = it is taken */
} lines[] = {
	{ "{\"type\":\"a\",\"payload\":1}", NULL },
	{ "{\"type\":\"a\",\"data\":[]}", NULL },
	{ " {\"type\":\"\\u0061\",\"payload\":{}} ", NULL },
	{ "{\"type\":\"a\",\"payload\":1,\"dedup_id\":null}", NULL },
	{ "{\"type\":\"a\",\"payload\":1,\"dedup_id\":\"\"}", NULL },
	{ "", "invalid JSON" },
	{ "{\"type\":\"a\",\"payload\":1", "invalid JSON" },
	{ "[]", "an event must be an object" },
	{ "{\"payload\":1}", "no 'type'" },
	{ "{\"type\":1,\"payload\":1}", "'type' is a number" },
	{ "{\"type\":\"\",\"payload\":1}", "'type' must have" },
	{ "{\"type\":\"a\\nb\",\"payload\":1}", "'type' must have" },
	{ "{\"type\":\"\\ud800\",\"payload\":1}", "'type'" },
	{ "{\"type\":\"a\"}", "no 'payload'" },
	{ "{\"type\":\"a\",\"payload\":null}", "must not be null" },
	{ "{\"type\":\"a\",\"payload\":null,\"data\":1}", "must not be null" },
	{ "{\"type\":\"a\",\"payload\":1,\"dedup_id\":5}", "'dedup_id' is a number" },
};

Test(draft, lines_are_checked_as_the_server_does)
{
	const struct zk_trig_draft_conf conf = { .make_key = true, .source = "f" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(lines); i++) {
		struct zk_error err = { 0 };
		struct zk_trig_record *r = draft(&conf, lines[i].line, &err);

		cr_expect_eq(r != NULL, lines[i].message == NULL, "%s: %s", lines[i].line,
		             err.msg);
		if (!r) {
			cr_expect(strstr(err.msg, lines[i].message) != NULL, "%s: %s",
			          lines[i].line, err.msg);
			cr_expect_str_eq(err.where, "f:7 (byte 100)");
		}
		free(r);
	}
}

Test(draft, bytes_are_spliced_and_never_written_anew)
{
	const struct zk_trig_draft_conf conf = { .make_key = true, .source = "f" };
	const char *line =
	        "{\"type\":\"a\", \"payload\":{\"n\":12345678901234567890,\"x\":1.10}}";
	struct zk_error err = { 0 };
	struct zk_trig_record *r = draft(&conf, line, &err);
	struct zk_buf b;
	struct zk_jval v;

	cr_assert(r);
	zk_buf_init(&b, 4096);
	cr_expect_eq(strncmp(r->text, line, strlen(line) - 1), 0, "%s", r->text);
	cr_expect(zk_jscan_get(zk_str_n(r->text, r->n), ZK_STR("dedup_id"), &v));
	cr_expect(v.raw.p == r->dedup.p && v.raw.n == r->dedup.n && v.raw.n == 66);
	zk_trig_draft_line(r, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), line);
	zk_buf_done(&b);
	free(r);
}

Test(draft, payloads_of_a_type)
{
	const struct zk_trig_draft_conf conf = { .type = "q\"x", .source = "f" };
	struct zk_error err = { 0 };
	struct zk_trig_record *r = draft(&conf, " [1, 2] ", &err);
	struct zk_buf b;

	cr_assert(r);
	zk_buf_init(&b, 4096);
	cr_expect_str_eq(r->text, "{\"type\":\"q\\\"x\",\"payload\":[1, 2]}");
	cr_expect_eq(r->dedup.n, 0);
	zk_trig_draft_line(r, &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "[1, 2]");
	zk_buf_done(&b);
	free(r);
	cr_expect_null(draft(&conf, "null", &err));
	cr_expect_eq(err.code, ZK_E_DATA);
}

/* The dedup_id of one draft; the caller frees. */
static char *key_of(const struct zk_trig_draft_conf *conf, const char *line,
                    uint64_t offset)
{
	struct zk_error err = { 0 };
	struct zk_trig_record *r = zk_trig_draft(conf, zk_str_of(line), 1, offset, &err);

	cr_assert(r, "%s", err.msg);
	char *key = zk_strndup(r->dedup.p, r->dedup.n);

	free(r);
	return key;
}

Test(draft, a_key_depends_on_all_its_parts)
{
	const struct zk_trig_draft_conf a = { .make_key = true,
		                              .salt = ZK_STR("p\0f"),
		                              .source = "f" };
	const struct zk_trig_draft_conf b = { .make_key = true,
		                              .salt = ZK_STR("q\0f"),
		                              .source = "f" };
	const struct zk_trig_draft_conf c = {
		.make_key = true, .type = "t", .salt = ZK_STR("p\0f"), .source = "f"
	};
	const char *line = "{\"type\":\"a\",\"payload\":1}";
	char *keys[] = {
		key_of(&a, line, 0),
		key_of(&a, line, 1),
		key_of(&b, line, 0),
		key_of(&c, line, 0),
		key_of(&a, "{\"type\":\"a\",\"payload\":2}", 0),
	};
	char *again = key_of(&a, line, 0);

	cr_expect_str_eq(keys[0], again, "the same line gives the same key");
	for (size_t i = 0; i < ZK_ARRAY_LEN(keys); i++)
		for (size_t k = i + 1; k < ZK_ARRAY_LEN(keys); k++)
			cr_expect_str_neq(keys[i], keys[k], "%zu and %zu", i, k);
	for (size_t i = 0; i < ZK_ARRAY_LEN(keys); i++)
		free(keys[i]);
	free(again);
}

Test(draft, a_dedup_id_of_the_line_stays)
{
	const struct zk_trig_draft_conf conf = { .make_key = true, .source = "f" };
	const char *line = "{\"dedup_id\":\"u-1\",\"type\":\"a\",\"payload\":1}";
	struct zk_error err = { 0 };
	struct zk_trig_record *r = draft(&conf, line, &err);

	cr_assert(r);
	cr_expect_str_eq(r->text, line);
	cr_expect_eq(r->dedup.n, 5);
	cr_expect_eq(strncmp(r->dedup.p, "\"u-1\"", 5), 0);
	free(r);
}
