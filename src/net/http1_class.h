/* Classes of bytes in HTTP/1.x heads.
 * Layer: net, private to src/net/http1*.c. */
#ifndef ZK_NET_HTTP1_CLASS_H
#define ZK_NET_HTTP1_CLASS_H

#include <stdbool.h>
#include <stdint.h>

enum zk_http1_class {
	ZK_HTTP1_TOKEN = 1, /* RFC 9110 §5.6.2 */
	/* Visible ASCII without " # < >, which every URL parser in use encodes. */
	ZK_HTTP1_TARGET = 2,
	ZK_HTTP1_HOST = 4, /* reg-name of RFC 3986 §3.2.2, '%' included */
	ZK_HTTP1_CTL = 8, /* ends or spoils a line: control characters but the tab, DEL */
};

extern const uint8_t zk_http1_classes[256];

static inline bool zk_http1_is(char c, enum zk_http1_class class)
{
	return (zk_http1_classes[(unsigned char)c] & class) != 0;
}

static inline bool zk_http1_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool zk_http1_is_hex(char c)
{
	return zk_http1_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

#endif
