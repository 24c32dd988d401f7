/* Sends events over a socket: a queue in front of it, a window of those that are not acknowledged
 * yet, what became of each.
 * Layer: cmd. Loop thread only. specs/zeal-zip.md §7.4, §7.8. Acknowledgements carry no ids and
 * come in any order: they are only counted. */
#ifndef ZK_CMD_EVENTS_SEND_H
#define ZK_CMD_EVENTS_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "cmd/events.h"

struct events_send;

/* How a command sends: a member `send` of its options, and the rows that fill it. */
struct events_send_opts {
	bool wait, fail_fast;
	uint64_t window;
};
#define EVENTS_SEND_ROWS(type_, records_, record_)                               \
	{ .type = ZK_OPT_BOOL,                                                   \
	  .name = "wait",                                                        \
	  .off = offsetof(type_, send.wait),                                     \
	  .flags = ZK_OPT_NO_CONF,                                               \
	  .help = "until the server acknowledged it; always so for -" },         \
	        { .type = ZK_OPT_UINT,                                           \
		  .name = "window",                                              \
		  .conf = "events.window",                                       \
		  .meta = "N",                                                   \
		  .def = "256",                                                  \
		  .min = 1,                                                      \
		  .max = 1000000,                                                \
		  .off = offsetof(type_, send.window),                           \
		  .help = records_ " on their way at once" },                    \
	{                                                                        \
		.type = ZK_OPT_BOOL, .name = "fail-fast",                        \
		.off = offsetof(type_, send.fail_fast), .flags = ZK_OPT_NO_CONF, \
		.help = "stop at the first " record_ " that cannot be sent"      \
	}

struct events_send_conf {
	const struct events_opts *opts;
	uint64_t window;  /* events not yet acknowledged at once */
	bool wait;        /* it is over only when all are acknowledged */
	bool rated;       /* --rate counts events */
	const char *unit; /* of the summary: "events" */
	void *ctx;
	/* It is live, for the first time or again; may be NULL. */
	void (*on_live)(void *ctx);
	/* The queue has room again after events_send_push said no; may be NULL. */
	void (*on_room)(void *ctx);
	/* The first signal: the owner ends its input, then calls events_send_end. */
	void (*on_stop)(void *ctx);
};

/* Opens the socket. events_send_free in any case. */
int events_send_new(struct zk_app *app, const struct events_send_conf *conf,
                    struct events_send **ret, struct zk_error *err) ZK_MUST_USE;
void events_send_free(struct events_send *s); /* NULL is fine */

struct events_message {
	zk_str name, json;
	zk_str attachment; /* p NULL = none */
	bool acked;        /* the server acknowledges it */
	uint64_t line;     /* of the input, 0 = none: for messages */
};

/* Takes a message (copied). False = the queue is full: no more until on_room. */
bool events_send_push(struct events_send *s, const struct events_message *m);
/* A record that cannot be sent, for the reason `err`: reported and counted. */
void events_send_reject(struct events_send *s, uint64_t line, const struct zk_error *err);
/* Nothing more will come: events_send_run returns when all is settled. */
void events_send_end(struct events_send *s);
/* It is over, with a failure of the owner's. */
void events_send_fail(struct events_send *s, const struct zk_error *err);
/* Turns the loop until it is over; the exit status, or a negative code. */
int events_send_run(struct events_send *s, struct zk_error *err);

#endif
