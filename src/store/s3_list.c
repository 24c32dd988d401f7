/* Listing the keys of a bucket.
 * Layer: store. ListObjectsV2. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "store/s3_int.h"

#include "base/ban.h"

#define KEY_MAX   8192 /* percent-encoded */
#define TOKEN_MAX 4096

/* ---- a page ---- */

struct object {
	struct zk_buf key, size;
};

/* The element of an object is over. */
static bool take_object(struct object *o, bool encoded,
                        void (*each)(void *ctx, zk_str key, uint64_t bytes), void *ctx)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done);
	struct zk_error ignored;
	uint64_t bytes;

	zk_buf_init(&key, KEY_MAX);
	if (!o->key.n || zk_parse_u64(zk_buf_str(&o->size), &bytes, &ignored) < 0)
		return false;
	if (!encoded) {
		each(ctx, zk_buf_str(&o->key), bytes);
		return true;
	}
	if (!zk_uri_decode(zk_buf_str(&o->key), ZK_URI_QUERY, &key))
		return false;
	each(ctx, zk_buf_str(&key), bytes);
	return true;
}

/* The children of the root: texts that are kept, and objects. */
static bool read_child(struct zk_xml *x, struct zk_buf *next, struct zk_buf *encoding,
                       bool *in_object)
{
	if (zk_str_eq(x->name, ZK_STR("NextContinuationToken")))
		return zk_xml_inner(x, next);
	if (zk_str_eq(x->name, ZK_STR("EncodingType")))
		return zk_xml_inner(x, encoding);
	*in_object = zk_str_eq(x->name, ZK_STR("Contents"));
	return true;
}

static bool read_member(struct zk_xml *x, struct object *o)
{
	if (zk_str_eq(x->name, ZK_STR("Key")))
		return zk_xml_inner(x, &o->key);
	if (zk_str_eq(x->name, ZK_STR("Size")))
		return zk_xml_inner(x, &o->size);
	return true;
}

static bool read_page(struct zk_xml *x, struct object *o,
                      void (*each)(void *ctx, zk_str key, uint64_t bytes), void *ctx,
                      struct zk_buf *next)
{
	struct zk_buf encoding ZK_CLEANUP(zk_buf_done);
	bool in_object = false, good = true;

	zk_buf_init(&encoding, 64);
	while (good) {
		switch (zk_xml_next(x)) {
		case ZK_XML_OPEN:
			if (x->depth == 1) {
				good = zk_str_eq(x->name, ZK_STR("ListBucketResult"));
			} else if (x->depth == 2) {
				zk_buf_clear(&o->key);
				zk_buf_clear(&o->size);
				good = read_child(x, next, &encoding, &in_object);
			} else if (x->depth == 3 && in_object) {
				good = read_member(x, o);
			}
			break;
		case ZK_XML_CLOSE:
			if (x->depth == 1 && in_object) {
				good = take_object(o, encoding.n > 0, each, ctx);
				in_object = false;
			}
			break;
		case ZK_XML_TEXT:
			break;
		case ZK_XML_END:
			return true;
		case ZK_XML_BAD:
			return false;
		}
	}
	return false;
}

int zk_s3_page_parse(zk_str body, void (*each)(void *ctx, zk_str key, uint64_t bytes),
                     void *ctx, struct zk_buf *next, struct zk_error *err)
{
	struct object o;
	struct zk_xml x;
	bool good;

	zk_buf_init(&o.key, KEY_MAX);
	zk_buf_init(&o.size, 32);
	zk_buf_clear(next);
	zk_xml_init(&x, body);
	good = read_page(&x, &o, each, ctx, next);
	zk_buf_done(&o.key);
	zk_buf_done(&o.size);
	return good ? 0
	            : zk_fail(err, ZK_E_PROTOCOL, "the list of the bucket is malformed");
}

/* ---- all pages ---- */

struct list {
	struct zk_list link;
	struct zk_s3 *s;
	char *prefix;
	void (*each)(void *ctx, zk_str key, uint64_t bytes);
	zk_s3_fn fn;
	void *ctx;
	struct zk_buf next;
	struct zk_s3_req *req;
};

static void list_free(struct list *l)
{
	zk_list_remove(&l->link);
	if (l->req)
		zk_s3_req_cancel(l->req);
	zk_buf_done(&l->next);
	free(l->prefix);
	free(l);
}

void zk_s3_lists_free(struct zk_s3 *s)
{
	ZK_LIST_EACH (it, &s->lists)
		list_free(ZK_LIST_ENTRY(it, struct list, link));
}

static void on_page(void *ctx, const struct zk_http_res *res, const struct zk_error *err);

static void ask_page(struct list *l)
{
	struct zk_buf query ZK_CLEANUP(zk_buf_done);
	struct zk_s3_ask a = { .method = "GET", .done = on_page, .ctx = l };

	zk_buf_init(&query, 3 * (TOKEN_MAX + KEY_MAX));
	if (l->next.n) {
		zk_buf_lit(&query, "continuation-token=");
		zk_buf_percent(&query, zk_buf_str(&l->next));
		zk_buf_char(&query, '&');
	}
	zk_buf_lit(&query, "encoding-type=url&list-type=2&prefix=");
	zk_buf_percent(&query, zk_str_of(l->prefix));
	a.query = zk_buf_cstring(&query);
	l->req = zk_s3_ask(l->s, &a);
}

static void on_page(void *ctx, const struct zk_http_res *res, const struct zk_error *err)
{
	struct list *l = ctx;
	struct zk_error bad = { 0 };

	l->req = NULL;
	if (!err && zk_s3_page_parse(res->body, l->each, l->ctx, &l->next, &bad) == 0 &&
	    l->next.n) {
		ask_page(l);
		return;
	}
	l->fn(l->ctx, NULL, err ? err : bad.code ? &bad : NULL);
	list_free(l);
}

void zk_s3_list(struct zk_s3 *s, zk_str prefix,
                void (*each)(void *ctx, zk_str key, uint64_t bytes), zk_s3_fn fn,
                void *ctx)
{
	struct list *l = zk_new0(struct list);

	l->s = s;
	l->prefix = zk_strndup(prefix.n ? prefix.p : "", prefix.n);
	l->each = each;
	l->fn = fn;
	l->ctx = ctx;
	zk_buf_init(&l->next, TOKEN_MAX);
	zk_list_init(&l->link);
	zk_list_push(&s->lists, &l->link);
	ask_page(l);
}
