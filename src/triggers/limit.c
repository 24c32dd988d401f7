/* Rate limits: a table of 32-byte entries, found through an open hash, expired by a wheel.
 * Layer: triggers. */
#include "triggers/limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#include "base/ban.h"

#define WINDOW_MS  60000u
#define SLOT_MS    4096u /* width of one slot of the wheel */
#define SLOTS      64u   /* more than two windows */
#define NONE       UINT32_MAX
#define FIRST_ROOM 64u

/* Times are milliseconds modulo 2^32: only differences of a few minutes are ever formed. */
struct entry {
	uint8_t key[16];
	uint32_t start; /* of the current window */
	uint32_t count, prev;
	uint32_t next; /* in its slot of the wheel, or in the free list */
};
_Static_assert(sizeof(struct entry) == 32,
               "one entry is 32 bytes (specs/triggers.md §7)");

struct zk_trig_limit {
	bool sliding;
	struct entry *entries;
	uint32_t room, used; /* of `entries`: allocated, ever used */
	uint32_t free;       /* first free entry */
	uint32_t n;          /* live entries */
	uint32_t *index;     /* open addressing, NONE = empty; twice `room` or more */
	uint32_t mask;
	uint32_t wheel[SLOTS];
	int64_t turned_ms; /* the wheel has been turned up to here, a multiple of SLOT_MS */
	bool started;
};

struct zk_trig_limit *zk_trig_limit_new(bool sliding)
{
	struct zk_trig_limit *l = zk_new0(struct zk_trig_limit);

	l->sliding = sliding;
	l->free = NONE;
	for (size_t i = 0; i < SLOTS; i++)
		l->wheel[i] = NONE;
	return l;
}

void zk_trig_limit_free(struct zk_trig_limit *l)
{
	if (!l)
		return;
	free(l->entries);
	free(l->index);
	free(l);
}

void zk_trig_limit_set_sliding(struct zk_trig_limit *l, bool sliding)
{
	l->sliding = sliding;
}

size_t zk_trig_limit_entries(const struct zk_trig_limit *l)
{
	return l->n;
}

static uint32_t hash_of(const uint8_t key[16])
{
	return (uint32_t)zk_hash(zk_str_n((const char *)key, 16));
}

/* Where `key` stands in the index, or the empty place where it would. */
static uint32_t place_of(const struct zk_trig_limit *l, const uint8_t key[16])
{
	uint32_t at = hash_of(key) & l->mask;

	while (l->index[at] != NONE && memcmp(l->entries[l->index[at]].key, key, 16) != 0)
		at = (at + 1) & l->mask;
	return at;
}

static void grow(struct zk_trig_limit *l)
{
	uint32_t room = l->room ? l->room * 2 : FIRST_ROOM;

	l->entries = zk_realloc(l->entries, (size_t)room * sizeof(*l->entries));
	l->room = room;
	free(l->index);
	l->index = zk_alloc_array((size_t)room * 2, sizeof(*l->index));
	l->mask = room * 2 - 1;
	memset(l->index, 0xff, (size_t)room * 2 * sizeof(*l->index));
	/* It grows only when every entry is live. */
	for (uint32_t i = 0; i < l->used; i++)
		l->index[place_of(l, l->entries[i].key)] = i;
}

/* Takes `at` out of the index and closes the gap, so that no tombstones are needed. */
static void unindex(struct zk_trig_limit *l, uint32_t at)
{
	uint32_t hole = at;

	for (uint32_t i = (at + 1) & l->mask; l->index[i] != NONE;
	     i = (i + 1) & l->mask) {
		uint32_t home = hash_of(l->entries[l->index[i]].key) & l->mask;

		if (((i - home) & l->mask) >= ((i - hole) & l->mask)) {
			l->index[hole] = l->index[i];
			hole = i;
		}
	}
	l->index[hole] = NONE;
}

/* Puts entry `i` where the wheel will meet it once it has been idle for two windows. */
static void hang(struct zk_trig_limit *l, uint32_t i, uint32_t age_ms)
{
	int64_t due =
	        l->turned_ms + 2 * WINDOW_MS - ZK_MIN(age_ms, 2 * WINDOW_MS) + SLOT_MS;
	uint32_t slot = (uint32_t)(due / SLOT_MS) % SLOTS;

	l->entries[i].next = l->wheel[slot];
	l->wheel[slot] = i;
}

static void drop(struct zk_trig_limit *l, uint32_t i)
{
	struct entry *e = &l->entries[i];

	unindex(l, place_of(l, e->key));
	e->next = l->free;
	l->free = i;
	l->n--;
}

static void turn_slot(struct zk_trig_limit *l, uint32_t slot)
{
	uint32_t i = l->wheel[slot];

	l->wheel[slot] = NONE;
	while (i != NONE) {
		uint32_t next = l->entries[i].next;
		uint32_t age = (uint32_t)l->turned_ms - l->entries[i].start;

		/* A window that began after turned_ms has a huge "age": it is young. */
		if (age >= 2 * WINDOW_MS && age < UINT32_MAX / 2)
			drop(l, i);
		else
			hang(l, i, age < UINT32_MAX / 2 ? age : 0);
		i = next;
	}
}

static void turn(struct zk_trig_limit *l, int64_t now_ms)
{
	int64_t to = now_ms - now_ms % SLOT_MS;

	if (!l->started) {
		l->turned_ms = to;
		l->started = true;
	}
	if (to - l->turned_ms > (int64_t)SLOTS * SLOT_MS)
		l->turned_ms = to - (int64_t)SLOTS * SLOT_MS;
	while (l->turned_ms < to) {
		l->turned_ms += SLOT_MS;
		turn_slot(l, (uint32_t)(l->turned_ms / SLOT_MS) % SLOTS);
	}
}

static struct entry *find_or_add(struct zk_trig_limit *l, const uint8_t key[16],
                                 int64_t now_ms)
{
	uint32_t at, i;

	if (!l->room)
		grow(l);
	at = place_of(l, key);
	if (l->index[at] != NONE)
		return &l->entries[l->index[at]];
	if (l->free == NONE && l->used == l->room) {
		grow(l);
		at = place_of(l, key);
	}
	if (l->free != NONE) {
		i = l->free;
		l->free = l->entries[i].next;
	} else {
		i = l->used++;
	}
	memcpy(l->entries[i].key, key, 16);
	l->entries[i].start = (uint32_t)now_ms;
	l->entries[i].count = 0;
	l->entries[i].prev = 0;
	l->index[at] = i;
	l->n++;
	hang(l, i, 0);
	return &l->entries[i];
}

/* Opens a new window when the current one is over. */
static void roll(struct entry *e, bool sliding, uint32_t now)
{
	uint32_t age = now - e->start;

	if (age < WINDOW_MS)
		return;
	if (sliding && age < 2 * WINDOW_MS) {
		e->prev = e->count;
		e->start += WINDOW_MS;
	} else {
		e->prev = 0;
		e->start = now;
	}
	e->count = 0;
}

struct zk_trig_verdict zk_trig_limit_take(struct zk_trig_limit *l, const uint8_t key[16],
                                          uint64_t limit, uint64_t n, int64_t now_ms)
{
	struct zk_trig_verdict v = { .ok = true, .limit = limit };
	struct entry *e;
	uint64_t used;
	uint32_t left;

	if (limit == 0)
		return v;
	turn(l, now_ms);
	e = find_or_add(l, key, now_ms);
	roll(e, l->sliding, (uint32_t)now_ms);
	left = WINDOW_MS - ((uint32_t)now_ms - e->start);
	v.reset_ms = left;
	used = e->count;
	if (l->sliding)
		used += ((uint64_t)e->prev * left + WINDOW_MS - 1) / WINDOW_MS;
	v.ok = used <= limit && n <= limit - used && n <= UINT32_MAX - e->count;
	if (v.ok) {
		e->count += (uint32_t)n;
		used += n;
	}
	v.remaining = used < limit ? limit - used : 0;
	return v;
}
