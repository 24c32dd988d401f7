/* The difference between a declared workflow and its graph on the server.
 * Layer: zip. specs/zeal-zip.md §5.6. */
#include "zip/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define VALUES_MAX ((size_t)64 << 20)
#define KEY        "zk.key"

/* A node of the server. */
struct actual {
	const struct zk_node *at;
	zk_str id, key;                  /* key: empty = nobody declared it */
	const struct zk_zip_wnode *want; /* what it is kept for; NULL = none */
	bool dies;
};

struct planner {
	const struct zk_zip_workflow *w;
	const struct zk_zip_graph *g;
	const struct zk_zip_plan_conf *conf;
	struct zk_zip_plan *p;
	struct actual *nodes;
	size_t n_nodes;
	struct zk_map by_id;   /* id to actual */
	struct zk_map by_want; /* key to the actual that is kept */
	struct zk_map pairs;   /* four texts to the declared connection */
};

static char *copy(zk_str s)
{
	return zk_strndup(s.n ? s.p : "", s.n);
}

static struct zk_zip_op *add_op(struct zk_zip_plan *p, enum zk_zip_op_kind kind,
                                zk_str id, zk_str label)
{
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 64;
		p->v = zk_realloc(p->v, p->room * sizeof(*p->v));
	}
	p->v[p->n] = (struct zk_zip_op){ .kind = kind,
		                         .id = id.n ? copy(id) : NULL,
		                         .label = copy(label) };
	return &p->v[p->n++];
}

/* ---- who is who ---- */

static zk_str key_of(const struct zk_node *node)
{
	const struct zk_node *k = zk_node_get(zk_zip_values_of(node), ZK_STR(KEY));

	return zk_zip_type(k) == ZK_J_STRING ? k->text : ZK_STR_NULL;
}

static void judge_node(struct planner *pl, struct actual *a)
{
	const struct zk_zip_wnode *want =
	        a->key.n ? zk_map_get(&pl->w->by_key, a->key) : NULL;

	if (!a->key.n) {
		a->dies = pl->conf->prune;
		return;
	}
	a->dies = !want || zk_map_get(&pl->by_want, a->key) ||
	          !zk_str_eq(zk_zip_text(a->at, "metadata.templateId"), want->template);
	if (a->dies)
		return;
	a->want = want;
	(void)zk_map_set(&pl->by_want, a->key, a);
	free(zk_map_set(&pl->p->ids, a->key, copy(a->id)));
}

static void know_nodes(struct planner *pl)
{
	size_t n = 0;

	for (const struct zk_node *m = zk_zip_graph_nodes(pl->g); m; m = m->next)
		n++;
	pl->nodes = zk_alloc_array(n ? n : 1, sizeof(*pl->nodes));
	for (const struct zk_node *m = zk_zip_graph_nodes(pl->g); m; m = m->next) {
		struct actual *a = &pl->nodes[pl->n_nodes++];

		*a = (struct actual){ .at = m,
			              .id = zk_zip_text(m, "id"),
			              .key = key_of(m) };
		(void)zk_map_set(&pl->by_id, a->id, a);
		judge_node(pl, a);
	}
}

/* ---- connections ---- */

static void pair_key(struct zk_buf *b, const zk_str part[4])
{
	zk_buf_clear(b);
	for (size_t i = 0; i < 4; i++) {
		zk_buf_add(b, part[i]);
		zk_buf_char(b, '\0');
	}
}

static void know_pairs(struct planner *pl, struct zk_buf *b)
{
	for (size_t i = 0; i < pl->w->n_conns; i++) {
		struct zk_zip_wconn *c = &pl->w->conns[i];
		const zk_str part[] = { c->from.node, c->from.port, c->to.node,
			                c->to.port };

		pair_key(b, part);
		(void)zk_map_set(&pl->pairs, zk_buf_str(b), c);
	}
}

static zk_str name_of(const struct planner *pl, zk_str id)
{
	const struct actual *a = zk_map_get(&pl->by_id, id);

	return a && a->key.n ? a->key : id;
}

/* Whether a connection of the server stays. A declared one that is found is taken off `pairs`. */
static bool conn_stays(struct planner *pl, const struct zk_node *c, struct zk_buf *b)
{
	const struct actual *from =
	        zk_map_get(&pl->by_id, zk_zip_text(c, "source.nodeId"));
	const struct actual *to = zk_map_get(&pl->by_id, zk_zip_text(c, "target.nodeId"));
	bool ours;

	if ((from && from->dies) || (to && to->dies))
		return false;
	if (from && from->want && to && to->want) {
		const zk_str part[] = { from->key, zk_zip_text(c, "source.portId"),
			                to->key, zk_zip_text(c, "target.portId") };

		pair_key(b, part);
		return zk_map_del(&pl->pairs, zk_buf_str(b));
	}
	/* An end that does not exist: what a deleted node left behind. */
	ours = (from && from->want) || (to && to->want);
	return (from && to) || !(ours || pl->conf->prune);
}

static void plan_disconnects(struct planner *pl, struct zk_buf *b)
{
	for (const struct zk_node *c = zk_zip_graph_conns(pl->g); c; c = c->next) {
		struct zk_zip_wend from, to;

		if (conn_stays(pl, c, b))
			continue;
		from.node = name_of(pl, zk_zip_text(c, "source.nodeId"));
		from.port = zk_zip_text(c, "source.portId");
		to.node = name_of(pl, zk_zip_text(c, "target.nodeId"));
		to.port = zk_zip_text(c, "target.portId");
		zk_buf_clear(b);
		zk_zip_conn_text(&from, &to, b);
		(void)add_op(pl->p, ZK_ZIP_DISCONNECT, zk_zip_text(c, "id"),
		             zk_buf_str(b));
	}
}

static void plan_connects(struct planner *pl, struct zk_buf *b)
{
	for (size_t i = 0; i < pl->w->n_conns; i++) {
		const struct zk_zip_wconn *c = &pl->w->conns[i];
		const zk_str part[] = { c->from.node, c->from.port, c->to.node,
			                c->to.port };

		pair_key(b, part);
		if (!zk_map_get(&pl->pairs, zk_buf_str(b)))
			continue;
		zk_buf_clear(b);
		zk_zip_conn_text(&c->from, &c->to, b);
		add_op(pl->p, ZK_ZIP_CONNECT, ZK_STR_NULL, zk_buf_str(b))->conn = c;
	}
}

/* ---- nodes ---- */

static void plan_deletes(struct planner *pl)
{
	for (size_t i = 0; i < pl->n_nodes; i++) {
		const struct actual *a = &pl->nodes[i];

		if (a->dies)
			(void)add_op(pl->p, ZK_ZIP_DELETE_NODE, a->id,
			             a->key.n ? a->key : a->id);
	}
}

/* The declared properties and the mark. */
static char *all_values(const struct zk_zip_wnode *n)
{
	struct zk_buf b;
	struct zk_jwrite w;

	zk_buf_init(&b, VALUES_MAX);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	for (const struct zk_node *m = n->properties ? n->properties->first : NULL; m;
	     m = m->next) {
		if (zk_str_eq(m->key, ZK_STR(KEY)))
			continue;
		zk_jw_key_str(&w, m->key);
		zk_zip_json(m, &b);
		w.comma = true;
	}
	zk_jw_key(&w, KEY);
	zk_jw_str(&w, n->key);
	zk_jw_obj_end(&w);
	return zk_buf_take(&b);
}

static void plan_adds(struct planner *pl)
{
	for (size_t i = 0; i < pl->w->n_nodes; i++) {
		const struct zk_zip_wnode *n = &pl->w->nodes[i];
		struct zk_zip_op *op;

		if (zk_map_get(&pl->by_want, n->key))
			continue;
		op = add_op(pl->p, ZK_ZIP_ADD_NODE, ZK_STR_NULL, n->key);
		op->node = n;
		op->values = all_values(n);
		op->x = n->x;
		op->y = n->y;
	}
}

/* The properties to be set so that they are as declared; NULL when they are. What is not declared
 * cannot be taken away and becomes null. */
static char *changed_values(const struct zk_zip_wnode *n, const struct zk_node *have)
{
	struct zk_buf b;
	struct zk_jwrite w;
	bool any = false;

	zk_buf_init(&b, VALUES_MAX);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	for (const struct zk_node *m = n->properties ? n->properties->first : NULL; m;
	     m = m->next) {
		const struct zk_node *is = zk_node_get(have, m->key);

		if ((is && zk_zip_same(is, m)) || zk_str_eq(m->key, ZK_STR(KEY)))
			continue;
		zk_jw_key_str(&w, m->key);
		zk_zip_json(m, &b);
		w.comma = true;
		any = true;
	}
	for (const struct zk_node *m = have ? have->first : NULL; m; m = m->next) {
		if (zk_str_eq(m->key, ZK_STR(KEY)) || zk_zip_type(m) == ZK_J_NULL ||
		    zk_node_get(n->properties, m->key))
			continue;
		zk_jw_key_str(&w, m->key);
		zk_jw_null(&w);
		any = true;
	}
	zk_jw_obj_end(&w);
	if (any)
		return zk_buf_take(&b);
	zk_buf_done(&b);
	return NULL;
}

static void plan_updates(struct planner *pl)
{
	for (size_t i = 0; i < pl->w->n_nodes; i++) {
		const struct zk_zip_wnode *n = &pl->w->nodes[i];
		const struct actual *a = zk_map_get(&pl->by_want, n->key);
		char *values = a ? changed_values(n, zk_zip_values_of(a->at)) : NULL;
		struct zk_zip_op *op;
		double x, y;

		if (values) {
			op = add_op(pl->p, ZK_ZIP_UPDATE_NODE, a->id, n->key);
			op->node = n;
			op->values = values;
		}
		if (!a || !(n->has_position || pl->conf->positions) ||
		    (zk_zip_position_of(a->at, &x, &y) && x == n->x && y == n->y))
			continue;
		op = add_op(pl->p, ZK_ZIP_MOVE_NODE, a->id, n->key);
		op->node = n;
		op->x = n->x;
		op->y = n->y;
	}
}

/* ---- groups ---- */

/* Whether the group of the server holds exactly the declared nodes. */
static bool same_members(const struct planner *pl, const struct zk_zip_wgroup *want,
                         const struct zk_node *have)
{
	const struct zk_node *ids = zk_zip_get_as(have, "nodeIds", ZK_J_ARRAY);
	size_t n = 0;

	for (const struct zk_node *m = ids ? ids->first : NULL; m; m = m->next) {
		const struct actual *a = zk_map_get(&pl->by_id, m->text);
		size_t i = 0;

		while (i < want->n &&
		       !(a && a->want && zk_str_eq(a->key, want->nodes[i])))
			i++;
		if (i == want->n)
			return false;
		n++;
	}
	return n == want->n;
}

static bool is_taken(const struct zk_node **taken, size_t n, const struct zk_node *g)
{
	for (size_t i = 0; i < n; i++)
		if (taken[i] == g)
			return true;
	return false;
}

/* The group of the server that is this one: of the same title, or of the same nodes. */
static const struct zk_node *find_group(const struct planner *pl,
                                        const struct zk_zip_wgroup *want,
                                        const struct zk_node **taken, size_t n)
{
	const struct zk_node *by_nodes = NULL;

	for (const struct zk_node *g = zk_zip_graph_groups(pl->g); g; g = g->next) {
		if (is_taken(taken, n, g))
			continue;
		if (zk_str_eq(zk_zip_text(g, "title"), want->title))
			return g;
		if (!by_nodes && same_members(pl, want, g))
			by_nodes = g;
	}
	return by_nodes;
}

/* The members in which they differ, as raw JSON; NULL when in none. `have` NULL: all. */
static char *changed_group(const struct planner *pl, const struct zk_zip_wgroup *want,
                           const struct zk_node *have)
{
	struct zk_buf b;
	struct zk_jwrite w;
	bool any = !have;

	zk_buf_init(&b, VALUES_MAX);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	if (!have || !zk_str_eq(zk_zip_text(have, "title"), want->title)) {
		zk_jw_key(&w, "title");
		zk_jw_str(&w, want->title);
		any = true;
	}
	if (want->color.n &&
	    (!have || !zk_str_eq(zk_zip_text(have, "color"), want->color))) {
		zk_jw_key(&w, "color");
		zk_jw_str(&w, want->color);
		any = true;
	}
	if (want->description.n &&
	    (!have || !zk_str_eq(zk_zip_text(have, "description"), want->description))) {
		zk_jw_key(&w, "description");
		zk_jw_str(&w, want->description);
		any = true;
	}
	if (!have || !same_members(pl, want, have)) {
		zk_jw_key(&w, "nodes");
		zk_jw_arr(&w);
		for (size_t i = 0; i < want->n; i++)
			zk_jw_str(&w, want->nodes[i]);
		zk_jw_arr_end(&w);
		any = true;
	}
	zk_jw_obj_end(&w);
	if (any)
		return zk_buf_take(&b);
	zk_buf_done(&b);
	return NULL;
}

/* A group of which every node is declared, or was. */
static bool is_ours(const struct planner *pl, const struct zk_node *g)
{
	const struct zk_node *ids = zk_zip_get_as(g, "nodeIds", ZK_J_ARRAY);

	if (!ids || !ids->n)
		return false;
	for (const struct zk_node *m = ids->first; m; m = m->next) {
		const struct actual *a = zk_map_get(&pl->by_id, m->text);

		if (!a || !a->key.n)
			return false;
	}
	return true;
}

/* Which group of the server each declared one is. */
static void match_groups(const struct planner *pl, const struct zk_node **taken)
{
	for (size_t i = 0; i < pl->w->n_groups; i++)
		taken[i] = find_group(pl, &pl->w->groups[i], taken, i);
}

static void plan_group_deletes(struct planner *pl, const struct zk_node **taken)
{
	for (const struct zk_node *g = zk_zip_graph_groups(pl->g); g; g = g->next)
		if (!is_taken(taken, pl->w->n_groups, g) &&
		    (pl->conf->prune || is_ours(pl, g)))
			(void)add_op(pl->p, ZK_ZIP_DELETE_GROUP, zk_zip_text(g, "id"),
			             zk_zip_text(g, "title"));
}

static void plan_groups(struct planner *pl, const struct zk_node **taken)
{
	for (size_t i = 0; i < pl->w->n_groups; i++) {
		const struct zk_zip_wgroup *want = &pl->w->groups[i];
		char *values = changed_group(pl, want, taken[i]);
		struct zk_zip_op *op;

		if (!values)
			continue;
		op = add_op(pl->p, ZK_ZIP_REPLACE_GROUP,
		            taken[i] ? zk_zip_text(taken[i], "id") : ZK_STR_NULL,
		            want->key);
		op->group = want;
		op->values = values;
	}
}

void zk_zip_plan_make(const struct zk_zip_workflow *w, const struct zk_zip_graph *g,
                      const struct zk_zip_plan_conf *conf, struct zk_zip_plan *ret)
{
	struct planner pl = { .w = w, .g = g, .conf = conf, .p = ret };
	const struct zk_node **taken =
	        zk_alloc_array(w->n_groups + 1, sizeof(const struct zk_node *));
	struct zk_buf b;

	*ret = (struct zk_zip_plan){ 0 };
	zk_map_init(&ret->ids);
	zk_map_init(&pl.by_id);
	zk_map_init(&pl.by_want);
	zk_map_init(&pl.pairs);
	zk_buf_init(&b, VALUES_MAX);
	know_nodes(&pl);
	know_pairs(&pl, &b);
	match_groups(&pl, taken);
	plan_disconnects(&pl, &b);
	plan_group_deletes(&pl, taken);
	plan_deletes(&pl);
	plan_adds(&pl);
	plan_updates(&pl);
	plan_connects(&pl, &b);
	plan_groups(&pl, taken);
	zk_map_done(&pl.by_id);
	zk_map_done(&pl.by_want);
	zk_map_done(&pl.pairs);
	zk_buf_done(&b);
	free(pl.nodes);
	free((void *)taken);
}

void zk_zip_plan_done(struct zk_zip_plan *p)
{
	size_t pos = 0;
	zk_str key;
	void *id;

	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].id);
		free(p->v[i].label);
		free(p->v[i].values);
	}
	free(p->v);
	while (zk_map_next(&p->ids, &pos, &key, &id))
		free(id);
	zk_map_done(&p->ids);
	*p = (struct zk_zip_plan){ 0 };
}

/* ---- rows ---- */

static void put_position(struct zk_jwrite *w, const struct zk_zip_op *op)
{
	zk_jw_key(w, "position");
	zk_jw_arr(w);
	zk_jw_double(w, op->x);
	zk_jw_double(w, op->y);
	zk_jw_arr_end(w);
}

void zk_zip_op_row(const struct zk_zip_op *op, struct zk_jwrite *w)
{
	static const char *const names[] = { "disconnect", "delete-group", "delete-node",
		                             "add-node",   "update-node",  "move-node",
		                             "connect",    "replace-group" };

	zk_jw_key(w, "op");
	zk_jw_cstr(w, names[op->kind]);
	switch (op->kind) {
	case ZK_ZIP_DISCONNECT:
	case ZK_ZIP_CONNECT:
		zk_jw_key(w, "connection");
		zk_jw_cstr(w, op->label);
		break;
	case ZK_ZIP_DELETE_GROUP:
		zk_jw_key(w, "group");
		zk_jw_cstr(w, op->label);
		break;
	case ZK_ZIP_REPLACE_GROUP:
		zk_jw_key(w, "group");
		zk_jw_cstr(w, op->label);
		if (strlen(op->values) > 2)
			zk_buf_printf(w->b, ",%.*s", (int)strlen(op->values) - 2,
			              op->values + 1);
		break;
	case ZK_ZIP_DELETE_NODE:
		zk_jw_key(w, "node");
		zk_jw_cstr(w, op->label);
		break;
	case ZK_ZIP_ADD_NODE:
		zk_jw_key(w, "node");
		zk_jw_cstr(w, op->label);
		zk_jw_key(w, "template");
		zk_jw_str(w, op->node->template);
		break;
	case ZK_ZIP_UPDATE_NODE:
		zk_jw_key(w, "node");
		zk_jw_cstr(w, op->label);
		zk_jw_key(w, "properties");
		zk_jw_raw(w, zk_str_of(op->values));
		break;
	case ZK_ZIP_MOVE_NODE:
		zk_jw_key(w, "node");
		zk_jw_cstr(w, op->label);
		put_position(w, op);
		break;
	}
}
