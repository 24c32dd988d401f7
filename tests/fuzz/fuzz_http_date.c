/* Fuzz target: HTTP dates. A date that is read prints, in the form of today, as one that is read
 * as the same time, and no byte may follow it.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[64], longer[128];
	struct zk_error err;
	int64_t s = 77, back;
	time_t when;
	struct tm tm;

	if (zk_parse_http_date(zk_str_n((const char *)data, size), &s, &err) < 0) {
		ZK_ASSERT(s == 77 && err.code == ZK_E_DATA && err.msg[0]);
		return 0;
	}
	ZK_ASSERT(s >= INT64_C(-62135596800) && s <= INT64_C(253402300800));
	when = (time_t)s;
	if (s < INT64_C(253402300800) && gmtime_r(&when, &tm)) {
		size_t n = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);

		/* strftime does not fill years below 1000 with zeros. */
		if (tm.tm_year >= 1000 - 1900) {
			ZK_ASSERT(zk_parse_http_date(zk_str_n(text, n), &back, &err) ==
			          0);
			ZK_ASSERT(back == s);
		}
	}
	ZK_ASSERT(size < sizeof(longer));
	memcpy(longer, data, size);
	longer[size] = ' ';
	ZK_ASSERT(zk_parse_http_date(zk_str_n(longer, size + 1), &s, &err) < 0);
	ZK_ASSERT(zk_parse_http_date(zk_str_n(longer, size - 1), &s, &err) < 0);
	return 0;
}
