/* The Arrow reader on fixtures that were cut short, changed, or fed in pieces; limits of memory.
 * Layer: tests. tests/peer/arrow_fixtures.py compares the rows. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/arrow.h"
#include "arrow_walk.h"

#include "base/ban.h"

static void load(const char *name, struct zk_buf *b)
{
	char path[512], piece[4096];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/tests/data/arrow/%s", getenv("TEST_SRC"),
	               name);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s", path);
	zk_buf_init(b, 1 << 20);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		zk_buf_put(b, piece, n);
	(void)fclose(f);
}

static void each(void (*fn)(const char *name, zk_str bytes))
{
	char path[512];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/tests/data/arrow", getenv("TEST_SRC"));
	d = opendir(path);
	cr_assert_not_null(d);
	while ((e = readdir(d))) {
		struct zk_buf b;

		if (!strstr(e->d_name, ".arrow"))
			continue;
		load(e->d_name, &b);
		fn(e->d_name, zk_buf_str(&b));
		zk_buf_done(&b);
	}
	(void)closedir(d);
}

/* A copy of its own, so that a byte too far is seen. */
static struct arrow_walked walk_copy(zk_str bytes, bool as_file)
{
	char *copy = zk_alloc(bytes.n + 1);
	struct arrow_walked w;

	if (bytes.n)
		memcpy(copy, bytes.p, bytes.n);
	copy = zk_realloc(copy, bytes.n ? bytes.n : 1);
	w = arrow_walk(zk_str_n(copy, bytes.n), SIZE_MAX, as_file);
	free(copy);
	return w;
}

static void cut_everywhere(const char *name, zk_str bytes)
{
	bool as_file = strstr(name, ".arrows") == NULL;
	struct arrow_walked whole = walk_copy(bytes, as_file);
	/* At every length; of the larger ones only TEST_ALL has the time. */
	size_t step = bytes.n <= 4096 || getenv("TEST_ALL") ? 1
	              : bytes.n <= 16000                    ? 7
	                                                    : 4099;

	cr_expect_eq(whole.r, 0, "%s: %s", name, whole.err.msg);
	for (size_t n = 0; n < bytes.n; n += step) {
		struct arrow_walked w = walk_copy(zk_str_n(bytes.p, n), as_file);

		cr_expect(w.rows <= whole.rows, "%s cut at %zu", name, n);
		cr_expect(w.r == 0 || w.err.msg[0], "%s cut at %zu", name, n);
		if (as_file)
			cr_expect(w.r < 0, "%s cut at %zu", name, n);
	}
}

Test(arrow, every_file_cut_short)
{
	each(cut_everywhere);
}

static size_t flips;

/* One bit or all of each byte, other files, other bits: 20,000 runs and more. Whatever comes of it,
 * nothing is read or written outside, and a failure says what it is. */
static void flip_everywhere(const char *name, zk_str bytes)
{
	bool as_file = strstr(name, ".arrows") == NULL;
	char *copy;

	if (bytes.n > 4096)
		return;
	copy = zk_alloc(bytes.n);
	memcpy(copy, bytes.p, bytes.n);
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned bit = (unsigned)(i + bytes.n) % 9;
		struct arrow_walked w;

		copy[i] = (char)(bytes.p[i] ^ (bit < 8 ? 1 << bit : 0xff));
		w = walk_copy(zk_str_n(copy, bytes.n), as_file);
		cr_expect(w.r == 0 || w.err.msg[0], "%s changed at %zu", name, i);
		copy[i] = bytes.p[i];
		flips++;
	}
	free(copy);
}

Test(arrow, every_byte_changed)
{
	each(flip_everywhere);
	cr_expect_geq(flips, 20000u, "%zu", flips);
}

Test(arrow, a_bomb_allocates_nothing)
{
	struct zk_buf b;
	struct arrow_walked w;

	load("bad/zstd_bomb.arrows", &b);
	w = walk_copy(zk_buf_str(&b), false);
	cr_expect_eq(w.r, -ZK_E_ZB_ARROW_LIMIT, "%s", w.err.msg);
	zk_buf_done(&b);
	load("bad/field_bomb.arrows", &b);
	w = walk_copy(zk_buf_str(&b), false);
	cr_expect_eq(w.r, -ZK_E_ZB_ARROW_LIMIT, "%s", w.err.msg);
	zk_buf_done(&b);
}

Test(arrow, a_repeated_schema_is_the_same_object)
{
	struct zk_arrow_conf conf = { 0 };
	struct zk_arrow *a = zk_arrow_new(&conf);
	const struct zk_arrow_schema *first = NULL;
	enum zk_arrow_ev ev = ZK_ARROW_SCHEMA;
	struct zk_error err;
	unsigned schemas = 0;
	struct zk_buf b;
	zk_str chunk;

	load("concat.arrows", &b);
	chunk = zk_buf_str(&b);
	while (ev != ZK_ARROW_MORE) {
		cr_assert_eq(zk_arrow_next(a, &chunk, &ev, &err), 0, "%s", err.msg);
		if (ev != ZK_ARROW_SCHEMA)
			continue;
		schemas++;
		cr_expect(!first || first == zk_arrow_schema(a));
		first = zk_arrow_schema(a);
	}
	cr_expect_eq(schemas, 2u);
	cr_expect_eq(zk_arrow_batches(a), 2u);
	cr_expect_eq(zk_arrow_end(a, &err), 0);
	zk_arrow_free(a);
	zk_buf_done(&b);
}

Test(arrow, types_as_text)
{
	static const struct {
		const char *file;
		uint32_t column;
		const char *text;
	} cases[] = {
		{ "temporal.arrows", 1, "date64" },
		{ "temporal.arrows", 6, "timestamp(us, UTC)" },
		{ "temporal.arrows", 11, "time64(ns)" },
		{ "decimals.arrows", 3, "decimal128(5,-3)" },
		{ "nested.arrows", 4,
		  "struct<x: int32, y: utf8, z: struct<deep: bool>>" },
		{ "nested.arrows", 5, "list<struct<k: utf8, v: list<int16>>>" },
		{ "nested.arrows", 8, "list<list<int8>>" },
		{ "dictionary.arrows", 0, "dictionary<utf8>" },
		{ "strings.arrows", 7, "fixed_size_binary(4)" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_arrow_conf conf = { 0 };
		struct zk_arrow *a = zk_arrow_new(&conf);
		struct zk_buf b, text;
		enum zk_arrow_ev ev;
		struct zk_error err;
		uint32_t at = 0;
		zk_str chunk;

		load(cases[i].file, &b);
		chunk = zk_buf_str(&b);
		cr_assert_eq(zk_arrow_next(a, &chunk, &ev, &err), 0);
		cr_assert_eq(ev, ZK_ARROW_SCHEMA);
		for (uint32_t k = 0; k < cases[i].column; k++)
			at = zk_arrow_sibling(zk_arrow_schema(a), at);
		zk_buf_init(&text, 4096);
		zk_arrow_type_text(zk_arrow_schema(a), at, &text);
		cr_expect_str_eq(zk_buf_cstring(&text), cases[i].text);
		zk_buf_done(&text);
		zk_buf_done(&b);
		zk_arrow_free(a);
	}
}
