/* Frames of WebSockets of either side: whatever the chunks are, the same pieces come out, they lie in
 * the input, what was sealed is read again, and a close frame is judged without a crash (RFC 6455 §5).
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/wsframe.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_close(zk_str bytes)
{
	unsigned code;
	zk_str reason;

	if (zk_wsframe_close_read(bytes, &code, &reason))
		ZK_ASSERT(code >= 1000 && code < 5000 && zk_utf8_valid(reason));
}

/* What was read, in one text; whether it failed. */
static bool cut(bool client, zk_str in, size_t step, struct zk_buf *out)
{
	struct zk_wsframe f;
	struct zk_wsframe_piece p;

	zk_wsframe_init(&f, client);
	for (size_t at = 0; at < in.n; at += step) {
		size_t n = ZK_MIN(step, in.n - at);
		char *piece = malloc(n);
		zk_str chunk = zk_str_n(memcpy(piece, in.p + at, n), n);

		while (zk_wsframe_next(&f, &chunk, &p)) {
			if (p.first)
				zk_buf_printf(out, "<%d", (int)p.op);
			zk_buf_add(out, p.bytes);
			if (client && p.op < ZK_WSFRAME_CLOSE && p.bytes.n)
				zk_wsframe_unmask(out->p + out->n - p.bytes.n, p.bytes.n,
				                  p.mask);
			if (p.last)
				zk_buf_char(out, '>');
			if (p.op == ZK_WSFRAME_CLOSE)
				note_close(p.bytes);
			ZK_ASSERT(p.op < ZK_WSFRAME_CLOSE || (p.first && p.last));
		}
		free(piece);
	}
	return f.failed != NULL;
}

static void check_chunks(bool client, zk_str in)
{
	static const size_t steps[] = { 1, 2, 7, 13, 14, 15, 64 };
	struct zk_buf whole, parts;
	bool failed;

	zk_buf_init(&whole, in.n * 8 + 64);
	failed = cut(client, in, in.n + 1, &whole);
	for (size_t i = 0; i < ZK_ARRAY_LEN(steps); i++) {
		zk_buf_init(&parts, in.n * 8 + 64);
		ZK_ASSERT(cut(client, in, steps[i], &parts) == failed);
		ZK_ASSERT(zk_str_eq(zk_buf_str(&parts), zk_buf_str(&whole)));
		zk_buf_done(&parts);
	}
	zk_buf_done(&whole);
}

/* The input as a payload. */
static void check_seal(bool client, zk_str in)
{
	static const uint8_t mask[4] = { 1, 2, 3, 0xff };
	char *room = malloc(ZK_WSFRAME_HEAD_MAX + in.n),
	     *end = room + ZK_WSFRAME_HEAD_MAX;
	struct zk_buf out;
	const char *p;

	if (in.n)
		memcpy(end, in.p, in.n);
	p = zk_wsframe_seal(end, in.n, ZK_WSFRAME_BINARY, client ? mask : NULL);
	zk_buf_init(&out, in.n + 16);
	ZK_ASSERT(!cut(client, zk_str_n(p, (size_t)(end - p) + in.n), 4096, &out));
	ZK_ASSERT(out.n == in.n + 3 && memcmp(out.p, "<2", 2) == 0);
	ZK_ASSERT(!in.n || memcmp(out.p + 2, in.p, in.n) == 0);
	zk_buf_done(&out);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str in = zk_str_n((const char *)data, size);

	check_chunks(/* client */ false, in);
	check_chunks(/* client */ true, in);
	check_seal(false, in);
	check_seal(true, in);
	return 0;
}
