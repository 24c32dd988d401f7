/* Fuzz target: address ranges and the guard. What parses contains its own first address,
 * and the guard has an opinion about every text. Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/guard.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_error err = { 0 };
	struct zk_cidr range;
	struct zk_guard guard = { 0 };
	zk_str in = zk_str_n((const char *)data, size);
	int r = zk_cidr_parse(in, &range, &err);
	char text[64];

	ZK_ASSERT(r == 0 || (r == -ZK_E_DATA && err.code == ZK_E_DATA));
	if (r == 0) {
		ZK_ASSERT(range.bits <= 128 && zk_cidr_has(&range, range.addr));
		guard.allow = &range;
		guard.n_allow = 1;
	}
	if (size < sizeof(text)) {
		if (size)
			memcpy(text, data, size);
		text[size] = '\0';
		(void)zk_guard_judge_text(&guard, text, 443);
		/* A bare address that was allowed is not blocked. */
		if (r == 0 && strlen(text) == size && !memchr(text, '/', size))
			ZK_ASSERT(!zk_guard_judge_text(&guard, text, 443));
	}
	return 0;
}
