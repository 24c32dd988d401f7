/* The graph events that a server does not send: what changed between consecutive snapshots of a
 * workflow (`workflow.state`), and what the editor's API tells while no snapshots come.
 * Layer: zip. Pure but for ids and times of what it makes. specs/zeal-zip.md §7.5 [T 19], §11. */
#ifndef ZK_ZIP_WATCH_H
#define ZK_ZIP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "codec/jscan.h"

struct zk_zip_watch;

struct zk_zip_watch *zk_zip_watch_new(void);
void zk_zip_watch_free(struct zk_zip_watch *w); /* NULL is fine */

/* A typed event with source "zk-diff"; borrowed for the call. */
typedef void (*zk_zip_watch_fn)(void *ctx, zk_str event);

enum zk_zip_seen {
	ZK_ZIP_SEEN_NOT, /* it is no snapshot */
	ZK_ZIP_SEEN_FIRST,
	ZK_ZIP_SEEN_SAME,
	ZK_ZIP_SEEN_CHANGED,
};

/* Compares a snapshot (the payload, JSON that was checked) with the one before of the same
 * workflow, and keeps it in its place. fn (NULL = only the verdict) gets an event for everything
 * that came, changed or went, in an order in which they can be applied. */
enum zk_zip_seen zk_zip_watch_state(struct zk_zip_watch *w, zk_str state,
                                    zk_zip_watch_fn fn, void *ctx) ZK_MUST_USE;

/* One change as the editor's API has it, {"type":"node-added","workflowId","graphId","data",
 * "timestamp"} (JSON that was checked): fn gets it as an event unless it is known already, from a
 * snapshot or an earlier change; the next snapshot does not tell it again. False = it is no change
 * of a graph. */
bool zk_zip_watch_update(struct zk_zip_watch *w, zk_str update, zk_zip_watch_fn fn,
                         void *ctx);
/* When, by the server's clock in milliseconds, the last snapshot or change of the workflow was
 * made; 0 = none was seen. */
int64_t zk_zip_watch_seen_ms(const struct zk_zip_watch *w, zk_str workflow);

#endif
