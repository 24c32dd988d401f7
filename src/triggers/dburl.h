/* What --db and DATABASE_URL name: a SQLite file or a PostgreSQL server.
 * Layer: triggers. Pure; any thread. specs/triggers.md §11.4, §13. */
#ifndef ZK_TRIGGERS_DBURL_H
#define ZK_TRIGGERS_DBURL_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum zk_trig_db { ZK_TRIG_DB_SQLITE, ZK_TRIG_DB_POSTGRES };

#define ZK_TRIG_DBURL_MAX 4096

/* Tells the kind of store and appends what opens it to `b` (empty before; a cap of
 * ZK_TRIG_DBURL_MAX + 64 always suffices):
 *   SQLite      the path. Text without a scheme is a path as it stands. `sqlite:PATH`,
 *               `sqlite://PATH` and `sqlite:///PATH` (absolute; a fourth slash is folded) are
 *               percent-decoded, a query (`?mode=rwc`) is dropped; `sqlite3:` and drivers such
 *               as `sqlite+aiosqlite:` are accepted alike.
 *   PostgreSQL  the URL with the scheme `postgresql`, from postgres, postgresql, ecto and any
 *               `+driver` of them.
 * -ZK_E_CONFIG_VALUE for an empty text or path, a memory database, another scheme, control
 * characters and texts over the limit. Messages never hold more than the scheme: the rest may
 * have a password in it. */
int zk_trig_dburl_parse(zk_str text, enum zk_trig_db *kind, struct zk_buf *b,
                        struct zk_error *err) ZK_MUST_USE;

#endif
