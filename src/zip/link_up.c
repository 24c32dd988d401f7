/* Long-polling that becomes a WebSocket as soon as one can be had; until then, and when none can,
 * it stays what it is.
 * Layer: zip. specs/zeal-zip.md §7.1. */
#include <stdlib.h>

#include "base/mem.h"
#include "codec/eio.h"
#include "net/net.h"
#include "rt/loop.h"
#include "zip/link.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define PROBE_MS 10000

enum stage {
	POLLING,  /* no probe is under way */
	PROBING,  /* a WebSocket is asked whether it works */
	WAITING,  /* it does; the last requests are being answered */
	UPGRADED, /* the WebSocket is the link */
};

struct up_link {
	struct zk_zip_link base;
	struct zk_zip_link_conf conf; /* texts are borrowed from the fields below */
	char *url;
	char **headers;
	struct zk_loop *loop;
	struct zk_zip_link *poll, *ws;
	struct zk_timer *deadline;
	enum stage stage;
	bool paused, dropping;
};

/* The links may not be freed from inside their hooks. */
static void on_drop(void *ctx)
{
	struct up_link *l = ctx;

	l->dropping = false;
	if (l->stage == UPGRADED) {
		zk_zip_link_free(ZK_TAKE(l->poll));
	} else if (l->stage == POLLING) {
		zk_zip_link_free(ZK_TAKE(l->ws));
	}
}

static void drop_later(struct up_link *l)
{
	if (l->dropping)
		return;
	l->dropping = true;
	zk_loop_defer(l->loop, on_drop, l);
}

static void give_up(struct up_link *l, const char *why)
{
	if (l->stage != PROBING)
		return;
	zk_info("no WebSocket, long-polling goes on", "reason=%s", why);
	l->stage = POLLING;
	zk_timer_stop(l->deadline);
	drop_later(l);
}

/* ---- long-polling ---- */

static void poll_text(void *ctx, zk_str message)
{
	struct up_link *l = ctx;

	if (l->stage != UPGRADED)
		l->base.hooks.on_text(l->base.hooks.ctx, message);
}

static void poll_binary(void *ctx, zk_str message)
{
	struct up_link *l = ctx;

	if (l->stage != UPGRADED)
		l->base.hooks.on_binary(l->base.hooks.ctx, message);
}

static void poll_open(void *ctx)
{
	(void)ctx;
}

static void poll_end(void *ctx, const struct zk_error *err)
{
	struct up_link *l = ctx;

	if (l->stage != UPGRADED)
		l->base.hooks.on_end(l->base.hooks.ctx, err);
}

/* ---- the WebSocket ---- */

static void forward(void *ctx, zk_str message, bool binary)
{
	struct up_link *l = ctx;
	struct zk_error err = { 0 };

	/* It was within the bound before, and this one has the same. */
	if (zk_zip_link_send(l->ws, message, binary, &err) < 0)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a message was lost in the upgrade",
		             &err);
}

static void on_quiet(void *ctx)
{
	struct up_link *l = ctx;
	struct zk_error err = { 0 };

	if (l->stage != WAITING)
		return;
	l->stage = UPGRADED;
	if (zk_zip_link_send(l->ws, ZK_STR("5"), false, &err) < 0) {
		l->base.hooks.on_end(l->base.hooks.ctx, &err);
		return;
	}
	zk_zip_link_poll_rest(l->poll, forward, l);
	if (l->paused)
		zk_zip_link_pause(l->ws, true);
	drop_later(l);
	if (l->base.hooks.on_upgraded)
		l->base.hooks.on_upgraded(l->base.hooks.ctx);
}

static void ws_open(void *ctx)
{
	struct up_link *l = ctx;
	struct zk_error err = { 0 };

	if (zk_zip_link_send(l->ws, ZK_STR("2probe"), false, &err) < 0)
		give_up(l, err.msg);
}

static void ws_text(void *ctx, zk_str message)
{
	struct up_link *l = ctx;

	if (l->stage == UPGRADED) {
		l->base.hooks.on_text(l->base.hooks.ctx, message);
		return;
	}
	if (l->stage != PROBING)
		return;
	if (!zk_str_eq(message, ZK_STR("3probe"))) {
		give_up(l, "the answer to the probe is another one");
		return;
	}
	l->stage = WAITING;
	zk_timer_stop(l->deadline);
	zk_zip_link_poll_quiet(l->poll, on_quiet, l);
}

static void ws_binary(void *ctx, zk_str message)
{
	struct up_link *l = ctx;

	if (l->stage == UPGRADED)
		l->base.hooks.on_binary(l->base.hooks.ctx, message);
}

static void ws_end(void *ctx, const struct zk_error *err)
{
	struct up_link *l = ctx;

	if (l->stage == PROBING)
		give_up(l, err->msg);
	else if (l->stage != POLLING)
		l->base.hooks.on_end(l->base.hooks.ctx, err);
}

static void on_deadline(void *ctx)
{
	give_up(ctx, "no answer to the probe");
}

static void op_opened(struct zk_zip_link *b, const struct zk_eio_open *open)
{
	struct up_link *l = (struct up_link *)b;
	struct zk_zip_link_conf conf = l->conf;
	struct zk_error err = { 0 };

	zk_zip_link_opened(l->poll, open);
	if (!open->websocket)
		return;
	conf.sid = open->sid;
	conf.hooks = (struct zk_zip_link_hooks){ .ctx = l,
		                                 .on_open = ws_open,
		                                 .on_text = ws_text,
		                                 .on_binary = ws_binary,
		                                 .on_end = ws_end };
	if (zk_zip_link_ws(&conf, &l->ws, &err) < 0) {
		zk_log_error(ZK_LOG_INFO, ZK_LOGGER, "no WebSocket, long-polling goes on",
		             &err);
		return;
	}
	l->stage = PROBING;
	zk_timer_start(l->deadline, PROBE_MS, 0);
}

/* ---- as a link ---- */

static struct zk_zip_link *current(const struct up_link *l)
{
	return l->stage == UPGRADED ? l->ws : l->poll;
}

static int op_send(struct zk_zip_link *b, zk_str message, bool binary,
                   struct zk_error *err)
{
	return zk_zip_link_send(current((struct up_link *)b), message, binary, err);
}

static void op_pause(struct zk_zip_link *b, bool pause)
{
	struct up_link *l = (struct up_link *)b;

	l->paused = pause;
	/* The last answer has to come in. */
	if (l->stage != WAITING)
		zk_zip_link_pause(current(l), pause);
}

static size_t op_unsent(const struct zk_zip_link *b)
{
	return zk_zip_link_unsent(current((const struct up_link *)b));
}

static void op_close(struct zk_zip_link *b)
{
	struct up_link *l = (struct up_link *)b;

	give_up(l, "closing");
	if (l->stage == WAITING) {
		l->stage = POLLING;
		drop_later(l);
	}
	zk_zip_link_close(current(l));
}

static void op_free(struct zk_zip_link *b)
{
	struct up_link *l = (struct up_link *)b;

	zk_loop_forget(l->loop, on_drop, l);
	zk_zip_link_free(l->poll);
	zk_zip_link_free(l->ws);
	zk_timer_free(l->deadline);
	for (size_t i = 0; l->headers[i]; i++)
		zk_secret_free(l->headers[i]);
	free(l->headers);
	free(l->url);
	free(l);
}

static const struct zk_zip_link_ops ops = ZK_ZIP_LINK_OPS;

int zk_zip_link_upgrade(const struct zk_zip_link_conf *conf, struct zk_zip_link **ret,
                        struct zk_error *err)
{
	struct up_link *l = zk_new0(struct up_link);
	struct zk_zip_link_conf poll = *conf;
	size_t n = 0;

	l->base.ops = &ops;
	l->base.hooks = conf->hooks;
	l->loop = zk_net_loop(conf->net);
	l->conf = *conf;
	l->conf.url = l->url = zk_strdup(conf->url);
	while (conf->headers && conf->headers[n])
		n++;
	l->headers = zk_alloc_array(n + 1, sizeof(*l->headers));
	for (size_t i = 0; i < n; i++)
		l->headers[i] = zk_strdup(conf->headers[i]);
	l->conf.headers = (const char *const *)l->headers;
	l->deadline = zk_timer_new(l->loop, on_deadline, l);
	poll.hooks = (struct zk_zip_link_hooks){ .ctx = l,
		                                 .on_open = poll_open,
		                                 .on_text = poll_text,
		                                 .on_binary = poll_binary,
		                                 .on_end = poll_end };
	if (zk_zip_link_poll(&poll, &l->poll, err) < 0) {
		op_free(&l->base);
		return -(int)err->code;
	}
	*ret = &l->base;
	return 0;
}
