/* Fuzz target: RFC 3339. A time that is read prints as one that is read as the same time.
 * Layer: tests. */
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int64_t min = INT64_C(-62135596800) * 1000000;
	const int64_t max = INT64_C(253402300799) * 1000000 + 999999;
	char text[ZK_RFC3339_MAX];
	struct zk_error err;
	int64_t us = 77, back;

	if (zk_parse_rfc3339(zk_str_n((const char *)data, size), &us, &err) < 0) {
		ZK_ASSERT(us == 77 && err.code == ZK_E_DATA && err.msg[0]);
		return 0;
	}
	/* An offset moves a time at most a day over the edges of the calendar. */
	ZK_ASSERT(us >= min - INT64_C(86400000000) && us <= max + INT64_C(86400000000));
	ZK_ASSERT(zk_format_rfc3339(us, text) == 27);
	ZK_ASSERT(zk_parse_rfc3339(zk_str_n(text, 27), &back, &err) == 0);
	ZK_ASSERT(back == ZK_MAX(min, ZK_MIN(us, max)));
	ZK_ASSERT(zk_parse_rfc3339(zk_str_n((const char *)data, size - 1), &back, &err) <
	          0);
	return 0;
}
