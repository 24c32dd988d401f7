/* The graph of a workflow on the server: its state as a tree, and every way to change it. A write
 * whose outcome is not known is settled by reading the state: what is there is adopted, what is
 * not is written again.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §2.3, §5. One write of a workflow at a time
 * [T 13]: the functions wait for the answer. */
#ifndef ZK_ZIP_GRAPH_H
#define ZK_ZIP_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "rt/retry.h"
#include "zip/api.h"
#include "zip/doc.h"

struct zk_jwrite;

struct zk_zip_graph {
	struct zk_zip *zip;
	zk_str workflow, graph; /* borrowed */
	bool verify;            /* read back what was written */
	bool compat_writes;     /* the editor's API settles writes on broken servers */
	struct zk_retry_conf retry;
	struct zk_conf_file
	        *state;    /* {nodes, connections, groups}; NULL before the first read */
	struct zk_buf raw; /* the answer it was read from; empty with `partial` */
	bool partial;      /* only nodes are known (§11) */
};

void zk_zip_graph_init(struct zk_zip_graph *g, struct zk_zip *zip, zk_str workflow,
                       zk_str graph);
void zk_zip_graph_done(struct zk_zip_graph *g);

/* Reads the state. -ZK_E_NOT_FOUND when there is no such workflow or graph. On a server that
 * cannot read its paths the nodes come from the editor's API, when that is allowed. */
int zk_zip_graph_read(struct zk_zip_graph *g, struct zk_error *err) ZK_MUST_USE;
/* The lists of the last read: their first elements, NULL for none. */
const struct zk_node *zk_zip_graph_nodes(const struct zk_zip_graph *g);
const struct zk_node *zk_zip_graph_conns(const struct zk_zip_graph *g);
const struct zk_node *zk_zip_graph_groups(const struct zk_zip_graph *g);
const struct zk_node *zk_zip_graph_node(const struct zk_zip_graph *g, zk_str id);
/* Fields of elements; empty or NULL when they are missing. */
zk_str zk_zip_text(const struct zk_node *object, const char *path);
const struct zk_node *zk_zip_values_of(const struct zk_node *node); /* propertyValues */
bool zk_zip_position_of(const struct zk_node *node, double *x, double *y);
/* Whether a connection joins exactly these. */
bool zk_zip_conn_is(const struct zk_node *conn, zk_str from, zk_str from_port, zk_str to,
                    zk_str to_port);

/* One POST, PATCH or DELETE, once. ZK_E_UNKNOWN_OUTCOME and ZK_E_PROTOCOL: see
 * zk_zip_is_ambiguous. */
struct zk_zip_write {
	const char *method, *route;
	const char *path; /* NULL = route */
	zk_str body;
};
int zk_zip_graph_write(struct zk_zip_graph *g, const struct zk_zip_write *w,
                       struct zk_buf *answer, struct zk_error *err) ZK_MUST_USE;

/* After a failure: whether another try may follow; waits until then. */
bool zk_zip_graph_again(struct zk_zip_graph *g, struct zk_retry *retry,
                        const struct zk_error *err);

struct zk_zip_new_node {
	zk_str template;
	double x, y;
	zk_str values; /* raw JSON object; empty = none */
};

/* The bodies. Each begins with what names the graph; other members follow, and the end of the
 * object. */
void zk_zip_body_begin(const struct zk_zip_graph *g, struct zk_jwrite *w,
                       struct zk_buf *b);
void zk_zip_body_node(const struct zk_zip_graph *g, const struct zk_zip_new_node *n,
                      struct zk_buf *b);
void zk_zip_body_conn(const struct zk_zip_graph *g, const zk_str ends[4],
                      struct zk_buf *b);

/* Each does one thing, for certain. The id that the server really stored is appended to `id`; with
 * verify off it is the answered one, and *verified says whether it is known to be true. The state
 * is fresh afterwards unless verify is off. */
int zk_zip_add_node(struct zk_zip_graph *g, const struct zk_zip_new_node *n,
                    struct zk_buf *id, bool *verified, struct zk_error *err) ZK_MUST_USE;
/* `values` (raw object) and `pos` ("{"x":1,"y":2}") may be empty. */
int zk_zip_set_node(struct zk_zip_graph *g, zk_str id, zk_str values, zk_str pos,
                    struct zk_error *err) ZK_MUST_USE;
/* Its connections first [T 11]. */
int zk_zip_delete_node(struct zk_zip_graph *g, zk_str id,
                       struct zk_error *err) ZK_MUST_USE;
/* ends: node, port, node, port. */
int zk_zip_connect(struct zk_zip_graph *g, const zk_str ends[4], struct zk_buf *id,
                   struct zk_error *err) ZK_MUST_USE;
int zk_zip_disconnect(struct zk_zip_graph *g, zk_str id,
                      struct zk_error *err) ZK_MUST_USE;
/* `body`: members of the group as raw JSON without braces ("title":…,"nodeIds":[…]). */
int zk_zip_add_group(struct zk_zip_graph *g, zk_str members, struct zk_buf *id,
                     struct zk_error *err) ZK_MUST_USE;
int zk_zip_delete_group(struct zk_zip_graph *g, zk_str id,
                        struct zk_error *err) ZK_MUST_USE;

/* ---- workflows ---- */

/* Every workflow of the user, pages of 100; calls fn with each raw object until it returns a
 * negative code or a positive number, which is returned. */
int zk_zip_workflows(struct zk_zip *z,
                     int (*fn)(void *ctx, zk_str object, struct zk_error *err), void *ctx,
                     struct zk_error *err) ZK_MUST_USE;
/* Makes one and appends its id; `description` may be empty. Settled by name when the outcome is
 * not known: the caller saw that there was none of that name (`fresh`), otherwise it fails. */
int zk_zip_workflow_create(struct zk_zip *z, zk_str name, zk_str description, bool fresh,
                           struct zk_buf *answer, struct zk_error *err) ZK_MUST_USE;

#endif
