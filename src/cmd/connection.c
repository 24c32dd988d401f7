/* `zk connection`: connections of a workflow.
 * Layer: cmd. specs/zeal-zip.md §5.3, §5.5. */
#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/graph.h"
#include "codec/jscan.h"
#include "zip/workflow.h"

#include "base/ban.h"

struct conn_opts {
	struct graph_opts g;
	bool allow_duplicate;
};

static const struct zk_opt rows[] = {
	GRAPH_ROWS,
	{ .type = ZK_OPT_BOOL,
	  .name = "allow-duplicate",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct conn_opts, allow_duplicate),
	  .help = "connect what is connected already once more" },
	ZK_OPT_END,
};

static const struct zk_out_col cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "from" },
	{ .name = "to" },
	{ .name = "state" },
	{ .name = "status" },
};
static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
	                                   .noun = "connections",
	                                   .list = "connections",
	                                   .cols = cols,
	                                   .n_cols = ZK_ARRAY_LEN(cols) };

const struct zk_cmd zk_cmd_connection = {
	.path = "connection",
	.section = "Workflows",
	.help = "add, delete, list connections of a workflow",
	.see = "man zk-workflow",
};

/* An end of the command line: NODE.PORT. */
static int parse_end(const char *text, struct zk_zip_wend *ret, struct zk_error *err)
{
	if (zk_zip_end_parse(zk_str_of(text), ret))
		return 0;
	return zk_fail(err, ZK_E_USAGE, "'%s' is no end, such as node-1.out", text);
}

static const struct zk_node *find(const struct graph_cmd *c, const zk_str e[4])
{
	for (const struct zk_node *m = zk_zip_graph_conns(&c->g); m; m = m->next)
		if (zk_zip_conn_is(m, e[0], e[1], e[2], e[3]))
			return m;
	return NULL;
}

/* The members of a row; an empty id is left out. */
static void put_ends(struct graph_cmd *c, zk_str id, const zk_str e[4])
{
	struct zk_buf b;

	zk_buf_init(&b, 1u << 20);
	if (id.n)
		zk_row_str(&c->row, "id", id);
	zk_buf_printf(&b, "%.*s.%.*s", ZK_STR_ARG(e[0]), ZK_STR_ARG(e[1]));
	zk_row_str(&c->row, "from", zk_buf_str(&b));
	zk_buf_clear(&b);
	zk_buf_printf(&b, "%.*s.%.*s", ZK_STR_ARG(e[2]), ZK_STR_ARG(e[3]));
	zk_row_str(&c->row, "to", zk_buf_str(&b));
	zk_buf_done(&b);
}

static int put_added(struct graph_cmd *c, zk_str id, const zk_str e[4],
                     struct zk_error *err)
{
	put_ends(c, id, e);
	return graph_status(c, ZK_STR_NULL, ZK_STR_NULL,
	                    c->g.verify ? "added" : "unverified", err);
}

/* ---- add ---- */

/* The server takes ends that do not exist, and the same pair twice. */
static int check(const struct graph_cmd *c, const zk_str e[4], struct zk_error *err)
{
	const struct conn_opts *o = c->opts;

	for (int i = 0; i < 4; i += 2)
		if (!zk_zip_graph_node(&c->g, e[i]))
			return zk_fail(err, ZK_E_NOT_FOUND,
			               "there is no node '%.*s' in workflow '%.*s'",
			               ZK_STR_ARG(e[i]), ZK_STR_ARG(c->g.workflow));
	if (o->allow_duplicate || !find(c, e))
		return 0;
	(void)zk_fail(err, ZK_E_CONFLICT, "%.*s.%.*s and %.*s.%.*s are connected already",
	              ZK_STR_ARG(e[0]), ZK_STR_ARG(e[1]), ZK_STR_ARG(e[2]),
	              ZK_STR_ARG(e[3]));
	return zk_err_hint(err, "use --allow-duplicate to connect them once more");
}

static int add_one(struct graph_cmd *c, const zk_str e[4], struct zk_error *err)
{
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&id, 65536);
	if ((c->g.verify && check(c, e, err) < 0) ||
	    (!c->dry_run && zk_zip_connect(&c->g, e, &id, err) < 0) ||
	    put_added(c, zk_buf_str(&id), e, err) < 0)
		return -(int)err->code;
	return c->g.verify && !c->dry_run ? zk_zip_graph_read(&c->g, err) : 0;
}

static bool end_of(zk_str object, const char *name, struct zk_buf *b, zk_str ret[2])
{
	struct zk_jval v, node, port;
	struct zk_zip_wend e;
	struct zk_error ignored;
	size_t from = b->n;

	if (!zk_jscan_get(object, zk_str_of(name), &v))
		return false;
	if (v.type == ZK_J_STRING) {
		if (zk_jstr_decode(v.raw, ZK_JLONE_ERROR, b, &ignored) < 0 ||
		    !zk_zip_end_parse(zk_str_n(b->p + from, b->n - from), &e))
			return false;
		ret[0] = e.node;
		ret[1] = e.port;
		return true;
	}
	return ((zk_jscan_get(v.raw, ZK_STR("node"), &node) ||
	         zk_jscan_get(v.raw, ZK_STR("nodeId"), &node)) &&
	        zk_jstr_plain(node.raw, &ret[0])) &&
	       ((zk_jscan_get(v.raw, ZK_STR("port"), &port) ||
	         zk_jscan_get(v.raw, ZK_STR("portId"), &port)) &&
	        zk_jstr_plain(port.raw, &ret[1]));
}

static int on_line(void *ctx, zk_str object, uint64_t line, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str e[4];

	zk_buf_init(&b, (size_t)16 << 20);
	/* The ends must not move while they are borrowed. */
	if (!zk_buf_reserve(&b, object.n))
		return zk_fail(err, ZK_E_LIMIT, "line %llu is too long",
		               (unsigned long long)line);
	if (!(end_of(object, "from", &b, e) || end_of(object, "source", &b, e)) ||
	    !(end_of(object, "to", &b, e + 2) || end_of(object, "target", &b, e + 2)))
		return zk_fail(err, ZK_E_FORM,
		               "line %llu: a connection is {\"from\": \"a.out\", \"to\": "
		               "\"b.in\"}",
		               (unsigned long long)line);
	if (add_one(ctx, e, err) < 0)
		return zk_wrap(err, "line %llu", (unsigned long long)line);
	return 0;
}

static int add(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	struct zk_zip_wend from, to;

	(void)argc;
	if (strcmp(argv[0], "-") == 0)
		return graph_lines(c->z.app, on_line, c, err);
	if (parse_end(argv[0], &from, err) < 0 || parse_end(argv[1], &to, err) < 0)
		return -(int)err->code;
	const zk_str e[4] = { from.node, from.port, to.node, to.port };

	return add_one(c, e, err);
}

static int add_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	static const struct graph_verb verb = { .shape = &shape, .work = add };

	if (strcmp(argv[1], "-") == 0 ? argc != 2 : argc != 3)
		return zk_fail(err, ZK_E_USAGE, "give two ends, or - for lines of stdin");
	return graph_run(app, opts, &verb, argc, argv, err);
}

const struct zk_cmd zk_cmd_connection_add = {
	.path = "connection add",
	.args = "WF NODE.PORT NODE.PORT | WF -",
	.min_args = 2,
	.max_args = 3,
	.help = "connect two nodes, or those of NDJSON on stdin",
	.about = "Looks first whether both nodes exist and the pair is new; a line is "
	         "{\"from\": "
	         "\"a.out\", \"to\": \"b.in\"}, or with {\"node\", \"port\"} for ends.",
	.examples = "zk connection add wf_1 node-1.out node-2.in\n"
	            "zk connection add wf_1 - < connections.ndjson",
	.output = "a row per connection: id, from, to, status",
	.exits = "0 added · 69 no such node, or connected already · 75 · 76 · 77",
	GRAPH_CMD(rows, struct conn_opts),
	.run = add_run,
};

/* ---- delete ---- */

/* By id, or by its ends. */
static int find_named(struct graph_cmd *c, int argc, char **argv, char **ret_id,
                      struct zk_error *err)
{
	struct zk_zip_wend from, to;
	const struct zk_node *found = NULL;

	if (argc == 2) {
		if (parse_end(argv[0], &from, err) < 0 ||
		    parse_end(argv[1], &to, err) < 0)
			return -(int)err->code;
		const zk_str e[4] = { from.node, from.port, to.node, to.port };

		if (!c->g.state && zk_zip_graph_read(&c->g, err) < 0)
			return -(int)err->code;
		found = find(c, e);
	} else if (c->g.verify) {
		found = graph_find(zk_zip_graph_conns(&c->g), zk_str_of(argv[0]));
	} else {
		*ret_id = zk_strdup(argv[0]);
		return 0;
	}
	if (!found)
		return zk_fail(err, ZK_E_NOT_FOUND,
		               "there is no such connection in workflow '%.*s'",
		               ZK_STR_ARG(c->g.workflow));
	zk_str id = zk_zip_text(found, "id");

	*ret_id = zk_strndup(id.n ? id.p : "", id.n);
	return 0;
}

static int delete_one(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *id = NULL;

	if (find_named(c, argc, argv, &id, err) < 0 ||
	    (!c->dry_run && zk_zip_disconnect(&c->g, zk_str_of(id), err) < 0))
		return -(int)err->code;
	return graph_status(c, zk_str_of(id), ZK_STR_NULL, "deleted", err);
}

GRAPH_RUN(delete_run, .shape = &shape, .work = delete_one)

const struct zk_cmd zk_cmd_connection_delete = {
	.path = "connection delete",
	.args = "WF CONNECTION | WF NODE.PORT NODE.PORT",
	.min_args = 2,
	.max_args = 3,
	.help = "delete a connection, by its id or its ends",
	.examples = "zk connection delete wf_1 node-1.out node-2.in",
	.output = "a row: id, status",
	.exits = "0 deleted · 69 there is none · 75 · 76 · 77",
	GRAPH_CMD(rows, struct conn_opts),
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = delete_run,
};

/* ---- list ---- */

static void fill(struct graph_cmd *c, const struct zk_node *m)
{
	const zk_str e[4] = { zk_zip_text(m, "source.nodeId"),
		              zk_zip_text(m, "source.portId"),
		              zk_zip_text(m, "target.nodeId"),
		              zk_zip_text(m, "target.portId") };

	zk_row_str(&c->row, "state", zk_zip_text(m, "state"));
	put_ends(c, zk_zip_text(m, "id"), e);
	zk_row_cstr(&c->row, "status", "stored");
}

static int list(struct graph_cmd *c, int argc, char **argv, struct zk_error *err)
{
	(void)argc;
	(void)argv;
	if (c->g.partial)
		return zk_fail(err, ZK_E_SERVER_UNFIT,
		               "this server cannot show connections");
	return graph_list(c, zk_zip_graph_conns(&c->g), fill, /* where */ NULL, err);
}

GRAPH_RUN(list_run, .shape = &shape, .reads = true, .work = list)

const struct zk_cmd zk_cmd_connection_list = {
	.path = "connection list",
	.args = "WF",
	.min_args = 1,
	.max_args = 1,
	.help = "list the connections of a workflow",
	.examples = "zk connection list wf_1 --format '{from} -> {to}'",
	.output = "a row per connection: id, from, to, state",
	.exits = "0 · 69 no such workflow · 75 · 77",
	GRAPH_CMD(rows, struct conn_opts),
	.flags = ZK_CMD_READER,
	.run = list_run,
};
