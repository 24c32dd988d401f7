/* Fuzz target: what a server answers, tokens, patterns: any bytes.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "zip/fault.h"
#include "zip/template.h"
#include "zip/token.h"
#include "zip/workflow.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_answer(zk_str body, int status)
{
	struct zk_zip_answer a = { .status = status,
		                   .body = body,
		                   .content_type = ZK_STR("application/json"),
		                   .retry_after = body,
		                   .rate_reset = body,
		                   .rate_left = ZK_STR("0"),
		                   .has_param = true };
	struct zk_zip_fault f;
	struct zk_zip_issue issue;
	struct zk_jiter it;
	struct zk_buf b;

	zk_buf_init(&b, 1u << 20);
	zk_zip_fault_read(&a, &f);
	ZK_ASSERT((f.kind == ZK_ZIP_OK) <= (status == 200));
	ZK_ASSERT(f.wait_ms >= 0 && zk_zip_pace_ms(&a) >= 0);
	zk_zip_issues_init(&it, f.details);
	while (zk_zip_issues_next(&it, &issue))
		zk_zip_issue_path(issue.path, 1, &b);
	zk_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int codes[] = { 200, 400, 404, 429, 500, 503 };
	zk_str text = zk_str_n((const char *)data, size);
	struct zk_zip_wend end;
	const char *why;
	struct zk_buf b;

	for (size_t i = 0; i < ZK_ARRAY_LEN(codes); i++)
		read_answer(text, codes[i]);
	ZK_ASSERT(zk_zip_pattern_ok(text, &why) == (why == NULL));
	zk_buf_init(&b, 1u << 20);
	if (zk_zip_token_payload(text, &b))
		ZK_ASSERT(b.n > 0);
	ZK_ASSERT(zk_zip_token_verify(text, ZK_STR("secret"), 1) != ZK_ZIP_TOKEN_VALID);
	zk_buf_done(&b);
	if (zk_zip_end_parse(text, &end))
		ZK_ASSERT(end.node.n && end.port.n);
	return 0;
}
