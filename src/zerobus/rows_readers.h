/* The readers behind zerobus/rows.h.
 * Layer: zerobus, internal. */
#ifndef ZK_ZEROBUS_ROWS_READERS_H
#define ZK_ZEROBUS_ROWS_READERS_H

#include "zerobus/rows.h"

/* NDJSON lines as JSON records, unchanged. */
struct zk_zb_rows *zk_zb_rows_raw(const struct zk_zb_rows_conf *conf);

#endif
