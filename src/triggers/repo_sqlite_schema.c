/* The SQLite store: connections, schema, server secret, small helpers for rows.
 * Layer: triggers. Why the trees are as they are stands in repo_sqlite.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/digest.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

#define BUSY_MS 2000

/* The last columns of event_deliveries belong to PostgreSQL's leases; they stay NULL here. An
 * updated_at of NULL is the created_at of the event: true of every fresh row and free of bytes.
 *
 * Only planned retries have a next_attempt_at; a row in state DUE is due since it was updated. The
 * partial indexes must not compare `status`: a statement with `status=?` would be prepared again
 * for every value that is bound, because the value could make the index usable. */
static const char *const schema[] = {
	"CREATE TABLE schema_migrations(version INTEGER PRIMARY KEY, applied_at INTEGER "
	"NOT NULL);"
	"CREATE TABLE server_state(name TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;"

	"CREATE TABLE organizations("
	" id BLOB NOT NULL PRIMARY KEY, name TEXT NOT NULL, tier TEXT NOT NULL,"
	" rate_limit_per_minute INTEGER, webhook_url TEXT,"
	" webhook_enabled INTEGER NOT NULL DEFAULT 1, webhook_disabled_reason TEXT,"
	" webhook_ordered INTEGER NOT NULL DEFAULT 0, secret_version INTEGER NOT NULL "
	"DEFAULT 0,"
	" old_secret_expires_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER "
	"NOT NULL"
	") WITHOUT ROWID;"

	"CREATE TABLE api_keys("
	" key_id TEXT NOT NULL PRIMARY KEY,"
	" organization_id BLOB NOT NULL REFERENCES organizations(id),"
	" hash TEXT NOT NULL, mac BLOB, created_at INTEGER NOT NULL, expires_at INTEGER,"
	" last_used_at INTEGER) WITHOUT ROWID;"
	"CREATE INDEX api_keys_organization ON api_keys(organization_id);"

	"CREATE TABLE events("
	" seq INTEGER PRIMARY KEY, id BLOB NOT NULL, organization_id BLOB NOT NULL,"
	" event_type TEXT NOT NULL, dedup_id TEXT, payload TEXT NOT NULL,"
	" created_at INTEGER NOT NULL);"

	"CREATE TABLE event_deliveries("
	" status INTEGER NOT NULL, organization_id BLOB NOT NULL, event_id BLOB NOT NULL,"
	" seq INTEGER NOT NULL, event_type TEXT NOT NULL, attempts INTEGER NOT NULL "
	"DEFAULT 0,"
	" next_attempt_at INTEGER, last_attempt_at INTEGER, response_status INTEGER,"
	" error_message TEXT, delivered_at INTEGER, acknowledged_at INTEGER, updated_at "
	"INTEGER,"
	" locked_by TEXT, locked_until INTEGER,"
	" PRIMARY KEY(status, organization_id, event_id)) WITHOUT ROWID;"
	"CREATE INDEX deliveries_by_type"
	" ON event_deliveries(organization_id, event_type, status, event_id);"
	"CREATE INDEX deliveries_retry ON event_deliveries(organization_id, "
	"next_attempt_at)"
	" WHERE next_attempt_at IS NOT NULL;"
	"CREATE INDEX deliveries_retry_time ON event_deliveries(next_attempt_at)"
	" WHERE next_attempt_at IS NOT NULL;"

	"CREATE TABLE delivery_attempts("
	" event_id BLOB NOT NULL, attempt INTEGER NOT NULL, started_at INTEGER NOT NULL,"
	" duration_ms REAL NOT NULL, response_status INTEGER, error TEXT, response_body "
	"BLOB,"
	" PRIMARY KEY(event_id, attempt)) WITHOUT ROWID;"

	"CREATE TABLE deduplication_cache("
	" organization_id BLOB NOT NULL, dedup_id TEXT NOT NULL, event_id BLOB NOT NULL,"
	" expires_at INTEGER NOT NULL, PRIMARY KEY(organization_id, dedup_id)) WITHOUT "
	"ROWID;"

	"INSERT INTO schema_migrations VALUES(1, CAST(strftime('%s','now') AS INTEGER) * "
	"1000000);",
};

int zk_lite_open(const char *path, unsigned flags, int cache_kib, struct zk_db **ret,
                 struct zk_error *err)
{
	ZK_CLEANUP(zk_db_closep)
	struct zk_db *db = NULL;
	struct zk_db_conf conf = {
		.path = path,
		.flags = flags,
		.busy_ms = BUSY_MS,
		.cache_kib = cache_kib,
		.incremental_vacuum = true,
	};

	if (zk_db_open(&conf, &db, err) < 0)
		return zk_lite_code(err);
	/* Debian's SQLite overwrites what it deletes by default, which writes every freed page
	 * once more. */
	if (!(flags & ZK_DB_READONLY) &&
	    zk_db_exec(db, "PRAGMA secure_delete=OFF", err) < 0)
		return zk_lite_code(err);
	*ret = ZK_TAKE(db);
	return 0;
}

int zk_lite_migrate(struct zk_db *db, int *from, struct zk_error *err)
{
	return zk_db_migrate(db, schema, zk_lite_version(), from, err);
}

int zk_lite_version(void)
{
	return (int)ZK_ARRAY_LEN(schema);
}

/* ---- the server secret -------------------------------------------------------------------- */

/* 1 = the stored value is in `value`, 0 = there is none. */
static int read_check(struct zk_db *db, uint8_t value[32], struct zk_error *err)
{
	struct zk_stmt *st;
	int r, found = 0;

	if (zk_db_prepare(db, "SELECT value FROM server_state WHERE name='secret_check'",
	                  &st, err) < 0)
		return zk_lite_code(err);
	r = zk_stmt_step(st, err);
	if (r > 0) {
		zk_str v = zk_col_blob(st, 0);

		found = 1;
		memset(value, 0, 32);
		if (v.n == 32)
			memcpy(value, v.p, 32);
	}
	zk_stmt_free(st);
	return r < 0 ? r : found;
}

static int write_check(struct zk_db *db, const uint8_t check[32], struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db,
	                  "INSERT OR REPLACE INTO server_state VALUES('secret_check',?1)",
	                  &st, err) < 0)
		return zk_lite_code(err);
	zk_bind_blob(st, 1, zk_str_n((const char *)check, 32));
	r = zk_stmt_run(st, err);
	zk_stmt_free(st);
	return r;
}

static int replace_check(struct zk_db *db, const uint8_t check[32], struct zk_error *err)
{
	struct zk_error ignored = { 0 };

	if (zk_db_exec(db, "BEGIN IMMEDIATE", err) < 0)
		return zk_lite_code(err);
	if (write_check(db, check, err) == 0 &&
	    zk_db_exec(db, "UPDATE api_keys SET mac=NULL WHERE mac IS NOT NULL", err) ==
	            0 &&
	    zk_db_exec(db, "COMMIT", err) == 0)
		return 0;
	if (zk_db_in_transaction(db))
		ZK_IGNORE(zk_db_exec(db, "ROLLBACK", &ignored));
	return zk_lite_code(err);
}

int zk_lite_check_secret(struct zk_db *db, const uint8_t check[32], bool accept,
                         struct zk_error *err)
{
	uint8_t stored[32];
	int r = read_check(db, stored, err);

	if (r < 0)
		return r;
	if (r > 0 && zk_equal_ct(stored, check, 32))
		return 0;
	if (r == 0 || accept)
		return replace_check(db, check, err);
	(void)zk_fail(err, ZK_E_STORE_SECRET,
	              "the database '%s' was made with another server secret",
	              zk_db_path(db));
	return zk_err_hint(err, "restore the old secret, or start once with "
	                        "--accept-new-secret: every signing secret changes then");
}

/* ---- helpers ------------------------------------------------------------------------------ */

int zk_lite_prepare(struct zk_db *db, const char *const *sql, size_t n,
                    struct zk_stmt **st, struct zk_error *err)
{
	ZK_ASSERT(n <= ZK_LITE_MAX_STMTS);
	for (size_t i = 0; i < n; i++) {
		if (zk_db_prepare(db, sql[i], &st[i], err) < 0)
			return zk_lite_code(err);
	}
	return 0;
}

void zk_lite_bind_time(struct zk_stmt *st, int i, int64_t us)
{
	if (us)
		zk_bind_i64(st, i, us);
	else
		zk_bind_null(st, i);
}

zk_uuid zk_lite_col_id(struct zk_stmt *st, int i)
{
	zk_str v = zk_col_blob(st, i);
	zk_uuid id = { { 0 } };

	if (v.n == sizeof(id.b))
		memcpy(id.b, v.p, sizeof(id.b));
	return id;
}

char *zk_lite_col_dup(struct zk_stmt *st, int i)
{
	zk_str v = zk_col_text(st, i);

	return v.p ? zk_strndup(v.p, v.n) : NULL;
}

void zk_lite_read_org(struct zk_stmt *st, int first, struct zk_trig_org *org)
{
	char *name = zk_lite_col_dup(st, first + 1);

	*org = (struct zk_trig_org){
		.id = zk_lite_col_id(st, first),
		.name = name ? name : zk_strdup(""),
		.rate_limit =
		        zk_col_is_null(st, first + 3) ? -1 : zk_col_i64(st, first + 3),
		.webhook_url = zk_lite_col_dup(st, first + 4),
		.webhook_enabled = zk_col_i64(st, first + 5) != 0,
		.webhook_disabled_reason = zk_lite_col_dup(st, first + 6),
		.webhook_ordered = zk_col_i64(st, first + 7) != 0,
		.secret_version = zk_col_i64(st, first + 8),
		.old_secret_expires_us = zk_col_i64(st, first + 9),
		.created_us = zk_col_i64(st, first + 10),
		.updated_us = zk_col_i64(st, first + 11),
	};
	if (!zk_trig_tier_parse(zk_col_text(st, first + 2), &org->tier))
		org->tier = ZK_TRIG_FREE;
}
