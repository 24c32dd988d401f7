/* `zk template list|get|export|delete|diff`.
 * Layer: cmd. specs/zeal-zip.md §4.4. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/lint.h"
#include "cmd/template.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/memory.h"
#include "zip/register.h"

#include "base/ban.h"

#define LIST_MAX ((size_t)256 << 20)

struct read_opts {
	struct zeal_opts zeal;
	const char *namespace;
};

static const struct zk_opt rows[] = { ZEAL_ROWS,
	                              NAMESPACE_ROW(struct read_opts, namespace),
	                              ZK_OPT_END };

static const struct zk_out_col cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "title" },
	{ .name = "category" },
	{ .name = "description" },
	{ .name = "globalId", .flags = ZK_COL_EXTRA },
};

/* A namespace as it is listed. */
struct listing {
	struct zeal z;
	zk_str ns;
	struct zk_buf body;
	zk_str items;
};

static int listing_open(struct zk_app *app, const struct read_opts *o, struct listing *l,
                        struct zk_error *err)
{
	int r = template_namespace(o->namespace, &l->ns, err);

	zk_buf_init(&l->body, LIST_MAX);
	l->z.zip = NULL;
	l->z.memory = NULL;
	if (r == 0)
		r = zeal_open(app, &o->zeal, /* patient */ false, &l->z, err);
	if (r == 0)
		r = zk_zip_template_list(l->z.zip, l->ns, &l->body, &l->items, err);
	return r;
}

static void listing_close(struct listing *l)
{
	zk_buf_done(&l->body);
	zeal_close(&l->z);
}

static bool has_id(zk_str object, const char *id)
{
	struct zk_jval v;

	return zk_jscan_get(object, ZK_STR("id"), &v) && v.type == ZK_J_STRING &&
	       zk_jstr_eq(v.raw, zk_str_of(id));
}

static bool find(const struct listing *l, const char *id, zk_str *ret)
{
	struct zk_jiter it;
	struct zk_jval v;

	zk_jiter_init(&it, l->items);
	while (zk_jiter_element(&it, &v))
		if (has_id(v.raw, id)) {
			*ret = v.raw;
			return true;
		}
	return false;
}

static int not_found(const struct listing *l, const char *id, struct zk_error *err)
{
	return zk_fail(err, ZK_E_NOT_FOUND,
	               "there is no template '%s' in the namespace '%.*s'", id,
	               ZK_STR_ARG(l->ns));
}

/* ---- list ---- */

static int put_all(struct zk_app *app, struct listing *l, struct zk_out *out,
                   struct zk_error *err)
{
	uint64_t left = app->output.limit ? app->output.limit : UINT64_MAX;
	struct zk_jiter it;
	struct zk_jval v;

	zk_jiter_init(&it, l->items);
	while (left-- && zk_jiter_element(&it, &v) && !zk_out_closed(out))
		if (zk_out_row(out, v.raw, err) < 0)
			return -(int)err->code;
	return 0;
}

static int list_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .noun = "templates",
		                                   .list = "templates",
		                                   .cols = cols,
		                                   .n_cols = ZK_ARRAY_LEN(cols),
		                                   .open = true };
	struct zk_out *out = zk_app_out(app, err);
	struct listing l;
	int r;

	(void)argc;
	(void)argv;
	if (!out)
		return -(int)err->code;
	r = listing_open(app, opts, &l, err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	if (r == 0)
		r = put_all(app, &l, out, err);
	if (r == 0)
		r = zk_out_end(out, err);
	listing_close(&l);
	if (r < 0)
		return r;
	return app->output.exit_status && !zk_out_rows(out) ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_template_list = {
	.path = "template list",
	.help = "list the templates of a namespace",
	.about = "Current servers leave ports, runtime and display out of their lists, "
	         "and show "
	         "the global id as type.",
	.examples = "zk template list -n acme --fields id,title",
	.output = "one template per row, newest first, as the server shows it",
	.exits = "0 · 1 none with --exit-status · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct read_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = list_run,
};

/* ---- get, export ---- */

static int put_named(struct listing *l, struct zk_out *out, int argc, char **argv,
                     struct zk_error *err)
{
	for (int i = 0; i < argc; i++) {
		zk_str object;

		if (!find(l, argv[i], &object))
			return not_found(l, argv[i], err);
		if (zk_out_row(out, object, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int get_run(struct zk_app *app, void *opts, int argc, char **argv,
                   struct zk_error *err)
{
	static const struct zk_out_shape one = { .kind = ZK_OUT_ONE, .open = true };
	static const struct zk_out_shape many = { .kind = ZK_OUT_LIST, .open = true };
	struct zk_out *out = zk_app_out(app, err);
	struct listing l;
	int r;

	if (!out)
		return -(int)err->code;
	r = listing_open(app, opts, &l, err);
	if (r == 0)
		r = zk_out_begin(out, argc == 1 ? &one : &many, err);
	if (r == 0)
		r = put_named(&l, out, argc, argv, err);
	if (r == 0)
		r = zk_out_end(out, err);
	listing_close(&l);
	return r;
}

const struct zk_cmd zk_cmd_template_get = {
	.path = "template get",
	.args = "ID...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "show templates as the server has them",
	.examples = "zk template get -n acme csv-reader",
	.output = "the templates",
	.exits = "0 · 69 there is none · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct read_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = get_run,
};

/* What the server made up is left out, so that what is exported can be registered again. */
static void put_template(zk_str object, struct zk_buf *b)
{
	struct zk_jiter it;
	struct zk_jval v;
	zk_str key;
	bool first = true;

	zk_buf_char(b, '{');
	zk_jiter_init(&it, object);
	while (zk_jiter_member(&it, &key, &v)) {
		const struct zk_zip_field *f = zk_zip_template_schema.fields;

		while (f->name && !zk_jstr_eq(key, zk_str_of(f->name)))
			f++;
		if (!f->name || v.type == ZK_J_NULL)
			continue;
		if (!first)
			zk_buf_char(b, ',');
		first = false;
		zk_buf_printf(b, "\"%s\":", f->name);
		zk_buf_add(b, v.raw);
	}
	zk_buf_char(b, '}');
}

static bool is_wanted(zk_str object, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (has_id(object, argv[i]))
			return true;
	return argc == 0;
}

static int export_all(struct listing *l, struct zk_out *out, int argc, char **argv,
                      struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jiter it;
	struct zk_jval v;
	bool poor = false;

	zk_buf_init(&b, LIST_MAX);
	zk_jiter_init(&it, l->items);
	while (zk_jiter_element(&it, &v)) {
		struct zk_jval ports, type, global;

		if (!is_wanted(v.raw, argc, argv))
			continue;
		poor |= zk_jscan_get(v.raw, ZK_STR("ports"), &ports) &&
		        zk_jscan_get(v.raw, ZK_STR("type"), &type) &&
		        zk_jscan_get(v.raw, ZK_STR("globalId"), &global) &&
		        zk_str_eq(type.raw, global.raw);
		zk_buf_clear(&b);
		put_template(v.raw, &b);
		if (zk_out_row(out, zk_buf_str(&b), err) < 0)
			return -(int)err->code;
	}
	if (poor)
		zk_say("this server's lists lack ports, type, runtime and display: the "
		       "files "
		       "that were registered say more");
	return 0;
}

static int export_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .list = "templates",
		                                   .open = true };
	struct zk_out *out = zk_app_out(app, err);
	struct listing l;
	int r;
	zk_str object;

	if (!out)
		return -(int)err->code;
	r = listing_open(app, opts, &l, err);
	for (int i = 0; r == 0 && i < argc; i++)
		if (!find(&l, argv[i], &object))
			r = not_found(&l, argv[i], err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	if (r == 0) {
		struct zk_buf ns ZK_CLEANUP(zk_buf_done) = { 0 };

		zk_buf_init(&ns, 65536);
		zk_buf_lit(&ns, "\"namespace\":");
		zk_buf_json_str(&ns, l.ns);
		zk_out_members(out, zk_buf_str(&ns));
		r = export_all(&l, out, argc, argv, err);
	}
	if (r == 0)
		r = zk_out_end(out, err);
	listing_close(&l);
	return r;
}

const struct zk_cmd zk_cmd_template_export = {
	.path = "template export",
	.args = "[ID...]",
	.max_args = ZK_ANY,
	.help = "write templates in the form that register reads",
	.examples = "zk template export -n acme -o yaml > nodes.yaml",
	.output = "the templates; with -o json and yaml a request object",
	.exits = "0 · 69 there is none · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct read_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READER,
	.run = export_run,
};

/* ---- delete ---- */

static int delete_one(struct zk_app *app, struct listing *l, const char *id,
                      struct zk_out *out, struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };

	if (!app->common.dry_run &&
	    zk_zip_template_delete(l->z.zip, l->ns, zk_str_of(id), err) < 0)
		return -(int)err->code;
	zk_row_init(&row);
	zk_row_cstr(&row, "id", id);
	zk_row_cstr(&row, "status", app->common.dry_run ? "would be deleted" : "deleted");
	return zk_out_row(out, zk_row_end(&row), err);
}

static int delete_run(struct zk_app *app, void *opts, int argc, char **argv,
                      struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .list = "templates" };
	struct read_opts *o = opts;
	struct zk_out *out = zk_app_out(app, err);
	struct listing l = { .body = { 0 } };
	zk_str object;
	int r;

	if (!out)
		return -(int)err->code;
	if (o->zeal.verify) {
		r = listing_open(app, o, &l, err);
	} else {
		r = template_namespace(o->namespace, &l.ns, err);
		if (r == 0)
			r = zeal_open(app, &o->zeal, false, &l.z, err);
	}
	/* The server says 200 for what does not exist. */
	for (int i = 0; r == 0 && o->zeal.verify && i < argc; i++)
		if (!find(&l, argv[i], &object))
			r = not_found(&l, argv[i], err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	for (int i = 0; r == 0 && i < argc; i++)
		r = delete_one(app, &l, argv[i], out, err);
	if (r == 0)
		r = zk_out_end(out, err);
	listing_close(&l);
	return r;
}

const struct zk_cmd zk_cmd_template_delete = {
	.path = "template delete",
	.args = "ID...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "delete templates",
	.about = "Looks first whether they are all there, and deletes none when one is "
	         "not, "
	         "unless --no-verify says otherwise.",
	.examples = "zk template delete -n acme old-reader",
	.output = "one row per template",
	.exits = "0 deleted · 69 there is none · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct read_opts),
	.conf = "zeal",
	.flags = ZK_CMD_DESTRUCTIVE,
	.run = delete_run,
};

/* ---- diff ---- */

static int put_diff(struct listing *l, const struct zk_zip_template *t,
                    const struct zk_node *item, struct zk_out *out, bool *differs,
                    struct zk_error *err)
{
	struct zk_row row ZK_CLEANUP(zk_row_done) = { 0 };
	struct zk_buf digest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf members ZK_CLEANUP(zk_buf_done) = { 0 };
	ZK_CLEANUP(zk_freep)
	char *name = zk_asprintf("%.*s/%.*s", ZK_STR_ARG(l->ns), ZK_STR_ARG(t->id));
	struct zk_zip_memory *m = zeal_memory(&l->z);
	struct zk_error ignored = { 0 };
	enum zk_zip_diff diff;
	bool found;

	zk_buf_init(&digest, 256);
	zk_buf_init(&members, 4096);
	if (m)
		ZK_IGNORE(zk_zip_memory_get(
		        m,
		        &(struct zk_zip_memory_key){ zk_zip_origin(l->z.zip),
		                                     ZK_ZIP_MEM_TEMPLATE,
		                                     zk_str_of(name) },
		        0, &digest, &found, &ignored));
	diff = zk_zip_template_compare(t, item, zk_buf_cstring(&digest), &members);
	*differs |= diff == ZK_ZIP_DIFFERENT;
	zk_row_init(&row);
	zk_row_str(&row, "id", t->id);
	zk_row_cstr(&row, "status", item ? zk_zip_diff_name(diff) : "missing");
	if (members.n)
		zk_row_str(&row, "members", zk_buf_str(&members));
	return zk_out_row(out, zk_row_end(&row), err);
}

static const struct zk_node *entry_of(const struct zk_conf_file *list, zk_str id)
{
	for (const struct zk_node *m = list->root->first; m; m = m->next) {
		const struct zk_node *is = zk_zip_get_as(m, "id", ZK_J_STRING);

		if (is && zk_str_eq(is->text, id))
			return m;
	}
	return NULL;
}

static int diff_all(struct listing *l, const struct zk_zip_templates *t,
                    struct zk_out *out, bool *differs, struct zk_error *err)
{
	struct zk_conf_file *list;
	int r = zk_zip_doc_parse("the answer.json", l->items, 20000000, &list, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = put_diff(l, &t->v[i], entry_of(list, t->v[i].id), out, differs, err);
	zk_conf_file_free(list);
	return r;
}

static int diff_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static const struct zk_out_col diff_cols[] = { { .name = "id",
		                                         .flags = ZK_COL_WHOLE },
		                                       { .name = "status" },
		                                       { .name = "members" } };
	static const struct zk_out_shape shape = { .kind = ZK_OUT_LIST,
		                                   .list = "templates",
		                                   .cols = diff_cols,
		                                   .n_cols = ZK_ARRAY_LEN(diff_cols) };
	struct read_opts *o = opts;
	struct zk_zip_templates t = { 0 };
	struct zk_zip_findings f = { 0 };
	struct zk_out *out = zk_app_out(app, err);
	struct listing l = { .body = { 0 } };
	ZK_CLEANUP(zk_freep)
	char *own = NULL;
	bool differs = false;
	int r = out ? 0 : -(int)err->code;

	if (r == 0)
		r = zk_zip_templates_read(argv, (size_t)argc, &t, &f, err);
	if (r == 0)
		r = lint_refuse(&f, "template", err);
	if (r == 0 && !o->namespace && t.n && t.v[0].namespace.n) {
		own = zk_strndup(t.v[0].namespace.p, t.v[0].namespace.n);
		o->namespace = own;
	}
	if (r == 0)
		r = listing_open(app, o, &l, err);
	if (r == 0)
		r = zk_out_begin(out, &shape, err);
	if (r == 0)
		r = diff_all(&l, &t, out, &differs, err);
	if (r == 0)
		r = zk_out_end(out, err);
	listing_close(&l);
	zk_zip_templates_done(&t);
	zk_zip_findings_done(&f);
	return r < 0 ? r : differs ? ZK_EXIT_NO : ZK_EXIT_OK;
}

const struct zk_cmd zk_cmd_template_diff = {
	.path = "template diff",
	.args = "FILE...",
	.min_args = 1,
	.max_args = ZK_ANY,
	.help = "compare templates of files with those of the server",
	.about = "What the server does not show is compared with what was last "
	         "registered from "
	         "here; without that it is unknown.",
	.examples =
	        "zk template diff -n acme nodes/ || zk template register -n acme nodes/",
	.args_help = "FILE    JSON, NDJSON or YAML file, folder, or \"-\"",
	.output = "one row per template: id, status (same, different, unknown, missing), "
	          "members",
	.exits = "0 the same · 1 different · 65 · 75 · 77",
	.see = "man zk-template",
	.groups = ZK_OPTS_OUTPUT | ZEAL_GROUPS,
	.opts = rows,
	.opts_size = sizeof(struct read_opts),
	.conf = "zeal",
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = diff_run,
};
