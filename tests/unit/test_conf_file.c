/* Configuration files: YAML with positions, what is refused, where the error points.
 * Layer: tests. */
#include "conf/file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#include "base/ban.h"

static int parse(const char *text, size_t n, struct zk_conf_file **f,
                 struct zk_error *err)
{
	*f = NULL;
	*err = (struct zk_error){ 0 };
	return zk_conf_file_parse("/etc/zk/config.yaml", zk_str_n(text, n), f, err);
}

/* `where` NULL = accepted; message and excerpt must contain `msg` and `excerpt`. */
static const struct {
	const char *name, *text, *where, *msg, *excerpt;
	enum zk_code code;
} cases[] = {
	{ "empty", "", NULL, NULL, NULL, 0 },
	{ "comment only", "# nothing\n", NULL, NULL, NULL, 0 },
	{ "tilde", "~\n", NULL, NULL, NULL, 0 },
	{ "byte order mark",
	  "\xef\xbb\xbf"
	  "a: 1\n",
	  NULL, NULL, NULL, 0 },
	{ "CRLF", "a: 1\r\nb: 2\r\n", NULL, NULL, NULL, 0 },
	{ "flow", "a: { b: [1, 2], c: x }\n", NULL, NULL, NULL, 0 },
	{ "duplicate key", "a: 1\nb:\n  c: 1\n  c: 2\n", ":4:3",
	  "'c' stands twice, first in line 3", "    4 |   c: 2\n      |   ^",
	  ZK_E_CONFIG_KEY },
	{ "duplicate in flow", "a: { b: 1, b: 2 }\n", ":1:12", "'b' stands twice", "^",
	  ZK_E_CONFIG_KEY },
	{ "duplicate, quoted", "a: 1\n\"a\": 2\n", ":2:1", "'a' stands twice", "^^^",
	  ZK_E_CONFIG_KEY },
	{ "anchor", "a: &x 1\n", ":1:4", "anchors are not taken", "^^^^",
	  ZK_E_CONFIG_SYNTAX },
	{ "anchor of a list", "a: &x [1]\n", ":1:4", "anchors are not taken", "^",
	  ZK_E_CONFIG_SYNTAX },
	{ "alias", "a: *x\n", ":1:4", "aliases are not taken", "^^", ZK_E_CONFIG_SYNTAX },
	{ "tag", "a: !!str 1\n", ":1:4", "tags are not taken", "^", ZK_E_CONFIG_SYNTAX },
	{ "tag of a mapping", "a: !x { b: 1 }\n", ":1:4", "tags are not taken", "^",
	  ZK_E_CONFIG_SYNTAX },
	{ "merge key", "a:\n  <<: { b: 1 }\n", ":2:3", "merge keys are not taken",
	  "^^ use 'extends' of a profile", ZK_E_CONFIG_SYNTAX },
	{ "quoted << is a key", "a:\n  \"<<\": 1\n", NULL, NULL, NULL, 0 },
	{ "second document", "a: 1\n---\nb: 1\n", ":2:1", "second one", "---",
	  ZK_E_CONFIG_SYNTAX },
	{ "directive", "%YAML 1.1\n---\na: 1\n", ":1:1", "directives are not taken",
	  "%YAML", ZK_E_CONFIG_SYNTAX },
	{ "list at the top", "- a\n", ":1:1", "must be a mapping", "- a",
	  ZK_E_CONFIG_SYNTAX },
	{ "text at the top", "hello\n", ":1:1", "must be a mapping", "hello",
	  ZK_E_CONFIG_SYNTAX },
	{ "mapping as key", "{ {a: 1}: 2 }\n", ":1:3", "a key must be a text", "^",
	  ZK_E_CONFIG_SYNTAX },
	{ "empty key", "\"\": 1\n", ":1:1", "a key is empty", "^^", ZK_E_CONFIG_SYNTAX },
	{ "unclosed list is named where it began", "a: [1,\nb: 2\n", ":1:4", "",
	  "    1 | a: [1,", ZK_E_CONFIG_SYNTAX },
	{ "unclosed quote", "a: \"x\nb: 1\n", ":1:4", "", "    1 | a: \"x",
	  ZK_E_CONFIG_SYNTAX },
	{ "tab", "a:\n\tb: 1\n", ":2:1", "found character that cannot start any token",
	  "b: 1", ZK_E_CONFIG_SYNTAX },
	{ "colon in plain text", "a: b: c\n", ":1:5", "mapping values are not allowed",
	  "^", ZK_E_CONFIG_SYNTAX },
	{ "invalid UTF-8", "a: 1\nb: \xff\n", ":2:4", "not valid text", "2 |",
	  ZK_E_CONFIG_SYNTAX },
	{ "control character", "a: 1\nb: x\x01\n", ":2:5", "not valid text", "2 |",
	  ZK_E_CONFIG_SYNTAX },
	{ "column counts characters", "\xc3\xa4: { x: 1, x: 2 }\n", ":1:12",
	  "stands twice", "^", ZK_E_CONFIG_KEY },
};

Test(conf_file, accepts_and_refuses)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_conf_file *f;
		struct zk_error err;
		int r = parse(cases[i].text, strlen(cases[i].text), &f, &err);

		if (!cases[i].where) {
			cr_expect_eq(r, 0, "%s: %s", cases[i].name, err.msg);
			zk_conf_file_free(f);
			continue;
		}
		cr_assert_eq(r, -(int)cases[i].code, "%s: %d", cases[i].name, r);
		cr_expect(strstr(err.msg, cases[i].msg) != NULL, "%s: %s", cases[i].name,
		          err.msg);
		cr_expect(zk_str_ends(zk_str_of(err.where), zk_str_of(cases[i].where)),
		          "%s: %s", cases[i].name, err.where);
		cr_expect(strstr(err.excerpt, cases[i].excerpt) != NULL, "%s:\n%s",
		          cases[i].name, err.excerpt);
	}
}

Test(conf_file, a_tab_comes_with_a_hint)
{
	struct zk_conf_file *f;
	struct zk_error err;

	cr_assert_lt(parse("a:\n\tb: 1\n", 9, &f, &err), 0);
	cr_expect(strstr(err.hint, "blanks") != NULL, "%s", err.hint);
}

Test(conf_file, a_nul_byte_is_refused)
{
	struct zk_conf_file *f;
	struct zk_error err;

	cr_assert_eq(parse("a: 1\nb: \0\n", 10, &f, &err), -ZK_E_CONFIG_SYNTAX);
	cr_expect(strstr(err.where, ":2:4") != NULL, "%s", err.where);
}

Test(conf_file, positions_of_keys_and_values)
{
	const char *text = "a: 1\nb:\n  - x\n  - { c: 'y z' }\n";
	struct zk_conf_file *f;
	struct zk_error err;
	const struct zk_node *b, *e, *c;

	cr_assert_eq(parse(text, strlen(text), &f, &err), 0, "%s", err.msg);
	b = zk_node_get(f->root, ZK_STR("b"));
	cr_assert_not_null(b);
	cr_expect_eq(b->kind, ZK_NODE_LIST);
	cr_expect_eq(b->n, 2);
	cr_expect_eq(b->key_line, 2);
	cr_expect_eq(b->key_col, 1);
	e = b->first->next;
	cr_assert_eq(e->kind, ZK_NODE_MAP);
	c = zk_node_get(e, ZK_STR("c"));
	cr_assert_not_null(c);
	cr_expect(zk_str_eq(c->text, ZK_STR("y z")));
	cr_expect_not(c->plain);
	cr_expect_eq(c->line, 4);
	cr_expect_eq(c->col, 10);
	cr_expect_eq(zk_spot_value(f, c).span, 5);
	cr_expect_eq(zk_node_at(f->root, ZK_STR("a"))->plain, true);
	cr_expect_null(zk_node_at(f->root, ZK_STR("a.b")));
	cr_expect_null(zk_node_at(f->root, ZK_STR("b.c")));
	zk_conf_file_free(f);
}

/* The time is measured in CPU of this process, so that a busy machine does not fail it. */
static void expect_fast_refusal(const char *name, const char *unit, size_t times,
                                const char *msg)
{
	struct zk_conf_file *f;
	struct zk_error err;
	struct zk_buf b;
	int64_t begin;

	zk_buf_init(&b, 300000);
	for (size_t i = 0; i < times; i++)
		zk_buf_cstr(&b, unit);
	begin = zk_cpu_ns();
	cr_assert_lt(parse(b.p, b.n, &f, &err), 0, "%s", name);
	cr_expect(zk_cpu_ns() - begin < 400 * 1000000LL, "%s: %lld ms", name,
	          (long long)(zk_cpu_ns() - begin) / 1000000);
	cr_expect(strstr(err.msg, msg) != NULL, "%s: %s", name, err.msg);
	zk_buf_done(&b);
}

Test(conf_file, bombs_are_refused_at_once)
{
	expect_fast_refusal("lists", "[", 200000, "deeper than 16");
	expect_fast_refusal("mappings", "{a: ", 50000, "deeper than 16");
	expect_fast_refusal("block", "- ", 100000, "deeper than 16");
	expect_fast_refusal("elements", "- 1\n", 60000, "too many values");
	expect_fast_refusal("large", "# comment\n", 27000, "larger than 256 KiB");
}

Test(conf_file, many_keys_are_refused)
{
	struct zk_conf_file *f;
	struct zk_error err;
	struct zk_buf b;

	zk_buf_init(&b, 300000);
	for (unsigned i = 0; i < 5000; i++)
		zk_buf_printf(&b, "k%u: 1\n", i);
	cr_assert_eq(parse(b.p, b.n, &f, &err), -ZK_E_CONFIG_SYNTAX);
	cr_expect(strstr(err.msg, "more than 4096 keys") != NULL, "%s", err.msg);
	zk_buf_done(&b);
}

Test(conf_file, depth_of_16_is_fine)
{
	const char *text = "a: [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]\n";
	struct zk_conf_file *f;
	struct zk_error err;

	cr_assert_eq(parse(text, strlen(text), &f, &err), 0, "%s", err.msg);
	zk_conf_file_free(f);
	text = "a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n";
	cr_assert_lt(parse(text, strlen(text), &f, &err), 0);
	cr_expect(strstr(err.where, ":1:19") != NULL, "%s", err.where);
}

static const struct {
	const char *text;
	bool shown;
} secrets[] = {
	{ "x: { token: hunter2hunter2, x: 1, x: 2 }\n", false },
	{ "client_secret: \"hunter2hunter2\" x\n", false },
	{ "'api-key' : hunter2hunter2: 1\n", false },
	{ "name: hunter2hunter2: 1\n", true },
	{ "token_file: hunter2hunter2: 1\n", true },
};

Test(conf_file, excerpts_hide_what_looks_secret)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(secrets); i++) {
		struct zk_conf_file *f;
		struct zk_error err;
		bool shown;

		cr_assert_lt(parse(secrets[i].text, strlen(secrets[i].text), &f, &err), 0,
		             "%zu", i);
		shown = strstr(err.excerpt, "hunter2") != NULL;
		cr_expect_eq(shown, secrets[i].shown, "%zu:\n%s", i, err.excerpt);
		cr_expect_not(strstr(err.msg, "hunter2"), "%zu: %s", i, err.msg);
	}
}

Test(conf_file, open_reports_what_it_cannot_read)
{
	char dir[] = "/tmp/zk-conf-XXXXXX", path[64];
	struct zk_conf_file *f = NULL;
	struct zk_error err = { 0 };
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/c.yaml", dir);
	cr_assert_eq(zk_conf_file_open(path, ZK_PLACE_USER, &f, &err), -ZK_E_CONFIG);
	cr_expect(strstr(err.msg, "No such file") != NULL, "%s", err.msg);
	cr_assert_eq(zk_conf_file_open(dir, ZK_PLACE_USER, &f, &err), -ZK_E_CONFIG);
	cr_expect(strstr(err.msg, "is a folder") != NULL, "%s", err.msg);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, 0640), 0);
	cr_assert_eq(write(fd, "version: 1\n", 11), 11);
	close(fd);
	cr_assert_eq(zk_conf_file_open(path, ZK_PLACE_USER, &f, &err), 0, "%s", err.msg);
	cr_expect_eq(f->mode, 0640);
	cr_expect_eq(f->owner, geteuid());
	cr_expect_eq(f->place, ZK_PLACE_USER);
	zk_conf_file_free(f);
	(void)unlink(path);
	(void)rmdir(dir);
}
