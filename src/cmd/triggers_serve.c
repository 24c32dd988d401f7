/* `zk triggers serve`.
 * Layer: cmd. specs/triggers.md §12, §13; ux.md §7, §9, §10. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmds.h"
#include "cmd/triggers_serve_opts.h"
#include "codec/jwrite.h"
#include "net/net.h"
#include "rt/loop.h"
#include "rt/status.h"
#include "rt/stop.h"
#define ZK_LOGGER "triggers"
#include "base/log.h"

#include "base/ban.h"

struct serve {
	struct zk_app *app;
	struct serve_opts *opts;
	struct serve_conf conf;
	struct serve_conf
	        old; /* of before the last reload: its strings are still in use */
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_stop *stop;
	struct zk_status *status;
	struct zk_trig_server *server;
	int64_t start_us;
	bool dev_failed;
};

/* ---- ready ------------------------------------------------------------------------------ */

static void put_addresses(struct serve *s, struct zk_jwrite *w)
{
	const char *metrics = zk_trig_server_metrics_address(s->server);
	const char *a;

	zk_jw_key(w, "api");
	zk_jw_arr(w);
	for (size_t i = 0; (a = zk_trig_server_address(s->server, i)) != NULL; i++)
		zk_jw_cstr(w, a);
	zk_jw_arr_end(w);
	if (metrics) {
		zk_jw_key(w, "metrics");
		zk_jw_cstr(w, metrics);
	}
}

static void banner(struct serve *s, double ms)
{
	const char *addr = zk_trig_server_address(s->server, 0);
	const struct zk_trig_health *h = zk_trig_server_health(s->server);
	bool tls = s->conf.conf.http.tls_cert != NULL;

	(void)fprintf(stderr,
	              "zk %s  triggers API\n"
	              "  api     %s%s   POST /api/events  GET /api/inbox\n"
	              "  page    %s%s/   /metrics /health /openapi.json\n"
	              "  store   %s   about %llu events\n"
	              "  profile %s\n"
	              "ready in %.0f ms. Ctrl-C stops; running deliveries get %lld s.\n",
	              ZK_VERSION, tls ? "https://" : "http://", addr,
	              tls ? "https://" : "http://", addr, s->conf.db_text,
	              (unsigned long long)h->events, zk_app_profile(s->app), ms,
	              (long long)s->app->common.grace_ms / 1000);
}

static bool is_loopback(const char *addr)
{
	return strncmp(addr, "127.", 4) == 0 || strncmp(addr, "[::1]", 5) == 0 ||
	       strncmp(addr, "unix:", 5) == 0;
}

static void warn_open(struct serve *s)
{
	const struct zk_trig_server_conf *c = &s->conf.conf;
	const char *a;

	for (size_t i = 0; (a = zk_trig_server_address(s->server, i)) != NULL; i++) {
		if (is_loopback(a) || c->admin_token.n)
			continue;
		zk_warn("anybody who reaches the server can make organizations; set an "
		        "admin token",
		        "address=%s option=%s", a, "--admin-token-file");
		break;
	}
	if (c->deliver.guard.allow_all || c->deliver.guard.n_allow)
		zk_warn("webhooks may reach private addresses", "all=%d ranges=%zu",
		        c->deliver.guard.allow_all, c->deliver.guard.n_allow);
}

static void announce(struct serve *s)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;
	double ms = (double)(zk_mono_us() - s->start_us) / 1000.0;

	zk_buf_init(&b, 65536);
	zk_jwrite_init(&w, &b);
	put_addresses(s, &w);
	zk_status_ready(s->status, s->loop, zk_buf_str(&b));
	if (isatty(STDERR_FILENO) && !s->app->common.quiet)
		banner(s, ms);
	else
		zk_notice("ready", "address=%s ms=%.0f db=%s",
		          zk_trig_server_address(s->server, 0), ms, s->conf.db_text);
	warn_open(s);
}

static void on_dev_org(void *ctx, const char *key, const char *org_id)
{
	struct serve *s = ctx;

	if (!key) {
		zk_logerr("the key of --dev could not be made", "reason=%s", "busy");
		s->dev_failed = true;
		zk_stop_begin(s->stop);
		return;
	}
	(void)fprintf(
	        stderr,
	        "organization %s, enterprise tier\nexport ZK_TRIGGERS_URL=http://%s\n"
	        "export ZK_TRIGGERS_KEY=%s\n",
	        org_id, zk_trig_server_address(s->server, 0), key);
	announce(s);
}

/* ---- signals ----------------------------------------------------------------------------- */

static void on_drained(void *ctx)
{
	struct serve *s = ctx;

	zk_stop_drained(s->stop);
}

static void on_drain(void *ctx)
{
	struct serve *s = ctx;

	zk_status_stopping(s->status);
	zk_notice("stopping", "grace_s=%lld", (long long)s->app->common.grace_ms / 1000);
	zk_trig_server_drain(s->server, on_drained, s);
}

static void on_flush(void *ctx, bool expired)
{
	struct serve *s = ctx;

	if (expired)
		zk_warn("the grace time is over; running deliveries are cut", "event=%s",
		        "stop.expired");
	zk_trig_server_free(ZK_TAKE(s->server));
	zk_notice("stopped", "db=%s", s->conf.db_text);
	zk_stop_done(s->stop);
}

static void on_reload(void *ctx)
{
	struct serve *s = ctx;
	struct zk_error err = { 0 };
	struct serve_opts opts = *s->opts;
	struct serve_conf fresh;

	zk_status_reloading(s->status);
	if (zk_app_reload(s->app, &opts, &err) < 0 ||
	    zk_serve_conf_make(s->app, &opts, &fresh, &err) < 0) {
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "the old configuration stays",
		             &err);
		zk_status_ready(s->status, s->loop, ZK_STR_NULL);
		return;
	}
	if (zk_trig_server_reload(s->server, &fresh.conf, &err) < 0) {
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "the old configuration stays",
		             &err);
		zk_serve_conf_done(&fresh);
	} else {
		*s->opts = opts;
		zk_serve_conf_done(&s->old);
		s->old = s->conf;
		s->conf = fresh;
		zk_notice("configuration reloaded", "event=%s", "reload");
	}
	zk_status_ready(s->status, s->loop, ZK_STR_NULL);
}

static void on_snapshot(void *ctx)
{
	struct serve *s = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 65536);
	zk_trig_server_snapshot(s->server, &b);
	zk_notice("snapshot", "state=%s", zk_buf_cstring(&b));
}

/* ---- run --------------------------------------------------------------------------------- */

/* A connection is a descriptor: as many as the system lets us have. */
static void raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			zk_warn("the limit of open descriptors stays low, going on",
			        "limit=%llu", (unsigned long long)r.rlim_cur);
	}
}

static int start(struct serve *s, struct zk_error *err)
{
	struct zk_net_conf net = {
		.connect_timeout_ms = 5000,
		.request_timeout_ms = s->opts->delivery_timeout_ms,
		.proxy = s->opts->proxy ? s->opts->proxy : "",
		.ca_file = s->app->http.ca_file,
		.tls_verify = true,
		.trace = s->app->common.trace,
		.trace_file = s->app->common.trace_file,
	};
	struct zk_stop_conf stop = {
		.ctx = s,
		.drain = on_drain,
		.flush = on_flush,
		.reload = on_reload,
		.snapshot = on_snapshot,
	};

	raise_descriptors();
	s->loop = zk_app_loop(s->app, err);
	if (!s->loop)
		return -(int)err->code;
	s->status = zk_app_status(s->app);
	s->net = zk_net_new(s->loop, &net, zk_app_metrics(s->app));
	if (zk_trig_server_start(s->loop, s->net, zk_app_metrics(s->app), &s->conf.conf,
	                         &s->server, err) < 0)
		return -(int)err->code;
	s->stop = zk_app_stop(s->app, &stop, err);
	return s->stop ? 0 : -(int)err->code;
}

static int serve_run(struct zk_app *app, void *opts, int argc, char **argv,
                     struct zk_error *err)
{
	struct serve s = { .app = app, .opts = opts, .start_us = zk_mono_us() };
	int r;

	(void)argc;
	(void)argv;
	if (zk_serve_conf_make(app, s.opts, &s.conf, err) < 0)
		return -(int)err->code;
	r = start(&s, err);
	if (r == 0) {
		if (s.opts->dev)
			zk_trig_server_make_org(s.server, "dev", ZK_TRIG_ENTERPRISE,
			                        on_dev_org, &s);
		else
			announce(&s);
		zk_loop_run(s.loop);
		r = s.dev_failed ? ZK_EXIT_BUG : ZK_EXIT_OK;
	}
	zk_trig_server_free(s.server);
	if (s.net)
		zk_net_free(s.net);
	zk_serve_conf_done(&s.old);
	zk_serve_conf_done(&s.conf);
	return r;
}

const struct zk_cmd zk_cmd_triggers_serve = {
	.path = "triggers serve",
	.help = "serve the triggers API on an embedded database",
	.about = "Events that were answered 202 are on disk. They wait in the inbox of "
	         "their "
	         "organization until they are acknowledged, and are pushed to its "
	         "webhook, signed and "
	         "retried.",
	.examples = "zk triggers serve --dev\n"
	            "zk triggers serve --listen :8080 --admin-token-file /etc/zk/admin\n"
	            "zk triggers serve --db /var/lib/zk/triggers.db --rate-limit free=0",
	.output = "nothing; the log goes to stderr",
	.exits = "0 stopped · 71 port taken · 73 database in use · 74 disk · 78 "
	         "configuration",
	.see = "man zk-triggers · zk schema event · /openapi.json",
	.groups = ZK_OPTS_SERVE,
	.opts = zk_triggers_serve_opts,
	.opts_size = sizeof(struct serve_opts),
	.conf = "triggers",
	.flags = ZK_CMD_SERVER,
	.env = zk_triggers_serve_env,
	.run = serve_run,
};
