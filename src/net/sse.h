/* Incremental decoder of server-sent events (client side): bytes in, events out.
 * Layer: net. Pure, no I/O; the same result for every chunking. WHATWG HTML §9.2.6.
 *
 *	while ((r = zk_sse_next(&s, in, &used, &ev)) == ZK_SSE_EVENT) {
 *		in = zk_str_from(in, used);
 *		…
 *	}
 *
 * A text that ends without an empty line gives no event for its last lines: they are
 *incomplete. Bytes that are not UTF-8 are handed on as they are. */
#ifndef ZK_NET_SSE_H
#define ZK_NET_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Borrowed until the next call on the decoder. */
struct zk_sse_event {
	zk_str id;    /* its own or that of an earlier event; empty = none */
	zk_str event; /* empty = "message" */
	zk_str data;  /* lines joined by \n */
};

enum zk_sse_result {
	ZK_SSE_MORE,     /* everything was taken and no event is complete */
	ZK_SSE_EVENT,    /* *ret is one; call again with what lies behind *used */
	ZK_SSE_TOO_LONG, /* a line or an event is larger than the cap; stays so */
};

struct zk_sse {
	struct zk_buf line;        /* of an unfinished line */
	struct zk_buf data, event; /* of the event in progress */
	struct zk_buf new_id;      /* of the event in progress */
	struct zk_buf id; /* last event id: what Last-Event-ID of a new connection says */
	int64_t retry_ms; /* last "retry:", -1 = none yet */
	uint64_t comments; /* comment lines so far: signs of life */
	size_t bom;        /* bytes of a byte order mark matched; 3 = past the start */
	bool after_cr;     /* a LF that comes next belongs to the CR before it */
	bool has_data, has_id;
	bool dispatched; /* data and event belong to the event given out */
	bool failed;
};

/* `cap_bytes` bounds one line and, by itself, the data of one event. */
void zk_sse_init(struct zk_sse *s, size_t cap_bytes);
void zk_sse_done(struct zk_sse *s);
/* Takes bytes of the stream. `*used` is how much of `in` was consumed: all of it for
 * MORE. */
enum zk_sse_result zk_sse_next(struct zk_sse *s, zk_str in, size_t *used,
                               struct zk_sse_event *ret);
/* A new connection begins: drops what is unfinished, keeps the last id and the retry
 * time. */
void zk_sse_restart(struct zk_sse *s);

#endif
