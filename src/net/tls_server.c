/* TLS over memory BIOs: for accepted connections, and for those that net/dial makes.
 * Layer: net; owns libssl and libcrypto. */
#include "net/tls_server.h"

#define ZK_LOGGER "httpd"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/log.h"
#include "base/mem.h"

#include "base/ban.h"

/* clang-format off */
#define SSL_SYMS(X) \
	X(TLS_server_method) X(SSL_CTX_new) X(SSL_CTX_free) X(SSL_CTX_ctrl) \
	X(SSL_CTX_set_options) X(SSL_CTX_use_certificate_chain_file) \
	X(SSL_CTX_use_PrivateKey_file) X(SSL_CTX_check_private_key) \
	X(SSL_CTX_set_alpn_select_cb) X(SSL_CTX_set_default_passwd_cb) \
	X(SSL_new) X(SSL_free) X(SSL_set_bio) X(SSL_set_accept_state) X(SSL_read) X(SSL_write) \
	X(SSL_get_error) X(SSL_shutdown) X(SSL_is_init_finished) \
	X(TLS_client_method) X(SSL_CTX_set_verify) X(SSL_CTX_set_default_verify_paths) \
	X(SSL_set_connect_state) X(SSL_set1_host) X(SSL_ctrl) X(SSL_get_verify_result) \
	X(SSL_do_handshake) X(SSL_get0_param)
#define CRYPTO_SYMS(X) \
	X(BIO_new) X(BIO_s_mem) X(BIO_read) X(BIO_write) X(BIO_ctrl) \
	X(ERR_clear_error) X(ERR_get_error) X(ERR_reason_error_string) \
	X(X509_verify_cert_error_string) X(X509_VERIFY_PARAM_set1_ip_asc)
/* clang-format on */

static struct {
	SSL_SYMS(ZK_DL_FIELD)
} ssl;
static struct {
	CRYPTO_SYMS(ZK_DL_FIELD)
} crypto;
#define SSL_ROW(s)    ZK_DL_ROW_OF(ssl, s)
#define CRYPTO_ROW(s) ZK_DL_ROW_OF(crypto, s)
static const struct zk_dl_sym ssl_syms[] = { SSL_SYMS(SSL_ROW) };
static const struct zk_dl_sym crypto_syms[] = { CRYPTO_SYMS(CRYPTO_ROW) };
ZK_DL_NOTE("tls-server", "HTTPS listener", "suggested", "libssl.so.3");
ZK_DL_NOTE("tls-server", "HTTPS listener", "suggested", "libcrypto.so.3");
static struct zk_dl crypto_lib =
        ZK_DL_INIT("libcrypto.so.3", "libssl3", &crypto, crypto_syms);
static struct zk_dl ssl_lib = ZK_DL_INIT("libssl.so.3", "libssl3", &ssl, ssl_syms);

struct zk_tls_server {
	SSL_CTX *ctx;
};

struct zk_tls_conn {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
	SSL_CTX *own;  /* of a connection that we made */
	bool broken;
};

/* ------------------------------------------------------------------ server */

/* The first error of OpenSSL's queue; the queue is empty afterwards. */
static const char *first_reason(void)
{
	unsigned long code = (crypto.ERR_get_error)();
	const char *text = code ? (crypto.ERR_reason_error_string)(code) : NULL;

	(crypto.ERR_clear_error)();
	return text ? text : "unknown reason";
}

/* Keys with a passphrase are refused; asking the terminal would block. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

static int select_alpn(SSL *s, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned n, void *ctx)
{
	zk_str ours = zk_str_of(ctx);

	(void)s;
	for (unsigned i = 0; i < n && n - i > in[i]; i += 1u + in[i]) {
		if (zk_str_eq(zk_str_n((const char *)in + i + 1, in[i]), ours)) {
			*out = in + i + 1;
			*out_n = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
}

static int load(SSL_CTX *ctx, const char *cert, const char *key, struct zk_error *err)
{
	(crypto.ERR_clear_error)();
	if ((ssl.SSL_CTX_use_certificate_chain_file)(ctx, cert) != 1)
		return zk_fail(err, ZK_E_CONFIG,
		               "cannot use the TLS certificate '%s': %s", cert,
		               first_reason());
	if ((ssl.SSL_CTX_use_PrivateKey_file)(ctx, key, SSL_FILETYPE_PEM) != 1)
		return zk_fail(err, ZK_E_CONFIG, "cannot use the TLS key '%s': %s", key,
		               first_reason());
	if ((ssl.SSL_CTX_check_private_key)(ctx) != 1)
		return zk_fail(err, ZK_E_CONFIG,
		               "the TLS key '%s' does not belong to '%s'", key, cert);
	return 0;
}

static void configure(SSL_CTX *ctx)
{
	/* The macros of ssl.h call functions that are not linked; these are what they call. */
	(void)(ssl.SSL_CTX_ctrl)(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION,
	                         NULL);
	(void)(ssl.SSL_CTX_ctrl)(ctx, SSL_CTRL_MODE,
	                         SSL_MODE_RELEASE_BUFFERS |
	                                 SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
	                         NULL);
	(void)(ssl.SSL_CTX_set_options)(
	        ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
	                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_CLEANSE_PLAINTEXT |
	                     SSL_OP_IGNORE_UNEXPECTED_EOF);
	(ssl.SSL_CTX_set_alpn_select_cb)(ctx, select_alpn, (void *)"http/1.1");
	(ssl.SSL_CTX_set_default_passwd_cb)(ctx, no_passphrase);
}

void zk_tls_server_protocol(struct zk_tls_server *s, const char *alpn)
{
	(ssl.SSL_CTX_set_alpn_select_cb)(s->ctx, select_alpn, (void *)(uintptr_t)alpn);
}

int zk_tls_server_new(const char *cert_file, const char *key_file,
                      struct zk_tls_server **ret, struct zk_error *err)
{
	if (!cert_file || !key_file)
		return zk_fail(err, ZK_E_CONFIG, "TLS needs a certificate and a key");

	int r = zk_dl_open(&crypto_lib, err);
	if (r == 0)
		r = zk_dl_open(&ssl_lib, err);
	if (r < 0)
		return r;

	SSL_CTX *ctx = (ssl.SSL_CTX_new)((ssl.TLS_server_method)());
	if (!ctx)
		return zk_fail(err, ZK_E_SYSTEM, "cannot set TLS up: %s", first_reason());
	configure(ctx);
	r = load(ctx, cert_file, key_file, err);
	if (r < 0) {
		(ssl.SSL_CTX_free)(ctx);
		return r;
	}
	*ret = zk_new0(struct zk_tls_server);
	(*ret)->ctx = ctx;
	return 0;
}

void zk_tls_server_unref(struct zk_tls_server *s)
{
	if (!s)
		return;
	(ssl.SSL_CTX_free)(s->ctx); /* each SSL holds a reference of its own */
	free(s);
}

/* ------------------------------------------------------------------ connection */

static struct zk_tls_conn *conn_new(SSL_CTX *ctx)
{
	struct zk_tls_conn *c = zk_new0(struct zk_tls_conn);

	c->ssl = (ssl.SSL_new)(ctx);
	c->in = (crypto.BIO_new)((crypto.BIO_s_mem)());
	c->out = (crypto.BIO_new)((crypto.BIO_s_mem)());
	ZK_ASSERT(c->ssl && c->in && c->out); /* out of memory */
	/* An empty BIO means "later", not the end. */
	(void)(crypto.BIO_ctrl)(c->in, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, NULL);
	(void)(crypto.BIO_ctrl)(c->out, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, NULL);
	(ssl.SSL_set_bio)(c->ssl, c->in, c->out);
	return c;
}

struct zk_tls_conn *zk_tls_conn_new(struct zk_tls_server *s)
{
	struct zk_tls_conn *c = conn_new(s->ctx);

	(ssl.SSL_set_accept_state)(c->ssl);
	return c;
}

static bool is_address(const char *host)
{
	return strchr(host, ':') || strspn(host, "0123456789.") == strlen(host);
}

int zk_tls_conn_dialled(const char *host, struct zk_tls_conn **ret, struct zk_error *err)
{
	struct zk_tls_conn *c;
	SSL_CTX *ctx;
	int r = zk_dl_open(&crypto_lib, err);

	if (r == 0)
		r = zk_dl_open(&ssl_lib, err);
	if (r < 0)
		return r;
	ctx = (ssl.SSL_CTX_new)((ssl.TLS_client_method)());
	if (!ctx || (ssl.SSL_CTX_set_default_verify_paths)(ctx) != 1)
		return zk_fail(err, ZK_E_SYSTEM, "cannot set TLS up: %s", first_reason());
	(void)(ssl.SSL_CTX_ctrl)(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION,
	                         NULL);
	(ssl.SSL_CTX_set_verify)(ctx, SSL_VERIFY_PEER, NULL);
	c = conn_new(ctx);
	c->own = ctx;
	(ssl.SSL_set_connect_state)(c->ssl);
	if (is_address(host)) {
		if ((crypto.X509_VERIFY_PARAM_set1_ip_asc)((ssl.SSL_get0_param)(c->ssl),
		                                           host) != 1)
			c->broken = true;
	} else {
		if ((ssl.SSL_set1_host)(c->ssl, host) != 1)
			c->broken = true;
		(void)(ssl.SSL_ctrl)(c->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
		                     TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)host);
	}
	*ret = c;
	return 0;
}

int zk_tls_conn_handshake(struct zk_tls_conn *c, struct zk_error *err)
{
	long verify;
	int r;

	(crypto.ERR_clear_error)();
	r = c->broken ? -1 : (ssl.SSL_do_handshake)(c->ssl);
	if (r == 1)
		return 1;
	if (!c->broken && (ssl.SSL_get_error)(c->ssl, r) == SSL_ERROR_WANT_READ)
		return 0;
	c->broken = true;
	verify = (ssl.SSL_get_verify_result)(c->ssl);
	(void)zk_fail(err, ZK_E_TLS, "the TLS handshake failed: %s",
	              verify == X509_V_OK
	                      ? first_reason()
	                      : (crypto.X509_verify_cert_error_string)(verify));
	return zk_err_hint(err,
	                   "the certificate must be valid for this host; SSL_CERT_FILE "
	                   "names further authorities");
}

void zk_tls_conn_free(struct zk_tls_conn *c)
{
	if (!c)
		return;
	(ssl.SSL_free)(c->ssl);
	(ssl.SSL_CTX_free)(c->own);
	free(c);
}

bool zk_tls_conn_is_ready(const struct zk_tls_conn *c)
{
	return !c->broken && (ssl.SSL_is_init_finished)(c->ssl);
}

void zk_tls_conn_feed(struct zk_tls_conn *c, zk_str sealed)
{
	int n = (crypto.BIO_write)(c->in, sealed.p,
	                           (int)ZK_MIN(sealed.n, (size_t)INT_MAX));

	if (n < 0 || (size_t)n != sealed.n)
		c->broken = true;
}

ptrdiff_t zk_tls_conn_read(struct zk_tls_conn *c, char *to, size_t n)
{
	if (c->broken)
		return -1;
	if (n == 0)
		return 0;
	(crypto.ERR_clear_error)();

	int got = (ssl.SSL_read)(c->ssl, to, (int)ZK_MIN(n, (size_t)INT_MAX));
	if (got > 0)
		return got;

	int why = (ssl.SSL_get_error)(c->ssl, got);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return 0;
	if (why != SSL_ERROR_ZERO_RETURN) {
		c->broken = true;
		zk_debug("TLS connection ended", "reason=%s", first_reason());
	}
	return -1;
}

/* Moves what OpenSSL wants to send. */
static void collect(struct zk_tls_conn *c, struct zk_buf *out)
{
	for (;;) {
		size_t waiting =
		        (size_t)(crypto.BIO_ctrl)(c->out, BIO_CTRL_PENDING, 0, NULL);
		if (!waiting)
			return;

		char *to = zk_buf_reserve(out, waiting);
		int n = to ? (crypto.BIO_read)(c->out, to,
		                               (int)ZK_MIN(waiting, (size_t)INT_MAX))
		           : 0;
		if (n <= 0) {
			c->broken = true;
			return;
		}
		out->n += (size_t)n;
	}
}

int zk_tls_conn_seal(struct zk_tls_conn *c, zk_str plain, struct zk_buf *out)
{
	while (plain.n && !c->broken) {
		(crypto.ERR_clear_error)();
		int n = (ssl.SSL_write)(c->ssl, plain.p,
		                        (int)ZK_MIN(plain.n, (size_t)INT_MAX));
		if (n <= 0)
			c->broken = true; /* a memory BIO takes everything */
		else
			plain = zk_str_from(plain, (size_t)n);
	}

	bool was_broken = c->broken;
	collect(c, out);
	/* An alert still goes out. */
	return was_broken && !out->n ? -1 : 0;
}

void zk_tls_conn_shutdown(struct zk_tls_conn *c)
{
	if (!zk_tls_conn_is_ready(c))
		return;
	(crypto.ERR_clear_error)();
	(void)(ssl.SSL_shutdown)(c->ssl); /* the other side's goodbye is not waited for */
}
