/* Redis client on the loop: commands in pipelines, answers in order, reconnecting by itself.
 * Layer: store. Loop thread only. RESP2; hiredis, opened on first use, reads the answers.
 *
 * A client holds one connection. While there is none, commands fail at once instead of piling up:
 * what is to be repeated is the owner's to decide. Blocking commands (XREADGROUP … BLOCK,
 * SUBSCRIBE never) want a client of their own, and a timeout longer than they block. */
#ifndef ZK_STORE_REDIS_H
#define ZK_STORE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zk_loop;
struct zk_redis;

/* What a URL says. */
struct zk_redis_url {
	char *host;            /* NULL with `path` */
	char *path;            /* unix socket, or NULL */
	char *user, *password; /* NULL = none; the password is wiped with the rest */
	int port;
	unsigned db;
	bool tls;
};

#define ZK_REDIS_URL_MAX 4096

/* redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// (TLS), unix:PATH and
 * unix://[[USER]:PASSWORD@]/PATH, all with ?db=N; user name, password and path
 * percent-encoded; host without brackets in `ret`. -ZK_E_CONFIG_VALUE, whose message holds
 * nothing of the text but its scheme: the rest may be a secret. Pure; any thread. */
int zk_redis_url_parse(zk_str text, struct zk_redis_url *ret,
                       struct zk_error *err) ZK_MUST_USE;
void zk_redis_url_done(struct zk_redis_url *u);

enum zk_redis_type {
	ZK_REDIS_NIL,
	ZK_REDIS_INTEGER,
	ZK_REDIS_STRING,
	ZK_REDIS_STATUS, /* +OK */
	ZK_REDIS_ERROR,  /* -ERR …; `str` is the whole text */
	ZK_REDIS_ARRAY,
};

/* Valid during the callback. */
struct zk_redis_reply {
	enum zk_redis_type type;
	int64_t integer;
	zk_str str;                    /* STRING, STATUS, ERROR; followed by a NUL */
	struct zk_redis_reply **items; /* ARRAY; no NULL among them */
	size_t n;
};

/* The answer, or why there is none: exactly one of the two is not NULL. A command without an
 * answer may have been carried out (-ZK_E_UNKNOWN_OUTCOME: sent; -ZK_E_CONNECT: certainly not;
 * -ZK_E_TIMEOUT: it is late, and will be thrown away.) An answer of type ERROR is an answer.
 * Called exactly once per command, answers in the order of the commands, and never from inside a
 * function of the client, except by zk_redis_free. */
typedef void (*zk_redis_done_fn)(void *ctx, const struct zk_redis_reply *reply,
                                 const struct zk_error *err);

struct zk_redis_conf {
	const struct zk_redis_url *url; /* copied */
	const char *name;               /* CLIENT SETNAME; NULL = none */
	/* 0 = 5 s; 0 = 5 s for an answer to a command */
	int64_t connect_timeout_ms, timeout_ms;
	/* After this long without any byte while answers are owed the connection is given up;
	 * 0 = 10 s. A command that timed out alone does not end it. */
	int64_t stall_ms;
	int64_t retry_base_ms, retry_cap_ms; /* 0 = 100 ms, 5 s; full jitter, for ever */
	size_t max_out_bytes;                /* not yet taken by the kernel; 0 = 64 MiB */
	size_t max_pending;                  /* commands without an answer; 0 = 100,000 */
	size_t max_reply_bytes;              /* 0 = 64 MiB */
	/* The connection is usable (err NULL), or is not and why: at every change, and for each
	 * failed attempt to connect. May be NULL. */
	void (*on_state)(void *ctx, bool up, const struct zk_error *err);
	/* Output went below half of max_out_bytes again after ZK_E_BUSY. May be NULL. */
	void (*on_room)(void *ctx);
	void *ctx;
};

/* Starts connecting in the background. 0, or -ZK_E_LIBRARY. */
int zk_redis_new(struct zk_loop *l, const struct zk_redis_conf *conf,
                 struct zk_redis **ret, struct zk_error *err) ZK_MUST_USE;
/* Calls what is outstanding with -ZK_E_INTERRUPTED and frees; not from a callback of the same
 * client. NULL is fine. */
void zk_redis_free(struct zk_redis *r);
bool zk_redis_is_up(const struct zk_redis *r);
/* Bytes that wait to be sent. */
size_t zk_redis_out_bytes(const struct zk_redis *r);

struct zk_redis_cmd {
	const zk_str *args; /* n of them, any bytes; copied */
	size_t n;
	int64_t timeout_ms; /* 0 = that of the client, -1 = none */
};

/* Sends a command with all others of this turn. 0, or -ZK_E_CONNECT (there is no connection),
 * -ZK_E_BUSY (a bound would be passed; one command always fits into an empty output): then `done`
 * is not called. `done` may be NULL. */
int zk_redis_submit(struct zk_redis *r, const struct zk_redis_cmd *cmd,
                    zk_redis_done_fn done, void *ctx, struct zk_error *err) ZK_MUST_USE;
#define zk_redis_send(r, args, n, timeout_ms, done, ctx, err)                           \
	zk_redis_submit((r), &(const struct zk_redis_cmd){ (args), (n), (timeout_ms) }, \
	                (done), (ctx), (err))

/* The first word of an error answer: "OOM", "WRONGTYPE", "NOAUTH". */
zk_str zk_redis_error_kind(const struct zk_redis_reply *reply);
/* Member `i` of an array when it is a string or status, else p == NULL. */
zk_str zk_redis_item_str(const struct zk_redis_reply *reply, size_t i);

#endif
