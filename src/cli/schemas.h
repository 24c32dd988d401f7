/* The JSON Schemas of man/schema, part of the binary.
 * Layer: cli. */
#ifndef ZK_CLI_SCHEMAS_H
#define ZK_CLI_SCHEMAS_H

#include "base/str.h"

struct zk_schema_text {
	const char *name; /* of the file, without .json */
	zk_str title, text;
};

/* Sorted by name; ends with name == NULL. Made by scripts/embed_prose.py. */
extern const struct zk_schema_text zk_schemas[];

#endif
