/* The PostgreSQL store: schema, migrations, server secret.
 * Layer: triggers. Connections that wait: before the server listens, and in commands. */
#include <string.h>

#include "codec/digest.h"
#include "triggers/repo_pg.h"

#include "base/ban.h"

/* Payloads are JSON, not JSONB, which would reorder members, drop duplicates and refuse \u0000.
 * Rows in `event_deliveries` with a next_attempt_at are planned: the partial index holds only
 * those, by organization, first attempts apart from retries, so that a claim steps from one
 * organization to the next with a seek (§8.4). fillfactor leaves room for the updates that each
 * delivery makes. */
static const char *const schema[] = {
	"CREATE TABLE server_state(name TEXT PRIMARY KEY, value BYTEA, at TIMESTAMPTZ);"

	"CREATE TABLE organizations("
	" id UUID PRIMARY KEY, name TEXT NOT NULL, tier TEXT NOT NULL,"
	" rate_limit_per_minute BIGINT, webhook_url TEXT,"
	" webhook_enabled BOOLEAN NOT NULL DEFAULT true, webhook_disabled_reason TEXT,"
	" webhook_ordered BOOLEAN NOT NULL DEFAULT false,"
	" secret_version BIGINT NOT NULL DEFAULT 0, old_secret_expires_at TIMESTAMPTZ,"
	" created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL);"

	"CREATE TABLE api_keys("
	" key_id TEXT PRIMARY KEY,"
	" organization_id UUID NOT NULL REFERENCES organizations(id),"
	" hash TEXT NOT NULL, mac BYTEA, created_at TIMESTAMPTZ NOT NULL,"
	" expires_at TIMESTAMPTZ, last_used_at TIMESTAMPTZ);"
	"CREATE INDEX api_keys_organization ON api_keys(organization_id);"

	"CREATE TABLE events("
	" id UUID PRIMARY KEY, organization_id UUID NOT NULL, event_type TEXT NOT NULL,"
	" dedup_id TEXT, payload JSON NOT NULL, created_at TIMESTAMPTZ NOT NULL);"
	"CREATE INDEX events_by_organization ON events(organization_id, id DESC);"

	"CREATE TABLE event_deliveries("
	" event_id UUID PRIMARY KEY, organization_id UUID NOT NULL, status TEXT NOT NULL,"
	" attempts INT NOT NULL DEFAULT 0, next_attempt_at TIMESTAMPTZ,"
	" last_attempt_at TIMESTAMPTZ, response_status INT, error_message TEXT,"
	" delivered_at TIMESTAMPTZ, acknowledged_at TIMESTAMPTZ,"
	" updated_at TIMESTAMPTZ NOT NULL, locked_by TEXT, locked_until TIMESTAMPTZ,"
	" CHECK (status IN ('pending','retrying','delivered','failed'))"
	") WITH (fillfactor = 80);"
	"CREATE INDEX deliveries_planned ON event_deliveries"
	" (organization_id, status, next_attempt_at, event_id)"
	" WHERE next_attempt_at IS NOT NULL;"
	"CREATE INDEX deliveries_by_status ON event_deliveries"
	" (organization_id, status, event_id DESC);"

	"CREATE TABLE delivery_attempts("
	" event_id UUID NOT NULL, attempt INT NOT NULL, started_at TIMESTAMPTZ NOT NULL,"
	" duration_ms DOUBLE PRECISION NOT NULL, response_status INT, error TEXT,"
	" response_body TEXT, PRIMARY KEY (event_id, attempt));"

	"CREATE TABLE deduplication_cache("
	" organization_id UUID NOT NULL, dedup_id TEXT NOT NULL, event_id UUID NOT NULL,"
	" expires_at TIMESTAMPTZ NOT NULL, PRIMARY KEY (organization_id, dedup_id));"
	"CREATE INDEX deduplication_expiry ON deduplication_cache(expires_at);",
};

#define LOCK "8821553060122116"

int zk_pgr_version(void)
{
	return (int)ZK_ARRAY_LEN(schema);
}

static int read_number(struct zk_pg_conn *c, const char *sql, int64_t *ret,
                       struct zk_error *err)
{
	struct zk_pg_res *res;

	if (zk_pg_query(c, sql, NULL, &res, err) < 0)
		return -(int)err->code;
	*ret = zk_pg_rows(res) ? zk_pg_i64(res, 0, 0) : 0;
	zk_pg_res_free(res);
	return 0;
}

/* 0 in a fresh schema. */
static int read_version(struct zk_pg_conn *c, int64_t *version, struct zk_error *err)
{
	int64_t ours = 0, theirs = 0;

	*version = 0;
	if (read_number(c, "SELECT (to_regclass('server_state') IS NOT NULL)::int", &ours,
	                err) < 0 ||
	    read_number(c,
	                "SELECT (to_regclass('schema_migrations') IS NOT NULL OR"
	                " to_regclass('events') IS NOT NULL OR"
	                " to_regclass('organizations') IS NOT NULL)::int",
	                &theirs, err) < 0)
		return -(int)err->code;
	if (ours)
		return read_number(c,
		                   "SELECT max(version)::bigint FROM schema_migrations",
		                   version, err);
	if (!theirs)
		return 0;
	(void)zk_fail(err, ZK_E_CONFIG_VALUE,
	              "the database holds tables of another program");
	return zk_err_hint(err, "give zk a database or schema of its own "
	                        "(…?options=-csearch_path%%3Dzk)");
}

static int apply(struct zk_pg_conn *c, int version, struct zk_error *err)
{
	struct zk_buf sql ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&sql, 65536);
	zk_buf_lit(&sql, "BEGIN;");
	zk_buf_lit(&sql, "CREATE TABLE IF NOT EXISTS schema_migrations"
	                 "(version INT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL);");
	zk_buf_cstr(&sql, schema[version]);
	zk_buf_printf(&sql, "INSERT INTO schema_migrations VALUES(%d, now());COMMIT",
	              version + 1);
	if (zk_pg_exec(c, zk_buf_cstring(&sql), err) < 0)
		return zk_wrap(err, "migration %d", version + 1);
	return 0;
}

/* With the lock held. */
static int migrate(struct zk_pg_conn *c, int *from, struct zk_error *err)
{
	int64_t version = 0;

	if (read_version(c, &version, err) < 0)
		return -(int)err->code;
	if (from)
		*from = (int)version;
	if (version > zk_pgr_version()) {
		(void)zk_fail(err, ZK_E_STORE_VERSION,
		              "the database has schema version %lld, this zk knows %d",
		              (long long)version, zk_pgr_version());
		return zk_err_hint(err, "use the newer zk");
	}
	for (int v = (int)version; v < zk_pgr_version(); v++) {
		if (apply(c, v, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

int zk_pgr_migrate(struct zk_pg_conn *c, int *from, struct zk_error *err)
{
	struct zk_error ignored = { 0 };
	int r;

	if (zk_pg_exec(c, "SELECT pg_advisory_lock(" LOCK ")", err) < 0)
		return -(int)err->code;
	r = migrate(c, from, err);
	/* A failed migration leaves its transaction open. */
	if (r < 0)
		ZK_IGNORE(zk_pg_exec(c, "ROLLBACK", &ignored));
	ZK_IGNORE(zk_pg_exec(c, "SELECT pg_advisory_unlock(" LOCK ")", &ignored));
	return r;
}

int zk_pgr_check_whole(struct zk_pg_conn *c, struct zk_error *err)
{
	int64_t copying = 0;

	if (read_number(c,
	                "SELECT count(*) FROM server_state WHERE name='" ZK_PGR_COPYING
	                "'",
	                &copying, err) < 0)
		return -(int)err->code;
	if (!copying)
		return 0;
	(void)zk_fail(err, ZK_E_BUSY, "a migration into this database has not finished");
	return zk_err_hint(err,
	                   "run the same 'zk triggers migrate --from … --to …' again, "
	                   "to its end");
}

/* ---- the server secret -------------------------------------------------------------------- */

static int write_check(struct zk_pg_conn *c, const uint8_t check[32],
                       struct zk_error *err)
{
	struct zk_pg_params p ZK_CLEANUP(zk_pg_params_done);

	zk_pg_params_init(&p);
	zk_pg_put_bytes(&p, zk_str_n((const char *)check, 32));
	return zk_pg_query(c,
	                   "WITH macs AS (UPDATE api_keys SET mac=NULL WHERE mac IS NOT "
	                   "NULL) INSERT INTO server_state VALUES('secret_check',"
	                   "$1::bytea,now()) ON CONFLICT (name) DO UPDATE SET"
	                   " value=excluded.value,at=excluded.at",
	                   &p, NULL, err);
}

int zk_pgr_check_secret(struct zk_pg_conn *c, const uint8_t check[32], bool accept,
                        struct zk_error *err)
{
	struct zk_pg_res *res;
	bool found, same;

	if (zk_pg_query(c, "SELECT value FROM server_state WHERE name='secret_check'",
	                NULL, &res, err) < 0)
		return -(int)err->code;
	found = zk_pg_rows(res) > 0;
	zk_str v = found ? zk_pg_str(res, 0, 0) : ZK_STR_NULL;

	same = v.n == 32 && zk_equal_ct(v.p, check, 32);
	zk_pg_res_free(res);
	if (same)
		return 0;
	if (!found || accept)
		return write_check(c, check, err);
	(void)zk_fail(err, ZK_E_STORE_SECRET,
	              "the database was made with another server secret");
	return zk_err_hint(err, "give every server the same secret, or start once with "
	                        "--accept-new-secret: every signing secret changes then");
}
