/* The rules T101 to T117 of templates.
 * Layer: zip. specs/zeal-zip.md §4.5. */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "zip/template.h"

#include "base/ban.h"

/* A finding at `at` about the member `name` of the way of the check. */
static struct zk_zip_finding *found(struct zk_zip_check *c, bool is_error,
                                    const char *rule, const char *name)
{
	struct zk_zip_finding *x;

	if (!name)
		return zk_zip_check_found(c, is_error, rule);
	zk_zip_check_enter(c, zk_str_of(name));
	x = zk_zip_check_found(c, is_error, rule);
	zk_zip_check_leave(c);
	return x;
}

static struct zk_spot spot(const struct zk_zip_check *c, const struct zk_node *n)
{
	return zk_spot_value(c->file, n);
}

/* ---- any value: keys twice, U+0000, numbers that the server cannot hold ---- */

static void check_scalar(struct zk_zip_check *c, const struct zk_node *n)
{
	double v;

	if (zk_zip_type(n) == ZK_J_STRING && zk_str_find_char(n->text, '\0') >= 0)
		zk_zip_found_say(zk_zip_check_found(c, true, "T114"), spot(c, n), NULL,
		                 "the text holds U+0000, on which the server fails");
	else if (zk_zip_number(n, &v) && !isfinite(v))
		zk_zip_found_say(zk_zip_check_found(c, true, "T117"), spot(c, n), NULL,
		                 "the number is too large for the server");
	else if (zk_zip_is_inexact(n))
		zk_zip_found_say(
		        zk_zip_check_found(c, true, "T117"), spot(c, n), NULL,
		        "the server cannot hold this number exactly: write it as a "
		        "text");
}

static void check_name(struct zk_zip_check *c, const struct zk_node *m)
{
	if (m->again)
		zk_zip_found_say(zk_zip_check_found(c, true, "T112"),
		                 zk_spot_key(c->file, m), "the server keeps the last one",
		                 "the member '%.*s' stands twice", ZK_STR_ARG(m->key));
	if (zk_str_find_char(m->key, '\0') >= 0)
		zk_zip_found_say(zk_zip_check_found(c, true, "T114"),
		                 zk_spot_key(c->file, m), NULL,
		                 "a name holds U+0000, on which the server fails");
}

/* Walks the whole value; the way is that of its root. */
static void check_values(struct zk_zip_check *c, const struct zk_node *root)
{
	const struct zk_node *stack[ZK_DOC_DEPTH_MAX];
	const struct zk_node *n = root;
	unsigned depth = 0;

	for (;;) {
		if (n->kind == ZK_NODE_SCALAR)
			check_scalar(c, n);
		else if (n->first && depth < ZK_DOC_DEPTH_MAX) {
			stack[depth++] = n;
			n = n->first;
			if (stack[depth - 1]->kind == ZK_NODE_MAP)
				check_name(c, n);
			continue;
		}
		while (depth && (n == root || !n->next))
			n = stack[--depth];
		if (n == root || !depth)
			return;
		n = n->next;
		if (stack[depth - 1]->kind == ZK_NODE_MAP)
			check_name(c, n);
	}
}

/* ---- the template itself ---- */

static void check_texts(struct zk_zip_check *c, const struct zk_node *t)
{
	static const char *const must[] = { "id", "type", "title" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(must); i++) {
		const struct zk_node *n = zk_zip_get_as(t, must[i], ZK_J_STRING);

		if (n && n->text.n == 0)
			zk_zip_found_say(found(c, true, "T102", must[i]), spot(c, n),
			                 NULL, "'%s' is empty", must[i]);
	}
	const struct zk_node *id = zk_zip_get_as(t, "id", ZK_J_STRING);

	if (id && zk_str_find_char(id->text, '/') >= 0)
		zk_zip_found_say(found(c, false, "T103", "id"), spot(c, id), NULL,
		                 "the id holds a '/': many clients will not find it");
}

static void check_category(struct zk_zip_check *c, const struct zk_node *t,
                           const struct zk_map *known)
{
	const struct zk_node *n = zk_zip_get_as(t, "category", ZK_J_STRING);

	if (!n)
		return;
	if (!zk_zip_is_slug(n->text))
		zk_zip_found_say(found(c, false, "T116", "category"), spot(c, n), NULL,
		                 "the category \"%.*s\" is not in lower-case kebab",
		                 ZK_STR_ARG(n->text));
	else if (known && !zk_map_get(known, n->text))
		zk_zip_found_say(found(c, false, "T116", "category"), spot(c, n), NULL,
		                 "the server does not know the category \"%.*s\"",
		                 ZK_STR_ARG(n->text));
}

static bool is_text(const struct zk_node *n, const char *text)
{
	return n && zk_str_eq(n->text, zk_str_of(text));
}

static void check_port(struct zk_zip_check *c, const struct zk_node *p,
                       struct zk_map *ids)
{
	const struct zk_node *id = zk_zip_get_as(p, "id", ZK_J_STRING);
	const struct zk_node *required = zk_zip_get_as(p, "required", ZK_J_BOOL);

	if (id && zk_map_set(ids, id->text, (void *)id))
		zk_zip_found_say(found(c, true, "T101", "id"), spot(c, id), NULL,
		                 "two ports have the id \"%.*s\"", ZK_STR_ARG(id->text));
	if (required && is_text(zk_zip_get_as(p, "type", ZK_J_STRING), "output") &&
	    (required->text.p[0] == 't' || required->text.p[0] == 'T'))
		zk_zip_found_say(found(c, false, "T111", "required"), spot(c, required),
		                 NULL, "'required' means nothing on an output");
}

static void check_ports(struct zk_zip_check *c, const struct zk_node *t)
{
	const struct zk_node *ports = zk_zip_get_as(t, "ports", ZK_J_ARRAY);
	struct zk_map ids;
	size_t i = 0;

	if (!ports)
		return;
	if (!ports->n)
		zk_zip_found_say(found(c, false, "T115", "ports"), spot(c, ports), NULL,
		                 "it has no ports, so nothing can be connected");
	zk_map_init(&ids);
	zk_zip_check_enter(c, ZK_STR("ports"));
	ZK_NODE_EACH(p, ports)
	{
		zk_zip_check_enter_index(c, i++);
		check_port(c, p, &ids);
		zk_zip_check_leave(c);
	}
	zk_zip_check_leave(c);
	zk_map_done(&ids);
}

/* ---- properties ---- */

/* An option is a value or {value, label}. */
static bool is_option(const struct zk_node *options, const struct zk_node *value)
{
	ZK_NODE_EACH(o, options)
	{
		const struct zk_node *inner = zk_zip_get(o, "value");

		if (zk_zip_same(inner ? inner : o, value))
			return true;
	}
	return false;
}

static void check_default(struct zk_zip_check *c, const struct zk_node *p, zk_str type)
{
	const struct zk_node *value = zk_zip_get(p, "defaultValue");
	const struct zk_node *options = zk_zip_get_as(p, "options", ZK_J_ARRAY);
	enum zk_jtype want = ZK_J_NONE;

	if (!value)
		return;
	if (options && options->n && !is_option(options, value))
		zk_zip_found_say(found(c, false, "T105", "defaultValue"), spot(c, value),
		                 NULL, "the default is not one of the options");
	if (zk_str_eq(type, ZK_STR("number")))
		want = ZK_J_NUMBER;
	else if (zk_str_eq(type, ZK_STR("boolean")))
		want = ZK_J_BOOL;
	else if (zk_str_eq(type, ZK_STR("string")) ||
	         zk_str_eq(type, ZK_STR("code-editor")))
		want = ZK_J_STRING;
	if (want != ZK_J_NONE && zk_zip_type(value) != want)
		zk_zip_found_say(found(c, false, "T106", "defaultValue"), spot(c, value),
		                 NULL, "the default of a %.*s is %s", ZK_STR_ARG(type),
		                 zk_jtype_name(zk_zip_type(value)));
}

static void check_validation(struct zk_zip_check *c, const struct zk_node *p)
{
	const struct zk_node *v = zk_zip_get_as(p, "validation", ZK_J_OBJECT);
	const struct zk_node *min = zk_zip_get(v, "min");
	const struct zk_node *pattern = zk_zip_get_as(v, "pattern", ZK_J_STRING);
	const char *why;
	double low, high;

	if (!v)
		return;
	zk_zip_check_enter(c, ZK_STR("validation"));
	if (min && zk_zip_number(min, &low) &&
	    zk_zip_number(zk_zip_get(v, "max"), &high) && low > high)
		zk_zip_found_say(found(c, true, "T107", "min"), spot(c, min), NULL,
		                 "'min' is greater than 'max'");
	if (pattern && !zk_zip_pattern_ok(pattern->text, &why))
		zk_zip_found_say(found(c, true, "T108", "pattern"), spot(c, pattern),
		                 NULL, "the pattern is no regular expression: %s", why);
	zk_zip_check_leave(c);
}

static void check_property(struct zk_zip_check *c, const struct zk_node *p)
{
	const struct zk_node *type = zk_zip_get_as(p, "type", ZK_J_STRING);
	const struct zk_node *options = zk_zip_get(p, "options");

	if (!type)
		return;
	if (is_text(type, "select") &&
	    (!options || (options->kind == ZK_NODE_LIST && !options->n)))
		zk_zip_found_say(found(c, true, "T104", NULL),
		                 spot(c, options ? options : p), NULL,
		                 "a select without options");
	check_default(c, p, type->text);
	check_validation(c, p);
}

static void check_properties(struct zk_zip_check *c, const struct zk_node *t)
{
	const struct zk_node *all = zk_zip_get_as(t, "properties", ZK_J_OBJECT);

	if (!all)
		return;
	zk_zip_check_enter(c, ZK_STR("properties"));
	ZK_NODE_EACH(p, all)
	{
		zk_zip_check_enter(c, p->key);
		check_property(c, p);
		zk_zip_check_leave(c);
	}
	zk_zip_check_leave(c);
}

static void check_triggers(struct zk_zip_check *c, const struct zk_node *t)
{
	const struct zk_node *all = zk_zip_get_as(t, "properties", ZK_J_OBJECT);
	const struct zk_node *rules = zk_zip_get_as(t, "propertyRules", ZK_J_OBJECT);
	const struct zk_node *triggers = zk_zip_get_as(rules, "triggers", ZK_J_ARRAY);
	size_t i = 0;

	if (!triggers)
		return;
	zk_zip_check_enter(c, ZK_STR("propertyRules"));
	zk_zip_check_enter(c, ZK_STR("triggers"));
	ZK_NODE_EACH(name, triggers)
	{
		zk_zip_check_enter_index(c, i++);
		if (zk_zip_type(name) == ZK_J_STRING && !zk_node_get(all, name->text))
			zk_zip_found_say(
			        zk_zip_check_found(c, false, "T109"), spot(c, name), NULL,
			        "there is no property \"%.*s\"", ZK_STR_ARG(name->text));
		zk_zip_check_leave(c);
	}
	zk_zip_check_leave(c);
	zk_zip_check_leave(c);
}

static void check_display(struct zk_zip_check *c, const struct zk_node *t)
{
	const struct zk_node *d = zk_zip_get_as(t, "display", ZK_J_OBJECT);
	const struct zk_node *source = zk_zip_get(d, "source");

	if (source && zk_zip_get(d, "bundleId"))
		zk_zip_found_say(found(c, false, "T113", "display"),
		                 zk_spot_key(c->file, source), NULL,
		                 "'bundleId' and 'source' exclude each other");
}

void zk_zip_template_lint(const struct zk_zip_template *t,
                          const struct zk_map *categories, struct zk_zip_findings *f)
{
	struct zk_zip_check c = { .file = t->file, .found = f, .item = t->id };

	(void)zk_zip_schema_check(&c, &zk_zip_template_schema, t->node);
	check_values(&c, t->node);
	if (t->node->kind != ZK_NODE_MAP)
		return;
	check_texts(&c, t->node);
	check_category(&c, t->node, categories);
	check_ports(&c, t->node);
	check_properties(&c, t->node);
	check_triggers(&c, t->node);
	check_display(&c, t->node);
	zk_zip_schema_unknown(&c, &zk_zip_template_schema, t->node, "T110");
}

void zk_zip_templates_lint(const struct zk_zip_templates *t,
                           const struct zk_map *categories, struct zk_zip_findings *f)
{
	struct zk_map ids;

	zk_map_init(&ids);
	for (size_t i = 0; i < t->n; i++) {
		const struct zk_zip_template *one = &t->v[i];
		struct zk_zip_check c = { .file = one->file,
			                  .found = f,
			                  .item = one->id };
		const struct zk_node *id = zk_zip_get_as(one->node, "id", ZK_J_STRING);

		zk_zip_template_lint(one, categories, f);
		if (!one->id.n)
			continue;
		ZK_CLEANUP(zk_freep)
		char *name = zk_asprintf("%.*s/%.*s", ZK_STR_ARG(one->namespace),
		                         ZK_STR_ARG(one->id));

		if (zk_map_set(&ids, zk_str_of(name), (void *)one))
			zk_zip_found_say(found(&c, false, "T118", "id"), spot(&c, id),
			                 NULL, "two templates have the id \"%.*s\"",
			                 ZK_STR_ARG(one->id));
	}
	zk_map_done(&ids);
}
