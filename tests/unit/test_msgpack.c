/* codec/msgpack: the values of specs/procwire.md §17 and what hostile bytes may hold.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <math.h>
#include <msgpack.h>
#include <string.h>

#include "base/buf.h"
#include "codec/digest.h"
#include "codec/msgpack.h"

#include "base/ban.h"

static struct zk_buf bytes_of(const char *hex)
{
	struct zk_buf b;
	size_t n = strlen(hex) / 2;

	zk_buf_init(&b, 1 << 20);
	cr_assert(zk_buf_reserve(&b, n + 1));
	cr_assert(zk_hex_decode(zk_str_of(hex), (uint8_t *)b.p, n));
	b.n = n;
	return b;
}

static void expect_hex(struct zk_buf *b, const char *hex)
{
	struct zk_buf got;

	zk_buf_init(&got, 1 << 20);
	zk_hex_encode(zk_buf_str(b), &got);
	cr_expect_str_eq(zk_buf_cstring(&got), hex);
	zk_buf_done(&got);
	zk_buf_clear(b);
}

/* JSON and the bytes the real parent makes of it. */
static const struct {
	const char *json, *hex;
} golden[] = {
	{ "[0,127,128,255,256,65535,65536,4294967295,4294967296,-1,-32,-33,-128,-129,-"
	  "32768,"
	  "-32769,-2147483648,-2147483649]",
	  "dc0012007fcc80ccffcd0100cdffffce00010000ceffffffffcf0000000100000000ffe0d0dfd0"
	  "80d1"
	  "ff7fd18000d2ffff7fffd280000000d3ffffffff7fffffff" },
	{ "[1.5,-0.1,9007199254740992]",
	  "93cb3ff8000000000000cbbfb999999999999acf0020000000000000" },
	{ "{\"ok\":true,\"n\":null,\"s\":\"za\u017c\u00f3\u0142\u0107\"}",
	  "83a26f6bc3a16ec0a173aa7a61c5bcc3b3c582c487" },
	{ "{\"hello\":\"world\"}", "81a568656c6c6fa5776f726c64" },
	{ "{\"percent\":50}", "81a770657263656e7432" },
	{ "null", "c0" },
	{ "[]", "90" },
	{ "{}", "80" },
	{ "[[],{},[[]]]", "93908091"
	                  "90" },
	{ "18446744073709551615", "cfffffffffffffffff" },
	{ "-9223372036854775808", "d38000000000000000" },
	{ "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]",
	  "dc00100102030405060708090a0b0c0d0e0f10" },
	{ "{\"a\":[1,{\"b\":[true,false]}],\"c\":\"\"}", "82a1619201"
	                                                 "81a16292c3c2a163a0" },
};

Test(msgpack, json_both_ways)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(golden); i++) {
		struct zk_error err = { 0 };
		struct zk_buf b, j;

		zk_buf_init(&b, 1 << 16);
		zk_buf_init(&j, 1 << 16);
		cr_assert_eq(zk_mp_from_json(zk_str_of(golden[i].json), &b, &err), 0,
		             "%s", err.msg);
		cr_expect_eq(zk_mp_check(zk_buf_str(&b), &err), 0, "%s", err.msg);
		cr_expect_eq(zk_mp_to_json(zk_buf_str(&b), &j, &err), 0, "%s", err.msg);
		cr_expect_str_eq(zk_buf_cstring(&j), golden[i].json);
		expect_hex(&b, golden[i].hex);
		zk_buf_done(&b);
		zk_buf_done(&j);
	}
}

/* msgpack-c, which shares no line with us, finds the same values in our bytes and writes them the
 * same way; and what it writes is sound to us. */
Test(msgpack, judged_by_msgpack_c)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(golden); i++) {
		struct zk_buf ours;
		struct zk_error err;
		msgpack_unpacked got;
		msgpack_sbuffer theirs;
		msgpack_packer pack;
		size_t at = 0;

		zk_buf_init(&ours, 1 << 20);
		cr_assert_eq(zk_mp_from_json(zk_str_of(golden[i].json), &ours, &err), 0);
		msgpack_unpacked_init(&got);
		cr_assert_eq(msgpack_unpack_next(&got, ours.p, ours.n, &at),
		             MSGPACK_UNPACK_SUCCESS, "%s", golden[i].json);
		cr_expect_eq(at, ours.n, "%s", golden[i].json);
		msgpack_sbuffer_init(&theirs);
		msgpack_packer_init(&pack, &theirs, msgpack_sbuffer_write);
		cr_assert_eq(msgpack_pack_object(&pack, got.data), 0);
		cr_expect(theirs.size == ours.n && !memcmp(theirs.data, ours.p, ours.n),
		          "%s", golden[i].json);
		cr_expect_eq(zk_mp_check(zk_str_n(theirs.data, theirs.size), &err), 0);
		msgpack_sbuffer_destroy(&theirs);
		msgpack_unpacked_destroy(&got);
		zk_buf_done(&ours);
	}
}

Test(msgpack, other_json)
{
	static const struct {
		const char *hex, *json;
	} cases[] = {
		{ "c70001", "\"\"" },
		{ "c70301010203", "\"AQID\"" },
		{ "c4020405", "\"BAU=\"" },
		{ "d6ff00000000", "\"1970-01-01T00:00:00.000000Z\"" },
		{ "d7ff1d5353006553f100", "\"2023-11-14T22:13:20.123000Z\"" },
		{ "c70cff3b8b87c0ffffffffffffffff", "\"1969-12-31T23:59:59.999000Z\"" },
		{ "c708023ff0000000000000", "\"1970-01-01T00:00:00.001000Z\"" },
		{ "cb7ff8000000000000", "null" },
		{ "cb7ff0000000000000", "null" },
		{ "ca3fc00000", "1.5" },
		{ "820102ff03", "{\"1\":2,\"-1\":3}" },
		{ "d90161", "\"a\"" },
		{ "dd00000001c3", "[true]" },
		{ "df00000001a16101", "{\"a\":1}" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b = bytes_of(cases[i].hex), j;
		struct zk_error err = { 0 };

		zk_buf_init(&j, 1 << 16);
		cr_expect_eq(zk_mp_check(zk_buf_str(&b), &err), 0, "case %zu: %s", i,
		             err.msg);
		cr_expect_eq(zk_mp_to_json(zk_buf_str(&b), &j, &err), 0, "case %zu: %s",
		             i, err.msg);
		cr_expect_str_eq(zk_buf_cstring(&j), cases[i].json, "case %zu", i);
		zk_buf_done(&b);
		zk_buf_done(&j);
	}
}

Test(msgpack, writing)
{
	struct zk_buf b;

	zk_buf_init(&b, 1 << 16);
	for (size_t n = 0; n < 6; n++) {
		static const char *const want[] = { "c70001",       "d40101",
			                            "d5010102",     "c70301010203",
			                            "d60101020304", "c705010102030405" };

		zk_mp_ext(&b, ZK_MP_EXT_BUFFER, zk_str_n("\1\2\3\4\5", n));
		expect_hex(&b, want[n]);
	}
	zk_mp_bin(&b, zk_str_n("\4\5", 2));
	expect_hex(&b, "c4020405");
	zk_mp_date(&b, 0);
	expect_hex(&b, "d6ff00000000");
	zk_mp_date(&b, 1700000000123000);
	expect_hex(&b, "d7ff1d5353006553f100");
	zk_mp_date(&b, -1000);
	expect_hex(&b, "c70cff3b8b87c0ffffffffffffffff");
	zk_mp_double(&b, INFINITY);
	expect_hex(&b, "cb7ff0000000000000");
	zk_mp_text(&b, ZK_STR("a\xff"
	                      "b"));
	expect_hex(&b, "a561efbfbd62");
	zk_mp_cstr(&b, NULL);
	expect_hex(&b, "c0");
	zk_mp_map(&b, 16);
	expect_hex(&b, "de0010");
	zk_mp_array(&b, 65536);
	expect_hex(&b, "dd00010000");
	zk_buf_done(&b);
}

Test(msgpack, refused)
{
	static const char *const cases[] = {
		"",           "c1",     "c0c0",         "91",     "92c0",
		"81a161",     "a2ff",   "a1ff",         "d9ff61", "dfffffffff",
		"ddffffffff", "c7ff01", "c6ffffffff00", "cd01",   "cb00000000",
		"81a1610102",
	};
	struct zk_error err;

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b = bytes_of(cases[i]);

		cr_expect_eq(zk_mp_check(zk_buf_str(&b), &err), -ZK_E_DATA, "case %zu",
		             i);
		zk_buf_done(&b);
	}
}

Test(msgpack, depth)
{
	char deep[ZK_MP_DEPTH + 2];
	struct zk_error err;

	memset(deep, (char)0x91, sizeof(deep));
	deep[ZK_MP_DEPTH] = (char)0xc0;
	cr_expect_eq(zk_mp_check(zk_str_n(deep, ZK_MP_DEPTH + 1), &err), 0);
	deep[ZK_MP_DEPTH] = (char)0x91;
	deep[ZK_MP_DEPTH + 1] = (char)0xc0;
	cr_expect_eq(zk_mp_check(zk_str_n(deep, ZK_MP_DEPTH + 2), &err), -ZK_E_DATA);
}

Test(msgpack, no_json_for)
{
	static const char *const cases[] = { "81c001", "8193010203c0", "d40561",
		                             "d7fff8000000000000ff" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b = bytes_of(cases[i]), j;
		struct zk_error err;

		zk_buf_init(&j, 4096);
		cr_expect_eq(zk_mp_to_json(zk_buf_str(&b), &j, &err), -ZK_E_DATA,
		             "case %zu", i);
		zk_buf_done(&b);
		zk_buf_done(&j);
	}
}

Test(msgpack, members)
{
	struct zk_buf b = bytes_of("84a16101a16ecb4059000000000000a16201a162a178");
	uint64_t u = 0;
	zk_str s = { 0 };

	cr_expect(zk_mp_get_u64(zk_buf_str(&b), ZK_STR("a"), &u));
	cr_expect_eq(u, 1);
	cr_expect(zk_mp_get_u64(zk_buf_str(&b), ZK_STR("n"), &u));
	cr_expect_eq(u, 100);
	cr_expect(zk_mp_get_str(zk_buf_str(&b), ZK_STR("b"), &s), "the last one counts");
	cr_expect(zk_str_eq(s, ZK_STR("x")));
	cr_expect_not(zk_mp_get(zk_buf_str(&b), ZK_STR("c"), &s));
	cr_expect_not(zk_mp_get(ZK_STR("\x01"), ZK_STR("c"), &s));
	zk_buf_done(&b);
}

Test(msgpack, a_full_buffer_is_an_error)
{
	struct zk_error err;

	for (size_t cap = 0; cap < 40; cap++) {
		struct zk_buf b;

		zk_buf_init(&b, cap);
		cr_expect_lt(zk_mp_from_json(
		                     ZK_STR("{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,"
		                            "16,17,18],\"b\":{\"c\":\"dddddddddddd\"}}"),
		                     &b, &err),
		             0, "cap %zu", cap);
		zk_buf_done(&b);
	}
}
