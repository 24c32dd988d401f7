/* The PostgreSQL store: retention (specs/triggers.md §11.5).
 * Layer: triggers. Loop thread. A run is a chain of steps, each a transaction of at most
 * ZK_PGR_STEP_ROWS rows, with a pause between them. Each step takes the lock that lets one server
 * do it at a time; whoever does not get it leaves the run to the other. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/loop.h"
#include "triggers/repo_pg.h"

#include "base/ban.h"

#define RUN_MS   60000
#define PAUSE_MS 20

enum { DELIVERED, FAILED, PENDING, DEDUP, END };

static void schedule(struct zk_pgr *r, int64_t ms)
{
	if (!r->closing)
		zk_timer_start(r->keep_timer, ms, 0);
}

static void end_run(struct zk_pgr *r)
{
	ZK_LOG_AT(r->keep.events || r->keep.dedups ? ZK_LOG_INFO : ZK_LOG_DEBUG,
	          "retention", "events=%llu dedup_rows=%llu",
	          (unsigned long long)r->keep.events, (unsigned long long)r->keep.dedups);
	r->keep.running = false;
	schedule(r, RUN_MS);
}

static void next_phase(struct zk_pgr *r)
{
	memset(&r->keep.org, 0, sizeof(r->keep.org));
	r->keep.phase++;
}

static void step_done(struct zk_pgr *r)
{
	while (r->keep.phase < DEDUP && !r->retain_us[r->keep.phase])
		next_phase(r);
	if (r->keep.phase == END)
		end_run(r);
	else
		schedule(r, PAUSE_MS);
}

/* What both kinds of step begin with; false when the run is over. */
static bool has_lock(struct zk_pgr *r, struct zk_pg_res *const *res,
                     const struct zk_error *err)
{
	if (r->closing)
		return false;
	if (err)
		zk_warn("retention failed, again in a minute", "error=%s", err->msg);
	if (err || !zk_pg_i64(res[0], 0, 0)) {
		end_run(r);
		return false;
	}
	return true;
}

static void on_events(void *ctx, struct zk_pg_res *const *res, size_t n,
                      const struct zk_error *err)
{
	struct zk_pgr *r = ctx;

	(void)n;
	if (!has_lock(r, res, err))
		return;
	r->keep.events += (uint64_t)zk_pg_i64(res[1], 0, 1);
	if (zk_pg_is_null(res[1], 0, 0)) {
		next_phase(r);
	} else {
		r->keep.org = zk_pg_uuid(res[1], 0, 0);
		/* Rows that somebody has locked wait for the next run. */
		if (zk_pg_i64(res[1], 0, 1) < ZK_PGR_STEP_ROWS) {
			for (size_t i = sizeof(r->keep.org.b); i-- > 0;) {
				if (++r->keep.org.b[i])
					break;
			}
		}
	}
	step_done(r);
}

static void on_dedup(void *ctx, struct zk_pg_res *const *res, size_t n,
                     const struct zk_error *err)
{
	struct zk_pgr *r = ctx;
	uint64_t rows;

	(void)n;
	if (!has_lock(r, res, err))
		return;
	rows = zk_pg_touched(res[1]);
	r->keep.dedups += rows;
	if (rows < ZK_PGR_STEP_ROWS)
		r->keep.phase = END;
	step_done(r);
}

static int send_events(struct zk_pgr *r, struct zk_error *err)
{
	static const char *const statuses[][2] = {
		[DELIVERED] = { "delivered", NULL },
		[FAILED] = { "failed", NULL },
		[PENDING] = { "pending", "retrying" },
	};
	const char *const *s = statuses[r->keep.phase];
	int64_t before_ms = (zk_wall_us() - r->retain_us[r->keep.phase]) / 1000;
	zk_uuid before = zk_trig_id_at(ZK_MAX(before_ms, 0), 0);
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pg_array(p, ZK_PG_TEXT, s[1] ? 2 : 1);
	for (size_t i = 0; i < 2 && s[i]; i++)
		zk_pg_put_bytes(p, zk_str_of(s[i]));
	zk_pg_put_uuid(p, &r->keep.org);
	zk_pg_put_uuid(p, &before);
	zk_pg_put_i64(p, ZK_PGR_STEP_ROWS);
	return zk_pg_run(r->conn[ZK_PGR_HOUSE], ZK_PGR_KEEP_EVENTS, p, on_events, r, err);
}

static int send_dedup(struct zk_pgr *r, struct zk_error *err)
{
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pg_put_i64(p, ZK_PGR_STEP_ROWS);
	return zk_pg_run(r->conn[ZK_PGR_HOUSE], ZK_PGR_KEEP_DEDUP, p, on_dedup, r, err);
}

void zk_pgr_on_keep_timer(void *ctx)
{
	struct zk_pgr *r = ctx;
	struct zk_error err = { 0 };

	if (!r->keep.running) {
		memset(&r->keep, 0, sizeof(r->keep));
		r->keep.running = true;
		while (r->keep.phase < DEDUP && !r->retain_us[r->keep.phase])
			next_phase(r);
	}
	zk_pg_add(r->conn[ZK_PGR_HOUSE], ZK_PGR_KEEP_LOCK, zk_pgr_params(r));
	if ((r->keep.phase < DEDUP ? send_events(r, &err) : send_dedup(r, &err)) < 0) {
		r->keep.running = false;
		schedule(r, RUN_MS);
	}
}
