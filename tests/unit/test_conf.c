/* Configuration: precedence, profiles, origins of values, endpoint rules, trust, variables.
 * Layer: tests. */
#include "conf/conf.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/secret.h"

#include "base/ban.h"

static const char *const modes[] = { "slow", "fast", NULL };

struct values {
	const char *base_url, *namespace, *path, *level;
	struct zk_secret token;
	uint64_t max, batch;
	int64_t timeout;
	int mode;
	struct zk_strlist hosts, limits;
	bool verify;
	int verbose;
};

#define V(m) .off = offsetof(struct values, m)

static const struct zk_opt global_rows[] = {
	{ .type = ZK_OPT_UINT,
	  .name = "retries",
	  .conf = "retries.max",
	  .def = "5",
	  .max = 100,
	  V(max) },
	{ .type = ZK_OPT_DURATION, .name = "request-timeout", .def = "30s", V(timeout) },
	{ .type = ZK_OPT_STR, .name = "log-level", .conf = "log.level", V(level) },
	{ .type = ZK_OPT_BOOL,
	  .name = "tls-verify",
	  .def = "true",
	  .flags = ZK_OPT_TRUST,
	  V(verify) },
	{ .type = ZK_OPT_COUNT, .name = "verbose", V(verbose) },
	ZK_OPT_END,
};

static const struct zk_opt zeal_rows[] = {
	{ .type = ZK_OPT_URL,
	  .name = "base-url",
	  .conf = "zeal.base_url",
	  .flags = ZK_OPT_ENDPOINT,
	  .def = "http://localhost:3000",
	  V(base_url) },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "token",
	  .conf = "zeal.token",
	  .flags = ZK_OPT_ENDPOINT,
	  V(token) },
	{ .type = ZK_OPT_STR,
	  .name = "namespace",
	  .conf = "zeal.namespace",
	  V(namespace) },
	ZK_OPT_END,
};

static const struct zk_opt send_rows[] = {
	{ .type = ZK_OPT_UINT, .name = "batch-rows", .min = 1, .max = 1000, V(batch) },
	{ .type = ZK_OPT_ENUM, .name = "mode", .values = modes, V(mode) },
	{ .type = ZK_OPT_LIST, .name = "hosts", .flags = ZK_OPT_F_COMMA, V(hosts) },
	{ .type = ZK_OPT_MAP, .name = "limits", V(limits) },
	{ .type = ZK_OPT_PATH, .name = "path", V(path) },
	ZK_OPT_END,
};

static const struct zk_conf_table tables[] = {
	{ global_rows, "" },
	{ zeal_rows, "template.list" },
	{ send_rows, "zerobus.send" },
};

struct world {
	char dir[32];
	char file[3][64];
	const char *text[3]; /* NULL = no such file */
	bool trusted;
	const char *profile;
	enum zk_profile_by by;
	struct zk_conf *c;
	struct zk_error err;
	struct zk_optpool pool;
	struct values v;
};

static bool trusted(void *ctx, const char *path, zk_str text)
{
	const struct world *w = ctx;

	return w->trusted && strcmp(path, w->file[2]) == 0 &&
	       zk_str_eq(text, zk_str_of(w->text[2]));
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

static int load(struct world *w)
{
	static const char *const names[] = { "system", "user", "project" };
	struct zk_conf_in in = { .schema = { tables, ZK_ARRAY_LEN(tables) },
		                 .trusted = trusted,
		                 .ctx = w,
		                 .profile = w->profile,
		                 .profile_by = w->by };

	memcpy(w->dir, "/tmp/zk-test-XXXXXX", 20);
	cr_assert_not_null(mkdtemp(w->dir));
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(w->file[i], sizeof(w->file[i]), "%s/%s.yaml", w->dir,
		               names[i]);
		if (w->text[i])
			put(w->file[i], w->text[i], 0600);
	}
	in.system_path = w->file[0];
	in.user_path = w->file[1];
	in.project_path = w->file[2];
	return zk_conf_load(&in, &w->c, &w->err);
}

static int set(struct world *w, const struct zk_conf_table *t, const char *name)
{
	for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++)
		if (strcmp(r->name, name) == 0)
			return zk_conf_set(w->c, r, t->prefix, &w->v, &w->pool, &w->err);
	abort();
}

static const struct zk_opt *row_of(const struct zk_conf_table *t, const char *name)
{
	for (const struct zk_opt *r = t->rows; r->type != ZK_OPT_NONE; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	abort();
}

static void done(struct world *w)
{
	zk_conf_free(w->c);
	zk_optpool_done(&w->pool);
	for (size_t i = 0; i < 3; i++)
		(void)unlink(w->file[i]);
	(void)rmdir(w->dir);
}

static void must_load(struct world *w)
{
	int r = load(w);

	cr_assert_eq(r, 0, "%s %s\n%s", w->err.msg, w->err.where, w->err.excerpt);
}

static void expect_url(struct world *w, const char *url)
{
	cr_assert_eq(set(w, &tables[1], "base-url"), 0, "%s", w->err.msg);
	cr_expect_str_eq(w->v.base_url, url);
}

Test(conf, precedence_from_default_to_option)
{
	struct world w = { 0 };

	must_load(&w);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 5);
	done(&w);

	w = (struct world){ .text = {
		                    "version: 1\ndefaults: { retries: { max: 6 } }\n" } };
	must_load(&w);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 6);
	done(&w);

	w = (struct world){ .text = {
		                    "version: 1\ndefaults: { retries: { max: 6 } }\n",
		                    "version: 1\ndefaults: { retries: { max: 7 } }\n" } };
	must_load(&w);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 7);
	done(&w);

	w.text[2] = "version: 1\ndefaults: { retries: { max: 8 } }\n";
	w.c = NULL;
	must_load(&w);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 8);
	setenv("ZK_RETRIES", "9", 1);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 9);
	zk_conf_foreign(w.c, row_of(&tables[0], "retries"), "10", "OLD_RETRIES");
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 9, "foreign variables are the lowest of the environment");
	setenv("ZK_RETRIES", "", 1);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 10, "an empty variable is as good as none");
	zk_conf_give(w.c, row_of(&tables[0], "retries"), "11", "--retries");
	zk_conf_give(w.c, row_of(&tables[0], "retries"), "12", "--retries");
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, 12, "of several options the last one");
	done(&w);
}

static const char profiles[] =
        "version: 1\n"
        "default_profile: a\n"
        "defaults: { retries: { max: 1 }, zeal: { namespace: d } }\n"
        "profiles:\n"
        "  a: { zeal: { namespace: a } }\n"
        "  b: { extends: a, retries: { max: 2 } }\n"
        "  c: { extends: b, zeal: { namespace: c }, protected: true }\n";

static void expect_profile(const char *name, enum zk_profile_by by, const char *active,
                           const char *namespace, uint64_t max)
{
	struct world w = { .text = { NULL, profiles }, .profile = name, .by = by };

	must_load(&w);
	cr_expect_str_eq(zk_conf_profile(w.c), active);
	cr_assert_eq(set(&w, &tables[1], "namespace"), 0);
	cr_expect_str_eq(w.v.namespace, namespace);
	cr_assert_eq(set(&w, &tables[0], "retries"), 0);
	cr_expect_eq(w.v.max, max);
	cr_expect_eq(zk_conf_is_protected(w.c), strcmp(active, "c") == 0);
	done(&w);
}

Test(conf, profiles_extend)
{
	expect_profile(NULL, ZK_PROFILE_BY_NONE, "a", "a", 1);
	expect_profile("b", ZK_PROFILE_BY_OPTION, "b", "a", 2);
	expect_profile("c", ZK_PROFILE_BY_ENV, "c", "c", 2);
}

Test(conf, an_unknown_profile_is_an_error)
{
	struct world w = { .text = { NULL, profiles },
		           .profile = "bb",
		           .by = ZK_PROFILE_BY_OPTION };

	cr_assert_eq(load(&w), -ZK_E_PROFILE);
	cr_expect_eq(zk_code_exit(ZK_E_PROFILE), ZK_EXIT_CONFIG);
	cr_expect(strstr(w.err.msg, "'bb'") != NULL);
	done(&w);

	w = (struct world){ .text = { NULL, "version: 1\nprofiles: { staging: {} }\n" },
		            .profile = "stagin",
		            .by = ZK_PROFILE_BY_ENV };
	cr_assert_eq(load(&w), -ZK_E_PROFILE);
	cr_expect_str_eq(w.err.hint, "did you mean 'staging'?");
	cr_expect_str_eq(w.err.where, "$ZK_PROFILE");
	done(&w);

	w = (struct world){ .text = { NULL,
		                      "version: 1\nprofiles: { a: { extends: x } }\n" } };
	cr_assert_eq(load(&w), -ZK_E_PROFILE);
	cr_expect(strstr(w.err.where, ":2:27") != NULL, "%s", w.err.where);
	done(&w);

	w = (struct world){ .text = { NULL, "version: 1\ndefault_profile: x\n" } };
	cr_assert_eq(load(&w), -ZK_E_PROFILE);
	cr_expect(strstr(w.err.where, ":2:18") != NULL, "%s", w.err.where);
	done(&w);

	w = (struct world){ .text = { NULL, "version: 1\nprofiles: { a: { extends: b }, "
		                            "b: { extends: a } }\n" },
		            .profile = "a",
		            .by = ZK_PROFILE_BY_OPTION };
	cr_assert_eq(load(&w), -ZK_E_CONFIG_VALUE);
	cr_expect(strstr(w.err.msg, "extends itself") != NULL, "%s", w.err.msg);
	done(&w);
}

/* `where` is the end of "file:line:col". */
static const struct {
	const char *text, *where, *msg, *note;
	enum zk_code code;
} wrong[] = {
	{ "retries: 1\n", ":1:1", "does not say which version", "", ZK_E_CONFIG_VERSION },
	{ "version: 2\n", ":1:10", "is of version 2", "", ZK_E_CONFIG_VERSION },
	{ "version: one\n", ":1:10", "must be 1", "", ZK_E_CONFIG_VERSION },
	{ "version: 1\nretries: {}\n", ":2:1", "no key 'retries' at the top",
	  "belongs below 'defaults'", ZK_E_CONFIG_KEY },
	{ "version: 1\nprofile: {}\n", ":2:1", "no key 'profile'",
	  "did you mean 'profiles'?", ZK_E_CONFIG_KEY },
	{ "version: 1\ndefaults:\n  retries:\n    maxx: 1\n", ":4:5",
	  "no key 'retries.maxx'", "did you mean 'max'?", ZK_E_CONFIG_KEY },
	{ "version: 1\ndefaults:\n  zerobus:\n    send: { batch-rows: 1 }\n", ":4:13",
	  "no key 'zerobus.send.batch-rows'", "did you mean 'batch_rows'?",
	  ZK_E_CONFIG_KEY },
	{ "version: 1\ndefaults: { jetstream: {} }\n", ":2:13", "no key 'jetstream'", "",
	  ZK_E_CONFIG_KEY },
	{ "version: 1\ndefaults: { zerobus.send.mode: fast }\n", ":2:13", "no key", "",
	  ZK_E_CONFIG_KEY },
	{ "version: 1\ndefaults: { retries: 5 }\n", ":2:22",
	  "'retries' must be a mapping, not a text", "", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { retries: { max: [5] } }\n", ":2:29",
	  "'max' must be a single value, not a list", "", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { retries: { max: } }\n", ":2:24", "'max' has no value",
	  "", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { retries: { max: 101 } }\n", ":2:29",
	  "out of range: 0 to 100", "^^^", ZK_E_CONFIG_VALUE },
	{ "version: 1\nprofiles:\n  x: { request_timeout: 10 }\n", ":3:25", "10", "^^",
	  ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { zerobus: { mode: fats } }\n", ":2:30",
	  "not one of slow, fast", "did you mean 'fast'?", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { zerobus: { limits: [a] } }\n", ":2:32",
	  "must be a mapping", "", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { zerobus: { hosts: [[a]] } }\n", ":2:32",
	  "must be a text", "", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { zeal: { base_url: 'ftp://x' } }\n", ":2:31", "http",
	  "", ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { zeal: { token_file: a, token_env: B } }\n", ":2:36",
	  "'token' is given twice", "", ZK_E_CONFIG_KEY },
	{ "version: 1\ndefaults: { zeal: { token_command: pass } }\n", ":2:36",
	  "must be a list", "", ZK_E_CONFIG_VALUE },
	{ "version: 1\nprofiles: { x: { protected: perhaps } }\n", ":2:29",
	  "true or false", "", ZK_E_CONFIG_VALUE },
	{ "version: 1\nprofiles: { 'a b': {} }\n", ":2:13", "a profile is named", "",
	  ZK_E_CONFIG_VALUE },
	{ "version: 1\ndefaults: { protected: true }\n", ":2:13", "no key 'protected'",
	  "", ZK_E_CONFIG_KEY },
	{ "version: 1\nprofiles: []\n", ":2:11", "must be a mapping, not a list", "",
	  ZK_E_CONFIG_VALUE },
};

Test(conf, wrong_files_are_named_by_line_and_column)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(wrong); i++) {
		struct world w = { .text = { NULL, wrong[i].text } };
		int r = load(&w);

		cr_assert_eq(r, -(int)wrong[i].code, "case %zu: %d %s", i, r, w.err.msg);
		cr_expect(zk_str_ends(zk_str_of(w.err.where), zk_str_of(wrong[i].where)),
		          "case %zu: %s", i, w.err.where);
		cr_expect(strstr(w.err.msg, wrong[i].msg) != NULL, "case %zu: %s", i,
		          w.err.msg);
		cr_expect(strstr(w.err.excerpt, wrong[i].note) != NULL, "case %zu: %s", i,
		          w.err.excerpt);
		done(&w);
	}
}

Test(conf, group_keys_serve_the_verbs)
{
	struct world w = { .text = { NULL, "version: 1\ndefaults:\n  zerobus: { "
		                           "batch_rows: 5, mode: fast, "
		                           "send: { batch_rows: 6 } }\n" } };

	must_load(&w);
	cr_assert_eq(set(&w, &tables[2], "batch-rows"), 0);
	cr_expect_eq(w.v.batch, 6);
	cr_assert_eq(set(&w, &tables[2], "mode"), 0);
	cr_expect_eq(w.v.mode, 1);
	setenv("ZK_ZEROBUS_BATCH_ROWS", "7", 1);
	cr_assert_eq(set(&w, &tables[2], "batch-rows"), 0);
	cr_expect_eq(w.v.batch, 7);
	setenv("ZK_ZEROBUS_SEND_BATCH_ROWS", "8", 1);
	cr_assert_eq(set(&w, &tables[2], "batch-rows"), 0);
	cr_expect_eq(w.v.batch, 8);
	done(&w);
}

Test(conf, lists_and_maps_are_replaced_as_a_whole)
{
	struct world w = { .text = { "version: 1\ndefaults: { zerobus: { hosts: [a, b], "
		                     "limits: { x: 1, y: 2 } } }\n",
		                     "version: 1\ndefaults: { zerobus: { hosts: [c], "
		                     "limits: { z: 3 } } }\n" } };

	must_load(&w);
	cr_assert_eq(set(&w, &tables[2], "hosts"), 0);
	cr_assert_eq(w.v.hosts.n, 1);
	cr_expect_str_eq(w.v.hosts.v[0], "c");
	cr_assert_eq(set(&w, &tables[2], "limits"), 0);
	cr_assert_eq(w.v.limits.n, 1);
	cr_expect_str_eq(w.v.limits.v[0], "z=3");
	zk_conf_give(w.c, row_of(&tables[2], "hosts"), "d,e", "--hosts");
	zk_conf_give(w.c, row_of(&tables[2], "hosts"), "f", "--hosts");
	cr_assert_eq(set(&w, &tables[2], "hosts"), 0);
	cr_assert_eq(w.v.hosts.n, 3);
	cr_expect_str_eq(w.v.hosts.v[2], "f");
	done(&w);
}

Test(conf, paths_are_relative_to_their_file)
{
	struct world w = {
		.text = { NULL, "version: 1\ndefaults: { zerobus: { path: x/y } }\n" }
	};
	char want[80];

	must_load(&w);
	cr_assert_eq(set(&w, &tables[2], "path"), 0);
	(void)snprintf(want, sizeof(want), "%s/x/y", w.dir);
	cr_expect_str_eq(w.v.path, want);
	setenv("ZK_ZEROBUS_SEND_PATH", "x/y", 1);
	cr_assert_eq(set(&w, &tables[2], "path"), 0);
	cr_expect_str_eq(w.v.path, "x/y");
	done(&w);
}

Test(conf, values_are_expanded_once)
{
	struct world w = { .text = { NULL, "version: 1\ndefaults: { zeal: { namespace: "
		                           "\"${NS:-fall}back $${NS} ${A}\" } }\n" } };

	setenv("A", "${B}", 1);
	must_load(&w);
	cr_assert_eq(set(&w, &tables[1], "namespace"), 0, "%s", w.err.msg);
	cr_expect_str_eq(w.v.namespace, "fallback ${NS} ${B}");
	setenv("NS", "x", 1);
	cr_assert_eq(set(&w, &tables[1], "namespace"), 0);
	cr_expect_str_eq(w.v.namespace, "xback ${NS} ${B}");
	unsetenv("A");
	cr_assert_eq(set(&w, &tables[1], "namespace"), -ZK_E_CONFIG_ENV);
	cr_expect_str_eq(w.err.msg, "the variable A is not set");
	cr_expect(strstr(w.err.where, ":2:") != NULL, "%s", w.err.where);
	cr_expect_eq(zk_conf_check_expanded(w.c, &w.err), -ZK_E_CONFIG_ENV);
	done(&w);
}

static const struct {
	const char *value, *msg;
} references[] = {
	{ "${}", "malformed" },
	{ "${1A}", "malformed" },
	{ "${A", "malformed" },
	{ "${A B}", "malformed" },
	{ "${A:+x}", "malformed" },
	{ "${NOT_SET_HERE:?ask the operator}", "ask the operator" },
};

Test(conf, broken_references)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(references); i++) {
		char text[200];
		struct world w = { .text = { NULL, text } };

		(void)snprintf(text, sizeof(text),
		               "version: 1\ndefaults: { zeal: { namespace: '%s' } }\n",
		               references[i].value);
		must_load(&w);
		cr_assert_lt(set(&w, &tables[1], "namespace"), 0, "%zu", i);
		cr_expect(strstr(w.err.msg, references[i].msg) != NULL, "%zu: %s", i,
		          w.err.msg);
		done(&w);
	}
}

Test(conf, a_wrong_variable_is_named)
{
	struct world w = { 0 };
	const struct zk_schema schema = { tables, ZK_ARRAY_LEN(tables) };

	must_load(&w);
	setenv("ZK_RETRIES", "many", 1);
	cr_assert_eq(set(&w, &tables[0], "retries"), -ZK_E_CONFIG_ENV);
	cr_expect(zk_str_starts(zk_str_of(w.err.msg), ZK_STR("ZK_RETRIES: 'many'")), "%s",
	          w.err.msg);
	cr_expect_eq(zk_schema_check_env(&schema, &w.err), 0);
	setenv("ZK_RETRYS", "1", 1);
	cr_assert_eq(zk_schema_check_env(&schema, &w.err), -ZK_E_CONFIG_ENV);
	cr_expect_str_eq(w.err.hint, "did you mean ZK_RETRIES?");
	setenv("ZK_RETRYS", "", 1);
	cr_expect_eq(zk_schema_check_env(&schema, &w.err), 0);
	setenv("ZK_EVENT_ID", "1", 1);
	setenv("ZK_ARG_x", "1", 1);
	setenv("ZK_TEMPLATE_LIST_X", "", 1);
	setenv("ZK_ZEAL_TOKEN_FILE", "x", 1);
	setenv("ZK_ZEROBUS_MODE", "fast", 1);
	cr_expect_eq(zk_schema_check_env(&schema, &w.err), 0, "%s", w.err.msg);
	done(&w);
}

Test(conf, a_wrong_option_is_a_usage_error)
{
	struct world w = { 0 };

	must_load(&w);
	zk_conf_give(w.c, row_of(&tables[0], "retries"), "x", "--retries");
	cr_assert_eq(set(&w, &tables[0], "retries"), -ZK_E_USAGE);
	cr_expect(zk_str_starts(zk_str_of(w.err.msg), ZK_STR("--retries: 'x'")), "%s",
	          w.err.msg);
	zk_conf_give(w.c, row_of(&tables[0], "verbose"), "", "-v");
	zk_conf_give(w.c, row_of(&tables[0], "verbose"), "", "-v");
	cr_assert_eq(set(&w, &tables[0], "verbose"), 0);
	cr_expect_eq(w.v.verbose, 2);
	done(&w);
}

/* ---- endpoints and credentials ---- */

static const char endpoints[] =
        "version: 1\n"
        "profiles:\n"
        "  one: { zeal: { base_url: 'http://one:1', token_file: /t1 } }\n"
        "  same: { extends: one, zeal: { base_url: 'http://ONE:1/x' } }\n"
        "  moved: { extends: one, zeal: { base_url: 'http://two:2' } }\n"
        "  fresh: { extends: moved, zeal: { token_env: TWO } }\n"
        "  back: { extends: moved, zeal: { base_url: 'http://one:1' } }\n"
        "  bare: { zeal: { token_file: /t2 } }\n"
        "  none: {}\n";

static void expect_token(struct world *w, enum zk_secret_kind kind, const char *text)
{
	cr_assert_eq(set(w, &tables[1], "token"), 0, "%s", w->err.msg);
	cr_expect_eq(w->v.token.kind, kind, "kind %d", w->v.token.kind);
	if (text)
		cr_expect_str_eq(w->v.token.text, text);
}

Test(conf, a_credential_stays_with_its_origin)
{
	static const struct {
		const char *profile;
		enum zk_secret_kind kind;
		const char *text;
	} chains[] = {
		{ "one", ZK_SECRET_FILE, "/t1" },  { "same", ZK_SECRET_FILE, "/t1" },
		{ "moved", ZK_SECRET_NONE, NULL }, { "fresh", ZK_SECRET_ENV, "TWO" },
		{ "back", ZK_SECRET_NONE, NULL },  { "bare", ZK_SECRET_FILE, "/t2" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(chains); i++) {
		struct world w = { .text = { NULL, endpoints },
			           .profile = chains[i].profile,
			           .by = ZK_PROFILE_BY_OPTION };

		must_load(&w);
		expect_token(&w, chains[i].kind, chains[i].text);
		cr_expect_eq(zk_conf_check_origins(w.c, &tables[1], &w.err), 0, "%s: %s",
		             chains[i].profile, w.err.msg);
		done(&w);
	}
}

Test(conf, a_profile_named_with_p_beats_variables_for_endpoints)
{
	struct world w = { .text = { NULL, endpoints },
		           .profile = "one",
		           .by = ZK_PROFILE_BY_OPTION };

	setenv("ZK_ZEAL_BASE_URL", "http://env:9", 1);
	setenv("ZK_ZEAL_TOKEN", "from-env", 1);
	must_load(&w);
	expect_url(&w, "http://one:1");
	expect_token(&w, ZK_SECRET_FILE, "/t1");
	done(&w);

	/* As one unit: the profile sets only one of the two. */
	w = (struct world){ .text = { NULL, endpoints },
		            .profile = "bare",
		            .by = ZK_PROFILE_BY_OPTION };
	must_load(&w);
	expect_url(&w, "http://localhost:3000");
	expect_token(&w, ZK_SECRET_FILE, "/t2");
	done(&w);

	/* It sets neither: nothing to prefer. */
	w = (struct world){ .text = { NULL, endpoints },
		            .profile = "none",
		            .by = ZK_PROFILE_BY_OPTION };
	must_load(&w);
	expect_url(&w, "http://env:9");
	done(&w);

	/* ZK_PROFILE only chooses. */
	w = (struct world){ .text = { NULL, endpoints },
		            .profile = "one",
		            .by = ZK_PROFILE_BY_ENV };
	must_load(&w);
	expect_url(&w, "http://env:9");
	expect_token(&w, ZK_SECRET_ENV, "ZK_ZEAL_TOKEN");
	cr_expect_eq(zk_conf_check_origins(w.c, &tables[1], &w.err), 0, "%s", w.err.msg);
	done(&w);
}

Test(conf, other_variables_still_beat_the_profile)
{
	struct world w = { .text = { NULL,
		                     "version: 1\nprofiles: { one: { zeal: { base_url: "
		                     "'http://one:1', namespace: a } } }\n" },
		           .profile = "one",
		           .by = ZK_PROFILE_BY_OPTION };

	setenv("ZK_ZEAL_NAMESPACE", "env", 1);
	must_load(&w);
	cr_assert_eq(set(&w, &tables[1], "namespace"), 0);
	cr_expect_str_eq(w.v.namespace, "env");
	done(&w);
}

/* `url_env`, `token_env`: variables; `url`, `token`: options; NULL = not given. */
static const struct {
	const char *profile, *url_env, *token_env, *url, *token;
	bool ok;
} bindings[] = {
	{ "one", NULL, NULL, "http://two:2", NULL, false },
	{ "one", NULL, NULL, "http://one:1/other", NULL, true },
	{ "one", NULL, NULL, "https://one:1", NULL, false },
	{ "one", NULL, NULL, "http://one:2", NULL, false },
	{ "one", NULL, NULL, "http://two:2", "file:/x", true },
	{ "one", "http://two:2", NULL, NULL, NULL, false },
	{ "one", "http://two:2", "secret", NULL, NULL, true },
	{ "one", NULL, "secret", NULL, NULL, true },
	{ "one", NULL, "secret", "http://two:2", NULL, false },
	{ "one", "http://one:1", NULL, NULL, NULL, true },
	{ "bare", NULL, NULL, "http://two:2", NULL, false },
	{ "bare", NULL, NULL, "http://localhost:3000", NULL, true },
	{ "none", NULL, "secret", "http://two:2", NULL, true },
	{ "none", "http://two:2", "secret", "http://three:3", NULL, false },
	{ "none", "http://two:2", NULL, NULL, NULL, true },
};

Test(conf, origin_binding)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(bindings); i++) {
		struct world w = { .text = { NULL, endpoints },
			           .profile = bindings[i].profile,
			           .by = ZK_PROFILE_BY_ENV };
		int r;

		setenv("ZK_ZEAL_BASE_URL", bindings[i].url_env ? bindings[i].url_env : "",
		       1);
		setenv("ZK_ZEAL_TOKEN",
		       bindings[i].token_env ? bindings[i].token_env : "", 1);
		must_load(&w);
		if (bindings[i].url)
			zk_conf_give(w.c, row_of(&tables[1], "base-url"), bindings[i].url,
			             "--base-url");
		if (bindings[i].token)
			zk_conf_give(w.c, row_of(&tables[1], "token"), bindings[i].token,
			             "--token-file");
		r = zk_conf_check_origins(w.c, &tables[1], &w.err);
		cr_expect_eq(r, bindings[i].ok ? 0 : -ZK_E_ORIGIN, "case %zu: %d %s", i,
		             r, w.err.msg);
		done(&w);
	}
}

Test(conf, origin_error_says_all)
{
	struct world w = { .text = { NULL, endpoints },
		           .profile = "one",
		           .by = ZK_PROFILE_BY_ENV };

	must_load(&w);
	zk_conf_give(w.c, row_of(&tables[1], "base-url"), "http://two:2", "--base-url");
	cr_assert_eq(zk_conf_check_origins(w.c, &tables[1], &w.err), -ZK_E_ORIGIN);
	cr_expect_str_eq(
	        w.err.msg,
	        "the token belongs to http://one:1, but --base-url leads elsewhere");
	cr_expect_str_eq(w.err.hint, "give --token-file beside --base-url");
	cr_expect(strstr(w.err.where, "user.yaml:3:") != NULL, "%s", w.err.where);
	done(&w);
}

/* ---- secrets in files ---- */

Test(conf, inline_secrets_only_in_a_private_file_of_the_user)
{
	const char *text = "version: 1\ndefaults: { zeal: { token: hunter2hunter2 } }\n";
	struct world w = { .text = { NULL, text } };

	must_load(&w);
	expect_token(&w, ZK_SECRET_INLINE, "hunter2hunter2");
	zk_conf_free(w.c);
	w.c = NULL;
	cr_assert_eq(chmod(w.file[1], 0644), 0);
	cr_assert_eq(
	        zk_conf_load(
	                &(struct zk_conf_in){ .schema = { tables, ZK_ARRAY_LEN(tables) },
	                                      .user_path = w.file[1] },
	                &w.c, &w.err),
	        0);
	cr_assert_eq(set(&w, &tables[1], "token"), -ZK_E_SECRET);
	cr_expect(strstr(w.err.msg, "others can read") != NULL, "%s", w.err.msg);
	cr_expect_not(strstr(w.err.excerpt, "hunter2"), "%s", w.err.excerpt);
	done(&w);

	w = (struct world){ .text = { text } };
	must_load(&w);
	cr_assert_eq(set(&w, &tables[1], "token"), -ZK_E_SECRET);
	cr_expect(strstr(w.err.msg, "only in the file of the user") != NULL, "%s",
	          w.err.msg);
	done(&w);
}

Test(conf, both_variables_of_a_secret)
{
	struct world w = { 0 };

	setenv("ZK_ZEAL_TOKEN", "a", 1);
	setenv("ZK_ZEAL_TOKEN_FILE", "/b", 1);
	must_load(&w);
	cr_assert_eq(set(&w, &tables[1], "token"), -ZK_E_CONFIG_ENV);
	cr_expect(strstr(w.err.msg, "$ZK_ZEAL_TOKEN and $ZK_ZEAL_TOKEN_FILE") != NULL,
	          "%s", w.err.msg);
	setenv("ZK_ZEAL_TOKEN", "", 1);
	expect_token(&w, ZK_SECRET_FILE, "/b");
	done(&w);
}

/* ---- project files ---- */

static const struct {
	const char *project;
	bool ok;
} projects[] = {
	{ "version: 1\ndefaults: { retries: { max: 1 } }\n", true },
	{ "version: 1\ndefaults: { zeal: { token_file: x } }\n", false },
	{ "version: 1\ndefaults: { zeal: { token: x } }\n", false },
	{ "version: 1\ndefaults: { zeal: { token_env: X } }\n", false },
	{ "version: 1\nprofiles: { p: { zeal: { token_command: [rm, -rf] } } }\n",
	  false },
	{ "version: 1\ndefaults: { tls_verify: false }\n", false },
	{ "version: 1\nprofiles: { one: { zeal: { base_url: 'http://evil' } } }\n",
	  false },
	{ "version: 1\nprofiles: { one: { zeal: { base_url: 'http://one:1/sub' } } }\n",
	  true },
	{ "version: 1\nprofiles: { none: { zeal: { base_url: 'http://evil' } } }\n",
	  false },
	{ "version: 1\nprofiles: { mine: { zeal: { base_url: 'http://mine' } } }\n",
	  true },
};

Test(conf, project_files_may_not_do_everything_until_trusted)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(projects); i++) {
		struct world w = { .text = { NULL, endpoints, projects[i].project } };
		int r = load(&w);

		cr_expect_eq(r, projects[i].ok ? 0 : -ZK_E_UNTRUSTED, "case %zu: %d %s",
		             i, r, w.err.msg);
		done(&w);
		w = (struct world){ .text = { NULL, endpoints, projects[i].project },
			            .trusted = true };
		cr_expect_eq(load(&w), 0, "case %zu, trusted: %s", i, w.err.msg);
		done(&w);
	}
}

Test(conf, an_untrusted_project_draws_no_credential_to_itself)
{
	struct world w = { .text = { NULL, NULL,
		                     "version: 1\ndefaults: { zeal: { base_url: "
		                     "'http://evil' } }\n" } };

	setenv("ZK_ZEAL_TOKEN", "secret", 1);
	must_load(&w);
	cr_assert_eq(zk_conf_check_origins(w.c, &tables[1], &w.err), -ZK_E_ORIGIN);
	cr_expect(strstr(w.err.hint, "zk config trust") != NULL, "%s", w.err.hint);
	done(&w);
	w.trusted = true;
	w.c = NULL;
	must_load(&w);
	cr_expect_eq(zk_conf_check_origins(w.c, &tables[1], &w.err), 0);
	done(&w);

	/* Nor one of the user's file. */
	w = (struct world){
		.text = { NULL, "version: 1\ndefaults: { zeal: { token_file: /t } }\n",
		          "version: 1\ndefaults: { zeal: { base_url: 'http://evil' } "
		          "}\n" }
	};
	setenv("ZK_ZEAL_TOKEN", "", 1);
	must_load(&w);
	expect_token(&w, ZK_SECRET_NONE, NULL);
	done(&w);
}

Test(conf, origins_of_values)
{
	struct world w = {
		.text = { NULL, "version: 1\ndefaults:\n  retries:\n    max: 7\n" }
	};
	const struct zk_opt *row = row_of(&tables[0], "retries");
	struct zk_value v[ZK_VALUES_MAX];
	struct zk_buf b;
	size_t n;

	must_load(&w);
	setenv("ZK_RETRIES", "8", 1);
	n = zk_conf_values(w.c, row, "", v);
	cr_assert_eq(n, 3);
	zk_buf_init(&b, 400);
	for (size_t i = 0; i < n; i++) {
		zk_value_origin(&v[i], row, &b);
		zk_buf_char(&b, '|');
	}
	cr_expect(zk_str_starts(zk_buf_str(&b), ZK_STR("default|")), "%s",
	          zk_buf_cstring(&b));
	cr_expect(zk_str_ends(zk_buf_str(&b), ZK_STR("user.yaml:4:10|$ZK_RETRIES|")),
	          "%s", zk_buf_cstring(&b));
	cr_expect_eq(zk_conf_winner(v, n), &v[2]);
	zk_buf_done(&b);
	done(&w);
}
