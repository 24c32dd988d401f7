/* Sends what the spool holds for trace sessions.
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_TRACE_FLUSH_H
#define ZK_CMD_TRACE_FLUSH_H

#include "base/attr.h"
#include "base/err.h"

struct zk_spool_job;

/* The sender of targets "trace:BASE/api/zip/traces/SESSION" (cmd/spool_senders.h): opens sessions
 * that were begun without the server, pushes events, closes. The credential is that of the profile
 * and goes to BASE only when it was configured for it. */
int zk_trace_spool_flush(struct zk_spool_job *job, struct zk_error *err) ZK_MUST_USE;

#endif
