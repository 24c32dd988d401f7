/* Strict incremental HTTP/1.x request parser: pure, no I/O, same result for every chunking.
 * Layer: net. RFC 9110, RFC 9112; the rejections are those of specs/triggers.md §2.
 *
 * The parser works on one contiguous head buffer that the caller grows: feed it all bytes of the
 * head received so far; it remembers how far it looked. Slices in the result point into that
 * buffer. */
#ifndef ZK_NET_HTTP1_H
#define ZK_NET_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct zk_http1_limits {
	size_t max_head;   /* request line and header lines, bytes */
	size_t max_target; /* request target, bytes */
	unsigned max_lines;
};

struct zk_http1_header {
	zk_str name, value; /* value without surrounding blanks */
};

#define ZK_HTTP1_MAX_HEADERS 256

struct zk_http1_head {
	zk_str method, target;
	unsigned minor; /* HTTP/1.minor: 0 or 1; a higher one is reported as 1 */
	unsigned n_headers;
	struct zk_http1_header headers[ZK_HTTP1_MAX_HEADERS];
	bool keep_alive;
	bool expect_continue;
	bool upgrade; /* Connection: upgrade with an Upgrade header */
	bool chunked;
	bool has_length;
	uint64_t length;
};

enum zk_http1_result {
	ZK_HTTP1_MORE,	   /* not complete yet */
	ZK_HTTP1_DONE,	   /* *used bytes belong to the head */
	ZK_HTTP1_BAD,	   /* 400 and close; `reason` says why */
	ZK_HTTP1_TOO_LONG, /* 431 and close */
	ZK_HTTP1_URI_LONG, /* 414 and close */
	ZK_HTTP1_VERSION,  /* 505 and close: HTTP/2 preface or a major version other than 1 */
};

struct zk_http1 {
	const struct zk_http1_limits *limits;
	size_t seen;	    /* bytes already scanned for line ends */
	size_t skipped;	    /* empty lines in front of the request line */
	unsigned lines;
	const char *reason; /* static text for BAD */
};

void zk_http1_init(struct zk_http1 *p, const struct zk_http1_limits *limits);
/* Looks at all `head` bytes received so far of one request. */
enum zk_http1_result zk_http1_parse(struct zk_http1 *p, zk_str head, struct zk_http1_head *ret,
				    size_t *used);
/* The value of the first header `name` (any case); p == NULL when there is none. */
zk_str zk_http1_header(const struct zk_http1_head *h, zk_str name);

/* Chunked body decoder. */
struct zk_http1_chunks {
	uint8_t state;
	uint8_t digits;
	uint64_t left;
	uint32_t line; /* bytes of the current extension or trailer line */
	uint32_t trailer;
};

void zk_http1_chunks_init(struct zk_http1_chunks *c);
/* Takes bytes of a chunked body and calls nothing: `*data` is the next run of body bytes inside
 * `in` (may be empty), `*used` how much of `in` it consumed. MORE = call again with what is
 * behind *used (or with more input); DONE = the body and its trailer end at *used. */
enum zk_http1_result zk_http1_chunks_next(struct zk_http1_chunks *c, zk_str in, zk_str *data,
					  size_t *used);

#endif
