/* The body of POST /api/events: what is accepted is whole, compact and within its limits, and
 * white space around it changes nothing (specs/triggers.md §5.5, §18.12). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jscan.h"
#include "triggers/api_input.h"

#include "base/ban.h"

#define MAX_PAYLOAD 4096
#define MAX_DEPTH   16

static void check_ok(const struct zk_trig_input *i)
{
	struct zk_jscan js;

	ZK_ASSERT(zk_jscan(i->in.payload, MAX_DEPTH, NULL, 0, &js) == 0);
	ZK_ASSERT(js.top.type != ZK_J_NULL && !js.top.has_space);
	ZK_ASSERT(zk_str_eq(js.top.raw, i->in.payload));
	ZK_ASSERT(i->in.payload.n <= MAX_PAYLOAD && i->size == i->in.payload.n);
	ZK_ASSERT(zk_trig_text_ok(i->in.type, 255) && zk_utf8_valid(i->in.type));
	ZK_ASSERT(!i->in.dedup_id.p ||
	          (i->in.dedup_id.n && zk_utf8_len(i->in.dedup_id) <= 255));
}

static enum zk_trig_input_result read_one(zk_str text, zk_str fallback,
                                          struct zk_trig_input **ret)
{
	static struct zk_trig_server server;
	struct zk_trig_call call = { .s = &server };
	struct zk_trig_invalid bad = { 0 };
	struct zk_trig_input *i = zk_trig_input_new();

	server.conf.max_payload = MAX_PAYLOAD;
	server.conf.max_depth = MAX_DEPTH;
	enum zk_trig_input_result r = zk_trig_input_read(i, &call, text, fallback, &bad);

	ZK_ASSERT((r == ZK_TRIG_INPUT_INVALID) == (bad.n > 0));
	if (r == ZK_TRIG_INPUT_JSON)
		ZK_ASSERT(i->offset <= text.n && i->what);
	if (r == ZK_TRIG_INPUT_LARGE)
		ZK_ASSERT(i->size > MAX_PAYLOAD);
	if (r == ZK_TRIG_INPUT_OK)
		check_ok(i);
	if (bad.n)
		zk_buf_done(&bad.json);
	*ret = i;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_trig_input *a, *b;
	size_t key_n = size ? data[0] % 8 : 0;

	if (size < key_n + 1)
		return 0;
	zk_str key = zk_str_n((const char *)data + 1, key_n);
	zk_str text = zk_str_n((const char *)data + 1 + key_n, size - 1 - key_n);
	enum zk_trig_input_result r = read_one(text, key, &a);
	char *padded = zk_alloc(text.n + 4);

	padded[0] = '\n';
	memcpy(padded + 1, text.p, text.n);
	memcpy(padded + 1 + text.n, " \t\r", 3);
	ZK_ASSERT(read_one(zk_str_n(padded, text.n + 4), key, &b) == r);
	if (r == ZK_TRIG_INPUT_OK) {
		ZK_ASSERT(zk_str_eq(a->in.payload, b->in.payload));
		ZK_ASSERT(zk_str_eq(a->in.type, b->in.type));
		ZK_ASSERT(zk_str_eq(a->in.dedup_id, b->in.dedup_id));
	}
	zk_trig_input_free(a);
	zk_trig_input_free(b);
	free(padded);
	return 0;
}
