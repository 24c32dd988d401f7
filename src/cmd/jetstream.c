/* The groups of `zk jetstream`.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd zk_cmd_jetstream = {
	.path = "jetstream",
	.section = "Data",
	.help = "consume, enrich and archive the Bluesky stream",
	.about = "Events of the network as they happen: printed, or stored in SQLite "
	         "files with "
	         "the profiles and posts they speak of, and handed on from there.",
	.see = "man zk-jetstream",
};
