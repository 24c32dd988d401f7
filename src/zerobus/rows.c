/* Chooses the row reader of an input.
 * Layer: zerobus. specs/zerobus.md §12.1. */
#include "zerobus/rows.h"

#include <stdlib.h>

#include "base/mem.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

/* The reader that fits, on a source that gives again what was looked at. */
struct chosen {
	struct zk_zb_rows r;
	struct zk_zb_source *peek;
	struct zk_zb_rows *inner;
};

static int chosen_next(struct zk_zb_rows *rows, struct zk_zb_row *ret,
                       struct zk_error *err)
{
	struct chosen *c = ZK_CONTAINER_OF(rows, struct chosen, r);

	return c->inner->ops->next(c->inner, ret, err);
}

static void chosen_close(struct zk_zb_rows *rows)
{
	struct chosen *c = ZK_CONTAINER_OF(rows, struct chosen, r);

	zk_zb_rows_close(c->inner);
	zk_zb_peek_free(c->peek);
	free(c);
}

static int open_reader(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                       struct zk_error *err)
{
	enum zk_zb_format format = conf->format;

	if (format == ZK_ZB_FROM_AUTO &&
	    zk_zb_peek_format(conf->source, &format, err) < 0)
		return -(int)err->code;
	switch (format) {
	case ZK_ZB_FROM_ARROW:
	case ZK_ZB_FROM_ARROW_STREAM:
		return zk_zb_rows_arrow(conf, ret, err);
	case ZK_ZB_FROM_CSV:
		return zk_zb_rows_csv(conf, ret, err);
	case ZK_ZB_FROM_REPLAY:
		return zk_zb_rows_replay(conf, ret, err);
	case ZK_ZB_FROM_NDJSON:
	case ZK_ZB_FROM_AUTO: /* nothing at all came */
		break;
	}
	return zk_zb_rows_ndjson(conf, ret, err);
}

int zk_zb_rows_open(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                    struct zk_error *err)
{
	static const struct zk_zb_rows_ops ops = { .next = chosen_next,
		                                   .close = chosen_close };
	struct zk_zb_rows_conf mine = *conf;
	struct chosen *c = zk_new0(struct chosen);

	c->r.ops = &ops;
	c->peek = zk_zb_peek_new(conf->source);
	mine.source = c->peek;
	if (open_reader(&mine, &c->inner, err) < 0) {
		chosen_close(&c->r);
		return -(int)err->code;
	}
	*ret = &c->r;
	return 0;
}

int zk_zb_rows_next(struct zk_zb_rows *r, struct zk_zb_row *ret, struct zk_error *err)
{
	return r->ops->next(r, ret, err);
}

void zk_zb_rows_close(struct zk_zb_rows *r)
{
	if (r)
		r->ops->close(r);
}
