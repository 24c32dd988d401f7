/* What the commands on graphs share (workflow, node, connection, group).
 * Layer: cmd. */
#ifndef ZK_CMD_GRAPH_H
#define ZK_CMD_GRAPH_H

#include "cmd/zeal.h"
#include "rt/out.h"
#include "zip/graph.h"

struct graph_part;
struct zk_node;

/* Follows struct zeal_opts in the struct of a command. */
#define GRAPH_ROW(type_, member)                                                 \
	{                                                                        \
		.type = ZK_OPT_STR, .name = "graph", .meta = "G", .def = "main", \
		.flags = ZK_OPT_NO_CONF, .off = offsetof(type_, member),         \
		.help = "graph of the workflow",                                 \
	}

struct graph_cmd {
	struct zeal z;
	struct zk_zip_graph g;
	struct zk_out *out;
	struct zk_row row;
	bool begun;       /* rows may be written */
	bool dry_run;     /* look, write nothing, say "would be …" */
	const void *opts; /* of a command that graph_run runs */
	const struct graph_part *part;
};

/* ---- commands on the parts of a graph: node, connection, group ---- */

/* First member of the struct of each of them, and its rows. */
struct graph_opts {
	struct zeal_opts zeal;
	const char *graph;
};
#define GRAPH_ROWS ZEAL_ROWS, GRAPH_ROW(struct graph_opts, graph)
/* What the rows of the command table have in common. */
#define GRAPH_CMD(rows_, type_)                                           \
	.see = "man zk-workflow", .groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS, \
	.opts = (rows_), .opts_size = sizeof(type_), .conf = "zeal"

struct graph_verb {
	const struct zk_out_shape *shape;
	const struct graph_part *part; /* for graph_delete, NULL = not needed */
	bool reads; /* the state is needed, whatever --no-verify says */
	/* The arguments are those behind the workflow. */
	int (*work)(struct graph_cmd *c, int argc, char **argv, struct zk_error *err);
};
/* Opens, reads, works, ends the rows (those that were written are true, also after a failure):
 * an exit status or a negative code. */
int graph_run(struct zk_app *app, struct graph_opts *o, const struct graph_verb *v,
              int argc, char **argv, struct zk_error *err);
/* The .run of a command that is nothing but this: its name, and the members of the verb. */
#define GRAPH_RUN(name_, ...)                                                   \
	static int name_(struct zk_app *app, void *opts, int argc, char **argv, \
	                 struct zk_error *err)                                  \
	{                                                                       \
		static const struct graph_verb verb = { __VA_ARGS__ };          \
                                                                                \
		return graph_run(app, opts, &verb, argc, argv, err);            \
	}

/* Parts that are named by their ids. */
struct graph_part {
	const char *noun; /* "node" */
	const struct zk_node *(*all)(const struct zk_zip_graph *g);
	int (*drop)(struct zk_zip_graph *g, zk_str id, struct zk_error *err);
};
/* The server answers 200 for what does not exist: 0, or -ZK_E_NOT_FOUND. */
int graph_must_exist(const struct graph_cmd *c, const struct graph_part *part,
                     const char *id, struct zk_error *err) ZK_MUST_USE;
/* The work of a verb: looks for all of them, then deletes one after the other, a row for each. */
int graph_delete(struct graph_cmd *c, int n, char **ids,
                 struct zk_error *err) ZK_MUST_USE;

/* The element of a list of the state with this id, or NULL. */
const struct zk_node *graph_find(const struct zk_node *first, zk_str id);
/* Prints a list: `fill` puts the members of an element into c->row. `where` is an expression over
 * the rows, NULL = all. */
int graph_list(struct graph_cmd *c, const struct zk_node *first,
               void (*fill)(struct graph_cmd *c, const struct zk_node *n),
               const char *where, struct zk_error *err) ZK_MUST_USE;
/* The row of something that was changed; an empty id or title is left out. */
int graph_status(struct graph_cmd *c, zk_str id, zk_str title, const char *done,
                 struct zk_error *err) ZK_MUST_USE;

/* ---- all of them ---- */

/* Opens the session and prepares the graph; nothing is read yet. graph_close in any case. */
int graph_open(struct zk_app *app, const struct zeal_opts *o, const char *workflow,
               const char *graph, struct graph_cmd *c, struct zk_error *err) ZK_MUST_USE;
void graph_close(struct graph_cmd *c);
/* Reads the state; -ZK_E_NOT_FOUND says so. */
int graph_begin(struct graph_cmd *c, const struct zk_out_shape *shape,
                struct zk_error *err) ZK_MUST_USE;
/* The word of a row: "added", or "would be added". */
const char *graph_word(const struct graph_cmd *c, const char *done);
/* Ends the rows, also after a failure `r`: those that were written are true. Returns the worse of
 * both results. */
int graph_end(struct graph_cmd *c, int r, struct zk_error *err);
/* "k=v" (a text) and "k:=json" as members of a JSON object; the whole object is appended. */
int graph_values(char *const *pairs, size_t n, struct zk_buf *b,
                 struct zk_error *err) ZK_MUST_USE;
/* "X,Y". */
int graph_position(const char *text, double *x, double *y,
                   struct zk_error *err) ZK_MUST_USE;

/* Calls fn for every line of stdin that is not blank: a valid JSON object. */
int graph_lines(struct zk_app *app,
                int (*fn)(void *ctx, zk_str object, uint64_t line, struct zk_error *err),
                void *ctx, struct zk_error *err) ZK_MUST_USE;

#endif
