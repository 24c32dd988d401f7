/* `zk config show`: the values that count, and where they come from.
 * Layer: cmd. */
#include "cmd/cmds.h"
#include "cmd/config_view.h"
#include "rt/out.h"

#include "base/ban.h"

struct show_opts {
	bool origin;
};

static const struct zk_opt show_rows[] = {
	{ .type = ZK_OPT_BOOL,
	  .name = "origin",
	  .off = offsetof(struct show_opts, origin),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "say where each value comes from, and what it overrides" },
	ZK_OPT_END,
};

static const struct zk_out_col plain_cols[] = {
	{ .name = "key", .flags = ZK_COL_WHOLE },
	{ .name = "value" },
	{ .name = "origin", .flags = ZK_COL_EXTRA },
	{ .name = "profile", .flags = ZK_COL_EXTRA },
	{ .name = "counts", .flags = ZK_COL_EXTRA },
	{ .name = "note", .flags = ZK_COL_EXTRA },
};

static const struct zk_out_col origin_cols[] = {
	{ .name = "key", .flags = ZK_COL_WHOLE },
	{ .name = "value" },
	{ .name = "origin" },
	{ .name = "profile" },
	{ .name = "counts", .flags = ZK_COL_EXTRA },
	{ .name = "note" },
};

static const struct zk_out_shape plain_shape = { .kind = ZK_OUT_LIST,
	                                         .noun = "values that are set",
	                                         .cols = plain_cols,
	                                         .n_cols = ZK_ARRAY_LEN(plain_cols) };
static const struct zk_out_shape origin_shape = { .kind = ZK_OUT_LIST,
	                                          .noun = "values that are set",
	                                          .cols = origin_cols,
	                                          .n_cols = ZK_ARRAY_LEN(origin_cols) };

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct show_opts *o = opts;
	struct zk_out *out = zk_app_out(app, err);
	struct config_view view = { .rows = &app->cli->rows,
		                    .conf = app->conf,
		                    .out = out,
		                    .keys = argv,
		                    .n_keys = (size_t)argc,
		                    .defaults = app->output.all || argc > 0,
		                    .losers = o->origin };
	size_t n = 0;

	if (!out ||
	    zk_out_begin(out, o->origin ? &origin_shape : &plain_shape, err) < 0 ||
	    config_view_rows(&view, &n, err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return app->output.exit_status && !n ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_config_show = {
	.path = "config show",
	.args = "[KEY...]",
	.max_args = ZK_ANY,
	.help = "show the values that count, and where they come from",
	.about = "Without KEY: what files, variables and options set; --all adds the "
	         "defaults. Secrets are not read: of one that is configured only the "
	         "source is shown, and roughly how long it is.",
	.examples = "zk config show --origin\n"
	            "zk config show triggers -p staging\n"
	            "zk config show retries.max -o plain --fields value",
	.args_help = "KEY    only this key and those below it: triggers, retries.max",
	.output = "key, value; with --origin also origin, profile, note",
	.exits = "0 · 1 nothing is set with --exit-status · 78 the configuration is "
	         "invalid",
	.see = "zk config path · zk config validate · zk help config",
	.groups = ZK_OPTS_OUTPUT,
	.opts = show_rows,
	.opts_size = sizeof(struct show_opts),
	.flags = ZK_CMD_READER,
	.run = show_run,
};
