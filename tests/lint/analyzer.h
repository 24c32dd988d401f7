/* What clang's analyzer cannot know from one file, told to it by tests/lint/tidy.sh: functions
 * that make an error return a negative number, and a slice that has bytes has a pointer.
 * Layer: tests. */
#ifndef ZK_TESTS_ANALYZER_H
#define ZK_TESTS_ANALYZER_H

#include "base/err.h"
#include "base/str.h"

static inline zk_str zk_lint_str(zk_str s)
{
	if (s.n && !s.p)
		__builtin_unreachable();
	return s;
}

#define zk_str_from(s, from) zk_lint_str((zk_str_from)(s, from))
#define zk_str_n(p, n)       zk_lint_str((zk_str_n)(p, n))
#ifndef ZK_LINT_ERR_C
#define zk_fail(...)       ((void)(zk_fail)(__VA_ARGS__), -1)
#define zk_fail_errno(...) ((void)(zk_fail_errno)(__VA_ARGS__), -1)
#define zk_wrap(...)       ((void)(zk_wrap)(__VA_ARGS__), -1)
#define zk_err_where(...)  ((void)(zk_err_where)(__VA_ARGS__), -1)
#define zk_err_why(...)    ((void)(zk_err_why)(__VA_ARGS__), -1)
#define zk_err_hint(...)   ((void)(zk_err_hint)(__VA_ARGS__), -1)
#define zk_err_at(...)     ((void)(zk_err_at)(__VA_ARGS__), -1)
#endif

#endif
