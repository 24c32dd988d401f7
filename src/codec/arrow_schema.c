/* Arrow schemas: from metadata, as text, compared.
 * Layer: codec. specs/zerobus.md §12.3, appendix B. */
#include <stdlib.h>
#include <string.h>

#include "codec/arrow_int.h"

#include "base/ban.h"

/* Ids in the tables of the metadata (appendix B). */
enum { SCHEMA_ENDIAN = 0, SCHEMA_FIELDS = 1 };
enum {
	FIELD_NAME = 0,
	FIELD_NULLABLE = 1,
	FIELD_KIND = 2,
	FIELD_TYPE = 3,
	FIELD_DICT = 4,
	FIELD_CHILDREN = 5
};
enum { DICT_ID = 0, DICT_INDEX = 1 };

/* A level of the walk: the children of a field that are still to be read. */
struct level {
	struct zk_fb_vec children;
	uint32_t next, owner;
};

struct walk {
	struct zk_arrow_owned_schema *o;
	struct level stack[ZK_ARROW_DEPTH_MAX + 1];
	unsigned depth;
	struct zk_error *err;
};

static int broken(struct zk_error *err, const char *what)
{
	return zk_fail(err, ZK_E_ZB_ARROW, "the Arrow schema is malformed: %s", what);
}

static int bad_field(const struct zk_arrow_field *f, const char *what,
                     struct zk_error *err)
{
	return zk_fail(
	        err, ZK_E_ZB_ARROW, "the Arrow schema is malformed: field '%.*s' %s",
	        (int)ZK_MIN(f->name.n, (size_t)80), f->name.n ? f->name.p : "", what);
}

/* ---- types ---- */

static int read_int(const struct zk_fb_table *t, struct zk_arrow_field *f,
                    struct zk_error *err)
{
	f->width = zk_fb_i32(t, 0, 0);
	f->is_signed = zk_fb_u8(t, 1, 0);
	if (f->width != 8 && f->width != 16 && f->width != 32 && f->width != 64)
		return bad_field(f, "is an integer of no possible width", err);
	return 0;
}

static int read_float(const struct zk_fb_table *t, struct zk_arrow_field *f,
                      struct zk_error *err)
{
	int precision = zk_fb_i16(t, 0, 0);

	if (precision < 0 || precision > 2)
		return bad_field(f, "is a float of no possible width", err);
	f->width = 16 << precision;
	return 0;
}

static int read_decimal(const struct zk_fb_table *t, struct zk_arrow_field *f,
                        struct zk_error *err)
{
	int32_t max;

	f->precision = zk_fb_i32(t, 0, 0);
	f->scale = zk_fb_i32(t, 1, 0);
	f->width = zk_fb_i32(t, 2, 128);
	switch (f->width) {
	case 32:
		max = 9;
		break;
	case 64:
		max = 18;
		break;
	case 128:
		max = 38;
		break;
	case 256:
		max = 76;
		break;
	default:
		return bad_field(f, "is a decimal of no possible width", err);
	}
	if (f->precision < 1 || f->precision > max)
		return bad_field(f, "is a decimal of no possible precision", err);
	/* The text of a value has to fit a buffer of fixed size. */
	if (f->scale < -max || f->scale > max)
		return bad_field(f, "is a decimal of no possible scale", err);
	return 0;
}

static int read_unit(const struct zk_fb_table *t, struct zk_arrow_field *f, int16_t def,
                     int max, struct zk_error *err)
{
	int unit = zk_fb_i16(t, 0, def);

	if (unit < 0 || unit > max)
		return bad_field(f, "has an unknown unit", err);
	f->unit = (uint8_t)unit;
	return 0;
}

static int read_time(const struct zk_fb_table *t, struct zk_arrow_field *f,
                     struct zk_error *err)
{
	int r = read_unit(t, f, ZK_ARROW_MS, ZK_ARROW_NS, err);

	if (r < 0)
		return r;
	f->width = zk_fb_i32(t, 1, 32);
	if (f->width != (f->unit <= ZK_ARROW_MS ? 32 : 64))
		return bad_field(f, "is a time whose unit does not fit its width", err);
	return 0;
}

static int read_width(const struct zk_fb_table *t, struct zk_arrow_field *f,
                      struct zk_error *err)
{
	f->width = zk_fb_i32(t, 0, 0);
	if (f->width < 0)
		return bad_field(f, "has a negative width", err);
	if (f->width > ZK_ARROW_WIDTH_MAX)
		return zk_fail(
		        err, ZK_E_ZB_ARROW_LIMIT,
		        "field '%.*s' has a fixed width of %d, at most %d are read",
		        (int)ZK_MIN(f->name.n, (size_t)80), f->name.p, f->width,
		        ZK_ARROW_WIDTH_MAX);
	return 0;
}

/* The ids of the children; 0, 1, 2, … when they are not given. */
static int read_union(struct zk_arrow_owned_schema *o, const struct zk_fb_table *t,
                      struct zk_arrow_field *f, struct zk_error *err)
{
	struct zk_fb_vec ids;
	int8_t *copy;

	if (read_unit(t, f, 0, 1, err) < 0)
		return -(int)err->code;
	zk_fb_vector(t, 1, 4, &ids);
	if (f->n_children > 128 || (ids.count && ids.count != f->n_children))
		return bad_field(f, "is a union whose type ids do not fit its children",
		                 err);
	copy = zk_arena_alloc(&o->arena, f->n_children + 1);
	if (!copy)
		return zk_fail(err, ZK_E_ZB_ARROW_LIMIT, "the Arrow schema is too large");
	for (uint32_t i = 0; i < f->n_children; i++) {
		int32_t id = (int32_t)i;

		if (ids.count)
			memcpy(&id, zk_fb_at(&ids, i, 4), sizeof(id));
		if (id < 0 || id > 127 || memchr(copy, id, i))
			return bad_field(f, "is a union with an impossible type id", err);
		copy[i] = (int8_t)id;
	}
	f->type_ids = copy;
	return 0;
}

static int read_timestamp(struct zk_arrow_owned_schema *o, const struct zk_fb_table *t,
                          struct zk_arrow_field *f, struct zk_error *err)
{
	zk_str zone = zk_fb_str(t, 1);
	char *copy = zk_arena_strndup(&o->arena, zone.p, zone.n);

	if (!copy)
		return zk_fail(err, ZK_E_ZB_ARROW_LIMIT, "the Arrow schema is too large");
	f->timezone = zk_str_n(copy, zone.n);
	f->width = 64;
	return read_unit(t, f, ZK_ARROW_S, ZK_ARROW_NS, err);
}

static int read_type(struct zk_arrow_owned_schema *o, const struct zk_fb_table *t,
                     struct zk_arrow_field *f, struct zk_error *err)
{
	switch (f->type) {
	case ZK_ARROW_INT:
		return read_int(t, f, err);
	case ZK_ARROW_FLOAT:
		return read_float(t, f, err);
	case ZK_ARROW_DECIMAL:
		return read_decimal(t, f, err);
	case ZK_ARROW_DATE:
		return read_unit(t, f, 1, 1, err);
	case ZK_ARROW_TIME:
		return read_time(t, f, err);
	case ZK_ARROW_TIMESTAMP:
		return read_timestamp(o, t, f, err);
	case ZK_ARROW_INTERVAL:
		return read_unit(t, f, 0, 2, err);
	case ZK_ARROW_DURATION:
		return read_unit(t, f, ZK_ARROW_MS, ZK_ARROW_NS, err);
	case ZK_ARROW_UNION:
		return read_union(o, t, f, err);
	case ZK_ARROW_FIXED_BINARY:
	case ZK_ARROW_FIXED_LIST:
		return read_width(t, f, err);
	case ZK_ARROW_NULL:
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
	case ZK_ARROW_BOOL:
	case ZK_ARROW_LIST:
	case ZK_ARROW_STRUCT:
	case ZK_ARROW_MAP:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_RUN_END:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_UTF8_VIEW:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
		return 0;
	}
	return zk_fail(
	        err, ZK_E_ZB_ARROW,
	        "the Arrow schema is malformed: field '%.*s' has the unknown type %u",
	        (int)ZK_MIN(f->name.n, (size_t)80), f->name.p, (unsigned)f->type);
}

static int check_children(const struct zk_arrow_field *f, struct zk_error *err)
{
	switch (f->type) {
	case ZK_ARROW_LIST:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
	case ZK_ARROW_MAP:
		return f->n_children == 1
		               ? 0
		               : bad_field(f, "is a list without exactly one child", err);
	case ZK_ARROW_RUN_END:
		return f->n_children == 2
		               ? 0
		               : bad_field(f, "is run-end encoded without two children",
		                           err);
	case ZK_ARROW_STRUCT:
	case ZK_ARROW_UNION:
		return 0;
	case ZK_ARROW_NULL:
	case ZK_ARROW_INT:
	case ZK_ARROW_FLOAT:
	case ZK_ARROW_BINARY:
	case ZK_ARROW_UTF8:
	case ZK_ARROW_BOOL:
	case ZK_ARROW_DECIMAL:
	case ZK_ARROW_DATE:
	case ZK_ARROW_TIME:
	case ZK_ARROW_TIMESTAMP:
	case ZK_ARROW_INTERVAL:
	case ZK_ARROW_FIXED_BINARY:
	case ZK_ARROW_DURATION:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_UTF8_VIEW:
		break;
	}
	return f->n_children == 0 ? 0 : bad_field(f, "has children", err);
}

/* ---- the walk ---- */

static int read_dictionary(const struct zk_fb_table *t, struct zk_arrow_field *f,
                           struct zk_error *err)
{
	struct zk_fb_table dict, index;
	int32_t width;

	zk_fb_sub(t, FIELD_DICT, &dict);
	if (!dict.fb)
		return 0;
	f->has_dict = true;
	f->dict_id = zk_fb_i64(&dict, DICT_ID, 0);
	zk_fb_sub(&dict, DICT_INDEX, &index);
	width = index.fb ? zk_fb_i32(&index, 0, 0) : 32;
	f->index_signed = index.fb ? zk_fb_u8(&index, 1, 0) != 0 : true;
	if (width != 8 && width != 16 && width != 32 && width != 64)
		return bad_field(f, "has dictionary indexes of no possible width", err);
	f->index_width = (uint8_t)(width / 8);
	return 0;
}

/* Adds the field `t` and puts its children on the stack. */
static int add_field(struct walk *w, const struct zk_fb_table *t, uint32_t parent)
{
	struct zk_arrow_owned_schema *o = w->o;
	uint32_t at = o->s.n_fields;
	struct zk_arrow_field *f;
	struct zk_fb_vec children;
	struct zk_fb_table type;
	zk_str name = zk_fb_str(t, FIELD_NAME);

	if (at == ZK_ARROW_FIELDS_MAX)
		return zk_fail(w->err, ZK_E_ZB_ARROW_LIMIT,
		               "the Arrow schema has more than %u fields",
		               ZK_ARROW_FIELDS_MAX);
	if (at == o->room) {
		o->room = o->room ? o->room * 2 : 16;
		o->fields = zk_realloc(o->fields, o->room * sizeof(*o->fields));
	}
	f = &o->fields[at];
	*f = (struct zk_arrow_field){ .parent = parent, .span = 1 };
	f->name.p = zk_arena_strndup(&o->arena, name.p, name.n);
	f->name.n = name.n;
	if (!f->name.p)
		return zk_fail(w->err, ZK_E_ZB_ARROW_LIMIT,
		               "the Arrow schema is too large");
	f->nullable = zk_fb_u8(t, FIELD_NULLABLE, 0);
	f->type = (enum zk_arrow_type)zk_fb_u8(t, FIELD_KIND, 0);
	zk_fb_vector(t, FIELD_CHILDREN, 4, &children);
	f->n_children = children.count;
	zk_fb_sub(t, FIELD_TYPE, &type);
	if (read_type(o, &type, f, w->err) < 0 || read_dictionary(t, f, w->err) < 0 ||
	    check_children(f, w->err) < 0)
		return -(int)w->err->code;
	o->s.n_fields++;
	if (w->depth > ZK_ARROW_DEPTH_MAX)
		return zk_fail(w->err, ZK_E_ZB_ARROW_LIMIT,
		               "the Arrow schema is nested more than %d deep",
		               ZK_ARROW_DEPTH_MAX);
	w->stack[w->depth++] = (struct level){ .children = children, .owner = at };
	return 0;
}

/* A map needs a struct of two; run ends are integers. */
static int check_whole(const struct zk_arrow_owned_schema *o, uint32_t at,
                       struct zk_error *err)
{
	const struct zk_arrow_field *f = &o->fields[at], *child = f + 1;

	if (f->type == ZK_ARROW_MAP &&
	    (child->type != ZK_ARROW_STRUCT || child->n_children != 2 || child->has_dict))
		return bad_field(
		        f, "is a map whose child is not a struct of key and value", err);
	if (f->type == ZK_ARROW_RUN_END &&
	    (child->type != ZK_ARROW_INT || !child->is_signed || child->width < 16 ||
	     child->has_dict || f->has_dict))
		return bad_field(f, "has run ends that are not integers", err);
	return 0;
}

static int walk(struct walk *w)
{
	while (w->depth) {
		struct level *l = &w->stack[w->depth - 1];
		struct zk_fb_table t;

		if (l->next == l->children.count) {
			struct zk_arrow_field *f = l->owner == ZK_ARROW_NO_FIELD
			                                   ? NULL
			                                   : &w->o->fields[l->owner];

			w->depth--;
			if (!f)
				continue;
			f->span = w->o->s.n_fields - l->owner;
			if (check_whole(w->o, l->owner, w->err) < 0)
				return -(int)w->err->code;
			continue;
		}
		zk_fb_table_at(&l->children, l->next++, &t);
		if (!t.fb)
			return broken(w->err, l->children.fb->bad);
		if (add_field(w, &t, l->owner) < 0)
			return -(int)w->err->code;
	}
	return 0;
}

int zk_arrow_schema_read(const struct zk_fb_table *t, struct zk_arrow_owned_schema **ret,
                         struct zk_error *err)
{
	struct walk w = { .o = zk_new0(struct zk_arrow_owned_schema), .err = err };
	int r;

	zk_arena_init(&w.o->arena, ZK_ARROW_META_MAX);
	if (zk_fb_i16(t, SCHEMA_ENDIAN, 0) != 0) {
		zk_arrow_schema_free(w.o);
		return zk_fail(err, ZK_E_ZB_ARROW_FEATURE,
		               "the Arrow data is big-endian, which is not supported");
	}
	w.stack[0] = (struct level){ .owner = ZK_ARROW_NO_FIELD };
	zk_fb_vector(t, SCHEMA_FIELDS, 4, &w.stack[0].children);
	w.depth = 1;
	w.o->s.n_columns = w.stack[0].children.count;
	r = walk(&w);
	if (r == 0 && t->fb && t->fb->bad)
		r = broken(err, t->fb->bad);
	if (r < 0) {
		zk_arrow_schema_free(w.o);
		return r;
	}
	w.o->s.fields = w.o->fields;
	*ret = w.o;
	return 0;
}

void zk_arrow_schema_free(struct zk_arrow_owned_schema *s)
{
	if (!s)
		return;
	zk_arena_done(&s->arena);
	free(s->fields);
	free(s);
}

/* ---- comparing ---- */

static bool same_field(const struct zk_arrow_field *a, const struct zk_arrow_field *b)
{
	return a->type == b->type && a->unit == b->unit && a->width == b->width &&
	       a->is_signed == b->is_signed && a->precision == b->precision &&
	       a->scale == b->scale && a->n_children == b->n_children &&
	       a->has_dict == b->has_dict && a->span == b->span &&
	       zk_str_eq(a->timezone, b->timezone) &&
	       (!a->type_ids || memcmp(a->type_ids, b->type_ids, a->n_children) == 0) &&
	       (!a->has_dict ||
	        (a->index_width == b->index_width && a->index_signed == b->index_signed));
}

bool zk_arrow_same_type(const struct zk_arrow_schema *a, uint32_t i,
                        const struct zk_arrow_schema *b, uint32_t j)
{
	uint32_t n = a->fields[i].span;

	if (n != b->fields[j].span)
		return false;
	for (uint32_t k = 0; k < n; k++) {
		const struct zk_arrow_field *x = &a->fields[i + k],
		                            *y = &b->fields[j + k];

		if (!same_field(x, y) || (k && x->has_dict && x->dict_id != y->dict_id))
			return false;
	}
	return true;
}

bool zk_arrow_schema_same(const struct zk_arrow_schema *a,
                          const struct zk_arrow_schema *b)
{
	if (a->n_fields != b->n_fields || a->n_columns != b->n_columns)
		return false;
	for (uint32_t i = 0; i < a->n_fields; i++) {
		const struct zk_arrow_field *x = &a->fields[i], *y = &b->fields[i];

		if (!same_field(x, y) || !zk_str_eq(x->name, y->name) ||
		    x->nullable != y->nullable || x->dict_id != y->dict_id)
			return false;
	}
	return true;
}
