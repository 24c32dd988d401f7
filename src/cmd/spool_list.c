/* `zk spool list`.
 * Layer: cmd. */
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "rt/out.h"

#include "base/ban.h"

static const struct zk_opt list_rows[] = { SPOOL_DIR_ROW, ZK_OPT_END };

static const struct zk_out_col list_cols[] = {
	{ .name = "target" },
	{ .name = "records", .flags = ZK_COL_RIGHT },
	{ .name = "bytes", .flags = ZK_COL_RIGHT },
	{ .name = "waiting", .flags = ZK_COL_RIGHT },
	{ .name = "sending", .flags = ZK_COL_RIGHT },
	{ .name = "failed", .flags = ZK_COL_RIGHT },
	{ .name = "oldest" },
	{ .name = "last_error" },
};

static const struct zk_out_shape list_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "spooled records",
	                                        .cols = list_cols,
	                                        .n_cols = ZK_ARRAY_LEN(list_cols) };

static int put_row(struct zk_out *out, const struct zk_spool_stat *s,
                   struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);
	char *target ZK_CLEANUP(zk_freep)
	= zk_asprintf("%s:%s", s->kind, s->dest);

	zk_row_init(&row);
	zk_row_cstr(&row, "target", target);
	zk_row_u64(&row, "records", s->records);
	zk_row_u64(&row, "bytes", s->bytes);
	zk_row_u64(&row, "waiting", s->waiting);
	zk_row_u64(&row, "sending", s->sending);
	zk_row_u64(&row, "failed", s->failed);
	zk_row_time(&row, "oldest", s->oldest_us);
	zk_row_cstr(&row, "last_error", s->last_error);
	return zk_out_row(out, zk_row_end(&row), err);
}

/* The rows of the targets that fit, at most --limit; *ret_n = how many fit. */
static int put_rows(struct zk_app *app, struct zk_spool *sp,
                    const struct zk_spool_filter *f, uint64_t *ret_n,
                    struct zk_error *err)
{
	struct zk_spool_stat *v = NULL;
	size_t n = 0;
	int r = zk_spool_stats(sp, &v, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!zk_spool_target_matches(f, zk_str_of(v[i].kind),
		                             zk_str_of(v[i].dest)))
			continue;
		if (!app->output.limit || *ret_n < app->output.limit)
			r = put_row(app->out, &v[i], err);
		++*ret_n;
	}
	zk_spool_stats_done(v, n);
	return r;
}

static int list_targets(struct zk_app *app, struct zk_spool *sp,
                        const struct zk_spool_filter *f, struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);
	uint64_t fit = 0;

	if (!out || zk_out_begin(out, &list_shape, err) < 0)
		return -(int)err->code;
	if (sp && put_rows(app, sp, f, &fit, err) < 0)
		return -(int)err->code;
	if (fit > zk_out_rows(out))
		zk_out_cut(out, zk_out_rows(out), (int64_t)fit);
	if (zk_out_end(out, err) < 0)
		return -(int)err->code;
	return app->output.exit_status && !fit ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct spool_opts *o = opts;
	ZK_CLEANUP(zk_spool_closep)
	struct zk_spool *sp = NULL;
	struct zk_spool_filter f = { .targets = (const char *const *)argv,
		                     .n_targets = (size_t)argc };

	if (spool_open(app, o->dir, &sp, err) < 0)
		return -(int)err->code;
	return list_targets(app, sp, &f, err);
}

const struct zk_cmd zk_cmd_spool_list = {
	.path = "spool list",
	.args = "[TARGET...]",
	.max_args = ZK_ANY,
	.help = "how much waits for whom",
	.about = "One row per target. 'sending' counts records that belong to a command "
	         "that runs; "
	         "'failed' those that the other side refused for good: no flush takes "
	         "them again "
	         "without --retry-failed.",
	.examples =
	        "zk spool list\n"
	        "zk spool list 'triggers:*' -o json\n"
	        "zk spool list --exit-status >/dev/null && echo 'something is waiting'",
	.args_help = "TARGET    only these; '*' stands for any text",
	.output = "target, records, bytes, waiting, sending, failed, oldest, last_error",
	.exits = "0 · 1 empty with --exit-status · 74 the file cannot be read",
	.see = "zk spool show · zk spool flush · man zk-spool",
	.groups = ZK_OPTS_OUTPUT,
	.opts = list_rows,
	.opts_size = sizeof(struct spool_opts),
	.flags = ZK_CMD_READER,
	.run = list_run,
};
