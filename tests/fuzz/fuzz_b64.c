/* Fuzz target: base64 and hexadecimal. A text that is read is the only one of its bytes, and all
 * bytes come back.
 * Layer: tests. */
#include <stdint.h>

#include "base/buf.h"
#include "codec/b64.h"
#include "codec/digest.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_text(zk_str text, enum zk_b64 kind)
{
	struct zk_buf bytes, again;

	zk_buf_init(&bytes, text.n);
	zk_buf_init(&again, text.n);
	if (zk_b64_decode(text, kind, &bytes)) {
		zk_b64_encode(zk_buf_str(&bytes), kind, &again);
		ZK_ASSERT(zk_str_eq(zk_buf_str(&again), text));
	} else {
		ZK_ASSERT(bytes.n == 0 && !bytes.failed);
	}
	zk_buf_done(&bytes);
	zk_buf_done(&again);
}

static void all_bytes(zk_str in, enum zk_b64 kind)
{
	struct zk_buf text, back;

	zk_buf_init(&text, 2 * in.n + 4);
	zk_buf_init(&back, in.n);
	zk_b64_encode(in, kind, &text);
	ZK_ASSERT(!text.failed && zk_b64_decode(zk_buf_str(&text), kind, &back));
	ZK_ASSERT(zk_str_eq(zk_buf_str(&back), in));
	zk_buf_done(&text);
	zk_buf_done(&back);
}

static void hexadecimal(zk_str in)
{
	struct zk_buf text;
	uint8_t back[64];

	in.n = ZK_MIN(in.n, sizeof(back));
	zk_buf_init(&text, 2 * sizeof(back));
	zk_hex_encode(in, &text);
	ZK_ASSERT(zk_hex_decode(zk_buf_str(&text), back, in.n));
	ZK_ASSERT(zk_str_eq(zk_str_n((const char *)back, in.n), in));
	if (zk_hex_decode(in, back, in.n / 2)) {
		zk_buf_clear(&text);
		zk_hex_encode(zk_str_n((const char *)back, in.n / 2), &text);
		ZK_ASSERT(zk_str_eq_nocase(zk_buf_str(&text), in));
	}
	zk_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str in = zk_str_n((const char *)data, size);

	for (int kind = ZK_B64_STD; kind <= ZK_B64_URL; kind++) {
		one_text(in, (enum zk_b64)kind);
		all_bytes(in, (enum zk_b64)kind);
	}
	hexadecimal(in);
	return 0;
}
