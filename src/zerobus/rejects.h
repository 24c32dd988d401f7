/* The rejects file: NDJSON, a header for each schema, a line for each row that was not taken
 * (specs/zerobus.md §14.3). Holds user data: mode 0600.
 * Layer: zerobus. Loop thread only. */
#ifndef ZK_ZEROBUS_REJECTS_H
#define ZK_ZEROBUS_REJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zerobus/rows.h"

struct zk_zb_rejects;

/* Creates the file, or appends to it. -ZK_E_CREATE. */
int zk_zb_rejects_open(const char *path, const char *table, struct zk_zb_rejects **ret,
                       struct zk_error *err) ZK_MUST_USE;
/* Flushes to the disk and closes: 0, or -ZK_E_OUTPUT when that failed. NULL is fine. */
int zk_zb_rejects_close(struct zk_zb_rejects *r, struct zk_error *err) ZK_MUST_USE;

struct zk_zb_reject {
	const struct zk_zb_kind *kind;
	const char *source;
	uint64_t row, line; /* line 0 = none */
	const struct zk_error *err;
	unsigned attempts;
	zk_str column;         /* empty = none */
	zk_str payload;        /* as it was to be sent; p == NULL: it never became one */
	zk_str values, base64; /* then: as in struct zk_zb_row */
	bool is_text;          /* `values` is the row's text */
	bool suspect;
};

/* One line, written at once; to the disk at least every 5 s. 0 or -ZK_E_OUTPUT. */
int zk_zb_rejects_put(struct zk_zb_rejects *r, const struct zk_zb_reject *v,
                      struct zk_error *err) ZK_MUST_USE;

#endif
