/* HTTP/2 server on uv_tcp, without TLS by prior knowledge or with it: for stand-ins of gRPC
 * services.
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_H2D_H
#define ZK_NET_H2D_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "net/h2.h"

struct zk_h2d;
struct zk_h2d_conn;
struct zk_loop;

struct zk_h2d_conf {
	const char *addr; /* IPv4 or IPv6 address */
	int port;         /* 0 = any */
	uint32_t window, max_frame;
	const char *tls_cert, *tls_key; /* PEM files; NULL = no TLS */
	void *ctx;
	/* `conn_ctx` of the following is what on_open returns. */
	void *(*on_open)(void *ctx, struct zk_h2d_conn *c);
	/* The streams of it are gone; not after zk_h2d_free. */
	void (*on_close)(void *conn_ctx);
	void (*on_header)(void *conn_ctx, int32_t id, zk_str name, zk_str value);
	void (*on_head)(void *conn_ctx, int32_t id);
	void (*on_data)(void *conn_ctx, int32_t id, zk_str bytes);
	void (*on_end)(void *conn_ctx, int32_t id);
	void (*on_closed)(void *conn_ctx, int32_t id);
	size_t (*ready)(void *conn_ctx, int32_t id, size_t room, enum zk_h2_more *more);
	void (*take)(void *conn_ctx, int32_t id, char *to, size_t n);
};

int zk_h2d_listen(struct zk_loop *l, const struct zk_h2d_conf *conf, struct zk_h2d **ret,
                  struct zk_error *err) ZK_MUST_USE;
int zk_h2d_port(const struct zk_h2d *d);
/* Closes all; on_close of each connection comes before it returns. NULL is fine. */
void zk_h2d_free(struct zk_h2d *d);

/* For zk_h2_respond and the like; call zk_h2d_flush afterwards when not in a callback. */
struct zk_h2 *zk_h2d_h2(struct zk_h2d_conn *c);
void zk_h2d_flush(struct zk_h2d_conn *c);
/* Reads nothing from it until it is told to again: its windows close. */
void zk_h2d_pause(struct zk_h2d_conn *c, bool pause);
/* Ends the connection at once: with RST, or with FIN. */
void zk_h2d_cut(struct zk_h2d_conn *c, bool reset);
#endif
