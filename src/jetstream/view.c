/* JSON of a run.
 * Layer: jetstream. */
#include "jetstream/view.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/jkv.h"
#include "jetstream/memory.h"

#include "base/ban.h"

#define DOWN_MS  60000 /* without any host so long: unhealthy */
#define SHORT_MS 60000 /* degraded so long after a record that lacks something */

/* ---- judging ---- */

bool zk_jet_view_is_away(const struct zk_jet_view *v)
{
	return v->from_host && v->pipe.away_ms;
}

bool zk_jet_view_is_stopped(const struct zk_jet_view *v)
{
	return v->pipe.store_down ||
	       (v->pipe.held && strcmp(v->pipe.held, "disk full") == 0);
}

bool zk_jet_view_has_sqlite(const struct zk_jet_view *v)
{
	return v->has_store && !v->pipe.store_down;
}

/* No login, the breaker, or records that lately left without what they wanted. */
static bool lookups_fail(const struct zk_jet_view *v)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;

	return (v->login && !v->sessions) ||
	       (h->api.breaker && strcmp(h->api.breaker, "closed") != 0) ||
	       (h->short_ms && zk_mono_ms() - h->short_ms < SHORT_MS);
}

const char *zk_jet_view_status(const struct zk_jet_view *v)
{
	if (zk_jet_view_is_stopped(v) ||
	    (zk_jet_view_is_away(v) && zk_mono_ms() - v->pipe.away_ms > DOWN_MS))
		return "unhealthy";
	if (lookups_fail(v))
		return "degraded";
	for (size_t i = 0; i < v->n_followers; i++)
		if (strcmp(v->followers[i].state, "down") == 0)
			return "degraded";
	return "healthy";
}

bool zk_jet_view_lag(const struct zk_jet_view *v, double *ret_s)
{
	if (!v->pipe.place.time_us)
		return false;
	*ret_s = (double)(zk_wall_us() - v->pipe.place.time_us) / 1e6;
	return true;
}

/* ---- objects that are numbers only ---- */

struct number {
	const char *name;
	uint64_t v;
};

static void put_numbers(struct zk_jwrite *j, const struct number *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		zk_jw_kv_u64(j, v[i].name, v[i].v);
}

#define PUT_NUMBERS(j, ...)                                          \
	put_numbers(j, (const struct number[]){ __VA_ARGS__ },       \
	            sizeof((const struct number[]){ __VA_ARGS__ }) / \
	                    sizeof(struct number))

static void put_rate(struct zk_jwrite *j, const char *key, uint64_t hits, uint64_t misses)
{
	double rate;

	if (zk_jet_hit_rate((int64_t)hits, (int64_t)misses, &rate))
		zk_jw_kv_double(j, key, rate);
	else
		zk_jw_kv_null(j, key);
}

/* ---- what several answers have ---- */

void zk_jet_view_put_lag(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	double lag;

	if (zk_jet_view_lag(v, &lag))
		zk_jw_kv_double(j, "lag_seconds", lag);
	else
		zk_jw_kv_null(j, "lag_seconds");
}

void zk_jet_view_put_followers(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_kv_arr(j, "followers");
	for (size_t i = 0; i < v->n_followers; i++) {
		const struct zk_jet_follower_view *f = &v->followers[i];

		zk_jw_obj(j);
		zk_jw_kv_cstr(j, "name", f->name);
		zk_jw_kv_cstr(j, "state", f->state);
		zk_jw_kv_cstr(j, "file", f->file);
		zk_jw_kv_i64(j, "row", f->row);
		zk_jw_kv_u64(j, "delivered", f->delivered);
		zk_jw_kv_u64(j, "lag_records", f->lag);
		zk_jw_kv_cstr(j, "error", f->error[0] ? f->error : NULL);
		zk_jw_obj_end(j);
	}
	zk_jw_arr_end(j);
}

/* ---- /health ---- */

static void put_memory(const struct zk_jet_memory *m, struct zk_jwrite *j)
{
	const struct zk_jet_sample *latest = zk_jet_memory_latest(m);
	struct zk_jet_sample now, rss, virt;
	bool known = zk_jet_memory_read(&now);

	zk_jet_memory_peaks(m, &now, &rss, &virt);
	zk_jw_kv_obj(j, "process_memory");
	zk_jw_kv_i64(j, "pid", getpid());
	zk_jw_kv_u64(j, "rss_bytes", now.rss);
	zk_jw_kv_u64(j, "virtual_memory_bytes", now.virt);
	zk_jw_kv_cstr(j, "source", "procfs");
	zk_jw_kv_cstr(j, "collection_error",
	              known ? NULL : "cannot read /proc/self/statm");
	zk_jw_kv_obj(j, "peaks_24h");
	zk_jw_kv_i64(j, "window_seconds",
	             (int64_t)ZK_JET_MEMORY_SAMPLES * ZK_JET_MEMORY_STEP_MS / 1000);
	zk_jw_kv_u64(j, "samples_collected", m->n);
	zk_jw_kv_i64(j, "latest_sample_unix_seconds", latest->at_s);
	zk_jw_kv_i64(j, "latest_sample_age_seconds", now.at_s - latest->at_s);
	zk_jw_kv_u64(j, "rss_peak_bytes", rss.rss);
	zk_jw_kv_i64(j, "rss_peak_unix_seconds", rss.at_s);
	zk_jw_kv_u64(j, "virtual_memory_peak_bytes", virt.virt);
	zk_jw_kv_i64(j, "virtual_memory_peak_unix_seconds", virt.at_s);
	zk_jw_obj_end(j);
	zk_jw_obj_end(j);
}

static void put_cache(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;
	uint64_t requests = h->user_hits + h->user_misses + h->post_hits + h->post_misses;

	zk_jw_kv_obj(j, "cache_state");
	PUT_NUMBERS(j, { "user_entries", h->users }, { "post_entries", h->posts },
	            { "user_capacity", h->users_max }, { "post_capacity", h->posts_max },
	            { "user_hits", h->user_hits }, { "user_misses", h->user_misses },
	            { "post_hits", h->post_hits }, { "post_misses", h->post_misses },
	            { "total_requests", requests }, { "cache_evictions", h->evictions });
	zk_jw_obj_end(j);
}

static void put_sqlite(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_kv_obj(j, "sqlite_state");
	zk_jw_kv_bool(j, "available", zk_jet_view_has_sqlite(v));
	PUT_NUMBERS(j, { "db_size_bytes", v->pipe.file_bytes },
	            { "wal_size_bytes", v->pipe.wal_bytes },
	            { "page_count", v->pipe.file_bytes / 16384 },
	            { "page_size_bytes", 16384 }, { "freelist_count", 0 },
	            { "cache_size_pages", 1024 }, { "mmap_size_bytes", 0 },
	            { "journal_size_limit_bytes", 67108864 });
	zk_jw_kv_cstr(j, "journal_mode", "wal");
	zk_jw_kv_null(j, "collection_error");
	zk_jw_obj_end(j);
}

static void put_redis(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	zk_jw_kv_obj(j, "redis_state");
	zk_jw_kv_bool(j, "connected", !v->redis || v->redis_up);
	zk_jw_kv_cstr(j, "engine", v->redis ? "redis" : NULL);
	zk_jw_kv_cstr(j, "stream_name", v->redis ? v->redis_stream : NULL);
	zk_jw_kv_null(j, "stream_length"); /* Redis is not asked by a request */
	if (v->redis)
		zk_jw_kv_u64(j, "configured_max_length", v->redis_maxlen);
	else
		zk_jw_kv_null(j, "configured_max_length");
	zk_jw_kv_null(j, "collection_error");
	zk_jw_obj_end(j);
}

static void put_upstream(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	const struct zk_jet_place *p = &v->pipe.place;

	zk_jw_kv_obj(j, "upstream");
	zk_jw_kv_cstr(j, "state", zk_jet_state_name(v->pipe.state));
	zk_jw_kv_cstr(j, "waiting_for", v->pipe.held);
	zk_jw_kv_cstr(j, "host", v->pipe.host);
	zk_jw_kv_cstr(j, "wire", p->wire[0] ? p->wire : NULL);
	zk_jet_view_put_lag(v, j);
	zk_jw_kv_obj(j, "position");
	zk_jw_kv_cstr(j, "host", p->host[0] ? p->host : NULL);
	zk_jw_kv_u64(j, "seq", p->seq);
	zk_jw_kv_i64(j, "time_us", p->time_us);
	zk_jw_obj_end(j);
	zk_jw_kv_u64(j, "gaps", v->pipe.gaps);
	zk_jw_obj_end(j);
}

void zk_jet_view_put_health(const struct zk_jet_view *v, const struct zk_jet_memory *m,
                            struct zk_jwrite *j)
{
	const char *breaker = v->hydrator.api.breaker;

	zk_jw_kv_bool(j, "healthy", strcmp(zk_jet_view_status(v), "unhealthy") != 0);
	zk_jw_kv_bool(j, "redis_connected", !v->redis || v->redis_up);
	zk_jw_kv_bool(j, "sqlite_available", zk_jet_view_has_sqlite(v));
	zk_jw_kv_u64(j, "session_count", v->sessions);
	zk_jw_kv_obj(j, "diagnostics");
	put_memory(m, j);
	put_cache(v, j);
	put_sqlite(v, j);
	put_redis(v, j);
	zk_jw_obj_end(j);
	put_upstream(v, j);
	zk_jet_view_put_followers(v, j);
	zk_jw_kv_cstr(j, "breaker", breaker ? breaker : "closed");
}

/* ---- /stats ---- */

void zk_jet_view_put_stats(const struct zk_jet_view *v, struct zk_jwrite *j)
{
	const struct zk_jet_hydrator_figures *h = &v->hydrator;

	PUT_NUMBERS(j, { "total_records_processed", v->pipe.stored },
	            { "cache_user_hits", h->user_hits },
	            { "cache_user_misses", h->user_misses },
	            { "cache_post_hits", h->post_hits },
	            { "cache_post_misses", h->post_misses });
	put_rate(j, "cache_user_hit_rate", h->user_hits, h->user_misses);
	put_rate(j, "cache_post_hit_rate", h->post_hits, h->post_misses);
	zk_jw_kv_null(j, "redis_stream_length");
	zk_jw_kv_null(j, "redis_version");
	PUT_NUMBERS(j, { "events_received", v->pipe.received },
	            { "events_filtered", v->pipe.filtered },
	            { "events_duplicate", v->pipe.duplicate },
	            { "events_dead", v->pipe.dead }, { "events_stored", v->pipe.stored },
	            { "events_waiting", v->pipe.waiting },
	            { "bytes_received", v->pipe.bytes });
	zk_jw_kv_double(j, "rate_1m", v->pipe.rate_1m);
	zk_jet_view_put_lag(v, j);
	zk_jw_kv_obj(j, "hydration");
	PUT_NUMBERS(j, { "none", h->by_hydration[0] }, { "partial", h->by_hydration[1] },
	            { "full", h->by_hydration[2] });
	zk_jw_obj_end(j);
	zk_jw_kv_obj(j, "api");
	PUT_NUMBERS(j, { "requests", h->api.requests }, { "errors", h->api.errors },
	            { "limited", h->api.limited }, { "ids", h->api.ids });
	zk_jw_obj_end(j);
	zk_jet_view_put_followers(v, j);
}
