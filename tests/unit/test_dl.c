/* Libraries opened on first use.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/dl.h"

#include "base/ban.h"

#define SYMS(X) X(cos) X(hypot)
static struct {
	SYMS(ZK_DL_FIELD)
} m;
#define ROW(s) ZK_DL_ROW_OF(m, s)
static const struct zk_dl_sym syms[] = { SYMS(ROW) };

Test(dl, opens_once)
{
	struct zk_dl lib = ZK_DL_INIT("libm.so.6", "libc6", &m, syms);
	struct zk_error err;

	cr_assert_eq(zk_dl_open(&lib, &err), 0);
	cr_expect_eq(lib.state, 1);
	cr_expect_eq((m.hypot)(3, 4), 5);
	cr_expect_eq((m.cos)(0), 1);
	cr_assert_eq(zk_dl_open(&lib, &err), 0);
}

Test(dl, missing_library)
{
	struct zk_dl lib =
	        ZK_DL_INIT("libzk-not-there.so.9", "libzk-not-there9", &m, syms);
	struct zk_error err;

	for (int i = 0; i < 2; i++) {
		cr_expect_eq(zk_dl_open(&lib, &err), -ZK_E_LIBRARY);
		cr_expect_str_eq(err.msg, "cannot open the library libzk-not-there.so.9");
		cr_expect_str_eq(err.hint, "install the package libzk-not-there9");
		cr_expect_not_null(strstr(err.why, "libzk-not-there.so.9"));
	}
	cr_expect_eq(lib.state, -1);
}

Test(dl, missing_function)
{
	static const struct zk_dl_sym wrong[] = { { "cos", 0 },
		                                  { "no_such_function", 0 } };
	struct zk_dl lib = ZK_DL_INIT("libm.so.6", "libc6", &m, wrong);
	struct zk_error err;

	cr_expect_eq(zk_dl_open(&lib, &err), -ZK_E_LIBRARY);
	cr_expect_str_eq(err.msg,
	                 "the library libm.so.6 has no function 'no_such_function'");
}
