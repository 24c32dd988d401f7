/* Trace events on raw bytes: verdicts of the fixtures, mending, marks, --map, batches, details.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/ndjson.h"
#include "zip/trace_batch.h"
#include "zip/trace_detail.h"
#include "zip/trace_event.h"
#include "zip/trace_map.h"
#include "zip/trace_run.h"
#include "zip/trace_seen.h"

#include "base/ban.h"

#define NOW INT64_C(1767225600000)

static const struct zk_zip_event_conf plain = { .now_ms = NOW };
static const struct zk_zip_event_conf marked = { .mark = ZK_STR_INIT("m1"),
	                                         .now_ms = NOW };
static const struct zk_zip_event_conf strict = { .strict = true, .now_ms = NOW };

/* The event made of `line`, or "!kind:field". */
static const char *made(const struct zk_zip_event_conf *conf, const char *line)
{
	static char text[8192];
	struct zk_zip_event e;
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, 65536);
	zk_buf_lit(&b, "before");
	if (zk_zip_event_take(conf, zk_str_of(line), 7, &b, &e, &err) < 0) {
		cr_expect_eq(b.n, 6, "nothing is left behind by %s", line);
		(void)snprintf(text, sizeof(text), "!%s:%s", e.kind, e.field);
	} else {
		(void)snprintf(text, sizeof(text), "%.*s", (int)(b.n - 6), b.p + 6);
	}
	zk_buf_done(&b);
	return text;
}

static const struct {
	const struct zk_zip_event_conf *conf;
	const char *in, *out;
} verdicts[] = {
	/* what is right stays as it is, to the byte */
	{ &plain,
	  "{\"timestamp\":1, \"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1e0,\"type\":\"x\",\"preview\":5000000000000001}}",
	  "{\"timestamp\":1, "
	  "\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{\"size\":"
	  "1e0,\"type\":\"x\",\"preview\":5000000000000001}}" },
	/* times */
	{ &plain,
	  "{\"timestamp\":1767225600.5,\"nodeId\":\"a\",\"eventType\":\"log\","
	  "\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "{\"timestamp\":1767225600500,\"nodeId\":\"a\",\"eventType\":\"log\","
	  "\"data\":"
	  "{\"size\":1,\"type\":\"x\"}}" },
	{ &plain,
	  "{\"timestamp\":1.7672256e12,\"nodeId\":\"a\",\"eventType\":\"log\","
	  "\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "{\"timestamp\":1767225600000,\"nodeId\":\"a\",\"eventType\":\"log\","
	  "\"data\":"
	  "{\"size\":1,\"type\":\"x\"}}" },
	{ &plain,
	  "{\"timestamp\":\"1969-12-31T23:59:59.9995Z\",\"nodeId\":\"a\","
	  "\"eventType\":\"log\",\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "{\"timestamp\":-1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"}}" },
	{ &plain,
	  "{\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{\"size\":1,\"type\":"
	  "\"x\"},\"more\":[null]}",
	  "{\"timestamp\":1767225600000,\"nodeId\":\"a\",\"eventType\":\"log\","
	  "\"data\":"
	  "{\"size\":1,\"type\":\"x\"},\"more\":[null]}" },
	{ &plain,
	  "{\"timestamp\":8640000000000001,\"nodeId\":\"a\",\"eventType\":"
	  "\"log\",\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "!range:timestamp" },
	{ &plain, "{\"timestamp\":1e400,\"nodeId\":\"a\"}", "!range:timestamp" },
	{ &plain, "{\"timestamp\":\"soon\",\"nodeId\":\"a\"}",
	  "!invalid_type:timestamp" },
	/* wrong types */
	{ &plain, "{\"timestamp\":1,\"nodeId\":5}", "!invalid_type:nodeId" },
	{ &plain, "{\"timestamp\":1}", "!invalid_type:nodeId" },
	{ &plain, "{\"timestamp\":1,\"nodeId\":\"a\",\"portId\":1}",
	  "!invalid_type:portId" },
	{ &plain, "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"LOG\"}",
	  "!invalid_enum_value:eventType" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"\\u006cog\","
	  "\"data\":{\"size\":\"1\",\"type\":\"x\"}}",
	  "!invalid_type:data.size" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1e999,\"type\":\"x\"}}",
	  "!invalid_type:data.size" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,\"type\":\"x\"},\"metadata\":{\"cpuUsage\":\"1\"}}",
	  "!invalid_type:metadata.cpuUsage" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,\"type\":\"x\"},\"error\":{}}",
	  "!invalid_type:error.message" },
	{ &plain, "[", "!json_syntax:" },
	{ &plain, "5", "!invalid_type:" },
	{ &plain, "{\"timestamp\":1,\"nodeId\":\"a\\u0000\"}", "!nul:nodeId" },
	/* data */
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"preview\":["
	  "1,2]}",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":5,"
	  "\"type\":\"application/json\",\"preview\":[1,2]}}" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"preview\":null,\"type\":null}}",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":0,"
	  "\"type\":\"application/json\"}}" },
	/* nulls, fractions, errors */
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"portId\":null,\"eventType\":"
	  "\"log\","
	  "\"data\":{\"size\":1,\"type\":\"x\"},\"duration\":2.5,\"metadata\":{"
	  "\"cpuUsage\":null,\"memoryUsage\":3}}",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"},\"duration\":3,\"metadata\":{\"memoryUsage\":3}}" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"error\",\"data\":{"
	  "\"size\":1,\"type\":\"x\"},\"error\":{\"message\":\"m\"}}",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"error\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"},\"error\":{\"message\":\"m\"},\"metadata\":{"
	  "\"custom\":{"
	  "\"error\":{\"message\":\"m\"}}}}" },
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"error\",\"data\":{"
	  "\"size\":1,\"type\":\"x\"},\"error\":\"m\"}",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"error\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"},\"metadata\":{\"custom\":{\"error\":{\"message\":"
	  "\"m\"}}},"
	  "\"error\":{\"message\":\"m\"}}" },
	/* of several members with one name the last one counts, as on the server */
	{ &plain,
	  "{\"timestamp\":1,\"nodeId\":5,\"nodeId\":\"a\",\"eventType\":\"log\","
	  "\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"}}" },
	/* marks */
	{ &marked,
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,\"type\":\"x\"} }",
	  "{\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"} "
	  ",\"metadata\":{\"custom\":{\"zk\":{\"s\":\"m1\",\"n\":7}}}}" },
	{ &marked,
	  "{\"metadata\":{},\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":"
	  "\"log\","
	  "\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "{\"metadata\":{\"custom\":{\"zk\":{\"s\":\"m1\",\"n\":7}}},"
	  "\"timestamp\":1,"
	  "\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{\"size\":1,\"type\":"
	  "\"x\"}}" },
	{ &marked,
	  "{\"metadata\":{\"cpuUsage\":1,\"custom\":{ "
	  "}},\"timestamp\":1,\"nodeId\":"
	  "\"a\",\"eventType\":\"log\",\"data\":{\"size\":1,\"type\":\"x\"}}",
	  "{\"metadata\":{\"cpuUsage\":1,\"custom\":{ "
	  "\"zk\":{\"s\":\"m1\",\"n\":7}}},"
	  "\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":\"log\",\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"}}" },
	{ &marked,
	  "{\"metadata\":{\"custom\":{\"zk\":{\"s\":\"m0\",\"n\":1},\"b\":2},"
	  "\"cpuUsage\":1},\"timestamp\":1,\"nodeId\":\"a\",\"eventType\":"
	  "\"error\",\"error\":{\"message\":\"m\"},\"data\":{\"size\":1,"
	  "\"type\":\"x\"}}",
	  "{\"metadata\":{\"custom\":{\"b\":2,\"zk\":{\"s\":\"m1\",\"n\":7},"
	  "\"error\":{"
	  "\"message\":\"m\"}},\"cpuUsage\":1},\"timestamp\":1,\"nodeId\":\"a\","
	  "\"eventType\":\"error\",\"error\":{\"message\":\"m\"},\"data\":{"
	  "\"size\":1,"
	  "\"type\":\"x\"}}" },
	/* --strict */
	{ &strict, "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"nodeId\":\"a\"}",
	  "!coerce:timestamp" },
	{ &strict, "{\"timestamp\":1,\"nodeId\":\"a\",\"portId\":null}",
	  "!drop-null:portId" },
};

Test(trace_event, verdicts)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(verdicts); i++)
		cr_expect_str_eq(made(verdicts[i].conf, verdicts[i].in), verdicts[i].out,
		                 "case %zu: %s", i,
		                 made(verdicts[i].conf, verdicts[i].in));
}

static char *slurp(const char *name, size_t *n)
{
	const char *src = getenv("TEST_SRC");
	char *path = zk_asprintf("%s/tests/data/zeal/traces/%s", src, name);
	int fd = open(path, O_RDONLY);

	cr_assert(fd >= 0, "%s", path);
	*n = (size_t)lseek(fd, 0, SEEK_END);
	char *text = zk_alloc(*n + 1);

	cr_assert_eq(pread(fd, text, *n, 0), (ssize_t)*n);
	text[*n] = '\0';
	(void)close(fd);
	free(path);
	return text;
}

/* What the fixture says about a line: "kind:field", "" = nothing. */
static void expected(zk_str json, uint64_t line, char out[128])
{
	struct zk_jval problems, v, kind, field;
	struct zk_jiter it;
	uint64_t n;

	out[0] = '\0';
	cr_assert(zk_jscan_get(json, ZK_STR("problems"), &problems));
	zk_jiter_init(&it, problems.raw);
	while (zk_jiter_element(&it, &v)) {
		cr_assert(zk_jscan_get(v.raw, ZK_STR("line"), &kind) &&
		          zk_jnum_u64(kind.raw, &n));
		cr_assert(zk_jscan_get(v.raw, ZK_STR("kind"), &kind) &&
		          zk_jscan_get(v.raw, ZK_STR("field"), &field));
		if (n == line)
			(void)snprintf(out, 128, "%.*s:%.*s", (int)(kind.raw.n - 2),
			               kind.raw.p + 1, (int)(field.raw.n - 2),
			               field.raw.p + 1);
	}
}

Test(trace_event, fixture_of_good_and_bad)
{
	size_t n, n_json, rejected = 0, accepted = 0;
	char *text = slurp("mixed-good-bad.ndjson", &n);
	char *json = slurp("mixed-good-bad.EXPECTED.json", &n_json), want[128], got[128];
	struct zk_ndjson split;
	struct zk_ndjson_line line;
	zk_str rest = zk_str_n(text, n);
	struct zk_buf b;

	zk_buf_init(&b, 1 << 20);
	zk_ndjson_init(&split, 1 << 20);
	while (zk_ndjson_next(&split, &rest, &line)) {
		struct zk_error err = { 0 };
		struct zk_zip_event e;
		int r = zk_zip_event_take(&marked, line.text, 1, &b, &e, &err);

		rejected += r < 0;
		accepted += r == 0;
		got[0] = '\0';
		if (e.kind)
			(void)snprintf(got, sizeof(got), "%s:%s", e.kind, e.field);
		expected(zk_str_n(json, n_json), line.number, want);
		cr_expect_str_eq(got, want, "line %llu: %s",
		                 (unsigned long long)line.number, got);
	}
	cr_expect_eq(accepted, 15, "%zu", accepted);
	cr_expect_eq(rejected, 6, "%zu", rejected);
	zk_ndjson_done(&split);
	zk_buf_done(&b);
	free(text);
	free(json);
}

static void all_good(const char *name, size_t events)
{
	size_t n, taken = 0;
	char *text = slurp(name, &n);
	struct zk_ndjson split;
	struct zk_ndjson_line line;
	zk_str rest = zk_str_n(text, n);
	struct zk_buf b;

	zk_buf_init(&b, 4 << 20);
	zk_ndjson_init(&split, 1 << 20);
	while (zk_ndjson_next(&split, &rest, &line) || zk_ndjson_last(&split, &line)) {
		struct zk_error err = { 0 };
		struct zk_zip_event e;
		uint64_t seq;

		zk_buf_clear(&b);
		cr_assert_eq(zk_zip_event_take(&marked, line.text, taken, &b, &e, &err),
		             0, "%s", err.msg);
		cr_expect_null(e.kind);
		cr_expect(zk_zip_event_mark(zk_buf_str(&b), ZK_STR("m1"), &seq) &&
		          seq == taken);
		cr_expect(!zk_zip_event_mark(zk_buf_str(&b), ZK_STR("m2"), &seq));
		taken++;
	}
	cr_expect_eq(taken, events, "%s: %zu", name, taken);
	zk_ndjson_done(&split);
	zk_buf_done(&b);
	free(text);
}

Test(trace_event, fixtures_that_are_good)
{
	all_good("events-50.ndjson", 50);
	all_good("events-5000.ndjson", 5000);
	all_good("crlf-no-final-newline.ndjson", 3);
	all_good("one-big-event.ndjson", 1);
}

/* ---- --map ------------------------------------------------------------------------------------ */

static const char *mapped(const char *const *rules, size_t n, const char *line)
{
	static char text[4096];
	struct zk_error err = { 0 };
	struct zk_zip_map *m;
	struct zk_buf b;

	if (zk_zip_map_new(rules, n, &m, &err) < 0) {
		(void)snprintf(text, sizeof(text), "!%s", err.msg);
		return text;
	}
	zk_buf_init(&b, 4096);
	if (zk_zip_map_apply(m, zk_str_of(line), &b, &err) < 0)
		(void)snprintf(text, sizeof(text), "!%s", err.msg);
	else
		(void)snprintf(text, sizeof(text), "%s", zk_buf_cstring(&b));
	zk_buf_done(&b);
	zk_zip_map_free(m);
	return text;
}

Test(trace_map, lines_of_a_log)
{
	const char *const log[] = { "nodeId=.component", "timestamp=.ts" };
	const char *const more[] = { "nodeId=.pid", "eventType=error",
		                     "data.preview=.msg", "metadata.custom.level=.level",
		                     "error.message=.msg" };
	const char *const bad[] = { "node=.x" },
	                  *const twice[] = { "nodeId=.a", "nodeId=.b" },
	                  *const none[] = { "nodeId" };

	cr_expect_str_eq(
	        mapped(log, 2, "{\"ts\":\"2026-01-01T00:00:00Z\",\"component\":\"db\"}"),
	        "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"nodeId\":\"db\",\"eventType\":"
	        "\"log\",\"data\":{\"size\":46,\"type\":\"application/"
	        "json\",\"preview\":{"
	        "\"ts\":\"2026-01-01T00:00:00Z\",\"component\":\"db\"}}}");
	cr_expect_str_eq(
	        mapped(more, 5,
	               "{\"pid\":12,\"msg\":\"m\",\"level\":3,\"timestamp\":5,"
	               "\"data\":{\"size\":9}}"),
	        "{\"timestamp\":5,\"nodeId\":\"12\",\"eventType\":\"error\",\"data\":{"
	        "\"size\":9,\"preview\":\"m\"},\"metadata\":{\"custom\":{\"level\":3}},"
	        "\"error\":{\"message\":\"m\"}}");
	cr_expect_str_eq(
	        mapped(log, 2, "{}"),
	        "{\"eventType\":\"log\",\"data\":{\"size\":2,\"type\":\"application/"
	        "json\",\"preview\":{}}}");
	cr_expect_str_eq(mapped(log, 2, "[1]"),
	                 "!--map needs an object, this is a array");
	cr_expect_str_eq(mapped(bad, 1, "{}"),
	                 "!--map: 'node' is no member of a trace event");
	cr_expect_str_eq(mapped(twice, 2, "{}"), "!--map: 'nodeId' is named twice");
	cr_expect_str_eq(mapped(none, 1, "{}"),
	                 "!--map takes MEMBER=.PATH, not 'nodeId'");
}

/* ---- batches ---------------------------------------------------------------------------------- */

static void add(struct zk_zip_batch *b, const char *text, uint64_t seq, int64_t now)
{
	struct zk_zip_batch_event e = { .at = b->body.n, .seq = seq };

	zk_buf_cstr(&b->body, text);
	zk_zip_batch_added(b, &e, now);
}

static void is_body(struct zk_zip_batch *b, size_t from, size_t to, const char *want)
{
	struct zk_buf scratch;

	zk_buf_init(&scratch, 4096);
	zk_str got = zk_zip_batch_body(b, from, to, &scratch);

	cr_expect(zk_str_eq(got, zk_str_of(want)), "%.*s", ZK_STR_ARG(got));
	zk_buf_done(&scratch);
}

Test(trace_batch, bodies)
{
	struct zk_zip_batch b;

	zk_zip_batch_init(&b);
	add(&b, "{\"a\":1}", 0, 0);
	is_body(&b, 0, 1, "{\"events\":[{\"a\":1}]}");
	zk_zip_batch_clear(&b);
	add(&b, "{\"a\":1}", 0, 0);
	add(&b, "{}", 1, 0);
	add(&b, "{\"c\":3}", 2, 0);
	is_body(&b, 0, 3, "{\"events\":[{\"a\":1},{},{\"c\":3}]}");
	is_body(&b, 1, 3, "{\"events\":[{},{\"c\":3}]}");
	is_body(&b, 0, 1, "{\"events\":[{\"a\":1}]}");
	is_body(&b, 0, 3, "{\"events\":[{\"a\":1},{},{\"c\":3}]}");
	cr_expect(zk_str_eq(zk_zip_batch_text(&b, 2), ZK_STR("{\"c\":3}")));
	zk_zip_batch_done(&b);
}

Test(trace_batch, count_bytes_and_time)
{
	struct zk_zip_batch_size s;
	struct zk_zip_batch b;

	zk_zip_batch_size_init(&s, 3, 1000);
	zk_zip_batch_init(&b);
	cr_expect(!zk_zip_batch_is_due(&b, &s, 1 << 30), "an empty batch is never due");
	add(&b, "{}", 0, 5000);
	cr_expect(!zk_zip_batch_is_full(&b, &s) && !zk_zip_batch_is_due(&b, &s, 5999));
	cr_expect(zk_zip_batch_is_due(&b, &s, 6000), "a second after its first event");
	add(&b, "{}", 1, 5990);
	add(&b, "{}", 2, 5990);
	cr_expect(zk_zip_batch_is_full(&b, &s));
	zk_zip_batch_clear(&b);
	zk_zip_batch_size_init(&s, 1000, 1000);
	ZK_CLEANUP(zk_freep)
	char *big = zk_alloc0(ZK_ZIP_BATCH_BYTES);

	memset(big, ' ', ZK_ZIP_BATCH_BYTES - 1);
	add(&b, big, 0, 0);
	cr_expect(zk_zip_batch_is_full(&b, &s), "full by bytes");
	zk_zip_batch_done(&b);
}

Test(trace_batch, adapts)
{
	struct zk_zip_batch_size s;

	zk_zip_batch_size_init(&s, 1000, 1000);
	zk_zip_batch_size_bad(&s, 1000);
	cr_expect_eq(s.now, 500);
	zk_zip_batch_size_bad(&s, 3);
	cr_expect_eq(s.now, 1);
	zk_zip_batch_size_bad(&s, 1);
	cr_expect_eq(s.now, 1, "never nothing");
	for (int i = 0; i < 9; i++)
		zk_zip_batch_size_good(&s);
	cr_expect_eq(s.now, 1);
	zk_zip_batch_size_good(&s);
	cr_expect_eq(s.now, 2, "after ten good ones");
	for (int i = 0; i < 200; i++)
		zk_zip_batch_size_good(&s);
	cr_expect_eq(s.now, 1000, "at most what was asked for");
}

/* ---- details ---------------------------------------------------------------------------------- */

struct seen {
	struct zk_buf events;
};

static int on_event(void *ctx, zk_str event, struct zk_error *err)
{
	struct seen *s = ctx;

	(void)err;
	zk_buf_add(&s->events, event);
	zk_buf_char(&s->events, '\n');
	return 0;
}

/* Feeds `text` in pieces of `step`; 0 or the code. */
static int taken_apart(const char *text, size_t step, struct seen *s, struct zk_buf *head)
{
	struct zk_error err = { 0 };
	struct zk_zip_detail d;
	zk_str rest = zk_str_of(text);
	int r = 0;

	zk_zip_detail_init(&d);
	d.ctx = s;
	d.on_event = on_event;
	while (r == 0 && rest.n) {
		zk_str piece = zk_str_n(rest.p, ZK_MIN(step, rest.n));

		r = zk_zip_detail_put(&d, piece, &err);
		rest = zk_str_from(rest, piece.n);
	}
	if (r == 0)
		r = zk_zip_detail_end(&d, &err);
	zk_buf_add(head, zk_buf_str(&d.head));
	zk_zip_detail_done(&d);
	return r;
}

Test(trace_detail, every_chunking)
{
	const char *text =
	        "{\"sessionId\":\"s \\\"events\\\":[{\",\"metadata\":{\"events\":[{}]},"
	        "\"events\": [ {\"a\":\"}]\\\\\"} ,{\"b\":[{}]}\n],\"totalEvents\":2}";

	for (size_t step = 1; step <= strlen(text); step++) {
		struct seen s;
		struct zk_buf head;

		zk_buf_init(&s.events, 4096);
		zk_buf_init(&head, 4096);
		cr_expect_eq(taken_apart(text, step, &s, &head), 0, "step %zu", step);
		cr_expect_str_eq(zk_buf_cstring(&s.events),
		                 "{\"a\":\"}]\\\\\"}\n{\"b\":[{}]}\n", "step %zu", step);
		cr_expect_str_eq(
		        zk_buf_cstring(&head),
		        "{\"sessionId\":\"s \\\"events\\\":[{\",\"metadata\":{\"events\":"
		        "[{}]},\"events\": [],\"totalEvents\":2}",
		        "step %zu", step);
		zk_buf_done(&s.events);
		zk_buf_done(&head);
	}
}

Test(trace_detail, what_is_none)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{\"events\":[{}",
		"{\"events\":[{}]",
		"{\"events\":[1]}",
		"{\"events\":[{\"a\":}]}",
		"{}}",
		"{\"events\":[{]]}",
		"nope",
		"{\"events\":[{}]} x",
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct seen s;
		struct zk_buf head;

		zk_buf_init(&s.events, 4096);
		zk_buf_init(&head, 4096);
		cr_expect_eq(taken_apart(cases[i], 3, &s, &head), -ZK_E_PROTOCOL, "%s",
		             cases[i]);
		zk_buf_done(&s.events);
		zk_buf_done(&head);
	}
}

Test(trace_seen, marks)
{
	const char *detail =
	        "{\"events\":[{\"metadata\":{\"custom\":{\"zk\":{\"n\":3,\"s\":\"m\"}}}},"
	        "{\"metadata\":{\"custom\":{\"zk\":{\"s\":\"x\",\"n\":4}}}},"
	        "{\"metadata\":{}},{\"metadata\":null},"
	        "{\"metadata\":{\"custom\":{\"zk\":{\"s\":\"m\",\"n\":2000}}}},"
	        "{\"metadata\":{\"custom\":{\"zk\":{\"s\":\"m\",\"n\":1}}}}]}";
	struct zk_zip_seen s = { 0 };
	struct zk_error err = { 0 };

	zk_zip_seen_begin(&s, ZK_STR("m"), 2);
	for (const char *p = detail; *p; p++) /* however it comes */
		cr_assert_eq(zk_zip_seen_put(&s, zk_str_n(p, 1), &err), 0);
	cr_assert_eq(zk_zip_seen_end(&s, &err), 0);
	cr_expect(zk_zip_seen_has(&s, 3) && zk_zip_seen_has(&s, 2000));
	cr_expect(!zk_zip_seen_has(&s, 4) && !zk_zip_seen_has(&s, 1) &&
	          !zk_zip_seen_has(&s, 1999) && !zk_zip_seen_has(&s, UINT64_MAX));
	zk_zip_seen_begin(&s, ZK_STR("m"), 0);
	cr_expect_eq(zk_zip_seen_put(&s, ZK_STR("{"), &err), 0);
	cr_expect_eq(zk_zip_seen_end(&s, &err), -ZK_E_PROTOCOL);
	zk_zip_seen_done(&s);
}

/* ---- runs ------------------------------------------------------------------------------------- */

Test(trace_run, survives)
{
	struct zk_zip_run_head head = { .base = "http://h",
		                        .session = "s\"1",
		                        .workflow = "w",
		                        .mark = "00112233445566778899aabbccddeeff",
		                        .source = "/a b",
		                        .options = "strict\nnodeId=.x",
		                        .completes = true };
	char dir[] = "/tmp/zkrunXXXXXX";
	struct zk_zip_run *r, *again = NULL;
	struct zk_error err = { 0 };

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(zk_zip_run_new(dir, &head, &r, &err), 0, "%s", err.msg);
	cr_expect_eq(zk_zip_run_save(r, 1234567, &err), 0);
	cr_expect_eq(zk_zip_run_save(r, 5, &err), 0, "it never goes back");
	cr_expect_eq(zk_zip_run_find(dir, "http://h", NULL, &again), 0,
	             "nobody gets one that is held");
	zk_zip_run_close(r);
	cr_expect_eq(zk_zip_run_find(dir, "http://other", NULL, &again), 0);
	cr_expect_eq(zk_zip_run_find(dir, "http://h", "/b", &again), 0);
	cr_assert_eq(zk_zip_run_find(dir, "http://h", "/a b", &again), 1);
	cr_expect_eq(zk_zip_run_seq(again), 1234567);
	cr_expect_str_eq(zk_zip_run_head(again)->session, "s\"1");
	cr_expect_str_eq(zk_zip_run_head(again)->options, "strict\nnodeId=.x");
	cr_expect(zk_zip_run_head(again)->completes);
	zk_zip_run_drop(again);
	cr_expect_eq(zk_zip_run_find(dir, "http://h", NULL, &again), 0, "it is gone");
	cr_expect_eq(rmdir(dir), 0);
}

Test(trace_run, text_that_is_none)
{
	static const char *const cases[] = {
		"",
		"zk-trace-run 1 ",
		"zk-trace-run 1 0000000000000000000x\n{}\n",
		"zk-trace-run 2 00000000000000000001\n{}\n",
		"zk-trace-run 1 00000000000000000001\n[]\n",
		"zk-trace-run 1 00000000000000000001\n{\n",
	};
	struct zk_zip_run_text t;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect(!zk_zip_run_parse(zk_str_of(cases[i]), &t), "case %zu", i);
	cr_expect(zk_zip_run_parse(ZK_STR("zk-trace-run 1 00000000000000000042\n{}\n"),
	                           &t));
	cr_expect_eq(t.seq, 42);
}
