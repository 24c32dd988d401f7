/* What zk remembers about servers between runs: their kind, which workflow a name stands for,
 * what was registered last. One small SQLite file in the state directory.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §4.4, §5.6, §11. */
#ifndef ZK_ZIP_MEMORY_H
#define ZK_ZIP_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

struct zk_zip_memory;

/* The topics. */
#define ZK_ZIP_MEM_SERVER   "server"   /* "": its kind */
#define ZK_ZIP_MEM_WORKFLOW "workflow" /* a name: the id that apply made for it */
#define ZK_ZIP_MEM_TEMPLATE "template" /* a global id: the digest last registered */
#define ZK_ZIP_MEM_SOCKET \
	"socket" /* "", of the address of a socket: what is wrong with it */

/* Opens the file at `path`, made with mode 0600 when missing. 0 or an error of store/sqlite.h. */
int zk_zip_memory_open(const char *path, struct zk_zip_memory **ret,
                       struct zk_error *err) ZK_MUST_USE;
void zk_zip_memory_close(struct zk_zip_memory *m); /* NULL is fine */

/* What a value is kept under. */
struct zk_zip_memory_key {
	const char *origin, *topic;
	zk_str name;
};

/* Appends the value to `b` and says whether there is one, not older than `max_age_ms` (0 = of any
 * age). */
int zk_zip_memory_get(struct zk_zip_memory *m, const struct zk_zip_memory_key *k,
                      int64_t max_age_ms, struct zk_buf *b, bool *found,
                      struct zk_error *err) ZK_MUST_USE;
int zk_zip_memory_put(struct zk_zip_memory *m, const char *origin, const char *topic,
                      zk_str name, zk_str value, struct zk_error *err) ZK_MUST_USE;

#endif
