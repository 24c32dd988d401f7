/* HTTP/2 without sockets: bytes of the peer go in, bytes for it come out (libnghttp2, opened on
 * first use). Client and server role (specs/zerobus.md §6).
 * Layer: net. One owner, one thread at a time.
 *
 * Callbacks come from inside zk_h2_feed and zk_h2_fill. They may start, answer, reset and resume
 * streams, but not free the engine. */
#ifndef ZK_NET_H2_H
#define ZK_NET_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_buf;
struct zk_h2;

/* Error codes of RFC 9113 §7. */
enum zk_h2_code {
	ZK_H2_NO_ERROR = 0,
	ZK_H2_PROTOCOL_ERROR = 1,
	ZK_H2_INTERNAL_ERROR = 2,
	ZK_H2_FLOW_CONTROL_ERROR = 3,
	ZK_H2_SETTINGS_TIMEOUT = 4,
	ZK_H2_STREAM_CLOSED = 5,
	ZK_H2_FRAME_SIZE_ERROR = 6,
	ZK_H2_REFUSED_STREAM = 7,
	ZK_H2_CANCEL = 8,
	ZK_H2_COMPRESSION_ERROR = 9,
	ZK_H2_CONNECT_ERROR = 10,
	ZK_H2_ENHANCE_YOUR_CALM = 11,
	ZK_H2_INADEQUATE_SECURITY = 12,
	ZK_H2_HTTP_1_1_REQUIRED = 13,
};

struct zk_h2_header {
	zk_str name, value;
	bool secret; /* never enters the compression table */
};

/* What a body has to give. */
enum zk_h2_more {
	ZK_H2_MORE,     /* later: zk_h2_resume says when */
	ZK_H2_END,      /* nothing after these bytes */
	ZK_H2_TRAILERS, /* the trailers that were given to zk_h2_trailers come after them */
};

struct zk_h2_conf {
	bool server;
	uint32_t stream_window, conn_window; /* for what comes in; 0 = 1 MiB */
	uint32_t max_frame;                  /* of frames that come in; 0 = 16 KiB */
	void *ctx;
	/* Head or trailers of a stream; on_head after the last of them. */
	void (*on_header)(void *ctx, int32_t id, zk_str name, zk_str value);
	void (*on_head)(void *ctx, int32_t id);
	void (*on_data)(void *ctx, int32_t id, zk_str bytes);
	/* The peer has ended its half. */
	void (*on_end)(void *ctx, int32_t id);
	void (*on_reset)(void *ctx, int32_t id, uint32_t code);
	/* Both halves are over; the last callback of a stream. */
	void (*on_closed)(void *ctx, int32_t id);
	void (*on_goaway)(void *ctx, int32_t last_id, uint32_t code);
	/* A body of ours: how many bytes it has now, at most `room`, and what comes after them;
	 * 0 and ZK_H2_MORE = wait. Then `take` fetches exactly these, perhaps a while later. */
	size_t (*ready)(void *ctx, int32_t id, size_t room, enum zk_h2_more *more);
	void (*take)(void *ctx, int32_t id, char *to, size_t n);
};

/* -ZK_E_LIBRARY when libnghttp2 is missing. */
int zk_h2_new(const struct zk_h2_conf *conf, struct zk_h2 **ret,
              struct zk_error *err) ZK_MUST_USE;
void zk_h2_free(struct zk_h2 *h); /* NULL is fine */

/* Bytes of the peer. 0, or -ZK_E_HTTP2 when they are not HTTP/2 at all (the message shows the
 * first of them), -ZK_E_PROTOCOL for a violation later on; what zk_h2_fill gives then (a GOAWAY)
 * should still be sent. */
int zk_h2_feed(struct zk_h2 *h, zk_str bytes, struct zk_error *err) ZK_MUST_USE;
/* Appends bytes for the peer until `out` holds about `target` or there are none: 0, or, when the
 * session is over and everything was fetched, a code as that of zk_h2_feed. */
int zk_h2_fill(struct zk_h2 *h, struct zk_buf *out, size_t target,
               struct zk_error *err) ZK_MUST_USE;
/* Neither reads nor writes are to come: the connection may go. */
bool zk_h2_is_over(const struct zk_h2 *h);

/* Client: begins a request with a body (the callbacks ready and take). */
int zk_h2_request(struct zk_h2 *h, const struct zk_h2_header *v, size_t n,
                  int32_t *ret_id, struct zk_error *err) ZK_MUST_USE;
/* Server: the head of an answer; without `body` it ends the stream. */
void zk_h2_respond(struct zk_h2 *h, int32_t id, const struct zk_h2_header *v, size_t n,
                   bool body);
/* Server: what ZK_H2_TRAILERS sends; copied. */
void zk_h2_trailers(struct zk_h2 *h, int32_t id, const struct zk_h2_header *v, size_t n);
/* The body has bytes again, or its end. */
void zk_h2_resume(struct zk_h2 *h, int32_t id);
void zk_h2_reset(struct zk_h2 *h, int32_t id, uint32_t code);
void zk_h2_ping(struct zk_h2 *h);
/* No streams after those that are there; with a code other than 0 the session ends. */
void zk_h2_goaway(struct zk_h2 *h, uint32_t code);

#endif
