/* Requests of rows.
 * Layer: zerobus. specs/zerobus.md §13. */
#include "zerobus/builder.h"

#include <stdio.h>

#include "base/clock.h"
#include "zerobus/proto.h"
#include "zerobus/request.h"

#include "base/ban.h"

#define CLOCK_EVERY 64 /* rows between two looks at the clock */

struct zk_zb_builder_conf zk_zb_builder_conf_of(const struct zk_zb_feed_conf *feed)
{
	return (struct zk_zb_builder_conf){
		.batch_rows = feed->batch_rows,
		.batch_bytes = feed->batch_bytes,
		.max_message = feed->max_message,
		.linger_ms = feed->linger_ms,
		.skip = feed->skip,
		.skip_ctx = feed->skip_ctx,
	};
}

void zk_zb_builder_init(struct zk_zb_builder *b, const struct zk_zb_builder_conf *conf)
{
	*b = (struct zk_zb_builder){ .conf = *conf };
}

void zk_zb_builder_done(struct zk_zb_builder *b)
{
	zk_zb_request_free(b->open);
	zk_zb_kind_unref(b->kind);
	b->open = NULL;
	b->kind = NULL;
}

static void tell_skipped(struct zk_zb_builder *b)
{
	if (b->skipped)
		b->conf.on_skipped(b->conf.ctx, b->skipped);
	b->skipped = 0;
}

void zk_zb_builder_flush(struct zk_zb_builder *b)
{
	struct zk_zb_request *r = b->open;

	tell_skipped(b);
	b->open = NULL;
	if (r)
		b->conf.on_request(b->conf.ctx, r);
}

void zk_zb_builder_source(struct zk_zb_builder *b, const char *name)
{
	zk_zb_builder_flush(b);
	b->source = name;
	b->next_row = 0;
}

int64_t zk_zb_builder_linger(struct zk_zb_builder *b)
{
	int64_t left;

	if (!b->open)
		return -1;
	left = b->conf.linger_ms - (zk_mono_us() - b->open_us) / 1000;
	if (left > 0)
		return left;
	zk_zb_builder_flush(b);
	return -1;
}

static void set_kind(struct zk_zb_builder *b, struct zk_zb_kind *kind)
{
	if (b->kind && zk_zb_kind_same(b->kind, kind))
		return;
	zk_zb_builder_flush(b);
	zk_zb_kind_unref(b->kind);
	b->kind = zk_zb_kind_ref(kind);
	b->untold = true;
}

/* A kind is told when the first of its rows is there: an input without rows asks for nothing. */
static void tell_kind(struct zk_zb_builder *b)
{
	if (b->untold)
		b->conf.on_kind(b->conf.ctx, b->kind);
	b->untold = false;
}

static void bad(struct zk_zb_builder *b, const struct zk_zb_row *row,
                const struct zk_error *err)
{
	b->conf.on_bad(b->conf.ctx, &(struct zk_zb_bad){ .source = b->source,
	                                                 .kind = b->kind,
	                                                 .row = row->row,
	                                                 .line = row->line,
	                                                 .err = *err,
	                                                 .values = row->values,
	                                                 .column = row->column,
	                                                 .base64 = row->base64,
	                                                 .is_text = row->is_text });
}

static void too_large(struct zk_zb_builder *b, const struct zk_zb_row *row)
{
	struct zk_error err = { 0 };
	struct zk_zb_row copy = *row;

	(void)zk_fail(&err, ZK_E_ZB_ROW_SIZE,
	              "the row takes %zu bytes, more than a message of %zu may hold",
	              row->payload.n, b->conf.max_message);
	if (row->line)
		(void)zk_err_where(&err, "%s:%llu", b->source,
		                   (unsigned long long)row->line);
	else
		(void)zk_err_where(&err, "%s row %llu", b->source,
		                   (unsigned long long)row->row);
	copy.values = row->payload;
	copy.column = copy.base64 = ZK_STR_NULL;
	copy.is_text = b->kind->type == ZK_ZB_JSON;
	bad(b, &copy, &err);
}

static void add(struct zk_zb_builder *b, const struct zk_zb_row *row)
{
	size_t n = zk_zb_row_size(row->payload.n);
	size_t most = ZK_MIN(b->conf.batch_bytes, b->conf.max_message);

	if (zk_zb_message_size(n) > b->conf.max_message) {
		too_large(b, row);
		return;
	}
	if (b->discard)
		return;
	if (b->open && zk_zb_message_size(b->open->n + n) > most)
		zk_zb_builder_flush(b);
	if (!b->open) {
		b->open = b->conf.want(b->conf.ctx, b->kind, b->source);
		b->open->single = b->conf.batch_rows == 1;
		b->open_us = zk_mono_us();
	}
	tell_kind(b);
	zk_zb_request_add(b->open, row->payload, row->row, row->line);
	if (b->open->rows >= b->conf.batch_rows)
		zk_zb_builder_flush(b);
	else if (b->open->rows % CLOCK_EVERY == 0)
		(void)zk_zb_builder_linger(b);
}

void zk_zb_builder_row(struct zk_zb_builder *b, enum zk_zb_got got,
                       const struct zk_zb_row *row, const struct zk_error *err)
{
	if (got == ZK_ZB_END)
		return;
	if (row->kind)
		set_kind(b, row->kind);
	if (got == ZK_ZB_SCHEMA)
		return;
	b->next_row = row->row + 1;
	if (b->conf.skip && b->conf.skip(b->conf.skip_ctx, b->source, row->row)) {
		b->skipped++;
		return;
	}
	tell_skipped(b);
	if (got == ZK_ZB_ROW)
		add(b, row);
	else
		bad(b, row, err);
}
