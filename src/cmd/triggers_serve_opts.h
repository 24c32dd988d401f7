/* Options of `zk triggers serve` and the server configuration they make.
 * Layer: cmd. */
#ifndef ZK_CMD_TRIGGERS_SERVE_OPTS_H
#define ZK_CMD_TRIGGERS_SERVE_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cmd.h"
#include "conf/opt.h"
#include "conf/secret.h"
#include "store/redis.h"
#include "triggers/server.h"

struct serve_opts {
	struct zk_strlist listen;
	const char *db, *redis;
	uint64_t db_connections;
	int durability;
	struct zk_secret webhook_secret, admin_token;
	int key_prefix;
	bool key_mac, delivery, require_https, ui, dev, accept_new_secret;
	bool allow_private_webhooks;
	struct zk_strlist webhook_allow;
	uint64_t hash_lanes, keygen_per_minute;
	uint64_t delivery_max;
	int64_t delivery_timeout_ms;
	int delivery_body;
	const char *retry_schedule, *alert_url, *proxy;
	uint64_t max_retries; /* WEBHOOK_MAX_RETRIES */
	double backoff_base;  /* WEBHOOK_RETRY_BACKOFF_BASE */
	struct zk_strlist rate_limit;
	int rate_limit_algorithm;
	int64_t dedup_window_ms;
	struct zk_strlist cors;
	const char *metrics_listen;
	int64_t retain_delivered_ms, retain_failed_ms, retain_pending_ms;
	uint64_t max_head, max_header_lines, max_target, max_body, max_payload, max_depth;
	uint64_t max_connections, max_connections_per_client, max_requests;
	int64_t head_timeout_ms, body_timeout_ms, idle_timeout_ms;
};

extern const struct zk_opt zk_triggers_serve_opts[];
int zk_triggers_serve_env(struct zk_app *app,
                          int (*set)(struct zk_app *, const char *opt, const char *value,
                                     const char *var, struct zk_error *),
                          struct zk_error *err);

/* What the options become; owns the lists and secrets that the configuration points to. */
struct serve_conf {
	struct zk_trig_server_conf conf;
	struct zk_buf secret, admin_token;
	char *db;      /* file or URL */
	char *db_text; /* for people: without a password */
	bool pg;
	char *dev_dir; /* temporary folder of --dev, removed at the end */
	struct zk_redis_url redis;
	struct zk_cidr *allow, *trusted;
};

/* 0, or an error naming the option; then nothing has to be freed. */
int zk_serve_conf_make(struct zk_app *app, const struct serve_opts *o,
                       struct serve_conf *ret, struct zk_error *err) ZK_MUST_USE;
void zk_serve_conf_done(struct serve_conf *c);

#endif
