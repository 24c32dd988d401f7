/* Fuzz target: the frame decoder finds the same frames for every chunking and keeps nothing of a
 * payload. The first byte is the limit of a payload in units of 16.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "procwire/wire.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct zk_buf *out, const struct zk_pw_decoder *d, enum zk_pw_found f)
{
	if (f == ZK_PW_FRAME || f == ZK_PW_BEGIN) {
		ZK_ASSERT(!zk_pw_header_wrong(d->header, d->max_payload));
		zk_buf_printf(out, ";%u %u %u %u:", d->header.method, d->header.flags,
		              d->header.request, d->header.length);
	}
	if (f == ZK_PW_FRAME)
		ZK_ASSERT(d->bytes.n == d->header.length);
	if (f == ZK_PW_PIECE || f == ZK_PW_LAST)
		ZK_ASSERT(d->bytes.n > 0);
	if (f != ZK_PW_BEGIN)
		zk_buf_add(out, d->bytes);
}

static void decode(zk_str in, uint32_t limit, size_t step, struct zk_buf *out)
{
	struct zk_pw_decoder d;
	bool wrong = false;

	zk_buf_clear(out);
	zk_pw_decoder_init(&d, limit);
	for (size_t at = 0; at < in.n && !wrong; at += step) {
		size_t n = ZK_MIN(step, in.n - at);
		char *copy = zk_alloc(n);
		zk_str piece = zk_str_n(copy, n);
		enum zk_pw_found f;

		memcpy(copy, in.p + at, n);
		while ((f = zk_pw_decode(&d, &piece)) != ZK_PW_MORE && !wrong) {
			wrong = f == ZK_PW_WRONG;
			if (wrong)
				zk_buf_printf(out, ";%s", d.why);
			else
				note(out, &d, f);
		}
		ZK_ASSERT(wrong || piece.n == 0);
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 3, 7, 11, 12, 64 };
	struct zk_buf whole, part;
	zk_str in;

	if (size < 2)
		return 0;
	in = zk_str_n((const char *)data + 1, size - 1);
	zk_buf_init(&whole, SIZE_MAX);
	zk_buf_init(&part, SIZE_MAX);
	decode(in, data[0] * 16u, in.n, &whole);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		decode(in, data[0] * 16u, steps[i], &part);
		ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)));
	}
	zk_buf_done(&whole);
	zk_buf_done(&part);
	return 0;
}
