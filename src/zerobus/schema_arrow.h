/* What Arrow types are as columns.
 * Layer: zerobus, internal. specs/zerobus.md §11.1. */
#ifndef ZK_ZEROBUS_SCHEMA_ARROW_H
#define ZK_ZEROBUS_SCHEMA_ARROW_H

#include "codec/arrow.h"
#include "zerobus/schema.h"

/* Sets type, precision and scale of a scalar as it maps without a table; NULL, or what to do
 * about one that does not (static). */
const char *zk_zb_arrow_scalar(const struct zk_arrow_field *f, enum zk_zb_time_as time_as,
                               struct zk_zb_field *ret);
bool zk_zb_arrow_is_list(const struct zk_arrow_field *f);
/* The field whose type counts: behind run ends. */
uint32_t zk_zb_arrow_value(const struct zk_arrow_schema *s, uint32_t field);

#endif
