/* What failed HTTP exchanges mean: code, retryable, message (ux.md §7, §8).
 * Layer: tests. */
#include "net/http_err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <curl/curl.h>

#include "base/ban.h"

static const struct zk_http_fault plain = {
	.retry_after_ms = -1,
	.connect_ms = 5000,
	.timeout_ms = 1500,
	.idle_ms = 30000,
	.method = "POST",
	.safe_url = "https://h:8443/a",
	.origin = "https://h:8443",
	.detail = "",
	.remote_id = "",
};

Test(http_err, statuses)
{
	static const struct {
		int status;
		enum zk_code code;
		bool busy; /* another attempt of a repeatable request may succeed */
		const char *msg;
	} cases[] = {
		{ 301, ZK_E_HTTP, false, "HTTP 301 (redirects are not followed)" },
		{ 302, ZK_E_HTTP, false, "HTTP 302 (redirects are not followed)" },
		{ 308, ZK_E_HTTP, false, "HTTP 308 (redirects are not followed)" },
		{ 400, ZK_E_HTTP, false, "the server refused the request (HTTP 400)" },
		{ 401, ZK_E_AUTH, false, "the server refused the credential (HTTP 401)" },
		{ 403, ZK_E_FORBIDDEN, false, "permission denied (HTTP 403)" },
		{ 404, ZK_E_NOT_FOUND, false, "not found (HTTP 404)" },
		{ 407, ZK_E_AUTH, false, "the proxy wants authentication (HTTP 407)" },
		{ 408, ZK_E_HTTP_BUSY, true, "the server waited too long (HTTP 408)" },
		{ 409, ZK_E_CONFLICT, false,
		  "it exists already or has changed (HTTP 409)" },
		{ 410, ZK_E_HTTP, false, "gone for good (HTTP 410)" },
		{ 412, ZK_E_CONFLICT, false,
		  "it exists already or has changed (HTTP 412)" },
		{ 413, ZK_E_HTTP, false, "the server refused the request (HTTP 413)" },
		{ 422, ZK_E_HTTP, false, "the server refused the request (HTTP 422)" },
		{ 425, ZK_E_HTTP_BUSY, true, "the server failed (HTTP 425)" },
		{ 429, ZK_E_HTTP_BUSY, true, "too many requests (HTTP 429)" },
		{ 500, ZK_E_HTTP_BUSY, true, "the server failed (HTTP 500)" },
		{ 501, ZK_E_HTTP, false, "the server failed (HTTP 501)" },
		{ 502, ZK_E_HTTP_BUSY, true,
		  "the gateway got no good answer (HTTP 502)" },
		{ 503, ZK_E_HTTP_BUSY, true, "the server is not available (HTTP 503)" },
		{ 504, ZK_E_HTTP_BUSY, true,
		  "the gateway got no good answer (HTTP 504)" },
		{ 505, ZK_E_HTTP, false, "the server failed (HTTP 505)" },
		{ 600, ZK_E_PROTOCOL, false, "the answer has the status 600" },
		{ 101, ZK_E_PROTOCOL, false, "the answer has the status 101" },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++)
		for (int n = 0; n < 4; n++) {
			struct zk_http_fault f = plain;
			struct zk_error err;
			int s = cases[i].status;

			f.status = s;
			f.connected = true;
			f.repeatable = n & 1;
			f.sent = n & 2;
			cr_expect(zk_http_status_is_error(s));
			cr_expect_eq(zk_http_fault_to_error(&f, &err),
			             -(int)cases[i].code, "%d", s);
			cr_expect_eq(err.retryable,
			             cases[i].busy && (f.repeatable || !f.sent),
			             "%d, case %d", s, n);
			cr_expect_str_eq(err.msg, cases[i].msg);
			cr_expect_str_eq(err.where, "POST https://h:8443/a");
			cr_expect_eq(err.http_status, s);
			cr_expect_eq(err.retry_after_ms, 0);
		}
	cr_expect_not(zk_http_status_is_error(200));
	cr_expect_not(zk_http_status_is_error(204));
	cr_expect_not(zk_http_status_is_error(207));
	cr_expect_not(zk_http_status_is_error(299));
	cr_expect_not(zk_http_status_is_error(304));
}

static const struct {
	int curl;
	int sys_errno;
	const char *detail;
	const char *msg;
	enum zk_code code;
	bool transient;
} transfers[] = {
	{ CURLE_UNSUPPORTED_PROTOCOL, 0, "", "only http and https URLs are supported",
	  ZK_E_URL, false },
	{ CURLE_URL_MALFORMAT, 0, "", "the URL is malformed", ZK_E_URL, false },
	{ CURLE_LOGIN_DENIED, 0, "", "a user name or password in a URL is not accepted",
	  ZK_E_URL, false },
	{ CURLE_COULDNT_RESOLVE_HOST, 0, "Could not resolve host: h",
	  "cannot resolve the name in 'https://h:8443'", ZK_E_CONNECT, true },
	{ CURLE_COULDNT_RESOLVE_PROXY, 0, "", "cannot resolve the name of the proxy",
	  ZK_E_CONNECT, true },
	{ CURLE_COULDNT_CONNECT, ECONNREFUSED, "x",
	  "cannot connect to 'https://h:8443': Connection refused", ZK_E_CONNECT, true },
	{ CURLE_COULDNT_CONNECT, 0, "no route", "cannot connect to 'https://h:8443'",
	  ZK_E_CONNECT, true },
	{ CURLE_OPERATION_TIMEDOUT, 0, "",
	  "cannot connect to 'https://h:8443': no connection within 5s", ZK_E_CONNECT,
	  true },
	{ CURLE_SSL_CONNECT_ERROR, 0, "OpenSSL SSL_connect: Connection reset by peer",
	  "cannot connect to 'https://h:8443': the TLS handshake broke off", ZK_E_CONNECT,
	  true },
	{ CURLE_SSL_CONNECT_ERROR, 0, "wrong version number",
	  "the TLS connection to 'https://h:8443' failed: wrong version number", ZK_E_TLS,
	  false },
	{ CURLE_PEER_FAILED_VERIFICATION, 0, "certificate has expired",
	  "the TLS connection to 'https://h:8443' failed: certificate has "
	  "expired",
	  ZK_E_TLS, false },
	{ CURLE_SSL_CACERT_BADFILE, 0, "", "the file of CA certificates cannot be used",
	  ZK_E_CONFIG_VALUE, false },
	{ CURLE_WEIRD_SERVER_REPLY, 0, "", "the answer is not one of HTTP", ZK_E_PROTOCOL,
	  false },
	{ CURLE_GOT_NOTHING, 0, "", "the server closed the connection without an answer",
	  ZK_E_TRANSFER, true },
	{ CURLE_RECV_ERROR, 0, "", "the connection was lost before the answer",
	  ZK_E_TRANSFER, true },
	{ CURLE_SEND_ERROR, 0, "", "the connection was lost while the request was sent",
	  ZK_E_TRANSFER, true },
	{ CURLE_HTTP2_STREAM, 0, "", "the connection was lost before the answer",
	  ZK_E_TRANSFER, true },
	{ CURLE_BAD_FUNCTION_ARGUMENT, 0, "", "the transfer failed", ZK_E_TRANSFER,
	  false },
};

Test(http_err, transfers)
{
	for (size_t i = 0; i < ZK_ARRAY_LEN(transfers); i++)
		for (int n = 0; n < 4; n++) {
			struct zk_http_fault f = plain;
			struct zk_error err;
			bool unknown;

			f.curl = transfers[i].curl;
			f.detail = transfers[i].detail;
			f.sys_errno = transfers[i].sys_errno;
			f.repeatable = n & 1;
			f.sent = n & 2;
			unknown = transfers[i].transient && f.sent && !f.repeatable;
			cr_expect_eq(zk_http_fault_to_error(&f, &err),
			             unknown ? -ZK_E_UNKNOWN_OUTCOME
			                     : -(int)transfers[i].code,
			             "case %zu.%d", i, n);
			cr_expect_eq(err.retryable, transfers[i].transient && !unknown,
			             "case %zu.%d", i, n);
			cr_expect_str_eq(err.msg, transfers[i].msg, "case %zu: %s", i,
			                 err.msg);
			cr_expect_eq(err.sys_errno, transfers[i].sys_errno);
			if (unknown)
				cr_expect(strstr(err.why, "idempotency key"));
		}
}

Test(http_err, another_protocol_is_no_bad_url)
{
	struct zk_http_fault f = plain;
	struct zk_error err;

	f.curl = CURLE_UNSUPPORTED_PROTOCOL;
	f.connected = f.sent = true;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_PROTOCOL);
	cr_expect_not(err.retryable);
}

Test(http_err, own_ends)
{
	struct zk_http_fault f = plain;
	struct zk_error err;

	f.end = ZK_HTTP_END_BLOCKED;
	f.blocked_ip = "127.0.0.1";
	f.blocked_why = "private";
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_BLOCKED);
	cr_expect_str_eq(err.msg,
	                 "blocked address 127.0.0.1 (private); see --webhook-allow");
	cr_expect_not(err.retryable);

	f.end = ZK_HTTP_END_BODY;
	f.limit_bytes = 65536;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_LIMIT);
	cr_expect_str_eq(err.msg, "the answer is larger than 65536 bytes");

	f.end = ZK_HTTP_END_HEAD;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_PROTOCOL);

	f.end = ZK_HTTP_END_ENCODING;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_PROTOCOL);

	f.end = ZK_HTTP_END_STOPPED;
	f.stop_code = ZK_E_TIMEOUT;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_TIMEOUT);

	f.end = ZK_HTTP_END_PULL;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_NO_INPUT);

	f.end = ZK_HTTP_END_REDIRECT;
	f.status = 302;
	f.redirect = "the target is on another origin";
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_HTTP);
	cr_expect_str_eq(err.msg, "HTTP 302 (the target is on another origin)");

	f.end = ZK_HTTP_END_REPEAT;
	f.status = 0;
	f.connected = f.sent = true;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_UNKNOWN_OUTCOME);
	cr_expect_not(err.retryable);
}

Test(http_err, time_limits)
{
	struct zk_http_fault f = plain;
	struct zk_error err;

	f.end = ZK_HTTP_END_DEADLINE;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_CONNECT);
	cr_expect_str_eq(
	        err.msg,
	        "cannot connect to 'https://h:8443': no connection within 1500ms");
	cr_expect(err.retryable);

	f.connected = f.sent = f.repeatable = true;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_TRANSFER);
	cr_expect_str_eq(err.msg, "no answer within 1500ms");
	cr_expect(err.retryable);

	f.status = 200;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_TRANSFER);
	cr_expect_str_eq(err.msg, "the answer was not complete within 1500ms");

	f.end = ZK_HTTP_END_IDLE;
	f.repeatable = false;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_UNKNOWN_OUTCOME);
	cr_expect_str_eq(err.msg, "no data for 30s");
	cr_expect_not(err.retryable);
}

Test(http_err, proxies)
{
	struct zk_http_fault f = plain;
	struct zk_error err;

	f.curl = CURLE_RECV_ERROR;
	f.sent = true; /* the CONNECT was */
	f.repeatable = true;
	f.connect_status = 407;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_AUTH);
	f.connect_status = 403;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_HTTP);
	cr_expect_not(err.retryable);
	f.connect_status = 503;
	cr_expect_eq(zk_http_fault_to_error(&f, &err), -ZK_E_CONNECT);
	cr_expect_str_eq(err.msg,
	                 "the proxy did not connect to 'https://h:8443' (HTTP 503)");
	cr_expect(err.retryable);
}

Test(http_err, busy_answers_may_be_trusted)
{
	static const struct {
		int status;
		bool retryable;
		int64_t retry_after_ms;
	} cases[] = {
		{ 429, true, -1 },    { 429, true, 1000 },  { 503, false, -1 },
		{ 503, true, 0 },     { 503, true, 2000 },  { 500, false, 2000 },
		{ 502, false, 2000 }, { 409, false, 2000 },
	};

	for (size_t i = 0; i < ZK_ARRAY_LEN(cases); i++) {
		struct zk_http_fault f = plain;
		struct zk_error err;

		f.status = cases[i].status;
		f.retry_after_ms = cases[i].retry_after_ms;
		f.sent = f.connected = f.trust_busy = true;
		(void)zk_http_fault_to_error(&f, &err);
		cr_expect_eq(err.retryable, cases[i].retryable, "case %zu", i);
		cr_expect_eq(err.retry_after_ms, ZK_MAX(cases[i].retry_after_ms, 0));
		f.trust_busy = false;
		(void)zk_http_fault_to_error(&f, &err);
		cr_expect_not(err.retryable, "case %zu", i);
	}
}
