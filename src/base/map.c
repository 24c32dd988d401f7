/* Hash map from bytes to a pointer: open addressing, linear probing, tombstones.
 * Layer: base. */
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/rand.h"

#include "base/ban.h"

/* ---- SipHash-1-3 ---- */

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t hash_key[2];

static void make_key(void)
{
	zk_rand_secret(hash_key, sizeof(hash_key));
}

static inline uint64_t rotl(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
}

uint64_t zk_hash(zk_str s)
{
	uint64_t v[4], m = 0;
	size_t i = 0;

	(void)pthread_once(&key_once, make_key);
	v[0] = hash_key[0] ^ 0x736f6d6570736575u;
	v[1] = hash_key[1] ^ 0x646f72616e646f6du;
	v[2] = hash_key[0] ^ 0x6c7967656e657261u;
	v[3] = hash_key[1] ^ 0x7465646279746573u;
	for (; i + 8 <= s.n; i += 8) {
		memcpy(&m, s.p + i,
		       8); /* the byte order only has to be the same every time */
		sip_word(v, m);
	}
	m = 0;
	if (i < s.n)
		memcpy(&m, s.p + i, s.n - i);
	sip_word(v, m ^ (uint64_t)s.n << 56);
	v[2] ^= 0xff;
	for (unsigned r = 0; r < 3; r++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- map ---- */

struct zk_map_slot {
	char *key; /* NULL = never used, or a tombstone when `value` is set */
	size_t key_n;
	uint64_t hash;
	void *value;
};

static char tomb;

static bool slot_is_used(const struct zk_map_slot *s)
{
	return s->key != NULL;
}

void zk_map_init(struct zk_map *m)
{
	*m = (struct zk_map){ 0 };
}

void zk_map_done(struct zk_map *m)
{
	for (size_t i = 0; i < m->room; i++)
		free(m->slots[i].key);
	free(m->slots);
	zk_map_init(m);
}

static struct zk_map_slot *find(const struct zk_map *m, zk_str key, uint64_t hash)
{
	if (!m->room)
		return NULL;
	for (size_t i = hash & (m->room - 1);; i = (i + 1) & (m->room - 1)) {
		struct zk_map_slot *s = &m->slots[i];

		if (slot_is_used(s)) {
			if (s->hash == hash && zk_str_eq(zk_str_n(s->key, s->key_n), key))
				return s;
		} else if (!s->value) {
			return NULL;
		}
	}
}

/* Puts a slot into a table that has no tombstones and no such key. */
static void place(struct zk_map_slot *slots, size_t room, struct zk_map_slot s)
{
	size_t i = s.hash & (room - 1);

	while (slot_is_used(&slots[i]))
		i = (i + 1) & (room - 1);
	slots[i] = s;
}

/* Keeps at least a quarter of the slots empty, so that every search ends. */
static void make_room(struct zk_map *m)
{
	size_t room = m->room ? m->room : 8;
	struct zk_map_slot *slots;

	if (m->room && (m->n + m->tombs + 1) <= m->room - m->room / 4)
		return;
	while (m->n + 1 > room / 2)
		room *= 2;
	slots = zk_alloc_array(room, sizeof(*slots));
	for (size_t i = 0; i < m->room; i++)
		if (slot_is_used(&m->slots[i]))
			place(slots, room, m->slots[i]);
	free(m->slots);
	m->slots = slots;
	m->room = room;
	m->tombs = 0;
}

void *zk_map_get(const struct zk_map *m, zk_str key)
{
	struct zk_map_slot *s = m->n ? find(m, key, zk_hash(key)) : NULL;

	return s ? s->value : NULL;
}

void *zk_map_set(struct zk_map *m, zk_str key, void *value)
{
	uint64_t hash = zk_hash(key);
	struct zk_map_slot *s = find(m, key, hash);
	size_t i;

	ZK_ASSERT(value != NULL);
	if (s) {
		void *old = s->value;

		s->value = value;
		return old;
	}
	make_room(m);
	i = hash & (m->room - 1);
	while (slot_is_used(&m->slots[i]))
		i = (i + 1) & (m->room - 1);
	if (m->slots[i].value)
		m->tombs--;
	m->slots[i] = (struct zk_map_slot){ .key = zk_strndup(key.p, key.n),
		                            .key_n = key.n,
		                            .hash = hash,
		                            .value = value };
	m->n++;
	return NULL;
}

void *zk_map_del(struct zk_map *m, zk_str key)
{
	struct zk_map_slot *s = m->n ? find(m, key, zk_hash(key)) : NULL;
	void *old;

	if (!s)
		return NULL;
	old = s->value;
	free(s->key);
	*s = (struct zk_map_slot){ .value = &tomb };
	m->n--;
	m->tombs++;
	return old;
}

bool zk_map_next(const struct zk_map *m, size_t *pos, zk_str *key, void **value)
{
	for (; *pos < m->room; (*pos)++) {
		const struct zk_map_slot *s = &m->slots[*pos];

		if (!slot_is_used(s))
			continue;
		*key = zk_str_n(s->key, s->key_n);
		*value = s->value;
		(*pos)++;
		return true;
	}
	return false;
}
