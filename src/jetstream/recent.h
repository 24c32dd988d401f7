/* The last events of a store by what recognises them (§8.4), so that a start knows which ones it
 * has when the host sends them again.
 * Layer: jetstream. Any thread; blocks.
 *
 * They stand in the live file, and right after a switch in the ones before it, which may have left
 * already, packed or for an archive: for these their keys stay in the ledger. */
#ifndef ZK_JETSTREAM_RECENT_H
#define ZK_JETSTREAM_RECENT_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_db;

/* How long they are kept, by the clock of the events: twice the largest overlap of §8.2. */
#define ZK_JET_RECENT_US INT64_C(30000000)

typedef void zk_jet_recent_fn(void *ctx, zk_str key, uint32_t text);

/* fn for each of the store `dir`, oldest first; one may come twice. What cannot be read is left
 * out: its events are stored again then. */
void zk_jet_recent_each(const char *dir, zk_jet_recent_fn *fn, void *ctx);
/* Keeps those of `file`, a store file, in table `recent` of the ledger, and lets older ones go. */
int zk_jet_recent_note(struct zk_db *ledger, struct zk_db *file,
                       struct zk_error *err) ZK_MUST_USE;

#endif
