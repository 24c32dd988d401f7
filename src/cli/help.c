/* -h, --help and `zk help`.
 * Layer: cli. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/parse.h"
#include "cli/term.h"

#include "base/ban.h"

/* Where the text of an option or verb begins. */
#define TEXT_COL 27u
/* With more rows than this, -h shows only those without a heading. */
#define SCREEN_ROWS 16u

static void heading(const struct zk_help *h, const char *title, struct zk_buf *b)
{
	zk_buf_printf(b, "\n%s%s:%s\n", h->color ? "\033[1m" : "", title,
	              h->color ? "\033[0m" : "");
}

void zk_help_sentence(const char *help, struct zk_buf *b)
{
	char first = help[0];

	if (first >= 'a' && first <= 'z')
		first = (char)(first - 32);
	zk_buf_printf(b, "%c%s.", first, help + (help[0] != '\0'));
}

void zk_help_option_head(const struct zk_opt *row, struct zk_buf *b)
{
	const char *meta = zk_opt_meta(row);

	if (row->key)
		zk_buf_printf(b, "-%c, ", row->key);
	if (row->type == ZK_OPT_SECRET_REF)
		zk_buf_printf(b, "--%s-file %s", row->name, meta);
	else if (row->type == ZK_OPT_OPTARG)
		zk_buf_printf(b, "--%s[=%s]", row->name, meta);
	else if (row->type == ZK_OPT_BOOL && row->def && strcmp(row->def, "true") == 0)
		zk_buf_printf(b, "--[no-]%s", row->name);
	else
		zk_buf_printf(b, "--%s%s%s", row->name, meta ? " " : "",
		              meta ? meta : "");
}

static void tag(const char *name, zk_str value, struct zk_buf *b)
{
	zk_buf_printf(b, " [%s:%c", name, ZK_FILL_TIE);
	for (size_t i = 0; i < value.n; i++)
		zk_buf_char(b, value.p[i] == ' ' ? ZK_FILL_TIE : value.p[i]);
	zk_buf_char(b, ']');
}

void zk_help_option_text(const struct zk_opt *row, const char *prefix, bool key,
                         struct zk_buf *b)
{
	struct zk_buf name;

	zk_buf_cstr(b, row->help);
	for (size_t i = 0; row->type == ZK_OPT_ENUM && row->values[i]; i++)
		zk_buf_printf(b, "%s%s", i ? ", " : ": ", row->values[i]);
	if (row->type == ZK_OPT_SECRET_REF)
		zk_buf_printf(b, " (or --%s-fd N)", row->name);
	if (row->flags & ZK_OPT_REQUIRED)
		zk_buf_lit(b, " (required)");
	if (row->def && row->type != ZK_OPT_BOOL)
		tag("default", zk_str_of(row->def), b);
	if (!key)
		return;
	zk_buf_init(&name, 200);
	zk_opt_conf_key(row, prefix, &name);
	if (name.n)
		tag("config", zk_buf_str(&name), b);
	zk_buf_done(&name);
}

static void option(const struct zk_help *h, const struct zk_opt *row, const char *prefix,
                   struct zk_buf *b)
{
	struct zk_buf head, text;
	unsigned at;

	zk_buf_init(&head, 200);
	zk_buf_init(&text, 4000);
	zk_buf_cstr(&head, row->key ? "  " : "      ");
	zk_help_option_head(row, &head);
	zk_help_option_text(row, prefix, h->full, &text);
	at = (unsigned)zk_utf8_len(zk_buf_str(&head));
	zk_buf_add(b, zk_buf_str(&head));
	if (at + 2 > TEXT_COL) {
		zk_buf_char(b, '\n');
		at = 0;
	}
	zk_fill(b, zk_buf_str(&text), at, TEXT_COL, h->width);
	if (h->full && row->text)
		zk_fill(b, zk_str_of(row->text), 0, TEXT_COL, h->width);
	zk_buf_done(&head);
	zk_buf_done(&text);
}

/* True when a row of the same heading stands before `row` in `rows`. */
static bool group_seen(const struct zk_opt *rows, const struct zk_opt *row)
{
	for (; rows != row; rows++) {
		if (rows->flags & ZK_OPT_HIDDEN)
			continue;
		if (rows->group == row->group ||
		    (rows->group && row->group && strcmp(rows->group, row->group) == 0))
			return true;
	}
	return false;
}

static bool same_group(const struct zk_opt *a, const struct zk_opt *b)
{
	return a->group == b->group ||
	       (a->group && b->group && strcmp(a->group, b->group) == 0);
}

static size_t count_rows(const struct zk_opt *rows)
{
	size_t n = 0;

	for (; rows->type != ZK_OPT_NONE; rows++)
		n += !(rows->flags & ZK_OPT_HIDDEN);
	return n;
}

/* The command's own options under their headings; returns how many were left out. */
static size_t own_options(const struct zk_help *h, const struct zk_rows *t,
                          struct zk_buf *b)
{
	bool all = h->full || count_rows(t->rows) <= SCREEN_ROWS;
	size_t left_out = 0;

	for (const struct zk_opt *first = t->rows; first->type != ZK_OPT_NONE; first++) {
		if ((first->flags & ZK_OPT_HIDDEN) || group_seen(t->rows, first))
			continue;
		if (!all && first->group) {
			for (const struct zk_opt *r = first; r->type != ZK_OPT_NONE; r++)
				left_out += same_group(r, first) &&
				            !(r->flags & ZK_OPT_HIDDEN);
			continue;
		}
		heading(h, first->group ? first->group : "Options", b);
		for (const struct zk_opt *r = first; r->type != ZK_OPT_NONE; r++)
			if (same_group(r, first) && !(r->flags & ZK_OPT_HIDDEN))
				option(h, r, t->prefix, b);
	}
	return left_out;
}

static void shared_options(const struct zk_help *h, const struct zk_rows *t, size_t i,
                           struct zk_buf *b)
{
	char title[64];

	(void)snprintf(title, sizeof(title), "%s options", t[i].group->title);
	heading(h, title, b);
	for (const struct zk_opt *r = t[i].rows; r->type != ZK_OPT_NONE; r++)
		if (!(r->flags & ZK_OPT_HIDDEN) && !zk_rows_hidden(t, i, r))
			option(h, r, t[i].prefix, b);
}

void zk_help_options(const struct zk_help *h, struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(NULL, t);

	zk_buf_lit(b, "Options that several commands share.\n");
	for (size_t i = 0; i < n; i++)
		if (t[i].group && t[i].group->bit != ZK_OPTS_SERVE)
			shared_options(h, t, i, b);
	zk_buf_lit(
	        b,
	        "\nEach command takes the common ones; its --help lists the others.\n");
}

void zk_help_usage(const struct zk_cmd *cmd, struct zk_buf *b)
{
	zk_buf_cstr(b, cmd->path);
	if (!cmd->run)
		zk_buf_lit(b, " COMMAND");
	if (cmd->args && cmd->args[0])
		zk_buf_printf(b, " %s", cmd->args);
	if (cmd->run)
		zk_buf_lit(b, " [options]");
}

const struct zk_cmd *zk_help_next_below(const struct zk_cmd *const *cmds,
                                        const char *path, size_t *pos)
{
	size_t skip = path[0] ? strlen(path) + 1 : 0;

	while (cmds[*pos]) {
		const struct zk_cmd *c = cmds[(*pos)++];

		if ((c->flags & ZK_CMD_HIDDEN) ||
		    (path[0] && !zk_cmd_is_below(c->path, path)))
			continue;
		if (!strchr(c->path + skip, ' '))
			return c;
	}
	return NULL;
}

static void verbs(const struct zk_help *h, const struct zk_cmd *cmd, struct zk_buf *b)
{
	const struct zk_cmd *c = NULL;
	size_t pos = 0;

	heading(h, "Commands", b);
	for (c = zk_help_next_below(h->cmds, cmd->path, &pos); c;
	     c = zk_help_next_below(h->cmds, cmd->path, &pos)) {
		const char *verb = c->path + strlen(cmd->path) + 1;

		zk_buf_printf(b, "  %s", verb);
		if (strlen(verb) + 4 > 16)
			zk_buf_char(b, '\n');
		zk_fill(b, zk_str_of(c->help),
		        strlen(verb) + 4 > 16 ? 0 : 2 + (unsigned)strlen(verb), 16,
		        h->width);
	}
}

/* Lines as they are, each indented. */
static void lines(struct zk_buf *b, const char *text)
{
	zk_str rest = zk_str_of(text);

	while (rest.n) {
		zk_str one;

		rest = zk_str_cut(rest, '\n', &one);
		if (one.n)
			zk_buf_printf(b, "  %.*s\n", ZK_STR_ARG(one));
		else
			zk_buf_char(b, '\n');
	}
}

static void options(const struct zk_help *h, const struct zk_cmd *cmd, struct zk_buf *b)
{
	struct zk_rows t[ZK_ROWS_MAX];
	size_t n = zk_cmd_rows(cmd, t), left_out = 0;

	for (size_t i = 0; i < n; i++) {
		if (!t[i].group)
			left_out = own_options(h, &t[i], b);
		else if (t[i].group->bit && h->full)
			shared_options(h, t, i, b);
	}
	if (left_out)
		zk_buf_printf(b, "%zu more options: zk %s --help\n", left_out, cmd->path);
	zk_buf_lit(b, "Common options: zk help options\n");
}

static void footer(const struct zk_help *h, const char *title, const char *text,
                   struct zk_buf *b)
{
	if (!text)
		return;
	zk_buf_printf(b, "%s%-7s%s", h->color ? "\033[1m" : "", title,
	              h->color ? "\033[0m" : "");
	zk_fill(b, zk_str_of(text), 7, 8, h->width);
}

static void environment(const struct zk_help *h, const struct zk_cmd *cmd,
                        struct zk_buf *b)
{
	struct zk_opt any = { .type = ZK_OPT_STR, .name = "x" };
	struct zk_buf text, name;
	char prefix[64];

	if (!cmd->opts || (cmd->flags & ZK_CMD_NO_CONFIG))
		return;
	zk_cmd_prefix(cmd, prefix);
	zk_buf_init(&text, 400);
	zk_buf_init(&name, 200);
	zk_opt_env_name(&any, prefix, &name);
	name.n--;
	zk_buf_printf(&text,
	              "every option with a config key also reads %.*s<OPTION>; "
	              "zk help environment",
	              ZK_STR_ARG(zk_buf_str(&name)));
	footer(h, "Env:", zk_buf_cstring(&text), b);
	zk_buf_done(&name);
	zk_buf_done(&text);
}

static void command_page(const struct zk_help *h, const struct zk_cmd *cmd,
                         struct zk_buf *b)
{
	zk_help_sentence(cmd->help, b);
	zk_buf_lit(b, "\n\nUsage:  zk ");
	zk_help_usage(cmd, b);
	zk_buf_char(b, '\n');
	if (cmd->examples && (h->full || strchr(cmd->examples, '\n') == NULL)) {
		heading(h, "Examples", b);
		lines(b, cmd->examples);
	}
	if (cmd->about && h->full) {
		zk_buf_char(b, '\n');
		zk_fill(b, zk_str_of(cmd->about), 0, 0, h->width);
	}
	if (cmd->args_help) {
		heading(h, "Arguments", b);
		lines(b, cmd->args_help);
	}
	if (!cmd->run) {
		verbs(h, cmd, b);
		zk_buf_printf(b, "\nMore: zk %s COMMAND --help\n", cmd->path);
	} else {
		options(h, cmd, b);
	}
	if (!h->full)
		return;
	if (cmd->output || cmd->exits || cmd->see)
		zk_buf_char(b, '\n');
	footer(h, "Output:", cmd->output, b);
	footer(h, "Exit:", cmd->exits, b);
	environment(h, cmd, b);
	footer(h, "See:", cmd->see, b);
}

static const char *const sections[] = { "Workflows", "Data", "Operate", "Set up" };

static bool is_compact(size_t section)
{
	return section >= 2;
}

static void title(const struct zk_help *h, const char *text, struct zk_buf *b)
{
	zk_buf_printf(b, "%s%-11s%s ", h->color ? "\033[1m" : "", text,
	              h->color ? "\033[0m" : "");
}

static void top_section(const struct zk_help *h, size_t section, struct zk_buf *b)
{
	const struct zk_cmd *c = NULL;
	struct zk_buf names;
	size_t pos = 0;
	bool first = true;

	zk_buf_init(&names, 2000);
	for (c = zk_help_next_below(h->cmds, "", &pos); c;
	     c = zk_help_next_below(h->cmds, "", &pos)) {
		if (!c->section || strcmp(c->section, sections[section]) != 0)
			continue;
		if (is_compact(section)) {
			zk_buf_printf(&names, "%s%s", names.n ? " " : "", c->path);
			continue;
		}
		title(h, first ? sections[section] : "", b);
		zk_buf_printf(b, "%-11s ", c->path);
		zk_fill(b, zk_str_of(c->help), 24, 24, h->width);
		first = false;
	}
	if (names.n) {
		title(h, sections[section], b);
		zk_fill(b, zk_buf_str(&names), 12, 12, h->width);
	}
	zk_buf_done(&names);
}

static void top_page(const struct zk_help *h, struct zk_buf *b)
{
	zk_buf_lit(b, "One command line for Zeal, Zerobus, triggers, Jetstream and "
	              "Procwire.\n\n"
	              "Usage:  zk COMMAND [options]     zk COMMAND --help     zk help "
	              "TOPIC\n\n");
	if (zk_cmd_find(h->cmds, ZK_STR("demo")))
		zk_buf_lit(b, "No account, no config, under 30 s:    zk demo\n\n");
	for (size_t i = 0; i < ZK_ARRAY_LEN(sections); i++)
		top_section(h, i, b);
	zk_buf_lit(b,
	           "\n  -p, --profile NAME    -o, --output FORMAT    --dry-run\n"
	           "  -q / -v / --trace     less / more / wire     -h, --help   -V, "
	           "--version\n\n"
	           "Topics: quickstart config environment secrets exit-codes formatting "
	           "cron ci\n"
	           "        node errors options\n"
	           "Manual: man zk                          Trouble: zk explain CODE\n");
}

void zk_help_page(const struct zk_help *h, const struct zk_cmd *cmd, struct zk_buf *b)
{
	if (cmd)
		command_page(h, cmd, b);
	else
		top_page(h, b);
}
