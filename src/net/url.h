/* URLs, parsed by the parser that later sends the request (libcurl's).
 * Layer: net. Opens libcurl on first use, but not for a plain URL (a name or an address, a port, a
 * path and a query of the characters that RFC 3986 has for them), which every parser reads alike. */
#ifndef ZK_NET_URL_H
#define ZK_NET_URL_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;

struct zk_url {
	char *scheme; /* lower case */
	char *host; /* as the parser normalised it, lower case; IPv6 without brackets and zone */
	char *path, *query; /* query NULL when none */
	char *user; /* NULL when the URL has neither user name nor password; may be "" */
	int port;   /* default of the scheme filled in */
	char *text; /* normalised, without fragment */
};

/* http and https only, host not empty, at most 2,048 bytes, no white space or control
 * characters, UTF-8. 0 or -ZK_E_URL with a message naming the rule; -ZK_E_LIBRARY. */
int zk_url_parse(zk_str s, struct zk_url *ret, struct zk_error *err) ZK_MUST_USE;
void zk_url_done(struct zk_url *u);
/* A plain URL in parts of the text itself: false for what is not plain. */
struct zk_url_parts {
	bool tls;
	zk_str host, path,
	        query; /* path empty or with its '/'; query p == NULL when none */
	int port;
};
bool zk_url_split(zk_str s, struct zk_url_parts *ret);
/* The two ways of zk_url_parse, for its tests: false for what is not plain; all by libcurl. */
bool zk_url_plain(zk_str s, struct zk_url *ret);
int zk_url_parse_all(zk_str s, struct zk_url *ret, struct zk_error *err) ZK_MUST_USE;
/* What the reference `to` means as seen from `base` (RFC 3986 §5); the caller frees. NULL when it is
 * malformed. Opens libcurl. */
char *zk_url_join(const char *base, zk_str to);
/* "https://host:port" of a parsed URL, port always there. */
void zk_url_origin(const struct zk_url *u, struct zk_buf *b);
/* Whether a credential for one may be sent to the other: scheme, host and port are the same. */
bool zk_url_same_origin(const struct zk_url *a, const struct zk_url *b);
/* Whether the host is an IPv4 or IPv6 address and no name. */
bool zk_url_has_address(const struct zk_url *u);

#endif
