/* Fuzz target: Retry-After. The first eight bytes are the wall clock.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "net/http.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t now, ms;

	if (size < sizeof(now))
		return 0;
	memcpy(&now, data, sizeof(now));
	ms = zk_http_retry_after(
	        zk_str_n((const char *)data + sizeof(now), size - sizeof(now)), now);
	ZK_ASSERT(ms >= -1);
	return 0;
}
