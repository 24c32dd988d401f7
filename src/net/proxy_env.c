/* Which proxy of the environment serves a host.
 * Layer: net. specs/zerobus.md §3.1. */
#include "net/proxy_env.h"

#include <stdlib.h>

#include "base/ban.h"

static const char *first_of(const char *const *names)
{
	for (; *names; names++) {
		const char *v = getenv(*names);

		if (v && v[0])
			return v;
	}
	return NULL;
}

/* Whether `host` is `rule` or lies below it: suffixes match on the borders of labels. */
static bool rule_fits(zk_str rule, zk_str host)
{
	if (zk_str_eq(rule, ZK_STR("*")))
		return true;
	while (rule.n && rule.p[0] == '.')
		rule = zk_str_from(rule, 1);
	if (!rule.n || rule.n > host.n)
		return false;
	return zk_str_eq_nocase(zk_str_from(host, host.n - rule.n), rule) &&
	       (rule.n == host.n || host.p[host.n - rule.n - 1] == '.');
}

static bool is_exempt(const char *const *names, zk_str host)
{
	zk_str rules = zk_str_of(first_of(names)), rule;

	while (rules.n) {
		rules = zk_str_cut(rules, ',', &rule);
		if (rule_fits(zk_str_trim(rule), host))
			return true;
	}
	return false;
}

const char *zk_proxy_env(enum zk_proxy_for what, zk_str host)
{
	static const char *const names[][7] = {
		[ZK_PROXY_HTTP] = { "http_proxy", "all_proxy", "ALL_PROXY" },
		[ZK_PROXY_HTTPS] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
		                     "ALL_PROXY" },
		[ZK_PROXY_GRPC] = { "grpc_proxy", "GRPC_PROXY", "http_proxy", "all_proxy",
		                    "ALL_PROXY" },
		[ZK_PROXY_GRPCS] = { "grpc_proxy", "GRPC_PROXY", "https_proxy",
		                     "HTTPS_PROXY", "all_proxy", "ALL_PROXY" },
	};
	static const char *const exempt[] = { "no_grpc_proxy", "NO_GRPC_PROXY",
		                              "no_proxy", "NO_PROXY", NULL };
	bool grpc = what == ZK_PROXY_GRPC || what == ZK_PROXY_GRPCS;
	const char *v = first_of(names[what]);

	return v && !is_exempt(grpc ? exempt : exempt + 2, host) ? v : NULL;
}
