/* The wire log of --trace: what goes over the wire, masked, for people (ux.md §3).
 * Layer: net. Loop thread only.
 *
 * Known secrets, values of headers that carry credentials, and members and parameters of bodies
 * and URLs that are named like one are replaced by ***. Control characters are shown as \xNN. */
#ifndef ZK_NET_TRACE_H
#define ZK_NET_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_exchange;
struct zk_http_conf;
struct zk_http_res;
struct zk_trace;

enum zk_trace_flags {
	ZK_TRACE_HEADERS = 1 << 0, /* lines of both directions, and libcurl's remarks */
	ZK_TRACE_BODIES = 1 << 1,  /* up to 64 KiB each, decoded */
	ZK_TRACE_CURL = 1 << 2,    /* each request as a command line of curl */
	ZK_TRACE_ERRORS = 1 << 3,  /* only exchanges that failed */
	ZK_TRACE_TIMING = 1 << 4,  /* a summary line per exchange */
};

enum zk_trace_dir { ZK_TRACE_OUT, ZK_TRACE_IN, ZK_TRACE_NOTE };

/* "headers,timing" to a mask of zk_trace_flags; "" is headers; errors alone means headers too. 0
 * or -ZK_E_USAGE naming the unknown word. */
int zk_trace_parse(zk_str list, unsigned *ret, struct zk_error *err) ZK_MUST_USE;

/* `file` NULL = stderr; else it is appended to, mode 0600, -ZK_E_CREATE when it cannot be. */
int zk_trace_new(const char *list, const char *file, struct zk_trace **ret,
                 struct zk_error *err) ZK_MUST_USE;
void zk_trace_free(struct zk_trace *t);

/* One exchange, from the request to zk_trace_end, which frees it. `id` tells lines of concurrent
 * ones apart. */
struct zk_exchange *zk_trace_begin(struct zk_trace *t, uint64_t id,
                                   const struct zk_http_conf *conf);
bool zk_trace_wants_lines(const struct zk_exchange *x);
/* One or more lines of a head, or a remark. */
void zk_trace_lines(struct zk_exchange *x, enum zk_trace_dir dir, zk_str text);
void zk_trace_body(struct zk_exchange *x, enum zk_trace_dir dir, zk_str piece);
/* `res` NULL = cancelled, `err` NULL = no failure. */
void zk_trace_end(struct zk_exchange *x, const struct zk_http_res *res,
                  const struct zk_error *err);

/* The request as one line for a shell, masked; for --dry-run -v too. */
void zk_trace_curl(const struct zk_http_conf *conf, struct zk_buf *b);

/* Masked and printable copies (without known secrets, but for the log's redaction). Pure. */
void zk_trace_mask_header(zk_str line, struct zk_buf *b); /* "Name: value" */
void zk_trace_mask_url(zk_str url, struct zk_buf *b);
void zk_trace_mask_body(zk_str body, struct zk_buf *b);

#endif
