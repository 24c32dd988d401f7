/* The schema of node templates (specs/zeal-zip.md §4.1).
 * Layer: zip. */
#include "zip/template.h"

#include "base/ban.h"

static const struct zk_zip_schema any = { .form = ZK_ZIP_ANY };
static const struct zk_zip_schema text = { .form = ZK_ZIP_STRING };
static const struct zk_zip_schema number = { .form = ZK_ZIP_NUMBER };
static const struct zk_zip_schema boolean = { .form = ZK_ZIP_BOOL };
static const struct zk_zip_schema texts = { .form = ZK_ZIP_ARRAY, .of = &text };
static const struct zk_zip_schema anys = { .form = ZK_ZIP_ARRAY, .of = &any };
static const struct zk_zip_schema any_record = { .form = ZK_ZIP_RECORD, .of = &any };

#define ENUM(name, ...)                                                   \
	static const char *const name##_values[] = { __VA_ARGS__, NULL }; \
	static const struct zk_zip_schema name = { .form = ZK_ZIP_ENUM,   \
		                                   .values = name##_values }

ENUM(port_type, "input", "output");
ENUM(port_side, "left", "right", "top", "bottom");
ENUM(property_type, "string", "number", "boolean", "select", "code-editor");
ENUM(shape, "rectangle", "circle", "diamond");
ENUM(size, "small", "medium", "large");

#define OBJECT(name, ...)                                                             \
	static const struct zk_zip_field name##_fields[] = { __VA_ARGS__, { NULL } }; \
	static const struct zk_zip_schema name = { .form = ZK_ZIP_OBJECT,             \
		                                   .fields = name##_fields }

OBJECT(port, { "id", &text, true }, { "label", &text, true },
       { "type", &port_type, true }, { "position", &port_side, true },
       { "dataType", &text }, { "required", &boolean }, { "multiple", &boolean });
static const struct zk_zip_schema ports = { .form = ZK_ZIP_ARRAY, .of = &port };

OBJECT(validation, { "required", &boolean }, { "min", &number }, { "max", &number },
       { "pattern", &text });
OBJECT(property, { "type", &property_type, true }, { "label", &text },
       { "description", &text }, { "defaultValue", &any }, { "options", &anys },
       { "validation", &validation });
static const struct zk_zip_schema properties = { .form = ZK_ZIP_RECORD, .of = &property };

OBJECT(rule, { "when", &text, true }, { "updates", &any_record, true });
static const struct zk_zip_schema rules = { .form = ZK_ZIP_ARRAY, .of = &rule };
OBJECT(property_rules, { "triggers", &texts, true }, { "rules", &rules, true });

OBJECT(runtime, { "executor", &text, true }, { "version", &text },
       { "requiredEnvVars", &texts }, { "capabilities", &texts });

static size_t skip(zk_str s, size_t i, bool dash)
{
	while (i < s.n && ((s.p[i] >= 'a' && s.p[i] <= 'z') ||
	                   (s.p[i] >= '0' && s.p[i] <= '9') || (dash && s.p[i] == '-')))
		i++;
	return i;
}

/* ^[a-z][a-z0-9]*-[a-z0-9-]*$ */
static bool is_element(zk_str s)
{
	size_t i;

	if (!s.n || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	i = skip(s, 1, false);
	return i < s.n && s.p[i] == '-' && skip(s, i, true) == s.n;
}

bool zk_zip_is_slug(zk_str s)
{
	return s.n && s.p[0] >= 'a' && s.p[0] <= 'z' && skip(s, 1, true) == s.n;
}

static const struct zk_zip_schema element = { .form = ZK_ZIP_PATTERN,
	                                      .matches = is_element,
	                                      .pattern = "^[a-z][a-z0-9]*-[a-z0-9-]*$" };
OBJECT(display, { "element", &element, true }, { "bundleId", &text }, { "source", &text },
       { "shadow", &boolean }, { "observedProps", &texts }, { "width", &text });

static const struct zk_zip_field template_fields[] = {
	{ "id", &text, true },
	{ "type", &text, true },
	{ "title", &text, true },
	{ "subtitle", &text },
	{ "category", &text, true },
	{ "subcategory", &text },
	{ "description", &text, true },
	{ "icon", &text, true },
	{ "variant", &text },
	{ "shape", &shape },
	{ "size", &size },
	{ "ports", &ports, true },
	{ "properties", &properties },
	{ "propertyRules", &property_rules },
	{ "runtime", &runtime },
	{ "display", &display },
	{ NULL },
};

const struct zk_zip_schema zk_zip_template_schema = { .form = ZK_ZIP_OBJECT,
	                                              .fields = template_fields };
