/* Proxies of the environment, as libcurl and gRPC read it.
 * Layer: net. */
#ifndef ZK_NET_PROXY_ENV_H
#define ZK_NET_PROXY_ENV_H

#include "base/str.h"

enum zk_proxy_for {
	ZK_PROXY_HTTP, /* http_proxy (which has no form in capitals), all_proxy, ALL_PROXY */
	ZK_PROXY_HTTPS, /* https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY */
	ZK_PROXY_GRPC, /* grpc_proxy, GRPC_PROXY and those of HTTP (specs/zerobus.md §3.1) */
	ZK_PROXY_GRPCS, /* and those of HTTPS */
};

/* The one for connections to `host`, or NULL: none, or no_proxy, NO_PROXY (for gRPC
 * no_grpc_proxy, NO_GRPC_PROXY before them) exempt it. Borrowed from the environment. */
const char *zk_proxy_env(enum zk_proxy_for what, zk_str host);

#endif
