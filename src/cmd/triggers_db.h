/* The database of the triggers server as commands name it.
 * Layer: cmd. */
#ifndef ZK_CMD_TRIGGERS_DB_H
#define ZK_CMD_TRIGGERS_DB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "conf/opt.h"

/* The struct of a command whose only own option is --db. */
struct trig_db_opts {
	const char *db;
};

#define TRIG_DB_ROW                                                               \
	{                                                                         \
		.type = ZK_OPT_STR, .name = "db", .meta = "PATH|URL",             \
		.off = offsetof(struct trig_db_opts, db), .complete = "file",     \
		.help = "database file",                                          \
		.text = "A relative path is taken from the state directory. The " \
		        "default is triggers.db there."                           \
	}

/* The file that `db` (NULL or "" = the default) names; the caller frees it. `make`: the state
 * directory is made when it is needed. */
int trig_db_path(struct zk_app *app, const char *db, bool make, char **ret,
                 struct zk_error *err) ZK_MUST_USE;
/* The same where a PostgreSQL server will do: `*pg` tells which it is, `ret` is the file or the URL
 * and is wiped by zk_secret_free. */
int trig_db_any(struct zk_app *app, const char *db, bool make, char **ret, bool *pg,
                struct zk_error *err) ZK_MUST_USE;
/* DATABASE_URL for --db. */
int trig_db_env(struct zk_app *app,
                int (*set)(struct zk_app *, const char *opt, const char *value,
                           const char *var, struct zk_error *),
                struct zk_error *err);

#endif
