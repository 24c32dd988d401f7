/* `zk events emit`.
 * Layer: cmd. specs/zeal-zip.md §7.4, §7.8. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cmd/cmds.h"
#include "cmd/events_send.h"
#include "cmd/graph.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "zip/runtime_event.h"

#include "base/ban.h"

#define EVENT_MAX ((size_t)64 << 20)

struct emit_opts {
	struct events_opts events;
	const char *node, *graph, *metadata;
	struct zk_strlist data;
	struct events_send_opts send;
};

struct emit {
	struct zk_app *app;
	const struct emit_opts *o;
	struct events_send *send;
	struct zk_lines *lines;
	struct zk_buf event; /* as given */
	struct zk_buf body;  /* as sent */
	bool over;
};

/* 0, or why it cannot be sent. */
static int push(struct emit *e, zk_str json, uint64_t line, bool *room,
                struct zk_error *err)
{
	struct events_message m = { .name = ZK_STR("runtime.event"),
		                    .acked = e->o->events.transport !=
		                             ZK_ZIP_TRANSPORT_RAW,
		                    .line = line };

	zk_buf_clear(&e->body);
	if (zk_zip_runtime_event(json, zk_str_of(e->o->events.workflows.v[0]),
	                         zk_wall_us(), &e->body, err) < 0)
		return -(int)err->code;
	m.json = zk_buf_str(&e->body);
	*room = events_send_push(e->send, &m);
	return 0;
}

/* ---- a stream of events on stdin ------------------------------------------------------------ */

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct emit *e = ctx;
	struct zk_error err = { 0 };
	bool room = true;

	(void)file;
	if (line->too_long)
		ZK_IGNORE(zk_fail(&err, ZK_E_LIMIT, "the line is too long") < 0);
	else
		ZK_IGNORE(push(e, line->text, line->number, &room, &err) < 0);
	if (err.code) {
		events_send_reject(e->send, line->number, &err);
		if (e->o->send.fail_fast) {
			ZK_IGNORE(zk_wrap(&err, "line %llu",
			                  (unsigned long long)line->number) < 0);
			zk_lines_pause(e->lines);
			events_send_fail(e->send, &err);
		}
	}
	if (!room)
		zk_lines_pause(e->lines);
}

static void on_input_end(void *ctx, const struct zk_error *err)
{
	struct emit *e = ctx;

	e->over = true;
	if (err)
		events_send_fail(e->send, err);
	else
		events_send_end(e->send);
}

static void on_room(void *ctx)
{
	struct emit *e = ctx;

	if (e->lines && !e->over)
		zk_lines_resume(e->lines);
}

static void on_stop(void *ctx)
{
	struct emit *e = ctx;

	/* What was read already is sent. */
	if (e->lines && !e->over)
		zk_lines_finish(e->lines);
	else
		events_send_end(e->send);
}

/* ---- one event from the command line -------------------------------------------------------- */

/* --data K=V, K:=JSON, or a whole value. */
static int put_data(const struct emit_opts *o, struct zk_jwrite *w, struct zk_error *err)
{
	const char *first = o->data.n ? o->data.v[0] : NULL;

	if (!first)
		return 0;
	zk_jw_key(w, "data");
	if (o->data.n == 1 && (first[0] == '{' || first[0] == '[')) {
		zk_jw_raw(w, zk_str_of(first));
		return 0;
	}
	w->comma = true;
	return graph_values(o->data.v, o->data.n, w->b, err);
}

static int build(struct emit *e, const char *type, struct zk_error *err)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, &e->event);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, type);
	if (e->o->node) {
		zk_jw_key(&w, "nodeId");
		zk_jw_cstr(&w, e->o->node);
	}
	if (e->o->graph) {
		zk_jw_key(&w, "graphId");
		zk_jw_cstr(&w, e->o->graph);
	}
	if (e->o->metadata) {
		zk_jw_key(&w, "metadata");
		zk_jw_raw(&w, zk_str_of(e->o->metadata));
	}
	if (put_data(e->o, &w, err) < 0)
		return -(int)err->code;
	zk_buf_char(&e->event, '}');
	return 0;
}

static int emit_one(struct emit *e, const char *type, struct zk_error *err)
{
	bool room;

	if (build(e, type, err) < 0 || push(e, zk_buf_str(&e->event), 0, &room, err) < 0)
		return -(int)err->code;
	events_send_end(e->send);
	return 0;
}

static int emit_lines(struct emit *e, struct zk_error *err)
{
	struct zk_lines_conf conf = { .ctx = e,
		                      .on_line = on_line,
		                      .on_end = on_input_end };
	struct zk_loop *loop = zk_app_loop(e->app, err);

	return loop ? zk_lines_open(loop, &conf, &e->lines, err) : -(int)err->code;
}

static int emit_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	const struct emit_opts *o = opts;
	bool lines = argc == 0 || strcmp(argv[0], "-") == 0;
	struct emit e = { .app = app, .o = o };
	struct events_send_conf conf = { .opts = &o->events,
		                         .window = o->send.window,
		                         /* The window needs acknowledgements anyway. */
		                         .wait = o->send.wait || lines,
		                         .rated = true,
		                         .unit = "events",
		                         .ctx = &e,
		                         .on_room = on_room,
		                         .on_stop = on_stop };
	int r;

	zk_buf_init(&e.event, EVENT_MAX);
	zk_buf_init(&e.body, EVENT_MAX);
	r = events_send_new(app, &conf, &e.send, err);
	if (r == 0)
		r = lines ? emit_lines(&e, err) : emit_one(&e, argv[0], err);
	if (r == 0)
		r = events_send_run(e.send, err);
	zk_lines_close(e.lines);
	events_send_free(e.send);
	zk_buf_done(&e.event);
	zk_buf_done(&e.body);
	return r;
}

#define OFF(m) .off = offsetof(struct emit_opts, m)

static const struct zk_opt emit_rows[] = {
	EVENTS_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "node",
	  .meta = "N",
	  OFF(node),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "id of the node" },
	{ .type = ZK_OPT_STR,
	  .name = "graph",
	  .meta = "G",
	  OFF(graph),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "graph of the workflow; the server's own default is main" },
	{ .type = ZK_OPT_LIST,
	  .name = "data",
	  .meta = "K=V|JSON",
	  OFF(data),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "members of data: K=TEXT, K:=JSON, or one JSON value",
	  .text = "duration, outputConnections, error and the like are written where the "
	          "server looks for them." },
	{ .type = ZK_OPT_STR,
	  .name = "metadata",
	  .meta = "JSON",
	  OFF(metadata),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "metadata of the event" },
	EVENTS_SEND_ROWS(struct emit_opts, "events", "event"),
	ZEAL_ROWS,
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_events_emit = {
	.path = "events emit",
	.args = "[TYPE|-]",
	.max_args = 1,
	.help = "tell a workflow what its runtime does",
	.about = "One event from the command line, or one per line of stdin. Events that "
	         "were on their way when the socket was dropped are not sent again: they "
	         "may have arrived, and the exit status says so.",
	.examples =
	        "zk events emit -w wf_1 node.completed --node n1 --data duration:=17\n"
	        "zk events emit -w wf_1 node.failed --node n1 --data error='no disk' "
	        "--wait\n"
	        "zk trace export S | zk events emit -w wf_1 - --rate 100/s",
	.args_help = "TYPE    node.executing, node.completed, node.failed, "
	             "execution.started, ...",
	.output = "nothing",
	.exits = "0 sent · 3 some refused · 65 · 69 all refused · 75 · 76 outcome not "
	         "known",
	.see = "zk events tail · zk events visual · man zk-events",
	.groups = ZEAL_GROUPS,
	.opts = emit_rows,
	.opts_size = sizeof(struct emit_opts),
	.conf = "zeal",
	.run = emit_run,
};
