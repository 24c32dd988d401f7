/* Packets of Socket.IO.
 * Layer: codec. */
#include "codec/sio.h"

#include <string.h>

#include "codec/b64.h"
#include "codec/jbytes.h"

#include "base/ban.h"

static bool is_event(enum zk_sio_type type)
{
	return type == ZK_SIO_EVENT || type == ZK_SIO_BINARY_EVENT;
}

static bool is_ack(enum zk_sio_type type)
{
	return type == ZK_SIO_ACK || type == ZK_SIO_BINARY_ACK;
}

static bool is_binary(enum zk_sio_type type)
{
	return type == ZK_SIO_BINARY_EVENT || type == ZK_SIO_BINARY_ACK;
}

/* Digits at the front of `s`; their number. */
static size_t digits(zk_str s, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;

	while (n < s.n && n < 15 && zk_jb_is_digit(s.p[n]))
		v = v * 10 + (uint64_t)(s.p[n++] - '0');
	*ret = v;
	return n;
}

/* "2-" of a binary packet. */
static int attachments(zk_str *s, struct zk_sio_packet *ret, struct zk_error *err)
{
	uint64_t v;
	size_t n = digits(*s, &v);

	if (!n || n == s->n || s->p[n] != '-' || v == 0 || v > ZK_SIO_ATTACHMENTS_MAX)
		return zk_fail(err, ZK_E_PROTOCOL,
		               v > ZK_SIO_ATTACHMENTS_MAX
		                       ? "too many attachments"
		                       : "binary packet without attachments");
	ret->attachments = (unsigned)v;
	*s = zk_str_from(*s, n + 1);
	return 0;
}

static int head(zk_str *s, struct zk_sio_packet *ret, struct zk_error *err)
{
	size_t n;

	if (!s->n)
		return zk_fail(err, ZK_E_PROTOCOL, "packet type missing");
	if (s->p[0] < '0' || s->p[0] > '6')
		return zk_fail(err, ZK_E_PROTOCOL, "unknown packet type");
	*ret = (struct zk_sio_packet){ .type = (enum zk_sio_type)(s->p[0] - '0'),
		                       .nsp = ZK_STR("/") };
	*s = zk_str_from(*s, 1);
	if (is_binary(ret->type) && attachments(s, ret, err) < 0)
		return -(int)err->code;
	if (s->n && s->p[0] == '/') {
		const char *comma = memchr(s->p, ',', s->n);

		ret->nsp = zk_str_n(s->p, comma ? (size_t)(comma - s->p) : s->n);
		*s = zk_str_from(*s, ret->nsp.n + 1);
	}
	n = digits(*s, &ret->id);
	if (n < s->n && zk_jb_is_digit(s->p[n]))
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the id of an acknowledgement is too long");
	ret->has_id = n > 0;
	*s = zk_str_from(*s, n);
	return 0;
}

static int fail_json(const struct zk_jscan *js, struct zk_error *err)
{
	return zk_fail(err, ZK_E_PROTOCOL, "a packet with invalid json: %s", js->what);
}

/* Any number of arguments, any names: the long way. */
static int walk(zk_str json, struct zk_jwant *want, size_t n_want,
                struct zk_sio_packet *p, struct zk_error *err)
{
	struct zk_jscan js;
	struct zk_jiter it;
	struct zk_jval v;

	if (zk_jscan(json, ZK_SIO_DEPTH_MAX, NULL, 0, &js) < 0)
		return fail_json(&js, err);
	if (js.top.type != ZK_J_ARRAY)
		return zk_fail(err, ZK_E_PROTOCOL, "the payload is not an array");
	zk_jiter_init(&it, js.top.raw);
	if (is_event(p->type)) {
		if (!zk_jiter_element(&it, &v))
			return zk_fail(err, ZK_E_PROTOCOL, "an empty event");
		if (v.type != ZK_J_STRING && v.type != ZK_J_NUMBER)
			return zk_fail(err, ZK_E_PROTOCOL, "an event without a name");
		p->name = v.raw;
	}
	while (zk_jiter_element(&it, &v))
		if (p->n_args++ == 0)
			p->arg = v;
	/* It was accepted already. */
	if (n_want && p->n_args)
		ZK_IGNORE(zk_jscan(p->arg.raw, ZK_SIO_DEPTH_MAX, want, n_want, &js) < 0);
	return 0;
}

/* `["name",ARG]` with a plain name, as almost all are: one pass over the argument. */
static bool short_way(zk_str json, struct zk_jwant *want, size_t n_want,
                      struct zk_sio_packet *p)
{
	const char *end = json.p + json.n, *q;
	struct zk_jscan js = { 0 };

	if (json.n < 6 || json.p[0] != '[' || json.p[1] != '"' || end[-1] != ']')
		return false;
	q = zk_jb_skip_plain(json.p + 2, end);
	if (q + 2 >= end || q[0] != '"' || q[1] != ',')
		return false;
	if (zk_jscan(zk_str_n(q + 2, (size_t)(end - 1 - (q + 2))), ZK_SIO_DEPTH_MAX, want,
	             n_want, &js) < 0)
		return false;
	p->name = zk_str_n(json.p + 1, (size_t)(q + 1 - (json.p + 1)));
	p->arg = js.top;
	p->n_args = 1;
	return true;
}

int zk_sio_decode(zk_str data, struct zk_jwant *want, size_t n_want,
                  struct zk_sio_packet *ret, struct zk_error *err)
{
	struct zk_sio_packet p = { 0 };
	struct zk_jscan js = { 0 };

	for (size_t i = 0; i < n_want; i++) {
		want[i].val = (struct zk_jval){ 0 };
		want[i].count = 0;
	}
	if (head(&data, &p, err) < 0)
		return -(int)err->code;
	p.json = data;
	if (is_event(p.type) || is_ack(p.type)) {
		if (!(is_event(p.type) && short_way(data, want, n_want, &p)) &&
		    walk(data, want, n_want, &p, err) < 0)
			return -(int)err->code;
	} else if (data.n) {
		if (zk_jscan(data, ZK_SIO_DEPTH_MAX, NULL, 0, &js) < 0)
			return fail_json(&js, err);
		p.arg = js.top;
		p.n_args = 1;
	}
	*ret = p;
	return 0;
}

zk_str zk_sio_name(const struct zk_sio_packet *p, struct zk_buf *room)
{
	struct zk_error ignored;
	zk_str plain;

	if (!p->name.n || p->name.p[0] != '"')
		return p->name;
	if (zk_jstr_plain(p->name, &plain))
		return plain;
	zk_buf_clear(room);
	ZK_IGNORE(zk_jstr_decode(p->name, ZK_JLONE_REPLACE, room, &ignored) < 0);
	return zk_buf_str(room);
}

bool zk_sio_is(const struct zk_sio_packet *p, zk_str name)
{
	if (p->name.n == name.n + 2 && p->name.p[0] == '"' &&
	    memcmp(p->name.p + 1, name.p, name.n) == 0)
		return true;
	return p->name.n && p->name.p[0] == '"' && zk_jstr_eq(p->name, name);
}

/* ---- placeholders ---- */

/* The attachment that an object stands for. */
static bool placeholder(zk_str object, size_t n, uint64_t *ret)
{
	struct zk_jval v;

	return zk_jscan_get(object, ZK_STR("_placeholder"), &v) && v.type == ZK_J_BOOL &&
	       v.raw.p[0] == 't' && zk_jscan_get(object, ZK_STR("num"), &v) &&
	       v.type == ZK_J_NUMBER && zk_jnum_u64(v.raw, ret) && *ret < n;
}

/* Placeholders are small and hold no objects: only innermost ones are looked at. */
void zk_sio_fill(zk_str json, const zk_str *attachments, size_t n, struct zk_buf *b)
{
	const char *p = json.p, *end = json.p + json.n, *open = NULL, *from = p;
	uint64_t num;

	for (; p < end; p++) {
		if (*p == '"') {
			for (p++; p < end && *p != '"'; p++)
				p += *p == '\\';
		} else if (*p == '{') {
			open = p;
		} else if (*p == '}' && open) {
			zk_str object = zk_str_n(open, (size_t)(p + 1 - open));

			if (placeholder(object, n, &num)) {
				zk_buf_put(b, from, (size_t)(open - from));
				zk_buf_lit(b, "{\"base64\":\"");
				zk_b64_encode(attachments[num], ZK_B64_STD, b);
				zk_buf_lit(b, "\"}");
				from = p + 1;
			}
			open = NULL;
		}
	}
	if (from < end)
		zk_buf_put(b, from, (size_t)(end - from));
}

/* ---- writing ---- */

void zk_sio_encode(const struct zk_sio_out *p, struct zk_buf *b)
{
	zk_buf_char(b, '4');
	zk_buf_char(b, (char)('0' + (int)p->type));
	if (is_binary(p->type)) {
		zk_buf_u64(b, p->attachments);
		zk_buf_char(b, '-');
	}
	if (p->nsp.n > 1) {
		zk_buf_add(b, p->nsp);
		zk_buf_char(b, ',');
	}
	if (p->has_id)
		zk_buf_u64(b, p->id);
	if (!is_event(p->type)) {
		zk_buf_add(b, p->json);
		return;
	}
	zk_buf_char(b, '[');
	zk_buf_json_str(b, p->name);
	if (p->json.n) {
		zk_buf_char(b, ',');
		zk_buf_add(b, p->json);
	}
	zk_buf_char(b, ']');
}
