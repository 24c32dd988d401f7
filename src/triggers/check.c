/* Check and migration of a database file.
 * Layer: triggers. */
#include "triggers/check.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/pg.h"
#include "triggers/repo_pg.h"
#include "triggers/repo_sqlite.h"

#include "base/ban.h"

#define MAX_FAULTS 100

/* Each counts rows that must not be there. */
static const struct {
	const char *sql, *text;
} rules[] = {
	{ "SELECT count(*) FROM event_deliveries d LEFT JOIN events e ON e.seq=d.seq"
	  " WHERE e.id IS NOT d.event_id OR e.organization_id IS NOT d.organization_id",
	  "deliveries without their event" },
	{ "SELECT count(*) FROM events e WHERE NOT EXISTS(SELECT 1 FROM event_deliveries "
	  "d"
	  " WHERE d.status IN (0,1,2,3,4,5) AND d.organization_id=e.organization_id"
	  " AND d.event_id=e.id AND d.seq=e.seq)",
	  "events without a delivery" },
	{ "SELECT count(*)-count(DISTINCT seq) FROM event_deliveries",
	  "deliveries that stand twice" },
	{ "SELECT count(*) FROM event_deliveries WHERE status NOT IN (0,1,2,3,4,5)",
	  "deliveries in a state that does not exist" },
	{ "SELECT count(*) FROM event_deliveries"
	  " WHERE next_attempt_at IS NOT NULL AND status<>2",
	  "deliveries with a plan for a retry that are not retrying" },
	{ "SELECT count(*) FROM (SELECT DISTINCT organization_id AS o FROM "
	  "event_deliveries)"
	  " LEFT JOIN organizations ON id=o WHERE id IS NULL",
	  "organizations that have events but no row" },
	{ "SELECT count(*) FROM pragma_foreign_key_check", "rows that refer to nothing" },
};

#define STATE(n) "SELECT count(*) FROM event_deliveries WHERE status IN (" n ")"

static const struct {
	const char *sql;
	size_t off;
} counts[] = {
	{ "SELECT count(*) FROM organizations",
	  offsetof(struct zk_trig_counts, organizations) },
	{ "SELECT count(*) FROM api_keys", offsetof(struct zk_trig_counts, api_keys) },
	{ "SELECT count(*) FROM events", offsetof(struct zk_trig_counts, events) },
	{ STATE("0,1"), offsetof(struct zk_trig_counts, pending) },
	{ STATE("2"), offsetof(struct zk_trig_counts, retrying) },
	{ STATE("3"), offsetof(struct zk_trig_counts, failed) },
	{ STATE("4,5"), offsetof(struct zk_trig_counts, delivered) },
	{ STATE("5"), offsetof(struct zk_trig_counts, acknowledged) },
	{ "SELECT count(*) FROM delivery_attempts",
	  offsetof(struct zk_trig_counts, attempts) },
	{ "SELECT count(*) FROM deduplication_cache",
	  offsetof(struct zk_trig_counts, deduplication) },
};

static void add_fault(struct zk_trig_check *c, const char *text)
{
	if (c->faults++ < MAX_FAULTS && c->fault)
		c->fault(c->ctx, text);
}

/* The number in the first column; negative code when the statement fails. */
static int read_number(struct zk_db *db, const char *sql, int64_t *ret,
                       struct zk_error *err)
{
	struct zk_stmt *st = NULL;
	int r;

	if (zk_db_prepare(db, sql, &st, err) < 0)
		return zk_lite_code(err);
	r = zk_stmt_step(st, err);
	if (r > 0)
		*ret = zk_col_i64(st, 0);
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

/* SQLite's own look at every page and index. */
static void check_pages(struct zk_trig_check *c, struct zk_db *db)
{
	struct zk_error err = { 0 };
	struct zk_stmt *st = NULL;
	char text[512];
	int r = zk_db_prepare(db, "PRAGMA integrity_check(100)", &st, &err);

	while (r >= 0 && (r = zk_stmt_step(st, &err)) > 0) {
		zk_str s = zk_col_text(st, 0);

		if (zk_str_eq(s, ZK_STR("ok")))
			continue;
		(void)snprintf(text, sizeof(text), "%.*s",
		               (int)ZK_MIN(s.n, sizeof(text) - 1), s.n ? s.p : "");
		add_fault(c, text);
	}
	if (r < 0)
		add_fault(c, err.msg);
	zk_stmt_free(st);
}

static void check_rules(struct zk_trig_check *c, struct zk_db *db)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(rules); i++) {
		struct zk_error err = { 0 };
		char text[256];
		int64_t n = 0;

		if (read_number(db, rules[i].sql, &n, &err) < 0) {
			add_fault(c, err.msg);
		} else if (n) {
			(void)snprintf(text, sizeof(text), "%lld %s", (long long)n,
			               rules[i].text);
			add_fault(c, text);
		}
	}
}

static void count_rows(struct zk_trig_check *c, struct zk_db *db)
{
	struct zk_error ignored = { 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(counts); i++) {
		int64_t n = -1;

		if (read_number(db, counts[i].sql, &n, &ignored) < 0)
			n = -1;
		memcpy((char *)&c->counts + counts[i].off, &n, sizeof(n));
	}
	ZK_IGNORE(read_number(db, "SELECT created_at FROM events ORDER BY seq LIMIT 1",
	                      &c->oldest_us, &ignored));
	ZK_IGNORE(read_number(db,
	                      "SELECT created_at FROM events ORDER BY seq DESC LIMIT 1",
	                      &c->newest_us, &ignored));
}

static uint64_t size_of(const char *path, const char *suffix)
{
	ZK_CLEANUP(zk_freep)
	char *name = zk_asprintf("%s%s", path, suffix);
	struct stat st;

	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Is it ours, and of a version that we know? */
static int check_kind(struct zk_trig_check *c, struct zk_db *db, struct zk_error *err)
{
	int64_t version = 0, tables = 0;

	if (read_number(db, "PRAGMA user_version", &version, err) < 0 ||
	    read_number(
	            db,
	            "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name IN"
	            " ('events','event_deliveries','deduplication_cache','api_keys')",
	            &tables, err) < 0)
		return zk_lite_code(err);
	c->version = (int)version;
	if (tables < 4)
		return zk_fail(err, ZK_E_DATA, "'%s' is not a database of zk triggers",
		               c->path);
	if (version > zk_lite_version())
		return zk_fail(
		        err, ZK_E_STORE_VERSION,
		        "the database '%s' has version %lld, this zk knows up to %d",
		        c->path, (long long)version, zk_lite_version());
	return 0;
}

int zk_trig_check_file(struct zk_trig_check *c, struct zk_error *err)
{
	ZK_CLEANUP(zk_db_closep)
	struct zk_db *db = NULL;

	c->faults = 0;
	c->oldest_us = c->newest_us = 0;
	memset(&c->counts, 0xff, sizeof(c->counts));
	if (zk_lite_open(c->path, ZK_DB_READONLY, 0, &db, err) < 0 ||
	    zk_db_exec(db, "BEGIN", err) < 0 || check_kind(c, db, err) < 0)
		return zk_lite_code(err);
	c->bytes = size_of(c->path, "");
	c->wal_bytes = size_of(c->path, "-wal");
	check_pages(c, db);
	check_rules(c, db);
	count_rows(c, db);
	return 0;
}

int zk_trig_migrate_file(const char *path, int *from, int *to, struct zk_error *err)
{
	ZK_CLEANUP(zk_db_closep)
	struct zk_db *db = NULL;
	int lock, r;

	if (zk_lock_file(path, &lock, err) < 0)
		return zk_lite_code(err);
	r = zk_lite_open(path, ZK_DB_CREATE | ZK_DB_FULL, 0, &db, err);
	if (r == 0)
		r = zk_lite_migrate(db, from, err);
	*to = zk_lite_version();
	zk_unlock_file(lock);
	return r;
}

int zk_trig_migrate_server(const char *url, int *from, int *to, struct zk_error *err)
{
	struct zk_pg_conf conf = { .url = url,
		                   .app = "zk triggers migrate",
		                   .query_ms = -1 };
	ZK_CLEANUP(zk_pg_closep)
	struct zk_pg_conn *c = NULL;

	if (zk_pg_open(&conf, &c, err) < 0 || zk_pgr_migrate(c, from, err) < 0)
		return -(int)err->code;
	*to = zk_pgr_version();
	return 0;
}
