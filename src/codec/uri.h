/* uri: texts inside URLs: percent-encoding, queries, path segments (RFC 3986). Whole URLs
 * are net/url.h's. Layer: codec. Pure functions; any thread; slices borrow the text
 * given. Encoding is zk_buf_percent(). */
#ifndef ZK_CODEC_URI_H
#define ZK_CODEC_URI_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_buf;

enum zk_uri_part {
	ZK_URI_PATH,  /* '+' is itself */
	ZK_URI_QUERY, /* '+' is a space */
};

/* Appends `text` with %XX decoded. False, and `b` as before, when a '%' is not followed
 * by two hexadecimal digits, the result is not UTF-8 or holds a NUL, or `b` is full. */
bool zk_uri_decode(zk_str text, enum zk_uri_part part, struct zk_buf *b) ZK_MUST_USE;

/* Takes the next pair off the front of a query "a=b&c&d=" (without '?'); both raw. Empty
 * pairs are skipped. `has_value` may be NULL. False at the end. */
bool zk_uri_query_next(zk_str *query, zk_str *name, zk_str *value, bool *has_value);
/* Finds a name in a query, comparing decoded; the first one counts. */
bool zk_uri_query_find(zk_str query, zk_str name, zk_str *value);

/* Takes the next segment off the front of a path: "/api/x/" gives "api", "x", "". False
 * at the end, and when the path does not begin with '/'. */
bool zk_uri_path_next(zk_str *path, zk_str *segment);

/* Cuts a request target into path and query at the first '?'; `query` is empty without
 * one. */
void zk_uri_split(zk_str target, zk_str *path, zk_str *query);

#endif
