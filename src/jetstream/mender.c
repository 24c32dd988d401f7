/* Repairing before sealing.
 * Layer: jetstream. */
#include "jetstream/mender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "jetstream/files.h"
#include "jetstream/repair.h"
#include "rt/lane.h"
#include "rt/loop.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define AT_A_TIME 100 /* read on the loop: a few milliseconds */
#define LOOK_MS   20
#define BUSY_MS   5000

struct due {
	struct zk_list entry;
	char name[ZK_JET_NAME_MAX];
};

struct zk_jet_mender {
	struct zk_loop *loop;
	struct zk_jet_mender_conf conf;
	char *dir;
	struct zk_lane *lane;
	struct zk_timer *timer;
	struct zk_list queue;
	/* The file that is being repaired; `db` and `mends` are the lane's while `job` runs. */
	struct due *now;
	struct zk_db *db;
	struct zk_jet_mends mends;
	struct zk_jet_repaired sum, before;
	int64_t after, end_ms;
	struct zk_job job;
	bool closing; /* what the job is for */
	struct zk_error err;
};

static void step(struct zk_jet_mender *m);
static void next(struct zk_jet_mender *m);

/* ---- the lane ---- */

static void run(void *ctx, struct zk_job *job, size_t n)
{
	struct zk_jet_mender *m = ctx;

	(void)job;
	(void)n;
	if (m->closing)
		zk_db_close(ZK_TAKE(m->db)); /* which empties its log */
	else
		ZK_IGNORE(zk_jet_repair_store(m->db, &m->mends, &m->sum, &m->err) <
		          0); /* in m->err */
}

static void lane_end(void *ctx)
{
	struct zk_jet_mender *m = ctx;

	zk_db_close(ZK_TAKE(m->db));
}

/* ---- the loop ---- */

static void on_closed(struct zk_job *job)
{
	struct zk_jet_mender *m = ZK_CONTAINER_OF(job, struct zk_jet_mender, job);
	struct due *d;

	if (!m->lane)
		return;
	d = ZK_TAKE(m->now);
	if (m->err.code)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "a file was not repaired", &m->err);
	if (m->sum.full || m->sum.partial)
		zk_notice("repaired before sealing", "file=%s full=%llu partial=%llu",
		          d->name, (unsigned long long)m->sum.full,
		          (unsigned long long)m->sum.partial);
	m->conf.done(m->conf.ctx, d->name);
	free(d);
	next(m);
}

static void push(struct zk_jet_mender *m, bool closing, void (*done)(struct zk_job *job))
{
	m->closing = closing;
	m->job = (struct zk_job){ .done = done };
	zk_lane_push_always(m->lane, &m->job);
}

static void finish(struct zk_jet_mender *m)
{
	push(m, /* closing */ true, on_closed);
}

static void on_stored(struct zk_job *job)
{
	struct zk_jet_mender *m = ZK_CONTAINER_OF(job, struct zk_jet_mender, job);
	uint64_t rows = m->mends.n;

	zk_jet_mends_free(&m->mends);
	if (!m->lane)
		return;
	/* Where nothing at all can be had the rest has to wait for `zk jetstream repair`. */
	if (m->err.code || (rows && m->sum.passing - m->before.passing == rows))
		finish(m);
	else
		step(m);
}

static bool is_complete(const struct zk_jet_mender *m)
{
	for (const struct zk_jet_mend *i = m->mends.list; i; i = i->next)
		if (i->item->waiting)
			return false;
	return true;
}

static void look(void *ctx)
{
	struct zk_jet_mender *m = ctx;
	bool late = zk_loop_now_ms(m->loop) >= m->end_ms;

	if (!late && !is_complete(m)) {
		zk_timer_start(m->timer, LOOK_MS, 0);
		return;
	}
	for (struct zk_jet_mend *i = m->mends.list; i; i = i->next) {
		zk_jet_hydrate_expire(m->conf.hydrator, i->item);
		zk_jet_hydrate_close(m->conf.hydrator, i->item);
	}
	m->before = m->sum;
	push(m, /* closing */ false, on_stored);
}

/* The next rows. */
static void step(struct zk_jet_mender *m)
{
	if (zk_loop_now_ms(m->loop) >= m->end_ms ||
	    zk_jet_repair_load(m->db, m->conf.hydrator, m->after, AT_A_TIME, &m->mends,
	                       &m->err) < 0 ||
	    !m->mends.last) {
		finish(m);
		return;
	}
	m->after = m->mends.last;
	look(m);
}

static void next(struct zk_jet_mender *m)
{
	struct zk_list *e = m->now ? NULL : zk_list_pop(&m->queue);
	struct zk_db_conf conf = { .busy_ms = BUSY_MS, .cache_kib = 16384 };
	char *path;

	if (!e)
		return;
	m->now = ZK_LIST_ENTRY(e, struct due, entry);
	m->err = (struct zk_error){ 0 };
	m->sum = m->before = (struct zk_jet_repaired){ 0 };
	m->after = 0;
	m->end_ms = zk_loop_now_ms(m->loop) + m->conf.within_ms;
	path = zk_asprintf("%s/%s", m->dir, m->now->name);
	conf.path = path;
	if (zk_db_open(&conf, &m->db, &m->err) < 0)
		finish(m);
	else
		step(m);
	free(path);
}

void zk_jet_mender_add(struct zk_jet_mender *m, const char *name)
{
	struct due *d = zk_new0(struct due);

	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	zk_list_init(&d->entry);
	zk_list_push(&m->queue, &d->entry);
	next(m);
}

int zk_jet_mender_new(struct zk_loop *loop, const struct zk_jet_mender_conf *conf,
                      struct zk_jet_mender **ret, struct zk_error *err)
{
	struct zk_jet_mender *m = zk_new0(struct zk_jet_mender);
	struct zk_lane_conf lane = {
		.name = "jet-mend", .ctx = m, .run = run, .end = lane_end
	};

	m->loop = loop;
	m->conf = *conf;
	m->dir = zk_strdup(conf->dir);
	zk_list_init(&m->queue);
	m->timer = zk_timer_new(loop, look, m);
	zk_timer_weak(m->timer, true);
	if (zk_lane_start(loop, &lane, &m->lane, err) < 0) {
		zk_jet_mender_free(m);
		return -(int)err->code;
	}
	*ret = m;
	return 0;
}

void zk_jet_mender_free(struct zk_jet_mender *m)
{
	if (!m)
		return;
	zk_lane_stop(ZK_TAKE(m->lane));
	zk_jet_mends_free(&m->mends);
	zk_timer_free(m->timer);
	ZK_LIST_EACH (it, &m->queue)
		free(ZK_LIST_ENTRY(it, struct due, entry));
	free(m->now);
	free(m->dir);
	free(m);
}
