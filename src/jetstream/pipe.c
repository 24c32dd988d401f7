/* The pipeline.
 * Layer: jetstream. */
#include "jetstream/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "jetstream/dedup.h"
#include "rt/loop.h"
#include "rt/metrics.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define WINDOW_ITEMS 20000
#define WINDOW_BYTES (12u << 20)
#define BATCH_BYTES \
	(6u << 20) /* where nothing waits for lookups: batches for the store */
#define TICK_MS     50
#define SLOW_TICKS  20 /* once a second */
#define IDLE_MS     5000
#define RETRY_MS    5000
#define IN_FLIGHT   2
#define DEAD_SAMPLE 10000

/* Items in order of arrival. */
struct fifo {
	struct zk_jet_item *head, **tail;
	size_t n;
};

struct zk_jet_pipe {
	struct zk_jet_pipe_conf conf;
	struct zk_jet_source *source;
	struct zk_jet_decoder decoder;
	struct zk_jet_sieve_conf sieve;
	struct zk_jet_dedup dedup;
	struct zk_buf text;
	struct fifo window;                          /* lookups may be missing */
	struct fifo ready;                           /* complete, waiting for a commit */
	size_t bytes;                                /* of all items that are held */
	struct zk_jet_commit *failed, **failed_tail; /* to be tried again, in order */
	unsigned in_flight;
	int64_t ready_ms;   /* when the first of `ready` came; 0 = none */
	int64_t commit_ms;  /* of the last commit that was begun */
	int64_t failing_ms; /* since when commits fail; 0 = they do not */
	struct zk_timer *tick, *linger;
	unsigned ticks;
	struct zk_jet_mark mark; /* after everything that came */
	bool moved;              /* it moved since the last commit */
	bool paused;             /* the source was told so */
	bool overlap, rotate, source_ended, over, enough, hurried;
	const char *held;
	struct zk_error source_err;
	struct zk_jet_gap gap;
	bool gap_due;
	uint64_t sample, sample_dead;
	struct zk_jet_figures fig;
	uint64_t minute[60]; /* events per second, a ring */
	int64_t second;
	int64_t wall_us; /* as of the last tick */
	struct zk_counter *results[4], *wire, *json;
	uint64_t told[4], told_wire, told_json; /* what they know of `fig` */
	struct zk_histogram *latency, *hydration, *commit;
	struct zk_gauge *window_gauge;
};

enum { RES_STORED, RES_FILTERED, RES_DUPLICATE, RES_DEAD };

static void push(struct fifo *f, struct zk_jet_item *i)
{
	i->next = NULL;
	*f->tail = i;
	f->tail = &i->next;
	f->n++;
}

static struct zk_jet_item *pop(struct fifo *f)
{
	struct zk_jet_item *i = f->head;

	f->head = i->next;
	if (!f->head)
		f->tail = &f->head;
	f->n--;
	return i;
}

static void on_tick(void *ctx);
static void on_linger(void *ctx);
static void flow(struct zk_jet_pipe *p);

/* ---- making it ---- */

static void add_metrics(struct zk_jet_pipe *p, struct zk_metrics *m)
{
	static const char *const names[] = { "stored", "filtered", "duplicate", "dead" };

	for (unsigned i = 0; i < ZK_ARRAY_LEN(names); i++)
		p->results[i] = zk_metrics_counter(
		        m, "zk_jetstream_events_total", "events by what became of them",
		        (const char *[]){ "result", names[i], NULL });
	p->wire = zk_metrics_counter(m, "zk_jetstream_received_bytes_total",
	                             "bytes received, as sent and expanded",
	                             (const char *[]){ "form", "wire", NULL });
	p->json = zk_metrics_counter(m, "zk_jetstream_received_bytes_total",
	                             "bytes received, as sent and expanded",
	                             (const char *[]){ "form", "json", NULL });
	p->latency = zk_metrics_histogram(m, "zk_jetstream_latency_seconds",
	                                  "from the frame to the commit",
	                                  zk_buckets_seconds, 14, NULL);
	p->hydration = zk_metrics_histogram(m, "zk_jetstream_hydration_seconds",
	                                    "time that events waited for lookups",
	                                    zk_buckets_seconds, 14, NULL);
	p->commit =
	        zk_metrics_histogram(m, "zk_jetstream_store_commit_seconds",
	                             "time of a commit", zk_buckets_seconds, 14, NULL);
	p->window_gauge = zk_metrics_gauge(m, "zk_jetstream_window_events",
	                                   "events that wait in the pipeline", NULL);
}

struct zk_jet_pipe *zk_jet_pipe_new(const struct zk_jet_pipe_conf *conf)
{
	struct zk_jet_pipe *p = zk_new0(struct zk_jet_pipe);

	p->conf = *conf;
	p->window.tail = &p->window.head;
	p->ready.tail = &p->ready.head;
	p->failed_tail = &p->failed;
	/* What is in the record is wanted by lookups and by --match only. */
	p->sieve = (struct zk_jet_sieve_conf){ .filter = conf->filter,
		                               .records = conf->wanted ||
		                                          conf->filter->match,
		                               .until = conf->until };
	zk_jet_decoder_init(&p->decoder, p->sieve.records);
	p->wall_us = zk_wall_us();
	zk_jet_dedup_init(&p->dedup);
	zk_buf_init(&p->text, 64u << 20);
	p->tick = zk_timer_new(conf->loop, on_tick, p);
	p->linger = zk_timer_new(conf->loop, on_linger, p);
	zk_timer_weak(p->tick, true);
	zk_timer_start(p->tick, TICK_MS, TICK_MS);
	p->commit_ms = zk_mono_ms();
	add_metrics(p, conf->metrics);
	return p;
}

void zk_jet_pipe_use(struct zk_jet_pipe *p, struct zk_jet_hydrator *h,
                     struct zk_jet_store *s, struct zk_jet_dead_file *d)
{
	p->conf.hydrator = h;
	p->conf.store = s;
	p->conf.dead = d;
}

void *zk_jet_pipe_owner(const struct zk_jet_pipe *p)
{
	return p->conf.ctx;
}

static void free_items(struct zk_jet_item *i)
{
	while (i) {
		struct zk_jet_item *next = i->next;

		zk_jet_item_free(i);
		i = next;
	}
}

static void free_commit(struct zk_jet_commit *c)
{
	free_items(c->items);
	free_items(c->bad);
	free(c);
}

void zk_jet_pipe_free(struct zk_jet_pipe *p)
{
	if (!p)
		return;
	zk_timer_free(p->tick);
	zk_timer_free(p->linger);
	free_items(p->window.head);
	free_items(p->ready.head);
	while (p->failed) {
		struct zk_jet_commit *c = p->failed;

		p->failed = c->next;
		free_commit(c);
	}
	zk_jet_decoder_done(&p->decoder);
	zk_jet_dedup_done(&p->dedup);
	zk_buf_done(&p->text);
	free(p);
}

/* ---- holding back ---- */

static size_t held_items(const struct zk_jet_pipe *p)
{
	return p->window.n + p->ready.n + p->fig.waiting;
}

static size_t most_bytes(const struct zk_jet_pipe *p)
{
	return p->conf.hydrator ? WINDOW_BYTES : BATCH_BYTES;
}

static bool is_full(const struct zk_jet_pipe *p)
{
	return held_items(p) >= WINDOW_ITEMS || p->bytes >= most_bytes(p) || p->held;
}

static void flow(struct zk_jet_pipe *p)
{
	if (!p->paused || p->held || held_items(p) > WINDOW_ITEMS / 2 ||
	    p->bytes > most_bytes(p) / 2 || !p->source || p->source_ended)
		return;
	p->paused = false;
	p->source->ops->resume(p->source);
}

void zk_jet_pipe_hold(struct zk_jet_pipe *p, const char *why)
{
	p->held = why;
	if (why && !p->paused && p->source && !p->source_ended) {
		p->paused = true;
		p->source->ops->pause(p->source);
	}
	flow(p);
}

void zk_jet_pipe_room(struct zk_jet_pipe *p)
{
	zk_jet_pipe_hold(p, NULL);
}

/* After each commit too: at full speed a second is a long time. */
static void check_disk(struct zk_jet_pipe *p)
{
	struct statvfs fs;
	bool full;

	if (!p->conf.min_free || statvfs(zk_jet_store_dir(p->conf.store), &fs) < 0)
		return;
	full = (uint64_t)fs.f_bavail * fs.f_frsize < p->conf.min_free;
	if (full && !p->held) {
		zk_warn("little space is left, reading stops until there is more",
		        "free=%llu", (unsigned long long)fs.f_bavail * fs.f_frsize);
		zk_jet_pipe_hold(p, "disk full");
	} else if (!full && p->held && !p->failing_ms &&
	           strcmp(p->held, "disk full") == 0) {
		zk_notice("there is space again");
		zk_jet_pipe_hold(p, NULL);
	}
}

/* ---- the end ---- */

static void end(struct zk_jet_pipe *p, const struct zk_error *err)
{
	if (p->over)
		return;
	p->over = true;
	zk_timer_stop(p->linger);
	p->conf.ended(p->conf.ctx, err);
}

static void gather(struct zk_jet_pipe *p, bool all);

static void check_end(struct zk_jet_pipe *p)
{
	if (!p->source_ended || p->window.n || p->over)
		return;
	if (p->conf.store && (p->ready.n || p->moved || p->gap_due))
		gather(p, /* all */ true);
	if (p->ready.n || p->in_flight || p->failed)
		return;
	if (p->source->ops->is_settling && p->source->ops->is_settling(p->source))
		return;
	end(p, p->source_err.code ? &p->source_err : NULL);
}

/* ---- commits ---- */

static void count_second(struct zk_jet_pipe *p, size_t n)
{
	int64_t now = zk_loop_now_ms(p->conf.loop) / 1000;

	for (; p->second < now; p->second++) {
		if (now - p->second > 60)
			p->second = now - 60;
		p->minute[(p->second + 1) % 60] = 0;
	}
	p->minute[now % 60] += n;
}

/* The position after the commit: that of its last item, or, when nothing waits behind it, where
 * the source stands now. */
static void set_place(struct zk_jet_pipe *p, struct zk_jet_commit *c,
                      const struct zk_jet_item *last)
{
	const struct zk_jet_mark *at =
	        last && (p->window.n || p->ready.n) ? &last->mark : NULL;

	p->source->ops->place(p->source, at, &c->at);
	c->at.place.updated_us = zk_wall_us();
	p->moved = at != NULL;
	if (at && at->epoch != p->mark.epoch) { /* it came from another host */
		c->at.place.host[0] = '\0';
		c->at.place.seq = 0;
	}
}

static void begin(struct zk_jet_pipe *p, struct zk_jet_commit *c)
{
	p->in_flight++;
	p->commit_ms = zk_mono_ms();
	zk_jet_store_commit(p->conf.store, c);
}

/* Takes what is ready, at most a batch, and hands it to the store. */
static void commit_some(struct zk_jet_pipe *p)
{
	struct zk_jet_commit *c = zk_new0(struct zk_jet_commit);
	struct zk_jet_item **tail = &c->items, *last = NULL;
	struct zk_error err;

	while (p->ready.n && c->n < p->conf.batch) {
		last = pop(&p->ready);
		last->next = NULL;
		*tail = last;
		tail = &last->next;
		c->n++;
	}
	p->fig.waiting += c->n;
	p->ready_ms = p->ready.n ? p->ready_ms : 0;
	set_place(p, c, last);
	if (p->gap_due)
		c->gap = &p->gap;
	p->gap_due = false;
	c->rotate = p->rotate;
	p->rotate = false;
	if (p->conf.dead && zk_jet_dead_sync(p->conf.dead, &err) < 0)
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "dead letters are not on disk",
		             &err);
	begin(p, c);
}

static bool is_batch(const struct zk_jet_pipe *p, int64_t now, bool all)
{
	if (!p->ready.n || p->in_flight >= IN_FLIGHT)
		return false;
	return all || p->ready.n >= p->conf.batch ||
	       now - p->ready_ms >= p->conf.linger_ms;
}

/* Nothing is on its way, and yet the position, a gap or a new file is to be written. */
static bool is_bare(const struct zk_jet_pipe *p)
{
	return !p->ready.n && !p->in_flight && !p->window.n &&
	       (p->moved || p->gap_due || p->rotate);
}

/* Commits when a batch is full, or waited long enough, or `all`. */
static void gather(struct zk_jet_pipe *p, bool all)
{
	int64_t now;

	if (!p->conf.store || p->failed || p->failing_ms)
		return;
	/* What waits for the timer need not be looked at with each event. */
	if (!all && p->ready.n < p->conf.batch && zk_timer_is_active(p->linger))
		return;
	now = zk_mono_ms();
	while (is_batch(p, now, all))
		commit_some(p);
	if (all && is_bare(p))
		commit_some(p);
	if (p->ready.n && p->in_flight < IN_FLIGHT && !zk_timer_is_active(p->linger))
		zk_timer_start(
		        p->linger,
		        ZK_MAX(p->conf.linger_ms - (now - p->ready_ms), (int64_t)1), 0);
}

static void on_linger(void *ctx)
{
	struct zk_jet_pipe *p = ctx;

	gather(p, false);
	check_end(p);
}

static void bury(struct zk_jet_pipe *p, enum zk_jet_dead why, zk_str bytes,
                 uint64_t cursor)
{
	struct zk_jet_dead_letter l = {
		.why = why, .source = p->fig.host, .cursor = cursor, .bytes = bytes
	};
	struct zk_error err;

	p->fig.dead++;
	p->sample_dead++;
	p->moved = true;
	zk_debug("a dead letter", "reason=%s bytes=%zu", zk_jet_dead_name(why), bytes.n);
	if (p->conf.dead && zk_jet_dead_put(p->conf.dead, &l, &err) < 0)
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "a dead letter is not on disk",
		             &err);
}

static void succeed(struct zk_jet_pipe *p, struct zk_jet_commit *c)
{
	int64_t now = zk_mono_us();

	for (const struct zk_jet_item *i = c->items; i; i = i->next)
		zk_histogram_observe(p->latency, (double)(now - i->received_us) / 1e6);
	p->fig.stored += c->n;
	count_second(p, c->n);
	zk_histogram_observe(p->commit, (double)c->commit_us / 1e6);
	p->fig.place = c->at.place;
	p->fig.file_bytes = c->file_bytes;
	p->fig.wal_bytes = c->wal_bytes;
	for (const struct zk_jet_item *i = c->bad; i; i = i->next)
		bury(p, ZK_JET_DEAD_STORE, i->message, i->e.cursor);
	if (p->conf.stored)
		p->conf.stored(p->conf.ctx, c);
}

static void give_up(struct zk_jet_pipe *p, const struct zk_error *err)
{
	zk_log_error(ZK_LOG_ERROR, ZK_LOGGER, "the store does not recover", err);
	end(p, err);
}

/* Kept in order, and tried again after a while. */
static void keep(struct zk_jet_pipe *p, struct zk_jet_commit *c,
                 const struct zk_error *err)
{
	int64_t now = zk_mono_ms();

	c->next = NULL;
	*p->failed_tail = c;
	p->failed_tail = &c->next;
	if (!p->failing_ms) {
		p->failing_ms = now;
		p->fig.store_down = true;
		zk_log_error(ZK_LOG_ERROR, ZK_LOGGER,
		             "the store failed, trying again in 5 s", err);
		zk_jet_pipe_hold(p, err->code == ZK_E_STORE_FULL ? "disk full" : "store");
	}
	if (err->code == ZK_E_STORE_CORRUPT ||
	    (p->conf.retry_max_ms && now - p->failing_ms > p->conf.retry_max_ms))
		give_up(p, err);
	p->commit_ms = now;
}

static void retry_failed(struct zk_jet_pipe *p)
{
	struct zk_jet_commit *c = p->failed;
	bool first = true;

	p->failed = NULL;
	p->failed_tail = &p->failed;
	while (c) {
		struct zk_jet_commit *next = c->next;

		c->retry = first;
		first = false;
		begin(p, c);
		c = next;
	}
}

void zk_jet_pipe_committed(void *pipe, struct zk_jet_commit *c,
                           const struct zk_error *err)
{
	struct zk_jet_pipe *p = pipe;

	p->in_flight--;
	if (err) {
		keep(p, c, err);
		return;
	}
	if (p->failing_ms && !p->failed) {
		p->failing_ms = 0;
		p->fig.store_down = false;
		zk_notice("the store works again");
		zk_jet_pipe_hold(p, NULL);
	}
	succeed(p, c);
	if (p->source && p->source->ops->committed)
		p->source->ops->committed(p->source, c->at.order);
	p->fig.waiting -= c->n + c->refused;
	for (const struct zk_jet_item *i = c->items; i; i = i->next)
		p->bytes -= i->size;
	for (const struct zk_jet_item *i = c->bad; i; i = i->next)
		p->bytes -= i->size;
	free_commit(c);
	check_disk(p);
	gather(p, p->source_ended);
	flow(p);
	check_end(p);
}

/* ---- leaving the window ---- */

static void emit(struct zk_jet_pipe *p, struct zk_jet_item *i)
{
	struct zk_buf record ZK_CLEANUP(zk_buf_done);
	struct zk_jet_row row;

	zk_buf_init(&record, 64u << 20);
	zk_buf_clear(&p->text);
	zk_jet_row_of(i, p->conf.envelope, zk_str_of(p->fig.host), &p->text, &row);
	zk_jet_put_record(&row, p->conf.envelope, &record);
	p->fig.stored++;
	p->bytes -= i->size;
	if (!p->conf.emit(p->conf.ctx, zk_buf_str(&record)))
		zk_jet_pipe_hold(p, "output");
	zk_jet_item_free(i);
}

static void leave(struct zk_jet_pipe *p)
{
	int64_t now_us = zk_mono_us(), wall = zk_wall_us();

	while (p->window.n && !p->window.head->waiting) {
		struct zk_jet_item *i = pop(&p->window);

		i->ready_us = now_us;
		i->processed_us = wall;
		if (p->conf.hydrator) {
			zk_jet_hydrate_close(p->conf.hydrator, i);
			zk_histogram_observe(p->hydration,
			                     (double)(i->ready_us - i->begun_us) / 1e6);
		}
		if (!p->conf.store) {
			emit(p, i);
			continue;
		}
		if (!p->ready.n)
			p->ready_ms = now_us / 1000;
		push(&p->ready, i);
	}
	gather(p, p->source_ended);
}

void zk_jet_pipe_ready(void *pipe)
{
	struct zk_jet_pipe *p = pipe;

	leave(p);
	flow(p);
	check_end(p);
}

static void expire(struct zk_jet_pipe *p)
{
	int64_t now = zk_mono_ms();

	for (struct zk_jet_item *i = p->window.head;
	     i && (i->deadline_ms <= now || p->hurried); i = i->next)
		if (i->waiting)
			zk_jet_hydrate_expire(p->conf.hydrator, i);
}

/* ---- what happens by time ---- */

static void on_second(struct zk_jet_pipe *p)
{
	int64_t now = zk_mono_ms();

	zk_gauge_set(p->window_gauge, (double)held_items(p));
	count_second(p, 0);
	if (!p->conf.store)
		return;
	check_disk(p);
	if (p->failed && !p->in_flight && now - p->commit_ms >= RETRY_MS)
		retry_failed(p);
	if (!p->in_flight && now - p->commit_ms >= IDLE_MS)
		gather(p, /* all */ true);
	if (p->rotate && !p->ready.n)
		gather(p, /* all */ true);
}

static void on_tick(void *ctx)
{
	struct zk_jet_pipe *p = ctx;

	p->wall_us = zk_wall_us();
	if (p->over)
		return;
	if (p->conf.hydrator && p->window.n) {
		expire(p);
		zk_jet_pipe_ready(p);
	}
	if (++p->ticks % SLOW_TICKS == 0)
		on_second(p);
}

void zk_jet_pipe_hurry(struct zk_jet_pipe *p)
{
	p->hurried = true;
	if (p->conf.hydrator)
		expire(p);
	zk_jet_pipe_ready(p);
}

void zk_jet_pipe_rotate(struct zk_jet_pipe *p)
{
	p->rotate = true;
}

/* ---- events ---- */

static uint64_t key_of(struct zk_jet_pipe *p, const struct zk_jet_event *e)
{
	zk_buf_clear(&p->text);
	zk_jet_key(e, &p->text);
	return zk_hash(zk_buf_str(&p->text));
}

static bool is_duplicate(struct zk_jet_pipe *p, const struct zk_jet_event *e)
{
	return p->conf.store &&
	       zk_jet_dedup_seen(&p->dedup, key_of(p, e), zk_jet_dedup_text(e->raw),
	                         p->overlap || p->conf.redelivers);
}

void zk_jet_pipe_known(void *pipe, zk_str key, uint32_t text)
{
	struct zk_jet_pipe *p = pipe;

	(void)zk_jet_dedup_seen(&p->dedup, zk_hash(key), text, false);
}

static void stop_reading(struct zk_jet_pipe *p)
{
	if (p->enough)
		return;
	p->enough = true;
	p->conf.enough(p->conf.ctx);
}

static void move_mark(struct zk_jet_pipe *p, const struct zk_jet_event *e)
{
	if (e->has_cursor)
		p->mark.cursor = ZK_MAX(p->mark.cursor, e->cursor);
	if (zk_jet_moves(e, p->wall_us))
		p->mark.time_us = ZK_MAX(p->mark.time_us, e->time_us);
	p->moved = true;
}

/* Without store and lookups nothing has to be kept: the event goes out as it is. */
static void pass_on(struct zk_jet_pipe *p, zk_str message)
{
	p->fig.stored++;
	if (!p->conf.emit(p->conf.ctx, message))
		zk_jet_pipe_hold(p, "output");
}

static void keep_item(struct zk_jet_pipe *p, const struct zk_jet_event *e, zk_str message)
{
	struct zk_jet_item_conf conf = { .wanted = p->conf.hydrator ? p->conf.wanted : 0,
		                         .filter = p->conf.filter };
	struct zk_jet_item *i = zk_jet_item_new(e, message, &conf);

	i->received_us = i->begun_us = zk_mono_us();
	i->mark = p->mark;
	i->deadline_ms = INT64_MAX;
	p->bytes += i->size;
	push(&p->window, i);
	if (p->conf.hydrator)
		zk_jet_hydrate(p->conf.hydrator, i);
	if (!p->window.head->waiting)
		leave(p);
}

/* An event that the filter lets pass. */
static void accept(struct zk_jet_pipe *p, const struct zk_jet_event *e, zk_str message)
{
	if (is_duplicate(p, e)) {
		p->fig.duplicate++;
		return;
	}
	if (!p->conf.store && !p->conf.hydrator && p->conf.envelope == ZK_JET_ENV_RAW)
		pass_on(p, message);
	else
		keep_item(p, e, message);
	if (p->conf.limit &&
	    p->fig.received - p->fig.filtered - p->fig.duplicate - p->fig.dead >=
	            p->conf.limit)
		stop_reading(p);
}

/* So many more were received. */
static void count(struct zk_jet_pipe *p, uint64_t n, uint64_t bytes)
{
	p->fig.received += n;
	p->fig.bytes += bytes;
	p->sample += n;
	if (p->sample < DEAD_SAMPLE)
		return;
	if (p->sample_dead > DEAD_SAMPLE / 100)
		zk_warn("more than 1 % of the events cannot be read", "dead=%llu of=%d",
		        (unsigned long long)p->sample_dead, DEAD_SAMPLE);
	p->sample = p->sample_dead = 0;
}

/* What comes beyond the end is not counted: it comes again. */
static bool is_over(const struct zk_jet_pipe *p)
{
	return p->enough || p->over;
}

static enum zk_jet_taken taken(struct zk_jet_pipe *p)
{
	if (!is_full(p))
		return ZK_JET_TAKEN;
	p->paused = true;
	return ZK_JET_ENOUGH;
}

/* A sound event: the position moves behind it. */
static void arrive(struct zk_jet_pipe *p, const struct zk_jet_event *e,
                   struct zk_jet_mark *mark)
{
	p->mark.order = mark->order;
	mark->time_us = e->has_time ? e->time_us : 0;
	mark->cursor = e->has_cursor ? e->cursor : 0;
	move_mark(p, e);
}

static enum zk_jet_taken on_event(void *ctx, zk_str json, zk_str message,
                                  struct zk_jet_mark *mark)
{
	struct zk_jet_pipe *p = ctx;
	struct zk_jet_event e;
	enum zk_jet_dead dead;

	if (is_over(p))
		return ZK_JET_REFUSED;
	dead = zk_jet_decode(&p->decoder, json, &e);
	if (dead == ZK_JET_CONTROL) {
		zk_warn("the host sent an error", "error=%.*s message=%.*s",
		        ZK_STR_ARG(e.error), ZK_STR_ARG(e.error_message));
		return ZK_JET_SERVER_ERROR;
	}
	if (dead == ZK_JET_ALIVE && zk_jet_is_past(&p->conf.until, &e)) {
		stop_reading(p);
		return ZK_JET_REFUSED;
	}
	count(p, 1, json.n);
	if (dead != ZK_JET_ALIVE) {
		p->mark.order = mark->order;
		bury(p, dead, message, e.has_cursor ? e.cursor : 0);
		return taken(p);
	}
	arrive(p, &e, mark);
	if (zk_jet_filter_passes(p->conf.filter, &e))
		accept(p, &e,
		       message.p == json.p && message.n == json.n ? e.raw : message);
	else
		p->fig.filtered++;
	if (p->conf.hydrator)
		zk_jet_hydrate_observe(p->conf.hydrator, &e);
	return taken(p);
}

static enum zk_jet_taken on_grain(void *ctx, const struct zk_jet_grain *g,
                                  struct zk_jet_mark *mark)
{
	struct zk_jet_pipe *p = ctx;

	if (is_over(p))
		return ZK_JET_REFUSED;
	count(p, 1, g->line.n);
	arrive(p, &g->e, mark);
	accept(p, &g->e, g->e.raw);
	return taken(p);
}

static enum zk_jet_taken on_passed(void *ctx, const struct zk_jet_passed *row,
                                   uint64_t order)
{
	struct zk_jet_pipe *p = ctx;

	if (is_over(p))
		return ZK_JET_REFUSED;
	count(p, row->n, row->bytes);
	p->fig.filtered += row->n;
	p->mark.order = order;
	p->mark.cursor = ZK_MAX(p->mark.cursor, row->cursor);
	p->mark.time_us = ZK_MAX(p->mark.time_us, row->time_us);
	p->moved = true;
	return taken(p);
}

/* ---- other hooks ---- */

static void on_dead(void *ctx, enum zk_jet_dead why, zk_str bytes)
{
	struct zk_jet_pipe *p = ctx;

	count(p, 1, 0);
	bury(p, why, bytes, 0);
}

static void on_overlap(void *ctx, bool overlap)
{
	((struct zk_jet_pipe *)ctx)->overlap = overlap;
}

static void on_gap(void *ctx, const struct zk_jet_gap *gap)
{
	struct zk_jet_pipe *p = ctx;

	p->gap = *gap;
	p->gap_due = true;
	p->fig.gaps++;
	zk_counter_add(
	        zk_metrics_counter(p->conf.metrics, "zk_jetstream_gaps_total",
	                           "holes in the stream",
	                           (const char *[]){ "reason", gap->reason, NULL }),
	        1);
	zk_warn("events are missing", "host=%s reason=%s seconds=%.1f", gap->host,
	        gap->reason, (double)(gap->to_us - gap->from_us) / 1e6);
	if (p->conf.gap)
		p->conf.gap(p->conf.ctx, gap);
}

static void on_state(void *ctx, enum zk_jet_state state, const char *host)
{
	struct zk_jet_pipe *p = ctx;

	if (state == ZK_JET_CONNECTING && strcmp(p->fig.host, host) != 0) {
		p->mark.cursor = 0; /* numbers of another host */
		p->mark.epoch++;
	}
	p->fig.state = state;
	/* On the way to a host nothing is known of it. */
	if (state != ZK_JET_BACKOFF && state != ZK_JET_ENDED &&
	    state != ZK_JET_CONNECTING && state != ZK_JET_STALLED)
		p->fig.away_ms = 0;
	else if (!p->fig.away_ms && state != ZK_JET_CONNECTING && state != ZK_JET_STALLED)
		p->fig.away_ms = zk_mono_ms();
	(void)snprintf(p->fig.host, sizeof(p->fig.host), "%s", host);
	zk_info("state", "state=%s host=%s", zk_jet_state_name(state), host);
	if (p->conf.state)
		p->conf.state(p->conf.ctx, state, host);
}

static void on_certificate(void *ctx, int64_t until_s)
{
	((struct zk_jet_pipe *)ctx)->fig.tls_until_s = until_s;
}

static void on_wire(void *ctx, size_t bytes)
{
	struct zk_jet_pipe *p = ctx;

	p->fig.wire_bytes += bytes;
}

static void on_source_end(void *ctx, const struct zk_error *err)
{
	struct zk_jet_pipe *p = ctx;

	p->source_ended = true;
	if (err)
		p->source_err = *err;
	check_end(p);
}

static void on_settled(void *ctx)
{
	check_end(ctx);
}

struct zk_jet_source_hooks zk_jet_pipe_hooks(struct zk_jet_pipe *p)
{
	return (struct zk_jet_source_hooks){
		.ctx = p,
		.on_event = on_event,
		/* Lookups want to hear of every event, and so does the store. */
		.sieve = p->conf.fixed_filter && !p->conf.hydrator && !p->conf.store
		                 ? &p->sieve
		                 : NULL,
		.on_passed = on_passed,
		.on_grain = on_grain,
		.on_dead = on_dead,
		.on_overlap = on_overlap,
		.on_gap = on_gap,
		.on_state = on_state,
		.on_certificate = on_certificate,
		.on_wire = on_wire,
		.on_settled = on_settled,
		.on_end = on_source_end,
	};
}

void zk_jet_pipe_attach(struct zk_jet_pipe *p, struct zk_jet_source *s)
{
	p->source = s;
}

/* Counters are brought up to date when somebody looks, not per event. */
static void tell(struct zk_counter *c, uint64_t now, uint64_t *told)
{
	zk_counter_add(c, now - *told);
	*told = now;
}

static void tell_metrics(struct zk_jet_pipe *p)
{
	const uint64_t now[] = { [RES_STORED] = p->fig.stored,
		                 [RES_FILTERED] = p->fig.filtered,
		                 [RES_DUPLICATE] = p->fig.duplicate,
		                 [RES_DEAD] = p->fig.dead };

	for (unsigned i = 0; i < ZK_ARRAY_LEN(now); i++)
		tell(p->results[i], now[i], &p->told[i]);
	tell(p->wire, p->fig.wire_bytes, &p->told_wire);
	tell(p->json, p->fig.bytes, &p->told_json);
}

void zk_jet_pipe_figures(struct zk_jet_pipe *p, struct zk_jet_figures *ret)
{
	uint64_t n = 0;

	tell_metrics(p);

	*ret = p->fig;
	ret->waiting = held_items(p);
	ret->held = p->held;
	for (size_t i = 0; i < 60; i++)
		n += p->minute[i];
	ret->rate_1m = (double)n / 60.0;
}
