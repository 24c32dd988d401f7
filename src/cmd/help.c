/* `zk help [TOPIC|COMMAND]`.
 * Layer: cmd. */
#include "cli/help.h"

#include <unistd.h>

#include "cli/doc.h"
#include "cli/md.h"
#include "cli/parse.h"
#include "cli/suggest.h"
#include "cli/term.h"
#include "cmd/cmds.h"

#include "base/ban.h"

#define HELP_CAP (4u << 20)

/* The words of the arguments as one path. */
static void join(int argc, char **argv, struct zk_buf *b)
{
	for (int i = 0; i < argc; i++)
		zk_buf_printf(b, "%s%s", i ? " " : "", argv[i]);
}

static void topic(struct zk_app *app, const struct zk_help *h, const struct zk_topic *t,
                  struct zk_buf *b)
{
	struct zk_buf text;
	struct zk_md md;

	zk_buf_init(&text, HELP_CAP);
	zk_doc_topic(app->cmds, t, &text);
	zk_md_parse(&md, zk_buf_str(&text));
	zk_md_text(&md, h->width, h->color, b);
	zk_md_done(&md);
	zk_buf_done(&text);
}

/* What a topic and a command are both called is the topic: the command has its --help. */
static int page(struct zk_app *app, zk_str path, struct zk_buf *b, struct zk_error *err)
{
	struct zk_help h = { .cmds = app->cmds,
		             .full = true,
		             .width = zk_term_help_width(),
		             .color = zk_term_color(app->common.color, STDOUT_FILENO) };
	const struct zk_cmd *cmd = zk_cmd_find(app->cmds, path);
	const struct zk_topic *t = zk_topic_find(path);

	if (zk_str_eq(path, ZK_STR("options")))
		zk_help_options(&h, b);
	else if (t)
		topic(app, &h, t, b);
	else if (cmd || path.n == 0)
		zk_help_page(&h, cmd, b);
	else
		return zk_suggest_topic(app->cmds, path, err);
	return 0;
}

static int help_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct zk_buf path, b;
	int r;

	(void)opts;
	zk_buf_init(&path, 256);
	zk_buf_init(&b, HELP_CAP);
	join(argc, argv, &path);
	r = page(app, zk_buf_str(&path), &b, err);
	if (r == 0)
		r = zk_print_paged(zk_buf_str(&b), err);
	zk_buf_done(&path);
	zk_buf_done(&b);
	return r;
}

const struct zk_cmd zk_cmd_help = {
	.path = "help",
	.section = "Set up",
	.args = "[TOPIC|COMMAND]",
	.max_args = 3,
	.help = "explain a command or a topic",
	.about = "Topics: quickstart config environment secrets exit-codes formatting "
	         "cron ci node "
	         "errors metrics options.",
	.examples = "zk help config\nzk help triggers serve",
	.exits = "0 · 64 no such command or topic",
	.flags = ZK_CMD_NO_CONFIG | ZK_CMD_READER,
	.complete_arg = "topic",
	.run = help_run,
};
