/* The SQLite store: its lanes, timers and health as the loop thread sees them.
 * Layer: triggers. Loop thread. specs/triggers.md §11, §5.11, §12.1. */
#include "triggers/repo_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "rt/metrics.h"
#include "triggers/news.h"

#include "base/ban.h"

#define WRITER_CACHE_KIB 16384
#define READER_CACHE_KIB 4096
#define MAX_WAIT_MS      200 /* no class waits longer behind new events (§11.3) */
#define PROBE_MS         5000
#define KEEP_MS          60000
#define KEEP_FIRST_MS    5000
#define KEEP_PAUSE_MS    20
#define CHECKPOINT_MS    30
#define READER_JOBS      2000
#define EVENT_COST       128 /* bytes of a row beside its texts */
#define QUEUE_EVENTS     10000
#define QUEUE_BYTES      ((uint64_t)64 << 20)

struct zk_lite {
	struct zk_trig_repo base;
	struct zk_loop *loop;
	char *path;
	int lock_fd;
	struct zk_lite_shared shared;
	struct zk_lite_writer writer;     /* writer lane, once it runs */
	struct zk_lite_reader readers[2]; /* reader lanes */
	struct zk_db *checkpoint_db;      /* checkpoint lane */
	struct zk_lane *writer_lane, *reader_lanes[2], *checkpoint_lane;
	struct zk_timer *probe_timer, *keep_timer, *checkpoint_timer;
	struct zk_trig_op probe, keep, checkpoint;
	struct zk_trig_webhook heal;
	bool probing, keeping, checkpointing, healing, closing;
	int checkpoint_pages; /* of the WAL when the last checkpoint began */
	struct zk_trig_health health;
	uint64_t max_events, max_bytes;
	struct zk_trig_news news;
	struct zk_counter *ops[ZK_LITE_KINDS];
	struct zk_histogram *latency;
};

static const char *const kind_names[ZK_LITE_KINDS] = {
	[ZK_LITE_INGEST] = "ingest",     [ZK_LITE_CREATE] = "create",
	[ZK_LITE_ROTATE] = "rotate",     [ZK_LITE_KEY_UPDATE] = "key_update",
	[ZK_LITE_WEBHOOK] = "webhook",   [ZK_LITE_ACK] = "ack",
	[ZK_LITE_REPLAY] = "replay",     [ZK_LITE_OUTCOME] = "outcome",
	[ZK_LITE_HEAL] = "heal",         [ZK_LITE_PROBE] = "probe",
	[ZK_LITE_KEEP] = "retention",    [ZK_LITE_FIND_KEY] = "find_key",
	[ZK_LITE_FIND_ORG] = "find_org", [ZK_LITE_PAGE] = "page",
	[ZK_LITE_EVENT] = "event",       [ZK_LITE_CLAIM] = "claim",
	[ZK_LITE_COUNT] = "count",       [ZK_LITE_CHECKPOINT] = "checkpoint",
};

static struct zk_lite *lite_of(struct zk_trig_repo *r)
{
	return ZK_CONTAINER_OF(r, struct zk_lite, base);
}

static bool is_writers(enum zk_lite_kind kind)
{
	return kind <= ZK_LITE_KEEP;
}
_Static_assert(ZK_LITE_KEEP + 1 == ZK_LITE_FIND_KEY, "writing kinds come first");

static void org_changed(struct zk_lite *l, const zk_uuid *org)
{
	if (l->base.on_org_changed)
		l->base.on_org_changed(l->base.ctx, org);
}

/* ---- health ------------------------------------------------------------------------------- */

static bool is_store_failure(int code)
{
	switch (-code) {
	case ZK_E_STORE:
	case ZK_E_STORE_FULL:
	case ZK_E_STORE_CORRUPT:
	case ZK_E_STORE_LOCKED:
	case ZK_E_CREATE:
		return true;
	default:
		return false;
	}
}

static const struct zk_trig_health *get_health(struct zk_trig_repo *r)
{
	struct zk_lite *l = lite_of(r);
	int64_t first = atomic_load_explicit(&l->shared.first_seq, memory_order_relaxed);
	int64_t last = atomic_load_explicit(&l->shared.last_seq, memory_order_relaxed);
	int pages = atomic_load_explicit(&l->shared.wal_pages, memory_order_relaxed);

	l->health.events = last > 0 ? (uint64_t)(last - first + 1) : 0;
	l->health.wal_bytes = (uint64_t)pages * (4096 + 24);
	l->health.db_bytes =
	        (uint64_t)atomic_load_explicit(&l->shared.db_bytes, memory_order_relaxed);
	return &l->health;
}

/* What the last commit says about the store. */
static void note_commit(struct zk_lite *l, const struct zk_trig_op *op)
{
	bool failed = is_store_failure(op->code);

	if (failed == !l->health.writable && !failed)
		return;
	if (failed)
		memcpy(l->health.reason, op->reason, sizeof(l->health.reason));
	else
		l->health.reason[0] = 0;
	if (failed == l->health.writable) {
		l->health.writable = !failed;
		if (failed)
			zk_logerr("store.write_failed", "error=%s", op->reason);
		else
			zk_notice("the store can be written again");
		if (l->base.on_health)
			l->base.on_health(l->base.ctx, get_health(&l->base));
	}
}

/* ---- operations --------------------------------------------------------------------------- */

static void on_done(struct zk_job *job);

static void prepare(struct zk_lite *l, struct zk_trig_op *op, enum zk_lite_kind kind,
                    uint8_t class_, size_t bytes)
{
	op->job.done = on_done;
	op->job.class_ = class_;
	op->job.bytes = bytes;
	op->repo = &l->base;
	op->kind = (uint8_t)kind;
	op->again = false;
	op->step = 0;
	memset(&op->at, 0, sizeof(op->at));
	op->code = 0;
	op->reason[0] = 0;
	if (l->ops[kind])
		zk_counter_add(l->ops[kind], 1);
}

static void write_op(struct zk_lite *l, struct zk_trig_op *op, enum zk_lite_kind kind)
{
	prepare(l, op, kind, /* class */ 1, 0);
	zk_lane_push_always(l->writer_lane, &op->job);
}

static void fail_busy(void *ctx)
{
	struct zk_trig_op *op = ctx;
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_BUSY, "too many reads are waiting");
	zk_trig_op_failed(op, &err);
	op->done(op);
}

static void read_op(struct zk_lite *l, struct zk_trig_op *op, enum zk_lite_kind kind,
                    bool slow)
{
	prepare(l, op, kind, 0, 0);
	if (!zk_lane_push(l->reader_lanes[slow], &op->job))
		zk_loop_defer(l->loop, fail_busy, op);
}

static void push_checkpoint(void *ctx)
{
	struct zk_lite *l = ctx;

	l->checkpointing = true;
	l->checkpoint_pages =
	        atomic_load_explicit(&l->shared.wal_pages, memory_order_relaxed);
	prepare(l, &l->checkpoint, ZK_LITE_CHECKPOINT, 0, 0);
	zk_lane_push_always(l->checkpoint_lane, &l->checkpoint.job);
}

/* Each checkpoint flushes two files and competes with the flushes of the writer, so one that has
 * little to copy waits until there is more; hot pages are then copied once instead of often. */
static void maybe_checkpoint(struct zk_lite *l)
{
	int pages = atomic_load_explicit(&l->shared.wal_pages, memory_order_relaxed);

	if (pages < l->checkpoint_pages)
		l->checkpoint_pages = 0; /* the log has started over */
	if (pages <= ZK_LITE_MIN_WAL ||
	    pages - l->checkpoint_pages < ZK_LITE_CHECKPOINT_STEP || l->checkpointing ||
	    l->closing || zk_timer_is_active(l->checkpoint_timer))
		return;
	zk_timer_start(l->checkpoint_timer, CHECKPOINT_MS, 0);
}

static void on_checkpointed(struct zk_trig_op *op)
{
	struct zk_lite *l = op->ctx;

	l->checkpointing = false;
}

/* Rows planned for an organization that does not push any more: an event that was on its way when
 * the webhook went, or a crash between two steps. */
static void heal(struct zk_lite *l, const zk_uuid *org)
{
	if (l->healing || l->closing)
		return;
	l->healing = true;
	l->heal.org = *org;
	l->heal.set = ZK_TRIG_SET_UNPLAN;
	write_op(l, &l->heal.op, ZK_LITE_HEAL);
}

static void on_healed(struct zk_trig_op *op)
{
	struct zk_lite *l = op->ctx;

	l->healing = false;
}

static void ingest_done(struct zk_lite *l, struct zk_trig_ingest *first)
{
	l->health.queue_bytes -= first->op.job.bytes;
	for (struct zk_trig_ingest *in = first; in; in = in->next) {
		l->health.queue_events--;
		if (first->op.code == 0 && !in->duplicate)
			zk_trig_news_note(&l->news, &in->org, in->due);
		if (in != first) {
			in->op.code = first->op.code;
			memcpy(in->op.reason, first->op.reason, sizeof(in->op.reason));
		}
	}
}

/* What the store itself has to do about a finished operation. */
static void after(struct zk_lite *l, struct zk_trig_op *op)
{
	struct zk_trig_webhook *w;
	struct zk_trig_claim *c;

	switch ((enum zk_lite_kind)op->kind) {
	case ZK_LITE_INGEST:
		ingest_done(l, ZK_CONTAINER_OF(op, struct zk_trig_ingest, op));
		break;
	case ZK_LITE_ROTATE:
		if (op->code == 0)
			org_changed(
			        l,
			        &ZK_CONTAINER_OF(op, struct zk_trig_rotate, op)->key.org);
		break;
	case ZK_LITE_WEBHOOK:
		w = ZK_CONTAINER_OF(op, struct zk_trig_webhook, op);
		if (op->code == 0 && op->step <= 1)
			org_changed(l, &w->org);
		if (w->planned)
			zk_trig_news_note(&l->news, &w->org, true);
		break;
	case ZK_LITE_CLAIM:
		c = ZK_CONTAINER_OF(op, struct zk_trig_claim, op);
		if (op->code == 0 && c->has_stray)
			heal(l, &c->stray);
		break;
	case ZK_LITE_CREATE:
	case ZK_LITE_KEY_UPDATE:
	case ZK_LITE_ACK:
	case ZK_LITE_REPLAY:
	case ZK_LITE_OUTCOME:
	case ZK_LITE_HEAL:
	case ZK_LITE_PROBE:
	case ZK_LITE_KEEP:
	case ZK_LITE_FIND_KEY:
	case ZK_LITE_FIND_ORG:
	case ZK_LITE_PAGE:
	case ZK_LITE_EVENT:
	case ZK_LITE_COUNT:
	case ZK_LITE_CHECKPOINT:
	case ZK_LITE_KINDS:
		break;
	}
}

static void on_done(struct zk_job *job)
{
	struct zk_trig_op *op = ZK_CONTAINER_OF(job, struct zk_trig_op, job);
	struct zk_lite *l = lite_of(op->repo);

	if (is_writers((enum zk_lite_kind)op->kind)) {
		note_commit(l, op);
		maybe_checkpoint(l);
	}
	if (l->latency)
		zk_histogram_observe(l->latency,
		                     (double)(zk_mono_us() - job->pushed_us) / 1e6);
	after(l, op);
	if (op->again && op->kind != ZK_LITE_KEEP) {
		zk_lane_push_always(l->writer_lane, &op->job);
		return;
	}
	op->done(op);
}

/* ---- the table ---------------------------------------------------------------------------- */

static bool do_ingest(struct zk_trig_repo *r, struct zk_trig_ingest *first)
{
	struct zk_lite *l = lite_of(r);
	uint64_t events = 0, bytes = 0;

	ZK_ASSERT(first);
	for (const struct zk_trig_ingest *in = first; in; in = in->next) {
		events++;
		bytes += EVENT_COST + in->type.n + in->dedup_id.n + in->payload.n;
	}
	if (l->closing || l->health.queue_events + events > l->max_events ||
	    l->health.queue_bytes + bytes > l->max_bytes)
		return false;
	prepare(l, &first->op, ZK_LITE_INGEST, 0, bytes);
	l->health.queue_events += events;
	l->health.queue_bytes += bytes;
	zk_lane_push_always(l->writer_lane, &first->op.job);
	return true;
}

static void do_create(struct zk_trig_repo *r, struct zk_trig_create *op)
{
	write_op(lite_of(r), &op->op, ZK_LITE_CREATE);
}

static void do_rotate(struct zk_trig_repo *r, struct zk_trig_rotate *op)
{
	write_op(lite_of(r), &op->op, ZK_LITE_ROTATE);
}

static void do_key_update(struct zk_trig_repo *r, struct zk_trig_key_update *op)
{
	write_op(lite_of(r), &op->op, ZK_LITE_KEY_UPDATE);
}

static void do_webhook(struct zk_trig_repo *r, struct zk_trig_webhook *op)
{
	memset(&op->result, 0, sizeof(op->result));
	op->planned = 0;
	op->first = false;
	write_op(lite_of(r), &op->op, ZK_LITE_WEBHOOK);
}

static void do_ack(struct zk_trig_repo *r, struct zk_trig_ack *op)
{
	write_op(lite_of(r), &op->op, ZK_LITE_ACK);
}

static void do_replay(struct zk_trig_repo *r, struct zk_trig_replay *op)
{
	op->scheduled = 0;
	write_op(lite_of(r), &op->op, ZK_LITE_REPLAY);
}

static void do_outcome(struct zk_trig_repo *r, struct zk_trig_outcome *op)
{
	write_op(lite_of(r), &op->op, ZK_LITE_OUTCOME);
}

static void do_find_key(struct zk_trig_repo *r, struct zk_trig_find_key *op)
{
	memset(&op->org, 0, sizeof(op->org));
	read_op(lite_of(r), &op->op, ZK_LITE_FIND_KEY, false);
}

static void do_find_org(struct zk_trig_repo *r, struct zk_trig_find_org *op)
{
	memset(&op->org, 0, sizeof(op->org));
	read_op(lite_of(r), &op->op, ZK_LITE_FIND_ORG, false);
}

/* Offsets are counted, and a prefix may match many types: those wait for each other. */
static void do_page(struct zk_trig_repo *r, struct zk_trig_page *op)
{
	bool slow =
	        (op->has_offset && !op->has_cursor) || zk_str_ends(op->type, ZK_STR("*"));

	read_op(lite_of(r), &op->op, ZK_LITE_PAGE, slow);
}

static void do_event(struct zk_trig_repo *r, struct zk_trig_event *op)
{
	read_op(lite_of(r), &op->op, ZK_LITE_EVENT, false);
}

static void do_claim(struct zk_trig_repo *r, struct zk_trig_claim *op)
{
	op->rows = NULL;
	op->n = 0;
	read_op(lite_of(r), &op->op, ZK_LITE_CLAIM, false);
}

static void do_count(struct zk_trig_repo *r, struct zk_trig_count *op)
{
	read_op(lite_of(r), &op->op, ZK_LITE_COUNT, true);
}

/* ---- timers ------------------------------------------------------------------------------- */

static void on_probe_timer(void *ctx)
{
	struct zk_lite *l = ctx;

	if (l->probing)
		return;
	l->probing = true;
	write_op(l, &l->probe, ZK_LITE_PROBE);
}

static void on_probed(struct zk_trig_op *op)
{
	struct zk_lite *l = op->ctx;

	l->probing = false;
}

/* Starts a run of retention, or takes its next step. */
static void on_keep_timer(void *ctx)
{
	struct zk_lite *l = ctx;
	uint32_t step = l->keeping ? l->keep.step : 0;

	l->keeping = true;
	prepare(l, &l->keep, ZK_LITE_KEEP, 1, 0);
	l->keep.step = step;
	zk_lane_push_always(l->writer_lane, &l->keep.job);
}

static void on_kept(struct zk_trig_op *op)
{
	struct zk_lite *l = op->ctx;

	l->keeping = op->again;
	if (!l->closing)
		zk_timer_start(l->keep_timer, op->again ? KEEP_PAUSE_MS : KEEP_MS, 0);
}

static struct zk_timer *make_timer(struct zk_lite *l, zk_loop_fn fn)
{
	struct zk_timer *t = zk_timer_new(l->loop, fn, l);

	zk_timer_weak(t, true);
	return t;
}

static void start_timers(struct zk_lite *l)
{
	l->probe_timer = make_timer(l, on_probe_timer);
	l->keep_timer = make_timer(l, on_keep_timer);
	l->checkpoint_timer = make_timer(l, push_checkpoint);
	zk_timer_start(l->probe_timer, PROBE_MS, PROBE_MS);
	zk_timer_start(l->keep_timer, KEEP_FIRST_MS, 0);
	l->probe = (struct zk_trig_op){ .done = on_probed, .ctx = l };
	l->keep = (struct zk_trig_op){ .done = on_kept, .ctx = l };
	l->checkpoint = (struct zk_trig_op){ .done = on_checkpointed, .ctx = l };
	l->heal.op = (struct zk_trig_op){ .done = on_healed, .ctx = l };
}

/* ---- open and close ----------------------------------------------------------------------- */

static void checkpoint_run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_error err = { 0 };
	int pages, moved;
	bool busy;

	(void)batch;
	(void)n;
	if (zk_db_checkpoint(ctx, ZK_CHECKPOINT_PASSIVE, &pages, &moved, &busy, &err) < 0)
		zk_warn("checkpoint failed", "error=%s", err.msg);
}

static void lite_free(void *ctx)
{
	struct zk_lite *l = ctx;

	zk_lite_keep_done(&l->writer.keep);
	zk_db_close(l->writer.db);
	for (size_t i = 0; i < 2; i++)
		zk_db_close(l->readers[i].db);
	zk_db_close(l->checkpoint_db);
	zk_unlock_file(l->lock_fd);
	free(l->path);
	free(l);
}

static void lite_freep(struct zk_lite **l)
{
	if (*l)
		lite_free(*l);
}

/* Everything into the file; the WAL is empty afterwards. */
static void last_checkpoint(struct zk_lite *l)
{
	struct zk_error err = { 0 };
	int pages, moved;
	bool busy;

	if (zk_db_checkpoint(l->writer.db, ZK_CHECKPOINT_TRUNCATE, &pages, &moved, &busy,
	                     &err) < 0)
		zk_warn("checkpoint failed", "error=%s", err.msg);
}

static void do_close(struct zk_trig_repo *r)
{
	struct zk_lite *l = lite_of(r);

	l->closing = true;
	zk_timer_free(l->probe_timer);
	zk_timer_free(l->keep_timer);
	zk_timer_free(l->checkpoint_timer);
	zk_lane_stop(l->writer_lane);
	for (size_t i = 0; i < 2; i++)
		zk_lane_stop(l->reader_lanes[i]);
	zk_lane_stop(l->checkpoint_lane);
	last_checkpoint(l);
	/* Deferred work may still know the store; this runs behind it. */
	zk_loop_defer(l->loop, lite_free, l);
}

static const struct zk_trig_repo_ops lite_ops = {
	.ingest = do_ingest,
	.create = do_create,
	.find_key = do_find_key,
	.find_org = do_find_org,
	.rotate = do_rotate,
	.key_update = do_key_update,
	.webhook = do_webhook,
	.page = do_page,
	.event = do_event,
	.ack = do_ack,
	.replay = do_replay,
	.claim = do_claim,
	.outcome = do_outcome,
	.count = do_count,
	.health = get_health,
	.close = do_close,
};

static int open_writer(struct zk_lite *l, const struct zk_trig_repo_conf *conf,
                       struct zk_error *err)
{
	struct zk_lite_writer *w = &l->writer;
	unsigned flags = ZK_DB_CREATE | ZK_DB_NO_AUTO_CHECKPOINT |
	                 (conf->full ? ZK_DB_FULL | ZK_DB_GATHER : 0);

	w->shared = &l->shared;
	w->dedup_window_us = conf->dedup_window_us;
	for (size_t i = 0; i < ZK_LITE_STATES; i++)
		w->retain_us[i] = conf->retain_pending_us;
	w->retain_us[ZK_LITE_DELIVERED] = conf->retain_delivered_us;
	w->retain_us[ZK_LITE_ACKED] = conf->retain_delivered_us;
	w->retain_us[ZK_LITE_FAILED] = conf->retain_failed_us;
	if (zk_lite_open(l->path, flags, WRITER_CACHE_KIB, &w->db, err) < 0 ||
	    zk_lite_migrate(w->db, NULL, err) < 0 ||
	    zk_lite_check_secret(w->db, conf->secret_check, conf->accept_new_secret,
	                         err) < 0 ||
	    zk_lite_writer_init(w, err) < 0)
		return zk_lite_code(err);
	/* The first commit, so that health and its figures are true from the start. */
	if (zk_lite_begin(w, err) < 0 || zk_lite_probe(w, err) < 0)
		return zk_lite_code(err);
	return zk_lite_commit(w, err);
}

static int open_others(struct zk_lite *l, struct zk_error *err)
{
	for (size_t i = 0; i < 2; i++) {
		if (zk_lite_open(l->path, ZK_DB_QUERY_ONLY | ZK_DB_NO_AUTO_CHECKPOINT,
		                 READER_CACHE_KIB, &l->readers[i].db, err) < 0 ||
		    zk_lite_reader_init(&l->readers[i], err) < 0)
			return zk_lite_code(err);
	}
	return zk_lite_open(l->path, ZK_DB_NO_AUTO_CHECKPOINT, 0, &l->checkpoint_db, err);
}

static int start_lanes(struct zk_lite *l, struct zk_error *err)
{
	struct zk_lane_conf writer = {
		.name = "zk-writer",
		.ctx = &l->writer,
		.run = zk_lite_writer_run,
		.max_wait_ms = MAX_WAIT_MS,
		.batch_jobs = ZK_LITE_BATCH_EVENTS,
		.batch_bytes = ZK_LITE_BATCH_BYTES,
	};
	struct zk_lane_conf reader = {
		.name = "zk-reader",
		.run = zk_lite_reader_run,
		.max_jobs = READER_JOBS,
		.batch_jobs = 1,
	};
	struct zk_lane_conf checkpoint = {
		.name = "zk-checkpoint",
		.ctx = l->checkpoint_db,
		.run = checkpoint_run,
	};
	int r = zk_lane_start(l->loop, &writer, &l->writer_lane, err);

	for (size_t i = 0; r == 0 && i < 2; i++) {
		reader.ctx = &l->readers[i];
		r = zk_lane_start(l->loop, &reader, &l->reader_lanes[i], err);
	}
	if (r == 0)
		r = zk_lane_start(l->loop, &checkpoint, &l->checkpoint_lane, err);
	if (r == 0)
		return 0;
	zk_lane_stop(l->writer_lane);
	for (size_t i = 0; i < 2; i++)
		zk_lane_stop(l->reader_lanes[i]);
	return r;
}

static void make_metrics(struct zk_lite *l, struct zk_metrics *m)
{
	l->writer.batch_events = zk_trig_metric_batch(m);
	l->writer.commit_seconds = zk_trig_metric_commit(m);
	l->latency = zk_trig_metric_latency(m);
	for (size_t i = 0; i < ZK_LITE_KINDS; i++)
		l->ops[i] = zk_trig_metric_op(m, kind_names[i]);
}

int zk_lite_repo_open(struct zk_loop *loop, struct zk_metrics *metrics,
                      const struct zk_trig_repo_conf *conf, struct zk_trig_repo **ret,
                      struct zk_error *err)
{
	ZK_CLEANUP(lite_freep)
	struct zk_lite *l = zk_new0(struct zk_lite);

	l->base.ops = &lite_ops;
	l->loop = loop;
	zk_trig_news_init(&l->news, loop, &l->base);
	l->path = zk_strdup(conf->db);
	l->lock_fd = -1;
	l->max_events = conf->queue_events ? conf->queue_events : QUEUE_EVENTS;
	l->max_bytes = conf->queue_bytes ? conf->queue_bytes : QUEUE_BYTES;
	l->health.writable = l->health.connected = true;
	l->health.queue_capacity = l->max_events;
	if (metrics)
		make_metrics(l, metrics);
	if (zk_lock_file(l->path, &l->lock_fd, err) < 0 ||
	    open_writer(l, conf, err) < 0 || open_others(l, err) < 0 ||
	    start_lanes(l, err) < 0)
		return zk_lite_code(err);
	start_timers(l);
	*ret = &ZK_TAKE(l)->base;
	return 0;
}
