/* `zk node`: nodes of a workflow, by the ids that the server really stored.
 * Layer: cmd. specs/zeal-zip.md §5.2, §5.5. */
#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/graph.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define VALUES_MAX ((size_t)16 << 20)

struct node_opts {
	struct graph_opts g;
	const char *at, *where;
	struct zk_strlist set;
};

static const struct zk_opt plain_rows[] = { GRAPH_ROWS, ZK_OPT_END };

static const struct zk_opt add_rows[] = {
	GRAPH_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "at",
	  .meta = "X,Y",
	  .def = "0,0",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct node_opts, at),
	  .help = "where it stands" },
	{ .type = ZK_OPT_LIST,
	  .name = "set",
	  .meta = "K=V|K:=JSON",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct node_opts, set),
	  .help = "a property: a text, or any JSON; repeatable" },
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "template" },
	{ .name = "x", .flags = ZK_COL_RIGHT },
	{ .name = "y", .flags = ZK_COL_RIGHT },
	{ .name = "key" },
	{ .name = "properties" },
	{ .name = "status" },
};
static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
	                                   .noun = "nodes",
	                                   .list = "nodes",
	                                   .cols = cols,
	                                   .n_cols = ZK_ARRAY_LEN(cols) };

const struct zk_cmd zk_cmd_node = {
	.path = "node",
	.section = "Workflows",
	.help = "add, change, move, delete, list nodes of a workflow",
	.about = "The ids are those that the server stored, not those that it answers.",
	.see = "man zk-workflow",
};

static const struct graph_part part = { .noun = "node",
	                                .all = zk_zip_graph_nodes,
	                                .drop = zk_zip_delete_node };

/* ---- add ---- */

static int add_one(struct graph_cmd *c, const struct zk_zip_new_node *n,
                   struct zk_error *err)
{
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };
	bool verified = true;

	zk_buf_init(&id, 65536);
	if (!c->dry_run && zk_zip_add_node(&c->g, n, &id, &verified, err) < 0)
		return -(int)err->code;
	if (id.n)
		zk_row_str(&c->row, "id", zk_buf_str(&id));
	zk_row_str(&c->row, "template", n->template);
	zk_row_double(&c->row, "x", n->x);
	zk_row_double(&c->row, "y", n->y);
	zk_row_cstr(&c->row, "status", verified ? graph_word(c, "added") : "unverified");
	return zk_out_row(c->out, zk_row_end(&c->row), err);
}

static bool number_at(zk_str object, const char *path, double *ret)
{
	struct zk_jval v;

	return zk_jscan_get(object, zk_str_of(path), &v) && v.type == ZK_J_NUMBER &&
	       zk_jnum_double(v.raw, ret);
}

/* {"template", "at": [x, y] | "position": {x, y}, "properties": {}} */
static int on_line(void *ctx, zk_str object, uint64_t line, struct zk_error *err)
{
	struct graph_cmd *c = ctx;
	struct zk_buf template ZK_CLEANUP(zk_buf_done)
	= { 0 };
	struct zk_zip_new_node n = { .values = ZK_STR_NULL };
	struct zk_jval v;

	zk_buf_init(&template, 65536);
	if (!(zk_jscan_get(object, ZK_STR("template"), &v) ||
	      zk_jscan_get(object, ZK_STR("templateId"), &v)) ||
	    v.type != ZK_J_STRING ||
	    zk_jstr_decode(v.raw, ZK_JLONE_ERROR, &template, err) < 0)
		return zk_fail(err, ZK_E_FORM, "line %llu: there is no text 'template'",
		               (unsigned long long)line);
	n.template = zk_buf_str(&template);
	if (!(number_at(object, "position.x", &n.x) &&
	      number_at(object, "position.y", &n.y)) &&
	    !(number_at(object, "position.0", &n.x) &&
	      number_at(object, "position.1", &n.y)))
		n.x = n.y = 0;
	if ((zk_jscan_get(object, ZK_STR("properties"), &v) ||
	     zk_jscan_get(object, ZK_STR("propertyValues"), &v)) &&
	    v.type == ZK_J_OBJECT)
		n.values = v.raw;
	if (add_one(c, &n, err) < 0)
		return zk_wrap(err, "line %llu", (unsigned long long)line);
	return 0;
}

static int add(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	const struct node_opts *o = c->opts;
	struct zk_buf values ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_new_node n = { .template = zk_str_of(argv[0]) };

	(void)argc;
	if (strcmp(argv[0], "-") == 0)
		return graph_lines(c->z.app, on_line, c, err);
	zk_buf_init(&values, VALUES_MAX);
	if (graph_position(o->at, &n.x, &n.y, err) < 0 ||
	    graph_values(o->set.v, o->set.n, &values, err) < 0)
		return -(int)err->code;
	if (o->set.n)
		n.values = zk_buf_str(&values);
	return add_one(c, &n, err);
}

GRAPH_RUN(add_run, .shape = &shape, .work = add)

const struct zk_cmd zk_cmd_node_add = {
	.path = "node add",
	.args = "WF TEMPLATE|-",
	.min_args = 2,
	.max_args = 2,
	.help = "add a node, or those of NDJSON on stdin",
	.about = "A line is {\"template\", \"position\": [x, y], \"properties\": {}}; "
	         "each gives a "
	         "row, in order. What may have been lost is looked for before it is sent "
	         "again: "
	         "nothing is added twice.",
	.examples =
	        "zk node add wf_1 acme/csv-reader --at 80,120 --set delimiter=';' --set "
	        "skip:=1\n"
	        "zk node add wf_1 - < nodes.ndjson",
	.output = "a row per node: id, template, x, y, status",
	.exits = "0 added · 69 no such workflow · 75 · 76 · 77",
	GRAPH_CMD(add_rows, struct node_opts),
	.run = add_run,
};

/* ---- set, move ---- */

static int change(struct graph_cmd *c, const char *id, zk_str values, zk_str pos,
                  struct zk_error *err)
{
	if (graph_must_exist(c, &part, id, err) < 0 ||
	    (!c->dry_run && zk_zip_set_node(&c->g, zk_str_of(id), values, pos, err) < 0))
		return -(int)err->code;
	return graph_status(c, zk_str_of(id), ZK_STR_NULL, pos.n ? "moved" : "changed",
	                    err);
}

static int set(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	struct zk_buf values ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&values, VALUES_MAX);
	if (graph_values(argv + 1, (size_t)argc - 1, &values, err) < 0)
		return -(int)err->code;
	return change(c, argv[0], zk_buf_str(&values), ZK_STR_NULL, err);
}

GRAPH_RUN(set_run, .shape = &shape, .work = set)

const struct zk_cmd zk_cmd_node_set = {
	.path = "node set",
	.args = "WF NODE KEY=TEXT|KEY:=JSON...",
	.min_args = 3,
	.max_args = ZK_ANY,
	.help = "set properties of a node",
	.about = "A property cannot be taken away, only set to null: KEY:=null.",
	.examples = "zk node set wf_1 node-1 delimiter=';' skip:=2",
	.output = "a row: id, status",
	.exits = "0 set · 69 no such workflow or node · 75 · 76 · 77",
	GRAPH_CMD(plain_rows, struct node_opts),
	.run = set_run,
};

static int move(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	struct zk_buf pos ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	double x, y;

	(void)argc;
	zk_buf_init(&pos, 256);
	if (graph_position(argv[1], &x, &y, err) < 0)
		return -(int)err->code;
	zk_jwrite_init(&w, &pos);
	zk_jw_obj(&w);
	zk_jw_key(&w, "x");
	zk_jw_double(&w, x);
	zk_jw_key(&w, "y");
	zk_jw_double(&w, y);
	zk_jw_obj_end(&w);
	return change(c, argv[0], ZK_STR_NULL, zk_buf_str(&pos), err);
}

GRAPH_RUN(move_run, .shape = &shape, .work = move)

const struct zk_cmd zk_cmd_node_move = {
	.path = "node move",
	.args = "WF NODE X,Y",
	.min_args = 3,
	.max_args = 3,
	.help = "move a node",
	.examples = "zk node move wf_1 node-1 320,120",
	.output = "a row: id, status",
	.exits = "0 moved · 69 no such workflow or node · 75 · 76 · 77",
	GRAPH_CMD(plain_rows, struct node_opts),
	.run = move_run,
};

/* ---- delete ---- */

GRAPH_RUN(delete_run, .shape = &shape, .part = &part, .work = graph_delete)

const struct zk_cmd zk_cmd_node_delete = {
	.path = "node delete",
	.args = "WF NODE...",
	.min_args = 2,
	.max_args = ZK_ANY,
	.help = "delete nodes, and first their connections",
	.examples = "zk node delete wf_1 node-1 node-2",
	.output = "a row per node: id, status",
	.exits = "0 deleted · 69 no such workflow or node · 75 · 76 · 77",
	GRAPH_CMD(plain_rows, struct node_opts),
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = delete_run,
};

/* ---- list ---- */

static const struct zk_opt list_rows[] = {
	GRAPH_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "where",
	  .meta = "EXPR",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct node_opts, where),
	  .help = "only those: template=acme/*, properties.skip>1",
	  .text = "An expression over the row, as in --filter of zk events tail: = != < "
	          "<= > >= ~ && || ! and parentheses; a name alone: it is there." },
	ZK_OPT_END,
};

static void fill(struct graph_cmd *c, const struct zk_node *n)
{
	const struct zk_node *values = zk_zip_values_of(n);
	const struct zk_node *key = zk_node_get(values, ZK_STR("zk.key"));
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	double x, y;

	zk_buf_init(&b, VALUES_MAX);
	zk_row_str(&c->row, "id", zk_zip_text(n, "id"));
	zk_row_str(&c->row, "template", zk_zip_text(n, "metadata.templateId"));
	if (zk_zip_position_of(n, &x, &y)) {
		zk_row_double(&c->row, "x", x);
		zk_row_double(&c->row, "y", y);
	}
	if (zk_zip_type(key) == ZK_J_STRING)
		zk_row_str(&c->row, "key", key->text);
	if (values) {
		zk_zip_json(values, &b);
		zk_row_raw(&c->row, "properties", zk_buf_str(&b));
	}
}

static int list(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	const struct node_opts *o = c->opts;

	(void)argc;
	(void)argv;
	return graph_list(c, zk_zip_graph_nodes(&c->g), fill, o->where, err);
}

GRAPH_RUN(list_run, .shape = &shape, .reads = true, .work = list)

const struct zk_cmd zk_cmd_node_list = {
	.path = "node list",
	.args = "WF",
	.min_args = 1,
	.max_args = 1,
	.help = "list the nodes of a workflow",
	.examples = "zk node list wf_1 --fields id,template\n"
	            "zk node list wf_1 --where 'template=acme/* && properties.skip>1'",
	.output = "a row per node: id, template, x, y, key, properties",
	.exits = "0 · 1 none with --exit-status · 69 no such workflow · 75 · 77",
	GRAPH_CMD(list_rows, struct node_opts),
	.flags = ZK_CMD_READER,
	.run = list_run,
};
