/* Generated documentation, as Markdown (cli/md.h): one form for the manual, `zk help` and the
 * README.
 * Layer: cli. */
#ifndef ZK_CLI_DOC_H
#define ZK_CLI_DOC_H

#include <stdbool.h>

#include "base/buf.h"
#include "cli/cmd.h"

/* Help topics that `zk help TOPIC` prints and the pages of the manual that hold them. */
struct zk_topic {
	const char *name; /* "config"; also that of the text in man/prose */
	const char *page; /* "zk-config.5", NULL = none of its own */
	const char *help; /* one line */
};
/* Ends with name == NULL. */
extern const struct zk_topic zk_topics[];
const struct zk_topic *zk_topic_find(zk_str name);

/* The text of a topic: prose in which each line {{NAME}} is replaced by what is generated:
 * {{exit-codes}} {{environment}} {{errors}} {{config-keys}} {{common-options}} {{topics}}. */
void zk_doc_topic(const struct zk_cmd *const *cmds, const struct zk_topic *t,
                  struct zk_buf *b);
/* The page of a group with all its verbs, or of a single command; `cmd` NULL = zk(1). */
void zk_doc_command(const struct zk_cmd *const *cmds, const struct zk_cmd *cmd,
                    struct zk_buf *b);

/* Parts, also for the README. */
void zk_doc_exit_codes(struct zk_buf *b);
void zk_doc_environment(const struct zk_cmd *const *cmds, struct zk_buf *b);
void zk_doc_environment_table(const struct zk_cmd *const *cmds, struct zk_buf *b);
void zk_doc_errors(struct zk_buf *b);
void zk_doc_config_keys(const struct zk_cmd *const *cmds, struct zk_buf *b);
void zk_doc_commands(const struct zk_cmd *const *cmds, struct zk_buf *b);
void zk_doc_common_options(struct zk_buf *b);

#endif
