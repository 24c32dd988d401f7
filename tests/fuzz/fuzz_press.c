/* Fuzz target: decompression gives the same for every chunking and never more than its cap. The
 * first byte chooses the format, the second the cap.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/press.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(struct zk_unpress *u, zk_str in, size_t step, struct zk_buf *out)
{
	struct zk_error err;
	int r = 0;

	zk_unpress_reset(u);
	for (size_t at = 0; r == 0 && at < in.n; at += step)
		r = zk_unpress_put(u, zk_str_n(in.p + at, ZK_MIN(step, in.n - at)), out,
		                   &err);
	return r < 0 ? r : zk_unpress_end(u, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 7 };
	struct zk_unpress *u = NULL;
	struct zk_buf whole, part;
	struct zk_error err;
	size_t cap;
	zk_str in;
	int r;

	if (size < 2)
		return 0;
	in = zk_str_n((const char *)data + 2, size - 2);
	cap = (size_t)data[1] << (data[1] & 7);
	ZK_ASSERT(zk_unpress_new((enum zk_press)(data[0] % 3), NULL, cap, &u, &err) == 0);
	zk_buf_init(&whole, SIZE_MAX);
	zk_buf_init(&part, SIZE_MAX);
	r = feed(u, in, ZK_MAX(in.n, (size_t)1), &whole);
	ZK_ASSERT(r == 0 || r == -ZK_E_DATA || r == -ZK_E_LIMIT);
	ZK_ASSERT(whole.n <= cap);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		zk_buf_clear(&part);
		ZK_ASSERT((feed(u, in, steps[i], &part) == 0) == (r == 0));
		ZK_ASSERT(part.n <= cap);
		ZK_ASSERT(r < 0 || zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)));
	}
	zk_buf_done(&whole);
	zk_buf_done(&part);
	zk_unpress_free(u);
	return 0;
}
