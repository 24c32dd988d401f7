/* ${NAME} in values of configuration files.
 * Layer: conf. */
#include "conf/expand.h"

#include <stdlib.h>
#include <string.h>

#include "base/ban.h"

static bool is_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

bool zk_expand_is_needed(zk_str text)
{
	return zk_str_find(text, ZK_STR("${")) >= 0;
}

static int bad_reference(struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_CONFIG_VALUE, "a ${...} in the value is malformed");
	return zk_err_hint(
	        err, "${NAME}, ${NAME:-default} or ${NAME:?why}; $${ for a plain ${");
}

static int unset(zk_str name, zk_str why, struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_CONFIG_ENV, "the variable %.*s is not set%s%.*s",
	              (int)ZK_MIN(name.n, (size_t)80), name.p, why.n ? ": " : "",
	              (int)ZK_MIN(why.n, (size_t)160), why.n ? why.p : "");
	return zk_err_hint(err, "set it, or give a default: ${%.*s:-default}",
	                   (int)ZK_MIN(name.n, (size_t)80), name.p);
}

/* One reference; `inside` is what stands between the braces. */
static int expand_one(zk_str inside, struct zk_buf *b, struct zk_error *err)
{
	char name[128];
	const char *value;
	zk_str rest;
	size_t n = 0;

	while (n < inside.n && is_name_char(inside.p[n], n == 0))
		n++;
	if (n == 0 || n >= sizeof(name))
		return bad_reference(err);
	memcpy(name, inside.p, n);
	name[n] = '\0';
	rest = zk_str_from(inside, n);
	if (rest.n && !zk_str_starts(rest, ZK_STR(":-")) &&
	    !zk_str_starts(rest, ZK_STR(":?")))
		return bad_reference(err);
	value = getenv(name);
	if (value && value[0]) {
		zk_buf_cstr(b, value);
		return 0;
	}
	if (zk_str_starts(rest, ZK_STR(":-"))) {
		zk_buf_add(b, zk_str_from(rest, 2));
		return 0;
	}
	return unset(zk_str_n(inside.p, n), zk_str_from(rest, 2), err);
}

int zk_expand(zk_str text, struct zk_buf *b, struct zk_error *err)
{
	while (text.n) {
		ptrdiff_t at = zk_str_find(text, ZK_STR("${")), end;
		int r;

		if (at < 0) {
			zk_buf_add(b, text);
			return 0;
		}
		if (at > 0 && text.p[at - 1] == '$') {
			zk_buf_add(b, zk_str_n(text.p, (size_t)at - 1));
			zk_buf_lit(b, "${");
			text = zk_str_from(text, (size_t)at + 2);
			continue;
		}
		zk_buf_add(b, zk_str_n(text.p, (size_t)at));
		text = zk_str_from(text, (size_t)at + 2);
		end = zk_str_find_char(text, '}');
		if (end < 0)
			return bad_reference(err);
		r = expand_one(zk_str_n(text.p, (size_t)end), b, err);
		if (r < 0)
			return r;
		text = zk_str_from(text, (size_t)end + 1);
	}
	return 0;
}
