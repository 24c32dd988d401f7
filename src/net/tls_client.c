/* ALPN for connections that libcurl makes.
 * Layer: net. specs/zerobus.md §6.1. */
#include "net/tls_client.h"

#include <openssl/ssl.h>
#include <string.h>

#include "base/dl.h"

#include "base/ban.h"

/* clang-format off */
#define SSL_SYMS(X) \
	X(SSL_CTX_set_alpn_protos) X(SSL_CTX_ctrl) X(SSL_get0_alpn_selected)
/* clang-format on */

static struct {
	SSL_SYMS(ZK_DL_FIELD)
} ssl;
#define ROW(s) ZK_DL_ROW_OF(ssl, s)
static const struct zk_dl_sym syms[] = { SSL_SYMS(ROW) };
ZK_DL_NOTE("grpc", "gRPC over TLS", "suggested", "libssl.so.3");
static struct zk_dl lib = ZK_DL_INIT("libssl.so.3", "libssl3", &ssl, syms);

int zk_tls_client_open(struct zk_error *err)
{
	return zk_dl_open(&lib, err);
}

bool zk_tls_client_prepare(void *ssl_ctx, const char *alpn)
{
	unsigned char list[64];
	size_t n = strlen(alpn);

	if (n + 1 > sizeof(list))
		return false;
	list[0] = (unsigned char)n;
	memcpy(list + 1, alpn, n);
	/* The macros of ssl.h call functions that are not linked; these are what they call. */
	(void)(ssl.SSL_CTX_ctrl)(ssl_ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION,
	                         NULL);
	(void)(ssl.SSL_CTX_ctrl)(ssl_ctx, SSL_CTRL_MODE,
	                         SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
	                         NULL);
	return (ssl.SSL_CTX_set_alpn_protos)(ssl_ctx, list, (unsigned)n + 1) == 0;
}

zk_str zk_tls_client_alpn(void *handle)
{
	const unsigned char *p = NULL;
	unsigned n = 0;

	(ssl.SSL_get0_alpn_selected)(handle, &p, &n);
	return zk_str_n((const char *)p, n);
}
