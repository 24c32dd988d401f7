/* The option --db of `zk triggers serve`, `check` and `migrate`.
 * Layer: cmd. specs/triggers.md §11.2, §13. */
#include "cmd/triggers_db.h"

#include <stdlib.h>

#include "base/mem.h"
#include "triggers/dburl.h"
#include "triggers/repo.h"

#include "base/ban.h"

int trig_db_path(struct zk_app *app, const char *db, bool make, char **ret,
                 struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&path, ZK_TRIG_DBURL_MAX + 64);
	if (zk_trig_repo_path(db && db[0] ? db : "triggers.db", &path, err) < 0)
		return -(int)err->code;
	db = zk_buf_cstring(&path);
	if (db[0] == '/') {
		*ret = zk_strdup(db);
		return 0;
	}
	ZK_CLEANUP(zk_freep)
	char *dir = zk_app_state_dir(app, make, err);

	if (!dir)
		return -(int)err->code;
	*ret = zk_asprintf("%s/%s", dir, db);
	return 0;
}

int trig_db_any(struct zk_app *app, const char *db, bool make, char **ret, bool *pg,
                struct zk_error *err)
{
	struct zk_buf url ZK_CLEANUP(zk_buf_done);
	enum zk_trig_db kind = ZK_TRIG_DB_SQLITE;

	zk_buf_init_secret(&url, ZK_TRIG_DBURL_MAX + 64);
	if (db && db[0] && zk_trig_dburl_parse(zk_str_of(db), &kind, &url, err) < 0)
		return -(int)err->code;
	*pg = kind == ZK_TRIG_DB_POSTGRES;
	if (!*pg)
		return trig_db_path(app, db, make, ret, err);
	*ret = zk_strdup(zk_buf_cstring(&url));
	return 0;
}

int trig_db_env(struct zk_app *app,
                int (*set)(struct zk_app *, const char *opt, const char *value,
                           const char *var, struct zk_error *),
                struct zk_error *err)
{
	const char *url = getenv("DATABASE_URL");

	return url && url[0] ? set(app, "db", url, "DATABASE_URL", err) : 0;
}
