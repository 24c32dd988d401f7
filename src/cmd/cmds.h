/* The table of all commands.
 * Layer: cmd. */
#ifndef ZK_CMD_CMDS_H
#define ZK_CMD_CMDS_H

#include "cli/cmd.h"

/* Sorted as `zk --help` lists them; ends with a row without a path. */
extern const struct zk_cmd zk_cmds[];

#endif
