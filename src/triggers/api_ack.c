/* Acknowledgement and replay (specs/triggers.md §5.9, §5.10).
 * Layer: triggers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "triggers/api_input.h"
#include "triggers/api_query.h"

#include "base/ban.h"

#define MAX_IDS        1000
#define DEFAULT_REPLAY 1000
#define MAX_REPLAY     100000

struct ack {
	struct zk_trig_ack op;
	size_t malformed; /* ids that are no UUIDs: they count as failed */
	struct zk_trig_ack_one ids[];
};

static struct ack *ack_new(struct zk_trig_call *c, size_t room,
                           void (*done)(struct zk_trig_op *))
{
	struct ack *a = zk_alloc0(sizeof(*a) + room * sizeof(a->ids[0]));

	a->op.op.done = done;
	a->op.op.ctx = c;
	a->op.org = c->caller->org.id;
	a->op.now_us = zk_wall_us();
	a->op.ids = a->ids;
	return a;
}

/* Planned attempts of acknowledged events do not start. */
static void tell_delivery(const struct ack *a)
{
	const struct zk_trig_call *c = a->op.op.ctx;

	for (size_t i = 0; i < a->op.n && a->op.op.code == 0; i++) {
		if (a->ids[i].result == ZK_TRIG_ACK_NEW)
			zk_trig_deliver_acked(c->s->deliver, &a->op.org, &a->ids[i].id);
	}
}

static void on_ack_one(struct zk_trig_op *op)
{
	struct ack *a = ZK_CONTAINER_OF(op, struct ack, op.op);
	struct zk_trig_call *c = op->ctx;
	struct zk_buf *b = &c->s->body;

	tell_delivery(a);
	if (op->code < 0) {
		zk_trig_fail_store(c, op);
	} else if (a->ids[0].result == ZK_TRIG_ACK_UNKNOWN) {
		zk_trig_fail_not_found(c);
	} else {
		zk_buf_clear(b);
		zk_buf_lit(b, "{\"success\":true,\"id\":");
		zk_trig_uuid_json(b, &a->ids[0].id);
		zk_buf_lit(b, ",\"event_id\":");
		zk_trig_uuid_json(b, &a->ids[0].id);
		zk_buf_lit(b, ",\"status\":\"delivered\",\"acknowledged_at\":");
		zk_trig_time_json(b, a->ids[0].acknowledged_us);
		zk_buf_lit(b,
		           ",\"message\":\"Event delivery acknowledged successfully\"}");
		zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(b));
	}
	free(a);
}

/* The ":event_id" of the path; answers 400 and returns false when it is none. */
static bool path_id(struct zk_trig_call *c, zk_uuid *id)
{
	if (zk_uuid_parse(zk_httpd_param(c->req, 0), id))
		return true;
	zk_trig_fail_request(c, "Invalid event id", "an event id is a UUID");
	return false;
}

void zk_trig_api_ack_one(struct zk_trig_call *c)
{
	zk_uuid id;

	if (!path_id(c, &id))
		return;
	struct ack *a = ack_new(c, 1, on_ack_one);

	a->ids[0].id = id;
	a->op.n = 1;
	c->s->repo->ops->ack(c->s->repo, &a->op);
}

static void on_ack_many(struct zk_trig_op *op)
{
	struct ack *a = ZK_CONTAINER_OF(op, struct ack, op.op);
	struct zk_trig_call *c = op->ctx;
	struct zk_buf *b = &c->s->body;
	size_t acked = 0;

	tell_delivery(a);
	if (op->code < 0) {
		zk_trig_fail_store(c, op);
		free(a);
		return;
	}
	for (size_t i = 0; i < a->op.n; i++)
		acked += a->ids[i].result == ZK_TRIG_ACK_NEW;
	zk_buf_clear(b);
	zk_buf_printf(b, "{\"acknowledged\":%zu,\"failed\":%zu}", acked,
	              a->op.n - acked + a->malformed);
	zk_trig_reply(c, 200, ZK_STR_NULL, zk_buf_str(b));
	free(a);
}

static void reply_ids_invalid(struct zk_trig_call *c, const char *why)
{
	struct zk_trig_invalid bad = { 0 };

	zk_trig_invalid_add(&bad, "event_ids", why);
	zk_trig_invalid_reply(c, &bad);
}

void zk_trig_api_ack_many(struct zk_trig_call *c)
{
	struct zk_jwant want[] = { { .name = ZK_STR_INIT("event_ids") } };

	if (!zk_trig_body_object(c, false, want, 1))
		return;
	if (want[0].val.type != ZK_J_ARRAY) {
		reply_ids_invalid(c, "must be an array of event ids");
		return;
	}
	struct ack *a = ack_new(c, MAX_IDS, on_ack_many);
	struct zk_jiter it;
	struct zk_jval v;
	size_t seen = 0;

	zk_jiter_init(&it, want[0].val.raw);
	while (zk_jiter_element(&it, &v) && ++seen <= MAX_IDS) {
		zk_str text;

		if (v.type == ZK_J_STRING && zk_jstr_plain(v.raw, &text) &&
		    zk_uuid_parse(text, &a->ids[a->op.n].id))
			a->op.n++;
		else
			a->malformed++;
	}
	if (seen == 0 || seen > MAX_IDS) {
		reply_ids_invalid(c, "must hold 1 to 1000 event ids");
		free(a);
		return;
	}
	c->s->repo->ops->ack(c->s->repo, &a->op);
}

/* ---- replay --------------------------------------------------------------------------- */

struct replay {
	struct zk_trig_replay op;
	struct zk_trig_query q;
};

static void replay_free(struct replay *r)
{
	zk_trig_query_done(&r->q);
	free(r);
}

static void on_replay(struct zk_trig_op *op)
{
	struct replay *r = ZK_CONTAINER_OF(op, struct replay, op.op);
	struct zk_trig_call *c = op->ctx;
	struct zk_buf *b = &c->s->body;

	if (op->code < 0) {
		zk_trig_fail_store(c, op);
	} else if (r->op.one && !r->op.scheduled) {
		zk_trig_fail_not_found(c);
	} else {
		zk_buf_clear(b);
		if (r->op.one) {
			zk_buf_lit(b, "{\"id\":");
			zk_trig_uuid_json(b, &r->op.id);
			zk_buf_lit(b, ",\"status\":\"pending\"}");
		} else {
			zk_buf_printf(b, "{\"scheduled\":%llu}",
			              (unsigned long long)r->op.scheduled);
		}
		if (r->op.scheduled)
			zk_trig_deliver_wake(c->s->deliver, &r->op.org);
		zk_trig_reply(c, 202, ZK_STR_NULL, zk_buf_str(b));
	}
	replay_free(r);
}

static struct replay *replay_new(struct zk_trig_call *c)
{
	struct replay *r = zk_new0(struct replay);

	zk_trig_query_init(&r->q);
	r->op.op.done = on_replay;
	r->op.op.ctx = c;
	r->op.org = c->caller->org.id;
	r->op.now_us = zk_wall_us();
	return r;
}

static bool has_webhook(struct zk_trig_call *c)
{
	const struct zk_trig_org *org = &c->caller->org;

	if (org->webhook_url && org->webhook_enabled && !org->webhook_disabled_reason)
		return true;
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 409,
	                                        .code = "webhook_not_configured",
	                                        .error = "Webhook not configured" },
	             "set a webhook with POST /api/webhook/config before replaying");
	return false;
}

void zk_trig_api_replay_one(struct zk_trig_call *c)
{
	zk_uuid id;

	if (!path_id(c, &id) || !has_webhook(c))
		return;
	struct replay *r = replay_new(c);

	r->op.one = true;
	r->op.id = id;
	c->s->repo->ops->replay(c->s->repo, &r->op);
}

/* The members of the body go through the same checks as the inbox parameters. */
static bool replay_read(struct zk_trig_call *c, struct replay *r)
{
	struct zk_jwant want[] = {
		{ .name = ZK_STR_INIT("status") }, { .name = ZK_STR_INIT("type") },
		{ .name = ZK_STR_INIT("since") },  { .name = ZK_STR_INIT("until") },
		{ .name = ZK_STR_INIT("limit") },
	};
	struct zk_trig_invalid bad = { 0 };

	if (!zk_trig_body_object(c, true, want, ZK_ARRAY_LEN(want)))
		return false;
	r->op.limit = DEFAULT_REPLAY;
	for (size_t i = 0; i < ZK_ARRAY_LEN(want); i++) {
		const struct zk_jval *v = &want[i].val;
		zk_str text = ZK_STR_NULL;
		char name[16];

		(void)snprintf(name, sizeof(name), "%.*s", ZK_STR_ARG(want[i].name));
		if (v->type == ZK_J_NONE || v->type == ZK_J_NULL)
			continue;
		if (zk_str_eq(want[i].name, ZK_STR("limit"))) {
			if (v->type != ZK_J_NUMBER ||
			    !zk_jnum_u64(v->raw, &r->op.limit) || r->op.limit < 1)
				zk_trig_invalid_add(&bad, name,
				                    "must be a whole number from 1");
			r->op.limit = ZK_MIN(r->op.limit, (uint64_t)MAX_REPLAY);
		} else if (v->type != ZK_J_STRING || !zk_jstr_plain(v->raw, &text)) {
			zk_trig_invalid_add(&bad, name, "must be plain text");
		} else if (!zk_trig_query_set(&r->q, want[i].name, text)) {
			zk_trig_invalid_add(&bad, name, r->q.message);
		}
	}
	if (!bad.n)
		return true;
	zk_trig_invalid_reply(c, &bad);
	return false;
}

void zk_trig_api_replay_many(struct zk_trig_call *c)
{
	struct replay *r = replay_new(c);

	if (!replay_read(c, r) || !has_webhook(c)) {
		replay_free(r);
		return;
	}
	r->op.filter = r->q.filter == ZK_TRIG_ANY ? ZK_TRIG_ONLY_FAILED : r->q.filter;
	r->op.type = r->q.type;
	r->op.since_us = r->q.since_us;
	r->op.until_us = r->q.until_us;
	c->s->repo->ops->replay(c->s->repo, &r->op);
}
