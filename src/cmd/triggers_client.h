/* What the client commands of `zk triggers` share: server, key, rows.
 * Layer: cmd. */
#ifndef ZK_CMD_TRIGGERS_CLIENT_H
#define ZK_CMD_TRIGGERS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "conf/opt.h"
#include "conf/secret.h"
#include "rt/out.h"
#include "triggers/client.h"

/* First member of every client command's struct. */
struct trig_opts {
	const char *url;
	struct zk_secret key;
};

/* The rows that fill it. */
#define TRIG_CLIENT_ROWS                                                          \
	{ .type = ZK_OPT_URL,                                                     \
	  .name = "url",                                                          \
	  .meta = "URL",                                                          \
	  .def = "http://localhost:8080",                                         \
	  .off = offsetof(struct trig_opts, url),                                 \
	  .flags = ZK_OPT_ENDPOINT,                                               \
	  .help = "address of the server" },                                      \
	{                                                                         \
		.type = ZK_OPT_SECRET_REF, .name = "key",                         \
		.off = offsetof(struct trig_opts, key), .flags = ZK_OPT_ENDPOINT, \
		.help = "API key; without one, the key that --save stored"        \
	}

/* The options as `zk triggers` would have them, for what sends beside it: `url` instead of the
 * configured address unless NULL. A configured key goes to no other server (ux.md §5); a saved
 * one may be there. */
struct zk_optpool;
int trig_options_for(struct zk_app *app, const char *url, struct zk_optpool *pool,
                     struct trig_opts *o, struct zk_error *err) ZK_MUST_USE;

#define TRIG_GROUPS (ZK_OPTS_HTTP | ZK_OPTS_RETRY)

struct trig_session {
	struct zk_app *app;
	struct zk_trig_client client;
	struct zk_buf key;
	const char *name; /* of the command, for messages */
};

/* Loads the key and prepares the client. 0; -ZK_E_NO_KEY when `need_key` and there is none.
 * trig_close in any case. */
int trig_open(struct zk_app *app, const struct trig_opts *o, bool need_key,
              struct trig_session *s, struct zk_error *err) ZK_MUST_USE;
void trig_close(struct trig_session *s);

/* Calls, and prints the answer (one JSON object) as the result. Returns an exit status or a
 * negative code. */
int trig_show(struct trig_session *s, const struct zk_trig_request *r,
              struct zk_error *err);
/* Prints one object. */
int trig_print(struct zk_app *app, zk_str object, struct zk_error *err);
/* Where --save keeps the key of the active profile for the server at `url`; the caller frees. */
char *trig_key_path(struct zk_app *app, const char *url, bool make_dir,
                    struct zk_error *err);
int trig_key_save(struct zk_app *app, const char *url, zk_str key,
                  struct zk_error *err) ZK_MUST_USE;

/* How events are sent in batches (§14.1, §5.6). */
#define TRIG_BATCH_EVENTS 500
#define TRIG_BATCH_BYTES  ((size_t)1 << 20)
/* A rate limit is over within a minute; a server that says so is believed (§7). */
#define TRIG_BUSY_CAP_MS 61000

/* Asks the server for the rate limit of the key: the greatest batch that can ever get through.
 * `once` = without retries. 0, or the error of the call (a refused key). */
int trig_batch_limit(struct trig_session *s, bool once, size_t *ret,
                     struct zk_error *err) ZK_MUST_USE;

/* An absolute time for `--since` (a duration back from now, or RFC 3339), as a query value into
 * `b`. */
int trig_since(const char *text, struct zk_buf *b, struct zk_error *err) ZK_MUST_USE;
/* Appends "&name=value" (or "name=value" first), percent-encoded; nothing when value is NULL. */
void trig_query(struct zk_buf *b, const char *name, const char *value);

#endif
