/* The context of a command: directories, profile, the end.
 * Layer: cli. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/state.h"

#include "base/ban.h"

/* "DIR/zk" below an XDG variable or below $HOME; NULL when both are missing. */
static char *place(const char *xdg, const char *below_home)
{
	const char *dir = getenv(xdg), *home = getenv("HOME");

	/* The XDG specification: a relative path is to be ignored. */
	if (dir && dir[0] == '/')
		return zk_asprintf("%s/zk", dir);
	if (home && home[0] == '/')
		return zk_asprintf("%s/%s/zk", home, below_home);
	return NULL;
}

/* Makes `path` and what is missing above it, each 0700. */
static int make_dirs(char *path, struct zk_error *err)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return zk_fail_errno(err, ZK_E_CREATE, errno,
			                     "cannot make the folder '%s'", path);
		*p = c;
		if (c == '\0')
			return 0;
	}
}

static char *dir_of(const char *xdg, const char *below_home, bool make,
                    struct zk_error *err)
{
	char *path = place(xdg, below_home);

	if (!path) {
		(void)zk_fail(err, ZK_E_CONFIG, "neither %s nor HOME is set", xdg);
		return NULL;
	}
	if (make && make_dirs(path, err) < 0) {
		free(path);
		return NULL;
	}
	return path;
}

char *zk_app_state_dir(struct zk_app *app, bool make, struct zk_error *err)
{
	(void)app;
	return dir_of("XDG_STATE_HOME", ".local/state", make, err);
}

char *zk_app_data_dir(struct zk_app *app, bool make, struct zk_error *err)
{
	(void)app;
	return dir_of("XDG_DATA_HOME", ".local/share", make, err);
}

char *zk_app_config_dir(struct zk_app *app, bool make, struct zk_error *err)
{
	(void)app;
	return dir_of("XDG_CONFIG_HOME", ".config", make, err);
}

int zk_app_done(struct zk_app *app, int status, int *ret_signal)
{
	struct zk_cli *cli = app->cli;

	zk_app_rt_done(app, status, ret_signal);
	zk_conf_free(app->conf);
	app->conf = NULL;
	zk_all_rows_done(&cli->rows);
	zk_parse_done(&cli->parse);
	zk_optpool_done(&cli->pool);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cli->reloads); i++)
		zk_optpool_done(&cli->reloads[i]);
	return status;
}
