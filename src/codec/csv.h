/* csv: records of comma-separated values (RFC 4180), whatever the chunks are.
 * Layer: codec. One owner.
 *
 * Records end at LF, CR LF or CR; cells in double quotes may hold line ends and doubled quotes; a
 * BOM at the start is dropped; empty lines are skipped. The text is not checked for UTF-8.
 *
 *	while (zk_csv_next(&c, &chunk, &rec))	// takes from the front of `chunk`
 *		…
 *	// chunk is empty now; at the end of the input:
 *	if (zk_csv_last(&c, &rec)) …
 */
#ifndef ZK_CODEC_CSV_H
#define ZK_CODEC_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct zk_csv_cell {
	zk_str text; /* without quotes; p is never NULL */
	bool quoted;
};

struct zk_csv_record {
	const struct zk_csv_cell *cells; /* borrowed until the next call */
	size_t n;
	uint64_t line; /* 1-based, where it begins */
	/* NULL, or why it is none: "text behind a closing quote". Its cells are incomplete. */
	const char *bad;
};

struct zk_csv {
	struct zk_buf text; /* of the cells so far */
	struct zk_csv_cell *cells;
	size_t n, room;
	size_t max_record, max_cells;
	uint64_t line, start; /* of the next byte, of the record */
	size_t cell_from;
	const char *bad;
	char delimiter;
	uint8_t state, bom;
	bool after_cr, any, handed;
};

/* `max_record` bounds the text of one record, `max_cells` its cells. */
void zk_csv_init(struct zk_csv *c, char delimiter, size_t max_record, size_t max_cells);
void zk_csv_done(struct zk_csv *c);
/* The next complete record; false when `chunk` is used up. */
bool zk_csv_next(struct zk_csv *c, zk_str *chunk, struct zk_csv_record *ret);
/* At the end: a last record without a line end; false when there is none. */
bool zk_csv_last(struct zk_csv *c, struct zk_csv_record *ret);

#endif
