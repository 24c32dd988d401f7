/* The table of all commands.
 * Layer: cmd. */
#ifndef ZK_CMD_CMDS_H
#define ZK_CMD_CMDS_H

#include "cli/cmd.h"

/* Groups are followed by their verbs; in the order of `zk --help`; ends with NULL. A command is
 * linked in, documented and completed by its line here. */
extern const struct zk_cmd *const zk_cmds[];

extern const struct zk_cmd zk_cmd_help;
extern const struct zk_cmd zk_cmd_version;

#endif
