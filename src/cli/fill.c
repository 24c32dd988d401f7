/* From option texts to the option structs.
 * Layer: cli. */
#include <string.h>

#include "base/mem.h"
#include "cli/state.h"

#include "base/ban.h"

/* The struct the rows of a table write into. */
static void *base_of(struct zk_app *app, const struct zk_group *group)
{
	return group ? (char *)app + group->app_off : app->opts;
}

static int bad_option(const struct zk_given *g, struct zk_error *err)
{
	struct zk_error cause = *err;

	(void)zk_fail(err, ZK_E_USAGE, "--%s: %s", g->row->name, cause.msg);
	if (cause.hint[0])
		return zk_err_hint(err, "%s", cause.hint);
	if (zk_opt_meta(g->row))
		return zk_err_hint(err, "--%s %s: %s", g->row->name, zk_opt_meta(g->row),
		                   g->row->help);
	return -(int)err->code;
}

static int set_given(struct zk_app *app, const struct zk_given *g, struct zk_error *err)
{
	void *base = base_of(app, g->group);
	char *text = NULL;
	int r;

	if (g->row->type == ZK_OPT_COUNT) {
		++*(int *)((char *)base + g->row->off);
		return 0;
	}
	if (g->scheme)
		text = zk_asprintf("%s%s", g->scheme, g->text);
	r = zk_opt_set(&app->cli->pool, g->row, base, zk_str_of(text ? text : g->text),
	               err);
	zk_secret_free(text);
	return r < 0 ? bad_option(g, err) : 0;
}

int zk_cli_fill(struct zk_app *app, struct zk_error *err)
{
	struct zk_cli *cli = app->cli;
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(app->cmd, t);
	int r = 0;

	if (app->cmd->opts_size)
		app->opts = zk_optpool_alloc(&cli->pool, app->cmd->opts_size);
	for (size_t i = 0; i < n && r == 0; i++)
		r = zk_opt_defaults(&cli->pool, t[i].rows, base_of(app, t[i].group), err);
	for (size_t i = 0; i < cli->parse.n_given && r == 0; i++)
		r = set_given(app, &cli->parse.given[i], err);
	cli->is_filled = r == 0;
	return r;
}
