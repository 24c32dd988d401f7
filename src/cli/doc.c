/* Generated documentation: command pages.
 * Layer: cli. */
#include "cli/doc.h"

#include <stdio.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/help.h"
#include "cli/md.h"
#include "cli/parse.h"
#include "cli/prose.h"

#include "base/ban.h"

const struct zk_topic zk_topics[] = {
	{ "quickstart", NULL, "from nothing to a running server" },
	{ "config", "zk-config.5", "configuration files, profiles, precedence" },
	{ "environment", "zk-environment.7", "every variable zk reads" },
	{ "secrets", "zk-secrets.7", "where tokens come from and where they go" },
	{ "exit-codes", "zk-exit-codes.7", "what each exit status tells the caller" },
	{ "formatting", "zk-formatting.7", "output formats and selection" },
	{ "cron", "zk-cron.7", "running zk from cron and timers" },
	{ "ci", NULL, "running zk in continuous integration" },
	{ "node", "zk-node.7", "zk as the child of a Node.js program" },
	{ "errors", "zk-errors.7", "every error code" },
	{ "metrics", "zk-metrics.7", "what servers measure" },
	{ "options", NULL, "options that several commands share" },
	{ NULL, NULL, NULL },
};

const struct zk_topic *zk_topic_find(zk_str name)
{
	for (const struct zk_topic *t = zk_topics; t->name; t++)
		if (zk_str_eq(zk_str_of(t->name), name))
			return t;
	return NULL;
}

zk_str zk_prose_find(zk_str name)
{
	for (const struct zk_prose *p = zk_proses; p->name; p++)
		if (zk_str_eq(zk_str_of(p->name), name))
			return p->text;
	return ZK_STR_NULL;
}

static void esc(struct zk_buf *b, const char *s)
{
	zk_md_escape(zk_str_of(s), b);
}

static void sentence(const char *help, struct zk_buf *b)
{
	struct zk_buf s;

	zk_buf_init(&s, 1000);
	zk_help_sentence(help, &s);
	zk_md_escape(zk_buf_str(&s), b);
	zk_buf_done(&s);
}

/* "**-o**, **--output** *FORMAT*" */
static void option_term(const struct zk_opt *row, struct zk_buf *b)
{
	const char *meta = zk_opt_meta(row);

	if (row->key)
		zk_buf_printf(b, "**-%c**, ", row->key);
	if (row->type == ZK_OPT_SECRET_REF) {
		zk_buf_printf(b, "**--%s-file** *", row->name);
		esc(b, meta);
		zk_buf_printf(b, "*, **--%s-fd** *N*", row->name);
		return;
	}
	zk_buf_printf(b, "**--%s**", row->name);
	if (meta) {
		zk_buf_cstr(b, row->type == ZK_OPT_OPTARG ? "[=*" : " *");
		esc(b, meta);
		zk_buf_cstr(b, row->type == ZK_OPT_OPTARG ? "*]" : "*");
	}
	if (row->type == ZK_OPT_BOOL && row->def && strcmp(row->def, "true") == 0)
		zk_buf_printf(b, ", **--no-%s**", row->name);
}

static void option(const struct zk_opt *row, const char *prefix, struct zk_buf *b)
{
	struct zk_buf name;

	option_term(row, b);
	zk_buf_lit(b, "\n: ");
	sentence(row->help, b);
	for (size_t i = 0; row->type == ZK_OPT_ENUM && row->values[i]; i++)
		zk_buf_printf(b, "%s`%s`", i ? ", " : " One of ", row->values[i]);
	if (row->type == ZK_OPT_ENUM)
		zk_buf_char(b, '.');
	if (row->text) {
		zk_buf_char(b, ' ');
		esc(b, row->text);
	}
	if (row->flags & ZK_OPT_REQUIRED)
		zk_buf_lit(b, " Required.");
	if (row->def && row->type != ZK_OPT_BOOL)
		zk_buf_printf(b, " Default: `%s`.", row->def);
	zk_buf_init(&name, 300);
	zk_opt_conf_key(row, prefix, &name);
	if (name.n)
		zk_buf_printf(b, " Key: `%s%s`.", zk_buf_cstring(&name),
		              row->type == ZK_OPT_SECRET_REF ? "_file" : "");
	zk_buf_clear(&name);
	zk_opt_env_name(row, prefix, &name);
	if (name.n)
		zk_buf_printf(b, " Variable: `%s`.", zk_buf_cstring(&name));
	zk_buf_done(&name);
	zk_buf_lit(b, "\n\n");
}

static bool same_group(const struct zk_opt *a, const struct zk_opt *b)
{
	return a->group == b->group ||
	       (a->group && b->group && strcmp(a->group, b->group) == 0);
}

/* Rows under their headings, which are set in bold. */
static void own_options(const struct zk_rows *t, struct zk_buf *b)
{
	const struct zk_opt *before = NULL;

	for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++) {
		if (r->flags & ZK_OPT_HIDDEN)
			continue;
		if (r->group && (!before || !same_group(before, r)))
			zk_buf_printf(b, "**%s**\n\n", r->group);
		option(r, t->prefix, b);
		before = r;
	}
}

static void group_options(const struct zk_rows *t, size_t i, struct zk_buf *b)
{
	for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++)
		if (!(r->flags & ZK_OPT_HIDDEN) && !zk_rows_hidden(t, i, r))
			option(r, t[i].prefix, b);
}

void zk_doc_common_options(struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(NULL, t);

	for (size_t i = 0; i < n; i++) {
		if (t[i].group->bit == ZK_OPTS_SERVE)
			continue;
		zk_buf_printf(b, "### %s options\n\n", t[i].group->title);
		group_options(t, i, b);
	}
}

static void code(const char *lines, struct zk_buf *b)
{
	if (lines)
		zk_buf_printf(b, "```\n%s\n```\n\n", lines);
}

static void named(const char *title, const char *text, struct zk_buf *b)
{
	if (!text)
		return;
	zk_buf_printf(b, "**%s:** ", title);
	esc(b, text);
	zk_buf_lit(b, "\n\n");
}

/* One command that runs: what it does, its options, examples. */
static void verb(const struct zk_cmd *c, struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(c, t);
	bool first = true;

	sentence(c->help, b);
	zk_buf_lit(b, "\n\n");
	if (c->about) {
		esc(b, c->about);
		zk_buf_lit(b, "\n\n");
	}
	code(c->args_help, b);
	for (size_t i = 0; i < n; i++) {
		if (!t[i].group)
			own_options(&t[i], b);
		else if (t[i].group->bit == ZK_OPTS_SERVE)
			group_options(t, i, b);
	}
	for (size_t i = 0; i < n; i++) {
		if (!t[i].group || !t[i].group->bit || t[i].group->bit == ZK_OPTS_SERVE)
			continue;
		zk_buf_printf(
		        b, "%s%s",
		        first ? "Also takes the options of these groups, which **zk**(1) "
		                "explains: "
		              : ", ",
		        t[i].group->title);
		first = false;
	}
	if (!first)
		zk_buf_lit(b, ".\n\n");
	named("Output", c->output, b);
	named("Exit status", c->exits, b);
	if (c->examples) {
		zk_buf_lit(b, "Examples:\n\n");
		code(c->examples, b);
	}
}

static void usage_lines(const struct zk_cmd *const *cmds, const struct zk_cmd *cmd,
                        struct zk_buf *b)
{
	zk_buf_lit(b, "```\n");
	for (const struct zk_cmd *const *c = cmds; *c; c++) {
		if (((*c)->flags & ZK_CMD_HIDDEN) || !(*c)->run ||
		    (*c != cmd && !zk_cmd_is_below((*c)->path, cmd->path)))
			continue;
		zk_buf_lit(b, "zk ");
		zk_help_usage(*c, b);
		zk_buf_char(b, '\n');
	}
	zk_buf_lit(b, "```\n\n");
}

static void prose_of(const struct zk_cmd *const *cmds, zk_str name, struct zk_buf *b)
{
	zk_str text = zk_prose_find(name);

	(void)cmds;
	if (text.n) {
		zk_buf_add(b, text);
		zk_buf_char(b, '\n');
	}
}

static void group_page(const struct zk_cmd *const *cmds, const struct zk_cmd *cmd,
                       struct zk_buf *b)
{
	char name[80];

	(void)snprintf(name, sizeof(name), "zk-%s", cmd->path);
	zk_buf_printf(b, "# %s\n\n## Name\n\n%s - ", name, name);
	esc(b, cmd->help);
	zk_buf_lit(b, "\n\n## Synopsis\n\n");
	usage_lines(cmds, cmd, b);
	zk_buf_lit(b, "## Description\n\n");
	if (cmd->run)
		verb(cmd, b);
	else if (cmd->about) {
		esc(b, cmd->about);
		zk_buf_lit(b, "\n\n");
	} else {
		sentence(cmd->help, b);
		zk_buf_lit(b, "\n\n");
	}
	prose_of(cmds, zk_str_of(name), b);
	if (!cmd->run)
		zk_buf_lit(b, "## Commands\n\n");
	for (const struct zk_cmd *const *c = cmds; *c; c++) {
		if (((*c)->flags & ZK_CMD_HIDDEN) || !(*c)->run ||
		    !zk_cmd_is_below((*c)->path, cmd->path))
			continue;
		zk_buf_lit(b, "### zk ");
		zk_help_usage(*c, b);
		zk_buf_lit(b, "\n\n");
		verb(*c, b);
	}
	zk_buf_lit(b,
	           "## Exit status\n\nThe exit statuses are explained in "
	           "**zk-exit-codes**(7).\n\n"
	           "## See also\n\n**zk**(1), **zk-config**(5), **zk-environment**(7), "
	           "**zk-errors**(7)\n");
}

void zk_doc_commands(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "| command | does |\n|---|---|\n");
	for (const struct zk_cmd *const *c = cmds; *c; c++) {
		if (((*c)->flags & ZK_CMD_HIDDEN) || !(*c)->run)
			continue;
		zk_buf_printf(b, "| `zk %s` | ", (*c)->path);
		esc(b, (*c)->help);
		zk_buf_lit(b, " |\n");
	}
}

static void top_page(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "# zk\n\n## Name\n\nzk - one command line for Zeal, Zerobus, "
	              "triggers, Jetstream "
	              "and Procwire\n\n## Synopsis\n\n```\nzk COMMAND [options]\nzk "
	              "COMMAND --help\n"
	              "zk help TOPIC\n```\n\n## Description\n\n");
	prose_of(cmds, ZK_STR("zk"), b);
	zk_buf_lit(b, "## Commands\n\n");
	zk_doc_commands(cmds, b);
	zk_buf_lit(b, "\n## Options\n\nOptions may stand before and after the command. "
	              "They are never "
	              "abbreviated. Each option without a value has an opposite: "
	              "**--no-x** for **--x**.\n\n");
	zk_doc_common_options(b);
	zk_buf_lit(b, "## Exit status\n\n");
	zk_doc_exit_codes(b);
	zk_buf_lit(b, "\n## See also\n\n");
	for (const struct zk_topic *t = zk_topics; t->name; t++) {
		const char *dot = t->page ? strrchr(t->page, '.') : NULL;

		if (dot)
			zk_buf_printf(b, "%s**%.*s**(%s)", t == zk_topics + 1 ? "" : ", ",
			              (int)(dot - t->page), t->page, dot + 1);
	}
	zk_buf_char(b, '\n');
}

void zk_doc_command(const struct zk_cmd *const *cmds, const struct zk_cmd *cmd,
                    struct zk_buf *b)
{
	if (cmd)
		group_page(cmds, cmd, b);
	else
		top_page(cmds, b);
}

static void generate(const struct zk_cmd *const *cmds, zk_str what, struct zk_buf *b)
{
	if (zk_str_eq(what, ZK_STR("exit-codes")))
		zk_doc_exit_codes(b);
	else if (zk_str_eq(what, ZK_STR("environment")))
		zk_doc_environment(cmds, b);
	else if (zk_str_eq(what, ZK_STR("errors")))
		zk_doc_errors(b);
	else if (zk_str_eq(what, ZK_STR("config-keys")))
		zk_doc_config_keys(cmds, b);
	else if (zk_str_eq(what, ZK_STR("common-options")))
		zk_doc_common_options(b);
	else
		zk_assert_failed("a text of man/prose names what can be generated",
		                 __FILE__, __LINE__);
}

void zk_doc_topic(const struct zk_cmd *const *cmds, const struct zk_topic *t,
                  struct zk_buf *b)
{
	zk_str rest = zk_prose_find(zk_str_of(t->name));

	while (rest.n) {
		zk_str line;

		rest = zk_str_cut(rest, '\n', &line);
		if (zk_str_starts(line, ZK_STR("{{")) &&
		    zk_str_ends(line, ZK_STR("}}"))) {
			generate(cmds, zk_str_n(line.p + 2, line.n - 4), b);
			continue;
		}
		zk_buf_add(b, line);
		zk_buf_char(b, '\n');
	}
}
