/* `zk trace list` and `zk trace show`.
 * Layer: cmd. specs/zeal-zip.md §6.7. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cmd/cmds.h"
#include "cmd/trace.h"
#include "codec/jscan.h"
#include "rt/out.h"
#include "zip/trace_detail.h"
#include "zip/trace_session.h"

#include "base/ban.h"

#define MAX_ANSWER ((size_t)256 << 20)
#define PAGE       100
#define SHOWN      20 /* rows without --limit and --all */

struct list_opts {
	struct trace_opts t;
	const char *workflow, *since;
	int status;
};

static const char *const statuses[] = { "any",    "running",   "completed",
	                                "failed", "cancelled", NULL };

static const struct zk_out_col list_cols[] = {
	{ .name = "sessionId", .flags = ZK_COL_WHOLE },
	{ .name = "workflowId" },
	{ .name = "workflowName" },
	{ .name = "status" },
	{ .name = "startTime" },
	{ .name = "endTime" },
	{ .name = "summary", .flags = ZK_COL_EXTRA },
};

static const struct zk_out_shape list_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "sessions",
	                                        .list = "executions",
	                                        .cols = list_cols,
	                                        .n_cols = ZK_ARRAY_LEN(list_cols),
	                                        .open = true };

/* "15m" or a time to the ISO form that the server takes. */
static int since_text(const char *text, char out[ZK_RFC3339_MAX], struct zk_error *err)
{
	int64_t ms, us;

	if (zk_parse_rfc3339(zk_str_of(text), &us, err) < 0) {
		if (zk_parse_duration(zk_str_of(text), &ms, err) < 0)
			return zk_fail(err, ZK_E_USAGE,
			               "--since takes a duration (15m) or a time "
			               "(2026-01-01T00:00:00Z), not '%s'",
			               text);
		us = zk_wall_us() - ms * 1000;
	}
	(void)zk_format_rfc3339(us, out);
	*err = (struct zk_error){ 0 };
	return 0;
}

/* The server filters by workflow after it cut the page [T 30]: it is done here. */
static bool is_wanted(const struct list_opts *o, zk_str session)
{
	struct zk_jval v;

	return !o->workflow || (zk_jscan_get(session, ZK_STR("workflowId"), &v) &&
	                        zk_jstr_eq(v.raw, zk_str_of(o->workflow)));
}

struct listing {
	struct zk_app *app;
	const struct list_opts *o;
	struct zk_out *out;
	uint64_t want, shown;
	bool more; /* there are some that are not shown */
};

/* One page; *n = how many sessions it had. */
static int list_page(struct listing *l, zk_str body, size_t *n, struct zk_error *err)
{
	struct zk_jval list, v;
	struct zk_jiter it;

	*n = 0;
	if (!zk_jscan_get(body, ZK_STR("executions"), &list) || list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the server's answer lists no executions");
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v)) {
		++*n;
		if (!is_wanted(l->o, v.raw))
			continue;
		if (l->shown == l->want) {
			l->more = true;
			return 0;
		}
		if (zk_out_row(l->out, v.raw, err) < 0)
			return -(int)err->code;
		l->shown++;
	}
	return 0;
}

static int list_all(struct listing *l, struct zk_zip *zip, const char *since,
                    struct zk_error *err)
{
	struct zk_zip_sessions q = {
		.status = l->o->status ? statuses[l->o->status] : NULL,
		.since = since,
		.limit = PAGE,
	};
	size_t n = PAGE;

	while (n == PAGE && !l->more && !zk_out_closed(l->out)) {
		struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

		zk_buf_init(&body, MAX_ANSWER);
		if (zk_zip_sessions_page(zip, &q, &body, err) < 0 ||
		    list_page(l, zk_buf_str(&body), &n, err) < 0)
			return -(int)err->code;
		q.offset += n;
	}
	return 0;
}

static int list_with(struct listing *l, const char *since, struct zk_error *err)
{
	struct zeal z = { 0 };
	int r = zeal_open(l->app, &l->o->t.zeal, /* patient */ false, &z, err);

	if (r == 0)
		r = zk_out_begin(l->out, &list_shape, err);
	if (r == 0)
		r = list_all(l, z.zip, since, err);
	if (r == 0 && l->more)
		zk_out_cut(l->out, l->shown, -1);
	if (r == 0)
		r = zk_out_end(l->out, err);
	zeal_close(&z);
	return r;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct list_opts *o = opts;
	struct listing l = { .app = app, .o = o, .want = SHOWN };
	char since[ZK_RFC3339_MAX];

	(void)argc;
	(void)argv;
	if (o->since && since_text(o->since, since, err) < 0)
		return -(int)err->code;
	l.out = zk_app_out(app, err);
	if (!l.out)
		return -(int)err->code;
	if (app->output.list_fields)
		return zk_out_list_fields(l.out, &list_shape, err);
	if (app->output.all)
		l.want = UINT64_MAX;
	else if (app->output.limit)
		l.want = app->output.limit;
	int r = list_with(&l, o->since ? since : NULL, err);

	return r == 0 && app->output.exit_status && !l.shown ? ZK_EXIT_NO : r;
}

static const struct zk_opt list_rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_STR,
	  .key = 'w',
	  .name = "workflow",
	  .meta = "WF",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct list_opts, workflow),
	  .complete = "workflow",
	  .help = "only sessions of this workflow" },
	{ .type = ZK_OPT_ENUM,
	  .name = "status",
	  .def = "any",
	  .values = statuses,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct list_opts, status),
	  .help = "only sessions in this state" },
	{ .type = ZK_OPT_STR,
	  .name = "since",
	  .meta = "T",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct list_opts, since),
	  .help = "only sessions that began since: 15m, or a time" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_list = {
	.path = "trace list",
	.help = "list trace sessions, newest first",
	.examples = "zk trace list -w wf_42 --since 1h\n"
	            "zk trace list --status failed --all -o ndjson",
	.output = "one row per session: sessionId, workflowId, status, startTime, ...",
	.exits = "0 · 1 none with --exit-status · 75 · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_OUTPUT,
	.opts = list_rows,
	.opts_size = sizeof(struct list_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = list_run,
};

/* ---- show ------------------------------------------------------------------------------------- */

static const struct zk_out_col show_cols[] = {
	{ .name = "timestamp", .flags = ZK_COL_WHOLE },
	{ .name = "nodeId" },
	{ .name = "portId", .flags = ZK_COL_EXTRA },
	{ .name = "eventType" },
	{ .name = "data.size", .title = "size", .flags = ZK_COL_RIGHT },
	{ .name = "duration", .flags = ZK_COL_RIGHT },
	{ .name = "data.preview", .title = "preview" },
	{ .name = "metadata", .flags = ZK_COL_EXTRA },
	{ .name = "id", .flags = ZK_COL_EXTRA },
};

static const struct zk_out_shape show_shape = { .kind = ZK_OUT_LIST,
	                                        .noun = "events",
	                                        .list = "events",
	                                        .cols = show_cols,
	                                        .n_cols = ZK_ARRAY_LEN(show_cols),
	                                        .open = true };

struct show {
	struct zk_out *out;
	struct zk_zip_detail d;
	bool begun; /* an answer came: rows may be written */
};

static int begin(struct show *w, struct zk_error *err)
{
	int r = w->begun ? 0 : zk_out_begin(w->out, &show_shape, err);

	w->begun = true;
	return r;
}

static int show_event(void *ctx, zk_str event, struct zk_error *err)
{
	struct show *w = ctx;

	return begin(w, err) < 0 ? -(int)err->code : zk_out_row(w->out, event, err);
}

/* Members of the head but the events, without braces. */
static void head_members(zk_str head, struct zk_buf *b)
{
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key;

	zk_jiter_init(&it, head);
	while (zk_jiter_member(&it, &key, &v)) {
		if (zk_jstr_eq(key, ZK_STR("events")))
			continue;
		zk_buf_cstr(b, b->n ? "," : "");
		zk_buf_add(b, key);
		zk_buf_char(b, ':');
		zk_buf_add(b, v.raw);
	}
}

/* The events as they come, then what else the session says of itself. */
static int show(struct show *w, struct zk_zip *zip, const char *session,
                struct zk_error *err)
{
	struct zk_buf members ZK_CLEANUP(zk_buf_done) = { 0 };

	if (zk_zip_session_read(zip, session, /* replay */ false, &w->d, err) < 0 ||
	    begin(w, err) < 0)
		return -(int)err->code;
	zk_buf_init(&members, w->d.head.n + 16);
	head_members(zk_buf_str(&w->d.head), &members);
	zk_out_members(w->out, zk_buf_str(&members));
	return zk_out_end(w->out, err);
}

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct trace_opts *o = opts;
	struct show w = { .out = zk_app_out(app, err) };
	struct zeal z = { 0 };

	(void)argc;
	if (!w.out)
		return -(int)err->code;
	if (app->output.list_fields)
		return zk_out_list_fields(w.out, &show_shape, err);
	zk_zip_detail_init(&w.d);
	w.d.ctx = &w;
	w.d.on_event = show_event;
	int r = zeal_open(app, &o->zeal, /* patient */ false, &z, err);

	if (r == 0)
		r = show(&w, z.zip, argv[0], err);
	zk_zip_detail_done(&w.d);
	zeal_close(&z);
	return r;
}

static const struct zk_opt show_rows[] = { ZEAL_ROWS, ZK_OPT_END };

const struct zk_cmd zk_cmd_trace_show = {
	.path = "trace show",
	.args = "SESSION",
	.min_args = 1,
	.max_args = 1,
	.help = "show the events of a session",
	.examples = "zk trace show fts_9f3c8e\n"
	            "zk trace show fts_9f3c8e -o json --jq .summary",
	.output = "one row per event; json: the whole session",
	.exits = "0 · 69 not there, or no longer readable · 75 · 77",
	.see = "man zk-trace",
	.groups = ZEAL_GROUPS | ZK_OPTS_OUTPUT,
	.opts = show_rows,
	.opts_size = sizeof(struct trace_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = show_run,
};
