/* Request heads: the verdict, the length and the contents are the same for every split, and
 * every slice lies inside the head. The first byte chooses the limits and the split.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "net/http1.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct zk_http1_limits limits[] = {
	{ 16384, 8192, 100 },
	{ 128, 32, 3 },
	{ 64, 200, 300 },
	{ 1024, 16, 8 },
};

struct outcome {
	enum zk_http1_result r;
	size_t used;
	struct zk_http1_head head;
};

/* Feeds `step` more bytes each time, every prefix in a buffer of its own. */
static char *feed(zk_str text, const struct zk_http1_limits *l, size_t step,
                  struct outcome *o)
{
	struct zk_http1 p;
	char *keep = NULL;

	zk_http1_init(&p, l);
	o->r = ZK_HTTP1_MORE;
	for (size_t n = ZK_MIN(step, text.n); o->r == ZK_HTTP1_MORE;
	     n = ZK_MIN(n + step, text.n)) {
		free(keep);
		keep = malloc(n + !n);
		if (n)
			memcpy(keep, text.p, n);
		o->r = zk_http1_parse(&p, zk_str_n(keep, n), &o->head, &o->used);
		if (n == text.n)
			break;
	}
	ZK_ASSERT((o->r == ZK_HTTP1_BAD) == (p.reason != NULL));
	return keep;
}

static void inside(zk_str s, const char *base, size_t n)
{
	ZK_ASSERT(!s.p || (s.p >= base && s.p + s.n <= base + n));
}

static void check_slices(const struct outcome *o, const char *base)
{
	const struct zk_http1_head *h = &o->head;

	inside(h->method, base, o->used);
	inside(h->target, base, o->used);
	inside(h->authority, base, o->used);
	for (unsigned i = 0; i < h->n_headers; i++) {
		inside(h->headers[i].name, base, o->used);
		inside(h->headers[i].value, base, o->used);
		ZK_ASSERT(h->headers[i].name.n > 0);
		ZK_ASSERT(!h->headers[i].value.n ||
		          (!memchr(h->headers[i].value.p, '\n', h->headers[i].value.n) &&
		           !memchr(h->headers[i].value.p, '\r', h->headers[i].value.n) &&
		           !memchr(h->headers[i].value.p, '\0', h->headers[i].value.n)));
	}
	ZK_ASSERT(h->length <= 9999999999);
	ZK_ASSERT(!h->chunked || !h->has_length);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	ZK_ASSERT(a->used == b->used && a->head.n_headers == b->head.n_headers);
	ZK_ASSERT(zk_str_eq(a->head.method, b->head.method));
	ZK_ASSERT(zk_str_eq(a->head.target, b->head.target));
	ZK_ASSERT(zk_str_eq(a->head.authority, b->head.authority));
	for (unsigned i = 0; i < a->head.n_headers; i++) {
		ZK_ASSERT(zk_str_eq(a->head.headers[i].name, b->head.headers[i].name));
		ZK_ASSERT(zk_str_eq(a->head.headers[i].value, b->head.headers[i].value));
	}
	ZK_ASSERT(a->head.length == b->head.length && a->head.chunked == b->head.chunked);
	ZK_ASSERT(a->head.keep_alive == b->head.keep_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;

	const struct zk_http1_limits *l = &limits[data[0] & 3];
	size_t steps[] = { 1, 1 + (data[0] >> 2), 1 + (data[0] >> 1) * 7u };
	zk_str text = zk_str_n((const char *)data + 1, size - 1);
	static struct outcome whole, split;
	char *a = feed(text, l, text.n + 1, &whole);

	if (whole.r == ZK_HTTP1_DONE)
		check_slices(&whole, a);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		char *b = feed(text, l, steps[i], &split);

		ZK_ASSERT(whole.r == split.r);
		if (whole.r == ZK_HTTP1_DONE)
			check_same(&whole, &split);
		free(b);
	}
	free(a);
	return 0;
}
