/* Messages of the Zerobus protocol.
 * Layer: zerobus. specs/zerobus.md §5. */
#include "zerobus/proto.h"

#include <string.h>

#include "base/buf.h"
#include "codec/pb.h"
#include "net/grpc.h"
#include "zerobus/request.h"

#include "base/ban.h"

/* Members of the two outer messages. */
enum { REQ_CREATE = 1, REQ_RECORD = 2, REQ_BATCH = 3 };
enum { RES_CREATED = 1, RES_INGEST = 2, RES_CLOSE = 3 };
enum { CREATE_TABLE = 1, CREATE_DESCRIPTOR = 3, CREATE_TYPE = 4 };
enum { INGEST_OFFSET = 1, INGEST_PROTO = 2, INGEST_JSON = 3 };

/* Bytes that offsets below 2^35 take; more requests than that no stream sees. */
#define OFFSET_SIZE 5

static size_t open_frame(struct zk_buf *b)
{
	size_t at = b->n;

	zk_buf_put(b, "\0\0\0\0\0", ZK_GRPC_HEAD);
	return at;
}

static void close_frame(struct zk_buf *b, size_t at)
{
	if (!b->failed)
		zk_grpc_put_head(b->p + at, (uint32_t)(b->n - at - ZK_GRPC_HEAD));
}

void zk_zb_put_create(struct zk_buf *b, zk_str table, const struct zk_zb_kind *kind)
{
	size_t frame = open_frame(b), mark = zk_pb_put_open(b, REQ_CREATE);

	zk_pb_put_bytes(b, CREATE_TABLE, table);
	if (kind->type == ZK_ZB_PROTO)
		zk_pb_put_bytes(b, CREATE_DESCRIPTOR, kind->descriptor);
	zk_pb_put_int(b, CREATE_TYPE, (int64_t)kind->type);
	zk_pb_put_close(b, mark);
	close_frame(b, frame);
}

/* ---- requests ---- */

zk_str zk_zb_request_body(const struct zk_zb_request *r)
{
	/* A single record has its own tag in the head. */
	return r->single ? zk_str_n(r->bytes + 1, r->n - 1) : zk_str_n(r->bytes, r->n);
}

size_t zk_zb_request_head(const struct zk_zb_request *r, int64_t offset,
                          char out[ZK_ZB_HEAD_MAX])
{
	uint32_t rows = r->kind->type == ZK_ZB_PROTO ? INGEST_PROTO : INGEST_JSON;
	zk_str body = zk_zb_request_body(r);
	size_t inner = 1 + zk_pb_varint_size((uint64_t)offset) + 1 + body.n;
	char *p = out + ZK_GRPC_HEAD;

	if (!r->single)
		inner += zk_pb_varint_size(body.n);
	*p++ = (char)zk_pb_tag(r->single ? REQ_RECORD : REQ_BATCH, ZK_PB_LEN);
	p = zk_pb_write_varint(p, inner);
	*p++ = (char)zk_pb_tag(INGEST_OFFSET, ZK_PB_VARINT);
	p = zk_pb_write_varint(p, (uint64_t)offset);
	*p++ = (char)zk_pb_tag(rows, ZK_PB_LEN);
	if (!r->single)
		p = zk_pb_write_varint(p, body.n);
	zk_grpc_put_head(out, (uint32_t)((size_t)(p - out) - ZK_GRPC_HEAD + body.n));
	return (size_t)(p - out);
}

size_t zk_zb_row_size(size_t n)
{
	return 1 + zk_pb_varint_size(n) + n;
}

size_t zk_zb_message_size(size_t n)
{
	size_t inner = 1 + OFFSET_SIZE + 1 + zk_pb_varint_size(n) + n;

	return 1 + zk_pb_varint_size(inner) + inner;
}

/* ---- answers ---- */

static int broken(struct zk_error *err, const char *what)
{
	return zk_fail(err, ZK_E_ZB_PROTOCOL, "the service sent a malformed message: %s",
	               what);
}

static int parse_created(zk_str bytes, struct zk_zb_answer *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0)
		if (it.number == 1 && it.wire == ZK_PB_LEN)
			ret->stream_id = it.bytes;
	if (r < 0)
		return broken(err, in.what);
	return zk_utf8_valid(ret->stream_id) ? 0 : broken(err, "the id is not UTF-8");
}

static int parse_ack(zk_str bytes, struct zk_zb_answer *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0)
		if (it.number == 1 && it.wire == ZK_PB_VARINT) {
			ret->has_acked = true;
			ret->acked = (int64_t)it.v;
		}
	return r < 0 ? broken(err, in.what) : 0;
}

static int parse_duration(zk_str bytes, struct zk_zb_answer *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int64_t s = 0, ns = 0;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0)
		if (it.number <= 2 && it.wire == ZK_PB_VARINT)
			*(it.number == 1 ? &s : &ns) = (int64_t)it.v;
	if (r < 0)
		return broken(err, in.what);
	if (s < 0 || ns < 0 || s > 86400)
		s = s < 0 || ns < 0 ? 0 : 86400;
	ret->duration_ms = s * 1000 + (ns > 0 && ns < 1000000000 ? ns / 1000000 : 0);
	return 0;
}

static int parse_close(zk_str bytes, struct zk_zb_answer *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	ret->duration_ms = -1;
	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0)
		if (it.number == 1 && it.wire == ZK_PB_LEN &&
		    parse_duration(it.bytes, ret, err) < 0)
			return -(int)err->code;
	return r < 0 ? broken(err, in.what) : 0;
}

int zk_zb_answer_parse(zk_str message, struct zk_zb_answer *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	zk_str body = ZK_STR_NULL;
	uint32_t which = 0;
	int r;

	*ret = (struct zk_zb_answer){ 0 };
	zk_pb_in_init(&in, message);
	while ((r = zk_pb_next(&in, &it)) > 0)
		if (it.number <= RES_CLOSE && it.wire == ZK_PB_LEN) {
			which = it.number; /* the last member of a oneof counts */
			body = it.bytes;
		}
	if (r < 0)
		return broken(err, in.what);
	switch (which) {
	case RES_CREATED:
		ret->what = ZK_ZB_SAYS_CREATED;
		return parse_created(body, ret, err);
	case RES_INGEST:
		ret->what = ZK_ZB_SAYS_ACK;
		return parse_ack(body, ret, err);
	case RES_CLOSE:
		ret->what = ZK_ZB_SAYS_CLOSE;
		return parse_close(body, ret, err);
	default:
		return 0;
	}
}

/* ---- the stand-in's side ---- */

static int parse_create(zk_str bytes, struct zk_zb_ask *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number == CREATE_TABLE && it.wire == ZK_PB_LEN)
			ret->table = it.bytes;
		if (it.number == CREATE_DESCRIPTOR && it.wire == ZK_PB_LEN) {
			ret->descriptor = it.bytes;
			ret->has_descriptor = true;
		}
		if (it.number == CREATE_TYPE && it.wire == ZK_PB_VARINT)
			ret->record_type = it.v;
	}
	return r < 0 ? broken(err, in.what) : 0;
}

static int parse_ingest(zk_str bytes, struct zk_zb_ask *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number == INGEST_OFFSET && it.wire == ZK_PB_VARINT) {
			ret->has_offset = true;
			ret->offset = (int64_t)it.v;
		}
		if ((it.number == INGEST_PROTO || it.number == INGEST_JSON) &&
		    it.wire == ZK_PB_LEN) {
			ret->type = it.number == INGEST_PROTO ? ZK_ZB_PROTO : ZK_ZB_JSON;
			ret->records = it.bytes;
		}
	}
	return r < 0 ? broken(err, in.what) : 0;
}

int zk_zb_ask_parse(zk_str message, struct zk_zb_ask *ret, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	*ret = (struct zk_zb_ask){ 0 };
	zk_pb_in_init(&in, message);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.wire != ZK_PB_LEN)
			continue;
		if (it.number == REQ_CREATE) {
			ret->what = ZK_ZB_ASKS_CREATE;
			r = parse_create(it.bytes, ret, err);
		} else if (it.number == REQ_RECORD || it.number == REQ_BATCH) {
			ret->what = ZK_ZB_ASKS_INGEST;
			ret->batch = it.number == REQ_BATCH;
			r = parse_ingest(it.bytes, ret, err);
		}
		if (r < 0)
			return r;
	}
	return r < 0 ? broken(err, in.what) : 0;
}

int zk_zb_ask_next(const struct zk_zb_ask *a, size_t *at, zk_str *ret,
                   struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	if (!a->batch) {
		*ret = a->records;
		return a->type && (*at)++ == 0;
	}
	zk_pb_in_init(&in, zk_str_from(a->records, *at));
	while ((r = zk_pb_next(&in, &it)) > 0 && (it.number != 1 || it.wire != ZK_PB_LEN))
		;
	if (r < 0)
		return broken(err, in.what);
	if (r == 0)
		return 0;
	*at = (size_t)(in.p - a->records.p);
	*ret = it.bytes;
	return 1;
}

void zk_zb_put_created(struct zk_buf *b, zk_str stream_id)
{
	size_t frame = open_frame(b), mark = zk_pb_put_open(b, RES_CREATED);

	zk_pb_put_bytes(b, 1, stream_id);
	zk_pb_put_close(b, mark);
	close_frame(b, frame);
}

void zk_zb_put_ack(struct zk_buf *b, int64_t acked)
{
	size_t frame = open_frame(b), mark = zk_pb_put_open(b, RES_INGEST);

	zk_pb_put_int(b, 1, acked);
	zk_pb_put_close(b, mark);
	close_frame(b, frame);
}

void zk_zb_put_close(struct zk_buf *b, int64_t duration_ms)
{
	size_t frame = open_frame(b), mark = zk_pb_put_open(b, RES_CLOSE);

	if (duration_ms >= 0) {
		size_t inner = zk_pb_put_open(b, 1);

		zk_pb_put_int(b, 1, duration_ms / 1000);
		zk_pb_put_int(b, 2, duration_ms % 1000 * 1000000);
		zk_pb_put_close(b, inner);
	}
	zk_pb_put_close(b, mark);
	close_frame(b, frame);
}
