/* The protobuf wire format: every number at its borders, nesting, damage.
 * Layer: tests. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/pb.h"

#include "base/ban.h"

static const struct {
	uint64_t v;
	zk_str bytes;
} numbers[] = {
	{ 0, ZK_STR_INIT("\x00") },
	{ 127, ZK_STR_INIT("\x7f") },
	{ 128, ZK_STR_INIT("\x80\x01") },
	{ 300, ZK_STR_INIT("\xac\x02") },
	{ 16383, ZK_STR_INIT("\xff\x7f") },
	{ 16384, ZK_STR_INIT("\x80\x80\x01") },
	{ 0x7fffffff, ZK_STR_INIT("\xff\xff\xff\xff\x07") },
	{ INT64_MAX, ZK_STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\x7f") },
	{ UINT64_MAX, ZK_STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") },
};

Test(pb, varints_both_ways)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(numbers); i++) {
		struct zk_buf b;
		zk_str s;
		uint64_t v = 1;

		zk_buf_init(&b, 64);
		zk_pb_put_varint(&b, numbers[i].v);
		cr_expect(zk_str_eq(zk_buf_str(&b), numbers[i].bytes), "case %zu", i);
		cr_expect_eq(zk_pb_varint_size(numbers[i].v), numbers[i].bytes.n);
		s = zk_buf_str(&b);
		cr_expect_eq(zk_pb_take_varint(&s, &v), 1);
		cr_expect_eq(v, numbers[i].v, "case %zu", i);
		cr_expect_eq(s.n, 0u);
		for (size_t n = 0; n < numbers[i].bytes.n; n++) {
			zk_str cut = zk_str_n(numbers[i].bytes.p, n);

			cr_expect_eq(zk_pb_take_varint(&cut, &v), 0);
		}
		zk_buf_done(&b);
	}
	for (unsigned shift = 0; shift < 64; shift++) {
		char text[ZK_PB_VARINT_MAX];
		uint64_t v = (uint64_t)1 << shift;

		cr_expect_eq(zk_pb_varint_size(v),
		             (size_t)(zk_pb_write_varint(text, v) - text));
		cr_expect_eq(zk_pb_varint_size(v - 1),
		             (size_t)(zk_pb_write_varint(text, v - 1) - text));
	}
}

Test(pb, nested_messages_of_every_length)
{
	static const size_t sizes[] = { 0, 1, 100, 127, 128, 129, 16383, 16384, 70000 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(sizes); i++) {
		char *text = zk_alloc(sizes[i] + 1);
		struct zk_pb_in in;
		struct zk_pb_item it;
		struct zk_buf b;
		size_t outer, inner;

		memset(text, 'x', sizes[i]);
		zk_buf_init(&b, 1 << 20);
		outer = zk_pb_put_open(&b, 7);
		inner = zk_pb_put_open(&b, 300);
		zk_pb_put_bytes(&b, 1, zk_str_n(text, sizes[i]));
		zk_pb_put_close(&b, inner);
		zk_pb_put_int(&b, 2, -5);
		zk_pb_put_close(&b, outer);
		zk_pb_in_init(&in, zk_buf_str(&b));
		cr_assert_eq(zk_pb_next(&in, &it), 1);
		cr_expect_eq(it.number, 7u);
		cr_assert_eq(it.wire, ZK_PB_LEN);
		struct zk_pb_in sub;

		cr_expect_eq(zk_pb_next(&in, &it), 0);
		zk_pb_in_init(&sub, it.bytes);
		cr_assert_eq(zk_pb_next(&sub, &it), 1);
		cr_expect_eq(it.number, 300u);
		zk_str deep = it.bytes;

		cr_assert_eq(zk_pb_next(&sub, &it), 1);
		cr_expect_eq((int64_t)it.v, -5);
		cr_expect_eq(zk_pb_next(&sub, &it), 0);
		zk_pb_in_init(&sub, deep);
		cr_assert_eq(zk_pb_next(&sub, &it), 1);
		cr_expect(zk_str_eq(it.bytes, zk_str_n(text, sizes[i])));
		zk_buf_done(&b);
		free(text);
	}
}

static const struct {
	const char *hex;
	int r; /* of the first zk_pb_next() */
} damaged[] = {
	{ "", 0 },
	{ "08", -1 },   /* no value */
	{ "0880", -1 }, /* half a number */
	{ "0801", 1 },
	{ "00", -1 },         /* field 0 */
	{ "0a05616263", -1 }, /* three of five bytes */
	{ "0affffffffffffffffff01", -1 },
	{ "0affffffffffffffffffff01", -1 }, /* more than 64 bits */
	{ "0bff", -1 },                     /* a group */
	{ "0c", -1 },
	{ "0e", -1 }, /* wire types 6 and 7 */
	{ "0f", -1 },
	{ "09ffffffffffffff", -1 },
	{ "0dffffff", -1 },
	{ "0dffffffff", 1 },
	{ "ffffffff7f", -1 }, /* a number above 2^29 - 1 */
	{ "faffffff0f00", 1 },
};

Test(pb, damage_is_named)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(damaged); i++) {
		uint8_t bytes[64];
		size_t n = strlen(damaged[i].hex) / 2;
		struct zk_pb_in in;
		struct zk_pb_item it;

		cr_assert(zk_hex_decode(zk_str_of(damaged[i].hex), bytes, n));
		zk_pb_in_init(&in, zk_str_n((const char *)bytes, n));
		cr_expect_eq(zk_pb_next(&in, &it), damaged[i].r, "case %zu", i);
		cr_expect_eq(in.what != NULL, damaged[i].r < 0, "case %zu", i);
	}
}

Test(pb, a_full_buffer_fails_and_writes_nothing_outside)
{
	struct zk_buf b;
	struct zk_error err;

	zk_buf_init(&b, 130);
	size_t mark = zk_pb_put_open(&b, 1);

	for (int i = 0; i < 128; i++)
		zk_buf_char(&b, 'x');
	zk_pb_put_close(&b, mark); /* needs one byte more than fits */
	cr_expect(b.failed);
	cr_expect_eq(zk_buf_check(&b, &err), -ZK_E_LIMIT);
	zk_buf_done(&b);
}

Test(pb, zigzag)
{
	cr_expect_eq(zk_pb_zigzag(0), 0);
	cr_expect_eq(zk_pb_zigzag(1), -1);
	cr_expect_eq(zk_pb_zigzag(2), 1);
	cr_expect_eq(zk_pb_zigzag(UINT64_MAX), INT64_MIN);
}
