/* `zk zerobus send`.
 * Layer: cmd. specs/zerobus.md §2, §12 to §14; ux.md §8. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/zerobus_send.h"
#include "net/auth.h"
#include "net/otel.h"
#include "rt/loop.h"
#include "rt/progress.h"
#include "rt/stop.h"
#include "zerobus/debug.h"
#include "zerobus/replay.h"
#include "zerobus/request.h"
#include "zerobus/schema.h"

#define ZK_LOGGER "zerobus"
#include "base/log.h"

#include "base/ban.h"

#define OTEL_END_MS 2000                /* §17 */
#define CHECK_BYTES ((uint64_t)1 << 30) /* larger inputs are not read twice */

/* ---- ends --------------------------------------------------------------------------------- */

void zb_fail(struct zb_send *s, const struct zk_error *err)
{
	if (!s->err.code)
		s->err = *err;
	if (s->feed)
		zk_zb_feed_stop(s->feed);
}

void zb_check_over(struct zb_send *s)
{
	if (s->over || !s->fed || !s->sent || s->settling ||
	    !zk_list_is_empty(&s->unsent))
		return;
	s->over = true;
	if (s->stopping)
		zk_stop_drained(s->stop);
	else
		zk_loop_quit(s->loop);
}

static void on_drain(void *ctx)
{
	struct zb_send *s = ctx;

	s->stopping = true;
	zk_progress_state(s->progress, "draining");
	zk_zb_feed_go(s->feed);
	zk_zb_feed_stop(s->feed);
	if (s->fed)
		zk_zb_sender_hurry(s->sender);
	zb_check_over(s);
}

static void on_flush(void *ctx, bool expired)
{
	struct zb_send *s = ctx;
	struct zk_error err = { 0 };

	if (expired || !s->over) {
		(void)zk_fail(&err, ZK_E_INTERRUPTED,
		              "stopped before everything was sent");
		zk_zb_sender_abort(s->sender, &err);
		zk_zb_feed_finish(s->feed); /* what it had read comes back at once */
		zb_settle(s);
	}
	zk_stop_done(s->stop);
}

/* ---- the feed ----------------------------------------------------------------------------- */

static void on_request(void *ctx, struct zk_zb_request *r)
{
	zb_take(ctx, r);
}

static void on_bad(void *ctx, const struct zk_zb_bad *bad)
{
	zb_bad(ctx, bad);
}

static void on_skipped(void *ctx, uint64_t rows)
{
	struct zb_send *s = ctx;

	s->n.read += rows;
	s->n.skipped += rows;
}

static void on_kind(void *ctx, struct zk_zb_kind *kind)
{
	struct zb_send *s = ctx;

	zk_zb_sender_warm(s->sender, kind);
	/* A token that is at hand already needs no waiting for. */
	if (s->s.auth != ZB_AUTH_OAUTH)
		zk_zb_feed_go(s->feed);
}

static void on_note(void *ctx, const char *text)
{
	(void)ctx;
	zk_say("%s", text);
}

static void on_fed(void *ctx, const struct zk_error *err)
{
	struct zb_send *s = ctx;

	s->fed = true;
	if (err && !s->err.code)
		s->err = *err;
	if (s->stopping)
		zk_zb_sender_hurry(s->sender);
	else
		zk_zb_sender_finish(s->sender);
	zb_check_over(s);
}

/* ---- the sender --------------------------------------------------------------------------- */

static void on_acked(void *ctx, struct zk_zb_request *r, size_t stream)
{
	zb_acked(ctx, r, stream);
}

static void on_rejected(void *ctx, struct zk_zb_request *r, const struct zk_error *err,
                        bool suspect)
{
	zb_refused(ctx, r, err, suspect);
}

static void on_unsent(void *ctx, struct zk_zb_request *r, const struct zk_error *err)
{
	zb_unsent(ctx, r, err);
}

static void on_retry(void *ctx, size_t stream, const struct zk_zb_retrying *r)
{
	(void)stream;
	zb_show_retry(ctx, r);
}

static void on_recovered(void *ctx, size_t stream, const struct zk_zb_recovered *r)
{
	(void)stream;
	zb_show_recovered(ctx, r);
}

static void on_sent(void *ctx, const struct zk_error *err)
{
	struct zb_send *s = ctx;

	s->sent = true;
	if (err) {
		if (!s->lost.code)
			s->lost = *err;
		zk_zb_feed_go(s->feed);
		zk_zb_feed_stop(s->feed);
	}
	zb_check_over(s);
}

static void on_fetched(void *ctx, bool good)
{
	struct zb_send *s = ctx;

	zb_metrics_token(&s->metrics, good);
	if (!good)
		return;
	s->refreshes++;
	if (s->feed)
		zk_zb_feed_go(s->feed);
}

/* ---- debug files: a thread of the feed ---------------------------------------------------- */

static void on_part(void *ctx, const struct zk_zb_part *part)
{
	struct zb_send *s = ctx;

	zk_zb_debug_part(s->debug, part);
}

static void on_built(void *ctx, const struct zk_zb_request *r)
{
	struct zb_send *s = ctx;

	zk_zb_debug_request(s->debug, r);
}

static void on_flush_debug(void *ctx)
{
	struct zb_send *s = ctx;

	zk_zb_debug_flush(s->debug);
}

static void open_debug(struct zb_send *s)
{
	const struct zb_send_opts *o = s->o;
	struct zk_zb_debug_conf conf = { .dir = o->debug_dir,
		                         .table = zk_buf_cstring(&s->s.table),
		                         .message = s->message,
		                         .arrow = o->debug_arrow,
		                         .proto = o->debug_proto,
		                         .max_file = o->debug_max_file,
		                         .keep = o->debug_keep };

	if (!o->debug_arrow && !o->debug_proto)
		return;
	s->debug = zk_zb_debug_new(&conf);
}

/* ---- preparing ---------------------------------------------------------------------------- */

static struct zk_zb_feed_conf feed_conf(struct zb_send *s)
{
	const struct zb_send_opts *o = s->o;

	return (struct zk_zb_feed_conf){
		.loop = s->loop,
		.paths = s->paths,
		.n_paths = s->n_paths,
		.rows = { .format = s->replay ? ZK_ZB_FROM_REPLAY
		                              : (enum zk_zb_format)o->from,
		          .record_type = (enum zk_zb_record_type)o->record_type,
		          .message = s->message,
		          .schema = s->schema,
		          .all_optional = o->all_optional,
		          .drop_unknown = o->unknown_fields == 1,
		          .coerce = o->coerce,
		          .null_elements = (enum zk_zb_elements)o->null_elements,
		          .time_as = (enum zk_zb_time_as)o->time_as,
		          .csv_delimiter = o->csv_delimiter ? o->csv_delimiter[0] : '\0',
		          .csv_null = o->csv_null,
		          .arrow_max_body = o->arrow_max_body,
		          .only_code = o->only_code,
		          .only_table = o->only_table },
		.batch_rows = o->batch_rows,
		.batch_bytes = ZK_MIN(o->batch_bytes, o->max_message),
		.max_message = o->max_message,
		.linger_ms = o->linger_ms,
		.max_bytes = o->max_inflight_bytes,
		.skip = o->resume ? zb_is_proven : NULL,
		.skip_ctx = s,
		.ctx = s,
		.on_request = on_request,
		.on_bad = on_bad,
		.on_skipped = on_skipped,
		.on_kind = on_kind,
		.on_note = on_note,
		.on_end = on_fed,
		.on_part = s->debug && o->debug_arrow ? on_part : NULL,
		.on_built = s->debug && o->debug_proto ? on_built : NULL,
		.on_flush = on_flush_debug,
		.flush_ms = o->debug_flush_ms,
	};
}

/* Files that cannot be opened are found before anything is sent; the sum of their sizes, or
 * UINT64_MAX when one is no file. */
static int look_at_files(struct zb_send *s, uint64_t *ret_size, struct zk_error *err)
{
	struct stat st;

	*ret_size = 0;
	for (size_t i = 0; i < s->n_paths; i++) {
		if (strcmp(s->paths[i], "-") == 0) {
			*ret_size = UINT64_MAX;
			continue;
		}
		if (stat(s->paths[i], &st) < 0 || access(s->paths[i], R_OK) < 0)
			return zk_fail_errno(err, ZK_E_NO_INPUT, errno,
			                     "cannot read '%s'", s->paths[i]);
		if (!S_ISREG(st.st_mode) || *ret_size == UINT64_MAX)
			*ret_size = UINT64_MAX;
		else
			*ret_size += (uint64_t)st.st_size;
	}
	return 0;
}

static bool first_bad(void *ctx, const struct zk_zb_bad *bad)
{
	struct zb_send *s = ctx;

	s->err = bad->err;
	s->n.rejected++;
	return false;
}

/* Bad rows of files are found before anything is sent; a pipe cannot be read twice. */
static int check_files(struct zb_send *s, struct zk_error *err)
{
	struct zk_zb_feed_conf conf = feed_conf(s);
	struct zk_zb_check sums;
	uint64_t size;

	if (look_at_files(s, &size, err) < 0)
		return -(int)err->code;
	if (s->app->spool.on_error != 0 || size > CHECK_BYTES)
		return 0;
	s->stamps = conf.stamps = zk_alloc_array(s->n_paths, sizeof(*s->stamps));
	conf.held = size > conf.max_bytes ? NULL : &s->held;
	if (zk_zb_feed_check(&conf, first_bad, &sums, err) < 0)
		return -(int)err->code;
	if (!s->err.code)
		return 0;
	*err = s->err;
	if (!err->hint[0])
		(void)zk_err_hint(
		        err, "mend the row, or keep going: --on-error skip --rejects "
		             "bad.ndjson");
	return -(int)err->code;
}

static bool dry_bad(void *ctx, const struct zk_zb_bad *bad)
{
	struct zb_send *s = ctx;
	struct zk_error err = { 0 };

	s->n.rejected++;
	zb_show_reject(s, bad->source, bad->row, bad->line, &bad->err);
	if (s->rejects)
		ZK_IGNORE(zk_zb_rejects_put(
		                  s->rejects,
		                  &(struct zk_zb_reject){ .kind = bad->kind,
		                                          .source = bad->source,
		                                          .row = bad->row,
		                                          .line = bad->line,
		                                          .err = &bad->err,
		                                          .column = bad->column,
		                                          .values = bad->values,
		                                          .base64 = bad->base64,
		                                          .is_text = bad->is_text },
		                  &err) < 0); /* in `err` */
	if (err.code)
		s->err = err;
	if (s->app->spool.on_error == 0 && !s->err.code)
		s->err = bad->err;
	return !s->err.code;
}

static int dry_run(struct zb_send *s, struct zk_error *err)
{
	struct zk_zb_feed_conf conf = feed_conf(s);
	struct zk_zb_check sums;
	uint64_t size;

	if (look_at_files(s, &size, err) < 0)
		return -(int)err->code;
	if (zk_zb_feed_check(&conf, dry_bad, &sums, err) < 0)
		return -(int)err->code;
	zk_say("dry run: %llu rows in %llu requests of %llu bytes, the largest %zu; %llu "
	       "rejected, %llu skipped",
	       (unsigned long long)sums.rows, (unsigned long long)sums.requests,
	       (unsigned long long)sums.bytes, sums.largest, (unsigned long long)sums.bad,
	       (unsigned long long)sums.skipped);
	if (s->err.code) {
		*err = s->err;
		return -(int)err->code;
	}
	return sums.bad ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

static int parse_rate(const char *text, uint64_t *ret, struct zk_error *err)
{
	zk_str n;
	zk_str unit = zk_str_cut(zk_str_of(text), '/', &n);

	*ret = 0;
	if (!text)
		return 0;
	if (!zk_str_eq(unit, ZK_STR("s")) || zk_parse_u64(n, ret, err) < 0 || !*ret)
		return zk_fail(err, ZK_E_USAGE,
		               "--rate is a number of rows per second: 5000/s");
	return 0;
}

static int make_sender(struct zb_send *s, struct zk_error *err)
{
	const struct zb_send_opts *o = s->o;
	struct zk_zb_sender_conf conf;

	if (zb_sender_conf(&s->s, s->auth, &conf, err) < 0)
		return -(int)err->code;
	conf.streams = o->streams;
	conf.max_inflight = o->max_inflight;
	conf.create_ms = o->create_ms;
	conf.ack_ms = o->ack_ms;
	conf.flush_ms = o->flush_ms;
	conf.isolate = o->isolate;
	if (o->trace_sample)
		conf.trace_sample = o->trace_sample;
	conf.ctx = s;
	conf.on_acked = on_acked;
	conf.on_rejected = on_rejected;
	conf.on_unsent = on_unsent;
	conf.on_retry = on_retry;
	conf.on_recovered = on_recovered;
	conf.on_over = on_sent;
	if (parse_rate(o->rate, &conf.rate, err) < 0)
		return -(int)err->code;
	s->sender = zk_zb_sender_new(&conf);
	return 0;
}

static int start(struct zb_send *s, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = s, .drain = on_drain, .flush = on_flush };
	struct zk_zb_feed_conf feed = feed_conf(s);

	zb_metrics_init(&s->metrics, zk_app_metrics(s->app));
	if (zb_auth_new(&s->s, ZK_ZB_TO_WRITE, s, on_fetched, &s->auth, err) < 0 ||
	    make_sender(s, err) < 0)
		return -(int)err->code;
	zk_otel_wait(s->app->otel, OTEL_END_MS);
	s->stop = zk_app_stop(s->app, &stop, err);
	if (!s->stop)
		return -(int)err->code;
	feed.stamps = s->stamps;
	feed.held = &s->held;
	if (zk_zb_feed_start(&feed, &s->feed, err) < 0)
		return -(int)err->code;
	zb_show_start(s);
	return 0;
}

/* Whether any input has a byte: nothing is asked for rows that never come. Waits for stdin, before
 * anything of it is read. */
static bool has_input(const struct zb_send *s)
{
	for (size_t i = 0; i < s->n_paths; i++) {
		bool is_stdin = strcmp(s->paths[i], "-") == 0;
		struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
		struct stat st;
		int n = 0;

		if ((is_stdin ? fstat(STDIN_FILENO, &st) : stat(s->paths[i], &st)) < 0)
			continue;
		if (S_ISREG(st.st_mode) || !is_stdin) {
			if (!S_ISREG(st.st_mode) || st.st_size > 0)
				return true;
			continue;
		}
		while (poll(&p, 1, -1) < 0 && errno == EINTR)
			;
		if (ioctl(STDIN_FILENO, FIONREAD, &n) < 0 || n > 0)
			return true;
	}
	return false;
}

/* --schema auto: the table's columns, where they can be asked for. */
static int auto_schema(struct zb_send *s, const struct zk_zb_schema_conf *conf)
{
	const char *why = NULL;
	struct zk_error err = { 0 };

	if (s->replay || s->app->common.dry_run)
		return 0;
	if (s->s.auth != ZB_AUTH_OAUTH || !s->s.workspace.url)
		why = "there is no OAuth client that could ask for the table";
	else if (!has_input(s))
		why = "there are no rows";
	else if (zb_table_schema(&s->s, conf, &s->schema, &err) < 0)
		why = err.msg;
	if (why)
		zk_info("column types are those of the input", "why=%s", why);
	return 0;
}

/* The message is the last part of the table's name, or --message. */
static int load_schema(struct zb_send *s, struct zk_error *err)
{
	const char *table = zk_buf_cstring(&s->s.table);
	struct zk_zb_schema_conf conf = { .all_optional = s->o->all_optional,
		                          .time_as = (enum zk_zb_time_as)s->o->time_as };

	s->message = s->o->message ? s->o->message : strrchr(table, '.') + 1;
	conf.message = s->message;
	if (strcmp(s->o->schema, "input") == 0)
		return 0;
	if (strcmp(s->o->schema, "auto") == 0)
		return auto_schema(s, &conf);
	if (strcmp(s->o->schema, "table") != 0)
		return zb_file_schema(s->o->schema, &conf, &s->schema, err);
	if (s->app->common.dry_run)
		return zk_fail(
		        err, ZK_E_USAGE,
		        "a dry run opens no connection: take the schema from a file");
	return zb_table_schema(&s->s, &conf, &s->schema, err);
}

static int work(struct zb_send *s, struct zk_error *err)
{
	if (load_schema(s, err) < 0)
		return -(int)err->code;
	if (zb_out_open(s, err) < 0 || zb_resume_load(s, err) < 0)
		return -(int)err->code;
	open_debug(s);
	if (s->app->common.dry_run)
		return dry_run(s, err);
	if (check_files(s, err) < 0 || start(s, err) < 0)
		return -(int)err->code;
	zk_loop_run(s->loop);
	zb_settle(s);
	zb_show_stop(s);
	return zb_show_end(s, err);
}

static int check_options(const struct zb_send *s, struct zk_error *err)
{
	const struct zk_spool_opts *sp = &s->app->spool;
	const struct zb_send_opts *o = s->o;

	if (sp->on_error != 0 && !sp->rejects)
		return zk_fail(err, ZK_E_USAGE, "--on-error skip needs --rejects FILE");
	if (sp->durable && !sp->enabled)
		return zk_fail(err, ZK_E_USAGE,
		               "--durable and --no-spool exclude each other");
	if ((o->debug_arrow || o->debug_proto) && !o->debug_dir)
		return zk_fail(err, ZK_E_CONFIG,
		               "debug files need a folder: --debug-dir DIR");
	if (o->csv_delimiter && strlen(o->csv_delimiter) != 1)
		return zk_fail(err, ZK_E_USAGE, "--csv-delimiter is one character");
	if (o->max_inflight_bytes < o->max_message)
		return zk_fail(err, ZK_E_USAGE,
		               "--max-inflight-bytes must be at least --max-message");
	return 0;
}

static void send_init(struct zb_send *s, struct zk_app *app, const struct zb_send_opts *o)
{
	memset(s, 0, sizeof(*s));
	s->app = app;
	s->o = o;
	s->receipts = -1;
	s->start_ms = zk_mono_ms();
	zk_list_init(&s->unsent);
	zk_map_init(&s->proven);
	zk_buf_init(&s->receipt_lines, (size_t)16 << 20);
}

static void send_done(struct zb_send *s, struct zk_error *err)
{
	zb_show_stop(s);
	zk_zb_sender_free(s->sender);
	zk_zb_feed_free(s->feed);
	zk_zb_held_drop(&s->held);
	free(s->stamps);
	zk_zb_debug_free(s->debug);
	zb_out_close(s, err);
	zk_auth_free(s->auth);
	zk_progress_free(s->progress);
	zk_zb_schema_free(s->schema);
	zb_resume_done(s);
	zb_session_done(&s->s);
}

static int run(struct zb_send *s, struct zk_error *err)
{
	struct zk_app *app = s->app;
	struct zk_error late = { 0 };
	int r;

	s->loop = zk_app_loop(app, err);
	r = s->loop ? check_options(s, err) : -(int)err->code;
	zk_buf_init(&s->s.table, 1024);
	if (r == 0 && app->common.dry_run)
		r = zb_table(app, &s->o->zb, &s->s.table, err);
	else if (r == 0)
		r = zb_session_init(app, &s->o->zb, &s->s, err);
	if (r == 0)
		r = work(s, err);
	send_done(s, &late);
	free(s);
	if (r >= 0 && late.code) {
		*err = late;
		r = -(int)late.code;
	}
	return r;
}

int zb_send(struct zk_app *app, const struct zb_send_opts *o, char *const *paths,
            size_t n_paths, struct zk_error *err)
{
	struct zb_send *s = zk_new0(struct zb_send);

	send_init(s, app, o);
	s->paths = paths;
	s->n_paths = n_paths;
	return run(s, err);
}

/* What is refused again must not be written to a file that is being read. */
static int check_rejects(const struct zb_send *s, struct zk_error *err)
{
	struct stat to, from;

	if (!s->app->spool.rejects || stat(s->app->spool.rejects, &to) < 0)
		return 0;
	for (size_t i = 0; i < s->n_paths; i++)
		if (strcmp(s->paths[i], "-") != 0 && stat(s->paths[i], &from) == 0 &&
		    from.st_dev == to.st_dev && from.st_ino == to.st_ino)
			return zk_fail(err, ZK_E_USAGE,
			               "--rejects must be another file than '%s'",
			               s->paths[i]);
	return 0;
}

int zb_replay(struct zk_app *app, struct zb_send_opts *o, char *const *paths,
              size_t n_paths, struct zk_error *err)
{
	struct zk_buf table ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zb_send *s;

	zk_buf_init(&table, 1024);
	if (!o->zb.table) {
		if (zk_zb_replay_table(paths[0], &table, err) < 0)
			return -(int)err->code;
		o->zb.table = o->only_table = zk_buf_cstring(&table);
	}
	s = zk_new0(struct zb_send);
	send_init(s, app, o);
	s->replay = true;
	s->paths = paths;
	s->n_paths = n_paths;
	if (check_rejects(s, err) < 0) {
		free(s);
		return -(int)err->code;
	}
	return run(s, err);
}
