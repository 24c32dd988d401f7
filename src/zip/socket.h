/* The session on a socket: Engine.IO's greeting and heartbeat, Socket.IO's namespace, events,
 * acknowledgements and attachments. It knows no transport and no clock: messages and the time go
 * in, messages come out.
 * Layer: zip. Pure; one owner. specs/zeal-zip.md §7.1, §7.2, §7.7; vectors: fixtures
 * ws/session.ndjson.
 *
 *	OPENING --0{…}--> JOINING --40{…}--> JOINED --41, 1, silence--> ENDED */
#ifndef ZK_ZIP_SOCKET_H
#define ZK_ZIP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/eio.h"
#include "codec/sio.h"

enum zk_zip_socket_state {
	ZK_ZIP_SOCKET_OPENING,
	ZK_ZIP_SOCKET_JOINING,
	ZK_ZIP_SOCKET_JOINED,
	ZK_ZIP_SOCKET_ENDED,
};

/* An event or an acknowledgement with its attachments; valid during the callback. */
struct zk_zip_socket_event {
	const struct zk_sio_packet *packet;
	const zk_str *attachments; /* packet->attachments of them */
};

struct zk_zip_socket_conf {
	void *ctx;
	zk_str connect; /* JSON behind 40, such as {"token":…}; empty = none; borrowed */
	size_t max_bytes;      /* of a packet with its attachments; 0 = 64 MiB */
	struct zk_jwant *want; /* found in the first argument of events; borrowed */
	size_t n_want;
	/* One message for the transport: a packet with its type, or an attachment. */
	void (*send)(void *ctx, zk_str message, bool binary);
	void (*on_open)(void *ctx, const struct zk_eio_open *open);
	void (*on_joined)(void *ctx);
	void (*on_event)(void *ctx, const struct zk_zip_socket_event *ev);
	void (*on_ack)(void *ctx, const struct zk_zip_socket_event *ack);
	/* Something that is no packet was passed over; may be NULL. */
	void (*on_bad)(void *ctx, const struct zk_error *err);
	/* Once: the server ended it, refused it, or is silent. */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

struct zk_zip_socket {
	struct zk_zip_socket_conf conf;
	enum zk_zip_socket_state state;
	struct zk_eio_open open;
	int64_t heard_ms;  /* when the last message came */
	int64_t ponged_ms; /* when the last pong went out */
	uint64_t next_ack;
	unsigned bad; /* in a row */
	/* A packet that waits for its attachments. */
	unsigned missing;
	struct zk_buf text, bytes;
	size_t ends[ZK_SIO_ATTACHMENTS_MAX];
};

void zk_zip_socket_init(struct zk_zip_socket *s, const struct zk_zip_socket_conf *conf,
                        int64_t now_ms);
void zk_zip_socket_done(struct zk_zip_socket *s);

/* A message of the transport. The callbacks may end the session, not free it. */
void zk_zip_socket_text(struct zk_zip_socket *s, zk_str text, int64_t now_ms);
void zk_zip_socket_binary(struct zk_zip_socket *s, zk_str bytes, int64_t now_ms);
/* To be called now and then (once a second will do): finds out that the server is silent. While
 * the owner does not read (`paused`) silence means nothing, and pongs go out unasked, so that the
 * server does not give up on us; also when a ping is late, because it stands behind much that is
 * not read yet. */
void zk_zip_socket_tick(struct zk_zip_socket *s, bool paused, int64_t now_ms);

/* Emits an event: `args` are JSON texts joined by commas; `n` binary messages follow it. With
 * `ack` the server is asked for an acknowledgement, whose id is returned (counted from 0). */
int64_t zk_zip_socket_emit(struct zk_zip_socket *s, zk_str name, zk_str args,
                           const zk_str *attachments, unsigned n, bool ack);
/* Says goodbye (41); nothing comes any more. */
void zk_zip_socket_leave(struct zk_zip_socket *s);

#endif
