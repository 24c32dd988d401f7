/* Error answers: one shape for all (specs/triggers.md §4).
 * Layer: triggers. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "triggers/api.h"

#include "base/ban.h"

#define MESSAGE_BYTES 1024

void zk_trig_fail(struct zk_trig_call *c, const struct zk_trig_problem *p,
                  const char *fmt, ...)
{
	struct zk_buf *b = &c->s->body;
	char message[MESSAGE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);

	zk_buf_clear(b);
	zk_buf_lit(b, "{\"error\":");
	zk_buf_json_str(b, zk_str_of(p->error));
	zk_buf_lit(b, ",\"code\":");
	zk_buf_json_str(b, zk_str_of(p->code));
	zk_buf_lit(b, ",\"message\":");
	zk_buf_json_str(b, zk_str_of(message));
	zk_buf_lit(b, ",\"detail\":");
	zk_buf_json_str(b, zk_str_of(p->error));
	zk_buf_lit(b, ",\"request_id\":");
	zk_buf_json_str(b, c->request_id);
	zk_buf_add(b, p->members);
	zk_buf_char(b, '}');
	if (p->close)
		c->close = true;
	if (p->status >= 500 || p->status == 409 || p->status == 422)
		zk_trig_count_error(c->s, p->code);
	zk_trig_reply(c, p->status, p->extra, zk_buf_str(b));
}

void zk_trig_fail_json(struct zk_trig_call *c, size_t position, const char *why)
{
	char members[48];
	int n = snprintf(members, sizeof(members), ",\"position\":%zu", position);

	zk_trig_count_invalid(c->s, "invalid_json");
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 400,
	                                        .code = "invalid_json",
	                                        .error = "Invalid JSON",
	                                        .members = zk_str_n(members, (size_t)n) },
	             "byte %zu of the body: %s", position, why);
}

void zk_trig_fail_request(struct zk_trig_call *c, const char *error, const char *message)
{
	zk_trig_count_invalid(c->s, "invalid_request");
	zk_trig_fail(c,
	             &(struct zk_trig_problem){
	                     .status = 400, .code = "invalid_request", .error = error },
	             "%s", message);
}

void zk_trig_fail_store(struct zk_trig_call *c, const struct zk_trig_op *op)
{
	(void)op; /* the store logged the cause; §4: nothing about it goes to a client */
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 503,
	                                        .code = "storage_unavailable",
	                                        .error = "Storage unavailable",
	                                        .extra = ZK_STR("Retry-After: 5\r\n") },
	             "the store did not take it; nothing was changed, try again");
}

void zk_trig_fail_not_found(struct zk_trig_call *c)
{
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 404,
	                                        .code = "event_not_found",
	                                        .error = "Event not found" },
	             "the organization has no event with this id");
}

void zk_trig_fail_busy(struct zk_trig_call *c)
{
	const struct zk_trig_health *h = c->s->repo->ops->health(c->s->repo);
	char members[128];
	int n = snprintf(members, sizeof(members),
	                 ",\"queue_depth\":%llu,\"queue_capacity\":%llu,"
	                 "\"retry_after_seconds\":1",
	                 (unsigned long long)h->queue_events,
	                 (unsigned long long)h->queue_capacity);

	zk_trig_fail(c,
	             &(struct zk_trig_problem){
	                     .status = 503,
	                     .code = "system_capacity_exceeded",
	                     .error = "System capacity exceeded, please try again later",
	                     .members = zk_str_n(members, (size_t)n),
	                     .extra = ZK_STR("Retry-After: 1\r\n") },
	             "too many events wait for the disk");
}

void zk_trig_invalid_add(struct zk_trig_invalid *v, const char *field,
                         const char *message)
{
	if (v->n++ == 0)
		zk_buf_init(&v->json, 65536);
	else
		zk_buf_char(&v->json, ',');
	zk_buf_lit(&v->json, "{\"field\":");
	zk_buf_json_str(&v->json, zk_str_of(field));
	zk_buf_lit(&v->json, ",\"message\":");
	zk_buf_json_str(&v->json, zk_str_of(message));
	zk_buf_char(&v->json, '}');
}

void zk_trig_invalid_reply(struct zk_trig_call *c, struct zk_trig_invalid *v)
{
	struct zk_buf members ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&members, 66000);
	zk_buf_lit(&members, ",\"errors\":[");
	zk_buf_add(&members, zk_buf_str(&v->json));
	zk_buf_char(&members, ']');
	zk_buf_done(&v->json);
	zk_trig_count_invalid(c->s, "validation_error");
	zk_trig_fail(c,
	             &(struct zk_trig_problem){ .status = 422,
	                                        .code = "validation_error",
	                                        .error = "Validation failed",
	                                        .members = zk_buf_str(&members) },
	             "%u member%s of the request %s not valid; see errors", v->n,
	             v->n == 1 ? "" : "s", v->n == 1 ? "is" : "are");
}
