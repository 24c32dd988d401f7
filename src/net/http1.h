/* Strict incremental HTTP/1.x request parser, one for the heads of answers, and the decoder of
 * chunked bodies: pure, no I/O, same result for every chunking.
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
	size_t max_head;    /* request line and header lines with their CRLFs, bytes */
	size_t max_target;  /* request target, bytes */
	unsigned max_lines; /* header lines; never more than ZK_HTTP1_MAX_HEADERS */
};

struct zk_http1_header {
	zk_str name, value; /* value without surrounding blanks */
};

#define ZK_HTTP1_MAX_HEADERS 256

struct zk_http1_head {
	zk_str method;
	/* Origin form ("/path?query"), "*" for OPTIONS, or "host:port" for CONNECT. Of the
	 * absolute form it is what stands behind the authority, which may be nothing or begin
	 * with '?'. */
	zk_str target;
	/* The absolute form's authority, which overrules Host (RFC 9112 §3.2.2), else the Host
	 * header; n == 0 when there is neither. Its syntax was checked. */
	zk_str authority;
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
	ZK_HTTP1_MORE,     /* not complete yet */
	ZK_HTTP1_DONE,     /* *used bytes belong to the head */
	ZK_HTTP1_BAD,      /* 400 and close; `reason` says why */
	ZK_HTTP1_TOO_LONG, /* 431 and close */
	ZK_HTTP1_URI_LONG, /* 414 and close */
	ZK_HTTP1_VERSION, /* 505 and close: HTTP/2 preface or a major version other than 1 */
};

struct zk_http1 {
	const struct zk_http1_limits *limits;
	size_t seen;        /* bytes already scanned for line ends */
	size_t line;        /* where the current line begins */
	size_t skipped;     /* empty lines in front of the request line */
	unsigned lines;     /* header lines so far */
	bool started;       /* the request line is complete */
	const char *reason; /* static text for BAD */
};

/* Before each request; `limits` are borrowed. */
void zk_http1_init(struct zk_http1 *p, const struct zk_http1_limits *limits);
/* Looks at all `head` bytes received so far of one request; the buffer may move between calls,
 * the bytes may not change. The verdict is that of the first byte that decides, so it is the same
 * for every chunking. On DONE `*ret` and `*used` are set; on MORE and on failures `*ret` holds
 * nothing of use. At most four empty lines in front of the request line are skipped (RFC 9112
 * §2.2). A transfer coding is compared without regard to case, as its RFC wants. */
enum zk_http1_result zk_http1_parse(struct zk_http1 *p, zk_str head,
                                    struct zk_http1_head *ret, size_t *used);
/* The value of the first header `name` (any case); p == NULL when there is none. */
zk_str zk_http1_header(const struct zk_http1_head *h, zk_str name);
/* Whether a header's list, "a, b", has the word (any case). */
bool zk_http1_list_has(zk_str list, zk_str word);

/* The head of an answer (http1_answer.c), as lenient as RFC 9112 lets a client be: lines may end in
 * a bare LF, folded lines are joined. */
struct zk_http1_answer {
	int status;     /* 100 to 999 */
	unsigned minor; /* HTTP/1.minor: 0 or 1; a higher one is reported as 1 */
	/* Another request may follow, if the body has an end of its own. */
	bool keep_alive;
	bool chunked;
	bool has_length; /* never with `chunked` */
	uint64_t length;
	const char *reason; /* static text for BAD */
};

/* Looks for the end of a head in all bytes of it received so far: MORE, DONE with `*used` bytes,
 * or BAD as soon as they are none of HTTP/1.x. `*seen` remembers how far it looked, 0 at first; the
 * buffer may move between calls. */
enum zk_http1_result zk_http1_answer_find(zk_str in, size_t *seen, size_t *used);
/* Reads the whole head of `n` bytes that was found, joining folded lines in place: DONE, or BAD
 * and `ret->reason`. Framing that two readers could understand differently is BAD, or ends the
 * connection (RFC 9112 §6.3); so are more than 1,000 lines. */
enum zk_http1_result zk_http1_answer_read(char *p, size_t n, struct zk_http1_answer *ret);

/* Chunked body decoder. */
struct zk_http1_chunks {
	uint8_t state;
	uint8_t digits;
	uint64_t left;
	uint32_t line;    /* bytes of extensions, all chunks together */
	uint32_t trailer; /* bytes of trailer lines */
};

void zk_http1_chunks_init(struct zk_http1_chunks *c);
/* Takes bytes of a chunked body and calls nothing: `*data` is the next run of body bytes inside
 * `in` (may be empty), `*used` how much of `in` it consumed. MORE = call again with what is
 * behind *used (or with more input, when *used is all of `in`); DONE = the body and its trailer
 * end at *used; BAD = malformed; TOO_LONG = more than 8 KiB of extensions or of trailer lines,
 * which are checked and thrown away. Sizes have at most 8 hexadecimal digits. */
enum zk_http1_result zk_http1_chunks_next(struct zk_http1_chunks *c, zk_str in,
                                          zk_str *data, size_t *used);

#endif
