/* Schemas as proto2 text, SQL, JSON Schema and Arrow's JSON.
 * Layer: zerobus. specs/zerobus.md §15. */
#include "codec/jwrite.h"
#include "codec/pb.h"
#include "zerobus/schema_int.h"

#include "base/ban.h"

/* Where a walk through messages stands. */
struct spot {
	uint32_t m, next; /* next: index of the field within the message */
	bool ready;       /* the messages that field needs were written */
};

#define STACK (ZK_ZB_DEPTH_MAX + 2)

/* ---- proto2 text ---- */

static void indent(struct zk_buf *b, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		zk_buf_lit(b, "  ");
}

static void put_type(const struct zk_zb_schema *s, const struct zk_zb_field *f,
                     struct zk_buf *b)
{
	if (f->message != ZK_ZB_NONE && !f->map)
		zk_buf_add(b, s->messages[f->message].name);
	else
		zk_buf_cstr(b, zk_pb_type_name(f->pb_type));
}

static void put_field(const struct zk_zb_schema *s, const struct zk_zb_field *f,
                      struct zk_buf *b)
{
	if (f->map) {
		const struct zk_zb_field *e =
		        &s->fields[s->messages[f->message].first_field];

		zk_buf_lit(b, "map<");
		put_type(s, &e[0], b);
		zk_buf_lit(b, ", ");
		put_type(s, &e[1], b);
		zk_buf_char(b, '>');
	} else {
		zk_buf_cstr(b, f->list       ? "repeated "
		               : f->required ? "required "
		                             : "optional ");
		put_type(s, f, b);
	}
	zk_buf_printf(b, " %.*s = %u;\n", ZK_STR_ARG(f->name), f->number);
}

/* The message that has to be written before `f`; ZK_ZB_NONE when there is none. */
static uint32_t needed(const struct zk_zb_schema *s, const struct zk_zb_field *f)
{
	if (f->message == ZK_ZB_NONE)
		return ZK_ZB_NONE;
	return f->map ? s->fields[s->messages[f->message].first_field + 1].message
	              : f->message;
}

static void open_message(const struct zk_zb_schema *s, uint32_t m, size_t depth,
                         struct zk_buf *b)
{
	indent(b, depth);
	zk_buf_printf(b, "message %.*s {\n", ZK_STR_ARG(s->messages[m].name));
}

void zk_zb_schema_proto(const struct zk_zb_schema *s, struct zk_buf *b)
{
	struct spot stack[STACK];
	size_t depth = 1;

	zk_buf_lit(b, "syntax = \"proto2\";\n\n");
	open_message(s, 0, 0, b);
	stack[0] = (struct spot){ 0 };
	while (depth) {
		struct spot *top = &stack[depth - 1];
		const struct zk_zb_message *m = &s->messages[top->m];
		const struct zk_zb_field *f;
		uint32_t before;

		if (top->next == m->n_fields) {
			indent(b, --depth);
			zk_buf_lit(b, "}\n");
			continue;
		}
		f = &s->fields[m->first_field + top->next];
		before = top->ready ? ZK_ZB_NONE : needed(s, f);
		/* One that others use too was written where it was used first. */
		if (before != ZK_ZB_NONE && s->messages[before].parent == top->m &&
		    depth < STACK) {
			top->ready = true;
			open_message(s, before, depth, b);
			stack[depth++] = (struct spot){ .m = before };
			continue;
		}
		indent(b, depth);
		put_field(s, f, b);
		top->next++;
		top->ready = false;
	}
}

/* ---- SQL ---- */

static void put_quoted(zk_str name, struct zk_buf *b)
{
	zk_buf_char(b, '`');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '`')
			zk_buf_char(b, '`');
		zk_buf_char(b, name.p[i]);
	}
	zk_buf_char(b, '`');
}

static void put_comment(zk_str text, struct zk_buf *b)
{
	zk_buf_lit(b, " COMMENT '");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\'' || text.p[i] == '\\')
			zk_buf_char(b, '\\');
		zk_buf_char(b, text.p[i]);
	}
	zk_buf_char(b, '\'');
}

void zk_zb_schema_ddl(const struct zk_zb_schema *s, zk_str table, struct zk_buf *b)
{
	const struct zk_zb_message *top = zk_zb_top(s);

	zk_buf_printf(b, "CREATE TABLE %.*s (\n", ZK_STR_ARG(table));
	for (uint32_t i = 0; i < top->n_fields; i++) {
		const struct zk_zb_field *f = &s->fields[top->first_field + i];
		struct zk_zb_field col = *f;

		/* No table has decimals so large: they travel as text anyway. */
		if (f->type == ZK_ZBT_DECIMAL && f->precision > 38)
			col.type = ZK_ZBT_STRING;
		zk_buf_lit(b, "  ");
		put_quoted(f->name, b);
		zk_buf_char(b, ' ');
		zk_zb_type_text(s, &col, b);
		if (!f->nullable)
			zk_buf_lit(b, " NOT NULL");
		if (f->comment.n)
			put_comment(f->comment, b);
		zk_buf_cstr(b, i + 1 < top->n_fields ? ",\n" : "\n");
	}
	zk_buf_lit(b, ") USING DELTA;\n");
}

/* ---- JSON Schema ---- */

static void json_int(struct zk_jwrite *w, int64_t min, int64_t max)
{
	zk_jw_key(w, "type");
	zk_jw_cstr(w, "integer");
	zk_jw_key(w, "minimum");
	zk_jw_i64(w, min);
	zk_jw_key(w, "maximum");
	zk_jw_i64(w, max);
}

static void json_text(struct zk_jwrite *w, const struct zk_zb_field *f)
{
	zk_jw_key(w, "type");
	zk_jw_cstr(w, "string");
	if (f->type == ZK_ZBT_VARCHAR || f->type == ZK_ZBT_CHAR) {
		zk_jw_key(w, "maxLength");
		zk_jw_u64(w, f->length);
	} else if (f->type == ZK_ZBT_BINARY) {
		zk_jw_key(w, "contentEncoding");
		zk_jw_cstr(w, "base64");
	} else if (f->type == ZK_ZBT_VARIANT) {
		zk_jw_key(w, "contentMediaType");
		zk_jw_cstr(w, "application/json");
	} else if (f->type == ZK_ZBT_DECIMAL) {
		zk_jw_key(w, "pattern");
		zk_jw_cstr(w, "^-?[0-9]+(\\.[0-9]+)?$");
	}
}

static void json_scalar(struct zk_jwrite *w, const struct zk_zb_field *f)
{
	switch (f->type) {
	case ZK_ZBT_BOOLEAN:
		zk_jw_key(w, "type");
		zk_jw_cstr(w, "boolean");
		return;
	case ZK_ZBT_TINYINT:
		json_int(w, INT8_MIN, INT8_MAX);
		return;
	case ZK_ZBT_SMALLINT:
		json_int(w, INT16_MIN, INT16_MAX);
		return;
	case ZK_ZBT_INT:
	case ZK_ZBT_DATE:
		json_int(w, INT32_MIN, INT32_MAX);
		return;
	case ZK_ZBT_BIGINT:
	case ZK_ZBT_TIMESTAMP:
	case ZK_ZBT_TIMESTAMP_NTZ:
		json_int(w, INT64_MIN, INT64_MAX);
		return;
	case ZK_ZBT_FLOAT:
	case ZK_ZBT_DOUBLE:
		zk_jw_key(w, "type");
		zk_jw_cstr(w, "number");
		return;
	case ZK_ZBT_DECIMAL:
	case ZK_ZBT_STRING:
	case ZK_ZBT_VARCHAR:
	case ZK_ZBT_CHAR:
	case ZK_ZBT_BINARY:
	case ZK_ZBT_VARIANT:
	case ZK_ZBT_STRUCT:
		break;
	}
	json_text(w, f);
}

/* What may be left out of the object and be null. */
static void json_required(const struct zk_zb_schema *s, const struct zk_zb_message *m,
                          struct zk_jwrite *w)
{
	zk_jw_key(w, "required");
	zk_jw_arr(w);
	for (uint32_t i = 0; i < m->n_fields; i++)
		if (s->fields[m->first_field + i].required)
			zk_jw_str(w, s->fields[m->first_field + i].name);
	zk_jw_arr_end(w);
	zk_jw_key(w, "additionalProperties");
	zk_jw_bool(w, false);
}

/* Opens the object that describes `f`; its message goes on the stack, or it is closed. */
static void json_open(const struct zk_zb_field *f, struct spot *stack, size_t *depth,
                      struct zk_jwrite *w)
{
	zk_jw_obj(w);
	if (f->comment.n) {
		zk_jw_key(w, "description");
		zk_jw_str(w, f->comment);
	}
	if (f->list) {
		zk_jw_key(w, "type");
		zk_jw_cstr(w, "array");
		zk_jw_key(w, "items");
		zk_jw_obj(w);
	}
	if (f->message == ZK_ZB_NONE || *depth == STACK) {
		json_scalar(w, f);
		if (f->list)
			zk_jw_obj_end(w);
		zk_jw_obj_end(w);
		return;
	}
	zk_jw_key(w, "type");
	zk_jw_cstr(w, "object");
	zk_jw_key(w, f->map ? "additionalProperties" : "properties");
	if (!f->map)
		zk_jw_obj(w);
	/* Of a map only the value is described. */
	stack[(*depth)++] = (struct spot){ .m = f->message,
		                           .next = f->map ? 1 : 0,
		                           .ready = f->list };
}

static void json_close(const struct zk_zb_schema *s, const struct spot *at, size_t depth,
                       struct zk_jwrite *w)
{
	const struct zk_zb_message *m = &s->messages[at->m];

	if (!m->is_entry) {
		zk_jw_obj_end(w);
		json_required(s, m, w);
	}
	if (at->ready)
		zk_jw_obj_end(w);
	if (depth)
		zk_jw_obj_end(w);
}

void zk_zb_schema_json(const struct zk_zb_schema *s, struct zk_buf *b)
{
	struct spot stack[STACK];
	size_t depth = 1;
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "$schema");
	zk_jw_cstr(&w, "https://json-schema.org/draft/2020-12/schema");
	zk_jw_key(&w, "title");
	zk_jw_str(&w, zk_zb_top(s)->name);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, "object");
	zk_jw_key(&w, "properties");
	zk_jw_obj(&w);
	stack[0] = (struct spot){ 0 };
	while (depth) {
		struct spot *at = &stack[depth - 1];
		const struct zk_zb_message *m = &s->messages[at->m];
		const struct zk_zb_field *f;

		if (at->next == m->n_fields) {
			json_close(s, at, --depth, &w);
			continue;
		}
		f = &s->fields[m->first_field + at->next++];
		if (!m->is_entry)
			zk_jw_key_str(&w, f->name);
		json_open(f, stack, &depth, &w);
	}
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}

/* ---- Arrow's JSON ---- */

static void arrow_int(struct zk_jwrite *w, int bits)
{
	zk_jw_cstr(w, "int");
	zk_jw_key(w, "bitWidth");
	zk_jw_i64(w, bits);
	zk_jw_key(w, "isSigned");
	zk_jw_bool(w, true);
}

static void arrow_scalar(struct zk_jwrite *w, const struct zk_zb_field *f)
{
	static const int bits[] = { [ZK_ZBT_TINYINT] = 8,
		                    [ZK_ZBT_SMALLINT] = 16,
		                    [ZK_ZBT_INT] = 32,
		                    [ZK_ZBT_BIGINT] = 64 };

	switch (f->type) {
	case ZK_ZBT_BOOLEAN:
		zk_jw_cstr(w, "bool");
		return;
	case ZK_ZBT_TINYINT:
	case ZK_ZBT_SMALLINT:
	case ZK_ZBT_INT:
	case ZK_ZBT_BIGINT:
		arrow_int(w, bits[f->type]);
		return;
	case ZK_ZBT_FLOAT:
	case ZK_ZBT_DOUBLE:
		zk_jw_cstr(w, "floatingpoint");
		zk_jw_key(w, "precision");
		zk_jw_cstr(w, f->type == ZK_ZBT_FLOAT ? "SINGLE" : "DOUBLE");
		return;
	case ZK_ZBT_DECIMAL:
		zk_jw_cstr(w, "decimal");
		zk_jw_key(w, "precision");
		zk_jw_i64(w, f->precision);
		zk_jw_key(w, "scale");
		zk_jw_i64(w, f->scale);
		zk_jw_key(w, "bitWidth");
		zk_jw_i64(w, f->precision > 38 ? 256 : 128);
		return;
	case ZK_ZBT_BINARY:
		zk_jw_cstr(w, "binary");
		return;
	case ZK_ZBT_DATE:
		zk_jw_cstr(w, "date");
		zk_jw_key(w, "unit");
		zk_jw_cstr(w, "DAY");
		return;
	case ZK_ZBT_TIMESTAMP:
	case ZK_ZBT_TIMESTAMP_NTZ:
		zk_jw_cstr(w, "timestamp");
		zk_jw_key(w, "unit");
		zk_jw_cstr(w, "MICROSECOND");
		if (f->type == ZK_ZBT_TIMESTAMP) {
			zk_jw_key(w, "timezone");
			zk_jw_cstr(w, "UTC");
		}
		return;
	case ZK_ZBT_STRING:
	case ZK_ZBT_VARCHAR:
	case ZK_ZBT_CHAR:
	case ZK_ZBT_VARIANT:
	case ZK_ZBT_STRUCT:
		break;
	}
	zk_jw_cstr(w, "utf8");
}

static void arrow_head(struct zk_jwrite *w, const char *name, size_t n, bool nullable)
{
	zk_jw_obj(w);
	zk_jw_key(w, "name");
	zk_jw_str(w, zk_str_n(name, n));
	zk_jw_key(w, "nullable");
	zk_jw_bool(w, nullable);
	zk_jw_key(w, "type");
	zk_jw_obj(w);
	zk_jw_key(w, "name");
}

/* Opens the field, its type told, its children begun. */
static void arrow_open(const struct zk_zb_field *f, bool in_entry, struct spot *stack,
                       size_t *depth, struct zk_jwrite *w)
{
	bool nested = f->message != ZK_ZB_NONE && *depth < STACK;
	bool two = f->list || (f->map && nested); /* an object around the inner one */
	bool is_key = in_entry && f->number == 1;

	arrow_head(w, f->name.p, f->name.n, f->nullable && !is_key);
	if (two) {
		zk_jw_cstr(w, f->map ? "map" : "list");
		if (f->map) {
			zk_jw_key(w, "keysSorted");
			zk_jw_bool(w, false);
		}
		zk_jw_obj_end(w);
		zk_jw_key(w, "children");
		zk_jw_arr(w);
		arrow_head(w, f->map ? "entries" : "item", f->map ? 7 : 4, false);
	}
	if (nested)
		zk_jw_cstr(w, "struct");
	else
		arrow_scalar(w, f);
	zk_jw_obj_end(w);
	zk_jw_key(w, "children");
	zk_jw_arr(w);
	if (nested) {
		stack[(*depth)++] = (struct spot){ .m = f->message, .ready = two };
		return;
	}
	for (int i = two ? 2 : 1; i; i--) {
		zk_jw_arr_end(w);
		zk_jw_obj_end(w);
	}
}

void zk_zb_schema_arrow(const struct zk_zb_schema *s, struct zk_buf *b)
{
	struct spot stack[STACK];
	size_t depth = 1;
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "schema");
	zk_jw_obj(&w);
	zk_jw_key(&w, "fields");
	zk_jw_arr(&w);
	stack[0] = (struct spot){ 0 };
	while (depth) {
		struct spot *at = &stack[depth - 1];
		const struct zk_zb_message *m = &s->messages[at->m];

		if (at->next == m->n_fields) {
			depth--;
			for (int i = !depth ? 0 : at->ready ? 2 : 1; i; i--) {
				zk_jw_arr_end(&w);
				zk_jw_obj_end(&w);
			}
			continue;
		}
		arrow_open(&s->fields[m->first_field + at->next++], m->is_entry, stack,
		           &depth, &w);
	}
	zk_jw_arr_end(&w);
	zk_jw_obj_end(&w);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
}
