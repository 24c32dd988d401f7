/* The PostgreSQL store: pages, single events, counts (specs/triggers.md §5.7, §5.10).
 * Layer: triggers. Loop thread. */
#include <string.h>

#include "triggers/repo_pg.h"

#include "base/ban.h"

#define MAX_ATTEMPTS 20

/* ---- queries ------------------------------------------------------------------------------ */

/* How statuses are chosen: all, one, or the open ones. `status` NULL = any of them. */
static enum zk_pgr_statuses statuses_of(enum zk_trig_filter f, const char **status,
                                        bool *acked)
{
	*status = NULL;
	*acked = false;
	switch (f) {
	case ZK_TRIG_ANY:
		return ZK_PGR_ANY;
	case ZK_TRIG_ONLY_PENDING:
		return ZK_PGR_OPEN;
	case ZK_TRIG_ONLY_RETRYING:
		*status = "retrying";
		break;
	case ZK_TRIG_ONLY_ACKNOWLEDGED:
		*acked = true;
		*status = "delivered";
		break;
	case ZK_TRIG_ONLY_DELIVERED:
		*status = "delivered";
		break;
	case ZK_TRIG_ONLY_FAILED:
		*status = "failed";
		break;
	}
	return ZK_PGR_ONE;
}

static void put_type(struct zk_pg_params *p, zk_str type)
{
	if (zk_str_ends(type, ZK_STR("*"))) {
		zk_pg_put_null(p);
		zk_pg_put_bytes(p, zk_str_n(type.p, type.n - 1));
		return;
	}
	zk_pg_put_bytes(p, type.n ? type : ZK_STR_NULL);
	zk_pg_put_null(p);
}

enum zk_pgr_statuses zk_pgr_put_query(struct zk_pg_params *p,
                                      const struct zk_pgr_query *q)
{
	zk_uuid low, high;
	const char *status;
	bool acked;
	enum zk_pgr_statuses kind = statuses_of(q->filter, &status, &acked);

	zk_trig_id_bounds(q->since_us, q->until_us, &low, &high);
	if (q->has_cursor && q->ascending && memcmp(&q->cursor, &low, sizeof(low)) > 0)
		low = q->cursor;
	if (q->has_cursor && !q->ascending && memcmp(&q->cursor, &high, sizeof(low)) < 0)
		high = q->cursor;
	zk_pg_put_uuid(p, &q->org);
	zk_pg_put_uuid(p, &low);
	zk_pg_put_uuid(p, &high);
	put_type(p, q->type);
	zk_pg_put_time(p, q->since_us);
	zk_pg_put_time(p, q->until_us);
	zk_pg_put_bool(p, acked);
	zk_pg_put_bytes(p, zk_str_of(status));
	return kind;
}

/* ---- rows --------------------------------------------------------------------------------- */

static void read_row(const struct zk_pgr *r, const struct zk_pg_res *res, size_t i,
                     const zk_uuid *org, struct zk_trig_row *row)
{
	*row = (struct zk_trig_row){
		.id = zk_pg_uuid(res, i, 0),
		.org = *org,
		.type = zk_pg_str(res, i, 1),
		.dedup_id = zk_pg_str(res, i, 2),
		.payload = zk_pg_str(res, i, 3),
		.status = zk_pgr_status(zk_pg_str(res, i, 4)),
		.attempts = zk_pg_i64(res, i, 5),
		.response_status = (int)zk_pg_i64(res, i, 6),
		.last_error = zk_pg_str(res, i, 7),
		.created_us = zk_pg_time(res, i, 8),
		.updated_us = zk_pg_time(res, i, 9),
		.next_attempt_us = zk_pg_time(res, i, 10),
		.delivered_us = zk_pg_time(res, i, 11),
		.acknowledged_us = zk_pg_time(res, i, 12),
	};
	/* Retries are planned by the database's clock and shown by ours. */
	if (row->next_attempt_us && row->status == ZK_TRIG_RETRYING)
		row->next_attempt_us -= r->skew_us;
}

/* ---- pages -------------------------------------------------------------------------------- */

static void on_page(void *ctx, struct zk_pg_res *const *res, size_t n,
                    const struct zk_error *err)
{
	struct zk_trig_page *p = ctx;
	struct zk_pgr *r = zk_pgr_of(p->op.repo);
	const struct zk_pg_res *rows;
	size_t found;

	if (err) {
		zk_pgr_end(&p->op, err);
		return;
	}
	rows = res[n - 1];
	if (n > 1)
		p->total = (uint64_t)zk_pg_i64(res[0], 0, 0);
	found = zk_pg_rows(rows) ? (size_t)zk_pg_i64(rows, 0, 13) : 0;
	for (size_t i = 0; i < zk_pg_rows(rows) && p->count < p->limit; i++) {
		struct zk_trig_row row;

		read_row(r, rows, i, &p->org, &row);
		p->row(p, &row);
		p->last_id = row.id;
		p->count++;
	}
	p->has_more = p->count < found;
	zk_pgr_end(&p->op, NULL);
}

void zk_pgr_page(struct zk_trig_repo *repo, struct zk_trig_page *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg *pg = zk_pgr_reader(r);
	struct zk_pgr_query q = {
		.org = op->org,
		.filter = op->filter,
		.type = op->type,
		.ascending = op->ascending,
		.has_cursor = op->has_cursor,
		.cursor = op->cursor,
		.since_us = op->since_us,
		.until_us = op->until_us,
	};
	bool offset = op->has_offset && !op->has_cursor;
	enum zk_pgr_statuses kind;
	struct zk_pg_params *p;

	zk_pgr_begin(r, &op->op, ZK_PGR_K_PAGE);
	op->count = op->total = 0;
	op->has_more = false;
	if (offset) {
		kind = zk_pgr_put_query(zk_pgr_params(r), &q);
		zk_pg_add(pg, ZK_PGR_TOTAL_ANY + kind, &r->params);
	}
	p = zk_pgr_params(r);
	kind = zk_pgr_put_query(p, &q);
	zk_pg_put_i64(p, (int64_t)op->limit + 1);
	zk_pg_put_i64(p, offset ? (int64_t)op->offset : 0);
	zk_pg_put_i64(p, op->max_bytes ? (int64_t)op->max_bytes : INT64_MAX);
	zk_pgr_run(r, pg, ZK_PGR_PAGE_ANY_DESC + 2 * kind + op->ascending, &op->op,
	           on_page);
}
_Static_assert(ZK_PGR_PAGE_ONE_DESC == ZK_PGR_PAGE_ANY_DESC + 2 &&
                       ZK_PGR_PAGE_OPEN_ASC == ZK_PGR_PAGE_ANY_DESC + 5 &&
                       ZK_PGR_TOTAL_OPEN == ZK_PGR_TOTAL_ANY + ZK_PGR_OPEN &&
                       ZK_PGR_REPLAY_OPEN == ZK_PGR_REPLAY_ANY + ZK_PGR_OPEN,
               "statements stand in the order of enum zk_pgr_statuses");

/* ---- one event ---------------------------------------------------------------------------- */

static void on_event(void *ctx, struct zk_pg_res *const *res, size_t n,
                     const struct zk_error *err)
{
	struct zk_trig_event *e = ctx;
	struct zk_trig_attempt attempts[MAX_ATTEMPTS];
	struct zk_trig_row row;
	size_t count;

	(void)n;
	if (err || zk_pg_rows(res[0]) == 0) {
		zk_pgr_end(&e->op, err);
		return;
	}
	count = ZK_MIN(zk_pg_rows(res[1]), (size_t)MAX_ATTEMPTS);
	for (size_t i = 0; i < count; i++)
		attempts[i] = (struct zk_trig_attempt){
			.attempt = zk_pg_i64(res[1], i, 0),
			.started_us = zk_pg_time(res[1], i, 1),
			.duration_ms = zk_pg_double(res[1], i, 2),
			.response_status = (int)zk_pg_i64(res[1], i, 3),
			.error = zk_pg_str(res[1], i, 4),
			.response_body = zk_pg_str(res[1], i, 5),
		};
	read_row(zk_pgr_of(e->op.repo), res[0], 0, &e->org, &row);
	e->found = true;
	e->row(e, &row, attempts, count);
	zk_pgr_end(&e->op, NULL);
}

void zk_pgr_event(struct zk_trig_repo *repo, struct zk_trig_event *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg *pg = zk_pgr_reader(r);
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pgr_begin(r, &op->op, ZK_PGR_K_EVENT);
	op->found = false;
	zk_pg_put_uuid(p, &op->org);
	zk_pg_put_uuid(p, &op->id);
	zk_pg_add(pg, ZK_PGR_EVENT, p);
	p = zk_pgr_params(r);
	zk_pg_put_uuid(p, &op->id);
	zk_pgr_run(r, pg, ZK_PGR_ATTEMPTS, &op->op, on_event);
}

/* ---- counts ------------------------------------------------------------------------------- */

static void on_count(void *ctx, struct zk_pg_res *const *res, size_t n,
                     const struct zk_error *err)
{
	struct zk_trig_count *op = ctx;

	(void)n;
	if (!err)
		op->pending = (uint64_t)zk_pg_i64(res[0], 0, 0);
	zk_pgr_end(&op->op, err);
}

void zk_pgr_count(struct zk_trig_repo *repo, struct zk_trig_count *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);

	zk_pgr_begin(r, &op->op, ZK_PGR_K_COUNT);
	zk_pg_put_uuid(zk_pgr_params(r), &op->org);
	zk_pgr_run(r, zk_pgr_reader(r), ZK_PGR_COUNT_PENDING, &op->op, on_count);
}
