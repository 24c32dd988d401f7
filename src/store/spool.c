/* The durable queue on disk: file, schema, statements, transactions.
 * Layer: store. Records come and go in spool_put.c, are read in spool_read.c; who may send them is
 * decided in spool_lock.c. */
#include "store/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/spool_int.h"

#include "base/ban.h"

/* `cost` is what the record counts for. Bodies stand apart: changing a row rewrites all of it. */
static const char *const schema[] = {
	"CREATE TABLE spool(uid TEXT NOT NULL) STRICT;"
	"INSERT INTO spool VALUES(lower(hex(randomblob(16))));"
	"CREATE TABLE targets(id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
	" dest TEXT NOT NULL, records INTEGER NOT NULL DEFAULT 0,"
	" bytes INTEGER NOT NULL DEFAULT 0, last_error TEXT, UNIQUE(kind, dest)) STRICT;"
	"CREATE TABLE records(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" target INTEGER NOT NULL REFERENCES targets(id), slot INTEGER NOT NULL,"
	" key TEXT, cost INTEGER NOT NULL, created INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL DEFAULT 0, last_error TEXT, meta TEXT)"
	" STRICT;"
	"CREATE TABLE bodies(id INTEGER PRIMARY KEY REFERENCES records(id) ON DELETE "
	"CASCADE,"
	" body BLOB NOT NULL) STRICT;"
	"CREATE INDEX records_slot ON records(target, slot);"
	"CREATE UNIQUE INDEX records_key ON records(target, key) WHERE key IS NOT NULL;"
	"CREATE TABLE attachments(target INTEGER NOT NULL REFERENCES targets(id) ON "
	"DELETE "
	"CASCADE, name TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(target, name)) "
	"STRICT;"
	"CREATE TABLE owners(id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL,"
	" created INTEGER NOT NULL) STRICT;",
};

static const char *const sql[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_SAVE] = "SAVEPOINT op",
	[SQL_RELEASE] = "RELEASE op",
	[SQL_UNDO] = "ROLLBACK TO op",
	[SQL_TARGET_FIND] = "SELECT id FROM targets WHERE kind=?1 AND dest=?2",
	[SQL_TARGET_ADD] = "INSERT INTO targets(kind, dest) VALUES(?1, ?2)",
	[SQL_TARGET_COUNT] =
	        "UPDATE targets SET records=records+?2, bytes=bytes+?3 WHERE id=?1",
	[SQL_TARGET_ERROR] = "UPDATE targets SET last_error=?2 WHERE id=?1",
	[SQL_TARGET_CLEAN] = "DELETE FROM targets WHERE id=?1 AND records=0",
	[SQL_TARGETS] = "SELECT id, kind, dest, records, bytes, last_error FROM targets"
	                " WHERE records>0 ORDER BY kind, dest",
	[SQL_TOTAL] =
	        "SELECT coalesce(sum(records), 0), coalesce(sum(bytes), 0) FROM targets",
	[SQL_OLDEST] = "SELECT created FROM records ORDER BY id LIMIT 1",
	[SQL_ADD] = "INSERT INTO records(target, slot, key, cost, created, meta)"
	            " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_ADD_BODY] = "INSERT INTO bodies(id, body) VALUES(?1, ?2)",
	[SQL_BODY] = "SELECT body FROM bodies WHERE id=?1",
	[SQL_BY_KEY] = "SELECT id, slot FROM records WHERE target=?1 AND key=?2",
	[SQL_SET_SLOT] = "UPDATE records SET slot=?2 WHERE id=?1",
	[SQL_NEXT] =
	        "SELECT " RECORD_COLUMNS " FROM targets t JOIN records r ON r.target=t.id"
	        " WHERE t.id=?1 AND r.slot=0 AND r.id>?2 ORDER BY r.id LIMIT ?3",
	[SQL_DELETE] = "DELETE FROM records WHERE id=?1 RETURNING target, cost",
	[SQL_FAIL] = "UPDATE records SET attempts=attempts+1, last_error=?2 WHERE id=?1"
	             " RETURNING target",
	[SQL_FAIL_FINAL] =
	        "UPDATE records SET attempts=attempts+1, last_error=?2, slot=-1"
	        " WHERE id=?1 RETURNING target",
	[SQL_RETRY] = "UPDATE records SET slot=0 WHERE id=?1 AND slot=-1",
	[SQL_SLOTS] =
	        "SELECT s.slot, s.n, s.first, r.created FROM (SELECT slot, count(*) n,"
	        " min(id) first FROM records WHERE target=?1 GROUP BY slot) s"
	        " JOIN records r ON r.id=s.first",
	[SQL_WALK] = "SELECT " RECORD_COLUMNS " FROM records r CROSS JOIN targets t"
	             " ON r.target=t.id WHERE r.id>?1 ORDER BY r.id",
	[SQL_WALK_ONE] = "SELECT " RECORD_COLUMNS " FROM records r JOIN targets t"
	                 " ON r.target=t.id WHERE r.id=?1",
	[SQL_ATTACH] = "INSERT INTO attachments(target, name, bytes) VALUES(?1, ?2, ?3)"
	               " ON CONFLICT DO NOTHING",
	[SQL_ATTACHMENT] = "SELECT bytes FROM attachments WHERE target=?1 AND name=?2",
	[SQL_ATTACHMENTS] =
	        "SELECT name, bytes FROM attachments WHERE target=?1 AND name>?2"
	        " ORDER BY name LIMIT 1",
	[SQL_OWNER_ADD] = "INSERT INTO owners(pid, created) VALUES(?1, ?2)",
	[SQL_OWNER_DEL] = "DELETE FROM owners WHERE id=?1",
	[SQL_OWNERS] = "SELECT id FROM owners WHERE id>?1 ORDER BY id LIMIT 1",
	[SQL_RELEASE_SLOT] =
	        "UPDATE records SET slot=0 WHERE id IN (SELECT r.id FROM targets t"
	        " CROSS JOIN records r ON r.target=t.id AND r.slot=?1 LIMIT ?2)",
};

/* ---- statements and transactions ------------------------------------------------------- */

struct zk_stmt *zk_spool_stmt(struct zk_spool *sp, enum spool_sql which,
                              struct zk_error *err)
{
	if (!sp->st[which] && zk_db_prepare(sp->db, sql[which], &sp->st[which], err) < 0)
		return NULL;
	return sp->st[which];
}

static int run(struct zk_spool *sp, enum spool_sql which, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, which, err);

	return st ? zk_stmt_run(st, err) : -(int)err->code;
}

static int set_sync(struct zk_spool *sp, bool full, struct zk_error *err)
{
	if (sp->full == full)
		return 0;
	int r = zk_db_exec(sp->db,
	                   full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
	                   err);

	if (r == 0)
		sp->full = full;
	return r;
}

int zk_spool_enter(struct zk_spool *sp, bool durable, struct zk_error *err)
{
	int r;

	if (sp->depth > 0) {
		if (sp->txn_err.code) {
			*err = sp->txn_err;
			return -(int)err->code;
		}
		r = run(sp, SQL_SAVE, err);
	} else {
		sp->txn_err = (struct zk_error){ 0 };
		r = set_sync(sp, durable, err);
		if (r == 0)
			r = run(sp, SQL_BEGIN, err);
	}
	if (r == 0)
		sp->depth++;
	return r;
}

/* The end of a savepoint. A full disk may have undone the whole transaction already. */
static int leave_inner(struct zk_spool *sp, int r, struct zk_error *err)
{
	struct zk_error ignored;

	if (!zk_db_in_transaction(sp->db)) {
		sp->txn_err = *err;
		return r;
	}
	if (r == 0)
		return run(sp, SQL_RELEASE, err);
	/* A savepoint that stays open is harmless: the outer commit ends it too. */
	if (run(sp, SQL_UNDO, &ignored) == 0)
		ZK_IGNORE(run(sp, SQL_RELEASE, &ignored));
	else
		sp->txn_err = *err;
	return r;
}

int zk_spool_leave(struct zk_spool *sp, int r, struct zk_error *err)
{
	sp->depth--;
	if (sp->depth > 0)
		return leave_inner(sp, r, err);
	if (r == 0 && sp->txn_err.code) {
		*err = sp->txn_err;
		r = -(int)err->code;
	}
	if (r == 0)
		r = run(sp, SQL_COMMIT, err);
	if (r < 0)
		zk_db_rollback(sp->db);
	return r;
}

int zk_spool_begin(struct zk_spool *sp, struct zk_error *err)
{
	ZK_ASSERT(sp->depth == 0);
	return zk_spool_enter(sp, /* durable */ true, err);
}

int zk_spool_commit(struct zk_spool *sp, struct zk_error *err)
{
	ZK_ASSERT(sp->depth == 1);
	return zk_spool_leave(sp, 0, err);
}

/* ---- open and close -------------------------------------------------------------------- */

/* "a/b" becomes "a%2Fb": a profile is one file, whatever it is called. */
static void name_files(struct zk_spool *sp, const char *dir, const char *profile)
{
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	if (!profile[0])
		profile = "default";
	/* A leading dot would hide the file. */
	if (profile[0] == '.') {
		zk_buf_lit(&b, "%2E");
		profile++;
	}
	zk_buf_percent(&b, zk_str_of(profile));
	sp->path = zk_asprintf("%s/%s.db", dir, zk_buf_cstring(&b));
	sp->lock_path = zk_asprintf("%s/%s.lock", dir, zk_buf_cstring(&b));
	zk_buf_done(&b);
}

static int read_uid(struct zk_spool *sp, struct zk_error *err)
{
	struct zk_stmt *st;
	int r = zk_db_prepare(sp->db, "SELECT uid FROM spool", &st, err);

	if (r < 0)
		return r;
	r = zk_stmt_step(st, err);
	if (r > 0) {
		zk_str uid = zk_col_text(st, 0);

		if (uid.n == sizeof(sp->uid) - 1)
			memcpy(sp->uid, uid.p, uid.n);
	}
	zk_stmt_free(st);
	if (r == 0 || (r > 0 && strlen(sp->uid) != 32))
		r = zk_fail(err, ZK_E_STORE_CORRUPT, "'%s' has no number of its own",
		            sp->path);
	return r < 0 ? r : 0;
}

int zk_spool_open(const struct zk_spool_conf *conf, struct zk_spool **ret,
                  struct zk_error *err)
{
	ZK_CLEANUP(zk_spool_closep)
	struct zk_spool *sp = zk_new0(struct zk_spool);
	struct zk_db_conf db = {
		.flags = ZK_DB_FULL | (conf->create ? ZK_DB_CREATE : 0),
		.busy_ms = conf->busy_ms ? conf->busy_ms : 10000,
		.incremental_vacuum = true,
	};

	sp->lock_fd = -1;
	sp->full = true;
	sp->max_bytes = conf->max_bytes;
	sp->when_full = conf->when_full;
	name_files(sp, conf->dir, conf->profile);
	db.path = sp->path;
	if (conf->create && mkdir(conf->dir, 0700) < 0 && errno != EEXIST)
		return zk_fail_errno(err, ZK_E_CREATE, errno,
		                     "cannot create the spool folder '%s'", conf->dir);
	int r = zk_db_open(&db, &sp->db, err);

	if (r == 0)
		r = zk_db_migrate(sp->db, schema, (int)ZK_ARRAY_LEN(schema), NULL, err);
	if (r == 0)
		r = read_uid(sp, err);
	if (r == 0)
		r = zk_spool_lock_open(sp->lock_path, &sp->lock_fd, err);
	if (r < 0)
		return r;
	*ret = ZK_TAKE(sp);
	return 0;
}

/* Gives free pages back, in steps that let others write between them, for a short time. */
static void shrink(struct zk_spool *sp)
{
	int64_t end = zk_mono_ms() + 200;
	struct zk_stmt *st = NULL;
	struct zk_error ignored;
	int64_t free_pages = 0;

	if (zk_db_prepare(sp->db, "PRAGMA freelist_count", &st, &ignored) < 0)
		return;
	do {
		if (zk_stmt_step(st, &ignored) <= 0)
			break;
		free_pages = zk_col_i64(st, 0);
		zk_stmt_reset(st);
		if (free_pages < 256)
			break;
	} while (zk_db_exec(sp->db, "PRAGMA incremental_vacuum(1000)", &ignored) == 0 &&
	         zk_mono_ms() < end);
	zk_stmt_free(st);
}

void zk_spool_close(struct zk_spool *sp)
{
	struct zk_error ignored;

	if (!sp)
		return;
	if (sp->db && sp->depth)
		zk_db_rollback(sp->db);
	sp->depth = 0;
	/* When this fails the lock goes all the same, and the next one who asks takes over. */
	if (sp->owner)
		ZK_IGNORE(zk_spool_disown(sp, &ignored));
	if (sp->deleted)
		shrink(sp);
	zk_db_close(sp->db);
	if (sp->lock_fd >= 0)
		(void)close(sp->lock_fd);
	free(sp->path);
	free(sp->lock_path);
	free(sp);
}

void zk_spool_closep(struct zk_spool **sp)
{
	zk_spool_close(*sp);
	*sp = NULL;
}

const char *zk_spool_path(const struct zk_spool *sp)
{
	return sp->path;
}

const char *zk_spool_uid(const struct zk_spool *sp)
{
	return sp->uid;
}
