/* `zk spool drop`.
 * Layer: cmd. */
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "rt/out.h"

#include "base/ban.h"

struct drop_opts {
	struct spool_opts spool;
	int state;
	int64_t older_than_ms;
	bool everything;
};

static const struct zk_opt drop_rows[] = {
	SPOOL_DIR_ROW,
	{ .type = ZK_OPT_ENUM,
	  .name = "state",
	  .meta = "STATE",
	  .def = "any",
	  .values = spool_states,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct drop_opts, state),
	  .help = "only records in this state" },
	{ .type = ZK_OPT_DURATION,
	  .name = "older-than",
	  .meta = "D",
	  .def = "0",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct drop_opts, older_than_ms),
	  .help = "only records that wait for longer than this" },
	{ .type = ZK_OPT_BOOL,
	  .name = "everything",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct drop_opts, everything),
	  .help = "all records of the profile" },
	ZK_OPT_END,
};

static const struct zk_out_col drop_cols[] = {
	{ .name = "dropped", .flags = ZK_COL_RIGHT },
};

static const struct zk_out_shape drop_shape = { .kind = ZK_OUT_ONE,
	                                        .cols = drop_cols,
	                                        .n_cols = ZK_ARRAY_LEN(drop_cols) };

static int count(void *ctx, const struct zk_spool_rec *rec, struct zk_error *err)
{
	uint64_t *n = ctx;

	(void)err;
	*n += rec->state != ZK_SPOOL_SENDING;
	return 0;
}

/* How many would go; the question that --yes answers. */
static int check(struct zk_app *app, struct zk_spool *sp, const struct zk_spool_filter *f,
                 uint64_t *ret_n, struct zk_error *err)
{
	struct zk_spool_filter all = *f;
	int r;

	all.no_body = true;
	r = zk_spool_each(sp, &all, count, ret_n, err);
	if (r < 0 || app->common.dry_run || app->common.yes || !*ret_n)
		return r;
	(void)zk_fail(err, ZK_E_USAGE,
	              "%llu record%s would be gone that nobody has received",
	              (unsigned long long)*ret_n, *ret_n == 1 ? "" : "s");
	return zk_err_hint(err,
	                   "keep a copy with zk spool export; then repeat with --yes");
}

static int put_result(struct zk_app *app, uint64_t n, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct zk_out *out = zk_app_out(app, err);

	zk_row_init(&row);
	zk_row_u64(&row, "dropped", n);
	if (!out || zk_out_begin(out, &drop_shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0)
		return -(int)err->code;
	return zk_out_end(out, err);
}

static int drop(struct zk_app *app, const struct drop_opts *o, struct zk_spool_filter *f,
                struct zk_error *err)
{
	ZK_CLEANUP(zk_spool_closep)
	struct zk_spool *sp = NULL;
	uint64_t n = 0;

	f->states = spool_state_bits(o->state);
	if (o->older_than_ms)
		f->before_us = zk_wall_us() - o->older_than_ms * 1000;
	int r = spool_open(app, o->spool.dir, &sp, err);

	if (r > 0) {
		r = check(app, sp, f, &n, err);
		if (r == 0 && !app->common.dry_run)
			r = zk_spool_drop(sp, f, &n, err);
	}
	return r < 0 ? r : put_result(app, n, err);
}

static int drop_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct drop_opts *o = opts;
	struct spool_args args;

	if (argc == 0 && o->state == 0 && !o->older_than_ms && !o->everything)
		return zk_fail(err, ZK_E_USAGE,
		               "say what: ids, targets, --state, --older-than, or "
		               "--everything");
	int r = spool_args_parse(argc, argv, &args, err);

	if (r < 0)
		return r;
	r = drop(app, o, &args.filter, err);
	spool_args_done(&args);
	return r;
}

const struct zk_cmd zk_cmd_spool_drop = {
	.path = "spool drop",
	.args = "[ID...|TARGET...]",
	.max_args = ZK_ANY,
	.help = "delete records that were not delivered",
	.about = "Nothing is deleted without --yes; records that a running command is "
	         "sending stay.",
	.examples = "zk spool export --state failed > refused.ndjson\n"
	            "zk spool drop --state failed --yes\n"
	            "zk spool drop 'triggers:http://old.example*' --dry-run",
	.args_help = "ID        number of a record\n"
	             "TARGET    all records of these targets; '*' stands for any text",
	.output = "how many were dropped",
	.exits = "0 · 64 without --yes, nothing dropped · 74 the file cannot be written",
	.see = "zk spool export · man zk-spool",
	.groups = ZK_OPTS_OUTPUT,
	.opts = drop_rows,
	.opts_size = sizeof(struct drop_opts),
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = drop_run,
};
