/* Fuzz target: the detail of an execution and the file of a run. Whatever the chunks are, the
 * same events come out.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "zip/trace_detail.h"
#include "zip/trace_run.h"
#include "zip/trace_seen.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_event(void *ctx, zk_str event, struct zk_error *err)
{
	struct zk_buf *b = ctx;

	(void)err;
	ZK_ASSERT(event.n >= 2 && event.p[0] == '{' && event.p[event.n - 1] == '}');
	zk_buf_add(b, event);
	zk_buf_char(b, '\n');
	return 0;
}

static int feed(zk_str text, size_t step, struct zk_buf *events)
{
	struct zk_error err = { 0 };
	struct zk_zip_detail d;
	int r = 0;

	zk_zip_detail_init(&d);
	d.ctx = events;
	d.on_event = on_event;
	while (r == 0 && text.n) {
		zk_str piece = zk_str_n(text.p, ZK_MIN(step, text.n));

		r = zk_zip_detail_put(&d, piece, &err);
		text = zk_str_from(text, piece.n);
	}
	if (r == 0)
		r = zk_zip_detail_end(&d, &err);
	zk_zip_detail_done(&d);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size);
	struct zk_zip_seen seen = { 0 };
	struct zk_zip_run_text run;
	struct zk_error err = { 0 };
	struct zk_buf whole, pieces;

	zk_buf_init(&whole, 2 * size + 16);
	zk_buf_init(&pieces, 2 * size + 16);
	int a = feed(text, size, &whole), b = feed(text, 1, &pieces);

	ZK_ASSERT(a == b && zk_str_eq(zk_buf_str(&whole), zk_buf_str(&pieces)));
	zk_zip_seen_begin(&seen, ZK_STR("m"), 0);
	if (zk_zip_seen_put(&seen, text, &err) == 0 && zk_zip_seen_end(&seen, &err) == 0)
		(void)zk_zip_seen_has(&seen, 5);
	zk_zip_seen_done(&seen);
	if (zk_zip_run_parse(text, &run))
		ZK_ASSERT(run.json.n >= 2);
	zk_buf_done(&whole);
	zk_buf_done(&pieces);
	return 0;
}
