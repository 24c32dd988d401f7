/* From the configuration to the option structs; reload; protected profiles.
 * Layer: cli. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/check.h"
#include "cli/state.h"

#include "base/ban.h"

/* The struct the rows of a table write into. */
static void *base_of(struct zk_app *app, void *opts, const struct zk_group *group)
{
	return group ? (char *)app + group->app_off : opts;
}

/* One row. What runs with a broken configuration also runs with a broken variable. */
static int set_row(struct zk_app *app, const struct zk_conf *c, const struct zk_rows *t,
                   const struct zk_opt *row, struct zk_optpool *pool,
                   struct zk_error *err)
{
	void *base = base_of(app, app->opts, t->group);
	int r = zk_conf_set(c, row, t->prefix, base, pool, err);

	if (r == -ZK_E_CONFIG_ENV && (app->cmd->flags & ZK_CMD_NO_CONFIG)) {
		zk_opt_clear(row, base);
		r = row->def ? zk_opt_set(pool, row, base, zk_str_of(row->def), err) : 0;
	}
	return r;
}

static int set_table(struct zk_app *app, const struct zk_conf *c, const struct zk_rows *t,
                     size_t i, struct zk_optpool *pool, struct zk_error *err)
{
	void *base = base_of(app, app->opts, t[i].group);

	for (const struct zk_opt *row = t[i].rows; row->type != ZK_OPT_NONE; row++) {
		int r = 0;

		if (!zk_rows_hidden(t, i, row))
			r = set_row(app, c, &t[i], row, pool, err);
		else if (row->def)
			r = zk_opt_set(pool, row, base, zk_str_of(row->def), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_all(struct zk_app *app, const struct zk_conf *c, struct zk_optpool *pool,
                   struct zk_error *err)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(app->cmd, t);

	for (size_t i = 0; i < n; i++) {
		struct zk_conf_table own = { .rows = t[i].rows, .prefix = t[i].prefix };
		int r = set_table(app, c, t, i, pool, err);

		if (r == 0)
			r = zk_conf_check_origins(c, &own, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int zk_cli_fill(struct zk_app *app, struct zk_error *err)
{
	struct zk_cli *cli = app->cli;
	int r;

	if (!(app->cmd->flags & ZK_CMD_NO_CONFIG))
		zk_all_rows_make(app->cmds, &cli->rows);
	if (app->cmd->opts_size)
		app->opts = zk_optpool_alloc(&cli->pool, app->cmd->opts_size);
	r = zk_cli_load(app, &cli->rows, &app->conf, err);
	if (r == 0)
		r = set_all(app, app->conf, &cli->pool, err);
	if (r < 0)
		return r;
	app->common.profile = zk_conf_profile(app->conf);
	cli->is_filled = true;
	return 0;
}

/* Stands for "any command" when no one is named. */
static const struct zk_cmd any_command = { .path = "zk" };

int zk_cli_check(struct zk_app *app, const struct zk_cmd *target, bool allow_unset,
                 struct zk_error *err)
{
	struct zk_app probe = { .cmds = app->cmds, .cli = app->cli };
	struct zk_optpool pool = { 0 };
	struct zk_all_rows rows;
	int r;

	probe.cmd = target ? target : &any_command;
	zk_all_rows_make(app->cmds, &rows);
	if (probe.cmd->opts_size)
		probe.opts = zk_optpool_alloc(&pool, probe.cmd->opts_size);
	r = zk_cli_load(&probe, &rows, &probe.conf, err);
	if (r == 0)
		r = set_all(&probe, probe.conf, &pool, err);
	if (r == 0 && !target)
		r = zk_conf_check_variables(probe.conf, err);
	if (r == 0 && !target && !allow_unset)
		r = zk_conf_check_expanded(probe.conf, err);
	zk_conf_free(probe.conf);
	zk_all_rows_done(&rows);
	zk_optpool_done(&pool);
	return r;
}

/* Copies the rows that may change while the command runs. */
static void apply_reload(struct zk_app *app, const struct zk_app *fresh, void *opts)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(app->cmd, t);

	for (size_t i = 0; i < n; i++) {
		void *to = base_of(app, opts, t[i].group);
		const void *from =
		        base_of((struct zk_app *)fresh, fresh->opts, t[i].group);

		for (const struct zk_opt *row = t[i].rows; row->type != ZK_OPT_NONE;
		     row++)
			if ((row->flags & ZK_OPT_RELOAD) && !zk_rows_hidden(t, i, row))
				zk_opt_copy(row, to, from);
	}
}

int zk_app_reload(struct zk_app *app, void *opts, struct zk_error *err)
{
	struct zk_cli *cli = app->cli;
	struct zk_app fresh = { .cmds = app->cmds, .cmd = app->cmd, .cli = cli };
	struct zk_optpool pool = { 0 };
	struct zk_conf *conf = NULL;
	int r;

	if (app->cmd->opts_size)
		fresh.opts = zk_optpool_alloc(&pool, app->cmd->opts_size);
	r = zk_cli_load(&fresh, &cli->rows, &conf, err);
	if (r == 0)
		r = set_all(&fresh, conf, &pool, err);
	if (r < 0) {
		zk_conf_free(conf);
		zk_optpool_done(&pool);
		return r;
	}
	apply_reload(app, &fresh, opts);
	zk_conf_free(app->conf);
	app->conf = conf;
	app->common.profile = zk_conf_profile(conf);
	zk_optpool_done(&cli->reloads[cli->n_reloads % 2]);
	cli->reloads[cli->n_reloads++ % 2] = pool;
	return 0;
}

const char *zk_app_profile(const struct zk_app *app)
{
	return app->common.profile ? app->common.profile : "default";
}

static bool can_ask(const struct zk_app *app)
{
	return !app->common.no_input && isatty(STDIN_FILENO) == 1 &&
	       isatty(STDERR_FILENO) == 1;
}

/* One line typed at the terminal, without its end; "" at the end of input. */
static void read_line(char *line, size_t room)
{
	size_t n = 0;
	char c;

	while (n + 1 < room && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		line[n++] = c;
	line[n] = '\0';
}

int zk_confirm_profile(const struct zk_app *app, struct zk_error *err)
{
	const char *name = zk_app_profile(app);
	char line[80];

	if (!(app->cmd->flags & ZK_CMD_DESTRUCTIVE) || !zk_conf_is_protected(app->conf) ||
	    app->common.dry_run)
		return 0;
	if (app->common.confirm && strcmp(app->common.confirm, name) == 0)
		return 0;
	(void)zk_fail(err, ZK_E_USAGE, "the profile '%s' is protected", name);
	(void)zk_err_hint(err, "if you mean it: --confirm %s", name);
	if (app->common.confirm || !can_ask(app))
		return -(int)err->code;
	(void)!write(STDERR_FILENO,
	             "This profile is protected. Type its name to go on: ", 51);
	read_line(line, sizeof(line));
	return strcmp(line, name) == 0 ? 0 : -(int)err->code;
}
