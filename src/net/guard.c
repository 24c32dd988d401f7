/* SSRF guard: address ranges and the judgement over one address.
 * Layer: net. specs/triggers.md §10. */
#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ban.h"

#define PRIVATE    "private"
#define LINK_LOCAL "link-local"
#define MULTICAST  "multicast"
#define RESERVED   "reserved"

struct range {
	uint8_t addr[16];
	unsigned bits;
	const char *reason;
};

/* Ranges of IPv4, the bits counted within the 32 of the address. */
static const struct range ranges4[] = {
	{ { 0 }, 8, RESERVED },
	{ { 10 }, 8, PRIVATE },
	{ { 100, 64 }, 10, PRIVATE },
	{ { 127 }, 8, PRIVATE },
	{ { 169, 254 }, 16, LINK_LOCAL },
	{ { 172, 16 }, 12, PRIVATE },
	{ { 192, 0, 0 }, 24, RESERVED },
	{ { 192, 0, 2 }, 24, RESERVED },
	{ { 192, 88, 99 }, 24, RESERVED },
	{ { 192, 168 }, 16, PRIVATE },
	{ { 198, 18 }, 15, RESERVED },
	{ { 198, 51, 100 }, 24, RESERVED },
	{ { 203, 0, 113 }, 24, RESERVED },
	{ { 224 }, 4, MULTICAST },
	{ { 240 }, 4, RESERVED },
};

static const struct range ranges6[] = {
	{ { 0 }, 128, RESERVED },
	{ { [15] = 1 }, 128, PRIVATE },
	{ { 0xfc }, 7, PRIVATE },
	{ { 0xfe, 0x80 }, 10, LINK_LOCAL },
	{ { 0xfe, 0xc0 }, 10, PRIVATE },
	{ { 0xff }, 8, MULTICAST },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, RESERVED },
	{ { 0x20, 0x01 }, 32, RESERVED },
	{ { 0x01 }, 64, RESERVED },
	/* RFC 8215: translated by rules of the site, so it may lead anywhere inside it.
	 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, RESERVED },
};

/* IPv6 forms that carry an IPv4 address, and where. */
static const struct {
	uint8_t addr[16];
	unsigned bits, at;
} carriers[] = {
	{ { [10] = 0xff, [11] = 0xff }, 96, 12 }, /* v4-mapped */
	{ { 0 }, 96, 12 },                        /* v4-compatible */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, 12 },   /* NAT64 */
	{ { 0x20, 0x02 }, 16, 2 },                /* 6to4 */
};

static bool starts_with(const uint8_t *addr, const uint8_t *prefix, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(addr, prefix, bytes) != 0)
		return false;
	return rest == 0 || ((addr[bytes] ^ prefix[bytes]) >> (8 - rest)) == 0;
}

static void map_v4(const uint8_t v4[4], uint8_t ret[16])
{
	memset(ret, 0, 10);
	ret[10] = ret[11] = 0xff;
	memcpy(ret + 12, v4, 4);
}

static bool is_mapped(const uint8_t addr[16])
{
	return starts_with(addr, carriers[0].addr, carriers[0].bits);
}

static bool to_text(zk_str s, char *text, size_t room)
{
	if (s.n >= room || s.n == 0 || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return true;
}

int zk_cidr_parse(zk_str s, struct zk_cidr *ret, struct zk_error *err)
{
	struct zk_cidr c = { .bits = 128 };
	char text[INET6_ADDRSTRLEN];
	zk_str addr, bits = zk_str_cut(s, '/', &addr);
	uint8_t v4[4];
	uint64_t n, max = 128;

	if (!to_text(addr, text, sizeof(text)))
		goto bad;
	if (inet_pton(AF_INET, text, v4) == 1) {
		map_v4(v4, c.addr);
		max = 32;
	} else if (inet_pton(AF_INET6, text, c.addr) != 1) {
		goto bad;
	}
	if (bits.p) {
		struct zk_error ignored;

		if (bits.n > 3 || zk_parse_u64(bits, &n, &ignored) < 0 || n > max)
			goto bad;
		c.bits = (unsigned)(128 - max + n);
	}
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = c.bits > i * 8 ? ZK_MIN(c.bits - i * 8, 8U) : 0;

		c.addr[i] &= (uint8_t)(0xff00 >> keep);
	}
	*ret = c;
	return 0;
bad:
	return zk_fail(err, ZK_E_DATA,
	               "'%.*s' is not an address range such as 10.0.0.0/8 or fd00::/8",
	               (int)ZK_MIN(s.n, (size_t)64), s.n ? s.p : "");
}

bool zk_cidr_has(const struct zk_cidr *c, const uint8_t addr[16])
{
	/* ::/0 means IPv6, not "everything because we keep IPv4 as mapped addresses". */
	if (is_mapped(addr) && (c->bits < 96 || !is_mapped(c->addr)))
		return false;
	return starts_with(addr, c->addr, c->bits);
}

static const char *find(const struct range *r, size_t n, const uint8_t *addr)
{
	for (size_t i = 0; i < n; i++)
		if (starts_with(addr, r[i].addr, r[i].bits))
			return r[i].reason;
	return NULL;
}

static bool is_allowed(const struct zk_guard *g, const uint8_t addr[16])
{
	for (size_t i = 0; i < g->n_allow; i++)
		if (zk_cidr_has(&g->allow[i], addr))
			return true;
	return false;
}

/* The IPv4 address that `addr` carries, as a mapped one; false when it carries none. */
static bool unwrap(const uint8_t addr[16], uint8_t ret[16])
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(carriers); i++)
		if (starts_with(addr, carriers[i].addr, carriers[i].bits)) {
			map_v4(addr + carriers[i].at, ret);
			return true;
		}
	return false;
}

static bool is_self(const struct zk_guard *g, const uint8_t addr[16], int port)
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = is_mapped(addr);

	if (!g->is_self || !inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr,
	                              text, sizeof(text)))
		return false;
	return g->is_self(g->ctx, text, port);
}

static const char *judge(const struct zk_guard *g, const uint8_t addr[16], int port)
{
	uint8_t v4[16];
	const char *reason;
	bool carries = unwrap(addr, v4);

	if (g->allow_all)
		return NULL;
	if (is_self(g, addr, port) || (carries && is_self(g, v4, port)))
		return "own listener";
	/* ::1 and :: carry 0.0.0.1 and 0.0.0.0, but have rows of their own. */
	reason = find(ranges6, ZK_ARRAY_LEN(ranges6), addr);
	if (!reason && carries)
		reason = find(ranges4, ZK_ARRAY_LEN(ranges4), v4 + 12);
	if (!reason || is_allowed(g, addr) || (carries && is_allowed(g, v4)))
		return NULL;
	return reason;
}

const char *zk_guard_judge(const struct zk_guard *g, const struct sockaddr *sa)
{
	uint8_t addr[16];
	in_port_t port;

	/* Copies, because nothing promises that `sa` is aligned for its family. */
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		map_v4((const uint8_t *)&in.sin_addr.s_addr, addr);
		port = in.sin_port;
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(addr, in6.sin6_addr.s6_addr, sizeof(addr));
		port = in6.sin6_port;
	} else {
		return "not an internet address";
	}
	return judge(g, addr, ntohs(port));
}

const char *zk_guard_judge_text(const struct zk_guard *g, const char *ip, int port)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t addr[16], v4[4];
	zk_str zone, bare;

	zone = zk_str_cut(zk_str_of(ip), '%', &bare);
	(void)zone;
	if (!to_text(bare, text, sizeof(text)))
		return "not an internet address";
	if (inet_pton(AF_INET, text, v4) == 1)
		map_v4(v4, addr);
	else if (inet_pton(AF_INET6, text, addr) != 1)
		return "not an internet address";
	return judge(g, addr, port);
}
