/* The groups `zk config` and `zk profile`.
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

const struct zk_cmd zk_cmd_profile = {
	.path = "profile",
	.section = "Set up",
	.args = "",
	.help = "list, look at and choose profiles",
	.about = "A profile is a named set of values in the configuration files. -p NAME "
	         "chooses one "
	         "for a command, ZK_PROFILE for a shell, default_profile for good.",
};
