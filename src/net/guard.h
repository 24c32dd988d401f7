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
	unsigned bits;	  /* 0..128 */
};

/* "10.0.0.0/8", "fd00::/8", a bare address; 0 or -ZK_E_DATA. */
int zk_cidr_parse(zk_str s, struct zk_cidr *ret, struct zk_error *err) ZK_MUST_USE;
bool zk_cidr_has(const struct zk_cidr *c, const uint8_t addr[16]);

struct zk_guard {
	bool allow_all;		/* --allow-private-webhooks */
	struct zk_cidr *allow;	/* --webhook-allow */
	size_t n_allow;
	/* True for the server's own listeners, which stay blocked whatever is allowed by range;
	 * may be NULL. */
	bool (*is_self)(void *ctx, const char *ip, int port);
	void *ctx;
};

/* NULL when the address may be contacted, else a static reason: "private", "loopback",
 * "link-local", "multicast", "reserved", "own listener" … */
const char *zk_guard_judge(const struct zk_guard *g, const struct sockaddr *sa);
const char *zk_guard_judge_text(const struct zk_guard *g, const char *ip, int port);

#endif
