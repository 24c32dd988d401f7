/* Private unix stream sockets: a listener nobody else can find or connect to, and the client.
 * Layer: net. Loop thread only; nothing here blocks. */
#ifndef ZK_NET_UDS_H
#define ZK_NET_UDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

/* Longest path of a socket, without the NUL. */
#define ZK_UDS_PATH_MAX 107

struct zk_uds {
	int fd;                         /* -1 = closed */
	char path[ZK_UDS_PATH_MAX + 1]; /* "" = no file */
};

/* Listens on DIR/PREFIX-PID-RANDOM.sock in the first usable of $XDG_RUNTIME_DIR, $TMPDIR and
 * /tmp (empty = unset): it exists, can be written, and the path fits. The file has mode 0600
 * from its birth, whatever the umask is; 128 bits of its name come from the kernel. 0, or
 * -ZK_E_PW_SOCKET naming the reasons. */
int zk_uds_listen(struct zk_uds *u, const char *prefix, struct zk_error *err) ZK_MUST_USE;
/* The next waiting connection, close-on-exec and not blocking; -1 when there is none. A peer of
 * another user than ours, root or `uid` (-1 = none) is closed and passed over. */
int zk_uds_accept(const struct zk_uds *u, uid_t uid);
/* Closes the listener and removes its file. Again is fine. */
void zk_uds_close(struct zk_uds *u);
/* A connection to `path`, close-on-exec and not blocking; or -ZK_E_CONNECT. */
int zk_uds_connect(const char *path, struct zk_error *err) ZK_MUST_USE;

#endif
