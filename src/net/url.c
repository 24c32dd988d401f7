/* URLs, parsed by libcurl.
 * Layer: net. */
#include "net/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/curl.def"

#include "base/ban.h"

#define URL_MAX 2048

/* Takes a part as memory of our own; NULL when the URL has none. */
static char *part(CURLU *h, CURLUPart what, unsigned flags)
{
	char *theirs = NULL, *ours;

	if ((zk_curl.curl_url_get)(h, what, &theirs, flags) != CURLUE_OK || !theirs)
		return NULL;
	ours = zk_strdup(theirs);
	(zk_curl.curl_free)(theirs);
	return ours;
}

static void to_lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + 32);
}

void zk_url_done(struct zk_url *u)
{
	free(u->scheme);
	free(u->host);
	free(u->path);
	zk_secret_free(u->query);
	zk_secret_free(u->user);
	zk_secret_free(u->text);
	*u = (struct zk_url){ 0 };
}

static int check_text(zk_str s, struct zk_error *err)
{
	if (s.n == 0)
		return zk_fail(err, ZK_E_URL, "the URL is empty");
	if (s.n > URL_MAX)
		return zk_fail(err, ZK_E_URL, "the URL is longer than %d bytes", URL_MAX);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= 0x20 || c == 0x7f)
			return zk_fail(
			        err, ZK_E_URL,
			        "the URL contains white space or control characters");
	}
	if (!zk_utf8_valid(s))
		return zk_fail(err, ZK_E_URL, "the URL is not valid UTF-8");
	return 0;
}

static int fail_parse(CURLUcode r, struct zk_error *err)
{
	switch (r) {
	case CURLUE_UNSUPPORTED_SCHEME:
	case CURLUE_BAD_SCHEME:
		return zk_fail(err, ZK_E_URL, "only http and https URLs are supported");
	case CURLUE_BAD_PORT_NUMBER:
		return zk_fail(err, ZK_E_URL,
		               "the port of the URL is not a number up to 65535");
	case CURLUE_NO_HOST:
	case CURLUE_BAD_HOSTNAME:
	case CURLUE_BAD_IPV6:
		return zk_fail(err, ZK_E_URL,
		               "the host of the URL is missing or malformed");
	default:
		return zk_fail(err, ZK_E_URL, "the URL is malformed");
	}
}

/* "[fe80::1]" to "fe80::1". */
static void strip_brackets(char *host)
{
	size_t n = strlen(host);

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
	}
}

static int read_parts(CURLU *h, struct zk_url *u, struct zk_error *err)
{
	char *port = part(h, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char *password = part(h, CURLUPART_PASSWORD, 0);
	struct zk_error ignored;
	uint64_t n = 0;
	bool bad_port = !port || zk_parse_u64(zk_str_of(port), &n, &ignored) < 0;

	u->scheme = part(h, CURLUPART_SCHEME, 0);
	u->host = part(h, CURLUPART_HOST, 0);
	u->path = part(h, CURLUPART_PATH, 0);
	u->query = part(h, CURLUPART_QUERY, 0);
	u->user = part(h, CURLUPART_USER, 0);
	if (password && !u->user)
		u->user = zk_strdup("");
	free(port);
	zk_secret_free(password);
	if (u->scheme)
		to_lower(u->scheme);
	if (!u->scheme ||
	    (strcmp(u->scheme, "http") != 0 && strcmp(u->scheme, "https") != 0))
		return fail_parse(CURLUE_UNSUPPORTED_SCHEME, err);
	if (!u->host || !u->host[0] || !u->path)
		return fail_parse(CURLUE_NO_HOST, err);
	to_lower(u->host);
	if (bad_port || n == 0 || n > 65535)
		return fail_parse(CURLUE_BAD_PORT_NUMBER, err);
	u->port = (int)n;
	strip_brackets(u->host);
	(void)(zk_curl.curl_url_set)(h, CURLUPART_FRAGMENT, NULL,
	                             0); /* removing cannot fail */
	u->text = part(h, CURLUPART_URL, 0);
	return u->text ? 0 : fail_parse(CURLUE_MALFORMED_INPUT, err);
}

/* Decoding "%31.2" makes an address of the host, which only another parse brings to its usual
 * form "1.0.0.2". */
static CURLUcode parse_again(CURLU *h)
{
	char *text = part(h, CURLUPART_URL, 0);
	CURLUcode rc = CURLUE_MALFORMED_INPUT;

	if (text)
		rc = (zk_curl.curl_url_set)(h, CURLUPART_URL, text, 0);
	zk_secret_free(text);
	return rc;
}

int zk_url_parse(zk_str s, struct zk_url *ret, struct zk_error *err)
{
	struct zk_url u = { 0 };
	char *text;
	CURLUcode rc;
	CURLU *h;
	int r = check_text(s, err);

	if (r == 0)
		r = zk_curl_open(/* transfers */ false, err);
	if (r < 0)
		return r;
	h = (zk_curl.curl_url)();
	ZK_ASSERT(h); /* out of memory: as zk_alloc would */
	text = zk_strndup(s.p, s.n);
	rc = (zk_curl.curl_url_set)(h, CURLUPART_URL, text, 0);
	zk_secret_free(text);
	if (rc == CURLUE_OK)
		rc = parse_again(h);
	r = rc == CURLUE_OK ? read_parts(h, &u, err) : fail_parse(rc, err);
	(zk_curl.curl_url_cleanup)(h);
	if (r < 0)
		zk_url_done(&u);
	else
		*ret = u;
	return r;
}

void zk_url_origin(const struct zk_url *u, struct zk_buf *b)
{
	bool v6 = strchr(u->host, ':') != NULL;

	zk_buf_cstr(b, u->scheme);
	zk_buf_cstr(b, v6 ? "://[" : "://");
	zk_buf_cstr(b, u->host);
	zk_buf_cstr(b, v6 ? "]:" : ":");
	zk_buf_u64(b, (uint64_t)u->port);
}

bool zk_url_same_origin(const struct zk_url *a, const struct zk_url *b)
{
	return a->port == b->port && strcmp(a->scheme, b->scheme) == 0 &&
	       strcmp(a->host, b->host) == 0;
}

bool zk_url_has_address(const struct zk_url *u)
{
	uint8_t addr[16];

	return inet_pton(AF_INET, u->host, addr) == 1 ||
	       inet_pton(AF_INET6, u->host, addr) == 1;
}
