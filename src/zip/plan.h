/* The difference between a declared workflow and its graph on the server, and making it none.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §5.6. */
#ifndef ZK_ZIP_PLAN_H
#define ZK_ZIP_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "zip/graph.h"
#include "zip/workflow.h"

struct zk_jwrite;

/* In the order in which they are done. */
enum zk_zip_op_kind {
	ZK_ZIP_DISCONNECT,
	ZK_ZIP_DELETE_GROUP,
	ZK_ZIP_DELETE_NODE,
	ZK_ZIP_ADD_NODE,
	ZK_ZIP_UPDATE_NODE,
	ZK_ZIP_MOVE_NODE,
	ZK_ZIP_CONNECT,
	ZK_ZIP_REPLACE_GROUP,
};

struct zk_zip_op {
	enum zk_zip_op_kind kind;
	char *id;     /* of the connection, node or group on the server; NULL = none */
	char *label;  /* key, or "a.out -> b.in" */
	char *values; /* raw JSON: properties of a node, changed members of a group */
	double x, y;
	const struct zk_zip_wnode *node;
	const struct zk_zip_wconn *conn;
	const struct zk_zip_wgroup *group;
};

struct zk_zip_plan {
	struct zk_zip_op *v;
	size_t n, room;
	struct zk_map ids; /* key of a declared node to a copy of its id on the server */
};

struct zk_zip_plan_conf {
	bool prune;     /* also what nobody declared */
	bool positions; /* also nodes without a declared position, to the automatic grid */
};

/* Compares with the state that was read last (none = an empty graph). The plan is good until the
 * workflow is freed. */
void zk_zip_plan_make(const struct zk_zip_workflow *w, const struct zk_zip_graph *g,
                      const struct zk_zip_plan_conf *conf, struct zk_zip_plan *ret);
void zk_zip_plan_done(struct zk_zip_plan *p);
/* The members of a row: op, and node, template, properties, position, connection, group, title, … */
void zk_zip_op_row(const struct zk_zip_op *op, struct zk_jwrite *w);

struct zk_zip_apply {
	struct zk_zip_plan_conf plan;
	void *ctx;
	/* The first plan, before anything is done: 0, or a negative code to stop. */
	int (*on_plan)(void *ctx, const struct zk_zip_plan *p, struct zk_error *err);
	size_t planned,
	        rounds; /* afterwards: operations of the first plan; how often it was read */
};

/* Does what is to be done until nothing is left: each round reads the state and plans anew, so
 * that lost, doubled and unknown writes are seen and mended. 0, the failure that stopped it, or
 * -ZK_E_UNKNOWN_OUTCOME when it does not get nearer. */
int zk_zip_apply(struct zk_zip_apply *a, const struct zk_zip_workflow *w,
                 struct zk_zip_graph *g, struct zk_error *err) ZK_MUST_USE;

/* The declared form of the state that was read last, as a JSON object in a fixed order: nodes by
 * key, those without one by id. `name` and `description` come from the answer. */
void zk_zip_export(const struct zk_zip_graph *g, struct zk_buf *b);
/* For Graphviz and Mermaid. */
void zk_zip_export_dot(const struct zk_zip_graph *g, struct zk_buf *b);
void zk_zip_export_mermaid(const struct zk_zip_graph *g, struct zk_buf *b);

#endif
