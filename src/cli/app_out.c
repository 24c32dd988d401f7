/* What a command gets of the stdout writer.
 * Layer: cli. */
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/state.h"
#include "cli/term.h"
#include "rt/out.h"
#include "rt/stop.h"

#include "base/ban.h"

/* How long the end may wait for a reader that stands still: as long as it likes, unless a signal or
 * --timeout ended the command. */
static int64_t patience_ms(void *ctx)
{
	const struct zk_app *app = ctx;

	if (!app->stop)
		return -1;
	zk_stop_arm(app->stop);
	return zk_stop_signal(app->stop) || app->cli->timed_out
	               ? zk_stop_left_ms(app->stop)
	               : -1;
}

static int make(struct zk_app *app, struct zk_loop *loop, void (*fn)(void *ctx),
                void *ctx, struct zk_error *err)
{
	struct zk_out_conf conf = {
		.fd = STDOUT_FILENO,
		.format = app->output.output,
		.color = zk_term_color(app->common.color, STDOUT_FILENO),
		.quiet = app->common.quiet,
		.fields = app->output.fields,
		.jq = app->output.jq,
		.format_text = app->output.format,
		.loop = loop,
		.threaded = loop != NULL,
		.ctx = ctx,
		.on_room = fn,
		.patience_ms = patience_ms,
		.app = app,
	};

	return app->out ? 0 : zk_out_new(&conf, &app->out, err);
}

struct zk_out *zk_app_out(struct zk_app *app, struct zk_error *err)
{
	return make(app, NULL, NULL, NULL, err) < 0 ? NULL : app->out;
}

struct zk_out *zk_app_out_on_loop(struct zk_app *app, void (*fn)(void *ctx), void *ctx,
                                  struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(app, err);

	return !loop || make(app, loop, fn, ctx, err) < 0 ? NULL : app->out;
}
