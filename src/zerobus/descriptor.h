/* Descriptors: schemas as google.protobuf.DescriptorProto, written and read.
 * Layer: zerobus. specs/zerobus.md §10.1, §10.3. */
#ifndef ZK_ZEROBUS_DESCRIPTOR_H
#define ZK_ZEROBUS_DESCRIPTOR_H

#include "zerobus/schema.h"

/* Sets s->descriptor from messages and fields: the same schema always gives the same bytes. */
void zk_zb_descriptor_write(struct zk_zb_schema *s);

/* Whether `bytes` look like a serialized descriptor, file or set of files. */
bool zk_zb_is_descriptor(zk_str bytes);

#endif
