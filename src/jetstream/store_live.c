/* The live file: schema, the transaction of a commit, the switch to the next file.
 * Layer: jetstream; the writing lane. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "jetstream/ledger.h"
#include "jetstream/store_int.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define PAGE_BYTES 16384
#define CACHE_KIB  16384
#define BUSY_MS    5000
#define ROW_MAX    (64u << 20)

static const char *const schema[] = {
	"CREATE TABLE records("
	"id INTEGER PRIMARY KEY,"
	"at_uri TEXT, did TEXT, time_us INTEGER,"
	"message TEXT NOT NULL, message_metadata TEXT,"
	"created_at TEXT NOT NULL, hydrated_at TEXT NOT NULL,"
	"hydration_time_ms INTEGER, api_calls_count INTEGER, cache_hit_rate REAL,"
	"cache_hits INTEGER, cache_misses INTEGER,"
	"kind TEXT, operation TEXT, collection TEXT, cursor INTEGER, hydration INTEGER);"
	"CREATE TABLE zk_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE zk_position(source TEXT PRIMARY KEY, host TEXT, wire TEXT, seq "
	"INTEGER,"
	" time_us INTEGER, updated_at TEXT) WITHOUT ROWID;"
	"CREATE TABLE zk_gap(from_us INTEGER, to_us INTEGER, host TEXT, reason TEXT,"
	" detected_at TEXT);"
	"CREATE TABLE zk_unresolved(record_id INTEGER, id TEXT, reason TEXT);"
	"CREATE INDEX zk_unresolved_record ON zk_unresolved(record_id);",
};

#define INDEXES                                                               \
	"CREATE INDEX IF NOT EXISTS idx_records_at_uri ON records(at_uri);"   \
	"CREATE INDEX IF NOT EXISTS idx_records_did ON records(did);"         \
	"CREATE INDEX IF NOT EXISTS idx_records_time_us ON records(time_us);" \
	"CREATE INDEX IF NOT EXISTS idx_records_created_at ON records(created_at);"

static int set_meta(struct zk_db *db, const char *key, zk_str value, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(db, "INSERT OR REPLACE INTO zk_meta VALUES(?,?)", &st, err) < 0)
		return -(int)err->code;
	zk_bind_text(st, 1, zk_str_of(key));
	zk_bind_text(st, 2, value);
	r = zk_stmt_run(st, err);
	zk_stmt_free(st);
	return r;
}

static int describe(struct zk_jet_store *s, struct zk_db *db, struct zk_error *err)
{
	char now[ZK_RFC3339_MAX];
	const struct {
		const char *key;
		zk_str value;
	} rows[] = {
		{ "schema", ZK_STR_INIT("1") },
		{ "zk", ZK_STR_INIT(ZK_VERSION) },
		{ "shard", zk_str_of(s->shard ? s->shard : "0/1") },
		{ "envelope", zk_str_of(zk_jet_envelope_names[s->conf.envelope]) },
		{ "created", zk_str_n(now, zk_format_rfc3339(zk_wall_us(), now)) },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (set_meta(db, rows[i].key, rows[i].value, err) < 0)
			return -(int)err->code;
	return 0;
}

static int prepare(struct zk_jet_live *l, struct zk_error *err)
{
	const struct {
		const char *sql;
		struct zk_stmt **st;
	} rows[] = {
		{ "INSERT INTO records VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		  &l->insert },
		{ "INSERT OR REPLACE INTO zk_position VALUES(?,?,?,?,?,?)", &l->place },
		{ "INSERT INTO zk_unresolved VALUES(?,?,?)", &l->unresolved },
		{ "INSERT INTO zk_gap VALUES(?,?,?,?,?)", &l->gap },
		{ "BEGIN IMMEDIATE", &l->begin },
		{ "COMMIT", &l->commit },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (zk_db_prepare(l->db, rows[i].sql, rows[i].st, err) < 0)
			return -(int)err->code;
	return 0;
}

static int count_rows(struct zk_jet_live *l, struct zk_error *err)
{
	struct zk_stmt *st;
	int r;

	if (zk_db_prepare(l->db, "SELECT coalesce(max(id),0) FROM records", &st, err) < 0)
		return -(int)err->code;
	r = zk_stmt_step(st, err);
	if (r == 1)
		l->last_id = zk_col_i64(st, 0);
	l->rows = (uint64_t)l->last_id;
	zk_stmt_free(st);
	return r < 0 ? r : 0;
}

int zk_jet_live_open(struct zk_jet_store *s, const char *name, bool fresh,
                     struct zk_jet_live *l, struct zk_error *err)
{
	char *path = zk_asprintf("%s/%s", s->dir, name);
	struct zk_db_conf conf = {
		.path = path,
		.flags = ZK_DB_CREATE | ZK_DB_NO_AUTO_CHECKPOINT | ZK_DB_GATHER |
		         (s->conf.full_durability ? ZK_DB_FULL : 0),
		.busy_ms = BUSY_MS,
		.cache_kib = CACHE_KIB,
		.page_bytes = PAGE_BYTES,
	};
	int r;

	memset(l, 0, sizeof(*l));
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	l->opened_ms = zk_mono_ms();
	zk_buf_init(&l->text, ROW_MAX);
	r = zk_db_open(&conf, &l->db, err);
	if (r == 0)
		r = zk_db_exec(l->db, "PRAGMA journal_size_limit=67108864", err);
	if (r == 0)
		r = zk_db_migrate(l->db, schema, ZK_ARRAY_LEN(schema), NULL, err);
	if (r == 0 && fresh)
		r = describe(s, l->db, err);
	if (r == 0 && s->conf.live_indexes)
		r = zk_db_exec(l->db, INDEXES, err);
	if (r == 0)
		r = prepare(l, err);
	if (r == 0)
		r = count_rows(l, err);
	free(path);
	if (r < 0)
		zk_jet_live_close(l);
	return r;
}

void zk_jet_live_close(struct zk_jet_live *l)
{
	zk_db_close(ZK_TAKE(l->db));
	zk_buf_done(&l->text);
}

/* ---- a commit ---- */

static void bind_text(struct zk_stmt *st, int i, zk_str s)
{
	if (s.n)
		zk_bind_text(st, i, s);
	else
		zk_bind_null(st, i);
}

static int put_unresolved(struct zk_jet_live *l, const struct zk_jet_item *i, int64_t id,
                          struct zk_error *err)
{
	for (unsigned k = 0; k < i->n_lookups; k++) {
		const struct zk_jet_lookup *lk = &i->lookups[k];

		if (lk->reason == ZK_JET_RESOLVED || lk->peek)
			continue;
		zk_bind_i64(l->unresolved, 1, id);
		zk_bind_text(l->unresolved, 2, lk->id);
		zk_bind_text(l->unresolved, 3, zk_str_of(zk_jet_reason_name(lk->reason)));
		if (zk_stmt_run(l->unresolved, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int put_row(struct zk_jet_store *s, struct zk_jet_live *l,
                   const struct zk_jet_item *i, int64_t id, zk_str now,
                   struct zk_error *err)
{
	struct zk_stmt *st = l->insert;
	struct zk_jet_row r;
	double rate;

	zk_buf_clear(&l->text);
	zk_jet_row_of(i, s->conf.envelope, ZK_STR_NULL, &l->text, &r);
	zk_bind_i64(st, 1, id);
	bind_text(st, 2, r.at_uri);
	zk_bind_text(st, 3, r.did);
	if (r.has_time)
		zk_bind_i64(st, 4, r.time_us);
	zk_bind_text(st, 5, r.message);
	bind_text(st, 6, r.metadata);
	zk_bind_text(st, 7, r.processed_at);
	zk_bind_text(st, 8, now);
	zk_bind_i64(st, 9, r.hydration_ms);
	zk_bind_i64(st, 10, r.calls);
	if (zk_jet_hit_rate(r.hits, r.misses, &rate))
		zk_bind_double(st, 11, rate);
	zk_bind_i64(st, 12, r.hits);
	zk_bind_i64(st, 13, r.misses);
	bind_text(st, 14, r.kind);
	bind_text(st, 15, r.operation);
	bind_text(st, 16, r.collection);
	if (r.has_cursor && r.cursor <= INT64_MAX)
		zk_bind_i64(st, 17, (int64_t)r.cursor);
	zk_bind_i64(st, 18, r.hydration);
	if (zk_stmt_run(st, err) < 0)
		return -(int)err->code;
	return i->hydration == ZK_JET_PARTIAL ? put_unresolved(l, i, id, err) : 0;
}

/* A row too large for SQLite is taken out; everything else fails the commit. */
static int put_rows(struct zk_jet_store *s, struct zk_jet_live *l,
                    struct zk_jet_commit *c)
{
	struct zk_jet_item **at = &c->items;
	char text[ZK_RFC3339_MAX];
	zk_str now = zk_str_n(text, zk_format_rfc3339(zk_wall_us(), text));
	int64_t id = l->last_id;

	while (*at) {
		int r = put_row(s, l, *at, id + 1, now, &c->err);

		if (r == -ZK_E_LIMIT) {
			struct zk_jet_item *bad = *at;

			*at = bad->next;
			bad->next = c->bad;
			c->bad = bad;
			c->refused++;
			c->n--;
			continue;
		}
		if (r < 0)
			return r;
		id++;
		at = &(*at)->next;
	}
	c->last_id = id;
	return 0;
}

static int put_place(struct zk_jet_live *l, const struct zk_jet_stored_place *at,
                     struct zk_error *err)
{
	char now[ZK_RFC3339_MAX];

	if (!at->source[0])
		return 0;
	zk_bind_text(l->place, 1, zk_str_of(at->source));
	zk_bind_text(l->place, 2, zk_str_of(at->place.host));
	zk_bind_text(l->place, 3, zk_str_of(at->place.wire));
	if (at->place.seq)
		zk_bind_i64(l->place, 4, (int64_t)at->place.seq);
	if (at->place.time_us)
		zk_bind_i64(l->place, 5, at->place.time_us);
	zk_bind_text(l->place, 6,
	             zk_str_n(now, zk_format_rfc3339(at->place.updated_us, now)));
	return zk_stmt_run(l->place, err);
}

static int put_gap(struct zk_jet_live *l, const struct zk_jet_gap *g,
                   struct zk_error *err)
{
	char now[ZK_RFC3339_MAX];

	if (!g)
		return 0;
	zk_bind_i64(l->gap, 1, g->from_us);
	zk_bind_i64(l->gap, 2, g->to_us);
	zk_bind_text(l->gap, 3, zk_str_of(g->host));
	zk_bind_text(l->gap, 4, zk_str_of(g->reason));
	zk_bind_text(l->gap, 5, zk_str_n(now, zk_format_rfc3339(zk_wall_us(), now)));
	return zk_stmt_run(l->gap, err);
}

/* ---- the next file ---- */

static uint64_t size_of(const char *dir, const char *name, const char *suffix)
{
	char *path = zk_asprintf("%s/%s%s", dir, name, suffix);
	struct stat st;
	uint64_t n = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;

	free(path);
	return n;
}

static bool is_due(const struct zk_jet_store *s, const struct zk_jet_commit *c)
{
	const struct zk_jet_live *l = &s->live;

	if (!l->rows)
		return false;
	if (c->rotate)
		return true;
	/* By either clock: the wall's may go back. */
	if (s->conf.rotate_ms &&
	    (zk_wall_us() / 1000 - l->opened_s * 1000 >= s->conf.rotate_ms ||
	     zk_mono_ms() - l->opened_ms >= s->conf.rotate_ms))
		return true;
	return s->conf.rotate_bytes && l->bytes >= s->conf.rotate_bytes;
}

/* Between two transactions. The positions come first, then the name of the live file. */
static int rotate(struct zk_jet_store *s, struct zk_jet_commit *c)
{
	struct zk_jet_files files;
	struct zk_jet_live next;
	char name[ZK_JET_NAME_MAX];
	int64_t now = zk_wall_us() / 1000000;
	int r;

	if (zk_jet_files_list(s->dir, &files, &c->err) < 0)
		return -(int)c->err.code;
	zk_jet_files_fresh(&files, s->dir, now, name);
	zk_jet_files_done(&files);
	if (zk_jet_live_open(s, name, /* fresh */ true, &next, &c->err) < 0)
		return -(int)c->err.code;
	next.opened_s = now;
	r = zk_jet_positions_copy(s->live.db, "zk_position", next.place, &c->err);
	if (r >= 0)
		r = zk_jet_live_write(s->dir, name, &c->err);
	if (r < 0) {
		zk_jet_live_close(&next);
		return r;
	}
	memcpy(c->sealed, s->live.name, sizeof(c->sealed));
	zk_jet_live_close(&s->live);
	s->live = next;
	return 0;
}

static void on_wal(void *ctx, int pages)
{
	((struct zk_jet_store *)ctx)->live.wal_pages = pages;
}

static int run(struct zk_jet_store *s, struct zk_jet_commit *c)
{
	struct zk_jet_live *l = &s->live;
	int r = 0;

	if (is_due(s, c))
		r = rotate(s, c);
	if (r == 0)
		r = zk_stmt_run(l->begin, &c->err);
	if (r < 0)
		return r;
	zk_db_on_wal(l->db, on_wal, s);
	r = put_rows(s, l, c);
	if (r == 0)
		r = put_place(l, &c->at, &c->err);
	if (r == 0)
		r = put_gap(l, c->gap, &c->err);
	if (r == 0)
		r = zk_stmt_run(l->commit, &c->err);
	if (r < 0) {
		zk_db_rollback(l->db);
		return r;
	}
	l->rows += c->n;
	l->last_id = c->last_id;
	return 0;
}

/* Its rows since the last good file have to come again, so this run ends; the next one finds no
 * live file and goes on at the position of the newest good one. */
static void give_up_file(struct zk_jet_store *s, struct zk_error *err)
{
	zk_jet_live_close(&s->live);
	zk_jet_set_aside(s, s->live.name);
	(void)zk_err_hint(err, "run again: it goes on where the newest good file ends");
}

void zk_jet_live_run(struct zk_jet_store *s, struct zk_jet_commit *c)
{
	int64_t start = zk_mono_us();
	struct zk_jet_item *bad = NULL;

	if (c->retry)
		s->failed = false;
	c->err = (struct zk_error){ 0 };
	if (s->failed || !s->live.db) {
		(void)zk_fail(&c->err, ZK_E_STORE, "an earlier commit failed");
	} else if (run(s, c) < 0) {
		s->failed = true;
		if (c->err.code == ZK_E_STORE_CORRUPT)
			give_up_file(s, &c->err);
	}
	/* What was taken out of a commit that failed is tried again with it. */
	while (c->err.code && (bad = c->bad) != NULL) {
		c->bad = bad->next;
		bad->next = c->items;
		c->items = bad;
		c->n++;
		c->refused--;
	}
	memcpy(c->file, s->live.name, sizeof(c->file));
	c->file_bytes = size_of(s->dir, s->live.name, "");
	c->wal_bytes = size_of(s->dir, s->live.name, "-wal");
	c->wal_pages = s->live.wal_pages;
	s->live.bytes = c->file_bytes + c->wal_bytes;
	c->commit_us = zk_mono_us() - start;
}
