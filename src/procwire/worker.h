/* The worker: methods behind a private socket for a Node.js parent (specs/procwire.md §2 to §18),
 * and what a handler may do with a request.
 * Layer: procwire. Loop thread only.
 *
 *	static enum zk_pw_then greet(struct zk_pw_req *req, zk_str payload)
 *	{
 *		struct zk_error err;
 *
 *		if (zk_pw_respond(req, payload, &err) < 0)
 *			return zk_pw_fail(req, &err);
 *		return ZK_PW_THEN_DONE;
 *	}
 */
#ifndef ZK_PROCWIRE_WORKER_H
#define ZK_PROCWIRE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "procwire/table.h"

struct zk_loop;
struct zk_pw_req;
struct zk_pw_worker;

/* ---- handlers ---- */

enum zk_pw_then {
	ZK_PW_THEN_DONE, /* the request is over; one without an answer becomes an error */
	ZK_PW_THEN_KEEP, /* the handler goes on and calls zk_pw_done() */
};

struct zk_pw_handler {
	const char *name;
	/* Ends before it returns and never waits: it runs at once, whatever else runs. */
	bool is_quick;
	/* The whole payload, checked when the codec is msgpack; borrowed until it returns. */
	enum zk_pw_then (*request)(struct zk_pw_req *req, zk_str payload);
	/* Instead of it, for a raw payload that is large: its length, then its bytes as they
	 * arrive, the last time with `last`. Not called after the end of the request. Both NULL
	 * = the payload is collected. A begin that does not KEEP is passed over. */
	enum zk_pw_then (*begin)(struct zk_pw_req *req, uint32_t length);
	void (*piece)(struct zk_pw_req *req, zk_str bytes, bool last);
	/* The worker ends while the request is kept: let go of everything at once, call nothing
	 * of the request any more. */
	void (*drop)(struct zk_pw_req *req);
};

/* ---- the request ---- */

/* Terminal: the answer of a `result` (also allowed for `ack`). The bytes are encoded by the
 * caller; an empty msgpack payload becomes nil. 0, or nothing was sent and: -ZK_E_PW_ANSWERED
 * (also a chunk after the end), -ZK_E_PW_KIND, -ZK_E_PW_ABORTED, -ZK_E_LIMIT (larger than
 * --max-payload). Request id 0 is answered with nothing and 0. */
int zk_pw_respond(struct zk_pw_req *req, zk_str payload, struct zk_error *err);
/* The same, taking over the bytes; `payload` is empty afterwards in any case. */
int zk_pw_respond_buf(struct zk_pw_req *req, struct zk_buf *payload,
                      struct zk_error *err);
/* Terminal for the parent; the handler may go on. */
int zk_pw_ack(struct zk_pw_req *req, zk_str payload, struct zk_error *err);
int zk_pw_ack_empty(struct zk_pw_req *req, struct zk_error *err);
/* One value of a stream. When zk_pw_is_full() says so afterwards, wait: zk_pw_when_room. */
int zk_pw_chunk(struct zk_pw_req *req, zk_str payload, struct zk_error *err);
int zk_pw_chunk_buf(struct zk_pw_req *req, struct zk_buf *payload, struct zk_error *err);
int zk_pw_end(struct zk_pw_req *req, struct zk_error *err);
/* Terminal: an error as a msgpack map {message, code}. Always returns ZK_PW_THEN_DONE. */
enum zk_pw_then zk_pw_fail(struct zk_pw_req *req, const struct zk_error *err);
enum zk_pw_then zk_pw_fail_text(struct zk_pw_req *req, const char *message);
/* With a payload of the handler's own: msgpack, a string or a map with `message`. */
enum zk_pw_then zk_pw_fail_raw(struct zk_pw_req *req, zk_str msgpack);
/* The end of a request that was KEPT; not from `request` itself. It may be gone afterwards. */
void zk_pw_done(struct zk_pw_req *req);

/* After an abort, the loss of the parent, its time-out, or a stop: nothing is sent any more. */
bool zk_pw_is_aborted(const struct zk_pw_req *req);
/* Called once when that happens, then never; the handler still calls zk_pw_done(), from there
 * or later. */
void zk_pw_on_cancel(struct zk_pw_req *req, void (*fn)(void *ctx), void *ctx);
/* Producers wait: fn is called once there is room. */
bool zk_pw_is_full(const struct zk_pw_req *req);
void zk_pw_when_room(struct zk_pw_req *req, void (*fn)(void *ctx), void *ctx);
/* For handlers that get pieces: too many bytes wait. Reading goes on after `patience_ms`, or
 * when released; see zk_pw_conn_hold. */
void zk_pw_hold_pieces(struct zk_pw_req *req, bool hold, int64_t patience_ms);
/* The answer of a result in pieces of exactly `length` bytes, as they come: only from begin and
 * piece. False: not possible now (another one is open). */
bool zk_pw_respond_begin(struct zk_pw_req *req, uint32_t length);
void zk_pw_respond_piece(struct zk_pw_req *req, zk_str bytes, bool last);

uint32_t zk_pw_request_id(const struct zk_pw_req *req); /* 0 = nobody waits */
const struct zk_pw_method *zk_pw_method_of(const struct zk_pw_req *req);
struct zk_pw_worker *zk_pw_worker_of(const struct zk_pw_req *req);
bool zk_pw_is_answered(const struct zk_pw_req *req);
/* Of the handler, NULL at first. */
void zk_pw_set_data(struct zk_pw_req *req, void *data);
void *zk_pw_data(const struct zk_pw_req *req);

/* ---- the worker ---- */

enum zk_pw_reason {
	ZK_PW_BY_SHUTDOWN,
	ZK_PW_BY_STDIN,      /* its end, or an error */
	ZK_PW_BY_CONNECTION, /* lost */
	ZK_PW_BY_SIGNAL,     /* zk_pw_worker_stop */
	ZK_PW_BY_VIOLATION,
};

struct zk_pw_worker_conf {
	struct zk_loop *loop;
	int in_fd, out_fd; /* the control channel; borrowed */
	const char *token; /* NULL = no authentication; copied */
	uid_t allow_uid;   /* one more peer that may connect; (uid_t)-1 = none */
	uint32_t max_payload;
	size_t max_running; /* requests at a time; the others wait */
	size_t max_queue;   /* … before reading pauses */
	size_t max_queue_bytes;
	int64_t timeout_ms; /* of each call without one of its own; 0 = none */
	int64_t stop_ms;    /* how long running requests may take to end at the stop */
	void *ctx;
	/* Once: everything has ended or the time is over. Free the worker from here or later. */
	void (*on_stopped)(void *ctx, enum zk_pw_reason why, const struct zk_error *err);
};

struct zk_pw_worker *zk_pw_worker_new(const struct zk_pw_worker_conf *conf);
/* Everything still running is told and cut off. NULL is fine. */
void zk_pw_worker_free(struct zk_pw_worker *w);
/* To be filled before the start; frozen afterwards. */
struct zk_pw_table *zk_pw_worker_table(struct zk_pw_worker *w);
/* Binds, listens, announces, serves. 0, or -ZK_E_PW_SOCKET, -ZK_E_PW_STARTED. */
int zk_pw_worker_start(struct zk_pw_worker *w, struct zk_error *err) ZK_MUST_USE;
void zk_pw_worker_stop(struct zk_pw_worker *w, enum zk_pw_reason why);
/* Sends an event; 0, or -ZK_E_PW_EVENT, -ZK_E_PW_GONE (no parent yet, or no more),
 * -ZK_E_PW_PRESSURE when too much waits already. */
int zk_pw_emit(struct zk_pw_worker *w, zk_str event, zk_str payload,
               struct zk_error *err);
struct zk_loop *zk_pw_worker_loop(const struct zk_pw_worker *w);
/* Answers that cannot be larger. */
uint32_t zk_pw_worker_max_payload(const struct zk_pw_worker *w);

struct zk_pw_worker_stats {
	uint64_t requests, answers, errors, aborted, events, queued;
	uint64_t bytes_in, bytes_out, pings;
	size_t running, waiting;
	int64_t start_ms;
};
void zk_pw_worker_stats(const struct zk_pw_worker *w, struct zk_pw_worker_stats *ret);

#endif
