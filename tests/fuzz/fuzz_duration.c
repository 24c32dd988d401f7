/* Fuzz target: durations, sizes and numbers. What is read prints in the smallest unit as a text
 * that is read as the same, and the parsers of numbers agree with each other.
 * Layer: tests. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void durations(zk_str text)
{
	int64_t ms = -77, back;
	struct zk_error err;
	char out[32];
	int n;

	if (zk_parse_duration(text, &ms, &err) < 0) {
		ZK_ASSERT(ms == -77 && err.code == ZK_E_DATA && err.msg[0]);
		return;
	}
	ZK_ASSERT(ms >= 0);
	n = snprintf(out, sizeof(out), "%lldms", (long long)ms);
	ZK_ASSERT(zk_parse_duration(zk_str_n(out, (size_t)n), &back, &err) == 0 &&
	          back == ms);
	ZK_ASSERT(zk_parse_duration(zk_str_n(out, (size_t)n - 2), &back, &err) < 0 ||
	          ms == 0);
}

static void sizes(zk_str text)
{
	uint64_t bytes = 77, back;
	struct zk_error err;
	char out[32];
	int n;

	if (zk_parse_size(text, &bytes, &err) < 0) {
		ZK_ASSERT(bytes == 77 && err.code == ZK_E_DATA && err.msg[0]);
		return;
	}
	n = snprintf(out, sizeof(out), "%lluB", (unsigned long long)bytes);
	ZK_ASSERT(zk_parse_size(zk_str_n(out, (size_t)n), &back, &err) == 0 &&
	          back == bytes);
}

static void numbers(zk_str text)
{
	struct zk_error err;
	uint64_t u = 0;
	int64_t i = 0;
	double d = 0;
	bool b;
	int ru = zk_parse_u64(text, &u, &err), ri = zk_parse_i64(text, &i, &err);
	int rd = zk_parse_double(text, &d, &err);

	if (ru == 0 && u <= INT64_MAX)
		ZK_ASSERT(ri == 0 && (uint64_t)i == u);
	if (ri == 0 && i >= 0 && text.p[0] != '-')
		ZK_ASSERT(ru == 0 && u == (uint64_t)i);
	if (ru == 0)
		ZK_ASSERT(rd == 0 && d == (double)u);
	else if (ri == 0)
		ZK_ASSERT(rd == 0 && d == (double)i);
	if (rd == 0)
		ZK_ASSERT(isfinite(d));
	if (zk_parse_bool(text, &b, &err) == 0)
		ZK_ASSERT(text.n <= 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size);

	durations(text);
	sizes(text);
	numbers(text);
	return 0;
}
