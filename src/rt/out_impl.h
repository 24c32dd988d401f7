/* What the files of rt/out share.
 * Layer: rt, private. */
#ifndef ZK_RT_OUT_IMPL_H
#define ZK_RT_OUT_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"
#include "rt/out.h"

struct zk_lane;
struct zk_out_jq;

/* A column of the rows that are being written. */
struct zk_outcol {
	char *name; /* path, or the plain name of a member */
	char *title;
	bool is_key; /* `name` is a member's name as it is, dots included */
	unsigned flags;
	size_t width; /* of the table, 0 until it is laid out */
};

struct zk_outcell {
	size_t at, n; /* bytes in zk_outtable.text */
	size_t width;
};

/* Rows that wait until the widths of the columns are known. */
struct zk_outtable {
	struct zk_buf text;
	struct zk_outcell *cells; /* of all rows, one after the other */
	size_t n, room;
	bool laid_out;
};

/* A piece of --format: text, or the value of a path. */
struct zk_outpiece {
	char *text;
	bool is_path;
};

struct zk_outselect {
	char **fields; /* --fields */
	size_t n_fields;
	struct zk_outpiece *pieces; /* --format */
	size_t n_pieces;
};

struct zk_out {
	struct zk_out_conf conf;
	int format;
	bool tty, utf8;
	struct zk_outselect select;
	struct zk_out_jq *jq;

	const struct zk_out_shape *shape; /* between begin and end */
	uint64_t rows;                    /* given by the command */
	uint64_t items;                   /* written, after jq */
	struct zk_buf doc;                /* json with jq: the whole document */
	struct zk_buf members;
	struct zk_buf scratch, scratch2;
	struct zk_outcol *cols;
	size_t n_cols;
	bool cols_known, told_extra;
	struct zk_outtable table;

	struct zk_buf buf; /* formatted, not yet written */
	bool flush_waits;
	bool closed; /* by the reader */
	bool halted; /* by the jq program */
	bool failed; /* for good; `error` says why */
	struct zk_error error;
	struct zk_lane *lane; /* of conf.threaded */
	size_t pending;       /* bytes the lane has */
	bool full;
};

/* out_select.c */
int zk_outselect_init(struct zk_outselect *s, const struct zk_out_conf *conf,
                      struct zk_error *err) ZK_MUST_USE;
void zk_outselect_done(struct zk_outselect *s);
/* 0, or -ZK_E_USAGE for a field that the shape does not have. */
int zk_outselect_check(const struct zk_outselect *s, const struct zk_out_shape *shape,
                       struct zk_error *err) ZK_MUST_USE;
/* The value at a path, or of the member whose name it is; ZK_J_NONE when there is none.
 */
struct zk_jval zk_outselect_get(zk_str row, const char *name, bool is_key);
/* The row reduced to --fields, as an object. */
void zk_outselect_project(const struct zk_outselect *s, zk_str row, struct zk_buf *b);
/* The row as the text of --format. */
void zk_outselect_text(const struct zk_outselect *s, zk_str row, struct zk_buf *b);
/* A value as text: strings decoded, null as nothing, everything else as it is. */
void zk_out_value_text(struct zk_jval val, struct zk_buf *b);
/* Makes o->cols: --fields, else the shape's, else the members of this first row. */
void zk_out_make_cols(struct zk_out *o, zk_str row);
void zk_out_free_cols(struct zk_out *o);

/* out_json.c: json, yaml */
void zk_out_pretty(struct zk_buf *b, zk_str json, unsigned depth);
void zk_out_yaml_item(struct zk_buf *b, zk_str json);   /* "- …" */
void zk_out_yaml_object(struct zk_buf *b, zk_str json); /* members from the left margin */
void zk_out_yaml_text(struct zk_buf *b, zk_str text);   /* one string */

/* out_text.c: csv, tsv, plain */
void zk_out_separated_head(struct zk_out *o);
void zk_out_separated_row(struct zk_out *o, zk_str row);
void zk_out_separated_text(struct zk_out *o, zk_str text);

/* out_table.c */
void zk_out_table_row(struct zk_out *o, zk_str row);
/* Lays out and writes the rows that wait. */
void zk_out_table_flush(struct zk_out *o);
void zk_out_table_one(struct zk_out *o, zk_str row);
void zk_out_table_done(struct zk_out *o);

/* out_jq.c. Results go to `on_result`: a string decoded, anything else as JSON. */
typedef int (*zk_out_jq_fn)(struct zk_out *o, zk_str text, bool is_string,
                            struct zk_error *err);
int zk_out_jq_new(const char *program, struct zk_out_jq **ret,
                  struct zk_error *err) ZK_MUST_USE;
void zk_out_jq_free(struct zk_out_jq *j);
int zk_out_jq_run(struct zk_out *o, zk_str json, zk_out_jq_fn on_result,
                  struct zk_error *err) ZK_MUST_USE;

/* out_write.c */
int zk_out_write_init(struct zk_out *o, struct zk_error *err) ZK_MUST_USE;
/* Writes o->buf, or hands it to the thread. */
void zk_out_write(struct zk_out *o);
/* Waits until the thread has written everything, and ends it. */
void zk_out_write_wait(struct zk_out *o);

#endif
