/* `zk profile use`: writes default_profile into the user's file and leaves the rest as it is.
 * Layer: cmd. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/state.h"
#include "cli/term.h"
#include "cmd/cmds.h"
#include "conf/conf.h"

#include "base/ban.h"

/* The byte where line `line` (1-based) begins. */
static size_t line_start(zk_str text, unsigned line)
{
	size_t at = 0;

	while (--line > 0 && at < text.n) {
		const char *nl = memchr(text.p + at, '\n', text.n - at);

		at = nl ? (size_t)(nl - text.p) + 1 : text.n;
	}
	return at;
}

/* The byte behind column `col` (1-based, counted in characters) of a line. */
static size_t column_at(zk_str text, size_t at, unsigned col)
{
	while (--col > 0 && at < text.n && text.p[at] != '\n') {
		at++;
		while (at < text.n && ((unsigned char)text.p[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

/* How many bytes the scalar at `at` takes: up to the closing quote, or its text. */
static size_t scalar_len(zk_str text, size_t at, const struct zk_node *n)
{
	const char *end;

	if (n->plain)
		return n->text.n;
	end = memchr(text.p + at + 1, text.p[at], text.n - at - 1);
	return end ? (size_t)(end - (text.p + at)) + 1 : n->text.n;
}

/* A new line behind `version`, which every file has, or at the top. */
static void insert_line(const struct zk_conf_file *f, const char *name, struct zk_buf *b)
{
	zk_str text = zk_str_n(f->text, f->n);
	const struct zk_node *v = zk_node_get(f->root, ZK_STR("version"));
	size_t at = v ? line_start(text, v->line + 1) : 0;

	zk_buf_put(b, text.p, at);
	if (at && text.p[at - 1] != '\n')
		zk_buf_char(b, '\n');
	zk_buf_printf(b, "default_profile: %s\n", name);
	zk_buf_add(b, zk_str_from(text, at));
}

static void edit(const struct zk_conf_file *f, const char *name, struct zk_buf *b)
{
	zk_str text = zk_str_n(f->text, f->n);
	const struct zk_node *n = zk_node_get(f->root, ZK_STR("default_profile"));
	size_t at;

	if (!n) {
		insert_line(f, name, b);
		return;
	}
	at = column_at(text, line_start(text, n->line), n->col);
	zk_buf_put(b, text.p, at);
	zk_buf_cstr(b, name);
	zk_buf_add(b, zk_str_from(text, at + scalar_len(text, at, n)));
}

/* Reads the result as zk would: the file must not be broken by what we do. */
static int check(const char *path, zk_str text, const char *name, struct zk_error *err)
{
	struct zk_conf_file *f = NULL;
	const struct zk_node *n;
	bool ok;

	if (zk_conf_file_parse(path, text, &f, err) < 0)
		return zk_wrap(err, "the changed file would be broken");
	n = zk_node_get(f->root, ZK_STR("default_profile"));
	ok = n && zk_str_eq(n->text, zk_str_of(name));
	zk_conf_file_free(f);
	if (ok)
		return 0;
	(void)zk_fail(err, ZK_E_CONFIG, "cannot change default_profile in '%s'", path);
	return zk_err_hint(err, "write it there by hand: default_profile: %s", name);
}

/* Also behind a link. */
static int replace(const char *path, mode_t mode, zk_str text, struct zk_error *err)
{
	char *real = realpath(path, NULL);
	int e = zk_file_replace(real ? real : path, mode, text);

	free(real);
	return e ? zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", path) : 0;
}

static int use(struct zk_app *app, const char *path, const char *name,
               struct zk_error *err)
{
	struct zk_conf_file *f = NULL;
	struct zk_buf b;
	int r = zk_conf_file_open(path, ZK_PLACE_USER, &f, err);

	if (r < 0)
		return r;
	zk_buf_init_secret(&b, ZK_CONF_FILE_MAX + 512);
	edit(f, name, &b);
	r = check(path, zk_buf_str(&b), name, err);
	if (r == 0 && !app->common.dry_run)
		r = replace(path, f->mode, zk_buf_str(&b), err);
	zk_buf_done(&b);
	zk_conf_file_free(f);
	return r;
}

static int use_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	const struct zk_conf_file *project = zk_conf_file_at(app->conf, ZK_PLACE_PROJECT);
	struct zk_places places = { 0 };
	struct zk_conf *conf = NULL;
	int r = zk_cli_load_profile(app, &app->cli->rows, argv[0], &conf, err);

	(void)opts;
	(void)argc;
	zk_conf_free(conf);
	if (r < 0)
		return r;
	if (zk_places_find(app, &places, err) < 0)
		return -(int)err->code;
	if (!places.user_file || access(places.user_file, F_OK) < 0) {
		(void)zk_fail(err, ZK_E_CONFIG, "you have no configuration file yet");
		r = zk_err_hint(err, "zk config init writes one");
	} else {
		r = use(app, places.user_file, argv[0], err);
	}
	zk_places_done(&places);
	if (r < 0)
		return r;
	if (project && zk_node_get(project->root, ZK_STR("default_profile")))
		zk_say("here it has no effect: %s names another default_profile",
		       project->shown);
	return 0;
}

const struct zk_cmd zk_cmd_profile_use = {
	.path = "profile use",
	.args = "NAME",
	.min_args = 1,
	.max_args = 1,
	.help = "make a profile the default one",
	.about = "Writes default_profile into your own file, in place; everything else "
	         "in it stays as it is, comments too. -p NAME and ZK_PROFILE still win.",
	.examples = "zk profile use staging",
	.args_help = "NAME    a profile of the configuration",
	.exits = "0 · 73 the file cannot be written · 78 there is no such profile",
	.see = "zk profile list",
	.complete_arg = "profile",
	.run = use_run,
};
