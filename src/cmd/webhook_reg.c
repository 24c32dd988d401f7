/* The registration of a receiver with the server.
 * Layer: cmd. */
#include "cmd/webhook_reg.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "rt/loop.h"
#include "zip/api.h"
#define ZK_LOGGER "webhook"
#include "base/log.h"

#include "base/ban.h"

#define LOOK_MS   60000
#define END_MS    1500
#define END_TRIES 2
#define PATH_CAP  8192
#define BODY_CAP  65536

struct hook_reg {
	struct zk_loop *loop;
	struct hook_reg_conf conf; /* its texts are ours */
	char *id;                  /* NULL = not registered */
	char *doomed;              /* an id that is being deleted */
	struct zk_zip_call *call;
	struct zk_timer *timer;
	bool was_ready, ending;
	unsigned tries;
	void (*ended)(void *ctx);
	void *ended_ctx;
};

bool hook_list_next(zk_str answer, size_t *pos, struct hook_list *ret)
{
	struct zk_jval list, v;
	struct zk_jiter it;
	size_t at = 0;

	if (!zk_jscan_get(answer, ZK_STR("webhooks"), &list) || list.type != ZK_J_ARRAY)
		return false;
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v)) {
		struct zk_jval id, url, events;

		if (at++ < *pos)
			continue;
		*pos = at;
		*ret = (struct hook_list){ .json = v.raw };
		if (!zk_jscan_get(v.raw, ZK_STR("id"), &id) ||
		    !zk_jstr_plain(id.raw, &ret->id))
			continue;
		if (zk_jscan_get(v.raw, ZK_STR("url"), &url))
			ret->url = url.raw;
		if (zk_jscan_get(v.raw, ZK_STR("events"), &events))
			ret->events = events.raw;
		return true;
	}
	return false;
}

static void look(struct hook_reg *r);

static void fail(struct hook_reg *r, const struct zk_error *err)
{
	if (r->ending)
		return;
	if (r->was_ready) {
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "the registration cannot be looked at; trying again", err);
		zk_timer_start(r->timer, LOOK_MS, 0);
		return;
	}
	r->conf.on_lost(r->conf.ctx, err);
}

static void start(struct hook_reg *r, const struct zk_zip_req *rq, zk_zip_done_fn done)
{
	struct zk_error err = { 0 };

	if (zk_zip_start(r->conf.zip, rq, done, r, &r->call, &err) < 0)
		fail(r, &err);
}

/* ---- register ------------------------------------------------------------------------------ */

static void on_registered(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct hook_reg *r = ctx;
	struct zk_jval id;
	zk_str text;

	r->call = NULL;
	/* Whether it is there now: the list knows. */
	if (err && zk_zip_is_ambiguous(err)) {
		look(r);
		return;
	}
	if (err) {
		fail(r, err);
		return;
	}
	if (!zk_jscan_get(end->body, ZK_STR("webhookId"), &id) ||
	    !zk_jstr_plain(id.raw, &text)) {
		struct zk_error bad = { 0 };

		(void)zk_fail(&bad, ZK_E_PROTOCOL,
		              "the answer to the registration has no webhookId");
		fail(r, &bad);
		return;
	}
	free(r->id);
	r->id = zk_strndup(text.p, text.n);
	zk_notice("registered", "webhook=%s url=%s", r->id, r->conf.url);
	zk_timer_start(r->timer, LOOK_MS, 0);
	if (!r->was_ready) {
		r->was_ready = true;
		r->conf.on_ready(r->conf.ctx, r->id);
	}
}

static void register_it(struct hook_reg *r)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	zk_buf_init(&b, BODY_CAP);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "namespace");
	zk_jw_cstr(&w, r->conf.ns);
	zk_jw_key(&w, "url");
	zk_jw_cstr(&w, r->conf.url);
	zk_jw_key(&w, "events");
	zk_jw_raw(&w, zk_str_of(r->conf.events));
	if (r->conf.check_name) {
		zk_jw_key(&w, "headers");
		zk_jw_obj(&w);
		zk_jw_key(&w, r->conf.check_name);
		zk_jw_cstr(&w, r->conf.check_value);
		zk_jw_obj_end(&w);
	}
	zk_jw_obj_end(&w);
	struct zk_zip_req rq = { .class = ZK_ZIP_R2,
		                 .method = "POST",
		                 .route = "/webhooks",
		                 .body = zk_buf_str(&b) };

	start(r, &rq, on_registered);
}

/* ---- look ---------------------------------------------------------------------------------- */

static void on_stale_gone(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct hook_reg *r = ctx;

	(void)end;
	r->call = NULL;
	free(ZK_TAKE(r->doomed));
	if (err)
		fail(r, err);
	else
		look(r);
}

static void delete_id(struct hook_reg *r, zk_str id, bool once, zk_zip_done_fn done)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);
	struct zk_error err = { 0 };

	zk_buf_init(&path, PATH_CAP);
	zk_buf_lit(&path, "/webhooks");
	if (zk_zip_segment(&path, "webhook id", id, &err) < 0) {
		fail(r, &err);
		return;
	}
	struct zk_zip_req rq = { .class = ZK_ZIP_R0,
		                 .method = "DELETE",
		                 .route = "/webhooks/{id}",
		                 .path = zk_buf_cstring(&path),
		                 .once = once,
		                 .timeout_ms = once ? END_MS : 0 };

	start(r, &rq, done);
}

/* Ours is there, and nothing else has our URL: fine. Another one is removed first, one at a time;
 * when ours is missing it is registered. */
static void on_listed(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct hook_reg *r = ctx;
	struct hook_list one;
	bool ours = false;
	size_t pos = 0;

	r->call = NULL;
	if (err) {
		fail(r, err);
		return;
	}
	while (hook_list_next(end->body, &pos, &one)) {
		if (r->id && zk_str_eq(one.id, zk_str_of(r->id))) {
			ours = true;
		} else if (zk_jstr_eq(one.url, zk_str_of(r->conf.url))) {
			zk_notice("removing an earlier registration of this address",
			          "webhook=%.*s", ZK_STR_ARG(one.id));
			r->doomed = zk_strndup(one.id.p, one.id.n);
			delete_id(r, zk_str_of(r->doomed), false, on_stale_gone);
			return;
		}
	}
	if (ours) {
		zk_timer_start(r->timer, LOOK_MS, 0);
		return;
	}
	if (r->id)
		zk_warn("the registration is gone; registering again", "webhook=%s",
		        r->id);
	register_it(r);
}

static void look(struct hook_reg *r)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&path, PATH_CAP);
	zk_buf_lit(&path, "/webhooks");
	zk_zip_query(&path, "namespace", zk_str_of(r->conf.ns));
	struct zk_zip_req rq = { .route = "/webhooks", .path = zk_buf_cstring(&path) };

	start(r, &rq, on_listed);
}

static void on_timer(void *ctx)
{
	struct hook_reg *r = ctx;

	if (!r->call && !r->ending)
		look(r);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct hook_reg *hook_reg_new(struct zk_loop *loop, const struct hook_reg_conf *conf)
{
	struct hook_reg *r = zk_new0(struct hook_reg);

	r->loop = loop;
	r->conf = *conf;
	r->conf.ns = zk_strdup(conf->ns);
	r->conf.url = zk_strdup(conf->url);
	r->conf.events = zk_strdup(conf->events);
	if (conf->check_name) {
		r->conf.check_name = zk_strdup(conf->check_name);
		r->conf.check_value = zk_strdup(conf->check_value);
	}
	r->timer = zk_timer_new(loop, on_timer, r);
	zk_timer_start(r->timer, 0, 0);
	return r;
}

static void ended(void *ctx)
{
	struct hook_reg *r = ctx;

	r->ended(r->ended_ctx);
}

static void try_delete(struct hook_reg *r);

static void on_deleted(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct hook_reg *r = ctx;

	(void)end;
	r->call = NULL;
	if (err && ++r->tries < END_TRIES) {
		try_delete(r);
		return;
	}
	if (err)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER,
		             "the webhook stays registered; the next start removes it",
		             err);
	else
		zk_notice("registration removed", "webhook=%s", r->id);
	ended(r);
}

static void try_delete(struct hook_reg *r)
{
	delete_id(r, zk_str_of(r->id), true, on_deleted);
	if (!r->call)
		zk_loop_defer(r->loop, ended, r);
}

void hook_reg_end(struct hook_reg *r, void (*fn)(void *ctx), void *ctx)
{
	r->ending = true;
	r->ended = fn;
	r->ended_ctx = ctx;
	zk_timer_stop(r->timer);
	if (r->call)
		zk_zip_cancel(ZK_TAKE(r->call));
	if (r->id)
		try_delete(r);
	else
		zk_loop_defer(r->loop, ended, r);
}

void hook_reg_free(struct hook_reg *r)
{
	if (!r)
		return;
	if (r->call)
		zk_zip_cancel(r->call);
	zk_timer_free(r->timer);
	free((char *)r->conf.ns);
	free((char *)r->conf.url);
	free((char *)r->conf.events);
	free((char *)r->conf.check_name);
	zk_secret_free((char *)r->conf.check_value);
	free(r->doomed);
	free(r->id);
	free(r);
}
