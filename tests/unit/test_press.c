/* gzip, deflate, zstd: every chunk size, damage, bombs.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/press.h"

#include "base/ban.h"

#define HELLO "hello hello hello hello\n"

/* HELLO as others compress it (Python's zlib and gzip, zstd with and without checksum). */
static const zk_str gzip =
        ZK_STR_INIT("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8"
                    "\x40\x27\xb9\x00\x00\x88\x59\x0b\x18\x00\x00\x00");
static const zk_str zstd = ZK_STR_INIT("\x28\xb5\x2f\xfd\x04\x58\x6d\x00\x00\x38\x68\x65"
                                       "\x6c\x6c\x6f\x20\x0a\x01\x00\x99\x4b\x11"
                                       "\xa8\x7c\x2e\xa8");
static const zk_str zlib = ZK_STR_INIT(
        "\x78\xda\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\xb9\x00\x70\xbe\x08\xbb");
static const zk_str raw = ZK_STR_INIT("\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\xb9\x00");

static void load(const char *name, struct zk_buf *b)
{
	const char *src = getenv("TEST_SRC");
	char path[512], piece[4096];
	FILE *f;
	size_t n;

	cr_assert_not_null(src, "TEST_SRC is not set");
	(void)snprintf(path, sizeof(path), "%s/tests/data/press/%s", src, name);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s", path);
	zk_buf_init(b, 1 << 20);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		zk_buf_put(b, piece, n);
	(void)fclose(f);
	cr_assert(b->n > 0 && !b->failed);
}

static struct zk_unpress *make(enum zk_press kind, const struct zk_zdict *dict,
                               size_t cap)
{
	struct zk_unpress *u = NULL;
	struct zk_error err;

	cr_assert_eq(zk_unpress_new(kind, dict, cap, &u, &err), 0, "%s", err.msg);
	return u;
}

/* Feeds `in` in pieces that are copies of their own. */
static int feed(struct zk_unpress *u, zk_str in, size_t chunk, struct zk_buf *out,
                struct zk_error *err)
{
	int r = 0;

	zk_unpress_reset(u);
	for (size_t at = 0; r == 0 && at < in.n; at += chunk) {
		size_t n = ZK_MIN(chunk, in.n - at);
		char *copy = zk_alloc(n);

		memcpy(copy, in.p + at, n);
		r = zk_unpress_put(u, zk_str_n(copy, n), out, err);
		free(copy);
	}
	return r < 0 ? r : zk_unpress_end(u, err);
}

static const struct {
	enum zk_press kind;
	const zk_str *in;
} good[] = {
	{ ZK_PRESS_GZIP, &gzip },
	{ ZK_PRESS_DEFLATE, &zlib },
	{ ZK_PRESS_DEFLATE, &raw },
	{ ZK_PRESS_ZSTD, &zstd },
};

Test(press, every_chunking)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		struct zk_unpress *u = make(good[i].kind, NULL, 1000);

		for (size_t chunk = 1; chunk <= good[i].in->n; chunk++) {
			struct zk_error err = { 0 };
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			cr_expect_eq(feed(u, *good[i].in, chunk, &out, &err), 0,
			             "case %zu: %s", i, err.msg);
			cr_expect_str_eq(zk_buf_cstring(&out), HELLO);
			zk_buf_done(&out);
		}
		zk_unpress_free(u);
	}
	zk_unpress_free(NULL);
}

Test(press, cut_short_at_every_byte)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		struct zk_unpress *u = make(good[i].kind, NULL, 1000);

		for (size_t n = 0; n < good[i].in->n; n++) {
			struct zk_error err;
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			cr_expect_eq(
			        zk_unpress_all(u, zk_str_n(good[i].in->p, n), &out, &err),
			        -ZK_E_DATA, "case %zu, %zu bytes", i, n);
			zk_buf_done(&out);
		}
		zk_unpress_free(u);
	}
}

Test(press, damage)
{
	struct zk_unpress *u;
	struct zk_error err;
	struct zk_buf out;
	char text[64];

	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		u = make(good[i].kind, NULL, 1000);
		for (size_t at = 0; at < good[i].in->n; at++) {
			int r;

			memcpy(text, good[i].in->p, good[i].in->n);
			text[at] ^= 0x55;
			zk_buf_init(&out, 1000);
			r = zk_unpress_all(u, zk_str_n(text, good[i].in->n), &out, &err);
			/* Some bytes carry nothing (time, flags); the checksums see the rest. */
			cr_expect(r == -ZK_E_DATA || r == -ZK_E_LIMIT ||
			                  good[i].in == &raw ||
			                  zk_str_eq(zk_buf_str(&out), ZK_STR(HELLO)),
			          "case %zu, byte %zu", i, at);
			zk_buf_done(&out);
		}
		zk_unpress_free(u);
	}
	u = make(ZK_PRESS_GZIP, NULL, 1000);
	zk_buf_init(&out, 1000);
	cr_expect_eq(zk_unpress_all(u, ZK_STR("plain text"), &out, &err), -ZK_E_DATA);
	cr_expect_str_eq(err.msg, "the gzip data is damaged: incorrect header check");
	zk_unpress_free(u);
	zk_buf_done(&out);
}

Test(press, members_in_a_row)
{
	static const struct {
		enum zk_press kind;
		const zk_str *in;
		int r;
	} cases[] = {
		{ ZK_PRESS_GZIP, &gzip, 0 },
		{ ZK_PRESS_ZSTD, &zstd, 0 },
		{ ZK_PRESS_DEFLATE, &zlib, -ZK_E_DATA },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		for (size_t chunk = 1; chunk <= 2 * cases[i].in->n; chunk++) {
			struct zk_unpress *u = make(cases[i].kind, NULL, 1000);
			struct zk_error err;
			struct zk_buf in, out;

			zk_buf_init(&in, 1000);
			zk_buf_init(&out, 1000);
			zk_buf_add(&in, *cases[i].in);
			zk_buf_add(&in, *cases[i].in);
			cr_expect_eq(feed(u, zk_buf_str(&in), chunk, &out, &err),
			             cases[i].r, "case %zu in %zu", i, chunk);
			if (cases[i].r == 0)
				cr_expect_str_eq(zk_buf_cstring(&out), HELLO HELLO);
			zk_buf_clear(&in);
			zk_buf_clear(&out);
			zk_buf_add(&in, *cases[i].in);
			zk_buf_lit(&in, "garbage");
			cr_expect_eq(feed(u, zk_buf_str(&in), chunk, &out, &err),
			             -ZK_E_DATA);
			zk_unpress_free(u);
			zk_buf_done(&in);
			zk_buf_done(&out);
		}
	}
}

Test(press, caps_are_exact)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(good); i++) {
		for (size_t cap = 0; cap <= strlen(HELLO) + 1; cap++) {
			int want = cap < strlen(HELLO) ? -ZK_E_LIMIT : 0;
			struct zk_unpress *u = make(good[i].kind, NULL, cap);
			struct zk_error err;
			struct zk_buf out;

			zk_buf_init(&out, 1000);
			cr_expect_eq(zk_unpress_all(u, *good[i].in, &out, &err), want,
			             "case %zu, %zu", i, cap);
			zk_buf_done(&out);
			zk_unpress_free(u);
			/* The cap of the buffer counts as well, and is not passed as failure of it. */
			u = make(good[i].kind, NULL, 1000);
			zk_buf_init(&out, cap);
			cr_expect_eq(zk_unpress_all(u, *good[i].in, &out, &err), want,
			             "case %zu, %zu", i, cap);
			cr_expect_leq(out.n, cap);
			zk_buf_done(&out);
			zk_unpress_free(u);
		}
	}
}

Test(press, bombs)
{
	static const struct {
		const char *name;
		enum zk_press kind;
	} cases[] = {
		{ "zeros-20m.zst", ZK_PRESS_ZSTD },
		{ "zeros-20m.gz", ZK_PRESS_GZIP },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_unpress *u = make(cases[i].kind, NULL, 1 << 20);
		struct zk_buf in, out;
		struct zk_error err = { 0 };

		load(cases[i].name, &in);
		zk_buf_init(&out, SIZE_MAX);
		cr_expect_eq(zk_unpress_all(u, zk_buf_str(&in), &out, &err), -ZK_E_LIMIT);
		cr_expect_str_eq(
		        err.msg,
		        "the compressed data expands to more than 1048576 bytes");
		cr_expect_leq(out.room, 1 << 20, "no more memory than the cap");
		zk_unpress_free(u);
		u = make(cases[i].kind, NULL, 20000000);
		zk_buf_clear(&out);
		cr_expect_eq(zk_unpress_all(u, zk_buf_str(&in), &out, &err), 0, "%s",
		             err.msg);
		cr_expect_eq(out.n, 20000000);
		zk_unpress_free(u);
		zk_buf_done(&in);
		zk_buf_done(&out);
	}
}

Test(press, zstd_window_is_bounded)
{
	struct zk_unpress *u = make(ZK_PRESS_ZSTD, NULL, 100000000);
	struct zk_buf in, out;
	struct zk_error err;

	load("window-128m.zst", &in);
	zk_buf_init(&out, SIZE_MAX);
	cr_expect_eq(zk_unpress_all(u, zk_buf_str(&in), &out, &err), -ZK_E_DATA);
	cr_expect_not_null(strstr(err.msg, "memory"), "%s", err.msg);
	zk_unpress_free(u);
	zk_buf_done(&in);
	zk_buf_done(&out);
}

/* libzstd of Debian reads the formats of before version 1 as well; zk does not. */
Test(press, zstd_legacy_frames_are_refused)
{
	struct zk_unpress *u = make(ZK_PRESS_ZSTD, NULL, 1000);
	zk_str old = ZK_STR("\x25\xb5\x2f\xfd\x04\xff\xfd\x65");

	for (size_t chunk = 1; chunk <= old.n; chunk++) {
		struct zk_error err;
		struct zk_buf out;

		zk_buf_init(&out, 1000);
		cr_expect_eq(feed(u, old, chunk, &out, &err), -ZK_E_DATA);
		cr_expect_str_eq(err.msg, "the zstd data is damaged: not a zstd frame");
		zk_buf_done(&out);
	}
	zk_unpress_free(u);
}

Test(press, zstd_skippable_frames_are_skipped)
{
	static const char skippable[] = "\x50\x2a\x4d\x18\x04\x00\x00\x00"
	                                "abcd";
	struct zk_unpress *u = make(ZK_PRESS_ZSTD, NULL, 1000);
	struct zk_buf in;

	zk_buf_init(&in, 1000);
	zk_buf_lit(&in, skippable);
	zk_buf_add(&in, zstd);
	zk_buf_lit(&in, skippable);
	for (size_t chunk = 1; chunk <= in.n; chunk++) {
		struct zk_error err;
		struct zk_buf out;

		zk_buf_init(&out, 1000);
		cr_expect_eq(feed(u, zk_buf_str(&in), chunk, &out, &err), 0, "%zu",
		             chunk);
		cr_expect_str_eq(zk_buf_cstring(&out), HELLO);
		zk_buf_done(&out);
	}
	zk_buf_done(&in);
	zk_unpress_free(u);
}

Test(press, zstd_dictionary)
{
	struct zk_buf bytes, in, out, want;
	struct zk_zdict *dict = NULL;
	struct zk_unpress *u;
	struct zk_error err;

	load("events.zdict", &bytes);
	load("event.json.zst", &in);
	load("event.json", &want);
	cr_assert_eq(zk_zdict_new(zk_buf_str(&bytes), &dict, &err), 0);
	cr_expect_eq(zk_zdict_id(dict), 267786928);
	u = make(ZK_PRESS_ZSTD, dict, 10000);
	zk_buf_init(&out, 10000);
	for (int i = 0; i < 3; i++) {
		zk_buf_clear(&out);
		cr_expect_eq(zk_unpress_all(u, zk_buf_str(&in), &out, &err), 0);
		cr_expect(zk_str_eq(zk_buf_str(&out), zk_buf_str(&want)));
	}
	zk_unpress_free(u);
	u = make(ZK_PRESS_ZSTD, NULL, 10000);
	cr_expect_eq(zk_unpress_all(u, zk_buf_str(&in), &out, &err), -ZK_E_DATA,
	             "not without it");
	zk_unpress_free(u);
	zk_zdict_free(dict);
	zk_zdict_free(NULL);
	cr_expect_eq(zk_zdict_new(ZK_STR(""), &dict, &err), -ZK_E_DATA);
	/* the head of a dictionary and nothing that belongs to it */
	cr_expect_eq(
	        zk_zdict_new(ZK_STR("\x37\xa4\x30\xec\x01\x00\x00\x00\xff\xff\xff\xff"),
	                     &dict, &err),
	        -ZK_E_DATA);
	zk_buf_done(&bytes);
	zk_buf_done(&in);
	zk_buf_done(&out);
	zk_buf_done(&want);
}

Test(press, gzip_comes_back)
{
	struct zk_unpress *u = make(ZK_PRESS_GZIP, NULL, SIZE_MAX);
	struct zk_rand r;

	zk_rand_seed(&r, 9);
	for (size_t n = 0; n < 200000; n = n * 3 + 1) {
		struct zk_buf in, packed, out;
		struct zk_error err;

		zk_buf_init(&in, SIZE_MAX);
		zk_buf_init(&packed, SIZE_MAX);
		zk_buf_init(&out, SIZE_MAX);
		while (in.n < n)
			zk_buf_char(&in, (char)('a' + zk_rand_below(&r, 20)));
		cr_assert_eq(
		        zk_press_gzip(zk_buf_str(&in), 1 + (int)(n % 9), &packed, &err),
		        0);
		cr_assert_eq(zk_unpress_all(u, zk_buf_str(&packed), &out, &err), 0);
		cr_assert(zk_str_eq(zk_buf_str(&in), zk_buf_str(&out)));
		packed.cap = packed.n - 1;
		zk_buf_done(&packed);
		cr_assert_eq(
		        zk_press_gzip(zk_buf_str(&in), 1 + (int)(n % 9), &packed, &err),
		        -ZK_E_LIMIT);
		zk_buf_done(&in);
		zk_buf_done(&packed);
		zk_buf_done(&out);
	}
	zk_unpress_free(u);
}

Test(press, names)
{
	enum zk_press kind = ZK_PRESS_DEFLATE;

	cr_expect(zk_press_parse(ZK_STR("GZip"), &kind) && kind == ZK_PRESS_GZIP);
	cr_expect(zk_press_parse(ZK_STR("x-gzip"), &kind) && kind == ZK_PRESS_GZIP);
	cr_expect(zk_press_parse(ZK_STR("deflate"), &kind) && kind == ZK_PRESS_DEFLATE);
	cr_expect(zk_press_parse(ZK_STR("zstd"), &kind) && kind == ZK_PRESS_ZSTD);
	cr_expect_not(zk_press_parse(ZK_STR("br"), &kind));
	cr_expect_not(zk_press_parse(ZK_STR(""), &kind));
}
