/* One socket to the events of a Zeal server: connects, joins the rooms of its workflows, tells
 * what comes, and connects again when it was dropped. It finds another way when the first one is
 * deaf.
 * Layer: zip. Loop thread only. specs/zeal-zip.md §7.
 *
 *	CONNECTING --> JOINING --> AUTHING --> LIVE --drop--> BACKOFF --> CONNECTING … */
#ifndef ZK_ZIP_LIVE_H
#define ZK_ZIP_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/jscan.h"
#include "rt/retry.h"

struct zk_net;
struct zk_zip_live;

/* The values of --transport. */
enum zk_zip_transport {
	ZK_ZIP_TRANSPORT_AUTO, /* a WebSocket; long-polling when it is refused or deaf [T 17] */
	ZK_ZIP_TRANSPORT_WEBSOCKET,
	ZK_ZIP_TRANSPORT_POLLING,
	ZK_ZIP_TRANSPORT_UPGRADE, /* long-polling that becomes a WebSocket */
	ZK_ZIP_TRANSPORT_RAW,     /* plain JSON messages on a WebSocket (§7.9) */
};

enum zk_zip_live_state {
	ZK_ZIP_CONNECTING,
	ZK_ZIP_JOINING,
	ZK_ZIP_AUTHING,
	ZK_ZIP_LIVE,
	ZK_ZIP_BACKOFF,
	ZK_ZIP_CLOSING,
	ZK_ZIP_ENDED,
};

/* Members of a payload that were found on the way. */
enum zk_zip_live_member { ZK_ZIP_LIVE_ID, ZK_ZIP_LIVE_TYPE, ZK_ZIP_LIVE_MEMBERS };

/* Valid during the callback. */
struct zk_zip_live_event {
	zk_str name;                    /* "zip.event", "stream.frame", "error", … */
	struct zk_jval json;            /* the payload; ZK_J_NONE when there is none */
	const struct zk_jwant *members; /* ZK_ZIP_LIVE_MEMBERS of them */
	const zk_str *attachments;
	unsigned n_attachments;
};

/* What was missed: there is no replay. */
struct zk_zip_live_gap {
	int64_t from_us, to_us; /* wall clock */
	unsigned reconnects;    /* attempts it took */
};

struct zk_zip_live_conf {
	struct zk_net *net;
	const char *url;             /* "http://host:3001" */
	const char *path;            /* "/zip/events/" */
	const char *token, *api_key; /* NULL or "" = none */
	enum zk_zip_transport transport;
	bool deaf; /* AUTO: WebSockets of this server were found deaf */
	const char *const *workflows; /* borrowed while it lives */
	size_t n_workflows;
	struct zk_retry_conf retry;
	int64_t connect_timeout_ms; /* 0 = 10 s */
	int64_t answer_timeout_ms;  /* of the connect packet and of auth; 0 = 5 s */
	bool wait;                  /* unknown workflows are waited for */
	bool many;                  /* one of hundreds: small buffers */
	size_t max_in, max_out;     /* bytes of a packet; 0 = 64 MiB, 1,000,000 */
	void *ctx;
	void (*on_event)(void *ctx, struct zk_zip_live *l,
	                 const struct zk_zip_live_event *ev);
	/* It is live, for the first time (`gap` NULL) or again. */
	void (*on_live)(void *ctx, struct zk_zip_live *l,
	                const struct zk_zip_live_gap *gap);
	/* It was dropped, and is tried again after so long. May be NULL. */
	void (*on_drop)(void *ctx, struct zk_zip_live *l, const struct zk_error *err,
	                int64_t wait_ms);
	/* The WebSockets of this server are deaf; may be NULL. */
	void (*on_deaf)(void *ctx, struct zk_zip_live *l);
	/* Once, not from inside zk_zip_live_new: given up (`err`), or closed (NULL). */
	void (*on_end)(void *ctx, struct zk_zip_live *l, const struct zk_error *err);
};

/* Begins to connect at the next turn. Texts are copied except the workflows. */
struct zk_zip_live *zk_zip_live_new(const struct zk_zip_live_conf *conf);
/* No callback any more. NULL is fine. Not from inside its callbacks. */
void zk_zip_live_free(struct zk_zip_live *l);

enum zk_zip_live_state zk_zip_live_state(const struct zk_zip_live *l);
/* "websocket", "polling" or "raw": what carries it now. */
const char *zk_zip_live_carrier(const struct zk_zip_live *l);
/* Stops and resumes reading; the server is told that we are there all the same. */
void zk_zip_live_pause(struct zk_zip_live *l, bool pause);
/* Emits an event with its payload and attachments. 0; -ZK_E_LIMIT for more than max_out bytes,
 * -ZK_E_BUSY, -ZK_E_TRANSFER when it is not live. In the raw dialect the payload is the message,
 * or the attachment is. */
int zk_zip_live_emit(struct zk_zip_live *l, zk_str name, zk_str json,
                     const zk_str *attachments, unsigned n,
                     struct zk_error *err) ZK_MUST_USE;
/* Bytes emitted that the system has not taken yet. */
size_t zk_zip_live_unsent(const struct zk_zip_live *l);
/* Says goodbye; on_end(NULL) comes within 1 s. */
void zk_zip_live_close(struct zk_zip_live *l);

#endif
