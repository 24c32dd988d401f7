/* What the wire log shows and what it hides.
 * Layer: tests. */
#include "net/trace.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "net/http.h"

#include "base/ban.h"

static const struct {
	void (*mask)(zk_str, struct zk_buf *);
	const char *in, *out;
} cases[] = {
	{ zk_trace_mask_header, "Host: example.com", "Host: example.com" },
	{ zk_trace_mask_header, "Authorization: Bearer abc",
	  "Authorization: Bearer ***" },
	{ zk_trace_mask_header, "authorization: abc", "authorization: ***" },
	{ zk_trace_mask_header,
	  "Proxy-Authorization: Basic dXNlcg==", "Proxy-Authorization: Basic ***" },
	{ zk_trace_mask_header, "X-API-Key: zap_live_1", "X-API-Key: ***" },
	{ zk_trace_mask_header, "Cookie: a=b; c=d", "Cookie: ***" },
	{ zk_trace_mask_header, "set-cookie: a=b", "set-cookie: ***" },
	{ zk_trace_mask_header, "X-Auth-Token:abc", "X-Auth-Token: ***" },
	{ zk_trace_mask_header, "webhook-signature: v1,abc",
	  "webhook-signature: v1,abc" },
	{ zk_trace_mask_header, "GET /x?token=abc&y=1 HTTP/1.1",
	  "GET /x?token=***&y=1 HTTP/1.1" },
	{ zk_trace_mask_header, "GET http://u:p@h/x HTTP/1.1",
	  "GET http://***@h/x HTTP/1.1" },
	{ zk_trace_mask_header, "HTTP/1.1 200 OK", "HTTP/1.1 200 OK" },
	{ zk_trace_mask_header, "", "" },

	{ zk_trace_mask_url, "https://h/x", "https://h/x" },
	{ zk_trace_mask_url, "https://h/x?a=1&api_key=s&b=2#f",
	  "https://h/x?a=1&api_key=***&b=2#f" },
	{ zk_trace_mask_url, "https://h/x?X-Amz-Signature=s",
	  "https://h/x?X-Amz-Signature=***" },
	{ zk_trace_mask_url, "https://h/x?KEY=s&sig=t&monkey=1",
	  "https://h/x?KEY=***&sig=***&monkey=1" },
	{ zk_trace_mask_url, "https://h/x?token", "https://h/x?token" },
	{ zk_trace_mask_url, "https://h/x?=&&token=&", "https://h/x?=&&token=***&" },
	{ zk_trace_mask_url, "https://u:p@h:1/@x?y=@", "https://***@h:1/@x?y=@" },
	{ zk_trace_mask_url, "https://u:p@h?x", "https://***@h?x" },

	{ zk_trace_mask_body, "{\"a\":\"b\"}", "{\"a\":\"b\"}" },
	{ zk_trace_mask_body, "{\"api_key\":\"zap\",\"x\":1}",
	  "{\"api_key\":\"***\",\"x\":1}" },
	{ zk_trace_mask_body,
	  " [{\"signing_secret\" : \n \"wh\\\"sec\\\\\" , \"y\":\"z\"}]",
	  " [{\"signing_secret\" : \n \"***\" , \"y\":\"z\"}]" },
	{ zk_trace_mask_body, "{\"token\":1,\"tokens\":[\"a\"],\"y\":\"token\"}",
	  "{\"token\":1,\"tokens\":[\"a\"],\"y\":\"token\"}" },
	{ zk_trace_mask_body, "{\"password\":\"cut of", "{\"password\":\"***" },
	{ zk_trace_mask_body, "{\"password\":\"cut\\", "{\"password\":\"***" },
	{ zk_trace_mask_body, "{\"password\":\"", "{\"password\":\"***" },
	{ zk_trace_mask_body, "{\"password\":", "{\"password\":" },
	{ zk_trace_mask_body, "{\"password", "{\"password" },
	{ zk_trace_mask_body, "{\"x\\\"token\":\"v\"}", "{\"x\\\"token\":\"***\"}" },
	{ zk_trace_mask_body, "grant_type=client_credentials&client_secret=abc&scope=all",
	  "grant_type=client_credentials&client_secret=***&scope=all" },
	{ zk_trace_mask_body, "data: {\"token\":\"t\"}\n\n",
	  "data: {\"token\":\"***\"}\n\n" },
	{ zk_trace_mask_body, "plain text", "plain text" },
	{ zk_trace_mask_body, "", "" },
};

Test(trace, masks)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 4096);
		cases[i].mask(zk_str_of(cases[i].in), &b);
		cr_expect_str_eq(zk_buf_cstring(&b), cases[i].out, "%s\ngives %s",
		                 cases[i].in, zk_buf_cstring(&b));
		zk_buf_done(&b);
	}
}

Test(trace, words)
{
	static const struct {
		const char *list;
		unsigned flags; /* 0 = refused */
	} words[] = {
		{ "", ZK_TRACE_HEADERS },
		{ "headers", ZK_TRACE_HEADERS },
		{ "timing", ZK_TRACE_TIMING },
		{ "curl,timing", ZK_TRACE_CURL | ZK_TRACE_TIMING },
		{ "errors", ZK_TRACE_ERRORS | ZK_TRACE_HEADERS },
		{ "errors,curl", ZK_TRACE_ERRORS | ZK_TRACE_CURL },
		{ "headers, bodies", ZK_TRACE_HEADERS | ZK_TRACE_BODIES },
		{ "headers,headers", ZK_TRACE_HEADERS },
		{ "header", 0 },
		{ "headers,,bodies", 0 },
		{ ",", 0 },
		{ "Headers", 0 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(words); i++) {
		struct zk_error err = { 0 };
		unsigned flags = 0;
		int r = zk_trace_parse(zk_str_of(words[i].list), &flags, &err);

		cr_expect_eq(r, words[i].flags ? 0 : -ZK_E_USAGE, "'%s'", words[i].list);
		cr_expect_eq(flags, words[i].flags, "'%s'", words[i].list);
	}
}

Test(trace, as_a_command_line)
{
	static const char *const headers[] = { "X-API-Key: k", "X-Note: it's", NULL };
	static const struct {
		struct zk_http_conf conf;
		const char *line;
	} lines[] = {
		{ { .url = "http://h/x" }, "curl -sS http://h/x" },
		{ { .url = "http://h/x?a=b&token=c", .method = "DELETE" },
		  "curl -sS -X DELETE 'http://h/x?a=b&token=***'" },
		{ { .url = "http://h/", .method = "HEAD" }, "curl -sS -I http://h/" },
		{ { .url = "http://h/",
		    .method = "POST",
		    .headers = headers,
		    .bearer = "t",
		    .content_type = "text/plain",
		    .body = ZK_STR_INIT("a 'b'\n\x01") },
		  "curl -sS -H 'X-API-Key: ***' -H 'X-Note: it'\\''s' "
		  "-H 'Authorization: Bearer ***' -H 'Content-Type: text/plain' "
		  "--data-binary $'a \\'b\\'\\x0a\\x01' http://h/" },
		{ { .url = "http://h/",
		    .method = "PUT",
		    .body = ZK_STR_INIT("\xff\xfe") },
		  "curl -sS -X PUT -H Content-Type: --data-binary @- http://h/"
		  " # reads a body of 2 bytes from stdin" },
		{ { .url = "http://h/", .flags = ZK_HTTP_1_1 | ZK_HTTP_DECODE },
		  "curl -sS --http1.1 --compressed http://h/" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(lines); i++) {
		struct zk_buf b;

		zk_buf_init(&b, 4096);
		zk_trace_curl(&lines[i].conf, &b);
		cr_expect_str_eq(zk_buf_cstring(&b), lines[i].line, "%s",
		                 zk_buf_cstring(&b));
		zk_buf_done(&b);
	}
}
