/* Records come and go: targets, appending, acknowledging, attachments.
 * Layer: store. */
#include <string.h>

#include "base/clock.h"
#include "codec/jscan.h"
#include "store/spool_int.h"

#include "base/ban.h"

/* ---- targets --------------------------------------------------------------------------- */

static bool is_kind(zk_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_'))
			return false;
	}
	return s.n > 0 && s.n <= 32;
}

static bool has_control(zk_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

int zk_spool_target_check(const struct zk_spool_target *t, struct zk_error *err)
{
	if (!is_kind(t->kind))
		return zk_fail(err, ZK_E_DATA, "invalid kind of a spool target: '%.*s'",
		               ZK_STR_ARG(zk_str_n(t->kind.p, ZK_MIN(t->kind.n, 64))));
	if (t->dest.n == 0 || t->dest.n > ZK_SPOOL_TEXT_MAX)
		return zk_fail(
		        err, ZK_E_DATA,
		        "the destination of a spool target must have 1 to %zu bytes",
		        ZK_SPOOL_TEXT_MAX);
	if (has_control(t->dest) || !zk_utf8_valid(t->dest))
		return zk_fail(err, ZK_E_DATA,
		               "the destination of a spool target must be text");
	return 0;
}

int zk_spool_target_parse(zk_str text, struct zk_spool_target *ret, struct zk_error *err)
{
	struct zk_spool_target t;

	t.dest = zk_str_cut(text, ':', &t.kind);
	if (!t.dest.p)
		return zk_fail(err, ZK_E_DATA,
		               "a spool target is KIND:DESTINATION, not '%.*s'",
		               ZK_STR_ARG(zk_str_n(text.p, ZK_MIN(text.n, 64))));
	int r = zk_spool_target_check(&t, err);

	if (r == 0)
		*ret = t;
	return r;
}

int zk_spool_target_id(struct zk_spool *sp, const struct zk_spool_target *t, int64_t *ret,
                       struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_TARGET_FIND, err);

	if (!st)
		return -(int)err->code;
	zk_bind_text(st, 1, t->kind);
	zk_bind_text(st, 2, t->dest);
	int r = zk_stmt_step(st, err);

	if (r < 0)
		return r;
	*ret = r > 0 ? zk_col_i64(st, 0) : 0;
	zk_stmt_reset(st);
	return 0;
}

/* Inside a transaction: the id, made when it is not there. */
static int ensure_target(struct zk_spool *sp, const struct zk_spool_target *t,
                         int64_t *ret, struct zk_error *err)
{
	int r = zk_spool_target_id(sp, t, ret, err);

	if (r < 0 || *ret)
		return r;
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_TARGET_ADD, err);

	if (!st)
		return -(int)err->code;
	zk_bind_text(st, 1, t->kind);
	zk_bind_text(st, 2, t->dest);
	r = zk_stmt_run(st, err);
	*ret = zk_db_last_rowid(sp->db);
	return r;
}

/* ---- appending ------------------------------------------------------------------------- */

/* One call of zk_spool_append. */
struct append {
	struct zk_spool *sp;
	int64_t target, now_us;
	uint64_t room;           /* bytes that may be added */
	uint64_t total;          /* cost of the whole call */
	uint64_t records, bytes; /* added */
};

static uint64_t cost_of(const struct zk_spool_put *p)
{
	return p->key.n + p->meta.n + p->body.n + ZK_SPOOL_OVERHEAD;
}

static int check_put(const struct zk_spool_put *p, struct zk_error *err)
{
	struct zk_jscan js;

	if (p->body.n > ZK_SPOOL_BODY_MAX || p->meta.n > ZK_SPOOL_META_MAX ||
	    p->key.n > ZK_SPOOL_TEXT_MAX)
		return zk_fail(err, ZK_E_LIMIT, "a record is too large for the spool");
	if (!zk_utf8_valid(p->key) || memchr(p->key.n ? p->key.p : "", '\0', p->key.n))
		return zk_fail(err, ZK_E_DATA, "an idempotency key must be text");
	if (p->meta.n && zk_jscan(p->meta, 64, NULL, 0, &js) < 0) {
		(void)zk_jscan_fail(&js, err);
		return zk_wrap(err, "the metadata of a record");
	}
	return 0;
}

static int set_slot(struct zk_spool *sp, int64_t id, int64_t slot, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_SET_SLOT, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, id);
	zk_bind_i64(st, 2, slot);
	return zk_stmt_run(st, err);
}

/* A record whose key may be there already: 1 = it is, and `p` says how; 0 = it is not. */
static int put_known(struct append *a, struct zk_spool_put *p, struct zk_error *err)
{
	struct zk_spool *sp = a->sp;
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_BY_KEY, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, a->target);
	zk_bind_text(st, 2, p->key);
	int r = zk_stmt_step(st, err);

	if (r <= 0)
		return r;
	int64_t id = zk_col_i64(st, 0), slot = zk_col_i64(st, 1);

	zk_stmt_reset(st);
	p->id = id;
	if (slot > 0 && slot == sp->owner) {
		p->result = ZK_SPOOL_MINE;
		return 1;
	}
	if (slot > 0 && zk_spool_owner_alive(sp, slot)) {
		p->result = ZK_SPOOL_HELD;
		return 1;
	}
	p->result = ZK_SPOOL_KNOWN;
	if (slot == sp->owner)
		return 1;
	r = set_slot(sp, id, sp->owner, err);
	return r < 0 ? r : 1;
}

static int fail_room(const struct zk_spool *sp, bool ever, struct zk_error *err)
{
	(void)zk_fail(err, ZK_E_SPOOL_FULL,
	              "the spool '%s' has reached its limit of %llu bytes", sp->path,
	              (unsigned long long)sp->max_bytes);
	err->retryable = sp->when_full == ZK_SPOOL_BLOCK && ever;
	return zk_err_hint(
	        err, "zk spool flush sends what it holds; the limit is spool.max_bytes");
}

static int put_body(struct zk_spool *sp, int64_t id, zk_str body, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_ADD_BODY, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, id);
	zk_bind_blob(st, 2, body.n ? body : ZK_STR(""));
	return zk_stmt_run(st, err);
}

static int put_new(struct append *a, struct zk_spool_put *p, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(a->sp, SQL_ADD, err);
	uint64_t cost = cost_of(p);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, a->target);
	zk_bind_i64(st, 2, a->sp->owner);
	zk_bind_text(st, 3, p->key.n ? p->key : ZK_STR_NULL);
	zk_bind_i64(st, 4, (int64_t)cost);
	zk_bind_i64(st, 5, a->now_us);
	zk_bind_text(st, 6, p->meta.n ? p->meta : ZK_STR_NULL);
	int r = zk_stmt_run(st, err);

	if (r < 0)
		return r;
	p->id = zk_db_last_rowid(a->sp->db);
	p->result = ZK_SPOOL_NEW;
	r = put_body(a->sp, p->id, p->body, err);
	if (r < 0)
		return r;
	a->room -= cost;
	a->bytes += cost;
	a->records++;
	return 0;
}

static int put(struct append *a, struct zk_spool_put *p, struct zk_error *err)
{
	int r = p->key.n ? put_known(a, p, err) : 0;

	if (r != 0)
		return r < 0 ? r : 0;
	if (cost_of(p) <= a->room)
		return put_new(a, p, err);
	if (a->sp->when_full != ZK_SPOOL_DROP_NEWEST)
		return fail_room(a->sp, a->total <= a->sp->max_bytes, err);
	p->id = 0;
	p->result = ZK_SPOOL_DROPPED;
	return 0;
}

static int find_room(struct append *a, struct zk_error *err)
{
	struct zk_spool_total total;

	a->room = INT64_MAX;
	if (!a->sp->max_bytes)
		return 0;
	int r = zk_spool_total(a->sp, &total, err);

	if (r == 0)
		a->room = a->sp->max_bytes - ZK_MIN(total.bytes, a->sp->max_bytes);
	return r;
}

static int count(struct zk_spool *sp, int64_t target, int64_t records, int64_t bytes,
                 struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_TARGET_COUNT, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, target);
	zk_bind_i64(st, 2, records);
	zk_bind_i64(st, 3, bytes);
	int r = zk_stmt_run(st, err);

	if (r < 0 || records > 0)
		return r;
	st = zk_spool_stmt(sp, SQL_TARGET_CLEAN, err);
	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, target);
	return zk_stmt_run(st, err);
}

int zk_spool_append(struct zk_spool *sp, const struct zk_spool_target *target,
                    struct zk_spool_put *v, size_t n, struct zk_error *err)
{
	struct append a = { .sp = sp, .now_us = zk_wall_us() };
	int r = zk_spool_target_check(target, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = check_put(&v[i], err);
		a.total += cost_of(&v[i]);
	}
	if (r == 0)
		r = zk_spool_enter(sp, /* durable */ true, err);
	if (r < 0)
		return r;
	r = ensure_target(sp, target, &a.target, err);
	if (r == 0)
		r = find_room(&a, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put(&a, &v[i], err);
	if (r == 0)
		r = count(sp, a.target, (int64_t)a.records, (int64_t)a.bytes, err);
	return zk_spool_leave(sp, r, err);
}

/* ---- deleting -------------------------------------------------------------------------- */

/* Deletes one record; adds to what its target loses. 1 = it was there. */
static int delete_one(struct zk_spool *sp, int64_t id, int64_t *target, int64_t *cost,
                      struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_DELETE, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, id);
	int r = zk_stmt_step(st, err);

	if (r <= 0)
		return r;
	*target = zk_col_i64(st, 0);
	*cost = zk_col_i64(st, 1);
	r = zk_stmt_run(st, err); /* the deletion ends with the statement */
	return r < 0 ? r : 1;
}

int zk_spool_delete(struct zk_spool *sp, const int64_t *ids, size_t n, bool durable,
                    size_t *ret_n, struct zk_error *err)
{
	int64_t target = 0, records = 0, bytes = 0;
	size_t there = 0;
	int r = zk_spool_enter(sp, durable, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		int64_t its = 0, cost = 0;

		r = delete_one(sp, ids[i], &its, &cost, err);
		if (r <= 0)
			continue;
		r = 0;
		there++;
		if (target && its != target) {
			r = count(sp, target, -records, -bytes, err);
			records = bytes = 0;
		}
		target = its;
		records++;
		bytes += cost;
	}
	if (r == 0 && records)
		r = count(sp, target, -records, -bytes, err);
	r = zk_spool_leave(sp, r, err);
	if (r < 0)
		return r;
	sp->deleted = sp->deleted || there > 0;
	*ret_n = there;
	return 0;
}

int zk_spool_ack(struct zk_spool *sp, const int64_t *ids, size_t n, size_t *ret_n,
                 struct zk_error *err)
{
	size_t there = 0;
	/* Not flushed: an acknowledgement lost in a power cut makes a repetition, no loss. */
	int r = zk_spool_delete(sp, ids, n, /* durable */ false, &there, err);

	if (r == 0 && ret_n)
		*ret_n = there;
	return r;
}

/* ---- attachments ----------------------------------------------------------------------- */

static int check_attachment(const struct zk_spool_target *target, zk_str name,
                            zk_str bytes, struct zk_error *err)
{
	if (name.n == 0 || name.n > ZK_SPOOL_TEXT_MAX || !zk_utf8_valid(name))
		return zk_fail(err, ZK_E_DATA, "the name of an attachment must be text");
	if (bytes.n > ZK_SPOOL_BODY_MAX)
		return zk_fail(err, ZK_E_LIMIT,
		               "an attachment is too large for the spool");
	return zk_spool_target_check(target, err);
}

int zk_spool_attach(struct zk_spool *sp, const struct zk_spool_target *target,
                    zk_str name, zk_str bytes, struct zk_error *err)
{
	int64_t id = 0;
	int r = check_attachment(target, name, bytes, err);

	if (r == 0)
		r = zk_spool_enter(sp, /* durable */ true, err);
	if (r < 0)
		return r;
	r = ensure_target(sp, target, &id, err);
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_ATTACH, err);

	if (!st)
		r = -(int)err->code;
	if (r == 0) {
		zk_bind_i64(st, 1, id);
		zk_bind_text(st, 2, name);
		zk_bind_blob(st, 3, bytes.n ? bytes : ZK_STR(""));
		r = zk_stmt_run(st, err);
	}
	return zk_spool_leave(sp, r, err);
}

int zk_spool_attachment(struct zk_spool *sp, const struct zk_spool_target *target,
                        zk_str name, struct zk_buf *ret, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_ATTACHMENT, err);
	int64_t id = 0;

	if (!st || zk_spool_target_id(sp, target, &id, err) < 0)
		return -(int)err->code;
	zk_bind_i64(st, 1, id);
	zk_bind_text(st, 2, name);
	int r = zk_stmt_step(st, err);

	if (r <= 0)
		return r;
	zk_buf_add(ret, zk_col_blob(st, 0));
	zk_stmt_reset(st);
	r = zk_buf_check(ret, err);
	return r < 0 ? r : 1;
}
