/* Fuzz target: bytes of a peer for the HTTP/2 engine, as client with a request under way and as
 * server: nothing but its callbacks and errors comes of them.
 * The first byte chooses the role and the size of the chunks.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "net/h2.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct zk_h2 *h;
	unsigned answered;
};

static void on_header(void *ctx, int32_t id, zk_str name, zk_str value)
{
	(void)ctx;
	ZK_ASSERT(id > 0 && name.n <= 65536 && value.n <= 65536);
}

static void on_head(void *ctx, int32_t id)
{
	static const struct zk_h2_header head[] = { { ZK_STR_INIT(":status"),
		                                      ZK_STR_INIT("200"), false } };
	struct peer *p = ctx;

	if (id % 2 == 1 && p->answered++ < 8)
		zk_h2_respond(p->h, id, head, 1, /* body */ true);
}

static void on_client_head(void *ctx, int32_t id)
{
	(void)ctx;
	(void)id;
}

static void on_data(void *ctx, int32_t id, zk_str bytes)
{
	(void)ctx;
	ZK_ASSERT(id > 0 && bytes.n <= 1 << 24);
}

static void on_end(void *ctx, int32_t id)
{
	(void)ctx;
	(void)id;
}

static void on_reset(void *ctx, int32_t id, uint32_t code)
{
	(void)ctx;
	(void)id;
	(void)code;
}

static void on_goaway(void *ctx, int32_t last_id, uint32_t code)
{
	(void)ctx;
	(void)last_id;
	(void)code;
}

static size_t ready(void *ctx, int32_t id, size_t room, enum zk_h2_more *more)
{
	(void)ctx;
	(void)id;
	*more = ZK_H2_END;
	return ZK_MIN(room, (size_t)100);
}

static void take(void *ctx, int32_t id, char *to, size_t n)
{
	(void)ctx;
	(void)id;
	memset(to, 'x', n);
}

static void request(struct peer *p)
{
	static const struct zk_h2_header head[] = {
		{ ZK_STR_INIT(":method"), ZK_STR_INIT("POST"), false },
		{ ZK_STR_INIT(":scheme"), ZK_STR_INIT("http"), false },
		{ ZK_STR_INIT(":path"), ZK_STR_INIT("/"), false },
		{ ZK_STR_INIT(":authority"), ZK_STR_INIT("x"), false },
	};
	struct zk_error err = { 0 };
	int32_t id;

	ZK_IGNORE(zk_h2_request(p->h, head, 4, &id, &err) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer p = { 0 };
	struct zk_h2_conf conf = {
		.server = size && data[0] & 1,
		.ctx = &p,
		.on_header = on_header,
		.on_head = size && data[0] & 1 ? on_head : on_client_head,
		.on_data = on_data,
		.on_end = on_end,
		.on_reset = on_reset,
		.on_closed = on_end,
		.on_goaway = on_goaway,
		.ready = ready,
		.take = take,
	};
	struct zk_error err = { 0 };
	struct zk_buf out;
	size_t at = 1, chunk;

	if (size < 1 || zk_h2_new(&conf, &p.h, &err) < 0)
		return 0;
	chunk = 1 + (data[0] >> 1);
	zk_buf_init(&out, (size_t)4 << 20);
	if (!conf.server)
		request(&p);
	while (at < size) {
		size_t n = ZK_MIN(chunk, size - at);

		zk_buf_clear(&out);
		if (zk_h2_fill(p.h, &out, 65536, &err) < 0 ||
		    zk_h2_feed(p.h, zk_str_n((const char *)data + at, n), &err) < 0) {
			ZK_ASSERT(err.msg[0]);
			break;
		}
		at += n;
	}
	zk_buf_clear(&out);
	ZK_IGNORE(zk_h2_fill(p.h, &out, 65536, &err) < 0); /* its goodbye */
	zk_buf_done(&out);
	zk_h2_free(p.h);
	return 0;
}
