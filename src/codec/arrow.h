/* arrow: reader of Arrow IPC streams and files (specs/zerobus.md §12.3, appendix B).
 * Layer: codec. One owner, one thread at a time; nothing here blocks or reads a descriptor.
 *
 * Everything that comes out was checked: offsets, lengths and counts lie inside their buffers, so
 * that the accessors below cannot read outside. What concerns one row only (text that is not
 * UTF-8, a dictionary index outside the dictionary) is not checked here but seen by whoever reads
 * the row.
 *
 *	zk_arrow_new(&conf, &a);
 *	for (;;) {
 *		zk_arrow_next(a, &chunk, &ev, err)	// takes from the front of `chunk`
 *		switch (ev) {
 *		case ZK_ARROW_MORE:  // chunk is used up: the next one, or zk_arrow_end()
 *		case ZK_ARROW_SCHEMA: // zk_arrow_schema()
 *		case ZK_ARROW_BATCH:  // zk_arrow_batch()
 */
#ifndef ZK_CODEC_ARROW_H
#define ZK_CODEC_ARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

/* The numbers of the type union. */
enum zk_arrow_type {
	ZK_ARROW_NULL = 1,
	ZK_ARROW_INT = 2,
	ZK_ARROW_FLOAT = 3,
	ZK_ARROW_BINARY = 4,
	ZK_ARROW_UTF8 = 5,
	ZK_ARROW_BOOL = 6,
	ZK_ARROW_DECIMAL = 7,
	ZK_ARROW_DATE = 8,
	ZK_ARROW_TIME = 9,
	ZK_ARROW_TIMESTAMP = 10,
	ZK_ARROW_INTERVAL = 11,
	ZK_ARROW_LIST = 12,
	ZK_ARROW_STRUCT = 13,
	ZK_ARROW_UNION = 14,
	ZK_ARROW_FIXED_BINARY = 15,
	ZK_ARROW_FIXED_LIST = 16,
	ZK_ARROW_MAP = 17,
	ZK_ARROW_DURATION = 18,
	ZK_ARROW_LARGE_BINARY = 19,
	ZK_ARROW_LARGE_UTF8 = 20,
	ZK_ARROW_LARGE_LIST = 21,
	ZK_ARROW_RUN_END = 22,
	ZK_ARROW_BINARY_VIEW = 23,
	ZK_ARROW_UTF8_VIEW = 24,
	ZK_ARROW_LIST_VIEW = 25,
	ZK_ARROW_LARGE_LIST_VIEW = 26,
};

/* Units of TIME, TIMESTAMP and DURATION. DATE: 0 days, 1 milliseconds. INTERVAL: 0 year-month,
 * 1 day-time, 2 month-day-nano. UNION: 0 sparse, 1 dense. */
enum zk_arrow_unit { ZK_ARROW_S, ZK_ARROW_MS, ZK_ARROW_US, ZK_ARROW_NS };

#define ZK_ARROW_DEPTH_MAX 64
#define ZK_ARROW_NO_FIELD  UINT32_MAX

/* A field; all of a schema stand in one array, depth first: the children of field i begin at
 * i + 1, the sibling behind it is i + span. */
struct zk_arrow_field {
	zk_str name;
	zk_str timezone;
	enum zk_arrow_type type; /* of the values, not of the indexes */
	uint8_t unit;
	bool nullable;
	bool is_signed;
	bool has_dict, index_signed;
	uint8_t index_width; /* bytes */
	/* Bits of INT, FLOAT, DECIMAL, TIME; bytes of FIXED_BINARY; elements of
	 * FIXED_LIST. */
	int32_t width;
	int32_t precision, scale;
	int64_t dict_id;
	uint32_t n_children, span, parent; /* parent: ZK_ARROW_NO_FIELD at the top */
	const int8_t *type_ids;            /* UNION: one per child */
};

struct zk_arrow_schema {
	const struct zk_arrow_field *fields;
	uint32_t n_fields; /* of all levels */
	uint32_t n_columns;
};

/* The field behind `i` on its level. */
static inline uint32_t zk_arrow_sibling(const struct zk_arrow_schema *s, uint32_t i)
{
	return i + s->fields[i].span;
}

/* Appends the type as people write it: "int64", "timestamp(us, UTC)", "list<utf8>". */
void zk_arrow_type_text(const struct zk_arrow_schema *s, uint32_t field,
                        struct zk_buf *b);
bool zk_arrow_schema_same(const struct zk_arrow_schema *a,
                          const struct zk_arrow_schema *b);

struct zk_arrow_dict;

/* One array: the values of a field in a batch, or of a dictionary. */
struct zk_arrow_col {
	int64_t n;
	int64_t nulls;
	const uint8_t *valid; /* bitmap; NULL = none is null */
	/* Values; offsets of BINARY, UTF8, LIST, MAP (n + 1, or none when n is 0); views;
	 * type ids of a UNION; indexes of a dictionary; offsets of a LIST_VIEW. */
	const uint8_t *data;
	const uint8_t *more; /* text; sizes of a LIST_VIEW; offsets of a dense UNION */
	uint64_t more_n;     /* bytes of `more` */
	const zk_str *views; /* data buffers of a view */
	uint32_t n_views;
	const struct zk_arrow_dict *dict; /* of a field that has one */
};

/* The arrays of a run of fields: col[i] belongs to field first + i. */
struct zk_arrow_cols {
	struct zk_arrow_col *col;
	uint32_t first, n;
};

struct zk_arrow_batch {
	struct zk_arrow_cols cols; /* of all fields */
	int64_t n_rows;
	uint64_t number; /* 0-based in the input */
};

struct zk_arrow;

struct zk_arrow_conf {
	uint64_t
	        max_body; /* bytes of a body, before and after decompression; 0 = 2 GiB */
	uint64_t size;    /* of the whole input when it is known, else 0 */
	/* For files: exactly `n` bytes from `at`. NULL = a stream. */
	int (*pread)(void *ctx, uint64_t at, void *p, size_t n, struct zk_error *err);
	void *ctx;
};

enum zk_arrow_ev {
	ZK_ARROW_MORE,       /* needs more bytes */
	ZK_ARROW_SCHEMA,     /* a schema was read */
	ZK_ARROW_DICTIONARY, /* a dictionary was read; of interest with zk_arrow_raw only */
	ZK_ARROW_BATCH,
	ZK_ARROW_END, /* a file only: nothing follows */
};

/* Never fails. */
struct zk_arrow *zk_arrow_new(const struct zk_arrow_conf *conf);
void zk_arrow_free(struct zk_arrow *a); /* NULL is fine */

/* The next event. With conf.pread `chunk` is not looked at (NULL is fine). 0, or
 * -ZK_E_ZB_NOT_ARROW, -ZK_E_ZB_CUT, -ZK_E_ZB_ARROW, -ZK_E_ZB_ARROW_FEATURE, -ZK_E_ZB_ARROW_PRESS,
 * -ZK_E_ZB_ARROW_LIMIT, -ZK_E_LIBRARY, or what pread gave; the message names batch and column.
 * After a failure only zk_arrow_free(). */
int zk_arrow_next(struct zk_arrow *a, zk_str *chunk, enum zk_arrow_ev *ev,
                  struct zk_error *err) ZK_MUST_USE;
/* The stream ended: 0, or -ZK_E_ZB_CUT, -ZK_E_ZB_NOT_ARROW (nothing at all came). */
int zk_arrow_end(struct zk_arrow *a, struct zk_error *err) ZK_MUST_USE;

/* Of the last ZK_ARROW_SCHEMA. When a new stream repeats the schema the object stays the same. */
const struct zk_arrow_schema *zk_arrow_schema(const struct zk_arrow *a);
/* Of the last ZK_ARROW_BATCH; valid until the next call of zk_arrow_next(). */
const struct zk_arrow_batch *zk_arrow_batch(const struct zk_arrow *a);
/* Complete batches so far. */
uint64_t zk_arrow_batches(const struct zk_arrow *a);
/* The message of the last event as it was read: prefix and metadata, then the body. That of the
 * schema of a file is made of its footer. Valid until the next call. */
void zk_arrow_raw(const struct zk_arrow *a, zk_str *head, zk_str *body);
/* Which dictionary the last ZK_ARROW_DICTIONARY was, and whether it only adds to it. */
void zk_arrow_last_dict(const struct zk_arrow *a, int64_t *id, bool *is_delta);

/* ---- values; `i` is a row of the array: 0 <= i < col->n ---- */

static inline bool zk_arrow_is_valid(const struct zk_arrow_col *c, int64_t i)
{
	return !c->valid || (c->valid[i >> 3] >> (i & 7) & 1);
}

static inline const struct zk_arrow_col *zk_arrow_col(const struct zk_arrow_cols *cols,
                                                      uint32_t field)
{
	return &cols->col[field - cols->first];
}

/* BINARY, UTF8, their LARGE and VIEW kinds, FIXED_BINARY. */
zk_str zk_arrow_bytes(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                      int64_t i);
/* Elements of a LIST, LARGE_LIST, FIXED_LIST, MAP, LIST_VIEW, LARGE_LIST_VIEW in their child. */
void zk_arrow_elements(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                       int64_t i, int64_t *from, int64_t *to);
/* A signed or unsigned integer of f->width bits, DATE, TIME, TIMESTAMP, DURATION, year-month
 * INTERVAL. An unsigned 64-bit number comes as its bit pattern. */
int64_t zk_arrow_int(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                     int64_t i);
bool zk_arrow_bool(const struct zk_arrow_col *c, int64_t i);
/* FLOAT of 16 and 32 bits: exact. */
float zk_arrow_float(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                     int64_t i);
double zk_arrow_double(const struct zk_arrow_col *c, int64_t i);
/* DECIMAL as text with exactly f->scale digits after the point; a negative scale appends zeros.
 * Returns the length. */
#define ZK_ARROW_DECIMAL_MAX 240
size_t zk_arrow_decimal(const struct zk_arrow_field *f, const struct zk_arrow_col *c,
                        int64_t i, char out[ZK_ARROW_DECIMAL_MAX]);
/* The child that row `i` of a UNION takes and the row in it; false when the type id has no child
 * or the row lies outside. */
bool zk_arrow_union(const struct zk_arrow_schema *s, uint32_t field,
                    const struct zk_arrow_cols *cols, int64_t i, uint32_t *child,
                    int64_t *row);

/* A place: row `i` of the field `field`, whose array stands in `cols`. */
struct zk_arrow_at {
	struct zk_arrow_cols cols;
	uint32_t field;
	int64_t i;
};

enum zk_arrow_found { ZK_ARROW_VALUE, ZK_ARROW_IS_NULL, ZK_ARROW_OUTSIDE };

/* Follows dictionaries and run ends from `at` to the value itself. */
enum zk_arrow_found zk_arrow_resolve(const struct zk_arrow_schema *s,
                                     struct zk_arrow_at *at);

#endif
