/* `zk version`.
 * Layer: cmd. */
#include "base/version.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "rt/out.h"

#include "base/ban.h"

static void put_text(struct zk_jwrite *w, const char *name, const char *text)
{
	zk_jw_key(w, name);
	if (text[0])
		zk_jw_cstr(w, text);
	else
		zk_jw_null(w);
}

static void put_words(struct zk_jwrite *w, const char *name, const char *words)
{
	zk_str rest = zk_str_of(words);

	zk_jw_key(w, name);
	zk_jw_arr(w);
	while (rest.n) {
		zk_str one;

		rest = zk_str_cut(rest, ' ', &one);
		if (one.n)
			zk_jw_str(w, one);
	}
	zk_jw_arr_end(w);
}

static void put_libs(struct zk_jwrite *w, const char *name, int lazy)
{
	zk_jw_key(w, name);
	zk_jw_obj(w);
	for (const struct zk_build_lib *l = zk_build_libs; l->name; l++)
		if (l->lazy == lazy)
			put_text(w, l->name, l->version);
	zk_jw_obj_end(w);
}

/* Wire versions of the families that this binary speaks. */
static void put_protocols(struct zk_jwrite *w)
{
	zk_jw_key(w, "protocols");
	zk_jw_obj(w);
	put_text(w, "procwire", "2.0.0");
	put_text(w, "standard_webhooks", "1");
	zk_jw_obj_end(w);
}

static int print_row(struct zk_app *app, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE, .open = true };
	struct zk_out *out = zk_app_out(app, err);
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { .cap = 65536 };
	struct zk_jwrite w;

	if (!out || zk_out_begin(out, &shape, err) < 0)
		return -(int)err->code;
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	put_text(&w, "name", "zk");
	put_text(&w, "version", ZK_VERSION);
	put_text(&w, "commit", zk_commit);
	put_text(&w, "build_date", zk_build.date);
	put_text(&w, "build_type", zk_build.type);
	put_text(&w, "compiler", zk_build.compiler);
	put_words(&w, "hardening", zk_build.hardening);
	put_libs(&w, "libraries", 0);
	put_libs(&w, "on_first_use", 1);
	put_protocols(&w);
	zk_jw_obj_end(&w);
	if (zk_out_row(out, zk_buf_str(&b), err) < 0)
		return -(int)err->code;
	return zk_out_end(out, err);
}

static int version_run(struct zk_app *app, void *opts, int argc, char **argv,
                       struct zk_error *err)
{
	struct zk_buf b;
	int r;

	(void)opts;
	(void)argc;
	(void)argv;
	if (app->output.output != ZK_OUT_AUTO || app->output.jq || app->output.fields ||
	    app->output.format)
		return print_row(app, err);
	zk_buf_init(&b, 4096);
	zk_buf_printf(&b, "zk %s (%s)\n", ZK_VERSION, zk_commit);
	r = zk_print(zk_buf_str(&b), err);
	zk_buf_done(&b);
	return r;
}

const struct zk_cmd zk_cmd_version = {
	.path = "version",
	.section = "Set up",
	.help = "print the version and what it was built with",
	.about = "With --output also the compiler, the libraries it was built with, and "
	         "the "
	         "protocols it speaks; none of them is opened for that.",
	.examples = "zk version -o json",
	.output =
	        "one line; with --output: name, version, commit, build_date, build_type, "
	        "compiler, hardening, libraries, on_first_use, protocols",
	.see = "zk help · man zk",
	.exits = "0",
	.groups = ZK_OPTS_OUTPUT,
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.run = version_run,
};
