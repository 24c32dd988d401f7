/* Origin of an http or https URL.
 * Layer: conf. */
#include "conf/origin.h"

#include <string.h>

#include "base/buf.h"

#include "base/ban.h"

#define URL_MAX 2048

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool is_v6_char(char c)
{
	return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
	       (c >= '0' && c <= '9') || c == '.' || c == ':';
}

/* The host at the start of `s`, brackets included; n == 0 when it is wrong. */
static zk_str host_of(zk_str s)
{
	size_t i = 0;

	if (s.n && s.p[0] == '[') {
		i = 1;
		while (i < s.n && is_v6_char(s.p[i]))
			i++;
		return i < s.n && i > 2 && s.p[i] == ']' ? zk_str_n(s.p, i + 1)
		                                         : ZK_STR_NULL;
	}
	while (i < s.n && is_host_char(s.p[i]))
		i++;
	return zk_str_n(s.p, i);
}

static int bad(zk_str url, const char *why, struct zk_error *err)
{
	/* What follows the host may be a secret. */
	zk_str shown = zk_str_n(url.p, 0);

	while (shown.n < url.n && shown.n < 80 && url.p[shown.n] != '?' &&
	       url.p[shown.n] != '@')
		shown.n++;
	if (shown.n < url.n && url.p[shown.n] == '@')
		shown.n = 0;
	return zk_fail(err, ZK_E_URL, "'%.*s%s' is no URL that can be used: %s",
	               ZK_STR_ARG(shown), shown.n < url.n ? "..." : "", why);
}

static int check_bytes(zk_str url, struct zk_error *err)
{
	if (url.n > URL_MAX)
		return bad(url, "it is longer than 2,048 bytes", err);
	for (size_t i = 0; i < url.n; i++) {
		unsigned char c = (unsigned char)url.p[i];

		if (c <= 0x20 || c == 0x7f || c == '\\')
			return bad(url,
			           "it holds white space, a backslash or a control "
			           "character",
			           err);
	}
	return 0;
}

static int parse_port(zk_str url, zk_str digits, unsigned *port, struct zk_error *err)
{
	uint64_t v = 0;
	struct zk_error ignored;

	if (digits.n == 0 || digits.n > 5 || zk_parse_u64(digits, &v, &ignored) < 0 ||
	    v == 0 || v > 65535)
		return bad(url, "the port is not a number from 1 to 65535", err);
	*port = (unsigned)v;
	return 0;
}

static zk_str authority_of(zk_str rest)
{
	size_t i = 0;

	while (i < rest.n && rest.p[i] != '/' && rest.p[i] != '?' && rest.p[i] != '#')
		i++;
	return zk_str_n(rest.p, i);
}

static int parse_authority(zk_str url, zk_str auth, zk_str *host, unsigned *port,
                           struct zk_error *err)
{
	zk_str rest;

	if (zk_str_find_char(auth, '@') >= 0)
		return bad(url, "user name and password do not belong into a URL", err);
	*host = host_of(auth);
	if (host->n == 0 || host->n >= sizeof(((struct zk_origin *)0)->host))
		return bad(url, "the host is missing or malformed", err);
	rest = zk_str_from(auth, host->n);
	if (rest.n && rest.p[0] != ':')
		return bad(url, "the host is malformed", err);
	return rest.n ? parse_port(url, zk_str_from(rest, 1), port, err) : 0;
}

int zk_origin_parse(zk_str url, struct zk_origin *ret, struct zk_error *err)
{
	bool https = zk_str_starts_nocase(url, ZK_STR("https://"));
	unsigned port = https ? 443 : 80;
	zk_str host = ZK_STR_NULL;
	int r = check_bytes(url, err);

	if (r < 0)
		return r;
	if (!https && !zk_str_starts_nocase(url, ZK_STR("http://")))
		return bad(url, "it does not begin with http:// or https://", err);
	r = parse_authority(url, authority_of(zk_str_from(url, https ? 8 : 7)), &host,
	                    &port, err);
	if (r < 0 || !ret)
		return r;
	*ret = (struct zk_origin){ .https = https, .port = port };
	for (size_t i = 0; i < host.n; i++)
		ret->host[i] =
		        (char)(host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] + 32
		                                                    : host.p[i]);
	return 0;
}

bool zk_origin_eq(const struct zk_origin *a, const struct zk_origin *b)
{
	return a->https == b->https && a->port == b->port &&
	       strcmp(a->host, b->host) == 0;
}

void zk_origin_format(const struct zk_origin *o, struct zk_buf *b)
{
	zk_buf_printf(b, "%s://%s:%u", o->https ? "https" : "http", o->host, o->port);
}
