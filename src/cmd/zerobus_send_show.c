/* `zk zerobus send`: progress, status lines, the summary.
 * Layer: cmd. specs/zerobus.md §2, §8.3; ux.md §8, §9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/zerobus_send.h"
#include "codec/jwrite.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "zerobus/debug.h"

#include "base/ban.h"

#define TICK_MS   200
#define SAID_ROWS 3 /* rejected rows that are said one by one */

/* ---- while it works ---- */

static void note_number(struct zb_send *s, const char *name, uint64_t v)
{
	char text[32];

	zk_progress_note(s->progress, name, v ? zk_group_digits(v, text) : NULL);
}

static void on_tick(void *ctx)
{
	struct zb_send *s = ctx;
	struct zk_zb_sender_stat st;
	uint64_t read = 0, size = 0, total = 0;

	zk_zb_sender_stat(s->sender, &st);
	zb_metrics_look(&s->metrics, &s->n, &st);
	zb_metrics_export(&s->metrics, s->app->otel);
	zk_zb_feed_progress(s->feed, &read, &size);
	/* Rows of all, estimated by what the bytes so far held. */
	if (size && read && s->n.read && s->n.skipped == 0)
		total = s->fed ? s->n.read
		               : (uint64_t)((double)s->n.read * (double)size /
		                            (double)read);
	zk_progress_set(s->progress, s->n.acked + s->n.rejected, total);
	note_number(s, "acked", s->n.acked);
	note_number(s, "in flight", st.rows);
	note_number(s, "rejected", s->n.rejected);
	note_number(s, "reconnects", s->n.reconnects);
	zk_progress_state(s->progress, s->stopping ? "draining" : st.word);
}

void zb_show_start(struct zb_send *s)
{
	struct zk_progress_conf conf = {
		.mode = s->app->common.progress,
		.quiet = s->app->common.quiet,
		.verbose = s->app->common.verbose > 0,
		.title = zk_buf_cstring(&s->s.table),
		.unit = "rows",
		.status = zk_app_status(s->app),
	};

	s->progress = zk_progress_new(s->loop, &conf);
	s->tick = zk_timer_new(s->loop, on_tick, s);
	zk_timer_weak(s->tick, true);
	zk_timer_start(s->tick, TICK_MS, TICK_MS);
}

void zb_show_stop(struct zb_send *s)
{
	zk_timer_free(s->tick);
	s->tick = NULL;
}

static const char *why_name(const struct zk_zb_retrying *r)
{
	switch (r->why) {
	case ZK_ZB_WHY_STATUS:
		return zk_grpc_code_name(r->status);
	case ZK_ZB_WHY_CLOSE_SIGNAL:
		return "close_signal";
	case ZK_ZB_WHY_GOAWAY:
		return "goaway";
	case ZK_ZB_WHY_ACK_TIMEOUT:
		return "ack_timeout";
	case ZK_ZB_WHY_CONNECT:
		return "connect";
	}
	return "unknown";
}

void zb_show_retry(struct zb_send *s, const struct zk_zb_retrying *r)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	char text[700];

	s->n.reconnects++;
	zb_metrics_reopened(&s->metrics, why_name(r), r->attempt > 0);
	if (!r->attempt)
		return; /* a rotation, or a fresh token: nothing is waited for */
	s->n.retries++;
	(void)snprintf(text, sizeof(text), "%s; attempt %u of %u in %.1f s", r->err->msg,
	               r->attempt, r->of, (double)r->wait_ms / 1000);
	zk_progress_wait(s->progress, text);
	if (s->app->common.verbose)
		zk_say("%s", text);
	zk_buf_init(&b, 8192);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "attempt");
	zk_jw_u64(&w, r->attempt);
	zk_jw_key(&w, "of");
	zk_jw_u64(&w, r->of);
	zk_jw_key(&w, "wait_ms");
	zk_jw_i64(&w, r->wait_ms);
	zk_jw_key(&w, "reason");
	zk_jw_cstr(&w, why_name(r));
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, r->err->msg);
	zk_status_event(zk_app_status(s->app), "retry", zk_buf_str(&b));
}

void zb_show_recovered(struct zb_send *s, const struct zk_zb_recovered *r)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	char rows[32];

	zk_progress_wait(s->progress, NULL);
	if (!s->app->common.quiet)
		zk_say("reconnected after %u attempt%s in %.1f s, %s rows sent again",
		       r->attempts, r->attempts == 1 ? "" : "s",
		       (double)r->after_ms / 1000, zk_group_digits(r->rows_again, rows));
	zk_buf_init(&b, 256);
	zk_buf_printf(&b, "\"attempts\":%u,\"ms\":%lld,\"resent\":%llu", r->attempts,
	              (long long)r->after_ms, (unsigned long long)r->rows_again);
	zk_status_event(zk_app_status(s->app), "reconnected", zk_buf_str(&b));
}

void zb_show_reject(struct zb_send *s, const char *source, uint64_t row, uint64_t line,
                    const struct zk_error *err)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;

	if (s->shown < SAID_ROWS &&
	    strncmp(s->last_reason, err->msg, sizeof(s->last_reason) - 1) != 0) {
		s->shown++;
		(void)snprintf(s->last_reason, sizeof(s->last_reason), "%.199s",
		               err->msg);
		zk_say("rejected %s %s %llu: %s [ZK%04d]", source, line ? "line" : "row",
		       (unsigned long long)(line ? line : row), err->msg, (int)err->code);
	} else {
		s->folded++;
	}
	zk_buf_init(&b, 8192);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "source");
	zk_jw_cstr(&w, source);
	zk_jw_key(&w, "row");
	zk_jw_u64(&w, row);
	zk_jw_key(&w, "code");
	zk_jw_printf(&w, "ZK%04d", (int)err->code);
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, err->msg);
	zk_status_event(zk_app_status(s->app), "reject", zk_buf_str(&b));
}

/* ---- the end ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void put_more(struct zb_send *s, struct zk_buf *b)
{
	size_t n = ZK_MIN(s->n_ack_ms, ZK_ARRAY_LEN(s->ack_ms));
	struct zk_zb_sender_stat st = { 0 };
	const char *source;
	uint64_t row;
	char text[32];

	if (s->sender)
		zk_zb_sender_stat(s->sender, &st);
	zb_metrics_look(&s->metrics, &s->n, &st);
	zb_metrics_export(&s->metrics, s->app->otel);
	zk_buf_printf(b, "reconnects %llu", (unsigned long long)s->n.reconnects);
	zk_buf_printf(b, " · resent %s", zk_group_digits(st.resent, text));
	zk_buf_printf(b, " · token refreshes %u", s->refreshes ? s->refreshes - 1 : 0);
	if (n) {
		qsort(s->ack_ms, n, sizeof(*s->ack_ms), by_value);
		zk_buf_printf(b, " · p50/p95 ack %.0f/%.0f ms", s->ack_ms[n / 2],
		              s->ack_ms[n * 95 / 100]);
	}
	if (s->debug) {
		struct zk_error why;

		zk_zb_debug_end(s->debug);
		if (zk_zb_debug_failed(s->debug, &why))
			zk_buf_printf(b, "\na debug file was given up: %s [ZK%04d]",
			              why.msg, (int)why.code);
	}
	if (s->folded)
		zk_buf_printf(b, "\nand %s more rejected rows",
		              zk_group_digits(s->folded, text));
	if (s->feed && zk_zb_feed_first_unread(s->feed, &source, &row))
		zk_buf_printf(b, "\nnot read from row %llu of %s on%s",
		              (unsigned long long)row, source,
		              s->app->spool.receipts
		                      ? "; go on with --resume and the receipts"
		                      : "");
}

/* The gravest of what happened; 0 = all is well. */
static int worst(struct zb_send *s, struct zk_error *err)
{
	int a = s->err.code ? (int)zk_code_exit((int)s->err.code) : 0;
	int b = s->lost.code ? (int)zk_code_exit((int)s->lost.code) : 0;

	if (!a && !b)
		return s->n.rejected ? ZK_EXIT_PARTIAL : 0;
	*err = !b || (a && a != b && zk_exit_worse(a, b) == a) ? s->err : s->lost;
	return -(int)err->code;
}

int zb_show_end(struct zb_send *s, struct zk_error *err)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf more ZK_CLEANUP(zk_buf_done) = { 0 };
	double secs = (double)(zk_mono_ms() - s->start_ms) / 1000;
	struct zk_sums sums = { .read = s->n.read,
		                .acked = s->n.acked,
		                .rejected = s->n.rejected,
		                .spooled = s->n.spooled,
		                .skipped = s->n.skipped };
	struct zk_error wrong = { 0 };
	char rows[32], rate[32];
	int r = worst(s, err);

	zk_buf_init(&text, 4096);
	zk_buf_init(&more, 4096);
	if (s->stopping && s->n.spooled == 0 && r < 0 && err->code == ZK_E_INTERRUPTED)
		r = 0;
	if (r < 0 && s->n.spooled)
		(void)zk_err_hint(err, "%s",
		                  err->hint[0] ? err->hint : "later: zk spool flush");
	if (zk_sums_check(&sums, &wrong) < 0) {
		*err = wrong;
		r = -(int)wrong.code;
	}
	zk_buf_printf(
	        &text, "%s rows in %.1f s (%s rows/s, %.1f MB)",
	        zk_group_digits(s->n.acked, rows), secs,
	        zk_group_digits((uint64_t)((double)s->n.acked / (secs > 0 ? secs : 1)),
	                        rate),
	        (double)s->n.bytes / 1e6);
	put_more(s, &more);
	zk_progress_summary(
	        s->progress,
	        &(struct zk_summary){ .title = zk_buf_cstring(&s->s.table),
	                              .text = zk_buf_cstring(&text),
	                              .more = zk_buf_cstring(&more),
	                              .sums = sums,
	                              .exit = r < 0 ? (int)zk_code_exit(-r) : r });
	return r;
}
