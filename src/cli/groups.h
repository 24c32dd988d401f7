/* The shared option groups, and the tables of rows a command accepts.
 * Layer: cli. */
#ifndef ZK_CLI_GROUPS_H
#define ZK_CLI_GROUPS_H

#include <stddef.h>

#include "cli/cmd.h"

struct zk_group {
	unsigned bit; /* enum zk_opt_groups; 0 = COMMON */
	const char *title;
	const struct zk_opt *rows;
	size_t app_off; /* of its struct inside zk_app */
};

#define ZK_GROUPS 6
extern const struct zk_group zk_groups[ZK_GROUPS];

/* One table of rows with what their keys begin with ("" = global options). */
struct zk_rows {
	const struct zk_opt *rows;
	const struct zk_group *group; /* NULL = the command's own */
	char prefix[64];
};

#define ZK_ROWS_MAX (ZK_GROUPS + 1)

/* The tables of `cmd`: its own first (so that its rows hide shared ones of the same name), then
 * COMMON and its groups. With cmd == NULL all groups: what may stand before the command. Returns
 * how many. */
size_t zk_cmd_rows(const struct zk_cmd *cmd, struct zk_rows out[ZK_ROWS_MAX]);
/* "triggers", "zerobus.send" into `out`. */
void zk_cmd_prefix(const struct zk_cmd *cmd, char out[64]);
/* True when an earlier table of `t` (or an earlier row of table `i`) has a row of this name. */
bool zk_rows_hidden(const struct zk_rows *t, size_t i, const struct zk_opt *row);
/* The row of a long name ("retries"), or NULL; `ret_i` (may be NULL) = its table. */
const struct zk_opt *zk_rows_find(const struct zk_rows *t, size_t n, zk_str name,
                                  size_t *ret_i);

#endif
