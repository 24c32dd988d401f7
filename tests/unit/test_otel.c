/* OTLP in JSON to the byte, the variables of OpenTelemetry, the trace context.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/otlp.h"
#include "net/otel.h"
#include "net/otel_env.h"

#include "base/ban.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Test(otlp, exact)
{
	const zk_str pairs[] = { ZK_STR_INIT("service.name"), ZK_STR_INIT("a\"b") };
	struct zk_otlp_resource r = { .pairs = pairs, .n = 1 };
	struct zk_otlp_span s = { .trace_id = { 1, 2 },
		                  .span_id = { 0xff },
		                  .parent_id = { 0, 0, 0, 0, 0, 0, 0, 1 },
		                  .trace_state = ZK_STR_INIT("k=v"),
		                  .name = ZK_STR_INIT("GET /x"),
		                  .kind = ZK_OTLP_CLIENT,
		                  .start_ns = UINT64_C(1767225600000000000),
		                  .end_ns = UINT64_MAX,
		                  .failed = true,
		                  .message = ZK_STR_INIT("no") };
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_otlp_open(&b, &r);
	zk_otlp_span(&b, &s);
	zk_otlp_str(&b, "s", ZK_STR("v"));
	zk_otlp_i64(&b, "i", INT64_MIN);
	zk_otlp_span_end(&b, &s);
	zk_otlp_close(&b);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service."
	        "name\",\"value\":{\"stringValue\":\"a\\\"b\"}}]},\"scopeSpans\":[{"
	        "\"scope\":{\"name\":\"zk\",\"version\":\"" ZK_VERSION "\"},\"spans\":[{"
	        "\"traceId\":\"01020000000000000000000000000000\",\"spanId\":"
	        "\"ff00000000000000\",\"parentSpanId\":\"0000000000000001\","
	        "\"traceState\":\"k=v\",\"name\":\"GET "
	        "/x\",\"kind\":3,\"startTimeUnixNano\":\"1767225600000000000\","
	        "\"endTimeUnixNano\":\"18446744073709551615\",\"attributes\":[{\"key\":"
	        "\"s\",\"value\":{\"stringValue\":\"v\"}},{\"key\":\"i\",\"value\":{"
	        "\"intValue\":\"-9223372036854775808\"}}],\"status\":{\"code\":2,"
	        "\"message\":\"no\"}}]}]}]}");
	zk_buf_done(&b);
}

Test(otlp, without_spans)
{
	struct zk_otlp_resource r = { .n = 0 };
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_otlp_open(&b, &r);
	zk_otlp_close(&b);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},"
	        "\"scopeSpans\":[{\"scope\":{\"name\":\"zk\",\"version\":\"" ZK_VERSION
	        "\"},\"spans\":[]}]}]}");
	zk_buf_done(&b);
}

Test(otel_env, endpoints)
{
	static const struct {
		const char *base, *own, *given, *url;
	} cases[] = {
		{ NULL, NULL, NULL, NULL },
		{ "", "", NULL, NULL },
		{ "http://c:4318", NULL, NULL, "http://c:4318/v1/traces" },
		{ "http://c/otel//", NULL, NULL, "http://c/otel/v1/traces" },
		{ "http://c:4318", "http://d/x", NULL, "http://d/x" },
		{ "http://c:4318", "http://d/x", "http://e", "http://e/v1/traces" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_otel_env e;

		setenv("OTEL_EXPORTER_OTLP_ENDPOINT", cases[i].base ? cases[i].base : "",
		       1);
		setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		       cases[i].own ? cases[i].own : "", 1);
		setenv("OTEL_EXPORTER_OTLP_HEADERS", "k=v", 1);
		zk_otel_env_read(cases[i].given, &e);
		if (cases[i].url)
			cr_expect_str_eq(e.url, cases[i].url, "case %zu", i);
		else
			cr_expect_null(e.url, "case %zu", i);
		cr_expect_eq(e.n_headers, cases[i].url && !cases[i].given ? 1 : 0,
		             "case %zu", i);
		zk_otel_env_done(&e);
	}
}

Test(otel, nothing_to_do)
{
	struct zk_otel_conf conf = { .command = "x" };

	cr_expect_null(zk_otel_new(&conf));
	setenv("TRACEPARENT", "00-zz", 1);
	cr_expect_null(zk_otel_new(&conf));
}

Test(otel, passes_the_context_on)
{
	struct zk_otel_conf conf = { .command = "x" };
	char text[ZK_TRACEPARENT_TEXT + 1];
	struct zk_otel_ctx c;

	setenv("TRACEPARENT", PARENT, 1);
	struct zk_otel *o = zk_otel_new(&conf);

	cr_assert_not_null(o);
	zk_otel_begin(o, &c, text);
	cr_expect_str_eq(text, PARENT);
	cr_expect(!c.recording);
	zk_otel_free(o);
}

Test(otel, servers_begin_a_trace_per_request)
{
	struct zk_otel_conf conf = { .endpoint = "http://c" };
	char text[ZK_TRACEPARENT_TEXT + 1];
	struct zk_otel_ctx a, b;
	struct zk_otel *o = zk_otel_new(&conf);

	cr_assert_not_null(o);
	zk_otel_begin(o, &a, text);
	zk_otel_begin(o, &b, text);
	cr_expect(memcmp(a.trace_id, b.trace_id, sizeof(a.trace_id)) != 0);
	cr_expect(memcmp(a.span_id, b.span_id, sizeof(a.span_id)) != 0);
	cr_expect(a.recording && b.recording);
	zk_otel_free(o);
	conf.command = "trace push";
	o = zk_otel_new(&conf);
	zk_otel_begin(o, &a, text);
	zk_otel_begin(o, &b, text);
	cr_expect(memcmp(a.trace_id, b.trace_id, sizeof(a.trace_id)) == 0,
	          "a command is one trace");
	zk_otel_free(o);
}

Test(otel, what_waits_is_bounded)
{
	struct zk_otel_conf conf = { .endpoint = "http://c" };
	char text[ZK_TRACEPARENT_TEXT + 1];
	struct zk_otel_request r = { .method = "GET",
		                     .url = "http://h/p",
		                     .status = 200 };
	struct zk_otel_ctx c;
	struct zk_otel *o = zk_otel_new(&conf);

	/* No net: nothing can be sent. */
	for (int i = 0; i < 100000; i++) {
		zk_otel_begin(o, &c, text);
		zk_otel_request(o, &c, &r);
	}
	zk_otel_end(o, 0);
	zk_otel_free(o);
}
