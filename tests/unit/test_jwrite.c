/* The JSON writer.
 * Layer: tests. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/rand.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"

#include "base/ban.h"

Test(jwrite, everything)
{
	struct zk_jwrite w;
	struct zk_buf b;

	zk_buf_init(&b, 1000);
	zk_jwrite_init(&w, &b);
	zk_jw_obj(&w);
	zk_jw_key(&w, "a");
	zk_jw_arr(&w);
	zk_jw_arr_end(&w);
	zk_jw_key(&w, "b\"");
	zk_jw_obj(&w);
	zk_jw_obj_end(&w);
	zk_jw_key_str(&w, ZK_STR("c"));
	zk_jw_arr(&w);
	zk_jw_i64(&w, -1);
	zk_jw_u64(&w, UINT64_MAX);
	zk_jw_bool(&w, true);
	zk_jw_bool(&w, false);
	zk_jw_null(&w);
	zk_jw_cstr(&w, "x\n");
	zk_jw_cstr(&w, NULL);
	zk_jw_printf(&w, "%d%%", 5);
	zk_jw_raw(&w, ZK_STR("{\"r\":1.10}"));
	zk_jw_time(&w, 0);
	zk_jw_arr(&w);
	zk_jw_str(&w, ZK_STR("in"));
	zk_jw_arr_end(&w);
	zk_jw_arr_end(&w);
	zk_jw_key(&w, "d");
	zk_jw_double(&w, 0.1);
	zk_jw_obj_end(&w);
	cr_expect_str_eq(
	        zk_buf_cstring(&b),
	        "{\"a\":[],\"b\\\"\":{},\"c\":[-1,18446744073709551615,true,false,null,"
	        "\"x\\n\",null,\"5%\",{\"r\":1.10},\"1970-01-01T00:00:00.000000Z\",["
	        "\"in\"]],"
	        "\"d\":0.1}");
	zk_buf_done(&b);
}

Test(jwrite, doubles_read_back)
{
	static const double odd[] = { 0.0,     -0.0,   1e300,
		                      1e-300,  5e-324, 1.7976931348623157e308,
		                      1.0 / 3, 100,    123456789.125,
		                      5e15,    0.1 };
	struct zk_rand r;

	zk_rand_seed(&r, 11);
	for (size_t i = 0; i < 20000; i++) {
		uint64_t bits = zk_rand_u64(&r);
		struct zk_jwrite w;
		struct zk_jscan js;
		struct zk_buf b;
		double v, back;

		memcpy(&v, &bits, sizeof(v));
		if (i < ZK_ARRAY_LEN(odd))
			v = odd[i];
		zk_buf_init(&b, 100);
		zk_jwrite_init(&w, &b);
		zk_jw_double(&w, v);
		cr_assert_eq(zk_jscan(zk_buf_str(&b), 1, NULL, 0, &js), 0);
		if (!isfinite(v)) {
			cr_assert_str_eq(zk_buf_cstring(&b), "null");
		} else {
			cr_assert(zk_jnum_double(zk_buf_str(&b), &back));
			cr_assert_eq(back, v, "%s", zk_buf_cstring(&b));
		}
		zk_buf_done(&b);
	}
}

Test(jwrite, cap)
{
	struct zk_jwrite w;
	struct zk_buf b;

	zk_buf_init(&b, 4);
	zk_jwrite_init(&w, &b);
	zk_jw_printf(&w, "%s", "0123456789");
	cr_expect(b.failed);
	zk_buf_done(&b);
}
