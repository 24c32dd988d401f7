/* Fuzz target: the decoder of server-sent events gives the same events for every
 * chunking, and keeps its caps. The first byte chooses the chunk size. Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/sse.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP 256

/* Decodes and writes down all that is seen. */
static void decode(zk_str in, size_t step, struct zk_buf *out)
{
	enum zk_sse_result r = ZK_SSE_MORE;
	struct zk_sse_event ev;
	struct zk_sse s;
	size_t used;

	zk_sse_init(&s, CAP);
	for (size_t at = 0; at < in.n && r != ZK_SSE_TOO_LONG; at += step) {
		zk_str piece = zk_str_n(in.p + at, ZK_MIN(step, in.n - at));

		while ((r = zk_sse_next(&s, piece, &used, &ev)) == ZK_SSE_EVENT) {
			ZK_ASSERT(used <= piece.n && ev.data.n <= CAP);
			zk_buf_printf(out, "%zu %zu %zu;", ev.id.n, ev.event.n,
			              ev.data.n);
			zk_buf_add(out, ev.id);
			zk_buf_add(out, ev.event);
			zk_buf_add(out, ev.data);
			piece = zk_str_from(piece, used);
		}
		ZK_ASSERT(r == ZK_SSE_TOO_LONG || used == piece.n);
	}
	zk_buf_printf(out, "end %d %lld %llu", r == ZK_SSE_TOO_LONG,
	              (long long)s.retry_ms, (unsigned long long)s.comments);
	zk_buf_add(out, zk_buf_str(&s.id));
	zk_sse_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_buf whole, pieces, single;
	zk_str in;

	if (size < 1)
		return 0;
	in = zk_str_n((const char *)data + 1, size - 1);
	zk_buf_init(&whole, 1 << 24);
	zk_buf_init(&pieces, 1 << 24);
	zk_buf_init(&single, 1 << 24);
	decode(in, in.n + 1, &whole);
	decode(in, 1 + data[0] % 32, &pieces);
	decode(in, 1, &single);
	ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&pieces)));
	ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&single)));
	zk_buf_done(&whole);
	zk_buf_done(&pieces);
	zk_buf_done(&single);
	return 0;
}
