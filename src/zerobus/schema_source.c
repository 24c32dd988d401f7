/* The schema of an input: of Arrow no more than is needed, of other files the whole.
 * Layer: zerobus. specs/zerobus.md §10.1. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/arrow.h"
#include "zerobus/rows_readers.h"
#include "zerobus/schema.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define SCHEMA_BYTES ((size_t)64 << 20)

static int read_at(void *ctx, uint64_t at, void *p, size_t n, struct zk_error *err)
{
	struct zk_zb_source *s = ctx;

	return s->pread(s, at, p, n, err);
}

/* Reads until the schema is there; of a file that is its footer. */
static int read_arrow(struct zk_arrow *a, struct zk_zb_source *s, struct zk_error *err)
{
	char *piece = zk_alloc(ZK_ZB_CHUNK_BYTES);
	enum zk_arrow_ev ev = ZK_ARROW_MORE;
	zk_str left = ZK_STR_NULL;
	int r = 0;

	while (r == 0 && ev != ZK_ARROW_SCHEMA) {
		ptrdiff_t n;

		r = zk_arrow_next(a, &left, &ev, err);
		if (r < 0 || ev == ZK_ARROW_SCHEMA)
			break;
		n = s->read(s, piece, ZK_ZB_CHUNK_BYTES, err);
		left = zk_str_n(piece, n > 0 ? (size_t)n : 0);
		if (n == 0)
			r = zk_arrow_end(a, err);
		if (n == 0 && r == 0)
			r = zk_fail(err, ZK_E_ZB_CUT, "the Arrow input has no schema");
		if (n < 0)
			r = (int)n;
	}
	free(piece);
	return r;
}

static int of_arrow(struct zk_zb_source *s, const struct zk_zb_schema_conf *conf,
                    struct zk_zb_schema **ret, struct zk_error *err)
{
	struct zk_arrow_conf ac = { .size = s->seekable ? s->size : 0, .ctx = s };
	struct zk_arrow *a;
	int r;

	if (s->seekable && s->pread && zk_zb_peek_starts(s, ZK_STR("ARROW1\0\0"), err))
		ac.pread = read_at;
	a = zk_arrow_new(&ac);
	r = read_arrow(a, s, err);
	if (r == 0)
		r = zk_zb_schema_of_arrow(zk_arrow_schema(a), conf, ret, err);
	zk_arrow_free(a);
	return r;
}

static int read_whole(struct zk_zb_source *s, struct zk_buf *b, struct zk_error *err)
{
	for (;;) {
		char *p = zk_buf_reserve(b, ZK_ZB_CHUNK_BYTES);
		ptrdiff_t n;

		if (!p)
			return zk_fail(err, ZK_E_LIMIT,
			               "a schema of more than %zu bytes is not read",
			               SCHEMA_BYTES - ZK_ZB_CHUNK_BYTES);
		n = s->read(s, p, ZK_ZB_CHUNK_BYTES, err);
		if (n <= 0)
			return (int)n;
		b->n += (size_t)n;
	}
}

int zk_zb_schema_of_source(struct zk_zb_source *source,
                           const struct zk_zb_schema_conf *conf,
                           struct zk_zb_schema **ret, struct zk_error *err)
{
	struct zk_zb_source *s = zk_zb_peek_new(source);
	struct zk_buf b;
	int r;

	zk_buf_init(&b, SCHEMA_BYTES);
	if (zk_zb_peek_starts(s, ZK_STR("ARROW1"), err) ||
	    zk_zb_peek_starts(s, ZK_STR("\xff\xff\xff\xff"), err)) {
		r = of_arrow(s, conf, ret, err);
	} else {
		r = read_whole(s, &b, err);
		if (r == 0)
			r = zk_zb_schema_of_file(zk_buf_str(&b), conf, ret, err);
	}
	zk_buf_done(&b);
	zk_zb_peek_free(s);
	return r < 0 ? zk_wrap(err, "%s", source->name) : 0;
}
