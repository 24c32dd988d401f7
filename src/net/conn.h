/* A connected byte stream: libcurl resolves, connects, passes proxies and does TLS; what goes over
 * it is the owner's (specs/zerobus.md §6.1).
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_CONN_H
#define ZK_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_conn;
struct zk_net;

struct zk_conn_conf {
	const char *url;  /* https:// or http:// (no TLS); its path is not used */
	const char *alpn; /* with TLS: the one protocol that is offered, "h2" */
	int64_t connect_timeout_ms; /* 0 = that of the net */
	void *ctx;
	/* It is connected; writes are possible. */
	void (*on_open)(void *ctx);
	/* Bytes came; borrowed until it returns. */
	void (*on_data)(void *ctx, zk_str bytes);
	/* A write that was cut short can go on. */
	void (*on_writable)(void *ctx);
	/* Once, never after zk_conn_close: the peer ended it (`err` NULL), it was lost or could not
	 * be made. Codes and `retryable` as in net/http.h; ZK_E_HTTP2 when another protocol was
	 * chosen than `alpn`. Close it then. */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

/* Begins to connect; no callback from inside. */
int zk_conn_open(struct zk_net *net, const struct zk_conn_conf *conf,
                 struct zk_conn **ret, struct zk_error *err) ZK_MUST_USE;
/* Takes up to all of `bytes`: how many, 0 = none now (on_writable comes), -1 = the connection is
 * lost (on_end comes). What was not taken is offered again, from the same address and with the
 * same length. */
ptrdiff_t zk_conn_write(struct zk_conn *c, zk_str bytes) ZK_MUST_USE;
/* No callback comes any more. From its callbacks too. NULL is fine. */
void zk_conn_close(struct zk_conn *c);

#endif
