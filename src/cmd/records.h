/* What commands that send records write about them: receipts and rejects (ux.md §8).
 * Layer: cmd. Loop thread; writing blocks. */
#ifndef ZK_CMD_RECORDS_H
#define ZK_CMD_RECORDS_H

#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* A file that lines are collected for and written to in blocks. */
struct zk_recfile {
	int fd; /* -1 = none */
	const char *path;
	struct zk_buf b;
};

/* Makes it; `path` NULL = none, `flags` are O_APPEND or O_TRUNC. 0 or -ZK_E_CREATE. */
int zk_recfile_open(struct zk_recfile *f, const char *path, int flags,
                    struct zk_error *err) ZK_MUST_USE;
/* Writes what was collected. 0 or -ZK_E_OUTPUT. */
int zk_recfile_write(struct zk_recfile *f, struct zk_error *err) ZK_MUST_USE;
void zk_recfile_close(struct zk_recfile *f);

/* A record where it came from. */
struct zk_recline {
	const char *file; /* "-" = stdin */
	uint64_t number, offset;
	zk_str text;
};

/* Collects the line of a reject, when there is a file: {"line","offset","file","code","reason",
 * "text"}. `reason` is a JSON object (of a server) or text. */
void zk_recfile_reject(struct zk_recfile *f, const struct zk_recline *line,
                       const char *code, zk_str reason);

#endif
