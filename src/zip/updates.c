/* Changes of graphs out of the editor's own API.
 * Layer: zip. */
#include "zip/updates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zip/api.h"

#include "base/ban.h"

#define ANSWER_MAX ((size_t)64 << 20)

enum health { UNKNOWN, ANSWERS, FAILS };

struct zk_zip_updates {
	struct zk_zip_updates_conf conf;
	struct zk_timer *timer;
	struct zk_zip_call *call;
	size_t at;  /* the workflow that is asked for, or is next */
	bool asked; /* one at least, in this round */
	enum health health;
};

static void next(struct zk_zip_updates *u);

static void failed(struct zk_zip_updates *u, const struct zk_error *err)
{
	if (u->health != FAILS)
		u->conf.on_failure(u->conf.ctx, err);
	u->health = FAILS;
}

static int tell(struct zk_zip_updates *u, zk_str body, struct zk_error *err)
{
	struct zk_jiter it;
	struct zk_jval list, v;

	if (!zk_jscan_get(body, ZK_STR("updates"), &list) || list.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the answer holds no updates");
	if (u->health != ANSWERS)
		u->conf.on_answer(u->conf.ctx);
	u->health = ANSWERS;
	zk_jiter_init(&it, list.raw);
	while (zk_jiter_element(&it, &v))
		if (v.type == ZK_J_OBJECT)
			u->conf.on_update(u->conf.ctx, v.raw);
	return 0;
}

static void on_done(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct zk_zip_updates *u = ctx;
	struct zk_error broken = { 0 };

	u->call = NULL;
	if (err)
		failed(u, err);
	else if (tell(u, end->body, &broken) < 0)
		failed(u, &broken);
	u->at++;
	next(u);
}

static int ask(struct zk_zip_updates *u, int64_t since_ms, struct zk_error *err)
{
	struct zk_buf path ZK_CLEANUP(zk_buf_done);
	char since[24];

	zk_buf_init(&path, 65536);
	zk_buf_lit(&path, "/orchestrator/crdt-updates");
	zk_zip_query(&path, "workflowId", zk_str_of(u->conf.workflows[u->at]));
	/* Whether "since" is with or without that very millisecond is not said. */
	(void)snprintf(since, sizeof(since), "%lld",
	               (long long)ZK_MAX(since_ms - 1, (int64_t)0));
	zk_zip_query(&path, "since", zk_str_of(since));
	struct zk_zip_req rq = { .route = "/orchestrator/crdt-updates",
		                 .path = zk_buf_cstring(&path),
		                 .editor = true,
		                 .once = true,
		                 .max_body = ANSWER_MAX,
		                 .workflow = u->conf.workflows[u->at] };

	return zk_zip_start(u->conf.zip, &rq, on_done, u, &u->call, err);
}

static void next(struct zk_zip_updates *u)
{
	for (; u->at < u->conf.n_workflows; u->at++) {
		int64_t since = u->conf.since_ms(u->conf.ctx, u->at);
		struct zk_error err = { 0 };

		if (since < 0)
			continue;
		u->asked = true;
		if (ask(u, since, &err) == 0)
			return;
		failed(u, &err);
	}
	u->at = 0;
	if (u->asked)
		zk_timer_start(u->timer, u->conf.every_ms, 0);
	u->asked = false;
}

static void on_timer(void *ctx)
{
	next(ctx);
}

struct zk_zip_updates *zk_zip_updates_new(const struct zk_zip_updates_conf *conf)
{
	struct zk_zip_updates *u = zk_new0(struct zk_zip_updates);

	u->conf = *conf;
	u->timer = zk_timer_new(zk_net_loop(zk_zip_net(conf->zip)), on_timer, u);
	return u;
}

void zk_zip_updates_free(struct zk_zip_updates *u)
{
	if (!u)
		return;
	if (u->call)
		zk_zip_cancel(u->call);
	zk_timer_free(u->timer);
	free(u);
}

void zk_zip_updates_wake(struct zk_zip_updates *u)
{
	if (!u->call && !zk_timer_is_active(u->timer))
		zk_timer_start(u->timer, u->conf.every_ms, 0);
}
