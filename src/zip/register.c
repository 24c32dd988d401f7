/* Bringing templates to a server.
 * Layer: zip. specs/zeal-zip.md §4.2, §4.3. */
#include "zip/register.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "zip/fault.h"
#include "zip/memory.h"

#include "base/ban.h"

#define CHUNK_MAX   50
#define CHUNK_BYTES ((size_t)512 * 1024)
#define BODY_MAX    ((size_t)128 << 20)
#define LIST_MAX    ((size_t)256 << 20)
#define LIST_NODES  20000000u

const char *zk_zip_fate_name(enum zk_zip_fate fate)
{
	static const char *const names[] = { "registered", "updated", "unchanged",
		                             "pruned", "failed" };

	return names[fate];
}

/* ---- single requests ---- */

int zk_zip_template_list(struct zk_zip *z, zk_str ns, struct zk_buf *body, zk_str *items,
                         struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jval list;

	zk_buf_init(&path, 65536);
	zk_buf_lit(&path, "/templates");
	if (zk_zip_segment(&path, "namespace", ns, err) < 0)
		return -(int)err->code;
	struct zk_zip_req rq = { .route = "/templates/{ns}",
		                 .path = zk_buf_cstring(&path) };

	zk_buf_clear(body);
	if (zk_zip_call(z, &rq, body, NULL, err) < 0)
		return -(int)err->code;
	if (!zk_jscan_get(zk_buf_str(body), ZK_STR("templates"), &list) ||
	    list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no templates");
	*items = list.raw;
	return 0;
}

static int one_path(struct zk_buf *path, zk_str ns, zk_str id, struct zk_error *err)
{
	zk_buf_init(path, 262144);
	zk_buf_lit(path, "/templates");
	if (zk_zip_segment(path, "namespace", ns, err) < 0 ||
	    zk_zip_segment(path, "template id", id, err) < 0)
		return -(int)err->code;
	return 0;
}

int zk_zip_template_delete(struct zk_zip *z, zk_str ns, zk_str id, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };

	if (one_path(&path, ns, id, err) < 0)
		return -(int)err->code;
	struct zk_zip_req rq = { .method = "DELETE",
		                 .route = "/templates/{ns}/{id}",
		                 .path = zk_buf_cstring(&path) };
	int r = zk_zip_call(z, &rq, NULL, NULL, err);

	/* Not there is what was wanted; a server that says so is right. */
	return r == -ZK_E_NOT_FOUND ? 0 : r;
}

static int put(struct zk_zip *z, zk_str ns, const struct zk_zip_template *t,
               struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	if (one_path(&path, ns, t->id, err) < 0)
		return -(int)err->code;
	zk_buf_init(&body, BODY_MAX);
	zk_zip_template_put_body(t, &body);
	struct zk_zip_req rq = { .method = "PUT",
		                 .route = "/templates/{ns}/{id}",
		                 .path = zk_buf_cstring(&path),
		                 .body = zk_buf_str(&body) };

	return zk_zip_call(z, &rq, NULL, NULL, err);
}

/* ---- what is there already ---- */

struct known {
	struct zk_conf_file *file; /* the list as a tree; NULL = not asked yet */
	struct zk_map by_id;       /* id to its node */
};

static void known_done(struct known *k)
{
	zk_conf_file_free(k->file);
	k->file = NULL;
	zk_map_done(&k->by_id);
}

static int know(const struct zk_zip_register *r, struct known *k, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str items = ZK_STR_NULL;

	if (k->file)
		return 0;
	zk_buf_init(&body, LIST_MAX);
	if (zk_zip_template_list(r->zip, r->namespace, &body, &items, err) < 0 ||
	    zk_zip_doc_parse("the answer.json", items, LIST_NODES, &k->file, err) < 0)
		return -(int)err->code;
	ZK_NODE_EACH(m, k->file->root)
	{
		const struct zk_node *id = zk_zip_get_as(m, "id", ZK_J_STRING);

		if (id)
			(void)zk_map_set(&k->by_id, id->text, (void *)m);
	}
	return 0;
}

static char *global_id(const struct zk_zip_register *r, zk_str id)
{
	return zk_asprintf("%.*s/%.*s", ZK_STR_ARG(r->namespace), ZK_STR_ARG(id));
}

/* The digest last registered, "" when none is known. */
static void recall(const struct zk_zip_register *r, zk_str id, struct zk_buf *b)
{
	ZK_CLEANUP(zk_freep)
	char *name = global_id(r, id);
	struct zk_error ignored = { 0 };
	bool found;

	if (r->memory)
		ZK_IGNORE(zk_zip_memory_get(
		        r->memory,
		        &(struct zk_zip_memory_key){ zk_zip_origin(r->zip),
		                                     ZK_ZIP_MEM_TEMPLATE,
		                                     zk_str_of(name) },
		        0, b, &found, &ignored));
}

static void remember(const struct zk_zip_register *r, const struct zk_zip_template *t)
{
	ZK_CLEANUP(zk_freep)
	char *name = global_id(r, t->id);
	struct zk_buf digest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error ignored = { 0 };

	if (!r->memory)
		return;
	zk_buf_init(&digest, 256);
	zk_zip_template_digest(t, &digest);
	/* Without it a later diff says `unknown`. */
	ZK_IGNORE(zk_zip_memory_put(r->memory, zk_zip_origin(r->zip), ZK_ZIP_MEM_TEMPLATE,
	                            zk_str_of(name), zk_buf_str(&digest), &ignored));
}

static enum zk_zip_diff compare(const struct zk_zip_register *r, const struct known *k,
                                const struct zk_zip_template *t)
{
	struct zk_buf digest ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf members ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&digest, 256);
	zk_buf_init(&members, 4096);
	recall(r, t->id, &digest);
	return zk_zip_template_compare(t, zk_map_get(&k->by_id, t->id),
	                               zk_buf_cstring(&digest), &members);
}

/* ---- one chunk ---- */

static int tell(struct zk_zip_register *r, zk_str id, enum zk_zip_fate fate,
                const struct zk_error *why, struct zk_error *err)
{
	r->fates[fate]++;
	return r->on_fate(r->ctx, id, fate, why, err);
}

/* What exists already: left alone when it is the same, otherwise replaced as a whole. */
static int update(struct zk_zip_register *r, struct known *k,
                  const struct zk_zip_template *t, bool ours, struct zk_error *err)
{
	struct zk_error why = { 0 };

	if (r->create_only) {
		if (ours)
			return tell(r, t->id, ZK_ZIP_REGISTERED, NULL, err);
		r->conflicts = true;
		(void)zk_fail(&why, ZK_E_CONFLICT, "it exists already");
		return tell(r, t->id, ZK_ZIP_FAILED, &why, err);
	}
	if (know(r, k, err) < 0)
		return -(int)err->code;
	if (!ours && compare(r, k, t) == ZK_ZIP_SAME)
		return tell(r, t->id, ZK_ZIP_UNCHANGED, NULL, err);
	if (put(r->zip, r->namespace, t, &why) < 0) {
		/* Of the server as a whole, not of this template. */
		if (!why.http_status || why.code == ZK_E_SERVER_UNFIT ||
		    why.code == ZK_E_AUTH) {
			*err = why;
			return -(int)err->code;
		}
		return tell(r, t->id, ZK_ZIP_FAILED, &why, err);
	}
	remember(r, t);
	return tell(r, t->id, ours ? ZK_ZIP_REGISTERED : ZK_ZIP_UPDATED, NULL, err);
}

static bool says_duplicate(zk_str text)
{
	return zk_str_find(text, ZK_STR("uplicate")) >= 0 ||
	       zk_str_find(text, ZK_STR("already exists")) >= 0;
}

/* One item of the answer. `again` = the request was sent more than once: what is there now may be
 * our own. */
static int on_item(struct zk_zip_register *r, struct known *k,
                   const struct zk_zip_template *t, zk_str item, bool again,
                   struct zk_error *err)
{
	struct zk_error why = { 0 };
	struct zk_jval status, text = { 0 };
	zk_str said = ZK_STR_NULL;

	if (!zk_jscan_get(item, ZK_STR("status"), &status) || status.type != ZK_J_STRING)
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the answer says nothing about template '%.*s'",
		               ZK_STR_ARG(t->id));
	if (zk_jstr_eq(status.raw, ZK_STR("registered")) ||
	    zk_jstr_eq(status.raw, ZK_STR("updated"))) {
		remember(r, t);
		return tell(r, t->id,
		            zk_jstr_eq(status.raw, ZK_STR("updated")) ? ZK_ZIP_UPDATED
		                                                      : ZK_ZIP_REGISTERED,
		            NULL, err);
	}
	if (zk_jscan_get(item, ZK_STR("error"), &text) && text.type == ZK_J_STRING)
		said = zk_str_n(text.raw.p + 1, text.raw.n - 2);
	if (says_duplicate(said))
		return update(r, k, t, again, err);
	if (know(r, k, err) < 0)
		return -(int)err->code;
	if (zk_map_get(&k->by_id, t->id))
		return update(r, k, t, again, err);
	(void)zk_fail(&why, ZK_E_HTTP, "%.*s",
	              ZK_STR_ARG(said.n ? said : ZK_STR("refused")));
	return tell(r, t->id, ZK_ZIP_FAILED, &why, err);
}

/* The node that a path of the server leads to, as far as it goes. */
static const struct zk_node *follow(const struct zk_node *n, zk_str path)
{
	const struct zk_node *place = n;
	struct zk_jiter it;
	struct zk_jval v;
	size_t step = 0;

	zk_jiter_init(&it, path);
	while (place && zk_jiter_element(&it, &v)) {
		const struct zk_node *next = NULL;
		uint64_t index;
		zk_str name;

		if (step++ < 2)
			continue; /* "templates", index */
		if (v.type == ZK_J_NUMBER && zk_jnum_u64(v.raw, &index)) {
			next = place->first;
			while (next && index--)
				next = next->next;
		} else if (zk_jstr_plain(v.raw, &name)) {
			next = zk_node_get(place, name);
		}
		if (!next)
			break;
		place = next;
	}
	return place;
}

/* The server knows better than our lint: its issues at the places of the files. */
static void take_issues(const struct zk_zip_template *t, size_t n, zk_str body,
                        struct zk_zip_findings *found)
{
	struct zk_jval details;
	struct zk_jiter it;
	struct zk_zip_issue issue;

	if (!zk_jscan_get(body, ZK_STR("error.details"), &details))
		return;
	zk_zip_issues_init(&it, details.raw);
	while (zk_zip_issues_next(&it, &issue)) {
		struct zk_buf at;
		uint64_t i;

		if (!zk_zip_issue_index(issue.path, 1, &i) || i >= n)
			continue;
		zk_buf_init(&at, 8192);
		zk_zip_issue_path(issue.path, 2, &at);
		zk_zip_found_say(zk_zip_found(found, true, "server"),
		                 zk_spot_value(t[i].file, follow(t[i].node, issue.path)),
		                 NULL, "%s: %.*s", zk_buf_cstring(&at),
		                 ZK_STR_ARG(issue.message));
		zk_buf_done(&at);
	}
}

static void make_body(const struct zk_zip_register *r, const struct zk_zip_template *t,
                      size_t n, struct zk_buf *b)
{
	struct zk_jwrite w;
	zk_str hook = r->webhook_url.n ? r->webhook_url : t->webhook;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "namespace");
	zk_jw_str(&w, r->namespace);
	zk_jw_key(&w, "templates");
	zk_jw_arr(&w);
	for (size_t i = 0; i < n; i++) {
		if (i)
			zk_buf_char(b, ',');
		zk_zip_template_body(&t[i], b);
	}
	w.comma = true;
	zk_jw_arr_end(&w);
	if (hook.n) {
		zk_jw_key(&w, "webhookUrl");
		zk_jw_str(&w, hook);
	}
	zk_jw_obj_end(&w);
}

static int send_chunk(struct zk_zip_register *r, struct known *k,
                      const struct zk_zip_template *t, size_t n,
                      struct zk_zip_findings *found, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_end end;
	struct zk_jval items = { 0 }, item;
	struct zk_jiter it;

	zk_buf_init(&body, BODY_MAX);
	zk_buf_init(&answer, LIST_MAX);
	make_body(r, t, n, &body);
	struct zk_zip_req rq = { .class = ZK_ZIP_R1,
		                 .method = "POST",
		                 .route = "/templates/register",
		                 .body = zk_buf_str(&body) };

	if (zk_zip_call(r->zip, &rq, &answer, &end, err) < 0) {
		take_issues(t, n, zk_buf_str(&answer), found);
		return -(int)err->code;
	}
	if (!zk_jscan_get(zk_buf_str(&answer), ZK_STR("templates"), &items) ||
	    items.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no templates");
	zk_jiter_init(&it, items.raw);
	for (size_t i = 0; i < n; i++) {
		if (!zk_jiter_element(&it, &item))
			return zk_fail(err, ZK_E_PROTOCOL,
			               "the answer tells of %zu templates, %zu were sent",
			               i, n);
		if (on_item(r, k, &t[i], item.raw, end.attempts > 1, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

/* How many of the templates make the next request. */
static size_t chunk_of(const struct zk_zip_template *t, size_t n)
{
	struct zk_buf b;
	size_t i = 0;

	zk_buf_init(&b, BODY_MAX);
	while (i < n && i < CHUNK_MAX) {
		zk_zip_template_body(&t[i], &b);
		if (i && b.n > CHUNK_BYTES)
			break;
		i++;
	}
	zk_buf_done(&b);
	return i;
}

/* ---- the whole ---- */

static int clear_first(struct zk_zip_register *r, struct known *k,
                       const struct zk_zip_template *t, size_t n, struct zk_error *err)
{
	if (know(r, k, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < n; i++) {
		if (zk_map_get(&k->by_id, t[i].id) &&
		    zk_zip_template_delete(r->zip, r->namespace, t[i].id, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

/* Deletes what the files do not hold. */
static int prune(struct zk_zip_register *r, struct known *k,
                 const struct zk_zip_template *t, size_t n, struct zk_error *err)
{
	struct zk_map wanted;
	int rc = 0;

	zk_map_init(&wanted);
	for (size_t i = 0; i < n; i++)
		(void)zk_map_set(&wanted, t[i].id, (void *)&t[i]);
	ZK_NODE_EACH(m, k->file->root)
	{
		const struct zk_node *id = zk_zip_get_as(m, "id", ZK_J_STRING);

		if (rc < 0 || !id || zk_map_get(&wanted, id->text))
			continue;
		if (!r->dry_run)
			rc = zk_zip_template_delete(r->zip, r->namespace, id->text, err);
		if (rc == 0)
			rc = tell(r, id->text, ZK_ZIP_PRUNED, NULL, err);
	}
	zk_map_done(&wanted);
	return rc;
}

static int only_tell(struct zk_zip_register *r, struct known *k,
                     const struct zk_zip_template *t, size_t n, struct zk_error *err)
{
	struct zk_error why = { 0 };

	if (know(r, k, err) < 0)
		return -(int)err->code;
	(void)zk_fail(&why, ZK_E_CONFLICT, "it exists already");
	for (size_t i = 0; i < n; i++) {
		enum zk_zip_fate fate = ZK_ZIP_REGISTERED;
		enum zk_zip_diff diff = compare(r, k, &t[i]);

		if (zk_map_get(&k->by_id, t[i].id))
			fate = r->create_only                       ? ZK_ZIP_FAILED
			       : diff == ZK_ZIP_SAME && !r->replace ? ZK_ZIP_UNCHANGED
			                                            : ZK_ZIP_UPDATED;
		r->conflicts |= fate == ZK_ZIP_FAILED;
		if (tell(r, t[i].id, fate, fate == ZK_ZIP_FAILED ? &why : NULL, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

/* What the server shows afterwards. */
static int look_again(struct zk_zip_register *r, struct known *k, struct zk_error *err)
{
	known_done(k);
	zk_map_init(&k->by_id);
	if (know(r, k, err) < 0)
		return -(int)err->code;
	if (!k->file->root->n &&
	    r->fates[ZK_ZIP_REGISTERED] + r->fates[ZK_ZIP_UPDATED] > 0)
		r->on_no_store(r->ctx);
	return 0;
}

static int send_all(struct zk_zip_register *r, struct known *k,
                    const struct zk_zip_template *t, size_t n,
                    struct zk_zip_findings *found, struct zk_error *err)
{
	if (r->replace && clear_first(r, k, t, n, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < n;) {
		size_t some = chunk_of(t + i, n - i);

		if (send_chunk(r, k, t + i, some, found, err) < 0)
			return -(int)err->code;
		i += some;
	}
	return r->verify || r->prune ? look_again(r, k, err) : 0;
}

int zk_zip_register_run(struct zk_zip_register *r, const struct zk_zip_template *t,
                        size_t n, struct zk_zip_findings *found, struct zk_error *err)
{
	struct known k = { 0 };
	int rc;

	zk_map_init(&k.by_id);
	rc = r->dry_run ? only_tell(r, &k, t, n, err) : send_all(r, &k, t, n, found, err);
	if (rc == 0 && r->prune && !r->fates[ZK_ZIP_FAILED])
		rc = prune(r, &k, t, n, err);
	known_done(&k);
	return rc;
}
