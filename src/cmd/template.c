/* `zk template`: its group, and what its commands share.
 * Layer: cmd. specs/zeal-zip.md §4. */
#include "cmd/template.h"

#include "base/map.h"
#include "cmd/cmds.h"
#include "codec/jscan.h"

#include "base/ban.h"

#define LIST_MAX ((size_t)256 << 20)

const struct zk_cmd zk_cmd_template = {
	.path = "template",
	.section = "Workflows",
	.help = "register, list, lint, diff, delete node templates",
	.about = "Node templates are what workflows are made of. They live in files and "
	         "are "
	         "registered with a Zeal server in a namespace.",
	.see = "man zk-template",
};

const struct zk_cmd zk_cmd_template_category = {
	.path = "template category",
	.help = "the categories that templates are filed under",
	.see = "man zk-template",
};

const struct zk_cmd zk_cmd_template_bundle = {
	.path = "template bundle",
	.help = "display elements that templates bring along",
	.see = "man zk-template",
};

/* A database entry has `name`, a canonical one `id`. */
static void add_category(struct zk_map *ret, zk_str object)
{
	struct zk_jval v;
	zk_str name;

	if ((zk_jscan_get(object, ZK_STR("name"), &v) ||
	     zk_jscan_get(object, ZK_STR("id"), &v)) &&
	    v.type == ZK_J_STRING && zk_jstr_plain(v.raw, &name))
		(void)zk_map_set(ret, name, ret);
}

int template_categories(struct zeal *z, struct zk_map *ret, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_req rq = { .route = "/categories" };
	struct zk_jiter it;
	struct zk_jval list, v;

	zk_buf_init(&body, LIST_MAX);
	if (zk_zip_call(z->zip, &rq, &body, NULL, err) < 0)
		return -(int)err->code;
	if (!zk_jscan_get(zk_buf_str(&body), ZK_STR("categories"), &list) ||
	    list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no categories");
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v))
		add_category(ret, v.raw);
	return 0;
}

int template_namespace(const char *given, zk_str *ret, struct zk_error *err)
{
	*ret = zk_str_of(given);
	if (ret->n)
		return 0;
	(void)zk_fail(err, ZK_E_USAGE, "no namespace is given");
	return zk_err_hint(err, "use -n NS, ZK_ZEAL_NAMESPACE or zeal.namespace");
}
