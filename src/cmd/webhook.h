/* What the commands for webhooks of Zeal share.
 * Layer: cmd. specs/zeal-zip.md §8. */
#ifndef ZK_CMD_WEBHOOK_H
#define ZK_CMD_WEBHOOK_H

#include <stdbool.h>

#include "conf/opt.h"

struct zk_buf;

/* Appends the JSON array that the server is told for these patterns; `raw` = as they are. */
void webhook_events(const struct zk_strlist *patterns, bool raw, struct zk_buf *b);

#endif
