/* libcurl, opened on first use.
 * Layer: net. */
#include <curl/curl.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/curl.def"

#include "base/ban.h"

#define OLDEST 0x075700 /* CURLOPT_QUICK_EXIT, CURLOPT_PROTOCOLS_STR */

struct zk_curl zk_curl;

static const struct zk_dl_sym syms[] = {
#define ROW(s) { #s, offsetof(struct zk_curl, s) },
	ZK_CURL_SYMS(ROW)
#undef ROW
};

ZK_DL_NOTE("http", "HTTP client", "recommended", "libcurl.so.4");

static struct zk_dl lib = ZK_DL_INIT("libcurl.so.4", "libcurl4", &zk_curl, syms);

/* libcurl brings librtmp, which brings GnuTLS, which sets itself up when it is mapped: 0.8 MB and
 * a tenth of the time until the first byte is sent, for a protocol that zk does not speak. */
#define NO_GNUTLS "GNUTLS_NO_IMPLICIT_INIT"

static int open_lib(struct zk_error *err)
{
	bool given = getenv(NO_GNUTLS);
	int r;

	if (!given)
		ZK_IGNORE(setenv(NO_GNUTLS, "1", 0) < 0); /* then it does as it likes */
	r = zk_dl_open(&lib, err);
	if (!given) /* children are not ours to change */
		ZK_IGNORE(unsetenv(NO_GNUTLS) < 0);
	return r;
}

int zk_curl_open(bool transfers, struct zk_error *err)
{
	static bool ready; /* there is one loop thread */
	int r = ready ? 0 : open_lib(err);
	unsigned version;

	if (r < 0 || !transfers || ready)
		return r;
	version = (zk_curl.curl_version_info)(CURLVERSION_NOW)->version_num;
	if (version < OLDEST) {
		(void)zk_fail(err, ZK_E_LIBRARY, "libcurl %u.%u is too old",
		              version >> 16, version >> 8 & 0xff);
		return zk_err_hint(
		        err, "install version 7.87 or later of the package libcurl4");
	}
	/* No curl_global_cleanup to match: the library stays until the process ends. */
	if ((zk_curl.curl_global_init)(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return zk_fail(err, ZK_E_LIBRARY, "libcurl could not be initialised");
	ready = true;
	return 0;
}

long zk_curl_info_long(CURL *easy, CURLINFO info)
{
	long v = 0;

	return (zk_curl.curl_easy_getinfo)(easy, info, &v) == CURLE_OK ? v : 0;
}

curl_off_t zk_curl_info_off(CURL *easy, CURLINFO info)
{
	curl_off_t v = 0;

	return (zk_curl.curl_easy_getinfo)(easy, info, &v) == CURLE_OK ? v : 0;
}

const char *zk_curl_info_str(CURL *easy, CURLINFO info)
{
	char *v = NULL;

	return (zk_curl.curl_easy_getinfo)(easy, info, &v) == CURLE_OK ? v : NULL;
}
