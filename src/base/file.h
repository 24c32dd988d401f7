/* Whole writes, and files that take their place as a whole.
 * Layer: base. Any thread; all of them block. Each returns 0, or the errno of what failed. */
#ifndef ZK_BASE_FILE_H
#define ZK_BASE_FILE_H

#include <sys/types.h>

#include "base/attr.h"
#include "base/str.h"

/* Writes all of it: short writes go on, an fd that does not block is waited for. ENOSPC where the
 * disk takes nothing. */
int zk_write_all(int fd, zk_str bytes) ZK_MUST_USE;
/* Opens `path` to write, made with `mode` when missing, `flags` beside that (O_TRUNC, O_EXCL,
 * O_APPEND …), writes, and closes. */
int zk_file_put(const char *path, int flags, mode_t mode, zk_str bytes) ZK_MUST_USE;
/* A new file beside `path` takes its place: whoever reads sees the old bytes or the new ones, also
 * after a power cut. A link at `path` is replaced, not followed. */
int zk_file_replace(const char *path, mode_t mode, zk_str bytes) ZK_MUST_USE;
/* Puts the names in a folder on disk. */
int zk_sync_dir(const char *dir) ZK_MUST_USE;

#endif
