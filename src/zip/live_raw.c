/* The raw dialect: plain JSON messages on a WebSocket.
 * Layer: zip. specs/zeal-zip.md §7.9. */
#include "base/clock.h"
#include "codec/jwrite.h"
#include "zip/live_int.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define PING_EVERY_MS  30000
#define PONG_WITHIN_MS 10000

static void say(struct zk_zip_live *l, const char *type, const char *name, zk_str value)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jwrite w;

	zk_buf_init_secret(&b, 65536 + value.n * 6);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "type");
	zk_jw_cstr(&w, type);
	if (name) {
		zk_jw_key(&w, name);
		zk_jw_str(&w, value);
	} else {
		zk_jw_key(&w, "timestamp");
		zk_jw_i64(&w, zk_wall_us() / 1000);
	}
	zk_jw_obj_end(&w);
	zk_zip_live_send(l, zk_buf_str(&b), false);
}

void zk_zip_live_raw_start(struct zk_zip_live *l)
{
	zk_str token;

	if (l->connect) {
		struct zk_jval v;

		/* Written by ourselves: {"token":"…"}. */
		if (zk_jscan_get(zk_str_of(l->connect), ZK_STR("token"), &v) &&
		    zk_jstr_plain(v.raw, &token))
			say(l, "auth", "token", token);
	}
	for (size_t i = 0; i < l->conf.n_workflows; i++)
		say(l, "subscribe", "workflowId", zk_str_of(l->conf.workflows[i]));
	l->ping_ms = 0;
	l->pinged_ms = zk_loop_now_ms(l->loop);
	if (!l->drop_due)
		zk_zip_live_set_live(l);
}

void zk_zip_live_raw_text(struct zk_zip_live *l, zk_str text)
{
	struct zk_jscan js;
	struct zk_zip_live_event ev = { .name = ZK_STR("zip.event"), .members = l->want };
	const struct zk_jval *type = &l->want[ZK_ZIP_LIVE_TYPE].val;

	if (zk_jscan(text, ZK_SIO_DEPTH_MAX, l->want, ZK_ZIP_LIVE_MEMBERS, &js) < 0) {
		zk_warn("a malformed message, skipped", "reason=%s", js.what);
		return;
	}
	ev.json = js.top;
	if (type->type == ZK_J_STRING) {
		if (zk_jstr_eq(type->raw, ZK_STR("pong"))) {
			l->ping_ms = 0;
			return;
		}
		if (zk_jstr_eq(type->raw, ZK_STR("ping"))) {
			say(l, "pong", NULL, ZK_STR_NULL);
			return;
		}
		if (zk_jstr_eq(type->raw, ZK_STR("error")))
			ev.name = ZK_STR("error");
	}
	l->conf.on_event(l->conf.ctx, l, &ev);
}

void zk_zip_live_raw_binary(struct zk_zip_live *l, zk_str bytes)
{
	struct zk_zip_live_event ev = { .name = ZK_STR("stream.frame"),
		                        .members = l->want,
		                        .attachments = &bytes,
		                        .n_attachments = 1 };

	for (size_t i = 0; i < ZK_ZIP_LIVE_MEMBERS; i++)
		l->want[i].val = (struct zk_jval){ 0 };
	l->conf.on_event(l->conf.ctx, l, &ev);
}

void zk_zip_live_raw_tick(struct zk_zip_live *l)
{
	int64_t now = zk_loop_now_ms(l->loop);

	if (l->ping_ms) {
		if (l->paused)
			l->ping_ms = now; /* the answer may wait to be read */
		else if (now - l->ping_ms >= PONG_WITHIN_MS)
			zk_zip_live_drop_with(l, ZK_E_TRANSFER, true,
			                      "the server does not answer pings");
		return;
	}
	if (now - l->pinged_ms < PING_EVERY_MS)
		return;
	l->pinged_ms = l->ping_ms = now;
	say(l, "ping", NULL, ZK_STR_NULL);
}
