/* `zk triggers send`.
 * Layer: cmd. specs/triggers.md §14.1, §5.6; ux.md §8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_send.h"
#include "codec/jscan.h"
#include "rt/input.h"
#include "rt/loop.h"
#include "rt/progress.h"

#include "base/ban.h"

/* ---- outcomes ----------------------------------------------------------------------------- */

static struct zk_trig_record *rec_of(struct zk_list *e)
{
	return ZK_LIST_ENTRY(e, struct zk_trig_record, entry);
}

static void receipt(struct send *s, const struct zk_trig_record *rec, const char *result,
                    const struct zk_trig_answer *a)
{
	ship_receipt(&s->ship,
	             &(struct ship_receipt){ .file = rec->source,
	                                     .line = rec->line,
	                                     .offset = rec->offset,
	                                     .source = s->run,
	                                     .key = rec->dedup,
	                                     .result = result,
	                                     .remote_id = a ? a->id : ZK_STR_NULL,
	                                     .attempts = a ? a->attempts : 0,
	                                     .since_ms = rec->start_ms });
}

static void refuse(struct send *s, struct zk_trig_record *rec, const char *code,
                   zk_str reason)
{
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };

	zk_buf_init(&text, rec->n + 1);
	zk_trig_draft_line(rec, &text);
	struct zk_recline line = { .file = rec->source,
		                   .number = rec->line,
		                   .offset = rec->offset,
		                   .text = zk_buf_str(&text) };

	ship_refuse(&s->ship, &line, rec->spool_id, code, reason);
	receipt(s, rec, "rejected", NULL);
	free(rec);
}

static void on_answer(void *ctx, struct zk_trig_record *rec,
                      const struct zk_trig_answer *a)
{
	struct send *s = ctx;
	char note[32];

	if (a->what == ZK_TRIG_UNSENT) {
		ship_lost(&s->ship, a->err);
		ship_unsent(&s->ship, &rec->entry, rec->spool_id);
		return;
	}
	ship_answered(&s->ship);
	if (a->what == ZK_TRIG_REJECTED) {
		(void)snprintf(note, sizeof(note), "%d", a->status);
		refuse(s, rec, note, a->reason);
		return;
	}
	s->ship.acked++;
	s->duplicates += a->what == ZK_TRIG_DUPLICATE;
	zk_progress_set(s->ship.progress, s->ship.acked, 0);
	receipt(s, rec, a->what == ZK_TRIG_SENT ? "sent" : "duplicate", a);
	ship_forget(&s->ship, rec->spool_id);
	free(rec);
}

/* ---- what the shipment asks for ------------------------------------------------------------ */

static void flush(void *ctx)
{
	struct send *s = ctx;

	if (s->sender)
		zk_trig_sender_flush(s->sender);
}

static void abort_all(void *ctx, const struct zk_error *err)
{
	struct send *s = ctx;

	zk_trig_sender_abort(s->sender, err);
}

static bool is_busy(void *ctx)
{
	const struct send *s = ctx;

	return s->sender && zk_trig_sender_waiting(s->sender);
}

/* The key within the target: the dedup_id without its quotes. */
static void rec_put(void *ctx, struct zk_list *e, struct zk_buf *text,
                    struct zk_spool_put *ret)
{
	const struct zk_trig_record *rec = rec_of(e);

	(void)ctx;
	(void)text;
	ret->body = zk_str_n(rec->text, rec->n);
	if (rec->dedup.n > 2)
		ret->key = zk_str_n(rec->dedup.p + 1, rec->dedup.n - 2);
}

static void rec_send(void *ctx, struct zk_list *e, int64_t spool_id)
{
	struct send *s = ctx;
	struct zk_trig_record *rec = rec_of(e);

	rec->spool_id = spool_id;
	zk_trig_sender_push(s->sender, rec);
}

static void rec_kept(void *ctx, struct zk_list *e, int64_t spool_id)
{
	(void)spool_id;
	receipt(ctx, rec_of(e), "spooled", NULL);
	free(rec_of(e));
}

static void rec_reject(void *ctx, struct zk_list *e, const char *code, zk_str reason)
{
	refuse(ctx, rec_of(e), code, reason);
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

static int on_line(void *ctx, const struct zk_recline *line, struct zk_error *err)
{
	struct send *s = ctx;
	struct zk_trig_record *rec;

	use_source(s, line->file);
	rec = zk_trig_draft(&s->draft, line->text, line->number, line->offset, err);
	if (!rec)
		return -(int)err->code;
	if (s->ship.checking) {
		free(rec);
	} else if (send_is_proven(s, rec)) {
		s->ship.skipped++;
		free(rec);
	} else if (s->app->spool.durable) {
		zk_list_push(&s->ship.fresh, &rec->entry);
		ship_settle_soon(&s->ship);
	} else {
		zk_trig_sender_push(s->sender, rec);
	}
	return 0;
}

static void rewind_input(void *ctx)
{
	struct send *s = ctx;

	s->salt_of = NULL;
}

/* Each input as a whole is one payload. Line ends inside would cut the batch: they go. */
static int raw_input(struct send *s, const char *path, struct zk_error *err)
{
	struct zk_buf all ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf flat ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_jscan js;
	bool too_long;

	zk_buf_init(&all, SHIP_LINE_MAX);
	zk_buf_init(&flat, SHIP_LINE_MAX);
	too_long = zk_input_all(s->ship.loop, path, &all, err) == -ZK_E_LIMIT;
	if (err->code && !too_long)
		return -(int)err->code;
	*err = (struct zk_error){ 0 };
	zk_str text = zk_jscan_skip_bom(zk_buf_str(&all));

	if (zk_jscan(text, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) == 0) {
		zk_jscan_compact(js.top.raw, &flat);
		text = zk_buf_str(&flat);
	}
	ship_line(&s->ship,
	          &(struct zk_recline){ .file = path, .number = 1, .text = text },
	          too_long);
	return 0;
}

static int raw_inputs(void *ctx, struct zk_error *err)
{
	struct send *s = ctx;

	for (size_t i = 0; i < s->ship.n_paths && !s->ship.input_over; i++)
		if (raw_input(s, s->ship.paths[i], err) < 0)
			return -(int)err->code;
	return 0;
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
};

/* ---- the run ------------------------------------------------------------------------------ */

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

static int make_sender(struct send *s, struct zk_error *err)
{
	struct zk_trig_sender_conf conf = {
		.client = &s->s.client,
		.batch_bytes = TRIG_BATCH_BYTES,
		.linger_ms = s->o->linger_ms,
		.ctx = s,
		.on_answer = on_answer,
		.on_retry = ship_on_wait,
		.on_pause = ship_on_pause,
		.on_idle = ship_on_idle,
	};

	if (ask_limit(s, &conf.batch_events, err) < 0)
		return -(int)err->code;
	s->sender = zk_trig_sender_new(s->ship.loop, &conf);
	s->ship.target = (struct zk_spool_target){ .kind = ZK_STR("triggers"),
		                                   .dest = s->s.client.url };
	return 0;
}

static void summary(struct send *s, int r, const struct zk_error *err)
{
	char text[160], more[160], a[32], b[32];
	double seconds = (double)(zk_loop_now_ms(s->ship.loop) - s->ship.start_ms) / 1000;
	struct ship_words w = {
		.title = s->o->trig.url, .text = text, .more = more, .acked_word = "sent"
	};

	(void)snprintf(text, sizeof(text), "%s event%s in %.1f s (%.0f/s)",
	               zk_group_digits(s->ship.acked, a), s->ship.acked == 1 ? "" : "s",
	               seconds, seconds > 0 ? (double)s->ship.acked / seconds : 0);
	(void)snprintf(more, sizeof(more), "duplicates %s among those sent",
	               zk_group_digits(s->duplicates, b));
	ship_summary(&s->ship, r, err, &w);
}

static int work(struct send *s, struct zk_error *err)
{
	int r = s->app->common.dry_run ? 0 : ship_check_files(&s->ship, err);

	if (r == 0 && s->o->resume)
		r = send_resume(s, err);
	if (r < 0)
		return r;
	if (s->app->common.dry_run) {
		ZK_CLEANUP(zk_freep)
		char *url = zk_strndup(s->s.client.url.p, s->s.client.url.n);

		return ship_dry_run(&s->ship, url, err);
	}
	r = make_sender(s, err);
	if (r == 0)
		r = ship_run(&s->ship, s->o->trig.url, err);
	if (r < 0)
		return r;
	r = ship_result(&s->ship, err);
	summary(s, r, err);
	return r;
}

static int check_options(const struct send *s, struct zk_error *err)
{
	if (s->o->raw && !s->o->type)
		return zk_fail(err, ZK_E_USAGE,
		               "--raw needs --type: the input is the "
		               "payload");
	if (s->o->type && !zk_trig_type_ok(zk_str_of(s->o->type)))
		return zk_fail(err, ZK_E_USAGE,
		               "--type must have 1 to 255 characters and no control "
		               "characters");
	if (!s->o->idempotency[0])
		return zk_fail(err, ZK_E_USAGE, "--idempotency-key must not be empty");
	return ship_check_options(&s->ship, err);
}

static void send_init(struct send *s, struct zk_app *app, const struct send_opts *o)
{
	zk_uuid run = zk_uuid_v4();

	memset(s, 0, sizeof(*s));
	ship_init(&s->ship, app, &ops, s);
	s->app = app;
	s->o = o;
	s->ship.read_all = o->raw ? raw_inputs : NULL;
	zk_map_init(&s->proven);
	zk_buf_init(&s->salt, 65536);
	zk_uuid_format(&run, s->run);
	s->draft = (struct zk_trig_draft_conf){
		.type = o->type,
		.make_key = strcmp(o->idempotency, "none") != 0,
	};
}

static void send_done(struct send *s)
{
	zk_trig_sender_free(s->sender);
	ship_done(&s->ship);
	zk_map_done(&s->proven);
	zk_buf_done(&s->salt);
	trig_close(&s->s);
}

static int send_run(struct zk_app *app, void *opts, int argc, char **argv,
                    struct zk_error *err)
{
	struct send s;

	send_init(&s, app, opts);
	ship_inputs(&s.ship, argc, argv);
	int r = check_options(&s, err);

	if (r == 0)
		r = trig_open(app, &s.o->trig, !app->common.dry_run, &s.s, err);
	if (r == 0) {
		s.s.client.retry.cap_ms =
		        ZK_MAX(s.s.client.retry.cap_ms, (int64_t)TRIG_BUSY_CAP_MS);
		r = ship_open(&s.ship, err);
	}
	if (r == 0)
		r = work(&s, err);
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
