/* Records from inputs to a server: input, outcomes, the end.
 * Layer: cmd. ux.md §8. */
#include "cmd/ship.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "rt/stop.h"

#include "base/ban.h"

/* ---- ends --------------------------------------------------------------------------------- */

static void stop_reading(struct ship *s)
{
	if (!s->input_over)
		zk_lines_close(ZK_TAKE(s->lines));
	s->input_over = true;
	s->ops->flush(s->ctx);
}

void ship_fail(struct ship *s, const struct zk_error *err)
{
	if (!s->err.code)
		s->err = *err;
	stop_reading(s);
}

void ship_check_over(struct ship *s)
{
	if (s->checking || s->over || !s->input_over || s->settling ||
	    s->ops->is_busy(s->ctx) || !zk_list_is_empty(&s->fresh) ||
	    !zk_list_is_empty(&s->unsent))
		return;
	s->over = true;
	if (s->stopping)
		zk_stop_drained(s->stop);
	else
		zk_loop_quit(s->loop);
}

void ship_read_on(struct ship *s)
{
	if (!s->lines)
		return;
	if (s->sender_full || s->spool_full)
		zk_lines_pause(s->lines);
	else
		zk_lines_resume(s->lines);
}

void ship_on_pause(void *ctx, bool pause)
{
	struct ship *s = ctx;

	s->sender_full = pause;
	ship_read_on(s);
}

void ship_on_idle(void *ctx)
{
	ship_check_over(ctx);
}

static void on_drain(void *ctx)
{
	struct ship *s = ctx;

	s->stopping = true;
	zk_progress_state(s->progress, "draining");
	/* Lines that were taken out of a pipe are nobody else's to send. */
	if (s->lines)
		zk_lines_finish(s->lines);
	stop_reading(s);
	ship_check_over(s);
}

static void on_flush(void *ctx, bool expired)
{
	struct ship *s = ctx;
	struct zk_error err = { 0 };

	(void)expired;
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	s->ops->abort(s->ctx, &err);
	ship_settle(s, /* final */ true);
	zk_stop_done(s->stop);
}

/* ---- outcomes ----------------------------------------------------------------------------- */

static const char *file_name(const char *file)
{
	return strcmp(file, "-") == 0 ? "stdin" : file;
}

void ship_refuse(struct ship *s, const struct zk_recline *line, int64_t spool_id,
                 const char *code, zk_str reason)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error err = { 0 };

	s->rejected++;
	if (!s->first_reject[0])
		(void)snprintf(s->first_reject, sizeof(s->first_reject),
		               "first rejected: %s:%llu: %.*s", file_name(line->file),
		               (unsigned long long)line->number,
		               (int)ZK_MIN(reason.n, (size_t)160), reason.p);
	zk_recfile_reject(&s->rejects, line, code, reason);
	zk_buf_init(&b, 65536);
	zk_buf_printf(&b, "\"line\":%llu,\"offset\":%llu,\"code\":\"%s\",\"file\":",
	              (unsigned long long)line->number, (unsigned long long)line->offset,
	              code);
	zk_buf_json_str(&b, zk_str_of(line->file));
	zk_status_event(zk_app_status(s->app), "reject", zk_buf_str(&b));
	if (spool_id && s->rejects.fd < 0) {
		ZK_CLEANUP(zk_freep)
		char *why = zk_strndup(reason.p, ZK_MIN(reason.n, (size_t)500));

		if (zk_spool_fail(s->spool, &spool_id, 1, why, true, &err) < 0)
			ship_fail(s, &err);
	} else {
		ship_forget(s, spool_id);
	}
	ship_settle_soon(s);
}

static void bad_line(struct ship *s, const struct zk_recline *line, struct zk_error *err)
{
	struct zk_buf reason ZK_CLEANUP(zk_buf_done) = { 0 };
	char code[16];

	if (s->app->spool.on_error == 0) {
		if (!err->where[0])
			(void)zk_err_where(err, "%s:%llu (byte %llu)",
			                   file_name(line->file),
			                   (unsigned long long)line->number,
			                   (unsigned long long)line->offset);
		if (!err->hint[0])
			(void)zk_err_hint(err, "mend the line, or keep going: --on-error "
			                       "skip --rejects bad.ndjson");
		s->rejected++;
		ship_fail(s, err);
		return;
	}
	zk_buf_init(&reason, sizeof(err->msg) + 64);
	if (s->kind)
		zk_buf_printf(&reason, "%s: ", s->kind);
	zk_buf_cstr(&reason, err->msg);
	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	ship_refuse(s, line, 0, code, zk_buf_str(&reason));
}

void ship_lost(struct ship *s, const struct zk_error *err)
{
	int old = (int)zk_code_exit((int)s->lost.code),
	    new = (int)zk_code_exit((int)err->code);

	if (!s->lost.code || (old != new &&zk_exit_worse(old, new) == new))
		s->lost = *err;
	if (!s->down && s->app->spool.enabled && !s->stopping)
		zk_say("%s; events go to the spool until the server answers", err->msg);
	s->down = true;
}

void ship_answered(struct ship *s)
{
	if (s->down)
		zk_say("the server answers again");
	s->down = false;
}

void ship_unsent(struct ship *s, struct zk_list *rec, int64_t spool_id)
{
	char code[16];

	if (spool_id) { /* it stands there since it was read */
		s->spooled++;
		s->ops->kept(s->ctx, rec, spool_id);
	} else if (s->app->spool.enabled) {
		zk_list_push(&s->unsent, rec);
		ship_settle_soon(s);
	} else {
		(void)snprintf(code, sizeof(code), "ZK%04d", (int)s->lost.code);
		s->ops->reject(s->ctx, rec, code, zk_str_of(s->lost.msg));
	}
}

void ship_on_wait(void *ctx, unsigned attempt, unsigned max, int64_t wait_ms,
                  const struct zk_error *err)
{
	struct ship *s = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	char text[700];

	(void)snprintf(text, sizeof(text), "%s; attempt %u of %u in %.1f s", err->msg,
	               attempt + 1, max + 1, (double)wait_ms / 1000);
	zk_progress_wait(s->progress, text);
	if (s->app->common.verbose)
		zk_say("%s", text);
	zk_buf_init(&b, 8192);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "attempt");
	zk_jw_u64(&w, attempt + 1);
	zk_jw_key(&w, "of");
	zk_jw_u64(&w, max + 1);
	zk_jw_key(&w, "wait_ms");
	zk_jw_i64(&w, wait_ms);
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, err->msg);
	zk_status_event(zk_app_status(s->app), "retry", zk_buf_str(&b));
}

void ship_receipt(struct ship *s, const struct ship_receipt *r)
{
	struct zk_jwrite w;
	struct zk_buf *b = &s->receipts.b;

	if (!ship_has_receipts(s))
		return;
	zk_jwrite_init(&w, b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "line");
	zk_jw_u64(&w, r->line);
	zk_jw_key(&w, "offset");
	zk_jw_u64(&w, r->offset);
	zk_jw_key(&w, "file");
	zk_jw_cstr(&w, r->file);
	if (r->source && strcmp(r->file, "-") == 0) {
		zk_jw_key(&w, "source");
		zk_jw_cstr(&w, r->source);
	}
	zk_jw_key(&w, "key");
	zk_jw_raw(&w, r->key.n ? r->key : ZK_STR("null"));
	zk_jw_key(&w, "result");
	zk_jw_cstr(&w, r->result);
	zk_jw_key(&w, "remote_id");
	if (r->remote_id.n)
		zk_jw_str(&w, r->remote_id);
	else
		zk_jw_null(&w);
	zk_jw_key(&w, "attempts");
	zk_jw_u64(&w, r->attempts);
	zk_jw_key(&w, "ms");
	zk_jw_i64(&w, r->since_ms ? zk_loop_now_ms(s->loop) - r->since_ms : 0);
	zk_jw_obj_end(&w);
	zk_buf_char(b, '\n');
	ship_settle_soon(s);
}

/* ---- input -------------------------------------------------------------------------------- */

void ship_line(struct ship *s, const struct zk_recline *line, bool too_long)
{
	struct zk_error err; /* of some kilobytes: filled by whoever fails */

	s->read++;
	s->kind = NULL;
	if (too_long)
		(void)zk_fail(&err, ZK_E_LIMIT, "the line is longer than 16 MiB");
	else if (ZK_LIKELY(s->ops->line(s->ctx, line, &err) == 0))
		return;
	bad_line(s, line, &err);
}

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	ship_line(ctx,
	          &(struct zk_recline){ .file = file,
	                                .number = line->number,
	                                .offset = line->offset,
	                                .text = line->text },
	          line->too_long);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct ship *s = ctx;

	if (err && !s->err.code)
		s->err = *err;
	stop_reading(s);
	ship_check_over(s);
}

static int read_inputs(struct ship *s, char *const *paths, size_t n, struct zk_error *err)
{
	struct zk_lines_conf conf = {
		.paths = paths,
		.n = n,
		.max_line_bytes = SHIP_LINE_MAX,
		.ctx = s,
		.on_line = on_line,
		.on_end = on_end,
	};
	int r;

	if (!s->read_all)
		return zk_lines_open(s->loop, &conf, &s->lines, err);
	r = s->read_all(s->ctx, err);
	if (r == 0)
		stop_reading(s);
	return r;
}

/* Reads inputs without sending; 0, or what is wrong with them. The counts stay. */
static int check_pass(struct ship *s, char *const *paths, size_t n, struct zk_error *err)
{
	s->checking = true;
	if (read_inputs(s, paths, n, err) < 0)
		return -(int)err->code;
	zk_loop_until(s->loop, &s->input_over);
	if (!s->err.code)
		return 0;
	*err = s->err;
	return -(int)err->code;
}

static void forget_pass(struct ship *s)
{
	zk_lines_close(ZK_TAKE(s->lines));
	s->read = s->rejected = 0;
	s->input_over = s->checking = false;
	if (s->ops->rewind)
		s->ops->rewind(s->ctx);
}

int ship_check_files(struct ship *s, struct zk_error *err)
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
	if (!n || s->app->spool.on_error != 0 || s->read_all)
		return 0;
	if (check_pass(s, files, n, err) < 0)
		return -(int)err->code;
	forget_pass(s);
	return 0;
}

static int open_files(struct ship *s, struct zk_error *err)
{
	const struct zk_spool_opts *o = &s->app->spool;

	/* Receipts are proofs: those of earlier runs stay. */
	if (zk_recfile_open(&s->receipts, o->receipts, O_APPEND, err) < 0 ||
	    zk_recfile_open(&s->rejects, o->rejects, s->keep_rejects ? O_APPEND : O_TRUNC,
	                    err) < 0)
		return -(int)err->code;
	return 0;
}

int ship_dry_run(struct ship *s, const char *dest, struct zk_error *err)
{
	if (open_files(s, err) < 0 || check_pass(s, s->paths, s->n_paths, err) < 0 ||
	    zk_recfile_write(&s->rejects, err) < 0)
		return -(int)err->code;
	zk_say("dry run: %llu events would go to %s, %llu lines are rejected",
	       (unsigned long long)(s->read - s->rejected), dest,
	       (unsigned long long)s->rejected);
	return s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

/* ---- the run ------------------------------------------------------------------------------ */

void ship_init(struct ship *s, struct zk_app *app, const struct ship_ops *ops, void *ctx)
{
	*s = (struct ship){ .app = app, .ops = ops, .ctx = ctx };
	s->receipts.fd = s->rejects.fd = -1;
	zk_list_init(&s->fresh);
	zk_list_init(&s->unsent);
}

void ship_inputs(struct ship *s, int argc, char **argv)
{
	static char *only_stdin[] = { (char *)"-" };

	s->paths = argc ? argv : only_stdin;
	s->n_paths = argc ? (size_t)argc : 1;
}

int ship_check_options(const struct ship *s, struct zk_error *err)
{
	const struct zk_spool_opts *o = &s->app->spool;

	if (o->on_error != 0 && !o->rejects)
		return zk_fail(err, ZK_E_USAGE, "--on-error skip needs --rejects FILE");
	if (o->durable && !o->enabled)
		return zk_fail(err, ZK_E_USAGE,
		               "--durable and --no-spool exclude each other");
	return 0;
}

int ship_open(struct ship *s, struct zk_error *err)
{
	s->loop = zk_app_loop(s->app, err);
	if (!s->loop)
		return -(int)err->code;
	s->start_ms = zk_loop_now_ms(s->loop);
	return 0;
}

static int start(struct ship *s, const char *title, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = s, .drain = on_drain, .flush = on_flush };
	struct zk_progress_conf progress = {
		.mode = s->app->common.progress,
		.quiet = s->app->common.quiet,
		.verbose = s->app->common.verbose > 0,
		.title = title,
		.unit = "events",
		.status = zk_app_status(s->app),
	};

	if (open_files(s, err) < 0 ||
	    (s->app->spool.durable && ship_spool_open(s, err) < 0))
		return -(int)err->code;
	s->stop = zk_app_stop(s->app, &stop, err);
	if (!s->stop)
		return -(int)err->code;
	s->progress = zk_progress_new(s->loop, &progress);
	return read_inputs(s, s->paths, s->n_paths, err);
}

int ship_run(struct ship *s, const char *title, struct zk_error *err)
{
	int r = start(s, title, err);

	if (r < 0)
		return r;
	ship_check_over(s);
	zk_loop_run(s->loop);
	return 0;
}

void ship_done(struct ship *s)
{
	zk_lines_close(s->lines);
	ship_spool_done(s);
	zk_recfile_close(&s->receipts);
	zk_recfile_close(&s->rejects);
	zk_progress_free(s->progress);
}

/* ---- the result --------------------------------------------------------------------------- */

static void not_all_sent(struct ship *s, struct zk_error *err)
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

static struct zk_sums sums_of(const struct ship *s)
{
	return (struct zk_sums){ .read = s->read,
		                 .acked = s->acked,
		                 .rejected = s->rejected,
		                 .spooled = s->spooled,
		                 .skipped = s->skipped };
}

int ship_result(struct ship *s, struct zk_error *err)
{
	struct zk_sums sums = sums_of(s);

	*err = s->err;
	if (!err->code && s->lost.code)
		not_all_sent(s, err);
	if (err->code || zk_sums_check(&sums, err) < 0)
		return -(int)err->code;
	return s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

void ship_summary(struct ship *s, int r, const struct zk_error *err,
                  const struct ship_words *w)
{
	char more[600];
	struct zk_summary sum = { .title = w->title,
		                  .text = w->text,
		                  .more = more,
		                  .sums = sums_of(s),
		                  .exit = r < 0 ? (int)zk_code_exit((int)err->code) : r };

	sum.sums.acked_word = w->acked_word;
	(void)snprintf(more, sizeof(more), "%s%s%s", w->more,
	               w->more[0] && s->first_reject[0] ? "; " : "", s->first_reject);
	zk_progress_summary(s->progress, &sum);
}
