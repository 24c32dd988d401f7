/* TLS for accepted and for dialled connections: memory in, memory out, no sockets. OpenSSL, opened
 * on first use.
 * Layer: net. Loop thread only.
 *
 * TLS 1.2 and later, ALPN "http/1.1" unless said otherwise, no client certificates, no
 * renegotiation. */
#ifndef ZK_NET_TLS_SERVER_H
#define ZK_NET_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_tls_conn;
struct zk_tls_server;

/* Reads a certificate chain and its key (PEM, without passphrase). -ZK_E_CONFIG naming the file
 * and OpenSSL's reason, -ZK_E_LIBRARY. */
int zk_tls_server_new(const char *cert_file, const char *key_file,
                      struct zk_tls_server **ret, struct zk_error *err) ZK_MUST_USE;
/* The protocol that is agreed on instead of "http/1.1"; a literal. Before the first connection. */
void zk_tls_server_protocol(struct zk_tls_server *s, const char *alpn);
/* Makes a key and a certificate for `host` (a name or address) that is its own authority, valid
 * from now for a year, as PEM files: the key with mode 0600. For stand-ins. -ZK_E_CREATE,
 * -ZK_E_LIBRARY, -ZK_E_SYSTEM. */
int zk_tls_make_files(const char *host, const char *cert_file, const char *key_file,
                      struct zk_error *err) ZK_MUST_USE;
/* Connections that were made from it keep it alive. NULL is fine. */
void zk_tls_server_unref(struct zk_tls_server *s);

struct zk_tls_conn *zk_tls_conn_new(struct zk_tls_server *s);
/* For a connection that net/dial made: the certificate must be valid for `host`, a name or address,
 * by the authorities of the system. 0, or -ZK_E_LIBRARY, -ZK_E_SYSTEM. */
int zk_tls_conn_dialled(const char *host, struct zk_tls_conn **ret,
                        struct zk_error *err) ZK_MUST_USE;
/* Goes on with the handshake of it: 1 = done, 0 = bytes of the peer are needed (and what
 * zk_tls_conn_seal gives must be sent), -ZK_E_TLS. */
int zk_tls_conn_handshake(struct zk_tls_conn *c, struct zk_error *err) ZK_MUST_USE;
void zk_tls_conn_free(struct zk_tls_conn *c); /* NULL is fine */
/* True when the handshake is done. */
bool zk_tls_conn_is_ready(const struct zk_tls_conn *c);
/* Bytes from the peer; copied. */
void zk_tls_conn_feed(struct zk_tls_conn *c, zk_str sealed);
/* Decrypts up to `n` bytes: their number, 0 = none yet, -1 = the peer said goodbye or the
 * connection is broken (an alert may wait in zk_tls_conn_seal). */
ptrdiff_t zk_tls_conn_read(struct zk_tls_conn *c, char *to, size_t n);
/* Encrypts `plain` and appends it to `out`, behind what the handshake has to say. While the
 * handshake is not done `plain` must be empty. -1 when the connection is broken. */
int zk_tls_conn_seal(struct zk_tls_conn *c, zk_str plain, struct zk_buf *out) ZK_MUST_USE;
/* Says goodbye: the next zk_tls_conn_seal delivers it. */
void zk_tls_conn_shutdown(struct zk_tls_conn *c);

#endif
