/* completions/_zk.
 * Layer: cli. */
#include <string.h>

#include "cli/complete.h"
#include "cli/emit.h"
#include "cli/groups.h"
#include "cli/help.h"

#include "base/ban.h"

/* Inside single quotes, inside a specification of _arguments. */
static void quoted(const char *s, struct zk_buf *b)
{
	for (; *s; s++) {
		if (*s == '\'')
			zk_buf_lit(b, "'\\''");
		else if (strchr("[]:\\", *s))
			zk_buf_printf(b, "\\%c", *s);
		else
			zk_buf_char(b, *s);
	}
}

static void action(const struct zk_opt *row, struct zk_buf *b)
{
	const char *kind = zk_complete_kind(row);

	if (row->type == ZK_OPT_ENUM) {
		zk_buf_char(b, '(');
		for (size_t i = 0; row->values[i]; i++)
			zk_buf_printf(b, "%s%s", i ? " " : "", row->values[i]);
		zk_buf_char(b, ')');
	} else if (kind && strcmp(kind, "file") == 0) {
		zk_buf_lit(b, "_files");
	} else if (kind && strcmp(kind, "dir") == 0) {
		zk_buf_lit(b, "_files -/");
	} else if (kind) {
		zk_buf_printf(b, "_zk_ask %s", kind);
	}
}

/* One line: '--name=[help]:META:action' */
static void spec(const struct zk_opt *row, const char *name, const char *sign,
                 struct zk_buf *b)
{
	bool repeatable = row->type == ZK_OPT_LIST || row->type == ZK_OPT_MAP ||
	                  row->type == ZK_OPT_COUNT;
	const char *meta = zk_opt_meta(row);

	zk_buf_printf(b, "\t\t'%s%s%s[", repeatable ? "*" : "", name, sign);
	quoted(row->help, b);
	zk_buf_char(b, ']');
	if (sign[0] && meta) {
		zk_buf_cstr(b, row->type == ZK_OPT_OPTARG ? "::" : ":");
		quoted(meta, b);
		zk_buf_char(b, ':');
		action(row, b);
	}
	zk_buf_lit(b, "' \\\n");
}

static void specs(const struct zk_opt *row, struct zk_buf *b)
{
	bool flag = row->type == ZK_OPT_BOOL || row->type == ZK_OPT_COUNT;
	char name[80], inverse[64];
	struct zk_buf n;

	if (row->flags & ZK_OPT_HIDDEN)
		return;
	zk_buf_init(&n, sizeof(name) - 1);
	if (row->type == ZK_OPT_SECRET_REF) {
		struct zk_opt fd = *row;

		zk_buf_printf(&n, "--%s-file", row->name);
		spec(row, zk_buf_cstring(&n), "=", b);
		fd.type = ZK_OPT_UINT;
		fd.complete = NULL;
		zk_buf_clear(&n);
		zk_buf_printf(&n, "--%s-fd", row->name);
		spec(&fd, zk_buf_cstring(&n), "=", b);
		zk_buf_done(&n);
		return;
	}
	if (row->key) {
		zk_buf_printf(&n, "-%c", row->key);
		spec(row, zk_buf_cstring(&n), flag ? "" : "+", b);
		zk_buf_clear(&n);
	}
	zk_buf_printf(&n, "--%s", row->name);
	spec(row, zk_buf_cstring(&n),
	     flag                         ? ""
	     : row->type == ZK_OPT_OPTARG ? "=-"
	                                  : "=",
	     b);
	if (row->key != 'h' && row->key != 'V' &&
	    zk_opt_inverse(row, inverse, sizeof(inverse))) {
		zk_buf_clear(&n);
		zk_buf_printf(&n, "--%s", inverse);
		spec(row, zk_buf_cstring(&n), "", b);
	}
	zk_buf_done(&n);
}

static void command(const struct zk_cmd *c, struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(c, t);

	zk_buf_printf(b, "\t'%s') _arguments -s -S \\\n", c->path);
	for (size_t i = 0; i < n; i++)
		for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++)
			if (!zk_rows_hidden(t, i, r))
				specs(r, b);
	if (c->max_args == 0)
		zk_buf_lit(b, "\t\t&& return 0 ;;\n");
	else if (!c->complete_arg || strcmp(c->complete_arg, "file") == 0)
		zk_buf_lit(b, "\t\t'*: :_files' && return 0 ;;\n");
	else
		zk_buf_printf(b, "\t\t'*: :_zk_ask %s' && return 0 ;;\n",
		              c->complete_arg);
}

static void verbs(const struct zk_cmd *const *cmds, const char *path, struct zk_buf *b)
{
	const struct zk_cmd *c = NULL;
	size_t pos = 0, n = path[0] ? strlen(path) + 1 : 0;

	zk_buf_printf(b, "\t'%s') verbs=(\n", path);
	for (c = zk_help_next_below(cmds, path, &pos); c;
	     c = zk_help_next_below(cmds, path, &pos)) {
		zk_buf_printf(b, "\t\t'%s:", c->path + n);
		quoted(c->help, b);
		zk_buf_lit(b, "'\n");
	}
	zk_buf_lit(b, "\t) ;;\n");
}

static const char machine[] =
        "# What only zk knows: lines of a value, a tab and what it is.\n"
        "_zk_ask() {\n"
        "\tlocal -a lines values\n"
        "\tlocal line\n"
        "\tlines=(${(f)\"$(${_zk_program:-zk} __complete $1 2>/dev/null)\"})\n"
        "\tfor line in $lines; do\n"
        "\t\tvalues+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
        "\tdone\n"
        "\t_describe -t values value values\n"
        "}\n\n"
        "_zk() {\n"
        "\tlocal _zk_program=${words[1]} path='' w\n"
        "\tlocal -a verbs\n"
        "\tlocal -i i last=1\n"
        "\tfor ((i = 2; i < CURRENT; i++)); do\n"
        "\t\tw=${words[i]}\n"
        "\t\t[[ $w == -* ]] && continue\n"
        "\t\t_zk_verbs $path\n"
        "\t\t[[ -n ${(M)verbs:#$w:*} ]] && path=${path:+$path }$w && last=$i\n"
        "\tdone\n"
        "\t_zk_verbs $path\n"
        "\tif (( $#verbs )) && [[ $PREFIX != -* ]]; then\n"
        "\t\t_describe -t commands command verbs\n"
        "\t\treturn\n"
        "\tfi\n"
        "\twords=(\"${words[1]}\" \"${(@)words[last + 1, -1]}\")\n"
        "\t(( CURRENT -= last - 1 ))\n"
        "\t_zk_options $path\n"
        "}\n\n"
        "_zk \"$@\"\n";

void zk_emit_zsh(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "#compdef zk\n# Made by zk emit zsh; do not edit.\n\n"
	              "_zk_verbs() {\n\tverbs=()\n\tcase $1 in\n");
	verbs(cmds, "", b);
	for (size_t i = 0; cmds[i]; i++)
		if (!cmds[i]->run && !(cmds[i]->flags & ZK_CMD_HIDDEN))
			verbs(cmds, cmds[i]->path, b);
	zk_buf_lit(b, "\tesac\n}\n\n_zk_options() {\n\tcase $1 in\n");
	for (size_t i = 0; cmds[i]; i++)
		if (cmds[i]->run && !(cmds[i]->flags & ZK_CMD_HIDDEN))
			command(cmds[i], b);
	zk_buf_lit(b, "\t*) _arguments -s -S \\\n");
	for (const struct zk_opt *r = zk_groups[0].rows; r->type != ZK_OPT_NONE; r++)
		specs(r, b);
	zk_buf_lit(b, "\t\t&& return 0 ;;\n\tesac\n}\n\n");
	zk_buf_cstr(b, machine);
}
