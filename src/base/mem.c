/* Memory: allocation that aborts when the system has none left, wiping, arena.
 * Layer: base. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ban.h"

static ZK_NORETURN void out_of_memory(void)
{
	static const char text[] = "zk: error[ZK1302]: out of memory\n";

	/* Nothing that allocates may run here. */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		abort();
	abort();
}

void *zk_alloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *zk_alloc0(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *zk_realloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	if (!q)
		out_of_memory();
	return q;
}

void *zk_alloc_pages(size_t n)
{
	const size_t page = 4096;
	void *p = n > SIZE_MAX - page
	                  ? NULL
	                  : aligned_alloc(page, (ZK_MAX(n, 1) + page - 1) / page * page);

	if (!p)
		out_of_memory();
	return p;
}

void *zk_alloc_array(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1); /* checks the product itself */

	if (!p)
		out_of_memory();
	return p;
}

char *zk_strdup(const char *s)
{
	return zk_strndup(s, strlen(s));
}

char *zk_strndup(const char *s, size_t n)
{
	char *p;

	if (n == SIZE_MAX)
		out_of_memory();
	p = zk_alloc(n + 1);
	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *zk_asprintf(const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return p;
}

void zk_freep(void *p)
{
	void *q;

	memcpy(&q, p, sizeof(q));
	free(q);
}

void zk_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void zk_secret_free(char *s)
{
	if (!s)
		return;
	zk_wipe(s, strlen(s));
	free(s);
}

/* ---- arena ---- */

struct zk_arena_block {
	struct zk_arena_block *next;
	size_t n, room;
	alignas(max_align_t) char bytes[];
};

#define ARENA_BLOCK 4096

void zk_arena_init(struct zk_arena *a, size_t cap_bytes)
{
	*a = (struct zk_arena){ .cap_bytes = cap_bytes };
}

void *zk_arena_alloc(struct zk_arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	struct zk_arena_block *b = a->head;
	void *p;

	if (n > SIZE_MAX - align)
		return NULL;
	n = n ? (n + align - 1) & ~(align - 1) : align;
	if (n > a->cap_bytes - a->used)
		return NULL;
	if (!b || n > b->room - b->n) {
		size_t room = ZK_MAX(n, (size_t)ARENA_BLOCK);

		if (room > SIZE_MAX - sizeof(*b))
			return NULL;
		b = zk_alloc0(sizeof(*b) + room);
		b->room = room;
		b->next = a->head;
		a->head = b;
	}
	p = b->bytes + b->n;
	b->n += n;
	a->used += n;
	return p;
}

char *zk_arena_strndup(struct zk_arena *a, const char *s, size_t n)
{
	char *p = n == SIZE_MAX ? NULL : zk_arena_alloc(a, n + 1);

	if (p && n)
		memcpy(p, s, n);
	return p;
}

void zk_arena_done(struct zk_arena *a)
{
	while (a->head) {
		struct zk_arena_block *b = a->head;

		a->head = b->next;
		free(b);
	}
	a->used = 0;
}
