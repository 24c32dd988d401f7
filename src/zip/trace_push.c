/* Sends trace events into one session.
 * Layer: zip. specs/zeal-zip.md §6.3, §6.4, §6.6. */
#include "zip/trace_push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"
#include "codec/jscan.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "zip/fault.h"
#include "zip/trace_event.h"
#include "zip/trace_seen.h"

#include "base/ban.h"

/* Between failures of the server itself: what comes meanwhile is not tried. */
#define COOL_DOWN_MS 5000

struct zk_zip_push {
	struct zk_loop *loop;
	struct zk_zip_push_conf conf;
	char *session, *mark, *events_path, *detail_path;
	struct zk_zip_batch_size size;
	struct zk_rand rnd;
	struct zk_zip_batch fill, fly;
	struct zk_buf scratch; /* the body of a part */

	/* The batch that flies. */
	bool *settled;       /* per event of it */
	size_t room_settled; /* of the array */
	size_t left;         /* events that are not settled */
	size_t from, to;     /* what is being sent */
	bool sent_before;    /* some of it were sent: their fate is to be read back */
	struct zk_retry retry;
	size_t stuck_at; /* the first event that was not stored, twice in a row: poison? */
	unsigned stuck;  /* how often */
	bool aside;      /* the event `stuck_at` waits until others went through */
	struct zk_zip_seen seen;
	struct zk_error cause;      /* why it is read back */
	struct zk_error unreadable; /* the detail is no such; code 0 = it is */

	struct zk_zip_call *call;
	struct zk_timer *linger, *wait;
	bool look_first, flush, paused, pumping, looking;
	int64_t down_until_ms;
	struct zk_error down;
	struct zk_zip_push_stats stats;
};

static void pump(struct zk_zip_push *p);
static void send_next(struct zk_zip_push *p);
static void look(struct zk_zip_push *p);

/* ---- outcomes --------------------------------------------------------------------------------- */

/* Counts events that are settled. */
static void count(const struct zk_zip_push *p, size_t n, enum zk_zip_push_what what)
{
	static const char *const results[] = { "stored",  "known",  "skipped",
		                               "refused", "unsent", "in_doubt" };
	const char *labels[] = { "result", results[what], NULL };
	struct zk_metrics *m = zk_zip_metrics(p->conf.zip);

	if (m)
		zk_counter_add(zk_metrics_counter(m, "zk_trace_events_total",
		                                  "Trace events by what became of them.",
		                                  labels),
		               n);
}

/* Settles the events [from, to) that are not yet, in runs. */
static void settle(struct zk_zip_push *p, size_t from, size_t to,
                   enum zk_zip_push_what what, const struct zk_error *err)
{
	while (from < to) {
		size_t end = from;

		while (end < to && !p->settled[end])
			p->settled[end++] = true;
		if (end > from) {
			p->left -= end - from;
			count(p, end - from, what);
			p->conf.on_events(p->conf.ctx, &p->fly, from, end, what, err);
		}
		from = end + 1;
	}
}

static void fly_over(struct zk_zip_push *p)
{
	zk_zip_batch_clear(&p->fly);
	p->aside = p->sent_before = false;
	p->stuck = 0;
	pump(p);
}

static void all_unsent(struct zk_zip_push *p, const struct zk_error *err)
{
	struct zk_error copy = *err;

	settle(p, 0, p->fly.n, ZK_ZIP_EV_UNSENT, &copy);
	fly_over(p);
}

static void fill_unsent(struct zk_zip_push *p, const struct zk_error *err)
{
	if (!p->fill.n)
		return;
	count(p, p->fill.n, ZK_ZIP_EV_UNSENT);
	p->conf.on_events(p->conf.ctx, &p->fill, 0, p->fill.n, ZK_ZIP_EV_UNSENT, err);
	zk_zip_batch_clear(&p->fill);
}

/* The server, not an event, is why it does not go on. */
static void give_up(struct zk_zip_push *p, const struct zk_error *err)
{
	p->down = *err;
	p->down_until_ms = zk_loop_now_ms(p->loop) + COOL_DOWN_MS;
	all_unsent(p, err);
}

static void progress(struct zk_zip_push *p)
{
	p->stuck = 0;
	p->sent_before = false;
	zk_retry_init(&p->retry, &p->conf.retry, zk_loop_now_ms(p->loop));
}

/* Another try after a wait; false when there is none left. */
static bool again(struct zk_zip_push *p, const struct zk_error *err)
{
	int64_t wait = zk_retry_next(&p->retry, zk_loop_now_ms(p->loop),
	                             err->retry_after_ms, &p->rnd);

	if (wait < 0)
		return false;
	zk_timer_start(p->wait, wait, 0);
	if (p->conf.on_wait)
		p->conf.on_wait(
		        p->conf.ctx, (unsigned)p->retry.tries,
		        (unsigned)ZK_MIN(p->conf.retry.max_retries, (uint64_t)UINT32_MAX),
		        wait, err);
	return true;
}

/* ---- reading back ----------------------------------------------------------------------------- */

static size_t first_left(const struct zk_zip_push *p, size_t from)
{
	while (from < p->fly.n && p->settled[from])
		from++;
	return from;
}

/* Whether this failure of GET /executions says that it will not become readable. */
static bool is_unreadable(const struct zk_error *err)
{
	return !err->retryable && err->code != ZK_E_CONNECT;
}

/* It cannot be known what was stored: --on-ambiguous. */
static void decide(struct zk_zip_push *p)
{
	struct zk_error err = p->cause;

	switch (p->conf.ambiguous) {
	case ZK_ZIP_RESEND:
		p->stats.resent += p->to - p->from;
		/* A smaller piece, so that less would be there twice. */
		zk_zip_batch_size_bad(&p->size, p->to - p->from);
		if (!again(p, &err))
			give_up(p, &err);
		return;
	case ZK_ZIP_SKIP:
		settle(p, p->from, p->to, ZK_ZIP_EV_SKIPPED, &err);
		progress(p);
		send_next(p);
		return;
	case ZK_ZIP_STOP:
		settle(p, p->from, p->to, ZK_ZIP_EV_IN_DOUBT, &err);
		give_up(p, &err);
		return;
	}
}

/* Nothing of it was stored, again. An event that keeps the server from storing is told from a
 * server that stores nothing by what becomes of the others. */
static void still_stuck(struct zk_zip_push *p)
{
	struct zk_error err = p->cause;
	size_t at = first_left(p, 0), other;

	p->stuck = at == p->stuck_at ? p->stuck + 1 : 1;
	p->stuck_at = at;
	other = first_left(p, at + 1);
	if (p->stuck >= 2 && other < p->fly.n && !p->aside)
		p->aside = true;
	if (!again(p, &err))
		give_up(p, &err);
}

/* The event that was put aside is the culprit: others went through. */
static void refuse_aside(struct zk_zip_push *p)
{
	struct zk_error err = p->cause;

	(void)zk_fail(&err, ZK_E_REJECTED,
	              "the server fails whenever it is to store this event");
	settle(p, p->stuck_at, p->stuck_at + 1, ZK_ZIP_EV_REFUSED, &err);
	p->aside = false;
	p->stuck = 0;
}

/* The state of the session is known now. */
static void compare(struct zk_zip_push *p)
{
	size_t before = p->left;

	for (size_t i = 0; i < p->fly.n; i++)
		if (!p->settled[i] && zk_zip_seen_has(&p->seen, p->fly.v[i].seq))
			settle(p, i, i + 1, ZK_ZIP_EV_KNOWN, NULL);
	if (p->left < before) {
		progress(p);
		if (p->aside && !p->settled[p->stuck_at])
			refuse_aside(p);
		/* The next one in line stopped the server once now. */
		p->stuck_at = first_left(p, 0);
		p->stuck = 1;
		p->stats.resent += p->left;
		send_next(p);
	} else if (!p->cause.code) {
		send_next(p);
	} else {
		still_stuck(p);
	}
}

/* The reading begins, or begins anew. */
static void on_restart(void *ctx)
{
	struct zk_zip_push *p = ctx;
	uint64_t from = UINT64_MAX;

	/* The first one, but for events that came back to be sent again. */
	for (size_t i = 0; i < p->fly.n; i++)
		from = ZK_MIN(from, p->fly.v[i].seq);
	p->unreadable = (struct zk_error){ 0 };
	zk_zip_seen_begin(&p->seen, zk_str_of(p->mark), from);
}

static void on_piece(void *ctx, zk_str piece)
{
	struct zk_zip_push *p = ctx;

	if (!p->unreadable.code)
		ZK_IGNORE(zk_zip_seen_put(&p->seen, piece, &p->unreadable) < 0);
}

static void on_detail(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct zk_zip_push *p = ctx;

	(void)end;
	p->call = NULL;
	p->looking = false;
	if (!err && (p->unreadable.code || zk_zip_seen_end(&p->seen, &p->unreadable) < 0))
		err = &p->unreadable;
	if (!err) {
		p->sent_before = p->look_first = false;
		compare(p);
	} else if (!is_unreadable(err)) {
		give_up(p, err);
	} else if (!p->cause.code) {
		/* It was only to be looked at first. */
		p->look_first = false;
		(void)zk_fail(
		        &p->cause, ZK_E_UNKNOWN_OUTCOME,
		        "an earlier run may have stored some of these events, and the "
		        "session cannot be read");
		p->from = 0;
		p->to = p->conf.ambiguous == ZK_ZIP_RESEND ? 0 : p->fly.n;
		if (p->conf.ambiguous == ZK_ZIP_RESEND)
			send_next(p);
		else
			decide(p);
	} else {
		decide(p);
	}
}

static void look(struct zk_zip_push *p)
{
	struct zk_zip_req rq = { .class = ZK_ZIP_R0,
		                 .method = "GET",
		                 .route = "/executions/{session}",
		                 .path = p->detail_path,
		                 .on_data = on_piece,
		                 .restart = on_restart };
	struct zk_error err = { 0 };

	on_restart(p);
	p->stats.looks++;
	p->looking = true;
	if (zk_zip_start(p->conf.zip, &rq, on_detail, p, &p->call, &err) < 0) {
		p->looking = false;
		give_up(p, &err);
	}
}

/* ---- answers ---------------------------------------------------------------------------------- */

/* The server names the events that it does not like: paths begin with "events", INDEX. */
static bool refuse_named(struct zk_zip_push *p, zk_str body)
{
	struct zk_jval details;
	struct zk_zip_issue issue;
	struct zk_jiter it;
	bool some = false;

	if (!zk_jscan_get(body, ZK_STR("error.details"), &details))
		return false;
	zk_zip_issues_init(&it, details.raw);
	while (zk_zip_issues_next(&it, &issue)) {
		struct zk_buf path ZK_CLEANUP(zk_buf_done) = { 0 };
		struct zk_error err = { 0 };
		uint64_t i;

		if (!zk_zip_issue_index(issue.path, 1, &i) || i >= p->to - p->from ||
		    p->settled[p->from + i])
			continue;
		zk_buf_init(&path, 256);
		zk_zip_issue_path(issue.path, 2, &path);
		(void)zk_fail(&err, ZK_E_REJECTED, "%s: %.*s", zk_buf_cstring(&path),
		              ZK_STR_ARG(issue.message));
		settle(p, p->from + i, p->from + i + 1, ZK_ZIP_EV_REFUSED, &err);
		some = true;
	}
	return some;
}

/* The batch as a whole is refused (400, 413): smaller pieces until the culprit is alone. */
static void refused(struct zk_zip_push *p, const struct zk_zip_end *end,
                    struct zk_error *err)
{
	if (err->http_status == 400 && refuse_named(p, end->body)) {
		send_next(p);
	} else if (p->to - p->from > 1) {
		zk_zip_batch_size_bad(&p->size, p->to - p->from);
		send_next(p);
	} else {
		settle(p, p->from, p->to, ZK_ZIP_EV_REFUSED, err);
		send_next(p);
	}
}

static bool all_processed(const struct zk_zip_push *p, zk_str body)
{
	struct zk_jval v;
	uint64_t n;

	return zk_jscan_get(body, ZK_STR("eventsProcessed"), &v) &&
	       v.type == ZK_J_NUMBER && zk_jnum_u64(v.raw, &n) && n == p->to - p->from;
}

static void stored(struct zk_zip_push *p)
{
	p->stats.batches++;
	settle(p, p->from, p->to, ZK_ZIP_EV_STORED, NULL);
	zk_zip_batch_size_good(&p->size);
	progress(p);
	if (p->aside)
		refuse_aside(p);
	send_next(p);
}

/* §1.2. */
static int64_t timeout_of(const struct zk_zip_push *p)
{
	int64_t most = p->conf.timeout_ms;

	return most > 0 ? most + (int64_t)(p->to - p->from) / 10 : most;
}

static bool timed_out(const struct zk_zip_push *p, const struct zk_zip_end *end)
{
	int64_t most = timeout_of(p);

	return !end->status && most > 0 && end->total_us / 1000 >= most;
}

static void on_answer(void *ctx, const struct zk_zip_end *end, struct zk_error *err)
{
	struct zk_zip_push *p = ctx;
	struct zk_error bad = { 0 };

	p->call = NULL;
	if (!err && all_processed(p, end->body)) {
		stored(p);
		return;
	}
	if (!err) {
		(void)zk_fail(&bad, ZK_E_PROTOCOL,
		              "the server did not count the events it was sent");
		err = &bad;
	}
	if (err->http_status == 413 || err->code == zk_zip_kind_code(ZK_ZIP_VALIDATION)) {
		refused(p, end, err);
	} else if (err == &bad || zk_zip_is_ambiguous(err)) {
		p->cause = *err;
		p->sent_before = true;
		if (timed_out(p, end))
			zk_zip_batch_size_bad(&p->size, p->to - p->from);
		look(p);
	} else {
		give_up(p, err);
	}
}

/* ---- sending ---------------------------------------------------------------------------------- */

/* The next run of events that are not settled, no longer than a batch is at present. */
static bool next_part(struct zk_zip_push *p)
{
	size_t skip = p->aside ? p->stuck_at : SIZE_MAX;

	p->from = first_left(p, 0);
	if (p->from == skip)
		p->from = first_left(p, p->from + 1);
	p->to = p->from;
	while (p->to < p->fly.n && !p->settled[p->to] && p->to != skip &&
	       p->to - p->from < p->size.now)
		p->to++;
	return p->to > p->from;
}

static void send_next(struct zk_zip_push *p)
{
	struct zk_error err = { 0 };

	if (!p->left || !next_part(p)) {
		/* Only the one that was put aside is left, and nothing spoke for the server. */
		if (p->left)
			give_up(p, &p->cause);
		else
			fly_over(p);
		return;
	}
	struct zk_zip_req rq = {
		.class = ZK_ZIP_R2,
		.method = "POST",
		.route = "/traces/{session}/events",
		.path = p->events_path,
		.body = zk_zip_batch_body(&p->fly, p->from, p->to, &p->scratch),
		.body_borrowed = true,
		.timeout_ms = timeout_of(p),
	};

	p->fly.attempts++;
	if (zk_zip_start(p->conf.zip, &rq, on_answer, p, &p->call, &err) < 0)
		give_up(p, &err);
}

static void on_wait_over(void *ctx)
{
	send_next(ctx);
}

static void take_off(struct zk_zip_push *p)
{
	struct zk_zip_batch t = p->fly;

	p->fly = p->fill;
	p->fill = t;
	zk_timer_stop(p->linger);
	if (p->room_settled < p->fly.n) {
		p->room_settled = p->fly.room;
		p->settled =
		        zk_realloc(p->settled, p->room_settled * sizeof(*p->settled));
	}
	memset(p->settled, 0, p->fly.n * sizeof(*p->settled));
	p->left = p->fly.n;
	p->cause = (struct zk_error){ 0 };
	progress(p);
	if (p->look_first) {
		look(p);
		return;
	}
	/* What an earlier run was killed over may fill more than the first batch. */
	for (size_t i = 0; p->seen.words && i < p->fly.n; i++)
		if (zk_zip_seen_has(&p->seen, p->fly.v[i].seq))
			settle(p, i, i + 1, ZK_ZIP_EV_KNOWN, NULL);
	send_next(p);
}

static bool is_flying(const struct zk_zip_push *p)
{
	return p->fly.n > 0;
}

static void set_pause(struct zk_zip_push *p)
{
	bool pause = is_flying(p) && zk_zip_batch_is_full(&p->fill, &p->size);

	if (pause == p->paused)
		return;
	p->paused = pause;
	p->conf.on_pause(p->conf.ctx, pause);
}

static void pump(struct zk_zip_push *p)
{
	int64_t now = zk_loop_now_ms(p->loop);

	if (p->pumping)
		return;
	p->pumping = true;
	if (p->fill.n && p->down_until_ms > now)
		fill_unsent(p, &p->down);
	if (!is_flying(p) && p->fill.n) {
		if (p->flush || zk_zip_batch_is_full(&p->fill, &p->size) ||
		    zk_zip_batch_is_due(&p->fill, &p->size, now))
			take_off(p);
		else if (!zk_timer_is_active(p->linger))
			zk_timer_start(p->linger,
			               p->fill.first_ms + p->size.every_ms - now, 0);
	}
	set_pause(p);
	p->pumping = false;
	if (!zk_zip_push_waiting(p))
		p->conf.on_idle(p->conf.ctx);
}

static void on_linger(void *ctx)
{
	pump(ctx);
}

/* ---- the owner's side ------------------------------------------------------------------------- */

static char *path_of(const char *head, const char *session, const char *tail)
{
	struct zk_buf b;

	zk_buf_init(&b, 65536);
	zk_buf_cstr(&b, head);
	zk_buf_percent(&b, zk_str_of(session));
	zk_buf_cstr(&b, tail);
	return zk_buf_take(&b);
}

struct zk_zip_push *zk_zip_push_new(struct zk_loop *loop,
                                    const struct zk_zip_push_conf *conf)
{
	struct zk_zip_push *p = zk_new0(struct zk_zip_push);
	uint64_t seed;

	p->loop = loop;
	p->conf = *conf;
	p->session = zk_strdup(conf->session);
	p->mark = zk_strdup(conf->mark);
	p->events_path = path_of("/traces/", conf->session, "/events");
	p->detail_path = path_of("/executions/", conf->session, "");
	p->look_first = conf->look_first;
	zk_zip_batch_size_init(&p->size, conf->batch ? conf->batch : ZK_ZIP_BATCH_EVENTS,
	                       conf->every_ms);
	zk_zip_batch_init(&p->fill);
	zk_zip_batch_init(&p->fly);
	zk_buf_init(&p->scratch, ZK_ZIP_BATCH_BYTES + 2 * ZK_ZIP_EVENT_MAX);
	zk_rand_secret(&seed, sizeof(seed));
	zk_rand_seed(&p->rnd, seed);
	p->linger = zk_timer_new(loop, on_linger, p);
	p->wait = zk_timer_new(loop, on_wait_over, p);
	return p;
}

void zk_zip_push_free(struct zk_zip_push *p)
{
	struct zk_error err = { 0 };

	if (!p)
		return;
	if (zk_zip_push_waiting(p)) {
		(void)zk_fail(&err, ZK_E_INTERRUPTED, "sending was cut short");
		zk_zip_push_abort(p, &err);
	}
	zk_timer_free(p->linger);
	zk_timer_free(p->wait);
	zk_zip_batch_done(&p->fill);
	zk_zip_batch_done(&p->fly);
	zk_zip_seen_done(&p->seen);
	zk_buf_done(&p->scratch);
	free(p->settled);
	free(p->session);
	free(p->mark);
	free(p->events_path);
	free(p->detail_path);
	free(p);
}

struct zk_buf *zk_zip_push_room(struct zk_zip_push *p)
{
	return &p->fill.body;
}

void zk_zip_push_added(struct zk_zip_push *p, const struct zk_zip_batch_event *e)
{
	zk_zip_batch_added(&p->fill, e, zk_loop_now_ms(p->loop));
	/* The common case: it goes on filling. */
	if (p->fill.n > 1 && !zk_zip_batch_is_full(&p->fill, &p->size))
		return;
	pump(p);
}

void zk_zip_push_flush(struct zk_zip_push *p)
{
	p->flush = true;
	pump(p);
}

void zk_zip_push_abort(struct zk_zip_push *p, const struct zk_error *err)
{
	if (p->call)
		zk_zip_cancel(ZK_TAKE(p->call));
	zk_timer_stop(p->wait);
	p->pumping = true;
	settle(p, 0, p->fly.n, ZK_ZIP_EV_UNSENT, err);
	zk_zip_batch_clear(&p->fly);
	fill_unsent(p, err);
	p->pumping = false;
}

size_t zk_zip_push_waiting(const struct zk_zip_push *p)
{
	return p->fill.n + p->fly.n;
}

const struct zk_zip_push_stats *zk_zip_push_stats(const struct zk_zip_push *p)
{
	return &p->stats;
}
