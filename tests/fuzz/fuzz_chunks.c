/* Chunked bodies: verdict, data and length are the same for every split; the first byte chooses
 * one. Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "net/http1.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum zk_http1_result r;
	size_t used, n;
	char *data;
};

static struct outcome decode(zk_str text, size_t step)
{
	struct outcome o = { .r = ZK_HTTP1_MORE, .data = malloc(text.n + 1) };
	struct zk_http1_chunks c;

	zk_http1_chunks_init(&c);
	for (size_t at = 0; at < text.n && o.r == ZK_HTTP1_MORE; at += step) {
		size_t n = ZK_MIN(step, text.n - at);
		char *piece = malloc(n);
		zk_str in = zk_str_n(memcpy(piece, text.p + at, n), n);

		while (in.n && o.r == ZK_HTTP1_MORE) {
			zk_str run;
			size_t used;

			o.r = zk_http1_chunks_next(&c, in, &run, &used);
			ZK_ASSERT(used > 0 && used <= in.n);
			ZK_ASSERT(!run.n ||
			          (run.p >= in.p && run.p + run.n == in.p + used));
			if (run.n)
				memcpy(o.data + o.n, run.p, run.n);
			o.n += run.n;
			o.used += used;
			in = zk_str_from(in, used);
		}
		free(piece);
	}
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;

	zk_str text = zk_str_n((const char *)data + 1, size - 1);
	size_t steps[] = { 1, 2, 1 + (size_t)data[0] };
	struct outcome whole = decode(text, text.n + 1);

	ZK_ASSERT(whole.n <= whole.used);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		struct outcome split = decode(text, steps[i]);

		ZK_ASSERT(split.r == whole.r && split.n == whole.n);
		ZK_ASSERT(split.used == whole.used || whole.r == ZK_HTTP1_MORE);
		ZK_ASSERT(memcmp(split.data, whole.data, whole.n) == 0);
		free(split.data);
	}
	free(whole.data);
	return 0;
}
