/* What carries the packets of a socket: a WebSocket, long-polling, or long-polling that becomes a
 * WebSocket.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §7.1. */
#ifndef ZK_ZIP_LINK_H
#define ZK_ZIP_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_net;
struct zk_eio_open;
struct zk_zip_link;

/* They may not free the link; on_end is the last one and comes once. */
struct zk_zip_link_hooks {
	void *ctx;
	void (*on_open)(void *ctx); /* a WebSocket is open; long-polling: never called */
	void (*on_text)(void *ctx, zk_str message);
	void (*on_binary)(void *ctx, zk_str message);
	void (*on_upgraded)(
	        void *ctx); /* a WebSocket carries it from now on; may be NULL */
	void (*on_end)(void *ctx, const struct zk_error *err);
};

struct zk_zip_link_conf {
	struct zk_net *net;
	const char
	        *url; /* of the endpoint, without a query: http://host:3001/zip/events/ */
	const char *query; /* NULL: that of Engine.IO; "" = none (the raw dialect) */
	const char *const *headers; /* as zk_http_conf; may be NULL */
	const char *sid;            /* of the session to take over; NULL = a new one */
	size_t max_in, max_unsent;  /* bytes; 0 = 64 MiB, 16 MiB */
	int64_t connect_timeout_ms; /* 0 = that of the net */
	bool many;                  /* one of hundreds: small buffers */
	struct zk_zip_link_hooks hooks;
};

struct zk_zip_link_ops {
	int (*send)(struct zk_zip_link *l, zk_str message, bool binary,
	            struct zk_error *err);
	void (*pause)(struct zk_zip_link *l, bool pause);
	size_t (*unsent)(const struct zk_zip_link *l);
	void (*opened)(struct zk_zip_link *l, const struct zk_eio_open *open);
	void (*close)(struct zk_zip_link *l);
	void (*free)(struct zk_zip_link *l);
};

/* The table of a kind whose functions have these names. */
#define ZK_ZIP_LINK_OPS                                                  \
	{                                                                \
		.send = op_send, .pause = op_pause, .unsent = op_unsent, \
		.opened = op_opened, .close = op_close, .free = op_free  \
	}

/* First member of each kind. */
struct zk_zip_link {
	const struct zk_zip_link_ops *ops;
	struct zk_zip_link_hooks hooks;
};

/* Each begins to connect; everything but the net is copied. 0, or an error of the address. */
int zk_zip_link_ws(const struct zk_zip_link_conf *conf, struct zk_zip_link **ret,
                   struct zk_error *err) ZK_MUST_USE;
int zk_zip_link_poll(const struct zk_zip_link_conf *conf, struct zk_zip_link **ret,
                     struct zk_error *err) ZK_MUST_USE;
int zk_zip_link_upgrade(const struct zk_zip_link_conf *conf, struct zk_zip_link **ret,
                        struct zk_error *err) ZK_MUST_USE;

/* Copies the message. 0, -ZK_E_BUSY when max_unsent would be passed, -ZK_E_TRANSFER when it is not
 * open (any more). */
static inline int zk_zip_link_send(struct zk_zip_link *l, zk_str message, bool binary,
                                   struct zk_error *err)
{
	return l->ops->send(l, message, binary, err);
}

/* Stops and resumes reading. */
static inline void zk_zip_link_pause(struct zk_zip_link *l, bool pause)
{
	l->ops->pause(l, pause);
}

/* Bytes given to zk_zip_link_send that the system has not taken yet. */
static inline size_t zk_zip_link_unsent(const struct zk_zip_link *l)
{
	return l->ops->unsent(l);
}

/* The session is open: what the server said. To be called from the open packet's on_text. */
static inline void zk_zip_link_opened(struct zk_zip_link *l,
                                      const struct zk_eio_open *open)
{
	l->ops->opened(l, open);
}

/* Sends what waits and ends; on_end comes within 1 s, its error has the code ZK_E_NONE. */
static inline void zk_zip_link_close(struct zk_zip_link *l)
{
	l->ops->close(l);
}

/* Ends it now, no callback comes any more. NULL is fine. Not from inside its hooks. */
static inline void zk_zip_link_free(struct zk_zip_link *l)
{
	if (l)
		l->ops->free(l);
}

/* For zk_zip_link_upgrade: sends nothing more; fn(ctx) when no request is under way, in which case
 * what was not sent yet is given to `rest`, message by message. */
typedef void (*zk_zip_rest_fn)(void *ctx, zk_str message, bool binary);
void zk_zip_link_poll_quiet(struct zk_zip_link *l, void (*fn)(void *ctx), void *ctx);
void zk_zip_link_poll_rest(struct zk_zip_link *l, zk_zip_rest_fn rest, void *ctx);

#endif
