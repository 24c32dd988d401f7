/* Checkpoints of the live file, beside its writer: commits do not wait for the disk.
 * Layer: jetstream. The lane owns its connection; the rest is the loop's.
 *
 * A pass that overtakes the writer lets SQLite begin the log anew. At full speed that would never
 * be: then commits are held back until the log is through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "jetstream/store_int.h"
#include "rt/loop.h"

#define ZK_LOGGER "jetstream"
#include "base/log.h"

#include "base/ban.h"

#define BEGIN_PAGES 1000 /* 16 MiB, as wal_autocheckpoint has it */
#define HOLD_PAGES  4000 /* as journal_size_limit has it */
#define PASSES      4
#define BUSY_MS     1000

struct pass {
	struct zk_job job;
	struct zk_jet_check *check;
	char name[ZK_JET_NAME_MAX];
	bool leave;  /* close the file instead */
	bool behind; /* the writer was faster, or a reader stands in the way */
	struct zk_error err;
};

struct zk_jet_check {
	struct zk_jet_store *s;
	struct zk_lane *lane;
	/* The lane's. */
	struct zk_db *db;
	char open[ZK_JET_NAME_MAX];
	/* The loop's. */
	bool running, holding, again;
	int held_at; /* pages when commits were held back last */
	struct zk_jet_commit *held, **tail;
};

/* ---- the lane ---- */

static int open_file(struct zk_jet_check *c, const char *name, struct zk_error *err)
{
	struct zk_db_conf conf = { .flags = ZK_DB_NO_AUTO_CHECKPOINT,
		                   .busy_ms = BUSY_MS };
	char *path;
	int r;

	if (c->db && strcmp(c->open, name) == 0)
		return 0;
	zk_db_close(ZK_TAKE(c->db));
	path = zk_asprintf("%s/%s", c->s->dir, name);
	conf.path = path;
	r = zk_db_open(&conf, &c->db, err);
	free(path);
	(void)snprintf(c->open, sizeof(c->open), "%s", name);
	return r;
}

static void run_pass(struct zk_jet_check *c, struct pass *p)
{
	int pages = 0, moved = 0;
	bool busy = false;

	if (open_file(c, p->name, &p->err) < 0)
		return;
	p->behind = true;
	for (unsigned i = 0; i < PASSES && p->behind; i++) {
		if (zk_db_checkpoint(c->db, ZK_CHECKPOINT_PASSIVE, &pages, &moved, &busy,
		                     &p->err) < 0)
			return;
		p->behind = busy || moved < pages;
	}
}

static void run(void *ctx, struct zk_job *batch, size_t n)
{
	struct zk_jet_check *c = ctx;

	(void)n;
	for (struct zk_job *j = batch; j; j = j->next) {
		struct pass *p = ZK_CONTAINER_OF(j, struct pass, job);

		if (p->leave)
			zk_db_close(ZK_TAKE(c->db));
		else
			run_pass(c, p);
	}
}

static void on_lane_end(void *ctx)
{
	struct zk_jet_check *c = ctx;

	zk_db_close(ZK_TAKE(c->db));
}

/* ---- the loop ---- */

static void release(struct zk_jet_check *c)
{
	c->holding = c->again = false;
	while (c->held) {
		struct zk_jet_commit *next = c->held;

		c->held = next->next;
		zk_jet_store_write(c->s, next);
	}
	c->tail = &c->held;
}

static void begin(struct zk_jet_check *c, const char *name, bool leave);

static void on_pass(struct zk_job *j)
{
	struct pass *p = ZK_CONTAINER_OF(j, struct pass, job);
	struct zk_jet_check *c = p->check;

	if (p->err.code)
		zk_log_error(ZK_LOG_WARN, ZK_LOGGER, "the log of the store stays long",
		             &p->err);
	if (p->leave) {
		zk_jet_store_left(c->s, p->name);
		free(p);
		return;
	}
	c->running = false;
	/* Now that nobody writes, one pass more finds everything; unless somebody reads. A file that
	 * was left meanwhile is not opened again: it is being sealed. */
	if (c->holding && p->behind && !p->err.code && !c->again &&
	    strcmp(p->name, c->s->live_name) == 0) {
		c->again = true;
		begin(c, p->name, false);
	} else {
		release(c);
	}
	free(p);
}

static void begin(struct zk_jet_check *c, const char *name, bool leave)
{
	struct pass *p = zk_new0(struct pass);

	p->check = c;
	p->leave = leave;
	p->job.done = on_pass;
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	c->running |= !leave;
	zk_lane_push_always(c->lane, &p->job);
}

int zk_jet_check_new(struct zk_jet_store *s, struct zk_jet_check **ret,
                     struct zk_error *err)
{
	struct zk_jet_check *c = zk_new0(struct zk_jet_check);
	struct zk_lane_conf lane = { .name = "jet-check",
		                     .ctx = c,
		                     .run = run,
		                     .end = on_lane_end,
		                     .max_jobs = 64 };

	c->s = s;
	c->tail = &c->held;
	if (zk_lane_start(s->loop, &lane, &c->lane, err) < 0) {
		free(c);
		return -(int)err->code;
	}
	*ret = c;
	return 0;
}

void zk_jet_check_free(struct zk_jet_check *c)
{
	if (!c)
		return;
	zk_lane_stop(c->lane);
	free(c);
}

bool zk_jet_check_hold(struct zk_jet_check *c, struct zk_jet_commit *commit)
{
	if (!c->holding)
		return false;
	commit->next = NULL;
	*c->tail = commit;
	c->tail = &commit->next;
	return true;
}

void zk_jet_check_committed(struct zk_jet_check *c, const struct zk_jet_commit *commit)
{
	int pages = commit->wal_pages;

	if (pages < BEGIN_PAGES) {
		c->held_at = 0;
		return;
	}
	if (!c->running)
		begin(c, commit->file, false);
	/* Where a reader keeps the log from beginning anew, not at every commit. */
	if (pages >= HOLD_PAGES && pages - c->held_at >= BEGIN_PAGES) {
		c->held_at = pages;
		c->holding = true;
	}
}

void zk_jet_check_leave(struct zk_jet_check *c, const char *name)
{
	begin(c, name, true);
}
