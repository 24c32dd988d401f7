/* Keeps the streams of a workflow in files.
 * Layer: cmd. specs/zeal-zip.md §7.6. */
#ifndef ZK_CMD_EVENTS_SAVE_H
#define ZK_CMD_EVENTS_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "cmd/events.h"

struct events_save_opts {
	const struct events_opts *events;
	const char *dir;
	uint64_t count; /* streams; 0 = without end */
	bool wait;
};

/* The exit status, or a negative code. */
int events_save_run(struct zk_app *app, const struct events_save_opts *o,
                    struct zk_error *err) ZK_MUST_USE;

#endif
