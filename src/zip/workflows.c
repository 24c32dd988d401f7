/* The workflows of a server: listing and making them.
 * Layer: zip. specs/zeal-zip.md §5.1. */
#include <stdio.h>

#include "base/buf.h"
#include "codec/jwrite.h"
#include "zip/graph.h"

#include "base/ban.h"

#define PAGE     100
#define PAGE_MAX ((size_t)64 << 20)

int zk_zip_workflows(struct zk_zip *z,
                     int (*fn)(void *ctx, zk_str object, struct zk_error *err), void *ctx,
                     struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&body, PAGE_MAX);
	for (size_t offset = 0;; offset += PAGE) {
		struct zk_jval list, item;
		struct zk_jiter it;
		char path[80];
		size_t n = 0;
		int r;

		(void)snprintf(path, sizeof(path),
		               "/orchestrator/workflows?limit=%d&offset=%zu", PAGE,
		               offset);
		struct zk_zip_req rq = { .route = "/orchestrator/workflows",
			                 .path = path };

		zk_buf_clear(&body);
		if (zk_zip_call(z, &rq, &body, NULL, err) < 0)
			return -(int)err->code;
		if (!zk_jscan_get(zk_buf_str(&body), ZK_STR("workflows"), &list) ||
		    list.type != ZK_J_ARRAY)
			return zk_fail(err, ZK_E_PROTOCOL,
			               "the answer holds no workflows");
		zk_jiter_init(&it, list.raw);
		while (zk_jiter_element(&it, &item)) {
			n++;
			r = fn(ctx, item.raw, err);
			if (r)
				return r;
		}
		if (n < PAGE)
			return 0;
	}
}

struct named {
	zk_str name;
	struct zk_buf *answer;
	unsigned n;
};

static int on_named(void *ctx, zk_str object, struct zk_error *err)
{
	struct named *w = ctx;
	struct zk_jval v;

	(void)err;
	if (!zk_jscan_get(object, ZK_STR("name"), &v) || !zk_jstr_eq(v.raw, w->name))
		return 0;
	w->n++;
	zk_buf_clear(w->answer);
	zk_buf_add(w->answer, object);
	return 0;
}

int zk_zip_workflow_create(struct zk_zip *z, zk_str name, zk_str description, bool fresh,
                           struct zk_buf *answer, struct zk_error *err)
{
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;

	zk_buf_init(&body, 1u << 20);
	zk_jwrite_init(&w, &body);
	zk_jw_obj(&w);
	zk_jw_key(&w, "name");
	zk_jw_str(&w, name);
	if (description.n) {
		zk_jw_key(&w, "description");
		zk_jw_str(&w, description);
	}
	zk_jw_obj_end(&w);
	for (int tries = 0;; tries++) {
		struct zk_zip_req rq = { .class = ZK_ZIP_R2,
			                 .method = "POST",
			                 .route = "/orchestrator/workflows",
			                 .body = zk_buf_str(&body) };
		struct named found = { .name = name, .answer = answer };
		struct zk_error why;

		zk_buf_clear(answer);
		if (zk_zip_call(z, &rq, answer, NULL, err) == 0)
			return 0;
		if (!fresh || !zk_zip_is_ambiguous(err) ||
		    zk_zip_workflows(z, on_named, &found, &why) < 0 || found.n > 1)
			return -(int)err->code;
		if (found.n == 1)
			return 0;
		if (tries == 3)
			return -(int)err->code;
	}
}
