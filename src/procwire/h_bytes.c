/* Built-in handlers over bytes.
 * Layer: procwire. specs/cli.md §Procwire. */
#include "procwire/spec.h"

#include "base/ban.h"

const struct zk_pw_maker zk_pw_bytes[] = {
	{ .name = NULL },
};
