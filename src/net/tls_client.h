/* What a TLS client of libcurl's needs from OpenSSL itself: ALPN.
 * Layer: net, private. Loop thread only. */
#ifndef ZK_NET_TLS_CLIENT_H
#define ZK_NET_TLS_CLIENT_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

/* Opens OpenSSL. */
int zk_tls_client_open(struct zk_error *err) ZK_MUST_USE;
/* Prepares an SSL_CTX: offers `alpn` alone, partial writes, TLS 1.2 at least. False when it is out
 * of memory. */
bool zk_tls_client_prepare(void *ssl_ctx, const char *alpn);
/* The protocol that an SSL agreed on; empty = none. */
zk_str zk_tls_client_alpn(void *ssl);

#endif
