/* What is posted to a webhook receiver: no body breaks it, every event that comes out is a typed
 * object inside the body, and a signature is right only for the body it was made of
 * (specs/zeal-zip.md §8.3, §8.4). */
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "zip/delivery.h"
#include "zip/event_type.h"

#include "base/ban.h"

static void check_event(zk_str body, const struct zk_zip_event *ev, struct zk_buf *room)
{
	const char *end = body.p + body.n;
	zk_str type;

	ZK_ASSERT(ev->json.p >= body.p && ev->json.p + ev->json.n <= end);
	ZK_ASSERT(ev->json.n && ev->json.p[0] == '{');
	ZK_ASSERT(ev->type.type == ZK_J_STRING);
	type = zk_zip_event_text(&ev->type, room);
	ZK_ASSERT(type.n || room->failed || ev->type.raw.n > 2);
	ZK_ASSERT(zk_zip_pattern_match(ZK_STR("*"), type));
	ZK_ASSERT(zk_zip_pattern_match(type, type));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	zk_str body = zk_str_n((const char *)data, size);
	struct zk_zip_delivery d;
	struct zk_zip_event ev;
	struct zk_error err = { 0 };
	struct zk_buf room;
	struct zk_hmac_key key;

	zk_buf_init(&room, 4096);
	if (zk_zip_delivery_open(body, &d, &err) == 0)
		while (zk_zip_delivery_next(&d, &ev))
			check_event(body, &ev, &room);
	else
		ZK_ASSERT(err.code == ZK_E_DATA);
	zk_hmac_key_init(&key, ZK_STR("k"));
	ZK_ASSERT(!zk_zip_signature_ok(&key, body, body) || size == 71);
	zk_buf_clear(&room);
	zk_zip_signature(&key, body, &room);
	ZK_ASSERT(zk_zip_signature_ok(&key, zk_buf_str(&room), body));
	zk_hmac_key_done(&key);
	zk_buf_done(&room);
	return 0;
}
