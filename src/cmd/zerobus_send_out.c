/* `zk zerobus send`: what becomes of the rows: receipts, rejects, spool.
 * Layer: cmd. specs/zerobus.md §14; ux.md §8. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd/spool_cmd.h"
#include "cmd/zerobus_send.h"
#include "codec/jwrite.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "zerobus/keep.h"
#include "zerobus/request.h"

#include "base/ban.h"

#define RECEIPT_BYTES ((size_t)1 << 20)

/* ---- receipts ---- */

static void flush_receipts(struct zb_send *s)
{
	int e = s->receipts >= 0
	                ? zk_write_all(s->receipts, zk_buf_str(&s->receipt_lines))
	                : 0;
	struct zk_error err = { 0 };

	if (e) {
		(void)zk_fail_errno(&err, ZK_E_OUTPUT, e, "cannot write receipts to '%s'",
		                    s->app->spool.receipts);
		(void)close(s->receipts);
		s->receipts = -1;
		zb_fail(s, &err);
	}
	zk_buf_clear(&s->receipt_lines);
}

static void put_receipt(struct zb_send *s, const struct zk_zb_request *r,
                        const struct zk_zb_place *at, const char *result, int64_t ms)
{
	struct zk_jwrite w;

	zk_jwrite_init(&w, &s->receipt_lines);
	zk_jw_obj(&w);
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, r->source);
	zk_jw_key(&w, "row");
	zk_jw_u64(&w, at->row);
	if (at->line) {
		zk_jw_key(&w, "line");
		zk_jw_u64(&w, at->line);
	}
	zk_jw_key(&w, "result");
	zk_jw_cstr(&w, result);
	zk_jw_key(&w, "attempts");
	zk_jw_u64(&w, r->attempts);
	zk_jw_key(&w, "ms");
	zk_jw_i64(&w, ms);
	zk_jw_obj_end(&w);
	zk_buf_char(&s->receipt_lines, '\n');
	if (s->receipt_lines.n >= RECEIPT_BYTES)
		flush_receipts(s);
}

static void receipts(struct zb_send *s, const struct zk_zb_request *r, const char *result)
{
	struct zk_zb_cursor c = { 0 };
	int64_t ms = r->queued_us ? (zk_mono_us() - r->queued_us) / 1000 : 0;

	if (s->receipts < 0)
		return;
	while (zk_zb_request_next(r, &c))
		put_receipt(s, r, &c.place, result, ms);
}

/* ---- the spool ---- */

static int open_spool(struct zb_send *s, struct zk_error *err)
{
	if (s->spool)
		return 0;
	s->dest = zk_zb_keep_dest(s->s.endpoint.host, zk_buf_cstring(&s->s.table));
	s->target = (struct zk_spool_target){ .kind = ZK_STR("zerobus"),
		                              .dest = zk_str_of(s->dest) };
	return spool_make(s->app, s->app->spool.durable, &s->spool, err);
}

static void settle_now(void *ctx)
{
	zb_settle(ctx);
}

static void settle_soon(struct zb_send *s)
{
	if (s->settling)
		return;
	s->settling = true;
	zk_loop_defer(s->loop, settle_now, s);
}

static void note_done_ids(struct zb_send *s, const struct zk_zb_request *r)
{
	if (!r->spool_ids)
		return;
	while (s->n_done + r->rows > s->room_done) {
		s->room_done = s->room_done ? 2 * s->room_done : 4096;
		s->done_ids =
		        zk_realloc(s->done_ids, s->room_done * sizeof(*s->done_ids));
	}
	memcpy(s->done_ids + s->n_done, r->spool_ids, r->rows * sizeof(*r->spool_ids));
	s->n_done += r->rows;
}

void zb_take(struct zb_send *s, struct zk_zb_request *r)
{
	struct zk_error err = { 0 };

	s->n.read += r->rows;
	s->n.bytes += r->n;
	if (s->app->spool.durable &&
	    (open_spool(s, &err) < 0 ||
	     zk_zb_keep_put(s->spool, &s->target, r, true, &err) < 0)) {
		zb_fail(s, &err);
		zb_unsent(s, r, &err);
		return;
	}
	zk_zb_sender_push(s->sender, r);
}

/* ---- rejects ---- */

static void reject(struct zb_send *s, const struct zk_zb_reject *v)
{
	struct zk_error err = { 0 };

	s->n.rejected++;
	if (s->rejects && zk_zb_rejects_put(s->rejects, v, &err) < 0)
		zb_fail(s, &err);
	zb_show_reject(s, v->source, v->row, v->line, v->err);
}

static void check_limit(struct zb_send *s)
{
	struct zk_error err = { 0 };

	if (!s->o->max_errors || s->n.rejected < s->o->max_errors || s->err.code)
		return;
	(void)zk_fail(&err, ZK_E_ZB_ERRORS,
	              "stopped after %llu rejected rows (--max-errors)",
	              (unsigned long long)s->n.rejected);
	zb_fail(s, &err);
	if (!s->lost.code)
		s->lost = err;
	zk_zb_sender_abort(s->sender, &err);
}

void zb_bad(struct zb_send *s, const struct zk_zb_bad *bad)
{
	s->n.read++;
	reject(s, &(struct zk_zb_reject){ .kind = bad->kind,
	                                  .source = bad->source,
	                                  .row = bad->row,
	                                  .line = bad->line,
	                                  .err = &bad->err,
	                                  .column = bad->column,
	                                  .values = bad->values,
	                                  .base64 = bad->base64,
	                                  .is_text = bad->is_text });
	if (s->app->spool.on_error == 0)
		zb_fail(s, &bad->err);
	else
		check_limit(s);
}

/* With --on-error stop the first row that the service refuses ends the run. */
static void refused_stops(struct zb_send *s, const struct zk_error *err)
{
	struct zk_error why = *err;

	why.code = ZK_E_ZB_ERRORS;
	(void)zk_err_hint(&why, "keep going: --on-error skip --rejects bad.ndjson");
	zb_fail(s, &why);
	s->lost = why;
	zk_zb_sender_abort(s->sender, &why);
}

void zb_refused(struct zb_send *s, struct zk_zb_request *r, const struct zk_error *err,
                bool suspect)
{
	struct zk_zb_cursor c = { 0 };

	while (zk_zb_request_next(r, &c))
		reject(s, &(struct zk_zb_reject){
		                  .kind = r->kind,
		                  .source = r->source,
		                  .row = c.place.row,
		                  .line = c.place.line,
		                  .err = err,
		                  .attempts = r->attempts,
		                  .payload = zk_str_n(c.payload.n ? c.payload.p : "",
		                                      c.payload.n),
		                  .suspect = suspect });
	zb_metrics_settled(&s->metrics, r, /* good */ false);
	receipts(s, r, "rejected");
	note_done_ids(s, r);
	settle_soon(s);
	zk_zb_feed_release(s->feed, r);
	if (s->err.code || suspect)
		return;
	if (s->app->spool.on_error == 0)
		refused_stops(s, err);
	else
		check_limit(s);
}

/* ---- outcomes ---- */

void zb_acked(struct zb_send *s, struct zk_zb_request *r, size_t stream)
{
	int64_t us = zk_mono_us() - r->queued_us;

	(void)stream;
	s->n.acked += r->rows;
	s->ack_ms[s->n_ack_ms++ % ZK_ARRAY_LEN(s->ack_ms)] = (double)us / 1000;
	zb_metrics_settled(&s->metrics, r, /* good */ true);
	receipts(s, r, "acked");
	note_done_ids(s, r);
	if (s->n_done || s->receipt_lines.n)
		settle_soon(s);
	zk_zb_feed_release(s->feed, r);
}

void zb_unsent(struct zb_send *s, struct zk_zb_request *r, const struct zk_error *err)
{
	int old = (int)zk_code_exit((int)s->lost.code),
	    now = (int)zk_code_exit((int)err->code);

	if (!s->lost.code || (old != now && zk_exit_worse(old, now) == now))
		s->lost = *err;
	zb_metrics_settled(&s->metrics, r, /* good */ false);
	zk_list_push(&s->unsent, &r->link);
	settle_soon(s);
}

static void write_unsent_file(struct zb_send *s, const struct zk_zb_request *r,
                              const struct zk_error *why, struct zk_error *err)
{
	struct zk_zb_cursor c = { 0 };
	ZK_CLEANUP(zk_freep)
	char *dir = NULL;
	ZK_CLEANUP(zk_freep)
	char *path = NULL;

	if (!s->rejects) {
		dir = zk_app_state_dir(s->app, /* make */ true, err);
		if (!dir)
			return;
		path = zk_asprintf("%s/zk-zerobus-unsent-%ld.ndjson", dir,
		                   (long)getpid());
		if (zk_zb_rejects_open(path, zk_buf_cstring(&s->s.table), &s->rejects,
		                       err) < 0)
			return;
		zk_say("what was not sent goes to %s", path);
	}
	while (!err->code && zk_zb_request_next(r, &c))
		ZK_IGNORE(zk_zb_rejects_put(
		                  s->rejects,
		                  &(struct zk_zb_reject){
		                          .kind = r->kind,
		                          .source = r->source,
		                          .row = c.place.row,
		                          .line = c.place.line,
		                          .err = why,
		                          .attempts = r->attempts,
		                          .payload =
		                                  zk_str_n(c.payload.n ? c.payload.p : "",
		                                           c.payload.n) },
		                  err) < 0); /* in `err` */
}

/* One request that was not sent: to the spool, else to a file, else it is said. */
static void keep_one(struct zb_send *s, struct zk_zb_request *r)
{
	struct zk_error err = { 0 }, file = { 0 };

	if (r->spool_ids) { /* it stands there since it was read */
		s->n.spooled += r->rows;
		receipts(s, r, "spooled");
		return;
	}
	if (!s->app->spool.enabled) {
		s->n.skipped += r->rows;
		return;
	}
	if (open_spool(s, &err) == 0 &&
	    zk_zb_keep_put(s->spool, &s->target, r, false, &err) == 0) {
		s->n.spooled += r->rows;
		receipts(s, r, "spooled");
		return;
	}
	zb_fail(s, &err);
	write_unsent_file(s, r, &err, &file);
	if (file.code)
		s->n.skipped += r->rows;
	else
		s->n.rejected += r->rows;
}

void zb_settle(struct zb_send *s)
{
	struct zk_error err = { 0 };
	struct zk_list *e;

	s->settling = true;
	while ((e = zk_list_pop(&s->unsent)) != NULL) {
		struct zk_zb_request *r = ZK_LIST_ENTRY(e, struct zk_zb_request, link);

		keep_one(s, r);
		zk_zb_feed_release(s->feed, r);
	}
	/* Receipts first: what neither has is sent again. */
	flush_receipts(s);
	if (s->n_done && zk_spool_ack(s->spool, s->done_ids, s->n_done, NULL, &err) < 0)
		zb_fail(s, &err);
	s->n_done = 0;
	s->settling = false;
	zb_check_over(s);
}

int zb_out_open(struct zb_send *s, struct zk_error *err)
{
	const struct zk_spool_opts *o = &s->app->spool;

	if (o->rejects && zk_zb_rejects_open(o->rejects, zk_buf_cstring(&s->s.table),
	                                     &s->rejects, err) < 0)
		return -(int)err->code;
	if (!o->receipts)
		return 0;
	s->receipts = open(o->receipts,
	                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	if (s->receipts < 0)
		return zk_fail_errno(err, ZK_E_CREATE, errno,
		                     "cannot write receipts to '%s'", o->receipts);
	return 0;
}

void zb_out_close(struct zb_send *s, struct zk_error *err)
{
	if (s->loop)
		zk_loop_forget(s->loop, settle_now, s);
	flush_receipts(s);
	if (s->receipts >= 0)
		(void)close(s->receipts);
	ZK_IGNORE(zk_zb_rejects_close(ZK_TAKE(s->rejects), err) < 0); /* in `err` */
	zk_spool_close(ZK_TAKE(s->spool));
	zk_buf_done(&s->receipt_lines);
	free(s->done_ids);
	free(s->dest);
}
