/* Memory of connections: chunks that idle ones do not hold, room for input.
 * Layer: net. */
#include <stdlib.h>

#include "net/httpd_int.h"

#include "base/ban.h"

/* 1 MiB: as many as a busy server has in use. Giving them back to malloc and asking for them again
 * would cut and grow the heap all the time. */
#define MAX_FREE_CHUNKS 128

void zk_httpd_chunk_get(struct zk_httpd *s, struct zk_buf *b)
{
	ZK_ASSERT(!b->p);
	if (s->free_chunks) {
		b->p = s->free_chunks;
		memcpy(&s->free_chunks, b->p, sizeof(void *));
		s->n_free_chunks--;
	} else {
		b->p = zk_alloc(ZK_HTTPD_CHUNK + 1);
	}
	b->room = ZK_HTTPD_CHUNK;
	b->n = 0;
}

void zk_httpd_chunk_put(struct zk_httpd *s, struct zk_buf *b)
{
	if (!b->p)
		return;
	zk_buf_clear(b);
	if (b->room != ZK_HTTPD_CHUNK || s->n_free_chunks >= MAX_FREE_CHUNKS ||
	    s->freed) {
		bool secret = b->secret;

		b->secret = false; /* what was in use is wiped */
		zk_buf_done(b);
		b->secret = secret;
		return;
	}
	memcpy(b->p, &s->free_chunks, sizeof(void *));
	s->free_chunks = ZK_TAKE(b->p);
	s->n_free_chunks++;
	b->room = 0;
}

void zk_httpd_in_shift(struct zk_httpd_conn *c, size_t from)
{
	if (!from)
		return;
	zk_buf_consume(&c->in, from);
	zk_wipe(c->in.p + c->in.n, from); /* heads hold API keys */
	c->pos -= from;
	c->base = 0;
}

void zk_httpd_in_reserve(struct zk_httpd_conn *c)
{
	if (!c->in.p) {
		zk_httpd_chunk_get(c->s, &c->in);
		c->pos = c->base = 0;
		return;
	}
	if (c->in.n < c->in.room)
		return;

	size_t from = c->phase == ZK_HTTPD_HEAD ? c->base : c->pos;
	if (c->phase != ZK_HTTPD_HEAD && c->phase != ZK_HTTPD_IDLE)
		return;
	if (from > 0) {
		zk_httpd_in_shift(c, from);
		return;
	}
	/* Failure means no room, which libuv reports; the parser ends such a head before. */
	(void)zk_buf_reserve(&c->in, ZK_MIN(c->in.room, c->in.cap - c->in.n));
}
