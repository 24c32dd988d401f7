/* Base64.
 * Layer: tests. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/b64.h"

#include "base/ban.h"

/* RFC 4648 §10, and bytes that use the last two symbols. */
static const struct {
	zk_str bytes;
	const char *text[3]; /* STD, RAW, URL */
} known[] = {
	{ ZK_STR_INIT(""), { "", "", "" } },
	{ ZK_STR_INIT("f"), { "Zg==", "Zg", "Zg" } },
	{ ZK_STR_INIT("fo"), { "Zm8=", "Zm8", "Zm8" } },
	{ ZK_STR_INIT("foo"), { "Zm9v", "Zm9v", "Zm9v" } },
	{ ZK_STR_INIT("foob"), { "Zm9vYg==", "Zm9vYg", "Zm9vYg" } },
	{ ZK_STR_INIT("fooba"), { "Zm9vYmE=", "Zm9vYmE", "Zm9vYmE" } },
	{ ZK_STR_INIT("foobar"), { "Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy" } },
	{ ZK_STR_INIT("\xfb\xff\0"), { "+/8A", "+/8A", "-_8A" } },
};

Test(b64, known)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(known); i++) {
		for (int kind = ZK_B64_STD; kind <= ZK_B64_URL; kind++) {
			zk_str want = zk_str_of(known[i].text[kind]);
			struct zk_buf b;

			zk_buf_init(&b, 100);
			zk_b64_encode(known[i].bytes, (enum zk_b64)kind, &b);
			cr_expect(zk_str_eq(zk_buf_str(&b), want), "case %zu %d", i,
			          kind);
			zk_buf_clear(&b);
			cr_expect(zk_b64_decode(want, (enum zk_b64)kind, &b));
			cr_expect(zk_str_eq(zk_buf_str(&b), known[i].bytes),
			          "case %zu %d", i, kind);
			zk_buf_done(&b);
		}
	}
}

Test(b64, strict)
{
	static const struct {
		const char *text;
		enum zk_b64 kind;
	} bad[] = {
		{ "Z", ZK_B64_STD },     { "Zg", ZK_B64_STD },
		{ "Zg=", ZK_B64_STD },   { "Zg===", ZK_B64_STD },
		{ "Z===", ZK_B64_STD },  { "====", ZK_B64_STD },
		{ "=", ZK_B64_STD },     { "Zh==", ZK_B64_STD },
		{ "Zm9=", ZK_B64_STD },  { "Zg==Zg==", ZK_B64_STD },
		{ "Zm 9", ZK_B64_STD },  { "Zm9v\n", ZK_B64_STD },
		{ "-_8A", ZK_B64_STD },  { "Zg==", ZK_B64_RAW },
		{ "Zh", ZK_B64_RAW },    { "Zm9vY", ZK_B64_RAW },
		{ "+/8A", ZK_B64_URL },  { "Zm8=", ZK_B64_URL },
		{ "Z\x80", ZK_B64_URL }, { "Z=9v", ZK_B64_STD },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 100);
		zk_buf_lit(&b, "keep");
		cr_expect_not(zk_b64_decode(zk_str_of(bad[i].text), bad[i].kind, &b),
		              "'%s'", bad[i].text);
		cr_expect_str_eq(zk_buf_cstring(&b), "keep");
		zk_buf_done(&b);
	}
}

Test(b64, every_length_comes_back)
{
	char bytes[64];
	struct zk_rand r;

	zk_rand_seed(&r, 5);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		for (int kind = ZK_B64_STD; kind <= ZK_B64_URL; kind++) {
			struct zk_buf text, back;

			for (size_t i = 0; i < n; i++)
				bytes[i] = (char)zk_rand_u64(&r);
			zk_buf_init(&text, 100);
			zk_buf_init(&back, n); /* exactly what is needed */
			zk_b64_encode(zk_str_n(bytes, n), (enum zk_b64)kind, &text);
			cr_assert(zk_b64_decode(zk_buf_str(&text), (enum zk_b64)kind,
			                        &back));
			cr_assert(zk_str_eq(zk_buf_str(&back), zk_str_n(bytes, n)));
			zk_buf_done(&text);
			zk_buf_done(&back);
		}
	}
}

Test(b64, cap)
{
	struct zk_buf b;

	zk_buf_init(&b, 3);
	cr_expect_not(zk_b64_decode(ZK_STR("Zm9vYg=="), ZK_B64_STD, &b));
	cr_expect_not(b.failed);
	zk_b64_encode(ZK_STR("foo"), ZK_B64_STD, &b);
	cr_expect(b.failed && b.n == 0);
	zk_buf_done(&b);
}
