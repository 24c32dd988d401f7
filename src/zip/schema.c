/* Checks a document against a schema as the server does.
 * Layer: zip. Recursion goes down the schema, which is ours and shallow. */
#include "zip/schema.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "conf/near.h"
#include "zip/doc.h"

#include "base/ban.h"

char *zk_zip_way_json(const struct zk_zip_way *way)
{
	struct zk_buf b;
	struct zk_jwrite w;

	zk_buf_init(&b, 1u << 20);
	zk_jwrite_init(&w, &b);
	zk_jw_arr(&w);
	for (size_t i = 0; i < way->n; i++) {
		if (way->v[i].is_index)
			zk_jw_u64(&w, way->v[i].index);
		else
			zk_jw_str(&w, way->v[i].name);
	}
	zk_jw_arr_end(&w);
	return zk_buf_take(&b);
}

char *zk_zip_way_text(const struct zk_zip_way *way)
{
	struct zk_buf b;

	zk_buf_init(&b, 1u << 20);
	for (size_t i = 0; i < way->n; i++) {
		if (way->v[i].is_index)
			zk_buf_printf(&b, "[%zu]", way->v[i].index);
		else
			zk_buf_printf(&b, "%s%.*s", i ? "." : "",
			              ZK_STR_ARG(way->v[i].name));
	}
	return zk_buf_take(&b);
}

struct zk_zip_finding *zk_zip_check_found(struct zk_zip_check *c, bool is_error,
                                          const char *rule)
{
	struct zk_zip_finding *x = zk_zip_found(c->found, is_error, rule);

	x->path = zk_zip_way_json(&c->way);
	if (c->item.n)
		x->item = zk_strndup(c->item.p, c->item.n);
	return x;
}

void zk_zip_check_enter(struct zk_zip_check *c, zk_str name)
{
	ZK_ASSERT(c->way.n < ZK_ZIP_STEPS);
	c->way.v[c->way.n++] = (struct zk_zip_step){ .name = name };
}

void zk_zip_check_enter_index(struct zk_zip_check *c, size_t index)
{
	ZK_ASSERT(c->way.n < ZK_ZIP_STEPS);
	c->way.v[c->way.n++] = (struct zk_zip_step){ .index = index, .is_index = true };
}

void zk_zip_check_leave(struct zk_zip_check *c)
{
	c->way.n--;
}

/* What a schema expects, in the server's words; the caller frees. */
static char *expected_of(const struct zk_zip_schema *s)
{
	struct zk_buf b;

	zk_buf_init(&b, 4096);
	switch (s->form) {
	case ZK_ZIP_ANY:
		break;
	case ZK_ZIP_STRING:
	case ZK_ZIP_PATTERN:
		zk_buf_lit(&b, "string");
		break;
	case ZK_ZIP_NUMBER:
		zk_buf_lit(&b, "number");
		break;
	case ZK_ZIP_BOOL:
		zk_buf_lit(&b, "boolean");
		break;
	case ZK_ZIP_ENUM:
		for (size_t i = 0; s->values[i]; i++)
			zk_buf_printf(&b, "%s'%s'", i ? " | " : "", s->values[i]);
		break;
	case ZK_ZIP_ARRAY:
		zk_buf_lit(&b, "array");
		break;
	case ZK_ZIP_OBJECT:
	case ZK_ZIP_RECORD:
		zk_buf_lit(&b, "object");
		break;
	}
	return zk_buf_take(&b);
}

static enum zk_jtype type_of(const struct zk_zip_schema *s)
{
	switch (s->form) {
	case ZK_ZIP_ANY:
		return ZK_J_NONE;
	case ZK_ZIP_STRING:
	case ZK_ZIP_PATTERN:
	case ZK_ZIP_ENUM:
		return ZK_J_STRING;
	case ZK_ZIP_NUMBER:
		return ZK_J_NUMBER;
	case ZK_ZIP_BOOL:
		return ZK_J_BOOL;
	case ZK_ZIP_ARRAY:
		return ZK_J_ARRAY;
	case ZK_ZIP_OBJECT:
	case ZK_ZIP_RECORD:
		break;
	}
	return ZK_J_OBJECT;
}

/* `n` NULL: it is missing in `parent`. */
static bool wrong_type(struct zk_zip_check *c, const struct zk_zip_schema *s,
                       const struct zk_node *n, const struct zk_node *parent)
{
	struct zk_zip_finding *x = zk_zip_check_found(c, true, "schema");
	const char *got = n ? zk_jtype_name(zk_zip_type(n)) : "undefined";
	ZK_CLEANUP(zk_freep)
	char *way = zk_zip_way_text(&c->way);

	x->code = "invalid_type";
	x->expected = expected_of(s);
	x->received = zk_strdup(got);
	if (!n)
		zk_zip_found_say(x, zk_spot_value(c->file, parent), NULL,
		                 "'%s' is missing", way);
	else
		zk_zip_found_say(x, zk_spot_value(c->file, n), NULL,
		                 "%s%s%smust be %s, not %s", way[0] ? "'" : "", way,
		                 way[0] ? "' " : "it ", x->expected, got);
	return false;
}

static bool check_enum(struct zk_zip_check *c, const struct zk_zip_schema *s,
                       const struct zk_node *n)
{
	struct zk_near near = { .want = n->text };
	struct zk_zip_finding *x;
	struct zk_buf list, note;

	for (size_t i = 0; s->values[i]; i++) {
		if (zk_str_eq(n->text, zk_str_of(s->values[i])))
			return true;
		zk_near_add(&near, s->values[i]);
	}
	ZK_CLEANUP(zk_freep)
	char *way = zk_zip_way_text(&c->way);

	x = zk_zip_check_found(c, true, "schema");
	x->code = "invalid_enum_value";
	x->received = zk_strndup(n->text.p, n->text.n);
	zk_buf_init(&list, 1024);
	zk_buf_init(&note, 256);
	for (size_t i = 0; s->values[i]; i++)
		zk_buf_printf(&list, "%s%s", i ? ", " : "", s->values[i]);
	if (near.best)
		zk_buf_printf(&note, "did you mean \"%s\"?", near.best);
	zk_zip_found_say(x, zk_spot_value(c->file, n),
	                 note.n ? zk_buf_cstring(&note) : NULL,
	                 "%s \"%.*s\" is not one of %s", way, ZK_STR_ARG(n->text),
	                 zk_buf_cstring(&list));
	zk_buf_done(&list);
	zk_buf_done(&note);
	return false;
}

static bool check_pattern(struct zk_zip_check *c, const struct zk_zip_schema *s,
                          const struct zk_node *n)
{
	struct zk_zip_finding *x;

	if (s->matches(n->text))
		return true;
	ZK_CLEANUP(zk_freep)
	char *way = zk_zip_way_text(&c->way);

	x = zk_zip_check_found(c, true, "schema");
	x->code = "invalid_string";
	zk_zip_found_say(x, zk_spot_value(c->file, n), NULL,
	                 "%s \"%.*s\" must look like %s", way, ZK_STR_ARG(n->text),
	                 s->pattern);
	return false;
}

static bool check_fields(struct zk_zip_check *c, const struct zk_zip_schema *s,
                         const struct zk_node *n)
{
	bool good = true;

	for (const struct zk_zip_field *f = s->fields; f->name; f++) {
		const struct zk_node *m = zk_zip_get(n, f->name);

		if (!m && !f->required)
			continue;
		zk_zip_check_enter(c, zk_str_of(f->name));
		good &= m ? zk_zip_schema_check(c, f->schema, m)
		          : wrong_type(c, f->schema, NULL, n);
		zk_zip_check_leave(c);
	}
	return good;
}

static bool check_children(struct zk_zip_check *c, const struct zk_zip_schema *s,
                           const struct zk_node *n)
{
	bool good = true;
	size_t i = 0;

	ZK_NODE_EACH(m, n)
	{
		if (s->form == ZK_ZIP_ARRAY)
			zk_zip_check_enter_index(c, i++);
		else
			zk_zip_check_enter(c, m->key);
		good &= zk_zip_schema_check(c, s->of, m);
		zk_zip_check_leave(c);
	}
	return good;
}

bool zk_zip_schema_check(struct zk_zip_check *c, const struct zk_zip_schema *s,
                         const struct zk_node *n)
{
	if (s->form == ZK_ZIP_ANY)
		return true;
	if (zk_zip_type(n) != type_of(s))
		return wrong_type(c, s, n, NULL);
	switch (s->form) {
	case ZK_ZIP_ENUM:
		return check_enum(c, s, n);
	case ZK_ZIP_PATTERN:
		return check_pattern(c, s, n);
	case ZK_ZIP_OBJECT:
		return check_fields(c, s, n);
	case ZK_ZIP_ARRAY:
	case ZK_ZIP_RECORD:
		return check_children(c, s, n);
	case ZK_ZIP_ANY:
	case ZK_ZIP_STRING:
	case ZK_ZIP_NUMBER:
	case ZK_ZIP_BOOL:
		break;
	}
	return true;
}

static const struct zk_zip_field *find_field(const struct zk_zip_schema *s, zk_str name)
{
	for (const struct zk_zip_field *f = s->fields; f->name; f++)
		if (zk_str_eq(name, zk_str_of(f->name)))
			return f;
	return NULL;
}

static void say_unknown(struct zk_zip_check *c, const struct zk_zip_schema *s,
                        const struct zk_node *m, const char *rule)
{
	struct zk_near near = { .want = m->key };
	struct zk_buf note;

	zk_buf_init(&note, 256);
	for (const struct zk_zip_field *f = s->fields; f->name; f++)
		zk_near_add(&near, f->name);
	if (near.best)
		zk_buf_printf(&note, "did you mean \"%s\"?", near.best);
	zk_zip_found_say(zk_zip_check_found(c, false, rule), zk_spot_key(c->file, m),
	                 note.n ? zk_buf_cstring(&note) : NULL,
	                 "the server drops the unknown member '%.*s'",
	                 ZK_STR_ARG(m->key));
	zk_buf_done(&note);
}

void zk_zip_schema_unknown(struct zk_zip_check *c, const struct zk_zip_schema *s,
                           const struct zk_node *n, const char *rule)
{
	size_t i = 0;

	if (zk_zip_type(n) != type_of(s) || n->kind == ZK_NODE_SCALAR)
		return;
	ZK_NODE_EACH(m, n)
	{
		const struct zk_zip_field *f = NULL;

		if (s->form == ZK_ZIP_ARRAY)
			zk_zip_check_enter_index(c, i++);
		else
			zk_zip_check_enter(c, m->key);
		if (s->form == ZK_ZIP_OBJECT) {
			f = find_field(s, m->key);
			if (!f)
				say_unknown(c, s, m, rule);
		}
		if (f || s->form != ZK_ZIP_OBJECT)
			zk_zip_schema_unknown(c, f ? f->schema : s->of, m, rule);
		zk_zip_check_leave(c);
	}
}
