/* Descriptors written and read.
 * Layer: zerobus. specs/zerobus.md §10.1, §10.3. */
#include "zerobus/descriptor.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "codec/pb.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

#define DESCRIPTOR_BYTES ((size_t)64 << 20)
#define MESSAGES_MAX     100000u

/* Numbers of descriptor.proto. */
enum { MSG_NAME = 1, MSG_FIELD = 2, MSG_NESTED = 3, MSG_ENUM = 4, MSG_OPTIONS = 7 };
enum { OPT_MAP_ENTRY = 7 };
enum { FLD_NAME = 1, FLD_NUMBER = 3, FLD_LABEL = 4, FLD_TYPE = 5, FLD_TYPE_NAME = 6 };
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGE = 4, FILE_SYNTAX = 12 };
enum { LABEL_OPTIONAL = 1, LABEL_REQUIRED = 2, LABEL_REPEATED = 3 };

/* ---- writing ---- */

static void put_field(const struct zk_zb_schema *s, const struct zk_zb_field *f,
                      struct zk_buf *b)
{
	size_t mark = zk_pb_put_open(b, MSG_FIELD);

	zk_pb_put_bytes(b, FLD_NAME, f->name);
	zk_pb_put_int(b, FLD_NUMBER, f->number);
	zk_pb_put_int(b, FLD_LABEL,
	              f->list || f->map ? LABEL_REPEATED
	              : f->required     ? LABEL_REQUIRED
	                                : LABEL_OPTIONAL);
	zk_pb_put_int(b, FLD_TYPE, f->pb_type);
	if (f->message != ZK_ZB_NONE)
		zk_pb_put_bytes(b, FLD_TYPE_NAME, s->messages[f->message].full);
	zk_pb_put_close(b, mark);
}

static void put_head(const struct zk_zb_schema *s, const struct zk_zb_message *m,
                     struct zk_buf *b)
{
	zk_pb_put_bytes(b, MSG_NAME, m->name);
	for (uint32_t i = 0; i < m->n_fields; i++)
		put_field(s, &s->fields[m->first_field + i], b);
}

static void put_tail(const struct zk_zb_message *m, struct zk_buf *b)
{
	if (m->is_entry) {
		size_t mark = zk_pb_put_open(b, MSG_OPTIONS);

		zk_pb_put_int(b, OPT_MAP_ENTRY, 1);
		zk_pb_put_close(b, mark);
	}
}

void zk_zb_descriptor_write(struct zk_zb_schema *s)
{
	struct {
		uint32_t m, next;
		size_t mark;
	} stack[ZK_ZB_DEPTH_MAX + 2];
	size_t depth = 1;
	struct zk_buf b;

	zk_buf_init(&b, DESCRIPTOR_BYTES);
	stack[0].m = 0;
	stack[0].next = s->messages[0].first_child;
	put_head(s, &s->messages[0], &b);
	while (depth) {
		const struct zk_zb_message *m = &s->messages[stack[depth - 1].m];
		uint32_t child = stack[depth - 1].next;

		if (child != ZK_ZB_NONE) {
			stack[depth - 1].next = s->messages[child].next_sibling;
			stack[depth].m = child;
			stack[depth].next = s->messages[child].first_child;
			stack[depth].mark = zk_pb_put_open(&b, MSG_NESTED);
			depth++;
			put_head(s, &s->messages[child], &b);
			continue;
		}
		put_tail(m, &b);
		if (--depth)
			zk_pb_put_close(&b, stack[depth].mark);
	}
	s->descriptor.n = b.n;
	s->descriptor.p = zk_buf_take(&b);
}

void zk_zb_schema_set(const struct zk_zb_schema *s, struct zk_buf *b)
{
	size_t mark = zk_pb_put_open(b, 1);
	char *file = zk_asprintf("%.*s.proto", ZK_STR_ARG(zk_zb_top(s)->name));

	zk_pb_put_bytes(b, FILE_NAME, zk_str_of(file));
	zk_pb_put_bytes(b, FILE_MESSAGE, s->descriptor);
	zk_pb_put_bytes(b, FILE_SYNTAX, ZK_STR("proto2"));
	zk_pb_put_close(b, mark);
	free(file);
}

/* ---- reading ---- */

/* The value of the last field `number` of wire type LEN; false when the bytes are no protobuf. */
static bool get_text(zk_str bytes, uint32_t number, zk_str *ret)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0)
		if (it.number == number && it.wire == ZK_PB_LEN)
			*ret = it.bytes;
	return r == 0;
}

static bool is_name(zk_str s)
{
	if (!s.n || s.n > ZK_ZB_NAME_MAX || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return true;
}

/* A FieldDescriptorProto has a name, a number and a type. */
static bool is_field(zk_str bytes)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	unsigned seen = 0;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number == FLD_NAME && it.wire == ZK_PB_LEN && is_name(it.bytes))
			seen |= 1;
		else if (it.number == FLD_NUMBER && it.wire == ZK_PB_VARINT)
			seen |= 2;
		else if (it.number == FLD_TYPE && it.wire == ZK_PB_VARINT)
			seen |= 4;
	}
	return r == 0 && seen == 7;
}

static bool is_message(zk_str bytes)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	bool named = false;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number == MSG_NAME && it.wire == ZK_PB_LEN)
			named = is_name(it.bytes);
		else if (it.number == MSG_FIELD &&
		         (it.wire != ZK_PB_LEN || !is_field(it.bytes)))
			return false;
	}
	return r == 0 && named;
}

static bool is_file(zk_str bytes)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	size_t messages = 0;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number != FILE_MESSAGE)
			continue;
		if (it.wire != ZK_PB_LEN || !is_message(it.bytes))
			return false;
		messages++;
	}
	return r == 0 && messages;
}

static bool is_set(zk_str bytes)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	size_t files = 0, n = 0;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number != 1 || it.wire != ZK_PB_LEN)
			return false;
		n++;
		files += is_file(it.bytes);
	}
	return r == 0 && n && files;
}

bool zk_zb_is_descriptor(zk_str bytes)
{
	return is_set(bytes) || is_file(bytes) || is_message(bytes);
}

/* A message that was found, before it has its place in the schema. */
struct found {
	zk_str bytes;
	char *full; /* ".package.Outer.Inner" */
	uint32_t parent;
};

struct reader {
	struct found *all;
	uint32_t n, room;
	struct zk_map by_name; /* full name → index + 1 */
	struct zk_zb_schema *s;
	uint32_t *place; /* of each found message in the schema */
	struct zk_zb_blame blame;
	struct zk_error *err;
};

static int broken(struct reader *rd, const char *what)
{
	return zk_fail(rd->err, ZK_E_DATA, "the descriptor is not valid: %s", what);
}

static int add_found(struct reader *rd, zk_str bytes, const char *prefix, uint32_t parent)
{
	zk_str name = ZK_STR_NULL;
	struct found *f;

	if (!get_text(bytes, MSG_NAME, &name) || !is_name(name))
		return broken(rd, "a message without a name");
	if (rd->n == MESSAGES_MAX)
		return broken(rd, "too many messages");
	if (rd->n == rd->room) {
		rd->room = rd->room ? rd->room * 2 : 16;
		rd->all = zk_realloc(rd->all, rd->room * sizeof(*rd->all));
	}
	f = &rd->all[rd->n++];
	f->bytes = bytes;
	f->parent = parent;
	f->full = zk_asprintf("%s.%.*s", prefix, ZK_STR_ARG(name));
	if (zk_map_set(&rd->by_name, zk_str_of(f->full), (void *)(uintptr_t)rd->n))
		return broken(rd, "two messages have the same name");
	return 0;
}

/* All messages of a file, nested ones behind their parents. */
static int find_messages(struct reader *rd, zk_str file)
{
	zk_str package = ZK_STR_NULL;
	struct zk_pb_in in;
	struct zk_pb_item it;
	char *prefix;
	int r = 0;

	if (!get_text(file, FILE_PACKAGE, &package) || package.n > 4096)
		return broken(rd, "a file that is no protobuf");
	prefix = zk_asprintf("%s%.*s", package.n ? "." : "", ZK_STR_ARG(package));
	zk_pb_in_init(&in, file);
	while (r == 0 && zk_pb_next(&in, &it) > 0)
		if (it.number == FILE_MESSAGE && it.wire == ZK_PB_LEN)
			r = add_found(rd, it.bytes, prefix, ZK_ZB_NONE);
	free(prefix);
	return r;
}

static int find_nested(struct reader *rd)
{
	for (uint32_t i = 0; i < rd->n; i++) {
		zk_str bytes = rd->all[i].bytes;
		struct zk_pb_in in;
		struct zk_pb_item it;
		int r;

		zk_pb_in_init(&in, bytes);
		while ((r = zk_pb_next(&in, &it)) > 0) {
			char *prefix = rd->all[i].full;

			if (it.number != MSG_NESTED || it.wire != ZK_PB_LEN)
				continue;
			if (strlen(prefix) > 8192)
				return broken(rd, "messages are nested too deep");
			if (add_found(rd, it.bytes, prefix, i) < 0)
				return -(int)rd->err->code;
		}
		if (r < 0)
			return broken(rd, in.what);
	}
	return 0;
}

static int find_all(struct reader *rd, zk_str bytes)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r = 0;

	if (is_set(bytes)) {
		zk_pb_in_init(&in, bytes);
		while (r == 0 && zk_pb_next(&in, &it) > 0)
			r = find_messages(rd, it.bytes);
	} else if (is_file(bytes)) {
		r = find_messages(rd, bytes);
	} else if (is_message(bytes)) {
		r = add_found(rd, bytes, "", ZK_ZB_NONE);
	} else {
		return zk_fail(rd->err, ZK_E_DATA,
		               "this is no serialized protobuf descriptor");
	}
	return r < 0 ? r : find_nested(rd);
}

/* ---- fields ---- */

static enum zk_zb_type type_of(unsigned pb)
{
	switch (pb) {
	case ZK_PB_DOUBLE:
		return ZK_ZBT_DOUBLE;
	case ZK_PB_FLOAT:
		return ZK_ZBT_FLOAT;
	case ZK_PB_INT64:
		return ZK_ZBT_BIGINT;
	case ZK_PB_INT32:
		return ZK_ZBT_INT;
	case ZK_PB_BOOL:
		return ZK_ZBT_BOOLEAN;
	case ZK_PB_BYTES:
		return ZK_ZBT_BINARY;
	case ZK_PB_MESSAGE:
		return ZK_ZBT_STRUCT;
	}
	return ZK_ZBT_STRING;
}

static bool may_write(unsigned pb)
{
	return pb == ZK_PB_DOUBLE || pb == ZK_PB_FLOAT || pb == ZK_PB_INT64 ||
	       pb == ZK_PB_INT32 || pb == ZK_PB_BOOL || pb == ZK_PB_STRING ||
	       pb == ZK_PB_MESSAGE || pb == ZK_PB_BYTES;
}

/* The message of a type name: fully qualified, or looked for outwards from `from`. */
static uint32_t resolve(struct reader *rd, zk_str name, uint32_t from)
{
	char *scope;
	size_t n;
	void *at;

	if (name.n && name.p[0] == '.') {
		at = zk_map_get(&rd->by_name, name);
		return at ? (uint32_t)(uintptr_t)at - 1 : ZK_ZB_NONE;
	}
	scope = zk_strdup(rd->all[from].full);
	n = strlen(scope);
	for (;;) {
		char *full = zk_asprintf("%.*s.%.*s", (int)n, scope, ZK_STR_ARG(name));
		const char *dot;

		at = zk_map_get(&rd->by_name, zk_str_of(full));
		free(full);
		if (at || !n)
			break;
		dot = memrchr(scope, '.', n);
		n = dot ? (size_t)(dot - scope) : 0;
	}
	free(scope);
	return at ? (uint32_t)(uintptr_t)at - 1 : ZK_ZB_NONE;
}

struct raw_field {
	zk_str name, type_name;
	uint64_t number, label, type;
};

static bool read_field(zk_str bytes, struct raw_field *ret)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	*ret = (struct raw_field){ .label = LABEL_OPTIONAL };
	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.wire == ZK_PB_LEN) {
			if (it.number == FLD_NAME)
				ret->name = it.bytes;
			else if (it.number == FLD_TYPE_NAME)
				ret->type_name = it.bytes;
		} else if (it.number == FLD_NUMBER) {
			ret->number = it.v;
		} else if (it.number == FLD_LABEL) {
			ret->label = it.v;
		} else if (it.number == FLD_TYPE) {
			ret->type = it.v;
		}
	}
	return r == 0 && is_name(ret->name) && ret->number >= 1 &&
	       ret->number <= ZK_PB_NUMBER_MAX && ret->label >= 1 && ret->label <= 3;
}

/* Adds a field of the message `m` (found as `from`). */
static int add_field(struct reader *rd, uint32_t from, const struct raw_field *raw)
{
	uint32_t at = zk_zb_schema_add_field(rd->s);
	struct zk_zb_field *f = &rd->s->fields[at];

	f->name = zk_zb_schema_copy(rd->s, raw->name);
	f->number = (uint32_t)raw->number;
	f->pb_type = (uint8_t)ZK_MIN(raw->type, (uint64_t)255);
	f->type = type_of(f->pb_type);
	f->required = raw->label == LABEL_REQUIRED;
	f->nullable = !f->required;
	f->list = raw->label == LABEL_REPEATED;
	f->precision = 38;
	if (!may_write(f->pb_type)) {
		zk_zb_blame_add(&rd->blame, "'%.*s' %s", ZK_STR_ARG(f->name),
		                zk_pb_type_name(f->pb_type));
		return 0;
	}
	if (f->pb_type != ZK_PB_MESSAGE)
		return 0;
	/* The index among the found ones for now; placed later. */
	f->message = resolve(rd, raw->type_name, from);
	if (f->message == ZK_ZB_NONE) {
		(void)zk_fail(
		        rd->err, ZK_E_DATA,
		        "the descriptor is not valid: field '%.*s' has the type '%.*s', "
		        "which is not there",
		        ZK_STR_ARG(f->name), (int)ZK_MIN(raw->type_name.n, (size_t)80),
		        raw->type_name.p);
		return zk_err_hint(rd->err,
		                   "give a FileDescriptorSet with all imports, as protoc "
		                   "--include_imports -o writes");
	}
	return 0;
}

static bool is_map_entry(zk_str bytes)
{
	zk_str options = ZK_STR_NULL;
	struct zk_pb_in in;
	struct zk_pb_item it;
	bool entry = false;

	if (!get_text(bytes, MSG_OPTIONS, &options))
		return false;
	zk_pb_in_init(&in, options);
	while (zk_pb_next(&in, &it) > 0)
		if (it.number == OPT_MAP_ENTRY && it.wire == ZK_PB_VARINT)
			entry = it.v != 0;
	return entry;
}

static int by_number(const void *a, const void *b)
{
	const struct zk_zb_field *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Fields of the found message `from`, which is the schema's message `m`. */
static int read_fields(struct reader *rd, uint32_t from, uint32_t m)
{
	struct zk_zb_message *msg = &rd->s->messages[m];
	struct zk_pb_in in;
	struct zk_pb_item it;

	msg->first_field = rd->s->n_fields;
	zk_pb_in_init(&in, rd->all[from].bytes);
	while (zk_pb_next(&in, &it) > 0) {
		struct raw_field raw;

		if (it.number != MSG_FIELD)
			continue;
		if (it.wire != ZK_PB_LEN || !read_field(it.bytes, &raw))
			return broken(rd, "a field without name, number or type");
		if (rd->s->n_fields == ZK_ZB_NODES_MAX)
			return broken(rd, "too many fields");
		if (add_field(rd, from, &raw) < 0)
			return -(int)rd->err->code;
	}
	msg->n_fields = rd->s->n_fields - msg->first_field;
	/* Rows are written with ascending numbers. */
	if (msg->n_fields)
		qsort(&rd->s->fields[msg->first_field], msg->n_fields,
		      sizeof(*rd->s->fields), by_number);
	for (uint32_t i = 1; i < msg->n_fields; i++)
		if (rd->s->fields[msg->first_field + i].number ==
		    rd->s->fields[msg->first_field + i - 1].number)
			return broken(rd, "two fields have the same number");
	msg->is_entry = is_map_entry(rd->all[from].bytes);
	return 0;
}

static uint32_t place_message(struct reader *rd, uint32_t from)
{
	uint32_t at = zk_zb_schema_add_message(rd->s);
	struct zk_zb_message *m = &rd->s->messages[at];
	zk_str full = zk_str_of(rd->all[from].full);

	m->full = zk_zb_schema_copy(rd->s, full);
	m->name = zk_str_from(
	        m->full,
	        (size_t)((const char *)memrchr(m->full.p, '.', full.n) - m->full.p) + 1);
	rd->place[from] = at;
	return at;
}

static bool entry_is_fine(const struct zk_zb_schema *s, const struct zk_zb_message *e)
{
	const struct zk_zb_field *f = &s->fields[e->first_field];

	return e->n_fields == 2 && f[0].number == 1 && f[1].number == 2 && !f[0].list &&
	       !f[1].list && f[0].message == ZK_ZB_NONE;
}

/* Walks from the top message through all that fields use. */
static int place_all(struct reader *rd, uint32_t top)
{
	uint32_t *found = zk_alloc_array(rd->n, sizeof(*found));
	int r = 0;

	rd->place = zk_alloc_array(rd->n, sizeof(*rd->place));
	for (uint32_t i = 0; i < rd->n; i++)
		rd->place[i] = ZK_ZB_NONE;
	found[place_message(rd, top)] = top;
	for (uint32_t m = 0; r == 0 && m < rd->s->n_messages; m++) {
		r = read_fields(rd, found[m], m);
		if (r < 0)
			break;
		uint32_t first = rd->s->messages[m].first_field;

		for (uint32_t i = 0; i < rd->s->messages[m].n_fields; i++) {
			struct zk_zb_field *f = &rd->s->fields[first + i];
			uint32_t from = f->message;

			if (from == ZK_ZB_NONE)
				continue;
			if (rd->place[from] == ZK_ZB_NONE)
				found[place_message(rd, from)] = from;
			f->message = rd->place[from];
		}
	}
	free(found);
	return r;
}

/* Messages in messages: none may hold itself, nor be nested too deep (§10.2). Depths grow along
 * every use, so a circle grows past the limit. */
static int check_depths(struct reader *rd)
{
	struct zk_zb_schema *s = rd->s;
	bool changed = true;

	for (unsigned round = 0; changed; round++) {
		changed = false;
		if (round > ZK_ZB_DEPTH_MAX)
			return zk_fail(rd->err, ZK_E_ZB_TYPE,
			               "messages hold themselves or are nested more than "
			               "%u deep",
			               ZK_ZB_DEPTH_MAX);
		for (uint32_t m = 0; m < s->n_messages; m++) {
			const struct zk_zb_message *msg = &s->messages[m];

			for (uint32_t i = 0; i < msg->n_fields; i++) {
				uint32_t to = s->fields[msg->first_field + i].message;

				if (to == ZK_ZB_NONE ||
				    s->messages[to].depth > msg->depth)
					continue;
				s->messages[to].depth = msg->depth + 1;
				changed = true;
			}
		}
	}
	return 0;
}

/* Repeated entries become maps. */
static int make_maps(struct reader *rd)
{
	struct zk_zb_schema *s = rd->s;

	for (uint32_t i = 0; i < s->n_fields; i++) {
		struct zk_zb_field *f = &s->fields[i];

		if (f->message == ZK_ZB_NONE || !s->messages[f->message].is_entry)
			continue;
		if (!f->list || !entry_is_fine(s, &s->messages[f->message]))
			return broken(rd, "a map entry that is none");
		f->map = true;
		f->list = false;
	}
	return 0;
}

static int choose_top(struct reader *rd, const char *name, uint32_t *ret)
{
	uint32_t n = 0, at = 0;

	for (uint32_t i = 0; i < rd->n; i++) {
		const char *last = strrchr(rd->all[i].full, '.') + 1;

		if (rd->all[i].parent == ZK_ZB_NONE)
			n++, at = i;
		if (strcmp(last, name) == 0 || strcmp(rd->all[i].full + 1, name) == 0) {
			*ret = i;
			return 0;
		}
	}
	if (n == 1) {
		*ret = at;
		return 0;
	}
	(void)zk_fail(rd->err, ZK_E_DATA,
	              "the descriptor has %u messages, none is called '%.80s'", n, name);
	return zk_err_hint(rd->err, "choose one with --message NAME");
}

static int read_all(struct reader *rd, zk_str bytes, const struct zk_zb_schema_conf *conf,
                    uint32_t *top)
{
	if (find_all(rd, bytes) < 0 || choose_top(rd, conf->message, top) < 0 ||
	    place_all(rd, *top) < 0 || make_maps(rd) < 0)
		return -(int)rd->err->code;
	if (check_depths(rd) < 0)
		return -(int)rd->err->code;
	if (rd->s->messages[0].is_entry)
		return broken(rd, "the message is an entry of a map, no row");
	if (rd->s->messages[0].n_fields == 0 ||
	    rd->s->messages[0].n_fields > ZK_ZB_COLUMNS_MAX)
		return zk_fail(rd->err, ZK_E_ZB_COLUMNS,
		               "the message has %u fields, the service takes 1 to %u",
		               rd->s->messages[0].n_fields, ZK_ZB_COLUMNS_MAX);
	return 0;
}

/* Every message moves below the one that uses it first: a descriptor holds all it needs. */
static void nest_all(struct zk_zb_schema *s)
{
	for (uint32_t m = 0; m < s->n_messages; m++)
		s->messages[m].parent = ZK_ZB_NONE;
	zk_zb_schema_nest(s, ZK_ZB_NONE, 0);
	for (uint32_t m = 0; m < s->n_messages; m++) {
		const struct zk_zb_message *msg = &s->messages[m];

		for (uint32_t i = 0; !msg->is_entry && i < msg->n_fields; i++) {
			const struct zk_zb_field *f = &s->fields[msg->first_field + i];
			uint32_t to = f->message, value;

			if (to == ZK_ZB_NONE)
				continue;
			value = f->map ? s->fields[s->messages[to].first_field + 1]
			                         .message
			               : ZK_ZB_NONE;
			if (value != ZK_ZB_NONE && value &&
			    s->messages[value].parent == ZK_ZB_NONE)
				zk_zb_schema_nest(s, m, value);
			if (to && s->messages[to].parent == ZK_ZB_NONE)
				zk_zb_schema_nest(s, m, to);
		}
	}
}

/* Whether the bytes of the top message hold all that is used, under its own name. */
static bool stands_alone(const struct reader *rd, uint32_t top)
{
	const char *full = rd->all[top].full;
	size_t n = strlen(full);

	if (strchr(full + 1, '.'))
		return false;
	for (uint32_t i = 0; i < rd->n; i++)
		if (i != top && rd->place[i] != ZK_ZB_NONE &&
		    (strncmp(rd->all[i].full, full, n) != 0 || rd->all[i].full[n] != '.'))
			return false;
	return true;
}

/* Its bytes stay as they are where they can. */
static void set_descriptor(struct reader *rd, uint32_t top, bool all_optional)
{
	struct zk_zb_schema *s = rd->s;
	zk_str bytes = rd->all[top].bytes;

	for (uint32_t i = 0; all_optional && i < s->n_fields; i++)
		s->fields[i].required = false;
	nest_all(s);
	if (!all_optional && stands_alone(rd, top))
		s->descriptor = zk_str_n(zk_strndup(bytes.p, bytes.n), bytes.n);
	else
		zk_zb_descriptor_write(s);
	zk_zb_schema_seal(s);
}

int zk_zb_schema_of_descriptor(zk_str bytes, const struct zk_zb_schema_conf *conf,
                               struct zk_zb_schema **ret, struct zk_error *err)
{
	struct reader rd = { .err = err };
	uint32_t top = 0;
	int r;

	if (bytes.n > DESCRIPTOR_BYTES / 4)
		return zk_fail(err, ZK_E_LIMIT, "the descriptor is larger than %zu bytes",
		               DESCRIPTOR_BYTES / 4);
	zk_map_init(&rd.by_name);
	zk_zb_blame_init(&rd.blame);
	rd.s = zk_zb_schema_new(ZK_ZB_OF_DESCRIPTOR);
	rd.s->all_optional = conf->all_optional;
	r = read_all(&rd, bytes, conf, &top);
	int b = zk_zb_blame_end(
	        &rd.blame, ZK_E_ZB_TYPE, "field types that no table has",
	        "use double, float, int64, int32, bool, string, bytes or messages",
	        r < 0 ? &(struct zk_error){ 0 } : err);

	if (r == 0)
		r = b;
	if (r == 0)
		set_descriptor(&rd, top, conf->all_optional);
	for (uint32_t i = 0; i < rd.n; i++)
		free(rd.all[i].full);
	free(rd.all);
	free(rd.place);
	zk_map_done(&rd.by_name);
	if (r < 0) {
		zk_zb_schema_free(rd.s);
		return r;
	}
	*ret = rd.s;
	return 0;
}
