/* Packets of Engine.IO and Socket.IO: no text breaks the codec or the session; what is decoded lies
 * in the text, is JSON, and is the same when it is encoded and decoded again; a body is cut into the
 * same packets whatever the chunks are (specs/zeal-zip.md §7.1, §7.6). Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/eio.h"
#include "codec/sio.h"
#include "zip/frame.h"
#include "zip/socket.h"
#include "zip/watch.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(zk_str part, zk_str whole)
{
	return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_packet(zk_str data)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("id") },
		                   { .name = ZK_STR_INIT("type") } };
	struct zk_sio_packet p, again;
	struct zk_sio_out out;
	struct zk_buf room, text;
	struct zk_jscan js;
	struct zk_error err = { 0 };

	if (zk_sio_decode(data, want, ZK_ARRAY_LEN(want), &p, &err) < 0) {
		ZK_ASSERT(err.code == ZK_E_PROTOCOL && err.msg[0]);
		return;
	}
	ZK_ASSERT(lies_in(p.json, data) && lies_in(p.name, data) &&
	          lies_in(p.arg.raw, data));
	ZK_ASSERT(p.attachments <= ZK_SIO_ATTACHMENTS_MAX);
	ZK_ASSERT(!p.json.n || zk_jscan(p.json, ZK_SIO_DEPTH_MAX + 1, NULL, 0, &js) == 0);
	ZK_ASSERT((p.n_args == 0) == (p.arg.type == ZK_J_NONE));
	zk_buf_init(&room, data.n + 16);
	zk_buf_init(&text, data.n * 8 + 64);
	out = (struct zk_sio_out){ .type = p.type,
		                   .attachments = p.attachments,
		                   .nsp = p.nsp,
		                   .has_id = p.has_id,
		                   .id = p.id,
		                   .name = zk_sio_name(&p, &room),
		                   .json = p.type == ZK_SIO_EVENT ||
		                                           p.type == ZK_SIO_BINARY_EVENT
		                                   ? p.arg.raw
		                                   : p.json };
	zk_sio_encode(&out, &text);
	ZK_ASSERT(!text.failed);
	ZK_ASSERT(zk_sio_decode(zk_str_from(zk_buf_str(&text), 1), NULL, 0, &again,
	                        &err) == 0);
	ZK_ASSERT(again.type == p.type && again.attachments == p.attachments);
	ZK_ASSERT(zk_str_eq(again.arg.raw, p.arg.raw) && again.id == p.id);
	zk_buf_done(&room);
	zk_buf_done(&text);
}

/* ---- bodies ---- */

static void cut(zk_str body, size_t step, struct zk_buf *out)
{
	struct zk_eio_split s;
	zk_str packet;

	zk_eio_split_init(&s, 100);
	for (size_t at = 0; at < body.n; at += step) {
		size_t n = ZK_MIN(step, body.n - at);
		char *piece = malloc(n);
		zk_str chunk = zk_str_n(memcpy(piece, body.p + at, n), n);

		while (zk_eio_split_next(&s, &chunk, &packet)) {
			zk_buf_add(out, packet);
			zk_buf_char(out, ZK_EIO_SEPARATOR);
		}
		free(piece);
	}
	if (zk_eio_split_last(&s, &packet))
		zk_buf_add(out, packet);
	if (zk_eio_split_failed(&s))
		zk_buf_lit(out, "failed");
	zk_eio_split_done(&s);
}

static void check_body(zk_str body, size_t step)
{
	struct zk_buf whole, part;

	zk_buf_init(&whole, body.n + 16);
	zk_buf_init(&part, body.n + 16);
	cut(body, body.n + 1, &whole);
	cut(body, step, &part);
	ZK_ASSERT(zk_str_eq(zk_buf_str(&whole), zk_buf_str(&part)));
	zk_buf_done(&whole);
	zk_buf_done(&part);
}

/* ---- the session: each part of the input is a message, those with a 'b' binary ---- */

struct heard {
	unsigned ended;
};

static void on_send(void *ctx, zk_str message, bool binary)
{
	(void)ctx;
	ZK_ASSERT(binary || message.n);
}

static void on_open(void *ctx, const struct zk_eio_open *open)
{
	(void)ctx;
	ZK_ASSERT(open->sid[0] && open->ping_interval_ms > 0);
}

static void on_joined(void *ctx)
{
	ZK_ASSERT(!((struct heard *)ctx)->ended);
}

static void on_event(void *ctx, const struct zk_zip_socket_event *ev)
{
	size_t n = 0;

	ZK_ASSERT(!((struct heard *)ctx)->ended);
	for (unsigned i = 0; ev->attachments && i < ev->packet->attachments; i++)
		for (size_t k = 0; k < ev->attachments[i].n; k++)
			n += (unsigned char)ev->attachments[i].p[k];
	ZK_ASSERT(n < SIZE_MAX);
}

static void on_end(void *ctx, const struct zk_error *err)
{
	struct heard *h = ctx;

	ZK_ASSERT(!h->ended && err->code);
	h->ended++;
}

static void check_session(zk_str input)
{
	struct heard h = { 0 };
	struct zk_zip_socket_conf conf = { .ctx = &h,
		                           .max_bytes = 1000,
		                           .send = on_send,
		                           .on_open = on_open,
		                           .on_joined = on_joined,
		                           .on_event = on_event,
		                           .on_ack = on_event,
		                           .on_end = on_end };
	struct zk_zip_socket s;
	zk_str message;

	zk_zip_socket_init(&s, &conf, 0);
	while (input.n) {
		input = zk_str_cut(input, ZK_EIO_SEPARATOR, &message);
		if (message.n && message.p[0] == 'b')
			zk_zip_socket_binary(&s, zk_str_from(message, 1), 0);
		else
			zk_zip_socket_text(&s, message, 0);
	}
	zk_zip_socket_done(&s);
}

static void on_change(void *ctx, zk_str event)
{
	struct zk_jscan js;

	(void)ctx;
	ZK_ASSERT(zk_jscan(event, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) == 0);
}

/* Every two snapshots may follow each other. */
static void check_watch(zk_str json)
{
	struct zk_zip_watch *w = zk_zip_watch_new();
	struct zk_jscan js;

	if (zk_jscan(json, 256, NULL, 0, &js) == 0) {
		zk_str half =
		        ZK_STR("{\"workflowId\":\"w\",\"data\":{\"graphs\":[{\"id\":"
		               "\"main\",\"nodes\":[{\"id\":\"a\"}]}]}}");

		ZK_IGNORE(zk_zip_watch_state(w, half, on_change, NULL));
		(void)zk_zip_watch_update(w, json, on_change, NULL);
		ZK_IGNORE(zk_zip_watch_state(w, json, on_change, NULL));
		ZK_IGNORE(zk_zip_watch_state(w, half, on_change, NULL));
	}
	zk_zip_watch_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str input = zk_str_n((const char *)data, size);
	struct zk_eio_packet packet;
	struct zk_eio_open open;
	struct zk_zip_frame frame;
	struct zk_error err = { 0 };

	if (!size)
		return 0;
	if (zk_eio_decode(input, &packet, &err) == 0) {
		if (packet.type == ZK_EIO_MESSAGE)
			check_packet(packet.data);
		else if (packet.type == ZK_EIO_OPEN &&
		         zk_eio_open_parse(packet.data, &open, &err) == 0)
			ZK_ASSERT(strlen(open.sid) <= ZK_EIO_SID_MAX);
	}
	ZK_ASSERT(zk_eio_refusal(input) < 100);
	if (zk_zip_frame_decode(input, &frame, &err) == 0)
		ZK_ASSERT(frame.payload.n + ZK_ZIP_FRAME_HEAD == size);
	check_body(input, 1 + data[0] % 7);
	check_session(input);
	check_watch(input);
	return 0;
}
