/* A certificate made at start, for stand-ins.
 * Layer: net. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/dl.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/tls_server.h"

#include "base/ban.h"

#define YEAR_S (365L * 86400)

/* clang-format off */
#define MAKE_SYMS(X) \
	X(EVP_PKEY_Q_keygen) X(EVP_PKEY_free) X(EVP_sha256) \
	X(X509_new) X(X509_free) X(X509_set_version) X(X509_get_serialNumber) \
	X(ASN1_INTEGER_set) X(X509_getm_notBefore) X(X509_getm_notAfter) X(X509_gmtime_adj) \
	X(X509_set_pubkey) X(X509_get_subject_name) X(X509_NAME_add_entry_by_txt) \
	X(X509_set_issuer_name) X(X509V3_set_ctx) X(X509V3_EXT_conf_nid) X(X509_add_ext) \
	X(X509_EXTENSION_free) X(X509_sign) X(BIO_new) X(BIO_s_mem) X(BIO_free) X(BIO_read) \
	X(BIO_ctrl) X(PEM_write_bio_X509) X(PEM_write_bio_PrivateKey)
/* clang-format on */

static struct {
	MAKE_SYMS(ZK_DL_FIELD)
} mk;
#define MAKE_ROW(s) ZK_DL_ROW_OF(mk, s)
static const struct zk_dl_sym make_syms[] = { MAKE_SYMS(MAKE_ROW) };
static struct zk_dl lib = ZK_DL_INIT("libcrypto.so.3", "libssl3", &mk, make_syms);

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx = { 0 };
	X509_EXTENSION *ext;
	bool good;

	(mk.X509V3_set_ctx)(&ctx, cert, cert, NULL, NULL, 0);
	ext = (mk.X509V3_EXT_conf_nid)(NULL, &ctx, nid, value);
	good = ext && (mk.X509_add_ext)(cert, ext, -1) == 1;
	(mk.X509_EXTENSION_free)(ext);
	return good;
}

static bool fill(X509 *cert, EVP_PKEY *key, const char *host)
{
	bool is_address =
	        strchr(host, ':') || strspn(host, "0123456789.") == strlen(host);
	ZK_CLEANUP(zk_freep)
	char *names = zk_asprintf("%s:%s,DNS:localhost", is_address ? "IP" : "DNS", host);
	X509_NAME *name = (mk.X509_get_subject_name)(cert);

	return (mk.X509_set_version)(cert, X509_VERSION_3) == 1 &&
	       (mk.ASN1_INTEGER_set)((mk.X509_get_serialNumber)(cert), 1) == 1 &&
	       (mk.X509_gmtime_adj)((mk.X509_getm_notBefore)(cert), -3600) &&
	       (mk.X509_gmtime_adj)((mk.X509_getm_notAfter)(cert), YEAR_S) &&
	       (mk.X509_set_pubkey)(cert, key) == 1 &&
	       (mk.X509_NAME_add_entry_by_txt)(name, "CN", MBSTRING_UTF8,
	                                       (const unsigned char *)"zk stand-in", -1,
	                                       -1, 0) == 1 &&
	       (mk.X509_set_issuer_name)(cert, name) == 1 &&
	       add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_extension(cert, NID_subject_alt_name, names) &&
	       (mk.X509_sign)(cert, key, (mk.EVP_sha256)()) > 0;
}

static int write_file(const char *path, BIO *bio, struct zk_error *err)
{
	char text[16384];
	int n = (mk.BIO_read)(bio, text, sizeof(text));
	int e = n > 0 ? zk_file_put(path, O_EXCL, 0600, zk_str_n(text, (size_t)n)) : EIO;

	zk_wipe(text, sizeof(text));
	return e ? zk_fail_errno(err, ZK_E_CREATE, e, "cannot write '%s'", path) : 0;
}

static int write_files(X509 *cert, EVP_PKEY *key, const char *const paths[2],
                       struct zk_error *err)
{
	BIO *bio = (mk.BIO_new)((mk.BIO_s_mem)());
	int r;

	ZK_ASSERT(bio); /* out of memory */
	r = (mk.PEM_write_bio_X509)(bio, cert) == 1
	            ? write_file(paths[0], bio, err)
	            : zk_fail(err, ZK_E_SYSTEM, "cannot write a certificate");
	(void)(mk.BIO_ctrl)(bio, BIO_CTRL_RESET, 0, NULL);
	if (r == 0)
		r = (mk.PEM_write_bio_PrivateKey)(bio, key, NULL, NULL, 0, NULL, NULL) ==
		                    1
		            ? write_file(paths[1], bio, err)
		            : zk_fail(err, ZK_E_SYSTEM, "cannot write a key");
	(void)(mk.BIO_free)(bio);
	return r;
}

int zk_tls_make_files(const char *host, const char *cert_file, const char *key_file,
                      struct zk_error *err)
{
	const char *paths[2] = { cert_file, key_file };
	EVP_PKEY *key;
	X509 *cert;
	int r = zk_dl_open(&lib, err);

	if (r < 0)
		return r;
	key = (mk.EVP_PKEY_Q_keygen)(NULL, NULL, "EC", "P-256");
	cert = (mk.X509_new)();
	r = key && cert && fill(cert, key, host)
	            ? write_files(cert, key, paths, err)
	            : zk_fail(err, ZK_E_SYSTEM, "cannot make a certificate");
	(mk.X509_free)(cert);
	(mk.EVP_PKEY_free)(key);
	return r;
}
