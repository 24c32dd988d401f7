/* NDJSON rows as they stand: checked, never rewritten.
 * Layer: zerobus. specs/zerobus.md §11.3, §12.2. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/ndjson.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define LINE_BYTES  ((size_t)16 << 20) /* ux.md §6 */

struct raw_rows {
	struct zk_zb_rows r;
	struct zk_zb_source *source;
	struct zk_zb_kind *kind;
	struct zk_ndjson split;
	char *chunk;
	zk_str left; /* of the chunk */
	uint64_t row;
	bool told_schema, ended;
};

static int bad_line(struct raw_rows *r, const struct zk_ndjson_line *line,
                    struct zk_zb_row *ret, struct zk_error *err)
{
	(void)zk_err_where(err, "%s:%llu", r->source->name,
	                   (unsigned long long)line->number);
	ret->values = line->text;
	ret->is_text = true;
	return ZK_ZB_BAD_ROW;
}

static int check(struct raw_rows *r, const struct zk_ndjson_line *line,
                 struct zk_zb_row *ret, struct zk_error *err)
{
	struct zk_jscan js;

	if (line->too_long) {
		(void)zk_fail(err, ZK_E_ZB_ROW_SIZE, "the line is longer than 16 MiB");
		return bad_line(r, line, ret, err);
	}
	if (zk_jscan(line->text, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) < 0) {
		if (js.code == ZK_E_UTF8)
			(void)zk_fail(err, ZK_E_ZB_ROW_UTF8,
			              "invalid UTF-8 at byte %zu of the line", js.offset);
		else
			(void)zk_fail(err, ZK_E_ZB_ROW_JSON,
			              "invalid JSON at byte %zu of the line: %s",
			              js.offset, js.what);
		return bad_line(r, line, ret, err);
	}
	if (js.top.type != ZK_J_OBJECT) {
		(void)zk_fail(err, ZK_E_ZB_ROW_JSON,
		              "a row must be a JSON object, not %s",
		              zk_jtype_name(js.top.type));
		return bad_line(r, line, ret, err);
	}
	ret->payload = js.top.raw;
	return ZK_ZB_ROW;
}

/* More input; 1, 0 at its end, or a negative code. */
static int fill(struct raw_rows *r, struct zk_error *err)
{
	ptrdiff_t n = r->source->read(r->source, r->chunk, CHUNK_BYTES, err);

	if (n <= 0)
		return (int)n;
	r->left = zk_str_n(r->chunk, (size_t)n);
	return 1;
}

/* The next line; 1, 0 at the end, or a negative code. */
static int next_line(struct raw_rows *r, struct zk_ndjson_line *line,
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

static int raw_next(struct zk_zb_rows *rows, struct zk_zb_row *ret, struct zk_error *err)
{
	struct raw_rows *r = ZK_CONTAINER_OF(rows, struct raw_rows, r);
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

static void raw_close(struct zk_zb_rows *rows)
{
	struct raw_rows *r = ZK_CONTAINER_OF(rows, struct raw_rows, r);

	zk_ndjson_done(&r->split);
	zk_zb_kind_unref(r->kind);
	free(r->chunk);
	free(r);
}

struct zk_zb_rows *zk_zb_rows_raw(const struct zk_zb_rows_conf *conf)
{
	static const struct zk_zb_rows_ops ops = { .next = raw_next, .close = raw_close };
	struct raw_rows *r = zk_new0(struct raw_rows);

	r->r.ops = &ops;
	r->source = conf->source;
	r->kind = zk_zb_kind_new(ZK_ZB_JSON, ZK_STR_NULL);
	zk_ndjson_init(&r->split, LINE_BYTES);
	r->chunk = zk_alloc(CHUNK_BYTES);
	return &r->r;
}
