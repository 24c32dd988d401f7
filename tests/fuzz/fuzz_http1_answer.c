/* Heads of answers: the verdict and the length are the same for every split, a verdict comes from
 * no more bytes than it needs, and what is read is not read differently once folded lines are
 * joined. The first byte chooses the split.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "net/http1.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds `step` more bytes each time, every prefix in a buffer of its own. */
static enum zk_http1_result find(zk_str text, size_t step, size_t *used)
{
	enum zk_http1_result r = ZK_HTTP1_MORE;
	size_t seen = 0;

	*used = 0;
	for (size_t n = ZK_MIN(step, text.n); r == ZK_HTTP1_MORE;
	     n = ZK_MIN(n + step, text.n)) {
		char *copy = zk_alloc(n + !n);

		if (n)
			memcpy(copy, text.p, n);
		r = zk_http1_answer_find(zk_str_n(copy, n), &seen, used);
		ZK_ASSERT(seen <= n && (r != ZK_HTTP1_DONE || (*used > 0 && *used <= n)));
		free(copy);
		if (n == text.n)
			break;
	}
	return r;
}

static void check_answer(const struct zk_http1_answer *a)
{
	ZK_ASSERT(a->status >= 100 && a->status <= 999 && a->minor <= 1 && !a->reason);
	ZK_ASSERT(!a->chunked || !a->has_length);
	ZK_ASSERT(!a->keep_alive || !a->chunked || a->minor == 1);
}

static void read_twice(zk_str head)
{
	struct zk_http1_answer first, again;
	char *copy = zk_alloc(head.n);
	enum zk_http1_result r;

	memcpy(copy, head.p, head.n);
	r = zk_http1_answer_read(copy, head.n, &first);
	ZK_ASSERT(r == ZK_HTTP1_DONE || (r == ZK_HTTP1_BAD && first.reason));
	ZK_ASSERT(zk_http1_answer_read(copy, head.n, &again) == r);
	if (r == ZK_HTTP1_DONE) {
		check_answer(&first);
		ZK_ASSERT(first.status == again.status && first.length == again.length &&
		          first.chunked == again.chunked &&
		          first.has_length == again.has_length &&
		          first.keep_alive == again.keep_alive);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t used, other;
	enum zk_http1_result r;
	zk_str text;

	if (size < 1)
		return 0;
	text = zk_str_n((const char *)data + 1, size - 1);
	r = find(text, text.n + 1, &used);
	for (size_t step = 1; step <= 3; step++) {
		ZK_ASSERT(find(text, step * (1 + (data[0] & 15)), &other) == r);
		ZK_ASSERT(other == used);
	}
	if (r == ZK_HTTP1_DONE) {
		ZK_ASSERT(find(zk_str_n(text.p, used - 1), used, &other) ==
		          ZK_HTTP1_MORE);
		read_twice(zk_str_n(text.p, used));
	}
	return 0;
}
