/* `zk group`: groups of nodes of a workflow.
 * Layer: cmd. specs/zeal-zip.md §5.4. */
#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/graph.h"
#include "codec/jwrite.h"

#include "base/ban.h"

struct group_opts {
	struct graph_opts g;
	const char *color, *description, *title;
	struct zk_strlist nodes;
};

#define GROUP_ROWS                                                      \
	GRAPH_ROWS,                                                     \
	        { .type = ZK_OPT_STR,                                   \
		  .name = "color",                                      \
		  .meta = "#RRGGBB",                                    \
		  .flags = ZK_OPT_NO_CONF,                              \
		  .off = offsetof(struct group_opts, color),            \
		  .help = "its colour" },                               \
	{                                                               \
		.type = ZK_OPT_STR, .name = "description", .meta = "D", \
		.flags = ZK_OPT_NO_CONF,                                \
		.off = offsetof(struct group_opts, description),        \
		.help = "what it is for"                                \
	}

static const struct zk_opt plain_rows[] = { GRAPH_ROWS, ZK_OPT_END };
static const struct zk_opt add_rows[] = { GROUP_ROWS, ZK_OPT_END };
static const struct zk_opt update_rows[] = {
	GROUP_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "title",
	  .meta = "T",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct group_opts, title),
	  .help = "its new title" },
	{ .type = ZK_OPT_LIST,
	  .name = "nodes",
	  .meta = "NODE,...",
	  .flags = ZK_OPT_NO_CONF | ZK_OPT_F_COMMA,
	  .off = offsetof(struct group_opts, nodes),
	  .help = "its new nodes, instead of all it had" },
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "title" },
	{ .name = "color" },
	{ .name = "nodes" },
	{ .name = "status" },
};
static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
	                                   .noun = "groups",
	                                   .list = "groups",
	                                   .cols = cols,
	                                   .n_cols = ZK_ARRAY_LEN(cols) };

const struct zk_cmd zk_cmd_group = {
	.path = "group",
	.section = "Workflows",
	.help = "add, update, delete, list groups of nodes",
	.see = "man zk-workflow",
};

static int check_nodes(const struct graph_cmd *c, char *const *ids, size_t n,
                       struct zk_error *err)
{
	for (size_t i = 0; c->g.verify && i < n; i++)
		if (!zk_zip_graph_node(&c->g, zk_str_of(ids[i])))
			return zk_fail(err, ZK_E_NOT_FOUND, "there is no node '%s'",
			               ids[i]);
	return 0;
}

static void put_text(struct zk_jwrite *w, const char *name, zk_str text)
{
	if (!text.n)
		return;
	zk_jw_key(w, name);
	zk_jw_str(w, text);
}

static void put_list(struct zk_jwrite *w, char *const *ids, size_t n)
{
	zk_jw_key(w, "nodeIds");
	zk_jw_arr(w);
	for (size_t i = 0; i < n; i++)
		zk_jw_cstr(w, ids[i]);
	zk_jw_arr_end(w);
}

static int add(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	const struct group_opts *o = c->opts;
	struct zk_buf members ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };
	size_t n = (size_t)argc - 1;
	struct zk_jwrite w;

	zk_buf_init(&members, 1u << 20);
	zk_buf_init(&id, 65536);
	zk_jwrite_init(&w, &members);
	put_text(&w, "title", zk_str_of(argv[0]));
	put_list(&w, argv + 1, n);
	put_text(&w, "color", zk_str_of(o->color));
	put_text(&w, "description", zk_str_of(o->description));
	if (check_nodes(c, argv + 1, n, err) < 0 ||
	    (!c->dry_run && zk_zip_add_group(&c->g, zk_buf_str(&members), &id, err) < 0))
		return -(int)err->code;
	return graph_status(c, zk_buf_str(&id), zk_str_of(argv[0]), "added", err);
}

GRAPH_RUN(add_run, .shape = &shape, .work = add)

const struct zk_cmd zk_cmd_group_add = {
	.path = "group add",
	.args = "WF TITLE NODE...",
	.min_args = 3,
	.max_args = ZK_ANY,
	.help = "put nodes into a new group",
	.examples = "zk group add wf_1 Intake node-1 node-2 --color '#2563eb'",
	.output = "a row: id, title, status",
	.exits = "0 added · 69 no such workflow or node · 75 · 76 · 77",
	GRAPH_CMD(add_rows, struct group_opts),
	.run = add_run,
};

static const struct graph_part part = { .noun = "group",
	                                .all = zk_zip_graph_groups,
	                                .drop = zk_zip_delete_group };

/* What it was, with what is to be changed. */
static void merge(const struct group_opts *o, const struct zk_node *old, struct zk_buf *b)
{
	struct zk_jwrite w;
	const struct zk_node *ids = zk_zip_get_as(old, "nodeIds", ZK_J_ARRAY);

	zk_jwrite_init(&w, b);
	put_text(&w, "title", o->title ? zk_str_of(o->title) : zk_zip_text(old, "title"));
	if (o->nodes.n) {
		put_list(&w, o->nodes.v, o->nodes.n);
	} else {
		zk_jw_key(&w, "nodeIds");
		if (ids)
			zk_zip_json(ids, b);
		else
			zk_buf_lit(b, "[]");
		w.comma = true;
	}
	put_text(&w, "color", o->color ? zk_str_of(o->color) : zk_zip_text(old, "color"));
	put_text(&w, "description",
	         o->description ? zk_str_of(o->description)
	                        : zk_zip_text(old, "description"));
}

/* The server's own update evaporates [T 12]: made anew, then the old one goes. */
static int update(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	const struct group_opts *o = c->opts;
	struct zk_buf members ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str old = zk_str_of(argv[0]);

	(void)argc;
	zk_buf_init(&members, 1u << 20);
	zk_buf_init(&id, 65536);
	if (graph_must_exist(c, &part, argv[0], err) < 0 ||
	    check_nodes(c, o->nodes.v, o->nodes.n, err) < 0)
		return -(int)err->code;
	merge(o, graph_find(zk_zip_graph_groups(&c->g), old), &members);
	if (!c->dry_run && (zk_zip_delete_group(&c->g, old, err) < 0 ||
	                    zk_zip_graph_read(&c->g, err) < 0 ||
	                    zk_zip_add_group(&c->g, zk_buf_str(&members), &id, err) < 0))
		return -(int)err->code;
	return graph_status(c, zk_buf_str(&id), zk_str_of(o->title), "updated", err);
}

static int update_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	static const struct graph_verb verb = { .shape = &shape,
		                                .reads = true, /* what stays */
		                                .work = update };
	const struct group_opts *o = opts;

	if (!o->title && !o->color && !o->description && !o->nodes.n)
		return zk_fail(
		        err, ZK_E_USAGE,
		        "say what changes: --title, --color, --description, --nodes");
	return graph_run(app, opts, &verb, argc, argv, err);
}

const struct zk_cmd zk_cmd_group_update = {
	.path = "group update",
	.args = "WF GROUP",
	.min_args = 2,
	.max_args = 2,
	.help = "change a group; its id changes too",
	.about = "The server cannot update groups for good: the group is deleted and "
	         "made anew, "
	         "and the new id is printed.",
	.examples = "zk group update wf_1 group-1 --title 'Intake v2'",
	.output = "a row: id (the new one), status",
	.exits = "0 updated · 69 no such group or node · 75 · 76 · 77",
	GRAPH_CMD(update_rows, struct group_opts),
	.run = update_run,
};

GRAPH_RUN(delete_run, .shape = &shape, .part = &part, .work = graph_delete)

const struct zk_cmd zk_cmd_group_delete = {
	.path = "group delete",
	.args = "WF GROUP...",
	.min_args = 2,
	.max_args = ZK_ANY,
	.help = "delete groups; their nodes stay",
	.examples = "zk group delete wf_1 group-1",
	.output = "a row per group: id, status",
	.exits = "0 deleted · 69 there is none · 75 · 76 · 77",
	GRAPH_CMD(plain_rows, struct group_opts),
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = delete_run,
};

static void fill(struct graph_cmd *c, const struct zk_node *m)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	const struct zk_node *ids = zk_zip_get_as(m, "nodeIds", ZK_J_ARRAY);

	zk_buf_init(&b, (size_t)16 << 20);
	zk_row_str(&c->row, "id", zk_zip_text(m, "id"));
	zk_row_str(&c->row, "title", zk_zip_text(m, "title"));
	zk_row_str(&c->row, "color", zk_zip_text(m, "color"));
	if (ids) {
		zk_zip_json(ids, &b);
		zk_row_raw(&c->row, "nodes", zk_buf_str(&b));
	}
}

static int list(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	(void)argc;
	(void)argv;
	return graph_list(c, zk_zip_graph_groups(&c->g), fill, /* where */ NULL, err);
}

GRAPH_RUN(list_run, .shape = &shape, .reads = true, .work = list)

const struct zk_cmd zk_cmd_group_list = {
	.path = "group list",
	.args = "WF",
	.min_args = 1,
	.max_args = 1,
	.help = "list the groups of a workflow",
	.examples = "zk group list wf_1",
	.output = "a row per group: id, title, color, nodes",
	.exits = "0 · 69 no such workflow · 75 · 77",
	GRAPH_CMD(plain_rows, struct group_opts),
	.flags = ZK_CMD_READER,
	.run = list_run,
};
