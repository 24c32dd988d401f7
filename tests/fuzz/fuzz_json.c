/* Fuzz target: trees of small documents. A document is read exactly when the scanner accepts it,
 * and what is printed reads back to the same print.
 * Layer: tests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/json.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 4096

static void prints_the_same(zk_str text, zk_str want)
{
	struct zk_json *j = NULL;
	struct zk_error err;
	struct zk_buf b;

	zk_buf_init(&b, SIZE_MAX);
	ZK_ASSERT(zk_json_parse(text, SIZE_MAX, &j, &err) == 0);
	zk_json_print(j, false, &b);
	ZK_ASSERT(zk_str_eq(zk_buf_str(&b), want));
	zk_buf_done(&b);
	zk_json_free(j);
}

/* The getters answer for every path, and what they give is there. */
static void getters_hold(const struct zk_json *j)
{
	static const char *const paths[] = { "", "a", "a.0", "0", "a.b.c", ".", "a." };

	for (size_t i = 0; i < ZK_ARRAY_LEN(paths); i++) {
		const struct zk_json *at = zk_json_at(j, paths[i]);
		enum zk_jtype type = zk_json_type(at);
		struct zk_error err;
		uint64_t u;
		int64_t v;
		double d;
		zk_str s;
		bool b;

		ZK_ASSERT((zk_json_get_str(j, paths[i], &s, &err) == 0) ==
		          (type == ZK_J_STRING));
		ZK_ASSERT((zk_json_get_bool(j, paths[i], &b, &err) == 0) ==
		          (type == ZK_J_BOOL));
		if (zk_json_get_i64(j, paths[i], &v, &err) == 0)
			ZK_ASSERT(zk_json_get_double(j, paths[i], &d, &err) == 0 &&
			          d == (double)v);
		if (zk_json_get_u64(j, paths[i], &u, &err) == 0)
			ZK_ASSERT(zk_json_get_i64(j, paths[i], &v, &err) == 0 &&
			          (uint64_t)v == u);
		if (zk_json_count(at))
			ZK_ASSERT(type == ZK_J_ARRAY || type == ZK_J_OBJECT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size);
	struct zk_json *j = NULL;
	struct zk_buf plain, pretty;
	struct zk_error err;
	struct zk_jscan js;
	bool ok;
	int r;

	r = zk_json_parse(text, MAX, &j, &err);
	ok = zk_jscan(zk_jscan_skip_bom(text), ZK_JSON_DEPTH, NULL, 0, &js) == 0 &&
	     !js.has_nul && !js.has_lone && size <= MAX;
	if (r < 0) {
		ZK_ASSERT(!j && err.msg[0] && r == -(int)err.code);
		/* cJSON reads at most 63 characters of a number. */
		ZK_ASSERT(!ok || size > 60);
		return 0;
	}
	ZK_ASSERT(ok && zk_json_type(j) == js.top.type);
	ZK_ASSERT(zk_json_count(j) == js.members);
	getters_hold(j);
	zk_buf_init(&plain, SIZE_MAX);
	zk_buf_init(&pretty, SIZE_MAX);
	zk_json_print(j, false, &plain);
	zk_json_print(j, true, &pretty);
	prints_the_same(zk_buf_str(&plain), zk_buf_str(&plain));
	prints_the_same(zk_buf_str(&pretty), zk_buf_str(&plain));
	zk_buf_done(&plain);
	zk_buf_done(&pretty);
	zk_json_free(j);
	return 0;
}
