/* POST /api/events: the hot path (specs/triggers.md §5.5, §6, §11.1).
 * Layer: triggers. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jscan.h"
#include "triggers/api_input.h"

#include "base/ban.h"

static void reply_accepted(struct zk_trig_call *c, const struct zk_trig_ingest *in)
{
	struct zk_buf *b = &c->s->body;
	char id[ZK_UUID_TEXT], at[ZK_RFC3339_MAX];

	zk_uuid_format(&in->id, id);
	zk_buf_clear(b);
	zk_buf_lit(b, "{\"id\":\"");
	zk_buf_put(b, id, sizeof(id));
	zk_buf_lit(b, "\",\"event_id\":\"");
	zk_buf_put(b, id, sizeof(id));
	zk_buf_lit(b, "\",\"type\":");
	zk_buf_json_str(b, in->type);
	zk_buf_lit(b,
	           ",\"status\":\"accepted\",\"message\":\"Event queued for processing\","
	           "\"created_at\":\"");
	zk_buf_put(b, at, zk_format_rfc3339(in->created_us, at));
	zk_buf_lit(b, "\"}");
	zk_trig_metric_accepted(c->s, 1, zk_mono_us() - zk_httpd_start_us(c->req));
	zk_trig_reply(c, 202, ZK_STR_NULL, zk_buf_str(b));
}

static void reply_duplicate(struct zk_trig_call *c, const struct zk_trig_ingest *in)
{
	struct zk_buf members ZK_CLEANUP(zk_buf_done);
	char at[ZK_RFC3339_MAX];

	zk_buf_init(&members, 8192);
	zk_buf_lit(&members, ",\"status\":\"duplicate\",\"id\":");
	zk_trig_uuid_json(&members, &in->first_id);
	zk_buf_lit(&members, ",\"event_id\":");
	zk_trig_uuid_json(&members, &in->first_id);
	zk_buf_lit(&members, ",\"dedup_id\":");
	zk_buf_json_str(&members, in->dedup_id);
	(void)zk_format_rfc3339(in->first_created_us, at);
	zk_trig_metric_duplicate(c->s);
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 409,
	                                        .code = "duplicate_event",
	                                        .error = "Duplicate event",
	                                        .members = zk_buf_str(&members) },
	             "an event with this dedup_id was accepted at %.27s", at);
}

static void on_stored(struct zk_trig_op *op)
{
	struct zk_trig_input *i = ZK_CONTAINER_OF(op, struct zk_trig_input, in.op);
	struct zk_trig_call *c = op->ctx;

	if (op->code < 0)
		zk_trig_fail_store(c, op);
	else if (i->in.duplicate)
		reply_duplicate(c, &i->in);
	else
		reply_accepted(c, &i->in);
	zk_trig_input_free(i);
}

static void fail_large(struct zk_trig_call *c, size_t size)
{
	uint64_t limit = c->s->conf.max_payload;
	char members[96], error[64];
	int n = snprintf(members, sizeof(members), ",\"size\":%zu,\"limit\":%llu", size,
	                 (unsigned long long)limit);

	(void)snprintf(error, sizeof(error), "Payload too large (max %lluKB)",
	               (unsigned long long)(limit / 1024));
	zk_trig_count_invalid(c->s, "payload_too_large");
	zk_trig_fail(
	        c,
	        &(struct zk_trig_problem){ .status = 413,
	                                   .code = "payload_too_large",
	                                   .error = error,
	                                   .members = zk_str_n(members, (size_t)n) },
	        "the payload has %zu bytes without white space; at most %llu are allowed",
	        size, (unsigned long long)limit);
}

void zk_trig_api_event_post(struct zk_trig_call *c)
{
	struct zk_trig_invalid bad = { 0 };
	struct zk_trig_input *i = zk_trig_input_new();
	zk_str body = zk_jscan_skip_bom(zk_httpd_body(c->req));
	zk_str key = zk_httpd_header(c->req, ZK_STR("Idempotency-Key"));
	enum zk_trig_input_result r = zk_trig_input_read(i, c, body, key, &bad);

	switch (r) {
	case ZK_TRIG_INPUT_JSON:
		zk_trig_fail_json(c, i->offset, body.n ? i->what : "the body is empty");
		break;
	case ZK_TRIG_INPUT_INVALID:
		zk_trig_invalid_reply(c, &bad);
		break;
	case ZK_TRIG_INPUT_LARGE:
		fail_large(c, i->size);
		break;
	case ZK_TRIG_INPUT_OK:
		zk_trig_input_prepare(i, c);
		i->in.op.done = on_stored;
		i->in.op.ctx = c;
		if (c->s->repo->ops->ingest(c->s->repo, &i->in))
			return;
		zk_trig_fail_busy(c);
		break;
	}
	zk_trig_input_free(i);
}
