/* `zk trace complete`.
 * Layer: cmd. specs/zeal-zip.md §6.5, §6.8. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "cmd/trace_emit.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/progress.h"
#include "zip/trace_session.h"

#include "base/ban.h"

enum status { STATUS_AUTO, STATUS_SUCCESS, STATUS_ERROR, STATUS_CANCELLED };

struct complete_opts {
	struct trace_opts t;
	const char *summary, *error, *node;
	int status; /* enum status */
};

static const char *const statuses[] = { "auto", "success", "error", "cancelled", NULL };

/* The five numbers must be there (§6.5). */
static int check_summary(zk_str text, struct zk_error *err)
{
	static const char *const names[] = { "totalNodes", "successfulNodes",
		                             "failedNodes", "totalDuration",
		                             "totalDataProcessed" };
	struct zk_jscan js;
	struct zk_jval v;

	if (zk_jscan(text, 64, NULL, 0, &js) < 0) {
		(void)zk_jscan_fail(&js, err);
		return zk_wrap(err, "--summary");
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		if (js.top.type != ZK_J_OBJECT ||
		    !zk_jscan_get(js.top.raw, zk_str_of(names[i]), &v) ||
		    v.type != ZK_J_NUMBER)
			return zk_fail(err, ZK_E_DATA, "--summary needs a number '%s'",
			               names[i]);
	return 0;
}

/* The server keeps no error of a session: it becomes an event (§6.5). */
static int push_error(struct zeal *z, const struct complete_opts *o, const char *session,
                      struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct trace_emit_result res;
	struct zk_jwrite w;

	zk_buf_init(&b, 1 << 20);
	trace_event_begin(&w, &b, trace_node(o->node, "shell"), NULL, "error");
	zk_jw_key(&w, "data");
	zk_jw_raw(&w, ZK_STR("{\"size\":0,\"type\":\"text/plain\"}"));
	trace_event_error(&w, o->error);
	zk_jw_obj_end(&w);
	struct trace_emit *e = trace_emit_new(z, session);
	int r = trace_emit_event(e, zk_buf_str(&b), err);

	if (r == 0)
		r = trace_emit_end(e, /* most_ms */ -1, &res, err);
	trace_emit_free(e);
	return r;
}

static const char *decide(const struct complete_opts *o, const struct zk_zip_sum *sum)
{
	if (o->status != STATUS_AUTO)
		return statuses[o->status];
	return o->error || zk_zip_sum_failed(sum) ? "error" : "success";
}

/* Where records of the session wait, the end has to wait behind them. */
static bool is_spooled(struct zk_app *app, const char *base, const char *session)
{
	struct zk_buf dest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_spool *sp ZK_CLEANUP(zk_spool_closep)
	= NULL;
	struct zk_spool_stat *v = NULL;
	struct zk_error ignored = { 0 };
	size_t n = 0;
	bool found = trace_is_local(session);

	zk_buf_init(&dest, ZK_SPOOL_TEXT_MAX);
	trace_dest(base, session, &dest);
	if (found || !app->spool.enabled ||
	    spool_open(app, app->spool.spool, &sp, &ignored) <= 0 ||
	    zk_spool_stats(sp, &v, &n, &ignored) < 0)
		return found;
	for (size_t i = 0; i < n; i++)
		found |= strcmp(v[i].kind, "trace") == 0 &&
		         zk_str_eq(zk_str_of(v[i].dest), zk_buf_str(&dest)) &&
		         v[i].records;
	zk_spool_stats_done(v, n);
	return found;
}

static int finish(struct zeal *z, const char *session, zk_str body, struct zk_error *err)
{
	const char *base = zk_zip_base(z->zip);

	if (is_spooled(z->app, base, session)) {
		if (trace_spool_op(z, NULL, session, TRACE_OP_COMPLETE, body, err) < 0)
			return -(int)err->code;
		zk_say("the end of the session is in the spool, behind what waits there");
		return 0;
	}
	if (zk_zip_session_complete(z->zip, session, body, err) == 0)
		return 0;
	if (!z->app->spool.enabled || zk_code_exit((int)err->code) != ZK_EXIT_TEMPFAIL)
		return -(int)err->code;
	struct zk_error cause = *err;

	if (trace_spool_op(z, NULL, session, TRACE_OP_COMPLETE, body, err) < 0)
		return -(int)err->code;
	*err = cause;
	(void)zk_wrap(err, "the end of the session is in the spool");
	return zk_err_hint(err, "send it later: zk spool flush");
}

static int complete(struct zeal *z, const struct complete_opts *o, const char *session,
                    struct zk_zip_sum *sum, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf made ZK_CLEANUP(zk_buf_done) = { 0 };
	bool is_auto = strcmp(o->summary, "auto") == 0;
	zk_str summary = zk_str_of(o->summary);

	if (!is_auto && check_summary(summary, err) < 0)
		return -(int)err->code;
	zk_buf_init(&made, 4096);
	zk_buf_init(&body, 1 << 20);
	if (is_auto) {
		zk_zip_sum_format(sum, zk_wall_us() / 1000, &made);
		summary = zk_buf_str(&made);
	}
	zk_zip_complete_body(decide(o, sum), summary, o->error, o->node, &body);
	if (zk_buf_check(&body, err) < 0)
		return -(int)err->code;
	if (z->app->common.dry_run) {
		zk_say("dry run: %.*s", ZK_STR_ARG(zk_buf_str(&body)));
		return 0;
	}
	if (o->error && push_error(z, o, session, err) < 0)
		return -(int)err->code;
	return finish(z, session, zk_buf_str(&body), err);
}

static int complete_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	const struct complete_opts *o = opts;
	struct zk_zip_sum sum;
	struct zeal z = { 0 };
	const char *session;
	int r = trace_session(&o->t, &session, err);

	(void)argc;
	(void)argv;
	if (r <= 0)
		return r;
	ZK_CLEANUP(zk_freep)
	char *path = trace_sum_path(app, session, /* make */ false, err);

	if (!path)
		return -(int)err->code;
	zk_zip_sum_init(&sum);
	zk_zip_sum_load(&sum, path);
	r = zeal_open(app, &o->t.zeal, /* patient */ false, &z, err);
	if (r == 0)
		zk_zip_about(z.zip, sum.workflow);
	if (r == 0)
		r = complete(&z, o, session, &sum, err);
	if (r == 0 && !app->common.dry_run)
		(void)unlink(path); /* its work is done; it may not be there */
	zeal_close(&z);
	zk_zip_sum_done(&sum);
	return r;
}

static const struct zk_opt complete_rows[] = {
	ZEAL_ROWS,
	TRACE_SESSION_ROW,
	{ .type = ZK_OPT_ENUM,
	  .name = "status",
	  .def = "auto",
	  .values = statuses,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct complete_opts, status),
	  .help = "how it ended",
	  .text = "auto is error when a node failed or --error is given." },
	{ .type = ZK_OPT_STR,
	  .name = "summary",
	  .meta = "auto|JSON",
	  .def = "auto",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct complete_opts, summary),
	  .help = "the sums; auto computes them from what was pushed" },
	{ .type = ZK_OPT_STR,
	  .name = "error",
	  .meta = "MSG",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct complete_opts, error),
	  .help = "why it failed; becomes an event too" },
	{ .type = ZK_OPT_STR,
	  .name = "node",
	  .meta = "N",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct complete_opts, node),
	  .help = "node of the error" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_complete = {
	.path = "trace complete",
	.help = "close a trace session",
	.examples = "zk trace complete --status auto\n"
	            "zk trace complete -s $S --status error --error 'disk full'",
	.output = "nothing",
	.exits = "0 · 64 no session · 65 · 75 it is in the spool · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_SPOOL,
	.opts = complete_rows,
	.opts_size = sizeof(struct complete_opts),
	.conf = "zeal",
	.run = complete_run,
};
