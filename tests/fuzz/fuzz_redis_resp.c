/* Answers of a Redis server: the same result whole and in pieces, within the cap.
 * Layer: tests. The first byte chooses the size of the pieces. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "store/redis_int.h"

#include "base/ban.h"

#define CAP 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t weigh(const struct zk_redis_reply *r)
{
	size_t n = sizeof(*r) + r->str.n;

	for (size_t i = 0; i < r->n; i++) {
		ZK_ASSERT(r->items[i]);
		n += weigh(r->items[i]);
	}
	return n;
}

/* A number that tells what came out; *failed when the bytes were refused. */
static uint64_t run(zk_str wire, size_t piece, bool *failed)
{
	struct zk_error err = { 0 };
	struct zk_redis_reply *reply;
	struct zk_resp *p;
	uint64_t sum = 0;
	int r = 0;

	*failed = false;
	if (zk_resp_new(CAP, &p, &err) < 0)
		return 0;
	for (size_t at = 0; at < wire.n && r >= 0; at += piece) {
		r = zk_resp_feed(p, zk_str_n(wire.p + at, ZK_MIN(piece, wire.n - at)),
		                 &err);
		while (r >= 0 && (r = zk_resp_next(p, &reply, &err)) > 0) {
			size_t weight = weigh(reply);

			ZK_ASSERT(weight <= CAP);
			sum = sum * 31 + weight + (uint64_t)reply->type +
			      (uint64_t)reply->integer;
			zk_redis_reply_free(reply);
		}
	}
	*failed = r < 0;
	zk_resp_free(p);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool whole, pieces;

	if (size < 2)
		return 0;
	zk_str wire = zk_str_n((const char *)data + 1, size - 1);
	uint64_t a = run(wire, 4096, &whole);
	uint64_t b = run(wire, 1u + data[0], &pieces);

	ZK_ASSERT(whole == pieces && a == b);
	return 0;
}
