/* From the .env file of a server to a profile of zk (ux.md §4).
 * Layer: cmd. */
#ifndef ZK_CMD_ENVFILE_H
#define ZK_CMD_ENVFILE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/cmd.h"

/* Reads NAME=VALUE lines (export, quotes and comments as shells have them, nothing is executed or
 * expanded) and appends a configuration file: what zk and the commands' own foreign variables
 * know as keys of the profile `default`, the rest as comments. Secrets are left out. 0;
 * -ZK_E_NO_INPUT when it cannot be read; -ZK_E_DATA with the line that cannot be understood or
 * holds a value that its key does not take. */
int zk_envfile_convert(struct zk_app *app, const char *path, struct zk_buf *b,
                       struct zk_error *err) ZK_MUST_USE;

/* The commented file that `zk config init` writes. */
zk_str zk_sample_config(void);

#endif
