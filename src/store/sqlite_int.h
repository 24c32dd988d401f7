/* Inside of the SQLite wrapper.
 * Layer: store, private to sqlite*.c. */
#ifndef ZK_STORE_SQLITE_INT_H
#define ZK_STORE_SQLITE_INT_H

#include "base/list.h"
#include "store/sqlite.h"

struct sqlite3;
struct sqlite3_stmt;

struct zk_db {
	struct sqlite3 *h;
	char *path;
	struct zk_list stmts; /* struct zk_stmt.entry */
	bool auto_checkpoint;
	void (*wal_fn)(void *ctx, int pages);
	void *wal_ctx;
};

struct zk_stmt {
	struct zk_list entry;
	struct zk_db *db;
	struct sqlite3_stmt *h;
	int bind_rc; /* first failed bind since the last reset */
};

/* Fills `err` from the connection's state after `rc`: "WHAT 'PATH': REASON"; returns the
 * negative code. */
int zk_db_fail(struct zk_db *db, int rc, const char *what, struct zk_error *err);

/* The name of the VFS behind ZK_DB_GATHER; NULL when it could not be made. Any thread. */
const char *zk_db_gather_vfs(void);

#endif
