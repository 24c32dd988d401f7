/* The SQLite store: organizations, keys, webhooks, replay.
 * Layer: triggers. Writer lane, inside its transaction. Operations that may touch any number of
 * rows do ZK_LITE_STEP_ROWS at a time and set op->again; events are committed in between. */
#include <string.h>

#include "triggers/repo_sqlite.h"

#include "base/ban.h"

enum {
	ORG_ADD,
	ORG,
	ORG_SET,
	KEY_ADD,
	KEY_IS,
	KEYS_END,
	KEY_SET,
	PLAN,
	PLAN_RETRY,
	UNPLAN,
	UNPLAN_RETRY,
	RETRYING,
	STATE,
	REPLAY,
	N_SQL,
};

/* Bits of ?2 are enum zk_trig_webhook_set. */
static const char *const sql[N_SQL] = {
	[ORG_ADD] = "INSERT OR IGNORE INTO organizations"
	            " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
	[ORG] = "SELECT " ZK_LITE_ORG_COLS("") " FROM organizations WHERE id=?1",
	[ORG_SET] =
	        "UPDATE organizations SET"
	        " webhook_url=CASE WHEN ?2&1 THEN ?3 ELSE webhook_url END,"
	        " webhook_enabled=CASE WHEN ?2&2 THEN ?4 ELSE webhook_enabled END,"
	        " webhook_ordered=CASE WHEN ?2&4 THEN ?5 ELSE webhook_ordered END,"
	        " webhook_disabled_reason=CASE WHEN ?2&8 THEN ?6 WHEN ?2&1 THEN NULL"
	        "  ELSE webhook_disabled_reason END,"
	        " secret_version=secret_version+CASE WHEN ?2&16 THEN 1"
	        "  WHEN (?2&1) AND ?3 IS NOT NULL AND secret_version=0 THEN 1 ELSE 0 END,"
	        " old_secret_expires_at=CASE WHEN (?2&16) AND secret_version>0 THEN ?7"
	        "  ELSE old_secret_expires_at END,"
	        " updated_at=?8 WHERE id=?1",
	[KEY_ADD] = "INSERT INTO api_keys VALUES(?1,?2,?3,?4,?5,?6,?7)",
	[KEY_IS] = "SELECT 1 FROM api_keys WHERE key_id=?1",
	[KEYS_END] =
	        "UPDATE api_keys SET expires_at=?2"
	        " WHERE organization_id=?1 AND (expires_at IS NULL OR expires_at>?2)",
	[KEY_SET] =
	        "UPDATE api_keys SET mac=coalesce(?2,mac),hash=coalesce(?3,hash),"
	        "last_used_at=max(coalesce(last_used_at,0),coalesce(?4,last_used_at,0))"
	        " WHERE key_id=?1",
	[PLAN] = "UPDATE event_deliveries SET status=1,updated_at=?2"
	         " WHERE status=0 AND organization_id=?1 AND event_id IN"
	         " (SELECT event_id FROM event_deliveries WHERE status=0 AND "
	         "organization_id=?1"
	         "  ORDER BY event_id LIMIT ?3)",
	[PLAN_RETRY] = "UPDATE event_deliveries SET next_attempt_at=?3,updated_at=?3"
	               " WHERE status=2 AND organization_id=?1 AND event_id=?2",
	[UNPLAN] = "UPDATE event_deliveries SET status=0"
	           " WHERE status=1 AND organization_id=?1 AND event_id IN"
	           " (SELECT event_id FROM event_deliveries WHERE status=1 AND "
	           "organization_id=?1"
	           "  LIMIT ?2)",
	[UNPLAN_RETRY] =
	        "UPDATE event_deliveries SET next_attempt_at=NULL"
	        " WHERE status=2 AND organization_id=?1 AND event_id IN"
	        " (SELECT event_id FROM event_deliveries WHERE status=2"
	        "  AND organization_id=?1 AND next_attempt_at IS NOT NULL LIMIT ?2)",
	[RETRYING] = "SELECT event_id,next_attempt_at IS NULL FROM event_deliveries"
	             " WHERE status=2 AND organization_id=?1 AND event_id>?2"
	             " ORDER BY event_id LIMIT ?3",
	[STATE] = "SELECT status FROM event_deliveries"
	          " WHERE status IN (0,1,2,3,4,5) AND organization_id=?1 AND event_id=?2",
	[REPLAY] =
	        "UPDATE event_deliveries SET status=1,attempts=0,next_attempt_at=NULL,"
	        "updated_at=?4,response_status=NULL,error_message=NULL,delivered_at=NULL,"
	        "acknowledged_at=NULL WHERE status=?1 AND organization_id=?2 AND "
	        "event_id=?3",
};
_Static_assert(ZK_TRIG_SET_URL == 1 && ZK_TRIG_SET_ENABLED == 2 &&
                       ZK_TRIG_SET_ORDERED == 4 && ZK_TRIG_SET_REASON == 8 &&
                       ZK_TRIG_SET_SECRET == 16,
               "ORG_SET names the bits");

int zk_lite_admin_init(struct zk_lite_writer *w, struct zk_error *err)
{
	return zk_lite_prepare(w->db, sql, N_SQL, w->admin, err);
}

/* 1 when the statement has a row, 0 when not. */
static int has_row(struct zk_stmt *st, struct zk_error *err)
{
	int r = zk_stmt_step(st, err);

	zk_stmt_reset(st);
	return r;
}

static int conflict(struct zk_trig_op *op, const char *what)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_CONFLICT, "%s", what);
	zk_trig_op_failed(op, &err);
	return 0;
}

static int not_found(struct zk_trig_op *op, const char *what)
{
	struct zk_error err = { 0 };

	(void)zk_fail(&err, ZK_E_NOT_FOUND, "%s", what);
	zk_trig_op_failed(op, &err);
	return 0;
}

/* ---- organizations and keys --------------------------------------------------------------- */

static int key_is(struct zk_lite_writer *w, const struct zk_trig_key *key,
                  struct zk_error *err)
{
	zk_bind_text(w->admin[KEY_IS], 1, zk_str_of(key->key_id));
	return has_row(w->admin[KEY_IS], err);
}

static int add_key(struct zk_lite_writer *w, const struct zk_trig_key *key,
                   struct zk_error *err)
{
	struct zk_stmt *st = w->admin[KEY_ADD];

	zk_bind_text(st, 1, zk_str_of(key->key_id));
	zk_lite_bind_id(st, 2, &key->org);
	zk_bind_text(st, 3, zk_str_of(key->hash));
	if (key->has_mac)
		zk_bind_blob(st, 4, zk_str_n((const char *)key->mac, sizeof(key->mac)));
	zk_bind_i64(st, 5, key->created_us);
	zk_lite_bind_time(st, 6, key->expires_us);
	zk_lite_bind_time(st, 7, key->last_used_us);
	return zk_stmt_run(st, err);
}

int zk_lite_create(struct zk_lite_writer *w, struct zk_trig_create *op,
                   struct zk_error *err)
{
	const struct zk_trig_org *org = &op->org;
	struct zk_stmt *st = w->admin[ORG_ADD];
	int r = key_is(w, &op->key, err);

	if (r != 0)
		return r < 0 ? r : conflict(&op->op, "the key id is in use");
	zk_lite_bind_id(st, 1, &org->id);
	zk_bind_text(st, 2, zk_str_of(org->name));
	zk_bind_text(st, 3, zk_str_of(zk_trig_tier_name(org->tier)));
	if (org->rate_limit >= 0)
		zk_bind_i64(st, 4, org->rate_limit);
	zk_bind_text(st, 5, zk_str_of(org->webhook_url));
	zk_bind_i64(st, 6, org->webhook_enabled);
	zk_bind_text(st, 7, zk_str_of(org->webhook_disabled_reason));
	zk_bind_i64(st, 8, org->webhook_ordered);
	zk_bind_i64(st, 9, org->secret_version);
	zk_lite_bind_time(st, 10, org->old_secret_expires_us);
	zk_bind_i64(st, 11, org->created_us);
	zk_bind_i64(st, 12, org->updated_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	if (zk_db_changes(w->db) == 0)
		return conflict(&op->op, "the organization exists already");
	op->key.org = org->id;
	return add_key(w, &op->key, err);
}

static int org_is(struct zk_lite_writer *w, const zk_uuid *org, struct zk_error *err)
{
	zk_lite_bind_id(w->admin[ORG], 1, org);
	return has_row(w->admin[ORG], err);
}

int zk_lite_rotate(struct zk_lite_writer *w, struct zk_trig_rotate *op,
                   struct zk_error *err)
{
	struct zk_stmt *st = w->admin[KEYS_END];
	int r = org_is(w, &op->key.org, err);

	if (r <= 0)
		return r < 0 ? r : not_found(&op->op, "the organization does not exist");
	r = key_is(w, &op->key, err);
	if (r != 0)
		return r < 0 ? r : conflict(&op->op, "the key id is in use");
	zk_lite_bind_id(st, 1, &op->key.org);
	zk_bind_i64(st, 2, op->old_expires_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	return add_key(w, &op->key, err);
}

int zk_lite_key_update(struct zk_lite_writer *w, struct zk_trig_key_update *op,
                       struct zk_error *err)
{
	struct zk_stmt *st = w->admin[KEY_SET];

	zk_bind_text(st, 1, zk_str_of(op->key_id));
	if (op->set_mac)
		zk_bind_blob(st, 2, zk_str_n((const char *)op->mac, sizeof(op->mac)));
	if (op->set_hash)
		zk_bind_text(st, 3, zk_str_of(op->hash));
	if (op->set_used)
		zk_bind_i64(st, 4, op->used_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	return zk_db_changes(w->db) ? 0 : not_found(&op->op, "the key does not exist");
}

/* ---- webhooks ----------------------------------------------------------------------------- */

/* 1 = `ret` is filled, 0 = there is no such organization. */
static int read_org(struct zk_lite_writer *w, const zk_uuid *id, struct zk_trig_org *ret,
                    struct zk_error *err)
{
	struct zk_stmt *st = w->admin[ORG];
	int r;

	zk_lite_bind_id(st, 1, id);
	r = zk_stmt_step(st, err);
	if (r > 0)
		zk_lite_read_org(st, 0, ret);
	zk_stmt_reset(st);
	return r;
}

static int set_webhook(struct zk_lite_writer *w, struct zk_trig_webhook *op,
                       struct zk_error *err)
{
	struct zk_trig_org before;
	struct zk_stmt *st = w->admin[ORG_SET];
	int r = read_org(w, &op->org, &before, err);

	if (r <= 0)
		return r < 0 ? r : not_found(&op->op, "the organization does not exist");
	zk_trig_org_done(&before);
	zk_lite_bind_id(st, 1, &op->org);
	zk_bind_i64(st, 2, op->set);
	zk_bind_text(st, 3, zk_str_of(op->url));
	zk_bind_i64(st, 4, op->enabled);
	zk_bind_i64(st, 5, op->ordered);
	zk_bind_text(st, 6, zk_str_of(op->reason));
	zk_lite_bind_time(st, 7, op->old_secret_expires_us);
	zk_bind_i64(st, 8, op->now_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	zk_trig_org_done(&op->result);
	r = read_org(w, &op->org, &op->result, err);
	if (r < 0)
		return r;
	op->first = before.secret_version == 0 && op->result.secret_version > 0;
	return 0;
}

/* Retrying rows that lost their plan get one; looks at the next ZK_LITE_STEP_ROWS of them. */
static int plan_retries(struct zk_lite_writer *w, struct zk_trig_webhook *op,
                        struct zk_error *err)
{
	struct zk_stmt *st = w->admin[RETRYING];
	zk_uuid ids[ZK_LITE_STEP_ROWS];
	size_t n = 0, seen = 0;
	int r;

	zk_lite_bind_id(st, 1, &op->org);
	zk_lite_bind_id(st, 2, &op->op.at);
	zk_bind_i64(st, 3, ZK_LITE_STEP_ROWS);
	zk_uuid last = op->op.at;

	while ((r = zk_stmt_step(st, err)) > 0 && seen < ZK_LITE_STEP_ROWS) {
		last = zk_lite_col_id(st, 0);
		seen++;
		if (zk_col_i64(st, 1))
			ids[n++] = last;
	}
	if (r < 0)
		return r;
	zk_stmt_reset(st);
	op->op.at = last;
	for (size_t i = 0; i < n; i++) {
		st = w->admin[PLAN_RETRY];
		zk_lite_bind_id(st, 1, &op->org);
		zk_lite_bind_id(st, 2, &ids[i]);
		zk_bind_i64(st, 3, op->now_us);
		if (zk_stmt_run(st, err) < 0)
			return zk_lite_code(err);
	}
	op->planned += n;
	op->op.again = seen == ZK_LITE_STEP_ROWS;
	return 0;
}

/* Rows in state PENDING become due; when there are none left, it is the turn of the retries. */
static int plan_some(struct zk_lite_writer *w, struct zk_trig_webhook *op,
                     struct zk_error *err)
{
	struct zk_stmt *st = w->admin[PLAN];
	int64_t n;

	zk_lite_bind_id(st, 1, &op->org);
	zk_bind_i64(st, 2, op->now_us);
	zk_bind_i64(st, 3, ZK_LITE_STEP_ROWS);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	n = zk_db_changes(w->db);
	op->planned += (uint64_t)n;
	op->op.again = n == ZK_LITE_STEP_ROWS;
	return op->op.again ? 0 : plan_retries(w, op, err);
}

static int unplan_some(struct zk_lite_writer *w, struct zk_trig_webhook *op,
                       struct zk_error *err)
{
	int64_t n;

	zk_lite_bind_id(w->admin[UNPLAN], 1, &op->org);
	zk_bind_i64(w->admin[UNPLAN], 2, ZK_LITE_STEP_ROWS);
	if (zk_stmt_run(w->admin[UNPLAN], err) < 0)
		return zk_lite_code(err);
	n = zk_db_changes(w->db);
	if (n < ZK_LITE_STEP_ROWS) {
		zk_lite_bind_id(w->admin[UNPLAN_RETRY], 1, &op->org);
		zk_bind_i64(w->admin[UNPLAN_RETRY], 2, ZK_LITE_STEP_ROWS - n);
		if (zk_stmt_run(w->admin[UNPLAN_RETRY], err) < 0)
			return zk_lite_code(err);
		n += zk_db_changes(w->db);
	}
	op->op.again = n == ZK_LITE_STEP_ROWS;
	return 0;
}

/* Does the organization push now? Later steps, and the store's own clean-up, ask again: another
 * change may have come in between. */
static int pushes(struct zk_lite_writer *w, const zk_uuid *org, struct zk_error *err)
{
	struct zk_trig_org o;
	int r = read_org(w, org, &o, err);

	if (r <= 0)
		return r;
	r = zk_trig_org_pushes(&o);
	zk_trig_org_done(&o);
	return r;
}

int zk_lite_webhook(struct zk_lite_writer *w, struct zk_trig_webhook *op,
                    struct zk_error *err)
{
	bool heal = op->op.kind == ZK_LITE_HEAL;
	int r = 0;

	op->op.again = false;
	if (op->op.step == 0 && !heal)
		r = set_webhook(w, op, err);
	if (r < 0 || op->op.code < 0 ||
	    !(op->set & (ZK_TRIG_SET_BACKLOG | ZK_TRIG_SET_UNPLAN)))
		return r;
	op->op.step++;
	r = pushes(w, &op->org, err);
	if (r < 0)
		return r;
	if (r > 0)
		return op->set & ZK_TRIG_SET_BACKLOG ? plan_some(w, op, err) : 0;
	return op->set & ZK_TRIG_SET_UNPLAN ? unplan_some(w, op, err) : 0;
}

/* ---- replay ------------------------------------------------------------------------------- */

static int replay(struct zk_lite_writer *w, struct zk_trig_replay *op,
                  enum zk_lite_state state, const zk_uuid *id, struct zk_error *err)
{
	struct zk_stmt *st = w->admin[REPLAY];

	zk_bind_i64(st, 1, state);
	zk_lite_bind_id(st, 2, &op->org);
	zk_lite_bind_id(st, 3, id);
	zk_bind_i64(st, 4, op->now_us);
	if (zk_stmt_run(st, err) < 0)
		return zk_lite_code(err);
	op->scheduled += (uint64_t)zk_db_changes(w->db);
	return 0;
}

static int replay_one(struct zk_lite_writer *w, struct zk_trig_replay *op,
                      struct zk_error *err)
{
	struct zk_stmt *st = w->admin[STATE];
	enum zk_lite_state state;
	int r;

	op->scheduled = 0;
	zk_lite_bind_id(st, 1, &op->org);
	zk_lite_bind_id(st, 2, &op->id);
	r = zk_stmt_step(st, err);
	if (r <= 0)
		return r;
	state = (enum zk_lite_state)zk_col_i64(st, 0);
	zk_stmt_reset(st);
	return replay(w, op, state, &op->id, err);
}

/* Rows to replay; collected before the first one moves. */
struct picked {
	enum zk_lite_state states[ZK_LITE_STEP_ROWS];
	zk_uuid ids[ZK_LITE_STEP_ROWS];
	size_t n;
};

static int pick(struct zk_lite_writer *w, const struct zk_trig_replay *op, size_t room,
                struct picked *p, struct zk_error *err)
{
	struct zk_lite_query q = {
		.org = op->org,
		.filter = op->filter,
		.type = op->type,
		.ascending = true,
		.has_cursor = op->op.step > 0,
		.cursor = op->op.at,
		.since_us = op->since_us,
		.until_us = op->until_us,
	};
	ZK_CLEANUP(zk_lite_walk_closep)
	struct zk_lite_walk *walk = NULL;

	if (zk_lite_walk_open(&w->walker, &q, room, &walk, err) < 0)
		return zk_lite_code(err);
	for (p->n = 0; p->n < room; p->n++) {
		int r = zk_lite_walk_next(walk, &p->states[p->n], &p->ids[p->n], err);

		if (r <= 0)
			return r;
	}
	return 0;
}

int zk_lite_replay(struct zk_lite_writer *w, struct zk_trig_replay *op,
                   struct zk_error *err)
{
	struct picked p = { .n = 0 };
	uint64_t left;

	op->op.again = false;
	if (op->one)
		return replay_one(w, op, err);
	if (op->op.step == 0)
		op->scheduled = 0;
	left = op->limit > op->scheduled ? op->limit - op->scheduled : 0;
	if (pick(w, op, (size_t)ZK_MIN(left, (uint64_t)ZK_LITE_STEP_ROWS), &p, err) < 0)
		return zk_lite_code(err);
	for (size_t i = 0; i < p.n; i++) {
		if (replay(w, op, p.states[i], &p.ids[i], err) < 0)
			return zk_lite_code(err);
	}
	if (p.n)
		op->op.at = p.ids[p.n - 1];
	op->op.step++;
	op->op.again = p.n == ZK_LITE_STEP_ROWS && op->scheduled < op->limit;
	return 0;
}
