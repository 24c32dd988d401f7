/* Memory helpers and the arena.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

Test(mem, nothing_is_ever_null)
{
	void *p = zk_alloc(0);
	char *q = zk_alloc0(8);
	int *a = zk_alloc_array(3, sizeof(int));

	cr_assert_not_null(p);
	p = zk_realloc(p, 0);
	cr_assert_not_null(p);
	for (int i = 0; i < 8; i++)
		cr_expect_eq(q[i], 0);
	cr_expect(a[0] == 0 && a[1] == 0 && a[2] == 0);
	free(p);
	free(q);
	free(a);
	free(zk_alloc_array(0, 5));
}

Test(mem, copies_of_text)
{
	char *a = zk_strdup("text"), *b = zk_strndup("text", 2), *c = zk_strndup(NULL, 0);
	char *d = zk_asprintf("%d-%s", 7, "x");

	cr_expect_str_eq(a, "text");
	cr_expect_str_eq(b, "te");
	cr_expect_str_eq(c, "");
	cr_expect_str_eq(d, "7-x");
	free(a);
	free(b);
	free(c);
	free(d);
}

Test(mem, take_moves)
{
	char *a = zk_strdup("x");
	char *b = ZK_TAKE(a);

	cr_expect_null(a);
	cr_expect_str_eq(b, "x");
	free(b);
}

Test(mem, cleanup_frees)
{
	ZK_CLEANUP(zk_freep)
	char *a = zk_strdup("freed at the end of the test");
	ZK_CLEANUP(zk_freep)
	char *none = NULL;

	cr_expect_not_null(a);
	cr_expect_null(none);
}

Test(mem, wipe)
{
	char text[] = "secret";

	zk_wipe(text, sizeof(text));
	for (size_t i = 0; i < sizeof(text); i++)
		cr_expect_eq(text[i], 0);
	zk_wipe(NULL, 0);
	zk_secret_free(NULL);
	zk_secret_free(zk_strdup("secret"));
}

Test(arena, aligned_zeroed_and_apart)
{
	struct zk_arena a;
	char *last = NULL;

	zk_arena_init(&a, 1 << 20);
	for (size_t n = 0; n < 300; n++) {
		char *p = zk_arena_alloc(&a, n);

		cr_assert_not_null(p);
		cr_assert_eq((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(p[i], 0);
		memset(p, 0xff, n);
		cr_assert_neq(p, last);
		last = p;
	}
	cr_expect_not_null(zk_arena_alloc(&a, 100000)); /* a block of its own */
	zk_arena_done(&a);
	cr_expect_not_null(zk_arena_alloc(&a, 1)); /* usable again */
	zk_arena_done(&a);
}

Test(arena, cap)
{
	struct zk_arena a;
	char *s;

	zk_arena_init(&a, 64);
	cr_expect_null(zk_arena_alloc(&a, 65));
	cr_expect_null(zk_arena_alloc(&a, SIZE_MAX));
	cr_expect_null(zk_arena_strndup(&a, "", SIZE_MAX));
	s = zk_arena_strndup(&a, "abcdef", 3);
	cr_assert_str_eq(s, "abc");
	cr_expect_not_null(zk_arena_alloc(&a, 48));
	cr_expect_null(zk_arena_alloc(&a, 1));
	zk_arena_done(&a);
	zk_arena_init(&a, SIZE_MAX);
	cr_expect_null(zk_arena_alloc(&a, SIZE_MAX - 8));
	zk_arena_done(&a);
}
