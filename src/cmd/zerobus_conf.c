/* What the commands of `zk zerobus` that connect share.
 * Layer: cmd. specs/zerobus.md §3, §4, §18. */
#include "cmd/zerobus_conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/report.h"
#include "conf/conf.h"
#include "net/auth.h"
#include "zerobus/sender.h"

#include "base/ban.h"

const char *const zb_auths[] = { "auto", "oauth", "token", "none", NULL };

static bool is_configured(const struct zk_app *app, const char *name)
{
	struct zk_value v[ZK_VALUES_MAX];
	const struct zk_value *winner;

	for (const struct zk_opt *row = app->cmd->opts; row && row->type != ZK_OPT_NONE;
	     row++) {
		if (!row->name || strcmp(row->name, name) != 0)
			continue;
		winner = zk_conf_winner(v, zk_conf_values(app->conf, row, "zerobus", v));
		return winner && winner->from != ZK_FROM_OPTION;
	}
	return false;
}

int zb_table(struct zk_app *app, const struct zb_opts *o, struct zk_buf *ret,
             struct zk_error *err)
{
	int r;

	if (!o->table) {
		(void)zk_fail(err, ZK_E_USAGE, "no table is given");
		return zk_err_hint(err, "add -t CATALOG.SCHEMA.TABLE");
	}
	r = zk_zb_table_parse(zk_str_of(o->table), ret, err);
	if (r < 0 && is_configured(app, "table"))
		zk_app_exit_as(app, ZK_EXIT_CONFIG);
	return r;
}

static enum zb_auth choose_auth(const struct zb_opts *o)
{
	if (o->auth != ZB_AUTH_AUTO)
		return (enum zb_auth)o->auth;
	if (o->token.kind != ZK_SECRET_NONE)
		return ZB_AUTH_TOKEN;
	return ZB_AUTH_OAUTH;
}

/* `host`: where the token goes. */
static int check_auth(struct zb_session *s, const char *host, struct zk_error *err)
{
	const struct zb_opts *o = s->o;

	s->auth = choose_auth(o);
	if (s->auth == ZB_AUTH_NONE && !zk_zb_is_loopback(host))
		return zk_fail(err, ZK_E_CONFIG,
		               "--auth none is for loopback hosts, not for '%s'", host);
	if (o->auth == ZB_AUTH_AUTO && o->token.kind != ZK_SECRET_NONE &&
	    o->client_secret.kind != ZK_SECRET_NONE)
		return zk_fail(
		        err, ZK_E_CONFIG,
		        "both a token and a client secret are configured; choose with "
		        "--auth");
	if (s->auth == ZB_AUTH_TOKEN && o->token.kind == ZK_SECRET_NONE)
		return zk_fail(err, ZK_E_CONFIG, "--auth token needs --token-file");
	if (s->auth != ZB_AUTH_OAUTH)
		return 0;
	if (!o->client_id || o->client_secret.kind == ZK_SECRET_NONE) {
		(void)zk_fail(err, ZK_E_CONFIG, "no credentials are configured");
		return zk_err_hint(err, "set --client-id and --client-secret-file, or "
		                        "--token-file");
	}
	if (!o->workspace_url)
		return zk_fail(err, ZK_E_ZB_ENDPOINT,
		               "no --workspace-url is given, which OAuth "
		               "needs");
	return 0;
}

static int find_workspace(struct zb_session *s, struct zk_error *err)
{
	zk_str id = zk_zb_workspace_of(s->endpoint.host);

	if (!id.n)
		id = zk_str_of(s->o->workspace_id);
	if (!id.n && s->auth == ZB_AUTH_OAUTH) {
		(void)zk_fail(err, ZK_E_ZB_WORKSPACE, "the workspace id is not known");
		return zk_err_hint(err,
		                   "it is the number at the start of the endpoint, or "
		                   "after o= in the workspace's address: --workspace-id");
	}
	s->workspace_id = zk_strndup(id.p ? id.p : "", id.n);
	return 0;
}

static int begin(struct zk_app *app, const struct zb_opts *o, struct zb_session *s,
                 struct zk_error *err)
{
	uint64_t seed;

	memset(s, 0, sizeof(*s));
	s->app = app;
	s->mine = *o;
	s->o = &s->mine;
	zk_buf_init(&s->table, 1024);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&s->rnd, seed);
	if (zb_table(app, o, &s->table, err) < 0 || zb_profile_load(s, err) < 0)
		return -(int)err->code;
	(void)zk_buf_cstring(&s->table);
	if (s->mine.workspace_url &&
	    zk_zb_endpoint_parse(s->mine.workspace_url, o->insecure_http, &s->workspace,
	                         err) < 0)
		return zk_wrap(err, "--workspace-url");
	return 0;
}

int zb_session_read(struct zk_app *app, const struct zb_opts *o, struct zb_session *s,
                    struct zk_error *err)
{
	if (begin(app, o, s, err) < 0)
		return -(int)err->code;
	if (s->workspace.url)
		return check_auth(s, s->workspace.host, err);
	(void)zk_fail(err, ZK_E_ZB_ENDPOINT, "no --workspace-url is given");
	return zk_err_hint(err, "set zerobus.workspace_url, ZK_ZEROBUS_WORKSPACE_URL or "
	                        "--databricks-profile");
}

int zb_session_init(struct zk_app *app, const struct zb_opts *o, struct zb_session *s,
                    struct zk_error *err)
{
	if (begin(app, o, s, err) < 0)
		return -(int)err->code;
	if (!o->endpoint) {
		(void)zk_fail(err, ZK_E_ZB_ENDPOINT, "no endpoint is given");
		return zk_err_hint(
		        err, "set zerobus.endpoint, ZK_ZEROBUS_ENDPOINT or "
		             "--endpoint; to try without an account: zk fake zerobus");
	}
	if (zk_zb_endpoint_parse(o->endpoint, o->insecure_http, &s->endpoint, err) < 0 ||
	    check_auth(s, s->endpoint.host, err) < 0)
		return -(int)err->code;
	return find_workspace(s, err);
}

void zb_session_done(struct zb_session *s)
{
	zk_buf_done(&s->table);
	zk_zb_endpoint_done(&s->endpoint);
	zk_zb_endpoint_done(&s->workspace);
	zb_profile_done(s);
	free(s->workspace_id);
}

static struct zk_retry_conf retry_of(const struct zk_app *app)
{
	return (struct zk_retry_conf){ .max_retries = app->retry.retries,
		                       .base_ms = app->retry.base_ms,
		                       .cap_ms = app->retry.cap_ms,
		                       .max_time_ms = app->retry.max_time_ms };
}

int zb_sender_conf(struct zb_session *s, struct zk_auth *auth,
                   struct zk_zb_sender_conf *ret, struct zk_error *err)
{
	struct zk_net *net = zk_app_net(s->app, err);

	if (!net)
		return -(int)err->code;
	*ret = (struct zk_zb_sender_conf){
		.net = net,
		.auth = auth,
		.endpoint = s->endpoint.url,
		.table = zk_buf_str(&s->table),
		.streams = 1,
		.max_inflight = 10000,
		.retry = retry_of(s->app),
		.connect_ms = s->app->http.connect_timeout_ms,
		.create_ms = 15000,
		.ack_ms = 60000,
		.flush_ms = 300000,
		.isolate = true,
		.trace_sample = 100,
		.rnd = &s->rnd,
	};
	return 0;
}

int zb_auth_new(struct zb_session *s, enum zk_zb_token_for what, void *ctx,
                void (*on_fetched)(void *ctx, bool good), struct zk_auth **ret,
                struct zk_error *err)
{
	struct zk_auth_conf conf = { .retry = retry_of(s->app),
		                     .rnd = &s->rnd,
		                     .ctx = ctx,
		                     .on_fetched = on_fetched };
	struct zk_buf secret ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf url ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_buf form ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_net *net = zk_app_net(s->app, err);

	*ret = NULL;
	if (!net)
		return -(int)err->code;
	if (s->auth == ZB_AUTH_NONE)
		return 0;
	zk_buf_init_secret(&secret, ZK_SECRET_MAX + 1);
	zk_buf_init(&url, 4096);
	zk_buf_init(&form, 65536);
	if (s->auth == ZB_AUTH_TOKEN && s->o->token.kind == ZK_SECRET_FILE) {
		conf.file = s->o->token.text;
	} else if (s->auth == ZB_AUTH_TOKEN) {
		if (zk_secret_load(&s->o->token, &secret, err) < 0)
			return -(int)err->code;
		conf.token = zk_buf_cstring(&secret);
	} else {
		if (zk_secret_load(&s->o->client_secret, &secret, err) < 0)
			return -(int)err->code;
		zk_buf_printf(&url, "%s/oidc/v1/token", s->workspace.url);
		zk_zb_token_form(zk_buf_str(&s->table), zk_str_of(s->workspace_id), what,
		                 &form);
		conf.url = zk_buf_cstring(&url);
		conf.client_id = s->o->client_id;
		conf.client_secret = zk_buf_cstring(&secret);
		conf.form = zk_buf_cstring(&form);
	}
	return zk_auth_new(net, &conf, ret, err);
}
