/* Redis URLs: accepted texts give a target, refused ones an error that does not quote them.
 * Layer: tests. */
#include <stdint.h>

#include "store/redis.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_error err = { 0 };
	struct zk_redis_url u = { 0 };
	int r = zk_redis_url_parse(zk_str_n((const char *)data, size), &u, &err);

	if (r < 0) {
		ZK_ASSERT(r == -ZK_E_CONFIG_VALUE && err.msg[0] && !u.host && !u.path);
		return 0;
	}
	ZK_ASSERT(!u.host != !u.path && (u.path || (u.port >= 1 && u.port <= 65535)));
	ZK_ASSERT(!u.user || u.password);
	zk_redis_url_done(&u);
	return 0;
}
