/* `zk jetstream cursor show|set|convert`.
 * Layer: cmd. specs/jetstream.md §2, §8. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/jetstream_store.h"
#include "jetstream/position.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "store/sqlite.h"

#include "base/ban.h"

struct cursor_opts {
	struct jet_store_opts store;
	const char *to;
};

static const struct zk_opt show_rows[] = { JET_STORE_ROW, ZK_OPT_END };

static const struct zk_opt set_rows[] = {
	JET_STORE_ROW,
	{ .type = ZK_OPT_STR,
	  .name = "to",
	  .meta = "POS",
	  .flags = ZK_OPT_REQUIRED | ZK_OPT_NO_CONF,
	  .off = offsetof(struct cursor_opts, to),
	  .help = "live, -6h, a time, time_us, or seq:N" },
	ZK_OPT_END,
};

static char *live_path(struct zk_app *app, const struct jet_store_opts *o, char **dir,
                       struct zk_error *err)
{
	char name[ZK_JET_NAME_MAX];
	char *path;

	*dir = jet_store_dir(app, o->store, err);
	if (!*dir)
		return NULL;
	if (zk_jet_live_read(*dir, name) < 0) {
		(void)zk_fail(err, ZK_E_NO_INPUT, "there is no store in '%s'", *dir);
		free(ZK_TAKE(*dir));
		return NULL;
	}
	path = zk_asprintf("%s/%s", *dir, name);
	return path;
}

/* ---- show ---- */

static int put_rows(struct zk_out *out, struct zk_db *db, struct zk_error *err)
{
	static const char *const names[] = { "source", "host", "wire" };
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct zk_stmt *st;
	int r;

	zk_row_init(&row);
	if (zk_db_prepare(db,
	                  "SELECT source, host, wire, seq, time_us, updated_at FROM "
	                  "zk_position",
	                  &st, err) < 0)
		return -(int)err->code;
	while ((r = zk_stmt_step(st, err)) == 1) {
		for (int i = 0; i < 3; i++)
			zk_row_str(&row, names[i], zk_col_text(st, i));
		if (zk_col_is_null(st, 3))
			zk_row_null(&row, "seq");
		else
			zk_row_i64(&row, "seq", zk_col_i64(st, 3));
		zk_row_i64(&row, "time_us", zk_col_i64(st, 4));
		zk_row_time(&row, "time", zk_col_i64(st, 4));
		zk_row_str(&row, "updated_at", zk_col_text(st, 5));
		if (zk_out_row(out, zk_row_end(&row), err) < 0)
			return -(int)err->code;
	}
	return r;
}

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "positions" };
	const struct cursor_opts *o = opts;
	char *dir, *path = live_path(app, &o->store, &dir, err);
	struct zk_out *out = zk_app_out(app, err);
	struct zk_db *db = NULL;
	int r;

	(void)argc;
	(void)argv;
	if (!path || !out)
		return -(int)err->code;
	r = zk_jet_file_open(path, &db, err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	if (r == 0)
		r = put_rows(out, db, err);
	if (r == 0)
		r = zk_out_end(out, err);
	zk_db_close(db);
	free(path);
	free(dir);
	return r;
}

const struct zk_cmd zk_cmd_jetstream_cursor_show = {
	.path = "jetstream cursor show",
	.help = "print the stored positions",
	.output = "one position per source",
	.exits = "0 · 66 no store",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT,
	.opts = show_rows,
	.opts_size = sizeof(struct jet_store_opts),
	.conf = "jetstream",
	.flags = ZK_CMD_READER,
	.run = show_run,
};

/* ---- set ---- */

static int write_position(struct zk_db *db, const struct zk_jet_pos *p,
                          struct zk_error *err)
{
	char now[ZK_RFC3339_MAX];
	struct zk_stmt *st;
	int r;

	if (p->kind == ZK_JET_POS_LIVE)
		return zk_db_exec(db, "DELETE FROM zk_position WHERE source='host'", err);
	/* A number belongs to the host of the last position; a time to none. */
	if (zk_db_prepare(
	            db,
	            "INSERT INTO zk_position VALUES('host', '', '', ?1, ?2, ?3) "
	            "ON CONFLICT(source) DO UPDATE SET seq=?1, time_us=?2, updated_at=?3,"
	            " host=CASE WHEN ?1 IS NULL THEN '' ELSE host END",
	            &st, err) < 0)
		return -(int)err->code;
	if (p->kind == ZK_JET_POS_SEQ)
		zk_bind_i64(st, 1, (int64_t)p->seq);
	else
		zk_bind_i64(st, 2, p->time_us);
	zk_bind_text(st, 3, zk_str_n(now, zk_format_rfc3339(zk_wall_us(), now)));
	r = zk_stmt_run(st, err);
	zk_stmt_free(st);
	return r;
}

static int set_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	const struct cursor_opts *o = opts;
	struct zk_jet_pos p;
	struct zk_db_conf conf = { .busy_ms = 5000 };
	struct zk_db *db = NULL;
	char *dir, *path, *lock;
	int fd = -1, r;

	(void)argc;
	(void)argv;
	if (zk_jet_pos_parse(zk_str_of(o->to), zk_wall_us(), &p, err) < 0)
		return -(int)err->code;
	path = live_path(app, &o->store, &dir, err);
	if (!path)
		return -(int)err->code;
	lock = zk_asprintf("%s/store", dir);
	conf.path = path;
	r = zk_lock_file(lock, &fd, err);
	if (r == 0)
		r = zk_db_open(&conf, &db, err);
	if (r == 0 && !app->common.dry_run)
		r = write_position(db, &p, err);
	zk_db_close(db);
	if (fd >= 0)
		zk_unlock_file(fd);
	free(lock);
	free(path);
	free(dir);
	return r;
}

const struct zk_cmd zk_cmd_jetstream_cursor_set = {
	.path = "jetstream cursor set",
	.help = "set where the next run begins",
	.about = "The store must not be in use.",
	.examples = "zk jetstream cursor set --to -6h\n"
	            "zk jetstream cursor set --to 2026-01-01T00:00Z",
	.output = "nothing",
	.exits = "0 · 64 usage · 66 no store · 73 store in use",
	.see = "man zk-jetstream",
	.opts = set_rows,
	.opts_size = sizeof(struct cursor_opts),
	.conf = "jetstream",
	.run = set_run,
};

/* ---- convert ---- */

static int convert_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST };
	struct zk_out *out = zk_app_out(app, err);
	struct zk_row row ZK_CLEANUP(zk_row_done);

	(void)opts;
	zk_row_init(&row);
	if (!out || zk_out_begin(out, &shape, err) < 0)
		return -(int)err->code;
	for (int i = 0; i < argc; i++) {
		struct zk_jet_pos p;

		if (zk_jet_pos_parse(zk_str_of(argv[i]), zk_wall_us(), &p, err) < 0)
			return -(int)err->code;
		zk_row_cstr(&row, "position", argv[i]);
		if (p.kind == ZK_JET_POS_TIME) {
			zk_row_i64(&row, "time_us", p.time_us);
			zk_row_time(&row, "time", p.time_us);
		} else if (p.kind == ZK_JET_POS_SEQ) {
			zk_row_u64(&row, "seq", p.seq);
		}
		if (zk_out_row(out, zk_row_end(&row), err) < 0)
			return -(int)err->code;
	}
	return zk_out_end(out, err);
}

const struct zk_cmd zk_cmd_jetstream_cursor_convert = {
	.path = "jetstream cursor convert",
	.args = "POS...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "translate between times and time_us",
	.examples = "zk jetstream cursor convert 2026-01-01T00:00Z 1767225600000000",
	.output = "one position per row",
	.exits = "0 · 64 usage",
	.see = "man zk-jetstream",
	.groups = ZK_OPTS_OUTPUT,
	.flags = ZK_CMD_READER,
	.run = convert_run,
};

const struct zk_cmd zk_cmd_jetstream_cursor = {
	.path = "jetstream cursor",
	.help = "positions in the stream",
	.see = "man zk-jetstream",
};
