/* The table of zk's own verbs.
 * Layer: cmd. specs/cli.md §Procwire. */
#include "cmd/procwire_verbs.h"

#include "base/ban.h"

int procwire_answer(struct zk_pw_req *req, zk_str value, struct zk_error *err)
{
	return zk_pw_method_of(req)->kind == ZK_PW_ACKED ? zk_pw_ack(req, value, err)
	                                                 : zk_pw_respond(req, value, err);
}

const struct zk_pw_verb zk_procwire_verbs[] = {
	{ .name = "triggers.send",
	  .handler = &procwire_triggers_send,
	  .make = procwire_triggers_send_make },
	{ .name = "trace.push",
	  .handler = &procwire_trace_push,
	  .make = procwire_trace_push_make },
	{ .name = "webhook.verify",
	  .handler = &procwire_webhook_verify,
	  .make = procwire_webhook_verify_make },
	{ .name = "template.list",
	  .handler = &procwire_template,
	  .make = procwire_template_list_make },
	{ .name = "template.get",
	  .handler = &procwire_template,
	  .make = procwire_template_get_make },
	{ .name = "template.register",
	  .handler = &procwire_template,
	  .make = procwire_template_register_make },
	{ .name = "template.delete",
	  .handler = &procwire_template,
	  .make = procwire_template_delete_make },
	{ .name = "events.tail",
	  .kind = ZK_PW_STREAMED,
	  .raw = true,
	  .handler = &procwire_events_tail,
	  .make = procwire_events_tail_make },
	{ .name = "jetstream.stream",
	  .kind = ZK_PW_STREAMED,
	  .raw = true,
	  .handler = &procwire_jetstream_stream,
	  .make = procwire_jetstream_stream_make },
	{ .name = "zerobus.append",
	  .handler = &procwire_zerobus_append,
	  .make = procwire_zerobus_append_make },
	{ .name = NULL },
};
