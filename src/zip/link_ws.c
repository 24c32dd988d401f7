/* A WebSocket that carries packets.
 * Layer: zip. */
#include <stdlib.h>

#include "base/mem.h"
#include "codec/eio.h"
#include "net/ws.h"
#include "zip/link.h"

#include "base/ban.h"

#define MAX_IN     ((size_t)64 << 20)
#define MAX_UNSENT ((size_t)16 << 20)

struct ws_link {
	struct zk_zip_link base;
	struct zk_ws *ws; /* NULL once it ended */
};

static void on_open(void *ctx, const struct zk_ws_hello *hello)
{
	struct ws_link *l = ctx;

	(void)hello;
	l->base.hooks.on_open(l->base.hooks.ctx);
}

static void on_message(void *ctx, zk_str message, bool binary)
{
	struct ws_link *l = ctx;

	if (binary)
		l->base.hooks.on_binary(l->base.hooks.ctx, message);
	else
		l->base.hooks.on_text(l->base.hooks.ctx, message);
}

static void on_end(void *ctx, const struct zk_ws_end *end)
{
	struct ws_link *l = ctx;

	l->ws = NULL;
	l->base.hooks.on_end(l->base.hooks.ctx, end->err);
}

static int op_send(struct zk_zip_link *b, zk_str message, bool binary,
                   struct zk_error *err)
{
	struct ws_link *l = (struct ws_link *)b;

	if (!l->ws)
		return zk_fail(err, ZK_E_TRANSFER, "the connection is closed");
	return zk_ws_send(l->ws, message, binary, err);
}

static void op_pause(struct zk_zip_link *b, bool pause)
{
	struct ws_link *l = (struct ws_link *)b;

	if (l->ws && pause)
		zk_ws_pause(l->ws);
	else if (l->ws)
		zk_ws_resume(l->ws);
}

static size_t op_unsent(const struct zk_zip_link *b)
{
	const struct ws_link *l = (const struct ws_link *)b;

	return l->ws ? zk_ws_unsent(l->ws) : 0;
}

static void op_opened(struct zk_zip_link *b, const struct zk_eio_open *open)
{
	(void)b;
	(void)open;
}

static void op_close(struct zk_zip_link *b)
{
	struct ws_link *l = (struct ws_link *)b;

	if (l->ws)
		zk_ws_close(l->ws, ZK_WS_NORMAL, ZK_STR_NULL);
}

static void op_free(struct zk_zip_link *b)
{
	struct ws_link *l = (struct ws_link *)b;

	zk_ws_abort(l->ws);
	free(l);
}

static const struct zk_zip_link_ops ops = ZK_ZIP_LINK_OPS;

int zk_zip_link_ws(const struct zk_zip_link_conf *conf, struct zk_zip_link **ret,
                   struct zk_error *err)
{
	struct ws_link *l = zk_new0(struct ws_link);
	ZK_CLEANUP(zk_freep)
	char *url = zk_asprintf("%s%s%s%s", conf->url,
	                        conf->query ? conf->query : "?EIO=4&transport=websocket",
	                        conf->sid ? "&sid=" : "", conf->sid ? conf->sid : "");
	struct zk_ws_conf ws = {
		.url = url,
		.headers = conf->headers,
		.max_message = conf->max_in ? conf->max_in : MAX_IN,
		.max_unsent = conf->max_unsent ? conf->max_unsent : MAX_UNSENT,
		.small = conf->many,
		.connect_timeout_ms = conf->connect_timeout_ms,
		.ping_after_ms = -1, /* the session has its own */
		.ctx = l,
		.on_open = on_open,
		.on_message = on_message,
		.on_end = on_end,
	};

	l->base.ops = &ops;
	l->base.hooks = conf->hooks;
	if (zk_ws_open(conf->net, &ws, &l->ws, err) < 0) {
		free(l);
		return -(int)err->code;
	}
	*ret = &l->base;
	return 0;
}
