/* Completion: what kind of value an option takes, and the candidates that only the program knows.
 * Layer: cli. */
#ifndef ZK_CLI_COMPLETE_H
#define ZK_CLI_COMPLETE_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/cmd.h"

/* "file", "dir", or a kind that zk_complete_values knows; NULL = nothing can be offered. */
const char *zk_complete_kind(const struct zk_opt *row);

/* The candidates of a kind, one per line: value, tab, description. Kinds: profile code topic
 * command schema shell fields, and those that commands register. Silent about what cannot be
 * told; never asks anything. False for an unknown kind. */
bool zk_complete_values(struct zk_app *app, zk_str kind, struct zk_buf *b);

/* The candidates for the last of `words` (those behind "zk"), in the same form; a line ":file" or
 * ":dir" tells the shell to offer files or folders. */
void zk_complete_line(struct zk_app *app, int n, char **words, struct zk_buf *b);

#endif
