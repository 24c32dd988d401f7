/* Schemas: life, search, text of types.
 * Layer: zerobus. specs/zerobus.md §10. */
#include "zerobus/schema.h"

#include <stdlib.h>
#include <string.h>

#include "codec/digest.h"
#include "codec/pb.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

#define ARENA_BYTES ((size_t)64 << 20)

struct zk_zb_schema *zk_zb_schema_new(enum zk_zb_origin origin)
{
	struct zk_zb_schema *s = zk_new0(struct zk_zb_schema);

	s->origin = origin;
	zk_arena_init(&s->arena, ARENA_BYTES);
	return s;
}

void zk_zb_schema_free(struct zk_zb_schema *s)
{
	if (!s)
		return;
	free((char *)(uintptr_t)s->descriptor.p);
	free(s->messages);
	free(s->fields);
	zk_arena_done(&s->arena);
	free(s);
}

void zk_zb_schema_freep(struct zk_zb_schema **s)
{
	zk_zb_schema_free(*s);
}

uint32_t zk_zb_schema_add_message(struct zk_zb_schema *s)
{
	if (s->n_messages == s->messages_room) {
		s->messages_room = s->messages_room ? s->messages_room * 2 : 8;
		s->messages =
		        zk_realloc(s->messages, s->messages_room * sizeof(*s->messages));
	}
	s->messages[s->n_messages] = (struct zk_zb_message){ .parent = ZK_ZB_NONE,
		                                             .first_child = ZK_ZB_NONE,
		                                             .last_child = ZK_ZB_NONE,
		                                             .next_sibling = ZK_ZB_NONE };
	return s->n_messages++;
}

void zk_zb_schema_nest(struct zk_zb_schema *s, uint32_t parent, uint32_t child)
{
	ZK_ASSERT(s->messages);
	struct zk_zb_message *c = &s->messages[child];
	struct zk_zb_message *p = parent == ZK_ZB_NONE ? NULL : &s->messages[parent];
	char *full = zk_asprintf("%.*s.%.*s", p ? (int)p->full.n : 0, p ? p->full.p : "",
	                         ZK_STR_ARG(c->name));

	c->full = zk_zb_schema_copy(s, zk_str_of(full));
	free(full);
	c->parent = parent;
	if (!p)
		return;
	if (p->last_child == ZK_ZB_NONE)
		p->first_child = child;
	else
		s->messages[p->last_child].next_sibling = child;
	p->last_child = child;
}

uint32_t zk_zb_schema_add_field(struct zk_zb_schema *s)
{
	if (s->n_fields == s->fields_room) {
		s->fields_room = s->fields_room ? s->fields_room * 2 : 32;
		s->fields = zk_realloc(s->fields, s->fields_room * sizeof(*s->fields));
	}
	s->fields[s->n_fields] = (struct zk_zb_field){ .message = ZK_ZB_NONE };
	return s->n_fields++;
}

zk_str zk_zb_schema_copy(struct zk_zb_schema *s, zk_str text)
{
	char *p = zk_arena_strndup(&s->arena, text.n ? text.p : "", text.n);

	ZK_ASSERT(p); /* inputs were capped below the arena's size */
	return zk_str_n(p, text.n);
}

uint8_t zk_zb_pb_type(enum zk_zb_type type)
{
	static const uint8_t types[] = {
		[ZK_ZBT_BOOLEAN] = ZK_PB_BOOL,        [ZK_ZBT_TINYINT] = ZK_PB_INT32,
		[ZK_ZBT_SMALLINT] = ZK_PB_INT32,      [ZK_ZBT_INT] = ZK_PB_INT32,
		[ZK_ZBT_BIGINT] = ZK_PB_INT64,        [ZK_ZBT_FLOAT] = ZK_PB_FLOAT,
		[ZK_ZBT_DOUBLE] = ZK_PB_DOUBLE,       [ZK_ZBT_DECIMAL] = ZK_PB_STRING,
		[ZK_ZBT_STRING] = ZK_PB_STRING,       [ZK_ZBT_VARCHAR] = ZK_PB_STRING,
		[ZK_ZBT_CHAR] = ZK_PB_STRING,         [ZK_ZBT_BINARY] = ZK_PB_BYTES,
		[ZK_ZBT_DATE] = ZK_PB_INT32,          [ZK_ZBT_TIMESTAMP] = ZK_PB_INT64,
		[ZK_ZBT_TIMESTAMP_NTZ] = ZK_PB_INT64, [ZK_ZBT_VARIANT] = ZK_PB_STRING,
		[ZK_ZBT_STRUCT] = ZK_PB_MESSAGE,
	};

	return types[type];
}

const char *zk_zb_type_name(enum zk_zb_type type)
{
	static const char *const names[] = {
		[ZK_ZBT_BOOLEAN] = "BOOLEAN",
		[ZK_ZBT_TINYINT] = "TINYINT",
		[ZK_ZBT_SMALLINT] = "SMALLINT",
		[ZK_ZBT_INT] = "INT",
		[ZK_ZBT_BIGINT] = "BIGINT",
		[ZK_ZBT_FLOAT] = "FLOAT",
		[ZK_ZBT_DOUBLE] = "DOUBLE",
		[ZK_ZBT_DECIMAL] = "DECIMAL",
		[ZK_ZBT_STRING] = "STRING",
		[ZK_ZBT_VARCHAR] = "VARCHAR",
		[ZK_ZBT_CHAR] = "CHAR",
		[ZK_ZBT_BINARY] = "BINARY",
		[ZK_ZBT_DATE] = "DATE",
		[ZK_ZBT_TIMESTAMP] = "TIMESTAMP",
		[ZK_ZBT_TIMESTAMP_NTZ] = "TIMESTAMP_NTZ",
		[ZK_ZBT_VARIANT] = "VARIANT",
		[ZK_ZBT_STRUCT] = "STRUCT",
	};

	return names[type];
}

uint32_t zk_zb_schema_find(const struct zk_zb_schema *s, uint32_t message, zk_str name)
{
	const struct zk_zb_message *m = &s->messages[message];
	uint32_t found = ZK_ZB_NONE;

	for (uint32_t i = m->first_field; i < m->first_field + m->n_fields; i++)
		if (zk_str_eq(s->fields[i].name, name))
			return i;
	for (uint32_t i = m->first_field; i < m->first_field + m->n_fields; i++) {
		if (!zk_str_eq_nocase(s->fields[i].name, name))
			continue;
		if (found != ZK_ZB_NONE)
			return ZK_ZB_NONE;
		found = i;
	}
	return found;
}

/* The message that `field` belongs to. */
static uint32_t owner(const struct zk_zb_schema *s, uint32_t field)
{
	uint32_t low = 0, high = s->n_messages;

	/* Fields stand in the order of their messages. */
	while (high - low > 1) {
		uint32_t mid = (low + high) / 2;

		if (s->messages[mid].first_field <= field)
			low = mid;
		else
			high = mid;
	}
	while (low && s->messages[low].n_fields == 0)
		low--;
	return low;
}

/* The field that uses the message `m`; ZK_ZB_NONE for the top. */
static uint32_t user(const struct zk_zb_schema *s, uint32_t m)
{
	for (uint32_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].message == m)
			return i;
	return ZK_ZB_NONE;
}

void zk_zb_field_path(const struct zk_zb_schema *s, uint32_t field, struct zk_buf *b)
{
	uint32_t path[ZK_ZB_DEPTH_MAX * 2 + 2];
	size_t n = 0;

	while (field != ZK_ZB_NONE && n < ZK_ARRAY_LEN(path)) {
		path[n++] = field;
		field = user(s, owner(s, field));
	}
	while (n--) {
		zk_buf_add(b, s->fields[path[n]].name);
		if (n)
			zk_buf_char(b, '.');
	}
}

static void put_scalar(const struct zk_zb_field *f, struct zk_buf *b)
{
	zk_buf_cstr(b, zk_zb_type_name(f->type));
	if (f->type == ZK_ZBT_DECIMAL)
		zk_buf_printf(b, "(%d,%d)", f->precision, f->scale);
	else if (f->type == ZK_ZBT_VARCHAR || f->type == ZK_ZBT_CHAR)
		zk_buf_printf(b, "(%u)", f->length);
}

/* A place in the text of a nested type. */
struct spot {
	uint32_t next, end;
	const char *close;
	bool is_map;
};

/* Opens the type of `f`; its members follow on the stack. */
static void open_type(const struct zk_zb_schema *s, const struct zk_zb_field *f,
                      struct spot *stack, size_t *depth, struct zk_buf *b)
{
	bool nested = f->message != ZK_ZB_NONE && *depth < 2 * ZK_ZB_DEPTH_MAX;

	if (f->list)
		zk_buf_lit(b, "ARRAY<");
	if (!nested) {
		put_scalar(f, b);
		if (f->list)
			zk_buf_char(b, '>');
		return;
	}
	const struct zk_zb_message *m = &s->messages[f->message];

	zk_buf_cstr(b, f->map ? "MAP<" : "STRUCT<");
	stack[(*depth)++] = (struct spot){ .next = m->first_field,
		                           .end = m->first_field + m->n_fields,
		                           .close = f->list ? ">>" : ">",
		                           .is_map = f->map };
}

void zk_zb_type_text(const struct zk_zb_schema *s, const struct zk_zb_field *f,
                     struct zk_buf *b)
{
	struct spot stack[2 * ZK_ZB_DEPTH_MAX + 1];
	size_t depth = 0;

	open_type(s, f, stack, &depth, b);
	while (depth) {
		struct spot *top = &stack[depth - 1];
		const struct zk_zb_field *m;

		if (top->next == top->end) {
			zk_buf_cstr(b, top->close);
			depth--;
			continue;
		}
		m = &s->fields[top->next];
		if (b->p[b->n - 1] != '<')
			zk_buf_lit(b, ", ");
		if (!top->is_map)
			zk_buf_printf(b, "%.*s: ", ZK_STR_ARG(m->name));
		top->next++;
		open_type(s, m, stack, &depth, b);
	}
}

void zk_zb_schema_seal(struct zk_zb_schema *s)
{
	uint8_t sum[ZK_SHA256_SIZE];
	struct zk_buf hex;

	zk_sha256(s->descriptor, sum);
	zk_buf_init(&hex, 16);
	zk_hex_encode(zk_str_n((const char *)sum, 4), &hex);
	memcpy(s->fingerprint, hex.p, 8);
	s->fingerprint[8] = '\0';
	zk_buf_done(&hex);
}
