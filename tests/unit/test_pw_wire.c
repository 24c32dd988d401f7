/* procwire/wire and control: the golden vectors of specs/procwire.md §17, all chunkings.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "codec/digest.h"
#include "procwire/control.h"
#include "procwire/table.h"
#include "procwire/wire.h"

#include "base/ban.h"

#define ABC "616263"

/* Every frame of §17 that is sound. */
static const struct {
	const char *hex;
	unsigned method, flags;
	uint32_t request;
	size_t length;
} golden[] = {
	{ "000100000000010000000d81a568656c6c6fa5776f726c64", 1, 0x00, 1, 13 },
	{ "000103000000010000000d81a568656c6c6fa5776f726c64", 1, 0x03, 1, 13 },
	{ "0001000000000200000001c0", 1, 0x00, 2, 1 },
	{ "0001030000000200000001c0", 1, 0x03, 2, 1 },
	{ "000200000000030000000481a16e02", 2, 0x00, 3, 4 },
	{ "00020b000000030000000481a16900", 2, 0x0b, 3, 4 },
	{ "00020b000000030000000481a16901", 2, 0x0b, 3, 4 },
	{ "00021b0000000300000000", 2, 0x1b, 3, 0 },
	{ "000300000000040000000481a16101", 3, 0x00, 4, 4 },
	{ "000323000000040000000581a26f6bc3", 3, 0x23, 4, 5 },
	{ "0003230000000400000001c0", 3, 0x23, 4, 1 },
	{ "0004000000000000000003a26869", 4, 0x00, 0, 3 },
	{ "0005000000000500000001c0", 5, 0x00, 5, 1 },
	{ "0005070000000500000005a4626f6f6d", 5, 0x07, 5, 5 },
	{ "000107000000090000001382a76d657373616765a3626164a4636f64652a", 1, 0x07, 9,
	  19 },
	{ "00060f0000000600000006a573626f6f6d", 6, 0x0f, 6, 6 },
	{ "000700000000070000000681a26d73cc96", 7, 0x00, 7, 6 },
	{ "ffff000000000700000000", 0xffff, 0x00, 7, 0 },
	{ "0008000000000a00000004000102ff", 8, 0x00, 10, 4 },
	{ "0008030000000a00000004000102ff", 8, 0x03, 10, 4 },
	{ "0008000000000b00000000", 8, 0x00, 11, 0 },
	{ "0008030000000b00000000", 8, 0x03, 11, 0 },
	{ "00090b0000000c000000026161", 9, 0x0b, 12, 2 },
	{ "00090b0000000c00000003626262", 9, 0x0b, 12, 3 },
	{ "00091b0000000c00000000", 9, 0x1b, 12, 0 },
	{ "000101000000000000000a81a770657263656e7432", 1, 0x01, 0, 10 },
	{ "000201000000000000000378797a", 2, 0x01, 0, 3 },
	{ "0063000000002a00000001c0", 99, 0x00, 42, 1 },
	{ "0063070000002a00000016b5556e6b6e6f776e206d6574686f642049443a203939", 99, 0x07,
	  42, 22 },
	{ "000100ffffffff00000001c0", 1, 0x00, 0xffffffff, 1 },
	{ "000103ffffffff00000001c0", 1, 0x03, 0xffffffff, 1 },
	{ "1234000102030400000003616263", 0x1234, 0x00, 0x01020304, 3 },
	{ "fffe00000000000000004030303131323233333434353536363737383839396161626263636464"
	  "656566"
	  "6630303131323233333434353536363737383839396161626263636464656566"
	  "66",
	  0xfffe, 0x00, 0, 64 },
};

static size_t unhex(const char *hex, char *out)
{
	size_t n = strlen(hex) / 2;

	cr_assert(zk_hex_decode(zk_str_of(hex), (uint8_t *)out, n));
	return n;
}

Test(pw_wire, golden_headers)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(golden); i++) {
		char bytes[200], again[ZK_PW_HEADER];
		size_t n = unhex(golden[i].hex, bytes);
		struct zk_pw_header h = zk_pw_header_get(bytes);

		cr_expect_eq(h.method, golden[i].method, "case %zu", i);
		cr_expect_eq(h.flags, golden[i].flags, "case %zu", i);
		cr_expect_eq(h.request, golden[i].request, "case %zu", i);
		cr_expect_eq(h.length, golden[i].length, "case %zu", i);
		cr_expect_eq(h.length + ZK_PW_HEADER, n, "case %zu", i);
		cr_expect_null(zk_pw_header_wrong(h, ZK_PW_PAYLOAD_DEFAULT));
		zk_pw_header_put(again, h);
		cr_expect_eq(memcmp(again, bytes, ZK_PW_HEADER), 0, "case %zu", i);
	}
}

static void put_frame(struct zk_buf *out, struct zk_pw_header h, zk_str payload)
{
	zk_buf_printf(out, "%u %u %u %u:", h.method, h.flags, h.request, h.length);
	zk_buf_add(out, payload);
	zk_buf_char(out, '\n');
}

/* What a stream decodes to when it is fed in pieces of `step`. */
static void decode_all(zk_str stream, size_t step, struct zk_buf *out)
{
	struct zk_pw_decoder d;
	struct zk_buf pieces;

	zk_buf_init(&pieces, 1 << 16);
	zk_pw_decoder_init(&d, ZK_PW_PAYLOAD_DEFAULT);
	for (size_t at = 0; at < stream.n; at += step) {
		zk_str in = zk_str_n(stream.p + at, ZK_MIN(step, stream.n - at));
		enum zk_pw_found f;

		while ((f = zk_pw_decode(&d, &in)) != ZK_PW_MORE) {
			cr_assert_neq(f, ZK_PW_WRONG, "%s", d.why);
			if (f == ZK_PW_FRAME)
				put_frame(out, d.header, d.bytes);
			if (f == ZK_PW_BEGIN)
				zk_buf_clear(&pieces);
			if (f == ZK_PW_PIECE || f == ZK_PW_LAST)
				zk_buf_add(&pieces, d.bytes);
			if (f == ZK_PW_LAST)
				put_frame(out, d.header, zk_buf_str(&pieces));
		}
		cr_assert_eq(in.n, 0);
	}
	zk_buf_done(&pieces);
}

Test(pw_wire, all_chunkings)
{
	struct zk_buf stream, whole, part;

	zk_buf_init(&stream, 1 << 16);
	zk_buf_init(&whole, 1 << 16);
	zk_buf_init(&part, 1 << 16);
	for (size_t i = 0; i < ZK_ARRAY_LEN(golden); i++) {
		char bytes[200];

		zk_buf_put(&stream, bytes, unhex(golden[i].hex, bytes));
	}
	decode_all(zk_buf_str(&stream), stream.n, &whole);
	for (size_t step = 1; step < stream.n; step++) {
		zk_buf_clear(&part);
		decode_all(zk_buf_str(&stream), step, &part);
		cr_assert(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)), "step %zu",
		          step);
	}
	zk_buf_done(&stream);
	zk_buf_done(&whole);
	zk_buf_done(&part);
}

Test(pw_wire, violations)
{
	static const struct {
		const char *hex, *why;
	} cases[] = {
		{ "0001400000000300000001c0", "reserved" },
		{ "0001800000000300000001c0", "reserved" },
		{ "0000000000000300000001c0", "method id 0" },
		{ "00010000000003ffffffff", "longer" },
		{ "0001000000000340000001", "longer" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_pw_decoder d;
		char bytes[200];
		zk_str in = zk_str_n(bytes, unhex(cases[i].hex, bytes));

		zk_pw_decoder_init(&d, ZK_PW_PAYLOAD_DEFAULT);
		cr_expect_eq(zk_pw_decode(&d, &in), ZK_PW_WRONG, "case %zu", i);
		cr_expect(strstr(d.why, cases[i].why), "case %zu: %s", i, d.why);
		in = zk_str_n(bytes, 1);
		cr_expect_eq(zk_pw_decode(&d, &in), ZK_PW_WRONG, "it stays so");
	}
}

/* ---- control lines ---- */

Test(pw_control, kinds)
{
	static const struct {
		const char *line;
		enum zk_pw_control kind;
	} cases[] = {
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"$ping\"}", ZK_PW_C_PING },
		{ "{\"method\":\"\\u0024ping\",\"id\":1}", ZK_PW_C_PING },
		{ "{\"params\":{},\"x\":[1],\"method\":\"$shutdown\"}",
		  ZK_PW_C_SHUTDOWN },
		{ " {\"method\":\"$ping\"}", ZK_PW_C_OTHER },
		{ "\xef\xbb\xbf{\"method\":\"$ping\"}", ZK_PW_C_OTHER },
		{ "[{\"method\":\"$ping\"}]", ZK_PW_C_OTHER },
		{ "{\"method\":1}", ZK_PW_C_OTHER },
		{ "{\"method\":\"$Ping\"}", ZK_PW_C_OTHER },
		{ "{\"method\":\"$ping\"", ZK_PW_C_OTHER },
		{ "{}", ZK_PW_C_OTHER },
		{ "", ZK_PW_C_OTHER },
		{ "{\"method\":\"$init\",\"params\":{}}", ZK_PW_C_INIT },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		zk_str params;

		cr_expect_eq(zk_pw_control_parse(zk_str_of(cases[i].line), &params),
		             cases[i].kind, "case %zu", i);
	}
}

Test(pw_control, lines_for_every_chunking)
{
	zk_str text = ZK_STR("one\r\ntwo\n\n0123456789012345\nfour\r\nlost");

	for (size_t step = 1; step <= text.n; step++) {
		struct zk_pw_lines l;
		struct zk_buf out;

		zk_buf_init(&out, 1000);
		zk_pw_lines_init(&l, 15);
		for (size_t at = 0; at < text.n; at += step) {
			zk_str in = zk_str_n(text.p + at, ZK_MIN(step, text.n - at)),
			       line;

			while (zk_pw_lines_next(&l, &in, &line)) {
				zk_buf_add(&out, line);
				zk_buf_char(&out, '|');
			}
		}
		cr_expect_str_eq(zk_buf_cstring(&out), "one|two||four|", "step %zu",
		                 step);
		zk_pw_lines_done(&l);
		zk_buf_done(&out);
	}
}

static void add_method(struct zk_pw_table *t, const char *name, enum zk_pw_kind kind)
{
	struct zk_pw_method m = { .name = (char *)name, .kind = kind, .timeout_ms = -1 };
	struct zk_error err = { 0 };

	cr_assert_eq(zk_pw_table_method(t, &m, &err), 0, "%s", err.msg);
}

static void add_event(struct zk_pw_table *t, const char *name)
{
	struct zk_pw_event e = { .name = (char *)name };
	struct zk_error err = { 0 };

	cr_assert_eq(zk_pw_table_event(t, &e, &err), 0, "%s", err.msg);
}

Test(pw_control, init_as_the_real_child_prints_it)
{
	static const char want[] =
	        "{\"jsonrpc\":\"2.0\",\"method\":\"$init\",\"params\":{\"pipe\":\"/tmp/"
	        "procwire-20475-4cb2c69cecd8dc3923e0f2cf02c679c7.sock\",\"schema\":{"
	        "\"methods\":{\"echo\":{\"id\":1,\"response\":\"result\"},\"count\":{"
	        "\"id\":2,"
	        "\"response\":\"stream\"},\"enqueue\":{\"id\":3,\"response\":\"ack\"},"
	        "\"note\":{\"id\":4,\"response\":\"none\"}},\"events\":{\"progress\":{"
	        "\"id\":"
	        "1},\"blob\":{\"id\":2}}},\"version\":\"1.0.0\"}}\n";
	struct zk_pw_table t, back;
	struct zk_error err = { 0 };
	struct zk_buf b, pipe;
	zk_str params, line;

	zk_pw_table_init(&t);
	zk_pw_table_init(&back);
	zk_buf_init(&b, 1 << 16);
	zk_buf_init(&pipe, 4096);
	add_method(&t, "echo", ZK_PW_RESULT);
	add_method(&t, "count", ZK_PW_STREAMED);
	add_method(&t, "enqueue", ZK_PW_ACKED);
	add_method(&t, "note", ZK_PW_NONE);
	add_event(&t, "progress");
	add_event(&t, "blob");
	zk_pw_control_init(
	        &b, "/tmp/procwire-20475-4cb2c69cecd8dc3923e0f2cf02c679c7.sock", &t);
	cr_expect_str_eq(zk_buf_cstring(&b), want);
	line = zk_str_n(b.p, b.n - 1);
	cr_assert_eq(zk_pw_control_parse(line, &params), ZK_PW_C_INIT);
	cr_assert_eq(zk_pw_control_read_init(params, &pipe, &back, &err), 0, "%s",
	             err.msg);
	cr_expect_eq(zk_pw_table_find(&back, ZK_STR("count"))->id, 2);
	cr_expect_eq(zk_pw_table_by_id(&back, 4)->kind, ZK_PW_NONE);
	cr_expect_eq(zk_pw_table_find_event(&back, ZK_STR("blob"))->id, 2);
	cr_expect_null(zk_pw_table_by_id(&back, 5));
	zk_pw_table_done(&t);
	zk_pw_table_done(&back);
	zk_buf_done(&b);
	zk_buf_done(&pipe);
}

Test(pw_control, the_other_lines)
{
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	zk_pw_control_simple(&b, "$pong");
	zk_pw_control_shutdown(&b);
	zk_pw_control_error(&b, "no \"x\"\n");
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "{\"jsonrpc\":\"2.0\",\"method\":\"$pong\"}\n"
	        "{\"jsonrpc\":\"2.0\",\"method\":\"$shutdown\",\"params\":{}}\n"
	        "{\"jsonrpc\":\"2.0\",\"method\":\"$error\",\"params\":{\"message\":"
	        "\"no \\\"x\\\"\\n\"}}\n");
	zk_buf_done(&b);
}

Test(pw_control, bad_init)
{
	static const char *const cases[] = {
		"{}",
		"{\"pipe\":1,\"schema\":{\"methods\":{},\"events\":{}}}",
		"{\"pipe\":\"/x\",\"schema\":{\"methods\":{}}}",
		"{\"pipe\":\"/x\",\"schema\":{\"events\":{}}}",
		"{\"pipe\":\"/x\",\"schema\":{\"methods\":{\"a\":{\"id\":0,\"response\":"
		"\"ack\"}},\"events\":{}}}",
		"{\"pipe\":\"/"
		"x\",\"schema\":{\"methods\":{\"a\":{\"id\":65534,\"response\":"
		"\"ack\"}},\"events\":{}}}",
		"{\"pipe\":\"/x\",\"schema\":{\"methods\":{\"a\":{\"id\":1,\"response\":"
		"\"other\"}},\"events\":{}}}",
		"{\"pipe\":\"/x\",\"schema\":{\"methods\":{\"a\":{\"id\":1,\"response\":"
		"\"ack\"},\"b\":{\"id\":1,\"response\":\"ack\"}},\"events\":{}}}",
		"{\"pipe\":\"/x\",\"schema\":{\"methods\":{},\"events\":{\"e\":{}}}}",
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_pw_table t;
		struct zk_error err;
		struct zk_buf pipe;

		zk_pw_table_init(&t);
		zk_buf_init(&pipe, 4096);
		cr_expect_eq(
		        zk_pw_control_read_init(zk_str_of(cases[i]), &pipe, &t, &err),
		        -ZK_E_PW_INIT, "case %zu", i);
		zk_pw_table_done(&t);
		zk_buf_done(&pipe);
	}
}
