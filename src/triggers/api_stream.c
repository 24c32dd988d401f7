/* GET /api/inbox/stream: server-sent events (specs/triggers.md §5.8).
 * Layer: triggers. A stream remembers the last id it sent; news of its organization make it read
 * the page behind that id, so a slow reader costs one page of memory and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rt/loop.h"
#include "triggers/api.h"
#include "triggers/api_query.h"

#include "base/ban.h"

#define MAX_STREAMS_PER_ORG 64
#define PAGE_EVENTS         100
#define PAGE_BYTES          (512 * 1024)
#define MAX_OUT_BYTES       (4 * 1024 * 1024)

struct stream {
	struct zk_list entry;
	struct zk_trig_server *s;
	struct zk_httpd_stream *http; /* NULL once it is closed */
	struct zk_trig_page op;
	struct zk_trig_query q;
	struct zk_buf out;
	zk_uuid org, last;
	bool busy, dirty, full;
};

static void stream_free(struct stream *st)
{
	zk_list_remove(&st->entry);
	zk_buf_done(&st->out);
	zk_trig_query_done(&st->q);
	free(st);
}

static void on_close(void *ctx)
{
	struct stream *st = ctx;

	st->http = NULL;
	if (!st->busy)
		stream_free(st);
}

/* One event of the stream; reading thread. */
static void put_event(struct zk_trig_page *p, const struct zk_trig_row *row)
{
	struct zk_buf *b = p->out;
	char id[ZK_UUID_TEXT];

	zk_uuid_format(&row->id, id);
	zk_buf_lit(b, "id: ");
	zk_buf_put(b, id, sizeof(id));
	zk_buf_lit(b, "\nevent: ");
	zk_buf_percent(b, row->type);
	zk_buf_lit(b, "\ndata: ");
	zk_trig_row_json(b, row);
	zk_buf_lit(b, "\n\n");
}

static void stream_read(struct stream *st);

static void on_page(struct zk_trig_op *op)
{
	struct stream *st = op->ctx;

	st->busy = false;
	if (!st->http) {
		stream_free(st);
		return;
	}
	if (op->code < 0 || st->out.failed) {
		/* The client resumes with Last-Event-ID; nothing is skipped. */
		struct zk_httpd_stream *http = ZK_TAKE(st->http);

		zk_httpd_stream_end(http);
		stream_free(st);
		return;
	}
	if (st->op.count) {
		st->last = st->op.last_id;
		if (!zk_httpd_stream_write(st->http, zk_buf_str(&st->out)))
			return; /* on_close comes */
	}
	if (st->op.has_more)
		st->dirty = true;
	if (st->dirty)
		stream_read(st);
}

static void stream_read(struct stream *st)
{
	st->dirty = true;
	if (st->busy || !st->http)
		return;
	if (zk_httpd_stream_pending(st->http) > PAGE_BYTES) {
		st->full = true; /* on_drain goes on */
		return;
	}
	st->dirty = false;
	st->busy = true;
	zk_buf_clear(&st->out);
	st->op = (struct zk_trig_page){
		.op = { .done = on_page, .ctx = st },
		.org = st->org,
		.filter = st->q.filter,
		.type = st->q.type,
		.has_cursor = true,
		.ascending = true,
		.cursor = st->last,
		.limit = PAGE_EVENTS,
		.max_bytes = PAGE_BYTES,
		.row = put_event,
		.out = &st->out,
	};
	st->s->repo->ops->page(st->s->repo, &st->op);
}

static void on_drain(void *ctx)
{
	struct stream *st = ctx;

	if (st->full) {
		st->full = false;
		stream_read(st);
	}
}

static unsigned count_streams(const struct zk_trig_server *s, const zk_uuid *org)
{
	unsigned n = 0;

	ZK_LIST_EACH (e, &s->streams) {
		const struct stream *st = ZK_LIST_ENTRY(e, struct stream, entry);

		n += memcmp(&st->org, org, sizeof(*org)) == 0;
	}
	return n;
}

/* Where to begin: Last-Event-ID, `after`, or what comes from now on. */
static bool find_start(struct zk_trig_call *c, struct stream *st)
{
	zk_str last = zk_httpd_header(c->req, ZK_STR("Last-Event-ID"));

	if (last.n)
		return zk_uuid_parse(last, &st->last);
	if (st->q.has_cursor) {
		st->last = st->q.cursor;
		return true;
	}
	st->last = zk_uuid_v7();
	return true;
}

void zk_trig_api_stream(struct zk_trig_call *c)
{
	struct zk_trig_server *s = c->s;
	struct stream *st = zk_new0(struct stream);

	zk_list_init(&st->entry);
	zk_buf_init(&st->out, MAX_OUT_BYTES);
	st->s = s;
	st->org = c->caller->org.id;
	const char *error = NULL, *message = NULL;

	if (!zk_trig_query_read(&st->q, zk_httpd_query(c->req))) {
		error = st->q.error;
		message = st->q.message;
	} else if (!find_start(c, st)) {
		error = "Invalid Last-Event-ID";
		message = "it must be an event id";
	}
	if (error) {
		zk_trig_fail_request(c, error, message);
		stream_free(st);
		return;
	}
	if (count_streams(s, &st->org) >= MAX_STREAMS_PER_ORG) {
		zk_trig_fail(c,
		             &(struct zk_trig_problem){
		                     .status = 503,
		                     .code = "system_capacity_exceeded",
		                     .error = "System capacity exceeded, please "
		                              "try again later",
		                     .extra = ZK_STR("Retry-After: 5\r\n") },
		             "the organization has %d open streams already",
		             MAX_STREAMS_PER_ORG);
		stream_free(st);
		return;
	}
	zk_trig_common_headers(c, "text/event-stream",
	                       ZK_STR("X-Accel-Buffering: no\r\n"));
	zk_trig_caller_unref(ZK_TAKE(c->caller));
	st->http = zk_httpd_stream_start(c->req, 200, zk_buf_str(&s->head), on_close, st);
	if (!st->http) {
		stream_free(st);
		return;
	}
	zk_list_push(&s->streams, &st->entry);
	zk_httpd_stream_on_drain(st->http, on_drain);
	/* The first bytes show the client (and proxies) that the stream stands. */
	if (zk_httpd_stream_write(st->http, ZK_STR(": zk\n\n")))
		stream_read(st);
}

void zk_trig_streams_wake(struct zk_trig_server *s, const zk_uuid *org)
{
	ZK_LIST_EACH (e, &s->streams) {
		struct stream *st = ZK_LIST_ENTRY(e, struct stream, entry);

		if (memcmp(&st->org, org, sizeof(*org)) == 0)
			stream_read(st);
	}
}

void zk_trig_streams_beat(void *ctx)
{
	struct zk_trig_server *s = ctx;

	ZK_LIST_EACH (e, &s->streams) {
		struct stream *st = ZK_LIST_ENTRY(e, struct stream, entry);

		if (st->http)
			(void)zk_httpd_stream_write(st->http, ZK_STR(":\n\n"));
	}
}

void zk_trig_streams_close(struct zk_trig_server *s)
{
	ZK_LIST_EACH (e, &s->streams) {
		struct stream *st = ZK_LIST_ENTRY(e, struct stream, entry);

		if (!st->http)
			continue;
		zk_httpd_stream_end(ZK_TAKE(st->http));
		if (!st->busy)
			stream_free(st);
	}
}
