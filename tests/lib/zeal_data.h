/* The tables of tests/data/zeal. One translation unit per program.
 * Layer: tests. */
#ifndef ZK_TESTS_ZEAL_DATA_H
#define ZK_TESTS_ZEAL_DATA_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/json.h"

#define ZEAL_DATA_MAX (1u << 20)

/* The text of a file; the caller frees it. */
static inline char *zeal_text(const char *name, size_t *n)
{
	const char *src = getenv("TEST_SRC");
	char *path = zk_asprintf("%s/tests/data/zeal/%s", src ? src : ".", name);
	FILE *f = fopen(path, "re");
	char *text = zk_alloc(ZEAL_DATA_MAX);

	cr_assert_not_null(f, "%s", path);
	*n = fread(text, 1, ZEAL_DATA_MAX, f);
	(void)fclose(f);
	free(path);
	return text;
}

static inline struct zk_json *zeal_table(const char *name)
{
	struct zk_json *all;
	struct zk_error err;
	size_t n;
	char *text = zeal_text(name, &n);

	cr_assert_eq(zk_json_parse(zk_str_n(text, n), ZEAL_DATA_MAX, &all, &err), 0);
	free(text);
	return all;
}

#endif
