/* Row readers: NDJSON, CSV and Arrow IPC inputs as a sequence of encoded rows
 * (specs/zerobus.md §10 to §12).
 * Layer: zerobus. A reader is used by one thread at a time and may block in its source; it runs
 * in the reader lane, never on the loop thread.
 *
 *	zk_zb_rows_open() → { zk_zb_rows_next() → SCHEMA, ROW or BAD_ROW … END } → zk_zb_rows_close()
 *
 * A SCHEMA comes before the first row and again whenever the schema of the rows that follow is
 * another one. An input without rows gives END, after a SCHEMA or not. */
#ifndef ZK_ZEROBUS_ROWS_H
#define ZK_ZEROBUS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_zb_rows;
struct zk_zb_schema; /* of a table or a file: zerobus/schema.h */
struct zk_zb_source;

/* Numbers of the wire (§5.4). AUTO in a configuration only. */
enum zk_zb_record_type { ZK_ZB_RECORD_AUTO = 0, ZK_ZB_PROTO = 1, ZK_ZB_JSON = 2 };

/* What a stream is opened with. Immutable, counted; any thread. */
struct zk_zb_kind {
	unsigned refs; /* use the functions */
	enum zk_zb_record_type type;
	zk_str descriptor;   /* serialized DescriptorProto; empty for JSON */
	char fingerprint[9]; /* first 8 hex digits of its SHA-256; "json" for JSON */
};

/* Copies `descriptor`. */
struct zk_zb_kind *zk_zb_kind_new(enum zk_zb_record_type type, zk_str descriptor);
struct zk_zb_kind *zk_zb_kind_ref(struct zk_zb_kind *k);
void zk_zb_kind_unref(struct zk_zb_kind *k); /* NULL is fine */
bool zk_zb_kind_same(const struct zk_zb_kind *a, const struct zk_zb_kind *b);

enum zk_zb_format {
	ZK_ZB_FROM_AUTO,
	ZK_ZB_FROM_NDJSON,
	ZK_ZB_FROM_CSV,
	ZK_ZB_FROM_ARROW,
	ZK_ZB_FROM_ARROW_STREAM,
	ZK_ZB_FROM_REPLAY /* rejects files and exported spools; never guessed */
};

enum zk_zb_elements { ZK_ZB_NULL_REJECT, ZK_ZB_NULL_DROP };
enum zk_zb_time_as { ZK_ZB_TIME_ERROR, ZK_ZB_TIME_STRING, ZK_ZB_TIME_MICROS };

/* Parts of an Arrow input as they were read, for the debug files (§16.2). The schema comes first
 * and again with every new stream. Head and body are a whole encapsulated message, borrowed. */
enum zk_zb_raw { ZK_ZB_RAW_SCHEMA, ZK_ZB_RAW_DICTIONARY, ZK_ZB_RAW_BATCH };
struct zk_zb_part {
	enum zk_zb_raw what;
	zk_str head, body;
	int64_t dict_id; /* of a dictionary */
	bool is_delta;   /* it adds to that dictionary */
};

struct zk_zb_rows_conf {
	struct zk_zb_source *source; /* borrowed until the close */
	enum zk_zb_format format;
	enum zk_zb_record_type record_type;
	const struct zk_zb_schema *schema; /* NULL = the input's own */
	const char *message;               /* name of the message; not NULL */
	bool all_optional, drop_unknown, coerce;
	enum zk_zb_elements null_elements;
	enum zk_zb_time_as time_as;
	char csv_delimiter;   /* 0 = by the extension */
	const char *csv_null; /* NULL = none */
	uint64_t arrow_max_body;
	/* REPLAY: rows with this code only, NULL = all; rows of this table only, others end the
	 * input, NULL = of any. */
	const char *only_code, *only_table;
	bool checked; /* every line of it was seen to be a good row: do not look again */
	void *ctx;
	/* May be NULL. */
	void (*on_raw)(void *ctx, const struct zk_zb_part *part);
	/* A remark for people (a skipped column, a format that was guessed); may be NULL. */
	void (*on_note)(void *ctx, const char *text);
};

/* Looks at the first bytes and makes the reader that fits. -ZK_E_ZB_NOT_ARROW and the other 41xx
 * when nothing fits. Blocks. */
int zk_zb_rows_open(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                    struct zk_error *err) ZK_MUST_USE;
void zk_zb_rows_close(struct zk_zb_rows *r); /* NULL is fine */

enum zk_zb_got {
	ZK_ZB_END,     /* nothing follows */
	ZK_ZB_SCHEMA,  /* `kind` is set */
	ZK_ZB_ROW,     /* `row`, `line`, `kind` and `payload` are set */
	ZK_ZB_BAD_ROW, /* `err` of the call says why; everything but `payload` is set */
};

/* Slices are borrowed until the next call. */
struct zk_zb_row {
	uint64_t row;  /* 0-based in its source, counting bad rows */
	uint64_t line; /* 1-based; 0 for Arrow */
	zk_str payload;
	struct zk_zb_kind *kind; /* borrowed: ref to keep */
	/* A bad row, for the rejects file (§14.3): its values as a JSON object, or its text as
	 * it stood (`text`) when it is none. */
	zk_str values;
	bool is_text;
	zk_str column; /* empty = none */
	zk_str base64; /* JSON array of the columns that `values` holds as base64; empty = none */
};

/* The next thing: enum zk_zb_got, or a negative code when the input cannot be read further (the
 * rows before it are valid). With ZK_ZB_BAD_ROW `err` is filled too and reading goes on. */
int zk_zb_rows_next(struct zk_zb_rows *r, struct zk_zb_row *ret,
                    struct zk_error *err) ZK_MUST_USE;

/* ---- for the readers behind it ---- */

struct zk_zb_rows_ops {
	int (*next)(struct zk_zb_rows *r, struct zk_zb_row *ret, struct zk_error *err);
	void (*close)(struct zk_zb_rows *r); /* frees it */
};

/* First member of each reader. */
struct zk_zb_rows {
	const struct zk_zb_rows_ops *ops;
	struct zk_zb_source *source; /* of zk_zb_rows_open, which frees it */
	bool verbatim; /* rows go as they stand: to read them again is cheaper than to keep them */
};

#endif
