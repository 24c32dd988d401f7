/* Rows of CSV: the first record names the columns.
 * Layer: zerobus. specs/zerobus.md §11.4, §12.2. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/csv.h"
#include "codec/jwrite.h"
#include "zerobus/convert.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define CELLS_MAX ((size_t)65536)

struct csv_rows {
	struct zk_zb_rows r;
	struct zk_zb_rows_conf conf;
	struct zk_zb_source *source;
	struct zk_zb_kind *kind;
	struct zk_zb_plan *plan;
	struct zk_csv csv;
	char *chunk;
	zk_str left;
	zk_str *columns; /* names, owned */
	size_t n_columns;
	zk_str *cells;
	struct zk_buf values, base64;
	uint64_t row;
	bool ended;
};

/* The next record; 1, 0 at the end, or a negative code. */
static int next_record(struct csv_rows *r, struct zk_csv_record *rec,
                       struct zk_error *err)
{
	while (!r->ended) {
		ptrdiff_t n;

		if (zk_csv_next(&r->csv, &r->left, rec))
			return 1;
		n = r->source->read(r->source, r->chunk, ZK_ZB_CHUNK_BYTES, err);
		if (n < 0)
			return (int)n;
		r->left = zk_str_n(r->chunk, (size_t)n);
		r->ended = n == 0;
	}
	return zk_csv_last(&r->csv, rec);
}

static int bad_header(const struct csv_rows *r, const char *why, struct zk_error *err)
{
	return zk_fail(err, ZK_E_DATA, "%s: the header row: %s", r->source->name, why);
}

static int read_header(struct csv_rows *r, const struct zk_csv_record *rec,
                       struct zk_error *err)
{
	if (rec->bad)
		return bad_header(r, rec->bad, err);
	r->columns = zk_alloc_array(rec->n, sizeof(*r->columns));
	r->cells = zk_alloc_array(rec->n, sizeof(*r->cells));
	for (size_t i = 0; i < rec->n; i++) {
		zk_str name = rec->cells[i].text;

		if (!zk_utf8_valid(name))
			return bad_header(r, "not valid UTF-8", err);
		if (!name.n)
			return bad_header(r, "a column without a name", err);
		for (size_t k = 0; k < i; k++)
			if (zk_str_eq_nocase(r->columns[k], name))
				return zk_fail(err, ZK_E_ZB_COLUMN_TWICE,
				               "%s: the header row has '%.*s' twice",
				               r->source->name, ZK_STR_ARG(name));
		r->columns[i] = zk_str_n(zk_strndup(name.p, name.n), name.n);
		r->n_columns++;
	}
	return 0;
}

/* Header and plan. 1, 0 for an input without a header, or a negative code. */
static int begin(struct csv_rows *r, struct zk_error *err)
{
	struct zk_zb_plan_conf pc = {
		.schema = r->conf.schema,
		.json = r->conf.record_type == ZK_ZB_JSON,
		.cells = true,
		.coerce = r->conf.coerce,
		.drop_unknown = r->conf.drop_unknown,
		.drop_nulls = r->conf.null_elements == ZK_ZB_NULL_DROP,
		.ctx = r->conf.ctx,
		.on_note = r->conf.on_note,
	};
	struct zk_csv_record rec;
	int n = next_record(r, &rec, err);

	if (n <= 0)
		return n;
	if (read_header(r, &rec, err) < 0)
		return -(int)err->code;
	pc.columns = r->columns;
	pc.n_columns = r->n_columns;
	if (zk_zb_plan_new(&pc, &r->plan, err) < 0)
		return zk_wrap(err, "%s", r->source->name);
	r->kind = zk_zb_kind_new(pc.json ? ZK_ZB_JSON : ZK_ZB_PROTO,
	                         pc.json ? ZK_STR_NULL : r->conf.schema->descriptor);
	return 1;
}

/* Which cells are null: empty ones without quotes, and those spelled --csv-null. */
static bool is_null(const struct csv_rows *r, const struct zk_csv_cell *c)
{
	return !c->quoted &&
	       (c->text.n == 0 ||
	        (r->conf.csv_null && zk_str_eq(c->text, zk_str_of(r->conf.csv_null))));
}

/* What is no text stands there as base64. */
static void put_cell(struct csv_rows *r, struct zk_jwrite *w, size_t column, zk_str text)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 2 * ZK_ZB_LINE_BYTES);
	zk_jw_key_str(w, r->columns[column]);
	if (zk_utf8_valid(text)) {
		zk_jw_str(w, text);
		return;
	}
	zk_buf_base64(&b, text, /* url */ false, /* pad */ true);
	zk_jw_str(w, zk_buf_str(&b));
	zk_buf_char(&r->base64, r->base64.n ? ',' : '[');
	zk_buf_json_str(&r->base64, r->columns[column]);
}

/* The cells as a JSON object, for the rejects file. */
static void put_values(struct csv_rows *r, const struct zk_csv_record *rec,
                       struct zk_zb_row *ret)
{
	struct zk_jwrite w;

	zk_buf_clear(&r->values);
	zk_buf_clear(&r->base64);
	zk_jwrite_init(&w, &r->values);
	zk_jw_obj(&w);
	for (size_t i = 0; i < rec->n && i < r->n_columns; i++) {
		if (is_null(r, &rec->cells[i]))
			continue;
		put_cell(r, &w, i, rec->cells[i].text);
	}
	zk_jw_obj_end(&w);
	if (r->base64.n)
		zk_buf_char(&r->base64, ']');
	ret->values = zk_buf_str(&r->values);
	ret->base64 = zk_buf_str(&r->base64);
}

static int bad_record(struct csv_rows *r, const struct zk_csv_record *rec,
                      struct zk_zb_row *ret, struct zk_error *err)
{
	(void)zk_err_where(err, "%s:%" PRIu64, r->source->name, rec->line);
	put_values(r, rec, ret);
	return ZK_ZB_BAD_ROW;
}

static int convert(struct csv_rows *r, const struct zk_csv_record *rec,
                   struct zk_zb_row *ret, struct zk_error *err)
{
	if (rec->bad) {
		(void)zk_fail(err, ZK_E_ZB_ROW_VALUE, "%s", rec->bad);
		return bad_record(r, rec, ret, err);
	}
	if (rec->n != r->n_columns) {
		(void)zk_fail(err, ZK_E_ZB_ROW_VALUE,
		              "the record has %zu cells, the header %zu", rec->n,
		              r->n_columns);
		return bad_record(r, rec, ret, err);
	}
	for (size_t i = 0; i < rec->n; i++) {
		if (!zk_utf8_valid(rec->cells[i].text)) {
			(void)zk_fail(err, ZK_E_ZB_ROW_UTF8,
			              "column '%.*s': not valid UTF-8",
			              ZK_STR_ARG(r->columns[i]));
			ret->column = r->columns[i];
			return bad_record(r, rec, ret, err);
		}
		r->cells[i] =
		        is_null(r, &rec->cells[i]) ? ZK_STR_NULL : rec->cells[i].text;
	}
	if (zk_zb_plan_cells(r->plan, r->cells, &ret->payload))
		return ZK_ZB_ROW;
	(void)zk_zb_plan_fail(r->plan, err);
	ret->column = zk_zb_plan_column(r->plan);
	return bad_record(r, rec, ret, err);
}

static int csv_next(struct zk_zb_rows *rows, struct zk_zb_row *ret, struct zk_error *err)
{
	struct csv_rows *r = ZK_CONTAINER_OF(rows, struct csv_rows, r);
	struct zk_csv_record rec;
	int n;

	*ret = (struct zk_zb_row){ 0 };
	if (!r->plan) {
		n = begin(r, err);
		ret->kind = r->kind;
		return n < 0 ? n : n == 0 ? ZK_ZB_END : ZK_ZB_SCHEMA;
	}
	ret->kind = r->kind;
	n = next_record(r, &rec, err);
	if (n < 0)
		return n;
	if (n == 0)
		return ZK_ZB_END;
	ret->row = r->row++;
	ret->line = rec.line;
	return convert(r, &rec, ret, err);
}

static void csv_close(struct zk_zb_rows *rows)
{
	struct csv_rows *r = ZK_CONTAINER_OF(rows, struct csv_rows, r);

	for (size_t i = 0; i < r->n_columns; i++)
		free((char *)(uintptr_t)r->columns[i].p);
	free(r->columns);
	free(r->cells);
	zk_csv_done(&r->csv);
	zk_buf_done(&r->values);
	zk_buf_done(&r->base64);
	zk_zb_plan_free(r->plan);
	zk_zb_kind_unref(r->kind);
	free(r->chunk);
	free(r);
}

int zk_zb_rows_csv(const struct zk_zb_rows_conf *conf, struct zk_zb_rows **ret,
                   struct zk_error *err)
{
	static const struct zk_zb_rows_ops ops = { .next = csv_next, .close = csv_close };
	bool tsv = zk_str_ends(zk_str_of(conf->source->name), ZK_STR(".tsv"));
	char delimiter = conf->csv_delimiter ? conf->csv_delimiter : tsv ? '\t' : ',';
	struct csv_rows *r;

	if (!conf->schema) {
		(void)zk_fail(err, ZK_E_ZB_TYPE,
		              "%s: CSV has no types: a schema is needed",
		              conf->source->name);
		return zk_err_hint(
		        err, "--schema table asks the workspace; --schema FILE takes an "
		             "Arrow file, a descriptor or a table's document");
	}
	r = zk_new0(struct csv_rows);
	r->r.ops = &ops;
	r->conf = *conf;
	r->source = conf->source;
	zk_csv_init(&r->csv, delimiter, ZK_ZB_LINE_BYTES, CELLS_MAX);
	zk_buf_init(&r->values, ZK_ZB_ROW_MAX);
	zk_buf_init(&r->base64, ZK_ZB_ROW_MAX);
	r->chunk = zk_alloc(ZK_ZB_CHUNK_BYTES);
	*ret = &r->r;
	return 0;
}
