/* What clang's analyzer cannot know from one file, told to it by tests/lint/tidy.sh: functions
 * that make an error return a negative number, and a slice that has bytes has a pointer.
 * Layer: tests. */
#ifndef ZK_TESTS_ANALYZER_H
#define ZK_TESTS_ANALYZER_H

#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"

static inline zk_str zk_lint_str(zk_str s)
{
	if (s.n && !s.p)
		__builtin_unreachable();
	return s;
}

#define zk_str_from(s, from) zk_lint_str((zk_str_from)(s, from))
#define zk_str_n(p, n)       zk_lint_str((zk_str_n)(p, n))
#ifndef ZK_LINT_ERR_C
/* After a failure the error has a code, so that `return -(int)err->code` is negative too. */
static inline int zk_lint_failed(const struct zk_error *err)
{
	if (err->code == ZK_E_NONE)
		__builtin_unreachable();
	return -(int)err->code;
}

#define zk_fail(err, ...) ((void)(zk_fail)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_fail_errno(err, ...) \
	((void)(zk_fail_errno)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_wrap(err, ...) ((void)(zk_wrap)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_err_where(err, ...) \
	((void)(zk_err_where)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_err_why(err, ...)   ((void)(zk_err_why)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_err_hint(err, ...)  ((void)(zk_err_hint)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_err_at(err, ...)    ((void)(zk_err_at)(err, __VA_ARGS__), zk_lint_failed(err))
#define zk_jscan_fail(js, err) ((void)(zk_jscan_fail)(js, err), zk_lint_failed(err))
#endif

#endif
