/* The hash map and the intrusive list.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"

#include "base/ban.h"

static zk_str key_of(unsigned i, char text[16])
{
	return zk_str_n(text, (size_t)snprintf(text, 16, "key-%u", i));
}

Test(map, set_get_del)
{
	struct zk_map m;
	int a, b;

	zk_map_init(&m);
	cr_expect_null(zk_map_get(&m, ZK_STR("x")));
	cr_expect_null(zk_map_del(&m, ZK_STR("x")));
	cr_expect_null(zk_map_set(&m, ZK_STR("x"), &a));
	cr_expect_eq(zk_map_get(&m, ZK_STR("x")), &a);
	cr_expect_eq(zk_map_set(&m, ZK_STR("x"), &b), &a);
	cr_expect_eq(m.n, 1);
	cr_expect_null(zk_map_set(&m, ZK_STR(""), &a)); /* the empty key is one */
	cr_expect_null(zk_map_set(&m, ZK_STR("x\0y"), &a));
	cr_expect_eq(zk_map_get(&m, ZK_STR_NULL), &a);
	cr_expect_eq(zk_map_get(&m, ZK_STR("x")), &b);
	cr_expect_eq(zk_map_del(&m, ZK_STR("x")), &b);
	cr_expect_null(zk_map_get(&m, ZK_STR("x")));
	cr_expect_eq(zk_map_get(&m, ZK_STR("x\0y")), &a);
	cr_expect_eq(m.n, 2);
	zk_map_done(&m);
	cr_expect_eq(m.n, 0);
}

/* Random operations against a plain table; many deletions, so that tombstones matter. */
Test(map, agrees_with_a_model)
{
	static int values[500];
	static bool in[500];
	struct zk_rand r;
	struct zk_map m;
	size_t n = 0;
	char text[16];

	zk_rand_seed(&r, 7);
	zk_map_init(&m);
	for (int step = 0; step < 100000; step++) {
		unsigned i = (unsigned)zk_rand_below(&r, 500);
		zk_str key = key_of(i, text);
		void *want = in[i] ? &values[i] : NULL;

		switch (zk_rand_below(&r, 3)) {
		case 0:
			cr_assert_eq(zk_map_set(&m, key, &values[i]), want);
			n += !in[i];
			in[i] = true;
			break;
		case 1:
			cr_assert_eq(zk_map_del(&m, key), want);
			n -= in[i];
			in[i] = false;
			break;
		default:
			cr_assert_eq(zk_map_get(&m, key), want);
			break;
		}
		cr_assert_eq(m.n, n);
	}
	cr_expect_leq(m.room, 2048, "tombstones do not make it grow");
	zk_map_done(&m);
}

Test(map, walk_and_delete)
{
	struct zk_map m;
	char text[16];
	size_t pos = 0, seen = 0;
	zk_str key;
	void *value;
	int v;

	zk_map_init(&m);
	cr_expect_not(zk_map_next(&m, &pos, &key, &value));
	for (unsigned i = 0; i < 100; i++)
		(void)zk_map_set(&m, key_of(i, text), &v);
	pos = 0;
	while (zk_map_next(&m, &pos, &key, &value)) {
		cr_expect_eq(value, &v);
		cr_expect(zk_str_starts(key, ZK_STR("key-")));
		if (seen++ % 2)
			cr_expect_eq(zk_map_del(&m, key), &v);
	}
	cr_expect_eq(seen, 100);
	cr_expect_eq(m.n, 50);
	zk_map_done(&m);
}

Test(map, hash_depends_on_every_byte)
{
	char text[40] = { 0 };

	for (size_t n = 0; n < sizeof(text); n++) {
		uint64_t h = zk_hash(zk_str_n(text, n));

		cr_expect_eq(zk_hash(zk_str_n(text, n)), h);
		cr_expect_neq(zk_hash(zk_str_n(text, n + 1)), h);
		for (size_t i = 0; i < n; i++) {
			text[i] ^= 1;
			cr_expect_neq(zk_hash(zk_str_n(text, n)), h, "%zu %zu", n, i);
			text[i] ^= 1;
		}
	}
}

struct item {
	int v;
	struct zk_list link;
};

Test(list, order_and_removal)
{
	struct item items[4] = { { .v = 1 }, { .v = 2 }, { .v = 3 }, { .v = 4 } };
	struct zk_list head;
	int seen = 0;

	zk_list_init(&head);
	cr_expect(zk_list_is_empty(&head));
	cr_expect_null(zk_list_pop(&head));
	zk_list_push(&head, &items[1].link);
	zk_list_push(&head, &items[2].link);
	zk_list_push_front(&head, &items[0].link);
	zk_list_insert(&items[2].link, &items[3].link);
	ZK_LIST_EACH (it, &head) {
		struct item *i = ZK_LIST_ENTRY(it, struct item, link);

		cr_expect_eq(i->v, ++seen);
		if (i->v % 2)
			zk_list_remove(&i->link);
	}
	cr_expect_eq(seen, 4);
	zk_list_remove(&items[0].link); /* in no list: nothing happens */
	cr_expect_eq(zk_list_pop(&head), &items[1].link);
	cr_expect_eq(zk_list_pop(&head), &items[3].link);
	cr_expect(zk_list_is_empty(&head));
}
