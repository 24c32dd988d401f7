/* One event as a client sends it, checked and ready for the store.
 * Layer: triggers. specs/triggers.md §5.5, §2. */
#include "triggers/api_input.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"

#include "base/ban.h"

#define MAX_NAME_CHARS 255
#define MAX_GRACE_S    86400

struct zk_trig_input *zk_trig_input_new(void)
{
	return zk_new0(struct zk_trig_input);
}

void zk_trig_input_free(struct zk_trig_input *i)
{
	if (!i)
		return;
	zk_buf_done(&i->type);
	zk_buf_done(&i->dedup);
	zk_buf_done(&i->payload);
	free(i);
}

bool zk_trig_text_ok(zk_str s, size_t max_chars)
{
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		/* C1 controls are C2 80 … C2 9F. */
		if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
			return false;
	}
	return s.n <= max_chars || zk_utf8_len(s) <= max_chars;
}

bool zk_trig_text_of(zk_str raw, struct zk_buf *b, zk_str *ret)
{
	struct zk_error err = { 0 };

	if (zk_jstr_plain(raw, ret))
		return true;
	/* Decoding never makes a string longer than its raw form. */
	zk_buf_init(b, raw.n + 4);
	if (zk_jstr_decode(raw, ZK_JLONE_ERROR, b, &err) < 0)
		return false;
	*ret = zk_buf_str(b);
	return true;
}

static void read_type(struct zk_trig_input *i, const struct zk_jval *v,
                      struct zk_trig_invalid *bad)
{
	if (v->type == ZK_J_NONE) {
		zk_trig_invalid_add(bad, "type", "is required");
		return;
	}
	if (v->type != ZK_J_STRING) {
		zk_trig_invalid_add(bad, "type", "must be a string");
		return;
	}
	if (!zk_trig_text_of(v->raw, &i->type, &i->in.type) ||
	    !zk_trig_text_ok(i->in.type, MAX_NAME_CHARS))
		zk_trig_invalid_add(
		        bad, "type",
		        "must have 1 to 255 characters and no control characters");
}

static void read_dedup(struct zk_trig_input *i, const struct zk_jval *v, zk_str fallback,
                       struct zk_trig_invalid *bad)
{
	const char *field = "dedup_id";
	zk_str id = ZK_STR_NULL;

	if (v->type == ZK_J_STRING) {
		if (!zk_trig_text_of(v->raw, &i->dedup, &id)) {
			zk_trig_invalid_add(bad, field, "is not valid text");
			return;
		}
	} else if (v->type != ZK_J_NONE && v->type != ZK_J_NULL) {
		zk_trig_invalid_add(bad, field, "must be a string or null");
		return;
	}
	if (id.n == 0 && fallback.n) {
		field = "Idempotency-Key";
		id = fallback;
		if (!zk_utf8_valid(id)) {
			zk_trig_invalid_add(bad, field, "is not valid UTF-8");
			return;
		}
	}
	if (id.n > MAX_NAME_CHARS && zk_utf8_len(id) > MAX_NAME_CHARS) {
		zk_trig_invalid_add(bad, field, "must have at most 255 characters");
		return;
	}
	i->in.dedup_id = id.n ? id : ZK_STR_NULL;
}

enum zk_trig_input_result zk_trig_input_read(struct zk_trig_input *i,
                                             const struct zk_trig_call *c, zk_str text,
                                             zk_str fallback_dedup,
                                             struct zk_trig_invalid *bad)
{
	struct zk_jwant want[] = {
		{ .name = ZK_STR_INIT("type") },
		{ .name = ZK_STR_INIT("payload") },
		{ .name = ZK_STR_INIT("data") },
		{ .name = ZK_STR_INIT("dedup_id") },
	};
	struct zk_jscan js;
	unsigned before = bad->n;

	/* The limit is meant for the payload, which stands one level inside the object. */
	if (zk_jscan(text, (unsigned)c->s->conf.max_depth + 1, want, ZK_ARRAY_LEN(want),
	             &js) < 0) {
		i->offset = js.offset;
		i->what = js.what;
		return ZK_TRIG_INPUT_JSON;
	}
	if (js.top.type != ZK_J_OBJECT) {
		zk_trig_invalid_add(bad, "", "the event must be a JSON object");
		return ZK_TRIG_INPUT_INVALID;
	}
	const struct zk_jval *payload =
	        want[1].val.type != ZK_J_NONE ? &want[1].val : &want[2].val;

	read_type(i, &want[0].val, bad);
	if (payload->type == ZK_J_NONE)
		zk_trig_invalid_add(bad, "payload", "is required");
	else if (payload->type == ZK_J_NULL)
		zk_trig_invalid_add(bad, "payload", "must not be null");
	read_dedup(i, &want[3].val, fallback_dedup, bad);
	if (bad->n != before)
		return ZK_TRIG_INPUT_INVALID;

	i->in.payload = payload->raw;
	if (payload->has_space) {
		zk_buf_init(&i->payload, payload->raw.n);
		zk_jscan_compact(payload->raw, &i->payload);
		i->in.payload = zk_buf_str(&i->payload);
	}
	i->size = i->in.payload.n;
	return i->size > c->s->conf.max_payload ? ZK_TRIG_INPUT_LARGE : ZK_TRIG_INPUT_OK;
}

void zk_trig_input_prepare(struct zk_trig_input *i, const struct zk_trig_call *c)
{
	const struct zk_trig_org *org = &c->caller->org;

	i->in.id = zk_uuid_v7();
	i->in.org = org->id;
	i->in.created_us = zk_wall_us();
	if (!org->webhook_url)
		return;
	if (!c->s->conf.deliver.enabled)
		i->in.delivered = true;
	else
		i->in.due = org->webhook_enabled && !org->webhook_disabled_reason;
}

bool zk_trig_body_object(struct zk_trig_call *c, bool optional, struct zk_jwant *want,
                         size_t n)
{
	zk_str body = zk_jscan_skip_bom(zk_httpd_body(c->req));
	struct zk_jscan js;

	if (optional && zk_str_trim(body).n == 0)
		return true;
	if (zk_jscan(body, (unsigned)c->s->conf.max_depth, want, n, &js) < 0) {
		zk_trig_fail_json(c, js.offset, body.n ? js.what : "the body is empty");
		return false;
	}
	if (js.top.type == ZK_J_OBJECT)
		return true;
	struct zk_trig_invalid bad = { 0 };

	zk_trig_invalid_add(&bad, "", "the body must be a JSON object");
	zk_trig_invalid_reply(c, &bad);
	return false;
}

bool zk_trig_read_grace(struct zk_trig_call *c, uint64_t default_s, int64_t *ret_us)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("grace_seconds") } };
	struct zk_trig_invalid bad = { 0 };
	uint64_t grace_s = default_s;

	if (!zk_trig_body_object(c, true, want, 1))
		return false;
	const struct zk_jval *v = &want[0].val;

	if (v->type != ZK_J_NONE && v->type != ZK_J_NULL &&
	    (v->type != ZK_J_NUMBER || !zk_jnum_u64(v->raw, &grace_s) ||
	     grace_s > MAX_GRACE_S)) {
		zk_trig_invalid_add(&bad, "grace_seconds",
		                    "must be a whole number from 0 to 86400");
		zk_trig_invalid_reply(c, &bad);
		return false;
	}
	*ret_us = (int64_t)grace_s * 1000000;
	return true;
}
