/* `zk config path`: which files and folders zk uses.
 * Layer: cmd. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/state.h"
#include "cmd/cmds.h"
#include "conf/file.h"
#include "rt/out.h"

#include "base/ban.h"

static const struct zk_out_col path_cols[] = {
	{ .name = "what" },
	{ .name = "path", .flags = ZK_COL_WHOLE },
	{ .name = "state" },
};

static const struct zk_out_shape path_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "places",
	                                        .cols = path_cols,
	                                        .n_cols = ZK_ARRAY_LEN(path_cols) };

static const char *state_of(const char *path)
{
	if (access(path, R_OK) == 0)
		return "there";
	return errno == ENOENT || errno == ENOTDIR ? "absent" : "unreadable";
}

/* A project file counts in full only when it is trusted. */
static const char *project_state(const char *path)
{
	struct zk_conf_file *f = NULL;
	struct zk_error ignored;
	bool trusted;

	if (access(path, R_OK) < 0 ||
	    zk_conf_file_open(path, ZK_PLACE_PROJECT, &f, &ignored) < 0)
		return "unreadable";
	trusted = zk_trust_has(path, zk_str_n(f->text, f->n));
	zk_conf_file_free(f);
	return trusted ? "trusted" : "not trusted";
}

static int put(struct zk_out *out, const char *what, const char *path, const char *state,
               struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };

	if (!path)
		return 0;
	zk_row_init(&row);
	zk_row_cstr(&row, "what", what);
	zk_row_cstr(&row, "path", path);
	zk_row_cstr(&row, "state", state ? state : state_of(path));
	return zk_out_row(out, zk_row_end(&row), err);
}

static int put_folder(struct zk_app *app, struct zk_out *out, const char *what,
                      char *(*find)(struct zk_app *, bool, struct zk_error *),
                      struct zk_error *err)
{
	struct zk_error ignored;
	char *path ZK_CLEANUP(zk_freep)
	= find(app, false, &ignored);

	return put(out, what, path, NULL, err);
}

static int put_files(struct zk_out *out, const struct zk_places *p, struct zk_error *err)
{
	if (put(out, "system file", p->system_file, NULL, err) < 0 ||
	    put(out, "user file", p->user_file, NULL, err) < 0)
		return -(int)err->code;
	return p->project_file ? put(out, "project file", p->project_file,
	                             project_state(p->project_file), err)
	                       : 0;
}

static int path_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct zk_out *out = zk_app_out(app, err);
	struct zk_places places = { 0 };
	int r;

	(void)opts;
	(void)argc;
	(void)argv;
	if (!out || zk_places_find(app, &places, err) < 0)
		return -(int)err->code;
	r = zk_out_begin(out, &path_shape, err);
	if (r == 0)
		r = put_files(out, &places, err);
	if (r == 0)
		r = put_folder(app, out, "state", zk_app_state_dir, err);
	if (r == 0)
		r = put_folder(app, out, "data", zk_app_data_dir, err);
	if (r == 0)
		r = zk_out_end(out, err);
	zk_places_done(&places);
	return r;
}

const struct zk_cmd zk_cmd_config_path = {
	.path = "config path",
	.help = "show which files and folders zk uses",
	.about = "A file that is absent is no error. A later file wins over one above "
	         "it; a project file may set everything only after zk config trust.",
	.examples = "zk config path\n"
	            "zk config path -o json --jq '.[].path'",
	.output = "what, path, state",
	.exits = "0",
	.see = "zk config show · zk config init · zk config trust",
	.groups = ZK_OPTS_OUTPUT,
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.run = path_run,
};
