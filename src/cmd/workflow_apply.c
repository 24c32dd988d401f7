/* `zk workflow apply|diff|lint`.
 * Layer: cmd. specs/zeal-zip.md §5.6, §5.7. */
#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/graph.h"
#include "cmd/lint.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/progress.h"
#include "zip/memory.h"
#include "zip/plan.h"
#include "zip/template.h"

#include "base/ban.h"

struct apply_opts {
	struct zeal_opts zeal;
	const char *file, *workflow, *report;
	struct zk_strlist templates;
	bool prune, positions;
};

#define APPLY_ROWS                                                                 \
	ZEAL_ROWS,                                                                 \
	        { .type = ZK_OPT_STR,                                              \
		  .key = 'f',                                                      \
		  .name = "file",                                                  \
		  .meta = "FILE",                                                  \
		  .flags = ZK_OPT_NO_CONF | ZK_OPT_REQUIRED,                       \
		  .complete = "file",                                              \
		  .off = offsetof(struct apply_opts, file),                        \
		  .help = "the declared workflow, or -" },                         \
	        { .type = ZK_OPT_STR,                                              \
		  .key = 'w',                                                      \
		  .name = "workflow",                                              \
		  .meta = "WF",                                                    \
		  .flags = ZK_OPT_NO_CONF,                                         \
		  .off = offsetof(struct apply_opts, workflow),                    \
		  .help = "its id; otherwise it is found by its name" },           \
	        { .type = ZK_OPT_BOOL,                                             \
		  .name = "prune",                                                 \
		  .flags = ZK_OPT_NO_CONF,                                         \
		  .off = offsetof(struct apply_opts, prune),                       \
		  .help = "delete also nodes that no apply made" },                \
	{                                                                          \
		.type = ZK_OPT_BOOL, .name = "positions", .flags = ZK_OPT_NO_CONF, \
		.off = offsetof(struct apply_opts, positions),                     \
		.help = "move nodes without a declared position to the grid"       \
	}

static const struct zk_opt apply_rows[] = { APPLY_ROWS, ZK_OPT_END };

static const struct zk_out_col cols[] = {
	{ .name = "op" },
	{ .name = "node" },
	{ .name = "connection" },
	{ .name = "group" },
	{ .name = "template" },
	{ .name = "position" },
	{ .name = "properties" },
	{ .name = "title" },
	{ .name = "nodes", .flags = ZK_COL_EXTRA },
	{ .name = "color", .flags = ZK_COL_EXTRA },
	{ .name = "description", .flags = ZK_COL_EXTRA },
};
static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
	                                   .list = "operations",
	                                   .cols = cols,
	                                   .n_cols = ZK_ARRAY_LEN(cols) };

/* ---- which workflow ---- */

struct seek {
	zk_str name;
	struct zk_buf *id;
	unsigned n;
};

static int on_seek(void *ctx, zk_str object, struct zk_error *err)
{
	struct seek *s = ctx;
	struct zk_jval v;

	(void)err;
	if (!zk_jscan_get(object, ZK_STR("name"), &v) || !zk_jstr_eq(v.raw, s->name))
		return 0;
	if (!zk_jscan_get(object, ZK_STR("workflowId"), &v) ||
	    !zk_jstr_plain(v.raw, &v.raw))
		return 0;
	s->n++;
	zk_buf_clear(s->id);
	zk_buf_add(s->id, v.raw);
	return 0;
}

/* By --workflow, by what an earlier apply made, by a name that is unique. `id` stays empty when
 * there is none. */
static int find_workflow(struct zeal *z, const struct apply_opts *o, zk_str name,
                         struct zk_buf *id, struct zk_error *err)
{
	struct seek s = { .name = name, .id = id };
	struct zk_zip_memory *m = zeal_memory(z);
	struct zk_error ignored = { 0 };
	struct zk_zip_graph g;
	bool found = false;
	int r;

	if (o->workflow) {
		zk_buf_cstr(id, o->workflow);
		return 0;
	}
	if (m)
		ZK_IGNORE(zk_zip_memory_get(
		        m,
		        &(struct zk_zip_memory_key){ zk_zip_origin(z->zip),
		                                     ZK_ZIP_MEM_WORKFLOW, name },
		        0, id, &found, &ignored));
	if (found) {
		/* It may have been deleted meanwhile. */
		zk_zip_graph_init(&g, z->zip, zk_buf_str(id), ZK_STR_NULL);
		r = zk_zip_graph_read(&g, err);
		zk_zip_graph_done(&g);
		if (r != -ZK_E_NOT_FOUND)
			return r;
		zk_buf_clear(id);
	}
	r = zk_zip_workflows(z->zip, on_seek, &s, err);
	if (r < 0)
		return r;
	if (s.n > 1)
		return zk_fail(
		        err, ZK_E_CONFLICT,
		        "%u workflows have the name '%.*s': say which with --workflow",
		        s.n, ZK_STR_ARG(name));
	return 0;
}

static int make_workflow(struct zeal *z, const struct zk_zip_workflow *w,
                         struct zk_buf *id, struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jval v;

	zk_buf_init(&answer, 1u << 20);
	if (zk_zip_workflow_create(z->zip, w->name, w->description, /* fresh */ true,
	                           &answer, err) < 0)
		return -(int)err->code;
	if (!zk_jscan_get(zk_buf_str(&answer), ZK_STR("workflowId"), &v) ||
	    !zk_jstr_plain(v.raw, &v.raw))
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no workflowId");
	zk_buf_add(id, v.raw);
	return 0;
}

static void remember(struct zeal *z, const struct zk_zip_workflow *w, zk_str id)
{
	struct zk_zip_memory *m = zeal_memory(z);
	struct zk_error ignored = { 0 };

	/* Without it the name is looked for. */
	if (m)
		ZK_IGNORE(zk_zip_memory_put(m, zk_zip_origin(z->zip), ZK_ZIP_MEM_WORKFLOW,
		                            w->name, id, &ignored));
}

/* ---- apply, diff ---- */

struct job {
	struct graph_cmd c;
	const struct apply_opts *o;
	bool only_show;
	size_t n;
};

static int put_plan(void *ctx, const struct zk_zip_plan *p, struct zk_error *err)
{
	struct job *j = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, (size_t)64 << 20);
	j->n = p->n;
	for (size_t i = 0; i < p->n; i++) {
		struct zk_jwrite w;

		zk_buf_clear(&b);
		zk_jwrite_init(&w, &b);
		zk_jw_obj(&w);
		zk_zip_op_row(&p->v[i], &w);
		zk_jw_obj_end(&w);
		if (zk_out_row(j->c.out, zk_buf_str(&b), err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int show_plan(struct job *j, const struct zk_zip_workflow *w,
                     const struct zk_zip_plan_conf *conf, bool exists,
                     struct zk_error *err)
{
	struct zk_zip_plan p;
	int r = exists ? zk_zip_graph_read(&j->c.g, err) : 0;

	if (r == 0 && j->c.g.partial)
		r = zk_fail(err, ZK_E_SERVER_UNFIT,
		            "this server cannot show connections");
	if (r < 0)
		return r;
	zk_zip_plan_make(w, &j->c.g, conf, &p);
	r = put_plan(j, &p, err);
	zk_zip_plan_done(&p);
	return r;
}

static int do_apply(struct job *j, const struct zk_zip_workflow *w,
                    const struct zk_zip_plan_conf *conf, zk_str id, struct zk_error *err)
{
	struct zk_zip_apply a = { .plan = *conf, .ctx = j, .on_plan = put_plan };

	if (zk_zip_apply(&a, w, &j->c.g, err) < 0)
		return -(int)err->code;
	remember(&j->c.z, w, id);
	if (j->c.z.app->common.verbose)
		zk_say("workflow %.*s: %zu operations", ZK_STR_ARG(id), a.planned);
	return 0;
}

static int run(struct zk_app *app, const struct apply_opts *o, bool only_show,
               const struct zk_zip_workflow *w, struct zk_error *err)
{
	struct job j = { .o = o, .only_show = only_show };
	struct zk_zip_plan_conf conf = { .prune = o->prune, .positions = o->positions };
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf member ZK_CLEANUP(zk_buf_done) = { 0 };
	int r;

	zk_buf_init(&id, 65536);
	zk_buf_init(&member, 65536);
	r = graph_open(app, &o->zeal, NULL, NULL, &j.c, err);
	if (r == 0)
		r = zk_out_begin(j.c.out, &shape, err);
	if (r == 0)
		r = find_workflow(&j.c.z, o, w->name, &id, err);
	bool exists = id.n;

	if (r == 0 && !exists && !only_show)
		r = make_workflow(&j.c.z, w, &id, err);
	j.c.g.workflow = zk_buf_str(&id);
	j.c.g.graph = w->graph;
	if (id.n) {
		zk_zip_about(j.c.z.zip, zk_buf_cstring(&id));
		zk_buf_lit(&member, "\"workflowId\":");
		zk_buf_json_str(&member, zk_buf_str(&id));
		if (j.c.out)
			zk_out_members(j.c.out, zk_buf_str(&member));
	}
	if (r == 0)
		r = only_show ? show_plan(&j, w, &conf, exists, err)
		              : do_apply(&j, w, &conf, zk_buf_str(&id), err);
	if (r == 0)
		r = zk_out_end(j.c.out, err);
	graph_close(&j.c);
	if (r < 0)
		return r;
	return only_show && (j.n || !exists) ? ZK_EXIT_NO : ZK_EXIT_OK;
}

static int read_and_run(struct zk_app *app, const struct apply_opts *o, bool only_show,
                        struct zk_error *err)
{
	struct zk_zip_workflow w;
	struct zk_zip_findings f = { 0 };
	int r = zk_zip_workflow_read(o->file, NULL, &w, &f, err);

	if (r == 0)
		r = lint_refuse(&f, "workflow", err);
	if (r == 0)
		r = run(app, o, only_show, &w, err);
	zk_zip_workflow_done(&w);
	zk_zip_findings_done(&f);
	return r;
}

static int apply_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	(void)argc;
	(void)argv;
	return read_and_run(app, opts, app->common.dry_run, err);
}

const struct zk_cmd zk_cmd_workflow_apply = {
	.path = "workflow apply",
	.help = "make a workflow on the server as it is declared in a file",
	.about = "Finds out what differs and changes only that; a second run changes "
	         "nothing. It "
	         "may be interrupted at any point and run again. Nodes that no apply "
	         "made are "
	         "left alone unless --prune is given.",
	.examples = "zk workflow apply -f flow.yaml\n"
	            "zk workflow apply -f flow.yaml --dry-run",
	.output = "one row per operation of the plan; -o json: workflowId too",
	.exits = "0 as declared · 1 --dry-run: changes are needed · 65 · 69 · 75 · 76 · "
	         "77",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = apply_rows,
	.opts_size = sizeof(struct apply_opts),
	.conf = "zeal",
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = apply_run,
};

static int diff_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	(void)argc;
	(void)argv;
	return read_and_run(app, opts, true, err);
}

const struct zk_cmd zk_cmd_workflow_diff = {
	.path = "workflow diff",
	.help = "show what apply would change",
	.examples = "zk workflow diff -f flow.yaml && echo nothing to do",
	.output = "one row per operation of the plan",
	.exits = "0 the same · 1 different · 65 · 69 · 75 · 77",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = apply_rows,
	.opts_size = sizeof(struct apply_opts),
	.conf = "zeal",
	.run = diff_run,
};

/* ---- lint ---- */

static const struct zk_opt lint_rows[] = {
	{ .type = ZK_OPT_LIST,
	  .name = "templates",
	  .meta = "FILE",
	  .flags = ZK_OPT_NO_CONF | ZK_OPT_F_COMMA,
	  .complete = "file",
	  .off = offsetof(struct apply_opts, templates),
	  .help = "check ports against these templates: files or folders; repeatable" },
	{ .type = ZK_OPT_STR,
	  .name = "report",
	  .meta = "KIND",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct apply_opts, report),
	  .help = "github, junit=FILE" },
	ZK_OPT_END,
};

static int lint_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct apply_opts *o = opts;
	struct zk_zip_templates t = { 0 };
	struct zk_zip_findings f = { 0 };
	int r = o->templates.n ? zk_zip_templates_read(o->templates.v, o->templates.n, &t,
	                                               &f, err)
	                       : 0;

	for (int i = 0; r == 0 && i < argc; i++) {
		struct zk_zip_workflow w;

		r = zk_zip_workflow_read(argv[i], o->templates.n ? &t : NULL, &w, &f,
		                         err);
		zk_zip_workflow_done(&w);
	}
	if (r == 0)
		r = lint_show(app, &f, "workflows", (size_t)argc, o->report, err);
	zk_zip_templates_done(&t);
	zk_zip_findings_done(&f);
	return r;
}

const struct zk_cmd zk_cmd_workflow_lint = {
	.path = "workflow lint",
	.args = "FILE...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "check declared workflows",
	.examples = "zk workflow lint flow.yaml --templates nodes/",
	.args_help = "FILE    YAML or JSON file, or \"-\"",
	.output = "one row per finding: file, line, column, level, rule, message",
	.exits = "0 no errors · 65 errors · 66 no such file",
	.see = "man zk-workflow",
	.groups = ZK_OPTS_OUTPUT,
	.opts = lint_rows,
	.opts_size = sizeof(struct apply_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = lint_run,
};
