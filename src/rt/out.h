/* The results of a command on stdout: rows in every format, selection, one failure
 * (ux.md §6).
 * Layer: rt. Loop thread only.
 *
 * A row is a JSON object as bytes. Bytes are sliced and copied only: a number in a row comes
 * out in every format as it came in.
 *
 *	zk_out_begin(out, &shape, err);
 *	… zk_out_row(out, json, err); …      // < 0: stop and return it
 *	… if (zk_out_closed(out)) a reader stops here …
 *	return zk_out_end(out, err);
 */
#ifndef ZK_RT_OUT_H
#define ZK_RT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jwrite.h"

struct zk_loop;
struct zk_out;

/* The order of the values of --output. A command's own formats follow; it writes them
 * itself with zk_out_text. */
enum zk_out_format {
	ZK_OUT_AUTO, /* TABLE on a terminal, else NDJSON */
	ZK_OUT_TABLE,
	ZK_OUT_PLAIN, /* values separated by tabs, no head, nothing cut */
	ZK_OUT_JSON,
	ZK_OUT_NDJSON,
	ZK_OUT_YAML,
	ZK_OUT_CSV,
	ZK_OUT_TSV,
	ZK_OUT_OWN,
};

struct zk_out_conf {
	int fd;
	int format;              /* enum zk_out_format */
	bool color;              /* of the table's head */
	bool quiet;              /* no notes on stderr */
	const char *fields;      /* --fields: paths separated by commas, NULL = none */
	const char *jq;          /* --jq */
	const char *format_text; /* --format */
	/* Not NULL: what waits is written at the end of each turn (a list is otherwise
	 * written in blocks). */
	struct zk_loop *loop;
	/* With `loop`: a thread writes, so that a reader that stands still does not
	 * stop the loop: for commands that follow something. zk_out_is_full says when
	 * to pause. */
	bool threaded;
	void *ctx;
	void (*on_room)(void *ctx); /* after zk_out_is_full said so */
	/* How many milliseconds a reader that stands still may hold up the end, with `threaded`;
	 * below 0 = any time. Asked when that is about to happen, and without `threaded` before each
	 * write that would wait. NULL = any time. */
	int64_t (*patience_ms)(void *app);
	void *app;
};

/* 0, or -ZK_E_USAGE for a selection that cannot be, -ZK_E_LIBRARY without libjq. */
int zk_out_new(const struct zk_out_conf *conf, struct zk_out **ret,
               struct zk_error *err) ZK_MUST_USE;
/* NULL is fine. */
void zk_out_free(struct zk_out *o);
/* The resolved format, never ZK_OUT_AUTO. */
int zk_out_format(const struct zk_out *o);

enum zk_out_kind {
	ZK_OUT_LIST, /* any number of rows, known to end */
	ZK_OUT_ONE, /* exactly one row: json is that object, a table has a line per member */
	ZK_OUT_STREAM, /* rows as they come; json is one object per line */
};

enum zk_out_col_flags {
	ZK_COL_RIGHT = 1 << 0, /* numbers */
	ZK_COL_EXTRA = 1 << 1, /* not in a table unless asked for with --fields */
	ZK_COL_WHOLE = 1 << 2, /* never cut: ids */
};

/* A field of the rows: a member, or a path such as "webhook.url". */
struct zk_out_col {
	const char *name;
	const char *title; /* NULL = name */
	unsigned flags;
};

/* What the rows are; static. */
struct zk_out_shape {
	enum zk_out_kind kind;
	const char *noun; /* "templates", for "no templates"; NULL = nothing is said */
	/* json and yaml: the document is an object with the rows in this member, and
	 * those of zk_out_members; NULL = the document is the list itself. */
	const char *list;
	const struct zk_out_col *cols; /* NULL = the members of the first row */
	size_t n_cols;
	/* The rows may have more members than the columns name, as objects of other
	 * services do; otherwise an unknown name in --fields is an error. */
	bool open;
};

/* 0, or -ZK_E_USAGE for an unknown field. `shape` is borrowed until zk_out_end. */
int zk_out_begin(struct zk_out *o, const struct zk_out_shape *shape,
                 struct zk_error *err) ZK_MUST_USE;
/* One row: valid JSON, copied. 0, -ZK_E_OUTPUT, or -ZK_E_DATA when the jq program
 * fails. After stdout was closed by its reader rows are dropped and the result is 0. */
int zk_out_row(struct zk_out *o, zk_str json, struct zk_error *err) ZK_MUST_USE;
/* More members of the document of a LIST with `list`: raw JSON without braces; copied. */
void zk_out_members(struct zk_out *o, zk_str members);
/* Says on stderr that the list was cut: "50 of 213; --all for the rest"; `total` below
 * 0 = not known. */
void zk_out_cut(struct zk_out *o, uint64_t shown, int64_t total);
/* Writes what is left. 0, or -ZK_E_OUTPUT, -ZK_E_DATA, -ZK_E_INTERRUPTED when the reader stood still
 * for longer than it may. */
int zk_out_end(struct zk_out *o, struct zk_error *err) ZK_MUST_USE;

/* Bytes as they are (a command's own format, or text that is no row). 0, or
 * -ZK_E_OUTPUT. */
int zk_out_text(struct zk_out *o, zk_str text, struct zk_error *err) ZK_MUST_USE;
/* Hands what waits to the descriptor. 0, or -ZK_E_OUTPUT. */
int zk_out_flush(struct zk_out *o, struct zk_error *err) ZK_MUST_USE;
/* The reader of stdout went away: readers (list, tail, query, show) end with 0. */
bool zk_out_closed(const struct zk_out *o);
bool zk_out_is_full(const struct zk_out *o);
/* Rows given so far. */
uint64_t zk_out_rows(const struct zk_out *o);

/* Writes the names of the fields of `shape`, one per line, for --list-fields. */
int zk_out_list_fields(struct zk_out *o, const struct zk_out_shape *shape,
                       struct zk_error *err) ZK_MUST_USE;

/* ---- a row from values ----
 *
 *	struct zk_row row ZK_CLEANUP(zk_row_done);
 *
 *	zk_row_init(&row);
 *	zk_row_str(&row, "id", id);
 *	zk_row_i64(&row, "attempts", n);
 *	zk_out_row(out, zk_row_end(&row), err);
 */
#define ZK_ROW_MAX (64u << 20)

struct zk_row {
	struct zk_buf buf;
	struct zk_jwrite w;
	bool ended; /* the next value begins a new row */
};

void zk_row_init(struct zk_row *r);
void zk_row_done(struct zk_row *r);
void zk_row_str(struct zk_row *r, const char *name, zk_str v);
void zk_row_cstr(struct zk_row *r, const char *name, const char *v); /* NULL is null */
void zk_row_i64(struct zk_row *r, const char *name, int64_t v);
void zk_row_u64(struct zk_row *r, const char *name, uint64_t v);
void zk_row_double(struct zk_row *r, const char *name, double v);
void zk_row_bool(struct zk_row *r, const char *name, bool v);
void zk_row_null(struct zk_row *r, const char *name);
/* RFC 3339 with microseconds. */
void zk_row_time(struct zk_row *r, const char *name, int64_t wall_us);
/* Valid JSON as it is. */
void zk_row_raw(struct zk_row *r, const char *name, zk_str json);
/* The finished object, borrowed until the next zk_row_… call, which begins a new one. */
zk_str zk_row_end(struct zk_row *r);

#endif
