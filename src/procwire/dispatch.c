/* From frames to handlers: look-up, queue, pieces, aborts.
 * Layer: procwire. specs/procwire.md §8 to §11. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/msgpack.h"
#include "procwire/worker_int.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

/* What a queued request costs beside its payload. */
#define QUEUED_COST sizeof(struct zk_pw_req)

/* ---- running ---- */

static void on_timeout(void *ctx)
{
	struct zk_pw_req *req = ctx;
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_TIMEOUT, "'%s' took longer than %lld ms", req->m->name,
	              (long long)req->m->timeout_ms);
	(void)zk_pw_fail(req, &err);
	zk_pw_req_abort(req);
}

/* The request outlives the call of its handler. */
static void keep(struct zk_pw_req *req)
{
	struct zk_pw_worker *w = req->w;
	int64_t limit = req->m->timeout_ms > 0 ? req->m->timeout_ms : 0;

	req->kept = true;
	zk_list_push(&w->running, &req->link);
	if (!req->answered)
		zk_pw_req_list(req);
	if (limit && !req->answered) {
		req->timer = zk_timer_new(w->loop, on_timeout, req);
		zk_timer_start(req->timer, limit, 0);
	}
}

static void run(struct zk_pw_req *req, zk_str payload)
{
	const struct zk_pw_handler *h = req->m->handler;

	if (!h->is_quick) {
		req->running = true;
		req->w->n_running++;
	}
	if (h->request(req, payload) == ZK_PW_THEN_KEEP) {
		ZK_ASSERT(!h->is_quick);
		keep(req);
		return;
	}
	if (ZK_UNLIKELY(!req->answered && !req->aborted && req->m->kind != ZK_PW_NONE))
		(void)zk_pw_fail_text(req, "the handler gave no answer");
	zk_pw_req_over(req);
}

/* ---- the queue ---- */

static bool queue_is_high(const struct zk_pw_worker *w)
{
	return w->n_queued >= w->conf.max_queue ||
	       w->queued_bytes >= w->conf.max_queue_bytes;
}

static void unqueue(struct zk_pw_req *req)
{
	struct zk_pw_worker *w = req->w;

	zk_list_remove(&req->link);
	w->n_queued--;
	w->queued_bytes -= req->payload.n + QUEUED_COST;
	if (w->conn && w->n_queued <= w->conf.max_queue / 2 &&
	    w->queued_bytes <= w->conf.max_queue_bytes / 2)
		zk_pw_conn_release(w->conn, ZK_PW_HOLD_QUEUE);
}

static void enqueue(struct zk_pw_req *req, zk_str payload)
{
	struct zk_pw_worker *w = req->w;

	req->owned = zk_alloc(payload.n + 1);
	if (payload.n)
		memcpy(req->owned, payload.p, payload.n);
	req->payload = zk_str_n(req->owned, payload.n);
	zk_list_push(&w->queue, &req->link);
	zk_pw_req_list(req);
	w->n_queued++;
	w->stats.queued++;
	w->queued_bytes += payload.n + QUEUED_COST;
	if (queue_is_high(w))
		zk_pw_conn_hold(w->conn, ZK_PW_HOLD_QUEUE, 0);
}

static bool has_slot(const struct zk_pw_worker *w)
{
	return w->n_running < w->conf.max_running;
}

static void run_queue(void *ctx)
{
	struct zk_pw_worker *w = ctx;

	w->turn_queued = false;
	while (w->conn && has_slot(w) && !zk_list_is_empty(&w->queue)) {
		struct zk_pw_req *req =
		        ZK_LIST_ENTRY(w->queue.next, struct zk_pw_req, link);
		char *owned = ZK_TAKE(req->owned);

		unqueue(req);
		zk_pw_req_unlist(req); /* keep() lists it again */
		run(req, zk_str_n(owned, req->payload.n));
		free(owned);
	}
}

void zk_pw_req_ended(struct zk_pw_worker *w)
{
	if (w->state == ZK_PW_CLOSING) {
		if (w->n_running == 0)
			zk_pw_dispatch_done(w);
		return;
	}
	if (!zk_list_is_empty(&w->queue) && !w->turn_queued) {
		w->turn_queued = true;
		zk_loop_defer(w->loop, run_queue, w);
	}
}

/* ---- aborts ---- */

static void abort_one(struct zk_pw_worker *w, uint32_t id)
{
	struct zk_pw_req *req = zk_pw_req_find(w, id);

	if (!req)
		return; /* unknown or finished */
	if (!req->owned) {
		zk_pw_req_abort(req);
		return;
	}
	w->stats.aborted++;
	unqueue(req);
	zk_pw_req_over(req);
}

void zk_pw_abort_all(struct zk_pw_worker *w)
{
	struct zk_list all, *e;

	zk_loop_forget(w->loop, run_queue, w);
	while (!zk_list_is_empty(&w->queue)) {
		struct zk_pw_req *req =
		        ZK_LIST_ENTRY(w->queue.next, struct zk_pw_req, link);

		unqueue(req);
		zk_pw_req_over(req);
	}
	/* A handler may end its request while it is told. */
	zk_list_init(&all);
	while ((e = zk_list_pop(&w->running)) != NULL)
		zk_list_push(&all, e);
	while ((e = zk_list_pop(&all)) != NULL) {
		zk_list_push(&w->running, e);
		zk_pw_req_abort(ZK_LIST_ENTRY(e, struct zk_pw_req, link));
	}
}

/* ---- frames ---- */

static void unknown_method(struct zk_pw_worker *w, const struct zk_pw_header *h)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "Unknown method ID: %u", h->method);
	zk_pw_send_error(w, h, NULL, text, 0);
}

/* The method of a frame that is a request to be run; NULL when it is handled already. */
static const struct zk_pw_method *request_of(struct zk_pw_worker *w,
                                             const struct zk_pw_header *h)
{
	const struct zk_pw_method *m;

	if (ZK_UNLIKELY(h->flags & (ZK_PW_TO_PARENT | ZK_PW_RESPONSE)) || !w->conn)
		return NULL; /* not for a worker */
	if (h->method == ZK_PW_ID_ABORT) {
		abort_one(w, h->request);
		return NULL;
	}
	if (h->method == ZK_PW_ID_AUTH)
		return NULL;
	w->stats.requests++;
	m = zk_pw_table_by_id(&w->table, h->method);
	if (!m) {
		unknown_method(w, h);
		return NULL;
	}
	if (ZK_UNLIKELY(zk_pw_req_find(w, h->request) != NULL)) {
		zk_warn("a request id is in use, the second request is dropped",
		        "method=%s id=%u", m->name, h->request);
		return NULL;
	}
	return m;
}

void zk_pw_on_frame(void *ctx, const struct zk_pw_header *h, zk_str payload)
{
	struct zk_pw_worker *w = ctx;
	const struct zk_pw_method *m = request_of(w, h);
	struct zk_error err = { 0 };
	struct zk_pw_req *req;

	if (!m)
		return;
	if (m->request == ZK_PW_MSGPACK && zk_mp_check(payload, &err) < 0) {
		zk_pw_send_error(w, h, m, err.msg, (int)err.code);
		return;
	}
	req = zk_pw_req_new(w, m, h->request);
	if (ZK_LIKELY(m->handler->is_quick ||
	              (has_slot(w) && zk_list_is_empty(&w->queue))))
		run(req, payload);
	else
		enqueue(req, payload);
}

/* ---- payloads in pieces ---- */

static bool wants_pieces(const struct zk_pw_worker *w, const struct zk_pw_method *m)
{
	const struct zk_pw_handler *h = m->handler;

	return h->begin && m->request == ZK_PW_RAW &&
	       (h->is_quick || (has_slot(w) && zk_list_is_empty(&w->queue)));
}

/* Whether the frame is one whose payload nobody reads. */
static bool is_ignored(const struct zk_pw_worker *w, const struct zk_pw_header *h)
{
	return (h->flags & (ZK_PW_TO_PARENT | ZK_PW_RESPONSE)) ||
	       h->method == ZK_PW_ID_ABORT || h->method == ZK_PW_ID_AUTH ||
	       !zk_pw_table_by_id(&w->table, h->method) || zk_pw_req_find(w, h->request);
}

bool zk_pw_on_begin(void *ctx, const struct zk_pw_header *h)
{
	struct zk_pw_worker *w = ctx;
	const struct zk_pw_method *m;
	struct zk_pw_req *req;

	w->skipped = is_ignored(w, h);
	w->skipped_header = *h;
	if (w->skipped)
		return true;
	m = zk_pw_table_by_id(&w->table, h->method);
	if (!wants_pieces(w, m))
		return false;
	req = zk_pw_req_new(w, m, h->request);
	req->running = true;
	w->n_running++;
	if (m->handler->begin(req, h->length) != ZK_PW_THEN_KEEP) {
		zk_pw_req_over(req);
		return false;
	}
	w->stats.requests++;
	keep(req);
	w->piecer = req;
	return true;
}

void zk_pw_on_piece(void *ctx, zk_str piece, bool last)
{
	struct zk_pw_worker *w = ctx;
	struct zk_pw_req *req = w->piecer;

	if (w->skipped && last) {
		w->skipped = false;
		w->skipped_header.length = 0;
		zk_pw_on_frame(w, &w->skipped_header, ZK_STR_NULL);
		return;
	}
	if (!req)
		return; /* it ended before its payload did */
	if (last) {
		w->piecer = NULL;
		zk_pw_conn_release(w->conn, ZK_PW_HOLD_PIECE);
	}
	req->m->handler->piece(req, piece, last);
}

/* ---- room ---- */

static struct zk_pw_req *first_waiting(struct zk_pw_worker *w)
{
	ZK_LIST_EACH (e, &w->running) {
		struct zk_pw_req *req = ZK_LIST_ENTRY(e, struct zk_pw_req, link);

		if (req->on_room)
			return req;
	}
	return NULL;
}

void zk_pw_on_room(void *ctx)
{
	struct zk_pw_worker *w = ctx;
	size_t turns = w->n_running + 1;
	struct zk_pw_req *req;

	/* Each gets its turn: who had one goes to the end. */
	while (turns-- && w->conn && !zk_pw_conn_is_full(w->conn) &&
	       (req = first_waiting(w)) != NULL) {
		void (*fn)(void *room_ctx) = req->on_room;

		req->on_room = NULL;
		zk_list_remove(&req->link);
		zk_list_push(&w->running, &req->link);
		fn(req->room_ctx);
	}
}
