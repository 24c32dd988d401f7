/* -h, --help and `zk help` (ux.md §9), made from the command table.
 * Layer: cli. */
#ifndef ZK_CLI_HELP_H
#define ZK_CLI_HELP_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/cmd.h"
#include "cli/groups.h"

struct zk_help {
	const struct zk_cmd *const *cmds;
	unsigned width; /* columns, at most 80 */
	bool color;     /* bold headings */
	bool full;      /* --help; false = -h, one screen */
};

/* The page of one command or group, or of zk itself when cmd is NULL; appended. */
void zk_help_page(const struct zk_help *h, const struct zk_cmd *cmd, struct zk_buf *b);
/* `zk help options`: every shared option. */
void zk_help_options(const struct zk_help *h, struct zk_buf *b);

/* Parts that `zk emit` needs too. */

/* "-o, --output FORMAT", "--[no-]ui", "--key-file FILE"; appended. */
void zk_help_option_head(const struct zk_opt *row, struct zk_buf *b);
/* Help, values and default of a row as one text; with the config key when `key` is set. */
void zk_help_option_text(const struct zk_opt *row, const char *prefix, bool key,
                         struct zk_buf *b);
/* "stream rows" as "Stream rows."; appended. */
void zk_help_sentence(const char *help, struct zk_buf *b);
/* The usage line without "zk ": "triggers serve [options]"; appended. */
void zk_help_usage(const struct zk_cmd *cmd, struct zk_buf *b);
/* Commands directly below `path` ("" = the first words) in table order; returns how many; 0
 * ends `*pos` walking: call with *pos = 0 until NULL. Hidden ones are left out. */
const struct zk_cmd *zk_help_next_below(const struct zk_cmd *const *cmds,
                                        const char *path, size_t *pos);

#endif
