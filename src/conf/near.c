/* The nearest of many names.
 * Layer: conf. */
#include "conf/near.h"

#include "base/ban.h"

void zk_near_add(struct zk_near *n, const char *name)
{
	unsigned limit = 2;

	/* Everything is near to a text of two letters. */
	if (n->want.n < 2 || n->want.n > 128)
		return;
	if (n->want.n < 4)
		limit = 1;
	if (n->best && n->distance <= limit) {
		if (n->distance == 0)
			return;
		limit = n->distance - 1;
	}

	unsigned d = zk_str_distance(n->want, zk_str_of(name), limit);

	if (d > limit)
		return;
	n->best = name;
	n->distance = d;
}
