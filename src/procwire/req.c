/* Requests of a worker: what a handler may do with one.
 * Layer: procwire. specs/procwire.md §8, §9, §18. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/msgpack.h"
#include "procwire/worker_int.h"
#include "rt/loop.h"
#define ZK_LOGGER "procwire"
#include "base/log.h"

#include "base/ban.h"

#define IDS_FIRST 64u

/* ---- the table of ids ---- */

static size_t bucket_of(const struct zk_pw_worker *w, uint32_t id)
{
	/* Ids count up: the low bits spread them. A hostile parent only slows itself. */
	return (id ^ id >> 16) & (w->room_ids - 1);
}

static void grow_ids(struct zk_pw_worker *w)
{
	struct zk_pw_req **old = w->ids;
	size_t n = w->room_ids;

	w->room_ids = n ? n * 2 : IDS_FIRST;
	w->ids = zk_alloc_array(w->room_ids, sizeof(struct zk_pw_req *));
	for (size_t i = 0; i < n; i++) {
		while (old[i]) {
			struct zk_pw_req *r = old[i];
			size_t b = bucket_of(w, r->id);

			old[i] = r->next;
			r->next = w->ids[b];
			w->ids[b] = r;
		}
	}
	free(old);
}

void zk_pw_req_list(struct zk_pw_req *req)
{
	struct zk_pw_worker *w = req->w;
	size_t b;

	if (req->id == 0 || req->listed)
		return;
	if (w->n_ids >= w->room_ids)
		grow_ids(w);
	b = bucket_of(w, req->id);
	req->next = w->ids[b];
	w->ids[b] = req;
	req->listed = true;
	w->n_ids++;
}

void zk_pw_req_unlist(struct zk_pw_req *req)
{
	struct zk_pw_worker *w = req->w;
	struct zk_pw_req **link;

	if (!req->listed)
		return;
	for (link = &w->ids[bucket_of(w, req->id)]; *link != req; link = &(*link)->next)
		;
	*link = req->next;
	req->listed = false;
	w->n_ids--;
}

struct zk_pw_req *zk_pw_req_find(const struct zk_pw_worker *w, uint32_t id)
{
	struct zk_pw_req *r = w->n_ids && id ? w->ids[bucket_of(w, id)] : NULL;

	while (r && r->id != id)
		r = r->next;
	return r;
}

/* ---- life ---- */

struct zk_pw_req *zk_pw_req_new(struct zk_pw_worker *w, const struct zk_pw_method *m,
                                uint32_t id)
{
	struct zk_pw_req *req = w->spare ? ZK_TAKE(w->spare) : zk_new(struct zk_pw_req);

	*req = (struct zk_pw_req){ .w = w, .m = m, .id = id };
	zk_list_init(&req->link);
	return req;
}

void zk_pw_req_over(struct zk_pw_req *req)
{
	struct zk_pw_worker *w = req->w;
	bool running = req->running;

	zk_pw_req_unlist(req);
	zk_list_remove(&req->link);
	zk_timer_free(req->timer);
	free(req->owned);
	if (w->piecer == req)
		w->piecer = NULL;
	if (running)
		w->n_running--;
	if (w->spare)
		free(req);
	else
		w->spare = req;
	if (running)
		zk_pw_req_ended(w);
}

void zk_pw_done(struct zk_pw_req *req)
{
	ZK_ASSERT(req->kept);
	if (!req->answered && !req->aborted && req->m->kind != ZK_PW_NONE)
		(void)zk_pw_fail_text(req, "the handler gave no answer");
	zk_pw_req_over(req);
}

void zk_pw_req_abort(struct zk_pw_req *req)
{
	void (*fn)(void *ctx) = req->on_cancel;

	if (req->aborted)
		return;
	req->aborted = true;
	req->w->stats.aborted++;
	zk_pw_req_unlist(req);
	req->on_cancel = NULL;
	req->on_room = NULL;
	if (req->w->conn && req->id)
		zk_pw_conn_drop(req->w->conn, req->id);
	if (fn)
		fn(req->cancel_ctx);
}

/* ---- answers ---- */

static int refuse(struct zk_pw_req *req, struct zk_error *err)
{
	if (req->aborted || !req->w->conn)
		return zk_fail(err, ZK_E_PW_ABORTED, "the request was aborted");
	return zk_fail(err, ZK_E_PW_ANSWERED, "the request is answered already");
}

static int check_size(const struct zk_pw_req *req, size_t n, struct zk_error *err)
{
	if (ZK_LIKELY(n <= req->w->conf.max_payload))
		return 0;
	return zk_fail(err, ZK_E_LIMIT,
	               "the answer has %zu bytes, more than the %u that are allowed", n,
	               req->w->conf.max_payload);
}

/* Whether a frame of this kind may go: the flags to send, or -1 with `err` filled. */
static int flags_of(struct zk_pw_req *req, enum zk_pw_frame want, struct zk_error *err)
{
	enum zk_pw_kind kind = req->m->kind;
	bool stream = want == ZK_PW_F_CHUNK || want == ZK_PW_F_END;

	if (req->answered || req->aborted || !req->w->conn)
		return refuse(req, err);
	if (kind == ZK_PW_NONE)
		return want;
	if (stream != (kind == ZK_PW_STREAMED) ||
	    (want == ZK_PW_F_ACK && kind != ZK_PW_ACKED))
		return zk_fail(err, ZK_E_PW_KIND,
		               "a method of kind '%s' cannot be answered like that",
		               zk_pw_kinds[kind]);
	return want;
}

static zk_str or_nil(const struct zk_pw_req *req, zk_str payload)
{
	return payload.n || req->m->response == ZK_PW_RAW ? payload : ZK_STR("\xc0");
}

static void set_answered(struct zk_pw_req *req)
{
	req->answered = true;
	req->w->stats.answers++;
	zk_pw_req_unlist(req);
	if (req->timer)
		zk_timer_stop(req->timer);
}

static int answer(struct zk_pw_req *req, enum zk_pw_frame want, zk_str payload,
                  struct zk_error *err)
{
	int flags = flags_of(req, want, err);

	if (flags < 0 || check_size(req, payload.n, err) < 0)
		return -(int)err->code;
	if (want != ZK_PW_F_CHUNK)
		set_answered(req);
	if (want != ZK_PW_F_END)
		payload = or_nil(req, payload);
	if (ZK_LIKELY(req->id && req->m->kind != ZK_PW_NONE))
		zk_pw_conn_send(req->w->conn, req->m->id, (uint8_t)flags, req->id,
		                payload);
	return 0;
}

static int answer_buf(struct zk_pw_req *req, enum zk_pw_frame want,
                      struct zk_buf *payload, struct zk_error *err)
{
	int r;

	if (payload->n < 4096 || !req->id || req->m->kind == ZK_PW_NONE) {
		r = answer(req, want, zk_buf_str(payload), err);
		zk_buf_done(payload);
		return r;
	}
	r = flags_of(req, want, err);
	if (r < 0 || check_size(req, payload->n, err) < 0) {
		zk_buf_done(payload);
		return -(int)err->code;
	}
	if (want != ZK_PW_F_CHUNK)
		set_answered(req);
	zk_pw_conn_send_buf(req->w->conn, req->m->id, (uint8_t)r, req->id, payload);
	return 0;
}

int zk_pw_respond(struct zk_pw_req *req, zk_str payload, struct zk_error *err)
{
	return answer(req, ZK_PW_F_RESULT, payload, err);
}

int zk_pw_respond_buf(struct zk_pw_req *req, struct zk_buf *payload, struct zk_error *err)
{
	return answer_buf(req, ZK_PW_F_RESULT, payload, err);
}

int zk_pw_ack(struct zk_pw_req *req, zk_str payload, struct zk_error *err)
{
	return answer(req, ZK_PW_F_ACK, payload, err);
}

int zk_pw_ack_empty(struct zk_pw_req *req, struct zk_error *err)
{
	return answer(req, ZK_PW_F_ACK, ZK_STR_NULL, err);
}

int zk_pw_chunk(struct zk_pw_req *req, zk_str payload, struct zk_error *err)
{
	return answer(req, ZK_PW_F_CHUNK, payload, err);
}

int zk_pw_chunk_buf(struct zk_pw_req *req, struct zk_buf *payload, struct zk_error *err)
{
	return answer_buf(req, ZK_PW_F_CHUNK, payload, err);
}

int zk_pw_end(struct zk_pw_req *req, struct zk_error *err)
{
	return answer(req, ZK_PW_F_END, ZK_STR_NULL, err);
}

bool zk_pw_respond_begin(struct zk_pw_req *req, uint32_t length)
{
	struct zk_pw_header h = { .method = req->m->id,
		                  .flags = ZK_PW_F_RESULT,
		                  .request = req->id,
		                  .length = length };
	struct zk_error ignored;

	if (!req->id || !req->w->conn || !zk_pw_conn_is_whole(req->w->conn) ||
	    flags_of(req, ZK_PW_F_RESULT, &ignored) < 0 || req->m->kind == ZK_PW_NONE ||
	    check_size(req, length, &ignored) < 0)
		return false;
	set_answered(req);
	req->open = true;
	zk_pw_conn_send_begin(req->w->conn, &h);
	return true;
}

void zk_pw_respond_piece(struct zk_pw_req *req, zk_str bytes, bool last)
{
	if (req->w->conn && req->open)
		zk_pw_conn_send_piece(req->w->conn, bytes, last);
}

/* ---- errors ---- */

enum zk_pw_then zk_pw_fail_raw(struct zk_pw_req *req, zk_str msgpack)
{
	bool stream = req->m->kind == ZK_PW_STREAMED;

	req->w->stats.errors++;
	if (req->answered || req->aborted || !req->w->conn)
		return ZK_PW_THEN_DONE;
	set_answered(req);
	if (req->id && req->m->kind != ZK_PW_NONE)
		zk_pw_conn_send(req->w->conn, req->m->id,
		                stream ? ZK_PW_F_STREAM_FAIL : ZK_PW_F_FAIL, req->id,
		                msgpack);
	return ZK_PW_THEN_DONE;
}

static void put_error(struct zk_buf *b, const char *message, int code)
{
	char text[16];

	zk_mp_map(b, 2);
	zk_mp_cstr(b, "message");
	zk_mp_text(b, zk_str_of(message));
	zk_mp_cstr(b, "code");
	(void)snprintf(text, sizeof(text), "ZK%04d", code);
	zk_mp_cstr(b, text);
}

enum zk_pw_then zk_pw_fail(struct zk_pw_req *req, const struct zk_error *err)
{
	struct zk_buf b;

	if (!req->id)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "a call that nobody waits for failed", err);
	zk_buf_init(&b, 4096);
	put_error(&b, err->msg, (int)err->code);
	(void)zk_pw_fail_raw(req, zk_buf_str(&b));
	zk_buf_done(&b);
	return ZK_PW_THEN_DONE;
}

enum zk_pw_then zk_pw_fail_text(struct zk_pw_req *req, const char *message)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_PW_HANDLER, "%s", message);
	return zk_pw_fail(req, &err);
}

void zk_pw_send_error(struct zk_pw_worker *w, const struct zk_pw_header *h,
                      const struct zk_pw_method *m, const char *message, int code)
{
	bool stream = m && m->kind == ZK_PW_STREAMED;
	struct zk_buf b;

	w->stats.errors++;
	if (!h->request || !w->conn || (m && m->kind == ZK_PW_NONE)) {
		zk_warn("a call that nobody waits for failed", "method=%s why=%s",
		        m ? m->name : "?", message);
		return;
	}
	zk_buf_init(&b, 4096);
	if (code)
		put_error(&b, message, code);
	else
		zk_mp_cstr(&b, message);
	zk_pw_conn_send(w->conn, h->method, stream ? ZK_PW_F_STREAM_FAIL : ZK_PW_F_FAIL,
	                h->request, zk_buf_str(&b));
	zk_buf_done(&b);
}

/* ---- the rest ---- */

bool zk_pw_is_aborted(const struct zk_pw_req *req)
{
	return req->aborted || !req->w->conn;
}

void zk_pw_on_cancel(struct zk_pw_req *req, void (*fn)(void *ctx), void *ctx)
{
	req->on_cancel = fn;
	req->cancel_ctx = ctx;
}

bool zk_pw_is_full(const struct zk_pw_req *req)
{
	return req->w->conn && zk_pw_conn_is_full(req->w->conn);
}

void zk_pw_when_room(struct zk_pw_req *req, void (*fn)(void *ctx), void *ctx)
{
	req->on_room = fn;
	req->room_ctx = ctx;
}

void zk_pw_hold_pieces(struct zk_pw_req *req, bool hold, int64_t patience_ms)
{
	if (!req->w->conn)
		return;
	if (hold && req->w->piecer == req)
		zk_pw_conn_hold(req->w->conn, ZK_PW_HOLD_PIECE, patience_ms);
	else if (!hold)
		zk_pw_conn_release(req->w->conn, ZK_PW_HOLD_PIECE);
}

uint32_t zk_pw_request_id(const struct zk_pw_req *req)
{
	return req->id;
}

const struct zk_pw_method *zk_pw_method_of(const struct zk_pw_req *req)
{
	return req->m;
}

struct zk_pw_worker *zk_pw_worker_of(const struct zk_pw_req *req)
{
	return req->w;
}

bool zk_pw_is_answered(const struct zk_pw_req *req)
{
	return req->answered;
}

void zk_pw_set_data(struct zk_pw_req *req, void *data)
{
	req->data = data;
}

void *zk_pw_data(const struct zk_pw_req *req)
{
	return req->data;
}
