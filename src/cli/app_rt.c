/* What a command gets of the runtime: loop, metrics, stop, status.
 * Layer: cli. */
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "cli/report.h"
#include "cli/state.h"
#include "codec/jwrite.h"
#include "net/net.h"
#include "net/otel.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "rt/out.h"
#include "rt/status.h"
#include "rt/stop.h"

#include "base/ban.h"

/* --timeout is over. A command that knows how to stop does; one that waits for a single answer
 * has nothing to save and ends here. */
static void on_timeout(void *ctx)
{
	struct zk_app *app = ctx;
	struct zk_error err = { 0 };

	app->cli->timed_out = true;
	if (app->stop) {
		if (zk_stop_phase(app->stop) == ZK_RUN)
			zk_stop_begin(app->stop);
		return;
	}
	(void)zk_fail(&err, ZK_E_TIMEOUT, "the command did not end within --timeout");
	zk_report(&err, zk_code_exit((int)err.code), app->common.color);
	zk_app_status_end(app, &err, ZK_EXIT_TEMPFAIL);
	zk_status_free(app->status);
	zk_log_stop();
	_exit(ZK_EXIT_TEMPFAIL);
}

struct zk_loop *zk_app_loop(struct zk_app *app, struct zk_error *err)
{
	if (app->loop)
		return app->loop;
	app->loop = zk_loop_new(err);
	if (app->loop && app->common.timeout_ms > 0) {
		app->cli->timeout = zk_timer_new(app->loop, on_timeout, app);
		zk_timer_weak(app->cli->timeout, true);
		zk_timer_start(app->cli->timeout, app->common.timeout_ms, 0);
	}
	return app->loop;
}

struct zk_metrics *zk_app_metrics(struct zk_app *app)
{
	if (!app->metrics)
		app->metrics = zk_metrics_new();
	return app->metrics;
}

struct zk_stop *zk_app_stop(struct zk_app *app, const struct zk_stop_conf *conf,
                            struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(app, err);
	struct zk_stop_conf full = *conf;

	if (!loop || app->stop)
		return app->stop;
	if (!full.grace_ms)
		full.grace_ms = app->common.grace_ms;
	return zk_stop_new(loop, &full, &app->stop, err) < 0 ? NULL : app->stop;
}

static int open_status(struct zk_app *app, struct zk_error *err)
{
	struct zk_status_conf conf = { .channel = app->common.status_fd,
		                       .ready_file = app->common.ready_file };

	return app->status ? 0 : zk_status_new(&conf, &app->status, err);
}

struct zk_status *zk_app_status(struct zk_app *app)
{
	struct zk_status_conf none = { 0 };
	struct zk_error err;

	/* Without a channel there is nothing that can fail. */
	if (!app->status && zk_status_new(&none, &app->status, &err) < 0)
		zk_assert_failed(err.msg, __FILE__, __LINE__);
	return app->status;
}

int zk_app_status_start(struct zk_app *app, struct zk_error *err)
{
	struct zk_jwrite w;
	struct zk_buf b;

	if (!app->common.status_fd && !app->common.ready_file)
		return 0;
	if (open_status(app, err) < 0)
		return -(int)err->code;
	zk_buf_init(&b, 4096);
	zk_jwrite_init(&w, &b);
	zk_jw_key(&w, "command");
	zk_jw_cstr(&w, app->cmd->path);
	zk_jw_key(&w, "version");
	zk_jw_cstr(&w, ZK_VERSION);
	zk_jw_key(&w, "pid");
	zk_jw_i64(&w, getpid());
	zk_jw_key(&w, "profile");
	zk_jw_cstr(&w, zk_app_profile(app));
	zk_status_event(app->status, "start", zk_buf_str(&b));
	zk_buf_done(&b);
	return 0;
}

/* {"type":"error",MEMBERS} without what the channel writes itself. */
static zk_str members_of(zk_str json)
{
	zk_str head = ZK_STR("{\"type\":\"error\",");

	if (!zk_str_starts(json, head) || !zk_str_ends(json, ZK_STR("}")))
		return ZK_STR_NULL;
	return zk_str_n(json.p + head.n, json.n - head.n - 1);
}

void zk_app_status_end(struct zk_app *app, const struct zk_error *err, int status)
{
	struct zk_buf b;

	if (!app->status || !app->common.status_fd)
		return;
	zk_buf_init(&b, 16384);
	if (err) {
		zk_report_json(err, status, &b);
		zk_status_event(app->status, "error", members_of(zk_buf_str(&b)));
		zk_buf_clear(&b);
	}
	zk_buf_printf(&b, "\"status\":%d", status);
	zk_status_event(app->status, "exit", zk_buf_str(&b));
	zk_buf_done(&b);
}

void zk_app_rt_done(struct zk_app *app, int status, int *ret_signal)
{
	*ret_signal = 0;
	if (app->stop)
		*ret_signal = zk_stop_signal(app->stop);
	/* Its wait for a reader still has to end with the signal. */
	zk_out_free(app->out);
	app->out = NULL;
	zk_stop_free(app->stop);
	app->stop = NULL;
	zk_status_free(app->status);
	app->status = NULL;
	if (app->cli->timeout)
		zk_timer_free(app->cli->timeout);
	app->cli->timeout = NULL;
	if (app->net) {
		zk_net_cancel_all(app->net);
		zk_otel_end(app->otel, status);
		zk_net_free(app->net);
	}
	app->otel = NULL;
	app->net = NULL;
	if (app->loop)
		zk_loop_free(app->loop);
	app->loop = NULL;
	if (app->metrics)
		zk_metrics_free(app->metrics);
	app->metrics = NULL;
}
