/* Changes of graphs as the editor's own API lists them, asked for again and again: for the time in
 * which no socket can be had.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §11. */
#ifndef ZK_ZIP_UPDATES_H
#define ZK_ZIP_UPDATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct zk_zip;
struct zk_zip_updates;

struct zk_zip_updates_conf {
	struct zk_zip *zip;
	const char *const *workflows; /* borrowed while it lives */
	size_t n_workflows;
	int64_t every_ms;
	void *ctx;
	/* Since when changes of workflow `i` are wanted, by the server's clock in milliseconds;
	 * below 0 = it need not be asked for. */
	int64_t (*since_ms)(void *ctx, size_t i);
	/* A change: JSON that was checked, borrowed. One may come twice. */
	void (*on_update)(void *ctx, zk_str update);
	/* The server answered, for the first time or after failures. */
	void (*on_answer)(void *ctx);
	/* It did not, for the first time or after answers; it is asked again all the same. */
	void (*on_failure)(void *ctx, const struct zk_error *err);
};

/* Sleeps until zk_zip_updates_wake. */
struct zk_zip_updates *zk_zip_updates_new(const struct zk_zip_updates_conf *conf);
/* NULL is fine. Not from inside its callbacks. */
void zk_zip_updates_free(struct zk_zip_updates *u);
/* Some workflow is wanted: all of those are asked for in every_ms, and so on until none is. */
void zk_zip_updates_wake(struct zk_zip_updates *u);

#endif
