/* `zk config validate`: the loader of the commands, as a check.
 * Layer: cmd. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/check.h"
#include "cli/cireport.h"
#include "cli/parse.h"
#include "cli/state.h"
#include "cli/suggest.h"
#include "cmd/cmds.h"

#include "base/ban.h"

struct validate_opts {
	const char *target, *report;
	bool allow_unset;
};

#define OFF(m) .off = offsetof(struct validate_opts, m)

static const struct zk_opt validate_rows[] = {
	{ .type = ZK_OPT_STR,
	  .name = "for",
	  .meta = "COMMAND",
	  OFF(target),
	  .flags = ZK_OPT_NO_CONF,
	  .complete = "command",
	  .help = "check what this command, or family, would use",
	  .text = "Values of other profiles are then checked for their type only." },
	{ .type = ZK_OPT_BOOL,
	  .name = "allow-unset-env",
	  OFF(allow_unset),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "a ${NAME} that is not set is no error",
	  .text = "For checks in a place that has not the variables of the place of "
	          "use." },
	{ .type = ZK_OPT_STR,
	  .name = "report",
	  .meta = "KIND",
	  OFF(report),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "github, or junit=FILE" },
	ZK_OPT_END,
};

/* The commands that `--for` names: one, or all of a family. An option that must be given and is
 * not in the configuration is a matter of the command line. */
static int check_for(struct zk_app *app, const struct validate_opts *o,
                     struct zk_error *err)
{
	zk_str path = zk_str_of(o->target);
	bool found = false;

	for (const struct zk_cmd *const *c = app->cmds; *c; c++) {
		int r;

		if (!(*c)->run || ((*c)->flags & ZK_CMD_HIDDEN) ||
		    (!zk_str_eq(zk_str_of((*c)->path), path) &&
		     !zk_cmd_is_below((*c)->path, o->target)))
			continue;
		found = true;
		r = zk_cli_check(app, *c, o->allow_unset, err);
		if (r == -ZK_E_CONFIG_ENV && o->allow_unset)
			r = 0;
		if (r < 0 && r != -ZK_E_USAGE)
			return r;
	}
	return found ? 0 : zk_suggest_command(app->cmds, "", path, err);
}

/* Gives each file its result; an error that points into none of them is one of its own. */
static void report_files(struct zk_cireport *rep, const struct zk_places *p,
                         const struct zk_error *err)
{
	const char *paths[] = { p->system_file, p->user_file, p->project_file };
	bool placed = err->code == ZK_E_NONE;

	for (size_t i = 0; i < ZK_ARRAY_LEN(paths); i++) {
		char *shown;
		bool here;

		if (!paths[i] || access(paths[i], F_OK) < 0)
			continue;
		shown = zk_path_shown(paths[i]);
		here = !placed && zk_str_starts(zk_str_of(err->where), zk_str_of(shown));
		zk_cireport_add(rep, shown, paths[i], here ? err : NULL);
		placed |= here;
		free(shown);
	}
	if (!placed)
		zk_cireport_add(rep, err->where[0] ? err->where : "configuration", NULL,
		                err);
}

static int write_report(struct zk_app *app, const char *kind,
                        const struct zk_error *found, struct zk_error *err)
{
	struct zk_cireport *rep = NULL;
	struct zk_places places = { 0 };
	int r = zk_cireport_new(kind, "zk config validate", &rep, err);

	if (r < 0)
		return r;
	if (zk_places_find(app, &places, err) < 0)
		places = (struct zk_places){ 0 };
	report_files(rep, &places, found);
	r = zk_cireport_end(rep, err);
	zk_places_done(&places);
	zk_cireport_free(rep);
	return r;
}

static int validate_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	const struct validate_opts *o = opts;
	struct zk_error found = { 0 }, ignored;
	int r = o->target ? check_for(app, o, &found)
	                  : zk_cli_check(app, NULL, o->allow_unset, &found);

	(void)argc;
	(void)argv;
	if (r == -ZK_E_NO_COMMAND) {
		*err = found;
		return r;
	}
	if (o->report &&
	    write_report(app, o->report, &found, r < 0 ? &ignored : err) < 0 && r == 0)
		return -(int)err->code;
	if (r < 0) {
		*err = found;
		return r;
	}
	zk_info("the configuration is valid", "for=%s",
	        o->target ? o->target : "all commands");
	return 0;
}

const struct zk_cmd zk_cmd_config_validate = {
	.path = "config validate",
	.help = "check files, variables and options of the configuration",
	.about = "Uses the loader of the commands. The first thing that is wrong is "
	         "shown with file, "
	         "line and column; when nothing is wrong nothing is printed.",
	.examples = "zk config validate --for triggers\n"
	            "zk config validate --allow-unset-env --report github",
	.exits = "0 valid · 78 invalid · 64 no such command",
	.see = "zk help config",
	.opts = validate_rows,
	.opts_size = sizeof(struct validate_opts),
	.flags = ZK_CMD_NO_CONFIG,
	.run = validate_run,
};
