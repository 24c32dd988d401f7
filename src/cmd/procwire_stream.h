/* A call that is answered with chunks until it is over or aborted.
 * Layer: cmd, private. Loop thread only. specs/cli.md §Procwire. */
#ifndef ZK_CMD_PROCWIRE_STREAM_H
#define ZK_CMD_PROCWIRE_STREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "procwire/worker.h"

struct zk_loop;

/* First member of what a verb keeps for a call. */
struct procwire_stream {
	struct zk_pw_req *req; /* NULL: it is over, and freed in the next turn */
	struct zk_loop *loop;
	void (*free)(void *call);
	void (*room)(void *call); /* after a chunk that was the last for now */
};

/* What `request` returns when the call has begun. */
enum zk_pw_then procwire_stream_keep(struct procwire_stream *s, struct zk_pw_req *req);
/* Nothing more comes, because of `err` unless that is NULL or without a code. Also from a callback
 * of what feeds the call; nothing happens when it is over already. */
void procwire_stream_end(struct procwire_stream *s, const struct zk_error *err);
/* One chunk, whose bytes are taken over; or from JSON, in the form of the method: what cannot be
 * had in that form is told and left out. False = the last for now, until `room`. */
bool procwire_stream_send(struct procwire_stream *s, struct zk_buf *chunk);
bool procwire_stream_json(struct procwire_stream *s, zk_str json);
/* The chunks are JSON as it is. */
bool procwire_stream_is_raw(const struct procwire_stream *s);
/* The `drop` of the verb's handler. */
void procwire_stream_drop(struct zk_pw_req *req);

#endif
