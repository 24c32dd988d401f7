/* The webhook request: body, signature, headers (specs/triggers.md §8.1, §9, §10).
 * Layer: triggers. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "triggers/deliver_int.h"
#include "triggers/sign.h"

#include "base/ban.h"

#define MAX_ANSWER (64 * 1024)

void zk_trig_delivery_body(struct zk_buf *b, const struct zk_trig_due *row, bool legacy)
{
	char id[ZK_UUID_TEXT], at[ZK_RFC3339_MAX];
	zk_str type = zk_str_n(row->type, row->type_n);
	size_t at_n = zk_format_rfc3339(row->created_us, at);

	zk_uuid_format(&row->id, id);
	zk_buf_lit(b, "{");
	if (!legacy) {
		zk_buf_lit(b, "\"id\":\"");
		zk_buf_put(b, id, sizeof(id));
		zk_buf_lit(b, "\",");
	}
	zk_buf_lit(b, "\"event_id\":\"");
	zk_buf_put(b, id, sizeof(id));
	zk_buf_cstr(b, legacy ? "\",\"event_type\":" : "\",\"type\":");
	zk_buf_json_str(b, type);
	if (legacy) {
		zk_buf_lit(b, ",\"payload\":");
		zk_buf_put(b, row->payload, row->payload_n);
		zk_buf_lit(b, ",\"created_at\":\"");
		zk_buf_put(b, at, at_n);
		zk_buf_lit(b, "\"}");
		return;
	}
	zk_buf_lit(b, ",\"timestamp\":\"");
	zk_buf_put(b, at, at_n);
	zk_buf_lit(b, "\",\"data\":");
	zk_buf_put(b, row->payload, row->payload_n);
	zk_buf_char(b, '}');
}

static void sign(struct zk_trig_deliver *d, const struct zk_trig_post *p, int64_t now_us,
                 struct zk_buf *b)
{
	uint8_t secret[ZK_TRIG_SECRET];
	int64_t version = p->org->secret_version;

	zk_trig_secret_of(d->conf.server_secret, &p->org->id, version, secret);
	zk_trig_sign(zk_str_n((char *)secret, sizeof(secret)), p->id, now_us / 1000000,
	             p->body, b);
	if (version > 1 && p->org->old_secret_expires_us > now_us) {
		zk_buf_char(b, ' ');
		zk_trig_secret_of(d->conf.server_secret, &p->org->id, version - 1,
		                  secret);
		zk_trig_sign(zk_str_n((char *)secret, sizeof(secret)), p->id,
		             now_us / 1000000, p->body, b);
	}
	zk_wipe(secret, sizeof(secret));
}

/* Percent-encodes what does not belong into a header (§2): all outside [!-~], and '%'. */
static void put_header_text(struct zk_buf *b, zk_str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > 0x20 && c < 0x7f && c != '%') {
			zk_buf_char(b, (char)c);
			continue;
		}
		char three[3] = { '%', hex[c >> 4], hex[c & 15] };

		zk_buf_put(b, three, sizeof(three));
	}
}

int zk_trig_post(struct zk_trig_deliver *d, const struct zk_trig_post *p,
                 zk_http_done_fn done, struct zk_http **ret, struct zk_error *err)
{
	struct zk_buf h[7];
	const char *headers[ZK_ARRAY_LEN(h) + 1] = { NULL };
	int64_t now_us = zk_wall_us();

	for (size_t i = 0; i < ZK_ARRAY_LEN(h); i++)
		zk_buf_init(&h[i], 8192);
	zk_buf_printf(&h[0], "User-Agent: %s", d->conf.user_agent);
	zk_buf_printf(&h[1], "X-Event-ID: %.*s", ZK_STR_ARG(p->id));
	zk_buf_lit(&h[2], "X-Event-Type: ");
	put_header_text(&h[2], p->type);
	zk_buf_printf(&h[3], "X-Delivery-Attempt: %lld", (long long)p->attempt);
	zk_buf_printf(&h[4], "webhook-id: %.*s", ZK_STR_ARG(p->id));
	zk_buf_printf(&h[5], "webhook-timestamp: %lld", (long long)(now_us / 1000000));
	zk_buf_lit(&h[6], "webhook-signature: ");
	sign(d, p, now_us, &h[6]);
	for (size_t i = 0; i < ZK_ARRAY_LEN(h); i++)
		headers[i] = zk_buf_cstring(&h[i]);

	struct zk_http_conf conf = {
		.method = "POST",
		.url = p->url,
		.headers = headers,
		.body = p->body,
		.body_borrowed = true,
		.content_type = "application/json",
		.ctx = p->ctx,
		.max_body = MAX_ANSWER,
		.connect_timeout_ms = d->conf.connect_timeout_ms,
		.timeout_ms = d->conf.timeout_ms,
		.guard = &d->conf.guard,
		.flags = ZK_HTTP_ANY_STATUS | ZK_HTTP_TRUNCATE,
	};
	int r = zk_http_start(d->net, &conf, done, ret, err);

	for (size_t i = 0; i < ZK_ARRAY_LEN(h); i++)
		zk_buf_done(&h[i]);
	return r;
}

int zk_trig_attempt_send(struct attempt *a, struct zk_error *err)
{
	struct zk_trig_deliver *d = a->t->d;
	char id[ZK_UUID_TEXT];

	zk_buf_init(&a->body, a->row.payload_n + 6 * a->row.type_n + 512);
	zk_trig_delivery_body(&a->body, &a->row, d->conf.legacy_body);
	if (zk_buf_check(&a->body, err) < 0)
		return -(int)err->code;
	zk_uuid_format(&a->row.id, id);
	struct zk_trig_post post = {
		.org = &a->t->org,
		.url = a->t->org.webhook_url,
		.id = zk_str_n(id, sizeof(id)),
		.type = zk_str_n(a->row.type, a->row.type_n),
		.body = zk_buf_str(&a->body),
		.attempt = a->row.attempts + 1,
		.ctx = a,
	};

	return zk_trig_post(d, &post, zk_trig_attempt_done, &a->http, err);
}
