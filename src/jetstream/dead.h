/* dead.ndjson: what could not be kept, with its reason; on disk before the position passes it.
 * Layer: jetstream. Loop thread. specs/jetstream.md §9. */
#ifndef ZK_JETSTREAM_DEAD_H
#define ZK_JETSTREAM_DEAD_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "jetstream/event.h"

struct zk_jet_dead_file;

/* DIR/dead.ndjson, opened when the first comes. */
struct zk_jet_dead_file *zk_jet_dead_new(const char *dir);
void zk_jet_dead_free(struct zk_jet_dead_file *d); /* syncs; NULL is fine */
struct zk_jet_dead_letter {
	enum zk_jet_dead why;
	const char *source;
	uint64_t cursor; /* 0 = not known */
	zk_str bytes;
};
/* 0, or -ZK_E_STORE, -ZK_E_STORE_FULL. */
int zk_jet_dead_put(struct zk_jet_dead_file *d, const struct zk_jet_dead_letter *l,
                    struct zk_error *err) ZK_MUST_USE;
/* Everything so far is on disk afterwards. */
int zk_jet_dead_sync(struct zk_jet_dead_file *d, struct zk_error *err) ZK_MUST_USE;

#endif
