/* Which proxy of the environment serves a gRPC endpoint.
 * Layer: net. specs/zerobus.md §3.1. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/conn.h"

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

static bool is_exempt(zk_str host)
{
	static const char *const names[] = { "no_grpc_proxy", "NO_GRPC_PROXY", "no_proxy",
		                             "NO_PROXY", NULL };
	zk_str rules = zk_str_of(first_of(names)), rule;

	while (rules.n) {
		rules = zk_str_cut(rules, ',', &rule);
		if (rule_fits(zk_str_trim(rule), host))
			return true;
	}
	return false;
}

bool zk_conn_proxy(zk_str scheme, zk_str host, struct zk_buf *ret)
{
	static const char *const tls[] = { "grpc_proxy",  "GRPC_PROXY", "https_proxy",
		                           "HTTPS_PROXY", "all_proxy",  "ALL_PROXY",
		                           NULL };
	static const char *const plain[] = { "grpc_proxy", "GRPC_PROXY", "http_proxy",
		                             "all_proxy",  "ALL_PROXY",  NULL };
	const char *v = first_of(zk_str_eq(scheme, ZK_STR("https")) ? tls : plain);

	if (!v || is_exempt(host))
		return false;
	zk_buf_cstr(ret, v);
	return true;
}
