/* What the commands on graphs share (workflow, node, connection, group).
 * Layer: cmd. */
#ifndef ZK_CMD_GRAPH_H
#define ZK_CMD_GRAPH_H

#include "cmd/zeal.h"
#include "rt/out.h"
#include "zip/graph.h"

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
	bool begun;   /* rows may be written */
	bool dry_run; /* look, write nothing, say "would be …" */
};

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
