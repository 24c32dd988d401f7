/* followers.db: how far each sink is, and what is known of the sealed files, also of those that
 * only the archive has any more.
 * Layer: jetstream. Any thread; blocks; each owner opens it for itself. specs/jetstream.md §15. */
#ifndef ZK_JETSTREAM_LEDGER_H
#define ZK_JETSTREAM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "jetstream/files.h"
#include "store/sqlite.h"

/* Opens DIR/followers.db, made when missing. */
int zk_jet_ledger_open(const char *dir, struct zk_db **ret,
                       struct zk_error *err) ZK_MUST_USE;

/* A sealed file. */
struct zk_jet_sealed {
	char name[ZK_JET_NAME_MAX];
	int64_t rows;
	bool has_times;
	int64_t first_us, last_us;
	/* In the archive; key "" = not yet. */
	char key[1100];
	char sha256[65];
	uint64_t bytes;
	char archived_at[ZK_RFC3339_MAX];
	char error[520]; /* why it was set aside; "" = it was not */
};

/* What a sealed file says of itself: `db` is the file. */
int zk_jet_sealed_read(struct zk_db *db, struct zk_jet_sealed *ret,
                       struct zk_error *err) ZK_MUST_USE;
/* Runs `to`, an INSERT of six values, for each position in `table` of `from`; how many. */
int zk_jet_positions_copy(struct zk_db *from, const char *table, struct zk_stmt *to,
                          struct zk_error *err) ZK_MUST_USE;
/* Looks into DIR/NAME, which is sealed and plain, and keeps what it says, and its positions (table
 * `positions`: where the newest sealed file ends, for when the live one is damaged), and its last
 * events (jetstream/recent.h). What is known of its copy in the archive stays. */
int zk_jet_ledger_note(const char *dir, const char *name,
                       struct zk_error *err) ZK_MUST_USE;
/* Keeps everything of it. */
int zk_jet_ledger_put(struct zk_db *db, const struct zk_jet_sealed *f,
                      struct zk_error *err) ZK_MUST_USE;
/* 1 = it is known, 0 = it is not, negative = failed. */
int zk_jet_ledger_get(struct zk_db *db, const char *name, struct zk_jet_sealed *ret,
                      struct zk_error *err) ZK_MUST_USE;
/* All of them, in no order; fn returns 0 to go on. */
int zk_jet_ledger_each(struct zk_db *db,
                       int (*fn)(void *ctx, const struct zk_jet_sealed *f), void *ctx,
                       struct zk_error *err) ZK_MUST_USE;
/* The position of a sink. */
int zk_jet_ledger_move(struct zk_db *db, const char *follower, const char *file,
                       int64_t row, struct zk_error *err) ZK_MUST_USE;

#endif
