/* The last events by key: recognises one that comes again (§8.4). 5 MiB at most.
 * Layer: jetstream. Pure; one owner. */
#ifndef ZK_JETSTREAM_DEDUP_H
#define ZK_JETSTREAM_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define ZK_JET_DEDUP_EVENTS 262144

struct zk_jet_dedup {
	uint64_t *ring;  /* hashes in order of arrival */
	uint32_t *texts; /* what is known of the bytes of each of them */
	uint32_t *table; /* places in the ring plus one, by hash; 0 = free */
	size_t n, next;
};

/* A hash of the bytes of an event: quick, and good enough to tell two with the same key apart. The
 * same in every process. Pure. */
uint32_t zk_jet_dedup_text(zk_str raw);
void zk_jet_dedup_init(struct zk_jet_dedup *d);
void zk_jet_dedup_done(struct zk_jet_dedup *d);
/* Whether the event with this hash of its key was among the last; remembers it otherwise. While
 * events are sent again (`overlap`) the key alone decides; else only one with the same bytes
 * (`text` is a hash of them) is the same event. */
bool zk_jet_dedup_seen(struct zk_jet_dedup *d, uint64_t hash, uint32_t text,
                       bool overlap);

#endif
