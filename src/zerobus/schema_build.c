/* From a tree of columns to messages, names, numbers and the descriptor.
 * Layer: zerobus. specs/zerobus.md §10.2, §10.3. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "codec/pb.h"
#include "zerobus/descriptor.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

#define RESERVED_FROM 19000u
#define RESERVED_TO   19999u
#define SHOWN         8u

/* ---- blame ---- */

void zk_zb_blame_init(struct zk_zb_blame *b)
{
	*b = (struct zk_zb_blame){ 0 };
	zk_buf_init(&b->text, 4096);
}

void zk_zb_blame_add(struct zk_zb_blame *b, const char *fmt, ...)
{
	va_list ap;

	b->n++;
	if (b->shown == SHOWN || b->text.n > 330)
		return;
	b->shown++;
	if (b->text.n)
		zk_buf_lit(&b->text, ", ");
	va_start(ap, fmt);
	zk_buf_vprintf(&b->text, fmt, ap);
	va_end(ap);
}

int zk_zb_blame_end(struct zk_zb_blame *b, enum zk_code code, const char *what,
                    const char *hint, struct zk_error *err)
{
	int r = 0;

	if (b->n) {
		size_t rest = b->n - b->shown;
		char more[40] = "";

		if (rest)
			(void)snprintf(more, sizeof(more), " and %zu more", rest);
		r = zk_fail(err, code, "%s: %s%s", what, zk_buf_cstring(&b->text), more);
		if (hint)
			(void)zk_err_hint(err, "%s", hint);
	}
	zk_buf_done(&b->text);
	return r;
}

/* ---- the tree ---- */

void zk_zb_tree_init(struct zk_zb_tree *t)
{
	*t = (struct zk_zb_tree){ .first = ZK_ZB_NONE, .last = ZK_ZB_NONE };
	zk_arena_init(&t->arena, (size_t)32 << 20);
}

void zk_zb_tree_done(struct zk_zb_tree *t)
{
	free(t->nodes);
	zk_arena_done(&t->arena);
}

uint32_t zk_zb_tree_add(struct zk_zb_tree *t, uint32_t parent,
                        const struct zk_zb_field *field)
{
	uint32_t at = t->n, *first, *last;

	if (t->n == ZK_ZB_NODES_MAX)
		return ZK_ZB_NONE;
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 32;
		t->nodes = zk_realloc(t->nodes, t->room * sizeof(*t->nodes));
	}
	t->nodes[t->n++] = (struct zk_zb_node){ .field = *field,
		                                .child = ZK_ZB_NONE,
		                                .last_child = ZK_ZB_NONE,
		                                .next = ZK_ZB_NONE };
	first = parent == ZK_ZB_NONE ? &t->first : &t->nodes[parent].child;
	last = parent == ZK_ZB_NONE ? &t->last : &t->nodes[parent].last_child;
	if (*first == ZK_ZB_NONE)
		*first = at;
	else
		t->nodes[*last].next = at;
	*last = at;
	return at;
}

/* ---- checks ---- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool name_is_fine(zk_str name)
{
	if (!name.n || name.n > ZK_ZB_NAME_MAX || !is_letter(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++)
		if (!is_letter(name.p[i]) && (name.p[i] < '0' || name.p[i] > '9'))
			return false;
	return true;
}

static int check_names(const struct zk_zb_tree *t, struct zk_error *err)
{
	struct zk_zb_blame blame;

	zk_zb_blame_init(&blame);
	for (uint32_t i = 0; i < t->n; i++) {
		zk_str name = t->nodes[i].field.name;

		if (!name_is_fine(name))
			zk_zb_blame_add(&blame, "'%.*s'", (int)ZK_MIN(name.n, (size_t)60),
			                name.p);
	}
	return zk_zb_blame_end(
	        &blame, ZK_E_ZB_COLUMN_NAME, "column names not allowed",
	        "names are letters, digits and underscores, do not begin with a "
	        "digit, and have at most 255 bytes: rename them in the source",
	        err);
}

static void lower(zk_str s, struct zk_buf *b)
{
	zk_buf_clear(b);
	for (size_t i = 0; i < s.n; i++)
		zk_buf_char(b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32)
		                                              : s.p[i]);
}

/* Names of one scope that are equal without case. */
static void check_scope(const struct zk_zb_tree *t, uint32_t first,
                        struct zk_zb_blame *blame)
{
	struct zk_buf low;
	struct zk_map seen;

	zk_map_init(&seen);
	zk_buf_init(&low, ZK_ZB_NAME_MAX + 1);
	for (uint32_t i = first; i != ZK_ZB_NONE; i = t->nodes[i].next) {
		struct zk_zb_node *n = &t->nodes[i], *before;

		lower(n->field.name, &low);
		before = zk_map_set(&seen, zk_buf_str(&low), n);
		if (before)
			zk_zb_blame_add(blame, "'%.*s' and '%.*s'",
			                ZK_STR_ARG(before->field.name),
			                ZK_STR_ARG(n->field.name));
	}
	zk_buf_done(&low);
	zk_map_done(&seen);
}

static int check_twice(const struct zk_zb_tree *t, struct zk_error *err)
{
	struct zk_zb_blame blame;

	zk_zb_blame_init(&blame);
	check_scope(t, t->first, &blame);
	for (uint32_t i = 0; i < t->n; i++)
		if (t->nodes[i].child != ZK_ZB_NONE)
			check_scope(t, t->nodes[i].child, &blame);
	return zk_zb_blame_end(&blame, ZK_E_ZB_COLUMN_TWICE,
	                       "column names that occur twice (case does not count)",
	                       "rename one of them in the source", err);
}

static int check(const struct zk_zb_tree *t, struct zk_error *err)
{
	uint32_t columns = 0;

	for (uint32_t i = t->first; i != ZK_ZB_NONE; i = t->nodes[i].next)
		columns++;
	if (columns == 0)
		return zk_fail(err, ZK_E_ZB_COLUMNS,
		               "there is no column that can be written");
	if (columns > ZK_ZB_COLUMNS_MAX)
		return zk_fail(err, ZK_E_ZB_COLUMNS,
		               "there are %u columns, the service takes at most %u",
		               columns, ZK_ZB_COLUMNS_MAX);
	if (check_names(t, err) < 0)
		return -(int)err->code;
	return check_twice(t, err);
}

/* ---- names ---- */

/* geo_point → GeoPoint, URL → URL. */
static void pascal(zk_str name, struct zk_buf *b)
{
	bool up = true;

	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c == '_') {
			up = true;
			continue;
		}
		zk_buf_char(b, up && c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
		up = false;
	}
	/* A name of underscores, or one that would begin with a digit. */
	if (!b->n || (b->p[0] >= '0' && b->p[0] <= '9')) {
		struct zk_buf copy;

		zk_buf_init(&copy, 1024);
		zk_buf_char(&copy, '_');
		zk_buf_add(&copy, zk_buf_str(b));
		zk_buf_clear(b);
		zk_buf_add(b, zk_buf_str(&copy));
		zk_buf_done(&copy);
	}
}

struct maker {
	const struct zk_zb_tree *t;
	struct zk_zb_schema *s;
	const struct zk_zb_schema_conf *conf;
	uint32_t *nodes;  /* of each message: the first node of its fields */
	uint32_t *values; /* of each entry: the message of its values */
	size_t room;
	struct zk_map taken; /* names of the scope in work */
};

static void take_name(struct maker *k, zk_str name)
{
	(void)zk_map_set(&k->taken, name, k); /* any value */
}

/* A free name that begins with PascalCase + suffix. */
static zk_str free_name(struct maker *k, zk_str name, const char *suffix)
{
	struct zk_buf b;
	size_t base;
	zk_str ret;

	zk_buf_init(&b, 2048);
	pascal(name, &b);
	zk_buf_cstr(&b, suffix);
	base = b.n;
	for (unsigned n = 2; zk_map_get(&k->taken, zk_buf_str(&b)); n++) {
		b.n = base;
		zk_buf_printf(&b, "_%u", n);
	}
	take_name(k, zk_buf_str(&b));
	ret = zk_zb_schema_copy(k->s, zk_buf_str(&b));
	zk_buf_done(&b);
	return ret;
}

/* Map entries keep their canonical name whatever stands beside them. */
static zk_str entry_name(struct maker *k, zk_str name)
{
	struct zk_buf b;
	zk_str ret;

	zk_buf_init(&b, 2048);
	pascal(name, &b);
	zk_buf_lit(&b, "Entry");
	take_name(k, zk_buf_str(&b));
	ret = zk_zb_schema_copy(k->s, zk_buf_str(&b));
	zk_buf_done(&b);
	return ret;
}

/* Adds a message below `parent` whose fields begin with the node `first`. */
static uint32_t add_message(struct maker *k, uint32_t parent, zk_str name, uint32_t first)
{
	struct zk_zb_schema *s = k->s;
	uint32_t at = zk_zb_schema_add_message(s);
	struct zk_zb_message *m = &s->messages[at];

	if (at >= k->room) {
		k->room = k->room ? k->room * 2 : 16;
		k->nodes = zk_realloc(k->nodes, k->room * sizeof(*k->nodes));
		k->values = zk_realloc(k->values, k->room * sizeof(*k->values));
	}
	k->nodes[at] = first;
	k->values[at] = ZK_ZB_NONE;
	m->name = name;
	if (parent != ZK_ZB_NONE)
		m->depth = s->messages[parent].depth + 1;
	zk_zb_schema_nest(s, parent, at);
	return at;
}

/* The nested messages of one field, in their order. */
static void add_nested(struct maker *k, uint32_t message, uint32_t field,
                       const struct zk_zb_node *n, zk_str entry)
{
	if (n->field.map) {
		uint32_t child = ZK_ZB_NONE;
		const struct zk_zb_node *value = &k->t->nodes[k->t->nodes[n->child].next];

		/* The value's message stands beside the entry: proto text has no place
		 * inside it. */
		if (value->field.type == ZK_ZBT_STRUCT)
			child = add_message(k, message,
			                    free_name(k, n->field.name, "Value"),
			                    value->child);
		uint32_t e = add_message(k, message, entry, n->child);

		k->s->messages[e].is_entry = true;
		k->values[e] = child;
		k->s->fields[field].message = e;
	} else if (n->field.type == ZK_ZBT_STRUCT) {
		k->s->fields[field].message = add_message(
		        k, message, free_name(k, n->field.name, ""), n->child);
	}
}

static void make_field(struct maker *k, const struct zk_zb_node *n, uint32_t number,
                       bool top)
{
	uint32_t at = zk_zb_schema_add_field(k->s);
	struct zk_zb_field *f = &k->s->fields[at];

	*f = n->field;
	f->name = zk_zb_schema_copy(k->s, n->field.name);
	f->comment = zk_zb_schema_copy(k->s, n->field.comment);
	f->number = number;
	f->message = ZK_ZB_NONE;
	f->pb_type = f->map ? ZK_PB_MESSAGE : zk_zb_pb_type(f->type);
	f->required =
	        top && !f->nullable && !f->list && !f->map && !k->conf->all_optional;
}

/* The fields of the message `m`, and the messages below it. */
static void make_message(struct maker *k, uint32_t m)
{
	uint32_t first = k->s->n_fields, number = 1;

	zk_map_init(&k->taken);
	for (uint32_t i = k->nodes[m]; i != ZK_ZB_NONE; i = k->t->nodes[i].next) {
		if (number == RESERVED_FROM)
			number = RESERVED_TO + 1;
		make_field(k, &k->t->nodes[i], number++, m == 0);
		take_name(k, k->s->fields[k->s->n_fields - 1].name);
	}
	k->s->messages[m].first_field = first;
	k->s->messages[m].n_fields = k->s->n_fields - first;
	if (k->s->messages[m].is_entry) {
		k->s->fields[first + 1].message = k->values[m];
	} else {
		uint32_t n = k->s->messages[m].n_fields;
		zk_str *entries = zk_alloc_array(n, sizeof(*entries));
		uint32_t node = k->nodes[m];

		for (uint32_t i = 0; i < n; i++, node = k->t->nodes[node].next)
			if (k->t->nodes[node].field.map)
				entries[i] = entry_name(k, k->t->nodes[node].field.name);
		node = k->nodes[m];
		for (uint32_t i = 0; i < n; i++, node = k->t->nodes[node].next)
			add_nested(k, m, first + i, &k->t->nodes[node], entries[i]);
		free(entries);
	}
	zk_map_done(&k->taken);
}

int zk_zb_schema_build(const struct zk_zb_tree *t, enum zk_zb_origin origin,
                       const struct zk_zb_schema_conf *conf, struct zk_zb_schema **ret,
                       struct zk_error *err)
{
	struct maker k = { .t = t, .conf = conf };
	zk_str name = zk_str_of(conf->message);
	bool digit = name.n && name.p[0] >= '0' && name.p[0] <= '9';
	char *top;
	int r = 0;

	if (check(t, err) < 0)
		return -(int)err->code;
	k.s = zk_zb_schema_new(origin);
	k.s->all_optional = conf->all_optional;
	top = zk_asprintf("%s%s", digit ? "_" : "", conf->message);
	(void)add_message(&k, ZK_ZB_NONE, zk_zb_schema_copy(k.s, zk_str_of(top)),
	                  t->first);
	free(top);
	for (uint32_t m = 0; r == 0 && m < k.s->n_messages; m++) {
		if (k.s->messages[m].depth >= ZK_ZB_DEPTH_MAX)
			r = zk_fail(err, ZK_E_ZB_TYPE,
			            "the columns are nested more than %u deep",
			            ZK_ZB_DEPTH_MAX);
		else
			make_message(&k, m);
	}
	free(k.nodes);
	free(k.values);
	if (r < 0) {
		zk_zb_schema_free(k.s);
		return r;
	}
	zk_zb_descriptor_write(k.s);
	zk_zb_schema_seal(k.s);
	*ret = k.s;
	return 0;
}
