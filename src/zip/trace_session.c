/* Trace sessions.
 * Layer: zip. specs/zeal-zip.md §6.1, §6.5, §6.7. */
#include "zip/trace_session.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zip/trace_detail.h"
#include "zip/trace_event.h"

#include "base/ban.h"

#define MAX_ANSWER ((size_t)256 << 20)
#define MAX_PATH   8192
/* The server's clock need not be ours. */
#define SLACK_MS  5000
#define LOOK_BACK 100 /* sessions */

static void put_text(struct zk_jwrite *w, const char *name, const char *value)
{
	if (!value)
		return;
	zk_jw_key(w, name);
	zk_jw_cstr(w, value);
}

void zk_zip_start_body(const struct zk_zip_start *s, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	put_text(&w, "workflowId", s->workflow);
	put_text(&w, "workflowVersionId", s->version);
	put_text(&w, "executionId", s->execution);
	if (s->trigger || s->environment || s->n_tags) {
		zk_jw_key(&w, "metadata");
		zk_jw_obj(&w);
		put_text(&w, "trigger", s->trigger);
		put_text(&w, "environment", s->environment);
		if (s->n_tags) {
			zk_jw_key(&w, "tags");
			zk_jw_arr(&w);
			for (size_t i = 0; i < s->n_tags; i++)
				zk_jw_cstr(&w, s->tags[i]);
			zk_jw_arr_end(&w);
		}
		zk_jw_obj_end(&w);
	}
	zk_jw_obj_end(&w);
}

/* Decodes a string member of an object into `b`; false when there is none. */
static bool take_text(zk_str object, const char *name, struct zk_buf *b)
{
	struct zk_error ignored;
	struct zk_jval v;

	return zk_jscan_get(object, zk_str_of(name), &v) && v.type == ZK_J_STRING &&
	       v.raw.n > 2 && zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, b, &ignored) == 0;
}

/* Whether a session of the list may be the one whose answer was lost. */
static bool may_be(zk_str session, zk_str workflow, int64_t begin_ms)
{
	struct zk_jval id, status, at;
	int64_t ms;

	return zk_jscan_get(session, ZK_STR("workflowId"), &id) &&
	       zk_str_eq(id.raw, workflow) &&
	       zk_jscan_get(session, ZK_STR("status"), &status) &&
	       zk_jstr_eq(status.raw, ZK_STR("running")) &&
	       zk_jscan_get(session, ZK_STR("startTime"), &at) &&
	       zk_zip_time_ms(at.raw, &ms) && ms >= begin_ms - SLACK_MS &&
	       ms <= zk_wall_us() / 1000 + SLACK_MS;
}

/* 1 = found, 0 = the server has none, or negative. */
static int look(struct zk_zip *z, zk_str workflow, int64_t begin_ms,
                struct zk_buf *session, struct zk_error *err)
{
	struct zk_zip_sessions q = { .status = "running", .limit = LOOK_BACK };
	struct zk_buf body ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jval list, v, found = { 0 };
	struct zk_jiter it;
	unsigned n = 0;

	zk_buf_init(&body, MAX_ANSWER);
	if (zk_zip_sessions_page(z, &q, &body, err) < 0)
		return -(int)err->code;
	if (!zk_jscan_get(zk_buf_str(&body), ZK_STR("executions"), &list))
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the server's list of executions has none");
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v))
		if (may_be(v.raw, workflow, begin_ms)) {
			found = v;
			n++;
		}
	if (n > 1)
		return zk_fail(err, ZK_E_UNKNOWN_OUTCOME,
		               "%u sessions of this workflow began just now", n);
	return n && take_text(found.raw, "sessionId", session) ? 1 : 0;
}

int zk_zip_session_open(struct zk_zip *z, zk_str body, struct zk_buf *session,
                        struct zk_error *err)
{
	struct zk_zip_req rq = { .class = ZK_ZIP_R2,
		                 .method = "POST",
		                 .route = "/traces/sessions",
		                 .body = body };
	int64_t begin_ms = zk_wall_us() / 1000;
	struct zk_jval workflow = { 0 };

	(void)zk_jscan_get(body, ZK_STR("workflowId"), &workflow);
	for (int i = 0; i < 3; i++) {
		struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
		struct zk_error cause;

		zk_buf_init(&answer, MAX_ANSWER);
		if (zk_zip_call(z, &rq, &answer, NULL, err) == 0)
			return take_text(zk_buf_str(&answer), "sessionId", session)
			               ? 0
			               : zk_fail(err, ZK_E_PROTOCOL,
			                         "the server's answer names no session");
		if (!zk_zip_is_ambiguous(err))
			return -(int)err->code;
		cause = *err;
		int r = look(z, workflow.raw, begin_ms, session, err);

		if (r > 0)
			*err = (struct zk_error){ 0 };
		if (r != 0)
			return r > 0 ? 0 : r;
		*err = cause;
	}
	return -(int)err->code;
}

void zk_zip_complete_body(const char *status, zk_str summary, const char *message,
                          const char *node, struct zk_buf *b)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	put_text(&w, "status", status);
	if (summary.n) {
		zk_jw_key(&w, "summary");
		zk_jw_raw(&w, summary);
	}
	if (message) {
		zk_jw_key(&w, "error");
		zk_jw_obj(&w);
		put_text(&w, "message", message);
		put_text(&w, "nodeId", node);
		zk_jw_obj_end(&w);
	}
	zk_jw_obj_end(&w);
}

/* HEAD "/" session TAIL, appended. */
static int session_path(const char *head, const char *session, const char *tail,
                        struct zk_buf *path, struct zk_error *err)
{
	zk_buf_cstr(path, head);
	if (zk_zip_segment(path, "session id", zk_str_of(session), err) < 0)
		return -(int)err->code;
	zk_buf_cstr(path, tail);
	return 0;
}

int zk_zip_session_complete(struct zk_zip *z, const char *session, zk_str body,
                            struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&path, MAX_PATH);
	if (session_path("/traces", session, "/complete", &path, err) < 0)
		return -(int)err->code;
	struct zk_zip_req rq = { .class = ZK_ZIP_R0,
		                 .method = "POST",
		                 .route = "/traces/{session}/complete",
		                 .path = zk_buf_cstring(&path),
		                 .body = body };

	return zk_zip_call(z, &rq, NULL, NULL, err);
}

int zk_zip_sessions_page(struct zk_zip *z, const struct zk_zip_sessions *q,
                         struct zk_buf *body, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_req rq = { .class = ZK_ZIP_R0, .route = "/executions" };
	char digits[20];

	zk_buf_init(&path, MAX_PATH);
	zk_buf_cstr(&path, rq.route);
	zk_zip_query(&path, "status", zk_str_of(q->status));
	zk_zip_query(&path, "startDate", zk_str_of(q->since));
	zk_zip_query(&path, "limit", zk_str_n(digits, zk_format_u64(q->limit, digits)));
	zk_zip_query(&path, "offset", zk_str_n(digits, zk_format_u64(q->offset, digits)));
	rq.path = zk_buf_cstring(&path);
	return zk_zip_call(z, &rq, body, NULL, err);
}

/* An answer on its way into a struct zk_zip_detail. */
struct reading {
	struct zk_zip_detail *d;
	struct zk_zip_call *call;
	struct zk_error *err;
	int r;
	bool over;
};

static void on_piece(void *ctx, zk_str piece)
{
	struct reading *g = ctx;

	g->r = zk_zip_detail_put(g->d, piece, g->err);
	if (g->r == 0)
		return;
	zk_zip_cancel(g->call);
	g->over = true;
}

static void on_read(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct reading *g = ctx;

	(void)end;
	g->over = true;
	if (err)
		*g->err = *err;
	g->r = err ? -(int)err->code : zk_zip_detail_end(g->d, g->err);
}

int zk_zip_session_read(struct zk_zip *z, const char *session, bool replay,
                        struct zk_zip_detail *d, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_zip_req rq = { .class = ZK_ZIP_R0,
		                 .route = replay ? "/executions/{session}/replay"
		                                 : "/executions/{session}",
		                 .on_data = on_piece };
	struct reading g = { .d = d, .err = err };

	zk_buf_init(&path, MAX_PATH);
	if (session_path("/executions", session, replay ? "/replay" : "", &path, err) < 0)
		return -(int)err->code;
	rq.path = zk_buf_cstring(&path);
	if (zk_zip_start(z, &rq, on_read, &g, &g.call, err) < 0)
		return -(int)err->code;
	zk_loop_until(zk_net_loop(zk_zip_net(z)), &g.over);
	if (g.r < 0 && err->http_status == 404)
		(void)zk_err_hint(err,
		                  "some servers show the details of the newest execution "
		                  "only; see: zk trace list");
	return g.r;
}
