/* Lines of a source, and lines that are JSON objects.
 * Layer: zerobus. specs/zerobus.md §12.2; ux.md §6. */
#include <stdlib.h>

#include "base/mem.h"
#include "zerobus/rows_readers.h"
#include "zerobus/source.h"

#include "base/ban.h"

void zk_zb_lines_init(struct zk_zb_lines *l, struct zk_zb_source *source,
                      size_t max_line_bytes)
{
	*l = (struct zk_zb_lines){ .source = source };
	zk_ndjson_init(&l->split, max_line_bytes);
	l->chunk = zk_alloc(ZK_ZB_CHUNK_BYTES);
}

void zk_zb_lines_done(struct zk_zb_lines *l)
{
	zk_ndjson_done(&l->split);
	free(l->chunk);
}

/* More input; 1, 0 at its end, or a negative code. */
static int fill(struct zk_zb_lines *l, struct zk_error *err)
{
	ptrdiff_t n = l->source->read(l->source, l->chunk, ZK_ZB_CHUNK_BYTES, err);

	if (n <= 0)
		return (int)n;
	l->left = zk_str_n(l->chunk, (size_t)n);
	return 1;
}

int zk_zb_lines_next(struct zk_zb_lines *l, struct zk_ndjson_line *ret,
                     struct zk_error *err)
{
	while (!l->ended) {
		if (zk_ndjson_next(&l->split, &l->left, ret))
			return 1;
		int n = fill(l, err);

		if (n < 0)
			return n;
		l->ended = n == 0;
	}
	return zk_ndjson_last(&l->split, ret);
}

bool zk_zb_lines_object(const struct zk_zb_lines *l, const struct zk_ndjson_line *line,
                        struct zk_jscan *ret, struct zk_error *err)
{
	return zk_zb_lines_find(l, line, NULL, 0, ret, err);
}

bool zk_zb_lines_find(const struct zk_zb_lines *l, const struct zk_ndjson_line *line,
                      struct zk_jwant *want, size_t n_want, struct zk_jscan *ret,
                      struct zk_error *err)
{
	if (line->too_long) {
		(void)zk_fail(err, ZK_E_ZB_ROW_SIZE, "the line is longer than %zu MiB",
		              l->split.max_line >> 20);
		return false;
	}
	if (zk_jscan(line->text, ZK_JSCAN_DEPTH_MAX, want, n_want, ret) < 0) {
		if (ret->code == ZK_E_UTF8)
			(void)zk_fail(err, ZK_E_ZB_ROW_UTF8,
			              "invalid UTF-8 at byte %zu of the line",
			              ret->offset);
		else
			(void)zk_fail(err, ZK_E_ZB_ROW_JSON,
			              "invalid JSON at byte %zu of the line: %s",
			              ret->offset, ret->what);
		return false;
	}
	if (ret->top.type != ZK_J_OBJECT) {
		(void)zk_fail(err, ZK_E_ZB_ROW_JSON,
		              "a row must be a JSON object, not %s",
		              zk_jtype_name(ret->top.type));
		return false;
	}
	return true;
}
