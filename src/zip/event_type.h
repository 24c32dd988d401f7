/* Types of Zeal events, and patterns on them.
 * Layer: zip. Pure. specs/zeal-zip.md §8.2 [T 22]; vectors: fixtures events/patterns.json.
 *
 * A pattern is a type ("node.added"), a group of types ("node.*"), or "*". The server matches
 * patterns against SOURCE.TYPE, so that what is sent to it is a translation. */
#ifndef ZK_ZIP_EVENT_TYPE_H
#define ZK_ZIP_EVENT_TYPE_H

#include <stdbool.h>

#include "base/str.h"

struct zk_buf;

/* The source of a type that a server emits ("crdt" of "node.added"), or NULL. */
const char *zk_zip_event_source(zk_str type);
/* Whether `type` is meant by `pattern`. */
bool zk_zip_pattern_match(zk_str pattern, zk_str type);
/* Appends the JSON array of what the server is to be told for the `n` patterns: SOURCE.TYPE of
 * every type that one of them means, each once; "*" for everything; a pattern that means no known
 * type as it is. */
void zk_zip_pattern_send(const char *const *patterns, size_t n, struct zk_buf *b);

#endif
