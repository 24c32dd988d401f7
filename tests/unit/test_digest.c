/* SHA-256, HMAC, hexadecimal, CRC-32.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/digest.h"

#include "base/ban.h"

static void expect_hex(const uint8_t *digest, size_t n, const char *want)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b;

	zk_buf_init(&b, 2 * n);
	zk_hex_encode(zk_str_n((const char *)digest, n), &b);
	cr_expect_str_eq(zk_buf_cstring(&b), want);
}

/* FIPS 180-4 examples and the tests of NIST's CAVP. */
static void known_digests(void)
{
	static const struct {
		zk_str in;
		const char *want;
	} cases[] = {
		{ ZK_STR_INIT(""),
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ ZK_STR_INIT("abc"),
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ ZK_STR_INIT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ ZK_STR_INIT("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhi"
		              "jklmno"
		              "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
		  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
		{ ZK_STR_INIT("\xbd"),
		  "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b" },
	};
	char *million = zk_alloc(1000000);
	uint8_t out[ZK_SHA256_SIZE];

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		zk_sha256(cases[i].in, out);
		expect_hex(out, sizeof(out), cases[i].want);
	}
	memset(million, 'a', 1000000);
	zk_sha256(zk_str_n(million, 1000000), out);
	expect_hex(out, sizeof(out),
	           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

Test(sha256, known_digests)
{
	known_digests();
}

Test(sha256, known_digests_portable)
{
	zk_sha256_portable(true);
	known_digests();
	zk_sha256_portable(false);
}

Test(sha256, both_codes_agree_for_every_length_and_piece)
{
	char text[700];
	struct zk_rand r;

	zk_rand_seed(&r, 3);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)zk_rand_u64(&r);
	for (size_t n = 0; n <= sizeof(text); n++) {
		size_t step = 1 + zk_rand_below(&r, 130);
		uint8_t a[ZK_SHA256_SIZE], b[ZK_SHA256_SIZE];
		struct zk_sha256 s;

		zk_sha256(zk_str_n(text, n), a);
		zk_sha256_portable(true);
		zk_sha256_init(&s);
		for (size_t at = 0; at < n; at += step)
			zk_sha256_put(&s, text + at, ZK_MIN(step, n - at));
		zk_sha256_put(&s, NULL, 0);
		zk_sha256_end(&s, b);
		zk_sha256_portable(false);
		cr_assert(zk_equal_ct(a, b, sizeof(a)), "%zu bytes in pieces of %zu", n,
		          step);
	}
}

/* RFC 4231 */
Test(hmac, known_answers)
{
	static char aa[131], dd[50], cd[50], key4[25];
	const struct {
		zk_str key, text;
		const char *want;
	} cases[] = {
		{ ZK_STR_INIT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
		              "\x0b\x0b"
		              "\x0b\x0b\x0b\x0b"),
		  ZK_STR_INIT("Hi There"),
		  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ ZK_STR_INIT("Jefe"), ZK_STR_INIT("what do ya want for nothing?"),
		  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ { aa, 20 },
		  { dd, 50 },
		  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
		{ { key4, 25 },
		  { cd, 50 },
		  "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
		{ { aa, 131 },
		  ZK_STR_INIT("Test Using Larger Than Block-Size Key - Hash Key First"),
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
		{ { aa, 131 },
		  ZK_STR_INIT("This is a test using a larger than block-size key and a "
		              "larger t"
		              "han block-size data. The key needs to be hashed before "
		              "being use"
		              "d by the HMAC algorithm."),
		  "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
	};

	memset(aa, 0xaa, sizeof(aa));
	memset(dd, 0xdd, sizeof(dd));
	memset(cd, 0xcd, sizeof(cd));
	for (size_t i = 0; i < sizeof(key4); i++)
		key4[i] = (char)(i + 1);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		uint8_t out[ZK_SHA256_SIZE];
		struct zk_hmac_key k;
		struct zk_hmac h;

		zk_hmac_key_init(&k, cases[i].key);
		zk_hmac_sha256(&k, cases[i].text, out);
		expect_hex(out, sizeof(out), cases[i].want);
		zk_hmac_init(&h, &k);
		for (size_t at = 0; at < cases[i].text.n; at++)
			zk_hmac_put(&h, cases[i].text.p + at, 1);
		zk_hmac_end(&h, out);
		expect_hex(out, sizeof(out), cases[i].want);
		zk_hmac_key_done(&k);
		cr_expect_eq(k.inner[0], 0);
	}
}

Test(hmac, empty_key_and_text)
{
	uint8_t out[ZK_SHA256_SIZE];
	struct zk_hmac_key k;

	zk_hmac_key_init(&k, ZK_STR_NULL);
	zk_hmac_sha256(&k, ZK_STR_NULL, out);
	expect_hex(out, sizeof(out),
	           "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

Test(digest, equal_ct)
{
	char a[65], b[65];

	memset(a, 7, sizeof(a));
	memcpy(b, a, sizeof(a));
	cr_expect(zk_equal_ct(a, b, sizeof(a)));
	cr_expect(zk_equal_ct(NULL, NULL, 0));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] ^= 0x10;
		cr_expect_not(zk_equal_ct(a, b, sizeof(a)), "%zu", i);
		b[i] ^= 0x10;
	}
}

Test(digest, hex)
{
	static const char *const bad[] = { "", "0", "012", "0g", "g0", "0 ", "00ff0" };
	struct zk_buf b;
	uint8_t out[4];

	cr_assert(zk_hex_decode(ZK_STR("00fFA09c"), out, 4));
	zk_buf_init(&b, 9);
	zk_hex_encode(zk_str_n((const char *)out, 4), &b);
	cr_expect_str_eq(zk_buf_cstring(&b), "00ffa09c");
	zk_hex_encode(ZK_STR("x"), &b);
	cr_expect(b.failed && b.n == 8, "the cap holds");
	zk_buf_done(&b);
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect_not(zk_hex_decode(zk_str_of(bad[i]), out, 1), "'%s'", bad[i]);
	cr_expect(zk_hex_decode(ZK_STR(""), out, 0));
	cr_expect_not(zk_hex_decode(ZK_STR("00"), out, SIZE_MAX));
}

Test(digest, crc32)
{
	uint32_t crc = zk_crc32(0, ZK_STR("12345"));

	cr_expect_eq(zk_crc32(0, ZK_STR("123456789")), 0xcbf43926);
	cr_expect_eq(zk_crc32(crc, ZK_STR("6789")), 0xcbf43926);
	cr_expect_eq(zk_crc32(0, ZK_STR_NULL), 0);
}
