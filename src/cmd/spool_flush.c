/* `zk spool flush`.
 * Layer: cmd. ux.md §8. */
#include <stdio.h>

#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/spool_cmd.h"
#include "cmd/spool_senders.h"
#include "rt/progress.h"
#include "rt/stop.h"

#include "base/ban.h"

struct flush_opts {
	struct spool_opts spool;
	bool retry_failed;
};

static const struct zk_opt flush_rows[] = {
	SPOOL_DIR_ROW,
	{ .type = ZK_OPT_BOOL,
	  .name = "retry-failed",
	  .flags = ZK_OPT_NO_CONF,
	  .off = offsetof(struct flush_opts, retry_failed),
	  .help = "send again also what was refused for good" },
	ZK_OPT_END,
};

struct flush {
	struct zk_spool_flush f;
	struct zk_stop *stop;
};

/* ---- the stop -------------------------------------------------------------------------- */

static void on_drain(void *ctx)
{
	struct flush *fl = ctx;

	zk_spool_flush_stop(&fl->f, /* now */ false);
	if (!fl->f.job)
		zk_stop_drained(fl->stop);
}

static void on_flush(void *ctx, bool expired)
{
	struct flush *fl = ctx;

	if (expired)
		zk_spool_flush_stop(&fl->f, /* now */ true);
	zk_stop_done(fl->stop);
}

/* ---- the report ------------------------------------------------------------------------ */

static void on_target(void *ctx, const struct zk_spool_job *job,
                      const struct zk_error *err)
{
	const struct zk_app *app = ctx;

	/* The worst failure is told at the end, as the command's own. */
	if (err && err->code != ZK_E_STORE_LOCKED && app->common.verbose)
		zk_say("%.*s:%.*s: %s", ZK_STR_ARG(job->target.kind),
		       ZK_STR_ARG(job->target.dest), err->msg);
}

static void summarize(struct zk_app *app, const struct zk_spool_flush *f, int status,
                      struct zk_error *err)
{
	struct zk_progress_conf conf = { .mode = app->common.progress,
		                         .quiet = app->common.quiet,
		                         .verbose = app->common.verbose > 0,
		                         .title = "spool",
		                         .unit = "records",
		                         .status = zk_app_status(app) };
	struct zk_loop *loop = zk_app_loop(app, err);
	uint64_t done = f->acked + f->rejected;
	char text[64] = "nothing to send", more[96];
	/* Records that came meanwhile, or that others sent, can make it more or less. */
	struct zk_summary s = {
		.title = "spool",
		.text = text,
		.sums = { .read = ZK_MAX(f->before, done),
		          .acked = f->acked,
		          .rejected = f->rejected,
		          .spooled = f->before > done ? f->before - done : 0 },
		.exit = status,
	};

	if (!loop)
		return;
	if (f->targets)
		(void)snprintf(text, sizeof(text), "%u target%s", f->targets,
		               f->targets == 1 ? "" : "s");
	if (f->busy) {
		(void)snprintf(more, sizeof(more),
		               "%u left to the process that is sending it now", f->busy);
		s.more = more;
	}
	struct zk_progress *p = zk_progress_new(loop, &conf);

	zk_progress_summary(p, &s);
	zk_progress_free(p);
}

/* ---- the command ----------------------------------------------------------------------- */

/* The exit status, or the worst failure as the command's own. */
static int outcome(struct flush *fl, struct zk_error *err)
{
	const struct zk_spool_flush *f = &fl->f;

	if (f->worst.code) {
		*err = f->worst;
		return f->targets > 1 ? zk_wrap(err, "%u of %u targets could not be sent",
		                                f->failed, f->targets)
		                      : -(int)err->code;
	}
	if (f->stopping)
		return zk_fail(err, ZK_E_INTERRUPTED,
		               "stopped; the rest stays in the spool");
	return f->rejected ? ZK_EXIT_PARTIAL : ZK_EXIT_OK;
}

static int flush_spool(struct zk_app *app, struct flush *fl, struct zk_error *err)
{
	struct zk_stop_conf stop = { .ctx = fl, .drain = on_drain, .flush = on_flush };

	fl->stop = zk_app_stop(app, &stop, err);
	if (!fl->stop)
		return -(int)err->code;
	int r = zk_spool_flush_run(&fl->f, err);

	/* A stop that came meanwhile has waited for the sender. */
	if (fl->f.stopping && zk_stop_phase(fl->stop) == ZK_DRAIN)
		zk_stop_drained(fl->stop);
	if (r == 0)
		r = outcome(fl, err);
	return r;
}

/* --dry-run: what would be sent. */
static int plan(const struct zk_spool_flush *f, struct zk_error *err)
{
	struct zk_spool_stat *v = NULL;
	size_t n = 0;
	int r = zk_spool_stats(f->spool, &v, &n, err);

	for (size_t i = 0; i < n; i++)
		if (v[i].waiting &&
		    zk_spool_target_matches(&f->filter, zk_str_of(v[i].kind),
		                            zk_str_of(v[i].dest)))
			zk_say("would send to %s:%s: %llu", v[i].kind, v[i].dest,
			       (unsigned long long)v[i].waiting);
	zk_spool_stats_done(v, n);
	return r;
}

static int flush_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	const struct flush_opts *o = opts;
	ZK_CLEANUP(zk_spool_closep)
	struct zk_spool *sp = NULL;
	struct flush fl = { .f = { .app = app,
		                   .senders = zk_spool_senders,
		                   .filter = { .targets = (const char *const *)argv,
		                               .n_targets = (size_t)argc },
		                   .on_target = on_target,
		                   .ctx = app } };
	uint64_t again = 0;
	int r = spool_open(app, o->spool.dir, &sp, err);

	fl.f.spool = sp;
	if (r > 0 && app->common.dry_run)
		return plan(&fl.f, err);
	if (r > 0 && o->retry_failed)
		r = zk_spool_retry(sp, &fl.f.filter, &again, err) < 0 ? -(int)err->code
		                                                      : 1;
	if (r > 0)
		r = flush_spool(app, &fl, err);
	struct zk_error ignored;

	/* A spool that cannot be opened has no sums. */
	if (r >= 0 || sp)
		summarize(app, &fl.f, r < 0 ? (int)zk_code_exit(-r) : r, &ignored);
	return r;
}

const struct zk_cmd zk_cmd_spool_flush = {
	.path = "spool flush",
	.args = "[TARGET...]",
	.max_args = ZK_ANY,
	.help = "send what waits",
	.about = "Each target is sent by one process at a time: a second flush leaves it "
	         "alone and "
	         "ends with 0, so that this command can stand in a crontab. A record is "
	         "deleted when "
	         "the other side has acknowledged it; one that is refused for good stays "
	         "as 'failed'.",
	.examples = "zk spool flush\n"
	            "zk spool flush 'triggers:*' --retries 0\n"
	            "*/5 * * * * zk spool flush",
	.args_help = "TARGET    only these; '*' stands for any text",
	.exits = "0 all sent, or nothing to do · 3 some refused · 75 the rest later · 77 "
	         "key refused",
	.see = "zk spool list · man zk-spool · man zk-cron",
	.groups = ZK_OPTS_HTTP | ZK_OPTS_RETRY,
	.opts = flush_rows,
	.opts_size = sizeof(struct flush_opts),
	.run = flush_run,
};
