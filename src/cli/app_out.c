/* What a command gets of the stdout writer.
 * Layer: cli. */
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/term.h"
#include "rt/out.h"

#include "base/ban.h"

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
