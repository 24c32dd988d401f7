/* Events as short lines for people.
 * Layer: cmd. specs/zeal-zip.md §7.8. */
#ifndef ZK_CMD_EVENTS_LINE_H
#define ZK_CMD_EVENTS_LINE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct events_line;
struct zk_out;

struct events_line *events_line_new(struct zk_out *out, bool color);
void events_line_free(struct events_line *l); /* NULL is fine */
/* One event: JSON that was checked. 0, or as zk_out_text. */
int events_line_put(struct events_line *l, zk_str json, struct zk_error *err) ZK_MUST_USE;

/* "ok", "failed", "running" or "" for an event type: what it says about a node or an execution. */
const char *events_line_mood(zk_str type);
/* What switches to the colour of a mood; "" for one that has none. */
const char *events_line_color(const char *mood);

#endif
