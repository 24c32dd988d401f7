/* Packets of Engine.IO 4.
 * Layer: codec. */
#include "codec/eio.h"

#include <string.h>

#include "codec/b64.h"
#include "codec/jscan.h"

#include "base/ban.h"

#define DEPTH_MAX        64
#define PING_INTERVAL_MS 25000
#define PING_TIMEOUT_MS  20000
#define MAX_PAYLOAD      1000000
#define TIME_MAX_MS      INT64_C(86400000)

int zk_eio_decode(zk_str text, struct zk_eio_packet *ret, struct zk_error *err)
{
	if (!text.n)
		return zk_fail(err, ZK_E_PROTOCOL, "a packet is empty");
	ret->data = zk_str_from(text, 1);
	if (text.p[0] >= '0' && text.p[0] <= '6')
		ret->type = (enum zk_eio_type)(text.p[0] - '0');
	else if (text.p[0] == 'b')
		ret->type = ZK_EIO_BINARY;
	else
		return zk_fail(err, ZK_E_PROTOCOL, "unknown engine type of a packet");
	return 0;
}

/* Ids of servers are base64 for URLs; others that stand in a query as they are pass too. */
static bool is_sid(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || memchr("-_.~", c, 4)))
			return false;
	}
	return s.n > 0 && s.n <= ZK_EIO_SID_MAX;
}

static bool read_ms(const struct zk_jval *v, int64_t usual, int64_t *ret)
{
	if (v->type == ZK_J_NONE) {
		*ret = usual;
		return true;
	}
	return v->type == ZK_J_NUMBER && zk_jnum_i64(v->raw, ret) && *ret > 0 &&
	       *ret <= TIME_MAX_MS;
}

static bool has_websocket(const struct zk_jval *upgrades)
{
	struct zk_jiter it;
	struct zk_jval v;

	if (upgrades->type != ZK_J_ARRAY)
		return false;
	zk_jiter_init(&it, upgrades->raw);
	while (zk_jiter_element(&it, &v))
		if (v.type == ZK_J_STRING && zk_jstr_eq(v.raw, ZK_STR("websocket")))
			return true;
	return false;
}

int zk_eio_open_parse(zk_str data, struct zk_eio_open *ret, struct zk_error *err)
{
	enum { SID, UPGRADES, INTERVAL, TIMEOUT, PAYLOAD };
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("sid") },
		                   { .name = ZK_STR_INIT("upgrades") },
		                   { .name = ZK_STR_INIT("pingInterval") },
		                   { .name = ZK_STR_INIT("pingTimeout") },
		                   { .name = ZK_STR_INIT("maxPayload") } };
	struct zk_eio_open o = { .max_payload = MAX_PAYLOAD };
	struct zk_jscan js;
	zk_str sid;

	if (zk_jscan(data, DEPTH_MAX, want, ZK_ARRAY_LEN(want), &js) < 0 ||
	    js.top.type != ZK_J_OBJECT)
		return zk_fail(err, ZK_E_PROTOCOL, "the open packet is no JSON object");
	if (want[SID].val.type != ZK_J_STRING ||
	    !zk_jstr_plain(want[SID].val.raw, &sid) || !is_sid(sid))
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the open packet has no usable session id");
	if (!read_ms(&want[INTERVAL].val, PING_INTERVAL_MS, &o.ping_interval_ms) ||
	    !read_ms(&want[TIMEOUT].val, PING_TIMEOUT_MS, &o.ping_timeout_ms))
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the open packet has impossible ping times");
	if (want[PAYLOAD].val.type == ZK_J_NUMBER &&
	    (!zk_jnum_u64(want[PAYLOAD].val.raw, &o.max_payload) || !o.max_payload))
		o.max_payload = MAX_PAYLOAD;
	memcpy(o.sid, sid.p, sid.n);
	o.websocket = has_websocket(&want[UPGRADES].val);
	*ret = o;
	return 0;
}

int zk_eio_refusal(zk_str body)
{
	struct zk_jwant want = { .name = ZK_STR_INIT("code") };
	struct zk_jscan js;
	uint64_t n = 0;

	if (zk_jscan(body, DEPTH_MAX, &want, 1, &js) < 0 ||
	    want.val.type != ZK_J_NUMBER || !zk_jnum_u64(want.val.raw, &n) || n > 99)
		return -1;
	return (int)n;
}

const char *zk_eio_refusal_text(int code)
{
	static const char *const texts[] = {
		"unknown transport",     "unknown session",
		"bad handshake method",  "bad request",
		"the server forbids it", "another version of the protocol",
	};

	return code >= 0 && code < (int)ZK_ARRAY_LEN(texts) ? texts[code] : NULL;
}

/* ---- bodies ---- */

void zk_eio_split_init(struct zk_eio_split *s, size_t max_packet_bytes)
{
	*s = (struct zk_eio_split){ 0 };
	zk_buf_init(&s->part, max_packet_bytes);
}

void zk_eio_split_done(struct zk_eio_split *s)
{
	zk_buf_done(&s->part);
}

static void begin(struct zk_eio_split *s)
{
	if (!s->handed)
		return;
	s->handed = false;
	zk_buf_clear(&s->part);
}

bool zk_eio_split_next(struct zk_eio_split *s, zk_str *chunk, zk_str *packet)
{
	const char *end;
	size_t n;

	begin(s);
	if (!chunk->n || s->part.failed)
		return false;
	end = memchr(chunk->p, ZK_EIO_SEPARATOR, chunk->n);
	n = end ? (size_t)(end - chunk->p) : chunk->n;
	if (!end || s->part.n || n > s->part.cap) {
		zk_buf_put(&s->part, chunk->p, n);
		*packet = zk_buf_str(&s->part);
		s->handed = end && !s->part.failed;
	} else {
		*packet = zk_str_n(chunk->p, n);
	}
	*chunk = zk_str_from(*chunk, end ? n + 1 : n);
	return end && !s->part.failed;
}

bool zk_eio_split_last(struct zk_eio_split *s, zk_str *packet)
{
	begin(s);
	if (s->part.failed || !s->part.n) {
		zk_buf_clear(&s->part);
		return false;
	}
	*packet = zk_buf_str(&s->part);
	s->handed = true;
	return true;
}

bool zk_eio_split_failed(const struct zk_eio_split *s)
{
	return s->part.failed;
}

void zk_eio_join(struct zk_buf *body, zk_str packet, bool binary)
{
	if (body->n)
		zk_buf_char(body, ZK_EIO_SEPARATOR);
	if (!binary) {
		zk_buf_add(body, packet);
		return;
	}
	zk_buf_char(body, 'b');
	zk_b64_encode(packet, ZK_B64_STD, body);
}
