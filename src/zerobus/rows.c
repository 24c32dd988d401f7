/* Chooses the row reader of an input.
 * Layer: zerobus. specs/zerobus.md §12.1. */
#include "zerobus/rows.h"

#include <stdio.h>

#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

static void tell_not_arrow(const struct zk_zb_rows_conf *conf)
{
	char text[300];

	(void)snprintf(text, sizeof(text),
	               "%s is no Arrow input: it adds nothing to the Arrow debug file",
	               conf->source->name);
	conf->on_note(conf->ctx, text);
}

static int open_reader(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                       struct zk_error *err)
{
	enum zk_zb_format format = conf->format;

	if (format == ZK_ZB_FROM_AUTO &&
	    zk_zb_peek_format(conf->source, &format, err) < 0)
		return -(int)err->code;
	if (conf->on_raw && conf->on_note && format != ZK_ZB_FROM_ARROW &&
	    format != ZK_ZB_FROM_ARROW_STREAM)
		tell_not_arrow(conf);
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
	struct zk_zb_rows_conf mine = *conf;

	/* It gives again what was looked at. */
	mine.source = zk_zb_peek_new(conf->source);
	if (open_reader(&mine, ret, err) < 0) {
		zk_zb_peek_free(mine.source);
		return -(int)err->code;
	}
	(*ret)->source = mine.source;
	return 0;
}

int zk_zb_rows_next(struct zk_zb_rows *r, struct zk_zb_row *ret, struct zk_error *err)
{
	return r->ops->next(r, ret, err);
}

void zk_zb_rows_close(struct zk_zb_rows *r)
{
	struct zk_zb_source *source = r ? r->source : NULL;

	if (r)
		r->ops->close(r);
	zk_zb_peek_free(source);
}
