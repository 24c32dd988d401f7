/* What zk remembers about servers between runs.
 * Layer: zip. */
#include "zip/memory.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/sqlite.h"

#include "base/ban.h"

struct zk_zip_memory {
	struct zk_db *db;
	struct zk_stmt *get, *put;
};

static const char *const steps[] = {
	"CREATE TABLE memory (origin TEXT NOT NULL, topic TEXT NOT NULL, name TEXT NOT "
	"NULL,"
	" value TEXT NOT NULL, at_ms INTEGER NOT NULL,"
	" PRIMARY KEY (origin, topic, name)) STRICT, WITHOUT ROWID",
};

static int prepare(struct zk_zip_memory *m, struct zk_error *err)
{
	if (zk_db_migrate(m->db, steps, ZK_ARRAY_LEN(steps), NULL, err) < 0 ||
	    zk_db_prepare(m->db,
	                  "SELECT value, at_ms FROM memory"
	                  " WHERE origin = ?1 AND topic = ?2 AND name = ?3",
	                  &m->get, err) < 0 ||
	    zk_db_prepare(m->db,
	                  "INSERT INTO memory VALUES (?1, ?2, ?3, ?4, ?5)"
	                  " ON CONFLICT DO UPDATE SET value = ?4, at_ms = ?5",
	                  &m->put, err) < 0)
		return -(int)err->code;
	return 0;
}

int zk_zip_memory_open(const char *path, struct zk_zip_memory **ret, struct zk_error *err)
{
	struct zk_zip_memory *m = zk_new0(struct zk_zip_memory);
	struct zk_db_conf conf = { .path = path, .flags = ZK_DB_CREATE, .busy_ms = 5000 };

	if (zk_db_open(&conf, &m->db, err) < 0 || prepare(m, err) < 0) {
		zk_zip_memory_close(m);
		return zk_wrap(err, "cannot open '%s'", path);
	}
	*ret = m;
	return 0;
}

void zk_zip_memory_close(struct zk_zip_memory *m)
{
	if (!m)
		return;
	zk_db_close(m->db);
	free(m);
}

static void bind(struct zk_stmt *st, const char *origin, const char *topic, zk_str name)
{
	zk_bind_text(st, 1, zk_str_of(origin));
	zk_bind_text(st, 2, zk_str_of(topic));
	zk_bind_text(st, 3, name.p ? name : ZK_STR(""));
}

int zk_zip_memory_get(struct zk_zip_memory *m, const struct zk_zip_memory_key *k,
                      int64_t max_age_ms, struct zk_buf *b, bool *found,
                      struct zk_error *err)
{
	int64_t now = zk_wall_us() / 1000;
	int r;

	bind(m->get, k->origin, k->topic, k->name);
	r = zk_stmt_step(m->get, err);
	*found = r > 0 && (!max_age_ms || now - zk_col_i64(m->get, 1) <= max_age_ms);
	if (*found)
		zk_buf_add(b, zk_col_text(m->get, 0));
	if (r > 0)
		zk_stmt_reset(m->get);
	return r < 0 ? r : 0;
}

int zk_zip_memory_put(struct zk_zip_memory *m, const char *origin, const char *topic,
                      zk_str name, zk_str value, struct zk_error *err)
{
	bind(m->put, origin, topic, name);
	zk_bind_text(m->put, 4, value);
	zk_bind_i64(m->put, 5, zk_wall_us() / 1000);
	return zk_stmt_run(m->put, err);
}
