/* When a look before the sleep pays.
 * Layer: tests. */
#include "rt/spin.h"

#include <criterion/criterion.h>

#include "base/ban.h"

/* `n` sleeps of so many microseconds. */
static void sleeps(struct zk_spin *s, int n, int64_t us)
{
	static int64_t now = 1000000;

	for (int i = 0; i < n; i++) {
		zk_spin_sleep(s, now);
		now += us;
		zk_spin_woken(s, now);
	}
}

Test(spin, a_new_one_sleeps)
{
	struct zk_spin s = { 0 };

	cr_assert_not(zk_spin_pays(&s));
	zk_spin_woken(&s, 5000000);
	cr_assert_not(zk_spin_pays(&s), "it never slept");
}

Test(spin, looks_when_answers_come_at_once)
{
	struct zk_spin s = { 0 };

	sleeps(&s, 8, 90);
	cr_assert(zk_spin_pays(&s));
	for (int i = 0; i < 1000; i++) {
		zk_spin_looked(&s, 7);
		cr_assert(zk_spin_pays(&s));
	}
}

Test(spin, sleeps_when_answers_take_their_time)
{
	struct zk_spin s = { 0 };

	sleeps(&s, 1000, 2000);
	cr_assert_not(zk_spin_pays(&s));
	sleeps(&s, 8, 90);
	sleeps(&s, 1, 2000);
	cr_assert_not(zk_spin_pays(&s), "one long sleep ends it");
}

Test(spin, fewer_and_fewer_looks_when_they_fail)
{
	struct zk_spin s = { 0 };
	int looks = 0;

	for (int i = 0; i < 100000; i++) {
		sleeps(&s, 1, 15);
		if (zk_spin_pays(&s)) {
			looks++;
			zk_spin_looked(&s, -1);
		}
	}
	cr_assert_geq(looks, 10);
	cr_assert_leq(looks, 40, "%d looks", looks);
	/* … and it comes back when the peer does. */
	for (int i = 0; i < 100000 && !zk_spin_pays(&s); i++)
		sleeps(&s, 1, 15);
	for (int i = 0; i < 20; i++) {
		cr_assert(zk_spin_pays(&s));
		zk_spin_looked(&s, 3);
	}
	zk_spin_looked(&s, -1);
	sleeps(&s, 16, 15);
	cr_assert(zk_spin_pays(&s));
}

Test(spin, late_answers_are_borne_for_a_while)
{
	struct zk_spin s = { 0 };

	sleeps(&s, 8, 90);
	zk_spin_looked(&s, 60);
	cr_assert(zk_spin_pays(&s), "the peer was asleep itself");
	for (int i = 0; i < 20 && zk_spin_pays(&s); i++)
		zk_spin_looked(&s, 60);
	cr_assert_not(zk_spin_pays(&s), "it is slow");
}
