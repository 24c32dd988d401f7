/* The group `zk procwire`.
 * Layer: cmd. */
#include "cmd/cmds.h"
#include "cmd/procwire_cmd.h"

#include "base/ban.h"

const struct zk_cmd zk_cmd_procwire = {
	.path = "procwire",
	.section = "Data",
	.help = "be a worker for, or call, a Node.js peer",
	.about = "A Node.js or Electron program starts `zk procwire worker` with "
	         "@procwire/core and calls commands, scripts and zk itself as methods.",
	.see = "man zk-procwire",
	.failed = zk_procwire_failed,
};
