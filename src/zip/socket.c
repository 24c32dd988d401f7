/* The session on a socket.
 * Layer: zip. */
#include "zip/socket.h"

#include <string.h>

#include "base/ban.h"

#define MAX_BYTES ((size_t)64 << 20)
/* Packets in a row that make no sense: this peer speaks something else. */
#define BAD_MAX  100
#define KEPT_MAX ((size_t)1 << 20) /* memory kept for attachments */

void zk_zip_socket_init(struct zk_zip_socket *s, const struct zk_zip_socket_conf *conf,
                        int64_t now_ms)
{
	*s = (struct zk_zip_socket){ .conf = *conf, .heard_ms = now_ms };
	if (!s->conf.max_bytes)
		s->conf.max_bytes = MAX_BYTES;
	zk_buf_init(&s->text, s->conf.max_bytes);
	zk_buf_init(&s->bytes, s->conf.max_bytes);
}

void zk_zip_socket_done(struct zk_zip_socket *s)
{
	zk_buf_done(&s->text);
	zk_buf_done(&s->bytes);
}

static void end(struct zk_zip_socket *s, const struct zk_error *err)
{
	if (s->state == ZK_ZIP_SOCKET_ENDED)
		return;
	s->state = ZK_ZIP_SOCKET_ENDED;
	s->conf.on_end(s->conf.ctx, err);
}

static void end_with(struct zk_zip_socket *s, enum zk_code code, bool retryable,
                     const char *text)
{
	struct zk_error err = { 0 };

	ZK_IGNORE(zk_fail(&err, code, "%s", text) < 0); /* its code */
	err.retryable = retryable;
	end(s, &err);
}

static void bad(struct zk_zip_socket *s, const struct zk_error *err)
{
	if (s->conf.on_bad)
		s->conf.on_bad(s->conf.ctx, err);
	if (++s->bad >= BAD_MAX)
		end_with(s, ZK_E_PROTOCOL, true,
		         "the server sends packets that make no sense");
}

static void bad_text(struct zk_zip_socket *s, const char *text)
{
	struct zk_error err = { 0 };

	ZK_IGNORE(zk_fail(&err, ZK_E_PROTOCOL, "%s", text) < 0); /* its code */
	bad(s, &err);
}

static void send(struct zk_zip_socket *s, zk_str message)
{
	s->conf.send(s->conf.ctx, message, /* binary */ false);
}

/* ---- what comes in ---- */

static void opened(struct zk_zip_socket *s, zk_str data)
{
	struct zk_error err = { 0 };
	struct zk_buf b ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_sio_out connect = { .type = ZK_SIO_CONNECT, .json = s->conf.connect };

	if (s->state != ZK_ZIP_SOCKET_OPENING) {
		bad_text(s, "a second open packet");
		return;
	}
	if (zk_eio_open_parse(data, &s->open, &err) < 0) {
		end(s, &err);
		return;
	}
	s->state = ZK_ZIP_SOCKET_JOINING;
	s->ponged_ms = s->heard_ms;
	s->conf.on_open(s->conf.ctx, &s->open);
	if (s->state != ZK_ZIP_SOCKET_JOINING)
		return;
	zk_buf_init_secret(&b, s->conf.connect.n + 64);
	zk_sio_encode(&connect, &b);
	send(s, zk_buf_str(&b));
}

static void refused(struct zk_zip_socket *s, const struct zk_sio_packet *p)
{
	struct zk_error err = { 0 };
	struct zk_jval v = p->arg;
	zk_str text = ZK_STR("no reason given");

	if (v.type == ZK_J_OBJECT && !zk_jscan_get(p->json, ZK_STR("message"), &v))
		v.type = ZK_J_NONE;
	if (v.type == ZK_J_STRING && !zk_jstr_plain(v.raw, &text))
		text = v.raw;
	ZK_IGNORE(zk_fail(&err, ZK_E_FORBIDDEN,
	                  "the server refused the socket's connect packet: %.*s",
	                  (int)ZK_MIN(text.n, (size_t)200), text.p) < 0); /* its code */
	end(s, &err);
}

static void give(struct zk_zip_socket *s, const struct zk_sio_packet *p,
                 const zk_str *attachments)
{
	struct zk_zip_socket_event ev = { .packet = p, .attachments = attachments };
	bool event = p->type == ZK_SIO_EVENT || p->type == ZK_SIO_BINARY_EVENT;

	if (event)
		s->conf.on_event(s->conf.ctx, &ev);
	else if (s->conf.on_ack)
		s->conf.on_ack(s->conf.ctx, &ev);
}

static void packet(struct zk_zip_socket *s, zk_str data)
{
	struct zk_error err;
	struct zk_sio_packet p;

	if (zk_sio_decode(data, s->conf.want, s->conf.n_want, &p, &err) < 0) {
		bad(s, &err);
		return;
	}
	if (s->missing) {
		s->missing = 0;
		bad_text(s, "a packet came instead of an attachment");
	}
	if (p.nsp.n != 1)
		return; /* of a namespace that nobody joined */
	switch (p.type) {
	case ZK_SIO_CONNECT:
		if (s->state != ZK_ZIP_SOCKET_JOINING)
			break;
		s->state = ZK_ZIP_SOCKET_JOINED;
		s->conf.on_joined(s->conf.ctx);
		break;
	case ZK_SIO_DISCONNECT:
		end_with(s, ZK_E_TRANSFER, true, "the server ended the session");
		break;
	case ZK_SIO_CONNECT_ERROR:
		refused(s, &p);
		break;
	case ZK_SIO_EVENT:
	case ZK_SIO_ACK:
		s->bad = 0;
		if (s->state == ZK_ZIP_SOCKET_JOINED)
			give(s, &p, NULL);
		break;
	case ZK_SIO_BINARY_EVENT:
	case ZK_SIO_BINARY_ACK:
		zk_buf_clear(&s->text);
		zk_buf_clear(&s->bytes);
		zk_buf_add(&s->text, data);
		s->missing = p.attachments;
		break;
	}
}

void zk_zip_socket_text(struct zk_zip_socket *s, zk_str text, int64_t now_ms)
{
	struct zk_eio_packet p;
	struct zk_error err;

	if (s->state == ZK_ZIP_SOCKET_ENDED)
		return;
	s->heard_ms = now_ms;
	/* What nearly all messages are. */
	if (ZK_LIKELY(text.n && text.p[0] == '4')) {
		packet(s, zk_str_from(text, 1));
		return;
	}
	if (zk_eio_decode(text, &p, &err) < 0) {
		bad(s, &err);
		return;
	}
	switch (p.type) {
	case ZK_EIO_OPEN:
		opened(s, p.data);
		break;
	case ZK_EIO_CLOSE:
		end_with(s, ZK_E_TRANSFER, true, "the server closed the session");
		break;
	case ZK_EIO_PING:
		s->ponged_ms = now_ms;
		send(s, ZK_STR("3"));
		break;
	case ZK_EIO_MESSAGE: /* above */
	case ZK_EIO_PONG:
	case ZK_EIO_UPGRADE:
	case ZK_EIO_NOOP:
		break;
	case ZK_EIO_BINARY:
		bad_text(s, "a binary packet as a text message");
		break;
	}
}

static void all_there(struct zk_zip_socket *s)
{
	zk_str attachments[ZK_SIO_ATTACHMENTS_MAX];
	struct zk_sio_packet p;
	struct zk_error err;
	size_t from = 0;

	if (s->text.failed || s->bytes.failed) {
		bad_text(s, "a packet with its attachments is too large");
		return;
	}
	/* It was accepted when it came; the members are to be found again. */
	if (zk_sio_decode(zk_buf_str(&s->text), s->conf.want, s->conf.n_want, &p, &err) <
	    0)
		return;
	for (unsigned i = 0; i < p.attachments; i++) {
		attachments[i] = zk_str_n(s->bytes.n ? s->bytes.p + from : NULL,
		                          s->ends[i] - from);
		from = s->ends[i];
	}
	s->bad = 0;
	if (s->state == ZK_ZIP_SOCKET_JOINED)
		give(s, &p, attachments);
	/* A large one is rare enough. */
	if (s->bytes.room > KEPT_MAX)
		zk_buf_done(&s->bytes);
}

void zk_zip_socket_binary(struct zk_zip_socket *s, zk_str bytes, int64_t now_ms)
{
	unsigned at;
	uint64_t n = 0;

	if (s->state == ZK_ZIP_SOCKET_ENDED)
		return;
	s->heard_ms = now_ms;
	if (!s->missing) {
		bad_text(s, "an attachment that no packet announced");
		return;
	}
	/* The head of the packet says how many there are in all. */
	for (size_t i = 1; i < s->text.n && s->text.p[i] != '-'; i++)
		n = n * 10 + (uint64_t)(s->text.p[i] - '0');
	at = (unsigned)n - s->missing;
	zk_buf_add(&s->bytes, bytes);
	if (s->text.failed || at >= ZK_SIO_ATTACHMENTS_MAX) {
		s->missing = 0;
		bad_text(s, "a packet with its attachments is too large");
		return;
	}
	s->ends[at] = s->bytes.n;
	if (--s->missing == 0)
		all_there(s);
}

void zk_zip_socket_tick(struct zk_zip_socket *s, bool paused, int64_t now_ms)
{
	int64_t late = paused ? 0 : s->open.ping_timeout_ms / 2;

	if (s->state != ZK_ZIP_SOCKET_JOINING && s->state != ZK_ZIP_SOCKET_JOINED)
		return;
	if (paused) {
		s->heard_ms = now_ms;
	} else if (now_ms - s->heard_ms >=
	           s->open.ping_interval_ms + s->open.ping_timeout_ms) {
		end_with(s, ZK_E_TRANSFER, true, "the server is silent");
		return;
	}
	/* A ping that waits behind what is not read yet. */
	if (now_ms - s->ponged_ms < s->open.ping_interval_ms + late)
		return;
	s->ponged_ms = now_ms;
	send(s, ZK_STR("3"));
}

/* ---- what goes out ---- */

int64_t zk_zip_socket_emit(struct zk_zip_socket *s, zk_str name, zk_str args,
                           const zk_str *attachments, unsigned n, bool ack)
{
	struct zk_sio_out out = { .type = n ? ZK_SIO_BINARY_EVENT : ZK_SIO_EVENT,
		                  .attachments = n,
		                  .has_id = ack,
		                  .id = s->next_ack,
		                  .name = name,
		                  .json = args };
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, args.n + name.n * 6 + 128);
	zk_sio_encode(&out, &b);
	send(s, zk_buf_str(&b));
	for (unsigned i = 0; i < n && s->state != ZK_ZIP_SOCKET_ENDED; i++)
		s->conf.send(s->conf.ctx, attachments[i], /* binary */ true);
	return ack ? (int64_t)s->next_ack++ : -1;
}

void zk_zip_socket_leave(struct zk_zip_socket *s)
{
	if (s->state == ZK_ZIP_SOCKET_JOINED)
		send(s, ZK_STR("41"));
	s->state = ZK_ZIP_SOCKET_ENDED;
}
