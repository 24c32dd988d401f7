/* Health, stats, metrics, the page.
 * Layer: jetstream. */
#include "jetstream/web.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/jkv.h"
#include "jetstream/assets.h"
#include "jetstream/fan.h"
#include "jetstream/memory.h"
#include "jetstream/status.h"
#include "net/httpd.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

#define ANSWER_MAX (4u << 20)
#define COMPAT     19 /* gauges of the earlier versions */

#define JSON_HEAD "Content-Type: application/json\r\nCache-Control: no-store\r\n"
#define TEXT_HEAD "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
#define HTML_HEAD "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
#define PROM_HEAD "Content-Type: text/plain; version=0.0.4\r\nCache-Control: no-store\r\n"

struct server {
	struct zk_jet_web *w;
	struct zk_httpd *httpd; /* NULL = there is none */
	bool pages;             /* here are the page and /status */
};

struct zk_jet_web {
	struct zk_jet_web_conf conf;
	struct server api, admin;
	struct zk_timer *sample, *step;
	struct zk_jet_memory memory;
	struct zk_jet_history history;
	struct zk_gauge *compat[COMPAT], *store_bytes, *files[3];
	struct zk_counter *posts;
	struct zk_histogram *batches;
};

static struct zk_jet_view look(const struct zk_jet_web *w)
{
	struct zk_jet_view v = { 0 };

	w->conf.collect(w->conf.ctx, &v);
	return v;
}

static void on_sample(void *ctx)
{
	struct zk_jet_web *w = ctx;

	zk_jet_memory_step(&w->memory);
}

static void on_step(void *ctx)
{
	struct zk_jet_web *w = ctx;
	struct zk_jet_view v = look(w);

	zk_jet_history_step(&w->history, v.pipe.stored);
}

/* ---- answers ---- */

enum { ROOT, UI, HEALTH, READY, STATS, STATUS, METRICS, WS, ALIVE, ANSWERS };

static void put_health(const struct zk_jet_web *w, const struct zk_jet_view *v,
                       struct zk_jwrite *j)
{
	zk_jet_view_put_health(v, &w->memory, j);
}

static void put_stats(const struct zk_jet_web *w, const struct zk_jet_view *v,
                      struct zk_jwrite *j)
{
	(void)w;
	zk_jet_view_put_stats(v, j);
}

static void put_status(const struct zk_jet_web *w, const struct zk_jet_view *v,
                       struct zk_jwrite *j)
{
	zk_str config = w->conf.config ? w->conf.config(w->conf.ctx) : ZK_STR_NULL;

	zk_jet_status_put(&w->history, v, w->conf.net, config, j);
}

/* {"status":…,"data":{…}} */
static void on_data(struct server *s, struct zk_httpd_req *r)
{
	static void (*const put[ANSWERS])(const struct zk_jet_web *w,
	                                  const struct zk_jet_view *v,
	                                  struct zk_jwrite *j) = {
		[HEALTH] = put_health,
		[STATS] = put_stats,
		[STATUS] = put_status,
	};
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = look(s->w);
	const char *status = zk_jet_view_status(&v);
	int what = zk_httpd_route(r)->id;
	bool bad = what == HEALTH && strcmp(status, "unhealthy") == 0;
	struct zk_jwrite j;

	zk_buf_init(&b, ANSWER_MAX);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	zk_jw_kv_cstr(&j, "status", what == STATS ? "success" : status);
	zk_jw_kv_obj(&j, "data");
	put[what](s->w, &v, &j);
	zk_jw_obj_end(&j);
	zk_jw_obj_end(&j);
	zk_httpd_reply(r, bad ? 503 : 200, ZK_STR(JSON_HEAD), zk_buf_str(&b));
}

static bool is_required(const struct zk_jet_web *w, const char *name)
{
	zk_str kind;

	(void)zk_str_cut(zk_str_of(name), ':', &kind);
	for (size_t i = 0; i < w->conf.n_required; i++)
		if (strcmp(w->conf.required[i], name) == 0 ||
		    zk_str_eq(kind, zk_str_of(w->conf.required[i])))
			return true;
	return false;
}

/* The sinks that are down and have to be there; `j` gets "redis down". */
static bool put_missing(const struct zk_jet_web *w, const struct zk_jet_view *v,
                        struct zk_jwrite *j)
{
	bool any = false;

	for (size_t i = 0; i < v->n_followers; i++) {
		const struct zk_jet_follower_view *f = &v->followers[i];
		char text[300];

		if (strcmp(f->state, "down") != 0 || !is_required(w, f->name))
			continue;
		any = true;
		(void)snprintf(text, sizeof(text), "%s down", f->name);
		if (j)
			zk_jw_cstr(j, text);
	}
	return any;
}

static void on_ready(struct server *s, struct zk_httpd_req *r)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = look(s->w);
	bool away = zk_jet_view_is_away(&v), stopped = zk_jet_view_is_stopped(&v);
	bool ready = !away && !stopped && !put_missing(s->w, &v, NULL);
	struct zk_jwrite j;

	zk_buf_init(&b, ANSWER_MAX);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	zk_jw_kv_bool(&j, "ready", ready);
	if (!ready) {
		zk_jw_kv_arr(&j, "why");
		if (away)
			zk_jw_cstr(&j, "no host");
		if (stopped)
			zk_jw_cstr(&j, v.pipe.held ? v.pipe.held : "store");
		(void)put_missing(s->w, &v, &j); /* known already */
		zk_jw_arr_end(&j);
	}
	zk_jw_obj_end(&j);
	zk_httpd_reply(r, ready ? 200 : 503, ZK_STR(JSON_HEAD), zk_buf_str(&b));
}

static void refresh_compat(const struct zk_jet_web *w, const struct zk_jet_view *v)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;
	struct zk_jet_sample now, rss, virt;

	(void)zk_jet_memory_read(&now); /* then all 0 */
	zk_jet_memory_peaks(&w->memory, &now, &rss, &virt);
	const double values[COMPAT] = {
		(double)now.rss,
		(double)now.virt,
		ZK_JET_MEMORY_SAMPLES * (double)ZK_JET_MEMORY_STEP_MS / 1000,
		(double)w->memory.n,
		(double)(now.at_s - zk_jet_memory_latest(&w->memory)->at_s),
		(double)rss.rss,
		(double)rss.at_s,
		(double)virt.virt,
		(double)virt.at_s,
		(double)h->users,
		(double)h->users_max,
		(double)h->posts,
		(double)h->posts_max,
		zk_jet_view_has_sqlite(v),
		(double)v->pipe.file_bytes,
		(double)v->pipe.wal_bytes,
		!v->redis || v->redis_up,
		NAN, /* Redis is not asked by a request */
		v->redis ? (double)v->redis_maxlen : NAN,
	};

	for (size_t i = 0; i < COMPAT; i++)
		zk_gauge_set(w->compat[i], values[i]);
}

static void refresh(void *ctx)
{
	struct zk_jet_web *w = ctx;
	struct zk_jet_view v = look(w);

	zk_gauge_set(w->store_bytes, (double)v.store_bytes);
	zk_gauge_set(w->files[0], v.has_store);
	zk_gauge_set(w->files[1], v.sealed);
	if (w->conf.compat)
		refresh_compat(w, &v);
}

static void on_metrics(struct server *s, struct zk_httpd_req *r)
{
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, ANSWER_MAX);
	zk_metrics_format(s->w->conf.metrics, &b);
	zk_httpd_reply(r, 200, ZK_STR(PROM_HEAD), zk_buf_str(&b));
}

/* The page has one place for what those see who run no scripts. */
static void on_page(struct server *s, struct zk_httpd_req *r)
{
	static const zk_str mark = ZK_STR_INIT("<!--figures-->");
	struct zk_buf head ZK_CLEANUP(zk_buf_done), body ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = look(s->w);
	zk_str page = zk_jet_page();
	ptrdiff_t at = zk_str_find(page, mark);

	zk_buf_init(&head, ANSWER_MAX);
	zk_buf_init(&body, ANSWER_MAX);
	zk_buf_lit(&head, HTML_HEAD);
	zk_buf_add(&head, zk_jet_page_headers());
	ZK_ASSERT(at >= 0);
	zk_buf_put(&body, page.p, (size_t)at);
	zk_jet_status_rows(&s->w->history, &v, &body);
	zk_buf_add(&body, zk_str_from(page, (size_t)at + mark.n));
	zk_httpd_reply(r, 200, zk_buf_str(&head), zk_buf_str(&body));
}

/* A browser gets the page, everybody else the text of the earlier versions. */
static void on_root(struct server *s, struct zk_httpd_req *r)
{
	zk_str accept = zk_httpd_header(r, ZK_STR("Accept"));

	if (s->pages && zk_str_find(accept, ZK_STR("text/html")) >= 0)
		on_page(s, r);
	else
		zk_httpd_reply(r, 200, ZK_STR(TEXT_HEAD "Vary: Accept\r\n"),
		               ZK_STR("jetstream-turbo API server"));
}

static void on_ws(struct server *s, struct zk_httpd_req *r)
{
	if (s->w->conf.fan)
		zk_jet_fan_join(s->w->conf.fan, r);
	else
		zk_httpd_reply(r, 503, ZK_STR(JSON_HEAD),
		               ZK_STR("{\"error\":\"there is no store to read from\"}"));
}

/* The process answers. */
static void on_alive(struct server *s, struct zk_httpd_req *r)
{
	(void)s;
	zk_httpd_reply(r, 200, ZK_STR(JSON_HEAD), ZK_STR("{\"alive\":true}"));
}

/* ---- who may ask ---- */

static bool is_address(zk_str host)
{
	for (size_t i = 0; i < host.n; i++)
		if ((host.p[i] < '0' || host.p[i] > '9') && host.p[i] != '.')
			return host.p[0] == '[';
	return true;
}

/* The part before the port of "host:port" or "[v6]:port". */
static zk_str host_of(zk_str authority)
{
	ptrdiff_t end = authority.n && authority.p[0] == '['
	                        ? zk_str_find_char(authority, ']') + 1
	                        : zk_str_find_char(authority, ':');

	return end > 0 ? zk_str_n(authority.p, (size_t)end) : authority;
}

/* A page from elsewhere can have its name point to this machine and then ask as if it were ours (DNS
 * rebinding): who comes from this machine has to call us by an address, localhost, or a name that
 * --listen has. */
static bool is_for_us(const struct zk_jet_web *w, const struct zk_httpd_req *r)
{
	zk_str host = host_of(zk_httpd_head(r)->authority);

	if (!host.n || !zk_httpd_client(r)[0] || !zk_httpd_client_is_loopback(r) ||
	    is_address(host) || zk_str_eq_nocase(host, ZK_STR("localhost")) ||
	    zk_str_ends(host, ZK_STR(".localhost")))
		return true;
	for (size_t i = 0; i < w->conf.n_listen; i++)
		if (zk_str_eq_nocase(host, host_of(zk_str_of(w->conf.listen[i]))))
			return true;
	return w->conf.admin && zk_str_eq_nocase(host, host_of(zk_str_of(w->conf.admin)));
}

static enum zk_httpd_next on_request(void *ctx, struct zk_httpd_req *r)
{
	static void (*const answers[ANSWERS])(struct server * s,
	                                      struct zk_httpd_req * r) = {
		[ROOT] = on_root,       [UI] = on_page,    [HEALTH] = on_data,
		[READY] = on_ready,     [STATS] = on_data, [STATUS] = on_data,
		[METRICS] = on_metrics, [WS] = on_ws,      [ALIVE] = on_alive,
	};
	struct server *s = ctx;

	if (is_for_us(s->w, r))
		answers[zk_httpd_route(r)->id](s, r);
	else
		zk_httpd_reply(
		        r, 421, ZK_STR(JSON_HEAD),
		        ZK_STR("{\"error\":\"the Host header names another server\"}"));
	return ZK_HTTPD_DONE;
}

#define ONE(m, path, what)                                                      \
	{                                                                       \
		.method = m, .pattern = path, .id = what, .on_head = on_request \
	}
#define BOTH(path, what)         ONE("GET", path, what), ONE("HEAD", path, what)
#define TWICE(path, below, what) BOTH(path, what), BOTH("/api/v1" below, what)
#define API_ROUTES               24
#define PAGE_ROUTES              8

/* The public ones first, then the pages, then those of the admin listener. */
static const struct zk_route routes[] = {
	TWICE("/", "", ROOT),
	TWICE("/health", "/health", HEALTH),
	TWICE("/ready", "/ready", READY),
	TWICE("/stats", "/stats", STATS),
	TWICE("/metrics", "/metrics", METRICS),
	TWICE("/ws", "/ws", WS),
	/* API_ROUTES */
	TWICE("/ui", "/ui", UI),
	TWICE("/status", "/status", STATUS),
	/* PAGE_ROUTES */
	BOTH("/healthz", ALIVE),
	BOTH("/readyz", READY),
};

/* ---- making it ---- */

static const double batch_buckets[] = { 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120 };

static void add_metrics(struct zk_jet_web *w)
{
	/* In the order of refresh_compat. */
	static const char *const compat[COMPAT] = {
		"jetstream_turbo_process_memory_rss_bytes",
		"jetstream_turbo_process_memory_virtual_bytes",
		"jetstream_turbo_process_memory_peak_window_seconds",
		"jetstream_turbo_process_memory_samples_24h",
		"jetstream_turbo_process_memory_latest_sample_age_seconds",
		"jetstream_turbo_process_memory_rss_peak_24h_bytes",
		"jetstream_turbo_process_memory_rss_peak_24h_unix_seconds",
		"jetstream_turbo_process_memory_virtual_peak_24h_bytes",
		"jetstream_turbo_process_memory_virtual_peak_24h_unix_seconds",
		"jetstream_turbo_cache_user_entries",
		"jetstream_turbo_cache_user_capacity",
		"jetstream_turbo_cache_post_entries",
		"jetstream_turbo_cache_post_capacity",
		"jetstream_turbo_sqlite_available",
		"jetstream_turbo_sqlite_db_size_bytes",
		"jetstream_turbo_sqlite_wal_size_bytes",
		"jetstream_turbo_not_redis_connected",
		"jetstream_turbo_not_redis_stream_length",
		"jetstream_turbo_not_redis_configured_max_length",
	};
	/* How many are archived only the archive knows. */
	static const char *const states[] = { "live", "sealed", "archived" };
	struct zk_metrics *m = w->conf.metrics;

	w->store_bytes = zk_metrics_gauge(m, "zk_jetstream_store_bytes",
	                                  "bytes of all store files", NULL);
	for (size_t i = 0; i < ZK_ARRAY_LEN(states); i++)
		w->files[i] =
		        zk_metrics_gauge(m, "zk_jetstream_files", "store files",
		                         (const char *[]){ "state", states[i], NULL });
	for (size_t i = 0; i < COMPAT && w->conf.compat; i++)
		w->compat[i] = zk_metrics_gauge(m, compat[i],
		                                "as the Rust version has it", NULL);
	if (w->conf.compat) {
		w->posts = zk_metrics_counter(m, "jetstream_turbo:posts_processed_total",
		                              "as the Python version has it", NULL);
		w->batches = zk_metrics_histogram(
		        m, "jetstream_turbo:batch_time", "as the Python version has it",
		        batch_buckets, ZK_ARRAY_LEN(batch_buckets), NULL);
	}
	zk_metrics_on_collect(m, refresh, w);
}

void zk_jet_web_stored(struct zk_jet_web *w, size_t n, double seconds)
{
	if (!w->posts)
		return;
	zk_counter_add(w->posts, n);
	zk_histogram_observe(w->batches, seconds);
}

static int serve(struct server *s, struct zk_loop *loop, size_t n_routes,
                 const char *const *listen, size_t n_listen, struct zk_error *err)
{
	struct zk_httpd_conf http;
	int r;

	if (!n_listen)
		return 0;
	zk_httpd_conf_init(&http);
	http.ctx = s;
	http.routes = routes;
	http.n_routes = n_routes;
	r = zk_httpd_new(loop, &http, &s->httpd, err);
	if (r == 0)
		r = zk_httpd_listen_at(s->httpd, s == &s->w->admin ? "admin" : "api",
		                       listen, n_listen, err);
	return r;
}

static struct zk_timer *every(struct zk_loop *loop, int64_t ms, void (*fn)(void *ctx),
                              struct zk_jet_web *w)
{
	struct zk_timer *t = zk_timer_new(loop, fn, w);

	zk_timer_weak(t, true);
	zk_timer_start(t, ms, ms);
	return t;
}

int zk_jet_web_new(struct zk_loop *loop, const struct zk_jet_web_conf *conf,
                   struct zk_jet_web **ret, struct zk_error *err)
{
	struct zk_jet_web *w = zk_new0(struct zk_jet_web);
	int r;

	w->conf = *conf;
	w->api = (struct server){ .w = w, .pages = !conf->admin };
	w->admin = (struct server){ .w = w, .pages = true };
	r = serve(&w->api, loop, API_ROUTES + (w->api.pages ? PAGE_ROUTES : 0),
	          conf->listen, conf->n_listen, err);
	if (r == 0)
		r = serve(&w->admin, loop, ZK_ARRAY_LEN(routes), &w->conf.admin,
		          conf->admin != NULL, err);
	if (r < 0) {
		zk_jet_web_free(w);
		return r;
	}
	add_metrics(w);
	on_sample(w);
	zk_jet_history_init(&w->history);
	w->sample = every(loop, ZK_JET_MEMORY_STEP_MS, on_sample, w);
	w->step = every(loop, ZK_JET_STEP_MS, on_step, w);
	*ret = w;
	return 0;
}

const char *zk_jet_web_address(const struct zk_jet_web *w, size_t i)
{
	return w->api.httpd ? zk_httpd_address(w->api.httpd, i) : NULL;
}

const char *zk_jet_web_admin(const struct zk_jet_web *w)
{
	return w->admin.httpd ? zk_httpd_address(w->admin.httpd, 0) : NULL;
}

void zk_jet_web_free(struct zk_jet_web *w)
{
	if (!w)
		return;
	zk_httpd_free(w->api.httpd);
	zk_httpd_free(w->admin.httpd);
	zk_timer_free(w->sample);
	zk_timer_free(w->step);
	free(w);
}
