/* Frames of WebSockets as either side reads and writes them (RFC 6455 §5), and the handshake's key.
 * Layer: codec. Pure; one owner.
 *
 * Why not the library: it looks at each byte of a payload by itself, which takes two thirds of the
 * time of a stream of small messages, and its connections are large (BENCHMARKS.md). It stays in
 * use where there is TLS or a proxy. */
#ifndef ZK_CODEC_WSFRAME_H
#define ZK_CODEC_WSFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

#define ZK_WSFRAME_HEAD_MAX    14
#define ZK_WSFRAME_CONTROL_MAX 125

enum zk_wsframe_op {
	ZK_WSFRAME_CONTINUE = 0,
	ZK_WSFRAME_TEXT = 1,
	ZK_WSFRAME_BINARY = 2,
	ZK_WSFRAME_CLOSE = 8,
	ZK_WSFRAME_PING = 9,
	ZK_WSFRAME_PONG = 10,
};

/* A piece of a frame. */
struct zk_wsframe_piece {
	enum zk_wsframe_op
	        op;   /* of a message: TEXT or BINARY, also in what continues it */
	zk_str bytes; /* borrowed: of the chunk, control frames of the parser */
	bool first;   /* the message begins with it */
	bool last;    /* the message, or the control frame, ends with it */
	/* A client's bytes of messages are masked: see zk_wsframe_unmask. */
	uint8_t mask[4];
};

struct zk_wsframe {
	char head[ZK_WSFRAME_HEAD_MAX];
	size_t head_n;
	uint64_t left; /* of the payload of the frame that is being read */
	uint8_t mask
	        [4]; /* turned so that its first byte is for the next one of the payload */
	bool from_client;
	enum zk_wsframe_op op, message;
	bool in_frame, in_message, fin, begun;
	char control[ZK_WSFRAME_CONTROL_MAX];
	size_t control_n;
	const char *failed; /* what was wrong; NULL = nothing */
};

/* `from_client`: every frame must be masked; otherwise none may be. */
void zk_wsframe_init(struct zk_wsframe *f, bool from_client);
/* The next piece; takes from the front of `chunk`. False when it is used up, or when the peer broke
 * the protocol (f->failed; nothing comes any more). Control frames come whole and unmasked. */
bool zk_wsframe_next(struct zk_wsframe *f, zk_str *chunk, struct zk_wsframe_piece *ret);

/* Masks the bytes in place, or takes the mask off a copy of a piece. */
void zk_wsframe_unmask(char *p, size_t n, const uint8_t mask[4]);

/* Writes the head of a frame of `n` bytes so that it ends at `end` (HEAD_MAX bytes of room before
 * it); returns where it begins. A client masks: the payload stands at `end` and is masked in place.
 * A server gives NULL, and `end` need not be followed by anything. */
char *zk_wsframe_seal(char *end, size_t n, enum zk_wsframe_op op, const uint8_t mask[4]);

/* The code and the reason of a close frame: 1005 when it has none. False when it has no proper
 * code, or the reason is not UTF-8 (RFC 6455 §5.5.1, §7.4). */
bool zk_wsframe_close_read(zk_str bytes, unsigned *code, zk_str *reason);

/* What a server answers to a key (24 characters): 28 characters and NUL. */
#define ZK_WSFRAME_ACCEPT 29
void zk_wsframe_accept(zk_str key, char out[ZK_WSFRAME_ACCEPT]);

#endif
