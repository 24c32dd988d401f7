/* Inside of the store.
 * Layer: jetstream, private to store*.c. */
#ifndef ZK_JETSTREAM_STORE_INT_H
#define ZK_JETSTREAM_STORE_INT_H

#include "base/buf.h"
#include "base/list.h"
#include "jetstream/store.h"
#include "store/sqlite.h"

struct zk_jet_check;

/* The live file; the writing lane's from the start of that on. */
struct zk_jet_live {
	char name[ZK_JET_NAME_MAX];
	struct zk_db *db;
	struct zk_stmt *insert, *place, *unresolved, *gap, *begin, *commit;
	int64_t opened_s;  /* wall: its creation */
	int64_t opened_ms; /* monotonic: when it became this process' */
	uint64_t rows, bytes;
	int wal_pages; /* of the log, after the last commit */
	int64_t last_id;
	struct zk_buf text;
};

struct zk_jet_store {
	struct zk_loop *loop;
	struct zk_jet_store_conf conf;
	char *dir, *shard;
	int lock_fd;
	struct zk_jet_live live;
	char live_name[ZK_JET_NAME_MAX]; /* the loop thread's copy */
	unsigned leaving; /* files that are no longer live and still open */
	bool failed;      /* the writing lane's: until a retry comes */
	struct zk_lane *writer, *sealer;
	struct zk_list
	        unsealed; /* what could not be sealed: again with the next repack */
	struct zk_jet_check *check;
	uint64_t bytes;
	unsigned sealed;
};

/* ---- store.c ---- */

/* Hands a commit to the writer, also while others are held back. */
void zk_jet_store_write(struct zk_jet_store *s, struct zk_jet_commit *c);
/* Nobody has this file open any more that was the live one: it can be sealed. */
void zk_jet_store_left(struct zk_jet_store *s, const char *name);

/* ---- store_read.c ---- */

/* Removes the copies of packed files that a killed process left. */
void zk_jet_unpacked_sweep(const char *dir);

/* ---- store_check.c: checkpoints of the live file; loop thread ---- */

int zk_jet_check_new(struct zk_jet_store *s, struct zk_jet_check **ret,
                     struct zk_error *err);
/* Waits for what runs. NULL is fine. */
void zk_jet_check_free(struct zk_jet_check *c);
/* Keeps a commit that has to wait for the log; zk_jet_store_write later. False = it has not. */
bool zk_jet_check_hold(struct zk_jet_check *c, struct zk_jet_commit *commit);
/* A commit is done: begins a pass when the log is long. */
void zk_jet_check_committed(struct zk_jet_check *c, const struct zk_jet_commit *commit);
/* Closes the file; zk_jet_store_left then. */
void zk_jet_check_leave(struct zk_jet_check *c, const char *name);

/* ---- store_live.c ---- */

/* Makes DIR/NAME with the schema, or opens what is there. */
int zk_jet_live_open(struct zk_jet_store *s, const char *name, bool fresh,
                     struct zk_jet_live *ret, struct zk_error *err);
void zk_jet_live_close(struct zk_jet_live *l);
/* A damaged live file leaves under another name; the newest good one tells where to go on. */
void zk_jet_set_aside(const struct zk_jet_store *s, const char *name);
/* The commit itself; the writing lane. */
void zk_jet_live_run(struct zk_jet_store *s, struct zk_jet_commit *c);

#endif
