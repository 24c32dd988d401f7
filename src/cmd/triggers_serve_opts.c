/* The option table of `zk triggers serve` (specs/triggers.md §13, §2) and its foreign variables.
 * Layer: cmd. */
#include "cmd/triggers_serve_opts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

#define OFF(m) .off = offsetof(struct serve_opts, m)

static const char *const durabilities[] = { "full", "process", NULL };
static const char *const prefixes[] = { "live", "test", NULL };
static const char *const bodies[] = { "standard", "legacy", NULL };
static const char *const algorithms[] = { "fixed", "sliding", NULL };

#define G_STORE "Store"
#define G_DELIV "Delivery"
#define G_KEYS  "Keys and limits"
#define G_HTTP  "HTTP limits"

const struct zk_opt zk_triggers_serve_opts[] = {
	{ .type = ZK_OPT_LIST,
	  .name = "listen",
	  .meta = "ADDR",
	  OFF(listen),
	  .def = "localhost:8080",
	  .flags = ZK_OPT_F_COMMA,
	  .help = "HOST:PORT, [V6]:PORT, :PORT or unix:PATH; port 0 takes a free one" },
	{ .type = ZK_OPT_STR,
	  .name = "metrics-listen",
	  .meta = "ADDR",
	  OFF(metrics_listen),
	  .help = "serve /metrics here and not on the main address" },
	{ .type = ZK_OPT_LIST,
	  .name = "cors",
	  .meta = "ORIGIN",
	  OFF(cors),
	  .def = "*",
	  .flags = ZK_OPT_F_COMMA | ZK_OPT_RELOAD,
	  .help = "origins that browsers may call from; '*' any, 'off' none" },
	{ .type = ZK_OPT_BOOL,
	  .name = "ui",
	  .def = "true",
	  OFF(ui),
	  .flags = ZK_OPT_RELOAD,
	  .help = "serve the built-in page at /" },
	{ .type = ZK_OPT_BOOL,
	  .name = "dev",
	  OFF(dev),
	  .flags = ZK_OPT_NO_CONF,
	  .help = "try it: temporary store, private webhooks, one key made and shown" },

	{ .type = ZK_OPT_STR,
	  .name = "db",
	  .meta = "PATH|URL",
	  OFF(db),
	  .group = G_STORE,
	  .complete = "file",
	  .help = "database file, or postgres://… shared by several servers",
	  .text = "A relative path is taken from the state directory. The default is "
	          "triggers.db there. With PostgreSQL the password belongs into "
	          "PGPASSFILE "
	          "or DATABASE_URL, and every server needs the same "
	          "--webhook-secret-file." },
	{ .type = ZK_OPT_UINT,
	  .name = "db-connections",
	  .meta = "N",
	  .def = "8",
	  .min = 1,
	  .max = 1000,
	  OFF(db_connections),
	  .group = G_STORE,
	  .help = "connections to a database server" },
	{ .type = ZK_OPT_ENUM,
	  .name = "durability",
	  .meta = "LEVEL",
	  .def = "full",
	  .values = durabilities,
	  OFF(durability),
	  .group = G_STORE,
	  .help = "what an accepted event survives: power cut, or process kill" },
	{ .type = ZK_OPT_DURATION,
	  .name = "dedup-window",
	  .meta = "D",
	  .def = "24h",
	  OFF(dedup_window_ms),
	  .group = G_STORE,
	  .help = "how long a dedup_id is remembered; 0 for ever" },
	{ .type = ZK_OPT_DURATION,
	  .name = "retain-delivered",
	  .meta = "D",
	  .def = "7d",
	  OFF(retain_delivered_ms),
	  .group = G_STORE,
	  .help = "delete delivered events after this; 0 never" },
	{ .type = ZK_OPT_DURATION,
	  .name = "retain-failed",
	  .meta = "D",
	  .def = "30d",
	  OFF(retain_failed_ms),
	  .group = G_STORE,
	  .help = "delete failed events after this; 0 never" },
	{ .type = ZK_OPT_DURATION,
	  .name = "retain-pending",
	  .meta = "D",
	  .def = "0",
	  OFF(retain_pending_ms),
	  .group = G_STORE,
	  .help = "delete pending events after this; 0 never" },
	{ .type = ZK_OPT_STR,
	  .name = "redis",
	  .meta = "URL",
	  OFF(redis),
	  .group = G_STORE,
	  .help = "shared rate limits of several servers" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "webhook-secret",
	  OFF(webhook_secret),
	  .group = G_STORE,
	  .help = "server secret; default: server.secret beside the database" },
	{ .type = ZK_OPT_BOOL,
	  .name = "accept-new-secret",
	  OFF(accept_new_secret),
	  .flags = ZK_OPT_NO_CONF,
	  .group = G_STORE,
	  .help = "start although the server secret changed" },

	{ .type = ZK_OPT_BOOL,
	  .name = "delivery",
	  .def = "true",
	  OFF(delivery),
	  .group = G_DELIV,
	  .help = "deliver events to webhooks" },
	{ .type = ZK_OPT_UINT,
	  .name = "delivery-max",
	  .meta = "N",
	  .def = "256",
	  .min = 1,
	  .max = 4096,
	  OFF(delivery_max),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "webhook requests in flight" },
	{ .type = ZK_OPT_DURATION,
	  .name = "delivery-timeout",
	  .meta = "D",
	  .def = "10s",
	  .min = 1,
	  .max = 300000,
	  OFF(delivery_timeout_ms),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "time for one webhook request" },
	{ .type = ZK_OPT_ENUM,
	  .name = "delivery-body",
	  .meta = "FORM",
	  .def = "standard",
	  .values = bodies,
	  OFF(delivery_body),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "members of the webhook body" },
	{ .type = ZK_OPT_STR,
	  .name = "retry-schedule",
	  .meta = "LIST",
	  OFF(retry_schedule),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "waits between attempts, 'seed' or 'standard'",
	  .text = "The default is 5s,30s,2m,10m,1h,6h,24h." },
	{ .type = ZK_OPT_BOOL,
	  .name = "allow-private-webhooks",
	  OFF(allow_private_webhooks),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "let webhooks reach private and local addresses" },
	{ .type = ZK_OPT_LIST,
	  .name = "webhook-allow",
	  .meta = "CIDR",
	  OFF(webhook_allow),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD | ZK_OPT_F_COMMA,
	  .help = "let webhooks reach this range (repeatable)" },
	{ .type = ZK_OPT_BOOL,
	  .name = "require-https",
	  OFF(require_https),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "refuse http webhooks" },
	{ .type = ZK_OPT_STR,
	  .name = "webhook-proxy",
	  .meta = "URL",
	  OFF(proxy),
	  .group = G_DELIV,
	  .help = "proxy for webhook requests" },
	{ .type = ZK_OPT_URL,
	  .name = "alert-url",
	  .meta = "URL",
	  OFF(alert_url),
	  .group = G_DELIV,
	  .flags = ZK_OPT_RELOAD,
	  .help = "told once an hour and organization about dead letters" },
	{ .type = ZK_OPT_UINT,
	  .name = "webhook-max-retries",
	  .meta = "N",
	  .def = "0",
	  .max = 100,
	  OFF(max_retries),
	  .group = G_DELIV,
	  .flags = ZK_OPT_HIDDEN,
	  .help = "attempts in all; 0 = those of the schedule" },
	{ .type = ZK_OPT_FLOAT,
	  .name = "webhook-backoff-base",
	  .meta = "B",
	  .def = "0",
	  OFF(backoff_base),
	  .group = G_DELIV,
	  .flags = ZK_OPT_HIDDEN,
	  .help = "waits of B^0, B^1 … seconds when no schedule is given" },

	{ .type = ZK_OPT_MAP,
	  .name = "rate-limit",
	  .meta = "TIER=N",
	  OFF(rate_limit),
	  .group = G_KEYS,
	  .flags = ZK_OPT_RELOAD,
	  .help = "events per minute of a tier; 0 = unlimited (repeatable)",
	  .text = "The tiers are free (100), pro (1,000), business (10,000) and "
	          "enterprise "
	          "(100,000)." },
	{ .type = ZK_OPT_ENUM,
	  .name = "rate-limit-algorithm",
	  .meta = "NAME",
	  .def = "fixed",
	  .values = algorithms,
	  OFF(rate_limit_algorithm),
	  .group = G_KEYS,
	  .flags = ZK_OPT_RELOAD,
	  .help = "how the minute is counted" },
	{ .type = ZK_OPT_ENUM,
	  .name = "key-prefix",
	  .meta = "KIND",
	  .def = "live",
	  .values = prefixes,
	  OFF(key_prefix),
	  .group = G_KEYS,
	  .help = "zap_live_ or zap_test_ keys" },
	{ .type = ZK_OPT_SECRET_REF,
	  .name = "admin-token",
	  OFF(admin_token),
	  .group = G_KEYS,
	  .flags = ZK_OPT_RELOAD,
	  .help = "making organizations needs this token" },
	{ .type = ZK_OPT_UINT,
	  .name = "keygen-per-minute",
	  .meta = "N",
	  .def = "300",
	  .max = 1000000,
	  OFF(keygen_per_minute),
	  .group = G_KEYS,
	  .flags = ZK_OPT_RELOAD,
	  .help = "organizations made per minute and client; 0 = unlimited" },
	{ .type = ZK_OPT_BOOL,
	  .name = "key-mac",
	  .def = "true",
	  OFF(key_mac),
	  .group = G_KEYS,
	  .help = "keep a keyed digest beside each Argon2id hash" },
	{ .type = ZK_OPT_UINT,
	  .name = "hash-lanes",
	  .meta = "N",
	  .def = "1",
	  .min = 1,
	  .max = 16,
	  OFF(hash_lanes),
	  .group = G_KEYS,
	  .help = "threads that compute Argon2id" },

	{ .type = ZK_OPT_SIZE,
	  .name = "max-payload",
	  .meta = "SIZE",
	  .def = "256KiB",
	  .min = 1,
	  .max = 64 << 20,
	  OFF(max_payload),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "payload of one event" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-body",
	  .meta = "SIZE",
	  .def = "512KiB",
	  .min = 1024,
	  .max = 128 << 20,
	  OFF(max_body),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "body of one request" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-depth",
	  .meta = "N",
	  .def = "64",
	  .min = 1,
	  .max = 1000,
	  OFF(max_depth),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "nesting of JSON" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-head",
	  .meta = "SIZE",
	  .def = "16KiB",
	  .min = 1024,
	  .max = 1 << 20,
	  OFF(max_head),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "request line and headers" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-header-lines",
	  .meta = "N",
	  .def = "100",
	  .min = 1,
	  .max = ZK_HTTP1_MAX_HEADERS,
	  OFF(max_header_lines),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "header lines of a request" },
	{ .type = ZK_OPT_SIZE,
	  .name = "max-target",
	  .meta = "SIZE",
	  .def = "8KiB",
	  .min = 256,
	  .max = 1 << 20,
	  OFF(max_target),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "request target" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-connections",
	  .meta = "N",
	  .def = "4096",
	  .min = 1,
	  .max = 1000000,
	  OFF(max_connections),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "open connections" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-connections-per-client",
	  .meta = "N",
	  .def = "256",
	  .min = 1,
	  .max = 1000000,
	  OFF(max_connections_per_client),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "of one address; loopback is exempt" },
	{ .type = ZK_OPT_UINT,
	  .name = "max-requests",
	  .meta = "N",
	  .def = "10000",
	  .min = 1,
	  .max = INT32_MAX,
	  OFF(max_requests),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "requests on one connection" },
	{ .type = ZK_OPT_DURATION,
	  .name = "head-timeout",
	  .meta = "D",
	  .def = "10s",
	  .min = 1,
	  .max = 3600000,
	  OFF(head_timeout_ms),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "time to finish the head of a request" },
	{ .type = ZK_OPT_DURATION,
	  .name = "body-timeout",
	  .meta = "D",
	  .def = "20s",
	  .min = 1,
	  .max = 3600000,
	  OFF(body_timeout_ms),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "time to finish a body, and 1 s per 16 KiB of it" },
	{ .type = ZK_OPT_DURATION,
	  .name = "idle-timeout",
	  .meta = "D",
	  .def = "75s",
	  .min = 1,
	  .max = 3600000,
	  OFF(idle_timeout_ms),
	  .group = G_HTTP,
	  .flags = ZK_OPT_RELOAD,
	  .help = "keep an idle connection so long" },
	ZK_OPT_END,
};

typedef int set_fn(struct zk_app *, const char *opt, const char *value, const char *var,
                   struct zk_error *);

/* HOST and PORT: either one given, the other has its default. */
static int listen_env(struct zk_app *app, set_fn *set, struct zk_error *err)
{
	const char *host = getenv("HOST"), *port = getenv("PORT");
	char addr[300];

	if ((!host || !host[0]) && (!port || !port[0]))
		return 0;
	(void)snprintf(addr, sizeof(addr), "%s:%s", host && host[0] ? host : "0.0.0.0",
	               port && port[0] ? port : "8080");
	return set(app, "listen", addr, port && port[0] ? "PORT" : "HOST", err);
}

static int rate_env(struct zk_app *app, set_fn *set, struct zk_error *err)
{
	static const char *const vars[][2] = { { "RATE_LIMIT_FREE", "free" },
		                               { "RATE_LIMIT_PRO", "pro" },
		                               { "RATE_LIMIT_BUSINESS", "business" },
		                               { "RATE_LIMIT_ENTERPRISE",
		                                 "enterprise" } };
	char pair[64];

	for (size_t i = 0; i < ZK_ARRAY_LEN(vars); i++) {
		const char *v = getenv(vars[i][0]);

		if (!v || !v[0])
			continue;
		(void)snprintf(pair, sizeof(pair), "%s=%s", vars[i][1], v);
		int r = set(app, "rate-limit", pair, vars[i][0], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* METRICS_PORT and WEBHOOK_TIMEOUT are bare numbers. */
static int number_env(struct zk_app *app, set_fn *set, struct zk_error *err)
{
	const char *port = getenv("METRICS_PORT"), *timeout = getenv("WEBHOOK_TIMEOUT");
	const char *off = getenv("DISABLE_WEBHOOK_DELIVERY");
	char text[64];
	int r = 0;

	if (port && port[0]) {
		(void)snprintf(text, sizeof(text), ":%s", port);
		r = set(app, "metrics-listen", text, "METRICS_PORT", err);
	}
	if (r == 0 && timeout && timeout[0]) {
		(void)snprintf(text, sizeof(text), "%ss", timeout);
		r = set(app, "delivery-timeout", text, "WEBHOOK_TIMEOUT", err);
	}
	if (r == 0 && off && (strcmp(off, "true") == 0 || strcmp(off, "1") == 0))
		r = set(app, "delivery", "false", "DISABLE_WEBHOOK_DELIVERY", err);
	return r;
}

int zk_triggers_serve_env(struct zk_app *app,
                          int (*set)(struct zk_app *, const char *opt, const char *value,
                                     const char *var, struct zk_error *),
                          struct zk_error *err)
{
	static const char *const plain[][2] = {
		{ "DATABASE_URL", "db" },
		{ "MAX_DB_CONNECTIONS", "db-connections" },
		{ "DB_POOL_SIZE", "db-connections" },
		{ "REDIS_URL", "redis" },
		{ "DELIVERY_WORKER_COUNT", "delivery-max" },
		{ "WEBHOOK_MAX_RETRIES", "webhook-max-retries" },
		{ "WEBHOOK_RETRY_BACKOFF_BASE", "webhook-backoff-base" },
	};
	const char *secret = getenv("WEBHOOK_SECRET");
	int r = listen_env(app, set, err);

	if (r == 0 && secret && secret[0])
		r = set(app, "webhook-secret", "env:WEBHOOK_SECRET", "WEBHOOK_SECRET",
		        err);

	if (r == 0)
		r = rate_env(app, set, err);
	if (r == 0)
		r = number_env(app, set, err);
	for (size_t i = 0; i < ZK_ARRAY_LEN(plain) && r == 0; i++) {
		const char *v = getenv(plain[i][0]);

		if (v && v[0])
			r = set(app, plain[i][1], v, plain[i][0], err);
	}
	return r;
}
