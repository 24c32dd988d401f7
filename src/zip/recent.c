/* The ids met lately: a ring of their hashes in order of time, and a table of the same. The hash is
 * keyed, so that nobody can make two ids look alike; by chance one in 2^48 would.
 * Layer: zip. */
#include "zip/recent.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

#include "base/ban.h"

#define MAX_IDS 65536
#define MAX_MS  (60 * 60 * 1000)

struct slot {
	uint64_t hash;
	int64_t at_ms;
};

struct zk_zip_recent {
	struct slot *ring; /* oldest at `first` */
	uint32_t *table;   /* places in the ring plus one, 0 = free; linear probing */
	size_t max, mask, first, n;
	int64_t max_ms;
};

struct zk_zip_recent *zk_zip_recent_new(size_t max, int64_t max_ms)
{
	struct zk_zip_recent *s = zk_new0(struct zk_zip_recent);
	size_t room = 16;

	s->max = max ? max : MAX_IDS;
	s->max_ms = max_ms ? max_ms : MAX_MS;
	while (room < s->max * 2)
		room *= 2;
	s->mask = room - 1;
	s->ring = zk_alloc_array(s->max, sizeof(*s->ring));
	s->table = zk_alloc_array(room, sizeof(*s->table));
	return s;
}

void zk_zip_recent_free(struct zk_zip_recent *s)
{
	if (!s)
		return;
	free(s->ring);
	free(s->table);
	free(s);
}

/* Where the hash is, or the free place where it would be. */
static size_t find(const struct zk_zip_recent *s, uint64_t hash)
{
	size_t at = hash & s->mask;

	while (s->table[at] && s->ring[s->table[at] - 1].hash != hash)
		at = (at + 1) & s->mask;
	return at;
}

/* Closes the hole at `at`, so that no search ends too early. */
static void remove_at(struct zk_zip_recent *s, size_t at)
{
	size_t next = at;

	for (;;) {
		s->table[at] = 0;
		for (;;) {
			size_t home;

			next = (next + 1) & s->mask;
			if (!s->table[next])
				return;
			home = s->ring[s->table[next] - 1].hash & s->mask;
			/* It may move when its home does not lie behind the hole. */
			if (((next - home) & s->mask) >= ((next - at) & s->mask))
				break;
		}
		s->table[at] = s->table[next];
		at = next;
	}
}

static void drop_oldest(struct zk_zip_recent *s)
{
	remove_at(s, find(s, s->ring[s->first].hash));
	s->first = s->first + 1 == s->max ? 0 : s->first + 1;
	s->n--;
}

bool zk_zip_recent_add(struct zk_zip_recent *s, zk_str id, int64_t now_ms)
{
	uint64_t hash = zk_hash(id);
	size_t at, place;

	while (s->n && now_ms - s->ring[s->first].at_ms >= s->max_ms)
		drop_oldest(s);
	if (s->table[find(s, hash)])
		return false;
	if (s->n == s->max)
		drop_oldest(s);
	place = s->first + s->n++;
	place = place >= s->max ? place - s->max : place;
	s->ring[place] = (struct slot){ .hash = hash, .at_ms = now_ms };
	at = find(s, hash);
	/* find() compares with what stands in the ring: the place is not in the table yet. */
	s->table[at] = (uint32_t)place + 1;
	return true;
}
