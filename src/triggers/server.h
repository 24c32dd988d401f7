/* The triggers server: HTTP API, store, keys, limits and delivery joined together.
 * Layer: triggers. Loop thread only. specs/triggers.md. */
#ifndef ZK_TRIGGERS_SERVER_H
#define ZK_TRIGGERS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "net/guard.h"
#include "net/httpd.h"
#include "triggers/deliver.h"
#include "triggers/keys.h"
#include "triggers/model.h"
#include "triggers/repo.h"

struct zk_buf;
struct zk_loop;
struct zk_metrics;
struct zk_net;
struct zk_redis_url;
struct zk_trig_server;

/* Everything is copied where it must outlive the call, except strings, which must live as long
 * as the server (they come from the option set). */
struct zk_trig_server_conf {
	const char *const
	        *listen; /* addresses, where the service manager gives no sockets */
	size_t n_listen;
	const char *metrics_listen; /* NULL = /metrics on the main listener */
	struct zk_httpd_conf
	        http; /* limits, deadlines, TLS; ctx, routes and hooks are ours */
	struct zk_trig_repo_conf repo;
	struct zk_trig_keys_conf keys;
	struct zk_trig_deliver_conf deliver;
	zk_str server_secret;
	zk_str admin_token; /* n == 0: key generation is open */
	uint64_t rate_limit[ZK_TRIG_TIERS];
	bool sliding;
	const struct zk_redis_url
	        *redis; /* shares the limits with other servers; NULL = none */
	uint64_t keygen_per_minute; /* 0 = unlimited */
	uint64_t max_payload, max_depth;
	const char *const *cors; /* NULL = off; one "*" = any */
	size_t n_cors;
	bool require_https, ui, private_allowed;
	struct zk_cidr *trusted;
	size_t n_trusted;
};

/* Opens the store, starts listening. 0, or an error and nothing is left running. */
int zk_trig_server_start(struct zk_loop *l, struct zk_net *net, struct zk_metrics *m,
                         const struct zk_trig_server_conf *conf,
                         struct zk_trig_server **ret, struct zk_error *err) ZK_MUST_USE;
/* Bound address i, NULL past the end; then the metrics listener's. */
const char *zk_trig_server_address(const struct zk_trig_server *s, size_t i);
const char *zk_trig_server_metrics_address(const struct zk_trig_server *s);
const struct zk_trig_health *zk_trig_server_health(const struct zk_trig_server *s);
/* New limits, tiers, CORS, TLS files, admin token, schedule (§12.2 HUP). On failure the old
 * values stay. */
int zk_trig_server_reload(struct zk_trig_server *s,
                          const struct zk_trig_server_conf *conf,
                          struct zk_error *err) ZK_MUST_USE;
/* Closes the listeners, answers what is in progress, lets attempts end; then fn(ctx) (§12.2). */
void zk_trig_server_drain(struct zk_trig_server *s, void (*fn)(void *ctx), void *ctx);
/* Commits the queue, cuts what is left, checkpoints, frees. NULL is fine. */
void zk_trig_server_free(struct zk_trig_server *s);
/* The members of /api/health/detailed, for USR1 and the status page. */
void zk_trig_server_snapshot(struct zk_trig_server *s, struct zk_buf *b);
/* Makes an organization and its key without HTTP (--dev, demo): `done` gets the key text, or
 * NULL. */
void zk_trig_server_make_org(struct zk_trig_server *s, const char *name,
                             enum zk_trig_tier tier,
                             void (*done)(void *ctx, const char *key, const char *org_id),
                             void *ctx);

#endif
