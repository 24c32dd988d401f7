/* zk_main: from argv to the exit status.
 * Layer: cli. */
#ifndef ZK_CLI_MAIN_H
#define ZK_CLI_MAIN_H

struct zk_cmd;

/* Finds the command in `cmds` (ends with NULL), loads the configuration, runs
 * it, prints an error if there is one and returns the exit status; re-raises a signal that
 * interrupted a one-shot command (ux.md §7). */
int zk_main(int argc, char **argv, const struct zk_cmd *const *cmds);

#endif
