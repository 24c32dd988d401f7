/* Rules about the connections of a workflow.
 * Layer: zip. specs/zeal-zip.md §5.7. */
#include "zip/workflow_lint.h"

#include "base/buf.h"
#include "base/mem.h"

#include "base/ban.h"

struct lint {
	const struct zk_zip_workflow *w;
	struct zk_zip_findings *found;
	struct zk_map templates; /* "ns/id" and "id" to its node */
	struct zk_map pairs, targets;
};

static void say(struct lint *l, bool is_error, const char *rule,
                const struct zk_zip_wconn *c, const char *what)
{
	struct zk_buf b;

	zk_buf_init(&b, 1u << 20);
	zk_zip_conn_text(&c->from, &c->to, &b);
	zk_zip_found_say(zk_zip_found(l->found, is_error, rule),
	                 zk_spot_value(l->w->file, c->at), NULL, "%s: %s", what,
	                 zk_buf_cstring(&b));
	zk_buf_done(&b);
}

static const struct zk_node *template_of(const struct lint *l, zk_str key)
{
	const struct zk_zip_wnode *n = zk_map_get(&l->w->by_key, key);

	return n ? zk_map_get(&l->templates, n->template) : NULL;
}

static const struct zk_node *port_of(const struct zk_node *template, zk_str id)
{
	const struct zk_node *ports = zk_zip_get_as(template, "ports", ZK_J_ARRAY);

	for (const struct zk_node *p = ports ? ports->first : NULL; p; p = p->next) {
		const struct zk_node *is = zk_zip_get_as(p, "id", ZK_J_STRING);

		if (is && zk_str_eq(is->text, id))
			return p;
	}
	return NULL;
}

static bool member_is(const struct zk_node *port, const char *name, const char *text)
{
	const struct zk_node *n = zk_zip_get(port, name);

	return n && n->kind == ZK_NODE_SCALAR && zk_str_eq(n->text, zk_str_of(text));
}

/* One end against its template; `wrong` is the type that it must not have. */
static void check_port(struct lint *l, const struct zk_zip_wconn *c,
                       const struct zk_zip_wend *end, const char *wrong)
{
	const struct zk_node *t = template_of(l, end->node), *port;

	if (!t)
		return;
	port = port_of(t, end->port);
	if (!port)
		say(l, true, "W211", c, "the template has no such port");
	else if (member_is(port, "type", wrong))
		say(l, true, "W212", c,
		    "the connection runs against the direction of a port");
}

static void check_target(struct lint *l, const struct zk_zip_wconn *c)
{
	const struct zk_node *t = template_of(l, c->to.node);
	const struct zk_node *port = t ? port_of(t, c->to.port) : NULL;
	ZK_CLEANUP(zk_freep)
	char *key =
	        zk_asprintf("%.*s.%.*s", ZK_STR_ARG(c->to.node), ZK_STR_ARG(c->to.port));

	if (zk_map_set(&l->targets, zk_str_of(key), (void *)c) && port &&
	    !member_is(port, "multiple", "true"))
		say(l, false, "W213", c, "the port takes one connection only");
}

static void check_conn(struct lint *l, const struct zk_zip_wconn *c)
{
	struct zk_buf b;

	if (!zk_map_get(&l->w->by_key, c->from.node) ||
	    !zk_map_get(&l->w->by_key, c->to.node)) {
		say(l, true, "W201", c, "an end names no node");
		return;
	}
	if (zk_str_eq(c->from.node, c->to.node))
		say(l, false, "W202", c, "the node is connected to itself");
	zk_buf_init(&b, 1u << 20);
	zk_zip_conn_text(&c->from, &c->to, &b);
	if (zk_map_set(&l->pairs, zk_buf_str(&b), (void *)c))
		say(l, true, "W203", c, "the connection stands twice");
	zk_buf_done(&b);
	check_port(l, c, &c->from, "input");
	check_port(l, c, &c->to, "output");
	check_target(l, c);
}

static void know_templates(struct lint *l, const struct zk_zip_templates *t)
{
	for (size_t i = 0; t && i < t->n; i++) {
		const struct zk_zip_template *one = &t->v[i];
		ZK_CLEANUP(zk_freep)
		char *name = zk_asprintf("%.*s/%.*s", ZK_STR_ARG(one->namespace),
		                         ZK_STR_ARG(one->id));

		if (one->namespace.n)
			(void)zk_map_set(&l->templates, zk_str_of(name),
			                 (void *)one->node);
		else if (one->id.n)
			(void)zk_map_set(&l->templates, one->id, (void *)one->node);
	}
}

/* A template of a file without a namespace stands for the id behind any namespace. */
static void alias_templates(struct lint *l)
{
	for (size_t i = 0; i < l->w->n_nodes; i++) {
		zk_str full = l->w->nodes[i].template;
		ptrdiff_t slash = zk_str_find_char(full, '/');
		void *node;

		if (slash < 0 || zk_map_get(&l->templates, full))
			continue;
		node = zk_map_get(&l->templates, zk_str_from(full, (size_t)slash + 1));
		if (node)
			(void)zk_map_set(&l->templates, full, node);
	}
}

void zk_zip_workflow_lint(const struct zk_zip_workflow *w,
                          const struct zk_zip_templates *templates,
                          struct zk_zip_findings *found)
{
	struct lint l = { .w = w, .found = found };

	zk_map_init(&l.templates);
	zk_map_init(&l.pairs);
	zk_map_init(&l.targets);
	know_templates(&l, templates);
	alias_templates(&l);
	for (size_t i = 0; i < w->n_conns; i++)
		check_conn(&l, &w->conns[i]);
	zk_map_done(&l.templates);
	zk_map_done(&l.pairs);
	zk_map_done(&l.targets);
}
