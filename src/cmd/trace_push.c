/* `zk trace push`.
 * Layer: cmd. specs/zeal-zip.md §6.3, §6.4, §6.6; ux.md §8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/trace_push.h"
#include "rt/loop.h"
#include "rt/out.h"
#include "rt/progress.h"
#include "zip/trace_map.h"
#include "zip/trace_run.h"

#include "base/ban.h"

/* ---- records that the spool is to keep -------------------------------------------------------- */

struct rec {
	struct zk_list entry;
	uint64_t seq, line, offset;
	const char *file;
	size_t n;
	bool in_doubt;
	char text[];
};

static struct rec *rec_of(struct zk_list *e)
{
	return ZK_LIST_ENTRY(e, struct rec, entry);
}

static struct rec *rec_new(const struct push *s, zk_str text,
                           const struct zk_zip_batch_event *e)
{
	struct rec *r = zk_alloc(sizeof(*r) + text.n);

	*r = (struct rec){ .seq = e->seq,
		           .line = e->line,
		           .offset = e->offset,
		           .file = s->file ? s->file : "-",
		           .n = text.n };
	zk_list_init(&r->entry);
	memcpy(r->text, text.p, text.n);
	return r;
}

/* The key of an event in receipts, with its quotes. */
static void receipt(struct push *s, const struct zk_recline *line, uint64_t seq,
                    const char *result, const struct zk_zip_batch *b)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done) = { 0 };

	if (!ship_has_receipts(&s->ship))
		return;
	zk_buf_init(&key, TRACE_PUT_TEXT);
	zk_buf_char(&key, '"');
	trace_event_key(zk_str_of(s->mark), seq, &key);
	zk_buf_char(&key, '"');
	ship_receipt(&s->ship, &(struct ship_receipt){ .file = line->file,
	                                               .line = line->number,
	                                               .offset = line->offset,
	                                               .key = zk_buf_str(&key),
	                                               .result = result,
	                                               .remote_id = zk_str_of(s->session),
	                                               .attempts = b ? b->attempts : 0,
	                                               .since_ms = b ? b->first_ms : 0 });
}

static struct zk_recline line_of(const struct rec *r)
{
	return (struct zk_recline){ .file = r->file,
		                    .number = r->line,
		                    .offset = r->offset,
		                    .text = zk_str_n(r->text, r->n) };
}

static void rec_put(void *ctx, struct zk_list *e, struct zk_buf *text,
                    struct zk_spool_put *ret)
{
	const struct push *s = ctx;
	const struct rec *r = rec_of(e);

	_Static_assert(TRACE_PUT_TEXT <= SHIP_PUT_TEXT, "there is room for it");
	trace_event_put(zk_str_of(s->mark), r->seq, r->line, text, ret);
	ret->body = zk_str_n(r->text, r->n);
}

static void rec_send(void *ctx, struct zk_list *e, int64_t spool_id)
{
	struct push *s = ctx;
	struct rec *r = rec_of(e);

	/* What may be there already is not sent by itself; --spool-only sends nothing. */
	if (r->in_doubt || !s->sender) {
		zk_list_push(&s->ship.unsent, e);
		return;
	}
	struct zk_buf *room = zk_zip_push_room(s->sender);
	struct zk_zip_batch_event be = { .at = room->n,
		                         .seq = r->seq,
		                         .line = r->line,
		                         .offset = r->offset,
		                         .spool_id = spool_id };

	zk_buf_put(room, r->text, r->n);
	s->safe_below = ZK_MIN(s->safe_below, r->seq);
	free(r);
	zk_zip_push_added(s->sender, &be);
}

static void rec_kept(void *ctx, struct zk_list *e, int64_t spool_id)
{
	struct push *s = ctx;
	struct rec *r = rec_of(e);
	struct zk_recline line = line_of(r);
	struct zk_error err = { 0 };

	if (r->in_doubt && zk_spool_fail(s->ship.spool, &spool_id, 1,
	                                 "it cannot be known whether it was stored",
	                                 /* final */ true, &err) < 0)
		ship_fail(&s->ship, &err);
	receipt(s, &line, r->seq, "spooled", NULL);
	free(r);
}

static void rec_reject(void *ctx, struct zk_list *e, const char *code, zk_str reason)
{
	struct push *s = ctx;
	struct rec *r = rec_of(e);
	struct zk_recline line = line_of(r);

	ship_refuse(&s->ship, &line, 0, code, reason);
	receipt(s, &line, r->seq, "rejected", NULL);
	free(r);
}

/* ---- outcomes --------------------------------------------------------------------------------- */

static struct zk_recline line_in(const struct push *s, const struct zk_zip_batch *b,
                                 size_t i)
{
	return (struct zk_recline){ .file = s->file ? s->file : "-",
		                    .number = b->v[i].line,
		                    .offset = b->v[i].offset,
		                    .text = zk_zip_batch_text(b, i) };
}

static void delivered(struct push *s, const struct zk_zip_batch *b, size_t from,
                      size_t to, const char *result)
{
	bool receipts = ship_has_receipts(&s->ship);

	ship_answered(&s->ship);
	s->ship.acked += to - from;
	for (size_t i = from; i < to && (receipts || s->app->spool.durable); i++) {
		struct zk_recline line = line_in(s, b, i);

		receipt(s, &line, b->v[i].seq, result, b);
		ship_forget(&s->ship, b->v[i].spool_id);
	}
}

static void refused(struct push *s, const struct zk_zip_batch *b, size_t i,
                    const struct zk_error *err)
{
	struct zk_recline line = line_in(s, b, i);
	char code[16];

	(void)snprintf(code, sizeof(code), "ZK%04d", (int)err->code);
	ship_refuse(&s->ship, &line, b->v[i].spool_id, code, zk_str_of(err->msg));
	receipt(s, &line, b->v[i].seq, "rejected", b);
}

static void unsent(struct push *s, const struct zk_zip_batch *b, size_t from, size_t to,
                   bool in_doubt, const struct zk_error *err)
{
	ship_lost(&s->ship, err);
	/* Without a spool what follows stays in the file. */
	if (!s->app->spool.enabled)
		ship_fail(&s->ship, &s->ship.lost);
	for (size_t i = from; i < to; i++) {
		struct rec *r = rec_new(s, zk_zip_batch_text(b, i), &b->v[i]);

		r->in_doubt = in_doubt;
		ship_unsent(&s->ship, &r->entry, b->v[i].spool_id);
	}
	if (in_doubt)
		ship_fail(&s->ship, err);
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
	ship_settle_soon(&s->ship);
}

static void on_events(void *ctx, const struct zk_zip_batch *b, size_t from, size_t to,
                      enum zk_zip_push_what what, const struct zk_error *err)
{
	struct push *s = ctx;

	switch (what) {
	case ZK_ZIP_EV_STORED:
		delivered(s, b, from, to, "sent");
		break;
	case ZK_ZIP_EV_KNOWN:
		delivered(s, b, from, to, "known");
		break;
	case ZK_ZIP_EV_SKIPPED:
		delivered(s, b, from, to, "skipped");
		s->ship.acked -= to - from;
		s->ship.skipped += to - from;
		break;
	case ZK_ZIP_EV_REFUSED:
		for (size_t i = from; i < to; i++)
			refused(s, b, i, err);
		break;
	case ZK_ZIP_EV_UNSENT:
	case ZK_ZIP_EV_IN_DOUBT:
		unsent(s, b, from, to, what == ZK_ZIP_EV_IN_DOUBT, err);
		break;
	}
	zk_progress_set(s->ship.progress, s->ship.acked, 0);
	note_settled(s, b, to - from);
}

static void flush(void *ctx)
{
	struct push *s = ctx;

	if (s->sender)
		zk_zip_push_flush(s->sender);
}

static void abort_all(void *ctx, const struct zk_error *err)
{
	struct push *s = ctx;

	if (s->sender)
		zk_zip_push_abort(s->sender, err);
}

static bool is_busy(void *ctx)
{
	const struct push *s = ctx;

	return s->sender && zk_zip_push_waiting(s->sender);
}

static void settled(void *ctx)
{
	struct push *s = ctx;
	struct zk_error err = { 0 };

	/* What neither server nor spool would take is still in the file. */
	if (!s->run || s->ship.err.code || !zk_list_is_empty(&s->ship.unsent) ||
	    (s->ship.lost.code && !s->app->spool.enabled))
		return;
	if (zk_zip_run_save(s->run, s->safe_below, &err) < 0)
		ship_fail(&s->ship, &err);
}

/* ---- input ------------------------------------------------------------------------------------ */

/* The event of a line is in `room` from be->at on. */
static void taken(struct push *s, struct zk_buf *room, struct zk_zip_batch_event *be)
{
	zk_str text = zk_str_n(room->p + be->at, room->n - be->at);

	if (text.n > ZK_ZIP_EVENT_BIG && !s->big_told) {
		s->big_told = true;
		zk_say("an event has more than 1 MiB; servers are slow with such ones");
	}
	be->seq = s->seq++;
	if (be->seq < s->skip_below) {
		s->ship.skipped++;
		room->n = be->at;
	} else if (room != &s->scratch) {
		zk_zip_push_added(s->sender, be);
	} else {
		struct rec *r = rec_new(s, text, be);

		zk_list_push(s->sender ? &s->ship.fresh : &s->ship.unsent, &r->entry);
		ship_settle_soon(&s->ship);
	}
}

static int on_line(void *ctx, const struct zk_recline *line, struct zk_error *err)
{
	struct push *s = ctx;
	/* Straight into the batch, unless the spool is to have it first. */
	bool direct = s->sender && !s->app->spool.durable && !s->ship.checking;
	struct zk_buf *room = direct ? zk_zip_push_room(s->sender) : &s->scratch;
	struct zk_zip_event e;
	zk_str text = line->text;

	s->file = line->file;
	s->conf.now_ms = s->wall_ms + zk_loop_now_ms(s->ship.loop);
	if (s->map) {
		zk_buf_clear(&s->mapped);
		if (zk_zip_map_apply(s->map, text, &s->mapped, err) < 0)
			return -(int)err->code;
		text = zk_buf_str(&s->mapped);
	}
	if (!direct)
		zk_buf_clear(room);
	struct zk_zip_batch_event be = { .at = room->n,
		                         .line = line->number,
		                         .offset = line->offset };

	if (zk_zip_event_take(&s->conf, text, s->seq, room, &e, err) < 0) {
		s->ship.kind = e.kind;
		return -(int)err->code;
	}
	if (s->ship.checking) {
		s->seq++;
		return 0;
	}
	zk_zip_sum_add(&s->sum, &e);
	taken(s, room, &be);
	return 0;
}

static void rewind_input(void *ctx)
{
	struct push *s = ctx;

	s->seq = 0;
}

static const struct ship_ops ops = {
	.line = on_line,
	.rewind = rewind_input,
	.flush = flush,
	.abort = abort_all,
	.is_busy = is_busy,
	.put = rec_put,
	.send = rec_send,
	.kept = rec_kept,
	.reject = rec_reject,
	.settled = settled,
};

/* ---- the run ---------------------------------------------------------------------------------- */

static void make_sender(struct push *s)
{
	const struct zk_retry_opts *r = &s->app->retry;
	struct zk_zip_push_conf conf = {
		.zip = s->z.zip,
		.session = s->session,
		.mark = s->mark,
		.batch = (size_t)s->o->batch,
		.every_ms = s->o->every_ms,
		.ambiguous = (enum zk_zip_ambiguous)s->o->on_ambiguous,
		.timeout_ms = s->app->http.request_timeout_ms,
		.retry = { .max_retries = r->retries,
		           .base_ms = r->base_ms,
		           .cap_ms = r->cap_ms,
		           .max_time_ms = r->max_time_ms },
		.look_first = s->skip_below > 0 || s->o->resume,
		.ctx = s,
		.on_events = on_events,
		.on_pause = ship_on_pause,
		.on_idle = ship_on_idle,
		.on_wait = ship_on_wait,
	};

	trace_dest(zk_zip_base(s->z.zip), s->session, &s->dest);
	s->ship.target = (struct zk_spool_target){ .kind = ZK_STR("trace"),
		                                   .dest = zk_buf_str(&s->dest) };
	if (!s->o->spool_only && !trace_is_local(s->session))
		s->sender = zk_zip_push_new(s->ship.loop, &conf);
}

static void summary(struct push *s, const char *end, int r, const struct zk_error *err)
{
	static const struct zk_zip_push_stats none;
	const struct zk_zip_push_stats *st =
	        s->sender ? zk_zip_push_stats(s->sender) : &none;
	char text[256], a[32], b[32];
	struct ship_words w = { .text = text, .more = end, .acked_word = "accepted" };

	(void)snprintf(text, sizeof(text),
	               "session %s  execution %s  %s events, %llu batches, %s sent "
	               "again, %.1f s",
	               s->session ? s->session : "-", s->execution ? s->execution : "-",
	               zk_group_digits(s->ship.acked, a), (unsigned long long)st->batches,
	               zk_group_digits(st->resent, b),
	               (double)(zk_loop_now_ms(s->ship.loop) - s->ship.start_ms) / 1000);
	ship_summary(&s->ship, r, err, &w);
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
	zk_row_u64(&row, "read", s->ship.read);
	zk_row_u64(&row, "accepted", s->ship.acked);
	zk_row_u64(&row, "rejected", s->ship.rejected);
	zk_row_u64(&row, "spooled", s->ship.spooled);
	zk_row_u64(&row, "skipped", s->ship.skipped);
	if (zk_out_begin(out, &shape, err) < 0 ||
	    zk_out_row(out, zk_row_end(&row), err) < 0 || zk_out_end(out, err) < 0)
		return -(int)err->code;
	return 0;
}

static const char *end_word(const struct push *s)
{
	if (s->ship.spooled)
		return "session completes with the spool";
	return zk_zip_sum_failed(&s->sum) ? "session completed, with failed nodes"
	                                  : "session completed";
}

static int conclude(struct push *s, struct zk_error *err)
{
	const char *state = "session open";
	struct zk_error end = { 0 };
	int r;

	if (!s->ship.err.code && !s->ship.stopping) {
		if (push_finish(s, &end) < 0)
			s->ship.err = end;
		else if (s->completes)
			state = end_word(s);
	}
	r = ship_result(&s->ship, err);
	if (r >= 0 && print(s, state, err) < 0)
		r = -(int)err->code;
	summary(s, state, r, err);
	return r;
}

static int work(struct push *s, struct zk_error *err)
{
	int r = 0;

	if (s->app->common.dry_run)
		return ship_dry_run(&s->ship, zk_zip_base(s->z.zip), err);
	if (s->o->resume)
		r = push_resume(s, err);
	if (r == 0 && s->o->resume && !s->o->workflow && !s->o->t.session)
		return 0;
	if (r == 0)
		r = ship_check_files(&s->ship, err);
	if (r == 0 && !s->session)
		r = push_open(s, err);
	if (r < 0)
		return r;
	make_sender(s);
	r = ship_run(&s->ship, s->session, err);
	return r < 0 ? r : conclude(s, err);
}

static int check_options(const struct push *s, int argc, struct zk_error *err)
{
	const struct push_opts *o = s->o;
	const char *session;

	if (ship_check_options(&s->ship, err) < 0)
		return -(int)err->code;
	if (o->spool_only && !s->app->spool.enabled)
		return zk_fail(err, ZK_E_USAGE,
		               "--spool-only and --no-spool exclude each other");
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
	ship_init(&s->ship, app, &ops, s);
	s->app = app;
	s->o = o;
	zk_zip_sum_init(&s->sum);
	zk_buf_init(&s->mapped, 2 * ZK_ZIP_EVENT_MAX);
	zk_buf_init(&s->scratch, 2 * ZK_ZIP_EVENT_MAX);
	zk_buf_init(&s->dest, ZK_SPOOL_TEXT_MAX);
	trace_make_mark(s->mark);
}

static void push_done(struct push *s)
{
	zk_zip_push_free(s->sender);
	ship_done(&s->ship);
	push_run_close(s);
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
	int r;

	ship_inputs(&s->ship, argc, argv);
	s->ship.keep_rejects = s->o->resume;
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
		r = ship_open(&s->ship, err);
	if (r < 0)
		return r;
	s->wall_ms = zk_wall_us() / 1000 - s->ship.start_ms;
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
		more = r == 0 && s.resumed && !s.has_paths && !s.ship.stopping;
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
