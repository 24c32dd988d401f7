/* The PostgreSQL store: leases on rows that are due (specs/triggers.md §8.4, §11.4).
 * Layer: triggers. Loop thread. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "triggers/repo_pg.h"

#include "base/ban.h"

#define MAX_ROWS     128 /* whose payloads travel in one answer */
#define COUNT_US     1000000
#define COUNT_FAR_US 10000000 /* when there is very much to count */
#define MANY_DUE     10000
#define RELEASE_MS   2000 /* at the end; leases that stay end by themselves */

/* ---- what this process holds -------------------------------------------------------------- */

static zk_str key_of(const zk_uuid *id)
{
	return zk_str_n((const char *)id->b, sizeof(id->b));
}

void zk_pgr_forget_lease(struct zk_pgr *r, const zk_uuid *id)
{
	(void)zk_map_del(&r->leases, key_of(id));
}

static void on_released(void *ctx, struct zk_pg_res *const *res, size_t n,
                        const struct zk_error *err)
{
	(void)ctx; /* a lease that could not be given back ends by itself */
	(void)res;
	(void)n;
	(void)err;
}

static void flush_given_back(void *ctx)
{
	struct zk_pgr *r = ctx;
	struct zk_pg_params *p = zk_pgr_params(r);
	struct zk_error err = { 0 };
	size_t n = r->n_given_back;

	r->n_given_back = 0;
	if (n == 0 || r->closing)
		return;
	zk_pg_put_bytes(p, zk_str_of(r->me));
	zk_pg_array(p, ZK_PG_UUID, n);
	for (size_t i = 0; i < n; i++)
		zk_pg_put_uuid(p, &r->given_back[i]);
	ZK_IGNORE(zk_pg_run(r->conn[ZK_PGR_OPS], ZK_PGR_RELEASE, p, on_released, NULL,
	                    &err));
}

void zk_pgr_release(struct zk_trig_repo *repo, const zk_uuid *ids, size_t n)
{
	struct zk_pgr *r = zk_pgr_of(repo);

	for (size_t i = 0; i < n; i++) {
		if (!zk_map_del(&r->leases, key_of(&ids[i])))
			continue;
		if (r->n_given_back == ZK_PGR_GIVE_BACK)
			flush_given_back(r);
		if (r->n_given_back == 0)
			zk_loop_defer(r->loop, flush_given_back, r);
		r->given_back[r->n_given_back++] = ids[i];
	}
}

void zk_pgr_release_all(struct zk_pgr *r)
{
	struct zk_pg_params *p = zk_pgr_params(r);
	struct zk_error err = { 0 };
	size_t pos = 0;
	zk_str key;
	void *value;

	if (r->leases.n == 0)
		return;
	zk_pg_put_bytes(p, zk_str_of(r->me));
	zk_pg_array(p, ZK_PG_UUID, r->leases.n);
	while (zk_map_next(&r->leases, &pos, &key, &value)) {
		zk_uuid id;

		memcpy(id.b, key.p, sizeof(id.b));
		zk_pg_put_uuid(p, &id);
	}
	/* An attempt that was cut counts as not made (§12.2). */
	if (zk_pg_run(r->conn[ZK_PGR_OPS], ZK_PGR_RELEASE, p, on_released, NULL, &err) ==
	    0)
		zk_pg_settle(r->conn[ZK_PGR_OPS], RELEASE_MS);
}

/* ---- claims ------------------------------------------------------------------------------- */

static int64_t now_of(const struct zk_trig_claim *c)
{
	return c->now_us + zk_pgr_of(c->op.repo)->skew_us;
}

static void end_claim(struct zk_trig_claim *c, const struct zk_error *err)
{
	struct zk_pgr *r = zk_pgr_of(c->op.repo);

	c->due = r->due;
	c->oldest_due_us = r->oldest_due_us;
	if (err)
		zk_trig_claim_done(c);
	zk_pgr_end(&c->op, err);
}

static void on_counted(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_claim *c = ctx;
	struct zk_pgr *r = zk_pgr_of(c->op.repo);
	int64_t oldest;

	if (err) {
		/* The rows are leased: they are handed out all the same. */
		end_claim(c, NULL);
		return;
	}
	c->next_due_us = zk_pg_time(res[0], 0, 0);
	if (c->next_due_us)
		c->next_due_us -= r->skew_us;
	oldest = zk_pg_time(res[0], 0, 1);
	r->oldest_due_us = oldest ? oldest - r->skew_us : 0;
	if (!zk_pg_is_null(res[0], 0, 2)) {
		c->has_stray = true;
		c->stray = zk_pg_uuid(res[0], 0, 2);
		zk_pgr_heal(r, &c->stray);
	}
	if (n > 1) {
		r->due = (uint64_t)zk_pg_i64(res[1], 0, 0);
		r->counted_us = zk_mono_us();
	}
	end_claim(c, NULL);
}

/* When the next row is due, and the gauges. */
static void survey(struct zk_trig_claim *c)
{
	struct zk_pgr *r = zk_pgr_of(c->op.repo);
	struct zk_pg_params *p = zk_pgr_params(r);
	struct zk_pg *pg = r->conn[ZK_PGR_HOUSE];
	int64_t age = zk_mono_us() - r->counted_us;
	bool count =
	        !r->counted_us || age > (r->due > MANY_DUE ? COUNT_FAR_US : COUNT_US);
	zk_uuid none = { { 0 } };
	struct zk_error err = { 0 };
	int sent;

	zk_pg_put_bytes(p, zk_str_of(r->me));
	zk_pg_put_uuid(p, &none);
	zk_pg_put_time(p, now_of(c));
	if (count) {
		zk_pg_add(pg, ZK_PGR_SURVEY, p);
		p = zk_pgr_params(r);
		zk_pg_put_time(p, now_of(c));
		sent = zk_pg_run(pg, ZK_PGR_DUE_COUNT, p, on_counted, c, &err);
	} else {
		sent = zk_pg_run(pg, ZK_PGR_SURVEY, p, on_counted, c, &err);
	}
	if (sent < 0)
		end_claim(c, NULL);
}

static char *copy(zk_str s)
{
	return zk_strndup(s.n ? s.p : "", s.n);
}

static void add_row(struct zk_trig_claim *c, const struct zk_pg_res *res, size_t i)
{
	struct zk_pgr *r = zk_pgr_of(c->op.repo);
	zk_str type = zk_pg_str(res, i, 5), payload = zk_pg_str(res, i, 6);
	struct zk_trig_due *row = &c->rows[c->n++];

	*row = (struct zk_trig_due){
		.id = zk_pg_uuid(res, i, 1),
		.org = zk_pg_uuid(res, i, 0),
		.type = copy(type),
		.type_n = type.n,
		.payload = copy(payload),
		.payload_n = payload.n,
		.created_us = zk_pg_time(res, i, 7),
		.next_attempt_us = zk_pg_time(res, i, 4),
		.attempts = zk_pg_i64(res, i, 3),
		/* Counted from before the claim was sent: never later than the database's. */
		.lease_until_mono_us = c->op.job.pushed_us + r->lease_us,
	};
	if (row->attempts && row->next_attempt_us)
		row->next_attempt_us -= r->skew_us;
	(void)zk_map_set(&r->leases, key_of(&row->id), r);
}

static void on_claimed(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_claim *c = ctx;
	struct zk_pgr *r = zk_pgr_of(c->op.repo);
	size_t rows, max = ZK_MIN(c->max_rows, (size_t)MAX_ROWS);

	(void)n;
	if (err) {
		end_claim(c, err);
		return;
	}
	rows = zk_pg_rows(res[0]);
	if (rows > max)
		c->more = true;
	for (size_t i = 0; i < ZK_MIN(rows, max); i++) {
		r->rotor = zk_pg_uuid(res[0], i, 0);
		if (zk_pg_i64(res[0], i, 2))
			c->more = true;
		else if (!zk_pg_is_null(res[0], i, 7))
			add_row(c, res[0], i);
	}
	if (c->more && c->n)
		end_claim(c, NULL);
	else
		survey(c);
}

void zk_pgr_claim(struct zk_trig_repo *repo, struct zk_trig_claim *c)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg_params *p = zk_pgr_params(r);
	size_t max = ZK_MIN(c->max_rows, (size_t)MAX_ROWS);

	zk_pgr_begin(r, &c->op, ZK_PGR_K_CLAIM);
	c->rows = zk_alloc_array(max ? max : 1, sizeof(*c->rows));
	c->n = 0;
	c->more = c->has_stray = false;
	c->next_due_us = 0;
	zk_pg_put_bytes(p, zk_str_of(r->me));
	zk_pg_put_uuid(p, &r->rotor);
	zk_pg_put_time(p, now_of(c));
	zk_pg_put_i64(p, (int64_t)c->per_org);
	zk_pg_array(p, ZK_PG_UUID, c->n_skip);
	for (size_t i = 0; i < c->n_skip; i++)
		zk_pg_put_uuid(p, &c->skip[i]);
	zk_pg_put_i64(p, (int64_t)max);
	zk_pg_put_i64(p, r->lease_us);
	zk_pgr_run(r, r->conn[ZK_PGR_HOUSE], ZK_PGR_CLAIM, &c->op, on_claimed);
}
