/* `zk triggers migrate`.
 * Layer: cmd. specs/triggers.md §11.2, §14.1. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_db.h"
#include "rt/out.h"
#include "store/pg.h"
#include "triggers/check.h"
#include "triggers/copy.h"
#define ZK_LOGGER "migrate"
#include "base/log.h"

#include "base/ban.h"

struct migrate_opts {
	struct trig_db_opts db;
	const char *from, *to;
};

static const struct zk_opt migrate_rows[] = {
	TRIG_DB_ROW,
	{ .type = ZK_OPT_STR,
	  .name = "from",
	  .meta = "PATH",
	  .off = offsetof(struct migrate_opts, from),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "copy this database file, also while its server runs …" },
	{ .type = ZK_OPT_STR,
	  .name = "to",
	  .meta = "URL",
	  .off = offsetof(struct migrate_opts, to),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "… into this PostgreSQL database",
	  .text = "The password belongs into PGPASSFILE or a service file." },
	ZK_OPT_END,
};

static const struct zk_out_col migrate_cols[] = {
	{ .name = "file", .flags = ZK_COL_WHOLE },
	{ .name = "from" },
	{ .name = "to" },
};

static const struct zk_out_shape migrate_shape = { .kind = ZK_OUT_ONE,
	                                           .cols = migrate_cols,
	                                           .n_cols = ZK_ARRAY_LEN(migrate_cols) };

static const struct zk_out_col copy_cols[] = {
	{ .name = "organizations" }, { .name = "api_keys" },    { .name = "events" },
	{ .name = "payload_bytes" }, { .name = "changed" },     { .name = "attempts" },
	{ .name = "dedup_ids" },     { .name = "duration_ms" },
};

static const struct zk_out_shape copy_shape = { .kind = ZK_OUT_ONE,
	                                        .cols = copy_cols,
	                                        .n_cols = ZK_ARRAY_LEN(copy_cols) };

/* ---- the schema alone --------------------------------------------------------------------- */

static int put_one(struct zk_app *app, const struct zk_out_shape *shape,
                   struct zk_row *row, struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);

	if (!out || zk_out_begin(out, shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return ZK_EXIT_OK;
}

static int run_schema(struct zk_app *app, const char *db, struct zk_error *err)
{
	char *where = NULL;
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct zk_buf text ZK_CLEANUP(zk_buf_done);
	int from = 0, to = 0, r;
	bool pg = false;

	zk_row_init(&row);
	zk_buf_init(&text, 4096);
	r = trig_db_any(app, db, /* make */ true, &where, &pg, err);
	if (r == 0)
		r = pg ? zk_trig_migrate_server(where, &from, &to, err)
		       : zk_trig_migrate_file(where, &from, &to, err);
	if (r == 0 && pg)
		zk_pg_describe(where, &text);
	else if (r == 0)
		zk_buf_cstr(&text, where);
	zk_secret_free(where);
	if (r < 0)
		return r;
	zk_row_cstr(&row, "file", zk_buf_cstring(&text));
	zk_row_i64(&row, "from", from);
	zk_row_i64(&row, "to", to);
	return put_one(app, &migrate_shape, &row, err);
}

/* ---- from a file to a server -------------------------------------------------------------- */

static void on_progress(void *ctx, enum zk_trig_copy_phase phase, uint64_t events)
{
	static const char *const texts[] = {
		[ZK_TRIG_COPY_EVENTS] = "copying",
		[ZK_TRIG_COPY_FOLLOW] =
		        "up to date; stop the server on the file to finish",
		[ZK_TRIG_COPY_FINISH] = "the server has stopped; copying what changed",
	};
	enum zk_trig_copy_phase *last = ctx;

	/* Each state once, and how far it is while there is much to do. */
	if (phase != *last || phase == ZK_TRIG_COPY_EVENTS)
		zk_notice(texts[phase], "events=%llu", (unsigned long long)events);
	*last = phase;
}

/* The file of --from; an absolute path, or one in the state directory. */
static int find_ends(struct zk_app *app, const struct migrate_opts *o, char **from,
                     char **to, struct zk_error *err)
{
	bool from_pg = false, to_pg = false;

	if (!o->from || !o->to)
		return zk_fail(err, ZK_E_USAGE, "--from and --to go together");
	if (trig_db_any(app, o->from, /* make */ false, from, &from_pg, err) < 0)
		return zk_wrap(err, "--from");
	if (trig_db_any(app, o->to, /* make */ false, to, &to_pg, err) < 0)
		return zk_wrap(err, "--to");
	if (from_pg || !to_pg)
		return zk_fail(err, ZK_E_USAGE,
		               "--from names a database file and --to a PostgreSQL "
		               "database (postgres://…)");
	return 0;
}

static int run_copy(struct zk_app *app, const struct migrate_opts *o,
                    struct zk_error *err)
{
	enum zk_trig_copy_phase phase = ZK_TRIG_COPY_EVENTS;
	struct zk_trig_copy c = { .progress = on_progress, .ctx = &phase };
	struct zk_row row ZK_CLEANUP(zk_row_done);
	char *from = NULL, *to = NULL;
	int64_t start_ms = zk_mono_ms();
	int r;

	zk_row_init(&row);
	r = find_ends(app, o, &from, &to, err);
	c.from = from;
	c.to = to;
	if (r == 0)
		r = zk_trig_copy_run(&c, err);
	free(from);
	zk_secret_free(to);
	if (r < 0)
		return r;
	zk_row_i64(&row, "organizations", (int64_t)c.organizations);
	zk_row_i64(&row, "api_keys", (int64_t)c.api_keys);
	zk_row_i64(&row, "events", (int64_t)c.events);
	zk_row_i64(&row, "payload_bytes", (int64_t)c.payload_bytes);
	zk_row_i64(&row, "changed", (int64_t)c.changed);
	zk_row_i64(&row, "attempts", (int64_t)c.attempts);
	zk_row_i64(&row, "dedup_ids", (int64_t)c.dedup_ids);
	zk_row_i64(&row, "duration_ms", zk_mono_ms() - start_ms);
	return put_one(app, &copy_shape, &row, err);
}

static int migrate_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	const struct migrate_opts *o = opts;

	(void)argc;
	(void)argv;
	return o->from || o->to ? run_copy(app, o, err) : run_schema(app, o->db.db, err);
}

const struct zk_cmd zk_cmd_triggers_migrate = {
	.path = "triggers migrate",
	.help = "bring a database up to date, or move from a file to PostgreSQL",
	.about =
	        "Makes the tables, or changes them to the form this zk knows. The server "
	        "does the same when it starts; this is for doing it beforehand.\n\n"
	        "With --from and --to it copies a database file into a PostgreSQL "
	        "database while the server on the file goes on. When it has caught up it "
	        "says so; stop that server then, and it copies the rest, compares counts "
	        "and bytes, and ends. Until then no server starts on the new database. A "
	        "run that was interrupted is begun again. The new servers need the same "
	        "server secret: the file server.secret beside the old database.",
	.examples = "zk triggers migrate --db /var/lib/zk/triggers.db\n"
	            "zk triggers migrate --from /var/lib/zk/triggers.db --to "
	            "postgres://zk@db/zk",
	.output = "the database, the version it had and the version it has; with --from "
	          "what was copied",
	.exits =
	        "0 · 69 the target is in use · 70 the target has less than the file · 73 "
	        "a server is running on "
	        "the "
	        "file, or it cannot be made · 74 it cannot be changed · 75 the server "
	        "cannot be reached · 77 it refuses the password · 78 made by a newer zk, "
	        "or not usable",
	.see = "zk triggers check · man zk-triggers",
	.groups = ZK_OPTS_OUTPUT,
	.opts = migrate_rows,
	.opts_size = sizeof(struct migrate_opts),
	.conf = "triggers",
	.env = trig_db_env,
	.run = migrate_run,
};
