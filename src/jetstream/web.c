/* Health, stats, metrics, the page.
 * Layer: jetstream. */
#include "jetstream/web.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "jetstream/assets.h"
#include "jetstream/fan.h"
#include "jetstream/status.h"
#include "net/httpd.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#include "base/ban.h"

#define SAMPLES    1440 /* one a minute, for a day */
#define SAMPLE_MS  60000
#define DOWN_MS    60000 /* without any host so long: unhealthy */
#define SHORT_MS   60000 /* degraded so long after a record that lacks something */
#define ANSWER_MAX (4u << 20)
#define COMPAT     19 /* gauges of the earlier versions */

#define JSON_HEAD "Content-Type: application/json\r\nCache-Control: no-store\r\n"
#define TEXT_HEAD "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
#define HTML_HEAD "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
#define PROM_HEAD "Content-Type: text/plain; version=0.0.4\r\nCache-Control: no-store\r\n"

struct sample {
	int64_t at_s;
	uint64_t rss, virt;
};

struct zk_jet_web {
	struct zk_jet_web_conf conf;
	struct zk_loop *loop;
	struct zk_httpd *httpd;
	struct zk_timer *timer;
	struct sample samples[SAMPLES];
	size_t n_samples, at;
	struct zk_gauge *compat[COMPAT], *store_bytes, *files[3];
	struct zk_timer *step;
	struct zk_jet_history history;
	struct zk_counter *posts;
	struct zk_histogram *batches;
};

/* ---- memory ---- */

static bool read_memory(struct sample *s)
{
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	unsigned long long virt, rss;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		(void)close(fd); /* only read */
	if (n <= 0 || sscanf(text, "%llu %llu", &virt, &rss) != 2)
		return false;
	s->at_s = zk_wall_us() / 1000000;
	s->rss = rss * (uint64_t)sysconf(_SC_PAGESIZE);
	s->virt = virt * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

static void on_sample(void *ctx)
{
	struct zk_jet_web *w = ctx;
	struct sample s;

	if (!read_memory(&s))
		return;
	w->samples[w->at] = s;
	w->at = (w->at + 1) % SAMPLES;
	w->n_samples = ZK_MIN(w->n_samples + 1, (size_t)SAMPLES);
}

static void on_step(void *ctx)
{
	struct zk_jet_web *w = ctx;
	struct zk_jet_view v = { 0 };

	w->conf.collect(w->conf.ctx, &v);
	zk_jet_history_step(&w->history, v.pipe.stored);
}

/* Of the samples and of `now`, which may be higher than all of them. */
static void peaks(const struct zk_jet_web *w, const struct sample *now,
                  struct sample *rss, struct sample *virt)
{
	*rss = *virt = *now;
	for (size_t i = 0; i < w->n_samples; i++) {
		if (w->samples[i].rss > rss->rss)
			*rss = w->samples[i];
		if (w->samples[i].virt > virt->virt)
			*virt = w->samples[i];
	}
}

static const struct sample *latest(const struct zk_jet_web *w)
{
	return &w->samples[(w->at + SAMPLES - 1) % SAMPLES];
}

/* ---- judging ---- */

static bool hosts_are_down(const struct zk_jet_view *v)
{
	return v->from_host && v->pipe.away_ms;
}

static bool is_stopped(const struct zk_jet_view *v)
{
	return v->pipe.store_down ||
	       (v->pipe.held && strcmp(v->pipe.held, "disk full") == 0);
}

/* No login, the breaker, or records that lately left without what they wanted. */
static bool lookups_fail(const struct zk_jet_view *v)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;

	return (v->login && !v->sessions) ||
	       (h->api.breaker && strcmp(h->api.breaker, "closed") != 0) ||
	       (h->short_ms && zk_mono_ms() - h->short_ms < SHORT_MS);
}

static const char *status_of(const struct zk_jet_view *v)
{
	if (is_stopped(v) ||
	    (hosts_are_down(v) && zk_mono_ms() - v->pipe.away_ms > DOWN_MS))
		return "unhealthy";
	if (lookups_fail(v))
		return "degraded";
	for (size_t i = 0; i < v->n_followers; i++)
		if (strcmp(v->followers[i].state, "down") == 0)
			return "degraded";
	return "healthy";
}

/* ---- the members of the answers ---- */

static void kv_u64(struct zk_jwrite *j, const char *key, uint64_t v)
{
	zk_jw_key(j, key);
	zk_jw_u64(j, v);
}

static void kv_i64(struct zk_jwrite *j, const char *key, int64_t v)
{
	zk_jw_key(j, key);
	zk_jw_i64(j, v);
}

static void kv_bool(struct zk_jwrite *j, const char *key, bool v)
{
	zk_jw_key(j, key);
	zk_jw_bool(j, v);
}

static void kv_text(struct zk_jwrite *j, const char *key, const char *v)
{
	zk_jw_key(j, key);
	zk_jw_cstr(j, v);
}

static void kv_null(struct zk_jwrite *j, const char *key)
{
	zk_jw_key(j, key);
	zk_jw_null(j);
}

static void kv_rate(struct zk_jwrite *j, const char *key, uint64_t hits, uint64_t misses)
{
	double rate;

	zk_jw_key(j, key);
	if (zk_jet_hit_rate((int64_t)hits, (int64_t)misses, &rate))
		zk_jw_double(j, rate);
	else
		zk_jw_null(j);
}

static void put_memory(const struct zk_jet_web *w, struct zk_jwrite *j)
{
	struct sample now = { 0 }, rss, virt;
	bool known = read_memory(&now);

	peaks(w, &now, &rss, &virt);
	zk_jw_key(j, "process_memory");
	zk_jw_obj(j);
	kv_i64(j, "pid", getpid());
	kv_u64(j, "rss_bytes", now.rss);
	kv_u64(j, "virtual_memory_bytes", now.virt);
	kv_text(j, "source", "procfs");
	kv_text(j, "collection_error", known ? NULL : "cannot read /proc/self/statm");
	zk_jw_key(j, "peaks_24h");
	zk_jw_obj(j);
	kv_i64(j, "window_seconds", (int64_t)SAMPLES * SAMPLE_MS / 1000);
	kv_u64(j, "samples_collected", w->n_samples);
	kv_i64(j, "latest_sample_unix_seconds", latest(w)->at_s);
	kv_i64(j, "latest_sample_age_seconds", now.at_s - latest(w)->at_s);
	kv_u64(j, "rss_peak_bytes", rss.rss);
	kv_i64(j, "rss_peak_unix_seconds", rss.at_s);
	kv_u64(j, "virtual_memory_peak_bytes", virt.virt);
	kv_i64(j, "virtual_memory_peak_unix_seconds", virt.at_s);
	zk_jw_obj_end(j);
	zk_jw_obj_end(j);
}

static void put_cache(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;

	zk_jw_key(j, "cache_state");
	zk_jw_obj(j);
	kv_u64(j, "user_entries", h->users);
	kv_u64(j, "post_entries", h->posts);
	kv_u64(j, "user_capacity", h->users_max);
	kv_u64(j, "post_capacity", h->posts_max);
	kv_u64(j, "user_hits", h->user_hits);
	kv_u64(j, "user_misses", h->user_misses);
	kv_u64(j, "post_hits", h->post_hits);
	kv_u64(j, "post_misses", h->post_misses);
	kv_u64(j, "total_requests",
	       h->user_hits + h->user_misses + h->post_hits + h->post_misses);
	kv_u64(j, "cache_evictions", h->evictions);
	zk_jw_obj_end(j);
}

static void put_sqlite(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_key(j, "sqlite_state");
	zk_jw_obj(j);
	kv_bool(j, "available", v->has_store && !v->pipe.store_down);
	kv_u64(j, "db_size_bytes", v->pipe.file_bytes);
	kv_u64(j, "wal_size_bytes", v->pipe.wal_bytes);
	kv_u64(j, "page_count", v->pipe.file_bytes / 16384);
	kv_u64(j, "page_size_bytes", 16384);
	kv_u64(j, "freelist_count", 0);
	kv_i64(j, "cache_size_pages", 1024);
	kv_u64(j, "mmap_size_bytes", 0);
	kv_text(j, "journal_mode", "wal");
	kv_u64(j, "journal_size_limit_bytes", 67108864);
	kv_null(j, "collection_error");
	zk_jw_obj_end(j);
}

static void put_redis(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_key(j, "redis_state");
	zk_jw_obj(j);
	kv_bool(j, "connected", !v->redis || v->redis_up);
	kv_text(j, "engine", v->redis ? "redis" : NULL);
	kv_text(j, "stream_name", v->redis ? v->redis_stream : NULL);
	kv_null(j, "stream_length"); /* Redis is not asked by a request */
	zk_jw_key(j, "configured_max_length");
	if (v->redis)
		zk_jw_u64(j, v->redis_maxlen);
	else
		zk_jw_null(j);
	kv_null(j, "collection_error");
	zk_jw_obj_end(j);
}

static void put_upstream(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	const struct zk_jet_place *p = &v->pipe.place;

	zk_jw_key(j, "upstream");
	zk_jw_obj(j);
	kv_text(j, "state", zk_jet_state_name(v->pipe.state));
	kv_text(j, "waiting_for", v->pipe.held);
	kv_text(j, "host", v->pipe.host);
	kv_text(j, "wire", p->wire[0] ? p->wire : NULL);
	zk_jw_key(j, "lag_seconds");
	if (p->time_us)
		zk_jw_double(j, (double)(zk_wall_us() - p->time_us) / 1e6);
	else
		zk_jw_null(j);
	zk_jw_key(j, "position");
	zk_jw_obj(j);
	kv_text(j, "host", p->host[0] ? p->host : NULL);
	kv_u64(j, "seq", p->seq);
	kv_i64(j, "time_us", p->time_us);
	zk_jw_obj_end(j);
	kv_u64(j, "gaps", v->pipe.gaps);
	zk_jw_obj_end(j);
}

static void put_followers(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_key(j, "followers");
	zk_jw_arr(j);
	for (size_t i = 0; i < v->n_followers; i++) {
		const struct zk_jet_follower_view *f = &v->followers[i];

		zk_jw_obj(j);
		kv_text(j, "name", f->name);
		kv_text(j, "state", f->state);
		kv_text(j, "file", f->file);
		kv_i64(j, "row", f->row);
		kv_u64(j, "delivered", f->delivered);
		kv_u64(j, "lag_records", f->lag);
		kv_text(j, "error", f->error[0] ? f->error : NULL);
		zk_jw_obj_end(j);
	}
	zk_jw_arr_end(j);
}

/* ---- answers ---- */

static void reply(struct zk_httpd_req *r, int status, zk_str head, struct zk_buf *b)
{
	zk_httpd_reply(r, status, head, zk_buf_str(b));
}

static enum zk_httpd_next on_health(void *ctx, struct zk_httpd_req *r)
{
	struct zk_jet_web *w = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = { 0 };
	const char *status;
	struct zk_jwrite j;

	w->conf.collect(w->conf.ctx, &v);
	status = status_of(&v);
	zk_buf_init(&b, ANSWER_MAX);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	kv_text(&j, "status", status);
	zk_jw_key(&j, "data");
	zk_jw_obj(&j);
	kv_bool(&j, "healthy", strcmp(status, "unhealthy") != 0);
	kv_bool(&j, "redis_connected", !v.redis || v.redis_up);
	kv_bool(&j, "sqlite_available", v.has_store && !v.pipe.store_down);
	kv_u64(&j, "session_count", v.sessions);
	zk_jw_key(&j, "diagnostics");
	zk_jw_obj(&j);
	put_memory(w, &j);
	put_cache(&v, &j);
	put_sqlite(&v, &j);
	put_redis(&v, &j);
	zk_jw_obj_end(&j);
	put_upstream(&v, &j);
	put_followers(&v, &j);
	kv_text(&j, "breaker",
	        v.hydrator.api.breaker ? v.hydrator.api.breaker : "closed");
	zk_jw_obj_end(&j);
	zk_jw_obj_end(&j);
	reply(r, strcmp(status, "unhealthy") == 0 ? 503 : 200, ZK_STR(JSON_HEAD), &b);
	return ZK_HTTPD_DONE;
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

static enum zk_httpd_next on_ready(void *ctx, struct zk_httpd_req *r)
{
	struct zk_jet_web *w = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = { 0 };
	struct zk_jwrite j;
	bool hosts, store, ready;

	w->conf.collect(w->conf.ctx, &v);
	hosts = hosts_are_down(&v);
	store = is_stopped(&v);
	ready = !hosts && !store && !put_missing(w, &v, NULL);
	zk_buf_init(&b, ANSWER_MAX);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	kv_bool(&j, "ready", ready);
	if (!ready) {
		zk_jw_key(&j, "why");
		zk_jw_arr(&j);
		if (hosts)
			zk_jw_cstr(&j, "no host");
		if (store)
			zk_jw_cstr(&j, v.pipe.held ? v.pipe.held : "store");
		(void)put_missing(w, &v, &j); /* known already */
		zk_jw_arr_end(&j);
	}
	zk_jw_obj_end(&j);
	reply(r, ready ? 200 : 503, ZK_STR(JSON_HEAD), &b);
	return ZK_HTTPD_DONE;
}

static void put_stats(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;
	static const char *const names[] = { "none", "partial", "full" };

	kv_u64(j, "total_records_processed", v->pipe.stored);
	kv_u64(j, "cache_user_hits", h->user_hits);
	kv_u64(j, "cache_user_misses", h->user_misses);
	kv_u64(j, "cache_post_hits", h->post_hits);
	kv_u64(j, "cache_post_misses", h->post_misses);
	kv_rate(j, "cache_user_hit_rate", h->user_hits, h->user_misses);
	kv_rate(j, "cache_post_hit_rate", h->post_hits, h->post_misses);
	kv_null(j, "redis_stream_length");
	kv_null(j, "redis_version");
	kv_u64(j, "events_received", v->pipe.received);
	kv_u64(j, "events_filtered", v->pipe.filtered);
	kv_u64(j, "events_duplicate", v->pipe.duplicate);
	kv_u64(j, "events_dead", v->pipe.dead);
	kv_u64(j, "events_stored", v->pipe.stored);
	kv_u64(j, "events_waiting", v->pipe.waiting);
	kv_u64(j, "bytes_received", v->pipe.bytes);
	zk_jw_key(j, "rate_1m");
	zk_jw_double(j, v->pipe.rate_1m);
	zk_jw_key(j, "lag_seconds");
	if (v->pipe.place.time_us)
		zk_jw_double(j, (double)(zk_wall_us() - v->pipe.place.time_us) / 1e6);
	else
		zk_jw_null(j);
	zk_jw_key(j, "hydration");
	zk_jw_obj(j);
	for (size_t i = 0; i < ZK_ARRAY_LEN(names); i++)
		kv_u64(j, names[i], h->by_hydration[i]);
	zk_jw_obj_end(j);
	zk_jw_key(j, "api");
	zk_jw_obj(j);
	kv_u64(j, "requests", h->api.requests);
	kv_u64(j, "errors", h->api.errors);
	kv_u64(j, "limited", h->api.limited);
	kv_u64(j, "ids", h->api.ids);
	zk_jw_obj_end(j);
	put_followers(v, j);
}

static enum zk_httpd_next on_stats(void *ctx, struct zk_httpd_req *r)
{
	struct zk_jet_web *w = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = { 0 };
	struct zk_jwrite j;

	w->conf.collect(w->conf.ctx, &v);
	zk_buf_init(&b, ANSWER_MAX);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	kv_text(&j, "status", "success");
	zk_jw_key(&j, "data");
	zk_jw_obj(&j);
	put_stats(&v, &j);
	zk_jw_obj_end(&j);
	zk_jw_obj_end(&j);
	reply(r, 200, ZK_STR(JSON_HEAD), &b);
	return ZK_HTTPD_DONE;
}

static void refresh_compat(const struct zk_jet_web *w, const struct zk_jet_view *v)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;
	struct sample now = { 0 }, rss, virt;

	(void)read_memory(&now);
	peaks(w, &now, &rss, &virt);
	const double values[COMPAT] = {
		(double)now.rss,
		(double)now.virt,
		SAMPLES * (double)SAMPLE_MS / 1000,
		(double)w->n_samples,
		(double)(now.at_s - latest(w)->at_s),
		(double)rss.rss,
		(double)rss.at_s,
		(double)virt.virt,
		(double)virt.at_s,
		(double)h->users,
		(double)h->users_max,
		(double)h->posts,
		(double)h->posts_max,
		v->has_store && !v->pipe.store_down,
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
	struct zk_jet_view v = { 0 };

	w->conf.collect(w->conf.ctx, &v);
	zk_gauge_set(w->store_bytes, (double)v.store_bytes);
	zk_gauge_set(w->files[0], v.has_store);
	zk_gauge_set(w->files[1], v.sealed);
	if (w->conf.compat)
		refresh_compat(w, &v);
}

static enum zk_httpd_next on_metrics(void *ctx, struct zk_httpd_req *r)
{
	struct zk_jet_web *w = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);

	zk_buf_init(&b, ANSWER_MAX);
	zk_metrics_format(w->conf.metrics, &b);
	reply(r, 200, ZK_STR(PROM_HEAD), &b);
	return ZK_HTTPD_DONE;
}

/* The page has one place for what those see who run no scripts. */
static enum zk_httpd_next on_page(void *ctx, struct zk_httpd_req *r)
{
	static const zk_str mark = ZK_STR_INIT("<!--figures-->");
	struct zk_jet_web *w = ctx;
	struct zk_buf head ZK_CLEANUP(zk_buf_done), body ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = { 0 };
	zk_str page = zk_jet_page();
	ptrdiff_t at = zk_str_find(page, mark);

	w->conf.collect(w->conf.ctx, &v);
	zk_buf_init(&head, ANSWER_MAX);
	zk_buf_init(&body, ANSWER_MAX);
	zk_buf_lit(&head, HTML_HEAD);
	zk_buf_add(&head, zk_jet_page_headers());
	ZK_ASSERT(at >= 0);
	zk_buf_put(&body, page.p, (size_t)at);
	zk_jet_status_rows(&w->history, &v, status_of(&v), &body);
	zk_buf_add(&body, zk_str_from(page, (size_t)at + mark.n));
	zk_httpd_reply(r, 200, zk_buf_str(&head), zk_buf_str(&body));
	return ZK_HTTPD_DONE;
}

static enum zk_httpd_next on_status(void *ctx, struct zk_httpd_req *r)
{
	struct zk_jet_web *w = ctx;
	struct zk_buf b ZK_CLEANUP(zk_buf_done);
	struct zk_jet_view v = { 0 };
	struct zk_jwrite j;

	w->conf.collect(w->conf.ctx, &v);
	zk_buf_init(&b, ANSWER_MAX);
	zk_jwrite_init(&j, &b);
	zk_jw_obj(&j);
	kv_text(&j, "status", status_of(&v));
	zk_jw_key(&j, "data");
	zk_jw_obj(&j);
	zk_jet_status_put(&w->history, &v, w->conf.net,
	                  w->conf.config ? w->conf.config(w->conf.ctx) : ZK_STR_NULL, &j);
	zk_jw_obj_end(&j);
	zk_jw_obj_end(&j);
	reply(r, 200, ZK_STR(JSON_HEAD), &b);
	return ZK_HTTPD_DONE;
}

/* A browser gets the page, everybody else the text of the earlier versions. */
static enum zk_httpd_next on_root(void *ctx, struct zk_httpd_req *r)
{
	if (zk_str_find(zk_httpd_header(r, ZK_STR("Accept")), ZK_STR("text/html")) >= 0)
		return on_page(ctx, r);
	zk_httpd_reply(r, 200, ZK_STR(TEXT_HEAD "Vary: Accept\r\n"),
	               ZK_STR("jetstream-turbo API server"));
	return ZK_HTTPD_DONE;
}

static enum zk_httpd_next on_ws(void *ctx, struct zk_httpd_req *r)
{
	struct zk_jet_web *w = ctx;

	if (w->conf.fan)
		zk_jet_fan_join(w->conf.fan, r);
	else
		zk_httpd_reply(r, 503, ZK_STR(JSON_HEAD),
		               ZK_STR("{\"error\":\"there is no store to read from\"}"));
	return ZK_HTTPD_DONE;
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
	return false;
}

static enum zk_httpd_next (*const answers[])(void *ctx, struct zk_httpd_req *r) = {
	on_root, on_page, on_health, on_ready, on_stats, on_status, on_metrics, on_ws,
};
enum { ROOT, UI, HEALTH, READY, STATS, STATUS, METRICS, WS };

static enum zk_httpd_next on_request(void *ctx, struct zk_httpd_req *r)
{
	const struct zk_jet_web *w = ctx;

	if (is_for_us(w, r))
		return answers[zk_httpd_route(r)->id](ctx, r);
	zk_httpd_reply(r, 421, ZK_STR(JSON_HEAD),
	               ZK_STR("{\"error\":\"the Host header names another server\"}"));
	return ZK_HTTPD_DONE;
}

#define ONE(m, path, what)                                                      \
	{                                                                       \
		.method = m, .pattern = path, .id = what, .on_head = on_request \
	}
#define BOTH(path, what) ONE("GET", path, what), ONE("HEAD", path, what)

static const struct zk_route routes[] = {
	BOTH("/", ROOT),
	BOTH("/ui", UI),
	BOTH("/health", HEALTH),
	BOTH("/ready", READY),
	BOTH("/stats", STATS),
	BOTH("/status", STATUS),
	BOTH("/metrics", METRICS),
	BOTH("/ws", WS),
	BOTH("/api/v1", ROOT),
	BOTH("/api/v1/ui", UI),
	BOTH("/api/v1/health", HEALTH),
	BOTH("/api/v1/ready", READY),
	BOTH("/api/v1/stats", STATS),
	BOTH("/api/v1/status", STATUS),
	BOTH("/api/v1/metrics", METRICS),
	BOTH("/api/v1/ws", WS),
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

int zk_jet_web_new(struct zk_loop *loop, const struct zk_jet_web_conf *conf,
                   struct zk_jet_web **ret, struct zk_error *err)
{
	struct zk_jet_web *w = zk_new0(struct zk_jet_web);
	struct zk_httpd_conf http;
	int r;

	w->conf = *conf;
	w->loop = loop;
	zk_httpd_conf_init(&http);
	http.ctx = w;
	http.routes = routes;
	http.n_routes = ZK_ARRAY_LEN(routes);
	r = zk_httpd_new(loop, &http, &w->httpd, err);
	if (r == 0)
		r = zk_httpd_listen_at(w->httpd, "api", conf->listen, conf->n_listen,
		                       err);
	if (r < 0) {
		zk_jet_web_free(w);
		return r;
	}
	add_metrics(w);
	w->timer = zk_timer_new(loop, on_sample, w);
	zk_timer_weak(w->timer, true);
	on_sample(w);
	zk_timer_start(w->timer, SAMPLE_MS, SAMPLE_MS);
	zk_jet_history_init(&w->history);
	w->step = zk_timer_new(loop, on_step, w);
	zk_timer_weak(w->step, true);
	zk_timer_start(w->step, ZK_JET_STEP_MS, ZK_JET_STEP_MS);
	*ret = w;
	return 0;
}

const char *zk_jet_web_address(const struct zk_jet_web *w, size_t i)
{
	return zk_httpd_address(w->httpd, i);
}

void zk_jet_web_free(struct zk_jet_web *w)
{
	if (!w)
		return;
	zk_httpd_free(w->httpd);
	zk_timer_free(w->timer);
	zk_timer_free(w->step);
	free(w);
}
