/* What a failed HTTP exchange means: the one place where results of libcurl and HTTP
 * statuses become codes, and where `retryable` is decided for them. Layer: net, internal
 * to the HTTP client. Pure. */
#ifndef ZK_NET_HTTP_ERR_H
#define ZK_NET_HTTP_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

/* Who ended the transfer. */
enum zk_http_end {
	ZK_HTTP_END_CURL,    /* libcurl, with the result `curl` */
	ZK_HTTP_END_BLOCKED, /* the guard */
	ZK_HTTP_END_BODY,    /* the answer passed max_body */
	ZK_HTTP_END_HEAD,    /* the head of the answer passed its limit */
	ZK_HTTP_END_ENCODING, /* the content encoding of the answer is damaged or unknown */
	ZK_HTTP_END_PULL,     /* the source of the body gave up */
	ZK_HTTP_END_REPEAT,   /* libcurl was about to send what may not be sent twice */
	ZK_HTTP_END_DEADLINE, /* timeout_ms */
	ZK_HTTP_END_IDLE,     /* idle_timeout_ms */
	ZK_HTTP_END_STOPPED,  /* zk is ending, with `stop_code` */
	ZK_HTTP_END_REDIRECT, /* one that is not followed; `redirect` says why */
};

struct zk_http_fault {
	enum zk_http_end end;
	enum zk_code stop_code; /* END_STOPPED */
	int curl;               /* CURLcode */
	int status;             /* of the answer, 0 = none came */
	int connect_status;     /* of a proxy to CONNECT, 0 = none */
	int sys_errno;          /* of the failed connect, 0 = none */
	bool connected;         /* a connection was there, TLS included */
	bool sent;              /* a byte of the request may have reached the peer */
	bool repeatable;        /* may be repeated although it was sent */
	bool trust_busy;        /* 429, and 503 with Retry-After, mean "not processed" */
	int64_t retry_after_ms; /* -1 = the answer had none */
	int64_t connect_ms, timeout_ms, idle_ms; /* the limits in force */
	size_t limit_bytes;                      /* END_BODY, END_HEAD */
	const char *method, *safe_url, *origin;  /* never NULL */
	const char *detail;                      /* libcurl's words, "" = none */
	const char *blocked_ip, *blocked_why;    /* END_BLOCKED */
	const char *redirect;                    /* END_REDIRECT */
	const char *remote_id;                   /* "" = none */
};

/* Whether `status` is an error at all: 3xx but 304, 4xx, 5xx, and what is no final
 * status. */
bool zk_http_status_is_error(int status);
/* Fills `err` and returns the negative code. */
int zk_http_fault_to_error(const struct zk_http_fault *f, struct zk_error *err);

#endif
