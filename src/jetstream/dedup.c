/* A ring of hashes with a table over it.
 * Layer: jetstream. */
#include "jetstream/dedup.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

#define ROOM (ZK_JET_DEDUP_EVENTS * 2) /* of the table; a power of two */

uint32_t zk_jet_dedup_text(zk_str s)
{
	uint64_t h = s.n, word;

	for (; s.n >= sizeof(word); s = zk_str_from(s, sizeof(word))) {
		memcpy(&word, s.p, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

void zk_jet_dedup_init(struct zk_jet_dedup *d)
{
	*d = (struct zk_jet_dedup){ 0 };
}

void zk_jet_dedup_done(struct zk_jet_dedup *d)
{
	free(d->ring);
	free(d->texts);
	free(d->table);
	*d = (struct zk_jet_dedup){ 0 };
}

/* Where the hash stands in the table, or would. */
static size_t slot_of(const struct zk_jet_dedup *d, uint64_t hash)
{
	size_t i = hash & (ROOM - 1);

	while (d->table[i] && d->ring[d->table[i] - 1] != hash)
		i = (i + 1) & (ROOM - 1);
	return i;
}

/* Takes a hash out and moves those behind it that would no longer be found. */
static void take_out(struct zk_jet_dedup *d, uint64_t hash)
{
	size_t hole = slot_of(d, hash), i = hole;

	for (;;) {
		size_t home;

		i = (i + 1) & (ROOM - 1);
		if (!d->table[i])
			break;
		home = d->ring[d->table[i] - 1] & (ROOM - 1);
		/* Its home lies cyclically in (hole, i]: it stays. */
		if (((i - home) & (ROOM - 1)) < ((i - hole) & (ROOM - 1)))
			continue;
		d->table[hole] = d->table[i];
		hole = i;
	}
	d->table[hole] = 0;
}

bool zk_jet_dedup_seen(struct zk_jet_dedup *d, uint64_t hash, uint32_t text, bool overlap)
{
	size_t i;

	if (!d->ring) {
		d->ring = zk_alloc_array(ZK_JET_DEDUP_EVENTS, sizeof(*d->ring));
		d->texts = zk_alloc_array(ZK_JET_DEDUP_EVENTS, sizeof(*d->texts));
		d->table = zk_alloc_array(ROOM, sizeof(*d->table));
	}
	i = slot_of(d, hash);
	if (d->table[i]) {
		uint32_t *known = &d->texts[d->table[i] - 1];
		bool same = overlap || *known == text;

		*known = text;
		return same;
	}
	if (d->n == ZK_JET_DEDUP_EVENTS) {
		take_out(d, d->ring[d->next]);
		i = slot_of(d, hash);
	} else {
		d->n++;
	}
	d->ring[d->next] = hash;
	d->texts[d->next] = text;
	d->next = (d->next + 1) % ZK_JET_DEDUP_EVENTS;
	d->table[i] = (uint32_t)(d->next ? d->next : ZK_JET_DEDUP_EVENTS);
	return false;
}
