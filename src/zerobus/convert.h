/* Conversion of rows: a schema and an input make a plan once, the plan makes rows.
 * Layer: zerobus, internal. specs/zerobus.md §11. One owner; runs in the reader lane.
 *
 * A plan is a straight list of steps, one per column, with marks around nested ones; a row is one
 * pass over it. So neither rows nor schemas make it recurse. */
#ifndef ZK_ZEROBUS_CONVERT_H
#define ZK_ZEROBUS_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "codec/arrow.h"
#include "codec/jscan.h"
#include "zerobus/out.h"
#include "zerobus/schema.h"

enum zk_zb_step {
	ZK_ZB_SCALAR,
	ZK_ZB_STRUCT, /* … ZK_ZB_CLOSE */
	ZK_ZB_LIST,   /* one element … ZK_ZB_LOOP */
	ZK_ZB_MAP,    /* key, value … ZK_ZB_LOOP */
	ZK_ZB_CLOSE,
	ZK_ZB_LOOP,
};

/* How the value of a column becomes that of a field. */
enum zk_zb_load {
	/* From Arrow. */
	ZK_ZB_L_BOOL,
	ZK_ZB_L_BOOL_INT,
	ZK_ZB_L_INT,
	ZK_ZB_L_INT_FLOAT,
	ZK_ZB_L_FLOAT,
	ZK_ZB_L_DOUBLE,
	ZK_ZB_L_DECIMAL,
	ZK_ZB_L_INT_DECIMAL,
	ZK_ZB_L_TEXT_DECIMAL,
	ZK_ZB_L_TEXT,
	ZK_ZB_L_TEXT_LENGTH, /* checked characters */
	ZK_ZB_L_SCALAR_TEXT,
	ZK_ZB_L_BYTES,
	ZK_ZB_L_DATE32,
	ZK_ZB_L_DATE64,
	ZK_ZB_L_TIMESTAMP_DATE,
	ZK_ZB_L_TEXT_DATE,
	ZK_ZB_L_TIMESTAMP,
	ZK_ZB_L_DATE_TIMESTAMP,
	ZK_ZB_L_TEXT_TIMESTAMP,
	ZK_ZB_L_TIME,
	ZK_ZB_L_TIME_TEXT,
	ZK_ZB_L_INTERVAL,
	ZK_ZB_L_VARIANT_TEXT,
	ZK_ZB_L_VARIANT,
	/* From JSON values and CSV cells, by the type of the field. */
	ZK_ZB_L_JSON,
};

struct zk_zb_op {
	uint8_t step; /* enum zk_zb_step */
	uint8_t load; /* enum zk_zb_load */
	uint8_t put;  /* enum zk_pb_type */
	bool element; /* of a list, key or value of a map: null is not left out */
	bool is_key, is_value;
	bool required;
	bool indirect; /* dictionary or run ends on the way */
	bool inside;   /* of a nested value that stands in a dictionary */
	bool checked;  /* the text of the batch was found to be UTF-8 */
	uint8_t tag_n;
	char tag[5];
	uint32_t skip;    /* the step behind the whole */
	uint32_t field;   /* of the schema */
	uint32_t source;  /* Arrow field; ZK_ZB_NONE: the input does not have it */
	uint32_t depth;   /* of the scope it runs in */
	int64_t min, max; /* of integers */
	zk_str key;       /* "name": of JSON */
};

/* What was wrong with a row. */
struct zk_zb_fault {
	enum zk_code code;
	uint32_t field; /* ZK_ZB_NONE: the row as a whole */
	uint32_t source;
	char found[160];  /* the value, or what it is */
	const char *what; /* static; may be NULL */
};

struct zk_zb_plan_conf {
	const struct zk_zb_schema *schema;
	const struct zk_arrow_schema *arrow; /* NULL: rows of text */
	bool json;                           /* writes JSON records */
	bool coerce, drop_unknown, drop_nulls;
	enum zk_zb_time_as time_as;
	bool cells;            /* rows of text are CSV: values are cells */
	const zk_str *columns; /* of CSV */
	size_t n_columns;
	void *ctx;
	void (*on_note)(void *ctx, const char *text);
};

/* A value of a row of text. */
struct zk_zb_slot {
	struct zk_jval val; /* ZK_J_NONE: not there */
	zk_str cell;        /* CSV */
	bool is_cell;
	uint64_t stamp;
};

struct zk_zb_frame;
struct zk_zb_index;

struct zk_zb_plan {
	struct zk_zb_plan_conf conf;
	struct zk_zb_op *ops;
	uint32_t n_ops, room;
	struct zk_zb_out out; /* the row */
	struct zk_zb_fault fault;
	struct zk_zb_frame *frames;
	uint32_t n_frames;
	struct zk_arena arena;
	/* Rows of text. */
	struct zk_zb_slot *slots; /* one per field of the schema */
	uint64_t stamp;
	struct zk_zb_index *index; /* names of members */
	uint32_t *csv_fields;      /* of each column: its field, or ZK_ZB_NONE */
	struct zk_buf *text;       /* decoded strings, bytes of base64 */
	/* Values that were rewritten in a line of JSON (--coerce). */
	struct zk_zb_splice *splices;
	size_t n_splices, splices_room;
	bool sink; /* nothing is written: the line itself is sent */
};

#define ZK_ZB_ROW_MAX ((size_t)64 << 20)

/* Matches the input's columns with the schema's: 0, or -ZK_E_ZB_COLUMN (not in the schema),
 * -ZK_E_ZB_COLUMN_MISSING, -ZK_E_ZB_COLUMN_TYPE, naming all. Copies `conf`, borrows what it points
 * to. */
int zk_zb_plan_new(const struct zk_zb_plan_conf *conf, struct zk_zb_plan **ret,
                   struct zk_error *err) ZK_MUST_USE;
void zk_zb_plan_free(struct zk_zb_plan *p); /* NULL is fine */

/* Before the rows of a batch. */
void zk_zb_plan_batch(struct zk_zb_plan *p, const struct zk_arrow_batch *b);
/* True: the row is in p->out. False: p->fault says why not. */
bool zk_zb_plan_row(struct zk_zb_plan *p, const struct zk_arrow_batch *b,
                    int64_t row) ZK_MUST_USE;
/* A row of NDJSON: one object, without white space around it. On success *ret is the payload,
 * borrowed from p->out or `line`. */
bool zk_zb_plan_line(struct zk_zb_plan *p, zk_str line, zk_str *ret) ZK_MUST_USE;
/* A row of CSV: as many cells as conf.columns; p == NULL is null. */
bool zk_zb_plan_cells(struct zk_zb_plan *p, const zk_str *cells, zk_str *ret) ZK_MUST_USE;

/* Turns the fault into an error: "column 'a.b': 'x' is no number (…)"; returns -code. */
int zk_zb_plan_fail(const struct zk_zb_plan *p, struct zk_error *err);

/* The top column of the fault; empty when the row as a whole is wrong. Borrowed. */
zk_str zk_zb_plan_column(const struct zk_zb_plan *p);

/* ---- between the files of the converter ---- */

enum zk_zb_kind_of { ZK_ZB_V_NULL, ZK_ZB_V_VALUE, ZK_ZB_V_FAULT };

/* A value ready for its field: v_int for bools, integers, dates, times; v_float, v_double; text
 * for strings and bytes. */
struct zk_zb_value {
	int64_t i;
	double d;
	float f;
	zk_str s;
};

/* Notes a fault; always gives ZK_ZB_V_FAULT. */
enum zk_zb_kind_of zk_zb_fault(struct zk_zb_plan *p, enum zk_code code, const char *what,
                               const char *found, ...) ZK_PRINTF(4, 5);
/* "'abc…'" for zk_zb_fault. */
const char *zk_zb_excerpt(zk_str s, char out[80]);

/* convert_arrow.c: row `i` of the field of `op`, which is not null. */
enum zk_zb_kind_of zk_zb_load_arrow(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                    const struct zk_arrow_at *at, struct zk_zb_value *v);
/* convert_text.c: the value of the slot of `op`. */
enum zk_zb_kind_of zk_zb_load_text(struct zk_zb_plan *p, const struct zk_zb_op *op,
                                   struct zk_zb_slot *slot, struct zk_zb_value *v);
/* Fills the slots of the members of `message` from the object `text`. */
bool zk_zb_open_object(struct zk_zb_plan *p, uint32_t message, zk_str text);
/* The JSON of a slot that has to be an array or object; cells hold it as text. */
enum zk_zb_kind_of zk_zb_nested(struct zk_zb_plan *p, struct zk_zb_slot *slot,
                                enum zk_jtype type, zk_str *ret);
/* convert.c: runs the steps. */
bool zk_zb_plan_run(struct zk_zb_plan *p, const struct zk_arrow_cols *cols, int64_t row);

/* Whether the text is a decimal number that DECIMAL(precision,scale) holds without rounding;
 * *cut is it without zeros that are too much. */
bool zk_zb_decimal_fits(zk_str text, int precision, int scale, zk_str *cut, bool *number);

/* Replaces the bytes of a value in the line that is sent. */
struct zk_zb_splice {
	zk_str raw;
	size_t from, n; /* of the new text in p->out */
};

/* convert_plan.c helpers for convert_text.c */
struct zk_zb_index *zk_zb_index_new(const struct zk_zb_schema *s);
void zk_zb_index_free(struct zk_zb_index *ix);
/* The field of `message` called `name` (decoded); ZK_ZB_NONE. `guess` is tried first. */
uint32_t zk_zb_index_find(const struct zk_zb_index *ix, uint32_t message, zk_str name,
                          uint32_t guess);

/* ---- arrow_json.c ---- */

/* Any value of an Arrow input as JSON, by the rules of JSON records (§11.3). What has no JSON form
 * is written as text when `lenient` (NaN by name; text that is not UTF-8 as base64, *base64 set);
 * else it is a fault of `p`: false. */
bool zk_zb_arrow_json(struct zk_zb_plan *p, const struct zk_arrow_schema *s,
                      const struct zk_arrow_at *at, bool lenient, bool *base64,
                      struct zk_zb_out *out);

#endif
