/* Sends what the spool holds for a triggers server.
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_TRIGGERS_FLUSH_H
#define ZK_CMD_TRIGGERS_FLUSH_H

#include "base/attr.h"
#include "base/err.h"

struct zk_spool_job;

/* The sender of targets "triggers:URL" (cmd/spool_senders.h). The key is that of the profile, and
 * goes to URL only when it was configured or saved for it. */
int zk_triggers_spool_flush(struct zk_spool_job *job, struct zk_error *err) ZK_MUST_USE;

#endif
