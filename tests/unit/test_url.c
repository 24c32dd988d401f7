/* URLs as libcurl parses them (specs/triggers.md §5.4), and origins.
 * Layer: tests. */
#include "net/url.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#include "base/ban.h"

static const char *or_null(const char *s)
{
	return s ? s : "(null)";
}

Test(url, parts)
{
	static const struct {
		const char *text, *origin, *path, *query, *user, *normal;
	} cases[] = {
		{ "http://example.com", "http://example.com:80", "/", NULL, NULL,
		  "http://example.com/" },
		{ "HTTPS://Example.COM/A?b=c&d#frag", "https://example.com:443", "/A",
		  "b=c&d", NULL, "https://Example.COM/A?b=c&d" },
		{ "http://localhost:8888/webhook", "http://localhost:8888", "/webhook",
		  NULL, NULL, "http://localhost:8888/webhook" },
		{ "https://h:443/", "https://h:443", "/", NULL, NULL, "https://h:443/" },
		{ "http://h:0080/", "http://h:80", "/", NULL, NULL, "http://h:80/" },
		{ "http://h:/x", "http://h:80", "/x", NULL, NULL, "http://h/x" },
		{ "http://[::1]:81/", "http://[::1]:81", "/", NULL, NULL,
		  "http://[::1]:81/" },
		{ "http://[FE80::1%25lo]/", "http://[fe80::1]:80", "/", NULL, NULL,
		  "http://[FE80::1%25lo]/" },
		{ "http://2130706433/", "http://127.0.0.1:80", "/", NULL, NULL,
		  "http://127.0.0.1/" },
		{ "http://0x7f.1/", "http://127.0.0.1:80", "/", NULL, NULL,
		  "http://127.0.0.1/" },
		{ "http://%31%32%37.0.0.1/", "http://127.0.0.1:80", "/", NULL, NULL,
		  "http://127.0.0.1/" },
		{ "http://%31.2/", "http://1.0.0.2:80", "/", NULL, NULL,
		  "http://1.0.0.2/" },
		{ "http://h/a/../b/./c", "http://h:80", "/b/c", NULL, NULL,
		  "http://h/b/c" },
		{ "http://user@h/", "http://h:80", "/", NULL, "user", "http://user@h/" },
		{ "http://user:pw@h/", "http://h:80", "/", NULL, "user",
		  "http://user:pw@h/" },
		{ "http://:pw@h/", "http://h:80", "/", NULL, "", "http://:pw@h/" },
		{ "http://h/\xc3\xa4", "http://h:80", "/\xc3\xa4", NULL, NULL,
		  "http://h/\xc3\xa4" },
		{ "http://h?x", "http://h:80", "/", "x", NULL, "http://h/?x" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_buf b;
		struct zk_url u;
		const char *t = cases[i].text;

		cr_assert_eq(zk_url_parse(zk_str_of(t), &u, &err), 0, "%s: %s", t,
		             err.msg);
		zk_buf_init(&b, 4096);
		zk_url_origin(&u, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].origin, "%s: %s", t,
		                 zk_buf_cstring(&b));
		cr_expect_str_eq(u.path, cases[i].path, "%s: %s", t, u.path);
		cr_expect_str_eq(or_null(u.query), or_null(cases[i].query), "%s", t);
		cr_expect_str_eq(or_null(u.user), or_null(cases[i].user), "%s: %s", t,
		                 or_null(u.user));
		cr_expect_str_eq(u.text, cases[i].normal, "%s: %s", t, u.text);
		zk_buf_done(&b);
		zk_url_done(&u);
		zk_url_done(&u); /* twice is fine */
	}
}

Test(url, refused)
{
	static const struct {
		zk_str text;
		const char *msg;
	} cases[] = {
		{ ZK_STR_INIT(""), "the URL is empty" },
		{ ZK_STR_INIT("ftp://h/"), "only http and https URLs are supported" },
		{ ZK_STR_INIT("file:///etc/passwd"),
		  "only http and https URLs are supported" },
		{ ZK_STR_INIT("javascript:alert(1)"), NULL },
		{ ZK_STR_INIT("//h/"), NULL },
		{ ZK_STR_INIT("h"), NULL },
		{ ZK_STR_INIT("/x"), NULL },
		{ ZK_STR_INIT("http:"), NULL },
		{ ZK_STR_INIT("http://"), "the host of the URL is missing or malformed" },
		{ ZK_STR_INIT("http:///"), NULL },
		{ ZK_STR_INIT("http://?x"), NULL },
		{ ZK_STR_INIT("http://:80/"), NULL },
		{ ZK_STR_INIT("http://user@/"), NULL },
		{ ZK_STR_INIT("http://h:65536/"), NULL },
		{ ZK_STR_INIT("http://h:0/"), NULL },
		{ ZK_STR_INIT("http://h:-1/"), NULL },
		{ ZK_STR_INIT("http://h:8a/"), NULL },
		{ ZK_STR_INIT("http://[::1/"), NULL },
		{ ZK_STR_INIT("http://[::g]/"), NULL },
		{ ZK_STR_INIT("http://a b/"),
		  "the URL contains white space or control characters" },
		{ ZK_STR_INIT(" http://h/"),
		  "the URL contains white space or control characters" },
		{ ZK_STR_INIT("http://h/\n"),
		  "the URL contains white space or control characters" },
		{ ZK_STR_INIT("http://h/\0x"),
		  "the URL contains white space or control characters" },
		{ ZK_STR_INIT("http://h/\x7f"),
		  "the URL contains white space or control characters" },
		{ ZK_STR_INIT("http://h/\xff"), "the URL is not valid UTF-8" },
		{ ZK_STR_INIT("http://h\\@evil/"), NULL },
		{ ZK_STR_INIT("http://<script>/"), NULL },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err = { 0 };
		struct zk_url u = { .port = 7777 };
		int r = zk_url_parse(cases[i].text, &u, &err);

		if (r == 0 && u.user) {
			/* Who takes no user name refuses it by that. */
			zk_url_done(&u);
			continue;
		}
		cr_expect_eq(r, -ZK_E_URL, "%s", cases[i].text.p);
		cr_expect_eq(u.port, 7777, "%s: the output is touched", cases[i].text.p);
		if (cases[i].msg)
			cr_expect_str_eq(err.msg, cases[i].msg, "%s: %s", cases[i].text.p,
			                 err.msg);
	}
}

Test(url, length)
{
	char text[2100] = "http://h/";
	struct zk_error err;
	struct zk_url u;

	memset(text + 9, 'a', sizeof(text) - 9);
	cr_expect_eq(zk_url_parse(zk_str_n(text, 2049), &u, &err), -ZK_E_URL);
	cr_expect_str_eq(err.msg, "the URL is longer than 2048 bytes");
	cr_assert_eq(zk_url_parse(zk_str_n(text, 2048), &u, &err), 0);
	zk_url_done(&u);
}

Test(url, origins)
{
	static const struct {
		const char *a, *b;
		bool same, address;
	} cases[] = {
		{ "http://h/x", "http://h:80/y?z", true, false },
		{ "http://H/", "http://h/", true, false },
		{ "https://h/", "http://h/", false, false },
		{ "https://h/", "https://h:444/", false, false },
		{ "https://h/", "https://h2/", false, false },
		{ "https://h/", "https://h./", false, false },
		{ "http://127.0.0.1/", "http://2130706433/", true, true },
		{ "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", true, true },
		{ "http://[::1]/", "http://127.0.0.1/", false, true },
		{ "http://127.0.0.1.example/", "http://127.0.0.1/", false, false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_error err;
		struct zk_url a, b;

		cr_assert_eq(zk_url_parse(zk_str_of(cases[i].a), &a, &err), 0);
		cr_assert_eq(zk_url_parse(zk_str_of(cases[i].b), &b, &err), 0);
		cr_expect_eq(zk_url_same_origin(&a, &b), cases[i].same, "%s %s",
		             cases[i].a, cases[i].b);
		cr_expect_eq(zk_url_has_address(&a), cases[i].address, "%s", cases[i].a);
		zk_url_done(&a);
		zk_url_done(&b);
	}
}
