/* Fuzz target: whatever an Arrow input holds, reading it touches nothing outside, and a stream
 * gives the same in pieces. Files go through their footer too.
 * Layer: tests. */
#include <stdint.h>

#include "arrow_walk.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str bytes = zk_str_n((const char *)data, size);
	struct arrow_walked whole = arrow_walk(bytes, SIZE_MAX, false);
	struct arrow_walked part = arrow_walk(bytes, 13, false);

	ZK_ASSERT(whole.r == part.r && whole.rows == part.rows && whole.sum == part.sum);
	ZK_ASSERT(whole.r == 0 || whole.err.msg[0]);
	if (size > 6 && memcmp(data, "ARROW1", 6) == 0)
		(void)arrow_walk(bytes, SIZE_MAX, true);
	return 0;
}
