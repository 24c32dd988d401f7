/* The group `zk zerobus`.
 * Layer: cmd. */
#include "cmd/cmds.h"

#include "base/ban.h"

const struct zk_cmd zk_cmd_zerobus = {
	.path = "zerobus",
	.help = "stream rows into Delta tables with acknowledgements",
	.section = "Data",
};
