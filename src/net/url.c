/* URLs, parsed by libcurl but for the plainest of them.
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

/* ---- what needs no parser ---- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* A name in small letters: labels that begin and end with a letter or a digit, and a letter in the
 * last one, so that no parser takes it for an address. */
static bool is_plain_name(zk_str host)
{
	zk_str label = ZK_STR_NULL;
	bool letter = false;

	while (host.n) {
		host = zk_str_cut(host, '.', &label);
		if (!label.n || !is_alnum(label.p[0]) || !is_alnum(label.p[label.n - 1]))
			return false;
		letter = false;
		for (size_t i = 0; i < label.n; i++) {
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
			letter = letter || (label.p[i] >= 'a' && label.p[i] <= 'z');
		}
		if (host.p && !host.n)
			return false; /* a dot at the end */
	}
	/* "0x7f" is an address too. */
	return letter && !(label.n > 1 && label.p[0] == '0' && label.p[1] == 'x');
}

/* Four numbers in their usual form. */
static bool is_plain_address(zk_str host)
{
	unsigned n = 0;

	while (host.n) {
		zk_str part;
		uint64_t v;
		struct zk_error ignored;

		host = zk_str_cut(host, '.', &part);
		if (++n > 4 || part.n > 3 || (part.n > 1 && part.p[0] == '0') ||
		    zk_parse_u64(part, &v, &ignored) < 0 || v > 255 ||
		    (host.p && !host.n))
			return false;
	}
	return n == 4;
}

/* The characters of a path or a query, %XX among them but for %2e, which some take for a dot. */
static bool is_plain_text(zk_str s, const char *others)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (is_alnum(c) || (c >= 'A' && c <= 'Z'))
			continue;
		if (c == '%') {
			zk_str hex =
			        zk_str_n(s.p + i + 1, ZK_MIN(s.n - i - 1, (size_t)2));

			if (hex.n < 2 || !is_hex(hex.p[0]) || !is_hex(hex.p[1]) ||
			    zk_str_eq_nocase(hex, ZK_STR("2e")))
				return false;
		} else if (c == '\0' || !strchr(others, c)) {
			return false;
		}
	}
	return true;
}

/* No segment begins with a dot. */
static bool is_plain_path(zk_str path)
{
	return is_plain_text(path, "/-_.~!$&'()*+,;=:@") &&
	       zk_str_find(path, ZK_STR("/.")) < 0;
}

static bool is_plain_query(zk_str query)
{
	return !query.p || (query.n && is_plain_text(query, "/?-_.~!$&'()*+,;=:@"));
}

/* The port behind a colon; what is not there leaves `*ret`. */
static bool read_plain_port(zk_str port, int *ret)
{
	struct zk_error ignored;
	uint64_t n;

	if (!port.p)
		return true;
	if (!port.n || port.p[0] == '0' || zk_parse_u64(port, &n, &ignored) < 0 ||
	    n > 65535)
		return false;
	*ret = (int)n;
	return true;
}

bool zk_url_split(zk_str s, struct zk_url_parts *ret)
{
	struct zk_url_parts u = { .tls = zk_str_starts(s, ZK_STR("https://")) };
	zk_str rest = zk_str_from(s, u.tls ? 8 : 7), port;
	ptrdiff_t slash;

	if (!u.tls && !zk_str_starts(s, ZK_STR("http://")))
		return false;
	u.port = u.tls ? 443 : 80;
	slash = zk_str_find_char(rest, '/');
	u.path = zk_str_from(rest, slash < 0 ? rest.n : (size_t)slash);
	port = zk_str_cut(zk_str_n(rest.p, rest.n - u.path.n), ':', &u.host);
	u.query = zk_str_cut(u.path, '?', &u.path);
	if (!is_plain_path(u.path) || !is_plain_query(u.query) ||
	    (!is_plain_name(u.host) && !is_plain_address(u.host)) ||
	    !read_plain_port(port, &u.port))
		return false;
	*ret = u;
	return true;
}

bool zk_url_plain(zk_str s, struct zk_url *ret)
{
	struct zk_url_parts u;

	if (!zk_url_split(s, &u))
		return false;
	*ret = (struct zk_url){
		.scheme = zk_strdup(u.tls ? "https" : "http"),
		.host = zk_strndup(u.host.p, u.host.n),
		.path = u.path.n ? zk_strndup(u.path.p, u.path.n) : zk_strdup("/"),
		.query = u.query.n ? zk_strndup(u.query.p, u.query.n) : NULL,
		.port = u.port,
		.text = zk_asprintf("%.*s%s", ZK_STR_ARG(s), u.path.n ? "" : "/")
	};
	return true;
}

int zk_url_parse_all(zk_str s, struct zk_url *ret, struct zk_error *err)
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

int zk_url_parse(zk_str s, struct zk_url *ret, struct zk_error *err)
{
	if (s.n && s.n <= URL_MAX && zk_url_plain(s, ret))
		return 0;
	return zk_url_parse_all(s, ret, err);
}

char *zk_url_join(const char *base, zk_str to)
{
	char *text = zk_strndup(to.n ? to.p : "", to.n), *joined = NULL;
	struct zk_error ignored;
	CURLU *h;

	if (zk_curl_open(/* transfers */ false, &ignored) == 0) {
		h = (zk_curl.curl_url)();
		ZK_ASSERT(h); /* out of memory: as zk_alloc would */
		if ((zk_curl.curl_url_set)(h, CURLUPART_URL, base, 0) == CURLUE_OK &&
		    (zk_curl.curl_url_set)(h, CURLUPART_URL, text,
		                           CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) ==
		            CURLUE_OK)
			joined = part(h, CURLUPART_URL, 0);
		(zk_curl.curl_url_cleanup)(h);
	}
	zk_secret_free(text);
	return joined;
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
