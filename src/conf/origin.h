/* Origin of an http or https URL: what a credential is bound to (ux.md §5).
 * Layer: conf. Pure.
 *
 * Stricter than what servers accept, so that every URL parser behind it sees the same host:
 * no user info, no backslash, no white space, host of letters, digits, '.', '-', '_' or [V6]. */
#ifndef ZK_CONF_ORIGIN_H
#define ZK_CONF_ORIGIN_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_origin {
	bool https;
	char host[254]; /* lower case, with the brackets of [V6] */
	unsigned port;  /* the default of the scheme filled in */
};

/* 0, or -ZK_E_URL with a message naming the rule. `ret` may be NULL. */
int zk_origin_parse(zk_str url, struct zk_origin *ret, struct zk_error *err) ZK_MUST_USE;
bool zk_origin_eq(const struct zk_origin *a, const struct zk_origin *b);
/* "https://host:443"; appended. */
struct zk_buf;
void zk_origin_format(const struct zk_origin *o, struct zk_buf *b);

#endif
