/* `zk workflow create|list|show|export|watch`.
 * Layer: cmd. specs/zeal-zip.md §5.1, §5.6. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/graph.h"
#include "codec/jscan.h"
#include "zip/plan.h"

#include "base/ban.h"

#define BODY_MAX ((size_t)256 << 20)

const struct zk_cmd zk_cmd_workflow = {
	.path = "workflow",
	.section = "Workflows",
	.help = "create, apply, diff, export workflows",
	.about = "A workflow can be declared in a file and applied as often as one likes "
	         "(zk "
	         "workflow apply), or changed step by step (zk node, connection, group).",
	.see = "man zk-workflow",
};

struct wf_opts {
	struct zeal_opts zeal;
	const char *graph, *description, *name;
	int format;
	int64_t every_ms;
};

/* ---- create ---- */

static const struct zk_opt create_rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "description",
	  .meta = "D",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct wf_opts, description),
	  .help = "what it is for" },
	ZK_OPT_END,
};

struct seek {
	zk_str name;
	bool found;
};

static int on_seek(void *ctx, zk_str object, struct zk_error *err)
{
	struct seek *s = ctx;
	struct zk_jval v;

	(void)err;
	s->found |=
	        zk_jscan_get(object, ZK_STR("name"), &v) && zk_jstr_eq(v.raw, s->name);
	return 0;
}

static int create_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct wf_opts *o = opts;
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct seek seek = { .name = zk_str_of(argv[0]) };
	struct zeal z;
	int r;

	(void)argc;
	zk_buf_init(&answer, BODY_MAX);
	r = zeal_open(app, &o->zeal, /* patient */ false, &z, err);
	/* Names need not be unique; only for a fresh one an unknown outcome can be settled. */
	if (r == 0 && o->zeal.verify)
		r = zk_zip_workflows(z.zip, on_seek, &seek, err);
	if (r == 0 && app->common.dry_run) {
		zk_buf_lit(&answer, "{\"name\":");
		zk_buf_json_str(&answer, seek.name);
		zk_buf_lit(&answer, ",\"status\":\"would be made\"}");
	} else if (r == 0)
		r = zk_zip_workflow_create(z.zip, seek.name, zk_str_of(o->description),
		                           o->zeal.verify && !seek.found, &answer, err);
	if (r == 0)
		r = zeal_print(app, zk_buf_str(&answer), err);
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_workflow_create = {
	.path = "workflow create",
	.args = "NAME",
	.min_args = 1,
	.max_args = 1,
	.help = "make an empty workflow",
	.examples = "WF=$(zk workflow create nightly --jq .workflowId)",
	.output = "workflowId, graphId, version",
	.exits = "0 made · 75 · 76 look before you repeat · 77",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = create_rows,
	.opts_size = sizeof(struct wf_opts),
	.conf = "zeal",
	.run = create_run,
};

/* ---- list ---- */

static const struct zk_opt list_rows[] = {
	ZEAL_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "name",
	  .meta = "GLOB",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct wf_opts, name),
	  .help = "only those of such a name" },
	ZK_OPT_END,
};

static const struct zk_out_col list_cols[] = {
	{ .name = "workflowId", .flags = ZK_COL_WHOLE },
	{ .name = "name" },
	{ .name = "updatedAt" },
	{ .name = "description" },
};

struct listing {
	struct zk_out *out;
	zk_str glob;
	uint64_t left;
	bool cut;
};

static int on_listed(void *ctx, zk_str object, struct zk_error *err)
{
	struct listing *l = ctx;
	struct zk_jval v;
	zk_str name = ZK_STR_NULL;

	if (l->glob.n && (!zk_jscan_get(object, ZK_STR("name"), &v) ||
	                  !zk_jstr_plain(v.raw, &name) || !zk_str_glob(l->glob, name)))
		return 0;
	if (!l->left) {
		l->cut = true;
		return 1;
	}
	l->left--;
	if (zk_out_row(l->out, object, err) < 0)
		return -(int)err->code;
	return zk_out_closed(l->out) ? 1 : 0;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "workflows",
		                                   .list = "workflows",
		                                   .cols = list_cols,
		                                   .n_cols = ZK_ARRAY_LEN(list_cols),
		                                   .open = true };
	struct wf_opts *o = opts;
	struct listing l = { .out = zk_app_out(app, err), .glob = zk_str_of(o->name) };
	struct zeal z;
	int r;

	(void)argc;
	(void)argv;
	if (!l.out)
		return -(int)err->code;
	l.left = app->output.limit ? app->output.limit
	         : app->output.all ? UINT64_MAX
	                           : 100;
	r = zeal_open(app, &o->zeal, /* patient */ false, &z, err);
	if (r == 0)
		r = zk_out_begin(l.out, &shape, err);
	if (r == 0)
		r = zk_zip_workflows(z.zip, on_listed, &l, err);
	uint64_t shown = zk_out_rows(l.out);

	if (r >= 0 && l.cut)
		zk_out_cut(l.out, shown, -1);
	if (r >= 0)
		r = zk_out_end(l.out, err);
	zeal_close(&z);
	if (r < 0)
		return r;
	return app->output.exit_status && !shown ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_workflow_list = {
	.path = "workflow list",
	.help = "list the workflows of --as-user",
	.examples = "zk workflow list --name 'nightly*' --all",
	.output = "one workflow per row, the latest change first",
	.exits = "0 · 1 none with --exit-status · 75 · 77",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = list_rows,
	.opts_size = sizeof(struct wf_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = list_run,
};

/* ---- show ---- */

static const struct zk_opt show_rows[] = { ZEAL_ROWS, GRAPH_ROW(struct wf_opts, graph),
	                                   ZK_OPT_END };

static int show_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct wf_opts *o = opts;
	struct graph_cmd c;
	int r = graph_open(app, &o->zeal, argv[0], o->graph, &c, err);

	(void)argc;
	if (r == 0)
		r = zk_zip_graph_read(&c.g, err);
	if (r == 0 && c.g.partial) {
		zk_zip_json(c.g.state->root, &c.g.raw);
		r = zeal_print(app, zk_buf_str(&c.g.raw), err);
	} else if (r == 0) {
		r = zeal_print(app, zk_buf_str(&c.g.raw), err);
	}
	graph_close(&c);
	return r;
}

const struct zk_cmd zk_cmd_workflow_show = {
	.path = "workflow show",
	.args = "WF",
	.min_args = 1,
	.max_args = 1,
	.help = "show a graph of a workflow as the server has it",
	.examples = "zk workflow show wf_1 -o json",
	.output = "the state: nodes, connections, groups",
	.exits = "0 · 69 there is none · 75 · 77",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = show_rows,
	.opts_size = sizeof(struct wf_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = show_run,
};

/* ---- export ---- */

enum { AS_YAML, AS_JSON, AS_DOT, AS_MERMAID };
static const char *const formats[] = { "yaml", "json", "dot", "mermaid", NULL };

static const struct zk_opt export_rows[] = {
	ZEAL_ROWS,
	GRAPH_ROW(struct wf_opts, graph),
	{ .type = ZK_OPT_ENUM,
	  .key = 'o',
	  .name = "output",
	  .meta = "FORMAT",
	  .def = "yaml",
	  .values = formats,
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct wf_opts, format),
	  .help = "form of the result" },
	ZK_OPT_END,
};

static int put_document(struct graph_cmd *c, int format, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE, .open = true };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_out_conf conf = { .fd = STDOUT_FILENO,
		                    .format = format == AS_YAML ? ZK_OUT_YAML
		                                                : ZK_OUT_JSON };
	struct zk_out *out;
	int r;

	zk_buf_init(&b, BODY_MAX);
	if (zk_out_new(&conf, &out, err) < 0)
		return -(int)err->code;
	if (format == AS_DOT || format == AS_MERMAID) {
		if (format == AS_DOT)
			zk_zip_export_dot(&c->g, &b);
		else
			zk_zip_export_mermaid(&c->g, &b);
		r = zk_out_text(out, zk_buf_str(&b), err);
		if (r == 0)
			r = zk_out_flush(out, err);
	} else {
		zk_zip_export(&c->g, &b);
		r = zk_out_begin(out, &shape, err);
		if (r == 0)
			r = zk_out_row(out, zk_buf_str(&b), err);
		if (r == 0)
			r = zk_out_end(out, err);
	}
	zk_out_free(out);
	return r;
}

static int export_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	struct wf_opts *o = opts;
	struct graph_cmd c;
	int r = graph_open(app, &o->zeal, argv[0], o->graph, &c, err);

	(void)argc;
	if (r == 0)
		r = zk_zip_graph_read(&c.g, err);
	if (r == 0 && c.g.partial)
		r = zk_fail(err, ZK_E_SERVER_UNFIT,
		            "this server cannot show connections");
	if (r == 0)
		r = put_document(&c, o->format, err);
	graph_close(&c);
	return r;
}

const struct zk_cmd zk_cmd_workflow_export = {
	.path = "workflow export",
	.args = "WF",
	.min_args = 1,
	.max_args = 1,
	.help = "write a workflow in the form that apply reads, or as a picture",
	.about = "Always in the same order, so that it suits version control: nodes by "
	         "key, "
	         "those without one by id.",
	.examples = "zk workflow export wf_1 > flow.yaml\n"
	            "zk workflow export wf_1 -o dot | dot -Tsvg > flow.svg",
	.output = "a document: yaml, json, dot or mermaid",
	.exits = "0 · 69 there is none · 75 · 77",
	.see = "man zk-workflow",
	.groups = ZEAL_GROUPS,
	.opts = export_rows,
	.opts_size = sizeof(struct wf_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = export_run,
};
