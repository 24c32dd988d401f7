/* Fuzz target: what a service, and for the stand-in a client, may say: gRPC frames cut into messages
 * at any chunk size give the same messages, and each is decoded or refused.
 * The first byte is the size of the chunks.
 * Layer: tests. */
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/grpc.h"
#include "zerobus/decode.h"
#include "zerobus/proto.h"

#include "base/ban.h"

#define MESSAGE_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned n;
	uint64_t sum;
	int end;
};

static void look_at(zk_str msg)
{
	struct zk_zb_answer answer;
	struct zk_zb_ask ask;
	struct zk_error err = { 0 };
	struct zk_buf json;
	struct zk_zb_framed *f = zk_zb_framed_new(NULL);
	size_t at = 0;
	zk_str row;

	if (zk_zb_answer_parse(msg, &answer, &err) < 0)
		ZK_ASSERT(err.msg[0]);
	if (zk_zb_ask_parse(msg, &ask, &err) == 0)
		while (ask.what == ZK_ZB_ASKS_INGEST &&
		       zk_zb_ask_next(&ask, &at, &row, &err) > 0)
			ZK_ASSERT(row.n <= msg.n);
	zk_buf_init(&json, (size_t)16 << 20);
	if (zk_zb_framed_message(f, msg, &json, &err) < 0)
		ZK_ASSERT(err.msg[0]);
	zk_buf_done(&json);
	zk_zb_framed_free(f);
}

static struct seen split(zk_str all, size_t chunk, bool look)
{
	struct zk_grpc_split s;
	struct seen seen = { 0 };
	struct zk_error err = { 0 };
	zk_str msg;

	zk_grpc_split_init(&s, MESSAGE_MAX);
	while (all.n && seen.end == 0) {
		zk_str piece = zk_str_n(all.p, ZK_MIN(chunk, all.n));

		all = zk_str_from(all, piece.n);
		while ((seen.end = zk_grpc_split_next(&s, &piece, &msg, &err)) > 0) {
			seen.n++;
			seen.sum = seen.sum * 31 + msg.n;
			if (look)
				look_at(msg);
		}
	}
	zk_grpc_split_done(&s);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str all = zk_str_n((const char *)data + 1, size - 1);
	struct seen a, b;

	if (size < 1)
		return 0;
	a = split(all, 1u + data[0], /* look */ true);
	b = split(all, 1, /* look */ false);
	ZK_ASSERT(a.n == b.n && a.sum == b.sum && a.end == b.end);
	return 0;
}
