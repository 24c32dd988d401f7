/* One gRPC call with streams in both directions, on a connection of its own
 * (specs/zerobus.md §5.2, §5.3, §6).
 * Layer: net. Loop thread only. */
#ifndef ZK_NET_GRPC_H
#define ZK_NET_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "net/h2.h"

struct zk_grpc;
struct zk_net;

enum zk_grpc_code {
	ZK_GRPC_OK = 0,
	ZK_GRPC_CANCELLED = 1,
	ZK_GRPC_UNKNOWN = 2,
	ZK_GRPC_INVALID_ARGUMENT = 3,
	ZK_GRPC_DEADLINE_EXCEEDED = 4,
	ZK_GRPC_NOT_FOUND = 5,
	ZK_GRPC_ALREADY_EXISTS = 6,
	ZK_GRPC_PERMISSION_DENIED = 7,
	ZK_GRPC_RESOURCE_EXHAUSTED = 8,
	ZK_GRPC_FAILED_PRECONDITION = 9,
	ZK_GRPC_ABORTED = 10,
	ZK_GRPC_OUT_OF_RANGE = 11,
	ZK_GRPC_UNIMPLEMENTED = 12,
	ZK_GRPC_INTERNAL = 13,
	ZK_GRPC_UNAVAILABLE = 14,
	ZK_GRPC_DATA_LOSS = 15,
	ZK_GRPC_UNAUTHENTICATED = 16,
};

/* "UNAVAILABLE"; "UNKNOWN" for other numbers. */
const char *zk_grpc_code_name(int code);
bool zk_grpc_code_is_retryable(int code);

/* ---- framing ---- */

#define ZK_GRPC_HEAD 5

/* The prefix of a message of `n` bytes. */
void zk_grpc_put_head(char to[ZK_GRPC_HEAD], uint32_t n);

/* Cuts a byte stream into messages, whatever the chunks are. */
struct zk_grpc_split {
	size_t max_message;
	uint8_t head[ZK_GRPC_HEAD];
	size_t n_head, want;
	struct zk_buf body;
	bool handed;
};

void zk_grpc_split_init(struct zk_grpc_split *s, size_t max_message);
void zk_grpc_split_done(struct zk_grpc_split *s);
/* The next message, taken from the front of `chunk`; borrowed until the next call. 1, 0 when the
 * chunk is used up, or -ZK_E_PROTOCOL: a flag other than 0, a message that is too long. */
int zk_grpc_split_next(struct zk_grpc_split *s, zk_str *chunk, zk_str *ret,
                       struct zk_error *err) ZK_MUST_USE;
/* Whether the stream may end here. */
bool zk_grpc_split_is_whole(const struct zk_grpc_split *s);

/* ---- the call ---- */

/* What told us the end. */
enum zk_grpc_from {
	ZK_GRPC_FROM_STATUS,  /* grpc-status */
	ZK_GRPC_FROM_HTTP,    /* an answer that is not gRPC */
	ZK_GRPC_FROM_NOTHING, /* the stream ended without a status */
	ZK_GRPC_FROM_RESET,   /* RST_STREAM */
	ZK_GRPC_FROM_GOAWAY,  /* GOAWAY with a code, or without our stream */
	ZK_GRPC_FROM_CONN,    /* no connection, or it was lost; `err` says which */
	ZK_GRPC_FROM_US,      /* the peer broke the framing; `err` says how */
};

struct zk_grpc_end {
	int code; /* enum zk_grpc_code, or another number of the peer's */
	enum zk_grpc_from from;
	int http_status;     /* 0 = no answer */
	uint32_t reset_code; /* enum zk_h2_code */
	bool unprocessed;    /* certainly not processed */
	bool retryable;
	bool is_proxy_auth;  /* HTTP 407 */
	int64_t pushback_ms; /* grpc-retry-pushback-ms; -1 = none, -2 = do not try again */
	struct zk_error err; /* of CONN and US; else code 0 */
	char message[1100];  /* decoded, without control characters; for people */
};

struct zk_grpc_conf {
	const char *endpoint; /* URL */
	const char *path;
	const char *bearer; /* NULL = none; copied */
	const char *user_agent;
	const struct zk_h2_header *headers; /* further ones, in this order */
	size_t n_headers;
	size_t max_message; /* that comes in; 0 = 64 KiB */
	int64_t connect_timeout_ms;
	void *ctx;
	/* The connection is there and the head of the request on its way. */
	void (*on_open)(void *ctx);
	/* Bytes of messages to be sent: as zk_h2_conf.ready and take; `end` half-closes. */
	size_t (*ready)(void *ctx, size_t room, bool *end);
	void (*take)(void *ctx, char *to, size_t n);
	void (*on_message)(void *ctx, zk_str message);
	/* GOAWAY with code 0: nothing new on this call. */
	void (*on_goaway)(void *ctx);
	/* Whether an answer is waited for: then a silent connection is asked for a sign of life.
	 * May be NULL = never. */
	bool (*is_waiting)(void *ctx);
	/* Silence before it is asked, and how long the answer may take; 0 = 20 s and 10 s. */
	int64_t quiet_ms, ping_ms;
	/* Once. Free the call then. */
	void (*on_end)(void *ctx, const struct zk_grpc_end *end);
};

/* Begins; no callback from inside. Everything in `conf` is copied. */
int zk_grpc_start(struct zk_net *net, const struct zk_grpc_conf *conf,
                  struct zk_grpc **ret, struct zk_error *err) ZK_MUST_USE;
/* `ready` has something again. */
void zk_grpc_wake(struct zk_grpc *c);
/* Ends it without on_end and frees it; a stream that has not ended is reset with `h2_code`. From
 * its callbacks too; NULL is fine. */
void zk_grpc_free(struct zk_grpc *c, uint32_t h2_code);

#endif
