/* `zk trace start`.
 * Layer: cmd. specs/zeal-zip.md §6.1, §6.8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/trace.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/trace_session.h"

#include "base/ban.h"

struct start_opts {
	struct zeal_opts zeal;
	const char *workflow, *version, *execution, *trigger, *environment, *node;
	struct zk_strlist tags;
	bool export_env, spool_only;
};

/* Without a server the spool opens the session later, under a name that is good until then. */
static int begin_local(struct zeal *z, zk_str body, struct zk_buf *session,
                       struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *id = trace_make_id(TRACE_LOCAL);

	if (trace_spool_op(z, NULL, id, TRACE_OP_START, body, err) < 0)
		return -(int)err->code;
	zk_buf_cstr(session, id);
	return 0;
}

static bool is_away(const struct zk_error *err)
{
	return zk_code_exit((int)err->code) == ZK_EXIT_TEMPFAIL;
}

static int begin(struct zeal *z, const struct start_opts *o, const char *execution,
                 struct zk_buf *session, struct zk_error *err)
{
	struct zk_zip_start s = { .workflow = o->workflow,
		                  .version = o->version,
		                  .execution = execution,
		                  .trigger = o->trigger,
		                  .environment = o->environment,
		                  .tags = o->tags.v,
		                  .n_tags = o->tags.n };
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&body, 1 << 20);
	zk_zip_start_body(&s, &body);
	if (zk_buf_check(&body, err) < 0)
		return -(int)err->code;
	if (o->spool_only)
		return begin_local(z, zk_buf_str(&body), session, err);
	if (zk_zip_session_open(z->zip, zk_buf_str(&body), session, err) == 0)
		return 0;
	if (!z->app->spool.enabled || !is_away(err))
		return -(int)err->code;
	zk_say("%s; the session goes to the spool", err->msg);
	*err = (struct zk_error){ 0 };
	return begin_local(z, zk_buf_str(&body), session, err);
}

/* 'text' for a shell. */
static void quote(struct zk_buf *b, const char *text)
{
	zk_buf_char(b, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			zk_buf_lit(b, "'\\''");
		else
			zk_buf_char(b, *p);
	}
	zk_buf_char(b, '\'');
}

static void put_export(struct zk_buf *b, const char *name, const char *value)
{
	zk_buf_printf(b, "export %s=", name);
	quote(b, value);
	zk_buf_char(b, '\n');
}

static int print_text(struct zk_out *out, zk_str text, struct zk_error *err)
{
	int r = zk_out_text(out, text, err);

	return r == 0 ? zk_out_flush(out, err) : r;
}

static int print(struct zk_app *app, const struct start_opts *o, const char *session,
                 const char *execution, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_row row ZK_CLEANUP(zk_row_done);
	struct zk_out *out = zk_app_out(app, err);

	zk_row_init(&row);
	if (!out)
		return -(int)err->code;
	zk_buf_init(&b, 65536);
	if (o->export_env) {
		put_export(&b, "ZK_TRACE_SESSION", session);
		put_export(&b, "ZK_TRACE_NODE", o->node ? o->node : "shell");
		return print_text(out, zk_buf_str(&b), err);
	}
	/* For $(...): the id alone, unless a form is asked for. */
	if (app->output.output == ZK_OUT_AUTO && !app->output.jq && !app->output.fields &&
	    !app->output.format) {
		zk_buf_printf(&b, "%s\n", session);
		return print_text(out, zk_buf_str(&b), err);
	}
	zk_row_cstr(&row, "session_id", session);
	zk_row_cstr(&row, "execution_id", execution);
	zk_row_cstr(&row, "workflow_id", o->workflow);
	if (zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return 0;
}

static void remember(struct zk_app *app, const struct start_opts *o, const char *session)
{
	struct zk_zip_sum sum;

	zk_zip_sum_init(&sum);
	sum.start_ms = zk_wall_us() / 1000;
	(void)snprintf(sum.workflow, sizeof(sum.workflow), "%s", o->workflow);
	trace_sum_save(app, session, &sum);
	zk_zip_sum_done(&sum);
}

static int start_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct start_opts *o = opts;
	struct zk_buf session ZK_CLEANUP(zk_buf_done) = { 0 };
	ZK_CLEANUP(zk_freep)
	char *made = o->execution ? NULL : trace_make_id("ex_");
	const char *execution = o->execution ? o->execution : made;
	struct zeal z = { 0 };

	(void)argc;
	(void)argv;
	zk_buf_init(&session, 4096);
	int r = zeal_open(app, &o->zeal, /* patient */ false, &z, err);

	if (r == 0 && app->common.dry_run) {
		zk_say("dry run: a session of workflow %s would begin at %s", o->workflow,
		       zk_zip_base(z.zip));
	} else if (r == 0) {
		zk_zip_about(z.zip, o->workflow);
		r = begin(&z, o, execution, &session, err);
		if (r == 0)
			remember(app, o, zk_buf_cstring(&session));
		if (r == 0)
			r = print(app, o, zk_buf_cstring(&session), execution, err);
	}
	zeal_close(&z);
	return r;
}

static const struct zk_opt start_rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_STR,
	  .key = 'w',
	  .name = "workflow",
	  .meta = "WF",
	  .flags = ZK_OPT_REQUIRED | ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, workflow),
	  .complete = "workflow",
	  .help = "workflow that is executed" },
	{ .type = ZK_OPT_STR,
	  .name = "workflow-version",
	  .meta = "ID",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, version),
	  .help = "version of the workflow" },
	{ .type = ZK_OPT_STR,
	  .name = "execution",
	  .meta = "ID",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, execution),
	  .help = "name of this execution; made up without it" },
	{ .type = ZK_OPT_STR,
	  .name = "trigger",
	  .meta = "T",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, trigger),
	  .help = "what started it, such as cron" },
	{ .type = ZK_OPT_STR,
	  .name = "env",
	  .meta = "NAME",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, environment),
	  .help = "environment, such as production" },
	{ .type = ZK_OPT_LIST,
	  .name = "tag",
	  .meta = "T",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, tags),
	  .help = "a tag; may be given several times" },
	{ .type = ZK_OPT_STR,
	  .name = "node",
	  .meta = "N",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, node),
	  .help = "node of later events without one" },
	{ .type = ZK_OPT_BOOL,
	  .name = "export-env",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, export_env),
	  .help = "print lines for eval instead of the id" },
	{ .type = ZK_OPT_BOOL,
	  .name = "spool-only",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct start_opts, spool_only),
	  .help = "send nothing now; zk spool flush opens the session" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_start = {
	.path = "trace start",
	.help = "open a trace session",
	.about =
	        "Prints the id of the session, or with --export-env lines that let later "
	        "commands find it. A server that is away does not keep a job from "
	        "starting: "
	        "the session goes to the spool then, with what follows.",
	.examples = "eval \"$(zk trace start -w $WF --trigger cron --export-env)\"\n"
	            "S=$(zk trace start -w wf_42 --execution job-42)",
	.output = "the session id, or export lines",
	.exits = "0 · 64 · 69 refused · 75 the server is away and --no-spool · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_OUTPUT | ZK_OPTS_SPOOL,
	.opts = start_rows,
	.opts_size = sizeof(struct start_opts),
	.conf = "zeal",
	.run = start_run,
};
