/* Memory: allocation that aborts when the system has none left, ownership macros, arena.
 * Layer: base. Sizes that a peer controls are capped by the caller first. Any thread. */
#ifndef ZK_BASE_MEM_H
#define ZK_BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

/* Like malloc, calloc, realloc, strdup; never NULL. The caller frees with free(). */
void *zk_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *zk_alloc0(size_t n) __attribute__((malloc, returns_nonnull));
void *zk_realloc(void *p, size_t n) __attribute__((returns_nonnull));
/* Room for `n` elements of `size` bytes, zeroed; aborts when the product overflows. */
void *zk_alloc_array(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
/* For large buffers that the kernel fills: they begin at a page. What malloc maps begins 16 bytes
 * behind one, where copies from files take four times as long on some CPUs (AMD Zen 3). */
void *zk_alloc_pages(size_t n) __attribute__((malloc, returns_nonnull));
char *zk_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *zk_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
/* printf into a fresh string; the caller frees it. */
char *zk_asprintf(const char *fmt, ...) ZK_PRINTF(1, 2) __attribute__((returns_nonnull));

#define zk_new(type)  ((type *)zk_alloc(sizeof(type)))
#define zk_new0(type) ((type *)zk_alloc0(sizeof(type)))

/* Moves a pointer out of the variable `p`, which becomes NULL. */
#define ZK_TAKE(p)                             \
	__extension__({                        \
		__typeof__(p) zk_taken_ = (p); \
		(p) = NULL;                    \
		zk_taken_;                     \
	})

/* For ZK_CLEANUP on a pointer that free() releases. */
void zk_freep(void *p);

/* Overwrites `n` bytes in a way the compiler may not leave out. */
void zk_wipe(void *p, size_t n);
/* Wipes and frees a NUL-terminated secret; NULL is fine. */
void zk_secret_free(char *s);

/* An arena serves one parse or one request and dies with it. */
struct zk_arena {
	struct zk_arena_block *head;
	size_t used;
	size_t cap_bytes;
};

/* Prepares an empty arena that refuses to grow past `cap_bytes` (zk_arena_alloc gives NULL). */
void zk_arena_init(struct zk_arena *a, size_t cap_bytes);
/* Aligned zeroed memory that lives until zk_arena_done; NULL when the cap is reached. */
void *zk_arena_alloc(struct zk_arena *a, size_t n) ZK_MUST_USE;
/* A NUL-terminated copy of `n` bytes; NULL when the cap is reached. */
char *zk_arena_strndup(struct zk_arena *a, const char *s, size_t n) ZK_MUST_USE;
void zk_arena_done(struct zk_arena *a);

#endif
