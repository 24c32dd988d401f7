/* `zk trace push`.
 * Layer: cmd. specs/zeal-zip.md §6.3, §6.4, §6.6; ux.md §8. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/trace_push.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "rt/stop.h"
#include "zip/trace_map.h"

#include "base/ban.h"

#define MAX_LINE ZK_ZIP_EVENT_MAX

/* ---- ends ------------------------------------------------------------------------------------- */

static void stop_reading(struct push *s)
{
	if (!s->input_over)
		zk_lines_close(ZK_TAKE(s->lines));
	s->input_over = true;
	if (s->sender)
		zk_zip_push_flush(s->sender);
}

void push_fail(struct push *s, const struct zk_error *err)
{
	if (!s->err.code)
		s->err = *err;
	stop_reading(s);
}

void push_check_over(struct push *s)
{
	if (s->checking || s->over || !s->input_over || s->settling ||
	    (s->sender && zk_zip_push_waiting(s->sender)) ||
	    !zk_list_is_empty(&s->unsent))
		return;
	s->over = true;
	if (s->stopping)
		zk_stop_drained(s->stop);
	else
		zk_loop_quit(s->loop);
}

void push_pause(struct push *s)
{
	if (!s->lines)
		return;
	if (s->sender_full || s->spool_full)
		zk_lines_pause(s->lines);
	else
		zk_lines_resume(s->lines);
}

static void on_drain(void *ctx)
{
	struct push *s = ctx;

	s->stopping = true;
	zk_progress_state(s->progress, "draining");
	/* Lines that were taken out of a pipe are nobody else's to send. */
	if (s->lines)
		zk_lines_finish(s->lines);
	stop_reading(s);
	push_check_over(s);
}

static void on_flush(void *ctx, bool expired)
{
	struct push *s = ctx;
	struct zk_error err = { 0 };

	(void)expired;
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	if (s->sender)
		zk_zip_push_abort(s->sender, &err);
	push_settle(s, /* final */ true);
	zk_stop_done(s->stop);
}

/* ---- receipts and rejects --------------------------------------------------------------------- */

void push_receipt(struct push *s, uint64_t line, uint64_t offset, uint64_t seq,
                  const char *result)
{
	struct zk_buf *b = &s->receipts.b;
	struct zk_jwrite w;

	if (s->receipts.fd < 0)
		return;
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "line");
	zk_jw_u64(&w, line);
	zk_jw_key(&w, "offset");
	zk_jw_u64(&w, offset);
	zk_jw_key(&w, "key");
	zk_jw_printf(&w, "%s.%llu", s->mark, (unsigned long long)seq);
	zk_jw_key(&w, "result");
	zk_jw_cstr(&w, result);
	zk_jw_key(&w, "remote_id");
	zk_jw_cstr(&w, s->session);
	zk_jw_key(&w, "ms");
	zk_jw_i64(&w, zk_loop_now_ms(s->loop) - s->start_ms);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
	push_settle_soon(s);
}

void push_reject(struct push *s, const struct zk_recline *line, const char *code,
                 zk_str reason)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	s->rejected++;
	if (!s->first_reject[0])
		(void)snprintf(s->first_reject, sizeof(s->first_reject),
		               "first rejected: %s:%llu: %.*s",
		               strcmp(line->file, "-") == 0 ? "stdin" : line->file,
		               (unsigned long long)line->number,
		               (int)ZK_MIN(reason.n, (size_t)160), reason.p);
	zk_recfile_reject(&s->rejects, line, code, reason);
	zk_buf_init(&b, 65536);
	zk_buf_printf(&b, "\"line\":%llu,\"offset\":%llu,\"code\":\"%s\",\"file\":",
	              (unsigned long long)line->number, (unsigned long long)line->offset,
	              code);
	zk_buf_json_str(&b, zk_str_of(line->file));
	zk_status_event(zk_app_status(s->app), "reject", zk_buf_str(&b));
	push_settle_soon(s);
}

static void bad_line(struct push *s, const struct zk_recline *line,
                     const struct zk_zip_event *e, struct zk_error *err)
{
	char code[16];

	if (s->app->spool.on_error == 0) {
		(void)zk_err_where(err, "%s:%llu (byte %llu)",
		                   strcmp(line->file, "-") == 0 ? "stdin" : line->file,
		                   (unsigned long long)line->number,
		                   (unsigned long long)line->offset);
		if (!err->hint[0])
			(void)zk_err_hint(err,
			                  "mend the line, or keep going: --on-error skip "
			                  "--rejects bad.ndjson");
		s->rejected++;
		push_fail(s, err);
		return;
	}
	if (s->checking) {
		s->rejected++;
		return;
	}
	ZK_CLEANUP(zk_freep)
	char *reason = zk_asprintf("%s: %s", e->kind ? e->kind : "invalid", err->msg);

	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	push_reject(s, line, code, zk_str_of(reason));
}

/* ---- outcomes --------------------------------------------------------------------------------- */

static void note_lost(struct push *s, const struct zk_error *err)
{
	int old = (int)zk_code_exit((int)s->lost.code),
	    new = (int)zk_code_exit((int)err->code);

	if (!s->lost.code || (old != new &&zk_exit_worse(old, new) == new))
		s->lost = *err;
	if (!s->down && s->app->spool.enabled && !s->stopping)
		zk_say("%s; events go to the spool until the server answers", err->msg);
	s->down = true;
}

static void refused_event(struct push *s, const struct zk_zip_batch *b, size_t i,
                          const struct zk_error *err)
{
	const struct zk_zip_batch_event *e = &b->v[i];
	struct zk_recline line = { .file = s->file ? s->file : "-",
		                   .number = e->line,
		                   .offset = e->offset,
		                   .text = zk_zip_batch_text(b, i) };
	char code[16];

	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	push_reject(s, &line, code, zk_str_of(err->msg));
	push_receipt(s, e->line, e->offset, e->seq, "rejected");
	push_spool_done_id(s, e->spool_id);
}

static void delivered(struct push *s, const struct zk_zip_batch *b, size_t from,
                      size_t to, const char *result)
{
	if (s->down)
		zk_say("the server answers again");
	s->down = false;
	for (size_t i = from; i < to && (s->receipts.fd >= 0 || b->v[i].spool_id); i++) {
		push_receipt(s, b->v[i].line, b->v[i].offset, b->v[i].seq, result);
		push_spool_done_id(s, b->v[i].spool_id);
	}
}

/* Everything below the end of a batch that is settled is safe. */
static void note_settled(struct push *s, const struct zk_zip_batch *b, size_t n)
{
	if (s->batch_first != b->v[0].seq + 1) {
		s->batch_first = b->v[0].seq + 1;
		s->batch_settled = 0;
	}
	s->batch_settled += n;
	if (s->batch_settled < b->n)
		return;
	s->safe_below = b->v[b->n - 1].seq + 1;
	push_settle_soon(s);
}

static void on_events(void *ctx, const struct zk_zip_batch *b, size_t from, size_t to,
                      enum zk_zip_push_what what, const struct zk_error *err)
{
	struct push *s = ctx;

	switch (what) {
	case ZK_ZIP_EV_STORED:
		s->sent += to - from;
		delivered(s, b, from, to, "sent");
		break;
	case ZK_ZIP_EV_KNOWN:
		s->sent += to - from;
		s->known += to - from;
		delivered(s, b, from, to, "known");
		break;
	case ZK_ZIP_EV_SKIPPED:
		s->skipped += to - from;
		s->doubtful += to - from;
		delivered(s, b, from, to, "skipped");
		break;
	case ZK_ZIP_EV_REFUSED:
		for (size_t i = from; i < to; i++)
			refused_event(s, b, i, err);
		break;
	case ZK_ZIP_EV_UNSENT:
	case ZK_ZIP_EV_IN_DOUBT:
		note_lost(s, err);
		for (size_t i = from; i < to; i++)
			push_keep(s, zk_zip_batch_text(b, i), &b->v[i],
			          what == ZK_ZIP_EV_IN_DOUBT);
		if (what == ZK_ZIP_EV_IN_DOUBT)
			push_fail(s, err);
		break;
	}
	zk_progress_set(s->progress, s->sent, 0);
	note_settled(s, b, to - from);
}

static void on_wait(void *ctx, unsigned attempt, unsigned max, int64_t wait_ms,
                    const struct zk_error *err)
{
	struct push *s = ctx;
	char text[700];

	(void)snprintf(text, sizeof(text), "%s; attempt %u of %u in %.1f s", err->msg,
	               attempt + 1, max + 1, (double)wait_ms / 1000);
	zk_progress_wait(s->progress, text);
	if (s->app->common.verbose)
		zk_say("%s", text);
}

static void on_sender_pause(void *ctx, bool pause)
{
	struct push *s = ctx;

	s->sender_full = pause;
	push_pause(s);
}

static void on_idle(void *ctx)
{
	push_check_over(ctx);
}

/* ---- input ------------------------------------------------------------------------------------ */

static void look_at(struct push *s, const struct zk_zip_event *e, size_t bytes)
{
	zk_zip_sum_add(&s->sum, e);
	s->mends += e->mends != 0;
	if (bytes > ZK_ZIP_EVENT_BIG && !s->big_told) {
		s->big_told = true;
		zk_say("an event has more than 1 MiB; servers are slow with such ones");
	}
}

/* The event of a line is in `room` from `at` on. */
static void taken(struct push *s, struct zk_buf *room, struct zk_zip_batch_event *e)
{
	if (s->seq < s->skip_below) {
		room->n = e->at;
		s->skipped++;
		s->seq++;
		return;
	}
	e->seq = s->seq++;
	if (!s->sender) {
		push_keep(s, zk_str_n(room->p + e->at, room->n - e->at), e, false);
		room->n = e->at;
		return;
	}
	if (s->app->spool.durable) {
		zk_zip_push_hold(s->sender, true);
		push_settle_soon(s);
	}
	zk_zip_push_added(s->sender, e);
}

static int take(struct push *s, zk_str text, struct zk_buf *room, struct zk_zip_event *e,
                struct zk_error *err)
{
	if (s->map) {
		zk_buf_clear(&s->mapped);
		if (zk_zip_map_apply(s->map, text, &s->mapped, err) < 0)
			return -(int)err->code;
		text = zk_buf_str(&s->mapped);
	}
	return zk_zip_event_take(&s->conf, text, s->seq, room, e, err);
}

static void one_line(struct push *s, const struct zk_recline *line, bool too_long)
{
	struct zk_buf *room =
	        s->sender && !s->checking ? zk_zip_push_room(s->sender) : &s->scratch;
	struct zk_zip_batch_event be = { .at = room->n,
		                         .line = line->number,
		                         .offset = line->offset };
	struct zk_error err = { 0 };
	struct zk_zip_event e = { 0 };
	int r;

	s->read++;
	s->file = line->file;
	if (too_long)
		r = zk_fail(&err, ZK_E_LIMIT, "the line is longer than 16 MiB");
	else
		r = take(s, line->text, room, &e, &err);
	if (r < 0) {
		bad_line(s, line, &e, &err);
		return;
	}
	if (s->checking) {
		room->n = be.at;
		s->seq++;
		return;
	}
	look_at(s, &e, room->n - be.at);
	taken(s, room, &be);
}

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	struct push *s = ctx;

	s->conf.now_ms = s->wall_ms + zk_loop_now_ms(s->loop);
	one_line(s,
	         &(struct zk_recline){ .file = file,
	                               .number = line->number,
	                               .offset = line->offset,
	                               .text = line->text },
	         line->too_long);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct push *s = ctx;

	if (err && !s->err.code)
		s->err = *err;
	stop_reading(s);
	push_check_over(s);
}

static int open_lines(struct push *s, char *const *paths, size_t n, struct zk_error *err)
{
	struct zk_lines_conf conf = {
		.paths = paths,
		.n = n,
		.max_line_bytes = MAX_LINE,
		.ctx = s,
		.on_line = on_line,
		.on_end = on_end,
	};

	return zk_lines_open(s->loop, &conf, &s->lines, err);
}

/* Reads without sending; 0, or what is wrong with it. */
static int check_pass(struct push *s, char *const *paths, size_t n, struct zk_error *err)
{
	s->checking = true;
	if (open_lines(s, paths, n, err) < 0)
		return -(int)err->code;
	zk_loop_until(s->loop, &s->input_over);
	if (s->err.code) {
		*err = s->err;
		return -(int)err->code;
	}
	return 0;
}

/* Bad lines of files are found before anything is sent; a pipe cannot be read twice. */
static int check_files(struct push *s, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char **files = zk_alloc_array(s->n_paths, sizeof(*files));
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < s->n_paths; i++) {
		if (strcmp(s->paths[i], "-") == 0)
			continue;
		if (stat(s->paths[i], &st) < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read '%s'", s->paths[i]);
		if (S_ISREG(st.st_mode))
			files[n++] = s->paths[i];
	}
	if (!n || s->app->spool.on_error != 0)
		return 0;
	int r = check_pass(s, files, n, err);

	if (r == 0)
		zk_lines_close(ZK_TAKE(s->lines));
	if (r == 0)
		s->read = s->rejected = s->seq = 0;
	s->checking = s->input_over = s->checking && r < 0;
	return r;
}

/* ---- the run ---------------------------------------------------------------------------------- */

static int start(struct push *s, struct zk_error *err)
{
	const struct zk_retry_opts *r = &s->app->retry;
	struct zk_stop_conf stop = { .ctx = s, .drain = on_drain, .flush = on_flush };
	struct zk_progress_conf progress = {
		.mode = s->app->common.progress,
		.quiet = s->app->common.quiet,
		.verbose = s->app->common.verbose > 0,
		.title = s->session,
		.unit = "events",
		.status = zk_app_status(s->app),
	};
	struct zk_zip_push_conf sender = {
		.zip = s->z.zip,
		.session = s->session,
		.mark = s->mark,
		.batch = (size_t)s->o->batch,
		.every_ms = s->o->every_ms,
		.ambiguous = (enum zk_zip_ambiguous)s->o->on_ambiguous,
		.retry = { .max_retries = r->retries,
		           .base_ms = r->base_ms,
		           .cap_ms = r->cap_ms,
		           .max_time_ms = r->max_time_ms },
		.look_first = s->skip_below > 0 || s->o->resume,
		.ctx = s,
		.on_events = on_events,
		.on_pause = on_sender_pause,
		.on_idle = on_idle,
		.on_wait = on_wait,
	};

	if (s->app->spool.durable && push_spool_open(s, err) < 0)
		return -(int)err->code;
	s->stop = zk_app_stop(s->app, &stop, err);
	if (!s->stop)
		return -(int)err->code;
	s->progress = zk_progress_new(s->loop, &progress);
	if (!s->o->spool_only && !trace_is_local(s->session))
		s->sender = zk_zip_push_new(s->loop, &sender);
	return open_lines(s, s->paths, s->n_paths, err);
}

static void not_all_sent(struct push *s, struct zk_error *err)
{
	char n[32];

	*err = s->lost;
	if (s->spooled) {
		(void)zk_wrap(err, "%s events are in the spool",
		              zk_group_digits(s->spooled, n));
		(void)zk_err_hint(err, "send them later: zk spool flush");
	} else {
		(void)zk_wrap(err, "%s events were not sent",
		              zk_group_digits(s->rejected, n));
	}
}

static void summary(struct push *s, const char *end, int status)
{
	static const struct zk_zip_push_stats none;
	const struct zk_zip_push_stats *st =
	        s->sender ? zk_zip_push_stats(s->sender) : &none;
	char text[256], more[400], a[32], b[32];
	double seconds = (double)(zk_loop_now_ms(s->loop) - s->start_ms) / 1000;
	struct zk_summary sum = {
		.text = text,
		.more = more,
		.sums = { .read = s->read,
		          .acked = s->sent,
		          .rejected = s->rejected,
		          .spooled = s->spooled,
		          .skipped = s->skipped,
		          .acked_word = "accepted" },
		.exit = status,
	};

	(void)snprintf(text, sizeof(text),
	               "session %s  execution %s  %s events, %llu batches, %s sent "
	               "again, %.1f s",
	               s->session ? s->session : "-", s->execution ? s->execution : "-",
	               zk_group_digits(s->sent, a), (unsigned long long)st->batches,
	               zk_group_digits(st->resent, b), seconds);
	(void)snprintf(more, sizeof(more), "%s%s%s", end,
	               s->first_reject[0] && end[0] ? "; " : "", s->first_reject);
	zk_progress_summary(s->progress, &sum);
}

/* The row of the result, when a form of output is asked for. */
static int print(struct push *s, const char *state, struct zk_error *err)
{
	static const struct zk_out_shape shape = { .kind = ZK_OUT_ONE };
	const struct zk_output_opts *o = &s->app->output;
	struct zk_row row ZK_CLEANUP(zk_row_done);

	zk_row_init(&row);
	if (o->output == ZK_OUT_AUTO && !o->jq && !o->fields && !o->format)
		return 0;
	struct zk_out *out = zk_app_out(s->app, err);

	if (!out)
		return -(int)err->code;
	zk_row_cstr(&row, "session_id", s->session);
	zk_row_cstr(&row, "execution_id", s->execution);
	zk_row_cstr(&row, "state", state);
	zk_row_u64(&row, "read", s->read);
	zk_row_u64(&row, "accepted", s->sent);
	zk_row_u64(&row, "rejected", s->rejected);
	zk_row_u64(&row, "spooled", s->spooled);
	zk_row_u64(&row, "skipped", s->skipped);
	if (zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return 0;
}

static const char *end_word(const struct push *s)
{
	if (s->spooled)
		return "session completes with the spool";
	return zk_zip_sum_failed(&s->sum) ? "session completed, with failed nodes"
	                                  : "session completed";
}

static int conclude(struct push *s, struct zk_error *err)
{
	struct zk_sums sums = { .read = s->read,
		                .acked = s->sent,
		                .rejected = s->rejected,
		                .spooled = s->spooled,
		                .skipped = s->skipped };
	int r = s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK, status;
	struct zk_error end = { 0 };
	const char *state = "session open";

	if (!s->err.code && !s->stopping && push_finish(s, &end) < 0)
		s->err = end;
	else if (!s->err.code && !s->stopping && s->completes)
		state = end_word(s);
	if (s->err.code)
		*err = s->err;
	else if (s->lost.code)
		not_all_sent(s, err);
	else if (zk_sums_check(&sums, err) == 0)
		*err = (struct zk_error){ 0 };
	if (!err->code && print(s, state, err) == 0)
		*err = (struct zk_error){ 0 };
	if (err->code)
		r = -(int)err->code;
	status = err->code ? (int)zk_code_exit((int)err->code) : r;
	summary(s, state, status);
	return r;
}

static int dry_run(struct push *s, struct zk_error *err)
{
	int r = check_pass(s, s->paths, s->n_paths, err);

	if (r < 0)
		return r;
	zk_say("dry run: %llu events would go to %s, %llu lines are rejected",
	       (unsigned long long)(s->read - s->rejected), zk_zip_base(s->z.zip),
	       (unsigned long long)s->rejected);
	return s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

static int open_files(struct push *s, struct zk_error *err)
{
	const struct zk_spool_opts *sp = &s->app->spool;

	/* Receipts are proofs: those of earlier runs stay; so do rejects when one goes on. */
	if (zk_recfile_open(&s->receipts, sp->receipts, O_APPEND, err) < 0 ||
	    zk_recfile_open(&s->rejects, sp->rejects, s->o->resume ? O_APPEND : O_TRUNC,
	                    err) < 0)
		return -(int)err->code;
	return 0;
}

static int work(struct push *s, struct zk_error *err)
{
	int r = 0;

	if (s->app->common.dry_run)
		return dry_run(s, err);
	if (s->o->resume)
		r = push_resume(s, err);
	if (r == 0 && s->o->resume && !s->o->workflow && !s->o->t.session)
		return 0;
	if (r == 0)
		r = check_files(s, err);
	if (r == 0 && !s->session)
		r = push_open(s, err);
	if (r >= 0)
		r = start(s, err);
	if (r < 0)
		return r;
	push_check_over(s);
	zk_loop_run(s->loop);
	return conclude(s, err);
}

static int check_options(const struct push *s, int argc, struct zk_error *err)
{
	const struct zk_spool_opts *sp = &s->app->spool;
	const struct push_opts *o = s->o;
	const char *session;

	if (sp->on_error != 0 && !sp->rejects)
		return zk_fail(err, ZK_E_USAGE, "--on-error skip needs --rejects FILE");
	if ((sp->durable || o->spool_only) && !sp->enabled)
		return zk_fail(err, ZK_E_USAGE,
		               "--no-spool goes with neither --durable nor "
		               "--spool-only");
	if (o->workflow && o->t.session)
		return zk_fail(
		        err, ZK_E_USAGE,
		        "--workflow opens a session, --session names one: not both");
	if (!argc && !o->resume && isatty(STDIN_FILENO) == 1)
		return zk_fail(err, ZK_E_USAGE,
		               "there is no input: name a FILE, or pipe lines");
	if (o->workflow || o->resume || s->app->common.dry_run)
		return 0;
	return trace_session(&o->t, &session, err);
}

static void push_init(struct push *s, struct zk_app *app, const struct push_opts *o)
{
	memset(s, 0, sizeof(*s));
	s->app = app;
	s->o = o;
	s->receipts.fd = s->rejects.fd = -1;
	zk_list_init(&s->unsent);
	zk_zip_sum_init(&s->sum);
	zk_buf_init(&s->mapped, 2 * ZK_ZIP_EVENT_MAX);
	zk_buf_init(&s->scratch, 2 * ZK_ZIP_EVENT_MAX);
	zk_buf_init(&s->dest, ZK_SPOOL_TEXT_MAX);
	trace_make_mark(s->mark);
}

static void push_done(struct push *s)
{
	zk_lines_close(s->lines);
	zk_zip_push_free(s->sender);
	push_spool_close(s);
	push_run_close(s);
	zk_recfile_close(&s->receipts);
	zk_recfile_close(&s->rejects);
	zk_progress_free(s->progress);
	zk_zip_map_free(s->map);
	zk_zip_sum_done(&s->sum);
	zk_buf_done(&s->mapped);
	zk_buf_done(&s->scratch);
	zk_buf_done(&s->dest);
	zeal_close(&s->z);
	free(s->session);
	free(s->execution);
}

/* One input into one session. */
static int push_once(struct push *s, int argc, char **argv, struct zk_error *err)
{
	static char *only_stdin[] = { (char *)"-" };
	int r;

	s->paths = argc ? argv : only_stdin;
	s->n_paths = argc ? (size_t)argc : 1;
	s->has_paths = argc > 0;
	r = check_options(s, argc, err);
	if (r == 0 && !s->o->workflow && !s->o->resume && !s->app->common.dry_run)
		return 0; /* --optional, and no session */
	if (r >= 0)
		r = push_use_options(s, (const char *const *)s->o->map.v, s->o->map.n,
		                     s->o->strict, err);
	if (r >= 0)
		r = zeal_open(s->app, &s->o->t.zeal, /* patient */ false, &s->z, err);
	if (r >= 0)
		r = open_files(s, err);
	if (r < 0)
		return r;
	s->loop = zk_app_loop(s->app, err);
	if (!s->loop)
		return -(int)err->code;
	s->start_ms = zk_loop_now_ms(s->loop);
	s->wall_ms = zk_wall_us() / 1000 - s->start_ms;
	return work(s, err);
}

static int push_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct push s;
	int r;
	bool more;

	/* --resume without a file takes up one run after the other. */
	do {
		push_init(&s, app, opts);
		r = push_once(&s, argc, argv, err);
		more = r == 0 && s.resumed && !s.has_paths && !s.stopping;
		push_done(&s);
	} while (more);
	return r;
}

static const char *const ambiguous[] = { "resend", "skip", "stop", NULL };

static const struct zk_opt push_rows[] = {
	ZEAL_ROWS,
	TRACE_SESSION_ROW,
	{ .type = ZK_OPT_STR,
	  .key = 'w',
	  .name = "workflow",
	  .meta = "WF",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct push_opts, workflow),
	  .complete = "workflow",
	  .help = "open a session of this workflow, close it at the end" },
	{ .type = ZK_OPT_STR,
	  .name = "execution",
	  .meta = "ID",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct push_opts, execution),
	  .help = "with --workflow: name of this execution" },
	{ .type = ZK_OPT_UINT,
	  .name = "batch",
	  .meta = "N",
	  .def = "1000",
	  .min = 1,
	  .max = ZK_ZIP_BATCH_MOST,
	  .conf = "trace.push.batch",
	  .off = offsetof(struct push_opts, batch),
	  .help = "events in one request, at most" },
	{ .type = ZK_OPT_DURATION,
	  .name = "every",
	  .def = "1s",
	  .max = 3600000,
	  .conf = "trace.push.every",
	  .off = offsetof(struct push_opts, every_ms),
	  .help = "send a batch that is not full after so long" },
	{ .type = ZK_OPT_LIST,
	  .name = "map",
	  .meta = "MEMBER=.PATH",
	  .flags = ZK_OPT_NO_CONF | ZK_OPT_F_COMMA,
	  .off = offsetof(struct push_opts, map),
	  .help = "make events of other lines: nodeId=.host,timestamp=.ts",
	  .text = "The right side is a path into the line, or a text without a dot in "
	          "front. "
	          "Without an eventType it is log; without data the line is the "
	          "preview." },
	{ .type = ZK_OPT_BOOL,
	  .name = "strict",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct push_opts, strict),
	  .help = "reject what would be mended" },
	{ .type = ZK_OPT_BOOL,
	  .name = "resume",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct push_opts, resume),
	  .help = "go on with what an earlier run left: spool and files" },
	{ .type = ZK_OPT_BOOL,
	  .name = "spool-only",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct push_opts, spool_only),
	  .help = "send nothing now; zk spool flush does" },
	{ .type = ZK_OPT_ENUM,
	  .name = "on-ambiguous",
	  .meta = "WHAT",
	  .def = "resend",
	  .values = ambiguous,
	  .conf = "trace.push.on_ambiguous",
	  .off = offsetof(struct push_opts, on_ambiguous),
	  .help = "when it cannot be known what was stored",
	  .text = "An answer was lost and the session cannot be read back: resend what "
	          "may be "
	          "there already (it is recognised by its mark), skip it, or stop." },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_trace_push = {
	.path = "trace push",
	.args = "[FILE...]",
	.max_args = ZK_ANY,
	.help = "push events, in batches, each once",
	.about =
	        "Reads NDJSON, one trace event per line, checks and mends each "
	        "(times, fractions, nulls), marks it, and sends batches. An answer that "
	        "is "
	        "lost is looked for on the server before anything is sent again. What "
	        "cannot be sent goes to the spool, and zk spool flush sends it later.\n\n"
	        "Lines of stdin are not written down before they are sent: after a crash "
	        "what was read but not answered must come again from its source. "
	        "--durable writes every event to the spool first. A FILE needs neither: "
	        "--resume goes on where it stopped.",
	.examples =
	        "zk trace push run.ndjson --workflow wf_42\n"
	        "tail -F app.ndjson | zk trace push -s $S --map "
	        "nodeId=.component,timestamp=.ts\n"
	        "zk trace push a.ndjson -w wf_42 --on-error skip --rejects bad.ndjson\n"
	        "zk trace push --resume",
	.args_help = "FILE    NDJSON, or '-' for stdin",
	.output = "one row with --output: session_id, accepted, rejected, ...",
	.exits = "0 all stored · 3 some rejected · 65 bad line · 75 in the spool · 76 · "
	         "77",
	.see = "man zk-trace · zk help spool",
	.groups = ZEAL_GROUPS | ZK_OPTS_SPOOL | ZK_OPTS_OUTPUT,
	.opts = push_rows,
	.opts_size = sizeof(struct push_opts),
	.conf = "zeal",
	.complete_arg = "file",
	.run = push_run,
};
