/* The ids met lately.
 * Layer: zip. */
#include "zip/recent.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

#include "base/ban.h"

#define MAX_IDS 65536
#define MAX_MS  (60 * 60 * 1000)

struct slot {
	char *id;
	size_t n;
	int64_t at_ms;
};

struct zk_zip_recent {
	struct zk_map map;
	struct slot *ring; /* oldest at `first` */
	size_t max, first, n;
	int64_t max_ms;
};

struct zk_zip_recent *zk_zip_recent_new(size_t max, int64_t max_ms)
{
	struct zk_zip_recent *s = zk_new0(struct zk_zip_recent);

	s->max = max ? max : MAX_IDS;
	s->max_ms = max_ms ? max_ms : MAX_MS;
	s->ring = zk_alloc_array(s->max, sizeof(*s->ring));
	zk_map_init(&s->map);
	return s;
}

static void drop_oldest(struct zk_zip_recent *s)
{
	struct slot *o = &s->ring[s->first];

	zk_map_del(&s->map, zk_str_n(o->id, o->n));
	free(o->id);
	s->first = (s->first + 1) % s->max;
	s->n--;
}

void zk_zip_recent_free(struct zk_zip_recent *s)
{
	if (!s)
		return;
	while (s->n)
		drop_oldest(s);
	zk_map_done(&s->map);
	free(s->ring);
	free(s);
}

bool zk_zip_recent_add(struct zk_zip_recent *s, zk_str id, int64_t now_ms)
{
	struct slot *o;

	while (s->n && now_ms - s->ring[s->first].at_ms >= s->max_ms)
		drop_oldest(s);
	if (zk_map_get(&s->map, id))
		return false;
	if (s->n == s->max)
		drop_oldest(s);
	o = &s->ring[(s->first + s->n++) % s->max];
	*o = (struct slot){ .id = zk_strndup(id.p, id.n), .n = id.n, .at_ms = now_ms };
	zk_map_set(&s->map, id, o);
	return true;
}
