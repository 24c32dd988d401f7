/* Hidden: `zk emit`, which writes the files that derive from the command table, and
 * `zk __complete`, which completion scripts ask.
 * Layer: cmd. */
#include "cli/emit.h"

#include <string.h>

#include "cli/complete.h"
#include "cli/doc.h"
#include "cli/parse.h"
#include "cli/term.h"
#include "cmd/cmds.h"

#include "base/ban.h"

#define EMIT_CAP (8u << 20)

static int emit_md(struct zk_app *app, zk_str what, struct zk_buf *b,
                   struct zk_error *err)
{
	const struct zk_cmd *cmd = zk_cmd_find(app->cmds, what);
	const struct zk_topic *t = zk_topic_find(what);

	if (zk_str_eq(what, ZK_STR("commands")))
		zk_doc_commands(app->cmds, b);
	else if (zk_str_eq(what, ZK_STR("exits")))
		zk_doc_exit_codes(b);
	else if (zk_str_eq(what, ZK_STR("env")))
		zk_doc_environment_table(app->cmds, b);
	else if (t)
		zk_doc_topic(app->cmds, t, b);
	else if (cmd || what.n == 0)
		zk_doc_command(app->cmds, cmd, b);
	else
		return zk_fail(err, ZK_E_USAGE, "there is nothing called '%.*s'",
		               ZK_STR_ARG(what));
	return 0;
}

static int emit_json(struct zk_app *app, zk_str path, struct zk_buf *b,
                     struct zk_error *err)
{
	const struct zk_cmd *cmd = path.n ? zk_cmd_find(app->cmds, path) : NULL;

	if (path.n && !cmd)
		return zk_fail(err, ZK_E_USAGE, "there is no command '%.*s'",
		               ZK_STR_ARG(path));
	zk_emit_json(app->cmds, cmd, b);
	return 0;
}

static int emit(struct zk_app *app, zk_str form, zk_str what, struct zk_buf *b,
                struct zk_error *err)
{
	if (zk_str_eq(form, ZK_STR("man")))
		return zk_emit_man(app->cmds, what, b, err);
	if (zk_str_eq(form, ZK_STR("md")))
		return emit_md(app, what, b, err);
	if (zk_str_eq(form, ZK_STR("json")))
		return emit_json(app, what, b, err);
	if (zk_str_eq(form, ZK_STR("bash")))
		zk_emit_bash(app->cmds, b);
	else if (zk_str_eq(form, ZK_STR("zsh")))
		zk_emit_zsh(app->cmds, b);
	else if (zk_str_eq(form, ZK_STR("fish")))
		zk_emit_fish(app->cmds, b);
	else if (zk_str_eq(form, ZK_STR("env")))
		zk_doc_environment(app->cmds, b);
	else if (zk_str_eq(form, ZK_STR("schema")))
		zk_emit_config_schema(app->cmds, b);
	else if (zk_str_eq(form, ZK_STR("list")))
		zk_emit_list(app->cmds, b);
	else
		return zk_fail(err, ZK_E_USAGE,
		               "'%.*s' is not one of man, bash, zsh, fish, json, md, "
		               "env, schema, list",
		               ZK_STR_ARG(form));
	return 0;
}

static int emit_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct zk_buf b, what;
	int r;

	(void)opts;
	zk_buf_init(&b, EMIT_CAP);
	zk_buf_init(&what, 400);
	for (int i = 1; i < argc; i++)
		zk_buf_printf(&what, "%s%s", i > 1 ? " " : "", argv[i]);
	r = emit(app, zk_str_of(argv[0]), zk_buf_str(&what), &b, err);
	if (r == 0)
		r = zk_buf_check(&b, err);
	if (r == 0)
		r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	zk_buf_done(&what);
	return r;
}

const struct zk_cmd zk_cmd_emit = {
	.path = "emit",
	.args = "FORM [COMMAND|PAGE]",
	.min_args = 1,
	.max_args = 5,
	.help = "write a file that derives from the command table",
	.flags = ZK_CMD_HIDDEN | ZK_CMD_NO_CONFIG,
	.run = emit_run,
};

static int complete_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	struct zk_buf b;
	int r;

	(void)opts;
	zk_buf_init(&b, EMIT_CAP);
	if (app->args_before_dashes >= 0)
		zk_complete_line(app, argc - app->args_before_dashes,
		                 argv + app->args_before_dashes, &b);
	else if (argc > 0)
		(void)zk_complete_values(app, zk_str_of(argv[0]), &b);
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

const struct zk_cmd zk_cmd_complete = {
	.path = "__complete",
	.args = "KIND | -- WORD...",
	.max_args = ZK_ANY,
	.help = "candidates for completion scripts",
	.flags = ZK_CMD_HIDDEN | ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.run = complete_run,
};
