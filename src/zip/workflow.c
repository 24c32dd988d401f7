/* Workflows in files.
 * Layer: zip. specs/zeal-zip.md §5.6, §5.7. */
#include "zip/workflow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "zip/workflow_lint.h"

#include "base/ban.h"

#define NODES_MAX 100000u
#define GRID_X    200
#define GRID_Y    140
#define GRID_ROW  5

struct parse {
	struct zk_zip_workflow *w;
	struct zk_zip_findings *found;
};

static void say(struct parse *p, const char *rule, struct zk_spot at, const char *what,
                zk_str name)
{
	struct zk_zip_finding *x = zk_zip_found(p->found, true, rule);

	if (name.n)
		zk_zip_found_say(x, at, NULL, "%s '%.*s'", what,
		                 (int)ZK_MIN(name.n, (size_t)100), name.p);
	else
		zk_zip_found_say(x, at, NULL, "%s", what);
}

static struct zk_spot value(const struct parse *p, const struct zk_node *n)
{
	return zk_spot_value(p->w->file, n);
}

static zk_str text_of(const struct zk_node *n)
{
	return n && n->kind == ZK_NODE_SCALAR ? n->text : ZK_STR_NULL;
}

/* ---- keys ---- */

/* A member of any mapping that stands twice. */
static void check_again(struct parse *p, const struct zk_node *root)
{
	const struct zk_node *stack[ZK_DOC_DEPTH_MAX];
	unsigned depth = 0;
	const struct zk_node *n = root->first;

	stack[depth++] = root;
	while (depth) {
		if (!n) {
			n = stack[--depth]->next;
			if (!depth)
				return;
			continue;
		}
		if (n->again)
			say(p, "W206", zk_spot_key(p->w->file, n),
			    "there are two members", n->key);
		if (n->kind != ZK_NODE_SCALAR && n->first && depth < ZK_DOC_DEPTH_MAX) {
			stack[depth++] = n;
			n = n->first;
		} else {
			n = n->next;
		}
	}
}

static void check_known(struct parse *p, const struct zk_node *map,
                        const char *const *names)
{
	ZK_NODE_EACH(m, map)
	{
		size_t i = 0;

		while (names[i] && !zk_str_eq(m->key, zk_str_of(names[i])))
			i++;
		if (!names[i])
			zk_zip_found_say(zk_zip_found(p->found, true, "W214"),
			                 zk_spot_key(p->w->file, m), NULL,
			                 "there is no member '%.*s' here",
			                 ZK_STR_ARG(m->key));
	}
}

/* ---- nodes ---- */

static bool finite_number(const struct zk_node *n, double *ret)
{
	return n && zk_zip_number(n, ret) && isfinite(*ret);
}

static void take_position(struct parse *p, struct zk_zip_wnode *n)
{
	const struct zk_node *pos = zk_zip_get(n->at, "position");
	const struct zk_node *x = NULL, *y = NULL;

	if (!pos)
		return;
	if (pos->kind == ZK_NODE_LIST && pos->n == 2) {
		x = pos->first;
		y = x->next;
	} else if (pos->kind == ZK_NODE_MAP) {
		x = zk_zip_get(pos, "x");
		y = zk_zip_get(pos, "y");
	}
	n->has_position = finite_number(x, &n->x) && finite_number(y, &n->y);
	if (!n->has_position)
		say(p, "W208", value(p, pos), "the position must be two finite numbers",
		    ZK_STR_NULL);
}

static void take_node(struct parse *p, const struct zk_node *m, struct zk_zip_wnode *ret)
{
	static const char *const names[] = { "template", "position", "properties", NULL };
	size_t i = (size_t)(ret - p->w->nodes), row = i / GRID_ROW;

	*ret = (struct zk_zip_wnode){ .key = m->key,
		                      .at = m,
		                      .x = (double)(i % GRID_ROW) * GRID_X,
		                      .y = (double)row * GRID_Y };
	(void)zk_map_set(&p->w->by_key, m->key, ret);
	if (m->kind != ZK_NODE_MAP) {
		say(p, "W207", value(p, m), "there is no template for node", m->key);
		return;
	}
	check_known(p, m, names);
	ret->template = text_of(zk_zip_get_as(m, "template", ZK_J_STRING));
	if (!ret->template.n)
		say(p, "W207", zk_spot_key(p->w->file, m),
		    "there is no template for node", m->key);
	take_position(p, ret);
	ret->properties = zk_zip_get(m, "properties");
	if (ret->properties && zk_zip_type(ret->properties) == ZK_J_NULL)
		ret->properties = NULL;
	if (ret->properties && ret->properties->kind != ZK_NODE_MAP)
		say(p, "W215", value(p, ret->properties),
		    "the properties must be a mapping, for node", m->key);
}

static void take_nodes(struct parse *p, const struct zk_node *map)
{
	struct zk_zip_workflow *w = p->w;

	if (!map || zk_zip_type(map) == ZK_J_NULL)
		return;
	if (map->kind != ZK_NODE_MAP) {
		say(p, "W215", value(p, map),
		    "'nodes' must be a mapping of keys to nodes", ZK_STR_NULL);
		return;
	}
	w->nodes = zk_alloc_array(map->n ? map->n : 1, sizeof(*w->nodes));
	ZK_NODE_EACH(m, map)
	{
		take_node(p, m, &w->nodes[w->n_nodes]);
		w->n_nodes++;
	}
}

/* ---- connections ---- */

bool zk_zip_end_parse(zk_str text, struct zk_zip_wend *ret)
{
	zk_str node, port;

	text = zk_str_trim(text);
	port = zk_str_cut(text, '.', &node);
	if (!node.n || !port.n || zk_str_find_char(port, '.') >= 0)
		return false;
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= 0x20)
			return false;
	*ret = (struct zk_zip_wend){ .node = node, .port = port };
	return true;
}

void zk_zip_conn_text(const struct zk_zip_wend *from, const struct zk_zip_wend *to,
                      struct zk_buf *b)
{
	zk_buf_printf(b, "%.*s.%.*s -> %.*s.%.*s", ZK_STR_ARG(from->node),
	              ZK_STR_ARG(from->port), ZK_STR_ARG(to->node), ZK_STR_ARG(to->port));
}

static bool take_end(const struct zk_node *n, struct zk_zip_wend *ret)
{
	if (zk_zip_type(n) == ZK_J_STRING)
		return zk_zip_end_parse(n->text, ret);
	ret->node = text_of(zk_zip_get(n, "node"));
	ret->port = text_of(zk_zip_get(n, "port"));
	return ret->node.n && ret->port.n;
}

static bool take_conn(const struct zk_node *m, struct zk_zip_wconn *ret)
{
	ptrdiff_t arrow;

	*ret = (struct zk_zip_wconn){ .at = m };
	if (m->kind == ZK_NODE_MAP)
		return take_end(zk_zip_get(m, "from"), &ret->from) &&
		       take_end(zk_zip_get(m, "to"), &ret->to);
	if (zk_zip_type(m) != ZK_J_STRING)
		return false;
	arrow = zk_str_find(m->text, ZK_STR("->"));
	return arrow > 0 &&
	       zk_str_find(zk_str_from(m->text, (size_t)arrow + 2), ZK_STR("->")) < 0 &&
	       zk_zip_end_parse(zk_str_n(m->text.p, (size_t)arrow), &ret->from) &&
	       zk_zip_end_parse(zk_str_from(m->text, (size_t)arrow + 2), &ret->to);
}

static void take_conns(struct parse *p, const struct zk_node *list)
{
	struct zk_zip_workflow *w = p->w;

	if (!list || zk_zip_type(list) == ZK_J_NULL)
		return;
	if (list->kind != ZK_NODE_LIST) {
		say(p, "W205", value(p, list), "'connections' must be a list",
		    ZK_STR_NULL);
		return;
	}
	w->conns = zk_alloc_array(list->n ? list->n : 1, sizeof(*w->conns));
	ZK_NODE_EACH(m, list)
	{
		if (take_conn(m, &w->conns[w->n_conns]))
			w->n_conns++;
		else
			say(p, "W205", value(p, m),
			    "a connection is written \"a.out -> b.in\", or {from: {node: "
			    "a, "
			    "port: out}, to: {node: b, port: in}}",
			    ZK_STR_NULL);
	}
}

/* ---- groups ---- */

static void take_group(struct parse *p, const struct zk_node *m,
                       struct zk_zip_wgroup *ret)
{
	static const char *const names[] = { "title", "color", "description", "nodes",
		                             NULL };
	const struct zk_node *nodes = zk_zip_get_as(m, "nodes", ZK_J_ARRAY);

	*ret = (struct zk_zip_wgroup){ .key = m->key, .at = m, .title = m->key };
	if (m->kind != ZK_NODE_MAP) {
		say(p, "W215", value(p, m), "it must be a mapping: group", m->key);
		return;
	}
	check_known(p, m, names);
	if (zk_zip_get(m, "title"))
		ret->title = text_of(zk_zip_get(m, "title"));
	ret->color = text_of(zk_zip_get(m, "color"));
	ret->description = text_of(zk_zip_get(m, "description"));
	if (!nodes)
		return;
	ret->nodes = zk_alloc_array(nodes->n ? nodes->n : 1, sizeof(zk_str));
	ZK_NODE_EACH(name, nodes)
	{
		ret->nodes[ret->n] = text_of(name);
		if (zk_map_get(&p->w->by_key, ret->nodes[ret->n]))
			ret->n++;
		else
			say(p, "W204", value(p, name),
			    "the group names no node:", text_of(name));
	}
}

static void take_groups(struct parse *p, const struct zk_node *map)
{
	struct zk_zip_workflow *w = p->w;

	if (!map || zk_zip_type(map) == ZK_J_NULL)
		return;
	if (map->kind != ZK_NODE_MAP) {
		say(p, "W215", value(p, map), "'groups' must be a mapping", ZK_STR_NULL);
		return;
	}
	w->groups = zk_alloc_array(map->n ? map->n : 1, sizeof(*w->groups));
	ZK_NODE_EACH(m, map)
	{
		take_group(p, m, &w->groups[w->n_groups]);
		w->n_groups++;
	}
}

/* ---- the document ---- */

static void take_root(struct parse *p, const struct zk_node *root)
{
	static const char *const names[] = { "zk",     "name",  "description",
		                             "graph",  "nodes", "connections",
		                             "groups", NULL };
	struct zk_zip_workflow *w = p->w;
	const struct zk_node *version = zk_zip_get(root, "zk");

	if (!version || !zk_str_eq(text_of(version), ZK_STR("workflow/1")))
		say(p, "W210", value(p, version ? version : root),
		    "the marker must be: zk: workflow/1", ZK_STR_NULL);
	w->name = text_of(zk_zip_get(root, "name"));
	if (!w->name.n)
		say(p, "W209", value(p, root), "the workflow has no name", ZK_STR_NULL);
	w->description = text_of(zk_zip_get(root, "description"));
	w->graph = text_of(zk_zip_get(root, "graph"));
	if (!w->graph.n)
		w->graph = ZK_STR("main");
	check_known(p, root, names);
	check_again(p, root);
	take_nodes(p, zk_zip_get(root, "nodes"));
	take_conns(p, zk_zip_get(root, "connections"));
	take_groups(p, zk_zip_get(root, "groups"));
}

static void take_file(struct parse *p, const struct zk_zip_templates *templates)
{
	const struct zk_node *root = p->w->file->root;

	if (!root || root->kind != ZK_NODE_MAP) {
		struct zk_spot top = {
			.file = p->w->file, .line = 1, .col = 1, .span = 1
		};

		say(p, "W210", root ? value(p, root) : top,
		    "the document must be a mapping that begins with zk: workflow/1",
		    ZK_STR_NULL);
		return;
	}
	if (root->next)
		say(p, "W210", value(p, root->next),
		    "the file holds more than one document", ZK_STR_NULL);
	take_root(p, root);
	zk_zip_workflow_lint(p->w, templates, p->found);
}

static void init(struct zk_zip_workflow *w)
{
	*w = (struct zk_zip_workflow){ 0 };
	zk_map_init(&w->by_key);
}

void zk_zip_workflow_parse(const char *name, zk_str text,
                           const struct zk_zip_templates *templates,
                           struct zk_zip_workflow *ret, struct zk_zip_findings *found)
{
	struct parse p = { .w = ret, .found = found };
	struct zk_error why = { 0 };

	init(ret);
	if (zk_zip_doc_parse(name, text, NODES_MAX, &ret->file, &why) < 0)
		zk_zip_found_unread(found, &why);
	else
		take_file(&p, templates);
}

int zk_zip_workflow_read(const char *path, const struct zk_zip_templates *templates,
                         struct zk_zip_workflow *ret, struct zk_zip_findings *found,
                         struct zk_error *err)
{
	struct parse p = { .w = ret, .found = found };
	struct zk_error why = { 0 };

	init(ret);
	if (zk_zip_doc_read(path, NODES_MAX, &ret->file, &why) == 0) {
		take_file(&p, templates);
		return 0;
	}
	if (why.code == ZK_E_NO_INPUT) {
		*err = why;
		return -(int)err->code;
	}
	zk_zip_found_unread(found, &why);
	return 0;
}

void zk_zip_workflow_done(struct zk_zip_workflow *w)
{
	for (size_t i = 0; i < w->n_groups; i++)
		free(w->groups[i].nodes);
	free(w->nodes);
	free(w->conns);
	free(w->groups);
	zk_map_done(&w->by_key);
	zk_conf_file_free(w->file);
	*w = (struct zk_zip_workflow){ 0 };
}
