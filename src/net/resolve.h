/* From a name to addresses, in a thread of its own for each: a name service that hangs holds up
 * nobody, not even the end of the process.
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_RESOLVE_H
#define ZK_NET_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/str.h"

struct zk_loop;
struct zk_resolve;

/* Where a socket connects to. */
struct zk_addr {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t n;
};

#define ZK_ADDR_TEXT 64

/* A numeric address, IPv6 without brackets; false for anything else. */
bool zk_addr_parse(zk_str text, int port, struct zk_addr *ret);
/* The address without its port, "" when it has no text. */
void zk_addr_text(const struct zk_addr *a, char ret[ZK_ADDR_TEXT]);
int zk_addr_port(const struct zk_addr *a);

/* What was found, valid during the call: in the order in which they are to be tried, at most 16;
 * n == 0: none, and `why` says why. */
typedef void (*zk_resolve_fn)(void *ctx, const struct zk_addr *list, size_t n,
                              const char *why);

/* Calls fn once, never from inside. Addresses and the names of this host (RFC 6761 §6.3: localhost
 * and what ends in .localhost) need no name service. The result lives until then. */
struct zk_resolve *zk_resolve_start(struct zk_loop *l, const char *host, int port,
                                    zk_resolve_fn fn, void *ctx);
/* fn is not called any more. NULL is fine. */
void zk_resolve_cancel(struct zk_resolve *r);

#endif
