/* The organization's webhook: configure, show, rotate its secret, test (specs/triggers.md §5.4).
 * Layer: triggers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "net/url.h"
#include "triggers/api_input.h"
#include "triggers/sign.h"

#include "base/ban.h"

#define DEFAULT_GRACE_S 86400

struct change {
	struct zk_trig_webhook op;
	struct zk_trig_call *c;
	char *url;
	bool private_blocked;
	int64_t old_expires_us;
};

static void change_free(struct change *ch)
{
	zk_trig_org_done(&ch->op.result);
	free(ch->url);
	free(ch);
}

static void put_secret(struct zk_buf *b, const struct zk_trig_server *s,
                       const struct zk_trig_org *org)
{
	uint8_t secret[ZK_TRIG_SECRET];

	zk_buf_lit(b, "\"signing_secret\":\"");
	zk_trig_secret_of(s->conf.server_secret, &org->id, org->secret_version, secret);
	zk_trig_secret_text(secret, b);
	zk_wipe(secret, sizeof(secret));
	zk_buf_char(b, '"');
}

static void put_url(struct zk_buf *b, const struct zk_trig_org *org)
{
	zk_buf_lit(b, "\"webhook_url\":");
	if (org->webhook_url)
		zk_buf_json_str(b, zk_str_of(org->webhook_url));
	else
		zk_buf_lit(b, "null");
}

static void reply_configured(struct change *ch)
{
	struct zk_trig_call *c = ch->c;
	const struct zk_trig_org *org = &ch->op.result;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init_secret(&b, 32768);
	zk_buf_lit(&b, "{\"success\":true,\"organization_id\":");
	zk_trig_uuid_json(&b, &org->id);
	zk_buf_char(&b, ',');
	put_url(&b, org);
	zk_buf_printf(&b,
	              ",\"status\":\"%s\",\"enabled\":%s,\"ordered\":%s,\"updated_at\":",
	              org->webhook_url ? "configured" : "removed",
	              org->webhook_enabled ? "true" : "false",
	              org->webhook_ordered ? "true" : "false");
	zk_trig_time_json(&b, org->updated_us);
	zk_buf_printf(&b, ",\"message\":\"Webhook URL %s successfully\"",
	              org->webhook_url ? "configured" : "removed");
	if (ch->op.planned)
		zk_buf_printf(&b, ",\"scheduled\":%llu",
		              (unsigned long long)ch->op.planned);
	if (ch->private_blocked)
		zk_buf_lit(&b,
		           ",\"notice\":\"private addresses are blocked on this server; "
		           "deliveries to them fail (see --webhook-allow)\"");
	if (ch->op.first) {
		zk_buf_char(&b, ',');
		put_secret(&b, c->s, org);
	}
	zk_buf_char(&b, '}');
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(&b));
}

static void on_configured(struct zk_trig_op *op)
{
	struct change *ch = ZK_CONTAINER_OF(op, struct change, op.op);
	struct zk_trig_call *c = ch->c;

	if (op->code < 0) {
		zk_trig_fail_store(c, op);
	} else {
		zk_trig_org_changed(c->s, &ch->op.org,
		                    (ch->op.set & ZK_TRIG_SET_URL) != 0);
		if (ch->op.planned)
			zk_trig_deliver_wake(c->s->deliver, &ch->op.org);
		reply_configured(ch);
	}
	change_free(ch);
}

static void fail_url(struct zk_trig_call *c, const char *why)
{
	zk_trig_count_invalid(c->s, "invalid_webhook_url");
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 400,
	                                        .code = "invalid_webhook_url",
	                                        .error = "Invalid webhook URL" },
	             "%s", why);
}

/* Rules of §5.4. False when it has answered. */
static bool read_url(struct zk_trig_call *c, zk_str text, struct change *ch)
{
	struct zk_error err = { 0 };
	struct zk_url url = { 0 };

	if (zk_url_parse(text, &url, &err) < 0) {
		fail_url(c, err.msg);
		return false;
	}
	const char *why = NULL;

	if (url.user && url.user[0])
		why = "user name and password are not allowed in a webhook URL";
	else if (c->s->conf.require_https && strcmp(url.scheme, "https") != 0)
		why = "this server accepts https URLs only";
	if (why) {
		fail_url(c, why);
		zk_url_done(&url);
		return false;
	}
	ch->url = zk_strdup(url.text);
	ch->private_blocked = !c->s->conf.private_allowed;
	zk_url_done(&url);
	return true;
}

static bool read_bool(const struct zk_jwant *w, bool *value, struct zk_trig_invalid *bad)
{
	char name[24];

	if (w->val.type == ZK_J_NONE || w->val.type == ZK_J_NULL)
		return false;
	if (w->val.type != ZK_J_BOOL) {
		(void)snprintf(name, sizeof(name), "%.*s", ZK_STR_ARG(w->name));
		zk_trig_invalid_add(bad, name, "must be true or false");
		return false;
	}
	*value = w->val.raw.p[0] == 't';
	return true;
}

/* The flags of the request into the operation. */
static void read_flags(const struct zk_jwant *want, struct change *ch,
                       struct zk_trig_invalid *bad)
{
	bool backlog = false;

	if (read_bool(&want[0], &backlog, bad) && backlog)
		ch->op.set |= ZK_TRIG_SET_BACKLOG;
	if (read_bool(&want[1], &ch->op.ordered, bad))
		ch->op.set |= ZK_TRIG_SET_ORDERED;
	if (read_bool(&want[2], &ch->op.enabled, bad))
		ch->op.set |= ZK_TRIG_SET_ENABLED;
}

/* Fills the operation; false when it has answered. */
static bool read_config(struct zk_trig_call *c, struct change *ch)
{
	struct zk_jwant want[] = {
		{ .name = ZK_STR_INIT("deliver_backlog") },
		{ .name = ZK_STR_INIT("ordered") },
		{ .name = ZK_STR_INIT("enabled") },
		{ .name = ZK_STR_INIT("webhook_url") },
		{ .name = ZK_STR_INIT("url") },
	};
	struct zk_trig_invalid bad = { 0 };
	struct zk_buf text ZK_CLEANUP(zk_buf_done) = { 0 };
	zk_str url = ZK_STR_NULL;

	if (!zk_trig_body_object(c, false, want, ZK_ARRAY_LEN(want)))
		return false;
	enum zk_jtype type = want[3].val.type;
	zk_str raw = want[3].val.raw;

	if (type == ZK_J_NONE) {
		type = want[4].val.type;
		raw = want[4].val.raw;
	}
	read_flags(want, ch, &bad);
	if (type == ZK_J_NONE) {
		if (!(ch->op.set & (ZK_TRIG_SET_ENABLED | ZK_TRIG_SET_ORDERED)))
			zk_trig_invalid_add(&bad, "webhook_url", "is required");
	} else {
		ch->op.set |= ZK_TRIG_SET_URL;
		if (type != ZK_J_NULL &&
		    (type != ZK_J_STRING || !zk_trig_text_of(raw, &text, &url)))
			zk_trig_invalid_add(&bad, "webhook_url",
			                    "must be a string or null");
	}
	if (bad.n) {
		zk_trig_invalid_reply(c, &bad);
		return false;
	}
	if (type == ZK_J_STRING && !read_url(c, url, ch))
		return false;
	if (type == ZK_J_NULL || ((ch->op.set & ZK_TRIG_SET_ENABLED) && !ch->op.enabled))
		ch->op.set = (ch->op.set & ~(unsigned)ZK_TRIG_SET_BACKLOG) |
		             ZK_TRIG_SET_UNPLAN;
	return true;
}

static struct change *change_new(struct zk_trig_call *c,
                                 void (*done)(struct zk_trig_op *))
{
	struct change *ch = zk_new0(struct change);

	ch->c = c;
	ch->op.op.done = done;
	ch->op.op.ctx = c;
	ch->op.org = c->caller->org.id;
	ch->op.now_us = zk_wall_us();
	return ch;
}

void zk_trig_api_webhook_set(struct zk_trig_call *c)
{
	struct change *ch = change_new(c, on_configured);

	if (!read_config(c, ch)) {
		change_free(ch);
		return;
	}
	ch->op.url = ch->url;
	c->s->repo->ops->webhook(c->s->repo, &ch->op);
}

/* ---- show ----------------------------------------------------------------------------- */

static void on_counted(struct zk_trig_op *op)
{
	struct zk_trig_count *count = ZK_CONTAINER_OF(op, struct zk_trig_count, op);
	struct zk_trig_call *c = op->ctx;
	const struct zk_trig_org *org = &c->caller->org;
	struct zk_trig_circuit circuit;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 32768);
	if (op->code < 0) {
		zk_trig_fail_store(c, op);
		free(count);
		return;
	}
	zk_trig_deliver_circuit(c->s->deliver, &org->id, &circuit);
	zk_buf_char(&b, '{');
	put_url(&b, org);
	zk_buf_printf(&b, ",\"enabled\":%s,\"disabled_reason\":",
	              org->webhook_enabled && !org->webhook_disabled_reason ? "true"
	                                                                    : "false");
	if (org->webhook_disabled_reason)
		zk_buf_json_str(&b, zk_str_of(org->webhook_disabled_reason));
	else
		zk_buf_lit(&b, "null");
	zk_buf_printf(&b,
	              ",\"ordered\":%s,\"secret_version\":%lld,\"circuit\":\"%s\","
	              "\"consecutive_failures\":%u,\"last_success_at\":",
	              org->webhook_ordered ? "true" : "false",
	              (long long)org->secret_version, circuit.state, circuit.failures);
	zk_trig_time_json(&b, circuit.last_success_us);
	zk_buf_lit(&b, ",\"last_failure_at\":");
	zk_trig_time_json(&b, circuit.last_failure_us);
	zk_buf_lit(&b, ",\"last_error\":");
	if (circuit.last_error[0])
		zk_buf_json_str(&b, zk_str_of(circuit.last_error));
	else
		zk_buf_lit(&b, "null");
	zk_buf_printf(&b, ",\"pending\":%llu,\"updated_at\":",
	              (unsigned long long)count->pending);
	zk_trig_time_json(&b, org->updated_us);
	zk_buf_char(&b, '}');
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(&b));
	free(count);
}

void zk_trig_api_webhook_get(struct zk_trig_call *c)
{
	struct zk_trig_count *count = zk_new0(struct zk_trig_count);

	count->op.done = on_counted;
	count->op.ctx = c;
	count->org = c->caller->org.id;
	c->s->repo->ops->count(c->s->repo, count);
}

/* ---- secret --------------------------------------------------------------------------- */

static void on_secret(struct zk_trig_op *op)
{
	struct change *ch = ZK_CONTAINER_OF(op, struct change, op.op);
	struct zk_trig_call *c = ch->c;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init_secret(&b, 4096);
	if (op->code < 0) {
		zk_trig_fail_store(c, op);
	} else {
		zk_trig_org_changed(c->s, &ch->op.org, false);
		zk_buf_char(&b, '{');
		put_secret(&b, c->s, &ch->op.result);
		zk_buf_printf(&b, ",\"secret_version\":%lld,\"old_secret_expires_at\":",
		              (long long)ch->op.result.secret_version);
		zk_trig_time_json(&b, ch->op.result.old_secret_expires_us);
		zk_buf_char(&b, '}');
		zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(&b));
	}
	change_free(ch);
}

void zk_trig_api_webhook_secret(struct zk_trig_call *c)
{
	int64_t grace_us;

	if (!zk_trig_read_grace(c, /* default, seconds */ DEFAULT_GRACE_S, &grace_us))
		return;
	struct change *ch = change_new(c, on_secret);

	ch->op.set = ZK_TRIG_SET_SECRET;
	ch->op.old_secret_expires_us = ch->op.now_us + grace_us;
	c->s->repo->ops->webhook(c->s->repo, &ch->op);
}

/* ---- test ----------------------------------------------------------------------------- */

static void on_tested(void *ctx, const struct zk_trig_test_result *res)
{
	struct zk_trig_call *c = ctx;
	struct zk_buf *b = &c->s->body;

	zk_buf_clear(b);
	zk_buf_printf(b, "{\"delivered\":%s,\"response_status\":",
	              res->delivered ? "true" : "false");
	if (res->response_status)
		zk_buf_i64(b, res->response_status);
	else
		zk_buf_lit(b, "null");
	zk_buf_printf(b, ",\"duration_ms\":%.1f,\"error\":", res->duration_ms);
	if (res->error[0])
		zk_buf_json_str(b, zk_str_of(res->error));
	else
		zk_buf_lit(b, "null");
	zk_buf_lit(b, ",\"address\":");
	if (res->address[0])
		zk_buf_json_str(b, zk_str_of(res->address));
	else
		zk_buf_lit(b, "null");
	zk_buf_char(b, '}');
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(b));
}

void zk_trig_api_webhook_test(struct zk_trig_call *c)
{
	struct zk_error err = { 0 };

	if (!c->caller->org.webhook_url) {
		zk_trig_fail(
		        c,
		        &(struct zk_trig_problem){ .status = 409,
		                                   .code = "webhook_not_configured",
		                                   .error = "Webhook not configured" },
		        "set a webhook with POST /api/webhook/config first");
		return;
	}
	if (zk_trig_deliver_test(c->s->deliver, &c->caller->org, on_tested, c, &err) < 0)
		zk_trig_fail(c,
		             &(struct zk_trig_problem){
		                     .status = 503,
		                     .code = "system_capacity_exceeded",
		                     .error = "System capacity exceeded, please "
		                              "try again later",
		                     .extra = ZK_STR("Retry-After: 1\r\n") },
		             "the test request could not be started");
}
