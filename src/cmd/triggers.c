/* The groups of `zk triggers`.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd zk_cmd_triggers = {
	.path = "triggers",
	.section = "Data",
	.help = "serve or call the triggers API",
	.about = "Durable events: accepted means on disk; pulled from an inbox or pushed "
	         "to a signed "
	         "webhook.",
	.see = "man zk-triggers",
};

const struct zk_cmd zk_cmd_triggers_keys = {
	.path = "triggers keys",
	.help = "make, show and rotate API keys",
	.see = "man zk-triggers",
};

const struct zk_cmd zk_cmd_triggers_webhook = {
	.path = "triggers webhook",
	.help = "where events are pushed to",
	.see = "man zk-triggers",
};
