/* Inside of the WebSocket client: what ws.c (life, sending) and the two that connect share: ws_tcp.c
 * (plain connections) and ws_lws.c (the library: TLS, proxies).
 * Layer: net, private to src/net/ws*.c. */
#ifndef ZK_NET_WS_INT_H
#define ZK_NET_WS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/http.h"
#include "net/url.h"
#include "net/ws.h"

struct lws;
struct zk_timer;
struct zk_ws_lookup;
struct zk_ws_tcp;

enum zk_ws_state {
	ZK_WS_RESOLVING,
	ZK_WS_CONNECTING,
	ZK_WS_OPEN,
	ZK_WS_CLOSING, /* our close frame is on its way */
	ZK_WS_ASKING,  /* refused; the text of the refusal is being fetched */
	ZK_WS_ENDED,   /* on_end is due at the end of this turn */
};

/* A message that waits to be sent; `room` bytes before `bytes` are the library's. */
struct zk_ws_out {
	struct zk_list entry;
	size_t n;
	bool binary;
	unsigned char control; /* ws_tcp.c: the kind of a control frame, 0 = a message */
	char bytes[];
};

/* How a connection is made and used. */
struct zk_ws_driver {
	size_t headroom; /* bytes it wants before those of a message */
	/* Connects to `address` (numeric). False when that failed at once. */
	bool (*connect)(struct zk_ws *ws, const char *address);
	/* Lets go of the connection without any callback. */
	void (*drop)(struct zk_ws *ws);
	void (*want_write)(struct zk_ws *ws);
	void (*flow)(struct zk_ws *ws, bool on);
	int64_t (*silence_ms)(const struct zk_ws *ws);
};

extern const struct zk_ws_driver zk_ws_tcp_driver, zk_ws_lws_driver;

struct zk_ws {
	struct zk_list link; /* zk_ws_lib.all */
	struct zk_ws_lib *lib;
	struct zk_ws_conf conf; /* numbers and callbacks; the texts are these */
	char *url, *protocol;
	char **headers;
	size_t n_headers;
	struct zk_url to; /* where it connects, after redirects */
	char *target;     /* path and query */
	char *host_header;
	bool tls;
	unsigned hops;

	enum zk_ws_state state;
	struct zk_ws_lookup *lookup; /* the name is being resolved */
	char **addresses;            /* numeric, of the name or of the proxy */
	size_t n_addresses, next_address;
	const struct zk_ws_driver *driver;
	struct lws *wsi;
	struct zk_ws_tcp *tcp;
	struct zk_http *ask;
	struct zk_timer *deadline; /* of connecting, then of closing */
	struct zk_timer *watch;    /* silence while open */
	int64_t ping_sent_ms;      /* 0 = none on its way */
	bool pinging;              /* one is to be sent */
	bool paused, flow_off, flow_due;

	struct zk_buf part; /* the message that comes in pieces */
	bool skipping;      /* the message is too big, its rest is dropped */
	struct zk_list out; /* struct zk_ws_out */
	size_t unsent;

	/* The end. */
	bool opened, by_peer, asked_to_close, close_sent;
	unsigned code;
	int64_t cert_until_s;
	char reason[124];
	size_t reason_n;
	int http_status;
	struct zk_buf body;
	struct zk_error err;
};

#define ZK_WS_ROOM 65536

/* What all connections of one zk_net share. */
struct zk_ws_lib {
	struct zk_net *net;
	struct zk_list all;    /* struct zk_ws.link */
	void *context, *vhost; /* of libwebsockets; NULL until it is needed */
	char *room;            /* ws_tcp.c: what is being read; NULL until it is needed */
	uint8_t *noise;        /* and bytes for masks */
	size_t noise_n;
};

/* ---- ws_lws.c ---- */

/* Makes the context on first use. 0, or -ZK_E_LIBRARY. */
int zk_ws_lws_open(struct zk_ws_lib *l, struct zk_error *err) ZK_MUST_USE;
/* Ends it, at a later turn. */
void zk_ws_lws_close(struct zk_ws_lib *l);
int64_t zk_ws_fd_silence_ms(int fd);
/* A header that may not travel to where a redirect points. */
bool zk_ws_is_credential(zk_str line);

/* ---- ws.c: what the library reports ---- */

void zk_ws_on_open(struct zk_ws *ws, zk_str protocol, zk_str date);
/* A piece of a message. False when the connection is to be closed. */
bool zk_ws_on_piece(struct zk_ws *ws, zk_str piece, bool binary, bool first, bool last);
/* Connecting failed: `why` in the library's words, `status` of an answer (0 = none). */
void zk_ws_on_refused(struct zk_ws *ws, const char *why, int status, zk_str retry_after);
/* The answer was a redirect; the connection is dropped already. */
void zk_ws_on_redirect(struct zk_ws *ws, zk_str location);
void zk_ws_on_peer_close(struct zk_ws *ws, unsigned code, zk_str reason);
void zk_ws_on_gone(struct zk_ws *ws);
/* The peer broke the protocol; the connection is dropped already. */
void zk_ws_on_broken(struct zk_ws *ws, const char *what);

/* Called by zk_net_free. NULL is fine. */
void zk_ws_lib_free(struct zk_ws_lib *lib);

/* ---- ws_name.c: where to connect to ---- */

/* Reads the URL into ws->to, target, host_header, tls. */
int zk_ws_set_url(struct zk_ws *ws, const char *url, struct zk_error *err) ZK_MUST_USE;
/* "host:port" of the proxy for it (with user and password as the URL has them, into `auth`),
 * or NULL without one; the caller frees. */
char *zk_ws_proxy(const struct zk_ws *ws, char **auth);
/* Resolves `host` without blocking: fn(ctx, addresses, n, why) at a later turn; the array is the
 * callee's. */
typedef void (*zk_ws_name_fn)(void *ctx, char **addresses, size_t n, const char *why);
struct zk_ws_lookup *zk_ws_lookup(struct zk_net *net, const char *host, int port,
                                  zk_ws_name_fn fn, void *ctx);
/* fn is not called any more. */
void zk_ws_lookup_cancel(struct zk_ws_lookup *l);

#endif
