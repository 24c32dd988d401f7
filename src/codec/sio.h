/* Packets of Socket.IO (protocol 5), which stand behind the '4' of an Engine.IO message: taken
 * apart in place, and written.
 * Layer: codec. Pure; slices borrow the text given. specs/zeal-zip.md §7.1; vectors: fixtures
 * ws/packets.json. */
#ifndef ZK_CODEC_SIO_H
#define ZK_CODEC_SIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"

/* The digits on the wire. */
enum zk_sio_type {
	ZK_SIO_CONNECT,
	ZK_SIO_DISCONNECT,
	ZK_SIO_EVENT,
	ZK_SIO_ACK,
	ZK_SIO_CONNECT_ERROR,
	ZK_SIO_BINARY_EVENT,
	ZK_SIO_BINARY_ACK,
};

#define ZK_SIO_ATTACHMENTS_MAX 64
#define ZK_SIO_DEPTH_MAX       256

struct zk_sio_packet {
	enum zk_sio_type type;
	unsigned attachments; /* binary messages that follow */
	zk_str nsp;           /* "/" when it names none */
	bool has_id;
	uint64_t id;
	zk_str json; /* all that follows; empty when there is nothing */
	/* Of events: the name as raw JSON (a string, or a number), and the first argument,
	 * ZK_J_NONE when there is none. Of acks: the first argument. */
	zk_str name;
	struct zk_jval arg;
	size_t n_args;
};

/* Takes a packet apart and checks all of its JSON; the members `want` of the first argument are
 * found on the way (may be NULL). 0, or -ZK_E_PROTOCOL. */
int zk_sio_decode(zk_str data, struct zk_jwant *want, size_t n_want,
                  struct zk_sio_packet *ret, struct zk_error *err) ZK_MUST_USE;
/* The name of an event as text, of the packet or decoded into `room`, which is cleared first. */
zk_str zk_sio_name(const struct zk_sio_packet *p, struct zk_buf *room);
/* Whether the name is exactly `name`. */
bool zk_sio_is(const struct zk_sio_packet *p, zk_str name);

/* Copies `json` (of a packet that was decoded) with every placeholder of an attachment below `n`
 * replaced by {"base64":"…"}. */
void zk_sio_fill(zk_str json, const zk_str *attachments, size_t n, struct zk_buf *b);

/* What zk_sio_encode writes. Texts are valid JSON or empty. */
struct zk_sio_out {
	enum zk_sio_type type;
	unsigned attachments;
	zk_str nsp; /* empty = "/" */
	bool has_id;
	uint64_t id;
	zk_str name; /* of events: its text */
	zk_str json; /* of events: the arguments, joined by commas; of others: all that follows */
};

/* Appends the packet with the '4' of Engine.IO before it. */
void zk_sio_encode(const struct zk_sio_out *p, struct zk_buf *b);

#endif
