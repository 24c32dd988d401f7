/* Binary frames of streams.
 * Layer: zip. */
#include "zip/frame.h"

#include "codec/jscan.h"
#include "codec/le.h"

#include "base/ban.h"

#define DEPTH_MAX 64

int zk_zip_frame_decode(zk_str bytes, struct zk_zip_frame *ret, struct zk_error *err)
{
	struct zk_jscan js;
	struct zk_zip_frame f;

	if (bytes.n < ZK_ZIP_FRAME_HEAD)
		return zk_fail(err, ZK_E_PROTOCOL, "a frame is shorter than %d bytes",
		               ZK_ZIP_FRAME_HEAD);
	if (bytes.p[0] < ZK_ZIP_FRAME_BEGIN || bytes.p[0] > ZK_ZIP_FRAME_ERROR)
		return zk_fail(err, ZK_E_PROTOCOL, "unknown frame type %u",
		               (unsigned)(unsigned char)bytes.p[0]);
	f.type = (enum zk_zip_frame_type)bytes.p[0];
	f.stream = zk_le_u64(bytes.p + 1);
	f.payload = zk_str_from(bytes, ZK_ZIP_FRAME_HEAD);
	if (f.type == ZK_ZIP_FRAME_BEGIN && f.payload.n &&
	    zk_jscan(f.payload, DEPTH_MAX, NULL, 0, &js) < 0)
		return zk_fail(err, ZK_E_PROTOCOL,
		               "a frame whose begin payload is not JSON: %s", js.what);
	if (f.type == ZK_ZIP_FRAME_ERROR && !zk_utf8_valid(f.payload))
		return zk_fail(err, ZK_E_PROTOCOL,
		               "the error payload of a frame is not UTF-8");
	*ret = f;
	return 0;
}

void zk_zip_frame_encode(const struct zk_zip_frame *f, struct zk_buf *b)
{
	char head[ZK_ZIP_FRAME_HEAD];

	head[0] = (char)f->type;
	zk_le_put64(head + 1, f->stream);
	zk_buf_put(b, head, sizeof(head));
	zk_buf_add(b, f->payload);
}
