/* What a failed HTTP exchange means.
 * Layer: net, internal to the HTTP client. ux.md §7, §8. */
#include "net/http_err.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/ban.h"

/* Kinds of failure that need words of their own; the rest of the words stand in the
 * table. */
enum kind {
	PLAIN,     /* the text is all */
	RESOLVE,   /* cannot resolve … */
	CONNECT,   /* cannot connect to … */
	TIMED,     /* one of the time limits */
	HANDSHAKE, /* TLS: broken off (transient) or refused */
	CERTIFICATE,
	BROKEN, /* the connection was lost */
};

struct row {
	int curl;
	enum kind kind;
	enum zk_code code;
	bool transient; /* another attempt may succeed */
	const char *text;
};

static const struct row rows[] = {
	{ CURLE_UNSUPPORTED_PROTOCOL, PLAIN, ZK_E_URL, false,
	  "only http and https URLs are supported" },
	{ CURLE_URL_MALFORMAT, PLAIN, ZK_E_URL, false, "the URL is malformed" },
	{ CURLE_LOGIN_DENIED, PLAIN, ZK_E_URL, false,
	  "a user name or password in a URL is not accepted" },
	{ CURLE_COULDNT_RESOLVE_PROXY, PLAIN, ZK_E_CONNECT, true,
	  "cannot resolve the name of the proxy" },
	{ CURLE_COULDNT_RESOLVE_HOST, RESOLVE, ZK_E_CONNECT, true, NULL },
	{ CURLE_COULDNT_CONNECT, CONNECT, ZK_E_CONNECT, true, NULL },
	{ CURLE_PROXY, PLAIN, ZK_E_CONNECT, true,
	  "the proxy did not make the connection" },
	{ CURLE_INTERFACE_FAILED, CONNECT, ZK_E_CONNECT, true, NULL },
	{ CURLE_NO_CONNECTION_AVAILABLE, CONNECT, ZK_E_CONNECT, true, NULL },
	{ CURLE_OPERATION_TIMEDOUT, TIMED, ZK_E_TRANSFER, true, NULL },
	{ CURLE_SSL_CONNECT_ERROR, HANDSHAKE, ZK_E_TLS, false, NULL },
	{ CURLE_PEER_FAILED_VERIFICATION, CERTIFICATE, ZK_E_TLS, false, NULL },
	{ CURLE_SSL_ISSUER_ERROR, CERTIFICATE, ZK_E_TLS, false, NULL },
	{ CURLE_SSL_INVALIDCERTSTATUS, CERTIFICATE, ZK_E_TLS, false, NULL },
	{ CURLE_SSL_PINNEDPUBKEYNOTMATCH, CERTIFICATE, ZK_E_TLS, false, NULL },
	{ CURLE_SSL_CIPHER, HANDSHAKE, ZK_E_TLS, false, NULL },
	{ CURLE_SSL_CLIENTCERT, PLAIN, ZK_E_TLS, false,
	  "the server wants a client certificate" },
	{ CURLE_SSL_CERTPROBLEM, PLAIN, ZK_E_CONFIG_VALUE, false,
	  "the client certificate or its key cannot be used" },
	{ CURLE_SSL_CACERT_BADFILE, PLAIN, ZK_E_CONFIG_VALUE, false,
	  "the file of CA certificates cannot be used" },
	{ CURLE_SSL_CRL_BADFILE, PLAIN, ZK_E_CONFIG_VALUE, false,
	  "the certificate revocation list cannot be used" },
	{ CURLE_WEIRD_SERVER_REPLY, PLAIN, ZK_E_PROTOCOL, false,
	  "the answer is not one of HTTP" },
	{ CURLE_OUT_OF_MEMORY, PLAIN, ZK_E_SYSTEM, false,
	  "libcurl could not get memory for the transfer" },
	{ CURLE_HTTP2, BROKEN, ZK_E_TRANSFER, true, NULL },
	{ CURLE_HTTP2_STREAM, BROKEN, ZK_E_TRANSFER, true, NULL },
	{ CURLE_PARTIAL_FILE, BROKEN, ZK_E_TRANSFER, true, NULL },
	{ CURLE_GOT_NOTHING, PLAIN, ZK_E_TRANSFER, true,
	  "the server closed the connection without an answer" },
	{ CURLE_SEND_ERROR, BROKEN, ZK_E_TRANSFER, true, NULL },
	{ CURLE_RECV_ERROR, BROKEN, ZK_E_TRANSFER, true, NULL },
	{ CURLE_SEND_FAIL_REWIND, BROKEN, ZK_E_TRANSFER, true, NULL },
	{ CURLE_READ_ERROR, PLAIN, ZK_E_NO_INPUT, false,
	  "the source of the request body failed" },
};

static const struct row other = { 0, PLAIN, ZK_E_TRANSFER, false, "the transfer failed" };

bool zk_http_status_is_error(int status)
{
	return status < 200 || (status >= 300 && status != 304);
}

static const char *span(int64_t ms, char text[32])
{
	if (ms % 1000 == 0)
		(void)snprintf(text, 32, "%llds", (long long)(ms / 1000));
	else
		(void)snprintf(text, 32, "%lldms", (long long)ms);
	return text;
}

static bool is_busy(int status)
{
	switch (status) {
	case 408:
	case 425:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return true;
	}
	return false;
}

static int fail_status(const struct zk_http_fault *f, struct zk_error *err)
{
	int s = f->status;

	if (f->end == ZK_HTTP_END_REDIRECT)
		return zk_fail(err, ZK_E_HTTP, "HTTP %d (%s)", s, f->redirect);
	switch (s) {
	case 401:
		return zk_fail(err, ZK_E_AUTH,
		               "the server refused the credential (HTTP 401)");
	case 407:
		return zk_fail(err, ZK_E_AUTH,
		               "the proxy wants authentication (HTTP 407)");
	case 403:
		return zk_fail(err, ZK_E_FORBIDDEN, "permission denied (HTTP 403)");
	case 404:
		return zk_fail(err, ZK_E_NOT_FOUND, "not found (HTTP 404)");
	case 410:
		return zk_fail(err, ZK_E_HTTP, "gone for good (HTTP 410)");
	case 409:
	case 412:
		return zk_fail(err, ZK_E_CONFLICT,
		               "it exists already or has changed (HTTP %d)", s);
	case 408:
		return zk_fail(err, ZK_E_HTTP_BUSY,
		               "the server waited too long (HTTP 408)");
	case 429:
		return zk_fail(err, ZK_E_HTTP_BUSY, "too many requests (HTTP 429)");
	case 502:
	case 504:
		return zk_fail(err, ZK_E_HTTP_BUSY,
		               "the gateway got no good answer (HTTP %d)", s);
	case 503:
		return zk_fail(err, ZK_E_HTTP_BUSY,
		               "the server is not available (HTTP 503)");
	}
	if (is_busy(s))
		return zk_fail(err, ZK_E_HTTP_BUSY, "the server failed (HTTP %d)", s);
	if (s >= 300 && s < 400)
		return zk_fail(err, ZK_E_HTTP, "HTTP %d (redirects are not followed)", s);
	if (s >= 500 && s < 600)
		return zk_fail(err, ZK_E_HTTP, "the server failed (HTTP %d)", s);
	if (s >= 400 && s < 500)
		return zk_fail(err, ZK_E_HTTP, "the server refused the request (HTTP %d)",
		               s);
	return zk_fail(err, ZK_E_PROTOCOL, "the answer has the status %d", s);
}

static int fail_timed(const struct zk_http_fault *f, struct zk_error *err)
{
	char text[32];

	if (f->end == ZK_HTTP_END_IDLE)
		return zk_fail(err, ZK_E_TRANSFER, "no data for %s",
		               span(f->idle_ms, text));
	if (f->end == ZK_HTTP_END_CURL || !f->connected)
		return zk_fail(
		        err, ZK_E_CONNECT,
		        "cannot connect to '%s': no connection within %s", f->origin,
		        span(f->end == ZK_HTTP_END_CURL ? f->connect_ms : f->timeout_ms,
		             text));
	return zk_fail(err, ZK_E_TRANSFER,
	               f->status ? "the answer was not complete within %s"
	                         : "no answer within %s",
	               span(f->timeout_ms, text));
}

static int fail_connect(const struct zk_http_fault *f, struct zk_error *err)
{
	int r;

	if (f->sys_errno)
		return zk_fail_errno(err, ZK_E_CONNECT, f->sys_errno,
		                     "cannot connect to '%s'", f->origin);
	r = zk_fail(err, ZK_E_CONNECT, "cannot connect to '%s'", f->origin);
	return f->detail[0] ? zk_err_why(err, "%s", f->detail) : r;
}

/* Whether a failed handshake looks like a lost connection rather than a disagreement. */
static bool handshake_broke_off(const struct zk_http_fault *f)
{
	static const char *const marks[] = { "reset by peer", "SSL_ERROR_SYSCALL",
		                             "unexpected eof", "Broken pipe" };

	for (size_t i = 0; i < ZK_ARRAY_LEN(marks); i++)
		if (strstr(f->detail, marks[i]))
			return true;
	return false;
}

static int fail_tls(const struct zk_http_fault *f, const struct row *row,
                    struct zk_error *err)
{
	const char *detail = f->detail[0] ? f->detail : "the handshake failed";

	if (row->kind == HANDSHAKE && handshake_broke_off(f)) {
		(void)zk_fail(err, ZK_E_CONNECT,
		              "cannot connect to '%s': the TLS handshake broke off",
		              f->origin);
		return zk_err_why(err, "%s", detail);
	}
	(void)zk_fail(err, row->code, "the TLS connection to '%s' failed: %s", f->origin,
	              detail);
	if (row->kind == CERTIFICATE)
		(void)zk_err_hint(
		        err, "if the server's certificate comes from a CA of your own, "
		             "name its file with --ca-file");
	return -(int)row->code;
}

static int fail_proxy(const struct zk_http_fault *f, struct zk_error *err)
{
	int s = f->connect_status;

	if (s == 407)
		return zk_fail(err, ZK_E_AUTH,
		               "the proxy wants authentication (HTTP 407)");
	return zk_fail(err, s >= 500 || s == 429 ? ZK_E_CONNECT : ZK_E_HTTP,
	               "the proxy did not connect to '%s' (HTTP %d)", f->origin, s);
}

static int fail_broken(const struct zk_http_fault *f, const struct row *row,
                       struct zk_error *err)
{
	const char *when =
	        f->status ? "in the middle of the answer" : "before the answer";

	if (row->curl == CURLE_SEND_ERROR || row->curl == CURLE_SEND_FAIL_REWIND)
		when = "while the request was sent";
	(void)zk_fail(err, row->code, "the connection was lost %s", when);
	return f->detail[0] ? zk_err_why(err, "%s", f->detail) : -(int)row->code;
}

static const struct row *find_row(const struct zk_http_fault *f)
{
	int curl = f->curl;

	/* The same number for a URL of another scheme and for an answer of another protocol. */
	if (curl == CURLE_UNSUPPORTED_PROTOCOL && f->connected)
		curl = CURLE_WEIRD_SERVER_REPLY;
	for (size_t i = 0; i < ZK_ARRAY_LEN(rows); i++)
		if (rows[i].curl == curl)
			return &rows[i];
	return &other;
}

/* A failure that libcurl reported. Returns whether it is transient. */
static bool fail_curl(const struct zk_http_fault *f, struct zk_error *err)
{
	const struct row *row = find_row(f);

	/* Whatever the result was called: the tunnel was refused. */
	if (f->connect_status >= 300 && !f->connected) {
		(void)fail_proxy(f, err);
		return err->code == ZK_E_CONNECT;
	}
	switch (row->kind) {
	case PLAIN:
		(void)zk_fail(err, row->code, "%s", row->text);
		if (f->detail[0])
			(void)zk_err_why(err, "%s", f->detail);
		break;
	case RESOLVE:
		(void)zk_fail(err, row->code, "cannot resolve the name in '%s'",
		              f->origin);
		break;
	case CONNECT:
		(void)fail_connect(f, err);
		break;
	case TIMED:
		(void)fail_timed(f, err);
		break;
	case HANDSHAKE:
	case CERTIFICATE:
		(void)fail_tls(f, row, err);
		return err->code == ZK_E_CONNECT;
	case BROKEN:
		(void)fail_broken(f, row, err);
		break;
	}
	return row->transient;
}

/* A failure that we made ourselves. Returns whether it is transient. */
static bool fail_own(const struct zk_http_fault *f, struct zk_error *err)
{
	switch (f->end) {
	case ZK_HTTP_END_BLOCKED:
		(void)zk_fail(err, ZK_E_BLOCKED,
		              "blocked address %s (%s); see --webhook-allow",
		              f->blocked_ip, f->blocked_why);
		break;
	case ZK_HTTP_END_BODY:
		(void)zk_fail(err, ZK_E_LIMIT, "the answer is larger than %zu bytes",
		              f->limit_bytes);
		break;
	case ZK_HTTP_END_HEAD:
		(void)zk_fail(err, ZK_E_PROTOCOL,
		              "the head of the answer is larger than %zu bytes",
		              f->limit_bytes);
		break;
	case ZK_HTTP_END_ENCODING:
		(void)zk_fail(err, ZK_E_PROTOCOL,
		              "the content encoding of the answer is damaged or unknown");
		break;
	case ZK_HTTP_END_PULL:
		(void)zk_fail(err, ZK_E_NO_INPUT,
		              "the source of the request body failed");
		break;
	case ZK_HTTP_END_REPEAT:
		(void)zk_fail(err, ZK_E_TRANSFER,
		              "the connection was lost before the answer");
		return true;
	case ZK_HTTP_END_DEADLINE:
	case ZK_HTTP_END_IDLE:
		(void)fail_timed(f, err);
		return true;
	case ZK_HTTP_END_STOPPED:
		(void)zk_fail(err, f->stop_code,
		              f->stop_code == ZK_E_TIMEOUT
		                      ? "the time given ran out before the answer"
		                      : "stopped before the answer");
		return true;
	case ZK_HTTP_END_CURL:
	case ZK_HTTP_END_REDIRECT:
		break; /* not ours */
	}
	return false;
}

/* Whether the peer said in so many words that it did nothing with the request. */
static bool says_not_processed(const struct zk_http_fault *f)
{
	return f->trust_busy &&
	       (f->status == 429 || (f->status == 503 && f->retry_after_ms >= 0));
}

int zk_http_fault_to_error(const struct zk_http_fault *f, struct zk_error *err)
{
	bool answered = f->end == ZK_HTTP_END_REDIRECT ||
	                (f->end == ZK_HTTP_END_CURL && f->curl == CURLE_OK);
	bool transient;

	if (answered) {
		(void)fail_status(f, err);
		transient = is_busy(f->status);
	} else if (f->end == ZK_HTTP_END_CURL) {
		transient = fail_curl(f, err);
	} else {
		transient = fail_own(f, err);
	}
	err->retryable = transient && (f->repeatable || !f->sent ||
	                               (answered && says_not_processed(f)));
	if (transient && !answered && f->sent && !f->repeatable) {
		err->code = ZK_E_UNKNOWN_OUTCOME;
		(void)zk_err_why(
		        err,
		        "the %s request was sent and may have taken effect; it is "
		        "not repeated without an idempotency key",
		        f->method);
	}
	err->http_status = f->status;
	if (f->retry_after_ms > 0)
		err->retry_after_ms = f->retry_after_ms;
	if (f->remote_id[0])
		(void)snprintf(err->remote_id, sizeof(err->remote_id), "%s",
		               f->remote_id);
	return zk_err_where(err, "%s %s", f->method, f->safe_url);
}
