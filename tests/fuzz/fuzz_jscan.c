/* Fuzz target: the JSON scanner. What it accepts, cJSON accepts too, compacts to itself, and comes
 * apart into slices that are values again. The functions over slices are safe on any text.
 * Layer: tests. */
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/jplan.h"
#include "codec/jscan.h"

#include "base/ban.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH 64

/* cJSON reads at most 63 characters of a number. */
static bool has_long_number(zk_str text)
{
	size_t run = 0;

	for (size_t i = 0; i < text.n && run < 60; i++)
		run = memchr("+-.eE0123456789", text.p[i], 15) ? run + 1 : 0;
	return run == 60;
}

static void agree_with_cjson(zk_str text, const struct zk_jscan *js)
{
	const char *end = NULL;
	cJSON *tree;

	if (js->has_nul || js->has_lone || has_long_number(text))
		return;
	tree = cJSON_ParseWithLengthOpts(text.p, text.n, &end, false);
	ZK_ASSERT(tree);
	ZK_ASSERT(cJSON_IsObject(tree) == (js->top.type == ZK_J_OBJECT));
	ZK_ASSERT(cJSON_IsString(tree) == (js->top.type == ZK_J_STRING));
	if (cJSON_IsArray(tree) || cJSON_IsObject(tree))
		ZK_ASSERT((size_t)cJSON_GetArraySize(tree) == js->members);
	cJSON_Delete(tree);
}

static void compacts_to_itself(zk_str text, const struct zk_jscan *js)
{
	struct zk_buf once, twice;
	struct zk_jscan again;

	zk_buf_init(&once, text.n);
	zk_buf_init(&twice, text.n);
	zk_jscan_compact(text, &once);
	ZK_ASSERT(!once.failed);
	ZK_ASSERT(zk_jscan(zk_buf_str(&once), DEPTH, NULL, 0, &again) == 0);
	ZK_ASSERT(!again.top.has_space && again.top.type == js->top.type);
	ZK_ASSERT(again.members == js->members && again.depth == js->depth);
	ZK_ASSERT(again.has_nul == js->has_nul && again.has_lone == js->has_lone);
	ZK_ASSERT(js->top.has_space || zk_str_eq(zk_buf_str(&once), js->top.raw));
	zk_jscan_compact(zk_buf_str(&once), &twice);
	ZK_ASSERT(zk_str_eq(zk_buf_str(&once), zk_buf_str(&twice)));
	zk_buf_done(&once);
	zk_buf_done(&twice);
}

/* Decoding, encoding and decoding again gives the same text. */
static void decodes(zk_str raw, struct zk_buf *text)
{
	struct zk_buf json, back;
	struct zk_jscan js;
	struct zk_error err;

	zk_buf_init(&json, 6 * raw.n + 2);
	zk_buf_init(&back, 3 * raw.n);
	ZK_ASSERT(zk_jstr_decode(raw, ZK_JLONE_REPLACE, text, &err) == 0);
	ZK_ASSERT(!text->failed && zk_utf8_valid(zk_buf_str(text)));
	ZK_ASSERT(zk_jscan(raw, 0, NULL, 0, &js) == 0);
	ZK_ASSERT(zk_jstr_eq(raw, zk_buf_str(text)) == !js.has_lone);
	ZK_ASSERT((zk_jstr_decode(raw, ZK_JLONE_ERROR, &back, &err) == 0) ==
	          !js.has_lone);
	zk_buf_clear(&back);
	zk_buf_json_str(&json, zk_buf_str(text));
	ZK_ASSERT(zk_jscan(zk_buf_str(&json), 0, NULL, 0, &js) == 0);
	ZK_ASSERT(zk_jstr_decode(zk_buf_str(&json), ZK_JLONE_ERROR, &back, &err) == 0);
	ZK_ASSERT(zk_str_eq(zk_buf_str(text), zk_buf_str(&back)));
	zk_buf_done(&json);
	zk_buf_done(&back);
}

static void is_value(const struct zk_jval *val)
{
	struct zk_jscan js;
	uint64_t u;
	int64_t i;
	double d;

	ZK_ASSERT(zk_jscan(val->raw, DEPTH, NULL, 0, &js) == 0);
	ZK_ASSERT(js.top.type == val->type && js.top.raw.n == val->raw.n);
	if (val->type == ZK_J_NUMBER && zk_jnum_u64(val->raw, &u) && u <= INT64_MAX)
		ZK_ASSERT(zk_jnum_i64(val->raw, &i) && (uint64_t)i == u);
	if (val->type == ZK_J_NUMBER && zk_jnum_i64(val->raw, &i))
		ZK_ASSERT(zk_jnum_double(val->raw, &d) && d == (double)i);
}

/* The one-pass search against a walk over the members. */
static void finds_last(zk_str text, zk_str name)
{
	struct zk_jwant want = { .name = name };
	struct zk_jval last = { 0 }, val;
	struct zk_jiter it;
	struct zk_jscan js;
	size_t count = 0;
	zk_str key;

	ZK_ASSERT(zk_jscan(text, DEPTH, &want, 1, &js) == 0);
	zk_jiter_init(&it, js.top.raw);
	while (zk_jiter_member(&it, &key, &val)) {
		if (!zk_jstr_eq(key, name))
			continue;
		last = val;
		count++;
	}
	ZK_ASSERT(want.count == count);
	ZK_ASSERT(want.val.raw.p == last.raw.p && want.val.raw.n == last.raw.n);
	ZK_ASSERT(want.val.type == last.type);
}

/* A plan against walks along the same paths. */
static void finds_nested(zk_str text)
{
	static const struct zk_jplan_want wants[] = {
		{ ZK_STR_INIT("a"), 0 }, { ZK_STR_INIT("b"), 0 }, { ZK_STR_INIT("a"), 1 },
		{ ZK_STR_INIT("b"), 1 }, { ZK_STR_INIT("b"), 4 },
	};
	static const zk_str paths[] = { ZK_STR_INIT("a"), ZK_STR_INIT("b"),
		                        ZK_STR_INIT("a.a"), ZK_STR_INIT("a.b"),
		                        ZK_STR_INIT("a.b.b") };
	struct zk_jval vals[ZK_ARRAY_LEN(wants)], val;
	struct zk_jplan plan;
	struct zk_jscan js;

	zk_jplan_init(&plan, wants, ZK_ARRAY_LEN(wants));
	ZK_ASSERT(zk_jscan_plan(text, DEPTH, &plan, vals, &js) == 0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(paths); i++) {
		bool there = zk_jscan_get(text, paths[i], &val);

		ZK_ASSERT(there == (vals[i].type != ZK_J_NONE));
		ZK_ASSERT(!there ||
		          (val.raw.p == vals[i].raw.p && val.raw.n == vals[i].raw.n));
	}
}

static void comes_apart(zk_str text, const struct zk_jscan *js)
{
	struct zk_jiter it;
	struct zk_jval val;
	size_t n = 0;
	zk_str key;

	zk_jiter_init(&it, js->top.raw);
	while (js->top.type == ZK_J_OBJECT && zk_jiter_member(&it, &key, &val)) {
		struct zk_buf name;

		zk_buf_init(&name, 3 * key.n);
		decodes(key, &name);
		is_value(&val);
		if (n++ < 4)
			finds_last(text, zk_buf_str(&name));
		zk_buf_done(&name);
	}
	while (js->top.type == ZK_J_ARRAY && zk_jiter_element(&it, &val)) {
		is_value(&val);
		n++;
	}
	ZK_ASSERT(n == js->members);
}

/* Text that may be anything: the walks end and stay inside. */
static void is_safe(zk_str text)
{
	struct zk_jiter it;
	struct zk_jval val;
	struct zk_buf b;
	size_t n = 0;
	zk_str key;

	zk_jiter_init(&it, text);
	while (zk_jiter_member(&it, &key, &val))
		ZK_ASSERT(++n <= text.n && val.raw.p + val.raw.n <= text.p + text.n);
	zk_jiter_init(&it, text);
	for (n = 0; zk_jiter_element(&it, &val);)
		ZK_ASSERT(++n <= text.n && val.raw.p + val.raw.n <= text.p + text.n);
	if (zk_jscan_get(text, ZK_STR("a.0.b.1"), &val))
		ZK_ASSERT(val.raw.n <= text.n);
	zk_buf_init(&b, text.n);
	zk_jscan_compact(text, &b);
	ZK_ASSERT(!b.failed);
	zk_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str text = zk_str_n((const char *)data, size);
	struct zk_jscan js;
	int r = zk_jscan(text, DEPTH, NULL, 0, &js);

	is_safe(text);
	if (r < 0) {
		ZK_ASSERT(js.offset <= size && js.what && r == -(int)js.code);
		ZK_ASSERT(js.code == ZK_E_JSON || js.code == ZK_E_UTF8 ||
		          js.code == ZK_E_LIMIT);
		return 0;
	}
	ZK_ASSERT(zk_utf8_valid(text));
	agree_with_cjson(text, &js);
	compacts_to_itself(text, &js);
	comes_apart(text, &js);
	finds_nested(text);
	if (js.top.type == ZK_J_STRING) {
		struct zk_buf b;

		zk_buf_init(&b, 3 * size);
		decodes(js.top.raw, &b);
		zk_buf_done(&b);
	}
	return 0;
}
