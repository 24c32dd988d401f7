/* Inside of the spool: the handle, its statements, transactions.
 * Layer: store, private to spool*.c. */
#ifndef ZK_STORE_SPOOL_INT_H
#define ZK_STORE_SPOOL_INT_H

#include "store/spool.h"
#include "store/sqlite.h"

/* A record's slot says who may send it: nobody any more, the holder of the target's lock, or the
 * handle with this owner number. */
#define SLOT_FAILED  (-1)
#define SLOT_WAITING 0

/* Prepared on first use, kept as long as the handle. */
enum spool_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_SAVE,
	SQL_RELEASE,
	SQL_UNDO,
	SQL_TARGET_FIND,
	SQL_TARGET_ADD,
	SQL_TARGET_COUNT,
	SQL_TARGET_ERROR,
	SQL_TARGET_CLEAN,
	SQL_TARGETS,
	SQL_TOTAL,
	SQL_OLDEST,
	SQL_ADD,
	SQL_ADD_BODY,
	SQL_BODY,
	SQL_BY_KEY,
	SQL_SET_SLOT,
	SQL_NEXT,
	SQL_DELETE,
	SQL_FAIL,
	SQL_FAIL_FINAL,
	SQL_RETRY,
	SQL_SLOTS,
	SQL_WALK,
	SQL_WALK_ONE,
	SQL_ATTACH,
	SQL_ATTACHMENT,
	SQL_ATTACHMENTS,
	SQL_OWNER_ADD,
	SQL_OWNER_DEL,
	SQL_OWNERS,
	SQL_RELEASE_SLOT,
	SQL_COUNT
};

struct zk_spool {
	struct zk_db *db;
	struct zk_stmt *st[SQL_COUNT];
	char *path;      /* of the database */
	char *lock_path; /* beside it */
	char uid[33];
	int lock_fd; /* holds the byte of `owner`; asks about others */
	uint64_t max_bytes;
	enum zk_spool_full when_full;
	int64_t owner; /* 0 = none */
	bool full;     /* synchronous=FULL at present */
	bool deleted;  /* something was: the file may have free pages */
	unsigned depth;
	struct zk_error
	        txn_err; /* why the outer transaction is gone; code 0 = it is not */
};

/* The prepared statement, reset; NULL with `err` filled. */
struct zk_stmt *zk_spool_stmt(struct zk_spool *sp, enum spool_sql which,
                              struct zk_error *err);
/* A transaction, or a savepoint inside one. `durable` = on disk when it ends (outermost only).
 * zk_spool_leave ends it: committed when r is 0, else undone; returns the result. */
int zk_spool_enter(struct zk_spool *sp, bool durable, struct zk_error *err);
int zk_spool_leave(struct zk_spool *sp, int r, struct zk_error *err);

/* The id of a target: 0 = not there. */
int zk_spool_target_id(struct zk_spool *sp, const struct zk_spool_target *t, int64_t *ret,
                       struct zk_error *err);
int zk_spool_target_check(const struct zk_spool_target *t, struct zk_error *err);
enum zk_spool_state zk_spool_state_of(const struct zk_spool *sp, int64_t slot);
/* Copies the columns of a statement that selects RECORD_COLUMNS, and the body unless `no_body`,
 * into memory of its own. */
#define RECORD_COLUMNS                                                         \
	"r.id, r.slot, r.created, r.attempts, t.kind, t.dest, r.key, r.meta, " \
	"r.last_error"
int zk_spool_record(struct zk_spool *sp, struct zk_stmt *st, bool no_body,
                    struct zk_spool_rec *ret, struct zk_error *err);
/* Deletes records; *ret_n = how many were there. */
int zk_spool_delete(struct zk_spool *sp, const int64_t *ids, size_t n, bool durable,
                    size_t *ret_n, struct zk_error *err);

/* True while the process that has this owner number runs. */
bool zk_spool_owner_alive(const struct zk_spool *sp, int64_t owner);
/* Gives the records of owners that have ended to whoever holds the lock. */
int zk_spool_reclaim(struct zk_spool *sp, struct zk_error *err);
/* Gives up the own records and the number. */
int zk_spool_disown(struct zk_spool *sp, struct zk_error *err);
/* Opens the file of the locks. */
int zk_spool_lock_open(const char *path, int *ret_fd, struct zk_error *err);

#endif
