/* Signatures and secrets (specs/triggers.md §9). The expected values were computed with Python's
 * hmac and base64 modules; the first one is the example that the Standard Webhooks libraries
 * test with. Layer: tests. */
#include "triggers/sign.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/digest.h"

#include "base/ban.h"

static const char bytes64[64] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
	32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
	48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
};

#define SVIX_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SVIX_ID     "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SVIX_TIME   1614265330
#define SVIX_BODY   "{\"test\": 2432232314}"
#define SVIX_SIG    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static const struct {
	zk_str secret, id;
	int64_t at;
	zk_str body;
	const char *sig;
} vectors[] = {
	{ { bytes64, 32 },
	  ZK_STR_INIT("0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b"),
	  1762776000,
	  ZK_STR_INIT("{\"n\":12345678901234567890,\"t\":\"\xc3\xa9\"}"),
	  "v1,5jRiYRHvng+2BjpydQslnY1hMm4Pz87yTW9FnUTcE9c=" },
	{ { bytes64, 64 },
	  ZK_STR_INIT("a"),
	  0,
	  ZK_STR_INIT(""),
	  "v1,uveq/R7Ke8zKZ1m8ObG+BocfQ3KjHEmEeOmkG099p/g=" },
};

Test(trig_sign, vectors)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(vectors); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 256);
		zk_trig_sign(vectors[i].secret, vectors[i].id, vectors[i].at,
		             vectors[i].body, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), vectors[i].sig, "vector %zu", i);
		zk_buf_done(&b);
	}
}

static int verify(zk_str secret, const char *id, const char *at, const char *sigs,
                  const char *body, int64_t now, struct zk_error *err)
{
	struct zk_trig_signed msg = { zk_str_of(id), zk_str_of(at), zk_str_of(sigs),
		                      zk_str_of(body) };

	return zk_trig_verify(secret, &msg, now, /* tolerance */ 300, err);
}

Test(trig_sign, verify)
{
	static const char other[] = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	static const struct {
		const char *id, *at, *sigs, *body;
		int64_t now;
		const char *why; /* NULL = valid */
	} cases[] = {
		{ SVIX_ID, "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME, NULL },
		{ SVIX_ID, "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME + 300, NULL },
		{ SVIX_ID, "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME - 300, NULL },
		{ SVIX_ID, "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME + 301, "old" },
		{ SVIX_ID, "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME - 301, "future" },
		{ SVIX_ID, "1614265330", "v1,x " SVIX_SIG, SVIX_BODY, SVIX_TIME, NULL },
		{ SVIX_ID, "1614265330", "v1a,xyz= " SVIX_SIG " v1,y", SVIX_BODY,
		  SVIX_TIME, NULL },
		{ SVIX_ID, "1614265330", "  " SVIX_SIG "  ", SVIX_BODY, SVIX_TIME, NULL },
		{ SVIX_ID, "1614265330", other, SVIX_BODY, SVIX_TIME, "does not match" },
		{ SVIX_ID, "1614265330", "", SVIX_BODY, SVIX_TIME, "v1" },
		{ SVIX_ID, "1614265330",
		  "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", SVIX_BODY, SVIX_TIME,
		  "v1" },
		{ SVIX_ID, "1614265330", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		  SVIX_BODY, SVIX_TIME, "v1" },
		{ SVIX_ID, "1614265330", SVIX_SIG "=", SVIX_BODY, SVIX_TIME, "v1" },
		{ SVIX_ID, "1614265330", SVIX_SIG, SVIX_BODY " ", SVIX_TIME,
		  "does not match" },
		{ "msg_x", "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME,
		  "does not match" },
		{ SVIX_ID, "1614265331", SVIX_SIG, SVIX_BODY, SVIX_TIME,
		  "does not match" },
		{ SVIX_ID, "01614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME,
		  "does not match" },
		{ "", "1614265330", SVIX_SIG, SVIX_BODY, SVIX_TIME, "webhook-id" },
		{ SVIX_ID, "", SVIX_SIG, SVIX_BODY, SVIX_TIME, "webhook-timestamp" },
		{ SVIX_ID, "1614265330.5", SVIX_SIG, SVIX_BODY, SVIX_TIME,
		  "webhook-timestamp" },
		{ SVIX_ID, "-1", SVIX_SIG, SVIX_BODY, SVIX_TIME, "webhook-timestamp" },
		{ SVIX_ID, "99999999999999999999", SVIX_SIG, SVIX_BODY, SVIX_TIME,
		  "webhook-timestamp" },
	};
	struct zk_error err = { 0 };
	struct zk_buf secret;

	zk_buf_init_secret(&secret, 64);
	cr_assert_eq(zk_trig_secret_parse(ZK_STR(SVIX_SECRET), &secret, &err), 0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		int r = verify(zk_buf_str(&secret), cases[i].id, cases[i].at,
		               cases[i].sigs, cases[i].body, cases[i].now, &err);

		if (!cases[i].why) {
			cr_expect_eq(r, 0, "case %zu: %s", i, err.msg);
			continue;
		}
		cr_expect_eq(r, -ZK_E_SIGNATURE, "case %zu", i);
		cr_expect(strstr(err.msg, cases[i].why), "case %zu: %s", i, err.msg);
	}
	zk_buf_done(&secret);
}

Test(trig_sign, two_signatures_in_a_grace_time)
{
	zk_str now = { bytes64, 32 }, old = { bytes64 + 32, 32 };
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init(&b, 256);
	zk_trig_sign(now, ZK_STR("e"), 1000, ZK_STR("{}"), &b);
	zk_buf_char(&b, ' ');
	zk_trig_sign(old, ZK_STR("e"), 1000, ZK_STR("{}"), &b);
	cr_expect_eq(verify(now, "e", "1000", zk_buf_cstring(&b), "{}", 1000, &err), 0);
	cr_expect_eq(verify(old, "e", "1000", zk_buf_cstring(&b), "{}", 1000, &err), 0);
	cr_expect_eq(verify((zk_str){ bytes64 + 1, 32 }, "e", "1000", zk_buf_cstring(&b),
	                    "{}", 1000, &err),
	             -ZK_E_SIGNATURE);
	zk_buf_done(&b);
}

static void hex_is(const uint8_t got[32], const char *want)
{
	uint8_t bytes[32];

	cr_assert(zk_hex_decode(zk_str_of(want), bytes, 32));
	cr_expect_arr_eq(got, bytes, 32);
}

Test(trig_sign, derived_secrets)
{
	zk_str server = ZK_STR("0123456789abcdef");
	uint8_t out[32], second[32];
	zk_uuid org;

	cr_assert(zk_uuid_parse(ZK_STR("0199f3c0-5a7e-7a10-8f3e-0f8d8f1f2a3b"), &org));
	zk_trig_secret_of(server, &org, 12, out);
	hex_is(out, "2a4c79dbe7f342d94d615789031f5a2a6966ac493393a2df23ea87ed93dcd6a7");
	zk_trig_secret_derive(server, "zk-key-mac-v1", ZK_STR_NULL, out);
	hex_is(out, "07430adf85e87eb14b9eb01490b2de041843c199f4f60ef60a0b2709ea82fdd7");
	zk_trig_secret_of(server, &org, 1, out);
	zk_trig_secret_of(server, &org, 2, second);
	cr_expect_arr_neq(out, second, 32);
}

Test(trig_sign, secret_text_and_back)
{
	struct zk_error err = { 0 };
	struct zk_buf text, raw;

	zk_buf_init(&text, 128);
	zk_buf_init_secret(&raw, 64);
	zk_trig_secret_text((const uint8_t *)bytes64, &text);
	cr_expect_str_eq(zk_buf_cstring(&text),
	                 "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
	cr_assert_eq(zk_trig_secret_parse(zk_buf_str(&text), &raw, &err), 0);
	cr_expect_eq(raw.n, 32u);
	cr_expect_arr_eq(raw.p, bytes64, 32);
	zk_buf_clear(&raw);
	cr_assert_eq(
	        zk_trig_secret_parse(ZK_STR(" AAECAwQFBgcICQoLDA0ODw==\n"), &raw, &err),
	        0);
	cr_expect_eq(raw.n, 16u);
	zk_buf_done(&raw);
	zk_buf_done(&text);
}

Test(trig_sign, bad_secret_texts)
{
	static const zk_str bad[] = {
		ZK_STR_INIT(""),
		ZK_STR_INIT("whsec_"),
		ZK_STR_INIT("AAECAwQFBgcICQoLDA0O"),   /* 15 bytes */
		ZK_STR_INIT("AAECAwQFBgcICQoLDA0ODw"), /* no padding */
		ZK_STR_INIT("AAECAwQFBgcICQoLDA0OD!=="),
		ZK_STR_INIT("whsec_whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
		/* 66 bytes */
		ZK_STR_INIT(
		        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4P"
		        "EBESExQVFhcYGRobHB0eHwEC"),
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++) {
		struct zk_error err = { 0 };
		struct zk_buf raw;

		zk_buf_init_secret(&raw, 4096);
		cr_expect_eq(zk_trig_secret_parse(bad[i], &raw, &err), -ZK_E_SECRET,
		             "case %zu", i);
		cr_expect_eq(raw.n, 0u, "case %zu", i);
		zk_buf_done(&raw);
	}
}

/* ---- the file ---- */

static char dir[256], file[300];

static void make_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/zk-sign-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/server.secret", dir);
}

static void remove_dir(void)
{
	(void)unlink(file);
	cr_expect_eq(rmdir(dir), 0, "nothing else was left in the folder");
}

static void write_file(const char *text, size_t n, mode_t mode)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, n), (ssize_t)n);
	cr_assert_eq(fchmod(fd, mode), 0);
	cr_assert_eq(close(fd), 0);
}

static int load(zk_str given, struct zk_buf *b, struct zk_error *err)
{
	char db[400];

	(void)snprintf(db, sizeof(db), "%s/triggers.db", dir);
	zk_buf_init_secret(b, 8192);
	return zk_trig_secret_load(given, db, b, err);
}

Test(trig_sign, secret_file_is_made_once, .init = make_dir, .fini = remove_dir)
{
	struct zk_error err = { 0 };
	struct zk_buf a, b;
	struct stat st;

	cr_assert_eq(load(ZK_STR_NULL, &a, &err), 0, "%s", err.msg);
	cr_expect_eq(a.n, 64u);
	cr_assert_eq(stat(file, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(load(ZK_STR_NULL, &b, &err), 0);
	cr_expect(zk_str_eq(zk_buf_str(&a), zk_buf_str(&b)),
	          "the same on the second start");
	zk_buf_done(&a);
	zk_buf_done(&b);
}

Test(trig_sign, given_secret_wins_and_makes_no_file, .init = make_dir, .fini = remove_dir)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	cr_assert_eq(load(ZK_STR("0123456789abcdef"), &b, &err), 0);
	cr_expect(zk_str_eq(zk_buf_str(&b), ZK_STR("0123456789abcdef")));
	zk_buf_done(&b);
	cr_expect_neq(access(file, F_OK), 0);
	cr_expect_eq(load(ZK_STR("0123456789abcde"), &b, &err), -ZK_E_SECRET);
	cr_expect(strstr(err.msg, "at least 16"), "%s", err.msg);
	cr_expect_not(strstr(err.msg, "0123456789"), "the secret is not in the message");
	zk_buf_done(&b);
	cr_expect_eq(load(ZK_STR(""), &b, &err), -ZK_E_SECRET,
	             "given and empty is too short");
	zk_buf_done(&b);
}

Test(trig_sign, bad_secret_files, .init = make_dir, .fini = remove_dir)
{
	static char big[5000];
	struct zk_error err = { 0 };
	struct zk_buf b;

	write_file("0123456789abcdef\n", 17, 0600);
	cr_expect_eq(load(ZK_STR_NULL, &b, &err), 0);
	cr_expect(zk_str_eq(zk_buf_str(&b), ZK_STR("0123456789abcdef")),
	          "without the line end");
	zk_buf_done(&b);
	write_file("0123456789abcde\n", 16, 0600);
	cr_expect_eq(load(ZK_STR_NULL, &b, &err), -ZK_E_SECRET);
	zk_buf_done(&b);
	write_file("0123456789abcdef\n", 17, 0640);
	cr_expect_eq(load(ZK_STR_NULL, &b, &err), -ZK_E_SECRET);
	cr_expect(strstr(err.msg, "readable by others"));
	cr_expect(strstr(err.hint, "chmod 600"));
	zk_buf_done(&b);
	memset(big, 'x', sizeof(big));
	write_file(big, sizeof(big), 0600);
	cr_expect_eq(load(ZK_STR_NULL, &b, &err), -ZK_E_SECRET);
	zk_buf_done(&b);
	cr_assert_eq(unlink(file), 0);
	cr_assert_eq(symlink("/dev/zero", file), 0);
	cr_expect_eq(load(ZK_STR_NULL, &b, &err), -ZK_E_SECRET, "links are not followed");
	zk_buf_done(&b);
}

Test(trig_sign, secret_file_in_a_folder_that_is_not_there, .init = make_dir,
     .fini = remove_dir)
{
	struct zk_error err = { 0 };
	struct zk_buf b;

	zk_buf_init_secret(&b, 8192);
	cr_expect_eq(zk_trig_secret_load(ZK_STR_NULL, "/nonexistent/x/t.db", &b, &err),
	             -ZK_E_CREATE);
	zk_buf_done(&b);
}
