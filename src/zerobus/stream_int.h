/* Inside of a stream: what its parts share.
 * Layer: zerobus, private to stream*.c. */
#ifndef ZK_ZEROBUS_STREAM_INT_H
#define ZK_ZEROBUS_STREAM_INT_H

#include "zerobus/stream.h"

struct zk_zb_stream {
	struct zk_zb_stream_conf conf;
	enum zk_zb_state state;
	struct zk_zb_window w;
	int64_t state_at, ack_at,
	        flush_at; /* when their time is over; INT64_MAX = never */
	int64_t armed_at; /* of the timer */

	struct zk_buf create; /* the framed create message */
	size_t create_at;
	char id[80];
	bool created;    /* on this call */
	bool acked_here; /* on this call */
	bool finishing, half;
	int last_status;

	/* retries */
	struct zk_retry retry;
	struct zk_retry_conf retry_conf;
	unsigned failures; /* of this series */
	bool fresh_next;   /* the coming token must be a new one */
	bool fresh_tried;  /* a new one was fetched since the last progress */
	enum zk_zb_why rotation;
	unsigned drained_in_vain; /* rotations in a row without an acknowledgement */
	unsigned h2_faults;
	uint64_t again, again_sum,
	        resent; /* rows sent again: now, in this series, ever */

	/* the search for refused rows */
	size_t isolate_left; /* requests at the front that are sent alone */
	uint64_t isolate_acked, isolate_rejected;
	int64_t opened_ms;      /* the latest reopening of the search */
	unsigned full_in_a_row; /* RESOURCE_EXHAUSTED for the same first request */
	const struct zk_zb_request *full_first;
	bool by_size; /* the search looks for a message that is too large */
};

struct zk_zb_failure {
	struct zk_error err;
	enum zk_zb_why why;
	int status;          /* gRPC code, WHY_STATUS */
	int64_t pushback_ms; /* as in zk_grpc_end */
	bool no_pipelines;   /* §9.3 */
};

/* stream.c */
void zk_zb_go(struct zk_zb_stream *s, enum zk_zb_state state, int64_t limit_ms);
void zk_zb_begin(struct zk_zb_stream *s, bool fresh_token);
/* Begins again when something waits; done when nothing follows; IDLE otherwise. */
void zk_zb_rest(struct zk_zb_stream *s);
void zk_zb_die(struct zk_zb_stream *s, const struct zk_error *err, uint32_t h2_code);

/* stream_fail.c: the call is gone already. */
/* Counts a failure and waits, or dies when attempts or time are used up. */
void zk_zb_again(struct zk_zb_stream *s, const struct zk_zb_failure *f);
/* After a close signal or GOAWAY whose time is over. */
void zk_zb_rotate(struct zk_zb_stream *s);
void zk_zb_classify(struct zk_zb_stream *s, const struct zk_grpc_end *end);

#endif
