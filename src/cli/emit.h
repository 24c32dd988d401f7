/* What `zk emit` writes: every file that derives from the command table (ux.md §1). The outputs
 * are committed; tests/lint/gen.sh compares them.
 * Layer: cli. */
#ifndef ZK_CLI_EMIT_H
#define ZK_CLI_EMIT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/cmd.h"

/* "zk.1", "zk-triggers.1", "zk-triggers-serve.1" (a .so link), "zk-config.5"; appended. 0, or
 * -ZK_E_USAGE for a page that does not exist. */
int zk_emit_man(const struct zk_cmd *const *cmds, zk_str page, struct zk_buf *b,
                struct zk_error *err) ZK_MUST_USE;
void zk_emit_bash(const struct zk_cmd *const *cmds, struct zk_buf *b);
void zk_emit_zsh(const struct zk_cmd *const *cmds, struct zk_buf *b);
void zk_emit_fish(const struct zk_cmd *const *cmds, struct zk_buf *b);
/* All commands and options as one JSON document; with `only` those of one command. */
void zk_emit_json(const struct zk_cmd *const *cmds, const struct zk_cmd *only,
                  struct zk_buf *b);
/* JSON Schema of configuration files. */
void zk_emit_config_schema(const struct zk_cmd *const *cmds, struct zk_buf *b);
/* One line per generated file: its path, a tab, the arguments of `zk emit` that make it. */
void zk_emit_list(const struct zk_cmd *const *cmds, struct zk_buf *b);

/* The scripts of `zk completion SHELL`: they ask `zk __complete` for everything. "" for an
 * unknown shell. */
zk_str zk_completion_script(zk_str shell);

#endif
