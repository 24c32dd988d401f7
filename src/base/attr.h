/* Compiler attributes and small macros used everywhere.
 * Layer: base. */
#ifndef ZK_BASE_ATTR_H
#define ZK_BASE_ATTR_H

#include <stddef.h>

#define ZK_MUST_USE     __attribute__((warn_unused_result))
#define ZK_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ZK_UNUSED       __attribute__((unused))
#define ZK_NORETURN     __attribute__((noreturn))
#define ZK_CLEANUP(fn)  __attribute__((cleanup(fn)))
#define ZK_FALLTHROUGH  __attribute__((fallthrough))
#define ZK_HOT          __attribute__((hot))
#define ZK_LIKELY(x)    __builtin_expect(!!(x), 1)
#define ZK_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define ZK_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ZK_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define ZK_MAX(a, b)    ((a) > (b) ? (a) : (b))

/* Drops the result of a ZK_MUST_USE function where a failure changes nothing; say why beside. */
#define ZK_IGNORE(expr)     \
	do {                \
		if (expr) { \
		}           \
	} while (0)

/* The object of type `type` whose member `member` is at `ptr`. */
#define ZK_CONTAINER_OF(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Stops the process with a 9xxx message when `cond` is false: for programming errors only,
 * never for input. It is never compiled out, so `cond` must have no side effects. */
#define ZK_ASSERT(cond)                                              \
	do {                                                         \
		if (ZK_UNLIKELY(!(cond)))                            \
			zk_assert_failed(#cond, __FILE__, __LINE__); \
	} while (0)

void zk_assert_failed(const char *cond, const char *file, int line) ZK_NORETURN;

#endif
