/* The group `zk config`.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd zk_cmd_config = {
	.path = "config",
	.section = "Set up",
	.args = "",
	.help = "look at, check and write the configuration",
	.about = "The files, their order and all keys are explained in zk-config(5).",
};
