/* The lines of `zk spool export`: whatever the record holds, the line is one line of JSON, and the
 * body comes back byte for byte.
 * Layer: tests. Input: the body, then a NUL, then the metadata; both also as key and reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/b64.h"
#include "codec/jscan.h"
#include "store/spool_line.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static zk_str inside(zk_str raw)
{
	return zk_str_n(raw.p + 1, raw.n - 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("body") },
		                   { .name = ZK_STR_INIT("body_base64") } };
	zk_str in = zk_str_n((const char *)data, size), body, meta;
	struct zk_jscan js;
	struct zk_buf b, bytes;

	meta = zk_str_cut(in, '\0', &body);
	struct zk_spool_rec rec = { .kind = ZK_STR("a"),
		                    .dest = ZK_STR("b"),
		                    .key = meta,
		                    .meta = meta,
		                    .last_error = body,
		                    .body = body };

	zk_buf_init(&b, 1 << 24);
	zk_buf_init(&bytes, 1 << 24);
	zk_spool_put_record(&b, &rec);
	zk_str line = zk_buf_str(&b);

	ZK_ASSERT(!b.failed && line.n && line.p[line.n - 1] == '\n');
	line.n--;
	ZK_ASSERT(!memchr(line.p, '\n', line.n));
	ZK_ASSERT(zk_jscan(line, 600, want, ZK_ARRAY_LEN(want), &js) == 0);
	ZK_ASSERT(js.top.type == ZK_J_OBJECT && want[0].count + want[1].count == 1);
	if (want[0].count) {
		ZK_ASSERT(zk_str_eq(want[0].val.raw, body));
	} else {
		ZK_ASSERT(zk_b64_decode(inside(want[1].val.raw), ZK_B64_STD, &bytes));
		ZK_ASSERT(zk_str_eq(zk_buf_str(&bytes), body));
	}
	zk_buf_done(&b);
	zk_buf_done(&bytes);
	return 0;
}
