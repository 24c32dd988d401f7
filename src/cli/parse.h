/* argv → command, option texts, positional arguments (ux.md §1).
 * Layer: cli. getopt_long(3) under the option table; not thread-safe. */
#ifndef ZK_CLI_PARSE_H
#define ZK_CLI_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "cli/groups.h"

/* One option as it was given; text still unchecked. */
struct zk_given {
	const struct zk_opt *row;
	const struct zk_group *group; /* NULL = the command's own */
	const char
	        *scheme;  /* SECRET_REF: "file:" or "fd:" in front of the text; or NULL */
	const char *text; /* "true"/"false" for BOOL, "" for OPTARG without a value */
	const char *shown; /* the option as it was written, for messages */
};

struct zk_parse {
	const struct zk_cmd *const *cmds;
	const struct zk_cmd *cmd; /* command or group; NULL when none was named */
	bool help_short, help_long, version;
	struct zk_given *given;
	size_t n_given, given_room;
	char **args; /* NULL-terminated; the strings are argv's */
	int n_args, args_before_dashes;
};

/* Fills `p` (zeroed but for `cmds`). When -h, --help or -V stands on the line, everything else
 * that is wrong is forgiven except an unknown command. 0, or -ZK_E_USAGE / -ZK_E_NO_COMMAND with
 * suggestion; p->cmd and p->given hold what was understood so far in any case. */
int zk_parse_argv(struct zk_parse *p, int argc, char **argv,
                  struct zk_error *err) ZK_MUST_USE;
/* Counts the positional arguments against min_args and max_args. */
int zk_parse_check_args(const struct zk_parse *p, struct zk_error *err) ZK_MUST_USE;
void zk_parse_done(struct zk_parse *p);

/* The command with this path ("triggers serve"), or NULL. */
const struct zk_cmd *zk_cmd_find(const struct zk_cmd *const *cmds, zk_str path);
/* True when `path` is "PREFIX WORD…". */
bool zk_cmd_is_below(const char *path, const char *prefix);

#endif
