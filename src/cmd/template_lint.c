/* `zk template lint`: the server's verdicts before anything is sent.
 * Layer: cmd. specs/zeal-zip.md §4.5. */
#include <string.h>

#include "base/map.h"
#include "cmd/cmds.h"
#include "cmd/lint.h"
#include "cmd/template.h"

#include "base/ban.h"

struct lint_opts {
	struct zeal_opts zeal;
	bool online;
	const char *report;
};

static const struct zk_opt rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_BOOL,
	  .name = "online",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct lint_opts, online),
	  .help = "ask the server which categories it knows" },
	{ .type = ZK_OPT_STR,
	  .name = "report",
	  .meta = "KIND",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct lint_opts, report),
	  .help = "github, junit=FILE" },
	ZK_OPT_END,
};

static int know_categories(struct zk_app *app, const struct zeal_opts *o,
                           struct zk_map *ret, struct zk_error *err)
{
	struct zeal z;
	int r = zeal_open(app, o, /* patient */ false, &z, err);

	if (r == 0)
		r = template_categories(&z, ret, err);
	zeal_close(&z);
	return r;
}

static int lint_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct lint_opts *o = opts;
	struct zk_zip_templates t = { 0 };
	struct zk_zip_findings f = { 0 };
	struct zk_map known;
	int r = 0;

	zk_map_init(&known);
	if (o->online)
		r = know_categories(app, &o->zeal, &known, err);
	if (r == 0)
		r = zk_zip_templates_read(argv, (size_t)argc, &t, &f, err);
	if (r == 0) {
		zk_zip_templates_lint(&t, o->online ? &known : NULL, &f);
		r = lint_show(app, &f, "templates", t.n, o->report, err);
	}
	zk_zip_templates_done(&t);
	zk_zip_findings_done(&f);
	zk_map_done(&known);
	return r;
}

const struct zk_cmd zk_cmd_template_lint = {
	.path = "template lint",
	.args = "FILE...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "check node templates as the server would, and more",
	.about = "Reads templates, lists of them, request objects, NDJSON and YAML of "
	         "several "
	         "documents, from files, folders and stdin. Errors are what the server "
	         "rejects "
	         "and what cannot work; warnings are what it would silently change.",
	.examples = "zk template lint nodes/\n"
	            "zk template lint nodes/ --online --report github\n"
	            "./gen.sh | zk template lint -",
	.args_help = "FILE    JSON, NDJSON or YAML file, folder, or \"-\"",
	.output = "one row per finding: file, line, column, level, rule, item, message",
	.exits = "0 no errors · 65 errors · 66 no such file",
	.see = "man zk-template · zk schema template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct lint_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = lint_run,
};
