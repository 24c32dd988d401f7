/* --map: events made of lines that are none, such as those of a log (specs/cli.md).
 *
 *	nodeId=.component,timestamp=.ts,eventType=log,data.preview=.msg
 *
 * The left side is a member of a trace event, the right one a path into the line (with a dot in
 * front) or a text. What is not named is taken from the line when it has a member of that name;
 * without an eventType it is "log", without data the line itself is the preview.
 * Layer: zip. Pure; one owner. */
#ifndef ZK_ZIP_TRACE_MAP_H
#define ZK_ZIP_TRACE_MAP_H

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct zk_zip_map;

/* `rules` are "TARGET=.PATH" or "TARGET=TEXT", copied. 0, or -ZK_E_USAGE for a target that is no
 * member of an event or named twice. */
int zk_zip_map_new(const char *const *rules, size_t n, struct zk_zip_map **ret,
                   struct zk_error *err) ZK_MUST_USE;
void zk_zip_map_free(struct zk_zip_map *m); /* NULL is fine */

/* Appends the event made of `line`, any JSON object, for zk_zip_event_take to check. 0; -ZK_E_JSON,
 * -ZK_E_UTF8, -ZK_E_LIMIT or -ZK_E_DATA for what is no object. */
int zk_zip_map_apply(const struct zk_zip_map *m, zk_str line, struct zk_buf *out,
                     struct zk_error *err) ZK_MUST_USE;

#endif
