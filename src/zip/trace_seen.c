/* Which events of a mark a session holds.
 * Layer: zip. specs/zeal-zip.md §6.6. */
#include "zip/trace_seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define MAX_BITS (UINT64_C(64) << 20)

void zk_zip_seen_done(struct zk_zip_seen *s)
{
	if (s->detail.ctx)
		zk_zip_detail_done(&s->detail);
	free(s->bits);
	*s = (struct zk_zip_seen){ 0 };
}

static void set(struct zk_zip_seen *s, uint64_t bit)
{
	size_t word = (size_t)(bit / 64);

	if (word >= s->words) {
		size_t n = ZK_MAX(2 * s->words, word + 16);

		s->bits = zk_realloc(s->bits, n * sizeof(*s->bits));
		memset(s->bits + s->words, 0, (n - s->words) * sizeof(*s->bits));
		s->words = n;
	}
	s->bits[word] |= UINT64_C(1) << (bit % 64);
}

static int on_event(void *ctx, zk_str event, struct zk_error *err)
{
	struct zk_zip_seen *s = ctx;
	uint64_t seq;

	if (!zk_zip_event_mark(event, s->mark, &seq) || seq < s->from)
		return 0;
	if (seq - s->from >= MAX_BITS)
		return zk_fail(err, ZK_E_LIMIT, "the execution holds too many events");
	set(s, seq - s->from);
	return 0;
}

void zk_zip_seen_begin(struct zk_zip_seen *s, zk_str mark, uint64_t from)
{
	zk_zip_seen_done(s);
	s->mark = mark;
	s->from = from;
	zk_zip_detail_init(&s->detail);
	s->detail.ctx = s;
	s->detail.on_event = on_event;
}

int zk_zip_seen_put(struct zk_zip_seen *s, zk_str chunk, struct zk_error *err)
{
	return zk_zip_detail_put(&s->detail, chunk, err);
}

int zk_zip_seen_end(struct zk_zip_seen *s, struct zk_error *err)
{
	int r = zk_zip_detail_end(&s->detail, err);

	zk_zip_detail_done(&s->detail);
	s->detail.ctx = NULL;
	return r;
}

bool zk_zip_seen_has(const struct zk_zip_seen *s, uint64_t seq)
{
	uint64_t bit = seq - s->from;

	return seq >= s->from && bit / 64 < s->words &&
	       s->bits[bit / 64] >> (bit % 64) & 1;
}
