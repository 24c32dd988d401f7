/* Rows in every format, selection, failures of stdout.
 * Layer: tests. */
#include "rt/out.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"

#include "base/ban.h"

/* What is written goes to one temporary file, what is said on stderr to another one. */
static int out_fd, said_fd, real_stderr;

static int temporary(void)
{
	int fd = open(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
	              O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	return fd;
}

static void setup(void)
{
	struct sigaction sa = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &sa, NULL);
	out_fd = temporary();
	said_fd = temporary();
	real_stderr = dup(STDERR_FILENO);
	cr_assert_eq(dup2(said_fd, STDERR_FILENO), STDERR_FILENO);
}

static void teardown(void)
{
	zk_log_stop();
	(void)dup2(real_stderr, STDERR_FILENO);
	(void)close(real_stderr);
	(void)close(said_fd);
	(void)close(out_fd);
}

TestSuite(out, .init = setup, .fini = teardown);

static char *content(int fd)
{
	static char text[8 << 20];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[ZK_MAX(n, 0)] = '\0';
	return text;
}

static void expect_file(int fd, const char *want, const char *what)
{
	const char *got = content(fd);

	cr_expect(strcmp(got, want) == 0, "%s:\n--- got\n%s--- wanted\n%s---", what, got,
	          want);
	(void)ftruncate(fd, 0);
	(void)lseek(fd, 0, SEEK_SET);
}

static const struct zk_out_col cols[] = {
	{ .name = "id", .flags = ZK_COL_WHOLE },
	{ .name = "size", .title = "bytes", .flags = ZK_COL_RIGHT },
	{ .name = "note" },
	{ .name = "more", .flags = ZK_COL_EXTRA },
};

static const struct zk_out_shape list = {
	.kind = ZK_OUT_LIST, .noun = "things", .cols = cols, .n_cols = 4
};

static const struct zk_out_shape named = {
	.kind = ZK_OUT_LIST, .noun = "things", .list = "things", .cols = cols, .n_cols = 4
};

static const struct zk_out_shape one = { .kind = ZK_OUT_ONE, .cols = cols, .n_cols = 4 };
static const struct zk_out_shape open_list = { .kind = ZK_OUT_LIST, .open = true };
static const struct zk_out_shape open_one = { .kind = ZK_OUT_ONE, .open = true };
static const struct zk_out_shape stream = { .kind = ZK_OUT_STREAM, .open = true };

static const char *const rows[] = {
	"{\"id\":\"a1\",\"size\":12345678901234567890,\"note\":\"caf\\u00e9, \\\"x\\\"\","
	"\"more\":{\"k\":[1.10, 2]}}",
	" { \"id\" : \"b2\",\n \"size\" : 7, \"note\" : null, \"more\" : "
	"\"tab\\tline\\nend \" } ",
	NULL,
};

struct run {
	struct zk_out_conf conf;
	const struct zk_out_shape *shape;
	const char *const *rows;
	const char *members;
	int r;               /* result of the first call that fails */
	struct zk_error err; /* and what it says */
};

static int give_rows(struct zk_out *o, struct run *t)
{
	int r = zk_out_begin(o, t->shape, &t->err);

	for (size_t i = 0; r == 0 && t->rows[i]; i++)
		r = zk_out_row(o, zk_str_of(t->rows[i]), &t->err);
	if (r == 0 && t->members)
		zk_out_members(o, zk_str_of(t->members));
	return r < 0 ? r : zk_out_end(o, &t->err);
}

static void run(struct run *t)
{
	struct zk_out *o = NULL;

	t->conf.fd = out_fd;
	if (!t->rows)
		t->rows = rows;
	t->r = zk_out_new(&t->conf, &o, &t->err);
	if (t->r == 0)
		t->r = give_rows(o, t);
	zk_out_free(o);
}

/* ---- formats ---- */

static const struct {
	const char *what;
	int format;
	const struct zk_out_shape *shape;
	const char *fields, *jq, *text, *members;
	const char *want;
} cases[] = {
	{ "ndjson", ZK_OUT_NDJSON, &list, NULL, NULL, NULL, NULL,
	  "{\"id\":\"a1\",\"size\":12345678901234567890,\"note\":\"caf\\u00e9, "
	  "\\\"x\\\"\","
	  "\"more\":{\"k\":[1.10, 2]}}\n"
	  "{\"id\":\"b2\",\"size\":7,\"note\":null,\"more\":\"tab\\tline\\nend \"}\n" },
	{ "auto is ndjson here", ZK_OUT_AUTO, &list, "id", NULL, NULL, NULL,
	  "{\"id\":\"a1\"}\n{\"id\":\"b2\"}\n" },
	{ "json is one document", ZK_OUT_JSON, &list, "id,size", NULL, NULL, NULL,
	  "[{\"id\":\"a1\",\"size\":12345678901234567890},{\"id\":\"b2\",\"size\":7}]"
	  "\n" },
	{ "json with a named list", ZK_OUT_JSON, &named, "id", NULL, NULL,
	  "\"next\":null",
	  "{\"things\":[{\"id\":\"a1\"},{\"id\":\"b2\"}],\"next\":null}\n" },
	{ "json of a stream is lines", ZK_OUT_JSON, &stream, "id", NULL, NULL, NULL,
	  "{\"id\":\"a1\"}\n{\"id\":\"b2\"}\n" },
	{ "yaml", ZK_OUT_YAML, &list, NULL, NULL, NULL, NULL,
	  "- id: a1\n  size: 12345678901234567890\n  note: \"caf\xC3\xA9, \\\"x\\\"\"\n"
	  "  more:\n    k:\n      - 1.10\n      - 2\n"
	  "- id: b2\n  size: 7\n  note: null\n  more: \"tab\\tline\\nend \"\n" },
	{ "yaml with a named list", ZK_OUT_YAML, &named, "id", NULL, NULL, "\"next\":3",
	  "things:\n- id: a1\n- id: b2\nnext: 3\n" },
	{ "csv", ZK_OUT_CSV, &list, NULL, NULL, NULL, NULL,
	  "id,size,note,more\n"
	  "a1,12345678901234567890,\"caf\xC3\xA9, \"\"x\"\"\",\"{\"\"k\"\":[1.10,2]}\"\n"
	  "b2,7,,\"tab\tline\nend \"\n" },
	{ "tsv", ZK_OUT_TSV, &list, NULL, NULL, NULL, NULL,
	  "id\tsize\tnote\tmore\na1\t12345678901234567890\tcaf\xC3\xA9, "
	  "\"x\"\t{\"k\":[1.10,2]}\n"
	  "b2\t7\t\ttab\\tline\\nend \n" },
	{ "plain", ZK_OUT_PLAIN, &list, "id,more.k.0", NULL, NULL, NULL,
	  "a1\t1.10\nb2\t\n" },
	{ "table", ZK_OUT_TABLE, &list, NULL, NULL, NULL, NULL,
	  "id                 bytes  note\n"
	  "a1  12345678901234567890  caf\xC3\xA9, \"x\"\n"
	  "b2                     7  -\n" },
	{ "table with fields", ZK_OUT_TABLE, &list, "more,id", NULL, NULL, NULL,
	  "more             id\n{\"k\":[1.10,2]}   a1\ntab\\tline\\nend   b2\n" },
	{ "format", ZK_OUT_AUTO, &list, NULL, NULL, "{id}\\t{size}\\\\\\{{more.k}\\}",
	  NULL, "a1\t12345678901234567890\\{[1.10,2]}\nb2\t7\\{}\n" },
	{ "format in csv", ZK_OUT_CSV, &list, NULL, NULL, "{note}", NULL,
	  "\"caf\xC3\xA9, \"\"x\"\"\"\n\n" },
	{ "format in yaml", ZK_OUT_YAML, &list, NULL, NULL, "{id} {size}", NULL,
	  "- \"a1 12345678901234567890\"\n- \"b2 7\"\n" },
	{ "fields of what is not there", ZK_OUT_NDJSON, &open_list, "id,x.y,more.k", NULL,
	  NULL, NULL,
	  "{\"id\":\"a1\",\"x.y\":null,\"more.k\":[1.10, 2]}\n"
	  "{\"id\":\"b2\",\"x.y\":null,\"more.k\":null}\n" },
	{ "a field twice is one", ZK_OUT_NDJSON, &list, "id, id", NULL, NULL, NULL,
	  "{\"id\":\"a1\"}\n{\"id\":\"b2\"}\n" },
	{ "jq strings are raw", ZK_OUT_NDJSON, &list, NULL, ".id", NULL, NULL,
	  "a1\nb2\n" },
	{ "jq of a document", ZK_OUT_JSON, &named, NULL, ".things[].id, .next", NULL,
	  "\"next\":4", "a1\nb2\n4\n" },
	{ "jq of a list", ZK_OUT_JSON, &list, NULL, "length", NULL, NULL, "2\n" },
	{ "jq makes rows", ZK_OUT_CSV, &list, NULL, "{i:.id,l:(.note|length)}", NULL,
	  NULL, "i,l\na1,9\nb2,0\n" },
	{ "jq makes arrays", ZK_OUT_TSV, &list, NULL, "[.id,1]", NULL, NULL,
	  "0\t1\na1\t1\nb2\t1\n" },
	{ "jq may drop rows", ZK_OUT_NDJSON, &list, NULL, "select(.id==\"b2\")|{id}",
	  NULL, NULL, "{\"id\":\"b2\"}\n" },
	{ "jq may stop", ZK_OUT_NDJSON, &list, NULL, ".id,halt", NULL, NULL, "a1\n" },
	{ "jq then format", ZK_OUT_AUTO, &list, NULL, "{n:.id}", "<{n}>", NULL,
	  "<a1>\n<b2>\n" },
	{ "jq then fields", ZK_OUT_NDJSON, &list, "n", "{n:.id,m:1}", NULL, NULL,
	  "{\"n\":\"a1\"}\n{\"n\":\"b2\"}\n" },
};

Test(out, formats)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct run t = { .conf = { .format = cases[i].format,
			                   .quiet = true,
			                   .fields = cases[i].fields,
			                   .jq = cases[i].jq,
			                   .format_text = cases[i].text },
			         .shape = cases[i].shape,
			         .members = cases[i].members };

		run(&t);
		cr_expect_eq(t.r, 0, "%s: %s", cases[i].what, t.err.msg);
		expect_file(out_fd, cases[i].want, cases[i].what);
	}
}

static const char *const single[] = { "{\"id\":\"a1\",\"size\":5,\"note\":{\"a\":[],"
	                              "\"b\":{}},\"more\":\"x\\u001b[31m\"}",
	                              NULL };

Test(out, one_object)
{
	static const struct {
		int format;
		const struct zk_out_shape *shape;
		const char *fields, *want;
	} one_cases[] = {
		{ ZK_OUT_JSON, &one, NULL,
		  "{\"id\":\"a1\",\"size\":5,\"note\":{\"a\":[],\"b\":{}},"
		  "\"more\":\"x\\u001b[31m\"}\n" },
		{ ZK_OUT_TABLE, &one, NULL,
		  "id     a1\nbytes  5\nnote   {\"a\":[],\"b\":{}}\n" },
		{ ZK_OUT_TABLE, &open_one, NULL,
		  "id    a1\nsize  5\nnote  {\"a\":[],\"b\":{}}\nmore  x\\x1b[31m\n" },
		{ ZK_OUT_TABLE, &open_one, "more,id", "more  x\\x1b[31m\nid    a1\n" },
		{ ZK_OUT_YAML, &one, NULL,
		  "id: a1\nsize: 5\nnote:\n  a: []\n  b: {}\nmore: \"x\\u001b[31m\"\n" },
		{ ZK_OUT_PLAIN, &one, "id", "a1\n" },
		{ ZK_OUT_CSV, &one, "id,size", "id,size\na1,5\n" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(one_cases); i++) {
		struct run t = { .conf = { .format = one_cases[i].format,
			                   .fields = one_cases[i].fields },
			         .shape = one_cases[i].shape,
			         .rows = single };

		run(&t);
		cr_expect_eq(t.r, 0, "%s", t.err.msg);
		expect_file(out_fd, one_cases[i].want, "one");
	}
}

Test(out, an_open_object_is_shown_whole_behind_its_columns)
{
	static const struct zk_out_col first[] = { { .name = "size" },
		                                   { .name = "note.a" } };
	static const struct zk_out_shape shape = {
		.kind = ZK_OUT_ONE, .open = true, .cols = first, .n_cols = 2
	};
	struct run t = { .conf = { .format = ZK_OUT_TABLE },
		         .shape = &shape,
		         .rows = single };

	run(&t);
	expect_file(out_fd, "size    5\nnote.a  []\nid      a1\nmore    x\\x1b[31m\n",
	            "open");
}

Test(out, empty_results)
{
	static const char *const none[] = { NULL };
	static const struct {
		int format;
		const struct zk_out_shape *shape;
		const char *want;
	} empty[] = {
		{ ZK_OUT_TABLE, &list, "" },
		{ ZK_OUT_NDJSON, &list, "" },
		{ ZK_OUT_JSON, &list, "[]\n" },
		{ ZK_OUT_JSON, &named, "{\"things\":[]}\n" },
		{ ZK_OUT_YAML, &list, "[]\n" },
		{ ZK_OUT_YAML, &named, "things: []\n" },
		{ ZK_OUT_CSV, &list, "id,size,note,more\n" },
		{ ZK_OUT_PLAIN, &list, "" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(empty); i++) {
		struct run t = { .conf = { .format = empty[i].format },
			         .shape = empty[i].shape,
			         .rows = none };

		run(&t);
		expect_file(out_fd, empty[i].want, "empty");
		expect_file(said_fd, "no things\n", "said");
	}
}

/* Without declared columns the first row says what the columns are; names with dots too. */
Test(out, columns_of_the_first_row)
{
	static const char *const open_rows[] = {
		"{\"a.b\":1,\"a\":{\"b\":2},\"c\":\"x\"}", "{\"c\":\"y\",\"d\":9}", NULL
	};
	struct run t = { .conf = { .format = ZK_OUT_CSV },
		         .shape = &open_list,
		         .rows = open_rows };

	run(&t);
	expect_file(out_fd, "a.b,a,c\n1,\"{\"\"b\"\":2}\",x\n,,y\n", "csv");
	expect_file(
	        said_fd,
	        "some rows have more fields than the first one; name those you want with "
	        "--fields\n",
	        "said");
}

Test(out, deep_values_become_flow_yaml)
{
	char deep[200];
	const char *const deep_rows[] = { deep, NULL };
	struct run t = { .conf = { .format = ZK_OUT_YAML },
		         .shape = &open_list,
		         .rows = deep_rows };

	memset(deep, '[', 60);
	deep[60] = '1';
	memset(deep + 61, ']', 60);
	deep[121] = '\0';
	run(&t);
	cr_expect_eq(t.r, 0);
	/* 32 levels of "- ", and the rest as JSON. */
	cr_expect(strstr(content(out_fd), "- - - [[[[[") != NULL, "%s", content(out_fd));
	cr_expect(strstr(content(out_fd), "[1]") != NULL);
}

/* ---- selection that cannot be ---- */

Test(out, wrong_selections)
{
	static const struct {
		const char *fields, *jq, *text, *msg, *hint;
		int code;
	} wrong[] = {
		{ "id,,size", NULL, NULL, "--fields 'id,,size' has an empty name", "",
		  ZK_E_USAGE },
		{ "sizes", NULL, NULL, "--fields: there is no field 'sizes'",
		  "did you mean 'size'?", ZK_E_USAGE },
		{ "more.k,zzz", NULL, NULL, "--fields: there is no field 'zzz'",
		  "--list-fields names them", ZK_E_USAGE },
		{ NULL, NULL, "{nots}", "--format: there is no field 'nots'",
		  "did you mean 'note'?", ZK_E_USAGE },
		{ NULL, NULL, "", "--format is empty", "", ZK_E_USAGE },
		{ NULL, NULL, "{id", "--format '{id': a '{' is not closed", "",
		  ZK_E_USAGE },
		{ NULL, NULL, "a}b", "--format 'a}b': a '}' without '{'; write '\\}'", "",
		  ZK_E_USAGE },
		{ NULL, NULL, "{}", "--format '{}': '{}' names no field", "",
		  ZK_E_USAGE },
		{ NULL, NULL, "a\\q",
		  "--format 'a\\q': '\\q' means nothing; known are \\n \\t \\r \\\\ \\{ "
		  "\\}",
		  "", ZK_E_USAGE },
		{ NULL, NULL, "a\\",
		  "--format 'a\\': '\\' means nothing; known are \\n \\t \\r \\\\ \\{ "
		  "\\}",
		  "", ZK_E_USAGE },
		{ NULL, ".id[", NULL, NULL, "", ZK_E_USAGE },
		{ NULL, ".id.x", NULL, "--jq: Cannot index string with string \"x\"", "",
		  ZK_E_DATA },
		{ NULL, "error(\"no\")", NULL, "--jq: no", "", ZK_E_DATA },
		{ NULL, "nosuch(1)", NULL, NULL, "", ZK_E_USAGE },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(wrong); i++) {
		struct run t = { .conf = { .format = ZK_OUT_NDJSON,
			                   .fields = wrong[i].fields,
			                   .jq = wrong[i].jq,
			                   .format_text = wrong[i].text },
			         .shape = &list };

		run(&t);
		cr_expect_eq(t.r, -wrong[i].code, "case %zu: %d", i, t.r);
		if (wrong[i].msg)
			cr_expect_str_eq(t.err.msg, wrong[i].msg, "case %zu: %s", i,
			                 t.err.msg);
		else
			cr_expect(strncmp(t.err.msg, "--jq '", 6) == 0, "%s", t.err.msg);
		cr_expect_str_eq(t.err.hint, wrong[i].hint, "case %zu", i);
	}
}

Test(out, jq_warns_once_about_large_integers)
{
	static const char *const big[] = { "{\"n\":9007199254740993}",
		                           "{\"n\":9007199254740994}", NULL };
	static const char *const small[] = {
		"{\"n\":9007199254740992,"
		"\"s\":\"12345678901234567890\",\"f\":0.12345678901234567}",
		NULL
	};
	struct run t = { .conf = { .format = ZK_OUT_NDJSON, .jq = ".s" },
		         .shape = &list,
		         .rows = big };
	struct run u = { .conf = { .format = ZK_OUT_NDJSON, .jq = ".s" },
		         .shape = &list,
		         .rows = small };

	run(&t);
	expect_file(
	        said_fd,
	        "warning: --jq makes integers above 2^53 inexact; --fields keeps them\n",
	        "big");
	run(&u);
	expect_file(said_fd, "", "small");
}

Test(out, list_fields_and_cut_lists)
{
	struct zk_out_conf conf = { .fd = out_fd, .format = ZK_OUT_TABLE };
	struct zk_error err;
	struct zk_out *o;

	cr_assert_eq(zk_out_new(&conf, &o, &err), 0);
	cr_expect_eq(zk_out_list_fields(o, &list, &err), 0);
	zk_out_cut(o, 50, 2130);
	zk_out_cut(o, 50, -1);
	zk_out_free(o);
	expect_file(out_fd, "id\nsize\nnote\nmore\n", "fields");
	expect_file(said_fd,
	            "50 of 2,130; --all for the rest\n50 shown, there are more; --all "
	            "for the rest\n",
	            "cut");
}

/* ---- the terminal ---- */

static char *on_terminal(int format, const struct zk_out_shape *shape,
                         const char *const *r, unsigned short columns, bool color)
{
	static char text[4096];
	struct winsize ws = { .ws_col = columns, .ws_row = 24 };
	struct run t = { .conf = { .format = format, .color = color },
		         .shape = shape,
		         .rows = r };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), slave, saved = out_fd;
	size_t n = 0;
	ssize_t got;

	cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	cr_assert(slave >= 0 && ioctl(slave, TIOCSWINSZ, &ws) == 0);
	out_fd = slave;
	run(&t);
	out_fd = saved;
	cr_expect_eq(t.r, 0, "%s", t.err.msg);
	while ((got = read(master, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	(void)close(master);
	(void)close(slave);
	return text;
}

static const char *const wide[] = {
	"{\"id\":\"a-long-identifier-that-stays\",\"size\":1,\"note\":\"a note that is "
	"much "
	"longer than the terminal is wide, and that is cut\"}",
	"{\"id\":\"b\",\"size\":22,\"note\":\"\\u65e5\\u672c\\u8a9e "
	"\\u001b]0;title\\u0007\"}",
	NULL
};

Test(out, tables_are_cut_to_the_terminal)
{
	(void)setenv("LC_ALL", "C.UTF-8", 1);
	cr_expect_str_eq(on_terminal(ZK_OUT_AUTO, &list, wide, 60, false),
	                 "id                            bytes  note\r\n"
	                 "a-long-identifier-that-stays      1  a note that is much "
	                 "lo\xE2\x80\xA6\r\n"
	                 "b                                22  "
	                 "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E "
	                 "\\x1b]0;title\\x07\r\n");
	(void)setenv("LC_ALL", "C", 1);
	cr_expect_str_eq(on_terminal(ZK_OUT_TABLE, &list, wide, 50, true),
	                 "\033[2mid                            bytes  note\033[0m\r\n"
	                 "a-long-identifier-that-stays      1  a note that ~\r\n"
	                 "b                                22  "
	                 "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E "
	                 "\\x1b]~\r\n");
}

Test(out, json_is_indented_on_a_terminal)
{
	static const char *const r[] = {
		"{\"id\":\"a{,}\\\"\",\"size\":[1,{}],\"note\":[ ]}", NULL
	};

	cr_expect_str_eq(
	        on_terminal(ZK_OUT_JSON, &list, r, 80, false),
	        "[\r\n  {\r\n    \"id\": \"a{,}\\\"\",\r\n    \"size\": [\r\n      1,\r\n"
	        "      {}\r\n    ],\r\n    \"note\": []\r\n  }\r\n]\r\n");
	cr_expect_str_eq(
	        on_terminal(ZK_OUT_JSON, &named, r, 80, false),
	        "{\r\n  \"things\": [\r\n    {\r\n      \"id\": \"a{,}\\\"\",\r\n"
	        "      \"size\": [\r\n        1,\r\n        {}\r\n      ],\r\n"
	        "      \"note\": []\r\n    }\r\n  ]\r\n}\r\n");
}

/* What came from elsewhere does not control the terminal. */
Test(out, raw_text_is_scrubbed_on_a_terminal)
{
	static const char *const r[] = { "{\"id\":\"x\\u001b[2J\\u202e\\ny\"}", NULL };
	struct run t = { .conf = { .format = ZK_OUT_NDJSON, .jq = ".id" },
		         .shape = &list,
		         .rows = r };

	run(&t);
	expect_file(out_fd, "x\033[2J\xE2\x80\xAE\ny\n", "a pipe gets the bytes");
	cr_expect_str_eq(on_terminal(ZK_OUT_PLAIN, &list, r, 80, false),
	                 "x\\x1b[2J\\u202e\\ny\t\t\t\r\n");
}

/* ---- failures ---- */

Test(out, a_reader_that_went_away)
{
	struct zk_out_conf conf = { .format = ZK_OUT_NDJSON };
	struct zk_error err;
	struct zk_out *o;
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	conf.fd = fd[1];
	cr_assert_eq(zk_out_new(&conf, &o, &err), 0);
	cr_expect_eq(zk_out_begin(o, &stream, &err), 0);
	cr_expect_eq(zk_out_row(o, ZK_STR("{}"), &err), 0);
	cr_expect_not(zk_out_closed(o));
	(void)close(fd[0]);
	cr_expect_eq(zk_out_row(o, ZK_STR("{}"), &err), 0);
	cr_expect(zk_out_closed(o));
	cr_expect_eq(zk_out_row(o, ZK_STR("{}"), &err), 0);
	cr_expect_eq(zk_out_end(o, &err), 0);
	zk_out_free(o);
	(void)close(fd[1]);
}

Test(out, a_full_disk)
{
	struct zk_out_conf conf = { .format = ZK_OUT_NDJSON };
	struct zk_error err;
	struct zk_out *o;

	conf.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(zk_out_new(&conf, &o, &err), 0);
	cr_expect_eq(zk_out_begin(o, &list, &err), 0);
	cr_expect_eq(zk_out_row(o, ZK_STR("{}"), &err), 0, "it is not written yet");
	cr_expect_eq(zk_out_end(o, &err), -ZK_E_OUTPUT);
	cr_expect_str_eq(err.msg, "cannot write the output: No space left on device");
	cr_expect_eq(err.sys_errno, ENOSPC);
	zk_out_free(o);
	(void)close(conf.fd);
}

/* A descriptor that somebody else made non-blocking is waited for. */
static void *slow_reader(void *arg)
{
	int fd = *(int *)arg;
	static char text[4096];
	size_t *sum = zk_alloc0(sizeof(*sum));
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0)
		*sum += (size_t)n;
	return sum;
}

static size_t write_many(struct zk_out_conf conf, unsigned count)
{
	struct zk_error err;
	struct zk_out *o;
	pthread_t reader;
	void *sum;
	size_t n;
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	cr_assert_eq(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	conf.fd = fd[1];
	cr_assert_eq(pthread_create(&reader, NULL, slow_reader, &fd[0]), 0);
	cr_assert_eq(zk_out_new(&conf, &o, &err), 0);
	cr_expect_eq(zk_out_begin(o, &list, &err), 0);
	for (unsigned i = 0; i < count; i++)
		cr_expect_eq(zk_out_row(o, ZK_STR("{\"id\":1}"), &err), 0);
	cr_expect_eq(zk_out_rows(o), count);
	cr_expect_eq(zk_out_end(o, &err), 0);
	zk_out_free(o);
	(void)close(fd[1]);
	(void)pthread_join(reader, &sum);
	n = *(size_t *)sum;
	free(sum);
	(void)close(fd[0]);
	return n;
}

Test(out, much_through_a_pipe)
{
	cr_expect_eq(write_many((struct zk_out_conf){ .format = ZK_OUT_NDJSON }, 50000),
	             450000);
}

Test(out, much_through_a_thread)
{
	struct zk_out_conf conf = { .format = ZK_OUT_NDJSON, .threaded = true };
	struct zk_error err;

	conf.loop = zk_loop_new(&err);
	cr_expect_eq(write_many(conf, 50000), 450000);
	zk_loop_free(conf.loop);
}

struct follow {
	struct zk_loop *loop;
	struct zk_out *o;
	unsigned given, rooms;
	int fd;
};

static void give_until_full(void *ctx)
{
	struct follow *f = ctx;
	struct zk_error err;

	while (!zk_out_is_full(f->o) && f->given < 300000) {
		cr_expect_eq(zk_out_row(f->o, ZK_STR("{\"id\":\"0123456789\"}"), &err),
		             0);
		f->given++;
	}
}

static void on_room(void *ctx)
{
	struct follow *f = ctx;

	f->rooms++;
	give_until_full(ctx);
}

static void *read_main(void *arg)
{
	return slow_reader(arg);
}

/* A reader that stands still does not stop the loop; the source pauses meanwhile. */
Test(out, following_pauses_the_source)
{
	struct follow f = { 0 };
	struct zk_out_conf conf = {
		.format = ZK_OUT_NDJSON, .threaded = true, .ctx = &f, .on_room = on_room
	};
	struct zk_error err;
	pthread_t reader;
	int fd[2];
	void *sum;

	f.loop = conf.loop = zk_loop_new(&err);
	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	conf.fd = fd[1];
	cr_assert_eq(zk_out_new(&conf, &f.o, &err), 0);
	cr_expect_eq(zk_out_begin(f.o, &stream, &err), 0);
	give_until_full(&f);
	cr_expect_lt(f.given, 300000, "nobody reads: it is full first");
	cr_assert_eq(pthread_create(&reader, NULL, read_main, &fd[0]), 0);
	zk_loop_run(f.loop);
	cr_expect_eq(f.given, 300000);
	cr_expect_gt(f.rooms, 0);
	cr_expect_eq(zk_out_end(f.o, &err), 0);
	zk_out_free(f.o);
	(void)close(fd[1]);
	(void)pthread_join(reader, &sum);
	cr_expect_eq(*(size_t *)sum, 300000 * sizeof("{\"id\":\"0123456789\"}"));
	free(sum);
	(void)close(fd[0]);
	zk_loop_free(f.loop);
}

static int64_t patience_ms(void *app)
{
	return *(int64_t *)app;
}

/* A reader that stands still holds up the end for as long as it may. */
Test(out, nobody_reads)
{
	int64_t ms = 20;
	struct follow f = { 0 };
	struct zk_out_conf conf = { .format = ZK_OUT_NDJSON,
		                    .threaded = true,
		                    .patience_ms = patience_ms,
		                    .app = &ms };
	struct zk_error err = { 0 };
	int fd[2];

	f.loop = conf.loop = zk_loop_new(&err);
	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	conf.fd = fd[1];
	cr_assert_eq(zk_out_new(&conf, &f.o, &err), 0);
	cr_expect_eq(zk_out_begin(f.o, &stream, &err), 0);
	give_until_full(&f);
	cr_expect_eq(zk_out_end(f.o, &err), -ZK_E_INTERRUPTED);
	cr_expect(strstr(err.msg, "nobody read the output"), "%s", err.msg);
	zk_out_free(f.o);
	zk_loop_free(f.loop);
	/* The thread still writes: its pipe stays. */
}

Test(out, with_a_loop_rows_are_written_at_the_end_of_the_turn)
{
	struct zk_out_conf conf = { .fd = out_fd, .format = ZK_OUT_NDJSON };
	struct zk_error err;
	struct zk_out *o;

	conf.loop = zk_loop_new(&err);
	cr_assert_eq(zk_out_new(&conf, &o, &err), 0);
	cr_expect_eq(zk_out_begin(o, &list, &err), 0);
	cr_expect_eq(zk_out_row(o, ZK_STR("{}"), &err), 0);
	cr_expect_str_eq(content(out_fd), "");
	zk_loop_run(conf.loop);
	expect_file(out_fd, "{}\n", "written");
	cr_expect_eq(zk_out_row(o, ZK_STR("[]"), &err), 0);
	zk_out_free(o); /* without an end: nothing is left to run */
	zk_loop_run(conf.loop);
	zk_loop_free(conf.loop);
}

/* ---- rows from values ---- */

Test(out, rows_are_built)
{
	struct zk_row r;

	zk_row_init(&r);
	zk_row_str(&r, "s", ZK_STR("a\"\xFF"));
	zk_row_cstr(&r, "c", NULL);
	zk_row_i64(&r, "i", INT64_MIN);
	zk_row_u64(&r, "u", UINT64_MAX);
	zk_row_double(&r, "d", 0.1);
	zk_row_bool(&r, "b", true);
	zk_row_null(&r, "n");
	zk_row_time(&r, "t", 0);
	zk_row_raw(&r, "r", ZK_STR("{\"x\":1.10}"));
	zk_str s = zk_row_end(&r);
	cr_expect_str_eq(
	        zk_buf_cstring(&r.buf),
	        "{\"s\":\"a\\\"\xEF\xBF\xBD\",\"c\":null,\"i\":-9223372036854775808,"
	        "\"u\":18446744073709551615,\"d\":0.1,\"b\":true,\"n\":null,"
	        "\"t\":\"1970-01-01T00:00:00.000000Z\",\"r\":{\"x\":1.10}}");
	cr_expect_eq(s.n, r.buf.n);
	zk_row_i64(&r, "next", 1);
	(void)zk_row_end(&r);
	cr_expect_str_eq(zk_buf_cstring(&r.buf), "{\"next\":1}");
	(void)zk_row_end(&r);
	cr_expect_str_eq(zk_buf_cstring(&r.buf), "{}");
	zk_row_done(&r);
}
