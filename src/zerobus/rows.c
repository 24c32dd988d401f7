/* Chooses the row reader of an input.
 * Layer: zerobus. specs/zerobus.md §12.1. */
#include "zerobus/rows.h"

#include "zerobus/rows_readers.h"

#include "base/ban.h"

int zk_zb_rows_open(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                    struct zk_error *err)
{
	if (conf->format != ZK_ZB_FROM_AUTO && conf->format != ZK_ZB_FROM_NDJSON)
		return zk_fail(err, ZK_E_ZB_NOT_ARROW, "only NDJSON can be read so far");
	*ret = zk_zb_rows_raw(conf);
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
