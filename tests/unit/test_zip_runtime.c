/* Runtime events as the server wants them, out of the forms people have them in
 * (specs/zeal-zip.md §7.4). Layer: tests. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "zip/runtime_event.h"

#include "base/ban.h"

#define NOW INT64_C(1767225600123456)
#define AT  "\"timestamp\":\"2026-01-01T00:00:00.123456Z\""

static const struct {
	const char *in, *out;
} good[] = {
	{ "{\"type\":\"node.warning\"}",
	  "{\"type\":\"node.warning\",\"workflowId\":\"w\"," AT "}" },
	/* Members stand in both places, wherever they came from; the others stay. */
	{ "{\"type\":\"node.completed\",\"nodeId\":\"n\",\"duration\":17,\"x\":1}",
	  "{\"type\":\"node.completed\",\"workflowId\":\"w\"," AT
	  ",\"nodeId\":\"n\",\"duration\":17,\"data\":{\"duration\":17}}" },
	{ "{\"type\":\"node.completed\",\"data\":{\"outputSize\":9007199254740993,\"y\":["
	  "1]}}",
	  "{\"type\":\"node.completed\",\"workflowId\":\"w\"," AT
	  ",\"outputSize\":9007199254740993,\"data\":{\"outputSize\":9007199254740993,"
	  "\"y\":[1]}}" },
	/* An error is a text at the root and an object in data. */
	{ "{\"type\":\"node.failed\",\"error\":\"boom\"}",
	  "{\"type\":\"node.failed\",\"workflowId\":\"w\"," AT
	  ",\"error\":\"boom\",\"data\":{\"error\":{\"message\":\"boom\"}}}" },
	{ "{\"type\":\"execution.failed\",\"error\":{\"message\":\"m\",\"code\":1}}",
	  "{\"type\":\"execution.failed\",\"workflowId\":\"w\"," AT
	  ",\"error\":\"m\",\"data\":{\"error\":{\"message\":\"m\",\"code\":1}}}" },
	{ "{\"type\":\"node.failed\",\"error\":{\"code\":1}}",
	  "{\"type\":\"node.failed\",\"workflowId\":\"w\"," AT
	  ",\"data\":{\"error\":{\"code\":1}}}" },
	/* Old names, times as numbers, an id of its own. */
	{ "{\"type\":\"workflow.execution.start\",\"workflowId\":\"o\",\"timestamp\":1}",
	  "{\"type\":\"execution.started\",\"workflowId\":\"o\","
	  "\"timestamp\":\"1970-01-01T00:00:00.001000Z\"}" },
	{ "{\"type\":\"node.execution.success\",\"timestamp\":\"2026-01-01T00:00:00Z\"}",
	  "{\"type\":\"node.completed\",\"workflowId\":\"w\","
	  "\"timestamp\":\"2026-01-01T00:00:00Z\"}" },
	/* Unknown values are left out, never null. */
	{ "{\"type\":\"node.executing\",\"nodeId\":null,\"data\":null,\"graphId\":\"g\"}",
	  "{\"type\":\"node.executing\",\"workflowId\":\"w\"," AT ",\"graphId\":\"g\"}" },
	{ "{\"type\":\"node.warning\",\"data\":[1,2]}",
	  "{\"type\":\"node.warning\",\"workflowId\":\"w\"," AT ",\"data\":[1,2]}" },
	{ "{\"type\":\"stream.closed\",\"streamId\":7,\"port\":\"p\",\"totalBytes\":3}",
	  "{\"type\":\"stream.closed\",\"workflowId\":\"w\"," AT
	  ",\"streamId\":7,\"port\":\"p\",\"totalBytes\":3}" },
};

Test(zip_runtime, accepted)
{
	struct zk_buf b;
	struct zk_error err = { 0 };

	zk_buf_init(&b, 10000);
	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		zk_buf_clear(&b);
		cr_expect_eq(zk_zip_runtime_event(zk_str_of(good[i].in), ZK_STR("w"), NOW,
		                                  &b, &err),
		             0, "%s: %s", good[i].in, err.msg);
		cr_expect_str_eq(zk_buf_cstring(&b), good[i].out);
	}
	zk_buf_done(&b);
}

static const char *const bad[] = {
	"",
	"[]",
	"{}",
	"{\"type\":1}",
	"{\"type\":\"node.exploded\"}",
	"{\"type\":\"node.failed\"",
	"{\"type\":\"node.failed\",\"timestamp\":\"yesterday\"}",
	"{\"type\":\"node.failed\",\"timestamp\":1e99}",
	"{\"type\":\"node.failed\",\"timestamp\":-1}",
	"{\"type\":\"node.failed\",\"timestamp\":true}",
	"{\"type\":\"node.failed\",\"error\":\"a\\u0000b\"}",
};

Test(zip_runtime, rejected)
{
	struct zk_buf b;
	struct zk_error err;

	zk_buf_init(&b, 10000);
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect_lt(zk_zip_runtime_event(zk_str_of(bad[i]), ZK_STR("w"), NOW, &b,
		                                  &err),
		             0, "%s", bad[i]);
	cr_expect_lt(zk_zip_runtime_event(ZK_STR("{\"type\":\"node.failed\"}"),
	                                  ZK_STR_NULL, NOW, &b, &err),
	             0, "no workflow");
	zk_buf_done(&b);
}
