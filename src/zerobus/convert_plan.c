/* Plans: columns of the input matched with those of the schema.
 * Layer: zerobus. specs/zerobus.md §10.1, §11.2. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"
#include "zerobus/convert.h"
#include "zerobus/convert_frame.h"
#include "zerobus/schema_arrow.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

/* A message whose fields are being planned. */
struct level {
	uint32_t message, next;
	uint32_t source; /* the struct of the input; ZK_ARROW_NO_FIELD: its columns */
	uint32_t depth;
	uint32_t open;   /* its step; ZK_ZB_NONE at the top */
	uint32_t around; /* the list or map around it, or ZK_ZB_NONE */
	bool inside;     /* behind a dictionary or run ends */
};

#define LEVELS (ZK_ZB_DEPTH_MAX + 2)

struct maker {
	struct zk_zb_plan *p;
	const struct zk_zb_schema *s;
	const struct zk_arrow_schema *a;
	struct level stack[LEVELS];
	size_t n;
	struct zk_zb_blame missing, unknown, mismatch;
};

/* ---- steps ---- */

static void set_tag(struct zk_zb_op *op, const struct zk_zb_field *f)
{
	int wire = zk_pb_type_wire(f->pb_type);
	char *end =
	        zk_pb_write_varint(op->tag, zk_pb_tag(f->number, (enum zk_pb_wire)wire));

	op->tag_n = (uint8_t)(end - op->tag);
}

static zk_str json_key(struct zk_zb_plan *p, zk_str name)
{
	struct zk_buf b;
	char *copy;

	zk_buf_init(&b, 4096);
	zk_buf_json_str(&b, name);
	zk_buf_char(&b, ':');
	copy = zk_arena_strndup(&p->arena, b.p, b.n);
	ZK_ASSERT(copy);
	zk_str ret = zk_str_n(copy, b.n);

	zk_buf_done(&b);
	return ret;
}

/* Adds a step for the field; its index. Pointers to steps do not stay. */
static uint32_t add(struct maker *k, enum zk_zb_step step, uint32_t field, uint32_t depth)
{
	struct zk_zb_plan *p = k->p;
	struct zk_zb_op *op;

	if (p->n_ops == p->room) {
		p->room = p->room ? p->room * 2 : 64;
		p->ops = zk_realloc(p->ops, p->room * sizeof(*p->ops));
	}
	op = &p->ops[p->n_ops];
	*op = (struct zk_zb_op){ .step = (uint8_t)step,
		                 .field = field,
		                 .source = ZK_ZB_NONE,
		                 .depth = depth,
		                 .skip = p->n_ops + 1 };
	if (field != ZK_ZB_NONE) {
		const struct zk_zb_field *f = &k->s->fields[field];

		op->put = f->pb_type;
		op->key = json_key(p, f->name);
		set_tag(op, f);
	}
	p->n_frames = ZK_MAX(p->n_frames, depth + 2);
	return p->n_ops++;
}

/* ---- matching ---- */

/* The member of `parent` (or column) called `name`: exactly, else the only one without case. */
static uint32_t find_source(const struct zk_arrow_schema *a, uint32_t parent, zk_str name)
{
	bool top = parent == ZK_ARROW_NO_FIELD;
	uint32_t from = top ? 0 : parent + 1;
	uint32_t end = top ? a->n_fields : zk_arrow_sibling(a, parent);
	uint32_t found = ZK_ARROW_NO_FIELD;

	for (uint32_t i = from; i < end; i = zk_arrow_sibling(a, i))
		if (zk_str_eq(a->fields[i].name, name))
			return i;
	for (uint32_t i = from; i < end; i = zk_arrow_sibling(a, i)) {
		if (!zk_str_eq_nocase(a->fields[i].name, name))
			continue;
		if (found != ZK_ARROW_NO_FIELD)
			return ZK_ARROW_NO_FIELD;
		found = i;
	}
	return found;
}

static void blame_type(struct maker *k, uint32_t field, uint32_t source, const char *hint)
{
	struct zk_buf path, from, to;

	zk_buf_init(&path, 400);
	zk_buf_init(&from, 400);
	zk_buf_init(&to, 400);
	zk_zb_field_path(k->s, field, &path);
	zk_arrow_type_text(k->a, source, &from);
	zk_zb_type_text(k->s, &k->s->fields[field], &to);
	zk_zb_blame_add(&k->mismatch, "'%.*s' %.*s into %.*s%s%s%s",
	                (int)ZK_MIN(path.n, (size_t)60), path.p,
	                (int)ZK_MIN(from.n, (size_t)50), from.p,
	                (int)ZK_MIN(to.n, (size_t)50), to.p, hint[0] ? " (" : "", hint,
	                hint[0] ? ")" : "");
	zk_buf_done(&path);
	zk_buf_done(&from);
	zk_buf_done(&to);
}

/* Columns and members of the input that nothing takes. */
static void check_unknown(struct maker *k, const struct level *l)
{
	bool top = l->source == ZK_ARROW_NO_FIELD;
	uint32_t i = top ? 0 : l->source + 1;
	uint32_t end = top ? k->a->n_fields : zk_arrow_sibling(k->a, l->source);

	for (; i < end; i = zk_arrow_sibling(k->a, i)) {
		const struct zk_arrow_field *f = &k->a->fields[i];

		if (k->a->fields[zk_zb_arrow_value(k->a, i)].type == ZK_ARROW_NULL ||
		    zk_zb_schema_find(k->s, l->message, f->name) != ZK_ZB_NONE)
			continue;
		zk_zb_blame_add(&k->unknown, "'%.*s'", (int)ZK_MIN(f->name.n, (size_t)60),
		                f->name.p);
	}
}

/* ---- loads ---- */

#define COERCE "--coerce allows it"

static bool is_text(const struct zk_arrow_field *f)
{
	return f->type == ZK_ARROW_UTF8 || f->type == ZK_ARROW_LARGE_UTF8 ||
	       f->type == ZK_ARROW_UTF8_VIEW;
}

static bool is_bytes(const struct zk_arrow_field *f)
{
	return f->type == ZK_ARROW_BINARY || f->type == ZK_ARROW_LARGE_BINARY ||
	       f->type == ZK_ARROW_BINARY_VIEW || f->type == ZK_ARROW_FIXED_BINARY;
}

static void set_range(struct zk_zb_op *op, enum zk_zb_type type)
{
	op->min = INT64_MIN;
	op->max = INT64_MAX;
	if (type == ZK_ZBT_TINYINT) {
		op->min = INT8_MIN;
		op->max = INT8_MAX;
	} else if (type == ZK_ZBT_SMALLINT) {
		op->min = INT16_MIN;
		op->max = INT16_MAX;
	} else if (type == ZK_ZBT_INT || type == ZK_ZBT_DATE) {
		op->min = INT32_MIN;
		op->max = INT32_MAX;
	}
}

/* Each gives NULL and sets op->load, or says what to do ("" = nothing). */
static const char *allow(struct zk_zb_op *op, enum zk_zb_load load)
{
	op->load = (uint8_t)load;
	return NULL;
}

static const char *with_coerce(const struct maker *k, struct zk_zb_op *op,
                               enum zk_zb_load load)
{
	return k->p->conf.coerce ? allow(op, load) : COERCE;
}

static const char *into_int(const struct maker *k, struct zk_zb_op *op,
                            const struct zk_arrow_field *f)
{
	if (f->type == ZK_ARROW_INT)
		return allow(op, ZK_ZB_L_INT);
	return f->type == ZK_ARROW_BOOL ? with_coerce(k, op, ZK_ZB_L_BOOL_INT) : "";
}

static const char *into_float(const struct maker *k, struct zk_zb_op *op,
                              const struct zk_arrow_field *f, bool is_double)
{
	if (f->type == ZK_ARROW_FLOAT && f->width < 64)
		return allow(op, ZK_ZB_L_FLOAT);
	if (f->type == ZK_ARROW_FLOAT)
		return is_double ? allow(op, ZK_ZB_L_DOUBLE)
		                 : with_coerce(k, op, ZK_ZB_L_DOUBLE);
	if (f->type != ZK_ARROW_INT || !is_double)
		return "";
	return f->width <= 32 ? allow(op, ZK_ZB_L_INT_FLOAT)
	                      : with_coerce(k, op, ZK_ZB_L_INT_FLOAT);
}

static const char *into_decimal(struct zk_zb_op *op, const struct zk_arrow_field *f,
                                const struct zk_zb_field *to)
{
	if (f->type == ZK_ARROW_INT)
		return allow(op, ZK_ZB_L_INT_DECIMAL);
	if (is_text(f))
		return allow(op, ZK_ZB_L_TEXT_DECIMAL);
	if (f->type != ZK_ARROW_DECIMAL)
		return "";
	op->min = ZK_MAX(f->scale, 0) == to->scale &&
	          f->precision - ZK_MIN(f->scale, 0) <= to->precision;
	return allow(op, ZK_ZB_L_DECIMAL);
}

static const char *into_text(const struct maker *k, struct zk_zb_op *op,
                             const struct zk_arrow_field *f, const struct zk_zb_field *to)
{
	bool counted = to->type == ZK_ZBT_VARCHAR || to->type == ZK_ZBT_CHAR;

	op->max = counted ? to->length : 0;
	if (is_text(f))
		return allow(op, counted ? ZK_ZB_L_TEXT_LENGTH : ZK_ZB_L_TEXT);
	switch ((unsigned)f->type) {
	case ZK_ARROW_INT:
	case ZK_ARROW_FLOAT:
	case ZK_ARROW_BOOL:
	case ZK_ARROW_DECIMAL:
		return with_coerce(k, op, ZK_ZB_L_SCALAR_TEXT);
	case ZK_ARROW_TIME:
	case ZK_ARROW_DURATION:
		return k->p->conf.time_as == ZK_ZB_TIME_STRING
		               ? allow(op, ZK_ZB_L_TIME_TEXT)
		               : "--time-as string";
	case ZK_ARROW_INTERVAL:
		return k->p->conf.time_as == ZK_ZB_TIME_STRING
		               ? allow(op, ZK_ZB_L_INTERVAL)
		               : "--time-as string";
	}
	return "";
}

static const char *into_date(const struct maker *k, struct zk_zb_op *op,
                             const struct zk_arrow_field *f)
{
	if (f->type == ZK_ARROW_DATE)
		return allow(op, f->unit == 0 ? ZK_ZB_L_DATE32 : ZK_ZB_L_DATE64);
	if (f->type == ZK_ARROW_TIMESTAMP)
		return with_coerce(k, op, ZK_ZB_L_TIMESTAMP_DATE);
	return is_text(f) ? allow(op, ZK_ZB_L_TEXT_DATE) : "";
}

static const char *into_timestamp(const struct maker *k, struct zk_zb_op *op,
                                  const struct zk_arrow_field *f, bool ntz)
{
	if (f->type == ZK_ARROW_TIMESTAMP)
		return ntz && f->timezone.n ? with_coerce(k, op, ZK_ZB_L_TIMESTAMP)
		                            : allow(op, ZK_ZB_L_TIMESTAMP);
	if (ntz)
		return "";
	if (f->type == ZK_ARROW_DATE)
		return with_coerce(k, op, ZK_ZB_L_DATE_TIMESTAMP);
	if (f->type == ZK_ARROW_INT && f->width == 64 && f->is_signed)
		return allow(op, ZK_ZB_L_INT);
	return is_text(f) ? allow(op, ZK_ZB_L_TEXT_TIMESTAMP) : "";
}

/* Time of day and durations as microseconds go where they map to without a table. */
static bool is_micros(const struct maker *k, const struct zk_arrow_field *f)
{
	return k->p->conf.time_as == ZK_ZB_TIME_MICROS &&
	       (f->type == ZK_ARROW_TIME || f->type == ZK_ARROW_DURATION);
}

static const char *choose(const struct maker *k, struct zk_zb_op *op,
                          const struct zk_arrow_field *f, const struct zk_zb_field *to)
{
	set_range(op, to->type);
	switch (to->type) {
	case ZK_ZBT_BOOLEAN:
		return f->type == ZK_ARROW_BOOL ? allow(op, ZK_ZB_L_BOOL) : "";
	case ZK_ZBT_TINYINT:
	case ZK_ZBT_SMALLINT:
	case ZK_ZBT_INT:
		return into_int(k, op, f);
	case ZK_ZBT_BIGINT:
		return is_micros(k, f) ? allow(op, ZK_ZB_L_TIME) : into_int(k, op, f);
	case ZK_ZBT_FLOAT:
	case ZK_ZBT_DOUBLE:
		return into_float(k, op, f, to->type == ZK_ZBT_DOUBLE);
	case ZK_ZBT_DECIMAL:
		return into_decimal(op, f, to);
	case ZK_ZBT_STRING:
	case ZK_ZBT_VARCHAR:
	case ZK_ZBT_CHAR:
		return into_text(k, op, f, to);
	case ZK_ZBT_BINARY:
		if (is_text(f))
			return with_coerce(k, op, ZK_ZB_L_BYTES);
		return is_bytes(f) ? allow(op, ZK_ZB_L_BYTES) : "";
	case ZK_ZBT_DATE:
		return into_date(k, op, f);
	case ZK_ZBT_TIMESTAMP:
	case ZK_ZBT_TIMESTAMP_NTZ:
		return into_timestamp(k, op, f, to->type == ZK_ZBT_TIMESTAMP_NTZ);
	case ZK_ZBT_VARIANT:
		return allow(op, is_text(f) ? ZK_ZB_L_VARIANT_TEXT : ZK_ZB_L_VARIANT);
	case ZK_ZBT_STRUCT:
		break;
	}
	return "";
}

/* A descriptor knows no dates and decimals: what maps to the same field type without a table is
 * what it means. */
static struct zk_zb_field meant(const struct maker *k, const struct zk_arrow_field *f,
                                const struct zk_zb_field *to)
{
	struct zk_zb_field natural = *to;

	if (k->s->origin == ZK_ZB_OF_DESCRIPTOR &&
	    !zk_zb_arrow_scalar(f, k->p->conf.time_as, &natural) &&
	    zk_zb_pb_type(natural.type) == to->pb_type)
		return natural;
	return *to;
}

static bool is_indirect(const struct maker *k, uint32_t source)
{
	const struct zk_arrow_field *f = &k->a->fields[source];

	return f->has_dict || f->type == ZK_ARROW_RUN_END || f->type == ZK_ARROW_NULL;
}

/* ---- fields ---- */

struct item {
	uint32_t field, source, depth;
	bool element, is_key, is_value, inside;
};

static void set_item(struct maker *k, uint32_t at, const struct item *it)
{
	struct zk_zb_op *op = &k->p->ops[at];

	op->element = it->element;
	op->is_key = it->is_key;
	op->is_value = it->is_value;
	op->inside = it->inside;
	if (k->a) {
		op->source = it->source;
		op->indirect = is_indirect(k, it->source);
	}
}

static void plan_scalar(struct maker *k, const struct item *it)
{
	const struct zk_zb_field *to = &k->s->fields[it->field];
	uint32_t at = add(k, ZK_ZB_SCALAR, it->field, it->depth);

	set_item(k, at, it);
	if (!k->a) {
		k->p->ops[at].load = ZK_ZB_L_JSON;
		set_range(&k->p->ops[at], to->type);
		return;
	}
	const struct zk_arrow_field *f =
	        &k->a->fields[zk_zb_arrow_value(k->a, it->source)];
	struct zk_zb_field as = meant(k, f, to);
	const char *hint =
	        f->type == ZK_ARROW_NULL ? NULL : choose(k, &k->p->ops[at], f, &as);

	if (hint)
		blame_type(k, it->field, it->source, hint);
}

/* Opens a struct: its members follow. */
static void plan_struct(struct maker *k, const struct item *it, uint32_t around)
{
	const struct zk_zb_field *to = &k->s->fields[it->field];
	uint32_t source = k->a ? zk_zb_arrow_value(k->a, it->source) : ZK_ZB_NONE, at;

	if (k->a && k->a->fields[source].type != ZK_ARROW_STRUCT) {
		blame_type(k, it->field, it->source, "");
		return;
	}
	if (k->n == LEVELS)
		return; /* the schema is not so deep */
	at = add(k, ZK_ZB_STRUCT, it->field, it->depth);
	set_item(k, at, it);
	k->stack[k->n++] = (struct level){
		.message = to->message,
		.source = source,
		.depth = it->depth + 1,
		.open = at,
		.around = around,
		.inside = it->inside || (k->a && is_indirect(k, it->source)),
	};
	if (k->a)
		check_unknown(k, &k->stack[k->n - 1]);
}

static void end_loop(struct maker *k, uint32_t list)
{
	uint32_t at = add(k, ZK_ZB_LOOP, ZK_ZB_NONE, k->p->ops[list].depth + 1);

	k->p->ops[at].skip = list;
	k->p->ops[list].skip = at + 1;
}

static void plan_element(struct maker *k, const struct item *it, uint32_t around)
{
	if (k->s->fields[it->field].type == ZK_ZBT_STRUCT) {
		size_t n = k->n;

		plan_struct(k, it, around);
		if (k->n > n)
			return; /* the loop ends behind the struct */
	} else {
		plan_scalar(k, it);
	}
	end_loop(k, around);
}

static void plan_list(struct maker *k, const struct item *it)
{
	uint32_t source = k->a ? zk_zb_arrow_value(k->a, it->source) : ZK_ZB_NONE, at;
	struct item element = *it;

	if (k->a && !zk_zb_arrow_is_list(&k->a->fields[source])) {
		blame_type(k, it->field, it->source, "");
		return;
	}
	at = add(k, ZK_ZB_LIST, it->field, it->depth);
	set_item(k, at, it);
	element.element = true;
	element.depth++;
	if (k->a) {
		element.source = source + 1;
		element.inside |= is_indirect(k, it->source);
	}
	plan_element(k, &element, at);
}

static void plan_map(struct maker *k, const struct item *it)
{
	const struct zk_zb_message *entry =
	        &k->s->messages[k->s->fields[it->field].message];
	uint32_t source = k->a ? zk_zb_arrow_value(k->a, it->source) : ZK_ZB_NONE, at;
	struct item member = *it;

	if (k->a && k->a->fields[source].type != ZK_ARROW_MAP) {
		blame_type(k, it->field, it->source, "");
		return;
	}
	at = add(k, ZK_ZB_MAP, it->field, it->depth);
	set_item(k, at, it);
	member.depth++;
	member.element = member.is_key = true;
	member.field = entry->first_field;
	if (k->a) {
		member.source = source + 2;
		member.inside |= is_indirect(k, it->source);
	}
	plan_scalar(k, &member);
	member.is_key = false;
	member.is_value = true;
	member.field++;
	if (k->a)
		member.source = zk_arrow_sibling(k->a, member.source);
	plan_element(k, &member, at);
}

static bool is_required(const struct maker *k, uint32_t field, bool top)
{
	const struct zk_zb_field *f = &k->s->fields[field];

	if (top)
		return f->required ||
		       (!f->nullable && (f->list || f->map) && !k->s->all_optional);
	return k->s->origin == ZK_ZB_OF_TABLE && !f->nullable;
}

static void plan_field(struct maker *k, const struct level *l, uint32_t field)
{
	const struct zk_zb_field *f = &k->s->fields[field];
	struct item it = { .field = field, .depth = l->depth, .inside = l->inside };
	uint32_t at = k->p->n_ops;

	if (k->a) {
		it.source = find_source(k->a, l->source, f->name);
		if (it.source == ZK_ARROW_NO_FIELD) {
			if (!f->nullable)
				zk_zb_blame_add(&k->missing, "'%.*s'",
				                ZK_STR_ARG(f->name));
			return;
		}
	}
	if (f->list && !(k->a && k->a->fields[it.source].type == ZK_ARROW_NULL))
		plan_list(k, &it);
	else if (f->map)
		plan_map(k, &it);
	else if (f->type == ZK_ZBT_STRUCT)
		plan_struct(k, &it, ZK_ZB_NONE);
	else
		plan_scalar(k, &it);
	if (at < k->p->n_ops)
		k->p->ops[at].required = is_required(k, field, l->open == ZK_ZB_NONE);
}

static void close_level(struct maker *k)
{
	struct level l = k->stack[--k->n];

	if (l.open == ZK_ZB_NONE)
		return;
	(void)add(k, ZK_ZB_CLOSE, ZK_ZB_NONE, l.depth);
	k->p->ops[l.open].skip = k->p->n_ops;
	if (l.around != ZK_ZB_NONE)
		end_loop(k, l.around);
}

static void plan_all(struct maker *k)
{
	k->stack[0] = (struct level){ .source = ZK_ARROW_NO_FIELD,
		                      .open = ZK_ZB_NONE,
		                      .around = ZK_ZB_NONE };
	k->n = 1;
	if (k->a)
		check_unknown(k, &k->stack[0]);
	while (k->n) {
		struct level *l = &k->stack[k->n - 1];
		const struct zk_zb_message *m = &k->s->messages[l->message];
		struct level copy = *l;

		if (l->next == m->n_fields) {
			close_level(k);
			continue;
		}
		l->next++;
		plan_field(k, &copy, m->first_field + copy.next);
	}
}

/* ---- names of members ---- */

struct zk_zb_index {
	const struct zk_zb_schema *s;
	struct zk_map *maps; /* one per message: name → field + 1 */
};

struct zk_zb_index *zk_zb_index_new(const struct zk_zb_schema *s)
{
	struct zk_zb_index *ix = zk_new0(struct zk_zb_index);

	ix->s = s;
	ix->maps = zk_alloc_array(s->n_messages, sizeof(*ix->maps));
	for (uint32_t m = 0; m < s->n_messages; m++) {
		const struct zk_zb_message *msg = &s->messages[m];

		zk_map_init(&ix->maps[m]);
		for (uint32_t i = 0; i < msg->n_fields; i++)
			(void)zk_map_set(&ix->maps[m],
			                 s->fields[msg->first_field + i].name,
			                 &s->fields[msg->first_field + i]);
	}
	return ix;
}

void zk_zb_index_free(struct zk_zb_index *ix)
{
	if (!ix)
		return;
	for (uint32_t m = 0; m < ix->s->n_messages; m++)
		zk_map_done(&ix->maps[m]);
	free(ix->maps);
	free(ix);
}

uint32_t zk_zb_index_find(const struct zk_zb_index *ix, uint32_t message, zk_str name,
                          uint32_t guess)
{
	const struct zk_zb_message *m = &ix->s->messages[message];
	const struct zk_zb_field *f;

	/* Members mostly come in the order of the columns. */
	if (guess - m->first_field < m->n_fields &&
	    zk_str_eq(ix->s->fields[guess].name, name))
		return guess;
	f = zk_map_get(&ix->maps[message], name);
	return f ? (uint32_t)(f - ix->s->fields)
	         : zk_zb_schema_find(ix->s, message, name);
}

/* ---- CSV ---- */

static void match_columns(struct maker *k)
{
	const struct zk_zb_message *top = zk_zb_top(k->s);
	struct zk_zb_plan *p = k->p;
	uint8_t *seen = zk_alloc0(top->n_fields + 1);

	p->csv_fields = zk_alloc_array(p->conf.n_columns + 1, sizeof(*p->csv_fields));
	for (size_t i = 0; i < p->conf.n_columns; i++) {
		zk_str name = p->conf.columns[i];

		p->csv_fields[i] = zk_zb_schema_find(k->s, 0, name);
		if (p->csv_fields[i] == ZK_ZB_NONE)
			zk_zb_blame_add(&k->unknown, "'%.*s'",
			                (int)ZK_MIN(name.n, (size_t)60), name.p);
		else
			seen[p->csv_fields[i] - top->first_field] = 1;
	}
	for (uint32_t i = 0; i < top->n_fields; i++)
		if (!seen[i] && !k->s->fields[top->first_field + i].nullable)
			zk_zb_blame_add(
			        &k->missing, "'%.*s'",
			        ZK_STR_ARG(k->s->fields[top->first_field + i].name));
	free(seen);
}

/* ---- life ---- */

static int judge(struct maker *k, struct zk_error *err)
{
	struct zk_error other = { 0 };
	struct zk_zb_plan *p = k->p;
	int a, b, c = 0;

	a = zk_zb_blame_end(&k->mismatch, ZK_E_ZB_COLUMN_TYPE,
	                    "columns whose types do not fit the table", NULL, err);
	b = zk_zb_blame_end(&k->missing, ZK_E_ZB_COLUMN_MISSING,
	                    "columns that the table needs and the input lacks", NULL,
	                    a < 0 ? &other : err);
	if (k->unknown.n && p->conf.drop_unknown) {
		char note[400];

		(void)snprintf(note, sizeof(note), "left out, not in the table: %.*s",
		               (int)k->unknown.text.n, k->unknown.text.p);
		if (p->conf.on_note)
			p->conf.on_note(p->conf.ctx, note);
		zk_buf_done(&k->unknown.text);
	} else {
		c = zk_zb_blame_end(
		        &k->unknown, ZK_E_ZB_COLUMN,
		        "columns that the table does not have",
		        "rename them, or leave them out: --unknown-fields drop",
		        a < 0 || b < 0 ? &other : err);
	}
	return a < 0 ? a : b < 0 ? b : c;
}

int zk_zb_plan_new(const struct zk_zb_plan_conf *conf, struct zk_zb_plan **ret,
                   struct zk_error *err)
{
	struct zk_zb_plan *p = zk_new0(struct zk_zb_plan);
	struct maker *k = zk_new0(struct maker);
	int r;

	p->conf = *conf;
	zk_arena_init(&p->arena, (size_t)64 << 20);
	zk_zb_out_init(&p->out, ZK_ZB_ROW_MAX);
	p->text = zk_new(struct zk_buf);
	zk_buf_init(p->text, ZK_ZB_ROW_MAX);
	k->p = p;
	k->s = conf->schema;
	k->a = conf->arrow;
	zk_zb_blame_init(&k->missing);
	zk_zb_blame_init(&k->unknown);
	zk_zb_blame_init(&k->mismatch);
	plan_all(k);
	if (!conf->arrow) {
		p->index = zk_zb_index_new(conf->schema);
		p->slots = zk_alloc_array(conf->schema->n_fields + 1, sizeof(*p->slots));
		p->sink = conf->json && !conf->cells;
	}
	if (conf->cells)
		match_columns(k);
	r = judge(k, err);
	free(k);
	p->frames = zk_alloc_array(p->n_frames + 2, sizeof(*p->frames));
	if (r < 0) {
		zk_zb_plan_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void zk_zb_plan_free(struct zk_zb_plan *p)
{
	if (!p)
		return;
	zk_zb_out_done(&p->out);
	zk_buf_done(p->text);
	free(p->text);
	zk_zb_index_free(p->index);
	zk_arena_done(&p->arena);
	free(p->ops);
	free(p->frames);
	free(p->slots);
	free(p->csv_fields);
	free(p->splices);
	free(p);
}

/* "column 'a.b': 'x' (utf8) into INT: not a number". */
int zk_zb_plan_fail(const struct zk_zb_plan *p, struct zk_error *err)
{
	const struct zk_zb_fault *f = &p->fault;
	struct zk_buf path, from, to;

	if (f->field == ZK_ZB_NONE)
		return zk_fail(err, f->code, "%s%s%s", f->found, f->what ? ": " : "",
		               f->what ? f->what : "");
	zk_buf_init(&path, 400);
	zk_buf_init(&from, 400);
	zk_buf_init(&to, 400);
	zk_zb_field_path(p->conf.schema, f->field, &path);
	if (p->conf.arrow && f->source != ZK_ZB_NONE)
		zk_arrow_type_text(p->conf.arrow, f->source, &from);
	zk_zb_type_text(p->conf.schema, &p->conf.schema->fields[f->field], &to);
	(void)zk_fail(
	        err, f->code, "column '%.*s': %s%s%.*s%s into %.*s: %s",
	        (int)ZK_MIN(path.n, (size_t)80), path.p, f->found, from.n ? " (" : "",
	        (int)ZK_MIN(from.n, (size_t)60), from.n ? from.p : "", from.n ? ")" : "",
	        (int)ZK_MIN(to.n, (size_t)60), to.p, f->what ? f->what : "not possible");
	zk_buf_done(&path);
	zk_buf_done(&from);
	zk_buf_done(&to);
	return -(int)f->code;
}

zk_str zk_zb_plan_column(const struct zk_zb_plan *p)
{
	struct zk_buf path;
	zk_str name = ZK_STR_NULL, top;
	uint32_t field;

	if (p->fault.field == ZK_ZB_NONE)
		return name;
	zk_buf_init(&path, 100000);
	zk_zb_field_path(p->conf.schema, p->fault.field, &path);
	(void)zk_str_cut(zk_buf_str(&path), '.', &top);
	field = zk_zb_schema_find(p->conf.schema, 0, top);
	zk_buf_done(&path);
	return field == ZK_ZB_NONE ? name : p->conf.schema->fields[field].name;
}
