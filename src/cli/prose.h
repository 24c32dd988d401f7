/* The texts of man/prose/, part of the binary: one source for `zk help TOPIC` and the manual.
 * Layer: cli. */
#ifndef ZK_CLI_PROSE_H
#define ZK_CLI_PROSE_H

#include "base/str.h"

struct zk_prose {
	const char *name; /* of the file, without .md */
	zk_str text;
};

/* Sorted by name; ends with name == NULL. Made by scripts/embed_prose.py. */
extern const struct zk_prose zk_proses[];

/* The text of a name; p == NULL when there is none. */
zk_str zk_prose_find(zk_str name);

#endif
