/* From a name to a connected socket, without TLS and proxy.
 * Layer: net. Loop thread only. Names are resolved beside the loop; an address that does not answer
 * within 200 ms gets company of the next one (RFC 8305), the first that connects wins. */
#ifndef ZK_NET_DIAL_H
#define ZK_NET_DIAL_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "net/resolve.h"

struct zk_dial;
struct zk_loop;

struct zk_dial_conf {
	const char *host; /* name, IPv4 or IPv6 without brackets; with `port` */
	int port;
	const char *path; /* instead: a unix socket */
	/* Its addresses, "127.0.0.1,::1", instead of asking for them; NULL = none */
	const char *pinned;
	int64_t timeout_ms; /* for all of it; 0 = none */
	/* NULL when an address may be connected to, else why not, in static text. May be NULL. */
	const char *(*judge)(void *ctx, const struct sockaddr *sa);
	/* Called once, never from inside zk_dial_start: `fd` is connected, non-blocking and the
	 * callee's, or -1 and `err` says why (ZK_E_CONNECT, retryable). */
	void (*done)(void *ctx, int fd, const struct zk_error *err);
	void *ctx;
};

enum zk_dial_end {
	ZK_DIAL_OK,
	ZK_DIAL_UNKNOWN, /* the name could not be resolved */
	ZK_DIAL_BLOCKED, /* every address was refused by `judge` */
	ZK_DIAL_FAILED,  /* `sys_errno` of the last address */
	ZK_DIAL_LATE,
};

struct zk_dial_report {
	enum zk_dial_end end;
	struct zk_addr peer; /* when OK */
	int sys_errno;
	char blocked_ip[ZK_ADDR_TEXT]; /* the last one, also when another was used */
	const char *blocked_why;
};

/* Copies `conf`. The result lives until `done` is called. */
struct zk_dial *zk_dial_start(struct zk_loop *l, const struct zk_dial_conf *conf);
/* More about the end, during `done`. */
const struct zk_dial_report *zk_dial_report(const struct zk_dial *d);
/* Ends it without calling back. NULL is fine. */
void zk_dial_cancel(struct zk_dial *d);

#endif
