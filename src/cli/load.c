/* Loading the configuration for this command line.
 * Layer: cli. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/state.h"

#include "base/ban.h"

#define SYSTEM_FILE  "/etc/zk/config.yaml"
#define PROJECT_FILE ".zk.yaml"

static void add_table(struct zk_all_rows *a, const struct zk_opt *rows,
                      const char *prefix)
{
	char *copy = a->prefixes[a->n];

	(void)snprintf(copy, sizeof(a->prefixes[0]), "%s", prefix);
	a->tables[a->n++] = (struct zk_conf_table){ .rows = rows, .prefix = copy };
}

void zk_all_rows_make(const struct zk_cmd *const *cmds, struct zk_all_rows *ret)
{
	size_t room = ZK_GROUPS;

	for (size_t i = 0; cmds[i]; i++)
		room += 2;
	*ret = (struct zk_all_rows){ 0 };
	ret->tables = zk_alloc_array(room, sizeof(*ret->tables));
	ret->prefixes = zk_alloc_array(room, sizeof(*ret->prefixes));
	for (size_t i = 0; i < ZK_GROUPS; i++)
		if (zk_groups[i].bit != ZK_OPTS_SERVE)
			add_table(ret, zk_groups[i].rows, "");
	for (size_t i = 0; cmds[i]; i++) {
		struct zk_rows t[ZK_ROWS_MAX];
		size_t n = zk_cmd_rows(cmds[i], t);

		for (size_t k = 0; k < n; k++)
			if (!t[k].group || t[k].group->bit == ZK_OPTS_SERVE)
				add_table(ret, t[k].rows, t[k].prefix);
	}
}

void zk_all_rows_done(struct zk_all_rows *a)
{
	free(a->tables);
	free(a->prefixes);
	*a = (struct zk_all_rows){ 0 };
}

/* The text of a common option that decides about the configuration itself: the last one on the
 * line, else the variable; NULL when neither is there. */
static const char *early(const struct zk_app *app, const char *name, const char *variable,
                         enum zk_profile_by *by)
{
	const struct zk_parse *p = &app->cli->parse;
	const char *found = NULL;

	for (size_t i = 0; i < p->n_given; i++)
		if (p->given[i].group && !p->given[i].group->bit &&
		    strcmp(p->given[i].row->name, name) == 0)
			found = p->given[i].text;
	*by = ZK_PROFILE_BY_OPTION;
	if (found)
		return found;
	*by = ZK_PROFILE_BY_ENV;
	found = getenv(variable);
	return found && found[0] ? found : NULL;
}

static int is_no_config(const struct zk_app *app, bool *ret, struct zk_error *err)
{
	enum zk_profile_by by;
	const char *text = early(app, "no-config", "ZK_NO_CONFIG", &by);

	*ret = false;
	if (!text || zk_parse_bool(zk_str_of(text), ret, err) == 0)
		return 0;
	err->code = ZK_E_CONFIG_ENV;
	return zk_wrap(err, "ZK_NO_CONFIG");
}

static char *expand_home(const char *path)
{
	const char *home = getenv("HOME");

	if (path[0] == '~' && path[1] == '/' && home)
		return zk_asprintf("%s%s", home, path + 1);
	return zk_strdup(path);
}

static bool has_entry(const char *dir, const char *name)
{
	char *path = zk_asprintf("%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* Walks up from the working directory. A file counts when the walk ends at the root of a
 * repository or at $HOME; in other places only the working directory itself is looked at, because
 * whoever may write to a folder above could plant a file there. */
static char *find_project(void)
{
	const char *home = getenv("HOME");
	char dir[PATH_MAX], here[PATH_MAX], *found = NULL;

	if (!getcwd(dir, sizeof(dir)) || dir[0] != '/')
		return NULL;
	memcpy(here, dir, strlen(dir) + 1);
	for (;;) {
		char *slash;

		if (!found && has_entry(dir, PROJECT_FILE))
			found = zk_asprintf("%s/%s", strcmp(dir, "/") == 0 ? "" : dir,
			                    PROJECT_FILE);
		if (has_entry(dir, ".git") || (home && strcmp(dir, home) == 0))
			return found;
		slash = strrchr(dir, '/');
		if (slash == dir)
			break;
		*slash = '\0';
	}
	free(found);
	return has_entry(here, PROJECT_FILE) ? zk_asprintf("%s/%s", here, PROJECT_FILE)
	                                     : NULL;
}

int zk_places_find(const struct zk_app *app, struct zk_places *ret, struct zk_error *err)
{
	enum zk_profile_by by;
	struct zk_error ignored;
	const char *named = early(app, "config", "ZK_CONFIG", &by);
	bool none;
	char *dir;

	*ret = (struct zk_places){ 0 };
	if (is_no_config(app, &none, err) < 0)
		return -(int)err->code;
	if (none)
		return 0;
	if (named) {
		ret->user_file = expand_home(named);
		ret->is_named = true;
		return 0;
	}
	ret->system_file = zk_strdup(SYSTEM_FILE);
	/* Without HOME there is no file of the user, which is no error. */
	dir = zk_app_config_dir(NULL, false, &ignored);
	if (dir)
		ret->user_file = zk_asprintf("%s/config.yaml", dir);
	free(dir);
	ret->project_file = find_project();
	return 0;
}

void zk_places_done(struct zk_places *p)
{
	free(p->system_file);
	free(p->user_file);
	free(p->project_file);
	*p = (struct zk_places){ 0 };
}

static bool is_trusted(void *ctx, const char *path, zk_str text)
{
	(void)ctx;
	return zk_trust_has(path, text);
}

static int set_foreign(struct zk_app *app, const char *opt, const char *value,
                       const char *variable, struct zk_error *err)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(app->cmd, t);
	const struct zk_opt *row = zk_rows_find(t, n, zk_str_of(opt), NULL);

	if (!row)
		return zk_fail(err, ZK_E_BUG,
		               "variable %s sets --%s, which does not exist", variable,
		               opt);
	zk_conf_foreign(app->cli->loading, row,
	                zk_optpool_str(&app->cli->pool, zk_str_of(value)), variable);
	return 0;
}

static int give(struct zk_app *app, struct zk_conf *c, struct zk_error *err)
{
	const struct zk_parse *p = &app->cli->parse;
	int r = 0;

	for (size_t i = 0; i < p->n_given; i++) {
		const struct zk_given *g = &p->given[i];
		const char *text = g->text;

		if (g->scheme) {
			char *full = zk_asprintf("%s%s", g->scheme, g->text);

			text = zk_optpool_str(&app->cli->pool, zk_str_of(full));
			free(full);
		}
		zk_conf_give(c, g->row, text, g->shown);
	}
	app->cli->loading = c;
	if (app->cmd->env)
		r = app->cmd->env(app, set_foreign, err);
	app->cli->loading = NULL;
	return r;
}

static int load(struct zk_app *app, const struct zk_all_rows *rows,
                const struct zk_places *places, struct zk_conf **ret,
                struct zk_error *err)
{
	struct zk_conf_in in = {
		.schema = { .tables = rows->tables, .n = rows->n },
		.system_path = places->system_file,
		.user_path = places->user_file,
		.project_path = places->project_file,
		.user_must_exist = places->is_named,
		.trusted = is_trusted,
	};
	int r;

	in.profile = app->cli->profile;
	in.profile_by = ZK_PROFILE_BY_OPTION;
	if (!in.profile)
		in.profile = early(app, "profile", "ZK_PROFILE", &in.profile_by);
	if (in.profile_by == ZK_PROFILE_BY_OPTION && !in.profile[0])
		return zk_fail(err, ZK_E_USAGE, "--profile: the name is empty");
	r = zk_schema_check_env(&in.schema, err);
	if (r < 0)
		return r;
	return zk_conf_load(&in, ret, err);
}

int zk_cli_load(struct zk_app *app, const struct zk_all_rows *rows, struct zk_conf **ret,
                struct zk_error *err)
{
	struct zk_conf_in none = { .profile_by = ZK_PROFILE_BY_NONE };
	struct zk_places places = { 0 };
	struct zk_conf *c = NULL;
	int r;

	if (app->cmd->flags & ZK_CMD_NO_CONFIG) {
		r = zk_conf_load(&none, &c, err);
	} else {
		r = zk_places_find(app, &places, err);
		if (r == 0)
			r = load(app, rows, &places, &c, err);
		zk_places_done(&places);
	}
	if (r == 0)
		r = give(app, c, err);
	if (r < 0) {
		zk_conf_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int zk_cli_load_profile(struct zk_app *app, const struct zk_all_rows *rows,
                        const char *profile, struct zk_conf **ret, struct zk_error *err)
{
	int r;

	app->cli->profile = profile;
	r = zk_cli_load(app, rows, ret, err);
	app->cli->profile = NULL;
	return r;
}
