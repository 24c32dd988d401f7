/* Messages of the Zerobus protocol: the golden vectors of specs/zerobus.md §21, both directions.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "net/grpc.h"
#include "zerobus/proto.h"
#include "zerobus/request.h"

#include "base/ban.h"

static const char air[] =
        "0a0341697212130a0b6465766963655f6e616d65180120012809120c0a0474656d701802"
        "20012805"
        "12100a0868756d6964697479180320012803";

static zk_str bytes_of(const char *hex, struct zk_buf *b)
{
	size_t n = strlen(hex) / 2;
	uint8_t *to = (uint8_t *)zk_buf_reserve(b, n ? n : 1);

	cr_assert(zk_hex_decode(zk_str_of(hex), to, n));
	b->n += n;
	return zk_str_n((const char *)to, n);
}

static void expect_hex(const struct zk_buf *b, const char *want)
{
	struct zk_buf hex ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&hex, 65536);
	zk_hex_encode(zk_buf_str(b), &hex);
	cr_expect_str_eq(zk_buf_cstring(&hex), want);
}

Test(zb_proto, create)
{
	struct zk_buf raw ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str table = ZK_STR("main.default.air_quality");
	struct zk_zb_kind *k;

	zk_buf_init(&raw, 4096);
	zk_buf_init(&b, 4096);
	k = zk_zb_kind_new(ZK_ZB_PROTO, bytes_of(air, &raw));
	zk_zb_put_create(&b, table, k);
	expect_hex(
	        &b,
	        "000000005a0a580a186d61696e2e64656661756c742e6169725f7175616c6974791a3a"
	        "0a0341697212130a0b6465766963655f6e616d65180120012809120c0a0474656d70"
	        "180220012805"
	        "12100a0868756d69646974791803200128032001");
	zk_zb_kind_unref(k);
	zk_buf_clear(&b);
	k = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	zk_zb_put_create(&b, table, k);
	expect_hex(
	        &b,
	        "000000001e0a1c0a186d61696e2e64656661756c742e6169725f7175616c6974792002");
	zk_zb_kind_unref(k);
}

static const struct {
	enum zk_zb_record_type type;
	bool single;
	int64_t offset;
	const char *rows[3]; /* hexadecimal */
	size_t n;
	const char *want;
} requests[] = {
	{ ZK_ZB_PROTO,
	  true,
	  0,
	  { "0a0873656e736f722d3110fbffffffffffffffff0118ac02" },
	  1,
	  "000000001e121c080012180a0873656e736f722d3110fbffffffffffffffff0118ac02" },
	{ ZK_ZB_PROTO, true, 300, { "" }, 1, "0000000007120508ac021200" },
	{ ZK_ZB_JSON,
	  true,
	  1,
	  { "7b226465766963655f6e616d65223a2273656e736f722d31222c2274656d70223a2d352c2268"
	    "756d69646974"
	    "79223a3330307d" },
	  1,
	  "0000000039123708011a337b226465766963655f6e616d65223a2273656e736f722d31222c2274"
	  "656d70223a2d"
	  "352c2268756d6964697479223a3330307d" },
	{ ZK_ZB_PROTO,
	  false,
	  2,
	  { "0a0873656e736f722d3110fbffffffffffffffff0118ac02", "0a001000", "" },
	  3,
	  "00000000281a26080212220a180a0873656e736f722d3110fbffffffffffffffff0118ac020a04"
	  "0a0010000a"
	  "00" },
	{ ZK_ZB_JSON,
	  false,
	  3,
	  { "7b2274656d70223a317d", "7b7d" },
	  2,
	  "00000000161a1408031a100a0a7b2274656d70223a317d0a027b7d" },
};

Test(zb_proto, requests_and_what_the_stand_in_reads_of_them)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(requests); i++) {
		struct zk_zb_kind *k = zk_zb_kind_new(requests[i].type, ZK_STR("d"));
		struct zk_zb_request *r = zk_zb_request_new(k, "in");
		struct zk_buf raw ZK_CLEANUP(zk_buf_done) = { 0 };
		struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
		char head[ZK_ZB_HEAD_MAX];
		struct zk_zb_ask a;
		struct zk_error err = { 0 };
		size_t at = 0, n = 0;
		zk_str row;

		zk_buf_init(&raw, 4096);
		zk_buf_init(&b, 4096);
		r->single = requests[i].single;
		for (size_t j = 0; j < requests[i].n; j++) {
			zk_buf_clear(&raw);
			zk_zb_request_add(r, bytes_of(requests[i].rows[j], &raw), j, 0);
		}
		zk_buf_put(&b, head, zk_zb_request_head(r, requests[i].offset, head));
		zk_buf_add(&b, zk_zb_request_body(r));
		expect_hex(&b, requests[i].want);
		cr_expect_leq(b.n - ZK_GRPC_HEAD, zk_zb_message_size(r->n), "case %zu",
		              i);
		cr_assert_eq(zk_zb_ask_parse(zk_str_from(zk_buf_str(&b), ZK_GRPC_HEAD),
		                             &a, &err),
		             0);
		cr_expect_eq(a.what, ZK_ZB_ASKS_INGEST);
		cr_expect_eq(a.offset, requests[i].offset);
		cr_expect_eq(a.type, requests[i].type);
		while (zk_zb_ask_next(&a, &at, &row, &err) > 0)
			n++;
		cr_expect_eq(n, requests[i].n, "case %zu", i);
		zk_zb_request_free(r);
		zk_zb_kind_unref(k);
	}
}

static const struct {
	const char *hex; /* framed */
	enum zk_zb_says what;
	int64_t v; /* acknowledged, or the duration */
	bool has;
} answers[] = {
	{ "00000000280a260a2431313131313131312d323232322d333333332d343434342d353535353535"
	  "3535353535"
	  "35",
	  ZK_ZB_SAYS_CREATED, 0, false },
	{ "000000000412020800", ZK_ZB_SAYS_ACK, 0, true },
	{ "0000000005120308ac02", ZK_ZB_SAYS_ACK, 300, true },
	{ "000000000d120b08ffffffffffffffffff01", ZK_ZB_SAYS_ACK, -1, true },
	{ "00000000021200", ZK_ZB_SAYS_ACK, 0, false },
	{ "000000000b1a090a0708051080e59a77", ZK_ZB_SAYS_CLOSE, 5250, false },
	{ "00000000021a00", ZK_ZB_SAYS_CLOSE, -1, false },
	/* something that a newer server says */
	{ "000000000422020800", ZK_ZB_SAYS_NOTHING, 0, false },
};

Test(zb_proto, answers_at_every_chunk_size)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(answers); i++) {
		struct zk_buf raw ZK_CLEANUP(zk_buf_done) = { 0 };
		zk_str all;

		zk_buf_init(&raw, 4096);
		all = bytes_of(answers[i].hex, &raw);
		for (size_t chunk = 1; chunk <= all.n; chunk++) {
			struct zk_grpc_split s;
			struct zk_error err = { 0 };
			struct zk_zb_answer a;
			unsigned n = 0;

			zk_grpc_split_init(&s, 65536);
			for (size_t at = 0; at < all.n; at += chunk) {
				zk_str piece = zk_str_n(all.p + at,
				                        ZK_MIN(chunk, all.n - at)),
				       msg;

				while (zk_grpc_split_next(&s, &piece, &msg, &err) > 0) {
					cr_assert_eq(zk_zb_answer_parse(msg, &a, &err),
					             0);
					cr_expect_eq(a.what, answers[i].what, "case %zu",
					             i);
					if (a.what == ZK_ZB_SAYS_ACK) {
						cr_expect_eq(a.has_acked, answers[i].has);
						cr_expect_eq(a.acked, answers[i].v);
					}
					if (a.what == ZK_ZB_SAYS_CLOSE)
						cr_expect_eq(a.duration_ms, answers[i].v);
					n++;
				}
			}
			cr_expect_eq(n, 1u, "case %zu, chunk %zu", i, chunk);
			cr_expect(zk_grpc_split_is_whole(&s));
			zk_grpc_split_done(&s);
		}
	}
}

Test(zb_proto, every_truncation_is_an_error_or_incomplete)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(answers); i++) {
		struct zk_buf raw ZK_CLEANUP(zk_buf_done) = { 0 };
		zk_str all;

		zk_buf_init(&raw, 4096);
		all = zk_str_from(bytes_of(answers[i].hex, &raw), ZK_GRPC_HEAD);
		for (size_t n = 1; n < all.n; n++) {
			struct zk_error err = { 0 };
			struct zk_zb_answer a;

			cr_expect_lt(zk_zb_answer_parse(zk_str_n(all.p, n), &a, &err), 0,
			             "case %zu cut at %zu", i, n);
			cr_expect_eq(err.code, ZK_E_ZB_PROTOCOL);
		}
	}
}

Test(zb_proto, the_stand_in_says_what_the_client_reads)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, 4096);
	zk_zb_put_ack(&b, 300);
	expect_hex(&b, "0000000005120308ac02");
	zk_buf_clear(&b);
	zk_zb_put_ack(&b, -1);
	expect_hex(&b, "000000000d120b08ffffffffffffffffff01");
	zk_buf_clear(&b);
	zk_zb_put_close(&b, 5250);
	expect_hex(&b, "000000000b1a090a0708051080e59a77");
	zk_buf_clear(&b);
	zk_zb_put_close(&b, -1);
	expect_hex(&b, "00000000021a00");
}

/* ---- requests ---- */

Test(zb_request, rows_know_where_they_come_from_also_after_a_split)
{
	struct zk_zb_kind *k = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	struct zk_zb_request *r = zk_zb_request_new(k, "in"), *half[2];
	const uint64_t rows[] = { 0, 1, 2, 5, 6, 9 };
	size_t n = 0;

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		zk_zb_request_add(r, ZK_STR("{}"), rows[i], 2 * rows[i] + 1);
	r->spool_ids = zk_alloc_array(6, sizeof(*r->spool_ids));
	for (int i = 0; i < 6; i++)
		r->spool_ids[i] = 100 + i;
	zk_zb_request_split(r, &half[0], &half[1]);
	for (int h = 0; h < 2; h++) {
		struct zk_zb_cursor c = { 0 };

		cr_expect_eq(half[h]->rows, 3u);
		while (zk_zb_request_next(half[h], &c)) {
			cr_expect_eq(c.place.row, rows[n]);
			cr_expect_eq(c.place.line, 2 * rows[n] + 1);
			cr_expect_eq(c.place.spool_id, 100 + (int64_t)n);
			cr_expect(zk_str_eq(c.payload, ZK_STR("{}")));
			n++;
		}
		zk_zb_request_free(half[h]);
	}
	cr_expect_eq(n, 6u);
	zk_zb_kind_unref(k);
}
