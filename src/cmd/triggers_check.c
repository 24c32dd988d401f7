/* `zk triggers check`.
 * Layer: cmd. specs/triggers.md §14.1. */
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_db.h"
#include "rt/out.h"
#include "triggers/check.h"

#include "base/ban.h"

static const struct zk_opt check_rows[] = { TRIG_DB_ROW, ZK_OPT_END };

static const struct zk_out_col check_cols[] = {
	{ .name = "file", .flags = ZK_COL_WHOLE },
	{ .name = "sound" },
	{ .name = "faults" },
	{ .name = "version" },
	{ .name = "bytes" },
	{ .name = "wal_bytes" },
	{ .name = "organizations" },
	{ .name = "api_keys" },
	{ .name = "events" },
	{ .name = "pending" },
	{ .name = "retrying" },
	{ .name = "delivered" },
	{ .name = "acknowledged" },
	{ .name = "failed" },
	{ .name = "attempts" },
	{ .name = "deduplication" },
	{ .name = "oldest" },
	{ .name = "newest" },
};

static const struct zk_out_shape check_shape = { .kind = ZK_OUT_ONE,
	                                         .cols = check_cols,
	                                         .n_cols = ZK_ARRAY_LEN(check_cols) };

/* The texts of the faults as a JSON list. */
static void on_fault(void *ctx, const char *text)
{
	struct zk_buf *list = ctx;

	zk_buf_char(list, list->n ? ',' : '[');
	zk_buf_json_str(list, zk_str_of(text));
}

static void put_count(struct zk_row *row, const char *name, int64_t n)
{
	if (n < 0)
		zk_row_null(row, name); /* cannot be read */
	else
		zk_row_i64(row, name, n);
}

static void put_time(struct zk_row *row, const char *name, int64_t us)
{
	if (us)
		zk_row_time(row, name, us);
	else
		zk_row_null(row, name);
}

static void put_row(struct zk_row *row, const struct zk_trig_check *c,
                    struct zk_buf *faults)
{
	const struct zk_trig_counts *n = &c->counts;

	zk_buf_cstr(faults, faults->n ? "]" : "[]");
	zk_row_cstr(row, "file", c->path);
	zk_row_bool(row, "sound", c->faults == 0);
	zk_row_raw(row, "faults", zk_buf_str(faults));
	zk_row_i64(row, "version", c->version);
	zk_row_u64(row, "bytes", c->bytes);
	zk_row_u64(row, "wal_bytes", c->wal_bytes);
	put_count(row, "organizations", n->organizations);
	put_count(row, "api_keys", n->api_keys);
	put_count(row, "events", n->events);
	put_count(row, "pending", n->pending);
	put_count(row, "retrying", n->retrying);
	put_count(row, "delivered", n->delivered);
	put_count(row, "acknowledged", n->acknowledged);
	put_count(row, "failed", n->failed);
	put_count(row, "attempts", n->attempts);
	put_count(row, "deduplication", n->deduplication);
	put_time(row, "oldest", c->oldest_us);
	put_time(row, "newest", c->newest_us);
}

static int print(struct zk_app *app, const struct zk_trig_check *c, struct zk_buf *faults,
                 struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);
	struct zk_row row ZK_CLEANUP(zk_row_done);

	zk_row_init(&row);
	put_row(&row, c, faults);
	if (!out || zk_out_begin(out, &check_shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return c->faults ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int check_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct trig_db_opts *o = opts;
	ZK_CLEANUP(zk_freep)
	char *path = NULL;
	struct zk_buf faults ZK_CLEANUP(zk_buf_done);
	struct zk_trig_check c = { .fault = on_fault, .ctx = &faults };

	(void)argc;
	(void)argv;
	zk_buf_init(&faults, (size_t)1 << 20);
	if (trig_db_path(app, o->db, /* make */ false, &path, err) < 0)
		return -(int)err->code;
	c.path = path;
	if (zk_trig_check_file(&c, err) < 0)
		return -(int)err->code;
	return print(app, &c, &faults, err);
}

const struct zk_cmd zk_cmd_triggers_check = {
	.path = "triggers check",
	.help = "look for damage in the server's database file",
	.about = "Reads every page, compares the tables and counts their rows, without "
	         "changing "
	         "anything; a server may be running on the file. A count that cannot be "
	         "read is "
	         "null.",
	.examples = "zk triggers check\n"
	            "zk triggers check --db /var/lib/zk/triggers.db -o json",
	.output = "one row: the file, whether it is sound, the faults found, counts",
	.exits = "0 sound · 1 faults were found · 65 not a database of zk triggers · 66 "
	         "no such "
	         "file · 74 it cannot be read · 78 made by a newer zk",
	.see = "zk triggers migrate · man zk-triggers",
	.groups = ZK_OPTS_OUTPUT,
	.opts = check_rows,
	.opts_size = sizeof(struct trig_db_opts),
	.conf = "triggers",
	.env = trig_db_env,
	.flags = ZK_CMD_READER,
	.run = check_run,
};
