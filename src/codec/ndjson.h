/* ndjson: splits a byte stream into lines, whatever the chunks are.
 * Layer: codec. One owner.
 *
 * A line ends at LF; a CR before it and a BOM at the start of the stream are dropped;
 *lines with nothing but white space are skipped (and counted). The lines themselves are
 *not checked.
 *
 *	while (zk_ndjson_next(&s, &chunk, &line))	// takes from the front of `chunk`
 *		…
 *	// chunk is empty now; at the end of the input:
 *	if (zk_ndjson_last(&s, &line)) …
 */
#ifndef ZK_CODEC_NDJSON_H
#define ZK_CODEC_NDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct zk_ndjson_line {
	zk_str text;     /* borrowed until the next call or until the chunk goes away */
	uint64_t number; /* 1-based */
	uint64_t offset; /* of its first byte in the stream */
	bool too_long;   /* longer than the limit: `text` is its beginning only */
};

struct zk_ndjson {
	struct zk_buf part; /* the beginning of a line that goes on in the next chunk */
	size_t max_line;
	uint64_t number; /* complete lines so far */
	uint64_t offset; /* bytes taken so far */
	uint64_t start;  /* offset of the current line */
	bool handed;     /* `part` was handed out and is to be emptied */
};

/* `max_line_bytes` counts without the line end. */
void zk_ndjson_init(struct zk_ndjson *s, size_t max_line_bytes);
void zk_ndjson_done(struct zk_ndjson *s);
/* The next complete line; false when `chunk` is used up. */
bool zk_ndjson_next(struct zk_ndjson *s, zk_str *chunk, struct zk_ndjson_line *ret);
/* At the end of the stream: a last line without LF; false when there is none. */
bool zk_ndjson_last(struct zk_ndjson *s, struct zk_ndjson_line *ret);

#endif
