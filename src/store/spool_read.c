/* Sending from the spool, and its numbers.
 * Layer: store. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/spool_int.h"

#include "base/ban.h"

#define REASON_MAX 500

const char *zk_spool_state_name(enum zk_spool_state state)
{
	switch (state) {
	case ZK_SPOOL_WAITING:
		return "waiting";
	case ZK_SPOOL_SENDING:
		return "sending";
	case ZK_SPOOL_FAILED:
		return "failed";
	}
	return "";
}

enum zk_spool_state zk_spool_state_of(const struct zk_spool *sp, int64_t slot)
{
	if (slot == SLOT_WAITING)
		return ZK_SPOOL_WAITING;
	if (slot < 0)
		return ZK_SPOOL_FAILED;
	return zk_spool_owner_alive(sp, slot) ? ZK_SPOOL_SENDING : ZK_SPOOL_WAITING;
}

/* ---- records --------------------------------------------------------------------------- */

static zk_str copy(char **to, zk_str s)
{
	zk_str out = { *to, s.n };

	if (s.n)
		memcpy(*to, s.p, s.n);
	*to += s.n;
	return out;
}

/* The body, borrowed until the statement SQL_BODY is reset. */
static int get_body(struct zk_spool *sp, int64_t id, zk_str *ret, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_BODY, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, id);
	int r = zk_stmt_step(st, err);

	if (r < 0)
		return r;
	if (r == 0)
		return zk_fail(err, ZK_E_STORE_CORRUPT,
		               "record %lld of the spool has no body", (long long)id);
	*ret = zk_col_blob(st, 0);
	return 0;
}

int zk_spool_record(struct zk_spool *sp, struct zk_stmt *st, bool no_body,
                    struct zk_spool_rec *ret, struct zk_error *err)
{
	/* The order of RECORD_COLUMNS. */
	zk_str kind = zk_col_text(st, 4), dest = zk_col_text(st, 5),
	       key = zk_col_text(st, 6);
	zk_str meta = zk_col_text(st, 7), last_error = zk_col_text(st, 8);
	zk_str body = ZK_STR_NULL;
	int r = no_body ? 0 : get_body(sp, zk_col_i64(st, 0), &body, err);

	if (r < 0)
		return r;
	char *mem =
	        zk_alloc(kind.n + dest.n + key.n + meta.n + last_error.n + body.n + 1);

	*ret = (struct zk_spool_rec){
		.id = zk_col_i64(st, 0),
		.state = zk_spool_state_of(sp, zk_col_i64(st, 1)),
		.created_us = zk_col_i64(st, 2),
		.attempts = zk_col_i64(st, 3),
		.mem = mem,
	};
	ret->kind = copy(&mem, kind);
	ret->dest = copy(&mem, dest);
	ret->key = copy(&mem, key);
	ret->meta = copy(&mem, meta);
	ret->last_error = copy(&mem, last_error);
	ret->body = copy(&mem, body);
	if (!no_body)
		zk_stmt_reset(sp->st[SQL_BODY]);
	return 0;
}

void zk_spool_batch_done(struct zk_spool_batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i].mem);
	free(b->v);
	*b = (struct zk_spool_batch){ 0 };
}

int zk_spool_next(struct zk_spool *sp, const struct zk_spool_target *target,
                  const struct zk_spool_want *want, struct zk_spool_batch *ret,
                  struct zk_error *err)
{
	struct zk_spool_batch b = { .v = zk_alloc_array(want->max, sizeof(*b.v)) };
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_NEXT, err);
	size_t bytes = 0;
	int64_t id = 0;
	int r = st ? zk_spool_target_id(sp, target, &id, err) : -(int)err->code;

	if (r == 0) {
		zk_bind_i64(st, 1, id);
		zk_bind_i64(st, 2, want->after);
		zk_bind_i64(st, 3, (int64_t)want->max);
	}
	while (r == 0 && b.n < want->max) {
		r = zk_stmt_step(st, err);
		if (r <= 0)
			break;
		r = zk_spool_record(sp, st, false, &b.v[b.n], err);
		if (r < 0)
			break;
		bytes += b.v[b.n].body.n;
		if (b.n && bytes > want->max_bytes) {
			free(b.v[b.n].mem);
			break;
		}
		b.n++;
	}
	if (st)
		zk_stmt_reset(st);
	if (r < 0) {
		zk_spool_batch_done(&b);
		return r;
	}
	*ret = b;
	return 0;
}

/* ---- failed attempts ------------------------------------------------------------------- */

static int set_target_error(struct zk_spool *sp, int64_t target, zk_str reason,
                            struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_TARGET_ERROR, err);

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, target);
	zk_bind_text(st, 2, reason);
	return zk_stmt_run(st, err);
}

static int fail_all(struct zk_spool *sp, const int64_t *ids, size_t n, zk_str reason,
                    bool final, struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, final ? SQL_FAIL_FINAL : SQL_FAIL, err);
	int64_t target = 0;
	int r = st ? 0 : -(int)err->code;

	for (size_t i = 0; r == 0 && i < n; i++) {
		zk_bind_i64(st, 1, ids[i]);
		zk_bind_text(st, 2, reason);
		r = zk_stmt_step(st, err);
		if (r <= 0)
			continue; /* gone */
		int64_t its = zk_col_i64(st, 0);

		r = zk_stmt_run(st, err);
		if (r == 0 && its != target)
			r = set_target_error(sp, its, reason, err);
		target = its;
	}
	return r;
}

/* Without secrets, and not cut inside a character. */
static void clean_reason(const char *reason, struct zk_buf *b)
{
	zk_redact_into(b, zk_str_of(reason));
	if (b->n > REASON_MAX) {
		b->n = REASON_MAX;
		while (b->n && ((unsigned char)b->p[b->n] & 0xc0) == 0x80)
			b->n--;
	}
	if (!b->n)
		zk_buf_lit(b, "unknown");
}

int zk_spool_fail(struct zk_spool *sp, const int64_t *ids, size_t n, const char *reason,
                  bool final, struct zk_error *err)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf b;

	zk_buf_init(&b, 65536);
	clean_reason(reason, &b);
	int r = zk_spool_enter(sp, /* durable */ false, err);

	if (r < 0)
		return r;
	return zk_spool_leave(sp, fail_all(sp, ids, n, zk_buf_str(&b), final, err), err);
}

/* ---- numbers --------------------------------------------------------------------------- */

/* Reads the counts of one target by slot. */
static int read_slots(struct zk_spool *sp, int64_t target, struct zk_spool_stat *s,
                      struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_SLOTS, err);
	int64_t first = INT64_MAX;
	int r;

	if (!st)
		return -(int)err->code;
	zk_bind_i64(st, 1, target);
	while ((r = zk_stmt_step(st, err)) > 0) {
		uint64_t n = (uint64_t)zk_col_i64(st, 1);

		switch (zk_spool_state_of(sp, zk_col_i64(st, 0))) {
		case ZK_SPOOL_WAITING:
			s->waiting += n;
			break;
		case ZK_SPOOL_SENDING:
			s->sending += n;
			break;
		case ZK_SPOOL_FAILED:
			s->failed += n;
			break;
		}
		if (zk_col_i64(st, 2) < first) {
			first = zk_col_i64(st, 2);
			s->oldest_us = zk_col_i64(st, 3);
		}
	}
	s->records = s->waiting + s->sending + s->failed;
	return r;
}

static char *take_text(zk_str s)
{
	return zk_strndup(s.n ? s.p : "", s.n);
}

static int read_stats(struct zk_spool *sp, struct zk_spool_stat **v, size_t *n,
                      struct zk_error *err)
{
	struct zk_stmt *st = zk_spool_stmt(sp, SQL_TARGETS, err);
	size_t room = 0;
	int r = st ? 1 : -(int)err->code;

	while (r > 0 && (r = zk_stmt_step(st, err)) > 0) {
		if (*n == room) {
			room = room ? room * 2 : 16;
			*v = zk_realloc(*v, room * sizeof(**v));
		}
		struct zk_spool_stat *s = &(*v)[(*n)++];

		*s = (struct zk_spool_stat){
			.kind = take_text(zk_col_text(st, 1)),
			.dest = take_text(zk_col_text(st, 2)),
			.bytes = (uint64_t)zk_col_i64(st, 4),
		};
		if (!zk_col_is_null(st, 5))
			s->last_error = take_text(zk_col_text(st, 5));
		int q = read_slots(sp, zk_col_i64(st, 0), s, err);

		if (q < 0)
			r = q;
	}
	if (st)
		zk_stmt_reset(st);
	return r;
}

int zk_spool_stats(struct zk_spool *sp, struct zk_spool_stat **ret, size_t *ret_n,
                   struct zk_error *err)
{
	struct zk_spool_stat *v = NULL;
	size_t n = 0;
	int r = read_stats(sp, &v, &n, err);

	if (r < 0) {
		zk_spool_stats_done(v, n);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

void zk_spool_stats_done(struct zk_spool_stat *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].kind);
		free(v[i].dest);
		free(v[i].last_error);
	}
	free(v);
}

int zk_spool_total(struct zk_spool *sp, struct zk_spool_total *ret, struct zk_error *err)
{
	struct zk_stmt *sum = zk_spool_stmt(sp, SQL_TOTAL, err);
	struct zk_spool_total t = { 0 };

	if (!sum)
		return -(int)err->code;
	int r = zk_stmt_step(sum, err);

	if (r < 0)
		return r;
	t.records = (uint64_t)zk_col_i64(sum, 0);
	t.bytes = (uint64_t)zk_col_i64(sum, 1);
	zk_stmt_reset(sum);
	struct zk_stmt *oldest = zk_spool_stmt(sp, SQL_OLDEST, err);

	if (!oldest)
		return -(int)err->code;
	r = zk_stmt_step(oldest, err);
	if (r < 0)
		return r;
	if (r > 0) {
		t.oldest_us = zk_col_i64(oldest, 0);
		zk_stmt_reset(oldest);
	}
	*ret = t;
	return 0;
}

/* ---- attachments ----------------------------------------------------------------------- */

int zk_spool_attachments(struct zk_spool *sp, const struct zk_spool_target *target,
                         int (*fn)(void *ctx, zk_str name, zk_str bytes,
                                   struct zk_error *err),
                         void *ctx, struct zk_error *err)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf name;
	int64_t id = 0;
	int r = zk_spool_target_id(sp, target, &id, err);

	zk_buf_init(&name, ZK_SPOOL_TEXT_MAX);
	while (r == 0) {
		ZK_CLEANUP(zk_buf_done)
		struct zk_buf bytes;
		struct zk_stmt *st = zk_spool_stmt(sp, SQL_ATTACHMENTS, err);

		zk_buf_init(&bytes, ZK_SPOOL_BODY_MAX);
		if (!st)
			return -(int)err->code;
		zk_bind_i64(st, 1, id);
		zk_bind_text(st, 2, name.n ? zk_buf_str(&name) : ZK_STR(""));
		r = zk_stmt_step(st, err);
		if (r <= 0)
			return r;
		zk_buf_clear(&name);
		zk_buf_add(&name, zk_col_text(st, 0));
		zk_buf_add(&bytes, zk_col_blob(st, 1));
		zk_stmt_reset(st);
		r = fn(ctx, zk_buf_str(&name), zk_buf_str(&bytes), err);
	}
	return r;
}
