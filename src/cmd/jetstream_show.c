/* `zk jetstream run`: the status line and the summary.
 * Layer: cmd. ux.md §9. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/jetstream_run.h"
#include "jetstream/session.h"
#include "rt/loop.h"
#include "rt/progress.h"

#include "base/ban.h"

#define TICK_MS  250
#define TREND_MS 2000

static const char *word_of(enum zk_jet_state s)
{
	switch (s) {
	case ZK_JET_CATCHING_UP:
		return "catching up";
	case ZK_JET_BACKOFF:
		return "reconnecting";
	case ZK_JET_CONNECTING:
	case ZK_JET_LIVE:
	case ZK_JET_QUIET:
	case ZK_JET_STALLED:
	case ZK_JET_READING:
	case ZK_JET_ENDED:
		break;
	}
	return zk_jet_state_name(s);
}

static void show_state(struct run *r, const struct zk_jet_figures *f, bool api_off)
{
	bool full = f->held && strcmp(f->held, "disk full") == 0;
	char text[100];

	(void)snprintf(text, sizeof(text), "%s%s%s%s%s",
	               r->draining ? "draining" : word_of(f->state),
	               f->held ? (full ? " (" : " (waiting for ") : "",
	               f->held ? f->held : "", f->held ? ")" : "",
	               api_off ? " (hydration off)" : "");
	zk_progress_state(r->progress, text);
}

static void put_lag(double s, char *text, size_t room)
{
	if (s < 60)
		(void)snprintf(text, room, "lag %.1fs", s);
	else if (s < 3600)
		(void)snprintf(text, room, "lag %dm %ds", (int)s / 60, (int)s % 60);
	else
		(void)snprintf(text, room, "lag %dh %dm", (int)(s / 3600),
		               (int)(s / 60) % 60);
}

/* While it catches up, also whether it does. */
static void show_lag(struct run *r, const struct zk_jet_figures *f)
{
	double lag = (double)(zk_wall_us() - f->place.time_us) / 1e6;
	int64_t now = zk_mono_ms();
	char text[64];
	size_t n;

	if (!f->place.time_us || r->o->jet.from) {
		zk_progress_aside(r->progress, NULL);
		return;
	}
	put_lag(ZK_MAX(lag, 0.0), text, sizeof(text));
	n = strlen(text);
	if (now - r->show.trend_ms >= TREND_MS) {
		r->show.falling = r->show.trend_ms && lag < r->show.lag;
		r->show.rising = r->show.trend_ms && lag > r->show.lag;
		r->show.lag = lag;
		r->show.trend_ms = now;
	}
	if (f->state == ZK_JET_CATCHING_UP)
		(void)snprintf(text + n, sizeof(text) - n, "%s",
		               r->show.falling  ? ", falling"
		               : r->show.rising ? ", rising"
		                                : "");
	zk_progress_aside(r->progress, text);
}

static void show_share(struct run *r, const char *name, uint64_t part, uint64_t rest,
                       int digits)
{
	char text[32];

	if (!r->hydrator)
		return;
	if (part + rest)
		(void)snprintf(text, sizeof(text), "%.*f%%", digits,
		               (double)part * 100 / (double)(part + rest));
	else
		(void)snprintf(text, sizeof(text), "-"); /* it keeps its place */
	zk_progress_note(r->progress, name, text);
}

static void show_bytes(struct run *r)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	uint64_t bytes;
	unsigned sealed, u = 0;
	char text[32];

	if (!r->store)
		return;
	zk_jet_store_sizes(r->store, &bytes, &sealed);
	double v = (double)bytes;

	for (; v >= 1024 && u + 1 < ZK_ARRAY_LEN(units); u++)
		v /= 1024;
	(void)snprintf(text, sizeof(text), "%.*f %s", u && v < 100 ? 1 : 0, v, units[u]);
	zk_progress_fact(r->progress, "store", text);
}

void jet_show_look(struct run *r)
{
	struct zk_jet_hydrator_figures h = { .api.breaker = "closed" };
	struct zk_jet_figures f;

	zk_jet_pipe_figures(r->pipe, &f);
	if (r->hydrator)
		zk_jet_hydrator_figures(r->hydrator, &h);
	zk_progress_set(r->progress, f.received, 0);
	show_state(r, &f, strcmp(h.api.breaker, "closed") != 0);
	show_lag(r, &f);
	/* [1] partial, [2] full */
	show_share(r, "hydrated", h.by_hydration[2], h.by_hydration[1], 1);
	show_share(r, "cache", h.user_hits + h.post_hits, h.user_misses + h.post_misses,
	           0);
	show_bytes(r);
	zk_progress_fact(r->progress, "host", f.host[0] ? f.host : NULL);
}

/* Of the lines of the status channel: how far behind the stream it is, and each sink. */
static void put_more(void *ctx, struct zk_jwrite *w)
{
	struct run *r = ctx;
	struct zk_jet_view v = { 0 };

	if (!r->pipe)
		return;
	zk_jet_pipe_figures(r->pipe, &v.pipe);
	jet_run_view_sinks(r, &v);
	zk_jet_view_put_lag(&v, w);
	zk_jet_view_put_followers(&v, w);
}

static bool writes_rows(const struct run *r)
{
	bool rows = r->o->no_store;

	for (size_t i = 0; i < r->o->sinks.n; i++)
		rows = rows || strcmp(r->o->sinks.v[i], "stdout") == 0;
	return rows;
}

static void on_tick(void *ctx)
{
	jet_show_look(ctx);
}

void jet_show_start(struct run *r)
{
	struct zk_progress_conf conf = { .mode = r->app->common.progress,
		                         .quiet = r->app->common.quiet,
		                         .verbose = r->app->common.verbose > 0,
		                         .unit = "ev",
		                         .status = r->status,
		                         .more = put_more,
		                         .ctx = r };

	/* Rows on the terminal and a line that is redrawn do not go together. */
	if (isatty(STDOUT_FILENO) == 1 && writes_rows(r))
		conf.mode = ZK_PROGRESS_NONE;
	r->progress = zk_progress_new(r->loop, &conf);
	r->show.tick = zk_timer_new(r->loop, on_tick, r);
	zk_timer_weak(r->show.tick, true);
}

void jet_show_run(struct run *r)
{
	jet_show_look(r);
	zk_timer_start(r->show.tick, TICK_MS, TICK_MS);
}

/* Where the next run goes on. */
static const char *put_cursor(const struct zk_jet_figures *f, char *text, size_t room)
{
	char at[ZK_RFC3339_MAX];

	if (!f->place.time_us)
		return NULL;
	(void)zk_format_rfc3339(f->place.time_us, at);
	(void)snprintf(text, room, "cursor %lld (%s)%s%s · gaps %llu",
	               (long long)f->place.time_us, at, f->place.host[0] ? " of " : "",
	               f->place.host, (unsigned long long)f->gaps);
	return text;
}

/* received = stored + filtered + duplicate + dead + waiting */
int jet_show_summary(struct run *r, int status, struct zk_error *err)
{
	struct zk_jet_figures f;
	char text[300], cursor[400];
	struct zk_summary s = { .title = "jetstream", .text = text, .exit = status };
	double secs = (double)(zk_mono_us() - r->start_us) / 1e6;

	zk_jet_pipe_figures(r->pipe, &f);
	s.sums.read = f.received;
	s.sums.acked = f.stored;
	s.sums.acked_word = "stored";
	s.sums.rejected = f.dead;
	/* What waits is not stored: it comes again. */
	s.sums.skipped = f.filtered + f.duplicate + f.waiting;
	s.more = put_cursor(&f, cursor, sizeof(cursor));
	(void)snprintf(text, sizeof(text),
	               "%llu events in %.1f s (%.0f/s), filtered %llu, duplicate %llu, "
	               "waiting %zu, gaps %llu",
	               (unsigned long long)f.received, secs,
	               secs > 0 ? (double)f.received / secs : 0.0,
	               (unsigned long long)f.filtered, (unsigned long long)f.duplicate,
	               f.waiting, (unsigned long long)f.gaps);
	zk_progress_summary(r->progress, &s);
	return status < 0                        ? status
	       : zk_sums_check(&s.sums, err) < 0 ? -(int)err->code
	                                         : status;
}

void jet_show_done(struct run *r)
{
	zk_timer_free(r->show.tick);
	zk_progress_free(r->progress);
}
