/* Argon2id in PHC text.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "codec/argon2.h"

#include "base/ban.h"

/* From the test program of the reference implementation. */
static const struct {
	struct zk_argon2_params params;
	zk_str secret, salt;
	const char *phc;
} known[] = {
	{ { 256, 2, 1 },
	  ZK_STR_INIT("password"),
	  ZK_STR_INIT("somesalt"),
	  "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/"
	  "uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4" },
	{ { 256, 2, 2 },
	  ZK_STR_INIT("password"),
	  ZK_STR_INIT("somesalt"),
	  "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/"
	  "5U52iv1cDc" },
	{ { 65536, 2, 1 },
	  ZK_STR_INIT("password"),
	  ZK_STR_INIT("somesalt"),
	  "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
	  "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc" },
};

Test(argon2, known_answers)
{
	struct zk_argon2 *a = zk_argon2_new();
	struct zk_error err = { 0 };

	for (size_t i = 0; i < ZK_ARRAY_LEN(known); i++) {
		struct zk_buf b;
		bool same = false;

		zk_buf_init(&b, 200);
		cr_assert_eq(zk_argon2_hash_salted(a, known[i].params, known[i].secret,
		                                   known[i].salt, &b, &err),
		             0, "%s", err.msg);
		cr_expect_str_eq(zk_buf_cstring(&b), known[i].phc);
		zk_buf_done(&b);
		zk_argon2_idle(a);
		cr_assert_eq(zk_argon2_verify(a, zk_str_of(known[i].phc), known[i].secret,
		                              &same, &err),
		             0);
		cr_expect(same);
		cr_assert_eq(zk_argon2_verify(a, zk_str_of(known[i].phc),
		                              ZK_STR("passworD"), &same, &err),
		             0);
		cr_expect_not(same);
	}
	zk_argon2_free(a);
	zk_argon2_free(NULL);
}

Test(argon2, fresh_salts)
{
	struct zk_argon2 *a = zk_argon2_new();
	struct zk_argon2_params small = { .m_kib = 8, .t = 1, .p = 1 };
	struct zk_buf x, y;
	struct zk_error err;
	bool same = false;

	zk_argon2_idle(a); /* nothing to give back yet */
	zk_buf_init(&x, 200);
	zk_buf_init(&y, 200);
	cr_assert_eq(zk_argon2_hash(a, small, ZK_STR("secret"), &x, &err), 0);
	cr_assert_eq(zk_argon2_hash(a, small, ZK_STR("secret"), &y, &err), 0);
	cr_expect_not(zk_str_eq(zk_buf_str(&x), zk_buf_str(&y)));
	cr_assert_eq(zk_argon2_verify(a, zk_buf_str(&y), ZK_STR("secret"), &same, &err),
	             0);
	cr_expect(same);
	zk_buf_done(&x);
	zk_buf_done(&y);
	zk_buf_init(&x, 20);
	cr_expect_eq(zk_argon2_hash(a, small, ZK_STR("secret"), &x, &err), -ZK_E_LIMIT);
	zk_buf_done(&x);
	zk_argon2_free(a);
}

Test(argon2, parameters_are_bounded)
{
	static const struct zk_argon2_params bad[] = {
		{ 7, 1, 1 }, { 8, 0, 1 },      { 8, 11, 1 },
		{ 8, 1, 0 }, { 1024, 1, 5 },   { 15, 1, 2 },
		{ 0, 1, 1 }, { 262145, 1, 1 }, { 4294967295u, 1, 1 },
	};
	struct zk_argon2 *a = zk_argon2_new();
	char big[4097] = { 0 };
	struct zk_error err;
	struct zk_buf b;

	zk_buf_init(&b, 200);
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect_eq(zk_argon2_hash(a, bad[i], ZK_STR("x"), &b, &err), -ZK_E_DATA,
		             "case %zu", i);
	cr_expect_eq(zk_argon2_hash_salted(a, ZK_ARGON2_PARAMS, ZK_STR("x"),
	                                   ZK_STR("7 bytes"), &b, &err),
	             -ZK_E_DATA);
	cr_expect_eq(zk_argon2_hash_salted(a, ZK_ARGON2_PARAMS, ZK_STR("x"),
	                                   zk_str_n(big, 65), &b, &err),
	             -ZK_E_DATA);
	cr_expect_eq(
	        zk_argon2_hash(a, ZK_ARGON2_PARAMS, zk_str_n(big, sizeof(big)), &b, &err),
	        -ZK_E_DATA);
	cr_expect_eq(b.n, 0);
	zk_buf_done(&b);
	zk_argon2_free(a);
}

#define SALT "c29tZXNhbHQ"
#define HASH "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

Test(argon2, stored_texts_are_not_trusted)
{
	static const char *const bad[] = {
		"",
		"$",
		"$argon2id$v=19$m=256,t=2,p=1$" SALT,
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "$",
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "$" HASH "$",
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "$" HASH "=",
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "=$" HASH,
		"$argon2id$v=19$m=256,t=2,p=1$c2FsdA$" HASH,
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "$c29tZXNhbHQ",
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "$" HASH HASH HASH,
		"$argon2id$v=19$m=256,t=2,p=1$" SALT "$n f",
		"argon2id$v=19$m=256,t=2,p=1$" SALT "$" HASH,
		"$argon2i$v=19$m=256,t=2,p=1$" SALT "$" HASH,
		"$argon2id$v=16$m=256,t=2,p=1$" SALT "$" HASH,
		"$argon2id$m=256,t=2,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=256,t=2$" SALT "$" HASH,
		"$argon2id$v=19$t=2,m=256,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=256,t=2,p=1,$" SALT "$" HASH,
		"$argon2id$v=19$m=,t=2,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=262145,t=2,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=99999999999999999999,t=2,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=4294967552,t=2,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=256,t=11,p=1$" SALT "$" HASH,
		"$argon2id$v=19$m=256,t=2,p=5$" SALT "$" HASH,
		"$argon2id$v=19$m=256,t=2,p=0$" SALT "$" HASH,
		"$argon2id$v=19$m=-256,t=2,p=1$" SALT "$" HASH,
	};
	struct zk_argon2 *a = zk_argon2_new();
	struct zk_error err;
	char big[600];
	bool same = true;

	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect_eq(zk_argon2_verify(a, zk_str_of(bad[i]), ZK_STR("password"),
		                              &same, &err),
		             -ZK_E_DATA, "'%s'", bad[i]);
	memset(big, '$', sizeof(big));
	cr_expect_eq(
	        zk_argon2_verify(a, zk_str_n(big, sizeof(big)), ZK_STR("x"), &same, &err),
	        -ZK_E_DATA);
	cr_expect(same, "untouched on failure");
	zk_argon2_free(a);
}
