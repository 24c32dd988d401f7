/* Changes of a graph, each for certain: written, and when it is not known whether it took effect,
 * looked for and written again.
 * Layer: zip. specs/zeal-zip.md §2.3, §5.2 to §5.5. */
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jwrite.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zip/graph.h"

#include "base/ban.h"

#define BODY_MAX ((size_t)64 << 20)

struct change {
	const char *method, *route;
	const char *path; /* NULL = route */
	zk_str body;
	/* Whether the fresh state shows it done. */
	bool (*is_done)(const struct zk_zip_graph *g, const void *ctx);
	const void *ctx;
};

struct pause {
	bool over;
};

static void on_pause(void *ctx)
{
	struct pause *p = ctx;

	p->over = true;
}

static void pause_for(struct zk_zip_graph *g, int64_t ms)
{
	struct zk_loop *loop = zk_net_loop(zk_zip_net(g->zip));
	struct pause p = { false };
	struct zk_timer *t = zk_timer_new(loop, on_pause, &p);

	zk_timer_start(t, ms, 0);
	zk_loop_until(loop, &p.over);
	zk_timer_free(t);
}

bool zk_zip_graph_again(struct zk_zip_graph *g, struct zk_retry *retry,
                        const struct zk_error *err)
{
	struct zk_rand rnd;
	int64_t wait;

	zk_rand_seed(&rnd, (uint64_t)zk_mono_us());
	wait = zk_retry_next(retry, zk_mono_ms(), err->retry_after_ms, &rnd);
	if (wait < 0)
		return false;
	pause_for(g, wait);
	return true;
}

/* *ret: 0 = as answered, 1 = found in the state although the answer said nothing of it. */
static int settle(struct zk_zip_graph *g, const struct change *c, struct zk_buf *answer,
                  bool *adopted, struct zk_error *err)
{
	struct zk_retry retry;

	*adopted = false;
	zk_retry_init(&retry, &g->retry, zk_mono_ms());
	for (;;) {
		struct zk_error why;
		int r = zk_zip_graph_write(g,
		                           &(struct zk_zip_write){ .method = c->method,
		                                                   .route = c->route,
		                                                   .path = c->path,
		                                                   .body = c->body },
		                           answer, err);

		if (r >= 0 || !zk_zip_is_ambiguous(err))
			return r;
		if (zk_zip_graph_read(g, &why) < 0)
			return -(int)err->code;
		if (g->partial && strstr(c->route, "/nodes") == NULL)
			return -(int)err->code; /* the editor's API does not show it */
		if (c->is_done(g, c->ctx)) {
			*adopted = true;
			return 0;
		}
		if (!zk_zip_graph_again(g, &retry, err))
			return -(int)err->code;
	}
}

/* ---- nodes ---- */

struct wanted_node {
	const struct zk_zip_new_node *n;
	const struct zk_conf_file *values; /* NULL = none */
	const struct zk_map *before;       /* ids that were there */
};

static bool is_wanted(const struct zk_node *node, const struct wanted_node *w)
{
	const struct zk_node *have = zk_zip_values_of(node);
	double x, y;

	if (zk_map_get(w->before, zk_zip_text(node, "id")) ||
	    !zk_str_eq(zk_zip_text(node, "metadata.templateId"), w->n->template) ||
	    !zk_zip_position_of(node, &x, &y) || x != w->n->x || y != w->n->y)
		return false;
	if (!w->values)
		return !have || !have->n;
	return have && zk_zip_same(have, w->values->root);
}

/* The newest that looks like the request. */
static const struct zk_node *find_new(const struct zk_zip_graph *g,
                                      const struct wanted_node *w)
{
	const struct zk_node *found = NULL;

	for (const struct zk_node *n = zk_zip_graph_nodes(g); n; n = n->next)
		if (is_wanted(n, w))
			found = n;
	return found;
}

static bool node_is_there(const struct zk_zip_graph *g, const void *ctx)
{
	return find_new(g, ctx) != NULL;
}

static zk_str answered(const struct zk_buf *answer, zk_str path)
{
	struct zk_jval v;
	zk_str text = ZK_STR_NULL;

	if (zk_jscan_get(zk_buf_str(answer), path, &v) && v.type == ZK_J_STRING)
		(void)zk_jstr_plain(v.raw, &text);
	return text;
}

static int add_verified(struct zk_zip_graph *g, const struct change *c,
                        const struct wanted_node *w, struct zk_buf *id,
                        struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&answer, BODY_MAX);
	/* What another writer overwrote is written again [T 13]. */
	for (int tries = 0; tries < 3; tries++) {
		const struct zk_node *found;
		bool adopted;

		if (settle(g, c, &answer, &adopted, err) < 0)
			return -(int)err->code;
		if (!adopted && zk_zip_graph_read(g, err) < 0)
			return -(int)err->code;
		zk_str said = adopted ? ZK_STR_NULL : answered(&answer, ZK_STR("nodeId"));

		found = said.n ? zk_zip_graph_node(g, said) : NULL;
		if (!found)
			found = find_new(g, w);
		if (!found)
			continue;
		zk_buf_add(id, zk_zip_text(found, "id"));
		return 0;
	}
	return zk_fail(err, ZK_E_UNKNOWN_OUTCOME,
	               "the server says that it added the node, but its state lacks it");
}

int zk_zip_add_node(struct zk_zip_graph *g, const struct zk_zip_new_node *n,
                    struct zk_buf *id, bool *verified, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_map before;
	struct wanted_node w = { .n = n, .before = &before };
	struct change c = { .method = "POST",
		            .route = "/orchestrator/nodes",
		            .is_done = node_is_there,
		            .ctx = &w };
	struct zk_conf_file *values = NULL;
	int r = 0;

	zk_map_init(&before);
	zk_buf_init(&body, BODY_MAX);
	zk_buf_init(&answer, BODY_MAX);
	zk_zip_body_node(g, n, &body);
	c.body = zk_buf_str(&body);
	*verified = g->verify;
	if (!g->verify) {
		r = zk_zip_graph_write(g,
		                       &(struct zk_zip_write){ .method = c.method,
		                                               .route = c.route,
		                                               .body = c.body },
		                       &answer, err);
		if (r == 0)
			zk_buf_add(id, answered(&answer, ZK_STR("nodeId")));
	} else {
		if (n->values.n)
			r = zk_zip_doc_parse("values.json", n->values, 1000000, &values,
			                     err);
		w.values = values;
		if (r == 0 && !g->state)
			r = zk_zip_graph_read(g, err);
		for (const struct zk_node *m = zk_zip_graph_nodes(g); m; m = m->next)
			(void)zk_map_set(&before, zk_zip_text(m, "id"), (void *)"");
		if (r == 0)
			r = add_verified(g, &c, &w, id, err);
	}
	zk_conf_file_free(values);
	zk_map_done(&before);
	return r;
}

struct wanted_values {
	zk_str id;
	const struct zk_conf_file *values, *pos; /* NULL = none */
};

static bool values_are_there(const struct zk_zip_graph *g, const void *ctx)
{
	const struct wanted_values *w = ctx;
	const struct zk_node *node = zk_zip_graph_node(g, w->id);
	const struct zk_node *have = zk_zip_values_of(node);

	if (!node)
		return false;
	for (const struct zk_node *m = w->values ? w->values->root->first : NULL; m;
	     m = m->next) {
		const struct zk_node *is = zk_node_get(have, m->key);

		if (!is || !zk_zip_same(is, m))
			return false;
	}
	return !w->pos || zk_zip_same(zk_zip_get(node, "position"), w->pos->root);
}

int zk_zip_set_node(struct zk_zip_graph *g, zk_str id, zk_str values, zk_str pos,
                    struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_conf_file *v = NULL, *p = NULL;
	struct zk_jwrite w;
	bool adopted;
	int r = 0;

	zk_buf_init(&body, BODY_MAX);
	zk_buf_init(&path, 65536);
	zk_zip_body_begin(g, &w, &body);
	if (values.n) {
		zk_jw_key(&w, "properties");
		zk_jw_raw(&w, values);
		r = zk_zip_doc_parse("values.json", values, 1000000, &v, err);
	}
	if (pos.n) {
		zk_jw_key(&w, "position");
		zk_jw_raw(&w, pos);
		if (r == 0)
			r = zk_zip_doc_parse("position.json", pos, 100, &p, err);
	}
	zk_jw_obj_end(&w);
	zk_buf_lit(&path, "/orchestrator/nodes");
	if (r == 0)
		r = zk_zip_segment(&path, "node id", id, err);
	if (r == 0) {
		struct wanted_values want = { .id = id, .values = v, .pos = p };
		struct change c = { .method = "PATCH",
			            .route = "/orchestrator/nodes/{id}",
			            .path = zk_buf_cstring(&path),
			            .body = zk_buf_str(&body),
			            .is_done = values_are_there,
			            .ctx = &want };

		r = settle(g, &c, NULL, &adopted, err);
	}
	zk_conf_file_free(v);
	zk_conf_file_free(p);
	return r;
}

static bool node_is_gone(const struct zk_zip_graph *g, const void *ctx)
{
	const zk_str *id = ctx;

	return !zk_zip_graph_node(g, *id);
}

int zk_zip_delete_node(struct zk_zip_graph *g, zk_str id, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct change c = { .method = "DELETE",
		            .route = "/orchestrator/nodes/{id}",
		            .is_done = node_is_gone,
		            .ctx = &id };
	bool adopted;

	if (!g->state && zk_zip_graph_read(g, err) < 0)
		return -(int)err->code;
	for (;;) {
		const struct zk_node *conn = zk_zip_graph_conns(g);

		while (conn && !zk_str_eq(zk_zip_text(conn, "source.nodeId"), id) &&
		       !zk_str_eq(zk_zip_text(conn, "target.nodeId"), id))
			conn = conn->next;
		if (!conn)
			break;
		/* The id dies with the state. */
		zk_str dying = zk_zip_text(conn, "id");
		ZK_CLEANUP(zk_freep)
		char *copy = zk_strndup(dying.p ? dying.p : "", dying.n);

		if (zk_zip_disconnect(g, zk_str_of(copy), err) < 0 ||
		    zk_zip_graph_read(g, err) < 0)
			return -(int)err->code;
	}
	zk_buf_init(&path, 65536);
	zk_buf_lit(&path, "/orchestrator/nodes");
	if (zk_zip_segment(&path, "node id", id, err) < 0)
		return -(int)err->code;
	zk_zip_query(&path, "workflowId", g->workflow);
	zk_zip_query(&path, "graphId", g->graph);
	c.path = zk_buf_cstring(&path);
	return settle(g, &c, NULL, &adopted, err);
}

/* ---- connections ---- */

static const struct zk_node *find_conn(const struct zk_zip_graph *g, const zk_str *e)
{
	for (const struct zk_node *c = zk_zip_graph_conns(g); c; c = c->next)
		if (zk_zip_conn_is(c, e[0], e[1], e[2], e[3]))
			return c;
	return NULL;
}

static bool conn_is_there(const struct zk_zip_graph *g, const void *ctx)
{
	return find_conn(g, ctx) != NULL;
}

int zk_zip_connect(struct zk_zip_graph *g, const zk_str ends[4], struct zk_buf *id,
                   struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct change c = { .method = "POST",
		            .route = "/orchestrator/connections",
		            .is_done = conn_is_there,
		            .ctx = ends };
	bool adopted;

	zk_buf_init(&body, BODY_MAX);
	zk_buf_init(&answer, BODY_MAX);
	zk_zip_body_conn(g, ends, &body);
	c.body = zk_buf_str(&body);
	if (settle(g, &c, &answer, &adopted, err) < 0)
		return -(int)err->code;
	zk_buf_add(id, adopted ? zk_zip_text(find_conn(g, ends), "id")
	                       : answered(&answer, ZK_STR("connection.id")));
	return 0;
}

static bool has_id(const struct zk_node *list, zk_str id)
{
	for (; list; list = list->next)
		if (zk_str_eq(zk_zip_text(list, "id"), id))
			return true;
	return false;
}

static bool conn_is_gone(const struct zk_zip_graph *g, const void *ctx)
{
	return !has_id(zk_zip_graph_conns(g), *(const zk_str *)ctx);
}

static bool group_is_gone(const struct zk_zip_graph *g, const void *ctx)
{
	return !has_id(zk_zip_graph_groups(g), *(const zk_str *)ctx);
}

/* DELETE with a body that names one thing. */
static int remove_named(struct zk_zip_graph *g, struct change *c, const char *member,
                        zk_str id, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	bool adopted;
	int r;

	zk_buf_init(&body, 65536);
	zk_zip_body_begin(g, &w, &body);
	zk_jw_key(&w, member);
	zk_jw_str(&w, id);
	zk_jw_obj_end(&w);
	c->method = "DELETE";
	c->body = zk_buf_str(&body);
	c->ctx = &id;
	r = settle(g, c, NULL, &adopted, err);
	/* They end here. */
	c->ctx = NULL;
	c->body = ZK_STR_NULL;
	return r;
}

int zk_zip_disconnect(struct zk_zip_graph *g, zk_str id, struct zk_error *err)
{
	struct change c = { .route = "/orchestrator/connections",
		            .is_done = conn_is_gone };

	return remove_named(g, &c, "connectionId", id, err);
}

/* ---- groups ---- */

int zk_zip_delete_group(struct zk_zip_graph *g, zk_str id, struct zk_error *err)
{
	struct change c = { .route = "/orchestrator/groups", .is_done = group_is_gone };

	return remove_named(g, &c, "groupId", id, err);
}

struct wanted_group {
	const struct zk_conf_file *want;
	const struct zk_map *before;
};

static const struct zk_node *find_group(const struct zk_zip_graph *g,
                                        const struct wanted_group *w)
{
	for (const struct zk_node *m = zk_zip_graph_groups(g); m; m = m->next)
		if (!zk_map_get(w->before, zk_zip_text(m, "id")) &&
		    zk_str_eq(zk_zip_text(m, "title"),
		              zk_zip_text(w->want->root, "title")) &&
		    zk_zip_same(zk_zip_get(m, "nodeIds"),
		                zk_zip_get(w->want->root, "nodeIds")))
			return m;
	return NULL;
}

static bool group_is_there(const struct zk_zip_graph *g, const void *ctx)
{
	return find_group(g, ctx) != NULL;
}

int zk_zip_add_group(struct zk_zip_graph *g, zk_str members, struct zk_buf *id,
                     struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_conf_file *want = NULL;
	struct zk_map before;
	struct wanted_group w = { .before = &before };
	bool adopted;
	int r = 0;

	zk_map_init(&before);
	zk_buf_init(&body, BODY_MAX);
	zk_buf_init(&answer, BODY_MAX);
	zk_buf_lit(&body, "{\"workflowId\":");
	zk_buf_json_str(&body, g->workflow);
	zk_buf_lit(&body, ",\"graphId\":");
	zk_buf_json_str(&body, g->graph);
	zk_buf_printf(&body, ",%.*s}", ZK_STR_ARG(members));
	if (!g->state)
		r = zk_zip_graph_read(g, err);
	if (r == 0)
		r = zk_zip_doc_parse("group.json", zk_buf_str(&body), 1000000, &want,
		                     err);
	for (const struct zk_node *m = zk_zip_graph_groups(g); m; m = m->next)
		(void)zk_map_set(&before, zk_zip_text(m, "id"), (void *)"");
	if (r == 0) {
		struct change c = { .method = "POST",
			            .route = "/orchestrator/groups",
			            .body = zk_buf_str(&body),
			            .is_done = group_is_there,
			            .ctx = &w };

		w.want = want;
		r = settle(g, &c, &answer, &adopted, err);
		if (r == 0)
			zk_buf_add(id, adopted ? zk_zip_text(find_group(g, &w), "id")
			                       : answered(&answer, ZK_STR("group.id")));
	}
	zk_conf_file_free(want);
	zk_map_done(&before);
	return r;
}
