/* The server's side of a WebSocket (RFC 6455): a request of net/httpd becomes a connection, with the
 * frames of codec/wsframe. No extensions, no subprotocols, not over the server's own TLS.
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_WSD_H
#define ZK_NET_WSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_httpd_req;
struct zk_loop;
struct zk_wsd;

struct zk_wsd_conf {
	struct zk_loop *loop;
	size_t max_message; /* of the client, bytes; 0 = 64 KiB. A larger one closes with 1009 */
	size_t max_unsent; /* bytes waiting to be sent; 0 = 16 MiB */
	/* A ping after so long without a byte in either direction, and the end when none moves within
	 * so long after it. 0 = 30 s, 20 s. */
	int64_t ping_after_ms, pong_within_ms;
	void *ctx;
	/* One whole message, borrowed for the call; text is UTF-8. NULL = they are dropped. */
	void (*on_message)(void *ctx, zk_str message, bool binary);
	/* The system took everything that was given to zk_wsd_send. May be NULL. */
	void (*on_sent)(void *ctx);
	/* Exactly once, unless zk_wsd_abort came first; the connection is freed after it returns. */
	void (*on_end)(void *ctx);
};

/* Why a request is not one for a WebSocket: an answer to give it. */
struct zk_wsd_refusal {
	int status;      /* 400, 403, 426 */
	const char *why; /* static */
	zk_str headers;  /* complete lines for the answer; static */
};

/* Whether the request asks properly for a WebSocket. A page of another origin is refused: browsers
 * let any page connect anywhere, and tell us in Origin. */
bool zk_wsd_wanted(const struct zk_httpd_req *r, struct zk_wsd_refusal *ret);
/* Takes the socket of a request that zk_wsd_wanted likes and answers 101; callbacks come from the
 * end of this turn on. -ZK_E_TRANSFER when the client is gone, or over TLS: then answer it. */
int zk_wsd_accept(struct zk_httpd_req *r, const struct zk_wsd_conf *conf,
                  struct zk_wsd **ret, struct zk_error *err) ZK_MUST_USE;
/* Sends one message (copied). False when max_unsent would be passed, or it is ending. */
bool zk_wsd_send(struct zk_wsd *w, zk_str message, bool binary);
/* Bytes that the system has not taken yet. */
size_t zk_wsd_unsent(const struct zk_wsd *w);
/* Says goodbye behind what waits; on_end comes when the client has answered, at the latest after
 * 1 s. */
void zk_wsd_close(struct zk_wsd *w, unsigned code, zk_str reason);
/* Ends it now, without a callback; also from its callbacks. NULL is fine. */
void zk_wsd_abort(struct zk_wsd *w);

#endif
