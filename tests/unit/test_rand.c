/* Random numbers and UUIDs.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

#include "base/ban.h"

/* xoshiro256** seeded by splitmix64(0), from the authors' C programs. */
Test(prng, known_sequence)
{
	static const uint64_t want[] = { 0x99ec5f36cb75f2b4u, 0xbf6e1f784956452au,
		                         0x1a5f849d4933e6e0u, 0x6aa594f1262d2d2cu };
	struct zk_rand r;

	zk_rand_seed(&r, 0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(want); i++)
		cr_expect_eq(zk_rand_u64(&r), want[i], "number %zu", i);
}

Test(prng, ranges)
{
	struct zk_rand r;
	unsigned count[6] = { 0 };

	zk_rand_seed(&r, 1);
	cr_expect_eq(zk_rand_below(&r, 0), 0);
	cr_expect_eq(zk_rand_below(&r, 1), 0);
	for (int i = 0; i < 60000; i++) {
		uint64_t v = zk_rand_below(&r, 6);
		double u = zk_rand_unit(&r);

		cr_assert_lt(v, 6);
		cr_assert(u >= 0 && u < 1);
		count[v]++;
	}
	for (int i = 0; i < 6; i++)
		cr_expect(count[i] > 9500 && count[i] < 10500, "%d: %u", i, count[i]);
	for (int i = 0; i < 100; i++)
		cr_expect_lt(zk_rand_below(&r, (UINT64_C(1) << 63) + 1),
		             (UINT64_C(1) << 63) + 1);
}

Test(prng, secrets_differ)
{
	unsigned char a[1000] = { 0 }, b[1000] = { 0 };

	zk_rand_secret(a, sizeof(a));
	zk_rand_secret(b, sizeof(b));
	cr_expect_neq(memcmp(a, b, sizeof(a)), 0);
	zk_rand_secret(a, 0);
}

Test(uuid, v7_rises_within_a_millisecond)
{
	zk_uuid last = zk_uuid_v7(), u;

	/* A million in one millisecond, far more than 12 bits count. */
	zk_clock_fake(0, INT64_C(1762776000123456));
	last = zk_uuid_v7();
	for (int i = 0; i < 1000000; i++) {
		u = zk_uuid_v7();
		cr_assert_lt(memcmp(last.b, u.b, 16), 0, "number %d", i);
		last = u;
	}
	zk_clock_real();
}

Test(uuid, v7_survives_a_clock_set_back)
{
	zk_uuid last, u;

	zk_clock_fake(0, INT64_C(1762776000) * 1000000);
	last = zk_uuid_v7();
	zk_clock_advance(INT64_C(-3600) * 1000000);
	for (int i = 0; i < 10000; i++) {
		u = zk_uuid_v7();
		cr_assert_lt(memcmp(last.b, u.b, 16), 0);
		last = u;
	}
	zk_clock_fake(0, -5); /* before 1970 */
	u = zk_uuid_v7();
	cr_assert_lt(memcmp(last.b, u.b, 16), 0);
	zk_clock_real();
}

Test(uuid, v7_form)
{
	zk_uuid u;
	uint64_t ms = 0;

	zk_clock_fake(0, INT64_C(1762776000123) * 1000);
	u = zk_uuid_v7();
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | u.b[i];
	cr_expect_eq(ms, 1762776000123u);
	cr_expect_eq(u.b[6] >> 4, 7);
	cr_expect_eq(u.b[8] >> 6, 2);
	zk_clock_real();
}

Test(uuid, v4_form)
{
	zk_uuid a = zk_uuid_v4(), b = zk_uuid_v4();

	cr_expect_eq(a.b[6] >> 4, 4);
	cr_expect_eq(a.b[8] >> 6, 2);
	cr_expect_neq(memcmp(a.b, b.b, 16), 0);
}

Test(uuid, text)
{
	static const char *const bad[] = {
		"",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
		"017f22e279b0-7cc3-98c4-dc0c0c07398f-",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"017f22e2-79b0-7cc3-98c4 dc0c0c07398f",
		"{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
	};
	char text[ZK_UUID_TEXT];
	zk_uuid u, v;

	cr_assert(zk_uuid_parse(ZK_STR("017F22E2-79b0-7cc3-98C4-dc0c0c07398f"), &u));
	zk_uuid_format(&u, text);
	cr_expect_eq(memcmp(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 36), 0);
	for (size_t i = 0; i < ZK_ARRAY_LEN(bad); i++)
		cr_expect_not(zk_uuid_parse(zk_str_of(bad[i]), &v), "'%s'", bad[i]);
	u = zk_uuid_v7();
	zk_uuid_format(&u, text);
	cr_assert(zk_uuid_parse(zk_str_n(text, sizeof(text)), &v));
	cr_expect_eq(memcmp(u.b, v.b, 16), 0);
}

/* A child must not continue the random bytes of its parent. */
Test(uuid, differ_after_fork)
{
	zk_uuid parent, child;
	int fd[2], status;
	pid_t pid;

	zk_clock_fake(0, INT64_C(1762776000) * 1000000);
	(void)zk_uuid_v7();
	cr_assert_eq(pipe(fd), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		child = zk_uuid_v7();
		_exit(write(fd[1], &child, sizeof(child)) == sizeof(child) ? 0 : 1);
	}
	parent = zk_uuid_v7();
	cr_assert_eq(read(fd[0], &child, sizeof(child)), sizeof(child));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_neq(memcmp(&parent, &child, sizeof(child)), 0);
	(void)close(fd[0]);
	(void)close(fd[1]);
}
