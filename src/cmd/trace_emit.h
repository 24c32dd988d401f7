/* A few events into a session, for commands that are about something else: what cannot be sent
 * soon goes to the spool.
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_TRACE_EMIT_H
#define ZK_CMD_TRACE_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "cmd/trace.h"

struct trace_emit;
struct zk_buf;
struct zk_jwrite;

/* Begins an event of now in `b`: timestamp, nodeId, portId (NULL = none), eventType. Other members
 * follow, and the end of the object. */
void trace_event_begin(struct zk_jwrite *w, struct zk_buf *b, const char *node,
                       const char *port, const char *type);
/* "error": {"message": text} */
void trace_event_error(struct zk_jwrite *w, const char *text);

/* Events into `session` (borrowed), which may be a local one. Opens nothing yet. */
struct trace_emit *trace_emit_new(struct zeal *z, const char *session);
/* Gives it an event: a JSON object, checked as those of `zk trace push` are. Sending begins at
 * once and goes on while the loop turns. 0 or -ZK_E_DATA, -ZK_E_JSON, … */
int trace_emit_event(struct trace_emit *e, zk_str event,
                     struct zk_error *err) ZK_MUST_USE;

struct trace_emit_result {
	unsigned sent, spooled, refused;
	struct zk_error err; /* why something was not sent; code 0 = all was */
};

/* Turns the loop until all is sent, at most `most_ms` (below 0 = as long as retries take); spools
 * the rest, adds to the sums of the session. 0; or negative when something was lost: refused by
 * the server or not taken by the spool. */
int trace_emit_end(struct trace_emit *e, int64_t most_ms, struct trace_emit_result *ret,
                   struct zk_error *err) ZK_MUST_USE;
void trace_emit_free(struct trace_emit *e); /* NULL is fine */

#endif
