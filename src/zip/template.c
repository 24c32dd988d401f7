/* Node templates in files.
 * Layer: zip. specs/zeal-zip.md §4. */
#include "zip/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/digest.h"
#include "codec/jwrite.h"

#include "base/ban.h"

#define NODES_MAX 2000000u

static void add(struct zk_zip_templates *t, const struct zk_conf_file *file,
                const struct zk_node *node, const struct zk_node *request)
{
	const struct zk_node *id = zk_zip_get_as(node, "id", ZK_J_STRING);
	const struct zk_node *ns = zk_zip_get_as(request, "namespace", ZK_J_STRING);
	const struct zk_node *hook = zk_zip_get_as(request, "webhookUrl", ZK_J_STRING);

	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 16;
		t->v = zk_realloc(t->v, t->room * sizeof(*t->v));
	}
	t->v[t->n++] = (struct zk_zip_template){
		.file = file,
		.node = node,
		.id = id ? id->text : ZK_STR_NULL,
		.namespace = ns ? ns->text : ZK_STR_NULL,
		.webhook = hook ? hook->text : ZK_STR_NULL,
	};
}

static bool has_object(const struct zk_node *list)
{
	ZK_NODE_EACH(m, list)
	{
		if (m->kind == ZK_NODE_MAP)
			return true;
	}
	return list->n == 0;
}

/* A template, a list of them, or the object of a request. */
static void add_root(struct zk_zip_templates *t, const struct zk_conf_file *file,
                     const struct zk_node *root)
{
	const struct zk_node *list = zk_zip_get_as(root, "templates", ZK_J_ARRAY);
	const struct zk_node *request = root;

	if (zk_zip_type(root) == ZK_J_NULL)
		return; /* an empty document */
	if (root->kind == ZK_NODE_LIST && has_object(root)) {
		list = root;
		request = NULL;
	}
	if (!list) {
		add(t, file, root, NULL);
		return;
	}
	ZK_NODE_EACH(m, list)
	{
		add(t, file, m, request);
	}
}

static void keep_file(struct zk_zip_templates *t, struct zk_conf_file *f)
{
	t->files = zk_realloc(t->files, (t->n_files + 1) * sizeof(struct zk_conf_file *));
	t->files[t->n_files++] = f;
	for (const struct zk_node *root = f->root; root; root = root->next)
		add_root(t, f, root);
}

int zk_zip_templates_read(char *const *args, size_t n, struct zk_zip_templates *ret,
                          struct zk_zip_findings *found, struct zk_error *err)
{
	struct zk_zip_paths paths;
	int r;

	*ret = (struct zk_zip_templates){ 0 };
	r = zk_zip_paths_find(args, n, &paths, err);
	for (size_t i = 0; r == 0 && i < paths.n; i++) {
		struct zk_error why = { 0 };
		struct zk_conf_file *f;

		if (zk_zip_doc_read(paths.v[i], NODES_MAX, &f, &why) == 0)
			keep_file(ret, f);
		else if (why.code == ZK_E_NO_INPUT)
			*err = why, r = -(int)why.code;
		else
			zk_zip_found_unread(found, &why);
	}
	zk_zip_paths_done(&paths);
	return r;
}

void zk_zip_templates_done(struct zk_zip_templates *t)
{
	for (size_t i = 0; i < t->n_files; i++)
		zk_conf_file_free(t->files[i]);
	free(t->files);
	free(t->v);
	*t = (struct zk_zip_templates){ 0 };
}

/* ---- bodies ---- */

/* The members of the template that the server knows, in the order of its schema, without nulls;
 * `but` names one that is left out. */
static void put_members(const struct zk_zip_template *t, const char *but,
                        struct zk_jwrite *w)
{
	for (const struct zk_zip_field *f = zk_zip_template_schema.fields; f->name; f++) {
		const struct zk_node *m = zk_zip_get(t->node, f->name);

		if (!m || zk_zip_type(m) == ZK_J_NULL ||
		    (but && strcmp(but, f->name) == 0))
			continue;
		zk_jw_key(w, f->name);
		zk_zip_json(m, w->b);
		w->comma = true;
	}
}

void zk_zip_template_body(const struct zk_zip_template *t, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	put_members(t, NULL, &w);
	zk_jw_obj_end(&w);
}

static bool is_true(const struct zk_node *port, const char *name)
{
	const struct zk_node *n = zk_zip_get_as(port, name, ZK_J_BOOL);

	return n && (n->text.p[0] == 't' || n->text.p[0] == 'T');
}

static void put_text(struct zk_jwrite *w, const struct zk_node *port, const char *from,
                     const char *name)
{
	const struct zk_node *n = zk_zip_get_as(port, from, ZK_J_STRING);

	zk_jw_key(w, name);
	zk_jw_str(w, n ? n->text : ZK_STR(""));
}

/* What the editor reads instead of the ports. */
static void put_ports(const struct zk_zip_template *t, const char *type,
                      struct zk_jwrite *w)
{
	const struct zk_node *ports = zk_zip_get_as(t->node, "ports", ZK_J_ARRAY);
	bool inputs = strcmp(type, "input") == 0;

	zk_jw_key(w, inputs ? "inputs" : "outputs");
	zk_jw_arr(w);
	for (const struct zk_node *p = ports ? ports->first : NULL; p; p = p->next) {
		const struct zk_node *is = zk_zip_get_as(p, "type", ZK_J_STRING);

		if (!is || !zk_str_eq(is->text, zk_str_of(type)))
			continue;
		zk_jw_obj(w);
		put_text(w, p, "id", "id");
		put_text(w, p, "label", "label");
		put_text(w, p, "position", "position");
		put_text(w, p, "dataType", "description");
		if (inputs) {
			zk_jw_key(w, "required");
			zk_jw_bool(w, is_true(p, "required"));
		}
		zk_jw_key(w, "multiple");
		zk_jw_bool(w, is_true(p, "multiple"));
		zk_jw_obj_end(w);
	}
	zk_jw_arr_end(w);
}

void zk_zip_template_put_body(const struct zk_zip_template *t, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	put_members(t, "id", &w);
	put_ports(t, "input", &w);
	put_ports(t, "output", &w);
	zk_jw_obj_end(&w);
}

void zk_zip_template_digest(const struct zk_zip_template *t, struct zk_buf *b)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	uint8_t sum[ZK_SHA256_SIZE];

	zk_buf_init(&body, (size_t)64 << 20);
	zk_zip_template_body(t, &body);
	zk_sha256(zk_buf_str(&body), sum);
	zk_hex_encode(zk_str_n((const char *)sum, sizeof(sum)), b);
}
