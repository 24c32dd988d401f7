/* Rows in the general spool: under the target zerobus:<endpoint host>/<table>, one record per row,
 * the descriptor stored once per fingerprint (specs/zerobus.md §14.4).
 * Layer: zerobus. Loop thread only; each call may block on the disk. */
#ifndef ZK_ZEROBUS_KEEP_H
#define ZK_ZEROBUS_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "store/spool.h"
#include "zerobus/rows.h"

struct zk_zb_request;

/* "HOST/TABLE"; the caller frees. */
char *zk_zb_keep_dest(const char *host, const char *table);

/* Appends every row of the request, all or none; with `note_ids` their ids go into
 * r->spool_ids. Errors of the spool. */
int zk_zb_keep_put(struct zk_spool *sp, const struct zk_spool_target *target,
                   struct zk_zb_request *r, bool note_ids,
                   struct zk_error *err) ZK_MUST_USE;

/* What a record says about itself. */
struct zk_zb_kept {
	struct zk_zb_kind *kind; /* the caller's */
	char *source;            /* the caller frees */
	uint64_t row, line;
};
/* Reads a record's meta and its descriptor, which is not looked up again when it is that of
 * `known` (may be NULL): 0, or a negative code. */
int zk_zb_keep_read(struct zk_spool *sp, const struct zk_spool_target *target,
                    const struct zk_spool_rec *rec, struct zk_zb_kind *known,
                    struct zk_zb_kept *ret, struct zk_error *err) ZK_MUST_USE;
/* The same from the text of a meta object, with the descriptor given (empty for JSON). */
int zk_zb_keep_parse(zk_str meta, zk_str descriptor, struct zk_zb_kept *ret,
                     struct zk_error *err) ZK_MUST_USE;

#endif
