/* completions/zk.bash: everything that is known beforehand stands in the file; what is not, such
 * as the names of profiles, is asked of `zk __complete`.
 * Layer: cli. */
#include <string.h>

#include "cli/complete.h"
#include "cli/emit.h"
#include "cli/groups.h"
#include "cli/help.h"

#include "base/ban.h"

static void names_of(const struct zk_opt *row, struct zk_buf *b)
{
	char inverse[64];

	if (row->flags & ZK_OPT_HIDDEN)
		return;
	if (row->type == ZK_OPT_SECRET_REF) {
		zk_buf_printf(b, " --%s-file --%s-fd", row->name, row->name);
		return;
	}
	if (row->key)
		zk_buf_printf(b, " -%c", row->key);
	zk_buf_printf(b, " --%s", row->name);
	if (row->key != 'h' && row->key != 'V' &&
	    zk_opt_inverse(row, inverse, sizeof(inverse)))
		zk_buf_printf(b, " --%s", inverse);
}

static bool takes_value(const struct zk_opt *row)
{
	return row->type != ZK_OPT_BOOL && row->type != ZK_OPT_COUNT &&
	       row->type != ZK_OPT_OPTARG;
}

/* "--a|--b" of the names that a value may follow. */
static void value_pattern(const struct zk_opt *row, const char *before, struct zk_buf *b)
{
	if (row->type == ZK_OPT_SECRET_REF) {
		zk_buf_printf(b, "%s--%s-file'", before, row->name);
		return;
	}
	if (row->key)
		zk_buf_printf(b, "%s-%c' | ", before, row->key);
	zk_buf_printf(b, "%s--%s'", before, row->name);
}

static void value_case(const struct zk_opt *row, const char *before, struct zk_buf *b)
{
	const char *kind = zk_complete_kind(row);

	if ((row->flags & ZK_OPT_HIDDEN) || (row->type != ZK_OPT_ENUM && !kind) ||
	    !takes_value(row))
		return;
	zk_buf_char(b, '\t');
	value_pattern(row, before, b);
	if (row->type == ZK_OPT_ENUM) {
		zk_buf_lit(b, ") words='");
		for (size_t i = 0; row->values[i]; i++)
			zk_buf_printf(b, "%s%s", i ? " " : "", row->values[i]);
		zk_buf_lit(b, "' ;;\n");
	} else {
		zk_buf_printf(b, ") kind='%s' ;;\n", kind);
	}
}

static void verbs(const struct zk_cmd *const *cmds, const char *path, struct zk_buf *b)
{
	const struct zk_cmd *c = NULL;
	size_t pos = 0, n = path[0] ? strlen(path) + 1 : 0;
	bool first = true;

	for (c = zk_help_next_below(cmds, path, &pos); c;
	     c = zk_help_next_below(cmds, path, &pos)) {
		if (first)
			zk_buf_printf(b, "\t'%s') words='", path);
		zk_buf_printf(b, "%s%s", first ? "" : " ", c->path + n);
		first = false;
	}
	if (!first)
		zk_buf_lit(b, "' ;;\n");
}

static void all_verbs(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "_zk_verbs() {\n\tcase $1 in\n");
	verbs(cmds, "", b);
	for (size_t i = 0; cmds[i]; i++)
		if (!cmds[i]->run && !(cmds[i]->flags & ZK_CMD_HIDDEN))
			verbs(cmds, cmds[i]->path, b);
	zk_buf_lit(b, "\tesac\n}\n\n");
}

static void options_of(const struct zk_cmd *c, struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(c, t);

	zk_buf_printf(b, "\t'%s') words='", c->path);
	for (size_t i = 0; i < n; i++)
		for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++)
			if (!zk_rows_hidden(t, i, r))
				names_of(r, b);
	zk_buf_lit(b, "' ;;\n");
}

static void all_options(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "_zk_options() {\n\tcase $1 in\n");
	for (size_t i = 0; cmds[i]; i++)
		if (cmds[i]->run && !(cmds[i]->flags & ZK_CMD_HIDDEN))
			options_of(cmds[i], b);
	zk_buf_lit(b, "\t*) words='");
	for (const struct zk_opt *r = zk_groups[0].rows; r->type != ZK_OPT_NONE; r++)
		names_of(r, b);
	zk_buf_lit(b, "' ;;\n\tesac\n}\n\n");
}

static void all_values(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "_zk_value() {\n\tcase \"$1 $2\" in\n");
	for (size_t i = 0; cmds[i]; i++) {
		struct zk_buf before;

		if (!cmds[i]->opts || (cmds[i]->flags & ZK_CMD_HIDDEN))
			continue;
		zk_buf_init(&before, 200);
		zk_buf_printf(&before, "'%s ", cmds[i]->path);
		for (const struct zk_opt *r = cmds[i]->opts; r->type != ZK_OPT_NONE; r++)
			value_case(r, zk_buf_cstring(&before), b);
		zk_buf_done(&before);
	}
	for (size_t i = 0; i < ZK_GROUPS; i++)
		for (const struct zk_opt *r = zk_groups[i].rows; r->type != ZK_OPT_NONE;
		     r++)
			value_case(r, "*' ", b);
	zk_buf_lit(b, "\tesac\n}\n\n");
}

static void all_args(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "_zk_arg() {\n\tcase $1 in\n");
	for (size_t i = 0; cmds[i]; i++)
		if (cmds[i]->run && cmds[i]->complete_arg &&
		    !(cmds[i]->flags & ZK_CMD_HIDDEN))
			zk_buf_printf(b, "\t'%s') kind='%s' ;;\n", cmds[i]->path,
			              cmds[i]->complete_arg);
	zk_buf_lit(b, "\tesac\n}\n\n");
}

/* Options whose next word is a value: those are skipped when the command is looked for. */
static void with_value(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "_zk_with_value() {\n\tcase \"$1 $2\" in\n");
	for (size_t i = 0; cmds[i]; i++) {
		struct zk_buf before;

		if (!cmds[i]->opts || (cmds[i]->flags & ZK_CMD_HIDDEN))
			continue;
		zk_buf_init(&before, 200);
		zk_buf_printf(&before, "'%s ", cmds[i]->path);
		for (const struct zk_opt *r = cmds[i]->opts; r->type != ZK_OPT_NONE;
		     r++) {
			if (!takes_value(r))
				continue;
			zk_buf_char(b, '\t');
			value_pattern(r, zk_buf_cstring(&before), b);
			zk_buf_lit(b, ") return 0 ;;\n");
		}
		zk_buf_done(&before);
	}
	for (size_t i = 0; i < ZK_GROUPS; i++) {
		for (const struct zk_opt *r = zk_groups[i].rows; r->type != ZK_OPT_NONE;
		     r++) {
			if (!takes_value(r))
				continue;
			zk_buf_char(b, '\t');
			value_pattern(r, "*' ", b);
			zk_buf_lit(b, ") return 0 ;;\n");
		}
	}
	zk_buf_lit(b, "\tesac\n\treturn 1\n}\n\n");
}

static const char machine[] =
        "# Files, folders, or what zk knows.\n"
        "_zk_kind() {\n"
        "\tcase $1 in\n"
        "\tfile) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$2\")) "
        ";;\n"
        "\tdir) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$2\")) "
        ";;\n"
        "\t*) COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" __complete \"$1\" "
        "2>/dev/null |\n"
        "\t\tcut -f 1)\" -- \"$2\")) ;;\n"
        "\tesac\n"
        "}\n\n"
        "_zk() {\n"
        "\tlocal IFS=$' \\t\\n' cur=${COMP_WORDS[COMP_CWORD]} "
        "prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "\tlocal path='' words='' kind='' option='' i w\n"
        "\tCOMPREPLY=()\n"
        "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
        "\t\tw=${COMP_WORDS[i]}\n"
        "\t\tcase $w in\n"
        "\t\t--) return ;;\n"
        "\t\t-*) [[ ${COMP_WORDS[i + 1]} != = ]] && _zk_with_value \"$path\" \"$w\" && "
        "((i++)) ;;\n"
        "\t\t=) ((i++)) ;;\n"
        "\t\t*)\n"
        "\t\t\twords=''\n"
        "\t\t\t_zk_verbs \"$path\"\n"
        "\t\t\t[[ \" $words \" == *\" $w \"* ]] && path=${path:+$path }$w\n"
        "\t\t\t;;\n"
        "\t\tesac\n"
        "\tdone\n"
        "\twords=''\n"
        "\tif [[ $cur == = ]]; then\n"
        "\t\toption=$prev cur=''\n"
        "\telif [[ $prev == = ]]; then\n"
        "\t\toption=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "\telif _zk_with_value \"$path\" \"$prev\"; then\n"
        "\t\toption=$prev\n"
        "\tfi\n"
        "\tif [[ $option ]]; then\n"
        "\t\t_zk_value \"$path\" \"$option\"\n"
        "\telif [[ $cur == -* ]]; then\n"
        "\t\t_zk_options \"$path\"\n"
        "\telse\n"
        "\t\t_zk_verbs \"$path\"\n"
        "\t\t[[ $words ]] || _zk_arg \"$path\"\n"
        "\tfi\n"
        "\tif [[ $kind ]]; then\n"
        "\t\t_zk_kind \"$kind\" \"$cur\"\n"
        "\telse\n"
        "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
        "\tfi\n"
        "}\n\n"
        "complete -F _zk zk\n";

void zk_emit_bash(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "# bash completion for zk. Made by zk emit bash; do not edit.\n"
	              "# shellcheck shell=bash disable=SC2207,SC2034\n\n");
	all_verbs(cmds, b);
	all_options(cmds, b);
	all_values(cmds, b);
	all_args(cmds, b);
	with_value(cmds, b);
	zk_buf_cstr(b, machine);
}
