/* The metrics of a client command for others: a file that a collector reads, a listener.
 * Layer: cmd. Loop thread. specs/zeal-zip.md §10. */
#ifndef ZK_CMD_METRICS_H
#define ZK_CMD_METRICS_H

#include "base/attr.h"
#include "base/err.h"

struct metrics_out;
struct zk_app;

/* `file` is written anew every 15 seconds while the loop turns, and at the end; at `listen`
 * GET /metrics answers meanwhile. Both may be NULL. 0; -ZK_E_CREATE, -ZK_E_ADDRESS. */
int metrics_out_open(struct zk_app *app, const char *file, const char *listen,
                     struct metrics_out **ret, struct zk_error *err) ZK_MUST_USE;
/* The last words; a file that cannot be written is a warning. NULL is fine. */
void metrics_out_close(struct metrics_out *m);

#endif
