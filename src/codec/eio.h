/* Packets of Engine.IO 4: one per message of a WebSocket, several in a body of long-polling.
 * Layer: codec. Pure; one owner. Slices borrow the text given. specs/zeal-zip.md §7.1;
 * vectors: fixtures ws/packets.json.
 *
 *	while (zk_eio_split_next(&s, &chunk, &packet))	// takes from the front of `chunk`
 *		…
 *	// chunk is empty now; at the end of the body:
 *	if (zk_eio_split_last(&s, &packet)) … */
#ifndef ZK_CODEC_EIO_H
#define ZK_CODEC_EIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* The digits on the wire. */
enum zk_eio_type {
	ZK_EIO_OPEN,
	ZK_EIO_CLOSE,
	ZK_EIO_PING,
	ZK_EIO_PONG,
	ZK_EIO_MESSAGE,
	ZK_EIO_UPGRADE,
	ZK_EIO_NOOP,
	ZK_EIO_BINARY, /* 'b' and base64, in long-polling only */
};

struct zk_eio_packet {
	enum zk_eio_type type;
	zk_str data; /* what follows the type */
};

/* 0, or -ZK_E_PROTOCOL for an empty text or an unknown type. */
int zk_eio_decode(zk_str text, struct zk_eio_packet *ret,
                  struct zk_error *err) ZK_MUST_USE;

#define ZK_EIO_SID_MAX 128

/* The data of an open packet. Times and sizes that it does not name are those of the protocol's
 * own server. */
struct zk_eio_open {
	char sid[ZK_EIO_SID_MAX + 1];
	bool websocket; /* among its upgrades */
	int64_t ping_interval_ms, ping_timeout_ms;
	uint64_t max_payload;
};

/* 0, or -ZK_E_PROTOCOL: no object, no sid or one that no URL can hold as it is, times out of all
 * reason. */
int zk_eio_open_parse(zk_str data, struct zk_eio_open *ret,
                      struct zk_error *err) ZK_MUST_USE;

/* The number of a refused handshake (`{"code":1,…}`), or -1. */
int zk_eio_refusal(zk_str body);
/* What it means: "unknown session", …; NULL for an unknown number. */
const char *zk_eio_refusal_text(int code);

/* Cuts a body at U+001E, whatever the chunks are. */
struct zk_eio_split {
	struct zk_buf part; /* the beginning of a packet that goes on in the next chunk */
	bool handed;        /* `part` was handed out and is to be emptied */
};

#define ZK_EIO_SEPARATOR '\x1e'

void zk_eio_split_init(struct zk_eio_split *s, size_t max_packet_bytes);
void zk_eio_split_done(struct zk_eio_split *s);
/* The next packet that is complete; false when `chunk` is used up, or a packet is larger than the
 * limit (zk_eio_split_failed). */
bool zk_eio_split_next(struct zk_eio_split *s, zk_str *chunk, zk_str *packet);
/* At the end of the body: its last packet; false when there is none. Ready for the next body. */
bool zk_eio_split_last(struct zk_eio_split *s, zk_str *packet);
bool zk_eio_split_failed(const struct zk_eio_split *s);

/* Appends a packet to a body of long-polling, with a separator before it unless it is the first:
 * a text packet as it is, a binary one as 'b' and base64. */
void zk_eio_join(struct zk_buf *body, zk_str packet, bool binary);

#endif
