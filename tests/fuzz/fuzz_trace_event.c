/* Fuzz target: trace events and --map. What is taken is one valid JSON object that carries the
 * mark and needs no more mending; what is not leaves nothing behind.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "codec/jscan.h"
#include "zip/trace_event.h"
#include "zip/trace_map.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct zk_zip_event_conf conf = { .mark = ZK_STR_INIT("00ff"), .now_ms = 1 };

static void take(zk_str line)
{
	struct zk_zip_event e, again;
	struct zk_error err = { 0 };
	struct zk_jscan js;
	struct zk_buf out, second;
	uint64_t seq;

	zk_buf_init(&out, line.n + 8192);
	zk_buf_init(&second, line.n + 16384);
	if (zk_zip_event_take(&conf, line, 42, &out, &e, &err) < 0) {
		ZK_ASSERT(out.n == 0 && e.kind && err.code);
	} else {
		ZK_ASSERT(zk_jscan(zk_buf_str(&out), 300, NULL, 0, &js) == 0);
		ZK_ASSERT(js.top.type == ZK_J_OBJECT && !js.has_nul);
		ZK_ASSERT(zk_zip_event_mark(zk_buf_str(&out), conf.mark, &seq) &&
		          seq == 42);
		ZK_ASSERT(zk_zip_event_take(&conf, zk_buf_str(&out), 43, &second, &again,
		                            &err) == 0);
		ZK_ASSERT(!again.mends);
	}
	zk_buf_done(&out);
	zk_buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const rules[] = { "nodeId=.a.0", "data.preview=.b",
		                             "error.message=.c", "metadata.custom.x=.d",
		                             "eventType=log" };
	zk_str line = zk_str_n((const char *)data, size);
	struct zk_error err = { 0 };
	struct zk_zip_map *m;
	struct zk_buf out;

	take(line);
	ZK_ASSERT(zk_zip_map_new(rules, ZK_ARRAY_LEN(rules), &m, &err) == 0);
	zk_buf_init(&out, 8 * size + 4096);
	if (zk_zip_map_apply(m, line, &out, &err) == 0)
		take(zk_buf_str(&out));
	zk_buf_done(&out);
	zk_zip_map_free(m);
	return 0;
}
