/* `zk config init`: a commented file, or one made from the variables of another server.
 * Layer: cmd. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/state.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "cmd/envfile.h"

#include "base/ban.h"

struct init_opts {
	const char *from;
	bool force;
};

#define OFF(m) .off = offsetof(struct init_opts, m)

static const struct zk_opt init_rows[] = {
	{ .type = ZK_OPT_PATH,
	  .name = "from",
	  .meta = "FILE.env",
	  OFF(from),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "file",
	  .help = "make a profile of the variables of another server" },
	{ .type = ZK_OPT_BOOL,
	  .name = "force",
	  OFF(force),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "overwrite the file" },
	ZK_OPT_END,
};

/* The folder of the file is made when it is ours. */
static char *target(struct zk_app *app, bool make, struct zk_error *err)
{
	struct zk_places places;
	char *path, *dir;

	if (zk_places_find(app, &places, err) < 0)
		return NULL;
	path = places.is_named ? ZK_TAKE(places.user_file) : NULL;
	zk_places_done(&places);
	if (path)
		return path;
	dir = zk_app_config_dir(app, make, err);
	if (!dir)
		return NULL;
	path = zk_asprintf("%s/config.yaml", dir);
	free(dir);
	return path;
}

static int write_new(const char *path, bool force, zk_str text, struct zk_error *err)
{
	int e = zk_file_put(path, force ? O_TRUNC : O_EXCL, 0600, text);

	if (e == EEXIST) {
		(void)zk_fail(err, ZK_E_CREATE, "'%s' is there already", path);
		return zk_err_hint(err, "edit it, or overwrite it with --force");
	}
	return e ? zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", path) : 0;
}

static int init_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct init_opts *o = opts;
	char *path = target(app, !app->common.dry_run, err);
	struct zk_buf text;
	int r = 0;

	(void)argc;
	(void)argv;
	if (!path)
		return -(int)err->code;
	zk_buf_init(&text, 1u << 20);
	if (o->from)
		r = zk_envfile_convert(app, o->from, &text, err);
	else
		zk_buf_add(&text, zk_sample_config());
	if (r == 0 && !app->common.dry_run) {
		r = write_new(path, o->force, zk_buf_str(&text), err);
		zk_buf_clear(&text);
		zk_buf_printf(&text, "%s\n", path);
	}
	if (r == 0)
		r = zk_print(zk_buf_str(&text), err);
	zk_buf_done(&text);
	free(path);
	return r;
}

const struct zk_cmd zk_cmd_config_init = {
	.path = "config init",
	.help = "write a configuration file to start from",
	.about = "Writes the file of the user, or that of -c. With --from it holds a "
	         "profile made of "
	         "the variables in FILE.env that zk or one of its commands knows; others "
	         "are listed as "
	         "comments. Secrets are not copied: the file says where they belong. "
	         "--dry-run prints "
	         "the file.",
	.examples = "zk config init\nzk config init --from .env --dry-run",
	.output = "the path of the file",
	.exits = "0 · 73 the file is there already · 66 no FILE.env",
	.see = "zk help config",
	.opts = init_rows,
	.opts_size = sizeof(struct init_opts),
	.flags = ZK_CMD_NO_CONFIG,
	.run = init_run,
};
