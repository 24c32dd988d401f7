/* What people see on stderr while a command works.
 * Layer: rt. */
#include "rt/progress.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/jwrite.h"
#include "rt/bar.h"
#include "rt/loop.h"
#include "rt/status.h"
#include "rt/text.h"

#include "base/ban.h"

#define TICK_MS  100
#define RATE_MS  1000
#define PLAIN_MS 30000
#define TEXT_MAX 8192
/* Weight of the last second in the rate that is shown. */
#define RATE_WEIGHT 0.3

/* Terminal signals of a drawn bar: an object of its own, for its handles close later. */
enum { SIG_AT_TSTP, SIG_AT_CONT, SIG_AT_WINCH, SIGNALS };

struct watcher {
	struct zk_progress *p; /* NULL = gone */
	uv_signal_t sig[SIGNALS];
	unsigned open;
};

struct zk_progress {
	struct zk_progress_conf conf;
	struct zk_loop *loop;
	enum zk_progress_mode mode; /* never AUTO */
	bool utf8;
	struct zk_bar bar;
	char *title, *unit, *state, *aside, *wait;
	struct zk_timer *timer;
	struct watcher *watcher;
	bool dirty, started;
	int64_t rate_ms, plain_ms; /* when they were last looked at, or told */
	uint64_t rate_done;
};

/* ---- saying ---- */

void zk_say(const char *fmt, ...)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text = { .cap = TEXT_MAX };
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf safe = { .cap = 2 * TEXT_MAX };
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf clean = { .cap = 8 * TEXT_MAX };
	va_list ap;

	va_start(ap, fmt);
	zk_buf_vprintf(&text, fmt, ap);
	va_end(ap);
	zk_redact_into(&safe, zk_buf_str(&text));
	zk_text_scrub(&clean, zk_buf_str(&safe), /* lines */ true);
	zk_log_say(ZK_LOG_NOTICE, zk_buf_str(&clean));
}

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && v[0];
}

/* ---- drawing ---- */

static void draw_bar(struct zk_progress *p)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text = { .cap = TEXT_MAX };
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf clean = { .cap = 8 * TEXT_MAX };
	size_t columns = zk_term_columns(STDERR_FILENO);

	/* The last column stays free: some terminals wrap as soon as it is written. */
	zk_bar_draw(&text, &p->bar, columns > 1 ? columns - 1 : 1, p->utf8);
	zk_redact_into(&clean, zk_buf_str(&text));
	zk_log_bar(zk_buf_str(&clean));
}

static void say_plain(struct zk_progress *p)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf text = { .cap = TEXT_MAX };

	zk_bar_plain(&text, &p->bar);
	zk_say("%s", zk_buf_cstring(&text));
	p->plain_ms = zk_mono_ms();
}

static void put_status(struct zk_progress *p)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b = { .cap = TEXT_MAX };
	struct zk_jwrite w;

	if (!p->conf.status)
		return;
	zk_jwrite_init(&w, &b);
	if (p->bar.state) {
		zk_jw_key(&w, "state");
		zk_jw_cstr(&w, p->bar.state);
	}
	zk_jw_key(&w, "done");
	zk_jw_u64(&w, p->bar.done);
	if (p->bar.total) {
		zk_jw_key(&w, "total");
		zk_jw_u64(&w, p->bar.total);
	}
	zk_jw_key(&w, "rate");
	zk_jw_double(&w, (double)(int64_t)(p->bar.rate * 10) / 10);
	if (p->conf.more)
		p->conf.more(p->conf.ctx, &w);
	zk_status_event(p->conf.status, "progress", zk_buf_str(&b));
}

/* ---- time ---- */

static void add_spark(struct zk_bar *bar, double rate)
{
	if (bar->n_sparks == ZK_BAR_SPARKS) {
		memmove(bar->sparks, bar->sparks + 1,
		        sizeof(bar->sparks) - sizeof(double));
		bar->n_sparks--;
	}
	bar->sparks[bar->n_sparks++] = rate;
}

/* Once a second: the rate, the time that is left, the status line. */
static void look_at_rate(struct zk_progress *p, int64_t now_ms)
{
	struct zk_bar *bar = &p->bar;
	double rate = (double)(bar->done - ZK_MIN(p->rate_done, bar->done)) * 1000 /
	              (double)(now_ms - p->rate_ms);
	double left = bar->total > bar->done ? (double)(bar->total - bar->done) : 0;

	bar->rate =
	        bar->n_sparks ? bar->rate * (1 - RATE_WEIGHT) + rate * RATE_WEIGHT : rate;
	bar->eta_s = bar->total && bar->rate > 0 && left / bar->rate < 1e7
	                     ? (int64_t)(left / bar->rate + 0.999)
	                     : -1;
	add_spark(bar, rate);
	p->rate_ms = now_ms;
	p->rate_done = bar->done;
	p->dirty = true;
	put_status(p);
}

static void on_tick(void *ctx)
{
	struct zk_progress *p = ctx;
	int64_t now_ms = zk_mono_ms();

	if (now_ms - p->rate_ms >= RATE_MS)
		look_at_rate(p, now_ms);
	if (p->mode == ZK_PROGRESS_BAR && p->dirty)
		draw_bar(p);
	p->dirty = false;
	if (p->mode == ZK_PROGRESS_PLAIN && now_ms - p->plain_ms >= PLAIN_MS)
		say_plain(p);
}

/* ---- terminal signals ---- */

static void on_signal(uv_signal_t *h, int n)
{
	struct watcher *w = h->data;

	if (!w->p)
		return;
	if (n == SIGTSTP) {
		/* The shell's prompt comes to a clean line; then we stop as we would
		 * have. */
		zk_log_bar(ZK_STR_NULL);
		zk_log_flush();
		(void)raise(SIGSTOP);
	}
	w->p->dirty = true;
}

static void on_signal_closed(uv_handle_t *h)
{
	struct watcher *w = h->data;

	if (--w->open == 0)
		free(w);
}

static void watch_signals(struct zk_progress *p)
{
	static const int numbers[SIGNALS] = { SIGTSTP, SIGCONT, SIGWINCH };
	struct watcher *w = zk_new0(struct watcher);

	w->p = p;
	p->watcher = w;
	for (size_t i = 0; i < SIGNALS; i++) {
		if (uv_signal_init(zk_loop_uv(p->loop), &w->sig[i]) < 0)
			break;
		w->sig[i].data = w;
		w->open++;
		uv_unref((uv_handle_t *)&w->sig[i]);
		/* Without it the bar is only less tidy. */
		(void)uv_signal_start(&w->sig[i], on_signal, numbers[i]);
	}
}

static void unwatch_signals(struct zk_progress *p)
{
	struct watcher *w = ZK_TAKE(p->watcher);
	unsigned n;

	if (!w)
		return;
	w->p = NULL;
	n = w->open;
	for (size_t i = 0; i < n; i++)
		uv_close((uv_handle_t *)&w->sig[i], on_signal_closed);
	if (n == 0)
		free(w);
}

/* ---- interface ---- */

static enum zk_progress_mode choose_mode(const struct zk_progress_conf *conf)
{
	const char *term = getenv("TERM");
	bool can_draw = isatty(STDERR_FILENO) == 1 && term && strcmp(term, "dumb") != 0 &&
	                zk_log_format_get() == ZK_LOG_TEXT;

	switch ((enum zk_progress_mode)conf->mode) {
	case ZK_PROGRESS_AUTO:
		break;
	case ZK_PROGRESS_BAR:
		return can_draw ? ZK_PROGRESS_BAR : ZK_PROGRESS_PLAIN;
	case ZK_PROGRESS_PLAIN:
	case ZK_PROGRESS_NONE:
		return (enum zk_progress_mode)conf->mode;
	}
	if (conf->quiet)
		return ZK_PROGRESS_NONE;
	if (can_draw)
		return ZK_PROGRESS_BAR;
	return is_set("CI") || conf->verbose ? ZK_PROGRESS_PLAIN : ZK_PROGRESS_NONE;
}

struct zk_progress *zk_progress_new(struct zk_loop *loop,
                                    const struct zk_progress_conf *conf)
{
	struct zk_progress *p = zk_new0(struct zk_progress);

	p->conf = *conf;
	p->loop = loop;
	p->mode = choose_mode(conf);
	p->utf8 = zk_term_is_utf8();
	p->title = conf->title ? zk_strdup(conf->title) : NULL;
	p->unit = conf->unit ? zk_strdup(conf->unit) : NULL;
	p->bar = (struct zk_bar){ .title = p->title, .unit = p->unit, .eta_s = -1 };
	p->rate_ms = p->plain_ms = zk_mono_ms();
	p->timer = zk_timer_new(loop, on_tick, p);
	zk_timer_weak(p->timer, true);
	if (p->mode != ZK_PROGRESS_NONE || conf->status)
		zk_timer_start(p->timer, TICK_MS, TICK_MS);
	if (p->mode == ZK_PROGRESS_BAR)
		watch_signals(p);
	return p;
}

static void remove_bar(struct zk_progress *p)
{
	zk_timer_stop(p->timer);
	if (p->mode == ZK_PROGRESS_BAR)
		zk_log_bar(ZK_STR_NULL);
}

void zk_progress_free(struct zk_progress *p)
{
	if (!p)
		return;
	remove_bar(p);
	unwatch_signals(p);
	zk_timer_free(p->timer);
	for (size_t i = 0; i < p->bar.n_notes; i++) {
		free(p->bar.notes[i].name);
		free(p->bar.notes[i].value);
	}
	free(p->title);
	free(p->unit);
	free(p->state);
	free(p->aside);
	free(p->wait);
	free(p);
}

static void set_wait(struct zk_progress *p, const char *text)
{
	free(p->wait);
	p->wait = text ? zk_strdup(text) : NULL;
	p->bar.wait = p->wait;
	p->dirty = true;
}

void zk_progress_set(struct zk_progress *p, uint64_t done, uint64_t total)
{
	if (done != p->bar.done && p->wait)
		set_wait(p, NULL);
	p->bar.done = done;
	p->bar.total = total;
	p->dirty = true;
}

static void drop_note(struct zk_bar *bar, size_t i)
{
	free(bar->notes[i].name);
	free(bar->notes[i].value);
	bar->n_notes--;
	memmove(&bar->notes[i], &bar->notes[i + 1],
	        (bar->n_notes - i) * sizeof(bar->notes[0]));
}

static void set_note(struct zk_progress *p, const char *name, const char *value,
                     bool bare)
{
	struct zk_bar *bar = &p->bar;
	size_t i = 0;

	p->dirty = true;
	while (i < bar->n_notes && strcmp(bar->notes[i].name, name) != 0)
		i++;
	if (i < bar->n_notes && !value) {
		drop_note(bar, i);
	} else if (i < bar->n_notes) {
		free(bar->notes[i].value);
		bar->notes[i].value = zk_strdup(value);
	} else if (value && i < ZK_BAR_NOTES) {
		bar->notes[i] =
		        (struct zk_bar_note){ zk_strdup(name), zk_strdup(value), bare };
		bar->n_notes++;
	}
}

void zk_progress_note(struct zk_progress *p, const char *name, const char *value)
{
	set_note(p, name, value, /* bare */ false);
}

void zk_progress_fact(struct zk_progress *p, const char *name, const char *value)
{
	set_note(p, name, value, /* bare */ true);
}

void zk_progress_aside(struct zk_progress *p, const char *text)
{
	free(p->aside);
	p->aside = text ? zk_strdup(text) : NULL;
	p->bar.aside = p->aside;
	p->dirty = true;
}

void zk_progress_state(struct zk_progress *p, const char *state)
{
	bool same = state && p->state ? strcmp(state, p->state) == 0 : state == p->state;

	if (same)
		return;
	free(p->state);
	p->state = state ? zk_strdup(state) : NULL;
	p->bar.state = p->state;
	p->dirty = true;
	if (p->mode == ZK_PROGRESS_PLAIN && state)
		say_plain(p);
}

void zk_progress_wait(struct zk_progress *p, const char *text)
{
	set_wait(p, text);
	if (p->mode == ZK_PROGRESS_PLAIN && text)
		zk_say("%s%s%s", p->title ? p->title : "", p->title ? ": " : "", text);
}

/* ---- the end ---- */

int zk_sums_check(const struct zk_sums *s, struct zk_error *err)
{
	uint64_t sum = s->acked;

	if (!__builtin_add_overflow(sum, s->rejected, &sum) &&
	    !__builtin_add_overflow(sum, s->spooled, &sum) &&
	    !__builtin_add_overflow(sum, s->skipped, &sum) && sum == s->read)
		return 0;
	return zk_fail(err, ZK_E_SUMS,
	               "read %llu is not acked %llu + rejected %llu + spooled %llu + "
	               "skipped %llu",
	               (unsigned long long)s->read, (unsigned long long)s->acked,
	               (unsigned long long)s->rejected, (unsigned long long)s->spooled,
	               (unsigned long long)s->skipped);
}

static void put_summary_status(struct zk_progress *p, const struct zk_summary *s)
{
	const struct {
		const char *name;
		uint64_t v;
	} sums[] = {
		{ "read", s->sums.read },         { "acked", s->sums.acked },
		{ "rejected", s->sums.rejected }, { "spooled", s->sums.spooled },
		{ "skipped", s->sums.skipped },
	};
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b = { .cap = TEXT_MAX };
	struct zk_jwrite w;

	if (!p->conf.status)
		return;
	zk_jwrite_init(&w, &b);
	for (size_t i = 0; i < ZK_ARRAY_LEN(sums); i++) {
		zk_jw_key(&w, sums[i].name);
		zk_jw_u64(&w, sums[i].v);
	}
	zk_jw_key(&w, "text");
	zk_jw_cstr(&w, s->text);
	zk_jw_key(&w, "exit");
	zk_jw_i64(&w, s->exit);
	zk_status_event(p->conf.status, "summary", zk_buf_str(&b));
}

static void say_sums(const struct zk_summary *s, const char *last)
{
	char read[32], acked[32], rejected[32], spooled[32], skipped[32];

	zk_say("read %s = %s %s + rejected %s + spooled %s + skipped %s%s",
	       zk_group_digits(s->sums.read, read),
	       s->sums.acked_word ? s->sums.acked_word : "acked",
	       zk_group_digits(s->sums.acked, acked),
	       zk_group_digits(s->sums.rejected, rejected),
	       zk_group_digits(s->sums.spooled, spooled),
	       zk_group_digits(s->sums.skipped, skipped), last);
}

void zk_progress_summary(struct zk_progress *p, const struct zk_summary *s)
{
	bool looked_at = isatty(STDERR_FILENO) == 1 || is_set("CI") || p->conf.verbose ||
	                 s->exit != 0;
	char exit_text[32] = "";

	remove_bar(p);
	put_summary_status(p, s);
	if (!looked_at || (p->conf.quiet && s->exit == 0))
		return;
	if (s->exit != 0)
		(void)snprintf(exit_text, sizeof(exit_text), "   (exit %d)", s->exit);
	if (s->text)
		zk_say("%s%s%s", s->title ? s->title : "", s->title ? ": " : "", s->text);
	say_sums(s, s->more ? "" : exit_text);
	if (s->more)
		zk_say("%s%s", s->more, exit_text);
}
