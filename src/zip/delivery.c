/* What a Zeal server posts to a webhook.
 * Layer: zip. */
#include "zip/delivery.h"

#include "base/buf.h"

#include "base/ban.h"

#define MAX_DEPTH 256
#define SIGNATURE (7 + 2 * ZK_SHA256_SIZE)

static bool is_type(const struct zk_jval *v)
{
	return v->type == ZK_J_STRING && v->raw.n > 2;
}

bool zk_zip_event_read(zk_str json, struct zk_zip_event *ev)
{
	static const struct {
		zk_str name;
		size_t off;
	} fields[] = {
		{ ZK_STR_INIT("id"), offsetof(struct zk_zip_event, id) },
		{ ZK_STR_INIT("type"), offsetof(struct zk_zip_event, type) },
		{ ZK_STR_INIT("workflowId"), offsetof(struct zk_zip_event, workflow) },
		{ ZK_STR_INIT("nodeId"), offsetof(struct zk_zip_event, node) },
		{ ZK_STR_INIT("sessionId"), offsetof(struct zk_zip_event, session) },
	};
	struct zk_jiter it;
	struct zk_jval val;
	zk_str key;

	*ev = (struct zk_zip_event){ .json = json };
	if (!json.n || json.p[0] != '{')
		return false;
	zk_jiter_init(&it, json);
	while (zk_jiter_member(&it, &key, &val))
		for (size_t i = 0; i < ZK_ARRAY_LEN(fields); i++)
			if (zk_jstr_eq(key, fields[i].name))
				*(struct zk_jval *)(void *)((char *)ev + fields[i].off) =
				        val;
	return is_type(&ev->type);
}

int zk_zip_delivery_open(zk_str body, struct zk_zip_delivery *d, struct zk_error *err)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("events") },
		                   { .name = ZK_STR_INIT("type") } };
	struct zk_jscan js;

	*d = (struct zk_zip_delivery){ 0 };
	if (zk_jscan(body, MAX_DEPTH, want, ZK_ARRAY_LEN(want), &js) < 0) {
		(void)zk_jscan_fail(&js, err);
		err->code = ZK_E_DATA;
		return zk_wrap(err, "the body of the delivery");
	}
	if (want[0].val.type == ZK_J_ARRAY)
		zk_jiter_init(&d->it, want[0].val.raw);
	else if (is_type(&want[1].val))
		d->single = js.top.raw;
	else
		return zk_fail(err, ZK_E_DATA,
		               "the delivery has neither a list 'events' nor the type of "
		               "an event");
	return 0;
}

bool zk_zip_delivery_next(struct zk_zip_delivery *d, struct zk_zip_event *ev)
{
	struct zk_jval val;

	if (d->single.n) {
		zk_str json = d->single;

		d->single = ZK_STR_NULL;
		return zk_zip_event_read(json, ev);
	}
	if (!d->it.p)
		return false;
	while (zk_jiter_element(&d->it, &val)) {
		if (zk_zip_event_read(val.raw, ev))
			return true;
		d->skipped++;
	}
	return false;
}

zk_str zk_zip_event_text(const struct zk_jval *v, struct zk_buf *room)
{
	struct zk_error ignored;
	zk_str plain;

	zk_buf_clear(room);
	if (v->type != ZK_J_STRING)
		return ZK_STR_NULL;
	if (zk_jstr_plain(v->raw, &plain))
		return plain;
	if (zk_jstr_decode(v->raw, ZK_JLONE_REPLACE, room, &ignored) < 0 || room->failed)
		return ZK_STR_NULL;
	return zk_buf_str(room);
}

void zk_zip_signature(const struct zk_hmac_key *key, zk_str body, struct zk_buf *b)
{
	uint8_t mac[ZK_SHA256_SIZE];

	zk_hmac_sha256(key, body, mac);
	zk_buf_lit(b, "sha256=");
	zk_hex_encode(zk_str_n((char *)mac, sizeof(mac)), b);
}

bool zk_zip_signature_ok(const struct zk_hmac_key *key, zk_str header, zk_str body)
{
	struct zk_buf want ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&want, 128);
	zk_zip_signature(key, body, &want);
	return header.n == SIGNATURE && zk_equal_ct(header.p, want.p, SIGNATURE);
}
