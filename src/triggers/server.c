/* The triggers server: joins HTTP, store, keys, limits and delivery; start, reload, shutdown.
 * Layer: triggers. specs/triggers.md §12. */
#include "triggers/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "triggers/api.h"
#define ZK_LOGGER "triggers"
#include "base/log.h"

#include "base/ban.h"

#define BEAT_MS      15000
#define SCRATCH_HEAD (16 * 1024)
#define SCRATCH_BODY (256 * 1024)
#define MAX_ROUTES   64

static void on_org_changed(void *ctx, const zk_uuid *org)
{
	zk_trig_org_changed(ctx, org, false);
}

static void on_events(void *ctx, const zk_uuid *org, bool due)
{
	struct zk_trig_server *s = ctx;

	zk_trig_streams_wake(s, org);
	if (due)
		zk_trig_deliver_wake(s->deliver, org);
}

/* Without a word from other servers everything that is cached may be old. */
static void on_deaf(void *ctx, bool deaf)
{
	struct zk_trig_server *s = ctx;

	zk_trig_keys_set_deaf(s->keys, deaf);
	zk_trig_deliver_forget_orgs(s->deliver);
}

static void on_health(void *ctx, const struct zk_trig_health *h)
{
	(void)ctx;
	if (h->connected && h->writable)
		zk_notice("the store works again", "event=%s", "store.recovered");
	else
		zk_logerr("the store cannot be written",
		          "event=store.write_failed reason=%s", h->reason);
}

static bool is_self(void *ctx, const char *ip, int port)
{
	const struct zk_trig_server *s = ctx;

	return (s->httpd && zk_httpd_is_self(s->httpd, ip, port)) ||
	       (s->metrics_httpd && zk_httpd_is_self(s->metrics_httpd, ip, port));
}

/* ---- the metrics listener ------------------------------------------------------------- */

static enum zk_httpd_next on_metrics(void *ctx, struct zk_httpd_req *req)
{
	struct zk_trig_server *s = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 8 * 1024 * 1024);
	zk_metrics_format(s->metrics, &b);
	zk_httpd_reply(
	        req, 200,
	        ZK_STR("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	               "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"),
	        zk_buf_str(&b));
	return ZK_HTTPD_DONE;
}

static const struct zk_route metrics_routes[] = {
	{ .method = "GET", .pattern = "/metrics", .on_head = on_metrics },
};

static int start_metrics(struct zk_trig_server *s, struct zk_error *err)
{
	struct zk_httpd_conf conf;

	if (!s->conf.metrics_listen)
		return 0;
	zk_httpd_conf_init(&conf);
	conf.ctx = s;
	conf.routes = metrics_routes;
	conf.n_routes = ZK_ARRAY_LEN(metrics_routes);
	if (zk_httpd_new(s->loop, &conf, &s->metrics_httpd, err) < 0)
		return -(int)err->code;
	return zk_httpd_listen_at(s->metrics_httpd, "admin", &s->conf.metrics_listen, 1,
	                          err);
}

/* ---- the main listener ---------------------------------------------------------------- */

static struct zk_route routes[MAX_ROUTES];

static void fill_http(struct zk_trig_server *s, struct zk_httpd_conf *http)
{
	for (size_t i = 0; i < zk_trig_n_endpoints; i++) {
		const struct zk_trig_endpoint *e = &zk_trig_endpoints[i];

		routes[i] = (struct zk_route){ .method = e->method,
			                       .pattern = e->pattern,
			                       .max_body = e->max_body,
			                       .id = (int)i,
			                       .on_head = zk_trig_on_head,
			                       .on_body = zk_trig_on_body };
	}
	http->ctx = s;
	http->routes = routes;
	http->n_routes = zk_trig_n_endpoints;
	http->on_error = zk_trig_on_error;
	http->on_options = zk_trig_on_options;
	http->on_finish = zk_trig_on_finish;
}

static int start_http(struct zk_trig_server *s, struct zk_error *err)
{
	ZK_ASSERT(zk_trig_n_endpoints <= MAX_ROUTES);
	fill_http(s, &s->conf.http);
	if (zk_httpd_new(s->loop, &s->conf.http, &s->httpd, err) < 0)
		return -(int)err->code;
	if (zk_httpd_listen_at(s->httpd, "api", s->conf.listen, s->conf.n_listen, err) <
	    0)
		return -(int)err->code;
	return start_metrics(s, err);
}

static int start_parts(struct zk_trig_server *s, struct zk_error *err)
{
	if (zk_trig_repo_open(s->loop, s->metrics, &s->conf.repo, &s->repo, err) < 0)
		return -(int)err->code;
	s->repo->ctx = s;
	if (zk_trig_keys_new(s->loop, s->metrics, s->repo, &s->conf.keys, &s->keys, err) <
	    0)
		return -(int)err->code;
	s->conf.deliver.guard.is_self = is_self;
	s->conf.deliver.guard.ctx = s;
	s->deliver = zk_trig_deliver_new(s->loop, s->net, s->metrics, s->repo,
	                                 &s->conf.deliver);
	if (zk_trig_limiter_new(s->loop, s->metrics, s->conf.redis, s->conf.sliding,
	                        &s->limiter, err) < 0)
		return -(int)err->code;
	s->keygen_limit = zk_trig_limit_new(false);
	(void)zk_trig_api_metrics_new(s);
	if (start_http(s, err) < 0)
		return -(int)err->code;
	s->repo->on_org_changed = on_org_changed;
	s->repo->on_events = on_events;
	s->repo->on_health = on_health;
	s->repo->on_deaf = on_deaf;
	s->beat = zk_timer_new(s->loop, zk_trig_streams_beat, s);
	zk_timer_start(s->beat, BEAT_MS, BEAT_MS);
	return 0;
}

int zk_trig_server_start(struct zk_loop *l, struct zk_net *net, struct zk_metrics *m,
                         const struct zk_trig_server_conf *conf,
                         struct zk_trig_server **ret, struct zk_error *err)
{
	struct zk_trig_server *s = zk_new0(struct zk_trig_server);

	s->loop = l;
	s->net = net;
	s->metrics = m;
	s->conf = *conf;
	s->start_us = zk_mono_us();
	zk_list_init(&s->streams);
	zk_buf_init(&s->head, SCRATCH_HEAD);
	zk_buf_init_secret(&s->body, SCRATCH_BODY);
	if (start_parts(s, err) < 0) {
		zk_trig_server_free(s);
		return -(int)err->code;
	}
	*ret = s;
	return 0;
}

const char *zk_trig_server_address(const struct zk_trig_server *s, size_t i)
{
	return zk_httpd_address(s->httpd, i);
}

const char *zk_trig_server_metrics_address(const struct zk_trig_server *s)
{
	return s->metrics_httpd ? zk_httpd_address(s->metrics_httpd, 0) : NULL;
}

const struct zk_trig_health *zk_trig_server_health(const struct zk_trig_server *s)
{
	return s->repo->ops->health(s->repo);
}

int zk_trig_server_reload(struct zk_trig_server *s,
                          const struct zk_trig_server_conf *conf, struct zk_error *err)
{
	struct zk_httpd_conf http = conf->http;

	fill_http(s, &http);
	if (zk_httpd_reload(s->httpd, &http, err) < 0)
		return -(int)err->code;
	s->conf.http = http;
	s->conf.admin_token = conf->admin_token;
	memcpy(s->conf.rate_limit, conf->rate_limit, sizeof(s->conf.rate_limit));
	s->conf.sliding = conf->sliding;
	s->conf.keygen_per_minute = conf->keygen_per_minute;
	s->conf.max_payload = conf->max_payload;
	s->conf.max_depth = conf->max_depth;
	s->conf.cors = conf->cors;
	s->conf.n_cors = conf->n_cors;
	s->conf.require_https = conf->require_https;
	s->conf.ui = conf->ui;
	s->conf.private_allowed = conf->private_allowed;
	s->conf.trusted = conf->trusted;
	s->conf.n_trusted = conf->n_trusted;
	zk_trig_limiter_set_sliding(s->limiter, conf->sliding);
	s->conf.deliver = conf->deliver;
	s->conf.deliver.guard.is_self = is_self;
	s->conf.deliver.guard.ctx = s;
	zk_trig_deliver_reload(s->deliver, &s->conf.deliver);
	return 0;
}

/* ---- shutdown ------------------------------------------------------------------------- */

static void on_part_drained(void *ctx)
{
	struct zk_trig_server *s = ctx;

	if (--s->drain_left == 0 && s->drained)
		s->drained(s->drained_ctx);
}

void zk_trig_server_drain(struct zk_trig_server *s, void (*fn)(void *ctx), void *ctx)
{
	s->draining = true;
	s->drained = fn;
	s->drained_ctx = ctx;
	s->drain_left = 2;
	zk_timer_stop(s->beat);
	zk_trig_streams_close(s);
	zk_httpd_drain(s->httpd, on_part_drained, s);
	zk_trig_deliver_drain(s->deliver, on_part_drained, s);
}

void zk_trig_server_free(struct zk_trig_server *s)
{
	if (!s)
		return;
	s->drained = NULL;
	zk_timer_free(s->beat);
	if (s->deliver)
		zk_trig_deliver_stop(s->deliver);
	/* Everything queued is committed and answered before the connections go. */
	if (s->repo) {
		s->repo->on_events = NULL;
		s->repo->on_org_changed = NULL;
		s->repo->on_health = NULL;
		s->repo->on_deaf = NULL;
	}
	zk_trig_streams_close(s);
	/* What the store still answers may change an organization, but nobody asks for keys. */
	zk_trig_keys_free(ZK_TAKE(s->keys));
	if (s->repo)
		s->repo->ops->close(s->repo);
	zk_trig_deliver_free(s->deliver);
	if (s->httpd)
		zk_httpd_free(s->httpd);
	if (s->metrics_httpd)
		zk_httpd_free(s->metrics_httpd);
	zk_trig_limiter_free(s->limiter);
	zk_trig_limit_free(s->keygen_limit);
	zk_trig_api_metrics_free(s->m);
	zk_buf_done(&s->head);
	zk_buf_done(&s->body);
	free(s);
}
