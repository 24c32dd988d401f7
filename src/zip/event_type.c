/* Types of Zeal events, and patterns on them.
 * Layer: zip. */
#include "zip/event_type.h"

#include <string.h>

#include "base/attr.h"
#include "base/buf.h"
#include "codec/jwrite.h"

#include "base/ban.h"

/* In the order of their names. */
static const struct {
	const char *type, *source;
} types[] = {
	{ "connection.added", "crdt" },
	{ "connection.deleted", "crdt" },
	{ "execution.completed", "execution" },
	{ "execution.failed", "execution" },
	{ "execution.started", "execution" },
	{ "group.created", "crdt" },
	{ "group.deleted", "crdt" },
	{ "group.updated", "crdt" },
	{ "node.added", "crdt" },
	{ "node.deleted", "crdt" },
	{ "node.updated", "crdt" },
	{ "template.registered", "template" },
	{ "trace.event", "trace" },
	{ "workflow.created", "workflow" },
	{ "workflow.deleted", "workflow" },
	{ "workflow.updated", "workflow" },
};

const char *zk_zip_event_source(zk_str type)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++)
		if (zk_str_eq(type, zk_str_of(types[i].type)))
			return types[i].source;
	return NULL;
}

bool zk_zip_pattern_match(zk_str pattern, zk_str type)
{
	if (zk_str_eq(pattern, ZK_STR("*")) || zk_str_eq(pattern, type))
		return true;
	if (pattern.n < 3 || pattern.p[pattern.n - 1] != '*' ||
	    pattern.p[pattern.n - 2] != '.')
		return false;
	return zk_str_starts(type, zk_str_n(pattern.p, pattern.n - 1));
}

static bool any_match(const char *const *patterns, size_t n, zk_str type)
{
	for (size_t i = 0; i < n; i++)
		if (zk_zip_pattern_match(zk_str_of(patterns[i]), type))
			return true;
	return false;
}

static bool is_known(const char *pattern)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++)
		if (zk_zip_pattern_match(zk_str_of(pattern), zk_str_of(types[i].type)))
			return true;
	return false;
}

static bool is_all(const char *const *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(patterns[i], "*") == 0)
			return true;
	return n == 0;
}

void zk_zip_pattern_send(const char *const *patterns, size_t n, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_arr(&w);
	if (is_all(patterns, n)) {
		zk_jw_cstr(&w, "*");
		zk_jw_arr_end(&w);
		return;
	}
	for (size_t i = 0; i < ZK_ARRAY_LEN(types); i++)
		if (any_match(patterns, n, zk_str_of(types[i].type)))
			zk_jw_printf(&w, "%s.%s", types[i].source, types[i].type);
	for (size_t i = 0; i < n; i++)
		if (!is_known(patterns[i]))
			zk_jw_cstr(&w, patterns[i]);
	zk_jw_arr_end(&w);
}
