/* A batch of trace events as the body of one request.
 * Layer: zip. specs/zeal-zip.md §6.4. */
#include "zip/trace_batch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define HEAD      "{\"events\":["
#define TAIL      "]}"
#define GROW_BACK 10 /* good ones in a row */

static void begin(struct zk_zip_batch *b)
{
	zk_buf_lit(&b->body, HEAD);
}

void zk_zip_batch_init(struct zk_zip_batch *b)
{
	*b = (struct zk_zip_batch){ 0 };
	/* One event may come on top of a batch that is nearly full. */
	zk_buf_init(&b->body, ZK_ZIP_BATCH_BYTES + 2 * ZK_ZIP_EVENT_MAX);
	begin(b);
}

void zk_zip_batch_done(struct zk_zip_batch *b)
{
	zk_buf_done(&b->body);
	free(b->v);
	b->v = NULL;
	b->n = b->room = 0;
}

void zk_zip_batch_clear(struct zk_zip_batch *b)
{
	/* A single huge event must not be paid for until the end. */
	if (b->body.room > 2 * ZK_ZIP_BATCH_BYTES)
		zk_buf_done(&b->body);
	zk_buf_clear(&b->body);
	begin(b);
	b->n = 0;
	b->attempts = 0;
}

void zk_zip_batch_added(struct zk_zip_batch *b, const struct zk_zip_batch_event *e,
                        int64_t now_ms)
{
	if (b->n == b->room) {
		b->room = b->room ? 2 * b->room : 64;
		b->v = zk_realloc(b->v, b->room * sizeof(*b->v));
	}
	if (!b->n)
		b->first_ms = now_ms;
	b->v[b->n] = *e;
	b->v[b->n++].n = b->body.n - e->at;
	zk_buf_char(&b->body, ',');
}

zk_str zk_zip_batch_text(const struct zk_zip_batch *b, size_t i)
{
	return zk_str_n(b->body.p + b->v[i].at, b->v[i].n);
}

zk_str zk_zip_batch_body(struct zk_zip_batch *b, size_t from, size_t to,
                         struct zk_buf *scratch)
{
	ZK_ASSERT(from < to && to <= b->n);
	if (from == 0 && to == b->n) {
		/* Written over the last comma, and taken back: events may still come. */
		size_t n = b->body.n;

		b->body.n = n - 1;
		zk_buf_lit(&b->body, TAIL);
		zk_str whole = zk_buf_str(&b->body);

		b->body.n = n;
		b->body.p[n - 1] = ']';
		return whole;
	}
	zk_buf_clear(scratch);
	zk_buf_lit(scratch, HEAD);
	zk_buf_put(scratch, b->body.p + b->v[from].at,
	           b->v[to - 1].at + b->v[to - 1].n - b->v[from].at);
	zk_buf_lit(scratch, TAIL);
	return zk_buf_str(scratch);
}

void zk_zip_batch_size_init(struct zk_zip_batch_size *s, size_t most, int64_t every_ms)
{
	*s = (struct zk_zip_batch_size){ .every_ms = every_ms };
	s->most = ZK_MIN(ZK_MAX(most, (size_t)1), (size_t)ZK_ZIP_BATCH_MOST);
	s->now = s->most;
}

void zk_zip_batch_size_bad(struct zk_zip_batch_size *s, size_t sent)
{
	s->now = ZK_MAX(ZK_MIN(s->now, sent) / 2, (size_t)1);
	s->good = 0;
}

void zk_zip_batch_size_good(struct zk_zip_batch_size *s)
{
	if (s->now == s->most || ++s->good < GROW_BACK)
		return;
	s->good = 0;
	s->now = ZK_MIN(2 * s->now, s->most);
}

bool zk_zip_batch_is_full(const struct zk_zip_batch *b, const struct zk_zip_batch_size *s)
{
	return b->n >= s->now || b->body.n >= ZK_ZIP_BATCH_BYTES;
}

bool zk_zip_batch_is_due(const struct zk_zip_batch *b, const struct zk_zip_batch_size *s,
                         int64_t now_ms)
{
	return b->n && now_ms - b->first_ms >= s->every_ms;
}
