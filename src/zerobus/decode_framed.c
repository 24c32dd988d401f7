/* Framed messages of a stream as JSON.
 * Layer: zerobus. specs/zerobus.md §5.4, §15. */
#include <stdlib.h>

#include "base/mem.h"
#include "codec/jscan.h"
#include "codec/jwrite.h"
#include "codec/pb.h"
#include "zerobus/decode.h"
#include "zerobus/schema.h"

#include "base/ban.h"

struct zk_zb_framed {
	const struct zk_zb_schema *given;
	struct zk_zb_schema *own; /* of the last create message */
};

struct zk_zb_framed *zk_zb_framed_new(const struct zk_zb_schema *s)
{
	struct zk_zb_framed *f = zk_new0(struct zk_zb_framed);

	f->given = s;
	return f;
}

void zk_zb_framed_free(struct zk_zb_framed *f)
{
	if (!f)
		return;
	zk_zb_schema_free(f->own);
	free(f);
}

/* The fields 1 to 4 of a message, the last of each. */
struct parts {
	struct zk_pb_item at[5];
	bool has[5];
};

static int split(zk_str bytes, struct parts *p, struct zk_error *err)
{
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r;

	*p = (struct parts){ 0 };
	zk_pb_in_init(&in, bytes);
	while ((r = zk_pb_next(&in, &it)) > 0) {
		if (it.number > 4)
			continue;
		p->at[it.number] = it;
		p->has[it.number] = true;
	}
	return r < 0 ? zk_fail(err, ZK_E_DATA, "the message is not valid protobuf: %s",
	                       in.what)
	             : 0;
}

static void put_base64(struct zk_jwrite *w, zk_str bytes)
{
	struct zk_buf b;

	zk_buf_init(&b, bytes.n * 2 + 8);
	zk_buf_base64(&b, bytes, /* url */ false, /* pad */ true);
	zk_jw_str(w, zk_buf_str(&b));
	zk_buf_done(&b);
}

static void put_type(struct zk_jwrite *w, const char *type)
{
	zk_jw_key(w, "type");
	zk_jw_cstr(w, type);
}

static void put_offset(struct zk_jwrite *w, const char *name, const struct parts *p)
{
	if (!p->has[1])
		return;
	zk_jw_key(w, name);
	zk_jw_i64(w, (int64_t)p->at[1].v);
}

static int put_create(struct zk_zb_framed *f, struct zk_jwrite *w, const struct parts *p,
                      struct zk_error *err)
{
	static const char *const types[] = { "UNSPECIFIED", "PROTO", "JSON", "3",
		                             "AVRO" };
	struct zk_zb_schema_conf conf = { .message = "" };

	put_type(w, "create_stream");
	zk_jw_key(w, "table_name");
	zk_jw_str(w, p->at[1].bytes);
	if (p->has[4]) {
		zk_jw_key(w, "record_type");
		if (p->at[4].v < ZK_ARRAY_LEN(types))
			zk_jw_cstr(w, types[p->at[4].v]);
		else
			zk_jw_u64(w, p->at[4].v);
	}
	if (!p->has[3])
		return 0;
	zk_jw_key(w, "descriptor_proto");
	put_base64(w, p->at[3].bytes);
	zk_zb_schema_free(f->own);
	f->own = NULL;
	return zk_zb_schema_of_descriptor(p->at[3].bytes, &conf, &f->own, err);
}

static int put_record(struct zk_zb_framed *f, struct zk_jwrite *w, zk_str bytes,
                      bool json, struct zk_error *err)
{
	const struct zk_zb_schema *s = f->own ? f->own : f->given;
	struct zk_jscan js;
	struct zk_buf b;
	int r = 0;

	if (json) {
		if (zk_jscan(bytes, ZK_JSCAN_DEPTH_MAX, NULL, 0, &js) == 0)
			zk_jw_raw(w, js.top.raw);
		else
			zk_jw_str(w, bytes);
		return 0;
	}
	zk_buf_init(&b, (size_t)256 << 20);
	r = zk_zb_decode_row(s, bytes, /* strict */ true, &b, err);
	if (r == 0)
		r = zk_buf_check(&b, err);
	if (r == 0)
		zk_jw_raw(w, zk_buf_str(&b));
	zk_buf_done(&b);
	return r;
}

static int put_batch(struct zk_zb_framed *f, struct zk_jwrite *w, const struct parts *p,
                     struct zk_error *err)
{
	bool json = p->has[3];
	struct zk_pb_in in;
	struct zk_pb_item it;
	int r = 0, got;

	put_type(w, "ingest_record_batch");
	put_offset(w, "offset_id", p);
	zk_jw_key(w, "records");
	zk_jw_arr(w);
	zk_pb_in_init(&in, p->at[json ? 3 : 2].bytes);
	while (r == 0 && (got = zk_pb_next(&in, &it)) != 0) {
		if (got < 0)
			return zk_fail(err, ZK_E_DATA,
			               "the batch is not valid protobuf: %s", in.what);
		if (it.number == 1 && it.wire == ZK_PB_LEN)
			r = put_record(f, w, it.bytes, json, err);
	}
	zk_jw_arr_end(w);
	return r;
}

static int put_close(struct zk_jwrite *w, const struct parts *p, struct zk_error *err)
{
	struct parts d;

	put_type(w, "close_stream_signal");
	if (!p->has[1])
		return 0;
	if (split(p->at[1].bytes, &d, err) < 0)
		return -(int)err->code;
	zk_jw_key(w, "seconds");
	zk_jw_i64(w, (int64_t)d.at[1].v);
	zk_jw_key(w, "nanos");
	zk_jw_i64(w, (int32_t)d.at[2].v);
	return 0;
}

/* Requests and responses use the same numbers; what is inside tells them apart. */
static int put_message(struct zk_zb_framed *f, struct zk_jwrite *w, uint32_t number,
                       const struct parts *p, struct zk_error *err)
{
	if (number == 1) {
		if (p->has[3] || p->has[4])
			return put_create(f, w, p, err);
		put_type(w, "create_stream_response");
		zk_jw_key(w, "stream_id");
		zk_jw_str(w, p->at[1].bytes);
		return 0;
	}
	if (number == 2 && (p->has[2] || p->has[3])) {
		put_type(w, "ingest_record");
		put_offset(w, "offset_id", p);
		zk_jw_key(w, "record");
		return put_record(f, w, p->at[p->has[3] ? 3 : 2].bytes, p->has[3], err);
	}
	if (number == 2) {
		put_type(w, "ingest_record_response");
		put_offset(w, "durability_ack_up_to_offset", p);
		return 0;
	}
	if (p->has[2] || p->has[3])
		return put_batch(f, w, p, err);
	return put_close(w, p, err);
}

int zk_zb_framed_message(struct zk_zb_framed *f, zk_str message, struct zk_buf *json,
                         struct zk_error *err)
{
	struct zk_jwrite w;
	struct parts outer, inner;
	int r = 0;

	zk_jwrite_init(&w, json);
	if (split(message, &outer, err) < 0)
		return -(int)err->code;
	zk_jw_obj(&w);
	for (uint32_t n = 1; n <= 4; n++) {
		if (!outer.has[n])
			continue;
		if (n == 4 || outer.at[n].wire != ZK_PB_LEN) {
			zk_jw_key(&w, "type");
			zk_jw_cstr(&w, "unknown");
			break;
		}
		if (split(outer.at[n].bytes, &inner, err) < 0)
			return -(int)err->code;
		r = put_message(f, &w, n, &inner, err);
		break;
	}
	zk_jw_obj_end(&w);
	return r;
}
