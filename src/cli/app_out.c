/* What a command gets of the stdout writer.
 * Layer: cli. */
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/term.h"
#include "rt/out.h"

#include "base/ban.h"

struct zk_out *zk_app_out(struct zk_app *app, struct zk_error *err)
{
	struct zk_out_conf conf = {
		.fd = STDOUT_FILENO,
		.format = app->output.output,
		.color = zk_term_color(app->common.color, STDOUT_FILENO),
		.quiet = app->common.quiet,
		.fields = app->output.fields,
		.jq = app->output.jq,
		.format_text = app->output.format,
	};

	if (!app->out && zk_out_new(&conf, &app->out, err) < 0)
		return NULL;
	return app->out;
}
