/* `zk workflow watch`: what changes in a graph, by comparing its states.
 * Layer: cmd. specs/zeal-zip.md §7.5 [T 19]. */
#include <string.h>

#include "cmd/cmds.h"
#include "cmd/graph.h"
#include "cmd/pause.h"
#include "base/clock.h"

#include "base/ban.h"

struct watch_opts {
	struct zeal_opts zeal;
	const char *graph;
	int64_t every_ms;
};

static const struct zk_opt rows[] = {
	ZEAL_ROWS,
	GRAPH_ROW(struct watch_opts, graph),
	{ .type = ZK_OPT_DURATION,
	  .name = "every",
	  .meta = "D",
	  .def = "2s",
	  .min = 50,
	  .max = 86400000,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct watch_opts, every_ms),
	  .help = "how often to look" },
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "at" },
	{ .name = "type" },
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "data" },
};
static const struct zk_out_shape shape = { .kind = ZK_OUT_STREAM,
	                                   .cols = cols,
	                                   .n_cols = ZK_ARRAY_LEN(cols) };

static const struct zk_node *find(const struct zk_node *list, zk_str id)
{
	while (list && !zk_str_eq(zk_zip_text(list, "id"), id))
		list = list->next;
	return list;
}

static int put(struct graph_cmd *c, const char *what, const char *verb,
               const struct zk_node *n, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, (size_t)64 << 20);
	zk_row_time(&c->row, "at", zk_wall_us());
	zk_buf_printf(&b, "%s.%s", what, verb);
	zk_row_str(&c->row, "type", zk_buf_str(&b));
	zk_row_str(&c->row, "id", zk_zip_text(n, "id"));
	zk_buf_clear(&b);
	zk_zip_json(n, &b);
	zk_row_raw(&c->row, "data", zk_buf_str(&b));
	return zk_out_row(c->out, zk_row_end(&c->row), err);
}

static int compare(struct graph_cmd *c, const char *what, const struct zk_node *was,
                   const struct zk_node *is, struct zk_error *err)
{
	for (const struct zk_node *n = is; n; n = n->next) {
		const struct zk_node *old = find(was, zk_zip_text(n, "id"));

		if ((!old && put(c, what, "added", n, err) < 0) ||
		    (old && !zk_zip_same(old, n) && put(c, what, "updated", n, err) < 0))
			return -(int)err->code;
	}
	for (const struct zk_node *n = was; n; n = n->next)
		if (!find(is, zk_zip_text(n, "id")) &&
		    put(c, what, "deleted", n, err) < 0)
			return -(int)err->code;
	return 0;
}

static int look(struct graph_cmd *c, struct zk_error *err)
{
	struct zk_zip_graph was = c->g;
	int r;

	c->g.state = NULL; /* kept in `was` */
	r = zk_zip_graph_read(&c->g, err);
	if (r == 0 && was.state) {
		r = compare(c, "node", zk_zip_graph_nodes(&was),
		            zk_zip_graph_nodes(&c->g), err);
		if (r == 0)
			r = compare(c, "connection", zk_zip_graph_conns(&was),
			            zk_zip_graph_conns(&c->g), err);
		if (r == 0)
			r = compare(c, "group", zk_zip_graph_groups(&was),
			            zk_zip_graph_groups(&c->g), err);
	}
	zk_conf_file_free(was.state);
	return r;
}

static int watch_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	struct watch_opts *o = opts;
	struct graph_cmd c;
	struct pause p = { 0 };
	int r = graph_open(app, &o->zeal, argv[0], o->graph, &c, err);

	(void)argc;
	if (r == 0)
		r = zk_out_begin(c.out, &shape, err);
	if (r == 0)
		r = pause_open(app, &p, err);
	while (r == 0 && !p.stop && !zk_out_closed(c.out)) {
		r = look(&c, err);
		if (r == 0)
			r = zk_out_flush(c.out, err);
		if (r == 0)
			pause_for(&p, o->every_ms);
	}
	if (p.timer)
		pause_close(&p);
	graph_close(&c);
	return r;
}

const struct zk_cmd zk_cmd_workflow_watch = {
	.path = "workflow watch",
	.args = "WF",
	.min_args = 1,
	.max_args = 1,
	.help = "print what changes in a workflow",
	.about = "Compares states, because changes of a graph do not reach the socket of "
	         "many "
	         "servers.",
	.examples = "zk workflow watch wf_1 --jq .type",
	.output = "a row per change: at, type (node.added, connection.deleted, …), id, "
	          "data",
	.exits = "0 stopped · 69 there is none · 75 · 77",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct watch_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = watch_run,
};
