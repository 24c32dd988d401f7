/* The table of all commands.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd *const zk_cmds[] = {
	/* Data */
	&zk_cmd_triggers,
	&zk_cmd_triggers_serve,
	/* Operate */
	&zk_cmd_demo,
	/* Set up */
	&zk_cmd_config,
	&zk_cmd_config_init,
	&zk_cmd_config_trust,
	&zk_cmd_config_validate,
	&zk_cmd_completion,
	&zk_cmd_explain,
	&zk_cmd_help,
	&zk_cmd_schema,
	&zk_cmd_version,
	/* Hidden */
	&zk_cmd_complete,
	&zk_cmd_emit,
	NULL,
};
