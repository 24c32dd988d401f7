/* Messages of the Zerobus protocol (specs/zerobus.md §5.3, §5.4).
 * Layer: zerobus. Pure functions; any thread. */
#ifndef ZK_ZEROBUS_PROTO_H
#define ZK_ZEROBUS_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "zerobus/rows.h"

struct zk_buf;
struct zk_zb_request;

#define ZK_ZB_METHOD "/databricks.zerobus.Zerobus/EphemeralStream"

/* Limits of the service, known from documents only (§13, §22). */
#define ZK_ZB_MAX_MESSAGE 10485760
#define ZK_ZB_MAX_COLUMNS 2000
#define ZK_ZB_OLD_MAX_RECORD \
	4000000 /* above it a message may be too large for some servers */
#define ZK_ZB_PIPELINE_TEXT "6006" /* in grpc-message: no new pipelines for a while */

/* Appends the framed first message of a stream. */
void zk_zb_put_create(struct zk_buf *b, zk_str table, const struct zk_zb_kind *kind);

/* Everything of a request's message before its rows: gRPC prefix, tags, lengths, offset. */
#define ZK_ZB_HEAD_MAX 48
size_t zk_zb_request_head(const struct zk_zb_request *r, int64_t offset,
                          char out[ZK_ZB_HEAD_MAX]);
/* The rows as they follow the head. */
zk_str zk_zb_request_body(const struct zk_zb_request *r);
/* Size of the message without the gRPC prefix, for any offset that a stream can reach, of a
 * request whose rows take `n` bytes (tags and lengths included). */
size_t zk_zb_message_size(size_t n);
/* What a row of `n` bytes takes in a request. */
size_t zk_zb_row_size(size_t n);

enum zk_zb_says {
	ZK_ZB_SAYS_NOTHING, /* something that a newer server may say: skip */
	ZK_ZB_SAYS_CREATED,
	ZK_ZB_SAYS_ACK,
	ZK_ZB_SAYS_CLOSE,
};

struct zk_zb_answer {
	enum zk_zb_says what;
	zk_str stream_id;    /* CREATED; borrowed */
	int64_t acked;       /* ACK */
	bool has_acked;      /* the number was there */
	int64_t duration_ms; /* CLOSE; -1 = not said */
};

/* Decodes a message of the service: 0, or -ZK_E_ZB_PROTOCOL. */
int zk_zb_answer_parse(zk_str message, struct zk_zb_answer *ret,
                       struct zk_error *err) ZK_MUST_USE;

/* ---- the other side, for the stand-in ---- */

enum zk_zb_asks { ZK_ZB_ASKS_NOTHING, ZK_ZB_ASKS_CREATE, ZK_ZB_ASKS_INGEST };

struct zk_zb_ask {
	enum zk_zb_asks what;
	zk_str table, descriptor; /* CREATE */
	bool has_descriptor;
	uint64_t record_type;
	bool has_offset, batch; /* INGEST */
	int64_t offset;
	enum zk_zb_record_type type; /* of the rows; 0 = none were there */
	zk_str records;              /* a batch's message, or the one row */
};

int zk_zb_ask_parse(zk_str message, struct zk_zb_ask *ret,
                    struct zk_error *err) ZK_MUST_USE;
/* The rows of an ingest message, one after the other; `*at` begins at 0. 1, 0 at the end, or a
 * negative code. */
int zk_zb_ask_next(const struct zk_zb_ask *a, size_t *at, zk_str *ret,
                   struct zk_error *err) ZK_MUST_USE;
/* Framed answers. */
void zk_zb_put_created(struct zk_buf *b, zk_str stream_id);
void zk_zb_put_ack(struct zk_buf *b, int64_t acked);
void zk_zb_put_close(struct zk_buf *b, int64_t duration_ms);

#endif
