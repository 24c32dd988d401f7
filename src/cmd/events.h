/* What the commands on live events share: the options of the socket, its address, its credential,
 * what is remembered about it.
 * Layer: cmd. specs/zeal-zip.md §1.1, §7. */
#ifndef ZK_CMD_EVENTS_H
#define ZK_CMD_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "cmd/zeal.h"
#include "zip/live.h"

/* First member of the struct of every command of the family; .conf of the command is "zeal". */
struct events_opts {
	struct zeal_opts zeal;
	struct zk_strlist workflows;
	const char *ws_url, *ws_path;
	int transport; /* enum zk_zip_transport */
	int64_t base_ms, cap_ms;
};

extern const char *const events_transports[];

/* The rows that fill it, ZEAL_ROWS apart. */
#define EVENTS_ROWS                                                                      \
	{ .type = ZK_OPT_LIST,                                                           \
	  .key = 'w',                                                                    \
	  .name = "workflow",                                                            \
	  .meta = "WF",                                                                  \
	  .off = offsetof(struct events_opts, workflows),                                \
	  .flags = ZK_OPT_F_COMMA | ZK_OPT_NO_CONF,                                      \
	  .complete = "workflow",                                                        \
	  .help = "id of the workflow; several separated by commas" },                   \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "ws-url",                                                      \
		  .meta = "URL",                                                         \
		  .off = offsetof(struct events_opts, ws_url),                           \
		  .group = "Socket",                                                     \
		  .help = "address of the socket server; the server is asked for it",    \
		  .text = "Such as http://host:3001. Without it the server is asked "    \
		          "which port it is, and 3001 is tried when it does not say." }, \
	        { .type = ZK_OPT_STR,                                                    \
		  .name = "ws-path",                                                     \
		  .meta = "PATH",                                                        \
		  .def = "/zip/events",                                                  \
		  .off = offsetof(struct events_opts, ws_path),                          \
		  .group = "Socket",                                                     \
		  .help = "path of the socket on it" },                                  \
	        { .type = ZK_OPT_ENUM,                                                   \
		  .name = "transport",                                                   \
		  .meta = "KIND",                                                        \
		  .def = "auto",                                                         \
		  .values = events_transports,                                           \
		  .off = offsetof(struct events_opts, transport),                        \
		  .group = "Socket",                                                     \
		  .help = "what carries the events",                                     \
		  .text = "auto: a WebSocket, and long-polling where it is refused or "  \
		          "found deaf, which is remembered for an hour. upgrade: "       \
		          "long-polling that becomes a WebSocket, as in a browser. "     \
		          "raw: plain JSON messages on a WebSocket, for servers that "   \
		          "do not speak Socket.IO." },                                   \
	        { .type = ZK_OPT_DURATION,                                               \
		  .name = "reconnect-base",                                              \
		  .conf = "zeal.ws_reconnect.base",                                      \
		  .meta = "D",                                                           \
		  .def = "500ms",                                                        \
		  .min = 1,                                                              \
		  .max = 3600000,                                                        \
		  .off = offsetof(struct events_opts, base_ms),                          \
		  .group = "Socket",                                                     \
		  .help = "the first wait before connecting again, doubled each time" }, \
	{                                                                                \
		.type = ZK_OPT_DURATION, .name = "reconnect-cap",                        \
		.conf = "zeal.ws_reconnect.cap", .meta = "D", .def = "30s", .min = 1,    \
		.max = 3600000, .off = offsetof(struct events_opts, cap_ms),             \
		.group = "Socket", .help = "the longest wait"                            \
	}

/* What a socket needs to know; the texts of `conf` live as long as it. */
struct events {
	struct zk_app *app;
	const struct events_opts *opts;
	struct zeal zeal; /* its memory; its client only when the server was asked */
	struct zk_buf url, token, api_key;
	struct zk_zip_live_conf conf; /* the owner adds workflows and callbacks */
};

/* `tries` connections at most before it is given up; 0 = without end. `client`: e->zeal.zip is made
 * in any case. events_close in any case. */
int events_open(struct zk_app *app, const struct events_opts *o, uint64_t tries,
                bool client, struct events *e, struct zk_error *err) ZK_MUST_USE;
void events_close(struct events *e);
/* Remembers that WebSockets of this server are deaf. */
void events_remember_deaf(struct events *e);
/* A drop, for people: "…; again in 1.6 s". */
void events_say_drop(struct events *e, const struct zk_error *err, int64_t wait_ms);
/* Appends the record of what was missed (§7.7), a JSON object. */
void events_put_gap(const struct zk_zip_live_gap *gap, struct zk_buf *b);
/* Exactly one workflow, for commands that send. */
int events_one_workflow(const struct events_opts *o, struct zk_error *err) ZK_MUST_USE;

#endif
