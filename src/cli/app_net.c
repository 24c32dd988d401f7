/* What a command gets of the transport.
 * Layer: cli. */
#include "cli/cmd.h"
#include "net/net.h"
#include "net/otel.h"

#include "base/ban.h"

struct zk_net *zk_app_net(struct zk_app *app, struct zk_error *err)
{
	struct zk_loop *loop = zk_app_loop(app, err);
	struct zk_net_conf conf = {
		.connect_timeout_ms = app->http.connect_timeout_ms,
		.request_timeout_ms = app->http.request_timeout_ms,
		.proxy = app->http.proxy,
		.ca_file = app->http.ca_file,
		.client_cert = app->http.client_cert,
		.client_key = app->http.client_key,
		/* Without the options of the group there is nothing to turn it off with. */
		.tls_verify = !(app->cmd->groups & ZK_OPTS_HTTP) || app->http.tls_verify,
		.trace = app->common.trace,
		.trace_file = app->common.trace_file,
	};

	if (loop && !app->net) {
		struct zk_otel_conf otel = {
			.endpoint = app->http.otel_endpoint,
			.file = app->http.otlp_file,
			/* A span of weeks helps nobody. */
			.command =
			        app->cmd->flags & ZK_CMD_SERVER ? NULL : app->cmd->path,
		};

		conf.otel = zk_otel_new(&otel);
		app->otel = conf.otel;
		app->net = zk_net_new(loop, &conf, zk_app_metrics(app));
	}
	return loop ? app->net : NULL;
}
