/* Which events of a mark a session holds.
 * Layer: zip. Pure; one owner. */
#ifndef ZK_ZIP_TRACE_SEEN_H
#define ZK_ZIP_TRACE_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zip/trace_detail.h"

struct zk_zip_seen {
	uint64_t *bits;
	size_t words;
	uint64_t from; /* of the first bit */
	/* while it is read */
	zk_str mark;
	struct zk_zip_detail detail;
};

void zk_zip_seen_done(struct zk_zip_seen *s);
/* Reads the detail of an execution as it comes: the numbers of `mark` (borrowed until the end) from
 * `from` on, at most 64 Mi of them. What was there before is forgotten. put and end: 0,
 * -ZK_E_PROTOCOL, -ZK_E_LIMIT. */
void zk_zip_seen_begin(struct zk_zip_seen *s, zk_str mark, uint64_t from);
int zk_zip_seen_put(struct zk_zip_seen *s, zk_str chunk,
                    struct zk_error *err) ZK_MUST_USE;
int zk_zip_seen_end(struct zk_zip_seen *s, struct zk_error *err) ZK_MUST_USE;
bool zk_zip_seen_has(const struct zk_zip_seen *s, uint64_t seq);

#endif
