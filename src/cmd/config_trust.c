/* `zk config trust`.
 * Layer: cmd. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/state.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "conf/file.h"

#include "base/ban.h"

struct trust_opts {
	bool revoke;
};

static const struct zk_opt trust_rows[] = {
	{ .type = ZK_OPT_BOOL,
	  .name = "revoke",
	  .off = offsetof(struct trust_opts, revoke),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "forget that the file was trusted" },
	ZK_OPT_END,
};

/* The file must parse: nobody can have understood one that does not. */
static int trust(struct zk_app *app, const char *path, bool revoke, struct zk_error *err)
{
	struct zk_conf_file *f = NULL;
	struct zk_buf b;
	int r = revoke ? 0 : zk_conf_file_open(path, ZK_PLACE_PROJECT, &f, err);

	if (r == 0 && app->common.dry_run)
		r = 0;
	else if (r == 0 && revoke)
		r = zk_trust_remove(path, err);
	else if (r == 0)
		r = zk_trust_add(path, zk_str_n(f->text, f->n), err);
	zk_conf_file_free(f);
	if (r < 0)
		return r;
	zk_buf_init(&b, 8192);
	zk_buf_printf(&b, "%s%s %s\n", app->common.dry_run ? "would be " : "",
	              revoke ? "no longer trusted:" : "trusted:", path);
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

static int trust_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct trust_opts *o = opts;
	struct zk_places places;
	int r;

	if (argc > 0)
		return trust(app, argv[0], o->revoke, err);
	if (zk_places_find(app, &places, err) < 0)
		return -(int)err->code;
	if (places.project_file) {
		r = trust(app, places.project_file, o->revoke, err);
	} else {
		r = zk_fail(err, ZK_E_NO_INPUT, "there is no .zk.yaml here or above");
		(void)zk_err_hint(err, "name the file: zk config trust FILE");
	}
	zk_places_done(&places);
	return r;
}

const struct zk_cmd zk_cmd_config_trust = {
	.path = "config trust",
	.args = "[FILE]",
	.max_args = 1,
	.help = "allow a project file everything, in exactly its present form",
	.about = "A .zk.yaml comes with somebody's repository: read it first. Until it "
	         "is trusted it "
	         "may not hold secrets, commands, TLS settings, paths that are written "
	         "to, or another "
	         "origin for a profile of your own files. After a change it has to be "
	         "trusted again.",
	.exits = "0 · 66 no such file · 78 the file is not valid",
	.see = "zk help config · zk help secrets",
	.opts = trust_rows,
	.opts_size = sizeof(struct trust_opts),
	.flags = ZK_CMD_NO_CONFIG,
	.complete_arg = "file",
	.run = trust_run,
};
