/* The schema of rows: columns, the protobuf message that carries them, its descriptor.
 * Layer: zerobus. specs/zerobus.md §10. A schema does not change after it was made; any thread.
 *
 * It comes from an Arrow schema, from a table's document, or from a descriptor. Messages stand in
 * one array, the top one first; the fields of one message stand next to each other, in the order
 * of the messages. */
#ifndef ZK_ZEROBUS_SCHEMA_H
#define ZK_ZEROBUS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "zerobus/rows.h"

struct zk_arrow_schema;
struct zk_buf;

/* What a column holds (§10.4). */
enum zk_zb_type {
	ZK_ZBT_BOOLEAN,
	ZK_ZBT_TINYINT,
	ZK_ZBT_SMALLINT,
	ZK_ZBT_INT,
	ZK_ZBT_BIGINT,
	ZK_ZBT_FLOAT,
	ZK_ZBT_DOUBLE,
	ZK_ZBT_DECIMAL,
	ZK_ZBT_STRING,
	ZK_ZBT_VARCHAR,
	ZK_ZBT_CHAR,
	ZK_ZBT_BINARY,
	ZK_ZBT_DATE,
	ZK_ZBT_TIMESTAMP,
	ZK_ZBT_TIMESTAMP_NTZ,
	ZK_ZBT_VARIANT,
	ZK_ZBT_STRUCT,
};

#define ZK_ZB_NONE        UINT32_MAX
#define ZK_ZB_COLUMNS_MAX 2000u /* of the service */
#define ZK_ZB_NAME_MAX    255u
#define ZK_ZB_DEPTH_MAX   100u

struct zk_zb_field {
	zk_str name;
	zk_str comment;
	uint32_t number;
	enum zk_zb_type type; /* of the elements of a list */
	uint8_t pb_type;      /* enum zk_pb_type */
	bool list, map;
	bool required;            /* label 2 */
	bool nullable;            /* the column takes null */
	int16_t precision, scale; /* DECIMAL */
	uint32_t length;          /* VARCHAR, CHAR: characters */
	uint32_t message; /* of a STRUCT, or the entry of a map; else ZK_ZB_NONE */
};

struct zk_zb_message {
	zk_str name; /* "Geo" */
	zk_str full; /* ".trip.From.Geo" */
	uint32_t first_field, n_fields;
	/* Nested messages, in their order; ZK_ZB_NONE = none. */
	uint32_t first_child, last_child, next_sibling;
	uint32_t parent, depth;
	bool is_entry; /* of a map: key and value */
};

enum zk_zb_origin { ZK_ZB_OF_ARROW, ZK_ZB_OF_TABLE, ZK_ZB_OF_DESCRIPTOR };

struct zk_zb_schema {
	enum zk_zb_origin origin;
	bool all_optional;
	struct zk_zb_message *messages;
	uint32_t n_messages, messages_room;
	struct zk_zb_field *fields;
	uint32_t n_fields, fields_room;
	zk_str descriptor;   /* serialized DescriptorProto */
	char fingerprint[9]; /* first 8 hex digits of its SHA-256 */
	struct zk_arena arena;
};

struct zk_zb_schema_conf {
	const char *message; /* name of the message, may begin with a digit; not NULL */
	bool all_optional;
	enum zk_zb_time_as time_as;
	void *ctx;
	void (*on_note)(void *ctx, const char *text); /* may be NULL */
};

/* Each makes a schema, or fails with the first rule of §10.2 that does not hold, naming all that
 * break it: -ZK_E_ZB_TYPE, -ZK_E_ZB_COLUMN_NAME, -ZK_E_ZB_COLUMNS, -ZK_E_ZB_COLUMN_TWICE;
 * -ZK_E_DATA for documents that are none. */
int zk_zb_schema_of_arrow(const struct zk_arrow_schema *s,
                          const struct zk_zb_schema_conf *conf, struct zk_zb_schema **ret,
                          struct zk_error *err) ZK_MUST_USE;
/* A table's document as the Unity Catalog gives it (§10.4). */
int zk_zb_schema_of_table(zk_str json, const struct zk_zb_schema_conf *conf,
                          struct zk_zb_schema **ret, struct zk_error *err) ZK_MUST_USE;
/* A serialized DescriptorProto, FileDescriptorProto or FileDescriptorSet; of several messages the
 * one called conf->message. Names, numbers and labels stay as they are. */
int zk_zb_schema_of_descriptor(zk_str bytes, const struct zk_zb_schema_conf *conf,
                               struct zk_zb_schema **ret,
                               struct zk_error *err) ZK_MUST_USE;
/* The content of a file of --schema FILE, recognised by its bytes: one of the above. */
int zk_zb_schema_of_file(zk_str bytes, const struct zk_zb_schema_conf *conf,
                         struct zk_zb_schema **ret, struct zk_error *err) ZK_MUST_USE;
/* The same of an input that is read here, of Arrow no more than its schema. Blocks; the message
 * names the source. */
struct zk_zb_source;
int zk_zb_schema_of_source(struct zk_zb_source *source,
                           const struct zk_zb_schema_conf *conf,
                           struct zk_zb_schema **ret, struct zk_error *err) ZK_MUST_USE;
void zk_zb_schema_free(struct zk_zb_schema *s); /* NULL is fine */
void zk_zb_schema_freep(struct zk_zb_schema **s);

static inline const struct zk_zb_message *zk_zb_top(const struct zk_zb_schema *s)
{
	return &s->messages[0];
}

/* The field of `message` with this name: exactly, else the only one that differs in case
 * alone; ZK_ZB_NONE when there is none. */
uint32_t zk_zb_schema_find(const struct zk_zb_schema *s, uint32_t message, zk_str name);
/* "INT", "DECIMAL(10,2)"; with `whole` lists, maps and structs written out. */
void zk_zb_type_text(const struct zk_zb_schema *s, const struct zk_zb_field *f,
                     struct zk_buf *b);
const char *zk_zb_type_name(enum zk_zb_type type);
/* "a.b.c": the path of a field from the top. */
void zk_zb_field_path(const struct zk_zb_schema *s, uint32_t field, struct zk_buf *b);

/* ---- in other forms (§15) ---- */

/* Proto2 text that protoc accepts and turns into the same descriptor. */
void zk_zb_schema_proto(const struct zk_zb_schema *s, struct zk_buf *b);
/* A serialized FileDescriptorSet of one file, MESSAGE.proto. */
void zk_zb_schema_set(const struct zk_zb_schema *s, struct zk_buf *b);
/* CREATE TABLE; `table` is its name with its parts quoted. */
void zk_zb_schema_ddl(const struct zk_zb_schema *s, zk_str table, struct zk_buf *b);
/* A JSON Schema of the rows as JSON records. */
void zk_zb_schema_json(const struct zk_zb_schema *s, struct zk_buf *b);
/* The fields as Arrow's JSON form of schemas has them. */
void zk_zb_schema_arrow(const struct zk_zb_schema *s, struct zk_buf *b);

#endif
