/* The cache of presented keys.
 * Layer: triggers. */
#include "triggers/key_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "codec/digest.h"

#include "base/ban.h"

#define NONE       UINT32_MAX
#define FIRST_ROOM 64u

struct entry {
	uint8_t digest[ZK_TRIG_DIGEST];
	void *value;
	int64_t expires_ms;
	zk_uuid org;
	bool has_org;
	uint32_t hash_next;          /* in its bucket; or in the free list */
	uint32_t older, newer;       /* order of use */
	uint32_t org_next, org_prev; /* in its organization's bucket */
};

struct zk_trig_kcache {
	struct zk_trig_kcache_conf conf;
	struct entry *entries;
	uint32_t room, used, n;
	uint32_t free;
	uint32_t *buckets, *org_buckets; /* `room` of each, a power of two */
	uint32_t oldest, newest;
};

struct zk_trig_kcache *zk_trig_kcache_new(const struct zk_trig_kcache_conf *conf)
{
	struct zk_trig_kcache *c = zk_new0(struct zk_trig_kcache);

	c->conf = *conf;
	c->free = c->oldest = c->newest = NONE;
	return c;
}

void zk_trig_kcache_free(struct zk_trig_kcache *c)
{
	if (!c)
		return;
	zk_trig_kcache_forget(c, NULL);
	free(c->entries);
	free(c->buckets);
	free(c->org_buckets);
	free(c);
}

size_t zk_trig_kcache_count(const struct zk_trig_kcache *c)
{
	return c->n;
}

/* ---- places ------------------------------------------------------------------------------- */

/* The digest is the output of a keyed function: its bits need no further mixing. */
static uint32_t *bucket_of(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST])
{
	uint32_t h;

	memcpy(&h, digest, sizeof(h));
	return &c->buckets[h & (c->room - 1)];
}

static uint32_t *org_bucket_of(struct zk_trig_kcache *c, const zk_uuid *org)
{
	uint64_t h = zk_hash(zk_str_n((const char *)org->b, sizeof(org->b)));

	return &c->org_buckets[h & (c->room - 1)];
}

static uint32_t find(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST])
{
	if (!c->room)
		return NONE;
	for (uint32_t i = *bucket_of(c, digest); i != NONE; i = c->entries[i].hash_next) {
		if (zk_equal_ct(c->entries[i].digest, digest, ZK_TRIG_DIGEST))
			return i;
	}
	return NONE;
}

static void link_buckets(struct zk_trig_kcache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];
	uint32_t *b = bucket_of(c, e->digest);

	e->hash_next = *b;
	*b = i;
	if (!e->has_org)
		return;
	b = org_bucket_of(c, &e->org);
	e->org_prev = NONE;
	e->org_next = *b;
	if (*b != NONE)
		c->entries[*b].org_prev = i;
	*b = i;
}

static void unlink_buckets(struct zk_trig_kcache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];
	uint32_t *at = bucket_of(c, e->digest);

	while (*at != i)
		at = &c->entries[*at].hash_next;
	*at = e->hash_next;
	if (!e->has_org)
		return;
	if (e->org_prev != NONE)
		c->entries[e->org_prev].org_next = e->org_next;
	else
		*org_bucket_of(c, &e->org) = e->org_next;
	if (e->org_next != NONE)
		c->entries[e->org_next].org_prev = e->org_prev;
}

/* ---- order of use ------------------------------------------------------------------------- */

static void link_newest(struct zk_trig_kcache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];

	e->newer = NONE;
	e->older = c->newest;
	if (c->newest != NONE)
		c->entries[c->newest].newer = i;
	else
		c->oldest = i;
	c->newest = i;
}

static void unlink_use(struct zk_trig_kcache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];

	if (e->older != NONE)
		c->entries[e->older].newer = e->newer;
	else
		c->oldest = e->newer;
	if (e->newer != NONE)
		c->entries[e->newer].older = e->older;
	else
		c->newest = e->older;
}

static void drop(struct zk_trig_kcache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];
	void *value = e->value;

	unlink_buckets(c, i);
	unlink_use(c, i);
	zk_wipe(e->digest, sizeof(e->digest));
	e->value = NULL;
	e->hash_next = c->free;
	c->free = i;
	c->n--;
	if (c->conf.drop)
		c->conf.drop(c->conf.ctx, value);
}

/* ---- room --------------------------------------------------------------------------------- */

static void grow(struct zk_trig_kcache *c)
{
	uint32_t room = c->room ? c->room * 2 : FIRST_ROOM;
	struct entry *entries = zk_alloc_array(room, sizeof(*entries));

	if (c->used) {
		memcpy(entries, c->entries, c->used * sizeof(*entries));
		zk_wipe(c->entries, c->used * sizeof(*entries));
	}
	free(c->entries);
	free(c->buckets);
	free(c->org_buckets);
	c->entries = entries;
	c->room = room;
	c->buckets = zk_alloc_array(room, sizeof(*c->buckets));
	c->org_buckets = zk_alloc_array(room, sizeof(*c->org_buckets));
	memset(c->buckets, 0xff, room * sizeof(*c->buckets));
	memset(c->org_buckets, 0xff, room * sizeof(*c->org_buckets));
	for (uint32_t i = 0; i < c->used; i++)
		link_buckets(c, i); /* it grows only when every entry is in use */
}

static uint32_t take_free(struct zk_trig_kcache *c)
{
	uint32_t i;

	if (c->n >= c->conf.max_entries)
		drop(c, c->oldest);
	if (c->free == NONE) {
		if (c->used == c->room)
			grow(c);
		return c->used++;
	}
	i = c->free;
	c->free = c->entries[i].hash_next;
	return i;
}

/* ---- public ------------------------------------------------------------------------------- */

void *zk_trig_kcache_get(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST],
                         int64_t now_ms)
{
	uint32_t i = find(c, digest);

	if (i == NONE)
		return NULL;
	if (c->entries[i].expires_ms <= now_ms) {
		drop(c, i);
		return NULL;
	}
	if (i != c->newest) {
		unlink_use(c, i);
		link_newest(c, i);
	}
	return c->entries[i].value;
}

void zk_trig_kcache_put(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST],
                        const zk_uuid *org, void *value, int64_t now_ms)
{
	uint32_t i;
	struct entry *e;

	zk_trig_kcache_del(c, digest);
	i = take_free(c);
	e = &c->entries[i];
	memcpy(e->digest, digest, sizeof(e->digest));
	e->value = value;
	e->expires_ms = now_ms + c->conf.lifetime_ms;
	e->has_org = org != NULL;
	if (org)
		e->org = *org;
	link_buckets(c, i);
	link_newest(c, i);
	c->n++;
}

void zk_trig_kcache_del(struct zk_trig_kcache *c, const uint8_t digest[ZK_TRIG_DIGEST])
{
	uint32_t i = find(c, digest);

	if (i != NONE)
		drop(c, i);
}

void zk_trig_kcache_forget(struct zk_trig_kcache *c, const zk_uuid *org)
{
	if (!org) {
		while (c->oldest != NONE)
			drop(c, c->oldest);
		return;
	}
	if (!c->room)
		return;
	for (uint32_t i = *org_bucket_of(c, org), next; i != NONE; i = next) {
		next = c->entries[i].org_next;
		if (memcmp(&c->entries[i].org, org, sizeof(*org)) == 0)
			drop(c, i);
	}
}

void zk_trig_kcache_set_lifetime(struct zk_trig_kcache *c, int64_t lifetime_ms)
{
	c->conf.lifetime_ms = lifetime_ms;
}
