/* The table of all commands.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd *const zk_cmds[] = {
	/* Set up */
	&zk_cmd_help,
	&zk_cmd_version,
	NULL,
};
