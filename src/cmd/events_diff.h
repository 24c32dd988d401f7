/* What changes in the graphs of workflows, event by event: out of the snapshots that sockets bring,
 * and, for the time in which there is no socket, out of the editor's own API.
 * Layer: cmd. Loop thread only. specs/zeal-zip.md §7.5 [T 19], §11. */
#ifndef ZK_CMD_EVENTS_DIFF_H
#define ZK_CMD_EVENTS_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct events;
struct events_diff;

struct events_diff_conf {
	const struct events *events; /* opened with a client; its workflows */
	int64_t every_ms;            /* between two looks at the API */
	void *ctx;
	/* Events are wanted of workflow `i`, and no socket brings them. */
	bool (*is_deaf)(void *ctx, size_t i);
	void (*on_event)(void *ctx, zk_str event); /* borrowed */
	void (*on_answer)(void *ctx); /* of the API, as zk_zip_updates_conf */
	void (*on_failure)(void *ctx, const struct zk_error *err);
};

struct events_diff *events_diff_new(const struct events_diff_conf *conf);
void events_diff_free(struct events_diff *d); /* NULL is fine */
/* A snapshot came: JSON that was checked. */
void events_diff_state(struct events_diff *d, zk_str state);
/* Some workflow is deaf: the API is asked until none is. False = it may not be (--compat=off). */
bool events_diff_ask(struct events_diff *d);

#endif
