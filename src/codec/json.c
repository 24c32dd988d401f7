/* Trees of zk's own small JSON documents, over cJSON.
 * Layer: codec. */
#include "codec/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"

#include "codec/jwrite.h"

#include "base/ban.h"

/* A struct zk_json is a cJSON under another name; there is no such struct. */
static const cJSON *node(const struct zk_json *j)
{
	return (const cJSON *)(const void *)j;
}

static const struct zk_json *json(const cJSON *c)
{
	return (const struct zk_json *)(const void *)c;
}

int zk_json_parse(zk_str text, size_t max_bytes, struct zk_json **ret,
                  struct zk_error *err)
{
	struct zk_jscan js;
	cJSON *tree;

	if (text.n > max_bytes)
		return zk_fail(err, ZK_E_LIMIT,
		               "the JSON document is larger than %zu bytes", max_bytes);
	text = zk_jscan_skip_bom(text);
	/* cJSON is lenient and recursive: it only sees text that was checked. */
	if (zk_jscan(text, ZK_JSON_DEPTH, NULL, 0, &js) < 0)
		return zk_jscan_fail(&js, err);
	if (js.has_nul || js.has_lone)
		return zk_fail(err, ZK_E_JSON, "the JSON document holds %s",
		               js.has_nul ? "\\u0000" : "half of a surrogate pair");
	tree = cJSON_ParseWithLength(text.p, text.n);
	if (!tree)
		return zk_fail(err, ZK_E_JSON, "the JSON document cannot be read");
	*ret = (struct zk_json *)(void *)tree;
	return 0;
}

void zk_json_free(struct zk_json *root)
{
	cJSON_Delete((cJSON *)(void *)root);
}

void zk_json_freep(struct zk_json **root)
{
	zk_json_free(*root);
}

enum zk_jtype zk_json_type(const struct zk_json *j)
{
	const cJSON *c = node(j);

	switch (c ? c->type & 0xff : cJSON_Invalid) {
	case cJSON_NULL:
		return ZK_J_NULL;
	case cJSON_True:
	case cJSON_False:
		return ZK_J_BOOL;
	case cJSON_Number:
		return ZK_J_NUMBER;
	case cJSON_String:
		return ZK_J_STRING;
	case cJSON_Array:
		return ZK_J_ARRAY;
	case cJSON_Object:
		return ZK_J_OBJECT;
	default:
		return ZK_J_NONE;
	}
}

static bool is_container(const struct zk_json *j)
{
	enum zk_jtype t = zk_json_type(j);

	return t == ZK_J_ARRAY || t == ZK_J_OBJECT;
}

const struct zk_json *zk_json_first(const struct zk_json *j)
{
	return is_container(j) ? json(node(j)->child) : NULL;
}

const struct zk_json *zk_json_next(const struct zk_json *child)
{
	return json(node(child)->next);
}

zk_str zk_json_key(const struct zk_json *member)
{
	return zk_str_of(node(member)->string);
}

size_t zk_json_count(const struct zk_json *j)
{
	size_t n = 0;

	ZK_JSON_EACH(child, j)
	n++;
	return n;
}

static const struct zk_json *child_of(const struct zk_json *j, zk_str name)
{
	const struct zk_json *found = NULL;
	uint64_t i = 0, index = 0;
	bool array = zk_json_type(j) == ZK_J_ARRAY;

	if (array && !zk_jnum_u64(name, &index))
		return NULL;
	ZK_JSON_EACH(child, j)
	{
		if (array ? i++ == index : zk_str_eq(zk_json_key(child), name))
			found = child;
	}
	return found;
}

const struct zk_json *zk_json_at(const struct zk_json *j, const char *path)
{
	zk_str rest = *path ? zk_str_of(path) : ZK_STR_NULL;

	while (j && rest.p) {
		zk_str name;

		rest = zk_str_cut(rest, '.', &name);
		j = child_of(j, name);
	}
	return j;
}

/* ---- typed getters ---- */

static const char *article(enum zk_jtype type)
{
	return type == ZK_J_ARRAY || type == ZK_J_OBJECT ? "an" : "a";
}

static int wrong_type(const struct zk_json *at, const char *path, const char *want,
                      struct zk_error *err)
{
	const char *name = *path ? path : "the document";
	const char *quote = *path ? "'" : "";
	enum zk_jtype type = zk_json_type(at);

	if (type == ZK_J_NONE)
		return zk_fail(err, ZK_E_DATA, "%s%s%s is missing", quote, name, quote);
	if (type == ZK_J_NULL)
		return zk_fail(err, ZK_E_DATA, "%s%s%s must be %s, not null", quote, name,
		               quote, want);
	return zk_fail(err, ZK_E_DATA, "%s%s%s must be %s, not %s %s", quote, name, quote,
	               want, article(type), zk_jtype_name(type));
}

int zk_json_get_str(const struct zk_json *j, const char *path, zk_str *ret,
                    struct zk_error *err)
{
	const struct zk_json *at = zk_json_at(j, path);

	if (zk_json_type(at) != ZK_J_STRING)
		return wrong_type(at, path, "a string", err);
	*ret = zk_str_of(node(at)->valuestring);
	return 0;
}

/* A whole number that a double holds exactly. */
static int get_whole(const struct zk_json *j, const char *path, double *ret,
                     struct zk_error *err)
{
	const struct zk_json *at = zk_json_at(j, path);
	double v;

	if (zk_json_type(at) != ZK_J_NUMBER)
		return wrong_type(at, path, "a number", err);
	v = node(at)->valuedouble;
	if (v != floor(v) || fabs(v) > 9007199254740991.0)
		return zk_fail(err, ZK_E_DATA, "'%s' must be a whole number below 2^53",
		               path);
	*ret = v;
	return 0;
}

int zk_json_get_i64(const struct zk_json *j, const char *path, int64_t *ret,
                    struct zk_error *err)
{
	double v = 0;
	int r = get_whole(j, path, &v, err);

	if (r == 0)
		*ret = (int64_t)v;
	return r;
}

int zk_json_get_u64(const struct zk_json *j, const char *path, uint64_t *ret,
                    struct zk_error *err)
{
	double v = 0;
	int r = get_whole(j, path, &v, err);

	if (r < 0)
		return r;
	if (v < 0)
		return zk_fail(err, ZK_E_DATA, "'%s' must not be negative", path);
	*ret = (uint64_t)v;
	return 0;
}

int zk_json_get_double(const struct zk_json *j, const char *path, double *ret,
                       struct zk_error *err)
{
	const struct zk_json *at = zk_json_at(j, path);

	if (zk_json_type(at) != ZK_J_NUMBER)
		return wrong_type(at, path, "a number", err);
	if (!isfinite(node(at)->valuedouble))
		return zk_fail(err, ZK_E_DATA, "the number '%s' is too large", path);
	*ret = node(at)->valuedouble;
	return 0;
}

int zk_json_get_bool(const struct zk_json *j, const char *path, bool *ret,
                     struct zk_error *err)
{
	const struct zk_json *at = zk_json_at(j, path);

	if (zk_json_type(at) != ZK_J_BOOL)
		return wrong_type(at, path, "true or false", err);
	*ret = (node(at)->type & 0xff) == cJSON_True;
	return 0;
}

int zk_json_get_node(const struct zk_json *j, const char *path, enum zk_jtype type,
                     const struct zk_json **ret, struct zk_error *err)
{
	const struct zk_json *at = zk_json_at(j, path);

	if (zk_json_type(at) != type)
		return wrong_type(at, path, type == ZK_J_ARRAY ? "an array" : "an object",
		                  err);
	*ret = at;
	return 0;
}

static bool is_absent(const struct zk_json *j, const char *path)
{
	enum zk_jtype type = zk_json_type(zk_json_at(j, path));

	return type == ZK_J_NONE || type == ZK_J_NULL;
}

int zk_json_opt_str(const struct zk_json *j, const char *path, zk_str *ret,
                    struct zk_error *err)
{
	return is_absent(j, path) ? 0 : zk_json_get_str(j, path, ret, err);
}

int zk_json_opt_i64(const struct zk_json *j, const char *path, int64_t *ret,
                    struct zk_error *err)
{
	return is_absent(j, path) ? 0 : zk_json_get_i64(j, path, ret, err);
}

int zk_json_opt_u64(const struct zk_json *j, const char *path, uint64_t *ret,
                    struct zk_error *err)
{
	return is_absent(j, path) ? 0 : zk_json_get_u64(j, path, ret, err);
}

int zk_json_opt_bool(const struct zk_json *j, const char *path, bool *ret,
                     struct zk_error *err)
{
	return is_absent(j, path) ? 0 : zk_json_get_bool(j, path, ret, err);
}

/* ---- printing ---- */

static void print_scalar(const struct zk_json *j, struct zk_jwrite *w)
{
	const cJSON *c = node(j);

	switch (zk_json_type(j)) {
	case ZK_J_BOOL:
		zk_jw_bool(w, (c->type & 0xff) == cJSON_True);
		break;
	case ZK_J_NUMBER:
		if (c->valuedouble == floor(c->valuedouble) &&
		    fabs(c->valuedouble) < 1e15)
			zk_jw_i64(w, (int64_t)c->valuedouble);
		else
			zk_jw_double(w, c->valuedouble);
		break;
	case ZK_J_STRING:
		zk_jw_cstr(w, c->valuestring);
		break;
	case ZK_J_NONE:
	case ZK_J_NULL:
	case ZK_J_ARRAY:
	case ZK_J_OBJECT:
		zk_jw_null(w);
		break;
	}
}

static void new_line(struct zk_buf *b, bool pretty, size_t depth)
{
	if (!pretty)
		return;
	zk_buf_char(b, '\n');
	while (depth-- > 0)
		zk_buf_lit(b, "  ");
}

/* One child with its comma, line and name; containers are only opened. */
static void print_child(const struct zk_json *child, size_t depth, bool pretty,
                        struct zk_buf *b)
{
	struct zk_jwrite w;

	if (node(child)->prev->next) /* the first one's `prev` is the last */
		zk_buf_char(b, ',');
	new_line(b, pretty, depth);
	if (node(child)->string) {
		zk_buf_json_str(b, zk_json_key(child));
		zk_buf_char(b, ':');
		if (pretty)
			zk_buf_char(b, ' ');
	}
	zk_jwrite_init(&w, b);
	if (is_container(child))
		zk_buf_char(b, zk_json_type(child) == ZK_J_OBJECT ? '{' : '[');
	else
		print_scalar(child, &w);
}

void zk_json_print(const struct zk_json *j, bool pretty, struct zk_buf *b)
{
	const struct zk_json *open[ZK_JSON_DEPTH + 1]; /* containers around `at` */
	const struct zk_json *at;
	struct zk_jwrite w;
	size_t depth = 0;

	zk_jwrite_init(&w, b);
	if (!is_container(j)) {
		print_scalar(j, &w);
		return;
	}
	zk_buf_char(b, zk_json_type(j) == ZK_J_OBJECT ? '{' : '[');
	open[depth++] = j;
	at = zk_json_first(j);
	while (depth) {
		if (at) {
			print_child(at, depth, pretty, b);
			if (is_container(at)) {
				ZK_ASSERT(depth <= ZK_JSON_DEPTH);
				open[depth++] = at;
				at = zk_json_first(at);
			} else {
				at = zk_json_next(at);
			}
			continue;
		}
		depth--;
		if (zk_json_first(open[depth]))
			new_line(b, pretty, depth);
		zk_buf_char(b, zk_json_type(open[depth]) == ZK_J_OBJECT ? '}' : ']');
		at = depth ? zk_json_next(open[depth]) : NULL;
	}
}
