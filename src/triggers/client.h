/* The client of the triggers API: one call, and its errors in people's words.
 * Layer: triggers. Loop thread only. specs/triggers.md §4, §14. */
#ifndef ZK_TRIGGERS_CLIENT_H
#define ZK_TRIGGERS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/send.h"
#include "rt/retry.h"

struct zk_net;

/* Where the server is and who asks. Strings are borrowed. */
struct zk_trig_client {
	struct zk_net *net;
	zk_str url; /* without a slash at the end */
	zk_str key; /* n == 0: none */
	struct zk_retry_conf retry;
	/* Before each wait; may be NULL. */
	void (*on_retry)(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
	                 const struct zk_error *err);
	void *ctx;
};

/* Checks the URL and takes a slash off its end. 0 or -ZK_E_URL. */
int zk_trig_client_init(struct zk_trig_client *c, struct zk_net *net, zk_str url,
                        zk_str key, struct zk_error *err) ZK_MUST_USE;

struct zk_trig_request {
	const char *method;
	const char *path; /* "/api/inbox?limit=1" */
	zk_str body;      /* copied; JSON unless content_type says otherwise */
	const char *content_type;
	const char *bearer; /* instead of the key: the admin token */
	bool repeatable;    /* may be repeated after it was sent */
	bool no_key;        /* the endpoint needs none */
	bool once;          /* no retries */
	/* zk_trig_start: before each wait, with its `ctx`; may be NULL. */
	void (*on_retry)(void *ctx, unsigned retry, unsigned max, int64_t wait_ms,
	                 const struct zk_error *err);
};

/* Calls and turns the loop until the answer is there: its body in `body` (appended, made with
 * room by the caller). 0, or an error: connection, authentication, refusal. */
int zk_trig_call(struct zk_trig_client *c, const struct zk_trig_request *r,
                 struct zk_buf *body, struct zk_error *err) ZK_MUST_USE;
/* The same without waiting; `done` as in net/http.h with ctx = `ctx`. The error it gets has not
 * been explained yet: zk_trig_explain. */
int zk_trig_start(struct zk_trig_client *c, const struct zk_trig_request *r,
                  zk_http_done_fn done, void *ctx, struct zk_send **ret,
                  struct zk_error *err) ZK_MUST_USE;
/* Puts what the server said (message and code of §4) into `err`. */
void zk_trig_explain(const struct zk_trig_client *c, zk_str body, struct zk_error *err);

#endif
