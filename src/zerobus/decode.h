/* Protobuf payloads and framed messages as JSON.
 * Layer: zerobus. specs/zerobus.md §15. Pure; any thread. */
#ifndef ZK_ZEROBUS_DECODE_H
#define ZK_ZEROBUS_DECODE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_zb_schema;

/* Appends the payload of one row as a JSON object: members in the order of their numbers, bytes as
 * base64, fields that the schema does not have (all of them without one) as "?N". 0, or -ZK_E_DATA:
 * cut short, a wire type that is not the field's, text that is not UTF-8; with `strict` also a
 * required field that is missing. */
int zk_zb_decode_row(const struct zk_zb_schema *s, zk_str bytes, bool strict,
                     struct zk_buf *json, struct zk_error *err) ZK_MUST_USE;

/* Messages of a stream in the order of the wire; remembers the descriptor that a create message
 * carries. */
struct zk_zb_framed;
struct zk_zb_framed *zk_zb_framed_new(const struct zk_zb_schema *s); /* s may be NULL */
void zk_zb_framed_free(struct zk_zb_framed *f);
/* Appends one message (without its prefix of five bytes), request or response, as a JSON object
 * with a member "type". 0, or -ZK_E_DATA. */
int zk_zb_framed_message(struct zk_zb_framed *f, zk_str message, struct zk_buf *json,
                         struct zk_error *err) ZK_MUST_USE;

#endif
