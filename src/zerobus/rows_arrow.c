/* Rows of Arrow IPC streams and files.
 * Layer: zerobus. specs/zerobus.md §11, §12.3. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "zerobus/convert.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

struct arrow_rows {
	struct zk_zb_rows r;
	struct zk_zb_rows_conf conf;
	struct zk_zb_source *source;
	struct zk_arrow *a;
	char *chunk;
	zk_str left;
	const struct zk_arrow_schema *seen; /* the one the plan is for */
	struct zk_zb_schema *own;           /* made of it, without a given one */
	struct zk_zb_plan *plan;
	struct zk_zb_kind *kind;
	const struct zk_arrow_batch *batch; /* NULL between batches */
	int64_t at;
	uint64_t row;
	struct zk_zb_out values;
	struct zk_buf base64;
};

static bool is_json(const struct arrow_rows *r)
{
	return r->conf.record_type == ZK_ZB_JSON;
}

/* A schema was read: a plan for it. 1 when it is another one than before. */
static int on_schema(struct arrow_rows *r, struct zk_error *err)
{
	const struct zk_arrow_schema *s = zk_arrow_schema(r->a);
	struct zk_zb_schema_conf sc = {
		.message = r->conf.message,
		.all_optional = r->conf.all_optional,
		.time_as = r->conf.time_as,
		.ctx = r->conf.ctx,
		.on_note = r->conf.on_note,
	};
	struct zk_zb_plan_conf pc = {
		.schema = r->conf.schema,
		.arrow = s,
		.json = is_json(r),
		.coerce = r->conf.coerce,
		.drop_unknown = r->conf.drop_unknown,
		.drop_nulls = r->conf.null_elements == ZK_ZB_NULL_DROP,
		.time_as = r->conf.time_as,
		.ctx = r->conf.ctx,
		.on_note = r->conf.on_note,
	};

	if (r->seen == s)
		return 0;
	zk_zb_plan_free(r->plan);
	zk_zb_schema_free(r->own);
	zk_zb_kind_unref(r->kind);
	r->plan = NULL;
	r->own = NULL;
	r->kind = NULL;
	if (!pc.schema) {
		if (zk_zb_schema_of_arrow(s, &sc, &r->own, err) < 0)
			return -(int)err->code;
		pc.schema = r->own;
	}
	if (zk_zb_plan_new(&pc, &r->plan, err) < 0)
		return -(int)err->code;
	r->kind = zk_zb_kind_new(is_json(r) ? ZK_ZB_JSON : ZK_ZB_PROTO,
	                         is_json(r) ? ZK_STR_NULL : pc.schema->descriptor);
	r->seen = s;
	return 1;
}

static void tell_raw(struct arrow_rows *r, enum zk_zb_raw what)
{
	struct zk_zb_part part = { .what = what };

	if (!r->conf.on_raw)
		return;
	zk_arrow_raw(r->a, &part.head, &part.body);
	if (what == ZK_ZB_RAW_DICTIONARY)
		zk_arrow_last_dict(r->a, &part.dict_id, &part.is_delta);
	r->conf.on_raw(r->conf.ctx, &part);
}

/* More bytes: 1, 0 at the end, or a negative code. */
static int fill(struct arrow_rows *r, struct zk_error *err)
{
	ptrdiff_t n = r->source->read(r->source, r->chunk, ZK_ZB_CHUNK_BYTES, err);

	if (n < 0)
		return (int)n;
	r->left = zk_str_n(r->chunk, (size_t)n);
	if (n == 0)
		return zk_arrow_end(r->a, err);
	return 1;
}

/* Reads up to the next batch or another schema: an enum zk_zb_got (ZK_ZB_ROW: a batch is there) or
 * a negative code. */
static int advance(struct arrow_rows *r, struct zk_error *err)
{
	for (;;) {
		enum zk_arrow_ev ev;
		int n = zk_arrow_next(r->a, &r->left, &ev, err);

		if (n < 0)
			return n;
		switch (ev) {
		case ZK_ARROW_MORE:
			n = fill(r, err);
			if (n <= 0)
				return n < 0 ? n : ZK_ZB_END;
			break;
		case ZK_ARROW_SCHEMA:
			tell_raw(r, ZK_ZB_RAW_SCHEMA);
			n = on_schema(r, err);
			if (n != 0)
				return n < 0 ? n : ZK_ZB_SCHEMA;
			break;
		case ZK_ARROW_DICTIONARY:
			tell_raw(r, ZK_ZB_RAW_DICTIONARY);
			break;
		case ZK_ARROW_BATCH:
			tell_raw(r, ZK_ZB_RAW_BATCH);
			r->batch = zk_arrow_batch(r->a);
			r->at = 0;
			zk_zb_plan_batch(r->plan, r->batch);
			return ZK_ZB_ROW;
		case ZK_ARROW_END:
			return ZK_ZB_END;
		}
	}
}

/* The values of a row that cannot be sent, whatever they are. */
static void put_values(struct arrow_rows *r, int64_t row, struct zk_zb_row *ret)
{
	const struct zk_arrow_schema *s = r->seen;
	struct zk_zb_out *o = &r->values;
	bool any = false;

	zk_zb_out_clear(o);
	zk_buf_clear(&r->base64);
	zk_zb_out_char(o, '{');
	for (uint32_t i = 0; i < s->n_fields; i = zk_arrow_sibling(s, i)) {
		struct zk_arrow_at at = { r->batch->cols, i, row };
		bool base64 = false;

		if (zk_arrow_resolve(s, &at) == ZK_ARROW_IS_NULL)
			continue;
		at = (struct zk_arrow_at){ r->batch->cols, i, row };
		if (any)
			zk_zb_out_char(o, ',');
		any = true;
		zk_zb_out_json_str(o, s->fields[i].name);
		zk_zb_out_char(o, ':');
		(void)zk_zb_arrow_json(r->plan, s, &at, /* lenient */ true, &base64, o);
		if (base64) {
			zk_buf_char(&r->base64, r->base64.n ? ',' : '[');
			zk_buf_json_str(&r->base64, s->fields[i].name);
		}
	}
	zk_zb_out_char(o, '}');
	if (r->base64.n)
		zk_buf_char(&r->base64, ']');
	ret->values = zk_zb_out_str(o);
	ret->base64 = zk_buf_str(&r->base64);
}

static int convert(struct arrow_rows *r, struct zk_zb_row *ret, struct zk_error *err)
{
	int64_t row = r->at++;

	ret->row = r->row++;
	ret->kind = r->kind;
	if (ZK_LIKELY(zk_zb_plan_row(r->plan, r->batch, row))) {
		ret->payload = zk_zb_out_str(&r->plan->out);
		return ZK_ZB_ROW;
	}
	(void)zk_zb_plan_fail(r->plan, err);
	(void)zk_err_where(err, "%s: row %" PRIu64 " (batch %" PRIu64 ")",
	                   r->source->name, ret->row, r->batch->number);
	ret->column = zk_zb_plan_column(r->plan);
	put_values(r, row, ret);
	return ZK_ZB_BAD_ROW;
}

static int arrow_next(struct zk_zb_rows *rows, struct zk_zb_row *ret,
                      struct zk_error *err)
{
	struct arrow_rows *r = ZK_CONTAINER_OF(rows, struct arrow_rows, r);

	*ret = (struct zk_zb_row){ .kind = r->kind };
	while (!r->batch || r->at == r->batch->n_rows) {
		int n;

		r->batch = NULL;
		n = advance(r, err);
		if (n < 0)
			return zk_wrap(err, "%s", r->source->name);
		ret->kind = r->kind;
		if (n != ZK_ZB_ROW)
			return n;
	}
	return convert(r, ret, err);
}

static void arrow_close(struct zk_zb_rows *rows)
{
	struct arrow_rows *r = ZK_CONTAINER_OF(rows, struct arrow_rows, r);

	zk_zb_plan_free(r->plan);
	zk_zb_schema_free(r->own);
	zk_zb_kind_unref(r->kind);
	zk_arrow_free(r->a);
	zk_zb_out_done(&r->values);
	zk_buf_done(&r->base64);
	free(r->chunk);
	free(r);
}

static int read_at(void *ctx, uint64_t at, void *p, size_t n, struct zk_error *err)
{
	struct zk_zb_source *s = ctx;

	return s->pread(s, at, p, n, err);
}

int zk_zb_rows_arrow(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                     struct zk_error *err)
{
	static const struct zk_zb_rows_ops ops = { .next = arrow_next,
		                                   .close = arrow_close };
	struct zk_zb_source *s = conf->source;
	struct zk_arrow_conf ac = { .max_body = conf->arrow_max_body,
		                    .size = s->seekable ? s->size : 0,
		                    .ctx = s };
	struct arrow_rows *r;

	if (s->seekable && s->pread && conf->format != ZK_ZB_FROM_ARROW_STREAM &&
	    zk_zb_peek_starts(s, ZK_STR("ARROW1\0\0"), err))
		ac.pread = read_at;
	r = zk_new0(struct arrow_rows);
	r->r.ops = &ops;
	r->conf = *conf;
	r->source = s;
	r->a = zk_arrow_new(&ac);
	r->chunk = zk_alloc(ZK_ZB_CHUNK_BYTES);
	zk_zb_out_init(&r->values, (size_t)512 << 20);
	zk_buf_init(&r->base64, (size_t)1 << 20);
	*ret = &r->r;
	return 0;
}
