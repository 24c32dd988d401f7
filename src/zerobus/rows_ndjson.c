/* Rows of NDJSON: as they stand, or checked against a schema.
 * Layer: zerobus. specs/zerobus.md §11.3, §11.4, §12.2. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "zerobus/convert.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

struct ndjson_rows {
	struct zk_zb_rows r;
	struct zk_zb_source *source;
	struct zk_zb_kind *kind;
	struct zk_zb_plan *plan; /* NULL without a schema */
	struct zk_zb_lines lines;
	uint64_t row;
	bool told_schema, checked;
};

static int bad_line(struct ndjson_rows *r, const struct zk_ndjson_line *line,
                    bool is_text, struct zk_zb_row *ret, struct zk_error *err)
{
	(void)zk_err_where(err, "%s:%" PRIu64, r->source->name, line->number);
	ret->column = ret->base64 = ZK_STR_NULL;
	ret->values = line->text;
	ret->is_text = is_text;
	return ZK_ZB_BAD_ROW;
}

static int check(struct ndjson_rows *r, const struct zk_ndjson_line *line,
                 struct zk_zb_row *ret, struct zk_error *err)
{
	struct zk_jscan js;

	if (r->checked && !r->plan) {
		ret->payload = line->text;
		if (line->text.p[0] != '{' || line->text.p[line->text.n - 1] != '}')
			ret->payload = zk_str_trim(line->text);
		return ZK_ZB_ROW;
	}
	if (!zk_zb_lines_object(&r->lines, line, &js, err))
		return bad_line(r, line, /* is_text */ true, ret, err);
	if (!r->plan) {
		ret->payload = js.top.raw;
		return ZK_ZB_ROW;
	}
	if (zk_zb_plan_line(r->plan, js.top.raw, &ret->payload))
		return ZK_ZB_ROW;
	(void)zk_zb_plan_fail(r->plan, err);
	(void)bad_line(r, line, /* is_text */ false, ret, err);
	ret->column = zk_zb_plan_column(r->plan);
	return ZK_ZB_BAD_ROW;
}

static int ndjson_next(struct zk_zb_rows *rows, struct zk_zb_row *ret,
                       struct zk_error *err)
{
	struct ndjson_rows *r = ZK_CONTAINER_OF(rows, struct ndjson_rows, r);
	struct zk_ndjson_line line;

	ret->kind = r->kind;
	if (!r->told_schema) {
		r->told_schema = true;
		return ZK_ZB_SCHEMA;
	}
	int n = zk_zb_lines_next(&r->lines, &line, err);

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

	zk_zb_lines_done(&r->lines);
	zk_zb_kind_unref(r->kind);
	zk_zb_plan_free(r->plan);
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
	r->r.verbatim = !plan;
	r->source = conf->source;
	r->plan = plan;
	r->checked = conf->checked;
	r->kind = zk_zb_kind_new(json ? ZK_ZB_JSON : ZK_ZB_PROTO,
	                         json ? ZK_STR_NULL : conf->schema->descriptor);
	zk_zb_lines_init(&r->lines, conf->source, ZK_ZB_LINE_BYTES);
	*ret = &r->r;
	return 0;
}
