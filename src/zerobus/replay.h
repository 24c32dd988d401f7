/* What a file of kept rows says before it is sent again (specs/zerobus.md §14.5).
 * Layer: zerobus. */
#ifndef ZK_ZEROBUS_REPLAY_H
#define ZK_ZEROBUS_REPLAY_H

#include "base/attr.h"
#include "base/err.h"

struct zk_buf;

/* Appends the table that the first lines of a rejects file or of an exported spool name. 0,
 * -ZK_E_NO_INPUT, or an error of the file. Blocks. */
int zk_zb_replay_table(const char *path, struct zk_buf *ret,
                       struct zk_error *err) ZK_MUST_USE;

#endif
