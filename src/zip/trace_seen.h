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

struct zk_zip_seen {
	uint64_t *bits;
	size_t words;
	uint64_t from; /* of the first bit */
};

void zk_zip_seen_done(struct zk_zip_seen *s);
/* Reads the detail of an execution: the numbers of `mark` from `from` on (at most
 * 64 Mi of them). 0, -ZK_E_PROTOCOL, -ZK_E_LIMIT. What was there before is forgotten. */
int zk_zip_seen_read(struct zk_zip_seen *s, zk_str detail, zk_str mark, uint64_t from,
                     struct zk_error *err) ZK_MUST_USE;
bool zk_zip_seen_has(const struct zk_zip_seen *s, uint64_t seq);

#endif
