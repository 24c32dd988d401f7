/* `zk triggers send`.
 * Layer: cmd. specs/triggers.md §14.1, §5.6; ux.md §8. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_send.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/status.h"
#include "rt/stop.h"

#include "base/ban.h"

#define MAX_LINE ((size_t)16 << 20)

/* ---- ends --------------------------------------------------------------------------------- */

static void stop_reading(struct send *s)
{
	if (!s->input_over)
		zk_lines_close(ZK_TAKE(s->lines));
	s->input_over = true;
	if (s->sender)
		zk_trig_sender_flush(s->sender);
}

void send_fail(struct send *s, const struct zk_error *err)
{
	if (!s->err.code)
		s->err = *err;
	stop_reading(s);
}

void send_check_over(struct send *s)
{
	if (s->checking || s->over || !s->input_over || s->settling ||
	    (s->sender && zk_trig_sender_waiting(s->sender)) ||
	    !zk_list_is_empty(&s->fresh) || !zk_list_is_empty(&s->unsent))
		return;
	s->over = true;
	if (s->stopping)
		zk_stop_drained(s->stop);
	else
		zk_loop_quit(s->loop);
}

void send_pause(struct send *s)
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
	struct send *s = ctx;

	s->stopping = true;
	zk_progress_state(s->progress, "draining");
	/* Lines that were taken out of a pipe are nobody else's to send. */
	if (s->lines)
		zk_lines_finish(s->lines);
	stop_reading(s);
	send_check_over(s);
}

static void on_flush(void *ctx, bool expired)
{
	struct send *s = ctx;
	struct zk_error err = { 0 };

	(void)expired;
	(void)zk_fail(&err, ZK_E_INTERRUPTED, "stopped before everything was sent");
	zk_trig_sender_abort(s->sender, &err);
	send_settle(s, /* final */ true);
	zk_stop_done(s->stop);
}

/* ---- rejects ------------------------------------------------------------------------------ */

static void note_reject(struct send *s, const struct zk_recline *line, const char *code,
                        zk_str reason)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&b, 65536);
	s->rejected++;
	if (!s->first_reject[0])
		(void)snprintf(s->first_reject, sizeof(s->first_reject),
		               "first rejected: %s:%llu: %.*s",
		               strcmp(line->file, "-") == 0 ? "stdin" : line->file,
		               (unsigned long long)line->number,
		               (int)ZK_MIN(reason.n, (size_t)160), reason.p);
	send_reject_line(s, line, code, reason);
	zk_buf_printf(&b, "\"line\":%llu,\"offset\":%llu,\"code\":\"%s\",\"file\":",
	              (unsigned long long)line->number, (unsigned long long)line->offset,
	              code);
	zk_buf_json_str(&b, zk_str_of(line->file));
	zk_status_event(zk_app_status(s->app), "reject", zk_buf_str(&b));
}

void send_reject(struct send *s, struct zk_trig_record *rec, const char *code,
                 zk_str reason)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&text, rec->n + 1);
	zk_trig_draft_line(rec, &text);
	note_reject(s,
	            &(struct zk_recline){ .file = rec->source,
	                                  .number = rec->line,
	                                  .offset = rec->offset,
	                                  .text = zk_buf_str(&text) },
	            code, reason);
	send_receipt(s, rec, "rejected", NULL);
	/* Without a rejects file the spool keeps what it has, as failed. */
	if (rec->spool_id && s->rejects.fd < 0) {
		struct zk_error err = { 0 };
		ZK_CLEANUP(zk_freep)
		char *why = zk_strndup(reason.p, ZK_MIN(reason.n, (size_t)500));

		if (zk_spool_fail(s->spool, &rec->spool_id, 1, why, true, &err) < 0)
			send_fail(s, &err);
	} else {
		send_spool_done_id(s, rec->spool_id);
	}
	free(rec);
}

static void bad_line(struct send *s, const struct zk_recline *line, struct zk_error *err)
{
	struct zk_buf reason ZK_CLEANUP(zk_buf_done) = { 0 };
	char code[16];

	if (s->app->spool.on_error == 0) {
		if (!err->hint[0])
			(void)zk_err_hint(err, "mend the line, or keep going: --on-error "
			                       "skip --rejects bad.ndjson");
		s->rejected++;
		send_fail(s, err);
		return;
	}
	zk_buf_init(&reason, sizeof(err->msg) + 1);
	zk_buf_cstr(&reason, err->msg);
	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	note_reject(s, line, code, zk_buf_str(&reason));
}

/* ---- answers ------------------------------------------------------------------------------ */

static void note_lost(struct send *s, const struct zk_error *err)
{
	int old = (int)zk_code_exit((int)s->lost.code),
	    new = (int)zk_code_exit((int)err->code);

	if (!s->lost.code || (old != new &&zk_exit_worse(old, new) == new))
		s->lost = *err;
	if (!s->down && s->app->spool.enabled && !s->stopping)
		zk_say("%s; events go to the spool until the server answers", err->msg);
	s->down = true;
}

static void not_sent(struct send *s, struct zk_trig_record *rec,
                     const struct zk_trig_answer *a)
{
	char code[16];

	note_lost(s, a->err);
	if (rec->spool_id) {
		s->spooled++;
		send_receipt(s, rec, "spooled", a);
		free(rec);
	} else if (s->app->spool.enabled) {
		zk_list_push(&s->unsent, &rec->entry);
		send_settle_soon(s);
	} else {
		(void)snprintf(code, sizeof(code), "ZK%04d", (int)a->err->code);
		send_reject(s, rec, code, zk_str_of(a->err->msg));
	}
}

static void on_answer(void *ctx, struct zk_trig_record *rec,
                      const struct zk_trig_answer *a)
{
	struct send *s = ctx;
	char note[32];

	if (a->what == ZK_TRIG_UNSENT) {
		not_sent(s, rec, a);
		return;
	}
	if (s->down)
		zk_say("the server answers again");
	s->down = false;
	if (a->what == ZK_TRIG_REJECTED) {
		(void)snprintf(note, sizeof(note), "%d", a->status);
		send_reject(s, rec, note, a->reason);
		return;
	}
	if (a->what == ZK_TRIG_SENT)
		s->sent++;
	else
		s->duplicates++;
	zk_progress_set(s->progress, s->sent + s->duplicates, 0);
	send_receipt(s, rec, a->what == ZK_TRIG_SENT ? "sent" : "duplicate", a);
	send_spool_done_id(s, rec->spool_id);
	free(rec);
}

static void on_retry(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
                     const struct zk_error *err)
{
	struct send *s = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jwrite w;
	char text[700];

	(void)snprintf(text, sizeof(text), "%s; attempt %u of %u in %.1f s", err->msg,
	               retry + 1, max + 1, (double)wait_ms / 1000);
	zk_progress_wait(s->progress, text);
	if (s->app->common.verbose)
		zk_say("%s", text);
	zk_buf_init(&b, 8192);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "attempt");
	zk_jw_u64(&w, retry + 1);
	zk_jw_key(&w, "of");
	zk_jw_u64(&w, max + 1);
	zk_jw_key(&w, "wait_ms");
	zk_jw_i64(&w, wait_ms);
	zk_jw_key(&w, "message");
	zk_jw_cstr(&w, err->msg);
	zk_status_event(zk_app_status(s->app), "retry", zk_buf_str(&b));
}

static void on_sender_pause(void *ctx, bool pause)
{
	struct send *s = ctx;

	s->sender_full = pause;
	send_pause(s);
}

static void on_idle(void *ctx)
{
	send_check_over(ctx);
}

/* ---- input -------------------------------------------------------------------------------- */

/* What stands for a source in the keys: the same file gives the same keys whatever the folder
 * zk runs in; two runs on stdin never do. */
static void use_source(struct send *s, const char *file)
{
	ZK_CLEANUP(zk_freep)
	char *real = NULL;
	const char *text = s->o->idempotency;

	if (s->salt_of == file)
		return;
	s->salt_of = file;
	zk_buf_clear(&s->salt);
	if (strcmp(text, "auto") == 0) {
		if (strcmp(file, "-") != 0)
			real = realpath(file, NULL);
		zk_buf_cstr(&s->salt, zk_app_profile(s->app));
		zk_buf_char(&s->salt, '\0');
		zk_buf_cstr(&s->salt, real                     ? real
		                      : strcmp(file, "-") == 0 ? s->run
		                                               : file);
	} else {
		zk_buf_cstr(&s->salt, text);
	}
	s->draft.salt = zk_buf_str(&s->salt);
	s->draft.source = file;
}

static void take(struct send *s, struct zk_trig_record *rec)
{
	if (send_is_proven(s, rec)) {
		s->skipped++;
		free(rec);
	} else if (s->app->spool.durable) {
		zk_list_push(&s->fresh, &rec->entry);
		send_settle_soon(s);
	} else {
		zk_trig_sender_push(s->sender, rec);
	}
}

static void one_line(struct send *s, const struct zk_recline *line, bool too_long)
{
	struct zk_error err = { 0 };
	struct zk_trig_record *rec = NULL;

	use_source(s, line->file);
	s->read++;
	if (!too_long) {
		rec = zk_trig_draft(&s->draft, line->text, line->number, line->offset,
		                    &err);
	} else {
		(void)zk_fail(&err, ZK_E_LIMIT, "the line is longer than 16 MiB");
		(void)zk_err_where(&err, "%s:%llu", line->file,
		                   (unsigned long long)line->number);
	}
	if (!rec)
		bad_line(s, line, &err);
	else if (s->checking)
		free(rec);
	else
		take(s, rec);
}

static void on_line(void *ctx, const char *file, const struct zk_ndjson_line *line)
{
	one_line(ctx,
	         &(struct zk_recline){ .file = file,
	                               .number = line->number,
	                               .offset = line->offset,
	                               .text = line->text },
	         line->too_long);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct send *s = ctx;

	if (err && !s->err.code)
		s->err = *err;
	stop_reading(s);
	send_check_over(s);
}

/* ---- --raw -------------------------------------------------------------------------------- */

struct whole {
	struct zk_buf text;
	struct zk_error err;
	bool over;
};

static void whole_data(void *ctx, zk_str chunk)
{
	struct whole *w = ctx;

	zk_buf_add(&w->text, chunk);
}

static void whole_end(void *ctx, const struct zk_error *err)
{
	struct whole *w = ctx;

	if (err)
		w->err = *err;
	w->over = true;
}

/* Each input as a whole is one payload. Line ends inside would cut the batch: they go. */
static int raw_input(struct send *s, const char *path, struct zk_error *err)
{
	struct whole w = { 0 };
	struct zk_buf flat ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_input_conf conf = {
		.path = path, .ctx = &w, .on_data = whole_data, .on_end = whole_end
	};
	struct zk_jscan js;
	struct zk_input *in;

	zk_buf_init(&w.text, MAX_LINE);
	zk_buf_init(&flat, MAX_LINE);
	if (zk_input_open(s->loop, &conf, &in, err) < 0)
		return -(int)err->code;
	zk_loop_until(s->loop, &w.over);
	zk_input_close(in);
	if (w.err.code)
		*err = w.err;
	zk_str text = zk_jscan_skip_bom(zk_buf_str(&w.text));

	if (!w.err.code && zk_jscan(text, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) == 0) {
		zk_jscan_compact(js.top.raw, &flat);
		text = zk_buf_str(&flat);
	}
	if (!w.err.code)
		one_line(s,
		         &(struct zk_recline){ .file = path, .number = 1, .text = text },
		         w.text.failed);
	zk_buf_done(&w.text);
	return w.err.code ? -(int)err->code : 0;
}

static int raw_inputs(struct send *s, struct zk_error *err)
{
	for (size_t i = 0; i < s->n_paths && !s->input_over; i++)
		if (raw_input(s, s->paths[i], err) < 0)
			return -(int)err->code;
	return 0;
}

/* ---- the passes --------------------------------------------------------------------------- */

static int open_lines(struct send *s, char *const *paths, size_t n, struct zk_error *err)
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

static void forget_pass(struct send *s)
{
	zk_lines_close(ZK_TAKE(s->lines));
	s->read = s->rejected = 0;
	s->input_over = false;
	s->checking = false;
	s->salt_of = NULL;
}

/* Reads inputs without sending; 0, or what is wrong with them. The counts stay. */
static int check_pass(struct send *s, char *const *paths, size_t n, struct zk_error *err)
{
	int r;

	s->checking = true;
	if (s->o->raw)
		r = raw_inputs(s, err);
	else
		r = open_lines(s, paths, n, err);
	if (r < 0)
		return r;
	if (!s->o->raw)
		zk_loop_until(s->loop, &s->input_over);
	if (s->err.code) {
		*err = s->err;
		return -(int)err->code;
	}
	return 0;
}

/* Bad lines of files are found before anything is sent; a pipe cannot be read twice. */
static int check_files(struct send *s, struct zk_error *err)
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
	if (s->app->spool.on_error != 0 || s->o->raw)
		return 0;
	int r = n ? check_pass(s, files, n, err) : 0;

	if (r == 0)
		forget_pass(s);
	return r;
}

static int dry_run(struct send *s, struct zk_error *err)
{
	int r = check_pass(s, s->paths, s->n_paths, err);

	if (r == 0)
		r = send_files_write(s, err);
	if (r < 0)
		return r;
	zk_say("dry run: %llu events would go to %.*s, %llu lines are rejected",
	       (unsigned long long)(s->read - s->rejected), ZK_STR_ARG(s->s.client.url),
	       (unsigned long long)s->rejected);
	return s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

/* A bad key shows before the input is read; a dead server is what the spool is for. */
static int ask_limit(struct send *s, size_t *ret_batch, struct zk_error *err)
{
	if (trig_batch_limit(&s->s, /* once */ true, ret_batch, err) == 0)
		return 0;
	if (!err->retryable && err->code != ZK_E_CONNECT)
		return -(int)err->code;
	*err = (struct zk_error){ 0 };
	return 0;
}

static int start(struct send *s, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = s, .drain = on_drain, .flush = on_flush };
	struct zk_progress_conf progress = {
		.mode = s->app->common.progress,
		.quiet = s->app->common.quiet,
		.verbose = s->app->common.verbose > 0,
		.title = s->o->trig.url,
		.unit = "events",
		.status = zk_app_status(s->app),
	};
	struct zk_trig_sender_conf sender = {
		.client = &s->s.client,
		.batch_bytes = TRIG_BATCH_BYTES,
		.linger_ms = s->o->linger_ms,
		.ctx = s,
		.on_answer = on_answer,
		.on_retry = on_retry,
		.on_pause = on_sender_pause,
		.on_idle = on_idle,
	};

	if (ask_limit(s, &sender.batch_events, err) < 0 ||
	    (s->app->spool.durable && send_spool_open(s, err) < 0))
		return -(int)err->code;
	s->stop = zk_app_stop(s->app, &stop, err);
	if (!s->stop)
		return -(int)err->code;
	s->progress = zk_progress_new(s->loop, &progress);
	s->sender = zk_trig_sender_new(s->loop, &sender);
	if (!s->o->raw)
		return open_lines(s, s->paths, s->n_paths, err);
	if (raw_inputs(s, err) < 0)
		return -(int)err->code;
	stop_reading(s);
	send_settle_soon(s);
	return 0;
}

/* ---- the result --------------------------------------------------------------------------- */

static void not_all_sent(struct send *s, struct zk_error *err)
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

static void summary(struct send *s, int status)
{
	char text[160], more[400], a[32], b[32];
	double seconds = (double)(zk_mono_ms() - s->start_ms) / 1000;
	struct zk_summary sum = {
		.title = s->o->trig.url,
		.text = text,
		.more = more,
		.sums = { .read = s->read,
		          .acked = s->sent + s->duplicates,
		          .rejected = s->rejected,
		          .spooled = s->spooled,
		          .skipped = s->skipped,
		          .acked_word = "sent" },
		.exit = status,
	};

	(void)snprintf(text, sizeof(text), "%s events in %.1f s (%.0f events/s)",
	               zk_group_digits(s->sent + s->duplicates, a), seconds,
	               seconds > 0 ? (double)(s->sent + s->duplicates) / seconds : 0);
	(void)snprintf(more, sizeof(more), "duplicates %s among those sent%s%s",
	               zk_group_digits(s->duplicates, b), s->first_reject[0] ? "; " : "",
	               s->first_reject);
	zk_progress_summary(s->progress, &sum);
}

static int conclude(struct send *s, struct zk_error *err)
{
	struct zk_sums sums = { .read = s->read,
		                .acked = s->sent + s->duplicates,
		                .rejected = s->rejected,
		                .spooled = s->spooled,
		                .skipped = s->skipped };
	int r = s->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK, status;

	if (s->err.code)
		*err = s->err;
	else if (s->lost.code)
		not_all_sent(s, err);
	else if (zk_sums_check(&sums, err) == 0)
		*err = (struct zk_error){ 0 };
	if (err->code)
		r = -(int)err->code;
	status = err->code ? (int)zk_code_exit((int)err->code) : r;
	summary(s, status);
	return r;
}

static int work(struct send *s, struct zk_error *err)
{
	int r = s->app->common.dry_run ? 0 : check_files(s, err);

	if (r < 0)
		return r;
	if (send_files_open(s, err) < 0)
		return -(int)err->code;
	if (s->app->common.dry_run)
		return dry_run(s, err);
	r = start(s, err);
	if (r < 0)
		return r;
	send_check_over(s);
	zk_loop_run(s->loop);
	return conclude(s, err);
}

static int check_options(struct send *s, struct zk_error *err)
{
	const struct zk_spool_opts *sp = &s->app->spool;

	if (s->o->raw && !s->o->type)
		return zk_fail(err, ZK_E_USAGE,
		               "--raw needs --type: the input is the "
		               "payload");
	if (s->o->type && !zk_trig_type_ok(zk_str_of(s->o->type)))
		return zk_fail(err, ZK_E_USAGE,
		               "--type must have 1 to 255 characters and no control "
		               "characters");
	if (sp->on_error != 0 && !sp->rejects)
		return zk_fail(err, ZK_E_USAGE, "--on-error skip needs --rejects FILE");
	if (sp->durable && !sp->enabled)
		return zk_fail(err, ZK_E_USAGE,
		               "--durable and --no-spool exclude each other");
	if (!s->o->idempotency[0])
		return zk_fail(err, ZK_E_USAGE, "--idempotency-key must not be empty");
	return 0;
}

static void send_init(struct send *s, struct zk_app *app, const struct send_opts *o)
{
	zk_uuid run = zk_uuid_v4();

	memset(s, 0, sizeof(*s));
	s->app = app;
	s->o = o;
	s->start_ms = zk_mono_ms();
	zk_list_init(&s->fresh);
	zk_list_init(&s->unsent);
	zk_map_init(&s->proven);
	zk_buf_init(&s->salt, 65536);
	s->receipts.fd = s->rejects.fd = -1;
	zk_uuid_format(&run, s->run);
	s->draft = (struct zk_trig_draft_conf){
		.type = o->type,
		.make_key = strcmp(o->idempotency, "none") != 0,
	};
}

static void send_done(struct send *s)
{
	zk_lines_close(s->lines);
	zk_trig_sender_free(s->sender);
	send_spool_close(s);
	send_files_close(s);
	zk_progress_free(s->progress);
	zk_buf_done(&s->salt);
	trig_close(&s->s);
}

static int send_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	static char *only_stdin[] = { (char *)"-" };
	struct send s;

	send_init(&s, app, opts);
	s.paths = argc ? argv : only_stdin;
	s.n_paths = argc ? (size_t)argc : 1;
	int r = check_options(&s, err);

	if (r == 0)
		r = trig_open(app, &s.o->trig, !app->common.dry_run, &s.s, err);
	if (r == 0) {
		s.s.client.retry.cap_ms =
		        ZK_MAX(s.s.client.retry.cap_ms, (int64_t)TRIG_BUSY_CAP_MS);
		s.loop = zk_app_loop(app, err);
		r = s.loop ? work(&s, err) : -(int)err->code;
	}
	send_done(&s);
	return r;
}

static const struct zk_opt send_rows[] = {
	TRIG_CLIENT_ROWS,
	{ .type = ZK_OPT_STR,
	  .name = "type",
	  .meta = "TYPE",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct send_opts, type),
	  .help = "each line is the payload of an event of this type" },
	{ .type = ZK_OPT_BOOL,
	  .name = "raw",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct send_opts, raw),
	  .help = "with --type: each input as a whole is one payload" },
	{ .type = ZK_OPT_STR,
	  .name = "idempotency-key",
	  .meta = "KEY",
	  .def = "auto",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct send_opts, idempotency),
	  .help = "auto, none, or a text in place of profile and file",
	  .text = "An event without a dedup_id gets one, made from profile, file, "
	          "position and content; that of stdin is another one in every run. "
	          "With none, events may come twice after a failure." },
	{ .type = ZK_OPT_PATH,
	  .name = "resume",
	  .meta = "FILE",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct send_opts, resume),
	  .complete = "file",
	  .help = "skip what the receipts in FILE prove" },
	{ .type = ZK_OPT_DURATION,
	  .name = "linger",
	  .meta = "D",
	  .def = "50ms",
	  .max = 60000,
	  .off = offsetof(struct send_opts, linger_ms),
	  .help = "wait so long for a batch to fill" },
	ZK_OPT_END,
};

const struct zk_cmd zk_cmd_triggers_send = {
	.path = "triggers send",
	.args = "[FILE...]",
	.max_args = ZK_ANY,
	.help = "send events, in batches, each exactly once",
	.about =
	        "Reads NDJSON, one event per line: "
	        "{\"type\":\"order.created\",\"payload\":{…}}. What cannot be sent goes "
	        "to "
	        "the spool, and zk spool flush sends it later.\n\n"
	        "Lines of stdin are not written down before they are sent: after a crash "
	        "what was read but not answered must come again from its source. "
	        "--durable writes every line to the spool first.\n\n"
	        "What the server refuses is counted and goes to --rejects; sending goes "
	        "on.",
	.examples = "zk triggers send events.ndjson\n"
	            "tail -F app.log | jq -c . | zk triggers send --type log.line\n"
	            "zk triggers send a.ndjson --on-error skip --rejects bad.ndjson",
	.args_help = "FILE    NDJSON, or '-' for stdin",
	.output = "nothing on stdout; a summary on stderr",
	.exits = "0 all sent · 3 some refused · 65 bad line · 75 in the spool · 77 key",
	.see = "man zk-triggers · zk help spool",
	.groups = TRIG_GROUPS | ZK_OPTS_SPOOL,
	.opts = send_rows,
	.opts_size = sizeof(struct send_opts),
	.conf = "triggers",
	.flags = ZK_CMD_READS_INPUT,
	.complete_arg = "file",
	.run = send_run,
};
