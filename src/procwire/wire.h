/* Frames of procwire: header, rules, and a decoder for every chunking (specs/procwire.md §7).
 * Layer: procwire. Pure; one owner per decoder. */
#ifndef ZK_PROCWIRE_WIRE_H
#define ZK_PROCWIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

#define ZK_PW_HEADER 11

enum zk_pw_flags {
	ZK_PW_TO_PARENT = 0x01,
	ZK_PW_RESPONSE = 0x02,
	ZK_PW_ERROR = 0x04,
	ZK_PW_STREAM = 0x08,
	ZK_PW_END = 0x10,
	ZK_PW_ACK = 0x20,
	ZK_PW_RESERVED = 0xc0,
};

/* The combinations in use. */
enum zk_pw_frame {
	ZK_PW_F_REQUEST = 0x00,
	ZK_PW_F_EVENT = 0x01,
	ZK_PW_F_RESULT = 0x03,
	ZK_PW_F_FAIL = 0x07,
	ZK_PW_F_CHUNK = 0x0b,
	ZK_PW_F_STREAM_FAIL = 0x0f,
	ZK_PW_F_END = 0x1b,
	ZK_PW_F_ACK = 0x23,
};

enum {
	ZK_PW_ID_AUTH = 0xfffe,
	ZK_PW_ID_ABORT = 0xffff,
	ZK_PW_ID_MAX = 0xfffd, /* of methods and events; the least is 1 */
};

#define ZK_PW_PAYLOAD_DEFAULT 1073741824u /* 1 GiB */
#define ZK_PW_PAYLOAD_MAX     2147483647u

struct zk_pw_header {
	uint16_t method;
	uint8_t flags;
	uint32_t request;
	uint32_t length;
};

static inline uint32_t zk_pw_be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static inline void zk_pw_put_be32(char *p, uint32_t v)
{
	p[0] = (char)(v >> 24);
	p[1] = (char)(v >> 16);
	p[2] = (char)(v >> 8);
	p[3] = (char)v;
}

/* From and to the 11 bytes at `p`. */
static inline struct zk_pw_header zk_pw_header_get(const char *p)
{
	return (struct zk_pw_header){
		.method = (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]),
		.flags = (uint8_t)p[2],
		.request = zk_pw_be32(p + 3),
		.length = zk_pw_be32(p + 7),
	};
}

static inline void zk_pw_header_put(char *p, struct zk_pw_header h)
{
	p[0] = (char)(h.method >> 8);
	p[1] = (char)h.method;
	p[2] = (char)h.flags;
	zk_pw_put_be32(p + 3, h.request);
	zk_pw_put_be32(p + 7, h.length);
}

/* NULL, or why this header ends the connection. */
const char *zk_pw_header_wrong(struct zk_pw_header h, uint32_t max_payload);

/* What the decoder found. */
enum zk_pw_found {
	ZK_PW_MORE,  /* the bytes are used up */
	ZK_PW_FRAME, /* header, and all of its payload as one slice of the input */
	ZK_PW_BEGIN, /* header of a frame whose payload comes in pieces */
	ZK_PW_PIECE, /* a piece of it, never empty */
	ZK_PW_LAST,  /* the last piece of it */
	ZK_PW_WRONG, /* `why` says it; nothing more is decoded */
};

/* Never keeps more than a header: a payload is handed out as its bytes arrive. */
struct zk_pw_decoder {
	uint32_t max_payload;
	uint32_t left; /* of the payload that comes in pieces */
	size_t n_head; /* bytes of `head` */
	char head[ZK_PW_HEADER];
	bool wrong;
	struct zk_pw_header header; /* of the frame last found */
	zk_str bytes;               /* FRAME, PIECE, LAST: borrowed from the input */
	const char *why;            /* WRONG */
};

void zk_pw_decoder_init(struct zk_pw_decoder *d, uint32_t max_payload);
/* The next thing in `in`, which is advanced past it. A payload that is complete in `in` is one
 * FRAME; one that is not is BEGIN, then PIECEs and LAST with the bytes as they are fed. */
enum zk_pw_found zk_pw_decode(struct zk_pw_decoder *d, zk_str *in);

#endif
