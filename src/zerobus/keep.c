/* Rows in the spool.
 * Layer: zerobus. specs/zerobus.md §14.4. */
#include "zerobus/keep.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/json.h"
#include "codec/jwrite.h"
#include "zerobus/request.h"

#include "base/ban.h"

#define META_MAX       ((size_t)65536)
#define DESCRIPTOR_MAX ((size_t)16 << 20)

char *zk_zb_keep_dest(const char *host, const char *table)
{
	return zk_asprintf("%s/%s", host, table);
}

static void put_meta(struct zk_buf *b, const struct zk_zb_request *r,
                     const struct zk_zb_place *at)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "record_type");
	zk_jw_cstr(&w, r->kind->type == ZK_ZB_PROTO ? "PROTO" : "JSON");
	if (r->kind->type == ZK_ZB_PROTO) {
		zk_jw_key(&w, "fingerprint");
		zk_jw_cstr(&w, r->kind->fingerprint);
	}
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, r->source);
	zk_jw_key(&w, "row");
	zk_jw_u64(&w, at->row);
	if (at->line) {
		zk_jw_key(&w, "line");
		zk_jw_u64(&w, at->line);
	}
	zk_jw_obj_end(&w);
}

static int append(struct zk_spool *sp, const struct zk_spool_target *target,
                  const struct zk_zb_request *r, struct zk_spool_put *v,
                  struct zk_error *err)
{
	struct zk_zb_cursor c = { 0 };
	struct zk_buf metas ZK_CLEANUP(zk_buf_done) = { 0 };
	size_t *at = zk_alloc_array(r->rows + 1, sizeof(*at)), i = 0;

	zk_buf_init(&metas, SIZE_MAX / 2);
	while (zk_zb_request_next(r, &c)) {
		put_meta(&metas, r, &c.place);
		v[i].body = c.payload;
		at[++i] = metas.n;
	}
	for (i = 0; i < r->rows; i++)
		v[i].meta = zk_str_n(metas.p + at[i], at[i + 1] - at[i]);
	free(at);
	if (r->kind->type == ZK_ZB_PROTO &&
	    zk_spool_attach(sp, target, zk_str_of(r->kind->fingerprint),
	                    r->kind->descriptor, err) < 0)
		return -(int)err->code;
	return zk_spool_append(sp, target, v, r->rows, err);
}

int zk_zb_keep_put(struct zk_spool *sp, const struct zk_spool_target *target,
                   struct zk_zb_request *r, bool note_ids, struct zk_error *err)
{
	struct zk_spool_put *v = zk_alloc_array(r->rows, sizeof(*v));
	struct zk_error ignored;
	int res = zk_spool_begin(sp, err);

	if (res == 0) {
		res = append(sp, target, r, v, err);
		/* The transaction must end in any case; a failed append left nothing in it. */
		if (res == 0)
			res = zk_spool_commit(sp, err);
		else
			ZK_IGNORE(zk_spool_commit(sp, &ignored) < 0);
	}
	if (res == 0 && note_ids) {
		r->spool_ids = zk_alloc_array(r->rows, sizeof(*r->spool_ids));
		for (uint32_t i = 0; i < r->rows; i++)
			r->spool_ids[i] = v[i].id;
	}
	free(v);
	return res;
}

int zk_zb_keep_parse(zk_str meta, zk_str descriptor, struct zk_zb_kept *ret,
                     struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	zk_str type, source;
	uint64_t row = 0, line = 0;

	if (zk_json_parse(meta, META_MAX, &j, err) < 0 ||
	    zk_json_get_str(j, "record_type", &type, err) < 0 ||
	    zk_json_get_str(j, "source", &source, err) < 0 ||
	    zk_json_opt_u64(j, "row", &row, err) < 0 ||
	    zk_json_opt_u64(j, "line", &line, err) < 0)
		return zk_wrap(err, "a record of the spool cannot be read");
	*ret = (struct zk_zb_kept){
		.kind = zk_zb_kind_new(zk_str_eq(type, ZK_STR("PROTO")) ? ZK_ZB_PROTO
		                                                        : ZK_ZB_JSON,
		                       descriptor),
		.source = zk_strndup(source.p, source.n),
		.row = row,
		.line = line,
	};
	return 0;
}

static bool is_known(const struct zk_zb_kind *known, zk_str print)
{
	return known &&
	       zk_str_eq(zk_str_of(known->fingerprint), print.n ? print : ZK_STR("json"));
}

int zk_zb_keep_read(struct zk_spool *sp, const struct zk_spool_target *target,
                    const struct zk_spool_rec *rec, struct zk_zb_kind *known,
                    struct zk_zb_kept *ret, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	struct zk_buf desc ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str print = ZK_STR_NULL;
	int r = 1;

	zk_buf_init(&desc, DESCRIPTOR_MAX);
	if (zk_json_parse(rec->meta, META_MAX, &j, err) < 0 ||
	    zk_json_opt_str(j, "fingerprint", &print, err) < 0)
		return zk_wrap(err, "a record of the spool cannot be read");
	if (print.n && !is_known(known, print))
		r = zk_spool_attachment(sp, target, print, &desc, err);
	if (r < 0)
		return r;
	if (!r)
		return zk_fail(err, ZK_E_STORE_CORRUPT,
		               "the spool lost the descriptor '%.*s'", ZK_STR_ARG(print));
	r = zk_zb_keep_parse(rec->meta, zk_buf_str(&desc), ret, err);
	if (r == 0 && is_known(known, print)) {
		zk_zb_kind_unref(ret->kind);
		ret->kind = zk_zb_kind_ref(known);
	}
	return r;
}
