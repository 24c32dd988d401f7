/* Checking the configuration for a command other than the one that runs.
 * Layer: cli. */
#ifndef ZK_CLI_CHECK_H
#define ZK_CLI_CHECK_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "cli/cmd.h"

/* Loads files, variables and the common options of this command line exactly as `target` would
 * and fills its options (an option that is missing is no error: it may come on the command line).
 * `target` NULL: all of every profile instead; `allow_unset` = ${NAME} without a value is no
 * error then. 0 or what the loader says. */
int zk_cli_check(struct zk_app *app, const struct zk_cmd *target, bool allow_unset,
                 struct zk_error *err) ZK_MUST_USE;

#endif
