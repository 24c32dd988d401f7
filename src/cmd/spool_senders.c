/* Who sends what the spool holds.
 * Layer: cmd. */
#include "cmd/spool_senders.h"

#include "cmd/trace_flush.h"
#include "cmd/triggers_flush.h"
#include "cli/cmd.h"
#include "conf/conf.h"
#include "net/url.h"
#include "cmd/zerobus_flush.h"

#include "base/ban.h"

const struct zk_spool_sender zk_spool_senders[] = {
	{ .kind = "trace", .flush = zk_trace_spool_flush },
	{ .kind = "triggers", .flush = zk_triggers_spool_flush },
	{ .kind = "zerobus", .flush = zk_zerobus_spool_flush },
	{ .kind = NULL },
};

bool zk_spool_same_origin(const char *a, const char *b)
{
	struct zk_url ua = { 0 }, ub = { 0 };
	struct zk_error ignored = { 0 };
	bool same = zk_url_parse(zk_str_of(a), &ua, &ignored) == 0 &&
	            zk_url_parse(zk_str_of(b), &ub, &ignored) == 0 &&
	            zk_url_same_origin(&ua, &ub);

	zk_url_done(&ua);
	zk_url_done(&ub);
	return same;
}

int zk_spool_options(struct zk_app *app, const struct zk_opt *rows, const char *prefix,
                     struct zk_optpool *pool, void *opts, struct zk_error *err)
{
	const struct zk_conf_table table = { .rows = rows, .prefix = prefix };

	for (const struct zk_opt *row = rows; row->type != ZK_OPT_NONE; row++)
		if (zk_conf_set(app->conf, row, prefix, opts, pool, err) < 0)
			return -(int)err->code;
	return zk_conf_check_origins(app->conf, &table, err);
}

static const struct zk_spool_sender *find(const struct zk_spool_sender *v, zk_str kind)
{
	for (; v->kind; v++)
		if (zk_str_eq(zk_str_of(v->kind), kind))
			return v;
	return NULL;
}

static int send(struct zk_spool_flush *f, struct zk_spool_job *job, struct zk_error *err)
{
	const struct zk_spool_sender *sender = find(f->senders, job->target.kind);
	struct zk_spool_lock *lock = NULL;

	if (!sender) {
		(void)zk_fail(err, ZK_E_STORE_VERSION,
		              "this zk cannot send records of kind '%.*s'",
		              ZK_STR_ARG(job->target.kind));
		return zk_err_hint(err, "use the zk that wrote them, or a newer one");
	}
	int r = zk_spool_lock(f->spool, &job->target, &lock, err);

	if (r < 0)
		return r;
	f->job = job;
	r = sender->flush(job, err);
	f->job = NULL;
	zk_spool_unlock(lock);
	return r;
}

/* Keeps the failure that decides about the exit status. */
static void note_failure(struct zk_spool_flush *f, const struct zk_error *err)
{
	int old = zk_code_exit((int)f->worst.code), new = zk_code_exit((int)err->code);

	f->failed++;
	if (!f->worst.code || (old != new &&zk_exit_worse(old, new) == new))
		f->worst = *err;
}

static void flush_target(struct zk_spool_flush *f, const struct zk_spool_stat *s)
{
	struct zk_spool_job job = {
		.app = f->app,
		.spool = f->spool,
		.target = { .kind = zk_str_of(s->kind), .dest = zk_str_of(s->dest) },
	};
	struct zk_error err = { 0 };
	int r = send(f, &job, &err);

	f->targets++;
	f->acked += job.acked;
	f->rejected += job.rejected;
	if (r == -ZK_E_STORE_LOCKED) {
		f->busy++;
	} else {
		f->before += s->waiting;
		if (r < 0)
			note_failure(f, &err);
	}
	if (f->on_target)
		f->on_target(f->ctx, &job, r < 0 ? &err : NULL);
}

int zk_spool_flush_run(struct zk_spool_flush *f, struct zk_error *err)
{
	struct zk_spool_stat *v = NULL;
	size_t n = 0;
	int r = zk_spool_stats(f->spool, &v, &n, err);

	for (size_t i = 0; i < n && !f->stopping; i++)
		if (v[i].waiting &&
		    zk_spool_target_matches(&f->filter, zk_str_of(v[i].kind),
		                            zk_str_of(v[i].dest)))
			flush_target(f, &v[i]);
	zk_spool_stats_done(v, n);
	return r;
}

void zk_spool_flush_stop(struct zk_spool_flush *f, bool now)
{
	f->stopping = true;
	if (!f->job)
		return;
	f->job->stopping = true;
	if (f->job->on_stop)
		f->job->on_stop(f->job->stop_ctx, now);
}
