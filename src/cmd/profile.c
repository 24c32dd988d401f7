/* `zk profile list`, `zk profile show`.
 * Layer: cmd. */
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/config_view.h"
#include "rt/out.h"

#include "base/ban.h"

const struct zk_cmd zk_cmd_profile = {
	.path = "profile",
	.section = "Set up",
	.args = "",
	.help = "look at and choose the profiles of the configuration",
	.about = "A profile is a named set of values; -p NAME uses one for a single "
	         "command.",
};

/* ---- list ---- */

static const struct zk_out_col list_cols[] = {
	{ .name = "name", .flags = ZK_COL_WHOLE },
	{ .name = "active" },
	{ .name = "extends" },
	{ .name = "protected" },
	{ .name = "file" },
};

static const struct zk_out_shape list_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "profiles",
	                                        .cols = list_cols,
	                                        .n_cols = ZK_ARRAY_LEN(list_cols) };

/* What the files say of one profile; the last one wins. */
struct found {
	zk_str extends, is_protected;
	struct zk_buf files;
};

static void on_file(void *ctx, const struct zk_conf_file *f, const struct zk_node *at)
{
	struct found *found = ctx;
	const struct zk_node *e = zk_node_get(at, ZK_STR("extends"));
	const struct zk_node *p = zk_node_get(at, ZK_STR("protected"));

	if (e)
		found->extends = e->text;
	if (p)
		found->is_protected = p->text;
	if (found->files.n)
		zk_buf_lit(&found->files, ", ");
	zk_buf_printf(&found->files, "%s:%u", f->shown, at->key_line);
}

static int put_profile(struct zk_app *app, const char *name, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done);
	const char *active = zk_conf_profile(app->conf);
	struct found found = { .files = { .cap = 65536 } };
	int r;

	zk_conf_profile_files(app->conf, name, on_file, &found);
	zk_row_init(&row);
	zk_row_cstr(&row, "name", name);
	zk_row_bool(&row, "active", active && strcmp(active, name) == 0);
	if (found.extends.n)
		zk_row_str(&row, "extends", found.extends);
	else
		zk_row_null(&row, "extends");
	zk_row_bool(&row, "protected", zk_str_eq(found.is_protected, ZK_STR("true")));
	zk_row_str(&row, "file", zk_buf_str(&found.files));
	r = zk_out_row(app->out, zk_row_end(&row), err);
	zk_buf_done(&found.files);
	return r;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);

	(void)opts;
	(void)argc;
	(void)argv;
	if (!out || zk_out_begin(out, &list_shape, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; zk_conf_profile_name(app->conf, i); i++)
		if (put_profile(app, zk_conf_profile_name(app->conf, i), err) < 0)
			return -(int)err->code;
	if (zk_out_end(out, err) < 0)
		return -(int)err->code;
	return app->output.exit_status && !zk_out_rows(out) ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_profile_list = {
	.path = "profile list",
	.help = "list the profiles, and which one is active",
	.output = "name, active, extends, protected, file",
	.exits = "0 · 1 none with --exit-status · 78 the configuration is invalid",
	.see = "zk profile use · zk config path",
	.groups = ZK_OPTS_OUTPUT,
	.flags = ZK_CMD_READER,
	.run = list_run,
};

/* ---- show ---- */

static const struct zk_out_col show_cols[] = {
	{ .name = "key", .flags = ZK_COL_WHOLE },
	{ .name = "value" },
	{ .name = "origin" },
	{ .name = "profile" },
	{ .name = "counts", .flags = ZK_COL_EXTRA },
	{ .name = "note" },
};

static const struct zk_out_shape show_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "values in this profile",
	                                        .cols = show_cols,
	                                        .n_cols = ZK_ARRAY_LEN(show_cols) };

static int show(struct zk_app *app, const struct zk_conf *conf, struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);
	struct config_view view = {
		.rows = &app->cli->rows, .conf = conf, .out = out, .profiles = true
	};
	size_t n = 0;

	if (!out || zk_out_begin(out, &show_shape, err) < 0 ||
	    config_view_rows(&view, &n, err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return app->output.exit_status && !n ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct zk_conf *conf = NULL;
	int r;

	(void)opts;
	if (argc == 0)
		return show(app, app->conf, err);
	r = zk_cli_load_profile(app, &app->cli->rows, argv[0], &conf, err);
	if (r < 0)
		return r;
	r = show(app, conf, err);
	zk_conf_free(conf);
	return r;
}

const struct zk_cmd zk_cmd_profile_show = {
	.path = "profile show",
	.args = "[NAME]",
	.max_args = 1,
	.help = "show what a profile sets, with what it extends",
	.about = "Without NAME: the active one. Values of the defaults, of variables "
	         "and of options are those of zk config show.",
	.args_help = "NAME    a profile of the configuration",
	.output = "key, value, origin, profile, note",
	.exits = "0 · 1 it sets nothing with --exit-status · 78",
	.see = "zk config show --origin · zk profile list",
	.groups = ZK_OPTS_OUTPUT,
	.flags = ZK_CMD_READER,
	.complete_arg = "profile",
	.run = show_run,
};
