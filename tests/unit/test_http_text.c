/* Retry-After, URLs for messages, traceparent.
 * Layer: tests. */
#include <criterion/criterion.h>

#include "base/buf.h"
#include "net/http.h"
#include "net/net.h"

#include "base/ban.h"

/* 2025-11-10T12:00:00Z */
#define NOW_US INT64_C(1762776000000000)

Test(retry_after, forms)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ "120", 120000 },
		{ " 7\t", 7000 },
		{ "007", 7000 },
		{ "9223372036854775", 9223372036854775000 },
		{ "9223372036854776", INT64_MAX },
		{ "99999999999999999999999999", INT64_MAX },
		{ "Mon, 10 Nov 2025 12:00:30 GMT", 30000 },
		{ "Mon, 10 Nov 2025 12:00:00 GMT", 0 },
		{ "Mon, 10 Nov 2025 11:59:59 GMT", 0 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Monday, 10-Nov-25 12:01:00 GMT", 60000 },
		{ "Mon Nov 10 12:00:02 2025", 2000 },
		{ "", -1 },
		{ " ", -1 },
		{ "-1", -1 },
		{ "+1", -1 },
		{ "1.5", -1 },
		{ "1 2", -1 },
		{ "0x10", -1 },
		{ "soon", -1 },
		{ "10s", -1 },
		{ "Mon, 32 Nov 2025 12:00:30 GMT", -1 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(
		        zk_http_retry_after(zk_str_of(cases[i].text), NOW_US),
		        cases[i].ms, "'%s': %lld", cases[i].text,
		        (long long)zk_http_retry_after(zk_str_of(cases[i].text), NOW_US));
	/* A date is never reached too early. */
	cr_expect_eq(zk_http_retry_after(ZK_STR("Mon, 10 Nov 2025 12:00:01 GMT"),
	                                 NOW_US + 500001),
	             500);
	cr_expect_eq(zk_http_retry_after(ZK_STR("1\0"), NOW_US), -1);
}

Test(safe_url, shows_no_secret)
{
	static const struct {
		const char *url, *safe;
	} cases[] = {
		{ "https://example.com/a/b", "https://example.com/a/b" },
		{ "https://example.com:8443/a?token=x#y", "https://example.com:8443/a" },
		{ "https://example.com?x=1", "https://example.com" },
		{ "https://example.com#x?y", "https://example.com" },
		{ "https://user:pw@example.com/a", "https://example.com/a" },
		{ "https://user@example.com", "https://example.com" },
		{ "https://a@b@example.com/", "https://example.com/" },
		{ "https://example.com/@user", "https://example.com/@user" },
		{ "https://example.com:80/@user", "https://example.com:80/@user" },
		{ "https://u:p/w@example.com/x", "https://example.com/x" },
		{ "https://u:p@[::1]:80/x", "https://[::1]:80/x" },
		{ "https://[::1]:80/x@y", "https://[::1]:80/x@y" },
		{ "http:/u:pw@host/x", "http:/host/x" },
		{ "http:u:pw@host/x", "http:host/x" },
		{ "u:pw@host/x", "u:host/x" },
		{ "host/x", "host/x" },
		{ "", "" },
		{ "?secret", "" },
		{ "http://h/a b\x1b[31m\x7f", "http://h/a?b?[31m?" },
		{ "http://h/\xc3\xa4\xff\xc2\x9b", "http://h/\xc3\xa4??" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 1024);
		zk_http_safe_url(cases[i].url, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].safe, "%s: %s",
		                 cases[i].url, zk_buf_cstring(&b));
		zk_buf_done(&b);
	}
}

Test(safe_url, is_cut)
{
	char url[5000] = "http://h/";
	struct zk_buf b;

	memset(url + 9, 'a', sizeof(url) - 10);
	zk_buf_init(&b, 1024);
	zk_http_safe_url(url, &b);
	cr_expect_eq(b.n, 7 + 200 + 3);
	cr_expect(zk_str_ends(zk_buf_str(&b), ZK_STR("aaa...")));
	zk_buf_done(&b);
}

Test(traceparent, format)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true },
		{ "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false },
		{ "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false },
		{ "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n", false },
		{ "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false },
		{ "", false },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		cr_expect_eq(zk_net_traceparent_ok(cases[i].text), cases[i].ok, "%s",
		             cases[i].text);
}
