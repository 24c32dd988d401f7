/* Plans of members, with a table of names per object that has no collisions.
 * Layer: codec. */
#include "codec/jplan.h"

#include <string.h>

#include "base/ban.h"

#define TRIES 10000

/* Whether every name of the object `in` has a slot of its own with this factor. */
static bool fill(struct zk_jplan *p, unsigned in, uint32_t factor)
{
	uint8_t *slots = p->objects[in].slots;

	memset(slots, 0, ZK_JPLAN_ROOM);
	for (size_t i = 0; i < p->n; i++) {
		unsigned at = zk_jplan_hash(factor, p->rows[i].name);

		if (p->rows[i].in != in)
			continue;
		if (slots[at])
			return false;
		slots[at] = (uint8_t)(i + 1);
	}
	p->objects[in].factor = factor;
	return true;
}

void zk_jplan_init(struct zk_jplan *p, const struct zk_jplan_want *wants, size_t n)
{
	memset(p, 0, sizeof(*p));
	ZK_ASSERT(n <= ZK_JPLAN_MAX);
	p->n = n;
	for (size_t i = 0; i < n; i++) {
		unsigned in = wants[i].in;

		ZK_ASSERT(in <= i);
		p->rows[i].name = wants[i].name;
		p->rows[i].in = in;
		memcpy(p->rows[i].text, wants[i].name.p,
		       ZK_MIN(wants[i].name.n, sizeof(p->rows[i].text)));
		if (!in)
			continue;
		p->rows[in - 1].parent = true;
		p->rows[i].below = p->rows[in - 1].below | UINT32_C(1) << (in - 1);
		ZK_ASSERT(__builtin_popcount(p->rows[i].below) < ZK_JSCAN_LEVELS);
	}
	for (unsigned in = 0; in <= n; in++) {
		unsigned tries = 0;

		while (tries < TRIES && !fill(p, in, tries * UINT32_C(0x9e3779b2) + 1))
			tries++;
		ZK_ASSERT(tries < TRIES);
	}
}

unsigned zk_jplan_find_escaped(const struct zk_jplan *p, unsigned in, zk_str raw)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->rows[i].in == in && zk_jstr_eq(raw, p->rows[i].name))
			return i + 1;
	return 0;
}
