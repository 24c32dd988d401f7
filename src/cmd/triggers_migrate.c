/* `zk triggers migrate`, and the option --db that it shares with `zk triggers check`.
 * Layer: cmd. specs/triggers.md §11.2, §14.1. */
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_db.h"
#include "rt/out.h"
#include "triggers/check.h"
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

static const struct zk_opt migrate_rows[] = { TRIG_DB_ROW, ZK_OPT_END };

static const struct zk_out_col migrate_cols[] = {
	{ .name = "file", .flags = ZK_COL_WHOLE },
	{ .name = "from" },
	{ .name = "to" },
};

static const struct zk_out_shape migrate_shape = { .kind = ZK_OUT_ONE,
	                                           .cols = migrate_cols,
	                                           .n_cols = ZK_ARRAY_LEN(migrate_cols) };

static int migrate_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	const struct trig_db_opts *o = opts;
	ZK_CLEANUP(zk_freep)
	char *path = NULL;
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct zk_out *out = zk_app_out(app, err);
	int from = 0, to = 0;

	(void)argc;
	(void)argv;
	zk_row_init(&row);
	if (!out || trig_db_path(app, o->db, /* make */ true, &path, err) < 0 ||
	    zk_trig_migrate_file(path, &from, &to, err) < 0)
		return -(int)err->code;
	zk_row_cstr(&row, "file", path);
	zk_row_i64(&row, "from", from);
	zk_row_i64(&row, "to", to);
	if (zk_out_begin(out, &migrate_shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_triggers_migrate = {
	.path = "triggers migrate",
	.help = "bring the server's database file up to date",
	.about = "Makes the tables, or changes them to the form this zk knows. The "
	         "server does the "
	         "same when it starts; this is for doing it beforehand. Nothing happens "
	         "when the "
	         "file is up to date.",
	.examples = "zk triggers migrate\n"
	            "zk triggers migrate --db /var/lib/zk/triggers.db",
	.output = "the file, the version it had and the version it has",
	.exits = "0 · 73 a server is running on the file, or it cannot be made · 74 it "
	         "cannot be "
	         "changed · 78 made by a newer zk, or not a file",
	.see = "zk triggers check · man zk-triggers",
	.groups = ZK_OPTS_OUTPUT,
	.opts = migrate_rows,
	.opts_size = sizeof(struct trig_db_opts),
	.conf = "triggers",
	.env = trig_db_env,
	.run = migrate_run,
};
