/* The table of all commands.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd *const zk_cmds[] = {
	/* Data */
	&zk_cmd_triggers,
	&zk_cmd_triggers_serve,
	/* Set up */
	&zk_cmd_help,
	&zk_cmd_version,
	NULL,
};
