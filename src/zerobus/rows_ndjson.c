/* Rows of NDJSON: as they stand, or checked against a schema.
 * Layer: zerobus. specs/zerobus.md §11.3, §11.4, §12.2. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/ndjson.h"
#include "zerobus/convert.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

struct ndjson_rows {
	struct zk_zb_rows r;
	struct zk_zb_source *source;
	struct zk_zb_kind *kind;
	struct zk_zb_plan *plan; /* NULL without a schema */
	struct zk_ndjson split;
	char *chunk;
	zk_str left; /* of the chunk */
	uint64_t row;
	bool told_schema, ended;
};

static int bad_line(struct ndjson_rows *r, const struct zk_ndjson_line *line,
                    bool is_text, struct zk_zb_row *ret, struct zk_error *err)
{
	(void)zk_err_where(err, "%s:%" PRIu64, r->source->name, line->number);
	ret->values = line->text;
	ret->is_text = is_text;
	return ZK_ZB_BAD_ROW;
}

/* The line as a JSON object; false with `err` filled. */
static bool scan(const struct zk_ndjson_line *line, struct zk_jscan *js,
                 struct zk_error *err)
{
	if (line->too_long) {
		(void)zk_fail(err, ZK_E_ZB_ROW_SIZE, "the line is longer than 16 MiB");
		return false;
	}
	if (zk_jscan(line->text, ZK_JSCAN_DEPTH_MAX, NULL, 0, js) < 0) {
		if (js->code == ZK_E_UTF8)
			(void)zk_fail(err, ZK_E_ZB_ROW_UTF8,
			              "invalid UTF-8 at byte %zu of the line",
			              js->offset);
		else
			(void)zk_fail(err, ZK_E_ZB_ROW_JSON,
			              "invalid JSON at byte %zu of the line: %s",
			              js->offset, js->what);
		return false;
	}
	if (js->top.type != ZK_J_OBJECT) {
		(void)zk_fail(err, ZK_E_ZB_ROW_JSON,
		              "a row must be a JSON object, not %s",
		              zk_jtype_name(js->top.type));
		return false;
	}
	return true;
}

static int check(struct ndjson_rows *r, const struct zk_ndjson_line *line,
                 struct zk_zb_row *ret, struct zk_error *err)
{
	struct zk_jscan js;

	if (!scan(line, &js, err))
		return bad_line(r, line, /* is_text */ true, ret, err);
	if (!r->plan) {
		ret->payload = js.top.raw;
		return ZK_ZB_ROW;
	}
	if (zk_zb_plan_line(r->plan, js.top.raw, &ret->payload))
		return ZK_ZB_ROW;
	(void)zk_zb_plan_fail(r->plan, err);
	ret->column = zk_zb_plan_column(r->plan);
	return bad_line(r, line, /* is_text */ false, ret, err);
}

/* More input; 1, 0 at its end, or a negative code. */
static int fill(struct ndjson_rows *r, struct zk_error *err)
{
	ptrdiff_t n = r->source->read(r->source, r->chunk, ZK_ZB_CHUNK_BYTES, err);

	if (n <= 0)
		return (int)n;
	r->left = zk_str_n(r->chunk, (size_t)n);
	return 1;
}

/* The next line; 1, 0 at the end, or a negative code. */
static int next_line(struct ndjson_rows *r, struct zk_ndjson_line *line,
                     struct zk_error *err)
{
	while (!r->ended) {
		if (zk_ndjson_next(&r->split, &r->left, line))
			return 1;
		int n = fill(r, err);

		if (n < 0)
			return n;
		r->ended = n == 0;
	}
	return zk_ndjson_last(&r->split, line);
}

static int ndjson_next(struct zk_zb_rows *rows, struct zk_zb_row *ret,
                       struct zk_error *err)
{
	struct ndjson_rows *r = ZK_CONTAINER_OF(rows, struct ndjson_rows, r);
	struct zk_ndjson_line line;

	*ret = (struct zk_zb_row){ .kind = r->kind };
	if (!r->told_schema) {
		r->told_schema = true;
		return ZK_ZB_SCHEMA;
	}
	int n = next_line(r, &line, err);

	if (n < 0)
		return n;
	if (n == 0)
		return ZK_ZB_END;
	ret->row = r->row++;
	ret->line = line.number;
	return check(r, &line, ret, err);
}

static void ndjson_close(struct zk_zb_rows *rows)
{
	struct ndjson_rows *r = ZK_CONTAINER_OF(rows, struct ndjson_rows, r);

	zk_ndjson_done(&r->split);
	zk_zb_kind_unref(r->kind);
	zk_zb_plan_free(r->plan);
	free(r->chunk);
	free(r);
}

int zk_zb_rows_ndjson(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                      struct zk_error *err)
{
	static const struct zk_zb_rows_ops ops = { .next = ndjson_next,
		                                   .close = ndjson_close };
	bool json = conf->record_type == ZK_ZB_JSON ||
	            (conf->record_type == ZK_ZB_RECORD_AUTO && !conf->schema);
	struct ndjson_rows *r;
	struct zk_zb_plan *plan = NULL;

	if (!conf->schema && !json) {
		(void)zk_fail(err, ZK_E_ZB_TYPE,
		              "%s: NDJSON has no types, protobuf needs them",
		              conf->source->name);
		return zk_err_hint(
		        err, "give a schema (--schema table or a file), or send JSON "
		             "records (--record-type json)");
	}
	if (conf->schema) {
		struct zk_zb_plan_conf pc = {
			.schema = conf->schema,
			.json = json,
			.coerce = conf->coerce,
			.drop_unknown = conf->drop_unknown,
			.drop_nulls = conf->null_elements == ZK_ZB_NULL_DROP,
			.ctx = conf->ctx,
			.on_note = conf->on_note,
		};

		if (zk_zb_plan_new(&pc, &plan, err) < 0)
			return zk_wrap(err, "%s", conf->source->name);
	}
	r = zk_new0(struct ndjson_rows);
	r->r.ops = &ops;
	r->source = conf->source;
	r->plan = plan;
	r->kind = zk_zb_kind_new(json ? ZK_ZB_JSON : ZK_ZB_PROTO,
	                         json ? ZK_STR_NULL : conf->schema->descriptor);
	zk_ndjson_init(&r->split, ZK_ZB_LINE_BYTES);
	r->chunk = zk_alloc(ZK_ZB_CHUNK_BYTES);
	*ret = &r->r;
	return 0;
}
