/* From a name to a connected socket: for peers that speak neither HTTP nor through a proxy.
 * Layer: net. Loop thread only. Names are resolved beside the loop; addresses are tried one after
 * the other. */
#ifndef ZK_NET_DIAL_H
#define ZK_NET_DIAL_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct zk_dial;
struct zk_loop;

struct zk_dial_conf {
	const char *host; /* name, IPv4 or IPv6 without brackets; with `port` */
	int port;
	const char *path;   /* instead: a unix socket */
	int64_t timeout_ms; /* for all of it */
	/* Called once, never from inside zk_dial_start: `fd` is connected, non-blocking and the
	 * callee's, or -1 and `err` says why (ZK_E_CONNECT, retryable). */
	void (*done)(void *ctx, int fd, const struct zk_error *err);
	void *ctx;
};

/* Copies `conf`. The result lives until `done` is called. */
struct zk_dial *zk_dial_start(struct zk_loop *l, const struct zk_dial_conf *conf);
/* Ends it without calling back. */
void zk_dial_cancel(struct zk_dial *d);

#endif
