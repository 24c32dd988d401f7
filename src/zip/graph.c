/* The graph of a workflow on the server: reading it, and single writes.
 * Layer: zip. specs/zeal-zip.md §5. */
#include "zip/graph.h"

#include <string.h>

#include "base/mem.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define STATE_MAX ((size_t)256 << 20)
#define NODES_MAX 20000000u

void zk_zip_graph_init(struct zk_zip_graph *g, struct zk_zip *zip, zk_str workflow,
                       zk_str graph)
{
	*g = (struct zk_zip_graph){ .zip = zip, .workflow = workflow, .graph = graph };
	if (!g->graph.n)
		g->graph = ZK_STR("main");
	g->verify = true;
	g->retry = (struct zk_retry_conf){ .max_retries = 5,
		                           .base_ms = 250,
		                           .cap_ms = 30000 };
	zk_buf_init(&g->raw, STATE_MAX);
}

void zk_zip_graph_done(struct zk_zip_graph *g)
{
	zk_conf_file_free(g->state);
	g->state = NULL;
	zk_buf_done(&g->raw);
}

static void set_state(struct zk_zip_graph *g, struct zk_conf_file *f, bool partial)
{
	zk_conf_file_free(g->state);
	g->state = f;
	g->partial = partial;
}

/* The editor's own API knows the nodes (§11). */
static int read_editor(struct zk_zip_graph *g, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_conf_file *f;

	zk_buf_init(&path, 65536);
	zk_buf_lit(&path, "/orchestrator/nodes");
	zk_zip_query(&path, "workflowId", g->workflow);
	zk_zip_query(&path, "graphId", g->graph);
	struct zk_zip_req rq = { .route = "/orchestrator/nodes",
		                 .path = zk_buf_cstring(&path),
		                 .editor = true };

	zk_buf_clear(&g->raw);
	if (zk_zip_call(g->zip, &rq, &g->raw, NULL, err) < 0 ||
	    zk_zip_doc_parse("the answer.json", zk_buf_str(&g->raw), NODES_MAX, &f, err) <
	            0)
		return -(int)err->code;
	zk_buf_clear(&g->raw);
	set_state(g, f, true);
	return 0;
}

int zk_zip_graph_read(struct zk_zip_graph *g, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_conf_file *f;
	struct zk_jval state;
	int r;

	if (zk_zip_server(g->zip) == ZK_ZIP_PATH_BLIND && zk_zip_compat(g->zip))
		return read_editor(g, err);
	zk_buf_init(&path, 65536);
	zk_buf_lit(&path, "/orchestrator/workflows");
	if (zk_zip_segment(&path, "workflow id", g->workflow, err) < 0)
		return -(int)err->code;
	zk_buf_lit(&path, "/state");
	zk_zip_query(&path, "graphId", g->graph);
	struct zk_zip_req rq = { .route = "/orchestrator/workflows/{wf}/state",
		                 .path = zk_buf_cstring(&path) };

	zk_buf_clear(&g->raw);
	r = zk_zip_call(g->zip, &rq, &g->raw, NULL, err);
	if (r == -ZK_E_SERVER_UNFIT && zk_zip_compat(g->zip))
		return read_editor(g, err);
	if (r == -ZK_E_NOT_FOUND)
		return zk_wrap(err, "workflow '%.*s'", ZK_STR_ARG(g->workflow));
	if (r < 0)
		return r;
	if (!zk_jscan_get(zk_buf_str(&g->raw), ZK_STR("state"), &state) ||
	    state.type != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no state");
	if (zk_zip_doc_parse("the answer.json", state.raw, NODES_MAX, &f, err) < 0)
		return -(int)err->code;
	set_state(g, f, false);
	return 0;
}

static const struct zk_node *list(const struct zk_zip_graph *g, const char *name)
{
	const struct zk_node *l =
	        g->state ? zk_zip_get_as(g->state->root, name, ZK_J_ARRAY) : NULL;

	return l ? l->first : NULL;
}

const struct zk_node *zk_zip_graph_nodes(const struct zk_zip_graph *g)
{
	return list(g, "nodes");
}

const struct zk_node *zk_zip_graph_conns(const struct zk_zip_graph *g)
{
	return list(g, "connections");
}

const struct zk_node *zk_zip_graph_groups(const struct zk_zip_graph *g)
{
	return list(g, "groups");
}

const struct zk_node *zk_zip_graph_node(const struct zk_zip_graph *g, zk_str id)
{
	for (const struct zk_node *n = zk_zip_graph_nodes(g); n; n = n->next)
		if (zk_str_eq(zk_zip_text(n, "id"), id))
			return n;
	return NULL;
}

zk_str zk_zip_text(const struct zk_node *object, const char *path)
{
	const struct zk_node *n = zk_node_at(object, zk_str_of(path));

	return zk_zip_type(n) == ZK_J_STRING ? n->text : ZK_STR_NULL;
}

const struct zk_node *zk_zip_values_of(const struct zk_node *node)
{
	const struct zk_node *n = zk_node_at(node, ZK_STR("metadata.propertyValues"));

	return zk_zip_type(n) == ZK_J_OBJECT ? n : NULL;
}

bool zk_zip_position_of(const struct zk_node *node, double *x, double *y)
{
	const struct zk_node *p = zk_zip_get(node, "position");

	return zk_zip_number(zk_zip_get(p, "x"), x) &&
	       zk_zip_number(zk_zip_get(p, "y"), y);
}

bool zk_zip_conn_is(const struct zk_node *conn, zk_str from, zk_str from_port, zk_str to,
                    zk_str to_port)
{
	return zk_str_eq(zk_zip_text(conn, "source.nodeId"), from) &&
	       zk_str_eq(zk_zip_text(conn, "source.portId"), from_port) &&
	       zk_str_eq(zk_zip_text(conn, "target.nodeId"), to) &&
	       zk_str_eq(zk_zip_text(conn, "target.portId"), to_port);
}

int zk_zip_graph_write(struct zk_zip_graph *g, const struct zk_zip_write *w,
                       struct zk_buf *answer, struct zk_error *err)
{
	struct zk_zip_req rq = { .class = ZK_ZIP_R2,
		                 .method = w->method,
		                 .route = w->route,
		                 .path = w->path,
		                 .body = w->body };

	if (answer)
		zk_buf_clear(answer);
	return zk_zip_call(g->zip, &rq, answer, NULL, err);
}

/* ---- bodies ---- */

void zk_zip_body_begin(const struct zk_zip_graph *g, struct zk_jwrite *w,
                       struct zk_buf *b)
{
	zk_jwrite_init(w, b);
	zk_jw_obj(w);
	zk_jw_key(w, "workflowId");
	zk_jw_str(w, g->workflow);
	zk_jw_key(w, "graphId");
	zk_jw_str(w, g->graph);
}

void zk_zip_body_node(const struct zk_zip_graph *g, const struct zk_zip_new_node *n,
                      struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_zip_body_begin(g, &w, b);
	zk_jw_key(&w, "templateId");
	zk_jw_str(&w, n->template);
	zk_jw_key(&w, "position");
	zk_jw_obj(&w);
	zk_jw_key(&w, "x");
	zk_jw_double(&w, n->x);
	zk_jw_key(&w, "y");
	zk_jw_double(&w, n->y);
	zk_jw_obj_end(&w);
	if (n->values.n) {
		zk_jw_key(&w, "propertyValues");
		zk_jw_raw(&w, n->values);
	}
	zk_jw_obj_end(&w);
}

static void put_end(struct zk_jwrite *w, const char *name, zk_str node, zk_str port)
{
	zk_jw_key(w, name);
	zk_jw_obj(w);
	zk_jw_key(w, "nodeId");
	zk_jw_str(w, node);
	zk_jw_key(w, "portId");
	zk_jw_str(w, port);
	zk_jw_obj_end(w);
}

void zk_zip_body_conn(const struct zk_zip_graph *g, const zk_str ends[4],
                      struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_zip_body_begin(g, &w, b);
	put_end(&w, "source", ends[0], ends[1]);
	put_end(&w, "target", ends[2], ends[3]);
	zk_jw_obj_end(&w);
}
