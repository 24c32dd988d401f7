/* Frames of WebSockets.
 * Layer: codec. */
#include "codec/wsframe.h"

#include <string.h>

#include "base/buf.h"
#include "codec/b64.h"

#include "base/ban.h"

#define FIN  0x80
#define RSV  0x70
#define OP   0x0f
#define MASK 0x80

void zk_wsframe_init(struct zk_wsframe *f, bool from_client)
{
	*f = (struct zk_wsframe){ .from_client = from_client };
}

static bool fail(struct zk_wsframe *f, const char *what)
{
	f->failed = what;
	return false;
}

/* Bytes of a head that begins with these two. */
static size_t head_size(unsigned second)
{
	unsigned n = second & 127;

	return (n == 127 ? 10u : n == 126 ? 4u : 2u) + (second & MASK ? 4 : 0);
}

static bool is_control(unsigned op)
{
	return op >= ZK_WSFRAME_CLOSE;
}

static uint64_t length_of(const char *p)
{
	unsigned n = (unsigned char)p[1] & 127u;
	uint64_t v = 0;

	if (n < 126)
		return n;
	for (size_t i = 2; i < (n == 126 ? 4u : 10u); i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

/* A complete head. */
static bool begin(struct zk_wsframe *f, const char *p)
{
	unsigned first = (unsigned char)p[0], op = first & OP;
	uint64_t n = length_of(p);

	if (first & RSV)
		return fail(f, "reserved bits are set");
	if (!((unsigned char)p[1] & MASK) == f->from_client)
		return fail(f, f->from_client ? "a frame of the client is not masked"
		                              : "a frame of the server is masked");
	if (op > ZK_WSFRAME_PONG || (op > ZK_WSFRAME_BINARY && op < ZK_WSFRAME_CLOSE))
		return fail(f, "a frame of an unknown kind");
	if (n >> 63)
		return fail(f, "a length of more than 63 bits");
	if (is_control(op)) {
		if (n > ZK_WSFRAME_CONTROL_MAX || !(first & FIN))
			return fail(f, "a control frame is too long or in pieces");
	} else if ((op == ZK_WSFRAME_CONTINUE) != f->in_message) {
		return fail(f, op == ZK_WSFRAME_CONTINUE
		                       ? "nothing is there to be continued"
		                       : "a message begins within another");
	} else if (op != ZK_WSFRAME_CONTINUE) {
		f->message = (enum zk_wsframe_op)op;
		f->in_message = true;
		f->begun = false;
	}
	f->op = (enum zk_wsframe_op)op;
	f->fin = first & FIN;
	f->left = n;
	f->in_frame = true;
	f->control_n = 0;
	if (f->from_client)
		memcpy(f->mask, p + head_size((unsigned char)p[1]) - 4, sizeof(f->mask));
	return true;
}

/* The head, which may come in pieces; false when it is not complete or wrong. */
static bool head(struct zk_wsframe *f, zk_str *chunk)
{
	if (ZK_LIKELY(!f->head_n && chunk->n >= ZK_WSFRAME_HEAD_MAX)) {
		const char *p = chunk->p;

		*chunk = zk_str_from(*chunk, head_size((unsigned char)p[1]));
		return begin(f, p);
	}
	while (chunk->n) {
		f->head[f->head_n++] = chunk->p[0];
		*chunk = zk_str_from(*chunk, 1);
		if (f->head_n < 2 || f->head_n < head_size((unsigned char)f->head[1]))
			continue;
		f->head_n = 0;
		return begin(f, f->head);
	}
	return false;
}

static bool control(struct zk_wsframe *f, zk_str *chunk, struct zk_wsframe_piece *ret)
{
	size_t n = (size_t)ZK_MIN(f->left, (uint64_t)chunk->n);

	if (n)
		memcpy(f->control + f->control_n, chunk->p, n);
	f->control_n += n;
	f->left -= n;
	*chunk = zk_str_from(*chunk, n);
	if (f->left)
		return false;
	f->in_frame = false;
	if (f->from_client)
		zk_wsframe_unmask(f->control, f->control_n, f->mask);
	*ret = (struct zk_wsframe_piece){ .op = f->op,
		                          .bytes = zk_str_n(f->control, f->control_n),
		                          .first = true,
		                          .last = true };
	return true;
}

/* The mask for a piece of `n` bytes, and the one for what follows it. */
static void turn_mask(struct zk_wsframe *f, size_t n, uint8_t ret[4])
{
	memcpy(ret, f->mask, 4);
	for (unsigned i = 0; i < 4; i++)
		f->mask[i] = ret[(i + n) & 3];
}

bool zk_wsframe_next(struct zk_wsframe *f, zk_str *chunk, struct zk_wsframe_piece *ret)
{
	size_t n;

	for (;;) {
		if (f->failed || (!f->in_frame && !head(f, chunk)))
			return false;
		if (is_control(f->op)) {
			if (control(f, chunk, ret))
				return true;
			return false;
		}
		n = (size_t)ZK_MIN(f->left, (uint64_t)chunk->n);
		if (!n && f->left)
			return false;
		f->left -= n;
		*ret = (struct zk_wsframe_piece){ .op = f->message,
			                          .bytes = zk_str_n(chunk->p, n),
			                          .first = !f->begun,
			                          .last = !f->left && f->fin };
		if (f->from_client)
			turn_mask(f, n, ret->mask);
		f->begun = true;
		*chunk = zk_str_from(*chunk, n);
		f->in_frame = f->left > 0;
		f->in_message = !ret->last;
		/* An empty piece in the middle says nothing. */
		if (n || ret->last || ret->first)
			return true;
	}
}

void zk_wsframe_unmask(char *p, size_t n, const uint8_t mask[4])
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(p[i] ^ (char)mask[i & 3]);
}

char *zk_wsframe_seal(char *end, size_t n, enum zk_wsframe_op op, const uint8_t mask[4])
{
	unsigned masked = mask ? MASK : 0;
	char *p = end;

	if (mask) {
		p -= 4;
		memcpy(p, mask, 4);
	}
	if (n < 126) {
		*--p = (char)(masked | n);
	} else if (n < 65536) {
		*--p = (char)n;
		*--p = (char)(n >> 8);
		*--p = (char)(masked | 126);
	} else {
		for (unsigned i = 0; i < 8; i++)
			*--p = (char)((uint64_t)n >> (8 * i));
		*--p = (char)(masked | 127);
	}
	*--p = (char)(FIN | op);
	if (mask)
		zk_wsframe_unmask(end, n, mask);
	return p;
}

static bool is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
	       (code >= 3000 && code <= 4999);
}

bool zk_wsframe_close_read(zk_str bytes, unsigned *code, zk_str *reason)
{
	*code = 1005;
	*reason = zk_str_from(bytes, 2);
	if (!bytes.n)
		return true;
	if (bytes.n == 1)
		return false;
	*code = (unsigned)(unsigned char)bytes.p[0] << 8 | (unsigned char)bytes.p[1];
	return is_close_code(*code) && zk_utf8_valid(*reason);
}

/* ---- SHA-1 (FIPS 180-4 §6.1), which only the handshake wants; it protects nothing there ---- */

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)p[i * 4] << 24 | (uint32_t)p[i * 4 + 1] << 16 |
		       (uint32_t)p[i * 4 + 2] << 8 | p[i * 4 + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999u
		             : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1u
		             : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
		                      : (b ^ c ^ d) + 0xca62c1d6u;
		uint32_t t = rol(a, 5) + f + e + w[i];

		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void zk_wsframe_accept(zk_str key, char out[ZK_WSFRAME_ACCEPT])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* §1.3 */
	uint32_t h[5] = { 0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u,
		          0xc3d2e1f0u };
	uint8_t text[128] = { 0 };
	char digest[20];
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	size_t n = ZK_MIN(key.n, (size_t)64);

	memcpy(text, key.p, n);
	memcpy(text + n, guid, sizeof(guid) - 1);
	n += sizeof(guid) - 1;
	text[n] = 0x80;
	/* Two blocks hold any key of up to 64 characters. */
	text[126] = (uint8_t)(n * 8 >> 8);
	text[127] = (uint8_t)(n * 8);
	sha1_block(h, text);
	sha1_block(h, text + 64);
	for (unsigned i = 0; i < 20; i++)
		digest[i] = (char)(h[i / 4] >> (24 - 8 * (i % 4)));
	zk_buf_init(&b, 64);
	zk_b64_encode(zk_str_n(digest, sizeof(digest)), ZK_B64_STD, &b);
	memcpy(out, zk_buf_cstring(&b), ZK_WSFRAME_ACCEPT);
}
