/* Address ranges and the SSRF guard (specs/triggers.md §10): both sides of every
 * boundary. Layer: tests. */
#include "net/guard.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/ban.h"

#define P "private"
#define L "link-local"
#define M "multicast"
#define R "reserved"

static const struct {
	const char *ip;
	const char *reason; /* NULL = may be contacted */
} addresses[] = {
	{ "0.0.0.0", R },
	{ "0.255.255.255", R },
	{ "1.0.0.0", NULL },
	{ "9.255.255.255", NULL },
	{ "10.0.0.0", P },
	{ "10.255.255.255", P },
	{ "11.0.0.0", NULL },
	{ "100.63.255.255", NULL },
	{ "100.64.0.0", P },
	{ "100.127.255.255", P },
	{ "100.128.0.0", NULL },
	{ "126.255.255.255", NULL },
	{ "127.0.0.0", P },
	{ "127.0.0.1", P },
	{ "127.255.255.255", P },
	{ "128.0.0.0", NULL },
	{ "169.253.255.255", NULL },
	{ "169.254.0.0", L },
	{ "169.254.169.254", L },
	{ "169.254.255.255", L },
	{ "169.255.0.0", NULL },
	{ "172.15.255.255", NULL },
	{ "172.16.0.0", P },
	{ "172.31.255.255", P },
	{ "172.32.0.0", NULL },
	{ "191.255.255.255", NULL },
	{ "192.0.0.0", R },
	{ "192.0.0.255", R },
	{ "192.0.1.0", NULL },
	{ "192.0.1.255", NULL },
	{ "192.0.2.0", R },
	{ "192.0.2.255", R },
	{ "192.0.3.0", NULL },
	{ "192.88.98.255", NULL },
	{ "192.88.99.0", R },
	{ "192.88.99.255", R },
	{ "192.88.100.0", NULL },
	{ "192.167.255.255", NULL },
	{ "192.168.0.0", P },
	{ "192.168.255.255", P },
	{ "192.169.0.0", NULL },
	{ "198.17.255.255", NULL },
	{ "198.18.0.0", R },
	{ "198.19.255.255", R },
	{ "198.20.0.0", NULL },
	{ "198.51.99.255", NULL },
	{ "198.51.100.0", R },
	{ "198.51.100.255", R },
	{ "198.51.101.0", NULL },
	{ "203.0.112.255", NULL },
	{ "203.0.113.0", R },
	{ "203.0.113.255", R },
	{ "203.0.114.0", NULL },
	{ "223.255.255.255", NULL },
	{ "224.0.0.0", M },
	{ "239.255.255.255", M },
	{ "240.0.0.0", R },
	{ "255.255.255.255", R },

	{ "::", R },
	{ "::1", P },
	{ "ff::", NULL },
	{ "100::", R },
	{ "100::ffff:ffff:ffff:ffff", R },
	{ "100:0:0:1::", NULL },
	{ "2001::", R },
	{ "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", R },
	{ "2001:1::", NULL },
	{ "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
	{ "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
	{ "2001:db8::", R },
	{ "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", R },
	{ "2001:db9::", NULL },
	{ "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
	{ "fc00::", P },
	{ "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", P },
	{ "fe00::", NULL },
	{ "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
	{ "fe80::", L },
	{ "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", L },
	{ "fec0::", P },
	{ "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", P },
	{ "ff00::", M },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", M },
	{ "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", NULL },
	{ "64:ff9b:1::", R },
	{ "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", R },
	{ "64:ff9b:2::", NULL },
	{ "2606:2800:220:1::1", NULL },
	{ "fe80::1%lo", L },

	/* IPv4 inside IPv6 */
	{ "::ffff:127.0.0.1", P },
	{ "::ffff:10.0.0.1", P },
	{ "::ffff:8.8.8.8", NULL },
	{ "::ffff:169.254.169.254", L },
	{ "::ffff:0.0.0.0", R },
	{ "::fffe:127.0.0.1", NULL },
	{ "::127.0.0.1", P },
	{ "::10.1.2.3", P },
	{ "::8.8.8.8", NULL },
	{ "::2", R },
	{ "64:ff9b::7f00:1", P },
	{ "64:ff9b::a00:1", P },
	{ "64:ff9b::808:808", NULL },
	{ "64:ff9b::a9fe:a9fe", L },
	{ "64:ff9b:0:0:0:1:a00:1", NULL },
	{ "2002:7f00:1::", P },
	{ "2002:a00:1::1", P },
	{ "2002:c0a8:101:ffff::1", P },
	{ "2002:808:808::", NULL },
	{ "2003:a00:1::", NULL },
	{ "2002:e000:1::", M },
};

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *judge_sa(const struct zk_guard *g, const char *ip)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(80) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };

	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		return zk_guard_judge(g, (struct sockaddr *)&in);
	cr_assert_eq(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1, "%s", ip);
	return zk_guard_judge(g, (struct sockaddr *)&in6);
}

Test(guard, every_boundary)
{
	const struct zk_guard g = { 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(addresses); i++) {
		const char *ip = addresses[i].ip;

		const char *want = addresses[i].reason;

		cr_expect(is_same(zk_guard_judge_text(&g, ip, 80), want), "%s is not %s",
		          ip, want ? want : "allowed");
		if (!strchr(ip, '%'))
			cr_expect(is_same(judge_sa(&g, ip), want),
			          "%s in binary is not %s", ip, want ? want : "allowed");
	}
}

Test(guard, what_is_no_address_is_blocked)
{
	static const char *const texts[] = { "",           "localhost", "127.1",
		                             "0x7f000001", "1.2.3.4.5", "::1::",
		                             "[::1]",      "999.1.1.1", "%lo" };
	const struct zk_guard g = { 0 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	for (size_t i = 0; i < ZK_ARRAY_LEN(texts); i++)
		cr_expect_str_eq(zk_guard_judge_text(&g, texts[i], 80),
		                 "not an internet address", "'%s'", texts[i]);
	cr_expect_str_eq(zk_guard_judge(&g, (struct sockaddr *)&un),
	                 "not an internet address");
}

Test(guard, allow_all)
{
	const struct zk_guard g = { .allow_all = true };

	for (size_t i = 0; i < ZK_ARRAY_LEN(addresses); i++)
		cr_expect_null(zk_guard_judge_text(&g, addresses[i].ip, 80));
}

Test(guard, allowed_ranges)
{
	static const struct {
		const char *allow, *ip;
		bool ok;
	} cases[] = {
		{ "127.0.0.1/32", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.2", false },
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "192.168.0.1", false },
		/* every form that carries the allowed IPv4 address */
		{ "10.0.0.0/8", "::ffff:10.0.0.1", true },
		{ "10.0.0.0/8", "64:ff9b::a00:1", true },
		{ "10.0.0.0/8", "2002:a00:1::", true },
		{ "10.0.0.0/8", "::10.0.0.1", true },
		{ "64:ff9b::/96", "64:ff9b::a00:1", true },
		{ "64:ff9b::/96", "10.0.0.1", false },
		/* an IPv6 range says nothing about IPv4 */
		{ "::/0", "10.0.0.1", false },
		{ "::/0", "::ffff:10.0.0.1", false },
		{ "::/0", "fd00::1", true },
		{ "::ffff:0:0/96", "10.0.0.1", true },
		{ "0.0.0.0/0", "10.0.0.1", true },
		{ "0.0.0.0/0", "fd00::1", false },
		{ "fd00::/8", "fd12::1", true },
		{ "fd00::/8", "fc12::1", false },
		{ "::1", "::1", true },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_cidr range;
		struct zk_guard g = { .allow = &range, .n_allow = 1 };

		cr_assert_eq(zk_cidr_parse(zk_str_of(cases[i].allow), &range, &err), 0,
		             "%s", err.msg);
		cr_expect_eq(!zk_guard_judge_text(&g, cases[i].ip, 80), cases[i].ok,
		             "%s with %s allowed", cases[i].ip, cases[i].allow);
	}
}

static bool is_self(void *ctx, const char *ip, int port)
{
	(void)ctx;
	return strcmp(ip, "127.0.0.1") == 0 && port == 8080;
}

Test(guard, own_listeners_stay_blocked_in_an_allowed_range)
{
	struct zk_cidr range;
	struct zk_error err;
	struct zk_guard g = { .allow = &range, .n_allow = 1, .is_self = is_self };

	cr_assert_eq(zk_cidr_parse(ZK_STR("127.0.0.0/8"), &range, &err), 0);
	cr_expect_str_eq(zk_guard_judge_text(&g, "127.0.0.1", 8080), "own listener");
	cr_expect_str_eq(zk_guard_judge_text(&g, "::ffff:127.0.0.1", 8080),
	                 "own listener");
	cr_expect_str_eq(zk_guard_judge_text(&g, "64:ff9b::7f00:1", 8080),
	                 "own listener");
	cr_expect_null(zk_guard_judge_text(&g, "127.0.0.1", 8081));
	cr_expect_null(zk_guard_judge_text(&g, "127.0.0.2", 8080));
	g.allow_all = true;
	cr_expect_null(zk_guard_judge_text(&g, "127.0.0.1", 8080));
}

Test(cidr, parse)
{
	static const struct {
		const char *text;
		unsigned bits;     /* 999 = malformed */
		const char *first; /* address of the range */
	} cases[] = {
		{ "10.0.0.0/8", 104, "::ffff:10.0.0.0" },
		{ "10.1.2.3/8", 104, "::ffff:10.0.0.0" },
		{ "10.1.2.3/0", 96, "::ffff:0.0.0.0" },
		{ "10.1.2.3/12", 108, "::ffff:10.0.0.0" },
		{ "10.31.2.3/12", 108, "::ffff:10.16.0.0" },
		{ "10.1.2.3/32", 128, "::ffff:10.1.2.3" },
		{ "10.1.2.3", 128, "::ffff:10.1.2.3" },
		{ "fd00::/8", 8, "fd00::" },
		{ "fdff:1::/8", 8, "fd00::" },
		{ "::/0", 0, "::" },
		{ "2001:db8::1/128", 128, "2001:db8::1" },
		{ "2001:db8::1/127", 127, "2001:db8::" },
		{ "", 999, NULL },
		{ "/8", 999, NULL },
		{ "10.0.0.0/", 999, NULL },
		{ "10.0.0.0/33", 999, NULL },
		{ "10.0.0.0/-1", 999, NULL },
		{ "10.0.0.0/+8", 999, NULL },
		{ "10.0.0.0/8 ", 999, NULL },
		{ " 10.0.0.0/8", 999, NULL },
		{ "10.0.0/8", 999, NULL },
		{ "10.0.0.256/8", 999, NULL },
		{ "010.0.0.1", 999, NULL },
		{ "::/129", 999, NULL },
		{ "::/0128", 999, NULL },
		{ "fe80::1%lo/64", 999, NULL },
		{ "::1/8/8", 999, NULL },
		{ "localhost", 999, NULL },
		{ "0000:0000:0000:0000:0000:0000:0000:0000:0000/8", 999, NULL },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_cidr c = { .bits = 7777 };
		uint8_t want[16];
		bool bad = cases[i].bits == 999;

		cr_expect_eq(zk_cidr_parse(zk_str_of(cases[i].text), &c, &err),
		             bad ? -ZK_E_DATA : 0, "'%s'", cases[i].text);
		cr_expect_eq(c.bits, bad ? 7777 : cases[i].bits, "'%s': %u",
		             cases[i].text, c.bits);
		if (bad)
			continue;
		cr_assert_eq(inet_pton(AF_INET6, cases[i].first, want), 1);
		cr_expect_arr_eq(c.addr, want, 16, "'%s'", cases[i].text);
	}
}

Test(cidr, a_nul_does_not_end_the_text)
{
	struct zk_error err;
	struct zk_cidr c;

	cr_expect_eq(zk_cidr_parse(ZK_STR("10.0.0.1\0.example"), &c, &err), -ZK_E_DATA);
}
