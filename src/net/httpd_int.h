/* Inside of the HTTP server: what its files share.
 * Layer: net, private to src/net/httpd*.c. Loop thread only.
 *
 * httpd.c         the server: configuration, drain, end; accessors
 * httpd_listen.c  addresses and listening sockets
 * httpd_conn.c    one connection: reading, writing, closing, deadlines (libuv is here)
 * httpd_buf.c     the memory of connections
 * httpd_peer.c    who is on the other side, connections per address
 * httpd_wheel.c   one coarse timer for all deadlines
 * httpd_req.c     one request: head, the calls of the handlers, its end
 * httpd_body.c    its body
 * httpd_reply.c   answers
 * httpd_route.c   which route a request belongs to
 * httpd_stream.c  endless answers and upgrades
 *
 * A connection and its request are driven by zk_httpd_conn_run(): it takes steps until none is
 * possible, writes what the steps produced, and ends the request when its answer went out.
 * Everything that happens outside of it (a reply from a lane, a stream's data) only changes the
 * state and marks the connection dirty; dirty ones run at the end of the turn. */
#ifndef ZK_NET_HTTPD_INT_H
#define ZK_NET_HTTPD_INT_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/http1.h"
#include "net/httpd.h"

struct uv_stream_s;
struct zk_timer;
struct zk_tls_conn;
struct zk_tls_server;

/* Input and small answers live in chunks of this size, which idle connections do not hold. */
#define ZK_HTTPD_CHUNK     8191
#define ZK_HTTPD_SCRATCH   65536
#define ZK_HTTPD_LINGER_MS 2000

/* ------------------------------------------------------------------ timers */

#define ZK_HTTPD_SLOTS 256

struct zk_httpd_wheel {
	struct zk_list slots[ZK_HTTPD_SLOTS];
	unsigned n;         /* entries */
	int64_t tick;       /* last one handled */
	int64_t armed_tick; /* 0 = the timer is off */
	struct zk_timer *timer;
};

void zk_httpd_wheel_init(struct zk_httpd *s);
void zk_httpd_wheel_done(struct zk_httpd *s);
/* From now on zk_httpd_conn_expired(c) is called once `at_ms` (of the loop's clock) has passed;
 * 0 = never. Late by two ticks at most; costs two stores when the deadline moves away. One
 * deadline is for what the connection's phase waits for, the other for the write in progress. */
void zk_httpd_wheel_set(struct zk_httpd_conn *c, int64_t at_ms);
void zk_httpd_wheel_set_write(struct zk_httpd_conn *c, int64_t at_ms);
/* Forgets both. */
void zk_httpd_wheel_remove(struct zk_httpd_conn *c);

/* ------------------------------------------------------------------ routes */

struct zk_httpd_router;

enum zk_httpd_match { ZK_HTTPD_FOUND, ZK_HTTPD_NO_PATH, ZK_HTTPD_NO_METHOD };

struct zk_httpd_found {
	const struct zk_route *route; /* when FOUND */
	const char *allow;            /* unless NO_PATH: "GET, POST" */
	zk_str params[ZK_HTTPD_MAX_PARAMS];
};

/* The routes are borrowed. */
struct zk_httpd_router *zk_httpd_router_new(const struct zk_route *routes, size_t n);
void zk_httpd_router_free(struct zk_httpd_router *r);
/* specs/triggers.md §2: `path` is raw; what had to be decoded goes to `decoded`, whose room must
 * not change afterwards. */
enum zk_httpd_match zk_httpd_router_match(const struct zk_httpd_router *r, zk_str path,
                                          zk_str method, struct zk_buf *decoded,
                                          struct zk_httpd_found *ret);
/* Every method of the table, for "OPTIONS *". */
const char *zk_httpd_router_methods(const struct zk_httpd_router *r);

/* ------------------------------------------------------------------ connections */

enum zk_httpd_phase {
	ZK_HTTPD_IDLE,     /* waits for the first byte of a request */
	ZK_HTTPD_HEAD,     /* a part of a head is here */
	ZK_HTTPD_DECIDE,   /* on_head said WAIT */
	ZK_HTTPD_COLLECT,  /* reads the body */
	ZK_HTTPD_ANSWER,   /* the handler owes the answer */
	ZK_HTTPD_ANSWERED, /* it is being written */
	ZK_HTTPD_SKIP,     /* throws the rest of an unwanted body away */
	ZK_HTTPD_STREAM,
	ZK_HTTPD_LINGER, /* all was sent; the client may read it before the end */
	ZK_HTTPD_CLOSED,
};

/* Connections of one client address. */
struct zk_httpd_peer {
	uint8_t ip[16];
	unsigned n;
};

struct zk_httpd_conn {
	struct zk_httpd *s;
	struct zk_list node, dirty, wheel;
	int64_t phase_end_ms, write_end_ms; /* deadlines, 0 = none */
	int64_t wheel_tick;
	struct zk_httpd_req *req;
	struct zk_httpd_stream *stream;
	struct zk_httpd_peer *peer; /* NULL for loopback and unix sockets */
	struct zk_tls_conn *tls;    /* NULL = plain */
	struct zk_buf in;           /* secret: it holds API keys */
	size_t base;                /* where the current request begins in it */
	size_t pos;                 /* what was consumed of it */
	struct zk_buf body;         /* a body that is not in `in` */
	int64_t body_since_ms;
	uint64_t skip;        /* bytes of a body nobody wants; LINGER: bytes read */
	struct zk_buf out;    /* answers not yet given to the kernel */
	struct zk_buf sealed; /* the same encrypted; unused without TLS */
	struct zk_httpd_write *writing;
	unsigned n_requests;
	enum zk_httpd_phase phase;
	bool body_aside;  /* the body goes to `body` */
	bool running;     /* zk_httpd_conn_run() is below us */
	bool reading;     /* libuv reads */
	bool eof;         /* the client will send nothing more */
	bool last;        /* close after this answer */
	bool refused;     /* over the limit: gets a 503 */
	bool loopback;    /* or a unix socket */
	bool has_ip;      /* `ip` is set */
	bool handle_open; /* the uv handle is not closed yet */
	uint8_t ip[16];
	char ip_text[46];
};

/* Finds out the address; false when the client is gone already. */
bool zk_httpd_peer_address(struct zk_httpd_conn *c);
/* Counts the connection for its address; false when that has too many. */
bool zk_httpd_peer_join(struct zk_httpd_conn *c);
void zk_httpd_peer_leave(struct zk_httpd_conn *c);

/* A connection that waits in the backlog of `listener`. */
void zk_httpd_conn_accept(struct zk_httpd *s, struct uv_stream_s *listener, bool is_unix);
/* The same for a socket that was accepted; taken over. */
void zk_httpd_conn_adopt(struct zk_httpd *s, int fd, bool is_unix);
/* Waits for the next request. */
void zk_httpd_conn_idle(struct zk_httpd_conn *c);
/* Takes steps, writes, and ends what is over. */
void zk_httpd_conn_run(struct zk_httpd_conn *c);
/* Runs it at the end of this turn. */
void zk_httpd_conn_dirty(struct zk_httpd_conn *c);
/* Gives the kernel all it takes. */
void zk_httpd_conn_flush(struct zk_httpd_conn *c);
/* Cuts the connection; its request is gone, its stream is told. */
void zk_httpd_conn_abort(struct zk_httpd_conn *c);
/* The same for a socket that was taken out: nobody is told. */
void zk_httpd_conn_detach(struct zk_httpd_conn *c);
void zk_httpd_conn_expired(struct zk_httpd_conn *c, int64_t now_ms);
/* True when bytes wait in the kernel that were not read yet. */
bool zk_httpd_conn_has_input(const struct zk_httpd_conn *c);
/* Bytes of answers that the kernel did not take yet. */
size_t zk_httpd_conn_unsent(const struct zk_httpd_conn *c);
int zk_httpd_conn_fd(const struct zk_httpd_conn *c);
/* Frees it when nothing refers to it any more. */
void zk_httpd_conn_release(struct zk_httpd_conn *c);

/* Gives an empty buffer a chunk; takes a buffer's memory back, wiped. */
void zk_httpd_chunk_get(struct zk_httpd *s, struct zk_buf *b);
void zk_httpd_chunk_put(struct zk_httpd *s, struct zk_buf *b);

/* Takes `from` bytes away in front of the input, wiped; nobody may have slices of it. */
void zk_httpd_in_shift(struct zk_httpd_conn *c, size_t from);
/* Makes room behind the input. A request that is being read has no slices yet; for others nothing
 * moves. */
void zk_httpd_in_reserve(struct zk_httpd_conn *c);

/* ------------------------------------------------------------------ requests */

#define ZK_HTTPD_SMALL 256

struct zk_httpd_req {
	struct zk_httpd_conn *conn;
	struct zk_httpd_req *next; /* in the free list */
	struct zk_http1 parser;
	struct zk_http1_limits limits; /* as they were when the request began */
	struct zk_http1_chunks chunks;
	const struct zk_route *route;
	zk_str params[ZK_HTTPD_MAX_PARAMS];
	zk_str path, query, body;
	int64_t start_us;
	size_t head_end; /* in conn->in */
	int status;      /* of the answer, 0 = none yet */
	bool counted;    /* in zk_httpd_in_progress */
	bool seen;       /* a hook or handler knows it: on_finish is due */
	bool owed;       /* the handler owes the answer */
	bool in_handler;
	bool proceed;   /* zk_httpd_continue() came before WAIT was returned */
	bool body_done; /* nothing of the body is left to read */
	bool gone;
	bool answered;
	struct zk_buf decoded; /* of percent-encoded paths */
	struct zk_arena arena; /* zk_httpd_keep() beyond `small` */
	size_t small_n;
	char small[ZK_HTTPD_SMALL];
	alignas(max_align_t) char user[ZK_HTTPD_USER_BYTES];
	struct zk_http1_head head;
};

/* One step of the connection's request; false when there is none to take now. */
bool zk_httpd_req_step(struct zk_httpd_conn *c);
/* The server itself answers; `close` = no more requests on this connection. */
void zk_httpd_req_fail(struct zk_httpd_conn *c, int status, const char *detail,
                       const char *allow, bool close);
/* 408: the time is over. */
void zk_httpd_req_head_late(struct zk_httpd_conn *c);
void zk_httpd_req_body_late(struct zk_httpd_conn *c);
/* True when a connection that is over a limit can be told so: over TLS after the handshake. */
bool zk_httpd_req_is_refusable(const struct zk_httpd_conn *c);
/* The answer went out or was given up: tells the owner and frees the request. */
void zk_httpd_req_finish(struct zk_httpd_conn *c);
/* After the connection was cut: frees the request unless somebody still has it. */
void zk_httpd_req_abandon(struct zk_httpd_conn *c);
/* The server goes: a request that waits is reported to on_finish now, with status 0. */
void zk_httpd_req_orphan(struct zk_httpd_conn *c);
/* The client will send nothing more and owes the rest of a request, or there was none: what was
 * answered before still goes out. Always true. */
bool zk_httpd_req_input_ended(struct zk_httpd_conn *c);

/* The handler wants the body. */
void zk_httpd_body_start(struct zk_httpd_conn *c);
/* Steps of COLLECT and SKIP. */
bool zk_httpd_body_collect(struct zk_httpd_conn *c);
bool zk_httpd_body_skip(struct zk_httpd_conn *c);
/* The limit for this request. */
uint64_t zk_httpd_body_max(const struct zk_httpd_conn *c);
/* Answers 413; true. */
bool zk_httpd_body_too_large(struct zk_httpd_conn *c);
/* At the answer: consumes what is left of the body, or notes how much to skip; false when the
 * connection cannot be used after this answer. */
bool zk_httpd_body_forget(struct zk_httpd_conn *c);
/* Gives back the memory of the body. */
void zk_httpd_body_drop(struct zk_httpd_conn *c);

/* ------------------------------------------------------------------ answers */

/* The default of on_error. */
void zk_httpd_reply_error(struct zk_httpd_req *r, int status, const char *detail,
                          const char *allow);
/* Writes status line, headers and what stands between them and the body. `length` < 0 = chunked,
 * or until the end for HTTP/1.0. */
void zk_httpd_reply_head(struct zk_httpd_conn *c, int status, zk_str headers,
                         int64_t length, size_t extra);
/* Books the answer: the connection turns to ANSWERED, or the request ends when it is gone. */
void zk_httpd_reply_booked(struct zk_httpd_req *r, int status);

/* ------------------------------------------------------------------ streams */

struct zk_httpd_stream {
	struct zk_httpd_conn *conn;
	void (*on_close)(void *ctx);
	void (*on_drain)(void *ctx);
	void *ctx;
	bool chunked;
	bool above; /* more than half of max_out waited */
	bool slow;  /* more than max_out: to be closed */
};

/* Tells the owner and forgets it. */
void zk_httpd_stream_close(struct zk_httpd_conn *c);
/* After bytes went out. */
void zk_httpd_stream_sent(struct zk_httpd_conn *c);

/* ------------------------------------------------------------------ server */

struct zk_httpd {
	struct zk_loop *loop;
	struct zk_httpd_conf conf;
	struct zk_httpd_router *router;
	struct zk_tls_server *tls; /* NULL = plain */
	struct zk_list listeners;
	struct zk_list conns, dirty;
	unsigned n_conns;   /* open ones */
	unsigned n_refused; /* of them: over a limit */
	unsigned n_live;    /* with those closed whose request somebody still has */
	unsigned in_progress;
	unsigned n_handles; /* of listeners, not closed yet */
	uint64_t body_bytes;
	struct zk_map peers;
	struct zk_httpd_wheel wheel;
	struct zk_httpd_req *free_reqs;
	unsigned n_free_reqs;
	void *free_chunks;
	unsigned n_free_chunks;
	char *scratch;
	int64_t date_s; /* second of the loop's clock that `date` is for */
	char date[32];  /* "Sun, 06 Nov 1994 08:49:37 GMT" */
	bool draining, freed;
	bool deferred; /* run_dirty comes at the end of this turn */
	bool held;     /* run_dirty is below us */
	void (*drained)(void *ctx);
	void *drained_ctx;
};

/* Runs the dirty connections at the end of this turn. */
void zk_httpd_defer(struct zk_httpd *s);
/* A connection or listener is gone: calls `drained`, frees the server after zk_httpd_free. */
void zk_httpd_check_end(struct zk_httpd *s);
/* Takes what waits in the backlogs; closing the listeners would reset it. */
void zk_httpd_listeners_empty(struct zk_httpd *s);
void zk_httpd_listeners_close(struct zk_httpd *s);

#endif
