/* What is said on a socket in Socket.IO: joining the rooms, passing events on.
 * Layer: zip. specs/zeal-zip.md §7.2, §7.3. */
#include <string.h>

#include "base/mem.h"
#include "zip/live_int.h"
#define ZK_LOGGER "events"
#include "base/log.h"

#include "base/ban.h"

#define WAIT_MS 2000 /* before an unknown workflow is asked for again */

static void talk_send(void *ctx, zk_str message, bool binary)
{
	zk_zip_live_send(ctx, message, binary);
}

static void talk_open(void *ctx, const struct zk_eio_open *open)
{
	struct zk_zip_live *l = ctx;

	if (open->max_payload < l->conf.max_out)
		l->conf.max_out = (size_t)open->max_payload;
	zk_zip_live_set_state(l, ZK_ZIP_JOINING, l->conf.answer_timeout_ms);
	zk_zip_link_opened(l->link, open);
}

void zk_zip_live_auth(struct zk_zip_live *l)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 65536);
	l->unanswered = l->conf.n_workflows;
	zk_zip_live_set_state(l, ZK_ZIP_AUTHING, l->conf.answer_timeout_ms);
	for (size_t i = 0; i < l->conf.n_workflows && !l->drop_due; i++) {
		zk_buf_clear(&b);
		zk_buf_lit(&b, "{\"type\":\"auth\",\"workflowId\":");
		zk_buf_json_str(&b, zk_str_of(l->conf.workflows[i]));
		zk_buf_char(&b, '}');
		zk_zip_socket_emit(&l->socket, ZK_STR("auth"), zk_buf_str(&b), NULL, 0,
		                   false);
	}
}

static void talk_joined(void *ctx)
{
	zk_zip_live_auth(ctx);
}

static zk_str text_of(zk_str json, const char *name, char *room, size_t size)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_error ignored;
	struct zk_jval v;
	size_t n;

	zk_buf_init(&b, 65536);
	if (!json.n || !zk_jscan_get(json, zk_str_of(name), &v) ||
	    v.type != ZK_J_STRING ||
	    zk_jstr_decode(v.raw, ZK_JLONE_REPLACE, &b, &ignored) < 0)
		return ZK_STR("");
	n = ZK_MIN(b.n, size);
	if (n)
		memcpy(room, b.p, n);
	return zk_str_n(room, n);
}

/* An error while the rooms are joined. */
static void refused(struct zk_zip_live *l, zk_str json)
{
	char code[64], text[200];
	zk_str c = text_of(json, "code", code, sizeof(code));
	zk_str m = text_of(json, "message", text, sizeof(text));
	struct zk_error err = { 0 };

	if (zk_str_eq(c, ZK_STR("WORKFLOW_NOT_FOUND"))) {
		if (l->conf.wait) {
			zk_info("the workflow is not there yet");
			l->unanswered = 0;
			zk_zip_live_set_state(l, ZK_ZIP_AUTHING, WAIT_MS);
			return;
		}
		ZK_IGNORE(zk_fail(&err, ZK_E_NOT_FOUND, "there is no such workflow: %.*s",
		                  ZK_STR_ARG(m)) < 0);
		ZK_IGNORE(zk_err_hint(&err, "--wait waits until it is there") < 0);
	} else {
		ZK_IGNORE(zk_fail(&err, ZK_E_FORBIDDEN,
		                  "the server refused to join the workflow: %.*s (%.*s)",
		                  ZK_STR_ARG(m), ZK_STR_ARG(c)) < 0);
	}
	zk_zip_live_drop(l, &err);
}

/* Those of the session itself; true when it was one. */
static bool own(struct zk_zip_live *l, const struct zk_sio_packet *p)
{
	if (l->state != ZK_ZIP_AUTHING)
		return zk_sio_is(p, ZK_STR("auth.success"));
	if (zk_sio_is(p, ZK_STR("auth.success"))) {
		if (l->unanswered && --l->unanswered == 0)
			zk_zip_live_set_live(l);
		else if (l->unanswered)
			zk_timer_start(l->timer, l->conf.answer_timeout_ms, 0);
		return true;
	}
	if (!zk_sio_is(p, ZK_STR("error")))
		return false;
	if (l->unanswered)
		refused(l, p->arg.raw);
	return true;
}

static void talk_event(void *ctx, const struct zk_zip_socket_event *ev)
{
	struct zk_zip_live *l = ctx;
	const struct zk_sio_packet *p = ev->packet;
	struct zk_buf room;
	struct zk_zip_live_event out = { .json = p->arg,
		                         .members = l->want,
		                         .attachments = ev->attachments,
		                         .n_attachments =
		                                 ev->attachments ? p->attachments : 0 };

	if (own(l, p))
		return;
	zk_buf_init(&room, 65536);
	out.name = zk_sio_name(p, &room);
	l->conf.on_event(l->conf.ctx, l, &out);
	zk_buf_done(&room);
}

static void talk_bad(void *ctx, const struct zk_error *err)
{
	(void)ctx;
	zk_warn("a malformed packet, skipped", "reason=%s", err->msg);
}

static void talk_end(void *ctx, const struct zk_error *err)
{
	zk_zip_live_drop(ctx, err);
}

void zk_zip_live_talk_start(struct zk_zip_live *l)
{
	struct zk_zip_socket_conf conf = {
		.ctx = l,
		.connect = zk_str_of(l->connect),
		.max_bytes = l->conf.max_in,
		.want = l->want,
		.n_want = ZK_ZIP_LIVE_MEMBERS,
		.send = talk_send,
		.on_open = talk_open,
		.on_joined = talk_joined,
		.on_event = talk_event,
		.on_bad = talk_bad,
		.on_end = talk_end,
	};

	zk_zip_socket_init(&l->socket, &conf, zk_loop_now_ms(l->loop));
	l->has_socket = true;
}
