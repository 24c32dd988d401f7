/* Option rows: what each type takes, what it refuses, names that derive.
 * Layer: tests. */
#include "conf/opt.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/secret.h"

#include "base/ban.h"

static const char *const colors[] = { "red", "green", "blue", NULL };

struct values {
	bool flag, inverted;
	uint64_t count, size;
	int64_t number, wait;
	double ratio;
	const char *text, *path, *url, *optarg;
	int color, verbose;
	struct zk_strlist list, commas, map;
	struct zk_secret secret;
};

#define V(m) .off = offsetof(struct values, m)

static const struct zk_opt rows[] = {
	{ .type = ZK_OPT_BOOL, .name = "flag", V(flag) },
	{ .type = ZK_OPT_BOOL,
	  .name = "no-spool",
	  V(inverted),
	  .flags = ZK_OPT_F_INVERT },
	{ .type = ZK_OPT_UINT, .name = "count", V(count), .min = 1, .max = 100 },
	{ .type = ZK_OPT_SIZE, .name = "size", V(size), .min = 1024, .max = 1 << 20 },
	{ .type = ZK_OPT_INT, .name = "number", V(number) },
	{ .type = ZK_OPT_DURATION, .name = "wait", V(wait), .min = 1, .max = 60000 },
	{ .type = ZK_OPT_FLOAT, .name = "ratio", V(ratio) },
	{ .type = ZK_OPT_STR, .name = "text", V(text) },
	{ .type = ZK_OPT_PATH, .name = "path", V(path) },
	{ .type = ZK_OPT_URL, .name = "url", V(url) },
	{ .type = ZK_OPT_OPTARG, .name = "trace", V(optarg) },
	{ .type = ZK_OPT_ENUM, .name = "color", V(color), .values = colors },
	{ .type = ZK_OPT_COUNT, .name = "verbose", V(verbose) },
	{ .type = ZK_OPT_LIST, .name = "list", V(list) },
	{ .type = ZK_OPT_LIST, .name = "commas", V(commas), .flags = ZK_OPT_F_COMMA },
	{ .type = ZK_OPT_MAP, .name = "map", V(map), .meta = "TIER=N" },
	{ .type = ZK_OPT_SECRET_REF, .name = "token", V(secret) },
	{ .type = ZK_OPT_STR, .name = "pin", V(text), .flags = ZK_OPT_SECRET },
	{ .type = ZK_OPT_UINT,
	  .name = "hidden-number",
	  V(count),
	  .flags = ZK_OPT_SECRET },
	ZK_OPT_END,
};

static const struct zk_opt *row(const char *name)
{
	for (const struct zk_opt *r = rows; r->type != ZK_OPT_NONE; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	abort();
}

/* `shown` is what zk_opt_format says afterwards, NULL = the text is refused. */
static const struct {
	const char *name, *text, *shown;
} cases[] = {
	{ "flag", "true", "true" },
	{ "flag", "no", "false" },
	{ "flag", "maybe", NULL },
	{ "flag", "", NULL },
	{ "no-spool", "true", "true" },
	{ "no-spool", "false", "false" },
	{ "count", "1", "1" },
	{ "count", "100", "100" },
	{ "count", "0", NULL },
	{ "count", "101", NULL },
	{ "count", "-1", NULL },
	{ "count", "18446744073709551616", NULL },
	{ "count", "1 ", NULL },
	{ "count", "", NULL },
	{ "size", "1KiB", "1KiB" },
	{ "size", "2048B", "2KiB" },
	{ "size", "1500B", "1500B" },
	{ "size", "1023B", NULL },
	{ "size", "2MiB", NULL },
	{ "size", "2048", NULL },
	{ "number", "-9223372036854775808", "-9223372036854775808" },
	{ "number", "9223372036854775808", NULL },
	{ "wait", "1.5s", "1500ms" },
	{ "wait", "60s", "1m" },
	{ "wait", "61s", NULL },
	{ "wait", "0", NULL },
	{ "wait", "10", NULL },
	{ "ratio", "0.25", "0.25" },
	{ "ratio", "x", NULL },
	{ "text", "", "" },
	{ "text", "\xc3\xa4", "\xc3\xa4" },
	{ "text", "\xff", NULL },
	{ "path", "a/b", "a/b" },
	{ "path", "a/~/b", "a/~/b" },
	{ "path", "", NULL },
	{ "url", "http://localhost:3000", "http://localhost:3000" },
	{ "url", "HTTPS://[::1]/x", "HTTPS://[::1]/x" },
	{ "url", "localhost:3000", NULL },
	{ "url", "http://", NULL },
	{ "url", "http://u:p@h/", NULL },
	{ "url", "http://h:0/", NULL },
	{ "url", "http://h:65536/", NULL },
	{ "url", "http://h\\@evil/", NULL },
	{ "url", "http://a b/", NULL },
	{ "url", "file:///etc/passwd", NULL },
	{ "trace", "", "" },
	{ "color", "green", "green" },
	{ "color", "Green", NULL },
	{ "color", "gren", NULL },
	{ "verbose", "3", "3" },
	{ "verbose", "10", NULL },
	{ "list", "a,b", "a,b" },
	{ "list", "", NULL },
	{ "commas", "a, b", "a,b" },
	{ "commas", "a,,b", NULL },
	{ "commas", "a,", NULL },
	{ "map", "free=1", "free=1" },
	{ "map", "=1", NULL },
	{ "map", "free", NULL },
	{ "token", "file:x", "file x" },
	{ "token", "env:NAME", "$NAME" },
	{ "token", "command:pass", "command: pass" },
	{ "token", "inline:0123456789", "(set, 10+ chars)" },
	{ "token", "file:", NULL },
	{ "pin", "1234", "(set)" },
};

Test(opt, set_and_format)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_optpool pool = { 0 };
		struct values v = { 0 }, before = v;
		struct zk_error err = { 0 };
		struct zk_buf b;
		int r = zk_opt_set(&pool, row(cases[i].name), &v,
		                   zk_str_of(cases[i].text), &err);

		zk_buf_init(&b, 1000);
		if (cases[i].shown) {
			cr_assert_eq(r, 0, "case %zu: %s", i, err.msg);
			zk_opt_format(row(cases[i].name), &v, &b);
			cr_expect_str_eq(zk_buf_cstring(&b), cases[i].shown,
			                 "case %zu: %s", i, zk_buf_cstring(&b));
		} else {
			cr_expect_eq(r, -ZK_E_DATA, "case %zu", i);
			cr_expect(err.msg[0] != '\0', "case %zu", i);
			cr_expect_eq(memcmp(&v, &before, sizeof(v)), 0,
			             "case %zu: changed", i);
		}
		cr_expect_eq(
		        zk_opt_check(row(cases[i].name), zk_str_of(cases[i].text), &err),
		        r, "case %zu: check", i);
		zk_buf_done(&b);
		zk_optpool_done(&pool);
	}
}

Test(opt, messages_say_what_is_taken)
{
	struct zk_optpool pool = { 0 };
	struct values v = { 0 };
	struct zk_error err = { 0 };

	cr_assert_lt(zk_opt_set(&pool, row("size"), &v, ZK_STR("2MiB"), &err), 0);
	cr_expect_str_eq(err.msg, "'2MiB' is out of range: 1KiB to 1MiB");
	cr_assert_lt(zk_opt_set(&pool, row("wait"), &v, ZK_STR("61s"), &err), 0);
	cr_expect_str_eq(err.msg, "'61s' is out of range: 1ms to 1m");
	cr_assert_lt(zk_opt_set(&pool, row("color"), &v, ZK_STR("gren"), &err), 0);
	cr_expect_str_eq(err.msg, "'gren' is not one of red, green, blue");
	cr_expect_str_eq(err.hint, "did you mean 'green'?");
	zk_optpool_done(&pool);
}

Test(opt, a_wrong_secret_is_not_quoted)
{
	struct zk_optpool pool = { 0 };
	struct values v = { 0 };
	struct zk_error err = { 0 };

	cr_assert_lt(zk_opt_set(&pool, row("hidden-number"), &v, ZK_STR("hunter2"), &err),
	             0);
	cr_expect(!strstr(err.msg, "hunter2"), "%s", err.msg);
	zk_optpool_done(&pool);
}

Test(opt, lists_append_until_they_are_reset)
{
	struct zk_optpool pool = { 0 };
	struct values v = { 0 };
	struct zk_error err = { 0 };
	char **old;

	for (unsigned i = 0; i < 100; i++) {
		char text[8] = { 'x', (char)('0' + i / 10), (char)('0' + i % 10) };

		cr_assert_eq(zk_opt_set(&pool, row("list"), &v, zk_str_of(text), &err),
		             0);
		cr_assert_eq(v.list.n, i + 1);
		cr_assert_null(v.list.v[i + 1]);
	}
	cr_expect_str_eq(v.list.v[0], "x00");
	cr_expect_str_eq(v.list.v[99], "x99");
	old = v.list.v;
	zk_opt_reset(row("list"), &v);
	cr_assert_eq(v.list.n, 0);
	cr_assert_eq(zk_opt_set(&pool, row("list"), &v, ZK_STR("new"), &err), 0);
	cr_expect_str_eq(v.list.v[0], "new");
	cr_expect_str_eq(old[0], "x00", "whoever held the old list can still read it");
	zk_optpool_done(&pool);
}

Test(opt, command_with_arguments)
{
	struct zk_optpool pool = { 0 };
	struct values v = { 0 };
	struct zk_error err = { 0 };

	cr_assert_eq(zk_opt_set(&pool, row("token"), &v, ZK_STR("command:pass"), &err),
	             0);
	cr_assert_eq(zk_opt_set(&pool, row("token"), &v, ZK_STR("arg:show"), &err), 0);
	cr_assert_eq(v.secret.argc, 2);
	cr_expect_str_eq(v.secret.argv[0], "pass");
	cr_expect_str_eq(v.secret.argv[1], "show");
	cr_expect_null(v.secret.argv[2]);
	zk_optpool_done(&pool);
}

Test(opt, home_is_expanded_at_the_start_only)
{
	struct zk_optpool pool = { 0 };
	struct values v = { 0 };
	struct zk_error err = { 0 };

	setenv("HOME", "/h", 1);
	cr_assert_eq(zk_opt_set(&pool, row("path"), &v, ZK_STR("~/x"), &err), 0);
	cr_expect_str_eq(v.path, "/h/x");
	cr_assert_eq(zk_opt_set(&pool, row("path"), &v, ZK_STR("~user/x"), &err), 0);
	cr_expect_str_eq(v.path, "~user/x");
	cr_assert_eq(zk_opt_set(&pool, row("text"), &v, ZK_STR("~/x"), &err), 0);
	cr_expect_str_eq(v.text, "~/x");
	unsetenv("HOME");
	cr_expect_lt(zk_opt_set(&pool, row("path"), &v, ZK_STR("~/x"), &err), 0);
	zk_optpool_done(&pool);
}

static const struct {
	struct zk_opt row;
	const char *prefix, *key, *env, *inverse;
} names[] = {
	{ { .type = ZK_OPT_UINT, .name = "max-inflight" },
	  "zerobus.send",
	  "zerobus.send.max_inflight",
	  "ZK_ZEROBUS_SEND_MAX_INFLIGHT",
	  NULL },
	{ { .type = ZK_OPT_DURATION, .name = "retry-base", .conf = "retries.base" },
	  "",
	  "retries.base",
	  "ZK_RETRY_BASE",
	  NULL },
	{ { .type = ZK_OPT_BOOL, .name = "ui" },
	  "triggers",
	  "triggers.ui",
	  "ZK_TRIGGERS_UI",
	  "no-ui" },
	{ { .type = ZK_OPT_BOOL, .name = "no-config", .conf = "-" },
	  "",
	  "",
	  "ZK_NO_CONFIG",
	  "config" },
	{ { .type = ZK_OPT_BOOL, .name = "dev", .flags = ZK_OPT_NO_CONF },
	  "triggers",
	  "",
	  "",
	  "no-dev" },
	{ { .type = ZK_OPT_STR, .name = "dir", .conf = "zerobus.debug.dir" },
	  "zerobus.send",
	  "zerobus.debug.dir",
	  "ZK_ZEROBUS_DEBUG_DIR",
	  NULL },
	{ { .type = ZK_OPT_STR, .name = "once", .conf = "-" },
	  "zerobus.send",
	  "",
	  "ZK_ZEROBUS_SEND_ONCE",
	  NULL },
};

Test(opt, names_derive)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
		struct zk_buf b;
		char inverse[64];
		bool has = zk_opt_inverse(&names[i].row, inverse, sizeof(inverse));

		zk_buf_init(&b, 200);
		zk_opt_conf_key(&names[i].row, names[i].prefix, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), names[i].key, "case %zu", i);
		zk_buf_clear(&b);
		zk_opt_env_name(&names[i].row, names[i].prefix, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), names[i].env, "case %zu", i);
		cr_expect_eq(has, names[i].inverse != NULL, "case %zu", i);
		if (has && names[i].inverse)
			cr_expect_str_eq(inverse, names[i].inverse, "case %zu", i);
		zk_buf_done(&b);
	}
}
