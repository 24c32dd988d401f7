/* Fuzz target: texts inside URLs. What is decoded encodes and decodes to itself; queries and paths
 * come apart into pieces that make up the whole.
 * Layer: tests. */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "codec/uri.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decodes(zk_str text, enum zk_uri_part part)
{
	struct zk_buf plain, coded, again;

	zk_buf_init(&plain, text.n);
	zk_buf_init(&coded, 3 * text.n);
	zk_buf_init(&again, 3 * text.n);
	if (zk_uri_decode(text, part, &plain)) {
		ZK_ASSERT(zk_utf8_valid(zk_buf_str(&plain)));
		ZK_ASSERT(zk_str_find_char(zk_buf_str(&plain), '\0') < 0);
		zk_buf_percent(&coded, zk_buf_str(&plain));
		ZK_ASSERT(zk_uri_decode(zk_buf_str(&coded), part, &again));
		ZK_ASSERT(zk_str_eq(zk_buf_str(&plain), zk_buf_str(&again)));
	}
	ZK_ASSERT(!plain.failed);
	zk_buf_done(&plain);
	zk_buf_done(&coded);
	zk_buf_done(&again);
}

static void comes_apart(zk_str text)
{
	zk_str path, query, name, value, segment;
	size_t n = 0;

	zk_uri_split(text, &path, &query);
	ZK_ASSERT(path.n + query.n <= text.n && zk_str_find_char(path, '?') < 0);
	while (zk_uri_query_next(&query, &name, &value, NULL)) {
		ZK_ASSERT(zk_str_find_char(name, '=') < 0 &&
		          zk_str_find_char(value, '&') < 0);
		n += name.n + value.n;
	}
	ZK_ASSERT(n <= text.n);
	for (n = 0; zk_uri_path_next(&path, &segment);) {
		ZK_ASSERT(zk_str_find_char(segment, '/') < 0);
		n += segment.n + 1;
	}
	ZK_ASSERT(n <= text.n);
	(void)zk_uri_query_find(text, ZK_STR("limit"), &value); /* safe on anything */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size);

	decodes(text, ZK_URI_PATH);
	decodes(text, ZK_URI_QUERY);
	comes_apart(text);
	return 0;
}
