/* `zk template category list|register` and `zk template bundle upload|get`.
 * Layer: cmd. specs/zeal-zip.md §4.6. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/lint.h"
#include "cmd/template.h"
#include "codec/digest.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/out.h"

#include "base/ban.h"

#define ANSWER_MAX ((size_t)64 << 20)
#define BUNDLE_MAX 524288u

struct files_opts {
	struct zeal_opts zeal;
	const char *namespace;
};

static const struct zk_opt plain_rows[] = { ZEAL_ROWS, ZK_OPT_END };
static const struct zk_opt ns_rows[] = { ZEAL_ROWS,
	                                 NAMESPACE_ROW(struct files_opts, namespace),
	                                 ZK_OPT_END };

static const struct zk_out_col cols[] = {
	{ .name = "name", .flags = ZK_COL_WHOLE },
	{ .name = "label" },
	{ .name = "nodes", .flags = ZK_COL_RIGHT },
	{ .name = "description" },
	{ .name = "icon", .flags = ZK_COL_EXTRA },
	{ .name = "subcategories", .flags = ZK_COL_EXTRA },
};

/* ---- category list ---- */

/* The first of two names that is there. */
static bool either(zk_str object, const char *a, const char *b, struct zk_jval *ret)
{
	return (zk_jscan_get(object, zk_str_of(a), ret) ||
	        zk_jscan_get(object, zk_str_of(b), ret)) &&
	       ret->type != ZK_J_NULL;
}

static void put_either(struct zk_jwrite *w, const char *name, zk_str object,
                       const char *a, const char *b)
{
	struct zk_jval v;

	if (!either(object, a, b, &v))
		return;
	zk_jw_key(w, name);
	zk_jw_raw(w, v.raw);
}

/* Both shapes of the server in one: the canonical one has id and label, that of the database name
 * and displayName. */
static void put_category(struct zk_jwrite *w, zk_str object, bool sub)
{
	struct zk_jval v, item;
	struct zk_jiter it;
	zk_str digits;

	zk_jw_obj(w);
	put_either(w, "name", object, "name", "id");
	put_either(w, "label", object, "displayName", "label");
	put_either(w, "description", object, "description", "description");
	put_either(w, "icon", object, "icon", "icon");
	/* A number in a text. */
	if (either(object, "totalNodes", "nodeCount", &v)) {
		if (v.type == ZK_J_STRING && zk_jstr_plain(v.raw, &digits))
			v.raw = digits;
		uint64_t n;

		if (zk_jnum_u64(v.raw, &n)) {
			zk_jw_key(w, "nodes");
			zk_jw_u64(w, n);
		}
	}
	if (!sub && zk_jscan_get(object, ZK_STR("subcategories"), &v) &&
	    v.type == ZK_J_ARRAY) {
		zk_jw_key(w, "subcategories");
		zk_jw_arr(w);
		zk_jiter_init(&it, v.raw);
		while (zk_jiter_element(&it, &item))
			put_category(w, item.raw, true);
		zk_jw_arr_end(w);
	}
	zk_jw_obj_end(w);
}

static int put_categories(struct zk_out *out, zk_str body, struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jval list, v;
	struct zk_jiter it;

	zk_buf_init(&b, ANSWER_MAX);
	if (!zk_jscan_get(body, ZK_STR("categories"), &list) || list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no categories");
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v)) {
		struct zk_jwrite w;

		zk_buf_clear(&b);
		zk_jwrite_init(&w, &b);
		put_category(&w, v.raw, false);
		if (zk_out_row(out, zk_buf_str(&b), err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "categories",
		                                   .list = "categories",
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols) };
	struct files_opts *o = opts;
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_out *out = zk_app_out(app, err);
	struct zk_zip_req rq = { .route = "/categories" };
	struct zeal z = { .zip = NULL };
	int r = out ? zeal_open(app, &o->zeal, false, &z, err) : -(int)err->code;

	(void)argc;
	(void)argv;
	zk_buf_init(&body, ANSWER_MAX);
	if (r == 0)
		r = zk_zip_call(z.zip, &rq, &body, NULL, err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	if (r == 0)
		r = put_categories(out, zk_buf_str(&body), err);
	if (r == 0)
		r = zk_out_end(out, err);
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_template_category_list = {
	.path = "template category list",
	.help = "list the categories that the server knows",
	.examples = "zk template category list --jq .name",
	.output = "one row per category: name, label, nodes, description",
	.exits = "0 · 69 an older server · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = plain_rows,
	.opts_size = sizeof(struct files_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = list_run,
};

/* ---- category register ---- */

static const struct zk_zip_schema text = { .form = ZK_ZIP_STRING };
static const struct zk_zip_schema slug = { .form = ZK_ZIP_PATTERN,
	                                   .matches = zk_zip_is_slug,
	                                   .pattern = "^[a-z][a-z0-9-]*$" };
static const struct zk_zip_field sub_fields[] = { { "name", &slug, true },
	                                          { "displayName", &text, true },
	                                          { "description", &text },
	                                          { NULL } };
static const struct zk_zip_schema sub = { .form = ZK_ZIP_OBJECT, .fields = sub_fields };
static const struct zk_zip_schema subs = { .form = ZK_ZIP_ARRAY, .of = &sub };
static const struct zk_zip_field category_fields[] = {
	{ "name", &slug, true }, { "displayName", &text, true }, { "description", &text },
	{ "icon", &text },       { "subcategories", &subs },     { NULL }
};
static const struct zk_zip_schema category = { .form = ZK_ZIP_OBJECT,
	                                       .fields = category_fields };

/* A category, a list of them, or {"categories": []}. */
static void collect(const struct zk_conf_file *f, const struct zk_node *root,
                    struct zk_jwrite *w, size_t *n, struct zk_zip_findings *found)
{
	const struct zk_node *list = zk_zip_get_as(root, "categories", ZK_J_ARRAY);
	const struct zk_node *one = root;

	if (!list && root->kind == ZK_NODE_LIST)
		list = root;
	for (one = list ? list->first : root; one; one = list ? one->next : NULL) {
		struct zk_zip_check c = { .file = f, .found = found };

		(void)zk_zip_schema_check(&c, &category, one);
		zk_zip_schema_unknown(&c, &category, one, "T110");
		if (*n)
			zk_buf_char(w->b, ',');
		zk_zip_json(one, w->b);
		++*n;
	}
}

static int make_body(int argc, char **argv, struct zk_buf *b,
                     struct zk_zip_findings *found, struct zk_error *err)
{
	struct zk_jwrite w;
	size_t n = 0;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "categories");
	zk_jw_arr(&w);
	for (int i = 0; i < argc; i++) {
		struct zk_conf_file *f;

		if (zk_zip_doc_read(argv[i], 1000000, &f, err) < 0)
			return -(int)err->code;
		for (const struct zk_node *root = f->root; root; root = root->next)
			collect(f, root, &w, &n, found);
		zk_conf_file_free(f);
	}
	zk_buf_lit(b, "]}");
	return n ? 0 : zk_fail(err, ZK_E_FORM, "there is no category in it");
}

static int put_items(struct zk_out *out, zk_str body, bool *failed, struct zk_error *err)
{
	struct zk_jval list, v, status;
	struct zk_jiter it;

	if (!zk_jscan_get(body, ZK_STR("categories"), &list) || list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no categories");
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v)) {
		*failed |= zk_jscan_get(v.raw, ZK_STR("status"), &status) &&
		           zk_jstr_eq(status.raw, ZK_STR("error"));
		if (zk_out_row(out, v.raw, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int register_run(struct zk_app *app, void *opts, int argc, char **argv,
                        struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .list = "categories",
		                                   .open = true };
	struct files_opts *o = opts;
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_findings found = { 0 };
	struct zk_out *out = zk_app_out(app, err);
	struct zeal z = { .zip = NULL };
	bool failed = false;
	int r = out ? 0 : -(int)err->code;

	zk_buf_init(&body, ANSWER_MAX);
	zk_buf_init(&answer, ANSWER_MAX);
	if (r == 0)
		r = make_body(argc, argv, &body, &found, err);
	if (r == 0)
		r = lint_refuse(&found, "template", err);
	if (r == 0 && !app->common.dry_run) {
		/* A merge by name: it may be repeated. */
		struct zk_zip_req rq = { .class = ZK_ZIP_R0,
			                 .method = "POST",
			                 .route = "/categories",
			                 .body = zk_buf_str(&body) };

		r = zeal_open(app, &o->zeal, false, &z, err);
		if (r == 0)
			r = zk_zip_call(z.zip, &rq, &answer, NULL, err);
		if (r == 0)
			r = zk_out_begin(out, &shape, err);
		if (r == 0)
			r = put_items(out, zk_buf_str(&answer), &failed, err);
		if (r == 0)
			r = zk_out_end(out, err);
	}
	zeal_close(&z);
	zk_zip_findings_done(&found);
	return r < 0 ? r : failed ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_template_category_register = {
	.path = "template category register",
	.args = "FILE...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "add categories and subcategories",
	.about = "Merged by name: what exists stays as it is, only new subcategories are "
	         "added.",
	.examples = "zk template category register categories.yaml",
	.args_help = "FILE    JSON or YAML: {name, displayName, description, icon, "
	             "subcategories}\n        or a list of them; \"-\" for stdin",
	.output = "one row per category: name, status, subcategoriesAdded",
	.exits = "0 · 3 some refused · 65 · 69 · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = plain_rows,
	.opts_size = sizeof(struct files_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = register_run,
};

/* ---- bundles ---- */

static int read_source(const char *path, struct zk_buf *b, struct zk_error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = 1;

	if (fd < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, errno, "cannot read '%s'", path);
	while (n > 0) {
		char *p = zk_buf_reserve(b, 65536);

		n = p ? read(fd, p, 65536) : 0;
		b->n += n > 0 ? (size_t)n : 0;
	}
	int e = errno;

	if (!is_stdin)
		(void)close(fd);
	if (n < 0)
		return zk_fail_errno(err, ZK_E_NO_INPUT, e, "cannot read '%s'", path);
	if (b->failed || b->n > BUNDLE_MAX)
		return zk_fail(err, ZK_E_LIMIT,
		               "a bundle may have %u bytes, '%s' has more", BUNDLE_MAX,
		               path);
	if (!zk_utf8_valid(zk_buf_str(b)))
		return zk_fail(err, ZK_E_UTF8, "'%s' is no text in UTF-8", path);
	if (b->n && memchr(b->p, '\0', b->n))
		return zk_fail(err, ZK_E_DATA,
		               "'%s' holds U+0000, on which the server fails", path);
	return 0;
}

static int bundle_path(zk_str ns, zk_str id, struct zk_buf *path, struct zk_error *err)
{
	zk_buf_lit(path, "/components");
	if (zk_zip_segment(path, "namespace", ns, err) < 0 ||
	    zk_zip_segment(path, "bundle id", id, err) < 0)
		return -(int)err->code;
	return 0;
}

/* GET; -ZK_E_NOT_FOUND when it is not there. */
static int fetch(struct zeal *z, zk_str ns, zk_str id, struct zk_buf *body,
                 struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&path, 65536);
	if (bundle_path(ns, id, &path, err) < 0)
		return -(int)err->code;
	struct zk_zip_req rq = { .route = "/components/{ns}/{bundleId}",
		                 .path = zk_buf_cstring(&path),
		                 .raw = true };

	return zk_zip_call(z->zip, &rq, body, NULL, err);
}

/* The name is made of the content: what is there already need not be sent. */
static int upload(struct zeal *z, zk_str ns, zk_str source, zk_str id, struct zk_row *row,
                  struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf have ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	int r;

	zk_buf_init(&body, (size_t)8 << 20);
	zk_buf_init(&have, (size_t)8 << 20);
	zk_buf_init(&answer, 1u << 20);
	r = fetch(z, ns, id, &have, err);
	if (r < 0 && r != -ZK_E_NOT_FOUND)
		return r;
	zk_row_str(row, "bundleId", id);
	zk_row_str(row, "namespace", ns);
	zk_row_u64(row, "size", source.n);
	if (r == 0 || z->app->common.dry_run) {
		zk_row_cstr(row, "status", r == 0 ? "unchanged" : "would be uploaded");
		return 0;
	}
	zk_jwrite_init(&w, &body);
	zk_jw_obj(&w);
	zk_jw_key(&w, "namespace");
	zk_jw_str(&w, ns);
	zk_jw_key(&w, "source");
	zk_jw_str(&w, source);
	zk_jw_obj_end(&w);
	struct zk_zip_req rq = {
		.class = ZK_ZIP_R0, /* the same content has the same name */
		.method = "POST",
		.route = "/components",
		.body = zk_buf_str(&body)
	};

	if (zk_zip_call(z->zip, &rq, &answer, NULL, err) < 0)
		return -(int)err->code;
	zk_row_cstr(row, "status", "uploaded");
	return 0;
}

static int upload_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE };
	struct files_opts *o = opts;
	struct zk_buf source ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf id ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };
	struct zk_out *out = zk_app_out(app, err);
	struct zeal z = { .zip = NULL };
	uint8_t sum[ZK_SHA256_SIZE];
	zk_str ns = ZK_STR_NULL;
	int r;

	(void)argc;
	zk_row_init(&row);
	zk_buf_init(&source, BUNDLE_MAX + 65536);
	zk_buf_init(&id, 64);
	if (!out || template_namespace(o->namespace, &ns, err) < 0 ||
	    read_source(argv[0], &source, err) < 0)
		return -(int)err->code;
	zk_sha256(zk_buf_str(&source), sum);
	zk_hex_encode(zk_str_n((const char *)sum, 8), &id);
	zk_buf_lit(&id, ".js");
	r = zeal_open(app, &o->zeal, false, &z, err);
	if (r == 0)
		r = upload(&z, ns, zk_buf_str(&source), zk_buf_str(&id), &row, err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	if (r == 0)
		r = zk_out_row(out, zk_row_end(&row), err);
	if (r == 0)
		r = zk_out_end(out, err);
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_template_bundle_upload = {
	.path = "template bundle upload",
	.args = "FILE.js",
	.min_args = 1,
	.max_args = 1,
	.help = "upload a display element",
	.about =
	        "Its id is made of its content: what is there already is not sent again.",
	.examples = "zk template bundle upload -n acme chart.js --jq .bundleId",
	.output = "bundleId, namespace, size, status",
	.exits = "0 · 65 larger than 512 KiB · 69 · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = ns_rows,
	.opts_size = sizeof(struct files_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = upload_run,
};

static int get_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	struct files_opts *o = opts;
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_out *out = zk_app_out(app, err);
	struct zeal z = { .zip = NULL };
	zk_str ns = ZK_STR_NULL;
	int r = out ? template_namespace(o->namespace, &ns, err) : -(int)err->code;

	(void)argc;
	zk_buf_init(&body, (size_t)8 << 20);
	if (r == 0)
		r = zeal_open(app, &o->zeal, false, &z, err);
	if (r == 0)
		r = fetch(&z, ns, zk_str_of(argv[0]), &body, err);
	if (r == 0)
		r = zk_out_text(out, zk_buf_str(&body), err);
	if (r == 0)
		r = zk_out_flush(out, err);
	zeal_close(&z);
	return r;
}

const struct zk_cmd zk_cmd_template_bundle_get = {
	.path = "template bundle get",
	.args = "ID",
	.min_args = 1,
	.max_args = 1,
	.help = "print a display element",
	.examples = "zk template bundle get -n acme 0f3ac5d1b2e49877.js > chart.js",
	.output = "its source",
	.exits = "0 · 69 there is none · 75 · 77",
	.see = "man zk-template",
	.groups = ZEAL_GROUPS,
	.opts = ns_rows,
	.opts_size = sizeof(struct files_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = get_run,
};
