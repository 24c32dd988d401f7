/* A template of a file against what a server shows of it.
 * Layer: zip. specs/zeal-zip.md §4.4. */
#include <string.h>

#include "base/buf.h"
#include "zip/register.h"

#include "base/ban.h"

/* What a list shows; what it leaves out [T 7] is known from the last registration only. */
static const char *const shown[] = { "title",       "subtitle",     "category",
	                             "subcategory", "description",  "icon",
	                             "variant",     "shape",        "size",
	                             "properties",  "propertyRules" };

static const char *const hidden[] = { "type", "ports", "runtime", "display" };

/* What the server writes where nothing was given. */
static zk_str default_of(const char *name)
{
	if (strcmp(name, "variant") == 0)
		return ZK_STR("gray-700");
	if (strcmp(name, "shape") == 0)
		return ZK_STR("rectangle");
	if (strcmp(name, "size") == 0)
		return ZK_STR("medium");
	return ZK_STR("");
}

static bool is_empty(const struct zk_node *n)
{
	return !n || zk_zip_type(n) == ZK_J_NULL || (n->kind != ZK_NODE_SCALAR && !n->n);
}

static bool same_member(const char *name, const struct zk_node *want,
                        const struct zk_node *have)
{
	if (!is_empty(want))
		return have && zk_zip_same(want, have);
	return is_empty(have) || (zk_zip_type(have) == ZK_J_STRING &&
	                          zk_str_eq(have->text, default_of(name)));
}

const char *zk_zip_diff_name(enum zk_zip_diff diff)
{
	static const char *const names[] = { "same", "different", "unknown" };

	return names[diff];
}

static void compare_members(const struct zk_zip_template *t, const struct zk_node *item,
                            const char *const *names, size_t n, struct zk_buf *members)
{
	for (size_t i = 0; i < n; i++) {
		if (same_member(names[i], zk_zip_get(t->node, names[i]),
		                zk_zip_get(item, names[i])))
			continue;
		zk_buf_printf(members, "%s%s", members->n ? "," : "", names[i]);
	}
}

enum zk_zip_diff zk_zip_template_compare(const struct zk_zip_template *t,
                                         const struct zk_node *item, const char *digest,
                                         struct zk_buf *members)
{
	struct zk_buf now ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf rest ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!item)
		return ZK_ZIP_DIFFERENT;
	compare_members(t, item, shown, ZK_ARRAY_LEN(shown), members);
	if (members->n)
		return ZK_ZIP_DIFFERENT;
	/* A server that shows everything needs no memory. */
	zk_buf_init(&rest, 256);
	compare_members(t, item, hidden, ZK_ARRAY_LEN(hidden), &rest);
	if (!rest.n)
		return ZK_ZIP_SAME;
	if (!digest[0])
		return ZK_ZIP_UNKNOWN;
	zk_buf_init(&now, 256);
	zk_zip_template_digest(t, &now);
	if (zk_str_eq(zk_buf_str(&now), zk_str_of(digest)))
		return ZK_ZIP_SAME;
	zk_buf_add(members, zk_buf_str(&rest));
	return ZK_ZIP_DIFFERENT;
}
