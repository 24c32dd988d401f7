/* A graph of the server in the declared form, and for Graphviz and Mermaid.
 * Layer: zip. specs/zeal-zip.md §5.6. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "zip/plan.h"

#include "base/ban.h"

struct shown {
	const struct zk_node *at;
	zk_str key; /* the mark, or the id */
	bool marked;
	size_t number;
};

struct view {
	struct shown *v;
	size_t n;
	struct zk_map by_id;
};

static int by_key(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;

	if (x->marked != y->marked)
		return x->marked ? -1 : 1;
	return zk_str_cmp(x->key, y->key);
}

static void view_make(const struct zk_zip_graph *g, struct view *ret)
{
	size_t n = 0;

	for (const struct zk_node *m = zk_zip_graph_nodes(g); m; m = m->next)
		n++;
	*ret = (struct view){ .v = zk_alloc_array(n + 1, sizeof(struct shown)) };
	for (const struct zk_node *m = zk_zip_graph_nodes(g); m; m = m->next) {
		const struct zk_node *k =
		        zk_node_get(zk_zip_values_of(m), ZK_STR("zk.key"));
		struct shown *s = &ret->v[ret->n++];

		s->at = m;
		s->marked = zk_zip_type(k) == ZK_J_STRING;
		s->key = s->marked ? k->text : zk_zip_text(m, "id");
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_key);
	zk_map_init(&ret->by_id);
	for (size_t i = 0; i < ret->n; i++) {
		ret->v[i].number = i;
		(void)zk_map_set(&ret->by_id, zk_zip_text(ret->v[i].at, "id"),
		                 &ret->v[i]);
	}
}

static void view_done(struct view *v)
{
	zk_map_done(&v->by_id);
	free(v->v);
}

static void put_node(struct zk_jwrite *w, const struct shown *s)
{
	const struct zk_node *values = zk_zip_values_of(s->at);
	double x = 0, y = 0;
	bool any = false;

	zk_jw_key_str(w, s->key);
	zk_jw_obj(w);
	zk_jw_key(w, "template");
	zk_jw_str(w, zk_zip_text(s->at, "metadata.templateId"));
	if (zk_zip_position_of(s->at, &x, &y)) {
		zk_jw_key(w, "position");
		zk_jw_arr(w);
		zk_jw_double(w, x);
		zk_jw_double(w, y);
		zk_jw_arr_end(w);
	}
	for (const struct zk_node *m = values ? values->first : NULL; m; m = m->next) {
		if (zk_str_eq(m->key, ZK_STR("zk.key")) || zk_zip_type(m) == ZK_J_NULL)
			continue;
		if (!any) {
			zk_jw_key(w, "properties");
			zk_jw_obj(w);
		}
		any = true;
		zk_jw_key_str(w, m->key);
		zk_zip_json(m, w->b);
		w->comma = true;
	}
	if (any)
		zk_jw_obj_end(w);
	zk_jw_obj_end(w);
}

static zk_str key_of(const struct view *v, zk_str id)
{
	const struct shown *s = zk_map_get(&v->by_id, id);

	return s ? s->key : id;
}

static bool is_simple(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '.' || (unsigned char)s.p[i] <= ' ')
			return false;
	return s.n && zk_str_find(s, ZK_STR("->")) < 0;
}

static void put_conn(struct zk_jwrite *w, const struct zk_zip_wend *from,
                     const struct zk_zip_wend *to)
{
	struct zk_buf b;

	if (!is_simple(from->node) || !is_simple(from->port) || !is_simple(to->node) ||
	    !is_simple(to->port)) {
		const struct zk_zip_wend *const ends[] = { from, to };

		zk_jw_obj(w);
		for (size_t i = 0; i < 2; i++) {
			zk_jw_key(w, i ? "to" : "from");
			zk_jw_obj(w);
			zk_jw_key(w, "node");
			zk_jw_str(w, ends[i]->node);
			zk_jw_key(w, "port");
			zk_jw_str(w, ends[i]->port);
			zk_jw_obj_end(w);
		}
		zk_jw_obj_end(w);
		return;
	}
	zk_buf_init(&b, 1u << 20);
	zk_zip_conn_text(from, to, &b);
	zk_jw_str(w, zk_buf_str(&b));
	zk_buf_done(&b);
}

struct line {
	struct zk_zip_wend from, to;
};

static int by_text(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int r = zk_str_cmp(x->from.node, y->from.node);

	if (!r)
		r = zk_str_cmp(x->from.port, y->from.port);
	if (!r)
		r = zk_str_cmp(x->to.node, y->to.node);
	return r ? r : zk_str_cmp(x->to.port, y->to.port);
}

static struct line *lines_of(const struct zk_zip_graph *g, const struct view *v,
                             size_t *ret_n)
{
	struct line *lines;
	size_t n = 0;

	for (const struct zk_node *c = zk_zip_graph_conns(g); c; c = c->next)
		n++;
	lines = zk_alloc_array(n + 1, sizeof(*lines));
	n = 0;
	for (const struct zk_node *c = zk_zip_graph_conns(g); c; c = c->next) {
		lines[n].from.node = key_of(v, zk_zip_text(c, "source.nodeId"));
		lines[n].from.port = zk_zip_text(c, "source.portId");
		lines[n].to.node = key_of(v, zk_zip_text(c, "target.nodeId"));
		lines[n].to.port = zk_zip_text(c, "target.portId");
		n++;
	}
	if (n)
		qsort(lines, n, sizeof(*lines), by_text);
	*ret_n = n;
	return lines;
}

static void put_text(struct zk_jwrite *w, const char *name, zk_str text)
{
	if (!text.n)
		return;
	zk_jw_key(w, name);
	zk_jw_str(w, text);
}

static int by_cmp(const void *a, const void *b)
{
	return zk_str_cmp(*(const zk_str *)a, *(const zk_str *)b);
}

static void put_members(struct zk_jwrite *w, const struct view *v,
                        const struct zk_node *g)
{
	const struct zk_node *ids = zk_zip_get_as(g, "nodeIds", ZK_J_ARRAY);
	zk_str *keys = zk_alloc_array((ids ? ids->n : 0) + 1, sizeof(*keys));
	size_t n = 0;

	for (const struct zk_node *m = ids ? ids->first : NULL; m; m = m->next)
		if (zk_map_get(&v->by_id, m->text))
			keys[n++] = key_of(v, m->text);
	if (n)
		qsort(keys, n, sizeof(*keys), by_cmp);
	zk_jw_key(w, "nodes");
	zk_jw_arr(w);
	for (size_t i = 0; i < n; i++)
		zk_jw_str(w, keys[i]);
	zk_jw_arr_end(w);
	free(keys);
}

static void put_groups(struct zk_jwrite *w, const struct zk_zip_graph *g,
                       const struct view *v)
{
	const struct zk_node *first = zk_zip_graph_groups(g);
	size_t n = 0;

	if (!first)
		return;
	zk_jw_key(w, "groups");
	zk_jw_obj(w);
	for (const struct zk_node *m = first; m; m = m->next) {
		struct zk_buf key;

		zk_buf_init(&key, 64);
		zk_buf_printf(&key, "group-%zu", ++n);
		zk_jw_key_str(w, zk_buf_str(&key));
		zk_buf_done(&key);
		zk_jw_obj(w);
		put_text(w, "title", zk_zip_text(m, "title"));
		put_text(w, "color", zk_zip_text(m, "color"));
		put_text(w, "description", zk_zip_text(m, "description"));
		put_members(w, v, m);
		zk_jw_obj_end(w);
	}
	zk_jw_obj_end(w);
}

static void put_answer(struct zk_jwrite *w, const struct zk_zip_graph *g,
                       const char *name)
{
	struct zk_jval v;

	if (!zk_jscan_get(zk_buf_str(&g->raw), zk_str_of(name), &v) ||
	    v.type != ZK_J_STRING || v.raw.n <= 2)
		return;
	zk_jw_key(w, name);
	zk_jw_raw(w, v.raw);
}

void zk_zip_export(const struct zk_zip_graph *g, struct zk_buf *b)
{
	struct view v;
	struct line *lines;
	struct zk_jwrite w;
	size_t n;

	view_make(g, &v);
	lines = lines_of(g, &v, &n);
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "zk");
	zk_jw_cstr(&w, "workflow/1");
	put_answer(&w, g, "name");
	put_answer(&w, g, "description");
	zk_jw_key(&w, "graph");
	zk_jw_str(&w, g->graph);
	zk_jw_key(&w, "nodes");
	zk_jw_obj(&w);
	for (size_t i = 0; i < v.n; i++)
		put_node(&w, &v.v[i]);
	zk_jw_obj_end(&w);
	zk_jw_key(&w, "connections");
	zk_jw_arr(&w);
	for (size_t i = 0; i < n; i++)
		put_conn(&w, &lines[i].from, &lines[i].to);
	zk_jw_arr_end(&w);
	put_groups(&w, g, &v);
	zk_jw_obj_end(&w);
	free(lines);
	view_done(&v);
}

void zk_zip_export_dot(const struct zk_zip_graph *g, struct zk_buf *b)
{
	struct view v;
	struct line *lines;
	size_t n;

	view_make(g, &v);
	lines = lines_of(g, &v, &n);
	zk_buf_lit(b, "digraph workflow {\n\trankdir=LR;\n\tnode [shape=box];\n");
	for (size_t i = 0; i < v.n; i++) {
		zk_buf_char(b, '\t');
		zk_buf_json_str(b, v.v[i].key);
		zk_buf_lit(b, " [tooltip=");
		zk_buf_json_str(b, zk_zip_text(v.v[i].at, "metadata.templateId"));
		zk_buf_lit(b, "];\n");
	}
	for (size_t i = 0; i < n; i++) {
		zk_buf_char(b, '\t');
		zk_buf_json_str(b, lines[i].from.node);
		zk_buf_lit(b, " -> ");
		zk_buf_json_str(b, lines[i].to.node);
		zk_buf_lit(b, " [taillabel=");
		zk_buf_json_str(b, lines[i].from.port);
		zk_buf_lit(b, ", headlabel=");
		zk_buf_json_str(b, lines[i].to.port);
		zk_buf_lit(b, "];\n");
	}
	zk_buf_lit(b, "}\n");
	free(lines);
	view_done(&v);
}

/* Text inside quotes of Mermaid: no quotes, no line breaks. */
static void put_label(struct zk_buf *b, zk_str s)
{
	zk_buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '#' || s.p[i] == '<' || s.p[i] == '>' ||
		    (unsigned char)s.p[i] < ' ')
			zk_buf_printf(b, "#%d;", s.p[i]);
		else
			zk_buf_char(b, s.p[i]);
	}
	zk_buf_char(b, '"');
}

void zk_zip_export_mermaid(const struct zk_zip_graph *g, struct zk_buf *b)
{
	struct view v;
	struct zk_map numbers;
	struct line *lines;
	size_t n;

	view_make(g, &v);
	lines = lines_of(g, &v, &n);
	zk_map_init(&numbers);
	zk_buf_lit(b, "flowchart LR\n");
	for (size_t i = 0; i < v.n; i++) {
		(void)zk_map_set(&numbers, v.v[i].key, &v.v[i]);
		zk_buf_printf(b, "    n%zu[", i);
		put_label(b, v.v[i].key);
		zk_buf_lit(b, "]\n");
	}
	for (size_t i = 0; i < n; i++) {
		const struct shown *from = zk_map_get(&numbers, lines[i].from.node);
		const struct shown *to = zk_map_get(&numbers, lines[i].to.node);

		if (!from || !to)
			continue;
		zk_buf_printf(b, "    n%zu -- ", from->number);
		put_label(b, lines[i].from.port);
		zk_buf_printf(b, " --> n%zu\n", to->number);
	}
	zk_map_done(&numbers);
	free(lines);
	view_done(&v);
}
