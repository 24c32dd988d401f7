/* What the commands of `zk template` share.
 * Layer: cmd. */
#ifndef ZK_CMD_TEMPLATE_H
#define ZK_CMD_TEMPLATE_H

#include "cmd/zeal.h"
#include "zip/template.h"

#define NAMESPACE_ROW(type_, member)                                               \
	{                                                                          \
		.type = ZK_OPT_STR, .key = 'n', .name = "namespace", .meta = "NS", \
		.off = offsetof(type_, member), .help = "owner of the ids",        \
	}

/* The names of categories that the server knows, as keys of `ret` (made with zk_map_init). */
struct zk_map;
int template_categories(struct zeal *z, struct zk_map *ret,
                        struct zk_error *err) ZK_MUST_USE;
/* The namespace of -n or the profile; empty when neither says it. -ZK_E_USAGE then. */
int template_namespace(const char *given, zk_str *ret, struct zk_error *err) ZK_MUST_USE;

#endif
