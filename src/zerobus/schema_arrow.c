/* Schemas of Arrow inputs.
 * Layer: zerobus. specs/zerobus.md §11.1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/arrow.h"
#include "zerobus/schema_arrow.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

/* A field whose type has to be found, and the node that gets it. */
struct task {
	uint32_t field, parent;
};

struct maker {
	const struct zk_arrow_schema *s;
	const struct zk_zb_schema_conf *conf;
	struct zk_zb_tree tree;
	struct zk_zb_blame blame;
	struct task *tasks;
	size_t n, room;
	bool too_many;
};

static void push(struct maker *k, uint32_t field, uint32_t parent)
{
	if (k->n == k->room) {
		k->room = k->room ? k->room * 2 : 64;
		k->tasks = zk_realloc(k->tasks, k->room * sizeof(*k->tasks));
	}
	k->tasks[k->n++] = (struct task){ field, parent };
}

static void blame(struct maker *k, uint32_t field, const char *hint)
{
	struct zk_buf path, type;
	uint32_t up[ZK_ARROW_DEPTH_MAX + 2];
	size_t n = 0;

	zk_buf_init(&path, 300);
	zk_buf_init(&type, 120);
	zk_arrow_type_text(k->s, field, &type);
	for (uint32_t f = field; f != ZK_ARROW_NO_FIELD && n < ZK_ARRAY_LEN(up);
	     f = k->s->fields[f].parent)
		up[n++] = f;
	while (n--) {
		zk_str name = k->s->fields[up[n]].name;

		zk_buf_put(&path, name.p, ZK_MIN(name.n, (size_t)60));
		if (n)
			zk_buf_char(&path, '.');
	}
	zk_zb_blame_add(&k->blame, "'%s' %.*s (%s)", zk_buf_cstring(&path),
	                (int)ZK_MIN(type.n, (size_t)60), type.p ? type.p : "", hint);
	zk_buf_done(&path);
	zk_buf_done(&type);
}

bool zk_zb_arrow_is_list(const struct zk_arrow_field *f)
{
	switch ((unsigned)f->type) {
	case ZK_ARROW_LIST:
	case ZK_ARROW_LARGE_LIST:
	case ZK_ARROW_FIXED_LIST:
	case ZK_ARROW_LIST_VIEW:
	case ZK_ARROW_LARGE_LIST_VIEW:
		return true;
	}
	return false;
}

uint32_t zk_zb_arrow_value(const struct zk_arrow_schema *s, uint32_t field)
{
	while (s->fields[field].type == ZK_ARROW_RUN_END)
		field = zk_arrow_sibling(s, field + 1);
	return field;
}

static enum zk_zb_type int_type(const struct zk_arrow_field *f)
{
	switch (f->width) {
	case 8:
		return f->is_signed ? ZK_ZBT_TINYINT : ZK_ZBT_SMALLINT;
	case 16:
		return f->is_signed ? ZK_ZBT_SMALLINT : ZK_ZBT_INT;
	case 32:
		return f->is_signed ? ZK_ZBT_INT : ZK_ZBT_BIGINT;
	}
	return ZK_ZBT_BIGINT;
}

/* Times of day, durations, intervals: as --time-as says. */
static const char *time_type(const struct zk_arrow_field *f, enum zk_zb_time_as time_as,
                             enum zk_zb_type *ret)
{
	if (time_as == ZK_ZB_TIME_STRING) {
		*ret = ZK_ZBT_STRING;
		return NULL;
	}
	*ret = ZK_ZBT_BIGINT;
	if (f->type == ZK_ARROW_INTERVAL)
		return "--time-as string writes it as text";
	return time_as == ZK_ZB_TIME_MICROS ? NULL : "--time-as string or micros";
}

const char *zk_zb_arrow_scalar(const struct zk_arrow_field *f, enum zk_zb_time_as time_as,
                               struct zk_zb_field *ret)
{
	switch ((unsigned)f->type) {
	case ZK_ARROW_BOOL:
		ret->type = ZK_ZBT_BOOLEAN;
		return NULL;
	case ZK_ARROW_INT:
		ret->type = int_type(f);
		return NULL;
	case ZK_ARROW_FLOAT:
		ret->type = f->width == 64 ? ZK_ZBT_DOUBLE : ZK_ZBT_FLOAT;
		return NULL;
	case ZK_ARROW_DECIMAL:
		ret->type = ZK_ZBT_DECIMAL;
		ret->scale = (int16_t)ZK_MAX(f->scale, 0);
		ret->precision = (int16_t)(f->precision - ZK_MIN(f->scale, 0));
		return NULL;
	case ZK_ARROW_UTF8:
	case ZK_ARROW_LARGE_UTF8:
	case ZK_ARROW_UTF8_VIEW:
		ret->type = ZK_ZBT_STRING;
		return NULL;
	case ZK_ARROW_BINARY:
	case ZK_ARROW_LARGE_BINARY:
	case ZK_ARROW_BINARY_VIEW:
	case ZK_ARROW_FIXED_BINARY:
		ret->type = ZK_ZBT_BINARY;
		return NULL;
	case ZK_ARROW_DATE:
		ret->type = ZK_ZBT_DATE;
		return NULL;
	case ZK_ARROW_TIMESTAMP:
		ret->type = f->timezone.n ? ZK_ZBT_TIMESTAMP : ZK_ZBT_TIMESTAMP_NTZ;
		return NULL;
	case ZK_ARROW_TIME:
	case ZK_ARROW_DURATION:
	case ZK_ARROW_INTERVAL:
		return time_type(f, time_as, &ret->type);
	}
	return "flatten it, or store it as JSON text";
}

/* Adds a node; its children follow as tasks. */
static uint32_t add(struct maker *k, uint32_t parent, const struct zk_zb_field *f)
{
	uint32_t node = zk_zb_tree_add(&k->tree, parent, f);

	k->too_many |= node == ZK_ZB_NONE;
	return node;
}

/* Whether a struct has a member that is not of type null. */
static bool has_members(const struct zk_arrow_schema *s, uint32_t field)
{
	uint32_t end = zk_arrow_sibling(s, field);

	for (uint32_t i = field + 1; i < end; i = zk_arrow_sibling(s, i))
		if (s->fields[zk_zb_arrow_value(s, i)].type != ZK_ARROW_NULL)
			return true;
	return false;
}

static void add_struct(struct maker *k, uint32_t at, uint32_t parent,
                       struct zk_zb_field *f)
{
	uint32_t end = zk_arrow_sibling(k->s, at), node;

	if (!has_members(k->s, at)) {
		blame(k, at, "a struct without members");
		return;
	}
	f->type = ZK_ZBT_STRUCT;
	node = add(k, parent, f);
	if (node == ZK_ZB_NONE)
		return;
	for (uint32_t i = at + 1; i < end; i = zk_arrow_sibling(k->s, i))
		push(k, i, node);
}

static bool key_is_fine(const struct zk_zb_field *f)
{
	return f->type != ZK_ZBT_FLOAT && f->type != ZK_ZBT_DOUBLE &&
	       f->type != ZK_ZBT_BINARY && f->type != ZK_ZBT_STRUCT &&
	       f->type != ZK_ZBT_DECIMAL;
}

static void add_map(struct maker *k, uint32_t at, uint32_t parent, struct zk_zb_field *f)
{
	uint32_t key = at + 2, value = zk_arrow_sibling(k->s, key);
	const struct zk_arrow_field *kf = &k->s->fields[zk_zb_arrow_value(k->s, key)];
	const struct zk_arrow_field *vf = &k->s->fields[zk_zb_arrow_value(k->s, value)];
	struct zk_zb_field member = { .name = ZK_STR("key"), .message = ZK_ZB_NONE };
	uint32_t node;

	if (zk_zb_arrow_scalar(kf, k->conf->time_as, &member) || !key_is_fine(&member)) {
		blame(k, at, "keys are integers, bools or text");
		return;
	}
	if (zk_zb_arrow_is_list(vf) || vf->type == ZK_ARROW_MAP ||
	    vf->type == ZK_ARROW_NULL) {
		blame(k, at,
		      "a map of lists or maps: flatten it, or store it as JSON text");
		return;
	}
	f->type = ZK_ZBT_STRUCT;
	f->map = true;
	node = add(k, parent, f);
	if (node == ZK_ZB_NONE || add(k, node, &member) == ZK_ZB_NONE)
		return;
	push(k, value, node);
}

static void run_task(struct maker *k, struct task t)
{
	bool is_value = t.parent != ZK_ZB_NONE && k->tree.nodes[t.parent].field.map;
	const struct zk_arrow_field *f = &k->s->fields[t.field];
	uint32_t at = zk_zb_arrow_value(k->s, t.field);
	struct zk_zb_field col = { .name = is_value ? ZK_STR("value") : f->name,
		                   .nullable = f->nullable,
		                   .message = ZK_ZB_NONE };
	const char *hint;

	if (zk_zb_arrow_is_list(&k->s->fields[at])) {
		col.list = true;
		at = zk_zb_arrow_value(k->s, at + 1);
	}
	f = &k->s->fields[at];
	if (f->type == ZK_ARROW_NULL && !col.list) {
		char text[160];

		if (!k->conf->on_note)
			return;
		(void)snprintf(text, sizeof(text),
		               "column '%.*s' has the type null: left out",
		               (int)ZK_MIN(col.name.n, (size_t)80), col.name.p);
		k->conf->on_note(k->conf->ctx, text);
		return;
	}
	if (col.list && (zk_zb_arrow_is_list(f) || f->type == ZK_ARROW_MAP)) {
		blame(k, t.field,
		      "a list of lists or maps: flatten it, or store it as JSON text");
	} else if (f->type == ZK_ARROW_STRUCT) {
		add_struct(k, at, t.parent, &col);
	} else if (f->type == ZK_ARROW_MAP) {
		add_map(k, at, t.parent, &col);
	} else {
		hint = zk_zb_arrow_scalar(f, k->conf->time_as, &col);
		if (hint)
			blame(k, t.field, hint);
		else
			(void)add(k, t.parent, &col);
	}
}

int zk_zb_schema_of_arrow(const struct zk_arrow_schema *s,
                          const struct zk_zb_schema_conf *conf, struct zk_zb_schema **ret,
                          struct zk_error *err)
{
	struct maker k = { .s = s, .conf = conf };
	int r;

	zk_zb_tree_init(&k.tree);
	zk_zb_blame_init(&k.blame);
	for (uint32_t i = 0; i < s->n_fields; i = zk_arrow_sibling(s, i))
		push(&k, i, ZK_ZB_NONE);
	for (size_t i = 0; i < k.n && !k.too_many; i++)
		run_task(&k, k.tasks[i]);
	free(k.tasks);
	r = zk_zb_blame_end(&k.blame, ZK_E_ZB_TYPE, "columns that cannot be written",
	                    NULL, err);
	if (r == 0 && k.too_many)
		r = zk_fail(err, ZK_E_ZB_ARROW_LIMIT, "the schema has too many columns");
	if (r == 0)
		r = zk_zb_schema_build(&k.tree, ZK_ZB_OF_ARROW, conf, ret, err);
	zk_zb_tree_done(&k.tree);
	return r;
}
