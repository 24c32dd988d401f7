/* The PostgreSQL store: organizations, keys, webhooks, replay.
 * Layer: triggers. Loop thread. What may touch any number of rows does ZK_PGR_STEP_ROWS at a time,
 * each step a transaction. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rt/loop.h"
#include "triggers/repo_pg.h"

#include "base/ban.h"

static struct zk_pg *ops_of(struct zk_pgr *r)
{
	return r->conn[ZK_PGR_OPS];
}

static struct zk_pg *house_of(struct zk_pgr *r)
{
	return r->conn[ZK_PGR_HOUSE];
}

static void fail_op(struct zk_trig_op *op, enum zk_code code, const char *what)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, code, "%s", what);
	zk_pgr_end(op, &err);
}

/* An error that a unique index made of a key id is a conflict. */
static void fail_key(struct zk_trig_op *op, const struct zk_error *err)
{
	if (err->code == ZK_E_DATA)
		fail_op(op, ZK_E_CONFLICT, "the key id is in use");
	else
		zk_pgr_end(op, err);
}

static void put_cstr(struct zk_pg_params *p, const char *s)
{
	zk_pg_put_bytes(p, zk_str_of(s));
}

static void put_mac(struct zk_pg_params *p, const uint8_t mac[32], bool has)
{
	if (has)
		zk_pg_put_bytes(p, zk_str_n((const char *)mac, 32));
	else
		zk_pg_put_null(p);
}

/* ---- organizations and keys --------------------------------------------------------------- */

static void on_created(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_op *op = ctx;

	(void)n;
	if (err)
		fail_key(op, err);
	else if (zk_pg_touched(res[0]) == 0)
		fail_op(op, ZK_E_CONFLICT, "the organization exists already");
	else
		zk_pgr_end(op, NULL);
}

void zk_pgr_create(struct zk_trig_repo *repo, struct zk_trig_create *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg_params *p = zk_pgr_params(r);
	const struct zk_trig_org *org = &op->org;

	zk_pgr_begin(r, &op->op, ZK_PGR_K_CREATE);
	op->key.org = org->id;
	zk_pg_put_uuid(p, &org->id);
	put_cstr(p, org->name);
	put_cstr(p, zk_trig_tier_name(org->tier));
	if (org->rate_limit >= 0)
		zk_pg_put_i64(p, org->rate_limit);
	else
		zk_pg_put_null(p);
	put_cstr(p, org->webhook_url);
	zk_pg_put_bool(p, org->webhook_enabled);
	put_cstr(p, org->webhook_disabled_reason);
	zk_pg_put_bool(p, org->webhook_ordered);
	zk_pg_put_i64(p, org->secret_version);
	zk_pg_put_time(p, org->created_us);
	zk_pg_put_time(p, org->updated_us);
	put_cstr(p, op->key.key_id);
	put_cstr(p, op->key.hash);
	put_mac(p, op->key.mac, op->key.has_mac);
	zk_pg_put_time(p, op->key.created_us);
	zk_pgr_run(r, ops_of(r), ZK_PGR_CREATE, &op->op, on_created);
}

static void on_key(void *ctx, struct zk_pg_res *const *res, size_t n,
                   const struct zk_error *err)
{
	struct zk_trig_find_key *op = ctx;
	struct zk_trig_key *key = &op->key;

	(void)n;
	if (err) {
		zk_pgr_end(&op->op, err);
		return;
	}
	if (zk_pg_rows(res[0]) == 0) {
		fail_op(&op->op, ZK_E_NOT_FOUND, "the key does not exist");
		return;
	}
	zk_str hash = zk_pg_str(res[0], 0, 0), mac = zk_pg_str(res[0], 0, 1);

	*key = (struct zk_trig_key){
		.created_us = zk_pg_time(res[0], 0, 2),
		.expires_us = zk_pg_time(res[0], 0, 3),
		.last_used_us = zk_pg_time(res[0], 0, 4),
	};
	memcpy(key->key_id, op->key_id, sizeof(key->key_id));
	if (hash.n < sizeof(key->hash))
		memcpy(key->hash, hash.p, hash.n);
	key->has_mac = mac.n == sizeof(key->mac);
	if (key->has_mac)
		memcpy(key->mac, mac.p, sizeof(key->mac));
	/* By the database's clock, which all servers share. */
	if (zk_pg_i64(res[0], 0, 5))
		key->expires_us = ZK_MIN(key->expires_us, zk_wall_us());
	zk_pgr_read_org(res[0], 0, 6, &op->org);
	key->org = op->org.id;
	zk_pgr_end(&op->op, NULL);
}

void zk_pgr_find_key(struct zk_trig_repo *repo, struct zk_trig_find_key *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);

	memset(&op->org, 0, sizeof(op->org));
	zk_pgr_begin(r, &op->op, ZK_PGR_K_FIND_KEY);
	put_cstr(zk_pgr_params(r), op->key_id);
	zk_pgr_run(r, zk_pgr_reader(r), ZK_PGR_KEY, &op->op, on_key);
}

static void on_org(void *ctx, struct zk_pg_res *const *res, size_t n,
                   const struct zk_error *err)
{
	struct zk_trig_find_org *op = ctx;

	(void)n;
	if (err) {
		zk_pgr_end(&op->op, err);
	} else if (zk_pg_rows(res[0]) == 0) {
		fail_op(&op->op, ZK_E_NOT_FOUND, "the organization does not exist");
	} else {
		zk_pgr_read_org(res[0], 0, 0, &op->org);
		zk_pgr_end(&op->op, NULL);
	}
}

void zk_pgr_find_org(struct zk_trig_repo *repo, struct zk_trig_find_org *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);

	memset(&op->org, 0, sizeof(op->org));
	zk_pgr_begin(r, &op->op, ZK_PGR_K_FIND_ORG);
	zk_pg_put_uuid(zk_pgr_params(r), &op->id);
	zk_pgr_run(r, zk_pgr_reader(r), ZK_PGR_ORG, &op->op, on_org);
}

/* Tells this server; the others hear it through the database. */
static void org_changed(struct zk_pgr *r, const zk_uuid *org)
{
	if (r->base.on_org_changed && !r->closing)
		r->base.on_org_changed(r->base.ctx, org);
}

/* Adds the notification and sends the unit: other servers hear of it when it commits. */
static void run_and_notify(struct zk_pgr *r, enum zk_pgr_stmt stmt, const zk_uuid *org,
                           struct zk_trig_op *op, zk_pg_done_fn done)
{
	zk_pg_add(ops_of(r), stmt, &r->params);
	zk_pg_put_uuid(zk_pgr_params(r), org);
	zk_pgr_run(r, ops_of(r), ZK_PGR_NOTIFY, op, done);
}

static void on_rotated(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_rotate *op = ctx;

	(void)n;
	if (err) {
		fail_key(&op->op, err);
	} else if (zk_pg_touched(res[0]) == 0) {
		fail_op(&op->op, ZK_E_NOT_FOUND, "the organization does not exist");
	} else {
		org_changed(zk_pgr_of(op->op.repo), &op->key.org);
		zk_pgr_end(&op->op, NULL);
	}
}

void zk_pgr_rotate(struct zk_trig_repo *repo, struct zk_trig_rotate *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pgr_begin(r, &op->op, ZK_PGR_K_ROTATE);
	zk_pg_put_uuid(p, &op->key.org);
	/* 0 would be "never"; the first microsecond of 1970 is as over as that. */
	zk_pg_put_time(p, op->old_expires_us ? op->old_expires_us : 1);
	put_cstr(p, op->key.key_id);
	put_cstr(p, op->key.hash);
	put_mac(p, op->key.mac, op->key.has_mac);
	zk_pg_put_time(p, op->key.created_us);
	zk_pg_put_time(p, op->key.expires_us);
	/* At once means at once by every clock. */
	zk_pg_put_bool(p, op->old_expires_us <= zk_wall_us());
	run_and_notify(r, ZK_PGR_ROTATE, &op->key.org, &op->op, on_rotated);
}

static void on_key_set(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_op *op = ctx;

	(void)n;
	if (!err && zk_pg_touched(res[0]) == 0)
		fail_op(op, ZK_E_NOT_FOUND, "the key does not exist");
	else
		zk_pgr_end(op, err);
}

void zk_pgr_key_update(struct zk_trig_repo *repo, struct zk_trig_key_update *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pgr_begin(r, &op->op, ZK_PGR_K_KEY_UPDATE);
	put_cstr(p, op->key_id);
	put_mac(p, op->mac, op->set_mac);
	put_cstr(p, op->set_hash ? op->hash : NULL);
	zk_pg_put_time(p, op->set_used ? op->used_us : 0);
	zk_pgr_run(r, ops_of(r), ZK_PGR_KEY_SET, &op->op, on_key_set);
}

/* ---- webhooks ----------------------------------------------------------------------------- */

/* op->step: 0 the change itself, 1 first attempts, 2 retries. */
static void plan_step(struct zk_trig_webhook *op);
static void unplan_step(struct zk_trig_webhook *op);

static void on_planned(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_webhook *op = ctx;
	size_t rows = err ? 0 : zk_pg_rows(res[0]);

	(void)n;
	if (err) {
		zk_pgr_end(&op->op, err);
		return;
	}
	op->planned += rows;
	for (size_t i = 0; i < rows; i++) {
		zk_uuid id = zk_pg_uuid(res[0], i, 0);

		if (memcmp(&id, &op->op.at, sizeof(id)) > 0)
			op->op.at = id;
	}
	if (rows < ZK_PGR_STEP_ROWS) {
		memset(&op->op.at, 0, sizeof(op->op.at));
		op->op.step++;
	}
	if (op->op.step <= 2) {
		plan_step(op);
		return;
	}
	if (op->planned)
		zk_trig_news_note(&zk_pgr_of(op->op.repo)->news, &op->org, true);
	zk_pgr_end(&op->op, NULL);
}

static void plan_step(struct zk_trig_webhook *op)
{
	struct zk_pgr *r = zk_pgr_of(op->op.repo);
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pg_put_uuid(p, &op->org);
	put_cstr(p, op->op.step == 1 ? "pending" : "retrying");
	zk_pg_put_uuid(p, &op->op.at);
	zk_pg_put_time(p, op->now_us);
	zk_pg_put_i64(p, ZK_PGR_STEP_ROWS);
	zk_pgr_run(r, house_of(r), ZK_PGR_PLAN, &op->op, on_planned);
}

static void on_unplanned(void *ctx, struct zk_pg_res *const *res, size_t n,
                         const struct zk_error *err)
{
	struct zk_trig_webhook *op = ctx;

	(void)n;
	if (!err && zk_pg_rows(res[0]) == ZK_PGR_STEP_ROWS)
		unplan_step(op);
	else
		zk_pgr_end(&op->op, err);
}

static void unplan_step(struct zk_trig_webhook *op)
{
	struct zk_pgr *r = zk_pgr_of(op->op.repo);
	struct zk_pg_params *p = zk_pgr_params(r);

	zk_pg_put_uuid(p, &op->org);
	zk_pg_put_i64(p, ZK_PGR_STEP_ROWS);
	zk_pgr_run(r, house_of(r), ZK_PGR_UNPLAN, &op->op, on_unplanned);
}

/* The rows follow the change, a step at a time: those of an organization that pushes are planned,
 * those of another lose their plan. The steps ask again, because another change may come first. */
static void move_rows(struct zk_trig_webhook *op)
{
	bool pushes = zk_trig_org_pushes(&op->result);

	op->op.step = 1;
	if (pushes && op->set & ZK_TRIG_SET_BACKLOG)
		plan_step(op);
	else if (!pushes && op->set & ZK_TRIG_SET_UNPLAN)
		unplan_step(op);
	else
		zk_pgr_end(&op->op, NULL);
}

static void on_webhook(void *ctx, struct zk_pg_res *const *res, size_t n,
                       const struct zk_error *err)
{
	struct zk_trig_webhook *op = ctx;

	(void)n;
	if (err) {
		zk_pgr_end(&op->op, err);
		return;
	}
	if (zk_pg_rows(res[0]) == 0) {
		fail_op(&op->op, ZK_E_NOT_FOUND, "the organization does not exist");
		return;
	}
	zk_pgr_read_org(res[0], 0, 0, &op->result);
	op->first = zk_pg_i64(res[0], 0, 12) == 0 && op->result.secret_version > 0;
	org_changed(zk_pgr_of(op->op.repo), &op->org);
	move_rows(op);
}

void zk_pgr_webhook(struct zk_trig_repo *repo, struct zk_trig_webhook *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg_params *p = zk_pgr_params(r);

	memset(&op->result, 0, sizeof(op->result));
	op->planned = 0;
	op->first = false;
	zk_pgr_begin(r, &op->op, ZK_PGR_K_WEBHOOK);
	zk_pg_put_uuid(p, &op->org);
	zk_pg_put_i32(p, (int)op->set);
	put_cstr(p, op->url);
	zk_pg_put_bool(p, op->enabled);
	zk_pg_put_bool(p, op->ordered);
	put_cstr(p, op->reason);
	zk_pg_put_time(p, op->old_secret_expires_us);
	zk_pg_put_time(p, op->now_us);
	run_and_notify(r, ZK_PGR_ORG_SET, &op->org, &op->op, on_webhook);
}

static void on_healed(struct zk_trig_op *op)
{
	struct zk_trig_webhook *w = ZK_CONTAINER_OF(op, struct zk_trig_webhook, op);

	zk_pgr_of(op->repo)->healing = false;
	free(w);
}

void zk_pgr_heal(struct zk_pgr *r, const zk_uuid *org)
{
	struct zk_trig_webhook *w;

	if (r->healing || r->closing)
		return;
	r->healing = true;
	w = zk_new0(struct zk_trig_webhook);
	w->org = *org;
	w->op.done = on_healed;
	zk_pgr_begin(r, &w->op, ZK_PGR_K_WEBHOOK);
	unplan_step(w);
}

/* ---- replay ------------------------------------------------------------------------------- */

static void on_replayed_one(void *ctx, struct zk_pg_res *const *res, size_t n,
                            const struct zk_error *err)
{
	struct zk_trig_replay *op = ctx;

	(void)n;
	if (!err)
		op->scheduled = zk_pg_touched(res[0]);
	zk_pgr_end(&op->op, err);
}

static void replay_step(struct zk_trig_replay *op);

static void on_replayed(void *ctx, struct zk_pg_res *const *res, size_t n,
                        const struct zk_error *err)
{
	struct zk_trig_replay *op = ctx;
	size_t rows = err ? 0 : zk_pg_rows(res[0]);

	(void)n;
	for (size_t i = 0; i < rows; i++) {
		zk_uuid id = zk_pg_uuid(res[0], i, 0);

		if (memcmp(&id, &op->op.at, sizeof(id)) > 0)
			op->op.at = id;
	}
	op->scheduled += rows;
	if (rows == ZK_PGR_STEP_ROWS && op->scheduled < op->limit)
		replay_step(op);
	else
		zk_pgr_end(&op->op, err);
}

static void replay_step(struct zk_trig_replay *op)
{
	struct zk_pgr *r = zk_pgr_of(op->op.repo);
	struct zk_pg_params *p = zk_pgr_params(r);
	struct zk_pgr_query q = {
		.org = op->org,
		.filter = op->filter,
		.type = op->type,
		.ascending = true,
		.has_cursor = op->scheduled > 0,
		.cursor = op->op.at,
		.since_us = op->since_us,
		.until_us = op->until_us,
	};
	enum zk_pgr_statuses kind = zk_pgr_put_query(p, &q);

	zk_pg_put_i64(p, (int64_t)ZK_MIN(op->limit - op->scheduled,
	                                 (uint64_t)ZK_PGR_STEP_ROWS));
	zk_pg_put_i64(p, 0);
	zk_pg_put_time(p, op->now_us);
	zk_pgr_run(r, house_of(r), ZK_PGR_REPLAY_ANY + kind, &op->op, on_replayed);
}

void zk_pgr_replay(struct zk_trig_repo *repo, struct zk_trig_replay *op)
{
	struct zk_pgr *r = zk_pgr_of(repo);
	struct zk_pg_params *p = zk_pgr_params(r);

	op->scheduled = 0;
	zk_pgr_begin(r, &op->op, ZK_PGR_K_REPLAY);
	if (!op->one) {
		if (op->limit)
			replay_step(op);
		else
			zk_pgr_end_later(&op->op, NULL);
		return;
	}
	zk_pg_put_uuid(p, &op->org);
	zk_pg_put_uuid(p, &op->id);
	zk_pg_put_time(p, op->now_us);
	zk_pgr_run(r, ops_of(r), ZK_PGR_REPLAY_ONE, &op->op, on_replayed_one);
}
