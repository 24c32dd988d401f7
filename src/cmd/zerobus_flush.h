/* Sends what the spool holds for tables.
 * Layer: cmd. Loop thread only. */
#ifndef ZK_CMD_ZEROBUS_FLUSH_H
#define ZK_CMD_ZEROBUS_FLUSH_H

#include "base/attr.h"
#include "base/err.h"

struct zk_spool_job;

/* The sender of targets "zerobus:HOST/TABLE" (cmd/spool_senders.h). The credentials are those of
 * the profile, whose endpoint must be on HOST. */
int zk_zerobus_spool_flush(struct zk_spool_job *job, struct zk_error *err) ZK_MUST_USE;

#endif
