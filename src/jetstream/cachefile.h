/* The caches of hydration, saved at a clean stop and loaded at the next start (§11.3).
 * Layer: jetstream. Blocks. */
#ifndef ZK_JETSTREAM_CACHEFILE_H
#define ZK_JETSTREAM_CACHEFILE_H

#include "base/attr.h"
#include "base/err.h"

struct zk_jet_hydrator;

/* DIR/cache.db, written whole or not at all. */
int zk_jet_cachefile_save(const char *dir, struct zk_jet_hydrator *h,
                          struct zk_error *err) ZK_MUST_USE;
/* What is there and still fresh; a file that cannot be read is no harm. */
void zk_jet_cachefile_load(const char *dir, struct zk_jet_hydrator *h);

#endif
