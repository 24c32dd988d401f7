/* completions/zk.fish.
 * Layer: cli. */
#include <string.h>

#include "cli/complete.h"
#include "cli/emit.h"
#include "cli/groups.h"
#include "cli/help.h"

#include "base/ban.h"

static void quoted(const char *s, struct zk_buf *b)
{
	zk_buf_char(b, '\'');
	for (; *s; s++) {
		if (*s == '\'' || *s == '\\')
			zk_buf_char(b, '\\');
		zk_buf_char(b, *s);
	}
	zk_buf_char(b, '\'');
}

static void value_of(const struct zk_opt *row, struct zk_buf *b)
{
	const char *kind = zk_complete_kind(row);

	if (row->type == ZK_OPT_BOOL || row->type == ZK_OPT_COUNT ||
	    row->type == ZK_OPT_OPTARG)
		return;
	if (row->type == ZK_OPT_ENUM) {
		zk_buf_lit(b, " -x -a '");
		for (size_t i = 0; row->values[i]; i++)
			zk_buf_printf(b, "%s%s", i ? " " : "", row->values[i]);
		zk_buf_char(b, '\'');
	} else if (kind && strcmp(kind, "file") == 0) {
		zk_buf_lit(b, " -r -F");
	} else if (kind && strcmp(kind, "dir") == 0) {
		zk_buf_lit(b, " -x -a '(__fish_complete_directories)'");
	} else if (kind) {
		zk_buf_printf(b, " -x -a '(__zk_ask %s)'", kind);
	} else {
		zk_buf_lit(b, " -x");
	}
}

static void line(const char *when, const struct zk_opt *row, const char *name, char key,
                 struct zk_buf *b)
{
	zk_buf_printf(b, "complete -c zk -n %s -l %s", when, name);
	if (key)
		zk_buf_printf(b, " -s %c", key);
	value_of(row, b);
	zk_buf_lit(b, " -d ");
	quoted(row->help, b);
	zk_buf_char(b, '\n');
}

static void option(const char *when, const struct zk_opt *row, struct zk_buf *b)
{
	char inverse[64];
	struct zk_buf name;

	if (row->flags & ZK_OPT_HIDDEN)
		return;
	if (row->type == ZK_OPT_SECRET_REF) {
		struct zk_opt fd = *row;

		fd.type = ZK_OPT_UINT;
		zk_buf_init(&name, 80);
		zk_buf_printf(&name, "%s-file", row->name);
		line(when, row, zk_buf_cstring(&name), 0, b);
		zk_buf_clear(&name);
		zk_buf_printf(&name, "%s-fd", row->name);
		line(when, &fd, zk_buf_cstring(&name), 0, b);
		zk_buf_done(&name);
		return;
	}
	line(when, row, row->name, row->key, b);
	if (row->key != 'h' && row->key != 'V' &&
	    zk_opt_inverse(row, inverse, sizeof(inverse)))
		line(when, row, inverse, 0, b);
}

/* '__zk_at "triggers serve"' */
static void at(const char *path, struct zk_buf *b)
{
	zk_buf_clear(b);
	zk_buf_printf(b, "'__zk_at \"%s\"'", path);
}

static void verb(const struct zk_cmd *const *cmds, const char *path, struct zk_buf *b)
{
	const struct zk_cmd *c = NULL;
	size_t pos = 0, n = path[0] ? strlen(path) + 1 : 0;
	struct zk_buf when;

	zk_buf_init(&when, 200);
	at(path, &when);
	for (c = zk_help_next_below(cmds, path, &pos); c;
	     c = zk_help_next_below(cmds, path, &pos)) {
		zk_buf_printf(b, "complete -c zk -n %s -a %s -d ", zk_buf_cstring(&when),
		              c->path + n);
		quoted(c->help, b);
		zk_buf_char(b, '\n');
	}
	zk_buf_done(&when);
}

static void args_of(const char *when, const struct zk_cmd *c, struct zk_buf *b)
{
	if (c->max_args == 0)
		return;
	if (!c->complete_arg || strcmp(c->complete_arg, "file") == 0)
		zk_buf_printf(b, "complete -c zk -n %s -F\n", when);
	else
		zk_buf_printf(b, "complete -c zk -n %s -a '(__zk_ask %s)'\n", when,
		              c->complete_arg);
}

static void command(const struct zk_cmd *c, struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(c, t);
	struct zk_buf when;

	zk_buf_init(&when, 200);
	at(c->path, &when);
	for (size_t i = 0; i < n; i++)
		for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++)
			/* The common ones are given once, for all. */
			if (!zk_rows_hidden(t, i, r) && (!t[i].group || t[i].group->bit))
				option(zk_buf_cstring(&when), r, b);
	args_of(zk_buf_cstring(&when), c, b);
	zk_buf_done(&when);
}

static const char machine[] = "# The words of the command on the line so far.\n"
                              "function __zk_path\n"
                              "    set -l path\n"
                              "    for w in (commandline -opc)[2..-1]\n"
                              "        string match -q -- '-*' $w; and continue\n"
                              "        contains -- (string join ' ' $path $w) "
                              "$__zk_paths; and set path $path $w\n"
                              "    end\n"
                              "    string join ' ' $path\n"
                              "end\n\n"
                              "function __zk_at\n"
                              "    set -l path (__zk_path)\n"
                              "    test \"$path\" = \"$argv[1]\"\n"
                              "end\n\n"
                              "function __zk_ask\n"
                              "    set -l program (commandline -opc)[1]\n"
                              "    $program __complete $argv[1] 2>/dev/null\n"
                              "end\n\n"
                              "complete -c zk -f\n";

void zk_emit_fish(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "# fish completion for zk. Made by zk emit fish; do not edit.\n\n"
	              "set -g __zk_paths");
	for (size_t i = 0; cmds[i]; i++)
		if (!(cmds[i]->flags & ZK_CMD_HIDDEN))
			zk_buf_printf(b, " \\\n    '%s'", cmds[i]->path);
	zk_buf_lit(b, "\n\n");
	zk_buf_cstr(b, machine);
	verb(cmds, "", b);
	for (size_t i = 0; cmds[i]; i++)
		if (!cmds[i]->run && !(cmds[i]->flags & ZK_CMD_HIDDEN))
			verb(cmds, cmds[i]->path, b);
	for (const struct zk_opt *r = zk_groups[0].rows; r->type != ZK_OPT_NONE; r++)
		option("true", r, b);
	for (size_t i = 0; cmds[i]; i++)
		if (cmds[i]->run && !(cmds[i]->flags & ZK_CMD_HIDDEN))
			command(cmds[i], b);
}
