/* From the options of `zk triggers serve` to the configuration of the server.
 * Layer: cmd. specs/triggers.md §13. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/triggers_db.h"
#include "cmd/triggers_serve_opts.h"
#include "store/pg.h"
#include "triggers/sign.h"

#include "base/ban.h"

#define QUEUE_EVENTS       10000
#define QUEUE_BYTES        (64 * 1024 * 1024)
#define CONNECT_TIMEOUT_MS 5000
#define LEASE_SPARE_MS     30000
#define PER_ORG            10
#define PER_HOST           20
#define BODY_BYTES_PER_S   (16 * 1024)
#define MAX_BACKOFF_S      (7 * 86400.0)

static const uint64_t default_limits[ZK_TRIG_TIERS] = { 100, 1000, 10000, 100000 };

void zk_serve_conf_done(struct serve_conf *c)
{
	zk_buf_done(&c->secret);
	zk_buf_done(&c->admin_token);
	zk_secret_free(c->db);
	free(c->db_text);
	zk_redis_url_done(&c->redis);
	free(c->allow);
	free(c->trusted);
	if (c->dev_dir) {
		char path[512];
		static const char *const names[] = { "triggers.db", "triggers.db-wal",
			                             "triggers.db-shm",
			                             "triggers.db.lock",
			                             "server.secret" };

		for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++) {
			(void)snprintf(path, sizeof(path), "%s/%s", c->dev_dir, names[i]);
			(void)unlink(path);
		}
		(void)rmdir(c->dev_dir);
		free(c->dev_dir);
	}
	memset(c, 0, sizeof(*c));
}

/* ---- store ------------------------------------------------------------------------------ */

static int make_dev(struct serve_conf *c, struct zk_error *err)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = zk_asprintf("%s/zk-dev.XXXXXX", tmp && tmp[0] ? tmp : "/tmp");

	if (!mkdtemp(dir)) {
		free(dir);
		return zk_fail(err, ZK_E_CREATE,
		               "cannot make a temporary folder for --dev");
	}
	c->dev_dir = dir;
	c->db = zk_asprintf("%s/triggers.db", dir);
	return 0;
}

static int make_db(struct zk_app *app, const struct serve_opts *o, struct serve_conf *c,
                   struct zk_error *err)
{
	return o->dev ? make_dev(c, err)
	              : trig_db_any(app, o->db, /* make */ true, &c->db, &c->pg, err);
}

/* With a database server the secret cannot lie beside the database: every server has to be given
 * the same one. */
static int need_secret(const struct serve_opts *o, struct zk_error *err)
{
	if (o->webhook_secret.kind != ZK_SECRET_NONE)
		return 0;
	(void)zk_fail(err, ZK_E_SECRET, "PostgreSQL needs --webhook-secret-file");
	return zk_err_hint(err,
	                   "make one with 'openssl rand -base64 32' and give the same "
	                   "to every server on this database");
}

static void name_db(struct serve_conf *c)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, 4096);
	if (c->pg)
		zk_pg_describe(c->db, &b);
	else
		zk_buf_cstr(&b, c->db);
	c->db_text = zk_buf_take(&b);
}

static int make_store(struct zk_app *app, const struct serve_opts *o,
                      struct serve_conf *c, struct zk_error *err)
{
	struct zk_trig_repo_conf *r = &c->conf.repo;
	struct zk_buf given ZK_CLEANUP(zk_buf_done) = { 0 };

	if (make_db(app, o, c, err) < 0 || (c->pg && need_secret(o, err) < 0))
		return -(int)err->code;
	name_db(c);
	zk_buf_init_secret(&given, ZK_SECRET_MAX);
	zk_buf_init_secret(&c->secret, ZK_SECRET_MAX);
	if (o->webhook_secret.kind != ZK_SECRET_NONE &&
	    zk_secret_load(&o->webhook_secret, &given, err) < 0)
		return -(int)err->code;
	if (zk_trig_secret_load(zk_buf_str(&given), c->pg ? NULL : c->db, &c->secret,
	                        err) < 0)
		return -(int)err->code;
	c->conf.server_secret = zk_buf_str(&c->secret);
	r->db = c->db;
	r->full = o->durability == 0;
	r->dedup_window_us = o->dedup_window_ms * 1000;
	r->retain_delivered_us = o->retain_delivered_ms * 1000;
	r->retain_failed_us = o->retain_failed_ms * 1000;
	r->retain_pending_us = o->retain_pending_ms * 1000;
	r->queue_events = QUEUE_EVENTS;
	r->queue_bytes = QUEUE_BYTES;
	r->connections = (int)o->db_connections;
	/* Connecting, the request itself, and what a busy machine adds. */
	r->lease_us =
	        (o->delivery_timeout_ms + CONNECT_TIMEOUT_MS + LEASE_SPARE_MS) * 1000;
	r->accept_new_secret = o->accept_new_secret;
	zk_trig_secret_derive(c->conf.server_secret, "zk-check-v1", ZK_STR_NULL,
	                      r->secret_check);
	return 0;
}

/* ---- keys and limits --------------------------------------------------------------------- */

static int make_limits(const struct serve_opts *o, struct zk_trig_server_conf *conf,
                       struct zk_error *err)
{
	memcpy(conf->rate_limit, default_limits, sizeof(default_limits));
	for (size_t i = 0; i < o->rate_limit.n; i++) {
		zk_str name,
		        value = zk_str_cut(zk_str_of(o->rate_limit.v[i]), '=', &name);
		enum zk_trig_tier tier;

		if (!zk_trig_tier_parse(name, &tier))
			return zk_fail(
			        err, ZK_E_USAGE,
			        "--rate-limit: '%.*s' is not one of free, pro, business, "
			        "enterprise",
			        ZK_STR_ARG(name));
		if (zk_parse_u64(value, &conf->rate_limit[tier], err) < 0)
			return zk_wrap(err, "--rate-limit");
	}
	return 0;
}

static int make_keys(const struct serve_opts *o, struct serve_conf *c,
                     struct zk_error *err)
{
	struct zk_trig_keys_conf *k = &c->conf.keys;

	k->test_prefix = o->key_prefix == 1;
	k->key_mac = o->key_mac;
	k->hash_lanes = (unsigned)o->hash_lanes;
	zk_trig_secret_derive(c->conf.server_secret, "zk-key-mac-v1", ZK_STR_NULL,
	                      k->mac_key);
	zk_buf_init_secret(&c->admin_token, ZK_SECRET_MAX);
	if (o->admin_token.kind != ZK_SECRET_NONE &&
	    zk_secret_load(&o->admin_token, &c->admin_token, err) < 0)
		return -(int)err->code;
	c->conf.admin_token = zk_buf_str(&c->admin_token);
	c->conf.keygen_per_minute = o->keygen_per_minute;
	c->conf.sliding = o->rate_limit_algorithm == 1;
	return make_limits(o, &c->conf, err);
}

/* ---- delivery ----------------------------------------------------------------------------- */

/* WEBHOOK_MAX_RETRIES and WEBHOOK_RETRY_BACKOFF_BASE of earlier servers (§8.3). */
static void apply_legacy_schedule(const struct serve_opts *o,
                                  struct zk_trig_deliver_conf *d)
{
	if (o->backoff_base > 0 && !(o->retry_schedule && o->retry_schedule[0])) {
		unsigned n = o->max_retries ? (unsigned)o->max_retries - 1 : d->n_steps;

		d->n_steps = ZK_MIN(n, ZK_TRIG_MAX_STEPS);
		d->jitter = false;
		for (unsigned i = 0; i < d->n_steps; i++)
			d->steps_ms[i] =
			        llround(1000 * fmin(pow(o->backoff_base, (double)i),
			                            MAX_BACKOFF_S));
	}
	if (o->max_retries && d->n_steps > o->max_retries - 1)
		d->n_steps = (unsigned)o->max_retries - 1;
}

static int parse_ranges(const struct zk_strlist *list, const char *option,
                        struct zk_cidr **ret, size_t *n, struct zk_error *err)
{
	*ret = zk_alloc_array(list->n + 1, sizeof(**ret));
	for (size_t i = 0; i < list->n; i++) {
		if (zk_cidr_parse(zk_str_of(list->v[i]), &(*ret)[i], err) < 0)
			return zk_wrap(err, "%s", option);
	}
	*n = list->n;
	return 0;
}

static int make_delivery(const struct serve_opts *o, struct serve_conf *c,
                         struct zk_error *err)
{
	struct zk_trig_deliver_conf *d = &c->conf.deliver;

	d->enabled = o->delivery;
	d->legacy_body = o->delivery_body == 1;
	d->max_in_flight = (unsigned)o->delivery_max;
	d->per_org = PER_ORG;
	d->per_host = PER_HOST;
	d->timeout_ms = o->delivery_timeout_ms;
	d->connect_timeout_ms = ZK_MIN(CONNECT_TIMEOUT_MS, o->delivery_timeout_ms);
	d->alert_url = o->alert_url;
	d->server_secret = c->conf.server_secret;
	d->user_agent = "zk-triggers/" ZK_VERSION;
	if (zk_trig_schedule_parse(zk_str_of(o->retry_schedule), d, err) < 0)
		return zk_wrap(err, "--retry-schedule");
	apply_legacy_schedule(o, d);
	d->guard.allow_all = o->allow_private_webhooks || o->dev;
	if (parse_ranges(&o->webhook_allow, "--webhook-allow", &c->allow,
	                 &d->guard.n_allow, err) < 0)
		return -(int)err->code;
	d->guard.allow = c->allow;
	c->conf.private_allowed = d->guard.allow_all || d->guard.n_allow;
	return 0;
}

/* ---- http --------------------------------------------------------------------------------- */

static void make_http(struct zk_app *app, const struct serve_opts *o,
                      struct zk_httpd_conf *h)
{
	zk_httpd_conf_init(h);
	h->head.max_head = o->max_head;
	h->head.max_target = o->max_target;
	h->head.max_lines = (unsigned)o->max_header_lines;
	h->max_body = o->max_body;
	h->max_connections = (unsigned)o->max_connections;
	h->max_connections_per_client = (unsigned)o->max_connections_per_client;
	h->max_requests = (unsigned)o->max_requests;
	h->head_timeout_ms = o->head_timeout_ms;
	h->body_timeout_ms = o->body_timeout_ms;
	h->idle_timeout_ms = o->idle_timeout_ms;
	h->body_bytes_per_s = BODY_BYTES_PER_S;
	h->tls_cert = app->serve.tls_cert;
	h->tls_key = app->serve.tls_key;
}

static int make_all(struct zk_app *app, const struct serve_opts *o, struct serve_conf *c,
                    struct zk_error *err)
{
	struct zk_trig_server_conf *conf = &c->conf;

	if (o->redis && o->redis[0]) {
		if (zk_redis_url_parse(zk_str_of(o->redis), &c->redis, err) < 0)
			return zk_wrap(err, "--redis");
		conf->redis = &c->redis;
	}
	conf->listen = (const char *const *)o->listen.v;
	conf->n_listen = o->listen.n;
	conf->metrics_listen = o->metrics_listen;
	conf->max_payload = o->max_payload;
	conf->max_depth = o->max_depth;
	conf->require_https = o->require_https;
	conf->ui = o->ui;
	if (!(o->cors.n == 1 && strcmp(o->cors.v[0], "off") == 0)) {
		conf->cors = (const char *const *)o->cors.v;
		conf->n_cors = o->cors.n;
	}
	make_http(app, o, &conf->http);
	/* A payload may be as large as its limit plus the event around it. */
	if (conf->max_payload > conf->http.max_body)
		return zk_fail(err, ZK_E_CONFIG,
		               "--max-payload is larger than --max-body");
	if (parse_ranges(&app->serve.trusted_proxies, "--trusted-proxy", &c->trusted,
	                 &conf->n_trusted, err) < 0)
		return -(int)err->code;
	conf->trusted = c->trusted;
	if (make_store(app, o, c, err) < 0 || make_keys(o, c, err) < 0 ||
	    make_delivery(o, c, err) < 0)
		return -(int)err->code;
	return 0;
}

int zk_serve_conf_make(struct zk_app *app, const struct serve_opts *o,
                       struct serve_conf *ret, struct zk_error *err)
{
	struct serve_conf c = { 0 };

	if (make_all(app, o, &c, err) < 0) {
		zk_serve_conf_done(&c);
		return -(int)err->code;
	}
	*ret = c;
	if (ret->conf.redis)
		ret->conf.redis = &ret->redis; /* it moved */
	return 0;
}
