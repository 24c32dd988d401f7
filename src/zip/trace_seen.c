/* Which events of a mark a session holds.
 * Layer: zip. specs/zeal-zip.md §6.6. */
#include "zip/trace_seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "zip/trace_detail.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define MAX_BITS (UINT64_C(64) << 20)

struct reading {
	struct zk_zip_seen *s;
	zk_str mark;
};

void zk_zip_seen_done(struct zk_zip_seen *s)
{
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
	struct reading *r = ctx;
	uint64_t seq;

	if (!zk_zip_event_mark(event, r->mark, &seq) || seq < r->s->from)
		return 0;
	if (seq - r->s->from >= MAX_BITS)
		return zk_fail(err, ZK_E_LIMIT, "the execution holds too many events");
	set(r->s, seq - r->s->from);
	return 0;
}

int zk_zip_seen_read(struct zk_zip_seen *s, zk_str detail, zk_str mark, uint64_t from,
                     struct zk_error *err)
{
	struct reading r = { .s = s, .mark = mark };
	struct zk_zip_detail d;

	zk_zip_seen_done(s);
	s->from = from;
	zk_zip_detail_init(&d);
	d.ctx = &r;
	d.on_event = on_event;
	int ret = zk_zip_detail_put(&d, detail, err);

	if (ret == 0)
		ret = zk_zip_detail_end(&d, err);
	zk_zip_detail_done(&d);
	return ret;
}

bool zk_zip_seen_has(const struct zk_zip_seen *s, uint64_t seq)
{
	uint64_t bit = seq - s->from;

	return seq >= s->from && bit / 64 < s->words &&
	       s->bits[bit / 64] >> (bit % 64) & 1;
}
