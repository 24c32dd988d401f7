/* The readers behind zerobus/rows.h.
 * Layer: zerobus, internal. */
#ifndef ZK_ZEROBUS_ROWS_READERS_H
#define ZK_ZEROBUS_ROWS_READERS_H

#include "codec/jscan.h"
#include "codec/ndjson.h"
#include "zerobus/rows.h"

/* Small enough to stay in a core's cache until it was looked at. */
#define ZK_ZB_CHUNK_BYTES ((size_t)64 << 10)
#define ZK_ZB_LINE_BYTES  ((size_t)16 << 20) /* ux.md §6 */

/* NDJSON: without a schema lines as they stand, as JSON records; with one checked against it. */
int zk_zb_rows_ndjson(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                      struct zk_error *err) ZK_MUST_USE;
int zk_zb_rows_csv(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                   struct zk_error *err) ZK_MUST_USE;
/* A stream, or a file through its footer. */
int zk_zb_rows_arrow(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                     struct zk_error *err) ZK_MUST_USE;

/* The lines of a rejects file or of an exported spool (§14.5). */
int zk_zb_rows_replay(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                      struct zk_error *err) ZK_MUST_USE;

/* ---- rows_lines.c ---- */

/* The lines of a source. */
struct zk_zb_lines {
	struct zk_zb_source *source;
	struct zk_ndjson split;
	char *chunk;
	zk_str left; /* of the chunk */
	bool ended;
};

void zk_zb_lines_init(struct zk_zb_lines *l, struct zk_zb_source *source,
                      size_t max_line_bytes);
void zk_zb_lines_done(struct zk_zb_lines *l);
/* The next line; 1, 0 at the end, or a negative code. */
int zk_zb_lines_next(struct zk_zb_lines *l, struct zk_ndjson_line *ret,
                     struct zk_error *err) ZK_MUST_USE;
/* The line as a JSON object; false with `err` filled. The other also finds members in it. */
bool zk_zb_lines_object(const struct zk_zb_lines *l, const struct zk_ndjson_line *line,
                        struct zk_jscan *ret, struct zk_error *err);
bool zk_zb_lines_find(const struct zk_zb_lines *l, const struct zk_ndjson_line *line,
                      struct zk_jwant *want, size_t n_want, struct zk_jscan *ret,
                      struct zk_error *err);

/* ---- rows_detect.c ---- */

/* A source that gives the bytes again that were looked at. */
struct zk_zb_source *zk_zb_peek_new(struct zk_zb_source *inner);
void zk_zb_peek_free(struct zk_zb_source *s);
/* Looks until the format is clear: 0 and ZK_ZB_FROM_NDJSON, _CSV, _ARROW or, for an input of zero
 * bytes, _AUTO; -ZK_E_ZB_NOT_ARROW naming what the bytes look like. */
int zk_zb_peek_format(struct zk_zb_source *s, enum zk_zb_format *ret,
                      struct zk_error *err) ZK_MUST_USE;
/* The bytes looked at so far begin like this. */
bool zk_zb_peek_starts(struct zk_zb_source *s, zk_str with, struct zk_error *err);

#endif
