/* "Did you mean": the nearest of many names (ux.md §1: distance at most 2).
 * Layer: conf. */
#ifndef ZK_CONF_NEAR_H
#define ZK_CONF_NEAR_H

#include "base/str.h"

/* Start with { .want = text }; `best` is borrowed from zk_near_add, NULL while nothing is near. */
struct zk_near {
	zk_str want;
	const char *best;
	unsigned distance; /* of `best` */
};

/* Offers a name; of equally near ones the first stays. A name is never nearer than half the
 * length of what was typed. */
void zk_near_add(struct zk_near *n, const char *name);

#endif
