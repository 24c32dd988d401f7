/* GET /api/inbox and GET /api/events/:event_id (specs/triggers.md §5.7, §5.10).
 * Layer: triggers. The row functions run on the store's reading thread. */
#include <stdlib.h>

#include "base/mem.h"
#include "triggers/api.h"
#include "triggers/api_query.h"

#include "base/ban.h"

#define MAX_PAGE_BYTES (8 * 1024 * 1024)
#define MAX_OUT_BYTES  (32 * 1024 * 1024)

struct page {
	struct zk_trig_page op;
	struct zk_trig_query q;
	struct zk_buf out;
};

static void page_row(struct zk_trig_page *p, const struct zk_trig_row *row)
{
	if (p->out->n > 1)
		zk_buf_char(p->out, ',');
	zk_trig_row_json(p->out, row);
}

static void on_page(struct zk_trig_op *op)
{
	struct page *p = ZK_CONTAINER_OF(op, struct page, op.op);
	struct zk_trig_call *c = op->ctx;
	struct zk_buf *b = &p->out;

	if (op->code < 0 || b->failed) {
		zk_trig_fail_store(c, op);
	} else {
		if (b->n == 0)
			zk_buf_char(b, '[');
		struct zk_buf all ZK_CLEANUP(zk_buf_done);

		zk_buf_init(&all, MAX_OUT_BYTES + 1024);
		zk_buf_lit(&all, "{\"events\":");
		zk_buf_add(&all, zk_buf_str(b));
		zk_buf_lit(&all, "],\"next_cursor\":");
		if (p->op.has_more)
			zk_trig_uuid_json(&all, &p->op.last_id);
		else
			zk_buf_lit(&all, "null");
		zk_buf_printf(&all, ",\"has_more\":%s,\"count\":%llu,\"limit\":%llu",
		              p->op.has_more ? "true" : "false",
		              (unsigned long long)p->op.count,
		              (unsigned long long)p->op.limit);
		if (p->op.has_offset)
			zk_buf_printf(&all, ",\"total\":%llu,\"offset\":%llu",
			              (unsigned long long)p->op.total,
			              (unsigned long long)p->op.offset);
		zk_buf_char(&all, '}');
		zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(&all));
	}
	zk_buf_done(&p->out);
	zk_trig_query_done(&p->q);
	free(p);
}

void zk_trig_api_inbox(struct zk_trig_call *c)
{
	struct page *p = zk_new0(struct page);

	if (!zk_trig_query_read(&p->q, zk_httpd_query(c->req))) {
		zk_trig_fail_request(c, p->q.error, p->q.message);
		zk_trig_query_done(&p->q);
		free(p);
		return;
	}
	zk_buf_init(&p->out, MAX_OUT_BYTES);
	zk_buf_char(&p->out, '[');
	p->op = (struct zk_trig_page){
		.op = { .done = on_page, .ctx = c },
		.org = c->caller->org.id,
		.filter = p->q.filter,
		.type = p->q.type,
		.has_cursor = p->q.has_cursor,
		.ascending = p->q.ascending,
		.has_offset = p->q.has_offset,
		.cursor = p->q.cursor,
		.offset = p->q.offset,
		.limit = p->q.limit,
		.since_us = p->q.since_us,
		.until_us = p->q.until_us,
		.max_bytes = MAX_PAGE_BYTES,
		.row = page_row,
		.out = &p->out,
	};
	c->s->repo->ops->page(c->s->repo, &p->op);
}

struct detail {
	struct zk_trig_event op;
	struct zk_buf out;
};

static void attempt_json(struct zk_buf *b, const struct zk_trig_attempt *a)
{
	zk_buf_printf(b, "{\"attempt\":%lld,\"started_at\":", (long long)a->attempt);
	zk_trig_time_json(b, a->started_us);
	zk_buf_printf(b, ",\"duration_ms\":%.2f,\"response_status\":", a->duration_ms);
	if (a->response_status)
		zk_buf_i64(b, a->response_status);
	else
		zk_buf_lit(b, "null");
	zk_buf_lit(b, ",\"error\":");
	if (a->error.p)
		zk_buf_json_str(b, a->error);
	else
		zk_buf_lit(b, "null");
	zk_buf_lit(b, ",\"response_body\":");
	if (a->response_body.p)
		zk_buf_json_str(b, a->response_body);
	else
		zk_buf_lit(b, "null");
	zk_buf_char(b, '}');
}

static void detail_row(struct zk_trig_event *e, const struct zk_trig_row *row,
                       const struct zk_trig_attempt *attempts, size_t n)
{
	struct zk_buf *b = e->out;

	zk_trig_row_json(b, row);
	if (b->n)
		b->n--; /* the closing brace: the attempts come before it */
	zk_buf_lit(b, ",\"delivery_attempts\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			zk_buf_char(b, ',');
		attempt_json(b, &attempts[i]);
	}
	zk_buf_lit(b, "]}");
}

static void on_detail(struct zk_trig_op *op)
{
	struct detail *d = ZK_CONTAINER_OF(op, struct detail, op.op);
	struct zk_trig_call *c = op->ctx;

	if (op->code < 0 || d->out.failed)
		zk_trig_fail_store(c, op);
	else if (!d->op.found)
		zk_trig_fail_not_found(c);
	else
		zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(&d->out));
	zk_buf_done(&d->out);
	free(d);
}

void zk_trig_api_event_get(struct zk_trig_call *c)
{
	zk_uuid id;

	if (!zk_uuid_parse(zk_httpd_param(c->req, 0), &id)) {
		zk_trig_fail_request(c, "Invalid event id", "an event id is a UUID");
		return;
	}
	struct detail *d = zk_new0(struct detail);

	zk_buf_init(&d->out, MAX_OUT_BYTES);
	d->op = (struct zk_trig_event){
		.op = { .done = on_detail, .ctx = c },
		.org = c->caller->org.id,
		.id = id,
		.row = detail_row,
		.out = &d->out,
	};
	c->s->repo->ops->event(c->s->repo, &d->op);
}
