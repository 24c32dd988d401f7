/* One data connection: frames in, frames out, both bounded; the same for worker and parent
 * (specs/procwire.md §7, §11).
 * Layer: procwire. Loop thread only. */
#ifndef ZK_PROCWIRE_CONN_H
#define ZK_PROCWIRE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "procwire/wire.h"

struct zk_loop;
struct zk_pw_conn;

struct zk_pw_conn_conf {
	void *ctx;
	uint32_t max_payload;         /* of what is received */
	size_t high_bytes, low_bytes; /* marks of what waits to be written */
	/* A whole frame; the payload is borrowed until it returns. */
	void (*on_frame)(void *ctx, const struct zk_pw_header *h, zk_str payload);
	/* A frame whose payload is not there yet. True: it comes through on_piece as it
	 * arrives; false: it is collected for on_frame. NULL = always collected. */
	bool (*on_begin)(void *ctx, const struct zk_pw_header *h);
	void (*on_piece)(void *ctx, zk_str piece, bool last);
	void (*on_room)(void *ctx); /* what waits fell to low_bytes after it was high */
	/* Once, at the end of the turn: the peer closed it or a write failed (`err` NULL), or it
	 * broke the rules. The connection is dead; free it from here or later. */
	void (*on_close)(void *ctx, const struct zk_error *err);
};

/* Takes over `fd`. Nothing is read before zk_pw_conn_start. 0, or -ZK_E_SYSTEM (then `fd` is
 * closed). */
int zk_pw_conn_new(struct zk_loop *loop, int fd, const struct zk_pw_conn_conf *conf,
                   struct zk_pw_conn **ret, struct zk_error *err) ZK_MUST_USE;
void zk_pw_conn_start(struct zk_pw_conn *c);
/* Closes it at once, also from its callbacks; no callback comes any more. NULL is fine. */
void zk_pw_conn_free(struct zk_pw_conn *c);

/* Queues a frame; it is written at the end of what goes on now, in order. The payload is
 * copied. Dropped silently once the connection is dead. */
void zk_pw_conn_send(struct zk_pw_conn *c, uint16_t method, uint8_t flags,
                     uint32_t request, zk_str payload);
/* The same without a copy: the bytes stay until the frame is written. */
void zk_pw_conn_send_borrowed(struct zk_pw_conn *c, uint16_t method, uint8_t flags,
                              uint32_t request, zk_str payload);
/* The same, and takes the bytes of `payload`, which is empty afterwards. */
void zk_pw_conn_send_buf(struct zk_pw_conn *c, uint16_t method, uint8_t flags,
                         uint32_t request, struct zk_buf *payload);
/* A frame of `h->length` bytes whose payload is given in pieces as it arrives; other frames wait
 * behind it. One at a time. */
void zk_pw_conn_send_begin(struct zk_pw_conn *c, const struct zk_pw_header *h);
void zk_pw_conn_send_piece(struct zk_pw_conn *c, zk_str piece, bool last);
/* False while a frame of pieces is open. */
bool zk_pw_conn_is_whole(const struct zk_pw_conn *c);

/* The high mark is reached: producers wait for on_room. */
bool zk_pw_conn_is_full(const struct zk_pw_conn *c);
/* Drops the queued frames that answer `request` and are not begun yet. */
void zk_pw_conn_drop(struct zk_pw_conn *c, uint32_t request);

enum zk_pw_hold {
	ZK_PW_HOLD_QUEUE = 1, /* too many requests wait */
	ZK_PW_HOLD_PIECE = 2, /* the taker of the pieces has enough */
};
/* Stops reading for a reason, until every reason is released. A hold for pieces ends by itself
 * after `patience_ms` (0 = never): reading is the only way to see an abort, so the taker then
 * has to take what comes until it releases. */
void zk_pw_conn_hold(struct zk_pw_conn *c, enum zk_pw_hold why, int64_t patience_ms);
void zk_pw_conn_release(struct zk_pw_conn *c, enum zk_pw_hold why);

struct zk_pw_conn_stats {
	uint64_t frames_in, frames_out, bytes_in, bytes_out, reads, writes;
};
const struct zk_pw_conn_stats *zk_pw_conn_stats(const struct zk_pw_conn *c);

#endif
