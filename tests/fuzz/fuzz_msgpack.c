/* Fuzz target: what the walker accepts converts to JSON that scans, and what came from JSON is
 * accepted; reading members never leaves the bytes.
 * Layer: tests. */
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/msgpack.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void from_json(zk_str text)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, 1 << 20);
	if (zk_mp_from_json(text, &b, &err) == 0)
		ZK_ASSERT(zk_mp_check(zk_buf_str(&b), &err) == 0);
	zk_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size), rest = text, s;
	struct zk_error err = { 0 };
	struct zk_jscan js;
	struct zk_buf json;
	uint64_t u;

	(void)zk_mp_get(text, ZK_STR("a"), &s);
	(void)zk_mp_get_u64(text, ZK_STR("n"), &u);
	(void)zk_mp_bytes(text, &s);
	s = zk_mp_take(&rest);
	ZK_ASSERT(s.n + rest.n == size);
	zk_buf_init(&json, 1 << 22);
	if (zk_mp_check(text, &err) == 0) {
		ZK_ASSERT(zk_str_eq(s, text));
		if (zk_mp_to_json(text, &json, &err) == 0) {
			ZK_ASSERT(zk_jscan(zk_buf_str(&json), 256, NULL, 0, &js) == 0);
			from_json(zk_buf_str(&json));
		}
	}
	from_json(text);
	zk_buf_done(&json);
	return 0;
}
