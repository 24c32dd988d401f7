/* SSRF guard: which addresses a request may connect to, judged on the address actually used.
 * Layer: net. Pure after set-up; loop thread. specs/triggers.md §10. */
#ifndef ZK_NET_GUARD_H
#define ZK_NET_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct sockaddr;

struct zk_cidr {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;    /* 0..128 */
};

/* "10.0.0.0/8", "fd00::/8", a bare address; bits behind the prefix are cleared. 0 or
 * -ZK_E_DATA. */
int zk_cidr_parse(zk_str s, struct zk_cidr *ret, struct zk_error *err) ZK_MUST_USE;
/* IPv4 addresses (::ffff:0:0/96) are only in ranges of IPv4: ::/0 holds none of them. */
bool zk_cidr_has(const struct zk_cidr *c, const uint8_t addr[16]);

struct zk_guard {
	bool allow_all;        /* --allow-private-webhooks; lifts everything */
	struct zk_cidr *allow; /* --webhook-allow */
	size_t n_allow;
	/* True for the server's own listeners, which stay blocked whatever is allowed by range;
	 * may be NULL. */
	bool (*is_self)(void *ctx, const char *ip, int port);
	void *ctx;
};

/* NULL when the address may be contacted, else a static reason: "private" (loopback too),
 * "link-local", "multicast", "reserved", "own listener", "not an internet address". An IPv6
 * address that carries one of IPv4 is judged by both, and a range of either kind lifts it. A
 * zone behind the address ("%eth0") is ignored. */
const char *zk_guard_judge(const struct zk_guard *g, const struct sockaddr *sa);
const char *zk_guard_judge_text(const struct zk_guard *g, const char *ip, int port);

#endif
