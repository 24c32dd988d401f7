/* Making a graph as it is declared.
 * Layer: zip. specs/zeal-zip.md §5.5, §5.6. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jwrite.h"
#include "zip/plan.h"

#include "base/ban.h"

#define BODY_MAX ((size_t)64 << 20)
/* So many unknown outcomes in a row end a round: the server is in trouble. */
#define UNKNOWN_MAX 3

struct run {
	struct zk_zip_graph *g;
	const struct zk_zip_plan *p;
	struct zk_buf body, path;
};

static void begin_body(struct run *r, struct zk_jwrite *w)
{
	zk_buf_clear(&r->body);
	zk_zip_body_begin(r->g, w, &r->body);
}

static int remove_named(struct run *r, const char *route, const char *member,
                        const char *id, struct zk_error *err)
{
	struct zk_jwrite w;

	begin_body(r, &w);
	zk_jw_key(&w, member);
	zk_jw_cstr(&w, id);
	zk_jw_obj_end(&w);
	return zk_zip_graph_write(r->g,
	                          &(struct zk_zip_write){ .method = "DELETE",
	                                                  .route = route,
	                                                  .body = zk_buf_str(&r->body) },
	                          NULL, err);
}

static int node_path(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	zk_buf_clear(&r->path);
	zk_buf_lit(&r->path, "/orchestrator/nodes");
	return zk_zip_segment(&r->path, "node id", zk_str_of(op->id), err);
}

static int delete_node(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	if (node_path(r, op, err) < 0)
		return -(int)err->code;
	zk_zip_query(&r->path, "workflowId", r->g->workflow);
	zk_zip_query(&r->path, "graphId", r->g->graph);
	return zk_zip_graph_write(
	        r->g,
	        &(struct zk_zip_write){ .method = "DELETE",
	                                .route = "/orchestrator/nodes/{id}",
	                                .path = zk_buf_cstring(&r->path) },
	        NULL, err);
}

static int patch_node(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	struct zk_jwrite w;

	if (node_path(r, op, err) < 0)
		return -(int)err->code;
	begin_body(r, &w);
	if (op->kind == ZK_ZIP_UPDATE_NODE) {
		zk_jw_key(&w, "properties");
		zk_jw_raw(&w, zk_str_of(op->values));
	} else {
		zk_jw_key(&w, "position");
		zk_jw_obj(&w);
		zk_jw_key(&w, "x");
		zk_jw_double(&w, op->x);
		zk_jw_key(&w, "y");
		zk_jw_double(&w, op->y);
		zk_jw_obj_end(&w);
	}
	zk_jw_obj_end(&w);
	return zk_zip_graph_write(
	        r->g,
	        &(struct zk_zip_write){ .method = "PATCH",
	                                .route = "/orchestrator/nodes/{id}",
	                                .path = zk_buf_cstring(&r->path),
	                                .body = zk_buf_str(&r->body) },
	        NULL, err);
}

static int add_node(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	struct zk_zip_new_node n = { .template = op->node->template,
		                     .x = op->x,
		                     .y = op->y,
		                     .values = zk_str_of(op->values) };

	zk_buf_clear(&r->body);
	zk_zip_body_node(r->g, &n, &r->body);
	return zk_zip_graph_write(r->g,
	                          &(struct zk_zip_write){ .method = "POST",
	                                                  .route = "/orchestrator/nodes",
	                                                  .body = zk_buf_str(&r->body) },
	                          NULL, err);
}

static zk_str id_of(const struct run *r, zk_str key)
{
	return zk_str_of(zk_map_get(&r->p->ids, key));
}

/* Nodes that were added in this round have no known ids yet: the next round does it. */
static int connect_ends(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	const zk_str ends[4] = { id_of(r, op->conn->from.node), op->conn->from.port,
		                 id_of(r, op->conn->to.node), op->conn->to.port };

	if (!ends[0].n || !ends[2].n)
		return 0;
	zk_buf_clear(&r->body);
	zk_zip_body_conn(r->g, ends, &r->body);
	return zk_zip_graph_write(
	        r->g,
	        &(struct zk_zip_write){ .method = "POST",
	                                .route = "/orchestrator/connections",
	                                .body = zk_buf_str(&r->body) },
	        NULL, err);
}

/* The id changes: groups cannot be updated [T 12]. */
static int replace_group(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	const struct zk_zip_wgroup *want = op->group;
	struct zk_jwrite w;

	for (size_t i = 0; i < want->n; i++)
		if (!id_of(r, want->nodes[i]).n)
			return 0;
	if (op->id && remove_named(r, "/orchestrator/groups", "groupId", op->id, err) < 0)
		return -(int)err->code;
	begin_body(r, &w);
	zk_jw_key(&w, "title");
	zk_jw_str(&w, want->title);
	zk_jw_key(&w, "nodeIds");
	zk_jw_arr(&w);
	for (size_t i = 0; i < want->n; i++)
		zk_jw_str(&w, id_of(r, want->nodes[i]));
	zk_jw_arr_end(&w);
	if (want->color.n) {
		zk_jw_key(&w, "color");
		zk_jw_str(&w, want->color);
	}
	if (want->description.n) {
		zk_jw_key(&w, "description");
		zk_jw_str(&w, want->description);
	}
	zk_jw_obj_end(&w);
	return zk_zip_graph_write(r->g,
	                          &(struct zk_zip_write){ .method = "POST",
	                                                  .route = "/orchestrator/groups",
	                                                  .body = zk_buf_str(&r->body) },
	                          NULL, err);
}

static int run_op(struct run *r, const struct zk_zip_op *op, struct zk_error *err)
{
	switch (op->kind) {
	case ZK_ZIP_DISCONNECT:
		return remove_named(r, "/orchestrator/connections", "connectionId",
		                    op->id, err);
	case ZK_ZIP_DELETE_GROUP:
		return remove_named(r, "/orchestrator/groups", "groupId", op->id, err);
	case ZK_ZIP_DELETE_NODE:
		return delete_node(r, op, err);
	case ZK_ZIP_ADD_NODE:
		return add_node(r, op, err);
	case ZK_ZIP_UPDATE_NODE:
	case ZK_ZIP_MOVE_NODE:
		return patch_node(r, op, err);
	case ZK_ZIP_CONNECT:
		return connect_ends(r, op, err);
	case ZK_ZIP_REPLACE_GROUP:
		break;
	}
	return replace_group(r, op, err);
}

/* Runs a plan as far as it goes. Outcomes that are not known are left to the next round; a failure
 * that will not pass ends all. `last` is the latest of the former. */
static int run_plan(struct zk_zip_graph *g, const struct zk_zip_plan *p,
                    struct zk_error *last, struct zk_error *err)
{
	struct run r = { .g = g, .p = p };
	unsigned unknown = 0;
	int rc = 0;

	zk_buf_init(&r.body, BODY_MAX);
	zk_buf_init(&r.path, 65536);
	for (size_t i = 0; i < p->n && unknown < UNKNOWN_MAX; i++) {
		rc = run_op(&r, &p->v[i], err);
		if (rc < 0 && !zk_zip_is_ambiguous(err) && rc != -ZK_E_NOT_FOUND)
			break;
		unknown = rc < 0 ? unknown + 1 : 0;
		if (rc < 0)
			*last = *err;
		rc = 0;
	}
	zk_buf_done(&r.body);
	zk_buf_done(&r.path);
	return rc;
}

static int stuck(const struct zk_zip_plan *p, const struct zk_error *last,
                 struct zk_error *err)
{
	if (last->code) {
		*err = *last;
		return zk_wrap(err, "%zu operations are left", p->n);
	}
	return zk_fail(
	        err, ZK_E_UNKNOWN_OUTCOME,
	        "%zu operations are left although the server confirmed them: somebody "
	        "else may be writing to this workflow",
	        p->n);
}

int zk_zip_apply(struct zk_zip_apply *a, const struct zk_zip_workflow *w,
                 struct zk_zip_graph *g, struct zk_error *err)
{
	size_t best = SIZE_MAX;
	struct zk_error last = { 0 }; /* the latest outcome that was not known */
	struct zk_retry retry;

	zk_retry_init(&retry, &g->retry, zk_mono_ms());
	a->rounds = a->planned = 0;
	for (;;) {
		struct zk_zip_plan p;
		int r = zk_zip_graph_read(g, err);

		if (r == 0 && g->partial)
			r = zk_fail(
			        err, ZK_E_SERVER_UNFIT,
			        "this server cannot show connections, so nothing can be "
			        "applied");
		if (r < 0)
			return r;
		zk_zip_plan_make(w, g, &a->plan, &p);
		if (a->rounds++ == 0) {
			a->planned = p.n;
			r = a->on_plan(a->ctx, &p, err);
		}
		if (r == 0 && p.n) {
			bool nearer = p.n < best;

			best = nearer ? p.n : best;
			if (nearer)
				zk_retry_init(&retry, &g->retry, zk_mono_ms());
			else if (!zk_zip_graph_again(g, &retry, &last))
				r = stuck(&p, &last, err);
			if (r == 0)
				r = run_plan(g, &p, &last, err);
		}
		bool over = r < 0 || !p.n;

		zk_zip_plan_done(&p);
		if (over)
			return r;
	}
}
