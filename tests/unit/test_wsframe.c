/* Frames of WebSockets in every chunking, what breaks the protocol, the handshake's key (RFC 6455
 * §1.3, §5.7). Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/wsframe.h"

#include "base/ban.h"

/* Feeds `in` in pieces of `step`: messages as "text:…;", control frames likewise; what failed. */
static const char *read_from(bool client, zk_str in, size_t step, struct zk_buf *out)
{
	struct zk_wsframe f;
	struct zk_wsframe_piece p;

	zk_wsframe_init(&f, client);
	for (size_t at = 0; at < in.n; at += step) {
		size_t n = ZK_MIN(step, in.n - at);
		char *copy = zk_strndup(in.p + at, n);
		zk_str chunk = zk_str_n(copy, n);

		while (zk_wsframe_next(&f, &chunk, &p)) {
			if (p.first)
				zk_buf_printf(out, "%d:", (int)p.op);
			zk_buf_add(out, p.bytes);
			if (client && p.op < ZK_WSFRAME_CLOSE && p.bytes.n)
				zk_wsframe_unmask(out->p + out->n - p.bytes.n, p.bytes.n,
				                  p.mask);
			if (p.last)
				zk_buf_char(out, ';');
		}
		free(copy);
	}
	return f.failed;
}

static const char *read_all(zk_str in, size_t step, struct zk_buf *out)
{
	return read_from(/* client */ false, in, step, out);
}

static const struct {
	zk_str in;
	const char *out;
} good[] = {
	{ ZK_STR_INIT("\x81\x05Hello"), "1:Hello;" },
	{ ZK_STR_INIT("\x01\x03Hel\x80\x02lo"), "1:Hello;" },
	{ ZK_STR_INIT("\x01\x03Hel\x89\x01!\x80\x02lo\x82\x01x"), "1:Hel9:!;lo;2:x;" },
	{ ZK_STR_INIT("\x81\x00"), "1:;" },
	{ ZK_STR_INIT("\x01\x00\x00\x00\x80\x01x"), "1:x;" },
	{ ZK_STR_INIT("\x88\x02\x03\xe8"), "8:\x03\xe8;" },
	{ ZK_STR_INIT("\x8a\x00\x81\x7e\x00\x03"
	              "abc"),
	  "10:;1:abc;" },
};

Test(wsframe, every_chunking)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		for (size_t step = 1; step <= good[i].in.n; step++) {
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			cr_expect_null(read_all(good[i].in, step, &out));
			cr_expect_str_eq(zk_buf_cstring(&out), good[i].out,
			                 "case %zu, step %zu", i, step);
			zk_buf_done(&out);
		}
	}
}

static const zk_str bad[] = {
	ZK_STR_INIT("\xc1\x00"), /* reserved bit */
	ZK_STR_INIT("\x83\x00"), /* unknown kinds */
	ZK_STR_INIT("\x8b\x00"),
	ZK_STR_INIT("\x81\x81\x01\x02\x03\x04x"), /* masked */
	ZK_STR_INIT("\x80\x01x"),                 /* nothing to continue */
	ZK_STR_INIT("\x01\x01x\x81\x01y"),        /* a message within another */
	ZK_STR_INIT("\x09\x00"),                  /* a control frame in pieces */
	ZK_STR_INIT("\x89\x7e\x00\x7e"),          /* one that is too long */
	ZK_STR_INIT("\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
};

Test(wsframe, broken_protocol)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++) {
		for (size_t step = 1; step <= bad[i].n; step++) {
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			cr_expect_not_null(read_all(bad[i], step, &out), "case %zu", i);
			zk_buf_done(&out);
		}
	}
}

Test(wsframe, sealed_frames)
{
	static const size_t sizes[] = { 0, 1, 5, 125, 126, 127, 65535, 65536, 70000 };
	static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

	for (size_t i = 0; i < ZK_ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i], head = n < 126 ? 6 : n < 65536 ? 8 : 14;
		char *room = zk_alloc0(ZK_WSFRAME_HEAD_MAX + n + 1);
		char *end = room + ZK_WSFRAME_HEAD_MAX, *p;

		memset(end, 'x', n);
		p = zk_wsframe_seal(end, n, ZK_WSFRAME_TEXT, mask);
		cr_expect_eq(end - p, (ptrdiff_t)head, "size %zu", n);
		cr_expect_eq((unsigned char)p[0], 0x81);
		cr_expect((unsigned char)p[1] & 0x80, "it is masked");
		for (size_t k = 0; k < n; k++)
			cr_assert_eq((unsigned char)end[k], 'x' ^ mask[k & 3]);
		free(room);
	}
}

/* The same frames as a client sends them: masked, each with another mask. */
static void mask_all(zk_str in, struct zk_buf *out)
{
	uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

	while (in.n) {
		size_t n = (unsigned char)in.p[1], head = 2;

		if (n == 126) {
			head = 4;
			n = (size_t)(unsigned char)in.p[2] << 8 | (unsigned char)in.p[3];
		}
		zk_buf_put(out, in.p, head);
		out->p[out->n - head + 1] |= (char)0x80;
		zk_buf_put(out, (const char *)mask, 4);
		zk_buf_put(out, in.p + head, n);
		zk_wsframe_unmask(out->p + out->n - n, n, mask);
		in = zk_str_from(in, head + n);
		mask[3]++;
	}
}

Test(wsframe, frames_of_a_client)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		struct zk_buf in;

		zk_buf_init(&in, 1000);
		mask_all(good[i].in, &in);
		for (size_t step = 1; step <= in.n; step++) {
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			cr_expect_null(read_from(true, zk_buf_str(&in), step, &out));
			cr_expect_str_eq(zk_buf_cstring(&out), good[i].out,
			                 "case %zu, step %zu", i, step);
			zk_buf_clear(&out);
			cr_expect_not_null(read_from(true, good[i].in, step, &out),
			                   "not masked, case %zu, step %zu", i, step);
			zk_buf_done(&out);
		}
		zk_buf_done(&in);
	}
}

Test(wsframe, frames_of_a_server)
{
	static const size_t sizes[] = { 0, 125, 126, 65535, 65536 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i], head = n < 126 ? 2 : n < 65536 ? 4 : 10;
		char room[ZK_WSFRAME_HEAD_MAX], *end = room + sizeof(room);
		const char *p = zk_wsframe_seal(end, n, ZK_WSFRAME_TEXT, NULL);

		cr_expect_eq(end - p, (ptrdiff_t)head, "size %zu", n);
		cr_expect_eq((unsigned char)p[0], 0x81);
		cr_expect_not((unsigned char)p[1] & 0x80, "it is not masked");
	}
}

Test(wsframe, reading_a_close)
{
	static const struct {
		zk_str in;
		bool ok;
		unsigned code;
	} rows[] = {
		{ ZK_STR_INIT(""), true, 1005 },
		{ ZK_STR_INIT("\x03"), false, 0 },
		{ ZK_STR_INIT("\x03\xe8"), true, 1000 },
		{ ZK_STR_INIT("\x03\xe9"
		              "bye"),
		  true, 1001 },
		{ ZK_STR_INIT("\x03\xec"), false, 0 }, /* 1004 to 1006 */
		{ ZK_STR_INIT("\x03\xed"), false, 0 },
		{ ZK_STR_INIT("\x03\xee"), false, 0 },
		{ ZK_STR_INIT("\x03\xf7"), false, 0 }, /* 1015 */
		{ ZK_STR_INIT("\x0b\xb7"), false, 0 }, /* 2999 */
		{ ZK_STR_INIT("\x0b\xb8"), true, 3000 },
		{ ZK_STR_INIT("\x13\x88"), false, 0 }, /* 5000 */
		{ ZK_STR_INIT("\x03\xe8\xff"), false, 0 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++) {
		unsigned code = 0;
		zk_str reason;
		bool ok = zk_wsframe_close_read(rows[i].in, &code, &reason);

		cr_expect_eq(ok, rows[i].ok, "case %zu", i);
		if (ok)
			cr_expect_eq(code, rows[i].code, "case %zu", i);
	}
}

Test(wsframe, handshake)
{
	char out[ZK_WSFRAME_ACCEPT];

	zk_wsframe_accept(ZK_STR("dGhlIHNhbXBsZSBub25jZQ=="), out);
	cr_expect_str_eq(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
