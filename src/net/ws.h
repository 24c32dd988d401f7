/* WebSocket client (RFC 6455): one connection, its messages, its end. On our loop, with
 * libwebsockets, opened on first use, where there is TLS or a proxy; names are resolved without
 * blocking it.
 * Layer: net. Loop thread only. When and where to connect again is the caller's affair
 * (rt/retry.h): nothing here repeats anything but the next address of the same name. */
#ifndef ZK_NET_WS_H
#define ZK_NET_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_net;
struct zk_ws;

/* Close codes of RFC 6455 §7.4 that zk sends or judges. */
enum zk_ws_code {
	ZK_WS_NORMAL = 1000,
	ZK_WS_AWAY = 1001,
	ZK_WS_PROTOCOL = 1002,
	ZK_WS_UNFIT = 1003,
	ZK_WS_ABNORMAL =
	        1006, /* the connection ended without a close frame; never sent */
	ZK_WS_BAD_DATA = 1007,
	ZK_WS_POLICY = 1008,
	ZK_WS_TOO_BIG = 1009,
	ZK_WS_INTERNAL = 1011,
};

/* What the server said when it accepted. Valid during on_open only. */
struct zk_ws_hello {
	zk_str protocol;      /* the subprotocol it chose; empty = none */
	int64_t date_s;       /* its Date header, seconds since 1970; 0 = none */
	int64_t cert_until_s; /* when its certificate ends; 0 = no TLS */
};

/* How it ended. Valid during on_end only. */
struct zk_ws_end {
	bool opened;   /* on_open had been called */
	bool by_peer;  /* the peer sent a close frame: `code`, `reason` */
	unsigned code; /* enum zk_ws_code or another; 0 when it was never open */
	zk_str reason;
	int http_status; /* of an answer that was no upgrade; 0 = none */
	zk_str body;     /* its text, at most 4 KiB; empty = not known */
	/* Always filled: code, message, where, retryable (ux.md §8), retry_after_ms. After a close
	 * that the owner asked for with zk_ws_close its code is ZK_E_NONE. */
	const struct zk_error *err;
};

struct zk_ws_conf {
	const char *url;            /* ws:// or wss:// (http and https mean the same) */
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	const char *
	        protocol; /* subprotocols offered, "a, b"; NULL = none. The answer must be
	                         one of them or none. */
	size_t max_message; /* bytes of one message; 0 = 32 MiB. A larger one closes
	                         with 1009. */
	size_t max_unsent;  /* bytes waiting to be sent; 0 = 16 MiB */
	bool small; /* one of hundreds: it reads in small pieces, to save memory */
	int64_t connect_timeout_ms; /* from the name to the handshake; 0 = that of the net */
	/* A ping after so long without a byte, and the end of the connection when no byte
	 * comes within so long after it. 0 = 45 s, 20 s; below 0 = never. */
	int64_t ping_after_ms, pong_within_ms;
	void *ctx;
	void (*on_open)(void *ctx, const struct zk_ws_hello *hello);
	/* One whole message, borrowed for the call. UTF-8 of text is not checked: a bad one
	 * is the owner's to judge, not the end of the connection. */
	void (*on_message)(void *ctx, zk_str message, bool binary);
	/* The head of a message that was larger than max_message; the end follows. May be
	 * NULL. */
	void (*on_too_big)(void *ctx, zk_str head);
	/* Exactly once unless zk_ws_abort came first, never from inside zk_ws_open; the
	 * connection is freed after it returns. */
	void (*on_end)(void *ctx, const struct zk_ws_end *end);
};

/* Begins to connect; everything in `conf` is copied. The proxy and TLS settings are those of the
 * net; up to 3 redirects are followed, only to https or wss when it began there, and
 * without `Authorization` and `Cookie`. 0, or -ZK_E_URL, -ZK_E_DATA (a header),
 * -ZK_E_LIBRARY, and no callback. */
int zk_ws_open(struct zk_net *net, const struct zk_ws_conf *conf, struct zk_ws **ret,
               struct zk_error *err) ZK_MUST_USE;
/* Sends one message (copied). 0, or -ZK_E_BUSY when max_unsent would be passed, -ZK_E_TRANSFER
 * when it is not open (any more). */
int zk_ws_send(struct zk_ws *ws, zk_str message, bool binary,
               struct zk_error *err) ZK_MUST_USE;
/* Bytes given to zk_ws_send that the system has not taken yet. */
size_t zk_ws_unsent(const struct zk_ws *ws);
/* Stops reading at the end of this turn (messages that were read already still come); TCP
 * slows the peer down. Pings that were read are answered all the same. */
void zk_ws_pause(struct zk_ws *ws);
void zk_ws_resume(struct zk_ws *ws);
/* Milliseconds since the last byte from the peer, pings included; 0 before it is open. */
int64_t zk_ws_silence_ms(const struct zk_ws *ws);
/* Says goodbye with `code` and `reason` (at most 123 bytes); on_end comes when the peer echoes,
 * at the latest after 1 s. Messages that come meanwhile are still handed out. Connecting
 * ones end at once. */
void zk_ws_close(struct zk_ws *ws, unsigned code, zk_str reason);
/* Ends it now: no callback comes any more and `ws` is gone. Also from its callbacks. NULL is
 * fine. */
void zk_ws_abort(struct zk_ws *ws);

#endif
