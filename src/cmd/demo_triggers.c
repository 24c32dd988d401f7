/* The triggers stage of `zk demo`: a real server, killed in the middle, and a sink that checks
 * every signature.
 * Layer: cmd. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cmd/demo.h"
#include "codec/json.h"
#include "net/httpd.h"
#include "rt/child.h"
#include "rt/loop.h"
#include "triggers/client.h"
#include "triggers/sign.h"

#include "base/ban.h"

#define EVENTS     200
#define KILL_AFTER 100
#define FAIL_EVERY 20 /* the sink answers 500 to every so manieth event once */
#define START_MS   10000
#define DELIVER_MS 15000
#define MAX_ANSWER (4 * 1024 * 1024)

struct tour_server {
	struct demo *d;
	struct zk_child *child;
	char *ready, *db;
	char url[64];
	char key[128], secret[128];
	struct zk_trig_client client;
	struct zk_httpd *sink;
	struct zk_map accepted; /* event id → itself */
	struct zk_map seen;     /* event id → number of deliveries */
	struct zk_map failed;   /* event ids that got a 500 once */
	unsigned valid, forged, retried, repeated, duplicates;
	double ms[EVENTS];
	unsigned n_ms;
	bool exited;
};

/* ---- the sink ----------------------------------------------------------------------------- */

static bool is_valid(struct tour_server *t, struct zk_httpd_req *req)
{
	struct zk_buf key ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_error err = { 0 };
	struct zk_trig_signed msg = {
		.id = zk_httpd_header(req, ZK_STR("webhook-id")),
		.timestamp = zk_httpd_header(req, ZK_STR("webhook-timestamp")),
		.signatures = zk_httpd_header(req, ZK_STR("webhook-signature")),
		.body = zk_httpd_body(req),
	};

	zk_buf_init_secret(&key, 256);
	return zk_trig_secret_parse(zk_str_of(t->secret), &key, &err) == 0 &&
	       zk_trig_verify(zk_buf_str(&key), &msg, zk_wall_us() / 1000000, 300,
	                      &err) == 0;
}

static void on_webhook(void *ctx, struct zk_httpd_req *req)
{
	struct tour_server *t = ctx;
	zk_str id = zk_httpd_header(req, ZK_STR("webhook-id"));
	int status = 200;

	if (!is_valid(t, req)) {
		t->forged++;
		status = 401;
	} else if (++t->valid % FAIL_EVERY == 0 && !zk_map_get(&t->failed, id)) {
		(void)zk_map_set(&t->failed, id, t);
		t->retried++;
		status = 500;
	} else if (zk_map_set(&t->seen, id, t)) {
		t->repeated++;
	}
	zk_httpd_reply(req, status, ZK_STR_NULL, ZK_STR_NULL);
}

static enum zk_httpd_next on_webhook_head(void *ctx, struct zk_httpd_req *req)
{
	(void)ctx;
	(void)req;
	return ZK_HTTPD_BODY;
}

static const struct zk_route sink_routes[] = {
	{ .method = "POST",
	  .pattern = "/",
	  .on_head = on_webhook_head,
	  .on_body = on_webhook },
};

static int start_sink(struct tour_server *t, struct zk_error *err)
{
	struct zk_httpd_conf conf;

	zk_httpd_conf_init(&conf);
	conf.ctx = t;
	conf.routes = sink_routes;
	conf.n_routes = ZK_ARRAY_LEN(sink_routes);
	if (zk_httpd_new(t->d->loop, &conf, &t->sink, err) < 0)
		return -(int)err->code;
	return zk_httpd_listen(t->sink, ZK_STR("127.0.0.1:0"), err);
}

/* ---- the server --------------------------------------------------------------------------- */

static void on_server_exit(void *ctx, const struct zk_child_result *res)
{
	struct tour_server *t = ctx;

	(void)res;
	t->child = NULL;
	t->exited = true;
}

static bool is_up_or_gone(void *ctx)
{
	const struct tour_server *t = ctx;

	return t->exited || access(t->ready, R_OK) == 0;
}

static bool is_gone(void *ctx)
{
	return ((const struct tour_server *)ctx)->exited;
}

static int read_address(struct tour_server *t, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	char text[4096];
	zk_str addr;
	FILE *f = fopen(t->ready, "re");
	size_t n = f ? fread(text, 1, sizeof(text), f) : 0;

	if (f)
		(void)fclose(f);
	if (zk_json_parse(zk_str_n(text, n), sizeof(text), &j, err) < 0 ||
	    zk_json_get_str(j, "api.0", &addr, err) < 0)
		return zk_wrap(err, "the ready file of the server");
	(void)snprintf(t->url, sizeof(t->url), "http://%.*s", ZK_STR_ARG(addr));
	return zk_trig_client_init(&t->client, t->d->net, zk_str_of(t->url),
	                           zk_str_of(t->key), err);
}

static int start_server(struct tour_server *t, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *home = zk_asprintf("HOME=%s", t->d->dir);
	char *const argv[] = { t->d->self,
		               "triggers",
		               "serve",
		               "--no-config",
		               "--listen",
		               "127.0.0.1:0",
		               "--db",
		               t->db,
		               "--ready-file",
		               t->ready,
		               "--webhook-allow",
		               "127.0.0.0/8",
		               "--retry-schedule",
		               "200ms,400ms,800ms,2s",
		               "--rate-limit",
		               "enterprise=0",
		               "--log-level",
		               "error",
		               NULL };
	const char *env[] = { home, "XDG_CONFIG_HOME", "XDG_STATE_HOME",
		              "XDG_RUNTIME_DIR", NULL };
	struct zk_child_conf conf = { .ctx = t,
		                      .argv = argv,
		                      .env = env,
		                      .err = ZK_CHILD_INHERIT,
		                      .on_exit = on_server_exit };

	t->exited = false;
	(void)unlink(t->ready);
	if (zk_child_start(t->d->loop, &conf, &t->child, err) < 0)
		return -(int)err->code;
	if (!demo_wait(t->d, is_up_or_gone, t, START_MS) || t->exited)
		return zk_fail(err, ZK_E_SYSTEM, "the server did not start");
	return read_address(t, err);
}

/* ---- calls -------------------------------------------------------------------------------- */

static int call(struct tour_server *t, const char *path, zk_str body,
                struct zk_json **ret, struct zk_error *err)
{
	struct zk_buf answer ZK_CLEANUP(zk_buf_done) = { 0 };
	struct zk_trig_request rq = { .method = body.p ? "POST" : "GET",
		                      .path = path,
		                      .body = body,
		                      .repeatable = true };

	zk_buf_init_secret(&answer, MAX_ANSWER);
	if (zk_trig_call(&t->client, &rq, &answer, err) < 0)
		return -(int)err->code;
	return zk_json_parse(zk_buf_str(&answer), MAX_ANSWER, ret, err);
}

static int take_text(const struct zk_json *j, const char *name, char *to, size_t room,
                     struct zk_error *err)
{
	zk_str s;

	if (zk_json_get_str(j, name, &s, err) < 0)
		return -(int)err->code;
	(void)snprintf(to, room, "%.*s", ZK_STR_ARG(s));
	return 0;
}

static int make_org(struct tour_server *t, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *made = NULL;
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *hook = NULL;
	char body[256];

	if (call(t, "/api/keys/generate",
	         ZK_STR("{\"organization_name\":\"demo\",\"tier\":\"enterprise\"}"),
	         &made, err) < 0 ||
	    take_text(made, "api_key", t->key, sizeof(t->key), err) < 0)
		return -(int)err->code;
	t->client.key = zk_str_of(t->key);
	(void)snprintf(body, sizeof(body), "{\"webhook_url\":\"http://%s/\"}",
	               zk_httpd_address(t->sink, 0));
	if (call(t, "/api/webhook/config", zk_str_of(body), &hook, err) < 0)
		return -(int)err->code;
	return take_text(hook, "signing_secret", t->secret, sizeof(t->secret), err);
}

/* Sends event number n; a 409 for one that was sent before counts as accepted then. */
static int send_event(struct tour_server *t, unsigned n, bool may_be_there,
                      struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	char body[256], id[64];
	int64_t start_us = zk_mono_us();

	(void)snprintf(body, sizeof(body),
	               "{\"type\":\"demo.event\",\"dedup_id\":\"demo-%u\",\"payload\":{"
	               "\"n\":%u}}",
	               n, n);
	if (call(t, "/api/events", zk_str_of(body), &j, err) < 0) {
		/* Then the inbox will show whether it is there. */
		return may_be_there && err->http_status == 409 ? 0 : -(int)err->code;
	}
	if (t->n_ms < EVENTS)
		t->ms[t->n_ms++] = (double)(zk_mono_us() - start_us) / 1000;
	if (take_text(j, "id", id, sizeof(id), err) < 0)
		return -(int)err->code;
	(void)zk_map_set(&t->accepted, zk_str_of(id), t);
	return 0;
}

static void on_cut(void *ctx, const struct zk_http_res *res, struct zk_error *err)
{
	(void)res;
	(void)err;
	*(bool *)ctx = true;
}

/* SIGKILL while a request is under way, then a new server on the same file. */
static int kill_and_restart(struct tour_server *t, unsigned n, struct zk_error *err)
{
	char body[256];
	bool over = false;
	struct zk_send *send;

	(void)snprintf(body, sizeof(body),
	               "{\"type\":\"demo.event\",\"dedup_id\":\"demo-%u\",\"payload\":{"
	               "\"n\":%u}}",
	               n, n);
	struct zk_trig_request rq = { .method = "POST",
		                      .path = "/api/events",
		                      .body = zk_str_of(body) };

	if (zk_trig_start(&t->client, &rq, on_cut, &over, &send, err) < 0)
		return -(int)err->code;
	zk_child_signal(t->child, SIGKILL);
	if (!demo_wait(t->d, is_gone, t, START_MS))
		return zk_fail(err, ZK_E_BUG, "the server survived SIGKILL");
	zk_loop_until(t->d->loop, &over);
	return start_server(t, err);
}

static int refuse_duplicate(struct tour_server *t, struct zk_error *err)
{
	struct zk_error refused = { 0 };

	if (send_event(t, 0, false, &refused) == 0 || refused.http_status != 409)
		return zk_fail(err, ZK_E_SUMS, "a duplicate was not refused");
	t->duplicates++;
	return 0;
}

/* A webhook that somebody else made up. */
static int forge(struct tour_server *t, struct zk_error *err)
{
	ZK_CLEANUP(zk_freep)
	char *url = zk_asprintf("http://%s/", zk_httpd_address(t->sink, 0));
	ZK_CLEANUP(zk_freep)
	char *at = zk_asprintf("webhook-timestamp: %lld",
	                       (long long)(zk_wall_us() / 1000000));
	const char *headers[] = { "webhook-id: forged", at,
		                  "webhook-signature: v1,Zm9yZ2Vk", NULL };
	struct zk_send_conf conf = { .http = {
		                             .method = "POST",
		                             .url = url,
		                             .headers = headers,
		                             .body = ZK_STR("{\"type\":\"demo.event\"}"),
		                             .content_type = "application/json",
		                             .flags = ZK_HTTP_ANY_STATUS } };
	int status = 0;

	if (zk_send_wait(t->d->net, &conf, &status, NULL, err) < 0)
		return -(int)err->code;
	return status == 401 && t->forged == 1
	               ? 0
	               : zk_fail(err, ZK_E_SUMS, "a forged webhook was taken");
}

/* ---- counting ----------------------------------------------------------------------------- */

static bool is_all_delivered(void *ctx)
{
	const struct tour_server *t = ctx;

	return t->seen.n >= EVENTS;
}

/* Every accepted event is in the inbox exactly once, and nothing else is. */
static int check_inbox(struct tour_server *t, unsigned *kept, struct zk_error *err)
{
	ZK_CLEANUP(zk_json_freep)
	struct zk_json *j = NULL;
	struct zk_map once;
	unsigned n = 0, missing = 0;

	if (call(t, "/api/inbox?limit=1000", ZK_STR_NULL, &j, err) < 0)
		return -(int)err->code;
	zk_map_init(&once);
	ZK_JSON_EACH(e, zk_json_at(j, "events"))
	{
		zk_str id;

		if (zk_json_get_str(e, "id", &id, err) < 0)
			break;
		n++;
		(void)zk_map_set(&once, id, t);
	}
	size_t pos = 0;
	zk_str id;
	void *value;

	while (zk_map_next(&t->accepted, &pos, &id, &value))
		missing += zk_map_get(&once, id) == NULL;
	*kept = (unsigned)once.n;
	bool ok = n == EVENTS && once.n == n && missing == 0;

	zk_map_done(&once);
	return ok ? 0
	          : zk_fail(err, ZK_E_SUMS,
	                    "the inbox has %u events, %u accepted ones are missing", n,
	                    missing);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double p95(struct tour_server *t)
{
	qsort(t->ms, t->n_ms, sizeof(t->ms[0]), compare);
	return t->n_ms ? t->ms[(size_t)(t->n_ms * 95 / 100)] : 0;
}

static int work(struct tour_server *t, struct zk_error *err)
{
	if (start_sink(t, err) < 0 || start_server(t, err) < 0 || make_org(t, err) < 0)
		return -(int)err->code;
	for (unsigned n = 0; n < EVENTS; n++) {
		if (n == KILL_AFTER && kill_and_restart(t, n, err) < 0)
			return -(int)err->code;
		if (send_event(t, n, n == KILL_AFTER, err) < 0)
			return -(int)err->code;
	}
	if (refuse_duplicate(t, err) < 0)
		return -(int)err->code;
	if (!demo_wait(t->d, is_all_delivered, t, DELIVER_MS))
		return zk_fail(err, ZK_E_SUMS, "only %zu of %d events were delivered",
		               t->seen.n, EVENTS);
	return forge(t, err);
}

static void fact(struct zk_jwrite *w, const char *name, uint64_t v)
{
	zk_jw_key(w, name);
	zk_jw_u64(w, v);
}

static int run(struct demo *d, void **state, struct zk_buf *line, struct zk_jwrite *facts,
               struct zk_error *err)
{
	struct tour_server *t = zk_new0(struct tour_server);
	unsigned kept = 0;

	t->d = d;
	t->db = zk_asprintf("%s/triggers.db", d->dir);
	t->ready = zk_asprintf("%s/ready", d->dir);
	zk_map_init(&t->accepted);
	zk_map_init(&t->seen);
	zk_map_init(&t->failed);
	*state = t;
	if (work(t, err) < 0 || check_inbox(t, &kept, err) < 0)
		return -(int)err->code;
	double p = p95(t);

	zk_buf_printf(line,
	              "%d events in, %u duplicate refused, killed at %d and restarted: "
	              "%u kept, "
	              "0 lost; %zu delivered (%u retried), %u signatures valid, %u "
	              "forged refused, "
	              "p95 %.1f ms",
	              EVENTS, t->duplicates, KILL_AFTER, kept, t->seen.n, t->retried,
	              t->valid, t->forged, p);
	fact(facts, "events", EVENTS);
	fact(facts, "kept", kept);
	fact(facts, "duplicates_refused", t->duplicates);
	fact(facts, "delivered", t->seen.n);
	fact(facts, "retried", t->retried);
	fact(facts, "repeated", t->repeated);
	fact(facts, "signatures_valid", t->valid);
	fact(facts, "forged_refused", t->forged);
	zk_jw_key(facts, "p95_ms");
	zk_jw_double(facts, p);
	return 0;
}

static void invite(struct demo *d, void *state)
{
	const struct tour_server *t = state;

	(void)d;
	(void)fprintf(
	        stderr,
	        "\nThe triggers server is up. Open %s/ and enter the key, or try:\n"
	        "  export ZK_TRIGGERS_URL=%s\n"
	        "  export ZK_TRIGGERS_KEY=%s\n"
	        "  zk triggers inbox --limit 5\n"
	        "  echo '{\"hello\":\"world\"}' | zk triggers send --type my.event\n"
	        "  zk triggers inbox --follow\n",
	        t->url, t->url, t->key);
}

static void stop(struct demo *d, void *state)
{
	struct tour_server *t = state;

	if (t->child) {
		zk_child_signal(t->child, SIGTERM);
		if (!demo_wait(d, is_gone, t, START_MS))
			zk_child_free(ZK_TAKE(t->child));
	}
	if (t->sink)
		zk_httpd_free(t->sink);
	zk_map_done(&t->accepted);
	zk_map_done(&t->seen);
	zk_map_done(&t->failed);
	zk_wipe(t->key, sizeof(t->key));
	zk_wipe(t->secret, sizeof(t->secret));
	free(t->db);
	free(t->ready);
	free(t);
}

const struct demo_stage zk_demo_triggers = {
	.name = "triggers",
	.command = "zk triggers serve --dev",
	.run = run,
	.invite = invite,
	.stop = stop,
};
