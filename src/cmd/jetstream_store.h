/* What the commands that look into a Jetstream store share.
 * Layer: cmd. */
#ifndef ZK_CMD_JETSTREAM_STORE_H
#define ZK_CMD_JETSTREAM_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/cmd.h"
#include "jetstream/ledger.h"
#include "jetstream/store.h"

struct zk_db;

/* First member of the struct of such a command. */
struct jet_store_opts {
	const char *store;
};

#define JET_STORE_ROW                                                         \
	{                                                                     \
		.type = ZK_OPT_STR, .name = "store", .meta = "DIR",           \
		.off = offsetof(struct jet_store_opts, store),                \
		.conf = "jetstream.store.dir", .complete = "dir",             \
		.help = "folder of the store; relative to the data directory" \
	}

/* The folder; the caller frees. */
char *jet_store_dir(struct zk_app *app, const char *store, struct zk_error *err);
struct zk_s3;
struct jet_store_walk {
	const struct jet_store_opts *o;
	bool oldest;
	/* Also files that only the bucket has, fetched one by one; NULL = none. */
	struct zk_s3 *s3;
	const char *prefix; /* of the keys */
	void *ctx;
	/* Whether a sealed file of which this is known is of no interest; may be NULL. */
	bool (*skip)(void *ctx, const struct zk_jet_sealed *f);
	/* 0 to go on, 1 to stop, or an error. */
	int (*fn)(void *ctx, struct zk_db *db, struct zk_error *err);
};

/* Opens one file after the other, packed ones by a temporary copy. */
int jet_store_each(struct zk_app *app, const struct jet_store_walk *w,
                   struct zk_error *err) ZK_MUST_USE;

#endif
