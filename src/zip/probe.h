/* Which kind of server this is, and whether all parts of it work.
 * Layer: zip. specs/zeal-zip.md §10, §11. */
#ifndef ZK_ZIP_PROBE_H
#define ZK_ZIP_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "zip/api.h"

struct zk_buf;

/* Asks the server; reads only. Tells the client (zk_zip_set_server) and `*ret`. */
int zk_zip_detect(struct zk_zip *z, enum zk_zip_server *ret,
                  struct zk_error *err) ZK_MUST_USE;

/* Appends the address of the socket server without a path: `ws_url` when it is set (then `z` may be
 * NULL), else the port that the server names, on its host; 3001 when it names none (§1.1). */
int zk_zip_socket_base(struct zk_zip *z, const char *ws_url, struct zk_buf *b,
                       struct zk_error *err) ZK_MUST_USE;

enum zk_zip_check {
	ZK_ZIP_CHECK_DATABASE,
	ZK_ZIP_CHECK_TRACES,
	ZK_ZIP_CHECK_PATHS,
	ZK_ZIP_CHECK_SOCKET,
	ZK_ZIP_CHECKS,
};

/* "database", … */
const char *zk_zip_check_name(enum zk_zip_check check);
/* Makes one real request for a part of the server: 0, or why it does not work. `ws_url` may be
 * NULL (§1.1: the server is asked). `*us` is how long it took, set in any case. */
int zk_zip_check(struct zk_zip *z, enum zk_zip_check check, const char *ws_url,
                 int64_t *us, struct zk_error *err) ZK_MUST_USE;

#endif
