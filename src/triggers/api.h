/* Inside of the HTTP API: one struct for the server, one per request, shared answers.
 * Layer: triggers, private to src/triggers/api*.c and server.c. Loop thread only. */
#ifndef ZK_TRIGGERS_API_H
#define ZK_TRIGGERS_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "net/httpd.h"
#include "triggers/deliver.h"
#include "triggers/keys.h"
#include "triggers/limiter.h"
#include "triggers/repo.h"
#include "triggers/server.h"

struct zk_timer;

enum zk_trig_endpoint_flags {
	ZK_TRIG_E_KEY = 1 << 0, /* needs an API key */
	ZK_TRIG_E_COUNTED =
	        1 << 1,            /* one event against the rate limit, before the body */
	ZK_TRIG_E_INGEST = 1 << 2, /* 503 while the writer's queue is full */
	ZK_TRIG_E_BODY = 1 << 3,   /* has a request body */
	ZK_TRIG_E_NDJSON = 1 << 4, /* may be application/x-ndjson */
	ZK_TRIG_E_DRAINING = 1 << 5, /* answered during shutdown as well */
};

struct zk_trig_call;

struct zk_trig_endpoint {
	const char *method, *pattern;
	unsigned flags;
	uint64_t max_body; /* 0 = the server's */
	/* Called with the body read (or without one); must answer now or later. */
	void (*run)(struct zk_trig_call *c);
};

extern const struct zk_trig_endpoint zk_trig_endpoints[];
extern const size_t zk_trig_n_endpoints;

#define ZK_TRIG_MAX_BATCH 500

struct zk_trig_api_metrics;

struct zk_trig_server {
	struct zk_loop *loop;
	struct zk_net *net;
	struct zk_metrics *metrics;
	struct zk_trig_server_conf conf;
	struct zk_httpd *httpd, *metrics_httpd;
	struct zk_trig_repo *repo;
	struct zk_trig_keys *keys;
	struct zk_trig_limiter *limiter;
	struct zk_trig_limit *keygen_limit;
	struct zk_trig_deliver *deliver;
	struct zk_trig_api_metrics *m;
	struct zk_buf head; /* scratch: header lines of the answer being written */
	struct zk_buf body; /* scratch: its body */
	struct zk_list streams;
	struct zk_timer *beat; /* comments on event streams */
	bool draining;
	unsigned drain_left; /* parts not drained yet */
	void (*drained)(void *ctx);
	void *drained_ctx;
	int64_t start_us;
};

/* What goes on when the rate limit has been asked. */
typedef void (*zk_trig_go_fn)(struct zk_trig_call *c, bool taken);

/* Lives in the user area of the request. */
struct zk_trig_call {
	struct zk_trig_server *s;
	struct zk_httpd_req *req;
	const struct zk_trig_endpoint *e;
	struct zk_trig_caller *caller; /* referenced */
	zk_str request_id;
	zk_str origin; /* value for Access-Control-Allow-Origin, n == 0 = none */
	bool limited;  /* `verdict` is set: X-RateLimit-* headers are due */
	bool close;
	struct zk_trig_verdict verdict;
	int64_t auth_us, limit_us;
	zk_trig_go_fn go; /* waits for the rate limit */
	void *op;         /* of the endpoint */
	char id_text[ZK_UUID_TEXT];
};

/* The call of a request, made on first use. */
struct zk_trig_call *zk_trig_call_of(struct zk_trig_server *s, struct zk_httpd_req *req);

/* Answers with a JSON body; adds every common header. `extra` are further header lines. The call
 * is over. */
void zk_trig_reply(struct zk_trig_call *c, int status, zk_str extra, zk_str body);
/* The same with another Content-Type ("" = none). */
void zk_trig_reply_type(struct zk_trig_call *c, int status, const char *type,
                        zk_str extra, zk_str body);
/* The common header lines into s->head (also for event streams). */
void zk_trig_common_headers(struct zk_trig_call *c, const char *type, zk_str extra);

/* One error answer of §4. `members` is raw JSON put behind the common ones (",\"x\":1"), or n 0;
 * `extra` as above. */
struct zk_trig_problem {
	int status;
	const char *code, *error;
	zk_str members, extra;
	bool close;
};
void zk_trig_fail(struct zk_trig_call *c, const struct zk_trig_problem *p,
                  const char *fmt, ...) ZK_PRINTF(3, 4);

/* Frequent ones. */
void zk_trig_fail_json(struct zk_trig_call *c, size_t position, const char *why);
void zk_trig_fail_request(struct zk_trig_call *c, const char *error, const char *message);
void zk_trig_fail_store(struct zk_trig_call *c, const struct zk_trig_op *op);
void zk_trig_fail_not_found(struct zk_trig_call *c); /* event_not_found */
void zk_trig_fail_busy(struct zk_trig_call *c);      /* system_capacity_exceeded */

/* 422: fields are added one by one, then the answer is sent. */
struct zk_trig_invalid {
	struct zk_buf json; /* array elements */
	unsigned n;
};
void zk_trig_invalid_add(struct zk_trig_invalid *v, const char *field,
                         const char *message);
void zk_trig_invalid_reply(struct zk_trig_call *c, struct zk_trig_invalid *v);

/* After the queue refused or an operation failed while another loop turn passed. */
void zk_trig_count_error(struct zk_trig_server *s, const char *kind);
void zk_trig_count_invalid(struct zk_trig_server *s, const char *type);

/* The fields of an inbox row as one JSON object, without line breaks (reading thread). */
void zk_trig_row_json(struct zk_buf *b, const struct zk_trig_row *row);
void zk_trig_time_json(struct zk_buf *b, int64_t us); /* "…" or null */
void zk_trig_uuid_json(struct zk_buf *b, const zk_uuid *id);

/* The organization's limit per minute (its own or its tier's); 0 = unlimited. */
uint64_t zk_trig_limit_of(const struct zk_trig_server *s, const struct zk_trig_org *org);
/* Counts n events of the caller. Where another server may have to be asked, ZK_TRIG_TAKE_LATER:
 * then `go` hears later whether there was room. Without room the call is answered with 429. */
enum zk_trig_taken { ZK_TRIG_TAKEN, ZK_TRIG_NO_ROOM, ZK_TRIG_TAKE_LATER };
enum zk_trig_taken zk_trig_take(struct zk_trig_call *c, uint64_t n, zk_trig_go_fn go);
/* The client's address, through trusted proxies; 16 bytes, v4-mapped. */
void zk_trig_client(struct zk_trig_call *c, uint8_t ip[16]);
/* After an organization changed: every cache and the delivery stage hear of it. */
void zk_trig_org_changed(struct zk_trig_server *s, const zk_uuid *org, bool reset);

/* Endpoints, by file. */
void zk_trig_api_event_post(struct zk_trig_call *c);  /* api_event.c */
void zk_trig_api_event_batch(struct zk_trig_call *c); /* api_batch.c */
void zk_trig_api_inbox(struct zk_trig_call *c);       /* api_inbox.c */
void zk_trig_api_event_get(struct zk_trig_call *c);
void zk_trig_api_ack_one(struct zk_trig_call *c); /* api_ack.c */
void zk_trig_api_ack_many(struct zk_trig_call *c);
void zk_trig_api_replay_one(struct zk_trig_call *c);
void zk_trig_api_replay_many(struct zk_trig_call *c);
void zk_trig_api_key_generate(struct zk_trig_call *c); /* api_key.c */
void zk_trig_api_key_info(struct zk_trig_call *c);
void zk_trig_api_key_rotate(struct zk_trig_call *c);
void zk_trig_api_webhook_set(struct zk_trig_call *c); /* api_webhook.c */
void zk_trig_api_webhook_get(struct zk_trig_call *c);
void zk_trig_api_webhook_secret(struct zk_trig_call *c);
void zk_trig_api_webhook_test(struct zk_trig_call *c);
void zk_trig_api_stream(struct zk_trig_call *c); /* api_stream.c */
void zk_trig_api_health(struct zk_trig_call *c); /* api_health.c */
void zk_trig_api_health_service(struct zk_trig_call *c);
void zk_trig_api_live(struct zk_trig_call *c);
void zk_trig_api_ready(struct zk_trig_call *c);
void zk_trig_api_detailed(struct zk_trig_call *c);
void zk_trig_api_metrics_get(struct zk_trig_call *c);
void zk_trig_api_openapi(struct zk_trig_call *c);
void zk_trig_api_root(struct zk_trig_call *c);

/* Hooks for the server (api.c). */
enum zk_httpd_next zk_trig_on_head(void *ctx, struct zk_httpd_req *req);
void zk_trig_on_body(void *ctx, struct zk_httpd_req *req);
void zk_trig_on_error(void *ctx, struct zk_httpd_req *req, int status, const char *detail,
                      const char *allow);
bool zk_trig_on_options(void *ctx, struct zk_httpd_req *req, const char *allow);
void zk_trig_on_finish(void *ctx, struct zk_httpd_req *req, int status, int64_t micros);
/* Wakes the event streams of `org` (api_stream.c); closes all of them. */
void zk_trig_streams_wake(struct zk_trig_server *s, const zk_uuid *org);
void zk_trig_streams_beat(void *ctx);
void zk_trig_streams_close(struct zk_trig_server *s);

/* Metrics of the API (api_metrics.c). */
struct zk_trig_api_metrics *zk_trig_api_metrics_new(struct zk_trig_server *s);
void zk_trig_api_metrics_free(struct zk_trig_api_metrics *m);
void zk_trig_metric_request(struct zk_trig_server *s, const struct zk_trig_endpoint *e,
                            int status, int64_t micros);
void zk_trig_metric_auth(struct zk_trig_server *s, bool ok, int64_t micros);
void zk_trig_metric_limit(struct zk_trig_server *s, bool ok, int64_t micros);
void zk_trig_metric_accepted(struct zk_trig_server *s, uint64_t n, int64_t micros);
void zk_trig_metric_duplicate(struct zk_trig_server *s);

#endif
