/* "Did you mean" for commands and options.
 * Layer: cli. */
#ifndef ZK_CLI_SUGGEST_H
#define ZK_CLI_SUGGEST_H

#include "base/err.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/groups.h"

/* Fills `err` for a word that continues the path `done` ("" at the start) to no command; returns
 * -ZK_E_NO_COMMAND. */
int zk_suggest_command(const struct zk_cmd *const *cmds, const char *done, zk_str word,
                       struct zk_error *err);
/* Fills `err` for a word that is neither a topic nor a command; returns -ZK_E_NO_COMMAND. */
int zk_suggest_topic(const struct zk_cmd *const *cmds, zk_str word, struct zk_error *err);
/* Fills `err` for an unknown option as it was typed ("--lmit=3", "-x"); returns -ZK_E_USAGE. */
int zk_suggest_option(const struct zk_rows *t, size_t n, const struct zk_cmd *cmd,
                      zk_str typed, struct zk_error *err);

#endif
