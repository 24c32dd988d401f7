/* What the files of the worker share.
 * Layer: procwire, private. */
#ifndef ZK_PROCWIRE_WORKER_INT_H
#define ZK_PROCWIRE_WORKER_INT_H

#include "base/list.h"
#include "net/uds.h"
#include "procwire/conn.h"
#include "procwire/control.h"
#include "procwire/worker.h"

struct zk_input;
struct zk_poll;
struct zk_timer;

#define ZK_PW_PENDING_MAX 8
#define ZK_PW_TOKEN_MAX   256
/* Marks of what waits for the parent (specs/procwire.md §11). */
#define ZK_PW_TX_HIGH (1u << 20)
#define ZK_PW_TX_LOW  (256u * 1024)

struct zk_pw_req {
	struct zk_pw_worker *w;
	struct zk_list link;    /* running, or queued, or none */
	struct zk_pw_req *next; /* of the same bucket */
	const struct zk_pw_method *m;
	uint32_t id;
	bool listed;   /* in the table of ids */
	bool running;  /* counts for max_running */
	bool kept;     /* zk_pw_done is to come */
	bool answered; /* the terminal frame is queued */
	bool aborted;
	bool open;      /* its answer is given in pieces */
	zk_str payload; /* queued: owned */
	char *owned;
	void *data;
	void (*on_cancel)(void *ctx);
	void *cancel_ctx;
	void (*on_room)(void *ctx);
	void *room_ctx;
	struct zk_timer *timer;
};

/* A connection that has not authenticated. */
struct zk_pw_pending {
	struct zk_pw_worker *w;
	int fd; /* -1 = free */
	struct zk_poll *poll;
	struct zk_timer *deadline;
	size_t n;
	char bytes[ZK_PW_HEADER + ZK_PW_TOKEN_MAX];
};

enum zk_pw_state { ZK_PW_STARTING, ZK_PW_LISTENING, ZK_PW_ADOPTED, ZK_PW_CLOSING };

struct zk_pw_worker {
	struct zk_pw_worker_conf conf;
	struct zk_loop *loop;
	struct zk_pw_table table;
	enum zk_pw_state state;
	char token[ZK_PW_TOKEN_MAX];
	size_t token_n; /* 0 = none */

	/* control */
	struct zk_input *in;
	struct zk_pw_lines lines;
	struct zk_poll *out_poll;
	struct zk_buf out;
	int out_flags; /* to be restored */

	/* data */
	struct zk_uds uds;
	struct zk_poll *listen_poll;
	struct zk_pw_pending pending[ZK_PW_PENDING_MAX];
	size_t next_pending; /* where the oldest one is when all are taken */
	struct zk_pw_conn *conn;

	/* requests */
	struct zk_list running; /* all that are not over, also aborted ones */
	struct zk_list queue;
	size_t n_running, n_queued, queued_bytes;
	struct zk_pw_req **ids; /* table of those that can be aborted */
	size_t n_ids, room_ids;
	struct zk_pw_req *piecer; /* gets the pieces that come */
	bool skipped;             /* … which nobody reads */
	struct zk_pw_header skipped_header;
	struct zk_pw_req *spare;
	bool turn_queued; /* run_queue is deferred */

	/* end */
	enum zk_pw_reason reason;
	struct zk_error error;
	struct zk_timer *stop_timer;
	bool freed, stopped;
	struct zk_pw_worker_stats stats;
};

/* adopt.c */
int zk_pw_listen(struct zk_pw_worker *w, struct zk_error *err) ZK_MUST_USE;
void zk_pw_unlisten(struct zk_pw_worker *w);
void zk_pw_adopt(struct zk_pw_worker *w, int fd);

/* stdio.c */
int zk_pw_control_start(struct zk_pw_worker *w, struct zk_error *err) ZK_MUST_USE;
void zk_pw_control_stop(struct zk_pw_worker *w);
/* Queues one line; false when too much waits and it was dropped. */
bool zk_pw_control_send(struct zk_pw_worker *w, zk_str line);

/* dispatch.c */
void zk_pw_on_frame(void *ctx, const struct zk_pw_header *h, zk_str payload);
bool zk_pw_on_begin(void *ctx, const struct zk_pw_header *h);
void zk_pw_on_piece(void *ctx, zk_str piece, bool last);
void zk_pw_on_room(void *ctx);
void zk_pw_abort_all(struct zk_pw_worker *w);
/* Nothing runs any more while the worker closes. */
void zk_pw_dispatch_done(struct zk_pw_worker *w);

/* req.c */
struct zk_pw_req *zk_pw_req_new(struct zk_pw_worker *w, const struct zk_pw_method *m,
                                uint32_t id);
void zk_pw_req_list(struct zk_pw_req *req);   /* can be found by its id from now on */
void zk_pw_req_unlist(struct zk_pw_req *req); /* … no more */
struct zk_pw_req *zk_pw_req_find(const struct zk_pw_worker *w, uint32_t id);
void zk_pw_req_abort(struct zk_pw_req *req);
/* It is over: frees it. */
void zk_pw_req_over(struct zk_pw_req *req);
/* Called when one ended: starts what waits, ends the stop. */
void zk_pw_req_ended(struct zk_pw_worker *w);
void zk_pw_send_error(struct zk_pw_worker *w, const struct zk_pw_header *h,
                      const struct zk_pw_method *m, const char *message, int code);

#endif
