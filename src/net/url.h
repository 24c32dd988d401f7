/* URLs, parsed by the parser that later sends the request (libcurl's).
 * Layer: net. Opens libcurl on first use. */
#ifndef ZK_NET_URL_H
#define ZK_NET_URL_H

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_url {
	char *scheme, *host, *path, *query, *user; /* NUL-terminated; user NULL when none */
	int port;				    /* default of the scheme filled in */
	char *text;				    /* normalised, without fragment */
};

/* http and https only, host not empty, at most 2,048 bytes, no white space or control
 * characters. 0 or -ZK_E_URL with a message naming the rule. */
int zk_url_parse(zk_str s, struct zk_url *ret, struct zk_error *err) ZK_MUST_USE;
void zk_url_done(struct zk_url *u);
/* "https://host:port" of a parsed URL. */
struct zk_buf;
void zk_url_origin(const struct zk_url *u, struct zk_buf *b);

#endif
