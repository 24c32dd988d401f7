/* Pages of the manual.
 * Layer: cli. */
#include <stdio.h>
#include <string.h>

#include "cli/doc.h"
#include "cli/emit.h"
#include "cli/help.h"
#include "cli/md.h"
#include "cli/parse.h"

#include "base/ban.h"

#define PAGE_CAP (4u << 20)

/* Generated pages are compared with the committed ones: their date must not be that of the build.
 * Changed with the version. */
#define MAN_DATE "2025-11-21"

static void title(const char *name, char section, struct zk_buf *b)
{
	zk_buf_lit(b, "'\\\" t\n.\\\" Made by zk emit man; do not edit.\n.TH ");
	for (; *name; name++) {
		if (*name == '-')
			zk_buf_char(b, '\\');
		zk_buf_char(b, *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name);
	}
	zk_buf_printf(b, " %c " MAN_DATE " \"zk " ZK_VERSION "\" \"zk manual\"\n",
	              section);
}

static void render(zk_str text, struct zk_buf *b)
{
	struct zk_md md;

	zk_md_parse(&md, text);
	zk_md_roff(&md, b);
	zk_md_done(&md);
}

static void topic_page(const struct zk_cmd *const *cmds, const struct zk_topic *t,
                       struct zk_buf *b)
{
	const char *dot = strrchr(t->page, '.');
	struct zk_buf text;
	char name[64];

	(void)snprintf(name, sizeof(name), "%.*s", (int)(dot - t->page), t->page);
	title(name, dot[1], b);
	zk_buf_init(&text, PAGE_CAP);
	zk_buf_printf(&text, "## Name\n\n%s - ", name);
	zk_md_escape(zk_str_of(t->help), &text);
	zk_buf_lit(&text, "\n\n## Description\n\n");
	zk_doc_topic(cmds, t, &text);
	zk_buf_lit(&text, "\n## See also\n\n**zk**(1)\n");
	render(zk_buf_str(&text), b);
	zk_buf_done(&text);
}

static void command_page(const struct zk_cmd *const *cmds, const struct zk_cmd *cmd,
                         struct zk_buf *b)
{
	struct zk_buf text;
	char name[64] = "zk";

	if (cmd)
		(void)snprintf(name, sizeof(name), "zk-%s", cmd->path);
	title(name, '1', b);
	zk_buf_init(&text, PAGE_CAP);
	zk_doc_command(cmds, cmd, &text);
	render(zk_buf_str(&text), b);
	zk_buf_done(&text);
}

/* "zk-triggers-serve" of the path "triggers serve". */
static void page_name(const char *path, char out[96])
{
	(void)snprintf(out, 96, "zk-%s", path);
	for (char *p = out; *p; p++)
		if (*p == ' ')
			*p = '-';
}

static const struct zk_cmd *find(const struct zk_cmd *const *cmds, zk_str name)
{
	for (; *cmds; cmds++) {
		char own[96];

		page_name((*cmds)->path, own);
		if (!((*cmds)->flags & ZK_CMD_HIDDEN) && zk_str_eq(zk_str_of(own), name))
			return *cmds;
	}
	return NULL;
}

int zk_emit_man(const struct zk_cmd *const *cmds, zk_str page, struct zk_buf *b,
                struct zk_error *err)
{
	const struct zk_cmd *cmd;
	zk_str name = page;

	if (page.n == 0 || zk_str_eq(page, ZK_STR("zk.1"))) {
		command_page(cmds, NULL, b);
		return 0;
	}
	for (const struct zk_topic *t = zk_topics; t->name; t++) {
		if (!t->page || !zk_str_eq(zk_str_of(t->page), page))
			continue;
		topic_page(cmds, t, b);
		return 0;
	}
	if (zk_str_ends(page, ZK_STR(".1")))
		name.n -= 2;
	cmd = find(cmds, name);
	if (!cmd)
		return zk_fail(err, ZK_E_USAGE, "there is no page '%.*s'",
		               (int)ZK_MIN(page.n, (size_t)60), page.p);
	if (strchr(cmd->path, ' '))
		zk_buf_printf(b, ".so man1/zk-%.*s.1\n", (int)strcspn(cmd->path, " "),
		              cmd->path);
	else
		command_page(cmds, cmd, b);
	return 0;
}

void zk_emit_list(const struct zk_cmd *const *cmds, struct zk_buf *b)
{
	zk_buf_lit(b, "README.md:commands\tmd commands\n"
	              "README.md:exits\tmd exits\n");
	zk_buf_lit(b, "completions/_zk\tzsh\ncompletions/zk.bash\tbash\n"
	              "completions/zk.fish\tfish\nman/zk.1\tman zk.1\n");
	for (const struct zk_cmd *const *c = cmds; *c; c++) {
		char name[96];

		page_name((*c)->path, name);
		if (!((*c)->flags & ZK_CMD_HIDDEN))
			zk_buf_printf(b, "man/%s.1\tman %s.1\n", name, name);
	}
	for (const struct zk_topic *t = zk_topics; t->name; t++)
		if (t->page)
			zk_buf_printf(b, "man/%s\tman %s\n", t->page, t->page);
}
